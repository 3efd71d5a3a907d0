//! Header rules: which fields of a call are forwarded, and which of them an approval covers.
//!
//! | field | forwarded | in the operation |
//! |---|---|---|
//! | hop-by-hop, and what `Connection` names | never | never |
//! | `Host`, `Content-Length`, `Via`, `X-Forwarded-*`, `Forwarded`, `X-Real-IP` | the gate's own, or not at all | never |
//! | `Countersign-*`, `Approval-Id`, `Prefer` | never: they speak to the gate | justification and ticket, as context |
//! | `Authorization` | yes | by the caller's subject and claims |
//! | other credentials | yes | by an HMAC under the gate's key |
//! | unbound (tracing, and what the configuration adds) | only on calls that the policy allows outright | never |
//! | everything else | yes | name and value, in order |
//!
//! Names are compared with `_` read as `-`: some servers take the two for the same.
//! Protocol, section 2, "An HTTP call".

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::credential::CredentialKey;

/// Fields of one call, at most.
pub const MAX_FIELDS: usize = 100;
/// Bytes of all names and values together, at most: the operation has to hold them.
pub const MAX_FIELDS_BYTES: usize = 16 * 1024;
/// Bytes of `Countersign-Justification`, at most.
pub const MAX_JUSTIFICATION_BYTES: usize = 2000;
/// Bytes of `Countersign-Ticket`, at most.
pub const MAX_TICKET_BYTES: usize = 200;

/// RFC 9110, 7.6.1, and what servers treat alike.
const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
    "content-length",
];
/// The gate says these itself, or nobody does.
const GATES_OWN: [&str; 5] = ["host", "via", "forwarded", "x-real-ip", "x-client-ip"];
const OVERRIDES: [&str; 4] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
];
/// Servers exist that route by these instead of the path.
const REWRITES: [&str; 3] = ["x-original-url", "x-rewrite-url", "x-original-uri"];
const CREDENTIALS: [&str; 12] = [
    "cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-vault-token",
    "private-token",
    "dpop",
];
const TRACING: [&str; 9] = [
    "traceparent",
    "tracestate",
    "baggage",
    "x-request-id",
    "x-correlation-id",
    "b3",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
    "sentry-trace",
];

/// Why a call's fields are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeaders {
    /// More than [`MAX_FIELDS`].
    #[error("the call has more than {MAX_FIELDS} header fields")]
    TooMany,
    /// More than [`MAX_FIELDS_BYTES`].
    #[error("the header fields are longer than 16 KiB together")]
    TooLong,
    /// A value with bytes outside ASCII.
    #[error("a header value holds characters outside ASCII")]
    NotAscii,
    /// Not exactly one `Host`.
    #[error("the call must have exactly one `Host` field")]
    Host,
    /// More than one `Authorization`.
    #[error("the call has more than one `Authorization` field")]
    TwoAuthorizations,
    /// `Countersign-Justification`, `Countersign-Ticket` or `Approval-Id` twice, too long, or not UTF-8.
    #[error(
        "`Countersign-Justification` (2,000 bytes), `Countersign-Ticket` (200) and `Approval-Id` may each stand once, as UTF-8 text"
    )]
    Words,
    /// A method override, on a call that needs an approval.
    #[error("the call asks for another method than its own (method override)")]
    MethodOverride,
    /// An instruction to read another path, on a call that needs an approval.
    #[error("the call asks the server to read another path than its own")]
    PathRewrite,
    /// The absolute form of a request target, on a call that needs an approval.
    #[error("a call that needs an approval must name its path only, not the whole address")]
    AbsoluteForm,
    /// `Upgrade`, on a call that needs an approval.
    #[error("a call that needs an approval cannot upgrade its connection")]
    Upgrade,
}

impl BadHeaders {
    /// Stable name of the rule.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooMany => "headers_too_many",
            Self::TooLong => "headers_too_long",
            Self::NotAscii => "header_not_ascii",
            Self::Host => "host",
            Self::TwoAuthorizations => "two_authorizations",
            Self::Words => "countersign_headers",
            Self::MethodOverride => "method_override",
            Self::PathRewrite => "path_rewrite",
            Self::AbsoluteForm => "absolute_form",
            Self::Upgrade => "upgrade",
        }
    }
}

/// Field names that the configuration adds to the fixed lists.
#[derive(Debug, Clone, Default)]
pub struct HeaderRules {
    credentials: BTreeSet<String>,
    unbound: BTreeSet<String>,
}

/// A forwarded field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As it will be sent.
    pub name: HeaderName,
    /// As it will be sent.
    pub value: HeaderValue,
    /// How an approval covers it.
    pub covered: Covered,
}

/// How an approval covers a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// Name and value stand in the operation.
    ByValue,
    /// Its HMAC stands in the operation.
    ByHmac,
    /// Not at all: forwarded only where no approval is needed.
    Not,
}

/// What the caller says to the gate itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// `Countersign-Justification`.
    pub justification: Option<String>,
    /// `Countersign-Ticket`.
    pub ticket: Option<String>,
    /// `Approval-Id`: joins an approval that was asked for before.
    pub approval_id: Option<String>,
    /// `Prefer: respond-async`.
    pub respond_async: bool,
    /// `Prefer: wait=…`: how long the caller wants to be held, in seconds. The gate may hold for less.
    pub wait_secs: Option<u32>,
}

/// A call's fields, sorted out.
#[derive(Debug, Clone)]
pub struct Fields {
    /// In the order in which they came. Without `Authorization`.
    pub forwarded: Vec<Field>,
    /// To be forwarded as it is, once the token in it is verified.
    pub authorization: Option<HeaderValue>,
    /// For the gate.
    pub words: Words,
    /// Content codings and types decide how a body is shown.
    pub content_type: Option<String>,
    /// Whether the body is encoded.
    pub content_encoding: Option<String>,
    /// What speaks against an approval, and does not matter without one.
    pub against_approval: Option<BadHeaders>,
}

impl HeaderRules {
    /// `credentials` and `unbound` add to the fixed lists.
    pub fn new(credentials: &[String], unbound: &[String]) -> Result<Self, String> {
        let read = |key: &str, names: &[String]| -> Result<BTreeSet<String>, String> {
            names
                .iter()
                .map(|name| {
                    let known = HeaderName::from_bytes(name.as_bytes())
                        .map_err(|_| format!("`{key}`: `{name}` is no header name"))?;
                    let folded = folded(&known).into_owned();
                    if folded == "authorization" {
                        return Err(format!(
                            "`{key}`: `authorization` has its own rule and cannot be listed"
                        ));
                    }
                    Ok(folded)
                })
                .collect()
        };
        let rules = Self {
            credentials: read("credential_headers", credentials)?,
            unbound: read("unbound_headers", unbound)?,
        };
        if let Some(name) = rules.credentials.intersection(&rules.unbound).next() {
            return Err(format!(
                "`{name}` stands in both `credential_headers` and `unbound_headers`"
            ));
        }
        Ok(rules)
    }

    /// Sorts out the fields of a call.
    pub fn sort(&self, headers: &HeaderMap) -> Result<Fields, BadHeaders> {
        if headers.len() > MAX_FIELDS {
            return Err(BadHeaders::TooMany);
        }
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if bytes > MAX_FIELDS_BYTES {
            return Err(BadHeaders::TooLong);
        }
        if headers.get_all(http::header::HOST).iter().count() != 1 {
            return Err(BadHeaders::Host);
        }
        let named = named_by_connection(headers);
        let mut fields = Fields {
            forwarded: Vec::with_capacity(headers.len()),
            authorization: None,
            words: Words::default(),
            content_type: None,
            content_encoding: None,
            against_approval: None,
        };
        for (name, value) in headers {
            let folded = folded(name);
            let text = folded.as_ref();
            if text == "upgrade" {
                fields.against_approval.get_or_insert(BadHeaders::Upgrade);
            }
            // For every call: one that the policy allows must not become another behind the gate.
            if OVERRIDES.contains(&text) {
                return Err(BadHeaders::MethodOverride);
            }
            if REWRITES.contains(&text) {
                return Err(BadHeaders::PathRewrite);
            }
            if fields.words.take(text, value)?
                || is_for_the_gate(text)
                || HOP_BY_HOP.contains(&text)
            {
                continue;
            }
            if GATES_OWN.contains(&text) || text.starts_with("x-forwarded-") {
                continue;
            }
            if text == "authorization" {
                if fields.authorization.replace(value.clone()).is_some() {
                    return Err(BadHeaders::TwoAuthorizations);
                }
                continue;
            }
            if named.contains(text) {
                continue;
            }
            let shown = value.to_str().map_err(|_| BadHeaders::NotAscii)?;
            match text {
                "content-type" => add(&mut fields.content_type, shown),
                "content-encoding" => add(&mut fields.content_encoding, shown),
                _ => {}
            }
            fields.forwarded.push(Field {
                name: name.clone(),
                value: value.clone(),
                covered: self.covered(text),
            });
        }
        Ok(fields)
    }

    fn covered(&self, folded: &str) -> Covered {
        if CREDENTIALS.contains(&folded) || self.credentials.contains(folded) {
            Covered::ByHmac
        } else if TRACING.contains(&folded)
            || folded.starts_with("x-b3-")
            || self.unbound.contains(folded)
        {
            Covered::Not
        } else {
            Covered::ByValue
        }
    }
}

impl Fields {
    /// The covered fields as a list of [lower-case name, value], for the operation.
    pub fn covered(&self, key: &CredentialKey) -> Value {
        let covered = self.forwarded.iter().filter_map(|field| {
            let bytes = field.value.as_bytes();
            let value = match field.covered {
                Covered::ByValue => String::from_utf8_lossy(bytes).into_owned(),
                Covered::ByHmac => key.mac(field.name.as_str(), bytes),
                Covered::Not => return None,
            };
            let name = field.name.as_str().to_owned();
            Some(Value::Array(vec![
                Value::String(name),
                Value::String(value),
            ]))
        });
        Value::Array(covered.collect())
    }
}

impl Words {
    /// Takes a field that speaks to the gate; `false` when it is another.
    fn take(&mut self, name: &str, value: &HeaderValue) -> Result<bool, BadHeaders> {
        let (slot, limit) = match name {
            "countersign-justification" => (&mut self.justification, MAX_JUSTIFICATION_BYTES),
            "countersign-ticket" => (&mut self.ticket, MAX_TICKET_BYTES),
            "approval-id" => (&mut self.approval_id, 128),
            "prefer" => {
                // RFC 7240: a list of preferences, each with optional parameters.
                let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
                for part in text.split(',') {
                    let preference = part.split(';').next().unwrap_or_default().trim();
                    self.respond_async |= preference == "respond-async";
                    let wait = preference
                        .split_once('=')
                        .filter(|(name, _)| name.trim() == "wait");
                    if let Some((_, secs)) = wait {
                        // The first of several counts (RFC 7240, 2); one that is no number says nothing.
                        let secs = secs.trim().trim_matches('"').parse().ok();
                        self.wait_secs = self.wait_secs.or(secs);
                    }
                }
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| BadHeaders::Words)?
            .trim();
        if text.len() > limit || slot.is_some() {
            return Err(BadHeaders::Words);
        }
        if !text.is_empty() {
            *slot = Some(text.to_owned());
        }
        Ok(true)
    }
}

/// Repeated fields are one list (RFC 9110, 5.3): which of them the upstream heeds is not known here.
fn add(list: &mut Option<String>, value: &str) {
    let value = value.to_ascii_lowercase();
    *list = Some(match list.take() {
        Some(before) => format!("{before}, {value}"),
        None => value,
    });
}

fn is_for_the_gate(folded: &str) -> bool {
    folded.starts_with("countersign-") || folded == "approval-id" || folded == "prefer"
}

fn named_by_connection(headers: &HeaderMap) -> BTreeSet<String> {
    headers
        .get_all(http::header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .map(|name| folded(&name).into_owned())
        .collect()
}

/// `HeaderName` is in lower case already.
fn folded(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.contains('_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn sort(fields: &[(&str, &str)]) -> Result<Fields, BadHeaders> {
        let mut all = vec![("host", "orders.example")];
        all.extend_from_slice(fields);
        HeaderRules::new(&["X-Tenant-Secret".into()], &["X-Client-Version".into()])
            .unwrap()
            .sort(&map(&all))
    }

    fn names(fields: &[(&str, &str)]) -> Vec<(String, Covered)> {
        sort(fields)
            .unwrap()
            .forwarded
            .into_iter()
            .map(|f| (f.name.to_string(), f.covered))
            .collect()
    }

    #[test]
    fn each_field_has_its_rule() {
        use Covered::*;
        for (name, wanted) in [
            ("accept", Some(ByValue)),
            ("content-type", Some(ByValue)),
            ("if-match", Some(ByValue)),
            ("user-agent", Some(ByValue)),
            ("x-custom", Some(ByValue)),
            ("cookie", Some(ByHmac)),
            ("x-api-key", Some(ByHmac)),
            ("x_api_key", Some(ByHmac)),
            ("x-tenant-secret", Some(ByHmac)),
            ("traceparent", Some(Not)),
            ("x-b3-traceid", Some(Not)),
            ("x-client-version", Some(Not)),
            ("connection", None),
            ("keep-alive", None),
            ("transfer-encoding", None),
            ("te", None),
            ("trailer", None),
            ("expect", None),
            ("upgrade", None),
            ("proxy-authorization", None),
            ("content-length", None),
            ("via", None),
            ("forwarded", None),
            ("x-forwarded-for", None),
            ("x_forwarded_for", None),
            ("x-forwarded-anything", None),
            ("x-real-ip", None),
            ("countersign-anything", None),
            ("countersign_ticket", None),
            ("approval-id", None),
            ("prefer", None),
        ] {
            let got = names(&[(name, "x")]).first().map(|(_, covered)| *covered);
            assert_eq!(got, wanted, "{name}");
        }
    }

    #[test]
    fn what_connection_names_is_removed() {
        let left = names(&[
            ("connection", "close, X-Hop , x_two"),
            ("x-hop", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
        ]);
        assert_eq!(left, vec![("x-three".to_owned(), Covered::ByValue)]);
    }

    #[test]
    fn order_and_repetition_stay() {
        let key = CredentialKey::from_bytes([7; 32]);
        let fields = sort(&[
            ("x-b", "1"),
            ("accept", "a"),
            ("accept", "b"),
            ("cookie", "k=v"),
        ])
        .unwrap();
        let covered = fields.covered(&key);
        assert_eq!(covered[0], json!(["x-b", "1"]));
        assert_eq!(covered[1], json!(["accept", "a"]));
        assert_eq!(covered[2], json!(["accept", "b"]));
        assert_eq!(covered[3][0], "cookie");
        assert!(!covered[3].to_string().contains("k=v"));
    }

    #[test]
    fn refusals_name_the_rule() {
        let too_many: Vec<(String, String)> = (0..=MAX_FIELDS)
            .map(|n| (format!("x-{n}"), "1".into()))
            .collect();
        let too_many: Vec<(&str, &str)> = too_many
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let long = "a".repeat(MAX_FIELDS_BYTES + 1);
        let wordy = "a".repeat(MAX_JUSTIFICATION_BYTES + 1);
        for (fields, wanted) in [
            (too_many.as_slice(), BadHeaders::TooMany),
            (&[("x-long", long.as_str())], BadHeaders::TooLong),
            (&[("x-text", "é")], BadHeaders::NotAscii),
            (&[("host", "other")], BadHeaders::Host),
            (
                &[("authorization", "a"), ("authorization", "b")],
                BadHeaders::TwoAuthorizations,
            ),
            (
                &[("countersign-ticket", "a"), ("countersign-ticket", "b")],
                BadHeaders::Words,
            ),
            (
                &[("countersign-justification", wordy.as_str())],
                BadHeaders::Words,
            ),
        ] {
            assert_eq!(sort(fields).unwrap_err(), wanted);
        }
    }

    #[test]
    fn overrides_are_refused_and_an_upgrade_speaks_against_an_approval_only() {
        for (name, wanted) in [
            ("x-http-method-override", BadHeaders::MethodOverride),
            ("x_http_method_override", BadHeaders::MethodOverride),
            ("x-original-url", BadHeaders::PathRewrite),
            ("x_rewrite_url", BadHeaders::PathRewrite),
        ] {
            assert_eq!(sort(&[(name, "x")]).unwrap_err(), wanted, "{name}");
        }
        assert_eq!(
            sort(&[("upgrade", "x")]).unwrap().against_approval,
            Some(BadHeaders::Upgrade)
        );
        assert_eq!(sort(&[("accept", "x")]).unwrap().against_approval, None);
    }

    #[test]
    fn repeated_types_and_codings_are_one_list() {
        let fields = sort(&[
            ("content-type", "text/plain"),
            ("content_type", "Multipart/Mixed"),
            ("content-encoding", "gzip"),
            ("content-encoding", "identity"),
        ])
        .unwrap();
        assert_eq!(
            fields.content_type.as_deref(),
            Some("text/plain, multipart/mixed")
        );
        assert_eq!(fields.content_encoding.as_deref(), Some("gzip, identity"));
    }

    #[test]
    fn the_callers_words_are_taken() {
        let words = sort(&[
            ("countersign-justification", "Kunde möchte gelöscht werden"),
            ("countersign-ticket", "OPS-1"),
            ("approval-id", "abc"),
            ("prefer", "wait=10, Respond-Async; x=1"),
        ])
        .unwrap()
        .words;
        assert_eq!(
            words.justification.as_deref(),
            Some("Kunde möchte gelöscht werden")
        );
        assert_eq!(words.ticket.as_deref(), Some("OPS-1"));
        assert_eq!(words.approval_id.as_deref(), Some("abc"));
        assert!(words.respond_async);
    }

    #[test]
    fn configured_names_must_make_sense() {
        assert!(HeaderRules::new(&["a b".into()], &[]).is_err());
        assert!(HeaderRules::new(&["Authorization".into()], &[]).is_err());
        assert!(HeaderRules::new(&["x-a".into()], &["X_A".into()]).is_err());
    }
}
