//! What a policy's condition mentions, read off its JSON form: names that must be right for the policy to mean
//! what it says, and the tests that decide early whether it can apply at all.
//!
//! A misspelt name makes a forbid silent, which Cedar cannot see: to it every string is as good as another.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::condition::walk;

/// What one policy mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Groups, as they stand there: `<issuer>#<name>`, if they are right.
    pub(crate) groups: BTreeSet<String>,
    /// People, as they stand there: `<issuer>|<subject>`, if they are right.
    pub(crate) people: BTreeSet<String>,
    /// Issuers that are compared with somebody's.
    pub(crate) issuers: BTreeSet<String>,
    /// Claims of the principal, by attribute or tag.
    pub(crate) claims: BTreeSet<String>,
    /// Actions that stand there as entities, in its conditions.
    pub(crate) action_literals: BTreeSet<String>,
    /// Actions that a rule about votes compares the operation's with.
    pub(crate) actions: BTreeSet<String>,
    /// The same by a pattern.
    pub(crate) action_patterns: Vec<Vec<Piece>>,
    /// Types of resources.
    pub(crate) resource_types: BTreeSet<String>,
    /// Entities other than people and actions: the requests name none, so nothing ever equals one.
    pub(crate) strangers: Vec<String>,
    /// The size of a call's body, or the call as a whole, of which the size is a part.
    pub(crate) body_size: bool,
}

/// A piece of a `like` pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// `*`.
    Anything,
    /// This very text.
    Text(String),
}

/// What the policy mentions, in its scope and in its conditions.
pub(crate) fn mentions(policy: &Value) -> Mentions {
    let mut found = Mentions::default();
    let scope = ["/principal/entity", "/principal/in/entity"];
    for entity in scope.iter().filter_map(|at| policy.pointer(at)) {
        entity_literal(entity, &mut found);
    }
    // How often the call stands there, and how often only one attribute of it is looked at.
    let (mut calls, mut attributes) = (0_usize, 0_usize);
    walk(
        policy.get("conditions").unwrap_or(&Value::Null),
        &mut |node| {
            calls += usize::from(variable(Some(node)) == Some("context"));
            if let Some(entity) = node.pointer("/Value/__entity") {
                entity_literal(entity, &mut found);
            }
            for operator in ["==", "!=", "contains", "containsAny", "containsAll"] {
                if let Some(operands) = node.get(operator) {
                    let side = |name: &str| operands.get(name).unwrap_or(&Value::Null);
                    for (one, other) in [("left", "right"), ("right", "left")] {
                        compared(side(one), side(other), &mut found);
                    }
                }
            }
            if let Some(like) = node.get("like")
                && attribute(like.get("left")) == Some(("resource", "action"))
            {
                found.action_patterns.push(pieces(like.get("pattern")));
            }
            for operator in [".", "has"] {
                if let Some(access) = node.get(operator) {
                    let name = access.get("attr").and_then(Value::as_str);
                    if variable(access.get("left")) == Some("principal") {
                        found.claims.extend(name.map(str::to_owned));
                    }
                    attributes += usize::from(variable(access.get("left")) == Some("context"));
                    found.body_size |= name == Some("body_bytes");
                }
            }
            for operator in ["hasTag", "getTag"] {
                if let Some(access) = node.get(operator)
                    && variable(access.get("left")) == Some("principal")
                {
                    let name = access.pointer("/right/Value").and_then(Value::as_str);
                    found.claims.extend(name.map(str::to_owned));
                }
            }
        },
    );
    found.body_size |= calls != attributes;
    found
}

fn entity_literal(entity: &Value, found: &mut Mentions) {
    let text = |name: &str| entity.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "User" => {
            found.people.insert(text("id").to_owned());
        }
        "Action" => {
            found.action_literals.insert(text("id").to_owned());
        }
        other => found.strangers.push(format!("{other}::\"{}\"", text("id"))),
    }
}

fn compared(attribute_side: &Value, literals: &Value, found: &mut Mentions) {
    let into = match attribute(Some(attribute_side)) {
        Some(("principal", "groups")) => &mut found.groups,
        Some(("principal", "act")) => &mut found.people,
        Some(("principal", "iss") | ("resource", "requester_iss")) => &mut found.issuers,
        Some(("resource", "action")) => &mut found.actions,
        Some(("resource", "type" | "resource_type")) => &mut found.resource_types,
        _ => return,
    };
    walk(literals, &mut |node| {
        if let Some(Value::String(text)) = node.get("Value") {
            into.insert(text.clone());
        }
    });
}

/// `principal.groups` as ("principal", "groups").
fn attribute(node: Option<&Value>) -> Option<(&str, &str)> {
    let access = node?.get(".")?;
    Some((
        variable(access.get("left"))?,
        access.get("attr").and_then(Value::as_str)?,
    ))
}

fn variable(node: Option<&Value>) -> Option<&str> {
    node?.get("Var")?.as_str()
}

fn pieces(pattern: Option<&Value>) -> Vec<Piece> {
    let pieces = pattern.and_then(Value::as_array).into_iter().flatten();
    pieces
        .map(|piece| match piece.get("Literal").and_then(Value::as_str) {
            Some(text) => Piece::Text(text.to_owned()),
            None => Piece::Anything,
        })
        .collect()
}

/// Whether a text fits a pattern.
pub(crate) fn fits(pattern: &[Piece], text: &str) -> bool {
    match pattern {
        [] => text.is_empty(),
        [Piece::Text(start), rest @ ..] => text
            .strip_prefix(start.as_str())
            .is_some_and(|text| fits(rest, text)),
        [Piece::Anything, rest @ ..] => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| fits(rest, &text[at..]))
        }
    }
}

/// The only values of `resource.<attr>` with which a policy can apply, where its condition begins by saying so.
///
/// Only tests that come before anything that could fail to evaluate count: a rule that fails has to be seen, since
/// it denies.
pub(crate) fn only_with(policy: &Value, attr: &str) -> Option<BTreeSet<String>> {
    let conditions = policy.get("conditions").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        let body = condition.get("body")?;
        if condition.get("kind").and_then(Value::as_str) == Some("when") {
            let mut conjuncts = Vec::new();
            flatten(body, &mut conjuncts);
            for conjunct in conjuncts {
                if let Some(values) = values(conjunct, attr) {
                    return Some(values);
                }
                if !is_total(conjunct) {
                    return None;
                }
            }
        } else if !is_total(body) {
            return None;
        }
    }
    None
}

fn flatten<'a>(node: &'a Value, conjuncts: &mut Vec<&'a Value>) {
    match node.get("&&") {
        Some(both) => {
            for side in ["left", "right"] {
                flatten(both.get(side).unwrap_or(&Value::Null), conjuncts);
            }
        }
        None => conjuncts.push(node),
    }
}

/// `resource.type == "x"`, `["x", "y"].contains(resource.type)`, or one of them or another.
fn values(node: &Value, attr: &str) -> Option<BTreeSet<String>> {
    let is_it = |node: &Value| attribute(Some(node)) == Some(("resource", attr));
    let text = |node: &Value| node.get("Value").and_then(Value::as_str).map(str::to_owned);
    if let Some(both) = node.get("==") {
        let (left, right) = (both.get("left")?, both.get("right")?);
        let literal = if is_it(left) {
            text(right)
        } else if is_it(right) {
            text(left)
        } else {
            None
        };
        return literal.map(|literal| [literal].into());
    }
    if let Some(both) = node.get("contains") {
        let literals = both.get("left")?.get("Set")?.as_array()?;
        return is_it(both.get("right")?)
            .then(|| literals.iter().map(text).collect())
            .flatten();
    }
    let either = node.get("||")?;
    let mut all = values(either.get("left")?, attr)?;
    all.extend(values(either.get("right")?, attr)?);
    Some(all)
}

/// Whether a part of a condition that is strictly valid evaluates without an error, whatever it is asked about.
/// Arithmetic overflows; an entity that is named may not be there; functions of extensions fail.
fn is_total(node: &Value) -> bool {
    let Value::Object(members) = node else {
        return false;
    };
    let (Some((operator, operands)), 1) = (members.iter().next(), members.len()) else {
        return false;
    };
    let sides = |names: &[&str]| {
        names
            .iter()
            .all(|name| operands.get(*name).is_some_and(is_total))
    };
    match operator.as_str() {
        "Value" => !operands.is_object(),
        "Var" => true,
        "." | "has" | "like" => sides(&["left"]),
        "!" | "isEmpty" => sides(&["arg"]),
        "==" | "!=" | "<" | "<=" | ">" | ">=" | "&&" | "||" | "contains" | "containsAny"
        | "containsAll" | "hasTag" | "getTag" => sides(&["left", "right"]),
        "if-then-else" => sides(&["if", "then", "else"]),
        "Set" => operands
            .as_array()
            .is_some_and(|items| items.iter().all(is_total)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(condition: &str) -> Value {
        let text = format!("permit (principal, action, resource) {condition};");
        text.parse::<cedar_policy::Policy>()
            .unwrap()
            .to_json()
            .unwrap()
    }

    #[test]
    fn a_policy_applies_only_with_the_values_that_it_begins_with() {
        for (condition, expected) in [
            (r#"when { resource.type == "x" }"#, Some(vec!["x"])),
            (r#"when { "x" == resource.type }"#, Some(vec!["x"])),
            (
                r#"when { ["x", "y"].contains(resource.type) && principal.sub == "m" }"#,
                Some(vec!["x", "y"]),
            ),
            (
                r#"when { resource.type == "x" || resource.type == "y" }"#,
                Some(vec!["x", "y"]),
            ),
            (
                r#"unless { context has ticket } when { principal.groups.contains("g") && resource.type == "x" }"#,
                Some(vec!["x"]),
            ),
            (r#"when { resource.type != "x" }"#, None),
            (r#"unless { resource.type == "x" }"#, None),
            (r#"when { !(resource.type == "x") }"#, None),
            (
                r#"when { resource.type == "x" || principal.sub == "m" }"#,
                None,
            ),
            (r#"when { resource.id == "x" }"#, None),
            (r#"when { principal.type == "x" }"#, None),
            (r#"when { resource.type == principal.sub }"#, None),
            (
                r#"when { ["x", principal.sub].contains(resource.type) }"#,
                None,
            ),
            // What may fail comes first: it has to be seen.
            (
                r#"when { context.body_bytes * 2 > 1 && resource.type == "x" }"#,
                None,
            ),
            (
                r#"unless { User::"a".sub == "b" } when { resource.type == "x" }"#,
                None,
            ),
            (
                r#"when { [1, context.body_bytes * 2].contains(1) && resource.type == "x" }"#,
                None,
            ),
            (
                r#"when { decimal("1.0") == decimal("1.0") } when { resource.type == "x" }"#,
                None,
            ),
            ("", None),
        ] {
            let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect());
            assert_eq!(only_with(&form(condition), "type"), expected, "{condition}");
        }
    }

    #[test]
    fn a_look_at_the_bodys_size_is_found_however_it_is_written() {
        for (condition, looks) in [
            (
                "when { context has body_bytes && context.body_bytes > 1 }",
                true,
            ),
            ("when { context has body_bytes }", true),
            (r#"unless { context has "body\u{5f}bytes" }"#, true),
            (
                r#"when { context has "body_bytes" && context["body\u{5f}bytes"] > 1 }"#,
                true,
            ),
            (r#"when { context == {"pep": "g"} }"#, true),
            (
                r#"when { (if principal.sub == "m" then context else context) has pep }"#,
                true,
            ),
            (
                r#"when { context.pep == "body_bytes" && context has ticket }"#,
                false,
            ),
            ("", false),
        ] {
            assert_eq!(mentions(&form(condition)).body_size, looks, "{condition}");
        }
    }

    #[test]
    fn what_a_policy_mentions_is_found_wherever_it_stands() {
        let found = mentions(&form(
            r#"when { principal.groups.contains("a#1") || ["b#2"].containsAny(principal.groups)
                 || principal.act.containsAll(["c|3"]) || principal == User::"d|4" }
               unless { principal.iss == "e" && "f" != resource.requester_iss && resource == Resource::"g" }
               when { ["h"].contains(resource.action) || resource.action like "i.*" || resource.resource_type == "j" }
               when { action == Action::"n" || action in [Action::"o"] }
               when { principal has email && principal.hasTag("k") && principal.getTag("l") == "m" }"#,
        ));
        let set = |all: &[&str]| {
            all.iter()
                .map(|one| (*one).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(found.groups, set(&["a#1", "b#2"]));
        assert_eq!(found.people, set(&["c|3", "d|4"]));
        assert_eq!(found.issuers, set(&["e", "f"]));
        assert_eq!(found.strangers, [r#"Resource::"g""#]);
        assert_eq!(found.actions, set(&["h"]));
        assert_eq!(found.action_literals, set(&["n", "o"]));
        assert_eq!(found.action_patterns.len(), 1);
        assert_eq!(found.resource_types, set(&["j"]));
        assert_eq!(
            found.claims,
            set(&["groups", "act", "iss", "email", "k", "l"])
        );
    }

    #[test]
    fn a_pattern_fits_as_cedar_reads_it() {
        for (pattern, text, expected) in [
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*c", "abc", true),
            ("a*c", "abcb", false),
            ("*", "", true),
            ("ä*b*", "äbäb", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
        ] {
            let form = form(&format!("when {{ resource.action like \"{pattern}\" }}"));
            let pattern = &mentions(&form).action_patterns[0];
            assert_eq!(fits(pattern, text), expected, "{pattern:?} {text}");
        }
    }
}
