//! What a provider says about a person outside any sign-in: a logout token (OpenID Connect Back-Channel Logout
//! 1.0) and a security event token (RFC 8417) with the events of OpenID CAEP and RISC.
//!
//! Neither is a credential, and neither makes anybody eligible: they only end things. What ends is up to the
//! time that the token was issued, so that the same token again, however late, ends nothing more.

use countersign_model::{Issuer, Subject, UnixSecs};
use serde_json::Value;

use super::keys::{OpKeys, verify_signature};
use super::{OpConfig, OpTokenError, claims};
use crate::verify::SKEW_SECS;

/// A logout token is taken for so long after it was issued, in seconds.
pub const MAX_LOGOUT_AGE_SECS: i64 = 600;
/// The longest `jti` or `sid`, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The event of a logout token.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

/// A logout token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// Its one name.
    pub jti: String,
    /// When it was issued.
    pub iat: UnixSecs,
    /// Whose sessions, and which: at least one of both is there.
    pub whose: Whose,
}

/// Whose sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The account.
    pub subject: Option<Subject>,
    /// One session of it at the provider.
    pub sid: Option<String>,
}

/// What a security event token must be.
#[derive(Debug, Clone, Copy)]
pub struct EventRules<'a> {
    /// Who transmits: often the provider itself.
    pub transmitter: &'a Issuer,
    /// Whom it is for: this receiver, as it is registered there.
    pub audience: &'a str,
    /// The provider of whose accounts it may speak; of no other's.
    pub speaks_of: &'a Issuer,
    /// Allowed signature algorithms (JWA names).
    pub algorithms: &'a [String],
}

/// A security event token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// Its one name.
    pub jti: String,
    /// When it was issued.
    pub iat: UnixSecs,
    /// What it says.
    pub says: Says,
}

/// What a security event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The sessions of an account, or one of them, are over: `session-revoked`, `credential-change`,
    /// `account-disabled`, `account-purged`.
    SignedOut {
        /// The event's own name.
        event: &'static str,
        /// Whose.
        whose: Whose,
    },
    /// Something that ends nothing here.
    Else,
}

/// The events that end sessions, with their families.
const ENDING: [(&str, &str); 4] = [
    (CAEP, "session-revoked"),
    (CAEP, "credential-change"),
    (RISC, "account-disabled"),
    (RISC, "account-purged"),
];

/// Verifies a logout token for the approver client (Back-Channel Logout 1.0, section 2.6).
pub fn verify_logout_token(
    compact: &str,
    config: &OpConfig,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<LogoutToken, OpTokenError> {
    let signed = verify_signature(compact, &config.algorithms, keys)?;
    // Explicit typing is recommended there, not required; an ID token has no `events`.
    let typ = signed.typ.unwrap_or_default().to_ascii_lowercase();
    if !["", "jwt", "logout+jwt", "application/logout+jwt"].contains(&typ.as_str()) {
        return Err(OpTokenError::Typ);
    }
    let found = signed.claims;
    claims::refuse(&found, &["nonce", "scope", "client_id"])?;
    if claims::text(&found, "iss")? != config.issuer.as_str() {
        return Err(OpTokenError::Issuer);
    }
    if claims::audiences(&found)? != [config.client_id.as_str()] {
        return Err(OpTokenError::Audience);
    }
    let iat = claims::time(&found, "iat")?;
    if iat > now + SKEW_SECS {
        return Err(OpTokenError::Future);
    }
    let exp = claims::opt_time(&found, "exp")?;
    if now - iat > MAX_LOGOUT_AGE_SECS || exp.is_some_and(|exp| exp + SKEW_SECS < now) {
        return Err(OpTokenError::Expired);
    }
    let events = found.get("events").and_then(Value::as_object);
    if !events.is_some_and(|events| events.get(LOGOUT).is_some_and(Value::is_object)) {
        return Err(OpTokenError::Claim("events"));
    }
    let subject = match found.get("sub") {
        None => None,
        Some(_) => Some(claims::subject(&found, &config.issuer)?),
    };
    let sid = opt_id(&found, "sid")?;
    if subject.is_none() && sid.is_none() {
        return Err(OpTokenError::Claim("sub"));
    }
    Ok(LogoutToken {
        jti: id(&found, "jti")?,
        iat,
        whose: Whose { subject, sid },
    })
}

/// Verifies a security event token (RFC 8417; OpenID Shared Signals Framework 1.0, section 4).
pub fn verify_security_event(
    compact: &str,
    rules: &EventRules<'_>,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<SecurityEvent, OpTokenError> {
    let signed = verify_signature(compact, rules.algorithms, keys)?;
    let typ = signed.typ.unwrap_or_default().to_ascii_lowercase();
    if typ != "secevent+jwt" && typ != "application/secevent+jwt" {
        return Err(OpTokenError::Typ);
    }
    let found = signed.claims;
    claims::refuse(&found, &["nonce", "scope", "client_id"])?;
    if claims::text(&found, "iss")? != rules.transmitter.as_str() {
        return Err(OpTokenError::Issuer);
    }
    if !claims::audiences(&found)?.contains(&rules.audience) {
        return Err(OpTokenError::Audience);
    }
    let iat = claims::time(&found, "iat")?;
    if iat > now + SKEW_SECS {
        return Err(OpTokenError::Future);
    }
    let events = found
        .get("events")
        .and_then(Value::as_object)
        .filter(|events| !events.is_empty())
        .ok_or(OpTokenError::Claim("events"))?;
    let ending = ENDING.into_iter().find_map(|(family, name)| {
        let event = events.get(&format!("{family}{name}"))?;
        Some((name, event))
    });
    let says = match ending {
        None => Says::Else,
        Some((event, members)) => {
            let subject = found.get("sub_id").or_else(|| members.get("subject"));
            let subject = subject.ok_or(OpTokenError::Claim("sub_id"))?;
            Says::SignedOut {
                event,
                whose: whose(subject, rules.speaks_of)?,
            }
        }
    };
    Ok(SecurityEvent {
        jti: id(&found, "jti")?,
        iat,
        says,
    })
}

/// A subject identifier (RFC 9493): `iss_sub`; or a complex one with such a `user`, an opaque `session`, or both.
fn whose(subject: &Value, speaks_of: &Issuer) -> Result<Whose, OpTokenError> {
    let wrong = OpTokenError::Claim("sub_id");
    let account = |value: &Value| {
        if value.get("format").and_then(Value::as_str) != Some("iss_sub") {
            return Err(wrong.clone());
        }
        // Of another provider's accounts this one has nothing to say.
        claims::subject(value, speaks_of).map_err(|_| wrong.clone())
    };
    let (user, session) = (subject.get("user"), subject.get("session"));
    if user.is_none() && session.is_none() {
        return Ok(Whose {
            subject: Some(account(subject)?),
            sid: None,
        });
    }
    let subject = user.map(account).transpose()?;
    let sid = match session {
        // All sessions of a named account end: one of them is among them.
        None => None,
        Some(_) if subject.is_some() => None,
        Some(session) if session.get("format").and_then(Value::as_str) == Some("opaque") => {
            Some(id(session, "id")?)
        }
        Some(_) => return Err(wrong),
    };
    Ok(Whose { subject, sid })
}

fn id(claims: &Value, name: &'static str) -> Result<String, OpTokenError> {
    opt_id(claims, name)?.ok_or(OpTokenError::Claim(name))
}

fn opt_id(claims: &Value, name: &'static str) -> Result<Option<String>, OpTokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=MAX_ID_BYTES).contains(&text.len()) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(OpTokenError::Claim(name)),
    }
}
