//! The handle that programs hold: every call of a window, as a method.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use countersign_api::http::ProviderStepUp;
use countersign_api::ipc::{Card, Pin, Problem, ProblemCode, Provider, ServerInfo, SignIn};
use countersign_client::{ApiError, Route};
use countersign_model::{Clock, Txn};
use countersign_oidc::{Opener, Progress};
use tokio::sync::{Notify, broadcast, watch};

use crate::at_the_key::HeldKey;
use crate::binding::{Hands, bind, forget_pending, look_up};
use crate::filling::HistoryHome;
use crate::inner::{Inner, When};
use crate::kept::{ACCOUNT, AccountFile, Folder};
use crate::keys::KeyStore;
use crate::problem::{of_api, problem, signed_out, under_way};
use crate::runner;
use crate::security_key::{KeyRing, Keys, SecurityKey, enroll};
use crate::session::lock;
use crate::state::{Event, LastServer, State};

/// Events that wait for a slow listener.
pub(crate) const EVENTS: usize = 256;
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

/// What a program may choose.
#[derive(Clone)]
pub struct Options {
    /// Beginnings of the scopes that it asks providers for. A server that names another scope in a requirement gets
    /// none: it must not have people consent to what an API accepts.
    pub scope_prefixes: Vec<String>,
    /// The way to a security key, where the program has one.
    pub security_key: Option<Arc<dyn SecurityKey>>,
    /// Where closed requests are kept, where they are. [`crate::Accounts`] makes a home of its own.
    pub history: Option<HistoryHome>,
    /// How servers and providers are reached. After it was changed, tell [`crate::Accounts::rerouted`].
    pub route: Route,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scope_prefixes: vec!["approve:".to_owned()],
            security_key: None,
            history: None,
            route: Route::default(),
        }
    }
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
    pub(crate) inner: Arc<Inner>,
    _end: Arc<End>,
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
        Self::start_with(deps, Options::default())
    }

    /// The same, with choices of the program's own.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn start_with(deps: Deps, options: Options) -> Result<Self, StartError> {
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
                route: options.route.clone(),
            },
            folder,
            state: watch::Sender::new(Arc::new(State {
                last,
                ..State::default()
            })),
            events: broadcast::Sender::new(EVENTS),
            wake: Notify::new(),
            again: Notify::new(),
            session: Mutex::default(),
            running: Mutex::default(),
            signing_in: tokio::sync::Mutex::default(),
            give_up: Notify::new(),
            settling: AtomicBool::new(false),
            options,
            unanswered: Mutex::default(),
            confirming: Mutex::default(),
            voting: tokio::sync::Mutex::default(),
            pin_slot: Arc::default(),
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

    /// Whether this request is among those that are open here.
    pub(crate) fn has_open(&self, txn: &str) -> bool {
        let session = self.inner.session();
        session.is_some_and(|session| session.item(txn).is_some())
    }

    /// The network or the computer came back.
    pub fn wake(&self) {
        // Kept for whoever waits next: a wake-up while a call is under way is not lost.
        self.inner.wake.notify_one();
        if let Some(session) = self.inner.session() {
            session.api.http().anew();
            session.with_stream(countersign_client::stream::Stream::wake);
        }
    }

    /// The person wants what did not work tried again, were it with a dialog.
    pub fn try_again(&self) {
        // Nothing is kept: nobody wants a dialog that somebody else has just answered.
        self.inner.again.notify_waiters();
        self.wake();
    }

    /// The keyring was opened for another account: it need not ask again.
    pub(crate) fn keyring_opened(&self) {
        if self.inner.session().is_none() {
            self.inner.again.notify_waiters();
            self.inner.wake.notify_one();
        }
    }

    /// The way to servers and providers is another one now ([`Options::route`]).
    pub fn rerouted(&self) {
        self.inner.wake.notify_one();
        if let Some(session) = self.inner.session() {
            session.api.http().anew();
            session.with_stream(countersign_client::stream::Stream::anew);
        }
    }

    /// Waits for what must not be cut off: call it before the program ends.
    pub async fn settle(&self) {
        self.inner.settle().await;
    }

    /// Reads a server's self-description, from an address as a person types it.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn look_up_server(&self, address: &str) -> Result<ServerInfo, Problem> {
        let (_, known) = look_up(address, &self.inner.hands).await?;
        let providers = known.providers.into_iter().map(|given| Provider {
            issuer: given.issuer,
            name: given.name,
            step_up: given.step_up == ProviderStepUp::Oidc,
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
        let _turn = self.turn()?;
        self.sign_in_in_turn(server, issuer, Keys::AsBefore).await
    }

    /// Enrolls the person's security key, and binds it: with a full sign-in, whose statement lists it. Progress is in
    /// the state, as of any sign-in.
    ///
    /// # Errors
    /// When there is none, or the sign-in does not end well: then the session goes on as it was.
    pub async fn add_security_key(&self) -> Result<(), Problem> {
        let inner = &self.inner;
        let session = inner.session().ok_or_else(signed_out)?;
        let Some(key) = &inner.options.security_key else {
            return Err(problem(
                ProblemCode::Other,
                "This program has no way to a security key.",
            ));
        };
        let _turn = self.turn()?;
        let shown = Arc::downgrade(inner);
        let holder = HeldKey {
            txn: None,
            slot: Arc::clone(&inner.pin_slot),
            shows: Arc::new(move |waits| {
                if let Some(inner) = shown.upgrade() {
                    inner.change(|state| state.sign_in = SignIn::WaitingForKey { waits });
                }
            }),
            gave_up: Arc::default(),
        };
        let ring = inner.folder.key_ring();
        let bound = ring.as_ref().map(KeyRing::keys).unwrap_or_default();
        let enrolled = tokio::select! {
            enrolled = enroll(key, &session.account, bound, holder) => enrolled,
            () = inner.give_up.notified() => {
                inner.change(|state| state.sign_in = SignIn::Idle);
                return Err(problem(ProblemCode::Other, "No security key was added."));
            }
        };
        let new = enrolled.inspect_err(|failed| {
            let problem = failed.clone();
            inner.change(|state| state.sign_in = SignIn::Failed { problem });
        })?;
        let AccountFile {
            server, provider, ..
        } = &session.account.file;
        self.sign_in_in_turn(server, &provider.issuer, Keys::With(new))
            .await
    }

    /// Takes this security key out of those that may confirm votes: with a full sign-in, whose statement lists it no
    /// more. Progress is in the state, as of any sign-in.
    ///
    /// # Errors
    /// When there is none of that id, or the sign-in does not end well: then the session goes on as it was.
    pub async fn remove_security_key(&self, id: &str) -> Result<(), Problem> {
        let inner = &self.inner;
        let session = inner.session().ok_or_else(signed_out)?;
        let _turn = self.turn()?;
        let ring = inner.folder.key_ring();
        let mut bound = ring.iter().flat_map(KeyRing::keys);
        if !bound.any(|key| key.id().as_deref() == Some(id)) {
            return Err(problem(
                ProblemCode::NotFound,
                "This security key is not bound to this account.",
            ));
        }
        let AccountFile {
            server, provider, ..
        } = &session.account.file;
        self.sign_in_in_turn(server, &provider.issuer, Keys::Without(id.to_owned()))
            .await
    }

    /// Hands the PIN to the security key that waits for it: for the vote on this request, or, where none is named, to
    /// be added.
    ///
    /// # Errors
    /// When none waits, or it cannot be a PIN.
    pub fn give_pin(&self, txn: Option<&str>, pin: Pin) -> Result<(), Problem> {
        self.inner.pin_slot.give(txn, pin)
    }

    fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
        self.inner.signing_in.try_lock().map_err(|_| under_way())
    }

    async fn sign_in_in_turn(&self, server: &str, issuer: &str, keys: Keys) -> Result<(), Problem> {
        let inner = &self.inner;
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
            bound = bind(&inner.hands, &inner.folder, (server, issuer), keys, &tell) => bound,
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
        self.inner.folder.forget_key_ring();
        self.inner.forget_history(&session).await;
        self.inner.forget(None).await?;
        match told {
            Ok(()) | Err(ApiError::NotFound { .. } | ApiError::Unauthorized { .. }) => Ok(()),
            Err(error) => Err(problem(
                of_api(&error).code,
                "You are signed out here, but the server could not be told. Revoke this device from another one, or it ends by itself with its session.",
            )),
        }
    }

    /// Ends the session here, and leaves the binding at the server to end by itself.
    pub(crate) async fn leave(&self) -> Result<(), Problem> {
        self.inner.folder.forget_key_ring();
        self.inner.forget(None).await
    }

    /// Lists the same security keys at the next sign-in as another account here does.
    pub(crate) fn take_key_ring_of(&self, other: &Self) {
        if let Some(ring) = other.inner.folder.key_ring()
            && let Err(error) = self.inner.folder.keep_key_ring(&ring)
        {
            tracing::warn!("security keys are not listed at this sign-in: {error}");
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
                if let Err(trouble) = inner.fresh_claims(&session, fresh_secs, When::Ahead).await {
                    tracing::info!(
                        "claims are not made newer ahead of a vote: {}",
                        trouble.sentence
                    );
                }
            });
        }
        self.inner.draw(&session, &item).await
    }
}

pub(crate) fn parse(txn: &str) -> Result<Txn, Problem> {
    Txn::parse(txn).map_err(|_| problem(ProblemCode::NotFound, "There is no such request."))
}
