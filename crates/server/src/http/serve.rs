//! Connections: accepted within a bound, their heads read within a time and a size.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::App;

/// Open connections. Descriptors are about 20,000 on a usual system, and the store needs some.
const MAX_CONNECTIONS: usize = 19_000;
/// The largest head of a request, in bytes: an ID token in a form is in the body, tokens in headers are bounded.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most header fields.
const MAX_HEADERS: usize = 64;
/// A head that is not whole by then closes the connection. Idle connections count as waiting for one: this is
/// longer than our clients keep theirs (a minute), so that none is closed under a call.
const HEAD_LIMIT: Duration = Duration::from_secs(75);
/// After an error of `accept` (no descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the server stops. Each connection is one of its tasks.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) {
    let router = super::router(Arc::clone(&app));
    let (tasks, stop) = (app.tasks.clone(), app.stop.clone());
    drop(app);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // A frame that waits for the next one is late.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(place);
        });
    }
}
