//! The operation: what is asked, shown, signed and executed. Specification: `docs/spec/operation.md`.
//!
//! An [`Operation`] holds a value that has one canonical form, and what was read from exactly this value. It does not
//! know what an action means; gates build it, `countersign-display` shows it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::json::{self, Refused};
use crate::{Digest, MemberError, Nonce, PepId, Subject};

mod read;

static ABSENT: Value = Value::Null;

/// An AuthZEN evaluation tuple, read strictly.
#[derive(Clone)]
pub struct Operation {
    /// Written out when somebody asks: a gate asks its policy about many calls that nobody has to approve.
    canonical: OnceLock<Canonical>,
    value: Value,
    read: read::Read,
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
        let read =
            read::read(&value).map_err(|(part, error)| OperationError::Shape { part, error })?;
        Ok(Self {
            canonical,
            value,
            read,
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
        &self.read.subject
    }

    /// `subject.type`, such as `user`.
    pub fn subject_type(&self) -> &str {
        &self.read.subject_type
    }

    /// `subject.properties.claims`, or null.
    pub fn claims(&self) -> &Value {
        self.at(&["subject", "properties", "claims"])
    }

    /// Who acts for the requester (RFC 8693, `act`), the nearest first.
    pub fn act_chain(&self) -> &[Subject] {
        &self.read.act_chain
    }

    /// `action.name`.
    pub fn action(&self) -> &str {
        &self.read.action
    }

    /// `action.properties`, or null.
    pub fn action_properties(&self) -> &Value {
        self.at(&["action", "properties"])
    }

    /// `resource.type`.
    pub fn resource_type(&self) -> &str {
        &self.read.resource_type
    }

    /// `resource.id`.
    pub fn resource_id(&self) -> &str {
        &self.read.resource_id
    }

    /// `resource.properties`, or null.
    pub fn resource_properties(&self) -> &Value {
        self.at(&["resource", "properties"])
    }

    /// The gate that asks.
    pub fn pep(&self) -> &PepId {
        &self.read.pep
    }

    /// The gate's nonce for this one operation.
    pub fn nonce(&self) -> &Nonce {
        &self.read.nonce
    }

    /// Why, in the requester's own words.
    pub fn justification(&self) -> Option<&str> {
        self.read.justification.as_deref()
    }

    /// A ticket that the requester names.
    pub fn ticket(&self) -> Option<&str> {
        self.read.ticket.as_deref()
    }

    fn at(&self, path: &[&str]) -> &Value {
        path.iter()
            .try_fold(&self.value, |value, name| value.get(*name))
            .unwrap_or(&ABSENT)
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
