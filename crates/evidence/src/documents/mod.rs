//! The documents that this protocol signs, each a struct with typed fields, read with exactly its members.
//!
//! They say what is written; whether it holds (times, sameness, who may) is [`crate::verify`]'s.

pub mod ask;
pub mod binding;
pub mod grant;
pub mod pep_token;
pub mod pop;
pub mod request;
pub mod vote;

pub use ask::Ask;
pub use binding::{Authenticator, Statement};
pub use grant::{Grant, GrantVote};
pub use pep_token::PepToken;
pub use pop::Pop;
pub use request::Request;
pub use vote::{Choice, DisplayDigest, Vote};

use countersign_model::json::Refused;
use countersign_model::{Digest, MemberError, ServerId, Subject};
use serde_json::{Value, json};

use crate::jose::{JoseError, KeyError};

/// The longest `jti`, nonce or like value, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 128;

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The JWS around it.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// Its members.
    #[error("its content is not as it must be: {0}")]
    Members(#[from] MemberError),
    /// A key in it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its bytes, where it is no JWS.
    #[error("it cannot be read without doubt: {0}")]
    Json(#[from] Refused),
}

impl DocumentError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Members(_) => "document_members",
            Self::Key(_) => "document_key",
            Self::Json(refused) => refused.rule(),
        }
    }

    /// Whether the document is well made, and only its signature is not this key's.
    pub fn is_signature(&self) -> bool {
        matches!(self, Self::Jose(JoseError::Signature | JoseError::Alg))
    }
}

/// `H` over a compact JWS as it stands: how one document names another.
pub fn jws_digest(compact: &str) -> Digest {
    Digest::of(compact.as_bytes())
}

/// `b64u(H("countersign/step-up/v1\n" || vote JWS))`: the nonce of the sign-in, or the challenge of the
/// authenticator, that confirms this very vote.
pub fn step_up_nonce(vote_jws: &str) -> String {
    Digest::tagged("countersign/step-up/v1", vote_jws.as_bytes()).to_string()
}

/// The resource (RFC 8707) that consent is asked for. No API accepts it.
pub fn step_up_resource(server: &ServerId) -> String {
    format!("{server}/step-up")
}

/// A subject as RFC 9493 writes it.
pub(crate) fn sub_id(subject: &Subject) -> Value {
    json!({"format": "iss_sub", "iss": subject.iss.as_str(), "sub": subject.sub})
}

/// Gives a document its type and the methods that go through the JWS.
macro_rules! signed {
    ($name:ident, $typ:literal) => {
        impl $name {
            /// The JWS's `typ`.
            pub const TYP: &'static str = $typ;

            /// Signs it.
            pub fn sign(&self, key: &crate::jose::SecretKey) -> String {
                crate::jose::sign(key, Self::TYP, &self.to_value())
            }

            /// Verifies the signature by this key and reads it.
            pub fn verify(
                compact: &str,
                key: &crate::jose::PublicKey,
            ) -> Result<Self, crate::documents::DocumentError> {
                Self::from_value(&crate::jose::verify(compact, Self::TYP, key)?).map_err(Into::into)
            }

            /// Reads it and its `kid` without verifying: good for finding the key, and for nothing else.
            pub fn unverified(
                compact: &str,
            ) -> Result<(String, Self), crate::documents::DocumentError> {
                let unverified = crate::jose::peek(compact, Self::TYP)?;
                Ok((unverified.kid, Self::from_value(&unverified.payload)?))
            }
        }
    };
}
pub(crate) use signed;
