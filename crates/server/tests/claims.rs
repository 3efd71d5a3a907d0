//! Claims asserted anew: what a provider says newest about a person counts, whichever device brought it, for votes
//! that are cast and for votes that were.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::{Answer, World};

const RENAME: &str = "orders.customers.rename";
const DELETE: &str = "orders.customers.delete";

async fn send(world: &World, device: &Device, token: String) -> Answer {
    let call = device.call(world, Method::POST, "/approver/v1/claims");
    Answer::of(call.json(&json!({ "claims_token": token }))).await
}

fn refreshed(world: &World, device: &Device, groups: Value) -> String {
    world.id_token(&device.sub, &device.statement.nonce(), |it| {
        it["groups"] = groups;
    })
}

#[tokio::test]
async fn whoever_has_left_takes_their_open_votes_along() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let (pending, approved) = (world.operation(DELETE), world.operation(RENAME));
    let first = gate.open(&pending, 2).await;
    let second = gate.open(&approved, 1).await;
    for txn in [&first, &second] {
        elin.vote(&world, txn, Choice::Approve).await.is(200);
    }
    world.wait(1);
    let token = refreshed(&world, &elin, json!([]));
    assert_eq!(send(&world, &elin, token).await.status, 204);

    // A vote in an open count no longer counts; a grant falls whole.
    let view = jonas.view(&world, &first).await;
    assert_eq!(view["state"], "pending");
    let answer = jonas.vote(&world, &first, Choice::Approve).await.is(200);
    assert_eq!(
        (&answer["state"], &answer["approvals"]),
        (&json!("pending"), &json!(1))
    );
    assert_eq!(gate.task(&second).await.is(200)["status"], "failed");
    let redeem = gate.redeem(&approved, &second, "r").await.is(200);
    assert_eq!(
        (&redeem["decision"], &redeem["context"]["reason"]),
        (&json!(false), &json!("approval_voided"))
    );
    // They see what they voted on, and no more.
    let third = gate.open(&world.operation(DELETE), 2).await;
    elin.get(&world, &format!("/approver/v1/requests/{third}"))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_persons_devices_share_what_the_provider_said_last() {
    let world = World::new().await;
    let gate = world.gate();
    let (laptop, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    let operation = world.operation(RENAME);
    let txn = gate.open(&operation, 1).await;
    laptop.vote(&world, &txn, Choice::Approve).await.is(200);
    world.wait(1);
    let open = gate.open(&world.operation(RENAME), 1).await;
    let ballot = laptop.ballot(&world, &laptop.view(&world, &open).await, Choice::Approve);

    // The phone hears that the group is lost: the laptop's vote falls, and it casts no other.
    let lost = refreshed(&world, &phone, json!([]));
    assert_eq!(send(&world, &phone, lost).await.status, 204);
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["context"]["reason"],
        "approval_voided"
    );
    let refused = laptop.cast(&world, &open, &ballot.sign(&laptop.dk)).await;
    assert!(matches!(refused.status, 403 | 404), "{refused:?}");

    // Nor does an older token bring it back; a newer one does.
    let older = world.id_token("elin", &laptop.statement.nonce(), |it| {
        it["iat"] = json!(world.now().0 - 1);
    });
    assert_eq!(send(&world, &laptop, older).await.status, 204);
    laptop
        .get(&world, &format!("/approver/v1/requests/{open}"))
        .await
        .refused(404, "not_found");
    world.wait(1);
    let again = refreshed(&world, &laptop, json!(["dba"]));
    assert_eq!(send(&world, &laptop, again).await.status, 204);
    laptop.vote(&world, &open, Choice::Approve).await.is(200);
}

#[tokio::test]
async fn a_new_sign_in_without_the_group_ends_older_votes() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let txn = gate.open(&world.operation(RENAME), 1).await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    world.wait(1);
    let mut phone = world.unbound("elin", |it| it["groups"] = json!([]));
    phone.bind(&world).await;
    assert_eq!(gate.task(&txn).await.is(200)["status"], "failed");
}

#[tokio::test]
async fn newer_claims_go_with_the_evidence_until_it_is_used() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let operation = world.operation(RENAME);
    let txn = gate.open(&operation, 1).await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    let shown = async || {
        let task = gate.task(&txn).await.is(200);
        let evidence = task["result"]["https://countersign.dev/arap/evidence"].clone();
        evidence["votes"][0]["claims_token"].clone()
    };
    assert_eq!(shown().await, Value::Null);
    world.wait(1);
    let newer = refreshed(&world, &elin, json!(["dba"]));
    assert_eq!(send(&world, &elin, newer.clone()).await.status, 204);
    assert_eq!(shown().await, json!(newer));
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
    world.wait(1);
    let later = refreshed(&world, &elin, json!([]));
    assert_eq!(send(&world, &elin, later).await.status, 204);
    assert_eq!(shown().await, json!(newer), "what was used stays as it was");
    let again = gate.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(again["decision"], true, "and so does its answer");
    assert_eq!(gate.task(&txn).await.is(200)["status"], "approved");
}

#[tokio::test]
async fn only_the_persons_own_token_is_taken() {
    let world = World::new().await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let theirs = refreshed(&world, &jonas, json!(["dba"]));
    send(&world, &elin, theirs)
        .await
        .refused(400, "claims_token_refused");
    let other_nonce = world.id_token("elin", "another", |_| {});
    send(&world, &elin, other_nonce)
        .await
        .refused(400, "claims_token_refused");
    let event = world.id_token("elin", &elin.statement.nonce(), |it| {
        it["events"] = json!({})
    });
    send(&world, &elin, event)
        .await
        .refused(400, "claims_token_refused");
    let call = elin.call(&world, Method::POST, "/approver/v1/claims");
    Answer::of(call.json(&json!({ "claims_token": "x", "more": 1 })))
        .await
        .refused(400, "body");
}

#[tokio::test]
async fn a_quorum_is_not_completed_over_a_vote_that_the_policy_no_longer_lets_count() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation(DELETE);
    let txn = gate.open(&operation, 2).await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    let not_elin = world::POLICY.replace(
        "{{issuer}}#dba\")",
        "{{issuer}}#dba\") && principal.sub != \"elin\"",
    );
    assert_ne!(not_elin, world::POLICY);
    world.set_policy(&not_elin);
    let answer = jonas.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(
        (&answer["state"], &answer["approvals"]),
        (&json!("pending"), &json!(1))
    );
}

#[tokio::test]
async fn the_newest_word_counts_also_against_what_the_voting_device_knows() {
    let world = World::new().await;
    let (laptop, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    let txn = world.gate().open(&world.operation(DELETE), 2).await;
    laptop.vote(&world, &txn, Choice::Approve).await.is(200);
    let again = laptop.ballot(&world, &laptop.view(&world, &txn).await, Choice::Approve);
    world.wait(1);
    let lost = refreshed(&world, &phone, json!([]));
    assert_eq!(send(&world, &phone, lost).await.status, 204);
    // Her vote fell, so she still sees it; the laptop's own claims would let her vote again.
    laptop
        .cast(&world, &txn, &again.sign(&laptop.dk))
        .await
        .refused(403, "not_eligible");
}
