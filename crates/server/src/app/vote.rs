//! Voting: the one verification, the policy asked again, then one transaction with the state, the vote, the
//! entries and, on a quorum, the grant.

use countersign_api::http::{StepUp, VoteAnswer, VoteRequest};
use countersign_evidence::documents::{Grant, GrantVote, Vote, jws_digest, step_up_nonce};
use countersign_evidence::op_token::{OpKeys, peek_kid};
use countersign_evidence::verify::StepUpEvidence;
use countersign_evidence::verify::{Before, VerifiedVote, verify_request_bundle, verify_vote};
use countersign_evidence::{Choice, EvidenceVote, Refusal, StepId, Trust, TrustedOp};
use countersign_lifecycle as lifecycle;
use countersign_lifecycle::{CountedVote, Effect, Input, State, Step};
use countersign_model::{
    By, Digest, Issuer, PolicyAnswer, PolicyCheck, Subject, Txn, UnixSecs, b64u, b64u_decode,
};
use countersign_oidc::KeySet;
use countersign_store::{Conflict, NewVote, SpentKind, Tx, Write};
use serde_json::json;

use super::App;
use super::about::{Loaded, claims_of, may_see, name_of};
use super::change::{With, entry_of, state_of, write_step};
use super::claims::{Newer, issued_at, keep_claims, not_trusted};
use super::token::Approver;
use crate::config::ProviderConfig;
use crate::refused::{Kind, Refused, Scheme, StepUpWanted};

/// A step-up's sign-in, and the key that ties its consent, are known as used for so long, in seconds: longer than
/// any request is open (30 days), so that no vote on another one can be as old as they are.
const USED_SECS: i64 = 31 * 24 * 3600;

/// A vote that verified, with what the server keeps of it.
struct Cast {
    verified: VerifiedVote,
    evidence: EvidenceVote,
    /// The request's own claims token.
    brought: Option<Brought>,
    /// The newest claims that it was judged by were issued then.
    judged_by: UnixSecs,
}

/// A claims token that came with a vote and verified with it.
#[derive(Debug, Clone, Copy)]
struct Brought {
    issued_at: UnixSecs,
    /// It is of the vote's own step-up: it says nothing for other votes of the device.
    only_for_this_vote: bool,
}

impl App {
    /// Casts a vote. The same JWS again gets the same answer; what is refused is written down.
    pub(crate) async fn vote(
        &self,
        approver: &Approver,
        txn: &Txn,
        request: &VoteRequest,
    ) -> Result<VoteAnswer, Refused> {
        let viewer = self.viewer(&approver.binding).await?;
        let loaded = self.load(txn, self.now()).await?;
        if !may_see(&*self.policy(), &viewer, &loaded.about) {
            return Err(Refused::not_found());
        }
        let digest = jws_digest(&request.vote);
        match self.try_vote(approver, loaded, request, digest).await {
            Err(refused) if is_judgement(&refused) => {
                // Whoever floods is told so, and not written down without end.
                if !self.refused_votes.allows(approver.binding.id, self.now()) {
                    return Err(Refused::too_many(
                        "Too many refused votes; try again in a minute.",
                        60,
                    ));
                }
                let detail = json!({
                    "vote": digest.to_string(),
                    "binding": approver.binding.id.to_string(),
                    "code": refused.code,
                });
                let mut tx = Tx::new();
                tx.push(entry_of(self.now(), Some(txn), "vote-refused", &detail));
                let _ = self.commit(tx).await?;
                Err(refused)
            }
            other => other,
        }
    }

    async fn try_vote(
        &self,
        approver: &Approver,
        mut loaded: Loaded,
        request: &VoteRequest,
        digest: Digest,
    ) -> Result<VoteAnswer, Refused> {
        for _ in 0..super::MAX_TRIES {
            let now = self.now();
            let mine = |person: &Subject| *person == approver.binding.person;
            if loaded
                .row
                .votes
                .iter()
                .any(|vote| vote.digest == digest && mine(&vote.person))
            {
                return Ok(answer(&loaded, &loaded.row.state));
            }
            is_open(&loaded)?;
            is_not_theirs(&loaded, &approver.binding.person)?;
            let policy = self.policy();
            if let Some(again) = self.without_fallen(&*policy, &loaded).await? {
                loaded = again;
                continue;
            }
            let cast = self
                .verify(&*policy, approver, &loaded, request, now)
                .await?;
            let next = self.count(&loaded, &cast.verified, now)?;
            let tx = self.ballot(&loaded, &cast, &next, approver, now);
            match self.commit(tx).await? {
                Ok(()) => {
                    if let Some(at) = next.state.deadline(&loaded.terms) {
                        self.deadlines.add(at);
                    }
                    if cast.brought.is_some() {
                        // What the provider says now may end votes of theirs on other requests.
                        self.void_ineligible(&approver.binding.person).await?;
                    }
                    return Ok(answer(&loaded, &next.state));
                }
                Err(Conflict::Revoked) => {
                    self.is_signed_in(approver).await?;
                    // It was another's: their vote is void, and the count begins anew.
                    self.void_revoked().await?;
                    loaded = self.load(&loaded.row.txn, now).await?;
                }
                Err(Conflict::Spent(kind)) => return Err(step_up_used(kind, &loaded)),
                Err(Conflict::Counter) => {
                    return Err(Refused::forbidden(
                        "step_up_counter",
                        "This security key has counted further before: somebody may have a copy of it. Do not use it again.",
                    ));
                }
                Err(_) => loaded = self.load(&loaded.row.txn, now).await?,
            }
        }
        Err(App::contended())
    }

    async fn is_signed_in(&self, approver: &Approver) -> Result<(), Refused> {
        match self.store.binding(approver.binding.id).await? {
            Some(row) if row.revoked_at.is_none() => Ok(()),
            Some(_) | None => Err(Refused::unauthorized(
                Scheme::Dpop,
                "binding_revoked",
                "This device was signed out: sign in again.",
            )),
        }
    }

    /// The request after a counted vote fell whose person may no longer vote; none where all of them stand. A
    /// quorum is not completed over a vote that would not be let through.
    async fn without_fallen(
        &self,
        policy: &dyn PolicyCheck,
        loaded: &Loaded,
    ) -> Result<Option<Loaded>, Refused> {
        for vote in loaded.row.state.votes() {
            if !self.stands(policy, loaded, vote).await? {
                return self.void(loaded, vote).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Steps of the protocol, section 6, as far as a vote is concerned.
    async fn verify(
        &self,
        policy: &dyn PolicyCheck,
        approver: &Approver,
        loaded: &Loaded,
        request: &VoteRequest,
        now: UnixSecs,
    ) -> Result<Cast, Refused> {
        let binding = &approver.binding;
        let (_, vote) = Vote::unverified(&request.vote).map_err(|error| {
            Refused::malformed("vote_unreadable", format!("The vote is refused: {error}."))
        })?;
        if vote.binding_id != binding.id {
            return Err(Refused::forbidden(
                "unknown_key",
                "The vote is by another device than the one that is signed in here.",
            ));
        }
        let row = &loaded.row;
        let pep = self.pep(&row.pep)?;
        let open = verify_request_bundle(
            &row.request_jws,
            &row.ask_jws,
            &row.operation,
            &self.config.public_url,
            &[self.secrets.rk.public()],
            &self.pep_keys(),
            now,
        )
        .map_err(|refusal| Refused::conflict("request_unverified", refusal.sentence))?;
        policy_still_asks(policy, loaded)?;

        let claims_token = request
            .claims_token
            .clone()
            .or_else(|| binding.claims_token.clone());
        let stage = vote.stage.clone();
        let evidence = EvidenceVote {
            jws: request.vote.clone(),
            cic: b64u(&binding.cic),
            id_token: Some(binding.id_token.clone()),
            claims_token,
            step_up: request.step_up.clone().map(step_up),
        };
        let provider = self.provider_of(binding.person.iss.as_str());
        let provider = provider.ok_or_else(not_trusted)?;
        let keys = self.keys_for(provider, &tokens_of(&evidence)).await?;
        by_current_keys(request, &keys)?;
        let trust = Trust {
            server: &self.config.public_url,
            server_keys: vec![self.secrets.rk.public()],
            pep: (pep.id.clone(), pep.key.clone()),
            ops: self.trusted_ops(&provider.config.op.issuer, &keys.seen),
            session_secs: self.config.session_secs,
            policy: Some(policy),
        };
        let challenge = self.secrets.challenge(&row.txn, &binding.person);
        let before = before(&row.state);
        let verified = verify_vote(&evidence, &open, &trust, &before, Some(&challenge), now)
            .map_err(|refused| refusal(refused, loaded))?;

        // Another device of theirs may have brought newer claims than this vote comes with.
        let newest = self.newest(&binding.person, binding).await?;
        let newest = newest.ok_or_else(not_trusted)?;
        let brought = match &request.claims_token {
            Some(token) => brought(token, &request.vote),
            None => None,
        };
        let used = brought.map(|brought| brought.issued_at);
        if used.is_none_or(|used| used < newest.issued_at) {
            let operation = &loaded.about.operation;
            policy
                .may_vote(&newest.viewer.voter, operation, stage.as_deref())
                .map_err(|why| Refused::forbidden("not_eligible", why))?;
        }
        Ok(Cast {
            verified,
            evidence,
            judged_by: used.map_or(newest.issued_at, |used| used.max(newest.issued_at)),
            brought,
        })
    }

    /// Every provider, since the requester may be another's; keys only of the voter's.
    fn trusted_ops(&self, voters: &Issuer, keys: &OpKeys) -> Vec<TrustedOp> {
        let trusted = |provider: &ProviderConfig| TrustedOp {
            config: provider.op.clone(),
            keys: (provider.op.issuer == *voters).then(|| keys.clone()),
        };
        self.config.providers.iter().map(trusted).collect()
    }

    fn count(
        &self,
        loaded: &Loaded,
        verified: &VerifiedVote,
        now: UnixSecs,
    ) -> Result<Step, Refused> {
        let vote = verified.vote();
        let person = verified
            .person()
            .ok_or_else(|| Refused::broken("a vote's person", &"none was verified"))?;
        let input = Input::CastVote {
            choice: choice(vote.vote),
            vote: CountedVote {
                subject: vote.sub_id.clone(),
                person: person.clone(),
                stage: vote.stage.clone(),
                prior: vote.prior.clone(),
                digest: verified.digest(),
                binding: vote.binding_id,
                signed_at: vote.iat,
            },
            supersedes: vote.supersedes,
        };
        Ok(lifecycle::step(
            &loaded.terms,
            loaded.row.state.clone(),
            input,
            now,
        )?)
    }

    /// Everything that a counted vote changes. CRASH: all of it, or nothing.
    fn ballot(
        &self,
        loaded: &Loaded,
        cast: &Cast,
        next: &Step,
        approver: &Approver,
        now: UnixSecs,
    ) -> Tx {
        let Cast {
            verified,
            evidence,
            brought,
            judged_by,
        } = cast;
        let vote = verified.vote();
        let binding = &approver.binding;
        let name = match verified.voter() {
            Some(voter) => name_of(&voter.claims, &voter.subject),
            None => vote.sub_id.sub.clone(),
        };
        let mut tx = Tx::new();
        tx.push(Write::ExpectUnrevoked(binding.id));
        tx.push(Write::ExpectClaims {
            person: binding.person.clone(),
            issued_at: *judged_by,
        });
        for (kind, value) in used_up(verified) {
            tx.push(Write::Spend {
                kind,
                value,
                until: now + USED_SECS,
            });
        }
        if let Some((key, count)) = counted(evidence) {
            tx.push(Write::CountAssertion { key, count });
        }
        // The others' bindings are checked by the same transaction that signs the grant over their votes.
        for other in next
            .state
            .votes()
            .iter()
            .filter(|other| other.binding != binding.id)
        {
            tx.push(Write::ExpectUnrevoked(other.binding));
        }
        tx.push(Write::CastVote(Box::new(NewVote {
            request: loaded.row.key,
            person: vote.sub_id.clone(),
            name: name.clone(),
            choice: choice(vote.vote),
            digest: verified.digest(),
            jws: evidence.jws.clone(),
            reason: vote.reason.clone(),
            binding: binding.id,
            claims_token: evidence.claims_token.clone(),
            step_up: evidence
                .step_up
                .as_ref()
                .map(|step_up| step_up.to_value().to_string()),
            at: now,
        })));
        if let (Some(brought), Some(token)) = (brought, &evidence.claims_token) {
            // What the provider said last is what counts from now on, at redeem too.
            let issued_at = brought.issued_at;
            if brought.only_for_this_vote {
                tx.push(Write::KeepClaims {
                    person: binding.person.clone(),
                    token: token.clone(),
                    issued_at,
                });
            } else {
                let (Newer::Yes | Newer::No) = keep_claims(&mut tx, binding, token, issued_at);
            }
        }
        let with = With {
            grant_jws: self.grant(loaded, next, now),
            outcome: None,
            by: Some(name),
            reason: vote.reason.clone(),
        };
        write_step(&mut tx, loaded, next, with, now);
        tx
    }

    fn grant(&self, loaded: &Loaded, next: &Step, now: UnixSecs) -> Option<String> {
        let (votes, until) = next.effects.iter().find_map(|effect| match effect {
            Effect::IssueGrant { votes, until } => Some((votes, *until)),
            Effect::TellUpdated | Effect::TellClosed { .. } => None,
        })?;
        let grant = Grant {
            iss: self.config.public_url.clone(),
            aud: loaded.row.pep.clone(),
            jti: b64u(&rand::random::<[u8; 16]>()),
            iat: now,
            nbf: now,
            exp: until,
            txn: loaded.row.txn.clone(),
            operation_digest: loaded.about.operation.digest(),
            request_jws_digest: jws_digest(&loaded.row.request_jws),
            votes: votes
                .iter()
                .map(|vote| GrantVote {
                    digest: vote.digest,
                    subject: vote.subject.clone(),
                    binding_id: vote.binding,
                })
                .collect(),
            policy_digest: loaded.request.policy_digest,
        };
        Some(grant.sign(&self.secrets.rk))
    }
}

/// The policy is asked at ask, vote and redeem: what was opened under another one is not voted on.
fn policy_still_asks(policy: &dyn PolicyCheck, loaded: &Loaded) -> Result<(), Refused> {
    let holds = match policy.answer(&loaded.about.operation) {
        PolicyAnswer::Allow | PolicyAnswer::Deny { .. } => false,
        PolicyAnswer::Approve(mine) => mine.covers(&loaded.request.requirement).is_ok(),
    };
    if holds {
        Ok(())
    } else {
        Err(Refused::conflict(
            "policy_changed",
            "The policy has changed since this was asked: it has to be asked for again.",
        ))
    }
}

/// Every token of a vote that the provider signed.
fn tokens_of(vote: &EvidenceVote) -> Vec<&str> {
    let EvidenceVote {
        jws: _,
        cic: _,
        id_token,
        claims_token,
        step_up,
    } = vote;
    let mut tokens: Vec<&str> = [id_token, claims_token]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    match step_up {
        Some(StepUpEvidence::Oidc {
            id_token,
            access_token,
        }) => {
            tokens.push(id_token);
            tokens.extend(access_token.as_deref());
        }
        Some(StepUpEvidence::Webauthn { .. }) | None => {}
    }
    tokens
}

/// What was issued for this vote is signed by a key that the provider publishes now. (Evidence is judged by keys
/// that it has withdrawn since, too: a stolen one must not make new votes here.)
fn by_current_keys(request: &VoteRequest, keys: &KeySet) -> Result<(), Refused> {
    let VoteRequest {
        vote: _,
        step_up,
        claims_token,
    } = request;
    let confirming = match step_up {
        Some(StepUp::Oidc {
            id_token,
            access_token,
        }) => [Some(id_token), access_token.as_ref()],
        Some(StepUp::Webauthn { .. }) | None => [None, None],
    };
    for token in confirming
        .into_iter()
        .chain([claims_token.as_ref()])
        .flatten()
    {
        let kid = peek_kid(token).ok().flatten();
        if !kid.is_some_and(|kid| keys.current.knows(&kid)) {
            return Err(Refused::forbidden(
                "provider_key_withdrawn",
                "A token that came with the vote is signed by a key that the provider does not publish now.",
            ));
        }
    }
    Ok(())
}

/// A claims token that was verified with its vote.
fn brought(token: &str, vote_jws: &str) -> Option<Brought> {
    let claims = claims_of(token)?;
    let nonce = claims.get("nonce").and_then(serde_json::Value::as_str);
    Some(Brought {
        issued_at: issued_at(&claims),
        only_for_this_vote: nonce == Some(&*step_up_nonce(vote_jws)),
    })
}

fn step_up(step_up: StepUp) -> StepUpEvidence {
    match step_up {
        StepUp::Oidc {
            id_token,
            access_token,
        } => StepUpEvidence::Oidc {
            id_token,
            access_token,
        },
        StepUp::Webauthn {
            authenticator_data,
            client_data_json,
            signature,
            key,
        } => StepUpEvidence::Webauthn {
            authenticator_data,
            client_data_json,
            signature,
            key,
        },
    }
}

/// What this vote uses up: its person's fresh sign-in, and the key that ties its consent.
fn used_up(verified: &VerifiedVote) -> Vec<(SpentKind, String)> {
    let vote = verified.vote();
    let mut used = Vec::new();
    if let Some(auth_time) = verified.step_up_auth_time() {
        used.push((SpentKind::StepUp, format!("{} {auth_time}", vote.sub_id)));
    }
    if let Some(key) = vote.consent_jkt {
        used.push((SpentKind::ConsentKey, key.to_string()));
    }
    used
}

/// The security key that confirmed the vote, and how often it had signed by then: the last of its data, which verified
/// (WebAuthn, section 6.1).
fn counted(evidence: &EvidenceVote) -> Option<(String, u32)> {
    match evidence.step_up.as_ref()? {
        StepUpEvidence::Webauthn {
            authenticator_data,
            key,
            ..
        } => {
            let data = b64u_decode(authenticator_data).ok()?;
            Some((key.clone(), u32::from_be_bytes(*data.last_chunk()?)))
        }
        StepUpEvidence::Oidc { .. } => None,
    }
}

fn step_up_used(kind: SpentKind, loaded: &Loaded) -> Refused {
    let detail = match kind {
        SpentKind::ConsentKey => "This consent was used for another vote: give it anew.",
        SpentKind::StepUp
        | SpentKind::PopNonce
        | SpentKind::PepToken
        | SpentKind::Ask
        | SpentKind::SecurityEvent => {
            "This sign-in has confirmed another vote: sign in again for this one."
        }
    };
    step_up_refused("step_up_used", detail, loaded)
}

/// RFC 9470: the provider has to be asked again, for this.
fn step_up_refused(code: &'static str, detail: impl Into<String>, loaded: &Loaded) -> Refused {
    Refused {
        step_up: Some(StepUpWanted {
            acr: loaded.request.requirement.acr.clone(),
        }),
        ..Refused::unauthorized(Scheme::Dpop, code, detail)
    }
}

/// The approves that count already.
fn before(state: &State) -> Vec<Before> {
    let of = |vote: &CountedVote| Before {
        digest: vote.digest,
        person: vote.person.clone(),
        stage: vote.stage.clone(),
    };
    state.votes().iter().map(of).collect()
}

/// The verification's codes as the approver's agent acts on them.
fn refusal(refusal: Refusal, loaded: &Loaded) -> Refused {
    let Refusal {
        step,
        code,
        sentence,
        passed: _,
    } = refusal;
    if step == StepId::StepUp {
        return step_up_refused(code, sentence, loaded);
    }
    match code {
        "operation_digest_differs" | "request_digest_differs" | "txn_differs" => {
            Refused::conflict("wrong_digest", sentence)
        }
        "vote_key_differs" | "vote_signature" | "binding_differs" | "voter_differs"
        | "binding_nonce" => Refused::forbidden("unknown_key", sentence),
        "request_expired" | "vote_expired" => Refused::new(Kind::Gone, "expired", sentence),
        "requester_votes" => Refused::forbidden("own_request", sentence),
        "may_not_vote" => Refused::forbidden("not_eligible", sentence),
        "claims_too_old" => Refused::unauthorized(Scheme::Dpop, "claims_too_old", sentence),
        "binding_session_over" | "binding_key_unknown" => {
            Refused::unauthorized(Scheme::Dpop, "use_fresh_sign_in", sentence)
        }
        code if code.starts_with("claims_token_") => Refused::malformed(code, sentence),
        "person_unknown" => Refused::forbidden("person_unknown", sentence),
        "vote_unreadable" | "binding_unreadable" => Refused::malformed(code, sentence),
        other => Refused::conflict(other, sentence),
    }
}

/// Closed and late votes are told so before anything is verified: whoever may see the request knows it anyway.
fn is_open(loaded: &Loaded) -> Result<(), Refused> {
    let refused = match loaded.row.state {
        State::Pending(_) | State::Approved(_) => return Ok(()),
        State::Expired(_) => lifecycle::Refused::Expired,
        State::Redeemed(_) | State::Denied(_) | State::Withdrawn(_) | State::Voided(_) => {
            lifecycle::Refused::Closed
        }
    };
    Err(refused.into())
}

/// Nobody votes on their own request, whatever the policy and their groups say.
fn is_not_theirs(loaded: &Loaded, person: &Subject) -> Result<(), Refused> {
    match loaded.terms.by {
        By::Others if loaded.terms.is_requester(person) => {
            Err(lifecycle::Refused::OwnRequest.into())
        }
        By::Others | By::Requester => Ok(()),
    }
}

/// A refusal that says something about the vote goes into the audit entries; a fault of ours does not.
fn is_judgement(refused: &Refused) -> bool {
    match refused.kind {
        Kind::Malformed
        | Kind::Unauthorized(_)
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Conflict
        | Kind::Gone
        | Kind::TooLarge => true,
        Kind::TooMany | Kind::Unavailable | Kind::Broken => false,
    }
}

fn choice(choice: Choice) -> lifecycle::Choice {
    match choice {
        Choice::Approve => lifecycle::Choice::Approve,
        Choice::Deny => lifecycle::Choice::Deny,
    }
}

fn answer(loaded: &Loaded, state: &State) -> VoteAnswer {
    VoteAnswer {
        state: state_of(state.kind()),
        approvals: u32::try_from(state.votes().len()).unwrap_or(u32::MAX),
        needed: loaded.terms.approvals,
    }
}
