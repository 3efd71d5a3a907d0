//! Approve held and Deny clicked by the pointer, in the real window, after the pointer clicked the real notification.

#![allow(clippy::unwrap_used)]

use countersign_tests::desktop::Daemon;
use countersign_tests::play::play_hold;
use countersign_tests::setup::Rules;
use countersign_tests::stage::{Stage, Whose};

#[test]
fn approve_is_held_and_deny_clicked_by_the_pointer_in_the_real_window() {
    let state = tempfile::tempdir().unwrap();
    let mut stage =
        Stage::start_by(state.path(), Whose::Made(Daemon::Xfce), Rules::QueryLevel).unwrap();
    let played = play_hold(&mut stage);
    if played.is_err() {
        let kept = state.keep();
        eprintln!("pictures and logs: {}", kept.display());
    }
    let pictures = played.unwrap();
    assert!(pictures.iter().all(|picture| picture.is_file()));
}
