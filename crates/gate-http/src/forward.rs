//! Sending calls on: streamed where the policy allows them outright, once and whole where people approved them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_model::Operation;
use countersign_pep::Permit;
use http::Response;
use http::header::{self, HeaderMap, HeaderName};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;

use crate::call::{Call, Sent, Upstream};
use crate::lane::{Answered, Failed, Lanes};
use crate::outgoing::Outgoing;
use crate::overrides::{Verdict, Watch};
use crate::problem::Problem;

/// What is answered: the upstream's stream, or the gate's own words.
pub(crate) type Answer = Response<Either<Answered, Full<Bytes>>>;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Removed from answers: they belong to the connection behind the gate.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The way to the upstream.
pub(crate) struct Forwarder {
    upstream: Upstream,
    lanes: Arc<Lanes>,
    timeout: Duration,
}

impl Forwarder {
    pub(crate) fn new(upstream: Upstream, timeout: Duration) -> Result<Self, rustls::Error> {
        Ok(Self {
            lanes: Lanes::new(connector()?, upstream.clone()),
            upstream,
            timeout,
        })
    }

    /// A call that the policy allows outright, with a body that was read.
    pub(crate) async fn pass(&self, mut call: Call) -> Result<Answer, Problem> {
        let body = call.body.take().unwrap_or_default();
        let request = call
            .into_request(&self.upstream, Sent::AsAllowed, Outgoing::whole(body))
            .map_err(|_| unsendable())?;
        self.send(self.lanes.send(request)).await
    }

    /// The same with a body that streams through, watched where there is something to watch for.
    pub(crate) async fn stream(
        &self,
        call: Call,
        body: Incoming,
        watch: Option<Watch>,
    ) -> Result<Answer, Problem> {
        let verdict = Verdict::default();
        let body = Outgoing::stream(body, watch, &verdict);
        let request = call
            .into_request(&self.upstream, Sent::AsAllowed, body)
            .map_err(|_| unsendable())?;
        let sent = self.send(self.lanes.send(request)).await;
        match verdict.get() {
            // Whatever the upstream made of half a body is not the answer to this call.
            Some(overridden) => Err(Problem::bad_call(
                overridden.code(),
                &overridden.to_string(),
            )),
            None => sent,
        }
    }

    /// A call that people approved: exactly this operation, once.
    ///
    /// `operation` was made again from `call` just now; the permit opens for it and for nothing else.
    pub(crate) async fn forward(
        &self,
        permit: Permit,
        operation: &Operation,
        mut call: Call,
    ) -> Result<Answer, Problem> {
        let executing = permit
            .open(operation)
            .map_err(|refusal| Problem::refused(&refusal))?;
        let body = call.body.take().unwrap_or_default();
        let sent = match call.into_request(&self.upstream, Sent::AsApproved, Outgoing::whole(body))
        {
            Ok(request) => self.send(self.lanes.send_once(request)).await,
            Err(_) => Err(unsendable()),
        };
        // CRASH G1: sent, and the outcome not told. The server's history says that it was redeemed, not how it went.
        countersign_pep::crash::point("G1");
        match &sent {
            Ok(answer) => executing.executed(Some(answer.status().as_u16())),
            Err(problem) => executing.failed(problem.code()),
        }
        sent
    }

    /// Ends connections that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        self.lanes.sweep();
    }

    async fn send(
        &self,
        sending: impl Future<Output = Result<Response<Answered>, Failed>>,
    ) -> Result<Answer, Problem> {
        let answer = match tokio::time::timeout(self.timeout, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failed)) => {
                tracing::warn!("the upstream failed: {failed}");
                return Err(Problem::upstream(match failed {
                    Failed::Unreachable(_) => {
                        "The service behind the gate cannot be reached; the call was not made."
                    }
                    Failed::Broken(_) | Failed::Ended => {
                        "The service behind the gate broke off; whether it did what was asked is not known."
                    }
                }));
            }
            Err(_) => {
                tracing::warn!("the upstream did not answer in time");
                return Err(Problem::upstream(
                    "The service behind the gate did not answer in time; whether it did what was asked is not known.",
                ));
            }
        };
        let (mut parts, body) = answer.into_parts();
        end_to_end(&mut parts.headers);
        Ok(Response::from_parts(parts, Either::Left(body)))
    }
}

/// Leaves only fields that concern the caller.
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn unsendable() -> Problem {
    Problem::bad_call("unsendable", "it cannot be written as an HTTP request")
}

fn connector() -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .try_with_platform_verifier()?
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_LIMIT));
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}
