//! What a policy runs among, read from the files that say so. The files' own programs check the rest of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_evidence::op_token::{CallerKind, OpConfig, OpRole, OpStepUp};
use countersign_gate_http::DEFAULT_CLAIMS;
use countersign_gate_http::caller::telling;
use countersign_gate_http::routes::{UNROUTED_ACTION, UNROUTED_RESOURCE};
use countersign_oidc::settings::{ProviderSettings, Rest};
use countersign_policy::{GateFacts, ProviderFacts, Surroundings};
use serde::Deserialize;

use super::read_text;
use crate::exit::{Exit, Stop};

/// What matters here of `server.toml`, `gate.toml` and `trust.toml`.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    route: Vec<Route>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    claims: Option<Vec<String>>,
    #[serde(flatten)]
    settings: ProviderSettings,
    /// Each file has keys of its own here, which its own program checks.
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Debug, Deserialize)]
struct Route {
    action: String,
    resource_type: String,
}

pub(super) fn read(providers: Option<&Path>, gates: &[PathBuf]) -> anyhow::Result<Surroundings> {
    let mut around = Surroundings::default();
    if let Some(path) = providers {
        let file = file(path)?;
        if file.provider.is_empty() {
            return Err(Stop::with(
                Exit::Usage,
                format!("`{}` names no [[provider]]", path.display()),
            ));
        }
        let facts = file.provider.iter().map(|provider| {
            let config = provider.settings.op_config().map_err(|error| {
                Stop::with(Exit::Usage, format!("`{}`: {error}", path.display()))
            })?;
            Ok(of_provider(config))
        });
        around.providers = Some(facts.collect::<anyhow::Result<_>>()?);
    }
    if !gates.is_empty() {
        let facts = gates
            .iter()
            .map(|path| Ok(of_gate(path, file(path)?)))
            .collect::<anyhow::Result<_>>()?;
        around.gates = Some(facts);
    }
    Ok(around)
}

fn file(path: &Path) -> anyhow::Result<File> {
    toml::from_str(&read_text(path)?).map_err(|error| {
        Stop::with(
            Exit::Usage,
            format!(
                "`{}` is not as it must be: {}",
                path.display(),
                error.message()
            ),
        )
    })
}

fn of_provider(config: OpConfig) -> ProviderFacts {
    let has = |role| config.roles.contains(&role);
    ProviderFacts {
        approves: has(OpRole::Approver),
        requests: has(OpRole::Requester) || has(OpRole::Workload),
        groups: config.groups_allowed,
        acrs: config.acrs_allowed,
        steps_up: match config.step_up {
            OpStepUp::Oidc => Ok(()),
            OpStepUp::None { why_not } => Err(why_not),
        },
        issuer: config.issuer,
    }
}

fn of_gate(path: &Path, file: File) -> GateFacts {
    let of_routes = |part: fn(&Route) -> &String, unrouted: &str| {
        let parts = file.route.iter().map(part).cloned();
        parts.chain([unrouted.to_owned()]).collect::<BTreeSet<_>>()
    };
    GateFacts {
        name: path.display().to_string(),
        actions: of_routes(|route| &route.action, UNROUTED_ACTION),
        resource_types: of_routes(|route| &route.resource_type, UNROUTED_RESOURCE),
        claims: file.provider.iter().flat_map(copied).collect(),
    }
}

/// The claims that a gate copies into operations: what its file lists, and what tells people apart.
fn copied(provider: &Provider) -> Vec<String> {
    let usual = || DEFAULT_CLAIMS.map(str::to_owned).to_vec();
    let mut claims = provider.claims.clone().unwrap_or_else(usual);
    if let Ok(op) = provider.settings.op_config() {
        for kind in [CallerKind::Person, CallerKind::Workload] {
            claims.extend(telling(&op, kind).cloned());
        }
    }
    claims
}
