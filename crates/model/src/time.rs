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

impl UnixSecs {
    /// For people: `2026-11-22 07:15:00 UTC`.
    pub fn utc(self) -> String {
        let (days, secs) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // Days since 0000-03-01, so that a leap day is a year's last; eras of 400 years are all alike.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_the_calendar_of_everyone() {
        for (secs, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_331_700, "2026-11-22 07:15:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(UnixSecs(secs).utc(), text);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixSecs(i64::MAX) + 1, UnixSecs(i64::MAX));
        assert_eq!(UnixSecs(i64::MIN) - 1, UnixSecs(i64::MIN));
        assert_eq!(UnixSecs(5) - UnixSecs(3), 2);
    }
}
