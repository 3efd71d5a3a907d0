//! One vote: signature, times, binding, person. The server uses it on `POST`, [`super::verify`] for each vote.

use countersign_model::{Digest, UnixSecs, Voter};

use super::{EvidenceVote, OpenRequest, Refusal, StepId, Trust};
use crate::documents::Vote;

/// Who is counted: two votes of one person are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// By the provider's own name.
    Account(countersign_model::Subject),
    /// By the claim that the configuration names, which several providers assert alike.
    Claim(String),
}

/// A vote that holds. Only this crate makes one.
#[derive(Debug, Clone)]
pub struct VerifiedVote {
    pub(super) vote: Vote,
    pub(super) digest: Digest,
    pub(super) person: Option<Person>,
    pub(super) voter: Option<Voter>,
    pub(super) auth_time: Option<UnixSecs>,
}

impl VerifiedVote {
    /// The vote.
    pub fn vote(&self) -> &Vote {
        &self.vote
    }

    /// `H` over its JWS.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whom it counts for; none where this verifier was not given the voter's token.
    pub fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// The voter by their claims; none where this verifier was not given the voter's token.
    pub fn voter(&self) -> Option<&Voter> {
        self.voter.as_ref()
    }

    /// When the voter signed in; none where this verifier was not given the voter's token.
    pub fn auth_time(&self) -> Option<UnixSecs> {
        self.auth_time
    }
}

/// Verifies one vote, approve or deny, on an open request. The server passes the challenge that it gave out.
///
/// Counting is the caller's: this says that the vote counts, not that the request is decided.
pub fn verify_vote(
    vote: &EvidenceVote,
    open: &OpenRequest,
    trust: &Trust<'_>,
    challenge: Option<&str>,
    now: UnixSecs,
) -> Result<VerifiedVote, Refusal> {
    let _ = (vote, open, trust, challenge, now);
    Err(Refusal::new(
        StepId::Votes,
        "not_built",
        "This build cannot verify votes yet.",
    ))
}
