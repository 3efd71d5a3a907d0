//! The route table: which action on which resource a call is.
//!
//! The first route whose method and path template match wins. The path is matched as it is forwarded, segment
//! by segment, never decoded; `target` has refused every path that some upstream might read differently.
//! What matches no route is [`UNROUTED_ACTION`] on [`UNROUTED_RESOURCE`], which a policy has to name to allow.
//! Protocol, section 2, "An HTTP call".

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::target;

/// The action of a call that matches no route.
pub const UNROUTED_ACTION: &str = "http.request";
/// The resource type of a call that matches no route.
pub const UNROUTED_RESOURCE: &str = "http.service";

/// Routes of one table, at most.
const MAX_ROUTES: usize = 1000;
/// Bytes of a resource id or title that a call fills in, at most: no path makes a card unreadable.
const MAX_FILLED_BYTES: usize = 1024;

/// `[[route]]` as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// `DELETE`, a list of methods, or `*` for any.
    pub method: Methods,
    /// `/customers/{id}`; a last `{rest...}` takes all that follows.
    pub path: String,
    /// The action's name.
    pub action: String,
    /// The resource's type.
    pub resource_type: String,
    /// The resource's id, from the path's parts: `{id}`.
    pub resource_id: String,
    /// The service that holds the resource.
    pub service: String,
    /// A verb and a thing, for people: `Delete customer {id}`.
    pub title: String,
}

/// Which methods a route takes, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Methods {
    /// One, or `*`.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Why a route is not one. Says which, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {number} (`{path}`): {sentence}")]
pub struct RouteError {
    /// Counted from 1.
    number: usize,
    path: String,
    sentence: String,
}

/// What a call is, in the table's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// `action.name`.
    pub action: String,
    /// `resource.type`.
    pub resource_type: String,
    /// `resource.id`.
    pub resource_id: String,
    /// `resource.properties.service`.
    pub service: String,
    /// `title.verb`.
    pub verb: String,
    /// `title.thing`.
    pub thing: String,
    /// Whether a route said so, or nothing matched.
    pub routed: Routed,
}

/// Whether a route matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// A route of the table.
    ByRoute,
    /// None: the fallback.
    Unrouted,
}

/// The table, checked.
#[derive(Debug, Clone)]
pub struct RouteTable {
    routes: Vec<Route>,
    service: String,
}

#[derive(Debug, Clone)]
struct Route {
    /// Empty: any.
    methods: Vec<Method>,
    segments: Vec<Segment>,
    action: String,
    resource_type: String,
    service: String,
    resource_id: Vec<Piece>,
    verb: String,
    thing: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// Takes one segment that is not empty.
    One(String),
    /// Takes all that is left, at least one character.
    Rest(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Of(String),
}

impl RouteTable {
    /// Checks the table. `service` names what stands behind the gate, for calls that match no route.
    pub fn new(entries: &[RouteEntry], service: &str) -> Result<Self, RouteError> {
        let mut routes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let number = index + 1;
            let route = Route::new(entry).map_err(|sentence| RouteError {
                number,
                path: entry.path.clone(),
                sentence,
            })?;
            if number > MAX_ROUTES {
                return Err(RouteError {
                    number,
                    path: entry.path.clone(),
                    sentence: format!("a table has at most {MAX_ROUTES} routes"),
                });
            }
            routes.push(route);
        }
        Ok(Self {
            routes,
            service: service.to_owned(),
        })
    }

    /// The actions that its routes name.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| route.action.as_str())
    }

    /// What this call is. `path` is the one that will be forwarded.
    pub fn find(&self, method: &Method, path: &str) -> Matched {
        for route in &self.routes {
            if let Some(matched) = route.matches(method, path) {
                return matched;
            }
        }
        Matched {
            action: UNROUTED_ACTION.to_owned(),
            resource_type: UNROUTED_RESOURCE.to_owned(),
            resource_id: self.service.clone(),
            service: self.service.clone(),
            verb: method.as_str().to_owned(),
            thing: path.to_owned(),
            routed: Routed::Unrouted,
        }
    }
}

impl Route {
    fn new(entry: &RouteEntry) -> Result<Self, String> {
        let methods = methods(&entry.method)?;
        let segments = segments(&entry.path)?;
        let names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
        let resource_id = pieces(&entry.resource_id, &names)?;
        let title = entry.title.trim();
        let (verb, thing) = title.split_once(' ').ok_or_else(|| {
            "`title` needs a verb and a thing, such as `Delete customer {id}`".to_owned()
        })?;
        if verb.contains('{') {
            return Err("the verb of `title` must not come from the call".to_owned());
        }
        if entry.service.trim().is_empty() {
            return Err("`service` is empty".to_owned());
        }
        for (name, value) in [
            ("action", &entry.action),
            ("resource_type", &entry.resource_type),
        ] {
            if !is_name(value) {
                return Err(format!(
                    "`{name}` must be 1 to 128 characters of A-Z a-z 0-9 _ . : / -"
                ));
            }
        }
        if entry.resource_id.is_empty() {
            return Err("`resource_id` is empty".to_owned());
        }
        if entry.action == UNROUTED_ACTION || entry.resource_type == UNROUTED_RESOURCE {
            return Err(format!(
                "`{UNROUTED_ACTION}` and `{UNROUTED_RESOURCE}` stand for what matches no route; choose another name"
            ));
        }
        let thing = pieces(thing.trim_start(), &names)?;
        Ok(Self {
            methods,
            segments,
            action: entry.action.clone(),
            resource_type: entry.resource_type.clone(),
            service: entry.service.clone(),
            resource_id,
            verb: verb.to_owned(),
            thing,
        })
    }

    fn matches(&self, method: &Method, path: &str) -> Option<Matched> {
        if !self.methods.is_empty() && !self.methods.contains(method) {
            return None;
        }
        let mut found: BTreeMap<&str, &str> = BTreeMap::new();
        let mut rest = path.strip_prefix('/')?;
        let mut ended = false;
        for segment in &self.segments {
            if ended {
                return None;
            }
            if let Segment::Rest(name) = segment {
                if rest.is_empty() {
                    return None;
                }
                found.insert(name, rest);
                ended = true;
                continue;
            }
            let here = match rest.split_once('/') {
                Some((here, after)) => {
                    rest = after;
                    here
                }
                None => {
                    ended = true;
                    rest
                }
            };
            match segment {
                Segment::Literal(text) if text == here => {}
                Segment::One(name) if !here.is_empty() => {
                    found.insert(name, here);
                }
                Segment::Literal(_) | Segment::One(_) | Segment::Rest(_) => return None,
            }
        }
        if !ended {
            return None;
        }
        Some(Matched {
            action: self.action.clone(),
            resource_type: self.resource_type.clone(),
            resource_id: fill(&self.resource_id, &found)?,
            service: self.service.clone(),
            verb: self.verb.clone(),
            thing: fill(&self.thing, &found)?,
            routed: Routed::ByRoute,
        })
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn methods(written: &Methods) -> Result<Vec<Method>, String> {
    let list: &[String] = match written {
        Methods::One(any) if any == "*" => return Ok(Vec::new()),
        Methods::One(one) => std::slice::from_ref(one),
        Methods::Several(several) => several,
    };
    if list.is_empty() {
        return Err("`method` is empty; write a method, a list of them, or `*` for any".to_owned());
    }
    list.iter()
        .map(|text| {
            let known = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
            match Method::from_bytes(text.as_bytes()) {
                Ok(method) if known && method != Method::CONNECT => Ok(method),
                Ok(_) | Err(_) => Err(format!(
                    "`{text}` is no method; write it in capitals, such as `DELETE`"
                )),
            }
        })
        .collect()
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let inner = path
        .strip_prefix('/')
        .ok_or_else(|| "`path` must start with `/`".to_owned())?;
    let texts: Vec<&str> = inner.split('/').collect();
    let mut segments = Vec::with_capacity(texts.len());
    let mut names: Vec<String> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
            if text.contains(['{', '}', '*']) {
                return Err(format!(
                    "`{text}` mixes text and a part; a part is a whole segment, such as `{{id}}`"
                ));
            }
            segments.push(Segment::Literal((*text).to_owned()));
            continue;
        };
        let (name, rest) = match name.strip_suffix("...") {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(format!(
                "`{{{name}}}` is no name for a part; use a to z and `_`"
            ));
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("`{{{name}}}` stands twice in `path`"));
        }
        names.push(name.to_owned());
        if rest && index + 1 != texts.len() {
            return Err(format!(
                "`{{{name}...}}` takes all that follows, so it must be last"
            ));
        }
        segments.push(if rest {
            Segment::Rest(name.to_owned())
        } else {
            Segment::One(name.to_owned())
        });
    }
    let literal: Vec<&str> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::One(_) | Segment::Rest(_) => "x",
        })
        .collect();
    // A template that only an unusual path could match would never be reached.
    target::check_path(&format!("/{}", literal.join("/")))
        .map_err(|unusual| format!("`path` can never match: {unusual}"))?;
    Ok(segments)
}

/// What an operation takes as the name of an action or a type.
fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(fits)
}

fn pieces(text: &str, names: &[&str]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let close = rest[open..]
            .find('}')
            .ok_or_else(|| format!("`{text}` has a `{{` without `}}`"))?
            + open;
        let name = &rest[open + 1..close];
        if !names.contains(&name) {
            return Err(format!("`{{{name}}}` is not a part of `path`"));
        }
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        pieces.push(Piece::Of(name.to_owned()));
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(format!("`{text}` has a `}}` without `{{`"));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// `None` when what the call fills in is too long: then the call matches no route, which policy denies.
fn fill(pieces: &[Piece], found: &BTreeMap<&str, &str>) -> Option<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Of(name) => text.push_str(found.get(name.as_str())?),
        }
    }
    (text.len() <= MAX_FILLED_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str, path: &str) -> RouteEntry {
        RouteEntry {
            method: Methods::One(method.to_owned()),
            path: path.to_owned(),
            action: "orders.customers.delete".to_owned(),
            resource_type: "orders.customer".to_owned(),
            resource_id: if path.contains("{id}") { "{id}" } else { "all" }.to_owned(),
            service: "orders-api".to_owned(),
            title: if path.contains("{id}") {
                "Delete customer {id}"
            } else {
                "Delete customers"
            }
            .to_owned(),
        }
    }

    fn table(entries: &[RouteEntry]) -> RouteTable {
        RouteTable::new(entries, "orders").unwrap()
    }

    #[test]
    fn a_route_takes_its_method_and_path_and_nothing_else() {
        let table = table(&[entry("DELETE", "/customers/{id}")]);
        for (method, path, id) in [
            ("DELETE", "/customers/42", Some("42")),
            ("DELETE", "/customers/a%20b", Some("a%20b")),
            ("GET", "/customers/42", None),
            ("delete", "/customers/42", None),
            ("DELETE", "/customers/", None),
            ("DELETE", "/customers", None),
            ("DELETE", "/customers/42/", None),
            ("DELETE", "/customers/42/notes", None),
            ("DELETE", "/Customers/42", None),
            ("DELETE", "/v1/customers/42", None),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let matched = table.find(&method, path);
            match id {
                Some(id) => {
                    assert_eq!(matched.routed, Routed::ByRoute, "{path}");
                    assert_eq!(matched.resource_id, id);
                    assert_eq!(
                        (matched.verb.as_str(), matched.thing),
                        ("Delete", format!("customer {id}"))
                    );
                }
                None => {
                    assert_eq!(matched.routed, Routed::Unrouted, "{method} {path}");
                    assert_eq!(matched.action, UNROUTED_ACTION);
                    assert_eq!(matched.resource_id, "orders");
                }
            }
        }
    }

    #[test]
    fn the_first_match_wins() {
        let mut second = entry("*", "/customers/{rest...}");
        second.action = "orders.other".to_owned();
        second.resource_id = "{rest}".to_owned();
        second.title = "Touch {rest}".to_owned();
        let table = table(&[entry("DELETE", "/customers/{id}"), second]);
        assert_eq!(
            table.find(&Method::DELETE, "/customers/1").action,
            "orders.customers.delete"
        );
        let other = table.find(&Method::PUT, "/customers/1/notes/2");
        assert_eq!(
            (other.action.as_str(), other.resource_id.as_str()),
            ("orders.other", "1/notes/2")
        );
        assert_eq!(
            table.find(&Method::PUT, "/customers/").routed,
            Routed::Unrouted
        );
    }

    #[test]
    fn the_root_is_a_path_too() {
        let mut root = entry("GET", "/");
        root.title = "Read everything".to_owned();
        assert_eq!(
            table(&[root]).find(&Method::GET, "/").routed,
            Routed::ByRoute
        );
    }

    #[test]
    fn a_value_that_is_too_long_matches_no_route() {
        let table = table(&[entry("DELETE", "/customers/{id}")]);
        let path = format!("/customers/{}", "9".repeat(MAX_FILLED_BYTES + 1));
        assert_eq!(table.find(&Method::DELETE, &path).routed, Routed::Unrouted);
    }

    #[test]
    fn a_bad_route_says_what_to_change() {
        let with = |change: fn(&mut RouteEntry)| {
            let mut bad = entry("DELETE", "/customers/{id}");
            change(&mut bad);
            RouteTable::new(&[entry("GET", "/"), bad], "orders")
                .unwrap_err()
                .to_string()
        };
        for (error, part) in [
            (with(|r| r.path = "customers".into()), "must start with `/`"),
            (with(|r| r.path = "/a/{id}/{id}".into()), "stands twice"),
            (with(|r| r.path = "/a/{rest...}/b".into()), "must be last"),
            (with(|r| r.path = "/a/x{id}".into()), "whole segment"),
            (with(|r| r.path = "/a/../{id}".into()), "can never match"),
            (with(|r| r.path = "/a//{id}".into()), "can never match"),
            (with(|r| r.path = "/a/{ID}".into()), "no name for a part"),
            (
                with(|r| r.resource_id = "{name}".into()),
                "not a part of `path`",
            ),
            (with(|r| r.resource_id = "{id".into()), "without `}`"),
            (with(|r| r.title = "Delete".into()), "a verb and a thing"),
            (
                with(|r| r.title = "{id} gone".into()),
                "must not come from the call",
            ),
            (
                with(|r| r.method = Methods::One("delete".into())),
                "in capitals",
            ),
            (
                with(|r| r.method = Methods::Several(vec![])),
                "`method` is empty",
            ),
            (
                with(|r| r.action = UNROUTED_ACTION.into()),
                "choose another name",
            ),
            (with(|r| r.service = " ".into()), "`service` is empty"),
        ] {
            assert!(error.starts_with("route 2 (`"), "{error}");
            assert!(error.contains(part), "{error}");
        }
    }
}
