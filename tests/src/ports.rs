//! Ports for programs that are told theirs before they listen, or that come back to where they were. They lie below those
//! that the system hands out by itself (from 32768 on, on Linux), so that no connection takes one meanwhile; and no port
//! is given twice in one process, where many worlds start at the same time.

use std::iter::repeat_with;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

const RANGE: Range<u16> = 20_000..32_000;
/// Most of them are free.
const TRIES: usize = 1_000;

/// Ports where nobody listens now.
///
/// # Errors
/// When there are not so many.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let found: Vec<u16> = repeat_with(next)
        .take(TRIES)
        .filter(|port| is_free(*port))
        .take(N)
        .collect();
    found.try_into().ok().context("find free ports")
}

/// Whether nobody listens there now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// One after the other, from a beginning that other processes hardly share.
fn next() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random_range(RANGE)));
    let after = |port: u16| match port + 1 {
        after if RANGE.contains(&after) => Some(after),
        _ => Some(RANGE.start),
    };
    let relaxed = Ordering::Relaxed;
    next.fetch_update(relaxed, relaxed, after)
        .unwrap_or_else(|port| port)
}
