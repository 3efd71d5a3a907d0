//! Assertions by an authenticator that shares no code with this crate: 1Password's `passkey-authenticator`, spoken
//! to in CTAP 2, with its own cryptography.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::{NOW, RP_ID, SERVER, Scene, key};
use countersign_evidence::documents::{Authenticator, Statement, step_up_nonce};
use countersign_evidence::verify::{Refusal, StepUpFound, SteppedUp, verify_step_up};
use countersign_evidence::{PublicKey, StepUpEvidence, Vote};
use countersign_model::{Digest, StepUp, b64u};
use passkey_authenticator::{Authenticator as Software, UiHint, UserCheck, UserValidationMethod};
use passkey_crypto::iana::Algorithm;
use passkey_crypto::rust_crypto::{RustCryptoBackend, RustCryptoPublicKey};
use passkey_crypto::{CryptoBackend, PublicKeyT, SecretKeyT};
use passkey_types::Passkey;
use passkey_types::ctap2::get_assertion::{Options, Request};
use passkey_types::ctap2::{Aaguid, Ctap2Error};
use serde_json::json;

/// Who sits before it, and whether they can prove who they are.
struct Holder {
    verified: bool,
}

#[async_trait::async_trait]
impl UserValidationMethod for Holder {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck {
            presence,
            verification: verification && self.verified,
        })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(self.verified)
    }
}

/// It waits for nobody, so its first poll is its last.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the authenticator waits for something"),
    }
}

fn credential(algorithm: Algorithm) -> (Passkey, PublicKey) {
    let secret = RustCryptoBackend.generate_key(algorithm).unwrap();
    let passkey = Passkey {
        key: secret.to_cose_key(),
        credential_id: vec![7; 16].into(),
        rp_id: RP_ID.to_owned(),
        user_handle: None,
        username: None,
        user_display_name: None,
        counter: Some(3),
        extensions: Default::default(),
    };
    // SPKI: the key's coordinates are its last bytes.
    let der = RustCryptoPublicKey::der_from_cose_key(&secret.public_key().to_cose_key()).unwrap();
    let jwk = if algorithm == Algorithm::ES256 {
        let (x, y) = der[der.len() - 64..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)})
    } else {
        json!({"kty": "OKP", "crv": "Ed25519", "x": b64u(&der[der.len() - 32..])})
    };
    (passkey, PublicKey::from_jwk(&jwk).unwrap())
}

/// A touch by this holder, as the agent would ask for it.
fn touch(algorithm: Algorithm, verified: bool) -> Result<StepUpFound, Refusal> {
    let mut scene = Scene::new();
    scene.ask_for(|r| r.step_up = StepUp::Webauthn);
    let jws = scene.evidence().votes[0].jws.clone();
    let (_, vote) = Vote::unverified(&jws).unwrap();
    let (passkey, public) = credential(algorithm);
    let statement = Statement {
        aud: scene.server.clone(),
        authenticators: vec![Authenticator {
            key: public.clone(),
            rp_id: RP_ID.to_owned(),
        }],
        key: key(11).public(),
        rz: b64u(&[1; 32]),
        session_jkt: Digest::of(b"session"),
    };
    let client_data = serde_json::to_vec(&json!({
        "type": "webauthn.get", "challenge": step_up_nonce(&jws),
        "origin": format!("countersign:{SERVER}"), "crossOrigin": false,
    }))
    .unwrap();
    let mut software = Software::new(
        Aaguid::new_empty(),
        Some(passkey),
        Holder { verified },
        RustCryptoBackend,
    );
    let request = Request {
        rp_id: RP_ID.to_owned(),
        client_data_hash: Digest::of(&client_data).as_bytes().to_vec().into(),
        allow_list: None,
        extensions: None,
        options: Options {
            up: true,
            uv: verified,
        },
        pin_auth: None,
        pin_protocol: None,
    };
    let answer = at_once(software.get_assertion(request)).unwrap();
    let step_up = StepUpEvidence::Webauthn {
        authenticator_data: b64u(&answer.auth_data.to_vec()),
        client_data_json: b64u(&client_data),
        signature: b64u(&answer.signature),
        key: public.thumbprint(),
    };
    let of = SteppedUp {
        vote_jws: &jws,
        vote: &vote,
        requirement: &scene.requirement,
        server: &scene.server,
    };
    let keys = scene.op_keys.as_ref().unwrap();
    verify_step_up(&step_up, of, &statement, (&scene.op, keys), NOW)
}

#[test]
fn another_authenticators_touch_is_taken() {
    for taken in [Algorithm::ES256, Algorithm::EdDSA] {
        // Its signatures are not all alike.
        for _ in 0..20 {
            let found = touch(taken, true).unwrap();
            assert_eq!(found.auth_time, None, "{taken:?}");
        }
    }
}

#[test]
fn a_touch_by_whoever_found_it_is_refused() {
    let refusal = touch(Algorithm::ES256, false).unwrap_err();
    assert_eq!(refusal.code, "step_up_user_unverified");
}
