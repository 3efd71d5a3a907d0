//! The clock of a world: the system's, moved by as much as a test says. (The provider runs by the system's own clock;
//! signatures of both must fit together, so a world's clock starts there.)

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_model::{Clock, UnixSecs};

/// A clock that can be moved.
#[derive(Debug, Default)]
pub struct MovedClock {
    secs: AtomicI64,
}

impl MovedClock {
    /// Moves it forward.
    pub fn advance(&self, secs: i64) {
        self.secs.fetch_add(secs, Ordering::SeqCst);
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
