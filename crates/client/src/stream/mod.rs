//! The approver's stream (protocol, section 7): a WebSocket that comes back by itself.
//!
//! The stream is a hint, REST is the truth: whoever gets an event reads the request. What was missed is
//! sent again after `resume`; what is no longer kept is told by [`Event::Reset`].
//!
//! One task per stream does everything. It never gives up by itself, save where going on is pointless
//! without the caller ([`Cause::needs_caller`]); then it waits for [`Stream::wake`].

mod event;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_api::stream::{ClientFrame, PING_SECS, SUBPROTOCOL, close};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use crate::approver_api::ApproverApi;
use crate::backoff::Backoff;

use event::{Read, cause_of, read};

pub use event::{Cause, Change, Event};

/// The longest frame from the server, in bytes.
pub const MAX_SERVER_FRAME_BYTES: usize = 64 * 1024;
/// Without any sign of life for so long, the connection is taken for dead: two pings and a bit.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(2 * PING_SECS + 5);
/// After a wake-up, the server has this long to give a sign of life.
pub const WAKE_LIMIT: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Events that wait for the caller. When it does not take them, reading stops, and the server closes the
/// connection (4008): nothing is lost, `resume` brings it again.
const EVENTS: usize = 64;

/// A running stream. Dropping it ends it.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    wishes: Mutex<Wishes>,
    wished: Notify,
}

#[derive(Debug, Default)]
struct Wishes {
    /// Everything up to here was dealt with.
    acked: Option<u64>,
    /// ... and the server has not been told yet.
    tell_ack: bool,
    /// The server was not told yet where to go on.
    resume: bool,
    renewed: bool,
    wake: bool,
    /// This connection is of the past.
    anew: bool,
}

impl Stream {
    /// Starts. `resume` is the last number that was dealt with, where one is known; `random` gives 0..1 for
    /// the jitter.
    #[must_use]
    pub fn start(
        api: Arc<ApproverApi>,
        resume: Option<u64>,
        random: impl Fn() -> f64 + Send + 'static,
    ) -> (Self, mpsc::Receiver<Event>) {
        let shared = Arc::new(Shared::default());
        shared.with(|wishes| wishes.acked = resume);
        let (events, receiver) = mpsc::channel(EVENTS);
        let worker = Worker {
            api,
            shared: Arc::clone(&shared),
            events,
            backoff: Backoff::default(),
        };
        let task = tokio::spawn(worker.run(random));
        (Self { shared, task }, receiver)
    }

    /// Everything up to this number was dealt with. Numbers only grow.
    pub fn ack(&self, seq: u64) {
        self.shared.wish(|wishes| {
            if wishes.acked.is_some_and(|acked| acked < seq) {
                wishes.acked = Some(seq);
                wishes.tell_ack = true;
            }
        });
    }

    /// The list was read, which is at least as new as this number: what came after it is to be sent. Needed once
    /// after [`Event::Connected`] with `resumed: None`, and after [`Event::Reset`].
    pub fn resume(&self, seq: u64) {
        self.shared.wish(|wishes| {
            wishes.acked = Some(seq);
            wishes.resume = true;
        });
    }

    /// The access token was renewed: the server is told, so that the stream outlives the old one.
    pub fn renewed(&self) {
        self.shared.wish(|wishes| wishes.renewed = true);
    }

    /// The network or the computer came back: try at once; when live, make sure that it still is.
    pub fn wake(&self) {
        self.shared.wish(|wishes| wishes.wake = true);
    }

    /// Connects anew at once, also where it is live: the way to the server is another one now.
    pub fn anew(&self) {
        self.shared.wish(|wishes| {
            wishes.anew = true;
            wishes.wake = true;
        });
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Wishes) -> T) -> T {
        act(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wish(&self, act: impl FnOnce(&mut Wishes)) {
        self.with(act);
        self.wished.notify_one();
    }
}

type Socket = WebSocketStream<reqwest::Upgraded>;

struct Worker {
    api: Arc<ApproverApi>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    backoff: Backoff,
}

/// The caller is gone.
struct Ended;

impl Worker {
    async fn run(mut self, random: impl Fn() -> f64 + Send) {
        loop {
            // What is wished from here on is not known to this try: a connection that it made is given up again.
            self.shared.with(|wishes| wishes.anew = false);
            let connected = tokio::select! {
                connected = timeout(CONNECT_LIMIT, self.connect()) => connected,
                // A try that began before the network was back may hang until its limit.
                () = self.woken() => continue,
            };
            let cause = match connected {
                Ok(Ok(socket)) => match self.live(socket).await {
                    Ok(cause) => cause,
                    Err(Ended) => return,
                },
                Ok(Err(cause)) => cause,
                Err(_) => Cause::Lost("no answer in time".to_owned()),
            };
            tracing::info!(?cause, "the stream is not live");
            let needs_caller = cause.needs_caller();
            if self
                .events
                .send(Event::Disconnected { cause })
                .await
                .is_err()
            {
                return;
            }
            let pause = self.backoff.next(random());
            let until = (!needs_caller).then(|| Instant::now() + pause);
            self.rest(until).await;
        }
    }

    /// Waits for the moment, or for a wake-up.
    async fn rest(&self, until: Option<Instant>) {
        tokio::select! {
            () = self.woken() => {}
            () = sleep_until(until) => {}
        }
    }

    /// Waits until the network or the computer is back.
    async fn woken(&self) {
        while !self.shared.with(|wishes| std::mem::take(&mut wishes.wake)) {
            self.shared.wished.notified().await;
        }
    }

    async fn connect(&self) -> Result<Socket, Cause> {
        let url = self.api.stream_url();
        let token = self.api.access_token().ok_or(Cause::Unauthorized)?;
        let proof = self.api.proof("GET", &url, Some(&token));
        let key = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            rand::random::<[u8; 16]>(),
        );
        let http = self.api.http();
        let request = http
            .client()
            .get(&url)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", &key)
            .header("sec-websocket-protocol", SUBPROTOCOL)
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        let asked_at = http.now();
        let response = request
            .send()
            .await
            .map_err(|error| cause_of(&http.unreachable(&error)))?;
        let status = response.status().as_u16();
        if status != 101 {
            let headers = response.headers().clone();
            let body = http.read(response).await.unwrap_or_default();
            return Err(match http.judge(asked_at, status, &headers, body) {
                Err(error) => cause_of(&error),
                Ok(_) => Cause::Lost("it is not a WebSocket".to_owned()),
            });
        }
        let headers = response.headers();
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
        if !is("sec-websocket-accept", &derive_accept_key(key.as_bytes()))
            || !is("sec-websocket-protocol", SUBPROTOCOL)
        {
            return Err(Cause::Lost("it is not a Countersign stream".to_owned()));
        }
        let upgraded = response
            .upgrade()
            .await
            .map_err(|error| cause_of(&http.unreachable(&error)))?;
        let mut config = WebSocketConfig::default();
        // Buffers are allocated whole and kept; frames are a few hundred bytes.
        config.read_buffer_size = 2 * 1024;
        config.write_buffer_size = 0;
        config.max_write_buffer_size = MAX_SERVER_FRAME_BYTES;
        config.max_message_size = Some(MAX_SERVER_FRAME_BYTES);
        config.max_frame_size = Some(MAX_SERVER_FRAME_BYTES);
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
    }

    /// Serves one connection until it ends.
    async fn live(&mut self, mut socket: Socket) -> Result<Cause, Ended> {
        let mut silent_until = Instant::now() + SILENCE_LIMIT;
        // The upgrade carried the newest token; what was wished for the last connection is void.
        self.shared.with(|wishes| {
            wishes.renewed = false;
            wishes.wake = false;
            wishes.tell_ack = false;
            wishes.resume = false;
        });
        loop {
            tokio::select! {
                message = socket.next() => {
                    silent_until = Instant::now() + SILENCE_LIMIT;
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            if let Err(cause) = self.frame(&mut socket, &text).await? {
                                return Ok(cause);
                            }
                        }
                        Some(Ok(Message::Close(frame))) => {
                            let code = frame.as_ref().map_or(0, |frame| u16::from(frame.code));
                            return Ok(match code {
                                close::UNAUTHORIZED => Cause::Unauthorized,
                                close::SUPERSEDED => Cause::Superseded,
                                close::REVOKED => Cause::Revoked,
                                close::SLOW => Cause::Lost("we read too slowly".to_owned()),
                                close::RESTART => Cause::Lost("the server restarts".to_owned()),
                                code => Cause::Lost(format!("the server closed it ({code})")),
                            });
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                        Some(Err(error)) => return Ok(Cause::Lost(error.to_string())),
                        None => return Ok(Cause::Lost("the connection ended".to_owned())),
                    }
                }
                () = self.shared.wished.notified() => {
                    if let Err(cause) = self.tell(&mut socket, &mut silent_until).await {
                        return Ok(cause);
                    }
                }
                () = tokio::time::sleep_until(silent_until) => {
                    return Ok(Cause::Lost("no sign of life".to_owned()));
                }
            }
        }
    }

    /// Sends what the caller wishes to be sent.
    async fn tell(&self, socket: &mut Socket, silent_until: &mut Instant) -> Result<(), Cause> {
        let (wishes, seq) = self.shared.with(|wishes| {
            let seq = wishes.acked;
            (
                std::mem::replace(
                    wishes,
                    Wishes {
                        acked: seq,
                        ..Wishes::default()
                    },
                ),
                seq,
            )
        });
        if wishes.anew {
            // For the rest that follows: it is over at once.
            self.shared.with(|wishes| wishes.wake = true);
            return Err(Cause::Lost("the way to the server changed".to_owned()));
        }
        if wishes.renewed
            && let Some(access_token) = self.api.access_token()
        {
            let dpop = self
                .api
                .proof("GET", &self.api.stream_url(), Some(&access_token));
            send(socket, &ClientFrame::Auth { access_token, dpop }).await?;
        }
        if let Some(seq) = seq {
            if wishes.resume {
                send(socket, &ClientFrame::Resume { seq }).await?;
            } else if wishes.tell_ack {
                send(socket, &ClientFrame::Ack { seq }).await?;
            }
        }
        if wishes.wake {
            *silent_until = (*silent_until).min(Instant::now() + WAKE_LIMIT);
            socket
                .send(Message::Ping(Vec::new().into()))
                .await
                .map_err(|error| Cause::Lost(error.to_string()))?;
        }
        Ok(())
    }

    /// Deals with one frame. The inner error ends the connection.
    async fn frame(&mut self, socket: &mut Socket, text: &str) -> Result<Result<(), Cause>, Ended> {
        let Some(event) = read(text) else {
            return Ok(Err(Cause::Lost(
                "the server sent something unreadable".to_owned(),
            )));
        };
        let event = match event {
            Read::Hello { seq } => {
                self.backoff.reset();
                let resumed = self.shared.with(|wishes| wishes.acked);
                if let Some(seq) = resumed
                    && let Err(cause) = send(socket, &ClientFrame::Resume { seq }).await
                {
                    return Ok(Err(cause));
                }
                Event::Connected { seq, resumed }
            }
            Read::Alive => return Ok(Ok(())),
            Read::Event(event) => event,
        };
        self.events.send(event).await.map_err(|_| Ended)?;
        Ok(Ok(()))
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn send(socket: &mut Socket, frame: &ClientFrame) -> Result<(), Cause> {
    let text = serde_json::to_string(frame).map_err(|error| Cause::Lost(error.to_string()))?;
    socket
        .send(Message::Text(text.into()))
        .await
        .map_err(|error| Cause::Lost(error.to_string()))
}
