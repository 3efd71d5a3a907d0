//! OpenID Connect Discovery 1.0: where a provider's endpoints are. Strict about the issuer, because
//! everything else rests on it; indifferent to members that we do not use.

use serde::Deserialize;
use url::Url;

use countersign_evidence::Alg;
use countersign_model::Issuer;

use crate::code::BOUND_KEY;
use crate::error::OidcError;
use crate::http::{Answer, Http, acceptable};

/// What we use of a provider's metadata.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where codes become tokens.
    pub token_endpoint: Url,
    /// The provider's keys.
    pub jwks_uri: Url,
    /// RFC 8628, where there is one.
    pub device_authorization_endpoint: Option<Url>,
    /// RFC 9207: `iss` comes with each redirect.
    pub issuer_in_redirect: bool,
    /// RFC 9126, where there is one.
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// RFC 9126: requests that are not pushed are refused.
    pub push_required: bool,
    /// RFC 9449: the algorithms of DPoP proofs that its token endpoint takes; none where it does no DPoP.
    pub dpop_algorithms: Vec<String>,
    /// What it says that it supports, where it says so.
    pub scopes: Vec<String>,
}

impl Metadata {
    /// Whether its token endpoint takes proofs of possession by this algorithm.
    pub(crate) fn takes_proofs_by(&self, alg: Alg) -> bool {
        let mut known = self.dpop_algorithms.iter();
        known.any(|known| known == alg.as_str())
    }

    /// The kind of key that it binds ID tokens to, where it says that it does (OpenID Connect Key Binding 1.0, section
    /// 6): a software key as all others are where it takes one, else a P-256 key.
    #[must_use]
    pub fn binds_keys(&self) -> Option<Alg> {
        let offered = self.scopes.iter().any(|scope| scope == BOUND_KEY);
        [Alg::Ed25519, Alg::Es256]
            .into_iter()
            .find(|alg| offered && self.takes_proofs_by(*alg))
    }
}

/// The members as they stand in the document.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    pushed_authorization_request_endpoint: Option<String>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Reads the provider's metadata.
///
/// # Errors
/// [`OidcError::ProviderUnreachable`] without a usable answer; [`OidcError::BadProvider`] when the
/// document is not one, names another issuer, or points to an unacceptable place.
pub(crate) async fn discover(
    http: &Http,
    issuer: &Issuer,
) -> Result<(Metadata, Answer), OidcError> {
    let bad = |what: String| OidcError::BadProvider { what };
    let address = format!(
        "{}/.well-known/openid-configuration",
        issuer.as_str().trim_end_matches('/')
    );
    let address =
        Url::parse(&address).map_err(|_| bad(format!("the issuer `{issuer}` is not a URL")))?;
    let answer = http.get(&address).await?;
    if answer.status != 200 {
        return Err(bad(format!(
            "its discovery document at {address} answered {}",
            answer.status
        )));
    }
    let metadata = read(&answer.body, issuer)?;
    Ok((metadata, answer))
}

fn read(body: &[u8], issuer: &Issuer) -> Result<Metadata, OidcError> {
    let bad = |what: String| OidcError::BadProvider { what };
    let document: Document = serde_json::from_slice(body)
        .map_err(|error| bad(format!("its discovery document cannot be read: {error}")))?;
    // Compared as it stands, octet by octet (Discovery, 4.3): no trailing slash is forgiven.
    if document.issuer != issuer.as_str() {
        return Err(bad(format!(
            "its discovery document names the issuer `{}`, not `{issuer}`",
            document.issuer
        )));
    }
    if document
        .code_challenge_methods_supported
        .is_some_and(|methods| !methods.iter().any(|method| method == "S256"))
    {
        return Err(bad("it does not support PKCE with S256".to_owned()));
    }
    let endpoint = |name: &str, text: &str| -> Result<Url, OidcError> {
        let url = Url::parse(text).map_err(|_| bad(format!("its `{name}` is not a URL")))?;
        acceptable(&url)?;
        Ok(url)
    };
    Ok(Metadata {
        authorization_endpoint: endpoint(
            "authorization_endpoint",
            &document.authorization_endpoint,
        )?,
        token_endpoint: endpoint("token_endpoint", &document.token_endpoint)?,
        jwks_uri: endpoint("jwks_uri", &document.jwks_uri)?,
        device_authorization_endpoint: document
            .device_authorization_endpoint
            .map(|text| endpoint("device_authorization_endpoint", &text))
            .transpose()?,
        issuer_in_redirect: document.authorization_response_iss_parameter_supported,
        pushed_authorization_request_endpoint: document
            .pushed_authorization_request_endpoint
            .map(|text| endpoint("pushed_authorization_request_endpoint", &text))
            .transpose()?,
        push_required: document.require_pushed_authorization_requests,
        dpop_algorithms: document.dpop_signing_alg_values_supported,
        scopes: document.scopes_supported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Result<Metadata, OidcError> {
        let mut value = serde_json::json!({
            "issuer": "https://id.example/realm",
            "authorization_endpoint": "https://id.example/realm/auth",
            "token_endpoint": "https://id.example/realm/token",
            "jwks_uri": "https://keys.example/realm",
            "unknown_member": {"x": 1.5},
        });
        change(&mut value);
        read(
            value.to_string().as_bytes(),
            &Issuer::parse("https://id.example/realm").unwrap(),
        )
    }

    #[test]
    fn reads_what_is_used_and_ignores_the_rest() {
        let metadata = document(|_| ()).unwrap();
        assert_eq!(metadata.jwks_uri.as_str(), "https://keys.example/realm");
        assert!(!metadata.issuer_in_redirect);
        assert!(metadata.device_authorization_endpoint.is_none());
    }

    #[test]
    fn issuer_is_compared_exactly() {
        for other in [
            "https://id.example/realm/",
            "https://ID.example/realm",
            "https://id.example/other",
            "",
        ] {
            let error = document(|value| value["issuer"] = other.into()).unwrap_err();
            assert_eq!(error.code(), "bad_provider", "{other}");
        }
    }

    #[test]
    fn endpoints_are_https_or_on_this_computer() {
        for (place, ok) in [
            ("http://127.0.0.1:1/token", true),
            ("http://[::1]:1/token", true),
            ("http://id.example/token", false),
            ("http://169.254.169.254/latest", false),
            ("file:///etc/passwd", false),
            ("https://someone:secret@id.example/token", false),
            ("/token", false),
        ] {
            let read = document(|value| value["token_endpoint"] = place.into());
            assert_eq!(read.is_ok(), ok, "{place}");
        }
    }

    #[test]
    fn keys_are_bound_where_the_provider_says_so_and_takes_our_proofs() {
        for (scopes, algorithms, binds) in [
            (
                vec!["openid", "bound_key"],
                vec!["ES256", "Ed25519"],
                Some(Alg::Ed25519),
            ),
            (
                vec!["openid", "bound_key"],
                vec!["RS256", "ES256"],
                Some(Alg::Es256),
            ),
            (vec!["openid", "bound_key"], vec!["RS256"], None),
            (vec!["openid", "bound_key"], vec![], None),
            (vec!["openid", "bound_keys"], vec!["ES256"], None),
        ] {
            let read = document(|value| {
                value["scopes_supported"] = serde_json::json!(scopes);
                value["dpop_signing_alg_values_supported"] = serde_json::json!(algorithms);
            });
            assert_eq!(
                read.unwrap().binds_keys(),
                binds,
                "{scopes:?} {algorithms:?}"
            );
        }
    }

    #[test]
    fn pkce_without_s256_is_refused() {
        assert!(
            document(
                |value| value["code_challenge_methods_supported"] = serde_json::json!(["plain"])
            )
            .is_err()
        );
        assert!(
            document(|value| value["code_challenge_methods_supported"] =
                serde_json::json!(["plain", "S256"]))
            .is_ok()
        );
    }
}
