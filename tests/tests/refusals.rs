//! What does not go through: own requests, outsiders, time, tokens that are none, an approval used before.

#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use countersign_api::ipc::{Ballot, Choice, Outcome, WhyLocked};
use countersign_tests::provider::{APPROVER_CLIENT, CLI_CLIENT, ORDERS_AUDIENCE};
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use serde_json::{Value, json};

const DELETE: &str = "/customers/42";

/// Asks without waiting; the id to come back with.
async fn ask(world: &World, token: &str) -> String {
    let call = world
        .call(Method::DELETE, DELETE, token)
        .header("prefer", "respond-async");
    let answer = Answer::of(call.send().await.unwrap()).await.unwrap();
    assert_eq!(
        (answer.status, answer.code()),
        (403, "approval_pending"),
        "{answer:?}"
    );
    answer.approval_id.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_votes_on_their_own_request() {
    let world = World::start().await.unwrap();
    world
        .op
        .set_groups("elin", &["dba", "orders-dev"])
        .await
        .unwrap();
    let elin = world.approver("elin").await.unwrap();
    let txn = ask(&world, &world.token("elin").await.unwrap()).await;
    elin.until("her own request among the others", |state| {
        state.others.iter().any(|row| row.txn == txn).then_some(())
    })
    .await
    .unwrap();
    let card = elin.app.card(&txn).await.unwrap();
    assert!(
        matches!(
            card.ballot,
            Ballot::Locked {
                why: WhyLocked::OwnRequest,
                ..
            }
        ),
        "{:?}",
        card.ballot
    );
    let refused = elin
        .vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("yourself"), "{refused}");
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_sees_nothing_and_cannot_vote() {
    let world = World::start().await.unwrap();
    let [elin, otto] = world.approvers(["elin", "otto"]).await.unwrap();
    let txn = ask(&world, &world.token("mara").await.unwrap()).await;
    elin.request().await.unwrap();
    assert!(otto.app.state().borrow().inbox.is_empty());
    assert!(otto.app.state().borrow().others.is_empty());
    otto.app.card(&txn).await.unwrap_err();
    otto.vote_on(&txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    // Not by the call through the gate either: his groups let him do nothing there.
    let call = world.call(Method::DELETE, DELETE, &world.token("otto").await.unwrap());
    let answer = Answer::of(call.send().await.unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.code()), (403, "policy_denied"));
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_of_somebody_who_has_left_the_group_does_not_count() {
    let world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    world.op.set_groups("jonas", &[]).await.unwrap();
    // Claims are asserted anew when they are older than the policy allows at the vote.
    world.advance(301).await.unwrap();
    let held = world.asks("mara", Method::DELETE, DELETE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas
        .vote_on(&card.row.txn, Choice::Approve, None, None)
        .await
        .unwrap_err();
    world.nothing_came_of(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_denies() {
    let world = World::start().await.unwrap();
    let elin = world.approver("elin").await.unwrap();
    let held = world.asks("mara", Method::DELETE, DELETE).await.unwrap();
    let card = elin.vote(Choice::Approve, None, None).await.unwrap();
    world.advance(601).await.unwrap();
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.code().contains("expired"), "{answer:?}");
    elin.until("that it is over", |state| {
        (state.inbox.is_empty() && state.others.is_empty()).then_some(())
    })
    .await
    .unwrap();
    let card = elin.app.card(&card.row.txn).await.unwrap();
    assert_eq!(card.row.outcome, Outcome::Expired);
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_retries_with_one_approval_go_through_once() {
    let world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let txn = ask(&world, &token).await;
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    let tries: Vec<_> = (0..1000)
        .map(|_| {
            world.held(
                world
                    .call(Method::DELETE, DELETE, &token)
                    .header("approval-id", &txn),
            )
        })
        .collect();
    let mut through = 0;
    for one in tries {
        // A connection that the gate had no slot for is no way through either.
        if let Ok(answer) = one.await.unwrap() {
            assert!(
                answer.status != 200 || answer.body["deleted"] == "42",
                "{answer:?}"
            );
            through += u32::from(answer.status == 200);
        }
    }
    assert_eq!(through, 1);
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/42"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_for_the_very_call_that_was_shown() {
    let world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let txn = ask(&world, &token).await;
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    for (path, caller) in [
        ("/customers/41", &token),
        ("/customers/42?really=1", &token),
    ] {
        let call = world
            .call(Method::DELETE, path, caller)
            .header("approval-id", &txn);
        let answer = Answer::of(call.send().await.unwrap()).await.unwrap();
        assert_ne!(answer.status, 200, "{path}: {answer:?}");
    }
    assert!(world.received().await.unwrap().is_empty());
}

fn part(value: &Value) -> String {
    B64U.encode(value.to_string())
}

/// The claims of a good token, as somebody who forges one would copy them.
fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&B64U.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_prove_nothing_are_answered_401() {
    let world = World::start().await.unwrap();
    let good = world.token("mara").await.unwrap();
    let claims = claims_of(&good);
    let header: Value =
        serde_json::from_slice(&B64U.decode(good.split('.').next().unwrap()).unwrap()).unwrap();
    let unsigned = format!(
        "{}.{}.",
        part(&json!({ "alg": "none", "typ": "at+jwt" })),
        part(&claims)
    );
    // HMAC under the provider's public key, as verifiers that trust `alg` would accept it.
    let jwks = world
        .http
        .get(format!("{}/jwks", world.op.issuer))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let signed = format!(
        "{}.{}",
        part(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": header["kid"] })),
        part(&claims)
    );
    let confused = format!(
        "{signed}.{}",
        B64U.encode(hmac_sha256(jwks.as_bytes(), signed.as_bytes()))
    );
    let mut altered = claims.clone();
    altered["groups"] = json!(["orders-dev", "dba"]);
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    parts[1] = part(&altered);
    let altered = parts.join(".");
    let person = countersign_tests::person::Person::named("mara");
    let elsewhere = person
        .access_token(
            &world.op.issuer,
            CLI_CLIENT,
            Some("urn:countersign:demo:other"),
        )
        .await
        .unwrap();
    let approver = person
        .access_token(&world.op.issuer, APPROVER_CLIENT, Some(ORDERS_AUDIENCE))
        .await
        .unwrap();
    let cases = [
        ("not a token", "garbage".to_owned()),
        ("unsigned", unsigned),
        ("HMAC under a public key", confused),
        ("altered", altered),
        ("for another audience", elsewhere),
        ("of the approver client", approver),
    ];
    for (what, token) in cases {
        for method in [Method::GET, Method::DELETE] {
            let answer = Answer::of(world.call(method, DELETE, &token).send().await.unwrap())
                .await
                .unwrap();
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            let said = answer.authenticate.unwrap();
            assert!(said.starts_with("Bearer "), "{what}: {said}");
        }
    }
    let missing = world
        .http
        .delete(format!("{}{DELETE}", world.gate_url))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 401);
    assert!(missing.headers().contains_key("www-authenticate"));
    // The same good token, once its time is over.
    assert_eq!(
        world
            .call(Method::GET, DELETE, &good)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    world.advance(700).await.unwrap();
    let answer = Answer::of(world.call(Method::GET, DELETE, &good).send().await.unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status, 401, "expired: {answer:?}");
    assert_eq!(world.received().await.unwrap(), ["GET /customers/42"]);
}

/// RFC 2104.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let key = if key.len() > 64 {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    let pad = |byte: u8| -> Vec<u8> {
        (0..64)
            .map(|at| key.get(at).copied().unwrap_or(0) ^ byte)
            .collect()
    };
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}
