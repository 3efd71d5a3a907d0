//! Step 6: a fresh sign-in, or a touch of a security key, for one very vote. Specification: `docs/spec/step-up.md`.
//!
//! [`verify_step_up`] is public for the agent, which checks by it what the provider answered before it passes
//! that on.

mod oidc;
mod webauthn;

use countersign_model::{By, Requirement, ServerId, StepUp, UnixSecs};

use super::binding::Bound;
use super::bundle::OpenRequest;
use super::report::Found;
use super::vote::ReadVote;
use super::{Refusal, StepId, StepUpEvidence};
use crate::check::Check;
use crate::documents::{Choice, Statement, Vote, step_up_nonce};
use crate::op_token::{OpConfig, OpKeys, PersonRule, lookup, peek_nonce};

/// An authentication for a vote may be so much older than the vote by the provider's clock, in seconds.
pub const BEFORE_VOTE_SECS: i64 = 5;

/// The vote that a step-up is for, and what is demanded of it.
#[derive(Debug, Clone, Copy)]
pub struct SteppedUp<'a> {
    /// As signed: its digest is the nonce or the challenge.
    pub vote_jws: &'a str,
    /// The same, read.
    pub vote: &'a Vote,
    /// What is demanded.
    pub requirement: &'a Requirement,
    /// The server.
    pub server: &'a ServerId,
}

/// What a step-up that holds says.
#[derive(Debug, Clone, PartialEq)]
pub struct StepUpFound {
    /// When the person signed in for this vote; none where a security key did it.
    pub auth_time: Option<UnixSecs>,
    /// For people: by what means, with which consent.
    pub told: String,
    /// The claims of the sign-in, where there was one.
    claims: Option<serde_json::Value>,
}

/// Verifies a step-up by itself: everything of step 6 but whether the voter's binding names the same person.
///
/// # Errors
/// The check that refused, with its own code.
pub fn verify_step_up(
    step_up: &StepUpEvidence,
    of: SteppedUp<'_>,
    statement: &Statement,
    (config, keys): (&OpConfig, &OpKeys),
    now: UnixSecs,
) -> Result<StepUpFound, Refusal> {
    let means = of.requirement.step_up;
    let nonce = step_up_nonce(of.vote_jws);
    match (step_up, means) {
        (
            StepUpEvidence::Oidc {
                id_token,
                access_token,
            },
            StepUp::Oidc,
        ) => oidc::verify(
            id_token,
            access_token.as_deref(),
            &nonce,
            of,
            config,
            keys,
            now,
        ),
        (
            StepUpEvidence::Webauthn {
                authenticator_data,
                client_data_json,
                signature,
                key,
            },
            StepUp::Webauthn,
        ) => {
            let parts = webauthn::Parts {
                authenticator_data,
                client_data_json,
                signature,
                key,
            };
            webauthn::verify(parts, &nonce, statement)
        }
        (StepUpEvidence::Oidc { .. } | StepUpEvidence::Webauthn { .. }, _) => {
            Check::StepUpMeans.that(
                false,
                "The vote was confirmed by other means than the requirement asks for.",
            )?;
            Ok(StepUpFound {
                auth_time: None,
                told: String::new(),
                claims: None,
            })
        }
    }
}

/// Step 6 for one vote. A deny needs none.
pub(super) fn check(
    read: &ReadVote,
    bound: &Bound<'_>,
    open: &OpenRequest,
    now: UnixSecs,
) -> Result<Found<Option<UnixSecs>>, Refusal> {
    let requirement = &open.request().requirement;
    if read.vote.vote == Choice::Deny {
        return Ok(Found::not_applicable(None, "A deny needs none."));
    }
    can_be_met(requirement)?;
    if requirement.step_up == StepUp::None {
        Check::StepUpAsked.that(
            read.step_up.is_none(),
            "A vote comes with a step-up that nobody asked for.",
        )?;
        return Ok(Found::not_applicable(
            None,
            "The requirement does not ask for it.",
        ));
    }
    let Some(step_up) = &read.step_up else {
        return missing(bound);
    };
    let (binding, op, keys) = match bound {
        Bound::Proven {
            binding, op, keys, ..
        } => (binding, op, keys),
        Bound::Lacking { code, sentence } => {
            commits(step_up, read)?;
            return Ok(Found::lacking(None, code, sentence));
        }
    };
    let of = SteppedUp {
        vote_jws: read.jws(),
        vote: &read.vote,
        requirement,
        server: &read.vote.server,
    };
    let StepUpFound {
        auth_time,
        told,
        claims,
    } = verify_step_up(step_up, of, &read.statement, (&op.config, keys), now)?;
    if let Some(claims) = &claims {
        same_person(&op.config.person, &binding.id_token().claims, claims)?;
    }
    Ok(Found::passed(auth_time, told))
}

/// A requirement that contradicts itself is refused, whoever made it.
fn can_be_met(requirement: &Requirement) -> Result<(), Refusal> {
    let Requirement {
        by,
        step_up,
        acr,
        scope,
        ..
    } = requirement;
    let sense = match (step_up, by) {
        (StepUp::Oidc, By::Others | By::Requester) => true,
        // A security key brings neither: only a sign-in at the provider does.
        (StepUp::Webauthn, By::Others | By::Requester) => acr.is_none() && scope.is_none(),
        // Otherwise whoever stole the requester's token confirms it too.
        (StepUp::None, By::Requester) => false,
        (StepUp::None, By::Others) => acr.is_none() && scope.is_none(),
    };
    Check::StepUpSense.that(
        sense,
        "The requirement asks for what its own step-up cannot bring: a scope or an authentication context needs \
         `step_up: oidc`, and `by: requester` needs a step-up.",
    )
}

/// Absent is a failure, unless this verifier was given no tokens at all.
fn missing(bound: &Bound<'_>) -> Result<Found<Option<UnixSecs>>, Refusal> {
    match bound {
        Bound::Lacking {
            code: code @ "id_token_missing",
            sentence,
        } => Ok(Found::lacking(None, code, sentence)),
        Bound::Lacking { .. } | Bound::Proven { .. } => {
            Check::StepUpThere.that(
                false,
                "The vote was not confirmed by the step-up that the requirement asks for.",
            )?;
            Ok(Found::passed(None, "Taken away."))
        }
    }
}

/// What can be said of a step-up without any trust: that it contradicts the vote.
fn commits(step_up: &StepUpEvidence, read: &ReadVote) -> Result<(), Refusal> {
    let nonce = step_up_nonce(read.jws());
    match step_up {
        StepUpEvidence::Oidc { id_token, .. } => {
            if peek_nonce(id_token).as_deref() == Some(&*nonce) {
                Ok(())
            } else {
                Err(refuse(
                    "step_up_nonce",
                    "The step-up's ID token is for another vote.",
                ))
            }
        }
        StepUpEvidence::Webauthn {
            authenticator_data,
            client_data_json,
            signature,
            key,
        } => {
            let parts = webauthn::Parts {
                authenticator_data,
                client_data_json,
                signature,
                key,
            };
            webauthn::verify(parts, &nonce, &read.statement).map(drop)
        }
    }
}

/// The account is the vote's; where the sign-in also states claims that tell the person, they are the binding's.
fn same_person(
    rule: &PersonRule,
    bound: &serde_json::Value,
    now: &serde_json::Value,
) -> Result<(), Refusal> {
    let PersonRule::Claims(names) = rule else {
        return Ok(());
    };
    let same = names.iter().all(|name| {
        let stated = lookup(now, name);
        stated.is_none() || stated == lookup(bound, name)
    });
    Check::SignInPerson.that(same, "Somebody else signed in to confirm the vote.")
}

fn refuse(code: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(StepId::StepUp, code, sentence)
}
