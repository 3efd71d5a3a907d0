//! A command as an exhibit: its arguments one by one, where it runs, which program that is, and its environment. Its
//! members are in `docs/spec/operation.md`.
//!
//! Arguments are never joined: what a shell would make of them does not come into it.

use countersign_model::Operation;
use serde_json::{Map, Value};

use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::exhibit::{Properties, named_line, properties, rest_fields, value_spans};
use crate::text::wrap;
use crate::visible::safe_line;

/// A command.
pub(crate) struct Command<'a> {
    argv: Vec<&'a str>,
    cwd: Option<&'a str>,
    program: Option<Program<'a>>,
    env: Vec<(&'a str, Setting<'a>)>,
    rest: Map<String, Value>,
}

/// The file that is run.
struct Program<'a> {
    path: &'a str,
    sha256: &'a str,
}

/// The value of a variable.
enum Setting<'a> {
    Plain(&'a str),
    /// Not shown: so many bytes with this digest.
    Secret {
        size: u64,
        sha256: &'a str,
    },
}

impl<'a> Command<'a> {
    /// Reads the members; none where the operation is no command, or has members of other types.
    pub(crate) fn read(operation: &'a Operation) -> Option<Self> {
        let Properties { all: known, rest } =
            properties(operation, "command", &["argv", "cwd", "program", "env"])?;
        let argv: Vec<&str> = known
            .get("argv")?
            .as_array()?
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()?;
        if argv.is_empty() {
            return None;
        }
        Some(Self {
            argv,
            cwd: match known.get("cwd") {
                None => None,
                Some(cwd) => Some(cwd.as_str()?),
            },
            program: match known.get("program") {
                None => None,
                Some(program) => Some(Program::read(program)?),
            },
            env: match known.get("env") {
                None => Vec::new(),
                Some(env) => env
                    .as_array()?
                    .iter()
                    .map(variable)
                    .collect::<Option<_>>()?,
            },
            rest,
        })
    }

    /// The exhibit.
    pub(crate) fn exhibit(&self, operation: &Operation) -> Exhibit {
        let mut details = vec![Field::new(
            "argv",
            vec![Line::ours(
                "Each line is one argument; no shell takes part.",
            )],
        )];
        if let Some(cwd) = self.cwd {
            details.push(Field::new("cwd", wrap(safe_line(cwd, Role::Data))));
        }
        if let Some(program) = &self.program {
            details.push(Field::new("program", program.lines()));
        }
        if !self.env.is_empty() {
            let line =
                |(name, setting): &(&str, Setting<'_>)| named_line(name, "=", setting.spans());
            let lines = self.env.iter().flat_map(line);
            details.push(Field::new("env", lines.collect()));
        }
        details.extend(rest_fields(operation, &self.rest));
        Exhibit {
            title: Line::default(),
            lines: self.lines(),
            details,
        }
    }

    /// An argument a line, each with its number.
    fn lines(&self) -> Vec<Line> {
        let digits = (self.argv.len() - 1).to_string().len();
        let lines = self.argv.iter().enumerate().flat_map(|(at, argument)| {
            let mut spans = vec![Span::new(Role::Punctuation, format!("{at:>digits$}  "))];
            match (*argument, at) {
                ("", _) => spans.push(Span::new(Role::Ours, "(empty)")),
                (program, 0) => spans.extend(value_spans(program, Role::Name)),
                (text, _) => spans.extend(value_spans(text, Role::Data)),
            }
            wrap(Line { indent: 0, spans })
        });
        lines.collect()
    }
}

impl Setting<'_> {
    fn spans(&self) -> Vec<Span> {
        let (size, sha256) = match self {
            Self::Plain(value) => return value_spans(value, Role::Data),
            Self::Secret { size, sha256 } => (*size, sha256),
        };
        let unit = if size == 1 { " byte" } else { " bytes" };
        let mut spans = vec![
            Span::new(Role::Ours, "secret, "),
            Span::new(Role::Data, size.to_string()),
            Span::new(Role::Ours, format!("{unit}, SHA-256 ")),
        ];
        spans.extend(value_spans(sha256, Role::Data));
        spans
    }
}

impl<'a> Program<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        let program = value.as_object()?;
        match (program.len(), program.get("path"), program.get("sha256")) {
            (2, Some(Value::String(path)), Some(Value::String(sha256))) => {
                Some(Self { path, sha256 })
            }
            _ => None,
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut spans = value_spans(self.path, Role::Data);
        spans.push(Span::new(Role::Ours, " SHA-256 "));
        spans.extend(value_spans(self.sha256, Role::Data));
        wrap(Line { indent: 0, spans })
    }
}

fn variable(value: &Value) -> Option<(&str, Setting<'_>)> {
    let [name, value] = value.as_array()?.as_slice() else {
        return None;
    };
    let setting = match value {
        Value::String(text) => Setting::Plain(text),
        Value::Object(secret) => match (secret.len(), secret.get("size"), secret.get("sha256")) {
            (2, Some(size), Some(Value::String(sha256))) => Setting::Secret {
                size: size.as_u64()?,
                sha256,
            },
            _ => return None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    Some((name.as_str()?, setting))
}
