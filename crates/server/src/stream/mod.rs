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

/// Every open socket.
#[derive(Debug)]
pub(crate) struct Sockets {
    open: Mutex<Open>,
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

#[derive(Debug, Default)]
struct Open {
    /// By session key.
    sockets: HashMap<String, Entry>,
    /// How many each person has: all of them come back at once after a restart.
    people: HashMap<Subject, usize>,
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
        if !open.fits(person) {
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
        let mut pulse = self.pulse.subscribe();
        // Also a stop that came before is heard.
        pulse.mark_changed();
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
        open.sockets.contains_key(jkt) || open.fits(person)
    }

    /// The bindings of a person's open sockets.
    pub(crate) fn bindings_of(&self, person: &Subject) -> BTreeSet<Digest> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all = open.sockets.values();
        let theirs = all.filter(|entry| entry.person == *person);
        theirs.map(|entry| entry.binding).collect()
    }

    /// A binding was revoked: its socket closes.
    pub(crate) fn revoked(&self, binding: Digest) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all = open.sockets.values();
        for entry in all.filter(|entry| entry.binding == binding) {
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

impl Open {
    fn fits(&self, person: &Subject) -> bool {
        let theirs = self.people.get(person).copied().unwrap_or(0);
        self.sockets.len() < MAX_SOCKETS && theirs < MAX_SOCKETS_PER_PERSON
    }

    /// The key has none.
    fn insert(&mut self, jkt: String, entry: Entry) {
        *self.people.entry(entry.person.clone()).or_default() += 1;
        self.sockets.insert(jkt, entry);
    }

    fn remove(&mut self, jkt: &str) -> Option<Entry> {
        let entry = self.sockets.remove(jkt)?;
        if let Some(theirs) = self.people.get_mut(&entry.person) {
            *theirs -= 1;
            if *theirs == 0 {
                self.people.remove(&entry.person);
            }
        }
        Some(entry)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut open = self
            .sockets
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = open.sockets.get(&self.jkt);
        if entry.is_some_and(|entry| entry.number == self.number) {
            open.remove(&self.jkt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Subject {
        Subject::parse(&format!("https://op.example|{name}")).unwrap()
    }

    #[test]
    fn a_person_has_so_many_sockets_and_gets_their_places_back() {
        let sockets = Sockets::default();
        let (elin, jonas) = (person("elin"), person("jonas"));
        let enter = |jkt: &str| sockets.enter(jkt, &elin, Digest::of(jkt.as_bytes()));
        let mut places: Vec<_> = (0..MAX_SOCKETS_PER_PERSON)
            .map(|n| enter(&n.to_string()).unwrap())
            .collect();
        assert!(enter("more").is_none() && !sockets.has_room(&elin, "more"));
        assert!(sockets.has_room(&jonas, "theirs"));
        // A key's second socket takes the place of its first, which leaves later.
        let second = enter("0").unwrap();
        drop(places.remove(0));
        assert!(!sockets.has_room(&elin, "more"));
        drop(second);
        assert_eq!(sockets.bindings_of(&elin).len(), MAX_SOCKETS_PER_PERSON - 1);
        places.clear();
        assert!(sockets.open.lock().unwrap().people.is_empty());
    }

    #[tokio::test]
    async fn a_socket_that_comes_as_the_server_stops_hears_of_it() {
        let sockets = Sockets::default();
        sockets.stop();
        let mut place = sockets
            .enter("key", &person("elin"), Digest::of(b"binding"))
            .unwrap();
        place.pulse.changed().await.unwrap();
        assert_eq!(*place.pulse.borrow(), Pulse::Stop);
    }
}
