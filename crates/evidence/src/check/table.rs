//! The table: each check is taken away in turn. With it, an attack is refused by its code; without it, the same
//! attack passes. So none is idle, and none can be lost without a test that fails. One file because it
//! is one table, read beside `check.rs` in its order.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::cell::Cell;
use std::collections::BTreeSet;

use countersign_model::{
    Digest, MatchWords, PepId, Person, PolicyAnswer, ReasonRule, ServerId, StepUp, Txn, UnixSecs,
    b64u, b64u_decode,
};
use serde_json::json;

use self::common::Edit::{
    self, Ask, AskJws, Assertion, Consent, Evidence, Grant, GrantJws, IdToken, Request, RequestJws,
    Scene as Whole, SignIn, Statement, Vote, VoteJws,
};
use self::common::{CLIENT, NOW, Scene, Tie, subject};
use super::Check;
use crate::op_token::{KeyBinding, OpRole, OpStepUp, PersonRule};
use crate::verify::{Before, Refusal, StepUpEvidence, read_request_bundle, verify_vote};
use crate::{Choice, SecretKey};

thread_local! {
    static OFF: Cell<Option<Check>> = const { Cell::new(None) };
}

pub(super) fn is_off(check: Check) -> bool {
    OFF.get() == Some(check)
}

/// A check, what an attacker does, and by which code it is refused where that is not the check's own.
type Row = (Check, &'static str, Edit, Option<&'static str>);

fn other_server() -> ServerId {
    ServerId::parse("https://other.example").unwrap()
}

fn other_gate() -> PepId {
    PepId::parse("other-gate").unwrap()
}

fn unsign(jws: &mut String) {
    let (message, _) = jws.rsplit_once('.').unwrap();
    *jws = format!("{message}.{}", b64u(&[0; 64]));
}

fn garbage() -> StepUpEvidence {
    StepUpEvidence::Oidc {
        id_token: "e30.e30.AA".into(),
        access_token: None,
    }
}

fn without(token: &mut common::Token, claim: &str) {
    token.claims.as_object_mut().unwrap().remove(claim);
}

macro_rules! stepped {
    ($edit:ident, $change:expr) => {
        Whole(|s| {
            s.ask_for_consent();
            s.edit = $edit($change);
        })
    };
}

macro_rules! touched {
    ($change:expr) => {
        Whole(|s| {
            s.ask_for(|r| r.step_up = StepUp::Webauthn);
            s.edit = Assertion($change);
        })
    };
}

fn sameness() -> Vec<Row> {
    vec![
        (
            Check::Rebuilt,
            "another operation is executed",
            Whole(|s| {
                let mut other = common::operation();
                other["resource"]["id"] = json!("1");
                s.rebuilt = Some(other);
            }),
            None,
        ),
        (
            Check::Me,
            "evidence for another gate",
            Whole(|s| s.me = other_gate()),
            None,
        ),
        (Check::AskSignature, "a forged ask", AskJws(unsign), None),
        (
            Check::RequestSignature,
            "a forged request",
            RequestJws(unsign),
            None,
        ),
        (
            Check::GrantSignature,
            "a forged grant",
            GrantJws(unsign),
            None,
        ),
        (
            Check::RequestServer,
            "another server with my server's key",
            Whole(|s| {
                s.trusted_server = Some(other_server());
            }),
            None,
        ),
        (
            Check::AskGate,
            "another gate's ask by my key",
            Whole(|s| {
                s.gate = "other-gate";
                s.operation["context"]["pep"] = json!("other-gate");
                s.rebuilt = Some(s.operation.clone());
            }),
            None,
        ),
        (
            Check::AskServer,
            "an ask for another server",
            Ask(|a| a.aud = other_server()),
            None,
        ),
        (
            Check::RequestGate,
            "a request for another gate",
            Request(|r| r.pep = other_gate()),
            None,
        ),
        (
            Check::OperationGate,
            "an operation of another gate",
            Whole(|s| {
                s.operation["context"]["pep"] = json!("other-gate");
                s.rebuilt = Some(s.operation.clone());
            }),
            None,
        ),
        (
            Check::AskOperation,
            "an ask about another operation",
            Ask(|a| a.operation_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::RequestOperation,
            "a request about another operation",
            Request(|r| r.operation_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::RequestAsk,
            "a request about another ask",
            Request(|r| r.ask_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::Requester,
            "a request in another name",
            Request(|r| r.sub_id = subject("otto")),
            None,
        ),
        (
            Check::AskTimes,
            "an ask that never held",
            Ask(|a| a.exp = a.iat),
            None,
        ),
        (
            Check::RequestInAsk,
            "a request after its ask",
            Request(|r| r.iat = NOW + 21),
            None,
        ),
        (
            Check::VoteServer,
            "a vote at another server",
            Vote(|v| v.server = other_server()),
            None,
        ),
        (
            Check::BindingServer,
            "a binding to another server",
            Statement(|s| s.aud = other_server()),
            None,
        ),
        (
            Check::VoteGate,
            "a vote for another gate",
            Vote(|v| v.pep = other_gate()),
            None,
        ),
        (
            Check::VoteTxn,
            "a vote on another request",
            Vote(|v| v.txn = Txn::parse("txn-2").unwrap()),
            None,
        ),
        (
            Check::VoteOperation,
            "a vote on another operation",
            Vote(|v| v.operation_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::VoteRequest,
            "a vote on another requirement",
            Vote(|v| v.request_jws_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::VotePolicy,
            "a vote under another policy",
            Vote(|v| v.policy_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::VoteKey,
            "a vote in the name of another key",
            Vote(|v| v.key_thumbprint = Digest::of(b"x")),
            None,
        ),
        (
            Check::VoteBinding,
            "a vote by another binding",
            Vote(|v| v.binding_id = Digest::of(b"x")),
            None,
        ),
        (
            Check::GrantServer,
            "another server's grant",
            Grant(|g| g.iss = other_server()),
            None,
        ),
        (
            Check::GrantGate,
            "a grant for another gate",
            Grant(|g| g.aud = other_gate()),
            None,
        ),
        (
            Check::GrantTxn,
            "a grant for another request",
            Grant(|g| g.txn = Txn::parse("txn-2").unwrap()),
            None,
        ),
        (
            Check::GrantOperation,
            "a grant for another operation",
            Grant(|g| g.operation_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::GrantRequest,
            "a grant for another requirement",
            Grant(|g| g.request_jws_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::GrantPolicy,
            "a grant under another policy",
            Grant(|g| g.policy_digest = Digest::of(b"x")),
            None,
        ),
        (
            Check::GrantVotes,
            "a grant of other votes",
            Grant(|g| drop(g.votes.pop())),
            None,
        ),
    ]
}

fn requirement() -> Vec<Row> {
    vec![
        (
            Check::Ask,
            "the server lowered the ask",
            Ask(|a| a.requirement.approvals = 3),
            None,
        ),
        (
            Check::PolicyDenies,
            "my policy denies it by now",
            Whole(|s| {
                s.policy.as_mut().unwrap().answer = PolicyAnswer::Deny {
                    reason: "frozen".into(),
                };
            }),
            None,
        ),
        (
            Check::PolicyAllows,
            "my policy needs no approval of it",
            Whole(|s| {
                s.policy.as_mut().unwrap().answer = PolicyAnswer::Allow;
            }),
            None,
        ),
        (
            Check::Policy,
            "server and ask are laxer than my policy",
            Whole(|s| {
                s.requirement.approvals = 1;
                s.people.truncate(1);
            }),
            None,
        ),
    ]
}

fn votes() -> Vec<Row> {
    vec![
        (Check::VoteSignature, "a forged vote", VoteJws(unsign), None),
        (
            Check::Approves,
            "a deny counted as an approve",
            Vote(|v| {
                v.vote = Choice::Deny;
                v.reason = Some("no".into());
            }),
            None,
        ),
        (
            Check::VoteTimes,
            "a vote that never held",
            Vote(|v| v.exp = v.iat),
            None,
        ),
        (
            Check::VoteWithinRequest,
            "a vote for ever",
            Vote(|v| v.exp = v.exp + 900_000),
            None,
        ),
        (
            Check::VoteAfterAsking,
            "a hoarded vote",
            Whole(|s| s.asked_at = NOW + 41),
            None,
        ),
        (
            Check::VoteAfterRequest,
            "a vote from before its request",
            Whole(|s| {
                s.people[0].voted_at = NOW - 101;
                s.edit = Request(|r| r.iat = NOW - 39);
            }),
            None,
        ),
        (
            Check::VoteNotFuture,
            "a vote of tomorrow",
            Vote(|v| {
                v.iat = NOW + 61;
                v.exp = NOW + 62;
            }),
            None,
        ),
        (
            Check::VoteNotLate,
            "a vote after the time for voting",
            Whole(|s| s.asked_at = NOW - 20 - 900 - 61),
            None,
        ),
        (
            Check::Reason,
            "no reason",
            Whole(|s| s.ask_for(|r| r.reason = ReasonRule::Always)),
            None,
        ),
        (
            Check::WordsRight,
            "another request's words",
            Whole(|s| s.match_words = Some("wrong words")),
            None,
        ),
        (
            Check::WordsThere,
            "no words",
            Whole(|s| s.ask_for(|r| r.match_words = MatchWords::Words)),
            None,
        ),
        (
            Check::StageNamed,
            "a stage that nobody asked for",
            Vote(|v| v.stage = Some("team".into())),
            None,
        ),
        (
            Check::PriorKnown,
            "built on a vote that nobody has",
            Whole(|s| {
                s.ask_in_stages();
                s.prior_edit = Some(|prior| prior.push(Digest::of(b"x")));
            }),
            None,
        ),
        (
            Check::PriorComplete,
            "a second stage that did not wait",
            Whole(|s| {
                s.ask_in_stages();
                s.prior_edit = Some(Vec::clear);
            }),
            None,
        ),
        (
            Check::GrantTimes,
            "a grant that never held",
            Grant(|g| g.exp = g.iat),
            None,
        ),
        (
            Check::GrantNotFuture,
            "a grant of tomorrow",
            Grant(|g| g.nbf = NOW + 61),
            None,
        ),
        (
            Check::GrantNotExpired,
            "an old grant",
            Whole(|s| {
                s.now = NOW + 99;
                s.edit = Grant(|g| g.exp = NOW + 38);
            }),
            None,
        ),
        (
            Check::GrantWindow,
            "old votes",
            Whole(|s| s.now = NOW + 101),
            None,
        ),
        (
            Check::ApprovalInTime,
            "asked for long ago",
            Whole(|s| {
                s.asked_at = NOW - 20 - 900 - 30;
                s.now = NOW + 71;
            }),
            None,
        ),
    ]
}

fn bindings() -> Vec<Row> {
    vec![
        (
            Check::TokenAlg,
            "an algorithm that I do not allow",
            Whole(|s| s.op.algorithms = vec!["RS256".into()]),
            None,
        ),
        (
            Check::TokenSignature,
            "the server made a sign-in up",
            IdToken(|t| t.signer = 51),
            None,
        ),
        (
            Check::TokenSignature,
            "the server made a step-up up",
            stepped!(SignIn, |t| t.signer = 51),
            Some("step_up_signature"),
        ),
        (
            Check::TokenSignature,
            "the server made a consent up",
            stepped!(Consent, |t| t.signer = 51),
            Some("consent_signature"),
        ),
        (
            Check::TokenType,
            "an access token as a sign-in",
            IdToken(|t| t.header["typ"] = json!("at+jwt")),
            None,
        ),
        (
            Check::TokenForeign,
            "another kind of token as a sign-in",
            IdToken(|t| t.claims["scope"] = json!("openid")),
            None,
        ),
        (
            Check::TokenIssuer,
            "another provider with the same keys",
            stepped!(SignIn, |t| {
                t.claims["iss"] = json!("https://other.example");
            }),
            Some("step_up_issuer"),
        ),
        (
            Check::TokenIssuer,
            "another provider's consent",
            stepped!(Consent, |t| {
                t.claims["iss"] = json!("https://other.example");
            }),
            Some("consent_issuer"),
        ),
        (
            Check::TokenAudience,
            "a sign-in to another program too",
            IdToken(|t| t.claims["aud"] = json!([CLIENT, "x"])),
            None,
        ),
        (
            Check::TokenAudience,
            "a step-up at another program",
            stepped!(SignIn, |t| {
                t.claims["aud"] = json!("other-client");
            }),
            Some("step_up_audience"),
        ),
        (
            Check::TokenParty,
            "a sign-in by another program",
            IdToken(|t| t.claims["azp"] = json!("other-client")),
            None,
        ),
        (
            Check::TokenNotFuture,
            "a sign-in of tomorrow",
            IdToken(|t| t.claims["nbf"] = json!(NOW.0 - 190 + 61)),
            None,
        ),
        (
            Check::TokenTimes,
            "a sign-in that never held",
            IdToken(|t| t.claims["exp"] = t.claims["iat"].clone()),
            None,
        ),
        (
            Check::TokenNonce,
            "a sign-in that committed to another key",
            IdToken(|t| t.claims["nonce"] = json!("x")),
            None,
        ),
        (
            Check::TokenNonce,
            "a replayed step-up, for another vote",
            stepped!(SignIn, |t| {
                t.claims["nonce"] = json!(crate::documents::step_up_nonce("another vote"));
            }),
            Some("step_up_nonce"),
        ),
        (
            Check::AuthTimeThere,
            "when they signed in is not said",
            IdToken(|t| without(t, "auth_time")),
            None,
        ),
        (
            Check::AuthTimeFresh,
            "a silent sign-in",
            IdToken(|t| t.claims["auth_time"] = json!(NOW.0 - 190 - 301)),
            None,
        ),
        (
            Check::AuthTimeNotFuture,
            "a sign-in after its token",
            IdToken(|t| {
                t.claims["auth_time"] = json!(NOW.0 - 190 + 61);
            }),
            None,
        ),
        (
            Check::Voter,
            "a vote in somebody else's name",
            Vote(|v| v.sub_id = subject("otto")),
            None,
        ),
        (
            Check::SessionLasts,
            "a vote after the session",
            Whole(|s| {
                s.ask_for(|r| r.fresh_claims_secs = 50_000);
                s.edit = IdToken(|t| {
                    t.claims["auth_time"] = json!(NOW.0 - 30 - 43_201);
                    t.claims["iat"] = json!(NOW.0 - 30 - 43_201);
                });
            }),
            None,
        ),
        (
            Check::VoteAfterBinding,
            "a vote before its binding",
            IdToken(|t| {
                t.claims["iat"] = json!(NOW.0 + 31);
                t.claims["exp"] = json!(NOW.0 + 3_600);
            }),
            None,
        ),
        (
            Check::TokenType,
            "a bound token where nobody asks for one",
            Whole(|s| {
                s.op.key_binding = KeyBinding::Refused;
                s.edit = IdToken(bind_to_device);
            }),
            Some("token_typ"),
        ),
        (
            Check::TokenConfirmation,
            "a bound token's type without a key",
            IdToken(|t| t.header["typ"] = json!("dpop+id_token")),
            None,
        ),
        (
            Check::TokenConfirmation,
            "a key in a token of the usual type",
            IdToken(|t| {
                bind_to_device(t);
                t.header["typ"] = json!("JWT");
            }),
            None,
        ),
        (
            Check::TokenConfirmation,
            "a bound token whose key is by name only",
            IdToken(|t| {
                t.header["typ"] = json!("dpop+id_token");
                t.claims["cnf"] = json!({"kid": "device"});
            }),
            None,
        ),
        (
            Check::TokenBound,
            "a sign-in that the provider did not bind",
            Whole(|s| s.op.key_binding = KeyBinding::Required),
            None,
        ),
        (
            Check::TokenKey,
            "a sign-in that is bound to another key",
            IdToken(|t| {
                t.header["typ"] = json!("dpop+id_token");
                t.claims["cnf"] = json!({"jwk": common::key(99).public().to_jwk()});
            }),
            None,
        ),
    ]
}

/// As a provider that binds keys does for the first voter.
fn bind_to_device(token: &mut common::Token) {
    token.header["typ"] = json!("dpop+id_token");
    token.claims["cnf"] = json!({"jwk": common::key(11).public().to_jwk()});
}

fn step_up() -> Vec<Row> {
    vec![
        (
            Check::StepUpSense,
            "a level without a sign-in",
            Whole(|s| s.ask_for(|r| r.acr = Some("mfa".into()))),
            None,
        ),
        (
            Check::StepUpSense,
            "a scope without a sign-in",
            Whole(|s| s.ask_for(|r| r.scope = Some("approve:x".into()))),
            None,
        ),
        (
            Check::StepUpSense,
            "a security key that brings a scope",
            Whole(|s| {
                s.ask_for(|r| {
                    r.step_up = StepUp::Webauthn;
                    r.scope = Some("approve:x".into());
                })
            }),
            None,
        ),
        (
            Check::StepUpSense,
            "self-confirmation with the stolen token alone",
            Whole(|s| {
                s.ask_for_confirmation();
                s.ask_for(|r| r.step_up = StepUp::None);
            }),
            None,
        ),
        (
            Check::StepUpThere,
            "no step-up",
            Whole(|s| {
                s.ask_for_consent();
                s.edit = Evidence(|e| e.votes[0].step_up = None);
            }),
            None,
        ),
        (
            Check::StepUpMeans,
            "a sign-in for a security key",
            Whole(|s| {
                s.ask_for(|r| r.step_up = StepUp::Webauthn);
                s.edit = Evidence(|e| e.votes[0].step_up = Some(garbage()));
            }),
            None,
        ),
        (
            Check::StepUpOffered,
            "a provider that cannot",
            Whole(|s| {
                s.ask_for_consent();
                s.op.step_up = OpStepUp::None {
                    why_not: "It forces no fresh sign-in.".into(),
                };
            }),
            None,
        ),
        (
            Check::SignInAccount,
            "step-up by another person",
            stepped!(SignIn, |t| t.claims["sub"] = json!("otto")),
            None,
        ),
        (
            Check::SignInPerson,
            "the account is somebody else's now",
            Whole(|s| {
                s.ask_for_consent();
                s.op.person = PersonRule::Claims(vec!["person".into()]);
                s.operation["subject"]["properties"]["claims"]["person"] = json!("p-mara");
                s.rebuilt = Some(s.operation.clone());
                s.edit = SignIn(|t| t.claims["person"] = json!("p-otto"));
            }),
            None,
        ),
        (
            Check::SignInTimeThere,
            "when they signed in is not said",
            stepped!(SignIn, |t| without(t, "auth_time")),
            None,
        ),
        (
            Check::SignInAfterVote,
            "a refresh that echoes the nonce",
            stepped!(SignIn, |t| {
                t.claims["auth_time"] = json!(NOW.0 - 36);
            }),
            None,
        ),
        (
            Check::SignInInTime,
            "a step-up after the vote had expired",
            stepped!(SignIn, |t| {
                t.claims["auth_time"] = json!(NOW.0 + 31);
            }),
            None,
        ),
        (
            Check::SignInNotFuture,
            "a step-up after its token",
            stepped!(SignIn, |t| {
                t.claims["iat"] = json!(NOW.0 - 60);
                t.claims["auth_time"] = json!(NOW.0 + 1);
            }),
            None,
        ),
        (
            Check::AcrThere,
            "no level",
            stepped!(SignIn, |t| without(t, "acr")),
            None,
        ),
        (
            Check::AcrRight,
            "a lower level",
            stepped!(SignIn, |t| t.claims["acr"] = json!("urn:example:pwd")),
            None,
        ),
        (
            Check::AcrMayBeAsserted,
            "a level that this provider may not assert",
            Whole(|s| {
                s.ask_for_consent();
                s.op.acrs_allowed = Some(BTreeSet::from(["urn:example:pwd".to_owned()]));
            }),
            None,
        ),
        (
            Check::ConsentThere,
            "no consent",
            Whole(|s| {
                s.ask_for_consent();
                s.edit = Evidence(|e| {
                    if let Some(StepUpEvidence::Oidc { access_token, .. }) = &mut e.votes[0].step_up
                    {
                        *access_token = None;
                    }
                });
            }),
            None,
        ),
        (
            Check::ConsentType,
            "an ID token as consent",
            stepped!(Consent, |t| t.header["typ"] = json!("JWT")),
            None,
        ),
        (
            Check::ConsentSubject,
            "consent by another person",
            stepped!(Consent, |t| t.claims["sub"] = json!("jonas")),
            None,
        ),
        (
            Check::ConsentClient,
            "consent to another program",
            stepped!(Consent, |t| {
                t.claims["client_id"] = json!("other-client");
            }),
            None,
        ),
        (
            Check::ConsentAudience,
            "consent for another resource",
            stepped!(Consent, |t| {
                t.claims["aud"] = json!([
                    "https://countersign.example/step-up",
                    "https://orders.example"
                ]);
            }),
            None,
        ),
        (
            Check::ConsentAfterVote,
            "consent from before the vote",
            stepped!(Consent, |t| {
                t.claims["iat"] = json!(NOW.0 - 36);
            }),
            None,
        ),
        (
            Check::ConsentNotFuture,
            "consent of tomorrow",
            stepped!(Consent, |t| {
                t.claims["nbf"] = json!(NOW.0 + 61);
            }),
            None,
        ),
        (
            Check::ConsentInTime,
            "consent to a vote that had expired",
            Whole(|s| {
                s.ask_for_consent();
                s.now = NOW + 80;
                s.edit = Consent(|t| {
                    t.claims["iat"] = json!(NOW.0 + 95);
                    t.claims["exp"] = json!(NOW.0 + 200);
                });
            }),
            None,
        ),
        (
            Check::ConsentTimes,
            "consent that never held",
            stepped!(Consent, |t| {
                t.claims["exp"] = t.claims["iat"].clone();
            }),
            None,
        ),
        (
            Check::ConsentScope,
            "consent for another scope",
            stepped!(Consent, |t| {
                t.claims["scope"] = json!("openid approve:orders.delete.all approve:orders");
            }),
            None,
        ),
        (
            Check::ConsentHash,
            "consent that came with another sign-in",
            stepped!(SignIn, |t| {
                t.claims["at_hash"] = json!(b64u(&[0; 16]));
            }),
            None,
        ),
        (
            Check::ConsentTied,
            "any consent of this person",
            Whole(|s| {
                s.ask_for_consent();
                s.tie = Tie::Neither;
            }),
            None,
        ),
        (
            Check::ConsentOnce,
            "one consent for two votes",
            Whole(|s| {
                s.ask_for_consent();
                s.one_consent_key = true;
            }),
            None,
        ),
        (
            Check::AuthenticatorKnown,
            "a key that the sign-in does not name",
            touched!(|a| a.key = "x".into()),
            None,
        ),
        (
            Check::AssertionType,
            "a registration",
            touched!(|a| a.client_data["type"] = json!("webauthn.create")),
            None,
        ),
        (
            Check::AssertionChallenge,
            "a replayed touch, for another vote",
            touched!(|a| {
                a.client_data["challenge"] = json!(crate::documents::step_up_nonce("another vote"));
            }),
            None,
        ),
        (
            Check::AssertionOrigin,
            "a web page asked",
            touched!(|a| {
                a.client_data["origin"] = json!("https://countersign.example");
            }),
            None,
        ),
        (
            Check::AssertionCrossOrigin,
            "a page inside another asked",
            touched!(|a| {
                a.client_data["crossOrigin"] = json!(true);
            }),
            None,
        ),
        (
            Check::AssertionRelyingParty,
            "a credential for another party",
            touched!(|a| a.rp_id = "other.example".into()),
            None,
        ),
        (
            Check::AssertionPresence,
            "malware asked a key that was plugged in",
            touched!(|a| a.flags = 0x04),
            None,
        ),
        (
            Check::AssertionVerified,
            "whoever found the key",
            touched!(|a| a.flags = 0x01),
            None,
        ),
        (
            Check::AssertionSignature,
            "another authenticator",
            touched!(|a| {
                a.signer = SecretKey::generate_es256([99; 32]);
            }),
            None,
        ),
        (
            Check::StepUpAsked,
            "a step-up that nobody looks at",
            Evidence(|e| e.votes[0].step_up = Some(garbage())),
            None,
        ),
    ]
}

fn people() -> Vec<Row> {
    vec![
        (
            Check::RoleApprover,
            "a provider of requesters only",
            Whole(|s| {
                s.op.roles.remove(&OpRole::Approver);
            }),
            None,
        ),
        (
            Check::ClaimsSubject,
            "somebody else's groups",
            Whole(|s| {
                s.people[0].claims_token = Some(s.id_token(&s.people[1], "same", NOW - 40));
            }),
            None,
        ),
        (
            Check::ClaimsNewer,
            "groups of yesterday",
            Whole(|s| {
                s.people[0].claims_token = Some(s.id_token(&s.people[0], "same", NOW - 190 - 61));
            }),
            None,
        ),
        (
            Check::ClaimsFresh,
            "old claims at the vote",
            Whole(|s| s.ask_for(|r| r.fresh_claims_secs = 159)),
            None,
        ),
        (
            Check::ClaimsFreshNow,
            "old claims at the release",
            Whole(|s| s.ask_for(|r| r.release_claims_secs = Some(189))),
            None,
        ),
        (
            Check::NotRequester,
            "the requester votes",
            Whole(|s| s.people[0].sub = "mara"),
            None,
        ),
        (
            Check::NotRequester,
            "the requester's other account votes",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["person".into()]);
                s.operation["subject"]["properties"]["claims"]["person"] = json!("p-elin");
                s.rebuilt = Some(s.operation.clone());
            }),
            None,
        ),
        (
            Check::RequesterKnown,
            "who asked cannot be told from who votes",
            Whole(|s| {
                s.ask_for(|r| r.approvals = 1);
                s.people.truncate(1);
                s.op.person = PersonRule::Unknown;
            }),
            None,
        ),
        (
            Check::IsRequester,
            "somebody else confirms",
            Whole(|s| {
                s.ask_for_confirmation();
                s.people[0].sub = "elin";
            }),
            None,
        ),
        (
            Check::MayVote,
            "not in the group",
            IdToken(|t| t.claims["groups"] = json!([])),
            None,
        ),
        (
            Check::MayVote,
            "a group that this provider may not assert",
            Whole(|s| {
                s.op.groups_allowed = Some(BTreeSet::from(["orders-dev".to_owned()]));
            }),
            None,
        ),
        (
            Check::MayVote,
            "not in this stage's group",
            Whole(|s| {
                s.ask_in_stages();
                s.people.swap(0, 1);
                s.people[0].stage = Some("team");
                s.people[1].stage = Some("security");
            }),
            None,
        ),
        (
            Check::Once,
            "one person on two devices",
            Whole(|s| s.people[1].sub = "elin"),
            None,
        ),
        (
            Check::Once,
            "one person with two accounts",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["name".into()]);
                s.edit = IdToken(|t| t.claims["name"] = json!("jonas"));
            }),
            None,
        ),
        (
            Check::Once,
            "one person in two stages",
            Whole(|s| {
                s.ask_in_stages();
                s.people[0].sub = "jonas";
            }),
            None,
        ),
        (
            Check::Quorum,
            "one vote of two",
            Whole(|s| drop(s.people.pop())),
            None,
        ),
        (
            Check::StageQuorum,
            "two of the team, none of security",
            Whole(|s| {
                s.ask_in_stages();
                s.people[1].stage = Some("team");
            }),
            None,
        ),
    ]
}

/// As a gate judges it; only of this, what the check's absence lets through.
fn with(off: Option<Check>, run: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    OFF.set(off);
    let result = run();
    OFF.set(None);
    result
}

#[test]
fn each_check_taken_away_lets_an_attack_through() {
    let mut seen = BTreeSet::new();
    let rows = [
        sameness(),
        requirement(),
        votes(),
        bindings(),
        step_up(),
        people(),
    ];
    for (check, name, edit, code) in rows.into_iter().flatten() {
        let scene = Scene::with(edit);
        let evidence = scene.evidence();
        let released = || scene.release(&evidence).map(drop);
        let number = check.number();
        let refusal = with(None, released)
            .err()
            .unwrap_or_else(|| panic!("{number} {check:?}, {name}: released"));
        let expected = code.unwrap_or(check.code());
        assert_eq!(
            refusal.code, expected,
            "{number} {check:?}, {name}: {refusal}"
        );
        if let Err(refusal) = with(Some(check), released) {
            panic!("{number} {check:?}, {name}: without the check still refused, {refusal}");
        }
        seen.insert(check);
    }
    for (check, name, scene, before) in casts() {
        let evidence = scene.evidence();
        let open = read_request_bundle(
            &evidence.request_jws,
            &evidence.ask_jws,
            &b64u_decode(&evidence.operation_b64).unwrap(),
            &scene.server,
            &scene.server_keys,
            std::slice::from_ref(&scene.pep),
        )
        .unwrap();
        let cast = || {
            let challenge = Some("challenge-elin");
            let (vote, trust) = (&evidence.votes[0], scene.trust());
            verify_vote(vote, &open, &trust, &before, challenge, scene.now).map(drop)
        };
        let refusal = with(None, cast).unwrap_err();
        assert_eq!(refusal.code, check.code(), "{check:?}, {name}: {refusal}");
        if let Err(refusal) = with(Some(check), cast) {
            panic!("{check:?}, {name}: without the check still refused, {refusal}");
        }
        seen.insert(check);
    }
    let idle: Vec<_> = Check::ALL
        .iter()
        .filter(|check| !seen.contains(check))
        .collect();
    assert!(idle.is_empty(), "no row shows what these are for: {idle:?}");
    let numbers: BTreeSet<_> = Check::ALL.iter().map(|check| check.number()).collect();
    assert_eq!(numbers.len(), Check::ALL.len());
}

/// What only a vote that is being cast can do wrong.
fn casts() -> Vec<(Check, &'static str, Scene, Vec<Before>)> {
    let late = |now: UnixSecs, edit| {
        let mut scene = Scene::with(edit);
        scene.now = now;
        scene
    };
    let stranger = Before {
        digest: Digest::of(b"x"),
        person: Person::Claims([("oid".to_owned(), "1".to_owned())].into()),
        stage: None,
    };
    vec![
        (
            Check::Challenge,
            "a vote on a card of long ago",
            Scene::with(Vote(|v| v.nonce = "challenge-jonas".into())),
            Vec::new(),
        ),
        (
            Check::RequestOpen,
            "a vote on a request that has expired",
            late(NOW + 802, Vote(|v| v.exp = NOW + 801)),
            Vec::new(),
        ),
        (
            Check::VoteNotExpired,
            "a vote that has expired",
            late(NOW + 91, Edit::Nothing),
            Vec::new(),
        ),
        (
            Check::VotersKnown,
            "perhaps a second account of who voted before",
            Scene::new(),
            vec![stranger],
        ),
    ]
}

#[test]
fn what_is_asked_for_and_given_is_released() {
    let honest: [(&str, Edit); 8] = [
        ("plain", Edit::Nothing),
        ("a sign-in bound to the device", IdToken(bind_to_device)),
        (
            "one that has to be",
            Whole(|s| {
                s.op.key_binding = KeyBinding::Required;
                s.people.truncate(1);
                s.requirement.approvals = 1;
                s.ask_for(|r| r.approvals = 1);
                s.edit = IdToken(bind_to_device);
            }),
        ),
        ("consent, tied by a key", Whole(Scene::ask_for_consent)),
        (
            "consent, tied by at_hash",
            Whole(|s| {
                s.ask_for_consent();
                s.tie = Tie::AtHash;
            }),
        ),
        (
            "a security key",
            Whole(|s| s.ask_for(|r| r.step_up = StepUp::Webauthn)),
        ),
        ("two stages", Whole(Scene::ask_in_stages)),
        ("self-confirmation", Whole(Scene::ask_for_confirmation)),
    ];
    for (name, edit) in honest {
        let scene = Scene::with(edit);
        let verified = scene.release(&scene.evidence());
        assert!(verified.is_ok_and(|it| it.complete()), "{name}");
    }
}
