//! The desktop of the other tests is a real one: its notification daemon shows what it is told, and a pointer's click
//! on the bubble comes back as an action.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use countersign_tests::desktop::{Daemon, Desktop};
use countersign_tests::owned::Processes;
use countersign_tests::person::Person;
use futures_util::StreamExt as _;
use zbus::zvariant::Value;

/// How long the daemon, and eyes, may take.
const SOON: Duration = Duration::from_secs(60);

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications"
)]
trait Notifications {
    #[expect(clippy::too_many_arguments, reason = "the desktop's own interface")]
    fn notify(
        &self,
        app: &str,
        replaces: u32,
        icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expire_millis: i32,
    ) -> zbus::Result<u32>;
    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action: &str) -> zbus::Result<()>;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_on_a_bubble_comes_back_as_an_action() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let desktop = Desktop::start(
        &mut processes,
        state.path(),
        &Person::named("elin"),
        Daemon::Xfce,
    )
    .unwrap();
    let bus = zbus::connection::Builder::address(desktop.bus())
        .unwrap()
        .build()
        .await
        .unwrap();
    let daemon = NotificationsProxy::new(&bus).await.unwrap();
    let mut clicks = daemon.receive_action_invoked().await.unwrap();
    let actions = ["default", "Open", "later", "Later"];
    let id = daemon
        .notify(
            "test",
            0,
            "",
            "Customer 42 waits",
            "Somebody asks for a signature",
            &actions,
            HashMap::new(),
            0,
        )
        .await
        .unwrap();
    let picture = state.path().join("seen.png");
    let seen = desktop
        .look_until(&picture, "the notification", SOON, |sight| {
            sight.shows("Customer 42 waits") && sight.shows("Open")
        })
        .unwrap();
    // This daemon draws the default action as a button; a click beside it would only dismiss.
    desktop.click(seen.find("Open").unwrap()).unwrap();
    let click = tokio::time::timeout(SOON, clicks.next())
        .await
        .unwrap()
        .unwrap();
    let click = click.args().unwrap();
    assert_eq!((click.id, click.action), (id, "default"));
}
