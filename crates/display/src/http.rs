//! An HTTP call as an exhibit: method, address, body, headers. Its members are those that `countersign-gate-http`
//! writes (see `docs/spec/operation.md`).
//!
//! It shows what the operation *says*, and compares the body's text with its stated digest. An operation
//! whose members have other types than these is no HTTP call for this crate: then all of it is a tree.

use countersign_model::{Digest, Operation, json};
use serde_json::{Map, Value};

use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::exhibit::{Apart, Properties, named_line, properties, rest_fields, value_spans};
use crate::text::{Lines, Numbers, lines, wrap};
use crate::tree::tree;
use crate::visible::{Edges, safe_line, shown};

/// The members of an HTTP call.
pub(crate) struct Http<'a> {
    method: &'a str,
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<Body<'a>>,
    /// What else stands in `action.properties`.
    rest: Map<String, Value>,
}

struct Body<'a> {
    size: u64,
    sha256: &'a str,
    text: Option<&'a str>,
}

impl<'a> Http<'a> {
    /// Reads them; none where the operation is none, or has members of other types.
    pub(crate) fn read(operation: &'a Operation) -> Option<Self> {
        let known = [
            "method",
            "scheme",
            "authority",
            "path",
            "query",
            "headers",
            "body",
        ];
        let Properties {
            all: properties,
            rest,
        } = properties(operation, "http", &known)?;
        let text = |name| properties.get(name).and_then(Value::as_str);
        Some(Self {
            method: text("method")?,
            scheme: text("scheme")?,
            authority: text("authority")?,
            path: text("path")?,
            query: match properties.get("query") {
                None => None,
                Some(query) => Some(query.as_str()?),
            },
            headers: match properties.get("headers") {
                None => Vec::new(),
                Some(headers) => headers
                    .as_array()?
                    .iter()
                    .map(header)
                    .collect::<Option<_>>()?,
            },
            body: match properties.get("body") {
                None => None,
                Some(body) => Some(Body::read(body)?),
            },
            rest,
        })
    }

    /// Whether the method only reads, by RFC 9110, section 9.2.1.
    pub(crate) fn only_reads(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// The exhibit, and how many characters of the body were made visible.
    pub(crate) fn exhibit(&self, operation: &Operation) -> (Exhibit, Apart) {
        let body = self.body_lines();
        let mut details = Vec::new();
        if !self.headers.is_empty() {
            let line = |(name, value): &(&str, &str)| {
                named_line(name, ": ", value_spans(value, Role::Data))
            };
            let headers = self.headers.iter().flat_map(line);
            details.push(Field::new("headers", headers.collect()));
        }
        if let Some(body) = &self.body {
            details.push(Field::new("body", body.facts(self.content_type())));
            details.push(Field::new(
                "sha256",
                vec![safe_line(body.sha256, Role::Data)],
            ));
        }
        details.extend(rest_fields(operation, &self.rest));
        let exhibit = Exhibit {
            title: self.title(operation),
            lines: body.lines,
            details,
        };
        let apart = Apart {
            pointer: "/action/properties/body/text",
            made_visible: body.made_visible,
        };
        (exhibit, apart)
    }

    fn title(&self, operation: &Operation) -> Line {
        let verb = if self.only_reads() {
            Role::Name
        } else {
            Role::Verb
        };
        let mut spans = shown(self.method, verb, Edges::Both).spans;
        spans.push(Span::new(Role::Ours, " "));
        spans.extend(shown(self.scheme, Role::Data, Edges::Both).spans);
        spans.push(Span::new(Role::Punctuation, "://"));
        spans.extend(shown(self.authority, Role::Data, Edges::Both).spans);
        for (at, segment) in self.path.split('/').enumerate() {
            if at > 0 {
                spans.push(Span::new(Role::Punctuation, "/"));
            }
            let is_id = !segment.is_empty()
                && percent_decoded(segment) == operation.resource_id().as_bytes();
            let role = if is_id { Role::Value } else { Role::Data };
            spans.extend(shown(segment, role, Edges::Both).spans);
        }
        if let Some(query) = self.query {
            spans.push(Span::new(Role::Punctuation, "?"));
            for (at, pair) in query.split('&').enumerate() {
                if at > 0 {
                    spans.push(Span::new(Role::Punctuation, "&"));
                }
                let (name, value) = pair
                    .split_once('=')
                    .map_or((pair, None), |(name, value)| (name, Some(value)));
                spans.extend(shown(name, Role::Key, Edges::Both).spans);
                if let Some(value) = value {
                    spans.push(Span::new(Role::Punctuation, "="));
                    spans.extend(shown(value, Role::Value, Edges::Both).spans);
                }
            }
        }
        Line { indent: 0, spans }
    }

    fn body_lines(&self) -> Lines {
        let ours = |text: String| Lines {
            lines: vec![Line::ours(text)],
            made_visible: 0,
        };
        match &self.body {
            None => ours("No body.".to_owned()),
            Some(Body {
                size: 0,
                text: None | Some(""),
                ..
            }) => ours("No body.".to_owned()),
            Some(Body {
                size, text: None, ..
            }) => ours(format!(
                "A body of {size} bytes that cannot be shown as text. Its size and digest are part of what is signed."
            )),
            Some(Body {
                text: Some(text), ..
            }) => match json::parse(text.as_bytes(), json::OPERATION) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => tree(&value),
                Ok(_) | Err(_) => lines(text, Role::Data, Numbers::Shown),
            },
        }
    }

    fn content_type(&self) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(name, _)| *name == "content-type")
            .map(|(_, value)| *value)
    }
}

impl<'a> Body<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        let body = value.as_object()?;
        if body
            .keys()
            .any(|name| !["size", "sha256", "text"].contains(&name.as_str()))
        {
            return None;
        }
        Some(Self {
            size: body.get("size")?.as_u64()?,
            sha256: body.get("sha256")?.as_str()?,
            text: match body.get("text") {
                None => None,
                Some(text) => Some(text.as_str()?),
            },
        })
    }

    fn facts(&self, content_type: Option<&str>) -> Vec<Line> {
        let mut spans = Vec::new();
        if let Some(content_type) = content_type {
            spans.extend(shown(content_type, Role::Data, Edges::Both).spans);
            spans.push(Span::new(Role::Ours, ", "));
        }
        spans.push(Span::new(Role::Data, self.size.to_string()));
        spans.push(Span::new(
            Role::Ours,
            if self.size == 1 { " byte" } else { " bytes" },
        ));
        if self.text.is_some() && self.size > 0 {
            spans.push(Span::new(Role::Ours, ", all shown"));
        }
        let mut facts = wrap(Line { indent: 0, spans });
        if let Some(text) = self.text
            && (text.len() as u64 != self.size
                || Digest::of(text.as_bytes()).to_string() != self.sha256)
        {
            let warning =
                "The size or digest that the gate states is not that of the text shown. Deny this.";
            facts.push(Line {
                indent: 0,
                spans: vec![Span::new(Role::Verb, warning)],
            });
        }
        facts
    }
}

fn header(value: &Value) -> Option<(&str, &str)> {
    match value.as_array()?.as_slice() {
        [name, value] => Some((name.as_str()?, value.as_str()?)),
        _ => None,
    }
}

/// For a comparison only: what is shown is never decoded.
fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            // Two hexadecimal digits are at most 255.
            decoded.push((high * 16 + low) as u8);
            rest = after;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    decoded
}
