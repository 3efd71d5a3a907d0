//! The policy as its users meet it: what it answers, what it refuses to load, and what it tells people.
#![allow(clippy::unwrap_used)]

mod allowed;
mod answers;
mod check;
mod explain;
mod load;
mod properties;
mod terms;
mod world;
