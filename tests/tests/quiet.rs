//! What a person asked for quiet about, with the built agent and a notification daemon as people have it: it comes
//! silently, waits in the inbox all the same, and is told when the quiet ends.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Call, Notifications};
use countersign_tests::desktop::Daemon;
use countersign_tests::seat::Seat;
use countersign_tests::stage::{Stage, Whose};

const DELETE: &str = "delete customer 42";
const PRICE: &str = "update price of A-100";
/// What the daemon is asked to show, as the bus carries it.
const SHOWN: &str = "type='method_call',interface='org.freedesktop.Notifications',member='Notify'";

#[test]
fn what_is_paused_or_muted_comes_silently_and_is_told_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(folder.path(), Whose::Made(Daemon::Dunst)).unwrap();
    let mut monitor = stage.command("dbus-monitor");
    monitor.args(["--session", SHOWN]);
    stage.processes.spawn("shown", &mut monitor).unwrap();
    // It loses its name when it becomes a monitor.
    stage.processes.until_said("shown", "NameLost", 1).unwrap();
    stage.start_agent().unwrap();
    let mut seat = Seat::take(stage.desktop.as_ref().unwrap().runtime()).unwrap();
    let displays = |stage: &Stage, count: usize| {
        let desktop = stage.desktop.as_ref().unwrap();
        desktop.dunst_displays(count).unwrap();
    };
    seat.sign_in(&stage.server_url, &stage.op.issuer).unwrap();
    seat.until("dunst", |state| {
        let working = matches!(&state.notifications, Notifications::Working { daemon, .. } if daemon == "dunst");
        working.then_some(())
    })
    .unwrap();

    seat.ask(Call::Pause { secs: None }).unwrap();
    let line = stage.curl("-X DELETE", "/customers/42");
    stage.types("mara", "mara-deletes", &line).unwrap();
    let txn = seat.until("the request", |state| {
        let waits = state.inbox.first().map(|row| row.txn.clone());
        waits.filter(|_| state.paused.is_some())
    });
    let txn = txn.unwrap();
    assert!(!stage.processes.said("shown").contains(DELETE));
    seat.ask(Call::Resume).unwrap();
    stage.processes.until_said("shown", DELETE, 1).unwrap();
    displays(&stage, 1);

    seat.ask(Call::Mute { txn, secs: 3600 }).unwrap();
    displays(&stage, 0);
    let more = "-X PUT -H 'Content-Type: application/json' -d '{\"cents\":2490}' -H 'Prefer: respond-async'";
    let line = stage.curl(more, "/prices/A-100");
    let (code, said) = stage.types_and_waits("mara", "mara-asks", &line).unwrap();
    assert!(code == Some(0) && said.contains("403 Forbidden"), "{said}");
    let mara = seat.until("what came silently", |state| {
        let mute = state.mutes.first().filter(|mute| mute.silent == 1);
        mute.map(|mute| mute.id.clone())
    });
    assert!(!stage.processes.said("shown").contains(PRICE));
    seat.ask(Call::Unmute { id: mara.unwrap() }).unwrap();
    stage.processes.until_said("shown", PRICE, 1).unwrap();
    displays(&stage, 2);
    seat.until("both in the inbox", |state| {
        (state.inbox.len() == 2 && state.mutes.is_empty()).then_some(())
    })
    .unwrap();
}
