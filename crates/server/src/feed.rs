//! What was published, once for all who wait: streams and held answers.
//!
//! The store numbers events; this reads each of them once, with what is needed to tell who may see it, keeps the
//! newest in memory, and wakes the waiting. Whoever is further behind reads from the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_model::Txn;
use countersign_store::{EventRow, Store};
use tokio::sync::{Notify, watch};

use crate::app::about::{About, Loaded};

/// Events kept in memory.
const MAX_KEPT: usize = 4_096;
/// Events read at once.
const BATCH: usize = 256;

/// An event, with what decides who may see it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) event: EventRow,
    /// None where it is about no request, or about one that cannot be read: then it is for nobody.
    pub(crate) about: Option<Arc<About>>,
}

/// The events.
#[derive(Debug)]
pub(crate) struct Feed {
    newest: watch::Sender<u64>,
    kept: Mutex<VecDeque<Arc<Item>>>,
    kicked: Notify,
}

/// A place in the feed.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) newest: watch::Receiver<u64>,
    seen: u64,
}

impl Feed {
    /// From this event on.
    pub(crate) fn new(newest: u64) -> Feed {
        Feed {
            newest: watch::Sender::new(newest),
            kept: Mutex::default(),
            kicked: Notify::new(),
        }
    }

    /// Something was published.
    pub(crate) fn kick(&self) {
        self.kicked.notify_one();
    }

    /// The number of the newest event that has been fed.
    pub(crate) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// A place from which to wait.
    pub(crate) fn watch(&self) -> Watch {
        let newest = self.newest.subscribe();
        let seen = *newest.borrow();
        Watch { newest, seen }
    }

    /// Waits for the next event about this request.
    pub(crate) async fn about(&self, watch: &mut Watch, txn: &Txn) {
        loop {
            let newest = *watch.newest.borrow_and_update();
            if newest > watch.seen {
                let found = self.after(watch.seen).is_none_or(|items| {
                    items
                        .iter()
                        .any(|item| item.event.txn.as_ref() == Some(txn))
                });
                watch.seen = newest;
                if found {
                    return;
                }
            }
            if watch.newest.changed().await.is_err() {
                // The server stops: whoever waits looks once more and answers.
                return;
            }
        }
    }

    /// Events after `seq`, where all of them are kept.
    pub(crate) fn after(&self, seq: u64) -> Option<Vec<Arc<Item>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if seq >= self.newest() {
            return Some(Vec::new());
        }
        let oldest = kept.front()?.event.seq;
        if oldest > seq + 1 {
            return None;
        }
        Some(
            kept.iter()
                .filter(|item| item.event.seq > seq)
                .cloned()
                .collect(),
        )
    }

    /// Reads what is published, until the server stops.
    pub(crate) async fn run(&self, store: &dyn Store) {
        loop {
            self.kicked.notified().await;
            while self.catch_up(store).await {}
        }
    }

    /// Whether there may be more.
    async fn catch_up(&self, store: &dyn Store) -> bool {
        let events = match store.events_after(self.newest(), BATCH).await {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(%error, "events cannot be read; the next one tries again");
                return false;
            }
        };
        let more = events.len() == BATCH;
        for event in events {
            let about = match &event.txn {
                Some(txn) => about(store, txn).await,
                None => None,
            };
            let seq = event.seq;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == MAX_KEPT {
                kept.pop_front();
            }
            kept.push_back(Arc::new(Item { event, about }));
            drop(kept);
            self.newest.send_replace(seq);
        }
        more
    }
}

/// What decides who may see a request; none where it cannot be read.
pub(crate) async fn about(store: &dyn Store, txn: &Txn) -> Option<Arc<About>> {
    let row = store.request(txn).await.ok()??;
    Loaded::of(row).ok().map(|loaded| Arc::new(loaded.about))
}
