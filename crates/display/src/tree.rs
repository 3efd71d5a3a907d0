//! JSON as lines: every member and item, strings in quotes, nothing folded or left out.
//!
//! It shows a *value*, members in the order of their names: the order in a map depends on how the JSON library
//! was built, and a card has to be the same in every program. Where the spelling of a text matters, the raw
//! bytes stand on the card as well.

use serde_json::{Map, Value};

use crate::document::{Line, Role, Span};
use crate::text::{Lines, wrap};
use crate::visible::{Edges, shown};

/// The lines of a value.
pub(crate) fn tree(value: &Value) -> Lines {
    let mut writer = Writer::default();
    writer.value(0, Vec::new(), value, false);
    writer.all
}

/// The lines of an object's members, without the braces around them.
pub(crate) fn members(value: &Value) -> Lines {
    let Value::Object(members) = value else {
        return tree(value);
    };
    let mut writer = Writer::default();
    for (name, member) in in_order(members) {
        let key = writer.key(name);
        writer.value(0, key, member, false);
    }
    writer.all
}

/// Members in the order of their names, however the map keeps them.
pub(crate) fn in_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

#[derive(Default)]
struct Writer {
    all: Lines,
}

impl Writer {
    fn line(&mut self, indent: u16, spans: Vec<Span>) {
        self.all.lines.extend(wrap(Line { indent, spans }));
    }

    fn key(&mut self, name: &str) -> Vec<Span> {
        let mut spans = self.text(name, Role::Key);
        spans.push(Span::new(Role::Punctuation, ": "));
        spans
    }

    fn text(&mut self, text: &str, role: Role) -> Vec<Span> {
        // As in JSON: a quote inside must not look like the end.
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        let shown = shown(&escaped, role, Edges::Quoted);
        self.all.made_visible += shown.made_visible;
        shown.spans
    }

    fn value(&mut self, indent: u16, mut line: Vec<Span>, value: &Value, more: bool) {
        let punctuation = |text: &str| Span::new(Role::Punctuation, text);
        let end = if more { "," } else { "" };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                line.push(Span::new(Role::Value, value.to_string()));
            }
            Value::String(text) => {
                line.push(punctuation("\""));
                line.extend(self.text(text, Role::Data));
                line.push(punctuation("\""));
            }
            Value::Array(items) if items.is_empty() => line.push(punctuation("[]")),
            Value::Object(members) if members.is_empty() => line.push(punctuation("{}")),
            Value::Array(items) => {
                line.push(punctuation("["));
                line.push(Span::new(
                    Role::Ours,
                    format!(" {}", counted(items.len(), "item")),
                ));
                self.line(indent, line);
                for (at, item) in items.iter().enumerate() {
                    self.value(indent + 1, Vec::new(), item, at + 1 < items.len());
                }
                line = vec![punctuation("]")];
            }
            Value::Object(members) => {
                line.push(punctuation("{"));
                line.push(Span::new(
                    Role::Ours,
                    format!(" {}", counted(members.len(), "member")),
                ));
                self.line(indent, line);
                for (at, (name, member)) in in_order(members).into_iter().enumerate() {
                    let key = self.key(name);
                    self.value(indent + 1, key, member, at + 1 < members.len());
                }
                line = vec![punctuation("}")];
            }
        }
        if !end.is_empty() {
            line.push(punctuation(end));
        }
        self.line(indent, line);
    }
}

/// `1 member`, `6 members`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    if count == 1 {
        format!("1 {thing}")
    } else {
        format!("{count} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_the_order_of_their_names() {
        let value: Value = serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":3}}"#).unwrap();
        let text: Vec<String> = tree(&value).lines.iter().map(Line::plain_text).collect();
        assert_eq!(
            text,
            [
                "{ 2 members",
                "a: { 2 members",
                "c: 3,",
                "d: 2",
                "},",
                "b: 1",
                "}"
            ]
        );
    }

    #[test]
    fn a_value_is_shown_whole() {
        let value = serde_json::json!({
            "amount": 184000, "dry_run": false, "note": "say \"hi\"\nC:\\ \u{202e}", "purge": {}, "to": ["a", null],
        });
        let shown = tree(&value);
        let text: Vec<String> = shown
            .lines
            .iter()
            .map(|line| "  ".repeat(line.indent.into()) + &line.plain_text())
            .collect();
        assert_eq!(
            text,
            [
                "{ 5 members",
                "  amount: 184000,",
                "  dry_run: false,",
                r#"  note: "say \"hi\"⟦U+000A LF⟧C:\\ ⟦U+202E RLO⟧","#,
                "  purge: {},",
                "  to: [ 2 items",
                r#"    "a","#,
                "    null",
                "  ]",
                "}",
            ]
        );
        assert_eq!(shown.made_visible, 2);
    }
}
