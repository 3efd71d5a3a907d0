//! Gates and requesters: AuthZEN evaluation and ARAP requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use countersign_api::http::{EvaluationAnswer, Outcome, Task, TaskStatus};
use countersign_model::{Digest, MemberError, Members, Txn};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::auth::{AnyCaller, Pep};
use super::body::{Body, wrong};
use super::problem::Problem;
use super::txn;
use crate::app::evaluate::Tuple;
use crate::app::submit::Submission;
use crate::app::task::{MAX_WAIT_SECS, for_pep};
use crate::app::{App, Caller};
use crate::refused::Refused;

/// The longest idempotency key or redemption id, in bytes.
const MAX_KEY_BYTES: usize = 128;
/// Evaluations in one batch.
const MAX_EVALUATIONS: usize = 50;
/// A stream of events ends after so long; the client comes back.
const MAX_EVENTS_SECS: u64 = 3600;
/// Between two looks that found the same, at least: without room for another waiter each is answered at once.
const EVENTS_PACE: Duration = Duration::from_secs(1);

type Answer<T> = Result<Json<T>, Problem>;

fn tuple(members: &mut Members) -> Result<Tuple, MemberError> {
    Ok(Tuple {
        subject: members.value("subject")?,
        action: members.value("action")?,
        resource: members.value("resource")?,
        context: members.opt_value("context").unwrap_or_else(|| json!({})),
    })
}

/// `POST /access/v1/evaluation`. With an approval in the context it redeems.
pub(crate) async fn evaluation(
    pep: Pep,
    State(app): State<Arc<App>>,
    body: Body,
) -> Answer<EvaluationAnswer> {
    let mut members = body.members()?;
    let mut tuple = tuple(&mut members).map_err(|error| wrong(&error))?;
    let approval = tuple
        .context
        .as_object_mut()
        .and_then(|context| context.remove("approval"));
    let Some(approval) = approval else {
        return Ok(Json(app.evaluate(&pep.id, &tuple)?));
    };
    let read = || -> Result<(Txn, String), MemberError> {
        let mut approval = Members::of(&approval)?;
        let found = (
            approval.txn("id")?,
            approval.bounded("redemption_id", MAX_KEY_BYTES)?,
        );
        approval.finish()?;
        Ok(found)
    };
    let (txn, redemption_id) = read().map_err(|error| wrong(&error))?;
    Ok(Json(
        app.redeem(&pep.id, &tuple, &txn, &redemption_id).await?,
    ))
}

/// `POST /access/v1/evaluations`: AuthZEN's batch. Nothing is redeemed here.
pub(crate) async fn evaluations(
    pep: Pep,
    State(app): State<Arc<App>>,
    body: Body,
) -> Answer<Value> {
    let body = body.value()?;
    let Some(items) = body.get("evaluations").and_then(Value::as_array) else {
        return Err(wrong(&"`evaluations` is missing").into());
    };
    if items.len() > MAX_EVALUATIONS {
        return Err(wrong(&format!("more than {MAX_EVALUATIONS} evaluations")).into());
    }
    let semantic = body
        .pointer("/options/evaluations_semantic")
        .and_then(Value::as_str);
    let stop_at = match semantic {
        None | Some("execute_all") => None,
        Some("deny_on_first_deny") => Some(false),
        Some("permit_on_first_permit") => Some(true),
        Some(_) => return Err(wrong(&"`evaluations_semantic` is unknown").into()),
    };
    let mut answers = Vec::new();
    for item in items {
        let member = |name: &str| item.get(name).or_else(|| body.get(name)).cloned();
        let whole = |name: &str| member(name).ok_or_else(|| wrong(&format!("`{name}` is missing")));
        let tuple = Tuple {
            subject: whole("subject")?,
            action: whole("action")?,
            resource: whole("resource")?,
            context: member("context").unwrap_or_else(|| json!({})),
        };
        if tuple.context.get("approval").is_some() {
            return Err(wrong(&"an approval is redeemed by a single evaluation").into());
        }
        let answer = app.evaluate(&pep.id, &tuple)?;
        let decision = answer.decision;
        answers.push(answer);
        if stop_at == Some(decision) {
            break;
        }
    }
    Ok(Json(json!({ "evaluations": answers })))
}

/// `POST /access/v1/requests`.
pub(crate) async fn submit(
    pep: Pep,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let detail = format!("`Idempotency-Key` is needed, 1 to {MAX_KEY_BYTES} characters.");
        return Err(Refused::malformed("idempotency_key", detail).into());
    }
    let read = |members: &mut Members| -> Result<(Tuple, Option<String>, String), MemberError> {
        let tuple = tuple(members)?;
        let denial = match members.opt_value("denial") {
            None => None,
            Some(denial) => Some(Members::of(&denial)?.str("evaluation_id")?),
        };
        // Who the client says it is, is a claim that decides nothing.
        let _ = members.opt_value("client");
        Ok((tuple, denial, members.str("ask_jws")?))
    };
    let mut members = body.members()?;
    let (tuple, evaluation_id, ask_jws) = read(&mut members).map_err(|error| wrong(&error))?;
    members.finish().map_err(|error| wrong(&error))?;
    let submission = Submission {
        tuple,
        evaluation_id,
        ask_jws,
        idempotency_key: key.to_owned(),
        body: Digest::of(&body.0),
        token: pep.token,
    };
    let task = app.submit(&pep.id, submission).await?;
    let location = [(http::header::LOCATION, task.links.this.clone())];
    Ok((StatusCode::ACCEPTED, location, Json(task)).into_response())
}

/// `GET /access/v1/requests/{txn}`; `Prefer: wait=N` holds the answer.
pub(crate) async fn task(
    AnyCaller(caller): AnyCaller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Task> {
    Ok(Json(
        app.read_task(&caller, &txn(&id)?, preferred_wait(&headers))
            .await?,
    ))
}

/// RFC 7240: unknown preferences are ignored.
fn preferred_wait(headers: &HeaderMap) -> Duration {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut waits = preferences
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.trim().strip_prefix("wait=")?.parse().ok());
    Duration::from_secs(waits.next().unwrap_or(0))
}

/// `POST …/cancel`, and `DELETE`.
pub(crate) async fn cancel(
    AnyCaller(caller): AnyCaller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<Value> {
    let task = app.withdraw(&caller, &txn(&id)?).await?;
    Ok(Json(json!({ "task": task })))
}

/// `GET …/events`: the task as server-sent events, until it is closed.
pub(crate) async fn events(
    AnyCaller(caller): AnyCaller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let txn = txn(&id)?;
    // Whoever may not see it is told so now, not within a stream.
    app.own(&caller, &txn).await?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(MAX_EVENTS_SECS);
    let start = Watching {
        app,
        caller,
        txn,
        last: None,
        deadline,
    };
    let events = futures_util::stream::unfold(start, next_event);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

struct Watching {
    app: Arc<App>,
    caller: Caller,
    txn: Txn,
    /// The version that was sent last, and whether it was still open.
    last: Option<(i64, bool)>,
    deadline: tokio::time::Instant,
}

async fn next_event(mut this: Watching) -> Option<(Result<Event, Infallible>, Watching)> {
    loop {
        let (wait, version) = match this.last {
            None => (Duration::ZERO, None),
            Some((_, false)) => return None,
            Some((version, true)) => (Duration::from_secs(MAX_WAIT_SECS), Some(version)),
        };
        if this.app.stop.is_cancelled() || tokio::time::Instant::now() >= this.deadline {
            return None;
        }
        let looked_at = tokio::time::Instant::now();
        let loaded = this
            .app
            .read_after(&this.caller, &this.txn, wait, version)
            .await
            .ok()?;
        if version == Some(loaded.row.version) {
            if looked_at.elapsed() < EVENTS_PACE {
                tokio::time::sleep(EVENTS_PACE).await;
            }
            continue;
        }
        let task = this.app.task(&loaded, for_pep(&this.caller)).await.ok()?;
        let task = without_evidence(task);
        this.last = Some((loaded.row.version, task.status == TaskStatus::Pending));
        let event = Event::default().event("task").json_data(&task).ok()?;
        return Some((Ok(event), this));
    }
}

/// Evidence is read by `GET` on the task: a stream of events may be looked at by more eyes.
fn without_evidence(mut task: Task) -> Task {
    if let Some(result) = &mut task.result {
        result.evidence = None;
    }
    task
}

/// `POST …/outcome`.
pub(crate) async fn outcome(
    pep: Pep,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let outcome: Outcome = body.shape()?;
    app.report(&pep.id, &txn(&id)?, &outcome).await?;
    Ok(StatusCode::NO_CONTENT)
}
