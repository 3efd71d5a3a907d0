//! One policy of the text: what it is, what it means, and what in it alone is wrong.

use std::collections::BTreeSet;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy as CedarPolicy, PolicyId, ResourceConstraint,
};
use countersign_model::{Issuer, Subject};
use serde_json::Value;

use crate::annotations::{self, Place, Rule};
use crate::condition::depends_on_principal;
use crate::entities::VOTE;
use crate::error::{LoadError, Source};
use crate::facts::{Mentions, mentions, only_with};
use crate::index::Reach;

/// One policy of the text, understood.
pub(crate) struct Draft {
    pub(crate) id: String,
    /// Where it begins, in bytes.
    pub(crate) offset: usize,
    /// Under its own id.
    pub(crate) policy: CedarPolicy,
    /// Its JSON form.
    pub(crate) form: Value,
    /// The actions that its scope names; none where it names none.
    pub(crate) actions: Option<BTreeSet<String>>,
    pub(crate) rule: Rule,
    pub(crate) mentions: Mentions,
    /// Where each annotation stands, in bytes.
    pub(crate) annotations: Vec<(String, usize)>,
}

impl Draft {
    /// Reads one policy, or says what is wrong with it.
    pub(crate) fn read(policy: &CedarPolicy, source: &Source<'_>) -> Result<Self, LoadError> {
        let offset = begins(policy);
        let unnamed = |sentence: String| source.error(offset, None, sentence);
        let id = match policy.annotation("id") {
            None => {
                return Err(unnamed(
                    "it has no `@id(\"…\")`: denials and logs name it by that".to_owned(),
                ));
            }
            Some(id) if is_id(id) => id.to_owned(),
            Some(id) => {
                return Err(unnamed(format!(
                    "`@id(\"{id}\")`: write 1 to 64 of A-Z a-z 0-9 _ . -"
                )));
            }
        };
        let error =
            |offset: usize, sentence: String| source.error(offset, Some(id.clone()), sentence);
        let annotations: Vec<(String, usize)> = policy
            .as_ref()
            .annotations()
            .map(|(name, annotation)| {
                let at = annotation.loc.as_ref().map(|loc| loc.span.offset());
                (name.to_string(), at.unwrap_or(offset))
            })
            .collect();
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(action) => Some(names(&[action])),
            ActionConstraint::In(actions) => Some(names(&actions)),
        };
        check_scope(policy, actions.as_ref())
            .map_err(|(about, sentence)| error(source.literal(offset, &about), sentence))?;
        let place = place(policy, actions.as_ref()).map_err(|sentence| error(offset, sentence))?;
        let form = policy
            .to_json()
            .map_err(|odd| error(offset, odd.to_string()))?;
        if place == Place::VotePermit && !depends_on_principal(&form) {
            return Err(error(
                offset,
                "it lets everybody vote: name the people on every path of its condition, such as \
                 `when { principal.groups.contains(\"https://id.example.com#dba\") }`"
                    .to_owned(),
            ));
        }
        let mentions = mentions(&form);
        check_names(&mentions)
            .map_err(|(about, sentence)| error(source.literal(offset, &about), sentence))?;
        let rule = annotations::read(place, policy.annotations()).map_err(|wrong| {
            let known = annotations
                .iter()
                .find(|(name, _)| Some(name) == wrong.annotation.as_ref());
            error(known.map_or(offset, |(_, at)| *at), wrong.sentence)
        })?;
        Ok(Self {
            offset,
            policy: policy.new_id(PolicyId::new(&id)),
            form,
            actions,
            rule,
            mentions,
            annotations,
            id,
        })
    }

    /// An error about the whole of it.
    pub(crate) fn error(&self, source: &Source<'_>, sentence: impl Into<String>) -> LoadError {
        source.error(self.offset, Some(self.id.clone()), sentence)
    }

    /// An error about one of its annotations.
    pub(crate) fn error_at(
        &self,
        source: &Source<'_>,
        annotation: &str,
        sentence: impl Into<String>,
    ) -> LoadError {
        let known = self.annotations.iter().find(|(name, _)| name == annotation);
        let offset = known.map_or(self.offset, |(_, at)| *at);
        source.error(offset, Some(self.id.clone()), sentence)
    }

    /// An error about a literal in it.
    pub(crate) fn error_on(
        &self,
        source: &Source<'_>,
        literal: &str,
        sentence: impl Into<String>,
    ) -> LoadError {
        let offset = source.literal(self.offset, literal);
        source.error(offset, Some(self.id.clone()), sentence)
    }

    /// The operations that it can apply to, if it is about operations.
    pub(crate) fn operations(&self) -> Option<Reach> {
        let actions = match &self.actions {
            None => None,
            Some(actions) => {
                let operations: BTreeSet<String> = actions
                    .iter()
                    .filter(|name| *name != VOTE)
                    .cloned()
                    .collect();
                if operations.is_empty() {
                    return None;
                }
                Some(operations)
            }
        };
        Some(Reach {
            actions,
            types: only_with(&self.form, "type"),
        })
    }

    /// The operations that people vote on where it can apply, if it is about votes.
    pub(crate) fn votes(&self) -> Option<Reach> {
        let about_votes = self
            .actions
            .as_ref()
            .is_none_or(|actions| actions.contains(VOTE));
        about_votes.then(|| Reach {
            actions: only_with(&self.form, "action"),
            types: only_with(&self.form, "resource_type"),
        })
    }
}

/// Where a policy begins, in bytes.
pub(crate) fn begins(policy: &CedarPolicy) -> usize {
    policy.as_ref().loc().map_or(0, |loc| loc.span.offset())
}

fn names(uids: &[EntityUid]) -> BTreeSet<String> {
    uids.iter()
        .filter(|uid| uid.type_name().to_string() == "Action")
        .map(|uid| uid.id().unescaped().to_owned())
        .collect()
}

fn place(policy: &CedarPolicy, actions: Option<&BTreeSet<String>>) -> Result<Place, String> {
    match (policy.effect(), actions) {
        (Effect::Forbid, _) => Ok(Place::Forbid),
        (Effect::Permit, Some(actions)) if actions.contains(VOTE) => {
            if actions.len() > 1 {
                return Err(
                    "a permit of `Action::\"vote\"` names no other action beside it".to_owned(),
                );
            }
            Ok(Place::VotePermit)
        }
        (Effect::Permit, Some(_)) => Ok(Place::Permit),
        (Effect::Permit, None) => Err(
            "a permit says which actions it permits: `action == Action::\"…\"` or `action in [Action::\"…\", …]`"
                .to_owned(),
        ),
    }
}

/// What is wrong with a scope, and the literal that it is about.
fn check_scope(
    policy: &CedarPolicy,
    actions: Option<&BTreeSet<String>>,
) -> Result<(), (String, String)> {
    for action in actions.into_iter().flatten() {
        if !is_action_name(action) {
            return Err((
                action.clone(),
                format!(
                    "no operation can have the action `{action}`: its name is 1 to 128 of A-Z a-z 0-9 _ . : / -"
                ),
            ));
        }
    }
    if actions.is_some_and(BTreeSet::is_empty) {
        return Err((
            String::new(),
            "its scope names no action; an action is written `Action::\"…\"`".to_owned(),
        ));
    }
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => Ok(()),
        ResourceConstraint::In(_) | ResourceConstraint::Eq(_) | ResourceConstraint::IsIn(_, _) => {
            Err((String::new(), BY_ATTRIBUTES.to_owned()))
        }
    }
}

const BY_ATTRIBUTES: &str = "a resource is named by its attributes: `when { resource.type == \"…\" && resource.id == \"…\" }`";

/// What is wrong with a name that it mentions, and which. A name that nobody can have makes a rule silent.
fn check_names(mentions: &Mentions) -> Result<(), (String, String)> {
    for group in &mentions.groups {
        let qualified = group
            .split_once('#')
            .is_some_and(|(issuer, name)| Issuer::parse(issuer).is_ok() && !name.is_empty());
        if !qualified {
            return Err((
                group.clone(),
                format!(
                    "the group `{group}` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#{}\"",
                    group.rsplit('#').next().unwrap_or(group)
                ),
            ));
        }
    }
    for person in &mentions.people {
        if Subject::parse(person).is_err() {
            return Err((
                person.clone(),
                format!(
                    "nobody is `{person}`: write \"<issuer>|<subject>\", such as \"https://id.example.com|{}\"",
                    person.rsplit('|').next().unwrap_or(person)
                ),
            ));
        }
    }
    for issuer in &mentions.issuers {
        if Issuer::parse(issuer).is_err() {
            return Err((
                issuer.clone(),
                format!(
                    "`{issuer}` is no issuer: write it as its tokens do, such as \"https://id.example.com\""
                ),
            ));
        }
    }
    match mentions.strangers.first() {
        Some(_) => Err((String::new(), BY_ATTRIBUTES.to_owned())),
        None => Ok(()),
    }
}

fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(fits)
}

/// What an operation's `action.name` can be.
fn is_action_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-');
    (1..=128).contains(&name.len()) && name.bytes().all(fits)
}
