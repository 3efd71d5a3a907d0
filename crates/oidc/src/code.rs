//! The authorization code flow with PKCE S256 in the system browser, answered on loopback (RFC 8252).
//! Shared by an approver's sign-in and step-up and a requester's token; what differs is in the parameters.
//!
//! Where it is wished for, the request goes to the provider directly first (RFC 9126): the browser then carries a
//! reference, and nobody between can change what is asked for.

use std::time::Duration;

use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, TokenUrl,
};
use url::Url;

use countersign_evidence::SecretKey;

use crate::discovery::Metadata;
use crate::dpop::Dpop;
use crate::error::OidcError;
use crate::loopback::{Expected, Loopback, Redirect};
use crate::provider::Provider;
use crate::tokens::{Exchange, Tokens, by_code, client};

/// How long the person has.
pub const REDIRECT_LIMIT: Duration = Duration::from_secs(300);

/// Opens the system browser. What is told about a failure goes to the person, who may open the address
/// by hand: the sign-in goes on waiting.
pub trait Opener: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// In plain words, when there is no browser or it cannot be started.
    fn open(&self, url: &Url) -> Result<(), String>;
}

/// What happens while the browser has its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The browser was asked to go there; `Err` says why it could not be.
    Waiting {
        /// To open by hand. Holds no secret: state and nonce serve this one attempt.
        url: Url,
        /// Whether the browser was started.
        browser: Result<(), String>,
    },
    /// The redirect came; the code is being exchanged.
    Answered,
}

/// What to ask for.
#[derive(Debug, Clone)]
pub struct CodeRequest {
    /// The public, native client.
    pub client_id: String,
    /// With `openid` where an ID token is wanted.
    pub scopes: Vec<String>,
    /// The registered path, such as `/callback`.
    pub redirect_path: String,
    /// Ports to try, in order; 0 lets the system choose (for providers that compare ports: a list).
    pub ports: Vec<u16>,
    /// More parameters of the authorization request.
    pub more: Vec<(&'static str, String)>,
    /// More parameters of the token request.
    pub more_at_token: Vec<(&'static str, String)>,
    /// Whether the request is pushed.
    pub push: Push,
    /// The key that tokens are bound to: `dpop_jkt` in the request, a proof at the token endpoint (RFC 9449).
    pub dpop: Option<TokenKey>,
}

/// A key, and which tokens are bound to it.
#[derive(Debug, Clone)]
pub enum TokenKey {
    /// The access token (RFC 9449).
    OfAccess(SecretKey),
    /// The ID token as well (OpenID Connect Key Binding 1.0): the scope [`BOUND_KEY`], and a proof that names the code.
    OfIdToken(SecretKey),
}

impl TokenKey {
    fn key(&self) -> &SecretKey {
        match self {
            Self::OfAccess(key) | Self::OfIdToken(key) => key,
        }
    }
}

/// The scope that asks for an ID token that is bound to a key, and by which a provider says that it makes them.
pub const BOUND_KEY: &str = "bound_key";

/// Whether an authorization request is pushed to the provider (RFC 9126).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Wherever the provider offers it.
    WhereOffered,
    /// Only where the provider takes no other.
    WhereRequired,
}

/// Runs the flow once. Dropping the future gives up: the listener closes.
///
/// # Errors
/// Whatever keeps it from ending with tokens.
pub async fn code_flow(
    provider: &Provider,
    request: &CodeRequest,
    opener: &dyn Opener,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Tokens, OidcError> {
    let metadata = provider.metadata_in_time().await?;
    // Bound only now, just before the browser opens.
    let loopback = Loopback::bind(&request.ports).await?;
    let redirect_uri =
        RedirectUrl::new(loopback.redirect_uri(&request.redirect_path)).map_err(|_| {
            OidcError::BadProvider {
                what: format!("the redirect path `{}` is not one", request.redirect_path),
            }
        })?;
    let client = client(&request.client_id)
        .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
        .set_redirect_uri(redirect_uri);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut authorization = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(request.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge);
    for (name, value) in &request.more {
        authorization = authorization.add_extra_param(*name, value);
    }
    let jkt = request
        .dpop
        .as_ref()
        .map(|bound| bound.key().public().thumbprint());
    if let Some(TokenKey::OfIdToken(_)) = &request.dpop {
        authorization = authorization.add_scope(Scope::new(BOUND_KEY.to_owned()));
    }
    if let Some(jkt) = &jkt {
        authorization = authorization.add_extra_param("dpop_jkt", jkt);
    }
    let (url, state) = authorization.url();
    let url = pushed(provider, &metadata, request, url).await?;
    let browser = opener.open(&url);
    if let Err(why) = &browser {
        tracing::warn!("the browser could not be opened: {why}");
    }
    tell(Progress::Waiting { url, browser });

    let expected = Expected {
        state: state.secret().clone(),
        issuer: provider.issuer().as_str().to_owned(),
        issuer_required: metadata.issuer_in_redirect,
        path: request.redirect_path.clone(),
    };
    let code = match loopback.redirect(expected, REDIRECT_LIMIT).await? {
        Redirect::Code(code) => AuthorizationCode::new(code),
        Redirect::Error(code) => return Err(by_code(&code)),
    };
    tell(Progress::Answered);
    let dpop = request.dpop.as_ref().map(|bound| {
        let dpop = Dpop::new(bound.key().clone(), provider.clock());
        match bound {
            TokenKey::OfAccess(_) => dpop,
            TokenKey::OfIdToken(_) => dpop.for_code(code.secret()),
        }
    });
    let exchange = Exchange::with(provider, dpop);
    let mut token = client.exchange_code(code).set_pkce_verifier(verifier);
    for (name, value) in &request.more_at_token {
        token = token.add_extra_param(*name, value);
    }
    let answer = token.request_async(&exchange.transport()).await;
    let tokens = exchange.finish(answer)?;
    exchange.same_clock()?;
    Ok(tokens)
}

/// The address for the browser: as it is, or a reference to what was pushed.
async fn pushed(
    provider: &Provider,
    metadata: &Metadata,
    request: &CodeRequest,
    url: Url,
) -> Result<Url, OidcError> {
    let endpoint = match (
        &metadata.pushed_authorization_request_endpoint,
        request.push,
    ) {
        (Some(endpoint), Push::WhereOffered) => endpoint,
        (Some(endpoint), Push::WhereRequired) if metadata.push_required => endpoint,
        (Some(_) | None, _) => return Ok(url),
    };
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let answer = provider.http().post_form(endpoint, &parameters).await?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // RFC 9126, 2.2 has 201; some answer 200.
    let reference = match (answer.status, body["request_uri"].as_str()) {
        (200 | 201, Some(reference)) => reference,
        _ => {
            return Err(match body["error"].as_str() {
                Some(code) => by_code(code),
                None => OidcError::BadProvider {
                    what: format!(
                        "its endpoint for pushed requests answered {} without a reference",
                        answer.status
                    ),
                },
            });
        }
    };
    let mut short = metadata.authorization_endpoint.clone();
    short
        .query_pairs_mut()
        .append_pair("client_id", &request.client_id)
        .append_pair("request_uri", reference);
    Ok(short)
}
