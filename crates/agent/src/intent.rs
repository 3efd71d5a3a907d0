//! What a person's hand on the desktop asks of the agent: from a notification, the tray, a second launch.

use countersign_api::ipc::Choice;

/// A wish. The one place that acts on it is [`crate::session`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Bring the window forward, at this request where one is named.
    Open {
        /// The request.
        txn: Option<String>,
        /// The desktop's proof that a person asked (XDG activation), to hand to the window.
        activation_token: Option<String>,
    },
    /// Vote, by a button of a notification: the policy allows it, and the notification service itself said so.
    Vote {
        /// The request.
        txn: String,
        /// The choice.
        choice: Choice,
        /// Of the card as it was when the notification was made.
        display_digest: String,
    },
    /// Mute the requester of this request for an hour.
    Mute {
        /// The request.
        txn: String,
    },
    /// Let everything come silently: for so long, or until resumed.
    Pause {
        /// In seconds.
        secs: Option<u32>,
    },
    /// End a pause.
    Resume,
    /// End the agent, and the window with it.
    Quit,
}
