//! Places in a filtered list are those of the plain computation, whatever comes in between.

use std::path::Path;

use countersign_api::ipc::{HistoryQuery, Kind, Outcome, Row};
use countersign_history::{Archive, Cache, Entry, Put};
use proptest::prelude::*;

use crate::entries::{self, Recipe, by_second, entry, many, plainly};

pub(crate) fn put(entries: Vec<Entry>) -> Put {
    Put {
        entries,
        step: None,
    }
}

/// An archive with these accounts, each with its entries.
pub(crate) async fn archive(folder: &Path, accounts: &[(&str, Vec<Entry>)]) -> Archive {
    let archive = Archive::start().unwrap();
    for (account, entries) in accounts {
        archive
            .keep(account, &folder.join(format!("{account}.db")))
            .unwrap();
        archive.put(account, put(entries.clone())).await.unwrap();
    }
    archive
}

/// All of a selection, by pages of this size, and its number once it is counted.
pub(crate) async fn all(archive: &Archive, query: &HistoryQuery, page: u16) -> (Vec<Row>, u64) {
    let mut changed = archive.changed();
    let mut rows = Vec::new();
    loop {
        let found = archive.page(query, rows.len() as u64, page).await.unwrap();
        if found.rows.is_empty() {
            break;
        }
        rows.extend(found.rows);
    }
    loop {
        changed.mark_unchanged();
        if let Some(total) = archive.page(query, 0, 1).await.unwrap().total {
            return (rows, total);
        }
        changed.changed().await.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn recipes(most: usize) -> impl Strategy<Value = Vec<Recipe>> {
    let one = (
        0..400_i64,
        0..6_usize,
        0..5_usize,
        0..9_usize,
        0..5_usize,
        any::<bool>(),
        0..6_usize,
    );
    proptest::collection::vec(one, 1..most).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(
                |(n, (ended, outcome, kind, requester, voter, mine, thing))| Recipe {
                    n,
                    ended,
                    outcome,
                    kind,
                    requester,
                    voter,
                    mine,
                    thing,
                },
            )
            .collect()
    })
}

fn queries() -> impl Strategy<Value = HistoryQuery> {
    (
        proptest::sample::select(vec![
            "",
            "",
            "cust",
            "delete mull",
            "東京",
            "statement3",
            "billing",
            "nowhere",
            "*",
        ]),
        proptest::sample::subsequence(entries::OUTCOMES.to_vec(), 0..4),
        proptest::sample::subsequence(entries::KINDS.to_vec(), 0..3),
        any::<bool>(),
        proptest::option::of(0..10_usize),
        proptest::option::of(-5..405_i64),
        proptest::option::of(-5..405_i64),
        proptest::option::of(proptest::bool::ANY),
    )
        .prop_map(
            |(text, outcomes, kinds, mine, person, from, until, first)| HistoryQuery {
                text: text.to_owned(),
                outcomes,
                kinds,
                mine,
                person: person.map(|n| format!("https://login.example.com\nperson-{n}")),
                from: from.map(|at| entries::BEGIN + at),
                until: until.map(|at| entries::BEGIN + at),
                account: first.map(|first| if first { "one" } else { "two" }.to_owned()),
            },
        )
}

/// What the words of a search mean for these entries, said by hand.
fn has_words(entry: &Entry, text: &str) -> bool {
    let summary = entries::text_of(&entry.row.summary);
    let names: Vec<String> = std::iter::once(&entry.row.requester)
        .chain(entry.votes.iter().map(|cast| &cast.person.name))
        .map(entries::text_of)
        .collect();
    match text {
        "" | "*" => true,
        "cust" => summary.contains("customers"),
        "delete mull" => names.iter().any(|name| name.contains("Müller")),
        "東京" => summary.contains("東京"),
        "statement3" => entry.texts[0].starts_with("statement3 "),
        "billing" => entry.votes[0].reason.is_some(),
        "nowhere" => false,
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn places_in_a_selection_equal_a_plain_computation(
        first in recipes(700),
        second in recipes(300),
        moves in recipes(120),
        queries in proptest::collection::vec(queries(), 5),
        page in 1_u16..200,
    ) {
        let folder = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let mut here: Vec<Vec<Entry>> = [&first, &second]
                .map(|recipes| recipes.iter().map(|recipe| entry(*recipe)).collect())
                .into();
            let archive = archive(folder.path(), &[("one", here[0].clone()), ("two", here[1].clone())]).await;
            let check = async |here: &[Vec<Entry>]| {
                for query in &queries {
                    let of = |account: &str| query.account.as_deref().is_none_or(|wanted| wanted == account);
                    let mut expected = Vec::new();
                    for (account, entries) in ["one", "two"].into_iter().zip(here) {
                        for entry in entries.iter().filter(|_| of(account)) {
                            let mut entry = entry.clone();
                            entry.row.txn = format!("{account}-{}", entry.row.txn);
                            expected.push(entry);
                        }
                    }
                    let expected = plainly(&expected, query, |entry| has_words(entry, &query.text));
                    let (rows, total) = all(&archive, query, page).await;
                    let rows: Vec<Row> = rows
                        .into_iter()
                        .map(|mut row| {
                            row.txn = format!("{}-{}", row.account, row.txn);
                            row
                        })
                        .collect();
                    assert_eq!(by_second(&rows), expected, "{query:?}");
                    assert_eq!(total, rows.len() as u64, "{query:?}");
                }
            };
            check(&here).await;
            // Entries move to other outcomes and times, and new ones come: what was counted is told, not made anew.
            for recipe in &moves {
                let recipe = Recipe { n: recipe.n * 13 % 900, ..*recipe };
                let moved = entry(recipe);
                archive.put("one", put(vec![moved.clone()])).await.unwrap();
                match here[0].iter_mut().find(|entry| entry.row.txn == moved.row.txn) {
                    Some(entry) => *entry = moved,
                    None => here[0].push(moved),
                }
                if recipe.n.is_multiple_of(37) {
                    // In the middle, with a selection half counted.
                    archive.page(&queries[recipe.n % queries.len()], 300, page).await.unwrap();
                }
            }
            check(&here).await;
        });
    }
}

#[tokio::test]
async fn the_first_page_comes_before_all_is_counted_and_the_number_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(3_000))]).await;
    let query = HistoryQuery {
        text: "delete".to_owned(),
        ..HistoryQuery::default()
    };
    let mut changed = archive.changed();
    changed.mark_unchanged();
    let found = archive.page(&query, 0, 50).await.unwrap();
    assert_eq!(
        (found.rows.len(), found.total, found.all),
        (50, None, 3_000)
    );
    changed.changed().await.unwrap();
    let found = archive.page(&query, 2_990, 50).await.unwrap();
    assert_eq!((found.rows.len(), found.total), (10, Some(3_000)));
}

#[tokio::test]
async fn without_words_person_or_time_the_number_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(3_000)), ("two", many(600))]).await;
    let query = HistoryQuery {
        outcomes: vec![Outcome::Denied, Outcome::Voided],
        kinds: vec![Kind::Sql],
        ..HistoryQuery::default()
    };
    let found = archive.page(&query, 0, 10).await.unwrap();
    assert_eq!((found.total, found.all), (Some(240), 3_600));
    let one = HistoryQuery {
        account: Some("two".to_owned()),
        ..HistoryQuery::default()
    };
    let found = archive.page(&one, 590, 200).await.unwrap();
    assert_eq!(
        (found.total, found.all, found.rows.len()),
        (Some(600), 600, 10)
    );
    assert!(found.rows.iter().all(|row| row.account == "two"));
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let entries = many(300);
    let archive = archive(folder.path(), &[("one", entries.clone())]).await;
    let (rows, _) = all(&archive, &HistoryQuery::default(), 100).await;
    for row in rows {
        let entry = entries
            .iter()
            .find(|entry| entry.row.txn == row.txn)
            .unwrap();
        let expected = Row {
            account: "one".to_owned(),
            ..entry.row.clone()
        };
        assert_eq!(row, expected);
    }
}

#[test]
fn what_comes_again_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cache, _) = Cache::open(&folder.path().join("h.db"), "one").unwrap();
    cache.put(&put(many(50))).unwrap();
    cache.put(&put(many(50))).unwrap();
    let mut again = many(50);
    again[7].row.outcome = Outcome::Voided;
    again[7].row.ended_at = Some(entries::BEGIN + 9_999);
    cache.put(&put(again)).unwrap();
    assert_eq!(cache.entries().unwrap(), 50);
}
