//! The keys of `[[provider]]` that `server.toml`, `gate.toml` and `trust.toml` share: what is trusted of one
//! provider, and how its claims are read. One definition, so that no two of them mean different things.
//!
//! A file that has keys of its own beside these flattens this into its own struct and collects the rest:
//!
//! ```
//! # use serde::Deserialize;
//! # use countersign_oidc::settings::{ProviderSettings, Rest, unknown_key};
//! #[derive(Deserialize)]
//! struct Provider {
//!     audience: Option<String>,
//!     #[serde(flatten)]
//!     settings: ProviderSettings,
//!     #[serde(flatten)]
//!     rest: Rest,
//! }
//! # let provider: Provider = serde_json::from_str(r#"{"issuer":"https://id.example","approver_client_id":"c","acr":1}"#).unwrap();
//! assert_eq!(unknown_key(&provider.rest), Some("acr"));
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use countersign_evidence::op_token::{
    AcrClaim, GroupsClaim, Initiator, KeyBinding, OpConfig, OpRole, OpStepUp, PersonRule, Refreshed,
};
use countersign_model::Issuer;

/// Algorithms that a provider may be allowed: all that `countersign-evidence` verifies.
pub const ALGORITHMS: [&str; 10] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519",
];

/// Keys of a table that nobody took.
pub type Rest = BTreeMap<String, IgnoredAny>;

/// The first key that is not known: a misspelt one must not be passed over.
#[must_use]
pub fn unknown_key(rest: &Rest) -> Option<&str> {
    rest.keys().next().map(String::as_str)
}

/// The shared keys, as they stand in the file.
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderSettings {
    /// The issuer, octet by octet as the provider writes it.
    pub issuer: String,
    /// The client that approvers' apps sign in with: the only audience of an ID token that counts. Needed where its
    /// accounts may approve.
    pub approver_client_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// Allowed signature algorithms (JWA names).
    pub algorithms: Option<Vec<String>>,
    /// What its accounts count as: `approver`, `requester`, `workload`.
    pub roles: Option<Vec<Role>>,
    /// Where groups stand: a claim's name, or a JSON pointer.
    pub groups_claim: Option<String>,
    /// Where groups are one string: what separates them. Without it only an array of strings is a list.
    pub groups_delimiter: Option<char>,
    /// The groups that it may assert; others are ignored. Any, unless given.
    pub groups: Option<Vec<String>>,
    /// Where the authentication context stands.
    pub acr_claim: Option<AcrName>,
    /// The authentication contexts that it may assert; others are ignored. Any, unless given.
    pub acrs: Option<Vec<String>>,
    /// What tells its people apart: `account`, `unknown` (pairwise subjects), or claims that together name a person.
    pub person: Option<PersonSetting>,
    /// The claim that holds the `sub` of the account that started a workload.
    pub initiator_claim: Option<String>,
    /// Whose account that is; this provider's unless given.
    pub initiator_issuer: Option<String>,
    /// Its refreshed ID tokens repeat the sign-in's nonce; one without is then refused.
    #[serde(default)]
    pub refreshed_tokens_repeat_nonce: bool,
    /// How it confirms a single vote.
    pub step_up: Option<StepUpSetting>,
    /// Whether its sign-ins are bound to the device key by the provider too (OpenID Connect Key Binding).
    pub key_binding: Option<KeyBindingSetting>,
}

/// What a provider's accounts count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// They vote.
    Approver,
    /// They ask, as people.
    Requester,
    /// They ask, as programs.
    Workload,
}

/// The claim that holds the authentication context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcrName {
    /// A string (OpenID Connect Core).
    Acr,
    /// An array of strings (Entra).
    Acrs,
}

/// What tells a provider's people apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PersonSetting {
    /// `account` or `unknown`.
    Word(PersonWord),
    /// These claims together.
    Claims(Vec<String>),
}

/// [`PersonSetting`] in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonWord {
    /// The account: its subjects are the same for each client.
    Account,
    /// Nothing tells: its subjects are pairwise, and no claim names the person.
    Unknown,
}

/// How a provider confirms a single vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepUpSetting {
    /// By a fresh sign-in.
    Oidc,
    /// It cannot.
    None,
}

/// Whether a provider's sign-ins are bound to the device key, beside the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyBindingSetting {
    /// Where the provider offers it.
    Accepted,
    /// Always: other sign-ins do not count.
    Required,
    /// Never, whatever the provider offers.
    Refused,
}

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {why}")]
pub struct SettingsError {
    /// Which.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub why: String,
}

impl ProviderSettings {
    /// What is trusted of the provider.
    ///
    /// # Errors
    /// Naming the key that makes no sense.
    pub fn op_config(&self) -> Result<OpConfig, SettingsError> {
        let Self {
            issuer,
            approver_client_id,
            name: _, // For people.
            algorithms,
            roles,
            groups_claim,
            groups_delimiter,
            groups,
            acr_claim,
            acrs,
            person,
            initiator_claim,
            initiator_issuer,
            refreshed_tokens_repeat_nonce,
            step_up,
            key_binding,
        } = self;
        let issuer = parse_issuer("issuer", issuer)?;
        let mut config = OpConfig::new(issuer, approver_client_id.as_deref().unwrap_or_default());
        if let Some(algorithms) = algorithms {
            config.algorithms = checked_algorithms(algorithms)?;
        }
        if let Some(roles) = roles {
            config.roles = set_of("roles", roles.iter().copied().map(op_role))?;
        }
        if config.client_id.is_empty() && config.roles.contains(&OpRole::Approver) {
            return Err(wrong(
                "approver_client_id",
                "is missing: name the client that approvers sign in with, or leave \"approver\" out of `roles`",
            ));
        }
        if let Some(path) = groups_claim {
            config.groups.path = claim("groups_claim", path)?;
        }
        config.groups = GroupsClaim {
            delimiter: *groups_delimiter,
            ..config.groups
        };
        if let Some(groups) = groups {
            config.groups_allowed = Some(names("groups", groups)?);
        }
        config.acr_claim = match acr_claim {
            None | Some(AcrName::Acr) => AcrClaim::Acr,
            Some(AcrName::Acrs) => AcrClaim::Acrs,
        };
        if let Some(acrs) = acrs {
            config.acrs_allowed = Some(names("acrs", acrs)?);
        }
        config.person = match person {
            None | Some(PersonSetting::Word(PersonWord::Account)) => PersonRule::Account,
            Some(PersonSetting::Word(PersonWord::Unknown)) => PersonRule::Unknown,
            Some(PersonSetting::Claims(claims)) => PersonRule::Claims(person_claims(claims)?),
        };
        config.initiator = initiator(&config, initiator_claim.as_deref(), initiator_issuer)?;
        config.refreshed = if *refreshed_tokens_repeat_nonce {
            Refreshed::RepeatsNonce
        } else {
            Refreshed::MayLackNonce
        };
        config.step_up = match step_up {
            None | Some(StepUpSetting::Oidc) => OpStepUp::Oidc,
            Some(StepUpSetting::None) => OpStepUp::None {
                why_not: format!(
                    "{} cannot confirm a single vote by a fresh sign-in.",
                    self.title()
                ),
            },
        };
        config.key_binding = match key_binding {
            None | Some(KeyBindingSetting::Accepted) => KeyBinding::Accepted,
            Some(KeyBindingSetting::Required) => KeyBinding::Required,
            Some(KeyBindingSetting::Refused) => KeyBinding::Refused,
        };
        Ok(config)
    }

    /// Its name for people: the issuer where none is given.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.issuer)
    }
}

fn wrong(key: &'static str, why: impl Into<String>) -> SettingsError {
    SettingsError {
        key,
        why: why.into(),
    }
}

fn parse_issuer(key: &'static str, text: &str) -> Result<Issuer, SettingsError> {
    Issuer::parse(text).map_err(|error| wrong(key, format!("is not an issuer: {error}")))
}

fn checked_algorithms(given: &[String]) -> Result<Vec<String>, SettingsError> {
    if given.is_empty() {
        return Err(wrong("algorithms", "must name at least one"));
    }
    match given
        .iter()
        .find(|name| !ALGORITHMS.contains(&name.as_str()))
    {
        None => Ok(given.to_vec()),
        Some(unknown) => Err(wrong(
            "algorithms",
            format!("has `{unknown}`; known are {}", ALGORITHMS.join(", ")),
        )),
    }
}

fn op_role(role: Role) -> OpRole {
    match role {
        Role::Approver => OpRole::Approver,
        Role::Requester => OpRole::Requester,
        Role::Workload => OpRole::Workload,
    }
}

fn set_of<T: Ord>(
    key: &'static str,
    items: impl Iterator<Item = T>,
) -> Result<BTreeSet<T>, SettingsError> {
    let set: BTreeSet<T> = items.collect();
    if set.is_empty() {
        // "Nothing" would be read as "no limit" by somebody.
        Err(wrong(
            key,
            "must name at least one; leave the key out for all",
        ))
    } else {
        Ok(set)
    }
}

fn names(key: &'static str, given: &[String]) -> Result<BTreeSet<String>, SettingsError> {
    if given.iter().any(String::is_empty) {
        return Err(wrong(key, "has an empty name"));
    }
    set_of(key, given.iter().cloned())
}

fn claim(key: &'static str, path: &str) -> Result<String, SettingsError> {
    if path.is_empty() || path == "/" {
        return Err(wrong(
            key,
            "must be a claim's name, or a JSON pointer such as `/realm_access/roles`",
        ));
    }
    Ok(path.to_owned())
}

fn person_claims(given: &[String]) -> Result<Vec<String>, SettingsError> {
    if given.is_empty() || given.iter().any(String::is_empty) {
        return Err(wrong(
            "person",
            "must be \"account\", \"unknown\", or claims that name a person, such as [\"tid\", \"oid\"]",
        ));
    }
    Ok(given.to_vec())
}

fn initiator(
    config: &OpConfig,
    claim_name: Option<&str>,
    issuer: &Option<String>,
) -> Result<Option<Initiator>, SettingsError> {
    let Some(claim_name) = claim_name else {
        return match issuer {
            None => Ok(None),
            Some(_) => Err(wrong(
                "initiator_issuer",
                "needs `initiator_claim` beside it",
            )),
        };
    };
    if !config.roles.contains(&OpRole::Workload) {
        return Err(wrong(
            "initiator_claim",
            "is for workloads: add \"workload\" to `roles`",
        ));
    }
    Ok(Some(Initiator {
        claim: claim("initiator_claim", claim_name)?,
        issuer: match issuer {
            Some(issuer) => parse_issuer("initiator_issuer", issuer)?,
            None => config.issuer.clone(),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<OpConfig, String> {
        let text = format!(
            r#"{{"issuer": "https://id.example", "approver_client_id": "app", "name": "Harbor ID"{more}}}"#
        );
        let settings: ProviderSettings =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        settings.op_config().map_err(|error| error.to_string())
    }

    #[test]
    fn little_is_needed_and_the_rest_is_what_most_providers_do() {
        let issuer = Issuer::parse("https://id.example").unwrap();
        assert_eq!(read("").unwrap(), OpConfig::new(issuer, "app"));
    }

    #[test]
    fn each_key_reaches_what_it_means() {
        let config = read(
            r#", "algorithms": ["ES256"], "roles": ["approver", "workload"], "groups_claim": "/r/groups",
            "groups_delimiter": ",", "groups": ["dba"], "acr_claim": "acrs", "acrs": ["c1"], "person": ["tid", "oid"],
            "initiator_claim": "actor", "initiator_issuer": "https://other.example",
            "refreshed_tokens_repeat_nonce": true, "step_up": "none", "key_binding": "required""#,
        )
        .unwrap();
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(config.algorithms, ["ES256"]);
        assert_eq!(
            config.roles,
            BTreeSet::from([OpRole::Approver, OpRole::Workload])
        );
        assert_eq!(config.groups.path, "/r/groups");
        assert_eq!(config.groups.delimiter, Some(','));
        assert_eq!(config.groups_allowed, words(&["dba"]));
        assert_eq!(config.acr_claim, AcrClaim::Acrs);
        assert_eq!(config.acrs_allowed, words(&["c1"]));
        assert_eq!(
            config.person,
            PersonRule::Claims(vec!["tid".to_owned(), "oid".to_owned()])
        );
        let initiator = config.initiator.unwrap();
        assert_eq!(initiator.issuer.as_str(), "https://other.example");
        assert_eq!(config.refreshed, Refreshed::RepeatsNonce);
        assert_eq!(config.key_binding, KeyBinding::Required);
        assert!(
            matches!(config.step_up, OpStepUp::None { why_not } if why_not.starts_with("Harbor ID"))
        );
        let unknown = read(r#", "person": "unknown""#).unwrap();
        assert_eq!(unknown.person, PersonRule::Unknown);
    }

    #[test]
    fn a_client_is_needed_where_accounts_may_approve() {
        let read = |text: &str| {
            let settings: ProviderSettings = serde_json::from_str(text).unwrap();
            settings.op_config().map_err(|error| error.key)
        };
        for text in [
            r#"{"issuer": "https://ci.example"}"#,
            r#"{"issuer": "https://ci.example", "approver_client_id": ""}"#,
        ] {
            assert_eq!(read(text), Err("approver_client_id"), "{text}");
        }
        assert!(read(r#"{"issuer": "https://ci.example", "roles": ["workload"]}"#).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        for (more, key) in [
            (r#", "algorithms": []"#, "`algorithms`"),
            (r#", "algorithms": ["HS256"]"#, "`algorithms`"),
            (r#", "algorithms": ["none"]"#, "`algorithms`"),
            (r#", "roles": []"#, "`roles`"),
            (r#", "groups": []"#, "`groups`"),
            (r#", "groups": [""]"#, "`groups`"),
            (r#", "groups_claim": """#, "`groups_claim`"),
            (r#", "acrs": []"#, "`acrs`"),
            (r#", "person": []"#, "`person`"),
            (r#", "initiator_claim": "actor""#, "`initiator_claim`"),
            (
                r#", "initiator_issuer": "https://other.example""#,
                "`initiator_issuer`",
            ),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.starts_with(key), "{more}: {error}");
        }
        for more in [
            r#", "roles": ["admin"]"#,
            r#", "person": "email""#,
            r#", "step_up": "webauthn""#,
            r#", "key_binding": true"#,
            r#", "groups_delimiter": ", ""#,
        ] {
            assert!(read(more).is_err(), "{more}");
        }
    }
}
