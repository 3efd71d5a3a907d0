//! Several permits that apply to one operation: the strictest of each field.
//!
//! Where two have no order (scopes, `acr`, stages, who votes), there is no strictest, and the operation is denied.

use countersign_model::{MatchWords, Requirement, StepUp, TokenRule};

use crate::annotations::values::MAX_LIFT;
use crate::annotations::{Approve, Terms};

/// Two permits that cannot both be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The annotation, or the two, on which they differ.
    pub(crate) about: &'static str,
}

/// The terms that are at least as strict as both. Terms that ask for nothing do not lift others.
pub(crate) fn strictest(one: Terms, other: &Terms) -> Result<Terms, Conflict> {
    let Terms { approve, token } = other;
    Ok(Terms {
        approve: match (one.approve, approve) {
            (Some(one), Some(other)) => Some(strictest_approve(one, other)?),
            (one, other) => one.or_else(|| other.clone()),
        },
        token: strictest_token(one.token, token)?,
    })
}

fn strictest_approve(one: Approve, other: &Approve) -> Result<Approve, Conflict> {
    let Approve {
        requirement,
        digest_only,
        cool_down_secs,
    } = other;
    Ok(Approve {
        requirement: strictest_requirement(one.requirement, requirement)?,
        digest_only: one.digest_only.intersection(digest_only).cloned().collect(),
        cool_down_secs: one.cool_down_secs.max(*cool_down_secs),
    })
}

/// All scopes of both, an `acr` that both accept, the shorter time.
fn strictest_token(one: TokenRule, other: &TokenRule) -> Result<TokenRule, Conflict> {
    let TokenRule {
        scope,
        acr,
        max_age_secs,
    } = other;
    let scope = match (one.scope, scope) {
        (Some(mut one), Some(other)) => {
            for scope in other.split(' ') {
                if !one.split(' ').any(|known| known == scope) {
                    one.push(' ');
                    one.push_str(scope);
                }
            }
            Some(one)
        }
        (one, other) => one.or_else(|| other.clone()),
    };
    let acr = if one.acr.is_empty() || acr.is_empty() {
        [one.acr, acr.clone()].concat()
    } else {
        let both: Vec<String> = one
            .acr
            .into_iter()
            .filter(|one| acr.contains(one))
            .collect();
        if both.is_empty() {
            return Err(Conflict {
                about: "@token_acr",
            });
        }
        both
    };
    Ok(TokenRule {
        scope,
        acr,
        max_age_secs: shorter(one.max_age_secs, *max_age_secs),
    })
}

fn shorter(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The requirement that is at least as strict as both.
fn strictest_requirement(one: Requirement, other: &Requirement) -> Result<Requirement, Conflict> {
    // Destructured, so that a new member stops the build here.
    let Requirement {
        by,
        approvals,
        stages,
        step_up,
        acr,
        scope,
        match_words,
        hold,
        fresh_claims_secs,
        release_claims_secs,
        reason,
        notify_buttons,
        ttl_secs,
        grant_secs,
        urgent,
        irreversible,
        lift,
    } = other;
    if one.by != *by {
        return Err(Conflict { about: "@by" });
    }
    // Stages name their own voters, so that one stage more or less is no order.
    if one.stages != *stages {
        return Err(Conflict { about: "@stages" });
    }
    let merged = Requirement {
        by: one.by,
        approvals: one.approvals.max(*approvals),
        stages: one.stages,
        step_up: stronger(one.step_up, *step_up),
        acr: same("@acr", one.acr, acr)?,
        scope: same("@scope", one.scope, scope)?,
        match_words: match (one.match_words, match_words) {
            (MatchWords::None, MatchWords::None) => MatchWords::None,
            (MatchWords::Words, _) | (_, MatchWords::Words) => MatchWords::Words,
        },
        hold: one.hold || *hold,
        fresh_claims_secs: one.fresh_claims_secs.min(*fresh_claims_secs),
        release_claims_secs: shorter(one.release_claims_secs, *release_claims_secs),
        reason: one.reason.max(*reason),
        notify_buttons: one.notify_buttons.min(*notify_buttons),
        ttl_secs: one.ttl_secs.min(*ttl_secs),
        grant_secs: one.grant_secs.min(*grant_secs),
        urgent: one.urgent || *urgent,
        irreversible: both_words(one.irreversible, irreversible.as_deref()),
        lift: both_lists(one.lift, lift),
    };
    // A security key brings neither: only a sign-in at the provider does.
    if merged.step_up == StepUp::Webauthn && (merged.scope.is_some() || merged.acr.is_some()) {
        return Err(Conflict {
            about: "@step_up and @scope or @acr",
        });
    }
    if merged.lift.len() > MAX_LIFT
        || merged
            .irreversible
            .as_ref()
            .is_some_and(|words| words.len() > 512)
    {
        return Err(Conflict {
            about: "the size of @lift or @irreversible together",
        });
    }
    Ok(merged)
}

fn stronger(one: StepUp, other: StepUp) -> StepUp {
    match (one, other) {
        (StepUp::Webauthn, _) | (_, StepUp::Webauthn) => StepUp::Webauthn,
        (StepUp::Oidc, _) | (_, StepUp::Oidc) => StepUp::Oidc,
        (StepUp::None, StepUp::None) => StepUp::None,
    }
}

/// No order between two that are named.
fn same(
    about: &'static str,
    one: Option<String>,
    other: &Option<String>,
) -> Result<Option<String>, Conflict> {
    match (one, other) {
        (Some(one), Some(other)) if one != *other => Err(Conflict { about }),
        (one, other) => Ok(one.or_else(|| other.clone())),
    }
}

fn both_words(one: Option<String>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) if one.split("; ").any(|words| words == other) => Some(one),
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or_else(|| other.map(str::to_owned)),
    }
}

fn both_lists(mut one: Vec<String>, other: &[String]) -> Vec<String> {
    for pointer in other {
        if !one.contains(pointer) {
            one.push(pointer.clone());
        }
    }
    one
}
