//! A selection, walked newest first: sorted streams of keys, merged; counted by the way, with an anchor now and then
//! from which any place of it is near.
//!
//! Streams hold no statement open: each reads a batch behind the last key that it gave. So a writer is never kept
//! waiting, and an entry that comes in between is found or counted by [`Selection::added`], never both.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use countersign_api::ipc::HistoryQuery;
use rusqlite::params;

use crate::HistoryError;
use crate::cache::{Cache, Change, MARK};
use crate::entry::{Class, Classes, keys_between};
use crate::words;

/// Rows between two anchors.
const ANCHOR_ROWS: u64 = 256;
/// The largest batch of a stream that is looked up in an index.
const MAX_BATCH: usize = 1_024;
/// The largest batch of a text's hits.
const MAX_TEXT_BATCH: usize = 4_096;
/// The same where the index gathers all of them for each batch.
const MAX_GATHERED_BATCH: usize = 65_536;
/// Words that are looked for by name where they begin as somebody typed. When there are more, the index gathers them.
const MAX_NAMED: usize = 64;

/// A place in the merged list: the key, and whose.
pub(crate) type Place = (i64, usize);

/// What is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    classes: Classes,
    /// The first key, and one past the last.
    keys: (i64, i64),
    words: Vec<String>,
    person: Option<String>,
    account: Option<String>,
}

impl Query {
    pub(crate) fn of(query: &HistoryQuery) -> Self {
        let HistoryQuery {
            text,
            outcomes,
            kinds,
            mine,
            person,
            from,
            until,
            account,
        } = query;
        Self {
            classes: Classes::selected(outcomes, kinds, *mine),
            keys: keys_between(*from, *until),
            words: words::of_search(text),
            person: person.clone(),
            account: account.clone(),
        }
    }

    /// Whether it is of this cache at all.
    pub(crate) fn is_of(&self, cache: &Cache) -> bool {
        let account = self.account.as_deref();
        account.is_none_or(|account| account == cache.account())
    }

    fn is_by_class_alone(&self) -> bool {
        self.words.is_empty() && self.person.is_none() && self.keys == (0, i64::MAX)
    }

    fn has_key(&self, key: i64) -> bool {
        self.classes.has(Class::of_key(key)) && self.keys.0 <= key && key < self.keys.1
    }

    /// In the language of the index of words; `None`: nothing here has such words. Each word is in quotes and has no
    /// character but letters and digits.
    fn expression(
        &self,
        cache: &Cache,
        person: Option<i64>,
    ) -> Result<Option<Expression>, HistoryError> {
        let mut parts: Vec<String> = Vec::new();
        let mut most = MAX_TEXT_BATCH;
        for word in &self.words {
            if words::is_short(word) {
                parts.push(format!("\"{word}\"*"));
                continue;
            }
            match cache.words_from(word, MAX_NAMED)? {
                Some(named) if named.is_empty() => return Ok(None),
                Some(named) => parts.push(any_of(named.iter())),
                None => {
                    parts.push(format!("\"{word}\"*"));
                    most = MAX_GATHERED_BATCH;
                }
            }
        }
        parts.extend(person.map(|person| format!("\"{MARK}p{person}\"")));
        // What most entries have is not worth a look: the class in the key says it too.
        let mut marked = |name: char, values: std::ops::Range<u8>, part: fn(Class) -> u8| {
            let wanted: Vec<u8> = values
                .clone()
                .filter(|value| {
                    (0..Class::COUNT)
                        .map(Class)
                        .any(|class| part(class) == *value && self.classes.has(class))
                })
                .collect();
            if wanted.len() < values.len() {
                parts.push(any_of(wanted.iter().map(|n| format!("{MARK}{name}{n}"))));
            }
        };
        marked('o', 0..7, |class| class.0 >> 4);
        marked('k', 0..5, |class| class.0 >> 1 & 7);
        if (0..Class::COUNT)
            .step_by(2)
            .all(|class| !self.classes.has(Class(class)))
        {
            parts.push(format!("\"{MARK}m\""));
        }
        Ok(Some(Expression {
            text: parts.join(" AND "),
            most,
        }))
    }
}

fn any_of(words: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    format!("({})", quoted.join(" OR "))
}

/// What the index of words is asked.
#[derive(Debug)]
struct Expression {
    text: String,
    /// Its largest batch.
    most: usize,
}

#[derive(Debug)]
enum From {
    Class(Class),
    Person(i64, Class),
    Words(Expression),
}

#[derive(Debug)]
struct Stream {
    cache: usize,
    from: From,
    /// The next keys, in order.
    ready: VecDeque<i64>,
    /// What was read last.
    after: i64,
    batch: usize,
    done: bool,
}

/// Streams as one.
#[derive(Debug)]
pub(crate) struct Merge {
    query: Query,
    streams: Vec<Stream>,
    heads: BinaryHeap<Reverse<(i64, usize, usize)>>,
}

impl Merge {
    /// What is selected, behind this place or from the beginning. `first`: about how many will be taken.
    pub(crate) fn behind(
        query: &Query,
        caches: &[&Cache],
        place: Option<Place>,
        first: usize,
    ) -> Result<Self, HistoryError> {
        let mut merge = Self {
            query: query.clone(),
            streams: Vec::new(),
            heads: BinaryHeap::new(),
        };
        for (index, cache) in caches
            .iter()
            .enumerate()
            .filter(|(_, cache)| query.is_of(cache))
        {
            let after = match place {
                None => query.keys.0 - 1,
                // The same key in a later cache comes behind.
                Some((key, of)) if index > of => key - 1,
                Some((key, _)) => key,
            };
            let person = match &query.person {
                None => None,
                Some(person) => match cache.person(person)? {
                    Some(id) => Some(id),
                    None => continue,
                },
            };
            let mut classes: Vec<Class> = Vec::new();
            for (class, _) in cache.classes()? {
                if query.classes.has(class) {
                    classes.push(class);
                }
            }
            let froms: Vec<From> = if !query.words.is_empty() {
                let expression = query.expression(cache, person)?;
                expression.map(From::Words).into_iter().collect()
            } else if let Some(person) = person {
                classes
                    .into_iter()
                    .map(|class| From::Person(person, class))
                    .collect()
            } else {
                classes.into_iter().map(From::Class).collect()
            };
            let batch = (2 * first / froms.len().max(1)).clamp(16, MAX_BATCH);
            merge.streams.extend(froms.into_iter().map(|from| Stream {
                cache: index,
                from,
                ready: VecDeque::new(),
                after: after.max(query.keys.0 - 1),
                batch,
                done: false,
            }));
        }
        for index in 0..merge.streams.len() {
            merge.head(caches, index)?;
        }
        Ok(merge)
    }

    /// The next one.
    pub(crate) fn next(&mut self, caches: &[&Cache]) -> Result<Option<Place>, HistoryError> {
        let Some(Reverse((key, cache, stream))) = self.heads.pop() else {
            return Ok(None);
        };
        self.head(caches, stream)?;
        Ok(Some((key, cache)))
    }

    fn head(&mut self, caches: &[&Cache], index: usize) -> Result<(), HistoryError> {
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(());
        };
        while stream.ready.is_empty() && !stream.done {
            stream.refill(caches, &self.query)?;
        }
        if let Some(key) = stream.ready.pop_front() {
            self.heads.push(Reverse((key, stream.cache, index)));
        }
        Ok(())
    }
}

impl Stream {
    fn refill(&mut self, caches: &[&Cache], query: &Query) -> Result<(), HistoryError> {
        let Some(cache) = caches.get(self.cache) else {
            self.done = true;
            return Ok(());
        };
        let connection = cache.connection();
        let (after, end) = (self.after, query.keys.1);
        let limit = i64::try_from(self.batch).unwrap_or(i64::MAX);
        let mut read = 0;
        let mut take = |rows: &mut rusqlite::Rows<'_>| -> Result<(), HistoryError> {
            while let Some(row) = rows.next()? {
                let key: i64 = row.get(0)?;
                read += 1;
                self.after = key;
                if query.has_key(key) {
                    self.ready.push_back(key);
                }
            }
            Ok(())
        };
        match &self.from {
            From::Class(class) => {
                let mut statement = connection.prepare_cached(
                    "SELECT key FROM entry WHERE key & 127 = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4",
                )?;
                take(&mut statement.query(params![class.0, after, end, limit])?)?;
            }
            From::Person(person, class) => {
                let mut statement = connection.prepare_cached(
                    "SELECT key FROM part WHERE person = ?1 AND class = ?2 AND key > ?3 AND key < ?4
                     ORDER BY key LIMIT ?5",
                )?;
                take(&mut statement.query(params![person, class.0, after, end, limit])?)?;
            }
            From::Words(expression) => {
                let mut statement = connection.prepare_cached(
                    "SELECT rowid FROM search WHERE search MATCH ?1 AND rowid > ?2 AND rowid < ?3
                     ORDER BY rowid LIMIT ?4",
                )?;
                take(&mut statement.query(params![expression.text, after, end, limit])?)?;
            }
        }
        self.done = read < self.batch;
        self.batch = match &self.from {
            From::Class(_) | From::Person(..) => (self.batch * 4).min(MAX_BATCH),
            From::Words(expression) => (self.batch * 16).min(expression.most),
        };
        Ok(())
    }
}

/// A list that somebody looks at.
#[derive(Debug)]
pub(crate) struct Selection {
    query: Query,
    /// What is counted next; made when it is needed, so that a first page does not wait for it.
    merge: Option<Merge>,
    /// What was counted last: everything up to here is in `counted`.
    frontier: Option<Place>,
    counted: u64,
    /// Positions, and what stands there.
    anchors: Vec<(u64, Place)>,
    done: bool,
}

impl Selection {
    pub(crate) fn new(query: Query) -> Self {
        Self {
            query,
            merge: None,
            frontier: None,
            counted: 0,
            anchors: Vec::new(),
            done: false,
        }
    }

    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.done
    }

    /// How many there are, once that is known.
    pub(crate) fn total(&self, caches: &[&Cache]) -> Result<Option<u64>, HistoryError> {
        if self.query.is_by_class_alone() {
            let mut total = 0;
            for cache in caches.iter().filter(|cache| self.query.is_of(cache)) {
                total += cache.count(self.query.classes)?;
            }
            return Ok(Some(total));
        }
        Ok(self.done.then_some(self.counted))
    }

    /// Counts so many more.
    pub(crate) fn count(&mut self, caches: &[&Cache], rows: u64) -> Result<(), HistoryError> {
        let mut merge = match self.merge.take() {
            Some(merge) => merge,
            None => Merge::behind(&self.query, caches, self.frontier, MAX_BATCH)?,
        };
        for _ in 0..rows {
            let Some(place) = merge.next(caches)? else {
                self.done = true;
                return Ok(());
            };
            if self.counted.is_multiple_of(ANCHOR_ROWS) {
                self.anchors.push((self.counted, place));
            }
            self.counted += 1;
            self.frontier = Some(place);
        }
        self.merge = Some(merge);
        Ok(())
    }

    /// What stands at these places.
    pub(crate) fn at(
        &mut self,
        caches: &[&Cache],
        at: u64,
        limit: usize,
    ) -> Result<Vec<Place>, HistoryError> {
        if at >= ANCHOR_ROWS {
            while self.counted <= at && !self.done {
                self.count(caches, ANCHOR_ROWS)?;
            }
            if self.counted <= at {
                return Ok(Vec::new());
            }
        }
        let near = self
            .anchors
            .partition_point(|(position, _)| *position <= at);
        let (mut found, behind, skip) =
            match near.checked_sub(1).and_then(|near| self.anchors.get(near)) {
                Some((position, place)) if *position == at => (vec![*place], Some(*place), 0),
                Some((position, place)) => (Vec::new(), Some(*place), at - position - 1),
                None => (Vec::new(), None, at),
            };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut merge = Merge::behind(&self.query, caches, behind, skip.saturating_add(limit))?;
        for _ in 0..skip {
            if merge.next(caches)?.is_none() {
                return Ok(found);
            }
        }
        while found.len() < limit {
            match merge.next(caches)? {
                Some(place) => found.push(place),
                None => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Takes a change of this cache in. `false`: it cannot, and has to be made anew.
    pub(crate) fn changed(
        &mut self,
        caches: &[&Cache],
        index: usize,
        change: &Change,
    ) -> Result<bool, HistoryError> {
        let Some(cache) = caches.get(index).filter(|cache| self.query.is_of(cache)) else {
            return Ok(true);
        };
        if let Some(key) = change.removed
            && self.query.has_key(key)
        {
            if !self.query.words.is_empty() || self.query.person.is_some() {
                return Ok(false);
            }
            self.removed((key, index));
        }
        let person = match &self.query.person {
            None => None,
            Some(person) => cache.person(person)?,
        };
        let is_theirs = self.query.person.is_none()
            || person.is_some_and(|person| change.people.contains(&person));
        if is_theirs
            && self.query.has_key(change.added)
            && words::found(&change.words, &self.query.words)
        {
            self.added((change.added, index));
        }
        Ok(true)
    }

    fn added(&mut self, place: Place) {
        if self.frontier.is_some_and(|frontier| place <= frontier) {
            self.counted += 1;
            for (position, _) in self
                .anchors
                .iter_mut()
                .rev()
                .take_while(|(_, at)| *at > place)
            {
                *position += 1;
            }
            return;
        }
        self.go_on();
    }

    fn removed(&mut self, place: Place) {
        if self.frontier.is_some_and(|frontier| place <= frontier) {
            self.counted = self.counted.saturating_sub(1);
            self.anchors.retain(|(_, at)| *at != place);
            for (position, _) in self
                .anchors
                .iter_mut()
                .rev()
                .take_while(|(_, at)| *at > place)
            {
                *position -= 1;
            }
            return;
        }
        self.go_on();
    }

    /// Counts on behind what was counted: batches that were read ahead may be stale.
    fn go_on(&mut self) {
        self.merge = None;
        self.done = false;
    }
}
