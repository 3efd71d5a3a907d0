//! HTTP: routes, extractors, problems. Thin: each handler reads, calls one use case, answers.

mod access;
mod admin;
mod approver;
mod auth;
mod body;
mod events;
mod oauth;
mod problem;
pub(crate) mod serve;
mod well_known;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, delete, get, post};
use countersign_api::http::MAX_BODY_BYTES;
use countersign_model::Txn;
use http::header::{CACHE_CONTROL, DATE};
use http::{HeaderValue, StatusCode};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::refused::Refused;
use problem::with_status;

/// Comes back as it came (AuthZEN 1.0).
const REQUEST_ID: &str = "x-request-id";
/// A longer one does not.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The longest body of somebody who shows no credential before it is read: a form with a few tokens.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// Every route. A new one stands in the table of the test that lists who may call what.
pub(crate) fn router(app: Arc<App>) -> Router {
    let form = DefaultBodyLimit::max(MAX_FORM_BYTES);
    Router::new()
        .route("/healthz", get(well_known::healthz))
        .route("/readyz", get(well_known::readyz))
        .route(
            "/.well-known/authzen-configuration",
            get(well_known::authzen),
        )
        .route("/.well-known/countersign", get(well_known::countersign))
        .route("/.well-known/countersign/keys", get(well_known::keys))
        .route("/.well-known/jwks.json", get(well_known::jwks))
        .route("/oauth/nonce", post(oauth::nonce))
        .route("/oauth/token", post(oauth::token).layer(form))
        .route("/access/v1/evaluation", post(access::evaluation))
        .route("/access/v1/evaluations", post(access::evaluations))
        .route("/access/v1/requests", post(access::submit))
        .route(
            "/access/v1/requests/{txn}",
            get(access::task).delete(access::cancel),
        )
        .route("/access/v1/requests/{txn}/cancel", post(access::cancel))
        .route("/access/v1/requests/{txn}/events", get(access::events))
        .route("/access/v1/requests/{txn}/outcome", post(access::outcome))
        .route("/approver/v1/requests", get(approver::list))
        .route("/approver/v1/requests/{txn}", get(approver::show))
        .route("/approver/v1/requests/{txn}/votes", post(approver::vote))
        .route(
            "/approver/v1/requests/{txn}/evidence",
            get(approver::evidence),
        )
        .route("/approver/v1/history", get(approver::history))
        .route("/approver/v1/bindings", get(approver::bindings))
        .route("/approver/v1/bindings/{id}", delete(approver::revoke))
        .route("/approver/v1/claims", post(approver::claims))
        .route(
            "/approver/v1/absence",
            get(approver::absence)
                .put(approver::set_absence)
                .delete(approver::end_absence),
        )
        .route("/approver/v1/colleagues", get(approver::colleagues))
        .route("/admin/v1/devices", get(admin::devices))
        .route("/admin/v1/devices/{id}", delete(admin::revoke))
        .route("/events/v1/{provider}", post(events::push).layer(form))
        .route(
            "/oidc/v1/backchannel-logout",
            post(events::logout).layer(form),
        )
        .route(crate::stream::PATH, any(approver::stream))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(&app), stamp))
        .with_state(app)
}

/// A request's id in a path. What is none names no request.
fn txn(text: &str) -> Result<Txn, Refused> {
    Txn::parse(text).map_err(|_| Refused::not_found())
}

async fn nowhere() -> Response {
    with_status(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "There is nothing at this path.",
    )
}

async fn wrong_method() -> Response {
    with_status(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "This path does not know this method.",
    )
}

/// The server's own time, by the clock that it judges by; and nothing of it is kept by anybody in between.
async fn stamp(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request_id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| id.len() <= MAX_REQUEST_ID_BYTES)
        .cloned();
    let mut response = if request.method().is_safe() {
        next.run(request).await
    } else {
        finished(&app.tasks, next.run(request)).await
    };
    let headers = response.headers_mut();
    let since = Duration::from_secs(u64::try_from(app.now().0).unwrap_or(0));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + since)) {
        headers.insert(DATE, date);
    }
    if let Some(id) = request_id {
        headers.insert(REQUEST_ID, id);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A call that changes something runs to its end, also where its caller goes away: what follows a write in memory, and
/// in other requests, follows it always.
async fn finished(
    tasks: &TaskTracker,
    call: impl Future<Output = Response> + Send + 'static,
) -> Response {
    tasks.spawn(call).await.unwrap_or_else(|error| {
        let fault = Refused::broken("a call broke off", &error);
        with_status(StatusCode::INTERNAL_SERVER_ERROR, fault.code, fault.detail)
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use axum::response::IntoResponse as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_call_is_finished_when_nobody_waits_for_its_answer() {
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        {
            let call = async move {
                gone.await.unwrap();
                done.send(()).unwrap();
                StatusCode::OK.into_response()
            };
            let call = pin!(finished(&tasks, call));
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.poll(&mut context).is_pending());
        }
        go.send(()).unwrap();
        is_done.await.unwrap();
    }
}
