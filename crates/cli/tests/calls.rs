//! `countersign call` through a real gate: what it prints where, how it waits, and how it exits.

#![allow(clippy::unwrap_used)]

#[path = "../../pep/tests/support/mod.rs"]
mod support;

use std::process::Stdio;
use std::sync::Arc;

use countersign_gate_http::{Gate, GateConfig, Running};
use countersign_model::Clock;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use support::{TestClock, World};

struct Scene {
    world: World,
    /// Ends with the scene.
    _gate: Running,
    url: String,
}

const RULES: &str = r#"
@id("read-carefully") @token_scope("orders:read")
permit (principal, action == Action::"orders.customers.read", resource) when { resource.id == "secret" };
"#;

impl Scene {
    async fn new() -> Self {
        let world = World::by(TestClock::of_the_machine()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(async |body: String| format!("done {body}\n"));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let write = |name: &str, text: &str| {
            let path = world.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .unwrap();
            path
        };
        write(
            "policy.cedar",
            &(support::policy_text(&world.op.issuer) + RULES),
        );
        write("gate.key.json", &world.pep_key.to_jwk().to_string());
        let route = |method: &str, action: &str| {
            format!(
                "[[route]]\nmethod = \"{method}\"\npath = \"/customers/{{id}}\"\naction = \"orders.customers.{action}\"\n\
                 resource_type = \"orders.customer\"\nresource_id = \"{{id}}\"\nservice = \"orders-api\"\n\
                 title = \"Do customer {{id}}\"\n"
            )
        };
        let config = write(
            "gate.toml",
            &format!(
                "listen = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\npep = \"orders-gate\"\n\
                 key_file = \"gate.key.json\"\nserver = \"{}\"\npolicy = \"policy.cedar\"\nstate_dir = \"state\"\n\
                 [[provider]]\nissuer = \"{}\"\napprover_client_id = \"countersign-approver\"\naudience = \"urn:orders\"\n\
                 {}{}",
                world.server.id,
                world.op.issuer,
                route("GET", "read"),
                route("PATCH", "patch"),
            ),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock: Arc<dyn Clock> = world.clock.clone();
        let gate = Gate::start(GateConfig::read(&config).unwrap(), clock, listener).unwrap();
        Self {
            world,
            url: format!("http://{}", gate.addr),
            _gate: gate,
        }
    }

    fn call(&self, arguments: &[&str], path: &str) -> Child {
        let token = self.world.op.access_token(|_| ());
        Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("call")
            .args(arguments)
            .arg(format!("{}{path}", self.url))
            .env_clear()
            .env("HOME", self.world.dir.path())
            .env("COUNTERSIGN_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// Exit code, stdout, stderr.
async fn ended(child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_nothing_prints_what_the_api_answers() {
    let scene = Scene::new().await;
    let got = ended(scene.call(&[], "/customers/7")).await;
    assert_eq!(got, (0, "done \n".to_owned(), String::new()));
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_are_shown_at_once_and_the_answer_comes_when_people_approved() {
    let scene = Scene::new().await;
    let mut child = scene.call(
        &[
            "-X",
            "PATCH",
            "-d",
            "city",
            "-H",
            "content-type: text/plain",
            "--ticket",
            "T-1",
        ],
        "/customers/42",
    );
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).await.unwrap();
    assert!(
        line.starts_with("amber falcon · 0 of 2 · waiting for database approvers · "),
        "{line}"
    );
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    let (code, out, _) = ended(child).await;
    assert_eq!((code, out.as_str()), (0, "done city\n"));
    let mut rest = String::new();
    said.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "", "nothing more is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_said_once_and_cannot_steer_the_terminal() {
    let scene = Scene::new().await;
    let until = scene.world.clock.now().0 + 60 * 24 * 3600;
    let elin = json!({ "name": "El\u{1b}[2Jin", "until": until, "stand_in": "Jonas" });
    scene.world.server.away(json!([elin]), 3);
    let mut child = scene.call(&["-X", "PATCH"], "/customers/42");
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = async || said.next_line().await.unwrap().unwrap();
    let away = line().await;
    assert!(
        away.starts_with("El‹U+001B ESC›[2Jin is away until "),
        "{away}"
    );
    assert!(
        away.ends_with(". Jonas can approve instead. 3 others can vote."),
        "{away}"
    );
    let waits = line().await;
    assert!(waits.starts_with("amber falcon · 0 of 2 · "), "{waits}");
    let txn = scene.world.server.opened().await;
    scene.world.server.end(&txn, "denied", None);
    let last = line().await;
    assert!(last.contains("approval_denied"), "{last}");
    assert_eq!(ended(child).await.0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_ended_is_the_exit_code() {
    let scene = Scene::new().await;
    for (state, reason, code, part) in [
        ("denied", Some("wrong customer"), 4, "wrong customer"),
        ("expired", None, 5, "approval_expired"),
    ] {
        let child = scene.call(&["-X", "PATCH"], "/customers/42");
        let txn = scene.world.server.opened().await;
        scene.world.server.end(&txn, state, reason);
        let (exit, out, said) = ended(child).await;
        assert_eq!((exit, out.as_str()), (code, ""), "{said}");
        assert!(said.contains(part), "{said}");
    }
    // No provider is named here, so the challenge is for the person to follow: with the command that it prints.
    let (exit, out, said) = ended(scene.call(&[], "/customers/secret")).await;
    assert_eq!((exit, out.as_str()), (1, ""), "{said}");
    let command = format!(
        "countersign token --issuer {} --resource urn:orders --add-scope orders:read",
        scene.world.op.issuer
    );
    assert!(said.contains(&command), "{said}");
    let (exit, ..) = ended(scene.call(&["-X", "DELETE"], "/nowhere")).await;
    assert_eq!(exit, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_exit_code_7_and_stays_off_the_screen() {
    let scene = Scene::new().await;
    let token = scene
        .world
        .op
        .access_token(|claims| claims["aud"] = json!("urn:other"));
    let file = scene.world.dir.path().join("token");
    std::fs::write(&file, &token).unwrap();
    let child = scene.call(&["--token-file", file.to_str().unwrap()], "/customers/7");
    let (exit, out, said) = ended(child).await;
    assert_eq!((exit, out.as_str()), (7, ""), "{said}");
    assert!(
        said.contains("token_audience") && !said.contains(&token),
        "{said}"
    );
}
