//! The one writer: a thread that puts every waiting transaction into one of SQLite's and syncs once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::apply::{Applied, apply};
use super::kill::KillPoint;
use crate::{Commit, StoreError, Tx};

/// Transactions that wait for the writer. More are refused: memory stays bounded.
const MAX_WAITING: usize = 8_192;
/// Transactions in one sync.
const MAX_BATCH: usize = 512;

struct Job {
    tx: Tx,
    answer: oneshot::Sender<Result<Commit, StoreError>>,
}

/// The handle on the writer's thread. Dropping it lets what waits finish, then ends the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    published: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

/// What the writer's thread works with.
struct Desk {
    connection: Connection,
    /// The number of the newest event that is durable.
    published: watch::Sender<u64>,
    kill: KillPoint,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl Writer {
    /// `newest` is the number of the newest event that the file holds.
    pub(crate) fn start(
        connection: Connection,
        newest: u64,
        kill: KillPoint,
    ) -> std::io::Result<Writer> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let (published, newest) = watch::channel(newest);
        let mut desk = Desk {
            connection,
            published,
            kill,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || desk.run(&waiting))?;
        Ok(Writer {
            jobs: Some(jobs),
            published: newest,
            thread: Some(thread),
        })
    }

    pub(crate) fn published(&self) -> watch::Receiver<u64> {
        self.published.clone()
    }

    pub(crate) async fn commit(&self, tx: Tx) -> Result<Commit, StoreError> {
        let (answer, done) = oneshot::channel();
        let Some(jobs) = &self.jobs else {
            return Err(StoreError::Closed);
        };
        jobs.try_send(Job { tx, answer })
            .map_err(|error| match error {
                TrySendError::Full(_) => {
                    StoreError::Failed("too many transactions are waiting".into())
                }
                TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported by its own hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn run(&mut self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            // What arrived while the last batch synced makes the next one: no artificial delay.
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Job>) {
        self.kill.reach();
        // CRASH: before COMMIT nothing of the batch is there after a restart; nobody was answered.
        let txs = batch.iter().map(|job| &job.tx);
        let done = match apply_all(&mut self.connection, txs, &self.kill) {
            Ok(done) => done,
            Err(error) => {
                let error = StoreError::Failed(error.to_string());
                for job in batch {
                    let _ = job.answer.send(Err(error.clone()));
                }
                return;
            }
        };
        // CRASH: after COMMIT all of the batch is there; who was not answered asks again and finds it done.
        self.kill.reach();
        if let Some(newest) = done.last_event {
            self.published.send_replace(newest);
        }
        for (job, result) in batch.into_iter().zip(done.results) {
            // A caller that went away does not mind.
            let _ = job.answer.send(result);
            self.kill.reach();
        }
    }
}

/// A batch that is durable.
struct Done {
    /// For each of its transactions, in order.
    results: Vec<Result<Commit, StoreError>>,
    /// The number of the last event, where one was published.
    last_event: Option<u64>,
}

fn apply_all<'t>(
    connection: &mut Connection,
    txs: impl Iterator<Item = &'t Tx>,
    kill: &KillPoint,
) -> rusqlite::Result<Done> {
    let mut tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut done = Done {
        results: Vec::new(),
        last_event: None,
    };
    for one in txs {
        let savepoint = tx.savepoint()?;
        let result = match apply(&savepoint, one, kill) {
            Ok(Applied::All { last_event }) => {
                savepoint.commit()?;
                done.last_event = last_event.or(done.last_event);
                Ok(Commit::Committed)
            }
            // Dropping the savepoint rolls it back.
            Ok(Applied::Nothing(conflict)) => Ok(Commit::Conflict(conflict)),
            Err(error) => {
                drop(savepoint);
                // SQLite has given up all of it, as with a full disk: what came before is gone, and what came after
                // would be kept by itself.
                if tx.is_autocommit() {
                    return Err(error);
                }
                Err(StoreError::Failed(error.to_string()))
            }
        };
        done.results.push(result);
    }
    kill.reach();
    tx.commit()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use countersign_model::UnixSecs;

    use super::*;
    use crate::Write;
    use crate::sqlite::schema;

    #[test]
    fn a_full_disk_keeps_nothing_of_a_batch() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let pages: i64 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap();
        connection
            .pragma_update(None, "max_page_count", pages + 3)
            .unwrap();
        let entry = |detail: String| {
            let mut tx = Tx::new();
            tx.push(Write::Entry {
                at: UnixSecs(1),
                txn: None,
                kind: "test",
                detail,
            });
            tx
        };
        let batch = [
            entry("before".into()),
            entry("x".repeat(1_000_000)),
            entry("after".into()),
        ];
        let kill = KillPoint::new(None);
        assert!(apply_all(&mut connection, batch.iter(), &kill).is_err());
        let kept = |connection: &Connection| -> i64 {
            connection
                .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(kept(&connection), 0);
        // With room again, it goes on.
        let small = [entry("small".into())];
        assert!(apply_all(&mut connection, small.iter(), &kill).is_ok());
        assert_eq!(kept(&connection), 1);
    }
}
