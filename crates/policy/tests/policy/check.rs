//! A policy against the providers that are trusted and the gates that ask.

use std::collections::BTreeSet;

use crate::world::{ISSUER, with_voters};
use countersign_model::Issuer;
use countersign_policy::{GateFacts, Policy, ProviderFacts, Surroundings, Weight};

const OTHER: &str = "https://other.example.com";

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn provider(issuer: &str) -> ProviderFacts {
    ProviderFacts {
        issuer: Issuer::parse(issuer).unwrap(),
        approves: true,
        requests: true,
        groups: None,
        acrs: None,
        steps_up: Ok(()),
    }
}

/// What is found, a line each.
fn found(text: &str, around: &Surroundings) -> Vec<String> {
    let text = with_voters(text);
    let policy = Policy::load(&text).unwrap();
    let line = |finding: countersign_policy::Finding| {
        let weight = match finding.weight {
            Weight::Error => "",
            Weight::Warning => "warning ",
        };
        let id = finding.policy.unwrap_or_default();
        let place = finding
            .place
            .map_or_else(String::new, |(line, column)| format!("{line}:{column}"));
        format!("{weight}{id} {place}: {}", finding.sentence)
    };
    policy.check(&text, around).into_iter().map(line).collect()
}

fn among(providers: Vec<ProviderFacts>) -> Surroundings {
    Surroundings {
        providers: Some(providers),
        gates: None,
    }
}

const NAMES: &str = r#"@id("p") permit (principal, action == Action::"a", resource)
when { principal.groups.contains("https://other.example.com#dev") };
@id("v") permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("https://id.example.com#dba") };
@id("f") forbid (principal, action == Action::"a", resource)
when { principal == User::"https://third.example.com|x" || principal.iss == "https://fourth.example.com" };"#;

#[test]
fn names_of_strangers_are_found() {
    assert_eq!(
        found(NAMES, &among(vec![provider(ISSUER), provider(OTHER)])),
        [
            "f 6:27: `https://third.example.com|x` is of a provider that is not trusted here",
            "f 6:77: `https://fourth.example.com` is not trusted here",
        ]
    );
    let narrow = ProviderFacts {
        groups: Some(set(&["ops"])),
        ..provider(ISSUER)
    };
    let silent = ProviderFacts {
        requests: false,
        ..provider(OTHER)
    };
    assert_eq!(
        found(NAMES, &among(vec![narrow, silent]))[..2],
        [
            "p 2:34: the accounts of `https://other.example.com` may not ask, so nobody in `dev` ever does",
            "v 4:34: `https://id.example.com` may not assert the group `dba`: nobody is ever in it",
        ]
    );
    let no_votes = ProviderFacts {
        approves: false,
        ..provider(ISSUER)
    };
    assert_eq!(
        found(NAMES, &among(vec![no_votes]))[..2],
        [
            "p 2:34: the group `https://other.example.com#dev` is of a provider that is not trusted here",
            "v 4:34: the accounts of `https://id.example.com` may not approve, so nobody in `dba` ever votes",
        ]
    );
    assert_eq!(found(NAMES, &Surroundings::default()), [""; 0]);
    let known = ProviderFacts {
        groups: Some(set(&["dba"])),
        ..provider(ISSUER)
    };
    let all = [
        "https://third.example.com",
        "https://fourth.example.com",
        OTHER,
    ]
    .map(provider);
    assert_eq!(
        found(NAMES, &among([vec![known], all.to_vec()].concat())),
        [""; 0]
    );
}

fn step_up(annotations: &str) -> String {
    format!(
        "@id(\"p\") {annotations}\npermit (principal, action == Action::\"a\", resource);
         @id(\"v\") permit (principal, action == Action::\"vote\", resource)
         when {{ principal.groups.contains(\"{ISSUER}#dba\") }};"
    )
}

#[test]
fn a_step_up_that_no_voters_provider_can_give_is_found() {
    let oidc = step_up(r#"@step_up("oidc") @acr("high")"#);
    let cannot = || ProviderFacts {
        steps_up: Err("it knows no prompt=login".to_owned()),
        ..provider(ISSUER)
    };
    assert_eq!(found(&oidc, &among(vec![provider(ISSUER)])), [""; 0]);
    // Another provider that can does not help: those who vote are of this one.
    assert_eq!(
        found(&oidc, &among(vec![cannot(), provider(OTHER)])),
        [
            "p 1:10: nobody who may vote on it can step up at their provider (https://id.example.com: it knows no \
             prompt=login); `@step_up(\"webauthn\")` needs no provider"
        ]
    );
    let low = ProviderFacts {
        acrs: Some(set(&["low"])),
        ..provider(ISSUER)
    };
    assert_eq!(
        found(&oidc, &among(vec![low])),
        [
            "p 1:27: nobody who may vote on it can reach the acr `high`: no provider of theirs that steps up may assert it"
        ]
    );
    assert_eq!(
        found(&step_up(r#"@step_up("webauthn")"#), &among(vec![cannot()])),
        [""; 0]
    );
    let confirm = step_up(r#"@by("requester") @step_up("oidc")"#);
    assert_eq!(
        found(&confirm, &among(vec![cannot()]))[0],
        "p 1:27: no requester can step up at their provider (https://id.example.com: it knows no prompt=login); \
         `@step_up(\"webauthn\")` needs no provider"
    );
    let only_asks = ProviderFacts {
        approves: false,
        ..provider(OTHER)
    };
    let only_votes = ProviderFacts {
        requests: false,
        ..provider(ISSUER)
    };
    assert_eq!(
        found(&confirm, &among(vec![only_asks, only_votes])),
        ["p 1:1: no requester has an account at a provider whose accounts may approve"]
    );
    let token = step_up(r#"@token_acr("high higher")"#);
    let low = || ProviderFacts {
        acrs: Some(set(&["low"])),
        ..provider(ISSUER)
    };
    assert_eq!(
        found(&token, &among(vec![low()])),
        [
            "p 1:10: no provider whose accounts may ask can assert `high` or `higher`: no token will ever do"
        ]
    );
    let higher = ProviderFacts {
        acrs: Some(set(&["higher"])),
        ..provider(OTHER)
    };
    assert_eq!(found(&token, &among(vec![low(), higher.clone()])), [""; 0]);
    // A provider whose accounts never ask helps nobody who does.
    let never_asks = ProviderFacts {
        requests: false,
        ..higher
    };
    assert_eq!(found(&token, &among(vec![low(), never_asks])).len(), 1);
}

#[test]
fn only_those_who_vote_on_that_action_count() {
    let text = format!(
        "@id(\"p\") @step_up(\"oidc\") permit (principal, action == Action::\"a\", resource);
         @id(\"q\") permit (principal, action == Action::\"b\", resource);
         @id(\"v\") permit (principal, action == Action::\"vote\", resource)
         when {{ resource.action == \"a\" && principal.groups.contains(\"{ISSUER}#dba\") }};
         @id(\"w\") permit (principal, action == Action::\"vote\", resource)
         when {{ resource.action == \"b\" && principal.groups.contains(\"{OTHER}#dba\") }};"
    );
    let cannot = ProviderFacts {
        steps_up: Err("it cannot".to_owned()),
        ..provider(ISSUER)
    };
    assert_eq!(found(&text, &among(vec![cannot, provider(OTHER)])).len(), 1);
}

#[test]
fn each_stage_is_looked_at() {
    let text = format!(
        "@id(\"p\") @stages(\"lead:1, security:1\") @step_up(\"oidc\") permit (principal, action == Action::\"a\", resource);
         @id(\"l\") @stage(\"lead\") permit (principal, action == Action::\"vote\", resource)
         when {{ principal.groups.contains(\"{ISSUER}#lead\") }};
         @id(\"s\") @stage(\"security\") permit (principal, action == Action::\"vote\", resource)
         when {{ principal.groups.contains(\"{OTHER}#sec\") }};"
    );
    let cannot = ProviderFacts {
        steps_up: Err("it cannot".to_owned()),
        ..provider(OTHER)
    };
    assert_eq!(
        found(&text, &among(vec![provider(ISSUER), cannot])),
        [
            "p 1:40: nobody who may vote in the stage `security` can step up at their provider (https://other.example.com: it \
             cannot); `@step_up(\"webauthn\")` needs no provider"
        ]
    );
}

#[test]
fn what_no_gate_asks_with_is_found() {
    let gate = || GateFacts {
        name: "gate.toml".to_owned(),
        actions: set(&["a", "more"]),
        resource_types: set(&["orders.customer"]),
        claims: set(&["email"]),
    };
    let around = Surroundings {
        providers: None,
        gates: Some(vec![gate()]),
    };
    let text = r#"@id("p") permit (principal, action in [Action::"a", Action::"b"], resource)
when { resource.type == "orders.custmer" && principal has acr && principal has email && principal.sub != "x" };
@id("v") permit (principal, action == Action::"vote", resource)
when { principal has acr && principal.sub == "x" };"#;
    assert_eq!(
        found(text, &around),
        [
            " : `gate.toml` has a route with the action `more`, which no rule names: every such call is denied",
            "p 1:1: it looks at the requester's claim `acr`, which `gate.toml` does not copy into operations: name it under \
             `claims` of a [[provider]]",
            "p 1:61: no route of `gate.toml` has the action `b`",
            "p 2:25: no route of `gate.toml` has resources of the type `orders.custmer`",
        ]
    );
    let wider = GateFacts {
        actions: set(&["b"]),
        resource_types: set(&["orders.custmer"]),
        claims: set(&["acr"]),
        ..gate()
    };
    let both = Surroundings {
        providers: None,
        gates: Some(vec![gate(), wider]),
    };
    assert_eq!(found(text, &both).len(), 1);
}

#[test]
fn what_works_and_perhaps_not_as_meant_is_a_warning() {
    let text = r#"@id("one") @step_up("oidc") @scope("approve:a") permit (principal, action == Action::"a", resource)
when { resource.id == "1" };
@id("two") @step_up("oidc") @scope("approve:b") permit (principal, action == Action::"a", resource)
when { principal.sub == "x" };
@id("three") @notify_buttons("both") @match("words") permit (principal, action == Action::"b", resource);
@id("four") @notify_buttons("both") permit (principal, action == Action::"b", resource);
@id("five") @notify_buttons("both") @hold("yes") permit (principal, action == Action::"b", resource);
@id("six") @notify_buttons("both") @reason("on_deny") permit (principal, action == Action::"b", resource);"#;
    assert_eq!(
        found(text, &Surroundings::default()),
        [
            "warning two 3:1: where it applies to `a` together with `one` the operation is denied: they differ in @scope",
            "warning three 5:14: an Approve button on a notification carries no words, no reason and no sign-in, and is not \
             held: it is left out",
            "warning five 7:13: an Approve button on a notification carries no words, no reason and no sign-in, and is not \
             held: it is left out",
            "warning six 8:12: an Approve button on a notification carries no words, no reason and no sign-in, and is not \
             held: it is left out",
        ]
    );
}

#[test]
fn scopes_that_are_a_letter_apart_are_pointed_out() {
    let text = r#"@id("one") @step_up("oidc") @scope("approve:orders.delete") permit (principal, action == Action::"a", resource);
@id("two") @step_up("oidc") @scope("approve:orders.delet") permit (principal, action == Action::"b", resource);
@id("three") @token_scope("orders approve") permit (principal, action == Action::"b", resource);"#;
    assert_eq!(
        found(text, &Surroundings::default()),
        [
            "warning one 1:29: the scope `approve:orders.delete` is a letter away from `approve:orders.delet`: is one of them a slip?",
            "warning two 2:29: the scope `approve:orders.delet` is a letter away from `approve:orders.delete`: is one of them a slip?",
        ]
    );
}
