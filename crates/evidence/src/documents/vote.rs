//! A vote. Specification: `docs/spec/vote.md`.

use countersign_model::{
    Digest, MemberError, Members, PepId, ServerId, Stage, Subject, Txn, UnixSecs,
};
use serde_json::{Value, json};

use super::{MAX_ID_BYTES, signed, sub_id};

/// RFC 9278: a key's thumbprint as a URI.
const THUMBPRINT_URI: &str = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:";
/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 2048;

/// The most votes of the stage before.
const MAX_PRIOR: usize = 32;

/// What an approver clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Let it happen.
    Approve,
    /// Do not.
    Deny,
}

impl Choice {
    /// As it stands in the vote.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// What the card showed, so that it can be proven later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayDigest {
    /// Which code drew it, such as `countersign-display/0.1.0`.
    pub renderer: String,
    /// Over the plain-text card.
    pub sha256: Digest,
}

/// One person's signed word on one request, by their device key (`dk`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// The device key's thumbprint; `iss` is its URI.
    pub key_thumbprint: Digest,
    /// Who.
    pub sub_id: Subject,
    /// The server: first of the two audiences.
    pub server: ServerId,
    /// The gate: second of the two audiences.
    pub pep: PepId,
    /// Unique.
    pub jti: String,
    /// When.
    pub iat: UnixSecs,
    /// Not after the request's.
    pub exp: UnixSecs,
    /// The request.
    pub txn: Txn,
    /// The choice.
    pub vote: Choice,
    /// The operation.
    pub operation_digest: Digest,
    /// The request's JWS, so that the requirement is signed too.
    pub request_jws_digest: Digest,
    /// The server's challenge.
    pub nonce: String,
    /// `H(cic)`.
    pub binding_id: Digest,
    /// As in the request.
    pub policy_digest: Digest,
    /// The stage that it is for, where the requirement has stages.
    pub stage: Option<String>,
    /// The votes of the stage before, which must be complete in them: digests of their JWS. Empty in the first
    /// stage, and where there are none.
    pub prior: Vec<Digest>,
    /// What the card showed.
    pub display: DisplayDigest,
    /// The thumbprint of a key made for this vote alone: an access token that is bound to it brings the scope.
    pub consent_jkt: Option<Digest>,
    /// Why, in the approver's own words.
    pub reason: Option<String>,
    /// The two matching words as typed, separated by one space.
    pub match_words: Option<String>,
    /// The vote of the same person that this one replaces.
    pub supersedes: Option<Digest>,
}
signed!(Vote, "countersign-vote+jwt");

impl Vote {
    /// Its payload.
    pub fn to_value(&self) -> Value {
        let Self {
            key_thumbprint,
            sub_id: voter,
            server,
            pep,
            jti,
            iat,
            exp,
            txn,
            vote,
            operation_digest,
            request_jws_digest,
            nonce,
            binding_id,
            policy_digest,
            stage,
            prior,
            display: DisplayDigest { renderer, sha256 },
            consent_jkt,
            reason,
            match_words,
            supersedes,
        } = self;
        let mut payload = json!({
            "iss": format!("{THUMBPRINT_URI}{key_thumbprint}"),
            "sub_id": sub_id(voter),
            "aud": [server.as_str(), pep.as_str()],
            "jti": jti,
            "iat": iat.0,
            "exp": exp.0,
            "txn": txn.as_str(),
            "vote": vote.as_str(),
            "operation_digest": operation_digest.to_string(),
            "request_jws_digest": request_jws_digest.to_string(),
            "nonce": nonce,
            "binding_id": binding_id.to_string(),
            "policy_digest": policy_digest.to_string(),
            "display": {"renderer": renderer, "sha256": sha256.to_string()},
        });
        if let Some(stage) = stage {
            payload["stage"] = json!(stage);
        }
        if !prior.is_empty() {
            payload["prior"] = prior.iter().map(Digest::to_string).collect();
        }
        if let Some(thumbprint) = consent_jkt {
            payload["consent_jkt"] = json!(thumbprint.to_string());
        }
        if let Some(reason) = reason {
            payload["reason"] = json!(reason);
        }
        if let Some(words) = match_words {
            payload["match"] = json!(words);
        }
        if let Some(digest) = supersedes {
            payload["supersedes"] = json!(digest.to_string());
        }
        payload
    }

    /// Reads its payload: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, MemberError> {
        let mut members = Members::of(value)?;
        let (server, pep) = audiences(&members.array("aud")?)?;
        let vote = Self {
            key_thumbprint: key_thumbprint(&members.str("iss")?)?,
            sub_id: members.sub_id("sub_id")?,
            server,
            pep,
            jti: members.bounded("jti", MAX_ID_BYTES)?,
            iat: members.time("iat")?,
            exp: members.time("exp")?,
            txn: members.txn("txn")?,
            vote: choice(&members.str("vote")?)?,
            operation_digest: members.digest("operation_digest")?,
            request_jws_digest: members.digest("request_jws_digest")?,
            nonce: members.bounded("nonce", MAX_ID_BYTES)?,
            binding_id: members.digest("binding_id")?,
            policy_digest: members.digest("policy_digest")?,
            stage: stage(&mut members)?,
            prior: prior(&mut members)?,
            display: display(&mut members)?,
            consent_jkt: members.opt_digest("consent_jkt")?,
            reason: members.opt_bounded("reason", MAX_REASON_BYTES)?,
            match_words: members.opt_bounded("match", 64)?,
            supersedes: members.opt_digest("supersedes")?,
        };
        members.finish()?;
        Ok(vote)
    }
}

fn key_thumbprint(iss: &str) -> Result<Digest, MemberError> {
    iss.strip_prefix(THUMBPRINT_URI)
        .and_then(|text| Digest::parse(text).ok())
        .ok_or(MemberError::wrong("iss", "a thumbprint URI (RFC 9278)"))
}

fn audiences(aud: &[Value]) -> Result<(ServerId, PepId), MemberError> {
    let wrong = || MemberError::wrong("aud", "[server id, gate id]");
    let [Value::String(server), Value::String(pep)] = aud else {
        return Err(wrong());
    };
    Ok((
        ServerId::parse(server).map_err(|_| wrong())?,
        PepId::parse(pep).map_err(|_| wrong())?,
    ))
}

fn choice(text: &str) -> Result<Choice, MemberError> {
    match text {
        "approve" => Ok(Choice::Approve),
        "deny" => Ok(Choice::Deny),
        _ => Err(MemberError::wrong("vote", "`approve` or `deny`")),
    }
}

fn stage(members: &mut Members) -> Result<Option<String>, MemberError> {
    match members.opt_str("stage")? {
        Some(name) if !Stage::is_name(&name) => Err(MemberError::wrong("stage", "a stage's name")),
        stage => Ok(stage),
    }
}

fn prior(members: &mut Members) -> Result<Vec<Digest>, MemberError> {
    let wrong = || MemberError::wrong("prior", "1 to 32 different digests of votes");
    let Some(value) = members.opt_value("prior") else {
        return Ok(Vec::new());
    };
    let items = value
        .as_array()
        .filter(|items| (1..=MAX_PRIOR).contains(&items.len()))
        .ok_or_else(wrong)?;
    let mut prior = Vec::new();
    for item in items {
        let digest = item.as_str().and_then(|text| Digest::parse(text).ok());
        match digest {
            Some(digest) if !prior.contains(&digest) => prior.push(digest),
            Some(_) | None => return Err(wrong()),
        }
    }
    Ok(prior)
}

fn display(members: &mut Members) -> Result<DisplayDigest, MemberError> {
    let mut inner = members.object("display")?;
    let display = DisplayDigest {
        renderer: inner.bounded("renderer", 64)?,
        sha256: inner.digest("sha256")?,
    };
    inner.finish()?;
    Ok(display)
}
