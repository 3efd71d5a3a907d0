//! The grant: step 2 for it, and its part of step 4.

use countersign_model::{PepId, ServerId, UnixSecs};

use super::bundle::{Kind, OpenRequest, by_one_of, same, unsigned};
use super::vote::ReadVote;
use super::{Refusal, SKEW_SECS, StepId};
use crate::documents::{Grant, GrantVote};
use crate::jose::PublicKey;

const GRANT: Kind<Grant> = Kind {
    what: "server's grant",
    unverified: Grant::unverified,
    verify: Grant::verify,
    unreadable: "grant_unreadable",
    key_unknown: "grant_key_unknown",
    signature: "grant_signature",
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
    if grant.iss != *server {
        return Err(same("server_differs", "The grant is from another server."));
    }
    if grant.aud != *pep {
        return Err(same("pep_differs", "The grant is for another gate."));
    }
    if grant.txn != request.txn {
        return Err(same("txn_differs", "The grant is for another request."));
    }
    if grant.operation_digest != request.operation_digest {
        return Err(same(
            "operation_digest_differs",
            "The grant is for another operation.",
        ));
    }
    if grant.request_jws_digest != open.request_jws_digest() {
        return Err(same(
            "request_digest_differs",
            "The grant is for another request.",
        ));
    }
    if grant.policy_digest != request.policy_digest {
        return Err(same(
            "policy_digest_differs",
            "The grant is under another policy than the request.",
        ));
    }
    let these: Vec<GrantVote> = votes.iter().map(ReadVote::as_granted).collect();
    if grant.votes != these {
        return Err(same(
            "grant_votes_differ",
            "The grant was made of other votes than these.",
        ));
    }
    Ok(())
}

/// Its part of step 4: good at this time. It can only shorten what the requirement allows.
pub(super) fn is_in_time(grant: &Grant, at: UnixSecs) -> Result<(), Refusal> {
    let refuse = |code, sentence: &str| Refusal::new(StepId::Votes, code, sentence);
    if grant.exp <= grant.iat || grant.nbf > grant.exp {
        return Err(refuse("grant_times", "The grant ends before it begins."));
    }
    if grant.iat > at + SKEW_SECS || grant.nbf > at + SKEW_SECS {
        return Err(refuse(
            "grant_in_future",
            "The grant's time lies in the future.",
        ));
    }
    if at > grant.exp + SKEW_SECS {
        return Err(refuse("grant_expired", "The grant has expired."));
    }
    Ok(())
}
