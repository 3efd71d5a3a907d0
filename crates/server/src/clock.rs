//! The one clock that judges. It does not go back: not while the server runs, and not over a restart, since the
//! store knows what it has shown.
//!
//! A clock that was set back would open again what has expired. Where it is behind by little, time stands still
//! until it has caught up; where it is behind by more than clocks may differ, the server does not start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use countersign_evidence::verify::SKEW_SECS;
use countersign_model::{Clock, UnixSecs};

/// The clock is behind what it has shown before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock is {behind_secs} seconds behind what this server has already acted on: set it right. If it was \
     wrong then, and is right now, wait until it has caught up, or begin with an empty state folder"
)]
pub(crate) struct WentBack {
    behind_secs: i64,
}

/// A clock with a floor.
pub(crate) struct SteadyClock {
    clock: Arc<dyn Clock>,
    shown: AtomicI64,
    told: AtomicBool,
}

impl SteadyClock {
    /// From what it has shown before, if ever.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        shown: Option<UnixSecs>,
    ) -> Result<SteadyClock, WentBack> {
        let shown = shown.map_or(i64::MIN, |shown| shown.0);
        let behind_secs = shown.saturating_sub(clock.now().0);
        if behind_secs > SKEW_SECS {
            return Err(WentBack { behind_secs });
        }
        Ok(SteadyClock {
            clock,
            shown: AtomicI64::new(shown),
            told: AtomicBool::new(false),
        })
    }

    /// Now, and never earlier than before.
    pub(crate) fn now(&self) -> UnixSecs {
        let now = self.clock.now();
        let shown = self.shown.fetch_max(now.0, Ordering::SeqCst);
        let behind = shown.saturating_sub(now.0) > SKEW_SECS;
        if behind != self.told.swap(behind, Ordering::SeqCst) {
            if behind {
                tracing::error!(
                    "the clock went back: time stands still here until it has caught up"
                );
            } else {
                tracing::info!("the clock has caught up");
            }
        }
        UnixSecs(shown.max(now.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> UnixSecs {
            UnixSecs(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn it_does_not_go_back() {
        let hand = Arc::new(Hand(AtomicI64::new(1_000)));
        let clock = SteadyClock::new(Arc::clone(&hand) as Arc<dyn Clock>, None).unwrap();
        assert_eq!(clock.now(), UnixSecs(1_000));
        hand.0.store(900, Ordering::SeqCst);
        assert_eq!(clock.now(), UnixSecs(1_000));
        hand.0.store(1_001, Ordering::SeqCst);
        assert_eq!(clock.now(), UnixSecs(1_001));
    }

    #[test]
    fn over_a_restart_little_is_waited_for_and_more_is_refused() {
        let hand = || Arc::new(Hand(AtomicI64::new(1_000))) as Arc<dyn Clock>;
        let waits = SteadyClock::new(hand(), Some(UnixSecs(1_060))).unwrap();
        assert_eq!(waits.now(), UnixSecs(1_060));
        assert_eq!(
            SteadyClock::new(hand(), Some(UnixSecs(1_061))).err(),
            Some(WentBack { behind_secs: 61 })
        );
    }
}
