//! The file of one account: what is put into it, and what is still to be fetched.
//!
//! Order of writes: the place where the next page starts comes in one transaction with the last entries of a page.
//! CRASH: the page is there and the filling goes on behind it, or it is fetched once more; what of it is there already
//! stays as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_api::ipc::{Choice, Row};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::HistoryError;
use crate::entry::{Cast, Class, Entry, Person, Spans, Stored, key};
pub use crate::schema::Found as Opened;
use crate::{approved, schema, words};

/// Begins words that no text has: persons, outcomes, kinds.
pub(crate) const MARK: char = '\u{E000}';
/// Of all texts of an entry together, so many bytes are found by.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The cache of one account.
#[derive(Debug)]
pub struct Cache {
    connection: Connection,
    account: String,
    path: PathBuf,
}

/// Entries, and how far the filling is with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Put {
    /// What is known better from now on.
    pub entries: Vec<Entry>,
    /// Where the filling goes on.
    pub step: Option<Step>,
}

/// A page of the server's history was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which part it was of. One that is not to be fetched any more changes nothing.
    pub range: Range,
    /// The newest place of the server's history, if this was its first page.
    pub newest: Option<String>,
    /// Where the next page starts; none: this range is done.
    pub next: Option<String>,
    /// How much of the server's history is older than this page, in thousandths.
    pub left_permille: Option<u16>,
}

/// A part of the server's history that is still to be fetched, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Names it.
    pub id: i64,
    /// From here on; none: from the newest.
    pub below: Option<String>,
    /// Down to here; none: to the oldest.
    pub until: Option<String>,
}

/// What a put did to the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) removed: Option<i64>,
    pub(crate) added: i64,
    pub(crate) words: BTreeSet<String>,
    pub(crate) people: Vec<i64>,
}

/// How far the filling is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filled {
    /// Older entries are still to be fetched. What was missed lately does not count.
    pub(crate) left: bool,
    pub(crate) left_permille: Option<u16>,
    /// It was filled before, and lost.
    pub(crate) again: bool,
}

impl Cache {
    /// Opens the file of an account, making it where there is none.
    ///
    /// # Errors
    /// When neither it nor a new one in its place can be used.
    pub fn open(path: &Path, account: &str) -> Result<(Self, Opened), HistoryError> {
        let (connection, found) = schema::open(path)?;
        let cache = Self {
            connection,
            account: account.to_owned(),
            path: path.to_owned(),
        };
        Ok((cache, found))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps entries, each in the place of what was known of it.
    ///
    /// # Errors
    /// Then nothing of it was kept.
    pub fn put(&mut self, put: &Put) -> Result<(), HistoryError> {
        self.put_telling(put).map(|_| ())
    }

    pub(crate) fn put_telling(&mut self, put: &Put) -> Result<Vec<Change>, HistoryError> {
        let tx = self.connection.transaction()?;
        let mut changes: Vec<Change> = Vec::new();
        // In the order of their keys: the index of words takes them in faster.
        let mut entries: Vec<&Entry> = put.entries.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.ended()));
        for entry in entries {
            changes.extend(put_entry(&tx, entry)?);
            if let Some(approved) = &entry.approved {
                approved::put(&tx, approved)?;
            }
        }
        let words: BTreeSet<&String> = changes.iter().flat_map(|change| &change.words).collect();
        for word in words.into_iter().filter(|word| !words::is_short(word)) {
            tx.prepare_cached("INSERT OR IGNORE INTO word (word) VALUES (?1)")?
                .execute([word])?;
        }
        if let Some(step) = &put.step {
            take_step(&tx, step)?;
        }
        tx.commit()?;
        Ok(changes)
    }

    /// What is known of the server's places is no good: everything is to be fetched, and what is here stays.
    ///
    /// # Errors
    /// Then nothing changed.
    pub fn start_over(&mut self) -> Result<(), HistoryError> {
        let tx = self.connection.transaction()?;
        tx.execute("DELETE FROM todo", [])?;
        tx.execute("INSERT INTO todo (below, until) VALUES (NULL, NULL)", [])?;
        tx.execute("UPDATE mark SET newest = NULL, left_permille = NULL", [])?;
        Ok(tx.commit()?)
    }

    /// What has to be fetched, newest first. `anew`: what may have happened since the newest place that is known, too.
    ///
    /// # Errors
    /// As the disk has it.
    pub fn todo(&mut self, anew: bool) -> Result<Vec<Range>, HistoryError> {
        if anew {
            let sql = "INSERT INTO todo (below, until) SELECT NULL, newest FROM mark
                       WHERE NOT EXISTS (SELECT 1 FROM todo WHERE below IS NULL)";
            self.connection.execute(sql, [])?;
        }
        // A newer range has a greater id, and stands before the older ones.
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, below, until FROM todo ORDER BY id DESC")?;
        let ranges = statement.query_map([], |row| {
            Ok(Range {
                id: row.get(0)?,
                below: row.get(1)?,
                until: row.get(2)?,
            })
        })?;
        Ok(ranges.collect::<Result<_, _>>()?)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// As the disk has it.
    pub fn entries(&self) -> Result<u64, HistoryError> {
        self.count(crate::entry::Classes::ALL)
    }

    pub(crate) fn count(&self, classes: crate::entry::Classes) -> Result<u64, HistoryError> {
        Ok(self
            .classes()?
            .into_iter()
            .filter(|(class, _)| classes.has(*class))
            .map(|(_, n)| n)
            .sum())
    }

    /// The classes that there are, with how many entries each has.
    pub(crate) fn classes(&self) -> Result<Vec<(Class, u64)>, HistoryError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT class, n FROM class WHERE n > 0 ORDER BY class")?;
        let rows = statement.query_map([], |row| {
            Ok((
                Class(row.get::<_, u8>(0)? & 0x7F),
                row.get::<_, i64>(1)?.unsigned_abs(),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn filled(&self) -> Result<Filled, HistoryError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM todo WHERE until IS NULL), left_permille, refilled FROM mark";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| {
            Ok(Filled {
                left: row.get(0)?,
                left_permille: row.get(1)?,
                again: row.get(2)?,
            })
        })?)
    }

    /// The id of a person in this file.
    pub(crate) fn person(&self, subject: &str) -> Result<Option<i64>, HistoryError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM person WHERE subject = ?1")?;
        Ok(statement
            .query_row([subject], |row| row.get(0))
            .optional()?)
    }

    /// The long words of the entries here that begin so; `None`: more than so many.
    pub(crate) fn words_from(
        &self,
        beginning: &str,
        most: usize,
    ) -> Result<Option<Vec<String>>, HistoryError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT word FROM word WHERE word >= ?1 AND word < ?2 ORDER BY word LIMIT ?3",
        )?;
        // No word has the last character that there is.
        let end = format!("{beginning}{}", char::MAX);
        let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![beginning, end, limit], |row| row.get(0))?;
        let found = rows.collect::<Result<Vec<String>, _>>()?;
        Ok((found.len() <= most).then_some(found))
    }

    pub(crate) fn stored(&self, key: i64) -> Result<Option<(String, Stored)>, HistoryError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT txn, stored FROM entry WHERE key = ?1")?;
        let found: Option<(String, String)> = statement
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found
            .map(|(txn, stored)| Ok((txn, read(&stored)?)))
            .transpose()
    }

    pub(crate) fn row(&self, key: i64) -> Result<Option<Row>, HistoryError> {
        let Some((txn, stored)) = self.stored(key)? else {
            return Ok(None);
        };
        let row = stored.row(key, txn, &self.account);
        row.map(Some)
            .ok_or_else(|| HistoryError::Damaged("a key".to_owned()))
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, HistoryError> {
    serde_json::from_str(text).map_err(|error| HistoryError::Damaged(error.to_string()))
}

fn written(value: &impl serde::Serialize) -> Result<String, HistoryError> {
    serde_json::to_string(value).map_err(|error| HistoryError::Failed(error.to_string()))
}

/// `None` where it is there already, the same.
fn put_entry(tx: &Connection, entry: &Entry) -> Result<Option<Change>, HistoryError> {
    let txn = entry.row.txn.as_str();
    let class = entry.class();
    let stored = written(&Stored::of(entry))?;
    let before: Option<(i64, String, String)> = tx
        .prepare_cached("SELECT key, stored, people FROM entry WHERE txn = ?1")?
        .query_row([txn], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((before, text, _)) = &before
        && *text == stored
        && Class::of_key(*before) == class
    {
        return Ok(None);
    }
    let removed = match before {
        Some((key, _, people)) => {
            take_out(tx, key, &people)?;
            Some(key)
        }
        None => None,
    };
    let added = free_key(tx, entry.ended(), txn, class)?;
    let people = people(tx, entry)?;
    let names: Vec<String> = people.iter().map(ToString::to_string).collect();
    tx.prepare_cached("INSERT INTO entry (key, txn, stored, people) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![added, txn, stored, names.join(" ")])?;
    tx.prepare_cached(
        "INSERT INTO class (class, n) VALUES (?1, 1) ON CONFLICT (class) DO UPDATE SET n = n + 1",
    )?
    .execute([class.0])?;
    for person in &people {
        tx.prepare_cached("INSERT INTO part (person, class, key) VALUES (?1, ?2, ?3)")?
            .execute(params![person, class.0, added])?;
        tx.prepare_cached("UPDATE person SET n = n + 1 WHERE id = ?1")?
            .execute([person])?;
    }
    for (nth, cast) in entry.votes.iter().enumerate() {
        put_cast(tx, added, nth, cast, entry.row.asked_at)?;
    }
    let mut texts = entry.all_texts();
    let mut left = MAX_TEXT_BYTES;
    for text in &mut texts {
        text.truncate(text.floor_char_boundary(left));
        left -= text.len();
    }
    let words = words::of_entry(texts.iter().map(String::as_str));
    let mut line: Vec<String> = words.iter().cloned().collect();
    line.extend(marks(class, &people));
    tx.prepare_cached("INSERT INTO search (rowid, words) VALUES (?1, ?2)")?
        .execute(params![added, line.join(" ")])?;
    Ok(Some(Change {
        removed,
        added,
        words,
        people,
    }))
}

/// The words of an entry that no text has.
fn marks(class: Class, people: &[i64]) -> Vec<String> {
    let mut marks = vec![
        format!("{MARK}o{}", class.0 >> 4),
        format!("{MARK}k{}", class.0 >> 1 & 7),
    ];
    if class.0 & 1 == 1 {
        marks.push(format!("{MARK}m"));
    }
    marks.extend(people.iter().map(|person| format!("{MARK}p{person}")));
    marks
}

fn take_out(tx: &Connection, key: i64, people: &str) -> Result<(), HistoryError> {
    let class = Class::of_key(key).0;
    tx.prepare_cached("DELETE FROM entry WHERE key = ?1")?
        .execute([key])?;
    tx.prepare_cached("UPDATE class SET n = n - 1 WHERE class = ?1")?
        .execute([class])?;
    for person in people.split(' ').filter(|id| !id.is_empty()) {
        let person: i64 = read(person)?;
        tx.prepare_cached("DELETE FROM part WHERE person = ?1 AND class = ?2 AND key = ?3")?
            .execute(params![person, class, key])?;
        tx.prepare_cached("UPDATE person SET n = n - 1 WHERE id = ?1")?
            .execute([person])?;
    }
    tx.prepare_cached("DELETE FROM cast WHERE key = ?1")?
        .execute([key])?;
    tx.prepare_cached("DELETE FROM search WHERE rowid = ?1")?
        .execute([key])?;
    Ok(())
}

fn free_key(tx: &Connection, ended: i64, txn: &str, class: Class) -> Result<i64, HistoryError> {
    let mut taken = tx.prepare_cached("SELECT 1 FROM entry WHERE key = ?1")?;
    for nth in 0..10_000 {
        let key = key(ended, txn, class, nth);
        if !taken.exists([key])? {
            return Ok(key);
        }
    }
    Err(HistoryError::Failed(
        "too much ended in one second".to_owned(),
    ))
}

/// The ids of those who asked or voted, each once; new ones are made.
fn people(tx: &Connection, entry: &Entry) -> Result<Vec<i64>, HistoryError> {
    let mut ids = Vec::new();
    let voters = entry.votes.iter().map(|cast| &cast.person);
    for person in entry.requester.iter().chain(voters) {
        let id = person_of(tx, person, entry.ended())?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Their name is the one of the newest entry.
fn person_of(tx: &Connection, person: &Person, at: i64) -> Result<i64, HistoryError> {
    let name = written(&Spans::of(&person.name))?;
    let known: Option<(i64, String, i64)> = tx
        .prepare_cached("SELECT id, name, named_at FROM person WHERE subject = ?1")?
        .query_row([person.id()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    match known {
        Some((id, known, named_at)) if known == name || at < named_at => Ok(id),
        Some((id, _, _)) => {
            tx.prepare_cached("UPDATE person SET name = ?2, named_at = ?3 WHERE id = ?1")?
                .execute(params![id, name, at])?;
            Ok(id)
        }
        None => {
            tx.prepare_cached(
                "INSERT INTO person (subject, name, named_at, n) VALUES (?1, ?2, ?3, 0)",
            )?
            .execute(params![person.id(), name, at])?;
            Ok(tx.last_insert_rowid())
        }
    }
}

fn put_cast(
    tx: &Connection,
    key: i64,
    nth: usize,
    cast: &Cast,
    asked_at: i64,
) -> Result<(), HistoryError> {
    let secs = cast
        .at
        .saturating_sub(asked_at)
        .clamp(0, i64::from(u32::MAX));
    let denied = match cast.choice {
        Choice::Approve => false,
        Choice::Deny => true,
    };
    tx.prepare_cached(
        "INSERT INTO cast (key, nth, mine, denied, at, secs) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        key,
        i64::try_from(nth).unwrap_or(i64::MAX),
        cast.mine,
        denied,
        cast.at,
        secs
    ])?;
    Ok(())
}

fn take_step(tx: &Connection, step: &Step) -> Result<(), HistoryError> {
    let Step {
        range: Range { id, below, until },
        newest,
        next,
        left_permille,
    } = step;
    let taken = match next {
        Some(next) => tx
            .prepare_cached(
                "UPDATE todo SET below = ?4 WHERE id = ?1 AND below IS ?2 AND until IS ?3",
            )?
            .execute(params![id, below, until, next])?,
        None => tx
            .prepare_cached("DELETE FROM todo WHERE id = ?1 AND below IS ?2 AND until IS ?3")?
            .execute(params![id, below, until])?,
    };
    if taken == 0 {
        return Ok(());
    }
    if newest.is_some() {
        tx.execute("UPDATE mark SET newest = ?1", [newest])?;
    }
    if left_permille.is_some() {
        tx.execute("UPDATE mark SET left_permille = ?1", [left_permille])?;
    }
    // What was lost is back.
    tx.execute(
        "UPDATE mark SET refilled = 0 WHERE NOT EXISTS (SELECT 1 FROM todo WHERE until IS NULL)",
        [],
    )?;
    Ok(())
}
