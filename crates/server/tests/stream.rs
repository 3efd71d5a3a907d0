//! The approver's stream: what comes, to whom, and how it ends.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use reqwest::Method;
use serde_json::json;
use world::socket::{PATH, Stream};
use world::{Answer, World};

#[tokio::test]
async fn each_change_comes_in_order_to_those_who_see_it() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas, otto) = (
        world.sign_in("elin").await,
        world.sign_in("jonas").await,
        world.sign_in("otto").await,
    );
    let (mut of_elin, start) = Stream::open(&world, &elin).await;
    let (mut of_otto, _) = Stream::open(&world, &otto).await;

    let txn = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let created = of_elin
        .next_is("request.created", json!({"txn": txn}))
        .await;
    assert!(created > start);
    let list = elin.get(&world, "/approver/v1/requests").await.is(200);
    assert!(list["seq"].as_u64().unwrap() >= created);
    jonas.vote(&world, &txn, Choice::Approve).await.is(200);
    let updated = of_elin
        .next_is("request.updated", json!({"txn": txn}))
        .await;
    elin.vote(&world, &txn, Choice::Deny).await.is(200);
    let closed = json!({"txn": txn, "state": "denied", "by": "elin the tester"});
    let last = of_elin.next_is("request.closed", closed.clone()).await;
    assert!(created < updated && updated < last);

    // A device of the same person is announced to them alone; otto has heard nothing of the rest.
    let new = world.sign_in("otto").await;
    of_otto
        .next_is(
            "binding.added",
            json!({"binding_id": new.statement.id().to_string()}),
        )
        .await;

    // Cut, and resumed: everything after the number that was dealt with comes again, once.
    drop(of_elin);
    let second = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let (mut of_elin, newest) = Stream::open(&world, &elin).await;
    assert!(newest > last);
    of_elin.send("resume", json!({"seq": updated})).await;
    assert_eq!(of_elin.next_is("request.closed", closed).await, last);
    let seq = of_elin
        .next_is("request.created", json!({"txn": second}))
        .await;
    of_elin.send("ack", json!({"seq": seq})).await;
    // From a number that never was: read the list.
    of_elin.send("resume", json!({"seq": newest + 100})).await;
    of_elin.next_is("reset", json!({"seq": newest})).await;

    world.pass(600).await;
    // The access tokens have ended with it.
    assert_eq!(of_elin.close_code().await, 3000);
}

#[tokio::test]
async fn expiry_and_use_are_told() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.rename");
    let first = gate.open(&operation, 1).await;
    let second = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let mut elin = world.sign_in("elin").await;
    let (mut stream, _) = Stream::open(&world, &elin).await;
    elin.vote(&world, &first, Choice::Approve).await.is(200);
    let approved = json!({"txn": first, "state": "approved", "by": "elin the tester"});
    stream.next_is("request.closed", approved).await;
    gate.redeem(&operation, &first, "r").await.is(200);
    stream
        .next_is("request.updated", json!({"txn": first}))
        .await;

    // Shortly before its token ends it is told, and goes on with a new one.
    world.pass(500).await;
    let at = world.now().0 + 100;
    stream.next_is("session.expiring", json!({"at": at})).await;
    elin.renew(&world, None).await.is(200);
    let proof = elin.dpop(&world, "GET", PATH, Some(&elin.access_token));
    stream
        .send(
            "auth",
            json!({"access_token": elin.access_token, "dpop": proof}),
        )
        .await;
    // An answer on the socket shows that `auth` was dealt with before the clock moves on.
    stream.send("resume", json!({"seq": 1_000_000})).await;
    assert_eq!(stream.next().await["type"], "reset");
    world.pass(100).await;
    stream
        .next_is("request.closed", json!({"txn": second, "state": "expired"}))
        .await;
    world.pass(500).await;
    assert_eq!(stream.close_code().await, 3000);
}

#[tokio::test]
async fn a_stream_goes_on_by_a_token_of_its_own_device_only() {
    let world = World::new().await;
    let (elin, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    let (mut stream, _) = Stream::open(&world, &elin).await;
    let proof = phone.dpop(&world, "GET", PATH, Some(&phone.access_token));
    let auth = json!({"access_token": phone.access_token, "dpop": proof});
    stream.send("auth", auth).await;
    assert_eq!(stream.close_code().await, 3000);
}

#[tokio::test]
async fn one_socket_for_each_session_key() {
    let world = World::new().await;
    let (elin, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    let (mut first, _) = Stream::open(&world, &elin).await;
    let (mut other, _) = Stream::open(&world, &phone).await;
    let (mut second, _) = Stream::open(&world, &elin).await;
    assert_eq!(first.close_code().await, 4001);
    // The other device's is not touched, until that device is revoked.
    let path = format!("/approver/v1/bindings/{}", phone.statement.id());
    Answer::of(elin.call(&world, Method::DELETE, &path))
        .await
        .is(204);
    assert_eq!(other.close_code().await, 4002);
    let revoked = json!({"binding_id": phone.statement.id().to_string()});
    second.next_is("binding.revoked", revoked).await;
    assert_eq!(Stream::try_open(&world, &phone, &[]).await.err(), Some(401));
}

#[tokio::test]
async fn who_is_not_let_in_and_how_a_server_says_goodbye() {
    let mut world = World::new().await;
    let elin = world.sign_in("elin").await;
    let origin = [("origin", "https://evil.example")];
    assert_eq!(
        Stream::try_open(&world, &elin, &origin).await.err(),
        Some(403)
    );
    let protocol = [("sec-websocket-protocol", "something.else")];
    assert_eq!(
        Stream::try_open(&world, &elin, &protocol).await.err(),
        Some(400)
    );
    let (mut stream, _) = Stream::open(&world, &elin).await;
    stream.send("hello", json!({})).await;
    assert_eq!(stream.close_code().await, 1008);
    let (mut stream, _) = Stream::open(&world, &elin).await;
    world.stop().await;
    assert_eq!(stream.close_code().await, 1012);
}
