//! Connections to the upstream: kept while they are good, and a call's own until it is through.

use std::time::Duration;

use super::scene::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn before_a_listener() -> (Scene, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    (Scene::new().await.before(address).await, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_for_the_next_call_and_left_once_the_upstream_ends_it() {
    let (scene, upstream) = before_a_listener().await;
    let call = || tokio::spawn(scene.call(Method::GET, "/customers/42").send());
    let mut held = call();
    let (mut kept, _) = upstream.accept().await.unwrap();
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for answer in [OK, chunked, OK] {
        tokio::select! {
            _ = upstream.accept() => panic!("the gate has a connection that it could use"),
            head = read_head(&mut kept) => assert!(head.starts_with("GET /customers/42 HTTP/1.1\r\n"), "{head}"),
        }
        kept.write_all(answer).await.unwrap();
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
        held = call();
    }
    read_head(&mut kept).await;
    kept.write_all(OK).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().text().await.unwrap(), "ok");
    drop(kept);
    let held = call();
    let (mut fresh, _) = upstream.accept().await.unwrap();
    read_head(&mut fresh).await;
    fresh.write_all(OK).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_something_is_left_to_read_is_not_kept() {
    let (scene, upstream) = before_a_listener().await;
    let call = || tokio::spawn(scene.call(Method::GET, "/customers/42").send());
    let held = call();
    let (mut first, _) = upstream.accept().await.unwrap();
    read_head(&mut first).await;
    // An answer to a question that nobody asked.
    first.write_all(&[OK, OK].concat()).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().text().await.unwrap(), "ok");
    let held = call();
    let (mut second, _) = upstream.accept().await.unwrap();
    read_head(&mut second).await;
    second.write_all(OK).await.unwrap();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_early_does_not_cut_its_call_short() {
    let (scene, upstream) = before_a_listener().await;
    let body = vec![b'x'; 2 * 1024 * 1024];
    let (early, late) = body.split_at(body.len() / 2);
    let head = format!(
        "PUT /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        scene.token(),
        body.len()
    );
    let mut caller = scene.connect().await;
    caller.write_all(head.as_bytes()).await.unwrap();
    let (mut executing, _) = upstream.accept().await.unwrap();
    read_head(&mut executing).await;
    let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    executing.write_all(answer).await.unwrap();
    assert!(read_head(&mut caller).await.starts_with("HTTP/1.1 202 "));
    let reading = tokio::spawn(async move {
        let mut read = vec![0; 2 * 1024 * 1024];
        executing.read_exact(&mut read).await.map(|_| read)
    });
    for half in [early, late] {
        caller.write_all(half).await.unwrap();
    }
    assert_eq!(reading.await.unwrap().unwrap(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_sends_all_before_they_read_is_not_kept_waiting_by_an_early_answer() {
    let (scene, upstream) = before_a_listener().await;
    // More than the buffers on the way hold, in both directions.
    let body = vec![b'x'; 16 * 1024 * 1024];
    // The policy allows it, so that it streams through.
    let head = format!(
        "GET /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        scene.token(),
        body.len()
    );
    let mut caller = scene.connect().await;
    caller.write_all(head.as_bytes()).await.unwrap();
    let (mut echo, _) = upstream.accept().await.unwrap();
    read_head(&mut echo).await;
    let length = body.len();
    tokio::spawn(async move {
        let (mut read, mut write) = echo.split();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        let (answer, mut asked) = (vec![b'y'; length], vec![0; length]);
        let (_, read) = tokio::join!(write.write_all(&answer), read.read_exact(&mut asked));
        read.unwrap();
    });
    let sent = tokio::time::timeout(Duration::from_secs(60), caller.write_all(&body)).await;
    sent.expect("the body goes out while nobody reads").unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.iter().filter(|byte| **byte == b'y').count(), length);
}
