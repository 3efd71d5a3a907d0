//! The server's word that enough people approved. Specification: `docs/spec/grant.md`.
//!
//! It is no authority by itself: a gate believes the votes, and uses the grant to see that server and gate
//! speak of the same ones.

use countersign_model::{Digest, MemberError, Members, PepId, ServerId, Subject, Txn, UnixSecs};
use serde_json::{Value, json};

use super::{MAX_ID_BYTES, signed};

/// The most votes in one grant.
const MAX_VOTES: usize = 64;

/// A single-use authority, signed by the server's key (`rk`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The server.
    pub iss: ServerId,
    /// The gate.
    pub aud: PepId,
    /// Unique.
    pub jti: String,
    /// When.
    pub iat: UnixSecs,
    /// Not before.
    pub nbf: UnixSecs,
    /// Not after.
    pub exp: UnixSecs,
    /// The request.
    pub txn: Txn,
    /// The operation.
    pub operation_digest: Digest,
    /// The request's JWS.
    pub request_jws_digest: Digest,
    /// The votes that made it, in order.
    pub votes: Vec<GrantVote>,
    /// As in the request.
    pub policy_digest: Digest,
}
signed!(Grant, "countersign-grant+jwt");

/// A vote, as the grant names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantVote {
    /// `H` over the vote's JWS.
    pub digest: Digest,
    /// Whose.
    pub subject: Subject,
    /// By which binding.
    pub binding_id: Digest,
}

impl Grant {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            iss,
            aud,
            jti,
            iat,
            nbf,
            exp,
            txn,
            operation_digest,
            request_jws_digest,
            votes,
            policy_digest,
        } = self;
        json!({
            "iss": iss.as_str(),
            "aud": aud.as_str(),
            "jti": jti,
            "iat": iat.0,
            "nbf": nbf.0,
            "exp": exp.0,
            "txn": txn.as_str(),
            "operation_digest": operation_digest.to_string(),
            "request_jws_digest": request_jws_digest.to_string(),
            "votes": votes.iter().map(GrantVote::to_value).collect::<Vec<_>>(),
            "policy_digest": policy_digest.to_string(),
            "max_uses": 1,
        })
    }

    /// Reads its payload: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        if members.i64("max_uses")? != 1 {
            return Err(MemberError::wrong("max_uses", "1"));
        }
        let votes = members.array("votes")?;
        if !(1..=MAX_VOTES).contains(&votes.len()) {
            return Err(MemberError::wrong("votes", "1 to 64 votes"));
        }
        let grant = Self {
            iss: members.server("iss")?,
            aud: members.pep("aud")?,
            jti: members.bounded("jti", MAX_ID_BYTES)?,
            iat: members.time("iat")?,
            nbf: members.time("nbf")?,
            exp: members.time("exp")?,
            txn: members.txn("txn")?,
            operation_digest: members.digest("operation_digest")?,
            request_jws_digest: members.digest("request_jws_digest")?,
            votes: votes
                .iter()
                .map(GrantVote::from_value)
                .collect::<Result<_, _>>()?,
            policy_digest: members.digest("policy_digest")?,
        };
        members.finish()?;
        Ok(grant)
    }
}

impl GrantVote {
    fn to_value(&self) -> Value {
        let Self {
            digest,
            subject,
            binding_id,
        } = self;
        json!({
            "digest": digest.to_string(),
            "iss": subject.iss.as_str(),
            "sub": subject.sub,
            "binding_id": binding_id.to_string(),
        })
    }

    fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let iss = members.issuer("iss")?;
        let sub = members.str("sub")?;
        let vote = Self {
            digest: members.digest("digest")?,
            subject: Subject::new(iss, &sub).map_err(|_| MemberError::wrong("sub", "a subject"))?,
            binding_id: members.digest("binding_id")?,
        };
        members.finish()?;
        Ok(vote)
    }
}
