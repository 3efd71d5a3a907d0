//! The vocabulary that all parts of Countersign share: what an operation is, how it is read without doubt,
//! hashed and named, what a policy may demand for it, and who is who.
//!
//! Pure: no clock, no randomness, no I/O. It knows nothing of signatures (`countersign-evidence`), of Cedar
//! (`countersign-policy`) or of the wire (`countersign-api`). Its specification is `docs/spec/operation.md`
//! and, for the requirement, `docs/spec/ask.md`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod digest;
mod ids;
pub mod json;
mod members;
mod operation;
mod person;
mod policy;
mod requirement;
mod time;
mod words;

pub use digest::{Digest, NotBase64Url, NotDigest, b64u, b64u_decode};
pub use ids::{BadId, Issuer, Nonce, PepId, ServerId, Subject, Txn};
pub use members::{Elements, MemberError, Members};
pub use operation::{Operation, OperationError};
pub use person::{NotPerson, Person};
pub use policy::{PolicyAnswer, PolicyCheck, TokenRule, Voter};
pub use requirement::{
    By, Laxer, MatchWords, NotifyButtons, ReasonRule, Requirement, Stage, StepUp,
};
pub use time::{Clock, UnixSecs};
pub use words::matching_words;
