//! What the agent itself says, in each language: one file a language under `text/`, read into [`Words`], which has no
//! entry to spare and none missing.
//!
//! A further language is one file, a variant of [`Language`] and its line in [`FILES`]. What comes from the server or
//! the approver's program is not here.

use std::sync::LazyLock;

use countersign_api::ipc::Language;
use countersign_model::UnixSecs;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// A language that the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// English.
    En,
    /// German.
    De,
}

/// Each language: its code in locales, and its file.
const FILES: [(Tongue, &str, &str); 2] = [
    (Tongue::En, "en", include_str!("../../text/en.toml")),
    (Tongue::De, "de", include_str!("../../text/de.toml")),
];

/// In the order of [`FILES`]. Whoever speaks one language keeps one.
static WORDS: [LazyLock<Words>; 2] = [
    LazyLock::new(|| read(FILES[0].2)),
    LazyLock::new(|| read(FILES[1].2)),
];

fn read(file: &str) -> Words {
    toml_edit::de::from_str(file).expect("a test reads each file")
}

/// Everything that is said. See `text/en.toml` for what each entry is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the entries are explained by their English text"
)]
pub struct Words {
    pub open: String,
    pub approve: String,
    pub deny: String,
    pub mute_hour: String,
    pub approved_of: String,
    pub each_alone: String,
    pub shortened: String,
    pub open_app: String,
    pub reminder: String,
    pub test: String,
    pub test_so: String,
    pub test_click: String,
    pub no_window: String,
    pub not_counted: String,
    pub ended_approved: String,
    pub ended_approved_by: String,
    pub ended_denied: String,
    pub ended_denied_by: String,
    pub ended_expired: String,
    pub ended_withdrawn: String,
    pub ended_voided: String,
    pub time_over: String,
    pub under_a_minute: String,
    pub no_bus: String,
    pub no_daemon: String,
    pub broken_daemon: String,
    pub asking_daemon: String,
    pub held: String,
    pub not_waiting: String,
    pub mute_too_long: String,
    pub pause_too_long: String,
    pub no_such_mute: String,
    pub signed_out: String,
    pub connecting: String,
    pub offline: String,
    pub nothing_waits: String,
    pub unreachable: String,
    pub held_back: String,
    pub paused: String,
    pub paused_until: String,
    pub quiet_until: String,
    pub away_until: String,
    pub open_app_entry: String,
    pub pause_hour: String,
    pub pause: String,
    pub resume: String,
    pub quit: String,
    pub clock: String,
    pub day_and_clock: String,
    pub requests: Counted,
    pub waiting: Counted,
    pub minutes_left: Counted,
    pub hours_left: Counted,
    pub checks: crate::checks::Words,
}

/// A sentence about a number of things.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    one: String,
    other: String,
}

impl Counted {
    /// With this number.
    #[must_use]
    pub fn of(&self, n: usize) -> String {
        let text = if n == 1 { &self.one } else { &self.other };
        fill(text, &[("n", &n.to_string())])
    }
}

impl Tongue {
    /// As the person prefers; `variable` reads the session's environment.
    #[must_use]
    pub fn of(language: Language, variable: impl Fn(&str) -> Option<String>) -> Self {
        match language {
            Language::En => Self::En,
            Language::De => Self::De,
            Language::System => of_session(variable),
        }
    }

    /// The same, in this process's own session.
    #[must_use]
    pub fn here(language: Language) -> Self {
        Self::of(language, |name| std::env::var(name).ok())
    }

    /// What is said in it.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Self::En => &WORDS[0],
            Self::De => &WORDS[1],
        }
    }
}

/// As gettext reads it: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` says whether there is a language at all, and
/// `LANGUAGE` then names several, the best first.
fn of_session(variable: impl Fn(&str) -> Option<String>) -> Tongue {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
    let Some(locale) = locale.filter(|locale| !matches!(locale.as_str(), "C" | "POSIX")) else {
        return Tongue::En;
    };
    let wishes = set("LANGUAGE").unwrap_or_default();
    let mut codes = wishes.split(':').chain([locale.as_str()]);
    codes.find_map(of_code).unwrap_or(Tongue::En)
}

/// `de_AT.UTF-8` is German.
fn of_code(locale: &str) -> Option<Tongue> {
    let code = locale
        .split(['_', '.', '@', '-'])
        .next()?
        .to_ascii_lowercase();
    let known = FILES.into_iter().find(|(_, known, _)| *known == code);
    known.map(|(tongue, _, _)| tongue)
}

/// Fills in what stands in braces. What is filled in is never looked at again: braces in a name stay braces.
#[must_use]
pub fn fill(text: &str, with: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = with.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

impl Words {
    /// How long is left, as people say it.
    #[must_use]
    pub fn time_left(&self, secs: i64) -> String {
        let minutes = usize::try_from(secs / 60).unwrap_or(0);
        match secs {
            ..=0 => self.time_over.clone(),
            1..=59 => self.under_a_minute.clone(),
            60..=7199 => self.minutes_left.of(minutes),
            _ => self.hours_left.of(minutes / 60),
        }
    }

    /// A time on the clock; with its day where that is not today.
    #[must_use]
    pub fn time(&self, at: UnixSecs, now: UnixSecs, zone: &TimeZone) -> String {
        let local = |time: UnixSecs| {
            let moment = Timestamp::from_second(time.0).ok()?;
            Some(moment.to_zoned(zone.clone()))
        };
        let (Some(at), Some(now)) = (local(at), local(now)) else {
            return String::new();
        };
        let form = if at.date() == now.date() {
            &self.clock
        } else {
            &self.day_and_clock
        };
        at.strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Each entry by its path, with what stands in braces in it.
    fn entries(file: &str) -> BTreeMap<String, Vec<String>> {
        fn walk(at: &str, value: &toml::Value, into: &mut BTreeMap<String, Vec<String>>) {
            if let Some(table) = value.as_table() {
                for (name, value) in table {
                    walk(&format!("{at}/{name}"), value, into);
                }
                return;
            }
            let text = value.as_str().expect("a sentence");
            assert!(!text.trim().is_empty(), "{at} says nothing");
            let braces = text.split('{').skip(1);
            let mut names: Vec<String> = braces
                .map(|rest| rest.split_once('}').expect("a closing brace").0.to_owned())
                .collect();
            names.sort();
            into.insert(at.to_owned(), names);
        }
        let mut all = BTreeMap::new();
        walk("", &toml::from_str(file).unwrap(), &mut all);
        all
    }

    #[test]
    fn every_language_says_everything() {
        let (_, _, english) = FILES[0];
        for (tongue, code, file) in FILES {
            assert_eq!(entries(file), entries(english), "{code}");
            // Read as what the program uses, too: nothing missing, nothing to spare.
            assert!(!tongue.words().open.is_empty());
        }
        assert_ne!(Tongue::De.words().open, Tongue::En.words().open);
    }

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        assert_eq!(fill("{who}: {n}", &[("who", "{n}"), ("n", "5")]), "{n}: 5");
        assert_eq!(fill("a {b} {c", &[("c", "x")]), "a {b} {c");
    }

    #[test]
    fn one_is_not_many() {
        let words = Tongue::De.words();
        assert_eq!(words.waiting.of(1), "1 Anfrage wartet auf Sie");
        assert_eq!(words.waiting.of(0), "0 Anfragen warten auf Sie");
    }

    #[test]
    fn the_language_is_what_the_session_says() {
        let said = |session: &[(&str, &str)]| {
            Tongue::of(Language::System, |name| {
                let found = session.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(said(&[]), Tongue::En);
        assert_eq!(said(&[("LANG", "de_DE.UTF-8")]), Tongue::De);
        assert_eq!(said(&[("LANG", "fr_FR.UTF-8")]), Tongue::En);
        assert_eq!(
            said(&[("LANG", "en_US.UTF-8"), ("LANGUAGE", "fr:de_AT:en")]),
            Tongue::De
        );
        assert_eq!(
            said(&[("LANG", "de_DE.UTF-8"), ("LANGUAGE", "en")]),
            Tongue::En
        );
        assert_eq!(
            said(&[("LC_MESSAGES", "de"), ("LANG", "en_US")]),
            Tongue::De
        );
        assert_eq!(
            said(&[("LC_ALL", "C"), ("LANG", "de"), ("LANGUAGE", "de")]),
            Tongue::En
        );
        assert_eq!(said(&[("LC_ALL", ""), ("LANG", "de@euro")]), Tongue::De);
        assert_eq!(Tongue::of(Language::En, |_| Some("de".into())), Tongue::En);
    }

    #[test]
    fn time_is_said_as_people_say_it() {
        let words = Tongue::En.words();
        let said: Vec<String> = [-3, 0, 1, 59, 60, 119, 120, 599, 7199, 7200]
            .map(|secs| words.time_left(secs))
            .into();
        assert_eq!(
            said,
            [
                "time is over",
                "time is over",
                "less than a minute left",
                "less than a minute left",
                "1 minute left",
                "1 minute left",
                "2 minutes left",
                "9 minutes left",
                "119 minutes left",
                "2 hours left"
            ]
        );
    }

    #[test]
    fn a_time_of_another_day_names_the_day() {
        let zone = TimeZone::posix("CET-1").unwrap();
        let at = |text: &str| UnixSecs(text.parse::<Timestamp>().unwrap().as_second());
        let (now, later, tomorrow) = (
            at("2026-11-22T13:00:00Z"),
            at("2026-11-22T22:59:00Z"),
            at("2026-11-23T06:00:00Z"),
        );
        assert_eq!(Tongue::En.words().time(later, now, &zone), "23:59");
        assert_eq!(
            Tongue::En.words().time(tomorrow, now, &zone),
            "23 Nov, 07:00"
        );
        assert_eq!(
            Tongue::De.words().time(tomorrow, now, &zone),
            "23.11., 07:00"
        );
    }
}
