//! The request target: what the gate refuses because some upstream might read it as another one.
//!
//! The route table decides on the path as it is forwarded. A path that changes under any common normalization
//! (dot segments, doubled slashes, escapes, path parameters) could be one route here and another upstream, so
//! such paths are refused for every call, not only for those that need an approval: a call that matches no
//! route, or one that is allowed outright, must not turn into a routed one behind the gate.

use crate::overrides::unescaped;

/// The longest request target, in bytes.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Why a target is refused. Its text says what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusual {
    /// Longer than [`MAX_TARGET_BYTES`].
    #[error("the request target is longer than 8 KiB")]
    TooLong,
    /// Not `/…`.
    #[error("the path must start with `/`")]
    NoSlash,
    /// A byte that must be escaped.
    #[error("the request target holds a character that must be escaped")]
    Character,
    /// `.` or `..`.
    #[error("the path holds a `.` or `..` segment")]
    DotSegment,
    /// `//`.
    #[error("the path holds an empty segment (`//`)")]
    EmptySegment,
    /// `;`.
    #[error("the path holds a `;`, which some servers cut off")]
    PathParameter,
    /// A `%` without two hexadecimal digits.
    #[error("the request target holds a `%` without two hexadecimal digits")]
    BadEscape,
    /// An escape of a character that needs none, or of one with a meaning in paths.
    #[error(
        "the path escapes a character that must stand as it is, or one that servers disagree about"
    )]
    NeedlessEscape,
    /// `%2f` where normal form is `%2F`.
    #[error("the path holds an escape in lower case; write `%2A`, not `%2a`")]
    LowerCaseEscape,
    /// A secret in the query would be shown on the card.
    #[error("the query holds a credential; send it in a header")]
    CredentialInQuery,
}

impl Unusual {
    /// Stable name of the rule.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "target_too_long",
            Self::NoSlash => "path_without_slash",
            Self::Character => "target_character",
            Self::DotSegment => "path_dot_segment",
            Self::EmptySegment => "path_empty_segment",
            Self::PathParameter => "path_parameter",
            Self::BadEscape => "target_bad_escape",
            Self::NeedlessEscape => "path_needless_escape",
            Self::LowerCaseEscape => "path_lower_case_escape",
            Self::CredentialInQuery => "credential_in_query",
        }
    }
}

/// Accepts only a path that no common normalization changes.
pub fn check_path(path: &str) -> Result<(), Unusual> {
    if path.len() > MAX_TARGET_BYTES {
        return Err(Unusual::TooLong);
    }
    let inner = path.strip_prefix('/').ok_or(Unusual::NoSlash)?;
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                check_escape(bytes, at)?;
                at += 3;
                continue;
            }
            b';' => return Err(Unusual::PathParameter),
            // RFC 3986 `pchar` and `/`, without `;`.
            b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            | b'+' | b',' | b'=' | b':' | b'@' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return Err(Unusual::Character),
        }
        at += 1;
    }
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        // A path may end with one slash; anywhere else an empty segment is a doubled slash.
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Unusual::EmptySegment);
        }
        if segment == "." || segment == ".." {
            return Err(Unusual::DotSegment);
        }
    }
    Ok(())
}

fn check_escape(bytes: &[u8], at: usize) -> Result<(), Unusual> {
    let decoded = escape(bytes, at).ok_or(Unusual::BadEscape)?;
    if bytes[at + 1].is_ascii_lowercase() || bytes[at + 2].is_ascii_lowercase() {
        return Err(Unusual::LowerCaseEscape);
    }
    let unreserved = decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded);
    // `%` because a second decoding makes another path of it; controls because of C strings and line ends.
    let disputed = b"/\\%;".contains(&decoded) || decoded.is_ascii_control();
    if unreserved || disputed {
        Err(Unusual::NeedlessEscape)
    } else {
        Ok(())
    }
}

fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    Some(digit(*bytes.get(at + 1)?)? << 4 | digit(*bytes.get(at + 2)?)?)
}

/// Accepts a query that every party reads the same way as far as this gate is concerned.
pub fn check_query(query: &str) -> Result<(), Unusual> {
    if query.len() > MAX_TARGET_BYTES {
        return Err(Unusual::TooLong);
    }
    let bytes = query.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => {
                escape(bytes, at).ok_or(Unusual::BadEscape)?;
            }
            byte if byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(byte) => {}
            _ => return Err(Unusual::Character),
        }
    }
    Ok(())
}

/// What a query must not hold on an operation that needs an approval.
pub fn check_credentials(query: &str) -> Result<(), Unusual> {
    let credentials = [
        "access_token",
        "api_key",
        "apikey",
        "client_secret",
        "password",
    ];
    match names(query).any(|name| credentials.contains(&name.as_str())) {
        true => Err(Unusual::CredentialInQuery),
        false => Ok(()),
    }
}

/// The names of parameters, decoded, in lower case. Lossy: for comparing only.
fn names(parameters: &str) -> impl Iterator<Item = String> {
    parameters.split(['&', ';']).map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        String::from_utf8_lossy(&unescaped(name.as_bytes())).to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_change_under_normalization_are_refused() {
        use Unusual::*;
        for (path, wanted) in [
            ("/", Ok(())),
            ("/customers/42", Ok(())),
            ("/customers/", Ok(())),
            ("/customers/a%20b", Ok(())),
            ("/customers/caf%C3%A9", Ok(())),
            ("/a.b/..c/d..", Ok(())),
            ("/@scope/x:y", Ok(())),
            ("", Err(NoSlash)),
            ("*", Err(NoSlash)),
            ("customers", Err(NoSlash)),
            ("/customers/../admin", Err(DotSegment)),
            ("/customers/.", Err(DotSegment)),
            ("/customers/..", Err(DotSegment)),
            ("//customers/42", Err(EmptySegment)),
            ("/customers//42", Err(EmptySegment)),
            ("/customers/42//", Err(EmptySegment)),
            ("/customers/%2e%2e/admin", Err(LowerCaseEscape)),
            ("/customers/%2E%2E/admin", Err(NeedlessEscape)),
            ("/customers%2F42", Err(NeedlessEscape)),
            ("/customers%5C42", Err(NeedlessEscape)),
            ("/customers\\42", Err(Character)),
            ("/%43ustomers/42", Err(NeedlessEscape)),
            ("/customers/%252E", Err(NeedlessEscape)),
            ("/customers/42%00", Err(NeedlessEscape)),
            ("/customers/42%0A", Err(NeedlessEscape)),
            ("/customers;v=1/42", Err(PathParameter)),
            ("/customers/42%3Bx", Err(NeedlessEscape)),
            ("/customers/%4", Err(BadEscape)),
            ("/customers/%zz", Err(BadEscape)),
            ("/customers/é", Err(Character)),
            ("/customers/a b", Err(Character)),
            ("/customers/{id}", Err(Character)),
        ] {
            assert_eq!(check_path(path), wanted, "{path}");
        }
        assert_eq!(
            check_path(&format!("/{}", "a".repeat(MAX_TARGET_BYTES))),
            Err(TooLong)
        );
    }

    #[test]
    fn a_query_is_plain_ascii_with_whole_escapes() {
        assert_eq!(check_query("purge=true&q=a%20b+c&x[]=1;2"), Ok(()));
        assert_eq!(check_query("q=%2"), Err(Unusual::BadEscape));
        assert_eq!(check_query("q=é"), Err(Unusual::Character));
        assert_eq!(check_query("q=a b"), Err(Unusual::Character));
    }

    #[test]
    fn credentials_are_found_in_parameters() {
        for found in ["a&access_token=x", "a=1;%41pi_key=x", "password"] {
            assert_eq!(
                check_credentials(found),
                Err(Unusual::CredentialInQuery),
                "{found}"
            );
        }
        assert_eq!(check_credentials("method=x&token_type=y"), Ok(()));
    }
}
