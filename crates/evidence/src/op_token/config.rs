//! What is trusted of one provider, and how its claims are read.

use std::collections::BTreeSet;

use countersign_model::{Issuer, Person, Subject, Voter};
use serde_json::Value;

/// A trusted provider, as local configuration states it. Never from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpConfig {
    /// The issuer.
    pub issuer: Issuer,
    /// The approver client: the only audience of an ID token that counts.
    pub client_id: String,
    /// Allowed signature algorithms (JWA names).
    pub algorithms: Vec<String>,
    /// As what its accounts count.
    pub roles: BTreeSet<OpRole>,
    /// Where groups stand.
    pub groups: GroupsClaim,
    /// The groups that it may assert; others are ignored. Any, where there is no list.
    pub groups_allowed: Option<BTreeSet<String>>,
    /// Where the authentication context stands.
    pub acr_claim: AcrClaim,
    /// The authentication contexts that it may assert; others are ignored. Any, where there is no list.
    pub acrs_allowed: Option<BTreeSet<String>>,
    /// What tells its people apart.
    pub person: PersonRule,
    /// Who is behind a workload of it.
    pub initiator: Option<Initiator>,
    /// Whether this provider refreshes ID tokens without the sign-in's nonce.
    pub refreshed: Refreshed,
    /// Whether it can sign a person in again for one vote.
    pub step_up: OpStepUp,
    /// Whether its sign-ins are bound to the device key by the provider too.
    pub key_binding: KeyBinding,
}

/// As what a provider's accounts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpRole {
    /// They vote.
    Approver,
    /// They ask, as people.
    Requester,
    /// They ask, as programs.
    Workload,
}

/// Where groups stand, and how they are written. Names are compared exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsClaim {
    /// A claim's name, or a JSON pointer.
    pub path: String,
    /// Where it is one string: what separates the names. Without it only an array of strings is a list.
    pub delimiter: Option<char>,
}

/// Where the authentication context stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcrClaim {
    /// `acr`, a string (OpenID Connect Core, section 2).
    Acr,
    /// `acrs`, an array of strings (Entra).
    Acrs,
}

/// What tells a provider's people apart, and finds one person behind several accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonRule {
    /// The account: its subjects are public, the same for each client.
    Account,
    /// These claims together. Compared only with those of providers that name the same claims.
    Claims(Vec<String>),
    /// Nothing: its subjects are pairwise, and no claim tells.
    Unknown,
}

/// Who started a workload: their account counts as the requester's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiator {
    /// The claim that holds the account's `sub`.
    pub claim: String,
    /// The provider of that account.
    pub issuer: Issuer,
}

/// What a refreshed ID token looks like at this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// It repeats the sign-in's nonce.
    RepeatsNonce,
    /// It may have none.
    MayLackNonce,
}

/// Whether a provider's ID tokens are bound to the device key (OpenID Connect Key Binding 1.0), beside the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBinding {
    /// One that is bound must be bound to the device key; one that is not counts as well. An app asks for it where the
    /// provider offers it.
    Accepted,
    /// Only one that is bound counts.
    Required,
    /// Nobody asks for it: one that is bound is a token of another type.
    Refused,
}

/// Whether a provider can sign a person in again for one vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpStepUp {
    /// By a fresh authorization request whose nonce names the vote.
    Oidc,
    /// It cannot.
    None {
        /// What it lacks, as a sentence for people.
        why_not: String,
    },
}

impl OpConfig {
    /// With what most providers do: RS256, PS256, ES256, EdDSA; `groups` as an array; `acr`; refreshed tokens
    /// may lack the nonce (Keycloak since 25, most); people told apart by `iss` + `sub`; approvers and
    /// requesters.
    pub fn new(issuer: Issuer, client_id: &str) -> Self {
        Self {
            issuer,
            client_id: client_id.to_owned(),
            algorithms: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
                .map(str::to_owned)
                .to_vec(),
            roles: BTreeSet::from([OpRole::Approver, OpRole::Requester]),
            groups: GroupsClaim {
                path: "groups".to_owned(),
                delimiter: None,
            },
            groups_allowed: None,
            acr_claim: AcrClaim::Acr,
            acrs_allowed: None,
            person: PersonRule::Account,
            initiator: None,
            refreshed: Refreshed::MayLackNonce,
            step_up: OpStepUp::Oidc,
            key_binding: KeyBinding::Accepted,
        }
    }

    /// The groups that these claims assert and this provider may, each as `<iss>#name`. Anything but an array of
    /// strings is none, and a string with commas is a list only where the configuration says so.
    pub fn groups_of(&self, claims: &Value) -> BTreeSet<String> {
        let GroupsClaim { path, delimiter } = &self.groups;
        let names: Vec<&str> = match (lookup(claims, path), delimiter) {
            (Some(Value::Array(items)), _) => {
                let names: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                names.unwrap_or_default()
            }
            (Some(Value::String(text)), Some(delimiter)) => text.split(*delimiter).collect(),
            (_, _) => Vec::new(),
        };
        let may_assert = |name: &&str| {
            let allowed = self.groups_allowed.as_ref();
            !name.is_empty() && allowed.is_none_or(|allowed| allowed.contains(*name))
        };
        names
            .into_iter()
            .filter(may_assert)
            .map(|name| format!("{}#{name}", self.issuer))
            .collect()
    }

    /// The authentication contexts that these claims state.
    pub(crate) fn acrs_stated<'c>(&self, claims: &'c Value) -> Vec<&'c str> {
        match self.acr_claim {
            AcrClaim::Acr => {
                let acr = claims.get("acr").and_then(Value::as_str);
                acr.into_iter().collect()
            }
            AcrClaim::Acrs => {
                let items = claims.get("acrs").and_then(Value::as_array);
                let names: Option<Vec<&str>> =
                    items.and_then(|items| items.iter().map(Value::as_str).collect());
                names.unwrap_or_default()
            }
        }
    }

    /// Whether it may assert this authentication context.
    pub(crate) fn may_assert_acr(&self, acr: &str) -> bool {
        let allowed = self.acrs_allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(acr))
    }

    /// The authentication contexts that these claims state and this provider may assert.
    pub fn acrs_of<'c>(&self, claims: &'c Value) -> Vec<&'c str> {
        let mut stated = self.acrs_stated(claims);
        stated.retain(|acr| self.may_assert_acr(acr));
        stated
    }

    /// Whom these claims of an account are about; none where a claim that has to tell is missing.
    pub fn person(&self, subject: &Subject, claims: &Value) -> Option<Person> {
        person_of(&self.person, subject, claims)
    }

    /// Somebody whom these claims of this provider describe. What it may not assert is left out of the claims too:
    /// a policy may look at them by name.
    pub fn voter(&self, subject: Subject, mut claims: Value) -> Voter {
        let groups = self.groups_of(&claims);
        let acrs = Value::from_iter(self.acrs_of(&claims));
        if self.groups_allowed.is_some() {
            leave_out(&mut claims, &self.groups.path);
        }
        if self.acrs_allowed.is_some()
            && let Some(members) = claims.as_object_mut()
        {
            let first = acrs.get(0).cloned();
            members.remove("acr");
            members.remove("acrs");
            match (self.acr_claim, first) {
                (_, None) => {}
                (AcrClaim::Acr, Some(acr)) => drop(members.insert("acr".to_owned(), acr)),
                (AcrClaim::Acrs, Some(_)) => drop(members.insert("acrs".to_owned(), acrs)),
            }
        }
        Voter {
            subject,
            groups,
            claims,
        }
    }
}

/// Whom these claims of an account are about; none where a claim that has to tell is missing.
pub(crate) fn person_of(rule: &PersonRule, subject: &Subject, claims: &Value) -> Option<Person> {
    match rule {
        PersonRule::Account => Some(Person::Account(subject.clone())),
        PersonRule::Unknown => Some(Person::Unknown(subject.clone())),
        PersonRule::Claims(names) if names.is_empty() => None,
        PersonRule::Claims(names) => names
            .iter()
            .map(|name| {
                let value = lookup(claims, name).and_then(Value::as_str);
                let value = value.filter(|value| !value.is_empty())?;
                Some((name.clone(), value.to_owned()))
            })
            .collect::<Option<_>>()
            .map(Person::Claims),
    }
}

/// Takes a claim away that [`lookup`] would find.
fn leave_out(claims: &mut Value, name: &str) {
    if name.starts_with('/') {
        drop(claims.pointer_mut(name).map(Value::take));
    } else if let Some(members) = claims.as_object_mut() {
        members.remove(name);
    }
}

/// A claim by name, or by JSON pointer where it starts with a slash.
pub(crate) fn lookup<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    if name.starts_with('/') {
        claims.pointer(name)
    } else {
        claims.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_that_a_provider_may_not_assert_stand_nowhere_in_the_claims() {
        let subject = Subject::parse("https://op.example|elin").unwrap();
        let mut config = OpConfig::new(subject.iss.clone(), "approver");
        config.groups_allowed = Some(BTreeSet::from(["dba".to_owned()]));
        let all = json!(["dba", "root"]);
        for (path, claims) in [
            ("groups", json!({ "groups": all })),
            ("/realm/roles", json!({ "realm": { "roles": all } })),
        ] {
            config.groups.path = path.to_owned();
            let voter = config.voter(subject.clone(), claims);
            let allowed = BTreeSet::from(["https://op.example#dba".to_owned()]);
            assert_eq!(voter.groups, allowed);
            let left = lookup(&voter.claims, path);
            assert!(left.is_none_or(Value::is_null), "{path}: {left:?}");
        }
    }
}
