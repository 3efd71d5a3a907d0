//! The server's keys (`rk`): pinned by the configuration, or read from the server and kept.
//!
//! They prove which server signed, not that it tells the truth: everything that an approval rests on is
//! verified by other keys. Providers' keys never come from here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_client::PepApi;
use countersign_evidence::{Evidence, Grant, PublicKey, Request};
use countersign_model::{Clock, UnixSecs};

use crate::refusal::{Refusal, Step};

/// Between two looks for an unknown key, in seconds.
const LOOK_SECS: i64 = 60;
/// Keys that a server may publish, at most.
const MAX_KEYS: usize = 16;

pub(crate) struct ServerKeys {
    pinned: Vec<PublicKey>,
    fetched: Mutex<Fetched>,
    /// One fetch at a time: those who come meanwhile wait for it and use what it brought.
    fetching: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Fetched {
    keys: Vec<PublicKey>,
    tried_at: Option<UnixSecs>,
}

impl ServerKeys {
    pub(crate) fn new(pinned: Vec<PublicKey>, clock: Arc<dyn Clock>) -> Self {
        Self {
            pinned,
            fetched: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            clock,
        }
    }

    /// The keys for this evidence: looked for anew when it names one that is not known.
    pub(crate) async fn for_evidence(
        &self,
        evidence: &Evidence,
        api: &PepApi,
    ) -> Result<Vec<PublicKey>, Refusal> {
        if !self.pinned.is_empty() {
            return Ok(self.pinned.clone());
        }
        let named = [
            Request::unverified(&evidence.request_jws)
                .ok()
                .map(|(kid, _)| kid),
            Grant::unverified(&evidence.grant).ok().map(|(kid, _)| kid),
        ];
        let named: Vec<String> = named.into_iter().flatten().collect();
        if let Some(keys) = self.known(&named) {
            return Ok(keys);
        }
        let before = self.fetched().tried_at;
        let _turn = self.fetching.lock().await;
        // Someone may have fetched while this waited for its turn, or found that nothing can be fetched.
        if let Some(keys) = self.known(&named) {
            return Ok(keys);
        }
        if self.fetched().tried_at != before {
            return Err(Refusal::unavailable(
                Step::Decision,
                "server_keys",
                "the server's keys could not be fetched a moment ago; try again later",
            ));
        }
        self.fetched().tried_at = Some(self.clock.now());
        let published = api
            .keys()
            .await
            .map_err(|error| Refusal::api(Step::Decision, &error))?;
        let keys: Vec<PublicKey> = published
            .server
            .iter()
            .take(MAX_KEYS)
            .filter_map(|jwk| PublicKey::from_jwk(jwk).ok())
            .collect();
        self.fetched().keys.clone_from(&keys);
        Ok(keys)
    }

    /// The keys where they will do: all that are named, or what a look a moment ago brought.
    fn known(&self, named: &[String]) -> Option<Vec<PublicKey>> {
        let now = self.clock.now();
        let fetched = self.fetched();
        let knows = |kid: &String| fetched.keys.iter().any(|key| key.thumbprint() == *kid);
        let recent = fetched
            .tried_at
            .is_some_and(|at| (now - at).abs() < LOOK_SECS);
        let will_do = named.iter().all(knows) || (recent && !fetched.keys.is_empty());
        will_do.then(|| fetched.keys.clone())
    }

    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
