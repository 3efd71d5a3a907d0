//! Trying out what has to work for requests to reach the person.

use countersign_api::ipc::{Check, CheckOf, CheckState, Notifications, Prefs, Sandbox, State};
use countersign_approver::{Accounts, Probe};
use serde::Deserialize;
use url::Url;

use crate::autostart::{Autostart, AutostartError, Standing};
use crate::text::catalogue::fill;

/// Clocks may differ so much without a word about it, in seconds: answers name whole seconds.
const CLOSE_SECS: u64 = 2;
/// From here on nothing that is signed here is accepted any more, in seconds (protocol, section 1).
const TOO_FAR_SECS: u64 = 60;

/// What is said of it. See `text/en.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the entries are explained by their English text"
)]
pub struct Words {
    pub nobody: String,
    pub answers: String,
    pub clock_right: String,
    pub clock_unknown: String,
    pub clock_near: String,
    pub clock_off: String,
    pub ahead: String,
    pub behind: String,
    pub no_key: String,
    pub autostart_on: String,
    pub autostart_off: String,
    pub autostart_still_on: String,
    pub autostart_not_yet: String,
    pub autostart_elsewhere: String,
    pub autostart_failed: String,
    pub notified_by: String,
    pub held_back: String,
    pub shut_in: String,
    pub sandbox_automation: String,
    pub sandbox_remote: String,
    pub sandbox_missing: String,
    pub sandbox_refused: String,
    pub sandbox_failed: String,
}

/// Tries out everything, in the order of [`CheckOf`].
pub async fn all(
    approver: &Accounts,
    autostart: Result<&Autostart, &AutostartError>,
    state: &State,
    words: &Words,
) -> Vec<Check> {
    let probes = approver.probe().await;
    vec![
        connection(&probes, words),
        keys(&probes, words),
        clock(&probes, words),
        of_autostart(autostart, state, words),
        notifications(&state.notifications, words),
        sandbox(&state.sandbox, words),
    ]
}

fn check(what: CheckOf, state: CheckState, sentence: impl Into<String>) -> Check {
    Check {
        what,
        state,
        sentence: sentence.into(),
        millis: None,
    }
}

fn connection(probes: &[Probe], words: &Words) -> Check {
    let what = CheckOf::Connection;
    if let Some(trouble) = probes
        .iter()
        .find_map(|probe| probe.answered.as_ref().err())
    {
        return check(what, CheckState::Bad, &trouble.sentence);
    }
    let slowest = probes
        .iter()
        .filter_map(|probe| Some((probe.answered.as_ref().ok()?.took, probe)))
        .max_by_key(|(took, _)| *took);
    let Some((took, probe)) = slowest else {
        return check(what, CheckState::Bad, &words.nobody);
    };
    let sentence = fill(&words.answers, &[("server", &host(&probe.server))]);
    Check {
        millis: Some(u32::try_from(took.as_millis()).unwrap_or(u32::MAX)),
        ..check(what, CheckState::Good, sentence)
    }
}

fn host(server: &str) -> String {
    let url = Url::parse(server).ok();
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| server.to_owned())
}

fn keys(probes: &[Probe], words: &Words) -> Check {
    let what = CheckOf::Key;
    if let Some(trouble) = probes.iter().find_map(|probe| probe.keys.as_ref().err()) {
        return check(what, CheckState::Bad, &trouble.sentence);
    }
    match probes.first().map(|probe| &probe.keys) {
        Some(Ok(place)) => check(what, CheckState::Good, place),
        Some(Err(_)) | None => check(what, CheckState::Bad, &words.no_key),
    }
}

fn clock(probes: &[Probe], words: &Words) -> Check {
    let ahead = probes
        .iter()
        .filter_map(|probe| probe.answered.as_ref().ok()?.ahead_secs)
        .max_by_key(|ahead| ahead.unsigned_abs());
    let what = CheckOf::Clock;
    let Some(ahead) = ahead else {
        return check(what, CheckState::Care, &words.clock_unknown);
    };
    let way = if ahead < 0 {
        &words.behind
    } else {
        &words.ahead
    };
    let secs = ahead.unsigned_abs();
    let said = |text: &str| fill(text, &[("secs", &secs.to_string()), ("way", way)]);
    if secs <= CLOSE_SECS {
        check(what, CheckState::Good, &words.clock_right)
    } else if secs < TOO_FAR_SECS {
        check(what, CheckState::Care, said(&words.clock_near))
    } else {
        check(what, CheckState::Bad, said(&words.clock_off))
    }
}

fn of_autostart(
    autostart: Result<&Autostart, &AutostartError>,
    state: &State,
    words: &Words,
) -> Check {
    let Prefs {
        autostart: wanted, ..
    } = state.prefs;
    let standing = match autostart {
        // From the first sign-in on there is something to start for.
        Ok(autostart) if state.account.is_some() => autostart
            .keep(wanted)
            .and_then(|()| autostart.standing())
            .map_err(|error| error.to_string()),
        Ok(autostart) => autostart.standing().map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (state, sentence) = match (standing, wanted) {
        (Ok(Standing::On), true) => (CheckState::Good, words.autostart_on.clone()),
        (Ok(Standing::On), false) => (CheckState::Care, words.autostart_still_on.clone()),
        (Ok(Standing::Off), false) => (CheckState::Care, words.autostart_off.clone()),
        (Ok(Standing::Off), true) => (CheckState::Care, words.autostart_not_yet.clone()),
        (Ok(Standing::SwitchedOff), _) => (CheckState::Care, words.autostart_elsewhere.clone()),
        (Err(why), _) => (
            CheckState::Bad,
            fill(&words.autostart_failed, &[("why", &why)]),
        ),
    };
    check(CheckOf::Autostart, state, sentence)
}

fn notifications(notifications: &Notifications, words: &Words) -> Check {
    let what = CheckOf::Notifications;
    match notifications {
        Notifications::Missing { why } => check(what, CheckState::Bad, why),
        Notifications::Working { held: true, .. } => {
            check(what, CheckState::Care, &words.held_back)
        }
        Notifications::Working { daemon, .. } => check(
            what,
            CheckState::Good,
            fill(&words.notified_by, &[("daemon", daemon)]),
        ),
    }
}

fn sandbox(sandbox: &Sandbox, words: &Words) -> Check {
    match sandbox {
        Sandbox::On => check(CheckOf::Sandbox, CheckState::Good, &words.shut_in),
        Sandbox::Off { why } => check(CheckOf::Sandbox, CheckState::Care, why),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use countersign_api::ipc::{Problem, ProblemCode};
    use countersign_approver::RoundTrip;

    use super::*;
    use crate::text::catalogue::Tongue;

    fn words() -> &'static Words {
        &Tongue::En.words().checks
    }

    fn probe(server: &str, millis: u64, ahead_secs: Option<i64>) -> Probe {
        Probe {
            server: server.to_owned(),
            answered: Ok(RoundTrip {
                took: Duration::from_millis(millis),
                ahead_secs,
            }),
            keys: Ok("Kept in a test.".to_owned()),
        }
    }

    #[test]
    fn the_slowest_server_is_told_and_one_that_does_not_answer_before_it() {
        let fast = probe("https://a.example", 3, None);
        let slow = probe("https://b.example:8443", 12, None);
        let told = connection(&[fast.clone(), slow.clone()], words());
        assert_eq!(
            (told.state, told.millis, told.sentence.as_str()),
            (CheckState::Good, Some(12), "b.example answers")
        );
        let gone = Probe {
            answered: Err(Problem {
                code: ProblemCode::ServerUnreachable,
                sentence: "It does not answer.".to_owned(),
            }),
            ..fast
        };
        let told = connection(&[gone, slow], words());
        assert_eq!(
            (told.state, told.sentence.as_str()),
            (CheckState::Bad, "It does not answer.")
        );
        assert_eq!(connection(&[], words()).state, CheckState::Bad);
    }

    #[test]
    fn the_clock_that_is_off_most_counts_in_either_direction() {
        let told = |aheads: &[Option<i64>]| {
            let probes: Vec<Probe> = aheads
                .iter()
                .map(|ahead| probe("https://a.example", 1, *ahead))
                .collect();
            clock(&probes, words())
        };
        assert_eq!(told(&[Some(0), Some(-2)]).state, CheckState::Good);
        let near = told(&[Some(1), Some(-20)]);
        assert_eq!(near.state, CheckState::Care);
        assert!(
            near.sentence.contains("20 seconds behind"),
            "{}",
            near.sentence
        );
        let off = told(&[Some(61), None]);
        assert_eq!(off.state, CheckState::Bad);
        assert!(
            off.sentence.contains("61 seconds ahead"),
            "{}",
            off.sentence
        );
        assert_eq!(told(&[None]).state, CheckState::Care);
    }

    #[test]
    fn a_keyring_that_lost_the_keys_is_told() {
        let fine = probe("https://a.example", 1, None);
        let lost = Probe {
            keys: Err(Problem {
                code: ProblemCode::Keyring,
                sentence: "They are gone.".to_owned(),
            }),
            ..fine.clone()
        };
        assert_eq!(
            keys(std::slice::from_ref(&fine), words()).state,
            CheckState::Good
        );
        let told = keys(&[fine, lost], words());
        assert_eq!(
            (told.state, told.sentence.as_str()),
            (CheckState::Bad, "They are gone.")
        );
    }
}
