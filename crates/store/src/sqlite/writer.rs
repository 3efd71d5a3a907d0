//! The one writer: a thread that puts every waiting transaction into one of SQLite's and syncs once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

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
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn start(connection: Connection, kill: KillPoint) -> std::io::Result<Writer> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(connection, &waiting, &kill))?;
        Ok(Writer {
            jobs: Some(jobs),
            thread: Some(thread),
        })
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

fn run(mut connection: Connection, waiting: &Receiver<Job>, kill: &KillPoint) {
    while let Ok(first) = waiting.recv() {
        // What arrived while the last batch synced makes the next one: no artificial delay.
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        write(&mut connection, batch, kill);
    }
}

fn write(connection: &mut Connection, batch: Vec<Job>, kill: &KillPoint) {
    kill.reach();
    // CRASH: before COMMIT nothing of the batch is there after a restart; nobody was answered.
    let results = match apply_all(connection, &batch, kill) {
        Ok(results) => results,
        Err(error) => {
            let error = StoreError::Failed(error.to_string());
            for job in batch {
                let _ = job.answer.send(Err(error.clone()));
            }
            return;
        }
    };
    // CRASH: after COMMIT all of the batch is there; who was not answered asks again and finds it done.
    kill.reach();
    for (job, result) in batch.into_iter().zip(results) {
        // A caller that went away does not mind.
        let _ = job.answer.send(result);
        kill.reach();
    }
}

fn apply_all(
    connection: &mut Connection,
    batch: &[Job],
    kill: &KillPoint,
) -> rusqlite::Result<Vec<Result<Commit, StoreError>>> {
    let mut tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(batch.len());
    for job in batch {
        let savepoint = tx.savepoint()?;
        let result = match apply(&savepoint, &job.tx, kill) {
            Ok(Applied::All { last_event }) => {
                savepoint.commit()?;
                Ok(Commit::Committed { last_event })
            }
            // Dropping the savepoint rolls it back.
            Ok(Applied::Nothing(conflict)) => Ok(Commit::Conflict(conflict)),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        };
        results.push(result);
    }
    kill.reach();
    tx.commit()?;
    Ok(results)
}
