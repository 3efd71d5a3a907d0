//! `step-up.json`: approvals with a step-up, in stages, and by the requester in person, and the ways to cheat.

use countersign_evidence::SecretKey;
use countersign_evidence::op_token::{OpStepUp, PersonRule};
use countersign_evidence::verify::StepUpEvidence;
use countersign_model::{Digest, StepUp, b64u};
use serde_json::{Value, json};

use crate::common::Edit::{self, Assertion, Consent, Evidence, Scene as Whole, SignIn};
use crate::common::{self, NOW, Scene, Tie};
use crate::compare;
use crate::grant::{release, trust};

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

fn good() -> Vec<(&'static str, Edit)> {
    vec![
        (
            "consent, tied by the vote's own key",
            Whole(Scene::ask_for_consent),
        ),
        (
            "consent, tied by at_hash",
            Whole(|s| {
                s.ask_for_consent();
                s.tie = Tie::AtHash;
            }),
        ),
        (
            "a sign-in alone",
            Whole(|s| s.ask_for(|r| r.step_up = StepUp::Oidc)),
        ),
        (
            "a security key, ES256",
            Whole(|s| s.ask_for(|r| r.step_up = StepUp::Webauthn)),
        ),
        (
            "a security key, Ed25519",
            Whole(|s| {
                s.ask_for(|r| r.step_up = StepUp::Webauthn);
                s.people[0].authenticator = SecretKey::generate([61; 32]);
            }),
        ),
        ("a passkey on several devices", touched!(|a| a.flags = 0x1d)),
        ("two stages", Whole(Scene::ask_in_stages)),
        ("self-confirmation", Whole(Scene::ask_for_confirmation)),
        (
            "a time with parts of a second",
            stepped!(SignIn, |t| {
                t.claims["auth_time"] = json!(1_795_331_678.75);
            }),
        ),
        (
            "a sign-in 5 seconds before the vote, by the provider's clock",
            stepped!(SignIn, |t| {
                t.claims["auth_time"] = json!(NOW.0 - 35);
            }),
        ),
    ]
}

fn bad() -> Vec<(&'static str, Edit)> {
    vec![
        (
            "no step-up",
            Whole(|s| {
                s.ask_for_consent();
                s.edit = Evidence(|e| e.votes[0].step_up = None);
            }),
        ),
        (
            "a sign-in where a security key is asked for",
            Whole(|s| {
                s.ask_for(|r| r.step_up = StepUp::Webauthn);
                s.edit = Evidence(|e| {
                    e.votes[0].step_up = Some(StepUpEvidence::Oidc {
                        id_token: "e30.e30.AA".into(),
                        access_token: None,
                    });
                });
            }),
        ),
        (
            "a level without a sign-in",
            Whole(|s| s.ask_for(|r| r.acr = Some("mfa".into()))),
        ),
        (
            "self-confirmation without step-up",
            Whole(|s| {
                s.ask_for_confirmation();
                s.ask_for(|r| r.step_up = StepUp::None);
            }),
        ),
        (
            "a provider that cannot",
            Whole(|s| {
                s.ask_for_consent();
                s.op.step_up = OpStepUp::None {
                    why_not: "It forces no fresh sign-in.".into(),
                };
            }),
        ),
        (
            "the sign-in's own ID token again",
            Whole(|s| {
                s.ask_for(|r| r.step_up = StepUp::Oidc);
                s.edit = Evidence(|e| {
                    let id_token = e.votes[0].id_token.clone().unwrap();
                    e.votes[0].step_up = Some(StepUpEvidence::Oidc {
                        id_token,
                        access_token: None,
                    });
                });
            }),
        ),
        (
            "the other voter's step-up",
            Whole(|s| {
                s.ask_for(|r| r.step_up = StepUp::Oidc);
                s.edit = Evidence(|e| e.votes[0].step_up = e.votes[1].step_up.clone());
            }),
        ),
        ("a forged ID token", stepped!(SignIn, |t| t.signer = 51)),
        (
            "a key that I never saw",
            stepped!(SignIn, |t| t.header["kid"] = json!("op-2")),
        ),
        (
            "an ID token for another client",
            stepped!(SignIn, |t| t.claims["aud"] = json!("countersign-cli")),
        ),
        (
            "an ID token of another provider",
            stepped!(SignIn, |t| t.claims["iss"] = json!("https://other.example")),
        ),
        (
            "an access token as ID token",
            stepped!(SignIn, |t| t.header["typ"] = json!("at+jwt")),
        ),
        (
            "step-up by another person",
            stepped!(SignIn, |t| t.claims["sub"] = json!("otto")),
        ),
        (
            "the account is somebody else's now",
            Whole(|s| {
                s.ask_for_consent();
                s.op.person = PersonRule::Claims(vec!["person".into()]);
                s.operation["subject"]["properties"]["claims"]["person"] = json!("p-mara");
                s.rebuilt = Some(s.operation.clone());
                s.edit = SignIn(|t| t.claims["person"] = json!("p-otto"));
            }),
        ),
        (
            "no auth_time",
            stepped!(SignIn, |t| drop(
                t.claims.as_object_mut().unwrap().remove("auth_time")
            )),
        ),
        (
            "auth_time zero",
            stepped!(SignIn, |t| t.claims["auth_time"] = json!(0)),
        ),
        (
            "a sign-in 6 seconds before the vote",
            stepped!(SignIn, |t| t.claims["auth_time"] = json!(NOW.0 - 36)),
        ),
        (
            "a sign-in after the vote had expired",
            stepped!(SignIn, |t| t.claims["auth_time"] = json!(NOW.0 + 31)),
        ),
        (
            "no level",
            stepped!(SignIn, |t| drop(
                t.claims.as_object_mut().unwrap().remove("acr")
            )),
        ),
        (
            "another level",
            stepped!(SignIn, |t| t.claims["acr"] = json!("urn:example:pwd")),
        ),
        (
            "a level that this provider may not assert",
            Whole(|s| {
                s.ask_for_consent();
                s.op.acrs_allowed = Some(["urn:example:pwd".to_owned()].into());
            }),
        ),
        (
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
        ),
        ("consent forged", stepped!(Consent, |t| t.signer = 51)),
        (
            "an ID token as consent",
            stepped!(Consent, |t| t.header["typ"] = json!("JWT")),
        ),
        (
            "consent by another person",
            stepped!(Consent, |t| t.claims["sub"] = json!("jonas")),
        ),
        (
            "consent to another client",
            stepped!(Consent, |t| t.claims["client_id"] =
                json!("countersign-cli")),
        ),
        (
            "consent for an API too",
            stepped!(Consent, |t| {
                t.claims["aud"] = json!([
                    "https://countersign.example/step-up",
                    "https://orders.example"
                ]);
            }),
        ),
        (
            "consent for another scope",
            stepped!(Consent, |t| {
                t.claims["scope"] = json!("openid approve:orders.delete.all approve:orders");
            }),
        ),
        (
            "consent declined",
            stepped!(Consent, |t| drop(
                t.claims.as_object_mut().unwrap().remove("scope")
            )),
        ),
        (
            "consent from before the vote",
            stepped!(Consent, |t| t.claims["iat"] = json!(NOW.0 - 36)),
        ),
        (
            "consent to a vote that had expired",
            Whole(|s| {
                s.ask_for_consent();
                s.now = common::NOW + 80;
                s.edit = Consent(|t| {
                    t.claims["iat"] = json!(common::NOW.0 + 95);
                    t.claims["exp"] = json!(common::NOW.0 + 200);
                });
            }),
        ),
        (
            "consent of tomorrow",
            stepped!(Consent, |t| t.claims["nbf"] = json!(NOW.0 + 61)),
        ),
        (
            "consent bound to another key",
            stepped!(Consent, |t| {
                t.claims["cnf"] = json!({"jkt": Digest::of(b"another vote's").to_string()});
            }),
        ),
        (
            "consent that nothing ties to the vote",
            Whole(|s| {
                s.ask_for_consent();
                s.tie = Tie::Neither;
            }),
        ),
        (
            "an at_hash of another access token",
            stepped!(SignIn, |t| t.claims["at_hash"] = json!(b64u(&[0; 16]))),
        ),
        (
            "one key for two votes' consent",
            Whole(|s| {
                s.ask_for_consent();
                s.one_consent_key = true;
            }),
        ),
        (
            "a step-up that nobody asked for",
            Evidence(|e| {
                e.votes[0].step_up = Some(StepUpEvidence::Oidc {
                    id_token: "e30.e30.AA".into(),
                    access_token: None,
                });
            }),
        ),
        (
            "an authenticator that the binding does not name",
            touched!(|a| {
                a.signer = SecretKey::generate_es256([99; 32]);
                a.key = a.signer.public().thumbprint();
            }),
        ),
        (
            "another authenticator's signature",
            touched!(|a| a.signer = SecretKey::generate_es256([99; 32])),
        ),
        (
            "a registration",
            touched!(|a| a.client_data["type"] = json!("webauthn.create")),
        ),
        (
            "a touch for another vote",
            touched!(|a| a.client_data["challenge"] = json!(b64u(&[0; 32]))),
        ),
        (
            "a web page's origin",
            touched!(|a| a.client_data["origin"] = json!("https://countersign.example")),
        ),
        (
            "another server's origin",
            touched!(|a| a.client_data["origin"] = json!("countersign:https://other.example")),
        ),
        (
            "from inside another page",
            touched!(|a| a.client_data["crossOrigin"] = json!(true)),
        ),
        (
            "crossOrigin as text",
            touched!(|a| a.client_data["crossOrigin"] = json!("false")),
        ),
        (
            "one member more",
            touched!(|a| a.client_data["topOrigin"] = json!("https://evil.example")),
        ),
        (
            "another relying party",
            touched!(|a| a.rp_id = "other.example".into()),
        ),
        ("nobody touched it", touched!(|a| a.flags = 0x04)),
        ("nobody was verified", touched!(|a| a.flags = 0x01)),
        ("a reserved flag", touched!(|a| a.flags = 0x07)),
        (
            "attested data that are not there",
            touched!(|a| a.flags = 0x45),
        ),
        ("backed up and not eligible", touched!(|a| a.flags = 0x15)),
        (
            "extensions",
            touched!(|a| {
                a.flags = 0x85;
                a.more = vec![0xa0];
            }),
        ),
        (
            "a vote in a stage that is not the requirement's",
            Whole(|s| {
                s.ask_in_stages();
                s.people[0].stage = Some("board");
            }),
        ),
        (
            "a vote without a stage where there are stages",
            Whole(|s| {
                s.ask_in_stages();
                s.people[0].stage = None;
            }),
        ),
        (
            "a second stage on nothing",
            Whole(|s| {
                s.ask_in_stages();
                s.prior_edit = Some(Vec::clear);
            }),
        ),
        (
            "a second stage on a vote that is not there",
            Whole(|s| {
                s.ask_in_stages();
                s.prior_edit = Some(|prior| prior.push(Digest::of(b"x")));
            }),
        ),
        (
            "two votes of the first stage, none of the second",
            Whole(|s| {
                s.ask_in_stages();
                s.people[1].stage = Some("team");
            }),
        ),
        (
            "one person in two stages",
            Whole(|s| {
                s.ask_in_stages();
                s.people[0].sub = "jonas";
            }),
        ),
        (
            "somebody else confirms",
            Whole(|s| {
                s.ask_for_confirmation();
                s.people[0].sub = "elin";
            }),
        ),
        (
            "the requester's other account approves",
            Whole(|s| {
                s.op.person = PersonRule::Claims(vec!["person".into()]);
                s.operation["subject"]["properties"]["claims"]["person"] = json!("p-elin");
                s.rebuilt = Some(s.operation.clone());
            }),
        ),
        (
            "people who cannot be told apart",
            Whole(|s| {
                s.ask_for(|r| r.approvals = 1);
                s.people.truncate(1);
                s.op.person = PersonRule::Unknown;
            }),
        ),
        (
            "a provider of requesters only",
            Whole(|s| {
                s.op.roles.clear();
            }),
        ),
    ]
}

#[test]
fn step_up_vectors() {
    let good: Vec<Value> = good()
        .into_iter()
        .map(|(name, edit)| {
            let scene = Scene::with(edit);
            let evidence = scene.evidence();
            scene
                .release(&evidence)
                .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
            json!({"name": name, "evidence": evidence.to_value(), "release": release(&scene), "trust": trust(&scene)})
        })
        .collect();
    let bad: Vec<Value> = bad()
        .into_iter()
        .map(|(name, edit)| {
            let scene = Scene::with(edit);
            let evidence = scene.evidence();
            let Err(refusal) = scene.release(&evidence) else {
                panic!("{name}: released")
            };
            json!({"name": name, "evidence": evidence.to_value(), "release": release(&scene), "trust": trust(&scene),
                "step": refusal.step.number(), "code": refusal.code})
        })
        .collect();
    compare(
        "step-up.json",
        &json!({"spec": "step-up.md", "jwks": common::op_jwks(50), "good": good, "bad": bad}),
    );
}
