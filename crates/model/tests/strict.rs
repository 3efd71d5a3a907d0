//! The strict reader's own rules, and what must hold for every value that it lets through.

#![allow(clippy::unwrap_used, missing_docs)]

use countersign_model::json::{self, Limits, OPERATION};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const SMALL: Limits = Limits {
    max_bytes: 64,
    max_depth: 2,
};

#[test]
fn each_rule_refuses_by_its_name() {
    let cases: [(&[u8], Limits, &str); 24] = [
        (
            b"[\"0123456789012345678901234567890123456789012345678901234567890123\"]",
            SMALL,
            "too_long",
        ),
        (b"\"\xff\"", OPERATION, "not_utf8"),
        (b"\xef\xbb\xbf{}", OPERATION, "byte_order_mark"),
        (b"{", OPERATION, "syntax"),
        (b"{} {}", OPERATION, "syntax"),
        (b"", OPERATION, "syntax"),
        (br#""\ud800""#, OPERATION, "syntax"),
        (b"[[[]]]", SMALL, "too_deep"),
        (br#"{"a":{"b":{}}}"#, SMALL, "too_deep"),
        (br#"{"a":1,"a":1}"#, OPERATION, "duplicate_member"),
        (br#"{"a":1,"\u0061":2}"#, OPERATION, "duplicate_member"),
        (
            br#"[{"x":{"a":1,"b":2,"a":3}}]"#,
            OPERATION,
            "duplicate_member",
        ),
        (br#"{"":1}"#, OPERATION, "member_name"),
        (br#"{"a b":1}"#, OPERATION, "member_name"),
        ("{\"ä\":1}".as_bytes(), OPERATION, "member_name"),
        (
            br#"{"$serde_json::private::Number":"1"}"#,
            OPERATION,
            "member_name",
        ),
        (b"1.0", OPERATION, "number"),
        (b"1e2", OPERATION, "number"),
        (b"-0", OPERATION, "number"),
        (b"9007199254740992", OPERATION, "number"),
        (b"-9007199254740992", OPERATION, "number"),
        (b"18446744073709551616", OPERATION, "number"),
        (br#""\uffff""#, OPERATION, "noncharacter"),
        ("\"\u{fdd0}\"".as_bytes(), OPERATION, "noncharacter"),
    ];
    for (bytes, limits, rule) in cases {
        let refused = json::parse(bytes, limits).unwrap_err();
        assert_eq!(refused.rule(), rule, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_is_just_within_the_rules_is_read() {
    let name = "n".repeat(128);
    for good in [
        "9007199254740991".to_owned(),
        "-9007199254740991".to_owned(),
        "0".to_owned(),
        format!("{{\"{name}\":null}}"),
        "\"\u{10ffff}\"".replace('\u{10ffff}', "\u{10fffd}"),
        "\"\\u0000\"".to_owned(),
        format!("{}{}", "[".repeat(16), "]".repeat(16)),
    ] {
        assert!(json::parse(good.as_bytes(), OPERATION).is_ok(), "{good}");
    }
    let name = "n".repeat(129);
    assert!(json::parse(format!("{{\"{name}\":null}}").as_bytes(), OPERATION).is_err());
    assert!(
        json::parse(
            format!("{}{}", "[".repeat(17), "]".repeat(17)).as_bytes(),
            OPERATION
        )
        .is_err()
    );
}

#[test]
fn canonical_form_is_one_spelling() {
    let value = json::parse(b" {\"b\": 1, \"a\": \"\\u00e9\\/\" }", OPERATION).unwrap();
    assert_eq!(json::canonical(&value), "{\"a\":\"é/\",\"b\":1}".as_bytes());
    for other in [
        &b"{\"b\":1,\"a\":\"x\"}"[..],
        b"{\"a\":\"x\", \"b\":1}",
        b"{\"a\":\"\\u0078\",\"b\":1}",
    ] {
        assert_eq!(
            json::parse_canonical(other, OPERATION).unwrap_err().rule(),
            "not_canonical"
        );
    }
    assert!(json::parse_canonical(b"{\"a\":\"x\",\"b\":1}", OPERATION).is_ok());
}

#[test]
fn foreign_reader_takes_any_number_and_name_but_no_duplicate() {
    let value = json::parse_foreign(br#"{"auth_time":1.5e9,"a b":-0}"#, OPERATION).unwrap();
    assert_eq!(value["auth_time"].as_f64(), Some(1.5e9));
    for (bad, rule) in [
        (&br#"{"a":1,"a":1}"#[..], "duplicate_member"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        (br#"{"\ufffe":1}"#, "noncharacter"),
    ] {
        assert_eq!(
            json::parse_foreign(bad, OPERATION).unwrap_err().rule(),
            rule
        );
    }
}

#[test]
fn check_refuses_what_parse_would() {
    let deep = (0..17).fold(json!(1), |value, _| json!([value]));
    let deep_objects = (0..17).fold(json!(1), |value, _| json!({"a": value}));
    for (value, rule) in [
        (json!(1.0), "number"),
        (json!(u64::MAX), "number"),
        (json!(1_u64 << 53), "number"),
        (json!({"a b": 1}), "member_name"),
        (json!(["\u{fffe}"]), "noncharacter"),
        (deep, "too_deep"),
        (deep_objects, "too_deep"),
        (json!("x".repeat(64 * 1024)), "too_long"),
    ] {
        assert_eq!(json::check(&value, OPERATION).unwrap_err().rule(), rule);
    }
}

/// Values that the strict rules allow.
fn strict_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-json::MAX_INTEGER..=json::MAX_INTEGER).prop_map(Value::from),
        "\\PC{0,12}|[\\x00-\\x1f\"\\\\/é\u{1f600}]{0,6}".prop_map(Value::String),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[A-Za-z0-9_.:/-]{1,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn parse_of_canonical_is_the_value(value in strict_value()) {
        prop_assume!(json::check(&value, OPERATION).is_ok());
        let bytes = json::canonical(&value);
        prop_assert_eq!(json::parse_canonical(&bytes, OPERATION), Ok(value));
    }

    #[test]
    fn what_is_too_long_is_told_to_the_byte(value in strict_value()) {
        prop_assume!(json::check(&value, OPERATION).is_ok());
        let bytes = json::canonical(&value).len();
        for (max_bytes, fits) in [(bytes - 1, false), (bytes, true), (bytes + 1, true)] {
            let limits = json::Limits { max_bytes, ..OPERATION };
            prop_assert_eq!(json::check(&value, limits).is_ok(), fits);
        }
    }

    #[test]
    fn different_values_never_share_canonical_bytes(a in strict_value(), b in strict_value()) {
        prop_assume!(json::check(&a, OPERATION).is_ok() && json::check(&b, OPERATION).is_ok());
        prop_assert_eq!(a == b, json::canonical(&a) == json::canonical(&b));
    }

    #[test]
    fn one_changed_byte_is_refused_or_another_value(value in strict_value(), at: prop::sample::Index, to: u8) {
        prop_assume!(json::check(&value, OPERATION).is_ok());
        let bytes = json::canonical(&value);
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] = to;
        if let Ok(other) = json::parse_canonical(&changed, OPERATION) {
            prop_assert_eq!(other == value, changed == bytes);
        }
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = json::parse(&bytes, OPERATION);
        let _ = json::parse_foreign(&bytes, OPERATION);
    }

    #[test]
    fn whatever_parses_obeys_check(text in "[\\[\\]{}\",:0-9a-e .\\-\\\\u]{0,40}") {
        if let Ok(value) = json::parse(text.as_bytes(), OPERATION) {
            prop_assert_eq!(json::check(&value, OPERATION), Ok(()));
        }
    }
}
