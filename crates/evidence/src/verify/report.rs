//! What a verification says: steps that passed, or the one that refused.

use std::fmt;

use countersign_model::{Digest, Txn};

use super::bundle::OpenRequest;
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
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Operation,
        Self::Sameness,
        Self::Requirement,
        Self::Votes,
        Self::Bindings,
        Self::StepUp,
        Self::People,
        Self::Log,
        Self::SingleUse,
        Self::Execution,
    ];

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

/// What a step's function found, when nothing was wrong.
pub(super) struct Found<T> {
    value: T,
    outcome: Finding,
    detail: String,
}

enum Finding {
    Passed,
    NotApplicable,
    Lacking(&'static str),
}

impl<T> Found<T> {
    pub(super) fn passed(value: T, detail: impl Into<String>) -> Self {
        Self {
            value,
            outcome: Finding::Passed,
            detail: detail.into(),
        }
    }

    pub(super) fn not_applicable(value: T, why: &str) -> Self {
        Self {
            value,
            outcome: Finding::NotApplicable,
            detail: why.to_owned(),
        }
    }

    /// This verifier was not given what it takes: a refusal, where everything must be proven.
    pub(super) fn lacking(value: T, code: &'static str, sentence: &str) -> Self {
        Self {
            value,
            outcome: Finding::Lacking(code),
            detail: sentence.to_owned(),
        }
    }
}

impl<T> Found<T> {
    /// What the same step found for several votes: what is not proven of one is not proven of all.
    pub(super) fn all(found: Vec<Self>) -> Found<Vec<T>> {
        let mut values = Vec::new();
        let mut details: Vec<String> = Vec::new();
        let mut outcome = None;
        for Self {
            value,
            outcome: next,
            detail,
        } in found
        {
            values.push(value);
            outcome = Some(match (outcome, next) {
                (Some(Finding::Lacking(code)), _) | (_, Finding::Lacking(code)) => {
                    Finding::Lacking(code)
                }
                (Some(Finding::Passed), _) | (_, Finding::Passed) => Finding::Passed,
                (Some(Finding::NotApplicable) | None, Finding::NotApplicable) => {
                    Finding::NotApplicable
                }
            });
            if !details.contains(&detail) {
                details.push(detail);
            }
        }
        Found {
            value: values,
            outcome: outcome.unwrap_or(Finding::NotApplicable),
            detail: details.join(" "),
        }
    }
}

/// A verification under way: collects steps, and stops at the first that refuses.
pub(super) struct Run {
    steps: Vec<Step>,
    /// Whether a step that cannot be proven refuses.
    everything: bool,
}

impl Run {
    pub(super) fn new(everything: bool) -> Self {
        Self {
            steps: Vec::new(),
            everything,
        }
    }

    pub(super) fn take<T>(
        &mut self,
        id: StepId,
        result: Result<Found<T>, Refusal>,
    ) -> Result<T, Refusal> {
        let Found {
            value,
            outcome,
            detail,
        } = match result {
            Ok(found) => found,
            Err(refusal) => return Err(self.stop(refusal)),
        };
        let outcome = match outcome {
            Finding::Passed => Outcome::Passed,
            Finding::NotApplicable => Outcome::NotApplicable(detail.clone()),
            Finding::Lacking(code) if self.everything => {
                return Err(self.stop(Refusal::new(id, code, detail)));
            }
            Finding::Lacking(_) => Outcome::NotProven(detail.clone()),
        };
        self.steps.push(Step {
            id,
            title: id.title(),
            outcome,
            detail,
        });
        Ok(value)
    }

    /// Part of a step, which another part completes.
    pub(super) fn check(&mut self, result: Result<(), Refusal>) -> Result<(), Refusal> {
        result.map_err(|refusal| self.stop(refusal))
    }

    fn stop(&mut self, mut refusal: Refusal) -> Refusal {
        refusal.passed = std::mem::take(&mut self.steps);
        refusal
    }

    pub(super) fn finish(self) -> Vec<Step> {
        self.steps
    }
}

/// Evidence in which nothing is wrong. Only [`super::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(super) steps: Vec<Step>,
    pub(super) votes: Vec<VerifiedVote>,
    pub(super) open: OpenRequest,
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
        self.open.operation().digest()
    }

    /// The request's id.
    pub fn txn(&self) -> &Txn {
        &self.open.request().txn
    }

    /// Operation, ask and request, in full.
    pub fn open(&self) -> &OpenRequest {
        &self.open
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
