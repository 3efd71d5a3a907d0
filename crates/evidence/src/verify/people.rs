//! Step 7: who a vote counts for, and whether that person may vote.

use std::collections::BTreeSet;

use countersign_model::{By, Issuer, Operation, Person, Subject, UnixSecs, Voter};
use serde_json::Value;

use super::binding::{Bound, verify_claims_token};
use super::bundle::OpenRequest;
use super::report::Found;
use super::vote::ReadVote;
use super::{Refusal, StepId, Trust};
use crate::op_token::{AsOf, Initiator, lookup, person_of};

/// What step 7 found for one vote.
pub(super) struct Counted {
    pub(super) person: Option<Person>,
    pub(super) voter: Option<Voter>,
    /// What this verifier lacks.
    lacking: Option<(&'static str, &'static str)>,
}

/// Step 7 for one vote. `release_at` is set where the vote is about to let something happen.
pub(super) fn person_may_vote(
    read: &ReadVote,
    bound: &Bound<'_>,
    open: &OpenRequest,
    trust: Option<&Trust<'_>>,
    now: UnixSecs,
    release_at: Option<UnixSecs>,
) -> Result<Counted, Refusal> {
    let subject = &read.vote.sub_id;
    let operation = open.operation();
    let requirement = &open.request().requirement;
    if requirement.by == By::Others && is_requester_account(subject, operation) {
        return Err(requester_votes());
    }
    let (binding, op, keys, trust) = match (bound, trust) {
        (
            Bound::Proven {
                binding, op, keys, ..
            },
            Some(trust),
        ) => (binding, op, keys, trust),
        (Bound::Lacking { code, sentence }, _) => return Ok(Counted::lacking(code, sentence)),
        (Bound::Proven { .. }, None) => {
            return Ok(Counted::lacking(
                "trust_missing",
                "Which providers to trust was not given.",
            ));
        }
    };
    // One token per vote, never merged.
    let token = match &read.claims_token {
        Some(token) => verify_claims_token(token, binding, &op.config, keys, AsOf::Issue { now })?,
        None => binding.id_token().clone(),
    };
    if read.vote.iat - token.iat > i64::from(requirement.fresh_claims_secs) {
        return Err(refuse(
            "claims_too_old",
            "A voter's claims were too old when they voted.",
        ));
    }
    if let (Some(at), Some(limit)) = (release_at, requirement.release_claims_secs)
        && at - token.iat > i64::from(limit)
    {
        return Err(refuse(
            "claims_too_old_now",
            "A voter's claims are too old for the release.",
        ));
    }
    let voter = token.voter(&op.config);
    let person = person_of(&op.config.person, subject, &voter.claims).ok_or_else(|| {
        refuse(
            "person_unknown",
            "A voter's token lacks a claim that tells who the person is.",
        )
    })?;
    if requirement.by == By::Others {
        not_the_requester(&person, operation, trust)?;
    }
    let lacking = match trust.policy {
        Some(policy) => {
            let stage = read.vote.stage.as_deref();
            policy
                .may_vote(&voter, operation, stage)
                .map_err(|reason| {
                    refuse(
                        "may_not_vote",
                        format!("{} may not vote on this: {reason}", subject.sub),
                    )
                })?;
            None
        }
        None => Some((
            "policy_missing",
            "The policy was not given to this verifier.",
        )),
    };
    Ok(Counted {
        person: Some(person),
        voter: Some(voter),
        lacking,
    })
}

impl Counted {
    fn lacking(code: &'static str, sentence: &'static str) -> Self {
        Self {
            person: None,
            voter: None,
            lacking: Some((code, sentence)),
        }
    }
}

impl Found<Counted> {
    pub(super) fn of_person(counted: Counted) -> Self {
        match counted.lacking {
            None => Self::passed(
                counted,
                "This person may vote on it, and did not ask for it.",
            ),
            Some((code, sentence)) => Self::lacking(counted, code, sentence),
        }
    }
}

/// Step 7 for all votes together: different people, and enough of them.
pub(super) fn enough_people(
    open: &OpenRequest,
    votes: &[ReadVote],
    counted: Vec<Counted>,
) -> Result<Found<Vec<Counted>>, Refusal> {
    let twice = || {
        refuse(
            "person_votes_twice",
            "One person's votes are counted twice.",
        )
    };
    let accounts: BTreeSet<&Subject> = votes.iter().map(|read| &read.vote.sub_id).collect();
    if accounts.len() != votes.len() {
        return Err(twice());
    }
    let people: Vec<&Person> = counted
        .iter()
        .filter_map(|counted| counted.person.as_ref())
        .collect();
    for (index, person) in people.iter().enumerate() {
        for other in &people[..index] {
            match person.same(other) {
                Some(false) => {}
                Some(true) => return Err(twice()),
                None => return Err(cannot_tell()),
            }
        }
    }
    let needed = open.request().requirement.approvals as usize;
    if votes.len() < needed {
        let sentence = format!("{} of {needed} approvals are there.", votes.len());
        return Err(refuse("quorum_missing", sentence));
    }
    let detail = format!(
        "{} different people approved; {needed} are needed.",
        votes.len()
    );
    let lacking = counted.iter().find_map(|counted| counted.lacking);
    Ok(match lacking {
        None => Found::passed(counted, detail),
        Some((code, sentence)) => Found::lacking(counted, code, sentence),
    })
}

fn is_requester_account(subject: &Subject, operation: &Operation) -> bool {
    operation.subject() == subject || operation.act_chain().contains(subject)
}

/// The requester is the subject, everyone who acts in its chain and, for a workload, who started it. Where it
/// cannot be told whether a voter is one of them, the vote does not count.
fn not_the_requester(
    voter: &Person,
    operation: &Operation,
    trust: &Trust<'_>,
) -> Result<(), Refusal> {
    for someone in requesters(operation, trust) {
        match someone.and_then(|someone| someone.same(voter)) {
            Some(false) => {}
            Some(true) => return Err(requester_votes()),
            None => return Err(cannot_tell()),
        }
    }
    Ok(())
}

/// Everyone who counts as the requester; none for one who cannot be named.
fn requesters(operation: &Operation, trust: &Trust<'_>) -> Vec<Option<Person>> {
    let config_of = |issuer: &Issuer| {
        let op = trust.ops.iter().find(|op| op.config.issuer == *issuer);
        op.map(|op| &op.config)
    };
    // An account of a provider that is not configured here could be anybody's.
    let named = |subject: &Subject, claims: &Value| {
        config_of(&subject.iss).and_then(|config| person_of(&config.person, subject, claims))
    };
    let requester = operation.subject();
    let mut people = vec![named(requester, operation.claims())];
    // An actor comes without claims: where a claim would be needed, the person is unknown.
    for actor in operation.act_chain() {
        people.push(named(&actor, &Value::Null));
    }
    if let Some(Initiator { claim, issuer }) =
        config_of(&requester.iss).and_then(|config| config.initiator.as_ref())
    {
        let sub = lookup(operation.claims(), claim).and_then(Value::as_str);
        let account = sub.and_then(|sub| Subject::new(issuer.clone(), sub).ok());
        people.push(account.and_then(|account| named(&account, &Value::Null)));
    }
    people
}

fn requester_votes() -> Refusal {
    refuse(
        "requester_votes",
        "The requester's own vote does not count.",
    )
}

fn cannot_tell() -> Refusal {
    refuse(
        "person_unknown",
        "Whether two accounts are the same person cannot be established.",
    )
}

fn refuse(code: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(StepId::People, code, sentence)
}
