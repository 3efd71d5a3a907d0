//! A requester's access token (`countersign token`): by the browser, or by the device flow (RFC 8628)
//! where there is none. The resource indicator (RFC 8707) makes the token good for one API only.

use std::time::Duration;

use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};

use serde_json::json;

use crate::code::{CodeRequest, Opener, Progress, Push, code_flow};
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
    /// The authentication contexts of which the sign-in must reach one (RFC 9470); any, where there are none.
    pub acr_values: Vec<String>,
    /// How long ago the person may have signed in, in seconds (RFC 9470).
    pub max_age_secs: Option<u32>,
}

/// A `max_age` below this is not portable (one of four providers loops on 0): `prompt=login` makes the sign-in fresh.
const MIN_MAX_AGE_SECS: u32 = 60;

impl TokenWish {
    /// The parameters that both flows have.
    fn more(&self) -> Vec<(&'static str, String)> {
        let mut more: Vec<(&'static str, String)> = self
            .resource
            .iter()
            .map(|at| ("resource", at.clone()))
            .collect();
        if !self.acr_values.is_empty() {
            more.push(("acr_values", self.acr_values.join(" ")));
        }
        if let Some(secs) = self.max_age_secs {
            more.push(("max_age", secs.max(MIN_MAX_AGE_SECS).to_string()));
        }
        more
    }
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
    let mut more = wish.more();
    if !wish.acr_values.is_empty() {
        // `acr_values` alone is voluntary.
        let acr = json!({"essential": true, "values": wish.acr_values});
        more.push(("claims", json!({"id_token": {"acr": acr}}).to_string()));
    }
    if wish.max_age_secs.is_some() {
        more.push(("prompt", "login".to_owned()));
    }
    let resource = wish.resource.iter().map(|at| ("resource", at.clone()));
    let request = CodeRequest {
        client_id: wish.client_id.clone(),
        scopes: wish.scopes.clone(),
        redirect_path: wish.redirect_path.clone(),
        ports: vec![0],
        more,
        more_at_token: resource.collect(),
        push: Push::WhereRequired,
        dpop: None,
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
    for (name, value) in wish.more() {
        authorization = authorization.add_extra_param(name, value);
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
    let tokens = exchange.finish(answer)?;
    exchange.same_clock()?;
    Ok(tokens)
}
