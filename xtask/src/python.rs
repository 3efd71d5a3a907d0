//! Python's part of the tests: the second OpenID provider, in a virtual environment of its own.

use std::fs;

use anyhow::{Context, Result};

use crate::run;

/// What goes into it, each at its version.
const REQUIREMENTS: &str = "tests/canaille/requirements.txt";

/// Makes `target/canaille`, when its requirements are not the ones that were installed last. It is made anew then, so
/// that nothing of an older one stays; once it is there, nothing is fetched.
pub(crate) fn install() -> Result<()> {
    let wanted =
        fs::read(run::root().join(REQUIREMENTS)).with_context(|| format!("read {REQUIREMENTS}"))?;
    let folder = run::target().join("canaille");
    let stamp = folder.join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|before| before == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).context("clear target/canaille")?;
    }
    let path = folder.to_str().context("read the path of target/")?;
    run::must(".", &["python3", "-m", "venv", path])?;
    let python = folder.join("bin/python");
    let python = python.to_str().context("read the path of target/")?;
    let pip = [python, "-m", "pip", "install", "--quiet"];
    let quietly = [
        "--disable-pip-version-check",
        "--no-input",
        "-r",
        REQUIREMENTS,
    ];
    run::must(".", &[pip.as_slice(), &quietly].concat())?;
    fs::write(&stamp, wanted).context("write the stamp of target/canaille")
}
