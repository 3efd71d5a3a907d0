//! The clock of a world: the system's, moved by as much as a test says. The provider's is moved along with it
//! ([`crate::world::World::advance`]): what both sign must fit together.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_model::{Clock, UnixSecs};

/// A clock that can be moved.
#[derive(Debug, Default)]
pub struct MovedClock {
    secs: AtomicI64,
}

impl MovedClock {
    /// Moves it forward, and gives how far it is ahead now.
    pub fn advance(&self, secs: i64) -> i64 {
        self.secs.fetch_add(secs, Ordering::SeqCst) + secs
    }
}

impl Clock for MovedClock {
    fn now(&self) -> UnixSecs {
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        UnixSecs(i64::try_from(system).unwrap_or(i64::MAX) + self.secs.load(Ordering::SeqCst))
    }
}
