//! Step 6. This version knows no step-up: a requirement that asks for one is refused, never ignored.

use countersign_model::{By, Requirement, StepUp};

use super::bundle::OpenRequest;
use super::report::Found;
use super::{Refusal, StepId};
use crate::documents::Choice;

/// A deny needs no step-up; an approve is refused where the requirement asks for one.
pub(super) fn check(open: &OpenRequest, choice: Choice) -> Result<Found<()>, Refusal> {
    match (asked_for(&open.request().requirement), choice) {
        (None, _) => Ok(Found::not_applicable(
            (),
            "The requirement does not ask for it.",
        )),
        (Some(_), Choice::Deny) => Ok(Found::not_applicable((), "A deny needs none.")),
        (Some(what), Choice::Approve) => {
            let sentence =
                format!("The requirement asks for {what}, which this version cannot check.");
            Err(Refusal::new(
                StepId::StepUp,
                "step_up_unsupported",
                sentence,
            ))
        }
    }
}

fn asked_for(requirement: &Requirement) -> Option<&'static str> {
    let Requirement {
        by,
        step_up,
        acr,
        scope,
        ..
    } = requirement;
    match (step_up, by) {
        (StepUp::Oidc, _) => Some("a fresh sign-in at the provider (`step_up: oidc`)"),
        (StepUp::Webauthn, _) => Some("a security key (`step_up: webauthn`)"),
        (StepUp::None, By::Requester) => Some("the requester's own confirmation (`by: requester`)"),
        (StepUp::None, By::Others) if acr.is_some() => Some("an authentication context (`acr`)"),
        (StepUp::None, By::Others) if scope.is_some() => Some("a consented scope (`scope`)"),
        (StepUp::None, By::Others) => None,
    }
}
