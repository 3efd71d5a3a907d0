//! The code flow with PKCE, by hand: what a requester's program does, and what an attacker would try. Countersign's own
//! sign-in and step-up are not here; they are the parts under test.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_evidence::{SecretKey, dpop};
use countersign_model::UnixSecs;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::person::{Person, client};

/// Nobody listens there: the answer is read from the redirect itself.
pub const NOWHERE: &str = "http://127.0.0.1:1/callback";

/// One authorization request.
#[derive(Clone)]
pub struct Flow {
    /// The provider.
    pub issuer: String,
    /// Which client asks.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect: String,
    /// The scopes.
    pub scope: String,
    /// Whom the access token is for.
    pub resource: Option<String>,
    /// The nonce.
    pub nonce: String,
    /// `prompt=login&max_age=60`.
    pub fresh: bool,
    /// The essential `acr`.
    pub acr: Option<String>,
    /// A key to bind the tokens to, and the time for its proof.
    pub dpop: Option<(SecretKey, UnixSecs)>,
}

/// What the token endpoint answered.
#[derive(Debug, Clone)]
pub struct Tokens(Value);

impl Tokens {
    /// The ID token.
    ///
    /// # Errors
    /// When there is none.
    pub fn id_token(&self) -> Result<String> {
        self.text("id_token")
    }

    /// The access token.
    ///
    /// # Errors
    /// When there is none.
    pub fn access_token(&self) -> Result<String> {
        self.text("access_token")
    }

    /// The refresh token.
    ///
    /// # Errors
    /// When there is none.
    pub fn refresh_token(&self) -> Result<String> {
        self.text("refresh_token")
    }

    /// Whether the answer has such a member.
    #[must_use]
    pub fn has(&self, member: &str) -> bool {
        self.0.get(member).is_some()
    }

    fn text(&self, member: &str) -> Result<String> {
        let found = self.0[member].as_str();
        found
            .map(str::to_owned)
            .with_context(|| format!("the provider gives no {member}: {}", self.0["error"]))
    }
}

/// The claims of a token, not verified.
///
/// # Errors
/// When it is not a JWT.
pub fn claims(token: &str) -> Result<Value> {
    let part = token.split('.').nth(1).context("find the token's claims")?;
    let bytes = URL_SAFE_NO_PAD.decode(part).context("decode the claims")?;
    serde_json::from_slice(&bytes).context("read the claims")
}

impl Flow {
    /// An ordinary sign-in for a client of this provider.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            redirect: NOWHERE.to_owned(),
            scope: "openid profile email groups".to_owned(),
            resource: None,
            nonce: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
            fresh: false,
            acr: None,
            dpop: None,
        }
    }

    /// Carries it out: the person at the pages, then the token endpoint.
    ///
    /// # Errors
    /// When the person or the provider refuses.
    pub async fn run(&self, person: &Person) -> Result<Tokens> {
        let endpoints = self.discover().await?;
        let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let state = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        let url = self.request(&endpoints, &verifier, &state)?;
        let back = person.sign_in(url.as_str()).await?;
        let answer: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        ensure!(
            answer.get("state") == Some(&state),
            "the provider answers with another state"
        );
        let code = answer
            .get("code")
            .with_context(|| format!("the provider gives no code: {:?}", answer.get("error")))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("client_id", &self.client_id),
            ("code_verifier", &verifier),
        ];
        self.token(&endpoints, &form).await
    }

    /// New tokens for a refresh token.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        let endpoints = self.discover().await?;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.client_id),
        ];
        self.token(&endpoints, &form).await
    }

    fn request(&self, endpoints: &Value, verifier: &str, state: &str) -> Result<Url> {
        let start = endpoints["authorization_endpoint"].as_str();
        let mut url = Url::parse(start.context("find the authorization endpoint")?)
            .context("read the authorization endpoint")?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &self.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("scope", &self.scope)
            .append_pair(
                "code_challenge",
                &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            )
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state)
            .append_pair("nonce", &self.nonce);
        if let Some(resource) = &self.resource {
            query.append_pair("resource", resource);
        }
        if self.fresh {
            query
                .append_pair("prompt", "login")
                .append_pair("max_age", "60");
        }
        if let Some(acr) = &self.acr {
            let claims = json!({ "id_token": { "acr": { "essential": true, "values": [acr] } } });
            query.append_pair("claims", &claims.to_string());
        }
        if let Some((key, _)) = &self.dpop {
            query.append_pair("dpop_jkt", &key.public().thumbprint());
        }
        drop(query);
        Ok(url)
    }

    async fn token(&self, endpoints: &Value, form: &[(&str, &str)]) -> Result<Tokens> {
        let endpoint = endpoints["token_endpoint"]
            .as_str()
            .context("find the token endpoint")?;
        let mut request = client()?.post(endpoint).form(form);
        if let Some((key, now)) = &self.dpop {
            let jti = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
            let proof = dpop::make(key, "POST", endpoint, None, None, *now, &jti);
            request = request.header("dpop", proof);
        }
        let answer = request.send().await.context("ask for tokens")?;
        Ok(Tokens(answer.json().await.context("read the tokens")?))
    }

    async fn discover(&self) -> Result<Value> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let answer = client()?.get(url).send().await;
        let document = answer.context("ask the provider about itself")?.json();
        document.await.context("read what the provider says")
    }
}
