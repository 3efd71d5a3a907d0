//! The gate over real sockets: a provider, an approval server that the test controls, an upstream that remembers
//! what reached it, and callers who behave well or badly.
//!
//! One file because every test plays on the one stage that is built here.

#![allow(clippy::unwrap_used)]

#[path = "../../pep/tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use countersign_gate_http::{Gate, GateConfig, Running};
use countersign_model::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use support::{Lie, World};

/// What reached the upstream: method, target, headers, body.
#[derive(Debug, Clone)]
struct Reached {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

type Log = Arc<Mutex<Vec<Reached>>>;

async fn remember(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    log.lock().unwrap().push(Reached {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers,
        body: body.clone(),
    });
    (
        [
            ("x-upstream", "yes"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
        ],
        body,
    )
        .into_response()
}

struct Scene {
    world: World,
    gate: Option<Running>,
    url: String,
    log: Log,
    http: reqwest::Client,
}

impl Scene {
    async fn new() -> Self {
        Self::with("hold_secs = 30").await
    }

    async fn with(more: &str) -> Self {
        let world = World::new().await;
        let log = Log::default();
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream_addr = upstream.local_addr().unwrap();
        let router = axum::Router::new()
            .fallback(remember)
            .with_state(Arc::clone(&log));
        tokio::spawn(async move { axum::serve(upstream, router).await.unwrap() });

        let dir = world.dir.path();
        std::fs::write(
            dir.join("policy.cedar"),
            support::policy_text(&world.op.issuer),
        )
        .unwrap();
        let key = dir.join("gate.key.json");
        std::fs::write(&key, world.pep_key.to_jwk().to_string()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let route = |method: &str, path: &str, verb: &str, action: &str| {
            format!(
                "[[route]]\nmethod = \"{method}\"\npath = \"{path}\"\naction = \"orders.customers.{action}\"\n\
                 resource_type = \"orders.customer\"\nresource_id = \"{{id}}\"\nservice = \"orders-api\"\n\
                 title = \"{verb} customer {{id}}\"\n"
            )
        };
        let text = format!(
            "listen = \"127.0.0.1:0\"\nupstream = \"http://{upstream_addr}\"\npep = \"orders-gate\"\n\
             key_file = \"gate.key.json\"\nserver = \"{}\"\npolicy = \"policy.cedar\"\nstate_dir = \"state\"\n\
             evidence_dir = \"evidence\"\nbody_limit_bytes = 1000\ntext_limit_bytes = 500\n{more}\n\
             [[provider]]\nissuer = \"{}\"\napprover_client_id = \"countersign-approver\"\naudience = \"urn:orders\"\n{}{}{}{}",
            world.server.id,
            world.op.issuer,
            route("DELETE", "/customers/{id}", "Delete", "delete"),
            route("PATCH", "/customers/{id}", "Change", "patch"),
            route("PUT", "/customers/{id}", "Write", "update"),
            route("GET", "/customers/{id}", "Read", "read"),
        );
        let path = dir.join("gate.toml");
        std::fs::write(&path, text).unwrap();
        let config = GateConfig::read(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock: Arc<dyn Clock> = world.clock.clone();
        let gate = Gate::start(config, clock, listener).unwrap();
        let url = format!("http://{}", gate.addr);
        Self {
            world,
            gate: Some(gate),
            url,
            log,
            http: reqwest::Client::new(),
        }
    }

    fn token(&self) -> String {
        self.world.op.access_token(|_| ())
    }

    fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.token())
    }

    fn reached(&self) -> Vec<Reached> {
        self.log.lock().unwrap().clone()
    }

    /// Asks, and gets the id to come back with.
    async fn asked(&self, call: reqwest::RequestBuilder) -> String {
        let answer = call.header("prefer", "respond-async").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let id = answer.headers()["approval-id"].to_str().unwrap().to_owned();
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "approval_pending");
        assert_eq!(problem["words"], json!(["amber", "falcon"]));
        assert_eq!(
            (&problem["approvals"], &problem["needed"]),
            (&json!(0), &json!(2))
        );
        assert_eq!(problem["who_may_vote"], "database approvers");
        id
    }

    /// Writes bytes as they are, and reads the answer's head and body until the gate closes.
    async fn raw(&self, text: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.url.trim_start_matches("http://"))
            .await
            .unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_allows_passes_and_the_server_hears_nothing() {
    let scene = Scene::new().await;
    let answer = scene
        .call(Method::GET, "/customers/7?full=1")
        .header("traceparent", "00-1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-upstream"], "yes");
    assert!(
        !answer.headers().contains_key("x-hop"),
        "what `Connection` names stays behind the gate"
    );
    let reached = scene.reached();
    assert_eq!(
        (reached[0].method.as_str(), reached[0].target.as_str()),
        ("GET", "/customers/7?full=1")
    );
    assert!(
        reached[0]
            .headers
            .iter()
            .any(|(name, _)| name == "traceparent")
    );
    assert!(
        reached[0]
            .headers
            .iter()
            .any(|(name, value)| name == "authorization" && value.starts_with("Bearer "))
    );
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_body_streams_through_beyond_the_limit() {
    let scene = Scene::new().await;
    let body = vec![b'x'; 3_000_000];
    let answer = scene
        .call(Method::PUT, "/customers/7")
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap(), body);
    assert_eq!(scene.reached()[0].body.len(), body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_get_401_with_their_reason() {
    let scene = Scene::new().await;
    let op = &scene.world.op;
    let now = scene.world.clock.now().0;
    let good = scene.token();
    let unsigned = {
        let part = |value: Value| countersign_model::b64u(value.to_string().as_bytes());
        let payload = good.split('.').nth(1).unwrap().to_owned();
        move |alg: &str| {
            format!(
                "{}.{payload}.AA",
                part(json!({ "alg": alg, "typ": "at+jwt", "kid": "x" }))
            )
        }
    };
    let mut other_signature = good.clone();
    other_signature.truncate(good.len() - 8);
    other_signature.push_str("AAAAAAAA");
    for (token, code) in [
        ("abc".to_owned(), "token_malformed"),
        (unsigned("none"), "token_alg"),
        (unsigned("HS256"), "token_alg"),
        (other_signature, "token_signature"),
        (
            op.access_token(|claims| claims["exp"] = json!(now - 61)),
            "token_expired",
        ),
        (
            op.access_token(|claims| claims["aud"] = json!("urn:other")),
            "token_audience",
        ),
        (
            op.access_token(|claims| claims["client_id"] = json!("countersign-approver")),
            "token_approver_client",
        ),
        (
            op.access_token(|claims| claims["iss"] = json!("https://evil.example")),
            "unknown_issuer",
        ),
        (
            op.access_token(|claims| claims["cnf"] = json!({ "jkt": "x" })),
            "token_bound",
        ),
        (op.id_token("mara", &["orders-dev"], "n"), "token_typ"),
    ] {
        let answer = scene
            .http
            .get(format!("{}/customers/7", scene.url))
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        let authenticate = answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            authenticate.starts_with("Bearer ") && authenticate.contains("error=\"invalid_token\""),
            "{authenticate}"
        );
        assert!(!authenticate.contains(&token));
        assert_eq!(problem(answer).await, (401, code.to_owned()));
    }
    let answer = scene
        .http
        .get(format!("{}/customers/7", scene.url))
        .send()
        .await
        .unwrap();
    assert!(
        !answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("error=")
    );
    assert_eq!(problem(answer).await, (401, "token_missing".to_owned()));
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_ends_with_its_time() {
    let scene = Scene::new().await;
    let token = scene.token();
    let send = || {
        scene
            .http
            .get(format!("{}/customers/7", scene.url))
            .bearer_auth(&token)
            .send()
    };
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    scene.world.clock.forward(661);
    assert_eq!(problem(send().await.unwrap()).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_the_key_that_signed_it() {
    let scene = Scene::new().await;
    let until = scene.world.clock.now().0 + 1_000_000;
    let token = scene
        .world
        .op
        .access_token(|claims| claims["exp"] = json!(until));
    let send = async || {
        let call = scene.http.get(format!("{}/customers/7", scene.url));
        call.bearer_auth(&token).send().await.unwrap()
    };
    assert_eq!(send().await.status(), StatusCode::OK);
    scene.world.op.withdraw_key();
    scene.world.clock.forward(3601);
    // The keys are fetched anew while the old ones still judge.
    for _ in 0..200 {
        let answer = send().await;
        if answer.status() != StatusCode::OK {
            assert_eq!(problem(answer).await, (401, "token_key_unknown".to_owned()));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the token outlives its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_is_forwarded_exactly_once_approved() {
    let scene = Scene::new().await;
    let call = scene
        .call(Method::PATCH, "/customers/42?reason=move")
        .header("content-type", "application/json")
        .header("cookie", "session=secret")
        .header("x-request-id", "varies")
        .header("countersign-justification", "asked by the customer")
        .body("{\"city\":\"Leeds\"}");
    let held = tokio::spawn(call.send());
    let txn = scene.world.server.opened().await;
    assert!(scene.reached().is_empty());
    scene.world.server.approve(&txn);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "{\"city\":\"Leeds\"}");
    let reached = scene.reached();
    assert_eq!(reached.len(), 1);
    assert_eq!(
        (reached[0].method.as_str(), reached[0].target.as_str()),
        ("PATCH", "/customers/42?reason=move")
    );
    assert_eq!(reached[0].body, "{\"city\":\"Leeds\"}");
    let sent = |name: &str| {
        reached[0]
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(sent("cookie"), ["session=secret"]);
    assert_eq!(sent("content-length"), ["16"]);
    assert!(
        sent("x-request-id").is_empty(),
        "unbound fields are dropped"
    );
    assert!(sent("countersign-justification").is_empty());

    let evidence = scene.world.dir.path().join(format!("evidence/{txn}.json"));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&evidence).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let evidence = std::fs::read(&evidence).unwrap();
    assert!(countersign_evidence::Evidence::from_json(&evidence).is_ok());
    let gate = scene.gate.unwrap();
    gate.shutdown().await;
    assert_eq!(scene.world.server.outcomes()[0]["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_retry_joins_and_another_call_is_refused_by_name() {
    let scene = Scene::new().await;
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    for (call, status, code) in [
        (
            scene.call(Method::DELETE, "/customers/43"),
            403,
            "other_call",
        ),
        (
            scene.call(Method::DELETE, "/customers/42?x=1"),
            403,
            "other_call",
        ),
        (
            scene
                .call(Method::DELETE, "/customers/42")
                .header("x-more", "1"),
            403,
            "other_call",
        ),
        (
            scene
                .call(Method::DELETE, "/customers/42")
                .header("countersign-ticket", "T-1"),
            403,
            "other_call",
        ),
    ] {
        assert_eq!(
            problem(call.header("approval-id", &id).send().await.unwrap()).await,
            (status, code.to_owned())
        );
    }
    let unknown = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", "unknown");
    assert_eq!(
        problem(unknown.send().await.unwrap()).await,
        (403, "approval_unknown".to_owned())
    );
    let bad = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", "../x");
    assert_eq!(
        problem(bad.send().await.unwrap()).await,
        (400, "approval_id".to_owned())
    );

    // Still waiting: the same answer again, with the same id.
    let again = scene
        .asked(
            scene
                .call(Method::DELETE, "/customers/42")
                .header("approval-id", &id),
        )
        .await;
    assert_eq!(again, id);
    scene.world.server.approve(&id);
    // A new token of the same sign-in joins: only its subject and claims are in the operation.
    let retry = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", &id);
    assert_eq!(retry.send().await.unwrap().status(), StatusCode::OK);
    let spent = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", &id);
    assert_eq!(
        problem(spent.send().await.unwrap()).await,
        (403, "approval_used".to_owned())
    );
    assert_eq!(scene.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_retries_with_one_approval_forward_it_once() {
    let scene = Scene::new().await;
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    let mut tries = tokio::task::JoinSet::new();
    for turn in 0..1000 {
        let call = scene
            .call(Method::DELETE, "/customers/42")
            .header("approval-id", &id);
        tries.spawn(async move { call.send().await.unwrap().status() });
        if turn == 500 {
            scene.world.server.approve(&id);
        }
    }
    let statuses = tries.join_all().await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        1
    );
    let expected = [StatusCode::OK, StatusCode::FORBIDDEN];
    let others: Vec<_> = statuses
        .iter()
        .filter(|status| !expected.contains(status))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(scene.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_and_an_expiry_answer_403_with_the_reason() {
    let scene = Scene::new().await;
    for (state, reason, code) in [
        ("denied", Some("wrong customer"), "approval_denied"),
        ("expired", None, "approval_expired"),
    ] {
        let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
        let txn = scene.world.server.opened().await;
        scene.world.server.end(&txn, state, reason);
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert_eq!(body.get("reason").and_then(Value::as_str), reason);
    }
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_server_opens_nothing() {
    let scene = Scene::new().await;
    for (lie, step) in [
        (Lie::NoEvidence, "decision"),
        (Lie::OwnOpKey, "bindings"),
        (Lie::ForgedVote, "votes"),
        (Lie::SwappedOperation, "sameness"),
        (Lie::OtherOperation, "operation"),
        (Lie::LoweredRequirement, "requirement"),
        (Lie::TrueWithoutRedeem, "redeem"),
    ] {
        scene.world.server.lie(lie);
        let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
        let txn = scene.world.server.opened().await;
        scene.world.server.approve(&txn);
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{lie:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["step"], step, "{lie:?}: {body}");
    }
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_withdraws() {
    let scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    held.abort();
    scene.world.server.withdrawn(1).await;
    assert_eq!(scene.world.server.cancelled(), [txn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_the_call_is_held_is_judged_again() {
    let scene = Scene::new().await;
    let now = scene.world.clock.now().0;
    let short = scene
        .world
        .op
        .access_token(|claims| claims["exp"] = json!(now + 1));
    let call = scene
        .http
        .delete(format!("{}/customers/42", scene.url))
        .bearer_auth(short);
    let held = tokio::spawn(call.send());
    let txn = scene.world.server.opened().await;
    // An answer that is still on its way would come from a clock that is off.
    scene.world.server.polled().await;
    scene.world.clock.forward(100);
    scene.world.server.approve(&txn);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let id = answer.headers()["approval-id"].to_str().unwrap().to_owned();
    assert_eq!(id, txn);
    assert!(scene.reached().is_empty());
    // The approval is still there for the same caller with a new token.
    let retry = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", id);
    assert_eq!(retry.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_unreadable_bodies_are_refused() {
    let scene = Scene::new().await;
    // Announced, never sent: the answer comes without it.
    let token = scene.token();
    let head = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ncontent-length: 999999999\r\nconnection: close\r\n\r\n"
    );
    let answer = scene.raw(&head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Without a length: read up to the bound and no further.
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(2);
    let chunked = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}"
    );
    let answer = scene.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let trailers = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\nconnection: close\r\n\r\n1\r\na\r\n0\r\nx-late: 1\r\n\r\n"
    );
    let answer = scene.raw(&trailers).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("trailers"),
        "{answer}"
    );
    for body in [vec![0xff, 0xfe], vec![b'a'; 501]] {
        let answer = scene
            .call(Method::PATCH, "/customers/42")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await, (403, "policy_denied".to_owned()));
    }
    assert!(scene.reached().is_empty());
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_two_servers_could_read_differently_are_refused() {
    let scene = Scene::new().await;
    let token = scene.token();
    for (line, headers, code) in [
        ("DELETE /customers/../customers/42", "", "path_dot_segment"),
        ("DELETE //customers/42", "", "path_empty_segment"),
        ("DELETE /customers/%34%32", "", "path_needless_escape"),
        ("DELETE /customers;x/42", "", "path_parameter"),
        (
            "DELETE /customers/42",
            "x-http-method-override: GET\r\n",
            "method_override",
        ),
        ("DELETE /customers/42?_method=GET", "", "method_override"),
        // What the policy allows must not become something else behind the gate.
        (
            "GET /customers/7",
            "x-http-method-override: DELETE\r\n",
            "method_override",
        ),
        ("GET /customers/7?_method=DELETE", "", "method_override"),
        (
            "GET /customers/7",
            "x_rewrite_url: /customers/42\r\n",
            "path_rewrite",
        ),
        (
            "DELETE /customers/42?access_token=x",
            "",
            "credential_in_query",
        ),
        (
            "DELETE /customers/42",
            "x-original-url: /\r\n",
            "path_rewrite",
        ),
        ("DELETE /customers/42", "upgrade: h2c\r\n", "upgrade"),
        ("DELETE http://gate/customers/42", "", "absolute_form"),
        ("GET http://other/customers/42", "", "host"),
        ("CONNECT gate:80", "", "connect"),
        ("DELETE /customers/42", "host: second\r\n", "host"),
        (
            "DELETE /customers/42",
            "x-name: caf\u{e9}\r\n",
            "header_not_ascii",
        ),
        (
            "DELETE /customers/42",
            "countersign-ticket: a\u{fffe}b\r\n",
            "noncharacter",
        ),
    ] {
        let text = format!(
            "{line} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
        );
        let answer = scene.raw(&text).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line}: {answer}");
        assert!(
            answer.contains(&format!("\"code\":\"{code}\"")),
            "{line}: {answer}"
        );
    }
    let form = scene
        .call(Method::PUT, "/customers/7")
        .form(&[("name", "x"), ("_method", "DELETE")]);
    assert_eq!(
        problem(form.send().await.unwrap()).await,
        (400, "method_override".to_owned())
    );
    assert!(scene.reached().is_empty());
    // On a call that needs no approval an upgrade is left behind, and the rest passes.
    let text = format!(
        "GET /customers/7 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n"
    );
    assert!(scene.raw(&text).await.starts_with("HTTP/1.1 200 "));
    assert!(
        scene.reached()[0]
            .headers
            .iter()
            .all(|(name, _)| name != "upgrade")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_no_route_is_denied_unless_the_policy_names_it() {
    let scene = Scene::new().await;
    let answer = scene
        .call(Method::POST, "/admin")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await, (403, "policy_denied".to_owned()));
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_nothing_protected_passes() {
    let scene = Scene::new().await;
    scene.world.server.down(true);
    let answer = scene
        .call(Method::DELETE, "/customers/42")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await.0, 503);
    assert_eq!(
        scene
            .call(Method::GET, "/customers/42")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    assert_eq!(scene.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_ends_gives_held_callers_an_id() {
    let mut scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    scene.gate.take().unwrap().shutdown().await;
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.headers()["approval-id"], txn.as_str());
    assert_eq!(problem(answer).await, (403, "approval_pending".to_owned()));
    assert!(scene.world.server.cancelled().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_time_over_means_come_back_later() {
    let scene = Scene::with("hold_secs = 0").await;
    let answer = scene
        .call(Method::DELETE, "/customers/42")
        .send()
        .await
        .unwrap();
    assert!(answer.headers().contains_key("approval-id"));
    assert_eq!(problem(answer).await, (403, "approval_pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_is_502_and_the_approval_is_used() {
    let scene = Scene::new().await;
    // A port that nobody listens on any more.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let path = scene.world.dir.path().join("gate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("upstream = "))
        .unwrap()
        .to_owned();
    let text = text
        .replace(&line, &format!("upstream = \"http://{free}\""))
        .replace("\"state\"", "\"state2\"");
    std::fs::write(&path, text).unwrap();
    let clock: Arc<dyn Clock> = scene.world.clock.clone();
    let gate = Gate::start(
        GateConfig::read(&path).unwrap(),
        clock,
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    )
    .unwrap();
    let scene = Scene {
        url: format!("http://{}", gate.addr),
        gate: Some(gate),
        ..scene
    };
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    assert_eq!(
        problem(held.await.unwrap().unwrap()).await,
        (502, "upstream".to_owned())
    );
    scene.gate.unwrap().shutdown().await;
    let outcomes = scene.world.server.outcomes();
    assert_eq!(
        (&outcomes[0]["executed"], &outcomes[0]["refusal"]),
        (&json!(false), &json!("upstream"))
    );
}
