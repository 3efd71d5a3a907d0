//! A person at the provider's pages, without a browser: reads each page, fills in its form, sends it, follows where it
//! leads. For tests that are about something else; the sign-in in a real browser is `op/browser.mjs`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

/// More pages than any sign-in has.
const MOST_PAGES: usize = 20;

/// Somebody with an account at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The subject, and the login name.
    pub sub: String,
    /// The password at the test provider.
    pub password: String,
}

impl Person {
    /// One of the provider's people: `mara`, `elin`, `jonas`, `otto`.
    #[must_use]
    pub fn named(sub: &str) -> Self {
        Self {
            sub: sub.to_owned(),
            password: format!("{sub}-demo"),
        }
    }

    /// Signs in and consents at the pages behind `url`, up to the first address that is not the provider's.
    ///
    /// # Errors
    /// When a page has no form to go on with, or says that something is wrong.
    pub async fn sign_in(&self, url: &str) -> Result<Url> {
        match self.walk(url).await? {
            End::Elsewhere(url) => Ok(url),
            End::LastPage(page) => bail!("the sign-in ends at the provider: {}", title(&page)),
        }
    }

    /// Confirms the code of a device at its `verification_uri_complete`.
    ///
    /// # Errors
    /// As [`Person::sign_in`].
    pub async fn confirm_device(&self, url: &str) -> Result<()> {
        match self.walk(url).await? {
            End::LastPage(page) if title(&page).starts_with("Signed in") => Ok(()),
            End::LastPage(page) => bail!("the device was not confirmed: {}", title(&page)),
            End::Elsewhere(url) => bail!("the device page leads away, to {}", url.path()),
        }
    }

    /// Signs in for a program that waits at a loopback address, and goes there as a browser would.
    ///
    /// # Errors
    /// As [`Person::sign_in`], and when the program does not answer.
    pub async fn sign_in_and_return(&self, url: &str) -> Result<()> {
        let back = self.sign_in(url).await?;
        let answer = client()?
            .get(back)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", "cross-site")
            .send()
            .await
            .context("go back to the program")?;
        let status = answer.status();
        ensure!(
            status.is_success() || status.is_redirection(),
            "the program answers {status} to the redirect"
        );
        Ok(())
    }

    /// An access token for `resource` (or none: for the userinfo endpoint), by the code flow with PKCE.
    ///
    /// # Errors
    /// When the provider does not give one.
    pub async fn access_token(
        &self,
        issuer: &str,
        client_id: &str,
        resource: Option<&str>,
    ) -> Result<String> {
        let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let state = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        let redirect = "http://127.0.0.1:1/callback";
        let mut url = Url::parse(&format!("{issuer}/auth")).context("read the issuer")?;
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", "openid profile email groups")
            .append_pair(
                "code_challenge",
                &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)),
            )
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", &state)
            .append_pair("nonce", &URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()));
        if let Some(resource) = resource {
            url.query_pairs_mut().append_pair("resource", resource);
        }
        let back = self.sign_in(url.as_str()).await?;
        let answer: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        ensure!(
            answer.get("state") == Some(&state),
            "the provider answers with another state"
        );
        let code = answer.get("code").context("the provider gives no code")?;
        let tokens: Value = client()?
            .post(format!("{issuer}/token"))
            .form(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", redirect),
                ("client_id", client_id),
                ("code_verifier", &verifier),
            ])
            .send()
            .await
            .context("ask for tokens")?
            .json()
            .await
            .context("read the tokens")?;
        Ok(tokens["access_token"]
            .as_str()
            .context("the provider gives no access token")?
            .to_owned())
    }

    async fn walk(&self, start: &str) -> Result<End> {
        let http = client()?;
        let mut url = Url::parse(start).context("read the address to open")?;
        let provider = url.origin();
        let mut cookies = BTreeMap::new();
        let mut form: Option<Vec<(String, String)>> = None;
        for _ in 0..MOST_PAGES {
            let request = match form.take() {
                Some(fields) => http.post(url.clone()).form(&fields),
                None => http.get(url.clone()),
            };
            let jar: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let answer = request
                .header(COOKIE, jar.join("; "))
                .send()
                .await
                .with_context(|| format!("open {}", url.path()))?;
            for cookie in answer.headers().get_all(SET_COOKIE) {
                remember(&mut cookies, cookie.to_str().context("read a cookie")?);
            }
            if let Some(next) = answer.headers().get(LOCATION) {
                url = url
                    .join(next.to_str().context("read a redirect")?)
                    .context("follow a redirect")?;
                if url.origin() != provider {
                    return Ok(End::Elsewhere(url));
                }
                continue;
            }
            let page = answer.text().await.context("read a page")?;
            ensure!(
                !page.contains("role=\"alert\""),
                "the provider refuses: {}",
                between(&page, "role=\"alert\">", "<").unwrap_or_default()
            );
            let Some((action, mut fields)) = form_of(&page) else {
                return Ok(End::LastPage(page));
            };
            if page.contains("name=\"password\"") {
                fields.push(("login".to_owned(), self.sub.clone()));
                fields.push(("password".to_owned(), self.password.clone()));
            }
            url = url.join(&action).context("follow a form")?;
            form = Some(fields);
        }
        bail!("the sign-in does not end")
    }
}

enum End {
    Elsewhere(Url),
    LastPage(String),
}

/// An HTTP client that follows nothing by itself and keeps nothing.
///
/// # Errors
/// When it cannot be made.
pub fn client() -> Result<reqwest::Client> {
    crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("make an HTTP client")
}

/// Chooses the cryptography of TLS for this process, once.
pub fn crypto() {
    // The second call finds one installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn remember(cookies: &mut BTreeMap<String, String>, set: &str) {
    let first = set.split(';').next().unwrap_or_default();
    if let Some((name, value)) = first.split_once('=') {
        if value.is_empty() {
            cookies.remove(name.trim());
        } else {
            cookies.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
}

/// The form that goes on (not the one that aborts): its action and hidden fields.
fn form_of(page: &str) -> Option<(String, Vec<(String, String)>)> {
    page.split("<form ").skip(1).find_map(|form| {
        let form = form.split("</form>").next()?;
        let action = between(form, "action=\"", "\"")?;
        if action.ends_with("/abort") {
            return None;
        }
        let fields = form
            .split("<input ")
            .skip(1)
            .filter(|input| {
                input
                    .split('>')
                    .next()
                    .is_some_and(|tag| tag.contains("type=\"hidden\""))
            })
            .filter_map(|input| {
                Some((
                    between(input, "name=\"", "\"")?,
                    between(input, "value=\"", "\"")?,
                ))
            })
            .collect();
        Some((action, fields))
    })
}

fn title(page: &str) -> String {
    between(page, "<title>", "</title>").unwrap_or_default()
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest[..rest.find(end)?].to_owned())
}
