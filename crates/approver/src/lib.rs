//! What an approver's program does, without any desktop: the agent, the terminal approver and the tests are
//! built on it.
//!
//! - [`Approver`]: the handle of one account; every call of a window is a method
//! - [`Accounts`]: several of them behind one inbox
//! - [`State`], [`Event`]: what is on show, and what happens
//! - [`KeyStore`]: where secrets live, by the program's own means
//! - [`SecurityKey`]: what confirms a vote where the provider cannot
//!
//! It verifies every request before anything of it is shown, renders only from the verified bytes, and signs only
//! what was shown. It deliberately knows no notification, no tray, no window and no socket, opens no browser by
//! itself, and reads no environment. Nothing here is global.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod absence;
mod accounts;
mod approver;
mod archived;
mod at_the_key;
pub mod away;
mod binding;
mod brief;
mod claims;
mod confirming;
mod devices;
mod filling;
mod inner;
mod item;
mod kept;
mod kept_vote;
mod keys;
mod past;
mod probe;
mod problem;
mod releases;
mod report;
mod runner;
mod security_key;
mod session;
mod since;
mod state;
mod vote;
mod voting;
mod wire;

pub use absence::AbsencePage;
pub use accounts::Accounts;
pub use approver::{Approver, Deps, Options, StartError};
pub use brief::{Brief, Buttons};
pub use countersign_client::{RoundTrip, Route, Way};
pub use countersign_evidence::PublicKey;
pub use countersign_oidc::Opener;
pub use filling::HistoryHome;
pub use keys::{KeyStore, KeyStoreError};
pub use probe::Probe;
pub use security_key::{
    Assertion, Enrolled, Holder, NewCredential, SecurityKey, SecurityKeyError, Touch,
};
pub use state::{Event, LastServer, State};
