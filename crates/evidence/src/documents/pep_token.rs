//! A gate's own credential for calls to the server (in the style of RFC 7523). Specification:
//! `docs/spec/ask.md`, "Calls of a gate".

use countersign_model::{MemberError, Members, PepId, ServerId, UnixSecs};
use serde_json::{Value, json};

use super::{MAX_ID_BYTES, signed};

/// The longest life of such a token, in seconds.
pub const MAX_LIFE_SECS: i64 = 60;

/// Self-issued by the gate's key (`pk`), good for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepToken {
    /// The gate.
    pub iss: PepId,
    /// The server.
    pub aud: ServerId,
    /// When.
    pub iat: UnixSecs,
    /// At most [`MAX_LIFE_SECS`] later.
    pub exp: UnixSecs,
    /// Once.
    pub jti: String,
}
signed!(PepToken, "countersign-pep+jwt");

impl PepToken {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            iss,
            aud,
            iat,
            exp,
            jti,
        } = self;
        json!({"iss": iss.as_str(), "aud": aud.as_str(), "iat": iat.0, "exp": exp.0, "jti": jti})
    }

    /// Reads its payload: exactly these members, and a life of 1 to 60 seconds.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let token = Self {
            iss: members.pep("iss")?,
            aud: members.server("aud")?,
            iat: members.time("iat")?,
            exp: members.time("exp")?,
            jti: members.bounded("jti", MAX_ID_BYTES)?,
        };
        members.finish()?;
        if !(1..=MAX_LIFE_SECS).contains(&(token.exp - token.iat)) {
            return Err(MemberError::wrong("exp", "1 to 60 seconds after `iat`"));
        }
        Ok(token)
    }

    /// Whether it is for this server and good now (skew 60 s). The server also remembers `jti` until then.
    pub fn is_good(&self, server: &ServerId, now: UnixSecs) -> bool {
        self.aud == *server
            && self.iat <= now + crate::verify::SKEW_SECS
            && now <= self.exp + crate::verify::SKEW_SECS
    }
}
