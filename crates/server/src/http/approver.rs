//! The approver's calls, and their stream.

use std::sync::Arc;

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use countersign_api::http::{
    AbsenceAnswer, AbsenceRequest, BindingList, ClaimsRequest, ColleagueList, HistoryPage,
    HistoryQuery, RequestList, RequestView, VoteAnswer, VoteRequest,
};
use countersign_api::stream::{MAX_CLIENT_FRAME_BYTES, SUBPROTOCOL};
use countersign_model::Digest;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, StatusCode};

use super::auth::SignedIn;
use super::body::Body;
use super::problem::Problem;
use super::txn;
use crate::app::App;
use crate::refused::{Kind, Refused};

/// A socket reads a client's small frames: a large buffer for each of thousands would be memory for nothing.
const READ_BUFFER_BYTES: usize = 1024;
/// What a socket may hold of what it could not send yet.
const MAX_WRITE_BUFFER_BYTES: usize = 64 * 1024;

type Answer<T> = Result<Json<T>, Problem>;

/// `GET /approver/v1/requests`.
pub(crate) async fn list(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
) -> Answer<RequestList> {
    Ok(Json(app.list(&app.viewer(&me.binding).await?).await?))
}

/// `GET /approver/v1/requests/{txn}`.
pub(crate) async fn show(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<RequestView> {
    Ok(Json(
        app.show(&app.viewer(&me.binding).await?, &txn(&id)?)
            .await?,
    ))
}

/// `POST /approver/v1/requests/{txn}/votes`.
pub(crate) async fn vote(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body,
) -> Answer<VoteAnswer> {
    let request: VoteRequest = body.shape()?;
    Ok(Json(app.vote(&me, &txn(&id)?, &request).await?))
}

/// `GET /approver/v1/requests/{txn}/evidence`.
pub(crate) async fn evidence(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let evidence = app
        .evidence(&app.viewer(&me.binding).await?, &txn(&id)?)
        .await?;
    Ok(([(CONTENT_TYPE, "application/json")], evidence.to_json()).into_response())
}

/// `GET /approver/v1/history`.
pub(crate) async fn history(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    query: Result<Query<HistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<HistoryPage> {
    let Query(query) = query
        .map_err(|error| Refused::malformed("query", format!("The query is refused: {error}.")))?;
    Ok(Json(
        app.history(&app.viewer(&me.binding).await?, &query).await?,
    ))
}

/// `POST /approver/v1/claims`.
pub(crate) async fn claims(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let request: ClaimsRequest = body.shape()?;
    app.newer_claims(&me, &request.claims_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /approver/v1/absence`.
pub(crate) async fn absence(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
) -> Answer<AbsenceAnswer> {
    Ok(Json(app.absence(&me).await?))
}

/// `PUT /approver/v1/absence`.
pub(crate) async fn set_absence(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    body: Body,
) -> Answer<AbsenceAnswer> {
    let request: AbsenceRequest = body.shape()?;
    Ok(Json(app.set_absence(&me, &request).await?))
}

/// `DELETE /approver/v1/absence`.
pub(crate) async fn end_absence(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
) -> Result<StatusCode, Problem> {
    app.end_absence(&me).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /approver/v1/colleagues`.
pub(crate) async fn colleagues(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
) -> Answer<ColleagueList> {
    Ok(Json(app.colleagues(&me).await?))
}

/// `GET /approver/v1/bindings`.
pub(crate) async fn bindings(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
) -> Answer<BindingList> {
    Ok(Json(app.bindings(&me).await?))
}

/// `DELETE /approver/v1/bindings/{id}`.
pub(crate) async fn revoke(
    SignedIn(me): SignedIn,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = Digest::parse(&id)
        .map_err(|_| Refused::new(Kind::NotFound, "not_found", "You have no such device."))?;
    app.revoke(&me, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /approver/v1/stream`: the WebSocket. A browser's page has no business here, and says `Origin`.
pub(crate) async fn stream(
    headers: HeaderMap,
    me: Result<SignedIn, Problem>,
    State(app): State<Arc<App>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if headers.contains_key(ORIGIN) {
        let detail = "The stream is for Countersign's own app, not for a web page.";
        return Err(Refused::forbidden("origin_refused", detail).into());
    }
    let SignedIn(me) = me?;
    if !app
        .sockets
        .has_room(&me.binding.person, &me.binding.session_jkt)
    {
        return Err(Refused::too_many("There are too many streams open.", 10).into());
    }
    let upgrade = upgrade.map_err(|error| {
        Refused::malformed("no_upgrade", format!("This is a WebSocket: {error}."))
    })?;
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let detail = format!("The subprotocol `{SUBPROTOCOL}` is needed.");
        return Err(Refused::malformed("subprotocol", detail).into());
    }
    Ok(upgrade
        .max_message_size(MAX_CLIENT_FRAME_BYTES)
        .max_frame_size(MAX_CLIENT_FRAME_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .on_upgrade(move |socket| {
            let tasks = app.tasks.clone();
            tasks.track_future(crate::stream::run(app, me, socket))
        }))
}
