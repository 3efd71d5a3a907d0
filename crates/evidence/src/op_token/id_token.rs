//! ID tokens: who somebody is, and the nonce by which the provider commits to a device key.

use countersign_model::{Subject, UnixSecs, Voter};
use serde_json::Value;

use super::keys::{OpKeys, verify_signature};
use super::{KeyRule, OpConfig, OpTokenError, claims, key_binding};
use crate::check::Check;
use crate::verify::SKEW_SECS;

/// An ID token whose signature and claims hold.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    /// Who.
    pub subject: Subject,
    /// When it was issued.
    pub iat: UnixSecs,
    /// Until when it is good.
    pub exp: UnixSecs,
    /// When the person last signed in, where the provider says so. Never zero.
    pub auth_time: Option<UnixSecs>,
    /// The sign-in's nonce.
    pub nonce: Option<String>,
    /// The provider bound it to the key that it was asked to.
    pub bound: bool,
    /// All claims.
    pub claims: Value,
    /// Its signature's algorithm: `at_hash` is made with its hash.
    pub alg: String,
}

impl IdToken {
    /// The person as a voter, read through the provider's configuration.
    pub fn voter(&self, config: &OpConfig) -> Voter {
        config.voter(self.subject.clone(), self.claims.clone())
    }
}

/// As of when a token must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// At this time: `exp` has not passed, skew aside.
    At(UnixSecs),
    /// When it was issued: for evidence that is looked at later. `now` still bounds `iat`.
    Issue {
        /// The verifier's clock.
        now: UnixSecs,
    },
}

impl From<UnixSecs> for AsOf {
    fn from(now: UnixSecs) -> Self {
        Self::At(now)
    }
}

/// Which nonce a token must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceRule<'a> {
    /// This one.
    Exactly(&'a str),
    /// This one, or none: a refreshed token of a provider that is configured so ([`super::Refreshed`]).
    ExactlyOrAbsent(&'a str),
}

/// Claims that an ID token never has: they show an access token or a security event.
const FOREIGN: [&str; 4] = ["events", "scope", "client_id", "toe"];

/// Verifies an ID token of this provider for its approver client (OpenID Connect Core, 3.1.3.7).
pub fn verify_id_token(
    compact: &str,
    config: &OpConfig,
    keys: &OpKeys,
    as_of: impl Into<AsOf>,
    nonce: NonceRule<'_>,
    key: KeyRule<'_>,
) -> Result<IdToken, OpTokenError> {
    let signed = verify_signature(compact, &config.algorithms, keys)?;
    let found = signed.claims;
    let bound = key_binding::judge(signed.typ.as_deref(), &found, key)?;
    claims::refuse(&found, &FOREIGN)?;
    let subject = claims::subject(&found, &config.issuer)?;
    let alone = claims::audiences(&found)? == [config.client_id.as_str()];
    if !Check::TokenAudience.stands(alone) {
        return Err(OpTokenError::Audience);
    }
    let ours = |azp: &Value| azp.as_str() == Some(&config.client_id);
    if !Check::TokenParty.stands(found.get("azp").is_none_or(ours)) {
        return Err(OpTokenError::Audience);
    }
    let (iat, exp) = (claims::time(&found, "iat")?, claims::time(&found, "exp")?);
    check_times(iat, exp, claims::opt_time(&found, "nbf")?, as_of.into())?;
    let auth_time = match claims::opt_time(&found, "auth_time")? {
        Some(UnixSecs(0)) | None => None,
        Some(time) => Some(time),
    };
    let found_nonce = match found.get("nonce") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(OpTokenError::Nonce),
    };
    let holds = match (nonce, found_nonce.as_deref()) {
        (NonceRule::Exactly(wanted) | NonceRule::ExactlyOrAbsent(wanted), Some(found)) => {
            wanted == found
        }
        (NonceRule::Exactly(_), None) => false,
        (NonceRule::ExactlyOrAbsent(_), None) => true,
    };
    if !Check::TokenNonce.stands(holds) {
        return Err(OpTokenError::Nonce);
    }
    Ok(IdToken {
        subject,
        iat,
        exp,
        auth_time,
        nonce: found_nonce,
        bound,
        claims: found,
        alg: signed.alg,
    })
}

fn check_times(
    iat: UnixSecs,
    exp: UnixSecs,
    nbf: Option<UnixSecs>,
    as_of: AsOf,
) -> Result<(), OpTokenError> {
    let (now, at) = match as_of {
        AsOf::At(now) => (now, now),
        AsOf::Issue { now } => (now, iat),
    };
    let begun = iat <= now + SKEW_SECS && nbf.is_none_or(|nbf| nbf <= at + SKEW_SECS);
    if !Check::TokenNotFuture.stands(begun) {
        return Err(OpTokenError::Future);
    }
    if !Check::TokenTimes.stands(exp > iat && exp + SKEW_SECS >= at) {
        return Err(OpTokenError::Expired);
    }
    Ok(())
}
