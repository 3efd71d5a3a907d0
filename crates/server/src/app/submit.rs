//! Opening a request (ARAP), with the gate's signed ask.

use std::sync::Arc;

use countersign_api::http::Task;
use countersign_api::stream::ServerBody;
use countersign_evidence::documents::{Ask, Request, jws_digest};
use countersign_evidence::verify::SKEW_SECS;
use countersign_model::{
    Digest, Operation, PepId, PolicyAnswer, PolicyCheck, Requirement, Txn, UnixSecs, matching_words,
};
use countersign_store::{Conflict, NewRequest, OpenLimits, SeenKind, SpentKind, Tx, Words, Write};
use serde_json::json;

use super::App;
use super::change::{entry_of, publish};
use super::evaluate::Tuple;
use super::task::ForPep;
use crate::papers::Paper;
use crate::refused::{Kind, Refused};

/// Open requests of one PEP.
const MAX_OPEN_PER_PEP: u32 = 10_000;
/// Open requests of one requester.
const MAX_OPEN_PER_REQUESTER: u32 = 50;
/// After a refusal for too many.
const RETRY_SECS: u32 = 10;
/// The longest life of an ask, in seconds.
const MAX_ASK_SECS: i64 = 600;
/// How long an idempotency key stands for its request, in seconds.
const REMEMBER_SECS: i64 = 24 * 3600;

/// A submission, read.
pub(crate) struct Submission {
    pub(crate) tuple: Tuple,
    pub(crate) evaluation_id: Option<String>,
    pub(crate) ask_jws: String,
    pub(crate) idempotency_key: String,
    /// SHA-256 of the body.
    pub(crate) body: Digest,
    /// The PEP token's `jti` and the end of its life.
    pub(crate) token: (String, UnixSecs),
}

/// What a request is made of.
struct Asked<'a> {
    pep: &'a PepId,
    operation: &'a Arc<Operation>,
    ask_jws: &'a str,
    requirement: &'a Requirement,
    policy_digest: Digest,
}

impl App {
    /// Opens a request, or answers with the one that this key opened before.
    pub(crate) async fn submit(
        &self,
        pep: &PepId,
        submission: Submission,
    ) -> Result<Task, Refused> {
        let now = self.now();
        let operation = Arc::new(submission.tuple.operation()?);
        if let Some(known) = self
            .store
            .remembered(pep, &submission.idempotency_key)
            .await?
        {
            return self
                .known(pep, known.txn, known.body == submission.body)
                .await;
        }
        let policy = self.policy();
        let requirement = self.admit(&*policy, pep, &operation, &submission, now)?;
        self.has_cooled_down(&*policy, &operation, now).await?;
        // What time has closed makes room.
        self.expire_due(now).await?;
        for _ in 0..super::MAX_TRIES {
            let asked = Asked {
                pep,
                operation: &operation,
                ask_jws: &submission.ask_jws,
                requirement: &requirement,
                policy_digest: policy.digest(),
            };
            let (new, request) = self.draw(&asked, now);
            let (txn, vote_until) = (new.txn.clone(), new.vote_until);
            let mut tx = Tx::new();
            tx.push(Write::Spend {
                kind: SpentKind::PepToken,
                value: format!("{pep} {}", submission.token.0),
                until: submission.token.1,
            });
            tx.push(Write::Remember {
                pep: pep.clone(),
                key: submission.idempotency_key.clone(),
                body: submission.body,
                txn: txn.clone(),
                until: now + REMEMBER_SECS,
            });
            // One operation, with its nonce, is asked for once: two grants for one nonce would be one too many.
            tx.push(Write::Spend {
                kind: SpentKind::Ask,
                value: format!("{pep} {}", operation.digest()),
                until: vote_until + i64::from(requirement.grant_secs) + REMEMBER_SECS,
            });
            tx.push(Write::OpenRequest(Box::new(new)));
            let detail = json!({
                "operation": operation.digest().to_string(),
                "request": request.to_string(),
                "pep": pep.as_str(),
            });
            tx.push(entry_of(now, Some(&txn), "request", &detail));
            let created = ServerBody::RequestCreated {
                txn: txn.to_string(),
            };
            tx.push(publish(now, Some(&txn), None, &created));
            match self.commit(tx).await? {
                Ok(()) => {
                    self.deadlines.add(vote_until);
                    let loaded = self.load(&txn, now).await?;
                    return self.task(&loaded, ForPep::Yes).await;
                }
                // The words are another open request's: draw again.
                Err(Conflict::Words) => {}
                Err(Conflict::Remembered) => {
                    let known = self
                        .store
                        .remembered(pep, &submission.idempotency_key)
                        .await?;
                    let known = known.ok_or_else(App::contended)?;
                    return self
                        .known(pep, known.txn, known.body == submission.body)
                        .await;
                }
                Err(conflict) => return Err(refusal(conflict)),
            }
        }
        Err(App::contended())
    }

    async fn known(&self, pep: &PepId, txn: Txn, same_body: bool) -> Result<Task, Refused> {
        if !same_body {
            return Err(Refused::conflict(
                "idempotency_conflict",
                "This Idempotency-Key came with another body before; use a new key for a new request.",
            ));
        }
        let loaded = self.load(&txn, self.now()).await?;
        if loaded.row.pep != *pep {
            return Err(Refused::not_found());
        }
        self.task(&loaded, ForPep::Yes).await
    }

    /// Whether this may be asked at all, and what is demanded then.
    fn admit(
        &self,
        policy: &dyn PolicyCheck,
        pep: &PepId,
        operation: &Operation,
        submission: &Submission,
        now: UnixSecs,
    ) -> Result<Requirement, Refused> {
        let config = self.pep(pep)?;
        if operation.pep() != pep {
            return Err(Refused::forbidden(
                "other_pep",
                "The operation names another gate.",
            ));
        }
        if !config.may_ask(operation.action(), operation.resource_type()) {
            return Err(Refused::forbidden(
                "pep_not_allowed",
                "This gate is not registered for this action on this type of resource.",
            ));
        }
        if let Some(id) = &submission.evaluation_id {
            let until = self
                .secrets
                .evaluation_until(id, submission.tuple.asked(pep));
            if until.is_none_or(|until| now > until) {
                return Err(Refused::malformed(
                    "denial_unknown",
                    "The denial that this answers is not one of this server's, or too old: evaluate again.",
                ));
            }
        }
        let ask = Ask::verify(&submission.ask_jws, &config.key).map_err(|error| {
            Refused::forbidden("ask_unverified", format!("The ask is refused: {error}."))
        })?;
        self.check_ask(&ask, pep, operation, now)?;
        let mine = match policy.answer(operation) {
            PolicyAnswer::Allow => {
                return Err(Refused::forbidden(
                    "policy_mismatch",
                    "The gate's policy asks for approval and the server's allows: bring both to the same text.",
                ));
            }
            PolicyAnswer::Deny { reason } => {
                return Err(Refused::forbidden("policy_denied", reason));
            }
            PolicyAnswer::Approve(requirement) => requirement,
        };
        if let Some(what) = self.unsupported(&mine) {
            return Err(Refused::forbidden(
                "not_supported",
                format!("The policy asks for {what}."),
            ));
        }
        ask.requirement.covers(&mine).map_err(|laxer| {
            let detail = format!(
                "The server's policy is laxer than the gate's in `{}`: bring both to the same text.",
                laxer.member
            );
            Refused::forbidden("policy_mismatch", detail)
        })?;
        Ok(mine)
    }

    /// What was denied is not asked for again at once, where the policy says so: nobody is worn down.
    async fn has_cooled_down(
        &self,
        policy: &dyn PolicyCheck,
        operation: &Operation,
        now: UnixSecs,
    ) -> Result<(), Refused> {
        let Some(secs) = policy.cool_down_secs(operation) else {
            return Ok(());
        };
        let Some(denial) = self.store.denied(same_of(operation), None).await? else {
            return Ok(());
        };
        let left = denial.at + i64::from(secs) - now;
        if left <= 0 {
            return Ok(());
        }
        Err(Refused {
            retry_after_secs: u32::try_from(left).ok(),
            ..Refused::new(
                Kind::Forbidden,
                "denied_before",
                "This very operation was denied a moment ago; the policy has it wait before it is asked for again.",
            )
        })
    }

    fn check_ask(
        &self,
        ask: &Ask,
        pep: &PepId,
        operation: &Operation,
        now: UnixSecs,
    ) -> Result<(), Refused> {
        let refused = |code, detail: &str| Err(Refused::forbidden(code, detail));
        if ask.iss != *pep || ask.aud != self.config.public_url {
            return refused(
                "ask_other_party",
                "The ask is by another gate or for another server.",
            );
        }
        if ask.operation_digest != operation.digest() {
            return Err(Refused::malformed(
                "wrong_digest",
                "The ask is for another operation than submitted.",
            ));
        }
        if ask.iat > now + SKEW_SECS
            || now > ask.exp + SKEW_SECS
            || ask.exp - ask.iat > MAX_ASK_SECS
        {
            return refused(
                "ask_time",
                "The ask is too old or from the future; check the gate's clock.",
            );
        }
        Ok(())
    }

    /// The request, its words still to be tried, and its digest. What it reads as is kept.
    fn draw(&self, asked: &Asked<'_>, now: UnixSecs) -> (NewRequest, Digest) {
        let Asked {
            pep,
            operation,
            ask_jws,
            requirement,
            policy_digest,
        } = *asked;
        let mut id: [u8; 16] = rand::random();
        // The first character is a letter: an id that began with `-` would be taken for an option on a command line.
        id[0] &= 0x3f;
        let txn = Txn::from_bytes(id);
        let vote_until = now + i64::from(requirement.ttl_secs);
        let request = Request {
            iss: self.config.public_url.clone(),
            jti: countersign_model::b64u(&rand::random::<[u8; 16]>()),
            iat: now,
            exp: vote_until,
            txn: txn.clone(),
            operation_digest: operation.digest(),
            ask_digest: jws_digest(ask_jws),
            pep: pep.clone(),
            sub_id: operation.subject().clone(),
            requirement: requirement.clone(),
            policy_digest,
        };
        let request_jws = request.sign(&self.secrets.rk);
        let digest = jws_digest(&request_jws);
        let requester = operation.subject().clone();
        let paper = Paper::new(
            Arc::clone(operation),
            request,
            &request_jws,
            requester,
            vote_until,
        );
        self.papers.keep(txn.clone(), paper);
        let new = NewRequest {
            txn,
            pep: pep.clone(),
            requester: operation.subject().clone(),
            resource_type: operation.resource_type().to_owned(),
            resource_id: operation.resource_id().to_owned(),
            operation: operation.bytes().to_vec(),
            ask_jws: ask_jws.to_owned(),
            request_jws,
            words: Words(matching_words(digest).map(str::to_owned)),
            opened_at: now,
            vote_until,
            same: same_of(operation),
            seen: seen_of(operation),
            limits: OpenLimits {
                per_pep: MAX_OPEN_PER_PEP,
                per_requester: MAX_OPEN_PER_REQUESTER,
            },
        };
        (new, digest)
    }
}

/// What a request asks for, whoever's sign-in, reason or ticket it comes with: the requester, what, and on what.
fn same_of(operation: &Operation) -> Digest {
    let value = operation.value();
    let part = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    let same = json!([
        operation.pep().as_str(),
        operation.subject().to_string(),
        part("/subject/properties/act"),
        part("/action"),
        part("/resource"),
    ]);
    Digest::tagged(
        "countersign/same/v1",
        &countersign_model::json::canonical(&same),
    )
}

/// What of it may be there for the first time: digests, where it says something about a person.
fn seen_of(operation: &Operation) -> Vec<(SeenKind, String)> {
    let value = operation.value();
    let resource = format!("{} {}", operation.resource_type(), operation.resource_id());
    let mut seen = vec![
        (SeenKind::Requester, String::new()),
        (SeenKind::Resource, resource),
    ];
    for (kind, pointer) in [
        (SeenKind::Device, "/subject/properties/device"),
        (SeenKind::Place, "/subject/properties/location"),
    ] {
        if let Some(found) = value.pointer(pointer) {
            let found = countersign_model::json::canonical(found);
            seen.push((kind, Digest::tagged(kind.as_str(), &found).to_string()));
        }
    }
    let client = ["azp", "client_id"]
        .into_iter()
        .find_map(|claim| operation.claims().get(claim)?.as_str());
    if let Some(client) = client {
        seen.push((SeenKind::Client, client.to_owned()));
    }
    seen
}

fn refusal(conflict: Conflict) -> Refused {
    match conflict {
        Conflict::OpenPerPep => {
            Refused::too_many("This gate has too many open requests.", RETRY_SECS)
        }
        Conflict::OpenPerRequester => {
            Refused::too_many("You have too many open requests.", RETRY_SECS)
        }
        Conflict::Spent(SpentKind::Ask) => Refused::conflict(
            "operation_already_asked",
            "This very operation, with its nonce, was asked for before: a new one needs a new nonce.",
        ),
        Conflict::Spent(
            SpentKind::PepToken
            | SpentKind::PopNonce
            | SpentKind::StepUp
            | SpentKind::ConsentKey
            | SpentKind::SecurityEvent,
        ) => Refused::conflict(
            "token_replayed",
            "This token was used before: make a new one for each call.",
        ),
        Conflict::Words
        | Conflict::Remembered
        | Conflict::Version
        | Conflict::Exists
        | Conflict::Counter
        | Conflict::TooManyBindings
        | Conflict::Revoked
        | Conflict::SignedOut
        | Conflict::Claims
        | Conflict::NotAway => App::contended(),
    }
}
