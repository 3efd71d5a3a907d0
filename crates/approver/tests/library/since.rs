//! What is new on a card beside the last operation like it that was approved from this device.

use countersign_api::ipc::Since;
use countersign_approver::Accounts;

use super::filling::until;
use super::*;

impl World {
    /// Mara's request, with these headers.
    fn with_headers(&self, txn: &str, headers: Value) -> Value {
        let mut operation = self.operation("orders-gate");
        operation["action"]["properties"]["headers"] = headers;
        self.request_for(txn, operation, &self.server.pk, |_| ())
    }

    /// It was approved and run, as the server says.
    fn ran(&self, view: &mut Value, votes: Value, ended_at: i64) {
        view["state"] = "redeemed".into();
        view["locked"] = "closed".into();
        view["ended_at"] = ended_at.into();
        view["votes"] = votes;
        self.put(view.clone());
    }

    /// The vote that was sent last.
    fn sent_vote(&self) -> String {
        self.seen(|seen| {
            seen.votes.last().unwrap()["vote"]
                .as_str()
                .unwrap()
                .to_owned()
        })
    }
}

/// What is marked on the card of a request with these headers, and what it is compared with.
async fn marked(
    world: &World,
    app: &Accounts,
    (txn, headers): (&str, &Value),
) -> Option<(Vec<String>, Since)> {
    world.put(world.with_headers(txn, headers.clone()));
    let card = app.card(txn).await.unwrap();
    let lines = card.exhibit.details.iter().flat_map(|field| &field.lines);
    let all: Vec<String> = std::iter::once(&card.exhibit.title)
        .chain(&card.exhibit.lines)
        .chain(lines)
        .flat_map(|line| line.spans.iter().map(|span| span.text.clone()))
        .collect();
    let since = card.since?;
    let ranges = since.fresh.iter();
    let texts = ranges.map(|(from, to)| all[*from as usize..*to as usize].concat());
    Some((texts.collect(), since))
}

#[tokio::test]
async fn a_card_marks_what_is_new_since_this_device_approved_one_like_it() {
    let world = world().await;
    let app = world.accounts(&world);
    world.sign_in_more(&app).await;
    let plain = json!([["accept", "*/*"]]);
    let forced = json!([["accept", "*/*"], ["x-force", "yes"]]);
    assert_eq!(marked(&world, &app, ("t91", &forced)).await, None);

    // Approved here, and run.
    let mut first = world.with_headers("t1", plain.clone());
    world.put(first.clone());
    let digest = app.card("t1").await.unwrap().display_digest;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    let own = world.sent_vote();
    let issuer = format!("{}/op", world.server.id);
    let vote_of = |sub: &str, jws: &str| json!([{"jws": jws, "name": "Elin", "iss": issuer, "sub": sub, "at": 1_000}]);
    world.ran(&mut first, vote_of("elin", &own), 1_001);
    world.says("request.updated", "t1", 6);
    until(&app, |page| page.all == 1).await;
    let (texts, since) = marked(&world, &app, ("t92", &forced)).await.unwrap();
    assert_eq!(
        (texts.concat().as_str(), since.at, since.gone),
        ("x-force: yes", 1_001, 0)
    );
    let (texts, since) = marked(&world, &app, ("t93", &plain)).await.unwrap();
    assert_eq!((texts.len(), since.gone), (0, 0), "it is the same");

    // The server says that this device approved a forced one, too, and that Jonas did.
    let mut second = world.with_headers("t2", forced.clone());
    let bytes = second["request_jws"].as_str().unwrap();
    let (_, mut vote) = Vote::unverified(&own).unwrap();
    vote.txn = Txn::parse("t2").unwrap();
    vote.request_jws_digest = countersign_evidence::jws_digest(bytes);
    vote.display.sha256 = Digest::parse(&{
        world.put(second.clone());
        app.card("t2").await.unwrap().display_digest
    })
    .unwrap();
    world.ran(
        &mut second,
        vote_of("elin", &vote.sign(&world.server.op)),
        1_002,
    );
    world.says("request.updated", "t2", 7);
    let mut third = world.with_headers("t3", forced.clone());
    vote.txn = Txn::parse("t3").unwrap();
    vote.request_jws_digest =
        countersign_evidence::jws_digest(third["request_jws"].as_str().unwrap());
    vote.sub_id = Subject::new(vote.sub_id.iss, "jonas").unwrap();
    world.ran(
        &mut third,
        vote_of("jonas", &vote.sign(&world.server.op)),
        1_003,
    );
    world.says("request.updated", "t3", 8);
    until(&app, |page| page.all == 3).await;
    let (texts, since) = marked(&world, &app, ("t94", &forced)).await.unwrap();
    assert_eq!((texts.concat().as_str(), since.at), ("x-force: yes", 1_001));

    // Known over a restart, and gone with the account.
    drop(app);
    let app = world.accounts(&world);
    app.state().wait_for(|state| state.listed).await.unwrap();
    assert!(marked(&world, &app, ("t95", &forced)).await.is_some());
    app.sign_out(None).await.unwrap();
    world.sign_in_more(&app).await;
    until(&app, |page| page.all == 3 && page.filling.is_none()).await;
    assert_eq!(marked(&world, &app, ("t96", &forced)).await, None);
}
