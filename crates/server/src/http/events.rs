//! What providers say by themselves: security events (RFC 8935, push) and back-channel logout. Nobody signs in
//! here: the token that is delivered is all there is, and all that is judged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use countersign_api::http::EventProblem;
use countersign_evidence::op_token::{OpTokenError, peek_issuer};
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use super::body::Body;
use super::problem::{Problem, token_problem};
use crate::app::App;
use crate::app::sign_out::Unheard;
use crate::refused::{Kind, Refused};

/// RFC 8935, section 2.1.
const SECEVENT: &str = "application/secevent+jwt";

/// `POST /events/v1/{provider}`: the provider's place in the configuration, counted from 0.
pub(crate) async fn push(
    State(app): State<Arc<App>>,
    Path(place): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let place: Option<usize> = place.parse().ok();
    let Some(provider) = place.and_then(|place| app.providers.get(place)) else {
        let detail = "There is no such provider here.";
        return Err(Refused::new(Kind::NotFound, "not_found", detail).into());
    };
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(SECEVENT)) {
        return Ok(refused(
            "invalid_request",
            format!("The body must be {SECEVENT}."),
        ));
    }
    let Ok(token) = std::str::from_utf8(&body.0) else {
        return Ok(refused(
            "invalid_request",
            "The body is no token.".to_owned(),
        ));
    };
    match app.security_event(provider, token.trim()).await {
        Ok(()) => Ok(StatusCode::ACCEPTED.into_response()),
        Err(Unheard::Token(error)) => {
            tracing::warn!(issuer = %provider.config.op.issuer, code = error.code(), "a security event is refused");
            Ok(refused(err(&error), format!("{error}.")))
        }
        Err(Unheard::Now(refused)) => Err(refused.into()),
    }
}

fn refused(err: &str, description: String) -> Response {
    let body = EventProblem {
        err: err.to_owned(),
        description,
    };
    let language = [(CONTENT_LANGUAGE, HeaderValue::from_static("en"))];
    (StatusCode::BAD_REQUEST, language, Json(body)).into_response()
}

/// RFC 8935, section 2.4.
fn err(error: &OpTokenError) -> &'static str {
    match error {
        OpTokenError::Alg(_)
        | OpTokenError::UnknownKey(_)
        | OpTokenError::Signature
        | OpTokenError::Keys(_) => "invalid_key",
        OpTokenError::Issuer => "invalid_issuer",
        OpTokenError::Audience => "invalid_audience",
        OpTokenError::Malformed
        | OpTokenError::Header(_)
        | OpTokenError::Typ
        | OpTokenError::Expired
        | OpTokenError::Future
        | OpTokenError::Nonce
        | OpTokenError::Claim(_)
        | OpTokenError::Foreign(_)
        | OpTokenError::ApproverClient
        | OpTokenError::Confirmation
        | OpTokenError::OtherKey
        | OpTokenError::NotBound
        | OpTokenError::Bound
        | OpTokenError::Role(_) => "invalid_request",
    }
}

/// The form of a back-channel logout. Members that are not known are ignored (Back-Channel Logout 1.0, 2.5).
#[derive(Deserialize)]
struct Logout {
    logout_token: String,
}

/// `POST /oidc/v1/backchannel-logout`.
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    body: Result<Body, Problem>,
) -> Result<StatusCode, Response> {
    let no = |detail: String| token_problem(Refused::malformed("invalid_request", detail));
    let body = body.map_err(|_| no("The body is too large, or cannot be read.".to_owned()))?;
    let Logout { logout_token } = serde_urlencoded::from_bytes(&body.0)
        .map_err(|error| no(format!("The form is refused: {error}.")))?;
    let issuer = peek_issuer(&logout_token).map_err(|error| no(format!("{error}.")))?;
    let provider = app
        .provider_of(&issuer)
        .ok_or_else(|| no("The token is from a provider that is not trusted here.".to_owned()))?;
    match app.logged_out(provider, &logout_token).await {
        Ok(()) => Ok(StatusCode::OK),
        Err(Unheard::Token(error)) => {
            tracing::warn!(%issuer, code = error.code(), "a logout is refused");
            Err(no(format!("{error}.")))
        }
        Err(Unheard::Now(refused)) => Err(token_problem(refused)),
    }
}
