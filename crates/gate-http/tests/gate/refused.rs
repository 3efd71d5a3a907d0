//! Calls that are refused for how they are written.

use super::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_unreadable_bodies_are_refused() {
    let scene = Scene::new().await;
    // Announced, never sent: the answer comes without it.
    let token = scene.token();
    let head = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ncontent-length: 999999999\r\nconnection: close\r\n\r\n"
    );
    let answer = scene.raw(&head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Without a length: read up to the bound and no further.
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(2);
    let chunked = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}"
    );
    let answer = scene.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let trailers = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\nconnection: close\r\n\r\n1\r\na\r\n0\r\nx-late: 1\r\n\r\n"
    );
    let answer = scene.raw(&trailers).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("trailers"),
        "{answer}"
    );
    for body in [vec![0xff, 0xfe], vec![b'a'; 501]] {
        let answer = scene
            .call(Method::PATCH, "/customers/42")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await, (403, "policy_denied".to_owned()));
    }
    assert!(scene.reached().is_empty());
    assert_eq!(scene.world.server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_is_still_sending_reads_the_refusal() {
    let scene = Scene::new().await;
    // More than the buffers on the way hold: the gate has answered and said its last long before the end of it.
    let body = vec![b'x'; 16 * 1024 * 1024];
    let head = format!(
        "PATCH /customers/42 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        scene.token(),
        body.len()
    );
    let mut caller = scene.connect().await;
    caller.write_all(head.as_bytes()).await.unwrap();
    caller.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_two_servers_could_read_differently_are_refused() {
    let scene = Scene::new().await;
    let token = scene.token();
    for (line, headers, code) in [
        ("DELETE /customers/../customers/42", "", "path_dot_segment"),
        ("DELETE //customers/42", "", "path_empty_segment"),
        ("DELETE /customers/%34%32", "", "path_needless_escape"),
        ("DELETE /customers;x/42", "", "path_parameter"),
        (
            "DELETE /customers/42",
            "x-http-method-override: GET\r\n",
            "method_override",
        ),
        ("DELETE /customers/42?_method=GET", "", "method_override"),
        // What the policy allows must not become something else behind the gate.
        (
            "GET /customers/7",
            "x-http-method-override: DELETE\r\n",
            "method_override",
        ),
        ("GET /customers/7?_method=DELETE", "", "method_override"),
        (
            "GET /customers/7",
            "x_rewrite_url: /customers/42\r\n",
            "path_rewrite",
        ),
        (
            "DELETE /customers/42?access_token=x",
            "",
            "credential_in_query",
        ),
        (
            "DELETE /customers/42",
            "x-original-url: /\r\n",
            "path_rewrite",
        ),
        ("DELETE /customers/42", "upgrade: h2c\r\n", "upgrade"),
        ("DELETE http://gate/customers/42", "", "absolute_form"),
        ("GET http://other/customers/42", "", "host"),
        ("CONNECT gate:80", "", "connect"),
        ("DELETE /customers/42", "host: second\r\n", "host"),
        (
            "DELETE /customers/42",
            "x-name: caf\u{e9}\r\n",
            "header_not_ascii",
        ),
        (
            "DELETE /customers/42",
            "countersign-ticket: a\u{fffe}b\r\n",
            "noncharacter",
        ),
    ] {
        let text = format!(
            "{line} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
        );
        let answer = scene.raw(&text).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line}: {answer}");
        assert!(
            answer.contains(&format!("\"code\":\"{code}\"")),
            "{line}: {answer}"
        );
    }
    let form = scene
        .call(Method::PUT, "/customers/7")
        .form(&[("name", "x"), ("_method", "DELETE")]);
    assert_eq!(
        problem(form.send().await.unwrap()).await,
        (400, "method_override".to_owned())
    );
    assert!(scene.reached().is_empty());
    // On a call that needs no approval an upgrade is left behind, and the rest passes.
    let text = format!(
        "GET /customers/7 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n"
    );
    assert!(scene.raw(&text).await.starts_with("HTTP/1.1 200 "));
    assert!(
        scene.reached()[0]
            .headers
            .iter()
            .all(|(name, _)| name != "upgrade")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_body_that_asks_for_another_method_never_arrives_whole() {
    let scene = Scene::new().await;
    let part = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = part("note", &"n".repeat(300_000)) + &part("_method", "DELETE") + "--x--\r\n";
    // `_method` last, as everywhere here: a caller who is still sending when the gate ends the connection may not
    // get to read the answer.
    let json = json!({ "Note": "n".repeat(300_000), "_method": "DELETE" }).to_string();
    assert!(json.ends_with(r#""_method":"DELETE"}"#));
    let form = format!("note={}&_method=DELETE", "n".repeat(300_000));
    for (kind, body) in [
        ("multipart/form-data; boundary=x", multipart.clone()),
        ("application/json", json),
        ("application/x-www-form-urlencoded", form.clone()),
        ("", form),
    ] {
        for chunked in [false, true] {
            let mut call = scene.call(Method::PUT, "/customers/7");
            if !kind.is_empty() {
                call = call.header("content-type", kind);
            }
            let call = if chunked {
                let pieces: Vec<_> = body.as_bytes().chunks(65_536).map(<[u8]>::to_vec).collect();
                let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
                call.body(reqwest::Body::wrap_stream(futures_util::stream::iter(
                    pieces,
                )))
            } else {
                call.body(body.clone())
            };
            let answer = problem(call.send().await.unwrap()).await;
            assert_eq!(
                answer,
                (400, "method_override".to_owned()),
                "{kind} {chunked}"
            );
        }
    }
    assert!(
        scene.reached().is_empty(),
        "the upstream read no body to its end"
    );
    let zipped = scene
        .call(Method::PUT, "/customers/7")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body("x");
    assert_eq!(
        problem(zipped.send().await.unwrap()).await,
        (400, "body_encoded".to_owned())
    );
    // Large forms without one pass, streaming.
    let good = part("note", &"n".repeat(300_000)) + &part("payment_method", "card") + "--x--\r\n";
    let call = scene.call(Method::PUT, "/customers/7");
    let call = call
        .header("content-type", "multipart/form-data; boundary=x")
        .body(good.clone());
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.reached()[0].body, good);

    // An operator who says that the service heeds none of it is believed.
    let scene = Scene::with("hold_secs = 30\nmethod_overrides = \"ignored\"").await;
    let call = scene.call(Method::PUT, "/customers/7");
    let call = call
        .header("content-type", "multipart/form-data; boundary=x")
        .body(multipart);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    let query = scene
        .call(Method::PUT, "/customers/7?_method=DELETE")
        .body("x");
    assert_eq!(
        problem(query.send().await.unwrap()).await,
        (400, "method_override".to_owned())
    );
}
