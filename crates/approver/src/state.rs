//! What the program around this library sees: one state, and events.

use countersign_api::ipc::{Account, Connection, Line, Outcome, Problem, Row, SignIn};

/// Everything that is on show outside of a card. The agent adds what only a desktop knows.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Who is signed in: the first of the accounts.
    pub account: Option<Account>,
    /// All of them, each with its own stream's state.
    pub accounts: Vec<Account>,
    /// A sign-in under way, or how the last one failed.
    pub sign_in: SignIn,
    /// The stream.
    pub connection: Connection,
    /// Waiting for this person's vote, most urgent first.
    pub inbox: Vec<Row>,
    /// This person voted, or asked; others have yet to.
    pub others: Vec<Row>,
    /// The list of requests was read since the session began: an empty inbox is an empty inbox.
    pub listed: bool,
    /// What is not in order, most severe first.
    pub troubles: Vec<Problem>,
    /// Where the last sign-in was, also after signing out.
    pub last: Option<LastServer>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            account: None,
            accounts: Vec::new(),
            sign_in: SignIn::Idle,
            connection: Connection::SignedOut,
            inbox: Vec::new(),
            others: Vec::new(),
            listed: false,
            troubles: Vec::new(),
            last: None,
        }
    }
}

/// Where somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastServer {
    /// The server's `public_url`.
    pub server: String,
    /// The provider's issuer.
    pub issuer: String,
}

/// What happened. Those who miss some read the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request waits for this person's vote. Its card can be had.
    Arrived {
        /// The request.
        txn: String,
    },
    /// The card of this request is no longer what it was.
    Changed {
        /// The request.
        txn: String,
    },
    /// It is over.
    Closed {
        /// The request.
        txn: String,
        /// How.
        outcome: Outcome,
        /// Who ended it, where a person did.
        by: Option<Line>,
    },
    /// Another device of this person signed in.
    DeviceAdded {
        /// Its binding.
        binding_id: String,
    },
    /// The history on this device changed, or a selection of it was counted.
    HistoryChanged,
    /// The browser is done: bring the program forward.
    SignedIn,
    /// A vote was confirmed, or was not: bring the program forward at its card, which says so.
    StepUpEnded {
        /// The request.
        txn: String,
    },
}
