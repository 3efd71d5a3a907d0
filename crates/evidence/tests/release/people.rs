//! Step 7: who is counted, and by which claims.

use countersign_evidence::op_token::PersonRule;
use countersign_evidence::verify::StepId;
use serde_json::json;

use crate::common::Edit::{self, IdToken, Scene as Whole};
use crate::common::{self, NOW, Scene, Token};
use crate::{ask_for, check};

#[test]
fn people_are_counted_once_and_judged_by_my_policy() {
    let step = StepId::People;
    check(vec![
        (
            "not in the group",
            IdToken(|t| t.claims["groups"] = json!(["orders-dev"])),
            step,
            "may_not_vote",
        ),
        (
            "a string is no list",
            IdToken(|t| t.claims["groups"] = json!("dba,other")),
            step,
            "may_not_vote",
        ),
        (
            "a mixed list is no list",
            IdToken(|t| t.claims["groups"] = json!(["dba", 1])),
            step,
            "may_not_vote",
        ),
        (
            "another provider's group",
            Whole(|s| s.policy.as_mut().unwrap().voters = "https://other.example#dba"),
            step,
            "may_not_vote",
        ),
        (
            "the requester votes",
            Whole(|s| s.people[0].sub = "mara"),
            step,
            "requester_votes",
        ),
        (
            "an actor votes",
            Whole(|s| {
                s.operation["subject"]["properties"]["act"] =
                    json!({"iss": common::OP, "sub": "elin"});
                s.rebuilt = Some(s.operation.clone());
            }),
            step,
            "requester_votes",
        ),
        (
            "two votes of one person",
            Whole(|s| s.people[1].sub = "elin"),
            step,
            "person_votes_twice",
        ),
        (
            "one vote of two",
            Whole(|s| drop(s.people.pop())),
            step,
            "quorum_missing",
        ),
        (
            "two accounts of one person",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["groups".into()]);
            }),
            step,
            "person_unknown",
        ),
        (
            "the requester's person is not stated",
            Whole(|s| s.op.person = PersonRule::Claims(vec!["person".into()])),
            step,
            "person_unknown",
        ),
        (
            "the requester's other account",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["email".into()]);
                s.operation["subject"]["properties"]["claims"]["email"] =
                    json!("elin@orders.example");
                s.rebuilt = Some(s.operation.clone());
            }),
            step,
            "requester_votes",
        ),
        (
            "one person's two accounts",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["name".into()]);
                s.edit = IdToken(|t| t.claims["name"] = json!("jonas"));
            }),
            step,
            "person_votes_twice",
        ),
        (
            "an actor whose person cannot be told",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["email".into()]);
                s.operation["subject"]["properties"]["act"] =
                    json!({"iss": common::OP, "sub": "bot"});
                s.rebuilt = Some(s.operation.clone());
            }),
            step,
            "person_unknown",
        ),
        (
            "claims too old for the release",
            Whole(|s| ask_for(s, |r| r.release_claims_secs = Some(189))),
            step,
            "claims_too_old_now",
        ),
    ]);
    check(vec![(
        "claims too old at the vote",
        Edit::Scene(|s| ask_for(s, |r| r.fresh_claims_secs = 159)),
        step,
        "claims_too_old",
    )]);
}

#[test]
fn a_claims_token_speaks_for_current_claims_only() {
    fn newer(change: fn(&mut Token)) -> Scene {
        let mut scene = Scene::new();
        // By the sign-in's own token elin could not vote any more, or not yet.
        let mut token = scene.id_token(&scene.people[0], "same", NOW - 40);
        change(&mut token);
        scene.people[0].claims_token = Some(token);
        scene.people[0].groups = json!([]);
        scene
    }
    let released = |scene: Scene| {
        scene
            .release(&scene.evidence())
            .map_err(|refusal| refusal.code)
    };
    assert!(released(newer(|_| {})).is_ok(), "the newer claims count");
    assert!(
        released(newer(|t| drop(
            t.claims.as_object_mut().unwrap().remove("nonce")
        )))
        .is_ok()
    );
    let mut strict = newer(|t| drop(t.claims.as_object_mut().unwrap().remove("nonce")));
    strict.op.refreshed = countersign_evidence::op_token::Refreshed::RepeatsNonce;
    assert_eq!(released(strict).unwrap_err(), "claims_token_refused");
    let cases: [(&str, fn(&mut Token)); 9] = [
        ("claims_token_subject", |t| t.claims["sub"] = json!("jonas")),
        ("claims_token_refused", |t| {
            t.claims["aud"] = json!([common::CLIENT, "x"])
        }),
        ("claims_token_refused", |t| {
            t.claims["nonce"] = json!("another")
        }),
        ("claims_token_refused", |t| {
            t.claims["scope"] = json!("openid")
        }),
        ("claims_token_refused", |t| {
            t.claims["client_id"] = json!(common::CLIENT)
        }),
        ("claims_token_refused", |t| t.claims["events"] = json!({})),
        ("claims_token_refused", |t| {
            t.header["typ"] = json!("at+jwt")
        }),
        ("claims_token_refused", |t| t.signer = 51),
        ("claims_token_older", |t| {
            t.claims["iat"] = json!(NOW.0 - 190 - 61)
        }),
    ];
    for (code, change) in cases {
        assert_eq!(released(newer(change)).unwrap_err(), code);
    }
    // Never merged: what only the older token says does not count.
    assert_eq!(
        released(newer(|t| t.claims["groups"] = json!([]))).unwrap_err(),
        "may_not_vote"
    );
}

#[test]
fn two_providers_are_two_people_unless_a_claim_tells() {
    fn with_other(claim: Option<&str>, other_claim: Option<&str>) -> Result<(), &'static str> {
        let mut scene = Scene::new();
        let mut other = scene.other_op();
        let rule = |claim: Option<&str>| match claim {
            None => PersonRule::Account,
            Some(claim) => PersonRule::Claims(vec![claim.to_owned()]),
        };
        other.config.person = rule(other_claim);
        scene.op.person = rule(claim);
        scene.more_ops.push(other);
        scene.operation["subject"]["properties"]["claims"]["person"] = json!("p-mara");
        scene.rebuilt = Some(scene.operation.clone());
        // elin's account at the other provider, in a group there that the policy accepts.
        scene.edit = IdToken(|t| t.claims["iss"] = json!("https://other.example"));
        scene.policy.as_mut().unwrap().voters = "https://op.example#dba";
        scene
            .release(&scene.evidence())
            .map(drop)
            .map_err(|refusal| refusal.code)
    }
    // The same name of a group at another provider is another group.
    assert_eq!(with_other(None, None), Err("may_not_vote"));
    // One provider names people by a claim and the other does not: it cannot be told.
    assert_eq!(with_other(Some("person"), None), Err("person_unknown"));
}
