//! A provider and an approval server on loopback, both under the test's control. The server can lie in every way
//! that it has; what it sends goes through the real client, the real verification and the real policy.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used
)]
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
use countersign_evidence::documents::{DisplayDigest, step_up_nonce, step_up_resource};
use countersign_evidence::op_token::OpConfig;
use countersign_evidence::{
    Ask, Choice, Evidence, EvidenceVote, Grant, GrantVote, Request, SecretKey, Statement,
    StepUpEvidence, Vote, jose, jws_digest,
};
use countersign_model::{
    By, Clock, Digest, Issuer, Operation, PepId, PolicyCheck, Requirement, ServerId, StepUp,
    Subject, Txn, UnixSecs, b64u,
};
use countersign_oidc::Provider;
use countersign_pep::{Bounds, Fresh, Pep, PepConfig, TrustedProvider};
use countersign_policy::Policy;
use serde_json::{Value, json};
use tokio::sync::Notify;

mod op;
mod server;

pub use op::Op;
pub use server::{Lie, Server};

pub const CLIENT: &str = "countersign-approver";
pub const PEP: &str = "orders-gate";

/// A clock that stands until it is moved.
pub struct TestClock {
    now: AtomicI64,
    /// How far the dates of answers are ahead of it, in seconds.
    dates_ahead: AtomicI64,
}

impl TestClock {
    pub fn new() -> Arc<Self> {
        Self::at(1_800_000_000)
    }

    fn at(now: i64) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(now),
            dates_ahead: AtomicI64::new(0),
        })
    }

    /// Of the machine, for tests that run real programs beside this.
    pub fn of_the_machine() -> Arc<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self::at(since.as_secs().try_into().unwrap())
    }

    pub fn forward(&self, secs: i64) {
        self.now.fetch_add(secs, Ordering::SeqCst);
    }

    /// From now on answers are dated by a clock that is so much ahead.
    pub fn dates_ahead(&self, secs: i64) {
        self.dates_ahead.store(secs, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.now.load(Ordering::SeqCst))
    }
}

/// Everything that is served here carries the test's time: clients compare clocks.
async fn dated(
    State(clock): State<Arc<TestClock>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let now = clock.now() + clock.dates_ahead.load(Ordering::SeqCst);
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(now.0.try_into().unwrap());
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
    /// What [`Self::operation`] does.
    pub action: &'static str,
    pub evidence_dir: Option<PathBuf>,
}

impl World {
    pub async fn new() -> Self {
        Self::by(TestClock::new()).await
    }

    /// With more rules; `ISSUER` stands for the provider's.
    pub async fn ruled(rules: &str) -> Self {
        Self::made(TestClock::new(), rules).await
    }

    pub async fn by(clock: Arc<TestClock>) -> Self {
        Self::made(clock, "").await
    }

    async fn made(clock: Arc<TestClock>, rules: &str) -> Self {
        // The first installation in a process wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let op = Op::start(&clock).await;
        let text = policy_text(&op.issuer) + &rules.replace("ISSUER", op.issuer.as_str());
        let policy = Arc::new(Policy::load(&text).unwrap());
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
            action: "orders.customers.delete",
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
            "action": { "name": self.action, "properties": { "kind": "http" } },
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
