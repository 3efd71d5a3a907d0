//! What can go wrong with a provider: each variant is something a person or a program acts on.

use countersign_evidence::op_token::OpTokenError;

/// Why a sign-in, a refresh or a verification did not work.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// TLS or the loopback listener cannot be set up on this computer.
    #[error("cannot prepare the connection: {why}")]
    Setup {
        /// What the system said.
        why: String,
    },
    /// No usable answer came from the provider.
    #[error(
        "the identity provider at {host} does not answer ({why}). Check the network, then try again"
    )]
    ProviderUnreachable {
        /// Where.
        host: String,
        /// The cause.
        why: String,
    },
    /// The provider answers, but not as OpenID Connect has it.
    #[error("the identity provider answered wrongly: {what}. Tell whoever runs it")]
    BadProvider {
        /// What is wrong.
        what: String,
    },
    /// The person, or a rule of the provider, said no.
    #[error(
        "the sign-in was declined at the identity provider. Nothing was kept; try again when ready"
    )]
    Declined,
    /// The provider refused, by an OAuth error code.
    #[error("the identity provider refused: {code}")]
    Refused {
        /// The OAuth error code, such as `invalid_scope`.
        code: String,
    },
    /// No answer came back from the browser in time.
    #[error("no answer came back from the browser within {minutes} minutes. Try again")]
    TimedOut {
        /// How long it waited.
        minutes: u64,
    },
    /// This computer's clock and the provider's differ too much.
    #[error("this computer's clock is {} the identity provider's. Set the clock, then try again", off(.ahead_secs))]
    ClockOff {
        /// Seconds; negative when ours is behind.
        ahead_secs: i64,
    },
    /// The provider gave no ID token.
    #[error(
        "the identity provider gave no ID token: is the scope `openid` allowed for this client?"
    )]
    NoIdToken,
    /// The token does not verify.
    #[error("the token of the identity provider was refused: {0}")]
    Token(#[from] OpTokenError),
    /// The provider did not make the person sign in afresh.
    #[error(
        "the identity provider did not ask for a fresh sign-in, which binding this device needs. Sign in again; if it stays so, tell whoever runs the provider"
    )]
    NotFresh,
    /// The provider says that it binds sign-ins to a key, and did not; or it must, and cannot.
    #[error(
        "the identity provider did not bind the sign-in to this device's key, as {wanted}. Tell whoever runs it"
    )]
    NotBound {
        /// Who wants it.
        wanted: &'static str,
    },
}

impl OidcError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "setup",
            Self::ProviderUnreachable { .. } => "provider_unreachable",
            Self::BadProvider { .. } => "bad_provider",
            Self::Declined => "declined",
            Self::Refused { .. } => "provider_refused",
            Self::TimedOut { .. } => "timed_out",
            Self::ClockOff { .. } => "clock_off",
            Self::NoIdToken => "no_id_token",
            Self::Token(error) => error.code(),
            Self::NotFresh => "not_fresh",
            Self::NotBound { .. } => "not_bound",
        }
    }
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
