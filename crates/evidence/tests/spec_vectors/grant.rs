//! `grant.json`: an honest approval, and one case for each way of lying.

use countersign_evidence::op_token::{OpRole, OpStepUp, PersonRule};
use countersign_evidence::{Choice, PublicKey};
use countersign_model::{Digest, Operation, PepId, PolicyAnswer, ServerId, Subject, Txn, b64u};
use serde_json::{Value, json};

use crate::common::{self, Edit, NOW, Scene, key, subject};
use crate::compare;

/// What the verifier is configured with.
pub(crate) fn trust(scene: &Scene) -> Value {
    let policy = match scene.policy.as_ref().map(|policy| &policy.answer) {
        Some(PolicyAnswer::Approve(requirement)) => requirement.to_value(),
        _ => Value::Null,
    };
    let person = match &scene.op.person {
        PersonRule::Account => json!("account"),
        PersonRule::Claims(names) => json!(names),
        PersonRule::Unknown => json!("unknown"),
    };
    let step_up = match scene.op.step_up {
        OpStepUp::Oidc => "oidc",
        OpStepUp::None { .. } => "none",
    };
    json!({
        "server": scene.server.as_str(),
        "server_keys": scene.server_keys.iter().map(PublicKey::to_jwk).collect::<Vec<_>>(),
        "pep": {"id": scene.pep.0.as_str(), "jwk": scene.pep.1.to_jwk()},
        "issuer": scene.op.issuer.as_str(),
        "client_id": scene.op.client_id,
        "algorithms": scene.op.algorithms,
        "groups_claim": scene.op.groups.path,
        "session_secs": common::SESSION_SECS,
        "approvers": scene.op.roles.contains(&OpRole::Approver),
        "acrs": scene.op.acrs_allowed,
        "person": person,
        "step_up": step_up,
        "policy": {"requirement": policy, "voters": "https://op.example#dba"},
    })
}

/// The moment of execution.
pub(crate) fn release(scene: &Scene) -> Value {
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
