//! One program of tests over real files.
#![allow(clippy::unwrap_used)]

mod crashes;
mod entries;
mod files;
mod list;
mod memory;
mod search;
