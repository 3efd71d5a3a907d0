//! A loaded policy, and its answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Authorizer, PolicyId, PolicySet};
use countersign_model::{
    By, Digest, Operation, PolicyAnswer, PolicyCheck, Requirement, TokenRule, Voter,
};

use crate::annotations::{Rule, Terms};
use crate::body::is_unseen;
use crate::entities::{
    Question, Requester, Seen, Unaskable, Vocabulary, may, may_anybody_vote, may_do, may_vote,
};
use crate::facts::Mentions;
use crate::index::Index;
use crate::merge::strictest;

/// A policy that is loaded and valid.
pub struct Policy {
    pub(crate) digest: Digest,
    pub(crate) authorizer: Authorizer,
    pub(crate) vocabulary: Vocabulary,
    /// All actions that operations can have.
    pub(crate) actions: BTreeSet<String>,
    /// The rules about operations.
    pub(crate) operations: Index,
    /// The rules about votes, by stage; none is "without stages".
    pub(crate) votes: BTreeMap<Option<String>, Index>,
    /// The same with the voter assumed away: for words, never for decisions.
    pub(crate) could_vote: BTreeMap<Option<String>, PolicySet>,
    /// In the order of the text.
    pub(crate) rules: Vec<Entry>,
    /// Where in `rules` each policy stands.
    pub(crate) positions: HashMap<PolicyId, usize>,
    /// Actions of which who may vote depends on what the operation needs: some are confirmed by the requester, or
    /// in stages.
    pub(crate) voting_depends: BTreeSet<String>,
    /// Actions with a permit that asks something of the token.
    pub(crate) token_rules: BTreeSet<String>,
    /// Actions with a permit that has a denied operation wait.
    pub(crate) cool_downs: BTreeSet<String>,
    pub(crate) has_body_sizes: bool,
}

/// One rule.
pub(crate) struct Entry {
    pub(crate) id: String,
    /// Where it begins: the line, from 1, and the byte.
    pub(crate) line: usize,
    pub(crate) offset: usize,
    /// The actions that its scope names; none where it names none.
    pub(crate) actions: Option<BTreeSet<String>>,
    pub(crate) rule: Rule,
    pub(crate) mentions: Mentions,
    /// Its annotations, and where each stands, in bytes.
    pub(crate) written: Vec<(String, usize)>,
    /// The actions that people vote on by it, where it says so; any, where it does not.
    pub(crate) votes_on: Option<BTreeSet<String>>,
}

/// What Cedar found, as rules in the order of the text.
pub(crate) enum Found<'a> {
    Permits(Vec<&'a Entry>),
    Forbids(Vec<&'a Entry>),
    /// No permit applies.
    Nothing,
    /// A rule could not be evaluated: Cedar would skip it, we deny.
    Broken(String),
}

/// What the policy says about an operation, and by which rules.
pub(crate) struct Decided<'a> {
    /// The rules that apply: permits, or forbids.
    pub(crate) by: Vec<&'a Entry>,
    /// On which terms; else why not.
    pub(crate) terms: Result<Terms, String>,
}

impl Policy {
    /// The actions that the policy knows. An operation with another one is denied; so a gate whose routes name
    /// one that is not here is misconfigured, and says so when it starts.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().map(String::as_str)
    }

    /// Whether the policy knows an action.
    pub fn knows(&self, action: &str) -> bool {
        self.actions.contains(action)
    }

    /// What it asks of the caller's token, where it allows this outright: an answer without an operation, whose
    /// bytes nobody needs then. None says no more than that; [`PolicyCheck::answer`] says the rest.
    pub fn allows(&self, requester: &Requester, seen: &Seen<'_>) -> Option<TokenRule> {
        if !self.knows(seen.action) {
            return None;
        }
        let sets = self.operations.about(seen.action, seen.resource_type);
        match self.ask(sets, may(requester.clone(), seen, &self.vocabulary)) {
            Found::Permits(permits) => match merged(&permits) {
                Ok(Terms {
                    approve: None,
                    token,
                }) => Some(token),
                Ok(Terms {
                    approve: Some(_), ..
                })
                | Err(_) => None,
            },
            Found::Forbids(_) | Found::Nothing | Found::Broken(_) => None,
        }
    }

    fn ask<'s>(
        &self,
        sets: impl IntoIterator<Item = &'s PolicySet>,
        question: Result<Question, Unaskable>,
    ) -> Found<'_> {
        let Question { request, entities } = match question {
            Ok(question) => question,
            Err(Unaskable(why)) => {
                return Found::Broken(format!("the operation cannot be put to the policy: {why}"));
            }
        };
        let mut found = BTreeSet::new();
        for set in sets {
            let response = self.authorizer.is_authorized(&request, set, &entities);
            if let Some(error) = response.diagnostics().errors().next() {
                return Found::Broken(error.to_string());
            }
            for id in response.diagnostics().reason() {
                // INVARIANT: each policy of a set has its rule. Were it not so, a requirement would be missed.
                match self.positions.get(id) {
                    Some(at) => found.insert(*at),
                    None => return Found::Broken("a policy applies that has no rule".to_owned()),
                };
            }
        }
        // A set without a forbid that applies answers with its permits, beside another with one.
        let (forbids, permits): (Vec<&Entry>, Vec<&Entry>) = found
            .into_iter()
            .filter_map(|at| self.rules.get(at))
            .partition(|entry| matches!(entry.rule, Rule::Forbid { .. }));
        match (forbids.is_empty(), permits.is_empty()) {
            (false, _) => Found::Forbids(forbids),
            (true, false) => Found::Permits(permits),
            (true, true) => Found::Nothing,
        }
    }

    /// What applies to an operation, and what follows.
    pub(crate) fn decide(&self, operation: &Operation) -> Decided<'_> {
        let action = operation.action();
        let denied = |by, why| Decided {
            by,
            terms: Err(why),
        };
        if !self.knows(action) {
            return denied(
                vec![],
                format!("the policy does not know the action `{action}`"),
            );
        }
        let sets = self.operations.about(action, operation.resource_type());
        match self.ask(sets, may_do(operation, &self.vocabulary)) {
            Found::Permits(permits) => {
                let terms = merged(&permits).and_then(|terms| match &terms.approve {
                    Some(approve) if is_unseen(operation, &approve.digest_only) => Err(
                        "it needs approval, and its body cannot be shown to those who would approve it"
                            .to_owned(),
                    ),
                    Some(_) | None => Ok(terms),
                });
                Decided { by: permits, terms }
            }
            Found::Forbids(forbids) => {
                let why = forbidden(&forbids);
                denied(forbids, why)
            }
            Found::Nothing => denied(
                vec![],
                format!("no permit of the policy lets this requester do `{action}` here"),
            ),
            Found::Broken(why) => {
                denied(vec![], format!("the policy could not be evaluated: {why}"))
            }
        }
    }

    fn terms(&self, operation: &Operation) -> Option<Terms> {
        self.decide(operation).terms.ok()
    }

    /// What an operation needs, where who may vote depends on it.
    fn needed(&self, operation: &Operation) -> Option<Requirement> {
        if !self.voting_depends.contains(operation.action()) {
            return None;
        }
        Some(self.terms(operation)?.approve?.requirement)
    }

    /// Who could vote in a stage, in words, and the rules that say so.
    pub(crate) fn could_vote(
        &self,
        operation: &Operation,
        stage: Option<&str>,
    ) -> (String, Vec<&Entry>) {
        let set = self.could_vote.get(&stage.map(str::to_owned));
        let Some(set) = set else {
            return ("nobody".to_owned(), vec![]);
        };
        match self.ask([set], may_anybody_vote(operation, &self.vocabulary)) {
            Found::Permits(permits) => {
                let mut people: Vec<String> = Vec::new();
                for Entry { id, rule, .. } in &permits {
                    let name = match rule {
                        Rule::Vote {
                            people: Some(people),
                            ..
                        } => people.clone(),
                        Rule::Vote { people: None, .. } | Rule::Permit(_) | Rule::Forbid { .. } => {
                            format!("those whom `{id}` names")
                        }
                    };
                    if !people.contains(&name) {
                        people.push(name);
                    }
                }
                (joined(&people), permits)
            }
            Found::Forbids(forbids) => ("nobody".to_owned(), forbids),
            Found::Nothing | Found::Broken(_) => ("nobody".to_owned(), vec![]),
        }
    }
}

/// The strictest of all permits that apply.
fn merged(permits: &[&Entry]) -> Result<Terms, String> {
    let mut merged = Terms::default();
    let mut before: Vec<&str> = Vec::new();
    for Entry { id, rule, .. } in permits {
        let terms = match rule {
            Rule::Permit(terms) => terms,
            // A vote is not an operation, and a forbid is no permit.
            Rule::Vote { .. } | Rule::Forbid { .. } => {
                return Err(format!("the policy `{id}` is no permit of it"));
            }
        };
        merged = strictest(merged, terms).map_err(|conflict| {
            let ids = before.join("`, `");
            format!(
                "the policies `{ids}` and `{id}` both apply and differ in {}, so nothing meets both",
                conflict.about
            )
        })?;
        if *terms != Terms::default() {
            before.push(id);
        }
    }
    Ok(merged)
}

impl PolicyCheck for Policy {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn answer(&self, operation: &Operation) -> PolicyAnswer {
        match self.decide(operation).terms {
            Err(reason) => PolicyAnswer::Deny { reason },
            Ok(Terms { approve: None, .. }) => PolicyAnswer::Allow,
            Ok(Terms {
                approve: Some(approve),
                ..
            }) => PolicyAnswer::Approve(approve.requirement),
        }
    }

    fn may_vote(
        &self,
        voter: &Voter,
        operation: &Operation,
        stage: Option<&str>,
    ) -> Result<(), String> {
        let is_subject = voter.subject == *operation.subject();
        let is_requester = is_subject || operation.act_chain().contains(&voter.subject);
        let needed = self.needed(operation);
        let stages = needed.as_ref().map_or(&[][..], |needed| &needed.stages);
        match stage {
            None if !stages.is_empty() => {
                return Err(
                    "this operation is approved in stages, and the vote names none".to_owned(),
                );
            }
            Some(stage) if !stages.iter().any(|known| known.name == stage) => {
                return Err(format!("this operation has no stage `{stage}`"));
            }
            None | Some(_) => {}
        }
        let Some(rules) = self.votes.get(&stage.map(str::to_owned)) else {
            return Err("the policy lets nobody vote in this stage".to_owned());
        };
        let sets = rules.about(operation.action(), operation.resource_type());
        let found = self.ask(sets, may_vote(voter, operation, &self.vocabulary));
        if needed.is_some_and(|needed| needed.by == By::Requester) {
            return match found {
                Found::Permits(_) | Found::Nothing if is_subject => Ok(()),
                Found::Permits(_) | Found::Nothing => {
                    Err("only the requester in person confirms this operation".to_owned())
                }
                Found::Forbids(forbids) => Err(forbidden(&forbids)),
                Found::Broken(why) => Err(format!("the policy could not be evaluated: {why}")),
            };
        }
        if is_requester {
            return Err("nobody votes on their own request".to_owned());
        }
        match found {
            Found::Permits(_) => Ok(()),
            Found::Forbids(forbids) => Err(forbidden(&forbids)),
            Found::Nothing => {
                Err("no permit of the policy lets this person vote on this operation".to_owned())
            }
            Found::Broken(why) => Err(format!("the policy could not be evaluated: {why}")),
        }
    }

    fn who_may_vote(&self, operation: &Operation, stage: Option<&str>) -> String {
        match (self.needed(operation), stage) {
            (Some(needed), _) if needed.by == By::Requester => "the requester in person".to_owned(),
            (Some(needed), None) if !needed.stages.is_empty() => {
                let stages = needed.stages.iter();
                let each = stages.map(|stage| self.could_vote(operation, Some(&stage.name)).0);
                each.collect::<Vec<_>>().join(", then ")
            }
            (Some(_) | None, stage) => self.could_vote(operation, stage).0,
        }
    }

    fn token_rule(&self, operation: &Operation) -> TokenRule {
        if !self.token_rules.contains(operation.action()) {
            return TokenRule::default();
        }
        self.terms(operation)
            .map_or_else(TokenRule::default, |terms| terms.token)
    }

    fn cool_down_secs(&self, operation: &Operation) -> Option<u32> {
        if !self.cool_downs.contains(operation.action()) {
            return None;
        }
        self.terms(operation)?.approve?.cool_down_secs
    }

    fn looks_at_body_size(&self) -> bool {
        self.has_body_sizes
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

pub(crate) fn forbidden(forbids: &[&Entry]) -> String {
    let reasons: Vec<String> = forbids
        .iter()
        .map(|Entry { id, rule, .. }| match rule {
            Rule::Forbid { why: Some(why), .. } => format!("the policy `{id}` forbids it: {why}"),
            Rule::Forbid { why: None, .. } | Rule::Permit(_) | Rule::Vote { .. } => {
                format!("the policy `{id}` forbids it")
            }
        })
        .collect();
    reasons.join("; ")
}

/// `a`, `a or b`, `a, b or c`.
fn joined(people: &[String]) -> String {
    match people {
        [] => "nobody".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
