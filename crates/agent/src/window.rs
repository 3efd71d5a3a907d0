//! The window's process: started on demand beside the agent, one at a time, told what to show, noticed when it ends.
//!
//! Where it is shut in and ends by itself before it has connected, it is started once more without that: better an open
//! window, which says so, than none. Nothing from outside has reached it by then, so nobody outside can bring this about.

use std::future::pending;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_api::ipc::Event;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::sandbox::{Sandbox, Standing};

/// From start to the first frame it takes half a second; past this whoever waits for it is told.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// A window that has not connected after so long is stuck: it is killed, so that another one can be started.
const STUCK: Duration = Duration::from_secs(60);
/// How long a window may take to end after the agent's goodbye.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(3);
const TOO_SLOW: &str = "The window takes too long to start. Try again.";
/// The window's exit code for "there is no display" (`src-tauri/src/start.rs`).
const EXIT_NO_DISPLAY: i32 = 3;

/// What is known of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// Its process lives.
    pub running: bool,
    /// It is on screen.
    pub visible: bool,
    /// The request whose card is on screen.
    pub showing: Option<String>,
    /// Why the last one did not come, or went, in a sentence.
    pub trouble: Option<String>,
    /// Whether it is shut in. Where none runs: whether the last one was, or the next one will be.
    pub sandbox: Standing,
}

/// Why the window comes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// A person asked for it, at this request where one is named.
    Open {
        txn: Option<String>,
        activation_token: Option<String>,
    },
    /// A person opened a link that names a server.
    Connect {
        server: String,
        activation_token: Option<String>,
    },
    /// Nobody asked: something came that cannot be told otherwise.
    Raise,
}

type Told = oneshot::Sender<Result<(), String>>;

#[derive(Default)]
struct Inner {
    /// The connected window's events.
    client: Option<mpsc::Sender<Event>>,
    /// A process was started and has not ended.
    running: bool,
    /// That process has connected at least once.
    has_connected: bool,
    /// What the window that is starting is for, and who waits to hear that it came.
    due: Option<(Wish, Vec<Told>)>,
    /// Set on quitting: nothing is started any more.
    ending: bool,
    end: Option<oneshot::Sender<()>>,
}

/// Starts the window and knows how it is.
#[derive(Clone)]
pub struct Window {
    program: PathBuf,
    socket: PathBuf,
    sandbox: Sandbox,
    inner: Arc<Mutex<Inner>>,
    presence: watch::Sender<Presence>,
}

impl Window {
    /// `program` is started with `socket` in its environment, shut in as `sandbox` can.
    #[must_use]
    pub fn new(program: PathBuf, socket: PathBuf, sandbox: Sandbox) -> Self {
        let presence = Presence {
            sandbox: sandbox.standing(),
            ..Presence::default()
        };
        Self {
            program,
            socket,
            sandbox,
            inner: Arc::default(),
            presence: watch::Sender::new(presence),
        }
    }

    /// The window's program beside this one.
    ///
    /// # Errors
    /// When this program's own path is not known.
    pub fn beside_agent() -> std::io::Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name("countersign-window"))
    }

    /// What is known, and each change of it.
    #[must_use]
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// Brings the window forward, at `txn` where named; starts it where there is none. Yields once it has come.
    ///
    /// # Errors
    /// With a sentence that says why it did not come.
    pub async fn open(
        &self,
        txn: Option<String>,
        activation_token: Option<String>,
    ) -> Result<(), String> {
        self.wish(Wish::Open {
            txn,
            activation_token,
        })
        .await
    }

    /// Brings the window forward, at the page for a new account with this address filled in.
    ///
    /// # Errors
    /// With a sentence that says why it did not come.
    pub async fn connect(
        &self,
        server: String,
        activation_token: Option<String>,
    ) -> Result<(), String> {
        self.wish(Wish::Connect {
            server,
            activation_token,
        })
        .await
    }

    /// Puts the window on screen without taking the focus or changing what it shows.
    ///
    /// # Errors
    /// With a sentence that says why it did not come.
    pub async fn raise(&self) -> Result<(), String> {
        self.wish(Wish::Raise).await
    }

    async fn wish(&self, wish: Wish) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        let start = {
            let mut inner = self.lock();
            if inner.ending {
                return Err("Countersign is ending.".to_owned());
            }
            if let Some(client) = &inner.client
                && wish.send(client)
            {
                return Ok(());
            }
            // The newest wish of a person counts; whoever wished before hears that the window came.
            let (wish, mut tells) = match inner.due.take() {
                Some((before, tells)) if wish == Wish::Raise => (before, tells),
                Some((_, tells)) => (wish, tells),
                None => (wish, Vec::new()),
            };
            tells.push(tell);
            inner.due = Some((wish, tells));
            !std::mem::replace(&mut inner.running, true)
        };
        if start {
            self.start(self.sandbox.clone());
        }
        match timeout(START_PATIENCE, told).await {
            Ok(Ok(came)) => came,
            Ok(Err(_)) => Err("The window ended before it could be shown.".to_owned()),
            Err(_) => Err(TOO_SLOW.to_owned()),
        }
    }

    fn start(&self, sandbox: Sandbox) {
        self.lock().has_connected = false;
        tokio::spawn(self.clone().run(sandbox));
    }

    /// A window's process from its start to its end.
    async fn run(self, sandbox: Sandbox) {
        let mut command = sandbox.command(&self.program, &self.socket).await;
        let (end, ended) = oneshot::channel();
        {
            let mut inner = self.lock();
            inner.end = Some(end);
            if inner.ending {
                drop(inner);
                return self.gone(None);
            }
        }
        // What shuts it in would only say that it failed.
        let spawned = std::fs::metadata(&self.program)
            .and_then(|_| command.stdin(Stdio::null()).kill_on_drop(true).spawn());
        let trouble = match spawned {
            Ok(child) => {
                self.presence.send_modify(|presence| {
                    presence.running = true;
                    presence.sandbox = sandbox.standing();
                });
                self.watch(child, ended).await
            }
            Err(error) => {
                tracing::error!(program = %self.program.display(), %error, "the window does not start");
                Some(format!(
                    "The window's program does not start ({}): {error}.",
                    self.program.display()
                ))
            }
        };
        let is_early = {
            let inner = self.lock();
            !inner.has_connected && !inner.ending
        };
        if trouble.is_some() && is_early && sandbox.standing() == Standing::On {
            let next = sandbox.next().await;
            tracing::warn!(sandbox = ?next.standing(), "shut in so, the window does not come: it is started anew");
            return self.start(next);
        }
        self.gone(trouble);
    }

    /// Waits for the process to end, however it does; yields why, where it was not meant to.
    async fn watch(&self, mut child: Child, end: oneshot::Receiver<()>) -> Option<String> {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = self.stuck() => {
                tracing::warn!("the window does not connect and is killed");
                kill(child).await;
                return Some(TOO_SLOW.to_owned());
            }
            _ = end => match timeout(GOODBYE_PATIENCE, child.wait()).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("the window did not end and is killed");
                    kill(child).await;
                    return None;
                }
            },
        };
        match ended {
            Ok(status) if status.success() => None,
            Ok(status) => {
                tracing::warn!(%status, "the window ended by itself");
                Some(why(status))
            }
            Err(error) => {
                tracing::error!(%error, "the window's end could not be waited for");
                Some("The window ended for an unknown reason. Open it again.".to_owned())
            }
        }
    }

    /// Ends when a window that was started should long have connected, and has not.
    async fn stuck(&self) {
        sleep(STUCK).await;
        if self.lock().has_connected {
            pending().await
        }
    }

    fn gone(&self, trouble: Option<String>) {
        let (due, has_connected) = {
            let mut inner = self.lock();
            inner.client = None;
            inner.end = None;
            if inner.due.is_some() && inner.has_connected && !inner.ending {
                // Asked for while the one before was about to end: that one's end is not the answer.
                drop(inner);
                return self.start(self.sandbox.clone());
            }
            inner.running = false;
            (inner.due.take(), inner.has_connected)
        };
        if let Some((_, tells)) = due {
            let sentence = trouble
                .clone()
                .unwrap_or_else(|| "The window ended before it could be shown.".to_owned());
            for tell in tells {
                // Nobody need wait any more.
                let _ = tell.send(Err(sentence.clone()));
            }
        }
        self.presence.send_if_modified(|presence| {
            let gone = Presence {
                running: false,
                visible: false,
                showing: None,
                trouble,
                // Where it did not come without it either, it was not for being shut in.
                sandbox: if has_connected {
                    presence.sandbox
                } else {
                    self.sandbox.standing()
                },
            };
            let changed = *presence != gone;
            *presence = gone;
            changed
        });
    }

    /// A window has connected: it gets its events from here, the due destination first. `None` while another one
    /// is connected: there is one window.
    pub(crate) fn connected(&self, events: mpsc::Sender<Event>) -> Option<Connected> {
        let due = {
            let mut inner = self.lock();
            if inner
                .client
                .as_ref()
                .is_some_and(|client| !client.is_closed())
            {
                return None;
            }
            inner.client = Some(events.clone());
            inner.has_connected = true;
            inner.due.take()
        };
        self.presence
            .send_if_modified(|presence| presence.trouble.take().is_some());
        if let Some((wish, tells)) = due {
            let came = match wish.send(&events) {
                true => Ok(()),
                false => Err("The window does not listen. Try again.".to_owned()),
            };
            for tell in tells {
                // Nobody need wait any more.
                let _ = tell.send(came.clone());
            }
        }
        Some(Connected {
            window: self.clone(),
            events,
        })
    }

    /// The window says how it is.
    pub fn seen(&self, visible: bool, showing: Option<String>) {
        let showing = showing.filter(|_| visible);
        self.presence.send_if_modified(|presence| {
            let changed = presence.visible != visible || presence.showing != showing;
            presence.visible = visible;
            presence.showing = showing;
            changed
        });
    }

    /// Tells the window something, if there is one. One that does not listen misses it; its next state is whole again.
    pub fn tell(&self, event: Event) {
        if let Some(client) = &self.lock().client
            && client.try_send(event).is_err()
        {
            tracing::debug!("the window does not listen");
        }
    }

    /// Says goodbye and waits for the process to end.
    pub async fn end(&self) {
        self.tell(Event::Goodbye);
        let (client, end) = {
            let mut inner = self.lock();
            inner.ending = true;
            (inner.client.clone(), inner.end.take())
        };
        if let Some(client) = client {
            // Its end is the proof that it heard; past the patience it is hung up on.
            let _ = timeout(GOODBYE_PATIENCE, client.closed()).await;
        }
        if let Some(end) = end {
            // It may have ended meanwhile.
            let _ = end.send(());
            // The sender is ours, so this ends when the process has.
            let _ = self
                .presence
                .subscribe()
                .wait_for(|presence| !presence.running)
                .await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the window finds the agent.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Held while a window is connected.
pub(crate) struct Connected {
    window: Window,
    events: mpsc::Sender<Event>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        {
            let mut inner = self.window.lock();
            if inner
                .client
                .as_ref()
                .is_some_and(|client| client.same_channel(&self.events))
            {
                inner.client = None;
            }
        }
        self.window.seen(false, None);
    }
}

impl Wish {
    /// Tells the window, all of it or nothing that would matter: what it does is said last.
    fn send(&self, window: &mpsc::Sender<Event>) -> bool {
        let open = |txn: &Option<String>, activation_token: &Option<String>| {
            let (txn, activation_token) = (txn.clone(), activation_token.clone());
            window
                .try_send(Event::Open {
                    txn,
                    activation_token,
                })
                .is_ok()
        };
        match self {
            Self::Open {
                txn,
                activation_token,
            } => open(txn, activation_token),
            Self::Connect {
                server,
                activation_token,
            } => {
                let server = server.clone();
                open(&None, activation_token) && window.try_send(Event::Connect { server }).is_ok()
            }
            Self::Raise => window.try_send(Event::Raise).is_ok(),
        }
    }
}

async fn kill(mut child: Child) {
    // Its drop does it again; an error means that it is gone already.
    let _ = child.kill().await;
}

/// Why a window that ended by itself did, for the person.
fn why(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(EXIT_NO_DISPLAY), _) => {
            "There is no display to open the window on. Start Countersign inside a desktop session."
                .to_owned()
        }
        (Some(code), _) => {
            format!("The window stopped (code {code}). Open it again to see where things stand.")
        }
        (None, Some(signal)) => format!(
            "The window was stopped (signal {signal}). Open it again to see where things stand."
        ),
        (None, None) => "The window stopped. Open it again to see where things stand.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::time;

    use super::*;
    use crate::sandbox::Why;

    /// A window's program that never connects. Written by another process: one that this process writes may be held open
    /// by a child that another test starts meanwhile, and does not start then.
    fn never_connects(folder: &Path) -> PathBuf {
        let does = "mkfifo never; printf '#!/bin/sh\nread it < %s/never\n' \"$PWD\" > window; chmod 700 window";
        let written = Command::new("/bin/sh")
            .args(["-ec", does])
            .current_dir(folder)
            .status();
        assert!(written.unwrap().success());
        folder.join("window")
    }

    fn of(program: PathBuf) -> Window {
        let socket = program.with_extension("sock");
        Window::new(program, socket, Sandbox::none(Why::Missing))
    }

    #[tokio::test]
    async fn a_program_that_is_gone_is_said_to_be_and_not_started_over_and_over() {
        let folder = tempfile::tempdir().unwrap();
        let window = of(folder.path().join("none"));
        // One came and went before.
        let (events, _told) = mpsc::channel(1);
        drop(window.connected(events));
        let sentence = window.open(None, None).await.unwrap_err();
        assert!(sentence.contains("does not start"), "{sentence}");
        assert_eq!(window.presence().borrow().trouble, Some(sentence));
    }

    #[tokio::test]
    async fn a_window_that_never_connects_is_killed_so_that_another_one_can_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let window = of(never_connects(folder.path()));
        let mut presence = window.presence();
        for _ in 0..2 {
            time::pause();
            assert_eq!(window.open(None, None).await, Err(TOO_SLOW.to_owned()));
            assert!(presence.borrow_and_update().running, "it may come still");
            time::advance(STUCK).await;
            // Its end takes the time that the system takes.
            time::resume();
            let gone = presence.wait_for(|presence| !presence.running);
            let gone = timeout(STUCK, gone).await.unwrap().unwrap();
            assert_eq!(gone.trouble.as_deref(), Some(TOO_SLOW));
        }
    }
}
