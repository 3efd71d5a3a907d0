//! Expiry: what time alone does, written before anybody is answered from it.

use std::sync::atomic::{AtomicI64, Ordering};

use countersign_lifecycle::advance;
use countersign_model::UnixSecs;
use countersign_store::Tx;

use super::App;
use super::about::Loaded;
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
}

impl App {
    /// Expires all that is due at `now`. Reads and steps do this first, so nothing is ever answered from a
    /// state whose time has run out.
    pub(crate) async fn expire_due(&self, now: UnixSecs) -> Result<(), Refused> {
        if now.0 < self.deadlines.0.load(Ordering::SeqCst) {
            return Ok(());
        }
        loop {
            let due = self.store.due(now, BATCH).await?;
            for row in &due {
                let loaded = Loaded::of(row.clone())?;
                let step = advance(&loaded.terms, loaded.row.state.clone(), now);
                let mut tx = Tx::new();
                write_step(&mut tx, &loaded, &step, With::default(), now);
                // A conflict is somebody else's step on it; they judged time as well.
                let _ = self.commit(tx).await?;
            }
            if due.len() < BATCH {
                break;
            }
        }
        // First unbounded, then what the store knows: whatever is opened meanwhile lowers it again.
        self.deadlines.0.store(i64::MAX, Ordering::SeqCst);
        match self.next_deadline().await {
            Ok(Some(at)) => self.deadlines.add(at),
            Ok(None) => {}
            Err(error) => {
                // Unknown is due: the next look asks the store again.
                self.deadlines.0.store(i64::MIN, Ordering::SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn next_deadline(&self) -> Result<Option<UnixSecs>, Refused> {
        match self.store.due(UnixSecs(i64::MAX), 1).await?.pop() {
            Some(row) => {
                let loaded = Loaded::of(row)?;
                Ok(loaded.row.state.deadline(&loaded.terms))
            }
            None => Ok(None),
        }
    }
}
