//! A gate: its token, its asks, its calls.

use countersign_evidence::PepToken;
use countersign_evidence::documents::Ask;
use countersign_model::{
    By, Digest, MatchWords, Nonce, NotifyButtons, Operation, PepId, ReasonRule, Requirement,
    StepUp, b64u,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, World, key};

pub(crate) struct Gate<'w> {
    pub(crate) world: &'w World,
    pub(crate) id: &'static str,
}

impl World {
    pub(crate) fn gate(&self) -> Gate<'_> {
        Gate {
            world: self,
            id: "orders-gate",
        }
    }

    pub(crate) fn other_gate(&self) -> Gate<'_> {
        Gate {
            world: self,
            id: "other-gate",
        }
    }

    /// Mara wants to do this to customer 42, with a nonce of its own.
    pub(crate) fn operation(&self, action: &str) -> Operation {
        self.operation_with(action, |_| {})
    }

    pub(crate) fn operation_with(
        &self,
        action: &str,
        change: impl FnOnce(&mut Value),
    ) -> Operation {
        let nonce: [u8; 16] = self.fresh("nonce").as_bytes()[..16].try_into().unwrap();
        let mut value = json!({
            "subject": { "type": "user", "id": format!("{}|mara", self.issuer),
                "properties": { "claims": { "name": "Mara Moreno", "groups": ["orders-dev"] } } },
            "action": { "name": action, "properties": { "kind": "http", "method": "DELETE", "path": "/customers/42" } },
            "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
            "context": { "pep": "orders-gate", "nonce": Nonce::from_bytes(nonce).as_str(),
                "justification": "left the company" },
        });
        change(&mut value);
        Operation::build(value).unwrap()
    }

    pub(crate) fn requirement(&self, approvals: u32) -> Requirement {
        Requirement {
            by: By::Others,
            approvals,
            stages: Vec::new(),
            step_up: StepUp::None,
            acr: None,
            scope: None,
            match_words: MatchWords::None,
            hold: false,
            fresh_claims_secs: 300,
            release_claims_secs: None,
            reason: if approvals == 2 {
                ReasonRule::OnDeny
            } else {
                ReasonRule::Optional
            },
            notify_buttons: NotifyButtons::None,
            urgent: false,
            ttl_secs: 600,
            grant_secs: 120,
            irreversible: None,
            lift: Vec::new(),
        }
    }
}

impl Gate<'_> {
    pub(crate) fn token(&self) -> String {
        let now = self.world.now();
        let token = PepToken {
            iss: PepId::parse(self.id).unwrap(),
            aud: self.world.id.clone(),
            iat: now,
            exp: now + 30,
            jti: self.world.fresh("jti").to_string(),
        };
        token.sign(&key(self.id))
    }

    pub(crate) fn ask(&self, operation: &Operation, approvals: u32) -> Ask {
        let now = self.world.now();
        Ask {
            iss: PepId::parse(self.id).unwrap(),
            aud: self.world.id.clone(),
            operation_digest: operation.digest(),
            requirement: self.world.requirement(approvals),
            iat: now,
            exp: now + 60,
        }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.world
            .http
            .request(method, self.world.url(path))
            .bearer_auth(self.token())
    }

    pub(crate) async fn evaluate(&self, operation: &Operation) -> Answer {
        Answer::of(
            self.call(Method::POST, "/access/v1/evaluation")
                .json(operation.value()),
        )
        .await
    }

    pub(crate) fn submission(operation: &Operation, ask_jws: &str) -> Value {
        let mut body = operation.value().clone();
        body["ask_jws"] = json!(ask_jws);
        body
    }

    pub(crate) async fn submit_as(&self, body: &Value, idempotency_key: &str) -> Answer {
        let call = self
            .call(Method::POST, "/access/v1/requests")
            .header("idempotency-key", idempotency_key);
        Answer::of(call.json(body)).await
    }

    pub(crate) async fn submit(&self, operation: &Operation, approvals: u32) -> Answer {
        let ask = self.ask(operation, approvals).sign(&key(self.id));
        let idempotency_key = b64u(self.world.fresh("key").as_bytes());
        self.submit_as(&Self::submission(operation, &ask), &idempotency_key)
            .await
    }

    /// Opens a request; gives its id.
    pub(crate) async fn open(&self, operation: &Operation, approvals: u32) -> String {
        let task = self.submit(operation, approvals).await.is(202);
        assert_eq!(task["status"], "pending");
        task["id"].as_str().unwrap().to_owned()
    }

    /// Asks as the policy has it; gives the answer.
    pub(crate) async fn ask_for(&self, operation: &Operation) -> Answer {
        let mut ask = self.ask(operation, 1);
        ask.requirement = self.world.requirement_of(operation);
        let body = Self::submission(operation, &ask.sign(&key(self.id)));
        let idempotency_key = b64u(self.world.fresh("key").as_bytes());
        self.submit_as(&body, &idempotency_key).await
    }

    /// Opens a request as the policy has it; gives its id.
    pub(crate) async fn open_for(&self, operation: &Operation) -> String {
        let task = self.ask_for(operation).await.is(202);
        task["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn task(&self, txn: &str) -> Answer {
        Answer::of(self.call(Method::GET, &format!("/access/v1/requests/{txn}"))).await
    }

    pub(crate) async fn redeem(&self, operation: &Operation, txn: &str, id: &str) -> Answer {
        let mut body = operation.value().clone();
        body["context"]["approval"] = json!({ "id": txn, "redemption_id": id });
        Answer::of(self.call(Method::POST, "/access/v1/evaluation").json(&body)).await
    }

    pub(crate) fn outcome(&self) -> Value {
        json!({ "executed": true, "status": 204, "policy_digest": Digest::of(b"policy").to_string() })
    }
}
