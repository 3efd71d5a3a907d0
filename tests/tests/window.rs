//! The whole story in the real window, with the built programs: a browser, a keyring, a notification that a pointer
//! clicks, a card that eyes read. The same that `cargo xtask demo` plays where there is no display.

#![allow(clippy::unwrap_used)]

use std::fs;

use countersign_tests::desktop::Daemon;
use countersign_tests::play::play;
use countersign_tests::stage::{Stage, Whose};

#[test]
fn the_story_in_the_real_window() {
    let state = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(state.path(), Whose::Made(Daemon::Xfce)).unwrap();
    let played = play(&mut stage);
    // Where it failed, the pictures are what one wants to see.
    if played.is_err() {
        let kept = state.keep();
        eprintln!("pictures and logs: {}", kept.display());
    }
    let played = played.unwrap();
    assert!(played.pictures.iter().all(|picture| picture.is_file()));
    for program in ["server", "gate", "agent"] {
        let said = stage.processes.said(program);
        assert!(!said.is_empty(), "{program} says nothing");
        // Every token of this world is a JWT with this beginning.
        assert!(!said.contains("eyJ"), "the log of {program} holds a token");
        assert!(
            !said.contains("account was closed"),
            "the log of {program} holds the requester's words"
        );
    }
    let evidence = fs::read_to_string(played.evidence).unwrap();
    assert!(evidence.contains("operation_b64"));
}
