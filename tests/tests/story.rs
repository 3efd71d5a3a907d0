//! The main job, over the parts' own interfaces: a held call, signed votes, release; and what stops it.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Choice, Outcome};
use countersign_tests::world::World;
use reqwest::Method;

const DELETE: &str = "/customers/42";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_no_approval_goes_through_at_once() {
    let world = World::start().await.unwrap();
    let token = world.token("mara").await.unwrap();
    let answer = world
        .call(Method::GET, DELETE, &token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(world.received().await.unwrap(), ["GET /customers/42"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvers_let_exactly_this_call_through() {
    let world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let held = world.held(
        world
            .call(Method::DELETE, DELETE, &token)
            .header("countersign-justification", "Account closed on request"),
    );
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!((card.row.approvals, card.row.needed), (1, 2));
    assert!(
        world.received().await.unwrap().is_empty(),
        "one vote is not two"
    );
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["deleted"], "42");
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/42"]);
    elin.until("an empty inbox", |state| {
        state.inbox.is_empty().then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_deny_ends_it_and_the_requester_gets_the_reason() {
    let world = World::start().await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    let held = world.asks("mara", Method::DELETE, DELETE).await.unwrap();
    let card = elin
        .vote(Choice::Deny, Some("Not before the audit"), None)
        .await
        .unwrap();
    assert_eq!(card.row.outcome, Outcome::Denied);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.to_string().contains("Not before the audit"),
        "{answer:?}"
    );
    assert!(world.received().await.unwrap().is_empty());
}
