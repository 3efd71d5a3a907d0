//! The window's seat at the agent: whoever sits there asks as the window does, over the same socket, and sees the same
//! state. For tests of what the agent does on a desktop, where no picture of a window is needed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use countersign_api::ipc::{
    Answer, Call, Connection, Event, Frame, Question, Reply, SignIn, State, VERSION,
};

/// How long the agent may take for anything: people are at a browser meanwhile.
const SOON: Duration = Duration::from_secs(180);

/// A taken seat. The agent lets nobody else sit there meanwhile.
pub struct Seat {
    write: UnixStream,
    frames: mpsc::Receiver<Frame>,
    asked: u64,
    state: Option<Box<State>>,
}

impl Seat {
    /// Sits down at the agent of the session with this runtime folder.
    ///
    /// # Errors
    /// When no agent is there.
    pub fn take(runtime: &Path) -> Result<Self> {
        let socket = runtime.join("countersign/window.sock");
        let read = UnixStream::connect(&socket)
            .with_context(|| format!("reach the agent at {}", socket.display()))?;
        let write = read.try_clone().context("share the socket")?;
        let mut seat = Self {
            write,
            frames: frames(read),
            asked: 0,
            state: None,
        };
        let Reply::State { state } = seat.ask(Call::State)? else {
            bail!("the agent answers something else than its state")
        };
        seat.state = Some(state);
        Ok(seat)
    }

    /// Signs in with the browser, and waits until that is done and the stream stands.
    ///
    /// # Errors
    /// When it fails, with what the person would read; or does not end.
    pub fn sign_in(&mut self, server: &str, issuer: &str) -> Result<()> {
        self.ask(Call::SignIn {
            server: server.to_owned(),
            issuer: issuer.to_owned(),
        })?;
        self.until("the end of the sign-in", |state| match &state.sign_in {
            SignIn::Failed { problem } => Some(Err(anyhow!("{}", problem.sentence))),
            SignIn::Idle
            | SignIn::WaitingForBrowser { .. }
            | SignIn::WaitingForKey { .. }
            | SignIn::Binding => (state.account.is_some()
                && state.connection == Connection::Connected)
                .then_some(Ok(())),
        })?
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the agent refuses, with what the person would read; or does not answer.
    pub fn ask(&mut self, call: Call) -> Result<Reply> {
        let id = self.begin(call)?;
        let until = Instant::now() + SOON;
        loop {
            match self.hear(until)? {
                Some((answered, Answer::Done { reply })) if answered == id => return Ok(reply),
                Some((answered, Answer::Refused { problem })) if answered == id => {
                    bail!("{:?}: {}", problem.code, problem.sentence)
                }
                Some(_) | None => {}
            }
        }
    }

    /// Asks, and does not wait for the answer; gives the question's number.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn begin(&mut self, call: Call) -> Result<u64> {
        self.asked += 1;
        let (v, id) = (VERSION, self.asked);
        let mut line =
            serde_json::to_vec(&Question { v, id, call }).context("write a question down")?;
        line.push(b'\n');
        self.write.write_all(&line).context("ask the agent")?;
        Ok(id)
    }

    /// Waits until the state is as wanted.
    ///
    /// # Errors
    /// When it never is.
    pub fn until<T>(&mut self, what: &str, wanted: impl Fn(&State) -> Option<T>) -> Result<T> {
        let until = Instant::now() + SOON;
        loop {
            if let Some(found) = self.state.as_deref().and_then(&wanted) {
                return Ok(found);
            }
            self.hear(until).with_context(|| {
                format!("the agent never shows {what}; it shows: {:#?}", self.state)
            })?;
        }
    }

    /// The next frame, if it is an answer; a state is kept.
    fn hear(&mut self, until: Instant) -> Result<Option<(u64, Answer)>> {
        let left = until.saturating_duration_since(Instant::now());
        match self.frames.recv_timeout(left).context("hear the agent")? {
            Frame::Answer { id, answer } => return Ok(Some((id, answer))),
            Frame::Event { event } => match event {
                Event::State { state } => self.state = Some(state),
                Event::Open { .. }
                | Event::Connect { .. }
                | Event::Raise
                | Event::CardChanged { .. }
                | Event::HistoryChanged
                | Event::Goodbye => {}
            },
        }
        Ok(None)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Whoever still listens for what the agent says holds the same socket. Gone already is gone.
        let _ = self.write.shutdown(Shutdown::Both);
    }
}

/// What the agent says, until it ends or says something else.
fn frames(read: UnixStream) -> mpsc::Receiver<Frame> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(read).lines().map_while(Result::ok) {
            let Ok(frame) = serde_json::from_str(&line) else {
                return;
            };
            if sender.send(frame).is_err() {
                return;
            }
        }
    });
    receiver
}
