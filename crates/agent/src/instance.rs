//! One agent for each person and session: a private folder, a lock in it, and the sockets that the lock's owner serves.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// `$XDG_RUNTIME_DIR/countersign`: exists, is ours, and is closed to everybody else.
#[derive(Debug, Clone)]
pub struct RuntimeDir(PathBuf);

/// Why there is no private folder to meet in.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// The session has none.
    #[error(
        "XDG_RUNTIME_DIR is not set: start Countersign from a desktop session, or set it to a folder that only you can read"
    )]
    NotSet,
    /// It is not private.
    #[error("{path} is not private: it must be a folder of yours with mode 0700")]
    NotPrivate {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("{path} cannot be made")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RuntimeDir {
    /// The session's, made where it is missing.
    ///
    /// # Errors
    /// When the session has no runtime folder, or ours in it is not private.
    pub fn of_session() -> Result<Self, RuntimeDirError> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|v| !v.is_empty());
        Self::below(Path::new(&base.ok_or(RuntimeDirError::NotSet)?))
    }

    /// `countersign` below `base`, made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or is not private.
    pub fn below(base: &Path) -> Result<Self, RuntimeDirError> {
        let path = base.join("countersign");
        let io_error = |source| RuntimeDirError::Io {
            path: path.clone(),
            source,
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(error)),
        }
        // Not followed: a link to somebody else's folder is not private.
        let is = fs::symlink_metadata(&path).map_err(io_error)?;
        if !is.is_dir() || is.mode() & 0o077 != 0 || is.uid() != own_uid() {
            return Err(RuntimeDirError::NotPrivate { path });
        }
        Ok(Self(path))
    }

    /// Where the window finds the agent.
    #[must_use]
    pub fn window_socket(&self) -> PathBuf {
        self.0.join("window.sock")
    }

    /// Where a second launch finds the agent.
    #[must_use]
    pub fn open_socket(&self) -> PathBuf {
        self.0.join("open.sock")
    }

    /// What is on screen, so that the next agent can take it back.
    #[must_use]
    pub fn notices_file(&self) -> PathBuf {
        self.0.join("notices.json")
    }

    /// Becomes the one agent, or `None` where another one is.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn claim(&self) -> io::Result<Option<Claim>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim {
                dir: self.clone(),
                _lock: file,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Held by the one agent for as long as it lives. The system takes the lock back however the process ends.
#[derive(Debug)]
pub struct Claim {
    dir: RuntimeDir,
    _lock: File,
}

impl Claim {
    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &RuntimeDir {
        &self.dir
    }

    /// Listens at `path`. A socket that a killed agent left there is removed first: only the lock's owner gets here.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(&self, path: &Path) -> io::Result<UnixListener> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        UnixListener::bind(path)
    }
}

/// Whether the other end belongs to the same person. The folder is closed to others already; this holds even
/// where a descriptor was handed on.
#[must_use]
pub fn same_person(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own_uid())
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn only_one_claims_until_it_lets_go() {
        let base = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::below(base.path()).unwrap();
        let first = dir.claim().unwrap();
        assert!(first.is_some());
        assert!(dir.claim().unwrap().is_none());
        drop(first);
        assert!(dir.claim().unwrap().is_some());
    }

    #[test]
    fn a_folder_that_others_can_read_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("countersign");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            RuntimeDir::below(base.path()),
            Err(RuntimeDirError::NotPrivate { .. })
        ));
    }

    #[test]
    fn a_link_to_elsewhere_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), base.path().join("countersign")).unwrap();
        assert!(matches!(
            RuntimeDir::below(base.path()),
            Err(RuntimeDirError::NotPrivate { .. })
        ));
    }

    #[tokio::test]
    async fn a_socket_left_by_a_killed_agent_is_replaced() {
        let base = tempfile::tempdir().unwrap();
        let claim = RuntimeDir::below(base.path())
            .unwrap()
            .claim()
            .unwrap()
            .unwrap();
        let path = claim.dir().window_socket();
        drop(claim.listen(&path).unwrap());
        assert!(path.exists(), "the socket file outlives its listener");
        let listener = claim.listen(&path).unwrap();
        let (client, served) = tokio::join!(UnixStream::connect(&path), listener.accept());
        assert!(same_person(&client.unwrap()));
        assert!(same_person(&served.unwrap().0));
    }
}
