//! Why a call is refused: one type for all use cases, turned into a problem (RFC 9457) at the edge.

use countersign_lifecycle as lifecycle;
use countersign_store::StoreError;

/// What kind of refusal: it decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized(Scheme),
    Forbidden,
    NotFound,
    Conflict,
    Gone,
    TooLarge,
    TooMany,
    Unavailable,
    Broken,
}

/// What `WWW-Authenticate` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// A refusal: a stable code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) kind: Kind,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) retry_after_secs: Option<u32>,
    pub(crate) step_up: Option<StepUpWanted>,
}

/// A fresh sign-in that the provider has to be asked for (RFC 9470).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepUpWanted {
    /// The authentication context.
    pub(crate) acr: Option<String>,
}

impl Refused {
    pub(crate) fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Refused {
        Refused {
            kind,
            code,
            detail: detail.into(),
            retry_after_secs: None,
            step_up: None,
        }
    }

    pub(crate) fn malformed(code: &'static str, detail: impl Into<String>) -> Refused {
        Refused::new(Kind::Malformed, code, detail)
    }

    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Refused {
        Refused::new(Kind::Forbidden, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Refused {
        Refused::new(Kind::Conflict, code, detail)
    }

    pub(crate) fn unauthorized(
        scheme: Scheme,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Refused {
        Refused::new(Kind::Unauthorized(scheme), code, detail)
    }

    /// Also what is somebody else's: whether it exists is not theirs to know.
    pub(crate) fn not_found() -> Refused {
        Refused::new(
            Kind::NotFound,
            "not_found",
            "There is no such request, or it is not yours to see.",
        )
    }

    pub(crate) fn too_many(detail: impl Into<String>, retry_after_secs: u32) -> Refused {
        let retry_after_secs = Some(retry_after_secs);
        Refused {
            retry_after_secs,
            ..Refused::new(Kind::TooMany, "rate_limited", detail)
        }
    }

    /// Logs what it was; the client learns that it is not their fault.
    pub(crate) fn broken(what: &str, error: &dyn std::fmt::Display) -> Refused {
        tracing::error!(%error, "{what}");
        Refused::new(
            Kind::Broken,
            "internal",
            "The server has a fault; it is logged there.",
        )
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Corrupt(_) | StoreError::Open(_) => {
                Refused::broken("the store is damaged", &error)
            }
            StoreError::Failed(_) | StoreError::Closed => {
                tracing::error!(%error, "the store failed");
                let detail = "The server cannot write now; nothing was changed. Try again.";
                Refused {
                    retry_after_secs: Some(5),
                    ..Refused::new(Kind::Unavailable, "store_unavailable", detail)
                }
            }
        }
    }
}

impl From<lifecycle::Refused> for Refused {
    fn from(refused: lifecycle::Refused) -> Refused {
        use lifecycle::Refused as L;
        let kind = match refused {
            L::OwnRequest | L::PersonUnknown => Kind::Forbidden,
            L::Expired => Kind::Gone,
            L::AlreadyVoted
            | L::StageNotOpen
            | L::NothingToSupersede
            | L::Closed
            | L::NotApproved
            | L::ApprovalUsed
            | L::OutcomeReported
            | L::NotRedeemed => Kind::Conflict,
        };
        let sentence = refused.to_string();
        let mut letters = sentence.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let detail: String = first.into_iter().chain(letters).chain(['.']).collect();
        Refused::new(kind, refused.code(), detail)
    }
}
