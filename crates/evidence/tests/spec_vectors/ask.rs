//! `ask.json` and `vote.json`.

use countersign_evidence::{Choice, Vote, jose, jws_digest};
use countersign_model::{
    Digest, MatchWords, NotifyButtons, ReasonRule, Requirement, Stage, StepUp, matching_words,
};
use serde_json::{Value, json};

use crate::common::{self, Edit, Scene, key, requirement};
use crate::compare;

#[test]
fn ask_vectors() {
    let evidence = Scene::new().evidence();
    let mut strict_one = requirement();
    strict_one.acr = Some("phr".into());
    strict_one.scope = Some("approve:orders.delete".into());
    strict_one.step_up = StepUp::Oidc;
    strict_one.match_words = MatchWords::Words;
    strict_one.hold = true;
    strict_one.release_claims_secs = Some(600);
    strict_one.notify_buttons = NotifyButtons::Deny;
    let changes: [fn(&mut Requirement); 23] = [
        |_| {},
        |r| {
            let stage = |name: &str| Stage {
                name: name.to_owned(),
                approvals: 1,
            };
            r.stages = vec![stage("team"), stage("security")];
        },
        |r| r.approvals = 3,
        |r| r.approvals = 1,
        |r| r.by = countersign_model::By::Requester,
        |r| r.step_up = StepUp::None,
        |r| r.acr = None,
        |r| r.scope = Some("approve:orders".into()),
        |r| r.match_words = MatchWords::None,
        |r| r.hold = false,
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
        |r| r.urgent = true,
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
        ("stages", json!([{"name": "team", "approvals": 2}])),
        (
            "stages",
            json!([{"name": "team", "approvals": 1}, {"name": "security", "approvals": 2}]),
        ),
        (
            "stages",
            json!([{"name": "team", "approvals": 1}, {"name": "team", "approvals": 1}]),
        ),
        (
            "stages",
            json!([{"name": "Team", "approvals": 1}, {"name": "security", "approvals": 1}]),
        ),
        (
            "stages",
            json!([{"name": "team", "approvals": 1, "x": 1}, {"name": "security", "approvals": 1}]),
        ),
        (
            "stages",
            json!([{"name": "team", "approvals": 0}, {"name": "security", "approvals": 2}]),
        ),
        ("quorum", json!(2)),
        ("approvals", json!(0)),
        ("by", json!("anyone")),
        ("match", Value::Null),
        ("hold", json!(false)),
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
        vote(
            &Scene::with(Edit::Scene(Scene::ask_in_stages))
                .evidence()
                .votes[1],
        ),
        vote(
            &Scene::with(Edit::Scene(Scene::ask_for_consent))
                .evidence()
                .votes[0],
        ),
    ];
    let (_, payload) = Vote::unverified(&evidence.votes[0].jws).unwrap();
    let malformed: Vec<Value> = [
        ("/vote", json!("abstain")),
        ("/aud", json!([common::SERVER])),
        ("/iss", json!("elin")),
        ("/sub_id", json!("elin")),
        ("/iat", json!(-1)),
        ("/stage", json!(1)),
        ("/stage", json!("Security")),
        ("/prior", json!([])),
        ("/prior", json!(["x"])),
        (
            "/prior",
            json!([Digest::of(b"v").to_string(), Digest::of(b"v").to_string()]),
        ),
        ("/consent_jkt", json!("x")),
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
