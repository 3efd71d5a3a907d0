//! Texts of every script are found; nothing that is typed is syntax; people, figures and tables of a selection.

use countersign_api::ipc::{HistoryQuery, Outcome};
use countersign_history::Entry;

use crate::entries::{self, Recipe, entry, line, many};
use crate::list::{all, archive};

fn text(text: &str) -> HistoryQuery {
    HistoryQuery {
        text: text.to_owned(),
        ..HistoryQuery::default()
    }
}

fn about(n: usize, summary: &str, statement: &str) -> Entry {
    let mut entry = entry(Recipe {
        n,
        ended: n as i64,
        outcome: 1,
        kind: 1,
        requester: 5,
        voter: 5,
        mine: true,
        thing: 0,
    });
    entry.row.summary = line(summary);
    entry.texts = vec![statement.to_owned()];
    entry
}

#[tokio::test]
async fn german_arabic_and_cjk_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(
        folder.path(),
        &[(
            "one",
            vec![
                about(
                    0,
                    "Prüfe Überweisung",
                    "UPDATE straßen SET name = 'Große Straße'",
                ),
                about(1, "حذف العميل", "DELETE FROM عملاء WHERE اسم = 'أحمد'"),
                about(2, "東京都庁の顧客を削除", "DELETE FROM 顧客"),
                about(3, "고객데이터 삭제", "DELETE FROM customers"),
            ],
        )],
    )
    .await;
    for (typed, found) in [
        ("überweis", vec!["txn0"]),
        ("ueberweisung", vec!["txn0"]),
        ("strasse gross", vec!["txn0"]),
        ("عميل", vec!["txn1"]),
        ("احمد", vec!["txn1"]),
        ("顧客", vec!["txn2"]),
        ("京都庁", vec!["txn2"]),
        ("데이터", vec!["txn3"]),
        ("custo", vec!["txn3"]),
        ("delete", vec!["txn3", "txn2", "txn1"]),
    ] {
        let (rows, _) = all(&archive, &text(typed), 50).await;
        let txns: Vec<&str> = rows.iter().map(|row| row.txn.as_str()).collect();
        assert_eq!(txns, found, "{typed}");
    }
}

#[tokio::test]
async fn a_beginning_finds_few_words_and_very_many_alike() {
    let folder = tempfile::tempdir().unwrap();
    let entries = (0..100)
        .map(|n| about(n, &format!("Empty warehouse{n} of storage"), ""))
        .collect();
    let archive = archive(folder.path(), &[("one", entries)]).await;
    for (typed, found) in [
        ("ware", 100),
        ("warehouse", 100),
        ("warehouse1", 11),
        ("warehouse11", 1),
        ("warehouse111", 0),
        ("warehouse1 storage", 11),
        ("storage warehouse", 100),
        ("storages", 0),
        ("e s w", 100),
    ] {
        let (_, total) = all(&archive, &text(typed), 7).await;
        assert_eq!(total, found, "{typed}");
    }
    // A word that was never here is found once it is, also where somebody looked for it before.
    let late = about(101, "Empty warehouse111", "");
    archive
        .put("one", crate::list::put(vec![late]))
        .await
        .unwrap();
    let (rows, total) = all(&archive, &text("warehouse111"), 7).await;
    assert_eq!((rows.len(), total), (1, 1));
}

#[tokio::test]
async fn hostile_searches_are_data() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(40))]).await;
    let long = "x".repeat(5_000);
    for typed in [
        "\"",
        "\"\"\"",
        "' OR 1=1 --",
        "NEAR(a b, 3)",
        "words : delete",
        "a AND",
        "NOT",
        "^delete",
        "{words}: x",
        "delete* OR *",
        "(",
        ")",
        "\0",
        "\u{E000}m",
        "\u{E000}p1",
        "\u{202E}",
        "%_",
        "-delete",
        "+",
        "\\",
        &long,
    ] {
        let found = archive.page(&text(typed), 0, 50).await;
        assert!(found.is_ok(), "{typed:?}: {found:?}");
    }
    // What is pending is not kept: nothing, and no error.
    let pending = HistoryQuery {
        outcomes: vec![Outcome::Pending],
        ..text("delete")
    };
    assert!(archive.page(&pending, 0, 50).await.unwrap().rows.is_empty());
    // A mark of our own cannot be typed.
    let marks = archive.page(&text("\u{E000}m"), 0, 50).await.unwrap();
    let plain = archive.page(&text("m"), 0, 50).await.unwrap();
    assert_eq!(marks.rows, plain.rows);
}

#[tokio::test]
async fn people_are_those_who_asked_or_voted_with_the_most_first() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(770)), ("two", many(77))]).await;
    let people = archive.people("", None).await.unwrap();
    assert_eq!(people.len(), 11);
    assert!(people.windows(2).all(|pair| pair[0].count >= pair[1].count));
    for one in &people {
        let query = HistoryQuery {
            person: Some(one.id.clone()),
            ..HistoryQuery::default()
        };
        let (_, total) = all(&archive, &query, 200).await;
        assert_eq!(total, one.count, "{}", one.id);
    }
    let found = archive.people("mueller", Some("two")).await.unwrap();
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|one| entries::text_of(&one.name) == "Jonas Müller")
    );
    assert!(archive.people("nobody", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn figures_are_of_the_selection_and_of_my_votes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(600))]).await;
    let figures = archive.figures(&HistoryQuery::default()).await.unwrap();
    assert_eq!((figures.voted, figures.denied), (150, 50));
    assert_eq!(
        (figures.median_secs, figures.median_all_secs),
        (Some(90), Some(90))
    );
    let votes: u32 = figures
        .weeks
        .iter()
        .map(|week| week.approved + week.denied)
        .sum();
    assert_eq!(votes, 150);
    assert_eq!(
        figures
            .kinds
            .iter()
            .map(|kind| kind.approved + kind.denied)
            .sum::<u32>(),
        150
    );
    let none = archive.figures(&text("nowhere")).await.unwrap();
    assert_eq!((none.voted, none.median_secs), (0, None));
}

#[tokio::test]
async fn a_table_has_a_line_for_each_entry_and_no_formula() {
    let folder = tempfile::tempdir().unwrap();
    let mut hostile = about(0, "=HYPERLINK(\"http://x\",\"y\")", "");
    hostile.row.resource = line("a\r\n\"b\",c");
    hostile.votes[0].reason = Some(line("@SUM(1)"));
    let mut altered = about(1, "Not genuine", "");
    (altered.genuine, altered.requester, altered.votes) = (false, None, Vec::new());
    let archive = archive(folder.path(), &[("one", vec![hostile, altered])]).await;
    let path = folder.path().join("history.csv");
    let done = archive
        .csv(&HistoryQuery::default(), path.clone())
        .await
        .unwrap();
    assert_eq!(done.rows, 2);
    let written = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = written.split_inclusive("\"\r\n").collect();
    assert_eq!(lines.len(), 3, "{written}");
    assert!(lines[0].starts_with("\"request\",\"asked_at\","));
    assert!(
        lines[1].ends_with(",\"\",\"\",\"\",\"\",\"no\"\r\n"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].contains(",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\","),
        "{}",
        lines[2]
    );
    assert!(lines[2].contains(",\"a\r\n\"\"b\"\",c\","), "{}", lines[2]);
    assert!(
        lines[2].contains("\"approved\",\"90\",\"yes\"\r\n"),
        "{}",
        lines[2]
    );
    assert!(!folder.path().join("history.csv.part").exists());
    let nowhere = archive
        .csv(&HistoryQuery::default(), "/nonexistent/x.csv".into())
        .await
        .unwrap_err();
    assert_eq!(nowhere.code(), "history_not_written");
}
