//! `agent.toml`: what the person, or whoever set up the machine, prefers.

mod file;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_api::ipc;

use crate::folders::{self, Readers};
use file::{File, lines};

/// What the file says; see `agent.example.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefs {
    /// The server that is filled in on first run.
    pub server: Option<String>,
    /// What the window shows and changes.
    pub window: ipc::Prefs,
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
        let file: File =
            toml_edit::de::from_str(&text(path)?).map_err(|error| content(path, &error))?;
        Ok(file.into())
    }
}

/// Writes what the window changed into the file and leaves everything else in it, comments too, as it was.
///
/// # Errors
/// When it cannot be read or written, or a value is none of those that there are.
pub fn write(path: &Path, prefs: &ipc::Prefs) -> Result<(), PrefsError> {
    let mut document: toml_edit::DocumentMut =
        text(path)?.parse().map_err(|error| content(path, &error))?;
    for (key, value) in lines(prefs) {
        document[key] = toml_edit::Item::Value(value);
    }
    let text = document.to_string();
    // What is written is read again first: a value that there is not never gets into the file.
    toml_edit::de::from_str::<File>(&text).map_err(|error| content(path, &error))?;
    // A proxy's address may hold a password.
    folders::write_whole(path, text.as_bytes(), Readers::Nobody).map_err(|source| PrefsError::Io {
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
    use countersign_api::ipc::{Language, LogLevel, Proxy, QuietHours, Theme};

    use super::*;

    #[test]
    fn the_example_is_accepted_and_says_what_is_so_anyway() {
        let file: File = toml_edit::de::from_str(include_str!("../agent.example.toml")).unwrap();
        assert_eq!(Prefs::from(file), Prefs::default());
        // Each line that the settings page writes is explained there.
        let example: toml::Table = toml::from_str(include_str!("../agent.example.toml")).unwrap();
        for (key, _) in lines(&ipc::Prefs::default()) {
            assert!(example.contains_key(key), "{key}");
        }
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
            autostart: false,
            keep_in_tray: false,
            reminder: None,
            quiet: QuietHours {
                on: true,
                from: 22 * 60 + 30,
                to: 6 * 60 + 5,
            },
            sound: false,
            proxy: Proxy::Url {
                url: "http://proxy.example.com:3128".to_owned(),
            },
            log: LogLevel::Debug,
            known_devices: vec!["uJ2tB8rM1yQ0kVe7nZ4sHwGaP9dLfO6iT3bRqN-UXc5".to_owned()],
        };
        write(&path, &prefs).unwrap();
        assert_eq!(Prefs::read(&path).unwrap().window, prefs);
        fs::write(
            &path,
            "# ours\nserver = \"https://a.example\"\ntheme = \"dark\" # at night\n",
        )
        .unwrap();
        let light = ipc::Prefs {
            theme: Theme::Light,
            ..ipc::Prefs::default()
        };
        write(&path, &light).unwrap();
        let now = fs::read_to_string(&path).unwrap();
        assert!(
            now.starts_with("# ours\nserver = \"https://a.example\"\ntheme = \"light\""),
            "{now}"
        );
        assert_eq!(Prefs::read(&path).unwrap().window, light);
    }

    #[test]
    fn a_value_that_there_is_not_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        for line in [
            "text_size = 1000",
            "theme = \"blue\"",
            "language = \"fr\"",
            "reminder_secs = 119",
            "quiet_from = \"24:00\"",
            "quiet_from = \"7:00\"",
            "quiet_to = \"07:60\"",
            "quiet_to = \"+7:+5\"",
            "proxy = \"socks5://proxy.example.com\"",
            "proxy = \"proxy.example.com\"",
            "proxy = \"http://proxy.example.com/path\"",
            "log = \"trace\"",
            "autostart = \"yes\"",
        ] {
            fs::write(&path, format!("# of mine\n{line}\n")).unwrap();
            let error = Prefs::read(&path).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{line}: {error}");
        }
    }

    #[test]
    fn a_window_that_sends_a_value_that_there_is_not_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let fine = ipc::Prefs::default;
        let quiet = |from, to| QuietHours { on: true, from, to };
        for wrong in [
            ipc::Prefs {
                text_size: 1000,
                ..fine()
            },
            ipc::Prefs {
                reminder: Some(0),
                ..fine()
            },
            ipc::Prefs {
                reminder: Some(u32::MAX),
                ..fine()
            },
            ipc::Prefs {
                quiet: quiet(1440, 0),
                ..fine()
            },
            ipc::Prefs {
                quiet: quiet(0, u16::MAX),
                ..fine()
            },
            ipc::Prefs {
                proxy: Proxy::Url {
                    url: "file:///etc/passwd".to_owned(),
                },
                ..fine()
            },
        ] {
            assert!(write(&path, &wrong).is_err(), "{wrong:?}");
            assert!(!path.exists());
        }
    }
}
