//! What is said of who is away, in English and on one line: for requesters' terminals, and for the person who reads
//! beforehand what requesters will read. Names are made visible by whoever prints them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Somebody who may vote and is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away<'a> {
    /// Their name.
    pub name: &'a str,
    /// Until when. Unix seconds.
    pub until: i64,
    /// Who can vote in their place.
    pub stand_in: Option<&'a str>,
    /// That is the reader.
    pub names_you: bool,
}

/// The sentences, with a space between them. Empty where nobody is away.
#[must_use]
pub fn sentences(away: &[Away<'_>], others_can: Option<u32>, now: i64, zone: &TimeZone) -> String {
    let mut said: Vec<String> = Vec::new();
    for Away {
        name,
        until,
        stand_in,
        names_you,
    } in away.iter().filter(|away| away.until > now)
    {
        let until = moment(*until, now, zone);
        said.push(match (names_you, stand_in) {
            (true, _) => format!("{name} is away until {until} and named you."),
            (false, Some(stand_in)) => {
                format!("{name} is away until {until}. {stand_in} can approve instead.")
            }
            (false, None) => format!("{name} is away until {until}."),
        });
    }
    if said.is_empty() {
        return String::new();
    }
    match others_can {
        None => {}
        Some(0) => said.push("Nobody else who can vote is signed in now.".to_owned()),
        Some(1) => said.push("One other can vote.".to_owned()),
        Some(more) => said.push(format!("{more} others can vote.")),
    }
    said.join(" ")
}

/// A moment to come as people say it, in their own time: `18:00`, `Friday 18:00`, `27 November 18:00`.
#[must_use]
pub fn moment(at: i64, now: i64, zone: &TimeZone) -> String {
    let of = |secs| Timestamp::from_second(secs).map(|at| at.to_zoned(zone.clone()));
    let (Ok(at), Ok(now)) = (of(at), of(now)) else {
        return "a time that no calendar has".to_owned();
    };
    let days = (at.date() - now.date()).get_days();
    let form = match days {
        0 => "%H:%M",
        1..=6 => "%A %H:%M",
        _ if at.year() == now.year() => "%-d %B %H:%M",
        _ => "%-d %B %Y %H:%M",
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday, 13:20 in UTC.
    const NOW: i64 = 1_795_353_600;

    fn zone(hours: i8) -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(hours))
    }

    #[test]
    fn a_moment_is_said_in_the_readers_own_time() {
        let day = 24 * 3600;
        for (at, hours, said) in [
            (NOW + 3600, 0, "14:20"),
            (NOW + 3600, 1, "15:20"),
            (NOW + day, 0, "Monday 13:20"),
            // Still Sunday there.
            (NOW + 11 * 3600, -5, "19:20"),
            (NOW + 5 * day, 0, "Friday 13:20"),
            (NOW + 7 * day, 0, "29 November 13:20"),
            (NOW + 60 * day, 0, "21 January 2027 13:20"),
            (i64::MAX, 0, "a time that no calendar has"),
        ] {
            assert_eq!(moment(at, NOW, &zone(hours)), said, "{at}");
        }
    }

    #[test]
    fn each_is_named_with_who_can_instead_and_the_others_are_counted() {
        let elin = Away {
            name: "Elin Varga",
            until: NOW + 5 * 24 * 3600,
            stand_in: Some("Jonas Petersen"),
            names_you: false,
        };
        let said = |away: &[Away<'_>], others| sentences(away, others, NOW, &zone(0));
        assert_eq!(
            said(&[elin], Some(3)),
            "Elin Varga is away until Friday 13:20. Jonas Petersen can approve instead. 3 others can vote."
        );
        let ines = Away {
            name: "Ines Okafor",
            stand_in: None,
            until: NOW + 60,
            ..elin
        };
        assert_eq!(
            said(&[ines], Some(0)),
            "Ines Okafor is away until 13:21. Nobody else who can vote is signed in now."
        );
        let you = Away {
            names_you: true,
            ..elin
        };
        assert_eq!(
            said(&[you, ines], Some(1)),
            "Elin Varga is away until Friday 13:20 and named you. Ines Okafor is away until 13:21. One other can vote."
        );
        // Who is back meanwhile is not spoken of, nor is anybody counted then.
        assert_eq!(said(&[Away { until: NOW, ..elin }], Some(3)), "");
    }
}
