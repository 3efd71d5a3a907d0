//! Providers that do what a test says, which a real one will not do on request: each way ends as it must, in its own
//! error where it has to. (Real providers are driven in the workspace's `tests/`.)

#![allow(clippy::unwrap_used)]

mod callers;
mod key_binding;
mod provider;
mod sign_in;
mod step_up;
