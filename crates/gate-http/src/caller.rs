//! Who calls: the bearer token, verified against the providers that the configuration names.
//!
//! Every call's token is verified, and once more when an approved call is released: its time, and its signature
//! by the keys that the provider publishes now (of which [`ResourceServer`] remembers no more than it may). The
//! rules themselves are `countersign-oidc`'s and `countersign-evidence`'s.

use std::sync::Arc;

use countersign_evidence::op_token::AccessToken;
use countersign_model::{Issuer, Subject};
use countersign_oidc::{AccessError, ResourceServer};
use http::header::HeaderValue;
use serde_json::{Map, Value, json};

/// How many actors may stand in a token's `act` chain.
const MAX_ACTORS: usize = 8;

/// A caller whose token holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The token's subject.
    pub subject: Subject,
    /// The configured claims, normalized.
    pub claims: Map<String, Value>,
    /// Who acts for the subject, as the operation has it.
    pub act: Option<Value>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotLetIn {
    /// No bearer token: 401 without an error code (RFC 6750, 3.1).
    NoToken,
    /// The token is no good: 401.
    Invalid {
        /// Stable name of the rule.
        code: &'static str,
        /// In plain words.
        sentence: String,
    },
    /// The provider cannot be reached, so nothing can be verified: 503.
    Unavailable {
        /// In plain words.
        sentence: String,
    },
}

/// Which claims of a provider's access tokens go into operations.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    /// The provider.
    pub issuer: Issuer,
    /// Copied by name.
    pub claims: Vec<String>,
    /// Where groups stand: a name, or a JSON pointer. They go in as `groups`.
    pub groups_claim: String,
}

/// Verifies callers.
pub struct Callers {
    tokens: ResourceServer,
    rules: Vec<ClaimRules>,
}

impl Callers {
    /// Lets in callers of these providers.
    pub fn new(tokens: ResourceServer, rules: Vec<ClaimRules>) -> Self {
        Self { tokens, rules }
    }

    /// Verifies the token in an `Authorization` field.
    pub async fn verify(
        &self,
        authorization: Option<&HeaderValue>,
    ) -> Result<Arc<Caller>, NotLetIn> {
        let token = bearer(authorization)?;
        let access = self
            .tokens
            .verify(token)
            .await
            .map_err(|error| match error {
                AccessError::Invalid(_) | AccessError::UnknownIssuer => NotLetIn::Invalid {
                    code: error.code(),
                    sentence: error.to_string(),
                },
                AccessError::Unavailable(_) => NotLetIn::Unavailable {
                    sentence: error.to_string(),
                },
            })?;
        Ok(Arc::new(self.caller(access)?))
    }

    fn caller(&self, access: AccessToken) -> Result<Caller, NotLetIn> {
        let rules = self
            .rules
            .iter()
            .find(|rules| rules.issuer == access.subject.iss)
            .ok_or_else(|| {
                invalid(
                    "token_issuer",
                    "the token is from a provider that this gate has no rules for",
                )
            })?;
        let mut claims = Map::new();
        for name in &rules.claims {
            if let Some(value) = access.claims.get(name) {
                claims.insert(name.clone(), normalized(name, value));
            }
        }
        if let Some(groups) = groups(&access.claims, &rules.groups_claim) {
            claims.insert("groups".to_owned(), groups);
        }
        claims.insert("client_id".to_owned(), json!(access.client_id));
        let act = access
            .claims
            .get("act")
            .map(|act| actor(act, &access.subject.iss, 1))
            .transpose()?;
        Ok(Caller {
            subject: access.subject,
            claims,
            act,
        })
    }
}

fn invalid(code: &'static str, sentence: &str) -> NotLetIn {
    NotLetIn::Invalid {
        code,
        sentence: sentence.to_owned(),
    }
}

fn bearer(authorization: Option<&HeaderValue>) -> Result<&str, NotLetIn> {
    let Some(value) = authorization else {
        return Err(NotLetIn::NoToken);
    };
    let text = value
        .to_str()
        .map_err(|_| invalid("token_malformed", "the `Authorization` field is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(NotLetIn::NoToken);
    }
    let token = token.trim_start_matches(' ');
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(fits) {
        return Err(invalid(
            "token_malformed",
            "the `Authorization` field holds no bearer token",
        ));
    }
    Ok(token)
}

/// `auth_time` may be a float; an operation has integers only.
fn normalized(name: &str, value: &Value) -> Value {
    if name == "auth_time"
        && let Some(secs) = value.as_f64()
        && (0.0..9e15).contains(&secs)
    {
        // In these bounds the cast only cuts the fraction off.
        #[allow(clippy::cast_possible_truncation)]
        return json!(secs as i64);
    }
    value.clone()
}

/// Only an array of strings is a list of groups: a string with commas is not.
fn groups(claims: &Value, place: &str) -> Option<Value> {
    let found = if place.starts_with('/') {
        claims.pointer(place)
    } else {
        claims.get(place)
    }?;
    found
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
        .then(|| found.clone())
}

/// `act` (RFC 8693) with the members that an operation has. One that cannot be read is not left out: a rule
/// that excludes the requester would miss a person.
fn actor(act: &Value, token_issuer: &Issuer, depth: usize) -> Result<Value, NotLetIn> {
    let unreadable = || invalid("token_act", "the token's `act` claim cannot be read");
    let sub = act
        .get("sub")
        .and_then(Value::as_str)
        .ok_or_else(unreadable)?;
    let iss = match act.get("iss") {
        None => token_issuer.as_str(),
        Some(iss) => iss.as_str().ok_or_else(unreadable)?,
    };
    let mut value = json!({ "iss": iss, "sub": sub });
    if let Some(inner) = act.get("act") {
        if depth >= MAX_ACTORS {
            return Err(unreadable());
        }
        value["act"] = actor(inner, token_issuer, depth + 1)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers(claims: &[&str]) -> Callers {
        let rules = ClaimRules {
            issuer: Issuer::parse("https://op.example").unwrap(),
            claims: claims.iter().map(|name| (*name).to_owned()).collect(),
            groups_claim: "/realm/roles".to_owned(),
        };
        Callers::new(ResourceServer::default(), vec![rules])
    }

    fn access(claims: Value) -> AccessToken {
        AccessToken {
            subject: Subject::parse("https://op.example|mara").unwrap(),
            client_id: "cli".to_owned(),
            exp: countersign_model::UnixSecs(1_800_000_600),
            claims,
        }
    }

    #[test]
    fn only_configured_claims_are_copied() {
        let callers = callers(&["name", "auth_time"]);
        let caller = callers
            .caller(access(json!({
                "name": "Mara", "auth_time": 1_799_999_999.7, "secret": "x", "jti": "1", "iat": 1, "exp": 2,
                "realm": { "roles": ["dev"] },
            })))
            .unwrap();
        assert_eq!(
            Value::Object(caller.claims),
            json!({ "name": "Mara", "auth_time": 1_799_999_999, "groups": ["dev"], "client_id": "cli" })
        );
    }

    #[test]
    fn a_string_with_commas_is_no_list_of_groups() {
        let caller = callers(&[])
            .caller(access(json!({ "realm": { "roles": "dev,dba" } })))
            .unwrap();
        assert!(!caller.claims.contains_key("groups"));
    }

    #[test]
    fn actors_are_kept_or_the_caller_is_refused() {
        let callers = callers(&[]);
        let caller = callers.caller(access(json!({ "act": { "sub": "robot", "act": { "sub": "x", "iss": "https://b.example" }, "more": 1 } })));
        assert_eq!(
            caller.unwrap().act,
            Some(
                json!({ "iss": "https://op.example", "sub": "robot", "act": { "iss": "https://b.example", "sub": "x" } })
            )
        );
        assert!(callers.caller(access(json!({ "act": "robot" }))).is_err());
        assert!(
            callers
                .caller(access(json!({ "act": { "iss": 1, "sub": "a" } })))
                .is_err()
        );
    }

    #[test]
    fn the_bearer_scheme_is_read_strictly() {
        for (text, wanted) in [
            (None, Err(NotLetIn::NoToken)),
            (Some("Basic abc"), Err(NotLetIn::NoToken)),
            (Some("Bearer a.b.c"), Ok("a.b.c")),
            (Some("bearer a.b-_c"), Ok("a.b-_c")),
        ] {
            let value = text.map(|text| HeaderValue::from_str(text).unwrap());
            assert_eq!(bearer(value.as_ref()), wanted);
        }
        for text in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b"] {
            let value = HeaderValue::from_str(text).unwrap();
            assert!(
                matches!(bearer(Some(&value)), Err(NotLetIn::Invalid { .. })),
                "{text}"
            );
        }
    }
}
