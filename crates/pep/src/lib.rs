//! The enforcement point: ask, wait, verify, redeem, hold a Permit.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod journal;
pub mod store;
