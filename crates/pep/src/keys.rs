//! The server's keys (`rk`): pinned by the configuration, or read from the server and kept.
//!
//! They prove which server signed, not that it tells the truth: everything that an approval rests on is
//! verified by other keys. Providers' keys never come from here.

use std::sync::{Arc, Mutex, PoisonError};

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
        let now = self.clock.now();
        let known = {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            let knows = |kid: &String| fetched.keys.iter().any(|key| key.thumbprint() == *kid);
            let recent = fetched
                .tried_at
                .is_some_and(|at| (now - at).abs() < LOOK_SECS);
            if named.iter().flatten().all(knows) || (recent && !fetched.keys.is_empty()) {
                Some(fetched.keys.clone())
            } else {
                fetched.tried_at = Some(now);
                None
            }
        };
        if let Some(keys) = known {
            return Ok(keys);
        }
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
        self.fetched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys
            .clone_from(&keys);
        Ok(keys)
    }
}
