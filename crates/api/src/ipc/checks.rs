//! What has to work for requests to reach the person, tried out when the window asks.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One thing that was tried out just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Check {
    /// What.
    pub what: CheckOf,
    /// How it is.
    pub state: CheckState,
    /// In plain words; where it is not good, what to do.
    pub sentence: String,
    /// How long it took, where that tells something: a round trip to the server.
    pub millis: Option<u32>,
}

/// What was tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum CheckOf {
    /// The server answers.
    Connection,
    /// Where the device key is, and that it can be had.
    Key,
    /// This computer's clock against the server's.
    Clock,
    /// Whether the app starts with the desktop.
    Autostart,
    /// Whether a notification can be shown.
    Notifications,
    /// Whether the window is shut in.
    Sandbox,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Good,
    /// It works, and could be better or is not known.
    Care,
    /// It does not work.
    Bad,
}

/// Whether the window's process is shut in: no network, no session bus, nothing of the person's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Sandbox {
    /// It is, or will be when it opens.
    On,
    /// It is not.
    Off {
        /// Why, in a sentence.
        why: String,
    },
}
