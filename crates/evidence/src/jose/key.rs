//! Keys as JWK with exactly the required members (RFC 7517, RFC 8037), and raw signatures.

use std::fmt;

use countersign_model::{Digest, MemberError, Members, b64u, b64u_decode, json};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};

/// A signature algorithm of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alg {
    /// RFC 8032 over edwards25519; `alg: Ed25519` (RFC 9864).
    Ed25519,
    /// ECDSA over P-256 with SHA-256 (RFC 7518), low-s only.
    Es256,
}

impl Alg {
    /// As it stands in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Es256 => "ES256",
        }
    }

    /// Reads the header's text.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Ed25519" => Some(Self::Ed25519),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// Why a JWK is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Wrong members.
    #[error("the key's JWK is not as it must be: {0}")]
    Members(#[from] MemberError),
    /// Another kind of key.
    #[error("the key is neither Ed25519 nor P-256")]
    Kind,
    /// Not a point on the curve, or one of small order, or not canonically written.
    #[error("the key's coordinates are not a valid point")]
    Point,
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
    Es256(p256::ecdsa::VerifyingKey),
}

/// A public key that passed all checks.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Public);

impl PublicKey {
    /// Reads a JWK that has exactly the required members: `kty`, `crv`, `x` and, for P-256, `y`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let mut members = Members::of(jwk)?;
        let kty = members.str("kty")?;
        let crv = members.str("crv")?;
        let key = match (kty.as_str(), crv.as_str()) {
            ("OKP", "Ed25519") => Public::Ed25519(ed25519(&coordinate(&mut members, "x")?)?),
            ("EC", "P-256") => {
                let x = coordinate(&mut members, "x")?;
                let y = coordinate(&mut members, "y")?;
                Public::Es256(p256_point(&x, &y)?)
            }
            _ => return Err(KeyError::Kind),
        };
        members.finish()?;
        Ok(Self(key))
    }

    /// The JWK, required members only.
    pub fn to_jwk(&self) -> Value {
        match &self.0 {
            Public::Ed25519(key) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": b64u(key.as_bytes())})
            }
            Public::Es256(key) => {
                let point = key.to_encoded_point(false);
                let (x, y) = point.as_bytes().split_at(1).1.split_at(32);
                json!({"crv": "P-256", "kty": "EC", "x": b64u(x), "y": b64u(y)})
            }
        }
    }

    /// The one algorithm that it serves.
    pub fn alg(&self) -> Alg {
        match self.0 {
            Public::Ed25519(_) => Alg::Ed25519,
            Public::Es256(_) => Alg::Es256,
        }
    }

    /// RFC 7638 with SHA-256, in base64url: the `kid` everywhere.
    pub fn thumbprint(&self) -> String {
        // The required members in canonical form are exactly RFC 7638's input.
        Digest::of(&json::canonical(&self.to_jwk())).to_string()
    }

    /// Checks a raw signature: Ed25519 by `verify_strict`, ES256 as `r || s` with low s.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Public::Es256(key) => {
                p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    signature.normalize_s().is_none() && key.verify(message, &signature).is_ok()
                })
            }
        }
    }
}

impl PublicKey {
    /// Checks the signature of a WebAuthn assertion: Ed25519 as above, ES256 in DER (WebAuthn, section 6.5.5).
    /// Authenticators make either `s`, and nothing is named by the digest of an assertion.
    pub(crate) fn verifies_assertion(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::Ed25519(_) => self.verifies(message, signature),
            Public::Es256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PublicKey({} {})",
            self.alg().as_str(),
            self.thumbprint()
        )
    }
}

fn coordinate(members: &mut Members, name: &'static str) -> Result<[u8; 32], KeyError> {
    let wrong = || MemberError::wrong(name, "32 bytes in base64url");
    let bytes = b64u_decode(&members.str(name)?).map_err(|_| wrong())?;
    Ok(bytes.try_into().map_err(|_| wrong())?)
}

fn ed25519(x: &[u8; 32]) -> Result<ed25519_dalek::VerifyingKey, KeyError> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(x).map_err(|_| KeyError::Point)?;
    // A point of small order verifies signatures that nobody made. A coordinate ≥ p is a second spelling of
    // the same point, and two spellings are two thumbprints.
    if key.is_weak() || key.to_edwards().compress().to_bytes() != *x {
        return Err(KeyError::Point);
    }
    Ok(key)
}

fn p256_point(x: &[u8; 32], y: &[u8; 32]) -> Result<p256::ecdsa::VerifyingKey, KeyError> {
    let point = p256::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
    p256::ecdsa::VerifyingKey::from_encoded_point(&point).map_err(|_| KeyError::Point)
}

#[derive(Clone)]
enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    Es256(p256::ecdsa::SigningKey),
}

/// A private key. It is erased from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey(Secret);

impl SecretKey {
    /// An Ed25519 key of 32 random bytes.
    pub fn generate(seed: [u8; 32]) -> Self {
        Self(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(
            &seed,
        )))
    }

    /// A P-256 key of 32 random bytes. Software keys are Ed25519; this is for tests, and for stores that know
    /// only P-256.
    pub fn generate_es256(seed: [u8; 32]) -> Self {
        // One in 2^32 seeds is no scalar below the order: then the next digest is tried.
        let mut scalar = seed;
        loop {
            match p256::ecdsa::SigningKey::from_slice(&scalar) {
                Ok(key) => return Self(Secret::Es256(key)),
                Err(_) => scalar = *Digest::of(&scalar).as_bytes(),
            }
        }
    }

    /// The private JWK, for a keyring or a file that only its owner reads.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.public().to_jwk();
        let d = match &self.0 {
            Secret::Ed25519(key) => b64u(key.as_bytes()),
            Secret::Es256(key) => b64u(&key.to_bytes()),
        };
        jwk["d"] = Value::String(d);
        jwk
    }

    /// Reads a private JWK; its public half must belong to it.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let mut public = jwk.clone();
        let d = public
            .as_object_mut()
            .and_then(|members| members.remove("d"));
        let public = PublicKey::from_jwk(&public)?;
        let mut members = Members::of(&json!({"d": d.unwrap_or(Value::Null)}))?;
        let d = coordinate(&mut members, "d")?;
        let key = match public.alg() {
            Alg::Ed25519 => Self::generate(d),
            Alg::Es256 => Self(Secret::Es256(
                p256::ecdsa::SigningKey::from_slice(&d).map_err(|_| KeyError::Point)?,
            )),
        };
        if key.public() == public {
            Ok(key)
        } else {
            Err(KeyError::Point)
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Secret::Ed25519(key) => Public::Ed25519(key.verifying_key()),
            Secret::Es256(key) => Public::Es256(*key.verifying_key()),
        })
    }

    pub(crate) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature
                    .normalize_s()
                    .unwrap_or(signature)
                    .to_bytes()
                    .to_vec()
            }
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}
