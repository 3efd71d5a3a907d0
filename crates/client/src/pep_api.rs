//! An enforcement point's calls: AuthZEN evaluation and ARAP requests, each with a token of its own making
//! that is good for that one call.

use std::sync::Arc;
use std::time::Duration;

use countersign_api::http::{
    EvaluationAnswer, EvaluationRequest, Keys, Outcome, SubmitRequest, Task,
};
use countersign_evidence::{PepToken, SecretKey};
use countersign_model::{Operation, PepId, Txn, b64u};
use reqwest::Method;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::{CALL_LIMIT, ServerHttp};

/// Life of a self-made token, in seconds.
const TOKEN_SECS: i64 = 30;
/// The longest that the server is asked to hold an answer, in seconds.
pub const MAX_WAIT_SECS: u32 = 25;

/// A gate's side of the server.
pub struct PepApi {
    http: ServerHttp,
    pep: PepId,
    key: Arc<SecretKey>,
}

impl std::fmt::Debug for PepApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PepApi")
            .field("http", &self.http)
            .field("pep", &self.pep)
            .finish_non_exhaustive()
    }
}

impl PepApi {
    /// For this gate with its key (`pk`).
    #[must_use]
    pub fn new(http: ServerHttp, pep: PepId, key: Arc<SecretKey>) -> Self {
        Self { http, pep, key }
    }

    /// The server's keys and those of its gates.
    ///
    /// # Errors
    /// As any call.
    pub async fn keys(&self) -> Result<Keys, ApiError> {
        self.http.keys().await
    }

    /// Asks for the decision on an operation.
    ///
    /// # Errors
    /// As any call.
    pub async fn evaluate(&self, operation: &Operation) -> Result<EvaluationAnswer, ApiError> {
        let request = tuple(operation);
        self.http
            .json(
                self.call(Method::POST, "/access/v1/evaluation")
                    .json(&request),
            )
            .await
    }

    /// Redeems an approval: once, under this redemption id. The same id again gets the same answer.
    ///
    /// # Errors
    /// As any call.
    pub async fn redeem(
        &self,
        operation: &Operation,
        txn: &Txn,
        redemption_id: &str,
    ) -> Result<EvaluationAnswer, ApiError> {
        let mut request = tuple(operation);
        request.context["approval"] = json!({"id": txn.as_str(), "redemption_id": redemption_id});
        self.http
            .json(
                self.call(Method::POST, "/access/v1/evaluation")
                    .json(&request),
            )
            .await
    }

    /// Opens a request. The same idempotency key again gets the same task.
    ///
    /// # Errors
    /// As any call.
    pub async fn submit(
        &self,
        operation: &Operation,
        ask_jws: String,
        evaluation_id: Option<String>,
        idempotency_key: &str,
    ) -> Result<Task, ApiError> {
        let EvaluationRequest {
            subject,
            action,
            resource,
            context,
        } = tuple(operation);
        let denial =
            evaluation_id.map(|evaluation_id| countersign_api::http::Denial { evaluation_id });
        let request = SubmitRequest {
            subject,
            action,
            resource,
            context,
            denial,
            ask_jws,
        };
        let call = self
            .call(Method::POST, "/access/v1/requests")
            .header("idempotency-key", idempotency_key);
        self.http.json(call.json(&request)).await
    }

    /// Reads a task. With `wait_secs` the server holds the answer until something changes, that long at most.
    ///
    /// # Errors
    /// As any call.
    pub async fn task(&self, txn: &Txn, wait_secs: u32) -> Result<Task, ApiError> {
        let wait_secs = wait_secs.min(MAX_WAIT_SECS);
        let mut call = self
            .call(Method::GET, &format!("/access/v1/requests/{txn}"))
            .header("accept", "application/json");
        if wait_secs > 0 {
            call = call.header("prefer", format!("wait={wait_secs}"));
        }
        let body = self
            .http
            .body_within(call, CALL_LIMIT + Duration::from_secs(wait_secs.into()))
            .await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.http.bad(format!("its task cannot be read: {error}")))
    }

    /// Withdraws a request.
    ///
    /// # Errors
    /// As any call.
    pub async fn cancel(&self, txn: &Txn) -> Result<(), ApiError> {
        self.http
            .body(self.call(Method::DELETE, &format!("/access/v1/requests/{txn}")))
            .await
            .map(drop)
    }

    /// Tells what came of executing it.
    ///
    /// # Errors
    /// As any call.
    pub async fn outcome(&self, txn: &Txn, outcome: &Outcome) -> Result<(), ApiError> {
        let call = self
            .call(Method::POST, &format!("/access/v1/requests/{txn}/outcome"))
            .json(outcome);
        self.http.body(call).await.map(drop)
    }

    fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let now = self.http.now();
        let token = PepToken {
            iss: self.pep.clone(),
            aud: self.http.id().clone(),
            iat: now,
            exp: now + TOKEN_SECS,
            jti: b64u(&rand::random::<[u8; 16]>()),
        };
        self.http
            .client()
            .request(method, format!("{}{path}", self.http.id()))
            .bearer_auth(token.sign(&self.key))
    }
}

/// The tuple as it travels: the very members of the operation.
fn tuple(operation: &Operation) -> EvaluationRequest {
    let member = |name: &str| operation.value().get(name).cloned().unwrap_or(Value::Null);
    EvaluationRequest {
        subject: member("subject"),
        action: member("action"),
        resource: member("resource"),
        context: member("context"),
    }
}
