//! The one verification: what a gate checks by itself before it releases an operation (protocol, section 6),
//! in steps that the server (on a vote), the app's history and `countersign verify` share.
//!
//! Trust comes only from [`Trust`], which local configuration fills. Nothing in the evidence is an anchor, and
//! what could not be checked is said to be [`Outcome::NotProven`], never passed over. Specification:
//! `docs/spec/grant.md`.

mod bundle;
mod evidence;
mod report;
mod vote;

use countersign_model::{Operation, PepId, PolicyCheck, ServerId, UnixSecs};

use crate::jose::PublicKey;
use crate::op_token::{OpConfig, OpKeys};

pub use bundle::{OpenRequest, read_request_bundle, verify_request_bundle};
pub use evidence::{Evidence, EvidenceError, EvidenceVote};
pub use report::{Outcome, Refusal, Step, StepId, Verified};
pub use vote::{Person, VerifiedVote, verify_vote};

/// Clocks may differ by this much, in seconds.
pub const SKEW_SECS: i64 = 60;

/// What trust rests on: local configuration, and keys that the verifier fetched itself.
pub struct Trust<'a> {
    /// The server.
    pub server: &'a ServerId,
    /// Its keys (`rk`).
    pub server_keys: Vec<PublicKey>,
    /// The gate, and its key (`pk`).
    pub pep: (PepId, PublicKey),
    /// Trusted providers.
    pub ops: Vec<TrustedOp>,
    /// How long a binding lasts after its sign-in, in seconds.
    pub session_secs: u32,
    /// My own copy of the policy. Without one, requirement and people are not proven.
    pub policy: Option<&'a dyn PolicyCheck>,
}

/// A trusted provider.
#[derive(Debug, Clone)]
pub struct TrustedOp {
    /// How its tokens are read.
    pub config: OpConfig,
    /// Its keys, fetched from it. Without them, bindings by it are not proven.
    pub keys: Option<OpKeys>,
}

/// What only the gate knows, when it is about to execute.
pub struct Release<'a> {
    /// The gate itself.
    pub me: &'a PepId,
    /// The operation, rebuilt from what is about to be executed.
    pub rebuilt: &'a Operation,
    /// T0: when the gate made the nonce.
    pub asked_at: UnixSecs,
}

/// Verifies evidence. With `release`, everything must be proven, as of `now`; without, it is history, judged as
/// of the grant, and what this verifier was not given is [`Outcome::NotProven`].
pub fn verify(
    evidence: &Evidence,
    trust: &Trust<'_>,
    release: Option<&Release<'_>>,
    now: UnixSecs,
) -> Result<Verified, Refusal> {
    let _ = (evidence, trust, release, now);
    Err(Refusal::new(
        StepId::Operation,
        "not_built",
        "This build cannot verify evidence yet.",
    ))
}
