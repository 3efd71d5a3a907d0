//! A security key, as the window sees it: what it waits for, and its PIN on the way to it. Which key it is, and what
//! is said to it, is the agent's.

use std::fmt;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use zeroize::Zeroize;

use super::Line;

/// The longest PIN that is taken, in bytes (CTAP 2.1, section 6.5.1).
pub const MAX_PIN_BYTES: usize = 63;

/// What a security key waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum KeyWaits {
    /// None is plugged in.
    Key,
    /// Several are plugged in: the person touches the one that they mean.
    Choice {
        /// How many.
        keys: u8,
    },
    /// Its PIN: `Call::SecurityKeyPin` brings it.
    Pin {
        /// The last one was wrong.
        wrong: bool,
        /// How often it may still be wrong before the key locks itself, where the key says so.
        tries_left: Option<u8>,
    },
    /// A fingerprint on the key itself.
    Finger {
        /// The last one was not known.
        wrong: bool,
    },
    /// A touch.
    Touch,
}

/// A security key that is bound to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct BoundKey {
    /// Names it here: the thumbprint of its public key.
    pub id: String,
    /// What it calls itself.
    pub name: Line,
}

/// A PIN on its way to the security key. Never printed; what is freed is wiped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(as = "String")]
pub struct Pin(String);

impl Pin {
    /// As it was typed.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// For the key, and for nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

#[cfg(test)]
mod tests {
    use super::Pin;

    #[test]
    fn a_pin_is_not_printed() {
        let call = crate::ipc::Call::SecurityKeyPin {
            txn: None,
            pin: Pin::new("2580-geheim".to_owned()),
        };
        assert!(!format!("{call:?}").contains("2580"));
    }
}
