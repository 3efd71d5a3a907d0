//! Step-up, as an attacker would go about it: with what one person, one provider or one vote may honestly have.

use countersign_evidence::op_token::{AcrClaim, OpKeys};
use countersign_evidence::verify::{Refusal, StepUpEvidence, Verified};
use countersign_model::{
    By, MatchWords, NotifyButtons, PolicyAnswer, ReasonRule, Requirement, Stage, StepUp,
};
use serde_json::json;

use crate::common::Edit::{SignIn, Vote};
use crate::common::{NOW, Scene, TestPolicy, Tie, op_jwks};

fn consenting() -> Scene {
    let mut scene = Scene::new();
    scene.ask_for_consent();
    scene
}

fn code(result: Result<Verified, Refusal>) -> &'static str {
    match result {
        Ok(_) => "released",
        Err(refusal) => refusal.code,
    }
}

/// The same evidence with this step-up at the first vote.
fn with_step_up(scene: &Scene, step_up: Option<StepUpEvidence>) -> &'static str {
    let mut evidence = scene.evidence();
    evidence.votes[0].step_up = step_up;
    code(scene.release(&evidence))
}

fn step_up_of(scene: &Scene, vote: usize) -> StepUpEvidence {
    scene.evidence().votes[vote].step_up.clone().unwrap()
}

#[test]
fn another_trusted_provider_cannot_step_up_for_this_one() {
    // It has its own keys under the same names, and signs what it likes; or it even shares the keys.
    for (seed, expected) in [(51, "step_up_signature"), (50, "step_up_issuer")] {
        let mut scene = consenting();
        let mut other = scene.other_op();
        other.keys = Some(OpKeys::from_jwks(&op_jwks(seed)).unwrap());
        scene.more_ops.push(other);
        scene.edit = match seed {
            51 => SignIn(|t| {
                t.claims["iss"] = json!("https://other.example");
                t.signer = 51;
            }),
            _ => SignIn(|t| t.claims["iss"] = json!("https://other.example")),
        };
        assert_eq!(code(scene.release(&scene.evidence())), expected);
    }
}

#[test]
fn a_step_up_serves_the_vote_that_it_was_made_for() {
    for ask in [Scene::ask_for_consent, |s: &mut Scene| {
        s.ask_for(|r| r.step_up = StepUp::Webauthn);
    }] {
        let mut scene = Scene::new();
        ask(&mut scene);
        let nonce = match scene.requirement.step_up {
            StepUp::Webauthn => "step_up_challenge",
            StepUp::Oidc | StepUp::None => "step_up_nonce",
        };
        // An earlier vote of the same person on the same request: one member differs.
        let mut earlier = Scene::new();
        ask(&mut earlier);
        earlier.edit = Vote(|v| v.jti = "another".into());
        let replayed = step_up_of(&earlier, 0);
        assert_eq!(with_step_up(&scene, Some(replayed)), nonce);
        // The other voter's.
        let theirs = with_step_up(&scene, Some(step_up_of(&scene, 1)));
        assert!(
            theirs == nonce || theirs == "step_up_authenticator_unknown",
            "{theirs}"
        );
        assert_eq!(
            with_step_up(&scene, Some(step_up_of(&scene, 0))),
            "released"
        );
        assert_eq!(with_step_up(&scene, None), "step_up_missing");
    }
}

#[test]
fn consent_given_for_another_vote_does_not_count_for_this_one() {
    for (tie, expected) in [
        (Tie::Key, "consent_not_tied"),
        (Tie::AtHash, "consent_at_hash"),
        (Tie::Neither, "consent_not_tied"),
    ] {
        let mut scene = consenting();
        scene.tie = tie;
        let (mine, theirs) = (step_up_of(&scene, 0), {
            let mut other = consenting();
            other.tie = tie;
            other.edit = match tie {
                Tie::Key => Vote(|v| v.consent_jkt = v.consent_jkt.map(|_| v.binding_id)),
                Tie::AtHash | Tie::Neither => {
                    crate::common::Edit::Consent(|t| t.claims["jti"] = json!("at-2"))
                }
            };
            step_up_of(&other, 0)
        });
        let (StepUpEvidence::Oidc { id_token, .. }, StepUpEvidence::Oidc { access_token, .. }) =
            (mine, theirs)
        else {
            panic!("no sign-in")
        };
        let mixed = StepUpEvidence::Oidc {
            id_token,
            access_token,
        };
        assert_eq!(with_step_up(&scene, Some(mixed)), expected);
    }
}

#[test]
fn a_refreshed_token_confirms_nothing_new() {
    // Refreshed from the sign-in of the binding: its nonce is the binding's, or none.
    let scene = consenting();
    let id_token = scene.evidence().votes[0].id_token.clone().unwrap();
    let refreshed = StepUpEvidence::Oidc {
        id_token,
        access_token: None,
    };
    assert_eq!(with_step_up(&scene, Some(refreshed)), "step_up_nonce");
    // A provider that echoes any nonce on refresh keeps the time of the sign-in.
    let mut scene = consenting();
    scene.edit = SignIn(|t| t.claims["auth_time"] = json!(NOW.0 - 200));
    assert_eq!(
        code(scene.release(&scene.evidence())),
        "step_up_before_vote"
    );
    let mut scene = consenting();
    scene.edit = SignIn(|t| drop(t.claims.as_object_mut().unwrap().remove("nonce")));
    assert_eq!(code(scene.release(&scene.evidence())), "step_up_nonce");
}

#[test]
fn the_level_is_read_where_configuration_says() {
    let with = |claims: serde_json::Value| {
        let mut scene = consenting();
        scene.op.acr_claim = AcrClaim::Acrs;
        let mut evidence = scene.evidence();
        let token = |vote: &countersign_evidence::EvidenceVote| {
            let nonce = countersign_evidence::documents::step_up_nonce(&vote.jws);
            let mut token = scene.id_token(&scene.people[0], &nonce, NOW - 20);
            token.claims["auth_time"] = json!(NOW.0 - 22);
            token.claims["sub"] = json!("elin");
            for (name, value) in claims.as_object().unwrap() {
                token.claims[name] = value.clone();
            }
            token
        };
        let signed = token(&evidence.votes[0]).sign();
        // The other voter's level is in an array too.
        let nonce = countersign_evidence::documents::step_up_nonce(&evidence.votes[1].jws);
        let mut other = scene.id_token(&scene.people[1], &nonce, NOW - 10);
        other.claims["auth_time"] = json!(NOW.0 - 12);
        other.claims["acrs"] = json!(["urn:example:mfa"]);
        for (vote, new) in evidence.votes.iter_mut().zip([signed, other.sign()]) {
            if let Some(StepUpEvidence::Oidc { id_token, .. }) = &mut vote.step_up {
                *id_token = new;
            }
        }
        code(scene.release(&evidence))
    };
    assert_eq!(with(json!({"acrs": ["p1", "urn:example:mfa"]})), "released");
    assert_eq!(with(json!({"acrs": ["p1"]})), "step_up_acr_differs");
    assert_eq!(
        with(json!({"acrs": "urn:example:mfa"})),
        "step_up_acr_missing"
    );
    assert_eq!(
        with(json!({"acr": "urn:example:mfa"})),
        "step_up_acr_missing"
    );
    assert_eq!(
        with(json!({"acrs": ["urn:example:mfa", 1]})),
        "step_up_acr_missing"
    );
}

#[test]
fn claims_from_a_sign_in_for_the_vote_are_current_claims() {
    let mut scene = Scene::new();
    scene.ask_for(|r| {
        r.step_up = StepUp::Oidc;
        r.fresh_claims_secs = 60;
    });
    // The sign-in's own token is older than that.
    assert_eq!(code(scene.release(&scene.evidence())), "claims_too_old");
    let mut evidence = scene.evidence();
    for vote in &mut evidence.votes {
        if let Some(StepUpEvidence::Oidc { id_token, .. }) = &vote.step_up {
            vote.claims_token = Some(id_token.clone());
        }
    }
    assert_eq!(code(scene.release(&evidence)), "released");
    // Another vote's does not speak here.
    evidence.votes[0].claims_token = evidence.votes[1].claims_token.clone();
    assert_eq!(code(scene.release(&evidence)), "claims_token_refused");
}

#[test]
fn each_weakened_member_is_refused_at_release() {
    let strict = || {
        let mut scene = consenting();
        scene.match_words = Some("right");
        scene.ask_for(|r| {
            r.match_words = MatchWords::Words;
            r.release_claims_secs = Some(300);
            r.reason = ReasonRule::OnDeny;
        });
        scene
    };
    let scene = strict();
    assert_eq!(code(scene.release(&scene.evidence())), "released");
    let weaker: [fn(&mut Requirement); 17] = [
        |r| r.by = By::Requester,
        |r| r.approvals = 1,
        |r| {
            let stage = |name: &str| Stage {
                name: name.to_owned(),
                approvals: 1,
            };
            r.stages = vec![stage("a"), stage("b")];
        },
        |r| r.step_up = StepUp::None,
        |r| r.step_up = StepUp::Webauthn,
        |r| r.acr = None,
        |r| r.acr = Some("urn:example:pwd".into()),
        |r| r.scope = None,
        |r| r.scope = Some("approve:orders".into()),
        |r| r.match_words = MatchWords::None,
        |r| r.fresh_claims_secs += 1,
        |r| r.release_claims_secs = None,
        |r| r.reason = ReasonRule::Optional,
        |r| r.notify_buttons = NotifyButtons::Both,
        |r| r.ttl_secs += 1,
        |r| r.grant_secs += 1,
        |r| r.irreversible = None,
    ];
    for change in weaker {
        // Server, ask and votes agree on less; my own copy of the policy does not.
        let mut scene = strict();
        let mine = scene.requirement.clone();
        change(&mut scene.requirement);
        scene.policy = Some(TestPolicy {
            answer: PolicyAnswer::Approve(mine),
            voters: "https://op.example#dba",
        });
        assert_eq!(
            code(scene.release(&scene.evidence())),
            "requirement_lowered"
        );
    }
}
