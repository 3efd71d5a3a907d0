//! The provider behind all other tests is real and does what a provider must: checked here first, so that a failure
//! elsewhere is a failure of Countersign.

#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_tests::owned::Processes;
use countersign_tests::person::{Person, client};
use countersign_tests::provider::{CLI_CLIENT, ORDERS_AUDIENCE, Op, Orders};
use serde_json::Value;

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_for_an_api_name_its_audience_and_carry_the_claims() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let op = Op::start(&mut processes, state.path(), 0).unwrap();
    let token = Person::named("mara")
        .access_token(&op.issuer, CLI_CLIENT, Some(ORDERS_AUDIENCE))
        .await
        .unwrap();
    let claims = payload(&token);
    assert_eq!(claims["aud"], ORDERS_AUDIENCE);
    assert_eq!(claims["iss"], op.issuer.as_str());
    assert_eq!(claims["name"], "Mara Lindqvist");
    assert_eq!(claims["groups"], serde_json::json!(["orders-dev"]));
    assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
    assert!(claims["auth_time"].as_i64().unwrap() > 0);
}

#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let op = Op::start(&mut processes, state.path(), 0).unwrap();
    let mut mara = Person::named("mara");
    mara.password = "guess".to_owned();
    let refused = mara
        .access_token(&op.issuer, CLI_CLIENT, None)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("do not belong together"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_restart_keeps_the_signing_key() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let http = client().unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let op = Op::start(&mut processes, state.path(), 0).unwrap();
        let jwks = http
            .get(format!("{}/jwks", op.issuer))
            .send()
            .await
            .unwrap();
        keys.push(jwks.text().await.unwrap());
        processes.kill("op").unwrap();
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_device_code_is_confirmed_at_the_pages() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let op = Op::start(&mut processes, state.path(), 0).unwrap();
    let http = client().unwrap();
    let asked: Value = http
        .post(format!("{}/device/auth", op.issuer))
        .form(&[
            ("client_id", CLI_CLIENT),
            ("scope", "openid groups"),
            ("resource", ORDERS_AUDIENCE),
        ])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let url = asked["verification_uri_complete"].as_str().unwrap();
    Person::named("jonas").confirm_device(url).await.unwrap();
    let tokens: Value = http
        .post(format!("{}/token", op.issuer))
        .form(&[
            ("client_id", CLI_CLIENT),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", asked["device_code"].as_str().unwrap()),
        ])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        payload(tokens["access_token"].as_str().unwrap())["sub"],
        "jonas"
    );
}

#[tokio::test]
async fn the_orders_api_tells_what_it_received() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let orders = Orders::start(&mut processes).unwrap();
    let http = client().unwrap();
    let deleted = http
        .delete(format!("{}/customers/42", orders.url))
        .send()
        .await
        .unwrap();
    assert!(deleted.status().is_success());
    assert_eq!(
        orders.received(&http).await.unwrap(),
        ["DELETE /customers/42"]
    );
}
