//! Who is let in, and for how long.

use countersign_evidence::SecretKey;

use super::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_get_401_with_their_reason() {
    let scene = Scene::new().await;
    let op = &scene.world.op;
    let now = scene.world.clock.now().0;
    let good = scene.token();
    let unsigned = {
        let part = |value: Value| countersign_model::b64u(value.to_string().as_bytes());
        let payload = good.split('.').nth(1).unwrap().to_owned();
        move |alg: &str| {
            format!(
                "{}.{payload}.AA",
                part(json!({ "alg": alg, "typ": "at+jwt", "kid": "x" }))
            )
        }
    };
    let mut other_signature = good.clone();
    other_signature.truncate(good.len() - 8);
    other_signature.push_str("AAAAAAAA");
    for (token, code) in [
        ("abc".to_owned(), "token_malformed"),
        (unsigned("none"), "token_alg"),
        (unsigned("HS256"), "token_alg"),
        (other_signature, "token_signature"),
        (
            op.access_token(|claims| claims["exp"] = json!(now - 61)),
            "token_expired",
        ),
        (
            op.access_token(|claims| claims["aud"] = json!("urn:other")),
            "token_audience",
        ),
        (
            op.access_token(|claims| claims["client_id"] = json!("countersign-approver")),
            "token_approver_client",
        ),
        (
            op.access_token(|claims| claims["iss"] = json!("https://evil.example")),
            "unknown_issuer",
        ),
        (
            op.access_token(|claims| claims["cnf"] = json!({ "jkt": "x" })),
            "token_bound",
        ),
        (op.id_token("mara", &["orders-dev"], "n"), "token_typ"),
    ] {
        let answer = scene
            .http
            .get(format!("{}/customers/7", scene.url))
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        let authenticate = answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            authenticate.starts_with("Bearer ") && authenticate.contains("error=\"invalid_token\""),
            "{authenticate}"
        );
        assert!(!authenticate.contains(&token));
        assert_eq!(problem(answer).await, (401, code.to_owned()));
    }
    let answer = scene
        .http
        .get(format!("{}/customers/7", scene.url))
        .send()
        .await
        .unwrap();
    assert!(
        !answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("error=")
    );
    assert_eq!(problem(answer).await, (401, "token_missing".to_owned()));
    assert!(scene.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_ends_with_its_time() {
    let scene = Scene::new().await;
    let token = scene.token();
    let send = || {
        scene
            .http
            .get(format!("{}/customers/7", scene.url))
            .bearer_auth(&token)
            .send()
    };
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    scene.world.clock.forward(661);
    assert_eq!(problem(send().await.unwrap()).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_the_key_that_signed_it() {
    let scene = Scene::new().await;
    let until = scene.world.clock.now().0 + 1_000_000;
    let token = scene
        .world
        .op
        .access_token(|claims| claims["exp"] = json!(until));
    let send = async || {
        let call = scene.http.get(format!("{}/customers/7", scene.url));
        call.bearer_auth(&token).send().await.unwrap()
    };
    assert_eq!(send().await.status(), StatusCode::OK);
    scene.world.op.withdraw_key();
    // A key that nobody knows is looked for before the answer, once a minute: from here on the old one is known to
    // be gone. (An hour alone has the keys fetched beside the calls, which go on by the old ones meanwhile.)
    scene.world.clock.forward(60);
    let stranger = scene
        .world
        .op
        .access_token_by(&SecretKey::generate([9; 32]), |_| ());
    let stranger = scene.call_with(Method::GET, "/customers/7", &stranger);
    let unknown = (401, "token_key_unknown".to_owned());
    assert_eq!(problem(stranger.send().await.unwrap()).await, unknown);
    assert_eq!(problem(send().await).await, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_the_call_is_held_is_judged_again() {
    let scene = Scene::new().await;
    let now = scene.world.clock.now().0;
    let short = scene
        .world
        .op
        .access_token(|claims| claims["exp"] = json!(now + 1));
    let call = scene
        .http
        .delete(format!("{}/customers/42", scene.url))
        .bearer_auth(short);
    let held = tokio::spawn(call.send());
    let txn = scene.world.server.opened().await;
    // An answer that is still on its way would come from a clock that is off.
    scene.world.server.polled(2).await;
    scene.world.clock.forward(100);
    scene.world.server.approve(&txn);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let id = answer.headers()["approval-id"].to_str().unwrap().to_owned();
    assert_eq!(id, txn);
    assert!(scene.reached().is_empty());
    // The approval is still there for the same caller with a new token.
    let retry = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", id);
    assert_eq!(retry.send().await.unwrap().status(), StatusCode::OK);
}
