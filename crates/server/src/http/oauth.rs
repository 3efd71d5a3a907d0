//! `POST /oauth/nonce` and `POST /oauth/token` (RFC 8693, RFC 9449). Errors are those of RFC 6749, 5.2.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_api::http::{GRANT_EXCHANGE, GRANT_RENEW, NonceAnswer, TokenAnswer, TokenRequest};
use http::HeaderMap;

use super::auth::proof;
use super::body::Body;
use super::problem::token_problem;
use crate::app::App;
use crate::refused::{Kind, Refused};

/// A nonce for one proof of possession.
pub(crate) async fn nonce(State(app): State<Arc<App>>) -> Json<NonceAnswer> {
    let (nonce, expires_in) = app.nonce();
    Json(NonceAnswer { nonce, expires_in })
}

/// Token exchange and renewal.
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Body, super::problem::Problem>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(_) => {
            let detail = "The body is too large, or cannot be read.";
            return token_problem(Refused::new(Kind::TooLarge, "invalid_request", detail));
        }
    };
    match answer(&app, &headers, &body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => token_problem(refused),
    }
}

async fn answer(app: &App, headers: &HeaderMap, body: &Body) -> Result<TokenAnswer, Refused> {
    let proof = proof(headers).map_err(dpop)?;
    let jkt = app
        .prove(proof, "POST", "/oauth/token", None)
        .map_err(dpop)?;
    let request: TokenRequest = serde_urlencoded::from_bytes(&body.0).map_err(|error| {
        Refused::malformed("invalid_request", format!("The form is refused: {error}."))
    })?;
    match request.grant_type.as_str() {
        GRANT_EXCHANGE => app.exchange(&request, jkt).await,
        GRANT_RENEW => app.renew(&request, jkt).await,
        _ => Err(Refused::malformed(
            "unsupported_grant_type",
            "This grant type is not known here.",
        )),
    }
}

/// RFC 9449, section 5.
fn dpop(refused: Refused) -> Refused {
    match refused.kind {
        Kind::Unauthorized(_) => Refused {
            code: "invalid_dpop_proof",
            ..refused
        },
        Kind::Malformed
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Conflict
        | Kind::Gone
        | Kind::TooLarge
        | Kind::TooMany
        | Kind::Unavailable
        | Kind::Broken => refused,
    }
}
