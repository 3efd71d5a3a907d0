//! The transport to one server: bounded, no redirects, problems decoded, clocks compared.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use countersign_api::http::{Endpoints, Problem, TokenProblem, WellKnown};
use countersign_model::{Clock, ServerId, UnixSecs};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::ApiError;
use crate::route::Route;

/// The longest answer that is read, in bytes: a list of 500 requests of 64 KiB operations does not fit in
/// one, and is not sent in one.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How long a call may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(15);
/// How far two clocks may differ, in seconds (protocol, section 1).
pub const CLOCK_SKEW_SECS: i64 = 60;

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// From the question to the end of the answer, on a connection that was there.
    pub took: Duration,
    /// How far our clock is ahead of the server's, in seconds, where its answer names a date.
    pub ahead_secs: Option<i64>,
}

/// A server, by its id, and how to talk to it.
#[derive(Clone)]
pub struct ServerHttp {
    id: ServerId,
    base: Url,
    route: Route,
    /// With its connections. Clones share it.
    client: Arc<RwLock<reqwest::Client>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for ServerHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHttp")
            .field("id", &self.id.as_str())
            .finish_non_exhaustive()
    }
}

impl ServerHttp {
    /// Prepares; talks to nobody yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(id: ServerId, clock: Arc<dyn Clock>) -> Result<Self, ApiError> {
        Self::through(id, clock, &Route::default())
    }

    /// The same, by a route of the caller's.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn through(id: ServerId, clock: Arc<dyn Clock>, route: &Route) -> Result<Self, ApiError> {
        // The first caller in the process wins; a second installation is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = Url::parse(id.as_str()).map_err(|_| ApiError::Setup {
            why: format!("`{id}` is not a URL"),
        })?;
        let client = client_for(&base, route)?;
        Ok(Self {
            id,
            base,
            route: route.clone(),
            client: Arc::new(RwLock::new(client)),
            clock,
        })
    }

    /// The network or the computer came back: connections of before are not used any more. They may look alive and
    /// never answer.
    pub fn anew(&self) {
        match client_for(&self.base, &self.route) {
            Ok(client) => {
                *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
            }
            Err(error) => tracing::warn!(code = error.code(), "connections are kept: {error}"),
        }
    }

    /// The server.
    #[must_use]
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// Now, by the clock that this transport judges with.
    #[must_use]
    pub fn now(&self) -> UnixSecs {
        self.clock.now()
    }

    /// Clones share their connections.
    pub(crate) fn client(&self) -> reqwest::Client {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.clone()
    }

    pub(crate) fn host(&self) -> String {
        match (self.base.host_str(), self.base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => self.id.to_string(),
        }
    }

    /// The server's self-description. It must be about the very id that was asked for, and its endpoints
    /// must be its own: tokens go there.
    ///
    /// # Errors
    /// As any call; [`ApiError::BadAnswer`] when it describes another server.
    pub async fn well_known(&self) -> Result<WellKnown, ApiError> {
        let request = self
            .client()
            .get(format!("{}/.well-known/countersign", self.id));
        let known: WellKnown = self.json(request).await?;
        if known.server != self.id.as_str() {
            return Err(self.bad(format!(
                "it calls itself `{}`: use that address",
                printable(&known.server)
            )));
        }
        let Endpoints {
            nonce,
            token,
            requests,
            history,
            bindings,
            claims,
            absence,
            colleagues,
            stream,
        } = &known.endpoints;
        // What a server does not offer is empty.
        let offered = [claims, absence, colleagues]
            .into_iter()
            .filter(|endpoint| !endpoint.is_empty());
        let always = [nonce, token, requests, history, bindings, stream];
        for endpoint in always.into_iter().chain([&known.jwks_uri]).chain(offered) {
            if !self.owns(endpoint) {
                return Err(self.bad(format!(
                    "its endpoint `{}` is not its own",
                    printable(endpoint)
                )));
            }
        }
        Ok(known)
    }

    /// The server's keys and those of its gates.
    ///
    /// # Errors
    /// As any call.
    pub async fn keys(&self) -> Result<countersign_api::http::Keys, ApiError> {
        self.json(
            self.client()
                .get(format!("{}/.well-known/countersign/keys", self.id)),
        )
        .await
    }

    /// Asks for something small and says how long the answer took, and how the clocks differ: a difference is no error
    /// here.
    ///
    /// # Errors
    /// When no server of ours answers.
    pub async fn round_trip(&self) -> Result<RoundTrip, ApiError> {
        // Once to have a connection, and once to know what an answer on it takes.
        self.touch().await?;
        let begun = Instant::now();
        let ahead_secs = self.touch().await?;
        Ok(RoundTrip {
            took: begun.elapsed(),
            ahead_secs,
        })
    }

    async fn touch(&self) -> Result<Option<i64>, ApiError> {
        let request = self
            .client()
            .get(format!("{}/.well-known/countersign", self.id));
        let asked_at = self.clock.now();
        let (status, headers, _) = self.answer(request, CALL_LIMIT).await?;
        if (200..300).contains(&status) {
            Ok(self.ahead_secs(asked_at, &headers))
        } else {
            Err(self.bad(format!("it answered with status {status}")))
        }
    }

    fn owns(&self, endpoint: &str) -> bool {
        let Ok(mut url) = Url::parse(endpoint) else {
            return false;
        };
        let web = match url.scheme() {
            "ws" => "http",
            "wss" => "https",
            _ => "",
        };
        // Between these two pairs `url` always allows the change; where not, the origins differ below.
        if !web.is_empty() && url.set_scheme(web).is_err() {
            return false;
        }
        url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none()
    }

    pub(crate) fn bad(&self, what: String) -> ApiError {
        ApiError::BadAnswer {
            host: self.host(),
            what,
        }
    }

    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        ApiError::Unreachable {
            host: self.host(),
            why: cause(error),
        }
    }

    /// Sends, and reads a JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ApiError> {
        let body = self
            .body(request.header("accept", "application/json"))
            .await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.bad(format!("its answer cannot be read: {error}")))
    }

    /// Sends, and reads the answer's bytes.
    pub(crate) async fn body(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, ApiError> {
        self.body_within(request, CALL_LIMIT).await
    }

    /// The same with another limit, for answers that are held back on purpose.
    pub(crate) async fn body_within(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
    ) -> Result<Vec<u8>, ApiError> {
        let asked_at = self.clock.now();
        let (status, headers, body) = self.answer(request, limit).await?;
        self.judge(asked_at, status, &headers, body)
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
    ) -> Result<(u16, HeaderMap, Vec<u8>), ApiError> {
        let mut response = request
            .timeout(limit)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        Ok((status, headers, self.read(response).await?))
    }

    /// The body, as far as it may go.
    pub(crate) async fn read(&self, mut response: Response) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.bad(format!(
                    "its answer is longer than {MAX_ANSWER_BYTES} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// An answer as the caller acts on it. A wrong clock is told first: it explains most refusals.
    pub(crate) fn judge(
        &self,
        asked_at: UnixSecs,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, ApiError> {
        self.same_clock(asked_at, headers)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        // One that cannot now, or a proxy before it, may say `error` too, and refuses nothing by that.
        let is_final = (400..500).contains(&status) && status != 429;
        if is_final && let Ok(problem) = serde_json::from_slice::<TokenProblem>(&body) {
            return Err(ApiError::TokenRefused { problem });
        }
        let problem = serde_json::from_slice::<Problem>(&body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status,
            detail: None,
            code: None,
        });
        let retry_after = headers
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        Err(match (status, retry_after) {
            (401, _) => ApiError::Unauthorized { problem },
            (403, _) => ApiError::Forbidden { problem },
            (404, _) => ApiError::NotFound { problem },
            (409, _) => ApiError::Conflict { problem },
            (410, _) => ApiError::Gone { problem },
            (429, retry) => ApiError::Busy {
                retry_after_secs: retry.unwrap_or(5),
            },
            (503, Some(retry_after_secs)) => ApiError::Busy { retry_after_secs },
            (500.., _) => ApiError::Fault {
                host: self.host(),
                status,
            },
            (400..500, _) => ApiError::Refused { problem },
            _ => self.bad(format!("it answered with status {status}")),
        })
    }

    fn same_clock(&self, asked_at: UnixSecs, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.ahead_secs(asked_at, headers) {
            Some(ahead_secs) if ahead_secs.abs() > CLOCK_SKEW_SECS => {
                Err(ApiError::ClockOff { ahead_secs })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Ours minus theirs, where the answer names a date. Ours is any time between the question and now: the computer
    /// may have slept, or its clock have been set, while the answer was on its way.
    fn ahead_secs(&self, asked_at: UnixSecs, headers: &HeaderMap) -> Option<i64> {
        let theirs = headers
            .get("date")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .map(UnixSecs)?;
        let now = self.clock.now();
        Some(theirs.clamp(asked_at.min(now), asked_at.max(now)) - theirs)
    }
}

fn client_for(base: &Url, route: &Route) -> Result<reqwest::Client, ApiError> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    // `ServerId` allows http on this computer only: no proxy has business there, and no root certificate.
    let builder = if base.scheme() == "http" {
        builder.tls_certs_only([])
    } else {
        builder.proxy(route.proxy())
    };
    builder
        .build()
        .map_err(|error| ApiError::Setup { why: cause(&error) })
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The innermost cause: it is what tells "connection refused" from "no such host". Never the URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = "the exchange failed".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if is_no_tls(inner) {
            return "what answers there does not encrypt".to_owned();
        }
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// An answer that is no TLS: most often that of a plain HTTP server. An I/O error does not name what it wraps as its
/// source.
fn is_no_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<std::io::Error>() {
        Some(wrapping) => wrapping.get_ref().is_some_and(|inner| is_no_tls(inner)),
        None => matches!(error.downcast_ref(), Some(rustls::Error::InvalidMessage(_))),
    }
}
