//! What a policy answers, as the other crates see it. `countersign-policy` implements it over Cedar.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Digest, Operation, Requirement, Subject};

/// Somebody who votes, as one token of their own provider describes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Voter {
    /// Who.
    pub subject: Subject,
    /// Groups, each written `<iss>#name`: the same name at another provider is another group.
    pub groups: BTreeSet<String>,
    /// All claims of that one token.
    pub claims: Value,
}

/// What the policy says about an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyAnswer {
    /// It needs no approval.
    Allow,
    /// It may not happen.
    Deny {
        /// The rule that denied, in a plain sentence.
        reason: String,
    },
    /// It may happen once people have approved it so.
    Approve(Requirement),
}

/// A policy that is loaded and valid. Total: any error inside is a denial.
pub trait PolicyCheck: Send + Sync {
    /// Over the policy's text.
    fn digest(&self) -> Digest;
    /// What it says about this operation.
    fn answer(&self, operation: &Operation) -> PolicyAnswer;
    /// Whether this person may vote on it; if not, why, in a plain sentence. The requester's exclusion and the
    /// counting of people are not the policy's: `countersign-evidence` does them.
    fn may_vote(&self, voter: &Voter, operation: &Operation) -> Result<(), String>;
    /// Who may vote on it, in words for people.
    fn who_may_vote(&self, operation: &Operation) -> String;
}
