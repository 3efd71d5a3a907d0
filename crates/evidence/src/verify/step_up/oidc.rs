//! A fresh sign-in at the voter's provider, whose nonce signs the vote, and the consent that may come with it.

use countersign_model::UnixSecs;

use super::{BEFORE_VOTE_SECS, StepUpFound, SteppedUp, refuse};
use crate::check::Check;
use crate::documents::step_up_resource;
use crate::op_token::{
    AsOf, AtHash, ConsentToken, IdToken, KeyRule, NonceRule, OpConfig, OpKeys, OpStepUp,
    OpTokenError, verify_id_token,
};
use crate::verify::{Refusal, SKEW_SECS};

pub(super) fn verify(
    id_token: &str,
    access_token: Option<&str>,
    nonce: &str,
    of: SteppedUp<'_>,
    config: &OpConfig,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<StepUpFound, Refusal> {
    let why_not = match &config.step_up {
        OpStepUp::Oidc => "",
        OpStepUp::None { why_not } => why_not,
    };
    Check::StepUpOffered.that_or(config.step_up == OpStepUp::Oidc, || {
        let issuer = &config.issuer;
        format!("The provider `{issuer}` cannot confirm single votes: {why_not}")
    })?;
    // As of its own time, like the binding's: evidence is looked at later.
    let as_of = AsOf::Issue { now };
    // No binding is asked for here: the nonce names the vote, and that its key.
    let rules = (NonceRule::Exactly(nonce), KeyRule::Unbound);
    let signed_in =
        verify_id_token(id_token, config, keys, as_of, rules.0, rules.1).map_err(|error| {
            refuse(
                sign_in_code(&error),
                format!("The step-up's ID token is refused: {error}."),
            )
        })?;
    Check::SignInAccount.that(
        signed_in.subject == of.vote.sub_id,
        "The vote was confirmed from another account than it was cast with.",
    )?;
    let auth_time = for_this_vote(&signed_in, of)?;
    let mut told = format!(
        "{} signed in again on {}",
        signed_in.subject.sub,
        auth_time.utc()
    );
    if let Some(acr) = &of.requirement.acr {
        reached(acr, &signed_in, config)?;
        told += &format!(", with `{acr}`");
    }
    if let Some(scope) = &of.requirement.scope {
        consented(scope, access_token, &signed_in, of, config, keys, now)?;
        told += &format!(", and consented to `{scope}`");
    }
    Ok(StepUpFound {
        auth_time: Some(auth_time),
        told: told + ".",
        claims: Some(signed_in.claims),
    })
}

/// The nonce says for which vote it is; this says that it was not before, and not much later.
fn for_this_vote(signed_in: &IdToken, of: SteppedUp<'_>) -> Result<UnixSecs, Refusal> {
    Check::SignInTimeThere.that(
        signed_in.auth_time.is_some(),
        "The provider does not say when the person signed in to confirm the vote (`auth_time`).",
    )?;
    let auth_time = signed_in.auth_time.unwrap_or(signed_in.iat);
    Check::SignInAfterVote.that(
        auth_time >= of.vote.iat - BEFORE_VOTE_SECS,
        "The person signed in before the vote, not to confirm it.",
    )?;
    Check::SignInInTime.that(
        auth_time <= of.vote.exp,
        "The person signed in after the vote had expired.",
    )?;
    Check::SignInNotFuture.that(
        auth_time <= signed_in.iat + SKEW_SECS,
        "The step-up's time lies after its token's.",
    )?;
    Ok(auth_time)
}

fn reached(acr: &str, signed_in: &IdToken, config: &OpConfig) -> Result<(), Refusal> {
    let stated = config.acrs_stated(&signed_in.claims);
    if stated.is_empty() {
        let sentence = "The provider does not say at which level the person signed in.";
        return Check::AcrThere.that(false, sentence);
    }
    Check::AcrRight.that_or(stated.contains(&acr), || {
        format!("The person did not sign in at the level `{acr}`.")
    })?;
    Check::AcrMayBeAsserted.that_or(config.may_assert_acr(acr), || {
        format!(
            "The provider `{}` may not assert the level `{acr}`.",
            config.issuer
        )
    })
}

fn consented(
    scope: &str,
    access_token: Option<&str>,
    signed_in: &IdToken,
    of: SteppedUp<'_>,
    config: &OpConfig,
    keys: &OpKeys,
    now: UnixSecs,
) -> Result<(), Refusal> {
    let Some(compact) = access_token else {
        return Check::ConsentThere.that_or(false, || {
            format!("There is no access token that shows consent to `{scope}`.")
        });
    };
    let token = ConsentToken::read(compact, config, keys).map_err(|error| {
        refuse(
            consent_code(&error),
            format!("The access token that shows consent is refused: {error}."),
        )
    })?;
    Check::ConsentType.that(
        token.is_access_token,
        "What shows consent is no access token (`typ` is not `at+jwt`).",
    )?;
    Check::ConsentSubject.that(
        token.subject == of.vote.sub_id,
        "Somebody else than the voter consented.",
    )?;
    Check::ConsentClient.that(
        token
            .clients
            .iter()
            .all(|client| *client == config.client_id),
        "The consent was given to another program than the approver's.",
    )?;
    Check::ConsentAudience.that(
        token.audiences == [step_up_resource(of.server)],
        "The consent is for another resource than this server's step-up.",
    )?;
    Check::ConsentScope.that_or(token.scopes.iter().any(|found| found == scope), || {
        format!("The person did not consent to `{scope}`.")
    })?;
    Check::ConsentAfterVote.that(
        token.iat >= of.vote.iat - BEFORE_VOTE_SECS,
        "The consent was given before the vote.",
    )?;
    Check::ConsentNotFuture.that(
        token.iat.max(token.nbf.unwrap_or(token.iat)) <= now + SKEW_SECS,
        "The consent's time lies in the future: check the clocks.",
    )?;
    Check::ConsentInTime.that(
        token.iat <= of.vote.exp + SKEW_SECS,
        "The consent was given after the vote had expired.",
    )?;
    Check::ConsentTimes.that(
        token.exp > token.iat,
        "The consent's access token ends before it begins.",
    )?;
    // The provider's own tie to the vote: without one, any token of this person could stand here.
    let hash = AtHash::of(signed_in, compact);
    Check::ConsentHash.that(
        hash != AtHash::Wrong,
        "The step-up's ID token came with another access token.",
    )?;
    let by_key = token.jkt.is_some() && token.jkt == of.vote.consent_jkt;
    Check::ConsentTied.that(
        hash == AtHash::Right || by_key,
        "The provider does not tie the consent to this vote: neither by `at_hash`, nor by the vote's own key.",
    )
}

fn sign_in_code(error: &OpTokenError) -> &'static str {
    match error {
        OpTokenError::Malformed => "step_up_malformed",
        OpTokenError::Alg(_) => "step_up_alg",
        OpTokenError::Header(_) => "step_up_header",
        OpTokenError::Typ => "step_up_typ",
        OpTokenError::UnknownKey(_) => "step_up_key_unknown",
        OpTokenError::Signature => "step_up_signature",
        OpTokenError::Issuer => "step_up_issuer",
        OpTokenError::Audience => "step_up_audience",
        OpTokenError::Expired => "step_up_expired",
        OpTokenError::Future => "step_up_in_future",
        OpTokenError::Nonce => "step_up_nonce",
        OpTokenError::Claim(_) => "step_up_claim",
        OpTokenError::Foreign(_) => "step_up_foreign_claim",
        OpTokenError::Confirmation => "step_up_cnf",
        OpTokenError::ApproverClient
        | OpTokenError::OtherKey
        | OpTokenError::NotBound
        | OpTokenError::Role(_)
        | OpTokenError::Bound
        | OpTokenError::Keys(_) => error.code(),
    }
}

fn consent_code(error: &OpTokenError) -> &'static str {
    match error {
        OpTokenError::Malformed => "consent_malformed",
        OpTokenError::Alg(_) => "consent_alg",
        OpTokenError::Header(_) => "consent_header",
        OpTokenError::Typ => "consent_typ",
        OpTokenError::UnknownKey(_) => "consent_key_unknown",
        OpTokenError::Signature => "consent_signature",
        OpTokenError::Issuer => "consent_issuer",
        OpTokenError::Audience => "consent_audience",
        OpTokenError::Expired => "consent_times",
        OpTokenError::Future => "consent_in_future",
        OpTokenError::Claim(_) => "consent_claim",
        OpTokenError::Foreign(_) => "consent_foreign_claim",
        OpTokenError::Nonce
        | OpTokenError::Confirmation
        | OpTokenError::OtherKey
        | OpTokenError::NotBound
        | OpTokenError::ApproverClient
        | OpTokenError::Role(_)
        | OpTokenError::Bound
        | OpTokenError::Keys(_) => error.code(),
    }
}
