//! Reading a requirement, and when one covers another: each member weakened in turn is refused and named.

#![allow(clippy::unwrap_used, missing_docs)]

use countersign_model::{
    By, Laxer, MatchWords, NotifyButtons, ReasonRule, Requirement, Stage, StepUp,
};
use serde_json::{Value, json};

fn mine() -> Requirement {
    Requirement {
        by: By::Others,
        approvals: 2,
        stages: Vec::new(),
        step_up: StepUp::Oidc,
        acr: Some("phr".into()),
        scope: Some("approve:orders.delete".into()),
        match_words: MatchWords::Words,
        hold: true,
        fresh_claims_secs: 300,
        release_claims_secs: Some(600),
        reason: ReasonRule::OnDeny,
        notify_buttons: NotifyButtons::Deny,
        ttl_secs: 900,
        grant_secs: 120,
        urgent: false,
        irreversible: Some("Deleted customers cannot be restored.".into()),
        lift: vec!["/resource/id".into()],
    }
}

type Change = fn(&mut Requirement);

#[test]
fn each_weakened_member_is_refused_and_named() {
    let weaker: [(&str, Change); 24] = [
        ("by", |r| r.by = By::Requester),
        ("approvals", |r| r.approvals = 1),
        ("step_up", |r| r.step_up = StepUp::None),
        ("step_up", |r| r.step_up = StepUp::Webauthn), // no order between the two
        ("acr", |r| r.acr = None),
        ("acr", |r| r.acr = Some("pwd".into())),
        ("scope", |r| r.scope = None),
        ("scope", |r| r.scope = Some("approve:orders".into())),
        ("match", |r| r.match_words = MatchWords::None),
        ("hold", |r| r.hold = false),
        ("fresh_claims_secs", |r| r.fresh_claims_secs = 301),
        ("release_claims_secs", |r| r.release_claims_secs = None),
        ("release_claims_secs", |r| r.release_claims_secs = Some(601)),
        ("reason", |r| r.reason = ReasonRule::Optional),
        ("notify_buttons", |r| r.notify_buttons = NotifyButtons::Both),
        ("ttl_secs", |r| r.ttl_secs = 901),
        ("grant_secs", |r| r.grant_secs = 121),
        ("urgent", |r| r.urgent = true), // no order: nobody is woken unasked
        ("irreversible", |r| r.irreversible = None),
        ("irreversible", |r| {
            r.irreversible = Some("Harmless.".into())
        }),
        ("lift", |r| r.lift.clear()),
        ("lift", |r| r.lift.push("/context/ticket".into())),
        ("by", |r| {
            r.by = By::Requester;
            r.approvals = 1;
        }),
        ("approvals", |r| r.approvals = 0),
    ];
    for (member, change) in weaker {
        let mut theirs = mine();
        change(&mut theirs);
        assert_eq!(mine().covers(&theirs), Err(Laxer { member }), "{theirs:?}");
    }
}

#[test]
fn what_has_an_order_may_be_stricter() {
    let stricter: [Change; 9] = [
        |_| {},
        |r| r.approvals = 3,
        |r| r.fresh_claims_secs = 60,
        |r| r.release_claims_secs = Some(60),
        |r| r.reason = ReasonRule::Always,
        |r| r.notify_buttons = NotifyButtons::None,
        |r| r.ttl_secs = 60,
        |r| r.grant_secs = 1,
        |r| {
            r.approvals = 4;
            r.ttl_secs = 1;
        },
    ];
    for change in stricter {
        let mut theirs = mine();
        change(&mut theirs);
        assert_eq!(mine().covers(&theirs), Ok(()), "{theirs:?}");
    }
}

#[test]
fn what_i_do_not_ask_for_must_not_be_added_where_no_order_exists() {
    let mut plain = mine();
    (plain.acr, plain.scope, plain.irreversible) = (None, None, None);
    plain.lift.clear();
    for (member, change) in [
        ("acr", (|r| r.acr = Some("phr".into())) as Change),
        ("scope", |r| r.scope = Some("s".into())),
        ("irreversible", |r| r.irreversible = Some("x".into())),
        ("lift", |r| r.lift.push("/x".into())),
    ] {
        let mut theirs = plain.clone();
        change(&mut theirs);
        assert_eq!(plain.covers(&theirs), Err(Laxer { member }));
    }
    plain.release_claims_secs = None;
    assert_eq!(
        plain.covers(&Requirement {
            release_claims_secs: Some(5),
            ..plain.clone()
        }),
        Ok(())
    );
}

#[test]
fn json_comes_back_and_absent_stays_absent() {
    let plain = Requirement {
        acr: None,
        scope: None,
        release_claims_secs: None,
        irreversible: None,
        lift: Vec::new(),
        ..mine()
    };
    for requirement in [mine(), plain.clone()] {
        assert_eq!(
            Requirement::from_value(&requirement.to_value()).unwrap(),
            requirement
        );
    }
    let members: Vec<_> = plain
        .to_value()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    for absent in [
        "acr",
        "scope",
        "release_claims_secs",
        "irreversible",
        "lift",
        "stages",
    ] {
        assert!(!members.iter().any(|member| member == absent), "{absent}");
    }
}

#[test]
fn stages_come_back_and_are_read_exactly() {
    let stage = |name: &str, approvals| Stage {
        name: name.to_owned(),
        approvals,
    };
    let staged = Requirement {
        approvals: 3,
        stages: vec![stage("team", 1), stage("security-2", 2)],
        ..mine()
    };
    assert_eq!(
        Requirement::from_value(&staged.to_value()),
        Ok(staged.clone())
    );
    let changes: [fn(&mut Requirement); 4] = [
        |r| r.stages.clear(),
        |r| r.stages.swap(0, 1),
        |r| r.stages[0].name = "other".into(),
        |r| {
            r.stages[0].approvals = 2;
            r.stages[1].approvals = 1;
        },
    ];
    for change in changes {
        let mut theirs = staged.clone();
        change(&mut theirs);
        assert_eq!(staged.covers(&theirs), Err(Laxer { member: "stages" }));
        assert!(theirs.covers(&staged).is_err(), "no order between stages");
    }
    for (path, value) in [
        ("/stages/0/approvals", json!(0)),
        ("/stages/0/name", json!(1)),
    ] {
        let mut wire = staged.to_value();
        *wire.pointer_mut(path).unwrap() = value;
        assert!(Requirement::from_value(&wire).is_err(), "{path}");
    }
    let mut wire = staged.to_value();
    wire["stages"][0]["scope"] = json!("x");
    assert!(Requirement::from_value(&wire).is_err(), "a member more");
}

#[test]
fn unknown_and_malformed_members_are_refused() {
    let stage = |name: &str, approvals: i64| json!({"name": name, "approvals": approvals});
    let nine: Vec<Value> = (0..9).map(|n| stage(&format!("s{n}"), 1)).collect();
    let cases: [(&str, Value); 29] = [
        ("stages", json!([])),
        ("stages", json!(null)),
        ("stages", json!([stage("team", 2)])),
        ("stages", json!([stage("team", 1), stage("security", 2)])),
        ("stages", json!([stage("team", 1), stage("team", 1)])),
        ("stages", json!([stage("Team", 1), stage("security", 1)])),
        ("stages", json!([stage("", 1), stage("security", 1)])),
        ("stages", json!(nine)),
        ("quorum", json!(2)),
        ("by", json!("anyone")),
        ("approvals", json!(0)),
        ("approvals", json!(33)),
        ("approvals", json!("2")),
        ("step_up", json!(null)),
        ("acr", json!("")),
        ("match", json!("Words")),
        ("fresh_claims_secs", json!(-1)),
        ("release_claims_secs", json!(0)),
        ("release_claims_secs", json!(null)),
        ("reason", json!("never")),
        ("notify_buttons", json!("approve")),
        ("ttl_secs", json!(0)),
        ("grant_secs", json!(30 * 24 * 3600 + 1)),
        ("hold", json!(false)),
        ("hold", json!(1)),
        ("urgent", json!(false)),
        ("urgent", json!("yes")),
        ("lift", json!([])),
        ("lift", json!(["resource/id"])),
    ];
    for (member, value) in cases {
        let mut wire = mine().to_value();
        wire[member] = value;
        let error = Requirement::from_value(&wire).unwrap_err();
        assert!(error.to_string().contains(member), "{member}: {error}");
    }
    for required in [
        "by",
        "approvals",
        "step_up",
        "match",
        "fresh_claims_secs",
        "reason",
        "notify_buttons",
        "ttl_secs",
        "grant_secs",
    ] {
        let mut wire = mine().to_value();
        wire.as_object_mut().unwrap().remove(required);
        assert!(Requirement::from_value(&wire).is_err(), "{required}");
    }
}
