//! The second provider is real and different: what it does and what it lacks, checked here first, so that a failure
//! elsewhere is a failure of Countersign.

#![allow(clippy::unwrap_used)]

use countersign_tests::canaille::Canaille;
use countersign_tests::flow::{Flow, Tokens, claims};
use countersign_tests::owned::Processes;
use countersign_tests::person::Person;
use countersign_tests::provider::APPROVER_CLIENT;
use serde_json::json;

async fn signed_in(canaille: &Canaille, fresh: bool) -> (Flow, Tokens) {
    let mut flow = Flow::new(&canaille.issuer, APPROVER_CLIENT);
    flow.redirect = format!("http://127.0.0.1:{}/callback", canaille.callback_ports[1]);
    flow.fresh = fresh;
    let tokens = flow.run(&Person::named("nadia")).await.unwrap();
    (flow, tokens)
}

#[tokio::test]
async fn it_signs_people_in_afresh_and_tells_their_groups() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let canaille = Canaille::start(&mut processes, state.path()).unwrap();
    canaille
        .consent_once(&Person::named("nadia"))
        .await
        .unwrap();
    let (flow, tokens) = signed_in(&canaille, true).await;
    let id = claims(&tokens.id_token().unwrap()).unwrap();
    assert_eq!(id["nonce"], flow.nonce);
    assert_eq!(id["sub"], "nadia");
    assert_eq!(id["groups"], json!(["dba"]));
    // Traps: an array of one, a fraction of a second.
    assert_eq!(id["aud"], json!([APPROVER_CLIENT]));
    assert!(id["auth_time"].is_f64(), "{id}");
    canaille.set_groups("nadia", &[]).await.unwrap();
    let (_, tokens) = signed_in(&canaille, true).await;
    let id = claims(&tokens.id_token().unwrap()).unwrap();
    assert!(id.get("groups").is_none(), "{id}");
}

#[tokio::test]
async fn it_lacks_newer_claims_and_levels_and_scopes_in_tokens() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let canaille = Canaille::start(&mut processes, state.path()).unwrap();
    let (flow, tokens) = signed_in(&canaille, false).await;
    assert!(
        claims(&tokens.id_token().unwrap())
            .unwrap()
            .get("acr")
            .is_none()
    );
    let access = claims(&tokens.access_token().unwrap()).unwrap();
    assert!(access.get("scope").is_none(), "{access}");
    let again = flow
        .refresh(&tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert!(again.has("access_token"));
    assert!(!again.has("id_token"), "it gives none on refresh");
}

#[tokio::test]
async fn a_callback_on_another_port_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(state.path()).unwrap();
    let canaille = Canaille::start(&mut processes, state.path()).unwrap();
    let mut flow = Flow::new(&canaille.issuer, APPROVER_CLIENT);
    flow.redirect = "http://127.0.0.1:9/callback".to_owned();
    flow.run(&Person::named("nadia")).await.unwrap_err();
}
