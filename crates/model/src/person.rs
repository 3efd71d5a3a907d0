//! Who is one person: by account, or by the claims that configuration names. Specification:
//! `docs/spec/binding.md`, "Persons".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Members, Subject, json as strict};

/// Who is counted: two votes of one person are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// By the provider's own name, which is the same for each of its clients.
    Account(Subject),
    /// By claims that the configuration names, and their values.
    Claims(BTreeMap<String, String>),
    /// An account of a provider whose names differ from client to client: nobody else can be told from it.
    Unknown(Subject),
}

/// The text is no person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a person as Countersign writes one")]
pub struct NotPerson;

impl Person {
    /// Whether two are the same; none where that cannot be established.
    pub fn same(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Account(a), Self::Account(b)) => Some(a == b),
            (Self::Claims(a), Self::Claims(b)) if a == b => Some(true),
            // Some providers fold the case of a mail address, some do not: that is not enough for two people.
            (Self::Claims(a), Self::Claims(b)) if a.keys().eq(b.keys()) && !alike(a, b) => {
                Some(false)
            }
            (Self::Claims(_), Self::Claims(_)) => None,
            (Self::Unknown(a), Self::Unknown(b) | Self::Account(b))
            | (Self::Account(a), Self::Unknown(b)) => (a == b).then_some(true),
            (Self::Claims(_), Self::Account(_) | Self::Unknown(_))
            | (Self::Account(_) | Self::Unknown(_), Self::Claims(_)) => None,
        }
    }

    /// One text for each person, to be stored. It holds personal data.
    pub fn to_text(&self) -> String {
        let value = match self {
            Self::Account(subject) => json!({"account": subject.to_string()}),
            Self::Claims(claims) => {
                let pairs: Vec<_> = claims.iter().map(|(name, value)| [name, value]).collect();
                json!({"claims": pairs})
            }
            Self::Unknown(subject) => json!({"unknown": subject.to_string()}),
        };
        value.to_string()
    }

    /// Reads [`Person::to_text`].
    pub fn parse(text: &str) -> Result<Self, NotPerson> {
        let value =
            strict::parse_foreign(text.as_bytes(), strict::DOCUMENT).map_err(|_| NotPerson)?;
        Self::read(&value).ok_or(NotPerson)
    }

    fn read(value: &Value) -> Option<Self> {
        let mut members = Members::of(value).ok()?;
        let account = members.opt_str("account").ok()?;
        let unknown = members.opt_str("unknown").ok()?;
        let claims = members.opt_value("claims");
        members.finish().ok()?;
        match (account, claims, unknown) {
            (Some(subject), None, None) => Subject::parse(&subject).ok().map(Self::Account),
            (None, None, Some(subject)) => Subject::parse(&subject).ok().map(Self::Unknown),
            (None, Some(Value::Array(pairs)), None) => pairs
                .iter()
                .map(|pair| {
                    let [name, value] = pair.as_array()?.as_slice() else {
                        return None;
                    };
                    Some((name.as_str()?.to_owned(), value.as_str()?.to_owned()))
                })
                .collect::<Option<_>>()
                .map(Self::Claims),
            (_, _, _) => None,
        }
    }
}

/// Whether only the case of letters differs.
fn alike(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    let folded = |claims: &BTreeMap<String, String>| -> Vec<String> {
        claims.values().map(|value| value.to_lowercase()).collect()
    };
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(sub: &str) -> Subject {
        Subject::parse(&format!("https://op.example|{sub}")).unwrap()
    }

    fn claims(pairs: &[(&str, &str)]) -> Person {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Person::Claims(pairs.iter().map(pair).collect())
    }

    #[test]
    fn same_is_said_only_where_it_can_be_told() {
        let (ann, ben) = (
            Person::Account(subject("ann")),
            Person::Account(subject("ben")),
        );
        let (pairwise, other) = (
            Person::Unknown(subject("ann")),
            Person::Unknown(subject("ben")),
        );
        let one = claims(&[("oid", "1")]);
        let cases = [
            (&ann, &ann, Some(true)),
            (&ann, &ben, Some(false)),
            (&pairwise, &pairwise, Some(true)),
            (&pairwise, &other, None),
            (&pairwise, &ann, Some(true)),
            (&pairwise, &ben, None),
            (&one, &one, Some(true)),
            (&one, &claims(&[("oid", "2")]), Some(false)),
            (&one, &claims(&[("email", "1")]), None),
            (
                &claims(&[("email", "Elin@a.example")]),
                &claims(&[("email", "elin@A.example")]),
                None,
            ),
            (&one, &claims(&[("oid", "1"), ("tid", "t")]), None),
            (&one, &ann, None),
            (&one, &pairwise, None),
        ];
        for (one, other, expected) in cases {
            assert_eq!(one.same(other), expected, "{one:?} {other:?}");
            assert_eq!(other.same(one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn each_has_one_text() {
        for person in [
            Person::Account(subject("a|\"b")),
            Person::Unknown(subject("ann")),
            claims(&[("tid", "x"), ("oid", "\u{e9}\n\"")]),
        ] {
            assert_eq!(Person::parse(&person.to_text()), Ok(person));
        }
        for bad in [
            "",
            "{}",
            "{\"account\":\"ann\"}",
            "{\"account\":\"https://op.example|a\",\"unknown\":\"https://op.example|a\"}",
            "{\"claims\":[[\"a\"]]}",
        ] {
            assert_eq!(Person::parse(bad), Err(NotPerson), "{bad}");
        }
    }
}
