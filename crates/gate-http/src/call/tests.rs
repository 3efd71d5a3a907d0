//! What is described is what is sent, and two calls that differ anywhere are two operations.

use countersign_evidence::op_token::CallerKind;
use countersign_model::Subject;
use http::header::{HeaderMap, HeaderName};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::headers::HeaderRules;
use crate::routes::Routed;

fn frame() -> Frame {
    Frame {
        pep: PepId::parse("orders-gate").unwrap(),
        upstream: Upstream {
            scheme: Scheme::HTTP,
            authority: Authority::from_static("orders.internal:9000"),
            host: HeaderValue::from_static("orders.internal:9000"),
        },
        credential_key: CredentialKey::from_bytes([5; 32]),
        text_limit: 1000,
    }
}

fn caller() -> Caller {
    let claims = json!({ "name": "Mara", "groups": ["orders-dev"] });
    Caller {
        subject: Subject::parse("https://op.example|mara").unwrap(),
        kind: CallerKind::Person,
        claims: claims.as_object().unwrap().clone(),
        act: None,
        standing: crate::caller::Standing::default(),
        requester: None,
    }
}

fn matched() -> Matched {
    Matched {
        action: "orders.customers.patch".into(),
        resource_type: "orders.customer".into(),
        resource_id: "42".into(),
        service: "orders-api".into(),
        verb: "Change".into(),
        thing: "customer 42".into(),
        routed: Routed::ByRoute,
    }
}

fn nonce() -> Nonce {
    Nonce::from_bytes([1; 16])
}

/// A call as a test writes it.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    method: Method,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Written {
    fn new() -> Self {
        Self {
            method: Method::PATCH,
            path: "/customers/42".into(),
            query: Some("dry=no".into()),
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("cookie".into(), "s=1".into()),
            ],
            body: b"{\"city\":\"Leeds\"}".to_vec(),
        }
    }

    fn call(&self) -> Call {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("gate"));
        map.insert(
            "authorization",
            HeaderValue::from_static("Bearer secret-token"),
        );
        for (name, value) in &self.headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Call {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            fields: HeaderRules::default().sort(&map).unwrap(),
            body: Some(Bytes::from(self.body.clone())),
        }
    }

    fn operation(&self) -> Operation {
        self.call()
            .operation(&frame(), &caller(), &matched(), &nonce())
            .unwrap()
            .operation
    }
}

#[test]
fn the_operation_is_the_documented_one() {
    let operation = Written::new().operation();
    let key = CredentialKey::from_bytes([5; 32]);
    assert_eq!(
        *operation.value(),
        json!({
            "subject": { "type": "user", "id": "https://op.example|mara",
                "properties": { "claims": { "name": "Mara", "groups": ["orders-dev"] } } },
            "action": { "name": "orders.customers.patch", "properties": {
                "kind": "http", "title": { "verb": "Change", "thing": "customer 42" }, "method": "PATCH",
                "scheme": "http", "authority": "orders.internal:9000", "path": "/customers/42", "query": "dry=no",
                "headers": [["content-type", "application/json"], ["cookie", key.mac("cookie", b"s=1")]],
                "body": { "size": 16, "sha256": countersign_model::Digest::of(b"{\"city\":\"Leeds\"}").to_string(),
                    "text": "{\"city\":\"Leeds\"}" } } },
            "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
            "context": { "pep": "orders-gate", "nonce": nonce().as_str() },
        })
    );
    let text = String::from_utf8(operation.bytes().to_vec()).unwrap();
    assert!(
        !text.contains("secret-token") && !text.contains("s=1"),
        "no credential stands in an operation"
    );
}

#[test]
fn a_single_change_anywhere_is_another_operation() {
    let base = Written::new();
    let changes: [fn(&mut Written); 12] = [
        |w| w.method = Method::PUT,
        |w| w.path = "/customers/43".into(),
        |w| w.path = "/customers/42/".into(),
        |w| w.query = None,
        |w| w.query = Some(String::new()),
        |w| w.query = Some("dry=no&".into()),
        |w| w.headers[0].1 = "text/json".into(),
        |w| w.headers[1].1 = "s=2".into(),
        |w| w.headers.push(("x-more".into(), String::new())),
        |w| w.headers.swap(0, 1),
        |w| w.body.push(b' '),
        |w| w.body.clear(),
    ];
    let mut digests = vec![base.operation().digest()];
    for (index, change) in changes.iter().enumerate() {
        let mut other = base.clone();
        change(&mut other);
        let digest = other.operation().digest();
        assert!(!digests.contains(&digest), "change {index}");
        digests.push(digest);
    }
}

#[test]
fn what_varies_between_a_call_and_its_retry_is_not_bound_and_not_sent() {
    let base = Written::new();
    let mut retry = base.clone();
    retry.headers.push(("traceparent".into(), "00-1".into()));
    retry.headers.push(("approval-id".into(), "x".into()));
    retry
        .headers
        .push(("x-forwarded-for".into(), "10.0.0.1".into()));
    assert_eq!(base.operation().digest(), retry.operation().digest());
    let frame = frame();
    let approved = retry
        .call()
        .into_request(&frame.upstream, Sent::AsApproved, ())
        .unwrap();
    assert!(!approved.headers().contains_key("traceparent"));
    let allowed = retry
        .call()
        .into_request(&frame.upstream, Sent::AsAllowed, ())
        .unwrap();
    assert!(allowed.headers().contains_key("traceparent"));
    for request in [approved, allowed] {
        assert!(!request.headers().contains_key("approval-id"));
        assert!(!request.headers().contains_key("x-forwarded-for"));
        assert_eq!(request.headers()["authorization"], "Bearer secret-token");
        assert_eq!(request.headers()["host"], "orders.internal:9000");
    }
}

#[test]
fn a_text_that_does_not_fit_goes_in_as_digest() {
    let mut long = Written::new();
    long.body = vec![b'"'; 50_000];
    let frame = Frame {
        text_limit: 60_000,
        ..frame()
    };
    let described = long
        .call()
        .operation(&frame, &caller(), &matched(), &nonce())
        .unwrap();
    assert_eq!(described.shown, Shown::Opaque);
    assert!(
        described.operation.action_properties()["body"]
            .get("text")
            .is_none()
    );
    assert_eq!(
        described.operation.action_properties()["body"]["size"],
        50_000
    );
}

#[test]
fn a_size_is_seen_only_where_it_is_known_and_never_as_a_smaller_one() {
    let call = Written::new().call();
    let seen = |size| call.seen(&frame(), &matched(), size).body_bytes;
    assert_eq!(seen(None), None);
    assert_eq!(seen(Some(u64::MAX)), Some(i64::MAX));
}

#[test]
fn what_an_upstream_could_read_as_another_call_is_refused() {
    let with = |change: fn(&mut Written)| {
        let mut written = Written::new();
        change(&mut written);
        written.call()
    };
    let overrides = |change| {
        with(change)
            .check_overrides()
            .map(drop)
            .map_err(|no| no.code())
    };
    assert_eq!(overrides(|_| ()), Ok(()));
    assert_eq!(
        overrides(|w| w.query = Some("_method=GET".into())),
        Err("method_override")
    );
    let form = |w: &mut Written| {
        w.headers[0].1 = "application/x-www-form-urlencoded".into();
        w.body = b"password=new&_method=DELETE".to_vec();
    };
    assert_eq!(overrides(form), Err("method_override"));
    let form_or_text = |w: &mut Written| {
        w.headers[0].1 = "application/x-www-form-urlencoded".into();
        w.headers.push(("content-type".into(), "text/plain".into()));
        w.body = b"\xff=1&_method=DELETE".to_vec();
    };
    assert_eq!(overrides(form_or_text), Err("method_override"));
    assert_eq!(
        overrides(|w| w.body = b"{\"_method\":\"DELETE\"}".to_vec()),
        Err("method_override")
    );
    assert_eq!(
        overrides(|w| w.headers.push(("content-encoding".into(), "gzip".into()))),
        Err("body_encoded")
    );

    let approval = |change| with(change).check_for_approval().map_err(|no| no.code);
    assert_eq!(approval(|_| ()), Ok(()));
    assert_eq!(
        approval(|w| w.headers.push(("upgrade".into(), "h2c".into()))),
        Err("upgrade")
    );
    assert_eq!(
        approval(|w| w.query = Some("access_token=x".into())),
        Err("credential_in_query")
    );
    let password = |w: &mut Written| {
        w.headers[0].1 = "application/x-www-form-urlencoded".into();
        w.body = b"password=new".to_vec();
    };
    assert_eq!(
        approval(password),
        Ok(()),
        "changing a password is something to approve"
    );
}

fn any_call() -> impl Strategy<Value = Written> {
    let method = prop::sample::select(vec![
        Method::GET,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ]);
    let header =
        ("x-[a-d]{1,2}", "[ -~]{0,6}").prop_map(|(name, value)| (name, value.trim().to_owned()));
    (
        method,
        "/[a-c]{0,2}(/[a-c]{1,2}){0,2}",
        prop::option::of("[a-c=&]{0,4}"),
        prop::collection::vec(header, 0..4),
        prop::collection::vec(prop::sample::select(vec![b'a', b'"', 0xff, 0]), 0..4),
    )
        .prop_map(|(method, path, query, headers, body)| Written {
            method,
            path,
            query,
            headers,
            body,
        })
}

/// `HeaderMap` keeps the values of one name together: two texts that it reads alike are one call.
fn as_read(written: &Written) -> Vec<(String, String)> {
    let fields = written.call().fields;
    fields
        .forwarded
        .iter()
        .map(|f| (f.name.to_string(), f.value.to_str().unwrap().to_owned()))
        .collect()
}

proptest! {
    #[test]
    fn two_different_calls_are_two_operations(one in any_call(), two in any_call()) {
        let same = one.method == two.method
            && one.path == two.path
            && one.query == two.query
            && as_read(&one) == as_read(&two)
            && one.body == two.body;
        prop_assert_eq!(same, one.operation().digest() == two.operation().digest());
    }

    #[test]
    fn a_policy_sees_of_a_call_what_it_sees_of_its_operation(
        written in any_call(),
        justification in prop::option::of("[ -~]{0,9}"),
        ticket in prop::option::of("[A-Z0-9-]{0,9}"),
    ) {
        let mut written = written;
        let said = [("countersign-justification", justification), ("countersign-ticket", ticket)];
        written.headers.extend(said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
        let (call, operation) = (written.call(), written.operation());
        let (frame, matched, size) = (frame(), matched(), written.body.len() as u64);
        prop_assert_eq!(call.seen(&frame, &matched, Some(size)), Seen::of(&operation));
    }

    #[test]
    fn what_is_sent_is_what_was_described(written in any_call()) {
        let operation = written.operation();
        let properties = operation.action_properties();
        let sent = written.call().into_request(&frame().upstream, Sent::AsApproved, ()).unwrap();
        prop_assert_eq!(sent.method().as_str(), properties["method"].as_str().unwrap());
        prop_assert_eq!(sent.uri().path(), properties["path"].as_str().unwrap());
        prop_assert_eq!(sent.uri().query(), properties.get("query").and_then(Value::as_str));
        prop_assert_eq!(sent.uri().authority().unwrap().as_str(), properties["authority"].as_str().unwrap());
        let own = ["host", "via", "authorization"];
        let headers: Vec<Value> = sent
            .headers()
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()))
            .map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()]))
            .collect();
        prop_assert_eq!(&Value::Array(headers), &properties["headers"]);
    }
}
