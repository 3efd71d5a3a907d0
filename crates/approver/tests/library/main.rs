//! The library against a server and a provider that do what the test says: lie, lose answers, change keys. What
//! honest ones do is tested with the real ones in the workspace's `tests/`.
//!
//! One file because server, provider and person here share one state that each test changes.
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
    Ballot, Choice, Conclusion, Connection, HistoryQuery, ProblemCode, SignIn, StepOutcome,
    VerifyReport, WhyLocked,
};
use countersign_approver::{Approver, Deps, Event, KeyStore, KeyStoreError, Opener};
use countersign_evidence::{
    Ask, Choice as Signed, Grant, GrantVote, Request, SecretKey, Statement, Vote, dpop,
};
use countersign_model::{
    By, Clock, Digest, Issuer, MatchWords, NotifyButtons, Operation, ReasonRule, Requirement,
    ServerId, StepUp, Subject, Txn, UnixSecs, b64u, b64u_decode,
};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use url::Url;

mod absence;
mod accounts;
mod filling;
mod history;
mod keyring;
mod offline;
mod provider;
mod requests;
mod security_key;
mod signing_in;
mod since;
mod step_up;
mod votes;

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
    /// How often something was read.
    reads: AtomicI64,
    /// The next reading waits for this: a dialog is open.
    dialog: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
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
        self.reads.fetch_add(1, Ordering::SeqCst);
        let dialog = self.dialog.lock().unwrap().take();
        if let Some(dialog) = dialog {
            dialog.recv().unwrap();
        }
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
    /// Every vote is refused with a 401 of this code.
    refuse_votes: Option<&'static str>,
    /// The token endpoint's answer to a renewal, when it is not the usual one.
    renewal: Option<Value>,
    refreshes: bool,
    gives_tokens: bool,
    forges_grants: bool,
    /// Access tokens that are not accepted any more.
    ended_tokens: Vec<String>,
    /// No stream is to be had.
    stream_down: bool,
    published_peps: Vec<(String, SecretKey)>,
    /// Of the last authorization request.
    nonce: String,
    /// Of the sign-in: what a refreshed token repeats.
    first_nonce: String,
    /// What the server says of the provider.
    step_up: &'static str,
    /// What comes back through the browser, in place of a code.
    redirect: &'static str,
    /// The provider's token endpoint is down.
    provider_down: bool,
    /// Claims of the next ID token by a code, in place of the usual ones.
    claims: Value,
    absence: Value,
    /// Its clock, and the provider's, against the program's.
    ahead_secs: i64,
    /// Pages of the history that begin here or below are not to be had.
    history_ends_at: Option<usize>,
    /// Begins its places in the history. Others are refused.
    places: &'static str,
}

/// What it was sent.
#[derive(Default)]
struct Seen {
    browser_opened: u32,
    exchanges: Vec<(String, String)>,
    renewals: u32,
    /// The claims that came along with each.
    renewed_with: Vec<Option<String>>,
    refreshes: u32,
    votes: Vec<Value>,
    revoked: Vec<String>,
    lists: u32,
    queries: Vec<String>,
    id_token: String,
    /// What the last authorization request asked for.
    asked: HashMap<String, String>,
    claims_tokens: Vec<String>,
}

type App = Arc<Server>;

fn error(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

async fn well_known(State(server): State<App>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", server.id);
    Json(json!({
        "server": server.id, "version": 1, "jwks_uri": at("/.well-known/countersign/keys"),
        "providers": [{
            "issuer": at("/op"), "client_id": "approver", "scopes": ["openid"], "name": "Test ID", "redirect_path": "/callback",
            "step_up": server.does.lock().unwrap().step_up,
        }],
        "endpoints": {
            "nonce": at("/oauth/nonce"), "token": at("/oauth/token"), "requests": at("/requests"), "history": at("/history"),
            "bindings": at("/bindings"), "claims": at("/claims"), "absence": at("/absence"), "colleagues": at("/colleagues"), "stream": at("/stream").replace("http", "ws"),
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
        let mut seen = server.seen.lock().unwrap();
        seen.renewals += 1;
        seen.renewed_with.push(form.get("subject_token").cloned());
        drop(seen);
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

fn has_ended(server: &Server, headers: &HeaderMap) -> bool {
    let token = headers["authorization"]
        .to_str()
        .unwrap()
        .replace("DPoP ", "");
    server.does.lock().unwrap().ended_tokens.contains(&token)
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
    if has_ended(&server, &headers) {
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
    if let Some(code) = does.refuse_votes {
        let problem = json!({
            "type": "about:blank", "title": "Refused", "status": 401, "code": code, "detail": "It does not hold.",
        });
        return (StatusCode::UNAUTHORIZED, Json(problem)).into_response();
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

/// Two requests a page, the newest (by name) first.
async fn history(State(server): State<App>, uri: axum::http::Uri, headers: HeaderMap) -> Response {
    authorized(&server, &headers, "GET", "/history");
    let query = uri.query().unwrap_or_default().to_owned();
    server.seen.lock().unwrap().queries.push(query.clone());
    let does = server.does.lock().unwrap();
    let place = |name: &str| -> Result<Option<usize>, ()> {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name));
        let number = value.map(|value| value.strip_prefix(does.places)?.parse().ok());
        number.map(|number| number.ok_or(())).transpose()
    };
    let (Ok(before), Ok(after)) = (place("cursor="), place("after=")) else {
        return error(400);
    };
    let places: Vec<(usize, &Value)> = does
        .requests
        .values()
        .filter(|view| view["state"] != "pending")
        .enumerate()
        .map(|(index, view)| (index + 1, view))
        .collect();
    let (before, after) = (before.unwrap_or(usize::MAX), after.unwrap_or(0));
    if does.history_ends_at.is_some_and(|end| before <= end) {
        return error(503);
    }
    let mut selected: Vec<_> = places
        .iter()
        .filter(|(place, _)| *place < before && *place > after)
        .collect();
    selected.reverse();
    let named = |place: usize| format!("{}{place}", does.places);
    let next = (selected.len() > 2).then(|| named(selected[1].0));
    let page: Vec<&Value> = selected
        .into_iter()
        .take(2)
        .map(|(_, view)| *view)
        .collect();
    let newest = named(places.len());
    Json(json!({"requests": page, "next": next, "newest": newest, "oldest_at": 0})).into_response()
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
    if server.does.lock().unwrap().stream_down {
        return error(503);
    }
    if has_ended(&server, &headers) {
        return error(401);
    }
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
                        if frame.is_null() {
                            // The connection is cut.
                            return;
                        }
                        if socket.send(Message::text(frame.to_string())).await.is_err() {
                            return;
                        }
                    }
                    message = socket.recv() => if !matches!(message, Some(Ok(_))) { return },
                }
            }
        })
}

async fn newer_claims(
    State(server): State<App>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    authorized(&server, &headers, "POST", "/claims");
    let token = body["claims_token"].as_str().unwrap().to_owned();
    server.seen.lock().unwrap().claims_tokens.push(token);
    StatusCode::NO_CONTENT
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
        self.0.seen.lock().unwrap().asked = url.query_pairs().into_owned().collect();
        let mut does = self.0.does.lock().unwrap();
        does.nonce = of("nonce").unwrap();
        if does.first_nonce.is_empty() {
            does.first_nonce = does.nonce.clone();
        }
        if does.redirect.is_empty() {
            // The person closed the browser, or is away.
            return Ok(());
        }
        let back = format!(
            "{}?{}&state={}",
            of("redirect_uri").unwrap(),
            does.redirect,
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
            refuse_votes: None,
            renewal: None,
            refreshes: true,
            gives_tokens: true,
            forges_grants: false,
            ended_tokens: Vec::new(),
            stream_down: false,
            published_peps: vec![("orders-gate".to_owned(), pk.clone())],
            nonce: String::new(),
            first_nonce: String::new(),
            step_up: "oidc",
            redirect: "code=c",
            provider_down: false,
            claims: Value::Null,
            absence: json!({}),
            ahead_secs: 0,
            history_ends_at: None,
            places: "",
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
        .route("/claims", post(newer_claims))
        .route("/history", get(history))
        .route("/bindings", get(bindings))
        .route("/bindings/{id}", axum::routing::delete(revoke))
        .route("/stream", get(stream))
        .merge(absence::routes())
        .route(
            "/op/.well-known/openid-configuration",
            get(provider::discovery),
        )
        .route("/op/jwks", get(provider::jwks))
        .route("/op/token", post(provider::op_token))
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
    let now = server.clock.now().0 + server.does.lock().unwrap().ahead_secs;
    let now = UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(now).unwrap());
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

    fn does_get<T>(&self, look: impl FnOnce(&Does) -> T) -> T {
        look(&self.server.does.lock().unwrap())
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
        self.request_for(txn, self.operation(pep), pk, change)
    }

    /// Mara wants customer 42 deleted.
    fn operation(&self, pep: &str) -> Value {
        let issuer = Issuer::parse(&format!("{}/op", self.server.id)).unwrap();
        let requester = Subject::new(issuer, "mara").unwrap();
        json!({
            "subject": {"type": "user", "id": requester.to_string(), "properties": {"claims": {"name": "Mara Lind", "groups": ["orders-dev"]}}},
            "action": {"name": "orders.customers.delete", "properties": {
                "kind": "http", "title": {"verb": "Delete", "thing": "customer 42"}, "method": "DELETE", "scheme": "http",
                "authority": "127.0.0.1:8080", "path": "/customers/42", "headers": [], "body": {"size": 0, "sha256": Digest::of(b"").to_string()},
            }},
            "resource": {"type": "orders.customer", "id": "42", "properties": {"service": "orders-api"}},
            "context": {"pep": pep, "nonce": countersign_model::Nonce::from_bytes([9; 16]).as_str()},
        })
    }

    fn request_for(
        &self,
        txn: &str,
        operation: Value,
        pk: &SecretKey,
        change: impl FnOnce(&mut Requirement),
    ) -> Value {
        let now = self.server.clock.now();
        let server = ServerId::parse(&self.server.id).unwrap();
        let mut requirement = Requirement {
            by: By::Others,
            approvals: 2,
            stages: Vec::new(),
            step_up: StepUp::None,
            acr: None,
            scope: None,
            match_words: MatchWords::None,
            hold: false,
            fresh_claims_secs: 300,
            release_claims_secs: None,
            reason: ReasonRule::Optional,
            notify_buttons: NotifyButtons::None,
            urgent: false,
            ttl_secs: 900,
            grant_secs: 300,
            irreversible: None,
            lift: Vec::new(),
        };
        change(&mut requirement);
        let operation = Operation::build(operation).unwrap();
        let pep = operation.pep().clone();
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
            sub_id: operation.subject().clone(),
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

async fn ready(world: &World, change: impl FnOnce(&mut Requirement)) -> (Approver, String) {
    world.put(world.request("t1", change));
    let app = world.signed_in().await;
    let digest = card(&app, "t1").await.display_digest;
    (app, digest)
}
