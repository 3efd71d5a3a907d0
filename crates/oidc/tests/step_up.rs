//! A step-up against a provider that does what the test says: each way in which it can fail ends in its own error.
//! (The real provider is driven in the workspace's `tests/`.)

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_evidence::op_token::{AcrClaim, OpConfig};
use countersign_evidence::{SecretKey, dpop};
use countersign_model::{Clock, Issuer, UnixSecs};
use countersign_oidc::{
    BoundSignIn, Confirmed, Consent, Opener, Provider, StepUpError, StepUpRequest, TokenWish,
    refresh_claims, step_up, token_by_browser,
};
use serde_json::{Value, json};
use url::Url;

struct Now(UnixSecs);
impl Clock for Now {
    fn now(&self) -> UnixSecs {
        self.0
    }
}

fn now() -> UnixSecs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixSecs(i64::try_from(since.as_secs()).unwrap())
}

type Params = HashMap<String, String>;
type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

/// How the provider behaves; by default well.
struct Manners {
    discovery: Change,
    claims: Change,
    answer: Change,
    par: Option<fn() -> Response>,
    /// The redirect's parameters, beside `state`.
    redirect: &'static str,
    wants_nonce: bool,
    key: SecretKey,
    issuer: Mutex<String>,
    /// What the authorization request asked for.
    asked: Mutex<Params>,
    /// What went through the browser.
    seen: Mutex<Params>,
    token: Mutex<Params>,
    proofs: AtomicUsize,
    now: UnixSecs,
}

fn nothing() -> Change {
    Box::new(|_| ())
}

fn good() -> Manners {
    Manners {
        discovery: nothing(),
        claims: nothing(),
        answer: nothing(),
        par: None,
        redirect: "code=c0de",
        wants_nonce: false,
        key: SecretKey::generate([1; 32]),
        issuer: Mutex::default(),
        asked: Mutex::default(),
        seen: Mutex::default(),
        token: Mutex::default(),
        proofs: AtomicUsize::new(0),
        now: now(),
    }
}

type Op = Arc<Manners>;

async fn discovery(State(op): State<Op>) -> Json<Value> {
    let issuer = op.issuer.lock().unwrap().clone();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
    });
    (op.discovery)(&mut document);
    Json(document)
}

async fn jwks(State(op): State<Op>) -> Json<Value> {
    let mut jwk = op.key.public().to_jwk();
    jwk["kid"] = op.key.public().thumbprint().into();
    Json(json!({"keys": [jwk]}))
}

async fn par(State(op): State<Op>, Form(form): Form<Params>) -> Response {
    if let Some(par) = op.par {
        return par();
    }
    *op.asked.lock().unwrap() = form;
    let answer = json!({"request_uri": "urn:example:r1", "expires_in": 60});
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn token(State(op): State<Op>, headers: HeaderMap, Form(form): Form<Params>) -> Response {
    let asked = op.asked.lock().unwrap().clone();
    *op.token.lock().unwrap() = form;
    let url = format!("{}/token", op.issuer.lock().unwrap());
    let proof = headers.get("dpop").map(|proof| {
        op.proofs.fetch_add(1, Ordering::SeqCst);
        dpop::verify(proof.to_str().unwrap(), "POST", &url, None, op.now).unwrap()
    });
    if op.wants_nonce && proof.as_ref().is_some_and(|proof| proof.nonce.is_none()) {
        let error = Json(json!({"error": "use_dpop_nonce"}));
        return (StatusCode::BAD_REQUEST, [("dpop-nonce", "n1")], error).into_response();
    }
    assert_eq!(
        proof.as_ref().map(|proof| proof.jkt.to_string()),
        asked.get("dpop_jkt").cloned(),
        "the proof is by the key that the request named"
    );
    let mut claims = json!({
        "iss": *op.issuer.lock().unwrap(), "sub": "elin", "aud": "approver", "nonce": asked.get("nonce"),
        "iat": op.now.0, "exp": op.now.0 + 300, "auth_time": op.now.0, "acr": "mfa",
    });
    (op.claims)(&mut claims);
    let mut answer = json!({
        "access_token": "an.access.token", "token_type": if proof.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": 600, "scope": asked.get("scope"), "refresh_token": "r1",
        "id_token": countersign_evidence::jose::sign(&op.key, "JWT", &claims),
    });
    (op.answer)(&mut answer);
    Json(answer).into_response()
}

/// The browser of a person who does as the provider's manners say.
struct Browser(Op);

impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        let seen: Params = url.query_pairs().into_owned().collect();
        let mut asked = self.0.asked.lock().unwrap();
        if seen.get("request_uri").map(String::as_str) != Some("urn:example:r1") {
            *asked = seen.clone();
        }
        let back = format!(
            "{}?{}&state={}",
            asked["redirect_uri"], self.0.redirect, asked["state"]
        );
        *self.0.seen.lock().unwrap() = seen;
        tokio::spawn(async move { reqwest::get(back).await.unwrap() });
        Ok(())
    }
}

async fn start(manners: Manners) -> (Op, Arc<Provider>) {
    let op = Arc::new(manners);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    op.issuer.lock().unwrap().clone_from(&issuer);
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/par", post(par))
        .route("/token", post(token))
        .with_state(Arc::clone(&op));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let clock = Arc::new(Now(op.now));
    let provider = Provider::new(Issuer::parse(&issuer).unwrap(), clock).unwrap();
    (op, Arc::new(provider))
}

fn request(op: &Op, provider: &Provider) -> StepUpRequest {
    StepUpRequest {
        config: OpConfig::new(provider.issuer().clone(), "approver"),
        redirect_path: "/callback".to_owned(),
        ports: vec![0],
        nonce: "the-vote".to_owned(),
        sub: "elin".to_owned(),
        signed_at: op.now,
        good_until: op.now + 900,
        acr: Some("mfa".to_owned()),
        consent: Some(Consent {
            scope: "approve:orders.delete".to_owned(),
            resource: "https://approvals.example/step-up".to_owned(),
            key: Some(SecretKey::generate_es256([7; 32])),
        }),
        claims_scopes: Vec::new(),
    }
}

async fn confirm_with(
    manners: Manners,
    change: impl FnOnce(&mut StepUpRequest),
) -> (Op, Result<Confirmed, StepUpError>) {
    let (op, provider) = start(manners).await;
    let mut request = request(&op, &provider);
    change(&mut request);
    let browser = Browser(Arc::clone(&op));
    let done = step_up(&provider, &request, &browser, &|_| ()).await;
    (op, done)
}

async fn refused(manners: Manners) -> StepUpError {
    let (_, done) = confirm_with(manners, |_| ()).await;
    match done {
        Ok(_) => panic!("it was confirmed"),
        Err(error) => error,
    }
}

fn claim(name: &'static str, value: Value) -> Change {
    Box::new(move |claims| {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    })
}

#[tokio::test]
async fn everything_that_ties_the_answer_to_the_vote_is_asked_for_and_pushed() {
    let (op, done) = confirm_with(good(), |_| ()).await;
    let confirmed = done.unwrap();
    assert_eq!(confirmed.access_token.as_deref(), Some("an.access.token"));
    let seen = op.seen.lock().unwrap().clone();
    assert_eq!(
        seen.keys()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>(),
        ["client_id", "request_uri"],
        "the browser carries a reference and nothing else"
    );
    let asked = op.asked.lock().unwrap().clone();
    for (name, value) in [
        ("nonce", "the-vote"),
        ("prompt", "login"),
        ("max_age", "60"),
        ("scope", "openid approve:orders.delete"),
        ("resource", "https://approvals.example/step-up"),
        ("client_id", "approver"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked.get(name).map(String::as_str), Some(value), "{name}");
    }
    let key = SecretKey::generate_es256([7; 32]).public().thumbprint();
    assert_eq!(asked["dpop_jkt"], key);
    let claims: Value = serde_json::from_str(&asked["claims"]).unwrap();
    let id_token = &claims["id_token"];
    assert_eq!(
        id_token["acr"],
        json!({"essential": true, "values": ["mfa"]})
    );
    assert_eq!(id_token["sub"], json!({"essential": true, "value": "elin"}));
    assert_eq!(
        op.token.lock().unwrap()["resource"],
        "https://approvals.example/step-up"
    );
    assert_eq!(op.proofs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_pushed_requests_the_browser_carries_them_itself() {
    let manners = Manners {
        discovery: claim("pushed_authorization_request_endpoint", Value::Null),
        ..good()
    };
    let (op, done) = confirm_with(manners, |_| ()).await;
    assert!(done.is_ok());
    assert_eq!(op.seen.lock().unwrap()["nonce"], "the-vote");
}

#[tokio::test]
async fn a_nonce_that_the_token_endpoint_wants_goes_into_the_proof() {
    let manners = Manners {
        wants_nonce: true,
        ..good()
    };
    let (op, done) = confirm_with(manners, |_| ()).await;
    assert!(done.is_ok());
    assert_eq!(op.proofs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_a_scope_nothing_is_consented_to_and_no_token_is_passed_on() {
    let (op, done) = confirm_with(good(), |request| request.consent = None).await;
    assert!(done.unwrap().access_token.is_none());
    let asked = op.asked.lock().unwrap().clone();
    assert_eq!(asked["scope"], "openid");
    assert!(!asked.contains_key("resource") && !asked.contains_key("dpop_jkt"));
}

#[tokio::test]
async fn claims_are_asked_for_by_the_scopes_of_the_sign_in_and_nothing_to_refresh_by() {
    let (op, done) = confirm_with(good(), |request| {
        request.consent = None;
        let scopes = ["openid", "groups", "offline_access"];
        request.claims_scopes = scopes.map(str::to_owned).to_vec();
    })
    .await;
    assert!(done.is_ok());
    assert_eq!(op.asked.lock().unwrap()["scope"], "openid groups");
}

#[tokio::test]
async fn declining_is_told_from_every_other_end() {
    let error = refused(Manners {
        redirect: "error=access_denied",
        ..good()
    })
    .await;
    assert_eq!(error.code(), "step_up_declined");
    assert_eq!(error.to_string(), "you declined at the identity provider");
}

#[tokio::test]
async fn a_level_that_is_missing_or_another_one_is_named() {
    for (found, said) in [(Value::Null, "confirmed none"), (json!("pwd"), "`pwd`")] {
        let error = refused(Manners {
            claims: claim("acr", found),
            ..good()
        })
        .await;
        assert_eq!(error.code(), "step_up_level");
        let text = error.to_string();
        assert!(text.contains("`mfa`") && text.contains(said), "{text}");
    }
    let error = refused(Manners {
        redirect: "error=unmet_authentication_requirements",
        ..good()
    })
    .await;
    assert_eq!(error.code(), "step_up_level");
}

#[tokio::test]
async fn the_level_is_asked_for_and_read_where_the_provider_keeps_it() {
    let manners = Manners {
        claims: claim("acrs", json!(["c1", "mfa"])),
        ..good()
    };
    let (op, done) = confirm_with(manners, |request| {
        request.config.acr_claim = AcrClaim::Acrs;
    })
    .await;
    assert!(done.is_ok());
    let claims: Value = serde_json::from_str(&op.asked.lock().unwrap()["claims"]).unwrap();
    assert_eq!(claims["id_token"]["acrs"]["values"], json!(["mfa"]));
}

#[tokio::test]
async fn another_account_is_refused() {
    let error = refused(Manners {
        claims: claim("sub", json!("jonas")),
        ..good()
    })
    .await;
    assert_eq!(error.code(), "step_up_other_account");
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_named() {
    for granted in [json!("openid"), json!("")] {
        let error = refused(Manners {
            answer: claim("scope", granted),
            ..good()
        })
        .await;
        assert_eq!(error.code(), "step_up_scope_not_granted");
        assert!(error.to_string().contains("`approve:orders.delete`"));
    }
    // RFC 6749, 5.1: an answer without the member grants what was asked for.
    let manners = Manners {
        answer: claim("scope", Value::Null),
        ..good()
    };
    assert!(confirm_with(manners, |_| ()).await.1.is_ok());
}

#[tokio::test]
async fn a_sign_in_that_is_not_fresh_confirms_nothing() {
    for at in [
        Value::Null,
        json!(0),
        json!(now().0 - 3600),
        json!(now().0 + 3600),
    ] {
        let error = refused(Manners {
            claims: claim("auth_time", at.clone()),
            ..good()
        })
        .await;
        assert_eq!(error.code(), "step_up_not_fresh", "{at}");
    }
}

#[tokio::test]
async fn an_answer_for_another_vote_is_refused() {
    for nonce in [json!("another-vote"), Value::Null] {
        let error = refused(Manners {
            claims: claim("nonce", nonce),
            ..good()
        })
        .await;
        assert_eq!(error.code(), "token_nonce");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_says_so_before_the_browser_opens() {
    let refusing = || {
        let error = Json(json!({"error": "invalid_target"}));
        (StatusCode::BAD_REQUEST, error).into_response()
    };
    let (op, done) = confirm_with(
        Manners {
            par: Some(refusing),
            ..good()
        },
        |_| (),
    )
    .await;
    assert_eq!(done.err().unwrap().code(), "step_up_unable");
    assert!(op.seen.lock().unwrap().is_empty());
    let html = || "<h1>Welcome</h1>".into_response();
    let error = refused(Manners {
        par: Some(html),
        ..good()
    })
    .await;
    assert_eq!(error.code(), "bad_provider");
}

#[tokio::test]
async fn only_algorithms_that_the_provider_names_prove_a_key() {
    for (known, alg) in [
        (json!(["ES256", "Ed25519"]), Some("ES256")),
        (json!(["Ed25519"]), Some("Ed25519")),
        (json!(["RS256"]), None),
        (Value::Null, None),
    ] {
        let manners = Manners {
            discovery: claim("dpop_signing_alg_values_supported", known),
            ..good()
        };
        let (_op, provider) = start(manners).await;
        let found = provider.proof_alg().await.unwrap();
        assert_eq!(found.map(|found| found.as_str()), alg);
    }
}

#[tokio::test]
async fn a_challenge_for_a_better_sign_in_becomes_parameters_of_the_next_one() {
    let (op, provider) = start(good()).await;
    let wish = |acr: &[&str], max_age_secs| TokenWish {
        client_id: "cli".to_owned(),
        scopes: vec!["openid".to_owned(), "orders:export".to_owned()],
        resource: Some("urn:orders".to_owned()),
        redirect_path: "/callback".to_owned(),
        acr_values: acr.iter().map(|acr| (*acr).to_owned()).collect(),
        max_age_secs,
    };
    let browser = Browser(Arc::clone(&op));
    token_by_browser(&provider, &wish(&["mfa", "hw"], Some(0)), &browser, &|_| ())
        .await
        .unwrap();
    let asked = op.asked.lock().unwrap().clone();
    assert_eq!(asked["acr_values"], "mfa hw");
    assert_eq!((&*asked["max_age"], &*asked["prompt"]), ("60", "login"));
    let claims: Value = serde_json::from_str(&asked["claims"]).unwrap();
    let acr = json!({"essential": true, "values": ["mfa", "hw"]});
    assert_eq!(claims["id_token"]["acr"], acr);
    token_by_browser(&provider, &wish(&[], None), &browser, &|_| ())
        .await
        .unwrap();
    let asked = op.asked.lock().unwrap().clone();
    for name in ["acr_values", "max_age", "prompt", "claims"] {
        assert!(!asked.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_whatever_else_is_wrong() {
    for claims in [
        claim("iat", json!(now().0 + 3600)),
        claim("aud", json!("somebody-else")),
    ] {
        let (op, provider) = start(Manners { claims, ..good() }).await;
        let config = OpConfig::new(provider.issuer().clone(), "approver");
        op.asked
            .lock()
            .unwrap()
            .insert("nonce".to_owned(), "n".to_owned());
        let refreshed = refresh_claims(&provider, &config, "r0", "n", BoundSignIn::No)
            .await
            .unwrap();
        assert_eq!(refreshed.refresh_token, "r1");
        assert!(refreshed.id_token.is_err());
    }
}
