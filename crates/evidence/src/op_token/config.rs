//! What is trusted of one provider, and how its claims are read.

use std::collections::BTreeSet;

use countersign_model::{Issuer, Subject, Voter};
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
    /// Where groups stand: a claim's name, or a JSON pointer. The claim is an array of strings.
    pub groups_claim: String,
    /// Whether this provider refreshes ID tokens without the sign-in's nonce.
    pub refreshed: Refreshed,
    /// The claim that names a person across providers; without one a person is `iss` + `sub`.
    pub person_claim: Option<String>,
}

/// What a refreshed ID token looks like at this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// It repeats the sign-in's nonce.
    RepeatsNonce,
    /// It may have none.
    MayLackNonce,
}

impl OpConfig {
    /// With what most providers do: RS256, PS256, ES256, EdDSA; `groups`; refreshed tokens may lack the nonce
    /// (Keycloak since 25, most); people told apart by `iss` + `sub`.
    pub fn new(issuer: Issuer, client_id: &str) -> Self {
        Self {
            issuer,
            client_id: client_id.to_owned(),
            algorithms: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
                .map(str::to_owned)
                .to_vec(),
            groups_claim: "groups".to_owned(),
            refreshed: Refreshed::MayLackNonce,
            person_claim: None,
        }
    }

    /// The groups that these claims assert, each as `<iss>#name`. Anything but an array of strings is none: a
    /// string with commas is not a list.
    pub fn groups(&self, claims: &Value) -> BTreeSet<String> {
        let found = lookup(claims, &self.groups_claim);
        let Some(items) = found.and_then(Value::as_array) else {
            return BTreeSet::new();
        };
        let names: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        names
            .unwrap_or_default()
            .into_iter()
            .map(|name| format!("{}#{name}", self.issuer))
            .collect()
    }

    /// Somebody whom these claims of this provider describe.
    pub fn voter(&self, subject: Subject, claims: Value) -> Voter {
        Voter {
            subject,
            groups: self.groups(&claims),
            claims,
        }
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
