//! Trying out what an account needs: that its server answers, how its clock stands to ours, and that its keys can be had.

use countersign_api::ipc::{Problem, ProblemCode};
use countersign_client::RoundTrip;

use crate::approver::Approver;
use crate::kept::{ACCOUNT, Secrets};
use crate::keys::with_store;
use crate::problem::{of_api, problem};

/// How one account is, tried out just now.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Of which server: its `public_url`.
    pub server: String,
    /// The server's answer.
    pub answered: Result<RoundTrip, Problem>,
    /// Where the keys are, in a sentence.
    pub keys: Result<String, Problem>,
}

impl Approver {
    /// Tries it out; nothing where nobody is signed in.
    pub(crate) async fn probe(&self) -> Option<Probe> {
        let session = self.inner.session()?;
        let (answered, kept) = tokio::join!(
            session.api.http().round_trip(),
            with_store(&self.inner.hands.keys, |store| store.get(ACCOUNT)),
        );
        let binding = kept.map(|kept| {
            let secrets = kept.and_then(|bytes| Secrets::from_bytes(&bytes));
            secrets.map(|secrets| secrets.binding())
        });
        let keys = match binding {
            Ok(Some(binding)) if binding == session.binding() => {
                Ok(self.inner.hands.keys.describe())
            }
            // This run still has them; the next one would not.
            Ok(_) => Err(problem(
                ProblemCode::Keyring,
                "The keyring no longer holds this device's keys. Sign in again before you quit.",
            )),
            Err(error) => Err(error.into()),
        };
        Some(Probe {
            server: session.account.server.to_string(),
            answered: answered.map_err(|error| of_api(&error)),
            keys,
        })
    }
}
