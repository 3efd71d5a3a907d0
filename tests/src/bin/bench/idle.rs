//! Approvers who are signed in and connected, and whom nobody asks anything: what a server carries besides. Each has a
//! device, a session and a socket of its own, by a real sign-in; a server lets one person have sixteen of them.

use std::fs;

use anyhow::{Context, Result};
use countersign_client::stream::{Event, Stream};
use countersign_tests::world::World;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc::Receiver;

use crate::frame::connected;
use crate::signed_in::Door;

/// So many, unless `BENCH_SOCKETS` says otherwise.
const SOCKETS: usize = 5_000;
/// Devices of one person.
const A_PERSON: usize = 16;
/// Sign-ins at the same time: the provider is one thread.
const AT_ONCE: usize = 8;
/// Open files besides the two ends of each socket.
const OTHER_FILES: usize = 1_000;

/// A connected approver; dropped, they are gone.
pub(crate) type Connected = (Stream, Receiver<Event>);

/// How many there are to be, or why there can be none.
pub(crate) fn wanted() -> Result<Result<usize, String>> {
    let wanted = match std::env::var("BENCH_SOCKETS") {
        Ok(text) => text.parse().context("read BENCH_SOCKETS")?,
        Err(_) => SOCKETS,
    };
    let limits = fs::read_to_string("/proc/self/limits").context("read this process's limits")?;
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("find how many files may be open")?;
    // "unlimited" is no number, and no bound.
    let room = files
        .parse::<usize>()
        .map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES) / 2);
    Ok(if wanted <= room {
        Ok(wanted)
    } else {
        Err(format!(
            "{wanted} idle sockets: only {files} files may be open here (`ulimit -n`)"
        ))
    })
}

/// Signs so many in and connects them.
pub(crate) async fn connect(world: &World, door: &Door, count: usize) -> Result<Vec<Connected>> {
    println!("connecting {count} idle approvers …");
    for person in 0..count.div_ceil(A_PERSON) {
        world.op.set_groups(&name(person), &[]).await?;
    }
    futures_util::stream::iter(0..count)
        .map(|device| async move {
            let session = door.session(&name(device / A_PERSON)).await?;
            let (stream, mut events) = Stream::start(session, None, rand::random::<f64>);
            connected(&stream, &mut events).await?;
            anyhow::Ok((stream, events))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .context("connect idle approvers")
}

fn name(person: usize) -> String {
    format!("idle-{person}")
}
