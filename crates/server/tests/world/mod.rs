//! A small world around the server: a provider that signs what it is told, gates, people with devices, a clock
//! that is moved by hand. Everything over real HTTP on port 0. (A real provider runs in the end-to-end tests.)
#![allow(dead_code)] // each test file uses its part

pub(crate) mod device;
pub(crate) mod gate;
pub(crate) mod socket;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Json;
use axum::routing::get;
use countersign_evidence::op_token::{OpConfig, OpRole, OpStepUp, PersonRule};
use countersign_evidence::{SecretKey, jose};
use countersign_model::{
    Clock, Digest, Issuer, Operation, PepId, PolicyAnswer, Requirement, ServerId, UnixSecs,
};
use countersign_server::{PepConfig, ProviderConfig, Running, Server, ServerConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const CLIENT: &str = "countersign-approver";

pub(crate) const POLICY: &str = r#"
@id("read") permit (principal, action == Action::"orders.customers.read", resource);

@id("delete") @approvals("2") @ttl("10m") @grant("2m") @reason("on_deny")
permit (principal, action == Action::"orders.customers.delete", resource);

@id("rename") @approvals("1") @ttl("10m") @grant("2m")
permit (principal, action == Action::"orders.customers.rename", resource);

@id("no-purge") @why("Never through the API")
@never_permitted("orders.customers.purge")
forbid (principal, action == Action::"orders.customers.purge", resource);

@id("erase") @approvals("1") @ttl("10m") @grant("2m")
@step_up("oidc") @acr("urn:test:mfa") @scope("approve:customers.erase")
permit (principal, action == Action::"orders.customers.erase", resource);

@id("export") @by("requester") @step_up("oidc") @ttl("10m") @grant("2m")
permit (principal, action == Action::"orders.customers.export", resource);

@id("seal") @approvals("1") @ttl("10m") @grant("2m") @step_up("webauthn")
permit (principal, action == Action::"orders.customers.seal", resource);

@id("merge") @stages("lead:1, security:2") @ttl("10m") @grant("2m")
permit (principal, action == Action::"orders.customers.merge", resource);

@id("block") @approvals("1") @ttl("10m") @grant("2m") @cooldown("5m")
permit (principal, action == Action::"orders.customers.block", resource);

@id("lead-vote") @people("leads") @stage("lead")
permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#leads") };

@id("security-vote") @people("security") @stage("security")
permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#security") };

@id("dba-vote") @people("database approvers")
permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#dba") };
"#;

#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

/// A key that is the same in every run.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::generate(*Digest::of(name.as_bytes()).as_bytes())
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: Issuer,
    /// A second provider, where there is one.
    pub(crate) other: Option<Other>,
    pub(crate) id: ServerId,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) policy_digest: Digest,
    /// Kept over restarts: nobody else takes the port meanwhile.
    listener: std::net::TcpListener,
    server: Option<Running>,
    count: AtomicU64,
}

/// A second provider, and how its people are told apart; the first's are told apart alike.
pub(crate) struct Other {
    pub(crate) issuer: Issuer,
    pub(crate) person: PersonRule,
    pub(crate) roles: BTreeSet<OpRole>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::of(None).await
    }

    /// Of two providers.
    pub(crate) async fn federated(person: PersonRule, roles: &[OpRole]) -> World {
        let issuer = provider(&other_key()).await;
        let roles = roles.iter().copied().collect();
        World::of(Some(Other {
            issuer,
            person,
            roles,
        }))
        .await
    }

    async fn of(other: Option<Other>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Arc::new(ManualClock(AtomicI64::new(START)));
        let issuer = provider(&op_key()).await;
        let folder = tempfile::tempdir().unwrap();
        let policy = POLICY.replace("{{issuer}}", issuer.as_str());
        std::fs::write(folder.path().join("policy.cedar"), &policy).unwrap();
        let policy_digest = {
            use countersign_model::PolicyCheck as _;
            countersign_policy::Policy::load(&policy).unwrap().digest()
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let id = ServerId::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut world = World {
            clock,
            issuer,
            other,
            id,
            http,
            folder,
            policy_digest,
            listener,
            server: None,
            count: AtomicU64::new(0),
        };
        world.come_back().await;
        world
    }

    /// Starts, also after a stop.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::from_std(self.listener.try_clone().unwrap()).unwrap();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.server = Some(Server::start(self.config(), clock, listener).await.unwrap());
    }

    /// What the policy says that it needs.
    pub(crate) fn requirement_of(&self, operation: &Operation) -> Requirement {
        let text = std::fs::read_to_string(self.folder.path().join("policy.cedar")).unwrap();
        let policy = countersign_policy::Policy::load(&text).unwrap();
        match countersign_model::PolicyCheck::answer(&policy, operation) {
            PolicyAnswer::Approve(requirement) => requirement,
            other @ (PolicyAnswer::Allow | PolicyAnswer::Deny { .. }) => panic!("{other:?}"),
        }
    }

    /// Another policy comes into force.
    pub(crate) fn set_policy(&self, text: &str) {
        let text = text.replace("{{issuer}}", self.issuer.as_str());
        std::fs::write(self.folder.path().join("policy.cedar"), text).unwrap();
        self.server.as_ref().unwrap().reload_policy();
    }

    pub(crate) fn config(&self) -> ServerConfig {
        let pep = |id: &str, actions: &[&str]| PepConfig {
            id: PepId::parse(id).unwrap(),
            key: key(id).public(),
            actions: actions.iter().map(ToString::to_string).collect(),
            resource_types: vec!["orders.customer".to_owned()],
        };
        let mut op = OpConfig::new(self.issuer.clone(), CLIENT);
        op.algorithms = vec!["ES256".to_owned()];
        let mut providers = vec![op];
        if let Some(Other {
            issuer,
            person,
            roles,
        }) = &self.other
        {
            providers[0].person = person.clone();
            let mut op = OpConfig::new(issuer.clone(), CLIENT);
            op.algorithms = vec!["ES256".to_owned()];
            op.person = person.clone();
            op.roles = roles.clone();
            op.step_up = OpStepUp::None {
                why_not: "It has no fresh sign-in.".to_owned(),
            };
            providers.push(op);
        }
        let provider = |op: OpConfig| ProviderConfig {
            name: format!("Login at {}", op.issuer),
            op,
            scopes: vec!["openid".to_owned()],
            redirect_path: "/callback".to_owned(),
            redirect_ports: Vec::new(),
            audience: None,
            events_audience: None,
        };
        ServerConfig {
            public_url: self.id.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            state_dir: self.state(),
            policy: self.folder.path().join("policy.cedar"),
            session_secs: 12 * 3600,
            auditors: [format!("{}#auditors", self.issuer)].into(),
            administrators: [Some(&self.issuer), self.other.as_ref().map(|it| &it.issuer)]
                .into_iter()
                .flatten()
                .map(|issuer| format!("{issuer}#admins"))
                .collect(),
            providers: providers.into_iter().map(provider).collect(),
            peps: vec![
                pep("orders-gate", &["orders.*"]),
                pep("other-gate", &["orders.customers.read"]),
            ],
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn now(&self) -> UnixSecs {
        self.clock.now()
    }

    /// Moves the clock; nothing is told of it.
    pub(crate) fn wait(&self, secs: i64) {
        self.clock.0.fetch_add(secs, Ordering::SeqCst);
    }

    /// Moves the clock, and lets the server do what is due.
    pub(crate) async fn pass(&self, secs: i64) {
        self.wait(secs);
        self.server.as_ref().unwrap().tick().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().shutdown().await;
    }

    /// Stops, and starts on the same address and state.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.come_back().await;
    }

    /// Another value each time.
    pub(crate) fn fresh(&self, what: &str) -> Digest {
        let n = self.count.fetch_add(1, Ordering::SeqCst);
        Digest::of(format!("{what} {n}").as_bytes())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.id)
    }

    /// An ID token as the provider gives it; `change` alters its claims.
    pub(crate) fn id_token(
        &self,
        sub: &str,
        nonce: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        self.id_token_of(&self.issuer, sub, nonce, change)
    }

    /// The same, of either provider.
    pub(crate) fn id_token_of(
        &self,
        issuer: &Issuer,
        sub: &str,
        nonce: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let now = self.now().0;
        let mut claims = json!({
            "iss": issuer.as_str(), "sub": sub, "aud": CLIENT, "iat": now, "exp": now + 3600,
            "auth_time": now - 5, "nonce": nonce, "name": format!("{sub} the tester"), "groups": groups(sub),
        });
        change(&mut claims);
        signed(&self.key_of(issuer), "JWT", &claims)
    }

    pub(crate) fn key_of(&self, issuer: &Issuer) -> SecretKey {
        if *issuer == self.issuer {
            op_key()
        } else {
            other_key()
        }
    }

    /// A word of the provider outside any sign-in; `change` alters its claims.
    pub(crate) fn said(&self, typ: &str, claims: Value, change: impl FnOnce(&mut Value)) -> String {
        let mut all = json!({
            "iss": self.issuer.as_str(), "iat": self.now().0, "jti": self.fresh("event").to_string(),
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        change(&mut all);
        signed(&op_key(), typ, &all)
    }

    /// An access token of a requester.
    pub(crate) fn access_token(&self, sub: &str, change: impl FnOnce(&mut Value)) -> String {
        self.access_token_of(&self.issuer, sub, change)
    }

    /// The same, of either provider.
    pub(crate) fn access_token_of(
        &self,
        issuer: &Issuer,
        sub: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let now = self.now().0;
        let mut claims = json!({
            "iss": issuer.as_str(), "sub": sub, "aud": self.id.as_str(), "client_id": "countersign-cli",
            "iat": now, "exp": now + 600, "jti": self.fresh("jti").to_string(),
        });
        change(&mut claims);
        signed(&self.key_of(issuer), "at+jwt", &claims)
    }
}

pub(crate) fn groups(sub: &str) -> Value {
    match sub {
        "elin" => json!(["dba", "auditors"]),
        "jonas" | "nora" => json!(["dba"]),
        "mara" => json!(["orders-dev", "dba"]),
        "lena" => json!(["leads", "security"]),
        "seth" | "sina" => json!(["security"]),
        _ => json!([]),
    }
}

pub(crate) fn op_key() -> SecretKey {
    SecretKey::generate_es256(*Digest::of(b"provider").as_bytes())
}

fn other_key() -> SecretKey {
    SecretKey::generate_es256(*Digest::of(b"other provider").as_bytes())
}

pub(crate) fn signed(key: &SecretKey, typ: &str, claims: &Value) -> String {
    jose::sign(key, typ, claims)
}

/// Discovery and keys of a provider; who signs in and how is said by the test.
async fn provider(key: &SecretKey) -> Issuer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
    });
    let public = key.public();
    let mut jwk = public.to_jwk();
    jwk["kid"] = json!(public.thumbprint());
    jwk["alg"] = json!("ES256");
    let jwks = json!({ "keys": [jwk] });
    let routes = axum::Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(move || async move { Json(document) }),
        )
        .route("/jwks", get(move || async move { Json(jwks) }));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Issuer::parse(&issuer).unwrap()
}

/// An answer: status, headers that matter, JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let (retry_after, challenge) = (header("retry-after"), header("www-authenticate"));
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            retry_after,
            challenge,
            body,
        }
    }

    /// The problem's code, or the token endpoint's error.
    pub(crate) fn code(&self) -> &str {
        self.body
            .get("code")
            .or_else(|| self.body.get("error"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
    }
}
