//! The record: digests and names in full, and what the policy demands, in words.

use countersign_model::{
    By, MatchWords, NotifyButtons, Operation, ReasonRule, Requirement, Stage, StepUp,
};

use crate::document::{Field, Line, Role, Span};
use crate::sentence::service;
use crate::text::wrap;
use crate::visible::{Edges, safe_line, shown};

/// The record's fields.
pub(crate) fn record(operation: &Operation, requirement: &Requirement, gate: &str) -> Vec<Field> {
    let data = |text: &str| wrap(safe_line(text, Role::Data));
    let mut resource = shown(operation.resource_type(), Role::Data, Edges::Both).spans;
    resource.push(Span::new(Role::Ours, " "));
    resource.extend(shown(operation.resource_id(), Role::Value, Edges::Both).spans);
    let mut fields = vec![
        Field::new("digest", data(&operation.digest().to_string())),
        Field::new("action", data(operation.action())),
        Field::new(
            "resource",
            wrap(Line {
                indent: 0,
                spans: resource,
            }),
        ),
    ];
    fields.extend(service(operation).map(|service| Field::new("service", data(service))));
    fields.push(Field::new("gate", data(gate)));
    fields.push(Field::new("requirement", requirement_lines(requirement)));
    fields
}

/// What the policy demands, one thing a line. Every member of the requirement that says something is here.
fn requirement_lines(requirement: &Requirement) -> Vec<Line> {
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
        irreversible: _, // The stamp.
        lift: _,         // The lifted fields.
    } = requirement;
    let mut lines = vec![Line::ours(match by {
        By::Others if *approvals == 1 => {
            "Needs the approval of one person other than the requester".to_owned()
        }
        By::Others => {
            format!("Needs the approval of {approvals} different people other than the requester")
        }
        By::Requester => "Needs the requester's own confirmation".to_owned(),
    })];
    for (index, Stage { name, approvals }) in stages.iter().enumerate() {
        let people = match approvals {
            1 => "one person".to_owned(),
            more => format!("{more} people"),
        };
        let number = index + 1;
        lines.push(Line::ours(format!("Stage {number}, {name}: {people}")));
    }
    match step_up {
        StepUp::None => {}
        StepUp::Oidc => lines.push(Line::ours("Each with a fresh sign-in at the provider")),
        StepUp::Webauthn => lines.push(Line::ours("Each with a security key")),
    }
    let named = |before: &str, text: &str| {
        let mut spans = vec![Span::new(Role::Ours, before)];
        spans.extend(shown(text, Role::Data, Edges::Both).spans);
        wrap(Line { indent: 0, spans })
    };
    lines.extend(
        acr.iter()
            .flat_map(|acr| named("At the authentication level ", acr)),
    );
    lines.extend(
        scope
            .iter()
            .flat_map(|scope| named("With consent to the scope ", scope)),
    );
    if *match_words == MatchWords::Words {
        lines.push(Line::ours("The two matching words are typed"));
    }
    if *hold {
        lines.push(Line::ours("Approve is held down, not clicked"));
    }
    match reason {
        ReasonRule::Optional => {}
        ReasonRule::OnDeny => lines.push(Line::ours("A reason is given to deny")),
        ReasonRule::Always => lines.push(Line::ours("A reason is given either way")),
    }
    match notify_buttons {
        NotifyButtons::None => {}
        NotifyButtons::Deny => lines.push(Line::ours("A notification may carry Deny")),
        NotifyButtons::Both => lines.push(Line::ours("A notification may carry Approve and Deny")),
    }
    if *urgent {
        lines.push(Line::ours(
            "Urgent: approvers are told in their quiet hours too",
        ));
    }
    lines.push(Line::ours(format!(
        "Voting ends after {}",
        duration(*ttl_secs)
    )));
    lines.push(Line::ours(format!(
        "It may start for {} after the last approval",
        duration(*grant_secs)
    )));
    lines.push(Line::ours(format!(
        "Approvers' claims are at most {} old when they vote",
        duration(*fresh_claims_secs)
    )));
    if let Some(secs) = release_claims_secs {
        lines.push(Line::ours(format!(
            "and at most {} old when it starts",
            duration(*secs)
        )));
    }
    lines
}

/// `90 seconds`, `10 minutes`, `1 hour`: in the largest unit that fits evenly.
pub(crate) fn duration(secs: u32) -> String {
    let (count, unit) = match secs {
        secs if secs >= 86_400 && secs % 86_400 == 0 => (secs / 86_400, "day"),
        secs if secs >= 3_600 && secs % 3_600 == 0 => (secs / 3_600, "hour"),
        secs if secs >= 60 && secs % 60 == 0 => (secs / 60, "minute"),
        secs => (secs, "second"),
    };
    crate::tree::counted(count as usize, unit)
}
