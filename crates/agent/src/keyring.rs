//! Keys in the desktop's keyring (Secret Service). There is no other place: without it nothing is kept, and the
//! person is told why. Never a file in its stead.
//!
//! All calls block: on a dialog, where the keyring is locked.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_approver::{KeyStore, KeyStoreError};
use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
use zbus_secret_service_keyring_store::Store;

/// Names our entries in the keyring.
const SERVICE: &str = "countersign";
/// How long a call waits for the one before it, which may wait for a person to answer a dialog.
const TURN_PATIENCE: Duration = Duration::from_secs(10);

const MISSING: &str = "No keyring runs in this session, so there is no safe place for your device key. \
    Install and unlock one (such as gnome-keyring or KWallet), then try again.";
const LOCKED: &str = "The keyring is locked. Unlock it (in Passwords and Keys, or by signing in to the desktop \
    with your password), then try again.";
const DIALOG: &str = "The keyring waits for its password. Answer its dialog, then try again.";
const FAILED: &str =
    "The keyring does not work. Look into the log of Countersign for the reason, then try again.";

/// The Secret Service of the session. Connects anew after each failure: it may have been started meanwhile.
#[derive(Default)]
pub struct Keyring {
    store: Mutex<Option<Arc<Store>>>,
    turn: Turn,
}

impl KeyStore for Keyring {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        match self.with(name, Entry::get_secret) {
            Ok(secret) => Ok(Some(secret)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.with(name, |entry| entry.set_secret(secret))
            .map_err(|error| self.failed(&error))
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        match self.with(name, Entry::delete_credential) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn describe(&self) -> String {
        "Key in the system keyring: programs that run as you could use it.".to_owned()
    }
}

impl Keyring {
    fn with<T>(&self, name: &str, f: impl FnOnce(&Entry) -> Result<T, Error>) -> Result<T, Error> {
        let Some(_turn) = self.turn.take() else {
            return Err(Error::NoStorageAccess(DIALOG.into()));
        };
        let label = format!("Countersign: {name}");
        let modifiers = HashMap::from([("label", label.as_str())]);
        let entry = self.store()?.build(SERVICE, name, Some(&modifiers))?;
        f(&entry)
    }

    fn store(&self) -> Result<Arc<Store>, Error> {
        let mut store = lock(&self.store);
        match &*store {
            Some(store) => Ok(store.clone()),
            None => Ok(store.insert(Store::new()?).clone()),
        }
    }

    fn failed(&self, error: &Error) -> KeyStoreError {
        let connected = lock(&self.store).take().is_some();
        tracing::warn!(%error, connected, "the keyring did not do it");
        if let Error::NoStorageAccess(inner) = error {
            let sentence = if inner.to_string() == DIALOG {
                DIALOG
            } else {
                LOCKED
            };
            return KeyStoreError::Locked(sentence.to_owned());
        }
        if connected {
            KeyStoreError::Failed(FAILED.to_owned())
        } else {
            KeyStoreError::Missing(MISSING.to_owned())
        }
    }
}

/// One at a time, with an end to the waiting.
#[derive(Default)]
struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

struct Taken<'a>(&'a Turn);

impl Turn {
    fn take(&self) -> Option<Taken<'_>> {
        let waiting = self
            .free
            .wait_timeout_while(lock(&self.taken), TURN_PATIENCE, |taken| *taken);
        let (mut taken, timeout) = waiting.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *taken = true;
        Some(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.0.taken) = false;
        self.0.free.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
