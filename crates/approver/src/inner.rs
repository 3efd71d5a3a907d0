//! What all handles and tasks of one program share: the session in use, the state, and how both change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign_api::http::RequestState;
use countersign_api::ipc::{Connection, Problem, ProblemCode};
use tokio::sync::{Notify, broadcast, watch};

use crate::approver::Options;
use crate::at_the_key::PinSlot;
use crate::binding::Hands;
use crate::claims::Source;
use crate::confirming::Confirming;
use crate::item::Item;
use crate::kept::{ACCOUNT, Folder, Secrets};
use crate::kept_vote::KeptVote;
use crate::keys::with_store;
use crate::problem::problem;
use crate::runner;
use crate::security_key::KeptKey;
use crate::session::{Session, lock};
use crate::state::{Event, LastServer, State};

pub(crate) struct Inner {
    pub(crate) hands: Hands,
    pub(crate) folder: Folder,
    pub(crate) state: watch::Sender<Arc<State>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) wake: Notify,
    /// The person wants it tried again.
    pub(crate) again: Notify,
    pub(crate) session: Mutex<Option<Arc<Session>>>,
    pub(crate) running: Mutex<Option<tokio::task::JoinHandle<()>>>,
    pub(crate) signing_in: tokio::sync::Mutex<()>,
    pub(crate) give_up: Notify,
    /// The program ends soon: nothing is begun ahead any more.
    pub(crate) settling: AtomicBool,
    pub(crate) options: Options,
    /// Votes that were signed and whose answer has not come.
    pub(crate) unanswered: Mutex<HashMap<String, KeptVote>>,
    /// Votes that are being confirmed, or could not be.
    pub(crate) confirming: Mutex<HashMap<String, Confirming>>,
    /// One vote at a time on one device: two clicks are one vote.
    pub(crate) voting: tokio::sync::Mutex<()>,
    /// Where a security key's PIN goes.
    pub(crate) pin_slot: Arc<PinSlot>,
}

/// When claims are made newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// For a vote.
    Now,
    /// While a card is read, so that the vote need not wait.
    Ahead,
}

impl Inner {
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    pub(crate) fn connection(&self) -> Connection {
        self.state.borrow().connection
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|shared| {
            let mut state = State::clone(shared);
            change(&mut state);
            // One place says how the stream is; the account repeats it for those who look at several.
            if let Some(account) = &mut state.account {
                account.connection = state.connection;
            }
            state.accounts = state.account.iter().cloned().collect();
            let changed = state != **shared;
            if changed {
                *shared = Arc::new(state);
            }
            changed
        });
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Takes a session into use, and starts what keeps it up to date.
    pub(crate) fn run(self: &Arc<Self>, session: Session) {
        let session = Arc::new(session);
        self.enter(&session);
        let task = tokio::spawn(runner::keep(Arc::clone(self), session));
        if let Some(before) = lock(&self.running).replace(task) {
            before.abort();
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, session: &Arc<Session>) {
        session.belongs_to(self);
        *lock(&self.session) = Some(Arc::clone(session));
        self.restore_votes(session);
        let security_keys = self.options.security_key.as_ref().map(|_| {
            let ring = self.folder.key_ring();
            let keys = ring.iter().flat_map(|ring| ring.keys());
            keys.filter_map(KeptKey::on_show).collect()
        });
        let account = session.on_show(self.hands.keys.describe(), security_keys);
        self.change(|state| {
            state.last = Some(LastServer {
                server: account.server.clone(),
                issuer: account.issuer.clone(),
            });
            *state = State {
                account: Some(account),
                connection: Connection::Connecting,
                last: state.last.take(),
                ..State::default()
            };
        });
    }

    /// Puts what was learned about a request where it belongs, and tells.
    pub(crate) fn learned(&self, session: &Session, item: &Arc<Item>) {
        self.note(session, item);
        self.show_rows(session);
    }

    /// The same, but for the rows: for many at once.
    pub(crate) fn note(&self, session: &Session, item: &Arc<Item>) {
        let txn = item.txn.clone();
        session.note_release(item);
        if item.state != RequestState::Pending
            && let Some(ahead) = session.ahead()
        {
            ahead.keep(Arc::clone(item));
        }
        if item.state == RequestState::Pending {
            match session.put(Arc::clone(item)) {
                None if item.is_for_me() => self.tell(Event::Arrived { txn }),
                Some(before) if !before.looks_like(item) => self.tell(Event::Changed { txn }),
                None | Some(_) => {}
            }
        } else {
            self.over(session, txn, item);
        }
    }

    /// A request that nobody votes on any more.
    fn over(&self, session: &Session, txn: String, item: &Item) {
        self.give_up_vote(&txn);
        self.forget_vote(&txn);
        if session.remove(&txn).is_some() {
            let row = item.row();
            self.tell(Event::Closed {
                txn,
                outcome: row.outcome,
                by: row.ended_by.or_else(|| item.completed_by()),
            });
        } else {
            self.tell(Event::Changed { txn });
        }
    }

    pub(crate) fn show_rows(&self, session: &Session) {
        let (inbox, others) = session.rows();
        self.change(|state| {
            state.inbox = inbox;
            state.others = others;
        });
    }

    /// Claims that are fresh enough for a vote: the newest token, where it is not the sign-in's own.
    ///
    /// A task of its own: whoever asked may go away, and a provider that has just made a new refresh token takes
    /// the old one no more, so the new one must still be kept.
    pub(crate) async fn fresh_claims(
        self: &Arc<Self>,
        session: &Arc<Session>,
        fresh_secs: u32,
        when: When,
    ) -> Result<Option<String>, Problem> {
        let (inner, session) = (Arc::clone(self), Arc::clone(session));
        let task = tokio::spawn(async move { inner.freshen(&session, fresh_secs, when).await });
        task.await.unwrap_or_else(|_| {
            let sentence =
                "What your identity provider says about you could not be read anew. Try again.";
            Err(problem(ProblemCode::Other, sentence))
        })
    }

    async fn freshen(
        &self,
        session: &Arc<Session>,
        fresh_secs: u32,
        when: When,
    ) -> Result<Option<String>, Problem> {
        let mut claims = session.claims.lock().await;
        let in_use = self
            .session()
            .is_some_and(|in_use| Arc::ptr_eq(&in_use, session));
        if !in_use || (when == When::Ahead && self.settling.load(Ordering::SeqCst)) {
            return Ok(None);
        }
        let source = Source {
            provider: &session.provider,
            config: &session.config,
            nonce: &session.nonce,
            bound: session.bound(),
            sub: &session.account.subject.sub,
            name: &session.account.file.provider.name,
        };
        let had = claims.refresh_token.clone();
        let freshened = claims.freshen(&source, fresh_secs, session.now()).await;
        if claims.refresh_token != had {
            // CRASH: the provider may have used up the old one; then claims need a sign-in, nothing else.
            let secrets = Secrets {
                refresh_token: claims.refresh_token.clone(),
                ..session.secrets.clone()
            };
            let kept = secrets.to_bytes();
            if let Err(error) =
                with_store(&self.hands.keys, move |store| store.set(ACCOUNT, &kept)).await
            {
                tracing::warn!("the new refresh token was not kept: {error}");
            }
        }
        session.claims_iat.store(claims.iat.0, Ordering::Relaxed);
        freshened?;
        Ok(claims.token.clone())
    }

    /// Waits for what must not be cut off.
    pub(crate) async fn settle(&self) {
        self.settling.store(true, Ordering::SeqCst);
        if let Some(session) = self.session() {
            drop(session.claims.lock().await);
        }
    }

    /// Ends the session here: keys are deleted, the program is signed out.
    pub(crate) async fn forget(&self, why: Option<Problem>) -> Result<(), Problem> {
        let session = lock(&self.session).take();
        let kept: Vec<String> = lock(&self.unanswered)
            .drain()
            .map(|(txn, _)| txn)
            .chain(lock(&self.confirming).drain().map(|(txn, _)| txn))
            .collect();
        for txn in kept {
            // Its key goes: nobody can send it any more.
            self.folder.forget_vote(&txn);
        }
        self.change(|state| {
            *state = State {
                last: state.last.take(),
                troubles: why.into_iter().collect(),
                ..State::default()
            };
        });
        // A refresh that is under way would put the keys back.
        let claims = match &session {
            Some(session) => Some(session.claims.lock().await),
            None => None,
        };
        let file = self.folder.delete(ACCOUNT);
        let deleted = with_store(&self.hands.keys, |store| store.delete(ACCOUNT)).await;
        drop(claims);
        // Last, because this may be called from the very task that is stopped.
        self.stop();
        file.map_err(|error| {
            problem(
                ProblemCode::Other,
                format!("The account's file could not be deleted: {error}."),
            )
        })?;
        Ok(deleted?)
    }

    /// The history of a session that is signed out is no longer here.
    pub(crate) async fn forget_history(&self, session: &Session) {
        let Some(home) = &self.options.history else {
            return;
        };
        let (archive, account) = (&home.archive, &session.account.id);
        // It may be of an earlier run, and not have been looked at in this one.
        let known = archive.keep(account, &home.file(account));
        let forgotten = match known {
            Ok(()) => archive.forget(account).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!(code = error.code(), "the history is left: {error}");
        }
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = lock(&self.running).take() {
            task.abort();
        }
    }
}
