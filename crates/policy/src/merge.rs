//! Several permits that apply to one operation: the strictest of each field.
//!
//! Where two have no order (scopes, `acr`, who votes), there is no strictest, and the operation is denied.

use countersign_model::{MatchWords, Requirement, StepUp};

/// Two permits that cannot both be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The annotation, or the two, on which they differ.
    pub(crate) about: &'static str,
}

/// The requirement that is at least as strict as both.
pub(crate) fn strictest(one: Requirement, other: &Requirement) -> Result<Requirement, Conflict> {
    // Destructured, so that a new member stops the build here.
    let Requirement {
        by,
        approvals,
        step_up,
        acr,
        scope,
        match_words,
        fresh_claims_secs,
        release_claims_secs,
        reason,
        notify_buttons,
        ttl_secs,
        grant_secs,
        irreversible,
        lift,
    } = other;
    if one.by != *by {
        return Err(Conflict { about: "@by" });
    }
    let merged = Requirement {
        by: one.by,
        approvals: one.approvals.max(*approvals),
        step_up: stronger(one.step_up, *step_up),
        acr: same("@acr", one.acr, acr)?,
        scope: same("@scope", one.scope, scope)?,
        match_words: match (one.match_words, match_words) {
            (MatchWords::None, MatchWords::None) => MatchWords::None,
            (MatchWords::Words, _) | (_, MatchWords::Words) => MatchWords::Words,
        },
        fresh_claims_secs: one.fresh_claims_secs.min(*fresh_claims_secs),
        release_claims_secs: match (one.release_claims_secs, *release_claims_secs) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
        reason: one.reason.max(*reason),
        notify_buttons: one.notify_buttons.min(*notify_buttons),
        ttl_secs: one.ttl_secs.min(*ttl_secs),
        grant_secs: one.grant_secs.min(*grant_secs),
        irreversible: both_words(one.irreversible, irreversible.as_deref()),
        lift: both_lists(one.lift, lift),
    };
    // A security key brings neither: only a sign-in at the provider does.
    if merged.step_up == StepUp::Webauthn && (merged.scope.is_some() || merged.acr.is_some()) {
        return Err(Conflict {
            about: "@step_up and @scope or @acr",
        });
    }
    if merged.lift.len() > 16
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
