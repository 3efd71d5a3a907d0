//! A request as ARAP's task: what a gate and a requester are told.

use std::time::Duration;

use countersign_api::http::{Approval, Progress, Task, TaskLinks, TaskResult, TaskStatus};
use countersign_lifecycle::{Choice, State};
use countersign_model::Txn;

use super::about::{Loaded, asked};
use super::evidence::evidence_of;
use super::{App, Caller};
use crate::refused::Refused;

/// The longest that an answer is held.
pub(crate) const MAX_WAIT_SECS: u64 = 60;

/// Whether the task is for the gate that asked: evidence is for nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForPep {
    Yes,
    No,
}

impl App {
    /// A request that this caller asked for.
    pub(crate) async fn own(&self, caller: &Caller, txn: &Txn) -> Result<Loaded, Refused> {
        let loaded = self.load(txn, self.now()).await?;
        let theirs = match caller {
            Caller::Pep(pep) => loaded.row.pep == *pep,
            Caller::Requester(who) => asked(who, &loaded.about),
        };
        if theirs {
            Ok(loaded)
        } else {
            Err(Refused::not_found())
        }
    }

    /// Reads a task. While nothing changes and it is pending, the answer is held so long.
    pub(crate) async fn read_task(
        &self,
        caller: &Caller,
        txn: &Txn,
        wait: Duration,
    ) -> Result<Task, Refused> {
        let loaded = self.read_after(caller, txn, wait, None).await?;
        self.task(&loaded, for_pep(caller)).await
    }

    /// The request once it is no longer at `version` (the one that is found, unless told), or no longer pending,
    /// or the time is over.
    pub(crate) async fn read_after(
        &self,
        caller: &Caller,
        txn: &Txn,
        wait: Duration,
        version: Option<i64>,
    ) -> Result<Loaded, Refused> {
        let wait = wait.min(Duration::from_secs(MAX_WAIT_SECS));
        if wait.is_zero() {
            return self.own(caller, txn).await;
        }
        // The watch comes first: what changes after the reading is not missed.
        let mut watch = self.feed.watch(txn);
        let mut loaded = self.own(caller, txn).await?;
        let version = version.unwrap_or(loaded.row.version);
        // Without room for another waiter the answer comes at once: the caller asks again.
        let Ok(_room) = self.waiting.try_acquire() else {
            return Ok(loaded);
        };
        let deadline = tokio::time::Instant::now() + wait;
        while loaded.row.version == version && matches!(loaded.row.state, State::Pending(_)) {
            let waited = tokio::select! {
                waited = tokio::time::timeout_at(deadline, watch.next()) => waited.is_ok(),
                () = self.stop.cancelled() => false,
            };
            if !waited {
                break;
            }
            loaded = self.own(caller, txn).await?;
        }
        Ok(loaded)
    }

    /// The task as it stands.
    pub(crate) async fn task(&self, loaded: &Loaded, for_pep: ForPep) -> Result<Task, Refused> {
        let row = &loaded.row;
        let this = self.url(&format!("/access/v1/requests/{}", row.txn));
        Ok(Task {
            id: row.txn.to_string(),
            status: status(&row.state),
            expires_at: row.vote_until.0,
            links: TaskLinks {
                cancel: format!("{this}/cancel"),
                events: format!("{this}/events"),
                this,
            },
            result: self.result(loaded, for_pep),
            progress: self.progress(loaded).await?,
        })
    }

    fn result(&self, loaded: &Loaded, for_pep: ForPep) -> Option<TaskResult> {
        let (approved_at, approved_until) = match &loaded.row.state {
            State::Approved(it) => (it.at, it.until),
            State::Redeemed(it) => (it.approved_at, it.until),
            State::Pending(_)
            | State::Denied(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_) => return None,
        };
        let evidence = match for_pep {
            ForPep::Yes => evidence_of(&loaded.row).map(|evidence| evidence.to_value()),
            ForPep::No => None,
        };
        Some(TaskResult {
            mode: "reevaluate".to_owned(),
            approval: Approval {
                id: loaded.row.txn.to_string(),
                approved_at: approved_at.0,
                approved_until: approved_until.0,
            },
            evidence,
        })
    }

    async fn progress(&self, loaded: &Loaded) -> Result<Progress, Refused> {
        let row = &loaded.row;
        let counted = row.state.votes();
        let name = |digest| row.votes.iter().find(|vote| vote.digest == digest);
        let approved: Vec<_> = counted
            .iter()
            .filter_map(|vote| name(vote.digest))
            .collect();
        let deny = match &row.state {
            State::Denied(it) => row.votes.iter().find(|vote| vote.digest == it.deny),
            State::Pending(_)
            | State::Approved(_)
            | State::Redeemed(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_) => None,
        };
        let stage = row.state.open_stage(&loaded.terms);
        let stage = stage.map(|stage| stage.name.clone());
        debug_assert!(deny.is_none_or(|vote| vote.choice == Choice::Deny));
        let policy = self.policy();
        let board = self.board_for(&row.state).await?;
        let (away, others_can) = board.of(&*policy, loaded, None);
        Ok(Progress {
            words: row.words.0.clone(),
            approvals: u32::try_from(counted.len()).unwrap_or(u32::MAX),
            needed: loaded.terms.approvals,
            who_may_vote: policy.who_may_vote(&loaded.about.operation, stage.as_deref()),
            stage,
            approved_by: approved.iter().map(|vote| vote.name.clone()).collect(),
            denied_by: deny.map(|vote| vote.name.clone()),
            reason: match deny {
                Some(vote) => vote.reason.clone(),
                None => approved.last().and_then(|vote| vote.reason.clone()),
            },
            away,
            others_can,
        })
    }
}

pub(crate) fn for_pep(caller: &Caller) -> ForPep {
    match caller {
        Caller::Pep(_) => ForPep::Yes,
        Caller::Requester(_) => ForPep::No,
    }
}

fn status(state: &State) -> TaskStatus {
    match state {
        State::Pending(_) => TaskStatus::Pending,
        State::Approved(_) | State::Redeemed(_) => TaskStatus::Approved,
        State::Denied(_) => TaskStatus::Denied,
        State::Expired(_) => TaskStatus::Expired,
        State::Withdrawn(_) => TaskStatus::Cancelled,
        State::Voided(_) => TaskStatus::Failed,
    }
}
