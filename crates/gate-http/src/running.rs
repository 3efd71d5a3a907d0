//! Starting a gate, taking connections, and ending in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_evidence::op_token::AccessRules;
use countersign_model::{Clock, PolicyCheck};
use countersign_oidc::{OidcError, Provider, ResourceServer};
use countersign_pep::{Pep, PepConfig, PolicySource, TrustedProvider};
use countersign_policy_file::{PolicyFile, Reloaded};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::Frame;
use crate::caller::{Callers, ClaimRules};
use crate::config::{GateConfig, ProviderConfig};
use crate::credential::CredentialKey;
use crate::forward::Forwarder;
use crate::gate::{self, Shared};
use crate::lane::IDLE;
use crate::wire::Wire;

/// Connections at once, at most.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a caller may take to send a call's head.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Bytes of a call's head, at most; also the size of a connection's buffer.
const HEAD_BYTES: usize = 64 * 1024;
/// How long calls that are under way may take to end.
const END_TIME: Duration = Duration::from_secs(10);

/// Between two looks at the policy's file.
const POLICY_EVERY: Duration = Duration::from_secs(2);

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder of the configuration.
    #[error("cannot use `{}`: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A provider of the configuration.
    #[error(transparent)]
    Provider(#[from] OidcError),
    /// The enforcement point.
    #[error(transparent)]
    Pep(#[from] countersign_pep::StartError),
    /// TLS towards the upstream.
    #[error("cannot set up TLS towards the upstream: {0}")]
    Tls(#[from] rustls::Error),
    /// The listener.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// The gate.
#[derive(Debug)]
pub struct Gate;

/// A gate that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    stopping: CancellationToken,
    policy: Arc<PolicyFile>,
    pep: Arc<Pep>,
    tasks: TaskTracker,
}

impl Gate {
    /// Starts on this listener. Needs a tokio runtime. Talks to nobody before the first call.
    pub fn start(
        config: GateConfig,
        clock: Arc<dyn Clock>,
        listener: TcpListener,
    ) -> Result<Running, StartError> {
        let addr = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(shared(config, clock, stopping.clone(), tasks.clone())?);
        let (policy, pep) = (Arc::clone(&shared.policy), Arc::clone(&shared.pep));
        let watched = Arc::clone(&policy);
        tasks.spawn(watched.watch(POLICY_EVERY, stopping.clone().cancelled_owned()));
        tasks.spawn(compare_routes(Arc::clone(&shared), stopping.clone()));
        tasks.spawn(sweep(Arc::clone(&shared), stopping.clone()));
        tasks.spawn(accept(shared, listener, stopping.clone()));
        tasks.close();
        Ok(Running {
            addr,
            stopping,
            policy,
            pep,
            tasks,
        })
    }
}

impl Running {
    /// Looks at the policy's file now, instead of within the next seconds. Calls that wait for people are judged
    /// by the policy that is in force when they are released.
    pub fn reload_policy(&self) -> Reloaded {
        self.policy.reload_if_changed()
    }

    /// Takes no more calls, answers those that are held with an id to come back with, and waits a while for
    /// the rest.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        if tokio::time::timeout(END_TIME, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("calls that were under way are cut off");
        }
        if tokio::time::timeout(END_TIME, self.pep.drain())
            .await
            .is_err()
        {
            tracing::warn!("not everything could be told to the server");
        }
    }
}

fn shared(
    config: GateConfig,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) -> Result<Shared, StartError> {
    let GateConfig {
        listen: _,
        upstream,
        pep,
        key,
        server,
        server_keys,
        policy,
        state_dir,
        evidence_dir,
        hold,
        session_secs,
        upstream_timeout,
        body_limit,
        text_limit,
        bounds,
        providers,
        headers,
        overrides,
        routes,
    } = config;
    let folder = |path: &PathBuf| {
        let path = path.clone();
        move |error| StartError::Folder { path, error }
    };
    std::fs::create_dir_all(&state_dir).map_err(folder(&state_dir))?;
    let mut rules = Vec::new();
    let mut trusted = Vec::new();
    let mut tokens = Vec::new();
    // A token of any approver client is a credential nowhere, whoever issued it.
    let approver_client_ids: Vec<String> = providers
        .iter()
        .map(|one| one.op.client_id.clone())
        .collect();
    for ProviderConfig {
        op,
        audience,
        claims,
    } in providers
    {
        let provider = Provider::new(op.issuer.clone(), Arc::clone(&clock))?
            .keep_keys_for(session_secs.into())
            .remember_in(&state_dir)?;
        let provider = Arc::new(provider);
        if let Some(audience) = audience {
            let access = AccessRules {
                issuer: op.issuer.clone(),
                audience: audience.clone(),
                algorithms: op.algorithms.clone(),
                approver_client_ids: approver_client_ids.clone(),
                roles: op.roles.clone(),
            };
            tokens.push((Arc::clone(&provider), access));
            rules.push(ClaimRules {
                op: op.clone(),
                audience,
                claims,
            });
        }
        trusted.push(TrustedProvider {
            config: op,
            provider,
        });
    }
    let pep_config = PepConfig {
        me: pep.clone(),
        key,
        server,
        server_keys,
        providers: trusted,
        session_secs,
        bounds,
        evidence_dir,
    };
    let file = Arc::clone(&policy);
    let source: PolicySource = Arc::new(move || -> Arc<dyn PolicyCheck> { file.current() });
    let the_pep = Pep::start(pep_config, &state_dir, source, Arc::clone(&clock))?;
    let credential_key = CredentialKey::load(&state_dir).map_err(folder(&state_dir))?;
    Ok(Shared {
        callers: Callers::new(ResourceServer::new(tokens), rules),
        headers,
        routes,
        frame: Frame {
            pep,
            upstream: upstream.clone(),
            credential_key,
            text_limit,
        },
        policy,
        pep: the_pep,
        forwarder: Forwarder::new(upstream, upstream_timeout)?,
        clock,
        hold,
        body_limit,
        overrides,
        stopping,
        tasks,
    })
}

/// Says which routes a new policy does not know: their calls are denied from now on.
async fn compare_routes(shared: Arc<Shared>, stopping: CancellationToken) {
    let mut changes = shared.policy.subscribe();
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = stopping.cancelled() => return,
        }
        let current = shared.policy.current();
        for action in shared
            .routes
            .actions()
            .filter(|action| !current.knows(action))
        {
            tracing::warn!(
                action,
                "the new policy names no such action: calls of its routes are denied"
            );
        }
    }
}

/// Ends connections to the upstream that nobody uses.
async fn sweep(shared: Arc<Shared>, stopping: CancellationToken) {
    let mut rounds = tokio::time::interval(IDLE);
    loop {
        tokio::select! {
            _ = rounds.tick() => shared.forwarder.sweep(),
            () = stopping.cancelled() => return,
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, stopping: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = stopping.cancelled() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let (Ok(slot), Ok((stream, _))) = (slot, accepted) else {
            // Out of descriptors, most likely: those who hold them will give some back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (of_connection, stopping) = (Arc::clone(&shared), stopping.clone());
        shared.tasks.spawn(async move {
            connection(of_connection, stream, stopping).await;
            drop(slot);
        });
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, stopping: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY: {error}");
    }
    let wire = Wire::new(stream);
    let line = wire.line();
    let service = service_fn(move |request| {
        let (shared, line) = (Arc::clone(&shared), Arc::clone(&line));
        async move { Ok::<_, std::convert::Infallible>(gate::serve(shared, line, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}
