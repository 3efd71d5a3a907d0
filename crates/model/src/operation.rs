//! The operation: what is asked, shown, signed and executed. Specification: `docs/spec/operation.md`.
//!
//! An [`Operation`] holds a value that has one canonical form, and what was read from exactly this value. It does not
//! know what an action means; gates build it, `countersign-display` shows it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::json::{self, Refused};
use crate::{Digest, MemberError, Members, Nonce, PepId, Subject};

static ABSENT: Value = Value::Null;

/// An AuthZEN evaluation tuple, read strictly.
#[derive(Clone)]
pub struct Operation {
    /// Written out when somebody asks: a gate asks its policy about many calls that nobody has to approve.
    canonical: OnceLock<Canonical>,
    value: Value,
    subject: Subject,
    subject_type: String,
    act_chain: Vec<Subject>,
    action: String,
    resource_type: String,
    resource_id: String,
    pep: PepId,
    nonce: Nonce,
    justification: Option<String>,
    ticket: Option<String>,
}

#[derive(Clone)]
struct Canonical {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Canonical {
    fn of(bytes: Vec<u8>) -> Self {
        Self {
            digest: Digest::of(&bytes),
            bytes,
        }
    }
}

/// Why bytes are no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The strict reader refused them.
    #[error("the operation cannot be read without doubt: {0}")]
    Json(#[from] Refused),
    /// They are good JSON of another shape.
    #[error("the operation's `{part}` is not as it must be: {error}")]
    Shape {
        /// Which of subject, action, resource, context; `operation` for the whole.
        part: &'static str,
        /// What is wrong.
        error: MemberError,
    },
}

impl OperationError {
    /// The rule that refused, as a stable name.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Json(refused) => refused.rule(),
            Self::Shape { .. } => "operation_shape",
        }
    }
}

impl Operation {
    /// Reads bytes that must be in canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, OperationError> {
        let value = json::parse_canonical(bytes, json::OPERATION)?;
        Self::from_strict(Canonical::of(bytes.to_vec()).into(), value)
    }

    /// Makes an operation of a value that was put together here, or that came as part of a larger JSON text.
    ///
    /// The value must obey the strict rules. Whether *its text* did, duplicates for example, only the reader
    /// of that text can know: read it with [`json::parse`].
    pub fn build(value: Value) -> Result<Self, OperationError> {
        json::check(&value, json::OPERATION)?;
        Self::from_strict(OnceLock::new(), value)
    }

    fn from_strict(canonical: OnceLock<Canonical>, value: Value) -> Result<Self, OperationError> {
        let whole = |error| OperationError::Shape {
            part: "operation",
            error,
        };
        let part = |part| move |error| OperationError::Shape { part, error };
        let mut members = Members::of(&value).map_err(whole)?;
        let subject = members.value("subject").map_err(whole)?;
        let action = members.value("action").map_err(whole)?;
        let resource = members.value("resource").map_err(whole)?;
        let context = members.value("context").map_err(whole)?;
        members.finish().map_err(whole)?;

        let (subject_type, subject, act_chain) = read_subject(&subject).map_err(part("subject"))?;
        let action = read_action(&action).map_err(part("action"))?;
        let (resource_type, resource_id) = read_resource(&resource).map_err(part("resource"))?;
        let context = read_context(&context).map_err(part("context"))?;
        Ok(Self {
            canonical,
            value,
            subject,
            subject_type,
            act_chain,
            action,
            resource_type,
            resource_id,
            pep: context.pep,
            nonce: context.nonce,
            justification: context.justification,
            ticket: context.ticket,
        })
    }

    /// The canonical bytes: what is transmitted, shown and signed.
    pub fn bytes(&self) -> &[u8] {
        &self.canonical().bytes
    }

    /// `H(bytes)`.
    pub fn digest(&self) -> Digest {
        self.canonical().digest
    }

    fn canonical(&self) -> &Canonical {
        self.canonical
            .get_or_init(|| Canonical::of(json::canonical(&self.value)))
    }

    /// The whole tuple.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The requester.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// `subject.type`, such as `user`.
    pub fn subject_type(&self) -> &str {
        &self.subject_type
    }

    /// `subject.properties.claims`, or null.
    pub fn claims(&self) -> &Value {
        self.at("/subject/properties/claims")
    }

    /// Who acts for the requester (RFC 8693, `act`), the nearest first.
    pub fn act_chain(&self) -> Vec<Subject> {
        self.act_chain.clone()
    }

    /// `action.name`.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// `action.properties`, or null.
    pub fn action_properties(&self) -> &Value {
        self.at("/action/properties")
    }

    /// `resource.type`.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// `resource.id`.
    pub fn resource_id(&self) -> &str {
        &self.resource_id
    }

    /// `resource.properties`, or null.
    pub fn resource_properties(&self) -> &Value {
        self.at("/resource/properties")
    }

    /// The gate that asks.
    pub fn pep(&self) -> &PepId {
        &self.pep
    }

    /// The gate's nonce for this one operation.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// Why, in the requester's own words.
    pub fn justification(&self) -> Option<&str> {
        self.justification.as_deref()
    }

    /// A ticket that the requester names.
    pub fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }

    fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&ABSENT)
    }
}

impl PartialEq for Operation {
    /// Of the values, which have one canonical form each.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl std::fmt::Debug for Operation {
    /// The digest only: the text of an operation never goes to a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

fn name(members: &mut Members, member: &'static str) -> Result<String, MemberError> {
    let text = members.str(member)?;
    if json::fits_name(&text) {
        Ok(text)
    } else {
        Err(MemberError::wrong(member, "a name"))
    }
}

fn opt_object(members: &mut Members, member: &'static str) -> Result<Option<Value>, MemberError> {
    match members.opt_value(member) {
        Some(value) if !value.is_object() => Err(MemberError::wrong(member, "an object")),
        other => Ok(other),
    }
}

fn read_subject(value: &Value) -> Result<(String, Subject, Vec<Subject>), MemberError> {
    let mut members = Members::of(value)?;
    let kind = name(&mut members, "type")?;
    let id = members.str("id")?;
    let subject = Subject::parse(&id).map_err(|_| MemberError::wrong("id", "`<iss>|<sub>`"))?;
    let mut act_chain = Vec::new();
    if let Some(properties) = opt_object(&mut members, "properties")? {
        let mut properties = Members::of(&properties)?;
        for known in ["claims", "device", "location"] {
            opt_object(&mut properties, known)?;
        }
        let mut act = opt_object(&mut properties, "act")?;
        while let Some(actor) = act {
            let mut actor = Members::of(&actor)?;
            let iss = actor.issuer("iss")?;
            let sub = actor.str("sub")?;
            act = opt_object(&mut actor, "act")?;
            actor.finish()?;
            act_chain
                .push(Subject::new(iss, &sub).map_err(|_| MemberError::wrong("sub", "a subject"))?);
        }
        properties.finish()?;
    }
    members.finish()?;
    Ok((kind, subject, act_chain))
}

fn read_action(value: &Value) -> Result<String, MemberError> {
    let mut members = Members::of(value)?;
    let action = name(&mut members, "name")?;
    opt_object(&mut members, "properties")?;
    members.finish()?;
    Ok(action)
}

fn read_resource(value: &Value) -> Result<(String, String), MemberError> {
    let mut members = Members::of(value)?;
    let kind = name(&mut members, "type")?;
    let id = members.bounded("id", 1024)?;
    opt_object(&mut members, "properties")?;
    members.finish()?;
    Ok((kind, id))
}

struct Context {
    pep: PepId,
    nonce: Nonce,
    justification: Option<String>,
    ticket: Option<String>,
}

fn read_context(value: &Value) -> Result<Context, MemberError> {
    let mut members = Members::of(value)?;
    let pep = members.pep("pep")?;
    let nonce = members.str("nonce")?;
    let nonce =
        Nonce::parse(&nonce).map_err(|_| MemberError::wrong("nonce", "128 bits in base64url"))?;
    let justification = members.opt_bounded("justification", 4096)?;
    let ticket = members.opt_bounded("ticket", 256)?;
    members.finish()?;
    Ok(Context {
        pep,
        nonce,
        justification,
        ticket,
    })
}
