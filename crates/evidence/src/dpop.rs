//! DPoP proofs (RFC 9449) for the agent's own calls, by its session key.
//!
//! Once-only use of `jti`, and nonces, are the server's: it keeps state, this does not. The header carries
//! `jwk`, so it has its own reader; the payload holds exactly the members of RFC 9449, section 4.2.

use countersign_model::{Digest, Members, UnixSecs, b64u, json};
use serde_json::{Value, json};

use crate::jose::{Alg, JoseError, PublicKey, SecretKey, decode_part, split};
use crate::verify::SKEW_SECS;

const TYP: &str = "dpop+jwt";

/// A proof that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopProof {
    /// The key's thumbprint: compare it with the token's `cnf.jkt`.
    pub jkt: Digest,
    /// Unique: remember it for [`MAX_AGE_SECS`].
    pub jti: String,
    /// When.
    pub iat: UnixSecs,
    /// The server's nonce, where there is one.
    pub nonce: Option<String>,
}

/// A proof is good for this long, either way, in seconds.
pub const MAX_AGE_SECS: i64 = SKEW_SECS;

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// Not a DPoP proof.
    #[error("the DPoP proof is not as RFC 9449 says: {0}")]
    Malformed(&'static str),
    /// The signature does not verify.
    #[error("the DPoP proof's signature is wrong")]
    Signature,
    /// For another call.
    #[error("the DPoP proof is for another method or URL")]
    OtherCall,
    /// For another token.
    #[error("the DPoP proof is for another access token")]
    OtherToken,
    /// Too old, or from the future.
    #[error(
        "the DPoP proof's time is more than {MAX_AGE_SECS} seconds off; check this device's clock"
    )]
    Time,
}

impl DpopError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "dpop_malformed",
            Self::Signature => "dpop_signature",
            Self::OtherCall => "dpop_other_call",
            Self::OtherToken => "dpop_other_token",
            Self::Time => "dpop_time",
        }
    }
}

impl From<JoseError> for DpopError {
    fn from(_: JoseError) -> Self {
        Self::Malformed("it is not a compact JWS")
    }
}

/// Makes a proof for one call. `url` may have a query; it is left out, as RFC 9449 says.
pub fn make(
    key: &SecretKey,
    method: &str,
    url: &str,
    access_token: Option<&str>,
    nonce: Option<&str>,
    iat: UnixSecs,
    jti: &str,
) -> String {
    let mut payload = json!({"htm": method, "htu": without_query(url), "iat": iat.0, "jti": jti});
    if let Some(token) = access_token {
        payload["ath"] = json!(Digest::of(token.as_bytes()).to_string());
    }
    if let Some(nonce) = nonce {
        payload["nonce"] = json!(nonce);
    }
    signed(key, &payload)
}

/// Makes a proof for a provider's token endpoint. With a code, it says for which one (`c_s256`, OpenID Connect Key
/// Binding 1.0, section 2.3), so that it binds what comes of no other.
pub fn make_for_token(
    key: &SecretKey,
    url: &str,
    code: Option<&str>,
    nonce: Option<&str>,
    iat: UnixSecs,
    jti: &str,
) -> String {
    let mut payload = json!({"htm": "POST", "htu": without_query(url), "iat": iat.0, "jti": jti});
    if let Some(code) = code {
        payload["c_s256"] = json!(Digest::of(code.as_bytes()).to_string());
    }
    if let Some(nonce) = nonce {
        payload["nonce"] = json!(nonce);
    }
    signed(key, &payload)
}

fn signed(key: &SecretKey, payload: &Value) -> String {
    let public = key.public();
    let header = json!({"alg": public.alg().as_str(), "jwk": public.to_jwk(), "typ": TYP});
    let message = format!(
        "{}.{}",
        b64u(&json::canonical(&header)),
        b64u(&json::canonical(payload))
    );
    let signature = key.sign_raw(message.as_bytes());
    format!("{message}.{}", b64u(&signature))
}

/// Verifies a proof for this call. With an access token, the proof must name it; without one, it must not.
pub fn verify(
    proof: &str,
    method: &str,
    url: &str,
    access_token: Option<&str>,
    now: UnixSecs,
) -> Result<DpopProof, DpopError> {
    let [header, payload, signature] = split(proof)?;
    let key = read_header(&read(header)?).ok_or(DpopError::Malformed("its header is wrong"))?;
    let payload =
        read_payload(&read(payload)?).ok_or(DpopError::Malformed("its payload is wrong"))?;
    let (message, _) = proof
        .rsplit_once('.')
        .ok_or(DpopError::Malformed("it is not a compact JWS"))?;
    if !key.verifies(message.as_bytes(), &decode_part(signature)?) {
        return Err(DpopError::Signature);
    }
    if payload.htm != method || without_query(&payload.htu) != without_query(url) {
        return Err(DpopError::OtherCall);
    }
    if payload.ath != access_token.map(|token| Digest::of(token.as_bytes())) {
        return Err(DpopError::OtherToken);
    }
    if (now - payload.iat).abs() > MAX_AGE_SECS {
        return Err(DpopError::Time);
    }
    let jkt = Digest::of(&json::canonical(&key.to_jwk()));
    Ok(DpopProof {
        jkt,
        jti: payload.jti,
        iat: payload.iat,
        nonce: payload.nonce,
    })
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn read(part: &str) -> Result<Value, DpopError> {
    json::parse(&decode_part(part)?, json::OPERATION)
        .map_err(|_| DpopError::Malformed("it cannot be read without doubt"))
}

fn read_header(header: &Value) -> Option<PublicKey> {
    let mut members = Members::of(header).ok()?;
    members.fixed("typ", TYP).ok()?;
    let alg = Alg::parse(&members.str("alg").ok()?)?;
    // A private key has `d`, which the exact reader refuses.
    let key = PublicKey::from_jwk(&members.value("jwk").ok()?).ok()?;
    members.finish().ok()?;
    (alg == key.alg()).then_some(key)
}

struct Payload {
    htm: String,
    htu: String,
    iat: UnixSecs,
    jti: String,
    ath: Option<Digest>,
    nonce: Option<String>,
}

fn read_payload(payload: &Value) -> Option<Payload> {
    let mut members = Members::of(payload).ok()?;
    let payload = Payload {
        htm: members.str("htm").ok()?,
        htu: members.str("htu").ok()?,
        iat: members.time("iat").ok()?,
        jti: members.bounded("jti", 128).ok()?,
        ath: members.opt_digest("ath").ok()?,
        nonce: members.opt_bounded("nonce", 256).ok()?,
    };
    members.finish().ok()?;
    Some(payload)
}
