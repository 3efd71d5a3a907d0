//! A caller's credential at a gate or at the server: JWT access tokens (RFC 9068) of people and of programs, and
//! the ID tokens that a CI system or a cluster gives to its workloads.

use std::collections::BTreeSet;

use countersign_model::{Issuer, Subject, UnixSecs};
use serde_json::Value;

use super::config::OpRole;
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
    /// As what this provider's accounts count: who only approves does not call.
    pub roles: BTreeSet<OpRole>,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// Somebody, by a client that they signed in to.
    Person,
    /// A program on its own account.
    Workload,
}

/// An access token whose signature and claims hold.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessToken {
    /// Who.
    pub subject: Subject,
    /// A person or a program.
    pub kind: CallerKind,
    /// For which client. A workload's ID token names none.
    pub client_id: Option<String>,
    /// Until when it is good.
    pub exp: UnixSecs,
    /// All claims.
    pub claims: Value,
}

/// Verifies a JWT access token (RFC 9068, section 4), or, from a provider that may assert workloads, a workload's
/// ID token for this audience alone.
pub fn verify_access_token(
    compact: &str,
    rules: &AccessRules,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<AccessToken, OpTokenError> {
    let signed = verify_signature(compact, &rules.algorithms, keys)?;
    let typ = signed.typ.unwrap_or_default().to_ascii_lowercase();
    let is_access_token = typ == "at+jwt" || typ == "application/at+jwt";
    let is_workloads = (typ.is_empty() || typ == "jwt") && rules.roles.contains(&OpRole::Workload);
    if !is_access_token && !is_workloads {
        return Err(OpTokenError::Typ);
    }
    let found = signed.claims;
    claims::refuse(&found, &["events", "nonce"])?;
    // RFC 9449, section 7.1: nobody here proves the key, so whoever stole the token could use it.
    if found.get("cnf").is_some() {
        return Err(OpTokenError::Bound);
    }
    let subject = claims::subject(&found, &rules.issuer)?;
    let azp = found.get("azp").and_then(Value::as_str);
    let (kind, client_id) = if is_access_token {
        if !claims::audiences(&found)?.contains(&rules.audience.as_str()) {
            return Err(OpTokenError::Audience);
        }
        let client_id = claims::text(&found, "client_id")?;
        claims::text(&found, "jti")?;
        (kind_of(&found, &subject, client_id), Some(client_id))
    } else {
        // Somebody's sign-in is no credential: these are what it leaves in an ID token.
        claims::refuse(&found, &["auth_time", "at_hash", "c_hash", "sid", "amr"])?;
        if claims::audiences(&found)? != [rules.audience.as_str()] {
            return Err(OpTokenError::Audience);
        }
        (CallerKind::Workload, azp)
    };
    let is_approver = |client: &str| rules.approver_client_ids.iter().any(|id| id == client);
    if client_id.is_some_and(is_approver) || azp.is_some_and(is_approver) {
        return Err(OpTokenError::ApproverClient);
    }
    let role = match kind {
        CallerKind::Person => OpRole::Requester,
        CallerKind::Workload => OpRole::Workload,
    };
    if !rules.roles.contains(&role) {
        return Err(OpTokenError::Role(match kind {
            CallerKind::Person => "people",
            CallerKind::Workload => "workloads",
        }));
    }
    let (iat, exp) = (claims::time(&found, "iat")?, claims::time(&found, "exp")?);
    let not_before = claims::opt_time(&found, "nbf")?.unwrap_or(iat);
    if iat > now + SKEW_SECS || not_before > now + SKEW_SECS {
        return Err(OpTokenError::Future);
    }
    if exp + SKEW_SECS < now {
        return Err(OpTokenError::Expired);
    }
    let client_id = client_id.map(str::to_owned);
    Ok(AccessToken {
        subject,
        kind,
        client_id,
        exp,
        claims: found,
    })
}

/// Whether a program called on its own account (RFC 9068, section 2.2: then `sub` stands for the client), also as
/// Entra (`idtyp`) and Auth0 (`gty`) say it.
fn kind_of(claims: &Value, subject: &Subject, client_id: &str) -> CallerKind {
    let says = |name: &str, word: &str| claims.get(name).and_then(Value::as_str) == Some(word);
    let own = subject.sub == client_id
        || says("idtyp", "app")
        || says("gty", "client-credentials")
        || says("grant_type", "client_credentials");
    if own {
        CallerKind::Workload
    } else {
        CallerKind::Person
    }
}
