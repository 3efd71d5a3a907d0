//! A call whose token is not good enough for this very query gets the standard challenge, mid-flow; with the token that
//! the challenge asks for, the same call passes.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};

use countersign_tests::paths;
use countersign_tests::person::{self, Person};
use countersign_tests::provider::{ACR_CODE, CLI_CLIENT, ORDERS_AUDIENCE};
use countersign_tests::world::{Answer, World};
use reqwest::Method;
use tokio::io::{AsyncBufReadExt as _, BufReader};

const EXPORT: &str = "/customers/export";
const CARD: &str = "/customers/42/card";

async fn get(world: &World, path: &str, token: &str) -> Answer {
    let call = world.call(Method::GET, path, token);
    Answer::of(call.send().await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_names_the_scope_that_it_needs() {
    let world = World::query_level().await.unwrap();
    let plain = world.token("mara").await.unwrap();
    let answer = get(&world, EXPORT, &plain).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let said = answer.authenticate.unwrap();
    assert!(said.starts_with("Bearer "), "{said}");
    assert!(said.contains("error=\"insufficient_scope\""), "{said}");
    assert!(said.contains("scope=\"orders:export\""), "{said}");
    // Another query is content with the same token.
    assert_eq!(get(&world, "/customers/42", &plain).await.status, 200);
    let granted = world
        .token_by("mara", |flow| flow.scope.push_str(" orders:export"))
        .await
        .unwrap();
    assert_eq!(get(&world, EXPORT, &granted).await.status, 200);
    assert_eq!(
        world.received().await.unwrap(),
        ["GET /customers/42", "GET /customers/export"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_was_declined_stays_missing() {
    let world = World::query_level().await.unwrap();
    let mut mara = Person::named("mara");
    mara.declines.push("orders:export".to_owned());
    let mut flow = countersign_tests::flow::Flow::new(&world.op.issuer, CLI_CLIENT);
    flow.resource = Some(ORDERS_AUDIENCE.to_owned());
    flow.scope.push_str(" orders:export");
    let token = flow.run(&mara).await.unwrap().access_token().unwrap();
    let answer = get(&world, EXPORT, &token).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(world.received().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_gets_the_scope_and_the_same_call_passes() {
    let world = World::query_level().await.unwrap();
    let plain = world.token("mara").await.unwrap();
    assert_eq!(get(&world, EXPORT, &plain).await.status, 403);
    let granted = token_by_command(&world, world.folder(), &["--scope", "orders:export"]).await;
    assert_eq!(get(&world, EXPORT, &granted).await.status, 200);
}

/// `countersign token …`, with Mara at the address that it prints.
async fn token_by_command(world: &World, home: &Path, more: &[&str]) -> String {
    person::crypto();
    let mut command = Command::new(paths::program("countersign").unwrap());
    command
        .args(["token", "--no-browser", "--issuer", &world.op.issuer])
        .args(["--client", CLI_CLIENT, "--resource", ORDERS_AUDIENCE])
        .args(more)
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = tokio::process::Command::from(command).spawn().unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    let url = loop {
        let line = said.next_line().await.unwrap().unwrap();
        if let Some(at) = line.find("http://127.0.0.1") {
            break line[at..].trim().to_owned();
        }
    };
    Person::named("mara")
        .sign_in_and_return(&url)
        .await
        .unwrap();
    let done = running.wait_with_output().await.unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_names_the_sign_in_that_it_needs() {
    let world = World::query_level().await.unwrap();
    let answer = get(&world, CARD, &world.token("mara").await.unwrap()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let said = answer.authenticate.unwrap();
    assert!(
        said.contains("error=\"insufficient_user_authentication\""),
        "{said}"
    );
    assert!(
        said.contains(&format!("acr_values=\"{ACR_CODE}\"")),
        "{said}"
    );
    assert!(said.contains("max_age=\"300\""), "{said}");
    let strong = world
        .token_by("mara", |flow| {
            flow.acr = Some(ACR_CODE.to_owned());
            flow.fresh = true;
        })
        .await
        .unwrap();
    assert_eq!(get(&world, CARD, &strong).await.status, 200);
    // The same token is still good for others, but the sign-in behind it is too old for this query now.
    world.advance(400).await.unwrap();
    let answer = get(&world, CARD, &strong).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.authenticate.unwrap().contains("max_age=\"300\""));
    assert_eq!(get(&world, "/customers/42", &strong).await.status, 200);
}
