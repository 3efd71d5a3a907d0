//! One transaction's writes, inside its savepoint.

use countersign_lifecycle::State;
use countersign_model::{Subject, UnixSecs};
use rusqlite::{Connection, OptionalExtension, params};

use super::kill::KillPoint;
use crate::encoding::{choice_name, state_to_text};
use crate::rows::{AbsenceRow, NewBinding, NewRequest, NewVote, RequestUpdate, SeenKind};
use crate::tx::{Conflict, Tx, Write};

/// What became of the writes.
pub(crate) enum Applied {
    All {
        /// The number of the last event, where one was published.
        last_event: Option<u64>,
    },
    Nothing(Conflict),
}

pub(super) const END_VOTE: &str = "UPDATE votes SET live = 0 WHERE request = ?1 AND digest = ?2";
pub(super) const END_VOTES: &str = "UPDATE votes SET live = 0 WHERE request = ?1 AND live = 1";
pub(super) const REFRESH_VOTES: &str =
    "UPDATE votes SET claims_token = ?2 WHERE binding = ?1 AND live = 1";
/// Events are in the order of their time: only those that go are looked at, and one more.
const PRUNE_EVENTS: &str = "DELETE FROM events WHERE seq < coalesce(
  (SELECT seq FROM events WHERE at >= ?1 ORDER BY seq LIMIT 1), 9223372036854775807)";

/// Either an expectation that did not hold, or the database failed.
enum Stop {
    Conflict(Conflict),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Stop {
        Stop::Failed(error)
    }
}

pub(crate) fn apply(
    connection: &Connection,
    tx: &Tx,
    kill: &KillPoint,
) -> rusqlite::Result<Applied> {
    let mut last_event = None;
    for write in tx.writes() {
        match apply_one(connection, write) {
            Ok(event) => last_event = event.or(last_event),
            Err(Stop::Conflict(conflict)) => return Ok(Applied::Nothing(conflict)),
            Err(Stop::Failed(error)) => return Err(error),
        }
        kill.reach();
    }
    Ok(Applied::All { last_event })
}

/// The number of the event, where it published one.
fn apply_one(connection: &Connection, write: &Write) -> Result<Option<u64>, Stop> {
    match write {
        Write::OpenRequest(new) => open_request(connection, new)?,
        Write::UpdateRequest(update) => update_request(connection, update)?,
        Write::CastVote(vote) => cast_vote(connection, vote)?,
        Write::EndVote { request, vote } => {
            run(connection, END_VOTE, params![request.0, vote.as_bytes()])?;
        }
        Write::AddBinding(binding) => add_binding(connection, binding)?,
        Write::RefreshBinding { id, claims_token } => {
            let sql = "UPDATE bindings SET claims_token = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            expect_one(
                run(connection, sql, params![id.as_bytes(), claims_token])?,
                Conflict::Revoked,
            )?;
        }
        Write::KeepClaims {
            person,
            token,
            issued_at,
        } => keep_claims(connection, person, token, *issued_at)?,
        Write::RefreshVotes {
            binding,
            claims_token,
        } => {
            let values = params![binding.as_bytes(), claims_token];
            run(connection, REFRESH_VOTES, values)?;
        }
        Write::ExpectClaims { person, issued_at } => {
            let sql = "SELECT 1 FROM claims WHERE person = ?1 AND issued_at > ?2";
            let newer = connection
                .prepare_cached(sql)?
                .exists(params![person.to_string(), issued_at.0])?;
            if newer {
                return Err(Stop::Conflict(Conflict::Claims));
            }
        }
        Write::RevokeBindings {
            person,
            signed_in_until,
            sid,
            at,
        } => {
            let sql = "UPDATE bindings SET revoked_at = ?2 WHERE person = ?1 AND revoked_at IS NULL
                         AND auth_time <= ?3 AND (?4 IS NULL OR sid IS NULL OR sid = ?4)";
            let values = params![person.to_string(), at.0, signed_in_until.0, sid];
            run(connection, sql, values)?;
        }
        Write::RevokeBinding { id, at } => {
            let sql = "UPDATE bindings SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            expect_one(
                run(connection, sql, params![id.as_bytes(), at.0])?,
                Conflict::Revoked,
            )?;
        }
        Write::RevokePerson { person, at } => {
            let sql = "INSERT INTO people (person, revoked_at) VALUES (?1, ?2)
                       ON CONFLICT (person) DO UPDATE SET revoked_at = max(revoked_at, excluded.revoked_at)";
            run(connection, sql, params![person.to_string(), at.0])?;
        }
        Write::SetAbsence(absence) => set_absence(connection, absence)?,
        Write::BeginAbsence(person) => {
            let sql = "UPDATE absences SET begun = 1 WHERE person = ?1 AND begun = 0";
            let changed = run(connection, sql, params![person.to_string()])?;
            expect_one(changed, Conflict::NotAway)?;
        }
        Write::EndAbsence(person) => {
            let sql = "DELETE FROM absences WHERE person = ?1";
            let changed = run(connection, sql, params![person.to_string()])?;
            expect_one(changed, Conflict::NotAway)?;
        }
        Write::ExpectUnrevoked(id) => {
            let sql = "SELECT 1 FROM bindings WHERE id = ?1 AND revoked_at IS NULL";
            let found = connection
                .prepare_cached(sql)?
                .query_row(params![id.as_bytes()], |_| Ok(()))
                .optional()?;
            found.ok_or(Stop::Conflict(Conflict::Revoked))?;
        }
        Write::Spend { kind, value, until } => {
            let sql = "INSERT OR IGNORE INTO spent (kind, value, until) VALUES (?1, ?2, ?3)";
            let changed = run(connection, sql, params![kind.as_str(), value, until.0])?;
            expect_one(changed, Conflict::Spent(*kind))?;
        }
        Write::CountAssertion { key, count } => {
            let sql = "INSERT INTO authenticators (key, count) VALUES (?1, ?2)
                       ON CONFLICT (key) DO UPDATE SET count = excluded.count
                       WHERE excluded.count > count OR (excluded.count = 0 AND count = 0)";
            expect_one(
                run(connection, sql, params![key, count])?,
                Conflict::Counter,
            )?;
        }
        Write::Remember {
            pep,
            key,
            body,
            txn,
            until,
        } => {
            let sql = "INSERT OR IGNORE INTO remembered (pep, key, body, txn, until) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![pep.as_str(), key, body.as_bytes(), txn.as_str(), until.0];
            expect_one(run(connection, sql, values)?, Conflict::Remembered)?;
        }
        Write::Entry {
            at,
            txn,
            kind,
            detail,
        } => {
            let sql = "INSERT INTO entries (at, txn, kind, detail) VALUES (?1, ?2, ?3, ?4)";
            run(
                connection,
                sql,
                params![at.0, txn.as_ref().map(|txn| txn.as_str()), kind, detail],
            )?;
        }
        Write::Publish {
            at,
            txn,
            person,
            body,
        } => {
            let sql = "INSERT INTO events (at, txn, person, body) VALUES (?1, ?2, ?3, ?4)";
            let txn = txn.as_ref().map(|txn| txn.as_str());
            run(
                connection,
                sql,
                params![at.0, txn, person.as_ref().map(ToString::to_string), body],
            )?;
            return Ok(u64::try_from(connection.last_insert_rowid()).ok());
        }
        Write::ClockShows(at) => {
            let sql = "INSERT INTO clock (id, at) VALUES (0, ?1)
                       ON CONFLICT (id) DO UPDATE SET at = max(at, excluded.at)";
            run(connection, sql, params![at.0])?;
        }
        Write::Prune { now, events_before } => {
            run(
                connection,
                "DELETE FROM spent WHERE until <= ?1",
                params![now.0],
            )?;
            run(
                connection,
                "DELETE FROM remembered WHERE until <= ?1",
                params![now.0],
            )?;
            run(connection, PRUNE_EVENTS, params![events_before.0])?;
        }
    }
    Ok(None)
}

fn open_request(connection: &Connection, new: &NewRequest) -> Result<(), Stop> {
    let requester = new.requester.to_string();
    let count = |sql: &str, value: &str| -> rusqlite::Result<u32> {
        connection
            .prepare_cached(sql)?
            .query_row(params![value], |row| row.get(0))
    };
    let of_pep = "SELECT count(*) FROM requests WHERE pep = ?1 AND deadline IS NOT NULL";
    if count(of_pep, new.pep.as_str())? >= new.limits.per_pep {
        return Err(Stop::Conflict(Conflict::OpenPerPep));
    }
    let of_requester =
        "SELECT count(*) FROM requests WHERE requester = ?1 AND deadline IS NOT NULL";
    if count(of_requester, &requester)? >= new.limits.per_requester {
        return Err(Stop::Conflict(Conflict::OpenPerRequester));
    }
    let state = State::opened();
    let sql = "INSERT INTO requests (version, txn, pep, requester, resource_type, resource_id, operation, ask_jws,
                 request_jws, words, opened_at, vote_until, kind, state, deadline, same, first)
               VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?11, ?14, ?15)
               ON CONFLICT DO NOTHING";
    let first = first_time(connection, &requester, &new.seen)?;
    let changed = run(
        connection,
        sql,
        params![
            new.txn.as_str(),
            new.pep.as_str(),
            requester,
            new.resource_type,
            new.resource_id,
            new.operation,
            new.ask_jws,
            new.request_jws,
            new.words.0.join(" "),
            new.opened_at.0,
            new.vote_until.0,
            state.kind().as_str(),
            state_to_text(&state),
            new.same.as_bytes(),
            first.join(","),
        ],
    )?;
    expect_one(changed, Conflict::Words)
}

/// The names of what this requester comes with for the first time, which from now on is known. What a first
/// request comes with is all new: then only the requester is named.
fn first_time(
    connection: &Connection,
    requester: &str,
    seen: &[(SeenKind, String)],
) -> rusqlite::Result<Vec<&'static str>> {
    let mut first = Vec::new();
    for (kind, value) in seen {
        let sql = "INSERT OR IGNORE INTO seen (requester, kind, value) VALUES (?1, ?2, ?3)";
        if run(connection, sql, params![requester, kind.as_str(), value])? == 1 {
            first.push(*kind);
        }
    }
    let new_here = first.contains(&SeenKind::Requester);
    first.retain(|kind| *kind == SeenKind::Requester || !new_here);
    Ok(first.into_iter().map(SeenKind::as_str).collect())
}

fn keep_claims(
    connection: &Connection,
    person: &Subject,
    token: &str,
    issued_at: UnixSecs,
) -> Result<(), Stop> {
    let sql = "INSERT INTO claims (person, token, issued_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (person) DO UPDATE SET token = excluded.token, issued_at = excluded.issued_at
               WHERE excluded.issued_at >= issued_at";
    run(
        connection,
        sql,
        params![person.to_string(), token, issued_at.0],
    )?;
    Ok(())
}

fn set_absence(connection: &Connection, absence: &AbsenceRow) -> Result<(), Stop> {
    let AbsenceRow {
        person,
        from,
        until,
        stand_in,
        binding,
        begun,
    } = absence;
    let sql = "INSERT INTO absences (person, begins, until, stand_in, binding, begun)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (person) DO UPDATE SET begins = excluded.begins, until = excluded.until,
                 stand_in = excluded.stand_in, binding = excluded.binding, begun = excluded.begun";
    let stand_in = stand_in.as_ref().map(ToString::to_string);
    let values = params![
        person.to_string(),
        from.0,
        until.0,
        stand_in,
        binding.as_bytes(),
        begun,
    ];
    run(connection, sql, values)?;
    Ok(())
}

fn update_request(connection: &Connection, update: &RequestUpdate) -> Result<(), Stop> {
    let sql = "UPDATE requests SET version = version + 1, kind = ?3, state = ?4, deadline = ?5, ended_at = ?6,
                 grant_jws = coalesce(?7, grant_jws), outcome = coalesce(?8, outcome),
                 moved = CASE WHEN ?3 <> 'pending' THEN coalesce(
                   (SELECT moved FROM requests WHERE moved IS NOT NULL ORDER BY moved DESC LIMIT 1), 0) + 1 END
               WHERE key = ?1 AND version = ?2";
    let changed = run(
        connection,
        sql,
        params![
            update.key.0,
            update.expected_version,
            update.state.kind().as_str(),
            state_to_text(&update.state),
            update.deadline.map(|at| at.0),
            update.state.ended_at().map(|at| at.0),
            update.grant_jws,
            update.outcome,
        ],
    )?;
    expect_one(changed, Conflict::Version)?;
    if update.deadline.is_none() {
        run(connection, END_VOTES, params![update.key.0])?;
    }
    if let Some(text) = &update.search {
        let sql = "INSERT OR REPLACE INTO search (rowid, text) VALUES (?1, ?2)";
        run(connection, sql, params![update.key.0, text])?;
    }
    Ok(())
}

fn cast_vote(connection: &Connection, vote: &NewVote) -> Result<(), Stop> {
    let sql = "INSERT INTO votes (request, person, name, choice, digest, jws, reason, binding, claims_token, at,
                 live, step_up)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11) ON CONFLICT DO NOTHING";
    let changed = run(
        connection,
        sql,
        params![
            vote.request.0,
            vote.person.to_string(),
            vote.name,
            choice_name(vote.choice),
            vote.digest.as_bytes(),
            vote.jws,
            vote.reason,
            vote.binding.as_bytes(),
            vote.claims_token,
            vote.at.0,
            vote.step_up,
        ],
    )?;
    expect_one(changed, Conflict::Exists)
}

fn add_binding(connection: &Connection, new: &NewBinding) -> Result<(), Stop> {
    let person = new.person.to_string();
    let sql = "SELECT count(*) FROM bindings WHERE person = ?1 AND revoked_at IS NULL AND session_ends_at > ?2";
    let live: u32 = connection
        .prepare_cached(sql)?
        .query_row(params![person, new.bound_at.0], |row| row.get(0))?;
    if live >= new.max_live {
        return Err(Stop::Conflict(Conflict::TooManyBindings));
    }
    let sql = "SELECT 1 FROM people WHERE person = ?1 AND revoked_at >= ?2";
    if connection
        .prepare_cached(sql)?
        .exists(params![person, new.auth_time.0])?
    {
        return Err(Stop::Conflict(Conflict::SignedOut));
    }
    let sql = "INSERT INTO bindings (id, person, cic, id_token, session_jkt, device_name, bound_at, session_ends_at,
                 auth_time, sid)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    let changed = run(
        connection,
        sql,
        params![
            new.id.as_bytes(),
            person,
            new.cic,
            new.id_token,
            new.session_jkt,
            new.device_name,
            new.bound_at.0,
            new.session_ends_at.0,
            new.auth_time.0,
            new.sid,
        ],
    )?;
    expect_one(changed, Conflict::Exists)?;
    keep_claims(connection, &new.person, &new.id_token, new.issued_at)
}

fn run(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(values)
}

fn expect_one(changed: usize, otherwise: Conflict) -> Result<(), Stop> {
    if changed == 1 {
        Ok(())
    } else {
        Err(Stop::Conflict(otherwise))
    }
}
