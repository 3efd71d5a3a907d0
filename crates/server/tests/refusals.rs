//! What bad input gets: each case its status and its code, and nothing changed.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::documents::Vote;
use countersign_evidence::{Choice, SecretKey};
use countersign_model::{Digest, MatchWords, Txn, b64u};
use countersign_store::{SqliteOptions, SqliteStore, Store};
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::gate::Gate;
use world::{Answer, World, key, op_key, signed};

/// Every route, who may call it, with a body that never gets as far as being read.
const ROUTES: [(&str, &str, Who); 24] = [
    ("POST", "/access/v1/evaluation", Who::Pep),
    ("POST", "/access/v1/evaluations", Who::Pep),
    ("POST", "/access/v1/requests", Who::Pep),
    ("GET", "/access/v1/requests/none", Who::PepOrRequester),
    ("DELETE", "/access/v1/requests/none", Who::PepOrRequester),
    (
        "POST",
        "/access/v1/requests/none/cancel",
        Who::PepOrRequester,
    ),
    (
        "GET",
        "/access/v1/requests/none/events",
        Who::PepOrRequester,
    ),
    ("POST", "/access/v1/requests/none/outcome", Who::Pep),
    ("GET", "/approver/v1/requests", Who::Approver),
    ("GET", "/approver/v1/requests/none", Who::Approver),
    ("POST", "/approver/v1/requests/none/votes", Who::Approver),
    ("GET", "/approver/v1/requests/none/evidence", Who::Approver),
    ("GET", "/approver/v1/history", Who::Approver),
    ("GET", "/approver/v1/bindings", Who::Approver),
    ("DELETE", "/approver/v1/bindings/none", Who::Approver),
    ("GET", "/approver/v1/stream", Who::Approver),
    ("POST", "/approver/v1/claims", Who::Approver),
    ("GET", "/approver/v1/absence", Who::Approver),
    ("PUT", "/approver/v1/absence", Who::Approver),
    ("DELETE", "/approver/v1/absence", Who::Approver),
    ("GET", "/approver/v1/colleagues", Who::Approver),
    ("GET", "/admin/v1/devices", Who::Administrator),
    ("DELETE", "/admin/v1/devices/none", Who::Administrator),
    ("POST", "/oauth/token", Who::Nobody),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Pep,
    PepOrRequester,
    Approver,
    Administrator,
    Nobody,
}

#[tokio::test]
async fn each_route_refuses_who_is_not_meant() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let requester = world.access_token("mara", |_| {});
    for (method, path, who) in ROUTES {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let call = || world.http.request(method.clone(), world.url(path));
        let case = format!("{method} {path}");
        let none = Answer::of(call()).await;
        if who == Who::Nobody {
            none.refused(400, "invalid_dpop_proof");
            continue;
        }
        assert_eq!(
            (none.status, none.code()),
            (401, "no_credentials"),
            "{case}"
        );
        let scheme = if who == Who::Approver {
            "DPoP"
        } else {
            "Bearer"
        };
        assert_eq!(none.challenge.as_deref(), Some(scheme), "{case}");

        // A token of the approver client is a credential nowhere; nor is an ID token, or one without a key.
        let approver_token =
            world.access_token("elin", |it| it["client_id"] = json!(world::CLIENT));
        let unsigned = format!(
            "{}.{}.",
            b64u(b"{\"alg\":\"none\"}"),
            requester.split('.').nth(1).unwrap()
        );
        for bad in [
            &approver_token,
            &elin.id_token,
            &unsigned,
            &elin.access_token,
        ] {
            let answer = Answer::of(call().bearer_auth(bad)).await;
            let expected = if who == Who::Pep { 403 } else { 401 };
            assert_eq!(answer.status, expected, "{case}: {answer:?}");
        }

        // Whoever is meant gets further: to the body, or to "not found".
        let gate = world.gate().call(method.clone(), path);
        let pep = Answer::of(gate).await.status;
        let person = Answer::of(call().bearer_auth(&requester)).await.status;
        let approver = Answer::of(elin.call(&world, method.clone(), path))
            .await
            .status;
        let in_or_out = |status: u16| !matches!(status, 401 | 403);
        let meant = (in_or_out(pep), in_or_out(person), in_or_out(approver));
        let expected = match who {
            Who::Pep => (true, false, false),
            Who::PepOrRequester => (true, true, false),
            Who::Approver => (false, false, true),
            // A requester as such is none.
            Who::Administrator => (false, false, false),
            Who::Nobody => unreachable!(),
        };
        if who == Who::Administrator {
            let admin = world.access_token("ada", |it| it["groups"] = json!(["admins"]));
            let admin = Answer::of(call().bearer_auth(admin)).await.status;
            assert!(in_or_out(admin), "{case}: administrator {admin}");
        }
        assert_eq!(
            meant, expected,
            "{case}: gate {pep}, requester {person}, approver {approver}"
        );
    }
    Answer::of(world.http.get(world.url("/nowhere")))
        .await
        .refused(404, "no_such_path");
    Answer::of(world.http.put(world.url("/healthz")))
        .await
        .refused(405, "wrong_method");
    for open in [
        "/healthz",
        "/readyz",
        "/.well-known/authzen-configuration",
        "/.well-known/countersign",
    ] {
        assert_eq!(
            Answer::of(world.http.get(world.url(open))).await.status,
            200,
            "{open}"
        );
    }
}

#[tokio::test]
async fn requesters_tokens() {
    let world = World::new().await;
    let txn = world
        .gate()
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let path = format!("/access/v1/requests/{txn}");
    let get = |token: String| Answer::of(world.http.get(world.url(&path)).bearer_auth(token));

    let task = get(world.access_token("mara", |_| {})).await.is(200);
    assert!(task.get("result").is_none());
    get(world.access_token("otto", |_| {}))
        .await
        .refused(404, "not_found");
    let now = world.now().0;
    get(world.access_token("mara", |it| it["exp"] = json!(now - 61)))
        .await
        .refused(401, "token_expired");
    get(world.access_token("mara", |it| it["aud"] = json!("https://other")))
        .await
        .refused(401, "token_audience");
    get(world.access_token("mara", |it| it["iss"] = json!("https://evil.example")))
        .await
        .refused(401, "unknown_issuer");
    let claims = json!({"iss": world.issuer.as_str(), "sub": "mara", "aud": world.id.as_str(),
        "client_id": "c", "iat": now, "exp": now + 60, "jti": "j"});
    get(signed(&key("somebody"), "at+jwt", &claims))
        .await
        .refused(401, "token_alg");
    let stranger = SecretKey::generate_es256([7; 32]);
    get(signed(&stranger, "at+jwt", &claims))
        .await
        .refused(401, "token_key_unknown");
    get(signed(&op_key(), "JWT", &claims))
        .await
        .refused(401, "token_typ");
    let header = b64u(br#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#);
    let hs256 = format!(
        "{header}.{}.{}",
        b64u(claims.to_string().as_bytes()),
        b64u(b"mac")
    );
    let answer = get(hs256).await;
    answer.refused(401, "token_alg");
    assert_eq!(
        answer.challenge.as_deref(),
        Some("Bearer error=\"invalid_token\"")
    );
}

#[tokio::test]
async fn gates_tokens_and_what_they_may_ask() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.delete");
    let txn = gate.open(&operation, 2).await;
    let path = format!("/access/v1/requests/{txn}");

    // Once, by the registered key, for this server, now.
    let token = gate.token();
    let call = |token: &str| Answer::of(world.http.get(world.url(&path)).bearer_auth(token));
    call(&token).await.is(200);
    call(&token).await.refused(401, "token_replayed");
    let old = gate.token();
    world.wait(91);
    call(&old).await.refused(401, "pep_token_invalid");
    let forged = Gate {
        world: &world,
        id: "third-gate",
    }
    .token();
    call(&forged).await.refused(401, "pep_unknown");

    // Another gate's request is not there for it.
    let other = world.other_gate();
    other.task(&txn).await.refused(404, "not_found");
    Answer::of(other.call(Method::POST, &format!("{path}/cancel")))
        .await
        .refused(404, "not_found");
    let outcome = other
        .call(Method::POST, &format!("{path}/outcome"))
        .json(&gate.outcome());
    Answer::of(outcome).await.refused(404, "not_found");
    let redeem = other.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(redeem["context"]["reason"], "approval_unverifiable");
    other.submit(&operation, 2).await.refused(403, "other_pep");
    let for_other = world.operation_with("orders.customers.delete", |it| {
        it["context"]["pep"] = json!("other-gate")
    });
    other
        .submit(&for_other, 2)
        .await
        .refused(403, "pep_not_allowed");
}

#[tokio::test]
async fn asks_that_are_refused() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.delete");
    let submit = |ask: String, n: u32| {
        let body = Gate::submission(&operation, &ask);
        let gate = world.gate();
        async move { gate.submit_as(&body, &format!("k{n}")).await }
    };
    let pk = key("orders-gate");
    submit(gate.ask(&operation, 2).sign(&key("other-gate")), 1)
        .await
        .refused(403, "ask_unverified");
    let mut ask = gate.ask(&operation, 2);
    ask.operation_digest = Digest::of(b"another");
    submit(ask.sign(&pk), 2).await.refused(400, "wrong_digest");
    let mut ask = gate.ask(&operation, 2);
    ask.exp = world.now() - 61;
    ask.iat = world.now() - 100;
    submit(ask.sign(&pk), 3).await.refused(403, "ask_time");
    // The gate's own policy wants more than the server's: both must be the same text.
    submit(gate.ask(&operation, 3).sign(&pk), 4)
        .await
        .refused(403, "policy_mismatch");
    let mut ask = gate.ask(&operation, 2);
    ask.requirement.match_words = MatchWords::Words;
    submit(ask.sign(&pk), 5)
        .await
        .refused(403, "policy_mismatch");
    let read = world.operation("orders.customers.read");
    gate.submit(&read, 1).await.refused(403, "policy_mismatch");
    gate.submit(&world.operation("orders.customers.purge"), 1)
        .await
        .refused(403, "policy_denied");

    let good = gate.ask(&operation, 2).sign(&pk);
    let mut body = Gate::submission(&operation, &good);
    body["denial"] = json!({"evaluation_id": "1900000000.AAAA.BBBB"});
    gate.submit_as(&body, "k6")
        .await
        .refused(400, "denial_unknown");
    let body = Gate::submission(&operation, &good);
    gate.submit_as(&body, "")
        .await
        .refused(400, "idempotency_key");
    let first = gate.submit_as(&body, "k7").await.is(202);
    let same = gate.submit_as(&body, "k7").await.is(202);
    assert_eq!(
        first["id"], same["id"],
        "the same key again is the same request"
    );
    gate.submit_as(&body, "k8")
        .await
        .refused(409, "operation_already_asked");
    let other = Gate::submission(&world.operation("orders.customers.delete"), &good);
    gate.submit_as(&other, "k7")
        .await
        .refused(409, "idempotency_conflict");
}

#[tokio::test]
async fn bodies_that_can_be_read_in_two_ways() {
    let world = World::new().await;
    let gate = world.gate();
    let good = world
        .operation("orders.customers.delete")
        .value()
        .to_string();
    let post = |body: String| {
        let call = gate.call(Method::POST, "/access/v1/evaluation");
        Answer::of(call.header("content-type", "application/json").body(body))
    };
    post(good.clone()).await.is(200);
    for (from, to) in [
        ("\"id\":\"42\"", "\"id\":\"42\",\"id\":\"43\""),
        ("\"kind\":\"http\"", "\"kind\":1.5"),
        ("\"kind\":\"http\"", "\"kind\":9007199254740993"),
        ("\"kind\":\"http\"", "\"kind\":\"\\ud800\""),
    ] {
        assert!(good.contains(from));
        let answer = post(good.replace(from, to)).await;
        assert_eq!(answer.status, 400, "{to}: {answer:?}");
        assert!(
            !answer.code().is_empty() && answer.code() != "body",
            "it names the rule: {answer:?}"
        );
    }
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(post(good.replace("\"http\"", &deep)).await.status, 400);
    assert_eq!(post(String::new()).await.status, 400);
    post("x".repeat(600 * 1024)).await.refused(413, "too_large");
}

#[tokio::test]
async fn batches_of_evaluations() {
    let world = World::new().await;
    let gate = world.gate();
    let [read, delete] =
        ["read", "delete"].map(|it| world.operation(&format!("orders.customers.{it}")));
    let post = |body: Value| {
        Answer::of(
            gate.call(Method::POST, "/access/v1/evaluations")
                .json(&body),
        )
    };
    let mut body = read.value().clone();
    body["evaluations"] = json!([{}, {"action": delete.value()["action"]}, {}]);
    let answer = post(body.clone()).await.is(200);
    let decisions = |answer: &Value| -> Vec<bool> {
        let all = answer["evaluations"].as_array().unwrap();
        all.iter()
            .map(|it| it["decision"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(decisions(&answer), [true, false, true]);
    body["options"] = json!({"evaluations_semantic": "deny_on_first_deny"});
    assert_eq!(decisions(&post(body.clone()).await.is(200)), [true, false]);
    body["evaluations"] = json!(vec![json!({}); 51]);
    post(body).await.refused(400, "body");

    // A stock AuthZEN PEP sends neither nonce nor gate, and context of its own.
    let mut stock = read.value().clone();
    stock["context"] = json!({"time": "2026-11-22T07:00:00Z"});
    let answer = Answer::of(
        gate.call(Method::POST, "/access/v1/evaluation")
            .json(&stock),
    )
    .await;
    assert_eq!(answer.is(200)["decision"], true);
}

#[tokio::test]
async fn votes_that_do_not_count_are_written_down_and_change_nothing() {
    let mut world = World::new().await;
    let operation = world.operation("orders.customers.delete");
    let txn = world.gate().open(&operation, 2).await;
    let elin = world.sign_in("elin").await;
    let view = elin.view(&world, &txn).await;
    let good = elin.ballot(&world, &view, Choice::Approve);
    let mut refused = 0;
    type Change = fn(&mut Vote);
    let changes: [(&str, u16, Change); 9] = [
        ("wrong_digest", 409, |it| {
            it.operation_digest = Digest::of(b"another")
        }),
        ("wrong_digest", 409, |it| {
            it.request_jws_digest = Digest::of(b"another")
        }),
        ("wrong_digest", 409, |it| {
            it.txn = Txn::parse("another").unwrap()
        }),
        ("unknown_key", 403, |it| {
            it.binding_id = Digest::of(b"another")
        }),
        ("unknown_key", 403, |it| it.sub_id.sub = "jonas".into()),
        ("challenge_differs", 409, |it| it.nonce = "another".into()),
        ("vote_outlives_request", 409, |it| it.exp = it.exp + 1),
        ("vote_in_future", 409, |it| it.iat = it.iat + 61),
        ("claims_too_old", 401, |_| {}),
    ];
    for (code, status, change) in changes {
        let mut vote = good.clone();
        change(&mut vote);
        if code == "claims_too_old" {
            world.wait(301);
            vote.iat = world.now();
        }
        elin.cast(&world, &txn, &vote.sign(&elin.dk))
            .await
            .refused(status, code);
        refused += 1;
    }
    // By another key: the vote of a thief of the session, or an altered one.
    elin.cast(&world, &txn, &good.sign(&key("thief")))
        .await
        .refused(403, "unknown_key");
    let signed = good.sign(&elin.dk);
    let (front, _) = signed.rsplit_once('.').unwrap();
    let altered = format!("{front}.{}", b64u(&[0; 64]));
    elin.cast(&world, &txn, &altered)
        .await
        .refused(403, "unknown_key");
    elin.cast(&world, &txn, "not.a.jws")
        .await
        .refused(400, "vote_unreadable");
    refused += 3;

    // Too old claims are mended by a newer ID token, of the same person only.
    let mut vote = good.clone();
    vote.iat = world.now();
    let vote = vote.sign(&elin.dk);
    let with = |token: String| json!({"vote": vote, "claims_token": token});
    let nonce = elin.statement.nonce();
    let theirs = world.id_token("jonas", &nonce, |_| {});
    elin.cast_with(&world, &txn, &with(theirs))
        .await
        .refused(400, "claims_token_subject");
    let no_longer = world.id_token("elin", &nonce, |it| it["groups"] = json!([]));
    elin.cast_with(&world, &txn, &with(no_longer))
        .await
        .refused(403, "not_eligible");
    refused += 2;
    let newer = world.id_token("elin", &nonce, |it| {
        it.as_object_mut().unwrap().remove("nonce");
    });
    assert_eq!(
        elin.cast_with(&world, &txn, &with(newer)).await.is(200)["approvals"],
        1
    );
    // The same JWS again is the same 200; a different one of the same person is refused.
    assert_eq!(elin.cast(&world, &txn, &vote).await.is(200)["approvals"], 1);
    let mut second = good.clone();
    second.iat = world.now();
    second.jti = "second".into();
    let newer = world.id_token("elin", &nonce, |_| {});
    let body = json!({"vote": second.sign(&elin.dk), "claims_token": newer});
    elin.cast_with(&world, &txn, &body)
        .await
        .refused(409, "already_voted");
    refused += 1;

    // The requester sees it, and cannot vote, whatever groups they are in.
    let mara = world.sign_in("mara").await;
    let view = mara.view(&world, &txn).await;
    assert_eq!(
        (&view["locked"], view.get("challenge")),
        (&json!("own_request"), None)
    );
    let own = mara.ballot(&world, &view, Choice::Approve);
    mara.cast(&world, &txn, &own.sign(&mara.dk))
        .await
        .refused(403, "own_request");
    refused += 1;
    // Who may not see it does not learn that it exists.
    let otto = world.sign_in("otto").await;
    otto.cast(&world, &txn, &good.sign(&otto.dk))
        .await
        .refused(404, "not_found");

    let view = elin.view(&world, &txn).await;
    assert_eq!(
        (&view["state"], view["votes"].as_array().unwrap().len()),
        (&json!("pending"), 1)
    );
    // A late one.
    world.wait(600);
    let mut late = good.clone();
    late.jti = "late".into();
    let jonas = world.sign_in("jonas").await;
    late.sub_id = jonas.subject();
    late.binding_id = jonas.statement.id();
    jonas
        .cast(&world, &txn, &late.sign(&jonas.dk))
        .await
        .refused(410, "expired");
    refused += 1;

    world.stop().await;
    let store = SqliteStore::open(&world.state(), &SqliteOptions::default()).unwrap();
    let entries = store.entries(&Txn::parse(&txn).unwrap()).await.unwrap();
    let count = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!(count("vote-refused"), refused);
    assert_eq!(
        (
            count("request"),
            count("vote"),
            count("expired"),
            entries.len()
        ),
        (1, 1, 1, refused + 3)
    );
    for entry in &entries {
        assert!(
            !entry.detail.contains("eyJ"),
            "no token in the entries: {}",
            entry.detail
        );
    }
}

#[tokio::test]
async fn sign_ins_that_bind_nothing() {
    let world = World::new().await;
    let now = world.now().0;
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(&str, Change<'_>); 9] = [
        ("invalid_grant", &|it| it["aud"] = json!("another-client")),
        ("invalid_grant", &|it| {
            it["aud"] = json!([world::CLIENT, "another"])
        }),
        ("invalid_grant", &|it| it["nonce"] = json!("another")),
        ("invalid_grant", &|it| {
            it["iss"] = json!("https://evil.example")
        }),
        ("invalid_grant", &|it| it["exp"] = json!(now - 61)),
        ("invalid_grant", &|it| it["auth_time"] = json!(0)),
        ("invalid_grant", &|it| it["auth_time"] = json!(now - 301)),
        ("invalid_grant", &|it| it["scope"] = json!("openid")),
        ("use_fresh_sign_in", &|it| {
            it["iat"] = json!(now - 301);
            it["auth_time"] = json!(now - 301);
        }),
    ];
    for (code, change) in changes {
        let device = world.unbound("elin", |it| change(it));
        device.exchange(&world).await.refused(400, code);
    }
    let device = world.unbound("elin", |it| {
        it.as_object_mut().unwrap().remove("auth_time");
    });
    device.exchange(&world).await.refused(400, "invalid_grant");

    // Proof of possession: by the device key, with a nonce of this server, once.
    let device = world.unbound("elin", |_| {});
    let nonce = Device::nonce(&world).await;
    let mut form = device.exchange_form(&world, &nonce);
    form[4].1 = world.unbound("elin", |_| {}).pop(&world, &nonce);
    device
        .token(&world, &form)
        .await
        .refused(400, "invalid_grant");
    let form = device.exchange_form(&world, "made-up");
    device
        .token(&world, &form)
        .await
        .refused(400, "use_new_nonce");
    let form = device.exchange_form(&world, &nonce);
    // The DPoP key must be the one that the statement names.
    let thief = world.unbound("elin", |_| {});
    thief
        .token(&world, &form)
        .await
        .refused(400, "invalid_grant");
    device.token(&world, &form).await.is(200);
    device
        .token(&world, &form)
        .await
        .refused(400, "use_new_nonce");
    // The same statement and keys with a new nonce: the lost reply costs no sign-in.
    let again = device.exchange(&world).await.is(200);
    assert_eq!(again["binding_id"], device.statement.id().to_string());
    world.wait(301);
    let stale = device.exchange_form(&world, &nonce);
    device
        .token(&world, &stale)
        .await
        .refused(400, "use_new_nonce");

    // Too many devices.
    for _ in 1..16 {
        world.sign_in("elin").await;
    }
    world
        .unbound("elin", |_| {})
        .exchange(&world)
        .await
        .refused(400, "too_many_devices");
    // An error of the token endpoint never says 401 with a token in it.
    let answer = Answer::of(
        world
            .http
            .post(world.url("/oauth/token"))
            .body("x".repeat(64 * 1024 + 1)),
    )
    .await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn access_tokens_end_and_are_bound_to_their_key() {
    let world = World::new().await;
    let mut elin = world.sign_in("elin").await;
    let path = "/approver/v1/bindings";
    elin.get(&world, path).await.is(200);
    let other = world.sign_in("jonas").await;
    let proof = other.dpop(&world, "GET", path, Some(&elin.access_token));
    let with = |proof: String| {
        let call = world.http.get(world.url(path)).header("dpop", proof);
        Answer::of(call.header("authorization", format!("DPoP {}", elin.access_token)))
    };
    with(proof).await.refused(401, "dpop_other_key");
    with(elin.dpop(&world, "POST", path, Some(&elin.access_token)))
        .await
        .refused(401, "dpop_other_call");
    with(elin.dpop(&world, "GET", path, None))
        .await
        .refused(401, "dpop_other_token");
    let proof = elin.dpop(&world, "GET", path, Some(&elin.access_token));
    with(proof.clone()).await.is(200);
    let again = with(proof).await;
    again.refused(401, "dpop_replayed");
    assert_eq!(
        again.challenge.as_deref(),
        Some("DPoP error=\"invalid_dpop_proof\"")
    );

    world.wait(600);
    elin.get(&world, path).await.refused(401, "token_expired");
    elin.renew(&world, None).await.is(200);
    elin.get(&world, path).await.is(200);

    // A refreshed ID token updates the claims; neither it nor renewal lengthens the session.
    let txn = world
        .gate()
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    elin.view(&world, &txn).await;
    let nonce = elin.statement.nonce();
    // Somebody else's, or one that commits to another key, is not taken; the session goes on without.
    for bad in [
        world.id_token("jonas", &nonce, |_| {}),
        world.id_token("elin", "another", |_| {}),
    ] {
        elin.renew(&world, Some(bad)).await.is(200);
        elin.view(&world, &txn).await;
    }
    let left = world.id_token("elin", &nonce, |it| it["groups"] = json!([]));
    elin.renew(&world, Some(left)).await.is(200);
    elin.get(&world, &format!("/approver/v1/requests/{txn}"))
        .await
        .refused(404, "not_found");
    world.wait(12 * 3600 - 600 - 5 - 1);
    elin.renew(&world, None).await.is(200);
    elin.get(&world, path).await.is(200);
    world.wait(1);
    elin.get(&world, path).await.refused(401, "token_expired");
    elin.renew(&world, None)
        .await
        .refused(400, "use_fresh_sign_in");
}

#[tokio::test]
async fn a_revoked_device_takes_its_votes_with_it() {
    let world = World::new().await;
    let gate = world.gate();
    let (waiting, approved) = (
        world.operation("orders.customers.delete"),
        world.operation("orders.customers.rename"),
    );
    let (first, second) = (gate.open(&waiting, 2).await, gate.open(&approved, 1).await);
    let (laptop, phone) = (world.sign_in("elin").await, world.sign_in("elin").await);
    phone.vote(&world, &first, Choice::Approve).await.is(200);
    phone.vote(&world, &second, Choice::Approve).await.is(200);
    let under_way = world.unbound("elin", |_| {});

    let list = laptop.get(&world, "/approver/v1/bindings").await.is(200);
    let told = |device: &Device| {
        let id = device.statement.id().to_string();
        let mut all = list["bindings"].as_array().unwrap().iter();
        let found = all.find(|it| it["binding_id"] == id).unwrap();
        (found["alg"].clone(), found.get("voted_at").cloned())
    };
    let key = json!("Ed25519");
    assert_eq!(told(&phone), (key.clone(), Some(json!(world.now().0))));
    assert_eq!(told(&laptop), (key, None));
    let path = format!("/approver/v1/bindings/{}", phone.statement.id());
    let jonas = world.sign_in("jonas").await;
    Answer::of(jonas.call(&world, Method::DELETE, &path))
        .await
        .refused(404, "not_found");
    for _ in 0..2 {
        Answer::of(laptop.call(&world, Method::DELETE, &path))
            .await
            .is(204);
    }
    phone
        .get(&world, "/approver/v1/requests")
        .await
        .refused(401, "binding_revoked");
    let view = laptop.view(&world, &first).await;
    assert_eq!(
        (&view["state"], view.get("locked")),
        (&json!("pending"), None),
        "they may vote again"
    );
    assert_eq!(
        gate.task(&first).await.is(200)["https://countersign.dev/arap/progress"]["approvals"],
        0
    );
    assert_eq!(gate.task(&second).await.is(200)["status"], "failed");
    let redeem = gate.redeem(&approved, &second, "r").await.is(200);
    assert_eq!(
        (&redeem["decision"], &redeem["context"]["reason"]),
        (&json!(false), &json!("approval_voided"))
    );
    // A sign-in that was under way on the lost device no longer binds.
    under_way
        .exchange(&world)
        .await
        .refused(400, "use_fresh_sign_in");
    laptop.vote(&world, &first, Choice::Approve).await.is(200);
}

#[tokio::test]
async fn eligibility_is_judged_again_at_redeem() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.rename");
    let txn = gate.open(&operation, 1).await;
    let mut elin = world.sign_in("elin").await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    world.wait(1);
    let left = world.id_token("elin", &elin.statement.nonce(), |it| {
        it["groups"] = json!([])
    });
    elin.renew(&world, Some(left)).await.is(200);
    let redeem = gate.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(
        (&redeem["decision"], &redeem["context"]["reason"]),
        (&json!(false), &json!("approval_voided")),
        "the vote fell with the newer claims"
    );
}

#[tokio::test]
async fn open_requests_are_bounded() {
    let world = World::new().await;
    let gate = world.gate();
    for _ in 0..50 {
        gate.open(&world.operation("orders.customers.delete"), 2)
            .await;
    }
    let over = gate
        .submit(&world.operation("orders.customers.delete"), 2)
        .await;
    over.refused(429, "rate_limited");
    assert!(over.retry_after.is_some());
    let otto = world.operation_with("orders.customers.delete", |it| {
        it["subject"]["id"] = json!(format!("{}|otto", world.issuer));
    });
    gate.open(&otto, 2).await;
    // Time makes room.
    world.wait(600);
    gate.open(&world.operation("orders.customers.delete"), 2)
        .await;
}
