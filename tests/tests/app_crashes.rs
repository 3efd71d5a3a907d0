//! kill -9 of the app where it is in the middle of something, with the built agent, server and gate and a real browser: it
//! comes back to where it was, nothing is half made, nothing happens twice. And a keyring that is not there.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Call, Card, Choice, Connection, Problem, ProblemCode, Reply, SignIn};
use countersign_tests::desktop::Daemon;
use countersign_tests::seat::Seat;
use countersign_tests::stage::{Stage, Whose};
use serde_json::json;
use tempfile::TempDir;

struct Scene {
    stage: Stage,
    _folder: TempDir,
}

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::start(folder.path(), Whose::Made(Daemon::None)).unwrap();
        Self {
            stage,
            _folder: folder,
        }
    }

    /// The agent starts; who asks as its window does.
    fn start(&mut self) -> Seat {
        self.stage.start_agent().unwrap();
        Seat::take(self.stage.desktop.as_ref().unwrap().runtime()).unwrap()
    }

    /// As a power cut ends it; it starts again.
    fn killed(&mut self, seat: Seat) -> Seat {
        drop(seat);
        self.stage.processes.kill("agent").unwrap();
        // What it said before is of the past: it is waited for to say so again.
        std::fs::remove_file(self.stage.processes.log("agent")).unwrap();
        self.start()
    }

    fn begin_to_sign_in(&self, seat: &mut Seat) {
        seat.ask(Call::SignIn {
            server: self.stage.server_url.clone(),
            issuer: self.stage.op.issuer.clone(),
        })
        .unwrap();
    }

    fn sign_in(&self, seat: &mut Seat) {
        seat.sign_in(&self.stage.server_url, &self.stage.op.issuer)
            .unwrap();
    }

    fn mara_asks(&mut self) {
        let line = self.stage.curl("-X DELETE", "/customers/42");
        self.stage.types("mara", "mara-deletes", &line).unwrap();
    }
}

fn connected(seat: &mut Seat) {
    seat.until("being signed in and connected", |state| {
        (state.account.is_some() && state.connection == Connection::Connected).then_some(())
    })
    .unwrap();
}

fn card(seat: &mut Seat, txn: &str) -> Card {
    let call = Call::Card {
        txn: txn.to_owned(),
    };
    let Reply::Card { card } = seat.ask(call).unwrap() else {
        panic!("something else than a card");
    };
    *card
}

fn devices(seat: &mut Seat) -> usize {
    let Reply::Devices { devices } = seat.ask(Call::Devices { account: None }).unwrap() else {
        panic!("something else than devices");
    };
    devices.len()
}

#[test]
fn a_sign_in_that_a_crash_cuts_off_leaves_nothing_or_ends_well() {
    let mut scene = Scene::set();
    let desktop = scene.stage.desktop.as_ref().unwrap();
    let stops = json!({ "stops": { "at": "password", "by": "close" } });
    desktop.hands(&stops).unwrap();

    // At the provider's first page: as if nothing had been.
    let mut seat = scene.start();
    scene.begin_to_sign_in(&mut seat);
    seat.until("the browser", |state| match state.sign_in {
        SignIn::WaitingForBrowser { .. } => Some(()),
        SignIn::Idle | SignIn::WaitingForKey { .. } | SignIn::Binding | SignIn::Failed { .. } => {
            None
        }
    })
    .unwrap();
    let mut seat = scene.killed(seat);
    seat.until("nobody signed in", |state| {
        let nothing = state.account.is_none() && state.sign_in == SignIn::Idle;
        (nothing
            && state
                .troubles
                .iter()
                .all(|one| one.code != ProblemCode::Keyring))
        .then_some(())
    })
    .unwrap();

    // With the provider's answer in hand, and a server that says nothing: the keys that were made are those that are bound.
    scene
        .stage
        .desktop
        .as_ref()
        .unwrap()
        .hands(&json!({}))
        .unwrap();
    scene.begin_to_sign_in(&mut seat);
    seat.until("the browser", |state| {
        (state.sign_in != SignIn::Idle).then_some(())
    })
    .unwrap();
    scene.stage.processes.freeze("server").unwrap();
    let desktop = scene.stage.desktop.as_ref().unwrap();
    let data = desktop.home().join("data/countersign");
    let (pending, account) = (data.join("pending.json"), data.join("account.json"));
    // Should the browser have been faster than the frost, the sign-in is whole, and stays so.
    desktop
        .wait_for("keys to bind", || pending.exists() || account.exists())
        .unwrap();
    let mut seat = scene.killed(seat);
    scene.stage.processes.thaw("server").unwrap();
    // Ended with the same keys; or, where the crash fell between a file and its secrets, as if nothing had been.
    let desktop = scene.stage.desktop.as_ref().unwrap();
    desktop
        .wait_for("the end of what was pending", || !pending.exists())
        .unwrap();
    if !account.exists() {
        scene.sign_in(&mut seat);
    }
    connected(&mut seat);
    assert_eq!(devices(&mut seat), 1, "one sign-in, one device");

    // And these keys vote.
    scene.mara_asks();
    let txn = seat
        .until("the request", |state| {
            state.inbox.first().map(|row| row.txn.clone())
        })
        .unwrap();
    let shown = card(&mut seat, &txn);
    seat.ask(Call::Vote {
        txn,
        choice: Choice::Approve,
        reason: None,
        words: None,
        display_digest: shown.display_digest,
    })
    .unwrap();
}

/// Where the server has stopped before it, and where it has not: it may have sent its vote or not.
#[test]
fn a_vote_that_a_crash_cuts_off_counts_once_or_can_still_be_cast() {
    for is_frozen in [true, false] {
        let mut scene = Scene::set();
        let mut seat = scene.start();
        scene.sign_in(&mut seat);
        scene.mara_asks();
        let txn = seat
            .until("the request", |state| {
                state.inbox.first().map(|row| row.txn.clone())
            })
            .unwrap();
        let shown = card(&mut seat, &txn);
        let vote = || Call::Vote {
            txn: txn.clone(),
            choice: Choice::Approve,
            reason: None,
            words: None,
            display_digest: shown.display_digest.clone(),
        };
        if is_frozen {
            scene.stage.processes.freeze("server").unwrap();
        }
        seat.begin(vote()).unwrap();
        let mut seat = scene.killed(seat);
        if is_frozen {
            scene.stage.processes.thaw("server").unwrap();
        }
        connected(&mut seat);
        // Whether the vote had left when the app died, nobody can say; the card does.
        let waits = seat.until("the request, somewhere", |state| {
            let is = |rows: &[countersign_api::ipc::Row]| rows.iter().any(|row| row.txn == txn);
            match (is(&state.inbox), is(&state.others)) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            }
        });
        if waits.unwrap()
            && let Err(error) = seat.ask(vote())
        {
            // It had left, and came between this look and this vote.
            let error = error.to_string();
            assert!(error.contains("voted"), "{error}");
        }
        seat.until("one vote", |state| {
            let row = state.others.iter().find(|row| row.txn == txn)?;
            (row.approvals == 1).then_some(())
        })
        .unwrap();
        let again = seat.ask(vote()).unwrap_err().to_string();
        assert!(again.contains("voted"), "{again}");
        assert_eq!(card(&mut seat, &txn).row.approvals, 1);
    }
}

#[test]
fn without_its_keyring_the_app_says_so_and_is_itself_again_when_it_comes() {
    let mut scene = Scene::set();
    let mut seat = scene.start();
    scene.sign_in(&mut seat);
    let keyring = |troubles: &[Problem]| {
        let mut all = troubles.iter();
        all.any(|one| one.code == ProblemCode::Keyring)
    };
    scene.stage.processes.kill("keyring").unwrap();
    let mut seat = scene.killed(seat);
    seat.until("that the keyring is missing", |state| {
        keyring(&state.troubles).then_some(())
    })
    .unwrap();
    let Stage {
        desktop, processes, ..
    } = &mut scene.stage;
    desktop.as_ref().unwrap().unlock_keyring(processes).unwrap();
    // By itself: nobody starts anything again, and nobody signs in.
    connected(&mut seat);
    assert_eq!(devices(&mut seat), 1);
    seat.until("no trouble with the keyring", |state| {
        (!keyring(&state.troubles)).then_some(())
    })
    .unwrap();
}
