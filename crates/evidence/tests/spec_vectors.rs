//! The vectors of `docs/spec/vectors`: made here with fixed keys and times, compared with the files, and checked
//! once more by `docs/spec/check.py`, which shares no code. `UPDATE_VECTORS=1` writes them anew.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Edit, NOW, OP, Scene, Token, key, requirement, subject};
use countersign_evidence::documents::{Authenticator, Statement};
use countersign_evidence::op_token::AsOf;
use countersign_evidence::verify::{Refusal, verify_binding};
use countersign_evidence::{
    Choice, PepToken, Pop, PublicKey, SecretKey, Vote, dpop, jose, jws_digest,
};
use countersign_model::{
    Digest, MatchWords, NotifyButtons, Operation, PepId, ReasonRule, Requirement, ServerId, StepUp,
    Subject, Txn, b64u, json as strict, matching_words,
};
use serde_json::{Value, json};

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec")
}

fn compare(name: &str, vectors: &Value) {
    let path = spec().join("vectors").join(name);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&common::sorted(vectors)).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let text = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run with UPDATE_VECTORS=1", path.display()));
    let found: Value = serde_json::from_slice(&text).unwrap();
    assert!(
        found == *vectors,
        "{name} is not what the code makes: run with UPDATE_VECTORS=1 and read the difference"
    );
}

// --- operation ----------------------------------------------------------------------------------

fn good_operation(name: &str, value: Value) -> Value {
    let operation = Operation::build(value).unwrap();
    json!({
        "name": name,
        "operation_b64": b64u(operation.bytes()),
        "operation_digest": operation.digest().to_string(),
        "requester": operation.subject().to_string(),
        "pep": operation.pep().as_str(),
    })
}

fn bad_operation(name: &str, bytes: &[u8]) -> Value {
    let rule = Operation::parse(bytes).unwrap_err().rule();
    json!({"name": name, "operation_b64": b64u(bytes), "rule": rule})
}

/// The sample operation's canonical text with one part replaced.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(strict::canonical(&common::operation())).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn operation_vectors() {
    let edited = |change: fn(&mut Value)| {
        let mut value = common::operation();
        change(&mut value);
        value
    };
    let good = vec![
        good_operation("an HTTP call", common::operation()),
        good_operation(
            "an AI agent acts for a person",
            edited(|o| {
                o["subject"]["properties"]["act"] =
                    json!({"iss": "https://ai.example", "sub": "agent|7"});
            }),
        ),
        good_operation(
            "text beyond ASCII, not normalized",
            edited(|o| {
                o["context"]["justification"] =
                    json!("e\u{301} is not é; \u{202e}evil\u{202c} \u{1f600} \u{0} \u{7f} \"\\");
            }),
        ),
        good_operation(
            "the smallest",
            json!({
                "subject": {"type": "user", "id": format!("{OP}|mara")},
                "action": {"name": "read"},
                "resource": {"type": "thing", "id": "1"},
                "context": {"pep": "gate", "nonce": "AAECAwQFBgcICQoLDA0ODw"},
            }),
        ),
        good_operation(
            "integers at their bounds",
            edited(|o| {
                o["action"]["properties"]["n"] =
                    json!([strict::MAX_INTEGER, -strict::MAX_INTEGER, 0, -1]);
            }),
        ),
    ];
    let canonical = strict::canonical(&common::operation());
    let deep = format!("\"size\":{}0{}", "[".repeat(14), "]".repeat(14));
    let long = format!("\"path\":\"{}\"", "x".repeat(65_536));
    let bad = vec![
        bad_operation("a space after it", &[&canonical[..], b" "].concat()),
        bad_operation(
            "members in another order",
            &replaced(
                "\"id\":\"42\",\"properties\":{\"service\":\"orders-api\"}",
                "\"properties\":{\"service\":\"orders-api\"},\"id\":\"42\"",
            ),
        ),
        bad_operation(
            "an escape that need not be",
            &replaced("DELETE", "\\u0044ELETE"),
        ),
        bad_operation(
            "a member twice",
            &replaced(
                "\"method\":\"DELETE\"",
                "\"method\":\"GET\",\"method\":\"DELETE\"",
            ),
        ),
        bad_operation(
            "a member twice, once escaped",
            &replaced(
                "\"method\":\"DELETE\"",
                "\"method\":\"GET\",\"\\u006dethod\":\"DELETE\"",
            ),
        ),
        bad_operation(
            "a fraction of zero",
            &replaced("\"size\":0", "\"size\":1.0"),
        ),
        bad_operation("an exponent", &replaced("\"size\":0", "\"size\":1e2")),
        bad_operation("negative zero", &replaced("\"size\":0", "\"size\":-0")),
        bad_operation("2^53", &replaced("\"size\":0", "\"size\":9007199254740992")),
        bad_operation(
            "beyond 64 bits",
            &replaced("\"size\":0", "\"size\":18446744073709551617"),
        ),
        bad_operation("a noncharacter", &replaced("DELETE", "\u{fdd0}")),
        bad_operation("half a surrogate pair", &replaced("DELETE", "\\ud800")),
        bad_operation(
            "a byte order mark",
            &[b"\xef\xbb\xbf", &canonical[..]].concat(),
        ),
        bad_operation(
            "not UTF-8",
            &[&canonical[..10], b"\xff", &canonical[10..]].concat(),
        ),
        bad_operation("too deep", &replaced("\"size\":0", &deep)),
        bad_operation("too long", &replaced("\"path\":\"/customers/42\"", &long)),
        bad_operation(
            "a member name with a space",
            &replaced("\"kind\":", "\"a kind\":"),
        ),
        bad_operation("no JSON", b"{"),
        bad_operation(
            "another member",
            &replaced("\"resource\":", "\"policy\":{},\"resource\":"),
        ),
        bad_operation(
            "no nonce",
            &replaced(",\"nonce\":\"AAECAwQFBgcICQoLDA0ODw\"", ""),
        ),
        bad_operation(
            "a short nonce",
            &replaced("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O"),
        ),
        bad_operation(
            "a requester without an issuer",
            &replaced("https://op.example|mara", "mara"),
        ),
        bad_operation(
            "an issuer with http",
            &replaced("https://op.example|mara", "http://op.example|mara"),
        ),
        bad_operation(
            "a gate's id that is a path",
            &replaced("\"pep\":\"orders-gate\"", "\"pep\":\"../gate\""),
        ),
    ];
    let words: Vec<Value> = ["", "a", "countersign", "\u{e9}"]
        .iter()
        .map(|text| {
            let digest = Digest::of(text.as_bytes());
            json!({"request_jws_digest": digest.to_string(), "words": matching_words(digest)})
        })
        .collect();
    compare(
        "operation.json",
        &json!({"spec": "operation.md", "good": good, "bad": bad, "matching_words": words}),
    );
}

// --- binding ------------------------------------------------------------------------------------

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
    let scene = Scene::new();
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
    let good: Vec<Value> = [
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

    let config = json!({"server": common::SERVER, "issuer": OP, "client_id": common::CLIENT, "now": NOW.0,
        "algorithms": scene.op.algorithms, "jwks": common::op_jwks(50)});
    compare(
        "binding.json",
        &json!({
            "spec": "binding.md", "config": config, "good": good, "bad": bad, "jws": jws_vectors(), "dpop": dpop_vectors(),
        }),
    );
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

// --- ask ----------------------------------------------------------------------------------------

#[test]
fn ask_vectors() {
    let evidence = Scene::new().evidence();
    let mut strict_one = requirement();
    strict_one.acr = Some("phr".into());
    strict_one.scope = Some("approve:orders.delete".into());
    strict_one.step_up = StepUp::Oidc;
    strict_one.match_words = MatchWords::Words;
    strict_one.release_claims_secs = Some(600);
    strict_one.notify_buttons = NotifyButtons::Deny;
    let changes: [fn(&mut Requirement); 20] = [
        |_| {},
        |r| r.approvals = 3,
        |r| r.approvals = 1,
        |r| r.by = countersign_model::By::Requester,
        |r| r.step_up = StepUp::None,
        |r| r.acr = None,
        |r| r.scope = Some("approve:orders".into()),
        |r| r.match_words = MatchWords::None,
        |r| r.fresh_claims_secs = 301,
        |r| r.fresh_claims_secs = 1,
        |r| r.release_claims_secs = None,
        |r| r.release_claims_secs = Some(1),
        |r| r.reason = ReasonRule::Optional,
        |r| r.reason = ReasonRule::Always,
        |r| r.notify_buttons = NotifyButtons::Both,
        |r| r.notify_buttons = NotifyButtons::None,
        |r| r.ttl_secs = 901,
        |r| r.grant_secs = 121,
        |r| r.irreversible = None,
        |r| r.lift.clear(),
    ];
    let covers: Vec<Value> = changes
        .into_iter()
        .map(|change| {
            let mut theirs = strict_one.clone();
            change(&mut theirs);
            let laxer = strict_one.covers(&theirs).err().map(|laxer| laxer.member);
            json!({"theirs": theirs.to_value(), "laxer": laxer})
        })
        .collect();
    let malformed: Vec<Value> = [
        ("stages", json!([])),
        ("quorum", json!(2)),
        ("approvals", json!(0)),
        ("by", json!("anyone")),
        ("match", Value::Null),
        ("lift", json!([])),
        ("ttl_secs", json!("900")),
    ]
    .into_iter()
    .map(|(name, value)| {
        let mut wire = requirement().to_value();
        wire[name] = value;
        assert!(Requirement::from_value(&wire).is_err(), "{name}");
        wire
    })
    .collect();
    compare(
        "ask.json",
        &json!({
            "spec": "ask.md",
            "pep": {"id": "orders-gate", "jwk": common::pep_key().public().to_jwk()},
            "server": {"id": common::SERVER, "jwk": common::server_key().public().to_jwk()},
            "operation_b64": evidence.operation_b64,
            "ask_jws": evidence.ask_jws,
            "request_jws": evidence.request_jws,
            "request_jws_digest": jws_digest(&evidence.request_jws).to_string(),
            "matching_words": matching_words(jws_digest(&evidence.request_jws)),
            "requirement": {"mine": strict_one.to_value(), "covers": covers, "malformed": malformed},
        }),
    );
}

// --- vote and grant -----------------------------------------------------------------------------

#[test]
fn vote_vectors() {
    let evidence = Scene::new().evidence();
    let vote = |vote: &countersign_evidence::EvidenceVote| {
        json!({
            "jws": vote.jws, "cic_b64": vote.cic, "digest": jws_digest(&vote.jws).to_string(),
        })
    };
    let deny = Scene::with(Edit::Vote(|v| {
        v.vote = Choice::Deny;
        v.reason = Some("Ask the customer first.".into());
    }));
    let words = {
        let mut scene = Scene::new();
        scene.match_words = Some("right");
        scene
    };
    let good = vec![
        vote(&evidence.votes[0]),
        vote(&evidence.votes[1]),
        vote(&deny.evidence().votes[0]),
        vote(&words.evidence().votes[0]),
    ];
    let (_, payload) = Vote::unverified(&evidence.votes[0].jws).unwrap();
    let malformed: Vec<Value> = [
        ("/vote", json!("abstain")),
        ("/aud", json!([common::SERVER])),
        ("/iss", json!("elin")),
        ("/sub_id", json!("elin")),
        ("/iat", json!(-1)),
        ("/stage", json!(1)),
        ("/log", json!({"size": 1, "root": "x"})),
        ("/reason", json!("")),
        ("/display", json!({"renderer": "x"})),
    ]
    .into_iter()
    .map(|(pointer, value)| {
        let mut payload = payload.to_value();
        payload[&pointer[1..]] = value;
        let jws = jose::sign(&key(11), Vote::TYP, &payload);
        assert!(Vote::verify(&jws, &key(11).public()).is_err(), "{pointer}");
        json!({"name": &pointer[1..], "jws": jws})
    })
    .collect();
    compare(
        "vote.json",
        &json!({
            "spec": "vote.md", "request_jws": evidence.request_jws, "good": good, "malformed": malformed,
        }),
    );
}

fn trust(scene: &Scene) -> Value {
    json!({
        "server": scene.server.as_str(),
        "server_keys": scene.server_keys.iter().map(PublicKey::to_jwk).collect::<Vec<_>>(),
        "pep": {"id": scene.pep.0.as_str(), "jwk": scene.pep.1.to_jwk()},
        "issuer": scene.op.issuer.as_str(),
        "client_id": scene.op.client_id,
        "algorithms": scene.op.algorithms,
        "groups_claim": scene.op.groups_claim,
        "session_secs": common::SESSION_SECS,
        "policy": {"requirement": requirement().to_value(), "voters": "https://op.example#dba"},
    })
}

fn release(scene: &Scene) -> Value {
    let rebuilt =
        Operation::build(scene.rebuilt.clone().unwrap_or_else(common::operation)).unwrap();
    json!({"me": scene.me.as_str(), "asked_at": scene.asked_at.0, "now": scene.now.0,
        "operation_b64": b64u(rebuilt.bytes())})
}

#[test]
fn grant_vectors() {
    let scene = Scene::new();
    scene.release(&scene.evidence()).unwrap();
    let cases: Vec<(&str, Edit)> = vec![
        (
            "another operation is executed",
            Edit::Scene(|s| {
                let mut other = common::operation();
                other["resource"]["id"] = json!("43");
                s.rebuilt = Some(other);
            }),
        ),
        (
            "the operation is swapped throughout",
            Edit::Operation(|o| o["resource"]["id"] = json!("1")),
        ),
        (
            "ask by another key",
            Edit::Scene(|s| s.ask_signer = key(99)),
        ),
        (
            "request by another key",
            Edit::Scene(|s| s.request_signer = key(99)),
        ),
        (
            "grant by another key",
            Edit::Scene(|s| s.grant_signer = key(99)),
        ),
        (
            "another server",
            Edit::Request(|r| r.iss = ServerId::parse("https://other.example").unwrap()),
        ),
        (
            "another gate",
            Edit::Grant(|g| g.aud = PepId::parse("other-gate").unwrap()),
        ),
        (
            "vote for another gate",
            Edit::Vote(|v| v.pep = PepId::parse("other-gate").unwrap()),
        ),
        (
            "another request",
            Edit::Vote(|v| v.txn = Txn::parse("txn-2").unwrap()),
        ),
        (
            "vote on another operation",
            Edit::Vote(|v| v.operation_digest = Digest::of(b"x")),
        ),
        (
            "request of another ask",
            Edit::Request(|r| r.ask_digest = Digest::of(b"x")),
        ),
        (
            "vote on another request JWS",
            Edit::Vote(|v| v.request_jws_digest = Digest::of(b"x")),
        ),
        (
            "grant under another policy",
            Edit::Grant(|g| g.policy_digest = Digest::of(b"x")),
        ),
        (
            "another requester",
            Edit::Request(|r| r.sub_id = subject("otto")),
        ),
        (
            "forged vote",
            Edit::Scene(|s| s.vote_signer = Some(key(99))),
        ),
        (
            "another binding",
            Edit::Vote(|v| v.binding_id = Digest::of(b"x")),
        ),
        ("grant of fewer votes", Edit::Grant(|g| drop(g.votes.pop()))),
        (
            "requirement lowered after the ask",
            Edit::Request(|r| r.requirement.approvals = 1),
        ),
        (
            "requirement below the policy",
            Edit::Scene(|s| s.requirement.approvals = 1),
        ),
        (
            "a deny among the votes",
            Edit::Vote(|v| {
                v.vote = Choice::Deny;
                v.reason = Some("no".into());
            }),
        ),
        (
            "vote before the operation",
            Edit::Vote(|v| v.iat = v.iat - 200),
        ),
        (
            "vote from the future",
            Edit::Vote(|v| {
                v.iat = NOW + 61;
                v.exp = NOW + 62;
            }),
        ),
        (
            "vote outlives its request",
            Edit::Vote(|v| v.exp = v.exp + 900),
        ),
        (
            "wrong matching words",
            Edit::Scene(|s| s.match_words = Some("wrong words")),
        ),
        ("used too late", Edit::Scene(|s| s.now = NOW + 101)),
        (
            "a provider's key that I never saw",
            Edit::IdToken(|t| t.header["kid"] = json!("op-2")),
        ),
        ("a forged ID token", Edit::IdToken(|t| t.signer = 51)),
        (
            "an ID token for another client",
            Edit::IdToken(|t| t.claims["aud"] = json!("countersign-cli")),
        ),
        (
            "an ID token for two clients",
            Edit::IdToken(|t| t.claims["aud"] = json!([common::CLIENT, "x"])),
        ),
        (
            "the provider committed to another key",
            Edit::IdToken(|t| t.claims["nonce"] = json!("x")),
        ),
        (
            "no auth_time",
            Edit::IdToken(|t| drop(t.claims.as_object_mut().unwrap().remove("auth_time"))),
        ),
        (
            "a silent sign-in",
            Edit::IdToken(|t| t.claims["auth_time"] = json!(NOW.0 - 190 - 301)),
        ),
        (
            "session over",
            Edit::IdToken(|t| {
                t.claims["auth_time"] = json!(NOW.0 - 30 - 43_201);
                t.claims["iat"] = json!(NOW.0 - 30 - 43_201);
                t.claims["exp"] = json!(NOW.0);
            }),
        ),
        (
            "a vote in somebody else's name",
            Edit::Vote(|v| v.sub_id = subject("otto")),
        ),
        (
            "another provider",
            Edit::Vote(|v| v.sub_id = Subject::parse("https://other.example|elin").unwrap()),
        ),
        (
            "not in the group",
            Edit::IdToken(|t| t.claims["groups"] = json!([])),
        ),
        (
            "a group that is a string",
            Edit::IdToken(|t| t.claims["groups"] = json!("dba")),
        ),
        (
            "the requester votes",
            Edit::Scene(|s| s.people[0].sub = "mara"),
        ),
        (
            "one person votes twice",
            Edit::Scene(|s| s.people[1].sub = "elin"),
        ),
        ("one vote of two", Edit::Scene(|s| drop(s.people.pop()))),
        (
            "no ID token",
            Edit::Evidence(|e| e.votes[0].id_token = None),
        ),
    ];
    let bad: Vec<Value> = cases
        .into_iter()
        .map(|(name, edit)| {
            let scene = Scene::with(edit);
            let evidence = scene.evidence();
            let refusal = scene.release(&evidence).unwrap_err();
            json!({"name": name, "evidence": evidence.to_value(), "release": release(&scene),
                "step": refusal.step.number(), "code": refusal.code})
        })
        .collect();
    compare(
        "grant.json",
        &json!({
            "spec": "grant.md", "trust": trust(&scene), "jwks": common::op_jwks(50),
            "good": {"evidence": scene.evidence().to_value(), "release": release(&scene)}, "bad": bad,
        }),
    );
}

#[test]
fn another_language_agrees() {
    // The vectors are checked once more by a program that shares no code with this one.
    let script = spec().join("check.py");
    let output = Command::new("python3")
        .arg(&script)
        .output()
        .expect("python3 is needed to check the vectors");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
