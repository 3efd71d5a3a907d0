//! `countersign policy …`: is a policy right for what it runs among, why does it answer as it does, and does it still
//! answer as people reviewed it?

mod check;
mod excerpt;
mod explain;
mod matrix;
mod outcome;
mod surroundings;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use countersign_policy::{LoadError, Policy};

use crate::exit::{Exit, Stop};

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Validates a policy, alone or against the providers and gates that it runs among.
    #[command(after_help = "\
Examples:
  countersign policy check policy.cedar
  countersign policy check policy.cedar --providers server.toml --gate gate.toml

With --providers it also finds groups, people and issuers that nobody trusts, and requirements that nobody there can
meet; with --gate, actions, resource types and claims that no route or provider of the gate brings. Exit code 2 when
something is wrong; warnings do not change it.")]
    Check {
        /// The policy file.
        file: PathBuf,
        /// A file with `[[provider]]` tables: server.toml, gate.toml or trust.toml.
        #[arg(long, value_name = "FILE")]
        providers: Option<PathBuf>,
        /// A gate's configuration; may be given several times.
        #[arg(long, value_name = "FILE")]
        gate: Vec<PathBuf>,
        /// Prints findings as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says what applies to an operation, what it asks for, and by which rules.
    #[command(after_help = "\
Examples:
  countersign policy explain operation.json --policy policy.cedar
  countersign policy explain - --policy policy.cedar --json < operation.json

The operation is AuthZEN's tuple: subject, action, resource and context. context.pep and context.nonce may be left out.")]
    Explain {
        /// The operation, as JSON; `-` reads it from stdin.
        operation: PathBuf,
        /// The policy file.
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// Prints it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compares a policy's answers with a file that people have reviewed.
    #[command(after_help = "\
Examples:
  countersign policy test orders.matrix.toml
  countersign policy test orders.matrix.toml --found

The file names subjects, operations, and the outcome of each with each. Exit code 1 when an answer differs. --found
prints the outcomes as they are now, in the file's form.")]
    Test {
        /// The matrix file.
        matrix: PathBuf,
        /// Tests another policy than the one that the file names.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Prints what the policy answers now, and compares nothing.
        #[arg(long, conflicts_with = "json")]
        found: bool,
        /// Prints the cells that differ as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(crate) fn run(command: PolicyCommand) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Check {
            file,
            providers,
            gate,
            json,
        } => check::run(&file, providers.as_deref(), &gate, json),
        PolicyCommand::Explain {
            operation,
            policy,
            json,
        } => explain::run(&operation, &policy, json),
        PolicyCommand::Test {
            matrix,
            policy,
            found,
            json,
        } => matrix::run(&matrix, policy.as_deref(), found, json),
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The policy of a file, for commands that want a sound one.
fn load(path: &Path) -> anyhow::Result<Policy> {
    Policy::load(&read_text(path)?).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &LoadError) -> anyhow::Error {
    Stop::with(Exit::Usage, format!("{}: {error}", path.display()))
}

/// How an annotation is written, and nothing that a terminal could take for more than text.
fn shown(text: &str) -> String {
    crate::terminal::safe(text)
}
