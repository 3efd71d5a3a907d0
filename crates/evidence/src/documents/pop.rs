//! Proof that whoever brings an ID token holds the device key. Specification: `docs/spec/binding.md`.

use countersign_model::{Digest, MemberError, Members, ServerId, UnixSecs};
use serde_json::{Value, json};

use super::{MAX_ID_BYTES, signed};

/// A proof of possession by the device key (`dk`), when it is bound and when its access token is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop {
    /// The server.
    pub aud: ServerId,
    /// The server's nonce, good for one proof.
    pub nonce: String,
    /// `H(cic)`.
    pub cic_digest: Digest,
    /// When.
    pub iat: UnixSecs,
}
signed!(Pop, "countersign-pop+jwt");

impl Pop {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            aud,
            nonce,
            cic_digest,
            iat,
        } = self;
        json!({"aud": aud.as_str(), "nonce": nonce, "cic_digest": cic_digest.to_string(), "iat": iat.0})
    }

    /// Reads its payload: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let pop = Self {
            aud: members.server("aud")?,
            nonce: members.bounded("nonce", MAX_ID_BYTES)?,
            cic_digest: members.digest("cic_digest")?,
            iat: members.time("iat")?,
        };
        members.finish()?;
        Ok(pop)
    }
}
