//! What a person's hand on the desktop asks of the agent: from a notification, the tray, a second launch.

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
    /// End the agent, and the window with it.
    Quit,
}
