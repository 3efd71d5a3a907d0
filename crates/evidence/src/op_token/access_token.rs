//! JWT access tokens (RFC 9068): a requester's credential at a gate or at the server.

use countersign_model::{Issuer, Subject, UnixSecs};
use serde_json::Value;

use super::keys::{OpKeys, verify_signature};
use super::{OpTokenError, claims};
use crate::verify::SKEW_SECS;

/// What an access token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRules {
    /// The issuer.
    pub issuer: Issuer,
    /// The resource that must be among its audiences.
    pub audience: String,
    /// Allowed signature algorithms (JWA names).
    pub algorithms: Vec<String>,
    /// Approver clients: their tokens are a credential nowhere.
    pub approver_client_ids: Vec<String>,
}

/// An access token whose signature and claims hold.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessToken {
    /// Who.
    pub subject: Subject,
    /// For which client.
    pub client_id: String,
    /// Until when it is good.
    pub exp: UnixSecs,
    /// All claims.
    pub claims: Value,
}

/// Verifies a JWT access token (RFC 9068, section 4).
pub fn verify_access_token(
    compact: &str,
    rules: &AccessRules,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<AccessToken, OpTokenError> {
    let signed = verify_signature(compact, &rules.algorithms, keys)?;
    let typ = signed.typ.unwrap_or_default().to_ascii_lowercase();
    if typ != "at+jwt" && typ != "application/at+jwt" {
        return Err(OpTokenError::Typ);
    }
    let found = signed.claims;
    claims::refuse(&found, &["events", "nonce"])?;
    // RFC 9449, section 7.1: nobody here proves the key, so whoever stole the token could use it.
    if found.get("cnf").is_some() {
        return Err(OpTokenError::Bound);
    }
    let subject = claims::subject(&found, &rules.issuer)?;
    if !claims::audiences(&found)?.contains(&rules.audience.as_str()) {
        return Err(OpTokenError::Audience);
    }
    let client_id = claims::text(&found, "client_id")?.to_owned();
    let azp = found.get("azp").and_then(Value::as_str);
    let is_approver = |client: &str| rules.approver_client_ids.iter().any(|id| id == client);
    if is_approver(&client_id) || azp.is_some_and(is_approver) {
        return Err(OpTokenError::ApproverClient);
    }
    let (iat, exp) = (claims::time(&found, "iat")?, claims::time(&found, "exp")?);
    claims::text(&found, "jti")?;
    let not_before = claims::opt_time(&found, "nbf")?.unwrap_or(iat);
    if iat > now + SKEW_SECS || not_before > now + SKEW_SECS {
        return Err(OpTokenError::Future);
    }
    if exp + SKEW_SECS < now {
        return Err(OpTokenError::Expired);
    }
    Ok(AccessToken {
        subject,
        client_id,
        exp,
        claims: found,
    })
}
