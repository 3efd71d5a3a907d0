//! The demo's player: starts all parts, then offers the main job to the person at this desktop, or, where there is no
//! display, plays it by itself on a made one and leaves pictures and evidence. `cargo xtask demo` builds and calls it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use countersign_tests::desktop::Daemon;
use countersign_tests::paths;
use countersign_tests::play::play;
use countersign_tests::stage::{Stage, Whose};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let state = state_folder();
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--reset") => reset(&state)?,
        Some(other) => anyhow::bail!("`{other}` is no option; there is only --reset"),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if has_display {
        runtime.block_on(offer(state))
    } else {
        runtime.block_on(play_alone(state))
    }
}

/// Clears the state of earlier runs. Processes that a crashed one left are ended first: their record goes with it.
fn reset(state: &Path) -> Result<()> {
    if !state.exists() {
        return Ok(());
    }
    drop(countersign_tests::owned::Processes::new(state)?);
    std::fs::remove_dir_all(state).with_context(|| format!("clear {}", state.display()))
}

fn state_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| paths::root().join("target"), PathBuf::from)
        .join("demo")
}

/// For the person at this desktop.
async fn offer(state: PathBuf) -> Result<()> {
    let mut stage = Stage::start(&state, Whose::Theirs)?;
    stage.start_app()?;
    let programs = paths::program("countersign")?;
    let programs = programs.parent().context("find the programs")?;
    println!(
        "
Countersign opens on your desktop. Sign in there as elin (password elin-demo).

In a second terminal, be the developer, mara (password mara-demo). Her call is held:

  export PATH={}:$PATH
  {}

In a third, be the second approver, jonas (password jonas-demo); the first line signs him in:

  export PATH={}:$PATH
  {}
  {}   # then: approve ID

Your browser remembers who signed in last; the provider asks for a password each time all the same.
State lies in {}. Ctrl-C ends everything.",
        programs.display(),
        stage.curl("-X DELETE", "/customers/42"),
        programs.display(),
        stage.approve("jonas", &format!("sign-in {}", stage.server_url)),
        stage.approve("jonas", "list"),
        state.display(),
    );
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    println!("\nEnding.");
    drop(stage);
    Ok(())
}

/// By itself. Ctrl-C ends it in order: the watcher of the processes does the rest.
async fn play_alone(state: PathBuf) -> Result<()> {
    println!("There is no display, so the story is played on a made one.");
    let began = Instant::now();
    let playing = tokio::task::spawn_blocking(move || -> Result<()> {
        let mut stage = Stage::start(&state, Whose::Made(Daemon::Xfce))?;
        let played = play(&mut stage)?;
        println!("\nAll as it should be, in {} s.", began.elapsed().as_secs());
        println!("Pictures: {}", stage.state().join("shots").display());
        println!("Evidence: {}", played.evidence.display());
        println!("Trust:    {}", played.trust.display());
        Ok(())
    });
    tokio::select! {
        done = playing => done.context("play")?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("wait for Ctrl-C")?;
            println!("\nEnding.");
            // Leaves the playing thread where it is; what it started ends with this process.
            std::process::exit(130);
        }
    }
}
