//! Steps 1 to 3: the operation, that all parts speak of it, and the requirement.

use countersign_evidence::verify::StepId;
use countersign_model::{PepId, PolicyAnswer, ServerId, Txn};
use serde_json::json;

use crate::common::Edit::{
    Ask, Evidence, Grant, Operation, Request, Scene as Whole, Statement, Vote,
};
use crate::common::{self, Scene, key, subject};
use crate::{answer, check, graft, other};

fn gate() -> PepId {
    PepId::parse("other-gate").unwrap()
}

fn server() -> ServerId {
    ServerId::parse("https://other.example").unwrap()
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
            "ask ends before it begins",
            Ask(|a| a.exp = a.iat),
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
fn a_whole_approval_for_another_server_is_not_mine() {
    // One key may serve two server ids: then every part agrees, and only mine differs.
    let evidence = Scene::new().evidence();
    let mut scene = Scene::new();
    scene.server = server();
    let refusal = scene.release(&evidence).unwrap_err();
    assert_eq!(
        (refusal.step, refusal.code),
        (StepId::Sameness, "server_differs")
    );
    assert_eq!(scene.open(&evidence).unwrap_err().code, "server_differs");
}
