//! The memory of the log that goes into diagnostics holds messages as they are written in the source, and nothing that is
//! filled in. It tells the two apart save for one shape: a message that is nothing but what is filled in. That shape is
//! forbidden here, in every crate that is part of the agent.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

const CRATES: [&str; 5] = ["agent", "approver", "client", "history", "oidc"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// The text literals of each logging call in this source.
fn messages(source: &str) -> Vec<&str> {
    let mut all = Vec::new();
    for level in LEVELS {
        for call in source.split(&format!("tracing::{level}!(")).skip(1) {
            let call = call.split(");").next().unwrap_or(call);
            all.extend(call.split('"').skip(1).step_by(2));
        }
    }
    all
}

/// Nothing of its own: only what is filled in.
fn says_nothing_itself(message: &str) -> bool {
    message.starts_with('{') && message.ends_with('}') && message.matches('{').count() == 1
}

#[test]
fn every_message_says_something_itself() {
    assert!(says_nothing_itself("{}") && says_nothing_itself("{sentence}"));
    assert!(!says_nothing_itself("it is left: {error}") && !says_nothing_itself("{a} {b}"));
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = 0;
    for name in CRATES {
        let mut files = Vec::new();
        sources(&crates.join(name).join("src"), &mut files);
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            for message in messages(&source) {
                found += 1;
                assert!(
                    !says_nothing_itself(message),
                    "{}: `{message}`: name what happened, and put what varies into a field",
                    file.display()
                );
            }
        }
    }
    assert!(found > 50, "only {found} messages were found");
}
