//! The operation in one sentence: who asks to do what to which thing, where.
//!
//! The verb and the thing come from the gate's route table (`action.properties.title`); without them the
//! action's name and the resource stand in. Nothing here interprets a value.

use countersign_model::Operation;
use serde_json::Value;

use crate::document::{Kind, Line, Role, Span};
use crate::http::Http;
use crate::visible::{Edges, shown};

/// `action.properties.title`.
pub(crate) struct Title<'a> {
    verb: &'a str,
    thing: &'a str,
}

impl<'a> Title<'a> {
    pub(crate) fn read(operation: &'a Operation) -> Option<Self> {
        let title = operation.action_properties().get("title")?.as_object()?;
        let text = |name| {
            title
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        match (title.len(), text("verb"), text("thing")) {
            (2, Some(verb), Some(thing)) => Some(Self { verb, thing }),
            _ => None,
        }
    }
}

/// What kind of thing is asked, by `action.properties.kind`.
pub fn kind(operation: &Operation) -> Kind {
    match operation
        .action_properties()
        .get("kind")
        .and_then(Value::as_str)
    {
        Some("http") => Kind::Http,
        Some("sql") => Kind::Sql,
        Some("command") => Kind::Command,
        Some("tool") => Kind::Tool,
        _ => Kind::Other,
    }
}

/// The sentence without the person, for lists and notifications: `Delete customer 42`.
pub fn summary(operation: &Operation) -> Line {
    Line {
        indent: 0,
        spans: deed(operation, Case::AsGiven),
    }
}

/// The sentence: `Mara Lindqvist asks to delete customer 42 in orders-api`.
pub fn sentence(operation: &Operation) -> Line {
    let ours = |text| Span::new(Role::Ours, text);
    let mut spans = Vec::new();
    if let Some(actor) = operation.act_chain().first() {
        spans.extend(name_spans(&actor.sub));
        spans.push(ours(", for "));
        spans.extend(requester(operation).spans);
        spans.push(ours(", asks to "));
    } else {
        spans.extend(requester(operation).spans);
        spans.push(ours(" asks to "));
    }
    spans.extend(deed(operation, Case::Lower));
    if let Some(service) = service(operation) {
        spans.push(ours(" in "));
        spans.extend(name_spans(service));
    }
    Line { indent: 0, spans }
}

/// Who asks: the name that the provider states, else what it states instead, else the subject.
pub fn requester(operation: &Operation) -> Line {
    Line {
        indent: 0,
        spans: name_spans(stated_name(operation)),
    }
}

/// On which resource: the service, else the resource's type and id.
pub fn resource(operation: &Operation) -> Line {
    let spans = match service(operation) {
        Some(service) => shown(service, Role::Data, Edges::Both).spans,
        None => {
            let mut spans = shown(operation.resource_type(), Role::Data, Edges::Both).spans;
            spans.push(Span::new(Role::Ours, " "));
            spans.extend(shown(operation.resource_id(), Role::Value, Edges::Both).spans);
            spans
        }
    };
    Line { indent: 0, spans }
}

/// Two letters for the face: of the first word and of the last.
pub fn initials(name: &str) -> String {
    let letter = |word: &str| word.chars().find(|c| c.is_alphanumeric());
    let mut words = name.split_whitespace().filter_map(letter);
    let first = words.next();
    let last = words.next_back();
    let letters: String = first
        .into_iter()
        .chain(last)
        .flat_map(char::to_uppercase)
        .collect();
    if letters.is_empty() {
        "?".to_owned()
    } else {
        letters
    }
}

/// The name of the requester as text, for [`initials`].
pub fn stated_name(operation: &Operation) -> &str {
    let claims = operation.claims();
    let stated = |claim: &str| {
        claims
            .get(claim)
            .and_then(Value::as_str)
            .filter(|text| !text.trim().is_empty())
    };
    ["name", "preferred_username", "email"]
        .into_iter()
        .find_map(stated)
        .unwrap_or(&operation.subject().sub)
}

/// `resource.properties.service`.
pub(crate) fn service(operation: &Operation) -> Option<&str> {
    operation
        .resource_properties()
        .get("service")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

enum Case {
    AsGiven,
    Lower,
}

/// The verb and its thing.
fn deed(operation: &Operation, case: Case) -> Vec<Span> {
    let only_reads = Http::read(operation).is_some_and(|http| http.only_reads());
    let role = if only_reads { Role::Name } else { Role::Verb };
    let Some(Title { verb, thing }) = Title::read(operation) else {
        let mut spans = vec![Span::new(
            Role::Ours,
            if matches!(case, Case::Lower) {
                "do "
            } else {
                ""
            },
        )];
        spans.retain(|span| !span.text.is_empty());
        spans.extend(shown(operation.action(), role, Edges::Both).spans);
        spans.push(Span::new(Role::Ours, " on "));
        spans.extend(name_spans(operation.resource_type()));
        spans.push(Span::new(Role::Ours, " "));
        spans.extend(name_spans(operation.resource_id()));
        return spans;
    };
    let verb = match case {
        Case::AsGiven => verb.to_owned(),
        Case::Lower => lower_first(verb),
    };
    let mut spans = shown(&verb, role, Edges::Both).spans;
    spans.push(Span::new(Role::Ours, " "));
    spans.extend(name_spans(thing));
    spans
}

/// `Delete` → `delete`; `DELETE` stays.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first)
            if first.is_ascii_uppercase() && chars.clone().all(|c| !c.is_ascii_uppercase()) =>
        {
            std::iter::once(first.to_ascii_lowercase())
                .chain(chars)
                .collect()
        }
        _ => text.to_owned(),
    }
}

fn name_spans(text: &str) -> Vec<Span> {
    shown(text, Role::Name, Edges::Both).spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_carry_two_letters() {
        for (name, expected) in [
            ("Mara Lindqvist", "ML"),
            ("Ana María de la Cruz", "AC"),
            ("otto", "O"),
            ("  \u{202e}x", "X"),
            ("\u{200b}", "?"),
            ("山田 太郎", "山太"),
        ] {
            assert_eq!(initials(name), expected);
        }
    }
}
