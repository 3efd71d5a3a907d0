//! Votes that the provider has to confirm: nothing counts before it did, nothing that was signed is lost, and the
//! card says what happened.

use countersign_api::ipc::{Means, StepUpPhase};
use countersign_evidence::documents::step_up_nonce;

use super::*;

fn oidc(requirement: &mut Requirement) {
    requirement.step_up = StepUp::Oidc;
}

fn with_consent(requirement: &mut Requirement) {
    oidc(requirement);
    requirement.acr = Some("mfa".to_owned());
    requirement.scope = Some("approve:orders.delete".to_owned());
}

/// Approves, and waits until the confirmation stands still.
async fn approve(app: &Approver, digest: &str) -> Ballot {
    let card = app
        .vote("t1", Choice::Approve, None, None, digest.to_owned())
        .await
        .unwrap();
    assert!(
        matches!(card.ballot, Ballot::StepUp { .. }),
        "the card comes back at once: {:?}",
        card.ballot
    );
    settled(app).await
}

async fn settled(app: &Approver) -> Ballot {
    settled_on(app, "t1").await
}

async fn settled_on(app: &Approver, txn: &str) -> Ballot {
    let mut events = app.events();
    loop {
        let ballot = card(app, txn).await.ballot;
        match ballot {
            Ballot::StepUp {
                phase: StepUpPhase::Failed { .. },
                ..
            }
            | Ballot::Open { .. }
            | Ballot::Locked { .. } => return ballot,
            Ballot::StepUp { .. } => drop(events.recv().await.unwrap()),
        }
    }
}

fn failed(ballot: Ballot) -> (String, bool) {
    match ballot {
        Ballot::StepUp {
            phase: StepUpPhase::Failed { problem, retry },
            ..
        } => (problem.sentence, retry),
        Ballot::StepUp { .. } | Ballot::Open { .. } | Ballot::Locked { .. } => {
            panic!("it did not fail")
        }
    }
}

fn voted(ballot: &Ballot) -> bool {
    matches!(
        ballot,
        Ballot::Locked {
            why: WhyLocked::Voted,
            ..
        }
    )
}

fn votes(world: &World) -> Vec<Value> {
    world.seen(|seen| seen.votes.clone())
}

fn payload(token: &str) -> Value {
    let part = b64u_decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

fn files(world: &World) -> Vec<String> {
    let folder = std::fs::read_dir(world.folder.path().join("data")).unwrap();
    let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("vote-")).collect()
}

#[tokio::test]
async fn a_request_that_no_list_has_told_of_yet_is_confirmed_too() {
    let world = world().await;
    world.does(|does| does.claims = json!({"acr": "mfa"}));
    let (app, _) = ready(&world, with_consent).await;
    world.put(world.request("t2", with_consent));
    let digest = card(&app, "t2").await.display_digest;
    app.vote("t2", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    let ballot = settled_on(&app, "t2").await;
    assert!(voted(&ballot), "{ballot:?}");
}

#[tokio::test]
async fn a_vote_is_confirmed_by_a_token_whose_nonce_is_that_very_vote() {
    let world = world().await;
    world.does(|does| does.claims = json!({"acr": "mfa"}));
    let (app, digest) = ready(&world, with_consent).await;
    let Ballot::Open {
        step_up: Some(asked),
        ..
    } = card(&app, "t1").await.ballot
    else {
        panic!("the card says what approving takes")
    };
    assert_eq!(
        (asked.means, &*asked.provider_name),
        (Means::Oidc, "Test ID")
    );
    assert_eq!(text(&asked.scope.unwrap()), "approve:orders.delete");
    let ballot = approve(&app, &digest).await;
    assert!(voted(&ballot), "{ballot:?}");
    let [sent] = &votes(&world)[..] else {
        panic!("one vote")
    };
    let jws = sent["vote"].as_str().unwrap();
    let id_token = payload(sent["step_up"]["id_token"].as_str().unwrap());
    assert_eq!(id_token["nonce"], step_up_nonce(jws));
    let access_token = payload(sent["step_up"]["access_token"].as_str().unwrap());
    assert_eq!(access_token["aud"], format!("{}/step-up", world.server.id));
    assert_eq!(access_token["scope"], "approve:orders.delete");
    assert!(files(&world).is_empty(), "what is counted is not kept");
}

#[tokio::test]
async fn where_a_refresh_gives_no_claims_the_vote_goes_through_the_browser() {
    for (choice, means) in [
        (Choice::Approve, StepUp::None),
        (Choice::Deny, StepUp::None),
        (Choice::Approve, StepUp::Oidc),
    ] {
        let world = world().await;
        let (app, digest) = ready(&world, |requirement| requirement.step_up = means).await;
        world.does(|does| does.refreshes = false);
        world.server.clock.forward(400);
        app.vote("t1", choice, None, None, digest).await.unwrap();
        assert!(voted(&settled(&app).await));
        let sent = &votes(&world)[0];
        let claims = payload(sent["claims_token"].as_str().unwrap());
        let jws = sent["vote"].as_str().unwrap();
        assert_eq!(claims["nonce"], step_up_nonce(jws));
        assert_eq!(sent.get("step_up").is_some(), means == StepUp::Oidc);
    }
}

#[tokio::test]
async fn a_deny_needs_no_confirmation() {
    let world = world().await;
    let (app, digest) = ready(&world, with_consent).await;
    app.vote("t1", Choice::Deny, None, None, digest)
        .await
        .unwrap();
    world.seen(|seen| {
        assert_eq!(seen.browser_opened, 1, "the sign-in's only");
        assert!(seen.votes[0].get("step_up").is_none());
    });
}

#[tokio::test]
async fn what_goes_wrong_at_the_provider_is_said_and_nothing_is_sent() {
    for (redirect, claims, said) in [
        ("error=access_denied", json!({}), "You declined"),
        ("code=c", json!({"sub": "jonas"}), "Another account"),
        ("code=c", json!({"acr": "pwd"}), "the level `mfa`"),
        (
            "code=c",
            json!({"auth_time": 5}),
            "did not ask you to sign in again",
        ),
        // What only the one verification finds.
        ("code=c", json!({"at_hash": "AAAA"}), "another access token"),
    ] {
        let world = world().await;
        let (app, digest) = ready(&world, with_consent).await;
        world.does(|does| {
            does.redirect = redirect;
            does.claims = json!({"acr": "mfa"});
            for (name, value) in claims.as_object().unwrap() {
                does.claims[name] = value.clone();
            }
        });
        let (sentence, retry) = failed(approve(&app, &digest).await);
        assert!(sentence.contains(said), "{said}: {sentence}");
        assert!(retry);
        assert!(votes(&world).is_empty(), "{said}");
    }
}

#[tokio::test]
async fn after_a_decline_the_same_vote_can_be_confirmed_or_given_up() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.redirect = "error=access_denied");
    failed(approve(&app, &digest).await);
    let first = world.does_get(|does| does.nonce.clone());
    world.does(|does| does.redirect = "code=c");
    app.retry_step_up("t1").await.unwrap();
    assert!(voted(&settled(&app).await));
    let sent = votes(&world);
    assert_eq!(first, step_up_nonce(sent[0]["vote"].as_str().unwrap()));

    let world = super::world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.redirect = "error=access_denied");
    failed(approve(&app, &digest).await);
    assert_eq!(files(&world).len(), 1);
    app.cancel_step_up("t1").unwrap();
    assert!(matches!(settled(&app).await, Ballot::Open { .. }));
    assert!(files(&world).is_empty() && votes(&world).is_empty());
    assert_eq!(
        app.cancel_step_up("t1").unwrap_err().code,
        ProblemCode::NotFound
    );
}

#[tokio::test]
async fn a_browser_that_never_answers_can_be_given_up_or_opened_again() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.redirect = "");
    let mut events = app.events();
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    while !matches!(
        card(&app, "t1").await.ballot,
        Ballot::StepUp {
            phase: StepUpPhase::WaitingForBrowser { .. },
            ..
        }
    ) {
        events.recv().await.unwrap();
    }
    let opened = world.seen(|seen| seen.browser_opened);
    app.retry_step_up("t1").await.unwrap();
    assert_eq!(world.seen(|seen| seen.browser_opened), opened + 1);
    app.cancel_step_up("t1").unwrap();
    assert!(matches!(settled(&app).await, Ballot::Open { .. }));
    assert!(votes(&world).is_empty());
}

#[tokio::test]
async fn a_provider_that_goes_down_in_the_middle_costs_no_vote_even_over_a_restart() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.provider_down = true);
    let (_, retry) = failed(approve(&app, &digest).await);
    assert!(retry);
    let signed = world.does_get(|does| does.nonce.clone());
    drop(app);
    world.does(|does| does.provider_down = false);
    let app = world.start();
    app.state().wait_for(|state| state.listed).await.unwrap();
    let (sentence, retry) = failed(card(&app, "t1").await.ballot);
    assert!(retry && sentence.contains("It is kept"), "{sentence}");
    app.retry_step_up("t1").await.unwrap();
    assert!(voted(&settled(&app).await));
    let sent = votes(&world);
    assert_eq!(signed, step_up_nonce(sent[0]["vote"].as_str().unwrap()));
}

#[tokio::test]
async fn a_vote_too_old_for_its_gate_is_signed_anew() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        oidc(requirement);
        requirement.fresh_claims_secs = 3600;
    })
    .await;
    world.does(|does| does.redirect = "error=access_denied");
    failed(approve(&app, &digest).await);
    let first = world.does_get(|does| does.nonce.clone());
    // Half of the grant's 300 seconds.
    world.server.clock.forward(151);
    world.does(|does| does.redirect = "code=c");
    app.retry_step_up("t1").await.unwrap();
    assert!(voted(&settled(&app).await));
    let sent = votes(&world);
    assert_ne!(first, step_up_nonce(sent[0]["vote"].as_str().unwrap()));
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_second_sign_in() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.lose_votes = 3);
    let (_, retry) = failed(approve(&app, &digest).await);
    assert!(retry);
    let opened = world.seen(|seen| seen.browser_opened);
    app.retry_step_up("t1").await.unwrap();
    assert!(voted(&settled(&app).await));
    world.seen(|seen| {
        assert_eq!(seen.browser_opened, opened);
        assert!(seen.votes.windows(2).all(|pair| pair[0] == pair[1]));
    });
}

#[tokio::test]
async fn a_confirmation_that_the_server_refuses_is_asked_for_anew() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.refuse_votes = Some("step_up_reused"));
    let renewals = world.seen(|seen| seen.renewals);
    let (sentence, retry) = failed(approve(&app, &digest).await);
    assert!(retry && sentence.contains("It does not hold"), "{sentence}");
    assert_eq!(world.seen(|seen| seen.renewals), renewals);
    assert!(app.state().borrow().account.is_some(), "still signed in");
    let opened = world.seen(|seen| seen.browser_opened);
    world.does(|does| does.refuse_votes = None);
    app.retry_step_up("t1").await.unwrap();
    assert!(voted(&settled(&app).await));
    assert_eq!(world.seen(|seen| seen.browser_opened), opened + 1);
}

#[tokio::test]
async fn a_request_that_ends_meanwhile_ends_the_confirmation() {
    let world = world().await;
    let (app, digest) = ready(&world, oidc).await;
    world.does(|does| does.redirect = "error=access_denied");
    failed(approve(&app, &digest).await);
    let mut events = app.events();
    world.does(|does| does.requests.get_mut("t1").unwrap()["state"] = "withdrawn".into());
    world.says("request.closed", "t1", 6);
    while !matches!(events.recv().await.unwrap(), Event::Closed { .. }) {}
    assert!(files(&world).is_empty());
    assert_eq!(
        app.retry_step_up("t1").await.unwrap_err().code,
        ProblemCode::NotFound
    );
}

#[tokio::test]
async fn a_scope_that_an_api_could_accept_is_never_asked_for() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        oidc(requirement);
        requirement.scope = Some("orders".to_owned());
    })
    .await;
    let Ballot::Locked { why, sentence } = card(&app, "t1").await.ballot else {
        panic!("it is locked")
    };
    assert_eq!(why, WhyLocked::NotSupported);
    assert!(sentence.contains("`orders`"), "{sentence}");
    let refused = app.vote("t1", Choice::Approve, None, None, digest).await;
    assert_eq!(refused.unwrap_err().code, ProblemCode::Forbidden);
    assert_eq!(world.seen(|seen| seen.browser_opened), 1);
}

#[tokio::test]
async fn an_account_whose_provider_cannot_is_told_so() {
    let world = world().await;
    world.does(|does| does.step_up = "none");
    let (app, _) = ready(&world, oidc).await;
    let Ballot::Locked { why, sentence } = card(&app, "t1").await.ballot else {
        panic!("it is locked")
    };
    assert_eq!(why, WhyLocked::NotSupported);
    assert!(sentence.contains("Test ID cannot do"), "{sentence}");
}

#[tokio::test]
async fn the_requester_confirms_their_own_operation() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        oidc(requirement);
        requirement.by = By::Requester;
        requirement.approvals = 1;
    })
    .await;
    assert_eq!(
        card(&app, "t1").await.by,
        countersign_api::ipc::By::Requester
    );
    assert!(voted(&approve(&app, &digest).await));
}

#[tokio::test]
async fn a_vote_that_a_crash_cut_off_is_sent_by_the_next_run() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    world.does(|does| does.lose_votes = u32::MAX);
    let voting = {
        let app = app.clone();
        tokio::spawn(async move { app.vote("t1", Choice::Approve, None, None, digest).await })
    };
    while votes(&world).is_empty() {
        tokio::task::yield_now().await;
    }
    voting.abort();
    drop(voting.await);
    drop(app);
    let signed = votes(&world)[0]["vote"].clone();
    world.does(|does| does.lose_votes = 0);
    let app = world.start();
    let mut state = app.state();
    state
        .wait_for(|state| state.listed && state.inbox.is_empty())
        .await
        .unwrap();
    assert!(voted(&card(&app, "t1").await.ballot));
    assert_eq!(votes(&world).last().unwrap()["vote"], signed);
    assert!(files(&world).is_empty());
}

#[tokio::test]
async fn newer_claims_are_sent_while_an_approval_waits_for_its_release() {
    let world = world().await;
    let (app, digest) = ready(&world, |requirement| {
        requirement.release_claims_secs = Some(120);
    })
    .await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    assert!(world.seen(|seen| seen.claims_tokens.is_empty()));
    world.server.clock.forward(90);
    world.says("request.updated", "t1", 6);
    while world.seen(|seen| seen.claims_tokens.is_empty()) {
        tokio::task::yield_now().await;
    }
    let token = world.seen(|seen| seen.claims_tokens[0].clone());
    assert_eq!(payload(&token)["iat"], world.server.clock.now().0);
}

#[tokio::test]
async fn a_renewal_brings_what_the_provider_says_now_where_it_says_so() {
    for refreshes in [true, false] {
        let world = world().await;
        let (app, _) = ready(&world, |_| ()).await;
        world.does(|does| {
            does.refreshes = refreshes;
            does.ended_tokens = vec!["token-0".to_owned()];
        });
        world.server.clock.forward(100);
        // Not in memory, so it is read: with an access token that has ended.
        world.put(world.request("t2", |_| ()));
        card(&app, "t2").await;
        let with = world.seen(|seen| seen.renewed_with.clone());
        let [with] = &with[..] else {
            panic!("one renewal")
        };
        let iat = with.as_ref().map(|token| payload(token)["iat"].clone());
        let now = json!(world.server.clock.now().0);
        assert_eq!(iat, refreshes.then_some(now));
    }
}
