//! From the display's document to the window's wire. Every field is named, so that a new one stops the build.

use countersign_api::{http, ipc};
use countersign_display as display;
use countersign_evidence::StepUpEvidence;

pub(crate) fn line(line: display::Line) -> ipc::Line {
    let display::Line { indent, spans } = line;
    ipc::Line {
        indent,
        spans: spans.into_iter().map(span).collect(),
    }
}

/// The most characters of a line in a row.
const MAX_ROW_CHARS: usize = 480;
/// The most parts of it.
const MAX_ROW_SPANS: usize = 128;

/// As much of a line as a row shows: it says where it is cut, and the card has all of it. An inbox full of requests, and
/// a page of the history, still go to the window in one piece, whatever requesters call their things. What is cut here is
/// too long for a notification, too, which then only opens the card.
pub(crate) fn short(given: display::Line) -> ipc::Line {
    let mut line = line(given);
    let mut left = MAX_ROW_CHARS;
    let all = line.spans.len();
    line.spans.truncate(MAX_ROW_SPANS);
    let mut is_cut = line.spans.len() < all;
    for index in 0..line.spans.len() {
        let text = &mut line.spans[index].text;
        match text.char_indices().nth(left) {
            None => left -= text.chars().count(),
            Some((end, _)) => {
                text.truncate(end);
                line.spans.truncate(index + 1);
                is_cut = true;
                break;
            }
        }
    }
    if is_cut {
        line.spans.extend(ours("…").spans);
    }
    line
}

pub(crate) fn lines(given: Vec<display::Line>) -> Vec<ipc::Line> {
    given.into_iter().map(line).collect()
}

fn span(span: display::Span) -> ipc::Span {
    let display::Span { role, text } = span;
    let role = match role {
        display::Role::Ours => ipc::Role::Ours,
        display::Role::Data => ipc::Role::Data,
        display::Role::Name => ipc::Role::Name,
        display::Role::Verb => ipc::Role::Verb,
        display::Role::Value => ipc::Role::Value,
        display::Role::Key => ipc::Role::Key,
        display::Role::Punctuation => ipc::Role::Punctuation,
        display::Role::Chip => ipc::Role::Chip,
        display::Role::Confusable => ipc::Role::Confusable,
    };
    ipc::Span { role, text }
}

fn field(field: display::Field) -> ipc::Field {
    let display::Field {
        label,
        lines: given,
    } = field;
    ipc::Field {
        label,
        lines: lines(given),
    }
}

pub(crate) fn fields(fields: Vec<display::Field>) -> Vec<ipc::Field> {
    fields.into_iter().map(field).collect()
}

pub(crate) fn exhibit(exhibit: display::Exhibit) -> ipc::Exhibit {
    let display::Exhibit {
        title,
        lines: given,
        details,
    } = exhibit;
    ipc::Exhibit {
        title: line(title),
        lines: lines(given),
        details: fields(details),
    }
}

pub(crate) fn identity(identity: display::Identity) -> ipc::Identity {
    let display::Identity {
        party: kind_of_party,
        issuer,
        according_to,
        name,
        sub,
        authenticated,
        actors,
        claims,
        reported,
    } = identity;
    let display::Authenticated {
        auth_time,
        amr,
        acr,
    } = authenticated;
    ipc::Identity {
        party: party(kind_of_party),
        issuer: line(issuer),
        according_to: line(according_to),
        name: line(name),
        sub: line(sub),
        authenticated: ipc::Authenticated {
            auth_time: auth_time.map(|time| time.0),
            amr: lines(amr),
            acr: acr.map(line),
        },
        actors: actors
            .into_iter()
            .map(|display::Actor { name, issuer }| ipc::Actor {
                name: line(name),
                issuer: line(issuer),
            })
            .collect(),
        claims: fields(claims),
        reported: fields(reported),
    }
}

pub(crate) fn party(party: display::Party) -> ipc::Party {
    match party {
        display::Party::Person => ipc::Party::Person,
        display::Party::Workload => ipc::Party::Workload,
    }
}

pub(crate) fn kind(kind: display::Kind) -> ipc::Kind {
    match kind {
        display::Kind::Http => ipc::Kind::Http,
        display::Kind::Sql => ipc::Kind::Sql,
        display::Kind::Command => ipc::Kind::Command,
        display::Kind::Tool => ipc::Kind::Tool,
        display::Kind::Other => ipc::Kind::Other,
    }
}

pub(crate) fn execution(outcome: http::Outcome) -> ipc::Execution {
    let http::Outcome {
        executed,
        status,
        refusal,
        policy_digest,
    } = outcome;
    let data = |text: &str| safe(text, display::Role::Data);
    ipc::Execution {
        executed,
        status,
        refusal: refusal.as_deref().map(data),
        policy_digest: data(&policy_digest),
    }
}

pub(crate) fn noticed(noticed: http::Noticed) -> ipc::Noticed {
    match noticed {
        http::Noticed::FirstTimeRequester => ipc::Noticed::FirstTimeRequester,
        http::Noticed::FirstTimeResource => ipc::Noticed::FirstTimeResource,
        http::Noticed::NewDevice => ipc::Noticed::NewDevice,
        http::Noticed::NewPlace => ipc::Noticed::NewPlace,
        http::Noticed::NewClient => ipc::Noticed::NewClient,
    }
}

pub(crate) fn denied_before(denied: &http::DeniedBefore) -> ipc::DeniedBefore {
    let http::DeniedBefore { at, by, reason } = denied;
    ipc::DeniedBefore {
        at: *at,
        by: safe(by, display::Role::Name),
        reason: reason
            .as_deref()
            .map(|reason| safe(reason, display::Role::Data)),
    }
}

pub(crate) fn away(away: &http::AwayView) -> ipc::AwayLine {
    let http::AwayView {
        name,
        until,
        stand_in,
        names_you,
    } = away;
    ipc::AwayLine {
        name: safe(name, display::Role::Name),
        until: *until,
        stand_in: stand_in
            .as_deref()
            .map(|name| safe(name, display::Role::Name)),
        names_you: *names_you,
    }
}

pub(crate) fn means(means: http::StepUpMeans) -> ipc::Means {
    match means {
        http::StepUpMeans::Oidc => ipc::Means::Oidc,
        http::StepUpMeans::Webauthn => ipc::Means::Webauthn,
    }
}

pub(crate) fn step_up(proof: StepUpEvidence) -> http::StepUp {
    match proof {
        StepUpEvidence::Oidc {
            id_token,
            access_token,
        } => http::StepUp::Oidc {
            id_token,
            access_token,
        },
        StepUpEvidence::Webauthn {
            authenticator_data,
            client_data_json,
            signature,
            key,
        } => http::StepUp::Webauthn {
            authenticator_data,
            client_data_json,
            signature,
            key,
        },
    }
}

/// Text from outside as a safe line.
pub(crate) fn safe(text: &str, role: display::Role) -> ipc::Line {
    line(display::safe_line(text, role))
}

/// Our own words.
pub(crate) fn ours(text: impl Into<String>) -> ipc::Line {
    ipc::Line {
        indent: 0,
        spans: vec![ipc::Span {
            role: ipc::Role::Ours,
            text: text.into(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &ipc::Line) -> String {
        line.spans.iter().map(|span| span.text.as_str()).collect()
    }

    #[test]
    fn a_row_has_as_much_of_a_line_as_fits_and_says_where_it_is_cut() {
        let short_of = |text: &str| short(display::safe_line(text, display::Role::Name));
        for whole in [
            "",
            "customer 42",
            "Mara Lindqvist",
            &"ä".repeat(MAX_ROW_CHARS),
        ] {
            assert_eq!(text(&short_of(whole)), *whole);
        }
        let cut = short_of(&"ä".repeat(MAX_ROW_CHARS + 1));
        assert_eq!(text(&cut), "ä".repeat(MAX_ROW_CHARS) + "…");
        // Each of these is a part of its own.
        let cut = short_of(&"a\u{200B}".repeat(30_000));
        assert_eq!(cut.spans.last().map(|span| span.text.as_str()), Some("…"));
        assert!(cut.spans.len() <= MAX_ROW_SPANS + 1);
        assert!(text(&cut).chars().count() >= MAX_ROW_SPANS);
    }
}
