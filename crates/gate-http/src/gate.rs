//! One call through the gate: let in, recognize, decide; then pass on, refuse, or hold until people decided.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_model::{
    Clock, Operation, PolicyAnswer, PolicyCheck as _, Requirement, TokenRule, Txn, UnixSecs,
};
use countersign_pep::{Keep, Kind, Pending, Pep, Settled};
use countersign_policy::Policy;
use countersign_policy_file::PolicyFile;
use http::{Method, Request, Version};
use http_body_util::Either;
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::{self, BodyError};
use crate::call::{Call, Described, Frame};
use crate::caller::{Caller, Callers, NotLetIn};
use crate::challenge::{self, Lacks};
use crate::forward::{Answer, Forwarder};
use crate::headers::{BadHeaders, HeaderRules};
use crate::overrides::{Overridden, Watch};
use crate::problem::Problem;
use crate::routes::{Matched, RouteTable};
use crate::target;
use crate::wire::Line;

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
    pub(crate) policy: Arc<PolicyFile>,
    pub(crate) pep: Arc<Pep>,
    pub(crate) forwarder: Forwarder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hold: Duration,
    pub(crate) body_limit: usize,
    pub(crate) overrides: BodyOverrides,
    pub(crate) stopping: CancellationToken,
    /// What a gate that ends waits for.
    pub(crate) tasks: TaskTracker,
}

/// A call of a known caller, recognized.
struct Known {
    call: Call,
    caller: Arc<Caller>,
    matched: Matched,
}

/// What the service makes of parameters in a body that ask for another method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyOverrides {
    /// It may heed them, so they are refused.
    Refused,
    /// It does not, says the operator: bodies are not looked into.
    Ignored,
}

/// Answers one call. Never fails: what goes wrong is an answer too.
pub(crate) async fn serve(
    gate: Arc<Shared>,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Answer {
    match handle(gate, &line, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response().map(Either::Right),
    }
}

async fn handle(
    gate: Arc<Shared>,
    line: &Line,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let (parts, incoming) = request.into_parts();
    let mut call = sort(&gate, &parts)?;
    let caller = gate
        .callers
        .verify(call.fields.authorization.as_ref())
        .await
        .map_err(|not| Problem::not_let_in(&not))?;
    let matched = gate.routes.find(&call.method, &call.path);
    // One policy for the whole decision, whatever is loaded meanwhile.
    let policy = gate.policy.current();

    let size = incoming.size_hint().exact();
    let mut unread = None;
    match (incoming.is_end_stream(), size) {
        (true, _) | (false, Some(0)) => call.body = Some(Bytes::new()),
        // A rule about the size needs one.
        (false, None) if policy.looks_at_body_size() => {
            call.body = Some(read_body(&gate, incoming).await?);
        }
        (false, Some(_) | None) => unread = Some(incoming),
    }
    let watch = overrides(&gate, &call).map_err(overridden)?;
    let mut known = Known {
        call,
        caller,
        matched,
    };
    // Most calls end here: nobody is asked about them, so no operation is made.
    // INVARIANT: of a body a policy sees its size and nothing else (policy's schema, `Call`), so one that allows the
    // call by its announced size allows it whatever streams; hyper holds the size to it. One without a size streams
    // only where no rule asks for it.
    if let Some(rule) = known.allowed(&gate, &policy, size) {
        known.good_enough(&rule, gate.clock.now())?;
        return match unread {
            Some(stream) => gate.forwarder.stream(known.call, stream, watch).await,
            None => gate.forwarder.pass(known.call).await,
        };
    }
    if let Some(stream) = unread {
        known.call.body = Some(read_body(&gate, stream).await?);
        overrides(&gate, &known.call).map_err(overridden)?;
    }
    let fresh = gate.pep.draw();
    let operation = known.describe(&gate, fresh.nonce())?.operation;
    match policy.answer(&operation) {
        // For whoever could not be judged without it.
        PolicyAnswer::Allow => {
            known.good_enough(&policy.token_rule(&operation), gate.clock.now())?;
            gate.forwarder.pass(known.call).await
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
            let pending = ask(
                &gate,
                &known,
                &fresh,
                operation,
                requirement.clone(),
                &policy,
            )
            .await?;
            hold(gate, line, known, pending, &requirement).await
        }
    }
}

/// What a body that streams is watched for; one that was read is looked at here.
fn overrides(gate: &Shared, call: &Call) -> Result<Option<Watch>, Overridden> {
    match gate.overrides {
        BodyOverrides::Refused => call.check_overrides(),
        BodyOverrides::Ignored => call.check_query_overrides().map(|()| None),
    }
}

fn overridden(overridden: Overridden) -> Problem {
    Problem::bad_call(overridden.code(), &overridden.to_string())
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

async fn read_body(gate: &Shared, incoming: Incoming) -> Result<Bytes, Problem> {
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

impl Known {
    /// What the policy asks of the token, where it allows the call outright. None is no denial: the operation is
    /// judged.
    fn allowed(&self, gate: &Shared, policy: &Policy, announced: Option<u64>) -> Option<TokenRule> {
        let size = match &self.call.body {
            Some(body) => Some(body.len() as u64),
            None => announced,
        };
        let seen = self.call.seen(&gate.frame, &self.matched, size);
        policy.allows(self.caller.requester.as_ref()?, &seen)
    }

    /// Whether the caller's token is good enough for this call, made at this time.
    fn good_enough(&self, rule: &TokenRule, at: UnixSecs) -> Result<(), Problem> {
        challenge::check(rule, &self.caller.standing, at).map_err(|challenge| {
            let (action, error) = (&self.matched.action, challenge.lacks.error());
            tracing::info!(action, error, "challenged");
            Problem::challenged(&challenge)
        })
    }

    fn describe(
        &self,
        gate: &Shared,
        nonce: &countersign_model::Nonce,
    ) -> Result<Described, Problem> {
        self.call
            .operation(&gate.frame, &self.caller, &self.matched, nonce)
            .map_err(|error| Problem::bad_call(error.rule(), &error.to_string()))
    }
}

/// Asks anew, or joins what was asked before.
async fn ask(
    gate: &Arc<Shared>,
    known: &Known,
    fresh: &countersign_pep::Fresh,
    operation: Operation,
    requirement: Requirement,
    policy: &Policy,
) -> Result<Pending, Problem> {
    let refused = |refusal: countersign_pep::Refusal| Problem::refused(&refusal);
    let words = &known.call.fields.words;
    let Some(id) = &words.approval_id else {
        known.good_enough(&policy.token_rule(&operation), gate.clock.now())?;
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
    known.good_enough(&policy.token_rule(&operation), stored.asked_at)?;
    // Only the nonce is taken from what is stored; the rest is the call at hand.
    let rebuilt = known.describe(gate, stored.operation.nonce())?;
    gate.pep.join(&txn, &rebuilt.operation).map_err(refused)
}

/// Holds the caller until it is decided, for as long as the configuration says.
async fn hold(
    gate: Arc<Shared>,
    line: &Line,
    known: Known,
    mut pending: Pending,
    requirement: &Requirement,
) -> Result<Answer, Problem> {
    if tokio::time::timeout(LOOK, pending.looked()).await.is_err() {
        tracing::debug!(txn = %pending.txn(), "the server has not said where it stands");
    }
    let words = &known.call.fields.words;
    let time = match (words.respond_async, words.wait_secs) {
        (true, _) => Duration::ZERO,
        (false, Some(secs)) => gate.hold.min(Duration::from_secs(secs.into())),
        (false, None) => gate.hold,
    };
    let settled = tokio::select! {
        biased;
        settled = pending.settled() => Some(settled),
        // What is held is withdrawn as it is dropped; what was kept stays for whoever comes back.
        () = line.hung_up() => return Err(Problem::bad_call(
            "hung_up",
            "the connection was ended, or went on sending, while the call was held",
        )),
        () = tokio::time::sleep(time) => None,
        () = gate.stopping.cancelled() => None,
    };
    match settled {
        None => {
            keep(&mut pending).await?;
            Err(Problem::pending(
                pending.txn(),
                &pending.told(),
                requirement,
            ))
        }
        Some(Settled::Over(over, told)) => {
            let problem = Problem::over(over, pending.txn(), &told);
            tracing::info!(txn = %pending.txn(), code = problem.code(), "not released");
            if let Err(refusal) = pending.forget().await {
                tracing::warn!("{refusal}");
            }
            Err(problem)
        }
        Some(Settled::Approved) => {
            // In a task of its own: from here on neither the caller's going away nor the gate's ending may cut an
            // execution in two.
            let tasks = gate.tasks.clone();
            match tasks.spawn(release(gate, known, pending)).await {
                Ok(answer) => answer,
                Err(_) => Err(Problem::unavailable(
                    "gate_fault",
                    "The gate has a fault; tell whoever runs it.",
                )),
            }
        }
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
    // By today's policy and token, as of the call: waiting for people makes no sign-in older.
    let rule = gate.policy.current().token_rule(&rebuilt);
    if let Err(challenge) = challenge::check(&rule, &known.caller.standing, pending.asked_at()) {
        let problem = Problem::challenged(&challenge);
        return Err(match challenge.lacks {
            // Another scope for the same sign-in: the same operation, which may still be released.
            Lacks::Scope => {
                keep(&mut pending).await?;
                problem.come_back_with(pending.txn(), &pending.told())
            }
            // A new sign-in is another operation.
            Lacks::Context | Lacks::Freshness => problem,
        });
    }
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
    gate.forwarder.forward(permit, &rebuilt, known.call).await
}
