//! Who asks, as the provider vouches for it, and in which words the requester asks.

use countersign_model::{Operation, UnixSecs};
use serde_json::Value;

use crate::document::{Actor, Authenticated, Field, Identity, Line, Party, Role};
use crate::sentence::{requester, stated_name};
use crate::text::{Numbers, lines, wrap};
use crate::tree::{in_order, tree};
use crate::visible::safe_line;

/// Claims that always have a place on the card, stated or not.
const ALWAYS: [&str; 8] = [
    "email",
    "groups",
    "auth_time",
    "amr",
    "acr",
    "client_id",
    "device",
    "location",
];
/// Members of `subject.properties` beside the claims, that the gate says by itself.
const REPORTED: [&str; 2] = ["device", "location"];

/// The identity block.
pub(crate) fn identity(operation: &Operation, gate: &str) -> Identity {
    let mut claims: Vec<Field> = Vec::new();
    for name in ALWAYS {
        claims.push(Field::new(
            name,
            operation
                .claims()
                .get(name)
                .map_or_else(Vec::new, |value| claim(name, value)),
        ));
    }
    claims.push(Field::new("act", chain(operation)));
    if let Some(all) = operation.claims().as_object() {
        for (name, value) in in_order(all) {
            let is_the_name = name == "name" && value.as_str() == Some(stated_name(operation));
            if !ALWAYS.contains(&name.as_str()) && !is_the_name {
                claims.push(Field::new(name, claim(name, value)));
            }
        }
    }
    Identity {
        party: party(operation),
        issuer: safe_line(operation.subject().iss.as_str(), Role::Data),
        according_to: safe_line(gate, Role::Name),
        name: requester(operation),
        sub: safe_line(&operation.subject().sub, Role::Data),
        authenticated: authenticated(operation),
        actors: actors(operation),
        claims,
        reported: REPORTED
            .iter()
            .filter_map(|name| {
                let value = operation
                    .value()
                    .pointer(&format!("/subject/properties/{name}"))?;
                Some(Field::new(name, claim(name, value)))
            })
            .collect(),
    }
}

/// A subject of a type that is not known here is no person that anybody vouches for.
pub fn party(operation: &Operation) -> Party {
    match operation.subject_type() {
        "user" => Party::Person,
        _ => Party::Workload,
    }
}

/// A claim of another type than it must have is not read: it still stands among the claims, as it is.
fn authenticated(operation: &Operation) -> Authenticated {
    let claims = operation.claims();
    let amr = claims.get("amr").and_then(Value::as_array);
    Authenticated {
        auth_time: claims
            .get("auth_time")
            .and_then(Value::as_i64)
            .map(UnixSecs),
        amr: amr
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|method| safe_line(method, Role::Data))
            .collect(),
        acr: claims
            .get("acr")
            .and_then(Value::as_str)
            .map(|level| safe_line(level, Role::Data)),
    }
}

fn actors(operation: &Operation) -> Vec<Actor> {
    operation
        .act_chain()
        .iter()
        .map(|actor| Actor {
            name: safe_line(&actor.sub, Role::Name),
            issuer: safe_line(actor.iss.as_str(), Role::Data),
        })
        .collect()
}

/// The requester's own words, and what the client says.
pub(crate) fn why(operation: &Operation) -> (Vec<Field>, u32) {
    let words = operation
        .justification()
        .map(|text| lines(text, Role::Data, Numbers::Hidden))
        .unwrap_or_default();
    let ticket = operation
        .ticket()
        .map(|text| wrap(safe_line(text, Role::Data)))
        .unwrap_or_default();
    (
        vec![
            Field::new("justification", words.lines),
            Field::new("ticket", ticket),
        ],
        words.made_visible,
    )
}

/// The chain of actors among the claims, outermost first.
fn chain(operation: &Operation) -> Vec<Line> {
    operation
        .act_chain()
        .iter()
        .map(|actor| safe_line(&actor.to_string(), Role::Data))
        .collect()
}

/// A claim's lines: a list one item a line, a time as UTC, everything else as it is.
fn claim(name: &str, value: &Value) -> Vec<Line> {
    match value {
        Value::String(text) => one_text(text),
        Value::Array(items) if items.is_empty() => vec![Line::ours("(none)")],
        Value::Array(items) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .flat_map(one_text)
            .collect(),
        Value::Number(number) if name.ends_with("_time") || name.ends_with("_at") => {
            let time = number.as_i64().map(|secs| UnixSecs(secs).utc());
            vec![safe_line(
                &time.unwrap_or_else(|| number.to_string()),
                Role::Data,
            )]
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            tree(value).lines
        }
    }
}

fn one_text(text: &str) -> Vec<Line> {
    if text.is_empty() {
        vec![Line::ours("(empty)")]
    } else {
        wrap(safe_line(text, Role::Data))
    }
}
