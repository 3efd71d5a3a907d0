//! The evidence as a file: every part is needed, no byte may change; and what history, auditors and those
//! without any trust see in it.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use common::{Edit, NOW, Scene};
use countersign_evidence::verify::{Outcome, StepId, check_consistency};
use countersign_evidence::{
    Evidence, EvidenceVote, Statement, StepUpEvidence, dpop, jose, op_token,
};
use countersign_model::{StepUp, Subject, b64u};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn file_comes_back_and_holds_exactly_its_members() {
    let evidence = Scene::new().evidence();
    assert_eq!(Evidence::from_json(&evidence.to_json()).unwrap(), evidence);
    let mut wire = evidence.to_value();
    wire["keys"] = json!([]);
    assert!(Evidence::from_value(&wire).is_err());
    let mut wire = evidence.to_value();
    wire["votes"][0]["step_up"] = json!({});
    assert!(Evidence::from_value(&wire).is_err());
    let mut wire = evidence.to_value();
    wire["votes"] = json!([]);
    assert!(Evidence::from_value(&wire).is_err());
    let text = String::from_utf8(evidence.to_json()).unwrap();
    let twice = text.replacen("{\"ask_jws\"", "{\"ask_jws\":\"x\",\"ask_jws\"", 1);
    assert!(
        Evidence::from_json(twice.as_bytes()).is_err(),
        "a duplicate"
    );
    let mut newer = evidence.clone();
    newer.votes[0].claims_token = Some("newer".to_owned());
    assert_eq!(Evidence::from_json(&newer.to_json()).unwrap(), newer);
    let redacted = String::from_utf8(newer.without_tokens().to_json()).unwrap();
    for vote in &newer.votes {
        for token in vote.id_token.iter().chain(&vote.claims_token) {
            assert!(!redacted.contains(token.as_str()));
        }
        assert!(redacted.contains(&vote.jws) && redacted.contains(&vote.cic));
    }
}

#[test]
fn a_step_up_comes_back_exactly_and_leaves_with_the_tokens() {
    for scene in &scenes()[1..3] {
        let evidence = scene.evidence();
        assert_eq!(Evidence::from_json(&evidence.to_json()).unwrap(), evidence);
        assert!(
            evidence
                .without_tokens()
                .votes
                .iter()
                .all(|vote| vote.step_up.is_none())
        );
        let whole = evidence.to_value();
        let step_up = whole["votes"][0]["step_up"].as_object().unwrap();
        for member in step_up.keys().filter(|name| *name != "access_token") {
            let mut wire = whole.clone();
            let step_up = wire["votes"][0]["step_up"].as_object_mut().unwrap();
            step_up.remove(member);
            assert!(Evidence::from_value(&wire).is_err(), "without {member}");
        }
        for (member, value) in [("extra", json!("x")), ("type", json!("password"))] {
            let mut wire = whole.clone();
            wire["votes"][0]["step_up"][member] = value;
            assert!(Evidence::from_value(&wire).is_err(), "{member}");
        }
    }
}

#[test]
fn every_part_is_needed() {
    scenes().iter().for_each(each_part_is_needed);
}

fn each_part_is_needed(scene: &Scene) {
    let whole = scene.evidence().to_value();
    let mut pointers: Vec<String> = whole
        .as_object()
        .unwrap()
        .keys()
        .map(|name| format!("/{name}"))
        .collect();
    for vote in 0..2 {
        for member in whole["votes"][vote].as_object().unwrap().keys() {
            pointers.push(format!("/votes/{vote}/{member}"));
        }
    }
    for pointer in pointers {
        let mut wire = whole.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        wire.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(name);
        let released =
            Evidence::from_value(&wire).is_ok_and(|evidence| scene.release(&evidence).is_ok());
        assert!(!released, "released without {pointer}");
    }
    for vote in 0..2 {
        let mut evidence = scene.evidence();
        evidence.votes.remove(vote);
        assert!(
            scene.release(&evidence).is_err(),
            "released without vote {vote}"
        );
    }
}

/// All texts of an evidence.
fn texts(evidence: &mut Evidence) -> Vec<&mut String> {
    let Evidence {
        operation_b64,
        ask_jws,
        request_jws,
        grant,
        votes,
    } = evidence;
    let mut texts = vec![operation_b64, ask_jws, request_jws, grant];
    for EvidenceVote {
        jws,
        cic,
        id_token,
        claims_token,
        step_up,
    } in votes
    {
        texts.extend([jws, cic]);
        texts.extend(id_token.as_mut());
        texts.extend(claims_token.as_mut());
        match step_up {
            None => {}
            Some(StepUpEvidence::Oidc {
                id_token,
                access_token,
            }) => {
                texts.push(id_token);
                texts.extend(access_token.as_mut());
            }
            Some(StepUpEvidence::Webauthn {
                authenticator_data,
                client_data_json,
                signature,
                key,
            }) => texts.extend([authenticator_data, client_data_json, signature, key]),
        }
    }
    texts
}

/// Plain, with consent, with a security key, in stages.
fn scenes() -> [Scene; 4] {
    [
        Edit::Nothing,
        Edit::Scene(Scene::ask_for_consent),
        Edit::Scene(|s| s.ask_for(|r| r.step_up = StepUp::Webauthn)),
        Edit::Scene(Scene::ask_in_stages),
    ]
    .map(Scene::with)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_byte_may_change(
        scene in 0_usize..4,
        which: prop::sample::Index,
        at: prop::sample::Index,
        to in "[A-Za-z0-9_.=-]",
    ) {
        let scene = &scenes()[scene];
        let mut evidence = scene.evidence();
        let mut texts = texts(&mut evidence);
        let count = texts.len();
        let text = &mut texts[which.index(count)];
        let at = at.index(text.len());
        prop_assume!(text[at..=at] != to);
        text.replace_range(at..=at, &to);
        prop_assert!(scene.release(&evidence).is_err());
        prop_assert!(scene.audit(&evidence).is_err());
    }

    #[test]
    fn a_changed_file_is_refused_or_the_same_evidence(at: prop::sample::Index, to: u8) {
        let scene = Scene::new();
        let evidence = scene.evidence();
        let mut bytes = evidence.to_json();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Evidence::from_json(&bytes) {
            prop_assert!(read == evidence || scene.release(&read).is_err());
        }
    }
}

proptest! {
    #[test]
    fn no_assertion_but_the_authenticators_own_is_taken(
        data in prop::collection::vec(any::<u8>(), 0..48),
        client in prop::collection::vec(any::<u8>(), 0..80),
        signature in prop::collection::vec(any::<u8>(), 0..80),
        which in 0..7,
    ) {
        let scene = &scenes()[2];
        let mut evidence = scene.evidence();
        let Some(StepUpEvidence::Webauthn { authenticator_data, client_data_json, signature: signed, .. }) =
            &mut evidence.votes[0].step_up
        else {
            panic!("no assertion")
        };
        // Each part alone, and any two together, stand among genuine others.
        let honest = (authenticator_data.clone(), client_data_json.clone(), signed.clone());
        if which & 1 == 0 { *authenticator_data = b64u(&data); }
        if which & 2 == 0 { *client_data_json = b64u(&client); }
        if which & 4 == 0 { *signed = b64u(&signature); }
        prop_assume!(honest != (authenticator_data.clone(), client_data_json.clone(), signed.clone()));
        let refusal = scene.release(&evidence).unwrap_err();
        prop_assert_eq!(refusal.step, StepId::StepUp);
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[A-Za-z0-9_.-]{0,80}") {
        let _ = Evidence::from_json(&bytes);
        let _ = Statement::from_bytes(&bytes);
        let _ = jose::peek(&text, "t");
        let _ = dpop::verify(&text, "GET", &text, None, NOW);
        let _ = op_token::peek_kid(&text);
        let _ = op_token::peek_issuer(&text);
        // The same, past the first reader: a header, a payload and a signature of any bytes.
        let compact = format!("{0}.{0}.{0}", b64u(&bytes));
        let _ = jose::peek(&compact, "t");
        let _ = dpop::verify(&compact, "GET", "x", None, NOW);
        let _ = op_token::peek_kid(&compact);
    }
}

#[test]
fn parts_of_two_honest_approvals_do_not_mix() {
    let scene = Scene::new();
    let one = scene.evidence();
    // The same operation asked again: only the server's request differs.
    let two = Scene::with(Edit::Request(|r| r.jti = "jti-other".into())).evidence();
    assert!(scene.release(&one).is_ok() && scene.release(&two).is_ok());
    let (from, mut names) = (two.to_value(), Vec::new());
    for name in ["request_jws", "grant", "votes"] {
        let mut wire = one.to_value();
        wire[name] = from[name].clone();
        let mixed = Evidence::from_value(&wire).unwrap();
        names.push(scene.release(&mixed).unwrap_err().code);
    }
    assert_eq!(
        names,
        [
            "request_digest_differs",
            "request_digest_differs",
            "request_digest_differs"
        ]
    );
    let mut mixed = one;
    mixed.votes[1] = two.votes[1].clone();
    assert_eq!(
        scene.release(&mixed).unwrap_err().code,
        "request_digest_differs"
    );
}

fn not_proven(verified: &countersign_evidence::Verified) -> Vec<StepId> {
    let steps = verified.steps().iter();
    steps
        .filter(|step| matches!(step.outcome, Outcome::NotProven(_)))
        .map(|step| step.id)
        .collect()
}

#[test]
fn history_is_judged_as_of_the_grant() {
    let mut scene = Scene::new();
    let evidence = scene.evidence();
    scene.now = NOW + 400 * 86_400;
    assert_eq!(scene.release(&evidence).unwrap_err().code, "grant_expired");
    let verified = scene.audit(&evidence).unwrap();
    assert!(verified.complete() && !verified.for_release());
}

#[test]
fn what_history_was_not_given_is_not_proven() {
    let mut scene = Scene::new();
    let evidence = scene.evidence();
    // Others' tokens are not this device's to have.
    let verified = scene.audit(&evidence.without_tokens()).unwrap();
    assert_eq!(not_proven(&verified), [StepId::Bindings, StepId::People]);
    assert!(!verified.complete());
    assert_eq!(
        scene.release(&evidence.without_tokens()).unwrap_err().code,
        "id_token_missing"
    );
    // Without a policy, and without the provider's keys.
    scene.policy = None;
    assert_eq!(
        not_proven(&scene.audit(&evidence).unwrap()),
        [StepId::Requirement, StepId::People]
    );
    scene.op_keys = None;
    let verified = scene.audit(&evidence).unwrap();
    assert_eq!(
        not_proven(&verified),
        [StepId::Requirement, StepId::Bindings, StepId::People]
    );
}

#[test]
fn history_finds_a_contradiction_all_the_same() {
    let cases: [(fn(&mut Scene), &str); 4] = [
        (|s| s.people[1].sub = "elin", "person_votes_twice"),
        (|s| s.people[0].sub = "mara", "requester_votes"),
        (|s| drop(s.people.pop()), "quorum_missing"),
        (|s| s.requirement.approvals = 3, "quorum_missing"),
    ];
    for (change, code) in cases {
        let mut scene = Scene::new();
        scene.policy = None;
        change(&mut scene);
        assert_eq!(
            scene
                .audit(&scene.evidence().without_tokens())
                .unwrap_err()
                .code,
            code
        );
    }
}

#[test]
fn without_trust_nothing_is_proven_but_contradictions_show() {
    let evidence = Scene::new().evidence();
    let verified = check_consistency(&evidence, NOW).unwrap();
    assert_eq!(
        not_proven(&verified),
        [
            StepId::Sameness,
            StepId::Requirement,
            StepId::Bindings,
            StepId::People
        ]
    );
    // Another key signed it all: that alone cannot be seen without trust.
    let forged = Scene::with(Edit::Scene(|s| s.request_signer = common::key(99)));
    assert!(check_consistency(&forged.evidence(), NOW).is_ok());
    let cases: [(Edit, &str); 5] = [
        (
            Edit::Vote(|v| v.sub_id = Subject::parse("https://other.example|elin").unwrap()),
            "voter_differs",
        ),
        (
            Edit::IdToken(|t| t.claims["nonce"] = json!("x")),
            "binding_nonce",
        ),
        (Edit::Grant(|g| g.votes.reverse()), "grant_votes_differ"),
        (
            Edit::Request(|r| r.requirement.approvals = 1),
            "requirement_lowered",
        ),
        (
            Edit::Scene(|s| s.vote_signer = Some(common::key(98))),
            "vote_key_differs",
        ),
    ];
    for (edit, code) in cases {
        assert_eq!(
            check_consistency(&Scene::with(edit).evidence(), NOW)
                .unwrap_err()
                .code,
            code
        );
    }
}

#[test]
fn nothing_that_is_not_an_object_of_texts_is_evidence() {
    for value in [
        json!(null),
        json!([]),
        json!({"votes": [null]}),
        json!({"votes": [{"jws": 1, "cic": ""}]}),
    ] {
        assert!(Evidence::from_value(&value).is_err());
    }
    let garbage: Value = json!({"operation_b64": "", "ask_jws": "", "request_jws": "", "grant": "",
        "votes": [{"jws": "", "cic": ""}]});
    let evidence = Evidence::from_value(&garbage).unwrap();
    assert!(Scene::new().audit(&evidence).is_err() && check_consistency(&evidence, NOW).is_err());
}
