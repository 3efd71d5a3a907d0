//! What people are told about an answer: which rules, and what each of them asked for.

use crate::world::{changed, load, operation, orders};
use countersign_model::{PolicyAnswer, PolicyCheck as _, TokenRule};
use countersign_policy::Explanation;

/// `name value (rules)`, what is so by default marked with a dash.
fn asks(explanation: &Explanation) -> Vec<String> {
    let line = |asked: &countersign_policy::Asked| {
        let mark = if asked.is_default { "-" } else { "+" };
        format!(
            "{mark} {} {} ({})",
            asked.name,
            asked.value,
            asked.rules.join(", ")
        )
    };
    explanation.asks.iter().map(line).collect()
}

fn ids(rules: &[countersign_policy::RuleAt]) -> Vec<String> {
    let line = |rule: &countersign_policy::RuleAt| format!("{}:{}", rule.id, rule.line);
    rules.iter().map(line).collect()
}

#[test]
fn each_member_names_the_rule_that_it_came_from() {
    let policy = load(
        r#"@id("plain") permit (principal, action == Action::"a", resource);
@id("one") @approvals("3") @ttl("1h") @irreversible("Gone") @token_scope("a:write") @step_up("oidc")
permit (principal, action == Action::"a", resource);
@id("two") @approvals("2") @ttl("5m") @match("words") @irreversible("For ever") @grant("1h") @lift("/resource/id")
    @token_scope("b") @token_max_age("90s") @token_acr("x y") @digest_only("a/b, a/c")
permit (principal, action == Action::"a", resource);
@id("other") @approvals("9")
permit (principal, action in [Action::"a", Action::"b"], resource) when { resource.id == "1" };
@id("elsewhere") permit (principal, action == Action::"c", resource);
@id("frozen") forbid (principal, action, resource) when { principal.sub == "otto" };
@id("voters") @people("database approvers") permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#dba") };"#,
    );
    let asked = operation("mara", "a");
    let explanation = policy.explain(&asked);
    assert_eq!(explanation.answer, policy.answer(&asked));
    assert_eq!(explanation.token, policy.token_rule(&asked));
    assert_eq!(ids(&explanation.applies), ["plain:1", "one:2", "two:4"]);
    assert_eq!(ids(&explanation.passed_over), ["other:7", "frozen:10"]);
    assert_eq!(
        asks(&explanation),
        [
            "- by others ()",
            "+ approvals 3 (one)",
            "+ step_up oidc (one)",
            "+ match words (two)",
            "- fresh_claims 5m ()",
            "- reason optional ()",
            "- notify_buttons none ()",
            "+ ttl 5m (two)",
            "- grant 2m ()",
            "+ irreversible Gone; For ever (one, two)",
            "+ lift /resource/id (two)",
            "+ token_scope a:write b (one, two)",
            "+ token_acr x y (two)",
            "+ token_max_age 90s (two)",
        ]
    );
    assert_eq!(explanation.voters.len(), 1);
    assert_eq!(explanation.voters[0].who, "database approvers");
    assert_eq!(ids(&explanation.voters[0].rules), ["voters:11"]);
}

#[test]
fn a_denial_names_its_rules_and_asks_for_nothing() {
    let policy = orders();
    let purge = policy.explain(&operation("mara", "orders.customers.purge"));
    assert!(matches!(purge.answer, PolicyAnswer::Deny { .. }));
    assert_eq!(ids(&purge.applies).len(), 1);
    assert!(purge.applies[0].id == "no-purge" && purge.asks.is_empty() && purge.voters.is_empty());
    let stranger = policy.explain(&operation("otto", "orders.customers.read"));
    assert!(stranger.applies.is_empty());
    assert_eq!(stranger.passed_over[0].id, "developers-read");
    assert_eq!(stranger.token, TokenRule::default());
    let allowed = policy.explain(&operation("mara", "orders.customers.read"));
    assert_eq!(allowed.answer, PolicyAnswer::Allow);
    assert_eq!(allowed.applies[0].id, "developers-read");
}

#[test]
fn voters_are_told_for_each_stage() {
    let policy = load(
        r#"@id("release") @stages("lead:1, security:2") permit (principal, action == Action::"a", resource);
@id("confirm") @by("requester") @step_up("webauthn") @cooldown("2h") @digest_only("a/c, a/b")
permit (principal, action == Action::"b", resource);
@id("leads") @people("team leads") @stage("lead") permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#leads") };
@id("sec") @people("security") @stage("security") permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("{{issuer}}#security") };"#,
    );
    let release = policy.explain(&operation("mara", "a"));
    let told: Vec<_> = release
        .voters
        .iter()
        .map(|one| {
            (
                one.stage.as_deref().unwrap(),
                one.who.as_str(),
                one.rules[0].line,
            )
        })
        .collect();
    assert_eq!(
        told,
        [("lead", "team leads", 4), ("security", "security", 6)]
    );
    assert!(asks(&release).contains(&"+ stages lead:1, security:2 (release)".to_owned()));
    let confirm = policy.explain(&changed("mara", "b", |_| {}));
    assert_eq!(confirm.voters[0].who, "the requester in person");
    assert!(asks(&confirm).contains(&"+ by requester (confirm)".to_owned()));
    assert!(asks(&confirm).contains(&"+ digest_only a/b, a/c (confirm)".to_owned()));
    assert!(asks(&confirm).contains(&"+ cooldown 2h (confirm)".to_owned()));
}
