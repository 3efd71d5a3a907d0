//! The real clock: the only one of this program. Everything below takes it as a parameter.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_model::{Clock, UnixSecs};

/// The system's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl SystemClock {
    /// Ready to be shared.
    pub(crate) fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixSecs {
        // Before 1970, or after the year 292 billion: no token is good then, so nothing is released.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixSecs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}
