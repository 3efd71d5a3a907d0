//! The main path, and what is kept of it.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::op_token::{OpConfig, OpKeys};
use countersign_evidence::verify::{Release, Trust, TrustedOp, verify};
use countersign_evidence::{Choice, Evidence, PublicKey};
use countersign_model::PepId;
use reqwest::Method;
use serde_json::{Value, json};
use world::{Answer, World, key};

#[tokio::test]
async fn two_approve_and_the_gate_redeems_once() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);

    // What needs no approval, and what is never allowed.
    assert_eq!(
        gate.evaluate(&world.operation("orders.customers.read"))
            .await
            .is(200),
        json!({"decision": true})
    );
    let never = gate
        .evaluate(&world.operation("orders.customers.purge"))
        .await
        .is(200);
    assert_eq!(
        (&never["decision"], &never["context"]["reason"]),
        (&json!(false), &json!("policy_denied"))
    );

    // A requestable denial, and the request that answers it.
    let operation = world.operation("orders.customers.delete");
    let denial = gate.evaluate(&operation).await.is(200);
    let asked = &denial["context"]["access_request"];
    assert_eq!(denial["decision"], false);
    assert_eq!(asked["endpoint"], world.url("/access/v1/requests"));
    let ask = gate.ask(&operation, 2).sign(&key("orders-gate"));
    let mut body = world::gate::Gate::submission(&operation, &ask);
    body["denial"] = json!({ "evaluation_id": asked["evaluation_id"] });
    let task = gate.submit_as(&body, "key-1").await.is(202);
    let txn = task["id"].as_str().unwrap();
    let progress = |task: &Value| task["https://countersign.dev/arap/progress"].clone();
    assert_eq!(progress(&task)["needed"], 2);
    assert_eq!(progress(&task)["who_may_vote"], "database approvers");

    // Both see it, with the same words; nobody else does.
    let list = elin.get(&world, "/approver/v1/requests").await.is(200);
    assert_eq!(list["requests"][0]["txn"], txn);
    assert!(list["requests"][0]["challenge"].is_string());
    let otto = world.sign_in("otto").await;
    assert_eq!(
        otto.get(&world, "/approver/v1/requests").await.is(200)["requests"],
        json!([])
    );
    otto.get(&world, &format!("/approver/v1/requests/{txn}"))
        .await
        .refused(404, "not_found");

    let first = elin.vote(&world, txn, Choice::Approve).await.is(200);
    assert_eq!(
        first,
        json!({"state": "pending", "approvals": 1, "needed": 2})
    );
    let task = gate.task(txn).await.is(200);
    assert_eq!(progress(&task)["approved_by"], json!(["elin the tester"]));
    let early = gate.redeem(&operation, txn, "r1").await.is(200);
    assert_eq!(
        (&early["decision"], &early["context"]["reason"]),
        (&json!(false), &json!("approval_pending"))
    );
    let second = jonas.vote(&world, txn, Choice::Approve).await.is(200);
    assert_eq!(
        second,
        json!({"state": "approved", "approvals": 2, "needed": 2})
    );

    // The evidence holds by the gate's own verification.
    let task = gate.task(txn).await.is(200);
    assert_eq!(task["status"], "approved");
    let evidence = &task["result"]["https://countersign.dev/arap/evidence"];
    let evidence = Evidence::from_value(evidence).unwrap();
    verify_as_gate(&world, &evidence, &operation).await;

    // Once, and the same again is the same.
    let other = world.operation("orders.customers.delete");
    let swapped = gate.redeem(&other, txn, "r1").await.is(200);
    assert_eq!(
        (&swapped["decision"], &swapped["context"]["reason"]),
        (&json!(false), &json!("out_of_scope"))
    );
    for _ in 0..2 {
        let redeemed = gate.redeem(&operation, txn, "r1").await.is(200);
        assert_eq!(
            redeemed,
            json!({"decision": true, "context": {"redeemed": true}})
        );
    }
    let used = gate.redeem(&operation, txn, "r2").await.is(200);
    assert_eq!(
        (&used["decision"], &used["context"]["reason"]),
        (&json!(false), &json!("approval_used"))
    );
    assert_eq!(used["context"]["next_action"], "request");

    let path = format!("/access/v1/requests/{txn}/outcome");
    for _ in 0..2 {
        Answer::of(gate.call(Method::POST, &path).json(&gate.outcome()))
            .await
            .is(204);
    }
    let mut long = gate.outcome();
    long["refusal"] = json!("x".repeat(8 * 1024));
    Answer::of(gate.call(Method::POST, &path).json(&long))
        .await
        .refused(400, "outcome");
    let mut another = gate.outcome();
    another["status"] = json!(500);
    Answer::of(gate.call(Method::POST, &path).json(&another))
        .await
        .refused(409, "outcome_reported");

    // History, searched; evidence by who asks for it.
    let page = jonas
        .get(
            &world,
            "/approver/v1/history?q=mor%20customers&outcome=redeemed&mine=true",
        )
        .await
        .is(200);
    assert_eq!(page["requests"][0]["txn"], txn);
    assert_eq!(page["requests"][0]["outcome"]["status"], 204);
    assert_eq!(page["requests"][0]["votes"][1]["name"], "jonas the tester");
    assert_eq!(
        jonas
            .get(&world, "/approver/v1/history?q=nothing")
            .await
            .is(200)["requests"],
        json!([])
    );
    let path = format!("/approver/v1/requests/{txn}/evidence");
    let full = elin.get(&world, &path).await.is(200);
    assert!(
        full["votes"][1]["id_token"].is_string(),
        "an auditor gets all of it"
    );
    let redacted = jonas.get(&world, &path).await.is(200);
    assert!(
        redacted["votes"][0].get("id_token").is_none(),
        "nobody else gets others' tokens"
    );
    assert!(
        redacted["votes"][1]["id_token"].is_string(),
        "but their own"
    );
    otto.get(&world, &path).await.refused(404, "not_found");

    // A later request of the same person on the same resource shows the earlier one.
    let again = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    assert_eq!(
        elin.view(&world, &again).await["before"],
        json!([{"state": "redeemed", "at": world.now().0}])
    );
}

async fn verify_as_gate(
    world: &World,
    evidence: &Evidence,
    operation: &countersign_model::Operation,
) {
    let keys = Answer::of(world.http.get(world.url("/.well-known/countersign/keys")))
        .await
        .is(200);
    let jwks: Value = world
        .http
        .get(format!("{}/jwks", world.issuer))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let policy = std::fs::read_to_string(world.folder.path().join("policy.cedar")).unwrap();
    let policy = countersign_policy::Policy::load(&policy).unwrap();
    let mut config = OpConfig::new(world.issuer.clone(), world::CLIENT);
    config.algorithms = vec!["ES256".into()];
    let me = PepId::parse("orders-gate").unwrap();
    let trust = Trust {
        server: &world.id,
        server_keys: vec![PublicKey::from_jwk(&keys["server"][0]).unwrap()],
        pep: (me.clone(), key("orders-gate").public()),
        ops: vec![TrustedOp {
            config,
            keys: Some(OpKeys::from_jwks(&jwks).unwrap()),
        }],
        session_secs: 12 * 3600,
        policy: Some(&policy),
    };
    let release = Release {
        me: &me,
        rebuilt: operation,
        asked_at: world.now(),
    };
    let verified = verify(evidence, &trust, Some(&release), world.now()).unwrap();
    assert!(verified.complete(), "{:?}", verified.steps());
}

#[tokio::test]
async fn one_deny_ends_it_and_the_requester_is_told_why() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.delete");
    let txn = gate.open(&operation, 2).await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(
        jonas.vote(&world, &txn, Choice::Deny).await.is(200)["state"],
        "denied"
    );
    let task = gate.task(&txn).await.is(200);
    let progress = &task["https://countersign.dev/arap/progress"];
    assert_eq!(task["status"], "denied");
    assert_eq!(
        (&progress["denied_by"], &progress["reason"]),
        (&json!("jonas the tester"), &json!("checked with sales"))
    );
    let redeem = gate.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(
        (&redeem["decision"], &redeem["context"]["reason"]),
        (&json!(false), &json!("approval_denied"))
    );
}

#[tokio::test]
async fn a_deny_takes_ones_own_approve_back_until_redeem() {
    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.rename");
    let txn = gate.open(&operation, 1).await;
    let elin = world.sign_in("elin").await;
    let approve = elin
        .ballot(&world, &elin.view(&world, &txn).await, Choice::Approve)
        .sign(&elin.dk);
    assert_eq!(
        elin.cast(&world, &txn, &approve).await.is(200)["state"],
        "approved"
    );
    let mut deny = elin.ballot(&world, &elin.view(&world, &txn).await, Choice::Deny);
    elin.cast(&world, &txn, &deny.sign(&elin.dk))
        .await
        .refused(409, "already_voted");
    deny.supersedes = Some(countersign_evidence::jws_digest(&approve));
    assert_eq!(
        elin.cast(&world, &txn, &deny.sign(&elin.dk)).await.is(200)["state"],
        "denied"
    );
    let redeem = gate.redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(redeem["decision"], false);
}

#[tokio::test]
async fn time_denies_by_itself() {
    let world = World::new().await;
    let gate = world.gate();
    let (waiting, unused) = (
        world.operation("orders.customers.delete"),
        world.operation("orders.customers.rename"),
    );
    let (first, second) = (gate.open(&waiting, 2).await, gate.open(&unused, 1).await);
    let elin = world.sign_in("elin").await;
    elin.vote(&world, &first, Choice::Approve).await.is(200);
    elin.vote(&world, &second, Choice::Approve).await.is(200);

    // The grant's time counts from the vote; nobody has to tick for it to be judged.
    world.wait(119);
    assert_eq!(gate.task(&second).await.is(200)["status"], "approved");
    world.wait(1);
    let late = gate.redeem(&unused, &second, "r").await.is(200);
    assert_eq!(
        (&late["decision"], &late["context"]["reason"]),
        (&json!(false), &json!("approval_expired"))
    );

    world.wait(479);
    assert_eq!(gate.task(&first).await.is(200)["status"], "pending");
    world.pass(1).await;
    assert_eq!(gate.task(&first).await.is(200)["status"], "expired");
    let mut jonas = world.unbound("jonas", |_| {});
    jonas.bind(&world).await;
    let view = jonas.view(&world, &first).await;
    assert_eq!(
        (&view["state"], &view["locked"]),
        (&json!("expired"), &json!("closed"))
    );
    let ballot = jonas.ballot(&world, &view, Choice::Approve).sign(&jonas.dk);
    jonas
        .cast(&world, &first, &ballot)
        .await
        .refused(410, "expired");
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut world = World::new().await;
    let operation = world.operation("orders.customers.delete");
    let txn = world.gate().open(&operation, 2).await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    world.restart().await;
    let view = jonas.view(&world, &txn).await;
    assert_eq!(
        (&view["state"], &view["votes"][0]["sub"]),
        (&json!("pending"), &json!("elin"))
    );
    assert_eq!(
        jonas.vote(&world, &txn, Choice::Approve).await.is(200)["state"],
        "approved"
    );
    world.restart().await;
    let redeemed = world.gate().redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(redeemed["decision"], true);
    world.restart().await;
    let again = world.gate().redeem(&operation, &txn, "r").await.is(200);
    assert_eq!(
        again["decision"], true,
        "the same redemption has the same answer after a crash"
    );
    let used = world
        .gate()
        .redeem(&operation, &txn, "another")
        .await
        .is(200);
    assert_eq!(used["context"]["reason"], "approval_used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_redemptions_at_once_one_wins() {
    let world = std::sync::Arc::new(World::new().await);
    let operation = world.operation("orders.customers.rename");
    let txn = world.gate().open(&operation, 1).await;
    world
        .sign_in("elin")
        .await
        .vote(&world, &txn, Choice::Approve)
        .await
        .is(200);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (world, operation, txn) = (world.clone(), operation.clone(), txn.clone());
            tokio::spawn(async move {
                let answer = world
                    .gate()
                    .redeem(&operation, &txn, &format!("r{n}"))
                    .await
                    .is(200);
                answer["decision"].as_bool().unwrap()
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_held_answer_comes_with_the_change() {
    let world = World::new().await;
    let gate = world.gate();
    let txn = gate
        .open(&world.operation("orders.customers.rename"), 1)
        .await;
    let elin = world.sign_in("elin").await;
    let path = format!("/access/v1/requests/{txn}");
    let held = Answer::of(
        gate.call(Method::GET, &path)
            .header("prefer", "respond-async, wait=50"),
    );
    let vote = elin.vote(&world, &txn, Choice::Approve);
    let (held, vote) = tokio::join!(held, vote);
    vote.is(200);
    assert_eq!(held.is(200)["status"], "approved");
}

#[tokio::test]
async fn events_tell_each_change_until_the_end() {
    let world = World::new().await;
    let gate = world.gate();
    let txn = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let token = world.access_token("mara", |_| {});
    let url = world.url(&format!("/access/v1/requests/{txn}/events"));
    let mut events = world.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    // Until so many were told, or the end: what comes in between only keeps the connection.
    let mut read = async |told: usize| {
        while text.matches("data: ").count() < told
            && let Some(chunk) = events.chunk().await.unwrap()
        {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    read(1).await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    read(2).await;
    jonas.vote(&world, &txn, Choice::Approve).await.is(200);
    read(usize::MAX).await;
    let tasks: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let statuses: Vec<_> = tasks
        .iter()
        .map(|task| task["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["pending", "pending", "approved"]);
    // Not even the gate gets evidence here.
    let events = gate.call(Method::GET, &format!("/access/v1/requests/{txn}/events"));
    text.push_str(&events.send().await.unwrap().text().await.unwrap());
    assert_eq!(text.matches("data: ").count(), 4);
    assert!(
        !text.contains("arap/evidence"),
        "no evidence in a stream of events"
    );
}

#[tokio::test]
async fn withdrawn_by_the_gate_or_by_the_requester() {
    let world = World::new().await;
    let gate = world.gate();
    let first = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let path = format!("/access/v1/requests/{first}/cancel");
    for _ in 0..2 {
        let task = Answer::of(gate.call(Method::POST, &path)).await.is(200);
        assert_eq!(task["task"]["status"], "cancelled");
    }
    let second = gate
        .open(&world.operation("orders.customers.delete"), 2)
        .await;
    let url = world.url(&format!("/access/v1/requests/{second}"));
    let cancel = |sub| {
        Answer::of(
            world
                .http
                .delete(&url)
                .bearer_auth(world.access_token(sub, |_| {})),
        )
    };
    cancel("otto").await.refused(404, "not_found");
    assert_eq!(cancel("mara").await.is(200)["task"]["status"], "cancelled");
    let elin = world.sign_in("elin").await;
    let view = elin.view(&world, &second).await;
    let ballot = elin.ballot(&world, &view, Choice::Approve).sign(&elin.dk);
    elin.cast(&world, &second, &ballot)
        .await
        .refused(409, "closed");
}
