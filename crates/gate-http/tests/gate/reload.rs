//! A policy that changes while the gate runs, and while calls wait.

use countersign_policy_file::Reloaded;

use super::scene::*;

fn write(scene: &Scene, change: impl FnOnce(String) -> String) -> Reloaded {
    let path = scene.world.dir.path().join("policy.cedar");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
    scene.gate.as_ref().unwrap().reload_policy()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_judges_the_next_call_and_a_bad_one_changes_nothing() {
    let scene = Scene::new().await;
    let read = async || {
        let answer = scene.call(Method::GET, "/customers/7").send().await;
        answer.unwrap().status()
    };
    assert_eq!(read().await, StatusCode::OK);
    const HALF: &str = "permit (principal";
    let bad = write(&scene, |text| text + HALF);
    assert!(matches!(bad, Reloaded::Refused { .. }), "{bad:?}");
    assert_eq!(read().await, StatusCode::OK);
    let frozen = "@id(\"frozen\") forbid (principal, action == Action::\"orders.customers.read\", resource);";
    let good = write(&scene, |text| {
        text.trim_end_matches(HALF).to_owned() + frozen
    });
    assert!(matches!(good, Reloaded::Changed { .. }), "{good:?}");
    assert_eq!(read().await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_is_judged_at_release_by_the_policy_of_that_moment() {
    for (change, step, code) in [
        // More people than were asked for.
        (
            ("@approvals(\"2\")", "@approvals(\"3\")"),
            "requirement",
            "requirement_lowered",
        ),
        // Forbidden meanwhile.
        (
            (
                "@id(\"vote\")",
                "@id(\"frozen\") forbid (principal, action == Action::\"orders.customers.delete\", resource);\n@id(\"vote\")",
            ),
            "policy",
            "policy_denied",
        ),
        // Those who approved may not any more.
        (("#dba\")", "#security\")"), "people", "may_not_vote"),
    ] {
        let scene = Scene::new().await;
        let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
        let txn = scene.world.server.opened().await;
        let (from, to) = change;
        let changed = write(&scene, |text| text.replace(from, to));
        assert!(matches!(changed, Reloaded::Changed { .. }), "{changed:?}");
        scene.world.server.approve(&txn);
        let answer: Value = held.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!(
            (&answer["step"], &answer["code"]),
            (&json!(step), &json!(code)),
            "{answer}"
        );
        assert!(scene.reached().is_empty());
    }
    // The refusal beside the success: a change that asks for no more releases it.
    let scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    let changed = write(&scene, |text| {
        text.replace("@grant(\"2m\")", "@grant(\"3m\")")
    });
    assert!(matches!(changed, Reloaded::Changed { .. }), "{changed:?}");
    scene.world.server.approve(&txn);
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_new_policy_finds_too_weak_is_challenged_at_release() {
    let scene = Scene::new().await;
    let held = tokio::spawn(scene.call(Method::DELETE, "/customers/42").send());
    let txn = scene.world.server.opened().await;
    write(&scene, |text| {
        text.replace(
            "@approvals(\"2\")",
            "@approvals(\"2\") @token_scope(\"orders:delete\")",
        )
    });
    scene.world.server.approve(&txn);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.headers()["approval-id"], txn.as_str());
    assert_eq!(
        problem(answer).await,
        (403, "insufficient_scope".to_owned())
    );
    assert!(scene.reached().is_empty());
    // Another scope for the same sign-in: the approval still holds.
    let token = scene
        .world
        .op
        .access_token(|claims| claims["scope"] = json!("orders:delete"));
    let again = scene
        .call_with(Method::DELETE, "/customers/42", &token)
        .header("approval-id", txn);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::OK);
}
