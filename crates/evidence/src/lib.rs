//! Everything that is signed, and the one verification.
//!
//! - [`jose`]: the few JWS that this protocol defines, by hand, because no library knows them strictly
//! - [`documents`]: binding statement, proof of possession, ask, request, vote, grant, gate token
//! - [`dpop`]: RFC 9449, for the agent's own calls
//! - [`op_token`]: tokens of an OpenID provider: ID tokens and access tokens
//! - [`verify`]: what a gate checks by itself before it releases an operation, in steps that the server (on a
//!   vote), the app's history and `countersign verify` share
//!
//! Pure: keys, times and random bytes are parameters. **The server is not trusted**: nothing here takes a key
//! from the evidence as an anchor. Specification: `docs/spec/`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(test)]
extern crate self as countersign_evidence;

mod check;
pub mod documents;
pub mod dpop;
pub mod jose;
pub mod op_token;
pub mod verify;

pub use documents::{
    Ask, Choice, Grant, GrantVote, PepToken, Pop, Request, Statement, Vote, jws_digest,
};
pub use jose::{Alg, PublicKey, SecretKey};
pub use verify::{
    Before, Evidence, EvidenceVote, Refusal, Release, StepId, StepUpEvidence, Trust, TrustedOp,
    Verified,
};
