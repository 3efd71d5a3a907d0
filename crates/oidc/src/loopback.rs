//! The loopback redirect listener (RFC 8252, 7.3): takes the one redirect of one sign-in.
//!
//! Anything on this computer can reach it, and so can any web page in any browser here. Hence: only a
//! top-level navigation to our very address counts, a wrong `state` changes nothing, no parameter is ever
//! rendered, heads are bounded in size and time, and it is gone after the answer or the deadline.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::error::OidcError;
use crate::page;

/// The longest request head, in bytes.
pub const MAX_HEAD_BYTES: usize = 4096;
/// How long one connection may take to say what it wants.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// Connections at a time.
const MAX_CONNECTIONS: usize = 16;
/// After a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long the page stays reachable after the redirect, for the browser to come back without the code.
const LINGER: Duration = Duration::from_secs(10);

/// What the redirect brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A code.
    Code(String),
    /// An OAuth error code, as sent.
    Error(String),
}

/// What a redirect must have.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Ours, compared in constant time.
    pub(crate) state: String,
    /// The provider.
    pub(crate) issuer: String,
    /// RFC 9207: `iss` must be there.
    pub(crate) issuer_required: bool,
    /// The path of the redirect, such as `/callback`.
    pub(crate) path: String,
}

/// A bound listener that nobody knows of yet.
#[derive(Debug)]
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Binds to the first of these ports that is free; 0 lets the system choose.
    pub(crate) async fn bind(ports: &[u16]) -> Result<Self, OidcError> {
        let mut last = None;
        for port in ports {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await {
                Ok(listener) => match listener.local_addr() {
                    Ok(address) => {
                        return Ok(Self {
                            listener,
                            port: address.port(),
                        });
                    }
                    Err(error) => last = Some(error),
                },
                Err(error) => last = Some(error),
            }
        }
        let why = last.map_or_else(
            || "no port is configured".to_owned(),
            |error| error.to_string(),
        );
        Err(OidcError::Setup {
            why: format!(
                "no port of 127.0.0.1 can be used to receive the answer of the browser: {why}"
            ),
        })
    }

    pub(crate) fn redirect_uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits for the one redirect that fits. Dropping the future closes the listener.
    pub(crate) async fn redirect(
        self,
        expected: Expected,
        limit: Duration,
    ) -> Result<Redirect, OidcError> {
        let (found, mut redirects) = mpsc::channel(1);
        let rules = Arc::new(Rules {
            expected,
            host: format!("127.0.0.1:{}", self.port),
            found,
        });
        // Aborts the serving task when this future is dropped or done; `linger` outlives it on purpose.
        let mut serving = Serving(Some(tokio::spawn(serve(self.listener, rules))));
        let redirect = tokio::time::timeout(limit, redirects.recv())
            .await
            .ok()
            .flatten()
            .ok_or(OidcError::TimedOut {
                minutes: limit.as_secs() / 60,
            })?;
        serving.linger();
        Ok(redirect)
    }
}

struct Serving(Option<tokio::task::JoinHandle<()>>);

impl Serving {
    fn linger(&mut self) {
        if let Some(task) = self.0.take() {
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                task.abort();
            });
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

struct Rules {
    expected: Expected,
    host: String,
    /// Holds one: the second redirect that fits finds it full or closed, and changes nothing.
    found: mpsc::Sender<Redirect>,
}

async fn serve(listener: TcpListener, rules: Arc<Rules>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Such as no descriptor left: wait a little rather than spin.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let rules = Arc::clone(&rules);
        connections.spawn(async move {
            let _slot = slot;
            // A peer that is slow or rude loses its connection; there is nobody to tell.
            let _ = tokio::time::timeout(HEAD_LIMIT, answer(stream, &rules)).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, rules: &Rules) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0u8; 1024];
    let response = loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&chunk[..read]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break if end + 4 > MAX_HEAD_BYTES {
                page::TOO_LARGE.to_owned()
            } else {
                rules.judge(&head[..end])
            };
        }
        if head.len() > MAX_HEAD_BYTES {
            break page::TOO_LARGE.to_owned();
        }
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

impl Rules {
    /// The answer to one request, by its head.
    fn judge(&self, head: &[u8]) -> String {
        let Some(request) = Request::parse(head) else {
            return page::BAD_REQUEST.to_owned();
        };
        if request.method != "GET" {
            return page::NOT_ALLOWED.to_owned();
        }
        // Another name for this address is DNS rebinding, or someone guessing.
        if request.header("host") != Some(self.host.as_str()) {
            return page::BAD_REQUEST.to_owned();
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((request.target, ""));
        match path {
            "/favicon.ico" => return page::NO_ICON.to_owned(),
            page::DONE_PATH => return page::done(),
            page::ENDED_PATH => return page::ended(),
            _ => {}
        }
        if path != self.expected.path {
            return page::NOT_FOUND.to_owned();
        }
        if !request.is_navigation() {
            return page::FORBIDDEN.to_owned();
        }
        match self.redirect(query) {
            Some(redirect) => {
                let place = match &redirect {
                    Redirect::Code(_) => page::DONE_PATH,
                    Redirect::Error(_) => page::ENDED_PATH,
                };
                match self.found.try_send(redirect) {
                    Ok(()) => page::see_other(place),
                    Err(_) => page::GONE.to_owned(),
                }
            }
            None => page::BAD_REQUEST.to_owned(),
        }
    }

    /// The redirect, if it is ours: exactly one `state`, and it fits; exactly one `code` or one `error`;
    /// `iss` at most once, fitting, and there where the provider promised it.
    fn redirect(&self, query: &str) -> Option<Redirect> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let one = |name: &str| -> Result<Option<&str>, ()> {
            let mut values = pairs
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                (_, Some(_)) => Err(()),
            }
        };
        let state = one("state").ok()??;
        if !bool::from(state.as_bytes().ct_eq(self.expected.state.as_bytes())) {
            return None;
        }
        let issuer = one("iss").ok()?;
        if issuer.is_some_and(|issuer| issuer != self.expected.issuer) {
            return None;
        }
        match (one("code").ok()?, one("error").ok()?) {
            (Some(code), None)
                if !code.is_empty() && (issuer.is_some() || !self.expected.issuer_required) =>
            {
                Some(Redirect::Code(code.to_owned()))
            }
            // Some providers leave `iss` out of errors; an error can only end this attempt.
            (None, Some(error)) => Some(Redirect::Error(error.to_owned())),
            (Some(_), _) | (None, None) => None,
        }
    }
}

/// The head of an HTTP request, as far as it concerns us.
struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    fn parse(head: &'a [u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut start = lines.next()?.split(' ');
        let (method, target, version) = (start.next()?, start.next()?, start.next()?);
        if start.next().is_some() || !version.starts_with("HTTP/1.") || !target.starts_with('/') {
            return None;
        }
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return None;
            }
            headers.push((name, value.trim_matches([' ', '\t'])));
        }
        Some(Self {
            method,
            target,
            headers,
        })
    }

    /// The value, if the field is there exactly once.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (value, None) => value,
            (_, Some(_)) => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// A person's browser going somewhere, as opposed to a page fetching something. Browsers without
    /// Fetch Metadata say nothing; those that say something must say the right thing.
    fn is_navigation(&self) -> bool {
        let says = |name: &str, value: &str| !self.has(name) || self.header(name) == Some(value);
        !self.has("origin")
            && says("sec-fetch-mode", "navigate")
            && says("sec-fetch-dest", "document")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> (Rules, mpsc::Receiver<Redirect>) {
        let (found, redirects) = mpsc::channel(1);
        let expected = Expected {
            state: "the-state".to_owned(),
            issuer: "https://id.example".to_owned(),
            issuer_required: true,
            path: "/callback".to_owned(),
        };
        (
            Rules {
                expected,
                host: "127.0.0.1:4711".to_owned(),
                found,
            },
            redirects,
        )
    }

    const GOOD: &str = "code=c0de&state=the-state&iss=https%3A%2F%2Fid.example";

    fn get(rules: &Rules, query: &str, more: &str) -> String {
        let head = format!("GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1:4711{more}");
        rules
            .judge(head.as_bytes())
            .split("\r\n")
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_fitting_redirect_is_taken_once_and_leads_to_a_clean_address() {
        let (rules, mut redirects) = rules();
        let head = format!(
            "GET /callback?{GOOD} HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site"
        );
        let answer = rules.judge(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 303 "));
        assert!(answer.contains("\r\nlocation: /signed-in\r\n"));
        assert!(
            answer.contains("referrer-policy: no-referrer")
                && answer.contains("cache-control: no-store")
        );
        assert!(!answer.contains("c0de"));
        assert_eq!(
            redirects.try_recv().unwrap(),
            Redirect::Code("c0de".to_owned())
        );
        drop(redirects);
        assert_eq!(get(&rules, GOOD, ""), "HTTP/1.1 410 Gone");
    }

    #[test]
    fn a_wrong_redirect_does_not_use_up_the_shot() {
        let (rules, mut redirects) = rules();
        for query in [
            "code=c0de&state=wrong&iss=https%3A%2F%2Fid.example",
            "code=c0de&iss=https%3A%2F%2Fid.example",
            "code=c0de&state=the-state",
            "code=c0de&state=the-state&iss=https%3A%2F%2Fevil.example",
            "code=a&code=b&state=the-state&iss=https%3A%2F%2Fid.example",
            "code=c0de&state=the-state&state=the-state&iss=https%3A%2F%2Fid.example",
            "code=c0de&state=the-state&iss=https%3A%2F%2Fid.example&iss=https%3A%2F%2Fid.example",
            "code=c0de&error=access_denied&state=the-state&iss=https%3A%2F%2Fid.example",
            "code=&state=the-state&iss=https%3A%2F%2Fid.example",
            "error=access_denied&state=wrong",
            "",
        ] {
            assert_eq!(
                get(&rules, query, ""),
                "HTTP/1.1 400 Bad Request",
                "{query}"
            );
            assert!(redirects.try_recv().is_err(), "{query}");
        }
        assert_eq!(get(&rules, GOOD, ""), "HTTP/1.1 303 See Other");
    }

    #[test]
    fn pages_and_other_names_for_this_address_are_refused() {
        let (rules, mut redirects) = rules();
        for more in [
            "\r\nOrigin: https://evil.example",
            "\r\nOrigin: null",
            "\r\nSec-Fetch-Mode: no-cors",
            "\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Mode: navigate",
            "\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
            "\r\nSec-Fetch-Dest: image",
        ] {
            assert_eq!(get(&rules, GOOD, more), "HTTP/1.1 403 Forbidden", "{more}");
        }
        for host in [
            "evil.example:4711",
            "localhost:4711",
            "127.0.0.1",
            "127.0.0.1:4711\r\nHost: 127.0.0.1:4711",
        ] {
            let head = format!("GET /callback?{GOOD} HTTP/1.1\r\nHost: {host}");
            assert!(
                rules.judge(head.as_bytes()).starts_with("HTTP/1.1 400 "),
                "{host}"
            );
        }
        let head = format!("POST /callback?{GOOD} HTTP/1.1\r\nHost: 127.0.0.1:4711");
        assert!(rules.judge(head.as_bytes()).starts_with("HTTP/1.1 405 "));
        assert!(redirects.try_recv().is_err());
    }

    #[test]
    fn error_parameters_are_told_but_never_rendered() {
        let (rules, mut redirects) = rules();
        let head = "GET /callback?error=access_denied&error_description=%3Cscript%3Eboo&state=the-state HTTP/1.1\r\nHost: 127.0.0.1:4711";
        let answer = rules.judge(head.as_bytes());
        assert!(
            answer.contains("location: /ended")
                && !answer.contains("boo")
                && !answer.contains("denied")
        );
        assert_eq!(
            redirects.try_recv().unwrap(),
            Redirect::Error("access_denied".to_owned())
        );
        assert!(!page::ended().contains("denied"));
    }

    #[test]
    fn the_browsers_request_for_an_icon_is_tolerated() {
        let (rules, _redirects) = rules();
        let answer = rules.judge(b"GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image");
        assert!(answer.starts_with("HTTP/1.1 204 "));
    }

    #[test]
    fn broken_heads_are_refused() {
        let (rules, _redirects) = rules();
        for head in [
            "",
            "GET",
            "GET /callback",
            "GET /callback HTTP/2",
            "GET http://127.0.0.1/ HTTP/1.1",
            "GET / HTTP/1.1 x",
            "GET / HTTP/1.1\r\nno colon",
            "GET / HTTP/1.1\r\n folded: x",
        ] {
            assert!(
                rules.judge(head.as_bytes()).starts_with("HTTP/1.1 400 "),
                "{head}"
            );
        }
        assert!(rules.judge(&[0xff, 0xfe]).starts_with("HTTP/1.1 400 "));
    }

    async fn talk(port: u16, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset after an over-long head is fine: what counts is what was sent before it.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn over_real_sockets_the_page_follows_the_redirect_and_an_endless_head_is_cut() {
        let listener = Loopback::bind(&[0]).await.unwrap();
        let port = listener.port;
        let expected = Expected {
            state: "s".to_owned(),
            issuer: "i".to_owned(),
            issuer_required: false,
            path: "/cb".to_owned(),
        };
        let waiting = tokio::spawn(listener.redirect(expected, Duration::from_secs(60)));
        let long = talk(port, &[b'x'; MAX_HEAD_BYTES + 1]).await;
        assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
        let host = format!("Host: 127.0.0.1:{port}");
        let answer = talk(
            port,
            format!("GET /cb?code=c&state=s HTTP/1.1\r\n{host}\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert_eq!(
            waiting.await.unwrap().unwrap(),
            Redirect::Code("c".to_owned())
        );
        let page = talk(
            port,
            format!("GET /signed-in HTTP/1.1\r\n{host}\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(page.contains("You can close this") && page.contains("default-src 'none'"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_coming_ends_in_a_timeout_and_dropping_closes_the_port() {
        let expected = Expected {
            state: "s".to_owned(),
            issuer: "i".to_owned(),
            issuer_required: false,
            path: "/cb".to_owned(),
        };
        let listener = Loopback::bind(&[0]).await.unwrap();
        let error = listener
            .redirect(expected, Duration::from_secs(300))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no answer came back from the browser within 5 minutes. Try again"
        );
    }

    #[tokio::test]
    async fn when_every_port_is_taken_it_says_so() {
        let taken = Loopback::bind(&[0]).await.unwrap();
        let error = Loopback::bind(&[taken.port]).await.unwrap_err();
        assert_eq!(error.code(), "setup");
        assert!(
            Loopback::bind(&[taken.port, 0]).await.is_ok(),
            "the next one in the list is tried"
        );
    }
}
