//! The approver's stream: what comes, to whom, and how it ends.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use world::device::Device;
use world::{Answer, World};

const PATH: &str = "/approver/v1/stream";

struct Stream(WebSocketStream<TcpStream>);

impl Stream {
    async fn try_open(
        world: &World,
        device: &Device,
        headers: &[(&'static str, &str)],
    ) -> Result<Stream, u16> {
        let mut request = world
            .url(PATH)
            .replace("http://", "ws://")
            .into_client_request()
            .unwrap();
        let proof = device.dpop(world, "GET", PATH, Some(&device.access_token));
        let token = format!("DPoP {}", device.access_token);
        let own = [
            ("authorization", token.as_str()),
            ("dpop", &proof),
            ("sec-websocket-protocol", "countersign.v1"),
        ];
        for (name, value) in own.iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(world.id.as_str().strip_prefix("http://").unwrap())
            .await
            .unwrap();
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "countersign.v1");
                Ok(Stream(socket))
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens, and reads `hello`; gives its number too.
    async fn open(world: &World, device: &Device) -> (Stream, u64) {
        let mut stream = Stream::try_open(world, device, &[]).await.unwrap();
        let hello = stream.next().await;
        assert_eq!(
            (&hello["v"], &hello["type"], &hello["data"]["time"]),
            (&json!(1), &json!("hello"), &json!(world.now().0))
        );
        (stream, hello["data"]["seq"].as_u64().unwrap())
    }

    async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    panic!("{other:?}")
                }
            }
        }
    }

    async fn next_is(&mut self, kind: &str, data: Value) -> u64 {
        let frame = self.next().await;
        assert_eq!((&frame["type"], &frame["data"]), (&json!(kind), &data));
        frame["seq"].as_u64().unwrap()
    }

    async fn send(&mut self, kind: &str, data: Value) {
        let frame = json!({"type": kind, "data": data}).to_string();
        self.0.send(Message::text(frame)).await.unwrap();
    }

    async fn close_code(&mut self) -> u16 {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

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
