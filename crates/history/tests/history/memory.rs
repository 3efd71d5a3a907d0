//! What filling holds in memory does not grow with what there is to fill.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use countersign_history::Archive;

use crate::entries::many;
use crate::list::put;

/// Names the folder for the process that is looked at.
const FOLDER: &str = "COUNTERSIGN_TEST_GROWS";
const ENTRIES: usize = 4_000;
/// After so many the caches of the database are full.
const FIRST: usize = 1_000;
const PER_PAGE: usize = 100;
/// What the rest may take more, in KiB. Kept in memory it would be more than twice as much.
const MOST_KIB: u64 = 4_096;

/// The most memory that this process had so far, in KiB.
fn most_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1);
    kib.unwrap().parse().unwrap()
}

/// Not a test of its own: the process that is looked at.
#[tokio::test]
async fn grows_when_told_to() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let archive = Archive::start().unwrap();
    archive
        .keep("one", &Path::new(&folder).join("h.db"))
        .unwrap();
    let all = many(ENTRIES);
    let mut first = 0;
    for (n, page) in all.chunks(PER_PAGE).enumerate() {
        archive.put("one", put(page.to_vec())).await.unwrap();
        if (n + 1) * PER_PAGE == FIRST {
            first = most_kib();
        }
    }
    println!("grew {} KiB", most_kib() - first);
}

#[test]
fn filling_takes_no_more_memory_the_longer_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::grows_when_told_to", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let grew = said.split("grew ").nth(1).unwrap();
    let kib: u64 = grew.split(' ').next().unwrap().parse().unwrap();
    assert!(kib < MOST_KIB, "{kib} KiB");
}
