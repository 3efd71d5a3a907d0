//! What an enforcement point asks for. Specification: `docs/spec/ask.md`.

use countersign_model::{Digest, MemberError, Members, PepId, Requirement, ServerId, UnixSecs};
use serde_json::{Value, json};

use super::signed;

/// "Have this operation approved, at least so": signed by the gate's key (`pk`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The gate.
    pub iss: PepId,
    /// The server.
    pub aud: ServerId,
    /// The operation.
    pub operation_digest: Digest,
    /// What the gate's own policy demands.
    pub requirement: Requirement,
    /// When.
    pub iat: UnixSecs,
    /// Until when it may open a request.
    pub exp: UnixSecs,
}
signed!(Ask, "countersign-ask+jwt");

impl Ask {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            iss,
            aud,
            operation_digest,
            requirement,
            iat,
            exp,
        } = self;
        json!({
            "iss": iss.as_str(),
            "aud": aud.as_str(),
            "operation_digest": operation_digest.to_string(),
            "requirement": requirement.to_value(),
            "iat": iat.0,
            "exp": exp.0,
        })
    }

    /// Reads its payload: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let ask = Self {
            iss: members.pep("iss")?,
            aud: members.server("aud")?,
            operation_digest: members.digest("operation_digest")?,
            requirement: Requirement::from_value(&members.value("requirement")?)?,
            iat: members.time("iat")?,
            exp: members.time("exp")?,
        };
        members.finish()?;
        Ok(ask)
    }
}
