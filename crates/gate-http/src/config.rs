//! `gate.toml`: read, checked, and turned into what the gate runs on. Errors name the key and the fix.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_evidence::op_token::{OpConfig, OpRole};
use countersign_evidence::{PublicKey, SecretKey};
use countersign_model::{PepId, ServerId, json};
use countersign_oidc::settings::{self, ProviderSettings, Rest};
use countersign_pep::Bounds;
use countersign_policy_file::PolicyFile;
use http::header::HeaderValue;
use http::uri::{Scheme, Uri};
use serde::Deserialize;

use crate::call::Upstream;
use crate::gate::BodyOverrides;
use crate::headers::HeaderRules;
use crate::routes::{RouteEntry, RouteTable};

/// Claims that go into operations unless the file says otherwise.
pub const DEFAULT_CLAIMS: [&str; 5] = ["name", "email", "amr", "acr", "auth_time"];
/// Whoever calls with a tool that shows no more than the answer sees the matching words after this long.
const DEFAULT_HOLD_SECS: u32 = 30;
const DEFAULT_SESSION_SECS: u32 = 12 * 3600;
const MAX_SESSION_SECS: u32 = 7 * 24 * 3600;
const MAX_HOLD_SECS: u32 = 3600;
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
const MAX_BODY_LIMIT: usize = 64 * 1024 * 1024;
/// An operation has 64 KiB, and a text may double in it.
const DEFAULT_TEXT_LIMIT: usize = 32 * 1024;
const MAX_TEXT_LIMIT: usize = 60 * 1024;

/// What a gate runs on.
pub struct GateConfig {
    /// Where `countersign gate http` listens; [`crate::Gate::start`] is given its listener.
    pub listen: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) pep: PepId,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) server: ServerId,
    pub(crate) server_keys: Vec<PublicKey>,
    pub(crate) policy: Arc<PolicyFile>,
    pub(crate) state_dir: PathBuf,
    pub(crate) evidence_dir: Option<PathBuf>,
    pub(crate) hold: Duration,
    pub(crate) session_secs: u32,
    pub(crate) upstream_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) text_limit: usize,
    pub(crate) bounds: Bounds,
    pub(crate) providers: Vec<ProviderConfig>,
    pub(crate) headers: HeaderRules,
    pub(crate) overrides: BodyOverrides,
    pub(crate) routes: RouteTable,
}

/// A trusted provider.
pub(crate) struct ProviderConfig {
    /// How approvers' tokens are read.
    pub(crate) op: OpConfig,
    /// What callers' access tokens must be for; none where nobody of it calls.
    pub(crate) audience: Option<String>,
    /// Which claims of a caller go into operations.
    pub(crate) claims: Vec<String>,
}

/// What is wrong with the file, or with one that it names.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not the TOML that it must be.
    #[error("`{}` is not as it must be: {why}", path.display())]
    Toml {
        /// Which.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
    /// A key has a wrong value.
    #[error("`{key}` in `{}`: {why}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong and what to do.
        why: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    upstream: String,
    pep: String,
    key_file: PathBuf,
    server: String,
    #[serde(default)]
    server_key_files: Vec<PathBuf>,
    policy: PathBuf,
    state_dir: PathBuf,
    evidence_dir: Option<PathBuf>,
    hold_secs: Option<u32>,
    session_secs: Option<u32>,
    upstream_timeout_secs: Option<u32>,
    body_limit_bytes: Option<usize>,
    text_limit_bytes: Option<usize>,
    max_open: Option<usize>,
    max_open_per_caller: Option<usize>,
    service: Option<String>,
    #[serde(default)]
    credential_headers: Vec<String>,
    #[serde(default)]
    unbound_headers: Vec<String>,
    method_overrides: Option<MethodOverrides>,
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    route: Vec<RouteEntry>,
}

/// What all files say of a provider, and what only a gate asks.
#[derive(Debug, Deserialize)]
struct Provider {
    audience: Option<String>,
    claims: Option<Vec<String>>,
    #[serde(flatten)]
    settings: ProviderSettings,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MethodOverrides {
    Refused,
    Ignored,
}

impl GateConfig {
    /// Reads and checks the file and all that it names. Talks to nobody.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let file: File = toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.to_owned(),
            why: one_line(&error.to_string()),
        })?;
        Reader { path }.check(file)
    }
}

/// Turns what stands in the file into what the gate runs on.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn check(&self, file: File) -> Result<GateConfig, ConfigError> {
        let File {
            listen,
            upstream,
            pep,
            key_file,
            server,
            server_key_files,
            policy,
            state_dir,
            evidence_dir,
            hold_secs,
            session_secs,
            upstream_timeout_secs,
            body_limit_bytes,
            text_limit_bytes,
            max_open,
            max_open_per_caller,
            service,
            credential_headers,
            unbound_headers,
            method_overrides,
            provider,
            route,
        } = file;
        let upstream = upstream_of(&upstream).map_err(|why| self.key("upstream", why))?;
        let service = service.unwrap_or_else(|| upstream.authority.to_string());
        let policy = self.policy(&self.beside(&policy))?;
        let routes = RouteTable::new(&route, &service)
            .map_err(|error| self.key("route", error.to_string()))?;
        let loaded = policy.current();
        for (index, entry) in route.iter().enumerate() {
            if !loaded.knows(&entry.action) {
                return Err(self.key(
                    "route",
                    format!(
                        "route {} (`{}`): the policy names no action `{}`, so every such call would be denied; name it there or correct it here",
                        index + 1, entry.path, entry.action
                    ),
                ));
            }
        }
        if provider.is_empty() {
            return Err(self.key(
                "provider",
                "name at least one `[[provider]]`: without one nobody can call",
            ));
        }
        let providers = provider
            .into_iter()
            .map(|provider| self.provider(provider))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, one) in providers.iter().enumerate() {
            if providers[..index]
                .iter()
                .any(|other| other.op.issuer == one.op.issuer)
            {
                return Err(self.key(
                    "provider.issuer",
                    format!("`{}` stands twice", one.op.issuer),
                ));
            }
        }
        let server_keys = server_key_files
            .iter()
            .map(|name| self.public_key("server_key_files", &self.beside(name)))
            .collect::<Result<_, _>>()?;
        Ok(GateConfig {
            listen: listen.parse().map_err(|_| {
                self.key(
                    "listen",
                    "write an address and a port, such as `127.0.0.1:8080`",
                )
            })?,
            pep: PepId::parse(&pep).map_err(|error| self.key("pep", error.to_string()))?,
            key: Arc::new(self.secret_key(&self.beside(&key_file))?),
            server: ServerId::parse(&server)
                .map_err(|error| self.key("server", error.to_string()))?,
            server_keys,
            policy,
            state_dir: self.beside(&state_dir),
            evidence_dir: evidence_dir.map(|dir| self.beside(&dir)),
            hold: Duration::from_secs(
                self.within(
                    "hold_secs",
                    hold_secs.unwrap_or(DEFAULT_HOLD_SECS),
                    0..=MAX_HOLD_SECS,
                )?
                .into(),
            ),
            session_secs: self.within(
                "session_secs",
                session_secs.unwrap_or(DEFAULT_SESSION_SECS),
                300..=MAX_SESSION_SECS,
            )?,
            upstream_timeout: Duration::from_secs(
                self.within(
                    "upstream_timeout_secs",
                    upstream_timeout_secs.unwrap_or(60),
                    1..=3600,
                )?
                .into(),
            ),
            body_limit: self.within(
                "body_limit_bytes",
                body_limit_bytes.unwrap_or(DEFAULT_BODY_LIMIT),
                0..=MAX_BODY_LIMIT,
            )?,
            text_limit: self.within(
                "text_limit_bytes",
                text_limit_bytes.unwrap_or(DEFAULT_TEXT_LIMIT),
                0..=MAX_TEXT_LIMIT,
            )?,
            bounds: Bounds {
                open: self.within("max_open", max_open.unwrap_or(10_000), 1..=1_000_000)?,
                open_per_caller: self.within(
                    "max_open_per_caller",
                    max_open_per_caller.unwrap_or(100),
                    1..=1_000_000,
                )?,
            },
            providers,
            headers: HeaderRules::new(&credential_headers, &unbound_headers)
                .map_err(|why| self.key("credential_headers", why))?,
            overrides: match method_overrides {
                None | Some(MethodOverrides::Refused) => BodyOverrides::Refused,
                Some(MethodOverrides::Ignored) => BodyOverrides::Ignored,
            },
            routes,
            upstream,
        })
    }

    fn provider(&self, provider: Provider) -> Result<ProviderConfig, ConfigError> {
        let Provider {
            audience,
            claims,
            settings,
            rest,
        } = provider;
        if let Some(unknown) = settings::unknown_key(&rest) {
            return Err(self.key(
                &format!("provider.{unknown}"),
                "is no key of a provider; correct it or leave it out",
            ));
        }
        let op = settings
            .op_config()
            .map_err(|error| self.key(&format!("provider.{}", error.key), error.why))?;
        let calls = [OpRole::Requester, OpRole::Workload]
            .iter()
            .any(|role| op.roles.contains(role));
        let audience = match (calls, audience) {
            (true, Some(audience)) if !audience.is_empty() => Some(audience),
            (true, Some(_) | None) => {
                return Err(self.key(
                    "provider.audience",
                    "name what callers' access tokens are for; or leave `requester` and `workload` out of `roles`",
                ));
            }
            (false, None) => None,
            (false, Some(_)) => {
                return Err(self.key(
                    "provider.audience",
                    "is for providers whose accounts call; this one's `roles` let nobody call",
                ));
            }
        };
        let claims = claims.unwrap_or_else(|| DEFAULT_CLAIMS.map(str::to_owned).to_vec());
        // `groups` has its own key, and these three would make every token another caller.
        if let Some(bad) = claims
            .iter()
            .find(|name| ["iat", "exp", "jti"].contains(&name.as_str()))
        {
            return Err(self.key("provider.claims", format!("`{bad}` changes with each token, so no retry could join its approval; leave it out")));
        }
        Ok(ProviderConfig {
            op,
            audience,
            claims,
        })
    }

    fn policy(&self, path: &Path) -> Result<Arc<PolicyFile>, ConfigError> {
        PolicyFile::open(path).map_err(|error| self.key("policy", error.to_string()))
    }

    fn secret_key(&self, path: &Path) -> Result<SecretKey, ConfigError> {
        let bytes = read_bytes(path)?;
        private_only(path).map_err(|why| self.key("key_file", why))?;
        let jwk = json::parse(&bytes, json::OPERATION);
        jwk.ok()
            .and_then(|jwk| SecretKey::from_jwk(&jwk).ok())
            .ok_or_else(|| {
                self.key(
                    "key_file",
                    format!(
                        "{} holds no private key; make one with `countersign gate keygen`",
                        path.display()
                    ),
                )
            })
    }

    fn public_key(&self, key: &str, path: &Path) -> Result<PublicKey, ConfigError> {
        let jwk = json::parse(&read_bytes(path)?, json::OPERATION);
        jwk.ok()
            .and_then(|jwk| PublicKey::from_jwk(&jwk).ok())
            .ok_or_else(|| {
                self.key(
                    key,
                    format!("{} holds no public key (a JWK)", path.display()),
                )
            })
    }

    fn within<T: PartialOrd + std::fmt::Display + Copy>(
        &self,
        key: &str,
        value: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, ConfigError> {
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(self.key(
                key,
                format!(
                    "must be from {} to {}, not {value}",
                    range.start(),
                    range.end()
                ),
            ))
        }
    }

    /// Paths are relative to the file.
    fn beside(&self, name: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    fn key(&self, key: &str, why: impl Into<String>) -> ConfigError {
        ConfigError::Key {
            path: self.path.to_owned(),
            key: key.to_owned(),
            why: why.into(),
        }
    }
}

fn upstream_of(text: &str) -> Result<Upstream, String> {
    let wrong = || {
        "write scheme, host and port and nothing more, such as `http://127.0.0.1:9000`: paths are forwarded as they come".to_owned()
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(wrong());
    };
    let bare = parts.path_and_query.is_none_or(|path| path.as_str() == "/") && !text.ends_with('?');
    let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
    if !bare || !known || authority.as_str().contains('@') {
        return Err(wrong());
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    Ok(Upstream {
        scheme,
        authority,
        host,
    })
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        error,
    })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(unix)]
fn private_only(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::metadata(path) {
        Ok(found) if found.mode() & 0o077 == 0 => Ok(()),
        Ok(_) => Err(format!(
            "others can read {0}; run `chmod 600 {0}`",
            path.display()
        )),
        Err(error) => Err(format!("cannot look at {}: {error}", path.display())),
    }
}

#[cfg(not(unix))]
fn private_only(_: &Path) -> Result<(), String> {
    Ok(())
}

/// TOML's errors draw a picture over several lines; an error here is one sentence.
fn one_line(text: &str) -> String {
    let kept = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('|') && !line.contains(" | "));
    kept.map(str::trim).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
