//! `countersign-agent`: starts the agent of this desktop session, or asks the one that runs to open its window.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use countersign_agent::autostart::{self, Autostart};
use countersign_agent::browser::Browser;
use countersign_agent::bus::Bus;
use countersign_agent::desk::Desk;
use countersign_agent::folders;
use countersign_agent::heap;
use countersign_agent::instance::{Claim, RuntimeDir};
use countersign_agent::intent::Intent;
use countersign_agent::keyring::Keyring;
use countersign_agent::links::{self, Link};
use countersign_agent::log::Log;
use countersign_agent::mutes::Mutes;
use countersign_agent::notify::Notifier as _;
use countersign_agent::notify::freedesktop::{Freedesktop, SETTLED};
use countersign_agent::open_socket::{self, OpenRequest};
use countersign_agent::prefs::Prefs;
use countersign_agent::sandbox::{Looks, Sandbox};
use countersign_agent::security_key::{Hidraw, Keys};
use countersign_agent::session::{self, Session};
use countersign_agent::text::catalogue::Tongue;
use countersign_agent::tray;
use countersign_agent::wake;
use countersign_agent::window::{Presence, Window};
use countersign_agent::window_socket;
use countersign_agent::wiped::Wiped;
use countersign_agent::zone;
use countersign_api::ipc;
use countersign_approver::{Accounts, Deps, Options, Route, SecurityKey, Way};
use countersign_model::{Clock, UnixSecs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use url::Url;

#[global_allocator]
static MEMORY: Wiped = Wiped::new();

/// Clicks that wait to be acted on.
const INTENTS: usize = 32;
/// How long a call that is under way may hold up the end.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// How long everything else waits for the window to be started, which takes some milliseconds.
const HEAD_START: Duration = Duration::from_secs(1);

/// Countersign in your desktop session: tells you what waits for your vote, and holds your keys.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  countersign-agent                                 start, with an icon in the tray
  countersign-agent open                            open the window (starts the agent where none runs)
  countersign-agent open 5gN0…                      open it at one request
  countersign-agent open 'countersign://connect?server=https://approvals.example.com'
  countersign-agent run --server https://approvals.example.com

Preferences: $XDG_CONFIG_HOME/countersign/agent.toml. Log: stderr; COUNTERSIGN_LOG=countersign=debug says more.

Exit codes: 0 done · 1 it did not work, with the reason · 2 a wrong option · 3 another agent runs already"
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The server that is filled in on first run.
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// The window's program, where it does not stand beside this one.
    #[arg(long, global = true, value_name = "PATH")]
    window: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the agent of this session (the default).
    Run,
    /// Open the window, at one request where its id is given.
    Open {
        /// The request, or a link such as countersign://connect?server=https://approvals.example.com
        what: Option<String>,
    },
}

/// The computer's own.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixSecs {
        // A clock before 1970 is caught by the comparison with the server's.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixSecs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

fn main() -> ExitCode {
    heap::keep_little();
    let args = Args::parse();
    match start(args, Log::start()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("countersign-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args, log: Log) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let done = runtime.block_on(run(args, log));
    // Not waited for: a thread may hang in a dialog of the keyring.
    runtime.shutdown_background();
    done
}

async fn run(args: Args, log: Log) -> anyhow::Result<ExitCode> {
    let Args {
        command,
        server,
        window,
    } = args;
    let dir = RuntimeDir::of_session()?;
    let open = match command {
        Some(Command::Open { what }) => Some(wish(what)?),
        Some(Command::Run) | None => None,
    };
    match (dir.claim().context("take the lock of this session")?, open) {
        (Some(claim), open) => {
            live(&claim, server, window, open, log).await?;
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(request)) => {
            open_socket::ask(&dir.open_socket(), &request).await?;
            Ok(ExitCode::SUCCESS)
        }
        (None, None) => {
            eprintln!(
                "countersign-agent: Countersign runs in this session already. `countersign-agent open` opens its window."
            );
            Ok(ExitCode::from(3))
        }
    }
}

/// What is asked for, refused here already where it is nothing that can be opened: the person is at this terminal.
fn wish(what: Option<String>) -> anyhow::Result<OpenRequest> {
    let (txn, link) = match what {
        Some(link) if links::is_link(&link) => {
            links::parse(&link)?;
            (None, Some(link))
        }
        txn => (txn, None),
    };
    Ok(OpenRequest {
        txn,
        link,
        activation_token: activation_token(),
    })
}

/// Brings the window where a launch asks for. What a launch says is believed as little as any link.
async fn come(window: Window, request: OpenRequest) -> Result<(), String> {
    let OpenRequest {
        txn,
        link,
        activation_token,
    } = request;
    match link.as_deref().map(links::parse) {
        Some(Ok(Link::Connect { server })) => {
            window.connect(server.to_string(), activation_token).await
        }
        Some(Err(error)) => Err(error.to_string()),
        None => window.open(txn, activation_token).await,
    }
}

/// Starts the window before everything else: of all that starts here it takes the longest, and the rest is done meanwhile.
async fn begin(window: &Window, request: OpenRequest) {
    let mut presence = window.presence();
    let window = window.clone();
    let came = tokio::spawn(async move {
        if let Err(sentence) = come(window, request).await {
            tracing::warn!(sentence, "the window did not come");
        }
    });
    tokio::select! {
        _ = presence.wait_for(|presence| presence.running) => {}
        // It could not even be started.
        _ = came => {}
        () = sleep(HEAD_START) => {}
    }
}

/// The desktop's proof that a person started this, which lets the window come forward.
fn activation_token() -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|token| !token.is_empty());
    named("XDG_ACTIVATION_TOKEN").or_else(|| named("DESKTOP_STARTUP_ID"))
}

async fn live(
    claim: &Claim,
    server: Option<String>,
    window: Option<PathBuf>,
    open: Option<OpenRequest>,
    log: Log,
) -> anyhow::Result<()> {
    // An error means that it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let prefs_file = folders::prefs_file()?;
    let prefs = Prefs::read(&prefs_file)?;
    log.set(prefs.window.log);
    let program = match window {
        Some(program) => program,
        None => Window::beside_agent().context("find the window's program")?,
    };
    let window_socket = claim.dir().window_socket();
    let for_window = claim
        .listen(&window_socket)
        .context("listen for the window")?;
    let looks = Looks::of_session().ok();
    let sandbox = Sandbox::of_session(Bus::Session, looks);
    let window = Window::new(program, window_socket, sandbox);
    if let Some(request) = open {
        begin(&window, request).await;
    }
    let this_program = std::env::current_exe().context("find this program")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let deps = Deps {
        keys: Arc::new(Keyring::default()),
        opener: Arc::new(Browser),
        clock: clock.clone(),
        data_dir: folders::data()?,
        device_name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    let route = Route::new(way(&prefs.window.proxy));
    let options = Options {
        route: route.clone(),
        security_key: security_keys(),
        ..Options::default()
    };
    let approver = Accounts::start(deps, options)?;

    let (intend, intents) = mpsc::channel(INTENTS);
    let notifier = Arc::new(Freedesktop::start(
        Bus::Session,
        clock.clone(),
        claim.dir().notices_file(),
        intend.clone(),
        SETTLED,
    ));
    let mutes = Arc::new(Mutes::open(folders::data()?.join("desk.json")));
    let nothing = session::nothing_known();
    let tongue = Tongue::here(prefs.window.language);
    let content = tray::Content::of(&nothing, tongue, clock.now(), &zone::here());
    let (content, shown) = watch::channel(content);
    let (tell_tray, tray) = watch::channel(countersign_api::ipc::Tray::NoHost);
    let in_tray = tokio::spawn(tray::run(shown, intend.clone(), tell_tray));
    let (state, states) = watch::channel(Arc::new(nothing));
    let (prefer, preferred) = watch::channel(prefs.window.clone());
    let desk = Arc::new(Desk {
        approver: approver.clone(),
        notifier: notifier.clone(),
        clock: clock.clone(),
        mutes: mutes.clone(),
        window: window.clone(),
        autostart: Autostart::of_session(this_program.clone()),
        log: log.clone(),
        prefs_file,
        prefer,
        state: states,
    });
    tokio::spawn(window_socket::serve(
        for_window,
        window.clone(),
        desk.clone(),
    ));
    let listener = claim
        .listen(&claim.dir().open_socket())
        .context("listen for second launches")?;
    let opens = window.clone();
    tokio::spawn(open_socket::serve(listener, move |request| {
        come(opens.clone(), request)
    }));
    tokio::spawn(list_program(this_program));
    tokio::spawn(heed(preferred.clone(), log, route, approver.clone()));
    tokio::spawn(quit_when_closed(
        window.presence(),
        preferred.clone(),
        intend.clone(),
    ));
    if let Ok(autostart) = &desk.autostart {
        let known = desk.state.clone();
        tokio::spawn(autostart::keep(autostart.clone(), preferred.clone(), known));
    }
    tokio::spawn(quit_on_signal(intend.clone()));
    let waking = approver.clone();
    let woken = tokio::spawn(wake::run(Bus::System, move || waking.wake()));
    let waking = approver.clone();
    let set = tokio::spawn(wake::by_clock(clock.clone(), move || waking.wake()));
    let suggested_server = server.or(prefs.server);
    let session = Session {
        approver: approver.clone(),
        notifier: notifier.clone(),
        window: window.clone(),
        clock,
        mutes,
        prefs: preferred,
        tray,
        content,
        state,
        suggested_server,
        intents,
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    let session = session.run().await;
    tracing::info!("ending");
    woken.abort();
    set.abort();
    window.end().await;
    if timeout(SETTLE_PATIENCE, notifier.end()).await.is_err() {
        tracing::warn!("the notification daemon hangs: what it shows is left");
    }
    // A refresh that is cut off loses the provider's newest token.
    if timeout(SETTLE_PATIENCE, approver.settle()).await.is_err() {
        tracing::warn!("a refresh at the provider was cut off");
    }
    // Its content's sender goes with the session.
    drop(session);
    in_tray.await.context("take the tray icon away")
}

/// Does what was preferred while it runs.
async fn heed(
    mut preferred: watch::Receiver<ipc::Prefs>,
    log: Log,
    route: Route,
    approver: Accounts,
) {
    let mut now = preferred.borrow_and_update().clone();
    while preferred.changed().await.is_ok() {
        let next = preferred.borrow_and_update().clone();
        if next.log != now.log {
            log.set(next.log);
        }
        if next.proxy != now.proxy {
            route.set(way(&next.proxy));
            approver.rerouted();
        }
        now = next;
    }
}

fn way(proxy: &ipc::Proxy) -> Way {
    match proxy {
        ipc::Proxy::System => Way::System,
        ipc::Proxy::Direct => Way::Direct,
        // What is kept was checked; what is not an address leads nowhere rather than around the proxy.
        ipc::Proxy::Url { url } => Url::parse(url).map_or(Way::Nowhere, Way::Through),
    }
}

/// Where it is not kept in the tray, the end of the window is the end.
async fn quit_when_closed(
    mut presence: watch::Receiver<Presence>,
    preferred: watch::Receiver<ipc::Prefs>,
    intend: mpsc::Sender<Intent>,
) {
    let mut was_running = presence.borrow_and_update().running;
    while presence.changed().await.is_ok() {
        let Presence {
            running, trouble, ..
        } = presence.borrow_and_update().clone();
        let closed = was_running && !running && trouble.is_none();
        was_running = running;
        if closed && !preferred.borrow().keep_in_tray {
            // The session has ended already if nobody listens.
            let _ = intend.send(Intent::Quit).await;
        }
    }
}

/// So that the menu starts this program, and links open it.
async fn list_program(program: PathBuf) {
    if let Err(error) = links::claim(&program).await {
        tracing::warn!(%error, "links that name a server do not open Countersign");
    }
}

async fn quit_on_signal(intend: mpsc::Sender<Intent>) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("signals are not heard: ending takes back no notification");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // The session has ended already if nobody listens.
    let _ = intend.send(Intent::Quit).await;
}

/// The way to security keys, where this system has one.
fn security_keys() -> Option<Arc<dyn SecurityKey>> {
    #[cfg(target_os = "linux")]
    return Some(Arc::new(Keys::new(Hidraw::of_system())));
    #[cfg(not(target_os = "linux"))]
    return None;
}
