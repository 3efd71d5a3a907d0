//! Errors of the parts as one code and one plain sentence for the person.

use countersign_api::ipc::{Problem, ProblemCode};
use countersign_client::ApiError;
use countersign_oidc::{OidcError, StepUpError};

/// One code, one sentence.
pub(crate) fn problem(code: ProblemCode, sentence: impl Into<String>) -> Problem {
    Problem {
        code,
        sentence: sentence.into(),
    }
}

pub(crate) fn signed_out() -> Problem {
    problem(ProblemCode::SignedOut, "You are signed out. Sign in first.")
}

/// One sign-in at a time.
pub(crate) fn under_way() -> Problem {
    problem(
        ProblemCode::Other,
        "A sign-in is under way. End it in the browser, or give it up first.",
    )
}

pub(crate) fn not_genuine(sentence: &str) -> Problem {
    problem(
        ProblemCode::NotGenuine,
        format!("This request is not genuine and cannot be voted on. {sentence}"),
    )
}

/// A server's refusal.
pub(crate) fn of_api(error: &ApiError) -> Problem {
    let code = match error {
        ApiError::Unreachable { .. } | ApiError::Busy { .. } | ApiError::Fault { .. } => {
            ProblemCode::ServerUnreachable
        }
        ApiError::Unauthorized { .. } => ProblemCode::SignedOut,
        ApiError::Forbidden { .. } => ProblemCode::Forbidden,
        ApiError::NotFound { .. } => ProblemCode::NotFound,
        ApiError::Gone { .. } => ProblemCode::Closed,
        ApiError::Conflict { .. } if ["closed", "expired"].contains(&error.code()) => {
            ProblemCode::Closed
        }
        ApiError::Conflict { .. } if error.code() == "wrong_digest" => ProblemCode::NotGenuine,
        ApiError::Setup { .. }
        | ApiError::ClockOff { .. }
        | ApiError::Conflict { .. }
        | ApiError::Refused { .. }
        | ApiError::TokenRefused { .. }
        | ApiError::BadAnswer { .. } => ProblemCode::Other,
    };
    problem(code, sentence(&error.to_string()))
}

/// Whether the server refused a confirmation: a 401 (RFC 9470) that is not about the access token.
pub(crate) fn is_of_step_up(error: &ApiError) -> bool {
    let code = error.code();
    matches!(error, ApiError::Unauthorized { .. })
        && (code.starts_with("step_up_") || code.starts_with("consent_"))
}

/// A provider's.
pub(crate) fn of_oidc(error: &OidcError) -> Problem {
    let code = match error {
        OidcError::ProviderUnreachable { .. } => ProblemCode::ProviderUnreachable,
        OidcError::Setup { .. }
        | OidcError::BadProvider { .. }
        | OidcError::Declined
        | OidcError::Refused { .. }
        | OidcError::TimedOut { .. }
        | OidcError::ClockOff { .. }
        | OidcError::NoIdToken
        | OidcError::Token(_)
        | OidcError::NotFresh
        | OidcError::NotBound { .. } => ProblemCode::Other,
    };
    problem(code, sentence(&error.to_string()))
}

/// Why a vote was not confirmed.
pub(crate) fn of_step_up(error: &StepUpError) -> Problem {
    match error {
        StepUpError::Oidc(error) => of_oidc(error),
        StepUpError::Declined
        | StepUpError::OtherAccount
        | StepUpError::Level { .. }
        | StepUpError::ScopeNotGranted { .. }
        | StepUpError::NotFresh
        | StepUpError::Unable { .. } => problem(ProblemCode::Other, sentence(&error.to_string())),
    }
}

/// An error's text as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "It did not work".to_owned(),
    };
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
