//! This computer's time zone, read from its file whenever it is needed, so that a change is seen at once. (`jiff`'s own way
//! first reads the names of all zones that there are and keeps them: a quarter of all that this program has on its heap.)

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// Where the system keeps its own zone.
const OWN: &str = "/etc/localtime";
/// Where all zones are.
const ALL: [&str; 2] = ["/usr/share/zoneinfo", "/etc/zoneinfo"];

/// The zone that this session is in; UTC where nothing says so.
#[must_use]
pub fn here() -> TimeZone {
    of(|name| std::env::var(name).ok(), Path::new(OWN))
}

/// `variable` reads the session's environment: `TZ` goes before the system's own (POSIX.1, 8.3; `tzset(3)`).
fn of(variable: impl Fn(&str) -> Option<String>, own: &Path) -> TimeZone {
    let Some(named) = variable("TZ") else {
        return read(own).unwrap_or(TimeZone::UTC);
    };
    let named = named.strip_prefix(':').unwrap_or(&named);
    if let Ok(zone) = TimeZone::posix(named) {
        return zone;
    }
    let others = variable("TZDIR").map(PathBuf::from).into_iter();
    let mut folders = others.chain(ALL.map(PathBuf::from));
    // A path that is absolute stays what it is.
    let found = folders.find_map(|folder| read(&folder.join(named)));
    found.unwrap_or(TimeZone::UTC)
}

fn read(file: &Path) -> Option<TimeZone> {
    TimeZone::tzif("Local", &std::fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// A zone's file (RFC 9636) without a past: its rule for the future is all that it holds.
    fn tzif(rule: &str) -> Vec<u8> {
        let mut part = b"TZif2".to_vec();
        part.extend([0; 15]);
        // No indicators, leap seconds or changes; one kind of local time, whose name has four bytes.
        part.extend([0, 0, 0, 0, 1, 4_u32].map(u32::to_be_bytes).concat());
        part.extend([0; 6]);
        part.extend(b"LMT\0");
        // Once for those who read 32 bits only, and once more.
        [&part, &part, format!("\n{rule}\n").as_bytes()].concat()
    }

    #[test]
    fn the_environment_goes_before_the_system_and_what_is_unreadable_is_utc() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, rule| {
            let path = folder.path().join(name);
            std::fs::write(&path, tzif(rule)).unwrap();
            path
        };
        let own = file("localtime", "CET-1CEST,M3.5.0,M10.5.0/3");
        let other = file("Tokyo", "JST-9");
        let hours = |tz: Option<&str>, own: &Path| {
            let zone = of(
                |name| match name {
                    "TZ" => tz.map(str::to_owned),
                    "TZDIR" => Some(folder.path().display().to_string()),
                    other => panic!("{other}"),
                },
                own,
            );
            let summer: Timestamp = "2026-07-01T00:00:00Z".parse().unwrap();
            zone.to_offset(summer).seconds() / 3600
        };
        assert_eq!(hours(None, &own), 2);
        assert_eq!(hours(Some("Tokyo"), &own), 9);
        assert_eq!(hours(Some(":Tokyo"), &own), 9);
        assert_eq!(hours(Some(other.to_str().unwrap()), &own), 9);
        assert_eq!(hours(Some("EST5EDT,M3.2.0,M11.1.0"), &own), -4);
        assert_eq!(hours(Some(""), &own), 0);
        assert_eq!(hours(Some("Nowhere/At_All"), &own), 0);
        assert_eq!(hours(None, &folder.path().join("none")), 0);
        std::fs::write(&own, "no zone").unwrap();
        assert_eq!(hours(None, &own), 0);
    }
}
