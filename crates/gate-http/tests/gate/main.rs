//! The gate over real sockets: a provider, an approval server that the test controls, an upstream that remembers
//! what reached it, and callers who behave well or badly. A file for each idea, all on the one [`scene`].

#![allow(clippy::unwrap_used)]

mod allowed;
mod callers;
mod challenges;
mod federation;
mod held;
mod keys;
mod lanes;
mod refused;
mod reload;
mod retries;
mod scene;
#[path = "../../../pep/tests/support/mod.rs"]
mod support;
