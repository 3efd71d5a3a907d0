//! All parts as a person would run them: the built programs with configuration files, each a process of its own, on a
//! desktop. The demo and the tests of the whole play here.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::desktop::{Daemon, Desktop};
use crate::owned::Processes;
use crate::paths;
use crate::person::Person;
use crate::ports;
use crate::provider::{CLI_CLIENT, ORDERS_AUDIENCE, Op, Orders};
use crate::setup::{Places, Providers, Rules, Setup};

/// How long the gate holds a call here.
pub const HOLD_SECS: u32 = 900;

/// Whose desktop it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's: one is made, without a screen.
    Made(Daemon),
    /// The person's who started this program.
    Theirs,
}

/// Everything, as processes.
pub struct Stage {
    /// All of them.
    pub processes: Processes,
    /// The desktop that was made, if one was.
    pub desktop: Option<Desktop>,
    /// The provider.
    pub op: Op,
    /// What stands behind the gate.
    pub orders: Orders,
    /// The configuration files.
    pub setup: Setup,
    /// The server's `public_url`.
    pub server_url: String,
    /// Where callers call.
    pub gate_url: String,
    state: PathBuf,
}

impl Stage {
    /// Starts provider, orders API, server, gate and, where there is none, a desktop. `elin` sits at it.
    ///
    /// # Errors
    /// When a part does not start; the error holds its own words.
    pub fn start(state: &Path, whose: Whose) -> Result<Self> {
        Self::start_by(state, whose, Rules::Orders)
    }

    /// The same under another policy.
    ///
    /// # Errors
    /// As [`Stage::start`].
    pub fn start_by(state: &Path, whose: Whose, rules: Rules) -> Result<Self> {
        fs::create_dir_all(state).with_context(|| format!("make {}", state.display()))?;
        // Absolute: programs run in other folders.
        let state = state.canonicalize().context("find the state folder")?;
        let mut processes = Processes::new(&state)?;
        let ports = Ports::kept_or_chosen(&state)?;
        let op = Op::start(&mut processes, &state.join("op"), ports.op)?;
        let orders = Orders::start(&mut processes)?;
        let places = Places {
            server: format!("http://127.0.0.1:{}", ports.server),
            server_listens: format!("127.0.0.1:{}", ports.server),
            gate_listens: format!("127.0.0.1:{}", ports.gate),
            upstream: orders.url.clone(),
        };
        let setup = Setup::write(
            &state.join("config"),
            Providers {
                first: &op,
                second: None,
            },
            rules,
            &places,
            HOLD_SECS,
        )?;
        let desktop = match whose {
            Whose::Made(daemon) => Some(Desktop::start(
                &mut processes,
                &state,
                &Person::named("elin"),
                daemon,
            )?),
            Whose::Theirs => None,
        };
        let mut stage = Self {
            processes,
            desktop,
            op,
            orders,
            setup,
            server_url: places.server,
            gate_url: format!("http://127.0.0.1:{}", ports.gate),
            state,
        };
        fs::write(stage.setup.path("requester.toml"), stage.requester_toml())
            .context("write requester.toml")?;
        stage.start_server()?;
        stage.start_gate()?;
        Ok(stage)
    }

    /// The folder of everything.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Starts the server's program.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_server(&mut self) -> Result<()> {
        let mut command = Command::new(paths::program("countersign")?);
        command
            .args(["serve", "--config"])
            .arg(self.setup.path("server.toml"));
        self.processes.spawn_until("server", &mut command, |line| {
            line.contains("ready").then_some(())
        })
    }

    /// Starts the server's program so that it dies at its `write`-th write, and is started again at once, as an
    /// operator's supervisor does. [`Stage::server_died`] tells whether it came to that.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_server_dying_at(&mut self, write: u32) -> Result<()> {
        let script = "COUNTERSIGN_KILL_AT_WRITE=\"$1\" \"$2\" serve --config \"$3\"; echo \"died at write $1\"; \
                      exec \"$2\" serve --config \"$3\"";
        let mut command = Command::new("bash");
        command
            .args(["-c", script, "supervisor", &write.to_string()])
            .arg(paths::program("countersign")?)
            .arg(self.setup.path("server.toml"));
        self.processes.spawn_until("server", &mut command, |line| {
            line.contains("ready").then_some(())
        })
    }

    /// Whether the server died at this write.
    #[must_use]
    pub fn server_died(&self, write: u32) -> bool {
        let died = format!("died at write {write}");
        self.processes
            .said("server")
            .lines()
            .any(|line| line == died)
    }

    /// Starts the gate's program.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_gate(&mut self) -> Result<()> {
        let mut command = Command::new(paths::program("countersign")?);
        command
            .args(["gate", "http", "--config"])
            .arg(self.setup.path("gate.toml"));
        self.processes.spawn_until("gate", &mut command, |line| {
            line.contains("ready").then_some(())
        })
    }

    /// Starts the app's agent alone, as it starts with the session.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_agent(&mut self) -> Result<()> {
        let mut command = self.command(paths::program("countersign-agent")?);
        command.arg("run");
        self.processes.spawn("agent", &mut command)?;
        self.processes.until_said("agent", "ready", 1)
    }

    /// Starts the app: the agent, which opens its window.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_app(&mut self) -> Result<()> {
        let mut command = self.command(paths::program("countersign-agent")?);
        command.args(["open", "--server", &self.server_url]);
        self.processes.spawn("agent", &mut command).map(drop)
    }

    /// A command in the desktop's session, with the built programs on its path.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match &self.desktop {
            Some(desktop) => desktop.command(program),
            None => {
                let mut command = Command::new(program);
                // The demo keeps apart from what the person has of their own.
                for (name, folder) in [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")] {
                    command.env(name, self.state.join("home").join(folder));
                }
                command.stdin(Stdio::null());
                command
            }
        };
        let path = command
            .get_envs()
            .find_map(|(name, value)| (name == "PATH").then_some(value?.to_owned()))
            .or_else(|| std::env::var_os("PATH"))
            .unwrap_or_default();
        if let Ok(program) = paths::program("countersign")
            && let Some(folder) = program.parent()
        {
            let mut with_ours = OsString::from(folder);
            with_ours.push(":");
            with_ours.push(path);
            command.env("PATH", with_ours);
        }
        command
    }

    /// A person types this line in a terminal of their own; it runs in the background under this name.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn types(&mut self, person: &str, name: &str, line: &str) -> Result<()> {
        let mut command = self.command("bash");
        let person = Person::named(person);
        command
            .args(["-c", line])
            .current_dir(&self.state)
            .env("COUNTERSIGN_PERSON", &person.sub)
            .env("COUNTERSIGN_PASSWORD", &person.password);
        self.processes.spawn(name, &mut command).map(drop)
    }

    /// A person types this line and waits for its end: the exit code and all that it printed.
    ///
    /// # Errors
    /// When it does not end soon.
    pub fn types_and_waits(
        &mut self,
        person: &str,
        name: &str,
        line: &str,
    ) -> Result<(Option<i32>, String)> {
        self.types(person, name, line)?;
        self.processes.finish(name, Duration::from_secs(120))
    }

    /// The developer's line: a call through the gate with a token of their own.
    #[must_use]
    pub fn curl(&self, arguments: &str, path: &str) -> String {
        self.curl_with(&format!("$({})", self.token_line()), arguments, path)
    }

    /// The same with a token from somewhere else.
    #[must_use]
    pub fn curl_with(&self, token: &str, arguments: &str, path: &str) -> String {
        format!(
            "curl -sS -i {arguments} -H \"Authorization: Bearer {token}\" {}{path}",
            self.gate_url
        )
    }

    /// What prints a developer's token.
    #[must_use]
    pub fn token_line(&self) -> String {
        format!(
            "countersign token --config {}",
            self.setup.path("requester.toml").display()
        )
    }

    /// The second approver's line, `countersign approve …` with keys in a file.
    #[must_use]
    pub fn approve(&self, person: &str, words: &str) -> String {
        let keys = self.state.join(format!("{person}.keys"));
        format!("countersign approve {words} --key-file {}", keys.display())
    }

    /// Writes what an auditor trusts: keys asked from provider and server by the auditor's own hand.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn write_trust(&self) -> Result<PathBuf> {
        let fetch = |url: String| -> Result<String> {
            let output = Command::new("curl")
                .args(["-sSf", &url])
                .output()
                .with_context(|| format!("fetch {url}"))?;
            ensure!(output.status.success(), "{url} does not answer");
            String::from_utf8(output.stdout).with_context(|| format!("read {url}"))
        };
        let keys: serde_json::Value = serde_json::from_str(&fetch(format!(
            "{}/.well-known/countersign/keys",
            self.server_url
        ))?)
        .context("read the server's keys")?;
        let jwks = fetch(format!("{}/jwks", self.op.issuer))?;
        self.setup.write_trust(
            &self.op,
            &self.server_url,
            &keys["server"][0].to_string(),
            &jwks,
        )
    }

    fn requester_toml(&self) -> String {
        format!(
            "issuer = \"{}\"\nclient_id = \"{CLI_CLIENT}\"\nresource = \"{ORDERS_AUDIENCE}\"\nserver = \"{}\"\n",
            self.op.issuer, self.server_url
        )
    }
}

/// The ports of provider, server and gate. They are part of names (issuer, server id), so a second run keeps them: then
/// people, keys and history of the first are still good.
struct Ports {
    op: u16,
    server: u16,
    gate: u16,
}

impl Ports {
    fn kept_or_chosen(state: &Path) -> Result<Self> {
        let file = state.join("ports");
        if let Some(kept) = fs::read_to_string(&file)
            .ok()
            .and_then(|text| Self::parse(&text))
        {
            if [kept.op, kept.server, kept.gate]
                .into_iter()
                .all(ports::is_free)
            {
                return Ok(kept);
            }
            println!(
                "Another program has taken a port of the last run: starting with new ports and new state."
            );
            for stale in ["op", "config", "home"] {
                let stale = state.join(stale);
                if stale.exists() {
                    fs::remove_dir_all(&stale)
                        .with_context(|| format!("clear {}", stale.display()))?;
                }
            }
        }
        let [op, server, gate] = ports::free()?;
        fs::write(&file, format!("{op} {server} {gate}\n")).context("keep the ports")?;
        Ok(Self { op, server, gate })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        Some(Self {
            op: numbers.next()??,
            server: numbers.next()??,
            gate: numbers.next()??,
        })
    }
}
