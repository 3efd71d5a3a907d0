//! Tokens of a provider: access tokens as credentials, and what providers write differently.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{NOW, OP, Token, op_jwks, subject};
use countersign_evidence::op_token::{
    AccessRules, CallerKind, KeyRule, NonceRule, OpConfig, OpKeys, OpRole, OpTokenError,
    verify_access_token, verify_id_token,
};
use countersign_model::{Issuer, b64u};
use serde_json::{Value, json};

fn rules() -> AccessRules {
    AccessRules {
        issuer: Issuer::parse(OP).unwrap(),
        audience: "urn:countersign:demo:orders".into(),
        algorithms: vec!["ES256".into()],
        approver_client_ids: vec![common::CLIENT.into()],
        roles: BTreeSet::from([OpRole::Approver, OpRole::Requester]),
    }
}

fn access() -> Token {
    Token {
        header: json!({"alg": "ES256", "kid": "op-1", "typ": "at+jwt"}),
        claims: json!({
            "iss": OP, "sub": "mara", "aud": "urn:countersign:demo:orders", "client_id": "countersign-cli",
            "iat": NOW.0 - 10, "exp": NOW.0 + 600, "jti": "x", "scope": "openid orders", "groups": ["orders-dev"],
        }),
        signer: 50,
    }
}

fn keys() -> OpKeys {
    OpKeys::from_jwks(&op_jwks(50)).unwrap()
}

#[test]
fn a_resources_own_access_token_is_taken() {
    let token = verify_access_token(&access().sign(), &rules(), &keys(), NOW).unwrap();
    assert_eq!(
        (
            token.subject,
            token.kind,
            token.client_id.as_deref(),
            token.exp
        ),
        (
            subject("mara"),
            CallerKind::Person,
            Some("countersign-cli"),
            NOW + 600
        )
    );
    let mut several = access();
    several.claims["aud"] = json!(["account", "urn:countersign:demo:orders"]);
    several.header["typ"] = json!("application/AT+JWT");
    assert!(verify_access_token(&several.sign(), &rules(), &keys(), NOW).is_ok());
}

#[test]
fn who_calls_must_be_what_the_provider_may_assert() {
    let of = |roles: &[OpRole]| AccessRules {
        roles: roles.iter().copied().collect(),
        ..rules()
    };
    let judge = |token: &Token, roles: &[OpRole]| {
        verify_access_token(&token.sign(), &of(roles), &keys(), NOW)
            .map(|token| token.kind)
            .map_err(|error| error.code())
    };
    use OpRole::{Approver, Requester, Workload};
    let person = access();
    assert_eq!(judge(&person, &[Requester]), Ok(CallerKind::Person));
    assert_eq!(judge(&person, &[Approver]), Err("token_role"));
    assert_eq!(judge(&person, &[Workload]), Err("token_role"));
    // Client credentials, as RFC 9068, Entra and Auth0 show them.
    let own: [fn(&mut Token); 3] = [
        |t| t.claims["sub"] = json!("countersign-cli"),
        |t| t.claims["idtyp"] = json!("app"),
        |t| t.claims["gty"] = json!("client-credentials"),
    ];
    for change in own {
        let mut program = access();
        change(&mut program);
        assert_eq!(judge(&program, &[Workload]), Ok(CallerKind::Workload));
        assert_eq!(judge(&program, &[Approver, Requester]), Err("token_role"));
    }
    // A CI system's ID token for this audience: no client, no `jti`, no type of its own.
    let ci = Token {
        header: json!({"alg": "ES256", "kid": "op-1", "typ": "JWT"}),
        claims: json!({
            "iss": OP, "sub": "repo:orders/shop:ref:refs/heads/main", "aud": "urn:countersign:demo:orders",
            "iat": NOW.0 - 10, "exp": NOW.0 + 300, "actor_id": "17", "run_id": "4",
        }),
        signer: 50,
    };
    assert_eq!(judge(&ci, &[Workload]), Ok(CallerKind::Workload));
    assert_eq!(judge(&ci, &[Requester]), Err("token_typ"));
    let not_a_workloads: [(&str, fn(&mut Token)); 9] = [
        ("token_foreign_claim", |t| t.claims["nonce"] = json!("n")),
        ("token_foreign_claim", |t| {
            t.claims["auth_time"] = json!(NOW.0)
        }),
        ("token_foreign_claim", |t| t.claims["at_hash"] = json!("h")),
        ("token_foreign_claim", |t| t.claims["sid"] = json!("s")),
        ("token_audience", |t| t.claims["aud"] = json!("urn:other")),
        ("token_audience", |t| {
            t.claims["aud"] = json!(["urn:countersign:demo:orders", "urn:other"])
        }),
        ("token_approver_client", |t| {
            t.claims["azp"] = json!(common::CLIENT)
        }),
        ("token_expired", |t| t.claims["exp"] = json!(NOW.0 - 61)),
        ("token_typ", |t| t.header["typ"] = json!("logout+jwt")),
    ];
    for (code, change) in not_a_workloads {
        let mut token = ci.clone();
        change(&mut token);
        assert_eq!(judge(&token, &[Workload]), Err(code));
    }
}

#[test]
fn every_other_token_is_refused_by_its_rule() {
    let cases: [(&str, fn(&mut Token)); 25] = [
        ("token_alg", |t| t.header["alg"] = json!("none")),
        ("token_alg", |t| t.header["alg"] = json!("HS256")),
        ("token_alg", |t| t.header["alg"] = json!("RS256")),
        ("token_alg", |t| t.header["alg"] = json!("es256")),
        ("token_malformed", |t| {
            drop(t.header.as_object_mut().unwrap().remove("alg"))
        }),
        ("token_header", |t| t.header["kid"] = json!(1)),
        ("token_header", |t| t.header["crit"] = json!(["exp"])),
        ("token_header", |t| t.header["jwk"] = json!({})),
        ("token_header", |t| {
            t.header["jku"] = json!("https://evil.example")
        }),
        ("token_key_unknown", |t| {
            t.header["kid"] = json!("../../etc/passwd")
        }),
        ("token_key_unknown", |t| {
            drop(t.header.as_object_mut().unwrap().remove("kid"))
        }),
        ("token_typ", |t| t.header["typ"] = json!("JWT")),
        ("token_typ", |t| {
            drop(t.header.as_object_mut().unwrap().remove("typ"))
        }),
        ("token_signature", |t| t.signer = 51),
        ("token_issuer", |t| {
            t.claims["iss"] = json!("https://op.example/")
        }),
        ("token_claim", |t| t.claims["sub"] = json!("")),
        ("token_audience", |t| t.claims["aud"] = json!("urn:other")),
        ("token_claim", |t| t.claims["aud"] = json!([1])),
        ("token_approver_client", |t| {
            t.claims["client_id"] = json!(common::CLIENT)
        }),
        ("token_approver_client", |t| {
            t.claims["azp"] = json!(common::CLIENT)
        }),
        ("token_claim", |t| {
            drop(t.claims.as_object_mut().unwrap().remove("client_id"))
        }),
        ("token_claim", |t| {
            drop(t.claims.as_object_mut().unwrap().remove("exp"))
        }),
        ("token_foreign_claim", |t| t.claims["events"] = json!({})),
        ("token_foreign_claim", |t| t.claims["nonce"] = json!("x")),
        ("token_bound", |t| t.claims["cnf"] = json!({"jkt": "x"})),
    ];
    for (index, (code, change)) in cases.into_iter().enumerate() {
        let mut token = access();
        change(&mut token);
        let error = verify_access_token(&token.sign(), &rules(), &keys(), NOW).unwrap_err();
        assert_eq!(error.code(), code, "{index}: {error}");
    }
}

#[test]
fn a_token_has_a_bound() {
    let sized = |bytes: usize| {
        let mut token = access();
        token.claims["more"] = json!("x".repeat(bytes));
        verify_access_token(&token.sign(), &rules(), &keys(), NOW)
    };
    assert!(sized(20_000).is_ok());
    assert_eq!(sized(25_000).unwrap_err(), OpTokenError::Malformed);
}

#[test]
fn times_have_a_minute_of_skew() {
    for (at, code) in [
        (NOW + 660, None),
        (NOW + 661, Some("token_expired")),
        (NOW - 71, Some("token_future")),
    ] {
        let result = verify_access_token(&access().sign(), &rules(), &keys(), at);
        assert_eq!(result.err().map(|error| error.code()), code, "{at}");
    }
    let mut later = access();
    later.claims["nbf"] = json!(NOW.0 + 61);
    assert_eq!(
        verify_access_token(&later.sign(), &rules(), &keys(), NOW).unwrap_err(),
        OpTokenError::Future
    );
}

#[test]
fn an_id_token_is_no_credential_and_an_access_token_no_identity() {
    let mut id_token = access();
    id_token.header["typ"] = json!("JWT");
    id_token.claims["nonce"] = json!("n");
    id_token.claims["aud"] = json!(common::CLIENT);
    assert!(verify_access_token(&id_token.sign(), &rules(), &keys(), NOW).is_err());
    let config = OpConfig::new(Issuer::parse(OP).unwrap(), common::CLIENT);
    let id = |token: &Token| {
        verify_id_token(
            &token.sign(),
            &config,
            &keys(),
            NOW,
            NonceRule::Exactly("n"),
            KeyRule::Unbound,
        )
    };
    assert_eq!(id(&access()).unwrap_err(), OpTokenError::Typ);
    assert_eq!(id(&id_token).unwrap_err(), OpTokenError::Foreign("scope"));
    for name in ["scope", "client_id"] {
        id_token.claims.as_object_mut().unwrap().remove(name);
    }
    assert!(id(&id_token).is_ok());
    let missing = verify_id_token(
        &id_token.sign(),
        &config,
        &keys(),
        NOW,
        NonceRule::Exactly("m"),
        KeyRule::Unbound,
    );
    assert_eq!(missing.unwrap_err(), OpTokenError::Nonce);
}

#[test]
fn key_sets_are_read_by_kid_and_use() {
    let jwk = op_jwks(50)["keys"][0].clone();
    let accepts = |set: Value| {
        let keys = OpKeys::from_jwks(&set).unwrap();
        verify_access_token(&access().sign(), &rules(), &keys, NOW).is_ok()
    };
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        json!({"keys": [jwk]})
    };
    assert!(accepts(json!({"keys": [jwk.clone()]})));
    assert!(!accepts(with("use", json!("enc"))));
    assert!(!accepts(with("key_ops", json!(["sign"]))));
    assert!(accepts(with("key_ops", json!(["verify"]))));
    assert!(!accepts(with("alg", json!("ES384"))));
    assert!(!accepts(with("kid", json!("op-2"))));
    assert!(!accepts(with("x", json!("AAAA"))));
    assert!(!accepts(
        json!({"keys": [{"kty": "oct", "kid": "op-1", "alg": "ES256", "k": "AAAA"}]})
    ));
    // A short Ed25519 key made the library's own reader panic: here it is left out.
    assert!(!accepts(
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "op-1", "x": "AAAA"}, null, 1, "x"]})
    ));
    assert!(OpKeys::from_jwks(&json!([])).is_err());
    // Two keys of one name: whichever signed.
    let other = op_jwks(51)["keys"][0].clone();
    assert!(accepts(json!({"keys": [other, jwk]})));
}

#[test]
fn keys_seen_earlier_can_be_added_and_dropped() {
    let mut keys = OpKeys::default();
    assert!(!keys.knows("op-1"));
    keys.merge(OpKeys::from_jwks(&op_jwks(50)).unwrap());
    assert!(keys.knows("op-1"));
    assert!(verify_access_token(&access().sign(), &rules(), &keys, NOW).is_ok());
    keys.drop_key("op-1");
    assert!(verify_access_token(&access().sign(), &rules(), &keys, NOW).is_err());
}

#[test]
fn groups_are_an_array_of_strings_of_their_own_provider() {
    let mut config = OpConfig::new(Issuer::parse(OP).unwrap(), common::CLIENT);
    let groups = |config: &OpConfig, claims: Value| {
        config.groups_of(&claims).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        groups(&config, json!({"groups": ["dba", "ops"]})),
        ["https://op.example#dba", "https://op.example#ops"]
    );
    for none in [
        json!({}),
        json!({"groups": "dba,ops"}),
        json!({"groups": ["dba", 1]}),
        json!({"groups": {"dba": 1}}),
    ] {
        assert!(groups(&config, none.clone()).is_empty(), "{none}");
    }
    config.groups.path = "/realm_access/roles".into();
    assert_eq!(
        groups(&config, json!({"realm_access": {"roles": ["dba"]}})),
        ["https://op.example#dba"]
    );
}

#[test]
fn symmetric_algorithms_are_refused_even_where_configuration_allows_them() {
    let mut lax = rules();
    lax.algorithms = ["none", "HS256", "HS512"].map(str::to_owned).to_vec();
    for alg in ["none", "HS256", "HS512"] {
        let mut token = access();
        token.header["alg"] = json!(alg);
        let error = verify_access_token(&token.sign(), &lax, &keys(), NOW).unwrap_err();
        assert_eq!(error.code(), "token_alg", "{alg}");
    }
}

#[test]
fn rsa_keys_have_a_decent_size_and_exponent() {
    let knows = |modulus_bytes: usize, exponent: &[u8]| {
        let jwk = json!({"kty": "RSA", "kid": "k", "n": b64u(&vec![0xff; modulus_bytes]), "e": b64u(exponent)});
        OpKeys::from_jwks(&json!({"keys": [jwk]}))
            .unwrap()
            .knows("k")
    };
    assert!(knows(256, &[1, 0, 1]) && knows(512, &[3]));
    assert!(
        !knows(128, &[1, 0, 1]) && !knows(255, &[1, 0, 1]),
        "too short"
    );
    assert!(!knows(1025, &[1, 0, 1]), "too long");
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[], &[0xff; 9]] {
        assert!(!knows(256, exponent), "{exponent:?}");
    }
}

#[test]
fn ed25519_tokens_are_taken_under_either_name() {
    use ed25519_dalek::Signer as _;
    let secret = common::key(60);
    let mut jwk = secret.public().to_jwk();
    jwk["kid"] = json!("op-1");
    let keys = OpKeys::from_jwks(&json!({"keys": [jwk]})).unwrap();
    let mut both = rules();
    both.algorithms = ["EdDSA", "Ed25519"].map(str::to_owned).to_vec();
    for alg in ["EdDSA", "Ed25519"] {
        let mut token = access();
        token.header["alg"] = json!(alg);
        let compact = token.sign();
        let (message, foreign) = compact.rsplit_once('.').unwrap();
        let signature = ed25519_dalek::SigningKey::from_bytes(&[60; 32]).sign(message.as_bytes());
        let signed = format!("{message}.{}", b64u(&signature.to_bytes()));
        assert!(
            verify_access_token(&signed, &both, &keys, NOW).is_ok(),
            "{alg}"
        );
        let forged = format!("{message}.{foreign}");
        assert_eq!(
            verify_access_token(&forged, &both, &keys, NOW).unwrap_err(),
            OpTokenError::Signature
        );
        assert_eq!(
            verify_access_token(&signed, &rules(), &keys, NOW)
                .unwrap_err()
                .code(),
            "token_alg"
        );
    }
    let mut weak = jwk_of_small_order();
    weak["kid"] = json!("op-1");
    assert!(
        !OpKeys::from_jwks(&json!({"keys": [weak]}))
            .unwrap()
            .knows("op-1")
    );
}

fn jwk_of_small_order() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": b64u(&[0; 32])})
}
