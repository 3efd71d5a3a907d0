//! Exit codes: one table for all commands, so that scripts can act on what happened.

use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done; approved; proven.
    Done = 0,
    /// It failed, and the sentence on stderr says why.
    Failed = 1,
    /// The command line or a configuration file is wrong.
    Usage = 2,
    /// The evidence holds together, but not everything could be proven with what was given.
    NotProven = 3,
    /// An approver denied it.
    Denied = 4,
    /// It ended without a decision: expired, withdrawn, void.
    Over = 5,
    /// The server or the identity provider does not answer.
    Unreachable = 6,
    /// Nobody is signed in, or the token is refused.
    SignIn = 7,
}

/// The table, for `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done; approved; proven
  1  failed (the sentence on stderr says why); evidence that does not hold
  2  the command line or a configuration file is wrong
  3  evidence that holds together but is not proven with what was given
  4  denied by an approver
  5  ended without a decision: expired, withdrawn, void
  6  the server or the identity provider does not answer
  7  nobody is signed in, or the token is refused";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug)]
pub(crate) struct Stop {
    exit: Exit,
    sentence: String,
}

impl Stop {
    /// Ends the command with this code and sentence.
    pub(crate) fn with(exit: Exit, sentence: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self {
            exit,
            sentence: sentence.into(),
        })
    }

    /// The code of an error: its own, else [`Exit::Failed`].
    pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
        error
            .downcast_ref::<Self>()
            .map_or(Exit::Failed, |stop| stop.exit)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Stop {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_code() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotProven,
            Exit::Denied,
            Exit::Over,
            Exit::Unreachable,
            Exit::SignIn,
        ] {
            assert!(TABLE.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }

    #[test]
    fn an_error_keeps_its_code_through_contexts() {
        let error = Stop::with(Exit::Denied, "No.");
        assert_eq!(Stop::exit_of(&error), Exit::Denied);
        assert_eq!(Stop::exit_of(&anyhow::anyhow!("other")), Exit::Failed);
    }
}
