//! Approval in stages: one after the other, and nobody in two of them.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Ballot, Choice, Outcome, StageState, WhyLocked};
use countersign_tests::approver::AtWork;
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use tokio::task::JoinHandle;

struct Scene {
    world: World,
    elin: AtWork,
    noor: AtWork,
    held: JoinHandle<anyhow::Result<Answer>>,
    txn: String,
}

async fn scene() -> Scene {
    let world = World::query_level().await.unwrap();
    let [elin, noor] = world.approvers(["elin", "noor"]).await.unwrap();
    let held = world.asks("mara", Method::POST, "/payouts").await.unwrap();
    let txn = elin.request().await.unwrap().txn;
    Scene {
        world,
        elin,
        noor,
        held,
        txn,
    }
}

fn states(card: &countersign_api::ipc::Card) -> Vec<StageState> {
    card.stages.iter().map(|stage| stage.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stage_after_the_other_lets_it_through() {
    let Scene {
        world,
        elin,
        noor,
        held,
        txn,
    } = scene().await;
    let card = elin.app.card(&txn).await.unwrap();
    assert_eq!(states(&card), [StageState::Open, StageState::Waiting]);
    elin.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert!(world.received().await.unwrap().is_empty());
    noor.until("the second stage", |state| {
        let mut inbox = state.inbox.iter();
        inbox.find(|row| row.approvals == 1).map(|_| ())
    })
    .await
    .unwrap();
    let card = noor.app.card(&txn).await.unwrap();
    assert_eq!(states(&card), [StageState::Complete, StageState::Open]);
    noor.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 201);
    assert_eq!(world.received().await.unwrap(), ["POST /payouts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_counts_in_two_stages() {
    let Scene {
        world,
        elin,
        noor,
        held,
        txn,
    } = scene().await;
    // Noor may vote in both, so she may choose; not both.
    noor.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    let card = noor.app.card(&txn).await.unwrap();
    assert!(
        matches!(card.ballot, Ballot::Locked { .. }),
        "{:?}",
        card.ballot
    );
    noor.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    // Elin may not vote in the second one at all.
    elin.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_stage_waits_for_the_one_before() {
    let Scene {
        world,
        elin,
        noor: _,
        held,
        txn,
    } = scene().await;
    // Otto may vote in the second stage only.
    world.op.set_groups("otto", &["risk"]).await.unwrap();
    let otto = world.approver("otto").await.unwrap();
    let early = otto.vote_on(&txn, Choice::Approve, None, None).await;
    early.unwrap_err();
    if let Ok(card) = otto.app.card(&txn).await {
        assert!(
            matches!(
                card.ballot,
                Ballot::Locked {
                    why: WhyLocked::NotYet,
                    ..
                }
            ),
            "{:?}",
            card.ballot
        );
    }
    elin.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    otto.request().await.unwrap();
    otto.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_in_the_second_stage_ends_it() {
    let Scene {
        world,
        elin,
        noor,
        held,
        txn,
    } = scene().await;
    elin.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    noor.request().await.unwrap();
    let card = noor.vote_on(&txn, Choice::Deny, None, None).await.unwrap();
    assert_eq!(card.row.outcome, Outcome::Denied);
    assert_eq!(held.await.unwrap().unwrap().status, 403);
    assert!(world.received().await.unwrap().is_empty());
}
