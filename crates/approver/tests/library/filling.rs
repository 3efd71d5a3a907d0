//! The history on this device: filled from the server page by page, each entry verified; taken up after a cut and after
//! a restart; kept current by the stream; gone at the sign-out.

use countersign_api::ipc::{ExportAs, HistoryPage, Outcome};
use countersign_approver::Accounts;

use super::*;

/// A closed request, as the server tells of it.
fn closed(world: &World, txn: &str, state: &str, ended_at: i64) {
    let mut view = world.request(txn, |_| ());
    view["state"] = state.into();
    view["locked"] = "closed".into();
    view["ended_at"] = ended_at.into();
    world.put(view);
}

/// The history as soon as it is so.
pub(super) async fn until(app: &Accounts, is: impl Fn(&HistoryPage) -> bool) -> HistoryPage {
    let mut events = app.events();
    loop {
        let page = app.history(&HistoryQuery::default(), 0, 200).await.unwrap();
        if is(&page) {
            return page;
        }
        loop {
            match events.recv().await {
                Ok(Event::HistoryChanged) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Files of histories on this device.
fn files(world: &World) -> usize {
    let files = std::fs::read_dir(world.folder.path().join("data")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("history-")).count()
}

async fn signed_in(world: &World) -> Accounts {
    let app = world.accounts(world);
    world.sign_in_more(&app).await;
    app
}

fn summaries(page: &HistoryPage) -> Vec<(String, Outcome)> {
    let rows = page.rows.iter();
    rows.map(|row| (text(&row.summary), row.outcome)).collect()
}

#[tokio::test]
async fn it_is_filled_page_by_page_and_what_does_not_verify_says_so() {
    let world = world().await;
    for n in 1..=5 {
        closed(&world, &format!("t{n}"), "redeemed", 1_000 + n);
    }
    world.does(|does| {
        let altered = does.requests.get_mut("t3").unwrap();
        altered["operation_b64"] = b64u(b"{}").into();
        altered["state"] = "denied".into();
    });
    let app = signed_in(&world).await;
    let page = until(&app, |page| page.filling.is_none() && page.all == 5).await;
    let shown = summaries(&page);
    for (at, (summary, outcome)) in shown.iter().enumerate() {
        if at == 2 {
            assert!(summary.starts_with("Not genuine"), "{summary}");
            assert_eq!(*outcome, Outcome::Denied);
        } else {
            assert_eq!(
                (summary.as_str(), *outcome),
                ("Delete customer 42", Outcome::Redeemed)
            );
        }
    }
    assert_eq!((page.total, page.trouble), (Some(5), None));
    let asked = world.seen(|seen| seen.queries.clone());
    assert_eq!(
        asked[..3],
        ["limit=100", "cursor=4&limit=100", "cursor=2&limit=100"]
    );
    // Nothing that an altered request claims is found by.
    let find = async |words: &str| {
        let query = HistoryQuery {
            text: words.to_owned(),
            ..HistoryQuery::default()
        };
        app.history(&query, 0, 10).await.unwrap().rows.len()
    };
    assert_eq!(find("customer 42").await, 4);
    assert_eq!(find("genuine").await, 1);
}

#[tokio::test]
async fn after_a_cut_and_a_restart_it_goes_on_where_it_was() {
    let world = world().await;
    for n in 1..=6 {
        closed(&world, &format!("t{n}"), "denied", 1_000 + n);
    }
    world.does(|does| does.history_ends_at = Some(5));
    let app = signed_in(&world).await;
    let page = until(&app, |page| page.all == 2).await;
    assert!(page.filling.is_some(), "{page:?}");
    drop(app);
    // Two more end while nothing runs.
    closed(&world, "t7", "denied", 1_007);
    closed(&world, "t8", "denied", 1_008);
    world.seen(|seen| seen.queries.clear());
    let app = world.accounts(&world);
    // What was missed comes first; then the server is whole again.
    let page = until(&app, |page| page.all == 4).await;
    assert_eq!(page.rows.first().map(|row| row.txn.as_str()), Some("t8"));
    world.does(|does| does.history_ends_at = None);
    until(&app, |page| page.all == 8 && page.filling.is_none()).await;
    // What the first run had on its way may have come late, and asked where it was, too.
    let mut asked = world.seen(|seen| seen.queries.clone());
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        [
            "after=6&limit=100",
            "cursor=3&limit=100",
            "cursor=5&limit=100"
        ],
        "nothing from the beginning"
    );
}

#[tokio::test]
async fn a_server_that_no_longer_knows_its_places_is_read_from_the_start() {
    let world = world().await;
    for n in 1..=6 {
        closed(&world, &format!("t{n}"), "denied", 1_000 + n);
    }
    world.does(|does| does.history_ends_at = Some(5));
    let app = signed_in(&world).await;
    until(&app, |page| page.all == 2).await;
    world.does(|does| (does.history_ends_at, does.places) = (None, "anew-"));
    until(&app, |page| page.all == 6 && page.filling.is_none()).await;
    let asked = world.seen(|seen| seen.queries.clone());
    assert_eq!(
        asked[asked.len() - 3..],
        [
            "limit=100",
            "cursor=anew-5&limit=100",
            "cursor=anew-3&limit=100"
        ]
    );
}

#[tokio::test]
async fn what_closes_while_it_runs_is_there_by_the_stream() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = signed_in(&world).await;
    app.state()
        .wait_for(|state| state.listed && state.inbox.len() == 1)
        .await
        .unwrap();
    closed(&world, "t1", "expired", 1_001);
    world.says("request.closed", "t1", 6);
    let page = until(&app, |page| page.all == 1).await;
    assert_eq!(
        summaries(&page),
        [("Delete customer 42".to_owned(), Outcome::Expired)]
    );
}

#[tokio::test]
async fn it_works_without_the_server_and_goes_with_the_account() {
    let world = world().await;
    closed(&world, "t1", "redeemed", 1_001);
    let app = signed_in(&world).await;
    until(&app, |page| page.all == 1).await;
    assert!(files(&world) > 0);
    let folder = tempfile::tempdir().unwrap();
    let query = HistoryQuery::default();
    let first = app
        .export_history(&query, ExportAs::Csv, folder.path())
        .await
        .unwrap();
    let second = app
        .export_history(&query, ExportAs::Csv, folder.path())
        .await
        .unwrap();
    assert!(first.ends_with("countersign-history.csv"), "{first:?}");
    assert!(second.ends_with("countersign-history-2.csv"), "{second:?}");
    let table = std::fs::read_to_string(first).unwrap();
    assert!(
        table.lines().nth(1).unwrap().starts_with("\"t1\",\""),
        "{table}"
    );
    app.sign_out(None).await.unwrap();
    assert_eq!(files(&world), 0);
    assert_eq!(app.history(&query, 0, 10).await.unwrap().all, 0);
}

#[tokio::test]
async fn it_outlives_a_session_that_ended_and_goes_with_a_device_that_was_revoked() {
    let world = world().await;
    closed(&world, "t1", "redeemed", 1_001);
    for (code, stays) in [("invalid_grant", true), ("binding_revoked", false)] {
        let app = signed_in(&world).await;
        until(&app, |page| page.all == 1).await;
        drop(app);
        world.does(|does| does.renewal = Some(json!({ "error": code })));
        let app = world.accounts(&world);
        app.state()
            .wait_for(|state| {
                let mut troubles = state.troubles.iter();
                troubles.any(|trouble| trouble.code == ProblemCode::SignedOut)
            })
            .await
            .unwrap();
        assert_eq!(files(&world) > 0, stays, "{code}");
        world.does(|does| does.renewal = None);
    }
}

#[tokio::test]
async fn evidence_of_a_selection_is_written_with_a_list_of_what_has_none() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| requirement.approvals = 1).await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    drop(app);
    world.does(|does| {
        let view = does.requests.get_mut("t1").unwrap();
        view["state"] = "redeemed".into();
        view["ended_at"] = 1_001.into();
    });
    closed(&world, "t2", "denied", 1_002);
    // Its id is the server's word, and would be a formula in a spreadsheet.
    let mut forged = world.request("t3", |_| ());
    forged["txn"] = "=1+\"1\"".into();
    forged["state"] = "redeemed".into();
    forged["ended_at"] = 1_003.into();
    world.put(forged);
    let app = world.accounts(&world);
    until(&app, |page| page.all == 3).await;
    let folder = tempfile::tempdir().unwrap();
    let written = app
        .export_history(&HistoryQuery::default(), ExportAs::Evidence, folder.path())
        .await
        .unwrap();
    let evidence = std::fs::read(written.join("countersign-t1.json")).unwrap();
    assert_eq!(
        countersign_evidence::Evidence::from_json(&evidence)
            .unwrap()
            .votes
            .len(),
        1
    );
    let list = std::fs::read_to_string(written.join("MANIFEST.csv")).unwrap();
    assert!(
        list.contains("\"t1\",\"redeemed\",\"countersign-t1.json\",\"\"\r\n"),
        "{list}"
    );
    assert!(
        list.contains("\"t2\",\"denied\",\"\",\"It was not approved"),
        "{list}"
    );
    assert!(
        list.contains("\"'=1+\"\"1\"\"\",\"redeemed\",\"\",\"There is no such request"),
        "{list}"
    );
    assert_eq!(std::fs::read_dir(&written).unwrap().count(), 2);
}

#[tokio::test]
async fn the_card_says_what_came_of_running_it() {
    let world = world().await;
    closed(&world, "t1", "redeemed", 1_001);
    world.does(|does| {
        does.requests.get_mut("t1").unwrap()["outcome"] =
            json!({"executed": true, "status": 200, "policy_digest": "d\u{202e}"});
    });
    let app = signed_in(&world).await;
    until(&app, |page| page.all == 1).await;
    let ran = app.card("t1").await.unwrap().execution.unwrap();
    assert_eq!(
        (ran.executed, ran.status, ran.refusal),
        (true, Some(200), None)
    );
    assert!(
        text(&ran.policy_digest).contains("U+202E"),
        "{:?}",
        ran.policy_digest
    );
}
