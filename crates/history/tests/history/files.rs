//! The file: for its owner only, closed and opened as needed, put aside when damaged, gone when signed out.

use std::os::unix::fs::PermissionsExt as _;

use countersign_api::ipc::HistoryQuery;
use countersign_history::{Approved, Archive, Cache, MAX_PARTS, Opened, Put, Range, Step};
use countersign_model::Digest;

use crate::entries::many;
use crate::list::{archive, put};

fn step(range: Range, newest: Option<&str>, next: Option<&str>) -> Put {
    Put {
        entries: Vec::new(),
        step: Some(Step {
            range,
            newest: newest.map(str::to_owned),
            next: next.map(str::to_owned),
            left_permille: None,
        }),
    }
}

fn range(id: i64, below: Option<&str>, until: Option<&str>) -> Range {
    Range {
        id,
        below: below.map(str::to_owned),
        until: until.map(str::to_owned),
    }
}

#[tokio::test]
async fn all_of_its_files_are_for_their_owner_only_and_go_at_sign_out() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(50)), ("two", many(5))]).await;
    let files = || -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| {
                let file = file.unwrap();
                let mode = file.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{:?}", file.file_name());
                file.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        names
    };
    assert!(files().contains(&"one.db-wal".to_owned()));
    std::fs::write(folder.path().join("one.db.damaged"), "old").unwrap();
    archive.forget("one").await.unwrap();
    assert!(!folder.path().join("one.db.damaged").exists());
    assert!(files().iter().all(|name| name.starts_with("two")));
    let found = archive.page(&HistoryQuery::default(), 0, 10).await.unwrap();
    assert_eq!(found.all, 5);
    assert_eq!(
        archive.put("one", put(many(1))).await.unwrap_err().code(),
        "history_no_account"
    );
}

#[tokio::test]
async fn a_rest_closes_the_files_and_the_next_question_opens_them() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", many(50))]).await;
    let open = || folder.path().join("one.db-wal").exists();
    assert!(open());
    archive.rest().unwrap();
    // Answered by the same thread, after it rested: an unknown account opens nothing.
    assert!(archive.forget("nobody").await.is_err());
    assert!(!open(), "the last connection takes the log along");
    let found = archive.page(&HistoryQuery::default(), 0, 10).await.unwrap();
    assert_eq!((found.rows.len(), found.all), (10, 50));
    assert!(open());
}

#[test]
fn the_filling_goes_on_where_it_was_and_asks_for_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let open = || Cache::open(&path, "one").unwrap().0;
    let mut cache = open();
    // Everything, once.
    assert_eq!(cache.todo(true).unwrap(), [range(1, None, None)]);
    cache
        .put(&step(range(1, None, None), Some("n1"), Some("c1")))
        .unwrap();
    drop(cache);
    let mut cache = open();
    // What happened since, first; then the rest.
    let both = [range(2, None, Some("n1")), range(1, Some("c1"), None)];
    assert_eq!(cache.todo(true).unwrap(), both);
    assert_eq!(cache.todo(true).unwrap(), both, "asked for once");
    let newer = range(2, None, Some("n1"));
    cache
        .put(&step(newer.clone(), Some("n2"), Some("c2")))
        .unwrap();
    let three = [
        range(3, None, Some("n2")),
        range(2, Some("c2"), Some("n1")),
        range(1, Some("c1"), None),
    ];
    assert_eq!(cache.todo(true).unwrap(), three);
    // What was fetched of a part as it no longer is moves nothing.
    cache.put(&step(newer, Some("old"), None)).unwrap();
    assert_eq!(cache.todo(false).unwrap(), three);
    for range in three {
        cache.put(&step(range, None, None)).unwrap();
    }
    assert!(cache.todo(false).unwrap().is_empty());
    assert_eq!(cache.todo(true).unwrap(), [range(4, None, Some("n2"))]);
}

#[test]
fn started_over_everything_is_fetched_and_what_is_here_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::open(&folder.path().join("h.db"), "one").unwrap().0;
    cache.put(&put(many(20))).unwrap();
    cache
        .put(&step(range(1, None, None), Some("n1"), Some("c1")))
        .unwrap();
    cache.todo(true).unwrap();
    cache.start_over().unwrap();
    assert_eq!(cache.todo(true).unwrap(), [range(3, None, None)]);
    assert_eq!(cache.entries().unwrap(), 20);
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_said_to_be_filled_again() {
    for damage in [
        "not a database, and long enough to be looked at as one"
            .repeat(200)
            .as_str(),
        "",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.db");
        {
            let (mut cache, _) = Cache::open(&path, "one").unwrap();
            cache.put(&put(many(200))).unwrap();
        }
        std::fs::write(&path, damage).unwrap();
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        let archive = Archive::start().unwrap();
        let mut lost = archive.lost();
        archive.keep("one", &path).unwrap();
        let found = archive.page(&HistoryQuery::default(), 0, 10).await.unwrap();
        assert_eq!((found.rows.len(), found.again), (0, !damage.is_empty()));
        assert_eq!(lost.has_changed().unwrap(), !damage.is_empty());
        lost.mark_unchanged();
        let todo = archive.todo("one", true).await.unwrap();
        assert_eq!(todo, [range(1, None, None)]);
        archive.put("one", put(many(20))).await.unwrap();
        let all = step(range(1, None, None), Some("n"), None);
        archive.put("one", all).await.unwrap();
        let found = archive.page(&HistoryQuery::default(), 0, 10).await.unwrap();
        assert_eq!((found.all, found.again), (20, false));
        let aside = folder.path().join("one.db.damaged");
        assert_eq!(aside.exists(), !damage.is_empty());
    }
}

#[tokio::test]
async fn damage_that_is_met_later_is_put_aside_too() {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.db");
    {
        let (mut cache, found) = Cache::open(&path, "one").unwrap();
        assert_eq!(found, Opened::Whole);
        cache.put(&put(many(1_500))).unwrap();
    }
    // Pages in the middle of the file: its head still reads.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    let noise = vec![0xA5_u8; 4_096];
    for at in (10..len / 4_096).step_by(2) {
        file.write_all_at(&noise, at * 4_096).unwrap();
    }
    drop(file);
    let archive = Archive::start().unwrap();
    let lost = archive.lost();
    archive.keep("one", &path).unwrap();
    let query = HistoryQuery {
        text: "delete".to_owned(),
        ..HistoryQuery::default()
    };
    // Whichever question meets the damage: afterwards there is an empty history that says so.
    let _ = archive.page(&query, 0, 200).await;
    let _ = archive.page(&HistoryQuery::default(), 1_200, 200).await;
    let _ = archive.figures(&HistoryQuery::default()).await;
    let found = archive.page(&HistoryQuery::default(), 0, 10).await.unwrap();
    assert_eq!((found.all, found.again), (0, true));
    assert!(lost.has_changed().unwrap());
}

#[test]
fn a_file_of_another_version_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    {
        let (mut cache, _) = Cache::open(&path, "one").unwrap();
        cache.put(&put(many(10))).unwrap();
    }
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let (cache, found) = Cache::open(&path, "one").unwrap();
    assert_eq!((found, cache.entries().unwrap()), (Opened::PutAside, 0));
}

/// Entries of which each was approved here: its likeness, when, and how many parts it has.
fn approved(kinds: &[(usize, i64, usize)]) -> Put {
    let mut entries = many(kinds.len());
    for (entry, (likeness, at, parts)) in entries.iter_mut().zip(kinds) {
        entry.approved = Some(Approved {
            likeness: like(*likeness),
            at: *at,
            parts: vec![[7; 32]; *parts],
        });
    }
    put(entries)
}

fn like(likeness: usize) -> Digest {
    Digest::of(&likeness.to_be_bytes())
}

#[tokio::test]
async fn of_what_is_alike_the_last_one_approved_is_kept_and_only_so_many_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[("one", Vec::new()), ("two", Vec::new())]).await;
    let known = async |account: &str, likeness| {
        let known = archive.approved(account, like(likeness)).await.unwrap();
        known.map(|known| (known.at, known.parts.len()))
    };
    let newest_first = approved(&[
        (1, 30, 3),
        (1, 10, 1),
        (2, 20, MAX_PARTS),
        (3, 20, MAX_PARTS + 1),
    ]);
    archive.put("one", newest_first).await.unwrap();
    assert_eq!(known("one", 1).await, Some((30, 3)));
    assert_eq!(known("one", 2).await, Some((20, MAX_PARTS)));
    assert_eq!(known("one", 3).await, None, "too long to be compared");
    assert_eq!(known("two", 1).await, None, "another person's");
    let many: Vec<_> = (10..310).map(|n| (n, 100, 1)).collect();
    archive.put("one", approved(&many)).await.unwrap();
    assert_eq!(known("one", 1).await, None, "the oldest went");
    assert_eq!(known("one", 309).await, Some((100, 1)));
}
