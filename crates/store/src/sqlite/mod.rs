//! [`Store`] on SQLite: one writer thread with group commit, a small pool of readers.

mod apply;
mod kill;
mod read;
mod schema;
mod writer;

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_lifecycle::Kind;
use countersign_model::{Digest, PepId, Subject, Txn, UnixSecs};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    AbsenceRow, Answer, BindingRow, ClaimsRow, Commit, DenialRow, EntryRow, EventRow,
    HistoryFilter, HistoryPlace, HistorySlice, Remembered, RequestKey, RequestRow, Store,
    StoreError, Tx,
};

/// How a SQLite store is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read at the same time.
    pub readers: usize,
    /// For tests of crashes: the process aborts at this numbered write point.
    pub kill_at: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions {
            readers: 4,
            kill_at: None,
        }
    }
}

/// A store in a folder: `countersign.db`, and a lock so that only one process writes.
#[derive(Debug)]
pub struct SqliteStore {
    writer: writer::Writer,
    readers: Arc<Readers>,
    _lock: File,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    /// One for each connection.
    permits: Arc<Semaphore>,
    /// One less: a read by a key waits for reads of many rows only where there is one connection in all.
    many: Arc<Semaphore>,
}

impl SqliteStore {
    /// Opens the folder's store, making it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Open`]: no right to write, another process has it, or another version made it.
    pub fn open(folder: &Path, options: &SqliteOptions) -> Result<SqliteStore, StoreError> {
        let open = |what: &str, error: &dyn std::fmt::Display| {
            StoreError::Open(format!("{what} in `{}`: {error}", folder.display()))
        };
        // Tokens are evidence and stand in the rows: nobody else on this computer reads them.
        let mut private = std::fs::DirBuilder::new();
        private
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| open("make the folder", &error))?;
        let lock = File::create(folder.join("countersign.lock"))
            .map_err(|error| open("make the lock", &error))?;
        lock.try_lock()
            .map_err(|error| open("another process has the store", &error))?;

        let path = folder.join("countersign.db");
        // SQLite gives its other files the mode of this one.
        let mut private = File::options();
        private.write(true).create(true).truncate(false).mode(0o600);
        let file = private.open(&path);
        file.map_err(|error| open("make the database", &error))?;
        let mut connection = Connection::open(&path).map_err(|error| open("open", &error))?;
        schema::configure(&connection).map_err(|error| open("configure", &error))?;
        schema::prepare(&mut connection)?;

        let mut idle = Vec::new();
        for _ in 0..options.readers.max(1) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(&path, flags)
                .map_err(|error| open("open to read", &error))?;
            reader
                .pragma_update(None, "busy_timeout", 5_000)
                .map_err(|error| open("configure", &error))?;
            reader.set_prepared_statement_cache_capacity(64);
            idle.push(reader);
        }
        let (_, newest) = read::event_range(&connection).map_err(StoreError::from)?;
        let kill = kill::KillPoint::new(options.kill_at);
        let writer = writer::Writer::start(connection, newest, kill)
            .map_err(|error| open("start the writer", &error))?;
        Ok(SqliteStore {
            writer,
            readers: Arc::new(Readers {
                permits: Arc::new(Semaphore::new(idle.len())),
                many: Arc::new(Semaphore::new((idle.len() - 1).max(1))),
                idle: Mutex::new(idle),
            }),
            _lock: lock,
        })
    }

    /// A read that may look at many rows, where waiting for the disk is allowed.
    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, read::ReadError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let among_many = permit(&self.readers.many).await?;
            let one = permit(&self.readers.permits).await?;
            let readers = Arc::clone(&self.readers);
            // The permits go along: whoever asked may go away before the connection is back.
            let reading = move || {
                let result = readers.with(&one, query);
                drop(among_many);
                result
            };
            tokio::task::spawn_blocking(reading)
                .await
                .map_err(|_| StoreError::Closed)?
        })
    }

    /// A read of few rows by a key, done here: handing it to another thread and waiting for its word would take
    /// longer than the read.
    fn read_few<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, read::ReadError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let one = permit(&self.readers.permits).await?;
            self.readers.with(&one, query)
        })
    }
}

async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    let permit = Arc::clone(of).acquire_owned().await;
    permit.map_err(|_| StoreError::Closed)
}

impl Readers {
    /// Reads on a connection, of which there is one for each permit.
    fn with<T>(
        &self,
        _permit: &OwnedSemaphorePermit,
        query: impl FnOnce(&Connection) -> Result<T, read::ReadError>,
    ) -> Result<T, StoreError> {
        let connection = self.take().ok_or(StoreError::Closed)?;
        let result = query(&connection).map_err(StoreError::from);
        self.put(connection);
        result
    }

    fn take(&self) -> Option<Connection> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn put(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

impl Store for SqliteStore {
    fn commit(&self, tx: Tx) -> Answer<'_, Commit> {
        Box::pin(self.writer.commit(tx))
    }

    fn published(&self) -> watch::Receiver<u64> {
        self.writer.published()
    }

    fn request(&self, txn: &Txn) -> Answer<'_, Option<RequestRow>> {
        let txn = txn.clone();
        self.read_few(move |connection| read::request(connection, &txn))
    }

    fn pending(
        &self,
        after: Option<(UnixSecs, RequestKey)>,
        limit: usize,
    ) -> Answer<'_, Vec<RequestRow>> {
        self.read(move |connection| read::pending(connection, after, limit))
    }

    fn pending_of(&self, person: &Subject, limit: usize) -> Answer<'_, Vec<RequestRow>> {
        let person = person.clone();
        self.read(move |connection| read::pending_of(connection, &person, limit))
    }

    fn due(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<RequestRow>> {
        self.read(move |connection| read::due(connection, now, limit))
    }

    fn next_deadline(&self) -> Answer<'_, Option<UnixSecs>> {
        self.read_few(read::next_deadline)
    }

    fn history(&self, filter: HistoryFilter) -> Answer<'_, HistorySlice> {
        self.read(move |connection| read::history(connection, &filter))
    }

    fn history_ends(&self) -> Answer<'_, Option<(HistoryPlace, UnixSecs)>> {
        self.read(read::history_ends)
    }

    fn before(&self, of: &RequestRow, limit: usize) -> Answer<'_, Vec<(Kind, UnixSecs)>> {
        let (key, requester) = (of.key, of.requester.clone());
        let (kind, id) = (of.resource_type.clone(), of.resource_id.clone());
        self.read_few(move |connection| {
            read::before(connection, key, &requester, &kind, &id, limit)
        })
    }

    fn with_revoked_votes(&self, limit: usize) -> Answer<'_, Vec<RequestRow>> {
        self.read(move |connection| read::with_revoked_votes(connection, limit))
    }

    fn with_votes_of(&self, person: &Subject, limit: usize) -> Answer<'_, Vec<RequestRow>> {
        let person = person.clone();
        self.read(move |connection| read::with_votes_of(connection, &person, limit))
    }

    fn denied(&self, same: Digest, before: Option<RequestKey>) -> Answer<'_, Option<DenialRow>> {
        self.read_few(move |connection| read::denied(connection, same, before))
    }

    fn remembered(&self, pep: &PepId, key: &str) -> Answer<'_, Option<Remembered>> {
        let (pep, key) = (pep.clone(), key.to_owned());
        self.read_few(move |connection| read::remembered(connection, &pep, &key))
    }

    fn binding(&self, id: Digest) -> Answer<'_, Option<BindingRow>> {
        self.read_few(move |connection| read::binding(connection, id))
    }

    fn bindings_of(&self, person: &Subject, now: UnixSecs) -> Answer<'_, Vec<BindingRow>> {
        let person = person.clone();
        self.read(move |connection| read::bindings_of(connection, &person, now))
    }

    fn last_votes(&self, person: &Subject) -> Answer<'_, Vec<(Digest, UnixSecs)>> {
        let person = person.clone();
        self.read(move |connection| read::last_votes(connection, &person))
    }

    fn live_bindings(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<BindingRow>> {
        self.read(move |connection| read::live_bindings(connection, now, limit))
    }

    fn people(&self, now: UnixSecs, limit: usize) -> Answer<'_, Vec<(Subject, ClaimsRow)>> {
        self.read(move |connection| read::people(connection, now, limit))
    }

    fn bindings_of_session(&self, sid: &str) -> Answer<'_, Vec<BindingRow>> {
        let sid = sid.to_owned();
        self.read(move |connection| read::bindings_of_session(connection, &sid))
    }

    fn claims(&self, person: &Subject) -> Answer<'_, Option<ClaimsRow>> {
        let person = person.clone();
        self.read_few(move |connection| read::claims(connection, &person))
    }

    fn revoked_at(&self, person: &Subject) -> Answer<'_, Option<UnixSecs>> {
        let person = person.clone();
        self.read_few(move |connection| read::revoked_at(connection, &person))
    }

    fn absences(&self) -> Answer<'_, Vec<AbsenceRow>> {
        self.read(read::absences)
    }

    fn events_after(&self, seq: u64, limit: usize) -> Answer<'_, Vec<EventRow>> {
        self.read_few(move |connection| read::events_after(connection, seq, limit))
    }

    fn event_range(&self) -> Answer<'_, (u64, u64)> {
        self.read_few(read::event_range)
    }

    fn entries(&self, txn: &Txn) -> Answer<'_, Vec<EntryRow>> {
        let txn = txn.clone();
        self.read(move |connection| read::entries(connection, &txn))
    }

    fn clock_shown(&self) -> Answer<'_, Option<UnixSecs>> {
        self.read(read::clock_shown)
    }

    fn ready(&self) -> Answer<'_, ()> {
        self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn nothing_walks_through_all_that_ever_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let requests = |tail: &str| format!("{}{tail}", read::REQUEST);
        for sql in [
            requests(read::PENDING_OF),
            requests(read::WITH_REVOKED_VOTES),
            requests(read::WITH_VOTES_OF),
            read::LAST_VOTES.to_owned(),
            format!("{}{}", read::BINDING, read::LIVE_BINDINGS),
            apply::END_VOTE.to_owned(),
            apply::END_VOTES.to_owned(),
            apply::REFRESH_VOTES.to_owned(),
        ] {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let mut statement = connection.prepare(&explain).unwrap();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get("detail").unwrap();
                // Live votes are few: that index holds no others.
                let walks = step.starts_with("SCAN") && !step.ends_with("INDEX votes_binding");
                assert!(!walks, "{step}: {sql}");
            }
        }
    }

    #[tokio::test]
    async fn a_read_by_a_key_does_not_wait_for_reads_of_many_rows() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::default();
        let store = SqliteStore::open(folder.path(), &options).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut long = Vec::new();
        let mut held = Vec::new();
        for _ in 0..options.readers {
            let (release, released) = mpsc::channel::<()>();
            let mut read = store.read(move |_| Ok(released.recv().is_err()));
            assert!(read.as_mut().poll(&mut context).is_pending());
            long.push(read);
            held.push(release);
        }
        let by_key = pin!(store.event_range());
        assert!(matches!(by_key.poll(&mut context), Poll::Ready(Ok((0, 0)))));
        drop(held);
        for read in long {
            assert!(read.await.unwrap());
        }
    }
}
