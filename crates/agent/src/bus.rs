//! Which D-Bus to speak on.

use zbus::connection::Builder;

/// A message bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The session's, as the environment names it.
    Session,
    /// The computer's.
    System,
    /// The one at this address.
    At(String),
}

impl Bus {
    /// Where a connection starts.
    ///
    /// # Errors
    /// When the address does not parse.
    pub fn builder(&self) -> zbus::Result<Builder<'_>> {
        match self {
            Self::Session => Builder::session(),
            Self::System => Builder::system(),
            Self::At(address) => Builder::address(address.as_str()),
        }
    }
}
