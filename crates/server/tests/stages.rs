//! Approval in stages: who may vote when, who is told, and what falls with an earlier stage.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use reqwest::Method;
use serde_json::{Value, json};
use world::socket::Stream;
use world::{Answer, World};

const MERGE: &str = "orders.customers.merge";

fn locked(view: &Value) -> Option<&str> {
    view["locked"].as_str()
}

#[tokio::test]
async fn each_stage_opens_when_the_one_before_is_complete() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation(MERGE);
    let txn = gate.open_for(&operation).await;
    let (lena, seth, sina, elin) = (
        world.sign_in("lena").await,
        world.sign_in("seth").await,
        world.sign_in("sina").await,
        world.sign_in("elin").await,
    );
    let path = format!("/approver/v1/requests/{txn}");
    elin.get(&world, &path).await.refused(404, "not_found");

    // Who votes later sees it and waits; their stream tells when their stage opens.
    let (mut of_seth, _) = Stream::open(&world, &seth).await;
    let view = seth.view(&world, &txn).await;
    assert_eq!(
        (locked(&view), &view["who_may_vote"]),
        (Some("not_yet"), &json!("leads"))
    );
    assert!(view.get("challenge").is_none());
    assert_eq!(view["stage"], json!({ "name": "lead", "prior": [] }));
    assert_eq!(
        view["stages"],
        json!([
            { "name": "lead", "approvals": 0, "needed": 1, "who_may_vote": "leads" },
            { "name": "security", "approvals": 0, "needed": 2, "who_may_vote": "security" },
        ])
    );
    // A vote for a stage that is not open, made by hand.
    let challenge = lena.view(&world, &txn).await["challenge"].clone();
    let mut forged = view.clone();
    forged["challenge"] = challenge;
    forged["stage"] = json!({ "name": "security" });
    let early = lena.ballot(&world, &forged, Choice::Approve).sign(&lena.dk);
    let refused = lena.cast(&world, &txn, &early).await;
    assert_eq!(refused.status, 409, "{refused:?}");

    let answer = lena.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(
        (&answer["state"], &answer["approvals"], &answer["needed"]),
        (&json!("pending"), &json!(1), &json!(3))
    );
    of_seth
        .next_is("request.updated", json!({ "txn": txn }))
        .await;
    let view = seth.view(&world, &txn).await;
    assert_eq!(locked(&view), None);
    assert_eq!(
        (
            &view["stage"]["name"],
            view["stage"]["prior"].as_array().unwrap().len()
        ),
        (&json!("security"), 1)
    );
    let task = gate.task(&txn).await.is(200);
    let progress = &task["https://countersign.dev/arap/progress"];
    assert_eq!(
        (&progress["stage"], &progress["who_may_vote"]),
        (&json!("security"), &json!("security"))
    );

    // A lead who is in security too counts in one stage only.
    let again = lena.view(&world, &txn).await;
    assert_eq!(locked(&again), Some("voted"));
    let second = lena.ballot(&world, &again, Choice::Approve).sign(&lena.dk);
    lena.cast(&world, &txn, &second)
        .await
        .refused(409, "already_voted");

    seth.vote(&world, &txn, Choice::Approve).await.is(200);
    let done = sina.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(done["state"], "approved");
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
}

#[tokio::test]
async fn what_was_built_on_a_vote_falls_with_it() {
    let world = World::new().await;
    let gate = world.gate();
    let txn = gate.open_for(&world.operation(MERGE)).await;
    let (lena, seth) = (world.sign_in("lena").await, world.sign_in("seth").await);
    lena.vote(&world, &txn, Choice::Approve).await.is(200);
    seth.vote(&world, &txn, Choice::Approve).await.is(200);
    let device = lena.statement.id();
    let path = format!("/approver/v1/bindings/{device}");
    let ended = Answer::of(lena.call(&world, Method::DELETE, &path)).await;
    assert_eq!(ended.status, 204);
    let view = seth.view(&world, &txn).await;
    assert_eq!(
        (
            &view["state"],
            &view["stage"]["name"],
            &view["stages"][1]["approvals"]
        ),
        (&json!("pending"), &json!("lead"), &json!(0))
    );
}

#[tokio::test]
async fn a_vote_that_falls_leaves_those_that_it_was_built_on() {
    let world = World::new().await;
    let txn = world.gate().open_for(&world.operation(MERGE)).await;
    let (lena, seth) = (world.sign_in("lena").await, world.sign_in("seth").await);
    lena.vote(&world, &txn, Choice::Approve).await.is(200);
    seth.vote(&world, &txn, Choice::Approve).await.is(200);
    let path = format!("/approver/v1/bindings/{}", seth.statement.id());
    let ended = Answer::of(seth.call(&world, Method::DELETE, &path)).await;
    assert_eq!(ended.status, 204);
    let view = lena.view(&world, &txn).await;
    let approvals = |stage: usize| view["stages"][stage]["approvals"].clone();
    assert_eq!((approvals(0), approvals(1)), (json!(1), json!(0)));
}
