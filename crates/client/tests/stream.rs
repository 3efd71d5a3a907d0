//! The stream against a server that can be told to misbehave: cut, close, fall silent, answer wrongly.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign_api::http::Endpoints;
use countersign_api::stream::SUBPROTOCOL;
use countersign_client::stream::{Cause, Change, Event, Stream};
use countersign_client::{ApproverApi, ServerHttp};
use countersign_evidence::{SecretKey, dpop};
use countersign_model::{Clock, ServerId, UnixSecs};
use serde_json::{Value, json};
use tokio::sync::mpsc;

struct Real;
impl Clock for Real {
    fn now(&self) -> UnixSecs {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        UnixSecs(i64::try_from(now).unwrap())
    }
}

/// One connection, as the test drives it.
struct Line {
    socket: WebSocket,
    headers: HeaderMap,
}

impl Line {
    async fn hello(&mut self, seq: u64) {
        self.say(json!({"v": 1, "seq": 0, "type": "hello", "data": {"seq": seq, "time": 0}}))
            .await;
    }

    async fn say(&mut self, frame: Value) {
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .unwrap();
    }

    async fn heard(&mut self) -> Value {
        match self.socket.recv().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => json!("ping"),
            other @ (Message::Pong(_) | Message::Binary(_) | Message::Close(_)) => {
                panic!("{other:?}")
            }
        }
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        self.socket.send(Message::Close(Some(frame))).await.unwrap();
    }
}

struct Place {
    lines: mpsc::Sender<Line>,
    refuse: Mutex<Vec<StatusCode>>,
}

async fn connect(
    State(place): State<Arc<Place>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(status) = place.refuse.lock().unwrap().pop() {
        return status.into_response();
    }
    let lines = place.lines.clone();
    upgrade
        .protocols([SUBPROTOCOL])
        .on_upgrade(move |socket| async move {
            assert!(lines.send(Line { socket, headers }).await.is_ok());
        })
}

struct World {
    url: String,
    session: SecretKey,
    api: Arc<ApproverApi>,
    lines: mpsc::Receiver<Line>,
    place: Arc<Place>,
}

async fn world() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}", listener.local_addr().unwrap());
    let (sender, lines) = mpsc::channel(4);
    let place = Arc::new(Place {
        lines: sender,
        refuse: Mutex::default(),
    });
    let app = Router::new()
        .route("/stream", get(connect))
        .with_state(Arc::clone(&place));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let http = ServerHttp::new(ServerId::parse(&id).unwrap(), Arc::new(Real)).unwrap();
    let of = |path: &str| format!("{id}{path}");
    let endpoints = Endpoints {
        nonce: of("/nonce"),
        token: of("/token"),
        requests: of("/requests"),
        history: of("/history"),
        bindings: of("/bindings"),
        claims: of("/claims"),
        absence: of("/absence"),
        colleagues: of("/colleagues"),
        stream: of("/stream").replace("http", "ws"),
    };
    let session = SecretKey::generate([7; 32]);
    let api = ApproverApi::new(http, endpoints, session.clone());
    api.set_access_token(Some("the-token".to_owned()));
    World {
        url: of("/stream"),
        session,
        api: Arc::new(api),
        lines,
        place,
    }
}

impl World {
    fn start(&self, resume: Option<u64>) -> (Stream, mpsc::Receiver<Event>) {
        Stream::start(Arc::clone(&self.api), resume, || 0.0)
    }
    async fn line(&mut self) -> Line {
        self.lines.recv().await.unwrap()
    }
}

async fn live(world: &mut World, resume: Option<u64>) -> (Stream, mpsc::Receiver<Event>, Line) {
    let (stream, mut events) = world.start(resume);
    let mut line = world.line().await;
    line.hello(9).await;
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Connected {
            seq: 9,
            resumed: resume
        }
    );
    (stream, events, line)
}

fn created(seq: u64) -> Value {
    json!({"v": 1, "seq": seq, "type": "request.created", "data": {"txn": format!("t{seq}")}})
}

fn is_created(event: &Event, wanted: u64) -> bool {
    matches!(event, Event::Request { seq, txn, change: Change::Created } if *seq == wanted && *txn == format!("t{wanted}"))
}

#[tokio::test]
async fn the_upgrade_carries_token_and_proof_in_headers_and_nothing_in_the_url() {
    let mut world = world().await;
    let (_stream, _events, line) = live(&mut world, None).await;
    assert_eq!(line.headers["authorization"], "DPoP the-token");
    assert_eq!(line.headers["sec-websocket-protocol"], SUBPROTOCOL);
    assert!(!line.headers.contains_key("origin"));
    let proof = line.headers["dpop"].to_str().unwrap();
    let proof = dpop::verify(proof, "GET", &world.url, Some("the-token"), Real.now()).unwrap();
    assert_eq!(proof.jkt.to_string(), world.session.public().thumbprint());
}

#[tokio::test]
async fn what_was_dealt_with_is_acknowledged_and_resumed_from_after_a_cut() {
    let mut world = world().await;
    let (stream, mut events, mut line) = live(&mut world, None).await;
    stream.resume(9);
    assert_eq!(
        line.heard().await,
        json!({"type": "resume", "data": {"seq": 9}})
    );
    line.say(created(10)).await;
    line.say(created(11)).await;
    assert!(is_created(&events.recv().await.unwrap(), 10));
    stream.ack(10);
    assert_eq!(
        line.heard().await,
        json!({"type": "ack", "data": {"seq": 10}})
    );
    assert!(is_created(&events.recv().await.unwrap(), 11));
    // 11 was not dealt with when the connection went.
    drop(line);
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Lost(_)
        }
    ));
    let mut line = world.line().await;
    line.hello(12).await;
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Connected {
            seq: 12,
            resumed: Some(10)
        }
    );
    assert_eq!(
        line.heard().await,
        json!({"type": "resume", "data": {"seq": 10}})
    );
    line.say(created(11)).await;
    assert!(is_created(&events.recv().await.unwrap(), 11));
}

#[tokio::test]
async fn a_new_token_goes_to_a_living_stream_with_its_own_proof() {
    let mut world = world().await;
    let (stream, _events, mut line) = live(&mut world, Some(9)).await;
    assert_eq!(line.heard().await["type"], "resume");
    world.api.set_access_token(Some("newer".to_owned()));
    stream.renewed();
    let frame = line.heard().await;
    assert_eq!(
        (&frame["type"], &frame["data"]["access_token"]),
        (&json!("auth"), &json!("newer"))
    );
    let proof = frame["data"]["dpop"].as_str().unwrap();
    assert!(dpop::verify(proof, "GET", &world.url, Some("newer"), Real.now()).is_ok());
}

#[tokio::test]
async fn close_codes_say_what_to_do_and_pointless_tries_are_not_made() {
    for (code, cause) in [
        (3000, Cause::Unauthorized),
        (4001, Cause::Superseded),
        (4002, Cause::Revoked),
    ] {
        let mut world = world().await;
        let (stream, mut events, mut line) = live(&mut world, Some(1)).await;
        line.close(code).await;
        let Event::Disconnected { cause: found } = events.recv().await.unwrap() else {
            panic!()
        };
        assert_eq!(found, cause);
        assert_eq!(cause.needs_caller(), code != 4001);
        // A wake-up brings it back at once, whatever it waits for.
        stream.wake();
        world.line().await.hello(3).await;
        assert!(matches!(
            events.recv().await.unwrap(),
            Event::Connected { seq: 3, .. }
        ));
    }
}

#[tokio::test]
async fn refusals_of_the_upgrade_are_told_apart() {
    let mut world = world().await;
    *world.place.refuse.lock().unwrap() = vec![StatusCode::UNAUTHORIZED, StatusCode::BAD_GATEWAY];
    let (stream, mut events) = world.start(None);
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Lost(_)
        }
    ));
    stream.wake();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Unauthorized
        }
    );
    stream.wake();
    world.line().await.hello(1).await;
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Connected { .. }
    ));
}

#[tokio::test]
async fn unknown_types_pass_and_nonsense_ends_the_connection() {
    let mut world = world().await;
    let (_stream, mut events, mut line) = live(&mut world, Some(9)).await;
    line.say(json!({"v": 1, "seq": 0, "type": "ping", "data": {}}))
        .await;
    line.say(json!({"v": 1, "seq": 10, "type": "log.checkpoint", "data": {"size": 3}}))
        .await;
    assert_eq!(events.recv().await.unwrap(), Event::Unknown { seq: 10 });
    line.say(json!({"v": 1, "seq": 11, "type": "request.closed", "data": {"txn": "t", "state": "denied", "by": "Jonas"}})).await;
    let Event::Request {
        change: Change::Closed { by, .. },
        ..
    } = events.recv().await.unwrap()
    else {
        panic!()
    };
    assert_eq!(by.as_deref(), Some("Jonas"));
    line.say(json!({"v": 1, "seq": 0, "type": "reset", "data": {"seq": 40}}))
        .await;
    assert_eq!(events.recv().await.unwrap(), Event::Reset { seq: 40 });
    line.say(json!("nonsense")).await;
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Lost(_)
        }
    ));
}

#[tokio::test]
async fn a_frame_beyond_the_bound_ends_the_connection() {
    let mut world = world().await;
    let (_stream, mut events, mut line) = live(&mut world, Some(9)).await;
    let long = json!({"v": 1, "seq": 1, "type": "x".repeat(70_000)}).to_string();
    // The other side may close while it is still being sent.
    let _ = line.socket.send(Message::text(long)).await;
    assert!(matches!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Lost(_)
        }
    ));
}

#[tokio::test]
async fn after_a_wake_up_the_server_is_asked_for_a_sign_of_life() {
    let mut world = world().await;
    let (stream, _events, mut line) = live(&mut world, Some(9)).await;
    assert_eq!(line.heard().await["type"], "resume");
    stream.wake();
    assert_eq!(line.heard().await, json!("ping"));
}

#[tokio::test]
async fn a_silent_connection_is_taken_for_dead() {
    let mut world = world().await;
    let (_stream, mut events, _line) = live(&mut world, Some(9)).await;
    // From here on nothing is on its way, so the clock may run ahead to the next thing that is waited for.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert_eq!(
        events.recv().await.unwrap(),
        Event::Disconnected {
            cause: Cause::Lost("no sign of life".to_owned())
        }
    );
    assert!(before.elapsed() >= Duration::from_secs(40));
}

#[tokio::test]
async fn dropping_the_stream_ends_it() {
    let mut world = world().await;
    let (stream, mut events, mut line) = live(&mut world, Some(9)).await;
    assert_eq!(line.heard().await["type"], "resume");
    drop(stream);
    assert!(events.recv().await.is_none());
    assert!(
        line.socket
            .recv()
            .await
            .is_none_or(|message| message.is_err())
    );
}

#[tokio::test]
async fn another_way_to_the_server_is_taken_at_once() {
    let mut world = world().await;
    let (stream, mut events, line) = live(&mut world, Some(4)).await;
    stream.anew();
    let lost = events.recv().await.unwrap();
    assert!(matches!(
        lost,
        Event::Disconnected {
            cause: Cause::Lost(_)
        }
    ));
    let mut again = world.line().await;
    drop(line);
    again.hello(9).await;
    let live = Event::Connected {
        seq: 9,
        resumed: Some(4),
    };
    assert_eq!(events.recv().await.unwrap(), live);
}

#[tokio::test]
async fn a_wake_up_ends_a_try_that_hangs_and_makes_a_new_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}", listener.local_addr().unwrap());
    let http = ServerHttp::new(ServerId::parse(&id).unwrap(), Arc::new(Real)).unwrap();
    let endpoint = || format!("{id}/x");
    let endpoints = Endpoints {
        nonce: endpoint(),
        token: endpoint(),
        requests: endpoint(),
        history: endpoint(),
        bindings: endpoint(),
        claims: endpoint(),
        absence: endpoint(),
        colleagues: endpoint(),
        stream: format!("{id}/stream").replace("http", "ws"),
    };
    let api = ApproverApi::new(http, endpoints, SecretKey::generate([7; 32]));
    api.set_access_token(Some("the-token".to_owned()));
    let (stream, _events) = Stream::start(Arc::new(api), None, || 1.0);
    // Accepted and never answered, as by a network that is gone.
    let _hangs = listener.accept().await.unwrap();
    stream.wake();
    let _second = listener.accept().await.unwrap();
}
