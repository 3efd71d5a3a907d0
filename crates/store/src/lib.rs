//! What the server remembers: requests, votes, bindings, what was spent, the stream's events, the audit entries.
//!
//! [`Store`] is the seam: a [`Tx`] is a *value* that collects expected versions, new states, entries and events,
//! and [`Store::commit`] answers [`Commit`]. No transaction is ever held across an await, so an implementation
//! may put many of them into one of its own and sync once. [`SqliteStore`] does.
//!
//! It deliberately decides nothing: what may follow what is `countersign-lifecycle`'s, what is genuine is
//! `countersign-evidence`'s. It only refuses what its expectations contradict.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod encoding;
mod rows;
mod sqlite;
mod tx;

use std::future::Future;
use std::pin::Pin;

use countersign_model::{Digest, PepId, Subject, Txn, UnixSecs};
use tokio::sync::watch;

pub use rows::{
    AbsenceRow, BindingRow, ClaimsRow, DenialRow, EntryRow, EventRow, HistoryFilter, HistoryPlace,
    HistorySlice, NewBinding, NewRequest, NewVote, OpenLimits, Remembered, RequestKey, RequestRow,
    RequestUpdate, SeenKind, SpentKind, VoteRow, Words,
};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use tx::{Commit, Conflict, Tx, Write};

/// What a store's call gives, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Durable memory. What [`Store::commit`] acknowledged survives any crash.
pub trait Store: Send + Sync {
    /// Applies all of a transaction, or nothing. Once asked it does so, whether or not anybody waits for the answer.
    fn commit(&self, tx: Tx) -> Answer<'_, Commit>;
    /// The number of the newest event: it changes once that event is durable and can be read, whoever published it.
    fn published(&self) -> watch::Receiver<u64>;

    /// A request with its votes.
    fn request(&self, txn: &Txn) -> Answer<'_, Option<RequestRow>>;
    /// Pending ones, most urgent first, behind this one (its deadline and key) where one is named.
    fn pending(
        &self,
        after: Option<(UnixSecs, RequestKey)>,
        limit: usize,
    ) -> Answer<'_, Vec<RequestRow>>;
    /// Pending ones that this person asked for or has a live vote on, most urgent first.
    fn pending_of(&self, person: &Subject, limit: usize) -> Answer<'_, Vec<RequestRow>>;
    /// Those whose deadline is at or before `now`, by deadline.
    fn due(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<RequestRow>>;
    /// The earliest deadline that there is.
    fn next_deadline(&self) -> Answer<'_, Option<UnixSecs>>;
    /// Those that are no longer pending, what closed or changed last first. A call looks at a bounded number of them:
    /// there may be more even where it found none.
    fn history(&self, filter: HistoryFilter) -> Answer<'_, HistorySlice>;
    /// The newest place of the history, and when its oldest request ended. None where there is none.
    fn history_ends(&self) -> Answer<'_, Option<(HistoryPlace, UnixSecs)>>;
    /// Ended requests of the same person on the same resource, newest first: how each ended, and when.
    fn before(
        &self,
        of: &RequestRow,
        limit: usize,
    ) -> Answer<'_, Vec<(countersign_lifecycle::Kind, UnixSecs)>>;
    /// Open requests (pending or approved) in which a live vote stands on a revoked binding.
    fn with_revoked_votes(&self, limit: usize) -> Answer<'_, Vec<RequestRow>>;
    /// Open requests with a live vote of this person.
    fn with_votes_of(&self, person: &Subject, limit: usize) -> Answer<'_, Vec<RequestRow>>;
    /// The newest denial of what asks for the same, among requests older than `before` where one is named.
    fn denied(&self, same: Digest, before: Option<RequestKey>) -> Answer<'_, Option<DenialRow>>;
    /// What an idempotency key stands for.
    fn remembered(&self, pep: &PepId, key: &str) -> Answer<'_, Option<Remembered>>;

    /// A binding, live or not.
    fn binding(&self, id: Digest) -> Answer<'_, Option<BindingRow>>;
    /// A person's live bindings at `now`, newest first.
    fn bindings_of(&self, person: &Subject, now: UnixSecs) -> Answer<'_, Vec<BindingRow>>;
    /// When each of a person's bindings voted last. Those that never did are not among them.
    fn last_votes(&self, person: &Subject) -> Answer<'_, Vec<(Digest, UnixSecs)>>;
    /// All live bindings at `now`, newest first.
    fn live_bindings(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<BindingRow>>;
    /// People with a live binding at `now`, each with their newest claims, in no order.
    fn people(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<(Subject, ClaimsRow)>>;
    /// The bindings of a session at a provider, revoked or not.
    fn bindings_of_session(&self, sid: &str) -> Answer<'_, Vec<BindingRow>>;
    /// The newest claims of a person.
    fn claims(&self, person: &Subject) -> Answer<'_, Option<ClaimsRow>>;
    /// The newest time at which a person's sessions were revoked.
    fn revoked_at(&self, person: &Subject) -> Answer<'_, Option<UnixSecs>>;

    /// Everybody who is away, or will be, or was and it is not ended yet; who is back soonest comes first.
    fn absences(&self) -> Answer<'_, Vec<AbsenceRow>>;

    /// Events after `seq`, in order.
    fn events_after(&self, seq: u64, limit: usize) -> Answer<'_, Vec<EventRow>>;
    /// The oldest event that is kept and the newest that ever was. `(0, 0)` when there never was one.
    fn event_range(&self) -> Answer<'_, (u64, u64)>;
    /// The audit entries of a request, in order.
    fn entries(&self, txn: &Txn) -> Answer<'_, Vec<EntryRow>>;
    /// The newest time that anything here knows the clock to have shown.
    fn clock_shown(&self) -> Answer<'_, Option<UnixSecs>>;
    /// Whether it can be read now.
    fn ready(&self) -> Answer<'_, ()>;
}

/// Why a store cannot answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the store: {0}")]
    Open(String),
    /// The disk or database failed; nothing of the transaction was kept.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A row does not read as what was written.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// It is shut down.
    #[error("the store is closed")]
    Closed,
}
