//! One OpenID provider: its metadata and keys, fetched when needed and kept.
//!
//! Time is a parameter ([`Clock`]); what to fetch when is decided in [`crate::keys`].

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use url::Url;

use countersign_evidence::op_token::peek_kid;
use countersign_model::{Clock, Issuer, UnixSecs};

use crate::discovery::{Metadata, discover};
use crate::error::OidcError;
use crate::http::{Http, acceptable, ahead_secs, same_clock};
use crate::kept::KeptKeys;
use crate::keys::{KeyMemory, KeySet, Need, REFRESH_SECS};

/// How long a key that the provider dropped still judges evidence, unless told otherwise, in seconds:
/// the default session length.
pub const KEEP_KEYS_SECS: i64 = 12 * 3600;

/// The longest `kid` that is looked for.
const MAX_KID_BYTES: usize = 256;

/// A provider. Made without any traffic; the first use fetches.
pub struct Provider {
    issuer: Issuer,
    http: Http,
    clock: Arc<dyn Clock>,
    keep_keys_secs: i64,
    kept: Option<KeptKeys>,
    metadata: tokio::sync::Mutex<Option<Known>>,
    keys: Mutex<KeyMemory>,
    /// One fetch of keys at a time: those who come meanwhile wait for it and use what it brought.
    fetching: tokio::sync::Mutex<()>,
}

struct Known {
    metadata: Arc<Metadata>,
    read_at: UnixSecs,
    /// Ours minus theirs, where the answer named a date.
    ahead_secs: Option<i64>,
}

impl Provider {
    /// A provider by its issuer.
    ///
    /// # Errors
    /// When the issuer is neither https nor on this computer, or TLS cannot be set up.
    pub fn new(issuer: Issuer, clock: Arc<dyn Clock>) -> Result<Self, OidcError> {
        Self::with(issuer, clock, None)
    }

    /// The same, reached through the proxy that `proxy` names, if any.
    ///
    /// # Errors
    /// As [`Provider::new`].
    pub fn through(
        issuer: Issuer,
        clock: Arc<dyn Clock>,
        proxy: reqwest::Proxy,
    ) -> Result<Self, OidcError> {
        Self::with(issuer, clock, Some(proxy))
    }

    fn with(
        issuer: Issuer,
        clock: Arc<dyn Clock>,
        proxy: Option<reqwest::Proxy>,
    ) -> Result<Self, OidcError> {
        let url = Url::parse(issuer.as_str()).map_err(|_| OidcError::BadProvider {
            what: format!("the issuer `{issuer}` is not a URL"),
        })?;
        acceptable(&url)?;
        Ok(Self {
            http: Http::new(&url, proxy)?,
            issuer,
            clock,
            keep_keys_secs: KEEP_KEYS_SECS,
            kept: None,
            metadata: tokio::sync::Mutex::default(),
            keys: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Keeps dropped keys for another session length than the default.
    #[must_use]
    pub fn keep_keys_for(mut self, session_secs: i64) -> Self {
        self.keep_keys_secs = session_secs;
        self
    }

    /// Keeps the keys that it sees in a file in this folder, and knows those of earlier runs.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn remember_in(mut self, folder: &Path) -> Result<Self, OidcError> {
        let kept = KeptKeys::new(folder, &self.issuer);
        let setup = |why: String| OidcError::Setup {
            why: format!("the provider's remembered keys cannot be read: {why}"),
        };
        let keys = kept.read().map_err(|error| setup(error.to_string()))?;
        let (now, keep_secs) = (self.clock.now(), self.keep_keys_secs);
        let fresh = keys
            .into_iter()
            .filter(|(_, last)| (now - *last).abs() <= keep_secs);
        self.memory(|memory| memory.restore(fresh))
            .map_err(|error| setup(error.to_string()))?;
        self.kept = Some(kept);
        Ok(self)
    }

    /// Who it is.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    pub(crate) fn now(&self) -> UnixSecs {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// How far our clock is ahead of the provider's at this moment, in seconds, where its answers name a date.
    /// Reads the metadata anew, and so tells a provider that is down before anything is signed for it.
    ///
    /// # Errors
    /// As [`Provider::metadata`]; [`OidcError::ClockOff`].
    pub async fn ahead_secs(&self) -> Result<i64, OidcError> {
        *self.metadata.lock().await = None;
        self.metadata_in_time().await?;
        let known = self.metadata.lock().await;
        Ok(known
            .as_ref()
            .and_then(|known| known.ahead_secs)
            .unwrap_or(0))
    }

    /// Its endpoints, for a conversation in which time counts: a clock that is off is told before a browser
    /// opens, not after.
    ///
    /// # Errors
    /// As [`Provider::metadata`]; [`OidcError::ClockOff`].
    pub(crate) async fn metadata_in_time(&self) -> Result<Arc<Metadata>, OidcError> {
        let metadata = self.metadata().await?;
        let mut known = self.metadata.lock().await;
        let same = same_clock(known.as_ref().and_then(|known| known.ahead_secs));
        if same.is_err() {
            // Forgotten, so that a clock that was set right is seen at the next try.
            *known = None;
        }
        same.map(|()| metadata)
    }

    /// Its endpoints, read anew after an hour.
    ///
    /// # Errors
    /// As reading the discovery document fails.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.metadata.lock().await;
        let now = self.clock.now();
        if let Some(known) = known.as_ref()
            && (now.0 - known.read_at.0).abs() < REFRESH_SECS
        {
            return Ok(Arc::clone(&known.metadata));
        }
        let (metadata, answer) = discover(&self.http, &self.issuer).await?;
        let metadata = Arc::new(metadata);
        let ahead_secs = answer
            .date
            .map(|theirs| ahead_secs(theirs, now, self.clock.now()));
        *known = Some(Known {
            metadata: Arc::clone(&metadata),
            read_at: now,
            ahead_secs,
        });
        Ok(metadata)
    }

    /// Its keys, having looked for `kid` where one is named. The key may still not be among them:
    /// verification then refuses.
    ///
    /// # Errors
    /// When keys had to be fetched and could not be.
    pub async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Arc<KeySet>, OidcError> {
        match self.need(kid) {
            Need::Nothing => {}
            Need::Soon => {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    let Ok(_turn) = this.fetching.try_lock() else {
                        return;
                    };
                    if let Err(error) = this.fetch_keys().await {
                        tracing::warn!(issuer = %this.issuer, code = error.code(), "keys not refreshed: {error}");
                    }
                });
            }
            Need::Now | Need::Wait => {
                // In a task of its own: a caller who goes away meanwhile does not take the fetch from those who wait
                // for it, and leaves none behind that counts as tried.
                let (this, kid) = (Arc::clone(self), kid.map(str::to_owned));
                let fetch = tokio::spawn(async move { this.fetch_in_turn(kid.as_deref()).await });
                fetch
                    .await
                    .map_err(|_| self.no_keys("fetching its keys broke off"))??;
            }
        }
        Ok(self.memory(|memory| memory.set()))
    }

    /// The keys for these tokens: each one's `kid` is looked for.
    ///
    /// # Errors
    /// As [`Provider::keys`].
    pub async fn keys_for(self: &Arc<Self>, tokens: &[&str]) -> Result<Arc<KeySet>, OidcError> {
        let mut set = self.keys(None).await?;
        for token in tokens {
            set = self.keys(kid_of(token).as_deref()).await?;
        }
        Ok(set)
    }

    async fn fetch_in_turn(&self, kid: Option<&str>) -> Result<(), OidcError> {
        let _turn = self.fetching.lock().await;
        // Someone may have fetched while we waited for our turn.
        match self.need(kid) {
            Need::Nothing | Need::Soon => Ok(()),
            Need::Now => self.fetch_keys().await,
            Need::Wait => Err(self.no_keys("its keys could not be fetched a moment ago")),
        }
    }

    fn no_keys(&self, why: &str) -> OidcError {
        OidcError::ProviderUnreachable {
            host: self.issuer.to_string(),
            why: why.to_owned(),
        }
    }

    fn need(&self, kid: Option<&str>) -> Need {
        let now = self.clock.now();
        self.memory(|memory| memory.need(kid, now))
    }

    fn memory<T>(&self, act: impl FnOnce(&mut KeyMemory) -> T) -> T {
        // The memory is consistent after each of its methods, so a panic elsewhere spoils nothing.
        act(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn fetch_keys(&self) -> Result<(), OidcError> {
        let now = self.clock.now();
        self.memory(|memory| memory.trying(now));
        let uri = self.metadata().await?.jwks_uri.clone();
        let answer = self.http.get(&uri).await?;
        if answer.status != 200 {
            return Err(OidcError::BadProvider {
                what: format!("its keys at {uri} answered {}", answer.status),
            });
        }
        let jwks: Value =
            serde_json::from_slice(&answer.body).map_err(|_| OidcError::BadProvider {
                what: format!("its keys at {uri} are not JSON"),
            })?;
        self.memory(|memory| memory.fetched(&jwks, self.keep_keys_secs, now))
            .map_err(|_| OidcError::BadProvider {
                what: format!("its keys at {uri} are not a JWK set"),
            })?;
        if let Some(kept) = &self.kept
            && let Err(error) = kept.write(self.memory(|memory| memory.to_keep()))
        {
            // They are known until the next restart; verification goes on.
            tracing::warn!(issuer = %self.issuer, "keys seen were not kept: {error}");
        }
        tracing::debug!(issuer = %self.issuer, "keys fetched");
        Ok(())
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.issuer.as_str())
            .finish_non_exhaustive()
    }
}

/// The `kid` that a token's header names: tells which key to look for, proves nothing.
pub(crate) fn kid_of(token: &str) -> Option<String> {
    peek_kid(token)
        .ok()
        .flatten()
        .filter(|kid| kid.len() <= MAX_KID_BYTES)
}
