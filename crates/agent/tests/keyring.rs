//! Keys in a real gnome-keyring, on a private bus. The keyring's library reads the bus from the environment, so the
//! part of each test that uses it runs in a process of its own.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use countersign_agent::keyring::Keyring;
use countersign_approver::{KeyStore as _, KeyStoreError};
use futures_util::StreamExt as _;
use session::PrivateBus;
use zbus::zvariant::OwnedObjectPath;

const SECRETS: &str = "org.freedesktop.secrets";

/// A `gnome-keyring-daemon` with an unlocked default collection.
struct Daemon(Child);

impl Daemon {
    async fn start(bus: &PrivateBus) -> Self {
        let watch = bus.connect().await;
        let dbus = zbus::fdo::DBusProxy::new(&watch).await.unwrap();
        let mut arrived = dbus
            .receive_name_owner_changed_with_args(&[(0, SECRETS)])
            .await
            .unwrap();
        let mut child = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
            .env("HOME", bus.dir.path())
            .env("XDG_RUNTIME_DIR", bus.dir.path())
            .env("XDG_DATA_HOME", bus.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start gnome-keyring-daemon (Debian: gnome-keyring)");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"a password")
            .unwrap();
        arrived.next().await.unwrap();
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().expect("end gnome-keyring-daemon");
        self.0.wait().expect("reap gnome-keyring-daemon");
    }
}

/// Runs one of the ignored tests below on this bus.
fn on(bus: &PrivateBus, test: &str) {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", test])
        .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[tokio::test]
async fn keys_are_kept_found_replaced_and_forgotten() {
    let bus = PrivateBus::start();
    let _daemon = Daemon::start(&bus).await;
    on(&bus, "inside_keys_are_kept_found_replaced_and_forgotten");
}

#[test]
#[ignore = "run by the test of the same name, on a bus with a keyring"]
fn inside_keys_are_kept_found_replaced_and_forgotten() {
    let keyring = Keyring::default();
    assert_eq!(keyring.get("account"), Ok(None));
    keyring.set("account", b"first").unwrap();
    keyring.set("pending", &[0, 159, 146, 150]).unwrap();
    keyring.set("account", b"second").unwrap();
    // As after a restart.
    let keyring = Keyring::default();
    assert_eq!(keyring.get("account"), Ok(Some(b"second".to_vec())));
    assert_eq!(keyring.get("pending"), Ok(Some(vec![0, 159, 146, 150])));
    keyring.delete("account").unwrap();
    keyring.delete("account").unwrap();
    assert_eq!(keyring.get("account"), Ok(None));
}

#[tokio::test]
async fn a_locked_keyring_says_so_and_loses_nothing() {
    let bus = PrivateBus::start();
    let _daemon = Daemon::start(&bus).await;
    on(&bus, "inside_keys_are_kept_found_replaced_and_forgotten");
    let owner = bus.connect().await;
    let collections: Vec<OwnedObjectPath> = vec![
        "/org/freedesktop/secrets/aliases/default"
            .try_into()
            .unwrap(),
    ];
    let service = "org.freedesktop.Secret.Service";
    owner
        .call_method(
            Some(SECRETS),
            "/org/freedesktop/secrets",
            Some(service),
            "Lock",
            &(collections,),
        )
        .await
        .unwrap();
    on(&bus, "inside_a_locked_keyring_says_so_and_loses_nothing");
}

#[test]
#[ignore = "run by the test of the same name, on a bus with a locked keyring and nobody to show its dialog"]
fn inside_a_locked_keyring_says_so_and_loses_nothing() {
    let keyring = Keyring::default();
    let Err(KeyStoreError::Locked(sentence)) = keyring.get("pending") else {
        panic!("{:?}", keyring.get("pending"))
    };
    assert!(sentence.starts_with("The keyring is locked."), "{sentence}");
    assert!(matches!(
        keyring.set("account", b"third"),
        Err(KeyStoreError::Locked(_))
    ));
}

#[tokio::test]
async fn without_a_keyring_it_says_so_and_looks_again() {
    let bus = PrivateBus::start();
    on(&bus, "inside_without_a_keyring_it_says_so");
    let _daemon = Daemon::start(&bus).await;
    on(&bus, "inside_keys_are_kept_found_replaced_and_forgotten");
}

#[test]
#[ignore = "run by the test of the same name, on a bus without a keyring"]
fn inside_without_a_keyring_it_says_so() {
    let keyring = Keyring::default();
    let Err(KeyStoreError::Missing(sentence)) = keyring.get("account") else {
        panic!()
    };
    assert!(
        sentence.starts_with("No keyring runs in this session"),
        "{sentence}"
    );
    assert!(matches!(
        keyring.set("account", b"x"),
        Err(KeyStoreError::Missing(_))
    ));
}
