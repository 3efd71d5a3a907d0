//! Signing in, signing out, and what a crash or a lost answer leaves.

use super::*;

#[tokio::test]
async fn signing_in_binds_keys_shows_the_person_and_lasts_over_a_restart() {
    let world = world().await;
    let app = world.signed_in().await;
    let state = app.state().borrow().clone();
    let account = state.account.clone().unwrap();
    assert_eq!(
        (text(&account.name).as_str(), account.provider_name.as_str()),
        ("Elin Holm", "Test ID")
    );
    assert_eq!(account.groups.iter().map(text).collect::<Vec<_>>(), ["dba"]);
    assert_eq!(state.sign_in, SignIn::Idle);
    assert_eq!(world.store.names(), ["account"]);
    assert_eq!(world.seen(|seen| seen.exchanges.len()), 1);
    drop(app);
    let app = world.start();
    app.state().wait_for(|state| state.listed).await.unwrap();
    assert_eq!(
        app.state().borrow().account.as_ref().unwrap().binding_id,
        account.binding_id
    );
    assert_eq!(
        world.seen(|seen| (seen.browser_opened, seen.renewals)),
        (1, 1)
    );
    // No file of secrets, and what there is belongs to its owner alone.
    let kept = std::fs::read_to_string(world.folder.path().join("data/account.json")).unwrap();
    assert!(!kept.contains("\"d\"") && !kept.contains("id_token"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &FsPath| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&world.folder.path().join("data")), 0o700);
        assert_eq!(mode(&world.folder.path().join("data/account.json")), 0o600);
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_said_in_plain_words() {
    let world = world().await;
    let app = world.start();
    let none = "That is not an address. Write it like https://approvals.example.com.";
    let plain =
        "The connection to a server has to be encrypted. Write https:// before its address.";
    let other =
        "There is a server at that address, but it is not a Countersign server. Check the address.";
    let gate =
        axum::Router::new().fallback(async || (StatusCode::UNAUTHORIZED, "Send an access token."));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, gate).await.unwrap() });
    for (address, sentence) in [
        ("not an address", none),
        ("", none),
        ("http://evil.example", plain),
        (&format!("http://127.0.0.1:{port}"), other),
    ] {
        let problem = app.look_up_server(address).await.unwrap_err();
        assert_eq!(problem.sentence, sentence, "{address}");
    }
    let encrypted = format!("https://127.0.0.1:{port}");
    let problem = app.look_up_server(&encrypted).await.unwrap_err();
    assert!(
        problem
            .sentence
            .contains("(what answers there does not encrypt)"),
        "{}",
        problem.sentence
    );
}

#[tokio::test]
async fn a_missing_keyring_is_said_before_the_browser_opens() {
    let world = world().await;
    *world.store.broken.lock().unwrap() = Some(KeyStoreError::Missing(
        "There is no keyring here.".to_owned(),
    ));
    let app = world.start();
    let problem = world.sign_in(&app).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.sentence.as_str()),
        (ProblemCode::Keyring, "There is no keyring here.")
    );
    assert_eq!(
        world.seen(|seen| (seen.browser_opened, seen.exchanges.len())),
        (0, 0)
    );
    assert_eq!(app.state().borrow().sign_in, SignIn::Failed { problem });
}

#[tokio::test]
async fn a_lost_answer_of_the_exchange_costs_no_new_keys_and_no_sign_in() {
    let world = world().await;
    world.does(|does| does.lose_exchanges = 1);
    let _app = world.signed_in().await;
    world.seen(|seen| {
        assert_eq!(seen.exchanges.len(), 2);
        assert_eq!(
            seen.exchanges[0], seen.exchanges[1],
            "the same statement and the same session key"
        );
        assert_eq!(seen.browser_opened, 1);
    });
}

#[tokio::test]
async fn a_crash_between_exchange_and_answer_is_finished_at_the_next_start() {
    let world = world().await;
    world.does(|does| does.lose_exchanges = u32::MAX);
    let app = world.start();
    {
        let signing_in = world.sign_in(&app);
        tokio::pin!(signing_in);
        // Killed once the first exchange was made.
        loop {
            tokio::select! {
                _ = &mut signing_in => panic!("it cannot end"),
                () = tokio::task::yield_now() => if world.seen(|seen| !seen.exchanges.is_empty()) { break },
            }
        }
    }
    drop(app);
    assert_eq!(world.store.names(), ["pending"]);
    world.does(|does| does.lose_exchanges = 0);
    let app = world.start();
    app.state().wait_for(|state| state.listed).await.unwrap();
    assert_eq!(world.store.names(), ["account"]);
    world.seen(|seen| {
        assert!(seen.exchanges.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(seen.browser_opened, 1);
    });
}

#[tokio::test]
async fn an_unfinished_sign_in_that_is_too_old_is_dropped() {
    let world = world().await;
    let app = world.signed_in().await;
    drop(app);
    let data = world.folder.path().join("data");
    std::fs::rename(data.join("account.json"), data.join("pending.json")).unwrap();
    let secrets = world.store.kept.lock().unwrap().remove("account").unwrap();
    world
        .store
        .kept
        .lock()
        .unwrap()
        .insert("pending".to_owned(), secrets);
    world.server.clock.forward(301);
    let app = world.start();
    // The browser is needed again; the old keys are gone by then.
    world.sign_in(&app).await.unwrap();
    assert_eq!(world.store.names(), ["account"]);
    assert_eq!(world.seen(|seen| seen.browser_opened), 2);
}

#[tokio::test]
async fn without_a_browser_the_address_is_shown_and_giving_up_leaves_nothing() {
    let world = world().await;
    let app = world.start_with(Arc::new(NoBrowser));
    let (handle, issuer, id) = (
        app.clone(),
        format!("{}/op", world.server.id),
        world.server.id.clone(),
    );
    let signing_in = tokio::spawn(async move { handle.sign_in(&id, &issuer).await });
    let mut states = app.state();
    let state = states
        .wait_for(|state| matches!(state.sign_in, SignIn::WaitingForBrowser { .. }))
        .await
        .unwrap()
        .clone();
    let SignIn::WaitingForBrowser { url, provider_name } = &state.sign_in else {
        panic!()
    };
    assert!(
        url.starts_with(&format!("{}/op/auth?", world.server.id)) && provider_name == "Test ID"
    );
    assert!(state.troubles[0].sentence.contains("there is no browser"));
    let second = world.sign_in(&app).await.unwrap_err();
    assert!(second.sentence.contains("under way"));
    app.cancel_sign_in();
    assert!(signing_in.await.unwrap().is_err());
    assert_eq!(app.state().borrow().sign_in, SignIn::Idle);
    assert!(world.store.names().is_empty());
}

#[tokio::test]
async fn signing_out_revokes_the_binding_and_deletes_the_keys() {
    let world = world().await;
    let app = world.signed_in().await;
    let binding = app
        .state()
        .borrow()
        .account
        .as_ref()
        .unwrap()
        .binding_id
        .clone();
    app.sign_out().await.unwrap();
    assert_eq!(world.seen(|seen| seen.revoked.clone()), [binding]);
    assert!(world.store.names().is_empty());
    let state = app.state().borrow().clone();
    assert!(state.account.is_none() && state.connection == Connection::SignedOut);
    assert_eq!(state.last.as_ref().unwrap().server, world.server.id);
}

#[tokio::test]
async fn only_the_servers_word_ends_a_session() {
    let world = world().await;
    let app = world.signed_in().await;
    drop(app);
    world.does(|does| does.renewal = Some(json!({"error": "provider_unreachable"})));
    world.server.clock.forward(13 * 3600);
    let app = world.start();
    app.state()
        .wait_for(|state| !state.troubles.is_empty())
        .await
        .unwrap();
    assert_eq!(
        world.store.names(),
        ["account"],
        "the clock alone deletes nothing"
    );
    drop(app);
    world.does(|does| {
        does.renewal =
            Some(json!({"error": "invalid_grant", "error_description": "The session has ended."}))
    });
    let app = world.start();
    let mut states = app.state();
    let state = states
        .wait_for(|state| {
            state
                .troubles
                .iter()
                .any(|t| t.code == ProblemCode::SignedOut)
        })
        .await
        .unwrap()
        .clone();
    assert!(state.account.is_none());
    // The state comes first: a locked keyring must not hold it up.
    while !world.store.names().is_empty() {
        tokio::task::yield_now().await;
    }
}

// --- the inbox -------------------------------------------------------------------------------------
