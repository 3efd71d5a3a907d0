//! `countersign verify`: proves, without trusting the server, who approved what.
//!
//! Keys inside the evidence are no trust anchor: without `--trust` nothing is proven, however well it all fits.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use countersign_evidence::op_token::OpKeys;
use countersign_evidence::verify::{self, Outcome, Step, StepId};
use countersign_evidence::{Ask, Evidence, PublicKey, Trust, TrustedOp};
use countersign_model::{Clock as _, PepId, ServerId, json};
use countersign_oidc::settings::{self, ProviderSettings, Rest};
use countersign_policy::Policy;
use serde::Deserialize;

use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::terminal::safe;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: String,
    policy: PathBuf,
    session_secs: Option<u32>,
    #[serde(default)]
    server_key: Vec<ServerKey>,
    #[serde(default)]
    pep: Vec<Pep>,
    #[serde(default)]
    provider: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerKey {
    jwk_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pep {
    id: String,
    key_file: PathBuf,
}

/// What all files say of a provider, and its keys as the auditor has them.
#[derive(Debug, Deserialize)]
struct Provider {
    jwks_file: Option<PathBuf>,
    #[serde(flatten)]
    settings: ProviderSettings,
    #[serde(flatten)]
    rest: Rest,
}

/// What an auditor trusts, read and checked.
struct Anchors {
    server: ServerId,
    server_keys: Vec<PublicKey>,
    peps: Vec<(PepId, PublicKey)>,
    ops: Vec<TrustedOp>,
    session_secs: u32,
    policy: Policy,
}

/// Verifies an evidence file and prints each step.
pub(crate) fn run(
    evidence: Option<&Path>,
    trust: Option<&Path>,
    check_only: bool,
) -> anyhow::Result<Exit> {
    let anchors = trust.map(Anchors::read).transpose()?;
    let Some(path) = evidence else {
        return match (check_only, anchors) {
            (true, Some(_)) => {
                println!("The trust file is good.");
                Ok(Exit::Done)
            }
            _ => Err(Stop::with(Exit::Usage, "name the evidence file to verify")),
        };
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let evidence = Evidence::from_json(&bytes).map_err(|error| {
        Stop::with(
            Exit::Failed,
            format!("`{}` is no evidence: {error}", path.display()),
        )
    })?;
    let now = SystemClock.now();
    let result = match &anchors {
        None => verify::check_consistency(&evidence, now),
        Some(anchors) => verify::verify(&evidence, &anchors.trust(&evidence)?, None, now),
    };
    match result {
        Err(refusal) => {
            refusal.passed.iter().for_each(print);
            println!(
                "FAILED      {}. {}",
                refusal.step.number(),
                refusal.step.title()
            );
            println!("            {} ({})", safe(&refusal.sentence), refusal.code);
            println!("\nThis evidence does not hold: nothing follows from it.");
            Ok(Exit::Failed)
        }
        Ok(verified) => {
            verified.steps().iter().for_each(print);
            for vote in verified.votes() {
                let who = &vote.vote().sub_id;
                println!("vote        {}", safe(&who.to_string()));
            }
            if verified.complete() {
                println!("\nProven, with keys and policy from your trust file.");
                Ok(Exit::Done)
            } else if anchors.is_none() {
                println!(
                    "\nConsistent, not proven: without `--trust` nobody's keys are known, and keys inside the file prove nothing."
                );
                Ok(Exit::NotProven)
            } else {
                println!(
                    "\nConsistent, not proven: what is marked above could not be checked with this trust file and this evidence."
                );
                Ok(Exit::NotProven)
            }
        }
    }
}

fn print(step: &Step) {
    let Step {
        id,
        title,
        outcome,
        detail,
    } = step;
    // These two are the gate's own, in the moment of execution.
    if matches!(id, StepId::SingleUse | StepId::Execution)
        && matches!(outcome, Outcome::NotApplicable(_))
    {
        return;
    }
    let (word, why) = match outcome {
        Outcome::Passed => ("ok", detail),
        Outcome::NotApplicable(why) => ("-", why),
        Outcome::NotProven(why) => ("not proven", why),
    };
    println!("{word:<12}{}. {title}", id.number());
    if !why.is_empty() {
        println!("            {}", safe(why));
    }
}

impl Anchors {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let wrong = |why: String| Stop::with(Exit::Usage, format!("`{}`: {why}", path.display()));
        let file: File =
            toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        let File {
            server,
            policy,
            session_secs,
            server_key,
            pep,
            provider,
        } = file;
        // Paths are relative to the file.
        let beside = |name: &Path| path.parent().unwrap_or(Path::new("")).join(name);
        let policy_path = beside(&policy);
        let policy_text = std::fs::read_to_string(&policy_path)
            .with_context(|| format!("cannot read `{}`", policy_path.display()))?;
        let policy = Policy::load(&policy_text)
            .map_err(|error| wrong(format!("policy {}: {error}", policy_path.display())))?;
        if server_key.is_empty() || pep.is_empty() || provider.is_empty() {
            return Err(wrong(
                "name at least one [[server_key]], one [[pep]] and one [[provider]]".to_owned(),
            ));
        }
        let server_keys = server_key
            .iter()
            .map(|key| public_key(&beside(&key.jwk_file)))
            .collect::<Result<_, _>>()?;
        let peps = pep
            .iter()
            .map(|Pep { id, key_file }| {
                let id = PepId::parse(id).map_err(|error| wrong(error.to_string()))?;
                Ok((id, public_key(&beside(key_file))?))
            })
            .collect::<anyhow::Result<_>>()?;
        let ops = provider
            .into_iter()
            .map(|provider| {
                let Provider {
                    jwks_file,
                    settings,
                    rest,
                } = provider;
                if let Some(unknown) = settings::unknown_key(&rest) {
                    return Err(wrong(format!(
                        "`provider.{unknown}` is no key of a provider"
                    )));
                }
                let config = settings
                    .op_config()
                    .map_err(|error| wrong(format!("`provider.{}`: {}", error.key, error.why)))?;
                let keys = jwks_file.map(|file| op_keys(&beside(&file))).transpose()?;
                Ok(TrustedOp { config, keys })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            server: ServerId::parse(&server).map_err(|error| wrong(error.to_string()))?,
            server_keys,
            peps,
            ops,
            session_secs: session_secs.unwrap_or(12 * 3600),
            policy,
        })
    }

    fn trust(&self, evidence: &Evidence) -> anyhow::Result<Trust<'_>> {
        // Which gate it claims to be from only chooses among those that the auditor named.
        let named = Ask::unverified(&evidence.ask_jws)
            .map(|(_, ask)| ask.iss)
            .map_err(|error| {
                Stop::with(
                    Exit::Failed,
                    format!("the evidence's ask cannot be read: {error}"),
                )
            })?;
        let pep = self.peps.iter().find(|(id, _)| *id == named).cloned().ok_or_else(|| {
            Stop::with(Exit::Failed, format!("the evidence is from the gate `{named}`, which the trust file does not name"))
        })?;
        Ok(Trust {
            server: &self.server,
            server_keys: self.server_keys.clone(),
            pep,
            ops: self.ops.clone(),
            session_secs: self.session_secs,
            policy: Some(&self.policy),
        })
    }
}

fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    json::parse(&bytes, json::OPERATION)
        .ok()
        .and_then(|jwk| PublicKey::from_jwk(&jwk).ok())
        .ok_or_else(|| {
            Stop::with(
                Exit::Usage,
                format!("`{}` holds no public key (a JWK)", path.display()),
            )
        })
}

fn op_keys(path: &Path) -> anyhow::Result<OpKeys> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    json::parse_foreign(&bytes, json::DOCUMENT)
        .ok()
        .and_then(|jwks| OpKeys::from_jwks(&jwks).ok())
        .ok_or_else(|| {
            Stop::with(
                Exit::Usage,
                format!("`{}` holds no key set (a JWKS)", path.display()),
            )
        })
}
