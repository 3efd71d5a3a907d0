//! Steps 4 and 6: the votes themselves, their times, and step-up.

use countersign_evidence::Choice;
use countersign_evidence::verify::StepId;
use countersign_model::{By, PolicyAnswer, ReasonRule, StepUp};

use crate::common::Edit::{self, Evidence, Grant, Scene as Whole, Vote};
use crate::common::{NOW, Scene};
use crate::{answer, ask_for, check, graft, regrant, want_words};

#[test]
fn votes_are_signed_approving_and_in_time() {
    let step = StepId::Votes;
    check(vec![
        (
            "forged signature",
            Evidence(|e| {
                e.votes[0].jws = graft(&e.votes[0].jws, &e.votes[1].jws);
                regrant(e);
            }),
            step,
            "vote_signature",
        ),
        (
            "a deny",
            Vote(|v| {
                v.vote = Choice::Deny;
                v.reason = Some("no".into());
            }),
            step,
            "vote_not_approve",
        ),
        (
            "ends before it begins",
            Vote(|v| v.exp = v.iat),
            step,
            "vote_times",
        ),
        (
            "outlives its request",
            Vote(|v| v.exp = v.exp + 900),
            step,
            "vote_outlives_request",
        ),
        (
            "older than the operation",
            Vote(|v| v.iat = v.iat - 200),
            step,
            "vote_too_early",
        ),
        (
            "older than T0 says",
            Whole(|s| s.asked_at = NOW + 41),
            step,
            "vote_too_early",
        ),
        (
            "from the future",
            Vote(|v| {
                v.iat = NOW + 61;
                v.exp = NOW + 62;
            }),
            step,
            "vote_in_future",
        ),
        (
            "after the time for voting",
            Whole(|s| s.asked_at = NOW - 20 - 900 - 61),
            step,
            "vote_too_late",
        ),
        (
            "words missing",
            Whole(|s| want_words(s, None)),
            step,
            "match_missing",
        ),
        (
            "wrong words",
            Whole(|s| want_words(s, Some("wrong words"))),
            step,
            "match_wrong",
        ),
        (
            "wrong words, not asked for",
            Whole(|s| s.match_words = Some("wrong words")),
            step,
            "match_wrong",
        ),
        (
            "reason missing",
            Whole(|s| {
                s.requirement.reason = ReasonRule::Always;
                answer(s, PolicyAnswer::Approve(s.requirement.clone()));
            }),
            step,
            "reason_missing",
        ),
        (
            "grant ends before it begins",
            Grant(|g| g.exp = g.iat),
            step,
            "grant_times",
        ),
        (
            "older than the request, though not than the asking",
            Whole(|s| {
                s.people[0].voted_at = NOW - 101;
                s.edit = Edit::Request(|r| r.iat = NOW - 39);
            }),
            step,
            "vote_too_early",
        ),
        (
            "grant is good only after it ends",
            Grant(|g| g.nbf = g.exp + 1),
            step,
            "grant_times",
        ),
        (
            "grant made in the future",
            Grant(|g| {
                g.iat = NOW + 61;
                g.exp = NOW + 200;
            }),
            step,
            "grant_in_future",
        ),
        (
            "grant from the future",
            Grant(|g| g.nbf = NOW + 61),
            step,
            "grant_in_future",
        ),
        (
            "too long after the last vote",
            Whole(|s| s.now = NOW + 101),
            step,
            "grant_window_over",
        ),
        (
            "too long after asking",
            Whole(|s| {
                s.asked_at = NOW - 1_021;
                s.requirement.ttl_secs = 900;
            }),
            step,
            "vote_too_late",
        ),
    ]);
    check(vec![(
        "grant expired",
        Edit::Scene(|s| {
            s.now = NOW + 99;
            s.edit = Grant(|g| g.exp = NOW + 38);
        }),
        step,
        "grant_expired",
    )]);
}

#[test]
fn asking_long_ago_is_over_even_within_the_skew_of_a_vote() {
    let mut scene = Scene::new();
    scene.asked_at = NOW - 20 - 900 - 30;
    scene.now = NOW + 70;
    assert!(scene.release(&scene.evidence()).is_ok());
    scene.now = NOW + 71;
    let refusal = scene.release(&scene.evidence()).unwrap_err();
    assert_eq!(
        (refusal.step, refusal.code),
        (StepId::Votes, "approval_too_late")
    );
}

#[test]
fn a_step_up_that_is_asked_for_is_never_ignored() {
    let step = StepId::StepUp;
    check(vec![
        (
            "oidc",
            Whole(|s| {
                ask_for(s, |r| r.step_up = StepUp::Oidc);
                s.edit = Evidence(|e| e.votes[1].step_up = None);
            }),
            step,
            "step_up_missing",
        ),
        (
            "webauthn",
            Whole(|s| {
                ask_for(s, |r| r.step_up = StepUp::Webauthn);
                s.edit = Evidence(|e| e.votes[1].step_up = None);
            }),
            step,
            "step_up_missing",
        ),
        (
            "acr",
            Whole(|s| ask_for(s, |r| r.acr = Some("phr".into()))),
            step,
            "step_up_contradictory",
        ),
        (
            "scope",
            Whole(|s| ask_for(s, |r| r.scope = Some("approve:x".into()))),
            step,
            "step_up_contradictory",
        ),
        (
            "by the requester",
            Whole(|s| ask_for(s, |r| r.by = By::Requester)),
            step,
            "step_up_contradictory",
        ),
    ]);
}
