//! Rules that hold for every operation.
#![allow(clippy::unwrap_used)]

use countersign_display::{Line, Role, Span, card, count_made_visible, safe_line};
use countersign_model::{Operation, Requirement};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Texts with what hides and what our own plain text is written with.
fn text() -> impl Strategy<Value = String> {
    let odd = proptest::sample::select(vec![
        '\0',
        '\t',
        '\n',
        '\r',
        '\u{1b}',
        ' ',
        ' ',
        '"',
        '\\',
        '/',
        '|',
        '⟦',
        '⟧',
        '↪',
        '×',
        '\u{ad}',
        '\u{301}',
        '\u{336}',
        '\u{200b}',
        '\u{202e}',
        '\u{2066}',
        '\u{2028}',
        '\u{a0}',
        '\u{3000}',
        '\u{fe0f}',
        '\u{e0041}',
        '\u{e000}',
        '\u{378}',
        'а',
        'о',
        'ο',
        'ａ',
        '𝐚',
        'א',
        'م',
        '山',
        'é',
        'e',
        'U',
        '+',
        '1',
        '2',
        '3',
        ':',
    ]);
    let any = any::<char>().prop_filter("noncharacters are no operation", |c| {
        let code = u32::from(*c);
        code & 0xFFFE != 0xFFFE && !(0xFDD0..=0xFDEF).contains(&code)
    });
    proptest::collection::vec(prop_oneof![4 => odd, 1 => any], 0..24).prop_map(String::from_iter)
}

fn operation() -> impl Strategy<Value = Operation> {
    let optional = || proptest::option::of(text());
    (
        (text(), text(), proptest::collection::vec(text(), 0..3)),
        (text(), text(), optional(), optional(), proptest::collection::vec((text(), text()), 0..3)),
        (optional(), optional(), optional()),
        proptest::sample::select(vec!["http", "http", "http", "sql", "command", "tool", "x"]),
    )
        .prop_map(|((name, other, groups), (path, thing, query, body, headers), (why, ticket, service), kind)| {
            let mut call = json!({
                "kind": kind, "title": { "verb": "Do", "thing": thing }, "method": "POST",
                "scheme": "https", "authority": "api.example.com", "path": path,
                "headers": headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            });
            // What the other kinds have; for each of them the rest is shown as it stands.
            call["statement"] = json!(format!("{path} $1 '{thing}' $2"));
            call["parameters"] = json!([[name, other], ["text", null]]);
            call["argv"] = json!([name, other, path]);
            call["env"] = json!([[name, other], [path, { "size": 3, "sha256": thing }]]);
            call["tool"] = json!(name);
            call["arguments"] = json!(json!({ "a": [path, 1] }).to_string());
            put(&mut call, "query", query);
            if let Some(text) = body {
                call["body"] = json!({ "size": text.len(), "sha256": "x", "text": text });
            }
            let mut context = json!({ "pep": "gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" });
            put(&mut context, "justification", why);
            put(&mut context, "ticket", ticket);
            let mut properties = json!({});
            put(&mut properties, "service", service);
            json!({
                "subject": { "type": "user", "id": "https://id.example.com|mara", "properties": {
                    "claims": { "name": name, "other": other, "groups": groups },
                } },
                "action": { "name": "a", "properties": call },
                "resource": { "type": "t", "id": "42", "properties": properties },
                "context": context,
            })
        })
        // The reader refuses an empty justification and the like: those are no operations.
        .prop_filter_map("no operation", |value| Operation::build(value).ok())
}

fn put(object: &mut Value, name: &str, text: Option<String>) {
    if let Some(text) = text {
        object[name] = json!(text);
    }
}

fn requirement() -> Requirement {
    Requirement::from_value(&json!({
        "by": "others", "approvals": 1, "step_up": "none", "match": "none", "fresh_claims_secs": 300,
        "reason": "optional", "notify_buttons": "none", "ttl_secs": 600, "grant_secs": 120,
        "lift": ["/resource/id"],
    }))
    .unwrap()
}

/// Reads a text back from its plain form: what can be read back is never ambiguous.
fn read_back(plain: &str) -> String {
    let mut text = String::new();
    let mut rest = plain;
    while let Some(opens) = rest.find('⟦') {
        text.push_str(&rest[..opens]);
        let closes = opens + rest[opens..].find('⟧').unwrap();
        let chip = &rest[opens + '⟦'.len_utf8()..closes];
        rest = &rest[closes + '⟧'.len_utf8()..];
        let (name, last) = chip.rsplit_once(' ').unwrap_or((chip, ""));
        let code = |chip: &str| {
            let hex = chip.strip_prefix("U+")?.split(' ').next()?;
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        };
        match code(chip) {
            // A chip with a count; a look-alike ends with the letters themselves.
            Some(c) => match last.strip_prefix('×').map(str::parse::<usize>) {
                Some(Ok(count)) => text.extend(std::iter::repeat_n(c, count)),
                _ => text.push(c),
            },
            None => {
                assert!(!name.is_empty(), "{chip}");
                text.push_str(last);
            }
        }
    }
    text.push_str(rest);
    text
}

/// The operation's bytes as they stand in a card's plain text.
fn raw(plain: &str) -> String {
    let (_, lines) = plain.split_once("\nOperation, byte by byte\n").unwrap();
    let joined: String = lines
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap())
        .map(|line| line.strip_prefix("↪ ").unwrap_or(line))
        .collect();
    read_back(&joined)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_line_can_be_read_back_so_no_two_texts_look_the_same(text in text()) {
        prop_assert_eq!(read_back(&safe_line(&text, Role::Data).plain_text()), text);
    }

    #[test]
    fn what_is_drawn_as_data_hides_nothing(text in text()) {
        let line = safe_line(&text, Role::Data);
        let odd = |span: &Span| matches!(span.role, Role::Chip | Role::Confusable) && !span.text.starts_with("U+0020 ");
        let made_visible = line.spans.iter().any(odd);
        prop_assert_eq!(made_visible, count_made_visible(&text) > 0);
        for span in &line.spans {
            prop_assert!(!span.text.is_empty());
            for c in span.text.chars() {
                prop_assert!(!c.is_control() && (c == ' ' || !c.is_whitespace()), "{c:?}");
                prop_assert!(!"⟦⟧↪\u{ad}\u{200b}\u{202e}\u{2066}\u{fe0f}\u{e0041}\u{e000}\u{378}".contains(c), "{c:?}");
            }
        }
    }

    #[test]
    fn the_plain_text_tells_every_operation_from_every_other(operation in operation()) {
        let text = card(&operation, &requirement(), ["amber", "falcon"], "gate").plain_text();
        let bytes = raw(&text);
        prop_assert_eq!(bytes.as_bytes(), operation.bytes());
        // No text from outside comes to stand at the margin, where the headings are.
        let headings: Vec<&str> = text.lines().filter(|line| !line.starts_with("  ")).collect();
        prop_assert_eq!(
            headings,
            ["Request", "What", "Who", "Why, in the requester's own words", "Record", "Operation, byte by byte"]
        );
    }

    #[test]
    fn the_plain_text_tells_requirement_words_and_gate_apart(operation in operation(), approvals in 2..9_u32) {
        let text = |requirement: &Requirement, words, gate| card(&operation, requirement, words, gate).plain_text();
        let base = requirement();
        let same = text(&base, ["amber", "falcon"], "gate");
        prop_assert_eq!(&same, &text(&base, ["amber", "falcon"], "gate"));
        prop_assert_ne!(&same, &text(&Requirement { approvals, ..base.clone() }, ["amber", "falcon"], "gate"));
        prop_assert_ne!(&same, &text(&base, ["amber", "north"], "gate"));
        prop_assert_ne!(&same, &text(&base, ["amber", "falcon"], "gate-2"));
    }

    #[test]
    fn a_statement_can_be_read_back_from_its_lines(statement in text()) {
        // A parameter stands with its value: that is no text of the statement.
        prop_assume!(!statement.contains('$'));
        let value = json!({
            "subject": { "type": "user", "id": "https://id.example.com|mara" },
            "action": { "name": "a", "properties": { "kind": "sql", "statement": statement } },
            "resource": { "type": "t", "id": "42" },
            "context": { "pep": "gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" },
        });
        let Ok(operation) = Operation::build(value) else { return Ok(()) };
        let card = card(&operation, &requirement(), ["amber", "falcon"], "gate");
        let mut lines: Vec<String> = Vec::new();
        for line in card.exhibit.lines.iter().map(Line::plain_text) {
            match (line.strip_prefix("↪ "), lines.last_mut()) {
                (Some(rest), Some(last)) => last.push_str(rest),
                _ => lines.push(line),
            }
        }
        prop_assert_eq!(read_back(&lines.join("\n")), statement);
    }

    #[test]
    fn lines_are_of_bounded_length(operation in operation()) {
        let card = card(&operation, &requirement(), ["amber", "falcon"], "gate");
        let length = |line: &Line| line.spans.iter().map(|span| span.text.chars().count()).sum::<usize>();
        for line in card.exhibit.lines.iter().chain(&card.raw) {
            prop_assert!(length(line) <= 200, "{}", length(line));
        }
    }
}
