//! A request as an approver's agent gets it, one by one and as the list of open ones.

use std::collections::BTreeMap;

use countersign_api::http::{
    BeforeView, DeniedBefore, Locked, Noticed, OpenStage, RequestList, RequestView, StageView,
    StepUpMeans, VoteView,
};
use countersign_evidence::verify::StepUpEvidence;
use countersign_lifecycle::{Choice, State};
use countersign_model::{By, PolicyCheck, Stage, Txn, b64u};
use countersign_store::{RequestRow, SeenKind, VoteRow};

use super::App;
use super::about::{Loaded, Viewer, asked, may_see};
use super::absence::Board;
use super::change::state_of;
use super::evidence::read_step_up;
use crate::refused::Refused;

/// Requests in one list.
const MAX_LISTED: usize = 500;
/// Open requests that are looked through for one list, apart from those that the person asked for or voted on.
const MAX_SCANNED: usize = 20_000;
/// Read at once.
const BATCH: usize = 500;
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
        let board = self.board().await?;
        for loaded in self.visible(viewer).await? {
            let view = self.view_with(viewer, &loaded, &board).await?;
            bytes += size_of_view(&view);
            if bytes > MAX_LIST_BYTES {
                break;
            }
            requests.push(view);
        }
        Ok(RequestList { requests, seq })
    }

    /// Open requests that this person sees, most urgent first, at most [`MAX_LISTED`]: those that they have to do with
    /// by the store's index, and those that the policy lets them vote on by asking it about one batch after the other.
    async fn visible(&self, viewer: &Viewer) -> Result<Vec<Loaded>, Refused> {
        let policy = self.policy();
        let mut found = BTreeMap::new();
        let mut take = |rows: Vec<RequestRow>| {
            // What cannot be read is logged; the others are listed.
            for loaded in rows.into_iter().flat_map(|row| self.papers.load(row)) {
                if may_see(&*policy, viewer, &loaded.about) {
                    found.insert((loaded.row.vote_until, loaded.row.key), loaded);
                }
            }
            found.len()
        };
        let theirs = self.store.pending_of(&viewer.voter.subject, MAX_LISTED);
        take(theirs.await?);
        let (mut after, mut scanned) = (None, 0);
        loop {
            let rows = self.store.pending(after, BATCH).await?;
            let read = rows.len();
            scanned += read;
            after = rows.last().map(|row| (row.vote_until, row.key));
            if take(rows) >= MAX_LISTED || read < BATCH || scanned >= MAX_SCANNED {
                break;
            }
        }
        Ok(found.into_values().take(MAX_LISTED).collect())
    }

    /// One request, open or not.
    pub(crate) async fn show(&self, viewer: &Viewer, txn: &Txn) -> Result<RequestView, Refused> {
        let loaded = self.load(txn, self.now()).await?;
        if !may_see(&*self.policy(), viewer, &loaded.about) {
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
        let board = self.board_for(&loaded.row.state).await?;
        self.view_with(viewer, loaded, &board).await
    }

    /// The same, for many at once.
    async fn view_with(
        &self,
        viewer: &Viewer,
        loaded: &Loaded,
        board: &Board,
    ) -> Result<RequestView, Refused> {
        let row = &loaded.row;
        let policy = self.policy();
        let locked = locked(&*policy, viewer, loaded);
        let mut before = self.store.before(row, MAX_BEFORE).await?;
        before.reverse();
        let challenge = may_still_vote(viewer, loaded, locked);
        let denied_before = self.store.denied(row.same, Some(row.key)).await?;
        let open = row.state.open_stage(&loaded.terms);
        let (away, others_can) = board.of(&*policy, loaded, Some(&viewer.voter.subject));
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
                    step_up: vote.step_up.as_deref().and_then(means_of),
                    void: is_void(&row.state, vote),
                })
                .collect(),
            who_may_vote: policy.who_may_vote(
                &loaded.about.operation,
                open.map(|stage| stage.name.as_str()),
            ),
            stages: stages(&*policy, loaded),
            stage: open.map(|stage| OpenStage {
                name: stage.name.clone(),
                prior: row
                    .state
                    .prior(&loaded.terms)
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            }),
            locked,
            noticed: row.first.iter().copied().map(noticed).collect(),
            denied_before: denied_before.map(|denial| DeniedBefore {
                at: denial.at.0,
                by: denial.by,
                reason: denial.reason,
            }),
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
            away,
            others_can,
        })
    }
}

/// Why this person cannot vote, where they cannot.
fn locked(policy: &dyn PolicyCheck, viewer: &Viewer, loaded: &Loaded) -> Option<Locked> {
    let who = &viewer.voter.subject;
    if !matches!(loaded.row.state, State::Pending(_)) {
        return Some(Locked::Closed);
    }
    match loaded.terms.by {
        By::Others if asked(who, &loaded.about) => return Some(Locked::OwnRequest),
        By::Requester if *who != loaded.terms.requester => return Some(Locked::NotEligible),
        By::Others | By::Requester => {}
    }
    if has_counted(viewer, loaded) {
        return Some(Locked::Voted);
    }
    let open = loaded.row.state.open_stage(&loaded.terms);
    let stage = open.map(|stage| stage.name.as_str());
    let operation = &loaded.about.operation;
    if policy.may_vote(&viewer.voter, operation, stage).is_ok() {
        return None;
    }
    let later = || {
        let stages = loaded.about.stages();
        stages
            .skip_while(|name| Some(*name) != stage)
            .skip(1)
            .any(|name| {
                policy
                    .may_vote(&viewer.voter, operation, Some(name))
                    .is_ok()
            })
    };
    Some(if stage.is_some() && later() {
        Locked::NotYet
    } else {
        Locked::NotEligible
    })
}

fn has_counted(viewer: &Viewer, loaded: &Loaded) -> bool {
    let votes = loaded.row.state.votes();
    votes
        .iter()
        .any(|vote| vote.subject == viewer.voter.subject)
}

/// Who has approved may still deny until the grant is used: they get the challenge too.
fn may_still_vote(viewer: &Viewer, loaded: &Loaded, locked: Option<Locked>) -> bool {
    match (locked, &loaded.row.state) {
        (None | Some(Locked::Voted), _) => true,
        (Some(Locked::Closed), State::Approved(_)) => has_counted(viewer, loaded),
        (Some(Locked::OwnRequest | Locked::NotEligible | Locked::NotYet | Locked::Closed), _) => {
            false
        }
    }
}

fn stages(policy: &dyn PolicyCheck, loaded: &Loaded) -> Vec<StageView> {
    let votes = loaded.row.state.votes();
    let view = |stage: &Stage| {
        let given = votes
            .iter()
            .filter(|vote| vote.stage.as_ref() == Some(&stage.name));
        StageView {
            name: stage.name.clone(),
            approvals: u32::try_from(given.count()).unwrap_or(u32::MAX),
            needed: stage.approvals,
            who_may_vote: policy.who_may_vote(&loaded.about.operation, Some(&stage.name)),
        }
    };
    loaded.terms.stages.iter().map(view).collect()
}

fn means_of(step_up: &str) -> Option<StepUpMeans> {
    Some(match read_step_up(step_up)? {
        StepUpEvidence::Oidc { .. } => StepUpMeans::Oidc,
        StepUpEvidence::Webauthn { .. } => StepUpMeans::Webauthn,
    })
}

fn noticed(first: SeenKind) -> Noticed {
    match first {
        SeenKind::Requester => Noticed::FirstTimeRequester,
        SeenKind::Resource => Noticed::FirstTimeResource,
        SeenKind::Device => Noticed::NewDevice,
        SeenKind::Place => Noticed::NewPlace,
        SeenKind::Client => Noticed::NewClient,
    }
}

/// Roughly what a view weighs on the wire.
pub(crate) fn size_of_view(view: &RequestView) -> usize {
    let votes: usize = view.votes.iter().map(|vote| vote.jws.len() + 512).sum();
    view.operation_b64.len() + view.request_jws.len() + view.ask_jws.len() + votes + 2_048
}

/// An approval that was counted, and counts no more.
fn is_void(state: &State, vote: &VoteRow) -> bool {
    let counts = state
        .votes()
        .iter()
        .any(|counted| counted.digest == vote.digest);
    vote.choice == Choice::Approve && !counts
}
