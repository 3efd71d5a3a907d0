//! Native notifications: what is on the desktop is what waits for this person's vote, neither more nor less.
//!
//! [`telling`] says what may be told now, [`notices`] how (both pure). A [`Notifier`] makes the desktop show it: on
//! Linux [`freedesktop`]; other systems stand behind the same trait. A notification opens a request; it decides one only by
//! a button that the policy allows, clicked at the very service that shows it.

pub mod freedesktop;
pub mod notices;
mod signals;
pub mod telling;

use std::future::Future;

use countersign_api::ipc::{Ability, Notifications, TestSent};
use countersign_model::UnixSecs;
use tokio::sync::watch;

use crate::text::catalogue::{Tongue, Words};

/// What a notification is about. There is at most one for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// One request.
    Request(String),
    /// Many requests that are alike, named by what they share.
    Alike(String),
    /// A vote by a button that did not count.
    Vote(String),
    /// The test that a person asked for.
    Test,
    /// The window, which ended by itself.
    Window,
}

/// How much it presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// To be seen in passing.
    Low,
    /// As any message.
    Normal,
    /// Shown even where the desktop would hold others back.
    Critical,
}

/// How long it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// Until it is withdrawn.
    UntilOver,
    /// A moment: the desktop need not keep it in a list.
    Briefly,
    /// The same, and only in the place of one that is on screen: how its request ended.
    Farewell,
}

/// A button beside the notification's own click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Button {
    /// Denies.
    Deny(Decision),
    /// Approves.
    Approve(Decision),
    /// Mutes the requester of this request for an hour.
    Mute {
        /// The request.
        txn: String,
    },
}

/// What a click on a button decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The request.
    pub txn: String,
    /// Of its card, as it was when the notification was made: nothing else is signed.
    pub display_digest: String,
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
    /// Told again, as a reminder: it comes up anew, even if it was dismissed before.
    pub reminder: bool,
    /// What can be done with it besides opening.
    pub buttons: Vec<Button>,
    /// How long it stays.
    pub stay: Stay,
}

/// Everything that the desktop should show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// The notifications.
    pub notices: Vec<Notice>,
    /// New ones sound.
    pub sound: bool,
    /// The language of what is added to them.
    pub tongue: Tongue,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            notices: Vec::new(),
            sound: true,
            tongue: Tongue::En,
        }
    }
}

/// Whether notifications reach the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not yet known.
    Asking,
    /// A daemon answers.
    Working(Service),
    /// None does.
    Missing(Why),
}

/// A notification daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub can: Vec<Ability>,
    /// It holds everything back.
    pub held: bool,
    /// The last test.
    pub test: Option<TestSent>,
}

/// Why notifications do not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no session bus.
    NoBus,
    /// Nobody provides the service.
    NoDaemon,
    /// Somebody does, and does not answer.
    Broken,
}

impl Why {
    /// What happened and what to do, in a sentence.
    #[must_use]
    pub fn sentence(self, words: &Words) -> &str {
        match self {
            Self::NoBus => &words.no_bus,
            Self::NoDaemon => &words.no_daemon,
            Self::Broken => &words.broken_daemon,
        }
    }
}

impl Health {
    /// As the window is told.
    #[must_use]
    pub fn state(&self, words: &Words) -> Notifications {
        match self {
            Self::Working(Service {
                name,
                version,
                can,
                held,
                test,
            }) => Notifications::Working {
                daemon: name.clone(),
                version: version.clone(),
                can: can.clone(),
                held: *held,
                test: *test,
            },
            Self::Asking => Notifications::Missing {
                why: words.asking_daemon.clone(),
            },
            Self::Missing(why) => Notifications::Missing {
                why: why.sentence(words).to_owned(),
            },
        }
    }

    /// What is wrong, if anything is.
    #[must_use]
    pub fn trouble<'a>(&self, words: &'a Words) -> Option<&'a str> {
        match self {
            Self::Missing(why) => Some(why.sentence(words)),
            Self::Working(service) => service.held.then_some(&words.held),
            Self::Asking => None,
        }
    }
}

/// Shows notifications on this desktop.
pub trait Notifier {
    /// Makes the desktop show exactly this. What was dismissed stays away; what is no longer named goes away.
    fn show(&self, screen: Screen);

    /// Sends one that says that it is a test. How that went is told by [`Notifier::health`].
    ///
    /// # Errors
    /// When the desktop did not take it.
    fn test(&self) -> impl Future<Output = Result<(), Why>> + Send;

    /// The person says whether they saw the last test.
    fn test_seen(&self, seen: bool);

    /// Whether notifications reach the person, and each change of it.
    fn health(&self) -> watch::Receiver<Health>;

    /// Takes back everything that is shown, and ends.
    fn end(&self) -> impl Future<Output = ()> + Send;
}
