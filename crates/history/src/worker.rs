//! The thread that has the files: one call at a time, and what takes long a bit at a time in between, so that a page
//! never waits for a table, or for the filling.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use countersign_api::ipc::Line;
use countersign_api::ipc::{
    Figures, Filling, HistoryQuery, MAX_PAGE_ROWS, PersonChoice, Role, Span,
};
use countersign_model::Digest;
use tokio::sync::{oneshot, watch};

use crate::approved::Approved;
use crate::archive::{CsvDone, Found};
use crate::cache::{Cache, Opened, Put, Range};
use crate::csv::Table;
use crate::entry::{Spans, plain};
use crate::figures::Figuring;
use crate::select::{Query, Selection};
use crate::{HistoryError, approved, schema, words};

/// Files are closed when nobody has asked for so long.
const IDLE: Duration = Duration::from_secs(20);
/// Rows that are counted before the next call is looked for.
const COUNTED_AT_ONCE: u64 = 2_000;
/// Rows that are read, for a table or for figures.
const READ_AT_ONCE: u64 = 200;
/// Entries that are put in. All of these take some milliseconds.
const PUT_AT_ONCE: usize = 16;
/// Selections that are remembered.
const MAX_SELECTIONS: usize = 2;
/// People in one answer.
const MAX_PEOPLE: usize = 50;

type Reply<T> = oneshot::Sender<Result<T, HistoryError>>;

/// A call.
pub(crate) enum Job {
    Keep {
        account: String,
        file: PathBuf,
    },
    Forget {
        account: String,
        reply: Reply<()>,
    },
    Rest,
    Put {
        account: String,
        put: Put,
        reply: Reply<()>,
    },
    Todo {
        account: String,
        anew: bool,
        reply: Reply<Vec<Range>>,
    },
    StartOver {
        account: String,
        reply: Reply<()>,
    },
    Page {
        query: HistoryQuery,
        at: u64,
        limit: u16,
        reply: Reply<Found>,
    },
    People {
        text: String,
        account: Option<String>,
        reply: Reply<Vec<PersonChoice>>,
    },
    Approved {
        account: String,
        likeness: Digest,
        reply: Reply<Option<Approved>>,
    },
    Figures {
        query: HistoryQuery,
        reply: Reply<Figures>,
    },
    Csv {
        query: HistoryQuery,
        path: PathBuf,
        reply: Reply<CsvDone>,
    },
}

/// Who is told that something changed.
#[derive(Clone)]
pub(crate) struct Tell {
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) lost: watch::Sender<u64>,
}

/// What takes long.
enum Long {
    Figures(Figuring, Reply<Figures>),
    Csv(Table, Reply<CsvDone>),
    Put(String, Put, Reply<()>),
}

struct Place {
    account: String,
    file: PathBuf,
    cache: Option<Cache>,
}

pub(crate) struct Worker {
    jobs: Receiver<Job>,
    tell: Tell,
    places: Vec<Place>,
    /// Most recently asked for last.
    selections: Vec<Selection>,
    long: VecDeque<Long>,
}

impl Worker {
    pub(crate) fn new(jobs: Receiver<Job>, tell: Tell) -> Self {
        Self {
            jobs,
            tell,
            places: Vec::new(),
            selections: Vec::new(),
            long: VecDeque::new(),
        }
    }

    /// Until the last handle goes.
    pub(crate) fn run(mut self) {
        loop {
            let is_open = self.places.iter().any(|place| place.cache.is_some());
            let job = if self.has_more() {
                match self.jobs.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Empty) => {
                        self.a_bit();
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => return,
                }
            } else if is_open {
                match self.jobs.recv_timeout(IDLE) {
                    Ok(job) => Some(job),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match self.jobs.recv() {
                    Ok(job) => Some(job),
                    Err(_) => return,
                }
            };
            match job {
                Some(job) => self.take(job),
                None => self.rest(),
            }
        }
    }

    fn take(&mut self, job: Job) {
        // Whoever asked may have gone away: then nobody hears, and nothing is lost.
        match job {
            Job::Keep { account, file } => self.keep(account, file),
            Job::Forget { account, reply } => {
                let _ = reply.send(self.forget(&account));
            }
            Job::Rest => self.rest(),
            Job::Put {
                account,
                put,
                reply,
            } => self.long.push_back(Long::Put(account, put, reply)),
            Job::Todo {
                account,
                anew,
                reply,
            } => {
                let done = self.todo(&account, anew);
                let done = self.noticed(done);
                let _ = reply.send(done);
            }
            Job::StartOver { account, reply } => {
                let done = self.open(&account).and_then(Cache::start_over);
                let done = self.noticed(done);
                let _ = reply.send(done);
            }
            Job::Page {
                query,
                at,
                limit,
                reply,
            } => {
                let mut found = self.page(&query, at, limit);
                if matches!(found, Err(HistoryError::Damaged(_))) {
                    // What is left of it, which may be nothing, is better than an error.
                    let _ = self.noticed(found);
                    found = self.page(&query, at, limit);
                }
                let _ = reply.send(found);
            }
            Job::People {
                text,
                account,
                reply,
            } => {
                let done = self.people(&text, account.as_deref());
                let done = self.noticed(done);
                let _ = reply.send(done);
            }
            Job::Approved {
                account,
                likeness,
                reply,
            } => {
                let done = self
                    .open(&account)
                    .and_then(|cache| approved::get(cache.connection(), likeness));
                let done = self.noticed(done);
                let _ = reply.send(done);
            }
            Job::Figures { query, reply } => {
                let begun = self
                    .open_all()
                    .and_then(|()| Figuring::new(&Query::of(&query), &self.caches()));
                match begun {
                    Ok(figuring) => self.long.push_back(Long::Figures(figuring, reply)),
                    Err(error) => {
                        let _ = reply.send(self.noticed(Err(error)));
                    }
                }
            }
            Job::Csv { query, path, reply } => {
                let begun = self
                    .open_all()
                    .and_then(|()| Table::begin(&Query::of(&query), &self.caches(), &path));
                match begun {
                    Ok(table) => self.long.push_back(Long::Csv(table, reply)),
                    Err(error) => {
                        let _ = reply.send(self.noticed(Err(error)));
                    }
                }
            }
        }
    }

    // --- what takes long -----------------------------------------------------------------------

    fn has_more(&self) -> bool {
        !self.long.is_empty()
            || self
                .selections
                .iter()
                .any(|selection| !selection.is_counted())
    }

    fn a_bit(&mut self) {
        // The newest question is the one on screen.
        if let Some(index) = self
            .selections
            .iter()
            .rposition(|selection| !selection.is_counted())
        {
            let mut selection = self.selections.remove(index);
            let counted = self
                .open_all()
                .and_then(|()| selection.count(&self.caches(), COUNTED_AT_ONCE));
            match self.noticed(counted) {
                Ok(()) => {
                    let is_counted = selection.is_counted();
                    self.selections
                        .insert(index.min(self.selections.len()), selection);
                    if is_counted {
                        self.changed();
                    }
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), "a selection is not counted: {error}")
                }
            }
            return;
        }
        let Some(mut long) = self.long.pop_front() else {
            return;
        };
        let is_wanted = match &long {
            Long::Figures(_, reply) => !reply.is_closed(),
            Long::Csv(_, reply) => !reply.is_closed(),
            Long::Put(..) => true,
        };
        if !is_wanted {
            return;
        }
        let done = self.open_all().and_then(|()| match &mut long {
            Long::Figures(figuring, _) => figuring.go_on(&self.caches(), READ_AT_ONCE),
            Long::Csv(table, _) => table.go_on(&self.caches(), READ_AT_ONCE),
            Long::Put(account, put, _) => self.put_some(account, put),
        });
        match self.noticed(done) {
            Ok(false) => self.long.push_back(long),
            Ok(true) => match long {
                Long::Figures(figuring, reply) => {
                    let _ = reply.send(Ok(figuring.done()));
                }
                Long::Csv(table, reply) => {
                    let _ = reply.send(Ok(CsvDone { rows: table.rows() }));
                }
                Long::Put(_, _, reply) => {
                    let _ = reply.send(Ok(()));
                }
            },
            Err(error) => match long {
                Long::Figures(_, reply) => {
                    let _ = reply.send(Err(error));
                }
                Long::Csv(_, reply) => {
                    let _ = reply.send(Err(error));
                }
                Long::Put(_, _, reply) => {
                    let _ = reply.send(Err(error));
                }
            },
        }
    }

    // --- calls ---------------------------------------------------------------------------------

    fn keep(&mut self, account: String, file: PathBuf) {
        self.places.retain(|place| place.account != account);
        self.places.push(Place {
            account,
            file,
            cache: None,
        });
        // The order of the caches decides between keys that are the same.
        self.places.sort_by(|a, b| a.account.cmp(&b.account));
        self.restart();
    }

    fn forget(&mut self, account: &str) -> Result<(), HistoryError> {
        let index = self
            .places
            .iter()
            .position(|place| place.account == account);
        let place = self.places.remove(index.ok_or(HistoryError::NoAccount)?);
        self.restart();
        drop(place.cache);
        schema::delete(&place.file)?;
        self.changed();
        Ok(())
    }

    /// The caches are not the same any more: what was made over them goes.
    fn restart(&mut self) {
        self.selections.clear();
        // Their replies go with them, which says that they are not answered. What is put in names its account.
        self.long.retain(|long| match long {
            Long::Figures(..) | Long::Csv(..) => false,
            Long::Put(..) => true,
        });
    }

    fn rest(&mut self) {
        self.selections.clear();
        if self.long.is_empty() {
            for place in &mut self.places {
                place.cache = None;
            }
        }
    }

    /// Puts the first few in. `true`: these were all.
    fn put_some(&mut self, account: &str, put: &mut Put) -> Result<bool, HistoryError> {
        let rest = put.entries.split_off(PUT_AT_ONCE.min(put.entries.len()));
        let is_last = rest.is_empty();
        let now = Put {
            entries: std::mem::replace(&mut put.entries, rest),
            // With the last of its entries: until then it is not fetched whole.
            step: put.step.take_if(|_| is_last),
        };
        self.put(account, &now)?;
        Ok(is_last)
    }

    fn put(&mut self, account: &str, put: &Put) -> Result<(), HistoryError> {
        let index = self
            .places
            .iter()
            .position(|place| place.account == account);
        let index = index.ok_or(HistoryError::NoAccount)?;
        let cache = self
            .places
            .get_mut(index)
            .and_then(|place| place.cache.as_mut());
        let changes = cache.ok_or(HistoryError::NoAccount)?.put_telling(put)?;
        let mut selections = std::mem::take(&mut self.selections);
        let caches = self.caches();
        for change in &changes {
            let mut kept = Vec::new();
            for mut selection in selections {
                if selection.changed(&caches, index, change)? {
                    kept.push(selection);
                }
            }
            selections = kept;
        }
        self.selections = selections;
        if !changes.is_empty() || put.step.is_some() {
            self.changed();
        }
        Ok(())
    }

    fn todo(&mut self, account: &str, anew: bool) -> Result<Vec<Range>, HistoryError> {
        self.open(account)?.todo(anew)
    }

    fn page(&mut self, asked: &HistoryQuery, at: u64, limit: u16) -> Result<Found, HistoryError> {
        self.open_all()?;
        let query = Query::of(asked);
        let index = self
            .selections
            .iter()
            .position(|selection| *selection.query() == query);
        let mut selection = match index {
            Some(index) => self.selections.remove(index),
            None => Selection::new(query.clone()),
        };
        let caches = self.caches();
        let places = selection.at(&caches, at, usize::from(limit.min(MAX_PAGE_ROWS)))?;
        let mut rows = Vec::with_capacity(places.len());
        for (key, of) in places {
            if let Some(cache) = caches.get(of) {
                rows.extend(cache.row(key)?);
            }
        }
        let total = selection.total(&caches)?;
        let (mut all, mut again, mut left) = (0, false, false);
        let mut about = Some(0);
        for cache in caches.iter().filter(|cache| query.is_of(cache)) {
            let filled = cache.filled()?;
            let here = cache.entries()?;
            all += here;
            again |= filled.again;
            left |= filled.left;
            let of = if filled.left {
                filled
                    .left_permille
                    .filter(|left| *left < 1_000)
                    .map(|left| here * 1_000 / (1_000 - u64::from(left)))
            } else {
                Some(here)
            };
            about = about.zip(of).map(|(sum, of)| sum + of);
        }
        // Whoever asks for another one no longer waits for the number of the one before.
        self.selections.retain(Selection::is_counted);
        self.selections.push(selection);
        if self.selections.len() > MAX_SELECTIONS {
            self.selections.remove(0);
        }
        Ok(Found {
            rows,
            total,
            all,
            filling: left.then_some(Filling {
                done: all,
                of: about,
            }),
            again,
        })
    }

    fn people(
        &mut self,
        text: &str,
        account: Option<&str>,
    ) -> Result<Vec<PersonChoice>, HistoryError> {
        self.open_all()?;
        let sought = words::of_search(text);
        let mut found: Vec<(String, Line, u64)> = Vec::new();
        for cache in self.caches() {
            if account.is_some_and(|account| account != cache.account()) {
                continue;
            }
            let sql = "SELECT subject, name, n FROM person WHERE n > 0 ORDER BY n DESC";
            let mut statement = cache.connection().prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut taken = 0;
            while let Some(row) = rows.next()? {
                let (subject, name): (String, String) = (row.get(0)?, row.get(1)?);
                let name: Spans = serde_json::from_str(&name)
                    .map_err(|error| HistoryError::Damaged(error.to_string()))?;
                let name = name.line();
                if !words::found(&words::of_entry([plain(&name).as_str()]), &sought) {
                    continue;
                }
                let count = row.get::<_, i64>(2)?.unsigned_abs();
                match found.iter_mut().find(|(known, _, _)| *known == subject) {
                    Some((_, _, n)) => *n += count,
                    None => found.push((subject, name, count)),
                }
                taken += 1;
                if taken == MAX_PEOPLE {
                    break;
                }
            }
        }
        found.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        found.truncate(MAX_PEOPLE);
        Ok(found
            .into_iter()
            .map(|(id, name, count)| PersonChoice {
                issuer: issuer_of(&id),
                id,
                name,
                count,
            })
            .collect())
    }

    // --- files ---------------------------------------------------------------------------------

    fn caches(&self) -> Vec<&Cache> {
        self.places
            .iter()
            .filter_map(|place| place.cache.as_ref())
            .collect()
    }

    /// The account's, opened with all others, as always.
    fn open(&mut self, account: &str) -> Result<&mut Cache, HistoryError> {
        self.open_all()?;
        let place = self
            .places
            .iter_mut()
            .find(|place| place.account == account);
        let cache = place.and_then(|place| place.cache.as_mut());
        cache.ok_or(HistoryError::NoAccount)
    }

    fn open_all(&mut self) -> Result<(), HistoryError> {
        let mut lost = false;
        for place in self.places.iter_mut().filter(|place| place.cache.is_none()) {
            let (cache, found) = Cache::open(&place.file, &place.account)?;
            lost |= found == Opened::PutAside;
            place.cache = Some(cache);
        }
        if lost {
            self.tell.lost.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    /// Where a file was found damaged, it is put aside, and whoever fills it is told.
    fn noticed<T>(&mut self, done: Result<T, HistoryError>) -> Result<T, HistoryError> {
        if !matches!(done, Err(HistoryError::Damaged(_))) {
            return done;
        }
        self.restart();
        // What was half put in belongs to a file that may be gone.
        self.long.clear();
        let broken = |cache: &Cache| {
            let check: Result<String, _> =
                cache
                    .connection()
                    .query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
            check.map_or(true, |answer| answer != "ok")
        };
        let any = self.caches().iter().any(|cache| broken(cache));
        for place in &mut self.places {
            let Some(cache) = place.cache.take() else {
                continue;
            };
            // What reads as whole and is not what was written is no use either.
            if !any || broken(&cache) {
                let file = cache.path().to_owned();
                drop(cache);
                let again =
                    schema::put_aside(&file).and_then(|()| schema::open_again(&file).map(drop));
                if let Err(error) = again {
                    tracing::warn!(code = error.code(), "no new history: {error}");
                }
            } else {
                place.cache = Some(cache);
            }
        }
        self.tell.lost.send_modify(|n| *n += 1);
        self.changed();
        done
    }

    fn changed(&self) {
        self.tell.changed.send_modify(|n| *n += 1);
    }
}

/// Issuers are addresses: no character in one deceives.
fn issuer_of(subject: &str) -> Line {
    let issuer = subject.split('\n').next().unwrap_or_default();
    let shown: String = issuer.chars().filter(char::is_ascii_graphic).collect();
    Line {
        indent: 0,
        spans: vec![Span {
            role: Role::Data,
            text: shown,
        }],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use countersign_api::ipc::{Kind, Outcome, Party, Row};

    use super::*;
    use crate::entry::Entry;

    fn entry(n: usize) -> Entry {
        let nothing = Line {
            indent: 0,
            spans: Vec::new(),
        };
        Entry {
            row: Row {
                txn: format!("t{n}"),
                account: String::new(),
                kind: Kind::Other,
                requester: nothing.clone(),
                requester_id: None,
                initials: String::new(),
                party: Party::Person,
                summary: nothing.clone(),
                resource: nothing,
                asked_at: 0,
                expires_at: 0,
                approvals: 0,
                needed: 1,
                irreversible: false,
                outcome: Outcome::Denied,
                ended_at: Some(1_000),
                ended_by: None,
            },
            genuine: true,
            requester: None,
            votes: Vec::new(),
            texts: Vec::new(),
            approved: None,
        }
    }

    #[test]
    fn a_question_does_not_wait_for_what_is_put_in() {
        let folder = tempfile::tempdir().unwrap();
        let (jobs, waiting) = sync_channel(8);
        let tell = Tell {
            changed: watch::Sender::new(0),
            lost: watch::Sender::new(0),
        };
        let put = Put {
            entries: (0..PUT_AT_ONCE * 3).map(entry).collect(),
            step: None,
        };
        let (kept, mut was_kept) = oneshot::channel();
        let (found, mut was_found) = oneshot::channel();
        // All of it waits before the worker begins.
        for job in [
            Job::Keep {
                account: "one".to_owned(),
                file: folder.path().join("one.db"),
            },
            Job::Put {
                account: "one".to_owned(),
                put,
                reply: kept,
            },
            Job::Page {
                query: HistoryQuery::default(),
                at: 0,
                limit: 10,
                reply: found,
            },
        ] {
            assert!(jobs.try_send(job).is_ok());
        }
        drop(jobs);
        Worker::new(waiting, tell).run();
        assert_eq!(was_found.try_recv().unwrap().unwrap().all, 0);
        // The last handle went in the middle of it: it ends there, and says nothing.
        assert!(was_kept.try_recv().is_err());
    }
}
