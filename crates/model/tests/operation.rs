//! What is an operation, and what is not.

#![allow(clippy::unwrap_used, missing_docs)]

use countersign_model::{Digest, Operation, json};
use serde_json::{Value, json};

fn sample() -> Value {
    json!({
        "subject": {"type": "user", "id": "https://op.example|mara", "properties": {
            "claims": {"name": "Mara", "groups": ["orders-dev"], "auth_time": 1_795_330_000},
            "act": {"iss": "https://op.example", "sub": "ci", "act": {"iss": "https://ai.example", "sub": "agent|7"}},
        }},
        "action": {"name": "orders.customers.delete", "properties": {"kind": "http", "method": "DELETE"}},
        "resource": {"type": "orders.customer", "id": "42", "properties": {"service": "orders-api"}},
        "context": {"pep": "orders-gate", "nonce": "AAECAwQFBgcICQoLDA0ODw", "justification": "asked to", "ticket": "OPS-1"},
    })
}

#[test]
fn operation_is_read_from_its_canonical_bytes() {
    let built = Operation::build(sample()).unwrap();
    let read = Operation::parse(built.bytes()).unwrap();
    assert_eq!(read, built);
    assert_eq!(read.digest(), Digest::of(read.bytes()));
    assert_eq!(read.subject().to_string(), "https://op.example|mara");
    assert_eq!(read.subject_type(), "user");
    assert_eq!(read.claims()["name"], "Mara");
    let actors: Vec<_> = read.act_chain().iter().map(ToString::to_string).collect();
    assert_eq!(
        actors,
        ["https://op.example|ci", "https://ai.example|agent|7"]
    );
    assert_eq!(
        (read.action(), read.resource_type(), read.resource_id()),
        ("orders.customers.delete", "orders.customer", "42")
    );
    assert_eq!(read.action_properties()["method"], "DELETE");
    assert_eq!(read.resource_properties()["service"], "orders-api");
    assert_eq!(
        (read.pep().as_str(), read.nonce().as_str()),
        ("orders-gate", "AAECAwQFBgcICQoLDA0ODw")
    );
    assert_eq!(
        (read.justification(), read.ticket()),
        (Some("asked to"), Some("OPS-1"))
    );
}

#[test]
fn only_canonical_bytes_are_an_operation() {
    let pretty = serde_json::to_vec_pretty(&sample()).unwrap();
    assert_eq!(
        Operation::parse(&pretty).unwrap_err().rule(),
        "not_canonical"
    );
}

#[test]
fn every_member_is_in_the_digest() {
    let digest = Operation::build(sample()).unwrap().digest();
    for (pointer, value) in [
        ("/subject/id", json!("https://op.example|jonas")),
        ("/subject/properties/act/sub", json!("other")),
        ("/subject/properties/claims/name", json!("M\u{430}ra")),
        ("/action/name", json!("orders.customers.read")),
        ("/action/properties/method", json!("GET")),
        ("/resource/id", json!("43")),
        ("/context/nonce", json!("AAECAwQFBgcICQoLDA0OEA")),
        ("/context/justification", json!("asked to.")),
        ("/context/ticket", json!("OPS-2")),
    ] {
        let mut changed = sample();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_ne!(
            Operation::build(changed).unwrap().digest(),
            digest,
            "{pointer}"
        );
    }
}

#[test]
fn members_are_exact_and_typed() {
    let cases: [(&str, Option<Value>); 29] = [
        ("/subject", None),
        ("/action", None),
        ("/resource", None),
        ("/context", None),
        ("/extra", Some(json!(1))),
        ("/subject/type", Some(json!("a user"))),
        ("/subject/id", Some(json!("mara"))),
        ("/subject/id", Some(json!("http://op.example|mara"))),
        ("/subject/email", Some(json!("x"))),
        ("/subject/properties", Some(json!([]))),
        ("/subject/properties/role", Some(json!("admin"))),
        ("/subject/properties/claims", Some(json!("admin"))),
        ("/subject/properties/act", Some(json!({"sub": "x"}))),
        ("/subject/properties/act/role", Some(json!("x"))),
        ("/action/name", Some(json!(""))),
        ("/action/verb", Some(json!("x"))),
        ("/action/properties", Some(json!(null))),
        ("/resource/id", Some(json!(""))),
        ("/resource/id", Some(json!(42))),
        ("/resource/id", Some(json!("x".repeat(1025)))),
        ("/resource/owner", Some(json!("x"))),
        ("/context/pep", Some(json!("../gate"))),
        ("/context/nonce", Some(json!("short"))),
        ("/context/nonce", None),
        ("/context/time", Some(json!(1))),
        ("/context/justification", Some(json!(""))),
        ("/context/justification", Some(json!("x".repeat(4097)))),
        ("/context/ticket", Some(json!("x".repeat(257)))),
        ("/subject/properties/device", Some(json!("phone"))),
    ];
    for (pointer, value) in cases {
        let mut changed = sample();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = changed
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        match value {
            Some(value) => drop(parent.insert(name.to_owned(), value)),
            None => drop(parent.remove(name)),
        }
        let error = Operation::build(changed.clone()).unwrap_err();
        assert_eq!(error.rule(), "operation_shape", "{pointer}");
        let bytes = json::canonical(&changed);
        assert_eq!(Operation::parse(&bytes).unwrap_err(), error, "{pointer}");
    }
}

#[test]
fn what_is_put_together_here_obeys_the_strict_rules_too() {
    let deep = (0..16).fold(json!(1), |value, _| json!({"a": value}));
    for (value, rule) in [
        (json!(0.5), "number"),
        (json!(1_u64 << 53), "number"),
        (json!({"a b": 1}), "member_name"),
        (json!("\u{fffe}"), "noncharacter"),
        (deep, "too_deep"),
        (json!("x".repeat(64 * 1024)), "too_long"),
    ] {
        let mut changed = sample();
        changed["action"]["properties"]["more"] = value;
        assert_eq!(Operation::build(changed).unwrap_err().rule(), rule);
    }
}

#[test]
fn optional_parts_may_be_absent() {
    let operation = Operation::build(json!({
        "subject": {"type": "user", "id": "https://op.example|mara"},
        "action": {"name": "read"},
        "resource": {"type": "thing", "id": "1"},
        "context": {"pep": "gate", "nonce": "AAECAwQFBgcICQoLDA0ODw"},
    }))
    .unwrap();
    assert!(operation.claims().is_null() && operation.action_properties().is_null());
    assert!(operation.act_chain().is_empty() && operation.justification().is_none());
}

#[test]
fn debug_output_holds_no_text_of_the_operation() {
    let shown = format!("{:?}", Operation::build(sample()).unwrap());
    assert!(
        !shown.contains("mara") && !shown.contains("Mara") && shown.contains("Digest("),
        "{shown}"
    );
}
