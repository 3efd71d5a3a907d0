//! What the server does with one vote, and what an agent does with a request before it shows anything.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use common::{Edit, NOW, Scene, server_key, subject};
use countersign_evidence::verify::{
    OpenRequest, Refusal, StepId, VerifiedVote, read_request_bundle, verify_request_bundle,
    verify_vote,
};
use countersign_evidence::{Choice, PublicKey};
use countersign_model::{MatchWords, PepId, ReasonRule, b64u_decode};
use serde_json::json;

fn cast(scene: &Scene, challenge: Option<&str>) -> Result<VerifiedVote, Refusal> {
    let evidence = scene.evidence();
    let open = scene.open(&evidence).unwrap();
    verify_vote(
        &evidence.votes[0],
        &open,
        &scene.trust(),
        &[],
        challenge,
        scene.now,
    )
}

#[test]
fn an_honest_vote_counts_for_its_person() {
    let vote = cast(&Scene::new(), Some("challenge-elin")).unwrap();
    assert_eq!(vote.voter().unwrap().subject, subject("elin"));
    assert_eq!(vote.vote().vote, Choice::Approve);
    assert!(vote.person().is_some() && vote.auth_time() == Some(NOW - 200));
    let steps: Vec<_> = vote.steps().iter().map(|step| step.id).collect();
    assert_eq!(
        steps,
        [
            StepId::Sameness,
            StepId::Votes,
            StepId::Bindings,
            StepId::StepUp,
            StepId::People
        ]
    );
}

#[test]
fn a_deny_needs_no_step_up_and_no_words() {
    let mut scene = Scene::with(Edit::Vote(|v| {
        v.vote = Choice::Deny;
        v.reason = Some("not today".into());
    }));
    scene.requirement.match_words = MatchWords::Words;
    scene.requirement.step_up = countersign_model::StepUp::Oidc;
    assert_eq!(
        cast(&scene, Some("challenge-elin")).unwrap().vote().vote,
        Choice::Deny
    );
    scene.edit = Edit::Vote(|v| v.vote = Choice::Deny);
    assert_eq!(
        cast(&scene, Some("challenge-elin")).unwrap_err().code,
        "reason_missing"
    );
    scene.requirement.reason = ReasonRule::Optional;
    assert!(cast(&scene, Some("challenge-elin")).is_ok());
    scene.edit = Edit::Nothing;
    assert_eq!(
        cast(&scene, Some("challenge-elin")).unwrap_err().code,
        "match_missing"
    );
    scene.match_words = Some("right");
    let vote = cast(&scene, Some("challenge-elin")).unwrap();
    assert_eq!(vote.step_up_auth_time(), Some(vote.vote().iat + 8));
    scene.edit = Edit::Evidence(|e| e.votes[0].step_up = None);
    assert_eq!(
        cast(&scene, Some("challenge-elin")).unwrap_err().code,
        "step_up_missing"
    );
}

#[test]
fn each_way_to_vote_wrongly_has_its_code() {
    let cases: [(&str, Edit, &str); 12] = [
        (
            "challenge of another",
            Edit::Vote(|v| v.nonce = "challenge-jonas".into()),
            "challenge_differs",
        ),
        (
            "expired",
            Edit::Vote(|v| {
                v.iat = NOW - 90;
                v.exp = NOW - 61;
            }),
            "vote_expired",
        ),
        (
            "from the future",
            Edit::Vote(|v| {
                v.iat = NOW + 61;
                v.exp = NOW + 62;
            }),
            "vote_in_future",
        ),
        (
            "another operation",
            Edit::Vote(|v| v.operation_digest = v.binding_id),
            "operation_digest_differs",
        ),
        (
            "another request",
            Edit::Vote(|v| v.request_jws_digest = v.binding_id),
            "request_digest_differs",
        ),
        (
            "another key",
            Edit::Scene(|s| s.vote_signer = Some(common::key(99))),
            "vote_key_differs",
        ),
        (
            "not in the group",
            Edit::Scene(|s| s.people[0].groups = json!([])),
            "may_not_vote",
        ),
        (
            "the requester",
            Edit::IdToken(|t| t.claims["sub"] = json!("mara")),
            "voter_differs",
        ),
        (
            "stale claims",
            Edit::Scene(|s| s.requirement.fresh_claims_secs = 100),
            "claims_too_old",
        ),
        (
            "no keys",
            Edit::Scene(|s| s.op_keys = None),
            "op_keys_missing",
        ),
        (
            "no policy",
            Edit::Scene(|s| s.policy = None),
            "policy_missing",
        ),
        (
            "no token",
            Edit::Evidence(|e| e.votes[0].id_token = None),
            "id_token_missing",
        ),
    ];
    for (name, edit, code) in cases {
        let refusal = cast(&Scene::with(edit), Some("challenge-elin")).err();
        assert_eq!(refusal.map(|refusal| refusal.code), Some(code), "{name}");
    }
    let mut late = Scene::new();
    let (evidence, open) = (late.evidence(), late.open(&late.evidence()).unwrap());
    late.now = NOW + 802;
    let refused = verify_vote(
        &evidence.votes[0],
        &open,
        &late.trust(),
        &[],
        Some("challenge-elin"),
        late.now,
    );
    assert_eq!(refused.unwrap_err().code, "request_expired");
}

#[test]
fn history_takes_a_vote_of_any_age_and_says_what_it_lacks() {
    let mut scene = Scene::with(Edit::Evidence(|e| e.votes[0].id_token = None));
    let (evidence, open) = (scene.evidence(), scene.open(&scene.evidence()).unwrap());
    scene.now = NOW + 1_000_000;
    let vote = verify_vote(
        &evidence.votes[0],
        &open,
        &scene.trust(),
        &[],
        None,
        scene.now,
    )
    .unwrap();
    assert!(vote.voter().is_none() && vote.person().is_none() && vote.auth_time().is_none());
    let lacking = vote
        .steps()
        .iter()
        .filter(|step| format!("{:?}", step.outcome).starts_with("NotProven"));
    assert_eq!(
        lacking.map(|step| step.id).collect::<Vec<_>>(),
        [StepId::Bindings, StepId::People]
    );
}

fn bundle(scene: &Scene) -> Result<OpenRequest, &'static str> {
    scene
        .open(&scene.evidence())
        .map_err(|refusal| refusal.code)
}

#[test]
fn an_agent_shows_only_what_is_whole() {
    let open = bundle(&Scene::new()).unwrap();
    assert_eq!(open.operation().resource_id(), "42");
    assert_eq!(
        open.words(),
        countersign_model::matching_words(open.request_jws_digest())
    );
    let cases: [(&str, Edit, &str); 7] = [
        (
            "lowered",
            Edit::Request(|r| r.requirement.approvals = 1),
            "requirement_lowered",
        ),
        (
            "another operation",
            Edit::Request(|r| r.operation_digest = r.policy_digest),
            "operation_digest_differs",
        ),
        (
            "a request that no gate made",
            Edit::Scene(|s| s.ask_signer = server_key()),
            "ask_key_unknown",
        ),
        (
            "another server's key",
            Edit::Scene(|s| s.request_signer = common::key(9)),
            "request_key_unknown",
        ),
        (
            "another requester",
            Edit::Request(|r| r.sub_id = subject("otto")),
            "requester_differs",
        ),
        (
            "expired",
            Edit::Scene(|s| s.now = NOW + 802),
            "request_expired",
        ),
        (
            "from the future",
            Edit::Scene(|s| s.now = NOW - 160),
            "request_in_future",
        ),
    ];
    for (name, edit, code) in cases {
        assert_eq!(bundle(&Scene::with(edit)).err(), Some(code), "{name}");
    }
}

#[test]
fn an_agent_refuses_an_operation_with_one_byte_altered() {
    let scene = Scene::new();
    let evidence = scene.evidence();
    let bytes = b64u_decode(&evidence.operation_b64).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let read = verify_request_bundle(
            &evidence.request_jws,
            &evidence.ask_jws,
            &altered,
            &scene.server,
            &scene.server_keys,
            std::slice::from_ref(&scene.pep),
            NOW,
        );
        assert!(read.is_err(), "byte {at}");
    }
}

#[test]
fn one_gates_key_does_not_speak_for_another() {
    // Both gates are registered; the other one's key signs an ask in this one's name.
    let scene = Scene::with(Edit::Scene(|s| s.ask_signer = common::key(3)));
    let evidence = scene.evidence();
    let peps: [(PepId, PublicKey); 2] = [
        scene.pep.clone(),
        (PepId::parse("other-gate").unwrap(), common::key(3).public()),
    ];
    let read = read_request_bundle(
        &evidence.request_jws,
        &evidence.ask_jws,
        &b64u_decode(&evidence.operation_b64).unwrap(),
        &scene.server,
        &scene.server_keys,
        &peps,
    );
    assert_eq!(read.unwrap_err().code, "pep_differs");
}

#[test]
fn a_closed_request_can_still_be_read() {
    let mut scene = Scene::new();
    scene.now = NOW + 1_000_000;
    let evidence = scene.evidence();
    let read = read_request_bundle(
        &evidence.request_jws,
        &evidence.ask_jws,
        &b64u_decode(&evidence.operation_b64).unwrap(),
        &scene.server,
        &scene.server_keys,
        std::slice::from_ref(&scene.pep),
    );
    assert!(read.is_ok() && bundle(&scene).is_err());
}
