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

/// What an access token must have, so that an operation may be asked for with it (RFC 6750, section 3.1;
/// RFC 9470). Empty asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRule {
    /// Scopes with one space between, as OAuth writes lists: all of them are among its scopes.
    pub scope: Option<String>,
    /// Its `acr` is one of these; any, where there are none.
    pub acr: Vec<String>,
    /// How long ago its person may have signed in, in seconds.
    pub max_age_secs: Option<u32>,
}

/// A policy that is loaded and valid. Total: any error inside is a denial.
pub trait PolicyCheck: Send + Sync {
    /// Over the policy's text.
    fn digest(&self) -> Digest;
    /// What it says about this operation.
    fn answer(&self, operation: &Operation) -> PolicyAnswer;
    /// Whether this person may vote on it; if not, why, in a plain sentence. The requester's exclusion and the
    /// counting of people are not the policy's: `countersign-evidence` does them.
    /// Where the requirement has stages, `stage` names the one that the vote is for; else it is none.
    fn may_vote(
        &self,
        voter: &Voter,
        operation: &Operation,
        stage: Option<&str>,
    ) -> Result<(), String>;
    /// Who may vote on it, in words for people; in a stage where one is named.
    fn who_may_vote(&self, operation: &Operation, stage: Option<&str>) -> String;
    /// What the caller's own access token must have for this very operation. Approvals are judged after it.
    fn token_rule(&self, operation: &Operation) -> TokenRule;
    /// How long after a denial the same operation may not be asked for again, in seconds; none where it may.
    fn cool_down_secs(&self, operation: &Operation) -> Option<u32> {
        let _ = operation;
        None
    }
    /// Whether any rule looks at the size of a call's body. Where none does, a gate need not wait for the size.
    fn looks_at_body_size(&self) -> bool {
        true
    }
}
