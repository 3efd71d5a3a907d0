//! The network between the server and everybody else: a proxy that a test can cut, hold back, or make lie. What a
//! taken-over server could answer, an answer changed on this wire is; what somebody with another's device could send, a
//! request changed on it is.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Changes a JSON answer to what a liar would say: method and path, then the honest answer.
pub type Lie = Box<dyn Fn(&str, Value) -> Value + Send + Sync>;

/// Changes a JSON request on its way: method and path, then what was sent. A future, since an attacker may have to fetch
/// something first.
pub type Tamper = Arc<dyn Fn(String, Value) -> BoxFuture<'static, Value> + Send + Sync>;

/// The running wire.
pub struct Wire {
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    to: SocketAddr,
    lie: Mutex<Option<Lie>>,
    tamper: Mutex<Option<Tamper>>,
    /// Streams live while their number is this one.
    cut: watch::Sender<u64>,
    streams: watch::Sender<Streams>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streams {
    Open,
    Refused,
}

impl Wire {
    /// Forwards what comes to `listener` to `to`.
    #[must_use]
    pub fn start(listener: TcpListener, to: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            to,
            lie: Mutex::new(None),
            tamper: Mutex::new(None),
            cut: watch::Sender::new(0),
            streams: watch::Sender::new(Streams::Open),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    /// From now on answers are changed so.
    pub fn lie(&self, lie: impl Fn(&str, Value) -> Value + Send + Sync + 'static) {
        *self
            .shared
            .lie
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Box::new(lie));
    }

    /// From now on requests with a JSON body are changed so.
    pub fn tamper(
        &self,
        tamper: impl Fn(String, Value) -> BoxFuture<'static, Value> + Send + Sync + 'static,
    ) {
        *self
            .shared
            .tamper
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tamper));
    }

    /// Requests go through as they are again.
    pub fn leave_alone(&self) {
        self.shared
            .tamper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Cuts every approver's stream, and lets none through until [`Wire::mend`].
    pub fn cut_streams(&self) {
        self.shared.streams.send_replace(Streams::Refused);
        self.shared.cut.send_modify(|number| *number += 1);
    }

    /// Lets streams through again.
    pub fn mend(&self) {
        self.shared.streams.send_replace(Streams::Open);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move {
                    Ok::<_, Infallible>(forward(request, shared).await.unwrap_or_else(|error| {
                        tracing::debug!("wire: {error:#}");
                        empty(StatusCode::BAD_GATEWAY)
                    }))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .with_upgrades();
            if let Err(error) = connection.await {
                tracing::debug!("wire: {error}");
            }
        });
    }
}

async fn forward(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>> {
    let is_stream = request.headers().contains_key(UPGRADE);
    if is_stream && *shared.streams.borrow() == Streams::Refused {
        return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let upstream = TcpStream::connect(shared.to)
        .await
        .context("reach the server")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(upstream))
        .await
        .context("speak to the server")?;
    tokio::spawn(connection.with_upgrades());
    let ours = is_stream.then(|| hyper::upgrade::on(&mut request));
    let request = tampered(request, &what, &shared).await?;
    let mut answer = sender
        .send_request(request)
        .await
        .context("ask the server")?;
    if let Some(ours) = ours
        && answer.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let theirs = hyper::upgrade::on(&mut answer);
        tokio::spawn(splice(ours, theirs, shared.cut.subscribe()));
        return Ok(answer.map(|_| Full::default()));
    }
    let (mut parts, body) = answer.into_parts();
    let mut bytes = body.collect().await.context("read the answer")?.to_bytes();
    if is_json(&parts.headers)
        && let Some(lie) = &*shared.lie.lock().unwrap_or_else(PoisonError::into_inner)
        && let Ok(honest) = serde_json::from_slice::<Value>(&bytes)
    {
        bytes = Bytes::from(lie(&what, honest).to_string());
    }
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        parts.headers.remove(name);
    }
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Ok(Response::from_parts(parts, Full::new(bytes)))
}

/// The request as it goes on, with a body of known length.
async fn tampered(
    request: Request<Incoming>,
    what: &str,
    shared: &Shared,
) -> Result<Request<Full<Bytes>>> {
    let tamper = shared
        .tamper
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (mut parts, body) = request.into_parts();
    let mut bytes = body.collect().await.context("read the request")?.to_bytes();
    if let Some(tamper) = tamper
        && is_json(&parts.headers)
        && let Ok(sent) = serde_json::from_slice::<Value>(&bytes)
    {
        bytes = Bytes::from(tamper(what.to_owned(), sent).await.to_string());
    }
    parts.headers.remove(TRANSFER_ENCODING);
    if parts.headers.remove(CONTENT_LENGTH).is_some() || !bytes.is_empty() {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    Ok(Request::from_parts(parts, Full::new(bytes)))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.contains("json"))
}

async fn splice(
    ours: hyper::upgrade::OnUpgrade,
    theirs: hyper::upgrade::OnUpgrade,
    mut cut: watch::Receiver<u64>,
) {
    let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) else {
        return;
    };
    let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => {}
        _ = cut.changed() => {}
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
