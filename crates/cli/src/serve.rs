//! `countersign serve`: the approval server.

use std::path::Path;

use anyhow::Context as _;
use countersign_server::{Server, ServerConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::signals;

/// Runs the server until it is told to end.
pub(crate) async fn run(config: &Path, check_only: bool) -> anyhow::Result<Exit> {
    let config =
        ServerConfig::read(config).map_err(|error| Stop::with(Exit::Usage, error.to_string()))?;
    if check_only {
        Server::check(&config).map_err(|error| Stop::with(Exit::Usage, format!("{error:#}")))?;
        println!("The server's configuration is good.");
        return Ok(Exit::Done);
    }
    let listen = config.listen;
    let ended = signals::ended()?;
    let mut reload = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let running = Server::start(config, SystemClock::shared(), listener).await?;
    println!("countersign server ready at http://{}", running.addr());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            // The policy is looked at by itself too; this is for who does not want to wait.
            _ = reload.recv() => running.reload_policy(),
        }
    }
    running.shutdown().await;
    Ok(Exit::Done)
}
