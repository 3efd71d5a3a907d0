//! HTTP as these commands speak it: no redirects, no proxy on the way to this computer, answers of bounded length,
//! and tokens that were given instead of a sign-in.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Response;

/// Where a token may be given, so that no sign-in is needed.
pub(crate) const TOKEN_VARIABLE: &str = "COUNTERSIGN_TOKEN";

/// A client for this address.
pub(crate) fn client(address: &str) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    // http goes to this computer only; no proxy has business there.
    if address.starts_with("http:") {
        builder = builder.no_proxy();
    }
    builder.build().context("cannot set up the connection")
}

/// The token in this file, else the one in [`TOKEN_VARIABLE`].
pub(crate) fn given_token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let token = match file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?,
        ),
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    Ok(token.map(|token| token.trim().to_owned()))
}

/// The body of an answer; none where it is longer than this, in bytes.
pub(crate) async fn body(mut answer: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}
