//! Wire types, version 1: what crosses a process boundary as JSON and is not signed.
//!
//! - [`http`]: server ↔ gates, requesters and approvers' apps (AuthZEN, ARAP, tokens, votes, history)
//! - [`stream`]: frames of the approver's WebSocket (protocol, section 7)
//! - [`ipc`]: agent ↔ window, over the local socket; its TypeScript stands in `ui/src/generated`
//!
//! The only crate that derives wire serialisation. It is deliberately *not* the home of signed documents:
//! those belong to `countersign-evidence`, which writes them in canonical form and reads them with the
//! strict parser. It knows nothing of the other crates: conversions stand at their edges, and destructure
//! every field.

pub mod http;
pub mod ipc;
pub mod stream;
