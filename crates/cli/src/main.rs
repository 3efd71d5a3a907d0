//! One binary: the approval server, the gates, and the commands of requesters, approvers and auditors.
//!
//! Each command is a module; this one reads the command line and turns errors into one sentence and an exit
//! code ([`exit`]). stdout holds what was asked for and nothing else; everything said to a person is on stderr.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod approve;
mod away;
mod browser;
mod call;
mod challenge;
mod clock;
mod devices;
mod exit;
mod folders;
mod gate;
mod http;
mod live_line;
mod policy;
mod requester;
mod serve;
mod signals;
mod terminal;
mod verify;
mod wait;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::approve::{ApproveCommand, Place};
use crate::call::CallArgs;
use crate::devices::DevicesCommand;
use crate::exit::{Exit, Stop, TABLE};
use crate::policy::PolicyCommand;
use crate::requester::{Requester, RequesterArgs};

/// Just-in-time, per-action human approval built on OpenID Connect.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = TABLE, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the approval server.
    #[command(after_help = "\
Examples:
  countersign serve --config server.toml
  countersign serve --config server.toml --check

Every key of the file is explained in server.example.toml.")]
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only check the configuration.
        #[arg(long)]
        check: bool,
    },
    /// Runs a gate, or makes a gate's key.
    #[command(subcommand)]
    Gate(GateCommand),
    /// Gets an access token for an API and prints it.
    #[command(after_help = "\
Examples:
  curl -X DELETE -H \"Authorization: Bearer $(countersign token)\" https://orders.example/customers/42
  countersign token --device --issuer https://id.example.com --client countersign-cli --resource urn:example:orders
  countersign token --for-challenge 'Bearer error=\"insufficient_scope\", scope=\"orders:export\"'
  countersign token --add-scope orders:export --acr urn:example:mfa --max-age 300

Without flags it reads requester.toml (issuer, client_id, resource, scopes, redirect_path) in
$XDG_CONFIG_HOME/countersign. Only the token goes to stdout.")]
    Token {
        #[command(flatten)]
        requester: RequesterArgs,
    },
    /// Makes one HTTP call: shows the matching words, waits for the approval, follows challenges.
    #[command(after_help = "\
Examples:
  countersign call -X DELETE https://orders.example/customers/42 --justification \"asked by the customer\"
  countersign call https://orders.example/prices -H 'content-type: application/json' -d @prices.json
  COUNTERSIGN_TOKEN=$CI_TOKEN countersign call -X POST https://orders.example/releases/7

What the API answers goes to stdout, everything else to stderr. The exit code says how it ended: 0 done, 1 refused
or an error of the API, 4 denied, 5 expired, withdrawn or void, 6 no answer, 7 not signed in.")]
    Call {
        #[command(flatten)]
        call: CallArgs,
        #[command(flatten)]
        requester: RequesterArgs,
    },
    /// Watches a request of yours until it is decided.
    #[command(after_help = "\
Examples:
  countersign wait 9mX2… --server https://countersign.example.com
  COUNTERSIGN_TOKEN=$(countersign token --resource https://countersign.example.com) countersign wait 9mX2…

The exit code says how it ended: 0 approved, 4 denied, 5 expired, withdrawn or void.")]
    Wait {
        /// The request, as `Approval-Id` names it.
        id: String,
        /// The approval server's address.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// A file that holds an access token for the server [or: COUNTERSIGN_TOKEN].
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        requester: RequesterArgs,
    },
    /// Verifies evidence, without any server.
    #[command(after_help = "\
Examples:
  countersign verify evidence.json --trust trust.toml
  countersign verify --trust trust.toml --check

The trust file names server, gate, providers, their keys and the policy. Without it nothing is proven: exit code 3.")]
    Verify {
        /// The evidence file.
        evidence: Option<PathBuf>,
        /// What you trust.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
        /// Only check the trust file.
        #[arg(long, requires = "trust", conflicts_with = "evidence")]
        check: bool,
    },
    /// Approves and denies, in a terminal.
    #[command(after_help = "\
Examples:
  countersign approve sign-in https://countersign.example.com
  countersign approve list
  countersign approve show 9mX2…
  countersign approve approve 9mX2… --reason \"checked with support\"
  countersign approve deny 9mX2… --reason \"wrong customer\"")]
    Approve {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: ApproveCommand,
    },
    /// Lists and signs out people's devices, for administrators.
    #[command(subcommand)]
    Devices(DevicesCommand),
    /// Works on policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
enum GateCommand {
    /// Runs the HTTP gate: a reverse proxy that holds the calls which need an approval.
    #[command(after_help = "\
Examples:
  countersign gate http --config gate.toml
  countersign gate http --config gate.toml --check

Every key of the file is explained in gate.example.toml.")]
    Http {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only check the configuration.
        #[arg(long)]
        check: bool,
    },
    /// Makes a gate's key: the private one into FILE, the public one to stdout.
    #[command(
        after_help = "Example:\n  countersign gate keygen gate.key.json --public gate.pub.json"
    )]
    Keygen {
        /// Where the private key goes; only its owner will be able to read it.
        file: PathBuf,
        /// Where the public key goes, instead of stdout.
        #[arg(long, value_name = "FILE")]
        public: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // A closed pipe is no reason for another error.
            let _ = error.print();
            return exit.into();
        }
    };
    log_to_stderr();
    // The first installation in a process wins, and this is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("countersign: cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("countersign: {error:#}");
            Stop::exit_of(&error).into()
        }
    }
}

async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Serve { config, check } => serve::run(&config, check).await,
        Command::Gate(GateCommand::Http { config, check }) => gate::http(&config, check).await,
        Command::Gate(GateCommand::Keygen { file, public }) => {
            gate::keygen(&file, public.as_deref())
        }
        Command::Token { requester } => {
            println!("{}", Requester::read(&requester)?.token().await?);
            Ok(Exit::Done)
        }
        Command::Call { call, requester } => call::run(call, &requester).await,
        Command::Wait {
            id,
            server,
            token_file,
            requester,
        } => wait::run(&id, server.as_deref(), token_file.as_deref(), &requester).await,
        Command::Verify {
            evidence,
            trust,
            check,
        } => verify::run(evidence.as_deref(), trust.as_deref(), check),
        Command::Approve { place, command } => approve::run(place, command).await,
        Command::Devices(command) => devices::run(command).await,
        Command::Policy(command) => policy::run(command),
    }
}

/// `COUNTERSIGN_LOG` chooses (such as `debug` or `countersign_pep=debug`); warnings unless set, and what a
/// server or gate did.
fn log_to_stderr() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new(
                "warn,countersign_server=info,countersign_gate_http=info,countersign_policy_file=info",
            )
        });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
