//! What a policy is refused for, in the words that its author reads.
#![allow(clippy::unwrap_used)]

use countersign_policy::Policy;

fn refusal(text: &str) -> String {
    Policy::load(text)
        .err()
        .map_or_else(|| "loads".to_owned(), |error| error.to_string())
}

/// A permit of one action under these annotations.
fn permit(annotations: &str) -> String {
    format!("@id(\"p\") {annotations}\npermit (principal, action == Action::\"a\", resource);")
}

#[test]
fn annotations_that_are_unknown_or_do_not_parse_are_refused() {
    for (annotations, expected) in [
        (
            r#"@aprovals("2")"#,
            "there is no annotation `@aprovals`; did you mean @approvals?",
        ),
        (r#"@stages("2")"#, "there is no annotation `@stages`"),
        (
            r#"@approvals("0")"#,
            r#"`@approvals("0")`: write a number from "1" to "32""#,
        ),
        (
            r#"@approvals("two")"#,
            r#"`@approvals("two")`: write a number from "1" to "32""#,
        ),
        (
            r#"@approvals("02")"#,
            r#"`@approvals("02")`: write a number from "1" to "32""#,
        ),
        (
            r#"@approvals("33")"#,
            r#"`@approvals("33")`: write a number from "1" to "32""#,
        ),
        (
            "@approvals",
            r#"`@approvals("")`: write a number from "1" to "32""#,
        ),
        (
            r#"@ttl("10 min")"#,
            r#"`@ttl("10 min")`: write a time such as "90s", "15m" or "12h""#,
        ),
        (
            r#"@ttl("0s")"#,
            r#"`@ttl("0s")`: a time is from "1s" to "720h""#,
        ),
        (
            r#"@grant("721h")"#,
            r#"`@grant("721h")`: a time is from "1s" to "720h""#,
        ),
        (
            r#"@grant("99999999h")"#,
            r#"`@grant("99999999h")`: write a time such as "90s", "15m" or "12h""#,
        ),
        (
            r#"@match("word")"#,
            r#"`@match("word")`: write one of "none", "words""#,
        ),
        (
            r#"@reason("ondeny")"#,
            r#"`@reason("ondeny")`: write one of "optional", "on_deny", "always""#,
        ),
        (
            r#"@notify_buttons("all")"#,
            r#"`@notify_buttons("all")`: write one of "none", "deny", "both""#,
        ),
        (
            r#"@by("me")"#,
            r#"`@by("me")`: write one of "others", "requester""#,
        ),
        (
            r#"@step_up("yes")"#,
            r#"`@step_up("yes")`: write one of "none", "oidc", "webauthn""#,
        ),
        (
            r#"@irreversible(" ")"#,
            "`@irreversible` holds words for people: 1 to 512 bytes",
        ),
        (
            r#"@irreversible("a\nb")"#,
            "`@irreversible` holds a control character, such as a line break",
        ),
        (
            r#"@lift("resource.id")"#,
            r#"`@lift("resource.id")`: write up to 16 JSON pointers into the operation with commas between them, such as "/resource/id,/action/properties/query""#,
        ),
        (
            r#"@step_up("oidc") @scope("a b")"#,
            r#"`@scope("a b")`: write one value, without spaces, quotes or backslashes"#,
        ),
        (
            r#"@scope("approve:a")"#,
            r#"`@scope` needs `@step_up("oidc")`: a fresh sign-in is what brings it"#,
        ),
        (
            r#"@by("requester")"#,
            r#"`@by("requester")` needs `@step_up("oidc")` or `@step_up("webauthn")`: otherwise whoever stole the token confirms it too"#,
        ),
        (
            r#"@by("requester") @step_up("oidc") @approvals("2")"#,
            r#"`@by("requester")` is one vote: leave `@approvals` out"#,
        ),
        (
            r#"@people("dba")"#,
            r#"`@people` belongs on a permit of `Action::"vote"`: it names who votes"#,
        ),
        (
            r#"@why("so")"#,
            "`@why` belongs on a forbid: it tells the requester why",
        ),
    ] {
        assert_eq!(
            refusal(&permit(annotations)),
            format!("line 1, policy `p`: {expected}")
        );
    }
}

#[test]
fn rules_about_votes_and_scopes_are_refused_by_name() {
    for (text, expected) in [
        (
            "\n\npermit (principal, action == Action::\"a\", resource);",
            "line 3: it has no `@id(\"…\")`: denials and logs name it by that",
        ),
        (
            "@id(\"a b\") permit (principal, action == Action::\"a\", resource);",
            "line 1: `@id(\"a b\")`: write 1 to 64 of A-Z a-z 0-9 _ . -",
        ),
        (
            "@id(\"p\") permit (principal, action == Action::\"a\", resource);\n@id(\"p\") permit (principal, action == Action::\"b\", resource);",
            "line 2, policy `p`: another policy before it has the same `@id`",
        ),
        (
            "@id(\"f\") @approvals(\"2\") forbid (principal, action == Action::\"a\", resource);",
            "line 1, policy `f`: `@approvals` cannot stand on a forbid, which nothing lifts; only `@id` and `@why` can",
        ),
        (
            "@id(\"p\") permit (principal, action, resource);",
            "line 1, policy `p`: a permit says which actions it permits: `action == Action::\"…\"` or `action in [Action::\"…\", …]`",
        ),
        (
            "@id(\"p\") permit (principal, action in [Action::\"a\", Action::\"vote\"], resource);",
            "line 1, policy `p`: a permit of `Action::\"vote\"` names no other action beside it",
        ),
        (
            "@id(\"p\") permit (principal, action == Action::\"a b\", resource);",
            "line 1, policy `p`: no operation can have the action `a b`: its name is 1 to 128 of A-Z a-z 0-9 _ . : / -",
        ),
        (
            "@id(\"p\") permit (principal, action == Action::\"a\", resource == Resource::\"42\");",
            "line 1, policy `p`: a resource is named by its attributes: `when { resource.type == \"…\" && resource.id == \"…\" }`",
        ),
        (
            "@id(\"v\") @approvals(\"2\") permit (principal, action == Action::\"vote\", resource) when { principal.sub == \"x\" };",
            "line 1, policy `v`: `@approvals` belongs on the permit of the operation, not on one of `Action::\"vote\"`",
        ),
        (
            "@id(\"p\") permit (principal, action == Action::\"a\", resource)\nwhen { principal.groups.contains(\"dba\") };",
            "line 1, policy `p`: the group `dba` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#dba\"",
        ),
        (
            "// nothing",
            "line 1: the policy holds no permit: everything would be denied",
        ),
        (
            "@id(\"p\") permit (principal == ?principal, action == Action::\"a\", resource);",
            "line 1: a template (`?principal`, `?resource`) has nobody to fill it in; write the value",
        ),
    ] {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn a_vote_permit_names_people_on_every_path() {
    let everybody = "line 1, policy `v`: it lets everybody vote: name the people on every path of its condition, \
                     such as `when { principal.groups.contains(\"https://id.example.com#dba\") }`";
    let vote = |scope: &str, condition: &str| {
        format!("@id(\"v\") permit ({scope}, action == Action::\"vote\", resource) {condition};")
    };
    for condition in [
        "",
        "when { resource.action == \"a\" }",
        "when { resource.action == \"a\" || principal.sub == \"x\" }",
        "when { !(principal.sub == \"x\" && resource.action == \"a\") }",
        "unless { resource.action == \"a\" }",
    ] {
        assert_eq!(
            refusal(&vote("principal", condition)),
            everybody,
            "{condition}"
        );
    }
    assert_eq!(refusal(&vote("principal is User", "")), everybody);
    for condition in [
        "when { principal.sub == \"x\" }",
        "when { resource.action == \"a\" } when { principal.sub == \"x\" }",
        "when { resource.action == \"a\" && (principal.sub == \"x\" || principal.sub == \"y\") }",
        "unless { principal.sub == \"x\" }",
        "when { if principal.sub == \"x\" then resource.action == \"a\" else false }",
    ] {
        assert_eq!(
            refusal(&vote("principal", condition)),
            "loads",
            "{condition}"
        );
    }
    assert_eq!(
        refusal(&vote("principal == User::\"https://id.example.com|x\"", "")),
        "loads"
    );
}

#[test]
fn what_cedar_refuses_is_told_with_its_line() {
    for (text, line, words) in [
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.grups.contains(\"x\") };",
            3,
            "grups",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.acr == \"x\" };",
            3,
            "acr",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.sub == 7 };",
            3,
            "",
        ),
        (
            "@id(\"p\")\n\npermit (principal, action == Action::\"a\" resource);",
            3,
            "resource",
        ),
        (
            "@id(\"p\")\n@id(\"q\") permit (principal, action == Action::\"a\", resource);",
            2,
            "id",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { 1 == 2 };",
            1,
            "",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { action == Action::\"b\" };",
            3,
            "b",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { resource.type == \"p\u{430}y\" };",
            3,
            "p\u{430}y",
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.hasTag(\"x\") || principal.getTag(\"x\") == \"y\" };",
            3,
            "x",
        ),
    ] {
        let error = Policy::load(text).err().unwrap();
        println!("{error}");
        assert_eq!(error.line, line, "{error}");
        assert!(error.sentence.contains(words), "{error}");
        for rust in ["Err(", "Some(", "::Error", "Kind", "Box<"] {
            assert!(!error.to_string().contains(rust), "{error}");
        }
    }
}

#[test]
fn a_policy_has_a_bound() {
    assert_eq!(
        refusal(&" ".repeat(1024 * 1024 + 1)),
        "line 1: the policy is longer than 1048576 bytes"
    );
}
