//! The app's resident process: it lives in the desktop session, holds the approver's keys and stream (through
//! `countersign-approver`), tells the person by notifications and tray, and answers the window's questions.
//!
//! It links no GTK and needs no display to start: it survives the window's death and the X server's. What the
//! approver's program does in general (accounts, inbox, votes, verification) is not here but in that crate.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod absence;
pub mod alarm;
pub mod autostart;
pub mod browser;
pub mod bus;
pub mod checks;
pub mod desk;
pub mod diagnostics;
pub mod entry;
pub mod folders;
pub mod frames;
pub mod heap;
pub mod instance;
pub mod intent;
pub mod keyring;
pub mod links;
pub mod log;
pub mod mutes;
pub mod notify;
pub mod open_socket;
pub mod prefs;
pub mod quiet;
pub mod sandbox;
pub mod security_key;
pub mod session;
pub mod text;
pub mod tray;
pub mod wake;
pub mod window;
pub mod window_socket;
pub mod wiped;
pub mod zone;
