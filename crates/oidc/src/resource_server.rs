//! Verifying requesters' access tokens (RFC 9068) from several providers. The pure part, and with it
//! every rule, is in `countersign_evidence::op_token`; this part finds the provider and its keys.

use std::sync::Arc;

use countersign_evidence::op_token::{
    AccessRules, AccessToken, OpTokenError, peek_issuer, verify_access_token,
};

use crate::error::OidcError;
use crate::provider::Provider;

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is no good: 401.
    #[error("{0}")]
    Invalid(#[from] OpTokenError),
    /// It is from nobody who is trusted here: 401.
    #[error("the token is not from an identity provider that is trusted here")]
    UnknownIssuer,
    /// The provider's keys cannot be had now, so nothing can be verified: 503.
    #[error("the caller's token cannot be verified now: {0}")]
    Unavailable(OidcError),
}

impl AccessError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(error) => error.code(),
            Self::UnknownIssuer => "unknown_issuer",
            Self::Unavailable(_) => "provider_unreachable",
        }
    }
}

/// Providers, and what is asked of each one's access tokens.
#[derive(Debug, Default)]
pub struct ResourceServer {
    trusted: Vec<(Arc<Provider>, AccessRules)>,
}

impl ResourceServer {
    /// Trusts these.
    #[must_use]
    pub fn new(trusted: Vec<(Arc<Provider>, AccessRules)>) -> Self {
        Self { trusted }
    }

    /// Verifies a bearer token.
    ///
    /// # Errors
    /// [`AccessError`]: no good, unknown, or not verifiable now.
    pub async fn verify(&self, token: &str) -> Result<AccessToken, AccessError> {
        let named = peek_issuer(token)?;
        let found = self
            .trusted
            .iter()
            .find(|(provider, _)| provider.issuer().as_str() == named);
        let Some((provider, rules)) = found else {
            return Err(AccessError::UnknownIssuer);
        };
        let keys = provider
            .keys_for(&[token])
            .await
            .map_err(AccessError::Unavailable)?;
        Ok(verify_access_token(
            token,
            rules,
            &keys.current,
            provider.now(),
        )?)
    }
}
