//! One vote: steps 2 and 4 for it, and [`verify_vote`], which the server uses on `POST` and the app's history
//! for requests that never got a grant. [`super::verify`] uses the same steps for each vote.

use countersign_model::{Digest, MatchWords, Person, ReasonRule, UnixSecs, Voter};

use super::binding::{Bound, bound};
use super::bundle::{OpenRequest, decode, same};
use super::people::person_may_vote;
use super::report::{Found, Run};
use super::{EvidenceVote, Refusal, SKEW_SECS, Step, StepId, StepUpEvidence, Trust, step_up};
use crate::documents::{Choice, GrantVote, Statement, Vote, jws_digest};

/// A vote that holds. Only this crate makes one.
#[derive(Debug, Clone)]
pub struct VerifiedVote {
    pub(super) vote: Vote,
    pub(super) digest: Digest,
    pub(super) person: Option<Person>,
    pub(super) voter: Option<Voter>,
    pub(super) auth_time: Option<UnixSecs>,
    pub(super) step_up_auth_time: Option<UnixSecs>,
    pub(super) steps: Vec<Step>,
}

impl VerifiedVote {
    /// The vote.
    pub fn vote(&self) -> &Vote {
        &self.vote
    }

    /// `H` over its JWS.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whom it counts for; none where this verifier was not given the voter's token.
    pub fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// The voter by their claims; none where this verifier was not given the voter's token.
    pub fn voter(&self) -> Option<&Voter> {
        self.voter.as_ref()
    }

    /// When the voter signed in; none where this verifier was not given the voter's token.
    pub fn auth_time(&self) -> Option<UnixSecs> {
        self.auth_time
    }

    /// When the voter signed in for this very vote; none where nobody asked for it, or a security key did it. One
    /// such time of a person serves one vote: the server holds that.
    pub fn step_up_auth_time(&self) -> Option<UnixSecs> {
        self.step_up_auth_time
    }

    /// As the next vote's verification wants it; none where this verifier was not given the voter's token.
    pub fn as_before(&self) -> Option<Before> {
        Some(Before {
            digest: self.digest,
            person: self.person.clone()?,
            stage: self.vote.stage.clone(),
        })
    }

    /// The steps of [`verify_vote`]; empty for a vote of a [`super::Verified`], whose steps cover all votes.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// An approve that counts already, when another vote is cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// `H` over its JWS.
    pub digest: Digest,
    /// Whom it counts for.
    pub person: Person,
    /// Its stage, where there are stages.
    pub stage: Option<String>,
}

/// Verifies one vote, approve or deny. With a challenge it is being cast now: the vote must carry this
/// challenge and be fresh. Without one it is history.
///
/// With a challenge nothing may be missing: keys, policy and the voter's token must all be there. Counting is
/// the caller's: this says that the vote counts, not that the request is decided, or that this person has not
/// voted before.
pub fn verify_vote(
    vote: &EvidenceVote,
    open: &OpenRequest,
    trust: &Trust<'_>,
    before: &[Before],
    challenge: Option<&str>,
    now: UnixSecs,
) -> Result<VerifiedVote, Refusal> {
    let mut run = Run::new(challenge.is_some());
    let read = run.take(
        StepId::Sameness,
        ReadVote::of(vote).and_then(|read| {
            read.is_on(open)?;
            Ok(Found::passed(read, "The vote is about this very request."))
        }),
    )?;
    if let Some(challenge) = challenge {
        run.check(is_in_answer(&read, open, challenge, now))?;
    }
    let cast = read.is_cast(open, open.ask().iat, now);
    run.take(StepId::Votes, cast.map(|()| Found::passed((), read.told())))?;
    let bound = run.take(
        StepId::Bindings,
        bound(&read, Some(trust), now).map(Found::of_binding),
    )?;
    run.take(StepId::StepUp, step_up::check(open, read.vote.vote))?;
    let counted = person_may_vote(&read, &bound, open, Some(trust), now, None);
    let counted = run.take(StepId::People, counted.map(Found::of_person))?;
    let auth_time = bound.auth_time();
    Ok(VerifiedVote {
        vote: read.vote,
        digest: read.digest,
        person: counted.person,
        voter: counted.voter,
        auth_time,
        step_up_auth_time: None,
        steps: run.finish(),
    })
}

/// A vote that is cast now answers the server's challenge, on a request that is still open.
fn is_in_answer(
    read: &ReadVote,
    open: &OpenRequest,
    challenge: &str,
    now: UnixSecs,
) -> Result<(), Refusal> {
    if challenge != read.vote.nonce {
        return Err(refuse(
            "challenge_differs",
            "The vote answers another challenge: read the request again.",
        ));
    }
    if now > open.request().exp {
        return Err(refuse("request_expired", "The request has expired."));
    }
    if now > read.vote.exp + SKEW_SECS {
        return Err(refuse("vote_expired", "The vote has expired."));
    }
    Ok(())
}

/// A vote that was read but of which nothing is proven yet.
pub(super) struct ReadVote {
    pub(super) vote: Vote,
    pub(super) digest: Digest,
    pub(super) statement: Statement,
    pub(super) cic: Vec<u8>,
    pub(super) id_token: Option<String>,
    pub(super) claims_token: Option<String>,
    pub(super) step_up: Option<StepUpEvidence>,
    jws: String,
    kid: String,
}

impl ReadVote {
    pub(super) fn of(evidence: &EvidenceVote) -> Result<Self, Refusal> {
        let EvidenceVote {
            jws,
            cic,
            id_token,
            claims_token,
            step_up,
        } = evidence;
        let (kid, vote) = Vote::unverified(jws)
            .map_err(|error| same("vote_unreadable", format!("A vote is refused: {error}.")))?;
        let cic = decode(cic, StepId::Sameness, "binding statement")?;
        let statement = Statement::from_bytes(&cic).map_err(|error| {
            same(
                "binding_unreadable",
                format!("A binding statement is refused: {error}."),
            )
        })?;
        Ok(Self {
            vote,
            digest: jws_digest(jws),
            statement,
            cic,
            id_token: id_token.clone(),
            claims_token: claims_token.clone(),
            step_up: step_up.clone(),
            jws: jws.clone(),
            kid,
        })
    }

    /// As a grant names it.
    pub(super) fn as_granted(&self) -> GrantVote {
        let Vote {
            sub_id, binding_id, ..
        } = &self.vote;
        GrantVote {
            digest: self.digest,
            subject: sub_id.clone(),
            binding_id: *binding_id,
        }
    }

    /// Step 2: it is on this request, by the key that its binding statement names.
    pub(super) fn is_on(&self, open: &OpenRequest) -> Result<(), Refusal> {
        let (vote, request) = (&self.vote, open.request());
        if vote.server != request.iss || self.statement.aud != request.iss {
            return Err(same(
                "server_differs",
                "A vote or its binding is for another server.",
            ));
        }
        if vote.pep != request.pep {
            return Err(same("pep_differs", "A vote is for another gate."));
        }
        if vote.txn != request.txn {
            return Err(same("txn_differs", "A vote is on another request."));
        }
        if vote.operation_digest != request.operation_digest {
            return Err(same(
                "operation_digest_differs",
                "A vote is on another operation.",
            ));
        }
        if vote.request_jws_digest != open.request_jws_digest() {
            return Err(same(
                "request_digest_differs",
                "A vote is on another request.",
            ));
        }
        if vote.policy_digest != request.policy_digest {
            return Err(same(
                "policy_digest_differs",
                "A vote is under another policy than the request.",
            ));
        }
        let thumbprint = self.statement.key.thumbprint();
        if self.kid != thumbprint || vote.key_thumbprint.to_string() != thumbprint {
            return Err(same(
                "vote_key_differs",
                "A vote is by another key than its binding's.",
            ));
        }
        if vote.binding_id != Digest::of(&self.cic) {
            return Err(same(
                "binding_differs",
                "A vote names another binding than the one that comes with it.",
            ));
        }
        Ok(())
    }

    /// Step 4, save for what concerns the grant: signed, cast in time, with what the requirement wants said.
    /// `asked_at` is T0 where the verifier knows it, else the ask's own time.
    pub(super) fn is_cast(
        &self,
        open: &OpenRequest,
        asked_at: UnixSecs,
        now: UnixSecs,
    ) -> Result<(), Refusal> {
        let (vote, request) = (&self.vote, open.request());
        Vote::verify(&self.jws, &self.statement.key).map_err(|error| {
            if error.is_signature() {
                refuse("vote_signature", "A vote's signature is wrong.")
            } else {
                refuse("vote_unreadable", format!("A vote is refused: {error}."))
            }
        })?;
        if vote.iat >= vote.exp {
            return Err(refuse("vote_times", "A vote ends before it begins."));
        }
        if vote.exp > request.exp {
            return Err(refuse(
                "vote_outlives_request",
                "A vote is good for longer than its request.",
            ));
        }
        if vote.iat < asked_at - SKEW_SECS || vote.iat < request.iat - SKEW_SECS {
            return Err(refuse(
                "vote_too_early",
                "A vote is older than the operation that it is on.",
            ));
        }
        if vote.iat > now + SKEW_SECS {
            return Err(refuse(
                "vote_in_future",
                "A vote's time lies in the future: check the clocks.",
            ));
        }
        if vote.iat > asked_at + i64::from(request.requirement.ttl_secs) + SKEW_SECS {
            return Err(refuse(
                "vote_too_late",
                "A vote was cast after the time for voting.",
            ));
        }
        self.says_what_is_wanted(open)
    }

    fn says_what_is_wanted(&self, open: &OpenRequest) -> Result<(), Refusal> {
        let (vote, requirement) = (&self.vote, &open.request().requirement);
        let needs_reason = match requirement.reason {
            ReasonRule::Optional => false,
            ReasonRule::OnDeny => vote.vote == Choice::Deny,
            ReasonRule::Always => true,
        };
        if needs_reason && vote.reason.is_none() {
            return Err(refuse(
                "reason_missing",
                "The policy wants a reason with this vote.",
            ));
        }
        let words = open.words().join(" ");
        match (requirement.match_words, &vote.match_words) {
            (_, Some(typed)) if *typed != words => Err(refuse(
                "match_wrong",
                "The matching words with a vote are not this request's.",
            )),
            (MatchWords::Words, None) if vote.vote == Choice::Approve => Err(refuse(
                "match_missing",
                "The policy wants the matching words typed.",
            )),
            (MatchWords::Words | MatchWords::None, _) => Ok(()),
        }
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let Vote {
            sub_id, vote, iat, ..
        } = &self.vote;
        let verb = match vote {
            Choice::Approve => "approved",
            Choice::Deny => "denied",
        };
        let alg = self.statement.key.alg().as_str();
        format!("{} {verb} on {} with an {alg} key.", sub_id.sub, iat.utc())
    }
}

fn refuse(code: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(StepId::Votes, code, sentence)
}

impl<'t> Found<Bound<'t>> {
    fn of_binding(bound: Bound<'t>) -> Self {
        match bound.lacking() {
            None => {
                let detail = bound.told();
                Self::passed(bound, detail)
            }
            Some((code, sentence)) => Self::lacking(bound, code, sentence),
        }
    }
}
