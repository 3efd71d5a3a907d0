//! The one verification: what a gate checks by itself before it releases an operation (protocol, section 6),
//! in steps that the server (on a vote), the app's history and `countersign verify` share.
//!
//! Trust comes only from [`Trust`], which local configuration fills. Nothing in the evidence is an anchor, and
//! what could not be checked is said to be [`Outcome::NotProven`], never passed over. Specification:
//! `docs/spec/grant.md`.

mod binding;
mod bundle;
mod evidence;
mod grant;
mod people;
mod report;
mod stages;
mod step_up;
mod vote;

use std::collections::BTreeSet;

use countersign_model::{Operation, PepId, PolicyAnswer, PolicyCheck, ServerId, UnixSecs};

use crate::check::Check;
use crate::documents::Choice;
use crate::jose::PublicKey;
use crate::op_token::{OpConfig, OpKeys};
use report::{Found, Run};
use stages::Earlier;
use vote::ReadVote;

pub use binding::{Binding, MAX_SIGN_IN_AGE_SECS, verify_binding, verify_claims_token};
pub use bundle::{OpenRequest, read_request_bundle, verify_request_bundle};
pub use evidence::{Evidence, EvidenceError, EvidenceVote, StepUpEvidence};
pub use report::{Outcome, Refusal, Step, StepId, Verified};
pub use step_up::{BEFORE_VOTE_SECS, StepUpFound, SteppedUp, verify_step_up};
pub use vote::{Before, VerifiedVote, verify_vote};

/// Clocks may differ by this much, in seconds.
pub const SKEW_SECS: i64 = 60;

/// What trust rests on: local configuration, and keys that the verifier fetched itself.
pub struct Trust<'a> {
    /// The server.
    pub server: &'a ServerId,
    /// Its keys (`rk`).
    pub server_keys: Vec<PublicKey>,
    /// The gate, and its key (`pk`).
    pub pep: (PepId, PublicKey),
    /// Trusted providers.
    pub ops: Vec<TrustedOp>,
    /// How long a binding lasts after its sign-in, in seconds.
    pub session_secs: u32,
    /// My own copy of the policy. Without one, requirement and people are not proven.
    pub policy: Option<&'a dyn PolicyCheck>,
}

/// A trusted provider.
#[derive(Debug, Clone)]
pub struct TrustedOp {
    /// How its tokens are read.
    pub config: OpConfig,
    /// Its keys, fetched from it. Without them, bindings by it are not proven.
    pub keys: Option<OpKeys>,
}

/// What only the gate knows, when it is about to execute.
pub struct Release<'a> {
    /// The gate itself.
    pub me: &'a PepId,
    /// The operation, rebuilt from what is about to be executed.
    pub rebuilt: &'a Operation,
    /// T0: when the gate made the nonce.
    pub asked_at: UnixSecs,
}

/// Verifies evidence. With `release`, everything must be proven, as of `now`; without, it is history, judged as
/// of the grant, and what this verifier was not given is [`Outcome::NotProven`].
pub fn verify(
    evidence: &Evidence,
    trust: &Trust<'_>,
    release: Option<&Release<'_>>,
    now: UnixSecs,
) -> Result<Verified, Refusal> {
    run(evidence, Some(trust), release, now)
}

/// Looks whether evidence contradicts itself, trusting nobody. It proves nothing: [`Verified::complete`] is
/// false, and `countersign verify` without `--trust` says so.
pub fn check_consistency(evidence: &Evidence, now: UnixSecs) -> Result<Verified, Refusal> {
    run(evidence, None, None, now)
}

fn run(
    evidence: &Evidence,
    trust: Option<&Trust<'_>>,
    release: Option<&Release<'_>>,
    now: UnixSecs,
) -> Result<Verified, Refusal> {
    let mut run = Run::new(release.is_some());

    let operation = run.take(StepId::Operation, operation(evidence, release))?;
    let same = run.take(
        StepId::Sameness,
        sameness(evidence, operation, trust, release),
    )?;
    let Same { open, grant, votes } = same;
    run.take(StepId::Requirement, requirement(&open, trust))?;

    // History is judged as of the grant: today it may well be too late to use it.
    let at = release.map_or(now.min(grant.iat), |_| now);
    let asked_at = release.map_or(open.ask().iat, |release| release.asked_at);
    run.take(StepId::Votes, cast(&open, &grant, &votes, asked_at, at))?;

    let bound = votes
        .iter()
        .map(|read| binding::bound(read, trust, now))
        .collect();
    let bound = run.take(StepId::Bindings, bindings(bound))?;
    let stepped_up = stepped_up(&votes, &bound, &open, now);
    let stepped_up = run.take(StepId::StepUp, stepped_up)?;

    let release_at = release.map(|_| now);
    let counted: Result<Vec<_>, Refusal> = votes
        .iter()
        .zip(&bound)
        .map(|(read, bound)| people::person_may_vote(read, bound, &open, trust, now, release_at))
        .collect();
    let counted = counted.and_then(|counted| people::enough_people(&open, &votes, counted));
    let counted = run.take(StepId::People, counted)?;
    run.take(
        StepId::Log,
        Ok(Found::not_applicable(
            (),
            "This server keeps no verifiable log yet.",
        )),
    )?;

    let votes = votes
        .into_iter()
        .zip(bound)
        .zip(counted)
        .zip(stepped_up)
        .map(
            |(((read, bound), counted), step_up_auth_time)| VerifiedVote {
                vote: read.vote,
                digest: read.digest,
                person: counted.person,
                voter: counted.voter,
                auth_time: bound.auth_time(),
                step_up_auth_time,
                steps: Vec::new(),
            },
        );
    Ok(Verified {
        votes: votes.collect(),
        steps: run.finish(),
        open,
        released: release.is_some(),
    })
}

/// Step 1. The nonce's store, and the caller's own credentials, are the gate's.
fn operation(
    evidence: &Evidence,
    release: Option<&Release<'_>>,
) -> Result<Found<Operation>, Refusal> {
    let bytes = bundle::decode(&evidence.operation_b64, StepId::Operation, "operation")?;
    let operation = bundle::read_operation(&bytes)?;
    Check::Rebuilt.that(
        release.is_none_or(|release| release.rebuilt.bytes() == operation.bytes()),
        "What was approved is not what is about to be executed.",
    )?;
    let detail = format!(
        "{} bytes, SHA-256 {}.",
        operation.bytes().len(),
        operation.digest()
    );
    Ok(Found::passed(operation, detail))
}

/// What step 2 found to belong together.
struct Same {
    open: OpenRequest,
    grant: crate::documents::Grant,
    votes: Vec<ReadVote>,
}

fn sameness(
    evidence: &Evidence,
    operation: Operation,
    trust: Option<&Trust<'_>>,
    release: Option<&Release<'_>>,
) -> Result<Found<Same>, Refusal> {
    if let (Some(release), Some(trust)) = (release, trust) {
        Check::Me.that(
            *release.me == trust.pep.0,
            "The evidence is for another gate.",
        )?;
    }
    let Evidence {
        ask_jws,
        request_jws,
        ..
    } = evidence;
    let keys = trust.map(|trust| bundle::Keys {
        server: trust.server,
        server_keys: &trust.server_keys,
        pep_keys: std::slice::from_ref(&trust.pep),
    });
    let open = bundle::open(operation, ask_jws, request_jws, keys.as_ref())?;
    let grant = grant::read(
        &evidence.grant,
        trust.map(|trust| trust.server_keys.as_slice()),
    )?;
    let votes: Vec<ReadVote> = evidence
        .votes
        .iter()
        .map(ReadVote::of)
        .collect::<Result<_, _>>()?;
    votes.iter().try_for_each(|read| read.is_on(&open))?;
    grant::is_of_this(&grant, &open, &votes)?;
    let request = open.request();
    let detail = format!(
        "Request {} of {} for the gate {}.",
        request.txn, request.iss, request.pep
    );
    let same = Same { open, grant, votes };
    Ok(match trust {
        Some(_) => Found::passed(same, detail),
        None => Found::lacking(
            same,
            "trust_missing",
            "All parts agree; whose keys signed them was not given.",
        ),
    })
}

/// Step 3.
fn requirement(open: &OpenRequest, trust: Option<&Trust<'_>>) -> Result<Found<()>, Refusal> {
    bundle::not_below_the_ask(open)?;
    let Some(policy) = trust.and_then(|trust| trust.policy) else {
        return Ok(Found::lacking(
            (),
            "policy_missing",
            "The policy was not given to this verifier.",
        ));
    };
    let theirs = &open.request().requirement;
    let mine = match policy.answer(open.operation()) {
        PolicyAnswer::Approve(mine) => mine,
        PolicyAnswer::Deny { reason } => {
            Check::PolicyDenies.that_or(false, || {
                format!("The policy here denies the operation: {reason}")
            })?;
            theirs.clone()
        }
        PolicyAnswer::Allow => {
            Check::PolicyAllows.that(
                false,
                "The policy here asks for no approval of this operation: it is not the policy of the request.",
            )?;
            theirs.clone()
        }
    };
    let laxer = mine.covers(theirs).err();
    Check::Policy.that_or(laxer.is_none(), || {
        let laxer = laxer.map_or_else(String::new, |laxer| laxer.to_string());
        format!("The request demands less than the policy here: {laxer}.")
    })?;
    let same = if policy.digest() == open.request().policy_digest {
        "the same policy"
    } else {
        "another policy text"
    };
    Ok(Found::passed(
        (),
        format!("{} approvals, under {same} as here.", theirs.approvals),
    ))
}

/// Step 4.
fn cast(
    open: &OpenRequest,
    grant: &crate::documents::Grant,
    votes: &[ReadVote],
    asked_at: UnixSecs,
    at: UnixSecs,
) -> Result<Found<()>, Refusal> {
    let all: Vec<Earlier<'_>> = votes.iter().map(Earlier::of_read).collect();
    for read in votes {
        read.is_cast(open, asked_at, at)?;
        Check::Approves.that(
            read.vote.vote == Choice::Approve,
            "A vote among these is a deny.",
        )?;
        stages::check(&read.vote, &open.request().requirement, &all)?;
    }
    grant::is_in_time(grant, at)?;
    let theirs = &open.request().requirement;
    let (ttl, grant_secs) = (i64::from(theirs.ttl_secs), i64::from(theirs.grant_secs));
    let newest = votes.iter().map(|read| read.vote.iat).max();
    Check::GrantWindow.that(
        newest.is_some_and(|newest| at <= newest + grant_secs),
        "The approval was not used in the time that the policy allows.",
    )?;
    Check::ApprovalInTime.that(
        at <= asked_at + ttl + grant_secs,
        "The operation was asked for too long ago.",
    )?;
    let told: Vec<String> = votes.iter().map(ReadVote::told).collect();
    Ok(Found::passed((), told.join(" ")))
}

/// Step 6 for all votes.
fn stepped_up(
    votes: &[ReadVote],
    bound: &[binding::Bound<'_>],
    open: &OpenRequest,
    now: UnixSecs,
) -> Result<Found<Vec<Option<UnixSecs>>>, Refusal> {
    let keys: Vec<_> = votes
        .iter()
        .filter_map(|read| read.vote.consent_jkt)
        .collect();
    Check::ConsentOnce.that(
        keys.iter().collect::<BTreeSet<_>>().len() == keys.len(),
        "Two votes name the same key for their consent.",
    )?;
    let found: Vec<_> = votes
        .iter()
        .zip(bound)
        .map(|(read, bound)| step_up::check(read, bound, open, now))
        .collect::<Result<_, _>>()?;
    Ok(Found::all(found))
}

/// Step 5 for all votes.
fn bindings<'t>(
    bound: Result<Vec<binding::Bound<'t>>, Refusal>,
) -> Result<Found<Vec<binding::Bound<'t>>>, Refusal> {
    let bound = bound?;
    let told: Vec<String> = bound.iter().map(binding::Bound::told).collect();
    Ok(match bound.iter().find_map(binding::Bound::lacking) {
        None => Found::passed(bound, told.join(" ")),
        Some((code, sentence)) => Found::lacking(bound, code, sentence),
    })
}
