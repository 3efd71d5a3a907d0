//! JWS and documents: one header, exact members, one signature; nothing else is read.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use common::{NOW, key, requirement, subject};
use countersign_evidence::documents::{Authenticator, DisplayDigest, DocumentError};
use countersign_evidence::jose::{self, JoseError};
use countersign_evidence::{
    Ask, Choice, Grant, GrantVote, PepToken, Pop, PublicKey, Request, SecretKey, Statement, Vote,
};
use countersign_model::{Digest, PepId, ServerId, Txn, b64u, b64u_decode, json as strict};
use serde_json::{Value, json};

fn server() -> ServerId {
    ServerId::parse(common::SERVER).unwrap()
}

fn gate() -> PepId {
    PepId::parse("orders-gate").unwrap()
}

fn vote() -> Vote {
    Vote {
        key_thumbprint: Digest::parse(&key(1).public().thumbprint()).unwrap(),
        sub_id: subject("elin"),
        server: server(),
        pep: gate(),
        jti: "j".into(),
        iat: NOW,
        exp: NOW + 60,
        txn: Txn::parse("t").unwrap(),
        vote: Choice::Deny,
        operation_digest: Digest::of(b"o"),
        request_jws_digest: Digest::of(b"r"),
        nonce: "n".into(),
        binding_id: Digest::of(b"b"),
        policy_digest: Digest::of(b"p"),
        stage: None,
        prior: Vec::new(),
        consent_jkt: None,
        display: DisplayDigest {
            renderer: "x".into(),
            sha256: Digest::of(b"d"),
        },
        reason: Some("no".into()),
        match_words: Some("amber falcon".into()),
        supersedes: Some(Digest::of(b"s")),
    }
}

/// Checks that a document comes back through its JWS, and that each member is needed and none may be added.
macro_rules! exact {
    ($type:ident, $document:expr, optional: [$($optional:literal),*]) => {{
        let document: $type = $document;
        let signer = key(1);
        let jws = document.sign(&signer);
        assert_eq!($type::verify(&jws, &signer.public()).unwrap(), document);
        assert_eq!($type::unverified(&jws).unwrap(), (signer.public().thumbprint(), document.clone()));
        assert!($type::verify(&jws, &key(2).public()).is_err());
        let optional: &[&str] = &[$($optional),*];
        let value = document.to_value();
        strict::check(&value, strict::OPERATION).unwrap();
        for member in value.as_object().unwrap().keys() {
            let mut less = value.clone();
            less.as_object_mut().unwrap().remove(member);
            assert_eq!($type::from_value(&less).is_ok(), optional.contains(&member.as_str()), "without {member}");
            let mut wrong = value.clone();
            wrong[member] = json!({"not": "this"});
            assert!($type::from_value(&wrong).is_err(), "wrong {member}");
        }
        let mut more = value.clone();
        more["more"] = json!(1);
        assert!($type::from_value(&more).is_err(), "one more");
    }};
}

#[test]
fn documents_come_back_and_hold_exactly_their_members() {
    exact!(Pop, Pop { aud: server(), nonce: "n".into(), cic_digest: Digest::of(b"c"), iat: NOW }, optional: []);
    exact!(PepToken, PepToken { iss: gate(), aud: server(), iat: NOW, exp: NOW + 60, jti: "j".into() }, optional: []);
    exact!(Ask, Ask {
        iss: gate(), aud: server(), operation_digest: Digest::of(b"o"), requirement: requirement(), iat: NOW, exp: NOW + 60,
    }, optional: []);
    exact!(Request, Request {
        iss: server(), jti: "j".into(), iat: NOW, exp: NOW + 60, txn: Txn::parse("t").unwrap(),
        operation_digest: Digest::of(b"o"), ask_digest: Digest::of(b"a"), pep: gate(), sub_id: subject("mara"),
        requirement: requirement(), policy_digest: Digest::of(b"p"),
    }, optional: []);
    exact!(Vote, vote(), optional: ["reason", "match", "supersedes"]);
    exact!(Grant, Grant {
        iss: server(), aud: gate(), jti: "j".into(), iat: NOW, nbf: NOW, exp: NOW + 60, txn: Txn::parse("t").unwrap(),
        operation_digest: Digest::of(b"o"), request_jws_digest: Digest::of(b"r"),
        votes: vec![GrantVote { digest: Digest::of(b"v"), subject: subject("elin"), binding_id: Digest::of(b"b") }],
        policy_digest: Digest::of(b"p"),
    }, optional: []);
}

#[test]
fn statement_is_canonical_bytes_with_exact_members() {
    let statement = Statement {
        aud: server(),
        authenticators: vec![Authenticator {
            key: SecretKey::generate_es256([3; 32]).public(),
            rp_id: "rp".into(),
        }],
        key: key(1).public(),
        rz: b64u(&[7; 32]),
        session_jkt: Digest::of(b"s"),
    };
    let bytes = statement.to_bytes();
    assert_eq!(Statement::from_bytes(&bytes).unwrap(), statement);
    assert_eq!(statement.id(), Digest::of(&bytes));
    assert_eq!(
        statement.nonce(),
        Digest::tagged("countersign/binding/v1", &bytes).to_string()
    );
    assert!(Statement::from_bytes(&[&bytes[..], b"\n"].concat()).is_err());
    let value = statement.to_value();
    for member in value.as_object().unwrap().keys() {
        let mut less = value.clone();
        less.as_object_mut().unwrap().remove(member);
        assert!(Statement::from_value(&less).is_err(), "without {member}");
    }
    for (pointer, wrong) in [
        ("/alg", json!("ES256")),
        ("/typ", json!("countersign-binding+v2")),
        ("/rz", json!(b64u(&[7; 31]))),
        ("/jwk/x", json!("AAAA")),
        ("/jwk/d", json!(b64u(&[1; 32]))),
        ("/authenticators/0/more", json!(1)),
        ("/session_jkt", json!("x")),
        ("/more", json!(1)),
    ] {
        let mut changed = value.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = wrong;
        assert!(Statement::from_value(&changed).is_err(), "{pointer}");
    }
}

#[test]
fn members_of_one_document_do_not_pass_as_another() {
    let signer = key(1);
    let jws = vote().sign(&signer);
    for result in [
        Ask::verify(&jws, &signer.public()).map(drop),
        Request::verify(&jws, &signer.public()).map(drop),
        Grant::verify(&jws, &signer.public()).map(drop),
        Pop::verify(&jws, &signer.public()).map(drop),
        PepToken::verify(&jws, &signer.public()).map(drop),
    ] {
        assert_eq!(result, Err(DocumentError::Jose(JoseError::Typ)));
    }
}

#[test]
fn values_out_of_their_rules_are_refused() {
    let value = vote().to_value();
    for (pointer, wrong) in [
        ("/vote", json!("Approve")),
        ("/vote", json!("abstain")),
        ("/aud", json!([common::SERVER])),
        ("/aud", json!([common::SERVER, "orders-gate", "x"])),
        ("/aud", json!(["orders-gate", common::SERVER])),
        ("/iss", json!(key(1).public().thumbprint())),
        ("/iat", json!(-1)),
        ("/iat", json!("1")),
        ("/sub_id/format", json!("email")),
        ("/sub_id/more", json!(1)),
        ("/display/more", json!(1)),
        ("/reason", json!("")),
        ("/reason", json!("x".repeat(2049))),
        ("/log", json!({"size": 1, "root": "x"})),
        ("/stage", json!(1)),
        ("/consent_jkt", json!("x")),
        ("/operation_digest", json!("AAAA")),
    ] {
        let mut changed = value.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = wrong;
        assert!(Vote::from_value(&changed).is_err(), "{pointer}");
    }
    let token = |life| PepToken {
        iss: gate(),
        aud: server(),
        iat: NOW,
        exp: NOW + life,
        jti: "j".into(),
    };
    for (life, ok) in [(-1, false), (0, false), (1, true), (60, true), (61, false)] {
        assert_eq!(
            PepToken::from_value(&token(life).to_value()).is_ok(),
            ok,
            "{life}"
        );
    }
    assert!(token(30).is_good(&server(), NOW) && token(30).is_good(&server(), NOW + 90));
    assert!(!token(30).is_good(&server(), NOW + 91) && !token(30).is_good(&server(), NOW - 61));
    assert!(!token(30).is_good(&ServerId::parse("https://other.example").unwrap(), NOW));
}

/// Signs any header and payload with a key.
fn forge(signer: &SecretKey, header: &Value, payload: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        b64u(&serde_json::to_vec(header).unwrap()),
        b64u(payload)
    );
    let jwk = signer.to_jwk();
    let seed: [u8; 32] = b64u_decode(jwk["d"].as_str().unwrap())
        .unwrap()
        .try_into()
        .unwrap();
    use ed25519_dalek::Signer as _;
    let signature = ed25519_dalek::SigningKey::from_bytes(&seed).sign(message.as_bytes());
    format!("{message}.{}", b64u(&signature.to_bytes()))
}

#[test]
fn header_is_exactly_alg_typ_kid() {
    let signer = key(1);
    let kid = signer.public().thumbprint();
    let good = json!({"alg": "Ed25519", "typ": "t", "kid": kid});
    let verify =
        |header: &Value| jose::verify(&forge(&signer, header, b"{}"), "t", &signer.public());
    assert!(verify(&good).is_ok());
    let changed = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        header
    };
    for (header, error) in [
        (changed("alg", json!("none")), JoseError::Alg),
        (changed("alg", json!("EdDSA")), JoseError::Alg),
        (changed("alg", json!("HS256")), JoseError::Alg),
        (changed("alg", json!("ES256")), JoseError::Alg),
        (changed("alg", json!(1)), JoseError::Header),
        (changed("typ", json!("u")), JoseError::Typ),
        (changed("typ", json!("T")), JoseError::Typ),
        (changed("typ", json!("application/t")), JoseError::Typ),
        (changed("kid", json!("x")), JoseError::Kid),
        (
            changed("kid", json!(key(2).public().thumbprint())),
            JoseError::Kid,
        ),
        (changed("crit", json!([])), JoseError::Header),
        (changed("jwk", signer.public().to_jwk()), JoseError::Header),
        (changed("jku", json!("https://x")), JoseError::Header),
        (changed("x5c", json!([])), JoseError::Header),
        (changed("b64", json!(true)), JoseError::Header),
        (changed("cty", json!("JWT")), JoseError::Header),
        (json!({"alg": "Ed25519", "typ": "t"}), JoseError::Header),
        (json!({"alg": "Ed25519", "kid": kid}), JoseError::Header),
        (json!([]), JoseError::Header),
    ] {
        assert_eq!(verify(&header), Err(error), "{header}");
    }
    // A duplicate in the header.
    let text = format!("{{\"alg\":\"none\",\"alg\":\"Ed25519\",\"typ\":\"t\",\"kid\":\"{kid}\"}}");
    let message = format!("{}.{}", b64u(text.as_bytes()), b64u(b"{}"));
    assert_eq!(
        jose::peek(&format!("{message}.AAAA"), "t"),
        Err(JoseError::Header)
    );
}

#[test]
fn payload_is_read_strictly_after_and_before_the_signature() {
    let signer = key(1);
    let header = json!({"alg": "Ed25519", "typ": "t", "kid": signer.public().thumbprint()});
    for payload in [
        &b"{\"a\":1,\"a\":2}"[..],
        b"{\"a\":1.0}",
        b"\xef\xbb\xbf{}",
        b"{",
        b"{\"\xff\":1}",
    ] {
        let result = jose::verify(&forge(&signer, &header, payload), "t", &signer.public());
        assert!(matches!(result, Err(JoseError::Payload(_))), "{payload:?}");
    }
}

#[test]
fn compact_form_has_one_spelling() {
    let signer = key(1);
    let jws = jose::sign(&signer, "t", &json!({"a": 1}));
    let [header, payload, signature]: [&str; 3] =
        jws.split('.').collect::<Vec<_>>().try_into().unwrap();
    let last = signature.len() - 1;
    for bad in [
        format!("{jws}="),
        format!(" {jws}"),
        format!("{jws}\n"),
        format!("{jws}.x"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}=.{signature}"),
        // Unused bits of the last character of 64 bytes: `A`, `Q`, `g`, `w` are canonical, the next is not.
        format!(
            "{header}.{payload}.{}{}",
            &signature[..last],
            char::from(signature.as_bytes()[last] + 1)
        ),
        String::new(),
        "x".repeat(70_000),
    ] {
        assert!(
            jose::verify(&bad, "t", &signer.public()).is_err(),
            "{bad:.80}"
        );
    }
    assert!(jose::verify(&jws, "t", &signer.public()).is_ok());
    // Cut short or one bit off.
    assert_eq!(
        jose::verify(
            &format!("{header}.{payload}.{}", b64u(&[0; 64])),
            "t",
            &signer.public()
        ),
        Err(JoseError::Signature)
    );
    assert_eq!(
        jose::verify(
            &format!("{header}.{payload}.{}", b64u(&[0; 63])),
            "t",
            &signer.public()
        ),
        Err(JoseError::Signature)
    );
}

#[test]
fn a_jws_has_a_bound() {
    let signer = key(1);
    let sized = |bytes| jose::sign(&signer, "t", &json!({"a": "x".repeat(bytes)}));
    let (fits, too_long) = (sized(48_000), sized(50_000));
    assert!(fits.len() < jose::MAX_COMPACT_BYTES && too_long.len() > jose::MAX_COMPACT_BYTES);
    assert!(jose::verify(&fits, "t", &signer.public()).is_ok());
    assert_eq!(
        jose::verify(&too_long, "t", &signer.public()),
        Err(JoseError::Malformed)
    );
}

#[test]
fn keys_are_exact_and_valid_points() {
    let okp = key(1).public().to_jwk();
    let ec = SecretKey::generate_es256([1; 32]).public().to_jwk();
    for jwk in [&okp, &ec] {
        assert_eq!(PublicKey::from_jwk(jwk).unwrap().to_jwk(), *jwk);
        for member in ["kid", "alg", "use", "d", "x5c"] {
            let mut more = jwk.clone();
            more[member] = json!("x");
            assert!(PublicKey::from_jwk(&more).is_err(), "{member}");
        }
        for member in jwk.as_object().unwrap().keys() {
            let mut less = jwk.clone();
            less.as_object_mut().unwrap().remove(member);
            assert!(PublicKey::from_jwk(&less).is_err(), "{member}");
        }
    }
    let with = |jwk: &Value, name: &str, value: &str| {
        let mut jwk = jwk.clone();
        jwk[name] = json!(value);
        PublicKey::from_jwk(&jwk).is_err()
    };
    assert!(with(&okp, "crv", "Ed448") && with(&okp, "crv", "X25519") && with(&okp, "kty", "EC"));
    assert!(with(&ec, "crv", "P-384") && with(&ec, "crv", "secp256k1"));
    assert!(with(&okp, "x", &b64u(&[0; 32])), "a point of small order");
    assert!(with(&okp, "x", &b64u(&[0xff; 32])), "not canonical");
    assert!(with(&ec, "y", &b64u(&[1; 32])), "not on the curve");
    assert!(with(&ec, "x", &format!("{}=", ec["x"].as_str().unwrap())));
}

#[test]
fn thumbprint_is_rfc_7638() {
    // RFC 8037, appendix A.3.
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let thumbprint = PublicKey::from_jwk(&jwk).unwrap().thumbprint();
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn private_keys_come_back_whole_and_are_not_printed() {
    for secret in [
        key(9),
        SecretKey::generate_es256([9; 32]),
        SecretKey::generate_es256([0xff; 32]),
    ] {
        let jwk = secret.to_jwk();
        let read = SecretKey::from_jwk(&jwk).unwrap();
        assert_eq!(read.public(), secret.public());
        assert!(!format!("{secret:?}").contains(jwk["d"].as_str().unwrap()));
        let mut foreign = jwk.clone();
        foreign["d"] = key(8).to_jwk()["d"].clone();
        assert!(
            SecretKey::from_jwk(&foreign).is_err(),
            "a private half of another key"
        );
        assert!(
            SecretKey::from_jwk(&secret.public().to_jwk()).is_err(),
            "no private half"
        );
    }
}

#[test]
fn es256_signatures_are_low_s() {
    // The same message signed by many keys: without the rule half of them would be high.
    for seed in 1..40 {
        let secret = SecretKey::generate_es256([seed; 32]);
        let jws = jose::sign(&secret, "t", &json!({"seed": seed}));
        assert!(jose::verify(&jws, "t", &secret.public()).is_ok(), "{seed}");
        assert!(
            b64u_decode(jws.rsplit_once('.').unwrap().1).unwrap()[32] < 0x80,
            "{seed}"
        );
    }
}

#[test]
fn lists_and_counts_have_bounds() {
    let granted = GrantVote {
        digest: Digest::of(b"v"),
        subject: subject("elin"),
        binding_id: Digest::of(b"b"),
    };
    let grant = |votes| Grant {
        iss: server(),
        aud: gate(),
        jti: "j".into(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 60,
        txn: Txn::parse("t").unwrap(),
        operation_digest: Digest::of(b"o"),
        request_jws_digest: Digest::of(b"r"),
        votes: vec![granted.clone(); votes],
        policy_digest: Digest::of(b"p"),
    };
    for (votes, ok) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(
            Grant::from_value(&grant(votes).to_value()).is_ok(),
            ok,
            "{votes}"
        );
    }
    for uses in [0, 2] {
        let mut value = grant(1).to_value();
        value["max_uses"] = json!(uses);
        assert!(Grant::from_value(&value).is_err(), "{uses} uses");
    }
    let mut value = grant(1).to_value();
    value["votes"][0]["more"] = json!(1);
    assert!(Grant::from_value(&value).is_err(), "one more");
    let authenticator = Authenticator {
        key: key(3).public(),
        rp_id: "rp".into(),
    };
    for (count, ok) in [(16, true), (17, false)] {
        let statement = Statement {
            aud: server(),
            authenticators: vec![authenticator.clone(); count],
            key: key(1).public(),
            rz: b64u(&[7; 32]),
            session_jkt: Digest::of(b"s"),
        };
        assert_eq!(
            Statement::from_bytes(&statement.to_bytes()).is_ok(),
            ok,
            "{count}"
        );
    }
}
