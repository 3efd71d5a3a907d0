//! What the desktop tells this person and when: whether notifications work, requesters who are muted, a pause, and
//! times of quiet. None of it ever hides a request from the inbox, or from the count in the tray.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Line;

/// The longest time for which a requester is muted, in seconds.
pub const MAX_MUTE_SECS: u32 = 24 * 3600;
/// The longest pause that ends by itself, in seconds.
pub const MAX_PAUSE_SECS: u32 = 24 * 3600;

/// Whether notifications reach the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Notifications {
    /// A daemon answers.
    Working {
        /// Its name, such as `dunst`.
        daemon: String,
        /// Its version, as it says.
        version: String,
        /// What it can do.
        can: Vec<Ability>,
        /// The desktop holds notifications back ("do not disturb"), where it tells.
        held: bool,
        /// The last test that this daemon took.
        test: Option<TestSent>,
    },
    /// None answers; the tray and the window stand in.
    Missing {
        /// Why, and what to do: one sentence.
        why: String,
    },
}

/// Something that a notification daemon can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// A second line: what, where, how long.
    Body,
    /// A click is told, and buttons are drawn.
    Actions,
    /// What presses stands out.
    Urgency,
    /// A sound.
    Sound,
    /// What was not clicked stays in a list.
    Persistence,
}

/// A notification that was sent to see whether it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TestSent {
    /// When. Unix seconds.
    #[ts(type = "number")]
    pub at: i64,
    /// After so long the daemon had taken it.
    pub millis: u32,
    /// Whether the person saw it; `None` until they say.
    pub seen: Option<bool>,
}

/// A requester whose requests come silently for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Mute {
    /// Names it in [`super::Call::Unmute`].
    pub id: String,
    /// Who is muted.
    pub name: Line,
    /// Until when. Unix seconds.
    #[ts(type = "number")]
    pub until: i64,
    /// So many requests of theirs came silently.
    pub silent: u32,
    /// Their requests that wait for this person.
    pub txns: Vec<String>,
}

/// Notifications are paused by the person: nothing comes through, whatever the policy calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Paused {
    /// Until when, in Unix seconds; `None`: until resumed.
    #[ts(type = "number | null")]
    pub until: Option<i64>,
}

/// Why it is quiet now, without anybody having paused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "quiet", rename_all = "snake_case")]
pub enum QuietNow {
    /// The quiet hours. Requests that the policy calls urgent come through.
    QuietHours {
        /// When they end. Unix seconds.
        #[ts(type = "number")]
        until: i64,
    },
    /// Every account of this person is away. Nothing comes through.
    Away {
        /// When the first of them is back. Unix seconds.
        #[ts(type = "number")]
        until: i64,
    },
}
