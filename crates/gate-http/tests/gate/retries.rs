//! Coming back with `Approval-Id`.

use super::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_retry_joins_and_another_call_is_refused_by_name() {
    let scene = Scene::new().await;
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    for (call, status, code) in [
        (
            scene.call(Method::DELETE, "/customers/43"),
            403,
            "other_call",
        ),
        (
            scene.call(Method::DELETE, "/customers/42?x=1"),
            403,
            "other_call",
        ),
        (
            scene
                .call(Method::DELETE, "/customers/42")
                .header("x-more", "1"),
            403,
            "other_call",
        ),
        (
            scene
                .call(Method::DELETE, "/customers/42")
                .header("countersign-ticket", "T-1"),
            403,
            "other_call",
        ),
    ] {
        assert_eq!(
            problem(call.header("approval-id", &id).send().await.unwrap()).await,
            (status, code.to_owned())
        );
    }
    let unknown = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", "unknown");
    assert_eq!(
        problem(unknown.send().await.unwrap()).await,
        (403, "approval_unknown".to_owned())
    );
    let bad = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", "../x");
    assert_eq!(
        problem(bad.send().await.unwrap()).await,
        (400, "approval_id".to_owned())
    );

    // Still waiting: the same answer again, with the same id.
    let again = scene
        .asked(
            scene
                .call(Method::DELETE, "/customers/42")
                .header("approval-id", &id),
        )
        .await;
    assert_eq!(again, id);
    scene.world.server.approve(&id);
    // A new token of the same sign-in joins: only its subject and claims are in the operation.
    let retry = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", &id);
    assert_eq!(retry.send().await.unwrap().status(), StatusCode::OK);
    let spent = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", &id);
    assert_eq!(
        problem(spent.send().await.unwrap()).await,
        (403, "approval_used".to_owned())
    );
    assert_eq!(scene.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_retries_with_one_approval_forward_it_once() {
    let scene = Scene::new().await;
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    let mut tries = tokio::task::JoinSet::new();
    for turn in 0..1000 {
        let call = scene
            .call(Method::DELETE, "/customers/42")
            .header("approval-id", &id);
        tries.spawn(async move { call.send().await.unwrap().status() });
        if turn == 500 {
            scene.world.server.approve(&id);
        }
    }
    let statuses = tries.join_all().await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::OK)
            .count(),
        1
    );
    let expected = [StatusCode::OK, StatusCode::FORBIDDEN];
    let others: Vec<_> = statuses
        .iter()
        .filter(|status| !expected.contains(status))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(scene.reached().len(), 1);
}
