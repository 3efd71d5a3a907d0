//! The real OpenID provider and the orders API, as processes of Node.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::owned::Processes;
use crate::paths;

/// The client of the approver's app.
pub const APPROVER_CLIENT: &str = "countersign-approver";
/// The client of the command line.
pub const CLI_CLIENT: &str = "countersign-cli";
/// The client of a program that asks in its own name, and its secret.
pub const CI_CLIENT: (&str, &str) = ("countersign-ci", "ci-demo");
/// A sign-in by password alone.
pub const ACR_PASSWORD: &str = "urn:countersign:demo:password";
/// A sign-in with the second factor.
pub const ACR_CODE: &str = "urn:countersign:demo:mfa";
/// The audience of tokens for the orders API.
pub const ORDERS_AUDIENCE: &str = "urn:countersign:demo:orders";

/// A running provider.
#[derive(Debug, Clone)]
pub struct Op {
    /// Its issuer.
    pub issuer: String,
    /// Where tests change its people.
    pub control: String,
}

impl Op {
    /// Starts it; its keys lie in `state`, so that a restart on the same port is the same provider.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(processes: &mut Processes, state: &Path, port: u16) -> Result<Self> {
        let mut command = Command::new("node");
        command
            .arg(paths::node_program("op.mjs"))
            .arg("--state")
            .arg(state)
            .args(["--port", &port.to_string(), "--control", "0"]);
        let ready =
            processes.spawn_fixture_until("op", &mut command, |line| ready_line(line, "op"))?;
        Ok(Self {
            issuer: text(&ready, "issuer")?,
            control: text(&ready, "control")?,
        })
    }

    /// A token for the orders API that a program gets in its own name (RFC 6749, section 4.4).
    ///
    /// # Errors
    /// When the provider gives none.
    pub async fn program_token(&self, http: &reqwest::Client) -> Result<String> {
        let (client_id, client_secret) = CI_CLIENT;
        let answer: Value = http
            .post(format!("{}/token", self.issuer))
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret),
                ("resource", ORDERS_AUDIENCE),
            ])
            .send()
            .await
            .context("ask the provider for a program's token")?
            .json()
            .await
            .context("read the provider's answer")?;
        text(&answer, "access_token")
    }

    /// The subject of a person, `<iss>|<sub>`.
    #[must_use]
    pub fn subject(&self, sub: &str) -> String {
        format!("{}|{sub}", self.issuer)
    }
}

/// The running orders API.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Where it listens.
    pub url: String,
    /// Where it tells what it received.
    pub control: String,
}

impl Orders {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(processes: &mut Processes) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg(paths::node_program("orders.mjs"));
        let ready = processes
            .spawn_fixture_until("orders", &mut command, |line| ready_line(line, "orders"))?;
        Ok(Self {
            url: text(&ready, "url")?,
            control: text(&ready, "control")?,
        })
    }

    /// What has arrived, oldest first, as `METHOD target`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn received(&self, http: &reqwest::Client) -> Result<Vec<String>> {
        let calls: Vec<Value> = http
            .get(format!("{}/received", self.control))
            .send()
            .await
            .context("ask the orders API what it received")?
            .json()
            .await
            .context("read what the orders API received")?;
        calls
            .iter()
            .map(|call| {
                Ok(format!(
                    "{} {}",
                    text(call, "method")?,
                    text(call, "target")?
                ))
            })
            .collect()
    }
}

pub(crate) fn ready_line(line: &str, who: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    (value["ready"] == who).then_some(value)
}

pub(crate) fn text(value: &Value, member: &str) -> Result<String> {
    Ok(value[member]
        .as_str()
        .with_context(|| format!("find `{member}` in what a program printed"))?
        .to_owned())
}
