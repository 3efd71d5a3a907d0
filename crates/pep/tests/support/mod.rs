//! A provider and an approval server on loopback, both under the test's control. The server can lie in every way
//! that it has; what it sends goes through the real client, the real verification and the real policy.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]
// Here `_` reads as "in this, the server stays honest".
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_evidence::documents::DisplayDigest;
use countersign_evidence::op_token::OpConfig;
use countersign_evidence::{
    Ask, Choice, Evidence, EvidenceVote, Grant, GrantVote, Request, SecretKey, Statement, Vote,
    jose, jws_digest,
};
use countersign_model::{
    Clock, Digest, Issuer, Operation, PepId, PolicyCheck, Requirement, ServerId, Subject, Txn,
    UnixSecs, b64u,
};
use countersign_oidc::Provider;
use countersign_pep::{Bounds, Fresh, Pep, PepConfig, TrustedProvider};
use countersign_policy::Policy;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub const CLIENT: &str = "countersign-approver";
pub const PEP: &str = "orders-gate";

/// A clock that stands until it is moved.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_800_000_000)))
    }

    /// Of the machine, for tests that run real programs beside this.
    pub fn of_the_machine() -> Arc<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Arc::new(Self(AtomicI64::new(since.as_secs().try_into().unwrap())))
    }

    pub fn forward(&self, secs: i64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

/// Everything that is served here carries the test's time: clients compare clocks.
async fn dated(
    State(clock): State<Arc<TestClock>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(clock.now().0.try_into().unwrap());
    let date = HeaderValue::from_str(&httpdate::fmt_http_date(time)).unwrap();
    response.headers_mut().insert("date", date);
    response
}

async fn serve(router: Router, listener: tokio::net::TcpListener) {
    axum::serve(listener, router).await.unwrap();
}

async fn listen() -> (tokio::net::TcpListener, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// An OpenID provider: discovery, keys, and tokens signed by it.
#[derive(Clone)]
pub struct Op {
    pub issuer: Issuer,
    key: SecretKey,
    clock: Arc<TestClock>,
    published: Arc<Mutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl Op {
    pub async fn start(clock: &Arc<TestClock>) -> Self {
        Self::start_as(clock, 40).await
    }

    /// Another one, with a key of its own.
    pub async fn start_as(clock: &Arc<TestClock>, seed: u8) -> Self {
        let (listener, url) = listen().await;
        let key = SecretKey::generate([seed; 32]);
        let document = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
        });
        let keys = Arc::new(Mutex::new(vec![published(&key)]));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&keys), Arc::clone(&fetches));
        let jwks = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let keys = served.lock().unwrap().clone();
            std::future::ready(Json(json!({ "keys": keys })))
        };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { Json(document) }),
            )
            .route("/jwks", get(jwks))
            .layer(from_fn_with_state(Arc::clone(clock), dated));
        tokio::spawn(serve(router, listener));
        Self {
            issuer: Issuer::parse(&url).unwrap(),
            key,
            clock: Arc::clone(clock),
            published: keys,
            fetches,
        }
    }

    /// Publishes its key no more.
    pub fn withdraw_key(&self) {
        self.published.lock().unwrap().clear();
    }

    pub fn subject(&self, sub: &str) -> Subject {
        Subject::new(self.issuer.clone(), sub).unwrap()
    }

    pub fn id_token(&self, sub: &str, groups: &[&str], nonce: &str) -> String {
        self.id_token_by(&self.key, sub, groups, nonce)
    }

    /// As somebody else would sign it, in this provider's name.
    pub fn id_token_by(&self, key: &SecretKey, sub: &str, groups: &[&str], nonce: &str) -> String {
        let now = self.clock.now().0;
        jose::sign(
            key,
            "JWT",
            &json!({
                "iss": self.issuer.as_str(), "sub": sub, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 600,
                "auth_time": now - 5, "groups": groups, "name": sub,
            }),
        )
    }

    pub fn access_token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.access_token_by(&self.key, change)
    }

    /// As somebody else would sign it, in this provider's name.
    pub fn access_token_by(&self, key: &SecretKey, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().0;
        let mut claims = json!({
            "iss": self.issuer.as_str(), "sub": "mara", "aud": "urn:orders", "client_id": "cli", "iat": now,
            "exp": now + 600, "jti": b64u(&rand::random::<[u8; 9]>()), "name": "Mara", "groups": ["orders-dev"],
        });
        change(&mut claims);
        jose::sign(key, "at+jwt", &claims)
    }

    /// A token of another type: what a CI system or a cluster gives to a workload.
    pub fn workload_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().0;
        let mut claims = json!({
            "iss": self.issuer.as_str(), "sub": "repo:orders/shop", "aud": "urn:orders", "iat": now, "exp": now + 300,
            "actor_id": "mara", "groups": ["orders-dev"],
        });
        change(&mut claims);
        jose::sign(&self.key, "JWT", &claims)
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Publishes another key, and this one no more.
    pub fn rotate_key(&mut self, seed: u8) {
        self.key = SecretKey::generate([seed; 32]);
        *self.published.lock().unwrap() = vec![published(&self.key)];
    }
}

/// A public key as a provider publishes it.
fn published(key: &SecretKey) -> Value {
    let mut jwk = key.public().to_jwk();
    jwk["kid"] = json!(key.public().thumbprint());
    jwk["alg"] = json!("Ed25519");
    jwk["use"] = json!("sig");
    jwk
}

/// What the server does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: it is honest.
    None,
    /// Says approved, shows nothing.
    NoEvidence,
    /// Signs votes itself, with device keys bound by its own provider key.
    OwnOpKey,
    /// A vote with somebody's real binding, signed by another key in its name.
    ForgedVote,
    /// The same, and the vote names that other key.
    OtherKeysVote,
    /// A deny, counted as an approval.
    DenyAsApprove,
    /// Approved another operation, and grants this one.
    SwappedOperation,
    /// Approved another operation in full, and shows that.
    OtherOperation,
    /// Asked people for less.
    LoweredRequirement,
    /// One vote where two are needed.
    OneVote,
    /// One person's vote twice, from two devices.
    OnePersonTwice,
    /// The requester's own vote.
    Requester,
    /// Votes of people who may not vote.
    Outsiders,
    /// A real binding for another server.
    OtherServersBinding,
    /// Old votes, from before this gate asked.
    OldVotes,
    /// Another gate's grant.
    OtherGate,
    /// The grant signed by another key.
    OwnServerKey,
    /// Another request's evidence, complete and for the same operation bytes but another id.
    OtherTxn,
    /// No tokens in the evidence.
    NoTokens,
    /// Approved, but does not redeem.
    RefusesRedeem,
    /// Answers `true` to redeeming, without having redeemed.
    TrueWithoutRedeem,
}

#[derive(Debug, Clone)]
struct Opened {
    operation: Operation,
    ask_jws: String,
    requirement: Requirement,
    status: &'static str,
    evidence: Option<Value>,
    redeemed: Option<String>,
    reason: Option<String>,
}

#[derive(Default)]
struct Book {
    opened: HashMap<String, Opened>,
    by_key: HashMap<String, String>,
    outcomes: Vec<Value>,
    cancelled: Vec<String>,
    down: bool,
    calls: usize,
    polls: usize,
}

/// The approval server.
#[derive(Clone)]
pub struct Server {
    pub id: ServerId,
    pub lie: Arc<Mutex<Lie>>,
    key: SecretKey,
    pep_key: Arc<SecretKey>,
    policy: Arc<Policy>,
    op: Op,
    clock: Arc<TestClock>,
    book: Arc<Mutex<Book>>,
    changed: Arc<Notify>,
}

impl Server {
    pub async fn start(
        op: &Op,
        policy: Arc<Policy>,
        pep_key: Arc<SecretKey>,
        clock: &Arc<TestClock>,
    ) -> Self {
        let (listener, url) = listen().await;
        let server = Self {
            id: ServerId::parse(&url).unwrap(),
            lie: Arc::new(Mutex::new(Lie::None)),
            key: SecretKey::generate([41; 32]),
            pep_key,
            policy,
            op: op.clone(),
            clock: Arc::clone(clock),
            book: Arc::default(),
            changed: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/countersign/keys", get(keys))
            .route("/access/v1/requests", post(submit))
            .route("/access/v1/requests/{txn}", get(task).delete(cancel))
            .route("/access/v1/requests/{txn}/outcome", post(outcome))
            .route("/access/v1/evaluation", post(redeem))
            .layer(from_fn_with_state(server.clone(), gone))
            .layer(from_fn_with_state(Arc::clone(clock), dated))
            .with_state(server.clone());
        tokio::spawn(serve(router, listener));
        server
    }

    pub fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    pub fn down(&self, down: bool) {
        self.book.lock().unwrap().down = down;
    }

    pub fn calls(&self) -> usize {
        self.book.lock().unwrap().calls
    }

    pub fn outcomes(&self) -> Vec<Value> {
        self.book.lock().unwrap().outcomes.clone()
    }

    /// The ids of all requests that were ever opened.
    pub fn known(&self) -> Vec<String> {
        self.book.lock().unwrap().opened.keys().cloned().collect()
    }

    pub fn cancelled(&self) -> Vec<String> {
        self.book.lock().unwrap().cancelled.clone()
    }

    /// Waits until a request is open, and says which.
    pub async fn opened(&self) -> String {
        self.wait(|book| {
            book.opened
                .iter()
                .find(|(_, one)| one.status == "pending")
                .map(|(txn, _)| txn.clone())
        })
        .await
    }

    /// Waits until a gate waits for a decision: it has heard the answer to its ask.
    pub async fn polled(&self) {
        self.wait(|book| (book.polls > 0).then_some(())).await;
    }

    /// Waits until this many were withdrawn.
    pub async fn withdrawn(&self, count: usize) {
        self.wait(|book| (book.cancelled.len() >= count).then_some(()))
            .await;
    }

    async fn wait<T>(&self, look: impl Fn(&Book) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&self.book.lock().unwrap()) {
                return found;
            }
            changed.await;
        }
    }

    /// People decide; how honestly, says [`Lie`].
    pub fn approve(&self, txn: &str) {
        let lie = *self.lie.lock().unwrap();
        let mut book = self.book.lock().unwrap();
        let opened = book.opened.get_mut(txn).unwrap();
        opened.status = "approved";
        opened.evidence =
            (lie != Lie::NoEvidence).then(|| self.evidence(txn, opened, lie).to_value());
        drop(book);
        self.changed.notify_waiters();
    }

    pub fn end(&self, txn: &str, status: &'static str, reason: Option<&str>) {
        let mut book = self.book.lock().unwrap();
        let opened = book.opened.get_mut(txn).unwrap();
        opened.status = status;
        opened.reason = reason.map(str::to_owned);
        drop(book);
        self.changed.notify_waiters();
    }

    fn evidence(&self, txn: &str, opened: &Opened, lie: Lie) -> Evidence {
        let now = self.clock.now();
        let mut operation = opened.operation.clone();
        let mut ask_jws = opened.ask_jws.clone();
        let mut requirement = opened.requirement.clone();
        if matches!(lie, Lie::OtherOperation) {
            let mut value = operation.value().clone();
            value["resource"]["id"] = json!("1");
            operation = Operation::build(value).unwrap();
            let (_, mut ask) = Ask::unverified(&ask_jws).unwrap();
            ask.operation_digest = operation.digest();
            ask_jws = ask.sign(&self.pep_key);
        }
        if lie == Lie::LoweredRequirement {
            requirement.approvals = 1;
        }
        let txn = Txn::parse(if lie == Lie::OtherTxn { "another" } else { txn }).unwrap();
        let pep = PepId::parse(if lie == Lie::OtherGate {
            "another-gate"
        } else {
            PEP
        })
        .unwrap();
        let digest = match lie {
            Lie::SwappedOperation => Digest::of(b"another operation"),
            _ => operation.digest(),
        };
        let request = Request {
            iss: self.id.clone(),
            jti: "jti".into(),
            iat: now,
            exp: now + i64::from(requirement.ttl_secs),
            txn: txn.clone(),
            operation_digest: digest,
            ask_digest: jws_digest(&ask_jws),
            pep: pep.clone(),
            sub_id: operation.subject().clone(),
            requirement,
            policy_digest: self.policy.digest(),
        };
        let request_jws = request.sign(&self.key);
        let people: &[(&str, &[&str], u8)] = match lie {
            Lie::OneVote | Lie::LoweredRequirement => &[("elin", &["dba"], 1)],
            Lie::OnePersonTwice => &[("elin", &["dba"], 1), ("elin", &["dba"], 2)],
            Lie::Requester => &[("elin", &["dba"], 1), ("mara", &["dba"], 3)],
            Lie::Outsiders => &[("elin", &["dba"], 1), ("otto", &[], 4)],
            _ => &[("elin", &["dba"], 1), ("jonas", &["dba"], 2)],
        };
        let votes: Vec<EvidenceVote> = people
            .iter()
            .enumerate()
            .map(|(index, (sub, groups, device))| {
                // One lie is enough: the first vote is always honest.
                let lie = if index == 0 && people.len() > 1 {
                    Lie::None
                } else {
                    lie
                };
                self.vote(sub, groups, *device, &request, &request_jws, lie)
            })
            .collect();
        let grant = Grant {
            iss: self.id.clone(),
            aud: pep,
            jti: "grant".into(),
            iat: now,
            nbf: now,
            exp: now + i64::from(request.requirement.grant_secs),
            txn,
            operation_digest: digest,
            request_jws_digest: jws_digest(&request_jws),
            votes: votes
                .iter()
                .map(|vote| {
                    let (_, read) = Vote::unverified(&vote.jws).unwrap();
                    GrantVote {
                        digest: jws_digest(&vote.jws),
                        subject: read.sub_id,
                        binding_id: read.binding_id,
                    }
                })
                .collect(),
            policy_digest: self.policy.digest(),
        };
        let grant_key = if lie == Lie::OwnServerKey {
            SecretKey::generate([77; 32])
        } else {
            self.key.clone()
        };
        let evidence = Evidence {
            operation_b64: b64u(operation.bytes()),
            ask_jws,
            request_jws,
            grant: grant.sign(&grant_key),
            votes,
        };
        if lie == Lie::NoTokens {
            evidence.without_tokens()
        } else {
            evidence
        }
    }

    fn vote(
        &self,
        sub: &str,
        groups: &[&str],
        device: u8,
        request: &Request,
        request_jws: &str,
        lie: Lie,
    ) -> EvidenceVote {
        let now = self.clock.now();
        let key = SecretKey::generate([device; 32]);
        let statement = Statement {
            aud: match lie {
                Lie::OtherServersBinding => ServerId::parse("https://other.example").unwrap(),
                _ => self.id.clone(),
            },
            authenticators: Vec::new(),
            key: key.public(),
            rz: b64u(&[device; 32]),
            session_jkt: Digest::parse(
                &SecretKey::generate([device + 100; 32])
                    .public()
                    .thumbprint(),
            )
            .unwrap(),
        };
        let own = SecretKey::generate([99; 32]);
        let id_token = match lie {
            Lie::OwnOpKey => self.op.id_token_by(&own, sub, groups, &statement.nonce()),
            _ => self.op.id_token(sub, groups, &statement.nonce()),
        };
        let iat = if lie == Lie::OldVotes { now - 400 } else { now };
        let vote = Vote {
            key_thumbprint: Digest::parse(&key.public().thumbprint()).unwrap(),
            sub_id: self.op.subject(sub),
            server: self.id.clone(),
            pep: request.pep.clone(),
            jti: format!("vote-{sub}-{device}"),
            iat,
            exp: request.exp,
            txn: request.txn.clone(),
            vote: if lie == Lie::DenyAsApprove {
                Choice::Deny
            } else {
                Choice::Approve
            },
            operation_digest: request.operation_digest,
            request_jws_digest: jws_digest(request_jws),
            nonce: "challenge".into(),
            binding_id: statement.id(),
            policy_digest: self.policy.digest(),
            stage: None,
            prior: Vec::new(),
            consent_jkt: None,
            display: DisplayDigest {
                renderer: "test".into(),
                sha256: Digest::of(b"card"),
            },
            reason: None,
            match_words: None,
            supersedes: None,
        };
        let honest = vote.sign(&key);
        let jws = match lie {
            Lie::OtherKeysVote => vote.sign(&own),
            Lie::ForgedVote => {
                let (header, _) = honest.split_once('.').unwrap();
                let forged = vote.sign(&own);
                format!("{header}.{}", forged.split_once('.').unwrap().1)
            }
            _ => honest,
        };
        EvidenceVote {
            jws,
            cic: b64u(&statement.to_bytes()),
            id_token: Some(id_token),
            claims_token: None,
            step_up: None,
        }
    }

    fn task(&self, txn: &str, opened: &Opened) -> Value {
        let mut task = json!({
            "id": txn, "status": opened.status, "expires_at": self.clock.now().0 + 600,
            "links": { "self": "x", "cancel": "x", "events": "x" },
            "https://countersign.dev/arap/progress": {
                "words": ["amber", "falcon"], "approvals": 0, "needed": opened.requirement.approvals,
                "who_may_vote": "database approvers", "approved_by": [], "reason": opened.reason,
                "denied_by": (opened.status == "denied").then_some("Elin"),
            },
        });
        if opened.status == "approved" {
            let now = self.clock.now().0;
            task["result"] = json!({
                "mode": "reevaluate",
                "approval": { "id": txn, "approved_at": now, "approved_until": now + 120 },
            });
            if let Some(evidence) = &opened.evidence {
                task["result"]["https://countersign.dev/arap/evidence"] = evidence.clone();
            }
        }
        task
    }
}

async fn gone(
    State(server): State<Server>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let down = {
        let mut book = server.book.lock().unwrap();
        book.calls += 1;
        book.down
    };
    if down {
        StatusCode::BAD_GATEWAY.into_response()
    } else {
        next.run(request).await
    }
}

async fn keys(State(server): State<Server>) -> Json<Value> {
    Json(json!({ "server": [server.key.public().to_jwk()], "peps": [] }))
}

async fn submit(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut tuple = serde_json::Map::new();
    for member in ["subject", "action", "resource", "context"] {
        tuple.insert(member.to_owned(), body[member].clone());
    }
    let operation = Operation::build(Value::Object(tuple)).unwrap();
    let ask_jws = body["ask_jws"].as_str().unwrap().to_owned();
    let ask = Ask::verify(&ask_jws, &server.pep_key.public()).unwrap();
    assert_eq!(ask.operation_digest, operation.digest());
    let task = {
        let mut book = server.book.lock().unwrap();
        let fresh = b64u(&rand::random::<[u8; 12]>());
        let txn = book.by_key.entry(key).or_insert(fresh).clone();
        let opened = book.opened.entry(txn.clone()).or_insert_with(|| Opened {
            operation,
            ask_jws,
            requirement: ask.requirement,
            status: "pending",
            evidence: None,
            redeemed: None,
            reason: None,
        });
        server.task(&txn, opened)
    };
    server.changed.notify_waiters();
    (StatusCode::ACCEPTED, Json(task)).into_response()
}

async fn task(
    State(server): State<Server>,
    headers: HeaderMap,
    Path(txn): Path<String>,
) -> Response {
    server.book.lock().unwrap().polls += 1;
    server.changed.notify_waiters();
    loop {
        let changed = server.changed.notified();
        {
            let book = server.book.lock().unwrap();
            let Some(opened) = book.opened.get(&txn) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            if opened.status != "pending" || !headers.contains_key("prefer") {
                return Json(server.task(&txn, opened)).into_response();
            }
        }
        changed.await;
    }
}

async fn cancel(State(server): State<Server>, Path(txn): Path<String>) -> Response {
    {
        let mut book = server.book.lock().unwrap();
        book.cancelled.push(txn.clone());
        if let Some(opened) = book.opened.get_mut(&txn) {
            opened.status = "cancelled";
        }
    }
    server.changed.notify_waiters();
    StatusCode::OK.into_response()
}

async fn outcome(
    State(server): State<Server>,
    Path(_): Path<String>,
    Json(body): Json<Value>,
) -> StatusCode {
    server.book.lock().unwrap().outcomes.push(body);
    server.changed.notify_waiters();
    StatusCode::NO_CONTENT
}

async fn redeem(State(server): State<Server>, Json(body): Json<Value>) -> Json<Value> {
    let approval = &body["context"]["approval"];
    let (txn, id) = (
        approval["id"].as_str().unwrap(),
        approval["redemption_id"].as_str().unwrap(),
    );
    let lie = *server.lie.lock().unwrap();
    if lie == Lie::RefusesRedeem {
        return Json(json!({ "decision": false, "context": { "reason": "approval_used" } }));
    }
    if lie == Lie::TrueWithoutRedeem {
        return Json(json!({ "decision": true }));
    }
    let mut book = server.book.lock().unwrap();
    let opened = book.opened.get_mut(txn).unwrap();
    let first = opened.redeemed.get_or_insert_with(|| id.to_owned());
    if first == id {
        Json(json!({ "decision": true, "context": { "redeemed": true } }))
    } else {
        Json(json!({ "decision": false, "context": { "reason": "approval_used" } }))
    }
}

/// A provider, a server, and an enforcement point between them.
pub struct World {
    pub clock: Arc<TestClock>,
    pub op: Op,
    pub server: Server,
    /// The server's.
    pub policy: Arc<Policy>,
    /// The enforcement point's: the same until a test says otherwise.
    pub in_force: Arc<Mutex<Arc<Policy>>>,
    pub pep_key: Arc<SecretKey>,
    pub dir: tempfile::TempDir,
    pub evidence_dir: Option<PathBuf>,
}

impl World {
    pub async fn new() -> Self {
        Self::by(TestClock::new()).await
    }

    pub async fn by(clock: Arc<TestClock>) -> Self {
        // The first installation in a process wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let op = Op::start(&clock).await;
        let policy = Arc::new(Policy::load(&policy_text(&op.issuer)).unwrap());
        let pep_key = Arc::new(SecretKey::generate([42; 32]));
        let server = Server::start(&op, Arc::clone(&policy), Arc::clone(&pep_key), &clock).await;
        Self {
            clock,
            op,
            server,
            in_force: Arc::new(Mutex::new(Arc::clone(&policy))),
            policy,
            pep_key,
            dir: tempfile::tempdir().unwrap(),
            evidence_dir: None,
        }
    }

    pub fn pep(&self) -> Arc<Pep> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let provider = Arc::new(Provider::new(self.op.issuer.clone(), Arc::clone(&clock)).unwrap());
        let config = PepConfig {
            me: PepId::parse(PEP).unwrap(),
            key: Arc::clone(&self.pep_key),
            server: self.server.id.clone(),
            server_keys: Vec::new(),
            providers: vec![TrustedProvider {
                config: OpConfig::new(self.op.issuer.clone(), CLIENT),
                provider,
            }],
            session_secs: 43_200,
            bounds: Bounds {
                open: 100,
                open_per_caller: 50,
            },
            evidence_dir: self.evidence_dir.clone(),
        };
        let in_force = Arc::clone(&self.in_force);
        let source = Arc::new(move || -> Arc<dyn PolicyCheck> { in_force.lock().unwrap().clone() });
        Pep::start(config, self.dir.path(), source, clock).unwrap()
    }

    pub fn operation(&self, fresh: &Fresh) -> Operation {
        Operation::build(json!({
            "subject": { "type": "user", "id": format!("{}|mara", self.op.issuer),
                "properties": { "claims": { "name": "Mara", "groups": ["orders-dev"] } } },
            "action": { "name": "orders.customers.delete", "properties": { "kind": "http" } },
            "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
            "context": { "pep": PEP, "nonce": fresh.nonce().as_str() },
        }))
        .unwrap()
    }

    pub fn requirement(&self, operation: &Operation) -> Requirement {
        match self.policy.answer(operation) {
            countersign_model::PolicyAnswer::Approve(requirement) => requirement,
            other => panic!("{other:?}"),
        }
    }
}

pub fn policy_text(issuer: &Issuer) -> String {
    format!(
        r#"
@id("read")
permit (principal, action in [Action::"orders.customers.read", Action::"orders.customers.update"], resource);

@id("delete")
@approvals("2") @ttl("10m") @grant("2m")
permit (principal, action in [Action::"orders.customers.delete", Action::"orders.customers.patch"], resource)
when {{ principal.groups.contains("{issuer}#orders-dev") }};

@id("vote") @people("database approvers")
permit (principal, action == Action::"vote", resource)
when {{ principal.groups.contains("{issuer}#dba") }};
"#
    )
}
