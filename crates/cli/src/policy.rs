//! `countersign policy check`: does a policy load, and which actions does it know?

use std::path::Path;

use anyhow::Context as _;
use countersign_model::PolicyCheck as _;
use countersign_policy::Policy;

use crate::exit::{Exit, Stop};

/// Loads the file and says what is in it.
pub(crate) fn check(path: &Path) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let policy = Policy::load(&text)
        .map_err(|error| Stop::with(Exit::Usage, format!("{}: {error}", path.display())))?;
    let actions: Vec<&str> = policy.actions().collect();
    println!("{} is a valid policy.", path.display());
    println!("digest   {}", policy.digest());
    println!("actions  {}", actions.join(", "));
    Ok(Exit::Done)
}
