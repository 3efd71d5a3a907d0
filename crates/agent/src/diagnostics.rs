//! What someone who helps needs to know, to be copied: versions, the desktop, how things stand, settings, and the last lines
//! of the log. No secret, no name, no address and no text of a request: what a person may paste into a public place.

use std::fmt::Write as _;

use countersign_api::ipc::{Check, Notifications, Prefs, Proxy, Sandbox, State};

/// The longest word that is taken from the environment.
const MAX_WORD_CHARS: usize = 60;

/// The whole text. `variable` reads the session's environment.
#[must_use]
pub fn text(
    state: &State,
    checks: &[Check],
    log: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> String {
    let mut text = Text::default();
    text.line("Countersign", &state.agent_version);
    let system = rustix::system::uname();
    text.line(
        "system",
        &format!(
            "{} {} {}",
            word(&system.sysname().to_string_lossy()),
            word(&system.release().to_string_lossy()),
            word(&system.machine().to_string_lossy()),
        ),
    );
    for (name, of) in [
        ("desktop", "XDG_CURRENT_DESKTOP"),
        ("session", "XDG_SESSION_TYPE"),
        ("locale", "LANG"),
    ] {
        let value = variable(of).map_or_else(|| "not set".to_owned(), |value| word(&value));
        text.line(name, &value);
    }
    of_state(&mut text, state);
    text.head("Checks");
    for Check {
        what,
        state,
        sentence: _, // Names servers.
        millis,
    } in checks
    {
        let millis = millis.map_or_else(String::new, |millis| format!(", {millis} ms"));
        text.line(&format!("{what:?}"), &format!("{state:?}{millis}"));
    }
    text.head("Settings");
    of_prefs(&mut text, &state.prefs);
    text.head("Log");
    for line in log {
        text.0.push_str(line);
        text.0.push('\n');
    }
    text.0
}

fn of_state(text: &mut Text, state: &State) {
    let notifications = match &state.notifications {
        Notifications::Working {
            daemon,
            version,
            can,
            held,
            test: _,
        } => format!("{} {}, {can:?}, held: {held}", word(daemon), word(version)),
        Notifications::Missing { why: _ } => "missing".to_owned(),
    };
    text.line("notifications", &notifications);
    text.line("tray", &format!("{:?}", state.tray));
    let sandbox = match &state.sandbox {
        Sandbox::On => "on",
        Sandbox::Off { why } => why,
    };
    text.line("sandbox", sandbox);
    text.line("connection", &format!("{:?}", state.connection));
    for (number, account) in (1..).zip(&state.accounts) {
        let keys = account.security_keys.as_ref().map_or(0, Vec::len);
        text.line(
            &format!("account {number}"),
            &format!(
                "{:?}, session ends at {}, {keys} security keys",
                account.connection, account.session_ends_at
            ),
        );
    }
    text.line(
        "requests",
        &format!(
            "{} wait, {} of others",
            state.inbox.len(),
            state.others.len()
        ),
    );
    for trouble in &state.troubles {
        text.line("trouble", &format!("{:?}", trouble.code));
    }
}

fn of_prefs(text: &mut Text, prefs: &Prefs) {
    let shown = Prefs {
        proxy: match &prefs.proxy {
            Proxy::System => Proxy::System,
            Proxy::Direct => Proxy::Direct,
            // It may hold a password.
            Proxy::Url { url: _ } => Proxy::Url {
                url: "(set)".to_owned(),
            },
        },
        ..prefs.clone()
    };
    let _ = writeln!(text.0, "{shown:#?}");
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name}: {value}");
    }

    fn head(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n{name}");
    }
}

/// A short word that cannot break a line or hide something.
fn word(text: &str) -> String {
    let plain = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(MAX_WORD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{CheckOf, CheckState, Line, Problem, ProblemCode, Role, Span};

    use super::*;
    use crate::session::nothing_known;

    #[test]
    fn it_tells_how_things_stand_and_nothing_that_is_whose() {
        let mut state = nothing_known();
        let name = Line {
            indent: 0,
            spans: vec![Span {
                role: Role::Name,
                text: "Elin Varga".to_owned(),
            }],
        };
        state.accounts = vec![countersign_api::ipc::Account {
            id: "acc-secret".to_owned(),
            connection: countersign_api::ipc::Connection::Reconnecting,
            server: "https://secret.example".to_owned(),
            issuer: "https://login.secret.example".to_owned(),
            provider_name: "Secret Staff".to_owned(),
            sub: "elin-secret".to_owned(),
            name: name.clone(),
            email: Some(name.clone()),
            groups: vec![name],
            binding_id: "binding-secret".to_owned(),
            session_ends_at: 1_800_000_000,
            key_storage: "secret place".to_owned(),
            security_keys: None,
            away: None,
        }];
        state.suggested_server = Some("https://secret.example".to_owned());
        state.troubles = vec![Problem {
            code: ProblemCode::ServerUnreachable,
            sentence: "secret.example does not answer".to_owned(),
        }];
        state.prefs.proxy = Proxy::Url {
            url: "http://elin:secret@proxy.secret.example".to_owned(),
        };
        let checks = [Check {
            what: CheckOf::Connection,
            state: CheckState::Bad,
            sentence: "secret.example does not answer".to_owned(),
            millis: Some(7),
        }];
        let log = ["11-22 13:00:00Z WARN x: the stream is not live".to_owned()];
        let told = text(&state, &checks, &log, |name| {
            Some(match name {
                "XDG_CURRENT_DESKTOP" => "GNOME\nfake: line\u{202e}".to_owned(),
                _ => "x".repeat(1000),
            })
        });
        for part in [
            "account 1: Reconnecting, session ends at 1800000000",
            "Connection: Bad, 7 ms",
            "trouble: ServerUnreachable",
            "desktop: GNOMEfake: line\n",
            "(set)",
            "the stream is not live",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        for part in ["secret", "Secret", "Elin"] {
            assert!(!told.contains(part), "{part}: {told}");
        }
        assert!(told.lines().all(|line| line.len() < 400));
    }
}
