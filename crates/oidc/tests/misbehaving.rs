//! Providers that misbehave, which a real one will not do on request: each way ends in an error that says
//! what happened. (A real provider is driven in the workspace's `tests/`.)

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use countersign_evidence::SecretKey;
use countersign_evidence::op_token::{AccessRules, OpConfig, OpRole};
use countersign_model::{Clock, Issuer, UnixSecs};
use countersign_oidc::{
    AccessError, BoundSignIn, DevicePrompt, OidcError, Opener, Progress, Provider, ResourceServer,
    SignInRequest, SignedIn, TokenWish, refresh_claims, sign_in, token_by_device,
};
use serde_json::{Value, json};
use url::Url;

/// A clock that starts at the real time, because hyper's `Date` does, and moves when told.
struct Hands(AtomicI64);

impl Hands {
    fn now() -> Arc<Self> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        Arc::new(Self(AtomicI64::new(i64::try_from(now).unwrap())))
    }
    fn forward(&self, secs: i64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> UnixSecs {
        UnixSecs(self.0.load(Ordering::SeqCst))
    }
}

type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

/// How the provider behaves; by default well.
struct Manners {
    discovery: Change,
    id_token: Change,
    answer: Change,
    token: Option<fn() -> Response>,
    keys: Mutex<Vec<SecretKey>>,
    key_fetches: AtomicUsize,
    polls: AtomicUsize,
    nonce: Mutex<String>,
    issuer: Mutex<String>,
    clock: Arc<Hands>,
}

fn nothing() -> Change {
    Box::new(|_| ())
}

fn good(clock: &Arc<Hands>) -> Manners {
    Manners {
        discovery: nothing(),
        id_token: nothing(),
        answer: nothing(),
        token: None,
        keys: Mutex::new(vec![SecretKey::generate([1; 32])]),
        key_fetches: AtomicUsize::new(0),
        polls: AtomicUsize::new(0),
        nonce: Mutex::default(),
        issuer: Mutex::default(),
        clock: Arc::clone(clock),
    }
}

type Op = Arc<Manners>;

async fn discovery(State(op): State<Op>) -> Response {
    let issuer = op.issuer.lock().unwrap().clone();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "device_authorization_endpoint": format!("{issuer}/device"),
    });
    (op.discovery)(&mut document);
    axum::Json(document).into_response()
}

async fn jwks(State(op): State<Op>) -> Response {
    op.key_fetches.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<Value> = op
        .keys
        .lock()
        .unwrap()
        .iter()
        .map(|key| {
            let mut jwk = key.public().to_jwk();
            jwk["kid"] = key.public().thumbprint().into();
            jwk
        })
        .collect();
    axum::Json(json!({ "keys": keys })).into_response()
}

impl Manners {
    fn jwt(&self, typ: &str, claims: Value) -> String {
        let mut claims = claims;
        let now = self.clock.now().0;
        claims["iss"] = self.issuer.lock().unwrap().clone().into();
        claims["sub"] = "elin".into();
        claims["iat"] = now.into();
        claims["exp"] = (now + 300).into();
        (self.id_token)(&mut claims);
        countersign_evidence::jose::sign(self.keys.lock().unwrap().last().unwrap(), typ, &claims)
    }
}

async fn token(State(op): State<Op>, Form(form): Form<Vec<(String, String)>>) -> Response {
    if let Some(token) = op.token {
        return token();
    }
    let has = |name: &str, value: &str| {
        form.iter()
            .any(|(key, given)| key == name && given == value)
    };
    if has("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
        && op.polls.fetch_add(1, Ordering::SeqCst) < 2
    {
        return (
            StatusCode::BAD_REQUEST,
            axum::Json(json!({"error": "authorization_pending"})),
        )
            .into_response();
    }
    let nonce = op.nonce.lock().unwrap().clone();
    let claims = json!({"aud": "approver", "nonce": nonce, "auth_time": op.clock.now().0 - 5});
    let mut answer = json!({
        "access_token": "opaque",
        "token_type": "bearer",
        "expires_in": 600,
        "refresh_token": "again",
        "id_token": op.jwt("JWT", claims),
    });
    (op.answer)(&mut answer);
    axum::Json(answer).into_response()
}

async fn device(State(op): State<Op>) -> Response {
    let issuer = op.issuer.lock().unwrap().clone();
    axum::Json(json!({
        "device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": format!("{issuer}/d"),
        "verification_uri_complete": format!("{issuer}/d?code=ABCD-EFGH"), "expires_in": 300, "interval": 0,
    }))
    .into_response()
}

async fn start(manners: Manners) -> (Op, Arc<Provider>) {
    let op = Arc::new(manners);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    op.issuer.lock().unwrap().clone_from(&issuer);
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/token", post(token))
        .route("/device", post(device))
        .with_state(Arc::clone(&op));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let provider = Provider::new(Issuer::parse(&issuer).unwrap(), op.clock.clone()).unwrap();
    (op, Arc::new(provider))
}

/// A browser in which the person says yes at once.
struct Browser {
    op: Op,
    answer: fn(&str) -> String,
}

impl Opener for Browser {
    fn open(&self, url: &Url) -> Result<(), String> {
        let of = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        assert_eq!(of("prompt").as_deref(), Some("login"));
        assert_eq!(of("max_age").as_deref(), Some("900"));
        assert_eq!(of("code_challenge_method").as_deref(), Some("S256"));
        *self.op.nonce.lock().unwrap() = of("nonce").unwrap();
        let back = format!(
            "{}?{}",
            of("redirect_uri").unwrap(),
            (self.answer)(&of("state").unwrap())
        );
        tokio::spawn(async move { reqwest::get(back).await.unwrap() });
        Ok(())
    }
}

fn yes(state: &str) -> String {
    format!("code=c0de&state={state}")
}

fn request(provider: &Provider) -> SignInRequest {
    SignInRequest {
        config: OpConfig::new(provider.issuer().clone(), "approver"),
        scopes: vec!["openid".to_owned()],
        redirect_path: "/callback".to_owned(),
        nonce: "the-commitment".to_owned(),
        ports: vec![0],
        bound_key: None,
    }
}

async fn try_sign_in(manners: Manners) -> Result<SignedIn, OidcError> {
    let (op, provider) = start(manners).await;
    let browser = Browser { op, answer: yes };
    sign_in(&provider, &request(&provider), &browser, &|_| ()).await
}

async fn code(manners: Manners) -> &'static str {
    try_sign_in(manners).await.unwrap_err().code()
}

#[tokio::test]
async fn a_well_behaved_provider_signs_in_and_refreshes() {
    let (op, provider) = start(good(&Hands::now())).await;
    let told = Mutex::new(Vec::new());
    let browser = Browser { op, answer: yes };
    let tell = |progress| told.lock().unwrap().push(progress);
    let signed_in = sign_in(&provider, &request(&provider), &browser, &tell)
        .await
        .unwrap();
    assert_eq!(signed_in.person.subject.sub, "elin");
    assert_eq!(signed_in.person.nonce.as_deref(), Some("the-commitment"));
    assert!(matches!(
        &told.lock().unwrap()[..],
        [
            Progress::Waiting {
                browser: Ok(()),
                ..
            },
            Progress::Answered
        ]
    ));
    let again = refresh_claims(
        &provider,
        &request(&provider).config,
        "again",
        "the-commitment",
        BoundSignIn::No,
    )
    .await
    .unwrap();
    let (_, person) = again.id_token.unwrap().unwrap();
    assert_eq!(person.subject.sub, "elin");
    assert!(
        !format!("{:?}", signed_in.tokens).contains("again"),
        "tokens are never printed"
    );
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let manners = Manners {
        discovery: Box::new(|document| document["issuer"] = "https://id.example".into()),
        ..good(&Hands::now())
    };
    assert_eq!(code(manners).await, "bad_provider");
}

#[tokio::test]
async fn html_with_200_at_the_token_endpoint_is_named() {
    let html = || ([(header::CONTENT_TYPE, "text/html")], "<h1>Welcome</h1>").into_response();
    assert_eq!(
        code(Manners {
            token: Some(html),
            ..good(&Hands::now())
        })
        .await,
        "bad_provider"
    );
    let text = || "<h1>Welcome</h1>".into_response();
    assert_eq!(
        code(Manners {
            token: Some(text),
            ..good(&Hands::now())
        })
        .await,
        "bad_provider"
    );
}

#[tokio::test]
async fn errors_with_unusual_status_or_nothing_at_all_are_told_apart() {
    let forbidden = || {
        (
            StatusCode::FORBIDDEN,
            axum::Json(json!({"error": "invalid_grant"})),
        )
            .into_response()
    };
    let error = try_sign_in(Manners {
        token: Some(forbidden),
        ..good(&Hands::now())
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the identity provider refused: invalid_grant"
    );
    let empty = || StatusCode::BAD_REQUEST.into_response();
    assert_eq!(
        code(Manners {
            token: Some(empty),
            ..good(&Hands::now())
        })
        .await,
        "bad_provider"
    );
    let elsewhere = || {
        (
            StatusCode::FOUND,
            [(header::LOCATION, "http://169.254.169.254/")],
        )
            .into_response()
    };
    assert_eq!(
        code(Manners {
            token: Some(elsewhere),
            ..good(&Hands::now())
        })
        .await,
        "bad_provider"
    );
    let endless = || "x".repeat(300 * 1024).into_response();
    assert_eq!(
        code(Manners {
            token: Some(endless),
            ..good(&Hands::now())
        })
        .await,
        "bad_provider"
    );
}

#[tokio::test]
async fn an_answer_without_id_token_or_fresh_sign_in_binds_nothing() {
    let none =
        Box::new(|answer: &mut Value| drop(answer.as_object_mut().unwrap().remove("id_token")));
    assert_eq!(
        code(Manners {
            answer: none,
            ..good(&Hands::now())
        })
        .await,
        "no_id_token"
    );
    let silent =
        Box::new(|claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("auth_time")));
    assert_eq!(
        code(Manners {
            id_token: silent,
            ..good(&Hands::now())
        })
        .await,
        "not_fresh"
    );
    let zero = Box::new(|claims: &mut Value| claims["auth_time"] = 0.into());
    assert_eq!(
        code(Manners {
            id_token: zero,
            ..good(&Hands::now())
        })
        .await,
        "not_fresh"
    );
    let old = Box::new(|claims: &mut Value| {
        claims["auth_time"] = (claims["iat"].as_i64().unwrap() - 301).into()
    });
    assert_eq!(
        code(Manners {
            id_token: old,
            ..good(&Hands::now())
        })
        .await,
        "not_fresh"
    );
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_or_client_is_refused() {
    let other = Box::new(|claims: &mut Value| claims["nonce"] = "another".into());
    assert_eq!(
        code(Manners {
            id_token: other,
            ..good(&Hands::now())
        })
        .await,
        "token_nonce"
    );
    let other = Box::new(|claims: &mut Value| claims["aud"] = json!(["approver", "more"]));
    assert_eq!(
        code(Manners {
            id_token: other,
            ..good(&Hands::now())
        })
        .await,
        "token_audience"
    );
}

#[tokio::test]
async fn a_clock_that_is_off_is_said_before_the_browser_opens() {
    let clock = Hands::now();
    clock.forward(-90);
    let error = try_sign_in(good(&clock)).await.unwrap_err();
    assert_eq!(error.code(), "clock_off");
    assert!(
        error
            .to_string()
            .contains("seconds behind the identity provider's"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_date_the_tokens_own_time_tells_the_clock() {
    // axum always sends a date; the token's time is wrong here while the date is right.
    let ahead = Box::new(|claims: &mut Value| {
        claims["iat"] = (claims["iat"].as_i64().unwrap() + 3600).into()
    });
    assert_eq!(
        code(Manners {
            id_token: ahead,
            ..good(&Hands::now())
        })
        .await,
        "clock_off"
    );
}

#[tokio::test]
async fn saying_no_at_the_provider_is_declined() {
    let (op, provider) = start(good(&Hands::now())).await;
    let browser = Browser {
        op,
        answer: |state| format!("error=access_denied&error_description=%3Cb%3E&state={state}"),
    };
    let error = sign_in(&provider, &request(&provider), &browser, &|_| ())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "declined");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let issuer = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    let provider = Arc::new(Provider::new(Issuer::parse(&issuer).unwrap(), Hands::now()).unwrap());
    assert_eq!(
        provider.metadata().await.unwrap_err().code(),
        "provider_unreachable"
    );
    // ... and is not asked again at once.
    assert_eq!(
        provider.keys(Some("x")).await.unwrap_err().code(),
        "provider_unreachable"
    );
    assert!(
        provider
            .keys(Some("x"))
            .await
            .unwrap_err()
            .to_string()
            .contains("a moment ago")
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider::new(Issuer::parse(&issuer).unwrap(), Hands::now()).unwrap();
    let error = provider.metadata().await.unwrap_err();
    assert_eq!(error.code(), "provider_unreachable");
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn the_device_flow_waits_until_the_person_is_done() {
    let (op, provider) = start(good(&Hands::now())).await;
    let wish = TokenWish {
        client_id: "cli".to_owned(),
        scopes: vec!["openid".to_owned()],
        resource: Some("urn:orders".to_owned()),
        redirect_path: "/callback".to_owned(),
        acr_values: Vec::new(),
        max_age_secs: None,
    };
    let shown = Mutex::new(None);
    let show = |prompt: &DevicePrompt| *shown.lock().unwrap() = Some(prompt.clone());
    let tokens = token_by_device(&provider, &wish, &show).await.unwrap();
    assert_eq!(tokens.access_token, "opaque");
    assert_eq!(
        shown.lock().unwrap().as_ref().unwrap().user_code,
        "ABCD-EFGH"
    );
    assert_eq!(op.polls.load(Ordering::SeqCst), 3);
}

fn access_token(op: &Op) -> String {
    op.jwt(
        "at+jwt",
        json!({"aud": "urn:orders", "client_id": "cli", "jti": "1"}),
    )
}

#[tokio::test]
async fn callers_tokens_are_verified_and_rotation_is_seen_within_a_minute() {
    let clock = Hands::now();
    let (op, provider) = start(good(&clock)).await;
    let rules = AccessRules {
        issuer: provider.issuer().clone(),
        audience: "urn:orders".to_owned(),
        algorithms: vec!["Ed25519".to_owned()],
        approver_client_ids: vec!["approver".to_owned()],
        roles: std::collections::BTreeSet::from([OpRole::Requester]),
    };
    let server = ResourceServer::new(vec![(Arc::clone(&provider), rules)]);
    assert_eq!(
        server.verify(&access_token(&op)).await.unwrap().subject.sub,
        "elin"
    );
    *op.keys.lock().unwrap() = vec![SecretKey::generate([2; 32])];
    for _ in 0..20 {
        let error = server.verify(&access_token(&op)).await.unwrap_err();
        assert_eq!(error.code(), "token_key_unknown");
    }
    assert_eq!(op.key_fetches.load(Ordering::SeqCst), 1);
    clock.forward(60);
    assert!(server.verify(&access_token(&op)).await.is_ok());
    assert_eq!(op.key_fetches.load(Ordering::SeqCst), 2);
    // What the dropped key signed is good as evidence, and for nothing else.
    let old = SecretKey::generate([1; 32]).public().thumbprint();
    let keys = provider.keys(None).await.unwrap();
    assert!(keys.seen.knows(&old) && !keys.current.knows(&old));
}

#[tokio::test]
async fn a_token_from_elsewhere_is_unknown_and_causes_no_traffic() {
    let (op, provider) = start(good(&Hands::now())).await;
    let server = ResourceServer::new(vec![]);
    assert!(matches!(
        server.verify(&access_token(&op)).await,
        Err(AccessError::UnknownIssuer)
    ));
    assert_eq!(
        server.verify("nonsense").await.unwrap_err().code(),
        "token_malformed"
    );
    assert_eq!(op.key_fetches.load(Ordering::SeqCst), 0);
    drop(provider);
}

#[tokio::test]
async fn the_page_after_the_sign_in_has_a_clean_address() {
    let (op, provider) = start(good(&Hands::now())).await;
    struct Looking(
        Op,
        Mutex<Option<tokio::task::JoinHandle<(Url, HeaderMap, String)>>>,
    );
    impl Opener for Looking {
        fn open(&self, url: &Url) -> Result<(), String> {
            let of = |name: &str| {
                url.query_pairs()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.into_owned())
            };
            *self.0.nonce.lock().unwrap() = of("nonce").unwrap();
            let back = format!(
                "{}?{}",
                of("redirect_uri").unwrap(),
                yes(&of("state").unwrap())
            );
            let look = async move {
                let response = reqwest::get(back).await.unwrap();
                (
                    response.url().clone(),
                    response.headers().clone(),
                    response.text().await.unwrap(),
                )
            };
            *self.1.lock().unwrap() = Some(tokio::spawn(look));
            Ok(())
        }
    }
    let browser = Looking(op, Mutex::default());
    sign_in(&provider, &request(&provider), &browser, &|_| ())
        .await
        .unwrap();
    let looked = browser.1.lock().unwrap().take().unwrap();
    let (url, headers, page) = looked.await.unwrap();
    assert_eq!((url.path(), url.query()), ("/signed-in", None));
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; style-src 'sha256-")
    );
    assert!(
        page.contains("You can close this") && !page.contains("<script") && !page.contains("c0de")
    );
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_life_and_with_its_key() {
    let clock = Hands::now();
    let (op, provider) = start(good(&clock)).await;
    let rules = AccessRules {
        issuer: provider.issuer().clone(),
        audience: "urn:orders".to_owned(),
        algorithms: vec!["Ed25519".to_owned()],
        approver_client_ids: vec![],
        roles: std::collections::BTreeSet::from([OpRole::Requester]),
    };
    let server = ResourceServer::new(vec![(Arc::clone(&provider), rules)]);
    let token = access_token(&op);
    let first = server.verify(&token).await.unwrap();
    assert_eq!(server.verify(&token).await.unwrap(), first);
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{rest}.{}", signature.chars().rev().collect::<String>());
    assert!(server.verify(&forged).await.is_err());
    clock.forward(361);
    assert_eq!(
        server.verify(&token).await.unwrap_err().code(),
        "token_expired"
    );
    // A token in the middle of its life, whose key is withdrawn: gone with the next fetch.
    let token = access_token(&op);
    assert!(server.verify(&token).await.is_ok());
    *op.keys.lock().unwrap() = vec![SecretKey::generate([2; 32])];
    clock.forward(60);
    assert!(server.verify(&access_token(&op)).await.is_ok());
    assert_eq!(
        server.verify(&token).await.unwrap_err().code(),
        "token_key_unknown"
    );
}

#[tokio::test]
async fn keys_seen_are_known_after_a_restart_and_forgotten_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Hands::now();
    let (op, provider) = start(good(&clock)).await;
    let issuer = provider.issuer().clone();
    let again = || {
        Provider::new(issuer.clone(), clock.clone())
            .unwrap()
            .remember_in(folder.path())
    };
    let old = SecretKey::generate([1; 32]).public().thumbprint();
    Arc::new(again().unwrap()).keys(None).await.unwrap();
    *op.keys.lock().unwrap() = vec![SecretKey::generate([2; 32])];
    let keys = Arc::new(again().unwrap()).keys(None).await.unwrap();
    assert!(keys.seen.knows(&old) && !keys.current.knows(&old));
    clock.forward(43_201);
    let keys = Arc::new(again().unwrap()).keys(None).await.unwrap();
    assert!(!keys.seen.knows(&old));
    let file = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(file, "not JSON").unwrap();
    assert_eq!(
        again().unwrap_err().code(),
        "setup",
        "a damaged file is said, not passed over"
    );
}
