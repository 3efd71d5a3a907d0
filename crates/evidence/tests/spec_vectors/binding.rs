//! `binding.json`: statements with the tokens that commit to them, JWS, DPoP.

use countersign_evidence::documents::{Authenticator, Statement};
use countersign_evidence::op_token::{AsOf, KeyBinding};
use countersign_evidence::verify::{Refusal, verify_binding};
use countersign_evidence::{PepToken, Pop, PublicKey, SecretKey, dpop, jose};
use countersign_model::{Digest, PepId, ServerId, b64u, json as strict};
use serde_json::{Value, json};

use crate::common::{self, NOW, OP, Scene, Token, key};
use crate::compare;

fn server() -> ServerId {
    ServerId::parse(common::SERVER).unwrap()
}

fn statement(device: &SecretKey) -> Statement {
    Statement {
        aud: server(),
        authenticators: Vec::new(),
        key: device.public(),
        rz: b64u(Digest::of(b"random").as_bytes()),
        session_jkt: Digest::parse(&key(111).public().thumbprint()).unwrap(),
    }
}

fn bind(cic: &[u8], token: &Token) -> Result<(), Refusal> {
    bind_by(KeyBinding::Accepted, cic, token)
}

fn bind_by(key_binding: KeyBinding, cic: &[u8], token: &Token) -> Result<(), Refusal> {
    let mut scene = Scene::new();
    scene.op.key_binding = key_binding;
    let keys = scene.op_keys.clone().unwrap();
    verify_binding(
        cic,
        &token.sign(),
        &server(),
        &scene.op,
        &keys,
        AsOf::At(NOW),
    )
    .map(drop)
}

#[test]
fn binding_vectors() {
    let scene = Scene::new();
    let with_authenticator = Statement {
        authenticators: vec![Authenticator {
            key: SecretKey::generate_es256([3; 32]).public(),
            rp_id: "countersign.example".into(),
        }],
        ..statement(&key(11))
    };
    let mut good: Vec<Value> = [
        ("an Ed25519 device", key(11), statement(&key(11))),
        (
            "a P-256 device",
            SecretKey::generate_es256([11; 32]),
            statement(&SecretKey::generate_es256([11; 32])),
        ),
        ("with an authenticator", key(11), with_authenticator),
    ]
    .into_iter()
    .map(|(name, device, statement)| {
        let token = scene.id_token(&scene.people[0], &statement.nonce(), NOW - 190);
        let pop = Pop {
            aud: server(),
            nonce: "server-nonce".into(),
            cic_digest: statement.id(),
            iat: NOW,
        };
        bind(&statement.to_bytes(), &token).unwrap();
        json!({
            "name": name,
            "cic_b64": b64u(&statement.to_bytes()),
            "binding_id": statement.id().to_string(),
            "nonce": statement.nonce(),
            "jwk": device.public().to_jwk(),
            "thumbprint": device.public().thumbprint(),
            "pop_jws": pop.sign(&device),
            "id_token": token.sign(),
            "auth_time": NOW.0 - 200,
        })
    })
    .collect();

    let statement = statement(&key(11));
    let honest = scene.id_token(&scene.people[0], &statement.nonce(), NOW - 190);
    let tokens: [(&str, fn(&mut Token)); 16] = [
        ("another nonce", |t| t.claims["nonce"] = json!("x")),
        ("no nonce", |t| {
            drop(t.claims.as_object_mut().unwrap().remove("nonce"))
        }),
        ("no auth_time", |t| {
            drop(t.claims.as_object_mut().unwrap().remove("auth_time"))
        }),
        ("auth_time zero", |t| t.claims["auth_time"] = json!(0)),
        ("a silent sign-in", |t| {
            t.claims["auth_time"] = json!(NOW.0 - 190 - 301)
        }),
        ("auth_time after the token", |t| {
            t.claims["auth_time"] = json!(NOW.0 - 190 + 61)
        }),
        ("two audiences", |t| {
            t.claims["aud"] = json!([common::CLIENT, "other"])
        }),
        ("another client", |t| {
            t.claims["aud"] = json!("countersign-cli")
        }),
        ("another issuer", |t| {
            t.claims["iss"] = json!("https://other.example")
        }),
        ("a logout token", |t| t.claims["events"] = json!({})),
        ("an access token", |t| t.header["typ"] = json!("at+jwt")),
        ("no algorithm", |t| t.header["alg"] = json!("none")),
        ("a symmetric algorithm", |t| {
            t.header["alg"] = json!("HS256")
        }),
        ("an unknown key", |t| t.header["kid"] = json!("op-2")),
        ("another key's signature", |t| t.signer = 51),
        ("expired", |t| t.claims["exp"] = json!(NOW.0 - 61)),
    ];
    let mut bad: Vec<Value> = tokens
        .into_iter()
        .map(|(name, change)| {
            let mut token = honest.clone();
            change(&mut token);
            let code = bind(&statement.to_bytes(), &token).unwrap_err().code;
            json!({"name": name, "cic_b64": b64u(&statement.to_bytes()), "id_token": token.sign(), "code": code})
        })
        .collect();
    let statements: [(&str, fn(&mut Value)); 8] = [
        ("another algorithm than the key's", |s| {
            s["alg"] = json!("ES256")
        }),
        ("another type", |s| {
            s["typ"] = json!("countersign-binding+v2")
        }),
        ("a private key in it", |s| {
            s["jwk"]["d"] = json!(b64u(&[1; 32]))
        }),
        ("a key of small order", |s| {
            s["jwk"]["x"] = json!(b64u(&[0; 32]))
        }),
        ("too little randomness", |s| s["rz"] = json!(b64u(&[1; 16]))),
        ("one member more", |s| s["scope"] = json!("x")),
        ("one member less", |s| {
            drop(s.as_object_mut().unwrap().remove("authenticators"))
        }),
        ("another server", |s| {
            s["aud"] = json!("https://other.example")
        }),
    ];
    for (name, change) in statements {
        let mut value = statement.to_value();
        change(&mut value);
        let cic = strict::canonical(&value);
        // The provider commits to it all the same: the statement itself must be refused.
        let nonce = Digest::tagged("countersign/binding/v1", &cic).to_string();
        let token = scene.id_token(&scene.people[0], &nonce, NOW - 190);
        let code = bind(&cic, &token).unwrap_err().code;
        bad.push(
            json!({"name": name, "cic_b64": b64u(&cic), "id_token": token.sign(), "code": code}),
        );
    }
    let spaced = [&statement.to_bytes()[..], b" "].concat();
    let code = bind(&spaced, &honest).unwrap_err().code;
    bad.push(json!({"name": "not canonical", "cic_b64": b64u(&spaced), "id_token": honest.sign(), "code": code}));

    let (bound, unbound) = key_binding_vectors();
    good.extend(bound);
    bad.extend(unbound);

    let config = json!({"server": common::SERVER, "issuer": OP, "client_id": common::CLIENT, "now": NOW.0,
        "algorithms": scene.op.algorithms, "jwks": common::op_jwks(50)});
    compare(
        "binding.json",
        &json!({
            "spec": "binding.md", "config": config, "good": good, "bad": bad, "jws": jws_vectors(), "dpop": dpop_vectors(),
        }),
    );
}

/// Sign-ins that the provider binds to the device key as well, by each rule of a verifier.
fn key_binding_vectors() -> (Vec<Value>, Vec<Value>) {
    let (device, other) = (key(11).public(), key(99).public());
    let statement = statement(&key(11));
    let honest = Scene::new().id_token(&Scene::new().people[0], &statement.nonce(), NOW - 190);
    let with = |typ: Option<&str>, cnf: Option<Value>| {
        let mut token = honest.clone();
        if let Some(typ) = typ {
            token.header["typ"] = json!(typ);
        }
        if let Some(cnf) = cnf {
            token.claims["cnf"] = cnf;
        }
        token
    };
    let bound = Some("dpop+id_token");
    let jwk = |key: &PublicKey| Some(json!({"jwk": key.to_jwk()}));
    let jkt = |key: &PublicKey| Some(json!({"jkt": key.thumbprint()}));
    let mut more = device.to_jwk();
    more["alg"] = json!("Ed25519");
    let (accepted, required, refused) = (
        ("accepted", KeyBinding::Accepted),
        ("required", KeyBinding::Required),
        ("refused", KeyBinding::Refused),
    );
    let good = [
        ("bound to the device", accepted, with(bound, jwk(&device))),
        ("bound, by thumbprint", accepted, with(bound, jkt(&device))),
        (
            "bound, the key with its algorithm",
            required,
            with(bound, Some(json!({ "jwk": more }))),
        ),
        ("not bound, where nobody wants it", refused, honest.clone()),
    ];
    let bad = [
        ("bound to another key", accepted, with(bound, jwk(&other))),
        (
            "bound to another thumbprint",
            required,
            with(bound, jkt(&other)),
        ),
        (
            "bound to two keys",
            accepted,
            with(
                bound,
                Some(json!({"jwk": device.to_jwk(), "jkt": other.thumbprint()})),
            ),
        ),
        (
            "bound to a key by name",
            accepted,
            with(bound, Some(json!({"kid": "device"}))),
        ),
        ("bound to nothing", accepted, with(bound, None)),
        (
            "a key, and the usual type",
            accepted,
            with(None, jwk(&device)),
        ),
        ("not bound, and it must be", required, honest.clone()),
        (
            "bound, and nobody wants it",
            refused,
            with(bound, jwk(&device)),
        ),
        (
            "the type of an earlier draft",
            accepted,
            with(Some("id_token+cnf"), jwk(&device)),
        ),
    ];
    let cic = statement.to_bytes();
    let good = good.into_iter().map(|(name, (rule, by), token)| {
        bind_by(by, &cic, &token).unwrap();
        let pop = Pop {
            aud: server(),
            nonce: "server-nonce".into(),
            cic_digest: statement.id(),
            iat: NOW,
        };
        json!({
            "name": name, "key_binding": rule, "cic_b64": b64u(&cic), "binding_id": statement.id().to_string(),
            "nonce": statement.nonce(), "jwk": device.to_jwk(), "thumbprint": device.thumbprint(),
            "pop_jws": pop.sign(&key(11)), "id_token": token.sign(), "auth_time": NOW.0 - 200,
        })
    });
    let bad = bad.into_iter().map(|(name, (rule, by), token)| {
        let code = bind_by(by, &cic, &token).unwrap_err().code;
        json!({
            "name": name, "key_binding": rule, "cic_b64": b64u(&cic), "id_token": token.sign(), "code": code,
        })
    });
    (good.collect(), bad.collect())
}

/// One JWS, and every way to spoil it.
fn jws_vectors() -> Value {
    let signer = key(21);
    let kid = signer.public().thumbprint();
    let typ = "countersign-pep+jwt";
    let token = PepToken {
        iss: PepId::parse("orders-gate").unwrap(),
        aud: server(),
        iat: NOW,
        exp: NOW + 60,
        jti: "jti-1".into(),
    };
    let sign = |header: &Value, payload: &[u8]| {
        use ed25519_dalek::Signer as _;
        let message = format!("{}.{}", b64u(&strict::canonical(header)), b64u(payload));
        let signature = ed25519_dalek::SigningKey::from_bytes(&[21; 32]).sign(message.as_bytes());
        format!("{message}.{}", b64u(&signature.to_bytes()))
    };
    let payload = strict::canonical(&token.to_value());
    let header = json!({"alg": "Ed25519", "kid": kid, "typ": typ});
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        sign(&header, &payload)
    };
    let good = sign(&header, &payload);
    assert_eq!(good, token.sign(&signer));
    let parts: Vec<&str> = good.split('.').collect();
    let cases = [
        ("alg none", with("alg", json!("none"))),
        ("alg EdDSA", with("alg", json!("EdDSA"))),
        ("alg HS256", with("alg", json!("HS256"))),
        ("alg of another key", with("alg", json!("ES256"))),
        ("another type", with("typ", json!("countersign-vote+jwt"))),
        (
            "type in capitals",
            with("typ", json!("COUNTERSIGN-PEP+JWT")),
        ),
        (
            "another kid",
            with("kid", json!(key(22).public().thumbprint())),
        ),
        ("crit", with("crit", json!(["exp"]))),
        ("its own key", with("jwk", signer.public().to_jwk())),
        ("jku", with("jku", json!("https://evil.example"))),
        ("x5c", with("x5c", json!([]))),
        ("b64", with("b64", json!(false))),
        ("cty", with("cty", json!("JWT"))),
        (
            "no kid",
            sign(&json!({"alg": "Ed25519", "typ": typ}), &payload),
        ),
        ("padding", format!("{good}=")),
        ("a fourth part", format!("{good}.x")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "unused bits",
            format!(
                "{}.{}.{}B",
                parts[0],
                parts[1],
                &parts[2][..parts[2].len() - 1]
            ),
        ),
        (
            "another signature",
            format!("{}.{}.{}", parts[0], parts[1], b64u(&[0; 64])),
        ),
        (
            "payload with a member twice",
            sign(&header, b"{\"a\":1,\"a\":2}"),
        ),
        ("payload with a float", sign(&header, b"{\"a\":1.5}")),
        ("one byte of the payload", {
            let other = PepToken {
                jti: "jti-2".into(),
                ..token.clone()
            }
            .sign(&signer);
            format!(
                "{}.{}.{}",
                parts[0],
                other.split('.').nth(1).unwrap(),
                parts[2]
            )
        }),
    ];
    let bad: Vec<Value> = cases
        .into_iter()
        .map(|(name, jws)| {
            let code = jose::verify(&jws, typ, &signer.public())
                .unwrap_err()
                .code();
            json!({"name": name, "jws": jws, "code": code})
        })
        .collect();
    json!({"typ": typ, "jwk": signer.public().to_jwk(), "good": good, "bad": bad})
}

fn dpop_vectors() -> Value {
    let url = "https://countersign.example/approver/v1/requests/txn-1/votes";
    let proof = dpop::make(
        &key(111),
        "POST",
        url,
        Some("access-token"),
        Some("nonce-1"),
        NOW,
        "jti-dpop",
    );
    json!({"proof": proof, "method": "POST", "url": url, "access_token": "access-token", "nonce": "nonce-1",
        "jkt": key(111).public().thumbprint(), "now": NOW.0})
}
