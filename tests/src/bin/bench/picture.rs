//! When something was painted: the display keeps its picture in a file, and an area of it is looked at until it stays as it
//! is. So what counts is what a person sees, whoever drew it and however: no program says of itself that it has painted.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Between two looks: so short that it shows a frame, so long that looking takes no processor from who draws.
const EVERY: Duration = Duration::from_millis(1);
/// What has not changed for so long is painted.
const SETTLED: Duration = Duration::from_millis(400);
/// What does not settle within this time never does.
const WITHIN: Duration = Duration::from_secs(20);
/// Of so many lines one is looked at: letters are higher.
const LINES: u64 = 3;
const BYTES_A_PIXEL: u64 = 4;

/// A part of the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The display's picture.
pub(crate) struct Picture {
    file: File,
    first_pixel: u64,
    bytes_a_line: u64,
}

/// An area that is looked at until it has changed and settled.
pub(crate) struct Watch(std::thread::JoinHandle<Result<Instant>>);

impl Picture {
    /// Opens what `Xvfb -fbdir` keeps there, in the format of xwd: a header of big-endian words, colors, pixels.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let file = File::open(folder.join("Xvfb_screen0")).context("open the display's picture")?;
        let word = |at: u64| -> Result<u64> {
            let mut bytes = [0; 4];
            file.read_exact_at(&mut bytes, at * 4)?;
            Ok(u64::from(u32::from_be_bytes(bytes)))
        };
        let (header, bits_a_pixel, bytes_a_line, colors) =
            (word(0)?, word(11)?, word(12)?, word(19)?);
        ensure!(
            bits_a_pixel == BYTES_A_PIXEL * 8,
            "{bits_a_pixel} bits a pixel"
        );
        Ok(Self {
            first_pixel: header + colors * 12,
            bytes_a_line,
            file,
        })
    }

    fn look(&self, area: Area, into: &mut Vec<u8>) -> Result<()> {
        let width = usize::try_from(u64::from(area.width) * BYTES_A_PIXEL)?;
        into.clear();
        for line in (0..u64::from(area.height)).step_by(usize::try_from(LINES)?) {
            let begin = into.len();
            into.resize(begin + width, 0);
            let at = self.first_pixel
                + (u64::from(area.top) + line) * self.bytes_a_line
                + u64::from(area.left) * BYTES_A_PIXEL;
            self.file.read_exact_at(&mut into[begin..], at)?;
        }
        Ok(())
    }

    /// Waits until nothing changes there any more.
    pub(crate) fn still(&self, area: Area) -> Result<()> {
        self.settles(area, Change::NotNeeded).map(drop)
    }

    /// Begins to watch what is still now.
    pub(crate) fn watch(&self, area: Area) -> Result<Watch> {
        let mut before = Vec::new();
        self.look(area, &mut before)?;
        let picture = Self {
            file: self.file.try_clone()?,
            ..*self
        };
        Ok(Watch(std::thread::spawn(move || {
            picture.settles_from(area, before, Change::Needed)
        })))
    }

    fn settles(&self, area: Area, change: Change) -> Result<Instant> {
        let mut before = Vec::new();
        self.look(area, &mut before)?;
        self.settles_from(area, before, change)
    }

    /// The last change before it settled.
    fn settles_from(&self, area: Area, mut before: Vec<u8>, change: Change) -> Result<Instant> {
        let begun = Instant::now();
        let mut now = Vec::new();
        let mut changed = match change {
            Change::Needed => None,
            Change::NotNeeded => Some(begun),
        };
        loop {
            self.look(area, &mut now)?;
            let at = Instant::now();
            if now != before {
                changed = Some(at);
                std::mem::swap(&mut now, &mut before);
            } else if let Some(changed) = changed
                && at - changed > SETTLED
            {
                return Ok(changed);
            }
            if at - begun > WITHIN {
                bail!(
                    "the screen {} there",
                    if changed.is_some() {
                        "does not settle"
                    } else {
                        "does not change"
                    }
                );
            }
            std::thread::sleep(EVERY);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Needed,
    NotNeeded,
}

impl Watch {
    /// When what is there now was painted.
    pub(crate) async fn painted(self) -> Result<Instant> {
        tokio::task::spawn_blocking(move || match self.0.join() {
            Ok(painted) => painted,
            Err(_) => bail!("the watch over the screen broke off"),
        })
        .await?
    }
}
