//! The app with no window open: the agent, signed in, holding its stream, its tray item, its notification client. Memory
//! as the kernel counts it (PSS, private dirty), and how often it wakes. Beside it: a hello-world Tauri app, whole tree.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use countersign_tests::desktop::{Daemon, Desktop};
use countersign_tests::owned::Processes;
use countersign_tests::paths;
use countersign_tests::person::Person;
use countersign_tests::world::World;

use crate::measure::{Report, Series};
use crate::openings::Openings;
use crate::process::{memory, tree, wake_ups};
use crate::resident;

/// How long it is watched, in minutes, unless `BENCH_MINUTES` says otherwise: three pings a minute make two enough to see a
/// rate.
const MINUTES: u64 = 10;
/// Openings of the window, after which nothing may have grown, and how long they may take together.
const OPENINGS: usize = 1000;
const OPENINGS_WITHIN: Duration = Duration::from_secs(300);
/// Between two looks at what the agent holds.
const STEP: usize = 100;

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let folder = world.folder().join("tray");
    fs::create_dir_all(&folder)?;
    let mut processes = Processes::new(&folder)?;
    let elin = Person::named("elin");
    let desktop = Desktop::start(&mut processes, &folder, &elin, Daemon::Dunst)?;

    let agent = resident::signed_in(&mut processes, &desktop, &world)?;
    let mut hello = desktop.command(paths::program("countersign-peer-hello")?);
    let hello = processes.spawn("hello", &mut hello)?;
    tokio::time::sleep(Duration::from_secs(10)).await;

    let (woken, begun) = (wake_ups(agent)?, Instant::now());
    tokio::time::sleep(watched()?).await;
    let a_second = (wake_ups(agent)? - woken) / begun.elapsed().as_secs_f64();

    let mut report = Report::new(
        "tray",
        "at most 8 MB PSS, 1.5 MB private dirty; at most 0.05 wake-ups a second beyond the pings",
    );
    for (name, pids) in [
        ("the agent, in the tray", vec![agent]),
        ("hello-world Tauri, window open, whole tree", tree(hello)?),
    ] {
        for (field, kind) in [("Pss:", "PSS"), ("Private_Dirty:", "private dirty")] {
            let mut series = Series::new(format!("{name}: {kind}"), "MB");
            series.push(memory(&pids, field)?);
            report.add(series);
        }
    }
    let mut rate = Series::new(
        "the agent: wake-ups a second, pings included (0.05/s)",
        "/s",
    );
    rate.push(a_second);
    report.add(rate);
    openings(&desktop, agent, &mut report)?;
    report.missing("a day");
    report.finish()
}

fn watched() -> Result<Duration> {
    let minutes = match std::env::var("BENCH_MINUTES") {
        Ok(text) => text.parse().context("read BENCH_MINUTES")?,
        Err(_) => MINUTES,
    };
    Ok(Duration::from_secs(60 * minutes))
}

/// Opens and closes the window again and again, and looks at what the agent holds meanwhile.
fn openings(desktop: &Desktop, agent: u32, report: &mut Report) -> Result<()> {
    let mut held = Series::new("the agent after each 100 openings: PSS", "MB");
    let mut files = Series::new("the agent after each 100 openings: open files", "");
    let mut whole = Series::new(
        "the whole tree, window hidden, after each 100 openings: PSS",
        "MB",
    );
    let mut openings = Openings::follow(desktop)?;
    let begun = Instant::now();
    let mut opened = 0;
    while opened < OPENINGS && begun.elapsed() < OPENINGS_WITHIN {
        openings.open()?;
        openings.close()?;
        opened += 1;
        // The first one starts the window; what grows from there on is a leak.
        if opened == 1 || opened % STEP == 0 {
            held.push(memory(&[agent], "Pss:")?);
            files.push(open_files(agent)?);
            whole.push(memory(&tree(agent)?, "Pss:")?);
        }
    }
    if opened < OPENINGS {
        report.missing(format!(
            "{opened} openings of {OPENINGS}: the time was over"
        ));
    }
    for series in [held, files, whole] {
        report.add(series);
    }
    Ok(())
}

fn open_files(pid: u32) -> Result<f64> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).context("read a process's files")?;
    Ok(f64::from(
        u32::try_from(folder.count()).context("count files")?,
    ))
}
