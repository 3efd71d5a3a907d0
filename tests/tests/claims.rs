//! Who somebody is, is asserted anew when it counts: at the vote, and again at release.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Choice, Outcome};
use countersign_approver::State;
use countersign_tests::world::World;
use reqwest::Method;
use serde_json::json;

const PRICE: &str = "/prices/A-100";

#[tokio::test(flavor = "multi_thread")]
async fn somebody_removed_from_the_group_a_minute_ago_cannot_vote() {
    let world = World::query_level().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let txn = jonas.request().await.unwrap().txn;
    world.op.set_groups("jonas", &[]).await.unwrap();
    world.advance(61).await.unwrap();
    jonas
        .vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    let card = elin.app.card(&txn).await.unwrap();
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 0)
    );
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_has_joined_the_group_since_can_vote() {
    let world = World::query_level().await.unwrap();
    world.op.set_groups("jonas", &[]).await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    world.op.set_groups("jonas", &["dba"]).await.unwrap();
    let jonas = {
        jonas.app.sign_out().await.unwrap();
        world.advance(61).await.unwrap();
        world.approver("jonas").await.unwrap()
    };
    jonas
        .vote_on(&card.row.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
}

/// How old claims may be when the operation is let through.
const AT_RELEASE: &str = "@release_claims(\"5m\")";

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_falls_when_its_voter_has_left_before_the_release() {
    let mut world = World::query_level().await.unwrap();
    // So short that programs assert their people's claims anew while the test waits.
    let short = "@release_claims(\"3s\")";
    world
        .setup
        .change("policy.cedar", AT_RELEASE, short)
        .unwrap();
    world.restart().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    let counts = async |approvals: u32| {
        let seen = |state: &State| {
            let mut inbox = state.inbox.iter();
            inbox.find(|row| row.approvals == approvals).map(|_| ())
        };
        let what = format!("{approvals} approvals");
        jonas.until(&what, seen).await.unwrap();
    };
    counts(1).await;
    world.op.set_groups("elin", &["auditors"]).await.unwrap();
    counts(0).await;
    let card = jonas
        .vote_on(&card.row.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 1)
    );
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_over_claims_that_are_too_old_releases_nothing() {
    let world = World::query_level().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    // Her program has ended, and asserts nothing anew.
    drop(elin);
    world.advance(301).await.unwrap();
    jonas
        .vote_on(&card.row.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    let answer = held.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.code()), (403, "claims_too_old_now"));
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_count_only_as_the_list_that_they_are() {
    let world = World::query_level().await.unwrap();
    let jonas = world.approver("jonas").await.unwrap();
    let held = world.asks("mara", Method::DELETE, PRICE).await.unwrap();
    let txn = jonas.request().await.unwrap().txn;
    // A string that contains the name, another case, a list in a list: none of them is the group.
    for groups in [
        json!("dba"),
        json!("dba,auditors"),
        json!(["DBA"]),
        json!(["dba,auditors"]),
        json!([["dba"]]),
        json!({ "dba": true }),
    ] {
        world
            .op
            .set_claims("elin", json!({ "groups": groups }))
            .await
            .unwrap();
        // Refused when signing in, or shown nothing to vote on.
        if let Ok(elin) = world.approver("elin").await {
            let refused = elin.vote_on(&txn, Choice::Approve, None, None).await;
            assert!(refused.is_err(), "{groups}");
        }
    }
    let card = jonas.app.card(&txn).await.unwrap();
    assert_eq!(card.row.approvals, 0);
    world.nothing_came_of(held).await.unwrap();
}
