//! The approver's stream (protocol, section 7): a hint that something is new. REST is the truth.

mod socket;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use countersign_api::stream::close;
use countersign_model::{Digest, Subject};
use tokio::sync::watch;

pub(crate) use socket::{PATH, run};

/// Open sockets.
const MAX_SOCKETS: usize = 20_000;
/// Open sockets of one person.
const MAX_SOCKETS_PER_PERSON: usize = 16;

/// Every open socket, by its session key.
#[derive(Debug)]
pub(crate) struct Sockets {
    open: Mutex<HashMap<String, Entry>>,
    /// Numbers the places, so that one which leaves late does not take another's.
    entered: AtomicU64,
    /// Counts up whenever all of them should look at the time, and at the end becomes [`Pulse::Stop`].
    pulse: watch::Sender<Pulse>,
}

/// A word to all sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Look at the clock.
    Tick(u64),
    /// The server stops.
    Stop,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    person: Subject,
    binding: Digest,
    close: watch::Sender<Option<u16>>,
}

/// A place among the open sockets; dropping it leaves.
pub(crate) struct Place<'a> {
    sockets: &'a Sockets,
    jkt: String,
    number: u64,
    pub(crate) close: watch::Receiver<Option<u16>>,
    pub(crate) pulse: watch::Receiver<Pulse>,
}

impl Default for Sockets {
    fn default() -> Sockets {
        Sockets {
            open: Mutex::default(),
            entered: AtomicU64::new(0),
            pulse: watch::Sender::new(Pulse::Tick(0)),
        }
    }
}

impl Sockets {
    /// A place for a socket of this session key. One that the key had before is superseded.
    pub(crate) fn enter(&self, jkt: &str, person: &Subject, binding: Digest) -> Option<Place<'_>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = open.remove(jkt);
        if let Some(before) = &before {
            before.close.send_replace(Some(close::SUPERSEDED));
        }
        if !fits(&open, person) {
            return None;
        }
        let number = self.entered.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(None);
        let entry = Entry {
            number,
            person: person.clone(),
            binding,
            close: sender,
        };
        open.insert(jkt.to_owned(), entry);
        let pulse = self.pulse.subscribe();
        Some(Place {
            sockets: self,
            jkt: jkt.to_owned(),
            number,
            close: receiver,
            pulse,
        })
    }

    /// Whether one more of this person, by this session key, has a place.
    pub(crate) fn has_room(&self, person: &Subject, jkt: &str) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.contains_key(jkt) || fits(&open, person)
    }

    /// The bindings of a person's open sockets.
    pub(crate) fn bindings_of(&self, person: &Subject) -> BTreeSet<Digest> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.values().filter(|entry| entry.person == *person);
        theirs.map(|entry| entry.binding).collect()
    }

    /// A binding was revoked: its socket closes.
    pub(crate) fn revoked(&self, binding: Digest) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in open.values().filter(|entry| entry.binding == binding) {
            entry.close.send_replace(Some(close::REVOKED));
        }
    }

    /// All of them look at the clock.
    pub(crate) fn tick(&self) {
        self.pulse.send_if_modified(|pulse| match pulse {
            Pulse::Tick(count) => {
                *count += 1;
                true
            }
            Pulse::Stop => false,
        });
    }

    /// The server stops: all of them close.
    pub(crate) fn stop(&self) {
        self.pulse.send_replace(Pulse::Stop);
    }
}

fn fits(open: &HashMap<String, Entry>, person: &Subject) -> bool {
    let theirs = open
        .values()
        .filter(|entry| entry.person == *person)
        .count();
    open.len() < MAX_SOCKETS && theirs < MAX_SOCKETS_PER_PERSON
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut open = self
            .sockets
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if open
            .get(&self.jkt)
            .is_some_and(|entry| entry.number == self.number)
        {
            open.remove(&self.jkt);
        }
    }
}
