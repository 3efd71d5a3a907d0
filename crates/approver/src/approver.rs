//! The handle that programs hold: every call of a window, as a method.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use countersign_api::http::{self, VoteRequest};
use countersign_api::ipc::{Card, Choice, Problem, ProblemCode, Provider, ServerInfo, SignIn};
use countersign_client::ApiError;
use countersign_model::{Clock, Txn};
use countersign_oidc::{Opener, Progress};
use tokio::sync::{Notify, broadcast, watch};

use crate::binding::{Hands, bind, forget_pending, look_up};
use crate::inner::{Inner, When};
use crate::kept::{ACCOUNT, Folder};
use crate::keys::KeyStore;
use crate::problem::{of_api, problem, signed_out};
use crate::runner;
use crate::session::{Session, lock};
use crate::state::{Event, LastServer, State};
use crate::vote::{Unanswered, Wish, check, refused, sign};

/// Events that wait for a slow listener.
const EVENTS: usize = 256;
/// How often a vote is sent when its answer is lost, before the person is told.
const VOTE_TRIES: u32 = 3;

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
            settling: AtomicBool::new(false),
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

    /// Waits for what must not be cut off: call it before the program ends.
    pub async fn settle(&self) {
        self.inner.settle().await;
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
                if let Err(trouble) = inner.fresh_claims(&session, fresh_secs, When::Ahead).await {
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
        let claims_token = self
            .inner
            .fresh_claims(session, fresh_secs, When::Now)
            .await?;
        let signer = (&session.account, &session.secrets);
        let vote = sign(genuine, challenge, wish.choice, said, signer, session.now())?;
        Ok(VoteRequest {
            vote,
            step_up: None,
            claims_token,
        })
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

pub(crate) fn parse(txn: &str) -> Result<Txn, Problem> {
    Txn::parse(txn).map_err(|_| problem(ProblemCode::NotFound, "There is no such request."))
}
