//! A requester's access token (`countersign token`): by the browser, or by the device flow (RFC 8628)
//! where there is none. The resource indicator (RFC 8707) makes the token good for one API only.

use std::time::Duration;

use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};

use crate::code::{CodeRequest, Opener, Progress, code_flow};
use crate::error::OidcError;
use crate::provider::Provider;
use crate::tokens::{Exchange, Tokens, client, refused};

/// What to ask for.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// The public, native client.
    pub client_id: String,
    /// Scopes, space-separated on the wire.
    pub scopes: Vec<String>,
    /// The API that the token is for.
    pub resource: Option<String>,
    /// The registered path, such as `/callback`; unused by the device flow.
    pub redirect_path: String,
}

/// What a person does on another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// Where to go.
    pub verification_uri: String,
    /// What to type there.
    pub user_code: String,
    /// The same address with the code filled in, where the provider gives one.
    pub complete_uri: Option<String>,
    /// How long it is good for, in seconds.
    pub expires_in: u64,
}

/// Gets a token by the browser of this computer.
///
/// # Errors
/// Whatever keeps it from ending with a token.
pub async fn token_by_browser(
    provider: &Provider,
    wish: &TokenWish,
    opener: &dyn Opener,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Tokens, OidcError> {
    let resource: Vec<(&'static str, String)> = wish
        .resource
        .iter()
        .map(|at| ("resource", at.clone()))
        .collect();
    let request = CodeRequest {
        client_id: wish.client_id.clone(),
        scopes: wish.scopes.clone(),
        redirect_path: wish.redirect_path.clone(),
        ports: vec![0],
        more: resource.clone(),
        more_at_token: resource,
    };
    code_flow(provider, &request, opener, tell).await
}

/// Gets a token by another device. `show` is called once, before the waiting.
///
/// # Errors
/// [`OidcError::BadProvider`] where the provider has no device flow; else whatever ends it.
pub async fn token_by_device(
    provider: &Provider,
    wish: &TokenWish,
    show: &(dyn Fn(&DevicePrompt) + Send + Sync),
) -> Result<Tokens, OidcError> {
    let metadata = provider.metadata_in_time().await?;
    let endpoint = metadata
        .device_authorization_endpoint
        .clone()
        .ok_or_else(|| OidcError::BadProvider {
            what: "it has no device flow: use the browser".to_owned(),
        })?;
    let client = client(&wish.client_id)
        .set_device_authorization_url(DeviceAuthorizationUrl::from_url(endpoint))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()));
    let exchange = Exchange::new(provider);
    let send = exchange.transport();

    let mut authorization = client
        .exchange_device_code()
        .add_scopes(wish.scopes.iter().cloned().map(Scope::new));
    if let Some(resource) = &wish.resource {
        authorization = authorization.add_extra_param("resource", resource);
    }
    let details: StandardDeviceAuthorizationResponse =
        authorization.request_async(&send).await.map_err(refused)?;
    show(&DevicePrompt {
        verification_uri: details.verification_uri().to_string(),
        user_code: details.user_code().secret().clone(),
        complete_uri: details
            .verification_uri_complete()
            .map(|uri| uri.secret().clone()),
        expires_in: details.expires_in().as_secs(),
    });

    let mut token = client.exchange_device_access_token(&details);
    if let Some(resource) = &wish.resource {
        token = token.add_extra_param("resource", resource);
    }
    // RFC 8628, 3.5 asks for at least the interval that the provider named; a bound keeps a wrong one harmless.
    let pause = |interval: Duration| tokio::time::sleep(interval.min(Duration::from_secs(60)));
    let answer = token.request_async(&send, pause, None).await;
    exchange.finish(answer)
}
