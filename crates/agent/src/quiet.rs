//! Quiet hours: a part of each local day. Pure: the time and the time zone are parameters.
//!
//! They are intervals between moments, not a comparison of clock faces, so that a night with 23 or 25 hours has
//! exactly one beginning and one end.

use countersign_api::ipc::QuietHours;
use countersign_model::UnixSecs;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// How it is, and when that changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quiet {
    /// It is quiet, until then.
    pub until: Option<UnixSecs>,
    /// When to look again.
    pub next: Option<UnixSecs>,
}

/// Whether it is quiet now.
#[must_use]
pub fn quiet(hours: QuietHours, now: UnixSecs, zone: &TimeZone) -> Quiet {
    if !hours.on {
        return Quiet::default();
    }
    let Ok(moment) = Timestamp::from_second(now.0) else {
        return Quiet::default();
    };
    let today = zone.to_datetime(moment).date();
    // The night that began yesterday may last still.
    let nights = (-2..=2).filter_map(|days| night(hours, today, days, zone));
    let nights: Vec<(UnixSecs, UnixSecs)> = nights.collect();
    let now_in = |(from, until): &&(UnixSecs, UnixSecs)| *from <= now && now < *until;
    let until = nights.iter().find(now_in).map(|(_, until)| *until);
    let starts = nights.iter().map(|(from, _)| *from);
    let next = until.or_else(|| starts.filter(|from| now < *from).min());
    Quiet { until, next }
}

fn night(
    hours: QuietHours,
    today: Date,
    days: i64,
    zone: &TimeZone,
) -> Option<(UnixSecs, UnixSecs)> {
    let begins = today.checked_add(Span::new().days(days)).ok()?;
    let ends = if hours.from < hours.to {
        begins
    } else {
        begins.tomorrow().ok()?
    };
    let moment = |day: Date, minute: u16| {
        let (hour, minute) = (
            i8::try_from(minute / 60).ok()?,
            i8::try_from(minute % 60).ok()?,
        );
        let time = Time::new(hour, minute, 0, 0).ok()?;
        // A time that the clocks skip is the moment after; one that comes twice is the first.
        let moment = zone.to_timestamp(DateTime::from_parts(day, time)).ok()?;
        Some(UnixSecs(moment.as_second()))
    };
    Some((moment(begins, hours.from)?, moment(ends, hours.to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: QuietHours = QuietHours {
        on: true,
        from: 20 * 60,
        to: 7 * 60,
    };

    fn berlin() -> TimeZone {
        // As tzdata has it, without depending on it: clocks change on the last Sundays of March and October.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(text: &str) -> UnixSecs {
        UnixSecs(text.parse::<Timestamp>().unwrap().as_second())
    }

    fn until(hours: QuietHours, now: &str) -> Option<UnixSecs> {
        quiet(hours, at(now), &berlin()).until
    }

    #[test]
    fn a_night_goes_over_midnight() {
        // Local time is one hour ahead.
        let morning = Some(at("2026-11-22T06:00:00Z"));
        assert_eq!(until(NIGHT, "2026-11-21T18:59:59Z"), None);
        assert_eq!(until(NIGHT, "2026-11-21T19:00:00Z"), morning);
        assert_eq!(until(NIGHT, "2026-11-22T05:59:59Z"), morning);
        assert_eq!(until(NIGHT, "2026-11-22T06:00:00Z"), None);
        let evening = quiet(NIGHT, at("2026-11-22T06:00:00Z"), &berlin()).next;
        assert_eq!(evening, Some(at("2026-11-22T19:00:00Z")));
    }

    #[test]
    fn part_of_a_day_the_whole_day_and_none() {
        let lunch = QuietHours {
            on: true,
            from: 12 * 60,
            to: 13 * 60,
        };
        assert_eq!(
            until(lunch, "2026-11-22T11:30:00Z"),
            Some(at("2026-11-22T12:00:00Z"))
        );
        assert_eq!(until(lunch, "2026-11-22T12:00:00Z"), None);
        let always = QuietHours {
            on: true,
            from: 60,
            to: 60,
        };
        for now in [
            "2026-11-22T00:00:00Z",
            "2026-11-22T11:59:59Z",
            "2026-03-29T01:30:00Z",
        ] {
            assert!(until(always, now).is_some(), "{now}");
        }
        assert_eq!(
            quiet(
                QuietHours { on: false, ..NIGHT },
                at("2026-11-22T00:00:00Z"),
                &berlin()
            ),
            Quiet::default()
        );
    }

    #[test]
    fn the_nights_in_which_the_clocks_change_have_one_beginning_and_one_end() {
        // Forward on 2026-03-29: the night is an hour shorter, and ends at 07:00 on the clock all the same.
        assert_eq!(
            until(NIGHT, "2026-03-28T20:00:00Z"),
            Some(at("2026-03-29T05:00:00Z"))
        );
        // Back on 2026-10-25: an hour longer.
        assert_eq!(
            until(NIGHT, "2026-10-24T20:00:00Z"),
            Some(at("2026-10-25T06:00:00Z"))
        );
        // 02:30 comes twice then: it ends at the first, and does not begin again at the second 02:00.
        let small = QuietHours {
            on: true,
            from: 60,
            to: 150,
        };
        assert_eq!(
            until(small, "2026-10-25T00:29:59Z"),
            Some(at("2026-10-25T00:30:00Z"))
        );
        for now in [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:29:00Z",
        ] {
            assert_eq!(until(small, now), None, "{now}");
        }
        // 02:30 does not come at all in spring: what ends then ends at 03:30.
        assert_eq!(
            until(small, "2026-03-29T00:30:00Z"),
            Some(at("2026-03-29T01:30:00Z"))
        );
    }

    #[test]
    fn the_next_look_is_always_ahead_and_sees_the_change() {
        let zones = [
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "EST5EDT,M3.2.0,M11.1.0",
            "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        ];
        for zone in zones.map(|zone| TimeZone::posix(zone).unwrap()) {
            for from in (0..1440).step_by(90) {
                let hours = QuietHours {
                    on: true,
                    from,
                    to: (from + 555) % 1440,
                };
                let mut now = at("2026-01-01T00:00:00Z");
                let end = at("2027-01-01T00:00:00Z");
                while now < end {
                    let Quiet { until, next } = quiet(hours, now, &zone);
                    let next = next.unwrap();
                    assert!(now < next);
                    let before = quiet(hours, UnixSecs(next.0 - 1), &zone);
                    assert_eq!(
                        before.until.is_some(),
                        until.is_some(),
                        "nothing changes before"
                    );
                    let after = quiet(hours, next, &zone);
                    assert_ne!(after.until.is_some(), until.is_some(), "and then it does");
                    now = next;
                }
            }
        }
    }
}
