//! Redeeming: unused becomes used, once, in one transaction, with revocation and policy asked again.

use countersign_api::http::{EvaluationAnswer, EvaluationContext};
use countersign_lifecycle::{Input, Refused as StepRefused, State, step};
use countersign_model::{PepId, PolicyAnswer, Subject, Txn, UnixSecs};
use countersign_store::{Conflict, Tx, Write};

use super::App;
use super::about::Loaded;
use super::change::{With, write_step};
use super::evaluate::{Tuple, no};
use crate::refused::{Kind, Refused};

/// After "not approved yet".
const RETRY_SECS: u32 = 2;

/// What policy and claims say now about what was approved.
enum Still {
    /// It holds, by claims of these people that were issued then.
    Yes(Vec<(Subject, UnixSecs)>),
    /// It does not.
    No(Box<EvaluationAnswer>),
}

impl App {
    /// Redeems the approval `txn` for this tuple, under the PEP's `redemption_id`.
    pub(crate) async fn redeem(
        &self,
        pep: &PepId,
        tuple: &Tuple,
        txn: &Txn,
        redemption_id: &str,
    ) -> Result<EvaluationAnswer, Refused> {
        let operation = tuple.operation()?;
        for _ in 0..super::MAX_TRIES {
            let now = self.now();
            let loaded = match self.load(txn, now).await {
                Ok(loaded) if loaded.row.pep == *pep => loaded,
                Ok(_) => return Ok(no("approval_unverifiable", "none")),
                Err(refused) if refused.kind == Kind::NotFound => {
                    return Ok(no("approval_unverifiable", "none"));
                }
                Err(refused) => return Err(refused),
            };
            if operation.digest() != loaded.about.operation.digest() {
                return Ok(match self.evaluate(pep, tuple)? {
                    answer if answer.decision => no("out_of_scope", "none"),
                    answer if asks(&answer) => self.requestable(pep, tuple, Some("out_of_scope")),
                    _ => no("out_of_scope", "none"),
                });
            }
            let input = Input::Redeem {
                redemption_id: redemption_id.to_owned(),
            };
            let next = match step(&loaded.terms, loaded.row.state.clone(), input, now) {
                Ok(next) => next,
                Err(refused) => return Ok(self.not_redeemed(pep, tuple, &loaded, refused)),
            };
            if next.events.is_empty() {
                // The same redemption again gets the same answer, whatever was revoked since.
                return Ok(redeemed());
            }
            let judged_by = match self.still(&loaded).await? {
                Still::Yes(judged_by) => judged_by,
                Still::No(answer) => return Ok(*answer),
            };
            let mut tx = Tx::new();
            for (person, issued_at) in judged_by {
                tx.push(Write::ExpectClaims { person, issued_at });
            }
            for vote in next.state.votes() {
                tx.push(Write::ExpectUnrevoked(vote.binding));
            }
            write_step(&mut tx, &loaded, &next, With::default(), now);
            match self.commit(tx).await? {
                Ok(()) => return Ok(redeemed()),
                // A vote's binding was revoked: its vote is void, so the grant is.
                Err(Conflict::Revoked) => self.void_revoked().await?,
                Err(_) => {}
            }
        }
        Err(App::contended())
    }

    /// Policy, asked again: about the operation, and about each voter by their newest claims, whichever device
    /// brought them.
    async fn still(&self, loaded: &Loaded) -> Result<Still, Refused> {
        let policy = self.policy();
        let operation = &loaded.about.operation;
        let no = |reason| Ok(Still::No(Box::new(no(reason, "none"))));
        let holds = match policy.answer(operation) {
            PolicyAnswer::Allow => true,
            PolicyAnswer::Deny { .. } => false,
            PolicyAnswer::Approve(mine) => mine.covers(&loaded.request.requirement).is_ok(),
        };
        if !holds {
            return no("policy_denied");
        }
        let mut judged_by = Vec::new();
        for vote in loaded.row.state.votes() {
            let Some(binding) = self.store.binding(vote.binding).await? else {
                return no("approval_unverifiable");
            };
            let Some(newest) = self.newest(&vote.subject, &binding).await? else {
                return no("policy_denied");
            };
            let (voter, stage) = (&newest.viewer.voter, vote.stage.as_deref());
            if policy.may_vote(voter, operation, stage).is_err() {
                return no("policy_denied");
            }
            judged_by.push((vote.subject.clone(), newest.issued_at));
        }
        Ok(Still::Yes(judged_by))
    }

    fn not_redeemed(
        &self,
        pep: &PepId,
        tuple: &Tuple,
        loaded: &Loaded,
        refused: StepRefused,
    ) -> EvaluationAnswer {
        let reason = match (&loaded.row.state, refused) {
            (State::Pending(_), _) => {
                let mut answer = no("approval_pending", "retry");
                if let Some(context) = &mut answer.context {
                    context.retry_after = Some(RETRY_SECS);
                }
                return answer;
            }
            (State::Redeemed(_), _) => "approval_used",
            (State::Expired(_) | State::Approved(_), _) => "approval_expired",
            (State::Denied(_), _) => return no("approval_denied", "none"),
            (State::Withdrawn(_), _) => "approval_cancelled",
            (State::Voided(_), _) => "approval_voided",
        };
        self.requestable(pep, tuple, Some(reason))
    }
}

fn asks(answer: &EvaluationAnswer) -> bool {
    answer
        .context
        .as_ref()
        .is_some_and(|context| context.access_request.is_some())
}

fn redeemed() -> EvaluationAnswer {
    EvaluationAnswer {
        decision: true,
        context: Some(EvaluationContext {
            redeemed: Some(true),
            ..EvaluationContext::default()
        }),
    }
}
