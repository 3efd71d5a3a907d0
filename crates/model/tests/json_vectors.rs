//! Vectors made by others: RFC 8785 (cyberphone/json-canonicalization) and JSONTestSuite (nst).

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use countersign_model::json::{self, DOCUMENT};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

/// Why our reader refuses some inputs of RFC 8785's own vectors, on purpose.
const JCS_REFUSED: [(&str, &str); 5] = [
    ("french.json", "member_name"),     // accented names
    ("structures.json", "member_name"), // an empty name, and a line break as a name
    ("unicode.json", "member_name"),    // a space in a name
    ("values.json", "number"),          // 333333333.33333329, 1E30 …
    ("weird.json", "member_name"),      // control characters and letters outside ASCII as names
];

#[test]
fn rfc_8785_vectors_come_out_exactly_or_are_refused_by_a_named_rule() {
    let refused = BTreeMap::from(JCS_REFUSED);
    let mut seen = 0;
    for entry in fs::read_dir(folder("jcs/input")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let input = fs::read(&path).unwrap();
        let output = fs::read(folder("jcs/output").join(&name)).unwrap();
        // The canonical form itself, over a reader that takes any name and number.
        let foreign = json::parse_foreign(&input, DOCUMENT).unwrap();
        assert_eq!(json::canonical(&foreign), output, "{name}");
        match (json::parse(&input, DOCUMENT), refused.get(name.as_str())) {
            (Ok(value), None) => assert_eq!(json::canonical(&value), output, "{name}"),
            (Err(error), Some(rule)) => assert_eq!(error.rule(), *rule, "{name}"),
            (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

/// What RFC 8259 allows and our reader refuses on purpose, with the rule.
const Y_REFUSED: [(&str, &[&str]); 4] = [
    (
        "number", // only plain integers within ±(2^53−1): a number that two readers may read differently is none
        &[
            "y_number",
            "y_number_0e+1",
            "y_number_0e1",
            "y_number_double_close_to_zero",
            "y_number_int_with_exp",
            "y_number_minus_zero",
            "y_number_negative_zero",
            "y_number_real_capital_e",
            "y_number_real_capital_e_neg_exp",
            "y_number_real_capital_e_pos_exp",
            "y_number_real_exponent",
            "y_number_real_fraction_exponent",
            "y_number_real_neg_exp",
            "y_number_real_pos_exponent",
            "y_number_simple_real",
            "y_object_extreme_numbers",
            "y_structure_lonely_negative_real",
        ],
    ),
    (
        "duplicate_member",
        &[
            "y_object_duplicated_key",
            "y_object_duplicated_key_and_value",
        ],
    ),
    (
        "member_name",
        &["y_object_empty_key", "y_object_escaped_null_in_key"],
    ),
    (
        "noncharacter",
        &[
            "y_string_escaped_noncharacter",
            "y_string_last_surrogates_1_and_2",
            "y_string_nonCharacterInUTF-8_U+10FFFF",
            "y_string_nonCharacterInUTF-8_U+FFFF",
            "y_string_unicode_U+10FFFE_nonchar",
            "y_string_unicode_U+1FFFE_nonchar",
            "y_string_unicode_U+FDD0_nonchar",
            "y_string_unicode_U+FFFE_nonchar",
        ],
    ),
];

/// What RFC 8259 leaves open: we refuse all of it, by these rules.
const I_REFUSED: [(&str, &[&str]); 5] = [
    (
        "number", // too big, too precise
        &[
            "i_number_double_huge_neg_exp",
            "i_number_real_underflow",
            "i_number_too_big_neg_int",
            "i_number_too_big_pos_int",
            "i_number_very_big_negative_int",
        ],
    ),
    (
        "syntax", // numbers beyond a double, and unpaired surrogates
        &[
            "i_number_huge_exp",
            "i_number_neg_int_huge_exp",
            "i_number_pos_double_huge_exp",
            "i_number_real_neg_overflow",
            "i_number_real_pos_overflow",
            "i_object_key_lone_2nd_surrogate",
            "i_string_1st_surrogate_but_2nd_missing",
            "i_string_1st_valid_surrogate_2nd_invalid",
            "i_string_incomplete_surrogate_and_escape_valid",
            "i_string_incomplete_surrogate_pair",
            "i_string_incomplete_surrogates_escape_valid",
            "i_string_invalid_lonely_surrogate",
            "i_string_invalid_surrogate",
            "i_string_inverted_surrogates_U+1D11E",
            "i_string_lone_second_surrogate",
        ],
    ),
    (
        "not_utf8",
        &[
            "i_string_UTF-16LE_with_BOM",
            "i_string_UTF-8_invalid_sequence",
            "i_string_UTF8_surrogate_U+D800",
            "i_string_invalid_utf-8",
            "i_string_iso_latin_1",
            "i_string_lone_utf8_continuation_byte",
            "i_string_not_in_unicode_range",
            "i_string_overlong_sequence_2_bytes",
            "i_string_overlong_sequence_6_bytes",
            "i_string_overlong_sequence_6_bytes_null",
            "i_string_truncated-utf-8",
            "i_string_utf16BE_no_BOM",
            "i_string_utf16LE_no_BOM",
        ],
    ),
    ("too_deep", &["i_structure_500_nested_arrays"]),
    ("byte_order_mark", &["i_structure_UTF-8_BOM_empty_object"]),
];

fn rules(table: &[(&'static str, &[&'static str])]) -> BTreeMap<&'static str, &'static str> {
    table
        .iter()
        .flat_map(|(rule, names)| names.iter().map(|name| (*name, *rule)))
        .collect()
}

#[test]
fn json_test_suite_is_parsed_or_refused_as_decided() {
    let (y_refused, i_refused) = (rules(&Y_REFUSED), rules(&I_REFUSED));
    let mut counts = [0; 3];
    for entry in fs::read_dir(folder("json-parsing/test_parsing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        // Neither profile may panic, whatever comes.
        let _ = json::parse_foreign(&bytes, DOCUMENT);
        let result = json::parse(&bytes, DOCUMENT);
        if let Ok(value) = &result {
            let text = json::canonical(value);
            assert_eq!(
                json::parse_canonical(&text, DOCUMENT).as_ref(),
                Ok(value),
                "{name}"
            );
        }
        let rule = result.as_ref().err().map(json::Refused::rule);
        match &name[..2] {
            "y_" => {
                assert_eq!(rule, y_refused.get(name.as_str()).copied(), "{name}");
                counts[0] += 1;
            }
            "i_" => {
                assert_eq!(rule, i_refused.get(name.as_str()).copied(), "{name}");
                assert!(rule.is_some(), "{name}");
                counts[1] += 1;
            }
            "n_" => {
                assert!(
                    rule.is_some(),
                    "{name} is not JSON, yet was parsed as {result:?}"
                );
                counts[2] += 1;
            }
            _ => panic!("{name}: an unknown kind of case"),
        }
    }
    assert_eq!(counts, [95, 35, 188]);
}
