//! A call's body: read whole up to a bound, and described for the operation.
//!
//! An approval covers size and SHA-256. The text itself stands in the operation when it is UTF-8, neither
//! encoded nor multipart, and short enough; otherwise the body is *opaque*, and such an operation is denied
//! unless the policy names it (protocol, section 2).

use bytes::{Bytes, BytesMut};
use countersign_model::Digest;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde_json::{Value, json};

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Larger than the gate reads for a call that may need an approval.
    #[error("the body is larger than the {limit} bytes that this gate reads for such a call")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// Trailers cannot be approved.
    #[error("the call ends with trailer fields, which this gate does not forward")]
    Trailers,
    /// The caller went away or broke the framing.
    #[error("the body ended too early")]
    Broken,
}

/// Reads a body whole. One that announces more than `limit` is refused unread.
pub async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        match frame.into_data() {
            Ok(data) if data.len() > limit - whole.len() => return Err(too_large()),
            Ok(data) => whole.extend_from_slice(&data),
            Err(_) => return Err(BodyError::Trailers),
        }
    }
    Ok(whole.freeze())
}

/// How much of a body the operation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// There is none, or all of it stands there as text.
    Whole,
    /// Size and digest only.
    Opaque,
}

/// `action.properties.body`.
pub fn describe(
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    text_limit: usize,
) -> (Value, Shown) {
    let mut value = json!({ "size": body.len(), "sha256": Digest::of(body).to_string() });
    if body.is_empty() {
        return (value, Shown::Whole);
    }
    match text(body, content_type, content_encoding, text_limit) {
        Some(text) => {
            value["text"] = Value::from(text);
            (value, Shown::Whole)
        }
        None => (value, Shown::Opaque),
    }
}

fn text<'a>(
    body: &'a [u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    text_limit: usize,
) -> Option<&'a str> {
    let encoded = content_encoding.is_some_and(|coding| coding.trim() != "identity");
    // Two types in one list: the upstream may read the body as either.
    let doubtful =
        content_type.is_some_and(|kind| kind.contains("multipart/") || kind.contains(','));
    let charset = names_another_charset(content_type, &["utf-8", "us-ascii"]);
    if encoded || doubtful || body.len() > text_limit || charset {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    text.chars().all(may_stand).then_some(text)
}

/// Whether the upstream may read the bytes in another charset than these (in lower case): UTF-8 is shown as UTF-8
/// only where it will be read so.
pub(crate) fn names_another_charset(content_type: Option<&str>, than: &[&str]) -> bool {
    // However it is written: some servers take `charset = x`, `charset*=…`, or the last of two.
    content_type
        .unwrap_or_default()
        .split(';')
        .skip(1)
        .any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let charset = value.trim().trim_matches('"');
            name.trim().to_ascii_lowercase().starts_with("charset")
                && !than.iter().any(|one| charset.eq_ignore_ascii_case(one))
        })
}

/// The strict parser refuses noncharacters, so they cannot stand in an operation.
fn may_stand(c: char) -> bool {
    let code = u32::from(c);
    !(0xFDD0..=0xFDEF).contains(&code) && code & 0xFFFE != 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_everything_else_is_a_digest() {
        let json = Some("application/json");
        for (body, kind, coding, shown) in [
            (&b""[..], None, None, Shown::Whole),
            (b"{\"a\":2,\"a\":3}", json, None, Shown::Whole),
            (
                "Müller".as_bytes(),
                Some("text/plain; charset=UTF-8"),
                None,
                Shown::Whole,
            ),
            (
                b"a",
                Some("text/plain; charset=\"utf-8\""),
                Some("identity"),
                Shown::Whole,
            ),
            (
                b"a",
                Some("text/plain; charset=utf-16"),
                None,
                Shown::Opaque,
            ),
            (b"a", json, Some("gzip"), Shown::Opaque),
            (
                b"a",
                Some("multipart/form-data; boundary=x"),
                None,
                Shown::Opaque,
            ),
            (b"a", json, Some("gzip, identity"), Shown::Opaque),
            (
                b"a",
                Some("application/json, multipart/form-data; boundary=x"),
                None,
                Shown::Opaque,
            ),
            (
                b"a",
                Some("text/plain; charset=utf-8; charset=utf-7"),
                None,
                Shown::Opaque,
            ),
            (
                b"a",
                Some("text/plain; charset = utf-7"),
                None,
                Shown::Opaque,
            ),
            (b"\xff\xfe", json, None, Shown::Opaque),
            ("\u{FFFF}".as_bytes(), json, None, Shown::Opaque),
            (b"12345678901", json, None, Shown::Opaque),
        ] {
            let limit = if body.starts_with(b"1234") { 10 } else { 1000 };
            let (value, got) = describe(body, kind, coding, limit);
            assert_eq!(got, shown, "{body:?}");
            assert_eq!(value["size"], body.len());
            assert_eq!(
                value.get("text").is_some(),
                shown == Shown::Whole && !body.is_empty(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn different_bodies_have_different_digests() {
        let (one, _) = describe(b"a", None, None, 0);
        let (two, _) = describe(b"b", None, None, 0);
        assert_ne!(one["sha256"], two["sha256"]);
    }
}
