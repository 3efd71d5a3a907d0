//! What was seen once and must not be seen again within its life: DPoP proofs and PEP tokens. In memory: after a
//! restart, what was made before it is refused, since it may have been seen. (One whose maker's clock runs ahead is
//! not known as such; every write that such a call makes is idempotent or spends something durable.)

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_model::{Digest, UnixSecs};

/// The most that is remembered. Beyond it calls are refused: forgetting would let something in twice.
const MAX_REMEMBERED: usize = 400_000;
/// Forget what is over after so many calls.
const SWEEP_EVERY: usize = 4_096;

/// Two memories: strangers, who can fill theirs, must not keep those who are known here from calling.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What was made before this may have been seen by an earlier run.
    pub(crate) since: UnixSecs,
    known: Memory,
    strangers: Memory,
}

#[derive(Debug, Default)]
struct Memory(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    seen: HashMap<Digest, UnixSecs>,
    since_sweep: usize,
    swept_at: UnixSecs,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner {
            seen: HashMap::new(),
            since_sweep: 0,
            swept_at: UnixSecs(i64::MIN),
        }
    }
}

/// What the memory says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    First,
    Again,
    Full,
}

impl Replay {
    /// Remembers from now on.
    pub(crate) fn since(since: UnixSecs) -> Replay {
        Replay {
            since,
            known: Memory::default(),
            strangers: Memory::default(),
        }
    }

    /// Remembers `id` of `owner`, who has shown a credential of this server, until `until`.
    pub(crate) fn see(&self, owner: &str, id: &str, until: UnixSecs, now: UnixSecs) -> Sight {
        self.known.see(owner, id, until, now, MAX_REMEMBERED)
    }

    /// The same for an owner who has shown nothing yet but a key.
    pub(crate) fn see_stranger(
        &self,
        owner: &str,
        id: &str,
        until: UnixSecs,
        now: UnixSecs,
    ) -> Sight {
        self.strangers.see(owner, id, until, now, MAX_REMEMBERED)
    }
}

impl Memory {
    fn see(&self, owner: &str, id: &str, until: UnixSecs, now: UnixSecs, room: usize) -> Sight {
        let key = Digest::tagged(owner, id.as_bytes());
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.since_sweep += 1;
        // When full, once for each second: sweeping for each call would be work for nothing.
        let full = inner.seen.len() >= room && inner.swept_at != now;
        if inner.since_sweep >= SWEEP_EVERY || full {
            inner.since_sweep = 0;
            inner.swept_at = now;
            inner.seen.retain(|_, until| *until >= now);
        }
        if inner.seen.get(&key).is_some_and(|until| *until >= now) {
            return Sight::Again;
        }
        if inner.seen.len() >= room {
            return Sight::Full;
        }
        inner.seen.insert(key, until);
        Sight::First
    }
}

/// Occasions of one key within a minute.
const MAX_A_MINUTE: u32 = 30;
/// Keys that are counted at the same time; there are no more when a minute is full of them.
const MAX_COUNTED: usize = 100_000;

/// How often something happened within the current minute, by key.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    counts: Mutex<(i64, HashMap<Digest, u32>)>,
}

impl Rate {
    /// Counts one more, and says whether that is still within the bound.
    pub(crate) fn allows(&self, key: Digest, now: UnixSecs) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.0.div_euclid(60);
        if counts.0 != minute {
            *counts = (minute, HashMap::new());
        }
        if counts.1.len() >= MAX_COUNTED && !counts.1.contains_key(&key) {
            return false;
        }
        let count = counts.1.entry(key).or_default();
        *count = count.saturating_add(1);
        *count <= MAX_A_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sight_is_known_until_its_time() {
        let replay = Replay::since(UnixSecs(0));
        let see = |owner, id, now| replay.see(owner, id, UnixSecs(now + 60), UnixSecs(now));
        assert_eq!(see("a", "1", 0), Sight::First);
        assert_eq!(see("a", "1", 60), Sight::Again);
        assert_eq!(
            see("b", "1", 0),
            Sight::First,
            "owners do not disturb each other"
        );
        assert_eq!(see("a", "1", 61), Sight::First);
    }

    #[test]
    fn strangers_fill_their_own_memory_only() {
        let replay = Replay::since(UnixSecs(0));
        let (now, until) = (UnixSecs(0), UnixSecs(60));
        assert_eq!(replay.see_stranger("a", "1", until, now), Sight::First);
        assert_eq!(replay.see_stranger("a", "1", until, now), Sight::Again);
        assert_eq!(replay.see("a", "1", until, now), Sight::First);
    }

    #[test]
    fn a_full_memory_refuses_until_something_is_over() {
        let memory = Memory::default();
        let see = |id, now| memory.see("a", id, UnixSecs(now + 60), UnixSecs(now), 2);
        assert_eq!([see("1", 0), see("2", 1)], [Sight::First, Sight::First]);
        assert_eq!(see("3", 1), Sight::Full);
        assert_eq!(see("2", 60), Sight::Again);
        assert_eq!(see("3", 60), Sight::Full);
        assert_eq!(see("3", 61), Sight::First);
    }

    #[test]
    fn a_minute_holds_so_many_of_one_key() {
        let rate = Rate::default();
        let [one, other] = [Digest::of(b"one"), Digest::of(b"other")];
        for _ in 0..MAX_A_MINUTE {
            assert!(rate.allows(one, UnixSecs(60)));
        }
        assert!(!rate.allows(one, UnixSecs(119)));
        assert!(rate.allows(other, UnixSecs(119)));
        assert!(rate.allows(one, UnixSecs(120)));
    }

    #[test]
    fn a_minute_that_is_full_of_keys_takes_no_other() {
        let rate = Rate::default();
        let key = |n: usize| Digest::of(&n.to_le_bytes());
        for n in 0..MAX_COUNTED {
            assert!(rate.allows(key(n), UnixSecs(60)));
        }
        assert!(!rate.allows(key(MAX_COUNTED), UnixSecs(60)));
        assert!(
            rate.allows(key(0), UnixSecs(60)),
            "a known one is counted on"
        );
        assert!(rate.allows(key(MAX_COUNTED), UnixSecs(120)));
    }
}
