//! `operation.json`: operations, what the strict reader refuses, matching words.

use countersign_model::{Digest, Operation, b64u, json as strict, matching_words};
use serde_json::{Value, json};

use crate::common::{self, OP};
use crate::compare;

fn good_operation(name: &str, value: Value) -> Value {
    let operation = Operation::build(value).unwrap();
    json!({
        "name": name,
        "operation_b64": b64u(operation.bytes()),
        "operation_digest": operation.digest().to_string(),
        "requester": operation.subject().to_string(),
        "pep": operation.pep().as_str(),
    })
}

fn bad_operation(name: &str, bytes: &[u8]) -> Value {
    let rule = Operation::parse(bytes).unwrap_err().rule();
    json!({"name": name, "operation_b64": b64u(bytes), "rule": rule})
}

/// The sample operation's canonical text with one part replaced.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(strict::canonical(&common::operation())).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn operation_vectors() {
    let edited = |change: fn(&mut Value)| {
        let mut value = common::operation();
        change(&mut value);
        value
    };
    let good = vec![
        good_operation("an HTTP call", common::operation()),
        good_operation(
            "an AI agent acts for a person",
            edited(|o| {
                o["subject"]["properties"]["act"] =
                    json!({"iss": "https://ai.example", "sub": "agent|7"});
            }),
        ),
        good_operation(
            "text beyond ASCII, not normalized",
            edited(|o| {
                o["context"]["justification"] =
                    json!("e\u{301} is not é; \u{202e}evil\u{202c} \u{1f600} \u{0} \u{7f} \"\\");
            }),
        ),
        good_operation(
            "the smallest",
            json!({
                "subject": {"type": "user", "id": format!("{OP}|mara")},
                "action": {"name": "read"},
                "resource": {"type": "thing", "id": "1"},
                "context": {"pep": "gate", "nonce": "AAECAwQFBgcICQoLDA0ODw"},
            }),
        ),
        good_operation(
            "integers at their bounds",
            edited(|o| {
                o["action"]["properties"]["n"] =
                    json!([strict::MAX_INTEGER, -strict::MAX_INTEGER, 0, -1]);
            }),
        ),
    ];
    let canonical = strict::canonical(&common::operation());
    let deep = format!("\"size\":{}0{}", "[".repeat(14), "]".repeat(14));
    let long = format!("\"path\":\"{}\"", "x".repeat(65_536));
    let bad = vec![
        bad_operation("a space after it", &[&canonical[..], b" "].concat()),
        bad_operation(
            "members in another order",
            &replaced(
                "\"id\":\"42\",\"properties\":{\"service\":\"orders-api\"}",
                "\"properties\":{\"service\":\"orders-api\"},\"id\":\"42\"",
            ),
        ),
        bad_operation(
            "an escape that need not be",
            &replaced("DELETE", "\\u0044ELETE"),
        ),
        bad_operation(
            "a member twice",
            &replaced(
                "\"method\":\"DELETE\"",
                "\"method\":\"GET\",\"method\":\"DELETE\"",
            ),
        ),
        bad_operation(
            "a member twice, once escaped",
            &replaced(
                "\"method\":\"DELETE\"",
                "\"method\":\"GET\",\"\\u006dethod\":\"DELETE\"",
            ),
        ),
        bad_operation(
            "a fraction of zero",
            &replaced("\"size\":0", "\"size\":1.0"),
        ),
        bad_operation("an exponent", &replaced("\"size\":0", "\"size\":1e2")),
        bad_operation("negative zero", &replaced("\"size\":0", "\"size\":-0")),
        bad_operation("2^53", &replaced("\"size\":0", "\"size\":9007199254740992")),
        bad_operation(
            "beyond 64 bits",
            &replaced("\"size\":0", "\"size\":18446744073709551617"),
        ),
        bad_operation("a noncharacter", &replaced("DELETE", "\u{fdd0}")),
        bad_operation("half a surrogate pair", &replaced("DELETE", "\\ud800")),
        bad_operation(
            "a byte order mark",
            &[b"\xef\xbb\xbf", &canonical[..]].concat(),
        ),
        bad_operation(
            "not UTF-8",
            &[&canonical[..10], b"\xff", &canonical[10..]].concat(),
        ),
        bad_operation("too deep", &replaced("\"size\":0", &deep)),
        bad_operation("too long", &replaced("\"path\":\"/customers/42\"", &long)),
        bad_operation(
            "a member name with a space",
            &replaced("\"kind\":", "\"a kind\":"),
        ),
        bad_operation("no JSON", b"{"),
        bad_operation(
            "another member",
            &replaced("\"resource\":", "\"policy\":{},\"resource\":"),
        ),
        bad_operation(
            "no nonce",
            &replaced(",\"nonce\":\"AAECAwQFBgcICQoLDA0ODw\"", ""),
        ),
        bad_operation(
            "a short nonce",
            &replaced("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O"),
        ),
        bad_operation(
            "a requester without an issuer",
            &replaced("https://op.example|mara", "mara"),
        ),
        bad_operation(
            "an issuer with http",
            &replaced("https://op.example|mara", "http://op.example|mara"),
        ),
        bad_operation(
            "a gate's id that is a path",
            &replaced("\"pep\":\"orders-gate\"", "\"pep\":\"../gate\""),
        ),
    ];
    let words: Vec<Value> = ["", "a", "countersign", "\u{e9}"]
        .iter()
        .map(|text| {
            let digest = Digest::of(text.as_bytes());
            json!({"request_jws_digest": digest.to_string(), "words": matching_words(digest)})
        })
        .collect();
    compare(
        "operation.json",
        &json!({"spec": "operation.md", "good": good, "bad": bad, "matching_words": words}),
    );
}
