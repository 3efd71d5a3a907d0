//! `countersign-agent`: starts the agent of this desktop session, or asks the one that runs to open its window.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use countersign_agent::browser::Browser;
use countersign_agent::bus::Bus;
use countersign_agent::desk::Desk;
use countersign_agent::folders;
use countersign_agent::instance::{Claim, RuntimeDir};
use countersign_agent::intent::Intent;
use countersign_agent::keyring::Keyring;
use countersign_agent::notify::Notifier as _;
use countersign_agent::notify::freedesktop::Freedesktop;
use countersign_agent::open_socket::{self, OpenRequest};
use countersign_agent::prefs::Prefs;
use countersign_agent::session::{self, Session};
use countersign_agent::tray;
use countersign_agent::wake;
use countersign_agent::window::Window;
use countersign_agent::window_socket;
use countersign_approver::{Accounts, Deps, Options};
use countersign_model::{Clock, UnixSecs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Clicks that wait to be acted on.
const INTENTS: usize = 32;
/// How long a call that is under way may hold up the end.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Countersign in your desktop session: tells you what waits for your vote, and holds your keys.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  countersign-agent                                 start, with an icon in the tray
  countersign-agent open                            open the window (starts the agent where none runs)
  countersign-agent open 5gN0…                      open it at one request
  countersign-agent run --server https://approvals.example.com

Preferences: $XDG_CONFIG_HOME/countersign/agent.toml. Log: stderr; COUNTERSIGN_LOG=debug says more.

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
        /// The request.
        txn: Option<String>,
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
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
        .unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match start(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("countersign-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let done = runtime.block_on(run(args));
    // Not waited for: a thread may hang in a dialog of the keyring.
    runtime.shutdown_background();
    done
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args {
        command,
        server,
        window,
    } = args;
    let dir = RuntimeDir::of_session()?;
    let open = match command {
        Some(Command::Open { txn }) => Some(OpenRequest {
            txn,
            activation_token: activation_token(),
        }),
        Some(Command::Run) | None => None,
    };
    match (dir.claim().context("take the lock of this session")?, open) {
        (Some(claim), open) => {
            live(&claim, server, window, open).await?;
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
) -> anyhow::Result<()> {
    // An error means that it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let prefs_file = folders::prefs_file()?;
    let prefs = Prefs::read(&prefs_file)?;
    let program = match window {
        Some(program) => program,
        None => Window::beside_agent().context("find the window's program")?,
    };
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
    let approver = Accounts::start(deps, Options::default())?;

    let (intend, intents) = mpsc::channel(INTENTS);
    let notifier = Arc::new(Freedesktop::start(
        Bus::Session,
        clock,
        claim.dir().notices_file(),
        intend.clone(),
    ));
    let (content, shown) = watch::channel(tray::Content::default());
    let (tell_tray, tray) = watch::channel(countersign_api::ipc::Tray::NoHost);
    let in_tray = tokio::spawn(tray::run(shown, intend.clone(), tell_tray));
    let window_socket = claim.dir().window_socket();
    let window = Window::new(program, window_socket.clone());
    let (state, states) = watch::channel(Arc::new(session::nothing_known()));
    let (prefer, preferred) = watch::channel(prefs.window());
    let desk = Desk {
        approver: approver.clone(),
        notifier: notifier.clone(),
        window: window.clone(),
        prefs_file,
        prefer,
        state: states,
    };
    let listener = claim
        .listen(&window_socket)
        .context("listen for the window")?;
    tokio::spawn(window_socket::serve(
        listener,
        window.clone(),
        Arc::new(desk),
    ));
    let listener = claim
        .listen(&claim.dir().open_socket())
        .context("listen for second launches")?;
    let opens = window.clone();
    tokio::spawn(open_socket::serve(
        listener,
        move |OpenRequest {
                  txn,
                  activation_token,
              }| {
            let window = opens.clone();
            async move { window.open(txn, activation_token).await }
        },
    ));
    tokio::spawn(quit_on_signal(intend.clone()));
    let waking = approver.clone();
    let woken = tokio::spawn(wake::run(Bus::System, move || waking.wake()));
    if let Some(OpenRequest {
        txn,
        activation_token,
    }) = open
    {
        // Acted on by the loop, which is not running yet.
        intend
            .try_send(Intent::Open {
                txn,
                activation_token,
            })
            .context("open the window")?;
    }

    let suggested_server = server.or(prefs.server);
    let session = Session {
        approver: approver.clone(),
        notifier: notifier.clone(),
        window: window.clone(),
        prefs: preferred,
        tray,
        content,
        state,
        suggested_server,
        intents,
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    session.run().await;
    tracing::info!("ending");
    woken.abort();
    window.end().await;
    notifier.end().await;
    // A refresh that is cut off loses the provider's newest token.
    if timeout(SETTLE_PATIENCE, approver.settle()).await.is_err() {
        tracing::warn!("a refresh at the provider was cut off");
    }
    // Its content's sender went with the session.
    in_tray.await.context("take the tray icon away")
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
