//! An outcome as one line that people review: `allow`, `deny`, `deny by no-purge`, `approve{approvals: 2, ttl: 10m}`,
//! `challenge{scope: orders:export}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use countersign_gate_http::challenge::Challenge;
use countersign_model::PolicyAnswer;
use countersign_policy::Explanation;

/// What comes of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Allow,
    /// By these forbids; by none, where nothing permits it.
    Deny(BTreeSet<String>),
    /// What differs from a plain approval by one.
    Approve(BTreeMap<String, String>),
    /// What another token must have.
    Challenge(BTreeMap<String, String>),
}

impl Outcome {
    pub(super) fn of(explanation: &Explanation, challenge: Option<&Challenge>) -> Self {
        match (&explanation.answer, challenge) {
            (PolicyAnswer::Deny { .. }, _) => {
                let ids = explanation.applies.iter().map(|rule| rule.id.clone());
                Self::Deny(ids.collect())
            }
            (PolicyAnswer::Allow | PolicyAnswer::Approve(_), Some(challenge)) => {
                Self::Challenge(of_challenge(explanation, challenge))
            }
            (PolicyAnswer::Allow, None) => Self::Allow,
            (PolicyAnswer::Approve(_), None) => Self::Approve(
                explanation
                    .asks
                    .iter()
                    .filter(|one| !one.is_default && !one.name.starts_with("token_"))
                    .map(|one| (one.name.to_owned(), quotable(&one.value)))
                    .collect(),
            ),
        }
    }

    /// Whether this is what the file says. `deny` alone leaves open by which rule.
    pub(super) fn is_as(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Deny(_), Self::Deny(rules)) if rules.is_empty() => true,
            (found, expected) => found == expected,
        }
    }

    /// Reads one. The error says how they are written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no outcome: write `allow`, `deny`, `deny by RULE`, `approve{{approvals: 2, ttl: 10m}}` or \
                 `challenge{{scope: orders:export}}`"
            )
        };
        let text = text.trim();
        if let Some(rules) = text.strip_prefix("deny by ") {
            return Ok(Self::Deny(
                rules.split(',').map(|id| id.trim().to_owned()).collect(),
            ));
        }
        match text {
            "allow" => return Ok(Self::Allow),
            "deny" => return Ok(Self::Deny(BTreeSet::new())),
            _ => {}
        }
        let (word, members) = match text.split_once('{') {
            None => (text, Some(BTreeMap::new())),
            Some((word, rest)) => (word, rest.strip_suffix('}').and_then(members)),
        };
        match (word, members) {
            ("approve", Some(mut members)) => {
                // One is what an approval is unless a rule says otherwise.
                members.retain(|name, value| (name.as_str(), value.as_str()) != ("approvals", "1"));
                Ok(Self::Approve(members))
            }
            ("challenge", Some(members)) if !members.is_empty() => Ok(Self::Challenge(members)),
            _ => Err(wrong()),
        }
    }
}

/// All that the operation needs of a token, and what is missing first.
fn of_challenge(explanation: &Explanation, challenge: &Challenge) -> BTreeMap<String, String> {
    let mut members: BTreeMap<String, String> = explanation
        .asks
        .iter()
        .filter_map(|one| {
            Some((
                one.name.strip_prefix("token_")?.to_owned(),
                quotable(&one.value),
            ))
        })
        .collect();
    members.insert("error".to_owned(), challenge.lacks.error().to_owned());
    members
}

/// A quote cannot stand in a quoted value.
fn quotable(value: &str) -> String {
    value.replace('"', "'")
}

/// `name: value, name: "a value, with a comma"`.
fn members(text: &str) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once(':')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
            Some(quoted) => {
                let end = quoted.find('"')?;
                (quoted[..end].to_owned(), quoted[end + 1..].trim_start())
            }
        };
        if value.is_empty() || members.insert(name.trim().to_owned(), value).is_some() {
            return None;
        }
        rest = match after.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => more.trim_start(),
            Some(_) => return None,
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(members)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let braced =
            |f: &mut fmt::Formatter<'_>, word: &str, members: &BTreeMap<String, String>| {
                f.write_str(word)?;
                if members.is_empty() {
                    return Ok(());
                }
                let member = |(name, value): (&String, &String)| {
                    if value.contains([',', '}', ' ']) {
                        format!("{name}: \"{value}\"")
                    } else {
                        format!("{name}: {value}")
                    }
                };
                let members: Vec<String> = members.iter().map(member).collect();
                write!(f, "{{{}}}", members.join(", "))
            };
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Deny(rules) if rules.is_empty() => f.write_str("deny"),
            Self::Deny(rules) => {
                let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
                write!(f, "deny by {}", rules.join(", "))
            }
            Self::Approve(members) => braced(f, "approve", members),
            Self::Challenge(members) => braced(f, "challenge", members),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_is_written() {
        for text in [
            "allow",
            "deny",
            "deny by a, b",
            "approve",
            "approve{approvals: 2}",
            "approve{scope: approve:orders.delete, stages: \"lead:1, security:2\", step_up: oidc}",
            "challenge{error: insufficient_scope, scope: orders:export}",
        ] {
            assert_eq!(Outcome::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Outcome::parse("approve{approvals: 1}"),
            Outcome::parse("approve")
        );
        assert_eq!(
            Outcome::parse("approve{ttl: 10m,approvals:2}").unwrap(),
            Outcome::parse("approve{approvals: 2, ttl: 10m}").unwrap()
        );
    }

    #[test]
    fn anything_else_is_no_outcome() {
        for text in [
            "",
            "alow",
            "approve{",
            "approve{approvals}",
            "approve{approvals: }",
            "approve{approvals: 2,}",
            "approve{approvals: 2, approvals: 3}",
            "approve{irreversible: \"Gone}",
            "approve{irreversible: \"Gone\" or not}",
            "challenge",
            "allow{approvals: 2}",
        ] {
            assert!(Outcome::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plain_deny_leaves_open_by_which_rule() {
        let [plain, by, other] =
            ["deny", "deny by no-purge", "deny by x"].map(|text| Outcome::parse(text).unwrap());
        assert!(by.is_as(&plain) && plain.is_as(&plain) && by.is_as(&by));
        assert!(!plain.is_as(&by) && !other.is_as(&by) && !Outcome::Allow.is_as(&plain));
    }
}
