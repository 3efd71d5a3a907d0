//! Request made → frame at the approver: the gate's submission leaves, the server writes it durably, the approver's
//! socket reads `request.created`. Beside it: what one durable write costs here, and what a message costs through NATS
//! core, which keeps nothing.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use countersign_client::stream::{Change, Event, Stream};
use countersign_client::{PepApi, ServerHttp};
use countersign_evidence::{Ask, SecretKey};
use countersign_model::{
    Operation, PepId, PolicyAnswer, PolicyCheck as _, ServerId, Txn, b64u, json,
};
use countersign_policy::Policy;
use countersign_tests::owned::Processes;
use countersign_tests::setup::GATE;
use countersign_tests::world::World;
use serde_json::json as value;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, unbounded_channel};

use crate::measure::{Floor, Report, Series};
use crate::nats::Nats;
use crate::signed_in;

const ROUNDS: usize = 10;
const A_ROUND: usize = 30;
const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let elin = signed_in::session(&world, "elin").await?;
    let (stream, mut events) = Stream::start(elin, None, rand::random::<f64>);
    while !matches!(next(&mut events).await?, Event::Connected { .. }) {}
    stream.resume(0);
    // Frames are timed where they are read: the submission's answer may come later than its frame.
    let (timed, mut frames) = unbounded_channel();
    let reader = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { seq, txn, change } = event {
                stream.ack(seq);
                if matches!(change, Change::Created) && timed.send((txn, Instant::now())).is_err() {
                    return;
                }
            }
        }
    });

    let gate = Asking::new(&world)?;
    let folder = world.folder().join("frame-bench");
    fs::create_dir_all(&folder)?;
    let mut processes = Processes::new(&folder)?;
    let mut nats = Nats::start(&mut processes).await?;

    let mut floor = Floor::open()?;
    let mut synced = Series::new("append 4 KiB and fdatasync", "ms");
    let mut passed = Series::new("NATS core: published -> received, 2 KiB", "ms");
    let mut framed = Series::new("request made -> frame at the approver", "ms");
    for round in 0..=ROUNDS {
        // The first round warms up.
        let counted = round > 0;
        if counted {
            synced.round();
            passed.round();
            framed.round();
        }
        for _ in 0..A_ROUND {
            let sync = floor.write()?;
            let message = nats.pass().await?;
            let begun = Instant::now();
            let txn = gate.ask().await?;
            let took = created(&mut frames, &txn).await? - begun;
            if counted {
                synced.push_time(sync);
                passed.push_time(message);
                framed.push_time(took);
            }
            gate.api.cancel(&txn).await?;
        }
    }
    reader.abort();
    let mut report = Report::new("frame", "p50 at most the floor + 0.25 ms");
    report.difference("frame above the floor, p50", &framed, &synced);
    report.add(synced);
    report.add(passed);
    report.add(framed);
    report.missing("5,000 idle sockets beside it");
    report.finish()
}

/// A gate that does nothing but ask.
struct Asking {
    api: PepApi,
    key: SecretKey,
    server: ServerId,
    policy: Policy,
    issuer: String,
    clock: std::sync::Arc<dyn countersign_model::Clock>,
}

impl Asking {
    fn new(world: &World) -> Result<Self> {
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
            api: PepApi::new(http, pep, std::sync::Arc::new(key.clone())),
            key,
            server,
            policy: Policy::load(&fs::read_to_string(world.setup.path("policy.cedar"))?)?,
            issuer: world.op.issuer.clone(),
            clock: world.clock(),
        })
    }

    /// Asks for an approval, as the HTTP gate would for `DELETE /customers/42`. Answers when the server has acknowledged.
    async fn ask(&self) -> Result<Txn> {
        let nonce = b64u(&rand::random::<[u8; 16]>());
        let operation = Operation::build(value!({
            "subject": { "type": "user", "id": format!("{}|mara", self.issuer),
                "properties": { "claims": { "name": "Mara Lindqvist", "groups": ["orders-dev"] } } },
            "action": { "name": "orders.customers.delete", "properties": {
                "kind": "http", "title": { "verb": "Delete", "thing": "customer 42" }, "method": "DELETE",
                "scheme": "http", "authority": "127.0.0.1", "path": "/customers/42", "headers": [["accept", "*/*"]],
                "body": { "size": 0, "sha256": b64u(&[0; 32]) } } },
            "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } },
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
}

/// When the frame of this request was read.
async fn created(frames: &mut UnboundedReceiver<(String, Instant)>, txn: &Txn) -> Result<Instant> {
    loop {
        let (about, at) = tokio::time::timeout(SOON, frames.recv())
            .await
            .context("no frame comes")?
            .context("the stream has ended")?;
        if about == txn.as_str() {
            return Ok(at);
        }
    }
}

async fn next(events: &mut Receiver<Event>) -> Result<Event> {
    tokio::time::timeout(SOON, events.recv())
        .await
        .context("the stream is silent")?
        .context("the stream has ended")
}
