//! A closed request as the history on this device keeps it: from the verified bytes, like all that is shown of it.

use countersign_api::http::RequestState;
use countersign_api::ipc;
use countersign_display as display;
use countersign_history::{Approved, Cast, Entry, MAX_TEXT_BYTES, Person};
use countersign_model::Subject;
use serde_json::Value;

use super::{CastVote, Content, Genuine, Item};
use crate::{since, wire};

/// Members of an operation that nobody looks for.
const SKIPPED: [&str; 2] = ["nonce", "sha256"];

impl Item {
    /// What is kept of it. An open one is not kept.
    pub(crate) fn entry(&self, me: &Subject) -> Option<Entry> {
        let row = self.row();
        if row.outcome == ipc::Outcome::Pending {
            return None;
        }
        Some(match &self.content {
            Content::Genuine(genuine) => {
                let operation = genuine.open.operation();
                Entry {
                    row,
                    genuine: true,
                    requester: Some(person(operation.subject(), display::stated_name(operation))),
                    votes: genuine.votes.iter().map(|vote| vote.cast(me)).collect(),
                    texts: texts(operation.value()),
                    approved: self.approved(genuine),
                }
            }
            // Nothing that it claims is believed, and none of it is found by.
            Content::NotGenuine { .. } => Entry {
                row,
                genuine: false,
                requester: None,
                votes: Vec::new(),
                texts: Vec::new(),
                approved: None,
            },
        })
    }
}

impl Item {
    /// It was run, after this person had approved it from this device.
    fn approved(&self, genuine: &Genuine) -> Option<Approved> {
        let at = self.row.ended_at?;
        let is_one = self.state == RequestState::Redeemed && genuine.is_approved_from_here();
        is_one.then(|| {
            let exhibit = wire::exhibit(genuine.render().exhibit);
            since::approved(genuine.open.operation(), &exhibit, at)
        })?
    }
}

impl CastVote {
    fn cast(&self, me: &Subject) -> Cast {
        Cast {
            person: person(&self.vote.sub_id, &self.name),
            choice: match self.vote.vote {
                super::vote::Choice::Approve => ipc::Choice::Approve,
                super::vote::Choice::Deny => ipc::Choice::Deny,
            },
            at: self.at,
            reason: self
                .vote
                .reason
                .as_deref()
                .map(|reason| wire::safe(reason, display::Role::Data)),
            mine: self.vote.sub_id == *me,
            void: self.void,
        }
    }
}

fn person(subject: &Subject, name: &str) -> Person {
    Person {
        issuer: subject.iss.to_string(),
        sub: subject.sub.clone(),
        name: wire::safe(name, display::Role::Name),
    }
}

/// Every text in an operation, in order.
fn texts(operation: &Value) -> Vec<String> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut queue = vec![operation];
    while let Some(value) = queue.pop() {
        match value {
            Value::String(text) => {
                bytes += text.len();
                found.push(text.clone());
                if bytes > MAX_TEXT_BYTES {
                    break;
                }
            }
            Value::Array(items) => queue.extend(items.iter().rev()),
            Value::Object(members) => queue.extend(
                members
                    .iter()
                    .rev()
                    .filter(|(name, _)| !SKIPPED.contains(&name.as_str()))
                    .map(|(_, value)| value),
            ),
            Value::Number(number) => found.push(number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }
    found
}
