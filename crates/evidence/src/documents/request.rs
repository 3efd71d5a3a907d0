//! What approvers are asked. Specification: `docs/spec/ask.md`.

use countersign_model::{
    Digest, MemberError, Members, PepId, Requirement, ServerId, Subject, Txn, UnixSecs,
};
use serde_json::{Value, json};

use super::{MAX_ID_BYTES, signed, sub_id};

/// The server's request to approvers, signed by its key (`rk`). Its digest is in every vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The server.
    pub iss: ServerId,
    /// Drawn after the operation is fixed: the matching words come from it.
    pub jti: String,
    /// When.
    pub iat: UnixSecs,
    /// The deadline for voting.
    pub exp: UnixSecs,
    /// Its id.
    pub txn: Txn,
    /// The operation.
    pub operation_digest: Digest,
    /// The gate's ask: `H` over its JWS.
    pub ask_digest: Digest,
    /// The gate.
    pub pep: PepId,
    /// The requester.
    pub sub_id: Subject,
    /// What is demanded: at least the ask's.
    pub requirement: Requirement,
    /// Over the server's policy text.
    pub policy_digest: Digest,
}
signed!(Request, "countersign-request+jwt");

/// The only audience of a request.
const AUDIENCE: &str = "approvers";

impl Request {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            iss,
            jti,
            iat,
            exp,
            txn,
            operation_digest,
            ask_digest,
            pep,
            sub_id: requester,
            requirement,
            policy_digest,
        } = self;
        json!({
            "iss": iss.as_str(),
            "aud": AUDIENCE,
            "jti": jti,
            "iat": iat.0,
            "exp": exp.0,
            "txn": txn.as_str(),
            "operation_digest": operation_digest.to_string(),
            "ask_digest": ask_digest.to_string(),
            "pep": pep.as_str(),
            "sub_id": sub_id(requester),
            "requirement": requirement.to_value(),
            "policy_digest": policy_digest.to_string(),
        })
    }

    /// Reads its payload: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        members.fixed("aud", AUDIENCE)?;
        let request = Self {
            iss: members.server("iss")?,
            jti: members.bounded("jti", MAX_ID_BYTES)?,
            iat: members.time("iat")?,
            exp: members.time("exp")?,
            txn: members.txn("txn")?,
            operation_digest: members.digest("operation_digest")?,
            ask_digest: members.digest("ask_digest")?,
            pep: members.pep("pep")?,
            sub_id: members.sub_id("sub_id")?,
            requirement: Requirement::from_value(&members.value("requirement")?)?,
            policy_digest: members.digest("policy_digest")?,
        };
        members.finish()?;
        Ok(request)
    }
}
