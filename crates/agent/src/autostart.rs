//! Starting with the desktop: an entry in the person's autostart folder (freedesktop.org Desktop Application Autostart
//! Specification). Where somebody else switched it off, in the desktop's own settings, that is told and left so until the
//! person asks for it here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_api::ipc::{Prefs, State};
use tokio::sync::watch;

use crate::entry::{self, NAME, Unsayable};
use crate::folders::{self, FolderError};

/// The autostart folders, and what stands in them for us.
#[derive(Debug, Clone)]
pub struct Autostart {
    /// The person's entry.
    own: PathBuf,
    /// Those of whoever set up the machine; the first that is there counts, where the person has none.
    others: Vec<PathBuf>,
    program: PathBuf,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It starts with the desktop.
    On,
    /// There is no entry, or one that says no.
    Off,
    /// There is an entry of ours that the desktop's own settings switched off.
    SwitchedOff,
}

/// Why it could not be set or read.
#[derive(Debug, thiserror::Error)]
pub enum AutostartError {
    /// The file fails.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program cannot be named.
    #[error(transparent)]
    Program(#[from] Unsayable),
    /// There is no folder for it.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl Autostart {
    /// That of this session, for `program`.
    ///
    /// # Errors
    /// When nothing says where home is.
    pub fn of_session(program: PathBuf) -> Result<Self, AutostartError> {
        let own = folders::config()?.join("autostart").join(NAME);
        let others = folders::config_of_machine()
            .into_iter()
            .map(|folder| folder.join("autostart").join(NAME));
        Ok(Self {
            own,
            others: others.collect(),
            program,
        })
    }

    /// How it stands.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn standing(&self) -> Result<Standing, AutostartError> {
        if let Some(text) = self.read(&self.own)? {
            return Ok(standing_of(&text));
        }
        Ok(match self.of_machine()? {
            Some(text) => standing_of(&text),
            None => Standing::Off,
        })
    }

    /// Writes or removes the entry.
    ///
    /// # Errors
    /// When that does not work: then it stands as before.
    pub fn set(&self, on: bool) -> Result<(), AutostartError> {
        let done = match (on, self.of_machine()?) {
            (true, _) => entry::write(&self.own, &self.text()?),
            // The specification's way to say no to an entry of the machine.
            (false, Some(_)) => entry::write(&self.own, OFF),
            (false, None) => match fs::remove_file(&self.own) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        done.map_err(|source| self.failed(&self.own, source))
    }

    /// As [`Autostart::set`], and does nothing where it stands so already: an entry that the desktop's settings switched
    /// off is left alone, one that names another program (the app was moved) is written anew.
    ///
    /// # Errors
    /// As [`Autostart::set`].
    pub fn keep(&self, on: bool) -> Result<(), AutostartError> {
        let own = self.read(&self.own)?;
        let is_right = match (on, own) {
            (true, Some(text)) => {
                standing_of(&text) == Standing::SwitchedOff || text == self.text()?
            }
            (true, None) => self.standing()? == Standing::On,
            (false, _) => self.standing()? == Standing::Off,
        };
        if is_right { Ok(()) } else { self.set(on) }
    }

    fn of_machine(&self) -> Result<Option<String>, AutostartError> {
        for path in &self.others {
            if let Some(text) = self.read(path)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn read(&self, path: &Path) -> Result<Option<String>, AutostartError> {
        entry::read(path).map_err(|source| self.failed(path, source))
    }

    fn text(&self) -> Result<String, AutostartError> {
        let exec = entry::exec(&self.program, &["run"])?;
        Ok(format!(
            "[Desktop Entry]\nType=Application\nName=Countersign\nComment=Tells you what waits for your approval\nComment[de]=Sagt, was auf Ihre Genehmigung wartet\nExec={exec}\nIcon=countersign\nTerminal=false\nX-GNOME-Autostart-enabled=true\n"
        ))
    }

    fn failed(&self, path: &Path, source: io::Error) -> AutostartError {
        AutostartError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The person's "no" to an entry of the machine.
const OFF: &str =
    "[Desktop Entry]\nType=Application\nName=Countersign\nHidden=true\nX-Countersign-Off=true\n";

fn standing_of(text: &str) -> Standing {
    let off = entry::is_true(text, "Hidden")
        || entry::value(text, "X-GNOME-Autostart-enabled") == Some("false");
    match (off, entry::is_true(text, "X-Countersign-Off")) {
        (false, _) => Standing::On,
        (true, true) => Standing::Off,
        (true, false) => Standing::SwitchedOff,
    }
}

/// Sets it up as the person prefers once they have signed in: before it there is nothing to start for. What changes
/// afterwards is set by whoever changes it.
pub async fn keep(
    autostart: Autostart,
    prefs: watch::Receiver<Prefs>,
    mut states: watch::Receiver<Arc<State>>,
) {
    if states
        .wait_for(|state| state.account.is_some())
        .await
        .is_err()
    {
        return;
    }
    let on = prefs.borrow().autostart;
    if let Err(error) = autostart.keep(on) {
        tracing::warn!(%error, "whether it starts with the desktop is not as preferred");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folders {
        dir: tempfile::TempDir,
        autostart: Autostart,
    }

    fn folders() -> Folders {
        let dir = tempfile::tempdir().unwrap();
        let autostart = Autostart {
            own: dir.path().join("own/autostart").join(NAME),
            others: vec![dir.path().join("etc").join(NAME)],
            program: PathBuf::from("/opt/counter sign/agent"),
        };
        fs::create_dir(dir.path().join("etc")).unwrap();
        Folders { dir, autostart }
    }

    #[test]
    fn on_writes_an_entry_that_starts_it_and_off_removes_it() {
        let Folders { autostart, .. } = folders();
        assert_eq!(autostart.standing().unwrap(), Standing::Off);
        autostart.set(true).unwrap();
        assert_eq!(autostart.standing().unwrap(), Standing::On);
        let text = fs::read_to_string(&autostart.own).unwrap();
        assert_eq!(
            entry::value(&text, "Exec"),
            Some("\"/opt/counter sign/agent\" run")
        );
        autostart.set(false).unwrap();
        assert!(!autostart.own.exists());
        autostart.set(false).unwrap();
    }

    #[test]
    fn an_entry_of_the_machine_is_said_no_to() {
        let Folders { autostart, dir } = folders();
        let of_machine = dir.path().join("etc").join(NAME);
        fs::write(&of_machine, "[Desktop Entry]\nExec=countersign-agent run\n").unwrap();
        assert_eq!(autostart.standing().unwrap(), Standing::On);
        autostart.keep(true).unwrap();
        assert!(!autostart.own.exists(), "the machine's entry is enough");
        autostart.keep(false).unwrap();
        assert_eq!(autostart.standing().unwrap(), Standing::Off);
        assert!(of_machine.exists());
        autostart.keep(true).unwrap();
        assert_eq!(autostart.standing().unwrap(), Standing::On);
    }

    #[test]
    fn what_the_desktop_switched_off_stays_off_until_a_person_asks_here() {
        for line in ["Hidden=true", "X-GNOME-Autostart-enabled=false"] {
            let Folders { autostart, .. } = folders();
            entry::write(
                &autostart.own,
                &format!("[Desktop Entry]\nExec=x\n{line}\n"),
            )
            .unwrap();
            autostart.keep(true).unwrap();
            assert_eq!(autostart.standing().unwrap(), Standing::SwitchedOff);
            autostart.set(true).unwrap();
            assert_eq!(autostart.standing().unwrap(), Standing::On);
        }
    }

    #[test]
    fn an_app_that_was_moved_is_found_again() {
        let Folders { autostart, .. } = folders();
        autostart.set(true).unwrap();
        let moved = Autostart {
            program: PathBuf::from("/usr/bin/countersign-agent"),
            ..autostart
        };
        moved.keep(true).unwrap();
        let text = fs::read_to_string(&moved.own).unwrap();
        assert!(
            text.contains("\"/usr/bin/countersign-agent\" run"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let Folders { autostart, dir } = folders();
        // A file stands where the folder would.
        fs::write(dir.path().join("own"), "").unwrap();
        let told = autostart.set(true).unwrap_err().to_string();
        assert!(told.contains("autostart"), "{told}");
        assert!(autostart.keep(true).is_err());
    }
}
