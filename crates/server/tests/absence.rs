//! Being away: who is told of whom, until when, and that it changes nobody's right to vote.
#![allow(clippy::unwrap_used)]

mod world;

use countersign_evidence::Choice;
use countersign_evidence::op_token::{OpRole, PersonRule};
use reqwest::Method;
use serde_json::{Value, json};
use world::device::Device;
use world::socket::Stream;
use world::{Answer, World};

const RENAME: &str = "orders.customers.rename";
const DELETE: &str = "orders.customers.delete";
const EXPORT: &str = "orders.customers.export";
const MERGE: &str = "orders.customers.merge";
const ABSENCE: &str = "/approver/v1/absence";
const DAY: i64 = 24 * 3600;

async fn put(world: &World, device: &Device, body: &Value) -> Answer {
    Answer::of(device.call(world, Method::PUT, ABSENCE).json(body)).await
}

/// Away from now on, for so many seconds; somebody may stand in.
async fn away(world: &World, device: &Device, secs: i64, stand_in: Option<&Device>) -> Value {
    let mut body = json!({ "from": world.now().0, "until": world.now().0 + secs });
    if let Some(named) = stand_in {
        body["stand_in"] = naming(named);
    }
    put(world, device, &body).await.is(200)
}

fn naming(device: &Device) -> Value {
    json!({ "iss": device.issuer.as_str(), "sub": device.sub })
}

async fn back(world: &World, device: &Device) {
    let answer = Answer::of(device.call(world, Method::DELETE, ABSENCE)).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// What a reader is told: names of who is away, and how many others can.
fn told(view: &Value) -> (Vec<&str>, Option<u64>) {
    let names = view["away"].as_array().into_iter().flatten();
    let names = names.map(|it| it["name"].as_str().unwrap()).collect();
    (names, view["others_can"].as_u64())
}

fn progress(task: &Value) -> &Value {
    &task["https://countersign.dev/arap/progress"]
}

const ELIN: &str = "elin the tester";
const JONAS: &str = "jonas the tester";

#[tokio::test]
async fn whoever_waits_is_told_who_is_away_and_the_vote_of_who_is_away_counts() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let txn = gate.open(&world.operation(RENAME), 1).await;
    let before = jonas.view(&world, &txn).await;
    assert!(before.get("away").is_none() && before.get("others_can").is_none());

    let set = away(&world, &elin, 5 * DAY, None).await;
    let until = world.now().0 + 5 * DAY;
    assert_eq!(
        set,
        json!({ "absence": { "from": world.now().0, "until": until } })
    );
    let view = jonas.view(&world, &txn).await;
    assert_eq!(view["away"], json!([{ "name": ELIN, "until": until }]));
    // Whoever reads is not among the others, nor is who asked; who is not signed in is not counted.
    world.sign_in("mara").await;
    assert_eq!(told(&view), (vec![ELIN], Some(0)));
    world.sign_in("nora").await;
    let list = jonas.get(&world, "/approver/v1/requests").await.is(200);
    assert_eq!(told(&list["requests"][0]), (vec![ELIN], Some(1)));

    // The gate and the requester are told as well, of this request of theirs.
    let task = gate.task(&txn).await.is(200);
    assert_eq!(told(progress(&task)), (vec![ELIN], Some(2)));
    let path = world.url(&format!("/access/v1/requests/{txn}"));
    let mara = || world.http.get(&path);
    let own = Answer::of(mara().bearer_auth(world.access_token("mara", |_| {}))).await;
    assert_eq!(told(progress(&own.is(200))), (vec![ELIN], Some(2)));
    let other = Answer::of(mara().bearer_auth(world.access_token("otto", |_| {}))).await;
    other.refused(404, "not_found");

    // To themselves nobody is away, and their vote counts.
    let mine = elin.view(&world, &txn).await;
    assert!(mine.get("away").is_none() && mine["challenge"].is_string());
    let done = elin.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(done["state"], "approved");
    // Nobody is waited for any more.
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![], None));
    let task = gate.task(&txn).await.is(200);
    assert_eq!(told(progress(&task)), (vec![], None));

    // Of two, whoever has voted is not away for it.
    let two = gate.open(&world.operation(DELETE), 2).await;
    assert_eq!(told(&jonas.view(&world, &two).await).0, [ELIN]);
    elin.vote(&world, &two, Choice::Approve).await.is(200);
    assert_eq!(told(&jonas.view(&world, &two).await), (vec![], None));
}

#[tokio::test]
async fn whoever_stands_in_may_vote_anyway_or_is_not_named() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas, nora) = (
        world.sign_in("elin").await,
        world.sign_in("jonas").await,
        world.sign_in("nora").await,
    );
    let (otto, seth) = (world.sign_in("otto").await, world.sign_in("seth").await);
    let colleagues = async || {
        let answer = elin.get(&world, "/approver/v1/colleagues").await.is(200);
        let of = |it: &Value| (it["name"].clone(), it["resources"].clone());
        let list = answer["colleagues"].as_array().unwrap().iter().map(of);
        (list.collect::<Vec<_>>(), answer["resources"].clone())
    };
    // Nothing was asked for yet: of nobody is known what they may vote on.
    assert_eq!(colleagues().await, (vec![], json!([])));
    let name = async |named: &Value| {
        let until = world.now().0 + DAY;
        let body = json!({ "from": 0, "until": until, "stand_in": named });
        put(&world, &elin, &body).await
    };
    const REFUSED: &str = "stand_in_not_eligible";
    name(&naming(&jonas)).await.refused(403, REFUSED);

    let txn = gate.open(&world.operation(RENAME), 1).await;
    gate.open_for(&world.operation(MERGE)).await;
    // What Seth may vote on, Elin may not.
    let customer = json!(["orders.customer 42"]);
    assert_eq!(
        colleagues().await,
        (
            vec![
                (json!(JONAS), customer.clone()),
                (json!("nora the tester"), customer.clone())
            ],
            customer
        )
    );
    let of_otto = otto.get(&world, "/approver/v1/colleagues").await.is(200);
    assert_eq!(of_otto, json!({ "colleagues": [], "resources": [] }));
    // Nobody learns who exists.
    let nobody = json!({ "iss": world.issuer.as_str(), "sub": "nobody" });
    let elsewhere = json!({ "iss": "https://elsewhere.example", "sub": "jonas" });
    for named in [
        naming(&otto),
        naming(&seth),
        naming(&elin),
        nobody,
        elsewhere,
    ] {
        name(&named).await.refused(403, REFUSED);
    }
    assert_eq!(elin.get(&world, ABSENCE).await.is(200), json!({}));

    let set = name(&naming(&jonas)).await.is(200);
    assert_eq!(
        set["absence"]["stand_in"],
        json!({ "iss": world.issuer.as_str(), "sub": "jonas", "name": JONAS, "eligible": true })
    );
    let said = async |reader: &Device| reader.view(&world, &txn).await["away"][0].clone();
    let until = world.now().0 + DAY;
    assert_eq!(
        said(&jonas).await,
        json!({ "name": ELIN, "until": until, "stand_in": JONAS, "names_you": true })
    );
    assert_eq!(
        said(&nora).await,
        json!({ "name": ELIN, "until": until, "stand_in": JONAS })
    );
    let task = gate.task(&txn).await.is(200);
    assert_eq!(progress(&task)["away"][0]["stand_in"], JONAS);

    // Away themselves, they cannot.
    away(&world, &jonas, 60, None).await;
    assert!(said(&nora).await.get("stand_in").is_none());
    back(&world, &jonas).await;
    assert_eq!(said(&nora).await["stand_in"], JONAS);

    // Once the policy does not let them, nobody is told of them; the one who named them is told that.
    world.wait(1);
    let lost = world.id_token("jonas", &jonas.statement.nonce(), |it| {
        it["groups"] = json!([]);
    });
    let call = jonas.call(&world, Method::POST, "/approver/v1/claims");
    let sent = Answer::of(call.json(&json!({ "claims_token": lost }))).await;
    assert_eq!(sent.status, 204);
    assert_eq!(said(&nora).await, json!({ "name": ELIN, "until": until }));
    let mine = elin.get(&world, ABSENCE).await.is(200);
    assert_eq!(mine["absence"]["stand_in"]["eligible"], false);
    // Being named made nobody eligible.
    jonas
        .get(&world, &format!("/approver/v1/requests/{txn}"))
        .await
        .refused(404, "not_found");
    name(&naming(&jonas)).await.refused(403, REFUSED);
}

#[tokio::test]
async fn of_a_stranger_nobody_is_told() {
    let world = World::new().await;
    let gate = world.gate();
    let (elin, jonas, seth, lena) = (
        world.sign_in("elin").await,
        world.sign_in("jonas").await,
        world.sign_in("seth").await,
        world.sign_in("lena").await,
    );
    let rename = gate.open(&world.operation(RENAME), 1).await;
    let merge = gate.open_for(&world.operation(MERGE)).await;
    let (mut of_jonas, _) = Stream::open(&world, &jonas).await;
    away(&world, &seth, DAY, None).await;

    // Seth may not vote on it: whoever sees it is told nothing, by view, list, task or stream.
    assert_eq!(told(&jonas.view(&world, &rename).await), (vec![], None));
    let list = jonas.get(&world, "/approver/v1/requests").await.is(200);
    assert_eq!(list["requests"].as_array().unwrap().len(), 1);
    assert_eq!(told(&list["requests"][0]), (vec![], None));
    let task = gate.task(&rename).await.is(200);
    assert_eq!(told(progress(&task)), (vec![], None));
    // For what mara confirms herself, nobody else is waited for.
    away(&world, &elin, DAY, None).await;
    let own = gate.open_for(&world.operation(EXPORT)).await;
    let task = gate.task(&own).await.is(200);
    assert_eq!(told(progress(&task)), (vec![], None));
    back(&world, &elin).await;
    // His stage is not open: nobody waits for him yet.
    assert_eq!(told(&lena.view(&world, &merge).await), (vec![], None));
    lena.vote(&world, &merge, Choice::Approve).await.is(200);
    let task = gate.task(&merge).await.is(200);
    assert_eq!(told(progress(&task)), (vec!["seth the tester"], Some(0)));
    let path = format!("/approver/v1/requests/{merge}");
    elin.get(&world, &path).await.refused(404, "not_found");
    // What Jonas' stream has heard is about somebody whom he shares a request with.
    for _ in ["away", "back"] {
        of_jonas
            .next_is("request.updated", json!({ "txn": rename }))
            .await;
    }
}

#[tokio::test]
async fn it_begins_and_ends_by_the_servers_clock_and_over_a_restart() {
    let mut world = World::new().await;
    let (laptop, phone, jonas) = (
        world.sign_in("elin").await,
        world.sign_in("elin").await,
        world.sign_in("jonas").await,
    );
    let txn = world.gate().open(&world.operation(RENAME), 1).await;
    let (mut of_phone, _) = Stream::open(&world, &phone).await;
    let (mut of_jonas, _) = Stream::open(&world, &jonas).await;
    let (from, until) = (world.now().0 + 100, world.now().0 + 200);
    let body = json!({ "from": from, "until": until });
    put(&world, &laptop, &body).await.is(200);
    of_phone.next_is("absence.changed", json!({})).await;
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![], None));

    world.pass(99).await;
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![], None));
    world.pass(1).await;
    let updated = json!({ "txn": txn });
    of_jonas.next_is("request.updated", updated.clone()).await;
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![ELIN], Some(0)));
    of_phone.next_is("request.updated", updated.clone()).await;
    of_phone.next_is("absence.changed", json!({})).await;

    // It is the server's memory that counts, not the process.
    drop((of_phone, of_jonas));
    world.restart().await;
    let mine = phone.get(&world, ABSENCE).await.is(200);
    assert_eq!(mine["absence"], body);
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![ELIN], Some(0)));

    // Over at that second, also before anything has written it down.
    let (mut of_jonas, _) = Stream::open(&world, &jonas).await;
    world.wait(100);
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![], None));
    assert_eq!(phone.get(&world, ABSENCE).await.is(200), json!({}));
    world.pass(0).await;
    of_jonas.next_is("request.updated", updated).await;
    let device = laptop.statement.id().to_string();
    assert_eq!(
        entries(&world),
        [
            (
                "absence".to_owned(),
                json!({ "binding": device, "from": from, "until": until, "stand_in": null })
            ),
            (
                "absence-ended".to_owned(),
                json!({ "binding": device, "by": "time" })
            ),
        ]
    );
}

/// The entries about absences, as they were written.
fn entries(world: &World) -> Vec<(String, Value)> {
    let database = rusqlite::Connection::open(world.state().join("countersign.db")).unwrap();
    let sql = "SELECT kind, detail FROM entries WHERE kind LIKE 'absence%' ORDER BY number";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let rows = rows.unwrap().map(|row| row.unwrap());
    rows.map(|(kind, detail)| (kind, serde_json::from_str(&detail).unwrap()))
        .collect()
}

#[tokio::test]
async fn coming_back_early_is_said_once_and_logged_with_who_stood_in() {
    let world = World::new().await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let txn = world.gate().open(&world.operation(RENAME), 1).await;
    // Nobody is away, and nothing is written of it.
    back(&world, &elin).await;
    away(&world, &elin, DAY, Some(&jonas)).await;
    back(&world, &elin).await;
    back(&world, &elin).await;
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![], None));
    let (of_elin, of_jonas) = (elin.statement.id(), jonas.statement.id());
    let now = world.now().0;
    assert_eq!(
        entries(&world),
        [
            (
                "absence".to_owned(),
                json!({
                    "binding": of_elin.to_string(), "from": now, "until": now + DAY,
                    "stand_in": of_jonas.to_string(),
                })
            ),
            (
                "absence-ended".to_owned(),
                json!({ "binding": of_elin.to_string(), "by": of_elin.to_string() })
            ),
        ]
    );
}

#[tokio::test]
async fn an_absence_has_bounds() {
    let world = World::new().await;
    let elin = world.sign_in("elin").await;
    let now = world.now().0;
    for (from, until) in [
        (now, now),
        (now + 10, now + 10),
        (now - 10, now - 5),
        (now, now + 90 * DAY + 1),
        (now + 90 * DAY + 1, now + 91 * DAY),
        (0, i64::MAX / 2048),
    ] {
        let answer = put(&world, &elin, &json!({ "from": from, "until": until })).await;
        answer.refused(400, "absence_time");
    }
    let more = json!({ "from": now, "until": now + 60, "eligible": true });
    put(&world, &elin, &more).await.refused(400, "body");
    assert_eq!(elin.get(&world, ABSENCE).await.is(200), json!({}));

    // What has passed counts as now; the longest is 90 days, and one replaces the other.
    let longest = json!({ "from": 0, "until": now + 90 * DAY });
    let set = put(&world, &elin, &longest).await.is(200);
    assert_eq!(set["absence"]["from"], now);
    let shorter = json!({ "from": now + 5, "until": now + 60 });
    put(&world, &elin, &shorter).await.is(200);
    let mine = elin.get(&world, ABSENCE).await.is(200);
    assert_eq!(mine["absence"], shorter);

    // A minute holds so many changes of one person, and is over.
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(put(&world, &elin, &shorter).await.status);
    }
    assert!(answers.starts_with(&[200]) && answers.ends_with(&[429]));
    let calls = Answer::of(elin.call(&world, Method::DELETE, ABSENCE)).await;
    calls.refused(429, "rate_limited");
    let colleagues = elin.get(&world, "/approver/v1/colleagues").await;
    colleagues.refused(429, "rate_limited");
    let jonas = world.sign_in("jonas").await;
    put(&world, &jonas, &shorter).await.is(200);
    world.wait(60);
    back(&world, &elin).await;
}

#[tokio::test]
async fn of_many_who_are_away_so_many_are_named() {
    let world = World::new().await;
    let jonas = world.sign_in("jonas").await;
    let txn = world.gate().open(&world.operation(RENAME), 1).await;
    for n in 1..=11 {
        let mut device = world.unbound(&format!("p{n}"), |it| it["groups"] = json!(["dba"]));
        device.bind(&world).await;
        // Who is back soonest is named first.
        away(&world, &device, DAY - n, None).await;
    }
    let view = jonas.view(&world, &txn).await;
    let (names, others) = told(&view);
    assert_eq!(
        (names.len(), names[0], others),
        (10, "p11 the tester", Some(0))
    );
    assert!(!names.contains(&"p1 the tester"));
}

#[tokio::test]
async fn one_person_with_two_accounts_neither_stands_in_for_themselves_nor_is_another() {
    let rule = PersonRule::Claims(vec!["oid".to_owned()]);
    let world = World::federated(rule, &[OpRole::Approver]).await;
    let other = world.other.as_ref().unwrap().issuer.clone();
    let mine = "principal.groups.contains(\"{{issuer}}#dba\")";
    let theirs = format!("({mine} || principal.groups.contains(\"{other}#dba\"))");
    world.set_policy(&world::POLICY.replace(mine, &theirs));
    let sign_in = async |issuer: &countersign_model::Issuer, sub: &str, oid: &str| {
        let mut device = world.unbound_at(issuer, sub, |it| it["oid"] = json!(oid));
        device.bind(&world).await;
        device
    };
    let here = sign_in(&world.issuer, "elin", "e").await;
    let there = sign_in(&other, "elin", "e").await;
    let jonas = sign_in(&world.issuer, "jonas", "j").await;
    let txn = world.gate().open(&world.operation(RENAME), 1).await;
    let now = world.now().0;
    let herself = json!({ "from": now, "until": now + DAY, "stand_in": naming(&there) });
    put(&world, &here, &herself)
        .await
        .refused(403, "stand_in_not_eligible");
    away(&world, &here, DAY, None).await;
    // Her other account is the same person, who is away.
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![ELIN], Some(0)));
    sign_in(&other, "nora", "n").await;
    assert_eq!(told(&jonas.view(&world, &txn).await), (vec![ELIN], Some(1)));
}
