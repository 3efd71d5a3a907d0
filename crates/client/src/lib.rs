//! Talking to the approval server: typed calls, and the approver's stream.
//!
//! - [`ServerHttp`]: the transport, bounded; the server's self-description and keys
//! - [`ApproverApi`]: an approver's calls, each with a DPoP proof
//! - [`PepApi`]: an enforcement point's calls
//! - [`stream`]: the WebSocket, which comes back by itself
//! - [`Route`]: through which proxy, if any
//!
//! It deliberately verifies nothing that is signed: requests, votes and evidence pass through as bytes for
//! `countersign_evidence`. It keeps no keys and no state beyond the access token in use.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod approver_api;
mod backoff;
mod error;
mod http;
mod pep_api;
mod route;
pub mod stream;

pub use approver_api::ApproverApi;
pub use backoff::{Backoff, FIRST, LONGEST};
pub use error::ApiError;
pub use http::{CALL_LIMIT, CLOCK_SKEW_SECS, MAX_ANSWER_BYTES, RoundTrip, ServerHttp};
pub use pep_api::{MAX_WAIT_SECS, PepApi};
pub use route::{Route, Way};
