//! Where secrets live: a trait that the agent implements by the desktop's keyring, and others by what they
//! have. This crate decides what is kept and when; never where.

use std::sync::Arc;
use std::time::Duration;

use countersign_api::ipc::{Problem, ProblemCode};

/// How long a store may take: a locked keyring shows a dialog to the person.
const STORE_LIMIT: Duration = Duration::from_secs(60);

/// A place for a few small secrets, by name. Its methods may block: they are called on a thread for that.
pub trait KeyStore: Send + Sync {
    /// What is kept under this name. `None` only when the store works and has nothing.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError>;

    /// Keeps this, replacing what was there.
    ///
    /// # Errors
    /// When it was not kept.
    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError>;

    /// Forgets it. What is not there is forgotten already.
    ///
    /// # Errors
    /// When it may still be there.
    fn delete(&self, name: &str) -> Result<(), KeyStoreError>;

    /// One sentence for people: where secrets are kept, and what that means.
    fn describe(&self) -> String;
}

/// Why a store did not do it. Each carries one plain sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// There is none.
    #[error("{0}")]
    Missing(String),
    /// It is locked.
    #[error("{0}")]
    Locked(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl From<KeyStoreError> for Problem {
    fn from(error: KeyStoreError) -> Self {
        Self {
            code: ProblemCode::Keyring,
            sentence: error.to_string(),
        }
    }
}

/// Runs one action of the store on a thread that may block, with a deadline.
pub(crate) async fn with_store<T: Send + 'static>(
    store: &Arc<dyn KeyStore>,
    act: impl FnOnce(&dyn KeyStore) -> Result<T, KeyStoreError> + Send + 'static,
) -> Result<T, KeyStoreError> {
    let store = Arc::clone(store);
    match tokio::time::timeout(
        STORE_LIMIT,
        tokio::task::spawn_blocking(move || act(store.as_ref())),
    )
    .await
    {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(KeyStoreError::Failed(
            "The place for keys failed. Try again.".to_owned(),
        )),
        Err(_) => Err(KeyStoreError::Locked(
            "The place for keys did not answer. Unlock your keyring, then try again.".to_owned(),
        )),
    }
}
