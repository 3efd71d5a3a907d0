//! Closed requests on an approver's device: searched, filtered, counted and exported without the server.
//!
//! - [`Archive`]: the handle of all accounts' caches, answered by a thread of its own, so that nothing here ever
//!   blocks a program's loop. Files are open only while they are used
//! - [`Cache`]: the file of one account, and what is written into it
//! - [`Entry`]: what is kept of a request
//! - [`Approved`]: the last operation of its kind that the person approved here, as digests
//!
//! A cache is no truth and no proof: it is filled from the server with what its owner has verified, and can be thrown
//! away and filled again at any time. Of an operation it keeps what a row shows, and the words that find it; the
//! operation itself, signatures and tokens are not kept. It knows no network and no clock.
//!
//! # How a selection is walked
//!
//! The key of an entry says when it ended (newest first), and its *class*: outcome, kind, and whether the person voted. A
//! filter is a set of classes; each class, each person's entries by class, and each text's hits come in the order of the
//! keys, so that a selection is a merge of sorted streams. Nothing is sorted, and nothing is held but an anchor every few
//! hundred rows, from which any place of the list is a short walk (module `select`).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod approved;
mod archive;
mod cache;
mod csv;
mod entry;
mod figures;
mod schema;
mod select;
mod words;
mod worker;

pub use approved::{Approved, MAX_PARTS, Part};
pub use archive::{Archive, CsvDone, Found};
pub use cache::{Cache, MAX_TEXT_BYTES, Opened, Put, Range, Step};
pub use csv::{csv_line, outcome_name};
pub use entry::{Cast, Entry, Person};

/// Why a cache cannot answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// The file's bytes are not what was written.
    #[error("the history on this device is damaged ({0})")]
    Damaged(String),
    /// The disk or the database failed.
    #[error("the history on this device cannot be used ({0})")]
    Failed(String),
    /// There is no such account here.
    #[error("there is no history of this account on this device")]
    NoAccount,
    /// A file could not be written.
    #[error("the file {path} could not be written ({why})")]
    Write {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// The program ends.
    #[error("the history is closed")]
    Closed,
}

impl HistoryError {
    /// Stable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "history_damaged",
            Self::Failed(_) => "history_failed",
            Self::NoAccount => "history_no_account",
            Self::Write { .. } => "history_not_written",
            Self::Closed => "history_closed",
        }
    }
}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let damaged = matches!(
            error.sqlite_error_code(),
            Some(DatabaseCorrupt | NotADatabase)
        ) || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        );
        if damaged {
            Self::Damaged(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}
