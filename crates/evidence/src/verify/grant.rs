//! The grant: step 2 for it, and its part of step 4.

use countersign_model::{PepId, ServerId, UnixSecs};

use super::bundle::{Kind, OpenRequest, by_one_of, unsigned};
use super::vote::ReadVote;
use super::{Refusal, SKEW_SECS};
use crate::check::Check;
use crate::documents::{Grant, GrantVote};
use crate::jose::PublicKey;

const GRANT: Kind<Grant> = Kind {
    what: "server's grant",
    unverified: Grant::unverified,
    verify: Grant::verify,
    unreadable: "grant_unreadable",
    key_unknown: "grant_key_unknown",
    signature: Check::GrantSignature,
};

/// Reads it; verified by one of these keys, or not at all where there are none to trust.
pub(super) fn read(compact: &str, keys: Option<&[PublicKey]>) -> Result<Grant, Refusal> {
    match keys {
        Some(keys) => by_one_of(compact, keys.iter(), &GRANT),
        None => unsigned(compact, &GRANT),
    }
}

/// Step 2: it is this request's, and its votes are these votes.
pub(super) fn is_of_this(
    grant: &Grant,
    open: &OpenRequest,
    votes: &[ReadVote],
) -> Result<(), Refusal> {
    let request = open.request();
    let server: &ServerId = &request.iss;
    let pep: &PepId = &request.pep;
    Check::GrantServer.that(grant.iss == *server, "The grant is from another server.")?;
    Check::GrantGate.that(grant.aud == *pep, "The grant is for another gate.")?;
    Check::GrantTxn.that(
        grant.txn == request.txn,
        "The grant is for another request.",
    )?;
    Check::GrantOperation.that(
        grant.operation_digest == request.operation_digest,
        "The grant is for another operation.",
    )?;
    Check::GrantRequest.that(
        grant.request_jws_digest == open.request_jws_digest(),
        "The grant is for another request.",
    )?;
    Check::GrantPolicy.that(
        grant.policy_digest == request.policy_digest,
        "The grant is under another policy than the request.",
    )?;
    let these: Vec<GrantVote> = votes.iter().map(ReadVote::as_granted).collect();
    Check::GrantVotes.that(
        grant.votes == these,
        "The grant was made of other votes than these.",
    )?;
    Ok(())
}

/// Its part of step 4: good at this time. It can only shorten what the requirement allows.
pub(super) fn is_in_time(grant: &Grant, at: UnixSecs) -> Result<(), Refusal> {
    Check::GrantTimes.that(
        grant.exp > grant.iat && grant.nbf <= grant.exp,
        "The grant ends before it begins.",
    )?;
    Check::GrantNotFuture.that(
        grant.iat <= at + SKEW_SECS && grant.nbf <= at + SKEW_SECS,
        "The grant's time lies in the future.",
    )?;
    Check::GrantNotExpired.that(at <= grant.exp + SKEW_SECS, "The grant has expired.")?;
    Ok(())
}
