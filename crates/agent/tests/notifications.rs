//! Notifications against a real message bus: who is believed, and that what is on screen is what waits.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_agent::bus::Bus;
use countersign_agent::intent::Intent;
use countersign_agent::notify::freedesktop::Freedesktop;
use countersign_agent::notify::{
    Button, Decision, Health, Key, Notice, Notifier, Screen, Service, Stay, Urgency, Why,
};
use countersign_agent::text::catalogue::Tongue;
use countersign_api::ipc::{Ability, Choice};
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
    start_settled(bus, Duration::ZERO)
}

impl Desk {
    fn show(&self, notices: Vec<Notice>) {
        self.notifier.show(Screen {
            notices,
            ..Screen::default()
        });
    }
}

/// `settled`: so long an Approve button has to be on screen.
fn start_settled(bus: &PrivateBus, settled: Duration) -> Desk {
    let clock = Arc::new(SetClock(Mutex::new(1000)));
    let (send, intents) = mpsc::channel(8);
    let file = bus.dir.path().join("notices.json");
    Desk {
        notifier: Freedesktop::start(Bus::At(bus.address.clone()), clock, file, send, settled),
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
        reminder: false,
        buttons: Vec::new(),
        stay: Stay::UntilOver,
    }
}

fn decision(txn: &str) -> Decision {
    Decision {
        txn: txn.into(),
        display_digest: format!("of {txn}"),
    }
}

fn vote(txn: &str, choice: Choice) -> Option<Intent> {
    Some(Intent::Vote {
        txn: txn.into(),
        choice,
        display_digest: format!("of {txn}"),
    })
}

fn both(txn: &str) -> Notice {
    Notice {
        buttons: vec![Button::Deny(decision(txn)), Button::Approve(decision(txn))],
        ..notice(txn)
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

/// The person dismisses it. A late click, which opens it, tells that this was heard.
async fn dismissed(daemon: &FakeDaemon, desk: &mut Desk, id: u32, txn: &str) {
    emit(&daemon.bus, None, "NotificationClosed", &(id, 2u32)).await;
    emit(&daemon.bus, None, "ActionInvoked", &(id, "default")).await;
    assert_eq!(desk.intents.recv().await, opens(txn, None));
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
    desk.show(vec![notice("t1"), notice("t2")]);
    let Called::Notify {
        id: first,
        replaces,
        title,
        body,
        actions,
        hints,
        timeout,
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
    assert_eq!(timeout, 0, "it stays until its request is over");
    assert_eq!(
        (hints.urgency, hints.desktop_entry.as_str()),
        (1, "countersign")
    );
    assert_eq!((hints.transient, hints.resident), (false, false));
    assert_eq!(hints.sound.as_deref(), Some("message-new-instant"));
    assert_eq!(hints.image, Some((128, 128, 128 * 128 * 4)));
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
    dismissed(&daemon, &mut desk, first, "t1").await;
}

#[tokio::test]
async fn a_click_that_the_daemon_did_not_send_is_ignored() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    desk.show(vec![notice("t1"), notice("t2")]);
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
    desk.show(vec![notice("t1"), notice("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    desk.show(vec![notice("t2")]);
    assert_eq!(daemon.next().await, Called::Close { id: first });

    // A second approval comes in: the same notification, changed in place.
    let mut further = notice("t2");
    further.facts[2] = "1 of 2 approved".into();
    desk.show(vec![further.clone()]);
    let Called::Notify {
        replaces, hints, ..
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(replaces, second);
    assert!(hints.suppress_sound && hints.sound.is_none(), "{hints:?}");

    dismissed(&daemon, &mut desk, second, "t2").await;
    desk.show(vec![further, notice("t3")]);
    desk.show(vec![notice("t2"), notice("t3")]);
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
    desk.show(vec![notice("t1")]);
    let (old_id, ..) = old.notified().await;
    old.abdicate().await;
    healthy(&desk, |h| matches!(h, Health::Missing(_))).await;

    // The same id on purpose: an id means something only together with its daemon.
    let mut new = FakeDaemon::start(&bus, old_id).await;
    let (new_id, ..) = new.notified().await;
    assert_eq!(new_id, old_id);
    healthy(&desk, |h| matches!(h, Health::Working(_))).await;
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
    killed.show(vec![notice("t1")]);
    let (left, ..) = daemon.notified().await;
    // The file is written after the call; its presence is what a kill right now would leave.
    while !bus.dir.path().join("notices.json").exists() {
        tokio::task::yield_now().await;
    }
    drop(killed);
    let desk = start(&bus);
    desk.show(vec![notice("t1")]);
    assert_eq!(daemon.next().await, Called::Close { id: left });
    let (again, ..) = daemon.notified().await;
    assert_ne!(again, left);
}

#[tokio::test]
async fn without_a_daemon_it_says_so_and_catches_up_when_one_comes() {
    let bus = PrivateBus::start();
    let desk = start(&bus);
    desk.show(vec![notice("t1")]);
    healthy(&desk, |h| matches!(h, Health::Missing(_))).await;
    assert_eq!(desk.notifier.test().await, Err(Why::NoDaemon));

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
    let file = dir.path().join("notices.json");
    let notifier = Freedesktop::start(nowhere, clock, file, send, Duration::ZERO);
    notifier
        .health()
        .wait_for(|h| matches!(h, Health::Missing(_)))
        .await
        .unwrap();
    assert_eq!(notifier.test().await, Err(Why::NoBus));
}

#[tokio::test]
async fn a_button_decides_only_where_it_stands_and_only_by_the_daemon() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    let deny = Notice {
        buttons: vec![Button::Deny(decision("t2"))],
        ..notice("t2")
    };
    desk.show(vec![both("t1"), deny]);
    let Called::Notify {
        id: first, actions, ..
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(
        actions,
        ["default", "Open", "deny", "Deny", "approve", "Approve"]
    );
    let (second, ..) = daemon.notified().await;
    let target = notifier_name(&bus, &[unique_name(&daemon.bus)]).await;

    // Anybody in the session may say so; nobody but the daemon is believed.
    let forger = bus.connect().await;
    for to in [None, Some(target.as_str())] {
        for action in ["approve", "deny", "default"] {
            emit(&forger, to, "ActionInvoked", &(first, action)).await;
            emit(&forger, to, "ActionInvoked", &(second, action)).await;
        }
    }
    // The daemon says what that notification has no button for; then what it has one for.
    emit(&daemon.bus, None, "ActionInvoked", &(second, "approve")).await;
    emit(&daemon.bus, None, "ActionInvoked", &(second, "deny")).await;
    assert_eq!(desk.intents.recv().await, vote("t2", Choice::Deny));
    assert_eq!(daemon.next().await, Called::Close { id: second });
    emit(&daemon.bus, None, "ActionInvoked", &(first, "approve")).await;
    assert_eq!(desk.intents.recv().await, vote("t1", Choice::Approve));
    assert_eq!(daemon.next().await, Called::Close { id: first });

    // Said again of what has gone, it opens and decides nothing.
    emit(&daemon.bus, None, "ActionInvoked", &(first, "approve")).await;
    desk.show(vec![notice("t3")]);
    let (third, ..) = daemon.notified().await;
    emit(&daemon.bus, None, "NotificationClosed", &(third, 2u32)).await;
    emit(&daemon.bus, None, "ActionInvoked", &(third, "deny")).await;
    assert_eq!(desk.intents.recv().await, opens("t3", None));
    assert!(desk.intents.try_recv().is_err());
}

#[tokio::test]
async fn approve_under_a_pointer_that_was_about_to_click_only_opens() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    // No test is so slow.
    let mut desk = start_settled(&bus, Duration::from_secs(3600));
    desk.show(vec![both("t1"), both("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    emit(&daemon.bus, None, "ActionInvoked", &(first, "approve")).await;
    assert_eq!(desk.intents.recv().await, opens("t1", None));
    emit(&daemon.bus, None, "ActionInvoked", &(second, "deny")).await;
    assert_eq!(
        desk.intents.recv().await,
        vote("t2", Choice::Deny),
        "a deny harms nobody"
    );
}

#[tokio::test]
async fn a_reminder_comes_up_anew_even_if_it_was_dismissed_and_once() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    let reminder = |txn: &str| Notice {
        reminder: true,
        title: "Still open".into(),
        ..notice(txn)
    };
    desk.show(vec![notice("t1"), notice("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    dismissed(&daemon, &mut desk, second, "t2").await;
    desk.show(vec![reminder("t1"), reminder("t2")]);
    assert_eq!(daemon.next().await, Called::Close { id: first });
    for _ in 0..2 {
        let Called::Notify {
            replaces, hints, ..
        } = daemon.next().await
        else {
            panic!()
        };
        assert_eq!((replaces, hints.sound.is_some()), (0, true));
    }
    // Dismissed once more it stays away.
    dismissed(&daemon, &mut desk, second + 2, "t2").await;
    let mut further = reminder("t2");
    further.facts[2] = "1 of 2 approved".into();
    desk.show(vec![reminder("t1"), further, notice("t3")]);
    let (_, title, _) = daemon.notified().await;
    assert_eq!(title, notice("t3").title);
}

#[tokio::test]
async fn how_it_ended_is_said_only_in_the_place_of_what_is_on_screen() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let mut desk = start(&bus);
    let farewell = |txn: &str| Notice {
        title: "Denied by Aino Korhonen".into(),
        urgency: Urgency::Low,
        ends_at: None,
        stay: Stay::Farewell,
        ..notice(txn)
    };
    desk.show(vec![notice("t1"), notice("t2")]);
    let (first, ..) = daemon.notified().await;
    let (second, ..) = daemon.notified().await;
    dismissed(&daemon, &mut desk, second, "t2").await;
    desk.show(vec![farewell("t1"), farewell("t2")]);
    let Called::Notify {
        replaces,
        title,
        hints,
        timeout,
        ..
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(
        (replaces, title.as_str()),
        (first, "Denied by Aino Korhonen")
    );
    assert_eq!((hints.urgency, hints.transient, timeout), (0, true, 5000));
    assert!(hints.suppress_sound);
    desk.show(Vec::new());
    assert_eq!(
        daemon.next().await,
        Called::Close { id: first },
        "of the one that was dismissed nothing was said"
    );
}

#[tokio::test]
async fn the_test_tells_when_it_was_sent_and_what_the_person_saw() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::that_can(&bus, 7, &["body", "sound"]).await;
    let desk = start(&bus);
    let service = |health: &Health| match health {
        Health::Working(service) => service.clone(),
        other @ (Health::Asking | Health::Missing(_)) => panic!("{other:?}"),
    };
    healthy(&desk, |h| matches!(h, Health::Working(_))).await;
    desk.notifier.test().await.unwrap();
    let Called::Notify {
        actions,
        body,
        timeout,
        hints,
        ..
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(actions, Vec::<String>::new());
    assert!(body.ends_with("open Countersign to see it"), "{body}");
    assert_eq!((timeout, hints.transient), (5000, true));
    let told = service(&desk.notifier.health().borrow());
    let Service {
        name,
        version,
        can,
        held,
        test,
    } = told;
    assert_eq!(
        (name.as_str(), version.as_str(), held),
        ("fake", "1", false)
    );
    assert_eq!(can, [Ability::Body, Ability::Urgency, Ability::Sound]);
    let test = test.unwrap();
    assert_eq!((test.at, test.seen), (1000, None));
    desk.notifier.test_seen(false);
    healthy(&desk, |h| service(h).test.unwrap().seen == Some(false)).await;
    // A second one asks again.
    desk.notifier.test().await.unwrap();
    assert_eq!(daemon.next().await, Called::Close { id: 7 });
    daemon.notified().await;
    healthy(&desk, |h| service(h).test.unwrap().seen.is_none()).await;
}

#[tokio::test]
async fn a_desktop_that_holds_everything_back_is_noticed() {
    let bus = PrivateBus::start();
    let daemon = FakeDaemon::start(&bus, 7).await;
    let desk = start(&bus);
    let held = |h: &Health| matches!(h, Health::Working(service) if service.held);
    let free = |h: &Health| matches!(h, Health::Working(service) if !service.held);
    healthy(&desk, free).await;
    daemon.inhibit(true).await;
    healthy(&desk, held).await;
    daemon.inhibit(false).await;
    healthy(&desk, free).await;
}

#[tokio::test]
async fn silence_and_german_are_kept() {
    let bus = PrivateBus::start();
    let mut daemon = FakeDaemon::start(&bus, 7).await;
    let desk = start(&bus);
    desk.notifier.show(Screen {
        notices: vec![both("t1")],
        sound: false,
        tongue: Tongue::De,
    });
    let Called::Notify {
        actions,
        body,
        hints,
        ..
    } = daemon.next().await
    else {
        panic!()
    };
    assert_eq!(
        actions,
        [
            "default",
            "Öffnen",
            "deny",
            "Ablehnen",
            "approve",
            "Genehmigen"
        ]
    );
    assert!(body.ends_with("noch 9 Minuten"), "{body}");
    assert!(hints.suppress_sound && hints.sound.is_none());
}
