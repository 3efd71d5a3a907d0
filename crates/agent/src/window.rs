//! The window's process: started on demand beside the agent, one at a time, told what to show, noticed when it ends.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_api::ipc::Event;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// From start to the first frame it takes half a second; past this it is taken for stuck.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a window may take to end after the agent's goodbye.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(3);
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
}

/// Where a person is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Destination {
    txn: Option<String>,
    activation_token: Option<String>,
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
    /// Where to take the window that is starting, and who waits to hear that it came.
    due: Option<(Destination, Vec<Told>)>,
    /// Set on quitting: nothing is started any more.
    ending: bool,
    end: Option<oneshot::Sender<()>>,
}

/// Starts the window and knows how it is.
#[derive(Clone)]
pub struct Window {
    program: PathBuf,
    socket: PathBuf,
    inner: Arc<Mutex<Inner>>,
    presence: watch::Sender<Presence>,
}

impl Window {
    /// `program` is started with `socket` in its environment.
    #[must_use]
    pub fn new(program: PathBuf, socket: PathBuf) -> Self {
        Self {
            program,
            socket,
            inner: Arc::default(),
            presence: watch::Sender::new(Presence::default()),
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
        let to = Destination {
            txn,
            activation_token,
        };
        let (tell, told) = oneshot::channel();
        let start = {
            let mut inner = self.lock();
            if inner.ending {
                return Err("Countersign is ending.".to_owned());
            }
            if let Some(client) = &inner.client
                && client.try_send(to.event()).is_ok()
            {
                return Ok(());
            }
            let mut tells = inner.due.take().map(|(_, tells)| tells).unwrap_or_default();
            tells.push(tell);
            // The newest wish counts; whoever wished before hears that the window came.
            inner.due = Some((to, tells));
            !std::mem::replace(&mut inner.running, true)
        };
        if start {
            self.start();
        }
        match timeout(START_PATIENCE, told).await {
            Ok(Ok(came)) => came,
            Ok(Err(_)) => Err("The window ended before it could be shown.".to_owned()),
            Err(_) => Err("The window takes too long to start. Try again.".to_owned()),
        }
    }

    fn start(&self) {
        let spawned = Command::new(&self.program)
            .env("COUNTERSIGN_SOCKET", &self.socket)
            // Of the agent's own start, long used up.
            .env_remove("DESKTOP_STARTUP_ID")
            .env_remove("XDG_ACTIVATION_TOKEN")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(child) => {
                let (end, ended) = oneshot::channel();
                {
                    let mut inner = self.lock();
                    inner.end = Some(end);
                    inner.has_connected = false;
                }
                self.presence
                    .send_modify(|presence| presence.running = true);
                tokio::spawn(self.clone().watch(child, ended));
            }
            Err(error) => {
                tracing::error!(program = %self.program.display(), %error, "the window does not start");
                self.gone(Some(format!(
                    "The window's program does not start ({}): {error}.",
                    self.program.display()
                )));
            }
        }
    }

    /// Waits for the process to end, however it does.
    async fn watch(self, mut child: Child, end: oneshot::Receiver<()>) {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            _ = end => match timeout(GOODBYE_PATIENCE, child.wait()).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("the window did not end and is killed");
                    // The value's drop does it again; an error means that it is gone already.
                    let _ = child.kill().await;
                    return self.gone(None);
                }
            },
        };
        match ended {
            Ok(status) if status.success() => self.gone(None),
            Ok(status) => {
                tracing::warn!(%status, "the window ended by itself");
                self.gone(Some(why(status)));
            }
            Err(error) => {
                tracing::error!(%error, "the window's end could not be waited for");
                self.gone(Some(
                    "The window ended for an unknown reason. Open it again.".to_owned(),
                ));
            }
        }
    }

    fn gone(&self, trouble: Option<String>) {
        let due = {
            let mut inner = self.lock();
            inner.client = None;
            inner.end = None;
            if inner.due.is_some() && inner.has_connected && !inner.ending {
                // Asked for while the one before was about to end: that one's end is not the answer.
                drop(inner);
                return self.start();
            }
            inner.running = false;
            inner.due.take()
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
        if let Some((to, tells)) = due {
            let came = events
                .try_send(to.event())
                .map_err(|_| "The window does not listen. Try again.".to_owned());
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

impl Destination {
    fn event(&self) -> Event {
        Event::Open {
            txn: self.txn.clone(),
            activation_token: self.activation_token.clone(),
        }
    }
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
