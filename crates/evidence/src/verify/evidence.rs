//! The evidence file: everything that proves a grant, as JSON with exactly its members.

use countersign_model::json::{self, Refused};
use countersign_model::{MemberError, Members};
use serde_json::{Value, json};

/// The most votes in one evidence.
const MAX_VOTES: usize = 64;

/// What travels with a grant (protocol, section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The operation's bytes, base64url.
    pub operation_b64: String,
    /// By the gate.
    pub ask_jws: String,
    /// By the server.
    pub request_jws: String,
    /// By the server.
    pub grant: String,
    /// By the approvers' devices.
    pub votes: Vec<EvidenceVote>,
}

/// A vote with what binds its key to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceVote {
    /// The vote.
    pub jws: String,
    /// The binding statement's bytes, base64url.
    pub cic: String,
    /// The ID token of the sign-in that made the binding. Only the gate in `aud` and auditors get it.
    pub id_token: Option<String>,
    /// A newer ID token of the same person: evidence of current claims only.
    pub claims_token: Option<String>,
}

/// Why a text is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The strict reader refused it.
    #[error("the evidence cannot be read without doubt: {0}")]
    Json(#[from] Refused),
    /// Wrong members.
    #[error("the evidence is not as it must be: {0}")]
    Members(#[from] MemberError),
}

impl Evidence {
    /// Reads a file, or a body.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EvidenceError> {
        Self::from_value(&json::parse(bytes, json::DOCUMENT)?).map_err(Into::into)
    }

    /// Reads a value that is part of a larger JSON text.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let votes = members.array("votes")?;
        if !(1..=MAX_VOTES).contains(&votes.len()) {
            return Err(MemberError::wrong("votes", "1 to 64 votes"));
        }
        let evidence = Self {
            operation_b64: members.str("operation_b64")?,
            ask_jws: members.str("ask_jws")?,
            request_jws: members.str("request_jws")?,
            grant: members.str("grant")?,
            votes: votes
                .iter()
                .map(EvidenceVote::from_value)
                .collect::<Result<_, _>>()?,
        };
        members.finish()?;
        Ok(evidence)
    }

    /// Its JSON.
    pub fn to_value(&self) -> Value {
        let Self {
            operation_b64,
            ask_jws,
            request_jws,
            grant,
            votes,
        } = self;
        json!({
            "operation_b64": operation_b64,
            "ask_jws": ask_jws,
            "request_jws": request_jws,
            "grant": grant,
            "votes": votes.iter().map(EvidenceVote::to_value).collect::<Vec<_>>(),
        })
    }

    /// Its file: canonical, one line.
    pub fn to_json(&self) -> Vec<u8> {
        json::canonical(&self.to_value())
    }

    /// The same without anybody's tokens: for those who may see the request but not the voters' tokens.
    pub fn without_tokens(&self) -> Self {
        let mut evidence = self.clone();
        for vote in &mut evidence.votes {
            vote.id_token = None;
            vote.claims_token = None;
        }
        evidence
    }
}

impl EvidenceVote {
    /// Reads a value that is part of a larger JSON text.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let vote = Self {
            jws: members.str("jws")?,
            cic: members.str("cic")?,
            id_token: members.opt_str("id_token")?,
            claims_token: members.opt_str("claims_token")?,
        };
        members.finish()?;
        Ok(vote)
    }

    /// Its JSON.
    pub fn to_value(&self) -> Value {
        let Self {
            jws,
            cic,
            id_token,
            claims_token,
        } = self;
        let mut value = json!({"jws": jws, "cic": cic});
        if let Some(token) = id_token {
            value["id_token"] = json!(token);
        }
        if let Some(token) = claims_token {
            value["claims_token"] = json!(token);
        }
        value
    }
}
