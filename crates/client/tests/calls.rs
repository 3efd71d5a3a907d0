//! Calls against a server whose answers the test chooses: refusals typed, clocks compared, sizes bounded.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign_client::{ApiError, PepApi, ServerHttp};
use countersign_evidence::{PepToken, SecretKey};
use countersign_model::{Clock, PepId, ServerId, Txn, UnixSecs};
use serde_json::{Value, json};

struct Off(i64);
impl Clock for Off {
    fn now(&self) -> UnixSecs {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        UnixSecs(i64::try_from(now).unwrap() + self.0)
    }
}

/// Ahead by so much as it says now.
struct Moving(Arc<AtomicI64>);
impl Clock for Moving {
    fn now(&self) -> UnixSecs {
        Off(self.0.load(Ordering::SeqCst)).now()
    }
}

type Answer = Arc<dyn Fn(&str) -> Response + Send + Sync>;

struct Server {
    id: ServerId,
    seen: Arc<Mutex<Vec<(String, axum::http::HeaderMap)>>>,
}

type Shared = (Answer, Arc<Mutex<Vec<(String, axum::http::HeaderMap)>>>);

async fn answer(State((answer, seen)): State<Shared>, request: Request) -> Response {
    let uri = request.uri().to_string();
    seen.lock().unwrap().push((
        format!("{} {uri}", request.method()),
        request.headers().clone(),
    ));
    answer(&uri)
}

async fn server(make: impl FnOnce(&str) -> Answer) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::default();
    let app = Router::new()
        .fallback(answer)
        .with_state((make(&id), Arc::clone(&seen)));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Server {
        id: ServerId::parse(&id).unwrap(),
        seen,
    }
}

impl Server {
    fn http(&self, off: i64) -> ServerHttp {
        ServerHttp::new(self.id.clone(), Arc::new(Off(off))).unwrap()
    }
    fn pep(&self) -> (PepApi, SecretKey) {
        let key = SecretKey::generate([3; 32]);
        let pep = PepId::parse("orders-gate").unwrap();
        (PepApi::new(self.http(0), pep, Arc::new(key.clone())), key)
    }
}

fn known(id: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Answer {
    let id = id.to_owned();
    Arc::new(move |_| {
        let at = |path: &str| format!("{id}{path}");
        let mut document = json!({
            "server": id, "providers": [], "version": 1, "jwks_uri": at("/keys"),
            "endpoints": {
                "nonce": at("/n"), "token": at("/t"), "requests": at("/r"), "history": at("/h"), "bindings": at("/b"),
                "stream": at("/s").replace("http", "ws"),
            },
        });
        change(&mut document);
        axum::Json(document).into_response()
    })
}

#[tokio::test]
async fn a_server_describes_itself_and_only_itself() {
    let good = server(|id| known(id, |_| ())).await;
    assert_eq!(
        good.http(0).well_known().await.unwrap().server,
        good.id.as_str()
    );
    let other = server(|id| {
        known(id, |document| {
            document["server"] = "https://other.example".into()
        })
    })
    .await;
    let error = other.http(0).well_known().await.unwrap_err();
    assert_eq!(error.code(), "bad_answer");
    assert!(
        error
            .to_string()
            .contains("it calls itself `https://other.example`")
    );
    let elsewhere = [
        "https://evil.example/t",
        "http://127.0.0.1:1/t",
        "javascript:x",
        "wss://evil.example",
    ]
    .map(|place| ("token", place));
    // Also what only some servers offer: tokens go there all the same.
    let of_some = ["claims", "absence", "colleagues"].map(|name| (name, "https://evil.example/x"));
    for (name, place) in elsewhere.into_iter().chain(of_some) {
        let stolen = server(|id| {
            known(id, move |document| {
                document["endpoints"][name] = place.into()
            })
        })
        .await;
        assert_eq!(
            stolen.http(0).well_known().await.unwrap_err().code(),
            "bad_answer",
            "{name} at {place}"
        );
    }
}

#[tokio::test]
async fn a_token_endpoint_that_cannot_now_refuses_nothing() {
    let server = server(|_| {
        Arc::new(|uri: &str| {
            let status: u16 = uri.rsplit('/').next().unwrap().parse().unwrap();
            let problem = json!({"error": "bad_gateway", "error_description": "Not now."});
            (StatusCode::from_u16(status).unwrap(), axum::Json(problem)).into_response()
        })
    })
    .await;
    let (pep, _) = server.pep();
    for (status, again) in [
        (400, false),
        (429, true),
        (500, true),
        (502, true),
        (503, true),
    ] {
        let txn = Txn::parse(&status.to_string()).unwrap();
        let error = pep.task(&txn, 0).await.unwrap_err();
        let refused = matches!(error, ApiError::TokenRefused { .. });
        assert_eq!((refused, error.is_transient()), (!again, again), "{status}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_before_any_refusal() {
    let server = server(|_| Arc::new(|_| StatusCode::UNAUTHORIZED.into_response())).await;
    let behind = server.http(-90).well_known().await.unwrap_err();
    assert!(
        matches!(
            behind,
            ApiError::ClockOff {
                ahead_secs: -95..=-85
            }
        ),
        "{behind:?}"
    );
    assert!(
        behind.to_string().contains("seconds behind the server's"),
        "{behind}"
    );
    let ahead = server.http(7200).well_known().await.unwrap_err();
    assert!(
        ahead.to_string().contains("minutes ahead of the server's"),
        "{ahead}"
    );
    assert!(matches!(
        server.http(30).well_known().await,
        Err(ApiError::Unauthorized { .. })
    ));
}

#[tokio::test]
async fn a_clock_that_is_set_while_an_answer_is_on_its_way_is_off_from_the_next_one_on() {
    let ahead = Arc::new(AtomicI64::new(0));
    let moves = Arc::clone(&ahead);
    let server = server(|_| {
        Arc::new(move |_| {
            moves.store(7_200, Ordering::SeqCst);
            StatusCode::UNAUTHORIZED.into_response()
        })
    })
    .await;
    let http = ServerHttp::new(server.id.clone(), Arc::new(Moving(ahead))).unwrap();
    let error = http.keys().await.unwrap_err();
    assert!(matches!(error, ApiError::Unauthorized { .. }), "{error:?}");
    let error = http.keys().await.unwrap_err();
    assert!(matches!(error, ApiError::ClockOff { .. }), "{error:?}");
}

#[tokio::test]
async fn refusals_are_typed_by_what_a_caller_does_about_them() {
    let server = server(|_| {
        Arc::new(|uri: &str| {
            let status: u16 = uri.rsplit('/').next().unwrap().parse().unwrap();
            let problem = json!({
                "type": "about:blank", "title": "T", "status": status, "detail": "What happened.", "code": "the_rule",
            });
            let status = StatusCode::from_u16(status).unwrap();
            let kind = [("content-type", "application/problem+json"), ("retry-after", "7")];
            (status, kind, problem.to_string()).into_response()
        })
    })
    .await;
    let (pep, _) = server.pep();
    let wrong = |status: u16| {
        let (pep, txn) = (&pep, Txn::parse(&status.to_string()).unwrap());
        async move { pep.task(&txn, 0).await.unwrap_err() }
    };
    assert!(matches!(wrong(401).await, ApiError::Unauthorized { .. }));
    assert!(matches!(wrong(403).await, ApiError::Forbidden { .. }));
    assert!(matches!(wrong(404).await, ApiError::NotFound { .. }));
    assert!(matches!(wrong(409).await, ApiError::Conflict { .. }));
    assert!(matches!(wrong(410).await, ApiError::Gone { .. }));
    assert!(matches!(wrong(400).await, ApiError::Refused { .. }));
    assert!(matches!(
        wrong(429).await,
        ApiError::Busy {
            retry_after_secs: 7
        }
    ));
    assert!(matches!(
        wrong(503).await,
        ApiError::Busy {
            retry_after_secs: 7
        }
    ));
    assert!(matches!(
        wrong(500).await,
        ApiError::Fault { status: 500, .. }
    ));
    // A redirect is not followed: credentials go nowhere else.
    assert!(matches!(wrong(302).await, ApiError::BadAnswer { .. }));
    let told = wrong(409).await;
    assert_eq!(
        (told.code(), told.to_string().as_str()),
        ("the_rule", "What happened.")
    );
    assert!(wrong(500).await.is_transient() && !wrong(409).await.is_transient());
}

#[tokio::test]
async fn each_call_of_a_gate_has_a_token_of_its_own() {
    let server = server(|_| Arc::new(|_| StatusCode::NO_CONTENT.into_response())).await;
    let (pep, key) = server.pep();
    let txn = Txn::parse("t1").unwrap();
    pep.cancel(&txn).await.unwrap();
    pep.cancel(&txn).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let tokens: Vec<PepToken> = seen
        .iter()
        .map(|(line, headers)| {
            assert_eq!(line, "DELETE /access/v1/requests/t1");
            let bearer = headers["authorization"]
                .to_str()
                .unwrap()
                .strip_prefix("Bearer ")
                .unwrap();
            PepToken::verify(bearer, &key.public()).unwrap()
        })
        .collect();
    assert_ne!(tokens[0].jti, tokens[1].jti);
    assert!(tokens[0].is_good(&server.id, Off(0).now()));
}

#[tokio::test]
async fn waiting_is_asked_for_and_bounded() {
    let server = server(|_| Arc::new(|_| StatusCode::NOT_FOUND.into_response())).await;
    let (pep, _) = server.pep();
    let txn = Txn::parse("t1").unwrap();
    assert!(pep.task(&txn, 600).await.is_err());
    assert_eq!(server.seen.lock().unwrap()[0].1["prefer"], "wait=25");
}

#[tokio::test]
async fn nonsense_and_endless_answers_are_refused() {
    let server = server(|_| {
        Arc::new(|uri: &str| {
            if uri.contains("keys") {
                "x".repeat(17 * 1024 * 1024).into_response()
            } else {
                "<h1>hello</h1>".into_response()
            }
        })
    })
    .await;
    assert_eq!(
        server.http(0).well_known().await.unwrap_err().code(),
        "bad_answer"
    );
    assert_eq!(
        server.http(0).keys().await.unwrap_err().code(),
        "bad_answer"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_where() {
    // Taken and not listened to, so that nobody else takes it.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let id = format!("http://{}", taken.local_addr().unwrap());
    let http = ServerHttp::new(ServerId::parse(&id).unwrap(), Arc::new(Off(0))).unwrap();
    let error = http.well_known().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }));
    assert!(
        error.to_string().contains(id.trim_start_matches("http://")),
        "{error}"
    );
}

#[tokio::test]
async fn after_a_wake_up_no_call_waits_for_a_connection_of_before() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}", listener.local_addr().unwrap());
    // Each connection answers once, stays open, and never answers again: as one whose other end is gone.
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(socket.read(&mut asked).await.unwrap() > 0);
            let body = "{\"server\":[],\"peps\":[]}";
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
            open.push(socket);
        }
    });
    let http = ServerHttp::new(ServerId::parse(&id).unwrap(), Arc::new(Off(0))).unwrap();
    let other = http.clone();
    for _ in 0..3 {
        http.keys().await.unwrap();
        other.anew();
    }
}
