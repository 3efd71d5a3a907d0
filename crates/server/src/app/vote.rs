//! Voting: the one verification, the policy asked again, then one transaction with the state, the vote, the
//! entries and, on a quorum, the grant.

use countersign_api::http::{VoteAnswer, VoteRequest};
use countersign_evidence::documents::{Grant, GrantVote, Vote, jws_digest};
use countersign_evidence::verify::{
    Before, OpenRequest, VerifiedVote, verify_request_bundle, verify_vote,
};
use countersign_evidence::op_token::OpKeys;
use countersign_evidence::{Choice, EvidenceVote, Refusal, Trust, TrustedOp};
use countersign_lifecycle as lifecycle;
use countersign_lifecycle::{CountedVote, Effect, Input, State, Step};
use countersign_model::{By, Digest, Issuer, PolicyAnswer, Subject, Txn, UnixSecs, b64u};
use countersign_store::{Conflict, NewVote, Tx, Write};
use serde_json::json;

use super::App;
use super::about::{Loaded, may_see, name_of};
use super::change::{With, entry_of, state_of, write_step};
use super::renew::is_newer;
use super::sign_in::grant_refused;
use super::token::Approver;
use crate::config::ProviderConfig;
use crate::refused::{Kind, Refused, Scheme};

impl App {
    /// Casts a vote. The same JWS again gets the same answer; what is refused is written down.
    pub(crate) async fn vote(
        &self,
        approver: &Approver,
        txn: &Txn,
        request: &VoteRequest,
    ) -> Result<VoteAnswer, Refused> {
        let viewer = self.viewer(&approver.binding)?;
        let loaded = self.load(txn, self.now()).await?;
        if !may_see(&*self.policy, &viewer, &loaded.about) {
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
            let verified = self.verify(approver, &loaded, request, now).await?;
            let next = self.count(&loaded, &verified, now)?;
            let tx = self.ballot(&loaded, &verified, &next, request, approver, now);
            match self.commit(tx).await? {
                Ok(()) => {
                    if let Some(at) = next.state.deadline(&loaded.terms) {
                        self.deadlines.add(at);
                    }
                    return Ok(answer(&loaded, &next.state));
                }
                Err(Conflict::Revoked) => {
                    return Err(Refused::unauthorized(
                        Scheme::Dpop,
                        "binding_revoked",
                        "This device was signed out: sign in again.",
                    ));
                }
                Err(_) => loaded = self.load(&loaded.row.txn, now).await?,
            }
        }
        Err(App::contended())
    }

    /// Steps of the protocol, section 6, as far as a vote is concerned.
    async fn verify(
        &self,
        approver: &Approver,
        loaded: &Loaded,
        request: &VoteRequest,
        now: UnixSecs,
    ) -> Result<VerifiedVote, Refused> {
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
        self.policy_still_asks(loaded)?;

        let claims_token = match &request.claims_token {
            Some(token) => {
                self.claims_token(token, binding, now).await?;
                Some(token.clone())
            }
            None => binding.claims_token.clone(),
        };
        let vote = EvidenceVote {
            jws: request.vote.clone(),
            cic: b64u(&binding.cic),
            id_token: Some(binding.id_token.clone()),
            claims_token,
            step_up: None,
        };
        let provider = self
            .provider_of(binding.person.iss.as_str())
            .ok_or_else(|| {
                grant_refused(
                    "provider_unknown",
                    "Your identity provider is no longer trusted here.",
                )
            })?;
        let mut keys = self.keys_for(provider, &binding.id_token).await?;
        if let Some(token) = &vote.claims_token {
            keys = self.keys_for(provider, token).await?;
        }
        let trust = Trust {
            server: &self.config.public_url,
            server_keys: vec![self.secrets.rk.public()],
            pep: (pep.id.clone(), pep.key.clone()),
            ops: self.trusted_ops(&provider.config.op.issuer, &keys.seen),
            session_secs: self.config.session_secs,
            policy: Some(&*self.policy),
        };
        let challenge = self.secrets.challenge(&row.txn, &binding.person);
        let before = before(&row.state);
        verify_ours(&vote, &open, &trust, &before, &challenge, now)
    }

    /// Every provider, since the requester may be another's; keys only of the voter's.
    fn trusted_ops(&self, voters: &Issuer, keys: &OpKeys) -> Vec<TrustedOp> {
        let trusted = |provider: &ProviderConfig| TrustedOp {
            config: provider.op.clone(),
            keys: (provider.op.issuer == *voters).then(|| keys.clone()),
        };
        self.config.providers.iter().map(trusted).collect()
    }

    /// The policy is asked at ask, vote and redeem: what was opened under another one is not voted on.
    fn policy_still_asks(&self, loaded: &Loaded) -> Result<(), Refused> {
        let holds = match self.policy.answer(&loaded.about.operation) {
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
        verified: &VerifiedVote,
        next: &Step,
        request: &VoteRequest,
        approver: &Approver,
        now: UnixSecs,
    ) -> Tx {
        let vote = verified.vote();
        let binding = &approver.binding;
        let name = match verified.voter() {
            Some(voter) => name_of(&voter.claims, &voter.subject),
            None => vote.sub_id.sub.clone(),
        };
        let mut tx = Tx::new();
        tx.push(Write::ExpectUnrevoked(binding.id));
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
            jws: request.vote.clone(),
            reason: vote.reason.clone(),
            binding: binding.id,
            claims_token: request
                .claims_token
                .clone()
                .or_else(|| binding.claims_token.clone()),
            at: now,
        })));
        if let Some(token) = request
            .claims_token
            .as_ref()
            .filter(|token| is_newer(token, binding))
        {
            // What the provider said last is what counts from now on, at redeem too.
            tx.push(Write::RefreshBinding {
                id: binding.id,
                claims_token: token.clone(),
            });
        }
        let with = With {
            grant_jws: self.grant(loaded, next, now),
            outcome: None,
            search: Some(format!(
                "{name}\n{}",
                vote.reason.as_deref().unwrap_or_default()
            )),
            by: Some(name),
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

fn verify_ours(
    vote: &EvidenceVote,
    open: &OpenRequest,
    trust: &Trust<'_>,
    before: &[Before],
    challenge: &str,
    now: UnixSecs,
) -> Result<VerifiedVote, Refused> {
    verify_vote(vote, open, trust, before, Some(challenge), now).map_err(refusal)
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
fn refusal(refusal: Refusal) -> Refused {
    let Refusal { code, sentence, .. } = refusal;
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
        "step_up_unsupported" => {
            Refused::unauthorized(Scheme::Dpop, "insufficient_user_authentication", sentence)
        }
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
