//! The handle of all accounts' caches: each call is a message to the thread that has the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use countersign_api::ipc::{Figures, Filling, HistoryQuery, PersonChoice, Row};
use countersign_model::Digest;
use tokio::sync::{oneshot, watch};

use crate::HistoryError;
use crate::approved::Approved;
use crate::cache::{Put, Range};
use crate::worker::{Job, Tell, Worker};

/// Calls that wait. Room for all of them is taken at the start.
const MAX_WAITING: usize = 64;

/// All caches of one program. Clones are the same; when the last one goes, the thread ends.
#[derive(Clone)]
pub struct Archive {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: SyncSender<Job>,
    tell: Tell,
}

/// Rows of a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// They, newest first.
    pub rows: Vec<Row>,
    /// How many the selection has, once they are counted.
    pub total: Option<u64>,
    /// How many entries there are, of the same accounts.
    pub all: u64,
    /// Older ones are still to be fetched.
    pub filling: Option<Filling>,
    /// What was here before was damaged, and is being fetched again.
    pub again: bool,
}

/// A table was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvDone {
    /// Its lines, without the first.
    pub rows: u64,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").finish_non_exhaustive()
    }
}

impl Archive {
    /// Starts, without any account.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start() -> Result<Self, HistoryError> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let tell = Tell {
            changed: watch::Sender::new(0),
            lost: watch::Sender::new(0),
        };
        let worker = Worker::new(waiting, tell.clone());
        let thread = std::thread::Builder::new().name("history".to_owned());
        thread
            .spawn(move || worker.run())
            .map_err(|error| HistoryError::Failed(error.to_string()))?;
        Ok(Self {
            shared: Arc::new(Shared { jobs, tell }),
        })
    }

    /// Goes up when entries came or changed, and when a selection was counted.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.tell.changed.subscribe()
    }

    /// Goes up when a file was found damaged while it was used: it has to be filled again.
    #[must_use]
    pub fn lost(&self) -> watch::Receiver<u64> {
        self.shared.tell.lost.subscribe()
    }

    /// From now on there is this account, with its entries in this file. It is opened when it is needed.
    ///
    /// # Errors
    /// [`HistoryError::Closed`], or too much is asked at once.
    pub fn keep(&self, account: &str, file: &Path) -> Result<(), HistoryError> {
        self.send(Job::Keep {
            account: account.to_owned(),
            file: file.to_owned(),
        })
    }

    /// The account is signed out: its file is deleted.
    ///
    /// # Errors
    /// When it is still there.
    pub async fn forget(&self, account: &str) -> Result<(), HistoryError> {
        let account = account.to_owned();
        self.ask(|reply| Job::Forget { account, reply }).await
    }

    /// Nobody looks any more: files are closed, memory is given back.
    ///
    /// # Errors
    /// [`HistoryError::Closed`], or too much is asked at once.
    pub fn rest(&self) -> Result<(), HistoryError> {
        self.send(Job::Rest)
    }

    /// Keeps entries, a few at a time, so that questions are answered in between.
    ///
    /// # Errors
    /// Then its step was not taken; some of its entries may be there.
    pub async fn put(&self, account: &str, put: Put) -> Result<(), HistoryError> {
        let account = account.to_owned();
        self.ask(|reply| Job::Put {
            account,
            put,
            reply,
        })
        .await
    }

    /// What has to be fetched, newest first. `anew`: what happened since the newest place that is known, too.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn todo(&self, account: &str, anew: bool) -> Result<Vec<Range>, HistoryError> {
        let account = account.to_owned();
        self.ask(|reply| Job::Todo {
            account,
            anew,
            reply,
        })
        .await
    }

    /// What is known of the server's places is no good: everything is to be fetched, and what is here stays.
    ///
    /// # Errors
    /// Then nothing changed.
    pub async fn start_over(&self, account: &str) -> Result<(), HistoryError> {
        let account = account.to_owned();
        self.ask(|reply| Job::StartOver { account, reply }).await
    }

    /// Rows of a selection, from this place on.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn page(
        &self,
        query: &HistoryQuery,
        at: u64,
        limit: u16,
    ) -> Result<Found, HistoryError> {
        let query = query.clone();
        self.ask(|reply| Job::Page {
            query,
            at,
            limit,
            reply,
        })
        .await
    }

    /// People whose names have words that begin so, those with most entries first.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn people(
        &self,
        text: &str,
        account: Option<&str>,
    ) -> Result<Vec<PersonChoice>, HistoryError> {
        let (text, account) = (text.to_owned(), account.map(str::to_owned));
        self.ask(|reply| Job::People {
            text,
            account,
            reply,
        })
        .await
    }

    /// The last operation like this that the account's person approved from this device.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn approved(
        &self,
        account: &str,
        likeness: Digest,
    ) -> Result<Option<Approved>, HistoryError> {
        let account = account.to_owned();
        self.ask(|reply| Job::Approved {
            account,
            likeness,
            reply,
        })
        .await
    }

    /// Figures of a selection.
    ///
    /// # Errors
    /// As the disk has it.
    pub async fn figures(&self, query: &HistoryQuery) -> Result<Figures, HistoryError> {
        let query = query.clone();
        self.ask(|reply| Job::Figures { query, reply }).await
    }

    /// Writes a selection as a table.
    ///
    /// # Errors
    /// [`HistoryError::Write`]; then there is no file.
    pub async fn csv(&self, query: &HistoryQuery, path: PathBuf) -> Result<CsvDone, HistoryError> {
        let query = query.clone();
        self.ask(|reply| Job::Csv { query, path, reply }).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, HistoryError>>) -> Job,
    ) -> Result<T, HistoryError> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| HistoryError::Closed)?
    }

    fn send(&self, job: Job) -> Result<(), HistoryError> {
        self.shared.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HistoryError::Failed("too much is asked at once".to_owned()),
            TrySendError::Disconnected(_) => HistoryError::Closed,
        })
    }
}
