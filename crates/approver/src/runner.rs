//! What keeps a session up to date: the access token, the stream, and the requests that it hints at.
//!
//! The stream is a hint: each event leads to reading the request by REST, and nothing is acknowledged before
//! it was dealt with. When a reading fails, the whole list is read again later instead.

use std::sync::Arc;
use std::time::Duration;

use countersign_api::http::ClaimsRequest;
use countersign_api::ipc::{Connection, Problem, ProblemCode};
use countersign_client::stream::{Cause, Change, Event as Frame, Stream};
use countersign_client::{ApiError, Backoff};
use countersign_model::Txn;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::binding::resume;
use crate::filling::{Ahead, fill};
use crate::inner::{Inner, When};
use crate::kept::{ACCOUNT, Account, Secrets};
use crate::keys::KeyStoreError;
use crate::problem::{of_api, problem};
use crate::session::{Over, Session, SessionError};
use crate::state::Event;

/// Between two looks at a keyring that is missing or does not work.
const KEYRING_PAUSE: Duration = Duration::from_secs(15);
/// A keyring that takes longer asks the person something.
const KEYRING_PATIENCE: Duration = Duration::from_secs(1);

/// Between two renewals of an access token that the stream did not take.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

/// Goes on with what an earlier run left.
pub(crate) async fn from_the_start(inner: Arc<Inner>) {
    if let Some(session) = resume(&inner.hands, &inner.folder).await {
        let session = Arc::new(session);
        inner.enter(&session);
        return keep(inner, session).await;
    }
    let Some(account) = inner.folder.read(ACCOUNT).and_then(Account::read) else {
        return;
    };
    loop {
        match keys_of(&inner).await {
            Ok(secrets) => {
                let secrets = secrets.and_then(|bytes| Secrets::from_bytes(&bytes));
                let Some(secrets) = secrets.filter(|secrets| secrets.binding() == account.binding)
                else {
                    // A keyring that was never set up answers so too: nothing is deleted on that alone.
                    inner.change(|state| {
                        state.troubles = vec![problem(
                            ProblemCode::Keyring,
                            "The keyring does not hold this device's keys. If it is the wrong keyring, open the right one, then try again; else sign in again.",
                        )];
                    });
                    inner.wake.notified().await;
                    continue;
                };
                let hands = &inner.hands;
                match Session::new(account, secrets, Arc::clone(&hands.clock), &hands.route) {
                    Ok(session) => {
                        let session = Arc::new(session);
                        inner.enter(&session);
                        return keep(inner, session).await;
                    }
                    Err(trouble) => return inner.change(|state| state.troubles = vec![trouble]),
                }
            }
            Err(error) => {
                let again = inner.again.notified();
                keyring_trouble(&inner, &error);
                match error {
                    // Asked again it shows its dialog again: not before the person wants that, whatever else wakes up.
                    KeyStoreError::Locked(_) => again.await,
                    KeyStoreError::Missing(_) | KeyStoreError::Failed(_) => {
                        pause(&inner, KEYRING_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// The secrets in use. As long as a dialog is open it is said, and waited for: nothing else can be done without them.
async fn keys_of(inner: &Inner) -> Result<Option<Vec<u8>>, KeyStoreError> {
    let keys = Arc::clone(&inner.hands.keys);
    let mut asked = tokio::task::spawn_blocking(move || keys.get(ACCOUNT));
    let answer = match tokio::time::timeout(KEYRING_PATIENCE, &mut asked).await {
        Ok(answer) => answer,
        Err(_) => {
            inner.change(|state| {
                state.troubles = vec![problem(
                    ProblemCode::Keyring,
                    "The keyring has not given this device's keys yet. Where it asks for its password, answer its dialog.",
                )];
            });
            asked.await
        }
    };
    answer.unwrap_or_else(|_| {
        let sentence = "The place for keys failed. Try again.";
        Err(KeyStoreError::Failed(sentence.to_owned()))
    })
}

fn keyring_trouble(inner: &Inner, error: &KeyStoreError) {
    tracing::warn!("the keys of this device cannot be read: {error}");
    inner.change(|state| {
        state.troubles = vec![problem(ProblemCode::Keyring, error.to_string())];
    });
}

async fn pause(inner: &Inner, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = inner.wake.notified() => {}
    }
}

/// Keeps a session up to date until it ends.
pub(crate) async fn keep(inner: Arc<Inner>, session: Arc<Session>) {
    let mut backoff = Backoff::default();
    while session.renew_at().is_none() {
        match session.renew().await {
            Ok(()) => {}
            Err(SessionError::NotNow(error)) => {
                not_connected(&inner, Some(of_api(&error)));
                pause(&inner, backoff.next(rand::random())).await;
            }
            Err(SessionError::Over(why)) => return over(&inner, &session, why).await,
        }
    }
    let (stream, frames) = Stream::start(Arc::clone(&session.api), None, rand::random::<f64>);
    session.set_stream(stream);
    let (ahead, waiting) = Ahead::new();
    session.set_filling(ahead);
    let filling = tokio::spawn(fill(Arc::clone(&inner), Arc::clone(&session), waiting));
    let _ends_with_this = AbortOnDrop(filling.abort_handle());
    let mut keeper = Keeper {
        inner,
        session,
        backoff: Backoff::default(),
        list_at: None,
        renewed_at: None,
        unauthorized: false,
    };
    let why = keeper.run(frames).await;
    over(&keeper.inner, &keeper.session, why).await;
}

async fn over(inner: &Inner, session: &Session, why: Over) {
    let Over { sentence, revoked } = why;
    tracing::info!(revoked, "the session is over");
    if revoked {
        inner.forget_history(session).await;
    }
    if let Err(trouble) = inner
        .forget(Some(problem(ProblemCode::SignedOut, sentence)))
        .await
    {
        inner.change(|state| state.troubles.push(trouble));
    }
}

fn not_connected(inner: &Inner, trouble: Option<Problem>) {
    inner.change(|state| {
        if state.connection == Connection::Connected {
            state.connection = Connection::Reconnecting;
        }
        state.troubles = trouble.into_iter().collect();
    });
}

/// A task that ends with the one that started it.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Keeper {
    inner: Arc<Inner>,
    session: Arc<Session>,
    backoff: Backoff,
    /// When the list has to be read.
    list_at: Option<Instant>,
    /// When the access token was last renewed.
    renewed_at: Option<Instant>,
    /// The stream waits for a new access token.
    unauthorized: bool,
}

impl Keeper {
    /// Ends with the reason why the session is over.
    async fn run(&mut self, mut frames: mpsc::Receiver<Frame>) -> Over {
        loop {
            let next = tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) => self.frame(frame).await,
                    // The program ends and the stream's task went first. Only the server's word ends a session.
                    None => std::future::pending().await,
                },
                () = at(self.session.renew_at()) => self.renew().await,
                () = at(self.list_at) => { self.list().await; Ok(()) }
                () = self.inner.wake.notified() => self.woken().await,
                () = at(self.session.claims_due()) => { self.newer_claims().await; Ok(()) }
            };
            if let Err(why) = next {
                return why;
            }
        }
    }

    /// The network or the computer is back: what waits for its time is tried now.
    async fn woken(&mut self) -> Result<(), Over> {
        self.backoff.reset();
        if self.unauthorized {
            return self.renew().await;
        }
        if self.list_at.is_some() {
            self.list().await;
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), Over> {
        match self.session.renew().await {
            Ok(()) => {
                self.renewed_at = Some(Instant::now());
                let unauthorized = std::mem::take(&mut self.unauthorized);
                self.session.with_stream(|stream| {
                    if unauthorized {
                        stream.wake()
                    } else {
                        stream.renewed()
                    }
                });
                Ok(())
            }
            Err(SessionError::NotNow(error)) => {
                self.session.renew_later(self.backoff.next(rand::random()));
                if self.unauthorized {
                    not_connected(&self.inner, Some(of_api(&error)));
                }
                Ok(())
            }
            Err(SessionError::Over(why)) => Err(why),
        }
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), Over> {
        match frame {
            Frame::Connected { seq: _, resumed } => {
                self.backoff.reset();
                self.inner.change(|state| {
                    state.connection = Connection::Connected;
                    state.troubles.clear();
                });
                if resumed.is_none() || self.list_at.is_some() {
                    self.list().await;
                }
            }
            Frame::Disconnected { cause } => return self.disconnected(cause).await,
            Frame::Request { seq, txn, change } => self.request(seq, &txn, &change).await,
            Frame::Binding {
                seq,
                binding_id,
                added,
            } => {
                if added && binding_id != self.session.binding().to_string() {
                    self.inner.tell(Event::DeviceAdded { binding_id });
                }
                self.dealt_with(seq);
            }
            Frame::Absence { seq } => {
                self.absence().await;
                self.dealt_with(seq);
            }
            // It may have been renewed while this was on its way.
            Frame::SessionExpiring { at } if self.session.outlives(at) => {}
            Frame::SessionExpiring { .. } => return self.renew().await,
            Frame::Reset { seq: _ } => self.list().await,
            Frame::Unknown { seq } => self.dealt_with(seq),
        }
        Ok(())
    }

    async fn disconnected(&mut self, cause: Cause) -> Result<(), Over> {
        let trouble = match cause {
            Cause::Lost(why) => {
                let server = &self.session.account.server;
                let sentence = format!(
                    "There is no connection to {server} ({why}). It is tried again by itself."
                );
                problem(ProblemCode::ServerUnreachable, sentence)
            }
            Cause::Superseded => problem(
                ProblemCode::Other,
                "Another program uses this device's session. End one of the two.",
            ),
            Cause::ClockOff(ahead_secs) => of_api(&ApiError::ClockOff { ahead_secs }),
            Cause::Revoked => {
                return Err(Over {
                    sentence: "This device was revoked. Sign in again to use it.".to_owned(),
                    revoked: true,
                });
            }
            Cause::Unauthorized => {
                self.unauthorized = true;
                if self
                    .renewed_at
                    .is_some_and(|renewed_at| renewed_at.elapsed() < RENEWAL_PAUSE)
                {
                    // A token of this moment was refused: asking for the next at once would go round in circles.
                    self.session.renew_later(RENEWAL_PAUSE);
                    return Ok(());
                }
                return self.renew().await;
            }
        };
        not_connected(&self.inner, Some(trouble));
        Ok(())
    }

    async fn request(&mut self, seq: u64, txn: &str, change: &Change) {
        let Ok(id) = Txn::parse(txn) else {
            return self.dealt_with(seq);
        };
        tracing::debug!(txn, ?change, "a request changed");
        match self.session.read(&id).await {
            Ok(item) => {
                self.inner.learned(&self.session, &item);
                self.session.keep_pins(&self.inner.folder);
                self.dealt_with(seq);
            }
            // It went away for this person meanwhile.
            Err(ApiError::NotFound { .. }) => {
                self.gone(txn);
                self.dealt_with(seq);
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "a request could not be read");
                self.list_later();
            }
        }
    }

    fn gone(&self, txn: &str) {
        if let Some(item) = self.session.remove(txn) {
            let outcome = item.row().outcome;
            self.inner.tell(Event::Closed {
                txn: txn.to_owned(),
                outcome,
                by: None,
            });
            self.inner.show_rows(&self.session);
        }
    }

    fn dealt_with(&self, seq: u64) {
        // While the list has to be read, its number acknowledges everything before it.
        if seq > 0 && self.list_at.is_none() {
            self.session.with_stream(|stream| stream.ack(seq));
        }
    }

    fn list_later(&mut self) {
        self.list_at = Some(Instant::now() + self.backoff.next(rand::random()));
    }

    /// Reads the list, and whatever is no longer on it.
    async fn list(&mut self) {
        let list = match self
            .session
            .call(|api| async move { api.list().await })
            .await
        {
            Ok(list) => list,
            Err(error) => {
                tracing::warn!(code = error.code(), "the list could not be read");
                self.inner
                    .change(|state| state.troubles = vec![of_api(&error)]);
                return self.list_later();
            }
        };
        let mut missing = self.session.txns();
        for view in list.requests {
            missing.retain(|txn| *txn != view.txn);
            let item = self.session.verify(view).await;
            self.inner.note(&self.session, &item);
        }
        self.inner.show_rows(&self.session);
        self.session.keep_pins(&self.inner.folder);
        for txn in missing {
            let Ok(id) = Txn::parse(&txn) else { continue };
            match self.session.read(&id).await {
                Ok(item) => self.inner.learned(&self.session, &item),
                Err(ApiError::NotFound { .. }) => self.gone(&txn),
                Err(error) => {
                    tracing::warn!(code = error.code(), "a request could not be read");
                    return self.list_later();
                }
            }
        }
        self.list_at = None;
        if let Some(ahead) = self.session.ahead() {
            ahead.anew();
        }
        self.inner.change(|state| {
            state.listed = true;
            if state.connection == Connection::Connected {
                state.troubles.clear();
            }
        });
        self.session.with_stream(|stream| stream.resume(list.seq));
        self.absence().await;
        // What an earlier run signed is sent beside this: the stream goes on meanwhile.
        let (inner, session) = (Arc::clone(&self.inner), Arc::clone(&self.session));
        tokio::spawn(async move { inner.take_up(&session).await });
    }

    /// Whether this person is away. That it is not known costs nothing but the word at their account.
    async fn absence(&self) {
        if !self.session.knows_absences() {
            return;
        }
        match self
            .session
            .call(|api| async move { api.absence().await })
            .await
        {
            Ok(answer) => self
                .inner
                .show_absence(&self.session, answer.absence.as_ref()),
            Err(error) => tracing::warn!(code = error.code(), "the absence could not be read"),
        }
    }

    /// Approvals of this person are open that count only with newer claims.
    async fn newer_claims(&self) {
        let fresh = self.inner.fresh_claims(&self.session, 0, When::Now).await;
        let token = match fresh {
            Ok(Some(token)) => token,
            Ok(None) => return self.session.claims_given_up(),
            Err(trouble) if trouble.code == ProblemCode::SignedOut => {
                tracing::info!(
                    "claims get no newer without a sign-in: {}",
                    trouble.sentence
                );
                return self.session.claims_given_up();
            }
            Err(trouble) => {
                tracing::warn!("claims are not made newer: {}", trouble.sentence);
                return self.session.claims_later();
            }
        };
        let request = &ClaimsRequest {
            claims_token: token,
        };
        match self
            .session
            .call(|api| async move { api.claims(request).await })
            .await
        {
            Ok(()) => self.session.claims_sent(),
            Err(error) => {
                tracing::warn!(code = error.code(), "newer claims are not sent");
                self.session.claims_later();
            }
        }
    }
}

pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
