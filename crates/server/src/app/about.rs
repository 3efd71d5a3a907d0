//! A stored request as the use cases read it, who looks at it, and the one test of who may see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_evidence::documents::Request;
use countersign_lifecycle::Terms;
use countersign_model::{Operation, PolicyCheck, Subject, Txn, UnixSecs, Voter, b64u_decode, json};
use countersign_store::RequestRow;
use serde_json::Value;

use super::App;
use crate::refused::Refused;

/// A stored request, read.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) row: RequestRow,
    pub(crate) request: Arc<Request>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) about: About,
}

/// What decides who may see a request.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) voters: BTreeSet<Subject>,
    pub(crate) operation: Arc<Operation>,
    pub(crate) terms: Arc<Terms>,
}

/// Somebody who looks: an approver by their binding's newest claims.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) voter: Voter,
}

impl About {
    /// Names of its stages, in order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &str> {
        self.terms.stages.iter().map(|stage| stage.name.as_str())
    }
}

/// The one test: they asked, they voted, or the policy lets them vote. Stream, list, history and single
/// requests all use it.
pub(crate) fn may_see(policy: &dyn PolicyCheck, viewer: &Viewer, about: &About) -> bool {
    let who = &viewer.voter.subject;
    asked(who, about) || about.voters.contains(who) || may_vote_sometime(policy, viewer, about)
}

/// Whether the policy lets them vote: in any of the stages, where there are some. Who votes later sees it early.
pub(crate) fn may_vote_sometime(policy: &dyn PolicyCheck, viewer: &Viewer, about: &About) -> bool {
    let may = |stage: Option<&str>| {
        policy
            .may_vote(&viewer.voter, &about.operation, stage)
            .is_ok()
    };
    match about.terms.stages.as_slice() {
        [] => may(None),
        _ => about.stages().any(|stage| may(Some(stage))),
    }
}

/// Whether this person asked for it, in person or through an actor.
pub(crate) fn asked(who: &Subject, about: &About) -> bool {
    about.terms.is_requester(who)
}

impl App {
    /// A request as of now: when its time has run out, that is written first.
    pub(crate) async fn load(&self, txn: &Txn, now: UnixSecs) -> Result<Loaded, Refused> {
        self.expire_due(now).await?;
        let row = self
            .store
            .request(txn)
            .await?
            .ok_or_else(Refused::not_found)?;
        self.papers.load(row)
    }
}

/// The claims of a token that was verified when it was stored.
pub(crate) fn claims_of(token: &str) -> Option<Value> {
    let payload = b64u_decode(token.split('.').nth(1)?).ok()?;
    json::parse_foreign(&payload, json::OPERATION).ok()
}

/// What to call somebody, by their provider's words.
pub(crate) fn name_of(claims: &Value, subject: &Subject) -> String {
    const MAX_CHARS: usize = 100;
    let found = ["name", "preferred_username", "email"]
        .iter()
        .filter_map(|claim| claims.get(claim)?.as_str())
        .find(|text| !text.trim().is_empty());
    found
        .unwrap_or(&subject.sub)
        .chars()
        .take(MAX_CHARS)
        .collect()
}
