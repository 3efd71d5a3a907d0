//! One call through the gate: let in, recognize, decide; then pass on, refuse, or hold until people decided.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_model::{Operation, PolicyAnswer, Requirement, Txn};
use countersign_pep::{Keep, Kind, Pending, Pep, Settled};
use http::{Method, Request, Version};
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;

use crate::body::{self, BodyError};
use crate::call::{Call, Described, Frame};
use crate::caller::{Caller, Callers, NotLetIn};
use crate::forward::{Answer, Forwarder, write_evidence};
use crate::headers::{BadHeaders, HeaderRules};
use crate::problem::Problem;
use crate::routes::{Matched, RouteTable};
use crate::target;

/// How long a caller may take to send a body that is read whole.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a caller who does not want to be held waits for the server's first word.
const LOOK: Duration = Duration::from_secs(5);

/// What all calls share.
pub(crate) struct Shared {
    pub(crate) callers: Callers,
    pub(crate) headers: HeaderRules,
    pub(crate) routes: RouteTable,
    pub(crate) frame: Frame,
    pub(crate) pep: Arc<Pep>,
    pub(crate) forwarder: Forwarder,
    pub(crate) hold: Duration,
    pub(crate) body_limit: usize,
    pub(crate) evidence_dir: Option<PathBuf>,
    pub(crate) stopping: CancellationToken,
}

/// A call of a known caller, recognized.
struct Known {
    call: Call,
    caller: Arc<Caller>,
    matched: Matched,
}

/// Whether a body can be judged without being read.
enum Unread {
    /// There is none, or it was read.
    Nothing,
    /// It still streams; it has this many bytes.
    Stream(Incoming, u64),
}

/// Answers one call. Never fails: what goes wrong is an answer too.
pub(crate) async fn serve(gate: Arc<Shared>, request: Request<Incoming>) -> Answer {
    match handle(gate, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response().map(Either::Right),
    }
}

async fn handle(gate: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Problem> {
    let (parts, incoming) = request.into_parts();
    let mut call = sort(&gate, &parts)?;
    let caller = gate
        .callers
        .verify(call.fields.authorization.as_ref())
        .await
        .map_err(|not| Problem::not_let_in(&not))?;
    let matched = gate.routes.find(&call.method, &call.path);

    let unread = match (incoming.is_end_stream(), incoming.size_hint().exact()) {
        (true, _) | (false, Some(0)) => {
            call.body = Some(bytes::Bytes::new());
            Unread::Nothing
        }
        // A form may ask for another method, so it is read before it is judged.
        (false, Some(size)) if !call.is_form() => Unread::Stream(incoming, size),
        (false, _) => {
            call.body = Some(read_body(&gate, incoming).await?);
            Unread::Nothing
        }
    };
    call.check_overrides()
        .map_err(|refused| Problem::bad_call(refused.code, &refused.sentence))?;
    let fresh = gate.pep.draw();
    let mut known = Known {
        call,
        caller,
        matched,
    };
    let (described, unread) = match unread {
        Unread::Nothing => (known.describe(&gate, fresh.nonce())?, None),
        Unread::Stream(incoming, size) => {
            // INVARIANT: of a body a policy sees its size and nothing else (policy's schema, `Call`), so one that
            // allows the call by its announced size allows it whatever streams; hyper holds the size to it.
            let described = known.call.operation_unread(
                &gate.frame,
                &known.caller,
                &known.matched,
                fresh.nonce(),
                size,
            );
            (described.map_err(refused_operation)?, Some(incoming))
        }
    };
    let (answer, operation) = match (gate.pep.decide(&described.operation), unread) {
        (PolicyAnswer::Allow, Some(incoming)) => {
            return gate
                .forwarder
                .pass(known.call, Either::Left(incoming))
                .await;
        }
        (PolicyAnswer::Deny { .. } | PolicyAnswer::Approve(_), Some(incoming)) => {
            known.call.body = Some(read_body(&gate, incoming).await?);
            let described = known.describe(&gate, fresh.nonce())?;
            (gate.pep.decide(&described.operation), described.operation)
        }
        (answer, None) => (answer, described.operation),
    };
    match answer {
        PolicyAnswer::Allow => {
            let body = known.call.body.clone().unwrap_or_default();
            gate.forwarder
                .pass(known.call, Either::Right(Full::new(body)))
                .await
        }
        PolicyAnswer::Deny { reason } => {
            tracing::info!(operation = %operation.digest(), action = operation.action(), "denied by policy");
            Err(Problem::policy_denied(&reason))
        }
        PolicyAnswer::Approve(requirement) => {
            known
                .call
                .check_for_approval()
                .map_err(|refused| Problem::bad_call(refused.code, &refused.sentence))?;
            let pending = ask(&gate, &known, &fresh, operation, requirement).await?;
            hold(gate, known, pending).await
        }
    }
}

/// Everything about a call that needs neither its body nor its caller.
fn sort(gate: &Shared, parts: &http::request::Parts) -> Result<Call, Problem> {
    let bad = |error: BadHeaders| Problem::bad_call(error.code(), &error.to_string());
    let unusual = |error: target::Unusual| Problem::bad_call(error.code(), &error.to_string());
    if parts.method == Method::CONNECT {
        return Err(Problem::bad_call(
            "connect",
            "it does not open tunnels (CONNECT)",
        ));
    }
    if parts.version != Version::HTTP_11 {
        return Err(Problem::bad_call("http_version", "it speaks HTTP/1.1 only"));
    }
    let path = parts.uri.path();
    target::check_path(path).map_err(unusual)?;
    let query = parts.uri.query();
    query.map_or(Ok(()), target::check_query).map_err(unusual)?;
    let mut fields = gate.headers.sort(&parts.headers).map_err(bad)?;
    if let Some(authority) = parts.uri.authority() {
        // RFC 9112, 3.2.2: a server accepts the absolute form. Where it and `Host` differ, two servers would see
        // two places; where an approval is needed, one form is enough.
        let host = parts
            .headers
            .get(http::header::HOST)
            .map(http::HeaderValue::as_bytes);
        if host != Some(authority.as_str().as_bytes()) {
            return Err(bad(BadHeaders::Host));
        }
        fields
            .against_approval
            .get_or_insert(BadHeaders::AbsoluteForm);
    }
    Ok(Call {
        method: parts.method.clone(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        fields,
        body: None,
    })
}

async fn read_body(gate: &Shared, incoming: Incoming) -> Result<bytes::Bytes, Problem> {
    match tokio::time::timeout(BODY_TIME, body::read(incoming, gate.body_limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BodyError::TooLarge { limit })) => Err(Problem::body_too_large(limit)),
        Ok(Err(error @ BodyError::Trailers)) => {
            Err(Problem::bad_call("trailers", &error.to_string()))
        }
        Ok(Err(error @ BodyError::Broken)) => {
            Err(Problem::bad_call("body_broken", &error.to_string()))
        }
        Err(_) => Err(Problem::body_too_slow()),
    }
}

fn refused_operation(error: countersign_model::OperationError) -> Problem {
    Problem::bad_call(error.rule(), &error.to_string())
}

impl Known {
    fn describe(
        &self,
        gate: &Shared,
        nonce: &countersign_model::Nonce,
    ) -> Result<Described, Problem> {
        self.call
            .operation(&gate.frame, &self.caller, &self.matched, nonce)
            .map_err(refused_operation)
    }
}

/// Asks anew, or joins what was asked before.
async fn ask(
    gate: &Arc<Shared>,
    known: &Known,
    fresh: &countersign_pep::Fresh,
    operation: Operation,
    requirement: Requirement,
) -> Result<Pending, Problem> {
    let refused = |refusal: countersign_pep::Refusal| Problem::refused(&refusal);
    let words = &known.call.fields.words;
    let Some(id) = &words.approval_id else {
        let keep = if words.respond_async {
            Keep::OnDisk
        } else {
            Keep::WhileHeld
        };
        let digest = operation.digest();
        let action = operation.action().to_owned();
        let pending = gate
            .pep
            .ask(fresh, operation, requirement, keep)
            .await
            .map_err(refused)?;
        tracing::info!(txn = %pending.txn(), operation = %digest, action, "asked for an approval");
        return Ok(pending);
    };
    let txn = Txn::parse(id)
        .map_err(|_| Problem::bad_call("approval_id", "its `Approval-Id` is not one"))?;
    let stored = gate.pep.find(&txn).map_err(refused)?;
    // Only the nonce is taken from what is stored; the rest is the call at hand.
    let rebuilt = known.describe(gate, stored.operation.nonce())?;
    gate.pep.join(&txn, &rebuilt.operation).map_err(refused)
}

/// Holds the caller until it is decided, for as long as the configuration says.
async fn hold(gate: Arc<Shared>, known: Known, mut pending: Pending) -> Result<Answer, Problem> {
    if tokio::time::timeout(LOOK, pending.looked()).await.is_err() {
        tracing::debug!(txn = %pending.txn(), "the server has not said where it stands");
    }
    let time = if known.call.fields.words.respond_async {
        Duration::ZERO
    } else {
        gate.hold
    };
    let settled = tokio::select! {
        biased;
        settled = pending.settled() => Some(settled),
        () = tokio::time::sleep(time) => None,
        () = gate.stopping.cancelled() => None,
    };
    match settled {
        None => {
            keep(&mut pending).await?;
            Err(Problem::pending(pending.txn(), &pending.told()))
        }
        Some(Settled::Over(over, told)) => {
            let problem = Problem::over(over, pending.txn(), &told);
            tracing::info!(txn = %pending.txn(), code = problem.code(), "not released");
            if let Err(refusal) = pending.forget().await {
                tracing::warn!("{refusal}");
            }
            Err(problem)
        }
        // In a task of its own: from here on the caller's going away must not cut an execution in two.
        Some(Settled::Approved) => match tokio::spawn(release(gate, known, pending)).await {
            Ok(answer) => answer,
            Err(_) => Err(Problem::unavailable(
                "gate_fault",
                "The gate has a fault; tell whoever runs it.",
            )),
        },
    }
}

async fn keep(pending: &mut Pending) -> Result<(), Problem> {
    pending
        .keep()
        .await
        .map_err(|refusal| Problem::refused(&refusal))
}

/// Judges caller and call once more, then releases and forwards.
async fn release(
    gate: Arc<Shared>,
    mut known: Known,
    mut pending: Pending,
) -> Result<Answer, Problem> {
    match gate
        .callers
        .verify(known.call.fields.authorization.as_ref())
        .await
    {
        Ok(caller) => known.caller = caller,
        Err(
            not @ (NotLetIn::NoToken | NotLetIn::Invalid { .. } | NotLetIn::Unavailable { .. }),
        ) => {
            // The token ended while the call was held: the approval stays, for a retry with a new one.
            keep(&mut pending).await?;
            return Err(Problem::not_let_in(&not).come_back_with(pending.txn(), &pending.told()));
        }
    }
    let rebuilt = known.describe(&gate, pending.nonce())?.operation;
    let permit = match pending.release(&rebuilt).await {
        Ok(permit) => permit,
        Err(refusal) => {
            tracing::info!(txn = %pending.txn(), step = refusal.step.name(), code = %refusal.code, "not released");
            let problem = Problem::refused(&refusal);
            let again = refusal.kind != Kind::Denied && pending.is_unspent();
            return Err(if again && keep(&mut pending).await.is_ok() {
                problem.come_back_with(pending.txn(), &pending.told())
            } else {
                problem
            });
        }
    };
    tracing::info!(txn = %permit.txn(), operation = %rebuilt.digest(), "released");
    if let Some(dir) = &gate.evidence_dir
        && let Err(error) = write_evidence(dir, &permit)
    {
        tracing::error!(txn = %permit.txn(), "cannot write the evidence to `{}`: {error}", dir.display());
    }
    gate.forwarder.forward(permit, &rebuilt, known.call).await
}
