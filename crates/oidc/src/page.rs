//! The answers of the loopback listener: whole HTTP responses made of our own words only. No script, no
//! resource, no parameter of the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Where the browser is sent after a code.
pub(crate) const DONE_PATH: &str = "/signed-in";
/// Where the browser is sent after an error.
pub(crate) const ENDED_PATH: &str = "/ended";

macro_rules! empty {
    ($status:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\ncontent-length: 0\r\nconnection: close\r\ncache-control: no-store\r\n",
            "referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n",
            "content-security-policy: default-src 'none'\r\n\r\n"
        )
    };
}

pub(crate) const BAD_REQUEST: &str = empty!("400 Bad Request");
pub(crate) const FORBIDDEN: &str = empty!("403 Forbidden");
pub(crate) const NOT_FOUND: &str = empty!("404 Not Found");
pub(crate) const NOT_ALLOWED: &str = empty!("405 Method Not Allowed");
pub(crate) const GONE: &str = empty!("410 Gone");
pub(crate) const TOO_LARGE: &str = empty!("431 Request Header Fields Too Large");
pub(crate) const NO_ICON: &str = empty!("204 No Content");

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f1f2f4;color:#15171c;\
font:16px/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(30rem,calc(100vw - 2rem));padding:2rem;background:#fff;border:1px solid #e0e3e8;\
border-radius:8px}\
h1{margin:0 0 .5rem;font-size:1.375rem;line-height:1.25;font-weight:600}\
p{margin:0;color:#474c56}\
small{display:block;margin-top:1.5rem;color:#5f6570;font-size:.8125rem}\
@media(prefers-color-scheme:dark){body{background:#121419;color:#eceef2}main{background:#1a1d23;border-color:#2b3038}\
p{color:#b6bcc7}small{color:#9aa1ad}}";

/// To a URL without the code, so that it stays out of the history and of what the page could leak.
pub(crate) fn see_other(place: &str) -> String {
    format!(
        "HTTP/1.1 303 See Other\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: default-src 'none'\r\n\r\n"
    )
}

/// After a code.
pub(crate) fn done() -> String {
    page(
        "You can close this",
        "Countersign has the answer of your identity provider and goes on in its own window or terminal.",
    )
}

/// After an error: which one is told by the program, not here.
pub(crate) fn ended() -> String {
    page(
        "Nothing was signed in",
        "Your identity provider sent no sign-in. You can close this; Countersign says more in its own window or terminal.",
    )
}

fn page(title: &str, text: &str) -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} · Countersign</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p>\
         <small>Countersign</small></main></body></html>"
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'\r\n\r\n{body}",
        body.len()
    )
}
