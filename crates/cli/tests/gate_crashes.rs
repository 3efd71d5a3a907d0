//! The real gate, ended as by kill -9 at each numbered point, and started again: nothing is executed without a
//! live approval, and nothing twice.

#![allow(clippy::unwrap_used)]

#[path = "../../pep/tests/support/mod.rs"]
mod support;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use support::{TestClock, World};

struct Scene {
    world: World,
    executed: Arc<AtomicUsize>,
    upstream: String,
}

/// A gate as a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::by(TestClock::of_the_machine()).await;
        let executed = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::clone(&executed);
        let router = axum::Router::new().fallback(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { "done" }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            world,
            executed,
            upstream,
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.world.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }

    async fn gate(&self, kill_at: Option<&str>, hold_secs: u32) -> Process {
        self.write("policy.cedar", &support::policy_text(&self.world.op.issuer));
        self.write("gate.key.json", &self.world.pep_key.to_jwk().to_string());
        self.write(
            "gate.toml",
            &format!(
                "listen = \"127.0.0.1:0\"\nupstream = \"{}\"\npep = \"orders-gate\"\nkey_file = \"gate.key.json\"\n\
                 server = \"{}\"\npolicy = \"policy.cedar\"\nstate_dir = \"state\"\nhold_secs = {hold_secs}\n\
                 [[provider]]\nissuer = \"{}\"\napprover_client_id = \"countersign-approver\"\naudience = \"urn:orders\"\n\
                 [[route]]\nmethod = \"DELETE\"\npath = \"/customers/{{id}}\"\naction = \"orders.customers.delete\"\n\
                 resource_type = \"orders.customer\"\nresource_id = \"{{id}}\"\nservice = \"orders-api\"\n\
                 title = \"Delete customer {{id}}\"\n",
                self.upstream, self.world.server.id, self.world.op.issuer
            ),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(["gate", "http", "--config"])
            .arg(self.world.dir.path().join("gate.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(point) = kill_at {
            command.env("COUNTERSIGN_KILL_AT", point);
        }
        let mut child = command.spawn().unwrap();
        let ready = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .next_line()
            .await
            .unwrap()
            .unwrap();
        let url = ready.rsplit(' ').next().unwrap().to_owned();
        Process { child, url }
    }

    fn call(&self, gate: &Process) -> reqwest::RequestBuilder {
        let token = self.world.op.access_token(|_| ());
        reqwest::Client::new()
            .delete(format!("{}/customers/42", gate.url))
            .bearer_auth(token)
    }

    async fn retried(&self, gate: &Process, id: &str) -> (StatusCode, String) {
        let answer = self
            .call(gate)
            .header("approval-id", id)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let code = answer
            .json::<Value>()
            .await
            .ok()
            .and_then(|body| body["code"].as_str().map(str::to_owned));
        (status, code.unwrap_or_default())
    }

    fn executed(&self) -> usize {
        self.executed.load(Ordering::SeqCst)
    }
}

impl Process {
    /// It died by itself, not in order.
    async fn died(mut self) {
        let status = self.child.wait().await.unwrap();
        assert!(!status.success() && status.code().is_none(), "{status}");
    }

    async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

async fn asked(scene: &Scene, gate: &Process) -> String {
    let answer = scene
        .call(gate)
        .header("prefer", "respond-async")
        .send()
        .await
        .unwrap();
    answer.headers()["approval-id"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_asking_nothing_is_left_that_could_be_executed() {
    // P1: remembered, not asked. P2: asked, the id not on disk.
    for (point, opened) in [("P1", 0), ("P2", 1)] {
        let scene = Scene::new().await;
        let gate = scene.gate(Some(point), 30).await;
        assert!(
            scene
                .call(&gate)
                .header("prefer", "respond-async")
                .send()
                .await
                .is_err(),
            "{point}"
        );
        gate.died().await;
        let known = scene.world.server.known();
        assert_eq!(known.len(), opened, "{point}");
        let gate = scene.gate(None, 30).await;
        for id in known {
            scene.world.server.approve(&id);
            assert_eq!(
                scene.retried(&gate, &id).await,
                (StatusCode::FORBIDDEN, "approval_unknown".into()),
                "{point}"
            );
        }
        assert_eq!(scene.executed(), 0, "{point}");
        gate.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_keeping_the_approval_is_still_good_for_one_call() {
    let scene = Scene::new().await;
    // P3: on disk, and the caller never got the id.
    let gate = scene.gate(Some("P3"), 0).await;
    assert!(scene.call(&gate).send().await.is_err());
    gate.died().await;
    let id = scene.world.server.known().pop().unwrap();
    let gate = scene.gate(None, 30).await;
    scene.world.server.approve(&id);
    assert_eq!(scene.retried(&gate, &id).await.0, StatusCode::OK);
    assert_eq!(scene.retried(&gate, &id).await.1, "approval_used");
    assert_eq!(scene.executed(), 1);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_held_the_approval_is_void() {
    let scene = Scene::new().await;
    let gate = scene.gate(None, 30).await;
    let held = tokio::spawn(scene.call(&gate).send());
    let id = scene.world.server.opened().await;
    gate.stop().await;
    assert!(held.await.unwrap().is_err());
    scene.world.server.approve(&id);
    let gate = scene.gate(None, 30).await;
    assert_eq!(scene.retried(&gate, &id).await.1, "approval_unknown");
    assert_eq!(scene.executed(), 0);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_releasing_it_is_executed_at_most_once() {
    // Point, what a retry after the restart gets, and how often the call was made in all.
    for (point, code, times) in [
        ("P6", "", 1),
        ("P4", "approval_used", 0),
        ("P7", "approval_used", 0),
        ("P8", "approval_used", 0),
        ("G1", "approval_used", 1),
    ] {
        let scene = Scene::new().await;
        let gate = scene.gate(Some(point), 30).await;
        let id = asked(&scene, &gate).await;
        scene.world.server.approve(&id);
        assert!(
            scene
                .call(&gate)
                .header("approval-id", &id)
                .send()
                .await
                .is_err(),
            "{point}"
        );
        gate.died().await;
        let gate = scene.gate(None, 30).await;
        assert_eq!(scene.retried(&gate, &id).await.1, code, "{point}");
        assert_eq!(
            scene.retried(&gate, &id).await.1,
            "approval_used",
            "{point}"
        );
        assert_eq!(scene.executed(), times, "{point}");
        gate.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_closing_a_denial_stays_a_denial() {
    let scene = Scene::new().await;
    let gate = scene.gate(Some("P5"), 30).await;
    let id = asked(&scene, &gate).await;
    scene.world.server.end(&id, "denied", None);
    assert!(
        scene
            .call(&gate)
            .header("approval-id", &id)
            .send()
            .await
            .is_err()
    );
    gate.died().await;
    let gate = scene.gate(None, 30).await;
    assert_eq!(
        scene.retried(&gate, &id).await,
        (StatusCode::FORBIDDEN, "approval_denied".into())
    );
    assert_eq!(scene.executed(), 0);
    gate.stop().await;
}
