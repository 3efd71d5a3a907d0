//! Several providers at once: each asserts what it may, and nobody is taken for somebody of another one.

use countersign_evidence::SecretKey;

use super::scene::*;

/// Spoils a token's claims.
type Change = Box<dyn Fn(&mut Value)>;

/// The scene's provider, and a second one.
async fn scene(provider_keys: &'static str, second_keys: &str) -> (Scene, Op) {
    let world = World::new().await;
    let second = Op::start_as(&world.clock, 41).await;
    let providers = format!(
        "[[provider]]\nissuer = \"{}\"\napprover_client_id = \"countersign-second\"\n{second_keys}\n",
        second.issuer
    );
    let plan = Plan {
        provider_keys,
        providers,
        // Whoever comes from anywhere reads; deleting is for one provider's developers only.
        keys: Some("hold_secs = 30"),
        ..Plan::default()
    };
    (Scene::of(world, plan).await, second)
}

async fn read(scene: &Scene, token: &str) -> Result<u16, String> {
    let call = scene.call_with(Method::GET, "/customers/7", token);
    let answer = call.send().await.unwrap();
    match answer.status() {
        StatusCode::OK => Ok(200),
        _ => Err(problem(answer).await.1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_providers_tokens_are_judged_by_its_own_rules_and_keys() {
    let (scene, second) = scene("", "audience = \"urn:orders-second\"").await;
    let first = &scene.world.op;
    let of_second = |change: fn(&mut Value)| {
        second.access_token(|claims| {
            claims["aud"] = json!("urn:orders-second");
            change(claims);
        })
    };
    assert_eq!(read(&scene, &first.access_token(|_| ())).await, Ok(200));
    assert_eq!(read(&scene, &of_second(|_| ())).await, Ok(200));
    let issuer_of = |op: &Op| op.issuer.as_str().to_owned();
    let (iss_first, iss_second) = (issuer_of(first), issuer_of(&second));
    for (what, token, code) in [
        // Mix-up: one provider's signature under the other's name.
        (
            "second signs for first",
            second.access_token(|claims| claims["iss"] = json!(iss_first)),
            "token_key_unknown",
        ),
        (
            "first signs for second",
            first.access_token(|claims| {
                claims["iss"] = json!(iss_second);
                claims["aud"] = json!("urn:orders-second");
            }),
            "token_key_unknown",
        ),
        (
            "an audience of the other",
            second.access_token(|claims| claims["aud"] = json!("urn:orders")),
            "token_audience",
        ),
        (
            "the other's audience",
            first.access_token(|claims| claims["aud"] = json!("urn:orders-second")),
            "token_audience",
        ),
        // An approver client is a credential nowhere, whichever provider names it.
        (
            "the other's approver client",
            first.access_token(|claims| claims["client_id"] = json!("countersign-second")),
            "token_approver_client",
        ),
        (
            "the other's approver client, as azp",
            second.access_token(|claims| {
                claims["aud"] = json!("urn:orders-second");
                claims["azp"] = json!("countersign-approver");
            }),
            "token_approver_client",
        ),
        (
            "an issuer with a slash more",
            first.access_token(|claims| claims["iss"] = json!(format!("{iss_first}/"))),
            "unknown_issuer",
        ),
        (
            "nobody's key",
            first.access_token_by(&SecretKey::generate([7; 32]), |_| ()),
            "token_key_unknown",
        ),
    ] {
        assert_eq!(read(&scene, &token).await, Err(code.to_owned()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_refuses_its_bad_tokens() {
    let (scene, second) = scene("", "audience = \"urn:orders\"").await;
    let now = scene.world.clock.now().0;
    for op in [&scene.world.op, &second] {
        let bad: [(&str, Change); 14] = [
            (
                "token_expired",
                Box::new(move |c| c["exp"] = json!(now - 61)),
            ),
            (
                "token_future",
                Box::new(move |c| c["iat"] = json!(now + 61)),
            ),
            (
                "token_future",
                Box::new(move |c| c["nbf"] = json!(now + 61)),
            ),
            ("token_claim", Box::new(|c| c["exp"] = json!("soon"))),
            ("token_claim", Box::new(|c| c["sub"] = json!(""))),
            ("token_claim", Box::new(|c| c["client_id"] = json!(7))),
            ("token_claim", Box::new(|c| c["jti"] = Value::Null)),
            ("token_claim", Box::new(|c| c["aud"] = json!([7]))),
            ("token_audience", Box::new(|c| c["aud"] = json!([]))),
            (
                "token_bound",
                Box::new(|c| c["cnf"] = json!({ "jkt": "x" })),
            ),
            ("token_foreign_claim", Box::new(|c| c["nonce"] = json!("n"))),
            ("token_foreign_claim", Box::new(|c| c["events"] = json!({}))),
            (
                "token_role",
                Box::new(|c| c["sub"] = c["client_id"].clone()),
            ),
            ("token_act", Box::new(|c| c["act"] = json!("robot"))),
        ];
        for (code, change) in bad {
            let token = op.access_token(|claims| change(claims));
            assert_eq!(
                read(&scene, &token).await,
                Err(code.to_owned()),
                "{}",
                op.issuer
            );
        }
        assert_eq!(
            read(&scene, &op.workload_token(|_| ())).await,
            Err("token_typ".to_owned())
        );
        assert_eq!(read(&scene, &op.access_token(|_| ())).await, Ok(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_only_asserts_approvers_lets_nobody_call() {
    let (scene, second) = scene("", "roles = [\"approver\"]").await;
    let token = second.access_token(|_| ());
    assert_eq!(read(&scene, &token).await, Err("unknown_issuer".to_owned()));
    assert_eq!(read(&scene, &scene.token()).await, Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sub_at_two_providers_is_two_callers() {
    let (scene, second) = scene("", "audience = \"urn:orders\"").await;
    let id = scene
        .asked(scene.call(Method::DELETE, "/customers/42"))
        .await;
    let theirs = second.access_token(|_| ());
    let other = scene
        .call_with(Method::DELETE, "/customers/42", &theirs)
        .header("approval-id", &id);
    // Their group of the same name is another group: the policy denies before the approval is even looked for.
    assert_eq!(
        problem(other.send().await.unwrap()).await,
        (403, "policy_denied".to_owned())
    );
    scene.world.server.approve(&id);
    let own = scene
        .call(Method::DELETE, "/customers/42")
        .header("approval-id", &id);
    assert_eq!(own.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_ask_like_people_and_who_started_them_is_excluded() {
    // Elin's vote and Jonas's make the quorum; the job was started by Elin.
    for (initiator, released) in [("otto", true), ("elin", false)] {
        let scene = Scene::planned(Plan {
            provider_keys: "roles = [\"approver\", \"requester\", \"workload\"]\ninitiator_claim = \"actor_id\"",
            ..Plan::default()
        })
        .await;
        let token = scene
            .world
            .op
            .workload_token(|claims| claims["actor_id"] = json!(initiator));
        let call = scene.call_with(Method::DELETE, "/customers/42", &token);
        let held = tokio::spawn(call.send());
        let txn = scene.world.server.opened().await;
        scene.world.server.approve(&txn);
        let answer = held.await.unwrap().unwrap();
        if released {
            assert_eq!(answer.status(), StatusCode::OK);
        } else {
            let said: Value = answer.json().await.unwrap();
            assert_eq!(said["code"], "requester_votes", "{said}");
        }
        assert_eq!(scene.reached().len(), usize::from(released));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_a_provider_for_people_is_not_let_in() {
    let scene = Scene::new().await;
    let program = scene
        .world
        .op
        .access_token(|claims| claims["sub"] = json!("cli"));
    assert_eq!(read(&scene, &program).await, Err("token_role".to_owned()));
    let job = scene.world.op.workload_token(|_| ());
    assert_eq!(read(&scene, &job).await, Err("token_typ".to_owned()));
}
