//! What arrives is verified before anything of it is shown.

use super::*;

#[tokio::test]
async fn a_request_arrives_is_rendered_from_its_bytes_and_leaves_again() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    world.put(world.request("t1", |_| ()));
    world.says("request.created", "t1", 6);
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Arrived {
            txn: "t1".to_owned()
        }
    );
    let state = app.state().borrow().clone();
    let row = &state.inbox[0];
    assert_eq!(
        (text(&row.requester).as_str(), text(&row.summary).as_str()),
        ("Mara Lind", "Delete customer 42")
    );
    let card = card(&app, "t1").await;
    assert_eq!(
        card.ballot,
        Ballot::Open {
            type_words: false,
            hold: false,
            reason: countersign_api::ipc::ReasonRule::Optional,
            step_up: None,
        }
    );
    assert_eq!(text(&card.who_may_vote), "group dba");
    assert!(card.words.is_some());
    let groups = card
        .who
        .claims
        .iter()
        .find(|field| field.label == "groups")
        .unwrap();
    assert_eq!(text(&groups.lines[0]), "orders-dev");
    world.does(|does| does.requests.get_mut("t1").unwrap()["state"] = "withdrawn".into());
    world.says("request.closed", "t1", 7);
    let closed = events.recv().await.unwrap();
    assert!(matches!(
        closed,
        Event::Closed {
            outcome: countersign_api::ipc::Outcome::Withdrawn,
            ..
        }
    ));
    assert!(app.state().borrow().inbox.is_empty());
    assert!(matches!(
        app.card("t1").await.unwrap().ballot,
        Ballot::Locked {
            why: WhyLocked::Closed,
            ..
        }
    ));
}

#[tokio::test]
async fn one_altered_byte_and_nothing_of_the_request_is_shown() {
    for member in ["operation_b64", "ask_jws", "request_jws"] {
        let world = world().await;
        let mut view = world.request("t1", |_| ());
        let good = view[member].as_str().unwrap();
        let altered = match member {
            "operation_b64" => {
                let bytes = String::from_utf8(b64u_decode(good).unwrap()).unwrap();
                b64u(bytes.replace("customer 42", "customer 43").as_bytes())
            }
            _ => {
                let (rest, signature) = good.rsplit_once('.').unwrap();
                let mut signature = b64u_decode(signature).unwrap();
                signature[0] ^= 1;
                format!("{rest}.{}", b64u(&signature))
            }
        };
        view[member] = altered.into();
        world.put(view);
        let app = world.signed_in().await;
        let state = app.state().borrow().clone();
        assert_eq!(
            text(&state.inbox[0].summary),
            "Not genuine: what the server sent does not verify",
            "{member}"
        );
        assert!(
            !format!("{:?}", state.inbox).contains("customer"),
            "{member}"
        );
        let problem = app.card("t1").await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::NotGenuine, "{member}");
        let vote = app
            .vote("t1", Choice::Approve, None, None, String::new())
            .await
            .unwrap_err();
        assert_eq!(vote.code, ProblemCode::NotGenuine);
        assert!(world.seen(|seen| seen.votes.is_empty()));
    }
}

#[tokio::test]
async fn a_vote_beside_a_request_must_be_about_it() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    world.put(world.request("t1", |_| ()));
    world.says("request.created", "t1", 6);
    events.recv().await.unwrap();
    let digest = card(&app, "t1").await.display_digest;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    let votes = world.server.does.lock().unwrap().requests["t1"]["votes"].clone();
    let mut other = world.request("t2", |_| ());
    other["votes"] = votes.clone();
    world.put(other);
    assert_eq!(
        app.card("t2").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
    let mut renamed = world.request("t3", |_| ());
    renamed["votes"] = votes;
    renamed["votes"][0]["sub"] = "jonas".into();
    world.put(renamed);
    assert_eq!(
        app.card("t3").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
}

#[tokio::test]
async fn gates_are_pinned_when_first_seen_and_never_change_their_key() {
    let world = world().await;
    let app = world.signed_in().await;
    let (second, other) = (SecretKey::generate([4; 32]), SecretKey::generate([5; 32]));
    // A gate that was registered after the sign-in.
    world.does(|does| {
        does.published_peps
            .push(("billing-gate".to_owned(), second.clone()))
    });
    world.put(world.request_by("t1", "billing-gate", &second, |_| ()));
    assert!(app.card("t1").await.is_ok());
    // The server says that a known gate has another key now.
    world.does(|does| does.published_peps = vec![("orders-gate".to_owned(), other.clone())]);
    world.put(world.request_by("t2", "orders-gate", &other, |_| ()));
    assert_eq!(
        app.card("t2").await.unwrap_err().code,
        ProblemCode::NotGenuine
    );
}

#[tokio::test]
async fn what_was_pinned_is_written_once() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    let second = SecretKey::generate([4; 32]);
    let published = ("billing-gate".to_owned(), second.clone());
    world.does(|does| does.published_peps.push(published));
    let file = world.folder.path().join("data/account.json");
    for (seq, txn) in (6..).zip(["t1", "t2", "t3", "t4"]) {
        // One after the other: that the next one arrived says that all was done for the last.
        if txn == "t3" {
            let kept = std::fs::read_to_string(&file).unwrap();
            assert!(kept.contains("billing-gate"));
            std::fs::remove_file(&file).unwrap();
        }
        world.put(world.request_by(txn, "billing-gate", &second, |_| ()));
        world.says("request.created", txn, seq);
        let arrived = Event::Arrived {
            txn: txn.to_owned(),
        };
        assert_eq!(events.recv().await.unwrap(), arrived);
    }
    assert!(!file.exists(), "nothing new was pinned");
}

#[tokio::test]
async fn a_request_whose_time_ran_out_cannot_be_voted_on() {
    let world = world().await;
    world.put(world.request("t1", |_| ()));
    let app = world.signed_in().await;
    let digest = card(&app, "t1").await.display_digest;
    world.server.clock.forward(901);
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.code, problem.sentence.as_str()),
        (ProblemCode::Closed, "Its time ran out.")
    );
    assert!(world.seen(|seen| seen.votes.is_empty()));
}

// --- voting ----------------------------------------------------------------------------------------
