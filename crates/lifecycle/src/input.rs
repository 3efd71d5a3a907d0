//! What can happen to an approval, what comes of it, and why it is refused.

use countersign_model::{Digest, Subject, UnixSecs};

use crate::state::{CountedVote, WithdrawnBy};

/// What a voter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// Let it through.
    Approve,
    /// Do not.
    Deny,
}

/// What happens to an approval. Votes were verified before, and their person may vote by policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // One at a time: it is made, taken and gone.
pub enum Input {
    /// A person votes.
    CastVote {
        /// What they say.
        choice: Choice,
        /// Their vote. For a deny, its binding and time are recorded only.
        vote: CountedVote,
        /// The digest of their own earlier vote that this one replaces.
        supersedes: Option<Digest>,
    },
    /// Take it back.
    Withdraw {
        /// By whom.
        by: WithdrawnBy,
    },
    /// Use the grant.
    Redeem {
        /// The PEP's name for this use: the same one again gets the same answer.
        redemption_id: String,
    },
    /// A vote lost its ground, such as its binding or its person's groups. It is void, and so are the votes of
    /// later stages that were built on it.
    VoidVote {
        /// The vote.
        vote: Digest,
    },
    /// The PEP says what came of executing it.
    ReportOutcome {
        /// Digest of the report.
        outcome: Digest,
    },
}

/// What happened: one log entry each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A vote counts.
    VoteCast {
        /// Which.
        choice: Choice,
        /// The vote.
        vote: CountedVote,
    },
    /// A vote was replaced by its person's deny.
    VoteSuperseded {
        /// The vote that no longer counts.
        vote: CountedVote,
    },
    /// A vote is void.
    VoteVoided {
        /// The vote that no longer counts.
        vote: CountedVote,
    },
    /// The quorum is complete.
    Approved {
        /// Redeemable before this second.
        until: UnixSecs,
    },
    /// Denied.
    Denied {
        /// By whom.
        by: Subject,
    },
    /// Time ran out.
    Expired {
        /// The deadline that passed.
        at: UnixSecs,
    },
    /// Taken back.
    Withdrawn {
        /// By whom.
        by: WithdrawnBy,
    },
    /// The grant is void.
    Voided {
        /// With this vote.
        vote: Digest,
    },
    /// The grant was used.
    Redeemed {
        /// The PEP's name for this use.
        redemption_id: String,
    },
    /// The PEP reported.
    OutcomeReported {
        /// Digest of the report.
        outcome: Digest,
    },
}

/// What has to be done besides: in the same transaction, or as an outbox row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Sign the grant over these votes.
    IssueGrant {
        /// The quorum.
        votes: Vec<CountedVote>,
        /// Its end.
        until: UnixSecs,
    },
    /// Tell those who see it that something about it is new.
    TellUpdated,
    /// Tell those who see it that it left the inbox.
    TellClosed {
        /// The person who ended it, where one did.
        by: Option<Subject>,
    },
}

/// Why an input changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The requester voted on their own request.
    #[error("the requester cannot vote on their own request")]
    OwnRequest,
    /// The vote is for another stage than the open one, or was built on other votes than those that count.
    #[error("the vote is for a stage that is not open")]
    StageNotOpen,
    /// Whether its person has voted already cannot be established.
    #[error("whether two accounts are the same person cannot be established")]
    PersonUnknown,
    /// This person has another vote on it.
    #[error("this person has already cast a different vote on this request")]
    AlreadyVoted,
    /// `supersedes` does not name this person's own live vote.
    #[error("the vote to be superseded is not this person's live vote")]
    NothingToSupersede,
    /// It is decided or closed.
    #[error("the request is closed")]
    Closed,
    /// Time ran out.
    #[error("the request has expired")]
    Expired,
    /// There is no quorum yet.
    #[error("the request is not approved")]
    NotApproved,
    /// The grant was used by another redemption.
    #[error("the approval has been used")]
    ApprovalUsed,
    /// A different outcome was reported before.
    #[error("a different outcome has been reported")]
    OutcomeReported,
    /// An outcome is reported of what was never redeemed.
    #[error("the request has not been redeemed")]
    NotRedeemed,
}

impl Refused {
    /// A stable code for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::OwnRequest => "own_request",
            Refused::StageNotOpen => "stage_not_open",
            Refused::PersonUnknown => "person_unknown",
            Refused::AlreadyVoted => "already_voted",
            Refused::NothingToSupersede => "nothing_to_supersede",
            Refused::Closed => "closed",
            Refused::Expired => "expired",
            Refused::NotApproved => "not_approved",
            Refused::ApprovalUsed => "approval_used",
            Refused::OutcomeReported => "outcome_reported",
            Refused::NotRedeemed => "not_redeemed",
        }
    }
}
