//! Where a user's files live (XDG base directories).

use std::path::PathBuf;

/// `$XDG_CONFIG_HOME/countersign`.
pub(crate) fn config() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_DATA_HOME/countersign`.
pub(crate) fn data() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share")
}

fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let set = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = set.or_else(|| std::env::home_dir().map(|home| home.join(below_home)))?;
    Some(base.join("countersign"))
}
