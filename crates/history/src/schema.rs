//! The tables of a cache, and how a file comes to have them.
//!
//! CRASH: a file is a cache of this version whole, or it is made anew: nothing in it exists only here.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::HistoryError;

/// Goes up with each change of the tables or of what they mean, the folding of words included: an older file is
/// filled anew.
const VERSION: i64 = 3;

/// Kibibytes of pages in memory while the file is open.
const CACHE_KIB: i64 = 2_048;

/// - `entry`: a row each; its key says when it ended and its class ([`crate::entry::key`])
/// - `class`: how many entries there are of each class
/// - `person`, `part`: who asked or voted, and in what
/// - `cast`: votes, for figures
/// - `search`: the words of each entry, folded by us, and words that no text has for class and persons; it keeps no text
/// - `word`: the words in `search` that are longer than its prefixes, to find those that begin as somebody types
/// - `approved`: of operations that are alike, the last one that the person approved here ([`crate::approved`])
/// - `todo`: what of the server's history is still to be fetched, newest first; `mark`: where its newest was
const TABLES: &str = "
CREATE TABLE entry (
  key INTEGER PRIMARY KEY,
  txn TEXT NOT NULL UNIQUE,
  stored TEXT NOT NULL,
  people TEXT NOT NULL
) STRICT;
CREATE INDEX entry_class ON entry (key & 127, key);
CREATE TABLE class (class INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
CREATE TABLE person (
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  named_at INTEGER NOT NULL,
  n INTEGER NOT NULL
) STRICT;
CREATE TABLE part (
  person INTEGER NOT NULL,
  class INTEGER NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (person, class, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE cast (
  key INTEGER NOT NULL,
  nth INTEGER NOT NULL,
  mine INTEGER NOT NULL,
  denied INTEGER NOT NULL,
  at INTEGER NOT NULL,
  secs INTEGER NOT NULL,
  PRIMARY KEY (key, nth)
) STRICT, WITHOUT ROWID;
CREATE TABLE word (word TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE approved (
  likeness BLOB NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  parts BLOB NOT NULL
) STRICT;
CREATE TABLE todo (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  below TEXT,
  until TEXT
) STRICT;
CREATE TABLE mark (
  id INTEGER PRIMARY KEY CHECK (id = 0),
  newest TEXT,
  left_permille INTEGER,
  refilled INTEGER NOT NULL
) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (
  words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii', prefix = '1 2 3'
);
";

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// As it was left, or new.
    Whole,
    /// Damaged, or of another version: it was put aside, and an empty one stands in its place.
    PutAside,
}

/// Opens a new file in the place of one that was put aside.
pub(crate) fn open_again(path: &Path) -> Result<Connection, HistoryError> {
    let connection = try_open(path)?
        .ok_or_else(|| HistoryError::Failed("a new file is of another version".to_owned()))?;
    connection.execute("UPDATE mark SET refilled = 1", [])?;
    Ok(connection)
}

/// Opens the file, making it where there is none, for its owner only.
pub(crate) fn open(path: &Path) -> Result<(Connection, Found), HistoryError> {
    match try_open(path) {
        Ok(Some(connection)) => Ok((connection, Found::Whole)),
        Ok(None) | Err(HistoryError::Damaged(_)) => {
            put_aside(path)?;
            Ok((open_again(path)?, Found::PutAside))
        }
        Err(other) => Err(other),
    }
}

/// `None`: it is of another version.
fn try_open(path: &Path) -> Result<Option<Connection>, HistoryError> {
    let failed = |error: std::io::Error| HistoryError::Failed(error.to_string());
    let mut private = File::options();
    private.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        private.mode(0o600);
    }
    // SQLite gives its other files the mode of this one.
    drop(private.open(path).map_err(failed)?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power failure may cost the newest transactions, never the file: each one holds what is to be fetched next.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && tables == 0 {
        // CRASH: the tables and their version come in one transaction: all or none.
        let tx = connection.transaction()?;
        tx.execute_batch(TABLES)?;
        tx.execute(
            "INSERT INTO mark (id, newest, left_permille, refilled) VALUES (0, NULL, NULL, 0)",
            [],
        )?;
        // What is below nothing and down to nothing is everything.
        tx.execute("INSERT INTO todo (below, until) VALUES (NULL, NULL)", [])?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
    } else if version != VERSION {
        return Ok(None);
    }
    // Something of each table, so that a file which is cut short shows it now.
    for (table, column) in [
        ("entry", "stored"),
        ("class", "n"),
        ("person", "name"),
        ("part", "key"),
        ("cast", "key"),
        ("word", "word"),
        ("approved", "at"),
        ("todo", "id"),
        ("search", "rowid"),
    ] {
        let sql = format!("SELECT {column} FROM {table} LIMIT 1");
        connection.prepare(&sql)?.exists([])?;
    }
    let marks: i64 = connection.query_row("SELECT count(*) FROM mark", [], |row| row.get(0))?;
    if marks != 1 {
        return Err(HistoryError::Damaged("its mark is gone".to_owned()));
    }
    Ok(Some(connection))
}

/// The files that SQLite keeps beside it.
fn beside(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|end| with_end(path, end))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Moves a file that nobody has open out of the way: whoever wants to know what happened to it finds the newest such one.
pub(crate) fn put_aside(path: &Path) -> Result<(), HistoryError> {
    tracing::warn!(
        "the history on this device is damaged or of another version: it is filled anew"
    );
    let failed = |error: std::io::Error| HistoryError::Failed(error.to_string());
    std::fs::rename(path, with_end(path, ".damaged")).map_err(failed)?;
    for file in beside(path) {
        remove(&file)?;
    }
    Ok(())
}

/// Deletes the file, what stands beside it, and one that was put aside.
pub(crate) fn delete(path: &Path) -> Result<(), HistoryError> {
    remove(path)?;
    for file in beside(path) {
        remove(&file)?;
    }
    remove(&with_end(path, ".damaged"))
}

fn remove(path: &Path) -> Result<(), HistoryError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HistoryError::Failed(error.to_string()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
