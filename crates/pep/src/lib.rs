//! The enforcement point, shared by all gates: decide, ask, wait, verify, spend, redeem, and then, and only
//! then, hold a [`Permit`].
//!
//! - [`Pep::policy`]: my own policy first; what it allows never reaches the server
//! - [`Pep::ask`], [`Pep::join`]: a [`Pending`] approval, held in memory or kept on disk for a caller who returns
//! - [`Pending::release`]: protocol, section 6, by myself; the server is not trusted
//! - [`Permit::open`]: for exactly the operation that was verified, once
//!
//! Everything else is a [`Refusal`] that names its step. In doubt nothing is released: an unknown state, a
//! server that is away, a disk that fails. It knows nothing of HTTP, SQL or any other thing that is gated.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod crash;
mod journal;
mod keys;
mod pending;
mod permit;
mod refusal;
pub mod store;
mod watch;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_client::{ApiError, Backoff, PepApi, ServerHttp};
use countersign_evidence::op_token::OpConfig;
use countersign_evidence::{Ask, PublicKey, SecretKey};
use countersign_model::{
    Clock, Digest, Nonce, Operation, PepId, PolicyCheck, Requirement, ServerId, Txn, UnixSecs,
};
use countersign_oidc::Provider;
use tokio_util::task::TaskTracker;

pub use journal::JournalError;
pub use pending::{Pending, Settled};
pub use permit::{Executing, Permit};
pub use refusal::{Kind, Refusal, Step};
pub use store::{Bounds, Keep, NonceStore, Stored};
pub use watch::{Over, Told};

use crate::watch::{Seen, Watches};
use crate::written::EvidenceFolder;

/// How long an ask may open a request, in seconds.
const ASK_SECS: i64 = 120;
/// Clocks may differ by this much, in seconds (protocol, section 1).
const SKEW_SECS: i64 = 60;
/// Attempts to open a request, all under one idempotency key, while the caller waits.
const SUBMIT_ATTEMPTS: u32 = 3;
/// Attempts to tell an outcome or a withdrawal.
const TELL_ATTEMPTS: u32 = 6;

/// What an enforcement point is made of.
pub struct PepConfig {
    /// Its id, as the server's configuration names it.
    pub me: PepId,
    /// Its key (`pk`).
    pub key: Arc<SecretKey>,
    /// The server.
    pub server: ServerId,
    /// The server's keys, where the operator pins them; else they are read from the server.
    pub server_keys: Vec<PublicKey>,
    /// Providers whose people may vote. Their keys come from them, and from nowhere else.
    pub providers: Vec<TrustedProvider>,
    /// How long a binding lasts after its sign-in, in seconds.
    pub session_secs: u32,
    /// Bounds of what may be open at once.
    pub bounds: Bounds,
    /// Where the evidence of each released operation is written, where it is.
    pub evidence_dir: Option<PathBuf>,
}

/// Gives the policy that is in force now. Asked once for each decision, so that no decision sees two.
pub type PolicySource = Arc<dyn Fn() -> Arc<dyn PolicyCheck> + Send + Sync>;

/// A provider whose people may vote.
#[derive(Debug, Clone)]
pub struct TrustedProvider {
    /// How its tokens are read.
    pub config: OpConfig,
    /// Where its keys come from.
    pub provider: Arc<Provider>,
}

/// Why an enforcement point cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] JournalError),
    /// The connection to the server.
    #[error(transparent)]
    Server(#[from] ApiError),
    /// The folder for evidence.
    #[error("cannot use the evidence folder `{}`: {error}", path.display())]
    Evidence {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// The enforcement point. All methods need a tokio runtime.
pub struct Pep {
    me: PepId,
    key: Arc<SecretKey>,
    server: ServerId,
    session_secs: u32,
    providers: Vec<TrustedProvider>,
    policy: PolicySource,
    clock: Arc<dyn Clock>,
    api: Arc<PepApi>,
    store: NonceStore,
    evidence: Option<Arc<EvidenceFolder>>,
    server_keys: keys::ServerKeys,
    watches: Watches,
    /// Withdrawals and outcomes under way.
    telling: TaskTracker,
}

/// A nonce, and T0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    nonce: Nonce,
    asked_at: UnixSecs,
}

impl Fresh {
    /// It goes into the operation.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }
}

impl Pep {
    /// Opens the state folder; talks to nobody yet.
    pub fn start(
        config: PepConfig,
        state_dir: &Path,
        policy: PolicySource,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StartError> {
        let PepConfig {
            me,
            key,
            server,
            server_keys,
            providers,
            session_secs,
            bounds,
            evidence_dir,
        } = config;
        let evidence = evidence_dir
            .map(|path| {
                EvidenceFolder::open(&path, &me)
                    .map(Arc::new)
                    .map_err(|error| StartError::Evidence { path, error })
            })
            .transpose()?;
        let store = NonceStore::open(state_dir, bounds, clock.now())?;
        let http = ServerHttp::new(server.clone(), Arc::clone(&clock))?;
        let api = Arc::new(PepApi::new(http, me.clone(), Arc::clone(&key)));
        let server_keys = keys::ServerKeys::new(server_keys, Arc::clone(&clock));
        Ok(Arc::new(Self {
            me,
            key,
            server,
            session_secs,
            providers,
            policy,
            clock,
            api,
            store,
            evidence,
            server_keys,
            watches: Watches::default(),
            telling: TaskTracker::new(),
        }))
    }

    /// My own policy, as it is in force now. What it allows needs no server.
    pub fn policy(&self) -> Arc<dyn PolicyCheck> {
        (self.policy)()
    }

    /// A nonce for one operation; T0 is now.
    pub fn draw(&self) -> Fresh {
        Fresh {
            nonce: Nonce::from_bytes(rand::random()),
            asked_at: self.clock.now(),
        }
    }

    /// Asks for an approval of this operation, which carries the nonce of `fresh`.
    ///
    /// Who drops the future or the [`Pending`] of a held call withdraws the request.
    pub async fn ask(
        self: &Arc<Self>,
        fresh: &Fresh,
        operation: Operation,
        requirement: Requirement,
        keep: Keep,
    ) -> Result<Pending, Refusal> {
        if operation.nonce() != &fresh.nonce || operation.pep() != &self.me {
            return Err(Refusal::denied(
                Step::Nonce,
                "nonce_unknown",
                "the operation does not carry this gate's nonce",
            ));
        }
        let life = i64::from(requirement.ttl_secs) + i64::from(requirement.grant_secs);
        let stored = Stored {
            asked_at: fresh.asked_at,
            until: fresh.asked_at + life + SKEW_SECS,
            operation: Arc::new(operation),
        };
        {
            let (pep, stored) = (Arc::clone(self), stored.clone());
            blocking(move || pep.store.put(stored, keep, pep.clock.now())).await??;
        }
        // In a task of its own: a caller who goes away half-way must not leave a request that nobody withdraws.
        let (answer, asked) = tokio::sync::oneshot::channel();
        let (pep, of_task) = (Arc::clone(self), stored.clone());
        self.telling.spawn(async move {
            let opened = pep.open_request(&of_task, requirement).await;
            // Whoever drops it unheard, this task or the channel, withdraws.
            let _ = answer.send(Unheard {
                pep,
                nonce: of_task.operation.nonce().clone(),
                opened: Some(opened),
            });
        });
        match asked.await.ok().and_then(Unheard::hear) {
            Some(Ok((txn, seen))) => Ok(Pending::new(Arc::clone(self), txn, stored, seen, keep)),
            Some(Err(refusal)) => {
                self.close_later(fresh.nonce.clone());
                Err(refusal)
            }
            None => Err(Refusal::unavailable(
                Step::Ask,
                "gate_fault",
                "the gate could not ask; try again",
            )),
        }
    }

    /// The operation that a caller comes back for. The caller's nonce, and nothing else, is taken from it.
    pub fn find(&self, txn: &Txn) -> Result<Stored, Refusal> {
        Ok(self.store.find(txn, self.clock.now())?)
    }

    /// Joins an approval that was asked for before. `rebuilt` is the operation made again from the call at hand
    /// with the stored nonce: its bytes must be equal.
    pub fn join(self: &Arc<Self>, txn: &Txn, rebuilt: &Operation) -> Result<Pending, Refusal> {
        let stored = self.find(txn)?;
        if stored.operation.subject() != rebuilt.subject() {
            // Somebody else's approval looks like one that is not there.
            return Err(store::StoreRefusal::Unknown.into());
        }
        if stored.operation.bytes() != rebuilt.bytes() {
            return Err(Refusal::denied(
                Step::Nonce,
                "other_call",
                "that approval was asked for another call; repeat the same call, or leave `Approval-Id` out",
            ));
        }
        let first = Seen::Pending(Told {
            expires_at: stored.until,
            ..Told::default()
        });
        Ok(Pending::new(
            Arc::clone(self),
            txn.clone(),
            stored,
            first,
            Keep::OnDisk,
        ))
    }

    /// Waits for withdrawals and outcomes that are under way.
    pub async fn drain(&self) {
        self.telling.close();
        self.telling.wait().await;
        self.telling.reopen();
    }

    async fn open_request(
        self: &Arc<Self>,
        stored: &Stored,
        requirement: Requirement,
    ) -> Result<(Txn, Seen), Refusal> {
        let now = self.clock.now();
        let ask = Ask {
            iss: self.me.clone(),
            aud: self.server.clone(),
            operation_digest: stored.operation.digest(),
            requirement,
            iat: now,
            exp: now + ASK_SECS,
        };
        let ask_jws = ask.sign(&self.key);
        let nonce = stored.operation.nonce();
        let mut backoff = Backoff::default();
        let mut attempt = 1;
        let task = loop {
            match self
                .api
                .submit(&stored.operation, ask_jws.clone(), None, nonce.as_str())
                .await
            {
                Ok(task) => break task,
                Err(error) if error.is_transient() && attempt < SUBMIT_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(backoff.next(rand::random())).await;
                }
                Err(error) => return Err(Refusal::api(Step::Ask, &error)),
            }
        };
        let txn = Txn::parse(&task.id).map_err(|_| {
            Refusal::unavailable(
                Step::Ask,
                "bad_answer",
                "the server gave the request an id that cannot be used",
            )
        })?;
        {
            let (pep, nonce, txn) = (Arc::clone(self), nonce.clone(), txn.clone());
            blocking(move || pep.store.name(&nonce, &txn)).await??;
        }
        Ok((txn, Seen::of(task)))
    }

    /// Takes a request back, in the background.
    pub(crate) fn withdraw(self: &Arc<Self>, txn: Txn, nonce: Nonce) {
        let pep = Arc::clone(self);
        self.telling.spawn(async move {
            // First here: from now on nothing can release it, whatever the server says.
            pep.close(nonce).await;
            retry(TELL_ATTEMPTS, || pep.api.cancel(&txn), "withdraw a request").await;
        });
    }

    /// Tells what came of a request, and by which policy it was judged, in the background.
    pub(crate) fn tell(
        self: &Arc<Self>,
        txn: Txn,
        status: Option<u16>,
        refusal: Option<String>,
        policy: Digest,
    ) {
        let outcome = permit::outcome(status, refusal, policy);
        let pep = Arc::clone(self);
        self.telling.spawn(async move {
            retry(
                TELL_ATTEMPTS,
                || pep.api.outcome(&txn, &outcome),
                "tell an outcome",
            )
            .await;
        });
    }

    fn close_later(self: &Arc<Self>, nonce: Nonce) {
        let pep = Arc::clone(self);
        self.telling.spawn(async move { pep.close(nonce).await });
    }

    async fn close(self: &Arc<Self>, nonce: Nonce) {
        let pep = Arc::clone(self);
        if let Ok(Err(error)) = blocking(move || pep.store.close(&nonce)).await {
            tracing::warn!(
                code = error.code(),
                "an operation that is over could not be forgotten: {error}"
            );
        }
    }
}

/// What came of asking, until whoever asked takes it.
struct Unheard {
    pep: Arc<Pep>,
    nonce: Nonce,
    opened: Option<Result<(Txn, Seen), Refusal>>,
}

impl Unheard {
    fn hear(mut self) -> Option<Result<(Txn, Seen), Refusal>> {
        self.opened.take()
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        match self.opened.take() {
            Some(Ok((txn, _))) => self.pep.withdraw(txn, self.nonce.clone()),
            Some(Err(_)) => self.pep.close_later(self.nonce.clone()),
            None => {}
        }
    }
}

impl std::fmt::Debug for Pep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pep")
            .field("me", &self.me.as_str())
            .finish_non_exhaustive()
    }
}

/// Runs what waits for the disk where waiting is allowed.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(act).await.map_err(|_| {
        Refusal::unavailable(
            Step::Nonce,
            "gate_fault",
            "the gate has a fault and releases nothing; tell whoever runs it",
        )
    })
}

/// Tells the server something that it may miss for a while, a bounded number of times.
async fn retry<F: Future<Output = Result<(), ApiError>>>(
    attempts: u32,
    mut act: impl FnMut() -> F,
    what: &str,
) {
    let mut backoff = Backoff::default();
    for attempt in 1..=attempts {
        match act().await {
            Ok(()) => return,
            Err(error) if error.is_transient() && attempt < attempts => {
                let pause: Duration = backoff.next(rand::random());
                tokio::time::sleep(pause).await;
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "could not {what}: {error}");
                return;
            }
        }
    }
}
