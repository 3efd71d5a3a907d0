//! A stored request as the use cases read it, who looks at it, and the one test of who may see it.

use std::collections::BTreeSet;

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
    pub(crate) request: Request,
    pub(crate) terms: Terms,
    pub(crate) about: About,
}

/// What decides who may see a request.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) requester: Subject,
    pub(crate) acting: BTreeSet<Subject>,
    pub(crate) voters: BTreeSet<Subject>,
    pub(crate) operation: Operation,
    /// Names of its stages, in order.
    pub(crate) stages: Vec<String>,
}

/// Somebody who looks: an approver by their binding's newest claims.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) voter: Voter,
}

impl Loaded {
    pub(crate) fn of(row: RequestRow) -> Result<Loaded, Refused> {
        let broken =
            |what: &dyn std::fmt::Display| Refused::broken("a stored request cannot be read", what);
        // What this server wrote is its own word: signatures are checked where votes and grants are judged.
        let (_, request) = Request::unverified(&row.request_jws).map_err(|error| broken(&error))?;
        let operation = Operation::parse(&row.operation).map_err(|error| broken(&error))?;
        let acting: BTreeSet<Subject> = operation.act_chain().iter().cloned().collect();
        let terms = Terms {
            by: request.requirement.by,
            approvals: request.requirement.approvals,
            stages: request.requirement.stages.clone(),
            requester: row.requester.clone(),
            acting: acting.clone(),
            vote_until: row.vote_until,
            grant_secs: request.requirement.grant_secs,
        };
        let about = About {
            requester: row.requester.clone(),
            acting,
            voters: row.votes.iter().map(|vote| vote.person.clone()).collect(),
            operation,
            stages: terms
                .stages
                .iter()
                .map(|stage| stage.name.clone())
                .collect(),
        };
        Ok(Loaded {
            row,
            request,
            terms,
            about,
        })
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
    match about.stages.as_slice() {
        [] => may(None),
        stages => stages.iter().any(|stage| may(Some(stage))),
    }
}

/// Whether this person asked for it, in person or through an actor.
pub(crate) fn asked(who: &Subject, about: &About) -> bool {
    *who == about.requester || about.acting.contains(who)
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
        Loaded::of(row)
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
