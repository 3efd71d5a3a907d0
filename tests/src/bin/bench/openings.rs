//! Opening the app's window and closing it again, as a click on a notification and the close button do it, and seeing when it
//! is there: the window manager tells, nobody polls.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use countersign_tests::desktop::Desktop;

/// A window that does not come or go within this time is stuck.
const WITHIN: Duration = Duration::from_secs(30);
/// The app's title.
const TITLE: &str = "Countersign";

/// Opens and closes, and follows the window manager's list of windows.
pub(crate) struct Openings<'a> {
    desktop: &'a Desktop,
    socket: PathBuf,
    lists: Receiver<(Instant, usize)>,
    shown: usize,
    /// Tells each new list.
    spy: Child,
}

impl<'a> Openings<'a> {
    /// Begins to follow. No window of the app is open.
    pub(crate) fn follow(desktop: &'a Desktop) -> Result<Self> {
        let mut spy = desktop
            .command("xprop")
            .args(["-root", "-spy", "_NET_CLIENT_LIST"])
            .stdout(Stdio::piped())
            .spawn()
            .context("start xprop")?;
        let lines = BufReader::new(spy.stdout.take().context("hear xprop")?).lines();
        let (tell, lists) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let windows = line.matches("0x").count();
                if tell.send((Instant::now(), windows)).is_err() {
                    return;
                }
            }
        });
        let mut openings = Self {
            desktop,
            socket: desktop.runtime().join("countersign/open.sock"),
            lists,
            shown: 0,
            spy,
        };
        // The list as it is.
        openings.next()?;
        Ok(openings)
    }

    /// From the wish, over the socket that a second launch uses, to the window on screen.
    pub(crate) fn open(&mut self) -> Result<Duration> {
        let before = self.shown;
        let begun = Instant::now();
        ask(&self.socket)?;
        let at = self.until(|windows| windows > before)?;
        Ok(at.duration_since(begun))
    }

    /// Waits until a window that was called by somebody else is on screen.
    pub(crate) fn came(&mut self) -> Result<()> {
        while self.shown == 0 {
            self.next()?;
        }
        Ok(())
    }

    /// Closes it as its close button does, and waits until it is gone from the screen.
    pub(crate) fn close(&mut self) -> Result<()> {
        let before = self.shown;
        self.desktop.close_window(TITLE)?;
        self.until(|windows| windows < before).map(drop)
    }

    fn until(&mut self, is: impl Fn(usize) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let at = self.next()?;
            if is(self.shown) {
                return Ok(at);
            }
            if at > deadline {
                bail!("the window neither comes nor goes");
            }
        }
    }

    fn next(&mut self) -> Result<Instant> {
        match self.lists.recv_timeout(WITHIN) {
            Ok((at, windows)) => {
                self.shown = windows;
                Ok(at)
            }
            Err(RecvTimeoutError::Timeout) => bail!("the window neither comes nor goes"),
            Err(RecvTimeoutError::Disconnected) => bail!("xprop ended"),
        }
    }
}

impl Drop for Openings<'_> {
    fn drop(&mut self) {
        // Gone already is gone.
        let _ = self.spy.kill();
        let _ = self.spy.wait();
    }
}

/// Asks the agent as a second launch does, and waits for its word that the window has come.
fn ask(socket: &Path) -> Result<()> {
    let stream = UnixStream::connect(socket).context("reach the agent")?;
    stream.set_read_timeout(Some(WITHIN))?;
    writeln!(&stream, r#"{{"txn":null,"activation_token":null}}"#)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if !answer.contains(r#""problem":null"#) {
        bail!("the agent: {answer}");
    }
    Ok(())
}
