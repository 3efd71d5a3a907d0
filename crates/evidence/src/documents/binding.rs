//! The binding statement (`cic`): what an OpenID provider's nonce commits to. Specification:
//! `docs/spec/binding.md`.

use countersign_model::json;
use countersign_model::{Digest, MemberError, Members, ServerId, b64u_decode};
use serde_json::{Value, json};

use super::DocumentError;
use crate::jose::PublicKey;

const TYP: &str = "countersign-binding+v1";
const MAX_AUTHENTICATORS: usize = 16;

/// A device key, a session key and a server, to be bound to whoever signs in with [`Statement::nonce`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The server that the binding is for.
    pub aud: ServerId,
    /// WebAuthn credentials that may step up for this person.
    pub authenticators: Vec<Authenticator>,
    /// The device key's public half.
    pub key: PublicKey,
    /// 256 random bits, base64url: two bindings are never alike.
    pub rz: String,
    /// The session key's thumbprint.
    pub session_jkt: Digest,
}

/// A WebAuthn credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// Its public key.
    pub key: PublicKey,
    /// Its relying party.
    pub rp_id: String,
}

impl Statement {
    /// Its canonical bytes (`cic`).
    pub fn to_bytes(&self) -> Vec<u8> {
        json::canonical(&self.to_value())
    }

    /// Reads bytes that must be in canonical form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::from_value(&json::parse_canonical(bytes, json::OPERATION)?)
    }

    /// `H(cic)`: the binding's id.
    pub fn id(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// `b64u(H("countersign/binding/v1\n" || cic))`: the nonce of the sign-in.
    pub fn nonce(&self) -> String {
        Digest::tagged("countersign/binding/v1", &self.to_bytes()).to_string()
    }

    /// Its JSON.
    pub fn to_value(&self) -> Value {
        let Self {
            aud,
            authenticators,
            key,
            rz,
            session_jkt,
        } = self;
        let authenticators: Vec<_> = authenticators
            .iter()
            .map(|a| json!({"jwk": a.key.to_jwk(), "rp_id": a.rp_id}))
            .collect();
        json!({
            "alg": key.alg().as_str(),
            "aud": aud.as_str(),
            "authenticators": authenticators,
            "jwk": key.to_jwk(),
            "rz": rz,
            "session_jkt": session_jkt.to_string(),
            "typ": TYP,
        })
    }

    /// Reads its JSON: exactly these members.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let mut members = Members::of(value)?;
        members.fixed("typ", TYP)?;
        let aud = members.server("aud")?;
        let key = PublicKey::from_jwk(&members.value("jwk")?)?;
        if members.str("alg")? != key.alg().as_str() {
            return Err(MemberError::wrong("alg", "the key's algorithm").into());
        }
        let rz = members.str("rz")?;
        if !b64u_decode(&rz).is_ok_and(|bytes| bytes.len() == 32) {
            return Err(MemberError::wrong("rz", "256 bits in base64url").into());
        }
        let session_jkt = members.digest("session_jkt")?;
        let authenticators = members.array("authenticators")?;
        if authenticators.len() > MAX_AUTHENTICATORS {
            return Err(MemberError::wrong("authenticators", "at most 16").into());
        }
        let authenticators = authenticators
            .iter()
            .map(Authenticator::from_value)
            .collect::<Result<_, DocumentError>>()?;
        members.finish()?;
        Ok(Self {
            aud,
            authenticators,
            key,
            rz,
            session_jkt,
        })
    }
}

impl Authenticator {
    fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let mut members = Members::of(value)?;
        let key = PublicKey::from_jwk(&members.value("jwk")?)?;
        let rp_id = members.bounded("rp_id", 253)?;
        members.finish()?;
        Ok(Self { key, rp_id })
    }
}
