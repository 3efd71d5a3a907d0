//! What happens without a call: expiry, what a crash left of a revocation, forgetting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_model::UnixSecs;
use countersign_store::{Tx, Write};

use crate::app::App;
use crate::refused::Refused;

/// Between two looks at the clock.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two marks of the time, in seconds. CRASH: a clock that is set back at the same time gains so much.
const MARK_SECS: i64 = 10;
/// Between two rounds of forgetting, in seconds.
const PRUNE_SECS: i64 = 600;
/// How long events are kept for streams to resume, in seconds: 7 days.
const KEEP_EVENTS_SECS: i64 = 7 * 24 * 3600;

/// The jobs' own memory.
#[derive(Debug)]
pub(crate) struct Jobs {
    prune_at: AtomicI64,
    mark_at: AtomicI64,
}

impl Jobs {
    pub(crate) fn new() -> Jobs {
        Jobs {
            prune_at: AtomicI64::new(i64::MIN),
            mark_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Everything that is due by the clock.
    pub(crate) async fn tick(&self, app: &App) -> Result<(), Refused> {
        let now = app.now();
        app.expire_due(now).await?;
        if now.0 >= self.mark_at.load(Ordering::SeqCst) {
            self.mark_at.store((now + MARK_SECS).0, Ordering::SeqCst);
            mark(app, now).await?;
        }
        if now.0 >= self.prune_at.load(Ordering::SeqCst) {
            self.prune_at.store((now + PRUNE_SECS).0, Ordering::SeqCst);
            // CRASH: a revocation whose votes were not all voided is finished here.
            app.void_revoked().await?;
            forget(app, now).await?;
        }
        Ok(())
    }

    /// Ticks until the server stops.
    pub(crate) async fn run(self: Arc<Jobs>, app: Arc<App>) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                _ = period.tick() => {}
            }
            // Refusals of the store are logged where they arise; the next tick tries again.
            let _ = self.tick(&app).await;
        }
    }
}

/// Writes down what the clock shows, so that it does not go back over a restart.
pub(crate) async fn mark(app: &App, now: UnixSecs) -> Result<(), Refused> {
    let mut tx = Tx::new();
    tx.push(Write::ClockShows(now));
    let _ = app.commit(tx).await?;
    Ok(())
}

async fn forget(app: &App, now: UnixSecs) -> Result<(), Refused> {
    let mut tx = Tx::new();
    tx.push(Write::Prune {
        now,
        events_before: now - KEEP_EVENTS_SECS,
    });
    let _ = app.commit(tx).await?;
    Ok(())
}
