//! Verifying requesters' access tokens (RFC 9068) from several providers. The pure part, and with it
//! every rule, is in `countersign_evidence::op_token`; this part finds the provider and its keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_evidence::op_token::{
    AccessRules, AccessToken, OpTokenError, peek_issuer, verify_access_token,
};

use countersign_model::{Digest, UnixSecs};

use crate::error::OidcError;
use crate::keys::KeySet;
use crate::provider::{Provider, kid_of};

/// Tokens whose signature is remembered.
const MAX_REMEMBERED: usize = 4096;

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
///
/// A signature is verified once for each token and set of keys: the rest of a token's life costs a hash. What
/// changes with time (its end, the keys) is looked at each time.
#[derive(Debug, Default)]
pub struct ResourceServer {
    trusted: Vec<(Arc<Provider>, AccessRules)>,
    remembered: Mutex<HashMap<Digest, Remembered>>,
}

/// A token that verified.
#[derive(Debug)]
struct Remembered {
    token: Arc<AccessToken>,
    /// Its provider's place among the trusted.
    provider: usize,
    /// The key that it names.
    kid: Option<String>,
    /// By these keys: another fetch, and it is verified anew.
    keys: Arc<KeySet>,
    at: UnixSecs,
}

impl ResourceServer {
    /// Trusts these.
    #[must_use]
    pub fn new(trusted: Vec<(Arc<Provider>, AccessRules)>) -> Self {
        Self {
            trusted,
            remembered: Mutex::default(),
        }
    }

    /// Verifies a bearer token. One that is remembered is the same value again.
    ///
    /// # Errors
    /// [`AccessError`]: no good, unknown, or not verifiable now.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, AccessError> {
        let digest = Digest::of(token.as_bytes());
        if let Some(verified) = self.again(digest).await? {
            return Ok(verified);
        }
        let named = peek_issuer(token)?;
        let found = self
            .trusted
            .iter()
            .enumerate()
            .find(|(_, (provider, _))| provider.issuer().as_str() == named);
        let Some((place, (provider, rules))) = found else {
            return Err(AccessError::UnknownIssuer);
        };
        let kid = kid_of(token);
        let keys = keys_of(provider, kid.as_deref()).await?;
        let now = provider.now();
        let verified = Arc::new(verify_access_token(token, rules, &keys.current, now)?);
        self.remember(
            digest,
            Remembered {
                token: Arc::clone(&verified),
                provider: place,
                kid,
                keys,
                at: now,
            },
        );
        Ok(verified)
    }

    /// A token that verified before, where that still holds.
    async fn again(&self, digest: Digest) -> Result<Option<Arc<AccessToken>>, AccessError> {
        let known = self.with(|remembered| {
            let known = remembered.get(&digest)?;
            Some((known.provider, known.kid.clone()))
        });
        let Some((place, kid)) = known else {
            return Ok(None);
        };
        let Some((provider, _)) = self.trusted.get(place) else {
            return Ok(None);
        };
        let keys = keys_of(provider, kid.as_deref()).await?;
        let now = provider.now();
        Ok(self.with(|remembered| {
            let found = remembered.get(&digest)?;
            // Its beginning was judged at `at`; a clock that went back judges it again. Its end has no grace here.
            let holds =
                Arc::ptr_eq(&found.keys, &keys) && found.at <= now && now <= found.token.exp;
            holds.then(|| Arc::clone(&found.token))
        }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Digest, Remembered>) -> T) -> T {
        act(&mut self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    fn remember(&self, digest: Digest, token: Remembered) {
        self.with(|remembered| {
            if remembered.len() >= MAX_REMEMBERED {
                let now = token.at;
                remembered
                    .retain(|_, old| now <= old.token.exp && Arc::ptr_eq(&old.keys, &token.keys));
                // Most of them live. To look through all of them again for each new one would cost more than to verify
                // each of them once again.
                if remembered.len() > MAX_REMEMBERED / 2 {
                    remembered.clear();
                }
            }
            remembered.insert(digest, token);
        });
    }
}

async fn keys_of(provider: &Arc<Provider>, kid: Option<&str>) -> Result<Arc<KeySet>, AccessError> {
    provider.keys(kid).await.map_err(AccessError::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_evidence::op_token::CallerKind;
    use countersign_model::Subject;

    #[test]
    fn newcomers_are_remembered_however_many_there_are_in_bounded_memory() {
        let server = ResourceServer::new(Vec::new());
        let keys: Arc<KeySet> = Arc::default();
        let token = Arc::new(AccessToken {
            subject: Subject::parse("https://id.example|mara").unwrap(),
            kind: CallerKind::Person,
            client_id: None,
            exp: UnixSecs(1_000),
            claims: serde_json::Value::Null,
        });
        for n in 0..3 * MAX_REMEMBERED {
            let digest = Digest::of(&n.to_be_bytes());
            server.remember(
                digest,
                Remembered {
                    token: Arc::clone(&token),
                    provider: 0,
                    kid: None,
                    keys: Arc::clone(&keys),
                    at: UnixSecs(0),
                },
            );
            server.with(|all| {
                assert!(all.contains_key(&digest) && all.len() <= MAX_REMEMBERED);
            });
        }
    }
}
