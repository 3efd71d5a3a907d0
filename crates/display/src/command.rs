//! A command as an exhibit: its arguments one by one, where it runs, which program that is, and its environment. Its
//! members are in `docs/spec/operation.md`.
//!
//! Arguments are never joined: what a shell would make of them does not come into it.

use countersign_model::Operation;
use serde_json::{Map, Value};

use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::exhibit::{Properties, named_line, properties, rest_fields, value_spans};
use crate::text::wrap;

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
        let digits = (self.argv.len() - 1).to_string().len();
        let lines = self.argv.iter().enumerate().flat_map(|(at, argument)| {
            let mut spans = vec![Span::new(Role::Punctuation, format!("{at:>digits$}  "))];
            match *argument {
                "" => spans.push(Span::new(Role::Ours, "(empty)")),
                text => spans.extend(value_spans(
                    text,
                    if at == 0 { Role::Name } else { Role::Data },
                )),
            }
            wrap(Line { indent: 0, spans })
        });
        let mut details = vec![Field::new(
            "argv",
            vec![Line::ours(
                "Each line is one argument; no shell takes part.",
            )],
        )];
        if let Some(cwd) = self.cwd {
            details.push(Field::new(
                "cwd",
                wrap(Line {
                    indent: 0,
                    spans: value_spans(cwd, Role::Data),
                }),
            ));
        }
        if let Some(Program { path, sha256 }) = self.program {
            let mut spans = value_spans(path, Role::Data);
            spans.push(Span::new(Role::Ours, " SHA-256 "));
            spans.extend(value_spans(sha256, Role::Data));
            details.push(Field::new("program", wrap(Line { indent: 0, spans })));
        }
        if !self.env.is_empty() {
            let lines = self.env.iter().flat_map(|(name, setting)| {
                let value = match setting {
                    Setting::Plain(value) => value_spans(value, Role::Data),
                    Setting::Secret { size, sha256 } => {
                        let mut spans = vec![
                            Span::new(Role::Ours, "secret, "),
                            Span::new(Role::Data, size.to_string()),
                            Span::new(
                                Role::Ours,
                                if *size == 1 {
                                    " byte, SHA-256 "
                                } else {
                                    " bytes, SHA-256 "
                                },
                            ),
                        ];
                        spans.extend(value_spans(sha256, Role::Data));
                        spans
                    }
                };
                named_line(name, "=", value)
            });
            details.push(Field::new("env", lines.collect()));
        }
        details.extend(rest_fields(operation, &self.rest));
        Exhibit {
            title: Line::default(),
            lines: lines.collect(),
            details,
        }
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
