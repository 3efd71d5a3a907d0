//! `countersign devices`: what an administrator does about people's devices. It shows and asks; whether the caller
//! may, the server says, by the provider's groups.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use countersign_api::http::{DeviceList, DeviceView, Problem};
use countersign_model::{Digest, ServerId, Subject, UnixSecs};
use reqwest::Method;

use crate::exit::{Exit, Stop};
use crate::http;
use crate::requester::{Requester, RequesterArgs};
use crate::terminal::safe;
use crate::wait;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// What to do about devices.
#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// Lists devices that are signed in, newest first: an id, whose it is, what it calls itself.
    #[command(after_help = "\
Examples:
  countersign devices list --server https://countersign.example.com
  countersign devices list --person 'https://login.example.com|elin'")]
    List {
        /// Only this person's: `<issuer>|<subject>`.
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Signs a device out: its session ends at once, and its votes that are not yet used are void.
    #[command(after_help = "Example:\n  countersign devices revoke 9mX2…")]
    Revoke {
        /// The device, as the list names it.
        id: String,
        #[command(flatten)]
        at: At,
    },
}

/// Which server, and who asks.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The approval server's address.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file that holds an access token for the server [or: COUNTERSIGN_TOKEN].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    requester: RequesterArgs,
}

/// Runs it.
pub(crate) async fn run(command: DevicesCommand) -> anyhow::Result<Exit> {
    let usage = |error: &dyn std::fmt::Display| Stop::with(Exit::Usage, error.to_string());
    match command {
        DevicesCommand::List { person, at } => {
            let person = person
                .map(|text| Subject::parse(&text))
                .transpose()
                .map_err(|_| usage(&"`--person` must be written `<issuer>|<subject>`"))?;
            let admin = Admin::of(&at).await?;
            let query: Vec<(&str, String)> = person
                .iter()
                .map(|person| ("person", person.to_string()))
                .collect();
            let body = admin.call(Method::GET, "", &query).await?;
            let DeviceList { devices } = serde_json::from_slice(&body).map_err(|_| {
                Stop::with(
                    Exit::Failed,
                    "the server's answer cannot be read; is it a Countersign server?",
                )
            })?;
            for device in &devices {
                println!("{}", line(device));
            }
            if devices.is_empty() {
                eprintln!("No device is signed in.");
            }
        }
        DevicesCommand::Revoke { id, at } => {
            let id = Digest::parse(&id).map_err(|error| usage(&error))?;
            let admin = Admin::of(&at).await?;
            admin.call(Method::DELETE, &format!("/{id}"), &[]).await?;
            eprintln!("The device is signed out.");
        }
    }
    Ok(Exit::Done)
}

/// One line, with tabs between: for people, and for `cut`.
fn line(device: &DeviceView) -> String {
    let DeviceView {
        binding_id,
        iss,
        sub,
        name,
        device_name,
        bound_at,
        session_ends_at,
    } = device;
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}",
        safe(binding_id),
        safe(&format!("{iss}|{sub}")),
        safe(name),
        safe(device_name),
        UnixSecs(*bound_at).utc(),
        UnixSecs(*session_ends_at).utc(),
    )
}

/// An administrator's side of a server.
struct Admin {
    http: reqwest::Client,
    server: ServerId,
    token: String,
}

impl Admin {
    async fn of(at: &At) -> anyhow::Result<Self> {
        let requester = Requester::read(&at.requester)?;
        let server = wait::server(at.server.as_deref(), &requester)?;
        let token = wait::token(&server, at.token_file.as_deref(), requester).await?;
        let http = http::client(server.as_str())?;
        Ok(Self {
            http,
            server,
            token,
        })
    }

    async fn call(
        &self,
        method: Method,
        below: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Vec<u8>> {
        let Self {
            http,
            server,
            token,
        } = self;
        let response = http
            .request(method, format!("{server}/admin/v1/devices{below}"))
            .query(query)
            .bearer_auth(token)
            .timeout(CALL_LIMIT)
            .send()
            .await
            .map_err(|_| {
                Stop::with(
                    Exit::Unreachable,
                    format!("the server at {server} does not answer"),
                )
            })?;
        let status = response.status().as_u16();
        let body = http::body(response, MAX_ANSWER_BYTES).await;
        let body = body
            .context("read the server's answer")?
            .ok_or_else(|| Stop::with(Exit::Failed, "the server's answer is too long"))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let detail = serde_json::from_slice::<Problem>(&body)
            .ok()
            .and_then(|problem| problem.detail)
            .unwrap_or_else(|| format!("it answered with status {status}"));
        let exit = match status {
            401 => Exit::SignIn,
            500..=599 => Exit::Unreachable,
            _ => Exit::Failed,
        };
        Err(Stop::with(
            exit,
            format!("the server refuses: {}", safe(&detail)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_line_hides_what_would_move_the_cursor() {
        let device = DeviceView {
            binding_id: "id".into(),
            iss: "https://login.example".into(),
            sub: "elin".into(),
            name: "Elin\u{1b}[2J".into(),
            device_name: "laptop".into(),
            bound_at: 0,
            session_ends_at: 60,
        };
        let line = line(&device);
        assert!(!line.contains('\u{1b}'), "{line}");
        assert!(
            line.starts_with("id\thttps://login.example|elin\tElin"),
            "{line}"
        );
    }
}
