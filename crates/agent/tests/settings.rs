//! What the settings page changes, what the check page reads, and links: over the real agent's sockets, signed out.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use countersign_agent::open_socket::{self, OpenRequest};
use countersign_api::ipc::{
    Answer, Call, CheckOf, CheckState, Event, LogLevel, Prefs, Proxy, Reply,
};
use session::PrivateBus;
use session::client::Client;
use tokio::process::{Child, Command};

/// A person's folders, and the agent in them.
struct Home {
    dir: tempfile::TempDir,
    bus: PrivateBus,
}

impl Home {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            dir,
            bus: PrivateBus::start(),
        }
    }

    fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            // Nothing that whoever set up this machine installed.
            .env("XDG_CONFIG_DIRS", self.dir.path().join("nothing"))
            .env("XDG_DATA_DIRS", self.dir.path().join("nothing"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus.address)
            .args(arguments)
            .args(["--window", "/usr/bin/true"])
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn connect(&self, agent: &mut Child) -> Client {
        Client::connect(&self.path("countersign/window.sock"), agent).await
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn autostart(&self) -> PathBuf {
        self.path(".config/autostart/countersign.desktop")
    }
}

async fn set(window: &mut Client, prefs: &Prefs) -> Answer {
    let prefs = prefs.clone();
    window.ask(Call::SetPrefs { prefs }).await
}

/// The next event that takes the window somewhere.
async fn taken(window: &mut Client) -> Event {
    let goes_on = |event: &Event| matches!(event, Event::State { .. } | Event::HistoryChanged);
    window.event(|event| !goes_on(event)).await
}

fn done(answer: Answer) {
    assert_eq!(
        answer,
        Answer::Done {
            reply: Reply::Nothing
        }
    );
}

#[tokio::test]
async fn starting_with_the_desktop_is_set_up_and_taken_back_and_never_claimed() {
    let home = Home::make();
    let mut agent = home.agent(&[]).spawn().unwrap();
    let mut window = home.connect(&mut agent).await;
    assert!(!home.autostart().exists(), "nobody has signed in yet");
    let on = Prefs::default();
    let off = Prefs {
        autostart: false,
        ..on.clone()
    };
    done(set(&mut window, &off).await);
    done(set(&mut window, &on).await);
    let entry = std::fs::read_to_string(home.autostart()).unwrap();
    assert!(
        entry.contains(env!("CARGO_BIN_EXE_countersign-agent")),
        "{entry}"
    );
    done(set(&mut window, &off).await);
    assert!(!home.autostart().exists());

    // Where it cannot be done it is refused, and not preferred either.
    std::fs::remove_dir(home.path(".config/autostart")).unwrap();
    std::fs::write(home.path(".config/autostart"), "").unwrap();
    let Answer::Refused { problem } = set(&mut window, &on).await else {
        panic!("it cannot be done")
    };
    assert!(
        problem.sentence.contains("autostart"),
        "{}",
        problem.sentence
    );
    let state = window.state_where(|state| !state.prefs.autostart).await;
    assert_eq!(state.prefs, off);
    let kept = std::fs::read_to_string(home.path(".config/countersign/agent.toml")).unwrap();
    assert!(kept.contains("autostart = false"), "{kept}");
}

#[tokio::test]
async fn checks_say_how_it_is_and_diagnostics_hold_no_secret() {
    let home = Home::make();
    let mut agent = home.agent(&[]).spawn().unwrap();
    let mut window = home.connect(&mut agent).await;
    let prefs = Prefs {
        proxy: Proxy::Url {
            url: "http://elin:word@proxy.example:3128".to_owned(),
        },
        log: LogLevel::Debug,
        ..Prefs::default()
    };
    done(set(&mut window, &prefs).await);
    window.state_where(|state| state.prefs == prefs).await;
    let Answer::Done {
        reply: Reply::Checks { checks },
    } = window.ask(Call::Checks).await
    else {
        panic!("checks cannot be refused")
    };
    let found: Vec<(CheckOf, CheckState)> = checks
        .iter()
        .map(|check| (check.what, check.state))
        .collect();
    assert_eq!(
        found[..5],
        [
            (CheckOf::Connection, CheckState::Bad),
            (CheckOf::Key, CheckState::Bad),
            (CheckOf::Clock, CheckState::Care),
            (CheckOf::Autostart, CheckState::Care),
            (CheckOf::Notifications, CheckState::Bad),
        ]
    );
    assert_eq!(found[5].0, CheckOf::Sandbox);
    assert!(checks.iter().all(|check| !check.sentence.is_empty()));
    let Answer::Done {
        reply: Reply::Diagnostics { text },
    } = window.ask(Call::Diagnostics).await
    else {
        panic!("diagnostics cannot be refused")
    };
    assert!(text.contains(": ready"), "{text}");
    assert!(text.contains("log: Debug"), "{text}");
    for secret in ["word", "proxy.example", home.dir.path().to_str().unwrap()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn a_link_only_fills_in_an_address() {
    let home = Home::make();
    let mut agent = home.agent(&[]).spawn().unwrap();
    let mut window = home.connect(&mut agent).await;
    let link = "countersign://connect?server=https%3A%2F%2Fapprovals.example.com";
    let launch = home.agent(&["open", link]).output().await.unwrap();
    assert!(launch.status.success());
    assert_eq!(
        taken(&mut window).await,
        Event::Open {
            txn: None,
            activation_token: None
        }
    );
    assert_eq!(
        taken(&mut window).await,
        Event::Connect {
            server: "https://approvals.example.com".to_owned()
        }
    );

    let wrong = "countersign://connect?server=http://approvals.example.com";
    let launch = home.agent(&["open", wrong]).output().await.unwrap();
    assert_eq!(launch.status.code(), Some(1));
    let said = String::from_utf8(launch.stderr).unwrap();
    assert!(said.contains("must be https"), "{said}");
    // The agent does not believe a launch that has not looked at it either.
    let request = OpenRequest {
        txn: None,
        link: Some(wrong.to_owned()),
        activation_token: None,
    };
    let refused = open_socket::ask(&home.path("countersign/open.sock"), &request).await;
    assert!(refused.unwrap_err().to_string().contains("must be https"));
    // Neither reached the window: the next thing that it hears is the next good one.
    let other = "countersign://connect?server=https://b.example";
    assert!(
        home.agent(&["open", other])
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
    assert!(matches!(
        taken(&mut window).await,
        Event::Open { txn: None, .. }
    ));
    assert_eq!(
        taken(&mut window).await,
        Event::Connect {
            server: "https://b.example".to_owned()
        }
    );

    // The desktop knows who opens such links.
    let entry = home.path(".local/share/applications/countersign.desktop");
    while !entry.exists() {
        tokio::task::yield_now().await;
    }
    let entry = std::fs::read_to_string(entry).unwrap();
    assert!(
        entry.contains("MimeType=x-scheme-handler/countersign;"),
        "{entry}"
    );
}

#[tokio::test]
async fn where_it_is_not_kept_in_the_tray_closing_the_window_is_the_end() {
    let home = Home::make();
    std::fs::create_dir_all(home.path(".config/countersign")).unwrap();
    std::fs::write(
        home.path(".config/countersign/agent.toml"),
        "keep_in_tray = false\n",
    )
    .unwrap();
    // This window ends at once, as one does that is closed.
    let status = home.agent(&["open"]).status().await.unwrap();
    assert!(status.success(), "{status}");
}
