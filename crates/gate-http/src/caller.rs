//! Who calls: the bearer token, verified against the providers that the configuration names.
//!
//! Every call's token is verified, and once more when an approved call is released: its time, and its signature
//! by the keys that the provider publishes now (of which [`ResourceServer`] remembers no more than it may). The
//! rules themselves are `countersign-oidc`'s and `countersign-evidence`'s.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_evidence::op_token::{AccessToken, CallerKind, OpConfig, PersonRule};
use countersign_model::{Issuer, Subject, UnixSecs, json as strict};
use countersign_oidc::{AccessError, ResourceServer};
use countersign_policy::Requester;
use http::header::HeaderValue;
use serde_json::{Map, Value, json};

/// How many actors may stand in a token's `act` chain.
const MAX_ACTORS: usize = 8;
/// Tokens whose caller is kept.
const MAX_KEPT: usize = 4096;

/// A caller whose token holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The token's subject.
    pub subject: Subject,
    /// A person or a program.
    pub kind: CallerKind,
    /// The configured claims, normalized.
    pub claims: Map<String, Value>,
    /// Who acts for the subject, as the operation has it.
    pub act: Option<Value>,
    /// What the token itself is good for, whichever claims are configured.
    pub standing: Standing,
    /// As a policy sees them; none where no operation could hold them.
    pub requester: Option<Requester>,
}

/// What a policy may ask of the token: read from the verified token and from nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its scopes.
    pub scopes: BTreeSet<String>,
    /// The authentication contexts that it names and its provider may assert.
    pub acrs: BTreeSet<String>,
    /// When its person signed in.
    pub auth_time: Option<UnixSecs>,
    /// Where another one comes from, for whoever needs one.
    pub source: TokenSource,
}

/// Where a token comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenSource {
    /// The provider.
    pub issuer: String,
    /// What it is for.
    pub audience: String,
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

/// What is taken over from a provider's tokens.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    /// How its claims are read.
    pub op: OpConfig,
    /// What its tokens are for.
    pub audience: String,
    /// Claims that are copied by name, besides groups and those that tell people apart.
    pub claims: Vec<String>,
}

/// Verifies callers.
pub struct Callers {
    tokens: ResourceServer,
    rules: Vec<ClaimRules>,
    /// What the rules make of a verified token, by where that lies: neither changes while the gate runs.
    kept: Mutex<HashMap<usize, Kept>>,
}

struct Kept {
    token: Arc<AccessToken>,
    caller: Arc<Caller>,
}

impl Callers {
    /// Lets in callers of these providers.
    pub fn new(tokens: ResourceServer, rules: Vec<ClaimRules>) -> Self {
        Self {
            tokens,
            rules,
            kept: Mutex::default(),
        }
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
        self.caller_of(access)
    }

    /// The caller of a token that was verified just now.
    fn caller_of(&self, access: Arc<AccessToken>) -> Result<Arc<Caller>, NotLetIn> {
        let at = Arc::as_ptr(&access).addr();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // INVARIANT: what is kept holds its token, so nothing else ever lies where that does.
        if let Some(known) = kept.get(&at) {
            return Ok(Arc::clone(&known.caller));
        }
        let caller = Arc::new(self.caller((*access).clone())?);
        if kept.len() >= MAX_KEPT {
            // Those that nobody remembers any more.
            kept.retain(|_, known| Arc::strong_count(&known.token) > 1);
        }
        if kept.len() < MAX_KEPT {
            let known = Kept {
                token: access,
                caller: Arc::clone(&caller),
            };
            kept.insert(at, known);
        }
        Ok(caller)
    }

    fn caller(&self, access: AccessToken) -> Result<Caller, NotLetIn> {
        let AccessToken {
            subject,
            kind,
            client_id,
            exp: _,
            claims: all,
        } = access;
        let ClaimRules {
            op,
            audience,
            claims: wanted,
        } = self
            .rules
            .iter()
            .find(|rules| rules.op.issuer == subject.iss)
            .ok_or_else(|| {
                invalid(
                    "token_issuer",
                    "the token is from a provider that this gate has no rules for",
                )
            })?;
        let act = all
            .get("act")
            .map(|act| actor(act, &subject.iss, 1))
            .transpose()?;
        let groups = groups(op, &all);
        // Through the provider's configuration: what it may not assert is not there.
        let all = op.voter(subject.clone(), all).claims;
        let mut claims = Map::new();
        for name in wanted.iter().chain(telling(op, kind)) {
            if let Some(value) = found(&all, name) {
                put(&mut claims, name, normalized(name, value)).map_err(|()| {
                    invalid("token_claim", "two claims of the token do not fit together")
                })?;
            }
        }
        if let Some(groups) = groups {
            claims.insert("groups".to_owned(), groups);
        }
        if let Some(client_id) = client_id {
            claims.insert("client_id".to_owned(), json!(client_id));
        }
        let standing = Standing {
            scopes: scopes(&all),
            acrs: op.acrs_of(&all).into_iter().map(str::to_owned).collect(),
            // Zero is how some providers write "unknown".
            auth_time: all
                .get("auth_time")
                .and_then(whole_secs)
                .filter(|secs| *secs > 0)
                .map(UnixSecs),
            source: TokenSource {
                issuer: op.issuer.as_str().to_owned(),
                audience: audience.clone(),
            },
        };
        let sound = strict::check(&Value::Object(claims.clone()), strict::OPERATION).is_ok();
        let requester = actors(act.as_ref())
            .filter(|_| sound)
            .and_then(|act| Requester::new(&subject, subject_type(kind), &claims, &act));
        Ok(Caller {
            requester,
            subject,
            kind,
            claims,
            act,
            standing,
        })
    }
}

/// `subject.type` of an operation.
pub(crate) fn subject_type(kind: CallerKind) -> &'static str {
    match kind {
        CallerKind::Person => "user",
        CallerKind::Workload => "workload",
    }
}

/// Claims by which a rule that excludes the requester knows who they are: they are always part of what is approved.
pub fn telling(op: &OpConfig, kind: CallerKind) -> impl Iterator<Item = &String> {
    let person: &[String] = match &op.person {
        PersonRule::Claims(names) => names,
        PersonRule::Account | PersonRule::Unknown => &[],
    };
    let initiator = match kind {
        CallerKind::Workload => op.initiator.as_ref().map(|initiator| &initiator.claim),
        CallerKind::Person => None,
    };
    person.iter().chain(initiator)
}

/// A claim by name, or by JSON pointer.
fn found<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    if name.starts_with('/') {
        claims.pointer(name)
    } else {
        claims.get(name)
    }
}

/// Puts a claim where [`found`] finds it again.
fn put(claims: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), ()> {
    let Some(pointer) = name.strip_prefix('/') else {
        claims.insert(name.to_owned(), value);
        return Ok(());
    };
    let mut parts = pointer
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut here = claims;
    let Some(mut part) = parts.next() else {
        return Err(());
    };
    for next in parts {
        here = here
            .entry(part)
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .ok_or(())?;
        part = next;
    }
    here.insert(part, value);
    Ok(())
}

/// `scope`, as RFC 9068 has it: one string with spaces between.
fn scopes(claims: &Value) -> BTreeSet<String> {
    let text = claims.get("scope").and_then(Value::as_str);
    text.unwrap_or_default()
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
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
    match whole_secs(value) {
        Some(secs) if name == "auth_time" => json!(secs),
        Some(_) | None => value.clone(),
    }
}

/// A time, without its fraction.
fn whole_secs(value: &Value) -> Option<i64> {
    let secs = value.as_f64()?;
    // In these bounds the cast only cuts the fraction off.
    #[allow(clippy::cast_possible_truncation)]
    (0.0..9e15).contains(&secs).then_some(secs as i64)
}

/// The groups that the provider may assert, without its issuer: the policy puts that before them. None where the
/// token has no list.
fn groups(op: &OpConfig, claims: &Value) -> Option<Value> {
    let own = format!("{}#", op.issuer);
    let names: Vec<String> = op
        .groups_of(claims)
        .iter()
        .filter_map(|group| group.strip_prefix(&own).map(str::to_owned))
        .collect();
    (!names.is_empty()).then(|| json!(names))
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

/// The same as an operation reads it; none where it would not.
fn actors(mut act: Option<&Value>) -> Option<Vec<Subject>> {
    let mut chain = Vec::new();
    while let Some(actor) = act {
        let iss = Issuer::parse(actor.get("iss")?.as_str()?).ok()?;
        chain.push(Subject::new(iss, actor.get("sub")?.as_str()?).ok()?);
        act = actor.get("act");
    }
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op() -> OpConfig {
        let mut op = OpConfig::new(Issuer::parse("https://op.example").unwrap(), "approver");
        op.groups.path = "/realm/roles".to_owned();
        op
    }

    fn by(op: OpConfig, claims: &[&str]) -> Callers {
        let rules = ClaimRules {
            op,
            audience: "urn:orders".to_owned(),
            claims: claims.iter().map(|name| (*name).to_owned()).collect(),
        };
        Callers::new(ResourceServer::default(), vec![rules])
    }

    fn callers(claims: &[&str]) -> Callers {
        by(op(), claims)
    }

    fn access(claims: Value) -> AccessToken {
        AccessToken {
            subject: Subject::parse("https://op.example|mara").unwrap(),
            kind: CallerKind::Person,
            client_id: Some("cli".to_owned()),
            exp: UnixSecs(1_800_000_600),
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
    fn each_token_has_its_own_caller_however_many_there_are() {
        let callers = callers(&["name"]);
        let named = |name: &str| Arc::new(access(json!({ "name": name })));
        let one = named("Mara");
        let caller = callers.caller_of(Arc::clone(&one)).unwrap();
        assert!(Arc::ptr_eq(
            &caller,
            &callers.caller_of(Arc::clone(&one)).unwrap()
        ));
        for n in 0..MAX_KEPT + 10 {
            let name = format!("{n}");
            let other = callers.caller_of(named(&name)).unwrap();
            assert_eq!(other.claims["name"], name);
        }
        assert_eq!(callers.caller_of(one).unwrap(), caller);
        assert!(callers.kept.lock().unwrap().len() <= MAX_KEPT);
    }

    #[test]
    fn a_string_with_commas_is_no_list_of_groups() {
        let caller = callers(&[])
            .caller(access(json!({ "realm": { "roles": "dev,dba" } })))
            .unwrap();
        assert!(!caller.claims.contains_key("groups"));
    }

    #[test]
    fn a_provider_asserts_what_it_may_and_nothing_else() {
        let mut op = op();
        op.groups_allowed = Some(BTreeSet::from(["dev".to_owned()]));
        op.acrs_allowed = Some(BTreeSet::from(["mfa".to_owned()]));
        let read = |acr: &str| {
            let claims = json!({ "acr": acr, "realm": { "roles": ["dev", "root"] } });
            by(op.clone(), &["acr"]).caller(access(claims)).unwrap()
        };
        let good = read("mfa");
        assert_eq!(
            Value::Object(good.claims),
            json!({ "acr": "mfa", "groups": ["dev"], "client_id": "cli" })
        );
        assert_eq!(good.standing.acrs, BTreeSet::from(["mfa".to_owned()]));
        let other = read("hardware");
        assert!(!other.claims.contains_key("acr") && other.standing.acrs.is_empty());
    }

    #[test]
    fn what_tells_people_apart_is_always_bound() {
        let mut op = op();
        op.person = PersonRule::Claims(vec!["tid".to_owned(), "/ids/oid".to_owned()]);
        op.initiator = Some(countersign_evidence::op_token::Initiator {
            claim: "actor_id".to_owned(),
            issuer: op.issuer.clone(),
        });
        let claims = json!({ "tid": "t", "ids": { "oid": "o", "other": 1 }, "actor_id": "17" });
        let person = by(op.clone(), &[]).caller(access(claims.clone())).unwrap();
        let told = json!({ "tid": "t", "ids": { "oid": "o" }, "client_id": "cli" });
        assert_eq!(Value::Object(person.claims), told);
        let workload = AccessToken {
            kind: CallerKind::Workload,
            client_id: None,
            ..access(claims)
        };
        let workload = by(op, &[]).caller(workload).unwrap();
        assert_eq!(
            Value::Object(workload.claims),
            json!({ "tid": "t", "ids": { "oid": "o" }, "actor_id": "17" })
        );
    }

    #[test]
    fn a_tokens_standing_is_its_own_whatever_is_configured() {
        let claims =
            json!({ "scope": "openid orders:export", "acr": "mfa", "auth_time": 1_800_000_000.5 });
        let Standing {
            scopes,
            acrs,
            auth_time,
            source: _,
        } = callers(&[]).caller(access(claims)).unwrap().standing;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(scopes, words(&["openid", "orders:export"]));
        assert_eq!(acrs, words(&["mfa"]));
        assert_eq!(auth_time, Some(UnixSecs(1_800_000_000)));
        for none in [
            json!({}),
            json!({ "scope": ["a"], "acr": ["b"], "auth_time": "c" }),
        ] {
            let standing = callers(&[]).caller(access(none)).unwrap().standing;
            assert!(standing.scopes.is_empty() && standing.acrs.is_empty());
            assert_eq!(standing.auth_time, None);
        }
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
    fn what_no_operation_could_hold_is_known_to_no_policy() {
        let callers = callers(&["name", "level"]);
        let known = |claims: Value| callers.caller(access(claims)).unwrap().requester.is_some();
        assert!(known(
            json!({ "name": "Mara", "level": 3, "act": { "sub": "robot" } })
        ));
        for odd in [
            json!({ "level": 3.5 }),
            json!({ "name": "Ma\u{fffe}ra" }),
            json!({ "act": { "sub": "robot", "iss": "robots" } }),
            json!({ "act": { "sub": "" } }),
        ] {
            assert!(!known(odd.clone()), "{odd}");
        }
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
