//! A world for tests: the real provider and orders API as processes, server and gate in this process on a clock that
//! can be moved, each test with its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use countersign_gate_http::{Gate, GateConfig};
use countersign_model::Clock;
use countersign_server::{Server, ServerConfig};
use reqwest::{Method, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::approver::AtWork;
use crate::canaille::Canaille;
use crate::clock::MovedClock;
use crate::flow::Flow;
use crate::owned::Processes;
use crate::person::{self, Person};
use crate::ports;
use crate::provider::{CLI_CLIENT, ORDERS_AUDIENCE, Op, Orders};
use crate::setup::{Places, Providers, Rules, Setup};
use crate::wire::Wire;

/// How long the gate holds a call, unless a test wants otherwise: longer than any test.
pub const HOLD_SECS: u32 = 600;

/// Everything, running.
pub struct World {
    /// The provider.
    pub op: Op,
    /// The other provider, where there are two.
    pub second: Option<Canaille>,
    /// What stands behind the gate.
    pub orders: Orders,
    /// The configuration files.
    pub setup: Setup,
    /// The clock of server, gate and approvers.
    pub clock: Arc<MovedClock>,
    /// The server's `public_url`.
    pub server_url: String,
    /// Where callers call.
    pub gate_url: String,
    /// For calls.
    pub http: reqwest::Client,
    /// The server; `None` while it is down.
    pub server: Option<countersign_server::Running>,
    /// The gate; `None` while it is down.
    pub gate: Option<countersign_gate_http::Running>,
    /// What lies between the server and everybody else, where a test wanted it.
    pub wire: Option<Wire>,
    server_at: SocketAddr,
    gate_at: SocketAddr,
    /// Node's processes.
    pub processes: Processes,
    folder: TempDir,
}

/// What a world is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How the server is reached.
    pub network: Network,
    /// Its policy.
    pub rules: Rules,
    /// Who is at home in it.
    pub people: People,
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// As it is.
    Direct,
    /// Over a wire that a test can cut or make lie.
    Wire,
}

/// Who is at home in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// The people of Harbor ID.
    OfOneProvider,
    /// Those of Quay ID too.
    OfTwoProviders,
}

impl World {
    /// A world in which everything is as usual.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start() -> Result<Self> {
        Self::by(Plan {
            network: Network::Direct,
            rules: Rules::Orders,
            people: People::OfOneProvider,
        })
        .await
    }

    /// A world with a rule for each way in which an operation can be let through.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn query_level() -> Result<Self> {
        Self::by(Plan {
            network: Network::Direct,
            rules: Rules::QueryLevel,
            people: People::OfOneProvider,
        })
        .await
    }

    /// The same with a second provider, whose people may approve as well.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn federated() -> Result<Self> {
        Self::by(Plan {
            network: Network::Direct,
            rules: Rules::QueryLevel,
            people: People::OfTwoProviders,
        })
        .await
    }

    /// A world whose server is reached over a wire that a test can cut or make lie.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start_behind_wire() -> Result<Self> {
        Self::by(Plan {
            network: Network::Wire,
            rules: Rules::Orders,
            people: People::OfOneProvider,
        })
        .await
    }

    /// A world of one's own.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn by(plan: Plan) -> Result<Self> {
        person::crypto();
        let folder = tempfile::tempdir().context("make the world's folder")?;
        let mut processes = Processes::new(folder.path())?;
        // Kept while a part of the world is down.
        let places = ports::free()?.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let [op_at, server_at, gate_at, wire_at] = places;
        let op = Op::start(&mut processes, folder.path(), op_at.port())?;
        let second = match plan.people {
            People::OfOneProvider => None,
            People::OfTwoProviders => Some(Canaille::start(
                &mut processes,
                &folder.path().join("canaille"),
            )?),
        };
        let orders = Orders::start(&mut processes)?;
        let (server_socket, gate_socket) = (listen(server_at).await?, listen(gate_at).await?);
        let (public_at, wire) = match plan.network {
            Network::Direct => (server_at, None),
            Network::Wire => (
                wire_at,
                Some(Wire::start(listen(wire_at).await?, server_at)),
            ),
        };
        let places = Places {
            server: format!("http://{public_at}"),
            server_listens: server_at.to_string(),
            gate_listens: gate_at.to_string(),
            upstream: orders.url.clone(),
        };
        let setup = Setup::write(
            &folder.path().join("config"),
            Providers {
                first: &op,
                second: second.as_ref(),
            },
            plan.rules,
            &places,
            HOLD_SECS,
        )?;
        let mut world = Self {
            op,
            second,
            orders,
            setup,
            clock: Arc::default(),
            server_url: places.server,
            gate_url: format!("http://{gate_at}"),
            http: person::client()?,
            server: None,
            gate: None,
            wire,
            server_at,
            gate_at,
            processes,
            folder,
        };
        world.start_server_on(server_socket).await?;
        world.start_gate_on(gate_socket)?;
        Ok(world)
    }

    /// The folder of this world.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The clock, as the parts take it.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// Starts the server again where it was.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_server(&mut self) -> Result<()> {
        let socket = listen(self.server_at).await?;
        self.start_server_on(socket).await
    }

    /// Starts the gate again where it was.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_gate(&mut self) -> Result<()> {
        let socket = listen(self.gate_at).await?;
        self.start_gate_on(socket)
    }

    /// Stops server and gate and starts them again: with what their files say now.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
        if let Some(gate) = self.gate.take() {
            gate.shutdown().await;
        }
        self.start_server().await?;
        self.start_gate().await
    }

    async fn start_server_on(&mut self, socket: TcpListener) -> Result<()> {
        let config =
            ServerConfig::read(&self.setup.path("server.toml")).context("read server.toml")?;
        self.server = Some(
            Server::start(config, self.clock(), socket)
                .await
                .context("start the server")?,
        );
        Ok(())
    }

    fn start_gate_on(&mut self, socket: TcpListener) -> Result<()> {
        let config = GateConfig::read(&self.setup.path("gate.toml")).context("read gate.toml")?;
        self.gate = Some(Gate::start(config, self.clock(), socket).context("start the gate")?);
        Ok(())
    }

    /// Moves everybody's clock, Harbor ID's too (Quay ID has no such door), and lets the server do what is due.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn advance(&self, secs: i64) -> Result<()> {
        let ahead = self.clock.advance(secs);
        self.op.set_clock(ahead).await?;
        if let Some(server) = &self.server {
            server.tick().await;
        }
        Ok(())
    }

    /// Somebody who approves, signed in.
    ///
    /// # Errors
    /// When they cannot sign in.
    pub async fn approver(&self, sub: &str) -> Result<AtWork> {
        AtWork::sign_in(sub, &self.server_url, &self.op.issuer, self.clock()).await
    }

    /// Several of them.
    ///
    /// # Errors
    /// When one cannot sign in.
    pub async fn approvers<const N: usize>(&self, subs: [&str; N]) -> Result<[AtWork; N]> {
        let mut signed_in = Vec::with_capacity(N);
        for sub in subs {
            signed_in.push(self.approver(sub).await?);
        }
        signed_in.try_into().ok().context("count the approvers")
    }

    /// Somebody of the second provider who approves, signed in.
    ///
    /// # Errors
    /// When there is no second provider, or they cannot sign in.
    pub async fn approver_of_second(&self, sub: &str) -> Result<AtWork> {
        let second = self.second.as_ref().context("find the second provider")?;
        second.consent_once(&Person::named(sub)).await?;
        AtWork::sign_in(sub, &self.server_url, &second.issuer, self.clock()).await
    }

    /// A token of somebody who calls, as they ask for it.
    ///
    /// # Errors
    /// When the provider gives none.
    pub async fn token_by(&self, sub: &str, ask: impl FnOnce(&mut Flow)) -> Result<String> {
        let mut flow = Flow::new(&self.op.issuer, CLI_CLIENT);
        flow.resource = Some(ORDERS_AUDIENCE.to_owned());
        ask(&mut flow);
        flow.run(&Person::named(sub)).await?.access_token()
    }

    /// A token of somebody who calls.
    ///
    /// # Errors
    /// When the provider gives none.
    pub async fn token(&self, sub: &str) -> Result<String> {
        self.token_by(sub, |_| {}).await
    }

    /// A call through the gate, not sent yet.
    pub fn call(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.gate_url))
            .bearer_auth(token)
    }

    /// Sends a call from a task of its own: it is going to be held.
    pub fn held(&self, call: reqwest::RequestBuilder) -> JoinHandle<Result<Answer>> {
        tokio::spawn(async move {
            Answer::of(call.send().await.context("call through the gate")?).await
        })
    }

    /// Somebody calls, with a token of this moment, and is going to be held.
    ///
    /// # Errors
    /// When the provider gives them no token.
    pub async fn asks(
        &self,
        sub: &str,
        method: Method,
        path: &str,
    ) -> Result<JoinHandle<Result<Answer>>> {
        let token = self.token(sub).await?;
        Ok(self.held(self.call(method, path, &token)))
    }

    /// A call that is held still, and nothing has gone through; whoever waits for it goes away.
    ///
    /// # Errors
    /// When it was answered, or the orders API has received anything.
    pub async fn nothing_came_of(&self, held: JoinHandle<Result<Answer>>) -> Result<()> {
        ensure!(!held.is_finished(), "the call was answered");
        held.abort();
        let received = self.received().await?;
        ensure!(received.is_empty(), "it went through: {received:?}");
        Ok(())
    }

    /// What has reached the orders API.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn received(&self) -> Result<Vec<String>> {
        self.orders.received(&self.http).await
    }
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, where it is JSON.
    pub body: Value,
    /// `Approval-Id`.
    pub approval_id: Option<String>,
    /// `WWW-Authenticate`.
    pub authenticate: Option<String>,
}

impl Answer {
    /// Reads it.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn of(response: Response) -> Result<Self> {
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let status = response.status().as_u16();
        let (approval_id, authenticate) = (header("approval-id"), header("www-authenticate"));
        let bytes = response.bytes().await.context("read an answer")?;
        Ok(Self {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            approval_id,
            authenticate,
        })
    }

    /// The problem's code, or nothing.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

async fn listen(at: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(at)
        .await
        .with_context(|| format!("listen on {at}"))
}
