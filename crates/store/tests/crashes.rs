//! SQLite killed at each write point. By itself: a child that is being started holds this program's locks for a
//! moment, and other tests here would find their stores locked.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the suite runs elsewhere")]
mod conformance;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use conformance::{binding, counted, get, person, request, tx, txn, update, vote};
use countersign_lifecycle::{Approved, Kind, Redeemed, State};
use countersign_model::{Txn, UnixSecs};
use countersign_store::{Commit, SpentKind, SqliteOptions, SqliteStore, Store, Write};

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, &SqliteOptions::default()).unwrap()
}

const CHILD_FOLDER: &str = "COUNTERSIGN_TEST_FOLDER";
const CHILD_KILL_AT: &str = "COUNTERSIGN_TEST_KILL_AT";

/// The whole life of a few requests; says each step on stdout once the store has acknowledged it.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else {
        return;
    };
    let kill_at = std::env::var(CHILD_KILL_AT).unwrap().parse().unwrap();
    let options = SqliteOptions {
        kill_at: Some(kill_at),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(Path::new(&folder), &options).unwrap();
    let say = |what: &str, name: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "acknowledged {what} {name}").unwrap();
        out.flush().unwrap();
    };
    let publish = |name: &str| Write::Publish {
        at: UnixSecs(100),
        txn: Some(txn(name)),
        person: None,
        body: "{}".into(),
    };
    let entry = |name: &str, kind| Write::Entry {
        at: UnixSecs(100),
        txn: Some(txn(name)),
        kind,
        detail: "{}".into(),
    };
    store
        .commit(tx(vec![Write::AddBinding(Box::new(binding("elin")))]))
        .await
        .unwrap();
    let ended = |name: &str| {
        vec![
            Write::Spend {
                kind: SpentKind::SecurityEvent,
                value: name.to_owned(),
                until: UnixSecs(1_000),
            },
            Write::RevokeBindings {
                person: person(name),
                signed_in_until: UnixSecs(90),
                sid: None,
                at: UnixSecs(100),
            },
            Write::RevokePerson {
                person: person(name),
                at: UnixSecs(90),
            },
        ]
    };
    store
        .commit(tx(vec![Write::AddBinding(Box::new(binding("ben")))]))
        .await
        .unwrap();
    say("bind", "ben");
    committed(store.commit(tx(ended("ben"))).await.unwrap());
    say("end", "ben");
    for name in ["one", "two"] {
        let opened = Write::OpenRequest(Box::new(request(name)));
        committed(
            store
                .commit(tx(vec![opened, entry(name, "request"), publish(name)]))
                .await
                .unwrap(),
        );
        say("open", name);
        let row = get(&store, name).await;
        let cast = vote(&row, "elin");
        let votes = vec![counted(&cast)];
        let approved = State::Approved(Approved {
            votes: votes.clone(),
            at: UnixSecs(120),
            until: UnixSecs(300),
        });
        let mut change = update(&row, approved);
        change.grant_jws = Some("grant".into());
        let writes = vec![
            Write::ExpectUnrevoked(cast.binding),
            Write::ExpectClaims {
                person: cast.person.clone(),
                issued_at: UnixSecs(50),
            },
            Write::Spend {
                kind: SpentKind::StepUp,
                value: name.to_owned(),
                until: UnixSecs(1_000),
            },
            Write::CastVote(Box::new(cast)),
            Write::UpdateRequest(Box::new(change)),
            entry(name, "vote"),
            publish(name),
        ];
        committed(store.commit(tx(writes)).await.unwrap());
        say("vote", name);
        let row = get(&store, name).await;
        let redeemed = State::Redeemed(Redeemed {
            votes,
            approved_at: UnixSecs(120),
            until: UnixSecs(300),
            at: UnixSecs(130),
            redemption_id: "r".into(),
            outcome: None,
        });
        let writes = vec![
            Write::UpdateRequest(Box::new(update(&row, redeemed))),
            entry(name, "redeem"),
        ];
        committed(store.commit(tx(writes)).await.unwrap());
        say("redeem", name);
    }
    say("all", "done");
}

fn committed(commit: Commit) {
    assert_eq!(commit, Commit::Committed);
}

#[tokio::test]
async fn killed_at_every_write_point_it_keeps_what_it_acknowledged_and_nothing_half() {
    let mut killed = 0;
    for kill_at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD_FOLDER, folder.path())
            .env(CHILD_KILL_AT, kill_at.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test harness may print before the first line on the same row.
        let acknowledged: BTreeSet<String> = lines
            .map_while(Result::ok)
            .filter_map(|line| Some(line.split_once("acknowledged ")?.1.to_owned()))
            .collect();
        let status = child.wait().unwrap();

        let store = open(folder.path());
        check_end(&store, &acknowledged, kill_at).await;
        for name in ["one", "two"] {
            check(&store, &txn(name), &acknowledged, kill_at).await;
        }
        if status.success() {
            assert!(acknowledged.contains("all done"));
            break;
        }
        killed += 1;
    }
    assert!(killed >= 40, "only {killed} write points were reached");
}

/// A person's bindings are ended together with what says so, or not at all.
async fn check_end(store: &SqliteStore, acknowledged: &BTreeSet<String>, kill_at: u64) {
    let says = |what: &str| acknowledged.contains(&format!("{what} ben"));
    let row = store.binding(conformance::digest("ben")).await.unwrap();
    let Some(row) = row else {
        assert!(
            !says("bind"),
            "an acknowledged binding is gone at {kill_at}"
        );
        return;
    };
    let spend = Write::Spend {
        kind: SpentKind::SecurityEvent,
        value: "ben".into(),
        until: UnixSecs(1_000),
    };
    let spent = matches!(
        store.commit(tx(vec![spend])).await.unwrap(),
        Commit::Conflict(_)
    );
    let person_ended = store.revoked_at(&person("ben")).await.unwrap().is_some();
    let ended = row.revoked_at.is_some();
    assert!(
        ended == spent && ended == person_ended,
        "half an end at {kill_at}: {row:?} {spent} {person_ended}"
    );
    assert!(
        !says("end") || ended,
        "an acknowledged end is gone at {kill_at}"
    );
}

/// Everything acknowledged is there, and state, votes, grant, entries and events agree with each other.
async fn check(store: &SqliteStore, txn: &Txn, acknowledged: &BTreeSet<String>, kill_at: u64) {
    let says = |what: &str| acknowledged.contains(&format!("{what} {txn}"));
    let entries: Vec<String> = store
        .entries(txn)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    let events = store.events_after(0, 100).await.unwrap();
    let events = events
        .iter()
        .filter(|event| event.txn.as_ref() == Some(txn))
        .count();
    let Some(row) = store.request(txn).await.unwrap() else {
        assert!(
            !says("open"),
            "an acknowledged request is gone at {kill_at}"
        );
        assert!(
            entries.is_empty() && events == 0,
            "entries without their request at {kill_at}"
        );
        return;
    };
    let (votes, grant) = (row.votes.len(), row.grant_jws.is_some());
    let whole = match row.state.kind() {
        Kind::Pending => (votes, grant, events) == (0, false, 1) && entries == ["request"],
        Kind::Approved => (votes, grant, events) == (1, true, 2) && entries == ["request", "vote"],
        Kind::Redeemed => {
            (votes, grant, events) == (1, true, 2) && entries == ["request", "vote", "redeem"]
        }
        Kind::Denied | Kind::Expired | Kind::Withdrawn | Kind::Voided => false,
    };
    assert!(
        whole,
        "half a transaction at {kill_at}: {row:?} {entries:?} {events}"
    );
    assert!(
        !says("vote") || row.state.kind() != Kind::Pending,
        "an acknowledged vote is gone at {kill_at}"
    );
    assert!(
        !says("redeem") || row.state.kind() == Kind::Redeemed,
        "a redemption is gone at {kill_at}"
    );
}
