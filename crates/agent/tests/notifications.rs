//! Notifications against a real message bus: who is believed, and that what is on screen is what waits.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::sync::{Arc, Mutex};

use countersign_agent::bus::Bus;
use countersign_agent::intent::Intent;
use countersign_agent::notify::freedesktop::Freedesktop;
use countersign_agent::notify::{Health, Key, Notice, Notifier, Urgency};
use countersign_model::UnixSecs;
use session::{Called, FakeDaemon, PrivateBus, SetClock, emit};
use tokio::sync::mpsc;
use zbus::Connection;

/// The notifier under test, on a private bus.
struct Desk {
    notifier: Freedesktop,
    intents: mpsc::Receiver<Intent>,
}

fn start(bus: &PrivateBus) -> Desk {
    let clock = Arc::new(SetClock(Mutex::new(1000)));
    let (send, intents) = mpsc::channel(8);
    let file = bus.dir.path().join("notices.json");
    Desk {
        notifier: Freedesktop::start(Bus::At(bus.address.clone()), clock, file, send),
        intents,
    }
}

fn notice(txn: &str) -> Notice {
    Notice {
        key: Key::Request(txn.into()),
        opens: Some(txn.into()),
        title: "Mara Lindqvist: delete customer 42".into(),
        facts: vec![
            "orders-api".into(),
            "a <b>bold</b> group".into(),
            "0 of 2 approved".into(),
        ],
        ends_at: Some(UnixSecs(1000 + 599)),
        urgency: Urgency::Normal,
        stands_for: 1,
    }
}

fn opens(txn: &str, token: Option<&str>) -> Option<Intent> {
    Some(Intent::Open {
        txn: Some(txn.into()),
        activation_token: token.map(Into::into),
    })
}

async fn healthy(desk: &Desk, is: impl Fn(&Health) -> bool) {
    desk.notifier
        .health()
        .wait_for(|health| is(health))
        .await
        .unwrap();
}

fn unique_name(bus: &Connection) -> String {
    bus.unique_name().unwrap().to_string()
}

/// Who the notifier is on the bus: the one who owns neither a name nor is the test's own.
async fn notifier_name(bus: &PrivateBus, known: &[String]) -> String {
    let test = bus.connect().await;
    let names = zbus::fdo::DBusProxy::new(&test)
        .await
        .unwrap()
        .list_names()
        .await
        .unwrap();
    let own = unique_name(&test);
    let mut others = names
        .iter()
        .map(|name| name.to_string())
        .filter(|name| name.starts_with(':') && *name != own && !known.contains(name));
    let name = others.next().unwrap();
    assert_eq!(others.next(), None);
    name
}

#[tokio::test]
async fn a_click_opens_exactly_its_request() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    desk.notifier.show(vec![notice("t1"), notice("t2")]);
    let Called::Notify {
        id: first,
        replaces,
        title,
        body,
        actions,
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(
        (replaces, title.as_str()),
        (0, "Mara Lindqvist: delete customer 42")
    );
    assert_eq!(
        body,
        "orders-api · a &lt;b&gt;bold&lt;/b&gt; group · 0 of 2 approved · 9 minutes left"
    );
    assert_eq!(actions, ["default", "Open"]);
    let (second, ..) = daemon.notified().await;

    emit(&daemon.bus, None, "ActivationToken", &(second, "proof")).await;
    emit(&daemon.bus, None, "ActionInvoked", &(second, "default")).await;
    assert_eq!(desk.intents.recv().await, opens("t2", Some("proof")));
    assert_eq!(
        daemon.next().await,
        Called::Close { id: second },
        "a click takes it away on every daemon"
    );

    // Some daemons close first and tell the click afterwards.
    emit(&daemon.bus, None, "NotificationClosed", &(first, 2u32)).await;
    emit(&daemon.bus, None, "ActionInvoked", &(first, "default")).await;
    assert_eq!(desk.intents.recv().await, opens("t1", None));
}

#[tokio::test]
async fn a_click_that_the_daemon_did_not_send_is_ignored() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    desk.notifier.show(vec![notice("t1"), notice("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    let target = notifier_name(&bus, &[unique_name(&daemon.bus)]).await;

    let forger = bus.connect().await;
    for to in [None, Some(target.as_str())] {
        emit(&forger, to, "ActionInvoked", &(first, "default")).await;
        emit(&forger, to, "ActionInvoked", &(first, "approve")).await;
        emit(&forger, to, "NotificationClosed", &(first, 2u32)).await;
    }
    emit(&daemon.bus, None, "ActionInvoked", &(second, "default")).await;
    assert_eq!(
        desk.intents.recv().await,
        opens("t2", None),
        "the forged clicks before it opened nothing"
    );

    // The forged "closed" did not count either: the first still opens.
    emit(&daemon.bus, None, "ActionInvoked", &(first, "default")).await;
    assert_eq!(desk.intents.recv().await, opens("t1", None));
    assert!(desk.intents.try_recv().is_err());
}

#[tokio::test]
async fn what_is_decided_elsewhere_goes_away_and_what_is_dismissed_stays_away() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 1).await;
    let mut desk = start(&bus);
    desk.notifier.show(vec![notice("t1"), notice("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    desk.notifier.show(vec![notice("t2")]);
    assert_eq!(daemon.next().await, Called::Close { id: first });

    // A second approval comes in: the same notification, changed in place.
    let mut further = notice("t2");
    further.facts[2] = "1 of 2 approved".into();
    desk.notifier.show(vec![further.clone()]);
    let Called::Notify { replaces, .. } = daemon.next().await else {
        panic!()
    };
    assert_eq!(replaces, second);

    emit(&daemon.bus, None, "NotificationClosed", &(second, 2u32)).await;
    // A late click on it tells that its closing was heard.
    emit(&daemon.bus, None, "ActionInvoked", &(second, "default")).await;
    assert_eq!(desk.intents.recv().await, opens("t2", None));
    desk.notifier.show(vec![further, notice("t3")]);
    desk.notifier.show(vec![notice("t2"), notice("t3")]);
    let (third, ..) = daemon.notified().await;
    desk.notifier.end().await;
    assert_eq!(
        daemon.next().await,
        Called::Close { id: third },
        "only the third was on screen"
    );
}

#[tokio::test]
async fn a_new_daemon_gets_everything_anew_and_the_old_one_is_believed_no_more() {
    let bus = PrivateBus::start();
    let mut old = FakeDaemon::start(&bus, 1).await;
    let mut desk = start(&bus);
    desk.notifier.show(vec![notice("t1")]);
    let (old_id, ..) = old.notified().await;
    old.abdicate().await;
    healthy(&desk, |h| matches!(h, Health::Missing { .. })).await;

    // The same id on purpose: an id means something only together with its daemon.
    let mut new = FakeDaemon::start(&bus, old_id).await;
    let (new_id, ..) = new.notified().await;
    assert_eq!(new_id, old_id);
    healthy(&desk, |h| {
        *h == Health::Working {
            daemon: "fake".into(),
        }
    })
    .await;
    emit(&old.bus, None, "ActionInvoked", &(old_id, "default")).await;
    emit(&new.bus, None, "ActivationToken", &(new_id, "from the new")).await;
    emit(&new.bus, None, "ActionInvoked", &(new_id, "default")).await;
    assert_eq!(desk.intents.recv().await, opens("t1", Some("from the new")));
    assert!(desk.intents.try_recv().is_err());
}

#[tokio::test]
async fn what_a_killed_agent_left_on_screen_is_taken_back() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 40).await;
    let killed = start(&bus);
    killed.notifier.show(vec![notice("t1")]);
    let (left, ..) = daemon.notified().await;
    // The file is written after the call; its presence is what a kill right now would leave.
    while !bus.dir.path().join("notices.json").exists() {
        tokio::task::yield_now().await;
    }
    drop(killed);
    let desk = start(&bus);
    desk.notifier.show(vec![notice("t1")]);
    assert_eq!(daemon.next().await, Called::Close { id: left });
    let (again, ..) = daemon.notified().await;
    assert_ne!(again, left);
}

#[tokio::test]
async fn without_a_daemon_it_says_so_and_catches_up_when_one_comes() {
    let bus = PrivateBus::start();
    let desk = start(&bus);
    desk.notifier.show(vec![notice("t1")]);
    healthy(&desk, |h| matches!(h, Health::Missing { .. })).await;
    let problem = desk.notifier.test().await.unwrap_err();
    assert!(
        problem
            .sentence
            .starts_with("No notification service runs on this desktop"),
        "{}",
        problem.sentence
    );

    let mut daemon = FakeDaemon::start(&bus, 1).await;
    let (_, title, _) = daemon.notified().await;
    assert_eq!(title, "Mara Lindqvist: delete customer 42");
    desk.notifier.test().await.unwrap();
    let (_, title, _) = daemon.notified().await;
    assert_eq!(title, "Countersign: a test");
}

#[tokio::test]
async fn without_a_bus_it_says_so() {
    let clock = Arc::new(SetClock(Mutex::new(1000)));
    let dir = tempfile::tempdir().unwrap();
    let (send, _intents) = mpsc::channel(8);
    let nowhere = Bus::At(format!("unix:path={}/none", dir.path().display()));
    let notifier = Freedesktop::start(nowhere, clock, dir.path().join("notices.json"), send);
    notifier
        .health()
        .wait_for(|h| matches!(h, Health::Missing { .. }))
        .await
        .unwrap();
    let problem = notifier.test().await.unwrap_err();
    assert!(
        problem.sentence.starts_with("This session has no D-Bus"),
        "{}",
        problem.sentence
    );
}
