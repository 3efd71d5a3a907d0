//! Step 7: who a vote counts for, and whether that person may vote.

use std::collections::BTreeSet;

use countersign_model::{By, Issuer, Operation, Person, Subject, UnixSecs, Voter};
use serde_json::Value;

use super::binding::{Bound, claims_with_vote};
use super::bundle::OpenRequest;
use super::report::Found;
use super::vote::ReadVote;
use super::{Before, Refusal, StepId, Trust};
use crate::check::Check;
use crate::op_token::{AsOf, Initiator, OpConfig, OpRole, lookup, person_of};

const REQUESTER_VOTES: &str = "The requester's own vote does not count.";
const TWICE: &str = "One person's votes are counted twice.";
const CANNOT_TELL: &str = "Whether two accounts are the same person cannot be established.";

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
    if requirement.by == By::Others {
        Check::NotRequester.that(!is_requester_account(subject, operation), REQUESTER_VOTES)?;
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
    Check::RoleApprover.that_or(op.config.roles.contains(&OpRole::Approver), || {
        format!("The provider `{}` may not say who approves.", subject.iss)
    })?;
    // One token per vote, never merged.
    let as_of = AsOf::Issue { now };
    let token = match &read.claims_token {
        Some(token) => claims_with_vote(token, read.jws(), binding, &op.config, keys, as_of)?,
        None => binding.id_token().clone(),
    };
    Check::ClaimsFresh.that(
        read.vote.iat - token.iat <= i64::from(requirement.fresh_claims_secs),
        "A voter's claims were too old when they voted.",
    )?;
    if let (Some(at), Some(limit)) = (release_at, requirement.release_claims_secs) {
        Check::ClaimsFreshNow.that(
            at - token.iat <= i64::from(limit),
            "A voter's claims are too old for the release.",
        )?;
    }
    let voter = token.voter(&op.config);
    let person = person_of(&op.config.person, subject, &voter.claims).ok_or_else(|| {
        Refusal::new(
            StepId::People,
            "person_unknown",
            "A voter's token lacks a claim that tells who the person is.",
        )
    })?;
    match requirement.by {
        By::Others => not_the_requester(&person, operation, trust)?,
        By::Requester => is_the_requester(subject, &person, operation, trust)?,
    }
    let lacking = match trust.policy {
        Some(policy) => {
            let stage = read.vote.stage.as_deref();
            let answer = policy.may_vote(&voter, operation, stage);
            Check::MayVote.that_or(answer.is_ok(), || {
                let reason = answer.err().unwrap_or_default();
                format!("{} may not vote on this: {reason}", subject.sub)
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

/// A vote beside those that count already: that it is nobody's second is the count's to say, but it must be
/// possible to tell.
pub(super) fn beside(counted: Counted, before: &[Before]) -> Result<Counted, Refusal> {
    if let Some(person) = &counted.person {
        for other in before {
            Check::VotersKnown.that(person.same(&other.person).is_some(), CANNOT_TELL)?;
        }
    }
    Ok(counted)
}

/// Step 7 for all votes together: different people, and enough of them.
pub(super) fn enough_people(
    open: &OpenRequest,
    votes: &[ReadVote],
    counted: Vec<Counted>,
) -> Result<Found<Vec<Counted>>, Refusal> {
    let accounts: BTreeSet<&Subject> = votes.iter().map(|read| &read.vote.sub_id).collect();
    Check::Once.that(accounts.len() == votes.len(), TWICE)?;
    let people: Vec<&Person> = counted
        .iter()
        .filter_map(|counted| counted.person.as_ref())
        .collect();
    for (index, person) in people.iter().enumerate() {
        for other in &people[..index] {
            let same = person.same(other);
            Check::Once.that(same != Some(true), TWICE)?;
            Check::VotersKnown.that(same.is_some(), CANNOT_TELL)?;
        }
    }
    let requirement = &open.request().requirement;
    let needed = requirement.approvals as usize;
    Check::Quorum.that_or(votes.len() >= needed, || {
        format!("{} of {needed} approvals are there.", votes.len())
    })?;
    for stage in &requirement.stages {
        let of_stage = |read: &&ReadVote| read.vote.stage.as_ref() == Some(&stage.name);
        let (there, needed) = (
            votes.iter().filter(of_stage).count(),
            stage.approvals as usize,
        );
        Check::StageQuorum.that_or(there >= needed, || {
            format!(
                "{there} of {needed} approvals of the stage `{}` are there.",
                stage.name
            )
        })?;
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
        let same = someone.and_then(|someone| someone.same(voter));
        Check::NotRequester.that(same != Some(true), REQUESTER_VOTES)?;
        Check::RequesterKnown.that(same.is_some(), CANNOT_TELL)?;
    }
    Ok(())
}

/// Self-confirmation is by the operation's subject in person: an actor of theirs is not enough.
fn is_the_requester(
    account: &Subject,
    voter: &Person,
    operation: &Operation,
    trust: &Trust<'_>,
) -> Result<(), Refusal> {
    let requester = operation.subject();
    let named = || named(requester, operation.claims(), trust)?.same(voter);
    Check::IsRequester.that(
        account == requester || named() == Some(true),
        "Only the requester in person confirms this.",
    )
}

/// Of an account: an account of a provider that is not configured here could be anybody's.
fn named(account: &Subject, claims: &Value, trust: &Trust<'_>) -> Option<Person> {
    let config = config_of(&account.iss, trust)?;
    person_of(&config.person, account, claims)
}

fn config_of<'t>(issuer: &Issuer, trust: &'t Trust<'_>) -> Option<&'t OpConfig> {
    let op = trust.ops.iter().find(|op| op.config.issuer == *issuer)?;
    Some(&op.config)
}

/// Everyone who counts as the requester; none for one who cannot be named.
fn requesters(operation: &Operation, trust: &Trust<'_>) -> Vec<Option<Person>> {
    let requester = operation.subject();
    let mut people = vec![named(requester, operation.claims(), trust)];
    // An actor comes without claims: where a claim would be needed, the person is unknown.
    for actor in operation.act_chain() {
        people.push(named(actor, &Value::Null, trust));
    }
    // A provider of workloads alone has no people who ask: then the gate's word for the kind does not matter.
    let workload = |config: &&OpConfig| {
        operation.subject_type() == "workload" || !config.roles.contains(&OpRole::Requester)
    };
    let config = config_of(&requester.iss, trust).filter(workload);
    if let Some(Initiator { claim, issuer }) = config.and_then(|config| config.initiator.as_ref()) {
        let sub = lookup(operation.claims(), claim).and_then(Value::as_str);
        let account = sub.and_then(|sub| Subject::new(issuer.clone(), sub).ok());
        people.push(account.and_then(|account| named(&account, &Value::Null, trust)));
    }
    people
}
