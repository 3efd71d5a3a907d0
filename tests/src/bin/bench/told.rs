//! Being told: request made → notification on the bus → what is painted; and a click on the notification → the card painted,
//! in an open window and in one that was closed a moment ago. Built agent and window, as people run them; dunst shows the
//! notifications and tells of the click; what is painted is read off the display itself.
//!
//! An arrival never opens a card by itself (nothing may come under the pointer): what it paints in an open window is its row.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_model::Txn;
use countersign_tests::desktop::{Daemon, Desktop};
use countersign_tests::owned::Processes;
use countersign_tests::person::Person;
use countersign_tests::world::World;

use crate::asking::Asking;
use crate::measure::{Floor, Report, Series};
use crate::openings::Openings;
use crate::overheard::Overheard;
use crate::picture::{Area, Picture};
use crate::resident;

const ROUNDS: usize = 10;
const A_ROUND: usize = 10;
/// What is painted takes a second to settle.
const PAINTED_A_ROUND: usize = 5;
const TITLE: &str = "^Countersign$";
/// Between two requests where nothing is waited for on the screen.
const BETWEEN: Duration = Duration::from_millis(400);
/// A place where the pointer hovers over nothing.
const ASIDE: (u32, u32) = (2, 2);
/// What a read of a request's row may take until the daemon no longer shows anything.
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let folder = world.folder().join("told");
    // In memory, so that the display's picture costs no disk.
    let drawing = tempfile::tempdir_in("/dev/shm").context("make a folder in memory")?;
    fs::create_dir_all(&folder)?;
    let mut processes = Processes::new(&folder)?;
    let elin = Person::named("elin");
    let desktop = Desktop::start_drawing(
        &mut processes,
        &folder,
        &elin,
        Daemon::Dunst,
        Some(drawing.path()),
    )?;
    desktop.point(ASIDE)?;
    let mut scene = Scene {
        heard: Overheard::on(desktop.bus()).await?,
        picture: Picture::open(drawing.path())?,
        gate: Asking::new(&world)?,
        floor: Floor::open()?,
        synced: Series::new("append 4 KiB and fdatasync", "ms"),
        asked: 0,
        desktop: &desktop,
    };
    resident::signed_in(&mut processes, &desktop, &world)?;
    let mut report = Report::new(
        "told",
        "p50: notification 3 ms; painted in an open window 25 ms; card after a click in a warm one 50 ms",
    );
    scene.without_window(&mut report).await?;
    let mut openings = Openings::follow(&desktop)?;
    openings.open()?;
    scene.in_an_open_window(&mut report).await?;
    scene.in_a_warm_window(&mut report, &mut openings).await?;
    report.add(scene.synced);
    report.missing("a card that an arrival opens by itself: none does, by rule");
    report.finish()
}

struct Scene<'a> {
    desktop: &'a Desktop,
    heard: Overheard,
    picture: Picture,
    gate: Asking,
    floor: Floor,
    synced: Series,
    asked: u32,
}

impl Scene<'_> {
    async fn without_window(&mut self, report: &mut Report) -> Result<()> {
        let mut told = Series::new("request made -> notification on the bus, no window", "ms");
        for round in 0..=ROUNDS {
            // The first round warms up; so below.
            let counted = round > 0;
            if counted {
                told.round();
                self.synced.round();
            }
            for _ in 0..A_ROUND {
                let sync = self.floor.write()?;
                let (txn, begun, at) = self.ask().await?;
                if counted {
                    self.synced.push_time(sync);
                    told.push_time(at - begun);
                }
                self.gate.withdraw(&txn).await?;
                // One at a time: else what is measured is how fast dunst draws its goodbye to the last one.
                tokio::time::sleep(BETWEEN).await;
            }
        }
        report.difference("notification above the floor, p50", &told, &self.synced);
        report.add(told);
        // What was shown says goodbye for some seconds.
        self.desktop.dunst_displays(0)
    }

    async fn in_an_open_window(&mut self, report: &mut Report) -> Result<()> {
        let window = self.window()?;
        let mut told = Series::new("request made -> notification on the bus, window open", "ms");
        let mut row = Series::new("request made -> its row painted, window open", "ms");
        let mut card = Series::new("clicked -> card painted, window open", "ms");
        for round in 0..=ROUNDS {
            let counted = round > 0;
            if counted {
                for series in [&mut told, &mut row, &mut card] {
                    series.round();
                }
            }
            for _ in 0..PAINTED_A_ROUND {
                for place in [window.rows, window.card] {
                    self.picture.still(place)?;
                }
                let rows = self.picture.watch(window.rows)?;
                let (txn, begun, at) = self.ask().await?;
                let drawn = rows.painted().await?;
                let opened = self.click(window.card).await?;
                if counted {
                    told.push_time(at - begun);
                    row.push_time(drawn - begun);
                    card.push_time(opened);
                }
                self.gate.withdraw(&txn).await?;
            }
        }
        for series in [told, row, card] {
            report.add(series);
        }
        Ok(())
    }

    async fn in_a_warm_window(
        &mut self,
        report: &mut Report,
        openings: &mut Openings<'_>,
    ) -> Result<()> {
        let window = self.window()?;
        let mut card = Series::new("clicked -> card painted, window hidden a moment ago", "ms");
        for round in 0..=ROUNDS {
            let counted = round > 0;
            if counted {
                card.round();
            }
            for _ in 0..PAINTED_A_ROUND {
                openings.close()?;
                self.picture.still(window.card)?;
                let (txn, ..) = self.ask().await?;
                let opened = self.click(window.card).await?;
                openings.came()?;
                if counted {
                    card.push_time(opened);
                }
                self.gate.withdraw(&txn).await?;
            }
        }
        ensure!(self.window()? == window, "the window came back elsewhere");
        report.add(card);
        Ok(())
    }

    /// Asks, and gives the request, when the asking began and when its notification passed.
    async fn ask(&mut self) -> Result<(Txn, Instant, Instant)> {
        self.asked += 1;
        let customer = format!("c{:04}", self.asked);
        let begun = Instant::now();
        let txn = self.gate.ask(&customer).await?;
        let at = self.heard.told_of(&customer).await?;
        Ok((txn, begun, at))
    }

    /// Has dunst act on the only notification; from its word of that to the card on screen.
    async fn click(&mut self, card: Area) -> Result<Duration> {
        self.desktop.dunst_displays(1)?;
        let watch = self.picture.watch(card)?;
        self.desktop.quiet(&["dunstctl", "action", "0"])?;
        let acted = self.heard.acted().await?;
        Ok(watch.painted().await? - acted)
    }

    /// Where the window is.
    fn window(&self) -> Result<Window> {
        let begun = Instant::now();
        let search = ["xdotool", "search", "--onlyvisible", "--name", TITLE];
        let told = loop {
            let geometry = [&search[..], &["getwindowgeometry", "--shell"]].concat();
            match self.desktop.quiet(&geometry) {
                Ok(told) => break told,
                Err(error) if begun.elapsed() > SOON => return Err(error),
                Err(_) => {}
            }
        };
        Window::read(&told)
    }
}

/// What is looked at of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// The faces of the rows: what counts down stands beside them.
    rows: Area,
    /// The card's heading and the operation's beginning, without the time that is left.
    card: Area,
}

impl Window {
    fn read(geometry: &str) -> Result<Self> {
        let number = |name: &str| -> Result<u32> {
            let line = geometry.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.strip_prefix('='));
            number
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("read {name} in {geometry}"))
        };
        let (left, top, width) = (number("X")?, number("Y")?, number("WIDTH")?);
        if width < 1000 {
            bail!("the window is only {width} pixels wide");
        }
        Ok(Self {
            rows: Area {
                left: left + 12,
                top: top + 60,
                width: 36,
                height: 500,
            },
            card: Area {
                left: left + 330,
                top: top + 40,
                width: 360,
                height: 330,
            },
        })
    }
}
