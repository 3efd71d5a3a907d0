//! DPoP proofs (RFC 9449): for one key, one call, one token, one minute.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

use countersign_evidence::SecretKey;
use countersign_evidence::dpop::{DpopError, make, verify};
use countersign_model::{UnixSecs, b64u, b64u_decode};
use serde_json::{Value, json};

const NOW: UnixSecs = UnixSecs(1_795_331_700);
const URL: &str = "https://countersign.example/approver/v1/requests/t/votes";

fn key() -> SecretKey {
    SecretKey::generate([5; 32])
}

#[test]
fn a_proof_is_for_this_call_only() {
    for key in [key(), SecretKey::generate_es256([5; 32])] {
        let proof = make(
            &key,
            "POST",
            URL,
            Some("token"),
            Some("nonce"),
            NOW,
            "jti-1",
        );
        let verified = verify(&proof, "POST", URL, Some("token"), NOW).unwrap();
        assert_eq!(verified.jkt.to_string(), key.public().thumbprint());
        assert_eq!(
            (
                verified.jti.as_str(),
                verified.iat,
                verified.nonce.as_deref()
            ),
            ("jti-1", NOW, Some("nonce"))
        );
        assert!(
            verify(
                &proof,
                "POST",
                &format!("{URL}?wait=25"),
                Some("token"),
                NOW + 60
            )
            .is_ok()
        );
        for (result, error) in [
            (
                verify(&proof, "GET", URL, Some("token"), NOW),
                DpopError::OtherCall,
            ),
            (
                verify(
                    &proof,
                    "POST",
                    "https://countersign.example/",
                    Some("token"),
                    NOW,
                ),
                DpopError::OtherCall,
            ),
            (
                verify(&proof, "POST", URL, Some("other"), NOW),
                DpopError::OtherToken,
            ),
            (
                verify(&proof, "POST", URL, None, NOW),
                DpopError::OtherToken,
            ),
            (
                verify(&proof, "POST", URL, Some("token"), NOW + 61),
                DpopError::Time,
            ),
            (
                verify(&proof, "POST", URL, Some("token"), NOW - 61),
                DpopError::Time,
            ),
        ] {
            assert_eq!(result.unwrap_err(), error);
        }
    }
    let bare = make(&key(), "POST", URL, None, None, NOW, "j");
    assert_eq!(
        verify(&bare, "POST", URL, Some("token"), NOW).unwrap_err(),
        DpopError::OtherToken
    );
}

#[test]
fn the_example_of_rfc_9449_has_a_high_s_and_is_refused_for_it() {
    // Section 4.1, ES256. One spelling per signature, here too: our own agents sign with low s.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let result = verify(
        proof,
        "POST",
        "https://server.example.com/token",
        None,
        UnixSecs(1_562_262_616),
    );
    assert_eq!(result.unwrap_err(), DpopError::Signature);
    assert_eq!(
        b64u_decode(proof.rsplit_once('.').unwrap().1).unwrap()[32],
        0xd0,
        "s is high"
    );
}

fn changed(edit: impl Fn(&mut Value, &mut Value)) -> String {
    let proof = make(&key(), "POST", URL, None, None, NOW, "j");
    let part = |index: usize| -> Value {
        serde_json::from_slice(&b64u_decode(proof.split('.').nth(index).unwrap()).unwrap()).unwrap()
    };
    let (mut header, mut payload) = (part(0), part(1));
    edit(&mut header, &mut payload);
    let text = |value: &Value| b64u(&serde_json::to_vec(value).unwrap());
    let message = format!("{}.{}", text(&header), text(&payload));
    use ed25519_dalek::Signer as _;
    let signature = ed25519_dalek::SigningKey::from_bytes(&[5; 32]).sign(message.as_bytes());
    format!("{message}.{}", b64u(&signature.to_bytes()))
}

#[test]
fn header_and_payload_are_exact() {
    assert!(verify(&changed(|_, _| {}), "POST", URL, None, NOW).is_ok());
    let cases: [fn(&mut Value, &mut Value); 15] = [
        |h, _| h["typ"] = json!("JWT"),
        |h, _| h["alg"] = json!("none"),
        |h, _| h["alg"] = json!("HS256"),
        |h, _| h["alg"] = json!("ES256"),
        |h, _| h["alg"] = json!("EdDSA"),
        |h, _| h["crit"] = json!([]),
        |h, _| h["jwk"]["d"] = json!(b64u(&[5; 32])),
        |h, _| h["jwk"] = json!({"kty": "oct", "k": "AAAA"}),
        |h, _| drop(h.as_object_mut().unwrap().remove("jwk")),
        |_, p| p["iat"] = json!("1"),
        |_, p| p["jti"] = json!(""),
        |_, p| p["jti"] = json!("x".repeat(129)),
        |_, p| p["more"] = json!(1),
        |_, p| drop(p.as_object_mut().unwrap().remove("htm")),
        |_, p| drop(p.as_object_mut().unwrap().remove("htu")),
    ];
    for (index, edit) in cases.into_iter().enumerate() {
        let error = verify(&changed(edit), "POST", URL, None, NOW).unwrap_err();
        assert!(matches!(error, DpopError::Malformed(_)), "{index}: {error}");
    }
    // Another key's JWK in the header.
    let foreign = changed(|h, _| h["jwk"] = SecretKey::generate([6; 32]).public().to_jwk());
    assert_eq!(
        verify(&foreign, "POST", URL, None, NOW).unwrap_err(),
        DpopError::Signature
    );
}
