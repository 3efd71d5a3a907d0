//! Numbered write points, so that a test can end the process at each of them, as a crash would.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts write points; at the chosen one the process ends at once, with nothing flushed or unwound.
#[derive(Debug)]
pub(crate) struct KillPoint {
    at: Option<u64>,
    reached: AtomicU64,
}

impl KillPoint {
    pub(crate) fn new(at: Option<u64>) -> KillPoint {
        KillPoint {
            at,
            reached: AtomicU64::new(0),
        }
    }

    /// A write point is reached.
    pub(crate) fn reach(&self) {
        if let Some(at) = self.at
            && self.reached.fetch_add(1, Ordering::Relaxed) + 1 == at
        {
            std::process::abort();
        }
    }
}
