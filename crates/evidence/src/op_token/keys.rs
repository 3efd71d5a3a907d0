//! A provider's keys, and the signature of its tokens.

use std::collections::BTreeMap;

use countersign_model::{b64u_decode, json};
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::OpTokenError;
use crate::check::Check;

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 32 * 1024;
/// Of a token's parts.
pub(crate) const LIMITS: json::Limits = json::Limits {
    max_bytes: MAX_TOKEN_BYTES,
    max_depth: 16,
};
/// RSA keys below this are refused.
const MIN_RSA_BITS: usize = 2048;
/// More than any library here can use at a sane speed.
const MAX_RSA_BITS: usize = 8192;

#[derive(Clone)]
enum Key {
    Rsa(DecodingKey),
    Ec(Algorithm, DecodingKey),
    Ed(VerifyingKey),
}

#[derive(Clone)]
struct Entry {
    /// The one algorithm that the key set names for it, if it does.
    alg: Option<String>,
    key: Key,
}

/// A provider's signature keys, by `kid`.
#[derive(Clone, Default)]
pub struct OpKeys {
    keys: BTreeMap<String, Vec<Entry>>,
}

impl std::fmt::Debug for OpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

impl OpKeys {
    /// Reads a JWK set (RFC 7517). Keys of kinds that are not used here, for encryption, or without a `kid`
    /// are left out, as the RFC says; symmetric ones always.
    pub fn from_jwks(jwks: &Value) -> Result<Self, OpTokenError> {
        let keys = jwks.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(OpTokenError::Keys("there is no array `keys`"))?;
        let mut found = Self::default();
        for jwk in keys {
            let text = |name: &str| jwk.get(name).and_then(Value::as_str);
            let verifies = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
            let key_ops = jwk.get("key_ops").and_then(Value::as_array);
            if text("use").is_some_and(|usage| usage != "sig") || !key_ops.is_none_or(verifies) {
                continue;
            }
            if let (Some(kid), Some(key)) = (text("kid"), read_key(jwk)) {
                let entry = Entry {
                    alg: text("alg").map(str::to_owned),
                    key,
                };
                found.keys.entry(kid.to_owned()).or_default().push(entry);
            }
        }
        Ok(found)
    }

    /// Whether a key of this name is there.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Adds keys seen at another time. A token is good if any key of its `kid` verifies it.
    pub fn merge(&mut self, other: Self) {
        for (kid, entries) in other.keys {
            self.keys.entry(kid).or_default().extend(entries);
        }
    }

    /// Drops a key: what it signed counts no more.
    pub fn drop_key(&mut self, kid: &str) {
        self.keys.remove(kid);
    }

    fn verifies(
        &self,
        header: &Header,
        message: &str,
        signature: &[u8],
    ) -> Result<(), OpTokenError> {
        let kid = header.kid.as_deref().unwrap_or_default();
        let entries = self
            .keys
            .get(kid)
            .ok_or_else(|| OpTokenError::UnknownKey(shown(kid)))?;
        let fits = |entry: &&Entry| entry.alg.as_deref().is_none_or(|alg| alg == header.alg);
        let verifies = entries
            .iter()
            .filter(fits)
            .any(|entry| entry.key.verifies(&header.alg, message, signature));
        if Check::TokenSignature.stands(verifies) {
            Ok(())
        } else {
            Err(OpTokenError::Signature)
        }
    }
}

impl Key {
    fn verifies(&self, alg: &str, message: &str, signature: &[u8]) -> bool {
        let library = |algorithm: Algorithm, key: &DecodingKey| {
            let Ok(verifier) = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key) else {
                return false;
            };
            verifier
                .verify(message.as_bytes(), &signature.to_vec())
                .is_ok()
        };
        match (self, alg) {
            (Self::Rsa(key), "RS256") => library(Algorithm::RS256, key),
            (Self::Rsa(key), "RS384") => library(Algorithm::RS384, key),
            (Self::Rsa(key), "RS512") => library(Algorithm::RS512, key),
            (Self::Rsa(key), "PS256") => library(Algorithm::PS256, key),
            (Self::Rsa(key), "PS384") => library(Algorithm::PS384, key),
            (Self::Rsa(key), "PS512") => library(Algorithm::PS512, key),
            (Self::Ec(Algorithm::ES256, key), "ES256") => library(Algorithm::ES256, key),
            (Self::Ec(Algorithm::ES384, key), "ES384") => library(Algorithm::ES384, key),
            // Not by the library: it is not strict, and its reader panics on a short key.
            (Self::Ed(key), "EdDSA" | "Ed25519") => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message.as_bytes(), &signature).is_ok()),
            (Self::Rsa(_) | Self::Ec(..) | Self::Ed(_), _) => false,
        }
    }
}

fn read_key(jwk: &Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| b64u_decode(text(name)?).ok();
    match (text("kty")?, text("crv")) {
        ("RSA", None) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let first = n.iter().position(|byte| *byte != 0)?;
            let bits = (n.len() - first) * 8 - n[first].leading_zeros() as usize;
            // An exponent of 1 makes every message its own signature; an even one is none.
            let exponent = e.iter().try_fold(0_u64, |sum, byte| {
                sum.checked_mul(256)?.checked_add((*byte).into())
            })?;
            let sane =
                (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) && exponent >= 3 && exponent % 2 == 1;
            sane.then(|| Key::Rsa(DecodingKey::from_rsa_raw_components(&n, &e)))
        }
        ("EC", Some(crv @ ("P-256" | "P-384"))) => {
            let (algorithm, size) = if crv == "P-256" {
                (Algorithm::ES256, 32)
            } else {
                (Algorithm::ES384, 48)
            };
            let sized = bytes("x")?.len() == size && bytes("y")?.len() == size;
            let key = DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?;
            sized.then_some(Key::Ec(algorithm, key))
        }
        ("OKP", Some("Ed25519")) => {
            let key = VerifyingKey::from_bytes(&bytes("x")?.try_into().ok()?).ok()?;
            (!key.is_weak()).then_some(Key::Ed(key))
        }
        _ => None,
    }
}

/// A token's header, as far as it matters.
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: Option<String>,
    kid: Option<String>,
}

/// A token whose signature holds. Its claims are not judged yet.
pub(crate) struct Signed {
    pub(crate) alg: String,
    pub(crate) typ: Option<String>,
    pub(crate) claims: Value,
}

/// Verifies the signature by one of these keys and algorithms, and reads the claims.
pub(crate) fn verify_signature(
    compact: &str,
    algorithms: &[String],
    keys: &OpKeys,
) -> Result<Signed, OpTokenError> {
    let (header, claims) = check_signature(compact, algorithms, keys)?;
    let claims = read_part(claims)?;
    let Header { alg, typ, .. } = header;
    Ok(Signed { alg, typ, claims })
}

fn check_signature<'a>(
    compact: &'a str,
    algorithms: &[String],
    keys: &OpKeys,
) -> Result<(Header, &'a str), OpTokenError> {
    let [header, claims, signature] = parts(compact)?;
    let header = read_header(header)?;
    let symmetric = header.alg == "none" || header.alg.starts_with("HS");
    if !Check::TokenAlg.stands(!symmetric && algorithms.contains(&header.alg)) {
        return Err(OpTokenError::Alg(shown(&header.alg)));
    }
    let signature = b64u_decode(signature).map_err(|_| OpTokenError::Malformed)?;
    let (message, _) = compact.rsplit_once('.').ok_or(OpTokenError::Malformed)?;
    keys.verifies(&header, message, &signature)?;
    Ok((header, claims))
}

/// The `kid` of a token that is not verified: good for deciding whether to fetch keys again.
pub fn peek_kid(compact: &str) -> Result<Option<String>, OpTokenError> {
    Ok(read_header(parts(compact)?[0])?.kid)
}

/// Whether a token that is not verified says that it is bound to a key (OpenID Connect Key Binding): good for knowing
/// what to ask its provider.
pub fn peek_bound(compact: &str) -> Result<bool, OpTokenError> {
    let typ = read_header(parts(compact)?[0])?.typ;
    Ok(typ
        .as_deref()
        .is_some_and(super::key_binding::is_bound_type))
}

/// The `iss` of a token that is not verified: good for finding its provider's configuration.
pub fn peek_issuer(compact: &str) -> Result<String, OpTokenError> {
    let claims = read_part(parts(compact)?[1])?;
    claims
        .get("iss")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(OpTokenError::Claim("iss"))
}

/// The `nonce` of a token that is not verified.
pub(crate) fn peek_nonce(compact: &str) -> Option<String> {
    let claims = read_part(parts(compact).ok()?[1]).ok()?;
    claims
        .get("nonce")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn parts(compact: &str) -> Result<[&str; 3], OpTokenError> {
    if compact.len() > MAX_TOKEN_BYTES {
        return Err(OpTokenError::Malformed);
    }
    crate::jose::split(compact).map_err(|_| OpTokenError::Malformed)
}

fn read_part(part: &str) -> Result<Value, OpTokenError> {
    let bytes = b64u_decode(part).map_err(|_| OpTokenError::Malformed)?;
    let value = json::parse_foreign(&bytes, LIMITS).map_err(|_| OpTokenError::Malformed)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(OpTokenError::Malformed)
    }
}

fn read_header(part: &str) -> Result<Header, OpTokenError> {
    let header = read_part(part)?;
    // A provider may add members such as `x5t`, which are ignored; these would change what is verified.
    for refused in ["crit", "b64", "jwk", "jku", "x5u", "zip", "enc"] {
        if header.get(refused).is_some() {
            return Err(OpTokenError::Header(refused));
        }
    }
    let text = |name: &'static str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(OpTokenError::Header(name)),
    };
    Ok(Header {
        alg: text("alg")?.ok_or(OpTokenError::Malformed)?,
        typ: text("typ")?,
        kid: text("kid")?,
    })
}

/// The beginning of a name from outside, fit for an error.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod vectors;
