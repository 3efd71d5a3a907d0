//! The token endpoint, by the `oauth2` crate: codes, refresh tokens and device codes become tokens.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    ClientId, ErrorResponse, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _,
};
use serde::{Deserialize, Serialize};

use countersign_evidence::SecretKey;

use crate::dpop::Dpop;
use crate::error::OidcError;
use crate::http::{ahead_secs, same_clock};
use crate::provider::Provider;

/// What a token endpoint gave.
#[derive(Clone)]
pub struct Tokens {
    /// For APIs.
    pub access_token: String,
    /// Who signed in, where the provider says so.
    pub id_token: Option<String>,
    /// For more of both, where the provider gives one.
    pub refresh_token: Option<String>,
    /// Life of the access token in seconds, where the provider says so.
    pub expires_in: Option<u64>,
    /// What was granted; `None`: what was asked for (RFC 6749, 5.1).
    pub scopes: Option<Vec<String>>,
    /// The access token is bound to our key (RFC 9449).
    pub is_bound: bool,
}

impl fmt::Debug for Tokens {
    /// Never shows a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("id_token", &self.id_token.is_some())
            .field("refresh_token", &self.refresh_token.is_some())
            .field("expires_in", &self.expires_in)
            .field("scopes", &self.scopes)
            .field("is_bound", &self.is_bound)
            .finish_non_exhaustive()
    }
}

/// The member that OpenID Connect adds to OAuth's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IdTokenField {
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}
impl oauth2::ExtraTokenFields for IdTokenField {}

pub(crate) type Answer = StandardTokenResponse<IdTokenField, BasicTokenType>;
pub(crate) type Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

pub(crate) fn client(client_id: &str) -> Client {
    Client::new(ClientId::new(client_id.to_owned()))
}

/// Gets new tokens by a refresh token. The answer may lack an ID token or a new refresh token: keep the
/// old one then. A clock that is off is not said here: the old refresh token may be used up, so the new one must
/// reach the caller whatever else is wrong. A refresh token that is bound to a key is used with a proof by it.
///
/// # Errors
/// [`OidcError::Refused`] with `invalid_grant` when the refresh token is no good any more.
pub async fn refresh(
    provider: &Provider,
    client_id: &str,
    refresh_token: &str,
    key: Option<&SecretKey>,
) -> Result<Tokens, OidcError> {
    let metadata = provider.metadata().await?;
    let client = client(client_id)
        .set_token_uri(oauth2::TokenUrl::from_url(metadata.token_endpoint.clone()));
    let refresh_token = RefreshToken::new(refresh_token.to_owned());
    let dpop = key.map(|key| Dpop::new(key.clone(), provider.clock()));
    let exchange = Exchange::with(provider, dpop);
    let answer = client
        .exchange_refresh_token(&refresh_token)
        .request_async(&exchange.transport())
        .await;
    exchange.finish(answer)
}

/// One conversation with a token endpoint: remembers the provider's clock and the transport's own error,
/// which the `oauth2` crate would reduce to text.
pub(crate) struct Exchange<'a> {
    provider: &'a Provider,
    /// Ours minus theirs, where the answer named a date.
    ahead_secs: Arc<Mutex<Option<i64>>>,
    dpop: Option<Dpop>,
}

/// Boxed, because the `oauth2` crate's futures are not `Send` for closures that borrow.
type Sending = Pin<Box<dyn Future<Output = Result<HttpResponse, OidcError>> + Send>>;

impl<'a> Exchange<'a> {
    pub(crate) fn new(provider: &'a Provider) -> Self {
        Self::with(provider, None)
    }

    /// Each request with a proof of possession.
    pub(crate) fn with(provider: &'a Provider, dpop: Option<Dpop>) -> Self {
        Self {
            provider,
            ahead_secs: Arc::default(),
            dpop,
        }
    }

    /// What the `oauth2` crate sends by.
    pub(crate) fn transport(&self) -> impl Fn(HttpRequest) -> Sending + Send + Sync + 'static {
        let (http, clock) = (self.provider.http().clone(), self.provider.clock());
        let known = Arc::clone(&self.ahead_secs);
        let dpop = self.dpop.clone();
        move |request| {
            let (http, dpop) = (http.clone(), dpop.clone());
            let (clock, known) = (Arc::clone(&clock), Arc::clone(&known));
            Box::pin(async move {
                let asked_at = clock.now();
                let (response, theirs) = match dpop {
                    Some(dpop) => dpop.send(&http, request).await?,
                    None => http.oauth(request).await?,
                };
                if let Ok(mut known) = known.lock() {
                    *known = theirs.map(|theirs| ahead_secs(theirs, asked_at, clock.now()));
                }
                Ok(response)
            })
        }
    }

    pub(crate) fn finish<E>(
        &self,
        answer: Result<Answer, RequestTokenError<OidcError, E>>,
    ) -> Result<Tokens, OidcError>
    where
        E: ErrorResponse + OAuthCode + 'static,
    {
        let answer = answer.map_err(refused)?;
        Ok(Tokens {
            is_bound: answer.token_type().as_ref().eq_ignore_ascii_case("DPoP"),
            access_token: answer.access_token().secret().clone(),
            id_token: answer.extra_fields().id_token.clone(),
            refresh_token: answer.refresh_token().map(|token| token.secret().clone()),
            expires_in: answer.expires_in().map(|life| life.as_secs()),
            scopes: answer.scopes().map(|scopes| {
                scopes
                    .iter()
                    .map(|scope| scope.as_str().to_owned())
                    .collect()
            }),
        })
    }
}

impl Exchange<'_> {
    /// Whether the provider's clock, as its answer had it, is ours. Asked after the tokens are safe.
    pub(crate) fn same_clock(&self) -> Result<(), OidcError> {
        same_clock(self.ahead_secs.lock().ok().and_then(|known| *known))
    }
}

/// The code of an OAuth error, whichever endpoint it came from.
pub(crate) trait OAuthCode {
    fn code(&self) -> String;
}
impl OAuthCode for BasicErrorResponse {
    fn code(&self) -> String {
        self.error().to_string()
    }
}
impl OAuthCode for oauth2::DeviceCodeErrorResponse {
    fn code(&self) -> String {
        self.error().to_string()
    }
}

pub(crate) fn refused<E: ErrorResponse + OAuthCode + 'static>(
    error: RequestTokenError<OidcError, E>,
) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(answer) => by_code(&answer.code()),
        RequestTokenError::Request(error) => error,
        RequestTokenError::Parse(_, _) => OidcError::BadProvider {
            what: "its token endpoint did not answer in JSON as OAuth has it".to_owned(),
        },
        RequestTokenError::Other(why) => OidcError::BadProvider { what: why },
    }
}

/// An OAuth error code as one of ours. The text is kept only as far as it looks like a code.
pub(crate) fn by_code(code: &str) -> OidcError {
    let code: String = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c))
        .take(64)
        .collect();
    match code.as_str() {
        "access_denied" => OidcError::Declined,
        "expired_token" => OidcError::TimedOut { minutes: 10 },
        _ => OidcError::Refused { code },
    }
}
