//! The one strict JSON reader, and the one canonical form (RFC 8785).
//!
//! JCS over a lenient parser maps different texts to one digest: duplicates, big numbers and `1.0` all vanish
//! without an error. So every signed or hashed document is read here, and what could be read in two ways is
//! refused. It deliberately does not normalize Unicode: bytes are compared, never letters.
//! Specification: `docs/spec/operation.md`, "Strict reading".

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

mod canonical;

/// The largest integer, either way, that every JSON reader keeps exactly: 2^53 − 1.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;
/// The longest member name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Bounds of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The whole text, in bytes.
    pub max_bytes: usize,
    /// How deep arrays and objects may nest; a scalar has depth 0.
    pub max_depth: usize,
}

/// Of an operation, and of everything else that is signed.
pub const OPERATION: Limits = Limits {
    max_bytes: 64 * 1024,
    max_depth: 16,
};
/// Of an evidence file.
pub const DOCUMENT: Limits = Limits {
    max_bytes: 4 * 1024 * 1024,
    max_depth: 24,
};

/// The rule that refused a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Longer than its limit.
    #[error("it is longer than {max_bytes} bytes")]
    TooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It begins with a byte order mark.
    #[error("it begins with a byte order mark")]
    ByteOrderMark,
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Syntax(String),
    /// Nested deeper than its limit.
    #[error("it nests deeper than {max_depth} levels")]
    TooDeep {
        /// The limit.
        max_depth: usize,
    },
    /// A member name twice in one object.
    #[error("the member `{0}` stands twice in one object")]
    DuplicateMember(String),
    /// A member name outside `[A-Za-z0-9_.:/-]{1,128}`.
    #[error("a member name is not 1 to 128 characters of A-Z a-z 0-9 _ . : / -")]
    MemberName,
    /// A number that is not an integer within ±(2^53−1), written plainly.
    #[error("a number is not a plain integer within ±(2^53−1); write it as a string")]
    Number,
    /// A string holds a Unicode noncharacter.
    #[error("a string holds a Unicode noncharacter")]
    Noncharacter,
    /// Good JSON, but not in the canonical form of RFC 8785.
    #[error("it is not in canonical form (RFC 8785)")]
    NotCanonical,
}

impl Refused {
    /// The rule's stable name.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Syntax(_) => "syntax",
            Self::TooDeep { .. } => "too_deep",
            Self::DuplicateMember(_) => "duplicate_member",
            Self::MemberName => "member_name",
            Self::Number => "number",
            Self::Noncharacter => "noncharacter",
            Self::NotCanonical => "not_canonical",
        }
    }
}

/// Reads a text strictly. White space and the order of members are free; see [`parse_canonical`].
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, Refused> {
    read(bytes, limits, Profile::Ours)
}

/// Reads a text strictly that must be the canonical form of what it says.
pub fn parse_canonical(bytes: &[u8], limits: Limits) -> Result<Value, Refused> {
    let value = parse(bytes, limits)?;
    if canonical(&value) == bytes {
        Ok(value)
    } else {
        Err(Refused::NotCanonical)
    }
}

/// Reads what somebody else wrote by their own rules, such as the payload of an OpenID provider's token: any
/// number and any member name, but still no duplicates, no noncharacters, no byte order mark, and within limits.
///
/// What is read so is never hashed again: its numbers may have lost digits.
pub fn parse_foreign(bytes: &[u8], limits: Limits) -> Result<Value, Refused> {
    read(bytes, limits, Profile::Foreign)
}

/// The canonical form (RFC 8785) of a value that [`parse`] gave or [`check`] accepts.
pub fn canonical(value: &Value) -> Vec<u8> {
    canonical::canonical(value)
}

/// Checks a value that was made here against the rules of [`parse`], the size of its canonical form included.
pub fn check(value: &Value, limits: Limits) -> Result<(), Refused> {
    check_value(value, limits, 0)?;
    // Most values are far from the limit, and need not be written out to know it.
    if most_bytes(value) > limits.max_bytes && canonical(value).len() > limits.max_bytes {
        return Err(Refused::TooLong {
            max_bytes: limits.max_bytes,
        });
    }
    Ok(())
}

/// No fewer bytes than the canonical form of a checked value has: an integer has at most 16 digits and a sign, a
/// character is written in at most six times its bytes (`\u001f`), a name as it is.
fn most_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 17,
        Value::String(text) => 2 + 6 * text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + most_bytes(item)).sum::<usize>(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| 4 + name.len() + most_bytes(value);
            2 + members.iter().map(member).sum::<usize>()
        }
    }
}

fn check_value(value: &Value, limits: Limits, depth: usize) -> Result<(), Refused> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => check_integer(integer),
            None => Err(Refused::Number),
        },
        Value::String(text) => check_text(text),
        Value::Array(items) => {
            check_depth(depth + 1, limits)?;
            items
                .iter()
                .try_for_each(|item| check_value(item, limits, depth + 1))
        }
        Value::Object(members) => {
            check_depth(depth + 1, limits)?;
            members.iter().try_for_each(|(name, member)| {
                check_name(name)?;
                check_value(member, limits, depth + 1)
            })
        }
    }
}

fn check_integer(integer: i64) -> Result<(), Refused> {
    if (-MAX_INTEGER..=MAX_INTEGER).contains(&integer) {
        Ok(())
    } else {
        Err(Refused::Number)
    }
}

fn check_depth(depth: usize, limits: Limits) -> Result<(), Refused> {
    if depth > limits.max_depth {
        Err(Refused::TooDeep {
            max_depth: limits.max_depth,
        })
    } else {
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), Refused> {
    let noncharacter = |c: char| {
        let code = u32::from(c);
        (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    // ASCII has none.
    if !text.is_ascii() && text.chars().any(noncharacter) {
        Err(Refused::Noncharacter)
    } else {
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    if fits_name(name) {
        Ok(())
    } else {
        Err(Refused::MemberName)
    }
}

/// Whether a text is 1 to 128 characters of `[A-Za-z0-9_.:/-]`.
pub(crate) fn fits_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'-');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(fits)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Ours,
    Foreign,
}

fn read(bytes: &[u8], limits: Limits, profile: Profile) -> Result<Value, Refused> {
    if bytes.len() > limits.max_bytes {
        return Err(Refused::TooLong {
            max_bytes: limits.max_bytes,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(Refused::ByteOrderMark);
    }
    // serde's errors are text; the rule that refused travels beside them.
    let refused = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Seed {
        limits,
        profile,
        depth: 0,
        refused: &refused,
    };
    let result = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    result.map_err(|error| {
        refused
            .take()
            .unwrap_or_else(|| Refused::Syntax(error.to_string()))
    })
}

/// Builds a value while checking each rule at the place where it could be broken.
#[derive(Clone, Copy)]
struct Seed<'a> {
    limits: Limits,
    profile: Profile,
    depth: usize,
    refused: &'a Cell<Option<Refused>>,
}

impl Seed<'_> {
    fn rule<T, E: serde::de::Error>(&self, result: Result<T, Refused>) -> Result<T, E> {
        result.map_err(|refused| {
            let error = E::custom(&refused);
            self.refused.set(Some(refused));
            error
        })
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        self.rule(check_depth(depth, self.limits))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if self.profile == Profile::Ours {
            self.rule(check_integer(value))?;
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if self.profile == Profile::Ours {
            self.rule(
                i64::try_from(value)
                    .map_err(|_| Refused::Number)
                    .and_then(check_integer),
            )?;
        }
        Ok(Value::Number(value.into()))
    }

    /// `1.0`, `1e2`, `-0` and integers that do not fit 64 bits all arrive here.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = match self.profile {
            Profile::Ours => None,
            Profile::Foreign => Number::from_f64(value),
        };
        self.rule(number.map(Value::Number).ok_or(Refused::Number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.rule(check_text(value))?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            match self.profile {
                Profile::Ours => self.rule(check_name(&name))?,
                Profile::Foreign => self.rule(check_text(&name))?,
            }
            if members.contains_key(&name) {
                return self.rule(Err(Refused::DuplicateMember(name)));
            }
            let member = access.next_value_seed(inner)?;
            members.insert(name, member);
        }
        Ok(Value::Object(members))
    }
}
