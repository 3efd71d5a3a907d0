//! Wycheproof's JSON Web Signature and Key cases: what a provider's token and key set must not get away with.

use std::path::Path;

use serde_json::{Value, json};

use super::{OpKeys, check_signature};

/// Each case as (comment of its group, keys, case).
fn cases(file: &str) -> Vec<(String, Value, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/wycheproof")
        .join(file);
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let keys = group.get("public").unwrap_or(&group["private"]);
        let keys = if keys.get("keys").is_some() {
            keys.clone()
        } else {
            json!({"keys": [keys]})
        };
        for test in group["tests"].as_array().unwrap() {
            cases.push((
                group["comment"].as_str().unwrap().to_owned(),
                keys.clone(),
                test.clone(),
            ));
        }
    }
    cases
}

fn accepts(keys: &Value, jws: &str) -> bool {
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    ];
    let keys = OpKeys::from_jwks(keys).unwrap();
    check_signature(jws, &algorithms.map(str::to_owned), &keys).is_ok()
}

/// Valid cases that are refused on purpose: (file, case, why).
const REFUSED: [(&str, u64, &str); 24] = [
    (
        "json_web_key_test.json",
        2,
        "HS256: symmetric algorithms are never a provider's",
    ),
    ("json_web_key_test.json", 13, "HS256"),
    ("json_web_key_test.json", 14, "HS384"),
    ("json_web_key_test.json", 15, "HS512"),
    ("json_web_signature_test.json", 1, "HS256"),
    (
        "json_web_signature_test.json",
        259,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        264,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        268,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        272,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        320,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        325,
        "an empty payload is no token",
    ),
    (
        "json_web_signature_test.json",
        346,
        "the key set says PS256 for this key, the token PS384",
    ),
    (
        "json_web_signature_test.json",
        347,
        "P-521 is not used here",
    ),
    ("json_web_signature_test.json", 348, "HS256"),
    (
        "json_web_signature_test.json",
        350,
        "the key set says PS256 for this key, the token PS384",
    ),
    (
        "json_web_signature_test.json",
        351,
        "P-521 is not used here",
    ),
    ("json_web_signature_test.json", 352, "HS256"),
    ("json_web_signature_test.json", 357, "HS256"),
    ("json_web_signature_test.json", 358, "HS256"),
    ("json_web_signature_test.json", 359, "HS256"),
    (
        "json_web_signature_test.json",
        372,
        "HS256, and a stray character in base64url",
    ),
    (
        "json_web_signature_test.json",
        373,
        "HS256, and a stray character in base64url",
    ),
    ("json_web_signature_test.json", 376, "HS256"),
    ("json_web_signature_test.json", 377, "HS256"),
];

/// Invalid cases that are accepted, knowingly.
const ACCEPTED: [(&str, u64, &str); 1] = [(
    "json_web_key_test.json",
    7,
    "a modulus with the ROCA fingerprint: keys come from the provider itself, whose choice of generator is its own",
)];

#[test]
fn wycheproof_tokens_are_taken_or_refused_as_decided() {
    for (file, count) in [
        ("json_web_key_test.json", 26),
        ("json_web_signature_test.json", 401),
    ] {
        let cases = cases(file);
        assert_eq!(cases.len(), count);
        for (group, keys, test) in cases {
            let id = test["tcId"].as_u64().unwrap();
            let named = |table: &[(&str, u64, &str)]| {
                table.iter().any(|case| (case.0, case.1) == (file, id))
            };
            let valid = test["result"] == "valid";
            let expected = (valid && !named(&REFUSED)) || named(&ACCEPTED);
            let got = accepts(&keys, test["jws"].as_str().unwrap());
            assert_eq!(got, expected, "{file} {group} {id} {}", test["comment"]);
            assert!(
                !named(&REFUSED) || valid,
                "{id} is not a deliberate refusal"
            );
        }
    }
}
