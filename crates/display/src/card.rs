//! The card of one request, and its plain text.
//!
//! [`Card::plain_text`] is what a vote's `display.sha256` covers: the untranslated English text, the same on
//! every machine. Its lines are indented under headings that stand at the margin, text from outside holds no
//! line break, and the operation's bytes stand in it whole: so no two operations have the same plain text,
//! even where their digests were not looked at.

use countersign_model::{Operation, Requirement, json};
use serde_json::Value;

use crate::document::{Exhibit, Field, Identity, Kind, Line, Party, Role};
use crate::exhibit::exhibit;
use crate::record::record;
use crate::sentence::{kind, sentence};
use crate::text::wrap;
use crate::tree::tree;
use crate::visible::{count_made_visible, safe_line};
use crate::who::{identity, why};

/// The name of this rendering: a vote says by which one its card was made.
pub const RENDERER: &str = "countersign-display/1";

/// One request as an approver sees it: everything that follows from the operation, the requirement and the
/// matching words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What kind of thing is asked.
    pub kind: Kind,
    /// The gate that asks.
    pub gate: Line,
    /// The sentence: who asks to verb from thing in resource.
    pub sentence: Line,
    /// The policy's words about undoing.
    pub stamp: Option<Line>,
    /// Fields lifted to the head by the policy.
    pub lifted: Vec<Field>,
    /// How many characters of the operation were made visible, each counted once.
    pub made_visible: u32,
    /// The operation.
    pub exhibit: Exhibit,
    /// Who asks, as the provider vouches.
    pub who: Identity,
    /// The requester's own words: nobody has checked them.
    pub why: Vec<Field>,
    /// Digests, requirement.
    pub record: Vec<Field>,
    /// The operation's bytes as text, made visible.
    pub raw: Vec<Line>,
    /// The two matching words.
    pub words: [String; 2],
    /// The requirement in its canonical form.
    requirement: Line,
}

/// The card of an operation. `gate` is the name of the gate that asks, `words` are the request's.
pub fn card(
    operation: &Operation,
    requirement: &Requirement,
    words: [&str; 2],
    gate: &str,
) -> Card {
    let (exhibit, apart) = exhibit(operation);
    let (why, justification_made_visible) = why(operation);
    let mut made_visible = Count {
        apart: apart.as_ref().map(|apart| apart.pointer),
        sum: 0,
    };
    made_visible.add("", operation.value());
    let made_visible = made_visible.sum
        + apart.map_or(0, |apart| apart.made_visible)
        + justification_made_visible
        + count_made_visible(gate);
    let requirement_bytes = json::canonical(&requirement.to_value());
    Card {
        kind: kind(operation),
        gate: safe_line(gate, Role::Name),
        sentence: sentence(operation),
        stamp: requirement
            .irreversible
            .as_deref()
            .map(|words| safe_line(words, Role::Data)),
        lifted: requirement
            .lift
            .iter()
            .map(|pointer| lifted(operation, pointer))
            .collect(),
        made_visible,
        exhibit,
        who: identity(operation, gate),
        why,
        record: record(operation, requirement, gate),
        raw: raw(operation.bytes()),
        words: words.map(str::to_owned),
        requirement: safe_line(&String::from_utf8_lossy(&requirement_bytes), Role::Data),
    }
}

/// A field that the policy wants at the card's head, named by the last step of its pointer.
fn lifted(operation: &Operation, pointer: &str) -> Field {
    let label: String = pointer
        .rsplit('/')
        .next()
        .unwrap_or(pointer)
        .chars()
        .filter(char::is_ascii_graphic)
        .collect();
    let lines = match operation.value().pointer(pointer) {
        None => Vec::new(),
        Some(Value::String(text)) => wrap(safe_line(text, Role::Value)),
        Some(value) => tree(value).lines,
    };
    Field::new(&label, lines)
}

/// The bytes of an operation, or any canonical JSON, as text.
fn raw(bytes: &[u8]) -> Vec<Line> {
    wrap(safe_line(&String::from_utf8_lossy(bytes), Role::Data))
}

/// Counts over every string of the operation, but for those that are shown as several lines, and so have
/// been counted without their line breaks.
struct Count {
    apart: Option<&'static str>,
    sum: u32,
}

impl Count {
    fn add(&mut self, path: &str, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(_) if path == "/context/justification" => {}
            Value::String(_) if Some(path) == self.apart => {}
            Value::String(text) => self.sum += count_made_visible(text),
            Value::Array(items) => items.iter().for_each(|item| self.add("/", item)),
            Value::Object(members) => {
                for (name, member) in members {
                    self.add(&format!("{path}/{name}"), member);
                }
            }
        }
    }
}

impl Card {
    /// The card as text, for the digest in a vote and for terminals.
    pub fn plain_text(&self) -> String {
        let Self {
            kind: _, // In the raw bytes.
            gate: _, // In the record.
            sentence,
            stamp,
            lifted,
            made_visible,
            exhibit,
            who,
            why,
            record,
            raw,
            words,
            requirement,
        } = self;
        let mut text = Text::default();
        text.heading("Request");
        text.line(1, sentence);
        text.maybe(stamp.as_ref());
        text.fields(1, lifted, "not in this operation");
        if *made_visible > 0 {
            text.line(
                1,
                &Line::ours(format!("{made_visible} characters hide or look alike")),
            );
        }
        text.heading("What");
        text.line(1, &exhibit.title);
        for line in &exhibit.lines {
            text.line(2, line);
        }
        text.fields(1, &exhibit.details, "none");
        text.heading("Who");
        if who.party == Party::Workload {
            text.line(1, &Line::ours("a workload, not a person"));
        }
        text.labeled("vouched for by", &who.issuer);
        text.labeled("according to", &who.according_to);
        text.labeled("name", &who.name);
        text.labeled("subject", &who.sub);
        text.fields(1, &who.claims, "not stated by the provider");
        if !who.reported.is_empty() {
            text.heading("Who, as the gate says by itself");
            text.fields(1, &who.reported, "none");
        }
        text.heading("Why, in the requester's own words");
        text.fields(1, why, "none given");
        text.heading("Record");
        text.fields(1, record, "none");
        text.labeled("matching words", &Line::ours(words.join(" ")));
        text.labeled("requirement, exactly", requirement);
        text.heading("Operation, byte by byte");
        for line in raw {
            text.line(1, line);
        }
        text.0
    }
}

/// Plain text in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    fn heading(&mut self, heading: &str) {
        self.0.push_str(heading);
        self.0.push('\n');
    }

    fn line(&mut self, depth: usize, line: &Line) {
        self.0
            .push_str(&"  ".repeat(depth + usize::from(line.indent)));
        line.write_plain(&mut self.0);
        self.0.push('\n');
    }

    fn maybe(&mut self, line: Option<&Line>) {
        if let Some(line) = line {
            self.line(1, line);
        }
    }

    fn labeled(&mut self, label: &str, line: &Line) {
        self.0.push_str("  ");
        self.0.push_str(label);
        self.0.push_str(": ");
        line.write_plain(&mut self.0);
        self.0.push('\n');
    }

    fn fields(&mut self, depth: usize, fields: &[Field], when_missing: &str) {
        for Field { label, lines } in fields {
            match lines.as_slice() {
                [] => self.labeled(label, &Line::ours(format!("({when_missing})"))),
                [line] if line.indent == 0 => self.labeled(label, line),
                lines => {
                    self.0.push_str(&"  ".repeat(depth));
                    self.0.push_str(label);
                    self.0.push_str(":\n");
                    for line in lines {
                        self.line(depth + 1, line);
                    }
                }
            }
        }
    }
}
