//! Clocks that are off, and a computer that slept: nothing is lost, and nothing is voted from what was known before.

use super::*;

#[tokio::test]
async fn a_clock_that_is_off_at_a_refresh_costs_no_refresh_token() {
    for ahead_secs in [120, -120] {
        let world = world().await;
        let (app, digest) = ready(&world, |_| ()).await;
        // The claims are too old for a vote, and everybody else's clock is two minutes away from ours.
        world.server.clock.forward(400);
        world.does(|does| does.ahead_secs = ahead_secs);
        let problem = app
            .vote("t1", Choice::Approve, None, None, digest.clone())
            .await
            .unwrap_err();
        assert!(problem.sentence.contains("clock"), "{}", problem.sentence);
        // Reading the card makes claims newer ahead of a vote: the provider gives a new refresh token with it, and takes
        // the old one no more.
        app.card("t1").await.unwrap();
        let kept = || {
            let kept = world.store.kept.lock().unwrap()["account"].clone();
            String::from_utf8(kept).unwrap()
        };
        while !kept().contains("\"r1\"") {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.seen(|seen| seen.votes.len()), 0);
        // The clock is set right: the vote goes by what was kept, without the browser.
        world.does(|does| does.ahead_secs = 0);
        app.vote("t1", Choice::Approve, None, None, digest)
            .await
            .unwrap();
        assert_eq!(
            world.seen(|seen| (seen.votes.len(), seen.browser_opened)),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn what_ended_while_the_computer_slept_is_not_voted_on() {
    let world = world().await;
    let (app, digest) = ready(&world, |_| ()).await;
    // Eight hours later nothing was heard: not that the request ended, not that the access token did.
    world.server.clock.forward(8 * 3600);
    world.does(|does| {
        does.requests.get_mut("t1").unwrap()["state"] = "expired".into();
        does.ended_tokens = vec!["token-0".to_owned()];
    });
    let problem = app
        .vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap_err();
    assert_eq!(problem.code, ProblemCode::Closed, "{}", problem.sentence);
    assert_eq!(world.seen(|seen| seen.votes.len()), 0);
    assert_eq!(
        world.seen(|seen| (seen.renewals, seen.browser_opened)),
        (1, 1),
        "the access token was renewed in passing"
    );
}

#[tokio::test]
async fn a_session_that_was_renewed_in_time_is_not_renewed_once_more() {
    let world = world().await;
    let app = world.signed_in().await;
    let mut events = app.events();
    let ends = world.server.clock.now().0 + 600;
    world.server.clock.forward(480);
    // The server says it twice of the same token: the second time it is of the one before.
    for seq in [0, 0] {
        let frame = json!({"v": 1, "seq": seq, "type": "session.expiring", "data": {"at": ends}});
        world.server.stream.send(frame).unwrap();
    }
    world.put(world.request("t1", |_| ()));
    world.says("request.created", "t1", 6);
    events.recv().await.unwrap();
    assert_eq!(world.seen(|seen| seen.renewals), 1);
}

#[tokio::test]
async fn while_the_server_is_away_it_is_said_and_nothing_can_be_voted_on() {
    let world = world().await;
    let (app, _) = ready(&world, |_| ()).await;
    world.does(|does| does.stream_down = true);
    world.server.stream.send(Value::Null).unwrap();
    let mut state = app.state();
    let away = state.wait_for(|state| state.connection == Connection::Reconnecting);
    let troubles = away.await.unwrap().troubles.clone();
    assert_eq!(troubles[0].code, ProblemCode::ServerUnreachable);
    let ballot = card(&app, "t1").await.ballot;
    assert!(
        matches!(
            ballot,
            Ballot::Locked {
                why: WhyLocked::Offline,
                ..
            }
        ),
        "{ballot:?}"
    );
    world.does(|does| does.stream_down = false);
    app.wake();
    let back = state.wait_for(|state| state.connection == Connection::Connected);
    assert_eq!(back.await.unwrap().troubles, []);
    let ballot = card(&app, "t1").await.ballot;
    assert!(matches!(ballot, Ballot::Open { .. }), "{ballot:?}");
}

#[tokio::test]
async fn a_token_that_ended_while_nothing_was_heard_is_renewed_without_the_person() {
    let world = world().await;
    let (app, _) = ready(&world, |_| ()).await;
    let mut state = app.state();
    world.does(|does| {
        does.ended_tokens = vec!["token-0".to_owned()];
        does.stream_down = true;
    });
    world.server.stream.send(Value::Null).unwrap();
    state
        .wait_for(|state| state.connection == Connection::Reconnecting)
        .await
        .unwrap();
    world.does(|does| does.stream_down = false);
    app.wake();
    state
        .wait_for(|state| state.connection == Connection::Connected)
        .await
        .unwrap();
    assert_eq!(
        world.seen(|seen| (seen.renewals, seen.browser_opened)),
        (1, 1)
    );
}
