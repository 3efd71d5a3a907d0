//! The HTTP client for providers: bounded in time and size, follows no redirect, speaks TLS by ring.
//!
//! It is deliberately not a general client: it reads small JSON documents and answers of token
//! endpoints, and it compares the provider's clock with our own on the way.

use std::net::IpAddr;
use std::time::Duration;

use oauth2::{HttpRequest, HttpResponse};
use url::{Host, Url};

use countersign_model::UnixSecs;

use crate::error::OidcError;

/// The largest document or answer that is read from a provider, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// How long one exchange with a provider may take.
pub const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// How far two clocks may differ, in seconds (protocol, section 1).
pub const CLOCK_SKEW_SECS: i64 = 60;

/// A client for one provider.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The provider's clock, by its `Date` header.
    pub(crate) date: Option<UnixSecs>,
}

impl Http {
    /// A client for the host of `base`: through the proxy that `proxy` names for it, or as the environment says. Loopback
    /// hosts are never reached through a proxy.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates.
    pub(crate) fn new(base: &Url, proxy: Option<reqwest::Proxy>) -> Result<Self, OidcError> {
        // The first caller in the process wins; a second installation is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(5))
            .timeout(EXCHANGE_LIMIT)
            // A provider closes a quiet connection whenever it likes (Node after 5 s, which is about how long a person
            // is at its pages): a code sent on one just then is lost, and with it the sign-in. None is kept.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if is_loopback(base) {
            builder = builder.no_proxy();
        } else if let Some(proxy) = proxy {
            builder = builder.no_proxy().proxy(proxy);
        }
        if base.scheme() == "http" {
            // No TLS there: the system's root certificates need not be there either.
            builder = builder.tls_certs_only([]);
        }
        let client = builder
            .build()
            .map_err(|error| OidcError::Setup { why: chain(&error) })?;
        Ok(Self { client })
    }

    /// Reads a document.
    pub(crate) async fn get(&self, url: &Url) -> Result<Answer, OidcError> {
        acceptable(url)?;
        let request = self
            .client
            .get(url.clone())
            .header("accept", "application/json");
        self.exchange(url, request).await
    }

    /// Sends a form.
    pub(crate) async fn post_form(
        &self,
        url: &Url,
        form: &[(String, String)],
    ) -> Result<Answer, OidcError> {
        acceptable(url)?;
        let request = self
            .client
            .post(url.clone())
            .header("accept", "application/json")
            .form(form);
        self.exchange(url, request).await
    }

    /// Sends a request that the `oauth2` crate made.
    pub(crate) async fn oauth(
        &self,
        request: HttpRequest,
    ) -> Result<(HttpResponse, Option<UnixSecs>), OidcError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| OidcError::BadProvider {
            what: "one of the provider's endpoints is not a URL".to_owned(),
        })?;
        acceptable(&url)?;
        let request = self
            .client
            .request(parts.method, url.clone())
            .headers(parts.headers)
            .body(body);
        let answer = self.exchange(&url, request).await?;
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() =
            oauth2::http::StatusCode::from_u16(answer.status).map_err(|_| {
                OidcError::BadProvider {
                    what: "the provider answered with an impossible status".to_owned(),
                }
            })?;
        *response.headers_mut() = answer.headers;
        Ok((response, answer.date))
    }

    async fn exchange(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, OidcError> {
        let unreachable = |error: &reqwest::Error| OidcError::ProviderUnreachable {
            host: host_of(url),
            why: chain(error),
        };
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(&error))?
        {
            if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(OidcError::BadProvider {
                    what: format!(
                        "{} answered with more than {MAX_DOCUMENT_BYTES} bytes",
                        host_of(url)
                    ),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let date = headers
            .get("date")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .map(UnixSecs);
        Ok(Answer {
            status,
            headers,
            body,
            date,
        })
    }
}

/// How far our clock is ahead of the other side's, in seconds: not at all where their time lies between our question and
/// their answer, since a computer may sleep, or its clock be set, in between.
pub(crate) fn ahead_secs(theirs: UnixSecs, asked_at: UnixSecs, now: UnixSecs) -> i64 {
    theirs.clamp(asked_at.min(now), asked_at.max(now)) - theirs
}

/// Refuses when the other side's clock and ours differ by more than [`CLOCK_SKEW_SECS`].
pub(crate) fn same_clock(ahead_secs: Option<i64>) -> Result<(), OidcError> {
    match ahead_secs {
        Some(ahead_secs) if ahead_secs.abs() > CLOCK_SKEW_SECS => {
            Err(OidcError::ClockOff { ahead_secs })
        }
        Some(_) | None => Ok(()),
    }
}

/// `https`, or `http` on loopback: nothing else is spoken to.
pub(crate) fn acceptable(url: &Url) -> Result<(), OidcError> {
    let ok = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    } && url.username().is_empty()
        && url.password().is_none()
        && url.host().is_some();
    if ok {
        Ok(())
    } else {
        Err(OidcError::BadProvider {
            what: format!("`{}` is neither https nor on this computer", host_of(url)),
        })
    }
}

/// Whether the host is this computer. `localhost` counts: resolvers must not send it elsewhere (RFC 6761).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

pub(crate) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// The innermost cause: it is what tells "connection refused" from "no such host". URLs are left out,
/// because queries may carry secrets.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        String::new()
    };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if !error.is_timeout() {
            text = inner.to_string();
        }
        source = inner.source();
    }
    if text.is_empty() {
        "the exchange failed".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_by_what_no_pause_explains() {
        for (theirs, asked_at, now, ahead) in [
            (100, 100, 101, 0),
            // Asleep before the answer was read, and a clock that was set back meanwhile.
            (100, 100, 28_900, 0),
            (100, 3_700, 90, 0),
            (100, 170, 171, 70),
            (100, 20, 30, -70),
        ] {
            let found = ahead_secs(UnixSecs(theirs), UnixSecs(asked_at), UnixSecs(now));
            assert_eq!(found, ahead, "{theirs} {asked_at} {now}");
        }
    }
}
