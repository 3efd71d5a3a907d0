//! Two providers at once: Harbor ID (`oidc-provider`) and Quay ID (Canaille). An account means something with its issuer
//! only, and a person is counted once where the configuration says what tells them.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Ballot, Choice, Outcome};
use countersign_tests::approver::{AtWork, failure};
use countersign_tests::world::{Answer, World};
use reqwest::Method;

const CUSTOMER: &str = "/customers/42";
const PERSON: &str = "groups_claim = \"groups\"\nperson = [\"email\"]";

/// The same person has the same e-mail address at both providers, as far as this world's operator says.
async fn told_apart_by_email() -> World {
    let mut world = World::federated().await.unwrap();
    for file in ["server.toml", "gate.toml"] {
        world
            .setup
            .change(file, "groups_claim = \"groups\"", PERSON)
            .unwrap();
    }
    world.restart().await.unwrap();
    world
}

async fn refused(approver: &AtWork, txn: &str) -> String {
    let refused = approver
        .vote_on(txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    format!("{refused:#}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_at_two_providers_is_two_people() {
    let world = World::federated().await.unwrap();
    let server = world.approver("elin").await.unwrap();
    let other = world.approver_of_second("elin").await.unwrap();
    assert_eq!(server.person.sub, other.person.sub);
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let card = server.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!((card.row.approvals, card.row.needed), (1, 2));
    other.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/42"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_with_two_accounts_counts_once() {
    let world = told_apart_by_email().await;
    world
        .op
        .set_claims("elin", serde_json::json!({ "email": "elin@quay.example" }))
        .await
        .unwrap();
    let harbor = world.approver("elin").await.unwrap();
    let quay = world.approver_of_second("elin").await.unwrap();
    let nadia = world.approver_of_second("nadia").await.unwrap();
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let card = harbor.vote(Choice::Approve, None, None).await.unwrap();
    let txn = card.row.txn;
    refused(&quay, &txn).await;
    let card = nadia.app.card(&txn).await.unwrap();
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 1)
    );
    nadia
        .vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requester_does_not_vote_through_an_account_elsewhere() {
    let world = told_apart_by_email().await;
    // Mara's address at Quay ID is the one that she has at Harbor ID.
    let mara = world.approver_of_second("mara").await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let txn = elin.request().await.unwrap().txn;
    refused(&mara, &txn).await;
    let card = elin.app.card(&txn).await.unwrap();
    assert_eq!(card.row.approvals, 0);
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_counts_only_from_the_provider_that_may_assert_it() {
    let mut world = World::federated().await.unwrap();
    for file in ["server.toml", "gate.toml"] {
        world
            .setup
            .change(
                file,
                "step_up = \"none\"",
                "step_up = \"none\"\ngroups = [\"guests\"]",
            )
            .unwrap();
    }
    world.restart().await.unwrap();
    let nadia = world.approver_of_second("nadia").await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let txn = elin.request().await.unwrap().txn;
    refused(&nadia, &txn).await;
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_another_case_or_in_one_string_are_other_groups() {
    let world = World::federated().await.unwrap();
    let piet = world.approver_of_second("piet").await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    let held = world.asks("mara", Method::DELETE, CUSTOMER).await.unwrap();
    let txn = elin.request().await.unwrap().txn;
    refused(&piet, &txn).await;
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_the_group_at_the_second_provider_cannot_vote_with_older_claims() {
    let world = World::federated().await.unwrap();
    let nadia = world.approver_of_second("nadia").await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    // This one wants claims that are half a minute old at most, and this provider gives none on refresh.
    let held = world
        .asks("mara", Method::DELETE, "/prices/A-100")
        .await
        .unwrap();
    let txn = elin.request().await.unwrap().txn;
    world
        .second
        .as_ref()
        .unwrap()
        .set_groups("nadia", &[])
        .await
        .unwrap();
    world.clock.advance(61);
    let said = refused(&nadia, &txn).await;
    assert!(said.contains("Quay ID"), "it names who cannot: {said}");
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_step_up_is_told_with_what_it_lacks() {
    let world = World::federated().await.unwrap();
    let nadia = world.approver_of_second("nadia").await.unwrap();
    let token = world.token("mara").await.unwrap();
    let call = world.call(Method::PUT, "/prices/A-100", &token);
    let held = world.held(call.body("{\"cents\":2490}"));
    let txn = nadia.request().await.unwrap().txn;
    let card = nadia.app.card(&txn).await.unwrap();
    let Ballot::Locked { sentence, .. } = &card.ballot else {
        panic!("{:?}", card.ballot)
    };
    assert!(sentence.contains("Quay ID"), "{sentence}");
    refused(&nadia, &txn).await;
    // Who is at the other provider can.
    let elin = world.approver("elin").await.unwrap();
    let card = elin.confirm(&txn).await.unwrap();
    assert_eq!(failure(&card), None);
    assert_eq!(held.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_the_role_of_requesters_brings_no_requests() {
    let world = World::federated().await.unwrap();
    let second = world.second.as_ref().unwrap();
    let flow =
        countersign_tests::flow::Flow::new(&second.issuer, countersign_tests::provider::CLI_CLIENT);
    let nadia = countersign_tests::person::Person::named("nadia");
    let token = flow.run(&nadia).await.unwrap().access_token().unwrap();
    let call = world.call(Method::GET, CUSTOMER, &token);
    let answer = Answer::of(call.send().await.unwrap()).await.unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(world.received().await.unwrap().is_empty());
}
