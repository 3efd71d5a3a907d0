//! Binding a device key to an identity: token exchange (protocol, section 3.4).

use std::sync::Arc;

use countersign_api::http::{ID_TOKEN_TYPE, TokenAnswer, TokenRequest};
use countersign_api::stream::ServerBody;
use countersign_evidence::documents::{Pop, Statement};
use countersign_evidence::op_token::{IdToken, OpRole, peek_issuer};
use countersign_evidence::verify::{Binding, SKEW_SECS, verify_binding};
use countersign_model::{Digest, Subject, UnixSecs, b64u_decode};
use countersign_oidc::OidcError;
use countersign_store::{BindingRow, Conflict, NewBinding, SpentKind, Tx, Write};
use serde_json::json;

use super::change::{entry_of, publish};
use super::{App, TrustedProvider};
use crate::refused::{Kind, Refused};
use crate::secrets::NONCE_SECS;

/// The oldest ID token that makes a binding, in seconds.
const MAX_TOKEN_AGE_SECS: i64 = 300;
/// Live bindings of one person.
const MAX_BINDINGS: u32 = 16;
/// The longest name of a provider's session, in bytes.
const MAX_SID_BYTES: usize = 256;
/// The longest name of a device, in characters.
const MAX_DEVICE_NAME_CHARS: usize = 64;

pub(crate) fn grant_refused(code: &'static str, detail: impl Into<String>) -> Refused {
    Refused::malformed(code, detail)
}

impl App {
    /// A nonce for one proof of possession.
    pub(crate) fn nonce(&self) -> (String, u32) {
        (self.secrets.nonce(self.now()), NONCE_SECS)
    }

    /// Exchanges an ID token that commits to a device key for an access token, binding the key.
    pub(crate) async fn exchange(
        &self,
        request: &TokenRequest,
        jkt: Digest,
    ) -> Result<TokenAnswer, Refused> {
        let now = self.now();
        let missing =
            |what: &str| grant_refused("invalid_request", format!("`{what}` is missing."));
        if request.subject_token_type.as_deref() != Some(ID_TOKEN_TYPE) {
            return Err(grant_refused(
                "invalid_request",
                "`subject_token_type` must be that of an ID token.",
            ));
        }
        let token = request
            .subject_token
            .as_deref()
            .ok_or_else(|| missing("subject_token"))?;
        let cic = request.cic.as_deref().ok_or_else(|| missing("cic"))?;
        let cic = b64u_decode(cic)
            .map_err(|_| grant_refused("invalid_request", "`cic` is not base64url."))?;
        let statement = Statement::from_bytes(&cic).map_err(|error| {
            grant_refused(
                "invalid_request",
                format!("The binding statement is refused: {error}."),
            )
        })?;
        if statement.session_jkt != jkt {
            return Err(grant_refused(
                "invalid_grant",
                "The binding statement names another session key.",
            ));
        }
        let nonce = self.possession(&request.proof, &statement, now)?;
        let (provider, binding) = self.bound(&cic, token, now).await?;
        let person = binding.id_token().subject.clone();
        let session_ends_at = binding.session_ends_at(self.config.session_secs);
        if now >= session_ends_at {
            return Err(grant_refused(
                "use_fresh_sign_in",
                "The sign-in is too long ago: sign in again.",
            ));
        }

        let id = binding.id();
        if let Some(known) = self.store.binding(id).await? {
            return self.again(&known, &person, nonce, now).await;
        }
        let new = NewBinding {
            id,
            person: person.clone(),
            cic,
            id_token: token.to_owned(),
            issued_at: binding.id_token().iat,
            auth_time: binding.auth_time(),
            sid: sid_of(binding.id_token()),
            session_jkt: jkt.to_string(),
            device_name: device_name(request.device_name.as_deref()),
            bound_at: now,
            session_ends_at,
            max_live: MAX_BINDINGS,
        };
        let mut tx = Tx::new();
        tx.push(spend(nonce.clone()));
        tx.push(Write::AddBinding(Box::new(new)));
        let detail =
            json!({ "binding": id.to_string(), "provider": provider.config.op.issuer.as_str() });
        tx.push(entry_of(now, None, "binding", &detail));
        let added = ServerBody::BindingAdded {
            binding_id: id.to_string(),
        };
        tx.push(publish(now, None, Some(&person), &added));
        match self.commit(tx).await? {
            Ok(()) => {
                // What the provider says at this sign-in counts for votes from other devices, too.
                self.void_ineligible(&person).await?;
                let row = self.store.binding(id).await?.ok_or_else(App::contended)?;
                Ok(self.access(&row, now))
            }
            Err(Conflict::TooManyBindings) => Err(grant_refused(
                "too_many_devices",
                format!(
                    "You have {MAX_BINDINGS} devices signed in, the most there may be: sign one out first."
                ),
            )),
            Err(Conflict::Spent(_)) => Err(nonce_used()),
            // While this was checked, the person was signed out.
            Err(Conflict::SignedOut) => Err(signed_out_since()),
            // A second call with the same statement was faster, with another nonce.
            Err(_) => {
                let known = self.store.binding(id).await?.ok_or_else(App::contended)?;
                self.again(&known, &person, nonce, now).await
            }
        }
    }

    /// A statement that is known: a lost reply costs no sign-in, and nobody else can use it.
    async fn again(
        &self,
        known: &BindingRow,
        person: &Subject,
        nonce: (String, UnixSecs),
        now: UnixSecs,
    ) -> Result<TokenAnswer, Refused> {
        if known.person != *person {
            return Err(grant_refused(
                "invalid_grant",
                "This binding statement is another person's.",
            ));
        }
        if !known.is_live(now) {
            return Err(grant_refused(
                "binding_revoked",
                "This binding is over: sign in again with a new key.",
            ));
        }
        let mut tx = Tx::new();
        tx.push(spend(nonce));
        tx.push(Write::ExpectUnrevoked(known.id));
        match self.commit(tx).await? {
            Ok(()) => Ok(self.access(known, now)),
            Err(Conflict::Revoked) => Err(grant_refused(
                "binding_revoked",
                "This binding is over: sign in again.",
            )),
            Err(_) => Err(nonce_used()),
        }
    }

    /// The proof of possession by the device key; gives the nonce that it uses up.
    pub(crate) fn possession(
        &self,
        proof: &str,
        statement: &Statement,
        now: UnixSecs,
    ) -> Result<(String, UnixSecs), Refused> {
        let refused = |detail: String| grant_refused("invalid_grant", detail);
        let pop = Pop::verify(proof, &statement.key)
            .map_err(|error| refused(format!("The proof of possession is refused: {error}.")))?;
        if pop.aud != self.config.public_url || pop.cic_digest != statement.id() {
            return Err(refused(
                "The proof of possession is for another server or binding.".into(),
            ));
        }
        if (now - pop.iat).abs() > SKEW_SECS {
            return Err(refused(
                "The proof's time is more than a minute off: check this device's clock.".into(),
            ));
        }
        match self.secrets.nonce_until(&pop.nonce) {
            Some(until) if now < until => Ok((pop.nonce, until)),
            Some(_) | None => Err(grant_refused(
                "use_new_nonce",
                "The proof's nonce is not one of this server's, or too old: get a new one.",
            )),
        }
    }

    /// The provider commits to this statement, by a fresh sign-in after the person's newest revocation.
    async fn bound(
        &self,
        cic: &[u8],
        token: &str,
        now: UnixSecs,
    ) -> Result<(&TrustedProvider, Binding), Refused> {
        let provider = self.provider_by_token(token)?;
        let keys = self.keys_for(provider, &[token]).await?;
        let binding = verify_binding(
            cic,
            token,
            &self.config.public_url,
            &provider.config.op,
            &keys.current,
            now,
        )
        .map_err(|refusal| grant_refused("invalid_grant", refusal.sentence))?;
        if binding.id_token().bound && !self.binds_keys(provider).await? {
            return Err(grant_refused(
                "invalid_grant",
                "The ID token is bound to a key, and its provider does not say that it makes such tokens.",
            ));
        }
        if now - binding.id_token().iat > MAX_TOKEN_AGE_SECS {
            return Err(grant_refused(
                "use_fresh_sign_in",
                "The ID token is too old: sign in again.",
            ));
        }
        let revoked = self.store.revoked_at(&binding.id_token().subject).await?;
        if revoked.is_some_and(|revoked| binding.auth_time() <= revoked) {
            return Err(signed_out_since());
        }
        Ok((provider, binding))
    }

    /// Whether the provider says that it binds ID tokens to keys.
    async fn binds_keys(&self, provider: &TrustedProvider) -> Result<bool, Refused> {
        let metadata = provider.provider.metadata().await;
        metadata
            .map(|metadata| metadata.binds_keys().is_some())
            .map_err(|error| unreachable(provider, &error))
    }

    pub(crate) fn provider_by_token(&self, token: &str) -> Result<&TrustedProvider, Refused> {
        let issuer = peek_issuer(token)
            .map_err(|error| grant_refused("invalid_grant", format!("{error}.")))?;
        let provider = self.provider_of(&issuer).ok_or_else(|| {
            grant_refused(
                "invalid_grant",
                "The token is from an identity provider that is not trusted here.",
            )
        })?;
        if !provider.config.op.roles.contains(&OpRole::Approver) {
            return Err(grant_refused(
                "invalid_grant",
                "The token is from an identity provider whose people do not approve here.",
            ));
        }
        Ok(provider)
    }

    /// The provider's keys, those of these tokens among them where it publishes them.
    pub(crate) async fn keys_for(
        &self,
        provider: &TrustedProvider,
        tokens: &[&str],
    ) -> Result<Arc<countersign_oidc::KeySet>, Refused> {
        let keys = provider.provider.keys_for(tokens).await;
        keys.map_err(|error| unreachable(provider, &error))
    }
}

fn unreachable(provider: &TrustedProvider, error: &OidcError) -> Refused {
    tracing::warn!(issuer = %provider.config.op.issuer, code = error.code(), "provider: {error}");
    Refused {
        retry_after_secs: Some(10),
        ..Refused::new(
            Kind::Unavailable,
            "provider_unreachable",
            "The server cannot reach the identity provider to check the token. Try again.",
        )
    }
}

pub(crate) fn spend((value, until): (String, UnixSecs)) -> Write {
    Write::Spend {
        kind: SpentKind::PopNonce,
        value,
        until,
    }
}

pub(crate) fn nonce_used() -> Refused {
    grant_refused(
        "use_new_nonce",
        "The proof's nonce was used before: get a new one.",
    )
}

fn signed_out_since() -> Refused {
    grant_refused(
        "use_fresh_sign_in",
        "Your devices were signed out since this sign-in: sign in again.",
    )
}

/// The provider's session, where its ID tokens name it (OpenID Connect Front-Channel Logout 1.0, section 3).
fn sid_of(id_token: &IdToken) -> Option<String> {
    let sid = id_token.claims.get("sid")?.as_str()?;
    (!sid.is_empty() && sid.len() <= MAX_SID_BYTES).then(|| sid.to_owned())
}

/// What the device calls itself: one line of visible characters.
fn device_name(name: Option<&str>) -> String {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let name: String = name.trim().chars().take(MAX_DEVICE_NAME_CHARS).collect();
    if name.is_empty() {
        "Unnamed device".to_owned()
    } else {
        name
    }
}
