//! A challenge that an API answers a good token with (RFC 6750, section 3.1; RFC 9470), as a requester follows it.
//!
//! It says what a new token must have, and is followed for the API that the requester calls: it chooses neither
//! provider nor client nor what the token is for.

use crate::exit::{Exit, Stop};

/// Longer ones are no challenges.
const MAX_BYTES: usize = 8 * 1024;
/// Scopes of approvers' apps: no requester asks for them, whoever says so.
const APPROVERS: &str = "approve:";

/// What a new token must have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scopes: Vec<String>,
    pub(crate) acr_values: Vec<String>,
    pub(crate) max_age_secs: Option<u32>,
}

impl Challenge {
    /// Reads `WWW-Authenticate`, with or without the name; also as it stands in JSON. `None` where it asks for
    /// nothing that a new token of the same person could bring.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, anyhow::Error> {
        let wrong = |why: &str| Stop::with(Exit::Usage, format!("the challenge {why}"));
        if text.len() > MAX_BYTES {
            return Err(wrong("is too long"));
        }
        let text = text.trim().replace("\\\"", "\"");
        let value = match text.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("www-authenticate") => value,
            Some(_) | None => &text,
        };
        let (scheme, parameters) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("dpop") {
            return Err(wrong("is not one for bearer tokens (`Bearer error=…`)"));
        }
        let mut error = None;
        let mut found = Self::default();
        for (name, value) in parameters_of(parameters).ok_or_else(|| wrong("cannot be read"))? {
            let words = || value.split(' ').filter(|word| !word.is_empty());
            match name.as_str() {
                "error" => error = Some(value.clone()),
                "scope" => found.scopes = words().map(str::to_owned).collect(),
                "acr_values" => found.acr_values = words().map(str::to_owned).collect(),
                "max_age" => {
                    let secs = value
                        .parse()
                        .map_err(|_| wrong("has a `max_age` that is no number"))?;
                    found.max_age_secs = Some(secs);
                }
                _ => {}
            }
        }
        let fits = |word: &String| {
            word.bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
        };
        if !found.scopes.iter().chain(&found.acr_values).all(fits) {
            return Err(wrong("names a scope or a context that is none"));
        }
        if let Some(scope) = found
            .scopes
            .iter()
            .find(|scope| scope.starts_with(APPROVERS))
        {
            return Err(wrong(&format!(
                "wants the scope `{scope}`, which only approvers' apps ask for; it is not followed"
            )));
        }
        match error.as_deref() {
            Some("insufficient_scope" | "insufficient_user_authentication") => Ok(Some(found)),
            Some(_) | None => Ok(None),
        }
    }

    /// For people.
    pub(crate) fn told(&self) -> String {
        let Self {
            scopes,
            acr_values,
            max_age_secs,
        } = self;
        let mut parts = Vec::new();
        if !scopes.is_empty() {
            parts.push(format!("the scope {}", scopes.join(" ")));
        }
        if !acr_values.is_empty() {
            parts.push(format!("a sign-in by {}", acr_values.join(" or ")));
        }
        if let Some(secs) = max_age_secs {
            parts.push(format!("a sign-in of the last {secs} seconds"));
        }
        parts.join(", ")
    }
}

/// `name=value` or `name="value"`, separated by commas (RFC 9110, 11.2).
fn parameters_of(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return None;
        }
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((name, value.trim().to_owned()));
        rest = next.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_as_it_comes_and_as_it_is_pasted() {
        let wanted = Challenge {
            scopes: vec!["orders".to_owned(), "orders:export".to_owned()],
            acr_values: vec!["urn:mfa".to_owned()],
            max_age_secs: Some(300),
        };
        let value = "Bearer realm=\"countersign\", error=\"insufficient_user_authentication\", error_description=\"a, b = c\", scope=\"orders orders:export\", acr_values=\"urn:mfa\", max_age=\"300\"";
        for text in [
            value.to_owned(),
            format!("WWW-Authenticate: {value}"),
            format!("www-authenticate:{value}\r\n"),
            value.replace('"', "\\\""),
            value.replace("max_age=\"300\"", "max_age=300"),
        ] {
            assert_eq!(
                Challenge::read(&text).unwrap().as_ref(),
                Some(&wanted),
                "{text}"
            );
        }
        assert_eq!(
            wanted.told(),
            "the scope orders orders:export, a sign-in by urn:mfa, a sign-in of the last 300 seconds"
        );
    }

    #[test]
    fn what_asks_for_nothing_is_not_followed_and_what_is_odd_is_refused() {
        for text in [
            "Bearer",
            "Bearer error=\"invalid_token\", scope=\"a\"",
            "Bearer realm=\"x\"",
        ] {
            assert_eq!(Challenge::read(text).unwrap(), None, "{text}");
        }
        for text in [
            "Basic realm=\"x\"",
            "Bearer error=\"insufficient_scope",
            "Bearer error=\"insufficient_scope\" scope=\"a\"",
            "Bearer error=\"insufficient_scope\", scope=\"approve:orders.delete\"",
            "Bearer error=\"insufficient_scope\", scope=\"caf\u{e9}\"",
            "Bearer error=\"insufficient_user_authentication\", max_age=\"soon\"",
        ] {
            assert!(Challenge::read(text).is_err(), "{text}");
        }
        assert!(Challenge::read(&format!("Bearer a=\"{}\"", "x".repeat(MAX_BYTES))).is_err());
    }
}
