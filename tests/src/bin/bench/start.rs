//! Cold start: from starting the program to a window on screen that has drawn its content. Both programs keep their window
//! hidden until the page says that it is there, so that "on screen" means the same. The app is started as a person does it, with
//! no agent running: agent and window both start. Warm: the agent runs, and the window was closed a moment ago. `chromium --app` shows its window when it has one, drawn or not.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use countersign_tests::desktop::{Daemon, Desktop};
use countersign_tests::owned::Processes;
use countersign_tests::paths;
use countersign_tests::person::Person;

use crate::measure::{Report, Series};
use crate::openings::Openings;
use crate::process::{end, tree};

const ROUNDS: usize = 10;
/// Warm openings in a run.
const WARM: usize = 100;
const WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut processes = Processes::new(folder.path())?;
    let desktop = Desktop::start(
        &mut processes,
        folder.path(),
        &Person::named("elin"),
        Daemon::Dunst,
    )?;
    let mut app = Series::new("the app: agent and window, nothing running before", "ms");
    let mut peer = Series::new("hello-world Tauri", "ms");
    let mut browser = Series::new("chromium --app, a hello-world page", "ms");
    for round in 0..=ROUNDS {
        let mut hello = desktop.command(paths::program("countersign-peer-hello")?);
        let hello_took = shown(
            &mut processes,
            &desktop,
            "hello",
            &mut hello,
            "^Hello peer$",
        )?;
        let mut open = desktop.command(paths::program("countersign-agent")?);
        open.arg("open");
        let app_took = shown(
            &mut processes,
            &desktop,
            "agent",
            &mut open,
            "^Countersign$",
        )?;
        let mut chromium = desktop.command("chromium");
        chromium
            .args(["--no-first-run", "--no-sandbox", "--disable-gpu"])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("chromium").display()
            ))
            .arg("--app=data:text/html,<title>Hello browser</title><h1>Hello</h1>");
        let browser_took = shown(
            &mut processes,
            &desktop,
            "chromium",
            &mut chromium,
            "^Hello browser$",
        )?;
        if round > 0 {
            browser.round();
            browser.push_time(browser_took);
            peer.round();
            peer.push_time(hello_took);
            app.round();
            app.push_time(app_took);
        }
    }
    let mut report = Report::new(
        "start",
        "cold: at most 1.1 x hello-world; warm: at most 50 ms",
    );
    report.add(warm(&mut processes, &desktop)?);
    report.missing("the card's own painting in a warm window: see `frame` for what a card takes");
    report.ratio("cold start, app / hello-world", &app, &peer);
    report.ratio("cold start, app / chromium --app", &app, &browser);
    report.add(peer);
    report.add(browser);
    report.add(app);
    report.finish()
}

/// The window that is still there, hidden: from the wish to the screen.
fn warm(processes: &mut Processes, desktop: &Desktop) -> Result<Series> {
    let mut agent = desktop.command(paths::program("countersign-agent")?);
    let agent = processes.spawn("warm-agent", agent.arg("run"))?;
    let socket = desktop.runtime().join("countersign/open.sock");
    let begun = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        if begun.elapsed() > WITHIN {
            bail!(
                "the agent does not listen; see {}",
                processes.log("warm-agent").display()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut openings = Openings::follow(desktop)?;
    // Cold, and not counted.
    openings.open()?;
    openings.close()?;
    let mut series = Series::new("the app: its window, hidden a moment ago", "ms");
    for _ in 0..WARM {
        series.push_time(openings.open()?);
        openings.close()?;
    }
    let below = tree(agent)?;
    processes.kill("warm-agent")?;
    end(&below[1..])?;
    Ok(series)
}

/// Starts it, waits for its window, ends it and waits until the window is gone.
fn shown(
    processes: &mut Processes,
    desktop: &Desktop,
    name: &str,
    command: &mut Command,
    title: &str,
) -> Result<Duration> {
    let begun = Instant::now();
    let pid = processes.spawn(name, command)?;
    while !visible(desktop, title) {
        if begun.elapsed() > WITHIN {
            bail!(
                "no window of {name} appears; see {}",
                processes.log(name).display()
            );
        }
    }
    let took = begun.elapsed();
    let below = tree(pid)?;
    processes.kill(name)?;
    end(&below[1..])?;
    while visible(desktop, title) {
        if begun.elapsed() > WITHIN {
            bail!("the window of {name} does not go");
        }
    }
    Ok(took)
}

fn visible(desktop: &Desktop, title: &str) -> bool {
    let search = ["xdotool", "search", "--onlyvisible", "--name", title];
    desktop
        .quiet(&search)
        .is_ok_and(|found| !found.trim().is_empty())
}
