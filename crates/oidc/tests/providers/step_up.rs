//! A step-up against a provider that does what the test says: each way in which it can fail ends in its own error; and
//! the sign-in that a challenge asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use countersign_evidence::SecretKey;
use countersign_evidence::op_token::{AcrClaim, OpConfig};
use countersign_model::Clock as _;
use countersign_oidc::{
    Confirmed, Consent, Provider, StepUpError, StepUpRequest, TokenWish, step_up, token_by_browser,
};
use serde_json::{Value, json};

use super::provider::{Browser, Change, Manners, Op, good, member, start};

fn request(op: &Op, provider: &Provider) -> StepUpRequest {
    StepUpRequest {
        config: OpConfig::new(provider.issuer().clone(), "approver"),
        redirect_path: "/callback".to_owned(),
        ports: vec![0],
        nonce: "the-vote".to_owned(),
        sub: "elin".to_owned(),
        signed_at: op.clock.now(),
        good_until: op.clock.now() + 900,
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
) -> (Arc<Op>, Result<Confirmed, StepUpError>) {
    let (op, provider) = start(manners).await;
    let mut request = request(&op, &provider);
    change(&mut request);
    let done = step_up(&provider, &request, &Browser::at(&op), &|_| ()).await;
    (op, done)
}

async fn refused(manners: Manners) -> StepUpError {
    let (_, done) = confirm_with(manners, |_| ()).await;
    match done {
        Ok(_) => panic!("it was confirmed"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn everything_that_ties_the_answer_to_the_vote_is_asked_for_and_pushed() {
    let (op, done) = confirm_with(good(), |_| ()).await;
    let confirmed = done.unwrap();
    assert_eq!(confirmed.access_token.as_deref(), Some("an.access.token"));
    let seen = op.seen.lock().unwrap().clone();
    assert_eq!(
        seen.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["client_id", "request_uri"]),
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
        op.form.lock().unwrap()["resource"],
        "https://approvals.example/step-up"
    );
    assert_eq!(op.proofs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_pushed_requests_the_browser_carries_them_itself() {
    let manners = Manners {
        discovery: member("pushed_authorization_request_endpoint", Value::Null),
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
    assert_eq!(op.proofs.lock().unwrap().len(), 2);
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
            claims: member("acr", found),
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
        claims: member("acrs", json!(["c1", "mfa"])),
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
        claims: member("sub", json!("jonas")),
        ..good()
    })
    .await;
    assert_eq!(error.code(), "step_up_other_account");
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_named() {
    for granted in [json!("openid"), json!("")] {
        let error = refused(Manners {
            answer: member("scope", granted),
            ..good()
        })
        .await;
        assert_eq!(error.code(), "step_up_scope_not_granted");
        assert!(error.to_string().contains("`approve:orders.delete`"));
    }
    // RFC 6749, 5.1: an answer without the member grants what was asked for.
    let manners = Manners {
        answer: member("scope", Value::Null),
        ..good()
    };
    assert!(confirm_with(manners, |_| ()).await.1.is_ok());
}

#[tokio::test]
async fn a_sign_in_that_is_not_fresh_confirms_nothing() {
    let hours_off = |hours: i64| -> Change {
        Box::new(move |claims| {
            claims["auth_time"] = (claims["iat"].as_i64().unwrap() + 3600 * hours).into();
        })
    };
    for claims in [
        member("auth_time", Value::Null),
        member("auth_time", json!(0)),
        hours_off(-1),
        hours_off(1),
    ] {
        let error = refused(Manners { claims, ..good() }).await;
        assert_eq!(error.code(), "step_up_not_fresh");
    }
}

#[tokio::test]
async fn an_answer_for_another_vote_is_refused() {
    for nonce in [json!("another-vote"), Value::Null] {
        let error = refused(Manners {
            claims: member("nonce", nonce),
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
            discovery: member("dpop_signing_alg_values_supported", known),
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
    let browser = Browser::at(&op);
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
