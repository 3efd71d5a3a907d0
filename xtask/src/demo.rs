//! Builds everything, then becomes the demo's player (or a benchmark), so that Ctrl-C reaches it alone.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};

use crate::system::Purpose;
use crate::{node, run, system};

/// What becomes of the state of earlier runs.
pub(crate) enum State {
    /// It stays: the same people, keys and history.
    Keep,
    /// It goes.
    Reset,
}

/// All programs that a world consists of, and their player.
pub(crate) const PROGRAMS: &[&str] = &[
    "-p",
    "countersign",
    "-p",
    "countersign-agent",
    "-p",
    "countersign-window",
    "-p",
    "countersign-tests",
];

/// What a benchmark starts, and itself. The demo's player is none of it, and takes minutes to build for release.
const MEASURED: &[&str] = &[
    "countersign",
    "countersign-agent",
    "countersign-window",
    "countersign-peer-hello",
    "bench",
];

/// `cargo xtask demo`.
pub(crate) fn play(state: State) -> Result<()> {
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    node::check()?;
    system::prepare(if has_display {
        Purpose::Desktop
    } else {
        Purpose::Headless
    })?;
    node::install("tests/op")?;
    node::build_ui()?;
    println!("Building. The first time takes some minutes.");
    run::must(".", &[&["cargo", "build", "--bins"], PROGRAMS].concat())?;
    let mut player = Command::new(run::target().join("debug/demo"));
    player.current_dir(run::root());
    match state {
        State::Keep => {}
        State::Reset => {
            player.arg("--reset");
        }
    }
    Err(player.exec()).context("start the demo's player")
}

/// `cargo xtask bench NAME`.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    node::check()?;
    system::prepare(Purpose::Benches)?;
    node::install("tests/op")?;
    node::build_ui()?;
    let bins: Vec<&str> = MEASURED.iter().flat_map(|name| ["--bin", *name]).collect();
    run::must(
        ".",
        &[
            &["cargo", "build", "--release"],
            PROGRAMS,
            &["-p", "countersign-peer-hello"],
            bins.as_slice(),
        ]
        .concat(),
    )?;
    let mut bench = Command::new(run::target().join("release/bench"));
    Err(bench.args(arguments).current_dir(run::root()).exec()).context("start the benchmark")
}
