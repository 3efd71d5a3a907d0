//! Refusals as problems (RFC 9457), and as errors of the token endpoint (RFC 6749, 5.2).

use axum::Json;
use axum::response::{IntoResponse, Response};
use countersign_api::http::{Problem as Body, TokenProblem};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::refused::{Kind, Refused, Scheme, StepUpWanted};

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Problem(Refused);

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        Problem(refused)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Refused {
            kind,
            code,
            detail,
            retry_after_secs,
            step_up,
        } = self.0;
        let mut response = with_status(status(kind), code, detail);
        if let Some(secs) = retry_after_secs {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Kind::Unauthorized(scheme) = kind {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, challenge(scheme, code, step_up.as_ref()));
        }
        response
    }
}

/// A problem of this status.
pub(crate) fn with_status(status: StatusCode, code: &str, detail: impl Into<String>) -> Response {
    let body = Body {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("Problem").to_owned(),
        status: status.as_u16(),
        detail: Some(detail.into()),
        code: Some(code.to_owned()),
    };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

/// A refusal of the token endpoint: `error` is the code that a client acts on.
pub(crate) fn token_problem(refused: Refused) -> Response {
    let Refused {
        kind,
        code,
        detail,
        retry_after_secs,
        step_up: _,
    } = refused;
    let status = match kind {
        Kind::Unauthorized(_) | Kind::Forbidden | Kind::Conflict | Kind::Gone => {
            StatusCode::BAD_REQUEST
        }
        Kind::Malformed
        | Kind::NotFound
        | Kind::TooLarge
        | Kind::TooMany
        | Kind::Unavailable
        | Kind::Broken => status(kind),
    };
    let problem = TokenProblem {
        error: code.to_owned(),
        error_description: detail,
    };
    let mut response = (status, Json(problem)).into_response();
    if let Some(secs) = retry_after_secs {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthorized(_) => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `error` is one of RFC 6750 and RFC 9470 where they have one; our own code stands in the body.
fn challenge(scheme: Scheme, code: &str, step_up: Option<&StepUpWanted>) -> HeaderValue {
    let name = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::Dpop => "DPoP",
    };
    if let Some(StepUpWanted { acr }) = step_up {
        return fresh_sign_in(name, acr.as_deref());
    }
    let error = match code {
        "no_credentials" => return HeaderValue::from_static(name),
        "claims_too_old" => "insufficient_user_authentication",
        code if code.starts_with("dpop_") => "invalid_dpop_proof",
        _ => "invalid_token",
    };
    // Both parts are our own words: always a valid header.
    HeaderValue::from_str(&format!("{name} error=\"{error}\""))
        .unwrap_or(HeaderValue::from_static(name))
}

/// How old the sign-in may be (RFC 9470, section 3): a value that all providers honor, as a new one is asked for.
const STEP_UP_MAX_AGE_SECS: u32 = 60;

/// RFC 9470, section 3.
fn fresh_sign_in(name: &str, acr: Option<&str>) -> HeaderValue {
    let mut value = format!("{name} error=\"insufficient_user_authentication\"");
    // A context with a quote in it is left out: the body and the request say it too.
    let fits = |acr: &&str| {
        acr.chars()
            .all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
    };
    if let Some(acr) = acr.filter(fits) {
        value.push_str(&format!(", acr_values=\"{acr}\""));
    }
    value.push_str(&format!(", max_age={STEP_UP_MAX_AGE_SECS}"));
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("DPoP"))
}
