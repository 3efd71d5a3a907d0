//! The stage that every test plays on.

use std::net::SocketAddr;
pub(crate) use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
pub(crate) use countersign_gate_http::{Gate, GateConfig, Running};
pub(crate) use countersign_model::Clock;
pub(crate) use reqwest::{Method, StatusCode};
pub(crate) use serde_json::{Value, json};
pub(crate) use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
pub(crate) use tokio::net::{TcpListener, TcpStream};

pub(crate) use crate::support::{self, Lie, Op, World};

/// What reached the upstream: method, target, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

pub(crate) type Log = Arc<Mutex<Vec<Reached>>>;

async fn remember(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        // Like any service: a body that broke off is no call.
        return StatusCode::BAD_REQUEST.into_response();
    };
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

/// What differs between tests.
#[derive(Default)]
pub(crate) struct Plan {
    /// More keys of `gate.toml`; `hold_secs = 30` unless given.
    pub(crate) keys: Option<&'static str>,
    /// More keys of its `[[provider]]`.
    pub(crate) provider_keys: &'static str,
    /// More `[[provider]]`s.
    pub(crate) providers: String,
    /// More rules of the policy; `ISSUER` stands for the provider's.
    pub(crate) rules: &'static str,
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) gate: Option<Running>,
    pub(crate) url: String,
    pub(crate) log: Log,
    pub(crate) http: reqwest::Client,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::planned(Plan::default()).await
    }

    pub(crate) async fn with(keys: &'static str) -> Self {
        Self::planned(Plan {
            keys: Some(keys),
            ..Plan::default()
        })
        .await
    }

    pub(crate) async fn planned(plan: Plan) -> Self {
        Self::of(World::new().await, plan).await
    }

    pub(crate) async fn of(world: World, plan: Plan) -> Self {
        let Plan {
            keys,
            provider_keys,
            providers,
            rules,
        } = plan;
        let log = Log::default();
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream_addr = upstream.local_addr().unwrap();
        let router = axum::Router::new()
            .fallback(remember)
            .with_state(Arc::clone(&log));
        tokio::spawn(async move { axum::serve(upstream, router).await.unwrap() });

        let dir = world.dir.path();
        let rules = rules.replace("ISSUER", world.op.issuer.as_str());
        let policy = support::policy_text(&world.op.issuer) + &rules;
        std::fs::write(dir.join("policy.cedar"), policy).unwrap();
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
             evidence_dir = \"evidence\"\nbody_limit_bytes = 1000\ntext_limit_bytes = 500\n{}\n\
             [[provider]]\nissuer = \"{}\"\napprover_client_id = \"countersign-approver\"\naudience = \"urn:orders\"\n\
             {provider_keys}\n{providers}\n{}{}{}{}",
            world.server.id,
            keys.unwrap_or("hold_secs = 30"),
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

    /// The same people before another upstream: another gate, with a state folder of its own.
    pub(crate) async fn before(self, upstream: SocketAddr) -> Self {
        let path = self.world.dir.path().join("gate.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.starts_with("upstream = "));
        let text = text
            .replace(line.unwrap(), &format!("upstream = \"http://{upstream}\""))
            .replace("\"state\"", "\"state2\"");
        std::fs::write(&path, text).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock: Arc<dyn Clock> = self.world.clock.clone();
        let gate = Gate::start(GateConfig::read(&path).unwrap(), clock, listener).unwrap();
        Self {
            url: format!("http://{}", gate.addr),
            gate: Some(gate),
            ..self
        }
    }

    /// The same call with another token.
    pub(crate) fn call_with(
        &self,
        method: Method,
        path: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token)
    }

    /// A connection to the gate.
    pub(crate) async fn connect(&self) -> TcpStream {
        let address = self.url.trim_start_matches("http://");
        TcpStream::connect(address).await.unwrap()
    }

    pub(crate) fn token(&self) -> String {
        self.world.op.access_token(|_| ())
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.call_with(method, path, &self.token())
    }

    pub(crate) fn reached(&self) -> Vec<Reached> {
        self.log.lock().unwrap().clone()
    }

    /// Asks, and gets the id to come back with.
    pub(crate) async fn asked(&self, call: reqwest::RequestBuilder) -> String {
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
    pub(crate) async fn raw(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub(crate) async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}
