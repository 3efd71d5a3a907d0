//! Programs that ask: in their own name, with somebody who started them, and on somebody's behalf. Whoever stands behind
//! the operation does not approve it.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Card, Choice, Party};
use countersign_tests::approver::AtWork;
use countersign_tests::provider::CI_CLIENT;
use countersign_tests::world::World;
use reqwest::Method;
use serde_json::json;

const CUSTOMER: &str = "/customers/42";
const PEOPLE: &str = "groups_claim = \"groups\"";
const PROGRAMS: &str = "groups_claim = \"groups\"\nroles = [\"approver\", \"requester\", \"workload\"]\n\
                        initiator_claim = \"started_by\"";

/// Harbor ID may vouch for programs too, and says who started each.
async fn with_programs() -> World {
    let mut world = World::query_level().await.unwrap();
    for file in ["server.toml", "gate.toml"] {
        world.setup.change(file, PEOPLE, PROGRAMS).unwrap();
    }
    world.restart().await.unwrap();
    world
}

async fn refused(approver: &AtWork, txn: &str) {
    let refused = approver.vote_on(txn, Choice::Approve, None, None).await;
    assert!(refused.is_err(), "{} votes", approver.person.sub);
}

fn text(lines: &[countersign_api::ipc::Line]) -> String {
    lines
        .iter()
        .flat_map(|line| &line.spans)
        .map(|span| span.text.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_asks_in_its_own_name_and_who_started_it_does_not_approve() {
    let world = with_programs().await;
    let said = json!({ "name": "Nightly build", "groups": ["orders-dev"], "started_by": "elin" });
    world
        .op
        .set_program_claims(CI_CLIENT.0, said)
        .await
        .unwrap();
    world.op.set_groups("noor", &["dba"]).await.unwrap();
    let [elin, jonas, noor] = world.approvers(["elin", "jonas", "noor"]).await.unwrap();
    let token = world.op.program_token(&world.http).await.unwrap();
    let held = world.held(world.call(Method::DELETE, CUSTOMER, &token));
    let Card { row, who, .. } = jonas.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!((who.party, row.party), (Party::Workload, Party::Workload));
    assert_eq!(text(&[who.sub]), CI_CLIENT.0);
    refused(&elin, &row.txn).await;
    assert!(!held.is_finished());
    noor.vote_on(&row.txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/42"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_nobody_where_its_provider_may_vouch_for_people_only() {
    let world = World::query_level().await.unwrap();
    let said = json!({ "groups": ["orders-dev"] });
    world
        .op
        .set_program_claims(CI_CLIENT.0, said)
        .await
        .unwrap();
    let token = world.op.program_token(&world.http).await.unwrap();
    let call = world.call(Method::GET, CUSTOMER, &token).send().await;
    assert_eq!(call.unwrap().status(), 401);
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_for_somebody_is_on_the_card_and_approves_nothing_of_it() {
    let world = World::query_level().await.unwrap();
    // A program acts for Mara, and Elin runs the program.
    let chain = json!({ "sub": "assistant", "act": { "sub": "elin" } });
    world
        .op
        .set_claims("mara", json!({ "act": chain }))
        .await
        .unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let card = jonas.vote(Choice::Approve, None, None).await.unwrap();
    let actors: Vec<_> = card
        .who
        .actors
        .iter()
        .map(|actor| text(std::slice::from_ref(&actor.name)))
        .collect();
    assert_eq!(actors, ["assistant", "elin"]);
    refused(&elin, &card.row.txn).await;
    world.nothing_came_of(held).await.unwrap();
}
