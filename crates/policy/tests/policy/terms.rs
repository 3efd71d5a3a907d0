//! Stages, tokens, bodies that cannot be shown, cool-downs: what an operation takes besides approvals.

use std::collections::BTreeSet;

use countersign_model::{PolicyAnswer, PolicyCheck as _, TokenRule};
use countersign_policy::Policy;
use serde_json::{Value, json};

use crate::world::{ISSUER, changed, load, operation, voter_with};

fn staged() -> Policy {
    load(
        r#"@id("release") @stages("lead:1, security:2") permit (principal, action == Action::"release", resource);
           @id("plain") @approvals("1") permit (principal, action == Action::"plain", resource);
           @id("free") permit (principal, action == Action::"free", resource);
           @id("leads") @stage("lead") @people("leads") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#leads") };
           @id("sec") @stage("security") @people("security") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#sec") };
           @id("dba") @people("dba") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };
           @id("left") @why("They left") forbid (principal, action == Action::"vote", resource)
           when { principal.sub == "gone" };"#,
    )
}

fn may(policy: &Policy, sub: &str, group: &str, action: &str, stage: Option<&str>) -> String {
    let groups = BTreeSet::from([format!("{ISSUER}#{group}")]);
    let asked = operation("mara", action);
    match policy.may_vote(&voter_with(sub, groups), &asked, stage) {
        Ok(()) => "may".to_owned(),
        Err(why) => why,
    }
}

#[test]
fn voters_of_a_stage_vote_in_that_stage_and_nowhere_else() {
    let policy = staged();
    let nobody = "no permit of the policy lets this person vote on this operation";
    let none = "this operation is approved in stages, and the vote names none";
    for (group, action, stage, expected) in [
        ("leads", "release", Some("lead"), "may"),
        ("sec", "release", Some("security"), "may"),
        ("leads", "release", Some("security"), nobody),
        ("sec", "release", Some("lead"), nobody),
        ("dba", "release", Some("lead"), nobody),
        ("leads", "release", None, none),
        ("dba", "release", None, none),
        (
            "leads",
            "release",
            Some("other"),
            "this operation has no stage `other`",
        ),
        ("dba", "plain", None, "may"),
        ("leads", "plain", None, nobody),
        (
            "leads",
            "plain",
            Some("lead"),
            "this operation has no stage `lead`",
        ),
        (
            "leads",
            "free",
            Some("lead"),
            "this operation has no stage `lead`",
        ),
    ] {
        assert_eq!(
            may(&policy, "elin", group, action, stage),
            expected,
            "{group} {action} {stage:?}"
        );
    }
    // A forbid holds in every stage, and nobody votes on their own request in any.
    let left = "the policy `left` forbids it: They left";
    assert_eq!(may(&policy, "gone", "leads", "release", Some("lead")), left);
    assert_eq!(
        may(&policy, "gone", "sec", "release", Some("security")),
        left
    );
    assert_eq!(
        may(&policy, "mara", "leads", "release", Some("lead")),
        "nobody votes on their own request"
    );
}

#[test]
fn who_may_vote_is_told_for_a_stage_and_for_all_of_them() {
    let policy = staged();
    let release = operation("mara", "release");
    assert_eq!(policy.who_may_vote(&release, Some("lead")), "leads");
    assert_eq!(policy.who_may_vote(&release, Some("security")), "security");
    assert_eq!(policy.who_may_vote(&release, Some("other")), "nobody");
    assert_eq!(policy.who_may_vote(&release, None), "leads, then security");
    assert_eq!(
        policy.who_may_vote(&operation("mara", "plain"), None),
        "dba"
    );
}

#[test]
fn a_staged_requirement_says_its_stages() {
    let PolicyAnswer::Approve(requirement) = staged().answer(&operation("mara", "release")) else {
        panic!("no approval");
    };
    assert_eq!(requirement.approvals, 3);
    assert_eq!(
        requirement.to_value()["stages"],
        json!([{ "name": "lead", "approvals": 1 }, { "name": "security", "approvals": 2 }])
    );
    assert_eq!(
        countersign_model::Requirement::from_value(&requirement.to_value()).unwrap(),
        requirement
    );
}

#[test]
fn a_token_rule_is_the_strictest_of_all_permits_and_asks_for_no_approval() {
    let policy = load(
        r#"@id("one") @token_scope("a:write a:read") @token_acr("x y") @token_max_age("10m")
           permit (principal, action == Action::"a", resource) when { resource.id == "42" };
           @id("two") @token_scope("b a:read") @token_acr("z y") @token_max_age("5m")
           permit (principal, action == Action::"a", resource) when { principal.sub == "mara" };
           @id("approved") @token_scope("c") @approvals("2") permit (principal, action == Action::"c", resource);
           @id("plain") permit (principal, action == Action::"a", resource);
           @id("never") @why("No") forbid (principal, action == Action::"a", resource) when { principal.sub == "gone" };
           @id("dba") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };"#,
    );
    let rule = |sub: &str, action: &str| {
        let TokenRule {
            scope,
            acr,
            max_age_secs,
        } = policy.token_rule(&operation(sub, action));
        (scope.unwrap_or_default(), acr.join(" "), max_age_secs)
    };
    assert_eq!(
        rule("mara", "a"),
        ("a:write a:read b".to_owned(), "y".to_owned(), Some(300))
    );
    assert_eq!(
        rule("otto", "a"),
        ("a:write a:read".to_owned(), "x y".to_owned(), Some(600))
    );
    assert_eq!(policy.answer(&operation("mara", "a")), PolicyAnswer::Allow);
    assert_eq!(rule("mara", "c"), ("c".to_owned(), String::new(), None));
    assert!(matches!(
        policy.answer(&operation("mara", "c")),
        PolicyAnswer::Approve(_)
    ));
    // What is denied anyway is not challenged.
    let nothing = (String::new(), String::new(), None);
    assert_eq!(rule("gone", "a"), nothing);
    assert_eq!(rule("mara", "unknown"), nothing);
}

/// An upload of a body that the card cannot show, with these headers.
fn upload(headers: Value, body: Value) -> countersign_model::Operation {
    changed("mara", "a", |value| {
        value["action"]["properties"]["headers"] = headers;
        value["action"]["properties"]["body"] = body;
    })
}

#[test]
fn a_body_is_approved_unseen_only_where_its_type_is_named() {
    let policy = load(
        r#"@id("p") @digest_only("application/zip, image/png") permit (principal, action == Action::"a", resource);
           @id("q") @digest_only("application/zip") @ttl("5m") permit (principal, action == Action::"a", resource)
           when { context has ticket };
           @id("dba") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };"#,
    );
    let unseen = || json!({ "size": 9, "sha256": "x" });
    let may = |headers: Value| {
        matches!(
            policy.answer(&upload(headers, unseen())),
            PolicyAnswer::Approve(_)
        )
    };
    assert!(may(json!([["content-type", "application/zip"]])));
    assert!(may(json!([
        ["accept", "*/*"],
        ["content-type", "Image/PNG; q=1"]
    ])));
    assert!(!may(json!([["content-type", "application/json"]])));
    assert!(!may(json!([["accept", "application/zip"]])));
    assert!(!may(json!([])));
    assert!(!may(json!(null)));
    // Two types: the upstream may take the other.
    assert!(!may(json!([[
        "content-type",
        "application/zip, text/plain"
    ]])));
    assert!(!may(json!([[
        "content-type",
        "application/zip; a=b, text/plain"
    ]])));
    assert!(!may(json!([
        ["content-type", "application/zip"],
        ["content_type", "text/plain"]
    ])));
    assert!(!may(json!([
        ["content-type", "application/zip"],
        ["content-type", "application/zip"]
    ])));
    assert!(!may(
        json!([["content-type", "application/zip"], ["Content_Type", { "mac": "x" }]])
    ));
    // What can be shown needs no name.
    let shown = upload(
        json!([["content-type", "application/json"]]),
        json!({ "size": 2, "sha256": "x", "text": "{}" }),
    );
    assert!(matches!(policy.answer(&shown), PolicyAnswer::Approve(_)));
    // Of two permits both have to name it.
    for (kind, allowed) in [("application/zip", true), ("image/png", false)] {
        let both = changed("mara", "a", |value| {
            value["action"]["properties"]["headers"] = json!([["content-type", kind]]);
            value["action"]["properties"]["body"] = unseen();
            value["context"]["ticket"] = json!("T-1");
        });
        assert_eq!(
            matches!(policy.answer(&both), PolicyAnswer::Approve(_)),
            allowed,
            "{kind}"
        );
    }
}

#[test]
fn the_longest_cool_down_counts() {
    let policy = load(
        r#"@id("one") @cooldown("10m") permit (principal, action == Action::"a", resource);
           @id("two") @cooldown("1h") permit (principal, action == Action::"a", resource)
           when { principal.sub == "mara" };
           @id("three") @ttl("1m") permit (principal, action == Action::"b", resource);
           @id("dba") permit (principal, action == Action::"vote", resource)
           when { principal.groups.contains("{{issuer}}#dba") };"#,
    );
    assert_eq!(policy.cool_down_secs(&operation("mara", "a")), Some(3600));
    assert_eq!(policy.cool_down_secs(&operation("otto", "a")), Some(600));
    assert_eq!(policy.cool_down_secs(&operation("otto", "b")), None);
    assert_eq!(policy.cool_down_secs(&operation("otto", "c")), None);
}

#[test]
fn what_a_permit_asks_for_counts_for_each_action_that_it_names() {
    let policy = load(
        r#"@id("both") @stages("lead:1, last:1") @cooldown("1h") @token_scope("s")
           permit (principal, action in [Action::"a", Action::"b"], resource);
           @id("lead") @stage("lead") permit (principal, action == Action::"vote", resource)
           when { principal.sub == "elin" };
           @id("last") @stage("last") permit (principal, action == Action::"vote", resource)
           when { principal.sub == "jonas" };"#,
    );
    for action in ["a", "b"] {
        let asked = operation("mara", action);
        assert_eq!(policy.token_rule(&asked).scope.as_deref(), Some("s"));
        assert_eq!(policy.cool_down_secs(&asked), Some(3600));
        assert_eq!(may(&policy, "elin", "dba", action, Some("lead")), "may");
    }
}

#[test]
fn words_and_fields_of_several_permits_stand_together_once_and_have_a_bound() {
    let two = |one: &str, other: &str| {
        load(&format!(
            r#"@id("one") {one} permit (principal, action == Action::"a", resource) when {{ resource.id == "42" }};
               @id("two") {other} permit (principal, action == Action::"a", resource) when {{ principal.sub == "mara" }};"#
        ))
        .answer(&operation("mara", "a"))
    };
    let gone = r#"@irreversible("Gone") @lift("/a,/b")"#;
    let PolicyAnswer::Approve(requirement) = two(gone, gone) else {
        panic!("no approval");
    };
    assert_eq!(requirement.irreversible.as_deref(), Some("Gone"));
    assert_eq!(requirement.lift, ["/a", "/b"]);
    let too_much = |answer: PolicyAnswer| {
        answer
            == PolicyAnswer::Deny {
                reason: "the policies `one` and `two` both apply and differ in the size of @lift or @irreversible \
                         together, so nothing meets both"
                    .to_owned(),
            }
    };
    let lift = |from: usize| {
        let all: Vec<String> = (from..from + 16).map(|n| format!("/f{n}")).collect();
        format!("@lift(\"{}\")", all.join(","))
    };
    assert!(!too_much(two(&lift(0), &lift(0))));
    assert!(too_much(two(&lift(0), &lift(1))));
    let words = |letter: &str| format!("@irreversible(\"{}\")", letter.repeat(300));
    assert!(!too_much(two(&words("a"), &words("a"))));
    assert!(too_much(two(&words("a"), &words("b"))));
}

#[test]
fn whether_a_rule_looks_at_a_bodys_size_is_known() {
    let one = |condition: &str| {
        load(&format!(
            "@id(\"p\") permit (principal, action == Action::\"a\", resource) {condition};"
        ))
        .looks_at_body_size()
    };
    assert!(!one(""));
    assert!(!one("when { context has ticket }"));
    assert!(one(
        "unless { context has body_bytes && context.body_bytes > 1000 }"
    ));
}

#[test]
fn a_service_is_an_attribute_and_no_tag() {
    let policy = load(
        r#"@id("p") permit (principal, action == Action::"a", resource) when { resource has service };
           @id("f") forbid (principal, action == Action::"a", resource) when { resource.hasTag("service") };"#,
    );
    assert_eq!(policy.answer(&operation("mara", "a")), PolicyAnswer::Allow);
}

#[test]
fn what_the_index_leaves_out_could_not_have_applied() {
    // The same rules twice: so that the index sees their types and actions, and so that it cannot.
    let rules = |is: fn(&str, &str) -> String| {
        let of = |id: &str, effect: &str, condition: String| {
            format!(
                "@id(\"{id}\") {effect} (principal, action == Action::\"a\", resource) when {{ {condition} }};\n"
            )
        };
        let votes = |id: &str, effect: &str, condition: String| {
            format!(
                "@id(\"{id}\") {effect} (principal, action == Action::\"vote\", resource) when {{ {condition} }};\n"
            )
        };
        load(
            &[
                of("t", "permit", is("type", "t")),
                of("u", "@approvals(\"2\") permit", is("type", "u")),
                of(
                    "tu",
                    "forbid",
                    format!("{} && principal.sub == \"otto\"", is("type", "u")),
                ),
                of("any", "forbid", "principal.sub == \"gone\"".to_owned()),
                "@id(\"b\") permit (principal, action == Action::\"b\", resource);".to_owned(),
                votes(
                    "v1",
                    "permit",
                    format!("{} && principal.sub == \"elin\"", is("action", "a")),
                ),
                votes(
                    "v2",
                    "permit",
                    format!("{} && principal.sub == \"jonas\"", is("resource_type", "u")),
                ),
                votes(
                    "v3",
                    "forbid",
                    format!("{} && principal.sub == \"jonas\"", is("action", "b")),
                ),
            ]
            .concat(),
        )
    };
    let indexed = rules(|attr, value| format!("resource.{attr} == \"{value}\""));
    let plain = rules(|attr, value| format!("!(resource.{attr} != \"{value}\")"));
    let mut answers = BTreeSet::new();
    for action in ["a", "b"] {
        for kind in ["t", "u", "v"] {
            for sub in ["mara", "otto", "gone"] {
                let asked = changed(sub, action, |value| value["resource"]["type"] = json!(kind));
                assert_eq!(
                    indexed.answer(&asked),
                    plain.answer(&asked),
                    "{sub} {action} {kind}"
                );
                answers.insert(format!("{:?}", indexed.answer(&asked)));
                for voter in ["elin", "jonas", "mara"] {
                    let voter = voter_with(voter, BTreeSet::new());
                    let may = indexed.may_vote(&voter, &asked, None);
                    assert_eq!(
                        may,
                        plain.may_vote(&voter, &asked, None),
                        "{voter:?} {action} {kind}"
                    );
                    answers.insert(format!("{may:?}"));
                }
            }
        }
    }
    assert!(answers.len() > 6, "{answers:?}");
}
