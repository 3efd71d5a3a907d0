//! One signed-in account at one server: its keys, its access token, the requests that it knows.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use countersign_api::http::{
    GRANT_RENEW, ID_TOKEN_TYPE, ProviderKeyBinding, ProviderStepUp, RequestView, TokenAnswer,
    TokenRequest, WellKnownProvider,
};
use countersign_api::ipc::{self, Connection, Means, Row};
use countersign_client::{ApiError, ApproverApi, CLOCK_SKEW_SECS, Route, ServerHttp};
use countersign_display::Role;
use countersign_evidence::op_token::{AcrClaim, KeyBinding, OpConfig, peek_bound};
use countersign_evidence::{Ask, Pop, PublicKey, Statement};
use countersign_model::{Clock, Digest, PepId, Requirement, Txn, UnixSecs};
use countersign_oidc::settings::ALGORITHMS;
use countersign_oidc::{BoundSignIn, Provider};
use tokio::time::Instant;

use crate::approver::Options;
use crate::claims::Claims;
use crate::filling::Ahead;
use crate::inner::{Inner, When};
use crate::item::{Item, Pins, confirmation};
use crate::kept::{ACCOUNT, Account, AccountFile, Folder, Secrets};
use crate::problem::{is_of_step_up, sentence};
use crate::releases::Releases;
use crate::security_key::KeptKey;
use crate::wire;

/// The most requests that are kept in memory.
const MAX_ITEMS: usize = 500;
/// Between two looks at the server's list of gates for the same unknown one.
const KEYS_PAUSE: Duration = Duration::from_secs(60);
/// Unknown gates that are looked for in that time.
const MAX_UNKNOWN_GATES: usize = 64;

/// At a renewal claims are made newer when they are older than this, in seconds.
const RENEWAL_CLAIMS_SECS: u32 = 60;
/// How long a renewal waits for them.
const CLAIMS_PATIENCE: Duration = Duration::from_secs(5);

/// Answers of the token endpoint after which only a full sign-in helps.
const OVER: [&str; 3] = ["invalid_grant", "binding_revoked", "use_fresh_sign_in"];
/// 401s that are about the person's claims, not about the access token.
const CLAIMS: [&str; 2] = ["claims_too_old", "use_fresh_sign_in"];

/// A session. Everything in it belongs to one binding.
pub(crate) struct Session {
    pub(crate) account: Account,
    pub(crate) secrets: Secrets,
    pub(crate) api: Arc<ApproverApi>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) config: OpConfig,
    pub(crate) claims: tokio::sync::Mutex<Claims>,
    /// The same claims' `iat`, for those who must not wait for a refresh.
    pub(crate) claims_iat: AtomicI64,
    pub(crate) nonce: String,
    /// What the binding says: its security keys, among others.
    pub(crate) statement: Statement,
    clock: Arc<dyn Clock>,
    pep_keys: Mutex<Vec<(PepId, PublicKey)>>,
    /// How many of them are in the account's file. They only grow.
    pep_keys_kept: AtomicUsize,
    /// Gates that the server was asked about and did not know, and when.
    unknown_gates: Mutex<HashMap<PepId, Instant>>,
    items: Mutex<BTreeMap<String, Arc<Item>>>,
    /// When the access token should be renewed.
    renew_at: Mutex<Option<Instant>>,
    /// When it ends. Unix seconds.
    token_ends: AtomicI64,
    renewing: tokio::sync::Mutex<()>,
    /// What makes claims newer, and keeps the refresh token that comes with them.
    inner: OnceLock<Weak<Inner>>,
    stream: Mutex<Option<countersign_client::stream::Stream>>,
    /// To what keeps the history.
    filling: Mutex<Option<Ahead>>,
    /// Approvals of this person that count only as long as their claims are new enough.
    pub(crate) releases: Mutex<Releases>,
}

/// Why a session cannot go on by itself.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// Try again later.
    NotNow(ApiError),
    /// The binding is no good any more: a full sign-in is needed.
    Over(Over),
}

/// How a session ended, by the server's word.
#[derive(Debug)]
pub(crate) struct Over {
    /// In words for the person.
    pub(crate) sentence: String,
    /// This device was revoked: whoever has it now is not to read what was approved.
    pub(crate) revoked: bool,
}

/// The configuration by which an agent reads a provider's tokens: by any algorithm that can be verified. Which of
/// them a provider may use is for the operators of server and gates to narrow.
pub(crate) fn op_config(
    issuer: countersign_model::Issuer,
    provider: &WellKnownProvider,
) -> OpConfig {
    let mut config = OpConfig::new(issuer, &provider.client_id);
    config.algorithms = ALGORITHMS.map(str::to_owned).to_vec();
    if provider.acr_claim == "acrs" {
        config.acr_claim = AcrClaim::Acrs;
    }
    config.key_binding = match provider.key_binding {
        ProviderKeyBinding::Accepted => KeyBinding::Accepted,
        ProviderKeyBinding::Required => KeyBinding::Required,
        ProviderKeyBinding::Refused => KeyBinding::Refused,
    };
    config
}

impl Session {
    pub(crate) fn new(
        account: Account,
        secrets: Secrets,
        clock: Arc<dyn Clock>,
        route: &Route,
    ) -> Result<Self, ipc::Problem> {
        let of_api = |error: ApiError| crate::problem::of_api(&error);
        let http = ServerHttp::through(account.server.clone(), Arc::clone(&clock), route)
            .map_err(of_api)?;
        let api = ApproverApi::new(
            http,
            account.file.endpoints.clone(),
            secrets.session.clone(),
        );
        let provider = Provider::through(
            account.subject.iss.clone(),
            Arc::clone(&clock),
            route.proxy(),
        )
        .map_err(|error| crate::problem::of_oidc(&error))?;
        let statement = Statement::from_bytes(&secrets.cic).map_err(|_| {
            crate::problem::problem(
                ipc::ProblemCode::Keyring,
                "The keys of this device are damaged. Sign in again.",
            )
        })?;
        let claims = Claims {
            iat: secrets.signed_in_at(),
            token: None,
            refresh_token: secrets.refresh_token.clone(),
        };
        Ok(Self {
            config: op_config(account.subject.iss.clone(), &account.file.provider),
            api: Arc::new(api),
            provider: Arc::new(provider),
            claims_iat: AtomicI64::new(claims.iat.0),
            claims: tokio::sync::Mutex::new(claims),
            nonce: statement.nonce(),
            statement,
            pep_keys: Mutex::new(account.pep_keys.clone()),
            pep_keys_kept: AtomicUsize::new(account.pep_keys.len()),
            unknown_gates: Mutex::default(),
            items: Mutex::default(),
            renew_at: Mutex::default(),
            token_ends: AtomicI64::new(0),
            renewing: tokio::sync::Mutex::default(),
            inner: OnceLock::new(),
            stream: Mutex::default(),
            filling: Mutex::default(),
            releases: Mutex::default(),
            account,
            secrets,
            clock,
        })
    }

    pub(crate) fn now(&self) -> UnixSecs {
        self.clock.now()
    }

    /// How the sign-in was bound to the device key.
    pub(crate) fn bound(&self) -> BoundSignIn<'_> {
        let Secrets {
            device, id_token, ..
        } = &self.secrets;
        if peek_bound(id_token).unwrap_or_default() {
            BoundSignIn::IdToken(device)
        } else if self.account.file.proved {
            BoundSignIn::Tokens(device)
        } else {
            BoundSignIn::No
        }
    }

    // --- access token --------------------------------------------------------------------------

    /// Takes a token into use, and plans its renewal.
    pub(crate) fn use_token(&self, answer: &TokenAnswer) {
        self.api.set_access_token(Some(answer.access_token.clone()));
        // At four fifths of its life, so that a slow network still makes it in time.
        let life = Duration::from_secs(u64::from(answer.expires_in)) * 4 / 5;
        *lock(&self.renew_at) = Some(Instant::now() + life);
        let ends = self.now() + i64::from(answer.expires_in);
        self.token_ends.store(ends.0, Ordering::Relaxed);
    }

    /// Whether the access token lasts beyond the end of a session at the server: that was of an older one then.
    pub(crate) fn outlives(&self, ends_at: i64) -> bool {
        self.token_ends.load(Ordering::Relaxed) > ends_at.saturating_add(CLOCK_SKEW_SECS)
    }

    pub(crate) fn renew_at(&self) -> Option<Instant> {
        *lock(&self.renew_at)
    }

    pub(crate) fn renew_later(&self, pause: Duration) {
        *lock(&self.renew_at) = Some(Instant::now() + pause);
    }

    /// The session is in use in this program.
    pub(crate) fn belongs_to(&self, inner: &Arc<Inner>) {
        // Set once: a session is never handed on.
        let _ = self.inner.set(Arc::downgrade(inner));
    }

    /// What the provider says about the person now, where it says so without them: the server then knows before it
    /// is asked to let them vote. Without it a renewal works the same.
    async fn newer_claims(&self) -> Option<String> {
        let inner = self.inner.get()?.upgrade()?;
        let this = inner
            .session()
            .filter(|in_use| std::ptr::eq(Arc::as_ptr(in_use), self))?;
        let fresh = inner.fresh_claims(&this, RENEWAL_CLAIMS_SECS, When::Ahead);
        match tokio::time::timeout(CLAIMS_PATIENCE, fresh).await {
            Ok(Ok(token)) => token,
            Ok(Err(trouble)) => {
                tracing::debug!("renewed without newer claims: {}", trouble.sentence);
                None
            }
            Err(_) => None,
        }
    }

    /// Gets a new access token by the binding.
    pub(crate) async fn renew(&self) -> Result<(), SessionError> {
        let turn = lock(&self.renew_at).to_owned();
        let _renewing = self.renewing.lock().await;
        if self.renew_at() != turn {
            // Someone else renewed while we waited.
            return Ok(());
        }
        let claims_token = self.newer_claims().await;
        let nonce = self.api.nonce().await.map_err(SessionError::NotNow)?;
        let proof = self.proof(nonce);
        let request = TokenRequest {
            grant_type: GRANT_RENEW.to_owned(),
            subject_token_type: claims_token.as_ref().map(|_| ID_TOKEN_TYPE.to_owned()),
            subject_token: claims_token,
            cic: None,
            binding_id: Some(self.account.binding.to_string()),
            proof,
            device_name: None,
        };
        match self.api.token(&request).await {
            Ok(answer) => {
                self.use_token(&answer);
                Ok(())
            }
            Err(error @ ApiError::TokenRefused { .. }) if OVER.contains(&error.code()) => {
                tracing::info!(code = error.code(), "the binding is no good any more");
                Err(SessionError::Over(Over {
                    sentence: format!("{} Sign in again.", sentence(&error.to_string())),
                    revoked: error.code() == "binding_revoked",
                }))
            }
            Err(error) => Err(SessionError::NotNow(error)),
        }
    }

    fn proof(&self, nonce: String) -> String {
        let pop = Pop {
            aud: self.account.server.clone(),
            nonce,
            cic_digest: self.secrets.binding(),
            iat: self.now(),
        };
        pop.sign(&self.secrets.device)
    }

    /// Makes a call, and once more with a new token where the old one had ended.
    pub(crate) async fn call<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        call: impl Fn(Arc<ApproverApi>) -> F,
    ) -> Result<T, ApiError> {
        match call(Arc::clone(&self.api)).await {
            Err(error @ ApiError::Unauthorized { .. })
                if !CLAIMS.contains(&error.code()) && !is_of_step_up(&error) =>
            {
                match self.renew().await {
                    Ok(()) => {
                        self.with_stream(countersign_client::stream::Stream::renewed);
                        call(Arc::clone(&self.api)).await
                    }
                    Err(SessionError::NotNow(error)) => Err(error),
                    Err(SessionError::Over(_)) => Err(error),
                }
            }
            other => other,
        }
    }

    // --- stream --------------------------------------------------------------------------------

    pub(crate) fn set_stream(&self, stream: countersign_client::stream::Stream) {
        *lock(&self.stream) = Some(stream);
    }

    pub(crate) fn with_stream(&self, act: impl FnOnce(&countersign_client::stream::Stream)) {
        if let Some(stream) = lock(&self.stream).as_ref() {
            act(stream);
        }
    }

    // --- history -------------------------------------------------------------------------------

    pub(crate) fn set_filling(&self, filling: Ahead) {
        *lock(&self.filling) = Some(filling);
    }

    /// To what keeps the history, where something does.
    pub(crate) fn ahead(&self) -> Option<Ahead> {
        lock(&self.filling).clone()
    }

    // --- requests ------------------------------------------------------------------------------

    /// Reads one request from the server and verifies it.
    pub(crate) async fn read(&self, txn: &Txn) -> Result<Arc<Item>, ApiError> {
        let view = self
            .call(|api| async move { api.request(txn).await })
            .await?;
        Ok(self.verify(view).await)
    }

    /// Verifies what the server sent.
    pub(crate) async fn verify(&self, view: RequestView) -> Arc<Item> {
        self.know_gate(&view.ask_jws).await;
        let pep_keys = lock(&self.pep_keys).clone();
        let pins = Pins {
            account: &self.account.id,
            server: &self.account.server,
            server_keys: &self.account.server_keys,
            pep_keys: &pep_keys,
            device: (self.account.binding, &self.statement.key),
        };
        Arc::new(Item::read(view, &pins, self.now()))
    }

    /// A gate that was registered after the sign-in is pinned when it is first seen; one that is known never
    /// changes its key without a new sign-in.
    async fn know_gate(&self, ask_jws: &str) {
        let Ok((_, ask)) = Ask::unverified(ask_jws) else {
            return;
        };
        if lock(&self.pep_keys).iter().any(|(pep, _)| *pep == ask.iss) {
            return;
        }
        {
            let mut unknown = lock(&self.unknown_gates);
            unknown.retain(|_, asked| asked.elapsed() < KEYS_PAUSE);
            if unknown.contains_key(&ask.iss) || unknown.len() >= MAX_UNKNOWN_GATES {
                return;
            }
            unknown.insert(ask.iss.clone(), Instant::now());
        }
        let Ok(keys) = self.api.http().keys().await else {
            return;
        };
        let mut known = lock(&self.pep_keys);
        for countersign_api::http::PepKey { pep, jwk } in keys.peps {
            let (Ok(pep), Ok(key)) = (PepId::parse(&pep), PublicKey::from_jwk(&jwk)) else {
                continue;
            };
            if !known.iter().any(|(known, _)| *known == pep) {
                tracing::info!(%pep, "a new gate's key is pinned");
                known.push((pep, key));
            }
        }
    }

    /// What is trusted of gates now.
    pub(crate) fn pep_keys(&self) -> Vec<(PepId, PublicKey)> {
        lock(&self.pep_keys).clone()
    }

    /// The account's file with everything that was learned since.
    pub(crate) fn keep_pins(&self, folder: &Folder) {
        let known = self.pep_keys();
        let count = known.len();
        if count == self.pep_keys_kept.load(Ordering::Relaxed) {
            return;
        }
        let pep_keys = known
            .into_iter()
            .map(|(pep, key)| (pep.to_string(), key.to_jwk()))
            .collect();
        let file = AccountFile {
            pep_keys,
            ..self.account.file.clone()
        };
        match folder.write(ACCOUNT, &file) {
            Ok(()) => self.pep_keys_kept.store(count, Ordering::Relaxed),
            Err(error) => tracing::warn!("pinned keys not kept: {error}"),
        }
    }

    pub(crate) fn item(&self, txn: &str) -> Option<Arc<Item>> {
        lock(&self.items).get(txn).cloned()
    }

    /// Puts a request in; gives what was there.
    pub(crate) fn put(&self, item: Arc<Item>) -> Option<Arc<Item>> {
        let mut items = lock(&self.items);
        if items.len() >= MAX_ITEMS && !items.contains_key(&item.txn) {
            return None;
        }
        items.insert(item.txn.clone(), item)
    }

    pub(crate) fn remove(&self, txn: &str) -> Option<Arc<Item>> {
        lock(&self.items).remove(txn)
    }

    pub(crate) fn txns(&self) -> Vec<String> {
        lock(&self.items).keys().cloned().collect()
    }

    /// Rows of the inbox, and of what waits for others; most urgent first.
    pub(crate) fn rows(&self) -> (Vec<Row>, Vec<Row>) {
        let items: Vec<Arc<Item>> = lock(&self.items).values().cloned().collect();
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for item in items {
            if item.is_for_me() {
                mine.push(item.row());
            } else {
                others.push(item.row());
            }
        }
        let urgency = |row: &Row| (row.expires_at, row.txn.clone());
        mine.sort_by_key(urgency);
        others.sort_by_key(urgency);
        (mine, others)
    }

    // --- for the window ------------------------------------------------------------------------

    pub(crate) fn on_show(
        &self,
        key_storage: String,
        security_keys: Option<Vec<ipc::BoundKey>>,
    ) -> ipc::Account {
        let AccountFile {
            server,
            endpoints: _,
            provider,
            sub,
            name,
            email,
            groups,
            binding_id,
            session_ends_at,
            proved: _,
            server_keys: _,
            pep_keys: _,
        } = &self.account.file;
        ipc::Account {
            id: self.account.id.clone(),
            connection: Connection::Connecting,
            server: server.clone(),
            issuer: provider.issuer.clone(),
            provider_name: provider.name.clone(),
            sub: sub.clone(),
            name: wire::safe(name, Role::Name),
            email: email.as_deref().map(|email| wire::safe(email, Role::Data)),
            groups: groups
                .iter()
                .map(|group| wire::safe(group, Role::Data))
                .collect(),
            binding_id: binding_id.clone(),
            session_ends_at: *session_ends_at,
            key_storage,
            security_keys,
            away: None,
        }
    }

    /// Whether the server said, when this session began, where absences are.
    pub(crate) fn knows_absences(&self) -> bool {
        let endpoints = &self.account.file.endpoints;
        !endpoints.absence.is_empty() && !endpoints.colleagues.is_empty()
    }

    /// Whether the provider can be asked to sign the person in again for one vote.
    pub(crate) fn provider_confirms(&self) -> bool {
        self.account.file.provider.step_up == ProviderStepUp::Oidc
    }

    /// Why this account cannot confirm a vote as this requirement wants it; `None` where it can.
    pub(crate) fn cannot_confirm(
        &self,
        requirement: &Requirement,
        options: &Options,
        folder: &Folder,
    ) -> Option<String> {
        let provider = &self.account.file.provider;
        match confirmation(requirement)? {
            Means::Oidc if !self.provider_confirms() => Some(format!(
                "The policy wants this vote confirmed by a fresh sign-in, which {} cannot do. Somebody with an account at another provider decides.",
                provider.name
            )),
            Means::Oidc => {
                let scope = requirement.scope.as_deref()?;
                let allowed = |prefix: &String| scope.starts_with(prefix.as_str());
                (!options.scope_prefixes.iter().any(allowed)).then(|| {
                    format!(
                        "The policy wants consent to `{scope}`, which is none of the scopes that this program asks providers for. Tell whoever wrote the policy."
                    )
                })
            }
            Means::Webauthn => {
                let is_bound = |key: &KeptKey| {
                    key.authenticator()
                        .is_some_and(|key| self.statement.authenticators.contains(&key))
                };
                let bound = folder
                    .key_ring()
                    .is_some_and(|ring| ring.keys().iter().any(is_bound));
                (options.security_key.is_none() || !bound).then(|| {
                    "The policy wants this vote confirmed by a security key, and none is bound to this device. Add yours in the settings first.".to_owned()
                })
            }
        }
    }

    /// When newer claims have to be sent.
    pub(crate) fn claims_due(&self) -> Option<Instant> {
        lock(&self.releases).due()
    }

    /// They were.
    pub(crate) fn claims_sent(&self) {
        let iat = UnixSecs(self.claims_iat.load(Ordering::Relaxed));
        lock(&self.releases).plan(iat, self.now());
    }

    /// They could not be now.
    pub(crate) fn claims_later(&self) {
        lock(&self.releases).later();
    }

    /// They cannot be.
    pub(crate) fn claims_given_up(&self) {
        lock(&self.releases).give_up();
    }

    /// Keeps in mind whether an approval of this person waits for its release.
    pub(crate) fn note_release(&self, item: &Item) {
        let iat = UnixSecs(self.claims_iat.load(Ordering::Relaxed));
        lock(&self.releases).note(item, &self.account.subject, iat, self.now());
    }

    /// How long bindings last at this server, by what it said about this one.
    pub(crate) fn session_secs(&self) -> u32 {
        let secs = self.account.file.session_ends_at - self.secrets.claim("auth_time");
        u32::try_from(secs).unwrap_or(0)
    }

    pub(crate) fn binding(&self) -> Digest {
        self.account.binding
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each critical section leaves its value whole, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
