//! The library against a server and a provider that do what the test says: lie, lose answers, change keys. What
//! honest ones do is tested with the real ones in the workspace's `tests/`.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path as FsPath;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_api::ipc::{
    Ballot, Choice, Conclusion, Connection, HistoryQuery, Outcome, ProblemCode, SignIn,
    StepOutcome, VerifyReport, WhyLocked,
};
use countersign_approver::{Approver, Deps, Event, KeyStore, KeyStoreError, Opener};
use countersign_evidence::{
    Ask, Choice as Signed, Grant, GrantVote, Request, SecretKey, Statement, Vote, dpop,
};
use countersign_model::{
    By, Clock, Digest, Issuer, MatchWords, NotifyButtons, Operation, PepId, ReasonRule,
    Requirement, ServerId, StepUp, Subject, Txn, UnixSecs, b64u, b64u_decode,
};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use url::Url;

// --- the world -------------------------------------------------------------------------------------

struct Hands(AtomicI64);
impl Hands {
    fn now() -> Arc<Self> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        Arc::new(Self(AtomicI64::new(i64::try_from(now).unwrap())))
    }
    fn forward(&self, secs: i64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}
impl Clock for Hands {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Store {
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    broken: Mutex<Option<KeyStoreError>>,
}
impl Store {
    fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }
    fn works(&self) -> Result<(), KeyStoreError> {
        self.broken.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}
impl KeyStore for Store {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        self.works()?;
        Ok(self.kept.lock().unwrap().get(name).cloned())
    }
    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.works()?;
        self.kept
            .lock()
            .unwrap()
            .insert(name.to_owned(), secret.to_vec());
        Ok(())
    }
    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.works()?;
        self.kept.lock().unwrap().remove(name);
        Ok(())
    }
    fn describe(&self) -> String {
        "In the memory of a test.".to_owned()
    }
}

/// Server and provider in one.
struct Server {
    id: String,
    clock: Arc<Hands>,
    rk: SecretKey,
    pk: SecretKey,
    op: SecretKey,
    does: Mutex<Does>,
    seen: Mutex<Seen>,
    stream: broadcast::Sender<Value>,
}

/// What it does next.
struct Does {
    requests: BTreeMap<String, Value>,
    /// So many next exchanges are made, and their answers lost.
    lose_exchanges: u32,
    /// So many next votes are counted, and their answers lost.
    lose_votes: u32,
    /// The token endpoint's answer to a renewal, when it is not the usual one.
    renewal: Option<Value>,
    refreshes: bool,
    gives_tokens: bool,
    forges_grants: bool,
    /// Access tokens that are not accepted any more.
    ended_tokens: Vec<String>,
    published_peps: Vec<(String, SecretKey)>,
    nonce: String,
}

/// What it was sent.
#[derive(Default)]
struct Seen {
    browser_opened: u32,
    exchanges: Vec<(String, String)>,
    renewals: u32,
    refreshes: u32,
    votes: Vec<Value>,
    revoked: Vec<String>,
    lists: u32,
    queries: Vec<String>,
    id_token: String,
}

type App = Arc<Server>;

fn error(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

async fn well_known(State(server): State<App>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", server.id);
    Json(json!({
        "server": server.id, "version": 1, "jwks_uri": at("/.well-known/countersign/keys"),
        "providers": [{"issuer": at("/op"), "client_id": "approver", "scopes": ["openid"], "name": "Test ID", "redirect_path": "/callback"}],
        "endpoints": {
            "nonce": at("/oauth/nonce"), "token": at("/oauth/token"), "requests": at("/requests"), "history": at("/history"),
            "bindings": at("/bindings"), "stream": at("/stream").replace("http", "ws"),
        },
    }))
}

async fn keys(State(server): State<App>) -> Json<Value> {
    let does = server.does.lock().unwrap();
    let peps: Vec<Value> = does
        .published_peps
        .iter()
        .map(|(pep, key)| json!({"pep": pep, "jwk": key.public().to_jwk()}))
        .collect();
    Json(json!({"server": [server.rk.public().to_jwk()], "peps": peps}))
}

async fn token(
    State(server): State<App>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let url = format!("{}/oauth/token", server.id);
    let proof = dpop::verify(
        headers["dpop"].to_str().unwrap(),
        "POST",
        &url,
        None,
        server.clock.now(),
    )
    .unwrap();
    let answer = |binding: String| {
        Json(json!({
            "access_token": format!("token-{}", server.seen.lock().unwrap().renewals), "token_type": "DPoP", "expires_in": 600, "binding_id": binding,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "session_ends_at": server.clock.now().0 + 43_200,
        }))
        .into_response()
    };
    if let Some(binding) = form.get("binding_id") {
        server.seen.lock().unwrap().renewals += 1;
        if let Some(refusal) = server.does.lock().unwrap().renewal.clone() {
            return (StatusCode::BAD_REQUEST, Json(refusal)).into_response();
        }
        return answer(binding.clone());
    }
    let cic = b64u_decode(&form["cic"]).unwrap();
    let statement = Statement::from_bytes(&cic).unwrap();
    assert_eq!(statement.session_jkt, proof.jkt);
    let pop = countersign_evidence::Pop::verify(&form["proof"], &statement.key).unwrap();
    assert_eq!(
        (pop.aud.as_str(), pop.nonce.as_str(), pop.cic_digest),
        (server.id.as_str(), "once", Digest::of(&cic))
    );
    server.seen.lock().unwrap().id_token = form["subject_token"].clone();
    server
        .seen
        .lock()
        .unwrap()
        .exchanges
        .push((form["cic"].clone(), proof.jkt.to_string()));
    let mut does = server.does.lock().unwrap();
    if does.lose_exchanges > 0 {
        does.lose_exchanges -= 1;
        return error(502);
    }
    answer(Digest::of(&cic).to_string())
}

fn authorized(server: &Server, headers: &HeaderMap, method: &str, path: &str) {
    let token = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("DPoP ")
        .unwrap();
    let url = format!("{}{path}", server.id);
    dpop::verify(
        headers["dpop"].to_str().unwrap(),
        method,
        &url,
        Some(token),
        server.clock.now(),
    )
    .unwrap();
}

async fn list(State(server): State<App>, headers: HeaderMap) -> Json<Value> {
    authorized(&server, &headers, "GET", "/requests");
    server.seen.lock().unwrap().lists += 1;
    let does = server.does.lock().unwrap();
    let open: Vec<&Value> = does
        .requests
        .values()
        .filter(|view| view["state"] == "pending")
        .collect();
    Json(json!({"requests": open, "seq": 5}))
}

async fn one(State(server): State<App>, Path(txn): Path<String>, headers: HeaderMap) -> Response {
    let token = headers["authorization"]
        .to_str()
        .unwrap()
        .replace("DPoP ", "");
    if server.does.lock().unwrap().ended_tokens.contains(&token) {
        return error(401);
    }
    authorized(&server, &headers, "GET", &format!("/requests/{txn}"));
    match server.does.lock().unwrap().requests.get(&txn) {
        Some(view) => Json(view.clone()).into_response(),
        None => error(404),
    }
}

async fn vote(
    State(server): State<App>,
    Path(txn): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    authorized(&server, &headers, "POST", &format!("/requests/{txn}/votes"));
    server.seen.lock().unwrap().votes.push(body.clone());
    let mut does = server.does.lock().unwrap();
    if does.lose_votes > 0 {
        does.lose_votes -= 1;
        return error(502);
    }
    let view = does.requests.get_mut(&txn).unwrap();
    view["locked"] = "voted".into();
    let (iss, sub) = (format!("{}/op", server.id), "elin");
    view["votes"] = json!([{"jws": body["vote"], "name": "Elin", "iss": iss, "sub": sub, "at": server.clock.now().0}]);
    Json(json!({"state": "pending", "approvals": 1, "needed": 2})).into_response()
}

/// What the server keeps of a request that this one vote decided.
async fn evidence(
    State(server): State<App>,
    Path(txn): Path<String>,
    headers: HeaderMap,
) -> Response {
    authorized(
        &server,
        &headers,
        "GET",
        &format!("/requests/{txn}/evidence"),
    );
    let does = server.does.lock().unwrap();
    let view = &does.requests[&txn];
    let seen = server.seen.lock().unwrap();
    let jws = view["votes"][0]["jws"].as_str().unwrap();
    let (_, vote) = Vote::unverified(jws).unwrap();
    let now = server.clock.now();
    let grant = Grant {
        iss: vote.server.clone(),
        aud: vote.pep.clone(),
        jti: "grant".to_owned(),
        iat: now,
        nbf: now,
        exp: now + 300,
        txn: vote.txn.clone(),
        operation_digest: vote.operation_digest,
        request_jws_digest: vote.request_jws_digest,
        votes: vec![GrantVote {
            digest: countersign_evidence::jws_digest(jws),
            subject: vote.sub_id.clone(),
            binding_id: vote.binding_id,
        }],
        policy_digest: vote.policy_digest,
    };
    let mut own = json!({"jws": jws, "cic": seen.exchanges[0].0});
    if does.gives_tokens {
        own["id_token"] = seen.id_token.clone().into();
    }
    let signer = if does.forges_grants {
        &server.op
    } else {
        &server.rk
    };
    Json(json!({
        "operation_b64": view["operation_b64"], "ask_jws": view["ask_jws"], "request_jws": view["request_jws"],
        "grant": grant.sign(signer), "votes": [own],
    }))
    .into_response()
}

async fn history(
    State(server): State<App>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Json<Value> {
    authorized(&server, &headers, "GET", "/history");
    let query = uri.query().unwrap_or_default().to_owned();
    server.seen.lock().unwrap().queries.push(query);
    let does = server.does.lock().unwrap();
    let closed: Vec<&Value> = does
        .requests
        .values()
        .filter(|view| view["state"] != "pending")
        .collect();
    Json(json!({"requests": closed, "next": "more"}))
}

async fn bindings(State(server): State<App>, headers: HeaderMap) -> Json<Value> {
    authorized(&server, &headers, "GET", "/bindings");
    let cic = b64u_decode(&server.seen.lock().unwrap().exchanges[0].0).unwrap();
    let device = |id: Digest, name: &str| json!({"binding_id": id.to_string(), "device_name": name, "bound_at": 1, "session_ends_at": 2});
    let other = device(Digest::of(b"other"), "old\u{202e}laptop");
    Json(json!({"bindings": [other, device(Digest::of(&cic), "test")]}))
}

async fn revoke(
    State(server): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> StatusCode {
    authorized(&server, &headers, "DELETE", &format!("/bindings/{id}"));
    server.seen.lock().unwrap().revoked.push(id);
    StatusCode::NO_CONTENT
}

async fn stream(
    State(server): State<App>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    authorized(&server, &headers, "GET", "/stream");
    let mut frames = server.stream.subscribe();
    upgrade
        .protocols(["countersign.v1"])
        .on_upgrade(move |mut socket| async move {
            let hello = json!({"v": 1, "seq": 0, "type": "hello", "data": {"seq": 5, "time": 0}});
            if socket.send(Message::text(hello.to_string())).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    frame = frames.recv() => {
                        let Ok(frame) = frame else { return };
                        if socket.send(Message::text(frame.to_string())).await.is_err() {
                            return;
                        }
                    }
                    message = socket.recv() => if !matches!(message, Some(Ok(_))) { return },
                }
            }
        })
}

async fn discovery(State(server): State<App>) -> Json<Value> {
    let issuer = format!("{}/op", server.id);
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
    }))
}

async fn jwks(State(server): State<App>) -> Json<Value> {
    let mut jwk = server.op.public().to_jwk();
    jwk["kid"] = server.op.public().thumbprint().into();
    Json(json!({"keys": [jwk]}))
}

async fn op_token(
    State(server): State<App>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let does = server.does.lock().unwrap();
    if form["grant_type"] == "refresh_token" {
        server.seen.lock().unwrap().refreshes += 1;
        if !does.refreshes {
            return (
                StatusCode::BAD_REQUEST,
                Json(json!({"error": "invalid_grant"})),
            )
                .into_response();
        }
    }
    let now = server.clock.now().0;
    let claims = json!({
        "iss": format!("{}/op", server.id), "sub": "elin", "aud": "approver", "iat": now, "exp": now + 3600,
        "auth_time": now - 5, "nonce": does.nonce, "name": "Elin Holm", "groups": ["dba"],
    });
    let id_token = countersign_evidence::jose::sign(&server.op, "JWT", &claims);
    Json(json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token, "refresh_token": format!("r{}", server.seen.lock().unwrap().refreshes)})).into_response()
}

/// The browser of a person who says yes at once.
struct Browser(App);
impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        self.0.seen.lock().unwrap().browser_opened += 1;
        let of = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        self.0.does.lock().unwrap().nonce = of("nonce").unwrap();
        let back = format!(
            "{}?code=c&state={}",
            of("redirect_uri").unwrap(),
            of("state").unwrap()
        );
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            let url = Url::parse(&back).unwrap();
            let host = format!("127.0.0.1:{}", url.port().unwrap());
            let mut socket = tokio::net::TcpStream::connect(&host).await.unwrap();
            let head = format!(
                "GET {}?{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
                url.path(),
                url.query().unwrap()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
        });
        Ok(())
    }
}

struct NoBrowser;
impl Opener for NoBrowser {
    fn open(&self, _: &Url) -> Result<(), String> {
        Err("there is no browser".to_owned())
    }
}

struct World {
    server: App,
    store: Arc<Store>,
    folder: tempfile::TempDir,
}

async fn world() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pk = SecretKey::generate([2; 32]);
    let server = Arc::new(Server {
        id: format!("http://{}", listener.local_addr().unwrap()),
        clock: Hands::now(),
        rk: SecretKey::generate([1; 32]),
        op: SecretKey::generate([3; 32]),
        does: Mutex::new(Does {
            requests: BTreeMap::new(),
            lose_exchanges: 0,
            lose_votes: 0,
            renewal: None,
            refreshes: true,
            gives_tokens: true,
            forges_grants: false,
            ended_tokens: Vec::new(),
            published_peps: vec![("orders-gate".to_owned(), pk.clone())],
            nonce: String::new(),
        }),
        pk,
        seen: Mutex::default(),
        stream: broadcast::Sender::new(16),
    });
    let app = Router::new()
        .route("/.well-known/countersign", get(well_known))
        .route("/.well-known/countersign/keys", get(keys))
        .route(
            "/oauth/nonce",
            post(|| async { Json(json!({"nonce": "once", "expires_in": 60})) }),
        )
        .route("/oauth/token", post(token))
        .route("/requests", get(list))
        .route("/requests/{txn}", get(one))
        .route("/requests/{txn}/votes", post(vote))
        .route("/requests/{txn}/evidence", get(evidence))
        .route("/history", get(history))
        .route("/bindings", get(bindings))
        .route("/bindings/{id}", axum::routing::delete(revoke))
        .route("/stream", get(stream))
        .route("/op/.well-known/openid-configuration", get(discovery))
        .route("/op/jwks", get(jwks))
        .route("/op/token", post(op_token))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&server),
            dated,
        ))
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    World {
        server,
        store: Arc::default(),
        folder: tempfile::tempdir().unwrap(),
    }
}

/// The server's clock is the test's.
async fn dated(
    State(server): State<App>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let mut response = next.run(request).await;
    let now =
        UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(server.clock.now().0).unwrap());
    response
        .headers_mut()
        .insert("date", httpdate::fmt_http_date(now).parse().unwrap());
    response
}

impl World {
    fn start_with(&self, opener: Arc<dyn Opener>) -> Approver {
        Approver::start(Deps {
            keys: self.store.clone(),
            opener,
            clock: self.server.clock.clone(),
            data_dir: self.folder.path().join("data"),
            device_name: "test".to_owned(),
        })
        .unwrap()
    }

    fn start(&self) -> Approver {
        self.start_with(Arc::new(Browser(Arc::clone(&self.server))))
    }

    async fn sign_in(&self, app: &Approver) -> Result<(), countersign_api::ipc::Problem> {
        app.sign_in(&self.server.id, &format!("{}/op", self.server.id))
            .await
    }

    async fn signed_in(&self) -> Approver {
        let app = self.start();
        self.sign_in(&app).await.unwrap();
        app.state()
            .wait_for(|state| state.listed && state.connection == Connection::Connected)
            .await
            .unwrap();
        app
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.server.seen.lock().unwrap())
    }

    fn does(&self, change: impl FnOnce(&mut Does)) {
        change(&mut self.server.does.lock().unwrap());
    }

    fn says(&self, kind: &str, txn: &str, seq: u64) {
        let data = if kind == "request.closed" {
            json!({"txn": txn, "state": "denied", "by": "Jonas"})
        } else {
            json!({"txn": txn})
        };
        self.server
            .stream
            .send(json!({"v": 1, "seq": seq, "type": kind, "data": data}))
            .unwrap();
    }

    /// A genuine request of Mara's, with this requirement.
    fn request(&self, txn: &str, change: impl FnOnce(&mut Requirement)) -> Value {
        self.request_by(txn, "orders-gate", &self.server.pk, change)
    }

    fn request_by(
        &self,
        txn: &str,
        pep: &str,
        pk: &SecretKey,
        change: impl FnOnce(&mut Requirement),
    ) -> Value {
        let now = self.server.clock.now();
        let server = ServerId::parse(&self.server.id).unwrap();
        let issuer = Issuer::parse(&format!("{}/op", self.server.id)).unwrap();
        let requester = Subject::new(issuer, "mara").unwrap();
        let mut requirement = Requirement {
            by: By::Others,
            approvals: 2,
            step_up: StepUp::None,
            acr: None,
            scope: None,
            match_words: MatchWords::None,
            fresh_claims_secs: 300,
            release_claims_secs: None,
            reason: ReasonRule::Optional,
            notify_buttons: NotifyButtons::None,
            ttl_secs: 900,
            grant_secs: 300,
            irreversible: None,
            lift: Vec::new(),
        };
        change(&mut requirement);
        let operation = Operation::build(json!({
            "subject": {"type": "user", "id": requester.to_string(), "properties": {"claims": {"name": "Mara Lind", "groups": ["orders-dev"]}}},
            "action": {"name": "orders.customers.delete", "properties": {
                "kind": "http", "title": {"verb": "Delete", "thing": "customer 42"}, "method": "DELETE", "scheme": "http",
                "authority": "127.0.0.1:8080", "path": "/customers/42", "headers": [], "body": {"size": 0, "sha256": Digest::of(b"").to_string()},
            }},
            "resource": {"type": "orders.customer", "id": "42", "properties": {"service": "orders-api"}},
            "context": {"pep": pep, "nonce": countersign_model::Nonce::from_bytes([9; 16]).as_str()},
        }))
        .unwrap();
        let pep = PepId::parse(pep).unwrap();
        let ask = Ask {
            iss: pep.clone(),
            aud: server.clone(),
            operation_digest: operation.digest(),
            requirement: requirement.clone(),
            iat: now,
            exp: now + 60,
        };
        let ask_jws = ask.sign(pk);
        let request = Request {
            iss: server,
            jti: format!("jti-{txn}"),
            iat: now,
            exp: now + 900,
            txn: Txn::parse(txn).unwrap(),
            operation_digest: operation.digest(),
            ask_digest: countersign_evidence::jws_digest(&ask_jws),
            pep,
            sub_id: requester,
            requirement,
            policy_digest: Digest::of(b"policy"),
        };
        json!({
            "txn": txn, "request_jws": request.sign(&self.server.rk), "ask_jws": ask_jws, "operation_b64": b64u(operation.bytes()),
            "challenge": "the-challenge", "state": "pending", "votes": [], "who_may_vote": "group dba",
        })
    }

    fn put(&self, view: Value) {
        let txn = view["txn"].as_str().unwrap().to_owned();
        self.does(|does| drop(does.requests.insert(txn, view)));
    }
}

async fn card(app: &Approver, txn: &str) -> countersign_api::ipc::Card {
    app.card(txn).await.unwrap()
}

fn text(line: &countersign_api::ipc::Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

// --- signing in ------------------------------------------------------------------------------------

#[tokio::test]
async fn signing_in_binds_keys_shows_the_person_and_lasts_over_a_restart() {
    let world = world().await;
    let app = world.signed_in().await;
    let state = app.state().borrow().clone();
    let account = state.account.clone().unwrap();
    assert_eq!(
        (text(&account.name).as_str(), account.provider_name.as_str()),
        ("Elin Holm", "Test ID")
    );
    assert_eq!(account.groups.iter().map(text).collect::<Vec<_>>(), ["dba"]);
    assert_eq!(state.sign_in, SignIn::Idle);
    assert_eq!(world.store.names(), ["account"]);
    assert_eq!(world.seen(|seen| seen.exchanges.len()), 1);
    drop(app);
    let app = world.start();
    app.state().wait_for(|state| state.listed).await.unwrap();
    assert_eq!(
        app.state().borrow().account.as_ref().unwrap().binding_id,
        account.binding_id
    );
    assert_eq!(
        world.seen(|seen| (seen.browser_opened, seen.renewals)),
        (1, 1)
    );
    // No file of secrets, and what there is belongs to its owner alone.
    let kept = std::fs::read_to_string(world.folder.path().join("data/account.json")).unwrap();
    assert!(!kept.contains("\"d\"") && !kept.contains("id_token"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &FsPath| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&world.folder.path().join("data")), 0o700);
        assert_eq!(mode(&world.folder.path().join("data/account.json")), 0o600);
    }
}

#[tokio::test]
async fn a_missing_keyring_is_said_before_the_browser_opens() {
    let world = world().await;
    *world.store.broken.lock().unwrap() = Some(KeyStoreError::Missing(
        "There is no keyring here.".to_owned(),
    ));
    let app = world.start();
    let problem = world.sign_in(&app).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.sentence.as_str()),
        (ProblemCode::Keyring, "There is no keyring here.")
    );
    assert_eq!(
        world.seen(|seen| (seen.browser_opened, seen.exchanges.len())),
        (0, 0)
    );
    assert_eq!(app.state().borrow().sign_in, SignIn::Failed { problem });
}

#[tokio::test]
async fn a_lost_answer_of_the_exchange_costs_no_new_keys_and_no_sign_in() {
    let world = world().await;
    world.does(|does| does.lose_exchanges = 1);
    let _app = world.signed_in().await;
    world.seen(|seen| {
        assert_eq!(seen.exchanges.len(), 2);
        assert_eq!(
            seen.exchanges[0], seen.exchanges[1],
            "the same statement and the same session key"
        );
        assert_eq!(seen.browser_opened, 1);
    });
}

#[tokio::test]
async fn a_crash_between_exchange_and_answer_is_finished_at_the_next_start() {
    let world = world().await;
    world.does(|does| does.lose_exchanges = u32::MAX);
    let app = world.start();
    {
        let signing_in = world.sign_in(&app);
        tokio::pin!(signing_in);
        // Killed once the first exchange was made.
        loop {
            tokio::select! {
                _ = &mut signing_in => panic!("it cannot end"),
                () = tokio::task::yield_now() => if world.seen(|seen| !seen.exchanges.is_empty()) { break },
            }
        }
    }
    drop(app);
    assert_eq!(world.store.names(), ["pending"]);
    world.does(|does| does.lose_exchanges = 0);
    let app = world.start();
    app.state().wait_for(|state| state.listed).await.unwrap();
    assert_eq!(world.store.names(), ["account"]);
    world.seen(|seen| {
        assert!(seen.exchanges.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(seen.browser_opened, 1);
    });
}

#[tokio::test]
async fn an_unfinished_sign_in_that_is_too_old_is_dropped() {
    let world = world().await;
    let app = world.signed_in().await;
    drop(app);
    let data = world.folder.path().join("data");
    std::fs::rename(data.join("account.json"), data.join("pending.json")).unwrap();
    let secrets = world.store.kept.lock().unwrap().remove("account").unwrap();
    world
        .store
        .kept
        .lock()
        .unwrap()
        .insert("pending".to_owned(), secrets);
    world.server.clock.forward(301);
    let app = world.start();
    // The browser is needed again; the old keys are gone by then.
    world.sign_in(&app).await.unwrap();
    assert_eq!(world.store.names(), ["account"]);
    assert_eq!(world.seen(|seen| seen.browser_opened), 2);
}

#[tokio::test]
async fn without_a_browser_the_address_is_shown_and_giving_up_leaves_nothing() {
    let world = world().await;
    let app = world.start_with(Arc::new(NoBrowser));
    let (handle, issuer, id) = (
        app.clone(),
        format!("{}/op", world.server.id),
        world.server.id.clone(),
    );
    let signing_in = tokio::spawn(async move { handle.sign_in(&id, &issuer).await });
    let mut states = app.state();
    let state = states
        .wait_for(|state| matches!(state.sign_in, SignIn::WaitingForBrowser { .. }))
        .await
        .unwrap()
        .clone();
    let SignIn::WaitingForBrowser { url, provider_name } = &state.sign_in else {
        panic!()
    };
    assert!(
        url.starts_with(&format!("{}/op/auth?", world.server.id)) && provider_name == "Test ID"
    );
    assert!(state.troubles[0].sentence.contains("there is no browser"));
    let second = world.sign_in(&app).await.unwrap_err();
    assert!(second.sentence.contains("under way"));
    app.cancel_sign_in();
    assert!(signing_in.await.unwrap().is_err());
    assert_eq!(app.state().borrow().sign_in, SignIn::Idle);
    assert!(world.store.names().is_empty());
}

#[tokio::test]
async fn signing_out_revokes_the_binding_and_deletes_the_keys() {
    let world = world().await;
    let app = world.signed_in().await;
    let binding = app
        .state()
        .borrow()
        .account
        .as_ref()
        .unwrap()
        .binding_id
        .clone();
    app.sign_out().await.unwrap();
    assert_eq!(world.seen(|seen| seen.revoked.clone()), [binding]);
    assert!(world.store.names().is_empty());
    let state = app.state().borrow().clone();
    assert!(state.account.is_none() && state.connection == Connection::SignedOut);
    assert_eq!(state.last.as_ref().unwrap().server, world.server.id);
}

#[tokio::test]
async fn only_the_servers_word_ends_a_session() {
    let world = world().await;
    let app = world.signed_in().await;
    drop(app);
    world.does(|does| does.renewal = Some(json!({"error": "provider_unreachable"})));
    world.server.clock.forward(13 * 3600);
    let app = world.start();
    app.state()
        .wait_for(|state| !state.troubles.is_empty())
        .await
        .unwrap();
    assert_eq!(
        world.store.names(),
        ["account"],
        "the clock alone deletes nothing"
    );
    drop(app);
    world.does(|does| {
        does.renewal =
            Some(json!({"error": "invalid_grant", "error_description": "The session has ended."}))
    });
    let app = world.start();
    let mut states = app.state();
    let state = states
        .wait_for(|state| {
            state
                .troubles
                .iter()
                .any(|t| t.code == ProblemCode::SignedOut)
        })
        .await
        .unwrap()
        .clone();
    assert!(state.account.is_none());
    // The state comes first: a locked keyring must not hold it up.
    while !world.store.names().is_empty() {
        tokio::task::yield_now().await;
    }
}

// --- the inbox -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_request_arrives_is_rendered_from_its_bytes_and_leaves_again() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    world.put(world.request("t1", |_| ()));
    world.says("request.created", "t1", 6);
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Arrived {
            txn: "t1".to_owned()
        }
    );
    let state = app.state().borrow().clone();
    let row = &state.inbox[0];
    assert_eq!(
        (text(&row.requester).as_str(), text(&row.summary).as_str()),
        ("Mara Lind", "Delete customer 42")
    );
    let card = card(&app, "t1").await;
    assert_eq!(
        card.ballot,
        Ballot::Open {
            type_words: false,
            reason: countersign_api::ipc::ReasonRule::Optional
        }
    );
    assert_eq!(text(&card.who_may_vote), "group dba");
    assert!(card.words.is_some());
    let groups = card
        .who
        .claims
        .iter()
        .find(|field| field.label == "groups")
        .unwrap();
    assert_eq!(text(&groups.lines[0]), "orders-dev");
    world.does(|does| does.requests.get_mut("t1").unwrap()["state"] = "withdrawn".into());
    world.says("request.closed", "t1", 7);
    let closed = events.recv().await.unwrap();
    assert!(matches!(
        closed,
        Event::Closed {
            outcome: countersign_api::ipc::Outcome::Withdrawn,
            ..
        }
    ));
    assert!(app.state().borrow().inbox.is_empty());
    assert!(matches!(
        app.card("t1").await.unwrap().ballot,
        Ballot::Locked {
            why: WhyLocked::Closed,
            ..
        }
    ));
}

#[tokio::test]
async fn one_altered_byte_and_nothing_of_the_request_is_shown() {
    for member in ["operation_b64", "ask_jws", "request_jws"] {
        let world = world().await;
        let mut view = world.request("t1", |_| ());
        let good = view[member].as_str().unwrap();
        let altered = match member {
            "operation_b64" => {
                let bytes = String::from_utf8(b64u_decode(good).unwrap()).unwrap();
                b64u(bytes.replace("customer 42", "customer 43").as_bytes())
            }
            _ => {
                let (rest, signature) = good.rsplit_once('.').unwrap();
                let mut signature = b64u_decode(signature).unwrap();
                signature[0] ^= 1;
                format!("{rest}.{}", b64u(&signature))
            }
        };
        view[member] = altered.into();
        world.put(view);
        let app = world.signed_in().await;
        let state = app.state().borrow().clone();
        assert_eq!(
            text(&state.inbox[0].summary),
            "Not genuine: what the server sent does not verify",
            "{member}"
        );
        assert!(
            !format!("{:?}", state.inbox).contains("customer"),
            "{member}"
        );
        let problem = app.card("t1").await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::NotGenuine, "{member}");
        let vote = app
            .vote("t1", Choice::Approve, None, None, String::new())
            .await
            .unwrap_err();
        assert_eq!(vote.code, ProblemCode::NotGenuine);
        assert!(world.seen(|seen| seen.votes.is_empty()));
    }
}

#[tokio::test]
async fn a_vote_beside_a_request_must_be_about_it() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    world.put(world.request("t1", |_| ()));
    world.says("request.created", "t1", 6);
    events.recv().await.unwrap();
    let digest = card(&app, "t1").await.display_digest;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    let votes = world.server.does.lock().unwrap().requests["t1"]["votes"].clone();
    let mut other = world.request("t2", |_| ());
    other["votes"] = votes.clone();
    world.put(other);
    assert_eq!(
        app.card("t2").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
    let mut renamed = world.request("t3", |_| ());
    renamed["votes"] = votes;
    renamed["votes"][0]["sub"] = "jonas".into();
    world.put(renamed);
    assert_eq!(
        app.card("t3").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
}

#[tokio::test]
async fn gates_are_pinned_when_first_seen_and_never_change_their_key() {
    let world = world().await;
    let app = world.signed_in().await;
    let (second, other) = (SecretKey::generate([4; 32]), SecretKey::generate([5; 32]));
    // A gate that was registered after the sign-in.
    world.does(|does| {
        does.published_peps
            .push(("billing-gate".to_owned(), second.clone()))
    });
    world.put(world.request_by("t1", "billing-gate", &second, |_| ()));
    assert!(app.card("t1").await.is_ok());
    // The server says that a known gate has another key now.
    world.does(|does| does.published_peps = vec![("orders-gate".to_owned(), other.clone())]);
    world.put(world.request_by("t2", "orders-gate", &other, |_| ()));
    assert_eq!(
        app.card("t2").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
}

#[tokio::test]
async fn a_request_whose_time_ran_out_cannot_be_voted_on() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let digest = card(&app, "t1").await.display_digest;
    world.server.clock.forward(901);
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.code, problem.sentence.as_str()),
        (ProblemCode::Closed, "Its time ran out.")
    );
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

// --- voting ----------------------------------------------------------------------------------------

async fn ready(world: &World, change: impl FnOnce(&mut Requirement)) -> (Approver, String) {
    world.put(world.request("t1", change));
    let app = world.signed_in().await;
    let digest = card(&app, "t1").await.display_digest;
    (app, digest)
}

fn sent(world: &World) -> (Vote, Value) {
    world.seen(|seen| {
        let body = seen.votes.last().unwrap().clone();
        let cic = b64u_decode(&seen.exchanges[0].0).unwrap();
        let key = Statement::from_bytes(&cic).unwrap().key;
        (
            Vote::verify(body["vote"].as_str().unwrap(), &key).unwrap(),
            body,
        )
    })
}

#[tokio::test]
async fn what_is_signed_is_what_was_shown() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    let after = app
        .vote(
            "t1",
            Choice::Approve,
            Some(" fine by me ".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap();
    assert!(matches!(
        after.ballot,
        Ballot::Locked {
            why: WhyLocked::Voted,
            ..
        }
    ));
    assert!(after.votes[0].mine && text(after.votes[0].reason.as_ref().unwrap()) == "fine by me");
    let (vote, _) = sent(&world);
    let view = world.server.does.lock().unwrap().requests["t1"].clone();
    let operation = b64u_decode(view["operation_b64"].as_str().unwrap()).unwrap();
    assert_eq!(vote.vote, Signed::Approve);
    assert_eq!(vote.operation_digest, Digest::of(&operation));
    assert_eq!(
        vote.request_jws_digest,
        countersign_evidence::jws_digest(view["request_jws"].as_str().unwrap())
    );
    assert_eq!(vote.display.sha256.to_string(), digest);
    assert_eq!(
        (vote.nonce.as_str(), vote.pep.as_str(), vote.txn.as_str()),
        ("the-challenge", "orders-gate", "t1")
    );
    assert_eq!(
        (vote.server.as_str(), vote.sub_id.sub.as_str()),
        (world.server.id.as_str(), "elin")
    );
    assert_eq!(
        vote.binding_id.to_string(),
        app.state().borrow().account.as_ref().unwrap().binding_id
    );
    assert_eq!(vote.policy_digest, Digest::of(b"policy"));
    assert!(vote.supersedes.is_none() && vote.match_words.is_none());
}

#[tokio::test]
async fn a_request_that_was_swapped_after_it_was_shown_is_not_signed() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    // Genuine in itself, but another one: the server draws a new id for the same operation.
    world.put(world.request("t1", |requirement| {
        requirement.irreversible = Some("Cannot be undone".to_owned())
    }));
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::NotGenuine);
    let stale = app
        .vote(
            "t1",
            Choice::Approve,
            None,
            None,
            Digest::of(b"another card").to_string(),
        )
        .await
        .unwrap_err();
    assert_eq!(stale.code, ProblemCode::NotGenuine);
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

#[tokio::test]
async fn a_lost_answer_sends_the_very_same_vote_again() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    world.does(|does| does.lose_votes = 3);
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::ServerUnreachable);
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    world.seen(|seen| {
        assert_eq!(seen.votes.len(), 4);
        assert!(seen.votes.windows(2).all(|pair| pair[0] == pair[1]));
    });
}

#[tokio::test]
async fn words_are_compared_before_anything_is_signed() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        requirement.match_words = MatchWords::Words
    })
    .await;
    assert!(
        card(&app, "t1").await.words.is_none(),
        "what has to be typed is not shown"
    );
    let view = world.server.does.lock().unwrap().requests["t1"].clone();
    let words = countersign_model::matching_words(countersign_evidence::jws_digest(
        view["request_jws"].as_str().unwrap(),
    ));
    let typed = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    for wrong in [
        None,
        typed("", ""),
        typed(words[1], words[0]),
        typed(words[0], "nonsense"),
    ] {
        let problem = app
            .vote("t1", Choice::Approve, None, wrong, digest.clone())
            .await
            .unwrap_err();
        assert_eq!(problem.code, ProblemCode::WrongWords);
    }
    assert!(world.seen(|seen| seen.votes.is_empty()));
    app.vote(
        "t1",
        Choice::Approve,
        None,
        typed(&format!(" {} ", words[0].to_uppercase()), words[1]),
        digest,
    )
    .await
    .unwrap();
    assert_eq!(sent(&world).0.match_words.unwrap(), words.join(" "));
}

#[tokio::test]
async fn a_reason_is_given_where_the_policy_wants_one() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        requirement.reason = ReasonRule::OnDeny
    })
    .await;
    let problem = app
        .vote(
            "t1",
            Choice::Deny,
            Some("  ".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap_err();
    assert!(problem.sentence.contains("wants a reason"));
    app.vote(
        "t1",
        Choice::Deny,
        Some("not today".to_owned()),
        None,
        digest,
    )
    .await
    .unwrap();
    let (vote, _) = sent(&world);
    assert_eq!(
        (vote.vote, vote.reason.as_deref()),
        (Signed::Deny, Some("not today"))
    );
}

#[tokio::test]
async fn a_deny_may_replace_ones_own_approval_and_says_so() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    app.vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap();
    let first = sent(&world).1["vote"].as_str().unwrap().to_owned();
    let again = app
        .vote(
            "t1",
            Choice::Approve,
            Some("twice".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap_err();
    assert_eq!(again.code, ProblemCode::Forbidden);
    app.vote("t1", Choice::Deny, None, None, digest)
        .await
        .unwrap();
    assert_eq!(
        sent(&world).0.supersedes,
        Some(countersign_evidence::jws_digest(&first))
    );
}

#[tokio::test]
async fn older_claims_are_made_newer_for_a_vote_and_a_provider_that_cannot_is_named() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    assert!(
        sent(&world).1.get("claims_token").is_none(),
        "the sign-in's own token is fresh enough"
    );
    world.server.clock.forward(400);
    world.put(world.request("t2", |_| ()));
    let digest = card(&app, "t2").await.display_digest;
    app.vote("t2", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    assert!(sent(&world).1["claims_token"].is_string());
    world.does(|does| does.refreshes = false);
    world.server.clock.forward(400);
    world.put(world.request("t3", |_| ()));
    let digest = card(&app, "t3").await.display_digest;
    let problem = app
        .vote("t3", Choice::Approve, None, None, digest)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::SignedOut);
    assert!(
        problem.sentence.contains("at most 5 minutes old"),
        "{}",
        problem.sentence
    );
    assert_eq!(world.seen(|seen| seen.votes.len()), 2);
}

#[tokio::test]
async fn what_this_version_cannot_do_is_locked_and_said() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| requirement.step_up = StepUp::Oidc).await;
    assert!(matches!(
        card(&app, "t1").await.ballot,
        Ballot::Locked {
            why: WhyLocked::NotSupported,
            ..
        }
    ));
    assert!(
        app.vote("t1", Choice::Approve, None, None, digest)
            .await
            .is_err()
    );
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

#[tokio::test]
async fn ones_own_request_is_not_voted_on() {
    let world = world().await;
    let mut view = world.request("t1", |_| ());
    view["locked"] = "own_request".into();
    view.as_object_mut().unwrap().remove("challenge");
    world.put(view);
    let app = world.signed_in().await;
    let state = app.state().borrow().clone();
    assert!(state.inbox.is_empty() && state.others.len() == 1);
    let card = card(&app, "t1").await;
    assert!(matches!(
        card.ballot,
        Ballot::Locked {
            why: WhyLocked::OwnRequest,
            ..
        }
    ));
    let problem = app
        .vote("t1", Choice::Approve, None, None, card.display_digest)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::Forbidden);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_before_the_program_ends() {
    let world = world().await;
    let (app, _) = ready(&world, |_| ()).await;
    world.server.clock.forward(400);
    world.put(world.request("t2", |_| ()));
    world.says("request.created", "t2", 6);
    app.state()
        .wait_for(|state| state.inbox.iter().any(|row| row.txn == "t2"))
        .await
        .unwrap();
    // Reading the card refreshes ahead; the program ends at once.
    app.card("t2").await.unwrap();
    while world.seen(|seen| seen.refreshes) == 0 {
        tokio::task::yield_now().await;
    }
    app.settle().await;
    drop(app);
    let kept = String::from_utf8(world.store.kept.lock().unwrap()["account"].clone()).unwrap();
    assert!(kept.contains("\"r1\""), "{kept}");
}

// --- connection, history, devices ------------------------------------------------------------------

#[tokio::test]
async fn an_access_token_that_ended_is_renewed_in_passing() {
    let world = world().await;
    let app = world.signed_in().await;
    world.put(world.request("t1", |_| ()));
    world.does(|does| does.ended_tokens = vec!["token-0".to_owned()]);
    assert!(app.card("t1").await.is_ok());
    assert_eq!(
        world.seen(|seen| (seen.renewals, seen.browser_opened)),
        (1, 1)
    );
    // One that is refused for good says so, and is not asked for again and again.
    world.does(|does| does.ended_tokens = (0..10).map(|n| format!("token-{n}")).collect());
    assert_eq!(
        app.card("t1").await.unwrap_err().code,
        ProblemCode::SignedOut
    );
    assert_eq!(world.seen(|seen| seen.renewals), 2);
}

#[tokio::test]
async fn what_the_stream_no_longer_keeps_is_found_in_the_list() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let mut events = app.events();
    world.does(|does| does.requests.get_mut("t1").unwrap()["state"] = "expired".into());
    world.put(world.request("t2", |_| ()));
    let reset = json!({"v": 1, "seq": 0, "type": "reset", "data": {"seq": 900}});
    world.server.stream.send(reset).unwrap();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Arrived {
            txn: "t2".to_owned()
        }
    );
    assert!(matches!(events.recv().await.unwrap(), Event::Closed { txn, .. } if txn == "t1"));
    let mut states = app.state();
    states
        .wait_for(|state| state.inbox.iter().map(|row| row.txn.as_str()).eq(["t2"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_that_is_gone_for_this_person_leaves_the_inbox() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let mut events = app.events();
    world.does(|does| drop(does.requests.remove("t1")));
    world.says("request.updated", "t1", 6);
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Closed { by: None, .. }
    ));
    app.state()
        .wait_for(|state| state.inbox.is_empty())
        .await
        .unwrap();
}

#[tokio::test]
async fn another_device_is_announced_and_can_be_revoked() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    let other = Digest::of(b"other").to_string();
    let added = json!({"v": 1, "seq": 6, "type": "binding.added", "data": {"binding_id": other}});
    world.server.stream.send(added).unwrap();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::DeviceAdded {
            binding_id: other.clone()
        }
    );
    let devices = app.devices().await.unwrap();
    assert_eq!(
        devices
            .iter()
            .map(|device| device.this_device)
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert!(
        text(&devices[0].name).contains("202E"),
        "what hides is made visible in names of devices too"
    );
    app.revoke_device(&other).await.unwrap();
    assert_eq!(world.seen(|seen| seen.revoked.clone()), [other]);
    assert!(app.revoke_device("../requests").await.is_err());
    // This one: by signing out.
    let mine = devices[1].binding_id.clone();
    assert!(app.revoke_device(&mine).await.unwrap().is_empty());
    assert!(app.state().borrow().account.is_none());
}

/// One approval that decided, as history.
async fn decided(world: &World) -> Approver {
    let (app, digest) = ready(world, |requirement| requirement.approvals = 1).await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    world.does(|does| {
        let view = does.requests.get_mut("t1").unwrap();
        view["state"] = "redeemed".into();
        view["ended_at"] = 1_800_000_000.into();
    });
    app
}

#[tokio::test]
async fn evidence_is_verified_on_this_device_and_says_what_it_cannot_prove() {
    let world = world().await;
    let app = decided(&world).await;
    let outcomes = |report: &VerifyReport| {
        report
            .steps
            .iter()
            .map(|step| step.outcome)
            .collect::<Vec<_>>()
    };
    use StepOutcome::{Failed, NotApplicable, NotProven, NotReached, Passed};
    let report = app.verify("t1").await.unwrap();
    assert_eq!(report.conclusion, Conclusion::Consistent);
    let with_own_token = [
        Passed,
        Passed,
        NotProven,
        Passed,
        Passed,
        NotApplicable,
        NotProven,
        NotApplicable,
    ];
    assert_eq!(outcomes(&report), with_own_token, "{report:?}");
    world.does(|does| does.gives_tokens = false);
    let report = app.verify("t1").await.unwrap();
    assert_eq!(
        (report.conclusion, report.steps[4].outcome),
        (Conclusion::Consistent, NotProven)
    );
    world.does(|does| does.forges_grants = true);
    let report = app.verify("t1").await.unwrap();
    assert_eq!(report.conclusion, Conclusion::Failed);
    let forged = [
        Passed, Failed, NotReached, NotReached, NotReached, NotReached, NotReached, NotReached,
    ];
    assert_eq!(outcomes(&report), forged);
}

#[tokio::test]
async fn evidence_is_written_as_a_file_that_others_read() {
    let world = world().await;
    let app = decided(&world).await;
    let path = app
        .export_evidence("t1", world.folder.path())
        .await
        .unwrap();
    let evidence =
        countersign_evidence::Evidence::from_json(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(evidence.votes.len(), 1);
    assert_eq!(path.file_name().unwrap(), "countersign-t1.json");
    assert!(
        app.export_evidence("../t1", world.folder.path())
            .await
            .is_err()
    );
    let nowhere = app
        .export_evidence("t1", FsPath::new("/nonexistent"))
        .await
        .unwrap_err();
    assert!(nowhere.sentence.contains("could not be written"));
}

#[tokio::test]
async fn history_is_asked_for_as_wished_and_verified_row_by_row() {
    let world = world().await;
    let app = decided(&world).await;
    let mut altered = world.request("t2", |_| ());
    altered["state"] = "denied".into();
    altered["operation_b64"] = b64u(b"{}").into();
    world.put(altered);
    let query = HistoryQuery {
        text: " customer 42 ".to_owned(),
        outcomes: vec![Outcome::Denied, Outcome::Redeemed],
        mine: true,
        cursor: Some("c".to_owned()),
    };
    let page = app.history(query).await.unwrap();
    assert_eq!(
        world.seen(|seen| seen.queries.clone()),
        ["q=customer+42&outcome=denied%2Credeemed&mine=true&cursor=c"]
    );
    assert_eq!(
        (text(&page.rows[0].summary).as_str(), page.rows[0].outcome),
        ("Delete customer 42", Outcome::Redeemed)
    );
    assert!(text(&page.rows[1].summary).starts_with("Not genuine"));
    assert_eq!(page.next.as_deref(), Some("more"));
    let report = app.verify("t2").await.unwrap_err();
    assert_eq!(report.code, ProblemCode::NotGenuine);
}
