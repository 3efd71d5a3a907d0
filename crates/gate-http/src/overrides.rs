//! Method overrides: parameters that some frameworks heed instead of the method that the policy judged.
//!
//! `POST /customers/42` with `_method=DELETE` in the query, a form, a multipart part or a JSON object is a `DELETE`
//! behind many a framework. The gate refuses such a call whether or not it needs an approval. A body that streams
//! through is looked at piece by piece *before* each piece goes on, so what comes to light ends the call while the
//! upstream holds an unfinished body, which it does not act on.
//!
//! It reads names as leniently as the most lenient framework known, and does not parse the formats: a name that
//! only some reader would take for an override is refused. For those who call: `docs/HTTP-GATE.md`, "Bodies".

use std::sync::{Arc, OnceLock};

use crate::body::names_another_charset;

/// A name longer than this, as it stands in a body, is no override: the longest one has 22 characters.
const MAX_NAME_BYTES: usize = 256;
/// A part's `Content-Disposition` may be this long.
const MAX_DISPOSITION_BYTES: usize = 4 * 1024;
const DISPOSITION: &[u8] = b"content-disposition";
/// Charsets in which names look as they do in ASCII.
const ASCII_ALIKE: [&str; 4] = ["utf-8", "us-ascii", "iso-8859-1", "windows-1252"];
/// After [`normal`].
const NAMES: [&[u8]; 6] = [
    b"_method",
    b"_httpmethod",
    b"_http_method",
    b"x_http_method",
    b"x_http_method_override",
    b"x_method_override",
];

/// Why a call is refused: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overridden {
    /// A parameter asks for another method.
    #[error("the call asks for another method than its own (method override)")]
    Method,
    /// Encoded, so that such a parameter could not be seen.
    #[error(
        "a form, a multipart body or JSON must come without `Content-Encoding` and as UTF-8: the gate could not see whether it asks for another method"
    )]
    Encoded,
    /// A part's header is too long to be looked at.
    #[error("a part's `Content-Disposition` is longer than 4 KiB")]
    PartHeader,
}

impl Overridden {
    /// Stable name of the rule.
    pub fn code(self) -> &'static str {
        match self {
            Self::Method => "method_override",
            Self::Encoded => "body_encoded",
            Self::PartHeader => "part_header",
        }
    }
}

/// Looks at the names of a query's parameters.
pub fn check_query(query: &str) -> Result<(), Overridden> {
    let mut names = Parameters::default();
    names.look(query.as_bytes())?;
    names.end()
}

/// Looks at a body, piece by piece, for what its type lets it hold.
#[derive(Debug, Default)]
pub struct Watch {
    parameters: Option<Parameters>,
    parts: Option<Parts>,
    json: Option<Json>,
}

impl Watch {
    /// What to look for in a body of these headers; `None` where nothing could be in it.
    ///
    /// A body without a type is a form to some frameworks (Rack). Several types in one list: the upstream may read
    /// it as any of them.
    pub fn over(
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Result<Option<Self>, Overridden> {
        let kind = content_type.unwrap_or_default().to_ascii_lowercase();
        let watch = Self {
            parameters: (kind.trim().is_empty() || kind.contains("urlencoded"))
                .then(Parameters::default),
            parts: kind.contains("multipart/").then(Parts::default),
            json: kind.contains("json").then(Json::default),
        };
        if watch.parameters.is_none() && watch.parts.is_none() && watch.json.is_none() {
            return Ok(None);
        }
        let encoded = content_encoding.is_some_and(|coding| coding.trim() != "identity");
        // Parts have types of their own: the charset of the whole says nothing about their headers.
        let other_charset =
            watch.parts.is_none() && names_another_charset(content_type, &ASCII_ALIKE);
        if encoded || other_charset {
            return Err(Overridden::Encoded);
        }
        Ok(Some(watch))
    }

    /// Looks at the next piece. To be called before the piece goes anywhere.
    pub fn look(&mut self, piece: &[u8]) -> Result<(), Overridden> {
        let Self {
            parameters,
            parts,
            json,
        } = self;
        parameters
            .as_mut()
            .map_or(Ok(()), |names| names.look(piece))?;
        parts.as_mut().map_or(Ok(()), |parts| parts.look(piece))?;
        json.as_mut().map_or(Ok(()), |json| json.look(piece))
    }

    /// The body is over.
    pub fn end(&mut self) -> Result<(), Overridden> {
        let Self {
            parameters,
            parts,
            json: _,
        } = self;
        parameters.as_mut().map_or(Ok(()), Parameters::end)?;
        parts.as_mut().map_or(Ok(()), Parts::end)
    }
}

/// What a [`Watch`] found in a body that was streaming, for whoever started the stream.
pub type Verdict = Arc<OnceLock<Overridden>>;

/// `a=1&_method=DELETE`.
#[derive(Debug, Default)]
struct Parameters {
    name: Vec<u8>,
    /// Past the `=`, or too long to matter.
    past: bool,
}

impl Parameters {
    fn look(&mut self, piece: &[u8]) -> Result<(), Overridden> {
        for byte in piece {
            match byte {
                b'&' | b';' => self.end()?,
                b'=' if !self.past => {
                    self.judge()?;
                    self.past = true;
                }
                _ if self.past => {}
                byte => {
                    self.name.push(*byte);
                    self.past = self.name.len() > MAX_NAME_BYTES;
                }
            }
        }
        Ok(())
    }

    /// One parameter is over.
    fn end(&mut self) -> Result<(), Overridden> {
        let whole = !std::mem::take(&mut self.past);
        if whole {
            self.judge()?;
        }
        self.name.clear();
        Ok(())
    }

    fn judge(&self) -> Result<(), Overridden> {
        let plus: Vec<u8> = self
            .name
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect();
        refuse_override(&unescaped(&plus))
    }
}

/// Lines of any part that begin with `Content-Disposition`, wherever a reader may see the boundaries.
#[derive(Debug)]
struct Parts {
    line: Vec<u8>,
    /// What the line is so far.
    state: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It may be one.
    Maybe,
    /// It is none.
    Other,
    /// It is one, and ended; a space now would continue it (RFC 822's folding).
    Ended,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            state: Line::Maybe,
        }
    }
}

impl Parts {
    fn look(&mut self, piece: &[u8]) -> Result<(), Overridden> {
        for byte in piece {
            let ends = matches!(byte, b'\r' | b'\n');
            match (self.state, byte) {
                (Line::Ended, b' ' | b'\t') => {
                    self.state = Line::Maybe;
                    self.line.push(b' ');
                }
                (Line::Ended, b'\n') => {}
                (Line::Ended, _) => {
                    self.end()?;
                    if !ends {
                        self.push(*byte)?;
                    }
                }
                (Line::Maybe, _) if ends => self.state = Line::Ended,
                (Line::Maybe, byte) => self.push(*byte)?,
                (Line::Other, _) if ends => self.state = Line::Maybe,
                (Line::Other, _) => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Result<(), Overridden> {
        let at = self.line.len();
        let fits = DISPOSITION
            .get(at)
            .is_none_or(|wanted| byte.eq_ignore_ascii_case(wanted));
        if !fits {
            self.line.clear();
            self.state = Line::Other;
        } else if at >= MAX_DISPOSITION_BYTES {
            return Err(Overridden::PartHeader);
        } else {
            self.line.push(byte);
        }
        Ok(())
    }

    /// The line before is whole.
    fn end(&mut self) -> Result<(), Overridden> {
        self.state = Line::Maybe;
        let line = std::mem::take(&mut self.line);
        let Some(said) = line.get(DISPOSITION.len()..) else {
            return Ok(());
        };
        let lower = said.to_ascii_lowercase();
        // Some readers look for `name=` anywhere in the line, not only after a semicolon.
        for at in (0..lower.len()).filter(|at| lower[*at..].starts_with(b"name")) {
            if at > 0 && lower[at - 1].is_ascii_alphanumeric() {
                continue;
            }
            let after = lower[at + 4..].trim_ascii_start();
            match after.first() {
                // `name*=`, `name*0=`: no sender of forms writes them (RFC 7578), and some readers put them together.
                Some(b'*') => return Err(Overridden::Method),
                Some(b'=') => {
                    let value = after[1..].split(|b| *b == b';').next().unwrap_or_default();
                    let bare: Vec<u8> = value
                        .iter()
                        .copied()
                        .filter(|b| !matches!(b, b'"' | b'\'' | b'\\'))
                        .collect();
                    refuse_override(&bare)?;
                    refuse_override(&unescaped(&bare))?;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

/// Members of JSON objects, at any depth.
#[derive(Debug, Default)]
struct Json {
    text: Vec<u8>,
    state: Token,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Token {
    /// Between strings.
    #[default]
    Outside,
    /// In a string.
    Inside,
    /// After a backslash.
    Escape,
    /// In `\uXXXX`: digits so far, and their value.
    Unicode(u8, u32),
    /// After a string: a colon makes it a name.
    After,
}

impl Json {
    fn look(&mut self, piece: &[u8]) -> Result<(), Overridden> {
        for byte in piece {
            if *byte == 0 {
                // UTF-16 or UTF-32, which some readers recognize by these.
                return Err(Overridden::Encoded);
            }
            self.state = match (self.state, byte) {
                (Token::Outside | Token::After, b'"') => {
                    self.text.clear();
                    Token::Inside
                }
                (Token::After, b':') => {
                    refuse_override(&self.text)?;
                    Token::Outside
                }
                (Token::After, b' ' | b'\t' | b'\r' | b'\n') => Token::After,
                (Token::Outside | Token::After, _) => Token::Outside,
                (Token::Inside, b'"') => Token::After,
                (Token::Inside, b'\\') => Token::Escape,
                (Token::Inside, byte) => self.push(*byte),
                (Token::Escape, b'u') => Token::Unicode(0, 0),
                (Token::Escape, byte) => self.push(*byte),
                (Token::Unicode(digits, value), byte) => {
                    let value = value << 4 | char::from(*byte).to_digit(16).unwrap_or(0);
                    if digits < 3 {
                        Token::Unicode(digits + 1, value)
                    } else {
                        self.push(u8::try_from(value).unwrap_or(b'?'))
                    }
                }
            };
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Token {
        // One byte more than any name, so that a long text is never taken for a short one.
        if self.text.len() <= MAX_NAME_BYTES {
            self.text.push(byte);
        }
        Token::Inside
    }
}

fn refuse_override(name: &[u8]) -> Result<(), Overridden> {
    if NAMES.contains(&normal(name).as_slice()) {
        Err(Overridden::Method)
    } else {
        Ok(())
    }
}

/// As the most lenient reader takes a name: PHP cuts at a NUL, takes a space, a dot and an open bracket for `_`, and
/// drops spaces before; brackets after a name make a list of it.
fn normal(name: &[u8]) -> Vec<u8> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = name.trim_ascii();
    let bracket = name
        .iter()
        .skip(1)
        .position(|byte| *byte == b'[')
        .map_or(name.len(), |at| at + 1);
    name[..bracket]
        .iter()
        .map(|byte| match byte {
            b' ' | b'.' | b'[' | b'-' => b'_',
            byte => byte.to_ascii_lowercase(),
        })
        .collect()
}

/// With each whole `%XX` decoded. For comparing names only.
pub(crate) fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        text.get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole, and byte by byte: a piece may end anywhere.
    #[track_caller]
    fn check(kind: Option<&str>, body: &str, wanted: Result<(), Overridden>) {
        for size in [1, 3, body.len().max(1)] {
            let mut watch = Watch::over(kind, None).unwrap().unwrap();
            let looked = body
                .as_bytes()
                .chunks(size)
                .try_for_each(|piece| watch.look(piece))
                .and_then(|()| watch.end());
            assert_eq!(looked, wanted, "{body} in pieces of {size}");
        }
    }

    const FOUND: Result<(), Overridden> = Err(Overridden::Method);

    #[test]
    fn parameters_are_read_as_the_most_lenient_framework_reads_them() {
        for kind in [
            Some("application/x-www-form-urlencoded"),
            Some("text/plain, application/x-www-form-urlencoded"),
            None,
        ] {
            for body in [
                "_method=DELETE",
                "a=1&_method=DELETE",
                "a=1;_method=DELETE",
                "a=1&_method",
                "a=1&%5FMethod=DELETE",
                "a=1&+_method=DELETE",
                "a=1&.method=DELETE",
                "a=1&%5Bmethod=DELETE",
                "a=1&_method%00x=DELETE",
                "a=1&_method[]=DELETE",
                "_httpMethod=PUT",
                "X-HTTP-Method-Override=DELETE",
            ] {
                check(kind, body, FOUND);
            }
            for body in [
                "",
                "method=DELETE",
                "payment_method=card",
                "a=_method",
                "a==_method",
                "_methods=1",
                "text=a%26_method=b",
            ] {
                check(kind, body, Ok(()));
            }
        }
        let long = format!("{}_method=DELETE", "x".repeat(MAX_NAME_BYTES));
        check(None, &long, Ok(()));
        check(None, &format!("{long}&_method=DELETE"), FOUND);
        assert_eq!(check_query("page=2&_method=DELETE"), FOUND);
        assert_eq!(check_query("page=2&method=DELETE"), Ok(()));
    }

    #[test]
    fn parts_are_found_by_their_lines_not_by_their_boundaries() {
        let kind = Some("multipart/form-data; boundary=x");
        let part = |line: &str, end: &str| format!("--x{end}{line}{end}{end}DELETE{end}--x--{end}");
        for line in [
            "Content-Disposition: form-data; name=\"_method\"",
            "content-disposition:form-data;name=_method",
            "Content-Disposition: form-data; name='_method'; filename=\"a\"",
            "Content-Disposition: form-data; filename=\"a\"; name=\"_Method\"",
            "Content-Disposition: form-data, name = \"_method\"",
            "Content-Disposition: form-data; name=\"\\_method\"",
            "Content-Disposition: form-data; name=\"%5Fmethod\"",
            "Content-Disposition: form-data; name*=utf-8''x",
            "Content-Disposition: form-data; name*0=\"_me\"; name*1=\"thod\"",
            "Content-Disposition: form-data;\r\n\tname=\"_method\"",
            "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"_method\"",
        ] {
            for end in ["\r\n", "\n", "\r"] {
                check(kind, &part(line, end), FOUND);
            }
        }
        for line in [
            "Content-Disposition: form-data; name=\"payment_method\"",
            "Content-Disposition: form-data; name=\"a\"; filename=\"_method\"",
            "X-Content-Disposition: form-data; name=\"_method\"",
            "Content-Type: text/html\r\n\r\n<input name=\"_method\" value=\"delete\">",
        ] {
            check(kind, &part(line, "\r\n"), Ok(()));
        }
        let long = "a".repeat(MAX_DISPOSITION_BYTES);
        let long = part(
            &format!("Content-Disposition: form-data; name=\"{long}\""),
            "\n",
        );
        check(kind, &long, Err(Overridden::PartHeader));
        // A body that breaks off within the line is judged too.
        check(kind, "Content-Disposition: form-data; name=_method", FOUND);
    }

    #[test]
    fn json_names_are_found_at_any_depth_and_however_escaped() {
        let kind = Some("application/vnd.orders+json; charset=utf-8");
        for body in [
            r#"{"_method":"DELETE"}"#,
            r#"{"a":{"_method" : "DELETE"}}"#,
            r#"{"\u005fmethod":"DELETE"}"#,
            r#"{"a":"x\"","\u005F\u006dethod":1}"#,
            r#"[{"X-HTTP-Method-Override":"DELETE"}]"#,
        ] {
            check(kind, body, FOUND);
        }
        for body in [
            r#"{"a":"_method"}"#,
            r#"{"a":"\"_method\":1"}"#,
            r#"["_method"]"#,
            r#"{"payment_method":1,"\u4e00_method":2}"#,
        ] {
            check(kind, body, Ok(()));
        }
        check(kind, "{\0\"\0_\0", Err(Overridden::Encoded));
    }

    #[test]
    fn what_cannot_be_seen_is_refused_and_what_cannot_hold_one_is_left_alone() {
        for (kind, coding, wanted) in [
            (
                Some("application/json"),
                Some("gzip"),
                Err(Overridden::Encoded),
            ),
            (None, Some("br"), Err(Overridden::Encoded)),
            (
                Some("application/json; charset=utf-16"),
                None,
                Err(Overridden::Encoded),
            ),
            (Some("application/json"), Some("identity"), Ok(true)),
            (Some("text/csv"), Some("gzip"), Ok(false)),
            (Some("application/octet-stream"), None, Ok(false)),
        ] {
            let watch = Watch::over(kind, coding).map(|watch| watch.is_some());
            assert_eq!(watch, wanted, "{kind:?} {coding:?}");
        }
    }
}
