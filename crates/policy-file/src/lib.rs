//! A policy in a file: loaded, watched, and swapped whole or not at all. A bad one is refused and the old one stays.
//!
//! Server and gates share it. It decides nothing about operations (`countersign-policy` does), and chooses no
//! period: whoever runs it does. The judgment of one look at the file is [`look`], which knows no time.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("policy.cedar");
//! # std::fs::write(&path, r#"@id("p") permit (principal, action == Action::"a", resource);"#)?;
//! use countersign_policy_file::{PolicyFile, Reloaded};
//!
//! let file = PolicyFile::open(&path)?;
//! // Once per decision: two calls may answer with two policies.
//! let policy = file.current();
//! assert!(policy.knows("a"));
//! assert!(matches!(file.reload_if_changed(), Reloaded::Unchanged));
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod look;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use countersign_model::{Digest, PolicyCheck as _};
use countersign_policy::{LoadError, MAX_POLICY_BYTES, Policy};
use tokio::sync::watch;

use crate::look::{Look, Looks, Settle, parse};

/// Why a file is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is longer than a policy may be.
    #[error("it is longer than {MAX_POLICY_BYTES} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("it is no text in UTF-8")]
    NotText,
    /// The policy in it is not sound.
    #[error(transparent)]
    Policy(#[from] LoadError),
}

/// A file that cannot be opened as a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{}`: {error}", path.display())]
pub struct OpenError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub error: FileError,
}

/// What a look at the file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// Nothing: it holds what is in force, or what was refused before.
    Unchanged,
    /// Another policy is in force.
    Changed {
        /// Over its text.
        digest: Digest,
    },
    /// It holds no policy. The one in force stays.
    Refused {
        /// Why.
        error: FileError,
    },
}

/// A policy in a file.
pub struct PolicyFile {
    path: PathBuf,
    current: RwLock<Arc<Policy>>,
    looks: Mutex<Looks>,
    changes: watch::Sender<Digest>,
}

impl PolicyFile {
    /// Reads a policy from its file.
    ///
    /// # Errors
    /// Where it is none: nothing starts without a policy.
    pub fn open(path: impl Into<PathBuf>) -> Result<Arc<Self>, OpenError> {
        let path = path.into();
        let policy = match read(&path).and_then(parse) {
            Ok(policy) => policy,
            Err(error) => return Err(OpenError { path, error }),
        };
        let digest = policy.digest();
        Ok(Arc::new(Self {
            path,
            current: RwLock::new(Arc::new(policy)),
            looks: Mutex::new(Looks::new(digest)),
            changes: watch::Sender::new(digest),
        }))
    }

    /// The policy in force. Take it once for one decision.
    #[must_use]
    pub fn current(&self) -> Arc<Policy> {
        // Only whole policies are ever put there, so a poisoned lock holds one too.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells each change, by the digest of the policy that is then in force.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Digest> {
        self.changes.subscribe()
    }

    /// Reads the file now, and takes what it holds: for an operator who says that it is ready (SIGHUP). Logs what
    /// changed, or why not.
    pub fn reload_if_changed(&self) -> Reloaded {
        self.see(read(&self.path), Settle::Ready)
    }

    /// Looks at the file once every so often, until `stop`, and takes what two looks in a row found. Logs each
    /// change with both digests, and each refusal once.
    pub async fn watch(self: Arc<Self>, every: Duration, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut looks = tokio::time::interval(every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = looks.tick() => {}
            }
            let file = Arc::clone(&self);
            // A large policy takes a while to validate: not on a thread that others wait for.
            let look =
                tokio::task::spawn_blocking(move || file.see(read(&file.path), Settle::SeenTwice));
            if let Err(error) = look.await {
                tracing::error!(path = %self.path.display(), %error, "a look at the policy failed; the one in force stays");
            }
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, read: Result<Vec<u8>, FileError>, settle: Settle) -> Reloaded {
        // Held until the swap is done, so that of two looks at once the later one's policy stays.
        let mut looks = self.looks();
        match looks.see(read, settle) {
            Look::Same | Look::Unsettled => Reloaded::Unchanged,
            Look::New(policy) => {
                let digest = policy.digest();
                let old = {
                    let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                    std::mem::replace(&mut *current, Arc::new(*policy))
                };
                tracing::info!(
                    path = %self.path.display(), old = %old.digest(), new = %digest, "another policy is in force"
                );
                self.changes.send_replace(digest);
                Reloaded::Changed { digest }
            }
            Look::Refused(error) => {
                tracing::warn!(
                    path = %self.path.display(), %error, in_force = %self.current().digest(),
                    "the policy in the file is refused; the one in force stays"
                );
                Reloaded::Refused { error }
            }
        }
    }
}

impl std::fmt::Debug for PolicyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Reads at most what a policy may have.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    use io::Read as _;
    let unreadable = |error: io::Error| FileError::Unreadable(error.to_string());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_POLICY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_POLICY_BYTES {
        return Err(FileError::TooLong);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
