//! An approval that was asked for: wait for it, keep it for a caller who comes back, release it.

use std::sync::Arc;

use countersign_client::ApiError;
use countersign_evidence::verify::{self, Release, Trust, TrustedOp};
use countersign_evidence::{Evidence, EvidenceVote, StepUpEvidence, Verified};
use countersign_model::{Nonce, Operation, PolicyAnswer, PolicyCheck, Txn, UnixSecs, b64u};
use serde_json::Value;
use tokio::sync::watch;

use crate::crash;
use crate::permit::Permit;
use crate::refusal::{Refusal, Step};
use crate::store::{Keep, Stored};
use crate::watch::{Over, Seen, Told};
use crate::written::Unnamed;
use crate::{Pep, blocking};

/// Attempts to redeem, all under one redemption id: the answer of the first may be lost.
const REDEEM_ATTEMPTS: u32 = 4;

/// How waiting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The server says that people approved: [`Pending::release`] finds out.
    Approved,
    /// It is over.
    Over(Over, Told),
}

/// Who drops it before it is settled withdraws it, unless its caller was given an id to come back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Withdraw when dropped.
    Held,
    /// Leave it open when dropped.
    Kept,
}

/// An approval that was asked for.
pub struct Pending {
    pep: Arc<Pep>,
    txn: Txn,
    stored: Stored,
    seen: watch::Receiver<Seen>,
    hold: Hold,
}

impl Pending {
    pub(crate) fn new(pep: Arc<Pep>, txn: Txn, stored: Stored, first: Seen, keep: Keep) -> Self {
        let hold = match keep {
            Keep::WhileHeld => Hold::Held,
            Keep::OnDisk => Hold::Kept,
        };
        let seen = pep
            .watches
            .join(&txn, first, stored.until, &pep.api, &pep.clock);
        Self {
            pep,
            txn,
            stored,
            seen,
            hold,
        }
    }

    /// The request's id: what a caller comes back with.
    pub fn txn(&self) -> &Txn {
        &self.txn
    }

    /// What the requester may be told now.
    pub fn told(&self) -> Told {
        self.seen.borrow().told().clone()
    }

    /// Whether it could still be released.
    pub fn is_unspent(&self) -> bool {
        self.pep.store.unspent(self.nonce()).is_ok()
    }

    /// Waits until the server has said where it stands. One that was joined is not known at first.
    pub async fn looked(&mut self) {
        while self.seen.borrow_and_update().told().words.is_empty() {
            if self.seen.changed().await.is_err() {
                return;
            }
        }
    }

    /// The nonce that the operation was asked with.
    pub fn nonce(&self) -> &Nonce {
        self.stored.operation.nonce()
    }

    /// T0: when the call was made.
    pub fn asked_at(&self) -> UnixSecs {
        self.stored.asked_at
    }

    /// Waits until it is approved or over. Bound it by a timeout; it can be called again.
    pub async fn settled(&mut self) -> Settled {
        loop {
            match &*self.seen.borrow_and_update() {
                Seen::Pending(_) => {}
                Seen::Approved { .. } => return Settled::Approved,
                Seen::Over(over, told) => return Settled::Over(*over, told.clone()),
            }
            if self.seen.changed().await.is_err() {
                // The watch ended without a word: unknown is not approved.
                return Settled::Over(Over::Failed, self.told());
            }
        }
    }

    /// Puts it on disk: from now on its caller may come back with its id, and dropping it leaves it open.
    pub async fn keep(&mut self) -> Result<(), Refusal> {
        if self.hold == Hold::Held {
            let nonce = self.stored.operation.nonce().clone();
            let pep = Arc::clone(&self.pep);
            blocking(move || pep.store.keep(&nonce)).await??;
            self.hold = Hold::Kept;
        }
        Ok(())
    }

    /// It is over: forgets the operation.
    pub async fn forget(mut self) -> Result<(), Refusal> {
        self.hold = Hold::Kept;
        let nonce = self.stored.operation.nonce().clone();
        let pep = Arc::clone(&self.pep);
        blocking(move || pep.store.close(&nonce)).await??;
        Ok(())
    }

    /// Verifies everything, spends the nonce, redeems. `rebuilt` is the operation made again from what is about
    /// to be executed. Of any number of callers with the same approval one gets the permit.
    ///
    /// The order is protocol, section 6: no step is left out, none comes earlier.
    pub async fn release(&mut self, rebuilt: &Operation) -> Result<Permit, Refusal> {
        // Today's policy, and one for the whole of this: the request may have been asked under another.
        let policy = self.pep.policy();
        let result = self.try_release(rebuilt, policy.as_ref()).await;
        if let Err(refusal) = &result {
            // What can be tried again stays as it was; a held one is withdrawn when this is dropped.
            if refusal.kind == crate::refusal::Kind::Denied && refusal.step != Step::Nonce {
                let code = refusal.code.to_string();
                self.pep
                    .tell(self.txn.clone(), None, Some(code), policy.digest());
            }
        } else {
            self.hold = Hold::Kept;
        }
        result
    }

    async fn try_release(
        &self,
        rebuilt: &Operation,
        policy: &dyn PolicyCheck,
    ) -> Result<Permit, Refusal> {
        let pep = &self.pep;
        let nonce = self.stored.operation.nonce();
        // Cheap, and most of a thousand parallel retries end here. It decides nothing: `spend` does.
        pep.store.unspent(nonce)?;
        if let PolicyAnswer::Deny { reason } = policy.answer(rebuilt) {
            return Err(Refusal::denied(Step::Policy, "policy_denied", reason));
        }
        let evidence = self.evidence()?;
        let verified = self.verify(&evidence, rebuilt, policy).await?;
        let bytes = evidence.to_json();
        // Of a thousand who verified at once, those who came too late need not write.
        pep.store.unspent(nonce)?;
        let written = self.write_down(&bytes).await?;

        // CRASH P6: verified and written down, nothing spent. A retry starts over; the next start removes the file.
        crash::point("P6");
        let spent = {
            let (pep, nonce) = (Arc::clone(pep), nonce.clone());
            blocking(move || pep.store.spend(&nonce)).await??
        };
        if spent.operation != self.stored.operation {
            return Err(Refusal::denied(
                Step::Nonce,
                "approval_unknown",
                "the stored operation is another one",
            ));
        }
        // CRASH P7: spent, not redeemed. A new approval is needed.
        crash::point("P7");
        self.redeem(rebuilt).await?;
        if let Some(written) = written {
            blocking(move || written.name()).await?.map_err(|error| {
                tracing::error!(txn = %self.txn, "the evidence has no name yet: {error}");
                Refusal::denied(
                    Step::Record,
                    "evidence_unwritten",
                    "the gate cannot keep the evidence of this approval, so it does not use it; ask anew once whoever runs the gate has seen to its disk",
                )
            })?;
        }
        // CRASH P8: redeemed, the evidence kept, not executed. A new approval is needed.
        crash::point("P8");
        Ok(Permit::new(
            Arc::clone(pep),
            self.txn.clone(),
            verified,
            bytes,
            policy.digest(),
        ))
    }

    /// Before anything is spent: what cannot be written down is not released, and can be tried again.
    async fn write_down(&self, bytes: &[u8]) -> Result<Option<Unnamed>, Refusal> {
        let Some(folder) = &self.pep.evidence else {
            return Ok(None);
        };
        let (folder, txn, bytes) = (Arc::clone(folder), self.txn.clone(), bytes.to_vec());
        let written = blocking(move || folder.write(&txn, &bytes)).await?;
        written.map(Some).map_err(|error| {
            tracing::error!(txn = %self.txn, "cannot write evidence: {error}");
            Refusal::unavailable(
                Step::Record,
                "evidence_unwritten",
                "the gate cannot write down the evidence of this approval, so it does not use it; tell whoever runs the gate",
            )
        })
    }

    fn evidence(&self) -> Result<Evidence, Refusal> {
        let value = match &*self.seen.borrow() {
            Seen::Approved {
                evidence: Some(value),
                ..
            } => Arc::clone(value),
            Seen::Approved { evidence: None, .. } => {
                return Err(Refusal::denied(
                    Step::Decision,
                    "evidence_missing",
                    "the server says that it is approved, and shows no evidence",
                ));
            }
            Seen::Pending(_) | Seen::Over(..) => {
                return Err(Refusal::denied(
                    Step::Decision,
                    "not_approved",
                    "it is not approved",
                ));
            }
        };
        let unreadable = |error: &dyn std::fmt::Display| {
            Refusal::denied(
                Step::Decision,
                "evidence_unreadable",
                format!("the evidence cannot be read: {error}"),
            )
        };
        // Through bytes, because the strict reader reads bytes.
        let bytes = serde_json::to_vec::<Value>(&value).map_err(|error| unreadable(&error))?;
        Evidence::from_json(&bytes).map_err(|error| unreadable(&error))
    }

    async fn verify(
        &self,
        evidence: &Evidence,
        rebuilt: &Operation,
        policy: &dyn PolicyCheck,
    ) -> Result<Verified, Refusal> {
        let pep = &self.pep;
        let server_keys = pep.server_keys.for_evidence(evidence, &pep.api).await?;
        let mut ops = Vec::with_capacity(pep.providers.len());
        for trusted in &pep.providers {
            // Each provider is asked only for keys of tokens that claim to be its own.
            let issuer = trusted.config.issuer.as_str();
            let tokens: Vec<&str> = evidence
                .votes
                .iter()
                .flat_map(tokens_of)
                .filter(|token| {
                    countersign_evidence::op_token::peek_issuer(token)
                        .is_ok_and(|named| named == issuer)
                })
                .collect();
            let keys = if tokens.is_empty() {
                None
            } else {
                let set = trusted.provider.keys_for(&tokens).await.map_err(|error| {
                    Refusal::unavailable(
                        Step::Evidence(verify::StepId::Bindings),
                        "provider_unreachable",
                        error.to_string(),
                    )
                })?;
                Some(set.seen.clone())
            };
            ops.push(TrustedOp {
                config: trusted.config.clone(),
                keys,
            });
        }
        let trust = Trust {
            server: &pep.server,
            server_keys,
            pep: (pep.me.clone(), pep.key.public()),
            ops,
            session_secs: pep.session_secs,
            policy: Some(policy),
        };
        let release = Release {
            me: &pep.me,
            rebuilt,
            asked_at: self.stored.asked_at,
        };
        let verified = verify::verify(evidence, &trust, Some(&release), pep.clock.now())?;
        if !verified.complete()
            || !verified.for_release()
            || verified.operation_digest() != rebuilt.digest()
        {
            let (step, why) = verified
                .steps()
                .iter()
                .find_map(|step| match &step.outcome {
                    verify::Outcome::NotProven(why) => Some((Step::Evidence(step.id), why.clone())),
                    verify::Outcome::Passed | verify::Outcome::NotApplicable(_) => None,
                })
                .unwrap_or((
                    Step::Evidence(verify::StepId::Operation),
                    "something could not be checked".to_owned(),
                ));
            return Err(Refusal::denied(step, "not_proven", why));
        }
        if verified.txn() != &self.txn {
            return Err(Refusal::denied(
                Step::Evidence(verify::StepId::Sameness),
                "other_request",
                "the evidence is of another request than the one that this gate asked for",
            ));
        }
        Ok(verified)
    }

    async fn redeem(&self, rebuilt: &Operation) -> Result<(), Refusal> {
        let redemption_id = b64u(&rand::random::<[u8; 16]>());
        let mut backoff = countersign_client::Backoff::default();
        let mut attempt = 1;
        let answer = loop {
            let answer: Result<_, ApiError> = self
                .pep
                .api
                .redeem(rebuilt, &self.txn, &redemption_id)
                .await;
            match answer {
                Err(error) if error.is_transient() && attempt < REDEEM_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(backoff.next(rand::random())).await;
                }
                Err(error) => return Err(Refusal::api(Step::Redeem, &error)),
                Ok(answer) => break answer,
            }
        };
        let context = answer.context.unwrap_or_default();
        if answer.decision && context.redeemed == Some(true) {
            return Ok(());
        }
        let reason: String = context
            .reason
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect();
        Err(Refusal::denied(
            Step::Redeem,
            "redeem_refused",
            format!(
                "the server did not redeem the approval ({})",
                if reason.is_empty() {
                    "no reason"
                } else {
                    &reason
                }
            ),
        ))
    }
}

/// All tokens of a provider that a vote comes with.
fn tokens_of(vote: &EvidenceVote) -> impl Iterator<Item = &str> {
    let (sign_in, consent) = match &vote.step_up {
        Some(StepUpEvidence::Oidc {
            id_token,
            access_token,
        }) => (Some(id_token.as_str()), access_token.as_deref()),
        Some(StepUpEvidence::Webauthn { .. }) | None => (None, None),
    };
    let own = [vote.id_token.as_deref(), vote.claims_token.as_deref()];
    own.into_iter().chain([sign_in, consent]).flatten()
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.hold == Hold::Held {
            self.pep
                .withdraw(self.txn.clone(), self.stored.operation.nonce().clone());
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("txn", &self.txn.as_str())
            .finish_non_exhaustive()
    }
}
