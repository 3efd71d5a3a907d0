//! Compact JWS: making, reading, verifying.

use countersign_model::json::{self, Refused};
use countersign_model::{Members, b64u, b64u_decode};
use serde_json::{Value, json};

use super::{Alg, PublicKey, SecretKey};

/// The longest compact JWS, in bytes.
pub const MAX_COMPACT_BYTES: usize = 64 * 1024;

/// Why a JWS is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not three parts of base64url, or too long.
    #[error("it is not a compact JWS")]
    Malformed,
    /// The header has other members than `alg`, `typ`, `kid`.
    #[error("its header does not hold exactly `alg`, `typ` and `kid`")]
    Header,
    /// An algorithm that this protocol does not use, or not this key's.
    #[error("its algorithm is not allowed here")]
    Alg,
    /// Another kind of document.
    #[error("it is of another type")]
    Typ,
    /// Another key.
    #[error("it names another key")]
    Kid,
    /// The signature does not verify.
    #[error("its signature is wrong")]
    Signature,
    /// The strict reader refused the payload.
    #[error("its payload cannot be read without doubt: {0}")]
    Payload(Refused),
}

impl JoseError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "jws_malformed",
            Self::Header => "jws_header",
            Self::Alg => "jws_alg",
            Self::Typ => "jws_typ",
            Self::Kid => "jws_kid",
            Self::Signature => "jws_signature",
            Self::Payload(_) => "jws_payload",
        }
    }
}

/// A JWS that was read but not verified: good for finding the key, and for nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Unverified {
    /// The header's `alg`.
    pub alg: Alg,
    /// The header's `kid`: a thumbprint.
    pub kid: String,
    /// The payload, strictly read.
    pub payload: Value,
}

/// Signs a payload. The payload must obey the strict rules, which all documents of this crate do.
pub fn sign(key: &SecretKey, typ: &str, payload: &Value) -> String {
    let public = key.public();
    let header = json!({"alg": public.alg().as_str(), "kid": public.thumbprint(), "typ": typ});
    let message = format!(
        "{}.{}",
        b64u(&json::canonical(&header)),
        b64u(&json::canonical(payload))
    );
    let signature = key.sign_raw(message.as_bytes());
    format!("{message}.{}", b64u(&signature))
}

/// Reads a JWS of this type without verifying it.
pub fn peek(compact: &str, typ: &str) -> Result<Unverified, JoseError> {
    let [header, payload, signature] = split(compact)?;
    decode_part(signature)?;
    let header =
        json::parse(&decode_part(header)?, json::OPERATION).map_err(|_| JoseError::Header)?;
    let mut members = Members::of(&header).map_err(|_| JoseError::Header)?;
    let mut text = |name| members.str(name).map_err(|_| JoseError::Header);
    let (alg, found, kid) = (text("alg")?, text("typ")?, text("kid")?);
    members.finish().map_err(|_| JoseError::Header)?;
    let alg = Alg::parse(&alg).ok_or(JoseError::Alg)?;
    if found != typ {
        return Err(JoseError::Typ);
    }
    let payload =
        json::parse(&decode_part(payload)?, json::OPERATION).map_err(JoseError::Payload)?;
    Ok(Unverified { alg, kid, payload })
}

/// Verifies a JWS of this type by this key, and gives its payload.
pub fn verify(compact: &str, typ: &str, key: &PublicKey) -> Result<Value, JoseError> {
    let Unverified { alg, kid, payload } = peek(compact, typ)?;
    if alg != key.alg() {
        return Err(JoseError::Alg);
    }
    if kid != key.thumbprint() {
        return Err(JoseError::Kid);
    }
    let (message, signature) = compact.rsplit_once('.').ok_or(JoseError::Malformed)?;
    if key.verifies(message.as_bytes(), &decode_part(signature)?) {
        Ok(payload)
    } else {
        Err(JoseError::Signature)
    }
}

/// The three parts, none of them empty.
pub(crate) fn split(compact: &str) -> Result<[&str; 3], JoseError> {
    if compact.len() > MAX_COMPACT_BYTES {
        return Err(JoseError::Malformed);
    }
    let mut parts = compact.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None)
            if !header.is_empty() && !payload.is_empty() && !signature.is_empty() =>
        {
            Ok([header, payload, signature])
        }
        _ => Err(JoseError::Malformed),
    }
}

pub(crate) fn decode_part(part: &str) -> Result<Vec<u8>, JoseError> {
    b64u_decode(part).map_err(|_| JoseError::Malformed)
}
