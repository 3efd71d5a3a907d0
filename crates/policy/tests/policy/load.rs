//! What a policy is refused for, in the words that its author reads.

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
        (
            r#"@stage("lead")"#,
            "`@stage` belongs on a permit of `Action::\"vote\"`: it is about who votes",
        ),
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
            r#"@approvals("+2")"#,
            r#"`@approvals("+2")`: write a number from "1" to "32""#,
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
        (r#"@hold("1s")"#, r#"`@hold("1s")`: write "yes""#),
        (r#"@urgent("no")"#, r#"`@urgent("no")`: write "yes""#),
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
            r#"@step_up("oidc") @scope("orders:delete")"#,
            r#"`@scope("orders:delete")`: a step-up asks consent only for scopes that begin with "approve:", such as "approve:orders.delete""#,
        ),
        (
            r#"@step_up("oidc") @scope("approve:")"#,
            r#"`@scope("approve:")`: a step-up asks consent only for scopes that begin with "approve:", such as "approve:orders.delete""#,
        ),
        (
            r#"@stages("lead:1")"#,
            r#"`@stages("lead:1")`: there are 2 to 8 stages; for one group of approvers write `@approvals`"#,
        ),
        (
            r#"@stages("a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1")"#,
            r#"`@stages("a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1")`: there are 2 to 8 stages; for one group of approvers write `@approvals`"#,
        ),
        (
            r#"@stages("lead:1, lead:2")"#,
            r#"`@stages("lead:1, lead:2")`: the stage `lead` stands twice"#,
        ),
        (
            r#"@stages("lead:20, security:13")"#,
            r#"`@stages("lead:20, security:13")`: all stages together take at most 32 approvals"#,
        ),
        (
            r#"@stages("lead:0, security:1")"#,
            r#"`@stages("lead:0, security:1")`: write stages in their order, each with its approvals, such as "lead:1, security:2"; a name is 1 to 32 of a-z 0-9 _ -"#,
        ),
        (
            r#"@stages("Lead:1, security:1")"#,
            r#"`@stages("Lead:1, security:1")`: write stages in their order, each with its approvals, such as "lead:1, security:2"; a name is 1 to 32 of a-z 0-9 _ -"#,
        ),
        (
            r#"@stages("lead:1, security:1") @approvals("3")"#,
            "the stages take 2 approvals together: leave `@approvals` out",
        ),
        (
            r#"@by("requester") @step_up("oidc") @stages("lead:1, security:1")"#,
            r#"`@by("requester")` is one vote: leave `@stages` out"#,
        ),
        (
            r#"@digest_only("Application/ZIP")"#,
            r#"`@digest_only("Application/ZIP")`: name up to 16 media types in lower case with commas between them, such as "application/zip, image/png""#,
        ),
        (
            r#"@digest_only("*/*")"#,
            r#"`@digest_only("*/*")`: name up to 16 media types in lower case with commas between them, such as "application/zip, image/png""#,
        ),
        (
            r#"@token_scope("approve:a")"#,
            r#"`@token_scope("approve:a")`: `approve:a` is for step-ups alone (`@scope`), and no API accepts it; name a scope of the API"#,
        ),
        (
            r#"@token_scope("a  b")"#,
            r#"`@token_scope("a  b")`: write up to 16 different values with one space between, without quotes or backslashes"#,
        ),
        (
            r#"@token_acr("a a")"#,
            r#"`@token_acr("a a")`: write up to 16 different values with one space between, without quotes or backslashes"#,
        ),
        (
            r#"@token_max_age("5")"#,
            r#"`@token_max_age("5")`: write a time such as "90s", "15m" or "12h""#,
        ),
        (
            r#"@cooldown("soon")"#,
            r#"`@cooldown("soon")`: write a time such as "90s", "15m" or "12h""#,
        ),
        (
            r#"@never_permitted("a")"#,
            "`@never_permitted` belongs on a forbid: it is about what is never allowed",
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
            r#"`@people` belongs on a permit of `Action::"vote"`: it is about who votes"#,
        ),
        (
            r#"@why("so")"#,
            "`@why` belongs on a forbid: it is about what is never allowed",
        ),
    ] {
        assert_eq!(
            refusal(&permit(annotations)),
            format!("line 1, policy `p`: {expected}")
        );
    }
}

#[test]
fn what_is_too_long_or_too_much_is_refused() {
    let numbered = |count: usize, between: &str, form: fn(usize) -> String| {
        (0..count).map(form).collect::<Vec<_>>().join(between)
    };
    let voters = "@id(\"v\") permit (principal, action == Action::\"vote\", resource) when { principal.sub == \"x\" };";
    let refused = |annotation: String| refusal(&(permit(&annotation) + voters));
    for (name, fits, too_much) in [
        ("irreversible", "a".repeat(512), "a".repeat(513)),
        (
            "token_scope",
            numbered(16, " ", |n| format!("s{n}")),
            numbered(17, " ", |n| format!("s{n}")),
        ),
        (
            "digest_only",
            numbered(16, ",", |n| format!("a/b{n}")),
            numbered(17, ",", |n| format!("a/b{n}")),
        ),
        (
            "lift",
            numbered(16, ",", |n| format!("/a{n}")),
            numbered(17, ",", |n| format!("/a{n}")),
        ),
    ] {
        assert_eq!(refused(format!("@{name}(\"{fits}\")")), "loads", "{name}");
        assert!(
            refused(format!("@{name}(\"{too_much}\")")).starts_with("line 1, policy `p`: `@"),
            "{name}"
        );
    }
    // What says the same twice is no contradiction.
    assert_eq!(
        refused("@by(\"requester\") @step_up(\"oidc\") @approvals(\"1\")".to_owned()),
        "loads"
    );
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
            "line 1, policy `f`: `@approvals` cannot stand on a forbid, which nothing lifts; only `@id`, `@why` and `@never_permitted` can",
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
            "@id(\"p\") permit (principal, action in [], resource);",
            "line 1, policy `p`: its scope names no action; an action is written `Action::\"…\"`",
        ),
        (
            "@id(\"p\") permit (principal, action == Other::Action::\"a\", resource);",
            "line 1, policy `p`: its scope names no action; an action is written `Action::\"…\"`",
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
            "line 2, policy `p`: the group `dba` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#dba\"",
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
    let loads = |text: String| {
        refusal(&(text + "@id(\"p\") permit (principal, action == Action::\"a\", resource);"))
    };
    for condition in [
        "when { principal.sub == \"x\" }",
        "when { resource.action == \"a\" } when { principal.sub == \"x\" }",
        "when { resource.action == \"a\" && (principal.sub == \"x\" || principal.sub == \"y\") }",
        "unless { principal.sub == \"x\" }",
        "when { if principal.sub == \"x\" then resource.action == \"a\" else false }",
    ] {
        assert_eq!(loads(vote("principal", condition)), "loads", "{condition}");
    }
    assert_eq!(
        loads(vote("principal == User::\"https://id.example.com|x\"", "")),
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
        refusal(&" ".repeat(4 * 1024 * 1024 + 1)),
        "line 1: the policy is longer than 4194304 bytes"
    );
}

/// The refusal of one policy beside others that are right.
fn beside(text: &str) -> String {
    refusal(&format!(
        r#"@id("delete") permit (principal, action in [Action::"orders.delete", Action::"orders.purge"], resource);
@id("dba") permit (principal, action == Action::"vote", resource)
when {{ principal.groups.contains("https://id.example.com#dba") }};
{text}"#
    ))
}

#[test]
fn a_forbid_declares_no_action() {
    for (text, expected) in [
        (
            r#"@id("f") forbid (principal, action == Action::"orders.purg", resource);"#,
            "line 4, policy `f`: no permit names the action `orders.purg` (did you mean `orders.purge`?), so this would \
             forbid nothing; where nothing is meant to permit it, say so with `@never_permitted(\"orders.purg\")`",
        ),
        (
            r#"@id("f") forbid (principal, action in [Action::"orders.purge", Action::"x"], resource);"#,
            "line 4, policy `f`: no permit names the action `x`, so this would \
             forbid nothing; where nothing is meant to permit it, say so with `@never_permitted(\"x\")`",
        ),
        // Two letters away is no slip of the pen.
        (
            r#"@id("f") forbid (principal, action == Action::"orders.purrrge", resource);"#,
            "line 4, policy `f`: no permit names the action `orders.purrrge`, so this would \
             forbid nothing; where nothing is meant to permit it, say so with `@never_permitted(\"orders.purrrge\")`",
        ),
        (
            r#"@id("f") @never_permitted("orders.wipe") forbid (principal, action == Action::"orders.wip", resource);"#,
            "line 4, policy `f`: `@never_permitted` names `orders.wipe`, and the scope does not",
        ),
        (
            r#"@id("f") @never_permitted("orders.purge") forbid (principal, action == Action::"orders.purge", resource);"#,
            "line 4, policy `f`: `@never_permitted` names `orders.purge`, and a permit permits it",
        ),
        (
            r#"@id("f") @never_permitted("x, y") forbid (principal, action in [Action::"x", Action::"y", Action::"orders.purge"], resource);"#,
            "loads",
        ),
        (
            r#"@id("f") forbid (principal, action in [Action::"vote", Action::"orders.purge"], resource);"#,
            "loads",
        ),
    ] {
        assert_eq!(beside(text), expected, "{text}");
    }
}

#[test]
fn a_name_that_nothing_has_would_make_a_rule_silent() {
    let forbid = |condition: &str| {
        beside(&format!(
            "@id(\"f\") forbid (principal, action == Action::\"orders.purge\", resource) when {{ {condition} }};"
        ))
    };
    let no_vote = |condition: &str| {
        beside(&format!(
            "@id(\"f\") forbid (principal, action == Action::\"vote\", resource) when {{ {condition} }};"
        ))
    };
    let at = |sentence: &str| format!("line 4, policy `f`: {sentence}");
    let group = at(
        "the group `dba` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#dba\"",
    );
    assert_eq!(forbid(r#"["dba"].containsAny(principal.groups)"#), group);
    assert_eq!(forbid(r#"principal.groups == ["dba"]"#), group);
    assert_eq!(
        forbid(r#"principal.groups.contains("id.example.com#dba")"#),
        at(
            "the group `id.example.com#dba` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#dba\""
        )
    );
    assert_eq!(
        forbid(r#"principal.groups.contains("https://id.example.com#")"#),
        at(
            "the group `https://id.example.com#` names no provider: write \"<issuer>#<name>\", such as \"https://id.example.com#\""
        )
    );
    let person = at(
        "nobody is `mara`: write \"<issuer>|<subject>\", such as \"https://id.example.com|mara\"",
    );
    assert_eq!(forbid(r#"principal == User::"mara""#), person);
    assert_eq!(forbid(r#"principal.act.contains("mara")"#), person);
    assert_eq!(
        forbid(r#"principal.iss == "id.example.com""#),
        at(
            "`id.example.com` is no issuer: write it as its tokens do, such as \"https://id.example.com\""
        )
    );
    assert_eq!(
        forbid(r#"resource == Resource::"42""#),
        at(
            "a resource is named by its attributes: `when { resource.type == \"…\" && resource.id == \"…\" }`"
        )
    );
    assert_eq!(
        no_vote(r#"resource.action == "orders.purg""#),
        at(
            "`resource.action` is never `orders.purg`: no rule names that action (did you mean `orders.purge`?)"
        )
    );
    assert_eq!(
        no_vote(r#"["orders.delete", "orders.purg"].contains(resource.action)"#),
        at(
            "`resource.action` is never `orders.purg`: no rule names that action (did you mean `orders.purge`?)"
        )
    );
    assert_eq!(
        no_vote(r#"resource.action like "order.*""#),
        at("it compares `resource.action` with a pattern that no action of this policy fits")
    );
    assert_eq!(no_vote(r#"resource.action like "orders.*""#), "loads");
    assert_eq!(
        forbid(r#"principal == User::"https://id.example.com|mara""#),
        "loads"
    );
}

#[test]
fn stages_have_voters_and_voters_have_stages() {
    let staged = |stages: &str, votes: &str| {
        refusal(&format!(
            "@id(\"p\")\n@stages(\"{stages}\")\npermit (principal, action in [Action::\"a\", Action::\"b\"], resource);\n{votes}"
        ))
    };
    let vote = |id: &str, annotation: &str, condition: &str| {
        format!(
            "@id(\"{id}\") {annotation} permit (principal, action == Action::\"vote\", resource)
             when {{ {condition} principal.groups.contains(\"https://id.example.com#{id}\") }};\n"
        )
    };
    let lead = vote("leads", "@stage(\"lead\")", "");
    let security = vote("sec", "@stage(\"security\")", "");
    let both = format!("{lead}{security}");
    assert_eq!(staged("lead:1, security:2", &both), "loads");
    assert_eq!(
        staged("lead:1, security:2\") @approvals(\"3", &both),
        "loads"
    );
    assert_eq!(
        staged("lead:1, security:2", &lead),
        "line 2, policy `p`: nobody could vote on `a` in the stage `security`: no permit of `Action::\"vote\"` with \
         `@stage(\"security\")` is about it"
    );
    let narrow = vote(
        "sec",
        "@stage(\"security\")",
        "resource.action == \"a\" && ",
    );
    assert_eq!(
        staged("lead:1, security:2", &format!("{lead}{narrow}")),
        "line 2, policy `p`: nobody could vote on `b` in the stage `security`: no permit of `Action::\"vote\"` with \
         `@stage(\"security\")` is about it"
    );
    let wider = vote(
        "sec-b",
        "@stage(\"security\")",
        "resource.action == \"b\" && ",
    );
    assert_eq!(
        staged("lead:1, security:2", &format!("{lead}{narrow}{wider}")),
        "loads"
    );
    let misspelt = vote("x", "@stage(\"securty\")", "");
    assert_eq!(
        staged("lead:1, security:2", &format!("{both}{misspelt}")),
        "line 8, policy `x`: no permit has a stage `securty` (did you mean `security`?)"
    );
    // Voters without a stage do not vote in one, nor the other way round.
    let plain = vote("dba", "", "");
    assert_eq!(
        staged("lead:1, security:2", &format!("{plain}{lead}")),
        "line 2, policy `p`: nobody could vote on `a` in the stage `security`: no permit of `Action::\"vote\"` with \
         `@stage(\"security\")` is about it"
    );
    let unstaged =
        "@id(\"q\") @approvals(\"1\") permit (principal, action == Action::\"c\", resource);\n";
    assert_eq!(
        staged("lead:1, security:2", &format!("{both}{unstaged}")),
        "line 8, policy `q`: it wants approvals that nobody could give: no permit of `Action::\"vote\"` is about `c`"
    );
    assert_eq!(
        refusal(&permit("@approvals(\"1\")")),
        "line 1, policy `p`: it wants approvals that nobody could give: no permit of `Action::\"vote\"` is about `a`"
    );
    // The requester needs no permit to confirm.
    assert_eq!(
        refusal(&permit("@by(\"requester\") @step_up(\"webauthn\")")),
        "loads"
    );
}

#[test]
fn what_always_contradicts_itself_does_not_load() {
    let two = |one: &str, when: &str, other: &str, and: &str| {
        refusal(&format!(
            "@id(\"one\") {one} permit (principal, action in [Action::\"a\", Action::\"b\"], resource) {when};
             @id(\"other\") {other} permit (principal is User, action == Action::\"b\", resource) {and};
             @id(\"v\") permit (principal, action == Action::\"vote\", resource) when {{ principal.sub == \"x\" }};"
        ))
    };
    let (a, b) = (
        r#"@step_up("oidc") @scope("approve:a")"#,
        r#"@step_up("oidc") @scope("approve:b")"#,
    );
    let eu = "when { resource.id == \"eu\" }";
    let us = "when { resource.id == \"us\" }";
    let refused = "line 2, policy `other`: it always applies together with `one` and differs in @scope, so nothing meets both";
    assert_eq!(two(a, "", b, ""), refused);
    assert_eq!(two(a, "", b, eu), refused);
    assert_eq!(two(a, eu, b, eu), refused);
    assert_eq!(two(a, eu, b, us), "loads");
    assert_eq!(
        two(a, eu, b, ""),
        "line 1, policy `one`: it always applies together with `other` and differs in @scope, so nothing meets both"
    );
    assert_eq!(two(a, "", a, ""), "loads");
}

#[test]
fn an_error_knows_its_column() {
    for (text, line, column) in [
        (
            "@id(\"p\") @aprovals(\"2\")\npermit (principal, action == Action::\"a\", resource);",
            1,
            10,
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.groups.contains(\"dba\") };",
            3,
            34,
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a b\", resource);",
            2,
            38,
        ),
        (
            "@id(\"p\")\npermit (principal, action == Action::\"a\", resource)\nwhen { principal.grups.contains(\"x\") };",
            3,
            8,
        ),
        ("  @id(\"p\") permit (principal, action, resource);", 1, 3),
    ] {
        let error = Policy::load(text).err().unwrap();
        assert_eq!((error.line, error.column), (line, column), "{error}");
    }
}

#[test]
fn the_guides_examples_load_together() {
    let guide = include_str!("../../../../docs/POLICY.md");
    let text: Vec<&str> = guide
        .split("```cedar\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(text.len() > 5);
    assert_eq!(refusal(&text.concat()), "loads");
}
