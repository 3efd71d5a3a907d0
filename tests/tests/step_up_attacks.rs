//! A stolen device, or a server that has been taken over, against the provider's confirmation: it counts for one vote, of
//! one person, with one consent, and nobody can leave it out.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use countersign_api::ipc::Outcome;
use countersign_evidence::SecretKey;
use countersign_evidence::documents::step_up_nonce;
use countersign_model::Clock as _;
use countersign_tests::approver::{AtWork, failure};
use countersign_tests::flow::{Flow, NOWHERE, Tokens};
use countersign_tests::person::Person;
use countersign_tests::provider::{ACR_CODE, APPROVER_CLIENT};
use countersign_tests::setup::Rules;
use countersign_tests::world::{Answer, Network, People, Plan, World};
use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const EVIDENCE: &str = "https://countersign.dev/arap/evidence";

async fn world() -> World {
    World::by(Plan {
        network: Network::Wire,
        rules: Rules::QueryLevel,
        people: People::OfOneProvider,
    })
    .await
    .unwrap()
}

/// Mara wants a new price.
async fn held(world: &World, sku: &str) -> JoinHandle<anyhow::Result<Answer>> {
    let token = world.token("mara").await.unwrap();
    let call = world.call(Method::PUT, &format!("/prices/{sku}"), &token);
    world.held(call.body("{\"cents\":2490}"))
}

/// What an attacker gets from the provider who can make somebody sign in there: any nonce, scope and key that they like.
async fn stolen(world: &World, who: &str, nonce: String, scope: &str) -> Tokens {
    let mut flow = Flow::new(&world.op.issuer, APPROVER_CLIENT);
    flow.redirect = NOWHERE.to_owned();
    flow.scope = format!("openid {scope}");
    flow.resource = Some(format!("{}/step-up", world.server_url));
    flow.nonce = nonce;
    flow.fresh = true;
    flow.acr = Some(ACR_CODE.to_owned());
    flow.dpop = Some((SecretKey::generate_es256(rand::random()), world.clock.now()));
    flow.run(&Person::named(who)).await.unwrap()
}

/// Elin votes; what her device sends is changed on the way. The vote must not count, and the call not go through.
async fn refused(
    world: World,
    change: impl Fn(Arc<World>, Value) -> futures_util::future::BoxFuture<'static, Value>
    + Send
    + Sync
    + 'static,
) -> String {
    let world = Arc::new(world);
    let elin = world.approver("elin").await.unwrap();
    let held = held(&world, "A-100").await;
    let txn = elin.request().await.unwrap().txn;
    let weak = Arc::downgrade(&world);
    world.wire.as_ref().unwrap().tamper(move |what, sent| {
        if !what.ends_with("/votes") || sent.get("step_up").is_none_or(Value::is_null) {
            return async move { sent }.boxed();
        }
        match weak.upgrade() {
            Some(world) => change(world, sent),
            None => async move { sent }.boxed(),
        }
    });
    let card = elin.confirm(&txn).await.unwrap();
    let (problem, _) =
        failure(&card).unwrap_or_else(|| panic!("it did not fail: {:?}", card.ballot));
    let sentence = problem.sentence.clone();
    let card = elin.app.card(&txn).await.unwrap();
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 0)
    );
    world.nothing_came_of(held).await.unwrap();
    sentence
}

fn nonce(sent: &Value) -> String {
    step_up_nonce(sent["vote"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_to_another_scope_does_not_count() {
    let world = world().await;
    refused(world, |world, mut sent| {
        async move {
            let tokens = stolen(&world, "elin", nonce(&sent), "approve:orders.delete").await;
            sent["step_up"]["id_token"] = json!(tokens.id_token().unwrap());
            sent["step_up"]["access_token"] = json!(tokens.access_token().unwrap());
            sent
        }
        .boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_not_tied_to_the_vote_does_not_count() {
    let world = world().await;
    refused(world, |world, mut sent| {
        async move {
            // The right scope, but under a key of the attacker's own.
            let tokens = stolen(&world, "elin", nonce(&sent), "approve:orders.prices").await;
            sent["step_up"]["access_token"] = json!(tokens.access_token().unwrap());
            sent
        }
        .boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_another_person_does_not_count() {
    let world = world().await;
    refused(world, |world, mut sent| {
        async move {
            let tokens = stolen(&world, "jonas", nonce(&sent), "approve:orders.prices").await;
            sent["step_up"]["id_token"] = json!(tokens.id_token().unwrap());
            sent
        }
        .boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_id_token_does_not_count() {
    let world = world().await;
    refused(world, |world, mut sent| {
        async move {
            // This provider's refreshed tokens echo the nonce of the sign-in, with a new `iat`.
            let flow = Flow::new(&world.op.issuer, APPROVER_CLIENT);
            let tokens = flow.run(&Person::named("elin")).await.unwrap();
            let again = flow
                .refresh(&tokens.refresh_token().unwrap())
                .await
                .unwrap();
            sent["step_up"]["id_token"] = json!(again.id_token().unwrap());
            sent
        }
        .boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_left_out_does_not_count() {
    let world = world().await;
    refused(world, |_, mut sent| {
        sent.as_object_mut().unwrap().remove("step_up");
        async move { sent }.boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_left_out_does_not_count() {
    let world = world().await;
    refused(world, |_, mut sent| {
        sent["step_up"]
            .as_object_mut()
            .unwrap()
            .remove("access_token");
        async move { sent }.boxed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_of_another_vote_does_not_count() {
    let world = Arc::new(world().await);
    let elin = world.approver("elin").await.unwrap();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let first = held(&world, "A-100").await;
    let txn = elin.request().await.unwrap().txn;
    let kept = Arc::clone(&seen);
    world.wire.as_ref().unwrap().tamper(move |what, mut sent| {
        if what.ends_with("/votes") && sent["step_up"].is_object() {
            let mut kept = kept.lock().unwrap();
            if let Some(before) = kept.first() {
                sent["step_up"] = before.clone();
            }
            kept.push(sent["step_up"].clone());
        }
        async move { sent }.boxed()
    });
    assert_eq!(failure(&elin.confirm(&txn).await.unwrap()), None);
    assert_eq!(first.await.unwrap().unwrap().status, 200);
    // The second vote travels with the first one's confirmation.
    let second = held(&world, "B-200").await;
    let txn = elin.request().await.unwrap().txn;
    let card = elin.confirm(&txn).await.unwrap();
    assert!(failure(&card).is_some(), "{:?}", card.ballot);
    assert!(seen.lock().unwrap().len() > 1, "it was sent");
    assert!(!second.is_finished());
    second.abort();
    assert_eq!(world.received().await.unwrap(), ["PUT /prices/A-100"]);
}

/// The same votes, but the server tells the gate something else about them.
async fn released_without(
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> (Answer, Vec<String>) {
    let world = world().await;
    world.wire.as_ref().unwrap().lie(move |_, mut answer| {
        let evidence = answer
            .get_mut("result")
            .and_then(|result| result.get_mut(EVIDENCE))
            .filter(|evidence| evidence.is_object());
        if let Some(evidence) = evidence {
            change(&mut evidence["votes"][0]);
        }
        answer
    });
    let elin: AtWork = world.approver("elin").await.unwrap();
    let held = held(&world, "A-100").await;
    let txn = elin.request().await.unwrap().txn;
    assert_eq!(failure(&elin.confirm(&txn).await.unwrap()), None);
    let answer = held.await.unwrap().unwrap();
    (answer, world.received().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_the_step_up_out_releases_nothing() {
    let (answer, received) = released_without(|vote| {
        vote.as_object_mut().unwrap().remove("step_up");
    })
    .await;
    assert_ne!(answer.status, 200);
    assert!(received.is_empty(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_passes_the_sign_in_off_as_a_step_up_releases_nothing() {
    let (answer, received) = released_without(|vote| {
        vote["step_up"]["id_token"] = vote["id_token"].clone();
    })
    .await;
    assert_ne!(answer.status, 200);
    assert!(received.is_empty(), "{answer:?}");
}
