//! A policy is changed while everything runs: from then on the new one holds, in server and gate; a bad one is refused and
//! the old one stays.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::Choice;
use countersign_policy_file::Reloaded;
use countersign_tests::world::{Answer, World};
use reqwest::Method;

const READ: &str = "/customers/42";
const READERS: &str = "@id(\"developers-read\")\npermit";
/// Reading takes a scope that the token of this test does not have.
const NOBODY: &str = "@id(\"developers-read\")\n@token_scope(\"orders:export\")\npermit";

async fn status(world: &World, token: &str) -> u16 {
    let call = world.call(Method::GET, READ, token);
    Answer::of(call.send().await.unwrap()).await.unwrap().status
}

/// What the programs do on SIGHUP; by themselves they look every few seconds.
fn reload(world: &World) -> Reloaded {
    world.server.as_ref().unwrap().reload_policy();
    world.gate.as_ref().unwrap().reload_policy()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_holds_and_a_bad_one_does_not() {
    let world = World::query_level().await.unwrap();
    let token = world.token("mara").await.unwrap();
    assert_eq!(status(&world, &token).await, 200);
    world.setup.change("policy.cedar", READERS, NOBODY).unwrap();
    assert!(matches!(reload(&world), Reloaded::Changed { .. }));
    assert_eq!(status(&world, &token).await, 403);
    // Open again, but misspelt elsewhere, so that the whole of it is refused and the last good one stays.
    world.setup.change("policy.cedar", NOBODY, READERS).unwrap();
    world
        .setup
        .change("policy.cedar", "@approvals(\"2\")", "@aprovals(\"2\")")
        .unwrap();
    assert!(matches!(reload(&world), Reloaded::Refused { .. }));
    assert_eq!(status(&world, &token).await, 403);
    world
        .setup
        .change("policy.cedar", "@aprovals(\"2\")", "@approvals(\"2\")")
        .unwrap();
    reload(&world);
    assert_eq!(status(&world, &token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_under_the_old_policy_do_not_pass_the_new_one() {
    let world = World::query_level().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, READ).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    world
        .setup
        .change("policy.cedar", "@approvals(\"2\")", "@approvals(\"3\")")
        .unwrap();
    reload(&world);
    // Today's policy wants three: what was asked for under the old one is not voted on any more.
    let second = jonas
        .vote_on(&card.row.txn, Choice::Approve, None, None)
        .await;
    let refused = format!("{:#}", second.unwrap_err());
    assert!(refused.contains("policy has changed"), "{refused}");
    world.nothing_came_of(held).await.unwrap();
}
