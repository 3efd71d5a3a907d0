//! Why nothing was released: the step that refused, a stable code, and one plain sentence.

use std::borrow::Cow;
use std::fmt;

use countersign_client::ApiError;
use countersign_evidence::verify::StepId;

use crate::store::StoreRefusal;

/// Where the enforcement point stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// My own policy.
    Policy,
    /// The nonce store.
    Nonce,
    /// Asking the server to open a request.
    Ask,
    /// Waiting for people.
    Decision,
    /// Verifying the evidence: one of the steps of protocol, section 6.
    Evidence(StepId),
    /// Writing the evidence down.
    Record,
    /// Redeeming at the server.
    Redeem,
    /// Executing.
    Execution,
}

impl Step {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Nonce => "nonce",
            Self::Ask => "ask",
            Self::Decision => "decision",
            Self::Evidence(step) => step.as_str(),
            Self::Record => "record",
            Self::Redeem => "redeem",
            Self::Execution => "execution",
        }
    }
}

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was decided, or can never be released: make a new call if at all.
    Denied,
    /// The server or a provider cannot be reached: try again later.
    Unavailable,
    /// Too much at once: try again later.
    Busy,
}

/// Nothing was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stopped.
    pub step: Step,
    /// Stable name of the rule.
    pub code: Cow<'static, str>,
    /// In plain words.
    pub sentence: String,
    /// What can be done.
    pub kind: Kind,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (step {}, {})",
            self.sentence,
            self.step.name(),
            self.code
        )
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub(crate) fn denied(step: Step, code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            step,
            code: Cow::Borrowed(code),
            sentence: sentence.into(),
            kind: Kind::Denied,
        }
    }

    pub(crate) fn unavailable(step: Step, code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            step,
            code: Cow::Borrowed(code),
            sentence: sentence.into(),
            kind: Kind::Unavailable,
        }
    }

    /// The server, at one of my steps: what it refuses is a denial, what it cannot answer is not an approval.
    pub(crate) fn api(step: Step, error: &ApiError) -> Self {
        let kind = match error {
            ApiError::Busy { .. } => Kind::Busy,
            ApiError::Unreachable { .. }
            | ApiError::Fault { .. }
            | ApiError::ClockOff { .. }
            | ApiError::Setup { .. }
            | ApiError::BadAnswer { .. } => Kind::Unavailable,
            ApiError::Unauthorized { .. }
            | ApiError::Forbidden { .. }
            | ApiError::NotFound { .. }
            | ApiError::Conflict { .. }
            | ApiError::Gone { .. }
            | ApiError::Refused { .. }
            | ApiError::TokenRefused { .. } => Kind::Denied,
        };
        Self {
            step,
            code: Cow::Owned(error.code().to_owned()),
            sentence: error.to_string(),
            kind,
        }
    }
}

impl From<StoreRefusal> for Refusal {
    fn from(refusal: StoreRefusal) -> Self {
        let kind = match refusal {
            StoreRefusal::Unknown | StoreRefusal::Spent | StoreRefusal::Replayed => Kind::Denied,
            StoreRefusal::TooMany | StoreRefusal::TooManyOfCaller => Kind::Busy,
            StoreRefusal::Disk(_) => Kind::Unavailable,
        };
        Self {
            step: Step::Nonce,
            code: Cow::Borrowed(refusal.code()),
            sentence: refusal.to_string(),
            kind,
        }
    }
}

impl From<countersign_evidence::Refusal> for Refusal {
    fn from(refusal: countersign_evidence::Refusal) -> Self {
        let countersign_evidence::Refusal {
            step,
            code,
            sentence,
            passed: _,
        } = refusal;
        Self {
            step: Step::Evidence(step),
            code: Cow::Borrowed(code),
            sentence,
            kind: Kind::Denied,
        }
    }
}
