//! Voting: what a person decided becomes a signed vote, which is kept, confirmed where the policy asks for it, and
//! sent until it is answered.

use std::sync::Arc;

use countersign_api::http::{self, VoteRequest};
use countersign_api::ipc::{Card, Choice, Means, Problem, ProblemCode, StepUpPhase};
use countersign_client::ApiError;
use countersign_evidence::{Alg, SecretKey};
use countersign_model::{Digest, Txn, UnixSecs};
use url::Url;

use crate::approver::{Approver, parse};
use crate::confirming::Proof;
use crate::inner::{Inner, When};
use crate::item::{Genuine, Item, confirmation};
use crate::kept_vote::{KeptVote, Takes};
use crate::problem::{of_api, of_oidc, problem, signed_out};
use crate::session::{Session, lock};
use crate::vote::{Said, Wish, check, refused, sign};

/// How often a vote is sent when its answer is lost, before the person is told.
const VOTE_TRIES: u32 = 3;

impl Approver {
    /// Votes. What is signed is what was shown: the request is read again, and nothing is signed when it differs.
    /// Where the policy asks for a confirmation, the card comes back at once, and the confirmation goes on by itself.
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
        if let Some(under_way) = inner.confirming_of(txn) {
            if under_way.wish == wish {
                // The second click of one decision.
                return inner.card_of(&session, txn).await;
            }
            // Another decision takes its place.
            inner.give_up_vote(txn);
        }
        let before = lock(&inner.unanswered)
            .get(txn)
            .filter(|before| before.wish == wish)
            .cloned();
        let vote = match before {
            Some(vote) => vote,
            None => inner.signed(&session, &id, wish).await?,
        };
        if !vote.takes.nothing() {
            inner.confirm(&session, vote);
            return inner.card_of(&session, txn).await;
        }
        inner.unanswered(&vote);
        inner
            .deliver(&session, &id, &vote, Proof::default())
            .await
            .map_err(|error| refused(&error))?;
        let item = session.read(&id).await.map_err(|error| of_api(&error))?;
        inner.learned(&session, &item);
        inner.draw(&session, &item).await
    }

    /// Gives up a confirmation that is under way or failed. Nothing was voted.
    ///
    /// # Errors
    /// When there is none, or the vote is on its way already.
    pub fn cancel_step_up(&self, txn: &str) -> Result<(), Problem> {
        match self.inner.phase(txn) {
            None => Err(nothing_under_way()),
            Some(StepUpPhase::Sending) => Err(problem(
                ProblemCode::Other,
                "It was confirmed, and the vote is on its way. Deny it afterwards to take it back.",
            )),
            Some(
                StepUpPhase::Preparing
                | StepUpPhase::WaitingForBrowser { .. }
                | StepUpPhase::WaitingForKey { .. }
                | StepUpPhase::Failed { .. },
            ) => {
                self.inner.give_up_vote(txn);
                self.inner.changed(txn);
                Ok(())
            }
        }
    }

    /// Takes up a confirmation that failed: with the vote that was signed for it, where that still fits the request;
    /// else with one that is signed anew. Where the browser is waited for, opens the same page again.
    ///
    /// # Errors
    /// When there is none, or what was shown is not what the server sends now.
    pub async fn retry_step_up(&self, txn: &str) -> Result<(), Problem> {
        let inner = &self.inner;
        let session = inner.session().ok_or_else(signed_out)?;
        let id = parse(txn)?;
        let _voting = inner.voting.lock().await;
        match inner.phase(txn) {
            None => return Err(nothing_under_way()),
            Some(StepUpPhase::WaitingForBrowser { url, .. }) => return self.open_again(&url),
            Some(
                StepUpPhase::Preparing
                | StepUpPhase::WaitingForKey { .. }
                | StepUpPhase::Sending
                | StepUpPhase::Failed { retry: false, .. },
            ) => return Ok(()),
            Some(StepUpPhase::Failed { retry: true, .. }) => {}
        }
        let Some(vote) = inner.confirming_of(txn) else {
            return Err(nothing_under_way());
        };
        let shown = session.item(txn);
        let item = session.read(&id).await.map_err(|error| of_api(&error))?;
        inner.learned(&session, &item);
        let (genuine, said) = check(&vote.wish, shown.as_deref(), &item, &session.account)?;
        let vote = if vote.fits(&item, genuine, session.now()) {
            vote
        } else {
            let made = Signing {
                session: &session,
                item: &item,
                genuine,
            };
            inner.sign_and_keep(made, vote.wish, said).await?
        };
        inner.confirm(&session, vote);
        Ok(())
    }

    fn open_again(&self, url: &str) -> Result<(), Problem> {
        let opened = Url::parse(url)
            .map_err(|error| error.to_string())
            .and_then(|url| self.inner.hands.opener.open(&url));
        opened.map_err(|why| {
            problem(
                ProblemCode::Other,
                format!("The browser could not be opened ({why}). Open the address by hand."),
            )
        })
    }
}

fn nothing_under_way() -> Problem {
    problem(
        ProblemCode::NotFound,
        "There is no confirmation under way for this request.",
    )
}

/// What a vote is signed from.
struct Signing<'a> {
    session: &'a Arc<Session>,
    item: &'a Item,
    genuine: &'a Genuine,
}

/// What the provider has to do with the signature.
struct AtProvider {
    /// Ties a consented scope to the vote.
    consent_key: Option<SecretKey>,
    /// The vote's time: never ahead of the provider's clock, which tells the time of the sign-in that confirms it.
    now: UnixSecs,
}

impl Inner {
    async fn signed(
        self: &Arc<Self>,
        session: &Arc<Session>,
        txn: &Txn,
        wish: Wish,
    ) -> Result<KeptVote, Problem> {
        let shown = session.item(txn.as_str());
        let item = session.read(txn).await.map_err(|error| of_api(&error))?;
        // What is confirmed and sent later reads it again here, and perhaps no list has told of it yet.
        self.learned(session, &item);
        let (genuine, said) = check(&wish, shown.as_deref(), &item, &session.account)?;
        let made = Signing {
            session,
            item: &item,
            genuine,
        };
        self.sign_and_keep(made, wish, said).await
    }

    /// Signs, and keeps the vote before anybody hears of it.
    async fn sign_and_keep(
        self: &Arc<Self>,
        made: Signing<'_>,
        wish: Wish,
        said: Said,
    ) -> Result<KeptVote, Problem> {
        let Signing {
            session,
            item,
            genuine,
        } = made;
        let Some(challenge) = item.challenge.as_deref() else {
            return Err(problem(
                ProblemCode::Forbidden,
                "The server does not let you vote on this now.",
            ));
        };
        let requirement = &genuine.open.request().requirement;
        let means = confirmation(requirement).filter(|_| wish.choice == Choice::Approve);
        if let (Some(_), Some(sentence)) = (
            means,
            session.cannot_confirm(requirement, &self.options, &self.folder),
        ) {
            return Err(problem(ProblemCode::Forbidden, sentence));
        }
        let fresh = self
            .fresh_claims(session, requirement.fresh_claims_secs, When::Now)
            .await;
        let claims_by_browser = match fresh {
            Ok(_) => false,
            // The provider gives newer claims only with a sign-in: then the vote goes through the browser.
            Err(trouble) if trouble.code == ProblemCode::SignedOut => {
                if !session.provider_confirms() {
                    return Err(trouble);
                }
                true
            }
            Err(trouble) => return Err(trouble),
        };
        let consents = means == Some(Means::Oidc) && requirement.scope.is_some();
        let AtProvider { consent_key, now } = if means == Some(Means::Oidc) || claims_by_browser {
            at_provider(session, consents).await?
        } else {
            AtProvider {
                consent_key: None,
                now: session.now(),
            }
        };
        let jkt = consent_key
            .as_ref()
            .and_then(|key| Digest::parse(&key.public().thumbprint()).ok());
        let signer = (&session.account, &session.secrets);
        let jws = sign(genuine, challenge, wish.choice, said, signer, jkt, now)?;
        let vote = KeptVote::new(
            &item.txn,
            wish,
            jws,
            &session.account,
            Takes {
                confirmation: means.is_some(),
                claims_by_browser,
            },
            consent_key.as_ref(),
        );
        self.folder.keep_vote(&vote)?;
        Ok(vote)
    }

    /// Remembers a vote as sent and not answered.
    fn unanswered(&self, vote: &KeptVote) {
        lock(&self.unanswered).insert(vote.txn.clone(), vote.clone());
    }

    /// Sends a vote that needs nothing more, and forgets it once it is answered.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        session: &Arc<Session>,
        txn: &Txn,
        vote: &KeptVote,
        proof: Proof,
    ) -> Result<http::VoteAnswer, ApiError> {
        let Proof {
            step_up,
            claims_token,
        } = proof;
        let claims_token = match claims_token {
            Some(token) => Some(token),
            None => session.claims.lock().await.token.clone(),
        };
        let request = VoteRequest {
            vote: vote.jws.clone(),
            step_up,
            claims_token,
        };
        let sent = send(session, txn, &request).await;
        match &sent {
            Err(error) if error.is_transient() => self.told(vote),
            Ok(_) | Err(_) => self.forget_vote(txn.as_str()),
        }
        sent
    }

    /// The person hears that it could not be sent: from now on it waits for them.
    fn told(&self, vote: &KeptVote) {
        let told = vote.told();
        if let Err(trouble) = self.folder.keep_vote(&told) {
            tracing::warn!(why = trouble.sentence, "what became of a vote is not kept");
        }
        if let Some(kept) = lock(&self.unanswered).get_mut(&vote.txn) {
            *kept = told;
        }
    }

    /// Forgets a vote: it is counted, or refused, or its request is over.
    pub(crate) fn forget_vote(&self, txn: &str) {
        if lock(&self.unanswered).remove(txn).is_some() {
            self.folder.forget_vote(txn);
        }
    }

    /// Sends what an earlier run signed and could not send. Called with a list of requests that is up to date.
    pub(crate) async fn take_up(self: &Arc<Self>, session: &Arc<Session>) {
        let waiting: Vec<String> = lock(&self.unanswered).keys().cloned().collect();
        for txn in waiting {
            let _voting = self.voting.lock().await;
            // As it stands now: while we waited for our turn the person may have decided anew.
            let vote = lock(&self.unanswered).get(&txn).cloned();
            let Some(vote) = vote.filter(|vote| !vote.is_told) else {
                continue;
            };
            let Ok(txn) = Txn::parse(&vote.txn) else {
                continue;
            };
            let Some(item) = session.item(&vote.txn).filter(|item| item.is_for_me()) else {
                // Counted, or over.
                self.forget_vote(&vote.txn);
                continue;
            };
            let Ok(genuine) = item.genuine() else {
                continue;
            };
            let fresh_secs = genuine.open.request().requirement.fresh_claims_secs;
            let fresh = self.fresh_claims(session, fresh_secs, When::Now).await;
            let sent = match fresh {
                Ok(_) => self
                    .deliver(session, &txn, &vote, Proof::default())
                    .await
                    .map(drop)
                    .map_err(|error| refused(&error)),
                Err(trouble) => Err(trouble),
            };
            match sent {
                Ok(()) => {
                    tracing::info!(txn = vote.txn, "a vote that was cut off is sent");
                    if let Ok(item) = session.read(&txn).await {
                        self.learned(session, &item);
                    }
                }
                Err(trouble) => {
                    tracing::warn!("a vote that was cut off is not sent: {}", trouble.sentence);
                }
            }
        }
    }

    async fn card_of(&self, session: &Session, txn: &str) -> Result<Card, Problem> {
        let item = match session.item(txn) {
            Some(item) => item,
            None => session
                .read(&parse(txn)?)
                .await
                .map_err(|error| of_api(&error))?,
        };
        self.draw(session, &item).await
    }
}

/// What a vote that the provider confirms needs to know of it before it is signed. A provider that is down is
/// said now, and nothing is signed.
async fn at_provider(session: &Session, consents: bool) -> Result<AtProvider, Problem> {
    let provider = &session.provider;
    let ahead_secs = provider
        .ahead_secs()
        .await
        .map_err(|error| of_oidc(&error))?;
    let alg = match consents {
        true => provider
            .proof_alg()
            .await
            .map_err(|error| of_oidc(&error))?,
        false => None,
    };
    Ok(AtProvider {
        consent_key: alg.map(|alg| match alg {
            Alg::Es256 => SecretKey::generate_es256(rand::random()),
            Alg::Ed25519 => SecretKey::generate(rand::random()),
        }),
        now: session.now() + -ahead_secs.max(0),
    })
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
