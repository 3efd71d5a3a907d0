//! Callers' access tokens, and the keys that they and evidence are judged by.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_evidence::SecretKey;
use countersign_evidence::op_token::{AccessRules, OpRole};
use countersign_oidc::{AccessError, Provider, ResourceServer};
use serde_json::json;

use super::provider::{Op, again, good, start};

fn access_token(op: &Op) -> String {
    let claims = json!({"aud": "urn:orders", "client_id": "cli", "jti": "1"});
    op.jwt("at+jwt", claims)
}

fn server_of(provider: &Arc<Provider>) -> ResourceServer {
    let rules = AccessRules {
        issuer: provider.issuer().clone(),
        audience: "urn:orders".to_owned(),
        algorithms: vec!["Ed25519".to_owned()],
        approver_client_ids: vec!["approver".to_owned()],
        roles: BTreeSet::from([OpRole::Requester]),
    };
    ResourceServer::new(vec![(Arc::clone(provider), rules)])
}

/// The provider has another key from now on, and the old one no more. The name of the old one.
fn rotate(op: &Op) -> String {
    let mut keys = op.keys.lock().unwrap();
    let old = keys.last().unwrap().public().thumbprint();
    *keys = vec![SecretKey::generate([2; 32])];
    old
}

#[tokio::test]
async fn callers_tokens_are_verified_and_rotation_is_seen_within_a_minute() {
    let (op, provider) = start(good()).await;
    let server = server_of(&provider);
    let caller = server.verify(&access_token(&op)).await.unwrap();
    assert_eq!(caller.subject.sub, "elin");
    let old = rotate(&op);
    for _ in 0..20 {
        let error = server.verify(&access_token(&op)).await.unwrap_err();
        assert_eq!(error.code(), "token_key_unknown");
    }
    assert_eq!(op.fetches(), 1);
    op.clock.forward(60);
    assert!(server.verify(&access_token(&op)).await.is_ok());
    assert_eq!(op.fetches(), 2);
    // What the dropped key signed is good as evidence, and for nothing else.
    let keys = provider.keys(None).await.unwrap();
    assert!(keys.seen.knows(&old) && !keys.current.knows(&old));
}

#[tokio::test]
async fn a_token_from_elsewhere_is_unknown_and_causes_no_traffic() {
    let (op, _) = start(good()).await;
    let server = ResourceServer::new(vec![]);
    assert!(matches!(
        server.verify(&access_token(&op)).await,
        Err(AccessError::UnknownIssuer)
    ));
    let malformed = server.verify("nonsense").await;
    assert_eq!(malformed.unwrap_err().code(), "token_malformed");
    assert_eq!(op.fetches(), 0);
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_life_and_with_its_key() {
    let (op, provider) = start(good()).await;
    let server = server_of(&provider);
    let token = access_token(&op);
    let first = server.verify(&token).await.unwrap();
    assert_eq!(server.verify(&token).await.unwrap(), first);
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{rest}.{}", signature.chars().rev().collect::<String>());
    assert!(server.verify(&forged).await.is_err());
    op.clock.forward(361);
    let ended = server.verify(&token).await;
    assert_eq!(ended.unwrap_err().code(), "token_expired");
    // A token in the middle of its life, whose key is withdrawn: gone with the next fetch.
    let token = access_token(&op);
    assert!(server.verify(&token).await.is_ok());
    rotate(&op);
    op.clock.forward(60);
    assert!(server.verify(&access_token(&op)).await.is_ok());
    let withdrawn = server.verify(&token).await;
    assert_eq!(withdrawn.unwrap_err().code(), "token_key_unknown");
}

#[tokio::test]
async fn who_goes_away_while_keys_are_fetched_takes_them_from_nobody() {
    let (op, provider) = start(good()).await;
    let answers = op.key_answers.lock().await;
    let first = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { provider.keys(Some("any")).await.map(drop) }
    });
    let mut fetches = op.key_fetches.subscribe();
    fetches.wait_for(|times| *times == 1).await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(answers);
    // The fetch went on: those who come next use what it brings, and do not hear that it was tried just now.
    let keys = provider.keys(None).await.unwrap();
    let current = op.keys.lock().unwrap()[0].public().thumbprint();
    assert!(keys.current.knows(&current));
    assert_eq!(op.fetches(), 1);
}

#[tokio::test]
async fn keys_seen_are_known_after_a_restart_and_forgotten_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (op, _) = start(good()).await;
    let restarted = || again(&op).remember_in(folder.path());
    let keys = async || Arc::new(restarted().unwrap()).keys(None).await.unwrap();
    keys().await;
    let old = rotate(&op);
    let both = keys().await;
    assert!(both.seen.knows(&old) && !both.current.knows(&old));
    op.clock.forward(43_201);
    assert!(!keys().await.seen.knows(&old));
    let mut files = std::fs::read_dir(folder.path()).unwrap();
    let file = files.next().unwrap().unwrap().path();
    std::fs::write(file, "not JSON").unwrap();
    assert_eq!(
        restarted().unwrap_err().code(),
        "setup",
        "a damaged file is said, not passed over"
    );
}
