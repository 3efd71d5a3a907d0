//! A step of the lifecycle as the writes of one transaction: state, entries, events. No entry, no effect.

use countersign_api::http::RequestState;
use countersign_api::stream::ServerBody;
use countersign_lifecycle::{Choice, Effect, Event, Kind, Step, WithdrawnBy};
use countersign_model::{Operation, Subject, Txn, UnixSecs};
use countersign_store::{RequestUpdate, Tx, Write};
use serde_json::{Value, json};

use super::about::Loaded;

/// The longest text of an operation that a request is found by, in bytes.
const MAX_SEARCH_BYTES: usize = 16 * 1024;

/// What comes with a step from outside the lifecycle.
#[derive(Debug, Default)]
pub(crate) struct With {
    pub(crate) grant_jws: Option<String>,
    pub(crate) outcome: Option<String>,
    /// The name of the person who did it, where one did.
    pub(crate) by: Option<String>,
    /// Why they did.
    pub(crate) reason: Option<String>,
}

/// Puts a step into a transaction. A step without events changes nothing and writes nothing.
pub(crate) fn write_step(tx: &mut Tx, loaded: &Loaded, step: &Step, with: With, now: UnixSecs) {
    if step.events.is_empty() {
        return;
    }
    let search = search_text(loaded, step, &with);
    let With {
        grant_jws,
        outcome,
        by,
        reason: _,
    } = with;
    let txn = &loaded.row.txn;
    tx.push(Write::UpdateRequest(Box::new(RequestUpdate {
        key: loaded.row.key,
        expected_version: loaded.row.version,
        state: step.state.clone(),
        deadline: step.state.deadline(&loaded.terms),
        grant_jws,
        outcome,
        search,
    })));
    for event in &step.events {
        if let Event::VoteSuperseded { vote } | Event::VoteVoided { vote } = event {
            tx.push(Write::EndVote {
                request: loaded.row.key,
                vote: vote.digest,
            });
        }
        let (kind, detail) = entry(event);
        tx.push(self::entry_of(now, Some(txn), kind, &detail));
    }
    for effect in &step.effects {
        match effect {
            // The grant is signed by the use case, and travels in `with`.
            Effect::IssueGrant { .. } => {}
            Effect::TellUpdated => {
                tx.push(publish(
                    now,
                    Some(txn),
                    None,
                    &ServerBody::RequestUpdated {
                        txn: txn.to_string(),
                    },
                ));
            }
            Effect::TellClosed { .. } => {
                let state = state_of(step.state.kind());
                let body = ServerBody::RequestClosed {
                    txn: txn.to_string(),
                    state,
                    by: by.clone(),
                };
                tx.push(publish(now, Some(txn), None, &body));
            }
        }
    }
}

/// What it is found by once it is no longer pending: the operation, who voted, and why. None where that is as before.
fn search_text(loaded: &Loaded, step: &Step, with: &With) -> Option<String> {
    let was_pending = loaded.row.state.kind() == Kind::Pending;
    let pending = step.state.kind() == Kind::Pending;
    if pending || !(was_pending || with.by.is_some()) {
        return None;
    }
    let mut text = words_of(&loaded.about.operation);
    let before = loaded.row.votes.iter();
    let before = before.map(|vote| (Some(&vote.name), vote.reason.as_ref()));
    for (name, reason) in before.chain([(with.by.as_ref(), with.reason.as_ref())]) {
        for word in [name, reason].into_iter().flatten() {
            text.push_str(word);
            text.push('\n');
        }
    }
    Some(text)
}

/// Every text of the operation, names and values apart from digests and nonces, cut to a bound.
fn words_of(operation: &Operation) -> String {
    let mut text = String::new();
    let mut queue = vec![operation.value()];
    while let Some(value) = queue.pop() {
        match value {
            Value::String(string) => {
                if text.len() + string.len() < MAX_SEARCH_BYTES {
                    text.push_str(string);
                    text.push('\n');
                }
            }
            Value::Array(items) => queue.extend(items.iter().rev()),
            Value::Object(members) => {
                let told = |name: &str| name != "nonce" && name != "sha256";
                let members = members.iter().rev().filter(|(name, _)| told(name));
                queue.extend(members.map(|(_, value)| value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    text
}

/// An audit entry.
pub(crate) fn entry_of(
    at: UnixSecs,
    txn: Option<&Txn>,
    kind: &'static str,
    detail: &Value,
) -> Write {
    Write::Entry {
        at,
        txn: txn.cloned(),
        kind,
        detail: detail.to_string(),
    }
}

/// An event for the streams.
pub(crate) fn publish(
    at: UnixSecs,
    txn: Option<&Txn>,
    person: Option<&Subject>,
    body: &ServerBody,
) -> Write {
    // These bodies are strings, numbers and names: they always serialize.
    let body = serde_json::to_string(body).unwrap_or_default();
    Write::Publish {
        at,
        txn: txn.cloned(),
        person: person.cloned(),
        body,
    }
}

/// The state on the wire.
pub(crate) fn state_of(kind: Kind) -> RequestState {
    match kind {
        Kind::Pending => RequestState::Pending,
        Kind::Approved => RequestState::Approved,
        Kind::Redeemed => RequestState::Redeemed,
        Kind::Denied => RequestState::Denied,
        Kind::Expired => RequestState::Expired,
        Kind::Withdrawn => RequestState::Withdrawn,
        Kind::Voided => RequestState::Voided,
    }
}

/// Digests and codes only: an entry never holds an operation or a token.
fn entry(event: &Event) -> (&'static str, Value) {
    match event {
        Event::VoteCast { choice, vote } => {
            let choice = match choice {
                Choice::Approve => "approve",
                Choice::Deny => "deny",
            };
            let detail = json!({
                "choice": choice, "vote": vote.digest.to_string(), "binding": vote.binding.to_string(),
            });
            ("vote", detail)
        }
        Event::VoteSuperseded { vote } => (
            "vote-superseded",
            json!({ "vote": vote.digest.to_string() }),
        ),
        Event::VoteVoided { vote } => ("vote-voided", json!({ "vote": vote.digest.to_string() })),
        Event::Approved { until } => ("grant", json!({ "until": until.0 })),
        Event::Denied { .. } => ("denied", json!({})),
        Event::Expired { at } => ("expired", json!({ "at": at.0 })),
        Event::Withdrawn { by } => {
            let by = match by {
                WithdrawnBy::Requester => "requester",
                WithdrawnBy::Pep => "pep",
            };
            ("withdrawn", json!({ "by": by }))
        }
        Event::Voided { vote } => ("voided", json!({ "vote": vote.to_string() })),
        Event::Redeemed { redemption_id } => ("redeem", json!({ "redemption_id": redemption_id })),
        Event::OutcomeReported { outcome } => {
            ("outcome", json!({ "outcome": outcome.to_string() }))
        }
    }
}
