//! Calls and the stream go through the proxy that a person named, and what is on this computer never does.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use countersign_api::http::Endpoints;
use countersign_client::stream::{Event, Stream};
use countersign_client::{ApiError, ApproverApi, Route, ServerHttp, Way};
use countersign_evidence::SecretKey;
use countersign_model::{Clock, ServerId, UnixSecs};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use url::Url;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixSecs {
        UnixSecs(1_800_000_000)
    }
}

/// A proxy that lets nobody through.
struct Proxy {
    listener: TcpListener,
    url: Url,
}

impl Proxy {
    async fn start(user: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{user}{}", listener.local_addr().unwrap());
        let url = Url::parse(&url).unwrap();
        Self { listener, url }
    }

    /// The head of the next request, which is refused.
    async fn asked(&self) -> Vec<String> {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let (read, mut write) = stream.split();
        let mut lines = BufReader::new(read).lines();
        let mut head = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.is_empty() {
                break;
            }
            head.push(line.to_lowercase());
        }
        write
            .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        head
    }
}

const SERVER: &str = "https://approvals.example";

fn server(route: &Route) -> ServerHttp {
    ServerHttp::through(ServerId::parse(SERVER).unwrap(), Arc::new(Fixed), route).unwrap()
}

#[tokio::test]
async fn a_call_goes_through_the_proxy_with_its_password_and_tells_it_nothing_but_the_host() {
    let proxy = Proxy::start("elin:word@").await;
    let http = server(&Route::new(Way::Through(proxy.url.clone())));
    let (answer, head) = tokio::join!(http.well_known(), proxy.asked());
    assert!(
        matches!(answer, Err(ApiError::Unreachable { .. })),
        "{answer:?}"
    );
    assert_eq!(head[0], "connect approvals.example:443 http/1.1");
    assert!(
        head.contains(&"proxy-authorization: basic zwxpbjp3b3jk".to_owned()),
        "{head:?}"
    );
}

#[tokio::test]
async fn the_stream_goes_through_the_proxy_and_a_new_route_counts_from_the_next_try() {
    let (first, second) = (Proxy::start("").await, Proxy::start("").await);
    let route = Route::new(Way::Through(first.url.clone()));
    let of = |path: &str| format!("{SERVER}{path}");
    let endpoints = Endpoints {
        nonce: of("/n"),
        token: of("/t"),
        requests: of("/r"),
        history: of("/h"),
        bindings: of("/b"),
        claims: of("/c"),
        absence: of("/a"),
        colleagues: of("/p"),
        stream: "wss://approvals.example/stream".to_owned(),
    };
    let api = ApproverApi::new(server(&route), endpoints, SecretKey::generate([7; 32]));
    api.set_access_token(Some("the-token".to_owned()));
    let (stream, mut events) = Stream::start(Arc::new(api), None, || 1.0);
    let head = first.asked().await;
    assert_eq!(head[0], "connect approvals.example:443 http/1.1");
    assert!(
        !head.iter().any(|line| line.contains("the-token")),
        "{head:?}"
    );
    assert!(matches!(
        events.recv().await,
        Some(Event::Disconnected { .. })
    ));
    route.set(Way::Through(second.url.clone()));
    stream.anew();
    let head = second.asked().await;
    assert_eq!(head[0], "connect approvals.example:443 http/1.1");
}

#[tokio::test]
async fn a_server_on_this_computer_is_never_asked_through_a_proxy() {
    let proxy = Proxy::start("").await;
    let direct = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}", direct.local_addr().unwrap());
    let route = Route::new(Way::Through(proxy.url.clone()));
    let id = ServerId::parse(&id).unwrap();
    let http = ServerHttp::through(id, Arc::new(Fixed), &route).unwrap();
    let asked = tokio::spawn(async move { http.well_known().await });
    tokio::select! {
        direct = direct.accept() => assert!(direct.is_ok()),
        _ = proxy.asked() => panic!("the proxy was asked"),
    }
    asked.abort();
}
