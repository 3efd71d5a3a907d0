//! From text to a policy that is known to be sound, or to one error for the person who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Authorizer, Effect, Policy as CedarPolicy, PolicySet};
use countersign_model::{By, Digest, TokenRule};

use crate::annotations::{Approve, Rule, Terms};
use crate::condition::{Assume, assuming};
use crate::draft::{Draft, begins};
use crate::entities::Vocabulary;
use crate::error::{LoadError, Source};
use crate::index::Index;
use crate::policy::{Entry, Policy};
use crate::sound;
use crate::validate::validate;

/// The longest policy, in bytes.
pub const MAX_POLICY_BYTES: usize = 4 * 1024 * 1024;

impl Policy {
    /// Reads, validates and takes a policy.
    pub fn load(text: &str) -> Result<Self, LoadError> {
        let source = Source::new(text);
        let at_start = |sentence: String| source.error(0, None, sentence);
        if text.len() > MAX_POLICY_BYTES {
            return Err(at_start(format!(
                "the policy is longer than {MAX_POLICY_BYTES} bytes"
            )));
        }
        let parsed: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
            match errors.iter().next() {
                Some(first) => source.cedar(None, 0, first),
                None => at_start("this is no Cedar policy".to_owned()),
            }
        })?;
        if let Some(template) = parsed.templates().next() {
            let offset = template.as_ref().loc().map_or(0, |loc| loc.span.offset());
            return Err(source.error(
                offset,
                None,
                "a template (`?principal`, `?resource`) has nobody to fill it in; write the value",
            ));
        }
        let mut policies: Vec<&CedarPolicy> = parsed.policies().collect();
        policies.sort_by_key(|policy| begins(policy));
        let drafts: Vec<Draft> = policies
            .into_iter()
            .map(|policy| Draft::read(policy, &source))
            .collect::<Result<_, _>>()?;
        if drafts.is_empty() {
            return Err(at_start(
                "the policy holds no permit: everything would be denied".to_owned(),
            ));
        }
        sound::ids(&drafts, &source)?;
        let actions = sound::actions(&drafts, &source)?;
        validate(&actions, &drafts, &source)?;
        sound::compared_actions(&drafts, &actions, &source)?;
        sound::voters(&drafts, &source)?;
        sound::conflicts(&drafts, &source)?;
        assemble(text, actions, drafts, &source).map_err(at_start)
    }
}

fn assemble(
    text: &str,
    actions: BTreeSet<String>,
    drafts: Vec<Draft>,
    source: &Source<'_>,
) -> Result<Policy, String> {
    let mut operations = Index::default();
    for draft in &drafts {
        if let Some(reach) = draft.operations() {
            operations.add(&draft.policy, &reach)?;
        }
    }
    let (votes, could_vote) = votes(&drafts)?;
    // A permit applies to no action but those that it names.
    let named_by = |has: &dyn Fn(&Terms) -> bool| -> BTreeSet<String> {
        let permits = drafts.iter().filter(|draft| match &draft.rule {
            Rule::Permit(terms) => has(terms),
            Rule::Vote { .. } | Rule::Forbid { .. } => false,
        });
        permits
            .flat_map(|draft| draft.actions.iter().flatten().cloned())
            .collect()
    };
    let asks = |terms: &Terms, how: fn(&Approve) -> bool| terms.approve.as_ref().is_some_and(how);
    let voting_depends = named_by(&|terms| {
        asks(terms, |approve| {
            approve.requirement.by == By::Requester || !approve.requirement.stages.is_empty()
        })
    });
    let token_rules = named_by(&|terms| terms.token != TokenRule::default());
    let cool_downs = named_by(&|terms| asks(terms, |approve| approve.cool_down_secs.is_some()));
    let has_body_sizes = drafts.iter().any(|draft| draft.mentions.body_size);
    Ok(Policy {
        digest: Digest::of(text.as_bytes()),
        authorizer: Authorizer::new(),
        vocabulary: Vocabulary::new()?,
        actions,
        operations,
        votes,
        could_vote,
        voting_depends,
        token_rules,
        cool_downs,
        has_body_sizes,
        positions: drafts
            .iter()
            .enumerate()
            .map(|(at, draft)| (draft.policy.id().clone(), at))
            .collect(),
        rules: drafts
            .into_iter()
            .map(|draft| {
                let votes_on = draft.votes().and_then(|reach| reach.actions);
                Entry {
                    line: source.place(draft.offset).0,
                    id: draft.id,
                    offset: draft.offset,
                    actions: draft.actions,
                    rule: draft.rule,
                    mentions: draft.mentions,
                    written: draft.annotations,
                    votes_on,
                }
            })
            .collect(),
    })
}

/// By stage, none being "without stages": the rules about voting, and the same with the voter assumed away
/// (permits as if somebody fitted, forbids as if nobody did).
type Votes = (
    BTreeMap<Option<String>, Index>,
    BTreeMap<Option<String>, PolicySet>,
);

fn votes(drafts: &[Draft]) -> Result<Votes, String> {
    let stages: BTreeSet<Option<String>> = drafts
        .iter()
        .filter_map(|draft| match &draft.rule {
            Rule::Vote { stage, .. } => Some(stage.clone()),
            Rule::Permit(_) | Rule::Forbid { .. } => None,
        })
        .chain([None])
        .collect();
    let mut votes = BTreeMap::new();
    let mut could_vote = BTreeMap::new();
    for stage in stages {
        let mut index = Index::default();
        let mut could = PolicySet::new();
        for draft in drafts {
            let of_stage = match &draft.rule {
                Rule::Vote { stage: own, .. } => *own == stage,
                Rule::Forbid { .. } => true,
                Rule::Permit(_) => false,
            };
            let (true, Some(reach)) = (of_stage, draft.votes()) else {
                continue;
            };
            index.add(&draft.policy, &reach)?;
            let assume = match draft.policy.effect() {
                Effect::Permit => Assume::SomebodyFits,
                Effect::Forbid => Assume::NobodyFits,
            };
            let id = draft.policy.id().clone();
            let policy = CedarPolicy::from_json(Some(id), assuming(&draft.form, assume))
                .map_err(|error| error.to_string())?;
            could.add(policy).map_err(|error| error.to_string())?;
        }
        votes.insert(stage.clone(), index);
        could_vote.insert(stage, could);
    }
    Ok((votes, could_vote))
}
