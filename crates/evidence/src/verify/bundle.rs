//! What an agent gets before it shows anything: the operation's bytes, the gate's ask, the server's request.

use countersign_model::{Digest, Operation, PepId, ServerId, UnixSecs, matching_words};

use super::{Refusal, StepId};
use crate::documents::{Ask, Request};
use crate::jose::PublicKey;

/// A request whose signatures, digests and parts were checked against each other. Only
/// [`verify_request_bundle`] and [`read_request_bundle`] make one.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    operation: Operation,
    ask: Ask,
    request: Request,
    ask_jws: String,
    request_jws: String,
    request_jws_digest: Digest,
}

impl OpenRequest {
    /// The operation: render only from this.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The gate's ask.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The server's request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// As signed.
    pub fn ask_jws(&self) -> &str {
        &self.ask_jws
    }

    /// As signed.
    pub fn request_jws(&self) -> &str {
        &self.request_jws
    }

    /// What every vote on it names.
    pub fn request_jws_digest(&self) -> Digest {
        self.request_jws_digest
    }

    /// The matching words.
    pub fn words(&self) -> [&'static str; 2] {
        matching_words(self.request_jws_digest)
    }
}

/// Checks a request that is to be shown or voted on now: everything of [`read_request_bundle`], and that
/// voting is still open.
pub fn verify_request_bundle(
    request_jws: &str,
    ask_jws: &str,
    operation_bytes: &[u8],
    server: &ServerId,
    server_keys: &[PublicKey],
    pep_keys: &[(PepId, PublicKey)],
    now: UnixSecs,
) -> Result<OpenRequest, Refusal> {
    let open = read_request_bundle(
        request_jws,
        ask_jws,
        operation_bytes,
        server,
        server_keys,
        pep_keys,
    )?;
    let _ = now;
    Ok(open)
}

/// Checks a request of any age: signatures by these keys, strictness, and that all parts speak of the same.
pub fn read_request_bundle(
    request_jws: &str,
    ask_jws: &str,
    operation_bytes: &[u8],
    server: &ServerId,
    server_keys: &[PublicKey],
    pep_keys: &[(PepId, PublicKey)],
) -> Result<OpenRequest, Refusal> {
    let _ = (
        request_jws,
        ask_jws,
        operation_bytes,
        server,
        server_keys,
        pep_keys,
    );
    Err(Refusal::new(
        StepId::Sameness,
        "not_built",
        "This build cannot verify requests yet.",
    ))
}
