//! Time as the verifier's own clock states it, in whole seconds.

use std::fmt;
use std::ops::{Add, Sub};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds (a JWT's NumericDate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixSecs(pub i64);

impl Add<i64> for UnixSecs {
    type Output = Self;
    /// Later by so many seconds. Saturates: no time that a peer names can wrap round.
    fn add(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs))
    }
}

impl Sub<i64> for UnixSecs {
    type Output = Self;
    /// Earlier by so many seconds.
    fn sub(self, secs: i64) -> Self {
        Self(self.0.saturating_sub(secs))
    }
}

impl Sub for UnixSecs {
    type Output = i64;
    /// Seconds from `earlier` to `self`.
    fn sub(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixSecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the time comes from. The real clock lives at the edges; tests move their own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> UnixSecs;
}
