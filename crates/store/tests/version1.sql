-- A file as version 1 made it, with a device, a request, and a vote on it.

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
  outcome TEXT
) STRICT;
CREATE UNIQUE INDEX requests_open_words ON requests (words) WHERE deadline IS NOT NULL;
CREATE INDEX requests_due ON requests (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX requests_pending ON requests (vote_until, key) WHERE kind = 'pending';
CREATE INDEX requests_open_pep ON requests (pep) WHERE deadline IS NOT NULL;
CREATE INDEX requests_open_requester ON requests (requester) WHERE deadline IS NOT NULL;
CREATE INDEX requests_same ON requests (requester, resource_type, resource_id, key);

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
  UNIQUE (request, digest)
) STRICT;
CREATE INDEX votes_person ON votes (person, request);
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
  revoked_at INTEGER
) STRICT;
CREATE INDEX bindings_person ON bindings (person, key);

CREATE TABLE people (
  person TEXT PRIMARY KEY,
  revoked_at INTEGER NOT NULL
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

INSERT INTO bindings (id, person, cic, id_token, session_jkt, device_name, bound_at, session_ends_at)
  VALUES (zeroblob(32), 'https://op.example|elin', x'636963', 'token', 'jkt', 'laptop', 50, 500);
INSERT INTO requests (version, txn, pep, requester, resource_type, resource_id, operation, ask_jws, request_jws, words,
    opened_at, vote_until, kind, state, deadline)
  VALUES (2, 'old', 'orders-gate', 'https://op.example|mara', 'orders.customer', '42', x'7b7d', 'ask', 'request',
    'amber falcon', 100, 200, 'pending',
    '{"votes":[{"person":"https://op.example|elin","digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","binding":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","signed_at":120}]}',
    200);
INSERT INTO votes (request, person, name, choice, digest, jws, reason, binding, at, live)
  VALUES (1, 'https://op.example|elin', 'Elin', 'approve', zeroblob(32), 'vote', NULL, zeroblob(32), 120, 1);
INSERT INTO search (rowid, text) VALUES (1, 'Mara');
PRAGMA user_version = 1;
