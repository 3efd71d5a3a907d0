//! Who calls. Each extractor refuses what is not exactly its own kind of credential; a token of the approver
//! client is none of them.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use countersign_evidence::PepToken;
use countersign_evidence::op_token::AccessToken;
use countersign_evidence::verify::SKEW_SECS;
use countersign_model::{PepId, UnixSecs};
use countersign_oidc::{AccessError, ResourceServer};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::problem::Problem;
use crate::app::token::Approver;
use crate::app::{App, Caller};
use crate::refused::{Kind, Refused, Scheme};
use crate::replay::Sight;

/// The longest credential that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A registered enforcement point, with its token's `jti` and the end of its life.
pub(crate) struct Pep {
    pub(crate) id: PepId,
    pub(crate) token: (String, UnixSecs),
}

/// A PEP, or a requester.
pub(crate) struct AnyCaller(pub(crate) Caller);

/// A member of a group that the configuration names.
pub(crate) struct Administrator;

/// A signed-in approver.
pub(crate) struct SignedIn(pub(crate) Approver);

impl FromRequestParts<Arc<App>> for Pep {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Pep, Problem> {
        let token = credential(&parts.headers, Scheme::Bearer)?;
        match PepToken::unverified(token) {
            Ok((_, claimed)) => Ok(pep(app, token, &claimed)?),
            Err(_) => Err(Problem::from(Refused::forbidden(
                "gates_only",
                "Only a registered gate may call this, with its own token.",
            ))),
        }
    }
}

impl FromRequestParts<Arc<App>> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<AnyCaller, Problem> {
        let token = credential(&parts.headers, Scheme::Bearer)?;
        if let Ok((_, claimed)) = PepToken::unverified(token) {
            return Ok(AnyCaller(Caller::Pep(pep(app, token, &claimed)?.id)));
        }
        let token = verified(&app.requesters, token).await?;
        Ok(AnyCaller(Caller::Requester(token.subject.clone())))
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Administrator, Problem> {
        let token = credential(&parts.headers, Scheme::Bearer)?;
        let token = verified(&app.administrators, token).await?;
        let groups = app
            .provider_of(token.subject.iss.as_str())
            .map(|provider| provider.config.op.groups_of(&token.claims))
            .unwrap_or_default();
        if groups.is_disjoint(&app.config.administrators) {
            let detail =
                "Only members of a group that this server names as `administrators` may do this.";
            return Err(Refused::forbidden("administrators_only", detail).into());
        }
        Ok(Administrator)
    }
}

/// Somebody with their own provider's access token for this server.
async fn verified(callers: &ResourceServer, token: &str) -> Result<Arc<AccessToken>, Refused> {
    callers.verify(token).await.map_err(|error| match error {
        AccessError::Invalid(_) | AccessError::UnknownIssuer => {
            Refused::unauthorized(Scheme::Bearer, error.code(), format!("{error}."))
        }
        AccessError::Unavailable(_) => Refused {
            retry_after_secs: Some(10),
            ..Refused::new(
                Kind::Unavailable,
                error.code(),
                "Your token cannot be checked now. Try again.",
            )
        },
    })
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<SignedIn, Problem> {
        let token = credential(&parts.headers, Scheme::Dpop)?;
        let proof = proof(&parts.headers)?;
        Ok(SignedIn(
            app.authenticate(token, proof, parts.method.as_str(), parts.uri.path())
                .await?,
        ))
    }
}

/// The one DPoP proof of a call.
pub(crate) fn proof(headers: &HeaderMap) -> Result<&str, Refused> {
    let mut all = headers.get_all("dpop").iter();
    match (all.next().and_then(|value| value.to_str().ok()), all.next()) {
        (Some(proof), None) if proof.len() <= MAX_TOKEN_BYTES => Ok(proof),
        _ => Err(Refused::unauthorized(
            Scheme::Dpop,
            "dpop_malformed",
            "Exactly one DPoP header is needed.",
        )),
    }
}

fn credential(headers: &HeaderMap, scheme: Scheme) -> Result<&str, Refused> {
    let name = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::Dpop => "DPoP",
    };
    let none = || {
        Refused::unauthorized(
            scheme,
            "no_credentials",
            format!("This needs `Authorization: {name} …`."),
        )
    };
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all
        .next()
        .and_then(|value| value.to_str().ok())
        .ok_or_else(none)?;
    let (found, token) = value.split_once(' ').ok_or_else(none)?;
    let token = token.trim();
    if all.next().is_some() || !found.eq_ignore_ascii_case(name) || token.len() > MAX_TOKEN_BYTES {
        return Err(none());
    }
    Ok(token)
}

fn pep(app: &App, token: &str, claimed: &PepToken) -> Result<Pep, Refused> {
    let refused = |code, detail: &str| Err(Refused::unauthorized(Scheme::Bearer, code, detail));
    let now = app.now();
    let Some(config) = app.config.pep(&claimed.iss) else {
        return refused("pep_unknown", "This gate is not registered here.");
    };
    let Ok(verified) = PepToken::verify(token, &config.key) else {
        return refused(
            "pep_token_invalid",
            "The gate's token is not signed by its registered key.",
        );
    };
    if !verified.is_good(&app.config.public_url, now) {
        return refused(
            "pep_token_invalid",
            "The gate's token is for another server or not good now; check the gate's clock.",
        );
    }
    if verified.iat < app.replay.since {
        return refused(
            "token_before_start",
            "This token is from before the server started: make a new one for each call.",
        );
    }
    let until = verified.exp + SKEW_SECS + 1;
    match app
        .replay
        .see(&format!("pep {}", verified.iss), &verified.jti, until, now)
    {
        Sight::First => Ok(Pep {
            id: verified.iss,
            token: (verified.jti, until),
        }),
        Sight::Again => refused(
            "token_replayed",
            "This token was used before: make a new one for each call.",
        ),
        Sight::Full => Err(Refused::too_many("The server is busy.", 5)),
    }
}
