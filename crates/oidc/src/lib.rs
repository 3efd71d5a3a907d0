//! OpenID Connect, as Countersign needs it: an approver's sign-in, a requester's token, and verifying both.
//!
//! - [`Provider`]: discovery and keys of one provider, fetched when needed, bounded in time and size
//! - [`sign_in`], [`refresh_claims`]: an approver by the system browser (protocol, section 3)
//! - [`token_by_browser`], [`token_by_device`]: a requester (`countersign token`)
//! - [`ResourceServer`]: a caller's access token (RFC 9068)
//!
//! It deliberately does not judge tokens: every rule about them is in `countersign_evidence::op_token`,
//! pure. It knows nothing of the approval server, and opens no browser by itself ([`Opener`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod code;
mod discovery;
mod dpop;
mod error;
mod http;
mod kept;
mod keys;
mod loopback;
mod page;
mod provider;
mod requester;
mod resource_server;
pub mod settings;
mod sign_in;
mod step_up;
mod tokens;

pub use code::{
    BOUND_KEY, CodeRequest, Opener, Progress, Push, REDIRECT_LIMIT, TokenKey, code_flow,
};
pub use discovery::Metadata;
pub use error::OidcError;
pub use http::{CLOCK_SKEW_SECS, EXCHANGE_LIMIT, MAX_DOCUMENT_BYTES};
pub use keys::{KeySet, MAX_KEYS, REFRESH_SECS, RETRY_SECS, STALE_SECS, UNKNOWN_KID_SECS};
pub use loopback::MAX_HEAD_BYTES;
pub use provider::{KEEP_KEYS_SECS, Provider};
pub use requester::{DevicePrompt, TokenWish, token_by_browser, token_by_device};
pub use resource_server::{AccessError, ResourceServer};
pub use sign_in::{
    BoundSignIn, FRESH_SECS, Refreshed, SignInRequest, SignedIn, refresh_claims, sign_in,
};
pub use step_up::{Confirmed, Consent, StepUpError, StepUpRequest, step_up};
pub use tokens::{Tokens, refresh};
