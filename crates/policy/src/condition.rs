//! What a policy's condition says about the principal, read off its JSON form.
//!
//! Two uses, both over the same idea: assume an answer for every part of a condition that speaks of the
//! principal, and keep the rest.
//! - *assume nobody fits*: a `vote` permit that could still apply lets everybody vote, and is refused;
//! - *assume somebody fits*: what still applies to an operation tells who could vote on it, for words only.
//!
//! It never decides anything about a request.

use serde_json::{Value, json};

/// What is assumed for the parts that speak of the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assume {
    /// They hold.
    SomebodyFits,
    /// They do not.
    NobodyFits,
}

/// A policy in Cedar's JSON form in which the principal has been assumed away.
pub(crate) fn assuming(policy: &Value, assume: Assume) -> Value {
    let mut policy = policy.clone();
    let by_scope = policy
        .pointer("/principal")
        .is_some_and(scope_names_somebody);
    if let Some(principal) = policy.get_mut("principal") {
        *principal = json!({ "op": "All" });
    }
    if let Some(conditions) = policy.get_mut("conditions").and_then(Value::as_array_mut) {
        for condition in conditions.iter_mut() {
            let positive = condition.get("kind") != Some(&json!("unless"));
            if let Some(body) = condition.get_mut("body") {
                *body = assumed(body, assume, positive);
            }
        }
        if by_scope && assume == Assume::NobodyFits {
            conditions.push(json!({ "kind": "when", "body": { "Value": false } }));
        }
    }
    policy
}

/// Whether a policy can never apply once nobody fits: its condition depends on the principal, on every path.
pub(crate) fn depends_on_principal(policy: &Value) -> bool {
    let nobody = assuming(policy, Assume::NobodyFits);
    let conditions = nobody
        .get("conditions")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    conditions.unwrap_or_default().iter().any(|condition| {
        let unless = condition.get("kind") == Some(&json!("unless"));
        condition.get("body").and_then(folded) == Some(unless)
    })
}

pub(crate) fn walk(node: &Value, see: &mut impl FnMut(&Value)) {
    see(node);
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Value::Object(members) => members.values().for_each(|member| walk(member, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn scope_names_somebody(principal: &Value) -> bool {
    // `principal is User` is everybody.
    principal.get("entity").is_some() || principal.get("in").is_some()
}

fn speaks_of_principal(node: &Value) -> bool {
    let mut speaks = false;
    walk(node, &mut |node| {
        speaks |= node.get("Var") == Some(&json!("principal"))
    });
    speaks
}

/// The condition with the principal assumed away. `positive`: under an even number of negations.
fn assumed(node: &Value, assume: Assume, positive: bool) -> Value {
    if !speaks_of_principal(node) {
        return node.clone();
    }
    for operator in ["&&", "||"] {
        if let Some(Value::Object(operands)) = node.get(operator) {
            let mut operands = operands.clone();
            for operand in operands.values_mut() {
                *operand = assumed(operand, assume, positive);
            }
            return json!({ operator: operands });
        }
    }
    if let Some(operand) = node.pointer("/!/arg") {
        return json!({ "!": { "arg": assumed(operand, assume, !positive) } });
    }
    json!({ "Value": (assume == Assume::SomebodyFits) == positive })
}

/// The value of a condition where it is already certain.
fn folded(node: &Value) -> Option<bool> {
    let operand = |operator: &str, name: &str| node.get(operator)?.get(name).and_then(folded);
    if let Some(Value::Bool(value)) = node.get("Value") {
        return Some(*value);
    }
    if node.get("&&").is_some() {
        return match (operand("&&", "left"), operand("&&", "right")) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    if node.get("||").is_some() {
        return match (operand("||", "left"), operand("||", "right")) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
    }
    node.get("!")
        .and_then(|_| operand("!", "arg"))
        .map(|value| !value)
}
