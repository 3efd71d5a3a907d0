//! What a verification says: steps that passed, or the one that refused.

use std::fmt;

use countersign_model::{Digest, Txn};

use super::vote::VerifiedVote;

/// The steps, as the protocol numbers them (section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepId {
    /// 1: the operation is readable without doubt, and the one that is about to be executed.
    Operation = 1,
    /// 2: all parts are signed and speak of the same thing.
    Sameness = 2,
    /// 3: at least what my own policy demands.
    Requirement = 3,
    /// 4: the votes are signed, approving and in time.
    Votes = 4,
    /// 5: each vote's key is bound to a person by their provider's signature.
    Bindings = 5,
    /// 6: a fresh sign-in for the vote, where required.
    StepUp = 6,
    /// 7: enough different people, each of whom may vote.
    People = 7,
    /// 8: all of it is in the log.
    Log = 8,
    /// 9: the nonce is unspent, and the server redeemed the grant. The gate's own.
    SingleUse = 9,
    /// 10: exactly these bytes are executed. The gate's own.
    Execution = 10,
}

impl StepId {
    /// The number in the protocol.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Sameness => "sameness",
            Self::Requirement => "requirement",
            Self::Votes => "votes",
            Self::Bindings => "bindings",
            Self::StepUp => "step_up",
            Self::People => "people",
            Self::Log => "log",
            Self::SingleUse => "single_use",
            Self::Execution => "execution",
        }
    }

    /// What is checked, as a statement for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Operation => "The operation is complete and readable in one way only",
            Self::Sameness => {
                "Ask, request, votes and grant are signed and speak of the same operation"
            }
            Self::Requirement => "The requirement is at least what the policy demands",
            Self::Votes => "Every vote is signed by its device, approves, and was cast in time",
            Self::Bindings => "Every device is bound to its person by the provider's own signature",
            Self::StepUp => "Every voter signed in again for this vote",
            Self::People => "Enough different people approved, each of whom may",
            Self::Log => "All of it stands in the verifiable log",
            Self::SingleUse => "The approval is used once",
            Self::Execution => "Exactly this operation is executed",
        }
    }
}

/// How a step went. A step that fails is a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It is not asked for; why.
    NotApplicable(String),
    /// This verifier was not given what it takes; what is missing.
    NotProven(String),
}

/// A step that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub id: StepId,
    /// What was checked, for people.
    pub title: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found: names, times, algorithms.
    pub detail: String,
}

impl Step {
    pub(super) fn new(id: StepId, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            id,
            title: id.title(),
            outcome,
            detail: detail.into(),
        }
    }
}

/// Evidence in which nothing is wrong. Only [`super::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) steps: Vec<Step>,
    pub(super) votes: Vec<VerifiedVote>,
    pub(super) operation_digest: Digest,
    pub(super) request_jws_digest: Digest,
    pub(super) txn: Txn,
    pub(super) released: bool,
}

impl Verified {
    /// Each step, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether every step that applies passed. A gate releases nothing on less.
    pub fn complete(&self) -> bool {
        !self
            .steps
            .iter()
            .any(|step| matches!(step.outcome, Outcome::NotProven(_)))
    }

    /// Whether it was verified with a [`super::Release`]: for this gate, this execution, now.
    pub fn for_release(&self) -> bool {
        self.released
    }

    /// The votes that count.
    pub fn votes(&self) -> &[VerifiedVote] {
        &self.votes
    }

    /// The operation.
    pub fn operation_digest(&self) -> Digest {
        self.operation_digest
    }

    /// The request.
    pub fn request_jws_digest(&self) -> Digest {
        self.request_jws_digest
    }

    /// The request's id.
    pub fn txn(&self) -> &Txn {
        &self.txn
    }
}

/// The step that refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub step: StepId,
    /// The rule's stable name.
    pub code: &'static str,
    /// One plain sentence.
    pub sentence: String,
    /// The steps before it.
    pub passed: Vec<Step>,
}

impl Refusal {
    /// Refuses at a step. Gates use it for steps 9 and 10 too.
    pub fn new(step: StepId, code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            step,
            code,
            sentence: sentence.into(),
            passed: Vec::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {} ({}), {}: {}",
            self.step.number(),
            self.step.as_str(),
            self.code,
            self.sentence
        )
    }
}

impl std::error::Error for Refusal {}
