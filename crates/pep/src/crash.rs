//! Ends a debug build at a named point, as kill -9 would: for tests of what a crash leaves.
//!
//! `COUNTERSIGN_KILL_AT=P4` ends the process at the comment `CRASH P4`. A release build knows nothing of it.

use std::sync::OnceLock;

/// The points of this crate and of the gates above it, in the order in which an approval meets them.
pub const POINTS: [&str; 9] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "G1"];

/// A point. `name` is the one of its `CRASH` comment.
pub fn point(name: &str) {
    static AT: OnceLock<Option<String>> = OnceLock::new();
    if cfg!(debug_assertions)
        && AT
            .get_or_init(|| std::env::var("COUNTERSIGN_KILL_AT").ok())
            .as_deref()
            == Some(name)
    {
        // No destructor runs and nothing is flushed.
        std::process::abort();
    }
}
