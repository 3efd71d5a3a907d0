//! What the system must have. On Debian and its kin it is installed by apt, as root or with passwordless sudo, after
//! saying what; else the one line to run is printed, and that is the end.

use anyhow::{Result, bail};

use crate::run;

/// What building the window takes.
const BUILD: &[&str] = &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev"];

/// What a desktop takes where there is none: a display, a session bus, a notification daemon, a Secret Service, a
/// browser, and eyes.
const HEADLESS: &[&str] = &[
    "xvfb",
    "openbox",
    "xdotool",
    "wmctrl",
    "imagemagick",
    "x11-utils",
    "dbus",
    "dbus-x11",
    "xfce4-notifyd",
    "gnome-keyring",
    "libsecret-tools",
    "at-spi2-core",
    "chromium",
    "tesseract-ocr",
    "bubblewrap",
    "fonts-noto-core",
    "fonts-dejavu-core",
    "fonts-droid-fallback",
];

/// What the tests take besides.
const TESTS: &[&str] = &["dunst", "python3", "python3-venv", "curl"];

/// What the benchmarks take besides: the peers.
const BENCHES: &[&str] = &["nginx-light", "wrk", "nats-server"];

/// What is about to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Build, and use the desktop that is there.
    Desktop,
    /// Build, and make a desktop.
    Headless,
    /// All tests.
    Tests,
    /// All benchmarks.
    Benches,
}

/// What a first build with all tests leaves under `target`, in GB: 6.1 were measured.
const ROOM_GB: u64 = 7;

/// Says so when the disk is likely to be too small, before a linker says it in its own words.
fn look_at_the_disk() {
    let root = run::root();
    let Ok(said) = run::output(".", &["df", "-Pk", &root.to_string_lossy()]) else {
        return;
    };
    let free_gb = said
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib / 1_000_000);
    if let Some(free_gb) = free_gb
        && free_gb < ROOM_GB
        && !run::target().join("debug/countersign").exists()
    {
        println!("Only {free_gb} GB are free here; a first build takes up to {ROOM_GB}.");
    }
}

/// Installs what is missing, or says how and stops.
pub(crate) fn prepare(purpose: Purpose) -> Result<()> {
    look_at_the_disk();
    let mut wanted: Vec<&str> = BUILD.to_vec();
    match purpose {
        Purpose::Desktop => wanted.push("curl"),
        Purpose::Headless => wanted.extend(HEADLESS.iter().chain(["curl"].iter())),
        Purpose::Tests => wanted.extend(HEADLESS.iter().chain(TESTS)),
        Purpose::Benches => wanted.extend(HEADLESS.iter().chain(TESTS).chain(BENCHES)),
    }
    if !run::succeeds(&["dpkg-query", "--version"]) {
        println!(
            "This is not a Debian system, so nothing is installed for you. Needed, by their Debian names: {}",
            wanted.join(" ")
        );
        return Ok(());
    }
    wanted.retain(|package| !is_installed(package));
    if wanted.is_empty() {
        return Ok(());
    }
    let list = wanted.join(" ");
    let prefix: &[&str] = if run::output(".", &["id", "-u"])?.trim() == "0" {
        &[]
    } else if run::succeeds(&["sudo", "-n", "true"]) {
        &["sudo", "-n"]
    } else {
        bail!(
            "the system lacks some packages. Please run this line, and then start again:\n\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}\n"
        );
    };
    println!("Installing what the system lacks: {list}");
    let environment = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    run::must(".", &[prefix, &environment, &["update", "-q"]].concat())?;
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    run::must(".", &[prefix, &environment, &install, &wanted].concat())
}

fn is_installed(package: &str) -> bool {
    run::command(
        ".",
        &["dpkg-query", "-W", "-f=${db:Status-Status}", package],
    )
    .output()
    .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}
