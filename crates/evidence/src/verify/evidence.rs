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
    /// What confirms the vote freshly, where the requirement asks for it.
    pub step_up: Option<StepUpEvidence>,
}

/// What confirms one vote freshly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepUpEvidence {
    /// A sign-in at the voter's provider.
    Oidc {
        /// Its nonce signs the vote.
        id_token: String,
        /// It brings the consented scope, where the requirement names one.
        access_token: Option<String>,
    },
    /// An assertion by an authenticator of the binding statement. All base64url.
    Webauthn {
        /// `authenticatorData`.
        authenticator_data: String,
        /// `clientDataJSON`.
        client_data_json: String,
        /// Over both.
        signature: String,
        /// The authenticator's thumbprint.
        key: String,
    },
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
            vote.step_up = None;
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
            step_up: members
                .opt_value("step_up")
                .map(|value| StepUpEvidence::from_value(&value))
                .transpose()?,
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
            step_up,
        } = self;
        let mut value = json!({"jws": jws, "cic": cic});
        if let Some(token) = id_token {
            value["id_token"] = json!(token);
        }
        if let Some(token) = claims_token {
            value["claims_token"] = json!(token);
        }
        if let Some(step_up) = step_up {
            value["step_up"] = step_up.to_value();
        }
        value
    }
}

impl StepUpEvidence {
    /// Reads a value that is part of a larger JSON text: exactly the members of its type.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let step_up = match members.str("type")?.as_str() {
            "oidc" => Self::Oidc {
                id_token: members.str("id_token")?,
                access_token: members.opt_str("access_token")?,
            },
            "webauthn" => Self::Webauthn {
                authenticator_data: members.str("authenticator_data")?,
                client_data_json: members.str("client_data_json")?,
                signature: members.str("signature")?,
                key: members.str("key")?,
            },
            _ => return Err(MemberError::wrong("type", "`oidc` or `webauthn`")),
        };
        members.finish()?;
        Ok(step_up)
    }

    /// Its JSON.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Oidc {
                id_token,
                access_token,
            } => {
                let mut value = json!({"type": "oidc", "id_token": id_token});
                if let Some(token) = access_token {
                    value["access_token"] = json!(token);
                }
                value
            }
            Self::Webauthn {
                authenticator_data,
                client_data_json,
                signature,
                key,
            } => json!({
                "type": "webauthn",
                "authenticator_data": authenticator_data,
                "client_data_json": client_data_json,
                "signature": signature,
                "key": key,
            }),
        }
    }
}
