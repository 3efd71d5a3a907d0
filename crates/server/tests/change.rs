//! What changes while requests are open: the policy, the clock, a denial before; and what history says of a request.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use countersign_evidence::Choice;
use countersign_model::{Clock, PolicyCheck as _};
use countersign_server::Server;
use countersign_store::{SqliteOptions, SqliteStore, Store as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use world::{Answer, POLICY, World};

const RENAME: &str = "orders.customers.rename";
const DELETE: &str = "orders.customers.delete";
const BLOCK: &str = "orders.customers.block";

#[tokio::test]
async fn a_new_policy_judges_what_is_open_and_a_bad_one_changes_nothing() {
    let mut world = World::new().await;
    let gate = world.gate();
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let (first, second) = (world.operation(RENAME), world.operation(RENAME));
    let approved = gate.open(&first, 1).await;
    let pending = gate.open(&second, 1).await;
    elin.vote(&world, &approved, Choice::Approve).await.is(200);

    world.set_policy("permit (principal, action, resource) when { true");
    gate.open(&world.operation(RENAME), 1).await;

    // Renaming takes two from now on: what was opened for one is not enough any more.
    let stricter = POLICY.replace(
        "@id(\"rename\") @approvals(\"1\")",
        "@id(\"rename\") @approvals(\"2\")",
    );
    assert_ne!(stricter, POLICY);
    world.set_policy(&stricter);
    jonas
        .vote(&world, &pending, Choice::Approve)
        .await
        .refused(409, "policy_changed");
    let redeem = gate.redeem(&first, &approved, "r").await.is(200);
    assert_eq!(
        (&redeem["decision"], &redeem["context"]["reason"]),
        (&json!(false), &json!("policy_denied"))
    );
    let asked = gate.ask_for(&world.operation(RENAME)).await.is(202);
    assert_eq!(asked["https://countersign.dev/arap/progress"]["needed"], 2);
    let digest = |view: &Value| {
        let jws = view["request_jws"].as_str().unwrap();
        let (_, request) = countersign_evidence::documents::Request::unverified(jws).unwrap();
        request.policy_digest
    };
    let old = digest(&jonas.view(&world, &pending).await);
    let new = digest(&jonas.view(&world, asked["id"].as_str().unwrap()).await);
    assert_eq!(old, world.policy_digest, "an open request keeps its own");
    assert_ne!(old, new);

    // The old text again: what was approved under it holds again.
    world.set_policy(POLICY);
    assert_eq!(
        gate.redeem(&first, &approved, "r").await.is(200)["decision"],
        true
    );
    world.stop().await;
}

#[tokio::test]
async fn what_was_denied_is_shown_and_waits_where_the_policy_says_so() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let again = |ticket: &str| {
        world.operation_with(BLOCK, |it| {
            it["context"]["justification"] = json!("please");
            it["context"]["ticket"] = json!(ticket);
            it["subject"]["properties"]["claims"]["auth_time"] = json!(ticket.len());
        })
    };
    let first = gate.open_for(&again("A")).await;
    elin.vote(&world, &first, Choice::Deny).await.is(200);
    world.wait(10);
    let refused = gate.ask_for(&again("AB")).await;
    refused.refused(403, "denied_before");
    assert_eq!(refused.retry_after.as_deref(), Some("290"));
    // Something else may be asked for, and so may somebody else ask.
    let other = world.operation_with(BLOCK, |it| it["resource"]["id"] = json!("43"));
    gate.open_for(&other).await;
    let otto = world.operation_with(BLOCK, |it| {
        it["subject"]["id"] = json!(format!("{}|otto", world.issuer));
    });
    gate.open_for(&otto).await;

    world.wait(290);
    let second = gate.open_for(&again("ABC")).await;
    let view = elin.view(&world, &second).await;
    assert_eq!(
        view["denied_before"],
        json!({ "at": world::START, "by": "elin the tester", "reason": "checked with sales" })
    );
    assert!(
        elin.view(&world, &first)
            .await
            .get("denied_before")
            .is_none()
    );
}

#[tokio::test]
async fn what_is_there_for_the_first_time_is_noticed() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let asked = async |id: &str, device: &str, azp: &str| {
        let operation = world.operation_with(RENAME, |it| {
            it["resource"]["id"] = json!(id);
            it["subject"]["properties"]["device"] = json!({ "name": device });
            it["subject"]["properties"]["claims"]["azp"] = json!(azp);
        });
        let txn = gate.open(&operation, 1).await;
        elin.view(&world, &txn).await["noticed"].clone()
    };
    assert_eq!(
        asked("1", "laptop", "cli").await,
        json!(["first_time_requester"])
    );
    assert_eq!(asked("1", "laptop", "cli").await, Value::Null);
    assert_eq!(
        asked("2", "phone", "cli").await,
        json!(["first_time_resource", "new_device"])
    );
    assert_eq!(asked("2", "laptop", "web").await, json!(["new_client"]));
}

#[tokio::test]
async fn the_clock_does_not_go_back_over_a_restart() {
    let mut world = World::new().await;
    let gate = world.gate();
    let operation = world.operation(RENAME);
    let txn = gate.open(&operation, 1).await;
    let elin = world.sign_in("elin").await;
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    // Nobody looks, and nothing is written, when its time ends.
    world.wait(500);
    world.stop().await;
    world.wait(-500);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let error = Server::start(world.config(), clock, listener)
        .await
        .err()
        .unwrap();
    assert!(
        format!("{error:#}").contains("500 seconds behind"),
        "{error:#}"
    );

    // Behind by little, it stands still.
    world.wait(450);
    let mut world = {
        world.come_back().await;
        world
    };
    let path = format!("/access/v1/requests/{txn}");
    let token = world.access_token("mara", |_| {});
    let task = Answer::of(world.http.get(world.url(&path)).bearer_auth(token)).await;
    assert_eq!(task.is(200)["status"], "expired");
    world.stop().await;
}

#[tokio::test]
async fn what_was_made_before_the_start_is_not_taken_after_it() {
    let mut world = World::new().await;
    let elin = world.sign_in("elin").await;
    let path = "/approver/v1/requests";
    let proof = elin.dpop(&world, "GET", path, Some(&elin.access_token));
    let pep_token = world.gate().token();
    world.wait(1);
    world.restart().await;
    let call = world.http.get(world.url(path));
    let call = call.header("authorization", format!("DPoP {}", elin.access_token));
    Answer::of(call.header("dpop", proof))
        .await
        .refused(401, "dpop_before_start");
    let call = world.http.get(world.url("/access/v1/requests/none"));
    Answer::of(call.bearer_auth(pep_token))
        .await
        .refused(401, "token_before_start");
    elin.get(&world, path).await.is(200);
}

#[tokio::test]
async fn each_policy_in_force_is_an_entry_and_the_time_is_marked() {
    let mut world = World::new().await;
    world.pass(1).await;
    let another = format!("{POLICY}\n// another text\n");
    world.set_policy(&another);
    world.pass(100).await;
    world.stop().await;
    let store = SqliteStore::open(&world.state(), &SqliteOptions::default()).unwrap();
    assert_eq!(store.clock_shown().await.unwrap(), Some(world.now()));
    drop(store);
    let database = rusqlite::Connection::open(world.state().join("countersign.db")).unwrap();
    let mut entries = database
        .prepare("SELECT detail FROM entries WHERE kind = 'policy' ORDER BY number")
        .unwrap();
    let said: Vec<Value> = entries
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|text| serde_json::from_str(&text.unwrap()).unwrap())
        .collect();
    let digest = |text: &str| {
        let text = text.replace("{{issuer}}", world.issuer.as_str());
        countersign_policy::Policy::load(&text)
            .unwrap()
            .digest()
            .to_string()
    };
    assert_eq!(
        said,
        [
            json!({ "digest": digest(POLICY), "before": null }),
            json!({ "digest": digest(&another), "before": digest(POLICY) }),
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_read_any_more_holds_up_nothing_else() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let [broken, denied, good] = [DELETE, DELETE, DELETE].map(|it| world.operation(it));
    let broken = gate.open(&broken, 2).await;
    let denied = gate.open(&denied, 2).await;
    let good = gate.open(&good, 2).await;
    elin.vote(&world, &denied, Choice::Deny).await.is(200);
    let database = rusqlite::Connection::open(world.state().join("countersign.db")).unwrap();
    let sql = "UPDATE requests SET request_jws = 'of another version' WHERE txn <> ?1";
    assert_eq!(database.execute(sql, [&good]).unwrap(), 2);
    drop(database);

    let list = elin.get(&world, "/approver/v1/requests").await.is(200);
    let listed = list["requests"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["txn"]), (1, &json!(good)));
    let history = elin.get(&world, "/approver/v1/history").await.is(200);
    assert_eq!(history["requests"], json!([]));
    gate.task(&broken).await.refused(500, "internal");
    world.wait(600);
    assert_eq!(gate.task(&good).await.is(200)["status"], "expired");
    gate.task(&broken).await.refused(500, "internal");
}

#[tokio::test]
async fn a_pages_end_tells_no_number() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, otto) = (world.sign_in("elin").await, world.sign_in("otto").await);
    for _ in 0..3 {
        let txn = gate.open(&world.operation(DELETE), 2).await;
        elin.vote(&world, &txn, Choice::Deny).await.is(200);
    }
    let page = elin
        .get(&world, "/approver/v1/history?limit=2")
        .await
        .is(200);
    let next = page["next"].as_str().unwrap();
    assert!(next.parse::<i64>().is_err() && next.len() > 40, "{next}");
    let rest = elin
        .get(&world, &format!("/approver/v1/history?cursor={next}"))
        .await
        .is(200);
    assert_eq!(rest["requests"].as_array().unwrap().len(), 1);
    for forged in ["1", "3", "AAAA.BBBB"] {
        for name in ["cursor", "after"] {
            let path = format!("/approver/v1/history?{name}={forged}");
            otto.get(&world, &path).await.refused(400, "query");
        }
    }
}

#[tokio::test]
async fn what_closed_or_changed_since_a_place_is_told_as_new() {
    let world = World::new().await;
    let gate = world.gate();
    let elin = world.sign_in("elin").await;
    let deny = async || {
        let txn = gate.open(&world.operation(DELETE), 2).await;
        elin.vote(&world, &txn, Choice::Deny).await.is(200);
        txn.to_string()
    };
    let first = deny().await;
    let opened_early = gate.open(&world.operation(DELETE), 2).await;
    let second = deny().await;
    let page = async |query: &str| {
        let path = format!("/approver/v1/history?{query}");
        let page = elin.get(&world, &path).await.is(200);
        let txns: Vec<String> = page["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|view| view["txn"].as_str().unwrap().to_owned())
            .collect();
        (txns, page)
    };
    let (txns, whole) = page("").await;
    assert_eq!(txns, [second.clone(), first.clone()]);
    let place = whole["newest"].as_str().unwrap();
    assert!(place.parse::<i64>().is_err(), "{place}");
    assert_eq!(
        whole["oldest_at"].as_i64().unwrap() % 86_400,
        0,
        "the day only"
    );
    assert!(page(&format!("after={place}")).await.0.is_empty());
    // It was opened before the place was taken, and ends after it.
    elin.vote(&world, &opened_early, Choice::Deny).await.is(200);
    let (since, _) = page(&format!("after={place}")).await;
    assert_eq!(since, [opened_early.to_string()]);
    let (all, _) = page("limit=1").await;
    assert_eq!(all, [opened_early.to_string()]);
}
