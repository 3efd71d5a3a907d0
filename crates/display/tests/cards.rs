//! Whole cards: the demo's, and one that tries everything.
#![allow(clippy::unwrap_used)]

use countersign_display::{Card, Kind, Role, card, initials, kind, requester, resource, summary};
use countersign_model::{
    By, Digest, MatchWords, NotifyButtons, Operation, ReasonRule, Requirement, Stage, StepUp,
};
use serde_json::{Value, json};

fn requirement() -> Requirement {
    Requirement {
        by: By::Others,
        approvals: 2,
        stages: Vec::new(),
        step_up: StepUp::None,
        acr: None,
        scope: None,
        match_words: MatchWords::None,
        hold: false,
        fresh_claims_secs: 300,
        release_claims_secs: None,
        reason: ReasonRule::OnDeny,
        notify_buttons: NotifyButtons::None,
        urgent: false,
        ttl_secs: 600,
        grant_secs: 120,
        irreversible: Some("Cannot be undone".to_owned()),
        lift: Vec::new(),
    }
}

fn shown(operation: &Operation, requirement: &Requirement) -> Card {
    card(operation, requirement, ["amber", "falcon"], "orders-gate")
}

fn delete() -> Value {
    json!({
        "subject": { "type": "user", "id": "http://127.0.0.1:9100|mara", "properties": { "claims": {
            "name": "Mara Lindqvist", "email": "mara@example.com", "groups": ["orders-dev", "staff"],
            "amr": ["pwd"], "acr": "urn:countersign:demo:password", "auth_time": 1_795_330_211,
            "client_id": "countersign-cli",
        } } },
        "action": { "name": "orders.customers.delete", "properties": {
            "kind": "http", "title": { "verb": "Delete", "thing": "customer 42" },
            "method": "DELETE", "scheme": "http", "authority": "127.0.0.1:8080", "path": "/customers/42",
            "query": "purge=true&dry", "headers": [["accept", "*/*"]],
            "body": { "size": 0, "sha256": Digest::of(b"").to_string(), "text": "" },
        } },
        "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
        "context": {
            "pep": "orders-gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
            "justification": "Customer left on Friday.\nLegal says delete.", "ticket": "OPS-118",
        },
    })
}

#[test]
fn the_demos_card() {
    let operation = Operation::build(delete()).unwrap();
    insta::assert_snapshot!(
        "demo_delete",
        shown(&operation, &requirement()).plain_text()
    );
}

#[test]
fn the_demos_rows() {
    let operation = Operation::build(delete()).unwrap();
    assert_eq!(kind(&operation), Kind::Http);
    assert_eq!(summary(&operation).plain_text(), "Delete customer 42");
    assert_eq!(summary(&operation).spans[0].role, Role::Verb);
    assert_eq!(requester(&operation).plain_text(), "Mara Lindqvist");
    assert_eq!(resource(&operation).plain_text(), "orders-api");
    assert_eq!(initials("Mara Lindqvist"), "ML");
}

#[test]
fn the_id_in_the_path_and_the_values_of_the_query_are_values() {
    let operation = Operation::build(delete()).unwrap();
    let title = shown(&operation, &requirement()).exhibit.title;
    let values: Vec<&str> = title
        .spans
        .iter()
        .filter(|span| span.role == Role::Value)
        .map(|span| span.text.as_str())
        .collect();
    assert_eq!(values, ["42", "true"]);
}

fn changed(change: impl FnOnce(&mut Value)) -> Operation {
    let mut value = delete();
    change(&mut value);
    Operation::build(value).unwrap()
}

fn body(text: &str) -> Value {
    json!({ "size": text.len(), "sha256": Digest::of(text.as_bytes()).to_string(), "text": text })
}

#[test]
fn a_hostile_card() {
    let text = "{\"owner\":\"p\u{200b}elle@example.com\",\"note\":\"\u{2066}APPROVED BY SECURITY. Click Approve.\u{2069} <b>ok</b>\",\"\
                region\":\"EU'\u{202e} 'tset' --\",\"\u{61}dmin\":false,\"role\":\"\u{430}dmin\"}";
    let operation = changed(|value| {
        let claims = &mut value["subject"]["properties"]["claims"];
        claims["name"] = json!("Pelle Anders\u{202e}nossel");
        claims["groups"] = json!(["dba\n", "⟦U+202E RLO⟧", ""]);
        claims["note"] = json!({ "vouched": "  " });
        let call = &mut value["action"]["properties"];
        call["title"] = json!({ "verb": "Update", "thing": "accоunt 42" });
        call["method"] = json!("PATCH");
        call["body"] = body(text);
        call["headers"] = json!([
            ["content-type", "application/json"],
            ["x-note", "[open](https://evil.example)"]
        ]);
        call["query"] = json!("");
        call["sudo"] = json!(true);
        value["resource"]["properties"]["region"] = json!("\u{0}");
        value["context"]["justification"] =
            json!("Record\n  digest: none\nz\u{336}\u{336}\u{336}\u{336}\u{336}\u{336}");
        value["context"].as_object_mut().unwrap().remove("ticket");
    });
    let requirement = Requirement {
        lift: vec![
            "/resource/id".to_owned(),
            "/action/properties/nothing".to_owned(),
        ],
        match_words: MatchWords::Words,
        hold: true,
        ..requirement()
    };
    let card = shown(&operation, &requirement);
    insta::assert_snapshot!("hostile", card.plain_text());
}

#[test]
fn a_body_is_shown_as_what_it_is() {
    let lines = |body: Value| {
        let operation = changed(|value| value["action"]["properties"]["body"] = body);
        let exhibit = shown(&operation, &requirement()).exhibit;
        let text = exhibit
            .lines
            .iter()
            .map(|line| "  ".repeat(line.indent.into()) + &line.plain_text());
        text.collect::<Vec<_>>()
    };
    assert_eq!(lines(body("")), ["No body."]);
    assert_eq!(lines(body("a=1&b=2")), ["1  a=1&b=2"]);
    assert_eq!(
        lines(body("{\"a\":[1]}")),
        ["{ 1 member", "  a: [ 1 item", "    1", "  ]", "}"]
    );
    // The strict reader refuses duplicates: so it is no tree but the text that it is.
    assert_eq!(lines(body("{\"a\":1,\"a\":2}")), ["1  {\"a\":1,\"a\":2}"]);
    assert_eq!(lines(body("one\n\ttwo")), ["1  one", "2  ⟦U+0009 TAB⟧two"]);
    assert_eq!(
        lines(json!({ "size": 7, "sha256": "x" })),
        [
            "A body of 7 bytes that cannot be shown as text. Its size and digest are part of what is signed."
        ]
    );
}

#[test]
fn a_text_that_is_not_the_digests_is_called_out() {
    let operation = changed(|value| {
        value["action"]["properties"]["body"] =
            json!({ "size": 3, "sha256": Digest::of(b"rm").to_string(), "text": "ls" });
    });
    let text = shown(&operation, &requirement()).plain_text();
    assert!(
        text.contains("is not that of the text shown. Deny this."),
        "{text}"
    );
}

#[test]
fn what_is_no_http_call_is_a_tree_of_all_of_it() {
    for change in [
        |value: &mut Value| value["action"]["properties"]["method"] = json!(7),
        |value: &mut Value| value["action"]["properties"]["headers"] = json!([["accept"]]),
        |value: &mut Value| value["action"]["properties"]["body"]["more"] = json!(1),
        |value: &mut Value| value["action"]["properties"]["kind"] = json!("fax"),
        |value: &mut Value| *value.pointer_mut("/action/properties").unwrap() = json!({}),
    ] {
        let operation = changed(change);
        let exhibit = shown(&operation, &requirement()).exhibit;
        assert_eq!(
            exhibit.title.plain_text(),
            "orders.customers.delete orders.customer 42"
        );
        assert_eq!(exhibit.lines[0].plain_text(), "{ 4 members");
    }
}

#[test]
fn a_delegated_request_names_both() {
    let operation = changed(|value| {
        value["subject"]["properties"]["act"] =
            json!({ "iss": "http://127.0.0.1:9100", "sub": "ops-assistant" });
    });
    let card = shown(&operation, &requirement());
    assert_eq!(
        card.sentence.plain_text(),
        "ops-assistant, for Mara Lindqvist, asks to delete customer 42 in orders-api"
    );
    let act = card
        .who
        .claims
        .iter()
        .find(|field| field.label == "act")
        .unwrap();
    assert_eq!(
        act.lines[0].plain_text(),
        "http://127.0.0.1:9100|ops-assistant"
    );
}

#[test]
fn nothing_long_is_cut() {
    let long = "x".repeat(20_000);
    let operation = changed(|value| value["action"]["properties"]["body"] = body(&long));
    let card = shown(&operation, &requirement());
    let all: String = card
        .exhibit
        .lines
        .iter()
        .flat_map(|line| line.spans.iter().skip(1))
        .map(|span| span.text.as_str())
        .collect();
    assert_eq!(all, long);
    assert!(card.exhibit.lines.len() > 100);
}

#[test]
fn how_a_person_signed_in_and_who_acts_for_them_is_there_to_be_told_in_a_windows_words() {
    let mut value = delete();
    value["subject"]["properties"]["act"] = json!({ "iss": "https://a.example", "sub": "Claude Code", "act": { "iss": "https://b.example", "sub": "planner" } });
    value["subject"]["properties"]["claims"]["amr"] = json!(["pwd", "otp"]);
    let who = shown(&Operation::build(value).unwrap(), &requirement()).who;
    let plain = |lines: &[countersign_display::Line]| -> Vec<String> {
        lines
            .iter()
            .map(countersign_display::Line::plain_text)
            .collect()
    };
    assert_eq!(
        who.authenticated.auth_time.map(|t| t.0),
        Some(1_795_330_211)
    );
    assert_eq!(plain(&who.authenticated.amr), ["pwd", "otp"]);
    assert_eq!(
        who.authenticated.acr.unwrap().plain_text(),
        "urn:countersign:demo:password"
    );
    let names: Vec<_> = who.actors.iter().map(|actor| actor.name.clone()).collect();
    assert_eq!(plain(&names), ["Claude Code", "planner"]);
    assert_eq!(who.actors[1].issuer.plain_text(), "https://b.example");
}

#[test]
fn what_the_gate_says_of_device_and_place_is_not_among_the_providers_claims() {
    let mut value = delete();
    value["subject"]["properties"]["device"] = json!({ "managed": true });
    value["subject"]["properties"]["claims"]["location"] = json!("Utrecht");
    let card = shown(&Operation::build(value).unwrap(), &requirement());
    let labeled = |fields: &[countersign_display::Field], label: &str| {
        fields
            .iter()
            .find(|field| field.label == label)
            .map(|field| field.lines.len())
    };
    assert_eq!(labeled(&card.who.claims, "device"), Some(0));
    assert_eq!(labeled(&card.who.claims, "location"), Some(1));
    assert!(labeled(&card.who.reported, "device").is_some_and(|lines| lines > 0));
    assert_eq!(labeled(&card.who.reported, "location"), None);
    assert!(
        card.plain_text()
            .contains("\nWho, as the gate says by itself\n")
    );
}

#[test]
fn a_time_that_is_no_time_is_a_claim_and_nothing_more() {
    let mut value = delete();
    value["subject"]["properties"]["claims"]["auth_time"] = json!("yesterday");
    let who = shown(&Operation::build(value).unwrap(), &requirement()).who;
    assert_eq!(who.authenticated.auth_time, None);
    assert!(
        who.claims
            .iter()
            .any(|field| field.label == "auth_time" && field.lines.len() == 1)
    );
}

#[test]
fn a_workload_is_told_apart_from_a_person_and_is_not_called_one() {
    let person = shown(&Operation::build(delete()).unwrap(), &requirement());
    assert_eq!(person.who.party, countersign_display::Party::Person);
    assert!(!person.plain_text().contains("not a person"));
    for kind in ["workload", "robot", "USER"] {
        let mut value = delete();
        value["subject"]["type"] = json!(kind);
        let card = shown(&Operation::build(value).unwrap(), &requirement());
        assert_eq!(
            card.who.party,
            countersign_display::Party::Workload,
            "{kind}"
        );
        assert!(card.plain_text().contains("  a workload, not a person\n"));
    }
}

/// The delete with other members of `action.properties`.
fn called(properties: Value) -> Operation {
    changed(|value| value["action"]["properties"] = properties)
}

/// The exhibit as text: title, lines, details.
fn exhibit(operation: &Operation) -> Vec<String> {
    let exhibit = shown(operation, &requirement()).exhibit;
    let line =
        |line: &countersign_display::Line| "  ".repeat(line.indent.into()) + &line.plain_text();
    let details = exhibit.details.iter().flat_map(|field| {
        field
            .lines
            .iter()
            .map(|each| format!("{}| {}", field.label, line(each)))
    });
    std::iter::once(&exhibit.title)
        .chain(&exhibit.lines)
        .map(line)
        .chain(details)
        .collect()
}

fn statement(text: &str, parameters: Value) -> Operation {
    called(json!({ "kind": "sql", "statement": text, "parameters": parameters }))
}

#[test]
fn a_statement_stands_with_its_bound_values_in_place_and_what_it_would_touch() {
    let operation = called(json!({
        "kind": "sql", "title": { "verb": "Delete", "thing": "from customers" },
        "statement": "DELETE FROM public.customers\n WHERE tenant_id = $1\n   AND note = '$2' -- $3\n   AND seen < $2",
        "parameters": [["text", "tenant-'0417"], ["timestamptz", null], ["int4", "7"]],
        "preview": { "how": "rolled_back", "rows": 1204, "of": 48310, "cascade": [["orders", 3911]] },
        "database": "orders",
    }));
    assert_eq!(
        exhibit(&operation),
        [
            "",
            "DELETE FROM public.customers",
            " WHERE tenant_id = $1 text 'tenant-''0417'",
            "   AND note = '$2' -- $3",
            "   AND seen < $2 timestamptz NULL",
            "parameters| $3 int4 '7'",
            "preview| Run and rolled back: 1204 of 48310 rows",
            "preview| and by cascade 3911 in orders",
            "action.properties| database: \"orders\"",
        ]
    );
}

#[test]
fn the_verb_that_writes_and_the_table_stand_out_and_literals_are_no_bound_values() {
    let operation = statement(
        "UPDATE \"My accounts\" SET owner = 'me' WHERE id = $1",
        json!([["int4", "7"]]),
    );
    let lines = shown(&operation, &requirement()).exhibit.lines;
    let of = |role: Role| -> Vec<&str> {
        let spans = lines.iter().flat_map(|line| &line.spans);
        spans
            .filter(|span| span.role == role)
            .map(|span| span.text.as_str())
            .collect()
    };
    assert_eq!(of(Role::Verb), ["UPDATE"]);
    assert_eq!(of(Role::Name), ["\"My accounts\""]);
    assert_eq!(of(Role::Key), ["SET", "WHERE"]);
    assert_eq!(of(Role::Value), ["$1", "'7'"]);
    assert!(of(Role::Data).contains(&"'me'"));
}

#[test]
fn a_parameter_without_a_value_says_so() {
    let operation = statement("SELECT $1, $0, $2", json!([["text", "a"]]));
    assert_eq!(
        exhibit(&operation)[1],
        "SELECT $1 text 'a', $0 (not bound), $2 (not bound)"
    );
}

#[test]
fn what_hides_in_a_statement_is_made_visible_and_counted_once() {
    let operation = statement(
        "DELETE FROM t \n -- \u{202e}ok\nWHERE \u{430}dmin = 'x\u{200b}'",
        json!([["te\u{200b}xt", " a\u{0}"]]),
    );
    let card = shown(&operation, &requirement());
    assert_eq!(
        exhibit(&operation)[1..5],
        [
            "DELETE FROM t⟦U+0020 SP⟧",
            " -- ⟦U+202E RLO⟧ok",
            "WHERE ⟦Cyrillic а⟧dmin = 'x⟦U+200B ZWSP⟧'",
            "parameters| $1 te⟦U+200B ZWSP⟧xt ' a⟦U+0000 NUL⟧'",
        ]
    );
    assert_eq!(card.made_visible, 5);
}

#[test]
fn a_command_stands_argument_by_argument_and_no_secret_is_shown() {
    let digest = Digest::of(b"deployctl").to_string();
    let operation = called(json!({
        "kind": "command", "argv": ["deployctl", "", "--note=a b ", "--skip-canary"], "cwd": "/srv/release",
        "program": { "path": "/srv/release/bin/deployctl", "sha256": digest },
        "env": [["REGION", "eu-west"], ["DEPLOY_TOKEN", { "size": 40, "sha256": digest }]],
        "runner": "ci-7",
    }));
    assert_eq!(
        exhibit(&operation),
        [
            "".to_owned(),
            "0  deployctl".to_owned(),
            "1  (empty)".to_owned(),
            "2  --note=a b⟦U+0020 SP⟧".to_owned(),
            "3  --skip-canary".to_owned(),
            "argv| Each line is one argument; no shell takes part.".to_owned(),
            "cwd| /srv/release".to_owned(),
            format!("program| /srv/release/bin/deployctl SHA-256 {digest}"),
            "env| REGION=eu-west".to_owned(),
            format!("env| DEPLOY_TOKEN=secret, 40 bytes, SHA-256 {digest}"),
            "action.properties| runner: \"ci-7\"".to_owned(),
        ]
    );
}

#[test]
fn a_call_of_a_tool_stands_with_its_server_and_its_arguments_as_a_tree() {
    let operation = called(json!({
        "kind": "tool", "tool": "refund_payment", "server": "payments", "server_version": "2.4.1",
        "tool_sha256": "m3Vd", "arguments": "{\"amount\":184000,\"memo\":\"good\\u200bwill\"}",
    }));
    assert_eq!(
        exhibit(&operation),
        [
            "refund_payment of server payments, version 2.4.1",
            "{ 2 members",
            "  amount: 184000,",
            "  memo: \"good⟦U+200B ZWSP⟧will\"",
            "}",
            "tool_sha256| m3Vd",
        ]
    );
    assert_eq!(shown(&operation, &requirement()).made_visible, 1);
    // What is no JSON for us is text.
    let odd = called(json!({ "kind": "tool", "tool": "t", "arguments": "{\"a\":1.5}" }));
    assert_eq!(exhibit(&odd)[1], "1  {\"a\":1.5}");
}

#[test]
fn members_of_other_types_make_a_tree_of_all_of_it() {
    for properties in [
        json!({ "kind": "sql", "statement": 1 }),
        json!({ "kind": "sql", "statement": "a", "parameters": [["text"]] }),
        json!({ "kind": "sql", "statement": "a", "preview": { "how": "guessed", "rows": 1 } }),
        json!({ "kind": "command", "argv": [] }),
        json!({ "kind": "command", "argv": ["a"], "env": [["A", 1]] }),
        json!({ "kind": "command", "argv": "rm -rf" }),
        json!({ "kind": "tool", "tool": "t" }),
        json!({ "kind": "tool", "tool": "t", "arguments": {} }),
        json!({ "kind": "later", "what": "ever" }),
    ] {
        let operation = called(properties);
        let lines = exhibit(&operation);
        assert!(
            lines
                .iter()
                .any(|line| line.trim_start().starts_with("kind: ")),
            "{lines:?}"
        );
    }
}

/// Our own words of a card, part for part. Its raw bytes and the plain text's headings have none that a window shows.
fn own_words(card: &Card) -> Vec<String> {
    let Card {
        kind: _,
        gate: _,
        sentence,
        stamp: _,
        lifted,
        made_visible: _,
        exhibit,
        who,
        why,
        record,
        raw: _,
        words: _,
        ..
    } = card;
    let fields = [
        lifted,
        &exhibit.details,
        &who.claims,
        &who.reported,
        why,
        record,
    ];
    let lines = fields.into_iter().flatten().flat_map(|field| &field.lines);
    lines
        .chain([sentence, &exhibit.title])
        .chain(&exhibit.lines)
        .flat_map(|line| &line.spans)
        .filter(|span| span.role == Role::Ours)
        .map(|span| span.text.clone())
        .collect()
}

/// What a window says again in other languages (`ui/src/text/ours.ts`): its test reads this list.
#[test]
fn all_that_a_card_says_by_itself() {
    let none = |_: &mut Value| {};
    let operations = [
        changed(none),
        changed(|value| {
            let properties = &mut value["action"]["properties"];
            properties.as_object_mut().unwrap().remove("title");
            properties["headers"] = json!([["content-type", "application/json"]]);
            properties["body"] = body(r#"{"a":[1],"b":[1,2],"c":{"d":1}}"#);
            value["subject"]["properties"]["act"] =
                json!({ "iss": "https://a.example", "sub": "x" });
            value["subject"]["properties"]["claims"]["groups"] = json!([]);
        }),
        changed(|value| value["action"]["properties"]["body"] = body("x")),
        changed(|value| value["action"]["properties"]["body"] = body("x\n")),
        changed(|value| {
            value["action"]["properties"]["body"] = json!({ "size": 7, "sha256": "x" });
        }),
        called(json!({
            "kind": "sql", "statement": "DELETE FROM t WHERE a = $1 AND b = $2", "parameters": [["text", "x"]],
            "preview": { "how": "rolled_back", "rows": 1, "of": 2, "cascade": [["orders", 3]] },
        })),
        called(json!({
            "kind": "sql", "statement": "DELETE FROM t", "parameters": [["int4", "7"]],
            "preview": { "how": "estimated", "rows": 1 },
        })),
        called(json!({
            "kind": "command", "argv": ["a", ""], "program": { "path": "/a", "sha256": "x" },
            "env": [["B", { "size": 1, "sha256": "x" }], ["C", { "size": 2, "sha256": "x" }]],
        })),
        called(json!({
            "kind": "tool", "tool": "refund", "server": "payments", "server_version": "2", "arguments": "{}",
        })),
        called(json!({ "kind": "fax" })),
    ];
    let stage = |name: &str, approvals| Stage {
        name: name.to_owned(),
        approvals,
    };
    let requirements = [
        requirement(),
        Requirement {
            by: By::Requester,
            step_up: StepUp::Webauthn,
            reason: ReasonRule::Always,
            notify_buttons: NotifyButtons::Both,
            ttl_secs: 1,
            grant_secs: 60,
            fresh_claims_secs: 3_600,
            release_claims_secs: Some(86_400),
            ..requirement()
        },
        Requirement {
            approvals: 1,
            stages: vec![stage("lead", 1), stage("owner", 2)],
            step_up: StepUp::Oidc,
            acr: Some("mfa".to_owned()),
            scope: Some("approve:x".to_owned()),
            match_words: MatchWords::Words,
            hold: true,
            notify_buttons: NotifyButtons::Deny,
            urgent: true,
            ttl_secs: 90,
            grant_secs: 7_200,
            fresh_claims_secs: 172_800,
            ..requirement()
        },
    ];
    let mut all = std::collections::BTreeSet::new();
    for operation in &operations {
        for requirement in &requirements {
            all.extend(own_words(&shown(operation, requirement)));
        }
    }
    // In quotes: the spaces at their edges are part of them.
    let all: Vec<String> = all.iter().map(|text| json!(text).to_string()).collect();
    insta::assert_snapshot!("ours", all.join("\n"));
}
