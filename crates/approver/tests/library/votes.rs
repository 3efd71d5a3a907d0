//! What is signed is what was shown; what cannot be signed is said.

use super::*;

fn sent(world: &World) -> (Vote, Value) {
    world.seen(|seen| {
        let body = seen.votes.last().unwrap().clone();
        let cic = b64u_decode(&seen.exchanges[0].0).unwrap();
        let key = Statement::from_bytes(&cic).unwrap().key;
        (
            Vote::verify(body["vote"].as_str().unwrap(), &key).unwrap(),
            body,
        )
    })
}

#[tokio::test]
async fn what_is_signed_is_what_was_shown() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    let after = app
        .vote(
            "t1",
            Choice::Approve,
            Some(" fine by me ".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap();
    assert!(matches!(
        after.ballot,
        Ballot::Locked {
            why: WhyLocked::Voted,
            ..
        }
    ));
    assert!(after.votes[0].mine && text(after.votes[0].reason.as_ref().unwrap()) == "fine by me");
    let (vote, _) = sent(&world);
    let view = world.server.does.lock().unwrap().requests["t1"].clone();
    let operation = b64u_decode(view["operation_b64"].as_str().unwrap()).unwrap();
    assert_eq!(vote.vote, Signed::Approve);
    assert_eq!(vote.operation_digest, Digest::of(&operation));
    assert_eq!(
        vote.request_jws_digest,
        countersign_evidence::jws_digest(view["request_jws"].as_str().unwrap())
    );
    assert_eq!(vote.display.sha256.to_string(), digest);
    assert_eq!(
        (vote.nonce.as_str(), vote.pep.as_str(), vote.txn.as_str()),
        ("the-challenge", "orders-gate", "t1")
    );
    assert_eq!(
        (vote.server.as_str(), vote.sub_id.sub.as_str()),
        (world.server.id.as_str(), "elin")
    );
    assert_eq!(
        vote.binding_id.to_string(),
        app.state().borrow().account.as_ref().unwrap().binding_id
    );
    assert_eq!(vote.policy_digest, Digest::of(b"policy"));
    assert!(vote.supersedes.is_none() && vote.match_words.is_none());
}

#[tokio::test]
async fn a_request_that_was_swapped_after_it_was_shown_is_not_signed() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    // Genuine in itself, but another one: the server draws a new id for the same operation.
    world.put(world.request("t1", |requirement| {
        requirement.irreversible = Some("Cannot be undone".to_owned())
    }));
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::NotGenuine);
    let stale = app
        .vote(
            "t1",
            Choice::Approve,
            None,
            None,
            Digest::of(b"another card").to_string(),
        )
        .await
        .unwrap_err();
    assert_eq!(stale.code, ProblemCode::NotGenuine);
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

#[tokio::test]
async fn a_lost_answer_sends_the_very_same_vote_again() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    world.does(|does| does.lose_votes = 3);
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::ServerUnreachable);
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    world.seen(|seen| {
        assert_eq!(seen.votes.len(), 4);
        assert!(seen.votes.windows(2).all(|pair| pair[0] == pair[1]));
    });
}

#[tokio::test]
async fn words_are_compared_before_anything_is_signed() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        requirement.match_words = MatchWords::Words
    })
    .await;
    assert!(
        card(&app, "t1").await.words.is_none(),
        "what has to be typed is not shown"
    );
    let view = world.server.does.lock().unwrap().requests["t1"].clone();
    let words = countersign_model::matching_words(countersign_evidence::jws_digest(
        view["request_jws"].as_str().unwrap(),
    ));
    let typed = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    for wrong in [
        None,
        typed("", ""),
        typed(words[1], words[0]),
        typed(words[0], "nonsense"),
    ] {
        let problem = app
            .vote("t1", Choice::Approve, None, wrong, digest.clone())
            .await
            .unwrap_err();
        assert_eq!(problem.code, ProblemCode::WrongWords);
    }
    assert!(world.seen(|seen| seen.votes.is_empty()));
    app.vote(
        "t1",
        Choice::Approve,
        None,
        typed(&format!(" {} ", words[0].to_uppercase()), words[1]),
        digest,
    )
    .await
    .unwrap();
    assert_eq!(sent(&world).0.match_words.unwrap(), words.join(" "));
}

#[tokio::test]
async fn a_reason_is_given_where_the_policy_wants_one() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        requirement.reason = ReasonRule::OnDeny
    })
    .await;
    let problem = app
        .vote(
            "t1",
            Choice::Deny,
            Some("  ".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap_err();
    assert!(problem.sentence.contains("wants a reason"));
    app.vote(
        "t1",
        Choice::Deny,
        Some("not today".to_owned()),
        None,
        digest,
    )
    .await
    .unwrap();
    let (vote, _) = sent(&world);
    assert_eq!(
        (vote.vote, vote.reason.as_deref()),
        (Signed::Deny, Some("not today"))
    );
}

#[tokio::test]
async fn a_deny_may_replace_ones_own_approval_and_says_so() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    app.vote("t1", Choice::Approve, None, None, digest.clone())
        .await
        .unwrap();
    let first = sent(&world).1["vote"].as_str().unwrap().to_owned();
    let again = app
        .vote(
            "t1",
            Choice::Approve,
            Some("twice".to_owned()),
            None,
            digest.clone(),
        )
        .await
        .unwrap_err();
    assert_eq!(again.code, ProblemCode::Forbidden);
    app.vote("t1", Choice::Deny, None, None, digest)
        .await
        .unwrap();
    assert_eq!(
        sent(&world).0.supersedes,
        Some(countersign_evidence::jws_digest(&first))
    );
}

#[tokio::test]
async fn older_claims_are_made_newer_for_a_vote_and_a_provider_that_cannot_is_named() {
    let world = world().await;
    world.does(|does| does.step_up = "none");
    let (app, digest) = ready(&world, |_| ()).await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    assert!(
        sent(&world).1.get("claims_token").is_none(),
        "the sign-in's own token is fresh enough"
    );
    world.server.clock.forward(400);
    world.put(world.request("t2", |_| ()));
    let digest = card(&app, "t2").await.display_digest;
    app.vote("t2", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    assert!(sent(&world).1["claims_token"].is_string());
    world.does(|does| does.refreshes = false);
    world.server.clock.forward(400);
    world.put(world.request("t3", |_| ()));
    let digest = card(&app, "t3").await.display_digest;
    let problem = app
        .vote("t3", Choice::Approve, None, None, digest)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::SignedOut);
    assert!(
        problem
            .sentence
            .contains("what Test ID says about you to be at most 5 minutes old"),
        "{}",
        problem.sentence
    );
    assert_eq!(world.seen(|seen| seen.votes.len()), 2);
}

#[tokio::test]
async fn ones_own_request_is_not_voted_on() {
    let world = world().await;
    let mut view = world.request("t1", |_| ());
    view["locked"] = "own_request".into();
    view.as_object_mut().unwrap().remove("challenge");
    world.put(view);
    let app = world.signed_in().await;
    let state = app.state().borrow().clone();
    assert!(state.inbox.is_empty() && state.others.len() == 1);
    let card = card(&app, "t1").await;
    assert!(matches!(
        card.ballot,
        Ballot::Locked {
            why: WhyLocked::OwnRequest,
            ..
        }
    ));
    let problem = app
        .vote("t1", Choice::Approve, None, None, card.display_digest)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::Forbidden);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_before_the_program_ends() {
    let world = world().await;
    let (app, _) = ready(&world, |_| ()).await;
    world.server.clock.forward(400);
    world.put(world.request("t2", |_| ()));
    world.says("request.created", "t2", 6);
    app.state()
        .wait_for(|state| state.inbox.iter().any(|row| row.txn == "t2"))
        .await
        .unwrap();
    // Reading the card refreshes ahead; the program ends at once.
    app.card("t2").await.unwrap();
    while world.seen(|seen| seen.refreshes) == 0 {
        tokio::task::yield_now().await;
    }
    app.settle().await;
    drop(app);
    let kept = String::from_utf8(world.store.kept.lock().unwrap()["account"].clone()).unwrap();
    assert!(kept.contains("\"r1\""), "{kept}");
}

// --- connection, history, devices ------------------------------------------------------------------

#[tokio::test]
async fn an_access_token_that_ended_is_renewed_in_passing() {
    let world = world().await;
    let app = world.signed_in().await;
    world.put(world.request("t1", |_| ()));
    world.does(|does| does.ended_tokens = vec!["token-0".to_owned()]);
    assert!(app.card("t1").await.is_ok());
    assert_eq!(
        world.seen(|seen| (seen.renewals, seen.browser_opened)),
        (1, 1)
    );
    // One that is refused for good says so, and is not asked for again and again.
    world.does(|does| does.ended_tokens = (0..10).map(|n| format!("token-{n}")).collect());
    assert_eq!(
        app.card("t1").await.unwrap_err().code,
        ProblemCode::SignedOut
    );
    assert_eq!(world.seen(|seen| seen.renewals), 2);
}

#[tokio::test]
async fn what_the_stream_no_longer_keeps_is_found_in_the_list() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let mut events = app.events();
    world.does(|does| does.requests.get_mut("t1").unwrap()["state"] = "expired".into());
    world.put(world.request("t2", |_| ()));
    let reset = json!({"v": 1, "seq": 0, "type": "reset", "data": {"seq": 900}});
    world.server.stream.send(reset).unwrap();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Arrived {
            txn: "t2".to_owned()
        }
    );
    assert!(matches!(events.recv().await.unwrap(), Event::Closed { txn, .. } if txn == "t1"));
    let mut states = app.state();
    states
        .wait_for(|state| state.inbox.iter().map(|row| row.txn.as_str()).eq(["t2"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_that_is_gone_for_this_person_leaves_the_inbox() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let mut events = app.events();
    world.does(|does| drop(does.requests.remove("t1")));
    world.says("request.updated", "t1", 6);
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Closed { by: None, .. }
    ));
    app.state()
        .wait_for(|state| state.inbox.is_empty())
        .await
        .unwrap();
}

#[tokio::test]
async fn another_device_is_announced_and_can_be_revoked() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    let other = Digest::of(b"other").to_string();
    let added = json!({"v": 1, "seq": 6, "type": "binding.added", "data": {"binding_id": other}});
    world.server.stream.send(added).unwrap();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::DeviceAdded {
            binding_id: other.clone()
        }
    );
    let devices = app.devices().await.unwrap();
    assert_eq!(
        devices
            .iter()
            .map(|device| device.this_device)
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert!(
        text(&devices[0].name).contains("202E"),
        "what hides is made visible in names of devices too"
    );
    app.revoke_device(&other).await.unwrap();
    assert_eq!(world.seen(|seen| seen.revoked.clone()), [other]);
    assert!(app.revoke_device("../requests").await.is_err());
    // This one: by signing out.
    let mine = devices[1].binding_id.clone();
    assert!(app.revoke_device(&mine).await.unwrap().is_empty());
    assert!(app.state().borrow().account.is_none());
}
