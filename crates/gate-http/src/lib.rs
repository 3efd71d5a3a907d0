//! A reverse proxy that holds the calls which need an approval.
//!
//! A call is let in by its bearer token ([`caller`]), recognized by the route table ([`routes`]), and put to the
//! gate's own policy, which may want a better token first ([`challenge`]). What that allows streams through, watched
//! for [`overrides`]. What it wants approved becomes an operation ([`call`]), is asked for and waited for by
//! `countersign-pep`, and is forwarded once, byte for byte, when a permit is there. Specification:
//! `docs/spec/operation.md`; for those who run it and call through it: `docs/HTTP-GATE.md`.
//!
//! It reserves no path on the origin that it stands before, ends no TLS (put it behind what does, or on
//! loopback), and speaks HTTP/1.1.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod body;
pub mod call;
pub mod caller;
pub mod challenge;
mod config;
pub mod credential;
mod forward;
mod gate;
pub mod headers;
mod lane;
mod outgoing;
pub mod overrides;
pub mod problem;
pub mod routes;
mod running;
pub mod target;
mod wire;

pub use config::{ConfigError, DEFAULT_CLAIMS, GateConfig};
pub use running::{Gate, Running, StartError};
