//! Keys in the desktop's keyring (Secret Service). There is no other place: without it nothing is kept, and the
//! person is told why. Never a file in its stead.
//!
//! All calls block: on a dialog, where the keyring is locked.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
const FAILED: &str = "The keyring does not work. Look into the log of Countersign for the reason, then try again.";

/// Why the keyring did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// None runs.
    Missing,
    /// It is locked, or waits for a dialog.
    Locked(&'static str),
    /// It failed.
    Failed,
}

impl Trouble {
    /// One plain sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => MISSING,
            Self::Locked(sentence) => sentence,
            Self::Failed => FAILED,
        }
    }
}

/// The Secret Service of the session. Connects anew after each failure: it may have been started meanwhile.
#[derive(Default)]
pub struct Keyring {
    store: Mutex<Option<Arc<Store>>>,
    turn: Turn,
}

impl Keyring {
    /// Reads; `None` where there is no such entry. A keyring that was never set up says the same: that alone is
    /// no reason to make a new key.
    ///
    /// # Errors
    /// When the keyring is missing, locked, or fails.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        match self.with(name, Entry::get_secret) {
            Ok(secret) => Ok(Some(secret)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Writes, over what was there.
    ///
    /// # Errors
    /// When the keyring is missing, locked, or fails.
    pub fn write(&self, name: &str, secret: &[u8]) -> Result<(), Trouble> {
        self.with(name, |entry| entry.set_secret(secret)).map_err(|error| self.trouble(&error))
    }

    /// Deletes. That there was nothing is as good.
    ///
    /// # Errors
    /// When the keyring is missing, locked, or fails.
    pub fn remove(&self, name: &str) -> Result<(), Trouble> {
        match self.with(name, Entry::delete_credential) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(self.trouble(&error)),
        }
    }

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

    fn trouble(&self, error: &Error) -> Trouble {
        let connected = lock(&self.store).take().is_some();
        tracing::warn!(%error, connected, "the keyring did not do it");
        match error {
            Error::NoStorageAccess(inner) if inner.to_string() == DIALOG => Trouble::Locked(DIALOG),
            Error::NoStorageAccess(_) => Trouble::Locked(LOCKED),
            _ if !connected => Trouble::Missing,
            _ => Trouble::Failed,
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
        let waiting = self.free.wait_timeout_while(lock(&self.taken), TURN_PATIENCE, |taken| *taken);
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
