//! `server.toml`: read, checked, and turned into what the server runs on. Errors name the key and the fix.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_evidence::PublicKey;
use countersign_evidence::op_token::{OpConfig, OpRole};
use countersign_model::{Issuer, PepId, ServerId};
use countersign_oidc::settings::{ProviderSettings, Rest, unknown_key};
use serde::Deserialize;

/// A binding's life unless the file says otherwise: 12 hours.
pub const DEFAULT_SESSION_SECS: u32 = 12 * 3600;
/// The longest life of a binding that is taken from a file: 7 days.
pub const MAX_SESSION_SECS: u32 = 7 * 24 * 3600;

/// What the server runs on.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The server id.
    pub public_url: ServerId,
    /// Where `countersign serve` listens; [`crate::Server::start`] is given its listener.
    pub listen: SocketAddr,
    /// Database and keys.
    pub state_dir: PathBuf,
    /// The policy's text.
    pub policy: PathBuf,
    /// How long a binding lasts after its sign-in, in seconds.
    pub session_secs: u32,
    /// Groups, each `<iss>#name`, whose members get all evidence in full.
    pub auditors: BTreeSet<String>,
    /// Groups, each `<iss>#name`, whose members list and revoke everybody's devices.
    pub administrators: BTreeSet<String>,
    /// Trusted OpenID providers.
    pub providers: Vec<ProviderConfig>,
    /// Registered enforcement points.
    pub peps: Vec<PepConfig>,
}

/// A trusted provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// A name for people.
    pub name: String,
    /// How its tokens are read; its client is the approver client.
    pub op: OpConfig,
    /// What approvers' apps ask it for.
    pub scopes: Vec<String>,
    /// The path of the apps' loopback redirect.
    pub redirect_path: String,
    /// The only ports of that redirect that the provider takes. Any, where there are none.
    pub redirect_ports: Vec<u16>,
    /// The audience of requesters' access tokens at this server; its own id unless set.
    pub audience: Option<String>,
    /// The audience of its security events; the server's id unless set.
    pub events_audience: Option<String>,
}

/// A registered enforcement point.
#[derive(Debug, Clone)]
pub struct PepConfig {
    /// Its id.
    pub id: PepId,
    /// Its public key (`pk`).
    pub key: PublicKey,
    /// Actions that it may ask for: names, or beginnings that end in `*`.
    pub actions: Vec<String>,
    /// Resource types that it may ask for, written the same way.
    pub resource_types: Vec<String>,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is not the TOML that it must be.
    #[error("`{path}` is not as it must be: {why}")]
    Toml {
        /// Which.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
    /// A key has a wrong value.
    #[error("`{key}` in `{path}`: {why}")]
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
    public_url: String,
    listen: String,
    state_dir: PathBuf,
    policy: PathBuf,
    #[serde(default = "default_session_secs")]
    session_secs: u32,
    #[serde(default)]
    auditors: Vec<String>,
    #[serde(default)]
    administrators: Vec<String>,
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    pep: Vec<Pep>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    #[serde(default = "default_scopes")]
    scopes: Vec<String>,
    #[serde(default = "default_redirect_path")]
    redirect_path: String,
    #[serde(default)]
    redirect_ports: Vec<u16>,
    audience: Option<String>,
    events_audience: Option<String>,
    #[serde(flatten)]
    settings: ProviderSettings,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pep {
    id: String,
    key_file: PathBuf,
    actions: Vec<String>,
    resource_types: Vec<String>,
}

fn default_session_secs() -> u32 {
    DEFAULT_SESSION_SECS
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email", "groups", "offline_access"]
        .map(str::to_owned)
        .to_vec()
}

fn default_redirect_path() -> String {
    "/callback".to_owned()
}

impl ServerConfig {
    /// Reads a file. Relative paths in it are relative to it.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and what to do.
    pub fn read(path: &Path) -> Result<ServerConfig, ConfigError> {
        let text = read_text(path)?;
        let file: File = toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        Reader {
            path,
            folder: path.parent().unwrap_or(Path::new(".")),
        }
        .config(file)
    }

    /// A registered enforcement point by its id.
    pub fn pep(&self, id: &PepId) -> Option<&PepConfig> {
        self.peps.iter().find(|pep| pep.id == *id)
    }
}

impl PepConfig {
    /// Whether it may ask for this.
    pub fn may_ask(&self, action: &str, resource_type: &str) -> bool {
        any_covers(&self.actions, action) && any_covers(&self.resource_types, resource_type)
    }
}

fn any_covers(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => pattern == name,
        })
}

struct Reader<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, key: impl Into<String>, why: impl ToString) -> ConfigError {
        ConfigError::Key {
            path: self.path.to_owned(),
            key: key.into(),
            why: why.to_string(),
        }
    }

    fn config(&self, file: File) -> Result<ServerConfig, ConfigError> {
        let File {
            public_url,
            listen,
            state_dir,
            policy,
            session_secs,
            auditors,
            administrators,
            provider,
            pep,
        } = file;
        if !(300..=MAX_SESSION_SECS).contains(&session_secs) {
            return Err(self.wrong(
                "session_secs",
                format!("must be from 300 to {MAX_SESSION_SECS} seconds"),
            ));
        }
        for (key, groups) in [("auditors", &auditors), ("administrators", &administrators)] {
            if let Some(group) = groups.iter().find(|group| !is_group(group)) {
                let why = format!("`{group}` must be written `<issuer>#<group>`");
                return Err(self.wrong(key, why));
            }
        }
        let providers: Vec<_> = provider
            .into_iter()
            .enumerate()
            .map(|(n, it)| self.provider(n, it))
            .collect::<Result<_, _>>()?;
        let approve = |it: &ProviderConfig| it.op.roles.contains(&OpRole::Approver);
        if !providers.iter().any(approve) {
            return Err(self.wrong(
                "provider",
                "at least one [[provider]] with the role `approver` is needed for approvers to sign in",
            ));
        }
        if let Some(twice) = twice(providers.iter().map(|it| it.op.issuer.as_str())) {
            return Err(self.wrong("provider.issuer", format!("`{twice}` stands there twice")));
        }
        let peps: Vec<_> = pep
            .into_iter()
            .enumerate()
            .map(|(n, it)| self.pep(n, it))
            .collect::<Result<_, _>>()?;
        if let Some(twice) = twice(peps.iter().map(|it| it.id.as_str())) {
            return Err(self.wrong("pep.id", format!("`{twice}` stands there twice")));
        }
        Ok(ServerConfig {
            public_url: ServerId::parse(&public_url)
                .map_err(|error| self.wrong("public_url", error))?,
            listen: listen.parse().map_err(|_| {
                self.wrong(
                    "listen",
                    "must be an address and a port, such as `127.0.0.1:7100`",
                )
            })?,
            state_dir: self.folder.join(state_dir),
            policy: self.folder.join(policy),
            session_secs,
            auditors: auditors.into_iter().collect(),
            administrators: administrators.into_iter().collect(),
            providers,
            peps,
        })
    }

    fn provider(&self, n: usize, it: Provider) -> Result<ProviderConfig, ConfigError> {
        let Provider {
            scopes,
            redirect_path,
            redirect_ports,
            audience,
            events_audience,
            settings,
            rest,
        } = it;
        let key = |key: &str| format!("provider[{n}].{key}");
        if let Some(unknown) = unknown_key(&rest) {
            return Err(self.wrong(key(unknown), "is an unknown field"));
        }
        let op = settings
            .op_config()
            .map_err(|error| self.wrong(key(error.key), error.why))?;
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err(self.wrong(key("scopes"), "must contain `openid`"));
        }
        if !redirect_path.starts_with('/') {
            return Err(self.wrong(key("redirect_path"), "must begin with `/`"));
        }
        if redirect_ports.contains(&0) {
            return Err(self.wrong(key("redirect_ports"), "must not contain 0"));
        }
        Ok(ProviderConfig {
            name: settings.title().to_owned(),
            op,
            scopes,
            redirect_path,
            redirect_ports,
            audience,
            events_audience,
        })
    }

    fn pep(&self, n: usize, it: Pep) -> Result<PepConfig, ConfigError> {
        let Pep {
            id,
            key_file,
            actions,
            resource_types,
        } = it;
        let key = |key: &str| format!("pep[{n}].{key}");
        let id = PepId::parse(&id).map_err(|error| self.wrong(key("id"), error))?;
        let file = self.folder.join(key_file);
        let jwk: serde_json::Value = serde_json::from_str(&read_text(&file)?).map_err(|error| {
            self.wrong(
                key("key_file"),
                format!("`{}` is no JSON: {error}", file.display()),
            )
        })?;
        if jwk.get("d").is_some() {
            let why = "this is a private key: give the public one, as `countersign gate keygen` prints it";
            return Err(self.wrong(key("key_file"), why));
        }
        let public =
            PublicKey::from_jwk(&jwk).map_err(|error| self.wrong(key("key_file"), error))?;
        for (name, patterns) in [("actions", &actions), ("resource_types", &resource_types)] {
            if patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_empty()) {
                return Err(self.wrong(key(name), "must name what this gate may ask for"));
            }
        }
        Ok(PepConfig {
            id,
            key: public,
            actions,
            resource_types,
        })
    }
}

/// `<issuer>#<group>`.
fn is_group(text: &str) -> bool {
    text.split_once('#')
        .is_some_and(|(iss, name)| Issuer::parse(iss).is_ok() && !name.is_empty())
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        why: error.to_string(),
    })
}
