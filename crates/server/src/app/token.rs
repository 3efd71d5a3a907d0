//! The approver's access token: signed by `rk`, bound to a session key and to a binding, ten minutes.

use countersign_api::http::{ACCESS_TOKEN_TYPE, TokenAnswer};
use countersign_evidence::{dpop, jose};
use countersign_model::{Digest, Members, UnixSecs, b64u};
use countersign_store::BindingRow;
use serde_json::json;

use super::App;
use crate::refused::{Refused, Scheme};
use crate::replay::Sight;

/// The life of an access token, in seconds.
const ACCESS_SECS: i64 = 600;
const TYP: &str = "countersign-access+jwt";

/// A signed-in approver, for one call.
#[derive(Debug, Clone)]
pub(crate) struct Approver {
    pub(crate) binding: BindingRow,
    /// Until when the access token is good.
    pub(crate) token_until: UnixSecs,
}

impl App {
    /// An access token for a live binding.
    pub(crate) fn access(&self, binding: &BindingRow, now: UnixSecs) -> TokenAnswer {
        let exp = (now + ACCESS_SECS).min(binding.session_ends_at);
        let payload = json!({
            "iss": self.config.public_url.as_str(),
            "aud": self.config.public_url.as_str(),
            "binding_id": binding.id.to_string(),
            "jkt": binding.session_jkt,
            "iat": now.0,
            "exp": exp.0,
            "jti": b64u(&rand::random::<[u8; 16]>()),
        });
        TokenAnswer {
            access_token: jose::sign(&self.secrets.rk, TYP, &payload),
            token_type: "DPoP".to_owned(),
            issued_token_type: ACCESS_TOKEN_TYPE.to_owned(),
            expires_in: u32::try_from(exp - now).unwrap_or(0),
            binding_id: binding.id.to_string(),
            session_ends_at: binding.session_ends_at.0,
        }
    }

    /// Who calls, by access token and DPoP proof for `method` on `path`.
    pub(crate) async fn authenticate(
        &self,
        token: &str,
        proof: &str,
        method: &str,
        path: &str,
    ) -> Result<Approver, Refused> {
        let now = self.now();
        let refused = |code, detail: &str| Err(Refused::unauthorized(Scheme::Dpop, code, detail));
        let Some((id, jkt, exp)) = self.read_access(token) else {
            return refused("token_invalid", "This is no access token of this server.");
        };
        if now >= exp {
            return refused("token_expired", "The access token has expired: renew it.");
        }
        let proof_jkt = self.prove(proof, method, path, Some(token))?;
        if proof_jkt != jkt {
            return refused(
                "dpop_other_key",
                "The DPoP proof is by another key than the token is bound to.",
            );
        }
        let Some(binding) = self.store.binding(id).await? else {
            return refused("token_invalid", "The token's binding is not known here.");
        };
        if binding.revoked_at.is_some() {
            return refused(
                "binding_revoked",
                "This device was signed out: sign in again.",
            );
        }
        if !binding.is_live(now) || binding.session_jkt != jkt.to_string() {
            return refused("use_fresh_sign_in", "The session is over: sign in again.");
        }
        Ok(Approver {
            binding,
            token_until: exp,
        })
    }

    /// A DPoP proof for this call, seen for the first time. Gives its key's thumbprint.
    pub(crate) fn prove(
        &self,
        proof: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> Result<Digest, Refused> {
        let now = self.now();
        let proof = dpop::verify(proof, method, &self.url(path), token, now).map_err(|error| {
            Refused::unauthorized(Scheme::Dpop, error.code(), format!("{error}."))
        })?;
        if proof.iat < self.replay.since {
            return Err(Refused::unauthorized(
                Scheme::Dpop,
                "dpop_before_start",
                "This DPoP proof is from before the server started: make a new one for each call.",
            ));
        }
        let until = proof.iat + dpop::MAX_AGE_SECS + 1;
        let owner = format!("dpop {}", proof.jkt);
        let sight = match token {
            Some(_) => self.replay.see(&owner, &proof.jti, until, now),
            None => self.replay.see_stranger(&owner, &proof.jti, until, now),
        };
        match sight {
            Sight::First => Ok(proof.jkt),
            Sight::Again => Err(Refused::unauthorized(
                Scheme::Dpop,
                "dpop_replayed",
                "This DPoP proof was used before: make a new one for each call.",
            )),
            Sight::Full => Err(Refused::too_many("The server is busy.", 5)),
        }
    }

    fn read_access(&self, token: &str) -> Option<(Digest, Digest, UnixSecs)> {
        let payload = jose::verify(token, TYP, &self.secrets.rk.public()).ok()?;
        let mut members = Members::of(&payload).ok()?;
        let (iss, aud) = (members.server("iss").ok()?, members.server("aud").ok()?);
        let found = (
            members.digest("binding_id").ok()?,
            members.digest("jkt").ok()?,
            members.time("exp").ok()?,
        );
        (iss == self.config.public_url && aud == iss).then_some(found)
    }
}
