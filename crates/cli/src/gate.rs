//! `countersign gate`: the HTTP gate, and the key of any gate.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use countersign_evidence::SecretKey;
use countersign_gate_http::{Gate, GateConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::signals;

/// Runs the HTTP gate until it is told to end.
pub(crate) async fn http(config: &Path, check_only: bool) -> anyhow::Result<Exit> {
    let config =
        GateConfig::read(config).map_err(|error| Stop::with(Exit::Usage, error.to_string()))?;
    if check_only {
        println!("The gate's configuration is good.");
        return Ok(Exit::Done);
    }
    let listen = config.listen;
    let ended = signals::ended()?;
    let mut reload = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let running = Gate::start(config, SystemClock::shared(), listener)?;
    println!("countersign gate ready at http://{}", running.addr);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            // What changed, or why nothing did, is logged where it happens.
            _ = reload.recv() => drop(running.reload_policy()),
        }
    }
    running.shutdown().await;
    Ok(Exit::Done)
}

/// Makes a gate's key: the private half into a file that only its owner reads, the public half to stdout.
pub(crate) fn keygen(path: &Path, public: Option<&Path>) -> anyhow::Result<Exit> {
    let key = SecretKey::generate(rand::random());
    let mut open = std::fs::OpenOptions::new();
    // Never over an existing key: asks by it would no longer verify.
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut file = match open.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let sentence = format!(
                "`{}` exists already; choose another name, or remove it first",
                path.display()
            );
            return Err(Stop::with(Exit::Usage, sentence));
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write `{}`", path.display()));
        }
    };
    writeln!(file, "{}", key.to_jwk())?;
    file.sync_all()?;
    let jwk = key.public().to_jwk();
    match public {
        Some(public) => {
            std::fs::write(public, format!("{jwk}\n"))
                .with_context(|| format!("cannot write `{}`", public.display()))?;
            eprintln!(
                "The public key stands in `{}`: name it in the server's [[pep]] as key_file.",
                public.display()
            );
        }
        None => {
            println!("{jwk}");
            eprintln!(
                "Above is the public key: put it into a file, and name that in the server's [[pep]] as key_file."
            );
        }
    }
    Ok(Exit::Done)
}
