//! The whole agent as a process, on a private message bus: tray, second launch, the window's socket, and its end.
//! Signed out: what needs a server is tested with one, in the workspace's own tests.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Stdio;

use countersign_agent::frames;
use countersign_api::ipc::{
    self, Answer, Call, Connection, Event, Notifications, ProblemCode, Reply, Sandbox, State, Tray,
};
use session::client::Client;
use session::{Called, FakeDaemon, PrivateBus};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use zbus::zvariant::{OwnedValue, Value};

/// A person's folders, and a window program that lives until it is told to end.
struct Home {
    dir: tempfile::TempDir,
    window: PathBuf,
    end_window: PathBuf,
}

/// Waits to be told how to end.
const WAITS: &str = "read code < \"$home/end-window\"; exit $code";
/// The same, and says first that it has begun.
const TELLS_AND_WAITS: &str =
    "echo begun > \"$home/begun\"; read code < \"$home/end-window\"; exit $code";

impl Home {
    fn make() -> Self {
        Self::with_window(WAITS)
    }

    fn with_window(does: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let home = Self {
            window: dir.path().join("window"),
            end_window: dir.path().join("end-window"),
            dir,
        };
        for fifo in ["end-window", "begun"] {
            home.shell(&format!("mkfifo \"$home/{fifo}\""));
        }
        home.program("window", does);
        home
    }

    /// Not written by this process: one that is started meanwhile by another test would hold it open for a moment, and a
    /// program that somebody may write to does not start.
    fn program(&self, name: &str, does: &str) {
        self.shell(&format!(
            "cat > \"$home/{name}\" <<'END'\n#!/bin/sh\nhome={}\n{does}\nEND\nchmod 700 \"$home/{name}\"",
            self.dir.path().display()
        ));
    }

    fn shell(&self, does: &str) {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-ec", does]).env("home", self.dir.path());
        assert!(shell.status().unwrap().success(), "{does}");
    }

    /// As [`Home::agent`], where bubblewrap seems to work when it is tried out, and with a window does this.
    fn agent_with_bubblewrap(&self, bus: &PrivateBus, does: &str, arguments: &[&str]) -> Command {
        self.program(
            "bwrap",
            &format!("case \"$*\" in *countersign-window*) ;; *) exit 0 ;; esac\n{does}"),
        );
        let path = std::env::var("PATH").unwrap();
        let mut agent = self.agent(bus, arguments);
        agent
            .env_remove("TAURI_WEBVIEW_AUTOMATION")
            .env("PATH", format!("{}:{path}", self.dir.path().display()));
        agent
    }

    /// Waits until the program that tells so has begun.
    async fn begun(&self) {
        let begun = self.dir.path().join("begun");
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(begun));
        assert_eq!(read.await.unwrap().unwrap(), "begun\n");
    }

    fn agent(&self, bus: &PrivateBus, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
            // The window here is ended by a file, which one that is shut in could not reach.
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .args(arguments)
            .arg("--window")
            .arg(&self.window)
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn connect(&self, agent: &mut Child) -> Client {
        let socket = self.dir.path().join("countersign/window.sock");
        Client::connect(&socket, agent).await
    }

    /// Ends the window's program with this exit code.
    async fn end_window(&self, code: u8) {
        let fifo = self.end_window.clone();
        tokio::task::spawn_blocking(move || std::fs::write(fifo, format!("{code}\n")))
            .await
            .unwrap()
            .unwrap();
    }
}

impl Drop for Home {
    /// A window that still waits ends with its home: left behind, it would hold the test's standard output open.
    fn drop(&mut self) {
        let waiting = std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.end_window);
        // Nobody reads: no window waits.
        if let Ok(mut fifo) = waiting {
            fifo.write_all(b"0\n").unwrap();
        }
    }
}

/// The desktop's list of tray icons.
struct Watcher {
    registered: mpsc::UnboundedSender<String>,
}

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String) {
        self.registered.send(service).expect("the test listens");
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }
}

/// A tray with our icon in it.
struct Panel {
    bus: zbus::Connection,
    icon: String,
}

type Layout = (
    i32,
    std::collections::HashMap<String, OwnedValue>,
    Vec<OwnedValue>,
);

impl Panel {
    async fn call<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> zbus::Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.bus
            .call_method(
                Some(self.icon.as_str()),
                path,
                Some(interface),
                method,
                body,
            )
            .await
            .unwrap()
    }

    /// The menu's entries: id and label.
    async fn menu(&self) -> Vec<(i32, String)> {
        let no_names: Vec<String> = Vec::new();
        let reply = self
            .call(
                "/MenuBar",
                "com.canonical.dbusmenu",
                "GetLayout",
                &(0, -1, no_names),
            )
            .await;
        let body = reply.body();
        let (_, (_, _, children)): (u32, Layout) = body.deserialize().unwrap();
        children
            .into_iter()
            .map(|child| {
                let (id, properties, _): Layout = child.try_into().unwrap();
                let label = properties
                    .get("label")
                    .map(|v| String::try_from(v.clone()).unwrap());
                (id, label.unwrap_or_default())
            })
            .collect()
    }

    async fn click(&self, label: &str) {
        let menu = self.menu().await;
        let (id, _) = menu
            .iter()
            .find(|(_, is)| is == label)
            .unwrap_or_else(|| panic!("{menu:?} has no {label}"));
        let body = (*id, "clicked", Value::from(0i32), 0u32);
        self.call("/MenuBar", "com.canonical.dbusmenu", "Event", &body)
            .await;
    }
}

async fn panel(bus: &PrivateBus) -> (zbus::Connection, mpsc::UnboundedReceiver<String>) {
    let connection = bus.connect().await;
    let (registered, icons) = mpsc::unbounded_channel();
    connection
        .object_server()
        .at("/StatusNotifierWatcher", Watcher { registered })
        .await
        .unwrap();
    connection
        .request_name("org.kde.StatusNotifierWatcher")
        .await
        .unwrap();
    (connection, icons)
}

async fn ended(mut child: Child) -> i32 {
    child.wait().await.unwrap().code().unwrap()
}

#[tokio::test]
async fn tray_second_launch_window_and_end() {
    let bus = PrivateBus::start();
    let home = Home::make();
    let mut daemon = FakeDaemon::start(&bus, 1).await;
    let (watcher, mut icons) = panel(&bus).await;
    let mut agent = home
        .agent(&bus, &["run", "--server", "https://approvals.example"])
        .spawn()
        .unwrap();
    let panel = Panel {
        bus: watcher,
        icon: icons.recv().await.unwrap(),
    };
    let labels: Vec<String> = panel
        .menu()
        .await
        .into_iter()
        .map(|(_, label)| label)
        .collect();
    assert_eq!(
        labels,
        [
            "Signed out: nothing can reach you",
            "",
            "Pause for an hour",
            "Pause until resumed",
            "",
            "Open Countersign",
            "Quit"
        ]
    );

    // A second agent steps back; a second launch opens the window of the first, and ends when that has come.
    assert_eq!(
        home.agent(&bus, &["run"]).status().await.unwrap().code(),
        Some(3)
    );
    // (The window is this test: connected before, so that none is started.)
    let mut window = home.connect(&mut agent).await;
    let second = home
        .agent(&bus, &["open", "t1"])
        .env("XDG_ACTIVATION_TOKEN", "proof")
        .spawn()
        .unwrap();
    let open = window
        .event(|event| matches!(event, Event::Open { .. }))
        .await;
    assert_eq!(
        open,
        Event::Open {
            txn: Some("t1".into()),
            activation_token: Some("proof".into())
        }
    );
    assert_eq!(ended(second).await, 0);

    let works = |state: &State| matches!(&state.notifications, Notifications::Working { daemon, .. } if daemon == "fake");
    let state = window
        .state_where(|state| works(state) && state.tray == Tray::Shown)
        .await;
    assert_eq!(state.connection, Connection::SignedOut);
    assert_eq!(
        state.suggested_server.as_deref(),
        Some("https://approvals.example")
    );
    assert_eq!(state.troubles, []);
    assert!(matches!(
        window.ask(Call::TestNotification).await,
        Answer::Done {
            reply: Reply::Nothing
        }
    ));
    let Called::Notify { title, .. } = daemon.next().await else {
        panic!()
    };
    assert_eq!(title, "Countersign: a test");
    let Answer::Refused { problem } = window.ask_as(ipc::VERSION + 1, Call::State).await else {
        panic!()
    };
    assert_eq!(problem.code, ProblemCode::Version);
    let Answer::Refused { problem } = window.ask(Call::Card { txn: "t1".into() }).await else {
        panic!()
    };
    assert_eq!(problem.code, ProblemCode::SignedOut);

    // The tray takes the same window, and one window it stays.
    panel.click("Open Countersign").await;
    window
        .event(|event| matches!(event, Event::Open { txn: None, .. }))
        .await;
    let mut another = home.connect(&mut agent).await;
    assert_eq!(another.frame().await, None);

    panel.click("Quit").await;
    window.event(|event| matches!(event, Event::Goodbye)).await;
    drop(window);
    assert_eq!(
        daemon.next().await,
        Called::Close { id: 1 },
        "what is on screen is taken back"
    );
    assert_eq!(ended(agent).await, 0);
}

#[tokio::test]
async fn a_window_that_dies_is_noticed_and_started_anew() {
    let bus = PrivateBus::start();
    let home = Home::make();
    let mut daemon = FakeDaemon::start(&bus, 1).await;
    let (_watcher, mut icons) = panel(&bus).await;
    let mut agent = home.agent(&bus, &["run"]).spawn().unwrap();
    icons.recv().await.unwrap();

    // No display: the second launch says so, and so does a notification.
    let second = home
        .agent(&bus, &["open"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    home.end_window(3).await;
    let second = second.wait_with_output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("There is no display to open the window on."),
        "{said}"
    );
    let (id, title, body) = daemon.notified().await;
    assert_eq!(title, "Countersign has no window");
    assert!(body.starts_with("There is no display"), "{body}");

    // Clicking it tries again; a window that comes takes the notification away.
    session::emit(&daemon.bus, None, "ActionInvoked", &(id, "default")).await;
    assert_eq!(daemon.next().await, Called::Close { id });
    let mut window = home.connect(&mut agent).await;
    window
        .event(|event| matches!(event, Event::Open { .. }))
        .await;

    // A frame that is none ends the connection, not the agent.
    frames::write(
        &mut window.write,
        &"approve everything",
        ipc::MAX_FRAME_BYTES,
    )
    .await
    .unwrap();
    while window.frame().await.is_some() {}
    let mut window = home.connect(&mut agent).await;
    assert_eq!(window.state().await.connection, Connection::SignedOut);
}

#[tokio::test]
async fn without_a_desktop_it_runs_and_says_what_is_missing() {
    let bus = PrivateBus::start();
    let home = Home::make();
    let mut agent = home.agent(&bus, &["run"]).spawn().unwrap();
    let mut window = home.connect(&mut agent).await;
    let opener = home.agent(&bus, &["open"]).spawn().unwrap();
    let state = window
        .state_where(|state| state.tray == Tray::NoHost && !state.troubles.is_empty())
        .await;
    let Notifications::Missing { why: sentence } = &state.notifications else {
        panic!("{:?}", state.notifications)
    };
    assert_eq!(state.troubles[0].sentence, *sentence);
    assert!(
        sentence.starts_with("No notification service runs on this desktop"),
        "{sentence}"
    );
    assert_eq!(ended(opener).await, 0);
}

#[tokio::test]
async fn what_is_set_wrongly_is_said_in_one_sentence() {
    let bus = PrivateBus::start();
    let home = Home::make();
    let refused = home
        .agent(&bus, &["run"])
        .env_remove("XDG_RUNTIME_DIR")
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.starts_with("countersign-agent: XDG_RUNTIME_DIR is not set"),
        "{said}"
    );

    let config = home.dir.path().join(".config/countersign");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("agent.toml"), "colour = \"red\"\n").unwrap();
    let refused = home
        .agent(&bus, &["run"])
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("agent.toml") && said.contains("colour"),
        "{said}"
    );
}

#[tokio::test]
async fn a_window_that_does_not_come_shut_in_is_started_open_and_the_state_says_so() {
    let bus = PrivateBus::start();
    let home = Home::with_window(TELLS_AND_WAITS);
    let mut agent = home
        .agent_with_bubblewrap(&bus, "exit 1", &["open"])
        .spawn()
        .unwrap();
    home.begun().await;
    let mut window = home.connect(&mut agent).await;
    window
        .event(|event| matches!(event, Event::Open { .. }))
        .await;
    let Sandbox::Off { why } = window.state().await.sandbox else {
        panic!("it is not shut in")
    };
    assert!(why.contains("started without"), "{why}");
}

#[tokio::test]
async fn a_window_that_came_shut_in_and_dies_is_not_started_open() {
    let bus = PrivateBus::start();
    // What it has been told may have been meant to make it die.
    let home = Home::with_window("exit 9");
    let mut agent = home
        .agent_with_bubblewrap(&bus, TELLS_AND_WAITS, &["open"])
        .spawn()
        .unwrap();
    home.begun().await;
    let mut window = home.connect(&mut agent).await;
    window
        .event(|event| matches!(event, Event::Open { .. }))
        .await;
    home.end_window(5).await;
    let state = window
        .state_where(|state| {
            let mut troubles = state.troubles.iter();
            troubles.any(|trouble| trouble.sentence.starts_with("The window stopped"))
        })
        .await;
    let mut troubles = state.troubles.iter();
    assert!(
        troubles.any(|trouble| trouble.sentence.contains("(code 5)")),
        "{:?}",
        state.troubles
    );
    assert_eq!(state.sandbox, Sandbox::On);
}
