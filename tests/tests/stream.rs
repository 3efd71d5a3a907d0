//! The approver's stream is a hint and may break at any time: nothing is lost by it.

#![allow(clippy::unwrap_used)]

use countersign_api::ipc::{Choice, Connection};
use countersign_tests::world::World;
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_stream_is_cut_is_there_when_it_resumes() {
    let world = World::start_behind_wire().await.unwrap();
    let wire = world.wire.as_ref().unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let connected = |state: &countersign_approver::State| {
        (state.connection == Connection::Connected).then_some(())
    };
    elin.until("the connection", connected).await.unwrap();
    jonas.until("the connection", connected).await.unwrap();
    wire.cut_streams();
    elin.until("the cut", |state| {
        (state.connection != Connection::Connected).then_some(())
    })
    .await
    .unwrap();
    let held = world
        .asks("mara", Method::DELETE, "/customers/42")
        .await
        .unwrap();
    wire.mend();
    elin.vote(Choice::Approve, None, None).await.unwrap();
    wire.cut_streams();
    wire.mend();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, 200);
    elin.until("that it is over", |state| {
        (state.inbox.is_empty() && state.others.is_empty()).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_and_gate_know_what_was_pending() {
    let mut world = World::start().await.unwrap();
    let [elin, jonas] = world.approvers(["elin", "jonas"]).await.unwrap();
    let token = world.token("mara").await.unwrap();
    let call = |world: &World| world.call(Method::DELETE, "/customers/42", &token);
    let asked = call(&world)
        .header("prefer", "respond-async")
        .send()
        .await
        .unwrap();
    let txn = asked.headers()["approval-id"].to_str().unwrap().to_owned();
    elin.vote(Choice::Approve, None, None).await.unwrap();
    world.server.take().unwrap().shutdown().await;
    world.gate.take().unwrap().shutdown().await;
    world.start_server().await.unwrap();
    world.start_gate().await.unwrap();
    jonas
        .until("the connection", |state| {
            (state.connection == Connection::Connected).then_some(())
        })
        .await
        .unwrap();
    jonas.vote(Choice::Approve, None, None).await.unwrap();
    let answer = call(&world)
        .header("approval-id", &txn)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(world.received().await.unwrap(), ["DELETE /customers/42"]);
}
