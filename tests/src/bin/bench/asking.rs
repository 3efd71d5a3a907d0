//! A gate that asks and takes back what it asked, and nothing else: what is measured begins with its submission.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use countersign_client::{PepApi, ServerHttp};
use countersign_evidence::{Ask, SecretKey};
use countersign_model::{
    Clock, Operation, PepId, PolicyAnswer, PolicyCheck as _, ServerId, Txn, b64u, json,
};
use countersign_policy::Policy;
use countersign_tests::setup::GATE;
use countersign_tests::world::World;
use serde_json::json as value;

/// A gate that does nothing but ask.
pub(crate) struct Asking {
    api: PepApi,
    key: SecretKey,
    server: ServerId,
    policy: Policy,
    issuer: String,
    clock: Arc<dyn Clock>,
}

impl Asking {
    pub(crate) fn new(world: &World) -> Result<Self> {
        let config = fs::read_to_string(world.setup.path("gate.toml"))?;
        let file = config
            .lines()
            .find_map(|line| line.strip_prefix("key_file = "))
            .context("gate.toml names no key")?;
        let jwk = fs::read(world.setup.path(file.trim_matches('"')))?;
        let key = SecretKey::from_jwk(&json::parse(&jwk, json::OPERATION)?)?;
        let server = ServerId::parse(&world.server_url)?;
        let pep = PepId::parse(GATE)?;
        let http = ServerHttp::new(server.clone(), world.clock())?;
        Ok(Self {
            api: PepApi::new(http, pep, Arc::new(key.clone())),
            key,
            server,
            policy: Policy::load(&fs::read_to_string(world.setup.path("policy.cedar"))?)?,
            issuer: world.op.issuer.clone(),
            clock: world.clock(),
        })
    }

    /// Asks for an approval, as the HTTP gate would for `DELETE /customers/ID`. Answers when the server has acknowledged.
    pub(crate) async fn ask(&self, customer: &str) -> Result<Txn> {
        let nonce = b64u(&rand::random::<[u8; 16]>());
        let operation = Operation::build(value!({
            "subject": { "type": "user", "id": format!("{}|mara", self.issuer),
                "properties": { "claims": { "name": "Mara Lindqvist", "groups": ["orders-dev"] } } },
            "action": { "name": "orders.customers.delete", "properties": {
                "kind": "http", "title": { "verb": "Delete", "thing": format!("customer {customer}") }, "method": "DELETE",
                "scheme": "http", "authority": "127.0.0.1", "path": format!("/customers/{customer}"), "headers": [["accept", "*/*"]],
                "body": { "size": 0, "sha256": b64u(&[0; 32]) } } },
            "resource": { "type": "orders.customer", "id": customer, "properties": { "service": "orders-api" } },
            "context": { "pep": GATE, "nonce": nonce },
        }))?;
        let requirement = match self.policy.answer(&operation) {
            PolicyAnswer::Approve(requirement) => requirement,
            other @ (PolicyAnswer::Allow | PolicyAnswer::Deny { .. }) => {
                bail!("the policy does not ask for an approval: {other:?}")
            }
        };
        let now = self.clock.now();
        let ask = Ask {
            iss: PepId::parse(GATE)?,
            aud: self.server.clone(),
            operation_digest: operation.digest(),
            requirement,
            iat: now,
            exp: now + 60,
        };
        let task = self
            .api
            .submit(&operation, ask.sign(&self.key), None, &nonce)
            .await?;
        Ok(Txn::parse(&task.id)?)
    }

    /// Takes a request back.
    pub(crate) async fn withdraw(&self, txn: &Txn) -> Result<()> {
        self.api.cancel(txn).await.context("withdraw a request")
    }
}
