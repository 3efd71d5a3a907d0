//! A call as it will be forwarded, and the operation that it is.
//!
//! INVARIANT: one value serves both. [`Call::operation`] describes exactly what [`Call::into_request`] sends,
//! so that what people approve is what is executed. What is not in the operation is either represented there
//! (the caller's token by the subject, credentials by their HMAC), or not sent on an approved call.

use bytes::Bytes;
use countersign_model::{Nonce, Operation, OperationError, PepId, json as strict};
use countersign_policy::Seen;
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request};
use serde_json::{Map, Value};

use crate::body::{self, Shown};
use crate::caller::{Caller, subject_type};
use crate::credential::CredentialKey;
use crate::headers::{Covered, Fields};
use crate::overrides::{self, Overridden, Watch};
use crate::routes::Matched;
use crate::target::{self, Unusual};

/// `action.properties.kind`.
const KIND: &str = "http";
/// RFC 9110, 7.6.3.
const VIA: HeaderValue = HeaderValue::from_static("1.1 countersign");

/// Where calls go, and who this gate is.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port: also the `Host` that the upstream sees.
    pub authority: Authority,
    /// `Host`, ready to send.
    pub host: HeaderValue,
}

/// What a gate puts into each operation.
#[derive(Clone)]
pub struct Frame {
    /// This gate.
    pub pep: PepId,
    /// Where calls go.
    pub upstream: Upstream,
    /// Over credentials.
    pub credential_key: CredentialKey,
    /// Longer bodies are not shown as text, in bytes.
    pub text_limit: usize,
}

/// A caller's call, sorted out.
#[derive(Debug)]
pub struct Call {
    /// As it came, and as it goes.
    pub method: Method,
    /// As it came, and as it goes: [`target::check_path`] has passed it.
    pub path: String,
    /// As it came, and as it goes.
    pub query: Option<String>,
    /// Header fields.
    pub fields: Fields,
    /// The whole body; `None` while it has not been read.
    pub body: Option<Bytes>,
}

/// Whether a call goes as people approved it, or because the policy allows it outright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Only what the approval covers.
    AsApproved,
    /// With unbound fields too.
    AsAllowed,
}

/// An operation, and whether people can see all of it.
#[derive(Debug)]
pub struct Described {
    /// The operation.
    pub operation: Operation,
    /// Whether the body stands in it as text.
    pub shown: Shown,
}

impl Call {
    /// What speaks against asking for an approval of this call.
    pub fn check_for_approval(&self) -> Result<(), Refused> {
        if let Some(against) = self.fields.against_approval {
            return Err(Refused {
                code: against.code(),
                sentence: against.to_string(),
            });
        }
        if let Some(query) = &self.query {
            target::check_credentials(query)?;
        }
        Ok(())
    }

    /// What speaks against passing this call on at all: asking for another method than its own, which the
    /// upstream may heed and the policy did not judge. Answers with what to look for in a body that streams through;
    /// one that was read is looked at here.
    pub fn check_overrides(&self) -> Result<Option<Watch>, Overridden> {
        self.check_query_overrides()?;
        if self.body.as_ref().is_some_and(Bytes::is_empty) {
            return Ok(None);
        }
        let Fields {
            content_type,
            content_encoding,
            ..
        } = &self.fields;
        let mut watch = Watch::over(content_type.as_deref(), content_encoding.as_deref())?;
        if let (Some(watch), Some(body)) = (&mut watch, &self.body) {
            watch.look(body)?;
            watch.end()?;
        }
        Ok(watch)
    }

    /// The part of it that needs no body.
    pub fn check_query_overrides(&self) -> Result<(), Overridden> {
        self.query.as_deref().map_or(Ok(()), overrides::check_query)
    }

    /// The operation that this call is.
    pub fn operation(
        &self,
        frame: &Frame,
        caller: &Caller,
        matched: &Matched,
        nonce: &Nonce,
    ) -> Result<Described, OperationError> {
        let body = |limit| {
            let bytes = self.body.as_deref()?;
            let fields = &self.fields;
            Some(body::describe(
                bytes,
                fields.content_type.as_deref(),
                fields.content_encoding.as_deref(),
                limit,
            ))
        };
        match self.describe(frame, caller, matched, nonce, body(frame.text_limit)) {
            // A text that makes the operation too long goes in as size and digest.
            Err(OperationError::Json(strict::Refused::TooLong { .. })) => {
                self.describe(frame, caller, matched, nonce, body(0))
            }
            other => other,
        }
    }

    /// What a policy sees of the operation that this call is, with a body of this size. It costs little: for a call
    /// that the policy allows, nobody needs the operation itself.
    pub fn seen<'a>(
        &'a self,
        frame: &'a Frame,
        matched: &'a Matched,
        size: Option<u64>,
    ) -> Seen<'a> {
        Seen {
            action: &matched.action,
            resource_type: &matched.resource_type,
            resource_id: &matched.resource_id,
            service: Some(&matched.service),
            properties: Vec::new(),
            pep: frame.pep.as_str(),
            kind: Some(KIND),
            method: Some(self.method.as_str()),
            authority: Some(frame.upstream.authority.as_str()),
            path: Some(&self.path),
            query: self.query.as_deref(),
            // One that is longer than a number can say is still too long for any rule.
            body_bytes: size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
            justification: self.fields.words.justification.as_deref(),
            ticket: self.fields.words.ticket.as_deref(),
        }
    }

    fn describe(
        &self,
        frame: &Frame,
        caller: &Caller,
        matched: &Matched,
        nonce: &Nonce,
        body: Option<(Value, Shown)>,
    ) -> Result<Described, OperationError> {
        let fields = &self.fields;
        let mut shown = Shown::Whole;
        let body = body.map(|(body, how)| {
            shown = how;
            body
        });
        let Upstream {
            scheme, authority, ..
        } = &frame.upstream;
        let action = object([
            ("kind", Some(KIND.into())),
            (
                "title",
                Some(object([
                    ("verb", Some(matched.verb.as_str().into())),
                    ("thing", Some(matched.thing.as_str().into())),
                ])),
            ),
            ("method", Some(self.method.as_str().into())),
            ("scheme", Some(scheme.as_str().into())),
            ("authority", Some(authority.as_str().into())),
            ("path", Some(self.path.as_str().into())),
            ("query", self.query.as_deref().map(Value::from)),
            ("headers", Some(fields.covered(&frame.credential_key))),
            ("body", body),
        ]);
        let subject = object([
            ("claims", Some(Value::Object(caller.claims.clone()))),
            ("act", caller.act.clone()),
        ]);
        let words = &fields.words;
        let context = object([
            ("pep", Some(frame.pep.as_str().into())),
            ("nonce", Some(nonce.as_str().into())),
            (
                "justification",
                words.justification.as_deref().map(Value::from),
            ),
            ("ticket", words.ticket.as_deref().map(Value::from)),
        ]);
        let operation = Operation::build(object([
            (
                "subject",
                Some(object([
                    ("type", Some(subject_type(caller.kind).into())),
                    ("id", Some(caller.subject.to_string().into())),
                    ("properties", Some(subject)),
                ])),
            ),
            (
                "action",
                Some(object([
                    ("name", Some(matched.action.as_str().into())),
                    ("properties", Some(action)),
                ])),
            ),
            (
                "resource",
                Some(object([
                    ("type", Some(matched.resource_type.as_str().into())),
                    ("id", Some(matched.resource_id.as_str().into())),
                    (
                        "properties",
                        Some(object([("service", Some(matched.service.as_str().into()))])),
                    ),
                ])),
            ),
            ("context", Some(context)),
        ]))?;
        Ok(Described { operation, shown })
    }

    /// The request to the upstream, with this body in place of the one that was read, if any.
    pub fn into_request<B>(
        self,
        upstream: &Upstream,
        sent: Sent,
        body: B,
    ) -> Result<Request<B>, http::Error> {
        let target = match &self.query {
            Some(query) => PathAndQuery::try_from(format!("{}?{query}", self.path))?,
            None => PathAndQuery::try_from(self.path.as_str())?,
        };
        let uri = Uri::builder()
            .scheme(upstream.scheme.clone())
            .authority(upstream.authority.clone())
            .path_and_query(target)
            .build()?;
        let mut request = Request::builder().method(self.method).uri(uri).body(body)?;
        let headers = request.headers_mut();
        headers.reserve(self.fields.forwarded.len() + 3);
        headers.insert(header::HOST, upstream.host.clone());
        headers.insert(header::VIA, VIA);
        for field in self.fields.forwarded {
            match (field.covered, sent) {
                (Covered::ByValue | Covered::ByHmac, _) | (Covered::Not, Sent::AsAllowed) => {
                    headers.append(field.name, field.value);
                }
                (Covered::Not, Sent::AsApproved) => {}
            }
        }
        if let Some(authorization) = self.fields.authorization {
            headers.insert(header::AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}

/// An object of these members, where they are there. Moves them in: `json!` would copy.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let mut object = Map::with_capacity(N);
    for (name, value) in members {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    }
    Value::Object(object)
}

/// Why a call cannot be approved: 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Stable name of the rule.
    pub code: &'static str,
    /// In plain words.
    pub sentence: String,
}

impl From<Unusual> for Refused {
    fn from(unusual: Unusual) -> Self {
        Self {
            code: unusual.code(),
            sentence: unusual.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
