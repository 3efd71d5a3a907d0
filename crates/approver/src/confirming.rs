//! Confirming a vote: the provider in the browser, or a security key, signs for the vote that was signed here
//! (protocol, section 5, step 3). It goes on by itself while the card shows where it stands; what fails is said on
//! the card, and the vote is kept for another try.

use std::sync::Arc;

use countersign_api::http;
use countersign_api::ipc::{Card, Means, Problem, ProblemCode, StepUpPhase};
use countersign_client::ApiError;
use countersign_evidence::StepUpEvidence;
use countersign_evidence::documents::step_up_resource;
use countersign_evidence::op_token::OpKeys;
use countersign_evidence::verify::{SteppedUp, verify_step_up};
use countersign_model::{Requirement, Txn, UnixSecs};
use countersign_oidc::{Confirmed, Consent, Progress, StepUpError, StepUpRequest, step_up};
use tokio::task::AbortHandle;

use crate::at_the_key::HeldKey;
use crate::inner::{Inner, When};
use crate::item::{Around, Item, confirmation};
use crate::kept_vote::KeptVote;
use crate::problem::{is_of_step_up, of_oidc, of_step_up, problem};
use crate::security_key;
use crate::session::{Session, lock};
use crate::state::Event;
use crate::vote::refused;
use crate::wire;

/// A confirmation under way, or one that failed and waits for the person.
pub(crate) struct Confirming {
    vote: KeptVote,
    phase: StepUpPhase,
    /// It was confirmed, and only the sending is left.
    proof: Option<Proof>,
    task: Option<AbortHandle>,
}

/// What goes along with a vote.
#[derive(Clone, Default)]
pub(crate) struct Proof {
    /// The confirmation, where the requirement asks for one.
    pub(crate) step_up: Option<http::StepUp>,
    /// What the provider said about the person in the browser, where it says so in no other way.
    pub(crate) claims_token: Option<String>,
}

impl Drop for Confirming {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Why it stopped.
struct Stopped {
    problem: Problem,
    retry: bool,
}

impl From<StepUpError> for Stopped {
    fn from(error: StepUpError) -> Self {
        Self {
            problem: of_step_up(&error),
            // Whatever it was, the person may want to try once more; only an answer that will never come is final.
            retry: !matches!(error, StepUpError::Unable { .. }),
        }
    }
}

impl Inner {
    /// Where the confirmation of a vote on this request stands.
    pub(crate) fn phase(&self, txn: &str) -> Option<StepUpPhase> {
        lock(&self.confirming)
            .get(txn)
            .map(|confirming| confirming.phase.clone())
    }

    /// The vote that is being confirmed.
    pub(crate) fn confirming_of(&self, txn: &str) -> Option<KeptVote> {
        lock(&self.confirming)
            .get(txn)
            .map(|confirming| confirming.vote.clone())
    }

    /// Has a vote confirmed, then sends it.
    pub(crate) fn confirm(self: &Arc<Self>, session: &Arc<Session>, vote: KeptVote) {
        let txn = vote.txn.clone();
        let proof = {
            let mut confirming = lock(&self.confirming);
            // What the provider confirmed holds for this very vote only.
            let proof = confirming
                .remove(&txn)
                .and_then(|mut before| before.proof.take().filter(|_| before.vote.jws == vote.jws));
            confirming.insert(
                txn.clone(),
                Confirming {
                    vote: vote.clone(),
                    phase: StepUpPhase::Preparing,
                    proof: proof.clone(),
                    task: None,
                },
            );
            proof
        };
        let (inner, session) = (Arc::clone(self), Arc::clone(session));
        let name = txn.clone();
        let task = tokio::spawn(async move {
            let done = inner.confirmed(&session, &vote, proof).await;
            inner.confirmation_ended(&session, &name, done).await;
        });
        if let Some(confirming) = lock(&self.confirming).get_mut(&txn) {
            confirming.task = Some(task.abort_handle());
        }
        self.changed(&txn);
    }

    async fn confirmed(
        self: &Arc<Self>,
        session: &Arc<Session>,
        vote: &KeptVote,
        proof: Option<Proof>,
    ) -> Result<(), Stopped> {
        let txn = Txn::parse(&vote.txn).map_err(|_| lost())?;
        let proof = match proof {
            Some(proof) => proof,
            None => {
                let proof = self.proof(session, vote).await?;
                if let Some(confirming) = lock(&self.confirming).get_mut(&vote.txn) {
                    confirming.proof = Some(proof.clone());
                }
                proof
            }
        };
        self.set_phase(&vote.txn, StepUpPhase::Sending);
        // The person may have been at the provider for minutes: what it says about them goes along as it is now.
        if proof.claims_token.is_none()
            && let Some(item) = session.item(&vote.txn)
            && let Ok(genuine) = item.genuine()
        {
            let fresh_secs = genuine.open.request().requirement.fresh_claims_secs;
            self.fresh_claims(session, fresh_secs, When::Now)
                .await
                .map_err(|problem| Stopped {
                    problem,
                    retry: true,
                })?;
        }
        match self.deliver(session, &txn, vote, proof).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if is_of_step_up(&error)
                    && let Some(confirming) = lock(&self.confirming).get_mut(&vote.txn)
                {
                    // What was refused is refused again: the next try asks the provider anew.
                    confirming.proof = None;
                }
                let unauthorized = matches!(error, ApiError::Unauthorized { .. });
                Err(Stopped {
                    retry: error.is_transient() || unauthorized,
                    problem: refused(&error),
                })
            }
        }
    }

    async fn confirmation_ended(
        self: &Arc<Self>,
        session: &Arc<Session>,
        txn: &str,
        done: Result<(), Stopped>,
    ) {
        if let Some(confirming) = lock(&self.confirming).get_mut(txn) {
            // This runs in that very task, which is about to end by itself.
            confirming.task = None;
        }
        match done {
            Ok(()) => {
                tracing::info!(txn, "a vote was confirmed and counts");
                self.give_up_vote(txn);
            }
            Err(Stopped { problem, retry }) => {
                tracing::info!(txn, "a vote was not confirmed: {}", problem.sentence);
                if !retry {
                    self.folder.forget_vote(txn);
                }
                self.set_phase(txn, StepUpPhase::Failed { problem, retry });
            }
        }
        if let Ok(id) = Txn::parse(txn)
            && let Ok(item) = session.read(&id).await
        {
            self.learned(session, &item);
        }
        self.tell(Event::StepUpEnded {
            txn: txn.to_owned(),
        });
    }

    /// The proof for one vote, by the means that its requirement names.
    async fn proof(
        self: &Arc<Self>,
        session: &Arc<Session>,
        vote: &KeptVote,
    ) -> Result<Proof, Stopped> {
        let item = session.item(&vote.txn).ok_or_else(lost)?;
        let genuine = item.genuine().map_err(|problem| Stopped {
            problem,
            retry: false,
        })?;
        let requirement = &genuine.open.request().requirement;
        let means = confirmation(requirement).filter(|_| vote.takes.confirmation);
        let claims_by_browser = vote.takes.claims_by_browser;
        let confirms = means == Some(Means::Oidc);
        let mut proof = Proof::default();
        if confirms || claims_by_browser {
            let read = vote.read().map_err(|problem| Stopped {
                problem,
                retry: false,
            })?;
            let consent = requirement.scope.clone().filter(|_| confirms);
            let request = StepUpRequest {
                config: session.config.clone(),
                redirect_path: session.account.file.provider.redirect_path.clone(),
                ports: session.account.ports(),
                nonce: vote.step_up_nonce(),
                sub: session.account.subject.sub.clone(),
                signed_at: read.iat,
                good_until: read.exp,
                acr: requirement.acr.clone().filter(|_| confirms),
                consent: consent.map(|scope| Consent {
                    scope,
                    resource: step_up_resource(&session.account.server),
                    key: vote.consent_key(),
                }),
                claims_scopes: match claims_by_browser {
                    true => session.account.file.provider.scopes.clone(),
                    false => Vec::new(),
                },
            };
            let (found, id_token) = self.at_the_provider(session, &vote.txn, &request).await?;
            if confirms {
                holds(session, vote, requirement, &found).await?;
                proof.step_up = Some(wire::step_up(found));
            }
            proof.claims_token = Some(id_token).filter(|_| claims_by_browser);
        }
        if means == Some(Means::Webauthn) {
            let found = self.by_the_key(session, vote).await?;
            holds(session, vote, requirement, &found).await?;
            proof.step_up = Some(wire::step_up(found));
        }
        Ok(proof)
    }

    async fn by_the_key(
        self: &Arc<Self>,
        session: &Session,
        vote: &KeptVote,
    ) -> Result<StepUpEvidence, Stopped> {
        let failed = |problem| Stopped {
            problem,
            retry: true,
        };
        let (Some(key), Some(ring)) = (&self.options.security_key, self.folder.key_ring()) else {
            return Err(failed(problem(
                ProblemCode::Other,
                "No security key is bound to this device any more. Add yours in the settings first.",
            )));
        };
        let UnixSecs(since) = session.now();
        let (inner, txn) = (Arc::downgrade(self), vote.txn.clone());
        let holder = HeldKey {
            txn: Some(vote.txn.clone()),
            slot: Arc::clone(&self.pin_slot),
            shows: Arc::new(move |waits| {
                if let Some(inner) = inner.upgrade() {
                    inner.set_phase(&txn, StepUpPhase::WaitingForKey { waits, since });
                }
            }),
            gave_up: Arc::default(),
        };
        security_key::confirm(key, &ring, &vote.jws, &session.account.server, holder)
            .await
            .map_err(failed)
    }

    async fn at_the_provider(
        &self,
        session: &Session,
        txn: &str,
        request: &StepUpRequest,
    ) -> Result<(StepUpEvidence, String), Stopped> {
        let tell = |progress: Progress| match progress {
            Progress::Waiting { url, browser } => {
                if let Err(why) = browser {
                    tracing::warn!("the browser could not be opened: {why}");
                }
                let UnixSecs(since) = session.now();
                let url = url.to_string();
                self.set_phase(txn, StepUpPhase::WaitingForBrowser { url, since });
            }
            Progress::Answered => self.set_phase(txn, StepUpPhase::Preparing),
        };
        let opener = self.hands.opener.as_ref();
        let Confirmed {
            id_token,
            access_token,
        } = step_up(&session.provider, request, opener, &tell).await?;
        let claims_token = id_token.clone();
        let proof = StepUpEvidence::Oidc {
            id_token,
            access_token,
        };
        Ok((proof, claims_token))
    }

    pub(crate) fn set_phase(&self, txn: &str, phase: StepUpPhase) {
        if let Some(confirming) = lock(&self.confirming).get_mut(txn) {
            confirming.phase = phase;
        } else {
            return;
        }
        self.changed(txn);
    }

    /// Ends a confirmation and forgets its vote.
    pub(crate) fn give_up_vote(&self, txn: &str) {
        if lock(&self.confirming).remove(txn).is_some() {
            self.folder.forget_vote(txn);
        }
    }

    /// Takes back what an earlier run kept: what needed a confirmation waits for the person.
    pub(crate) fn restore_votes(&self, session: &Session) {
        // Of the session before, where there was one: its key is gone.
        lock(&self.unanswered).clear();
        lock(&self.confirming).clear();
        for vote in self.folder.kept_votes(session.binding()) {
            if vote.takes.nothing() {
                lock(&self.unanswered).insert(vote.txn.clone(), vote);
                continue;
            }
            let phase = StepUpPhase::Failed {
                problem: problem(
                    ProblemCode::Other,
                    "Countersign ended before your approval was confirmed. It is kept: try again, or give it up.",
                ),
                retry: true,
            };
            let confirming = Confirming {
                phase,
                proof: None,
                task: None,
                vote,
            };
            lock(&self.confirming).insert(confirming.vote.txn.clone(), confirming);
        }
    }

    pub(crate) fn changed(&self, txn: &str) {
        self.tell(Event::Changed {
            txn: txn.to_owned(),
        });
    }

    /// The card, with what is under way and what is new.
    pub(crate) async fn draw(&self, session: &Session, item: &Item) -> Result<Card, Problem> {
        let requirement = &item.genuine()?.open.request().requirement;
        let mut card = item.card(Around {
            me: &session.account.subject,
            now: session.now(),
            connection: self.connection(),
            provider_name: &session.account.file.provider.name,
            cannot_confirm: session.cannot_confirm(requirement, &self.options, &self.folder),
            phase: self.phase(&item.txn),
        })?;
        card.since = self.since(session, item, &card.exhibit).await;
        Ok(card)
    }
}

/// Checks a proof as server and gates do, before it is passed on: what would be refused there is said here.
async fn holds(
    session: &Session,
    vote: &KeptVote,
    requirement: &Requirement,
    proof: &StepUpEvidence,
) -> Result<(), Stopped> {
    let failed = |problem| Stopped {
        problem,
        retry: true,
    };
    let tokens: Vec<&str> = match proof {
        StepUpEvidence::Oidc {
            id_token,
            access_token,
        } => std::iter::once(id_token.as_str())
            // One that is no JWT has no key; it is refused below.
            .chain(access_token.as_deref())
            .collect(),
        StepUpEvidence::Webauthn { .. } => Vec::new(),
    };
    let keys = if tokens.is_empty() {
        // A security key needs no provider.
        OpKeys::default()
    } else {
        let fetched = session.provider.keys_for(&tokens).await;
        let keys = fetched.map_err(|error| failed(of_oidc(&error)))?;
        keys.current.clone()
    };
    let read = vote.read().map_err(failed)?;
    let of = SteppedUp {
        vote_jws: &vote.jws,
        vote: &read,
        requirement,
        server: &session.account.server,
    };
    let judge = (&session.config, &keys);
    match verify_step_up(proof, of, &session.statement, judge, session.now()) {
        Ok(_) => Ok(()),
        Err(refusal) => {
            tracing::warn!(code = refusal.code, "a confirmation does not hold");
            Err(failed(problem(ProblemCode::Other, refusal.sentence)))
        }
    }
}

/// The request went away under the confirmation.
fn lost() -> Stopped {
    Stopped {
        problem: problem(ProblemCode::Closed, "The request is over."),
        retry: false,
    }
}
