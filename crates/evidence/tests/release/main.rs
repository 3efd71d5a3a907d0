//! The release by a gate: each check's input violated in turn, and the refusal's code is the expected one.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod bindings;
#[path = "../common/mod.rs"]
mod common;
mod people;
mod sameness;
mod step_up;
mod votes;

use common::{Edit, NOW, Scene, TestPolicy};
use countersign_evidence::SecretKey;
use countersign_evidence::verify::{Outcome, StepId};
use countersign_model::{Digest, MatchWords, PolicyAnswer, Requirement};
use serde_json::json;

use Edit::{IdToken, Scene as Whole};

#[test]
fn an_honest_approval_is_released() {
    let scene = Scene::new();
    let evidence = scene.evidence();
    let verified = scene.release(&evidence).unwrap();
    assert!(verified.complete() && verified.for_release());
    let ids: Vec<_> = verified
        .steps()
        .iter()
        .map(|step| step.id.number())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
    let not_applicable: Vec<_> = verified
        .steps()
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::NotApplicable(_)))
        .map(|step| step.id)
        .collect();
    assert_eq!(not_applicable, [StepId::StepUp, StepId::Log]);
    assert!(verified.steps()[2].detail.contains("under the same policy"));
    let voters: Vec<_> = verified
        .votes()
        .iter()
        .map(|vote| vote.voter().unwrap().subject.sub.as_str())
        .collect();
    assert_eq!(voters, ["elin", "jonas"]);
    assert_eq!(verified.txn().as_str(), "txn-1");
    assert!(scene.open(&evidence).is_ok());
}

type Case = (&'static str, Edit, StepId, &'static str);

fn check(cases: Vec<Case>) {
    for (name, edit, step, code) in cases {
        let scene = Scene::with(edit);
        let refusal = scene
            .release(&scene.evidence())
            .err()
            .unwrap_or_else(|| panic!("{name}: released"));
        assert_eq!(
            (refusal.step, refusal.code),
            (step, code),
            "{name}: {refusal}"
        );
        assert!(
            refusal.passed.iter().all(|passed| passed.id < step),
            "{name}"
        );
        assert!(
            refusal.sentence.ends_with(['.', ')', 'y']),
            "{name}: {}",
            refusal.sentence
        );
    }
}

#[test]
fn a_stricter_request_stands() {
    let scene = Scene::with(Whole(|s| {
        s.requirement.approvals = 2;
        answer(
            s,
            PolicyAnswer::Approve(Requirement {
                approvals: 1,
                ..common::requirement()
            }),
        );
    }));
    assert!(scene.release(&scene.evidence()).is_ok());
    let scene = Scene::with(Whole(|s| want_words(s, Some("right"))));
    assert!(scene.release(&scene.evidence()).is_ok());
}

#[test]
fn the_edges_of_time_are_inclusive() {
    for (at, ok) in [(NOW + 100, true), (NOW + 101, false)] {
        let mut scene = Scene::new();
        scene.now = at;
        assert_eq!(scene.release(&scene.evidence()).is_ok(), ok, "{at}");
    }
    let scene = Scene::with(IdToken(|t| {
        t.claims["auth_time"] = json!(NOW.0 - 190 - 300)
    }));
    assert!(scene.release(&scene.evidence()).is_ok());
    let scene = Scene::with(IdToken(|t| t.claims["auth_time"] = json!(1_795_331_500.0)));
    assert!(
        scene.release(&scene.evidence()).is_ok(),
        "a float without a fraction is a time"
    );
    // Parts of a second are cut off, so 0.75 s beyond the edge is beyond it.
    assert_eq!(NOW.0 - 190 - 300, 1_795_331_210);
    let inside = Scene::with(IdToken(|t| {
        t.claims["auth_time"] = json!(1_795_331_210.75);
    }));
    assert!(inside.release(&inside.evidence()).is_ok());
    let beyond = Scene::with(IdToken(|t| {
        t.claims["auth_time"] = json!(1_795_331_209.75);
    }));
    assert!(beyond.release(&beyond.evidence()).is_err());
    let scene = Scene::with(IdToken(|t| t.claims["aud"] = json!([common::CLIENT])));
    assert!(
        scene.release(&scene.evidence()).is_ok(),
        "an array of one is one audience"
    );
}

#[test]
fn es256_devices_vote_too() {
    let scene = Scene::with(Whole(|s| {
        s.people[0].device = SecretKey::generate_es256([77; 32])
    }));
    assert!(scene.release(&scene.evidence()).is_ok());
}

fn other() -> Digest {
    Digest::of(b"other")
}

/// The header and payload of one JWS with the signature of another.
fn graft(jws: &str, from: &str) -> String {
    format!(
        "{}.{}",
        jws.rsplit_once('.').unwrap().0,
        from.rsplit_once('.').unwrap().1
    )
}

/// The server makes a new grant of the votes as they are now.
fn regrant(evidence: &mut countersign_evidence::Evidence) {
    let (_, mut grant) = countersign_evidence::Grant::unverified(&evidence.grant).unwrap();
    for (granted, vote) in grant.votes.iter_mut().zip(&evidence.votes) {
        granted.digest = countersign_evidence::jws_digest(&vote.jws);
    }
    evidence.grant = grant.sign(&common::server_key());
}

fn answer(scene: &mut Scene, answer: PolicyAnswer) {
    scene.policy = Some(TestPolicy {
        answer,
        voters: "https://op.example#dba",
    });
}

fn ask_for(scene: &mut Scene, change: fn(&mut Requirement)) {
    change(&mut scene.requirement);
    answer(scene, PolicyAnswer::Approve(scene.requirement.clone()));
}

fn want_words(scene: &mut Scene, typed: Option<&'static str>) {
    ask_for(scene, |r| r.match_words = MatchWords::Words);
    scene.match_words = typed;
}
