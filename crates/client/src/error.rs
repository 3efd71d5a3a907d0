//! What a call to the server can come to, by what the caller does about it.

use countersign_api::http::{Problem, TokenProblem};

/// Why a call did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// TLS cannot be set up on this computer.
    #[error("cannot prepare the connection: {why}")]
    Setup {
        /// What the system said.
        why: String,
    },
    /// No answer: try again later.
    #[error(
        "the Countersign server at {host} does not answer ({why}). Check its address and the network"
    )]
    Unreachable {
        /// Where.
        host: String,
        /// The cause.
        why: String,
    },
    /// The clocks differ too much: nothing that is signed here would be accepted.
    #[error("this computer's clock is {} the server's. Set the clock, then try again", off(.ahead_secs))]
    ClockOff {
        /// Seconds; negative when ours is behind.
        ahead_secs: i64,
    },
    /// 401: get a new access token, or sign in again.
    #[error("the server does not accept this session: {}", sentence(.problem))]
    Unauthorized {
        /// The server's words.
        problem: Problem,
    },
    /// 403.
    #[error("{}", sentence(.problem))]
    Forbidden {
        /// The server's words.
        problem: Problem,
    },
    /// 404.
    #[error("{}", sentence(.problem))]
    NotFound {
        /// The server's words.
        problem: Problem,
    },
    /// 409.
    #[error("{}", sentence(.problem))]
    Conflict {
        /// The server's words.
        problem: Problem,
    },
    /// 410: it is over.
    #[error("{}", sentence(.problem))]
    Gone {
        /// The server's words.
        problem: Problem,
    },
    /// 429, or 503 with `Retry-After`: come back later.
    #[error("the server is busy; try again in {retry_after_secs} seconds")]
    Busy {
        /// How much later.
        retry_after_secs: u64,
    },
    /// Any other refusal.
    #[error("{}", sentence(.problem))]
    Refused {
        /// The server's words.
        problem: Problem,
    },
    /// The token endpoint refused (RFC 6749, 5.2).
    #[error("the server did not accept the sign-in: {}", token_sentence(.problem))]
    TokenRefused {
        /// The server's words.
        problem: TokenProblem,
    },
    /// 5xx.
    #[error(
        "the server at {host} has a fault (status {status}). Try again; if it stays so, tell whoever runs it"
    )]
    Fault {
        /// Where.
        host: String,
        /// The status.
        status: u16,
    },
    /// It answers, but not as this version knows it.
    #[error("{host} does not answer like a Countersign server: {what}")]
    BadAnswer {
        /// Where.
        host: String,
        /// What is wrong.
        what: String,
    },
}

impl ApiError {
    /// The server's stable code, else ours.
    #[must_use]
    pub fn code(&self) -> &str {
        let named = |problem: &'_ Problem| problem.code.is_some();
        match self {
            Self::Setup { .. } => "setup",
            Self::Unreachable { .. } => "server_unreachable",
            Self::ClockOff { .. } => "clock_off",
            Self::Unauthorized { problem }
            | Self::Forbidden { problem }
            | Self::NotFound { problem }
            | Self::Conflict { problem }
            | Self::Gone { problem }
            | Self::Refused { problem }
                if named(problem) =>
            {
                problem.code.as_deref().unwrap_or_default()
            }
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Gone { .. } => "gone",
            Self::Refused { .. } => "refused",
            Self::Busy { .. } => "busy",
            Self::TokenRefused { problem } => &problem.error,
            Self::Fault { .. } => "server_fault",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Whether the server may have done it, or may do it on another try: the same message again is right.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Fault { .. } => true,
            Self::Setup { .. }
            | Self::ClockOff { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Gone { .. }
            | Self::Refused { .. }
            | Self::TokenRefused { .. }
            | Self::BadAnswer { .. } => false,
        }
    }
}

fn sentence(problem: &Problem) -> String {
    let text = problem.detail.as_deref().unwrap_or(&problem.title);
    if text.is_empty() {
        format!("it refused with status {}", problem.status)
    } else {
        printable(text)
    }
}

fn token_sentence(problem: &TokenProblem) -> String {
    printable(if problem.error_description.is_empty() {
        &problem.error
    } else {
        &problem.error_description
    })
}

/// A server's words end up in terminals and windows: no control character, and not endless.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(400)
        .collect()
}

fn off(ahead_secs: &i64) -> String {
    let amount = ahead_secs.unsigned_abs();
    let amount = if amount >= 120 {
        format!("{} minutes", amount / 60)
    } else {
        format!("{amount} seconds")
    };
    if *ahead_secs < 0 {
        format!("{amount} behind")
    } else {
        format!("{amount} ahead of")
    }
}
