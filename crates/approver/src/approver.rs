//! The handle that programs hold: every call of a window, as a method.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use countersign_api::http::{self, RequestState, VoteRequest};
use countersign_api::ipc::{
    Card, Choice, Connection, Device, HistoryPage, HistoryQuery, Outcome, Problem, ProblemCode,
    Provider, ServerInfo, SignIn, VerifyReport,
};
use countersign_client::ApiError;
use countersign_display::Role;
use countersign_evidence::Evidence;
use countersign_evidence::verify::{Trust, TrustedOp};
use countersign_model::{Clock, Digest, Txn};
use countersign_oidc::{Opener, Progress};
use tokio::sync::{Notify, broadcast, watch};

use crate::binding::{Hands, bind, forget_pending, look_up};
use crate::claims::{Changed, Source};
use crate::item::{Item, ended};
use crate::kept::{ACCOUNT, Folder, Secrets, write_whole};
use crate::keys::{KeyStore, with_store};
use crate::past;
use crate::problem::{of_api, problem, signed_out};
use crate::runner;
use crate::session::{Session, lock};
use crate::state::{Event, LastServer, State};
use crate::vote::{Unanswered, Wish, check, refused, sign};
use crate::wire;

/// Events that wait for a slow listener.
const EVENTS: usize = 256;
/// How often a vote is sent when its answer is lost, before the person is told.
const VOTE_TRIES: u32 = 3;
/// The longest evidence file that is written, in bytes.
const MAX_EVIDENCE_BYTES: usize = 4 * 1024 * 1024;

/// What a program gives.
pub struct Deps {
    /// Where secrets live.
    pub keys: Arc<dyn KeyStore>,
    /// Opens the system browser.
    pub opener: Arc<dyn Opener>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the rest is kept; made if it is not there, for its owner only. One program at a time.
    pub data_dir: PathBuf,
    /// What this device calls itself, shown to its owner only.
    pub device_name: String,
}

/// It could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder cannot be used.
    #[error("the folder {} cannot be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// An approver's program without a desktop. Clones are the same one; the last one to go ends it.
#[derive(Clone)]
pub struct Approver {
    inner: Arc<Inner>,
    _end: Arc<End>,
}

pub(crate) struct Inner {
    pub(crate) hands: Hands,
    pub(crate) folder: Folder,
    pub(crate) state: watch::Sender<Arc<State>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) wake: Notify,
    session: Mutex<Option<Arc<Session>>>,
    running: Mutex<Option<tokio::task::JoinHandle<()>>>,
    signing_in: tokio::sync::Mutex<()>,
    give_up: Notify,
    unanswered: Mutex<HashMap<String, Unanswered>>,
    /// One vote at a time on one device: two clicks are one vote.
    voting: tokio::sync::Mutex<()>,
}

/// Ends the tasks when the last handle goes; the tasks themselves hold `Inner`.
struct End(Arc<Inner>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Approver {
    /// Starts, inside a tokio runtime. A session of an earlier run goes on.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn start(deps: Deps) -> Result<Self, StartError> {
        let Deps {
            keys,
            opener,
            clock,
            data_dir,
            device_name,
        } = deps;
        let folder = Folder::open(&data_dir).map_err(|source| StartError::Folder {
            path: data_dir,
            source,
        })?;
        let last = folder.read(ACCOUNT).map(|file| LastServer {
            server: file.server,
            issuer: file.provider.issuer,
        });
        let inner = Arc::new(Inner {
            hands: Hands {
                keys,
                opener,
                clock,
                device_name,
            },
            folder,
            state: watch::Sender::new(Arc::new(State {
                last,
                ..State::default()
            })),
            events: broadcast::Sender::new(EVENTS),
            wake: Notify::new(),
            session: Mutex::default(),
            running: Mutex::default(),
            signing_in: tokio::sync::Mutex::default(),
            give_up: Notify::new(),
            unanswered: Mutex::default(),
            voting: tokio::sync::Mutex::default(),
        });
        let task = tokio::spawn(runner::from_the_start(Arc::clone(&inner)));
        *lock(&inner.running) = Some(task);
        Ok(Self {
            _end: Arc::new(End(Arc::clone(&inner))),
            inner,
        })
    }

    /// The state, now and whenever it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.inner.state.subscribe()
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// The network or the computer came back.
    pub fn wake(&self) {
        self.inner.wake.notify_waiters();
        if let Some(session) = self.inner.session() {
            session.with_stream(countersign_client::stream::Stream::wake);
        }
    }

    /// Reads a server's self-description, from an address as a person types it.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn look_up_server(&self, address: &str) -> Result<ServerInfo, Problem> {
        let (_, known) = look_up(address, &self.inner.hands.clock).await?;
        let providers = known.providers.into_iter().map(|given| Provider {
            issuer: given.issuer,
            name: given.name,
        });
        Ok(ServerInfo {
            server: known.server,
            providers: providers.collect(),
        })
    }

    /// Signs in by the system browser. Ends when that is done or failed, which may take minutes: progress is in
    /// the state. One at a time.
    ///
    /// # Errors
    /// As the state's `sign_in` says too.
    pub async fn sign_in(&self, server: &str, issuer: &str) -> Result<(), Problem> {
        let inner = &self.inner;
        let Ok(_turn) = inner.signing_in.try_lock() else {
            return Err(problem(
                ProblemCode::Other,
                "A sign-in is under way. End it in the browser, or give it up first.",
            ));
        };
        let tell = |progress: Progress, provider_name: &str| {
            inner.change(|state| match progress {
                Progress::Waiting { url, browser } => {
                    state.sign_in = SignIn::WaitingForBrowser {
                        provider_name: provider_name.to_owned(),
                        url: url.to_string(),
                    };
                    state
                        .troubles
                        .retain(|trouble| trouble.code != ProblemCode::Other);
                    if let Err(why) = browser {
                        state.troubles.push(problem(
                            ProblemCode::Other,
                            format!(
                                "The browser could not be opened ({why}). Open the address by hand."
                            ),
                        ));
                    }
                }
                Progress::Answered => state.sign_in = SignIn::Binding,
            });
        };
        let bound = tokio::select! {
            bound = bind(&inner.hands, &inner.folder, server, issuer, &tell) => bound,
            () = inner.give_up.notified() => {
                forget_pending(&inner.hands, &inner.folder).await;
                inner.change(|state| state.sign_in = SignIn::Idle);
                return Err(problem(ProblemCode::Other, "The sign-in was given up."));
            }
        };
        match bound {
            Ok(session) => {
                inner.stop();
                inner.run(session);
                inner.tell(Event::SignedIn);
                Ok(())
            }
            Err(failed) => {
                inner.change(|state| {
                    state.sign_in = SignIn::Failed {
                        problem: failed.clone(),
                    }
                });
                Err(failed)
            }
        }
    }

    /// Gives up a sign-in that is under way.
    pub fn cancel_sign_in(&self) {
        if self.inner.signing_in.try_lock().is_err() {
            self.inner.give_up.notify_waiters();
        } else {
            self.inner.change(|state| state.sign_in = SignIn::Idle);
        }
    }

    /// Signs out: the binding is revoked at the server, the keys are deleted here.
    ///
    /// # Errors
    /// When the server could not be told, or the keys may still be there. This device is signed out all the same.
    pub async fn sign_out(&self) -> Result<(), Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let binding = session.binding();
        let told = session
            .call(|api| async move { api.revoke_binding(binding).await })
            .await;
        self.inner.forget(None).await?;
        match told {
            Ok(()) | Err(ApiError::NotFound { .. } | ApiError::Unauthorized { .. }) => Ok(()),
            Err(error) => Err(problem(
                of_api(&error).code,
                "You are signed out here, but the server could not be told. Revoke this device from another one, or it ends by itself with its session.",
            )),
        }
    }

    /// The card of a request: an open one from memory, a closed one from the server. The card that was given
    /// last is the one that can be voted on.
    ///
    /// # Errors
    /// [`ProblemCode::NotGenuine`] when it does not verify; [`ProblemCode::NotFound`].
    pub async fn card(&self, txn: &str) -> Result<Card, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let item = match session.item(txn) {
            Some(item) => item,
            None => session
                .read(&parse(txn)?)
                .await
                .map_err(|error| of_api(&error))?,
        };
        if item.is_for_me()
            && let Ok(genuine) = item.genuine()
        {
            // By the time the person has read it, the claims that the vote needs are there.
            let fresh_secs = genuine.open.request().requirement.fresh_claims_secs;
            let (inner, session) = (Arc::clone(&self.inner), Arc::clone(&session));
            tokio::spawn(async move {
                if let Err(trouble) = inner.fresh_claims(&session, fresh_secs).await {
                    tracing::info!(
                        "claims are not made newer ahead of a vote: {}",
                        trouble.sentence
                    );
                }
            });
        }
        session.card(&item, self.inner.connection())
    }

    /// Votes. What is signed is what was shown: the request is read again, and nothing is signed when it differs.
    ///
    /// # Errors
    /// In plain words; nothing changed, or the answer was lost: then the same vote again is safe.
    pub async fn vote(
        &self,
        txn: &str,
        choice: Choice,
        reason: Option<String>,
        words: Option<Vec<String>>,
        display_digest: String,
    ) -> Result<Card, Problem> {
        let inner = &self.inner;
        let session = inner.session().ok_or_else(signed_out)?;
        let id = parse(txn)?;
        let _voting = inner.voting.lock().await;
        let wish = Wish {
            choice,
            reason,
            words,
            display_digest,
        };
        let before = lock(&inner.unanswered)
            .get(txn)
            .filter(|unanswered| unanswered.wish == wish)
            .cloned();
        let request = match before {
            Some(unanswered) => unanswered.request,
            None => self.signed(&session, &id, &wish).await?,
        };
        lock(&inner.unanswered).insert(
            txn.to_owned(),
            Unanswered {
                wish,
                request: request.clone(),
            },
        );
        let sent = send(&session, &id, &request).await;
        match &sent {
            Err(error) if error.is_transient() => {}
            Ok(_) | Err(_) => drop(lock(&inner.unanswered).remove(txn)),
        }
        let after = session.read(&id).await;
        if let Ok(item) = &after {
            inner.learned(&session, item);
        }
        sent.map_err(|error| refused(&error))?;
        let item = after.map_err(|error| of_api(&error))?;
        session.card(&item, inner.connection())
    }

    async fn signed(
        &self,
        session: &Arc<Session>,
        txn: &Txn,
        wish: &Wish,
    ) -> Result<VoteRequest, Problem> {
        let shown = session.item(txn.as_str());
        let item = session.read(txn).await.map_err(|error| of_api(&error))?;
        let (genuine, said) = check(wish, shown.as_deref(), &item, &session.account)?;
        let Some(challenge) = item.challenge.as_deref() else {
            return Err(problem(
                ProblemCode::Forbidden,
                "The server does not let you vote on this now.",
            ));
        };
        let fresh_secs = genuine.open.request().requirement.fresh_claims_secs;
        let claims_token = self.inner.fresh_claims(session, fresh_secs).await?;
        let signer = (&session.account, &session.secrets);
        let vote = sign(genuine, challenge, wish.choice, said, signer, session.now())?;
        Ok(VoteRequest { vote, claims_token })
    }

    /// A page of closed requests.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let HistoryQuery {
            text,
            outcomes,
            mine,
            cursor,
        } = query;
        let outcomes: Vec<&str> = outcomes.into_iter().map(outcome_name).collect();
        let query = http::HistoryQuery {
            q: Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            outcome: (!outcomes.is_empty()).then(|| outcomes.join(",")),
            mine: mine.then_some(true),
            cursor,
            limit: None,
        };
        let query = &query;
        let page = session
            .call(|api| async move { api.history(query).await })
            .await
            .map_err(|error| of_api(&error))?;
        let http::HistoryPage { requests, next } = page;
        let mut rows = Vec::with_capacity(requests.len());
        for view in requests {
            rows.push(session.verify(view).await.row());
        }
        Ok(HistoryPage { rows, next })
    }

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
                return Ok(past::without_grant(ended(item.state), millis()));
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
        Ok(past::report(&evidence, &trust, session.now(), millis))
    }

    /// Writes the evidence of a request to a file in this folder.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub async fn export_evidence(&self, txn: &str, folder: &Path) -> Result<PathBuf, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let id = parse(txn)?;
        let evidence = self.evidence(&session, &id).await?;
        let path = folder.join(format!("countersign-{id}.json"));
        write_whole(&path, &evidence.to_json()).map_err(|error| {
            problem(
                ProblemCode::Other,
                format!("The file {} could not be written: {error}.", path.display()),
            )
        })?;
        Ok(path)
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

    /// This person's devices, newest first.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn devices(&self) -> Result<Vec<Device>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let list = session
            .call(|api| async move { api.bindings().await })
            .await
            .map_err(|error| of_api(&error))?;
        let mine = session.binding().to_string();
        Ok(list
            .bindings
            .into_iter()
            .map(|binding| {
                let http::BindingView {
                    binding_id,
                    device_name,
                    bound_at,
                    session_ends_at,
                } = binding;
                let this_device = binding_id == mine;
                let name = wire::safe(&device_name, Role::Name);
                Device {
                    binding_id,
                    name,
                    bound_at,
                    session_ends_at,
                    this_device,
                }
            })
            .collect())
    }

    /// Revokes one device of this person; this one by signing out.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn revoke_device(&self, binding_id: &str) -> Result<Vec<Device>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let binding = Digest::parse(binding_id)
            .map_err(|_| problem(ProblemCode::NotFound, "There is no such device."))?;
        if binding == session.binding() {
            self.sign_out().await?;
            return Ok(Vec::new());
        }
        session
            .call(|api| async move { api.revoke_binding(binding).await })
            .await
            .map_err(|error| of_api(&error))?;
        self.devices().await
    }
}

/// Sends a vote, and the very same again while its answer is lost.
async fn send(
    session: &Session,
    txn: &Txn,
    request: &VoteRequest,
) -> Result<http::VoteAnswer, ApiError> {
    let mut backoff = countersign_client::Backoff::default();
    let mut tries = 0;
    loop {
        tries += 1;
        match session
            .call(|api| async move { api.vote(txn, request).await })
            .await
        {
            Err(error) if error.is_transient() && tries < VOTE_TRIES => {
                tracing::info!(code = error.code(), "the vote is sent again");
                tokio::time::sleep(backoff.next(rand::random())).await;
            }
            done => return done,
        }
    }
}

fn parse(txn: &str) -> Result<Txn, Problem> {
    Txn::parse(txn).map_err(|_| problem(ProblemCode::NotFound, "There is no such request."))
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pending => "pending",
        Outcome::Approved => "approved",
        Outcome::Redeemed => "redeemed",
        Outcome::Denied => "denied",
        Outcome::Expired => "expired",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Voided => "voided",
    }
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

    pub(crate) fn enter(&self, session: &Arc<Session>) {
        *lock(&self.session) = Some(Arc::clone(session));
        let account = session.on_show(self.hands.keys.describe());
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
        if item.state == RequestState::Pending {
            match session.put(Arc::clone(item)) {
                None if item.is_for_me() => self.tell(Event::Arrived { txn }),
                Some(before) if !before.looks_like(item) => self.tell(Event::Changed { txn }),
                None | Some(_) => {}
            }
        } else if session.remove(&txn).is_some() {
            let row = item.row();
            self.tell(Event::Closed {
                txn,
                outcome: row.outcome,
                by: row.ended_by,
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
    async fn fresh_claims(
        &self,
        session: &Session,
        fresh_secs: u32,
    ) -> Result<Option<String>, Problem> {
        let mut claims = session.claims.lock().await;
        let source = Source {
            provider: &session.provider,
            config: &session.config,
            nonce: &session.nonce,
            sub: &session.account.subject.sub,
        };
        let had = claims.refresh_token.clone();
        let freshened = claims.freshen(&source, fresh_secs, session.now()).await;
        if matches!(freshened, Ok(Changed::RefreshToken)) || claims.refresh_token != had {
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
        freshened?;
        Ok(claims.token.clone())
    }

    /// Ends the session here: keys are deleted, the program is signed out.
    pub(crate) async fn forget(&self, why: Option<Problem>) -> Result<(), Problem> {
        *lock(&self.session) = None;
        lock(&self.unanswered).clear();
        self.change(|state| {
            *state = State {
                last: state.last.take(),
                troubles: why.into_iter().collect(),
                ..State::default()
            };
        });
        let file = self.folder.delete(ACCOUNT);
        let deleted = with_store(&self.hands.keys, |store| store.delete(ACCOUNT)).await;
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

    pub(crate) fn stop(&self) {
        if let Some(task) = lock(&self.running).take() {
            task.abort();
        }
    }
}
