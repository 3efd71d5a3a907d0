//! Connections to the upstream, each moved by the call that is on it.
//!
//! No task stands between a call and its connection: whoever waits for the answer, or reads it, reads and writes what
//! it goes by. So a call that passes wakes nobody but itself. A connection whose answer was read to its end is kept for
//! the next call. What was begun is never sent again.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::service::Service as _;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::call::Upstream;
use crate::outgoing::Outgoing;

/// Idle connections that are kept.
const MAX_IDLE: usize = 256;
/// For how long.
pub(crate) const IDLE: Duration = Duration::from_secs(30);

/// The ways to one upstream.
pub(crate) struct Lanes {
    connector: TowerToHyperService<HttpsConnector<HttpConnector>>,
    upstream: Upstream,
    /// The one that was used last stands last.
    idle: Mutex<VecDeque<(Lane, Instant)>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// No connection, so nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    /// It broke off: what was done is not known.
    #[error("the connection broke off: {0}")]
    Broken(hyper::Error),
    /// It ended as if there had been no call.
    #[error("the connection ended without an answer")]
    Ended,
}

/// A connection. It moves only while it is polled.
struct Lane {
    sender: SendRequest<Outgoing>,
    connection: Box<Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Outgoing>>,
    over: bool,
}

/// An answer as it is read, with the connection that it comes by; alone where a task moves that.
pub(crate) struct Answered {
    body: Incoming,
    lane: Option<(Lane, Arc<Lanes>)>,
    ended: bool,
}

enum Exchanged {
    Answer(Response<Incoming>),
    /// Nothing of it was written.
    Unsent(Request<Outgoing>),
    Failed(Failed),
}

impl Lanes {
    pub(crate) fn new(connector: HttpsConnector<HttpConnector>, upstream: Upstream) -> Arc<Self> {
        Arc::new(Self {
            connector: TowerToHyperService::new(connector),
            upstream,
            idle: Mutex::default(),
        })
    }

    /// Sends a call on a connection that was kept, or on a new one. A long body from a caller has a connection and a task
    /// of its own: it goes out also while nobody reads an answer that came early.
    pub(crate) async fn send(
        self: &Arc<Self>,
        request: Request<Outgoing>,
    ) -> Result<Response<Answered>, Failed> {
        if !request.body().is_short() {
            return self.send_once(request).await;
        }
        let mut request = path_only(request);
        loop {
            let (mut lane, kept) = match self.pick() {
                Some(lane) => (lane, true),
                None => (self.connect().await?, false),
            };
            request = match lane.exchange(request).await {
                Exchanged::Answer(answer) => {
                    return Ok(answer.map(|body| Answered {
                        body,
                        lane: Some((lane, Arc::clone(self))),
                        ended: false,
                    }));
                }
                // The upstream ended it in the moment in which it was taken.
                Exchanged::Unsent(unsent) if kept => unsent,
                Exchanged::Unsent(_) => return Err(Failed::Ended),
                Exchanged::Failed(failed) => return Err(failed),
            };
        }
    }

    /// Sends a call on a connection of its own, with nothing that could have gone stale. A task moves it, so that the
    /// call goes out whole also where its answer comes early and nobody reads that.
    pub(crate) async fn send_once(
        &self,
        request: Request<Outgoing>,
    ) -> Result<Response<Answered>, Failed> {
        let Lane {
            mut sender,
            connection,
            over: _,
        } = self.connect().await?;
        tokio::spawn(connection);
        let answer = sender.send_request(path_only(request)).await;
        let answer = answer.map_err(Failed::Broken)?;
        Ok(answer.map(|body| Answered {
            body,
            lane: None,
            ended: false,
        }))
    }

    /// Ends connections that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.idle().retain(|(_, since)| now - *since < IDLE);
    }

    async fn connect(&self) -> Result<Lane, Failed> {
        let address = Uri::builder()
            .scheme(self.upstream.scheme.clone())
            .authority(self.upstream.authority.clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build()
            .map_err(|error| Failed::Unreachable(error.into()))?;
        let stream = self.connector.call(address).await;
        let stream = stream.map_err(Failed::Unreachable)?;
        let (sender, connection) = handshake(stream).await.map_err(Failed::Broken)?;
        Ok(Lane {
            sender,
            connection: Box::new(connection),
            over: false,
        })
    }

    fn pick(&self) -> Option<Lane> {
        loop {
            let (mut lane, since) = self.idle().pop_back()?;
            if since.elapsed() < IDLE && lane.is_free() {
                return Some(lane);
            }
        }
    }

    fn keep(&self, lane: Lane) {
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back((lane, Instant::now()));
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(Lane, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    async fn exchange(&mut self, request: Request<Outgoing>) -> Exchanged {
        // What it says is said while the connection is polled: it has no need to wake anybody, nor a share of the time
        // that a task may take.
        let mut answer = pin!(tokio::task::unconstrained(
            self.sender.try_send_request(request)
        ));
        let answer = std::future::poll_fn(|cx| {
            let over = move_on(&mut self.connection, &mut self.over, cx);
            let mut nobody = Context::from_waker(Waker::noop());
            match answer.as_mut().poll(&mut nobody) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if over => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match answer.await {
            Some(Ok(answer)) => Exchanged::Answer(answer),
            Some(Err(mut error)) => match error.take_message() {
                Some(unsent) => Exchanged::Unsent(unsent),
                None => Exchanged::Failed(Failed::Broken(error.into_error())),
            },
            None => Exchanged::Failed(Failed::Ended),
        }
    }

    /// Whether the next call may go by it. Moves it as far as it goes: the end of an answer, or of the connection, is
    /// seen by that.
    fn is_free(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        !move_on(&mut self.connection, &mut self.over, &mut nobody) && self.sender.is_ready()
    }
}

/// Reads and writes what there is, and says whether the connection is over. One that is over is not polled again.
fn move_on<C: Future + Unpin>(connection: &mut C, over: &mut bool, cx: &mut Context<'_>) -> bool {
    *over = *over || Pin::new(connection).poll(cx).is_ready();
    *over
}

/// As it goes over a connection: the rest of the address is said by `Host`.
fn path_only(mut request: Request<Outgoing>) -> Request<Outgoing> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    request
}

impl Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let mut next = Pin::new(&mut this.body).poll_frame(cx);
        if next.is_pending()
            && let Some((lane, _)) = &mut this.lane
        {
            move_on(&mut lane.connection, &mut lane.over, cx);
            next = Pin::new(&mut this.body).poll_frame(cx);
        }
        this.ended |= matches!(next, Poll::Ready(None));
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let read = self.ended || self.body.is_end_stream();
        let Some((mut lane, lanes)) = self.lane.take().filter(|_| read) else {
            // An answer that nobody reads any more ends with its connection.
            return;
        };
        if lane.is_free() {
            lanes.keep(lane);
        } else if !lane.over {
            // An answer that came before the call was sent whole: the rest of it goes on.
            tokio::spawn(lane.connection);
        }
    }
}
