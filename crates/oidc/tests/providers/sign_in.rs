//! An approver's sign-in, the refresh after it, and a requester's token by another device.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_evidence::op_token::OpConfig;
use countersign_oidc::{
    BoundSignIn, DevicePrompt, OidcError, Progress, Provider, SignInRequest, SignedIn, TokenWish,
    refresh_claims, sign_in, token_by_device,
};
use serde_json::{Value, json};

use super::provider::{
    Browser, Change, Hands, Manners, Op, REFRESH_TOKEN, good, member, nobody, start,
};

const NONCE: &str = "the-commitment";

fn request(provider: &Provider) -> SignInRequest {
    SignInRequest {
        config: OpConfig::new(provider.issuer().clone(), "approver"),
        scopes: vec!["openid".to_owned()],
        redirect_path: "/callback".to_owned(),
        nonce: NONCE.to_owned(),
        ports: vec![0],
        bound_key: None,
    }
}

async fn sign_in_at(op: &Arc<Op>, provider: &Arc<Provider>) -> Result<SignedIn, OidcError> {
    sign_in(provider, &request(provider), &Browser::at(op), &|_| ()).await
}

async fn refused(manners: Manners) -> OidcError {
    let (op, provider) = start(manners).await;
    sign_in_at(&op, &provider).await.unwrap_err()
}

/// The code of what becomes of a sign-in at a provider that answers its token requests so.
async fn code_of_token(token: fn() -> Response) -> &'static str {
    let manners = Manners {
        token: Some(token),
        ..good()
    };
    refused(manners).await.code()
}

/// The same, at one that signs such ID tokens.
async fn code_of_claims(claims: Change) -> &'static str {
    refused(Manners { claims, ..good() }).await.code()
}

#[tokio::test]
async fn a_well_behaved_provider_signs_in_and_refreshes() {
    let (op, provider) = start(good()).await;
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().unwrap().push(progress);
    let signed_in = sign_in(&provider, &request(&provider), &Browser::at(&op), &tell)
        .await
        .unwrap();
    assert_eq!(signed_in.person.subject.sub, "elin");
    assert_eq!(signed_in.person.nonce.as_deref(), Some(NONCE));
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
    let asked = op.asked.lock().unwrap().clone();
    for (name, value) in [
        ("prompt", "login"),
        ("max_age", "900"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let config = request(&provider).config;
    let again = refresh_claims(&provider, &config, REFRESH_TOKEN, NONCE, BoundSignIn::No);
    let (_, person) = again.await.unwrap().id_token.unwrap().unwrap();
    assert_eq!(person.subject.sub, "elin");
    assert!(
        !format!("{:?}", signed_in.tokens).contains(REFRESH_TOKEN),
        "tokens are never printed"
    );
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let manners = Manners {
        discovery: member("issuer", json!("https://id.example")),
        ..good()
    };
    assert_eq!(refused(manners).await.code(), "bad_provider");
}

#[tokio::test]
async fn html_with_200_at_the_token_endpoint_is_named() {
    let html = || ([(header::CONTENT_TYPE, "text/html")], "<h1>Welcome</h1>").into_response();
    let text = || "<h1>Welcome</h1>".into_response();
    for token in [html, text] {
        assert_eq!(code_of_token(token).await, "bad_provider");
    }
}

#[tokio::test]
async fn errors_with_unusual_status_or_nothing_at_all_are_told_apart() {
    let forbidden = || {
        let error = Json(json!({"error": "invalid_grant"}));
        (StatusCode::FORBIDDEN, error).into_response()
    };
    let manners = Manners {
        token: Some(forbidden),
        ..good()
    };
    assert_eq!(
        refused(manners).await.to_string(),
        "the identity provider refused: invalid_grant"
    );
    let empty = || StatusCode::BAD_REQUEST.into_response();
    let elsewhere = || {
        let place = [(header::LOCATION, "http://169.254.169.254/")];
        (StatusCode::FOUND, place).into_response()
    };
    let endless = || "x".repeat(300 * 1024).into_response();
    for token in [empty, elsewhere, endless] {
        assert_eq!(code_of_token(token).await, "bad_provider");
    }
}

#[tokio::test]
async fn an_answer_without_id_token_or_fresh_sign_in_binds_nothing() {
    let manners = Manners {
        answer: member("id_token", Value::Null),
        ..good()
    };
    assert_eq!(refused(manners).await.code(), "no_id_token");
    let old = |claims: &mut Value| {
        claims["auth_time"] = (claims["iat"].as_i64().unwrap() - 301).into();
    };
    for claims in [
        member("auth_time", Value::Null),
        member("auth_time", json!(0)),
        Box::new(old),
    ] {
        assert_eq!(code_of_claims(claims).await, "not_fresh");
    }
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_or_client_is_refused() {
    let other = member("nonce", json!("another"));
    assert_eq!(code_of_claims(other).await, "token_nonce");
    let two = member("aud", json!(["approver", "more"]));
    assert_eq!(code_of_claims(two).await, "token_audience");
}

#[tokio::test]
async fn a_clock_that_is_off_is_said_before_the_browser_opens() {
    let (op, provider) = start(good()).await;
    op.clock.forward(-90);
    let error = sign_in_at(&op, &provider).await.unwrap_err();
    assert_eq!(error.code(), "clock_off");
    assert!(
        error
            .to_string()
            .contains("seconds behind the identity provider's"),
        "{error}"
    );
    assert!(op.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_date_the_tokens_own_time_tells_the_clock() {
    // axum always sends a date; the token's time is wrong here while the date is right.
    let ahead = |claims: &mut Value| {
        claims["iat"] = (claims["iat"].as_i64().unwrap() + 3600).into();
    };
    assert_eq!(code_of_claims(Box::new(ahead)).await, "clock_off");
}

#[tokio::test]
async fn saying_no_at_the_provider_is_declined() {
    let manners = Manners {
        redirect: "error=access_denied&error_description=%3Cb%3E",
        ..good()
    };
    assert_eq!(refused(manners).await.code(), "declined");
}

#[tokio::test]
async fn the_page_after_the_sign_in_has_a_clean_address() {
    let (op, provider) = start(good()).await;
    let browser = Browser::at(&op);
    sign_in(&provider, &request(&provider), &browser, &|_| ())
        .await
        .unwrap();
    let page = browser.page().await;
    assert_eq!((page.url.path(), page.url.query()), ("/signed-in", None));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    let text = page.text;
    assert!(text.contains("You can close this"));
    assert!(!text.contains("<script") && !text.contains("c0de"));
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_whatever_else_is_wrong() {
    let later = |claims: &mut Value| {
        claims["iat"] = (claims["iat"].as_i64().unwrap() + 3600).into();
    };
    for claims in [
        Box::new(later) as Change,
        member("aud", json!("somebody-else")),
    ] {
        let (op, provider) = start(Manners { claims, ..good() }).await;
        let nonce = ("nonce".to_owned(), NONCE.to_owned());
        op.asked.lock().unwrap().extend([nonce]);
        let config = request(&provider).config;
        let refreshed = refresh_claims(&provider, &config, "before", NONCE, BoundSignIn::No)
            .await
            .unwrap();
        assert_eq!(refreshed.refresh_token, REFRESH_TOKEN);
        assert!(refreshed.id_token.is_err());
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let (_held, issuer) = nobody();
    let provider = Arc::new(Provider::new(issuer, Hands::now()).unwrap());
    let metadata = provider.metadata().await;
    assert_eq!(metadata.unwrap_err().code(), "provider_unreachable");
    let keys = provider.keys(Some("x")).await;
    assert_eq!(keys.unwrap_err().code(), "provider_unreachable");
    // ... and is not asked again at once.
    let keys = provider.keys(Some("x")).await;
    assert!(keys.unwrap_err().to_string().contains("a moment ago"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider::new(silent.parse().unwrap(), Hands::now()).unwrap();
    let error = provider.metadata().await.unwrap_err();
    assert_eq!(error.code(), "provider_unreachable");
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn the_device_flow_waits_until_the_person_is_done() {
    let (op, provider) = start(good()).await;
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
    assert_eq!(tokens.access_token, "an.access.token");
    let prompt = shown.into_inner().unwrap().unwrap();
    assert_eq!(prompt.user_code, "ABCD-EFGH");
    assert_eq!(op.polls.load(Ordering::SeqCst), 3);
}
