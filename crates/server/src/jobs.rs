//! What happens without a call: expiry, absences that begin and end, what a crash left of a revocation, forgetting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_model::{Digest, UnixSecs};
use countersign_store::{Tx, Write};
use serde_json::json;
use tokio::sync::Mutex;

use crate::app::App;
use crate::app::change::entry_of;
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
    /// The policy that stands in the entries as the one in force.
    policy: Mutex<Option<Digest>>,
}

impl Jobs {
    pub(crate) fn new() -> Jobs {
        Jobs {
            prune_at: AtomicI64::new(i64::MIN),
            mark_at: AtomicI64::new(i64::MIN),
            policy: Mutex::new(None),
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
        self.note_policy(app, now).await?;
        app.turn_absences(now).await?;
        if now.0 >= self.prune_at.load(Ordering::SeqCst) {
            self.prune_at.store((now + PRUNE_SECS).0, Ordering::SeqCst);
            // CRASH: a revocation whose votes were not all voided is finished here.
            app.void_revoked().await?;
            forget(app, now).await?;
        }
        Ok(())
    }

    /// Each policy that comes into force is an entry, with its digest.
    async fn note_policy(&self, app: &App, now: UnixSecs) -> Result<(), Refused> {
        let digest = app.policy().digest();
        // Held until it is written: of two ticks at once, one writes it.
        let mut noted = self.policy.lock().await;
        let before = *noted;
        if before == Some(digest) {
            return Ok(());
        }
        let detail = json!({
            "digest": digest.to_string(),
            "before": before.map(|digest| digest.to_string()),
        });
        let mut tx = Tx::new();
        tx.push(entry_of(now, None, "policy", &detail));
        let _ = app.commit(tx).await?;
        *noted = Some(digest);
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
