//! Who asks, as the provider vouches for it, and in which words the requester asks.

use countersign_model::Operation;
use serde_json::Value;

use crate::document::{Field, Identity, Line, Role};
use crate::sentence::{requester, stated_name};
use crate::text::{Numbers, lines, wrap};
use crate::tree::tree;
use crate::visible::safe_line;

/// Claims that always have a place on the card, stated or not.
const ALWAYS: [&str; 6] = ["email", "groups", "auth_time", "amr", "acr", "client_id"];
/// Members of `subject.properties` beside the claims, in the same place.
const BESIDE: [&str; 3] = ["device", "location", "act"];

/// The identity block.
pub(crate) fn identity(operation: &Operation, gate: &str) -> Identity {
    let mut claims: Vec<Field> = Vec::new();
    for name in ALWAYS {
        claims.push(Field::new(
            name,
            operation
                .claims()
                .get(name)
                .map_or_else(Vec::new, |value| claim(name, value)),
        ));
    }
    for name in BESIDE {
        let value = operation
            .value()
            .pointer(&format!("/subject/properties/{name}"));
        let stated = match (name, value) {
            ("act", Some(_)) => actors(operation),
            (_, Some(value)) => claim(name, value),
            (_, None) => Vec::new(),
        };
        claims.push(Field::new(name, stated));
    }
    if let Some(all) = operation.claims().as_object() {
        for (name, value) in all {
            let is_the_name = name == "name" && value.as_str() == Some(stated_name(operation));
            if !ALWAYS.contains(&name.as_str()) && !is_the_name {
                claims.push(Field::new(name, claim(name, value)));
            }
        }
    }
    Identity {
        issuer: safe_line(operation.subject().iss.as_str(), Role::Data),
        according_to: safe_line(gate, Role::Name),
        name: requester(operation),
        sub: safe_line(&operation.subject().sub, Role::Data),
        claims,
    }
}

/// The requester's own words, and what the client says.
pub(crate) fn why(operation: &Operation) -> (Vec<Field>, u32) {
    let words = operation
        .justification()
        .map(|text| lines(text, Role::Data, Numbers::Hidden))
        .unwrap_or_default();
    let ticket = operation
        .ticket()
        .map(|text| wrap(safe_line(text, Role::Data)))
        .unwrap_or_default();
    (
        vec![
            Field::new("justification", words.lines),
            Field::new("ticket", ticket),
        ],
        words.made_visible,
    )
}

fn actors(operation: &Operation) -> Vec<Line> {
    operation
        .act_chain()
        .iter()
        .map(|actor| safe_line(&actor.to_string(), Role::Data))
        .collect()
}

/// A claim's lines: a list one item a line, a time as UTC, everything else as it is.
fn claim(name: &str, value: &Value) -> Vec<Line> {
    match value {
        Value::String(text) if text.is_empty() => vec![Line::ours("(empty)")],
        Value::String(text) => wrap(safe_line(text, Role::Data)),
        Value::Array(items) if items.is_empty() => vec![Line::ours("(none)")],
        Value::Array(items) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .flat_map(|item| wrap(safe_line(item, Role::Data)))
            .collect(),
        Value::Number(number) if name.ends_with("_time") || name.ends_with("_at") => {
            let time = number.as_i64().and_then(utc);
            vec![safe_line(
                &time.unwrap_or_else(|| number.to_string()),
                Role::Data,
            )]
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            tree(value).lines
        }
    }
}

/// `2026-11-22 06:50:11 UTC`, for years that people write with four digits.
pub(crate) fn utc(secs: i64) -> Option<String> {
    if !(0..=253_402_300_799).contains(&secs) {
        return None;
    }
    let (days, in_day) = (secs / 86_400, secs % 86_400);
    // Days to civil, after Howard Hinnant: years begin in March, eras have 400 of them.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (in_day / 3_600, in_day / 60 % 60, in_day % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (secs, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_330_211, "2026-11-22 06:50:11 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(secs).as_deref(), Some(expected));
        }
        assert_eq!(utc(-1), None);
        assert_eq!(utc(253_402_300_800), None);
    }
}
