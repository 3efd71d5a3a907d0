//! What a policy answers: tables of (subject × operation → outcome), and the rules that no policy changes.

use crate::world::{ISSUER, changed, load, operation, orders, subject, voter, voter_with};
use countersign_model::{MatchWords, PolicyAnswer, PolicyCheck, ReasonRule, Requirement};
use serde_json::json;

/// An answer in one line.
fn line(answer: &PolicyAnswer) -> String {
    match answer {
        PolicyAnswer::Allow => "allow".to_owned(),
        PolicyAnswer::Deny { reason } => format!("deny: {reason}"),
        PolicyAnswer::Approve(requirement) => format!("approve by {}", requirement.approvals),
    }
}

fn requirement(answer: PolicyAnswer) -> Requirement {
    match answer {
        PolicyAnswer::Approve(requirement) => requirement,
        PolicyAnswer::Allow | PolicyAnswer::Deny { .. } => panic!("{}", line(&answer)),
    }
}

#[test]
fn the_demo_policy_as_a_table() {
    let policy = orders();
    let nothing =
        |action| format!("deny: no permit of the policy lets this requester do `{action}` here");
    let purge = "deny: the policy `no-purge` forbids it: Purging is done by the data protection team, from a backup plan";
    for (sub, action, expected) in [
        ("mara", "orders.customers.read", "allow".to_owned()),
        ("mara", "orders.orders.read", "allow".to_owned()),
        ("mara", "orders.customers.delete", "approve by 2".to_owned()),
        ("mara", "orders.prices.update", "approve by 1".to_owned()),
        ("mara", "orders.customers.purge", purge.to_owned()),
        (
            "mara",
            "orders.customers.rename",
            "deny: the policy does not know the action `orders.customers.rename`".to_owned(),
        ),
        (
            "mara",
            "vote",
            "deny: the policy does not know the action `vote`".to_owned(),
        ),
        (
            "elin",
            "orders.customers.read",
            nothing("orders.customers.read"),
        ),
        (
            "elin",
            "orders.customers.delete",
            nothing("orders.customers.delete"),
        ),
        ("elin", "orders.customers.purge", purge.to_owned()),
        (
            "otto",
            "orders.customers.read",
            nothing("orders.customers.read"),
        ),
        (
            "otto",
            "orders.customers.delete",
            nothing("orders.customers.delete"),
        ),
        (
            "otto",
            "orders.prices.update",
            nothing("orders.prices.update"),
        ),
    ] {
        assert_eq!(
            line(&policy.answer(&operation(sub, action))),
            expected,
            "{sub}, {action}"
        );
    }
}

#[test]
fn a_permit_carries_its_requirement() {
    let delete = requirement(orders().answer(&operation("mara", "orders.customers.delete")));
    assert_eq!(
        (delete.approvals, delete.ttl_secs, delete.grant_secs),
        (2, 600, 120)
    );
    assert_eq!(delete.irreversible.as_deref(), Some("Cannot be undone"));
    assert_eq!(
        (delete.reason, delete.match_words),
        (ReasonRule::OnDeny, MatchWords::None)
    );
    assert_eq!(delete.fresh_claims_secs, 300);
    let prices = requirement(orders().answer(&operation("mara", "orders.prices.update")));
    assert_eq!(prices.match_words, MatchWords::Words);
}

#[test]
fn who_may_vote_as_a_table() {
    let policy = orders();
    for (sub, requester, expected) in [
        ("elin", "mara", Ok(())),
        ("jonas", "mara", Ok(())),
        (
            "otto",
            "mara",
            Err("no permit of the policy lets this person vote on this operation"),
        ),
        ("mara", "mara", Err("nobody votes on their own request")),
        ("elin", "elin", Err("nobody votes on their own request")),
    ] {
        let operation = operation(requester, "orders.customers.delete");
        assert_eq!(
            policy.may_vote(&voter(sub), &operation, None),
            expected.map_err(str::to_owned),
            "{sub} on {requester}'s"
        );
    }
}

#[test]
fn who_acts_for_the_requester_cannot_vote() {
    let operation = changed("mara", "orders.customers.delete", |value| {
        value["subject"]["properties"]["act"] =
            json!({ "iss": ISSUER, "sub": "robot", "act": { "iss": ISSUER, "sub": "elin" } });
    });
    assert_eq!(
        orders().may_vote(&voter("elin"), &operation, None),
        Err("nobody votes on their own request".to_owned())
    );
    assert_eq!(orders().may_vote(&voter("jonas"), &operation, None), Ok(()));
}

#[test]
fn a_group_of_another_provider_is_another_group() {
    let operation = operation("mara", "orders.customers.delete");
    let refused = Err("no permit of the policy lets this person vote on this operation".to_owned());
    for group in ["https://evil.example.com#dba", "dba", "#dba"] {
        let voter = voter_with("elin", [group.to_owned()].into());
        assert_eq!(
            orders().may_vote(&voter, &operation, None),
            refused,
            "{group}"
        );
    }
    // The right name, handed in with a person of another provider.
    let mut stranger = voter("elin");
    stranger.subject = countersign_model::Subject::parse("https://evil.example.com|elin").unwrap();
    assert_eq!(orders().may_vote(&stranger, &operation, None), refused);
}

#[test]
fn the_requesters_groups_are_those_of_their_provider() {
    let elsewhere = changed("mara", "orders.customers.read", |value| {
        value["subject"]["id"] = json!("https://evil.example.com|mara");
        value["subject"]["properties"]["claims"]["groups"] =
            json!(["orders-dev", format!("{ISSUER}#orders-dev")]);
    });
    assert!(matches!(
        orders().answer(&elsewhere),
        PolicyAnswer::Deny { .. }
    ));
}

#[test]
fn a_claim_of_another_type_is_as_absent() {
    for groups in [
        json!("orders-dev"),
        json!({ "orders-dev": true }),
        json!([["orders-dev"]]),
        json!(null),
        json!(7),
    ] {
        let operation = changed("mara", "orders.customers.read", |value| {
            let claims = &mut value["subject"]["properties"]["claims"];
            claims["groups"] = groups.clone();
            claims["email_verified"] = json!("true");
            claims["auth_time"] = json!("0");
            claims["acr"] = json!(["1"]);
            claims["amr"] = json!("pwd");
            claims["odd"] = json!([{}]);
        });
        assert!(
            matches!(orders().answer(&operation), PolicyAnswer::Deny { .. }),
            "{groups}"
        );
    }
}

#[test]
fn a_body_that_nobody_could_see_is_not_approved() {
    let with_body = |body| {
        changed("mara", "orders.customers.delete", |value| {
            value["action"]["properties"]["body"] = body
        })
    };
    let seen = with_body(json!({ "size": 2, "sha256": "x", "text": "{}" }));
    let empty = with_body(json!({ "size": 0, "sha256": "x" }));
    let unseen = with_body(json!({ "size": 2, "sha256": "x" }));
    assert_eq!(line(&orders().answer(&seen)), "approve by 2");
    assert_eq!(line(&orders().answer(&empty)), "approve by 2");
    assert_eq!(
        line(&orders().answer(&unseen)),
        "deny: it needs approval, and its body cannot be shown to those who would approve it"
    );
}

#[test]
fn the_strictest_of_each_field_counts() {
    let policy = load(
        r#"
        @id("plain") permit (principal, action == Action::"a", resource);
        @id("one") @approvals("3") @ttl("1h") @grant("30s") @reason("always") @notify_buttons("both")
            @irreversible("Gone") @lift("/resource/id") @fresh_claims("1m")
            permit (principal, action == Action::"a", resource);
        @id("two") @approvals("1") @ttl("5m") @match("words") @hold("yes") @reason("on_deny") @notify_buttons("deny") @urgent("yes")
            @irreversible("For ever") @lift("/resource/id,/resource/type") @release_claims("1h")
            @step_up("oidc") @scope("approve:a") @acr("high")
            permit (principal, action == Action::"a", resource);
        "#,
    );
    let merged = requirement(policy.answer(&operation("otto", "a")));
    assert_eq!(
        merged.to_value(),
        json!({
            "by": "others", "approvals": 3, "step_up": "oidc", "acr": "high", "scope": "approve:a", "match": "words", "hold": true,
            "fresh_claims_secs": 60, "release_claims_secs": 3600, "reason": "always", "notify_buttons": "deny",
            "ttl_secs": 300, "grant_secs": 30, "urgent": true, "irreversible": "Gone; For ever",
            "lift": ["/resource/id", "/resource/type"],
        })
    );
}

#[test]
fn requirements_that_nothing_meets_together_deny() {
    for (one, other, about) in [
        (
            r#"@by("requester") @step_up("oidc")"#,
            r#"@approvals("1")"#,
            "@by",
        ),
        (
            r#"@step_up("oidc") @scope("approve:a")"#,
            r#"@step_up("oidc") @scope("approve:b")"#,
            "@scope",
        ),
        (
            r#"@step_up("oidc") @acr("a")"#,
            r#"@step_up("oidc") @acr("b")"#,
            "@acr",
        ),
        (
            r#"@stages("lead:1, security:1")"#,
            r#"@stages("security:1, lead:1")"#,
            "@stages",
        ),
        (
            r#"@stages("lead:1, security:1")"#,
            r#"@ttl("5m")"#,
            "@stages",
        ),
        (r#"@token_acr("a b")"#, r#"@token_acr("c")"#, "@token_acr"),
        (
            r#"@step_up("oidc") @scope("approve:a")"#,
            r#"@step_up("webauthn")"#,
            "@step_up and @scope or @acr",
        ),
    ] {
        let staged = if one.contains("@stages") {
            r#"@id("lead") @stage("lead") permit (principal, action == Action::"vote", resource)
               when { principal.groups.contains("{{issuer}}#leads") };
               @id("security") @stage("security") permit (principal, action == Action::"vote", resource)
               when { principal.groups.contains("{{issuer}}#security") };"#
        } else {
            ""
        };
        let policy = load(&format!(
            r#"@id("one") {one} permit (principal, action == Action::"a", resource) when {{ resource.id == "42" }};
               @id("other") {other} permit (principal, action == Action::"a", resource) when {{ resource.id != "1" }};
               {staged}
               @id("dba") permit (principal, action == Action::"vote", resource)
               when {{ principal.groups.contains("{{{{issuer}}}}#dba") }};"#
        ));
        assert_eq!(
            line(&policy.answer(&operation("otto", "a"))),
            format!(
                "deny: the policies `one` and `other` both apply and differ in {about}, so nothing meets both"
            )
        );
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_denies() {
    // Cedar alone would skip the forbid, and allow.
    let policy = load(
        r#"@id("plain") permit (principal, action == Action::"a", resource);
           @id("overflow") forbid (principal, action == Action::"a", resource)
           when { context has body_bytes && context.body_bytes * 9223372036854775807 > 10 };"#,
    );
    let operation = changed("otto", "a", |value| {
        value["action"]["properties"]["body"] = json!({ "size": 3, "sha256": "x", "text": "abc" });
    });
    let answer = line(&policy.answer(&operation));
    assert!(
        answer.starts_with("deny: the policy could not be evaluated: "),
        "{answer}"
    );
    assert!(answer.contains("`overflow`"), "{answer}");
}

#[test]
fn self_confirmation_is_the_requesters_alone() {
    let policy = load(
        r#"@id("confirm") @by("requester") @step_up("oidc") permit (principal, action == Action::"a", resource);
           @id("dba-vote") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };
           @id("no-robots") @why("Robots confirm nothing") forbid (principal, action == Action::"vote", resource)
           when { principal.sub like "robot-*" };"#,
    );
    let asked = operation("mara", "a");
    assert_eq!(policy.may_vote(&voter("mara"), &asked, None), Ok(()));
    assert_eq!(
        policy.may_vote(&voter("elin"), &asked, None),
        Err("only the requester in person confirms this operation".to_owned())
    );
    assert_eq!(
        policy.may_vote(&voter("robot-1"), &operation("robot-1", "a"), None),
        Err("the policy `no-robots` forbids it: Robots confirm nothing".to_owned())
    );
    assert_eq!(policy.who_may_vote(&asked, None), "the requester in person");
}

#[test]
fn who_may_vote_is_told_in_words() {
    let policy = load(
        r#"@id("a") permit (principal, action in [Action::"a", Action::"b", Action::"c"], resource);
           @id("v1") @people("database approvers") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") && ["a", "b"].contains(resource.action) };
           @id("v2") @people("release managers") permit (principal, action == Action::"vote", resource)
           when { resource.action == "b" }
           unless { !(principal.groups.contains("{{issuer}}#release") || principal.sub == "root") };
           @id("v3") permit (principal == User::"https://id.example.com|ceo", action == Action::"vote", resource)
           when { resource.action == "b" };
           @id("f1") forbid (principal, action == Action::"vote", resource)
           when { resource.resource_id == "frozen" };
           @id("f2") forbid (principal, action == Action::"vote", resource)
           when { principal.sub == "otto" };"#,
    );
    let on = |action, id: &str| {
        policy.who_may_vote(
            &changed("mara", action, |value| value["resource"]["id"] = json!(id)),
            None,
        )
    };
    assert_eq!(on("a", "1"), "database approvers");
    assert_eq!(
        on("b", "1"),
        "database approvers, release managers or those whom `v3` names"
    );
    assert_eq!(on("c", "1"), "nobody");
    assert_eq!(on("b", "frozen"), "nobody");
    assert_eq!(
        orders().who_may_vote(&operation("mara", "orders.customers.delete"), None),
        "database approvers"
    );
}

#[test]
fn a_condition_may_look_at_the_call_and_at_what_the_schema_does_not_name() {
    let policy = load(
        r#"@id("eu") permit (principal is User, action == Action::"a", resource is Resource)
           when { resource.hasTag("region") && resource.getTag("region") == "eu" }
           when { principal.hasTag("department") && principal.getTag("department") == "sales" }
           when { context has method && context.method == "DELETE" && context.pep == "orders-gate" }
           unless { context has query && context.query like "*purge=*" };"#,
    );
    let call = |region: &str, query: &str| {
        changed("mara", "a", |value| {
            value["resource"]["properties"]["region"] = json!(region);
            value["subject"]["properties"]["claims"]["department"] = json!("sales");
            value["action"]["properties"]["query"] = json!(query);
        })
    };
    assert_eq!(policy.answer(&call("eu", "x=1")), PolicyAnswer::Allow);
    assert!(matches!(
        policy.answer(&call("us", "x=1")),
        PolicyAnswer::Deny { .. }
    ));
    assert!(matches!(
        policy.answer(&call("eu", "purge=true")),
        PolicyAnswer::Deny { .. }
    ));
}

#[test]
fn a_policy_names_its_actions_and_its_digest() {
    let policy = orders();
    assert_eq!(
        policy.actions().collect::<Vec<_>>(),
        [
            "orders.customers.delete",
            "orders.customers.purge",
            "orders.customers.read",
            "orders.orders.read",
            "orders.prices.update"
        ]
    );
    let text = include_str!("../../examples/orders.cedar").replace("{{issuer}}", ISSUER);
    assert_eq!(
        policy.digest(),
        countersign_model::Digest::of(text.as_bytes())
    );
    assert_eq!(subject("mara").to_string(), "https://id.example.com|mara");
}

#[test]
fn a_forbid_without_an_action_holds_for_all_of_them_and_for_votes() {
    let policy = load(
        r#"@id("a") permit (principal, action == Action::"a", resource);
           @id("v") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };
           @id("frozen") @why("The account is frozen") forbid (principal, action, resource)
           when { ["mara", "jonas"].contains(principal.sub) };"#,
    );
    let frozen = "the policy `frozen` forbids it: The account is frozen";
    assert_eq!(policy.answer(&operation("otto", "a")), PolicyAnswer::Allow);
    assert_eq!(
        line(&policy.answer(&operation("mara", "a"))),
        format!("deny: {frozen}")
    );
    assert_eq!(
        policy.may_vote(&voter("elin"), &operation("otto", "a"), None),
        Ok(())
    );
    assert_eq!(
        policy.may_vote(&voter("jonas"), &operation("otto", "a"), None),
        Err(frozen.to_owned())
    );
}
