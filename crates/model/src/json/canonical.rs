//! The canonical form (RFC 8785), written straight.
//!
//! Every digest is over it, so it is written often. Where all names are ASCII and all numbers plain integers, which
//! is what the strict rules let through, the form is simple; whatever is not so is left to the library that knows
//! the rest (floats as ECMAScript writes them, names in the order of UTF-16).

use serde_json::Value;

use super::MAX_INTEGER;

/// The canonical form.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    match write(value, &mut out) {
        Ok(()) => out,
        Err(Unplain) => serde_json_canonicalizer::to_vec(value)
            .expect("a JSON value has string keys and finite numbers"),
    }
}

/// It holds something whose canonical form is not simple.
struct Unplain;

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Unplain> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if (-MAX_INTEGER..=MAX_INTEGER).contains(&integer) => {
                out.extend_from_slice(integer.to_string().as_bytes());
            }
            Some(_) | None => return Err(Unplain),
        },
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            if !members.iter().all(|(name, _)| name.is_ascii()) {
                return Err(Unplain);
            }
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// RFC 8785, 3.2.2.2: what must be escaped, in its shortest form, and nothing else.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(format!("{byte:04x}").as_bytes());
        }
        written = at + 1;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Number, json};

    use super::*;

    /// Everything that JSON can hold, most of it plain.
    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            ".{0,12}",
            "[ -~]{0,12}",
            proptest::collection::vec(any::<char>(), 0..6)
                .prop_map(|chars| chars.into_iter().collect::<String>()),
            proptest::collection::vec(0_u8..0x80, 0..6)
                .prop_map(|bytes| String::from_utf8(bytes).unwrap()),
        ];
        let number = prop_oneof![
            any::<i64>().prop_map(Number::from),
            (-1000..1000_i64).prop_map(Number::from),
            any::<u64>().prop_map(Number::from),
            any::<f64>().prop_filter_map("finite", Number::from_f64),
        ];
        let name = prop_oneof![9 => "[ -~]{0,3}", 1 => ".{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            number.prop_map(Value::Number),
            text.prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((name.clone(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_the_form_that_the_library_writes(value in any_value()) {
            let library = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(canonical(&value), library);
        }
    }

    #[test]
    fn what_is_plain_is_written_here() {
        let plain =
            json!({"b": [1, -MAX_INTEGER, null, true], "a": {"é": "ü\u{1}\"\\\n\u{7f}"}, "A": ""});
        // The name outside ASCII is the library's.
        assert!(write(&plain, &mut Vec::new()).is_err());
        let plain =
            json!({"b": [1, -MAX_INTEGER, null, true], "a": {"e": "ü\u{1}\"\\\n\u{7f}"}, "A": ""});
        let mut out = Vec::new();
        assert!(write(&plain, &mut out).is_ok());
        let expected = "{\"A\":\"\",\"a\":{\"e\":\"ü\\u0001\\\"\\\\\\n\u{7f}\"},\"b\":[1,-9007199254740991,null,true]}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        for unplain in [json!(1.5), json!(MAX_INTEGER + 1), json!(u64::MAX)] {
            assert!(write(&unplain, &mut Vec::new()).is_err(), "{unplain}");
        }
    }
}
