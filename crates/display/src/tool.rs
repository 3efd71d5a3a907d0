//! A call of a tool by an AI agent (MCP, `tools/call`) as an exhibit: the tool, the server that offers it, and its
//! arguments as a tree. Its members are in `docs/spec/operation.md`.

use countersign_model::{Operation, json};
use serde_json::{Map, Value};

use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::exhibit::{Apart, Properties, properties, rest_fields, value_spans};
use crate::text::{Lines, Numbers, lines};
use crate::tree::tree;
use crate::visible::safe_line;

/// A call of a tool.
pub(crate) struct Tool<'a> {
    tool: &'a str,
    server: Option<&'a str>,
    server_version: Option<&'a str>,
    /// Of what the server says about the tool: name, description, schema.
    tool_sha256: Option<&'a str>,
    /// JSON, as it came.
    arguments: &'a str,
    rest: Map<String, Value>,
}

impl<'a> Tool<'a> {
    /// Reads the members; none where the operation is no call of a tool, or has members of other types.
    pub(crate) fn read(operation: &'a Operation) -> Option<Self> {
        let names = [
            "tool",
            "server",
            "server_version",
            "tool_sha256",
            "arguments",
        ];
        let Properties { all: known, rest } = properties(operation, "tool", &names)?;
        let optional = |name| match known.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(Some),
        };
        Some(Self {
            tool: known.get("tool")?.as_str()?,
            server: optional("server")?,
            server_version: optional("server_version")?,
            tool_sha256: optional("tool_sha256")?,
            arguments: known.get("arguments")?.as_str()?,
            rest,
        })
    }

    /// The exhibit, and how many characters of the arguments were made visible.
    pub(crate) fn exhibit(&self, operation: &Operation) -> (Exhibit, Apart) {
        let Lines {
            lines,
            made_visible,
        } = match json::parse(self.arguments.as_bytes(), json::OPERATION) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => tree(&value),
            Ok(_) | Err(_) => lines(self.arguments, Role::Data, Numbers::Shown),
        };
        let mut details = Vec::new();
        if let Some(digest) = self.tool_sha256 {
            details.push(Field::new(
                "tool_sha256",
                vec![safe_line(digest, Role::Data)],
            ));
        }
        details.extend(rest_fields(operation, &self.rest));
        let exhibit = Exhibit {
            title: self.title(),
            lines,
            details,
        };
        let apart = Apart {
            pointer: "/action/properties/arguments",
            made_visible,
        };
        (exhibit, apart)
    }

    fn title(&self) -> Line {
        let mut spans = value_spans(self.tool, Role::Name);
        if let Some(server) = self.server {
            spans.push(Span::new(Role::Ours, " of server "));
            spans.extend(value_spans(server, Role::Data));
        }
        if let Some(version) = self.server_version {
            spans.push(Span::new(Role::Ours, ", version "));
            spans.extend(value_spans(version, Role::Data));
        }
        Line { indent: 0, spans }
    }
}
