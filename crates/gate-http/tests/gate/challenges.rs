//! Tokens that are good, and not good enough for this very call.

use super::scene::*;

const RULES: &str = r#"
@id("read-carefully") @token_scope("orders:read")
permit (principal, action == Action::"orders.customers.read", resource);

@id("delete-carefully") @approvals("2") @token_scope("orders:delete") @token_acr("urn:mfa") @token_max_age("5m")
permit (principal, action == Action::"orders.customers.delete", resource);
"#;

async fn scene() -> Scene {
    Scene::planned(Plan {
        rules: RULES,
        keys: Some("hold_secs = 0"),
        ..Plan::default()
    })
    .await
}

/// Status, code, and `WWW-Authenticate`.
async fn challenged(call: reqwest::RequestBuilder) -> (u16, String, String, Value) {
    let answer = call.send().await.unwrap();
    let header = answer.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .to_owned();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (
        status,
        body["code"].as_str().unwrap().to_owned(),
        header,
        body,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_needs_the_scope_that_its_query_needs_and_passes_with_it() {
    let scene = scene().await;
    let read = |token: &str| scene.call_with(Method::GET, "/customers/7", token);
    let bare = scene
        .world
        .op
        .access_token(|claims| claims["scope"] = json!("openid orders:rea"));
    let (status, code, header, body) = challenged(read(&bare)).await;
    assert_eq!((status, code.as_str()), (403, "insufficient_scope"));
    assert!(
        header.starts_with("Bearer ")
            && header.contains("error=\"insufficient_scope\"")
            && header.contains("scope=\"orders:read\""),
        "{header}"
    );
    assert_eq!(body["scope"], "orders:read");
    assert!(body.get("acr_values").is_none() && body.get("max_age").is_none());
    assert_eq!(
        body["command"],
        format!(
            "countersign token --issuer {} --resource urn:orders --add-scope orders:read",
            scene.world.op.issuer
        )
    );
    // The same call, after the dynamic authorization.
    let good = scene
        .world
        .op
        .access_token(|claims| claims["scope"] = json!("openid orders:read"));
    assert_eq!(read(&good).send().await.unwrap().status(), StatusCode::OK);
    // A query that asks for nothing passes as always, body and all.
    let write = scene
        .call_with(Method::PUT, "/customers/7", &bare)
        .body("x");
    assert_eq!(write.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.reached().len(), 2);
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_too_weak_or_too_old_is_challenged_before_anybody_is_asked() {
    let scene = scene().await;
    let now = scene.world.clock.now().0;
    let delete = |acr: Option<&str>, auth_time: Option<i64>, scope: &str| {
        let token = scene.world.op.access_token(|claims| {
            claims["scope"] = json!(scope);
            if let Some(acr) = acr {
                claims["acr"] = json!(acr);
            }
            if let Some(time) = auth_time {
                claims["auth_time"] = json!(time);
            }
        });
        scene.call_with(Method::DELETE, "/customers/42", &token)
    };
    for (acr, auth_time) in [
        (None, Some(now)),
        (Some("urn:password"), Some(now)),
        (Some("urn:mfa"), None),
        (Some("urn:mfa"), Some(0)),
        (Some("urn:mfa"), Some(now - 301)),
    ] {
        let (status, code, header, body) =
            challenged(delete(acr, auth_time, "orders:delete")).await;
        assert_eq!(
            (status, code.as_str()),
            (401, "insufficient_user_authentication"),
            "{acr:?} {auth_time:?}"
        );
        assert!(
            header.contains("acr_values=\"urn:mfa\"") && header.contains("max_age=\"300\""),
            "{header}"
        );
        assert_eq!(
            (&body["acr_values"], &body["max_age"]),
            (&json!(["urn:mfa"]), &json!(300))
        );
        let command = body["command"].as_str().unwrap();
        assert!(
            command.ends_with("--add-scope orders:delete --acr urn:mfa --max-age 300"),
            "{command}"
        );
    }
    let (status, code, ..) = challenged(delete(Some("urn:mfa"), Some(now), "openid")).await;
    assert_eq!((status, code.as_str()), (403, "insufficient_scope"));
    assert_eq!(scene.world.server.calls(), 0, "nobody was asked");

    let asked = delete(Some("urn:mfa"), Some(now - 299), "orders:delete");
    let asked = problem(asked.send().await.unwrap()).await;
    assert_eq!(asked, (403, "approval_pending".to_owned()));
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_does_not_grow_old_while_its_call_waits_for_people() {
    let scene = scene().await;
    let now = scene.world.clock.now().0;
    let token = |of: &Scene| {
        let until = of.world.clock.now().0 + 600;
        of.world.op.access_token(|claims| {
            claims["scope"] = json!("orders:delete");
            claims["acr"] = json!("urn:mfa");
            claims["auth_time"] = json!(now - 299);
            claims["exp"] = json!(until);
        })
    };
    let delete = |token: &str| scene.call_with(Method::DELETE, "/customers/42", token);
    let id = scene.asked(delete(&token(&scene))).await;
    scene.world.clock.forward(90);
    scene.world.server.approve(&id);
    let again = delete(&token(&scene)).header("approval-id", &id);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::OK);
    // For a new call the same sign-in is too old by now.
    let (status, ..) = challenged(delete(&token(&scene))).await;
    assert_eq!(status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_denies_is_denied_whatever_the_token_has() {
    let scene = Scene::planned(Plan {
        rules: r#"
@id("never") @token_scope("orders:read")
permit (principal, action == Action::"orders.customers.read", resource);
@id("frozen")
forbid (principal, action == Action::"orders.customers.read", resource) when { resource.id == "13" };
"#,
        ..Plan::default()
    })
    .await;
    let answer = scene
        .call(Method::GET, "/customers/13")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await, (403, "policy_denied".to_owned()));
}
