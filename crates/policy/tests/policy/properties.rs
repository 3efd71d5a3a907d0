//! Rules that hold for every policy and every operation.

use std::sync::LazyLock;

use crate::world::{changed, load, operation, voter, with_voters};
use countersign_model::{PolicyAnswer, PolicyCheck, Requirement, TokenRule};
use countersign_policy::Policy;
use proptest::prelude::*;
use serde_json::{Value, json};

static ORDERS: LazyLock<Policy> = LazyLock::new(crate::world::orders);

/// Annotations of one permit that load.
fn annotations() -> impl Strategy<Value = String> {
    let one = |name: &'static str, values: &'static [&'static str]| {
        proptest::option::weighted(
            0.4,
            proptest::sample::select(values)
                .prop_map(move |value| format!("@{name}(\"{value}\") ")),
        )
        .prop_map(Option::unwrap_or_default)
    };
    let sign_in = prop_oneof![
        4 => Just(String::new()),
        1 => Just(r#"@step_up("oidc") "#.to_owned()),
        1 => Just(r#"@step_up("webauthn") "#.to_owned()),
        1 => Just(r#"@step_up("oidc") @scope("approve:a") "#.to_owned()),
        1 => Just(r#"@step_up("oidc") @scope("approve:b") @acr("high") "#.to_owned()),
        1 => Just(r#"@step_up("oidc") @by("requester") "#.to_owned()),
    ];
    (
        (
            one("approvals", &["1", "2", "5"]),
            one("ttl", &["90s", "15m", "12h"]),
            one("grant", &["30s", "2m", "1h"]),
        ),
        (
            one("match", &["none", "words"]),
            one("reason", &["optional", "on_deny", "always"]),
        ),
        (
            one("fresh_claims", &["1m", "1h"]),
            one("release_claims", &["1m", "1h"]),
        ),
        (
            one("irreversible", &["Gone", "For ever"]),
            one("lift", &["/resource/id", "/action/name,/resource/id"]),
        ),
        (
            (
                one("notify_buttons", &["none", "deny", "both"]),
                one("urgent", &["yes"]),
                one("hold", &["yes"]),
            ),
            sign_in,
        ),
    )
        .prop_map(|((a, b, c), (d, e), (f, g), (h, i), ((j, l, m), k))| {
            // One vote by the requester: more are refused when loading.
            let a = if k.contains("requester") {
                String::new()
            } else {
                a
            };
            [a, b, c, d, e, f, g, h, i, j, k, l, m].concat()
        })
}

fn policy(permits: &[String]) -> Policy {
    let text: String = permits
        .iter()
        .enumerate()
        .map(|(n, annotations)| {
            // Each under a condition of its own: what always contradicts does not load.
            format!(
                "@id(\"p{n}\") {annotations} permit (principal, action == Action::\"a\", resource)
                 when {{ resource.id != \"x{n}\" }};\n"
            )
        })
        .collect();
    load(&text)
}

/// `after` is at least as strict as `before`, written without the code under test: what has an order is no
/// laxer, what has none is still there.
fn no_laxer(before: &Requirement, after: &Requirement) -> bool {
    let kept =
        |before: &Option<String>, after: &Option<String>| before.is_none() || before == after;
    let step = |requirement: &Requirement| {
        ["none", "oidc", "webauthn"]
            .iter()
            .position(|name| *name == requirement.step_up.as_str())
    };
    after.by == before.by
        && after.stages == before.stages
        && after.approvals >= before.approvals
        && step(after) >= step(before)
        && kept(&before.acr, &after.acr)
        && kept(&before.scope, &after.scope)
        && (before.match_words.as_str() == "none" || after.match_words.as_str() == "words")
        && after.fresh_claims_secs <= before.fresh_claims_secs
        && before.release_claims_secs.is_none_or(|before| {
            after
                .release_claims_secs
                .is_some_and(|after| after <= before)
        })
        && after.reason >= before.reason
        && after.notify_buttons <= before.notify_buttons
        && after.ttl_secs <= before.ttl_secs
        && after.grant_secs <= before.grant_secs
        && (after.urgent || !before.urgent)
        && (after.hold || !before.hold)
        && before.irreversible.as_ref().is_none_or(|before| {
            after
                .irreversible
                .as_ref()
                .is_some_and(|after| after.contains(before.as_str()))
        })
        && before
            .lift
            .iter()
            .all(|pointer| after.lift.contains(pointer))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn adding_a_permit_never_weakens_a_requirement(permits in proptest::collection::vec(annotations(), 1..4), more in annotations()) {
        let asked = operation("otto", "a");
        let before = policy(&permits).answer(&asked);
        let mut with_more = permits;
        with_more.push(more);
        let after = policy(&with_more).answer(&asked);
        match (&before, &after) {
            (PolicyAnswer::Allow, _) | (_, PolicyAnswer::Deny { .. }) => {}
            (PolicyAnswer::Approve(before), PolicyAnswer::Approve(after)) => {
                prop_assert!(no_laxer(before, after), "{before:?}\n{after:?}");
                // Each side reads what the other writes.
                prop_assert_eq!(&Requirement::from_value(&after.to_value()).unwrap(), after);
            }
            (PolicyAnswer::Approve(_), PolicyAnswer::Allow) => prop_assert!(false, "a permit lifted a requirement"),
            (PolicyAnswer::Deny { .. }, _) => prop_assert!(false, "a permit lifted a denial by conflict"),
        }
    }

    #[test]
    fn what_loads_asks_for_what_it_says_and_nothing_panics(name in "[a-z_]{1,14}", value in "\\PC{0,20}") {
        let text = format!(
            "@id(\"p\") @{name}(\"{}\") permit (principal, action == Action::\"a\", resource);",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        );
        if let Ok(policy) = Policy::load(&with_voters(&text)) {
            let asked = operation("otto", "a");
            if name.starts_with("token_") {
                prop_assert!(policy.token_rule(&asked) != TokenRule::default(), "{text}");
            } else {
                prop_assert!(matches!(policy.answer(&asked), PolicyAnswer::Approve(_)), "{text}");
            }
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Policy::load(&text);
    }

    #[test]
    fn every_operation_has_an_answer(claims in claims(), properties in claims(), call in claims()) {
        let policy = &*ORDERS;
        for action in ["orders.customers.read", "orders.customers.delete", "x"] {
            let asked = changed("mara", action, |value| add(value, &claims, &properties, &call));
            let answer = policy.answer(&asked);
            if let PolicyAnswer::Deny { reason } = &answer {
                prop_assert!(!reason.contains("cannot be put"), "{reason}");
            }
            let mut voter = voter("elin");
            voter.claims = json!(claims.iter().cloned().collect::<serde_json::Map<_, _>>());
            if let Err(reason) = policy.may_vote(&voter, &asked, None) {
                prop_assert!(!reason.contains("cannot be put"), "{reason}");
            }
            prop_assert!(!policy.who_may_vote(&asked, None).is_empty());
        }
    }
}

/// Puts members where an operation has its claims, the properties of its resource, and those of its action.
pub(crate) fn add(
    operation: &mut Value,
    claims: &[(String, Value)],
    properties: &[(String, Value)],
    call: &[(String, Value)],
) {
    for (pointer, members) in [
        ("/subject/properties/claims", claims),
        ("/resource/properties", properties),
        ("/action/properties", call),
    ] {
        let place = operation.pointer_mut(pointer).unwrap();
        for (name, value) in members {
            place[name] = value.clone();
        }
    }
}

/// Members by the names that the schema knows, and others, of any type.
pub(crate) fn claims() -> impl Strategy<Value = Vec<(String, Value)>> {
    let name = proptest::sample::select(
        &[
            "groups",
            "name",
            "email",
            "email_verified",
            "acr",
            "amr",
            "auth_time",
            "client_id",
            "type",
            "iss",
            "sub",
            "act",
            "service",
            "kind",
            "method",
            "path",
            "query",
            "body",
            "department",
            "pep",
        ][..],
    );
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(|value| json!(value)),
        "[ -~]{0,8}".prop_map(|value| json!(value)),
        proptest::collection::vec("[ -~]{0,8}", 0..3).prop_map(|value| json!(value)),
        Just(json!({ "size": "3", "text": 7 })),
        Just(json!({ "size": 3, "text": "abc" })),
        Just(json!([{ "a": 1 }, 2, null])),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..6)
}
