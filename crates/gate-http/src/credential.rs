//! The gate's key over credentials that are forwarded but must not be shown: an approval covers their HMAC.
//!
//! A plain digest would let anyone who sees the card guess a short API key; under a key of the gate nobody can.
//! The key stays with the gate, in its state folder: a new one makes open approvals of such calls void.

use std::io::{self, Write};
use std::path::Path;

use countersign_model::b64u;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The file in the state folder.
const FILE: &str = "credential.key";

/// 256 bits that never leave the gate.
#[derive(Clone)]
pub struct CredentialKey([u8; 32]);

impl CredentialKey {
    /// For tests and for [`Self::load`].
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key from the state folder; makes it, readable by the owner only, where there is none.
    pub fn load(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        "not 32 bytes; delete it to get a new one",
                    )
                })?;
                Ok(Self(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = rand::random();
                let mut open = std::fs::OpenOptions::new();
                open.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
                // CRASH: a short file is refused above, by name, at the next start.
                let mut file = open.open(&path)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                Ok(Self(bytes))
            }
            Err(error) => Err(error),
        }
    }

    /// `hmac-sha256:…` over name and value.
    pub fn mac(&self, name: &str, value: &[u8]) -> String {
        // Any length of key is a valid HMAC key.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        format!("hmac-sha256:{}", b64u(&mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_depends_on_key_name_and_value() {
        let key = CredentialKey::from_bytes([1; 32]);
        let mac = key.mac("cookie", b"a");
        assert_eq!(mac, key.mac("cookie", b"a"));
        assert_ne!(mac, key.mac("cookie", b"b"));
        assert_ne!(mac, key.mac("x-api-key", b"a"));
        assert_ne!(mac, CredentialKey::from_bytes([2; 32]).mac("cookie", b"a"));
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = CredentialKey::load(folder.path()).unwrap();
        assert_eq!(CredentialKey::load(folder.path()).unwrap().0, first.0);
        std::fs::write(folder.path().join(FILE), b"short").unwrap();
        assert!(CredentialKey::load(folder.path()).is_err());
    }
}
