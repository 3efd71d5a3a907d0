//! SHA-256 digests and the one accepted base64url (RFC 4648, section 5: no padding, no stray bits).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Encodes as base64url without padding.
pub fn b64u(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url strictly: no padding, no whitespace, no non-zero trailing bits. Each byte string has
/// exactly one accepted text.
pub fn b64u_decode(text: &str) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBase64Url)
}

/// The text is not canonical base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64url without padding")]
pub struct NotBase64Url;

/// A SHA-256 digest. Its text is base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes 32 bytes that are a digest already.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// `SHA-256(bytes)`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// `SHA-256(tag || "\n" || bytes)`: a digest that serves one purpose and no other.
    pub fn tagged(tag: &str, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(tag.as_bytes());
        hash.update(b"\n");
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// Reads the 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, NotDigest> {
        let bytes = b64u_decode(text).map_err(|_| NotDigest)?;
        Ok(Self(bytes.try_into().map_err(|_| NotDigest)?))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64u(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The text is not a SHA-256 digest in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest in base64url")]
pub struct NotDigest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_one_text_per_byte_string() {
        assert_eq!(b64u_decode("_-8").unwrap(), vec![0xff, 0xef]);
        for bad in ["_-8=", "_-9", "/+8", "_-8 ", " _-8", "_-8\n", "_"] {
            assert_eq!(b64u_decode(bad), Err(NotBase64Url), "{bad:?}");
        }
    }

    #[test]
    fn digest_text_is_43_characters_and_comes_back() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
        );
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        assert_eq!(
            Digest::parse("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIA"),
            Err(NotDigest)
        );
    }

    #[test]
    fn tag_separates_purposes() {
        assert_eq!(Digest::tagged("t", b"x"), Digest::of(b"t\nx"));
        assert_ne!(Digest::tagged("t", b"x"), Digest::tagged("u", b"x"));
    }
}
