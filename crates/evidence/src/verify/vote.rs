//! One vote: steps 2 and 4 for it, and [`verify_vote`], which the server uses on `POST` and the app's history
//! for requests that never got a grant. [`super::verify`] uses the same steps for each vote.

use countersign_model::{Digest, MatchWords, Person, ReasonRule, UnixSecs, Voter};

use super::binding::{Bound, bound};
use super::bundle::{OpenRequest, decode, same};
use super::people::{beside, person_may_vote};
use super::report::{Found, Run};
use super::stages::{self, Earlier};
use super::{EvidenceVote, Refusal, SKEW_SECS, Step, StepId, StepUpEvidence, Trust, step_up};
use crate::check::Check;
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
    let in_stage = || {
        let earlier: Vec<Earlier<'_>> = before.iter().map(Earlier::of_before).collect();
        stages::check(&read.vote, &open.request().requirement, &earlier)
    };
    let cast = cast.and_then(|()| in_stage());
    run.take(StepId::Votes, cast.map(|()| Found::passed((), read.told())))?;
    let bound = run.take(
        StepId::Bindings,
        bound(&read, Some(trust), now).map(Found::of_binding),
    )?;
    let step_up_auth_time = run.take(StepId::StepUp, step_up::check(&read, &bound, open, now))?;
    let counted = person_may_vote(&read, &bound, open, Some(trust), now, None)
        .and_then(|counted| beside(counted, before));
    let counted = run.take(StepId::People, counted.map(Found::of_person))?;
    let auth_time = bound.auth_time();
    Ok(VerifiedVote {
        vote: read.vote,
        digest: read.digest,
        person: counted.person,
        voter: counted.voter,
        auth_time,
        step_up_auth_time,
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
    Check::Challenge.that(
        challenge == read.vote.nonce,
        "The vote answers another challenge: read the request again.",
    )?;
    Check::RequestOpen.that(now <= open.request().exp, "The request has expired.")?;
    Check::VoteNotExpired.that(now <= read.vote.exp + SKEW_SECS, "The vote has expired.")
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

    /// As signed.
    pub(super) fn jws(&self) -> &str {
        &self.jws
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
        Check::VoteServer.that(vote.server == request.iss, "A vote is for another server.")?;
        Check::BindingServer.that(
            self.statement.aud == request.iss,
            "A vote's binding is for another server.",
        )?;
        Check::VoteGate.that(vote.pep == request.pep, "A vote is for another gate.")?;
        Check::VoteTxn.that(vote.txn == request.txn, "A vote is on another request.")?;
        Check::VoteOperation.that(
            vote.operation_digest == request.operation_digest,
            "A vote is on another operation.",
        )?;
        Check::VoteRequest.that(
            vote.request_jws_digest == open.request_jws_digest(),
            "A vote is on another request.",
        )?;
        Check::VotePolicy.that(
            vote.policy_digest == request.policy_digest,
            "A vote is under another policy than the request.",
        )?;
        let thumbprint = self.statement.key.thumbprint();
        Check::VoteKey.that(
            self.kid == thumbprint && vote.key_thumbprint.to_string() == thumbprint,
            "A vote is by another key than its binding's.",
        )?;
        Check::VoteBinding.that(
            vote.binding_id == Digest::of(&self.cic),
            "A vote names another binding than the one that comes with it.",
        )
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
        match Vote::verify(&self.jws, &self.statement.key) {
            Ok(_) => {}
            Err(error) if error.is_signature() => {
                Check::VoteSignature.that(false, "A vote's signature is wrong.")?;
            }
            Err(error) => {
                return Err(refuse(
                    "vote_unreadable",
                    format!("A vote is refused: {error}."),
                ));
            }
        }
        Check::VoteTimes.that(vote.iat < vote.exp, "A vote ends before it begins.")?;
        Check::VoteWithinRequest.that(
            vote.exp <= request.exp,
            "A vote is good for longer than its request.",
        )?;
        Check::VoteAfterAsking.that(
            vote.iat >= asked_at - SKEW_SECS,
            "A vote is older than the operation that it is on.",
        )?;
        Check::VoteAfterRequest.that(
            vote.iat >= request.iat - SKEW_SECS,
            "A vote is older than the request that it is on.",
        )?;
        Check::VoteNotFuture.that(
            vote.iat <= now + SKEW_SECS,
            "A vote's time lies in the future: check the clocks.",
        )?;
        Check::VoteNotLate.that(
            vote.iat <= asked_at + i64::from(request.requirement.ttl_secs) + SKEW_SECS,
            "A vote was cast after the time for voting.",
        )?;
        self.says_what_is_wanted(open)
    }

    fn says_what_is_wanted(&self, open: &OpenRequest) -> Result<(), Refusal> {
        let (vote, requirement) = (&self.vote, &open.request().requirement);
        let needs_reason = match requirement.reason {
            ReasonRule::Optional => false,
            ReasonRule::OnDeny => vote.vote == Choice::Deny,
            ReasonRule::Always => true,
        };
        Check::Reason.that(
            !needs_reason || vote.reason.is_some(),
            "The policy wants a reason with this vote.",
        )?;
        let words = open.words().join(" ");
        Check::WordsRight.that(
            vote.match_words
                .as_ref()
                .is_none_or(|typed| *typed == words),
            "The matching words with a vote are not this request's.",
        )?;
        let needed = match requirement.match_words {
            MatchWords::Words => vote.vote == Choice::Approve,
            MatchWords::None => false,
        };
        Check::WordsThere.that(
            !needed || vote.match_words.is_some(),
            "The policy wants the matching words typed.",
        )
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
