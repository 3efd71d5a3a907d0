//! The release by a gate: each check's input violated in turn, and the refusal's code is the expected one.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod common;

use common::{Edit, NOW, Scene, TestPolicy, Token, key, op_jwks, requirement, subject};
use countersign_evidence::op_token::OpKeys;
use countersign_evidence::verify::{Outcome, StepId};
use countersign_evidence::{Choice, SecretKey};
use countersign_model::{
    By, Digest, MatchWords, PepId, PolicyAnswer, ReasonRule, ServerId, StepUp, Subject, Txn,
};
use serde_json::json;

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
    let voters: Vec<_> = verified
        .votes()
        .iter()
        .map(|vote| vote.voter().unwrap().subject.sub.as_str())
        .collect();
    assert_eq!(voters, ["elin", "jonas"]);
    assert_eq!(verified.txn().as_str(), "txn-1");
    assert!(scene.open(&evidence).is_ok());
}

use Edit::{Ask, Evidence, Grant, IdToken, Operation, Request, Scene as Whole, Statement, Vote};

fn gate() -> PepId {
    PepId::parse("other-gate").unwrap()
}

fn server() -> ServerId {
    ServerId::parse("https://other.example").unwrap()
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
fn operation_is_judged() {
    let step = StepId::Operation;
    check(vec![
        (
            "another operation is executed",
            Whole(|s| {
                let mut other = common::operation();
                other["resource"]["id"] = json!("43");
                s.rebuilt = Some(other);
            }),
            step,
            "operation_differs",
        ),
        (
            "an operation swapped throughout",
            Operation(|o| o["resource"]["id"] = json!("1")),
            step,
            "operation_differs",
        ),
        (
            "another nonce",
            Operation(|o| o["context"]["nonce"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
            step,
            "operation_differs",
        ),
        (
            "padded base64",
            Evidence(|e| e.operation_b64.push('=')),
            step,
            "not_base64url",
        ),
        (
            "a float in it",
            Operation(|o| o["action"]["properties"]["n"] = json!(1.5)),
            step,
            "operation_unreadable",
        ),
        (
            "an extra member",
            Operation(|o| o["extra"] = json!(1)),
            step,
            "operation_unreadable",
        ),
        (
            "not canonical",
            Evidence(|e| {
                let bytes = countersign_model::b64u_decode(&e.operation_b64).unwrap();
                e.operation_b64 = countersign_model::b64u(&[&bytes[..], b" "].concat());
            }),
            step,
            "operation_unreadable",
        ),
    ]);
}

#[test]
fn all_parts_speak_of_the_same() {
    let step = StepId::Sameness;
    check(vec![
        (
            "ask by another key",
            Whole(|s| s.ask_signer = key(99)),
            step,
            "ask_key_unknown",
        ),
        (
            "request by another key",
            Whole(|s| s.request_signer = key(99)),
            step,
            "request_key_unknown",
        ),
        (
            "grant by another key",
            Whole(|s| s.grant_signer = key(99)),
            step,
            "grant_key_unknown",
        ),
        (
            "request by the gate's key",
            Whole(|s| s.request_signer = common::pep_key()),
            step,
            "request_key_unknown",
        ),
        (
            "ask's signature of another ask",
            Evidence(|e| e.ask_jws = graft(&e.ask_jws, &e.grant)),
            step,
            "ask_signature",
        ),
        (
            "request's signature of the grant",
            Evidence(|e| e.request_jws = graft(&e.request_jws, &e.grant)),
            step,
            "request_signature",
        ),
        (
            "grant's signature of the request",
            Evidence(|e| e.grant = graft(&e.grant, &e.request_jws)),
            step,
            "grant_signature",
        ),
        (
            "a grant instead of the request",
            Evidence(|e| e.request_jws.clone_from(&e.grant)),
            step,
            "request_unreadable",
        ),
        (
            "a request instead of the ask",
            Evidence(|e| e.ask_jws.clone_from(&e.request_jws)),
            step,
            "ask_unreadable",
        ),
        (
            "a vote instead of the grant",
            Evidence(|e| e.grant = e.votes[0].jws.clone()),
            step,
            "grant_unreadable",
        ),
        (
            "a grant instead of a vote",
            Evidence(|e| e.votes[0].jws.clone_from(&e.grant)),
            step,
            "vote_unreadable",
        ),
        (
            "a broken statement",
            Evidence(|e| e.votes[0].cic = "e30".into()),
            step,
            "binding_unreadable",
        ),
        (
            "ask for another server",
            Ask(|a| a.aud = server()),
            step,
            "server_differs",
        ),
        (
            "request of another server",
            Request(|r| r.iss = server()),
            step,
            "server_differs",
        ),
        (
            "grant of another server",
            Grant(|g| g.iss = server()),
            step,
            "server_differs",
        ),
        (
            "vote for another server",
            Vote(|v| v.server = server()),
            step,
            "server_differs",
        ),
        (
            "binding for another server",
            Statement(|s| s.aud = server()),
            step,
            "server_differs",
        ),
        (
            "I am another gate",
            Whole(|s| s.me = gate()),
            step,
            "pep_differs",
        ),
        (
            "ask of another gate",
            Ask(|a| a.iss = gate()),
            step,
            "pep_differs",
        ),
        (
            "request of another gate",
            Request(|r| r.pep = gate()),
            step,
            "pep_differs",
        ),
        (
            "grant for another gate",
            Grant(|g| g.aud = gate()),
            step,
            "pep_differs",
        ),
        (
            "vote for another gate",
            Vote(|v| v.pep = gate()),
            step,
            "pep_differs",
        ),
        (
            "grant for another request",
            Grant(|g| g.txn = Txn::parse("txn-2").unwrap()),
            step,
            "txn_differs",
        ),
        (
            "vote on another request",
            Vote(|v| v.txn = Txn::parse("txn-2").unwrap()),
            step,
            "txn_differs",
        ),
        (
            "ask for another operation",
            Ask(|a| a.operation_digest = other()),
            step,
            "operation_digest_differs",
        ),
        (
            "request for another operation",
            Request(|r| r.operation_digest = other()),
            step,
            "operation_digest_differs",
        ),
        (
            "grant for another operation",
            Grant(|g| g.operation_digest = other()),
            step,
            "operation_digest_differs",
        ),
        (
            "vote on another operation",
            Vote(|v| v.operation_digest = other()),
            step,
            "operation_digest_differs",
        ),
        (
            "request of another ask",
            Request(|r| r.ask_digest = other()),
            step,
            "ask_digest_differs",
        ),
        (
            "grant of another request JWS",
            Grant(|g| g.request_jws_digest = other()),
            step,
            "request_digest_differs",
        ),
        (
            "vote on another request JWS",
            Vote(|v| v.request_jws_digest = other()),
            step,
            "request_digest_differs",
        ),
        (
            "grant under another policy",
            Grant(|g| g.policy_digest = other()),
            step,
            "policy_digest_differs",
        ),
        (
            "vote under another policy",
            Vote(|v| v.policy_digest = other()),
            step,
            "policy_digest_differs",
        ),
        (
            "request for another requester",
            Request(|r| r.sub_id = subject("otto")),
            step,
            "requester_differs",
        ),
        (
            "request ends before it begins",
            Request(|r| r.exp = r.iat),
            step,
            "times_differ",
        ),
        (
            "request long after the ask",
            Request(|r| r.iat = r.iat + 200),
            step,
            "ask_expired",
        ),
        (
            "request before the ask",
            Request(|r| r.iat = r.iat - 200),
            step,
            "ask_expired",
        ),
        (
            "vote by another key",
            Whole(|s| s.vote_signer = Some(key(99))),
            step,
            "vote_key_differs",
        ),
        (
            "vote that names another key",
            Vote(|v| v.key_thumbprint = other()),
            step,
            "vote_key_differs",
        ),
        (
            "binding of another key",
            Statement(|s| s.key = key(99).public()),
            step,
            "vote_key_differs",
        ),
        (
            "vote that names another binding",
            Vote(|v| v.binding_id = other()),
            step,
            "binding_differs",
        ),
        (
            "grant without a vote",
            Grant(|g| drop(g.votes.pop())),
            step,
            "grant_votes_differ",
        ),
        (
            "grant of votes in another order",
            Grant(|g| g.votes.reverse()),
            step,
            "grant_votes_differ",
        ),
        (
            "grant of another vote",
            Grant(|g| g.votes[0].digest = other()),
            step,
            "grant_votes_differ",
        ),
        (
            "grant of somebody else's vote",
            Grant(|g| g.votes[0].subject = subject("otto")),
            step,
            "grant_votes_differ",
        ),
        (
            "grant by another binding",
            Grant(|g| g.votes[0].binding_id = other()),
            step,
            "grant_votes_differ",
        ),
        (
            "evidence with a vote less",
            Evidence(|e| drop(e.votes.pop())),
            step,
            "grant_votes_differ",
        ),
        (
            "evidence with a vote twice",
            Evidence(|e| e.votes.push(e.votes[0].clone())),
            step,
            "grant_votes_differ",
        ),
    ]);
}

#[test]
fn requirement_is_my_own_policys() {
    let step = StepId::Requirement;
    check(vec![
        (
            "server lowers the ask",
            Request(|r| r.requirement.approvals = 1),
            step,
            "requirement_lowered",
        ),
        (
            "server lengthens the ask",
            Request(|r| r.requirement.ttl_secs += 1),
            step,
            "requirement_lowered",
        ),
        (
            "lower than my policy throughout",
            Whole(|s| s.requirement.approvals = 1),
            step,
            "requirement_lowered",
        ),
        (
            "laxer claims than my policy",
            Whole(|s| s.requirement.fresh_claims_secs = 301),
            step,
            "requirement_lowered",
        ),
        (
            "card words differ",
            Whole(|s| s.requirement.irreversible = None),
            step,
            "requirement_lowered",
        ),
        (
            "my policy denies",
            Whole(|s| {
                answer(
                    s,
                    PolicyAnswer::Deny {
                        reason: "frozen.".into(),
                    },
                )
            }),
            step,
            "policy_denies",
        ),
        (
            "my policy asks for nothing",
            Whole(|s| answer(s, PolicyAnswer::Allow)),
            step,
            "policy_mismatch",
        ),
        (
            "no policy",
            Whole(|s| s.policy = None),
            step,
            "policy_missing",
        ),
    ]);
}

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

#[test]
fn a_step_up_that_is_asked_for_is_never_ignored() {
    let step = StepId::StepUp;
    check(vec![
        (
            "oidc",
            Whole(|s| ask_for(s, |r| r.step_up = StepUp::Oidc)),
            step,
            "step_up_unsupported",
        ),
        (
            "webauthn",
            Whole(|s| ask_for(s, |r| r.step_up = StepUp::Webauthn)),
            step,
            "step_up_unsupported",
        ),
        (
            "acr",
            Whole(|s| ask_for(s, |r| r.acr = Some("phr".into()))),
            step,
            "step_up_unsupported",
        ),
        (
            "scope",
            Whole(|s| ask_for(s, |r| r.scope = Some("approve:x".into()))),
            step,
            "step_up_unsupported",
        ),
        (
            "by the requester",
            Whole(|s| ask_for(s, |r| r.by = By::Requester)),
            step,
            "step_up_unsupported",
        ),
    ]);
}

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
                s.op.person_claim = Some("groups".into());
            }),
            step,
            "person_unknown",
        ),
        (
            "the requester's person is not stated",
            Whole(|s| s.op.person_claim = Some("person".into())),
            step,
            "person_unknown",
        ),
        (
            "the requester's other account",
            Whole(|s| {
                s.op.person_claim = Some("email".into());
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
                s.op.person_claim = Some("name".into());
                s.edit = IdToken(|t| t.claims["name"] = json!("jonas"));
            }),
            step,
            "person_votes_twice",
        ),
        (
            "an actor whose person cannot be told",
            Whole(|s| {
                s.op.person_claim = Some("email".into());
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
        other.config.person_claim = other_claim.map(str::to_owned);
        scene.op.person_claim = claim.map(str::to_owned);
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

#[test]
fn a_stricter_request_stands() {
    let scene = Scene::with(Whole(|s| {
        s.requirement.approvals = 2;
        answer(
            s,
            PolicyAnswer::Approve(countersign_model::Requirement {
                approvals: 1,
                ..requirement()
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

fn ask_for(scene: &mut Scene, change: fn(&mut countersign_model::Requirement)) {
    change(&mut scene.requirement);
    answer(scene, PolicyAnswer::Approve(scene.requirement.clone()));
}

fn want_words(scene: &mut Scene, typed: Option<&'static str>) {
    ask_for(scene, |r| r.match_words = MatchWords::Words);
    scene.match_words = typed;
}
