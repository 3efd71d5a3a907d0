//! A new access token for a binding that lives. It never lengthens the session.

use countersign_api::http::{TokenAnswer, TokenRequest};
use countersign_evidence::documents::Statement;
use countersign_evidence::op_token::{AsOf, IdToken};
use countersign_evidence::verify::{verify_binding, verify_claims_token};
use countersign_model::{Digest, UnixSecs};
use countersign_store::{BindingRow, Conflict, Tx, Write};

use super::App;
use super::claims::{Newer, keep_claims};
use super::sign_in::{grant_refused, nonce_used, spend};
use crate::refused::Refused;

impl App {
    /// Renews, by a new proof of the device key. A refreshed ID token updates the claims.
    pub(crate) async fn renew(
        &self,
        request: &TokenRequest,
        jkt: Digest,
    ) -> Result<TokenAnswer, Refused> {
        let now = self.now();
        let id = request
            .binding_id
            .as_deref()
            .and_then(|id| Digest::parse(id).ok());
        let id = id
            .ok_or_else(|| grant_refused("invalid_request", "`binding_id` is missing or wrong."))?;
        let gone = || {
            grant_refused(
                "binding_revoked",
                "This device is not signed in here: sign in again.",
            )
        };
        let binding = self.store.binding(id).await?.ok_or_else(gone)?;
        if binding.session_jkt != jkt.to_string() {
            return Err(grant_refused(
                "invalid_grant",
                "The DPoP proof is by another session key.",
            ));
        }
        if binding.revoked_at.is_some() {
            return Err(gone());
        }
        if !binding.is_live(now) {
            return Err(grant_refused(
                "use_fresh_sign_in",
                "The session is over: sign in again.",
            ));
        }
        let statement = Statement::from_bytes(&binding.cic)
            .map_err(|error| Refused::broken("a stored binding cannot be read", &error))?;
        let nonce = self.possession(&request.proof, &statement, now)?;

        let mut tx = Tx::new();
        tx.push(spend(nonce));
        tx.push(Write::ExpectUnrevoked(id));
        let mut newer = Newer::No;
        if let Some(token) = &request.subject_token {
            match self.claims_token(token, &binding, now).await {
                Ok(claims) => newer = keep_claims(&mut tx, &binding, token, claims.iat),
                // Without newer claims a session works the same, save that a vote which needs fresh ones is told so:
                // a provider whose refreshed tokens are no good must not end it.
                Err(refused) => {
                    tracing::warn!(binding = %id, code = refused.code, "newer claims were not taken: {}", refused.detail);
                }
            }
        }
        match self.commit(tx).await? {
            Ok(()) => {
                if newer == Newer::Yes {
                    self.void_ineligible(&binding.person).await?;
                }
                Ok(self.access(&binding, now))
            }
            Err(Conflict::Revoked) => Err(gone()),
            Err(_) => Err(nonce_used()),
        }
    }

    /// A refreshed ID token of the same person: evidence of current claims only.
    pub(crate) async fn claims_token(
        &self,
        token: &str,
        known: &BindingRow,
        now: UnixSecs,
    ) -> Result<IdToken, Refused> {
        let provider = self.provider_by_token(token)?;
        let config = &provider.config.op;
        let keys = self.keys_for(provider, &[&known.id_token, token]).await?;
        let refused = |sentence: String| grant_refused("claims_token_refused", sentence);
        let (server, as_of) = (&self.config.public_url, AsOf::Issue { now });
        let binding = verify_binding(
            &known.cic,
            &known.id_token,
            server,
            config,
            &keys.seen,
            as_of,
        )
        .map_err(|refusal| refused(refusal.sentence))?;
        verify_claims_token(token, &binding, config, &keys.current, now)
            .map_err(|refusal| refused(refusal.sentence))
    }
}
