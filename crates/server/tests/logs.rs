//! What the server writes to its log: what happened, and never a token, a secret or the text of an operation.
#![allow(clippy::unwrap_used)]

mod world;

use std::io::Write;
use std::sync::{Arc, Mutex};

use countersign_evidence::Choice;
use countersign_model::Digest;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use world::World;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// One test in this program: the log is the whole process's.
#[tokio::test]
async fn the_log_tells_what_happened_and_no_secret() {
    let log = Log::default();
    // The test's own client is left out.
    let filter = EnvFilter::new("trace,reqwest=off,hyper_util=off");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log.clone())
        .with_ansi(false)
        .init();

    let world = World::new().await;
    let gate = world.gate();
    let operation = world.operation("orders.customers.delete");
    let txn = gate.open(&operation, 2).await;
    let (elin, jonas) = (world.sign_in("elin").await, world.sign_in("jonas").await);
    let mut wrong = elin.ballot(&world, &elin.view(&world, &txn).await, Choice::Approve);
    wrong.operation_digest = Digest::of(b"another");
    elin.cast(&world, &txn, &wrong.sign(&elin.dk))
        .await
        .refused(409, "wrong_digest");
    elin.vote(&world, &txn, Choice::Approve).await.is(200);
    jonas.vote(&world, &txn, Choice::Approve).await.is(200);
    assert_eq!(
        gate.redeem(&operation, &txn, "r").await.is(200)["decision"],
        true
    );
    let stale = world.unbound("otto", |it| it["nonce"] = "another".into());
    stale.exchange(&world).await.refused(400, "invalid_grant");
    let bad = world
        .http
        .get(world.url("/approver/v1/requests"))
        .bearer_auth(&elin.id_token);
    assert_eq!(bad.send().await.unwrap().status(), 401);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in [
        "request",
        "vote-refused",
        "vote",
        "grant",
        "redeem",
        "binding",
    ] {
        assert!(
            text.contains(&format!("entry=\"{told}\"")),
            "{told} is not told:\n{text}"
        );
    }
    // `eyJ` begins every JSON object in base64url, so every token, statement and signed document.
    for secret in [
        "eyJ",
        "left the company",
        "/customers/42",
        "checked with sales",
        &elin.id_token,
    ] {
        assert!(
            !text.contains(secret),
            "`{secret}` stands in the log:\n{text}"
        );
    }
}
