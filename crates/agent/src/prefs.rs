//! `agent.toml`: what the person, or whoever set up the machine, prefers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_api::ipc::Theme;
use serde::Deserialize;

/// The file's content; see `agent.example.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prefs {
    /// The server that is filled in on first run.
    pub server: Option<String>,
    /// The look.
    pub theme: Theme,
}

impl Default for Prefs {
    fn default() -> Self {
        Self {
            server: None,
            theme: Theme::System,
        }
    }
}

/// Why the preferences could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrefsError {
    /// The file fails.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {sentence}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What, and in which line.
        sentence: String,
    },
}

impl Prefs {
    /// Reads the file; one that is not there says nothing.
    ///
    /// # Errors
    /// When it cannot be read, or holds anything unknown.
    pub fn read(path: &Path) -> Result<Self, PrefsError> {
        toml::from_str(&text(path)?).map_err(|error| content(path, &error))
    }
}

/// Writes the theme into the file and leaves everything else in it, comments too, as it was.
///
/// # Errors
/// When it cannot be read or written.
pub fn write_theme(path: &Path, theme: Theme) -> Result<(), PrefsError> {
    let mut document: toml_edit::DocumentMut =
        text(path)?.parse().map_err(|error| content(path, &error))?;
    document["theme"] = toml_edit::value(match theme {
        Theme::System => "system",
        Theme::Light => "light",
        Theme::Dark => "dark",
    });
    let written = match path.parent() {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    };
    // Beside it and then over it: a crash leaves the old file or the new one.
    let beside = path.with_extension("toml.new");
    written
        .and_then(|()| fs::write(&beside, document.to_string()))
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| PrefsError::Io {
            path: path.to_owned(),
            source,
        })
}

fn text(path: &Path) -> Result<String, PrefsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(PrefsError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

fn content(path: &Path, error: &dyn std::fmt::Display) -> PrefsError {
    PrefsError::Content {
        path: path.to_owned(),
        sentence: error.to_string().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_accepted_and_says_what_is_so_anyway() {
        let prefs: Prefs = toml::from_str(include_str!("../agent.example.toml")).unwrap();
        assert_eq!(prefs, Prefs::default());
    }

    #[test]
    fn a_missing_file_is_no_preference_and_an_unknown_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        assert_eq!(Prefs::read(&path).unwrap(), Prefs::default());
        fs::write(&path, "sever = \"https://x\"\n").unwrap();
        let error = Prefs::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("line 1") && error.contains("sever"),
            "{error}"
        );
    }

    #[test]
    fn the_theme_is_written_and_comments_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countersign/agent.toml");
        write_theme(&path, Theme::Dark).unwrap();
        assert_eq!(Prefs::read(&path).unwrap().theme, Theme::Dark);
        fs::write(
            &path,
            "# ours\nserver = \"https://a.example\"\ntheme = \"dark\" # at night\n",
        )
        .unwrap();
        write_theme(&path, Theme::Light).unwrap();
        let now = fs::read_to_string(&path).unwrap();
        assert!(
            now.starts_with("# ours\nserver = \"https://a.example\"\ntheme = \"light\""),
            "{now}"
        );
    }
}
