//! Tables, and how a file comes to have them.

use rusqlite::Connection;

use crate::StoreError;

/// Goes up with each change of the tables.
const VERSION: i64 = 5;

/// Primary keys are integers that only go up: a random key with a second index would cost several times more.
const TABLES: &str = "
CREATE TABLE requests (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL,
  txn TEXT NOT NULL UNIQUE,
  pep TEXT NOT NULL,
  requester TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  operation BLOB NOT NULL,
  ask_jws TEXT NOT NULL,
  request_jws TEXT NOT NULL,
  words TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  vote_until INTEGER NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  deadline INTEGER,
  ended_at INTEGER,
  grant_jws TEXT,
  outcome TEXT,
  same BLOB NOT NULL,
  first TEXT NOT NULL,
  moved INTEGER
) STRICT;
CREATE UNIQUE INDEX requests_moved ON requests (moved) WHERE moved IS NOT NULL;
CREATE UNIQUE INDEX requests_open_words ON requests (words) WHERE deadline IS NOT NULL;
CREATE INDEX requests_due ON requests (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX requests_pending ON requests (vote_until, key) WHERE kind = 'pending';
CREATE INDEX requests_open_pep ON requests (pep) WHERE deadline IS NOT NULL;
CREATE INDEX requests_open_requester ON requests (requester) WHERE deadline IS NOT NULL;
CREATE INDEX requests_same ON requests (requester, resource_type, resource_id, key);
CREATE INDEX requests_denied ON requests (same, key) WHERE kind = 'denied';

CREATE TABLE votes (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  request INTEGER NOT NULL REFERENCES requests (key),
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  choice TEXT NOT NULL,
  digest BLOB NOT NULL,
  jws TEXT NOT NULL,
  reason TEXT,
  binding BLOB NOT NULL,
  claims_token TEXT,
  at INTEGER NOT NULL,
  live INTEGER NOT NULL,
  step_up TEXT,
  UNIQUE (request, digest)
) STRICT;
CREATE INDEX votes_person ON votes (person, request);
CREATE INDEX votes_live ON votes (person, request) WHERE live = 1;
CREATE INDEX votes_binding ON votes (binding) WHERE live = 1;

CREATE TABLE bindings (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  person TEXT NOT NULL,
  cic BLOB NOT NULL,
  id_token TEXT NOT NULL,
  claims_token TEXT,
  session_jkt TEXT NOT NULL,
  device_name TEXT NOT NULL,
  bound_at INTEGER NOT NULL,
  session_ends_at INTEGER NOT NULL,
  revoked_at INTEGER,
  auth_time INTEGER NOT NULL,
  sid TEXT
) STRICT;
CREATE INDEX bindings_person ON bindings (person, key);
CREATE INDEX bindings_live ON bindings (session_ends_at) WHERE revoked_at IS NULL;
CREATE INDEX bindings_sid ON bindings (sid) WHERE sid IS NOT NULL;

CREATE TABLE claims (
  person TEXT PRIMARY KEY,
  token TEXT NOT NULL,
  issued_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
  requester TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (requester, kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 0),
  at INTEGER NOT NULL
) STRICT;

CREATE TABLE absences (
  person TEXT PRIMARY KEY,
  begins INTEGER NOT NULL,
  until INTEGER NOT NULL,
  stand_in TEXT,
  binding BLOB NOT NULL,
  begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
  person TEXT PRIMARY KEY,
  revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE authenticators (
  key TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spent (
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_until ON spent (until);

CREATE TABLE remembered (
  pep TEXT NOT NULL,
  key TEXT NOT NULL,
  body BLOB NOT NULL,
  txn TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (pep, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_until ON remembered (until);

CREATE TABLE entries (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  txn TEXT,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX entries_txn ON entries (txn, number);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  txn TEXT,
  person TEXT,
  body TEXT NOT NULL
) STRICT;

CREATE VIRTUAL TABLE search USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
";

/// From version 1. What it did not keep is taken as the worst: a binding's sign-in as long ago, so that any
/// revocation ends it; who has asked before is known from the requests; nothing old asks for the same as anything.
const FROM_1: &str = "
ALTER TABLE requests ADD COLUMN same BLOB NOT NULL DEFAULT x'';
ALTER TABLE requests ADD COLUMN first TEXT NOT NULL DEFAULT '';
UPDATE requests SET same = randomblob(32);
CREATE INDEX requests_denied ON requests (same, key) WHERE kind = 'denied';
ALTER TABLE votes ADD COLUMN step_up TEXT;
ALTER TABLE bindings ADD COLUMN auth_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bindings ADD COLUMN sid TEXT;
CREATE INDEX bindings_sid ON bindings (sid) WHERE sid IS NOT NULL;
CREATE TABLE claims (
  person TEXT PRIMARY KEY,
  token TEXT NOT NULL,
  issued_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
  requester TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (requester, kind, value)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO seen SELECT requester, 'requester', '' FROM requests;
INSERT OR IGNORE INTO seen SELECT requester, 'resource', resource_type || ' ' || resource_id FROM requests;
CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 0),
  at INTEGER NOT NULL
) STRICT;
";

/// From version 2. Nobody was away.
const FROM_2: &str = "
CREATE INDEX bindings_live ON bindings (session_ends_at) WHERE revoked_at IS NULL;
CREATE TABLE absences (
  person TEXT PRIMARY KEY,
  begins INTEGER NOT NULL,
  until INTEGER NOT NULL,
  stand_in TEXT,
  binding BLOB NOT NULL,
  begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// From version 3. What was closed takes its place in the history by when it ended.
const FROM_3: &str = "
ALTER TABLE requests ADD COLUMN moved INTEGER;
UPDATE requests SET moved = placed.nth FROM (
  SELECT key, row_number() OVER (ORDER BY ended_at, key) AS nth FROM requests WHERE kind <> 'pending'
) AS placed WHERE placed.key = requests.key;
CREATE UNIQUE INDEX requests_moved ON requests (moved) WHERE moved IS NOT NULL;
";

/// From version 4. Votes on closed requests are no longer live; what is pending is not searched.
const FROM_4: &str = "
UPDATE votes SET live = 0 WHERE live = 1 AND request IN (SELECT key FROM requests WHERE deadline IS NULL);
CREATE INDEX votes_live ON votes (person, request) WHERE live = 1;
DELETE FROM search WHERE rowid IN (SELECT key FROM requests WHERE kind = 'pending');
CREATE TABLE authenticators (
  key TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The pages of a new file, in bytes. A request changes some fifteen pages, each of which is summed, written and synced
/// whole: half the usual size makes half of that work.
const PAGE_BYTES: u32 = 2_048;

/// Settings of every connection.
pub(crate) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // First: from the next setting on a file keeps the pages that it has.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "busy_timeout", 5_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Makes the tables in a new file, and brings an older one up to date; refuses one of another version.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let open = |error: rusqlite::Error| StoreError::Open(error.to_string());
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(open)?;
    match version {
        VERSION => Ok(()),
        0..=4 => {
            // CRASH: the tables and their version come in one transaction: all or none.
            let tx = connection.transaction().map_err(open)?;
            let steps: &[&str] = match version {
                0 => &[TABLES],
                1 => &[FROM_1, FROM_2, FROM_3, FROM_4],
                2 => &[FROM_2, FROM_3, FROM_4],
                3 => &[FROM_3, FROM_4],
                _ => &[FROM_4],
            };
            for step in steps {
                tx.execute_batch(step).map_err(open)?;
            }
            tx.pragma_update(None, "user_version", VERSION)
                .map_err(open)?;
            tx.commit().map_err(open)
        }
        other => Err(StoreError::Open(format!(
            "the file has version {other}, this program knows {VERSION}: use the program that made it"
        ))),
    }
}
