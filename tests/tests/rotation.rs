//! The provider changes its signing key while everything runs, the old one gone at once, as after a theft.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::Choice;
use countersign_tests::world::{Answer, World};
use reqwest::Method;

const CUSTOMER: &str = "/customers/42";

async fn status(world: &World, token: &str) -> u16 {
    let call = world.call(Method::GET, CUSTOMER, token);
    Answer::of(call.send().await.unwrap()).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_seen_within_a_minute_and_the_old_one_opens_nothing() {
    let world = World::query_level().await.unwrap();
    let (elin, old) = (
        world.approver("elin").await.unwrap(),
        world.token("mara").await.unwrap(),
    );
    assert_eq!(status(&world, &old).await, 200);
    world.op.rotate_keys().await.unwrap();
    let new = world.token("mara").await.unwrap();
    world.advance(60).await.unwrap();
    assert_eq!(status(&world, &new).await, 200);
    assert_eq!(status(&world, &old).await, 401);

    // Two who signed in since approve; nobody has to start anything again.
    drop(elin);
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.held(world.call(Method::DELETE, CUSTOMER, &new));
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
    assert_eq!(
        world.received().await.unwrap(),
        [
            "GET /customers/42",
            "GET /customers/42",
            "DELETE /customers/42"
        ]
    );
}
