//! Step 5: only the provider's own word binds a key to a person.

use countersign_evidence::op_token::OpKeys;
use countersign_evidence::verify::StepId;
use countersign_model::Subject;
use serde_json::json;

use crate::common::Edit::{Evidence, IdToken, Scene as Whole, Statement, Vote};
use crate::common::{self, NOW, Scene, op_jwks, subject};
use crate::{check, other};

#[test]
fn bindings_are_the_providers_word() {
    let step = StepId::Bindings;
    check(vec![
        (
            "no ID token",
            Evidence(|e| e.votes[1].id_token = None),
            step,
            "id_token_missing",
        ),
        (
            "no keys of the provider",
            Whole(|s| s.op_keys = None),
            step,
            "op_keys_missing",
        ),
        (
            "an untrusted provider",
            IdToken(|t| t.claims["iss"] = json!("https://evil.example")),
            step,
            "op_not_trusted",
        ),
        (
            "the server's own OP key",
            Whole(|s| s.op_keys = Some(OpKeys::from_jwks(&op_jwks(51)).unwrap())),
            step,
            "binding_signature",
        ),
        (
            "a key never seen",
            IdToken(|t| t.header["kid"] = json!("op-2")),
            step,
            "binding_key_unknown",
        ),
        (
            "a forged token",
            IdToken(|t| t.signer = 51),
            step,
            "binding_signature",
        ),
        (
            "alg none",
            IdToken(|t| t.header["alg"] = json!("none")),
            step,
            "token_alg",
        ),
        (
            "alg HS256",
            IdToken(|t| t.header["alg"] = json!("HS256")),
            step,
            "token_alg",
        ),
        (
            "another algorithm",
            IdToken(|t| t.header["alg"] = json!("RS256")),
            step,
            "binding_signature",
        ),
        (
            "a critical header",
            IdToken(|t| t.header["crit"] = json!(["x"])),
            step,
            "token_header",
        ),
        (
            "an access token",
            IdToken(|t| t.header["typ"] = json!("at+jwt")),
            step,
            "token_typ",
        ),
        (
            "a logout token",
            IdToken(|t| t.claims["events"] = json!({})),
            step,
            "token_foreign_claim",
        ),
        (
            "a token with a scope",
            IdToken(|t| t.claims["scope"] = json!("openid")),
            step,
            "token_foreign_claim",
        ),
        (
            "another client",
            IdToken(|t| t.claims["aud"] = json!("countersign-cli")),
            step,
            "binding_audience",
        ),
        (
            "two audiences",
            IdToken(|t| t.claims["aud"] = json!([common::CLIENT, "x"])),
            step,
            "binding_audience",
        ),
        (
            "another authorized party",
            IdToken(|t| t.claims["azp"] = json!("x")),
            step,
            "binding_audience",
        ),
        (
            "another nonce",
            IdToken(|t| t.claims["nonce"] = json!("x")),
            step,
            "binding_nonce",
        ),
        (
            "no nonce",
            IdToken(|t| drop(t.claims.as_object_mut().unwrap().remove("nonce"))),
            step,
            "binding_nonce",
        ),
        (
            "no auth_time",
            IdToken(|t| drop(t.claims.as_object_mut().unwrap().remove("auth_time"))),
            step,
            "auth_time_missing",
        ),
        (
            "auth_time zero",
            IdToken(|t| t.claims["auth_time"] = json!(0)),
            step,
            "auth_time_missing",
        ),
        (
            "auth_time a string",
            IdToken(|t| t.claims["auth_time"] = json!("1")),
            step,
            "token_claim",
        ),
        (
            "a silent sign-in",
            IdToken(|t| t.claims["auth_time"] = json!(NOW.0 - 190 - 301)),
            step,
            "auth_time_too_old",
        ),
        (
            "auth_time after the token",
            IdToken(|t| t.claims["auth_time"] = json!(NOW.0 - 190 + 61)),
            step,
            "auth_time_in_future",
        ),
        (
            "a token from the future",
            IdToken(|t| t.claims["iat"] = json!(NOW.0 + 61)),
            step,
            "token_future",
        ),
        (
            "expired when issued",
            IdToken(|t| t.claims["exp"] = json!(NOW.0 - 190)),
            step,
            "token_expired",
        ),
        (
            "a vote in somebody else's name",
            Vote(|v| v.sub_id = subject("otto")),
            step,
            "voter_differs",
        ),
        (
            "a vote in another provider's name",
            Vote(|v| {
                v.sub_id = Subject::parse("https://other.example|elin").unwrap();
            }),
            step,
            "voter_differs",
        ),
        (
            "session over",
            IdToken(|t| {
                t.claims["auth_time"] = json!(NOW.0 - 30 - 43_201);
                t.claims["iat"] = json!(NOW.0 - 30 - 43_201);
                t.claims["exp"] = json!(NOW.0);
            }),
            step,
            "binding_session_over",
        ),
        (
            "a vote before its binding",
            IdToken(|t| {
                t.claims["auth_time"] = json!(NOW.0 + 31);
                t.claims["iat"] = json!(NOW.0 + 31);
            }),
            step,
            "vote_before_binding",
        ),
    ]);
}

#[test]
fn a_statement_that_the_provider_did_not_commit_to_is_refused() {
    // Another statement with the same device key, and a vote that names it: only the nonce tells.
    let scene = Scene::new();
    let mut evidence = scene.evidence();
    let other = Scene::with(Statement(|s| s.session_jkt = other()));
    let swapped = other.evidence();
    let token = evidence.votes[0].id_token.clone();
    evidence = swapped;
    evidence.votes[0].id_token = token;
    let refusal = scene.release(&evidence).unwrap_err();
    assert_eq!(
        (refusal.step, refusal.code),
        (StepId::Bindings, "binding_nonce")
    );
}
