//! A loaded policy, and its answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Authorizer, Decision, PolicyId, PolicySet, Schema};
use countersign_model::{
    By, Digest, Operation, PolicyAnswer, PolicyCheck, Requirement, TokenRule, Voter,
};
use serde_json::Value;

use crate::annotations::Rule;
use crate::entities::{Question, Unaskable, VOTE, may_anybody_vote, may_do, may_vote};
use crate::merge::strictest;

/// A policy that is loaded and valid.
pub struct Policy {
    pub(crate) digest: Digest,
    pub(crate) authorizer: Authorizer,
    pub(crate) schema: Schema,
    /// The policies that can meet each known action, and `vote`.
    pub(crate) by_action: BTreeMap<String, PolicySet>,
    /// About votes only, with the voter assumed away: for words, never for decisions.
    pub(crate) could_vote: PolicySet,
    /// In the order of the text.
    pub(crate) rules: Vec<Entry>,
    /// Where in `rules` each policy stands.
    pub(crate) positions: HashMap<PolicyId, usize>,
    /// Some operation is confirmed by the requester in person.
    pub(crate) requester_votes: bool,
}

/// One rule.
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) rule: Rule,
}

/// What Cedar found, as rules in the order of the text.
enum Found<'a> {
    Permits(Vec<&'a Entry>),
    Forbids(Vec<&'a Entry>),
    /// No permit applies.
    Nothing,
    /// A rule could not be evaluated: Cedar would skip it, we deny.
    Broken(String),
}

impl Policy {
    /// The actions that the policy knows. An operation with another one is denied; so a gate whose routes name
    /// one that is not here is misconfigured, and says so when it starts.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.by_action
            .keys()
            .map(String::as_str)
            .filter(|action| *action != VOTE)
    }

    /// Whether the policy knows an action.
    pub fn knows(&self, action: &str) -> bool {
        action != VOTE && self.by_action.contains_key(action)
    }

    fn ask(&self, set: &PolicySet, question: Result<Question, Unaskable>) -> Found<'_> {
        let Question { request, entities } = match question {
            Ok(question) => question,
            Err(Unaskable(why)) => {
                return Found::Broken(format!("the operation cannot be put to the policy: {why}"));
            }
        };
        let response = self.authorizer.is_authorized(&request, set, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Found::Broken(error.to_string());
        }
        let reasons = response.diagnostics().reason();
        let found: Option<BTreeSet<usize>> =
            reasons.map(|id| self.positions.get(id).copied()).collect();
        // INVARIANT: each policy of a set has its rule. Were it not so, a requirement would be missed.
        let Some(found) = found else {
            return Found::Broken("a policy applies that has no rule".to_owned());
        };
        let entries: Vec<&Entry> = found
            .into_iter()
            .filter_map(|at| self.rules.get(at))
            .collect();
        match response.decision() {
            Decision::Allow => Found::Permits(entries),
            Decision::Deny if entries.is_empty() => Found::Nothing,
            Decision::Deny => Found::Forbids(entries),
        }
    }

    /// The strictest of all permits that apply.
    fn merged(permits: &[&Entry]) -> PolicyAnswer {
        let mut merged: Option<Requirement> = None;
        let mut before: Vec<&str> = Vec::new();
        for Entry { id, rule } in permits {
            match rule {
                Rule::Allow => {}
                Rule::Approve(requirement) => {
                    merged = Some(match merged.take() {
                        None => requirement.clone(),
                        Some(strict) => match strictest(strict, requirement) {
                            Ok(strict) => strict,
                            Err(conflict) => {
                                let ids = before.join("`, `");
                                return deny(format!(
                                    "the policies `{ids}` and `{id}` both apply and differ in {}, so nothing meets both",
                                    conflict.about
                                ));
                            }
                        },
                    });
                    before.push(id);
                }
                // A vote is not an operation, and a forbid is no permit.
                Rule::Vote { .. } | Rule::Forbid { .. } => {
                    return deny(format!("the policy `{id}` is no permit of it"));
                }
            }
        }
        merged.map_or(PolicyAnswer::Allow, PolicyAnswer::Approve)
    }
}

impl PolicyCheck for Policy {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn answer(&self, operation: &Operation) -> PolicyAnswer {
        let action = operation.action();
        let set = match self.by_action.get(action) {
            Some(set) if action != VOTE => set,
            _ => return deny(format!("the policy does not know the action `{action}`")),
        };
        let answer = match self.ask(set, may_do(operation, &self.schema)) {
            Found::Permits(permits) => Self::merged(&permits),
            Found::Forbids(forbids) => deny(forbidden(&forbids)),
            Found::Nothing => deny(format!(
                "no permit of the policy lets this requester do `{action}` here"
            )),
            Found::Broken(why) => deny(format!("the policy could not be evaluated: {why}")),
        };
        if matches!(answer, PolicyAnswer::Approve(_)) && has_unseen_body(operation) {
            return deny(
                "it needs approval, and its body cannot be shown to those who would approve it"
                    .to_owned(),
            );
        }
        answer
    }

    fn may_vote(
        &self,
        voter: &Voter,
        operation: &Operation,
        stage: Option<&str>,
    ) -> Result<(), String> {
        // Fail closed: no permit of a vote can name a stage yet.
        if let Some(stage) = stage {
            return Err(format!(
                "no permit of the policy lets anybody vote in the stage `{stage}`"
            ));
        }
        let is_subject = voter.subject == *operation.subject();
        let is_requester = is_subject || operation.act_chain().contains(&voter.subject);
        let Some(votes) = self.by_action.get(VOTE) else {
            return Err("the policy lets nobody vote".to_owned());
        };
        let found = self.ask(votes, may_vote(voter, operation, &self.schema));
        if self.is_confirmed_by_requester(operation) {
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
        if stage.is_some() {
            return "nobody".to_owned();
        }
        if self.is_confirmed_by_requester(operation) {
            return "the requester in person".to_owned();
        }
        match self.ask(&self.could_vote, may_anybody_vote(operation, &self.schema)) {
            Found::Permits(permits) => {
                let mut people: Vec<String> = Vec::new();
                for Entry { id, rule } in permits {
                    let name = match rule {
                        Rule::Vote {
                            people: Some(people),
                        } => people.clone(),
                        Rule::Vote { people: None }
                        | Rule::Allow
                        | Rule::Approve(_)
                        | Rule::Forbid { .. } => {
                            format!("those whom `{id}` names")
                        }
                    };
                    if !people.contains(&name) {
                        people.push(name);
                    }
                }
                joined(&people)
            }
            Found::Forbids(_) | Found::Nothing | Found::Broken(_) => "nobody".to_owned(),
        }
    }

    fn token_rule(&self, _: &Operation) -> TokenRule {
        TokenRule::default()
    }
}

impl Policy {
    fn is_confirmed_by_requester(&self, operation: &Operation) -> bool {
        self.requester_votes
            && matches!(self.answer(operation), PolicyAnswer::Approve(requirement) if requirement.by == By::Requester)
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

fn deny(reason: String) -> PolicyAnswer {
    PolicyAnswer::Deny { reason }
}

fn forbidden(forbids: &[&Entry]) -> String {
    let reasons: Vec<String> = forbids
        .iter()
        .map(|Entry { id, rule }| match rule {
            Rule::Forbid { why: Some(why) } => format!("the policy `{id}` forbids it: {why}"),
            Rule::Forbid { why: None } | Rule::Allow | Rule::Approve(_) | Rule::Vote { .. } => {
                format!("the policy `{id}` forbids it")
            }
        })
        .collect();
    reasons.join("; ")
}

/// A body of which the operation holds the digest only. (Protocol, section 2: what does not fit is denied.)
fn has_unseen_body(operation: &Operation) -> bool {
    let Some(body) = operation.action_properties().get("body") else {
        return false;
    };
    let empty = body.get("size").and_then(Value::as_i64) == Some(0);
    !empty && !body.get("text").is_some_and(Value::is_string)
}

/// `a`, `a or b`, `a, b or c`.
fn joined(people: &[String]) -> String {
    match people {
        [] => "nobody".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
