//! The vectors of `docs/spec/vectors`: made here with fixed keys and times, compared with the files, and checked
//! once more by `docs/spec/check.py`, which shares no code. `UPDATE_VECTORS=1` writes them anew.

#![allow(clippy::unwrap_used, clippy::type_complexity, missing_docs)]

mod ask;
mod binding;
#[path = "../common/mod.rs"]
mod common;
mod grant;
mod operation;
mod step_up;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec")
}

fn compare(name: &str, vectors: &Value) {
    let path = spec().join("vectors").join(name);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&common::sorted(vectors)).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let text = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run with UPDATE_VECTORS=1", path.display()));
    let found: Value = serde_json::from_slice(&text).unwrap();
    assert!(
        found == *vectors,
        "{name} is not what the code makes: run with UPDATE_VECTORS=1 and read the difference"
    );
}

#[test]
fn another_language_agrees() {
    // The vectors are checked once more by a program that shares no code with this one.
    let script = spec().join("check.py");
    let output = Command::new("python3")
        .arg(&script)
        .output()
        .expect("python3 is needed to check the vectors");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
