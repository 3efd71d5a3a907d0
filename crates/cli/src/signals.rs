//! Ctrl-C and SIGTERM: both end a server or a gate in order.

use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on; the future ends with the first of the two.
pub(crate) fn ended() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
