//! The people and operations of the demo, for the tests of this crate.

use std::collections::BTreeSet;

use countersign_model::{Issuer, Operation, Subject, Voter};
use countersign_policy::Policy;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://id.example.com";

/// The demo's policy.
pub(crate) fn orders() -> Policy {
    load(include_str!("../../examples/orders.cedar"))
}

pub(crate) fn load(text: &str) -> Policy {
    Policy::load(&with_voters(text)).unwrap()
}

/// With somebody who may vote, where the text is not about that: without voters, no permit may want approvals.
pub(crate) fn with_voters(text: &str) -> String {
    let voters = r#"
        @id("voters") permit (principal, action == Action::"vote", resource)
        when { principal.groups.contains("{{issuer}}#dba") };"#;
    let about_votes = text.contains("Action::\"vote\"");
    let text = text.to_owned() + if about_votes { "" } else { voters };
    text.replace("{{issuer}}", ISSUER)
}

pub(crate) fn subject(sub: &str) -> Subject {
    Subject::new(Issuer::parse(ISSUER).unwrap(), sub).unwrap()
}

/// The groups of the demo's people.
pub(crate) fn groups(sub: &str) -> &'static [&'static str] {
    match sub {
        "mara" => &["orders-dev"],
        "elin" => &["dba", "auditors"],
        "jonas" => &["dba"],
        _ => &[],
    }
}

pub(crate) fn voter(sub: &str) -> Voter {
    voter_with(
        sub,
        groups(sub)
            .iter()
            .map(|group| format!("{ISSUER}#{group}"))
            .collect(),
    )
}

pub(crate) fn voter_with(sub: &str, groups: BTreeSet<String>) -> Voter {
    Voter {
        subject: subject(sub),
        groups,
        claims: json!({ "sub": sub, "iss": ISSUER }),
    }
}

/// An operation of one of the demo's people.
pub(crate) fn operation(sub: &str, action: &str) -> Operation {
    changed(sub, action, |_| {})
}

/// The same after a change.
pub(crate) fn changed(sub: &str, action: &str, change: impl FnOnce(&mut Value)) -> Operation {
    let mut value = json!({
        "subject": {
            "type": "user",
            "id": format!("{ISSUER}|{sub}"),
            "properties": { "claims": { "name": sub, "groups": groups(sub) } },
        },
        "action": { "name": action, "properties": { "kind": "http", "method": "DELETE", "path": "/customers/42" } },
        "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
        "context": { "pep": "orders-gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" },
    });
    change(&mut value);
    Operation::build(value).unwrap()
}
