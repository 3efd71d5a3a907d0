//! Names of parties and things. Each is checked once, when it is made.

use std::fmt;

use crate::digest::{b64u, b64u_decode};

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {what}: {rule}")]
pub struct BadId {
    what: &'static str,
    rule: &'static str,
    value: String,
}

impl BadId {
    fn new(what: &'static str, rule: &'static str, value: &str) -> Self {
        // What is refused may be long and hostile; an error needs only its beginning.
        let value = value
            .chars()
            .take(64)
            .flat_map(char::escape_debug)
            .collect();
        Self { what, rule, value }
    }
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }
    };
}

/// An OpenID provider's issuer identifier: an https URL (http on loopback) without query or fragment.
///
/// `|` is refused, because a subject is written `<iss>|<sub>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer(String);
text_id!(Issuer);

impl Issuer {
    /// Checks and takes an issuer. It is compared as it stands: nothing is normalized.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        check_url(text).map_err(|rule| BadId::new("an issuer", rule, text))?;
        Ok(Self(text.to_owned()))
    }
}

/// The approval server: its `public_url`, used for `aud`, `htu` and `resource`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(String);
text_id!(ServerId);

impl ServerId {
    /// Checks and takes a server id: https (http on loopback only), no trailing slash.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = |rule| BadId::new("a server id", rule, text);
        check_url(text).map_err(bad)?;
        if text.ends_with('/') {
            return Err(bad("it must not end with a slash"));
        }
        if text.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(bad("it must be in lower case"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_url(text: &str) -> Result<(), &'static str> {
    const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
    if text.len() > 512 {
        return Err("it is longer than 512 bytes");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'|') {
        return Err("it must be visible ASCII without `|`");
    }
    if text.contains(['?', '#', '@', '\\', '"', '<', '>', '`', '{', '}', '^']) {
        return Err("it must have no query, fragment, user or unsafe character");
    }
    let (rest, secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        (None, None) => return Err("it must be an https URL"),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        return Err("it has no valid host");
    }
    if let Some(port) = port
        && (port.starts_with('0')
            || !port.bytes().all(|b| b.is_ascii_digit())
            || port.parse::<u16>().is_err())
    {
        return Err("its port is not a number from 1 to 65535");
    }
    if !secure && !LOOPBACK.contains(&host) {
        return Err("http is for loopback only: use https");
    }
    Ok(())
}

/// A person or workload: who issued the name, and the name. Displayed as `<iss>|<sub>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The issuer.
    pub iss: Issuer,
    /// The issuer's name for it: 1 to 255 visible ASCII characters (OpenID Connect Core, section 2).
    pub sub: String,
}

impl Subject {
    /// Puts a subject together from a token's claims.
    pub fn new(iss: Issuer, sub: &str) -> Result<Self, BadId> {
        if sub.is_empty() || sub.len() > 255 || !sub.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(BadId::new(
                "a subject",
                "`sub` must be 1 to 255 visible ASCII characters",
                sub,
            ));
        }
        Ok(Self {
            iss,
            sub: sub.to_owned(),
        })
    }

    /// Reads `<iss>|<sub>`. The first `|` separates: an issuer has none, a `sub` may.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let (iss, sub) = text
            .split_once('|')
            .ok_or_else(|| BadId::new("a subject", "it must be written `<iss>|<sub>`", text))?;
        Self::new(Issuer::parse(iss)?, sub)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.iss, self.sub)
    }
}

/// A request's id, which the server draws.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txn(String);
text_id!(Txn);

impl Txn {
    /// From 128 random bits.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(b64u(&bytes))
    }

    /// 1 to 64 characters of `[A-Za-z0-9_-]`: it stands in URLs and file names.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
            return Err(BadId::new(
                "a request id",
                "1 to 64 characters of A-Z a-z 0-9 _ -",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An enforcement point's id, as the server's configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepId(String);
text_id!(PepId);

impl PepId {
    /// 1 to 64 characters of `[A-Za-z0-9._-]`, the first a letter or digit.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let starts = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if !starts || text.len() > 64 || !text.bytes().all(fits) {
            return Err(BadId::new(
                "a gate id",
                "1 to 64 characters of A-Z a-z 0-9 . _ -, the first a letter or digit",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// 128 bits that the enforcement point draws for each operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(String);
text_id!(Nonce);

impl Nonce {
    /// From 128 random bits.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(b64u(&bytes))
    }

    /// 22 characters of canonical base64url.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        match b64u_decode(text) {
            Ok(bytes) if bytes.len() == 16 => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(BadId::new("a nonce", "128 bits in base64url", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_is_https_or_loopback_and_without_a_bar() {
        for good in [
            "https://op.example",
            "https://op.example/realms/x/",
            "http://127.0.0.1:4000",
            "http://[::1]:80/a",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "op.example",
            "http://op.example",
            "https://",
            "https://a|b",
            "https://a?b",
            "https://a#b",
            "https://u@h",
            "https://h:99999",
            "https://h:080",
            "https://h:",
            "https://a b",
            "https://ä.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ftp://h",
            "http://::1",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn server_id_has_one_spelling() {
        assert!(ServerId::parse("https://countersign.example").is_ok());
        assert!(ServerId::parse("http://127.0.0.1:8080").is_ok());
        for bad in [
            "https://countersign.example/",
            "https://Countersign.example",
            "http://countersign.example",
        ] {
            assert!(ServerId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subject_splits_at_the_first_bar() {
        let subject = Subject::parse("https://op.example|auth0|42").unwrap();
        assert_eq!(
            (subject.iss.as_str(), subject.sub.as_str()),
            ("https://op.example", "auth0|42")
        );
        assert_eq!(subject.to_string(), "https://op.example|auth0|42");
        for bad in [
            "https://op.example",
            "https://op.example|",
            "|x",
            "https://op.example|a\u{202e}b",
        ] {
            assert!(Subject::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn short_names_fit_urls_and_file_names() {
        assert!(Txn::parse("a-_Z9").is_ok());
        assert!(PepId::parse("orders-gate.1").is_ok());
        for bad in ["", "../x", "a/b", "a b", &"a".repeat(65)] {
            assert!(
                Txn::parse(bad).is_err() && PepId::parse(bad).is_err(),
                "{bad}"
            );
        }
        assert!(PepId::parse(".hidden").is_err());
        assert_eq!(
            Nonce::parse(Nonce::from_bytes([7; 16]).as_str()).unwrap(),
            Nonce::from_bytes([7; 16])
        );
        assert!(
            Nonce::parse("BwcHBwcHBwcHBwcHBwcHBx").is_err(),
            "stray bits"
        );
    }
}
