//! The history on a device: first pages of filtered and searched lists over a million entries, and places deep in
//! them, beside the same questions to plain SQLite with FTS5.
//!
//! Both files are generated rows, put in directly, and kept for the next run: to fill them takes longer than to
//! measure. The questions go through the archive's thread, as the window's do, each one new.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use countersign_api::ipc::{HistoryQuery, Row};
use countersign_history::{Archive, Cache, Entry, Put};
use countersign_tests::past::{
    APART, BEGIN, Dice, KINDS, LAST, OUTCOMES, PEOPLE, THINGS, VERBS, entry, plain,
};
use rusqlite::{Connection, params};

use crate::measure::{Report, Series, folder};

/// Without optimization a million take an hour to put in, and say nothing.
const ENTRIES: u64 = if cfg!(debug_assertions) {
    5_000
} else {
    1_000_000
};
const ROUNDS: usize = 10;
/// Questions of each sort in a round.
const QUESTIONS: u64 = 60;
/// Rows of a page.
const PAGE: u16 = 100;
const BATCH: u64 = 2_000;

/// A file that is filled whole or made anew.
fn filled(path: &Path, fill: impl Fn(&Path) -> Result<()>) -> Result<Duration> {
    let whole = path.with_extension("whole");
    let begun = Instant::now();
    if fs::read_to_string(&whole).is_ok_and(|of| of == ENTRIES.to_string()) {
        return Ok(begun.elapsed());
    }
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", path.display()));
    }
    println!("filling {} with {ENTRIES} entries …", path.display());
    fill(path)?;
    fs::write(&whole, ENTRIES.to_string()).context("mark the file as whole")?;
    Ok(begun.elapsed())
}

/// Newest first, as from a server.
fn batches() -> impl Iterator<Item = Vec<Entry>> {
    (0..ENTRIES.div_ceil(BATCH)).map(|batch| {
        let first = ENTRIES - (batch * BATCH).min(ENTRIES);
        (first.saturating_sub(BATCH)..first)
            .rev()
            .map(entry)
            .collect()
    })
}

fn fill_ours(path: &Path) -> Result<()> {
    let (mut cache, _) = Cache::open(path, "bench")?;
    for entries in batches() {
        cache.put(&Put {
            entries,
            step: None,
        })?;
    }
    Ok(())
}

/// What one writes first: a table with its indexes, and FTS5 beside it.
fn fill_plain(path: &Path) -> Result<()> {
    let mut plainly = Connection::open(path).context("open")?;
    plainly.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE past (id INTEGER PRIMARY KEY, txn TEXT, ended INTEGER, outcome INTEGER, kind INTEGER, mine INTEGER,
           requester TEXT, voter TEXT, body TEXT);
         CREATE INDEX past_ended ON past (ended);
         CREATE INDEX past_outcome ON past (outcome, ended);
         CREATE INDEX past_kind ON past (kind, ended);
         CREATE INDEX past_mine ON past (mine, ended);
         CREATE INDEX past_requester ON past (requester, ended);
         CREATE VIRTUAL TABLE words USING fts5 (text, content = '', prefix = '1 2 3');",
    )?;
    for entries in batches() {
        let tx = plainly.transaction()?;
        for entry in entries {
            let (requester, vote) = (
                entry.requester.as_ref().context("somebody asked")?,
                &entry.votes[0],
            );
            let body = serde_json::to_string(&entry.row)?;
            tx.prepare_cached(
                "INSERT INTO past (txn, ended, outcome, kind, mine, requester, voter, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                entry.row.txn,
                entry.row.ended_at,
                entry.row.outcome as u8,
                entry.row.kind as u8,
                vote.mine,
                requester.sub,
                vote.person.sub,
                body
            ])?;
            let text = [
                plain(&entry.row.summary),
                plain(&entry.row.requester),
                plain(&entry.row.resource),
                plain(&vote.person.name),
                vote.reason.as_ref().map(plain).unwrap_or_default(),
                entry.texts.join(" "),
            ]
            .join(" ");
            tx.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?
                .execute(params![tx.last_insert_rowid(), text])?;
        }
        tx.commit()?;
    }
    Ok(())
}

fn filter(dice: &mut Dice) -> HistoryQuery {
    let newest = BEGIN + i64::try_from(ENTRIES).unwrap_or(0) * APART;
    let mut query = HistoryQuery::default();
    while query == HistoryQuery::default() {
        if dice.roll(3) == 0 {
            query.outcomes = vec![*dice.of(&OUTCOMES)];
        }
        if dice.roll(3) == 0 {
            query.kinds = vec![*dice.of(&KINDS)];
        }
        query.mine = dice.roll(3) == 0;
        if dice.roll(3) == 0 {
            query.person = Some(format!(
                "https://login.example.com\np{}",
                dice.skewed(PEOPLE)
            ));
        }
        if dice.roll(3) == 0 {
            query.until = Some(newest - i64::try_from(dice.roll(ENTRIES)).unwrap_or(0) * APART);
        }
    }
    query
}

/// As far as somebody has typed.
fn typed(dice: &mut Dice) -> String {
    let words = [
        (*dice.of(&THINGS)).to_owned(),
        (*dice.of(&VERBS)).to_owned(),
        (*dice.of(&LAST)).to_owned(),
        format!("tenant-{}", dice.roll(5_000)),
        format!("OPS-{}", dice.roll(100_000)),
        "legal_hold".to_owned(),
    ];
    let word: Vec<char> = dice.of(&words).chars().collect();
    let length = 1 + usize::try_from(dice.roll(word.len() as u64)).unwrap_or(0);
    let mut text: String = word.iter().take(length).collect();
    if dice.roll(2) == 0 {
        text = format!("{} {text}", dice.of(&THINGS));
    }
    text
}

/// The same question in plain SQL; gives how many rows came.
fn plainly(connection: &Connection, query: &HistoryQuery, offset: u64) -> Result<usize> {
    let mut sql = String::from("SELECT id, body FROM past WHERE 1");
    for outcome in &query.outcomes {
        sql.push_str(&format!(" AND outcome = {}", *outcome as u8));
    }
    for kind in &query.kinds {
        sql.push_str(&format!(" AND kind = {}", *kind as u8));
    }
    if query.mine {
        sql.push_str(" AND mine = 1");
    }
    let person = query
        .person
        .as_deref()
        .and_then(|person| person.split('\n').nth(1))
        .unwrap_or("");
    if !person.is_empty() {
        sql.push_str(" AND (requester = :person OR voter = :person)");
    }
    let until = query.until.unwrap_or(i64::MAX);
    let words: Vec<String> = query
        .text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\"*"))
        .collect();
    let words = words.join(" ");
    if !words.is_empty() {
        sql.push_str(" AND id IN (SELECT rowid FROM words WHERE words MATCH :words)");
    }
    sql.push_str(" AND ended < :until ORDER BY ended DESC LIMIT :limit OFFSET :offset");
    let mut statement = connection.prepare_cached(&sql)?;
    for (name, value) in [
        (":person", &person as &dyn rusqlite::ToSql),
        (":words", &words),
        (":until", &until),
        (":limit", &i64::from(PAGE)),
        (":offset", &i64::try_from(offset)?),
    ] {
        if let Some(at) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(at, value)?;
        }
    }
    let mut rows = statement.raw_query();
    let mut came = 0;
    while let Some(row) = rows.next()? {
        let _: Row = serde_json::from_str(&row.get::<_, String>(1)?)?;
        came += 1;
    }
    Ok(came)
}

/// One question to both; what each took.
async fn asked(
    (archive, connection): (&Archive, &Connection),
    query: &HistoryQuery,
    at: u64,
    (ours, theirs): (&mut Series, &mut Series),
) -> Result<()> {
    let begun = Instant::now();
    let found = archive.page(query, at, PAGE).await?;
    ours.push_time(begun.elapsed());
    ensure!(found.all == ENTRIES, "the file has {} entries", found.all);
    let begun = Instant::now();
    let came = plainly(connection, query, at)?;
    theirs.push_time(begun.elapsed());
    if query.text.is_empty() {
        ensure!(
            came == found.rows.len(),
            "{query:?} at {at}: {} rows, and {came} plainly",
            found.rows.len()
        );
    }
    Ok(())
}

pub(crate) async fn run() -> Result<()> {
    let folder = folder()?;
    let (ours, theirs) = (folder.join("history.db"), folder.join("history-plain.db"));
    let mut filling = Series::new(format!("fill {ENTRIES} entries, ours; then plain"), "ms");
    filling.push_time(filled(&ours, fill_ours)?);
    filling.push_time(filled(&theirs, fill_plain)?);

    let archive = Archive::start()?;
    archive.keep("bench", &ours)?;
    let connection = Connection::open(&theirs).context("open the plain file")?;
    let both = (&archive, &connection);
    let pair = |what: &str| {
        (
            Series::new(format!("{what}, ours"), "ms"),
            Series::new(format!("{what}, plain SQLite and FTS5"), "ms"),
        )
    };
    let mut by_filter = pair("first page by filter");
    let mut by_text = pair("first page by text");
    let mut by_both = pair("first page by text and filter");
    let mut deep = pair("a place anywhere in all of it");
    let mut dice = Dice(20_261_122);
    // Until the anchors stand: from then on any place is near.
    archive
        .page(&HistoryQuery::default(), ENTRIES - 1, 1)
        .await?;
    for _ in 0..ROUNDS {
        for (ours, theirs) in [&mut by_filter, &mut by_text, &mut by_both, &mut deep] {
            ours.round();
            theirs.round();
        }
        for _ in 0..QUESTIONS {
            let at = dice.roll(ENTRIES);
            asked(
                both,
                &HistoryQuery::default(),
                at,
                (&mut deep.0, &mut deep.1),
            )
            .await?;
        }
        for _ in 0..QUESTIONS {
            asked(
                both,
                &filter(&mut dice),
                0,
                (&mut by_filter.0, &mut by_filter.1),
            )
            .await?;
        }
        for _ in 0..QUESTIONS {
            let text = typed(&mut dice);
            let query = HistoryQuery {
                text: text.clone(),
                ..HistoryQuery::default()
            };
            asked(both, &query, 0, (&mut by_text.0, &mut by_text.1)).await?;
            let query = HistoryQuery {
                text,
                ..filter(&mut dice)
            };
            asked(both, &query, 0, (&mut by_both.0, &mut by_both.1)).await?;
        }
        archive
            .page(&HistoryQuery::default(), ENTRIES - 1, 1)
            .await?;
    }
    let mut report = Report::new("history", "of 1,000,000: p99 5 ms by filter, 30 ms by text");
    report.ratio("by filter: ours / plain", &by_filter.0, &by_filter.1);
    report.ratio("by text: ours / plain", &by_text.0, &by_text.1);
    report.ratio("by text and filter: ours / plain", &by_both.0, &by_both.1);
    report.ratio("anywhere: ours / plain", &deep.0, &deep.1);
    for (ours, theirs) in [by_filter, by_text, by_both, deep] {
        report.add(ours);
        report.add(theirs);
    }
    report.add(filling);
    report.missing("PostgreSQL's full text search");
    report.finish()
}
