//! The configuration of a world, as files: the same that a person would write for the real thing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use countersign_evidence::SecretKey;

use crate::canaille::Canaille;
use crate::paths;
use crate::provider::{APPROVER_CLIENT, ORDERS_AUDIENCE, Op};

/// The gate's id.
pub const GATE: &str = "orders-gate";

/// The calls that only [`Rules::QueryLevel`] speaks of. They come first: some look like others.
const MORE_ROUTES: &str = r#"
[[route]]
method = "GET"
path = "/customers/export"
action = "orders.customers.export"
resource_type = "orders.customer"
resource_id = "all"
service = "orders-api"
title = "Export all customers"

[[route]]
method = "GET"
path = "/customers/{id}/card"
action = "orders.customers.card"
resource_type = "orders.customer"
resource_id = "{id}"
service = "orders-api"
title = "See the card of customer {id}"

[[route]]
method = "POST"
path = "/customers/{id}/credits"
action = "orders.credits.create"
resource_type = "orders.customer"
resource_id = "{id}"
service = "orders-api"
title = "Credit customer {id}"

[[route]]
method = "POST"
path = "/orders/{id}/refunds"
action = "orders.refunds.create"
resource_type = "orders.order"
resource_id = "{id}"
service = "orders-api"
title = "Refund order {id}"

[[route]]
method = "POST"
path = "/payouts"
action = "orders.payouts.create"
resource_type = "orders.payout"
resource_id = "new"
service = "orders-api"
title = "Pay out"

[[route]]
method = "DELETE"
path = "/prices/{sku}"
action = "orders.prices.remove"
resource_type = "orders.price"
resource_id = "{sku}"
service = "orders-api"
title = "Remove price of {sku}"
"#;

/// What the orders API's calls are, for the gate.
const ROUTES: &str = r#"
[[route]]
method = ["GET", "HEAD"]
path = "/customers/{id}"
action = "orders.customers.read"
resource_type = "orders.customer"
resource_id = "{id}"
service = "orders-api"
title = "Read customer {id}"

[[route]]
method = "DELETE"
path = "/customers/{id}"
action = "orders.customers.delete"
resource_type = "orders.customer"
resource_id = "{id}"
service = "orders-api"
title = "Delete customer {id}"

[[route]]
method = "DELETE"
path = "/customers"
action = "orders.customers.purge"
resource_type = "orders.customer"
resource_id = "all"
service = "orders-api"
title = "Purge all customers"

[[route]]
method = "PUT"
path = "/prices/{sku}"
action = "orders.prices.update"
resource_type = "orders.price"
resource_id = "{sku}"
service = "orders-api"
title = "Update price of {sku}"
"#;

/// Which policy a world lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The example that comes with the policy crate.
    Orders,
    /// One rule for each way in which an operation can be let through.
    QueryLevel,
}

impl Rules {
    fn read(self) -> Result<String> {
        let file = match self {
            Self::Orders => "crates/policy/examples/orders.cedar",
            Self::QueryLevel => "tests/policies/query-level.cedar",
        };
        fs::read_to_string(paths::root().join(file)).with_context(|| format!("read {file}"))
    }

    fn more_routes(self) -> &'static str {
        match self {
            Self::Orders => "",
            Self::QueryLevel => MORE_ROUTES,
        }
    }
}

/// The providers of a world.
#[derive(Debug, Clone, Copy)]
pub struct Providers<'a> {
    /// Harbor ID: the one that can do everything.
    pub first: &'a Op,
    /// Quay ID, where a world has two.
    pub second: Option<&'a Canaille>,
}

/// Where a world's parts listen.
#[derive(Debug, Clone)]
pub struct Places {
    /// The server's `public_url`.
    pub server: String,
    /// Where the server really listens, `address:port`. Usually the same place.
    pub server_listens: String,
    /// Where the gate listens, `address:port`.
    pub gate_listens: String,
    /// The orders API.
    pub upstream: String,
}

/// The written files.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder of all of them.
    pub folder: PathBuf,
}

impl Setup {
    /// Writes all files into `folder`. Keys that are there already stay.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(
        folder: &Path,
        providers: Providers<'_>,
        rules: Rules,
        places: &Places,
        hold_secs: u32,
    ) -> Result<Self> {
        let setup = Self {
            folder: folder.to_path_buf(),
        };
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        setup.keys()?;
        let second = providers
            .second
            .map_or("https://nobody.example", |second| &second.issuer);
        let policy = rules
            .read()?
            .replace("{{issuer}}", &providers.first.issuer)
            // The example's issuer, which makes it a policy that loads as it stands.
            .replace("https://id.example.com", &providers.first.issuer)
            .replace("{{second}}", second);
        setup.put("policy.cedar", &policy)?;
        setup.put("server.toml", &server_toml(providers, places))?;
        setup.put("gate.toml", &gate_toml(providers, rules, places, hold_secs))?;
        Ok(setup)
    }

    /// Replaces a piece of a written file: for tests that want something else of a part.
    ///
    /// # Errors
    /// When the piece is not there, or the file cannot be written.
    pub fn change(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.path(name)).with_context(|| format!("read {name}"))?;
        anyhow::ensure!(text.contains(from), "`{from}` does not stand in {name}");
        self.put(name, &text.replace(from, to)).map(drop)
    }

    /// What an auditor trusts: the server's key as it stands in its state, the gate's, and the provider's keys, each
    /// as a file of the auditor's own.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_trust(
        &self,
        op: &Op,
        server: &str,
        server_jwk: &str,
        jwks: &str,
    ) -> Result<PathBuf> {
        self.put("trust-server.jwk", server_jwk)?;
        self.put("trust-provider.jwks", jwks)?;
        self.put(
            "trust.toml",
            &format!(
                r#"# What an auditor trusts. Nothing in it comes from an evidence file.
server = "{server}"
policy = "policy.cedar"
session_secs = 43200

[[server_key]]
jwk_file = "trust-server.jwk"

[[pep]]
id = "{GATE}"
key_file = "gate.public.jwk"

[[provider]]
issuer = "{}"
approver_client_id = "{APPROVER_CLIENT}"
algorithms = ["RS256"]
groups_claim = "groups"
jwks_file = "trust-provider.jwks"
"#,
                op.issuer
            ),
        )
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn put(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    fn keys(&self) -> Result<()> {
        let private = self.path("gate.key.json");
        if private.exists() {
            return Ok(());
        }
        let key = SecretKey::generate(rand::random());
        self.put("gate.key.json", &key.to_jwk().to_string())?;
        fs::set_permissions(&private, Permissions::from_mode(0o600))
            .context("protect the gate's key")?;
        self.put("gate.public.jwk", &key.public().to_jwk().to_string())?;
        Ok(())
    }
}

fn server_toml(providers: Providers<'_>, places: &Places) -> String {
    let Places {
        server,
        server_listens,
        gate_listens: _,
        upstream: _,
    } = places;
    let issuer = &providers.first.issuer;
    let second = providers.second.map_or_else(String::new, |second| {
        let Canaille {
            issuer,
            control: _,
            callback_ports,
        } = second;
        format!(
            r#"
[[provider]]
name = "Quay ID"
issuer = "{issuer}"
approver_client_id = "{APPROVER_CLIENT}"
scopes = ["openid", "profile", "email", "groups"]
redirect_path = "/callback"
redirect_ports = {callback_ports:?}
algorithms = ["ES256"]
groups_claim = "groups"
roles = ["approver"]
step_up = "none"
"#
        )
    });
    format!(
        r#"public_url = "{server}"
listen = "{server_listens}"
state_dir = "server-state"
policy = "policy.cedar"
session_secs = 43200
auditors = ["{issuer}#auditors"]
administrators = ["{issuer}#security"]

[[provider]]
name = "Harbor ID"
issuer = "{issuer}"
approver_client_id = "{APPROVER_CLIENT}"
scopes = ["openid", "profile", "email", "groups", "offline_access"]
redirect_path = "/callback"
algorithms = ["RS256"]
groups_claim = "groups"

[[pep]]
id = "{GATE}"
key_file = "gate.public.jwk"
actions = ["orders.*"]
resource_types = ["orders.*"]
{second}"#
    )
}

fn gate_toml(providers: Providers<'_>, rules: Rules, places: &Places, hold_secs: u32) -> String {
    let more_routes = rules.more_routes();
    let Places {
        server,
        server_listens: _,
        gate_listens,
        upstream,
    } = places;
    let issuer = &providers.first.issuer;
    let second = providers.second.map_or_else(String::new, |second| {
        format!(
            r#"
[[provider]]
issuer = "{}"
approver_client_id = "{APPROVER_CLIENT}"
algorithms = ["ES256"]
groups_claim = "groups"
roles = ["approver"]
step_up = "none"
"#,
            second.issuer
        )
    });
    format!(
        r#"listen = "{gate_listens}"
upstream = "{upstream}"
pep = "{GATE}"
key_file = "gate.key.json"
server = "{server}"
policy = "policy.cedar"
state_dir = "gate-state"
evidence_dir = "evidence"
hold_secs = {hold_secs}
session_secs = 43200
service = "orders-api"

[[provider]]
issuer = "{issuer}"
approver_client_id = "{APPROVER_CLIENT}"
audience = "{ORDERS_AUDIENCE}"
algorithms = ["RS256"]
groups_claim = "groups"
claims = ["name", "email", "amr", "acr", "auth_time"]
{second}{more_routes}{ROUTES}"#
    )
}
