//! A server that has been taken over: it holds its own key (`rk`) and says whatever it likes. The gate releases
//! nothing, and names the step that does not hold.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use countersign_api::ipc::Choice;
use countersign_evidence::{Grant, GrantVote, Request, SecretKey, Statement, Vote, jws_digest};
use countersign_model::{Digest, b64u, b64u_decode};
use countersign_tests::paths;
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use serde_json::{Value, json};

const RESULT: &str = "result";
const EVIDENCE: &str = "https://countersign.dev/arap/evidence";

/// Payload of a JWS, without asking whose it is: a liar does not care.
fn payload(jws: &str) -> Value {
    serde_json::from_slice(&b64u_decode(jws.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What the one who took the server over can sign.
struct Liar {
    rk: SecretKey,
}

impl Liar {
    fn of(world: &World) -> Self {
        let jwk = std::fs::read_to_string(world.setup.path("server-state/rk.jwk")).unwrap();
        Self {
            rk: SecretKey::from_jwk(&serde_json::from_str(&jwk).unwrap()).unwrap(),
        }
    }

    /// Makes the grant say what request and votes say now, so that only the forgery itself can be what is found.
    fn grant_anew(&self, evidence: &mut Value) {
        let mut grant = Grant::from_value(&payload(&text(&evidence["grant"]))).unwrap();
        grant.request_jws_digest = jws_digest(&text(&evidence["request_jws"]));
        grant.votes = evidence["votes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|vote| {
                let jws = text(&vote["jws"]);
                let read = Vote::from_value(&payload(&jws)).unwrap();
                GrantVote {
                    digest: jws_digest(&jws),
                    subject: read.sub_id,
                    binding_id: read.binding_id,
                }
            })
            .collect();
        evidence["grant"] = json!(grant.sign(&self.rk));
    }
}

/// Mara asks, everybody needed approves, and the honest evidence goes through the liar's hands before the gate has it.
async fn with_changed_evidence(
    change: impl Fn(&World, &Liar, &mut Value) + Send + Sync + 'static,
) -> Answer {
    let world = Arc::new(World::start_behind_wire().await.unwrap());
    let liar = Liar::of(&world);
    let weak = Arc::downgrade(&world);
    world.wire.as_ref().unwrap().lie(move |_, mut answer| {
        let Some(world) = weak.upgrade() else {
            return answer;
        };
        if let Some(evidence) = answer
            .get_mut(RESULT)
            .and_then(|result| result.get_mut(EVIDENCE))
            && evidence.is_object()
        {
            change(&world, &liar, evidence);
        }
        answer
    });
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world
        .asks("mara", Method::DELETE, "/customers/42")
        .await
        .unwrap();
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    let answer = held.await.unwrap().unwrap();
    assert!(world.received().await.unwrap().is_empty(), "{answer:?}");
    assert_ne!(answer.status, 200);
    answer
}

fn step(answer: &Answer) -> &str {
    answer.body["step"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn through_an_honest_wire_it_is_released() {
    let world = World::start_behind_wire().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let held = world
        .asks("mara", Method::DELETE, "/customers/42")
        .await
        .unwrap();
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn true_for_everything_releases_nothing() {
    let world = World::start_behind_wire().await.unwrap();
    world.wire.as_ref().unwrap().lie(|_, mut answer| {
        if answer.get("decision").is_some() {
            answer = json!({ "decision": true, "context": { "redeemed": true } });
        }
        if answer.get("status").is_some_and(Value::is_string) && answer.get("links").is_some() {
            answer["status"] = json!("approved");
            answer[RESULT] = json!({
                "mode": "reevaluate",
                "approval": { "id": answer["id"], "approved_at": 0, "approved_until": 4_000_000_000_i64 },
            });
        }
        answer
    });
    let held = world
        .asks("mara", Method::DELETE, "/customers/42")
        .await
        .unwrap();
    let answer = held.await.unwrap().unwrap();
    assert_ne!(answer.status, 200, "{answer:?}");
    assert!(!step(&answer).is_empty(), "{answer:?}");
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_signed_by_another_key_is_found() {
    let answer = with_changed_evidence(|_, liar, evidence| {
        // The same vote, under the same key's name, by a key of the liar's.
        let jws = text(&evidence["votes"][1]["jws"]);
        let forged = Vote::from_value(&payload(&jws))
            .unwrap()
            .sign(&SecretKey::generate([7; 32]));
        let parts: Vec<&str> = jws.split('.').collect();
        let signature = forged.rsplit('.').next().unwrap();
        evidence["votes"][1]["jws"] = json!(format!("{}.{}.{signature}", parts[0], parts[1]));
        liar.grant_anew(evidence);
    })
    .await;
    assert_eq!(step(&answer), "votes", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_key_that_no_provider_vouches_for_is_found() {
    let answer = with_changed_evidence(|_, liar, evidence| {
        forge_second_voter(evidence);
        liar.grant_anew(evidence);
    })
    .await;
    assert_eq!(step(&answer), "bindings", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_by_the_servers_own_provider_key_is_found() {
    let answer = with_changed_evidence(|_, liar, evidence| {
        let nonce = forge_second_voter(evidence);
        let genuine = text(&evidence["votes"][1]["id_token"]);
        let header = b64u_decode(genuine.split('.').next().unwrap()).unwrap();
        let mut claims = payload(&genuine);
        claims["nonce"] = json!(nonce);
        let forged = std::process::Command::new("node")
            .arg(paths::node_program("forge.mjs"))
            .arg(String::from_utf8(header).unwrap())
            .arg(claims.to_string())
            .output()
            .unwrap();
        evidence["votes"][1]["id_token"] = json!(String::from_utf8(forged.stdout).unwrap().trim());
        liar.grant_anew(evidence);
    })
    .await;
    assert_eq!(step(&answer), "bindings", "{answer:?}");
}

/// The second vote, as by a device of the liar's own: everything but the provider's signature fits. The nonce that the
/// provider would have had to sign.
fn forge_second_voter(evidence: &mut Value) -> String {
    let dk = SecretKey::generate([9; 32]);
    let vote = evidence["votes"][1].clone();
    let mut statement = Statement::from_bytes(&b64u_decode(&text(&vote["cic"])).unwrap()).unwrap();
    statement.key = dk.public();
    let mut forged = Vote::from_value(&payload(&text(&vote["jws"]))).unwrap();
    forged.key_thumbprint = Digest::parse(&dk.public().thumbprint()).unwrap();
    forged.binding_id = statement.id();
    evidence["votes"][1]["cic"] = json!(b64u(&statement.to_bytes()));
    evidence["votes"][1]["jws"] = json!(forged.sign(&dk));
    if let Some(vote) = evidence["votes"][1].as_object_mut() {
        vote.remove("claims_token");
    }
    statement.nonce()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_vote_counted_as_two_is_found() {
    let answer = with_changed_evidence(|_, liar, evidence| {
        evidence["votes"].as_array_mut().unwrap().pop();
        liar.grant_anew(evidence);
    })
    .await;
    assert_eq!(step(&answer), "people", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_requirement_is_found() {
    // The liar even has a voter who signs the lowered request: the policy of the gate itself is what stands against it.
    let keys: Arc<Mutex<Vec<SecretKey>>> = Arc::default();
    let voter = Arc::clone(&keys);
    let world = Arc::new(World::start_behind_wire().await.unwrap());
    let liar = Liar::of(&world);
    world.wire.as_ref().unwrap().lie(move |_, mut answer| {
        if let Some(evidence) = answer
            .get_mut(RESULT)
            .and_then(|result| result.get_mut(EVIDENCE))
            && evidence.is_object()
        {
            let mut request =
                Request::from_value(&payload(&text(&evidence["request_jws"]))).unwrap();
            request.requirement.approvals = 1;
            evidence["request_jws"] = json!(request.sign(&liar.rk));
            evidence["votes"].as_array_mut().unwrap().truncate(1);
            let mut vote = Vote::from_value(&payload(&text(&evidence["votes"][0]["jws"]))).unwrap();
            vote.request_jws_digest = jws_digest(&text(&evidence["request_jws"]));
            evidence["votes"][0]["jws"] = json!(vote.sign(&voter.lock().unwrap()[0]));
            liar.grant_anew(evidence);
        }
        answer
    });
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    keys.lock().unwrap().push(elin.device_key().unwrap());
    let held = world
        .asks("mara", Method::DELETE, "/customers/42")
        .await
        .unwrap();
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    let answer = held.await.unwrap().unwrap();
    assert_eq!(step(&answer), "requirement", "{answer:?}");
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_approval_of_another_operation_is_found() {
    let world = World::start_behind_wire().await.unwrap();
    let approved: Arc<Mutex<Option<Value>>> = Arc::default();
    let kept = Arc::clone(&approved);
    // What was approved for one customer is handed out for the other.
    world.wire.as_ref().unwrap().lie(move |_, mut answer| {
        if let Some(result) = answer
            .get(RESULT)
            .filter(|result| result.get(EVIDENCE).is_some())
        {
            kept.lock().unwrap().get_or_insert_with(|| result.clone());
        }
        if answer.get("links").is_some()
            && let Some(result) = &*kept.lock().unwrap()
        {
            answer["status"] = json!("approved");
            answer[RESULT] = result.clone();
        }
        answer
    });
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let first = world.held(world.call(Method::DELETE, "/customers/41", &token));
    elin.vote(Choice::Approve, None, None).await.unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!(first.await.unwrap().unwrap().status, 200);
    let second = world.held(world.call(Method::DELETE, "/customers/42", &token));
    let answer = second.await.unwrap().unwrap();
    assert!(
        ["operation", "sameness"].contains(&step(&answer)),
        "{answer:?}"
    );
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/41"]);
}
