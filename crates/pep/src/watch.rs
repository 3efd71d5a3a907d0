//! Watching a request at the server: one long poll for each, however many calls wait for it.
//!
//! What the server says here is a hint that it is worth looking at the evidence. It decides nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_api::http::{AwayView, Progress, Task, TaskStatus};
use countersign_client::{ApiError, Backoff, PepApi};
use countersign_model::{Clock, Txn, UnixSecs};
use serde_json::Value;
use tokio::sync::watch;

/// How long the server may hold one answer, in seconds.
const WAIT_SECS: u32 = 25;
/// Between two answers that say the same, at least: a server without room for waiters answers at once.
const PACE: Duration = Duration::from_secs(1);

/// What is known of a request.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// Nothing new, as far as the server says.
    Pending(Told),
    /// The server says that it is approved, and hands this over as evidence.
    Approved {
        told: Told,
        /// Absent when the server sends none: then nothing is released.
        evidence: Option<Arc<Value>>,
    },
    /// It is over.
    Over(Over, Told),
}

/// What a requester may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The two matching words.
    pub words: Vec<String>,
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// Who may vote, in the policy's words.
    pub who_may_vote: String,
    /// The stage that is open, where there are stages.
    pub stage: Option<String>,
    /// Who approved.
    pub approved_by: Vec<String>,
    /// Who denied.
    pub denied_by: Option<String>,
    /// The reason that was given.
    pub reason: Option<String>,
    /// Who may vote and is away.
    pub away: Vec<AwayView>,
    /// Where somebody is away: how many others can vote.
    pub others_can: Option<u32>,
    /// When voting ends.
    pub expires_at: UnixSecs,
}

/// How a request ended without a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Somebody denied.
    Denied,
    /// Time ran out.
    Expired,
    /// The requester or the gate took it back.
    Withdrawn,
    /// It can never be approved any more, or the server does not know it.
    Failed,
}

impl Seen {
    pub(crate) fn of(task: Task) -> Self {
        let Task {
            id: _,
            status,
            expires_at,
            links: _,
            result,
            progress,
        } = task;
        let told = Told::of(progress, UnixSecs(expires_at));
        match status {
            TaskStatus::Pending => Self::Pending(told),
            TaskStatus::Approved => {
                let evidence = result.and_then(|result| result.evidence).map(Arc::new);
                Self::Approved { told, evidence }
            }
            TaskStatus::Denied => Self::Over(Over::Denied, told),
            TaskStatus::Expired => Self::Over(Over::Expired, told),
            TaskStatus::Cancelled => Self::Over(Over::Withdrawn, told),
            TaskStatus::Failed => Self::Over(Over::Failed, told),
        }
    }

    pub(crate) fn told(&self) -> &Told {
        match self {
            Self::Pending(told) | Self::Approved { told, .. } | Self::Over(_, told) => told,
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            Self::Pending(_) => false,
            Self::Approved { .. } | Self::Over(..) => true,
        }
    }
}

impl Told {
    fn of(progress: Progress, expires_at: UnixSecs) -> Self {
        let Progress {
            words,
            approvals,
            needed,
            who_may_vote,
            stage,
            approved_by,
            denied_by,
            reason,
            away,
            others_can,
        } = progress;
        Self {
            words: words.into(),
            approvals,
            needed,
            who_may_vote,
            stage,
            approved_by,
            denied_by,
            reason,
            away,
            others_can,
            expires_at,
        }
    }
}

/// All requests that are watched now.
#[derive(Default)]
pub(crate) struct Watches {
    live: Arc<Mutex<Live>>,
}

type Live = HashMap<Txn, watch::Sender<Seen>>;

impl Watches {
    /// Joins the watch over a request, or starts one. It ends by itself when nobody listens.
    /// `until` bounds it by my own clock: no answer of the server lengthens it.
    pub(crate) fn join(
        &self,
        txn: &Txn,
        first: Seen,
        until: UnixSecs,
        api: &Arc<PepApi>,
        clock: &Arc<dyn Clock>,
    ) -> watch::Receiver<Seen> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = live.get(txn) {
            return sender.subscribe();
        }
        let settled = first.is_settled();
        let (sender, receiver) = watch::channel(first);
        if !settled {
            live.insert(txn.clone(), sender.clone());
            let poll = Poll {
                txn: txn.clone(),
                sender,
                until,
                api: Arc::clone(api),
                clock: Arc::clone(clock),
                live: Arc::clone(&self.live),
            };
            tokio::spawn(poll.run());
        }
        receiver
    }
}

struct Poll {
    txn: Txn,
    sender: watch::Sender<Seen>,
    until: UnixSecs,
    api: Arc<PepApi>,
    clock: Arc<dyn Clock>,
    live: Arc<Mutex<Live>>,
}

impl Poll {
    async fn run(self) {
        let mut backoff = Backoff::default();
        // The first answer comes at once: much may have happened since this gate last looked.
        let mut wait_secs = 0;
        loop {
            let asked_at = tokio::time::Instant::now();
            let answer = tokio::select! {
                answer = self.api.task(&self.txn, wait_secs) => answer,
                () = self.sender.closed() => {
                    if self.end_if_unwatched() {
                        return;
                    }
                    continue;
                }
            };
            let mut pause = None;
            let seen = match answer {
                Ok(task) => {
                    backoff.reset();
                    let seen = Seen::of(task);
                    let same = *seen.told() == *self.sender.borrow().told();
                    if same && wait_secs > 0 && asked_at.elapsed() < PACE {
                        pause = Some(PACE);
                    }
                    wait_secs = WAIT_SECS;
                    seen
                }
                Err(error) if is_last_word(&error) => {
                    tracing::warn!(txn = %self.txn, code = error.code(), "the server no longer answers for a request");
                    Seen::Over(Over::Failed, self.sender.borrow().told().clone())
                }
                Err(error) => {
                    tracing::debug!(txn = %self.txn, code = error.code(), "waiting for the server");
                    pause = Some(backoff.next(rand::random()));
                    wait_secs = 0;
                    Seen::Pending(self.sender.borrow().told().clone())
                }
            };
            let seen = match seen {
                Seen::Pending(told) if self.clock.now() > self.until => {
                    Seen::Over(Over::Expired, told)
                }
                seen @ (Seen::Pending(_) | Seen::Approved { .. } | Seen::Over(..)) => seen,
            };
            let settled = seen.is_settled();
            self.sender.send_replace(seen);
            if settled {
                self.live
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&self.txn);
                return;
            }
            if let Some(pause) = pause {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.sender.closed() => {}
                }
            }
        }
    }

    /// Under the lock that `join` takes, so that no listener arrives in between.
    fn end_if_unwatched(&self) -> bool {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let unwatched = self.sender.receiver_count() == 0;
        if unwatched {
            live.remove(&self.txn);
        }
        unwatched
    }
}

/// Whether the server has said that it does not stand by the request. A clock that was set is not that: neither its
/// answer with another date, nor that it finds the look's own token too old.
fn is_last_word(error: &ApiError) -> bool {
    match error {
        ApiError::Forbidden { .. }
        | ApiError::NotFound { .. }
        | ApiError::Conflict { .. }
        | ApiError::Gone { .. }
        | ApiError::Refused { .. }
        | ApiError::TokenRefused { .. } => true,
        ApiError::Unreachable { .. }
        | ApiError::Fault { .. }
        | ApiError::Busy { .. }
        | ApiError::ClockOff { .. }
        | ApiError::Unauthorized { .. }
        | ApiError::Setup { .. }
        | ApiError::BadAnswer { .. } => false,
    }
}
