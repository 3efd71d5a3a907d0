//! Notifications at the daemons that people have: dunst and Xfce's. What a small fake daemon says exactly is tested in
//! `notifications.rs`; here it is what real ones make of it, and that they may die and come back.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_agent::bus::Bus;
use countersign_agent::intent::Intent;
use countersign_agent::notify::freedesktop::Freedesktop;
use countersign_agent::notify::{
    Button, Decision, Health, Key, Notice, Notifier, Screen, Service, Stay, Urgency, Why,
};
use countersign_api::ipc::{Ability, Choice};
use countersign_model::UnixSecs;
use session::{PrivateBus, SetClock};
use tokio::sync::mpsc;

/// A program that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("end it");
        self.0.wait().expect("reap it");
    }
}

/// A bus, a display, and the notifier under test.
struct Desktop {
    bus: PrivateBus,
    display: String,
    notifier: Freedesktop,
    intents: mpsc::Receiver<Intent>,
    _screen: Running,
}

impl Desktop {
    fn start() -> Self {
        let mut screen = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24"])
            .args(["-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start Xvfb (Debian: xvfb)");
        let mut number = String::new();
        BufReader::new(screen.stdout.take().unwrap())
            .read_line(&mut number)
            .unwrap();
        let bus = PrivateBus::start();
        let (send, intents) = mpsc::channel(8);
        let notifier = Freedesktop::start(
            Bus::At(bus.address.clone()),
            Arc::new(SetClock(Mutex::new(1000))),
            bus.dir.path().join("notices.json"),
            send,
            Duration::ZERO,
        );
        Self {
            bus,
            display: format!(":{}", number.trim()),
            notifier,
            intents,
            _screen: Running(screen),
        }
    }

    /// A program of this desktop, with nothing of the tester's own.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let home = self.bus.dir.path();
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus.address)
            .env("DISPLAY", &self.display)
            .env("NO_AT_BRIDGE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Running {
        let mut command = self.command(program);
        Running(
            command
                .args(arguments)
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    async fn healthy(&self, is: impl Fn(&Health) -> bool) -> Health {
        let mut health = self.notifier.health();
        health.wait_for(|health| is(health)).await.unwrap().clone()
    }

    async fn daemon(&self) -> Service {
        match self
            .healthy(|health| matches!(health, Health::Working(_)))
            .await
        {
            Health::Working(service) => service,
            other @ (Health::Asking | Health::Missing(_)) => panic!("{other:?}"),
        }
    }

    async fn nobody(&self) {
        self.healthy(|health| *health == Health::Missing(Why::NoDaemon))
            .await;
    }

    fn show(&self, notices: Vec<Notice>) {
        self.notifier.show(Screen {
            notices,
            ..Screen::default()
        });
    }

    fn dunstctl(&self, arguments: &[&str]) -> String {
        let output = self.command("dunstctl").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Until dunst has drawn so many: it does so in its own time.
    async fn displayed(&self, count: &str) {
        while self.dunstctl(&["count", "displayed"]) != count {
            tokio::task::yield_now().await;
        }
    }
}

fn notice(txn: &str, buttons: Vec<Button>) -> Notice {
    Notice {
        key: Key::Request(txn.into()),
        opens: Some(txn.into()),
        title: "Mara Lindqvist: delete customer 42".into(),
        facts: vec!["orders-api".into(), "0 of 2 approved".into()],
        ends_at: Some(UnixSecs(1599)),
        urgency: Urgency::Normal,
        stands_for: 1,
        reminder: false,
        buttons,
        stay: Stay::UntilOver,
    }
}

fn both(txn: &str) -> Vec<Button> {
    let decision = Decision {
        txn: txn.into(),
        display_digest: "shown".into(),
    };
    vec![Button::Deny(decision.clone()), Button::Approve(decision)]
}

/// dunst, whose menu is answered by taking the first line that names `choice`.
fn dunst(desktop: &Desktop, choice: &str) -> Running {
    let folder = desktop.bus.dir.path();
    let menu = folder.join("menu");
    std::fs::write(&menu, format!("#!/bin/sh\nexec grep -m1 '{choice}'\n")).unwrap();
    std::fs::set_permissions(&menu, std::fs::Permissions::from_mode(0o700)).unwrap();
    let config = folder.join("dunstrc");
    let text = format!("[global]\n    dmenu = {}\n", menu.display());
    std::fs::write(&config, text).unwrap();
    desktop.run("dunst", &["-conf", config.to_str().unwrap()])
}

#[tokio::test]
async fn dunst_shows_clicks_and_goes_without_losing_anything() {
    let mut desktop = Desktop::start();
    desktop.show(vec![notice("t1", both("t1"))]);
    desktop.nobody().await;
    let first = dunst(&desktop, "Deny");
    let service = desktop.daemon().await;
    assert_eq!(service.name, "dunst");
    assert_eq!(
        service.can,
        [Ability::Body, Ability::Actions, Ability::Urgency]
    );
    desktop.displayed("1").await;

    // Its own "do not disturb" is noticed.
    desktop.dunstctl(&["set-paused", "true"]);
    let held = |health: &Health| matches!(health, Health::Working(service) if service.held);
    desktop.healthy(held).await;
    desktop.dunstctl(&["set-paused", "false"]);
    desktop.healthy(|health| !held(health)).await;
    desktop.displayed("1").await;

    // It dies, and another comes: the notification is there again, and its buttons work.
    drop(first);
    desktop.nobody().await;
    let _second = dunst(&desktop, "Deny");
    desktop.daemon().await;
    desktop.displayed("1").await;
    desktop.dunstctl(&["context"]);
    let decided = Intent::Vote {
        txn: "t1".into(),
        choice: Choice::Deny,
        display_digest: "shown".into(),
    };
    assert_eq!(desktop.intents.recv().await, Some(decided));
    desktop.displayed("0").await;

    // The notification itself opens.
    desktop.show(vec![notice("t2", Vec::new())]);
    desktop.displayed("1").await;
    desktop.dunstctl(&["action"]);
    let opened = Intent::Open {
        txn: Some("t2".into()),
        activation_token: None,
    };
    assert_eq!(desktop.intents.recv().await, Some(opened));

    // Withdrawn, it is gone from the screen.
    desktop.show(vec![notice("t3", Vec::new())]);
    desktop.displayed("1").await;
    desktop.show(Vec::new());
    desktop.displayed("0").await;
}

#[tokio::test]
async fn the_daemon_of_xfce_takes_what_is_sent_and_may_die() {
    let desktop = Desktop::start();
    desktop.nobody().await;
    let program = xfce_notifyd();
    let first = desktop.run(&program, &[]);
    let service = desktop.daemon().await;
    assert_eq!(service.name, "Xfce Notify Daemon");
    assert!(service.can.contains(&Ability::Actions), "{service:?}");
    desktop.notifier.test().await.unwrap();
    let tested = |health: &Health| matches!(health, Health::Working(Service { test: Some(_), .. }));
    desktop.healthy(tested).await;
    drop(first);
    desktop.nobody().await;
    assert_eq!(desktop.notifier.test().await, Err(Why::NoDaemon));
    let _second = desktop.run(&program, &[]);
    let service = desktop.daemon().await;
    assert_eq!(service.test, None, "what the other one showed says nothing");
    desktop.notifier.test().await.unwrap();
}

fn xfce_notifyd() -> PathBuf {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let places = [
        format!("/usr/lib/{triple}/xfce4/notifyd/xfce4-notifyd"),
        "/usr/lib/xfce4/notifyd/xfce4-notifyd".to_owned(),
    ];
    let mut places = places.into_iter().map(PathBuf::from);
    places
        .find(|path| path.is_file())
        .expect("xfce4-notifyd is installed")
}
