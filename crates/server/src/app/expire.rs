//! Expiry: what time alone does, written before anybody is answered from it.

use std::sync::atomic::{AtomicI64, Ordering};

use countersign_lifecycle::advance;
use countersign_model::UnixSecs;
use countersign_store::Tx;

use super::App;
use super::change::{With, write_step};
use crate::refused::Refused;

/// Requests that are expired in one go.
const BATCH: usize = 200;

/// The earliest moment at which anything may be due: most calls need not ask the store.
#[derive(Debug)]
pub(crate) struct Deadlines(AtomicI64);

impl Default for Deadlines {
    fn default() -> Deadlines {
        // After a start, the store is asked once.
        Deadlines(AtomicI64::new(i64::MIN))
    }
}

impl Deadlines {
    /// Something becomes due at that moment.
    pub(crate) fn add(&self, at: UnixSecs) {
        self.0.fetch_min(at.0, Ordering::SeqCst);
    }

    fn is_due(&self, now: UnixSecs) -> bool {
        now.0 >= self.0.load(Ordering::SeqCst)
    }

    /// The store is asked. First nothing is due, then what it tells: whatever is opened meanwhile lowers it again.
    fn asking(&self) -> Asking<'_> {
        self.0.store(i64::MAX, Ordering::SeqCst);
        Asking(self)
    }
}

/// The store is being asked. Where its answer does not come, or nobody waits for it any more, what is unknown is due:
/// the next look asks again.
struct Asking<'d>(&'d Deadlines);

impl Asking<'_> {
    fn told(self, next: Option<UnixSecs>) {
        if let Some(at) = next {
            self.0.add(at);
        }
        std::mem::forget(self);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.0.store(i64::MIN, Ordering::SeqCst);
    }
}

impl App {
    /// Expires all that is due at `now`. Reads and steps do this first, so nothing is ever answered from a
    /// state whose time has run out.
    pub(crate) async fn expire_due(&self, now: UnixSecs) -> Result<(), Refused> {
        if !self.deadlines.is_due(now) {
            return Ok(());
        }
        loop {
            let due = self.store.due(now, BATCH).await?;
            let (found, mut read) = (due.len(), 0);
            for row in due {
                // What cannot be read is logged and never answered; it does not hold up the others.
                let Ok(loaded) = self.papers.load(row) else {
                    continue;
                };
                read += 1;
                let step = advance(&loaded.terms, loaded.row.state.clone(), now);
                let mut tx = Tx::new();
                write_step(&mut tx, &loaded, &step, With::default(), now);
                // A conflict is somebody else's step on it; they judged time as well.
                let _ = self.commit(tx).await?;
            }
            if found < BATCH || read == 0 {
                break;
            }
        }
        let asking = self.deadlines.asking();
        asking.told(self.store.next_deadline().await?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_asked_again_where_nobody_waited_for_the_answer() {
        let deadlines = Deadlines::default();
        let now = UnixSecs(100);
        assert!(deadlines.is_due(now), "after a start");
        drop(deadlines.asking());
        assert!(deadlines.is_due(now));

        deadlines.asking().told(Some(UnixSecs(101)));
        assert!(!deadlines.is_due(now) && deadlines.is_due(UnixSecs(101)));
        // What is opened meanwhile counts.
        let asking = deadlines.asking();
        deadlines.add(UnixSecs(105));
        asking.told(Some(UnixSecs(110)));
        assert!(!deadlines.is_due(UnixSecs(104)) && deadlines.is_due(UnixSecs(105)));
        deadlines.asking().told(None);
        assert!(!deadlines.is_due(UnixSecs(1_000)));
    }
}
