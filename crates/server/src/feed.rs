//! What was published, once for all who wait: streams and held answers.
//!
//! The store numbers events; this reads each of them once, with what is needed to tell who may see it, keeps the
//! newest in memory, and wakes the waiting: streams by each event, a held answer by those about its own request.
//! Whoever is further behind reads from the store. What wakes the feed is the store's own word: a call that publishes
//! something and goes away has told everybody all the same.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use countersign_api::stream::{ServerBody, ServerFrame};
use countersign_model::Txn;
use countersign_store::{EventRow, Store, StoreError};
use tokio::sync::watch;

use crate::app::about::About;
use crate::papers::Papers;

/// Events kept in memory.
const MAX_KEPT: usize = 4_096;
/// Bytes of their operations and bodies, at most: an operation may have 64 KiB.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;
/// Events read at once.
const BATCH: usize = 256;
/// After a read that failed.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// An event, with what decides who may see it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) event: EventRow,
    /// None where it is about no request, or about one that cannot be read: then it is for nobody.
    pub(crate) about: Option<Arc<About>>,
    /// As it goes to each who may hear it. None where its body does not read.
    pub(crate) frame: Option<Utf8Bytes>,
}

/// The events.
#[derive(Debug)]
pub(crate) struct Feed {
    newest: watch::Sender<u64>,
    kept: Mutex<Kept>,
    watched: Mutex<HashMap<Txn, Watched>>,
}

/// The newest, in order.
#[derive(Debug, Default)]
struct Kept {
    items: VecDeque<Arc<Item>>,
    bytes: usize,
}

/// A request whose events somebody waits for.
#[derive(Debug, Default)]
struct Watched {
    by: usize,
    told: watch::Sender<()>,
}

/// Waiting for events about one request, from when it was made.
#[derive(Debug)]
pub(crate) struct Watch<'f> {
    feed: &'f Feed,
    txn: Txn,
    told: watch::Receiver<()>,
}

impl Feed {
    /// From this event on.
    pub(crate) fn new(newest: u64) -> Feed {
        Feed {
            newest: watch::Sender::new(newest),
            kept: Mutex::default(),
            watched: Mutex::default(),
        }
    }

    /// The number of the newest event that has been fed.
    pub(crate) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Wakes with each event that comes from now on.
    pub(crate) fn comes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits for this request's events that come from now on.
    pub(crate) fn watch(&self, txn: &Txn) -> Watch<'_> {
        let mut all = self.watched();
        let watched = all.entry(txn.clone()).or_default();
        watched.by += 1;
        Watch {
            feed: self,
            txn: txn.clone(),
            told: watched.told.subscribe(),
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Txn, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events after `seq`, where all of them are kept.
    pub(crate) fn after(&self, seq: u64) -> Option<Vec<Arc<Item>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if seq >= self.newest() {
            return Some(Vec::new());
        }
        let oldest = kept.items.front()?.event.seq;
        if oldest > seq + 1 {
            return None;
        }
        let newer = kept.items.partition_point(|item| item.event.seq <= seq);
        Some(kept.items.range(newer..).cloned().collect())
    }

    /// Reads what is published, until the store is closed.
    pub(crate) async fn run(&self, store: &dyn Store, papers: &Papers) {
        let mut published = store.published();
        loop {
            let newest = *published.borrow_and_update();
            while self.newest() < newest {
                if let Err(error) = self.catch_up(store, papers, newest).await {
                    tracing::error!(%error, "events cannot be read; in a second it is tried again");
                    tokio::time::sleep(READ_PAUSE).await;
                }
            }
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    /// Feeds some of the events up to `newest`, at least one.
    async fn catch_up(
        &self,
        store: &dyn Store,
        papers: &Papers,
        newest: u64,
    ) -> Result<(), StoreError> {
        let events = store.events_after(self.newest(), BATCH).await?;
        if events.is_empty() {
            // Forgotten since, by their age.
            self.newest.send_replace(newest);
        }
        for event in events {
            self.put(Item::read(store, papers, event).await?);
        }
        Ok(())
    }

    fn put(&self, item: Item) {
        let (seq, txn) = (item.event.seq, item.event.txn.clone());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(item);
        drop(kept);
        self.newest.send_replace(seq);
        if let Some(txn) = txn
            && let Some(watched) = self.watched().get(&txn)
        {
            watched.told.send_replace(());
        }
    }
}

impl Watch<'_> {
    /// The next event.
    pub(crate) async fn next(&mut self) {
        // What tells it is there as long as this is.
        let _ = self.told.changed().await;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut all = self.feed.watched();
        if let Some(watched) = all.get_mut(&self.txn) {
            watched.by -= 1;
            if watched.by == 0 {
                all.remove(&self.txn);
            }
        }
    }
}

impl Kept {
    fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push_back(Arc::new(item));
        while self.items.len() > MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.items.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Item {
    /// With what the store knows of its request.
    pub(crate) async fn read(
        store: &dyn Store,
        papers: &Papers,
        event: EventRow,
    ) -> Result<Item, StoreError> {
        let about = match &event.txn {
            Some(txn) => about(store, papers, txn).await?,
            None => None,
        };
        Ok(Item {
            frame: frame_of(&event),
            about,
            event,
        })
    }

    fn bytes(&self) -> usize {
        let operation = self.about.as_ref().map(|about| &about.operation);
        self.event.body.len() + operation.map_or(0, |operation| operation.bytes().len())
    }
}

/// What decides who may see a request; none where it does not read as what was written.
async fn about(
    store: &dyn Store,
    papers: &Papers,
    txn: &Txn,
) -> Result<Option<Arc<About>>, StoreError> {
    let row = match store.request(txn).await {
        Err(StoreError::Corrupt(_)) => None,
        row => row?,
    };
    let loaded = row.and_then(|row| papers.load(row).ok());
    Ok(loaded.map(|loaded| Arc::new(loaded.about)))
}

fn frame_of(event: &EventRow) -> Option<Utf8Bytes> {
    let body: ServerBody = serde_json::from_str(&event.body).ok()?;
    let frame = ServerFrame {
        v: 1,
        seq: event.seq,
        body,
    };
    serde_json::to_string(&frame).ok().map(Utf8Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn item(seq: u64, txn: Option<&Txn>, body: String) -> Item {
        Item {
            event: EventRow {
                seq,
                txn: txn.cloned(),
                person: None,
                body,
            },
            about: None,
            frame: None,
        }
    }

    #[test]
    fn whoever_is_behind_what_is_kept_reads_from_the_store() {
        let feed = Feed::new(0);
        // Of three as heavy as this one there is room for one.
        for seq in 1..=3 {
            feed.put(item(seq, None, "x".repeat(MAX_KEPT_BYTES / 2 + 1)));
        }
        let after = |seq| {
            let items = feed.after(seq)?;
            Some(items.iter().map(|it| it.event.seq).collect::<Vec<_>>())
        };
        assert_eq!((after(0), after(1)), (None, None));
        assert_eq!((after(2), after(3)), (Some(vec![3]), Some(vec![])));
        feed.put(item(4, None, String::new()));
        assert_eq!((after(2), after(3)), (Some(vec![3, 4]), Some(vec![4])));
    }

    #[test]
    fn a_request_is_watched_for_its_own_events_and_no_longer_than_somebody_waits() {
        let feed = Feed::new(0);
        let [one, other] = ["one", "other"].map(|name| Txn::parse(name).unwrap());
        let mut watches = [&one, &one, &other].map(|txn| feed.watch(txn));
        feed.put(item(1, Some(&one), String::new()));
        feed.put(item(2, None, String::new()));
        let mut context = Context::from_waker(Waker::noop());
        let mut told = |watch: &mut Watch<'_>| pin!(watch.next()).poll(&mut context).is_ready();
        assert_eq!(watches.each_mut().map(&mut told), [true, true, false]);
        feed.put(item(3, Some(&other), String::new()));
        assert_eq!(watches.each_mut().map(&mut told), [false, false, true]);
        let [first, second, third] = watches;
        drop((first, third));
        assert_eq!(feed.watched().keys().collect::<Vec<_>>(), [&one]);
        drop(second);
        assert!(feed.watched().is_empty());
    }
}
