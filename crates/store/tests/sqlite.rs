//! SQLite against the conformance suite, its lock, its versions.
#![allow(clippy::unwrap_used)]

mod conformance;

use std::path::Path;

use conformance::{binding, get, person, request, suite, tx};
use countersign_model::{Person, UnixSecs};
use countersign_store::{
    NewRequest, SeenKind, SqliteOptions, SqliteStore, Store, StoreError, Write,
};

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, &SqliteOptions::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    suite(|| open(folder.path())).await;
}

#[tokio::test]
async fn a_second_process_or_handle_cannot_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = SqliteStore::open(folder.path(), &SqliteOptions::default());
    let Err(StoreError::Open(text)) = second else {
        panic!("two writers on one file")
    };
    assert!(text.contains("another process has the store"), "{text}");
    drop(first);
    open(folder.path());
}

#[tokio::test]
async fn nobody_else_on_the_computer_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = open(&state);
    store
        .commit(tx(vec![Write::AddBinding(Box::new(binding("elin")))]))
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for file in ["countersign.db", "countersign.db-wal"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let connection = rusqlite::Connection::open(folder.path().join("countersign.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(
        SqliteStore::open(folder.path(), &SqliteOptions::default()),
        Err(StoreError::Open(text)) if text.contains("99")
    ));
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("countersign.db")).unwrap();
    connection
        .execute_batch(include_str!("version1.sql"))
        .unwrap();
    drop(connection);
    let store = open(folder.path());
    let row = get(&store, "old").await;
    let elin = person("elin");
    assert_eq!(
        (&row.votes[0].person, row.votes[0].step_up.as_ref()),
        (&elin, None)
    );
    let counted = &row.state.votes()[0];
    assert_eq!(
        (&counted.subject, &counted.person),
        (&elin, &Person::Account(elin.clone()))
    );
    assert_eq!((row.first.len(), counted.stage.as_ref()), (0, None));

    // Its requester is no newcomer; any revocation ends its device.
    let again = NewRequest {
        seen: vec![
            (SeenKind::Requester, String::new()),
            (SeenKind::Resource, "orders.customer 42".into()),
            (SeenKind::Device, "laptop".into()),
        ],
        ..request("new")
    };
    let revoke = Write::RevokeBindings {
        person: elin,
        signed_in_until: UnixSecs(1),
        sid: None,
        at: UnixSecs(130),
    };
    let writes = vec![Write::OpenRequest(Box::new(again)), revoke];
    store.commit(tx(writes)).await.unwrap();
    assert_eq!(get(&store, "new").await.first, [SeenKind::Device]);
    assert_eq!(store.with_revoked_votes(9).await.unwrap().len(), 1);
    assert_eq!(
        store.denied(row.same, None).await.unwrap(),
        None,
        "nothing old asks for the same"
    );
    drop(store);
    open(folder.path());
}
