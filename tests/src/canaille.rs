//! The second OpenID provider: Canaille, another implementation by other people, and the one that cannot do everything.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::flow::Flow;
use crate::owned::Processes;
use crate::paths;
use crate::person::Person;
use crate::ports;
use crate::provider::{APPROVER_CLIENT, ready_line, text};

/// A running Canaille.
#[derive(Debug, Clone)]
pub struct Canaille {
    /// Its issuer.
    pub issuer: String,
    /// Where tests change its groups.
    pub control: String,
    /// The ports on which approvers' programs may wait for a sign-in there: it compares them exactly.
    pub callback_ports: Vec<u16>,
}

impl Canaille {
    /// Starts it in a new state.
    ///
    /// # Errors
    /// When its virtual environment is missing (`cargo xtask test` makes it), or it does not start.
    pub fn start(processes: &mut Processes, state: &Path) -> Result<Self> {
        let python = environment()?.join("bin/python");
        // Part of what the provider knows of the client, so they are chosen before anybody listens on them.
        let callback_ports = ports::free::<4>()?.to_vec();
        let mut command = Command::new(python);
        command
            .arg(paths::root().join("tests/canaille/run.py"))
            .arg("--state")
            .arg(state)
            .args(["--control", "0"]);
        for port in &callback_ports {
            command.args(["--callback", &format!("http://127.0.0.1:{port}/callback")]);
        }
        let ready = processes.spawn_fixture_until("canaille", &mut command, |line| {
            ready_line(line, "canaille")
        })?;
        Ok(Self {
            issuer: text(&ready, "issuer")?,
            control: text(&ready, "control")?,
            callback_ports,
        })
    }

    /// A person signs in once in the ordinary way and consents. With `prompt=login` Canaille 0.3.6 asks for the password
    /// for ever as long as consent is missing: the answer to its consent page is a new request to it.
    ///
    /// # Errors
    /// When the pages do not end in a code.
    pub async fn consent_once(&self, person: &Person) -> Result<()> {
        let mut flow = Flow::new(&self.issuer, APPROVER_CLIENT);
        flow.redirect = format!("http://127.0.0.1:{}/callback", self.callback_ports[0]);
        flow.run(person).await?.id_token().map(drop)
    }
}

/// The virtual environment that `cargo xtask test` makes.
fn environment() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| paths::root().join("target"), PathBuf::from)
        .join("canaille");
    ensure!(
        folder.join("bin/python").exists(),
        "{} has not been made: `cargo xtask test --only e2e` makes it first",
        folder.display()
    );
    Ok(folder)
}
