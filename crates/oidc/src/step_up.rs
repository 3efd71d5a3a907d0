//! A step-up: the provider itself confirms one vote (protocol, section 5, step 3).
//!
//! A fresh sign-in whose nonce commits to the signed vote and, where a scope is asked for, consent to exactly that
//! scope for a resource that no API accepts. The parameters are fixed here. The answer is checked in full before it
//! goes anywhere, by the code that server and gates check it with; each way in which it can fail has its own
//! sentence, because a person reads it on the card.

use std::sync::Arc;

use countersign_evidence::op_token::{AcrClaim, KeyRule, NonceRule, OpConfig};
use countersign_evidence::{Alg, SecretKey};
use countersign_model::UnixSecs;
use serde_json::{Value, json};

use crate::code::{CodeRequest, Opener, Progress, Push, TokenKey, code_flow};
use crate::error::OidcError;
use crate::provider::Provider;
use crate::sign_in::verified;
use crate::tokens::Tokens;

/// A step-up's `auth_time` may lie this many seconds before the vote's `iat` (protocol, section 6, step 6).
const EARLY_SECS: i64 = 5;

/// What one vote needs.
#[derive(Debug, Clone)]
pub struct StepUpRequest {
    /// The provider's configuration.
    pub config: OpConfig,
    /// The registered path, such as `/callback`.
    pub redirect_path: String,
    /// Ports to try, in order; `[0]` unless the provider compares ports.
    pub ports: Vec<u16>,
    /// The commitment to the signed vote.
    pub nonce: String,
    /// Whose vote it is.
    pub sub: String,
    /// When the vote was signed.
    pub signed_at: UnixSecs,
    /// Until when it is good.
    pub good_until: UnixSecs,
    /// The authentication context that the sign-in must reach.
    pub acr: Option<String>,
    /// What to consent to.
    pub consent: Option<Consent>,
    /// More scopes, so that the ID token tells about the person as the sign-in's does: where its claims are wanted.
    pub claims_scopes: Vec<String>,
}

/// Consent to one scope.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The scope.
    pub scope: String,
    /// The resource that the token is for: no API accepts it.
    pub resource: String,
    /// The key that ties the token to the vote, which names its thumbprint (`consent_jkt`). Without one only an
    /// `at_hash` does.
    pub key: Option<SecretKey>,
}

/// The provider's confirmation. Never printed: it holds tokens.
#[derive(Clone)]
pub struct Confirmed {
    /// Its nonce signs the vote.
    pub id_token: String,
    /// With the scope, where one was asked for.
    pub access_token: Option<String>,
}

/// Why a vote was not confirmed. Each sentence stands on the card, which says itself that nothing was approved.
#[derive(Debug, thiserror::Error)]
pub enum StepUpError {
    /// The person said no at the provider.
    #[error("you declined at the identity provider")]
    Declined,
    /// Somebody else signed in.
    #[error(
        "another account signed in at the identity provider than the one that votes here. Try again with your own account"
    )]
    OtherAccount,
    /// The sign-in did not reach the level.
    #[error(
        "the policy wants a sign-in at the level `{wanted}`, and the identity provider confirmed {}", level(.found)
    )]
    Level {
        /// What the requirement asks for.
        wanted: String,
        /// What the provider said.
        found: Option<String>,
    },
    /// The scope is not among what was granted.
    #[error(
        "the identity provider did not give the consent `{scope}` that the policy wants. Try again and agree to it, or tell whoever runs the provider"
    )]
    ScopeNotGranted {
        /// Which.
        scope: String,
    },
    /// The provider did not make the person sign in again.
    #[error(
        "the identity provider did not ask you to sign in again, which this vote needs. Try again; if it stays so, tell whoever runs the provider"
    )]
    NotFresh,
    /// It refuses what a step-up needs.
    #[error(
        "the identity provider cannot confirm a single vote as the policy wants it ({code}). Tell whoever wrote the policy"
    )]
    Unable {
        /// The OAuth error code.
        code: String,
    },
    /// Anything that can happen to a sign-in.
    #[error(transparent)]
    Oidc(#[from] OidcError),
}

impl StepUpError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Declined => "step_up_declined",
            Self::OtherAccount => "step_up_other_account",
            Self::Level { .. } => "step_up_level",
            Self::ScopeNotGranted { .. } => "step_up_scope_not_granted",
            Self::NotFresh => "step_up_not_fresh",
            Self::Unable { .. } => "step_up_unable",
            Self::Oidc(error) => error.code(),
        }
    }

    /// What an OAuth error means here.
    fn of_flow(error: OidcError, request: &StepUpRequest) -> Self {
        if matches!(error, OidcError::Declined) {
            return Self::Declined;
        }
        let OidcError::Refused { code } = error else {
            return Self::Oidc(error);
        };
        match (code.as_str(), &request.acr, &request.consent) {
            // OpenID Connect Core Error Code `unmet_authentication_requirements` 1.0.
            ("unmet_authentication_requirements", Some(wanted), _) => Self::Level {
                wanted: wanted.clone(),
                found: None,
            },
            ("invalid_scope" | "consent_required", _, Some(consent)) => Self::ScopeNotGranted {
                scope: consent.scope.clone(),
            },
            (
                "invalid_target"
                | "invalid_request"
                | "request_not_supported"
                | "unauthorized_client"
                | "invalid_scope",
                _,
                _,
            ) => Self::Unable { code },
            (_, _, _) => Self::Oidc(OidcError::Refused { code }),
        }
    }
}

fn level(found: &Option<String>) -> String {
    match found {
        Some(found) => format!("`{found}`"),
        None => "none".to_owned(),
    }
}

impl Provider {
    /// The kind of key that its token endpoint takes proofs by, where it binds tokens at all (RFC 9449).
    ///
    /// # Errors
    /// As [`Provider::metadata`].
    pub async fn proof_alg(&self) -> Result<Option<Alg>, OidcError> {
        let metadata = self.metadata().await?;
        let takes = |alg: Alg| metadata.takes_proofs_by(alg).then_some(alg);
        // ES256 first: it is what everybody has.
        Ok(takes(Alg::Es256).or_else(|| takes(Alg::Ed25519)))
    }
}

/// Has the provider confirm a vote, by the system browser.
///
/// # Errors
/// [`StepUpError`]: nothing was confirmed.
pub async fn step_up(
    provider: &Arc<Provider>,
    request: &StepUpRequest,
    opener: &dyn Opener,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Confirmed, StepUpError> {
    let tokens = code_flow(provider, &code_request(request), opener, tell)
        .await
        .map_err(|error| StepUpError::of_flow(error, request))?;
    checked(provider, request, tokens).await
}

fn code_request(request: &StepUpRequest) -> CodeRequest {
    let mut more = vec![
        ("nonce", request.nonce.clone()),
        ("prompt", "login".to_owned()),
        // 0 is not portable.
        ("max_age", "60".to_owned()),
        ("claims", claims_parameter(request).to_string()),
    ];
    let mut scopes = vec!["openid".to_owned()];
    let no_refresh = |scope: &&String| !["openid", "offline_access"].contains(&scope.as_str());
    scopes.extend(request.claims_scopes.iter().filter(no_refresh).cloned());
    let mut at_token = Vec::new();
    if let Some(consent) = &request.consent {
        scopes.push(consent.scope.clone());
        more.push(("resource", consent.resource.clone()));
        at_token.push(("resource", consent.resource.clone()));
    }
    CodeRequest {
        client_id: request.config.client_id.clone(),
        scopes,
        redirect_path: request.redirect_path.clone(),
        ports: request.ports.clone(),
        more,
        more_at_token: at_token,
        push: Push::WhereOffered,
        dpop: request
            .consent
            .as_ref()
            .and_then(|consent| consent.key.clone())
            .map(TokenKey::OfAccess),
    }
}

/// OpenID Connect Core, section 5.5: `acr_values` alone is voluntary, and ignored without an error.
fn claims_parameter(request: &StepUpRequest) -> Value {
    let mut wanted = json!({
        "auth_time": {"essential": true},
        "sub": {"essential": true, "value": request.sub},
    });
    if let Some(acr) = &request.acr {
        let name = match request.config.acr_claim {
            AcrClaim::Acr => "acr",
            AcrClaim::Acrs => "acrs",
        };
        wanted[name] = json!({"essential": true, "values": [acr]});
    }
    json!({ "id_token": wanted })
}

/// Everything that can be said about the answer before it is passed on.
async fn checked(
    provider: &Arc<Provider>,
    request: &StepUpRequest,
    tokens: Tokens,
) -> Result<Confirmed, StepUpError> {
    let id_token = tokens.id_token.ok_or(OidcError::NoIdToken)?;
    let rules = (NonceRule::Exactly(&request.nonce), KeyRule::Unbound);
    let person = verified(provider, &request.config, &id_token, rules).await?;
    if person.subject.sub != request.sub {
        return Err(StepUpError::OtherAccount);
    }
    let fresh = person
        .auth_time
        .is_some_and(|at| request.signed_at.0 - EARLY_SECS <= at.0 && at.0 <= request.good_until.0);
    if !fresh {
        return Err(StepUpError::NotFresh);
    }
    if let Some(wanted) = &request.acr {
        let found = request.config.acrs_of(&person.claims);
        if !found.contains(&wanted.as_str()) {
            return Err(StepUpError::Level {
                wanted: wanted.clone(),
                found: (!found.is_empty()).then(|| found.join(" ")),
            });
        }
    }
    let access_token = match &request.consent {
        None => None,
        Some(consent) => {
            // RFC 6749, 5.1: where the answer names scopes, they are what was granted.
            let granted = |scopes: &Vec<String>| scopes.contains(&consent.scope);
            if !tokens.scopes.as_ref().is_none_or(granted) {
                return Err(StepUpError::ScopeNotGranted {
                    scope: consent.scope.clone(),
                });
            }
            Some(tokens.access_token)
        }
    };
    Ok(Confirmed {
        id_token,
        access_token,
    })
}
