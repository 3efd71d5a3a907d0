//! What a card is made of: fields, lines, spans with roles.
//!
//! The roles mirror those of the wire (`countersign-api`, `ipc::Role`); this crate derives no wire
//! serialisation, so the agent converts. A window draws each span as plain text in the look of its role,
//! **isolated from its neighbors' writing direction**, and adds nothing.

use std::fmt::Write as _;

use countersign_model::UnixSecs;

/// Opens a chip in plain text. A literal one from outside is itself a chip, so this cannot be imitated.
pub(crate) const CHIP_OPENS: char = '\u{27E6}';
/// Closes a chip in plain text.
pub(crate) const CHIP_CLOSES: char = '\u{27E7}';
/// Begins a line that continues the one before it. A literal one from outside is a chip.
pub(crate) const CONTINUES: char = '\u{21AA}';

/// What a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Our own words, quiet.
    Ours,
    /// Data from outside.
    Data,
    /// A person's or thing's name.
    Name,
    /// A verb that changes or destroys something.
    Verb,
    /// A value that is signed for: a bound parameter, an id in a path.
    Value,
    /// A member name or label within the operation.
    Key,
    /// Punctuation of the operation, brackets.
    Punctuation,
    /// A character that hides or deceives, by its name.
    Chip,
    /// Letters of another script that look like those of this one, with that script's name.
    Confusable,
}

/// A run of characters with one role. Plain text: never markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub role: Role,
    /// What to draw. For a chip: the name of the character, such as `U+202E RLO`.
    pub text: String,
}

impl Span {
    /// A span.
    pub(crate) fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
        }
    }
}

/// One line of text, in logical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Steps of indentation.
    pub indent: u16,
    /// Its parts.
    pub spans: Vec<Span>,
}

impl Line {
    /// A line of our own words.
    pub(crate) fn ours(text: impl Into<String>) -> Self {
        Self {
            indent: 0,
            spans: vec![Span::new(Role::Ours, text)],
        }
    }

    /// The line as one text, with chips between `⟦` and `⟧`: what two lines have in common in this form,
    /// they have in common altogether. For notifications, terminals, and the digest in a vote.
    pub fn plain_text(&self) -> String {
        let mut text = String::new();
        self.write_plain(&mut text);
        text
    }

    pub(crate) fn write_plain(&self, out: &mut String) {
        for span in &self.spans {
            match span.role {
                Role::Chip | Role::Confusable => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{CHIP_OPENS}{}{CHIP_CLOSES}", span.text);
                }
                Role::Ours
                | Role::Data
                | Role::Name
                | Role::Verb
                | Role::Value
                | Role::Key
                | Role::Punctuation => {
                    out.push_str(&span.text);
                }
            }
        }
    }
}

/// A label and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A stable name: a window's catalogue may translate it, else it is shown as it is. Always plain ASCII.
    pub label: String,
    /// The content. None: not stated.
    pub lines: Vec<Line>,
}

impl Field {
    pub(crate) fn new(label: &str, lines: Vec<Line>) -> Self {
        Self {
            label: label.to_owned(),
            lines,
        }
    }
}

/// The operation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// The line on top: method and address, or the like.
    pub title: Line,
    /// All of it.
    pub lines: Vec<Line>,
    /// What else is sent on: headers, size and digest of the body.
    pub details: Vec<Field>,
}

/// A party, as somebody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What kind of party it is.
    pub party: Party,
    /// Who vouches: the provider's issuer.
    pub issuer: Line,
    /// Through whom we know: the gate that checked the token.
    pub according_to: Line,
    /// The person's name, or what the provider states instead.
    pub name: Line,
    /// The subject.
    pub sub: Line,
    /// How and when they signed in.
    pub authenticated: Authenticated,
    /// Who acts on their behalf, outermost first.
    pub actors: Vec<Actor>,
    /// Claims, in a fixed order; one that is missing has no lines. What stands above is among them.
    pub claims: Vec<Field>,
    /// What the gate says of device and place by itself: no provider vouches for it.
    pub reported: Vec<Field>,
}

/// What kind of party somebody is, as the gate tells by the provider that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// A person.
    Person,
    /// A program with an identity of its own: a CI job, a service.
    Workload,
}

/// How and when a person signed in, as the provider states it. In a window's own words; the plain text has the claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authenticated {
    /// When.
    pub auth_time: Option<UnixSecs>,
    /// By what means, each by its name (RFC 8176).
    pub amr: Vec<Line>,
    /// To which level.
    pub acr: Option<Line>,
}

/// One who acts on somebody's behalf (RFC 8693, `act`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The subject.
    pub name: Line,
    /// Who vouches for it.
    pub issuer: Line,
}

/// What kind of thing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An HTTP call.
    Http,
    /// An SQL statement.
    Sql,
    /// A command or CI step.
    Command,
    /// A tool call by an AI agent.
    Tool,
    /// Anything else.
    Other,
}
