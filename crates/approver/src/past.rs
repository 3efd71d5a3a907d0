//! The evidence of one closed request, verified or written to a file. The list of them is [`crate::archived`]'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use countersign_api::http::RequestState;
use countersign_api::ipc::{Problem, ProblemCode, VerifyReport};
use countersign_client::ApiError;
use countersign_evidence::Evidence;
use countersign_evidence::verify::{Trust, TrustedOp};
use countersign_model::Txn;

use crate::approver::{Approver, parse};
use crate::item::ended;
use crate::kept::write_whole;
use crate::problem::{of_api, problem, signed_out};
use crate::report;
use crate::session::Session;

/// The longest evidence that is read, in bytes.
const MAX_EVIDENCE_BYTES: usize = 4 * 1024 * 1024;

impl Approver {
    /// Fetches the evidence of a request and verifies it here.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn verify(&self, txn: &str) -> Result<VerifyReport, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let id = parse(txn)?;
        let item = session.read(&id).await.map_err(|error| of_api(&error))?;
        let started = Instant::now();
        let millis = || u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let genuine = item.genuine()?;
        match item.state {
            RequestState::Approved | RequestState::Redeemed | RequestState::Voided => {}
            RequestState::Pending
            | RequestState::Denied
            | RequestState::Expired
            | RequestState::Withdrawn => {
                return Ok(report::without_grant(ended(item.state), millis()));
            }
        }
        let evidence = self.evidence(&session, &id).await?;
        let pep = genuine.open.request().pep.clone();
        let pep_key = session
            .pep_keys()
            .into_iter()
            .find(|(known, _)| *known == pep);
        let pep = pep_key
            .ok_or_else(|| problem(ProblemCode::NotGenuine, "The gate's key is not known here."))?;
        let tokens: Vec<&str> = evidence
            .votes
            .iter()
            .flat_map(|vote| [vote.id_token.as_deref(), vote.claims_token.as_deref()])
            .flatten()
            .collect();
        // Without the provider the rest can still be checked; the report says what is not proven.
        let keys = match session.provider.keys_for(&tokens).await {
            Ok(keys) => Some(keys.seen.clone()),
            Err(error) => {
                tracing::warn!(
                    code = error.code(),
                    "the provider's keys cannot be had: {error}"
                );
                None
            }
        };
        let trust = Trust {
            server: &session.account.server,
            server_keys: session.account.server_keys.clone(),
            pep,
            ops: vec![TrustedOp {
                config: session.config.clone(),
                keys,
            }],
            session_secs: session.session_secs(),
            policy: None,
        };
        let started = Instant::now();
        let millis = || u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok(report::report(&evidence, &trust, session.now(), millis))
    }

    /// Writes the evidence of a request to a file in this folder.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub async fn export_evidence(&self, txn: &str, folder: &Path) -> Result<PathBuf, Problem> {
        let id = parse(txn)?;
        let evidence = self.evidence_bytes(&id).await?;
        let path = folder.join(format!("countersign-{id}.json"));
        write_whole(&path, &evidence).map_err(|error| {
            problem(
                ProblemCode::Other,
                format!("The file {} could not be written: {error}.", path.display()),
            )
        })?;
        Ok(path)
    }

    /// The evidence of a request, as a file.
    pub(crate) async fn evidence_bytes(&self, txn: &Txn) -> Result<Vec<u8>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        Ok(self.evidence(&session, txn).await?.to_json())
    }

    async fn evidence(&self, session: &Arc<Session>, txn: &Txn) -> Result<Evidence, Problem> {
        let bytes = session
            .call(|api| async move { api.evidence(txn).await })
            .await
            .map_err(|error| {
                if matches!(error, ApiError::NotFound { .. }) {
                    let sentence = "There is no evidence of this request: it was not approved.";
                    problem(ProblemCode::NotFound, sentence)
                } else {
                    of_api(&error)
                }
            })?;
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(problem(
                ProblemCode::Other,
                "The evidence is too long to be read.",
            ));
        }
        Evidence::from_json(&bytes).map_err(|error| {
            problem(
                ProblemCode::NotGenuine,
                format!("The server's evidence is refused: {error}."),
            )
        })
    }
}
