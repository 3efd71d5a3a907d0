//! From text to a policy that is known to be sound, or to one error for the person who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    ActionConstraint, Authorizer, Effect, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet,
    ResourceConstraint, Schema, SchemaFragment, ValidationMode, Validator,
};
use countersign_model::{By, Digest};
use serde_json::{Value, json};

use crate::annotations::{self, Place, Rule};
use crate::condition::{Assume, assuming, depends_on_principal, unqualified_groups};
use crate::entities::VOTE;
use crate::error::{LoadError, Source};
use crate::policy::{Entry, Policy};

/// The longest policy, in bytes.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;

const BUILT_IN: &str = include_str!("schema.cedarschema");

impl Policy {
    /// Reads, validates and takes a policy.
    pub fn load(text: &str) -> Result<Self, LoadError> {
        let source = Source(text);
        let at = |line, sentence: String| LoadError {
            line,
            policy: None,
            sentence,
        };
        if text.len() > MAX_POLICY_BYTES {
            return Err(at(
                1,
                format!("the policy is longer than {MAX_POLICY_BYTES} bytes"),
            ));
        }
        let parsed: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
            match errors.iter().next() {
                Some(first) => source.cedar(None, 1, first),
                None => at(1, "this is no Cedar policy".to_owned()),
            }
        })?;
        if let Some(template) = parsed.templates().next() {
            let line = template
                .as_ref()
                .loc()
                .map_or(1, |loc| source.line(loc.span.offset()));
            return Err(at(
                line,
                "a template (`?principal`, `?resource`) has nobody to fill it in; write the value"
                    .to_owned(),
            ));
        }
        let mut drafts: Vec<Draft> = parsed
            .policies()
            .map(|policy| Draft::new(policy, source))
            .collect();
        drafts.sort_by_key(|draft| draft.offset);
        if drafts.is_empty() {
            return Err(at(
                1,
                "the policy holds no permit: everything would be denied".to_owned(),
            ));
        }
        let mut ids = BTreeSet::new();
        for draft in &drafts {
            let id = draft.id()?;
            if !ids.insert(id.clone()) {
                return Err(LoadError {
                    line: draft.line,
                    policy: Some(id),
                    sentence: "another policy before it has the same `@id`".to_owned(),
                });
            }
        }
        let rules: Vec<(String, Rule)> = drafts
            .iter()
            .map(|draft| Ok((draft.id()?, draft.rule()?)))
            .collect::<Result<_, LoadError>>()?;
        let actions: BTreeSet<String> = drafts
            .iter()
            .flat_map(|draft| draft.actions.iter().flatten().cloned())
            .filter(|action| action != VOTE)
            .collect();
        let schema = schema(&actions).map_err(|sentence| at(1, sentence))?;
        let set = renamed(&drafts).map_err(|sentence| at(1, sentence))?;
        validate(&set, &schema, &drafts, source)?;
        let could_vote = could_vote(&drafts).map_err(|sentence| at(1, sentence))?;
        let by_action = by_action(&set, &drafts, &actions).map_err(|sentence| at(1, sentence))?;
        let requester_votes = rules.iter().any(
            |(_, rule)| matches!(rule, Rule::Approve(requirement) if requirement.by == By::Requester),
        );
        Ok(Self {
            digest: Digest::of(text.as_bytes()),
            authorizer: Authorizer::new(),
            schema,
            by_action,
            could_vote,
            positions: rules
                .iter()
                .enumerate()
                .map(|(at, (id, _))| (PolicyId::new(id), at))
                .collect(),
            rules: rules
                .into_iter()
                .map(|(id, rule)| Entry { id, rule })
                .collect(),
            requester_votes,
        })
    }
}

/// One policy of the text, as far as it is understood.
struct Draft<'a> {
    policy: &'a CedarPolicy,
    offset: usize,
    line: usize,
    /// The actions that its scope names; none where it names none.
    actions: Option<Vec<String>>,
}

impl<'a> Draft<'a> {
    fn new(policy: &'a CedarPolicy, source: Source<'_>) -> Self {
        let offset = policy.as_ref().loc().map_or(0, |loc| loc.span.offset());
        let names = |uids: &[EntityUid]| {
            uids.iter()
                .filter(|uid| is_action(uid))
                .map(|uid| uid.id().unescaped().to_owned())
                .collect()
        };
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(action) => Some(names(&[action])),
            ActionConstraint::In(actions) => Some(names(&actions)),
        };
        Self {
            policy,
            offset,
            line: source.line(offset),
            actions,
        }
    }

    fn error(&self, sentence: impl Into<String>) -> LoadError {
        let policy = self
            .policy
            .annotation("id")
            .filter(|id| is_id(id))
            .map(str::to_owned);
        LoadError {
            line: self.line,
            policy,
            sentence: sentence.into(),
        }
    }

    fn id(&self) -> Result<String, LoadError> {
        match self.policy.annotation("id") {
            None => Err(self.error("it has no `@id(\"…\")`: denials and logs name it by that")),
            Some(id) if is_id(id) => Ok(id.to_owned()),
            Some(id) => Err(self.error(format!(
                "`@id(\"{id}\")`: write 1 to 64 of A-Z a-z 0-9 _ . -"
            ))),
        }
    }

    fn rule(&self) -> Result<Rule, LoadError> {
        self.check_scope()?;
        let place = match (self.policy.effect(), &self.actions) {
            (Effect::Forbid, _) => Place::Forbid,
            (Effect::Permit, Some(actions)) if actions.iter().any(|action| action == VOTE) => {
                if actions.len() > 1 {
                    return Err(self
                        .error("a permit of `Action::\"vote\"` names no other action beside it"));
                }
                Place::VotePermit
            }
            (Effect::Permit, Some(_)) => Place::Permit,
            (Effect::Permit, None) => {
                return Err(self.error(
                    "a permit says which actions it permits: `action == Action::\"…\"` or `action in [Action::\"…\", …]`",
                ));
            }
        };
        let form = self.json()?;
        if place == Place::VotePermit && !depends_on_principal(&form) {
            return Err(self.error(
                "it lets everybody vote: name the people on every path of its condition, such as \
                 `when { principal.groups.contains(\"https://id.example.com#dba\") }`",
            ));
        }
        if let Some(group) = unqualified_groups(&form).first() {
            return Err(self.error(format!(
                "the group `{group}` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#{}\"",
                group.rsplit('#').next().unwrap_or(group)
            )));
        }
        annotations::read(place, self.policy.annotations()).map_err(|sentence| self.error(sentence))
    }

    fn check_scope(&self) -> Result<(), LoadError> {
        for action in self.actions.iter().flatten() {
            if !is_action_name(action) {
                return Err(self.error(format!(
                    "no operation can have the action `{action}`: its name is 1 to 128 of A-Z a-z 0-9 _ . : / -"
                )));
            }
        }
        if self.actions.as_ref().is_some_and(Vec::is_empty) {
            return Err(
                self.error("its scope names no action; an action is written `Action::\"…\"`")
            );
        }
        match self.policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => Ok(()),
            ResourceConstraint::In(_) | ResourceConstraint::Eq(_) | ResourceConstraint::IsIn(_, _) => Err(self.error(
                "a resource is named by its attributes: `when { resource.type == \"…\" && resource.id == \"…\" }`",
            )),
        }
    }

    fn json(&self) -> Result<Value, LoadError> {
        self.policy
            .to_json()
            .map_err(|error| self.error(error.to_string()))
    }
}

fn is_action(uid: &EntityUid) -> bool {
    uid.type_name().to_string() == "Action"
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

/// The built-in schema and the actions that the policy names.
fn schema(actions: &BTreeSet<String>) -> Result<Schema, String> {
    let applies = json!({ "appliesTo": {
        "principalTypes": ["User"], "resourceTypes": ["Resource"], "context": { "type": "Call" },
    } });
    let actions: serde_json::Map<String, Value> = actions
        .iter()
        .map(|action| (action.clone(), applies.clone()))
        .collect();
    let own = json!({ "": { "entityTypes": {}, "actions": actions } });
    let (built_in, _) =
        SchemaFragment::from_cedarschema_str(BUILT_IN).map_err(|error| error.to_string())?;
    let own = SchemaFragment::from_json_value(own).map_err(|error| error.to_string())?;
    Schema::from_schema_fragments([built_in, own]).map_err(|error| error.to_string())
}

/// The policies under their own ids.
fn renamed(drafts: &[Draft<'_>]) -> Result<PolicySet, String> {
    let ids = drafts
        .iter()
        .map(|draft| draft.id().map_err(|error| error.sentence));
    let policies = drafts
        .iter()
        .zip(ids)
        .map(|(draft, id)| Ok(draft.policy.new_id(PolicyId::new(id?))));
    PolicySet::from_policies(policies.collect::<Result<Vec<_>, String>>()?)
        .map_err(|error| error.to_string())
}

/// For each action, and for votes, the policies whose scope it can meet: what a policy costs does not grow
/// with the policies about other actions.
fn by_action(
    set: &PolicySet,
    drafts: &[Draft<'_>],
    actions: &BTreeSet<String>,
) -> Result<BTreeMap<String, PolicySet>, String> {
    let mut by_action: BTreeMap<String, PolicySet> = actions
        .iter()
        .map(String::as_str)
        .chain([VOTE])
        .map(|action| (action.to_owned(), PolicySet::new()))
        .collect();
    for draft in drafts {
        let id = PolicyId::new(draft.id().map_err(|error| error.sentence)?);
        let policy = set.policy(&id).ok_or("a policy was lost while loading")?;
        for (action, set) in &mut by_action {
            if draft
                .actions
                .as_ref()
                .is_none_or(|named| named.contains(action))
            {
                set.add(policy.clone()).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(by_action)
}

/// Strict, and without a warning: a policy that can never apply is a mistake, and so is a look-alike letter.
fn validate(
    set: &PolicySet,
    schema: &Schema,
    drafts: &[Draft<'_>],
    source: Source<'_>,
) -> Result<(), LoadError> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let line = |id: &PolicyId| {
        let same = |draft: &&Draft<'_>| draft.policy.annotation("id") == Some(id.as_ref());
        drafts.iter().find(same).map_or(1, |draft| draft.line)
    };
    let errors = result.validation_errors().map(|error| {
        let id = error.policy_id();
        source.cedar(Some(id.as_ref()), line(id), error)
    });
    let warnings = result.validation_warnings().map(|warning| {
        let id = warning.policy_id();
        source.cedar(Some(id.as_ref()), line(id), warning)
    });
    match errors
        .min_by_key(|error| error.line)
        .or_else(|| warnings.min_by_key(|warning| warning.line))
    {
        None => Ok(()),
        Some(first) => Err(first),
    }
}

/// The rules about voting with the voter assumed away: permits as if somebody fitted, forbids as if nobody did.
fn could_vote(drafts: &[Draft<'_>]) -> Result<PolicySet, String> {
    let mut set = PolicySet::new();
    for draft in drafts {
        let about_votes = draft
            .actions
            .as_ref()
            .is_none_or(|actions| actions.iter().any(|action| action == VOTE));
        if !about_votes {
            continue;
        }
        let assume = match draft.policy.effect() {
            Effect::Permit => Assume::SomebodyFits,
            Effect::Forbid => Assume::NobodyFits,
        };
        let form = draft.json().map_err(|error| error.sentence)?;
        let id = PolicyId::new(draft.id().map_err(|error| error.sentence)?);
        let policy = CedarPolicy::from_json(Some(id), assuming(&form, assume))
            .map_err(|error| error.to_string())?;
        set.add(policy).map_err(|error| error.to_string())?;
    }
    Ok(set)
}
