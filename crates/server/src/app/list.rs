//! A request as an approver's agent gets it, one by one and as the list of open ones.

use countersign_api::http::{BeforeView, Locked, RequestList, RequestView, VoteView};
use countersign_lifecycle::State;
use countersign_model::{Txn, b64u};

use super::App;
use super::about::{Loaded, Viewer, asked, may_see};
use super::change::state_of;
use crate::refused::Refused;

/// Requests in one list.
const MAX_LISTED: usize = 500;
/// Open requests that are looked through for one list.
const MAX_SCANNED: usize = 5_000;
/// Bytes of one list, roughly: what is over is found by the next, as others leave it.
pub(crate) const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// Past requests on one card.
const MAX_BEFORE: usize = 20;

impl App {
    /// Open requests that this person sees, most urgent first.
    pub(crate) async fn list(&self, viewer: &Viewer) -> Result<RequestList, Refused> {
        // Read before the requests: the list is at least as new as this number.
        let (_, seq) = self.store.event_range().await?;
        self.expire_due(self.now()).await?;
        let mut requests = Vec::new();
        let mut bytes = 0;
        for row in self.store.pending(MAX_SCANNED).await? {
            let loaded = Loaded::of(row)?;
            if !may_see(&*self.policy, viewer, &loaded.about) {
                continue;
            }
            let view = self.view(viewer, &loaded).await?;
            bytes += size_of_view(&view);
            if requests.len() == MAX_LISTED || bytes > MAX_LIST_BYTES {
                break;
            }
            requests.push(view);
        }
        Ok(RequestList { requests, seq })
    }

    /// One request, open or not.
    pub(crate) async fn show(&self, viewer: &Viewer, txn: &Txn) -> Result<RequestView, Refused> {
        let loaded = self.load(txn, self.now()).await?;
        if !may_see(&*self.policy, viewer, &loaded.about) {
            return Err(Refused::not_found());
        }
        self.view(viewer, &loaded).await
    }

    /// What this person's agent renders from: bytes and signatures.
    pub(crate) async fn view(
        &self,
        viewer: &Viewer,
        loaded: &Loaded,
    ) -> Result<RequestView, Refused> {
        let row = &loaded.row;
        let locked = self.locked(viewer, loaded);
        let mut before = self.store.before(row, MAX_BEFORE).await?;
        before.reverse();
        let challenge = self.may_still_vote(viewer, loaded, locked);
        Ok(RequestView {
            txn: row.txn.to_string(),
            request_jws: row.request_jws.clone(),
            ask_jws: row.ask_jws.clone(),
            operation_b64: b64u(&row.operation),
            challenge: challenge.then(|| self.secrets.challenge(&row.txn, &viewer.voter.subject)),
            state: state_of(row.state.kind()),
            ended_at: row.state.ended_at().map(|at| at.0),
            votes: row
                .votes
                .iter()
                .map(|vote| VoteView {
                    jws: vote.jws.clone(),
                    name: vote.name.clone(),
                    iss: vote.person.iss.to_string(),
                    sub: vote.person.sub.clone(),
                    at: vote.at.0,
                    step_up: None,
                })
                .collect(),
            who_may_vote: self.policy.who_may_vote(&loaded.about.operation, None),
            stages: Vec::new(),
            stage: None,
            locked,
            noticed: Vec::new(),
            denied_before: None,
            before: before
                .into_iter()
                .map(|(kind, at)| BeforeView {
                    state: state_of(kind),
                    at: at.0,
                })
                .collect(),
            outcome: row
                .outcome
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok()),
        })
    }

    /// Why this person cannot vote, where they cannot.
    fn locked(&self, viewer: &Viewer, loaded: &Loaded) -> Option<Locked> {
        let who = &viewer.voter.subject;
        if !matches!(loaded.row.state, State::Pending(_)) {
            return Some(Locked::Closed);
        }
        if asked(who, &loaded.about) {
            return Some(Locked::OwnRequest);
        }
        if loaded
            .row
            .state
            .votes()
            .iter()
            .any(|vote| vote.subject == *who)
        {
            return Some(Locked::Voted);
        }
        let may = self
            .policy
            .may_vote(&viewer.voter, &loaded.about.operation, None);
        may.is_err().then_some(Locked::NotEligible)
    }

    /// Who has approved may still deny until the grant is used: they get the challenge too.
    fn may_still_vote(&self, viewer: &Viewer, loaded: &Loaded, locked: Option<Locked>) -> bool {
        let counted = || {
            loaded
                .row
                .state
                .votes()
                .iter()
                .any(|vote| vote.subject == viewer.voter.subject)
        };
        match (locked, &loaded.row.state) {
            (None | Some(Locked::Voted), _) => true,
            (Some(Locked::Closed), State::Approved(_)) => counted(),
            (Some(Locked::OwnRequest | Locked::NotEligible | Locked::Closed), _) => false,
        }
    }
}

/// Roughly what a view weighs on the wire.
pub(crate) fn size_of_view(view: &RequestView) -> usize {
    let votes: usize = view.votes.iter().map(|vote| vote.jws.len() + 512).sum();
    view.operation_b64.len() + view.request_jws.len() + view.ask_jws.len() + votes + 2_048
}
