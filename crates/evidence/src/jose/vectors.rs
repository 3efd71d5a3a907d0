//! Signatures made by others: Wycheproof (Ed25519, ECDSA P-256 as `r || s`) and CCTV's Ed25519 edge cases.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_model::b64u;
use serde_json::{Value, json};

use super::PublicKey;

fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

struct Case {
    id: u64,
    key: PublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
    /// What Wycheproof says.
    valid: bool,
}

fn wycheproof(name: &str, jwk: fn(&Value) -> Value) -> Vec<Case> {
    let mut cases = Vec::new();
    for group in file(name)["testGroups"].as_array().unwrap() {
        let key = PublicKey::from_jwk(&jwk(&group["publicKey"])).unwrap();
        for test in group["tests"].as_array().unwrap() {
            cases.push(Case {
                id: test["tcId"].as_u64().unwrap(),
                key: key.clone(),
                message: hex(&test["msg"]),
                signature: hex(&test["sig"]),
                valid: test["result"] == "valid",
            });
        }
    }
    cases
}

#[test]
fn wycheproof_ed25519_all_agree() {
    let jwk = |key: &Value| json!({"kty": "OKP", "crv": "Ed25519", "x": b64u(&hex(&key["pk"]))});
    let cases = wycheproof("wycheproof/ed25519_test.json", jwk);
    assert_eq!(cases.len(), 151);
    for Case {
        id,
        key,
        message,
        signature,
        valid,
    } in cases
    {
        assert_eq!(key.verifies(&message, &signature), valid, "{id}");
    }
}

#[test]
fn wycheproof_p256_agrees_save_for_high_s() {
    let jwk = |key: &Value| {
        let point = hex(&key["uncompressed"]);
        json!({"kty": "EC", "crv": "P-256", "x": b64u(&point[1..33]), "y": b64u(&point[33..])})
    };
    // Half the order of P-256, rounded down.
    let half = hex(&json!(
        "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"
    ));
    let cases = wycheproof("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", jwk);
    assert_eq!(cases.len(), 262);
    let mut refused = 0;
    for Case {
        id,
        key,
        message,
        signature,
        valid,
    } in cases
    {
        // The deliberate refusal: of the two signatures (r, s) and (r, n − s) only one is taken.
        let low = signature.get(32..).is_some_and(|s| s <= half.as_slice());
        assert_eq!(key.verifies(&message, &signature), valid && low, "{id}");
        refused += usize::from(valid && !low);
    }
    assert!(refused > 0);
}

#[test]
fn cctv_edge_cases_only_the_unambiguous_ones_verify() {
    let ambiguous: BTreeSet<&str> = [
        "low_order_A",       // a key for which signatures exist that nobody made
        "low_order_R",       // the same for the nonce
        "non_canonical_A",   // a second spelling of the key
        "non_canonical_R",   // a second spelling of the nonce
        "low_order_residue", // holds only in the equation with a cofactor
        "reencoded_k",       // holds only if the hash is made over another spelling
    ]
    .into();
    let file = file("ed25519/ed25519vectors.json");
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 914);
    let mut verified = 0;
    for case in cases {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64u(&hex(&case["key"]))});
        let message = case["msg"].as_str().unwrap().as_bytes();
        let got =
            PublicKey::from_jwk(&jwk).is_ok_and(|key| key.verifies(message, &hex(&case["sig"])));
        let flags = case["flags"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let flagged = flags
            .iter()
            .any(|flag| ambiguous.contains(flag.as_str().unwrap()));
        assert_eq!(got, !flagged, "{} {}", case["number"], case["flags"]);
        verified += usize::from(got);
    }
    assert!(verified > 0);
}
