//! Where this person's files go (XDG Base Directory and user directories), and how they are written.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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
    Ok(share()?.join("applications"))
}

/// What the person's programs share: fonts, themes, their own data.
///
/// # Errors
/// When nothing says where home is.
pub fn share() -> Result<PathBuf, FolderError> {
    base("XDG_DATA_HOME", ".local/share")
}

/// What can be made again.
///
/// # Errors
/// When nothing says where home is.
pub fn cache() -> Result<PathBuf, FolderError> {
    base("XDG_CACHE_HOME", ".cache")
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
    Ok(share()?.join("countersign"))
}

/// Where a person looks for a file that a program wrote for them; made where it is missing.
///
/// # Errors
/// When it cannot be made.
pub fn downloads() -> Result<PathBuf, FolderError> {
    let home = home()?;
    let named = fs::read_to_string(config()?.join("user-dirs.dirs"));
    let path = named
        .ok()
        .and_then(|text| download_dir(&text, &home))
        .unwrap_or_else(|| home.join("Downloads"));
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(FolderError::Io { path, source }),
    }
}

/// Who may read a file, beside the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Nobody.
    Nobody,
    /// Everybody, unless the person's `umask` says otherwise.
    Everybody,
}

/// Writes a file as a whole, and makes its folder where that is missing: a crash leaves the old file or the new one.
///
/// # Errors
/// When it cannot be written: then the old one is there still.
pub fn write_whole(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Its ending is none that a desktop looks at.
    let beside = path.with_added_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // One that a crash left may have other readers.
        Ok(()) | Err(_) => {}
    }
    let mode = match readers {
        Readers::Nobody => 0o600,
        Readers::Everybody => 0o666,
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)
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

/// The person's home.
///
/// # Errors
/// When nothing says where it is.
pub fn home() -> Result<PathBuf, FolderError> {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .ok_or(FolderError::NoHome)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_whole_is_read_by_nobody_else_where_so_wished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below/it.toml");
        write_whole(&path, b"a longer text", Readers::Everybody).unwrap();
        // As a crash in the middle leaves it.
        fs::write(dir.path().join("below/it.toml.new"), "half").unwrap();
        write_whole(&path, b"short", Readers::Nobody).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("below")).unwrap().count(), 1);
    }

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
