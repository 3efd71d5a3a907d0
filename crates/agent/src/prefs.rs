//! `agent.toml`: what the person, or whoever set up the machine, prefers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_api::ipc::{self, Language, Theme};
use serde::Deserialize;

/// The file's content; see `agent.example.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prefs {
    /// The server that is filled in on first run.
    pub server: Option<String>,
    /// The look.
    pub theme: Theme,
    /// The language.
    pub language: Language,
    /// In percent, one of [`ipc::Prefs::TEXT_SIZES`].
    pub text_size: u16,
    /// What has to work for requests to arrive was tried out on this device.
    pub greeted: bool,
}

impl Default for Prefs {
    fn default() -> Self {
        let ipc::Prefs {
            theme,
            language,
            text_size,
            greeted,
        } = ipc::Prefs::default();
        Self {
            server: None,
            theme,
            language,
            text_size,
            greeted,
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
        let prefs: Self = toml::from_str(&text(path)?).map_err(|error| content(path, &error))?;
        known_size(path, prefs.text_size)?;
        Ok(prefs)
    }

    /// What of it the window shows and changes.
    #[must_use]
    pub fn window(&self) -> ipc::Prefs {
        let Self {
            server: _, // Of the first run alone.
            theme,
            language,
            text_size,
            greeted,
        } = *self;
        ipc::Prefs {
            theme,
            language,
            text_size,
            greeted,
        }
    }
}

/// Writes what the window changed into the file and leaves everything else in it, comments too, as it was.
///
/// # Errors
/// When it cannot be read or written, or a value is none of those that there are.
pub fn write(path: &Path, prefs: ipc::Prefs) -> Result<(), PrefsError> {
    let ipc::Prefs {
        theme,
        language,
        text_size,
        greeted,
    } = prefs;
    known_size(path, text_size)?;
    let mut document: toml_edit::DocumentMut =
        text(path)?.parse().map_err(|error| content(path, &error))?;
    document["theme"] = toml_edit::value(match theme {
        Theme::System => "system",
        Theme::Light => "light",
        Theme::Dark => "dark",
    });
    document["language"] = toml_edit::value(match language {
        Language::System => "system",
        Language::En => "en",
        Language::De => "de",
    });
    document["text_size"] = toml_edit::value(i64::from(text_size));
    document["greeted"] = toml_edit::value(greeted);
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

fn known_size(path: &Path, text_size: u16) -> Result<(), PrefsError> {
    let sizes = ipc::Prefs::TEXT_SIZES;
    if sizes.contains(&text_size) {
        return Ok(());
    }
    let sizes = sizes.map(|size| size.to_string()).join(", ");
    let sentence = format!("text_size {text_size} is none of {sizes}");
    Err(content(path, &sentence))
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
    fn what_the_window_prefers_is_written_and_comments_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countersign/agent.toml");
        let prefs = ipc::Prefs {
            theme: Theme::Dark,
            language: Language::De,
            text_size: 150,
            greeted: true,
        };
        write(&path, prefs).unwrap();
        assert_eq!(Prefs::read(&path).unwrap().window(), prefs);
        fs::write(
            &path,
            "# ours\nserver = \"https://a.example\"\ntheme = \"dark\" # at night\n",
        )
        .unwrap();
        let light = ipc::Prefs {
            theme: Theme::Light,
            ..ipc::Prefs::default()
        };
        write(&path, light).unwrap();
        let now = fs::read_to_string(&path).unwrap();
        assert!(
            now.starts_with("# ours\nserver = \"https://a.example\"\ntheme = \"light\""),
            "{now}"
        );
    }

    #[test]
    fn a_text_size_that_there_is_not_is_refused_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let huge = ipc::Prefs {
            text_size: 1000,
            ..ipc::Prefs::default()
        };
        assert!(write(&path, huge).is_err());
        assert!(!path.exists());
        fs::write(&path, "text_size = 1000\n").unwrap();
        let error = Prefs::read(&path).unwrap_err().to_string();
        assert!(error.contains("1000"), "{error}");
    }
}
