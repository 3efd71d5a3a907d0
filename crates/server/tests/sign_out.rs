//! The provider says that sessions are over: by a security event, by a logout. And administrators end devices.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use countersign_evidence::SecretKey;
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::socket::Stream;
use world::{Answer, CLIENT, World, signed};

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const CREDENTIAL: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const RENAME: &str = "orders.customers.rename";

async fn push(world: &World, token: &str) -> Answer {
    let call = world.http.post(world.url("/events/v1/0"));
    let call = call.header("content-type", "application/secevent+jwt");
    Answer::of(call.body(token.to_owned())).await
}

fn event(world: &World, kind: &str, sub: &str, change: impl FnOnce(&mut Value)) -> String {
    let claims = json!({
        "aud": world.id.as_str(),
        "sub_id": { "format": "iss_sub", "iss": world.issuer.as_str(), "sub": sub },
        "events": { kind: { "event_timestamp": world.now().0 } },
    });
    world.said("secevent+jwt", claims, change)
}

async fn log_out(world: &World, token: &str) -> Answer {
    let call = world.http.post(world.url("/oidc/v1/backchannel-logout"));
    Answer::of(call.form(&[("logout_token", token)])).await
}

fn logout(world: &World, sub: &str, change: impl FnOnce(&mut Value)) -> String {
    let claims = json!({
        "aud": CLIENT, "sub": sub, "exp": world.now().0 + 120, "events": { LOGOUT: {} },
    });
    world.said("logout+jwt", claims, change)
}

async fn is_out(world: &World, device: &Device) {
    let answer = device.get(world, "/approver/v1/requests").await;
    answer.refused(401, "binding_revoked");
}

#[tokio::test]
async fn an_event_ends_sessions_streams_and_votes_and_later_sign_ins_count() {
    let mut world = World::new().await;
    let gate = world.gate();
    let operation = world.operation(RENAME);
    let txn = gate.open(&operation, 1).await;
    let (elin, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    let jonas = world.sign_in("jonas").await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    let (mut of_elin, _) = Stream::open(&world, &elin).await;
    let (mut of_jonas, _) = Stream::open(&world, &jonas).await;

    let said = event(&world, REVOKED, "elin", |_| {});
    assert_eq!(push(&world, &said).await.status, 202);
    for device in [&elin, &phone] {
        is_out(&world, device).await;
    }
    jonas.get(&world, "/approver/v1/requests").await.is(200);
    // What was published comes before the end.
    assert_eq!(of_elin.close_code().await, 4002);
    of_jonas
        .next_is("request.closed", json!({ "txn": txn, "state": "voided" }))
        .await;
    assert_eq!(gate.task(&txn).await.is(200)["status"], "failed");
    let redeem = gate.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(redeem["context"]["reason"], "approval_voided");

    // Neither the old keys nor an older sign-in come back, also after a restart; a later one does.
    world = {
        let mut world = world;
        world.restart().await;
        world
    };
    is_out(&world, &elin).await;
    world.wait(10);
    let mut older = world.unbound("elin", |it| {
        it["auth_time"] = json!(it["auth_time"].as_i64().unwrap() - 5);
    });
    older
        .exchange(&world)
        .await
        .refused(400, "use_fresh_sign_in");
    older = world.unbound("elin", |_| {});
    older.bind(&world).await;

    // The same event again, and a new one that is older than the sign-in, end nothing more.
    assert_eq!(push(&world, &said).await.status, 202);
    let late = event(&world, CREDENTIAL, "elin", |it| {
        it["iat"] = json!(it["iat"].as_i64().unwrap() - 6);
    });
    assert_eq!(push(&world, &late).await.status, 202);
    older.get(&world, "/approver/v1/requests").await.is(200);
    let now = event(&world, CREDENTIAL, "elin", |_| {});
    assert_eq!(push(&world, &now).await.status, 202);
    is_out(&world, &older).await;
}

#[tokio::test]
async fn an_event_that_is_not_the_providers_to_say_ends_nothing() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let good = |change: fn(&mut Value)| event(&world, REVOKED, "elin", change);
    let claims = json!({
        "iss": world.issuer.as_str(), "iat": world.now().0, "jti": "x", "aud": world.id.as_str(),
        "sub_id": { "format": "iss_sub", "iss": world.issuer.as_str(), "sub": "elin" },
        "events": { REVOKED: {} },
    });
    let stranger = signed(&SecretKey::generate_es256([7; 32]), "secevent+jwt", &claims);
    for (token, err) in [
        (stranger, "invalid_key"),
        (signed(&world::op_key(), "JWT", &claims), "invalid_request"),
        (
            signed(&world::op_key(), "at+jwt", &claims),
            "invalid_request",
        ),
        (
            good(|it| it["iss"] = json!("https://evil.example")),
            "invalid_issuer",
        ),
        (
            good(|it| it["aud"] = json!("https://other.example")),
            "invalid_audience",
        ),
        (
            good(|it| it["iat"] = json!(it["iat"].as_i64().unwrap() + 61)),
            "invalid_request",
        ),
        (
            good(|it| drop(it.as_object_mut().unwrap().remove("jti"))),
            "invalid_request",
        ),
        (good(|it| it["events"] = json!({})), "invalid_request"),
        (good(|it| it["nonce"] = json!("n")), "invalid_request"),
        (
            good(|it| it["sub_id"] = json!({ "format": "email", "email": "elin@example" })),
            "invalid_request",
        ),
        (
            good(|it| it["sub_id"]["iss"] = json!("https://other.example")),
            "invalid_request",
        ),
        (elin.id_token.clone(), "invalid_request"),
        ("nothing".to_owned(), "invalid_request"),
    ] {
        let answer = push(&world, &token).await;
        assert_eq!(
            (answer.status, answer.body["err"].as_str()),
            (400, Some(err)),
            "{answer:?}"
        );
    }
    let call = world.http.post(world.url("/events/v1/0"));
    let as_form = Answer::of(call.body(good(|_| {}))).await;
    assert_eq!(as_form.status, 400);
    let call = world.http.post(world.url("/events/v1/1"));
    Answer::of(call.body("x")).await.refused(404, "not_found");
    // What ends nothing is taken, so that it is not sent again.
    let verification = good(|it| {
        it["events"] =
            json!({ "https://schemas.openid.net/secevent/ssf/event-type/verification": {} });
    });
    assert_eq!(push(&world, &verification).await.status, 202);
    elin.get(&world, "/approver/v1/requests").await.is(200);
}

#[tokio::test]
async fn a_logout_ends_the_session_that_it_names() {
    let world = World::new().await;
    let mut devices = Vec::new();
    for sid in [Some("s1"), Some("s2"), None] {
        let mut device = world.unbound("elin", |it| {
            if let Some(sid) = sid {
                it["sid"] = json!(sid);
            }
        });
        device.bind(&world).await;
        devices.push(device);
    }
    let [one, two, unnamed] = devices.as_slice() else {
        unreachable!()
    };
    let jonas = world.sign_in("jonas").await;

    // By its session alone; whose it is, the binding tells. One whose session is not known cannot be spared.
    let by_sid = logout(&world, "elin", |it| {
        it["sid"] = json!("s1");
        it.as_object_mut().unwrap().remove("sub");
    });
    let (mut of_two, _) = Stream::open(&world, two).await;
    assert_eq!(log_out(&world, &by_sid).await.status, 200);
    // The other session is told of both that ended, and not of itself.
    let mut told = Vec::new();
    for _ in 0..2 {
        let frame = of_two.next().await;
        assert_eq!(frame["type"], "binding.revoked");
        told.push(frame["data"]["binding_id"].as_str().unwrap().to_owned());
    }
    told.sort();
    let mut ended = [
        one.statement.id().to_string(),
        unnamed.statement.id().to_string(),
    ];
    ended.sort();
    assert_eq!(told, ended);
    is_out(&world, one).await;
    is_out(&world, unnamed).await;
    two.get(&world, "/approver/v1/requests").await.is(200);
    assert_eq!(
        log_out(&world, &by_sid).await.status,
        200,
        "again is the same"
    );

    let all = logout(&world, "elin", |_| {});
    assert_eq!(log_out(&world, &all).await.status, 200);
    is_out(&world, two).await;
    jonas.get(&world, "/approver/v1/requests").await.is(200);
    let nobodys = logout(&world, "elin", |it| {
        it["sid"] = json!("unknown");
        it.as_object_mut().unwrap().remove("sub");
    });
    assert_eq!(log_out(&world, &nobodys).await.status, 200);
    jonas.get(&world, "/approver/v1/requests").await.is(200);
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let good = |change: fn(&mut Value)| logout(&world, "elin", change);
    for token in [
        good(|it| it["nonce"] = json!("n")),
        good(|it| it["aud"] = json!("another-client")),
        good(|it| it["aud"] = json!([CLIENT, "another"])),
        good(|it| it["iss"] = json!("https://evil.example")),
        good(|it| it["events"] = json!({})),
        good(|it| it["events"] = json!({ LOGOUT: true })),
        good(|it| it["iat"] = json!(it["iat"].as_i64().unwrap() - 601)),
        good(|it| it["iat"] = json!(it["iat"].as_i64().unwrap() + 61)),
        good(|it| it["exp"] = json!(it["iat"].as_i64().unwrap() - 61)),
        good(|it| drop(it.as_object_mut().unwrap().remove("jti"))),
        good(|it| drop(it.as_object_mut().unwrap().remove("sub"))),
        // A security event for the server, and an ID token for the client, are something else.
        event(&world, REVOKED, "elin", |it| it["aud"] = json!(CLIENT)),
        elin.id_token.clone(),
        world.access_token("elin", |it| it["aud"] = json!(CLIENT)),
    ] {
        let answer = log_out(&world, &token).await;
        answer.refused(400, "invalid_request");
    }
    let empty = world.http.post(world.url("/oidc/v1/backchannel-logout"));
    Answer::of(empty.form(&[("other", "x")]))
        .await
        .refused(400, "invalid_request");
    elin.get(&world, "/approver/v1/requests").await.is(200);
}

#[tokio::test]
async fn administrators_list_and_end_devices() {
    let world = World::new().await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let admin = world.access_token("ada", |it| it["groups"] = json!(["admins"]));
    let call = |method: Method, path: &str, token: &str| {
        Answer::of(
            world
                .http
                .request(method, world.url(path))
                .bearer_auth(token),
        )
    };
    let nobody = world.access_token("otto", |it| it["groups"] = json!("admins"));
    call(Method::GET, "/admin/v1/devices", &nobody)
        .await
        .refused(403, "administrators_only");

    let all = call(Method::GET, "/admin/v1/devices", &admin).await.is(200);
    let names: Vec<_> = all["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, [json!("jonas the tester"), json!("elin the tester")]);
    let path = format!("/admin/v1/devices?person={}%7Celin", world.issuer);
    let hers = call(Method::GET, &path, &admin).await.is(200);
    let id = hers["devices"][0]["binding_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        (hers["devices"].as_array().unwrap().len(), id.clone()),
        (1, elin.statement.id().to_string())
    );
    call(Method::GET, "/admin/v1/devices?person=elin", &admin)
        .await
        .refused(400, "query");

    let operation = world.operation(RENAME);
    let txn = world.gate().open(&operation, 1).await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    let path = format!("/admin/v1/devices/{id}");
    call(Method::DELETE, &path, &nobody)
        .await
        .refused(403, "administrators_only");
    for _ in 0..2 {
        assert_eq!(call(Method::DELETE, &path, &admin).await.status, 204);
    }
    is_out(&world, &elin).await;
    jonas.get(&world, "/approver/v1/requests").await.is(200);
    assert_eq!(world.gate().task(&txn).await.is(200)["status"], "failed");
    call(Method::DELETE, "/admin/v1/devices/none", &admin)
        .await
        .refused(404, "not_found");
}
