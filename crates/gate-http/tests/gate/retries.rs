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
    let spent = spent.send().await.unwrap();
    assert!(!spent.headers().contains_key("retry-after"));
    assert_eq!(problem(spent).await, (403, "approval_used".to_owned()));
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
        tries.spawn(async move {
            let answer = call.send().await.unwrap();
            let status = answer.status();
            (status, answer.text().await.unwrap())
        });
        if turn == 500 {
            scene.world.server.approve(&id);
        }
    }
    let answers = tries.join_all().await;
    let with = |wanted: StatusCode| {
        answers
            .iter()
            .filter(|(status, _)| *status == wanted)
            .count()
    };
    let others: Vec<_> = answers
        .iter()
        .filter(|(status, _)| ![StatusCode::OK, StatusCode::FORBIDDEN].contains(status))
        .collect();
    assert!(
        others.is_empty(),
        "{} others, such as {:?}",
        others.len(),
        others[0]
    );
    assert_eq!(with(StatusCode::OK), 1);
    assert_eq!(scene.reached().len(), 1);
}
