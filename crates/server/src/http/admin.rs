//! What administrators do: people's devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use countersign_api::http::DeviceList;
use countersign_model::{Digest, Subject};
use http::StatusCode;
use serde::Deserialize;

use super::auth::Administrator;
use super::problem::Problem;
use crate::app::App;
use crate::refused::{Kind, Refused};

/// The query of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    /// `<iss>|<sub>`.
    person: Option<String>,
}

/// `GET /admin/v1/devices`.
pub(crate) async fn devices(
    _: Administrator,
    State(app): State<Arc<App>>,
    query: Result<Query<Whose>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<DeviceList>, Problem> {
    let Query(Whose { person }) = query
        .map_err(|error| Refused::malformed("query", format!("The query is refused: {error}.")))?;
    let person = person
        .map(|text| Subject::parse(&text))
        .transpose()
        .map_err(|_| Refused::malformed("query", "`person` must be `<issuer>|<subject>`."))?;
    Ok(Json(app.devices(person.as_ref()).await?))
}

/// `DELETE /admin/v1/devices/{id}`.
pub(crate) async fn revoke(
    _: Administrator,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = Digest::parse(&id)
        .map_err(|_| Refused::new(Kind::NotFound, "not_found", "There is no such device."))?;
    app.revoke_any(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
