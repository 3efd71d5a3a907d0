//! Runs other programs, from the root of the repository.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in a folder of the repository.
pub(crate) fn command(folder: &str, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(root().join(folder));
    command
}

/// Says what it runs, runs it, and fails when it fails.
pub(crate) fn must(folder: &str, words: &[&str]) -> Result<()> {
    println!("$ {}", words.join(" "));
    let status = command(folder, words)
        .status()
        .with_context(|| format!("start `{}`", words[0]))?;
    if !status.success() {
        bail!("`{}` failed ({status})", words.join(" "));
    }
    Ok(())
}

/// What a command prints, without showing it.
pub(crate) fn output(folder: &str, words: &[&str]) -> Result<String> {
    let output = command(folder, words)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start `{}`", words[0]))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", words.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command can be started and succeeds.
pub(crate) fn succeeds(words: &[&str]) -> bool {
    command(".", words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// How a command that was shown while it ran has ended.
pub(crate) struct Shown {
    /// It ended with 0.
    pub(crate) good: bool,
    /// What it wrote to its standard output.
    pub(crate) text: String,
}

/// How often a silent command is asked whether it has ended.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Runs a command and shows its standard output as it comes. What the command may have left behind can hold that output
/// open, so the command's own end is the end.
pub(crate) fn shown(mut command: Command) -> Result<Shown> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    let stdout = child.stdout.take().context("take standard output")?;
    let (lines, coming) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut text = String::new();
    let mut ended = None;
    loop {
        match coming.recv_timeout(ASK_EVERY) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                println!("{line}");
                text.push_str(&line);
                text.push('\n');
            }
            // Ended when last asked, and silent since.
            Err(mpsc::RecvTimeoutError::Timeout) if ended.is_some() => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                ended = child.try_wait().context("ask for the command")?
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = match ended {
        Some(status) => status,
        None => child.wait().context("wait for the command")?,
    };
    Ok(Shown {
        good: status.success(),
        text,
    })
}
