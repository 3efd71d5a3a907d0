//! What the server does, a file per use case. No HTTP here, save that refusals know their kind.

pub(crate) mod about;
pub(crate) mod absence;
pub(crate) mod bindings;
pub(crate) mod change;
pub(crate) mod claims;
pub(crate) mod colleagues;
pub(crate) mod devices;
pub(crate) mod evaluate;
pub(crate) mod evidence;
pub(crate) mod expire;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod outcome;
pub(crate) mod redeem;
pub(crate) mod renew;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod submit;
pub(crate) mod task;
pub(crate) mod token;
pub(crate) mod vote;
pub(crate) mod withdraw;

use std::sync::Arc;

use countersign_evidence::PublicKey;
use countersign_evidence::op_token::OpRole;
use countersign_model::{PepId, PolicyCheck, Subject, Txn, UnixSecs};
use countersign_oidc::{Provider, ResourceServer};
use countersign_policy_file::PolicyFile;
use countersign_store::{Commit, Conflict, Store, Tx, Write};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SteadyClock;
use crate::config::{PepConfig, ProviderConfig, ServerConfig};
use crate::feed::Feed;
use crate::papers::Papers;
use crate::refused::Refused;
use crate::replay::{Rate, Replay};
use crate::secrets::Secrets;
use crate::stream::Sockets;

/// How often a use case reads and judges again when somebody else was faster.
pub(crate) const MAX_TRIES: usize = 64;

/// Everything that the use cases share.
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    pub(crate) clock: SteadyClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Arc<PolicyFile>,
    pub(crate) secrets: Secrets,
    pub(crate) providers: Vec<TrustedProvider>,
    pub(crate) requesters: ResourceServer,
    pub(crate) administrators: ResourceServer,
    pub(crate) replay: Replay,
    pub(crate) refused_votes: Rate,
    pub(crate) absences: absence::Absences,
    pub(crate) feed: Feed,
    pub(crate) papers: Papers,
    pub(crate) sockets: Sockets,
    pub(crate) deadlines: expire::Deadlines,
    pub(crate) waiting: tokio::sync::Semaphore,
    /// The server stops: whoever holds an answer gives it now.
    pub(crate) stop: CancellationToken,
    /// Everything that runs: a stop waits for it.
    pub(crate) tasks: TaskTracker,
}

/// A provider with its keys.
pub(crate) struct TrustedProvider {
    pub(crate) config: ProviderConfig,
    pub(crate) provider: Arc<Provider>,
}

/// Who calls the requesters' and gates' side.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A registered enforcement point.
    Pep(PepId),
    /// A person or workload with their own provider's token.
    Requester(Subject),
}

impl App {
    pub(crate) fn now(&self) -> UnixSecs {
        self.clock.now()
    }

    /// Today's policy. A use case takes it once: it may be another a moment later.
    pub(crate) fn policy(&self) -> Arc<dyn PolicyCheck> {
        self.policy.current()
    }

    /// An absolute URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.public_url)
    }

    pub(crate) fn provider_of(&self, issuer: &str) -> Option<&TrustedProvider> {
        self.providers
            .iter()
            .find(|it| it.config.op.issuer.as_str() == issuer)
    }

    /// The provider, where its accounts approve here.
    pub(crate) fn approvers_of(&self, issuer: &str) -> Option<&TrustedProvider> {
        let provider = self.provider_of(issuer)?;
        let approve = provider.config.op.roles.contains(&OpRole::Approver);
        approve.then_some(provider)
    }

    pub(crate) fn pep(&self, id: &PepId) -> Result<&PepConfig, Refused> {
        self.config
            .pep(id)
            .ok_or_else(|| Refused::forbidden("pep_unknown", "This gate is not registered here."))
    }

    pub(crate) fn pep_keys(&self) -> Vec<(PepId, PublicKey)> {
        self.config
            .peps
            .iter()
            .map(|pep| (pep.id.clone(), pep.key.clone()))
            .collect()
    }

    /// Commits, and says so in the log by names and ids only.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<Result<(), Conflict>, Refused> {
        let entries: Vec<(&'static str, Option<Txn>)> =
            tx.writes().iter().filter_map(entry).collect();
        match self.store.commit(tx).await? {
            Commit::Committed => {
                for (kind, txn) in entries {
                    tracing::info!(entry = kind, txn = txn.as_ref().map(Txn::as_str), "written");
                }
                Ok(Ok(()))
            }
            Commit::Conflict(conflict) => Ok(Err(conflict)),
        }
    }

    /// After [`MAX_TRIES`] somebody else was always faster.
    pub(crate) fn contended() -> Refused {
        Refused::too_many("Too many changes of this request at once; try again.", 1)
    }
}

fn entry(write: &Write) -> Option<(&'static str, Option<Txn>)> {
    if let Write::Entry { kind, txn, .. } = write {
        Some((kind, txn.clone()))
    } else {
        None
    }
}
