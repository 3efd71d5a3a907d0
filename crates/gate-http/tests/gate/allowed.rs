//! Calls that the policy allows outright, and those that it does not know.

use super::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_allows_passes_and_the_server_hears_nothing() {
    let scene = Scene::new().await;
    let answer = scene
        .call(Method::GET, "/customers/7?full=1")
        .header("traceparent", "00-1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-upstream"], "yes");
    assert!(
        !answer.headers().contains_key("x-hop"),
        "what `Connection` names stays behind the gate"
    );
    let reached = scene.reached();
    assert_eq!(
        (reached[0].method.as_str(), reached[0].target.as_str()),
        ("GET", "/customers/7?full=1")
    );
    assert!(
        reached[0]
            .headers
            .iter()
            .any(|(name, _)| name == "traceparent")
    );
    assert!(
        reached[0]
            .headers
            .iter()
            .any(|(name, value)| name == "authorization" && value.starts_with("Bearer "))
    );
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_body_streams_through_beyond_the_limit() {
    let scene = Scene::new().await;
    let body = vec![b'x'; 3_000_000];
    let answer = scene
        .call(Method::PUT, "/customers/7")
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap(), body);
    assert_eq!(scene.reached()[0].body.len(), body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_nothing_protected_passes() {
    let scene = Scene::new().await;
    scene.world.server.down(true);
    let answer = scene
        .call(Method::DELETE, "/customers/42")
        .send()
        .await
        .unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(problem(answer).await.0, 503);
    assert_eq!(
        scene
            .call(Method::GET, "/customers/42")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    assert_eq!(scene.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_no_route_is_denied_unless_the_policy_names_it() {
    let scene = Scene::new().await;
    let answer = scene
        .call(Method::POST, "/admin")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await, (403, "policy_denied".to_owned()));
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_body_without_a_length_streams_through_too() {
    let scene = Scene::new().await;
    let piece = axum::body::Bytes::from(vec![b'x'; 100_000]);
    let pieces =
        futures_util::stream::iter((0..30).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let answer = scene
        .call(Method::PUT, "/customers/7")
        .header("content-type", "text/plain")
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let reached = scene.reached();
    assert_eq!(reached[0].body.len(), 3_000_000);
    assert!(
        reached[0]
            .headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_read_first_where_a_rule_asks_for_its_size() {
    let scene = Scene::planned(Plan {
        rules: r#"
@id("large")
forbid (principal, action == Action::"orders.customers.update", resource)
when { context has body_bytes && context.body_bytes > 10 };
"#,
        ..Plan::default()
    })
    .await;
    for (size, status) in [(10, StatusCode::OK), (11, StatusCode::FORBIDDEN)] {
        let piece = futures_util::stream::iter([Ok::<_, std::io::Error>(vec![b'x'; size])]);
        let call = scene.call(Method::PUT, "/customers/7");
        let call = call
            .header("content-type", "text/plain")
            .body(reqwest::Body::wrap_stream(piece));
        assert_eq!(call.send().await.unwrap().status(), status, "{size}");
    }
    assert_eq!(scene.reached().len(), 1);
}
