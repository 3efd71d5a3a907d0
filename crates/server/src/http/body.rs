//! Bodies: read whole, bounded, by the strict parser.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use countersign_model::{Members, json};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::Problem;
use crate::refused::{Kind, Refused};

/// A body that is not whole by then is refused.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// A body, whole and within its bound.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body, Problem> {
        let read = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, state));
        let Ok(read) = read.await else {
            return Err(
                Refused::malformed("body_timeout", "The body took too long to arrive.").into(),
            );
        };
        match read {
            Ok(bytes) => Ok(Body(bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Refused::new(Kind::TooLarge, "too_large", "The body is too large.").into())
            }
            Err(_) => Err(Refused::malformed("body", "The body cannot be read.").into()),
        }
    }
}

impl Body {
    /// Its JSON, read without doubt: duplicates, floats and the like are refused by rule.
    pub(crate) fn value(&self) -> Result<Value, Refused> {
        json::parse(&self.0, json::DOCUMENT).map_err(|refused| {
            Refused::malformed(refused.rule(), format!("The body is refused: {refused}."))
        })
    }

    /// Its members, to be read exactly.
    pub(crate) fn members(&self) -> Result<Members, Refused> {
        Members::of(&self.value()?).map_err(|error| wrong(&error))
    }

    /// A body of a fixed shape.
    pub(crate) fn shape<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_value(self.value()?).map_err(|error| {
            Refused::malformed("body", format!("The body is not as it must be: {error}."))
        })
    }
}

/// Members that are not as they must be.
pub(crate) fn wrong(error: &dyn std::fmt::Display) -> Refused {
    Refused::malformed("body", format!("The body is not as it must be: {error}."))
}
