//! The operation itself on the card: by its kind where its members are those of the kind, else a tree of all of it.

use countersign_model::Operation;
use serde_json::{Map, Value};

use crate::command::Command;
use crate::document::{Exhibit, Field, Line, Role, Span};
use crate::http::Http;
use crate::sentence::Title;
use crate::sql::Sql;
use crate::text::wrap;
use crate::tool::Tool;
use crate::tree::{members, tree};
use crate::visible::{Edges, shown};

/// A string of the operation that the exhibit shows in a way of its own, and how many of its characters it made visible.
pub(crate) struct Apart {
    /// Where it stands.
    pub(crate) pointer: &'static str,
    /// So many.
    pub(crate) made_visible: u32,
}

/// The exhibit of an operation.
pub(crate) fn exhibit(operation: &Operation) -> (Exhibit, Option<Apart>) {
    let with_text = Http::read(operation)
        .map(|http| http.exhibit(operation))
        .or_else(|| Some(Sql::read(operation)?.exhibit(operation)))
        .or_else(|| Some(Tool::read(operation)?.exhibit(operation)));
    if let Some((exhibit, apart)) = with_text {
        return (exhibit, Some(apart));
    }
    match Command::read(operation) {
        Some(command) => (command.exhibit(operation), None),
        None => (plain(operation), None),
    }
}

/// Any operation as a tree of all of it.
fn plain(operation: &Operation) -> Exhibit {
    let mut title = shown(operation.action(), Role::Verb, Edges::Both).spans;
    title.push(Span::new(Role::Ours, " "));
    title.extend(shown(operation.resource_type(), Role::Data, Edges::Both).spans);
    title.push(Span::new(Role::Ours, " "));
    title.extend(shown(operation.resource_id(), Role::Value, Edges::Both).spans);
    Exhibit {
        title: Line {
            indent: 0,
            spans: title,
        },
        lines: tree(operation.value()).lines,
        details: Vec::new(),
    }
}

/// `action.properties` of one kind.
pub(crate) struct Properties<'a> {
    /// All of them.
    pub(crate) all: &'a Map<String, Value>,
    /// Those that the kind does not know, without its name and without a title that was read.
    pub(crate) rest: Map<String, Value>,
}

/// The members of an operation of this kind, of which these are known.
pub(crate) fn properties<'a>(
    operation: &'a Operation,
    kind: &str,
    known: &[&str],
) -> Option<Properties<'a>> {
    let properties = operation.action_properties().as_object()?;
    if properties.get("kind")?.as_str()? != kind {
        return None;
    }
    let has_title = Title::read(operation).is_some();
    let is_left = |(name, _): &(&String, &Value)| match name.as_str() {
        "kind" => false,
        "title" => !has_title,
        name => !known.contains(&name),
    };
    let left = properties.iter().filter(is_left);
    Some(Properties {
        all: properties,
        rest: left
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    })
}

/// Nothing is left out: what the kind does not know, of the action and of the resource.
pub(crate) fn rest_fields(operation: &Operation, rest: &Map<String, Value>) -> Vec<Field> {
    let mut fields = Vec::new();
    if !rest.is_empty() {
        fields.push(Field::new(
            "action.properties",
            members(&Value::Object(rest.clone())).lines,
        ));
    }
    if let Some(rest) = resource_rest(operation) {
        fields.push(Field::new("resource.properties", members(&rest).lines));
    }
    fields
}

/// What stands in `resource.properties` besides the service, which the record names.
fn resource_rest(operation: &Operation) -> Option<Value> {
    let mut rest = operation.resource_properties().as_object()?.clone();
    if rest.get("service").is_some_and(Value::is_string) {
        rest.remove("service");
    }
    (!rest.is_empty()).then_some(Value::Object(rest))
}

/// A value that stands alone.
pub(crate) fn value_spans(text: &str, role: Role) -> Vec<Span> {
    shown(text, role, Edges::Both).spans
}

/// `name: value`, on as many lines as it takes.
pub(crate) fn named_line(name: &str, between: &str, value: Vec<Span>) -> Vec<Line> {
    let mut spans = value_spans(name, Role::Key);
    spans.push(Span::new(Role::Punctuation, between));
    spans.extend(value);
    wrap(Line { indent: 0, spans })
}
