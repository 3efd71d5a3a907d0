//! Being away: said to the server, shown with the account, and told on cards without a character that deceives.

use axum::routing::get;
use countersign_api::ipc::{Away, AwayLine, Role};

use super::*;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/absence", get(read).put(set).delete(end))
        .route("/colleagues", get(colleagues))
}

async fn read(State(server): State<App>, headers: HeaderMap) -> Json<Value> {
    authorized(&server, &headers, "GET", "/absence");
    Json(server.does.lock().unwrap().absence.clone())
}

async fn set(
    State(server): State<App>,
    headers: HeaderMap,
    Json(mut body): Json<Value>,
) -> Response {
    authorized(&server, &headers, "PUT", "/absence");
    if body["stand_in"]["sub"] == "otto" {
        let problem = json!({
            "type": "about:blank", "title": "Refused", "status": 403, "code": "stand_in_not_eligible",
            "detail": "Name somebody else.",
        });
        return (StatusCode::FORBIDDEN, Json(problem)).into_response();
    }
    if body["stand_in"].is_object() {
        body["stand_in"]["name"] = "Jo\u{202e}nas".into();
        body["stand_in"]["eligible"] = true.into();
    }
    let answer = json!({ "absence": body });
    server.does.lock().unwrap().absence = answer.clone();
    Json(answer).into_response()
}

async fn end(State(server): State<App>, headers: HeaderMap) -> StatusCode {
    authorized(&server, &headers, "DELETE", "/absence");
    server.does.lock().unwrap().absence = json!({});
    StatusCode::NO_CONTENT
}

async fn colleagues(State(server): State<App>, headers: HeaderMap) -> Json<Value> {
    authorized(&server, &headers, "GET", "/colleagues");
    let iss = format!("{}/op", server.id);
    Json(json!({
        "resources": ["orders.customer 42", "postgres.database ledger"],
        "colleagues": [{ "iss": iss, "sub": "jonas", "name": "Jo\u{202e}nas", "resources": ["orders.customer 42"] }],
    }))
}

/// The account's absence once it is this.
async fn shown(app: &Approver, away: Option<Away>) {
    let is_it = |state: &Arc<countersign_approver::State>| {
        state.account.as_ref().is_some_and(|it| it.away == away)
            && state.accounts.iter().all(|it| it.away == away)
    };
    app.state().wait_for(is_it).await.unwrap();
}

#[tokio::test]
async fn an_absence_is_said_shown_with_the_account_and_taken_back() {
    let world = world().await;
    let (from, until) = (100, 2_000_000_000);
    world.does(|does| does.absence = json!({ "absence": { "from": 50, "until": until } }));
    let app = world.signed_in().await;
    // What another device said before is there from the beginning.
    shown(&app, Some(Away { from: 50, until })).await;

    let jonas = format!("{}/op|jonas", world.server.id);
    let page = app.set_absence(from, until, Some(&jonas)).await.unwrap();
    shown(&app, Some(Away { from, until })).await;
    let absence = page.absence.unwrap();
    assert_eq!(
        (absence.from, absence.until, absence.stand_in_eligible),
        (from, until, true)
    );
    let named = absence.stand_in.unwrap();
    assert_eq!((&named.id, &named), (&jonas, &page.colleagues[0]));
    assert_eq!(text(&named.resources[0]), "orders.customer 42");
    let chips = named
        .name
        .spans
        .iter()
        .filter(|span| span.role == Role::Chip);
    assert_eq!(
        (text(&named.name).as_str(), chips.count()),
        ("JoU+202E RLOnas", 1)
    );
    assert_eq!(page.resources.len(), 2);

    for (id, code) in [
        (
            format!("{}/op|otto", world.server.id),
            ProblemCode::Forbidden,
        ),
        ("nobody".to_owned(), ProblemCode::NotFound),
    ] {
        let refused = app.set_absence(from, until, Some(&id)).await.unwrap_err();
        assert_eq!(refused.code, code, "{id}");
    }
    shown(&app, Some(Away { from, until })).await;

    let page = app.end_absence().await.unwrap();
    assert_eq!(page.absence, None);
    shown(&app, None).await;

    // Another device says it, or the time ends it: the stream hints, the server tells.
    world.does(|does| does.absence = json!({ "absence": { "from": 60, "until": until } }));
    world.says("absence.changed", "", 6);
    shown(&app, Some(Away { from: 60, until })).await;
}

#[tokio::test]
async fn a_card_tells_who_is_away_until_they_are_back() {
    let world = world().await;
    let now = world.server.clock.now().0;
    let mut view = world.request("t1", |_| ());
    view["away"] = json!([
        { "name": "El\u{202e}in", "until": now + 100, "stand_in": "Mara", "names_you": true },
        { "name": "Ines", "until": now + 50 },
    ]);
    view["others_can"] = 3.into();
    world.put(view.clone());
    let app = world.signed_in().await;
    let told = async || {
        let card = card(&app, "t1").await;
        let line = |away: &AwayLine| {
            let stand_in = away.stand_in.as_ref().map(text);
            (text(&away.name), away.until - now, stand_in, away.names_you)
        };
        let away: Vec<_> = card.away.iter().map(line).collect();
        (away, card.others_can)
    };
    let elin = (
        "ElU+202E RLOin".to_owned(),
        100,
        Some("Mara".to_owned()),
        true,
    );
    let ines = ("Ines".to_owned(), 50, None, false);
    assert_eq!(told().await, (vec![elin.clone(), ines], Some(3)));

    // Back by this clock, whatever the server could say since.
    world.server.clock.forward(50);
    assert_eq!(told().await, (vec![elin], Some(3)));
    world.server.clock.forward(50);
    assert_eq!(told().await, (vec![], None));

    // That somebody is away now is a change of the card, and nothing of what is signed.
    let digest = card(&app, "t1").await.display_digest;
    let mut events = app.events();
    view["away"] = json!([{ "name": "Ines", "until": now + 500 }]);
    world.put(view);
    world.says("request.updated", "t1", 6);
    let changed = Event::Changed {
        txn: "t1".to_owned(),
    };
    assert_eq!(events.recv().await.unwrap(), changed);
    assert_eq!(told().await.0.len(), 1);
    assert_eq!(card(&app, "t1").await.display_digest, digest);
}
