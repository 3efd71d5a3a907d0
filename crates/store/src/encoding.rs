//! The state of an approval as a JSON text, for a column. Not a wire format: only this crate reads it.

use countersign_lifecycle::{
    Approved, Choice, CountedVote, Denied, Expired, Pending, Redeemed, State, Voided, Withdrawn,
    WithdrawnBy,
};
use countersign_model::{Digest, Person, Subject, UnixSecs};
use serde_json::{Value, json};

pub(crate) fn state_to_text(state: &State) -> String {
    let value = match state {
        State::Pending(Pending { votes }) => json!({ "votes": votes_out(votes) }),
        State::Approved(Approved { votes, at, until }) => {
            json!({ "votes": votes_out(votes), "at": at.0, "until": until.0 })
        }
        State::Redeemed(Redeemed {
            votes,
            approved_at,
            until,
            at,
            redemption_id,
            outcome,
        }) => json!({
            "votes": votes_out(votes), "approved_at": approved_at.0, "until": until.0, "at": at.0,
            "redemption_id": redemption_id, "outcome": outcome.map(|digest| digest.to_string()),
        }),
        State::Denied(Denied {
            votes,
            by,
            deny,
            at,
        }) => json!({
            "votes": votes_out(votes), "by": by.to_string(), "deny": deny.to_string(), "at": at.0,
        }),
        State::Expired(Expired { votes, at }) => json!({ "votes": votes_out(votes), "at": at.0 }),
        State::Withdrawn(Withdrawn { votes, by, at }) => json!({
            "votes": votes_out(votes), "at": at.0,
            "by": match by { WithdrawnBy::Requester => "requester", WithdrawnBy::Pep => "pep" },
        }),
        State::Voided(Voided { votes, vote, at }) => {
            json!({ "votes": votes_out(votes), "vote": vote.to_string(), "at": at.0 })
        }
    };
    value.to_string()
}

/// `None` where it does not read as what was written.
pub(crate) fn state_from_text(kind: &str, text: &str) -> Option<State> {
    use countersign_lifecycle::Kind;
    let value: Value = serde_json::from_str(text).ok()?;
    let votes = votes_in(value.get("votes")?)?;
    let at = || secs(&value, "at");
    Some(match Kind::parse(kind)? {
        Kind::Pending => State::Pending(Pending { votes }),
        Kind::Approved => State::Approved(Approved {
            votes,
            at: at()?,
            until: secs(&value, "until")?,
        }),
        Kind::Redeemed => State::Redeemed(Redeemed {
            votes,
            approved_at: secs(&value, "approved_at")?,
            until: secs(&value, "until")?,
            at: at()?,
            redemption_id: value.get("redemption_id")?.as_str()?.to_owned(),
            outcome: match value.get("outcome")? {
                Value::Null => None,
                Value::String(text) => Some(Digest::parse(text).ok()?),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    return None;
                }
            },
        }),
        Kind::Denied => State::Denied(Denied {
            votes,
            by: subject(&value, "by")?,
            deny: digest(&value, "deny")?,
            at: at()?,
        }),
        Kind::Expired => State::Expired(Expired { votes, at: at()? }),
        Kind::Withdrawn => State::Withdrawn(Withdrawn {
            votes,
            by: match value.get("by")?.as_str()? {
                "requester" => WithdrawnBy::Requester,
                "pep" => WithdrawnBy::Pep,
                _ => return None,
            },
            at: at()?,
        }),
        Kind::Voided => State::Voided(Voided {
            votes,
            // Written before votes could lose other ground: the binding.
            vote: digest(&value, "vote").or_else(|| digest(&value, "binding"))?,
            at: at()?,
        }),
    })
}

pub(crate) fn choice_name(choice: Choice) -> &'static str {
    match choice {
        Choice::Approve => "approve",
        Choice::Deny => "deny",
    }
}

pub(crate) fn choice_named(name: &str) -> Option<Choice> {
    match name {
        "approve" => Some(Choice::Approve),
        "deny" => Some(Choice::Deny),
        _ => None,
    }
}

fn votes_out(votes: &[CountedVote]) -> Value {
    votes
        .iter()
        .map(
            |CountedVote {
                 subject,
                 person,
                 stage,
                 prior,
                 digest,
                 binding,
                 signed_at,
             }| {
                let mut vote = json!({
                    "person": subject.to_string(), "counts_as": person.to_text(), "digest": digest.to_string(),
                    "binding": binding.to_string(), "signed_at": signed_at.0,
                });
                if let Some(stage) = stage {
                    vote["stage"] = json!(stage);
                }
                if !prior.is_empty() {
                    vote["prior"] = prior.iter().map(Digest::to_string).collect();
                }
                vote
            },
        )
        .collect()
}

fn votes_in(value: &Value) -> Option<Vec<CountedVote>> {
    value
        .as_array()?
        .iter()
        .map(|vote| {
            Some(CountedVote {
                subject: subject(vote, "person")?,
                person: match vote.get("counts_as") {
                    // Written before persons were: each account was one.
                    None => Person::Account(subject(vote, "person")?),
                    Some(text) => Person::parse(text.as_str()?).ok()?,
                },
                stage: match vote.get("stage") {
                    None => None,
                    Some(stage) => Some(stage.as_str()?.to_owned()),
                },
                prior: match vote.get("prior") {
                    None => Vec::new(),
                    Some(prior) => prior
                        .as_array()?
                        .iter()
                        .map(|digest| Digest::parse(digest.as_str()?).ok())
                        .collect::<Option<_>>()?,
                },
                digest: digest(vote, "digest")?,
                binding: digest(vote, "binding")?,
                signed_at: secs(vote, "signed_at")?,
            })
        })
        .collect()
}

fn secs(value: &Value, name: &str) -> Option<UnixSecs> {
    value.get(name)?.as_i64().map(UnixSecs)
}

fn digest(value: &Value, name: &str) -> Option<Digest> {
    Digest::parse(value.get(name)?.as_str()?).ok()
}

fn subject(value: &Value, name: &str) -> Option<Subject> {
    Subject::parse(value.get(name)?.as_str()?).ok()
}
