//! Reading members exactly: bounds, and nothing beside what is named.

#![allow(clippy::unwrap_used, missing_docs)]

use countersign_model::Members;
use serde_json::{Value, json};

fn members(value: &Value) -> Members {
    Members::of(value).unwrap()
}

#[test]
fn a_text_has_its_bound() {
    for (text, holds) in [
        ("", false),
        ("ab", true),
        ("abc", false),
        ("\u{e9}a", false),
    ] {
        let value = json!({"a": text});
        assert_eq!(members(&value).bounded("a", 2).is_ok(), holds, "{text}");
        assert_eq!(members(&value).opt_bounded("a", 2).is_ok(), holds, "{text}");
    }
    assert_eq!(members(&json!({})).opt_bounded("a", 2).unwrap(), None);
    assert!(members(&json!({})).bounded("a", 2).is_err());
}

#[test]
fn an_optional_digest_is_read_where_it_stands() {
    let digest = countersign_model::Digest::of(b"x");
    let there = json!({"d": digest.to_string()});
    assert_eq!(members(&there).opt_digest("d").unwrap(), Some(digest));
    assert_eq!(members(&json!({})).opt_digest("d").unwrap(), None);
    assert!(members(&json!({"d": null})).opt_digest("d").is_err());
}

#[test]
fn a_subject_identifier_is_exact() {
    let whole = json!({"format": "iss_sub", "iss": "https://op.example", "sub": "elin"});
    let read = |inner: Value| members(&json!({"s": inner})).sub_id("s");
    assert_eq!(
        read(whole.clone()).unwrap().to_string(),
        "https://op.example|elin"
    );
    for (name, value) in [
        ("format", json!("email")),
        ("iss", json!("https://op.example|x")),
        ("sub", json!("")),
        ("email", json!("elin@example.org")),
    ] {
        let mut other = whole.clone();
        other[name] = value;
        assert!(read(other).is_err(), "{name}");
    }
}
