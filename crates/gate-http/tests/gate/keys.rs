//! A provider's keys: how often they are fetched, and how soon a new one is known.

use countersign_evidence::SecretKey;
use countersign_evidence::op_token::{AccessRules, OpConfig, OpRole};
use countersign_gate_http::caller::{Callers, ClaimRules, NotLetIn};
use countersign_oidc::{Provider, ResourceServer};

use super::scene::*;
use crate::support::TestClock;

/// What lets callers in, as the gate has it, over a provider whose fetches are counted.
async fn callers() -> (Callers, Op, Arc<TestClock>) {
    // The first installation in a process wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = TestClock::new();
    let op = Op::start(&clock).await;
    let of_gate: Arc<dyn Clock> = clock.clone();
    let provider = Arc::new(Provider::new(op.issuer.clone(), of_gate).unwrap());
    let config = OpConfig::new(op.issuer.clone(), "countersign-approver");
    let access = AccessRules {
        issuer: op.issuer.clone(),
        audience: "urn:orders".to_owned(),
        algorithms: config.algorithms.clone(),
        approver_client_ids: vec![config.client_id.clone()],
        roles: [OpRole::Requester].into(),
    };
    let rules = ClaimRules {
        op: config,
        audience: "urn:orders".to_owned(),
        claims: Vec::new(),
    };
    let tokens = ResourceServer::new(vec![(provider, access)]);
    (Callers::new(tokens, vec![rules]), op, clock)
}

async fn verify(callers: &Callers, token: &str) -> Result<(), &'static str> {
    let value = format!("Bearer {token}").parse().unwrap();
    match callers.verify(Some(&value)).await {
        Ok(_) => Ok(()),
        Err(NotLetIn::Invalid { code, .. }) => Err(code),
        Err(other @ (NotLetIn::NoToken | NotLetIn::Unavailable { .. })) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_keys_cost_one_fetch_a_minute_and_a_rotation_is_seen_within_one() {
    let (callers, mut op, clock) = callers().await;
    let callers = Arc::new(callers);
    assert_eq!(op.fetches(), 0, "nothing is fetched before the first call");
    assert_eq!(verify(&callers, &op.access_token(|_| ())).await, Ok(()));
    assert_eq!(op.fetches(), 1);

    // Each token names a key that nobody knows; one signature serves them all, because none is looked at.
    let strange = SecretKey::generate([9; 32]);
    let template = op.access_token_by(&strange, |_| ());
    let (_, signed) = template.split_once('.').unwrap();
    for minute in 0..2 {
        clock.forward(60);
        let mut calls = tokio::task::JoinSet::new();
        for worker in 0..50 {
            let (callers, signed) = (Arc::clone(&callers), signed.to_owned());
            calls.spawn(async move {
                for turn in 0..100 {
                    let kid = format!("{minute}-{worker}-{turn}");
                    let header = json!({ "alg": "Ed25519", "typ": "at+jwt", "kid": kid });
                    let header = countersign_model::b64u(header.to_string().as_bytes());
                    let unknown = verify(&callers, &format!("{header}.{signed}")).await;
                    assert_eq!(unknown, Err("token_key_unknown"));
                }
            });
        }
        assert_eq!(calls.join_all().await.len(), 50);
        assert_eq!(op.fetches(), 2 + minute);
    }

    // Under that fire the provider rotates: known no later than a minute on.
    op.rotate_key(50);
    let fresh = op.access_token(|_| ());
    assert_eq!(verify(&callers, &fresh).await, Err("token_key_unknown"));
    clock.forward(60);
    assert_eq!(verify(&callers, &fresh).await, Ok(()));
    assert_eq!(op.fetches(), 4);
}
