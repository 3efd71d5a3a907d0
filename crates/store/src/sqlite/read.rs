//! The reads.

use countersign_lifecycle::Kind;
use countersign_model::{Digest, PepId, Subject, Txn, UnixSecs};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::StoreError;
use crate::encoding::{choice_named, state_from_text};
use crate::rows::{
    AbsenceRow, BindingRow, ClaimsRow, DenialRow, EntryRow, EventRow, HistoryFilter, HistoryPlace,
    HistorySlice, Remembered, RequestKey, RequestRow, SeenKind, VoteRow, Words,
};

/// Words of a search beyond these are ignored.
const MAX_SEARCH_WORDS: usize = 12;

/// Why a read failed.
pub(crate) enum ReadError {
    Failed(rusqlite::Error),
    Corrupt(&'static str),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> ReadError {
        ReadError::Failed(error)
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> StoreError {
        match error {
            ReadError::Failed(error) => StoreError::Failed(error.to_string()),
            ReadError::Corrupt(what) => StoreError::Corrupt(what.to_owned()),
        }
    }
}

type Read<T> = Result<T, ReadError>;

pub(super) const REQUEST: &str = "SELECT r.key, r.version, r.txn, r.pep, r.requester, r.resource_type, r.resource_id,
  r.operation, r.ask_jws, r.request_jws, r.words, r.opened_at, r.vote_until, r.kind, r.state, r.grant_jws,
  r.outcome, r.same, r.first, r.moved FROM requests r ";

fn request_of(row: &Row<'_>) -> Read<RequestRow> {
    let words: String = row.get("words")?;
    let words = words.split_once(' ').ok_or(ReadError::Corrupt("words"))?;
    let kind: String = row.get("kind")?;
    let state: String = row.get("state")?;
    Ok(RequestRow {
        key: RequestKey(row.get("key")?),
        version: row.get("version")?,
        txn: txn_of(&row.get::<_, String>("txn")?)?,
        pep: PepId::parse(&row.get::<_, String>("pep")?).map_err(|_| ReadError::Corrupt("pep"))?,
        requester: subject_of(&row.get::<_, String>("requester")?)?,
        resource_type: row.get("resource_type")?,
        resource_id: row.get("resource_id")?,
        operation: row.get("operation")?,
        ask_jws: row.get("ask_jws")?,
        request_jws: row.get("request_jws")?,
        words: Words([words.0.to_owned(), words.1.to_owned()]),
        opened_at: UnixSecs(row.get("opened_at")?),
        vote_until: UnixSecs(row.get("vote_until")?),
        state: state_from_text(&kind, &state).ok_or(ReadError::Corrupt("state"))?,
        grant_jws: row.get("grant_jws")?,
        outcome: row.get("outcome")?,
        same: digest_of(row.get("same")?),
        first: first_of(&row.get::<_, String>("first")?)?,
        votes: Vec::new(),
    })
}

fn first_of(text: &str) -> Read<Vec<SeenKind>> {
    let names = text.split(',').filter(|name| !name.is_empty());
    names
        .map(|name| SeenKind::parse(name).ok_or(ReadError::Corrupt("first")))
        .collect()
}

fn requests(connection: &Connection, tail: &str, values: &[&dyn ToSql]) -> Read<Vec<RequestRow>> {
    // One snapshot for the requests and their votes.
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(&format!("{REQUEST}{tail}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(request_of(row)?);
    }
    for request in &mut found {
        request.votes = votes(&snapshot, request.key)?;
    }
    Ok(found)
}

fn votes(connection: &Connection, request: RequestKey) -> Read<Vec<VoteRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT v.person, v.name, v.choice, v.digest, v.jws, v.reason, v.binding, v.claims_token, v.step_up, v.at,
           b.cic, b.id_token FROM votes v JOIN bindings b ON b.id = v.binding WHERE v.request = ?1 ORDER BY v.key",
    )?;
    let mut rows = statement.query(params![request.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let choice: String = row.get("choice")?;
        found.push(VoteRow {
            person: subject_of(&row.get::<_, String>("person")?)?,
            name: row.get("name")?,
            choice: choice_named(&choice).ok_or(ReadError::Corrupt("choice"))?,
            digest: digest_of(row.get("digest")?),
            jws: row.get("jws")?,
            reason: row.get("reason")?,
            binding: digest_of(row.get("binding")?),
            claims_token: row.get("claims_token")?,
            step_up: row.get("step_up")?,
            at: UnixSecs(row.get("at")?),
            cic: row.get("cic")?,
            id_token: row.get("id_token")?,
        });
    }
    Ok(found)
}

pub(crate) fn request(connection: &Connection, txn: &Txn) -> Read<Option<RequestRow>> {
    Ok(requests(connection, "WHERE r.txn = ?1", &[&txn.as_str()])?.pop())
}

pub(crate) fn pending(
    connection: &Connection,
    after: Option<(UnixSecs, RequestKey)>,
    limit: usize,
) -> Read<Vec<RequestRow>> {
    let (until, key) = after.map_or((i64::MIN, i64::MIN), |(until, key)| (until.0, key.0));
    requests(
        connection,
        "WHERE r.kind = 'pending' AND (r.vote_until, r.key) > (?1, ?2) ORDER BY r.vote_until, r.key LIMIT ?3",
        &[&until, &key, &to_sql(limit)],
    )
}

pub(super) const PENDING_OF: &str = "WHERE r.key IN (
    SELECT key FROM requests WHERE requester = ?1 AND deadline IS NOT NULL
    UNION SELECT request FROM votes WHERE person = ?1 AND live = 1
  ) AND r.kind = 'pending' ORDER BY r.vote_until, r.key LIMIT ?2";

pub(crate) fn pending_of(
    connection: &Connection,
    person: &Subject,
    limit: usize,
) -> Read<Vec<RequestRow>> {
    let values: [&dyn ToSql; 2] = [&person.to_string(), &to_sql(limit)];
    requests(connection, PENDING_OF, &values)
}

pub(crate) fn due(connection: &Connection, now: UnixSecs, limit: usize) -> Read<Vec<RequestRow>> {
    let tail = "WHERE r.deadline IS NOT NULL AND r.deadline <= ?1 ORDER BY r.deadline LIMIT ?2";
    requests(connection, tail, &[&now.0, &to_sql(limit)])
}

pub(crate) fn next_deadline(connection: &Connection) -> Read<Option<UnixSecs>> {
    let sql = "SELECT min(deadline) FROM requests WHERE deadline IS NOT NULL";
    let at: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(UnixSecs))
}

/// From the live votes on, which are few: not from the requests or the bindings that ever were.
pub(super) const WITH_REVOKED_VOTES: &str = "WHERE r.deadline IS NOT NULL AND r.key IN (
    SELECT v.request FROM votes v INDEXED BY votes_binding CROSS JOIN bindings b ON b.id = v.binding
    WHERE v.live = 1 AND b.revoked_at IS NOT NULL
  ) ORDER BY r.key LIMIT ?1";
pub(super) const WITH_VOTES_OF: &str = "WHERE r.deadline IS NOT NULL AND r.key IN (
    SELECT request FROM votes WHERE person = ?1 AND live = 1
  ) ORDER BY r.key LIMIT ?2";

pub(crate) fn with_revoked_votes(connection: &Connection, limit: usize) -> Read<Vec<RequestRow>> {
    requests(connection, WITH_REVOKED_VOTES, &[&to_sql(limit)])
}

pub(crate) fn with_votes_of(
    connection: &Connection,
    person: &Subject,
    limit: usize,
) -> Read<Vec<RequestRow>> {
    let values: [&dyn ToSql; 2] = [&person.to_string(), &to_sql(limit)];
    requests(connection, WITH_VOTES_OF, &values)
}

pub(super) const LAST_VOTES: &str =
    "SELECT binding, max(at) FROM votes WHERE person = ?1 GROUP BY binding";

pub(crate) fn last_votes(
    connection: &Connection,
    person: &Subject,
) -> Read<Vec<(Digest, UnixSecs)>> {
    let mut statement = connection.prepare_cached(LAST_VOTES)?;
    let rows = statement.query_map(params![person.to_string()], |row| {
        Ok((digest_of(row.get(0)?), UnixSecs(row.get(1)?)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn denied(
    connection: &Connection,
    same: Digest,
    before: Option<RequestKey>,
) -> Read<Option<DenialRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT r.ended_at, v.name, v.reason FROM requests r
           JOIN votes v ON v.request = r.key AND v.choice = 'deny'
         WHERE r.same = ?1 AND r.kind = 'denied' AND r.key < ?2 ORDER BY r.key DESC, v.key DESC LIMIT 1",
    )?;
    let before = before.map_or(i64::MAX, |key| key.0);
    let row = |row: &Row<'_>| {
        Ok(DenialRow {
            at: UnixSecs(row.get(0)?),
            by: row.get(1)?,
            reason: row.get(2)?,
        })
    };
    Ok(statement
        .query_row(params![same.as_bytes(), before], row)
        .optional()?)
}

pub(crate) fn history(connection: &Connection, filter: &HistoryFilter) -> Read<HistorySlice> {
    let text = filter.text.as_deref().map(match_expression);
    let voter = filter.voter.as_ref().map(ToString::to_string);
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    let kinds = kinds.join(",");
    let limit = to_sql(filter.limit);
    if text.as_ref().is_some_and(String::is_empty) {
        return Ok(HistorySlice::default());
    }
    // One snapshot for the places, the requests and their votes.
    let snapshot = connection.unchecked_transaction()?;
    let before = match filter.before {
        Some(before) => before.0,
        None => newest(&snapshot)?.map_or(1, |place| place.0.saturating_add(1)),
    };
    // What is looked at in one call is bounded by places, whatever the rest of the filter selects.
    let looked_at = filter
        .look_at
        .unwrap_or(HistoryFilter::MAX_LOOKED_AT)
        .max(1);
    let end = filter.after.map_or(0, |after| after.0.max(0));
    let floor = end.max(before.saturating_sub(1 + i64::from(looked_at)));

    let (low, high) = match text {
        Some(_) => keys_between(&snapshot, floor, before)?,
        None => (0, 0),
    };

    // Not by another index: then the places would have to be sorted.
    let mut tail = String::from(
        "INDEXED BY requests_moved WHERE r.moved IS NOT NULL AND r.moved < :before AND r.moved > :floor",
    );
    let mut values: Vec<(&str, &dyn ToSql)> =
        vec![(":limit", &limit), (":before", &before), (":floor", &floor)];
    if let Some(text) = &text {
        // Bounded, or every hit that there ever was would be collected first (inside FTS5 those of a long prefix are).
        tail.push_str(
            " AND r.key IN (SELECT rowid FROM search WHERE search MATCH :text AND rowid BETWEEN :low AND :high)",
        );
        values.extend([
            (":text", text as &dyn ToSql),
            (":low", &low),
            (":high", &high),
        ]);
    }
    if !kinds.is_empty() {
        // The names are our own: no quote, no comma.
        tail.push_str(" AND instr(',' || :kinds || ',', ',' || r.kind || ',') > 0");
        values.push((":kinds", &kinds));
    }
    if let Some(voter) = &voter {
        tail.push_str(
            " AND EXISTS (SELECT 1 FROM votes v WHERE v.person = :voter AND v.request = r.key)",
        );
        values.push((":voter", voter));
    }
    tail.push_str(" ORDER BY r.moved DESC LIMIT :limit");

    let mut statement = snapshot.prepare_cached(&format!("{REQUEST}{tail}"))?;
    let mut rows = statement.query(values.as_slice())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place: i64 = row.get("moved")?;
        found.push((HistoryPlace(place), request_of(row)?));
    }
    for (_, request) in &mut found {
        request.votes = votes(&snapshot, request.key)?;
    }
    let next = match found.last() {
        Some((place, _)) if found.len() == filter.limit => Some(*place),
        Some(_) | None => Some(HistoryPlace(floor + 1)).filter(|_| floor > end),
    };
    Ok(HistorySlice { rows: found, next })
}

/// The least and the greatest key among the places between these two.
fn keys_between(connection: &Connection, floor: i64, before: i64) -> Read<(i64, i64)> {
    let sql = "SELECT coalesce(min(key), 0), coalesce(max(key), 0) FROM requests INDEXED BY requests_moved
               WHERE moved IS NOT NULL AND moved > ?1 AND moved < ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![floor, before], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn newest(connection: &Connection) -> Read<Option<HistoryPlace>> {
    let sql = "SELECT moved FROM requests WHERE moved IS NOT NULL ORDER BY moved DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let place = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(place.map(HistoryPlace))
}

pub(crate) fn history_ends(connection: &Connection) -> Read<Option<(HistoryPlace, UnixSecs)>> {
    let Some(newest) = newest(connection)? else {
        return Ok(None);
    };
    let sql = "SELECT ended_at FROM requests WHERE moved IS NOT NULL ORDER BY moved LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let oldest: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(Some((newest, UnixSecs(oldest.unwrap_or(0)))))
}

/// Each word in quotes, as a prefix: nothing of the person's text is syntax.
fn match_expression(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let quoted: Vec<String> = words
        .take(MAX_SEARCH_WORDS)
        .map(|word| format!("\"{word}\"*"))
        .collect();
    quoted.join(" ")
}

pub(crate) fn before(
    connection: &Connection,
    key: RequestKey,
    requester: &Subject,
    resource_type: &str,
    resource_id: &str,
    limit: usize,
) -> Read<Vec<(Kind, UnixSecs)>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, ended_at FROM requests WHERE requester = ?1 AND resource_type = ?2 AND resource_id = ?3
           AND key < ?4 AND ended_at IS NOT NULL ORDER BY key DESC LIMIT ?5",
    )?;
    let values = params![
        requester.to_string(),
        resource_type,
        resource_id,
        key.0,
        to_sql(limit)
    ];
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        found.push((
            Kind::parse(&kind).ok_or(ReadError::Corrupt("kind"))?,
            UnixSecs(row.get(1)?),
        ));
    }
    Ok(found)
}

pub(crate) fn remembered(
    connection: &Connection,
    pep: &PepId,
    key: &str,
) -> Read<Option<Remembered>> {
    let mut statement = connection
        .prepare_cached("SELECT body, txn FROM remembered WHERE pep = ?1 AND key = ?2")?;
    let found: Option<([u8; 32], String)> = statement
        .query_row(params![pep.as_str(), key], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    found
        .map(|(body, txn)| {
            Ok(Remembered {
                body: digest_of(body),
                txn: txn_of(&txn)?,
            })
        })
        .transpose()
}

pub(super) const BINDING: &str =
    "SELECT id, person, cic, id_token, claims_token, session_jkt, device_name, bound_at,
  session_ends_at, revoked_at, auth_time, sid FROM bindings ";

fn binding_of(row: &Row<'_>) -> Read<BindingRow> {
    Ok(BindingRow {
        id: digest_of(row.get("id")?),
        person: subject_of(&row.get::<_, String>("person")?)?,
        cic: row.get("cic")?,
        id_token: row.get("id_token")?,
        claims_token: row.get("claims_token")?,
        session_jkt: row.get("session_jkt")?,
        device_name: row.get("device_name")?,
        bound_at: UnixSecs(row.get("bound_at")?),
        session_ends_at: UnixSecs(row.get("session_ends_at")?),
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(UnixSecs),
        auth_time: UnixSecs(row.get("auth_time")?),
        sid: row.get("sid")?,
    })
}

fn bindings(connection: &Connection, tail: &str, values: &[&dyn ToSql]) -> Read<Vec<BindingRow>> {
    let mut statement = connection.prepare_cached(&format!("{BINDING}{tail}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(binding_of(row)?);
    }
    Ok(found)
}

pub(crate) fn binding(connection: &Connection, id: Digest) -> Read<Option<BindingRow>> {
    Ok(bindings(connection, "WHERE id = ?1", &[id.as_bytes()])?.pop())
}

pub(crate) fn bindings_of(
    connection: &Connection,
    person: &Subject,
    now: UnixSecs,
) -> Read<Vec<BindingRow>> {
    let tail =
        "WHERE person = ?1 AND revoked_at IS NULL AND session_ends_at > ?2 ORDER BY key DESC";
    bindings(connection, tail, &[&person.to_string(), &now.0])
}

/// The sum keeps SQLite from walking back through all keys for the order's sake.
pub(super) const LIVE_BINDINGS: &str =
    "WHERE revoked_at IS NULL AND session_ends_at > ?1 ORDER BY key + 0 DESC LIMIT ?2";

pub(crate) fn live_bindings(
    connection: &Connection,
    now: UnixSecs,
    limit: usize,
) -> Read<Vec<BindingRow>> {
    bindings(connection, LIVE_BINDINGS, &[&now.0, &to_sql(limit)])
}

pub(crate) fn people(
    connection: &Connection,
    now: UnixSecs,
    limit: usize,
) -> Read<Vec<(Subject, ClaimsRow)>> {
    let sql = "SELECT DISTINCT c.person, c.token, c.issued_at FROM bindings b JOIN claims c ON c.person = b.person
               WHERE b.revoked_at IS NULL AND b.session_ends_at > ?1 LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![now.0, to_sql(limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let claims = ClaimsRow {
            token: row.get("token")?,
            issued_at: UnixSecs(row.get("issued_at")?),
        };
        found.push((subject_of(&row.get::<_, String>("person")?)?, claims));
    }
    Ok(found)
}

pub(crate) fn bindings_of_session(connection: &Connection, sid: &str) -> Read<Vec<BindingRow>> {
    bindings(connection, "WHERE sid = ?1 ORDER BY key", &[&sid])
}

pub(crate) fn claims(connection: &Connection, person: &Subject) -> Read<Option<ClaimsRow>> {
    let mut statement =
        connection.prepare_cached("SELECT token, issued_at FROM claims WHERE person = ?1")?;
    let row = |row: &Row<'_>| {
        Ok(ClaimsRow {
            token: row.get(0)?,
            issued_at: UnixSecs(row.get(1)?),
        })
    };
    Ok(statement
        .query_row(params![person.to_string()], row)
        .optional()?)
}

/// Every change writes an entry with its time; what happens without one is marked now and then.
pub(crate) fn clock_shown(connection: &Connection) -> Read<Option<UnixSecs>> {
    let sql = "SELECT max(at) FROM (
        SELECT at FROM clock UNION ALL SELECT at FROM (SELECT at FROM entries ORDER BY number DESC LIMIT 1))";
    let at: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(UnixSecs))
}

pub(crate) fn revoked_at(connection: &Connection, person: &Subject) -> Read<Option<UnixSecs>> {
    let mut statement =
        connection.prepare_cached("SELECT revoked_at FROM people WHERE person = ?1")?;
    let found = statement
        .query_row(params![person.to_string()], |row| row.get(0))
        .optional()?;
    Ok(found.map(UnixSecs))
}

pub(crate) fn absences(connection: &Connection) -> Read<Vec<AbsenceRow>> {
    let sql = "SELECT person, begins, until, stand_in, binding, begun FROM absences ORDER BY until, person";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let stand_in: Option<String> = row.get("stand_in")?;
        found.push(AbsenceRow {
            person: subject_of(&row.get::<_, String>("person")?)?,
            from: UnixSecs(row.get("begins")?),
            until: UnixSecs(row.get("until")?),
            stand_in: stand_in.as_deref().map(subject_of).transpose()?,
            binding: digest_of(row.get("binding")?),
            begun: row.get("begun")?,
        });
    }
    Ok(found)
}

pub(crate) fn events_after(connection: &Connection, seq: u64, limit: usize) -> Read<Vec<EventRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, txn, person, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![
        i64::try_from(seq).unwrap_or(i64::MAX),
        to_sql(limit)
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let txn: Option<String> = row.get(1)?;
        let person: Option<String> = row.get(2)?;
        found.push(EventRow {
            seq: seq_of(row.get(0)?)?,
            txn: txn.as_deref().map(txn_of).transpose()?,
            person: person.as_deref().map(subject_of).transpose()?,
            body: row.get(3)?,
        });
    }
    Ok(found)
}

pub(crate) fn event_range(connection: &Connection) -> Read<(u64, u64)> {
    let newest: i64 = connection
        .prepare_cached(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)",
        )?
        .query_row([], |row| row.get(0))?;
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(seq) FROM events")?
        .query_row([], |row| row.get(0))?;
    // Everything was pruned: the oldest that could be there is the next one.
    let oldest = oldest.unwrap_or(if newest == 0 { 0 } else { newest + 1 });
    Ok((seq_of(oldest)?, seq_of(newest)?))
}

pub(crate) fn entries(connection: &Connection, txn: &Txn) -> Read<Vec<EntryRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, at, kind, detail FROM entries WHERE txn = ?1 ORDER BY number",
    )?;
    let rows = statement.query_map(params![txn.as_str()], |row| {
        Ok(EntryRow {
            number: row.get(0)?,
            at: UnixSecs(row.get(1)?),
            txn: Some(txn.clone()),
            kind: row.get(2)?,
            detail: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn to_sql(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn seq_of(seq: i64) -> Read<u64> {
    u64::try_from(seq).map_err(|_| ReadError::Corrupt("seq"))
}

fn txn_of(text: &str) -> Read<Txn> {
    Txn::parse(text).map_err(|_| ReadError::Corrupt("txn"))
}

fn subject_of(text: &str) -> Read<Subject> {
    Subject::parse(text).map_err(|_| ReadError::Corrupt("subject"))
}

fn digest_of(bytes: [u8; 32]) -> Digest {
    Digest::from_bytes(bytes)
}
