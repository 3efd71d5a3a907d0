//! Where things are in the repository, and what cargo has built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// A program of the provider's npm package, such as `op.mjs`.
#[must_use]
pub fn node_program(name: &str) -> PathBuf {
    root().join("tests/op").join(name)
}

/// A program that cargo has built: beside the running one, or a folder up from a test.
///
/// # Errors
/// When it has not been built.
pub fn program(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("ask for my own path")?;
    let found = me
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    match found {
        Some(path) => Ok(path),
        None => bail!("`{name}` has not been built: `cargo xtask test --only e2e` builds it first"),
    }
}
