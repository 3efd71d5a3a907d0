//! The world: real OpenID providers, the orders API, server, gate, agent and window, a desktop without a screen, and
//! the hands and eyes that use them. The end-to-end tests and the demo play in it.
//!
//! Nothing here stands in for a part of Countersign: the same programs and the same configuration as a person's, only
//! the hands differ.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod approver;
pub mod canaille;
pub mod clock;
pub mod control;
pub mod desktop;
pub mod eyes;
pub mod flow;
pub mod owned;
pub mod past;
pub mod paths;
pub mod person;
pub mod play;
pub mod ports;
pub mod provider;
pub mod seat;
pub mod setup;
pub mod stage;
pub mod wire;
pub mod world;
