//! One socket: a cursor over the events, as fast as its reader takes them. There is no queue to overflow: what
//! was not sent yet stays in the store.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use countersign_api::stream::{ClientFrame, PING_SECS, ServerBody, ServerFrame, close};
use countersign_model::{Digest, Subject, UnixSecs};
use countersign_store::StoreError;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::Instant;

use super::{Place, Pulse};
use crate::app::App;
use crate::app::about::{About, Viewer, may_see};
use crate::app::token::Approver;
use crate::feed::Item;

/// A frame that its reader does not take for so long closes the socket as slow.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// Frames that may be unacknowledged.
const MAX_UNACKED: u64 = 2_000;
/// Events read from the store at once.
const BATCH: usize = 64;
/// `session.expiring` is sent so long before the token's end.
const EXPIRING_SECS: i64 = 120;
/// The stream's path: DPoP proofs of `auth` frames name it.
pub(crate) const PATH: &str = "/approver/v1/stream";

/// Why a socket closes.
enum End {
    /// With this code.
    Code(u16),
    /// The other side is gone.
    Gone,
}

/// All that is kept of who is signed in: of sockets there are thousands.
struct Whose {
    binding: Digest,
    person: Subject,
    token_until: UnixSecs,
}

impl From<Approver> for Whose {
    fn from(approver: Approver) -> Whose {
        let Approver {
            binding,
            token_until,
        } = approver;
        Whose {
            binding: binding.id,
            person: binding.person,
            token_until,
        }
    }
}

struct Socket<'a> {
    app: &'a Arc<App>,
    sink: SplitSink<WebSocket, Message>,
    whose: Whose,
    /// The last event that was sent or passed over.
    cursor: u64,
    unacked: u64,
    told_expiring: bool,
}

/// Serves a socket until it ends.
pub(crate) async fn run(app: Arc<App>, approver: Approver, socket: WebSocket) {
    let (sink, source) = socket.split();
    // The store's own number: what was published before is the list's, not this stream's, to tell.
    let cursor = match app.store.event_range().await {
        Ok((_, newest)) => newest,
        Err(error) => {
            tracing::error!(%error, "events cannot be read for a stream");
            return;
        }
    };
    let place = {
        let binding = &approver.binding;
        app.sockets
            .enter(&binding.session_jkt, &binding.person, binding.id)
    };
    let mut socket = Socket {
        app: &app,
        sink,
        whose: Whose::from(approver),
        cursor,
        unacked: 0,
        told_expiring: false,
    };
    let Some(place) = place else {
        socket.close(close::SLOW).await;
        return;
    };
    let end = socket.serve(source, place).await;
    match end {
        End::Code(code) => socket.close(code).await,
        End::Gone => {}
    }
}

impl Socket<'_> {
    async fn serve(&mut self, mut source: SplitStream<WebSocket>, mut place: Place<'_>) -> End {
        let hello = ServerBody::Hello {
            seq: self.cursor,
            time: self.app.now().0,
        };
        // Whoever was revoked before the socket had its place was not told there.
        if let Err(end) = self.viewer().await {
            return end;
        }
        if let Err(end) = self.send(0, hello).await {
            return end;
        }
        let mut feed = self.app.feed.comes();
        let period = Duration::from_secs(PING_SECS);
        let mut ping = tokio::time::interval_at(Instant::now() + period, period);
        loop {
            // First the clock, then what is new, then whatever happens next.
            if let Err(end) = self.look_at_clock().await {
                return end;
            }
            if let Err(end) = self.pump().await {
                return end;
            }
            let result = tokio::select! {
                changed = feed.changed() => match changed {
                    Ok(()) => Ok(()),
                    Err(_) => Err(End::Code(close::RESTART)),
                },
                frame = source.next() => match frame {
                    Some(Ok(message)) => self.receive(message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                _ = ping.tick() => self.send(0, ServerBody::Ping {}).await,
                () = tokio::time::sleep(self.until_clock_matters()) => Ok(()),
                _ = place.close.changed() => {
                    let code = *place.close.borrow();
                    Err(End::Code(code.unwrap_or(close::UNAUTHORIZED)))
                }
                changed = place.pulse.changed() => {
                    let pulse = *place.pulse.borrow_and_update();
                    match (changed, pulse) {
                        (Ok(()), Pulse::Tick(_)) => Ok(()),
                        (Ok(()), Pulse::Stop) | (Err(_), _) => Err(End::Code(close::RESTART)),
                    }
                }
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// The token's end closes; shortly before it, the client is told.
    async fn look_at_clock(&mut self) -> Result<(), End> {
        let left = self.whose.token_until - self.app.now();
        if left <= 0 {
            return Err(End::Code(close::UNAUTHORIZED));
        }
        if left <= EXPIRING_SECS && !self.told_expiring {
            self.told_expiring = true;
            return self
                .send(
                    0,
                    ServerBody::SessionExpiring {
                        at: self.whose.token_until.0,
                    },
                )
                .await;
        }
        Ok(())
    }

    fn until_clock_matters(&self) -> Duration {
        let left = self.whose.token_until - self.app.now();
        let wait = if self.told_expiring {
            left
        } else {
            left - EXPIRING_SECS
        };
        Duration::from_secs(u64::try_from(wait.max(1)).unwrap_or(1))
    }

    /// Sends what is new and theirs to see.
    async fn pump(&mut self) -> Result<(), End> {
        while self.cursor < self.app.feed.newest() {
            let items = match self.app.feed.after(self.cursor) {
                Some(items) => items,
                None => self.read_back().await?,
            };
            if items.is_empty() {
                return Ok(());
            }
            let is_theirs = |item: &Arc<Item>| match &item.event.person {
                Some(person) => *person == self.whose.person,
                None => item.about.is_some(),
            };
            let viewer = if items.iter().any(is_theirs) {
                Some(self.viewer().await?)
            } else {
                None
            };
            for item in items {
                if viewer.as_ref().is_some_and(|it| self.may_hear(it, &item))
                    && let Some(frame) = &item.frame
                {
                    self.send_text(frame.clone()).await?;
                    self.unacked += 1;
                    if self.unacked > MAX_UNACKED {
                        return Err(End::Code(close::SLOW));
                    }
                }
                self.cursor = item.event.seq;
            }
        }
        Ok(())
    }

    fn may_hear(&self, viewer: &Viewer, item: &Item) -> bool {
        if let Some(person) = &item.event.person {
            return *person == viewer.voter.subject;
        }
        let policy = self.app.policy();
        let see = |about: &Arc<About>| may_see(&*policy, viewer, about);
        item.about.as_ref().is_some_and(see)
    }

    /// Older events than the feed keeps.
    async fn read_back(&mut self) -> Result<Vec<Arc<Item>>, End> {
        let failed = |error: StoreError| {
            tracing::error!(%error, "events cannot be read for a stream");
            End::Code(close::RESTART)
        };
        let store = &*self.app.store;
        let events = store.events_after(self.cursor, BATCH).await;
        let mut items = Vec::new();
        for event in events.map_err(failed)? {
            let item = Item::read(store, &self.app.papers, event)
                .await
                .map_err(failed)?;
            items.push(Arc::new(item));
        }
        Ok(items)
    }

    /// The person by their newest claims; a revoked binding ends the socket.
    async fn viewer(&self) -> Result<Viewer, End> {
        let binding = self
            .app
            .store
            .binding(self.whose.binding)
            .await
            .ok()
            .flatten()
            .ok_or(End::Code(close::UNAUTHORIZED))?;
        if binding.revoked_at.is_some() {
            return Err(End::Code(close::REVOKED));
        }
        let viewer = self.app.viewer(&binding).await;
        viewer.map_err(|_| End::Code(close::UNAUTHORIZED))
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(End::Gone),
            // The library answers pings; binary frames are not of this protocol.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Binary(_) => {
                return Err(End::Code(axum::extract::ws::close_code::UNSUPPORTED));
            }
        };
        let Ok(frame) = serde_json::from_str::<ClientFrame>(&text) else {
            return Err(End::Code(axum::extract::ws::close_code::POLICY));
        };
        match frame {
            ClientFrame::Resume { seq } => self.resume(seq).await,
            ClientFrame::Ack { seq } => {
                if seq <= self.cursor {
                    self.unacked = self.unacked.min(self.cursor - seq);
                }
                Ok(())
            }
            ClientFrame::Auth { access_token, dpop } => self.renew(&access_token, &dpop).await,
        }
    }

    /// From there on, where it is all still kept.
    async fn resume(&mut self, seq: u64) -> Result<(), End> {
        let range = self
            .app
            .store
            .event_range()
            .await
            .map_err(|_| End::Code(close::RESTART))?;
        let (oldest, newest) = range;
        self.unacked = 0;
        if seq > newest || seq + 1 < oldest {
            self.cursor = newest;
            return self.send(0, ServerBody::Reset { seq: self.cursor }).await;
        }
        self.cursor = seq;
        Ok(())
    }

    async fn renew(&mut self, token: &str, proof: &str) -> Result<(), End> {
        let unauthorized = End::Code(close::UNAUTHORIZED);
        let Ok(approver) = self.app.authenticate(token, proof, "GET", PATH).await else {
            return Err(unauthorized);
        };
        if approver.binding.id != self.whose.binding {
            return Err(unauthorized);
        }
        self.whose.token_until = approver.token_until;
        self.told_expiring = false;
        Ok(())
    }

    async fn send(&mut self, seq: u64, body: ServerBody) -> Result<(), End> {
        let frame = ServerFrame { v: 1, seq, body };
        let Ok(text) = serde_json::to_string(&frame) else {
            return Err(End::Code(close::RESTART));
        };
        self.send_text(text.into()).await
    }

    async fn send_text(&mut self, text: Utf8Bytes) -> Result<(), End> {
        match tokio::time::timeout(SEND_LIMIT, self.sink.send(Message::Text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Code(close::SLOW)),
        }
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        // Whoever is gone needs no goodbye.
        let _ = tokio::time::timeout(SEND_LIMIT, self.sink.send(Message::Close(Some(frame)))).await;
        let _ = tokio::time::timeout(SEND_LIMIT, self.sink.flush()).await;
    }
}
