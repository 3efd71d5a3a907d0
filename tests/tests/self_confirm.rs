//! What the policy wants confirmed by the requester in person: this one operation, freshly, at the provider.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{By, Choice, Outcome};
use countersign_tests::approver::failure;
use countersign_tests::world::World;
use reqwest::Method;

const REFUND: &str = "/orders/7/refunds";

#[tokio::test(flavor = "multi_thread")]
async fn the_requester_confirms_this_one_operation() {
    let world = World::query_level().await.unwrap();
    let mara = world.approver("mara").await.unwrap();
    let token = world.token("mara").await.unwrap();
    let held = world.held(world.call(Method::POST, REFUND, &token));
    let txn = mara.request().await.unwrap().txn;
    let card = mara.app.card(&txn).await.unwrap();
    assert_eq!((card.by, card.row.needed), (By::Requester, 1));
    let card = mara.confirm(&txn).await.unwrap();
    assert_eq!(failure(&card), None);
    assert_eq!(held.await.unwrap().unwrap().status, 201);
    let asked = world.op.asked().await.unwrap();
    assert_eq!(
        asked.last().unwrap()["scope"],
        "openid approve:orders.refund"
    );
    // The next one is another one: it is asked again.
    let held = world.held(world.call(Method::POST, REFUND, &token));
    let again = mara
        .until("the next request", |state| {
            let mut inbox = state.inbox.iter();
            inbox.find(|row| row.txn != txn).map(|row| row.txn.clone())
        })
        .await
        .unwrap();
    assert!(!held.is_finished());
    mara.vote_on(&again, Choice::Deny, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 403);
    assert_eq!(world.received().await.unwrap(), ["POST /orders/7/refunds"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_confirms_it() {
    let world = World::query_level().await.unwrap();
    // Of the same groups, so that only the person differs.
    world
        .op
        .set_groups("elin", &["orders-dev", "dba"])
        .await
        .unwrap();
    let [mara, elin] = world.approvers(["mara", "elin"]).await.unwrap();
    let held = world.asks("mara", Method::POST, REFUND).await.unwrap();
    let txn = mara.request().await.unwrap().txn;
    elin.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    let card = mara.app.card(&txn).await.unwrap();
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 0)
    );
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_is_declined_lets_nothing_through() {
    let world = World::query_level().await.unwrap();
    let mara = world.approver("mara").await.unwrap();
    let held = world.asks("mara", Method::POST, REFUND).await.unwrap();
    let txn = mara.request().await.unwrap().txn;
    mara.hands
        .now(|mara| mara.declines.push("approve:orders.refund".to_owned()));
    let card = mara.confirm(&txn).await.unwrap();
    assert!(failure(&card).is_some(), "{:?}", card.ballot);
    world.nothing_came_of(held).await.unwrap();
}
