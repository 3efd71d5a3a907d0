//! What is allowed outright is answered without an operation: the same answer.

use std::sync::LazyLock;

use crate::properties::{add, claims};
use crate::world::{ISSUER, changed, load};
use countersign_model::{Operation, PolicyAnswer, PolicyCheck, TokenRule};
use countersign_policy::{Policy, Requester, Seen};
use proptest::prelude::*;
use serde_json::json;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    load(
        r#"
        @id("known") permit (principal, action == Action::"read", resource)
        when { principal.groups.contains("{{issuer}}#orders-dev") && principal has name && principal.type == "user" };
        @id("small") @token_scope("orders") permit (principal, action == Action::"write", resource)
        when { context has body_bytes && context.body_bytes < 10 && resource.type == "orders.customer" };
        @id("asked") @approvals("1") permit (principal, action == Action::"delete", resource);
        @id("frozen") forbid (principal, action, resource)
        when { context has path && context.path like "/frozen*" || resource.hasTag("department") };
        @id("in-person") forbid (principal, action == Action::"write", resource)
        when { principal.act.contains("{{issuer}}|robot") };
        "#,
    )
});

fn allowed(operation: &Operation) -> Option<TokenRule> {
    let claims = operation.claims().as_object().unwrap();
    let (subject, kind) = (operation.subject(), operation.subject_type());
    let requester = Requester::new(subject, kind, claims, operation.act_chain()).unwrap();
    POLICY.allows(&requester, &Seen::of(operation))
}

#[test]
fn only_what_needs_no_approval_is_allowed_outright_and_by_which_tokens() {
    let write = |size: i64| {
        changed("mara", "write", |value| {
            value["action"]["properties"]["body"] = json!({ "size": size });
        })
    };
    let at = |path: &str| {
        changed("mara", "read", |value| {
            value["action"]["properties"]["path"] = json!(path);
        })
    };
    let scope = Some("orders".to_owned());
    let scoped = TokenRule {
        scope,
        ..TokenRule::default()
    };
    assert_eq!(allowed(&at("/customers/42")), Some(TokenRule::default()));
    assert_eq!(allowed(&write(9)), Some(scoped));
    let by_robot = changed("mara", "write", |value| {
        value["subject"]["properties"]["act"] = json!({ "iss": ISSUER, "sub": "robot" });
        value["action"]["properties"]["body"] = json!({ "size": 9 });
    });
    for not in [
        write(10),
        by_robot,
        at("/frozen/42"),
        changed("otto", "read", |_| {}),
        changed("mara", "delete", |_| {}),
        changed("mara", "vote", |_| {}),
        changed("mara", "unknown", |_| {}),
    ] {
        assert_eq!(allowed(&not), None, "{}", not.value());
    }
}

proptest! {
    #[test]
    fn an_operation_changes_nothing_about_what_is_allowed_outright(
        acted_for: bool, claims in claims(), properties in claims(), call in claims(),
    ) {
        for action in ["read", "write", "delete", "unknown"] {
            let asked = changed("mara", action, |value| {
                if acted_for {
                    value["subject"]["properties"]["act"] = json!({ "iss": ISSUER, "sub": "robot" });
                }
                add(value, &claims, &properties, &call);
            });
            let with_one = (POLICY.answer(&asked) == PolicyAnswer::Allow)
                .then(|| POLICY.token_rule(&asked));
            prop_assert_eq!(allowed(&asked), with_one);
        }
    }
}
