//! Sign-ins that the provider binds to the device key (OpenID Connect Key Binding 1.0), and providers that say so and
//! do something else.

use std::sync::Arc;

use countersign_evidence::op_token::{KeyBinding, OpConfig};
use countersign_evidence::{Alg, SecretKey};
use countersign_model::Digest;
use countersign_oidc::{
    BoundSignIn, OidcError, Provider, SignInRequest, SignedIn, refresh_claims, sign_in,
};
use serde_json::{Value, json};

use super::provider::{Binds, Browser, Manners, Op, REFRESH_TOKEN, good, member, start};

const NONCE: &str = "the-commitment";

/// Of a provider that says that it binds keys, and does as the draft says.
fn offering() -> Manners {
    Manners {
        discovery: member("scopes_supported", json!(["openid", "bound_key"])),
        ..good()
    }
}

/// As the approver's program does it.
async fn signed_in(
    manners: Manners,
    key_binding: KeyBinding,
) -> (Arc<Op>, Arc<Provider>, Result<SignedIn, OidcError>) {
    let (op, provider) = start(manners).await;
    let mut config = OpConfig::new(provider.issuer().clone(), "approver");
    config.key_binding = key_binding;
    let binds = match provider.binds_keys(&config).await {
        Ok(binds) => binds,
        Err(error) => return (op, provider, Err(error)),
    };
    let request = SignInRequest {
        config,
        scopes: vec!["openid".to_owned()],
        redirect_path: "/callback".to_owned(),
        nonce: NONCE.to_owned(),
        ports: vec![0],
        bound_key: binds.map(device),
    };
    let done = sign_in(&provider, &request, &Browser::at(&op), &|_| ()).await;
    (op, provider, done)
}

fn device(alg: Alg) -> SecretKey {
    match alg {
        Alg::Ed25519 => SecretKey::generate([9; 32]),
        Alg::Es256 => SecretKey::generate_es256([9; 32]),
    }
}

async fn code(manners: Manners) -> &'static str {
    let (_, _, done) = signed_in(manners, KeyBinding::Accepted).await;
    done.unwrap_err().code()
}

#[tokio::test]
async fn a_provider_that_binds_keys_is_asked_to_and_does() {
    for (algorithms, alg) in [
        (json!(["ES256", "Ed25519"]), Alg::Ed25519),
        (json!(["ES256"]), Alg::Es256),
    ] {
        let manners = Manners {
            discovery: Box::new(move |document| {
                document["scopes_supported"] = json!(["openid", "bound_key"]);
                document["dpop_signing_alg_values_supported"] = algorithms.clone();
            }),
            ..good()
        };
        let (op, provider, done) = signed_in(manners, KeyBinding::Accepted).await;
        assert!(done.unwrap().person.bound);
        let asked = op.asked.lock().unwrap().clone();
        assert_eq!(asked["scope"], "openid bound_key");
        assert_eq!(asked["dpop_jkt"], device(alg).public().thumbprint());
        assert_eq!(asked["nonce"], NONCE, "beside it, not instead");
        let proof = op.proofs.lock().unwrap()[0].clone();
        assert_eq!(proof["c_s256"], Digest::of(b"c0de").to_string());
        // A refresh proves the same key, names no code, and gives what is bound to it.
        let config = OpConfig::new(provider.issuer().clone(), "approver");
        let key = device(alg);
        let bound = BoundSignIn::IdToken(&key);
        let again = refresh_claims(&provider, &config, REFRESH_TOKEN, NONCE, bound).await;
        let (_, person) = again.unwrap().id_token.unwrap().unwrap();
        assert!(person.bound);
        assert_eq!(op.proofs.lock().unwrap()[1].get("c_s256"), None);
        // Without the proof it is refused, as a thief's would be.
        let bound = BoundSignIn::No;
        let refused = refresh_claims(&provider, &config, REFRESH_TOKEN, NONCE, bound).await;
        assert_eq!(refused.unwrap_err().code(), "provider_refused");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_say_so_is_not_asked() {
    let (op, _, done) = signed_in(good(), KeyBinding::Accepted).await;
    assert!(!done.unwrap().person.bound);
    let asked = op.asked.lock().unwrap().clone();
    assert_eq!(asked["scope"], "openid");
    assert!(!asked.contains_key("dpop_jkt"));
    // Where the server wants it, that is said before any browser opens.
    let (op, _, done) = signed_in(good(), KeyBinding::Required).await;
    assert_eq!(done.unwrap_err().code(), "not_bound");
    assert!(op.asked.lock().unwrap().is_empty());
    // And one that says so is not asked where nobody wants it.
    let (op, _, done) = signed_in(offering(), KeyBinding::Refused).await;
    assert!(!done.unwrap().person.bound);
    assert_eq!(op.asked.lock().unwrap()["scope"], "openid");
}

#[tokio::test]
async fn a_provider_that_says_so_and_does_not_do_it_is_refused() {
    // What it says that it granted; nothing, where it grants what was asked for.
    let unbound = |granted: Value| Manners {
        binds: |_| ("JWT", None),
        answer: member("scope", granted),
        ..offering()
    };
    assert_eq!(code(unbound(Value::Null)).await, "not_bound");
    assert_eq!(code(unbound(json!("openid bound_key"))).await, "not_bound");
    // It may decline openly, as RFC 6749 has it, unless it must not.
    let (_, _, done) = signed_in(unbound(json!("openid")), KeyBinding::Accepted).await;
    assert!(!done.unwrap().person.bound);
    let (_, _, done) = signed_in(unbound(json!("openid")), KeyBinding::Required).await;
    assert_eq!(done.unwrap_err().code(), "not_bound");
}

#[tokio::test]
async fn a_token_that_is_bound_otherwise_is_refused() {
    let cases: [(Binds, &str); 7] = [
        (
            |_| {
                let other = SecretKey::generate([8; 32]).public().to_jwk();
                ("dpop+id_token", Some(json!({ "jwk": other })))
            },
            "token_other_key",
        ),
        (
            |_| {
                let other = SecretKey::generate([8; 32]).public().thumbprint();
                ("dpop+id_token", Some(json!({ "jkt": other })))
            },
            "token_other_key",
        ),
        (|_| ("dpop+id_token", None), "token_cnf"),
        (
            |_| ("dpop+id_token", Some(json!({"kid": "device"}))),
            "token_cnf",
        ),
        (|jwk| ("JWT", Some(json!({ "jwk": jwk }))), "token_cnf"),
        (
            |jwk| ("id_token+cnf", Some(json!({ "jwk": jwk }))),
            "token_typ",
        ),
        (|jwk| ("dpop+jwt", Some(json!({ "jwk": jwk }))), "token_typ"),
    ];
    for (binds, expected) in cases {
        let manners = Manners {
            binds,
            ..offering()
        };
        assert_eq!(code(manners).await, expected);
    }
    // It says that it did not, and did.
    let manners = Manners {
        answer: member("scope", json!("openid")),
        ..offering()
    };
    assert_eq!(code(manners).await, "token_typ");
}
