//! The access token (RFC 9068) that shows that a provider asked consent for one scope. It is for the step-up
//! resource, which no API accepts, and it is a credential nowhere: so it may be bound to a key, unlike those.
//! Specification: `docs/spec/step-up.md`, "Consent".

use countersign_model::{Digest, Subject, UnixSecs, b64u};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::keys::{OpKeys, verify_signature};
use super::{IdToken, OpConfig, OpTokenError, claims};

/// An access token of this provider whose signature holds. What it says is [`crate::verify`]'s to judge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConsentToken {
    /// Who.
    pub(crate) subject: Subject,
    /// For which client; where it also names a party (`azp`), both.
    pub(crate) clients: Vec<String>,
    /// For which resources.
    pub(crate) audiences: Vec<String>,
    /// What was consented to.
    pub(crate) scopes: Vec<String>,
    /// When it was issued.
    pub(crate) iat: UnixSecs,
    /// Until when it is good.
    pub(crate) exp: UnixSecs,
    /// Not before.
    pub(crate) nbf: Option<UnixSecs>,
    /// Whether it says that it is an access token.
    pub(crate) is_access_token: bool,
    /// The thumbprint of the key that it is bound to.
    pub(crate) jkt: Option<Digest>,
}

impl ConsentToken {
    /// Reads it, by this provider's keys.
    pub(crate) fn read(
        compact: &str,
        config: &OpConfig,
        keys: &OpKeys,
    ) -> Result<Self, OpTokenError> {
        let signed = verify_signature(compact, &config.algorithms, keys)?;
        let typ = signed.typ.unwrap_or_default().to_ascii_lowercase();
        let found = signed.claims;
        claims::refuse(&found, &["events", "nonce"])?;
        let mut clients = vec![claims::text(&found, "client_id")?.to_owned()];
        if let Some(party) = found.get("azp") {
            let party = party.as_str().ok_or(OpTokenError::Claim("azp"))?;
            clients.push(party.to_owned());
        }
        let jkt = match found.get("cnf").and_then(|cnf| cnf.get("jkt")) {
            None => None,
            Some(jkt) => Some(
                jkt.as_str()
                    .and_then(|jkt| Digest::parse(jkt).ok())
                    .ok_or(OpTokenError::Claim("cnf"))?,
            ),
        };
        Ok(Self {
            subject: claims::subject(&found, &config.issuer)?,
            clients,
            audiences: claims::audiences(&found)?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            scopes: scopes(&found)?,
            iat: claims::time(&found, "iat")?,
            exp: claims::time(&found, "exp")?,
            nbf: claims::opt_time(&found, "nbf")?,
            is_access_token: typ == "at+jwt" || typ == "application/at+jwt",
            jkt,
        })
    }
}

/// RFC 9068, section 2.2.3: one string, separated by single spaces.
fn scopes(found: &Value) -> Result<Vec<String>, OpTokenError> {
    match found.get("scope") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split(' ').map(str::to_owned).collect()),
        Some(_) => Err(OpTokenError::Claim("scope")),
    }
}

/// What an ID token says about the access token that came with it (OpenID Connect Core, 3.1.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtHash {
    /// Nothing.
    Absent,
    /// It is this one.
    Right,
    /// It is another one, or cannot be told.
    Wrong,
}

impl AtHash {
    pub(crate) fn of(id_token: &IdToken, access_token: &str) -> Self {
        let Some(stated) = id_token.claims.get("at_hash") else {
            return Self::Absent;
        };
        // The left half of the hash that the ID token's own algorithm uses. EdDSA here is Ed25519, so SHA-512.
        let hash: Vec<u8> = match id_token.alg.as_str() {
            "RS256" | "PS256" | "ES256" => Sha256::digest(access_token).to_vec(),
            "RS384" | "PS384" | "ES384" => Sha384::digest(access_token).to_vec(),
            "RS512" | "PS512" | "EdDSA" | "Ed25519" => Sha512::digest(access_token).to_vec(),
            _ => return Self::Wrong,
        };
        let (left, _) = hash.split_at(hash.len() / 2);
        if stated.as_str() == Some(&*b64u(left)) {
            Self::Right
        } else {
            Self::Wrong
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(alg: &str, at_hash: Value) -> IdToken {
        IdToken {
            subject: Subject::parse("https://op.example|elin").unwrap(),
            iat: UnixSecs(0),
            exp: UnixSecs(1),
            auth_time: None,
            nonce: None,
            bound: false,
            claims: json!({"at_hash": at_hash}),
            alg: alg.to_owned(),
        }
    }

    #[test]
    fn at_hash_is_the_left_half_by_the_id_tokens_own_hash() {
        // The first is OpenID Connect Core's own, appendix A.3; the others were made with Python's hashlib.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        let by_256 = "77QmUPtjPfzWtF2AnpK9RQ";
        let by_384 = "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs";
        let by_512 = "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM";
        for (algs, right) in [
            (["RS256", "PS256", "ES256"].as_slice(), by_256),
            (&["RS384", "PS384", "ES384"], by_384),
            (&["RS512", "PS512", "EdDSA", "Ed25519"], by_512),
        ] {
            for alg in algs {
                for stated in [by_256, by_384, by_512] {
                    let expected = if stated == right {
                        AtHash::Right
                    } else {
                        AtHash::Wrong
                    };
                    assert_eq!(
                        AtHash::of(&with(alg, json!(stated)), token),
                        expected,
                        "{alg}"
                    );
                }
            }
        }
        assert_eq!(
            AtHash::of(&with("HS256", json!(by_256)), token),
            AtHash::Wrong
        );
        assert_eq!(AtHash::of(&with("ES256", json!(1)), token), AtHash::Wrong);
        let mut without = with("ES256", json!(by_256));
        without.claims = json!({});
        assert_eq!(AtHash::of(&without, token), AtHash::Absent);
    }
}
