//! Out of office, with real parts: said in the person's own program, told on the stand-in's card and in the requester's
//! answer, and no vote less or more for it.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Choice, Line};
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use serde_json::json;

const DELETE: &str = "/customers/42";

fn text(line: &Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_told_with_who_stands_in_and_votes_all_the_same() {
    let world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let ask = async || {
        let call = world.call(Method::DELETE, DELETE, &token);
        let answer = call.header("prefer", "respond-async").send().await.unwrap();
        Answer::of(answer).await.unwrap()
    };
    let before = ask().await;
    assert_eq!(before.code(), "approval_pending");
    assert!(before.body.get("away").is_none(), "{before:?}");
    let first = jonas.request().await.unwrap().txn;

    // Jonas may vote on what Elin was asked about; nobody else is signed in.
    let page = elin.app.absence().await.unwrap();
    let [only] = page.colleagues.as_slice() else {
        panic!("{:?}", page.colleagues)
    };
    assert_eq!(text(&only.name), "Jonas Petersen");
    let until = page.now + 2 * 24 * 3600;
    let set = elin
        .app
        .set_absence(page.now, until, Some(&only.id))
        .await
        .unwrap();
    assert!(set.absence.unwrap().stand_in_eligible);
    let away = |state: &countersign_approver::State| state.account.as_ref()?.away;
    assert_eq!(elin.until("being away", away).await.unwrap().until, until);

    // The open card changes by itself.
    let card = jonas
        .until_card(&first, "who is away", |card| {
            (!card.away.is_empty()).then(|| card.clone())
        })
        .await
        .unwrap();
    let [line] = card.away.as_slice() else {
        panic!("{:?}", card.away)
    };
    assert_eq!(
        (text(&line.name).as_str(), line.names_you),
        ("Elin Varga", true)
    );
    assert_eq!(card.others_can, Some(0));

    // A requester is told at once.
    let after = ask().await;
    assert_eq!(
        (&after.body["away"], &after.body["others_can"]),
        (
            &json!([{ "name": "Elin Varga", "until": until, "stand_in": "Jonas Petersen" }]),
            &json!(1)
        )
    );
    let detail = after.body["detail"].as_str().unwrap();
    assert!(
        detail.contains(" One of them is away (see `away`)."),
        "{detail}"
    );

    // Two votes are needed, and hers is one.
    let id = after.approval_id.unwrap();
    for person in [&elin, &jonas] {
        person
            .until("the second request", |state| {
                state.inbox.iter().find(|row| row.txn == id).map(|_| ())
            })
            .await
            .unwrap();
        person
            .vote_on(&id, Choice::Approve, None, None)
            .await
            .unwrap();
    }
    let call = world.call(Method::DELETE, DELETE, &token);
    let done = call.header("approval-id", &id).send().await.unwrap();
    assert_eq!(done.status(), 200);

    assert_eq!(elin.app.end_absence().await.unwrap().absence, None);
    assert!(ask().await.body.get("away").is_none());
}
