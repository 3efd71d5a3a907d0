//! The approval server: policy decision point (AuthZEN) and access request service (ARAP).
//!
//! It stores, routes, counts and grants. **It is not trusted for authenticity**: gates and apps check every
//! signature and the policy themselves. Specification: `docs/spec/`.
//!
//! - `app/`: a file per use case
//! - `http/`: routes and extractors; `stream/`: the approver's WebSocket
//! - `jobs`: what the clock alone brings about
//!
//! Time comes from a [`Clock`] only, so that tests move it. Nothing here judges a token or a signature by
//! itself: that is `countersign-evidence`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod clock;
mod config;
mod feed;
mod http;
mod jobs;
mod papers;
mod refused;
mod replay;
mod secrets;
mod stream;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use countersign_evidence::op_token::{AccessRules, OpRole};
use countersign_model::Clock;
use countersign_oidc::{Provider, ResourceServer};
use countersign_policy_file::PolicyFile;
use countersign_store::{SqliteOptions, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, TrustedProvider};
use crate::clock::SteadyClock;
use crate::feed::Feed;
use crate::jobs::Jobs;

pub use config::{
    ConfigError, DEFAULT_SESSION_SECS, MAX_SESSION_SECS, PepConfig, ProviderConfig, ServerConfig,
};

/// Answers that may be held at the same time.
const MAX_WAITING: usize = 15_000;
/// Between two looks at the policy's file.
const POLICY_PERIOD: Duration = Duration::from_secs(2);
/// How long a stop waits for what is under way.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The approval server.
#[derive(Debug)]
pub struct Server;

/// A server that runs. Dropping it stops it without waiting.
pub struct Running {
    addr: SocketAddr,
    app: Arc<App>,
    jobs: Arc<Jobs>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts on this listener, which is bound already. Runs until [`Running::shutdown`].
    ///
    /// # Errors
    /// The state folder, the policy or a provider's address is not usable; the chain says which and why.
    pub async fn start(
        config: ServerConfig,
        clock: Arc<dyn Clock>,
        listener: TcpListener,
    ) -> anyhow::Result<Running> {
        // The first caller in the process wins; a second installation is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let addr = listener
            .local_addr()
            .context("read the listener's address")?;
        let policy = PolicyFile::open(&config.policy)?;
        let store =
            SqliteStore::open(&config.state_dir, &store_options()).context("open the store")?;
        let secrets =
            secrets::Secrets::open(&config.state_dir).context("open the server's keys")?;
        let providers = providers(&config, &clock)?;
        let requesters = callers(&config, &providers, |roles| roles);
        let administrators = callers(&config, &providers, with_who_approves);
        let newest = *store.published().borrow();
        let absences = store.absences().await.context("read the store")?;
        let shown = store.clock_shown().await.context("read the store")?;
        let clock = SteadyClock::new(clock, shown).context("look at the clock")?;
        let started_at = clock.now();
        let app = Arc::new(App {
            config,
            clock,
            store: Arc::new(store),
            policy,
            secrets,
            providers,
            requesters,
            administrators,
            replay: replay::Replay::since(started_at),
            refused_votes: replay::Rate::default(),
            absences: app::absence::Absences::new(absences),
            feed: Feed::new(newest),
            papers: papers::Papers::default(),
            sockets: stream::Sockets::default(),
            deadlines: app::expire::Deadlines::default(),
            waiting: tokio::sync::Semaphore::new(MAX_WAITING),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let jobs = Arc::new(Jobs::new());
        app.tasks.spawn(Arc::clone(&jobs).run(Arc::clone(&app)));
        app.tasks.spawn(feed(Arc::clone(&app)));
        app.tasks.spawn(
            Arc::clone(&app.policy).watch(POLICY_PERIOD, app.stop.clone().cancelled_owned()),
        );
        app.tasks
            .spawn(http::serve::serve(listener, Arc::clone(&app)));
        tracing::info!(%addr, server = %app.config.public_url, "the approval server listens");
        Ok(Running { addr, app, jobs })
    }

    /// Reads all that `start` would, without listening or writing: for `--check`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn check(config: &ServerConfig) -> anyhow::Result<()> {
        PolicyFile::open(&config.policy)?;
        Ok(())
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes what the policy's file holds now: the operator says that it is ready (SIGHUP). The log tells what
    /// changed, or why not.
    pub fn reload_policy(&self) {
        self.app.policy.reload_if_changed();
    }

    /// Does at once what the clock says is due: for tests, which move their clock.
    pub async fn tick(&self) {
        // A refusal was logged where it arose.
        let _ = self.jobs.tick(&self.app).await;
        self.app.sockets.tick();
    }

    /// Stops: no new calls, streams are told, what is under way finishes within a few seconds.
    pub async fn shutdown(self) {
        self.app.sockets.stop();
        self.app.stop.cancel();
        self.app.tasks.close();
        // What the clock has shown meanwhile; a refusal was logged where it arose.
        let _ = jobs::mark(&self.app, self.app.now()).await;
        if tokio::time::timeout(STOP_LIMIT, self.app.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some calls were still under way");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.app.sockets.stop();
        self.app.stop.cancel();
    }
}

async fn feed(app: Arc<App>) {
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = app.feed.run(&*app.store, &app.papers) => {}
    }
}

fn providers(
    config: &ServerConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<TrustedProvider>> {
    let mut found = Vec::new();
    for it in &config.providers {
        let provider = Provider::new(it.op.issuer.clone(), Arc::clone(clock))
            .with_context(|| format!("prepare the provider `{}`", it.op.issuer))?
            .keep_keys_for(i64::from(config.session_secs))
            .remember_in(&config.state_dir)
            .with_context(|| format!("read the keys seen of `{}`", it.op.issuer))?;
        found.push(TrustedProvider {
            config: it.clone(),
            provider: Arc::new(provider),
        });
    }
    Ok(found)
}

/// Whoever administers need not be one who asks: people of a provider whose accounts only approve are let in too.
fn with_who_approves(mut roles: BTreeSet<OpRole>) -> BTreeSet<OpRole> {
    if roles.contains(&OpRole::Approver) {
        roles.insert(OpRole::Requester);
    }
    roles
}

/// People's and programs' own tokens, by what their provider's accounts count as. A token of any approver client is a
/// credential nowhere.
fn callers(
    config: &ServerConfig,
    providers: &[TrustedProvider],
    roles: fn(BTreeSet<OpRole>) -> BTreeSet<OpRole>,
) -> ResourceServer {
    let approver_client_ids: Vec<String> = config
        .providers
        .iter()
        .map(|it| it.op.client_id.clone())
        .collect();
    let rules = providers.iter().map(|it| {
        let audience = it
            .config
            .audience
            .clone()
            .unwrap_or_else(|| config.public_url.to_string());
        let rules = AccessRules {
            issuer: it.config.op.issuer.clone(),
            audience,
            algorithms: it.config.op.algorithms.clone(),
            approver_client_ids: approver_client_ids.clone(),
            roles: roles(it.config.op.roles.clone()),
        };
        (Arc::clone(&it.provider), rules)
    });
    ResourceServer::new(rules.collect())
}

/// Tests of crashes end a debug build at a numbered write point.
fn store_options() -> SqliteOptions {
    let kill_at = std::env::var("COUNTERSIGN_KILL_AT_WRITE")
        .ok()
        .filter(|_| cfg!(debug_assertions));
    SqliteOptions {
        kill_at: kill_at.and_then(|text| text.parse().ok()),
        ..SqliteOptions::default()
    }
}
