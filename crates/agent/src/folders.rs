//! Where this person's files go (XDG Base Directory and user directories).

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no such folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nothing says where home is.
    #[error("HOME is not set, so there is no folder to write to")]
    NoHome,
    /// It cannot be made.
    #[error("the folder {path} cannot be made: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// `agent.toml`.
///
/// # Errors
/// When nothing says where home is.
pub fn prefs_file() -> Result<PathBuf, FolderError> {
    Ok(config()?.join("countersign/agent.toml"))
}

/// The person's settings, of all programs.
///
/// # Errors
/// When nothing says where home is.
pub fn config() -> Result<PathBuf, FolderError> {
    base("XDG_CONFIG_HOME", ".config")
}

/// The settings of whoever set up the machine, the most important folder first.
#[must_use]
pub fn config_of_machine() -> Vec<PathBuf> {
    listed("XDG_CONFIG_DIRS", "/etc/xdg")
}

/// Where the person's own programs are listed.
///
/// # Errors
/// When nothing says where home is.
pub fn applications() -> Result<PathBuf, FolderError> {
    Ok(base("XDG_DATA_HOME", ".local/share")?.join("applications"))
}

/// Where the machine's programs are listed, the most important folder first.
#[must_use]
pub fn applications_of_machine() -> Vec<PathBuf> {
    listed("XDG_DATA_DIRS", "/usr/local/share:/usr/share")
        .into_iter()
        .map(|folder| folder.join("applications"))
        .collect()
}

/// What the approver's program keeps.
///
/// # Errors
/// When nothing says where home is.
pub fn data() -> Result<PathBuf, FolderError> {
    Ok(base("XDG_DATA_HOME", ".local/share")?.join("countersign"))
}

/// Where a person looks for a file that a program wrote for them; made where it is missing.
///
/// # Errors
/// When it cannot be made.
pub fn downloads() -> Result<PathBuf, FolderError> {
    let home = home()?;
    let named = std::fs::read_to_string(config()?.join("user-dirs.dirs"));
    let path = named
        .ok()
        .and_then(|text| download_dir(&text, &home))
        .unwrap_or_else(|| home.join("Downloads"));
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(FolderError::Io { path, source }),
    }
}

/// The entry of `user-dirs.dirs`, whose values are absolute or start with `$HOME/`.
fn download_dir(text: &str, home: &Path) -> Option<PathBuf> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("XDG_DOWNLOAD_DIR="))?
        .trim()
        .trim_matches('"');
    match value.strip_prefix("$HOME/") {
        Some(below) => Some(home.join(below)),
        None if value.starts_with('/') => Some(PathBuf::from(value)),
        None => None,
    }
}

fn base(variable: &str, below_home: &str) -> Result<PathBuf, FolderError> {
    // The specification: a path that is not absolute is to be ignored.
    match std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
    {
        Some(path) => Ok(path),
        None => Ok(home()?.join(below_home)),
    }
}

/// A list of folders; what is not absolute in it is ignored, as the specification says.
fn listed(variable: &str, otherwise: &str) -> Vec<PathBuf> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty());
    std::env::split_paths(&named.unwrap_or_else(|| otherwise.into()))
        .filter(|path| path.is_absolute())
        .collect()
}

fn home() -> Result<PathBuf, FolderError> {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .ok_or(FolderError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_download_folder_is_the_one_that_the_desktop_names() {
        let home = Path::new("/srv/elin");
        let text = "# comment\nXDG_DESKTOP_DIR=\"$HOME/Schreibtisch\"\nXDG_DOWNLOAD_DIR=\"$HOME/Nedladdat\"\n";
        assert_eq!(
            download_dir(text, home),
            Some(PathBuf::from("/srv/elin/Nedladdat"))
        );
        assert_eq!(
            download_dir("XDG_DOWNLOAD_DIR=\"/data/in\"", home),
            Some(PathBuf::from("/data/in"))
        );
        assert_eq!(download_dir("XDG_DOWNLOAD_DIR=\"relative\"", home), None);
        assert_eq!(download_dir("", home), None);
    }
}
