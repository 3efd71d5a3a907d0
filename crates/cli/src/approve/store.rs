//! Where a terminal approver's keys live: the desktop's keyring, or a file that was asked for aloud. Never a file
//! in the keyring's stead.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_approver::{KeyStore, KeyStoreError};
use countersign_model::{b64u, b64u_decode};
use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
use zbus_secret_service_keyring_store::Store;

/// Names our entries in the keyring. The app has its own: two programs never share a device key.
const SERVICE: &str = "countersign-terminal";

/// The session's Secret Service. Connects anew after each failure: it may have been started meanwhile.
#[derive(Default)]
pub(crate) struct Keyring {
    store: Mutex<Option<Arc<Store>>>,
}

impl Keyring {
    fn with<T>(
        &self,
        name: &str,
        act: impl FnOnce(&Entry) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let label = format!("Countersign (terminal): {name}");
        let modifiers = HashMap::from([("label", label.as_str())]);
        let store = {
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            match &*store {
                Some(store) => Arc::clone(store),
                None => Arc::clone(store.insert(Store::new()?)),
            }
        };
        act(&store.build(SERVICE, name, Some(&modifiers))?)
    }

    fn trouble(&self, error: &Error) -> KeyStoreError {
        let connected = self
            .store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .is_some();
        tracing::warn!("the keyring did not do it: {error}");
        if matches!(error, Error::NoStorageAccess(_)) {
            KeyStoreError::Locked("The keyring is locked. Unlock it, then try again.".to_owned())
        } else if connected {
            KeyStoreError::Failed(
                "The keyring does not work. Use another one, or `--key-file FILE`.".to_owned(),
            )
        } else {
            KeyStoreError::Missing(
                "No keyring runs in this session. Start one (such as gnome-keyring), or keep the keys in a file with `--key-file FILE`.".to_owned(),
            )
        }
    }
}

impl KeyStore for Keyring {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        match self.with(name, Entry::get_secret) {
            Ok(secret) => Ok(Some(secret)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.with(name, |entry| entry.set_secret(secret))
            .map_err(|error| self.trouble(&error))
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        match self.with(name, Entry::delete_credential) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    fn describe(&self) -> String {
        "The device key is in your keyring. Any program of your session can read it while the keyring is unlocked.".to_owned()
    }
}

/// A JSON file of name → base64url, readable by its owner only.
pub(crate) struct FileStore {
    path: PathBuf,
    /// One change at a time.
    turn: Mutex<()>,
}

type Secrets = BTreeMap<String, String>;

impl FileStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            turn: Mutex::default(),
        }
    }

    fn read(&self) -> Result<Secrets, KeyStoreError> {
        let failed = |why: &dyn std::fmt::Display| {
            KeyStoreError::Failed(format!(
                "The key file {} cannot be used: {why}.",
                self.path.display()
            ))
        };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Secrets::new()),
            Err(error) => return Err(failed(&error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let mode = std::fs::metadata(&self.path)
                .map_err(|error| failed(&error))?
                .mode();
            if mode & 0o077 != 0 {
                return Err(failed(&format!(
                    "others can read it; run `chmod 600 {}`",
                    self.path.display()
                )));
            }
        }
        serde_json::from_slice(&bytes).map_err(|_| failed(&"it holds something else"))
    }

    fn change(&self, act: impl FnOnce(&mut Secrets)) -> Result<(), KeyStoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = self.read()?;
        act(&mut secrets);
        self.write(&secrets).map_err(|error| {
            KeyStoreError::Failed(format!(
                "The key file {} cannot be written: {error}.",
                self.path.display()
            ))
        })
    }

    /// Whole or not at all: a crash leaves the old file or the new one.
    fn write(&self, secrets: &Secrets) -> std::io::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let next = PathBuf::from(name);
        let mut open = std::fs::OpenOptions::new();
        open.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let mut file = open.open(&next)?;
        file.write_all(&serde_json::to_vec(secrets)?)?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)
    }
}

impl KeyStore for FileStore {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        let secrets = self.read()?;
        secrets
            .get(name)
            .map(|text| {
                b64u_decode(text).map_err(|_| {
                    KeyStoreError::Failed(
                        "The key file is damaged. Sign in again with another one.".to_owned(),
                    )
                })
            })
            .transpose()
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.change(|secrets| {
            secrets.insert(name.to_owned(), b64u(secret));
        })
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.change(|secrets| {
            secrets.remove(name);
        })
    }

    fn describe(&self) -> String {
        format!(
            "The device key is in the file {}. Whoever can read that file can vote as you.",
            self.path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_what_it_is_given_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let store = FileStore::new(path.clone());
        assert_eq!(store.get("a").unwrap(), None);
        store.set("a", b"one").unwrap();
        store.set("b", b"two").unwrap();
        store.delete("b").unwrap();
        store.delete("b").unwrap();
        assert_eq!(
            FileStore::new(path.clone()).get("a").unwrap().as_deref(),
            Some(&b"one"[..])
        );
        assert_eq!(store.get("b").unwrap(), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let error = store.get("a").unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        std::fs::write(&path, "my notes").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let store = FileStore::new(path.clone());
        assert!(store.set("a", b"one").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"my notes");
    }
}
