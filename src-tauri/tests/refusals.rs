//! When the window refuses to start, each time with its own code, which the agent acts on, and one sentence.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

/// The window with nothing of this session's environment, so that it finds no display.
fn window(name: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-window"));
    command.env_clear().env(name, "127.0.0.1:1");
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
#[cfg(not(feature = "automation"))]
fn a_window_that_others_could_drive_does_not_start() {
    for name in [
        "TAURI_WEBVIEW_AUTOMATION",
        "WEBKIT_INSPECTOR_SERVER",
        "WEBKIT_INSPECTOR_HTTP_SERVER",
    ] {
        let Output { status, stderr, .. } = window(name);
        assert_eq!(status.code(), Some(2), "{name}");
        let said = String::from_utf8(stderr).unwrap();
        assert!(said.contains(name) && said.contains("Unset it"), "{said}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_window_without_a_display_says_so() {
    let Output { status, stderr, .. } = window("COUNTERSIGN_SOCKET");
    assert_eq!(status.code(), Some(3));
    assert!(String::from_utf8(stderr).unwrap().contains("no display"));
}
