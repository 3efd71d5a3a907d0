//! How long to wait before the next attempt: full jitter between half a second and a bound that doubles
//! up to 30 seconds, so that a server that comes back is not met by everyone at once.

use std::time::Duration;

/// The shortest wait.
pub const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures. Randomness is a parameter.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure. `random` is in 0..1.
    pub fn next(&mut self, random: f64) -> Duration {
        let bound = FIRST
            .saturating_mul(2u32.saturating_pow(self.failures.min(16)))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        FIRST + (bound - FIRST).mul_f64(random.clamp(0.0, 1.0))
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_doubles_to_thirty_seconds_and_jitter_spans_all_of_it() {
        let mut high = Backoff::default();
        let bounds: Vec<u128> = (0..9).map(|_| high.next(1.0).as_millis()).collect();
        assert_eq!(
            bounds,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        let mut low = Backoff::default();
        assert!((0..9).all(|_| low.next(0.0) == FIRST));
        let mut middle = Backoff::default();
        middle.next(0.5);
        assert_eq!(middle.next(0.5), Duration::from_millis(750));
    }

    #[test]
    fn success_starts_over_and_a_million_failures_do_not_overflow() {
        let mut backoff = Backoff::default();
        for _ in 0..1_000_000 {
            backoff.next(0.3);
        }
        assert_eq!(backoff.next(1.0), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(1.0), FIRST);
    }
}
