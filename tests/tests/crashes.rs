//! kill -9 at each numbered write: what was pending is still pending, nothing is released without its approvals, and
//! nothing twice. The server and the gate are the built programs here.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use countersign_api::ipc::{Choice, Connection};
use countersign_tests::approver::AtWork;
use countersign_tests::clock::MovedClock;
use countersign_tests::person::{self, Person};
use countersign_tests::provider::{CLI_CLIENT, ORDERS_AUDIENCE};
use countersign_tests::stage::{Stage, Whose};
use countersign_tests::world::Answer;

/// More write points than asking, voting twice, redeeming and reporting have.
const MOST_WRITES: u32 = 120;
/// How often a person tries again what a crash has cut off.
const TRIES: u32 = 5;

struct Scene {
    stage: Stage,
    http: reqwest::Client,
    token: String,
    elin: AtWork,
    jonas: AtWork,
    _state: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        person::crypto();
        let state = tempfile::tempdir().unwrap();
        let stage = Stage::start(state.path(), Whose::Theirs).unwrap();
        let clock: Arc<MovedClock> = Arc::default();
        let approver = async |sub: &str| {
            AtWork::sign_in(sub, &stage.server_url, &stage.op.issuer, clock.clone())
                .await
                .unwrap()
        };
        let (elin, jonas) = (approver("elin").await, approver("jonas").await);
        let token = Person::named("mara")
            .access_token(&stage.op.issuer, CLI_CLIENT, Some(ORDERS_AUDIENCE))
            .await
            .unwrap();
        Self {
            http: person::client().unwrap(),
            token,
            elin,
            jonas,
            stage,
            _state: state,
        }
    }

    fn call(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .delete(format!("{}{path}", self.stage.gate_url))
            .bearer_auth(&self.token)
    }

    /// How often this path has reached the orders API.
    async fn times(&self, path: &str) -> usize {
        let all = self.stage.orders.received(&self.http).await.unwrap();
        all.iter().filter(|call| call.ends_with(path)).count()
    }
}

/// Votes, and tries again when a crash came in between: the same vote is the same vote.
async fn vote(approver: &AtWork, txn: &str) {
    let mut last = String::new();
    for _ in 0..TRIES {
        approver
            .until("the connection", |state| {
                (state.connection == Connection::Connected).then_some(())
            })
            .await
            .unwrap();
        match approver.vote_on(txn, Choice::Approve, None, None).await {
            Ok(_) => return,
            // Counted before the crash, though the answer was lost.
            Err(error) if error.to_string().contains("voted") => return,
            Err(error) => last = format!("{error:#}"),
        }
    }
    panic!("{} cannot vote: {last}", approver.person.sub);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_killed_at_any_write_loses_and_doubles_nothing() {
    let mut scene = Scene::set().await;
    for write in 1..=MOST_WRITES {
        let path = format!("/customers/{}", 1000 + write);
        scene.stage.processes.kill("server").unwrap();
        scene.stage.start_server_dying_at(write).unwrap();
        let mut tries = 0;
        // A call that a crash cut off is made again; what was not released must not have reached the API.
        let answer = loop {
            let call = scene.call(&path);
            let held =
                tokio::spawn(async move { Answer::of(call.send().await.unwrap()).await.unwrap() });
            let answer = tokio::select! {
                answer = held => answer.unwrap(),
                never = decide(&scene, &path) => match never {},
            };
            // 404 is the API's own: it has no such customer, but it was asked.
            if answer.status == 404 {
                break answer;
            }
            assert_eq!(
                scene.times(&path).await,
                0,
                "write {write}: refused, yet it went through: {answer:?}"
            );
            tries += 1;
            assert!(tries < TRIES, "write {write}: never released: {answer:?}");
        };
        assert_eq!(scene.times(&path).await, 1, "write {write}: {answer:?}");
        if !scene.stage.server_died(write) {
            assert!(write > 10, "only {write} writes were seen");
            return;
        }
    }
    panic!("there are more than {MOST_WRITES} writes");
}

/// Elin and Jonas approve whatever waits for them, Jonas only what Elin has approved.
async fn decide(scene: &Scene, path: &str) -> std::convert::Infallible {
    loop {
        let txn = scene.elin.request().await.unwrap().txn;
        vote(&scene.elin, &txn).await;
        assert_eq!(scene.times(path).await, 0, "one vote is not two");
        vote(&scene.jonas, &txn).await;
        scene
            .elin
            .until("that it is decided", |state| {
                let open = state
                    .inbox
                    .iter()
                    .chain(&state.others)
                    .any(|row| row.txn == txn);
                (!open).then_some(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gate_remembers_what_callers_may_come_back_for_and_nothing_else() {
    let mut scene = Scene::set().await;
    let kept = scene
        .call("/customers/42")
        .header("prefer", "respond-async")
        .send()
        .await
        .unwrap();
    let txn = kept.headers()["approval-id"].to_str().unwrap().to_owned();
    let held = scene.call("/customers/43");
    let held = tokio::spawn(async move { held.send().await });
    let voided = scene
        .elin
        .until("both requests", |state| {
            let other = state.inbox.iter().find(|row| row.txn != txn);
            other.map(|row| row.txn.clone())
        })
        .await
        .unwrap();
    scene.stage.processes.kill("gate").unwrap();
    assert!(
        held.await.unwrap().is_err(),
        "the held call broke off with the gate"
    );
    scene.stage.start_gate().unwrap();
    for txn in [&txn, &voided] {
        vote(&scene.elin, txn).await;
        vote(&scene.jonas, txn).await;
    }
    let back = scene
        .call("/customers/42")
        .header("approval-id", &txn)
        .send()
        .await
        .unwrap();
    assert_eq!(back.status(), 200);
    // What was held in memory only is void: its nonce is nowhere any more.
    let lost = scene
        .call("/customers/43")
        .header("approval-id", &voided)
        .send()
        .await
        .unwrap();
    assert_ne!(lost.status(), 200);
    assert_eq!(scene.times("/customers/42").await, 1);
    assert_eq!(scene.times("/customers/43").await, 0);
}
