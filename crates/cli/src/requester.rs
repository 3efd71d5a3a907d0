//! A requester's configuration (`requester.toml`), overridden by flags, and getting a token by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use countersign_model::Issuer;
use countersign_oidc::{
    DevicePrompt, OidcError, Provider, TokenWish, token_by_browser, token_by_device,
};
use serde::Deserialize;

use crate::browser::{self, Browser};
use crate::challenge::Challenge;
use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::terminal::safe;

/// `requester.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: Option<String>,
    client_id: Option<String>,
    resource: Option<String>,
    scopes: Option<Vec<String>>,
    redirect_path: Option<String>,
    server: Option<String>,
}

/// Whom to get a token from, and for what.
#[derive(Debug, Clone, Args)]
pub(crate) struct RequesterArgs {
    /// The configuration file [default: requester.toml in the user's configuration folder, if there].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The identity provider's issuer.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The public client at the provider.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The API that the token is for (RFC 8707).
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// A scope to ask for; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A scope to ask for besides the configured ones; may be given several times.
    #[arg(long = "add-scope", value_name = "SCOPE")]
    add_scopes: Vec<String>,
    /// An authentication context that the sign-in must reach; of several, one.
    #[arg(long = "acr", value_name = "ACR")]
    acr_values: Vec<String>,
    /// How long ago the sign-in may have been, in seconds.
    #[arg(long = "max-age", value_name = "SECONDS")]
    max_age_secs: Option<u32>,
    /// What an API's `WWW-Authenticate` asks for (`insufficient_scope`, `insufficient_user_authentication`).
    #[arg(long, value_name = "HEADER")]
    for_challenge: Option<String>,
    /// Sign in on another device, by a code.
    #[arg(long)]
    device: bool,
    /// Print the address instead of opening a browser.
    #[arg(long)]
    no_browser: bool,
}

/// What was asked for, file and flags together.
pub(crate) struct Requester {
    issuer: Option<String>,
    client_id: Option<String>,
    resource: Option<String>,
    scopes: Vec<String>,
    acr_values: Vec<String>,
    max_age_secs: Option<u32>,
    redirect_path: String,
    /// The approval server, where the file names one.
    pub(crate) server: Option<String>,
    device: bool,
    browser: Browser,
}

impl Requester {
    /// Reads the file, if there is one; flags win.
    pub(crate) fn read(args: &RequesterArgs) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => match default_path() {
                Some(path) if path.exists() => read(&path)?,
                Some(_) | None => File::default(),
            },
        };
        let File {
            issuer,
            client_id,
            resource,
            scopes,
            redirect_path,
            server,
        } = file;
        let mut requester = Self {
            issuer: args.issuer.clone().or(issuer),
            client_id: args.client.clone().or(client_id),
            resource: args.resource.clone().or(resource),
            scopes: if args.scopes.is_empty() {
                scopes.unwrap_or_else(|| {
                    ["openid", "profile", "email", "groups"]
                        .map(str::to_owned)
                        .to_vec()
                })
            } else {
                args.scopes.clone()
            },
            acr_values: Vec::new(),
            max_age_secs: None,
            redirect_path: redirect_path.unwrap_or_else(|| "/callback".to_owned()),
            server,
            device: args.device,
            browser: if args.no_browser {
                Browser::PrintOnly
            } else {
                Browser::Open
            },
        };
        requester.follow(&Challenge {
            scopes: args.add_scopes.clone(),
            acr_values: args.acr_values.clone(),
            max_age_secs: args.max_age_secs,
        });
        if let Some(header) = &args.for_challenge {
            let challenge = Challenge::read(header)?.ok_or_else(|| {
                Stop::with(
                    Exit::Usage,
                    "the challenge asks for nothing that a new token would bring",
                )
            })?;
            requester.follow(&challenge);
        }
        Ok(requester)
    }

    /// Asks for what a challenge names too, from now on.
    pub(crate) fn follow(&mut self, challenge: &Challenge) {
        let Challenge {
            scopes,
            acr_values,
            max_age_secs,
        } = challenge;
        for scope in scopes {
            if !self.scopes.contains(scope) {
                self.scopes.push(scope.clone());
            }
        }
        if !acr_values.is_empty() {
            self.acr_values.clone_from(acr_values);
        }
        self.max_age_secs = max_age_secs.or(self.max_age_secs);
    }

    /// The same for another API.
    pub(crate) fn for_resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Whether a provider and a client are named at all.
    pub(crate) fn can_sign_in(&self) -> bool {
        self.issuer.is_some() && self.client_id.is_some()
    }

    /// Gets an access token.
    pub(crate) async fn token(&self) -> anyhow::Result<String> {
        let missing = |what: &str, flag: &str| {
            Stop::with(
                Exit::Usage,
                format!(
                    "name {what}: with `{flag}`, or in requester.toml (`countersign token --help` says where)"
                ),
            )
        };
        let issuer = self
            .issuer
            .as_deref()
            .ok_or_else(|| missing("the identity provider", "--issuer"))?;
        let client_id = self
            .client_id
            .clone()
            .ok_or_else(|| missing("the client at the provider", "--client"))?;
        let issuer =
            Issuer::parse(issuer).map_err(|error| Stop::with(Exit::Usage, error.to_string()))?;
        let provider =
            Arc::new(Provider::new(issuer, SystemClock::shared()).map_err(|error| stop(&error))?);
        let wish = TokenWish {
            client_id,
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            redirect_path: self.redirect_path.clone(),
            acr_values: self.acr_values.clone(),
            max_age_secs: self.max_age_secs,
        };
        let tokens = if self.device {
            token_by_device(&provider, &wish, &show).await
        } else {
            token_by_browser(&provider, &wish, &self.browser, &browser::tell).await
        };
        Ok(tokens.map_err(|error| stop(&error))?.access_token)
    }
}

fn show(prompt: &DevicePrompt) {
    let DevicePrompt {
        verification_uri,
        user_code,
        complete_uri,
        expires_in,
    } = prompt;
    eprintln!(
        "On any device, go to {} and enter this code:",
        safe(verification_uri)
    );
    eprintln!("  {}", safe(user_code));
    if let Some(uri) = complete_uri {
        eprintln!("or go straight to {}", safe(uri));
    }
    eprintln!("It is good for {} minutes.", expires_in.div_ceil(60));
}

fn stop(error: &OidcError) -> anyhow::Error {
    let exit = match error.code() {
        "provider_unreachable" => Exit::Unreachable,
        _ => Exit::SignIn,
    };
    Stop::with(exit, error.to_string())
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        Stop::with(
            Exit::Usage,
            format!("`{}`: {}", path.display(), error.message()),
        )
    })
}

/// `$XDG_CONFIG_HOME/countersign/requester.toml`.
fn default_path() -> Option<PathBuf> {
    crate::folders::config().map(|folder| folder.join("requester.toml"))
}
