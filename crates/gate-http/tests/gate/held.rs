//! Calls that wait for people: released once, or not at all.

use super::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_is_forwarded_exactly_once_approved() {
    let scene = Scene::new().await;
    let call = scene
        .call(Method::PATCH, "/customers/42?reason=move")
        .header("content-type", "application/json")
        .header("cookie", "session=secret")
        .header("x-request-id", "varies")
        .header("countersign-justification", "asked by the customer")
        .body("{\"city\":\"Leeds\"}");
    let held = tokio::spawn(call.send());
    let txn = scene.world.server.opened().await;
    assert!(scene.reached().is_empty());
    scene.world.server.approve(&txn);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "{\"city\":\"Leeds\"}");
    let reached = scene.reached();
    assert_eq!(reached.len(), 1);
    assert_eq!(
        (reached[0].method.as_str(), reached[0].target.as_str()),
        ("PATCH", "/customers/42?reason=move")
    );
    assert_eq!(reached[0].body, "{\"city\":\"Leeds\"}");
    let sent = |name: &str| {
        reached[0]
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(sent("cookie"), ["session=secret"]);
    assert_eq!(sent("content-length"), ["16"]);
    assert!(
        sent("x-request-id").is_empty(),
        "unbound fields are dropped"
    );
    assert!(sent("countersign-justification").is_empty());

    let evidence = scene.world.dir.path().join(format!("evidence/{txn}.json"));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&evidence).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let evidence = std::fs::read(&evidence).unwrap();
    assert!(countersign_evidence::Evidence::from_json(&evidence).is_ok());
    let gate = scene.gate.unwrap();
    gate.shutdown().await;
    assert_eq!(scene.world.server.outcomes()[0]["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_and_an_expiry_answer_403_with_the_reason() {
    let scene = Scene::new().await;
    for (state, reason, code) in [
        ("denied", Some("wrong customer"), "approval_denied"),
        ("expired", None, "approval_expired"),
    ] {
        let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
        let txn = scene.world.server.opened().await;
        scene.world.server.end(&txn, state, reason);
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert_eq!(body.get("reason").and_then(Value::as_str), reason);
    }
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_server_opens_nothing() {
    let scene = Scene::new().await;
    for (lie, step) in [
        (Lie::NoEvidence, "decision"),
        (Lie::OwnOpKey, "bindings"),
        (Lie::ForgedVote, "votes"),
        (Lie::SwappedOperation, "sameness"),
        (Lie::OtherOperation, "operation"),
        (Lie::LoweredRequirement, "requirement"),
        (Lie::TrueWithoutRedeem, "redeem"),
    ] {
        scene.world.server.lie(lie);
        let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
        let txn = scene.world.server.opened().await;
        scene.world.server.approve(&txn);
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{lie:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["step"], step, "{lie:?}: {body}");
    }
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_withdraws() {
    let scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    held.abort();
    scene.world.server.withdrawn(1).await;
    assert_eq!(scene.world.server.cancelled(), [txn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_ends_gives_held_callers_an_id() {
    let mut scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    scene.gate.take().unwrap().shutdown().await;
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.headers()["approval-id"], txn.as_str());
    assert_eq!(problem(answer).await, (403, "approval_pending".to_owned()));
    assert!(scene.world.server.cancelled().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_time_over_means_come_back_later() {
    let scene = Scene::with("hold_secs = 0").await;
    let answer = scene
        .call(Method::DELETE, "/customers/42")
        .send()
        .await
        .unwrap();
    assert!(answer.headers().contains_key("approval-id"));
    assert_eq!(problem(answer).await, (403, "approval_pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_is_502_and_the_approval_is_used() {
    // A port that is taken and not listened on: a free one may be another test's by now.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let scene = Scene::new().await.before(taken.local_addr().unwrap()).await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    assert_eq!(
        problem(held.await.unwrap().unwrap()).await,
        (502, "upstream".to_owned())
    );
    scene.gate.unwrap().shutdown().await;
    let outcomes = scene.world.server.outcomes();
    assert_eq!(
        (&outcomes[0]["executed"], &outcomes[0]["refusal"]),
        (&json!(false), &json!("upstream"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_ends_waits_for_what_is_under_way_though_its_caller_is_gone() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let mut scene = Scene::new().await.before(address).await;
    let mut caller = scene.connect().await;
    let text = format!(
        "DELETE /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\r\n",
        scene.token()
    );
    caller.write_all(text.as_bytes()).await.unwrap();
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    let (mut executing, _) = upstream.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(executing.read_u8().await.unwrap());
    }
    caller.shutdown().await.unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "the gate has let go of the caller");

    let gate = scene.gate.take().unwrap();
    let ending = tokio::spawn(gate.shutdown());
    // Time for a gate that would not wait.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let done = b"HTTP/1.1 204 No Content\r\n\r\n";
    executing.write_all(done).await.unwrap();
    ending.await.unwrap();
    let outcomes = scene.world.server.outcomes();
    assert_eq!(outcomes[0]["status"], 204, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_behind_a_pipelined_byte_withdraws_too() {
    let scene = Scene::new().await;
    let mut stream = scene.connect().await;
    let text = format!(
        "DELETE /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\r\nG",
        scene.token()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let txn = scene.world.server.opened().await;
    drop(stream);
    scene.world.server.withdrawn(1).await;
    assert_eq!(scene.world.server.cancelled(), [txn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_sent_ahead_are_answered_after_the_one_that_was_held() {
    let scene = Scene::new().await;
    let mut stream = scene.connect().await;
    let token = scene.token();
    let call = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\n{more}\r\n")
    };
    let both =
        call("DELETE /customers/42", "") + &call("GET /customers/7", "connection: close\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    let reached: Vec<String> = scene
        .reached()
        .into_iter()
        .map(|call| call.method)
        .collect();
    assert_eq!(reached, ["DELETE", "GET"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_says_how_long_to_be_held() {
    let scene = Scene::new().await;
    let call = scene.call(Method::DELETE, "/customers/42");
    let answer = call.header("prefer", "wait=0").send().await.unwrap();
    assert!(answer.headers().contains_key("approval-id"));
    assert_eq!(problem(answer).await, (403, "approval_pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_cannot_be_written_releases_nothing_and_costs_no_approval() {
    let scene = Scene::new().await;
    let folder = scene.world.dir.path().join("evidence");
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    scene.world.server.approve(&id);
    let again = async || {
        let call = scene.call(Method::DELETE, "/customers/42");
        call.header("approval-id", &id).send().await.unwrap()
    };
    // Whoever runs the tests may write anywhere: a folder that is gone refuses them too.
    std::fs::remove_dir(&folder).unwrap();
    let answer = again().await;
    assert_eq!(answer.headers()["approval-id"], id.as_str());
    assert_eq!(
        problem(answer).await,
        (503, "evidence_unwritten".to_owned())
    );
    assert!(scene.reached().is_empty());
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(again().await.status(), StatusCode::OK);
    let files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, [format!("{id}.json")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_redemption_leaves_no_evidence_of_a_release() {
    let scene = Scene::new().await;
    scene.world.server.lie(Lie::RefusesRedeem);
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    scene.world.server.approve(&txn);
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::FORBIDDEN);
    let folder = scene.world.dir.path().join("evidence");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
