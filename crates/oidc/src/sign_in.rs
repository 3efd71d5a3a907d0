//! An approver's sign-in (protocol, section 3, steps 2 and 3): the provider's signature over our nonce is
//! what binds the device key, so the parameters are fixed here and not for the caller to choose.

use std::sync::Arc;

use countersign_evidence::op_token::{
    IdToken, KeyBinding, KeyRule, NonceRule, OpConfig, OpTokenError, verify_id_token,
};
use countersign_evidence::{Alg, SecretKey};

use crate::code::{BOUND_KEY, CodeRequest, Opener, Progress, Push, TokenKey, code_flow};
use crate::error::OidcError;
use crate::http::CLOCK_SKEW_SECS;
use crate::provider::Provider;
use crate::tokens::{Tokens, refresh};

/// A sign-in's `auth_time` is at most this long before the token's `iat`, in seconds.
pub const FRESH_SECS: i64 = 300;

/// What differs between sign-ins.
#[derive(Debug, Clone)]
pub struct SignInRequest {
    /// The provider's configuration: issuer, the approver client, algorithms, groups.
    pub config: OpConfig,
    /// With `openid`.
    pub scopes: Vec<String>,
    /// The registered path, such as `/callback`.
    pub redirect_path: String,
    /// The commitment to the binding statement.
    pub nonce: String,
    /// Ports to try, in order; `[0]` unless the provider compares ports.
    pub ports: Vec<u16>,
    /// The device key, where the provider is asked to bind the sign-in to it too ([`Provider::binds_keys`]).
    pub bound_key: Option<SecretKey>,
}

impl Provider {
    /// The kind of device key that this provider binds sign-ins to, where it says that it does and nobody refuses that.
    ///
    /// # Errors
    /// As [`Provider::metadata`]; [`OidcError::NotBound`] where it must and does not.
    pub async fn binds_keys(&self, config: &OpConfig) -> Result<Option<Alg>, OidcError> {
        let offered = match config.key_binding {
            KeyBinding::Refused => return Ok(None),
            KeyBinding::Accepted | KeyBinding::Required => self.metadata().await?.binds_keys(),
        };
        if offered.is_none() && config.key_binding == KeyBinding::Required {
            return Err(OidcError::NotBound { wanted: BY_RULE });
        }
        Ok(offered)
    }
}

/// Who wants a sign-in bound to a key.
const BY_RULE: &str = "this server wants it";
const BY_ITSELF: &str = "it says that it does";

/// A sign-in that worked.
#[derive(Debug)]
pub struct SignedIn {
    /// The compact ID token: the evidence for the key.
    pub id_token: String,
    /// The same, read and verified.
    pub person: IdToken,
    /// Everything that the provider gave.
    pub tokens: Tokens,
}

/// Signs in by the system browser.
///
/// # Errors
/// Whatever keeps it from ending with a fresh ID token that commits to the nonce.
pub async fn sign_in(
    provider: &Arc<Provider>,
    request: &SignInRequest,
    opener: &dyn Opener,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<SignedIn, OidcError> {
    let more = vec![
        ("nonce", request.nonce.clone()),
        // One value only: two are an error at some providers and ignored by others.
        ("prompt", "login".to_owned()),
        // Without a max_age there is no auth_time.
        ("max_age", "900".to_owned()),
    ];
    let code = CodeRequest {
        client_id: request.config.client_id.clone(),
        scopes: request.scopes.clone(),
        redirect_path: request.redirect_path.clone(),
        ports: request.ports.clone(),
        more,
        more_at_token: Vec::new(),
        push: Push::WhereRequired,
        dpop: request.bound_key.clone().map(TokenKey::OfIdToken),
    };
    let tokens = code_flow(provider, &code, opener, tell).await?;
    let id_token = tokens.id_token.clone().ok_or(OidcError::NoIdToken)?;
    let public = request.bound_key.as_ref().map(SecretKey::public);
    let (key, wanted) = match &public {
        None => (KeyRule::Unbound, BY_RULE),
        // RFC 6749, 5.1: what it names is what it granted. A provider may decline openly, unless it must not.
        Some(key) if granted(&tokens, BOUND_KEY) => (KeyRule::Bound(key), BY_ITSELF),
        Some(key) if request.config.key_binding == KeyBinding::Required => {
            (KeyRule::Bound(key), BY_RULE)
        }
        Some(_) => (KeyRule::Unbound, BY_RULE),
    };
    let rules = (NonceRule::Exactly(&request.nonce), key);
    let person = verified(provider, &request.config, &id_token, rules)
        .await
        .map_err(|error| {
            if matches!(error, OidcError::Token(OpTokenError::NotBound)) {
                OidcError::NotBound { wanted }
            } else {
                error
            }
        })?;
    let fresh = person
        .auth_time
        .is_some_and(|at| at.0 > 0 && person.iat.0 - at.0 <= FRESH_SECS);
    if !fresh {
        return Err(OidcError::NotFresh);
    }
    Ok(SignedIn {
        id_token,
        person,
        tokens,
    })
}

/// Whether the provider granted this scope.
fn granted(tokens: &Tokens, scope: &str) -> bool {
    let named = tokens.scopes.as_ref();
    named.is_none_or(|named| named.iter().any(|one| one == scope))
}

/// How a sign-in was bound to the device key.
#[derive(Debug, Clone, Copy)]
pub enum BoundSignIn<'a> {
    /// By the nonce alone.
    No,
    /// The provider saw a proof by it, so that it may want one again for the refresh token (RFC 9449, section 5).
    Tokens(&'a SecretKey),
    /// Its ID token is bound to it, and so is what comes of a refresh (Key Binding, section 5).
    IdToken(&'a SecretKey),
}

/// A newer ID token of the same person, evidence for current claims.
#[derive(Debug)]
pub struct Refreshed {
    /// The compact ID token, where the provider gives one. An error says why it cannot be used: the refresh token
    /// is good all the same.
    pub id_token: Result<Option<(String, IdToken)>, OidcError>,
    /// The refresh token to use next time: the new one, else the old one. A provider that rotates takes the old
    /// one no more, so it must be kept whatever came of the ID token.
    pub refresh_token: String,
}

/// Asks for newer claims by the refresh token of a sign-in. An ID token that is not about the same person
/// is refused.
///
/// # Errors
/// As [`refresh`]: then the old refresh token is the one to use.
pub async fn refresh_claims(
    provider: &Arc<Provider>,
    config: &OpConfig,
    refresh_token: &str,
    nonce: &str,
    bound: BoundSignIn<'_>,
) -> Result<Refreshed, OidcError> {
    let (proof, public) = match bound {
        BoundSignIn::No => (None, None),
        BoundSignIn::Tokens(key) => (Some(key), None),
        BoundSignIn::IdToken(key) => (Some(key), Some(key.public())),
    };
    let tokens = refresh(provider, &config.client_id, refresh_token, proof).await?;
    let id_token = match tokens.id_token {
        Some(compact) => {
            let key = public.as_ref().map_or(KeyRule::Unbound, KeyRule::Bound);
            let rules = (NonceRule::ExactlyOrAbsent(nonce), key);
            let read = verified(provider, config, &compact, rules).await;
            read.map(|read| Some((compact, read)))
        }
        None => Ok(None),
    };
    Ok(Refreshed {
        id_token,
        refresh_token: tokens
            .refresh_token
            .unwrap_or_else(|| refresh_token.to_owned()),
    })
}

pub(crate) async fn verified(
    provider: &Arc<Provider>,
    config: &OpConfig,
    compact: &str,
    (nonce, key): (NonceRule<'_>, KeyRule<'_>),
) -> Result<IdToken, OidcError> {
    let keys = provider.keys_for(&[compact]).await?;
    let now = provider.now();
    // A token made this moment tells the provider's clock. Said before anything is refused for its times,
    // because "expired" would send the person the wrong way.
    if let Some(iat) = issued_at(compact)
        && (now.0 - iat).abs() > CLOCK_SKEW_SECS
    {
        return Err(OidcError::ClockOff {
            ahead_secs: now.0 - iat,
        });
    }
    Ok(verify_id_token(
        compact,
        config,
        &keys.current,
        now,
        nonce,
        key,
    )?)
}

/// The `iat` of a token that is not verified yet.
fn issued_at(compact: &str) -> Option<i64> {
    let payload = countersign_model::b64u_decode(compact.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<serde_json::Value>(&payload).ok()?["iat"].as_i64()
}
