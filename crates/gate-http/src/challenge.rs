//! Challenges, mid-flow: this query needs a token of another standing than the caller's.
//!
//! - RFC 6750, section 3.1, `insufficient_scope`: 403, and the scopes that *this* query needs
//! - RFC 9470, `insufficient_user_authentication`: 401, and how and how freshly to sign in
//!
//! The policy says what is needed (`PolicyCheck::token_rule`); what the token has is read from the verified token
//! only. A caller is challenged before any approval is asked for, and judged again when the call is released. A
//! call with a token that is good for it passes as always: the challenge keeps nothing.

use countersign_model::{TokenRule, UnixSecs};

use crate::caller::{Standing, TokenSource};

/// Clocks may differ by this much, in seconds (protocol, section 1).
const SKEW_SECS: i64 = 60;

/// What a token lacks for a call. It names all that the call needs, so that one new token is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What is missing decides the answer.
    pub lacks: Lacks,
    /// Scopes with one space between; empty where the call needs none.
    pub scope: String,
    /// Authentication contexts of which one is needed; any where there are none.
    pub acr: Vec<String>,
    /// How long ago the person may have signed in, in seconds.
    pub max_age_secs: Option<u32>,
    /// Where a better token comes from.
    pub source: TokenSource,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// A scope, and nothing else.
    Scope,
    /// An authentication context. Maybe more.
    Context,
    /// A sign-in that is recent enough. Maybe a scope too.
    Freshness,
}

impl Lacks {
    /// The error code of the standard.
    pub fn error(self) -> &'static str {
        match self {
            Self::Scope => "insufficient_scope",
            Self::Context | Self::Freshness => "insufficient_user_authentication",
        }
    }

    /// In plain words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Scope => "this call needs a scope that the access token does not have",
            Self::Context => "this call needs a stronger sign-in than the access token shows",
            Self::Freshness => "this call needs a more recent sign-in than the access token shows",
        }
    }
}

/// Judges a token by what the policy asks for this call. `at` is when the call was made: a token does not grow old
/// while its call waits for people.
pub fn check(rule: &TokenRule, standing: &Standing, at: UnixSecs) -> Result<(), Challenge> {
    let TokenRule {
        scope,
        acr,
        max_age_secs,
    } = rule;
    let scope = scope.clone().unwrap_or_default();
    let scoped = scope
        .split(' ')
        .filter(|one| !one.is_empty())
        .all(|one| standing.scopes.contains(one));
    let reached = acr.is_empty() || acr.iter().any(|one| standing.acrs.contains(one));
    let fresh = max_age_secs.is_none_or(|max| {
        standing
            .auth_time
            .is_some_and(|signed_in| (-SKEW_SECS..=i64::from(max)).contains(&(at - signed_in)))
    });
    let lacks = match (reached, fresh, scoped) {
        (true, true, true) => return Ok(()),
        (false, _, _) => Lacks::Context,
        (true, false, _) => Lacks::Freshness,
        (true, true, false) => Lacks::Scope,
    };
    Err(Challenge {
        lacks,
        scope,
        acr: acr.clone(),
        max_age_secs: *max_age_secs,
        source: standing.source.clone(),
    })
}

impl Challenge {
    /// The value of `WWW-Authenticate`.
    pub fn authenticate(&self) -> String {
        let Self {
            lacks,
            scope,
            acr,
            max_age_secs,
            source: _,
        } = self;
        let mut value = format!(
            "Bearer realm=\"countersign\", error=\"{}\", error_description=\"{}\"",
            lacks.error(),
            lacks.sentence()
        );
        let mut add = |name: &str, text: &str| {
            value.push_str(&format!(", {name}=\"{}\"", quotable(text)));
        };
        if !scope.is_empty() {
            add("scope", scope);
        }
        match lacks {
            Lacks::Scope => {}
            Lacks::Context | Lacks::Freshness => {
                if !acr.is_empty() {
                    add("acr_values", &acr.join(" "));
                }
                if let Some(secs) = max_age_secs {
                    add("max_age", &secs.to_string());
                }
            }
        }
        value
    }

    /// What a person types to get a token that will do.
    pub fn command(&self) -> String {
        let Self {
            lacks: _,
            scope,
            acr,
            max_age_secs,
            source: TokenSource { issuer, audience },
        } = self;
        let mut words = vec!["countersign".to_owned(), "token".to_owned()];
        let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), shell_word(value)]);
        add("--issuer", issuer);
        add("--resource", audience);
        for one in scope.split(' ').filter(|one| !one.is_empty()) {
            add("--add-scope", one);
        }
        for one in acr {
            add("--acr", one);
        }
        if let Some(secs) = max_age_secs {
            add("--max-age", &secs.to_string());
        }
        words.join(" ")
    }
}

/// RFC 6750, section 3: these values hold neither quotes nor backslashes.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect()
}

/// One word for a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: UnixSecs = UnixSecs(1_800_000_000);

    fn rule() -> TokenRule {
        TokenRule {
            scope: Some("orders orders:export".to_owned()),
            acr: vec!["urn:mfa".to_owned(), "urn:hardware".to_owned()],
            max_age_secs: Some(300),
        }
    }

    fn words(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn good() -> Standing {
        Standing {
            scopes: words(&["openid", "orders", "orders:export"]),
            acrs: words(&["urn:hardware"]),
            auth_time: Some(UnixSecs(NOW.0 - 300)),
            source: TokenSource {
                issuer: "https://id.example.com".to_owned(),
                audience: "urn:orders".to_owned(),
            },
        }
    }

    #[test]
    fn a_token_has_all_that_the_query_needs_or_is_challenged_for_it() {
        let judge = |change: fn(&mut Standing)| {
            let mut standing = good();
            change(&mut standing);
            check(&rule(), &standing, NOW).map_err(|challenge| challenge.lacks)
        };
        assert_eq!(judge(|_| ()), Ok(()));
        assert_eq!(judge(|it| it.auth_time = Some(NOW + 60)), Ok(()));
        for (lacks, changes) in [
            (
                Lacks::Scope,
                &[
                    (|it| it.scopes = words(&["orders"])) as fn(&mut Standing),
                    |it| it.scopes = words(&["orders:export", "Orders"]),
                    |it| it.scopes.clear(),
                ][..],
            ),
            (
                Lacks::Context,
                &[
                    |it| it.acrs.clear(),
                    |it| it.acrs = words(&["urn:password"]),
                    |it| {
                        it.acrs.clear();
                        it.auth_time = None;
                    },
                ],
            ),
            (
                Lacks::Freshness,
                &[
                    |it| it.auth_time = None,
                    |it| it.auth_time = Some(UnixSecs(NOW.0 - 301)),
                    |it| it.auth_time = Some(NOW + 61),
                    |it| {
                        it.auth_time = None;
                        it.scopes.clear();
                    },
                ],
            ),
        ] {
            for change in changes {
                assert_eq!(judge(*change), Err(lacks));
            }
        }
        let nothing = Standing::default();
        assert_eq!(check(&TokenRule::default(), &nothing, NOW), Ok(()));
    }

    #[test]
    fn a_challenge_is_the_standards_own_and_says_what_to_type() {
        let mut standing = good();
        standing.scopes.clear();
        let scope = check(&rule(), &standing, NOW).unwrap_err();
        assert_eq!(
            scope.authenticate(),
            "Bearer realm=\"countersign\", error=\"insufficient_scope\", error_description=\"this call needs a scope that the access token does not have\", scope=\"orders orders:export\""
        );
        standing.acrs.clear();
        let both = check(&rule(), &standing, NOW).unwrap_err();
        assert!(both.authenticate().ends_with(
            ", scope=\"orders orders:export\", acr_values=\"urn:mfa urn:hardware\", max_age=\"300\""
        ));
        assert_eq!(
            both.command(),
            "countersign token --issuer https://id.example.com --resource urn:orders --add-scope orders --add-scope orders:export --acr urn:mfa --acr urn:hardware --max-age 300"
        );
    }

    #[test]
    fn nothing_breaks_out_of_the_header_or_the_command() {
        let mut rule = rule();
        rule.acr = vec!["a\"b\\c\r\nx: y' $(id)".to_owned()];
        let challenge = check(&rule, &Standing::default(), NOW).unwrap_err();
        assert!(
            challenge
                .authenticate()
                .contains("acr_values=\"abcx: y' $(id)\""),
            "{}",
            challenge.authenticate()
        );
        assert!(
            challenge
                .command()
                .contains("--acr 'a\"b\\c\r\nx: y'\\'' $(id)'"),
            "{}",
            challenge.command()
        );
    }
}
