//! An approval that the provider confirms, in the real window with a real browser; and a crash of the whole app in the
//! middle of it.

#![allow(clippy::unwrap_used)]

use countersign_tests::desktop::Daemon;
use countersign_tests::play::play_step_up;
use countersign_tests::setup::Rules;
use countersign_tests::stage::{Stage, Whose};

#[test]
fn a_step_up_in_the_real_window_survives_a_crash_of_the_app() {
    let state = tempfile::tempdir().unwrap();
    let mut stage =
        Stage::start_by(state.path(), Whose::Made(Daemon::None), Rules::QueryLevel).unwrap();
    let played = play_step_up(&mut stage);
    if played.is_err() {
        let kept = state.keep();
        eprintln!("pictures and logs: {}", kept.display());
    }
    let pictures = played.unwrap();
    assert!(pictures.iter().all(|picture| picture.is_file()));
    for program in ["server", "gate", "agent"] {
        let said = stage.processes.said(program);
        // Every token of this world is a JWT with this beginning.
        assert!(!said.contains("eyJ"), "the log of {program} holds a token");
    }
}
