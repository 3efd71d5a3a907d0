//! Node and what npm brings: the window's UI, and the provider of the tests.

use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::run;

/// The oldest Node that will do.
const OLDEST: u32 = 20;

/// Checks Node's version.
pub(crate) fn check() -> Result<()> {
    let version = run::output(".", &["node", "--version"])
        .context("Node is needed (20 or newer, with npm) and `node` cannot be started")?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|text| text.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST => Ok(()),
        Some(_) | None => bail!(
            "Node {OLDEST} or newer is needed, and `node` is {}. Debian 12 brings 18: please install a newer one first",
            version.trim()
        ),
    }
}

/// `npm ci` in a folder, when its lock file is not the one that was installed last.
pub(crate) fn install(folder: &str) -> Result<()> {
    let lock = fs::read(run::root().join(folder).join("package-lock.json"))
        .with_context(|| format!("read {folder}/package-lock.json"))?;
    let stamp = run::target()
        .join("npm")
        .join(format!("{}.lock", folder.replace('/', "-")));
    let modules = run::root().join(folder).join("node_modules");
    if modules.is_dir() && fs::read(&stamp).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    run::must(
        folder,
        &["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
    )?;
    fs::create_dir_all(run::target().join("npm")).context("make target/npm")?;
    fs::write(&stamp, lock).context("write the npm stamp")
}

/// Builds the window's UI into `ui/dist`, when something that it is made of is newer.
pub(crate) fn build_ui() -> Result<()> {
    install("ui")?;
    let ui = run::root().join("ui");
    let built = fs::metadata(ui.join("dist/index.html")).and_then(|meta| meta.modified());
    let newest = newest_under(&ui).context("look through ui/")?;
    if built.is_ok_and(|built| built >= newest) {
        return Ok(());
    }
    run::must("ui", &["npm", "run", "--silent", "build"])
}

fn newest_under(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if ["node_modules", "dist", "shots"]
            .iter()
            .any(|name| entry.file_name() == *name)
        {
            continue;
        }
        let meta = entry.metadata()?;
        let time = if meta.is_dir() {
            newest_under(&entry.path())?
        } else {
            meta.modified()?
        };
        newest = newest.max(time);
    }
    Ok(newest)
}
