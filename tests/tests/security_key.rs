//! Votes that a security key confirms, for people whose provider cannot confirm one: the driver and its frames, a key in
//! software at the other end of them, real server, gate and providers.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[allow(dead_code, reason = "the driver's own tests look at more of it")]
#[path = "../../crates/agent/tests/security_key/soft.rs"]
mod soft;

use std::sync::{Arc, Mutex};

use countersign_agent::security_key::Keys;
use countersign_api::ipc::{Ballot, Card, Choice, KeyWaits, Outcome, Pin, SignIn, StepUpPhase};
use countersign_approver::Options;
use countersign_tests::approver::{AtWork, failure};
use countersign_tests::person::Person;
use countersign_tests::setup::Rules;
use countersign_tests::world::{Network, People, Plan, World};
use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::Value;
use soft::{Desk, Kind, Place, Soft};

const CREDIT: &str = "/customers/42/credits";

/// Where this key is plugged in, and a program with a way to it.
fn plugged_in(key: &Soft) -> (Place, Options) {
    let desk = Place(Arc::new(Desk::default()));
    desk.keys.lock().unwrap().push(key.clone());
    let options = Options {
        security_key: Some(Arc::new(Keys::new(desk.clone()))),
        ..Options::default()
    };
    (desk, options)
}

fn pin() -> Pin {
    Pin::new("2580".to_owned())
}

/// They add their key in the settings, and sign in once more for it.
async fn adds_key(who: &AtWork) {
    let app = who.app.clone();
    let adding = tokio::spawn(async move { app.add_security_key().await });
    who.until("the question for the PIN", |state| {
        let waits = &state.sign_in;
        matches!(
            waits,
            SignIn::WaitingForKey {
                waits: KeyWaits::Pin { .. }
            }
        )
        .then_some(())
    })
    .await
    .unwrap();
    who.app.give_pin(None, pin()).unwrap();
    adding.await.unwrap().unwrap();
}

/// They type the PIN that the key asks for, and touch it.
async fn touches(who: &AtWork, txn: &str) -> Card {
    who.until_card(txn, "the question for the PIN", |card| {
        let Ballot::StepUp { phase, .. } = &card.ballot else {
            return None;
        };
        let waits = matches!(
            phase,
            StepUpPhase::WaitingForKey {
                waits: KeyWaits::Pin { .. },
                ..
            }
        );
        waits.then_some(())
    })
    .await
    .unwrap();
    who.app.give_pin(Some(txn), pin()).unwrap();
    who.confirmation(txn).await.unwrap()
}

fn sentence(card: &Card) -> &str {
    let failed = failure(card);
    let (problem, _) = failed.unwrap_or_else(|| panic!("it did not fail: {:?}", card.ballot));
    &problem.sentence
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_provider_cannot_the_key_that_it_vouches_for_confirms() {
    let world = World::federated().await.unwrap();
    let (mine, other) = (
        Soft::new(Kind::default()),
        Soft::new(Kind {
            name: "Other key",
            ..Kind::default()
        }),
    );
    let (desk, options) = plugged_in(&mine);
    let quay = world.second.as_ref().unwrap();
    quay.consent_once(&Person::named("nadia")).await.unwrap();
    let nadia = AtWork::sign_in_with(
        "nadia",
        &world.server_url,
        &quay.issuer,
        world.clock(),
        options,
    )
    .await
    .unwrap();
    let held = world.asks("mara", Method::POST, CREDIT).await.unwrap();
    let txn = nadia.request().await.unwrap().txn;
    let card = nadia.app.card(&txn).await.unwrap();
    let Ballot::Locked { sentence: says, .. } = &card.ballot else {
        panic!("no key is bound yet: {:?}", card.ballot)
    };
    assert!(says.contains("Add yours in the settings"), "{says}");
    adds_key(&nadia).await;

    // Somebody else's key, or one that this sign-in does not list.
    desk.keys.lock().unwrap()[0] = other;
    let card = nadia.confirm(&txn).await.unwrap();
    assert!(sentence(&card).contains("not a security key that is bound"));
    assert_eq!(
        (card.row.outcome, card.row.approvals),
        (Outcome::Pending, 0)
    );
    assert!(!held.is_finished());
    assert!(world.received().await.unwrap().is_empty());

    desk.keys.lock().unwrap()[0] = mine;
    nadia.app.retry_step_up(&txn).await.unwrap();
    assert_eq!(failure(&touches(&nadia, &txn).await), None);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(world.received().await.unwrap(), [format!("POST {CREDIT}")]);
    // What proves it is the touch; the provider signed nothing for this vote.
    let mut kept = std::fs::read_dir(world.setup.path("evidence")).unwrap();
    let bytes = std::fs::read(kept.next().unwrap().unwrap().path()).unwrap();
    let evidence: Value = serde_json::from_slice(&bytes).unwrap();
    let step_up = &evidence["votes"][0]["step_up"];
    assert!(step_up["authenticator_data"].is_string(), "{step_up}");
    assert!(step_up.get("id_token").is_none(), "{step_up}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_for_another_vote_does_not_count() {
    let world = World::by(Plan {
        network: Network::Wire,
        rules: Rules::QueryLevel,
        people: People::OfOneProvider,
    })
    .await
    .unwrap();
    let (_, options) = plugged_in(&Soft::new(Kind::default()));
    let harbor = &world.op.issuer;
    let elin = AtWork::sign_in_with("elin", &world.server_url, harbor, world.clock(), options)
        .await
        .unwrap();
    adds_key(&elin).await;
    // Whoever has the device keeps the first touch, and sends it along with the next vote.
    let kept: Arc<Mutex<Option<Value>>> = Arc::default();
    let first = Arc::clone(&kept);
    world.wire.as_ref().unwrap().tamper(move |what, mut sent| {
        if what.ends_with("/votes") && sent["step_up"].is_object() {
            let mut first = first.lock().unwrap();
            let touch = first.get_or_insert_with(|| sent["step_up"].clone());
            sent["step_up"] = touch.clone();
        }
        async move { sent }.boxed()
    });
    let vote = async || {
        let held = world.asks("mara", Method::POST, CREDIT).await.unwrap();
        let txn = elin.request().await.unwrap().txn;
        elin.vote_on(&txn, Choice::Approve, None, None)
            .await
            .unwrap();
        (held, touches(&elin, &txn).await)
    };
    let (held, card) = vote().await;
    assert_eq!(failure(&card), None);
    assert_eq!(held.await.unwrap().unwrap().status, 201);
    assert!(kept.lock().unwrap().is_some(), "it was sent");
    elin.until("an empty inbox", |state| {
        state.inbox.is_empty().then_some(())
    })
    .await
    .unwrap();
    let (held, card) = vote().await;
    assert!(
        sentence(&card).contains("confirmed another vote"),
        "{card:?}"
    );
    assert!(!held.is_finished());
    held.abort();
    assert_eq!(world.received().await.unwrap(), [format!("POST {CREDIT}")]);
}
