//! Killed in the middle of the filling, again and again: what is there is whole, and the filling ends with all of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use countersign_api::ipc::HistoryQuery;
use countersign_history::{Cache, Put, Step};

use crate::entries::{by_second, many, plainly};
use crate::list::all;

/// Names the folder for the process that fills.
const FOLDER: &str = "COUNTERSIGN_TEST_FILLS";
const PAGES: usize = 60;
const PER_PAGE: usize = 40;
/// Pages that are fetched before somebody has heard that the first of them was kept.
const AHEAD: usize = 2;

/// Fills from the pages of a server that numbers them, each when it is told to, and says that it is kept.
fn fill(path: &Path) {
    let (mut cache, _) = Cache::open(path, "one").unwrap();
    let all = many(PAGES * PER_PAGE);
    let mut told = std::io::stdin().lines();
    while let Some(range) = cache.todo(false).unwrap().into_iter().next() {
        told.next().unwrap().unwrap();
        let page: usize = range
            .below
            .as_deref()
            .map_or(0, |below| below.parse().unwrap());
        let entries = all[page * PER_PAGE..(page + 1) * PER_PAGE].to_vec();
        let next = (page + 1 < PAGES).then(|| (page + 1).to_string());
        let step = Step {
            range,
            newest: (page == 0).then(|| "newest".to_owned()),
            next,
            left_permille: None,
        };
        cache
            .put(&Put {
                entries,
                step: Some(step),
            })
            .unwrap();
        println!("kept {page}");
    }
    println!("done");
}

/// Not a test of its own: the process that is killed.
#[test]
fn fills_when_told_to() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        fill(&Path::new(&folder).join("h.db"));
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_filling_it_goes_on_and_ends_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let mut kills = 0;
    loop {
        let mut filler = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashes::fills_when_told_to", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // SIGKILL right after it said a page: somewhere in the next one.
        let lines = BufReader::new(filler.stdout.take().unwrap()).lines();
        let mut go = filler.stdin.take().unwrap();
        go.write_all("go\n".repeat(AHEAD).as_bytes()).unwrap();
        let mut kept = 0;
        let mut done = false;
        for line in lines {
            let line = line.unwrap();
            done |= line.contains("done");
            if line.contains("kept") {
                kept += 1;
                // After its last page it no longer listens.
                let _ = go.write_all(b"go\n");
            }
            if kept == 3 + kills % 5 && kills < 8 {
                filler.kill().unwrap();
                break;
            }
        }
        filler.wait().unwrap();
        let (cache, found) = Cache::open(&path, "one").unwrap();
        assert_eq!(found, countersign_history::Opened::Whole);
        let here = cache.entries().unwrap() as usize;
        assert!(
            here.is_multiple_of(PER_PAGE),
            "{here}: a page is there whole or not at all"
        );
        assert!(here >= kept * PER_PAGE);
        if done {
            break;
        }
        kills += 1;
        assert!(kills < 40, "it never ends");
    }
    assert!(kills >= 8, "it was killed");
    let archive = countersign_history::Archive::start().unwrap();
    archive.keep("one", &path).unwrap();
    let query = HistoryQuery::default();
    let (rows, total) = all(&archive, &query, 200).await;
    assert_eq!(total as usize, PAGES * PER_PAGE);
    assert_eq!(
        by_second(&rows),
        plainly(&many(PAGES * PER_PAGE), &query, |_| true)
    );
}
