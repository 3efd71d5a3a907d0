//! Tokens of an OpenID provider, judged by our own rules: ID tokens as evidence of who somebody is, access
//! tokens (RFC 9068) as a caller's credential.
//!
//! Only the signature is a library's. Keys are found by `kid` in what the caller fetched itself; the
//! algorithm must be one that is configured for this provider. Specification: `docs/spec/binding.md`,
//! "Tokens of a provider".

mod access_token;
mod claims;
mod config;
mod consent;
mod id_token;
mod key_binding;
mod keys;
mod security_event;

pub use access_token::{AccessRules, AccessToken, CallerKind, verify_access_token};
pub use config::{
    AcrClaim, GroupsClaim, Initiator, KeyBinding, OpConfig, OpRole, OpStepUp, PersonRule, Refreshed,
};
pub(crate) use config::{lookup, person_of};
pub(crate) use consent::{AtHash, ConsentToken};
pub use id_token::{AsOf, IdToken, NonceRule, verify_id_token};
pub use key_binding::KeyRule;
pub(crate) use keys::peek_nonce;
pub use keys::{MAX_TOKEN_BYTES, OpKeys, peek_bound, peek_issuer, peek_kid};
pub use security_event::{
    EventRules, LogoutToken, MAX_LOGOUT_AGE_SECS, Says, SecurityEvent, Whose, verify_logout_token,
    verify_security_event,
};

/// Why a provider's token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpTokenError {
    /// Not a signed JWT.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// The algorithm is not configured for this provider, or is none, or symmetric.
    #[error("the token's algorithm `{0}` is not allowed for this provider")]
    Alg(String),
    /// A header that changes what is verified.
    #[error("the token's header has `{0}`, which is not allowed")]
    Header(&'static str),
    /// Another type of token.
    #[error("the token is of another type than expected here")]
    Typ,
    /// Its key is not among the provider's.
    #[error("the token is signed by a key that this provider does not publish (`kid` {0})")]
    UnknownKey(String),
    /// The signature does not verify.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// Not for us, or not for us alone.
    #[error("the token is for another audience")]
    Audience,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// From the future.
    #[error("the token's time lies in the future; check the clocks")]
    Future,
    /// The nonce is not the one that this sign-in was started with.
    #[error("the token's nonce is not this sign-in's")]
    Nonce,
    /// A claim is missing or has the wrong type.
    #[error("the token's claim `{0}` is missing or not as it must be")]
    Claim(&'static str),
    /// A claim that no token of this kind has.
    #[error("the token has `{0}`, which a token of this kind must not have")]
    Foreign(&'static str),
    /// It belongs to the approver client, and is a credential nowhere.
    #[error("a token of the approver client is no credential")]
    ApproverClient,
    /// The provider is trusted for others only.
    #[error("this provider's {0} are not let in here")]
    Role(&'static str),
    /// Its type and its `cnf` contradict each other, or `cnf` names no key that could be the device's.
    #[error("the token's `cnf` and its type do not belong together")]
    Confirmation,
    /// It is bound to another key than the device's.
    #[error("the token is bound to another key than this device's")]
    OtherKey,
    /// It is not bound, and this provider's must be.
    #[error("the token is not bound to the device's key, as this provider's must be")]
    NotBound,
    /// It is bound to a key, so it is no bearer token.
    #[error("the token is bound to a key; only bearer tokens are taken here")]
    Bound,
    /// The provider's key set is not one.
    #[error("the provider's keys cannot be read: {0}")]
    Keys(&'static str),
}

impl OpTokenError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Alg(_) => "token_alg",
            Self::Header(_) => "token_header",
            Self::Typ => "token_typ",
            Self::UnknownKey(_) => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::Future => "token_future",
            Self::Nonce => "token_nonce",
            Self::Claim(_) => "token_claim",
            Self::Foreign(_) => "token_foreign_claim",
            Self::ApproverClient => "token_approver_client",
            Self::Role(_) => "token_role",
            Self::Confirmation => "token_cnf",
            Self::OtherKey => "token_other_key",
            Self::NotBound => "token_not_bound",
            Self::Bound => "token_bound",
            Self::Keys(_) => "token_keys",
        }
    }
}
