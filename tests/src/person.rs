//! A person at a provider's pages, without a browser: reads each page, fills in its form, sends it, follows where it
//! leads. For tests that are about something else; the sign-in in a real browser is `op/browser.mjs`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

use crate::flow::Flow;

/// More pages than any sign-in has.
const MOST_PAGES: usize = 20;

/// Somebody with an account at a provider, and what they do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The subject, and the login name.
    pub sub: String,
    /// The password at the test providers.
    pub password: String,
    /// Rights that they do not give, where the page lets them choose.
    pub declines: Vec<String>,
    /// Where they stop, and how. Else they go on to the end.
    pub stops: Option<(Page, Stop)>,
}

/// A page of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Name and password.
    Password,
    /// The second factor.
    Code,
    /// Consent.
    Consent,
}

/// How somebody stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By the page's own Cancel.
    Cancel,
    /// By closing the browser.
    CloseBrowser,
}

impl Person {
    /// One of the providers' people: `mara`, `elin`, `jonas`, `noor`, `otto`; at Canaille `nadia`, `elin`, `mara`, `piet`.
    #[must_use]
    pub fn named(sub: &str) -> Self {
        Self {
            sub: sub.to_owned(),
            password: format!("{sub}-demo"),
            declines: Vec::new(),
            stops: None,
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
            End::Closed => bail!("{} closed the browser", self.sub),
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
            End::Closed => bail!("{} closed the browser", self.sub),
        }
    }

    /// Signs in for a program that waits at a loopback address, and goes there as a browser would.
    ///
    /// # Errors
    /// As [`Person::sign_in`], and when the program does not answer.
    pub async fn sign_in_and_return(&self, url: &str) -> Result<()> {
        let back = self.sign_in(url).await?;
        Self::return_to(back).await
    }

    /// Goes back to the program that waits at a loopback address.
    ///
    /// # Errors
    /// When the program does not answer.
    pub async fn return_to(program: Url) -> Result<()> {
        let answer = client()?
            .get(program)
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
        let mut flow = Flow::new(issuer, client_id);
        flow.resource = resource.map(str::to_owned);
        flow.run(self).await?.access_token()
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
            let stop = self
                .stops
                .filter(|(at, _)| Some(*at) == which(&page))
                .map(|(_, how)| how);
            let form_here = match stop {
                Some(Stop::CloseBrowser) => return Ok(End::Closed),
                Some(Stop::Cancel) => Form::to_cancel(&page).context("find Cancel on the page")?,
                None => match Form::to_go_on(&page) {
                    Some(found) => found,
                    None => return Ok(End::LastPage(page)),
                },
            };
            url = url.join(&form_here.action).context("follow a form")?;
            form = Some(self.filled(form_here, &page));
        }
        bail!("the sign-in does not end")
    }

    /// The form's fields as this person sends them.
    fn filled(&self, form: Form, page: &str) -> Vec<(String, String)> {
        let Form { inputs, .. } = form;
        let mut fields = Vec::new();
        for Input { kind, name, value } in inputs {
            let value = match (kind.as_str(), name.as_str()) {
                (_, "login") => self.sub.clone(),
                (_, "password") => self.password.clone(),
                // Their phone shows it.
                (_, "code") => between(page, "On your phone: <code>", "<").unwrap_or_default(),
                ("checkbox", "scope") if self.declines.contains(&value) => continue,
                ("hidden" | "checkbox", _) => value,
                (_, _) => continue,
            };
            fields.push((name, value));
        }
        // Canaille's consent page has buttons with values.
        if page.contains("value=\"accept\"") {
            fields.push(("answer".to_owned(), "accept".to_owned()));
        }
        fields
    }
}

enum End {
    Elsewhere(Url),
    LastPage(String),
    Closed,
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

/// Which page it is, by what it asks for.
fn which(page: &str) -> Option<Page> {
    if page.contains("name=\"code\"") {
        Some(Page::Code)
    } else if page.contains("name=\"password\"") || page.contains("name=\"login\"") {
        Some(Page::Password)
    } else if page.contains("/confirm\"") || page.contains("value=\"accept\"") {
        Some(Page::Consent)
    } else {
        None
    }
}

/// A form of a page.
struct Form {
    action: String,
    inputs: Vec<Input>,
}

struct Input {
    kind: String,
    name: String,
    value: String,
}

impl Form {
    /// The form that goes on.
    fn to_go_on(page: &str) -> Option<Self> {
        Self::all(page).find(|form| !form.action.ends_with("/abort"))
    }

    /// The one that does not.
    fn to_cancel(page: &str) -> Option<Self> {
        Self::all(page).find(|form| form.action.ends_with("/abort"))
    }

    fn all(page: &str) -> impl Iterator<Item = Self> {
        page.split("<form ").skip(1).filter_map(|form| {
            let form = form.split("</form>").next()?;
            let inputs = form.split("<input ").skip(1).filter_map(|input| {
                let tag = input.split('>').next()?;
                Some(Input {
                    kind: between(tag, "type=\"", "\"")?,
                    name: between(tag, "name=\"", "\"")?,
                    value: between(tag, "value=\"", "\"").unwrap_or_default(),
                })
            });
            Some(Self {
                action: between(form, "action=\"", "\"")?.replace("&amp;", "&"),
                inputs: inputs.collect(),
            })
        })
    }
}

fn title(page: &str) -> String {
    between(page, "<title>", "</title>").unwrap_or_default()
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest[..rest.find(end)?].to_owned())
}
