//! Who calls, to the letter: each part of an ask, a proof, a token, a binding that is not as it must be is refused by
//! itself.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::documents::{Ask, Pop};
use countersign_model::{Digest, Operation, PepId, ServerId, b64u_decode};
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::gate::Gate;
use world::{Answer, World, key};

const BINDINGS: &str = "/approver/v1/bindings";

#[tokio::test]
async fn an_ask_is_by_this_gate_for_this_server_and_of_now() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.delete");
    let now = world.now();
    let ask = async |name: &str, change: &dyn Fn(&mut Ask)| {
        let mut ask = gate.ask(&operation, 2);
        change(&mut ask);
        let body = Gate::submission(&operation, &ask.sign(&key("orders-gate")));
        gate.submit_as(&body, name).await
    };
    let elsewhere = ServerId::parse("https://elsewhere.example").unwrap();
    let another = PepId::parse("other-gate").unwrap();
    ask("other gate", &|it| it.iss = another.clone())
        .await
        .refused(403, "ask_other_party");
    ask("other server", &|it| it.aud = elsewhere.clone())
        .await
        .refused(403, "ask_other_party");
    // The clocks may differ by a minute, and no more; an ask is short-lived.
    let lives = |from: i64, secs: i64| {
        move |it: &mut Ask| {
            it.iat = now + from;
            it.exp = it.iat + secs;
        }
    };
    ask("future", &lives(61, 60)).await.refused(403, "ask_time");
    ask("long", &lives(0, 24 * 3600))
        .await
        .refused(403, "ask_time");
    ask("over", &lives(-121, 60)).await.refused(403, "ask_time");
    ask("ahead", &lives(60, 60)).await.is(202);
}

#[tokio::test]
async fn a_call_brings_exactly_one_proof_and_one_token() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let token = format!("DPoP {}", elin.access_token);
    let proof = || elin.dpop(&world, "GET", BINDINGS, Some(&elin.access_token));
    let call = || world.http.get(world.url(BINDINGS));
    let whole = call().header("authorization", &token);
    Answer::of(whole.header("dpop", proof())).await.is(200);

    let none = call().header("authorization", &token);
    Answer::of(none).await.refused(401, "dpop_malformed");
    let two = call().header("authorization", &token);
    let two = two.header("dpop", proof()).header("dpop", proof());
    Answer::of(two).await.refused(401, "dpop_malformed");
    let long = call().header("authorization", &token);
    Answer::of(long.header("dpop", "x".repeat(16 * 1024 + 1)))
        .await
        .refused(401, "dpop_malformed");
    let twice = call().header("authorization", &token);
    let twice = twice.header("authorization", &token);
    Answer::of(twice.header("dpop", proof()))
        .await
        .refused(401, "no_credentials");
    for bad in ["DPoP ", "Bearer x", "DPoP"] {
        let call = call().header("authorization", bad).header("dpop", proof());
        Answer::of(call).await.refused(401, "no_credentials");
    }
    let long = format!("DPoP {}", "x".repeat(16 * 1024 + 1));
    let call = call().header("authorization", long).header("dpop", proof());
    Answer::of(call).await.refused(401, "no_credentials");
}

#[tokio::test]
async fn an_access_token_is_this_servers_own() {
    let (world, other) = (World::new().await, World::new().await);
    let elin = world.sign_in("elin").await;
    let elsewhere = other.sign_in("elin").await;
    // Of another server; none at all.
    for token in [elsewhere.access_token.as_str(), "x.y.z"] {
        let proof = elin.dpop(&world, "GET", BINDINGS, Some(token));
        let call = world.http.get(world.url(BINDINGS)).header("dpop", proof);
        let call = call.header("authorization", format!("DPoP {token}"));
        Answer::of(call).await.refused(401, "token_invalid");
    }
}

#[tokio::test]
async fn the_token_endpoint_knows_two_grants() {
    let world = World::new().await;
    let device = world.unbound("elin", |_| {});
    let nonce = Device::nonce(&world).await;
    let mut form = device.exchange_form(&world, &nonce);
    form[0].1 = "client_credentials".to_owned();
    device
        .token(&world, &form)
        .await
        .refused(400, "unsupported_grant_type");
    let mut form = device.exchange_form(&world, &nonce);
    form[2].1 = "urn:ietf:params:oauth:token-type:access_token".to_owned();
    device
        .token(&world, &form)
        .await
        .refused(400, "invalid_request");
    // A refusal uses nothing up.
    let form = device.exchange_form(&world, &nonce);
    device.token(&world, &form).await.is(200);
    let requester = world.access_token("mara", |_| {});
    let gates_only = world.http.post(world.url("/access/v1/evaluation"));
    let gates_only = gates_only.bearer_auth(requester).json(&json!({}));
    Answer::of(gates_only).await.refused(403, "gates_only");
}

#[tokio::test]
async fn a_gate_evaluates_what_is_its_own() {
    let world = World::new().await;
    let other = world.other_gate();
    let theirs = world.operation("orders.customers.read");
    other.evaluate(&theirs).await.refused(403, "other_pep");
    let not_registered = world.operation_with("orders.customers.delete", |it| {
        it["context"]["pep"] = json!("other-gate");
    });
    let answer = other.evaluate(&not_registered).await.is(200);
    assert_eq!(
        (&answer["decision"], &answer["context"]["reason"]),
        (&json!(false), &json!("policy_denied"))
    );
    // What is approved is redeemed alone, not in a batch.
    let mut batch = world.operation("orders.customers.read").value().clone();
    batch["context"]["approval"] = json!({ "id": "x", "redemption_id": "r" });
    batch["evaluations"] = json!([{}]);
    let call = world.gate().call(Method::POST, "/access/v1/evaluations");
    Answer::of(call.json(&batch)).await.refused(400, "body");
}

#[tokio::test]
async fn a_denial_is_answered_soon_and_for_what_was_denied() {
    let world = World::new().await;
    let gate = world.gate();
    let delete = || world.operation("orders.customers.delete");
    let denial = gate.evaluate(&delete()).await.is(200);
    let denial = &denial["context"]["access_request"]["evaluation_id"];
    let submit = async |operation: &Operation, approvals, name: &str| {
        let ask = gate.ask(operation, approvals).sign(&key("orders-gate"));
        let mut body = Gate::submission(operation, &ask);
        body["denial"] = json!({ "evaluation_id": denial });
        gate.submit_as(&body, name).await
    };
    let rename = world.operation("orders.customers.rename");
    submit(&rename, 1, "another")
        .await
        .refused(400, "denial_unknown");
    submit(&delete(), 2, &"x".repeat(129))
        .await
        .refused(400, "idempotency_key");
    world.wait(300);
    submit(&delete(), 2, &"x".repeat(128)).await.is(202);
    world.wait(1);
    submit(&delete(), 2, "late")
        .await
        .refused(400, "denial_unknown");
}

#[tokio::test]
async fn a_proof_of_possession_is_for_this_server_this_statement_and_now() {
    let world = World::new().await;
    let device = world.unbound("elin", |_| {});
    let nonce = Device::nonce(&world).await;
    let exchange = async |change: &dyn Fn(&mut Pop)| {
        let mut pop = Pop {
            aud: world.id.clone(),
            nonce: nonce.clone(),
            cic_digest: device.statement.id(),
            iat: world.now(),
        };
        change(&mut pop);
        let mut form = device.exchange_form(&world, &nonce);
        form[4].1 = pop.sign(&device.dk);
        device.token(&world, &form).await
    };
    let elsewhere = ServerId::parse("https://elsewhere.example").unwrap();
    let refused: [&dyn Fn(&mut Pop); 4] = [
        &|it| it.aud = elsewhere.clone(),
        &|it| it.cic_digest = Digest::of(b"another"),
        &|it| it.iat = it.iat + 61,
        &|it| it.iat = it.iat - 61,
    ];
    for change in refused {
        exchange(change).await.refused(400, "invalid_grant");
    }
    exchange(&|it| it.iat = it.iat - 60).await.is(200);
}

#[tokio::test]
async fn a_binding_is_of_its_own_device_and_person() {
    let world = World::new().await;
    let (mut elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    // By another session key.
    let nonce = Device::nonce(&world).await;
    let renewal = "urn:countersign:params:oauth:grant-type:binding";
    let form = [
        ("grant_type", renewal.to_owned()),
        ("binding_id", elin.statement.id().to_string()),
        ("proof", elin.pop(&world, &nonce)),
    ];
    jonas
        .token(&world, &form)
        .await
        .refused(400, "invalid_grant");
    elin.token(&world, &form).await.is(200);
    // The same keys and statement, by somebody else's sign-in.
    let own = elin.id_token.clone();
    elin.id_token = world.id_token("jonas", &elin.statement.nonce(), |_| {});
    elin.exchange(&world).await.refused(400, "invalid_grant");
    elin.id_token = own;
    elin.exchange(&world).await.is(200);
    // A sign-in from before another of her devices was signed out binds nothing any more, not even again.
    let phone = world.sign_in("elin").await;
    let path = format!("{BINDINGS}/{}", phone.statement.id());
    let out = Answer::of(elin.call(&world, Method::DELETE, &path)).await;
    assert_eq!(out.status, 204);
    elin.exchange(&world)
        .await
        .refused(400, "use_fresh_sign_in");
    // Signed out, it is not renewed.
    elin.renew(&world, None).await.is(200);
    let path = format!("{BINDINGS}/{}", elin.statement.id());
    let out = Answer::of(elin.call(&world, Method::DELETE, &path)).await;
    assert_eq!(out.status, 204);
    elin.renew(&world, None)
        .await
        .refused(400, "binding_revoked");
}

#[tokio::test]
async fn a_search_is_bounded_and_refused_votes_are_not_written_down_without_end() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let long = format!("/approver/v1/history?q={}", "x".repeat(513));
    elin.get(&world, &long).await.refused(400, "query");
    let txn = world
        .gate()
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let nonsense = || elin.cast(&world, &txn, "not.a.jws");
    for _ in 0..30 {
        nonsense().await.refused(400, "vote_unreadable");
    }
    nonsense().await.refused(429, "rate_limited");
    world.wait(60);
    nonsense().await.refused(400, "vote_unreadable");
}

#[tokio::test]
async fn a_sign_in_bound_to_a_key_is_taken_only_where_the_provider_says_that_it_binds_them() {
    let world = World::new().await;
    let mut device = world.unbound("elin", |_| {});
    let payload = device.id_token.split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&b64u_decode(payload).unwrap()).unwrap();
    claims["cnf"] = json!({ "jkt": device.dk.public().thumbprint() });
    let plain = std::mem::replace(
        &mut device.id_token,
        world::signed(&world::op_key(), "dpop+id_token", &claims),
    );
    device.exchange(&world).await.refused(400, "invalid_grant");
    device.id_token = plain;
    device.exchange(&world).await.is(200);
}
