//! Native notifications: what is on the desktop is what waits for this person's vote, neither more nor less.
//!
//! [`notices`] says what should be there (pure). A [`Notifier`] makes it so: on Linux [`freedesktop`]. A
//! notification only ever opens a request; it never decides one.

pub mod freedesktop;
pub mod notices;
mod signals;

use std::future::Future;

use countersign_api::ipc::{Notifications, Problem};
use countersign_model::UnixSecs;
use tokio::sync::watch;

/// What a notification is about. There is at most one for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// One request.
    Request(String),
    /// Many requests that are alike, named by what they share.
    Alike(String),
    /// The test that a person asked for.
    Test,
    /// The window, which ended by itself.
    Window,
}

/// How much it presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As any message.
    Normal,
    /// Shown even where the desktop would hold others back.
    Critical,
}

/// One notification, as it should be. Plain text throughout; escaping is the notifier's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub key: Key,
    /// The request that a click opens; without one, the inbox.
    pub opens: Option<String>,
    /// First line.
    pub title: String,
    /// Second line, in parts.
    pub facts: Vec<String>,
    /// When voting ends. How long is left is said as of the moment when the notification is sent.
    pub ends_at: Option<UnixSecs>,
    /// How much it presses.
    pub urgency: Urgency,
    /// How many requests it stands for: once dismissed it comes back only when there are more.
    pub stands_for: usize,
}

/// Whether notifications reach the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not yet known.
    Asking,
    /// A daemon answers.
    Working {
        /// Its name.
        daemon: String,
    },
    /// None does; one sentence says what to do.
    Missing {
        /// The sentence.
        sentence: String,
    },
}

impl Health {
    /// As the window is told.
    #[must_use]
    pub fn state(&self) -> Notifications {
        match self {
            Self::Working { daemon } => Notifications::Working {
                daemon: daemon.clone(),
            },
            Self::Asking | Self::Missing { .. } => Notifications::Missing,
        }
    }
}

/// Shows notifications on this desktop.
pub trait Notifier {
    /// Makes the desktop show exactly these. What was dismissed stays away; what is no longer named goes away.
    fn show(&self, wanted: Vec<Notice>);

    /// Sends one that says that it is a test.
    ///
    /// # Errors
    /// With a sentence for the person, when the desktop did not take it.
    fn test(&self) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Whether notifications reach the person, and each change of it.
    fn health(&self) -> watch::Receiver<Health>;

    /// Takes back everything that is shown, and ends.
    fn end(&self) -> impl Future<Output = ()> + Send;
}
