//! The permit: in-process proof that one operation may be executed now, once.

use std::sync::Arc;

use countersign_api::http::Outcome;
use countersign_evidence::Verified;
use countersign_model::{Digest, Operation, Txn};

use crate::Pep;
use crate::refusal::{Refusal, Step};

/// One operation may be executed, once. Only [`crate::Pending::release`] makes one: of evidence in which every
/// step passed, a nonce that was spent for it, and a redemption. It cannot be copied, and is used up by
/// [`Permit::open`].
#[derive(Debug)]
#[must_use = "a permit that is dropped has spent its nonce for nothing"]
pub struct Permit {
    pep: Arc<Pep>,
    txn: Txn,
    operation_digest: Digest,
    verified: Verified,
    evidence: Vec<u8>,
    policy: Digest,
}

/// An operation that is being executed. Its outcome is to be told.
#[derive(Debug)]
#[must_use = "tell what came of it"]
pub struct Executing {
    pep: Arc<Pep>,
    txn: Txn,
    policy: Digest,
}

impl Permit {
    /// INVARIANT: the only constructor, private to this crate, called at one place.
    pub(crate) fn new(
        pep: Arc<Pep>,
        txn: Txn,
        verified: Verified,
        evidence: Vec<u8>,
        policy: Digest,
    ) -> Self {
        Self {
            pep,
            txn,
            operation_digest: verified.operation_digest(),
            verified,
            evidence,
            policy,
        }
    }

    /// The request's id.
    pub fn txn(&self) -> &Txn {
        &self.txn
    }

    /// What was verified, step by step.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The evidence, canonical. It holds tokens: for auditors only.
    pub fn evidence(&self) -> &[u8] {
        &self.evidence
    }

    /// Opens it for exactly this operation: the one that is executed next.
    pub fn open(self, operation: &Operation) -> Result<Executing, Refusal> {
        let Self {
            pep,
            txn,
            operation_digest,
            verified: _,
            evidence: _,
            policy,
        } = self;
        if operation.digest() != operation_digest {
            let refusal = Refusal::denied(
                Step::Execution,
                "other_operation",
                "what is about to be executed is not what was approved",
            );
            pep.tell(txn, None, Some(refusal.code.to_string()), policy);
            return Err(refusal);
        }
        Ok(Executing { pep, txn, policy })
    }
}

impl Executing {
    /// It was executed; for HTTP with the upstream's status.
    pub fn executed(self, status: Option<u16>) {
        let Self { pep, txn, policy } = self;
        pep.tell(txn, status, None, policy);
    }

    /// It went wrong on the way: whether it was executed is not known.
    pub fn failed(self, why: &str) {
        let Self { pep, txn, policy } = self;
        pep.tell(txn, None, Some(why.to_owned()), policy);
    }
}

/// What is reported: executed unless something refused.
pub(crate) fn outcome(status: Option<u16>, refusal: Option<String>, policy: Digest) -> Outcome {
    Outcome {
        executed: refusal.is_none(),
        status,
        refusal,
        policy_digest: policy.to_string(),
    }
}
