//! The second launch: asks the agent that runs to bring its window forward, and ends. It can do nothing else.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::frames::{self, FrameError};
use crate::instance::same_person;

/// The longest frame either way.
const MAX_BYTES: usize = 4096;
/// A second launch that says nothing for so long is hung up on.
const HEAR_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits: a little longer than a window may take to start.
const ASK_PATIENCE: Duration = Duration::from_secs(25);
/// Between two tries to reach an agent that has the lock and does not listen yet.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Second launches that are served at once.
const MAX_AT_ONCE: usize = 8;

/// What a second launch asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// At this request.
    pub txn: Option<String>,
    /// At what this link asks for, which goes before a request. Read where it is acted on ([`crate::links`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The desktop's proof that a person asked.
    pub activation_token: Option<String>,
}

/// What came of it: nothing, or a sentence that says why the window did not come.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenAnswer {
    problem: Option<String>,
}

/// Why the agent that runs did not open its window.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// It does not answer.
    #[error("Countersign runs, but does not answer. End `countersign-agent` and start it again")]
    NoAnswer(#[source] FrameError),
}

/// Asks the agent behind `socket`, which may be just starting.
///
/// # Errors
/// When the window did not come.
pub async fn ask(socket: &Path, request: &OpenRequest) -> Result<(), OpenError> {
    let asked = timeout(ASK_PATIENCE, async {
        let stream = loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => break stream,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::ConnectionRefused
                    ) =>
                {
                    sleep(BETWEEN_TRIES).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let (read, mut write) = stream.into_split();
        frames::write(&mut write, request, MAX_BYTES).await?;
        frames::read::<OpenAnswer, _>(&mut BufReader::new(read), MAX_BYTES).await
    });
    match asked.await {
        Ok(Ok(Some(OpenAnswer { problem: None }))) => Ok(()),
        Ok(Ok(Some(OpenAnswer {
            problem: Some(sentence),
        }))) => Err(OpenError::Refused(sentence)),
        Ok(Ok(None)) => Err(OpenError::NoAnswer(FrameError::Cut)),
        Ok(Err(error)) => Err(OpenError::NoAnswer(error)),
        Err(_) => Err(OpenError::NoAnswer(FrameError::Io(
            ErrorKind::TimedOut.into(),
        ))),
    }
}

/// Serves second launches, for as long as the listener lives. `open` yields once the window has come.
pub async fn serve<O, F>(listener: UnixListener, open: O)
where
    O: Fn(OpenRequest) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    // More wait in the listener's own queue.
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as no descriptor left: wait a little rather than spin.
                tracing::warn!(%error, "a second launch was not accepted");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let open = open.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_one(stream, open).await {
                tracing::warn!(%error, "a second launch was refused");
            }
            drop(place);
        });
    }
}

async fn serve_one<O, F>(stream: UnixStream, open: O) -> Result<(), FrameError>
where
    O: Fn(OpenRequest) -> F,
    F: Future<Output = Result<(), String>>,
{
    if !same_person(&stream) {
        tracing::warn!("a second launch came from another user");
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let Ok(heard) = timeout(HEAR_PATIENCE, frames::read(&mut read, MAX_BYTES)).await else {
        return Ok(());
    };
    if let Some(request) = heard? {
        let problem = open(request).await.err();
        frames::write(&mut write, &OpenAnswer { problem }, MAX_BYTES).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::instance::RuntimeDir;

    #[tokio::test]
    async fn a_second_launch_opens_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let claim = RuntimeDir::below(base.path())
            .unwrap()
            .claim()
            .unwrap()
            .unwrap();
        let path = claim.dir().open_socket();
        let (send, mut asked) = mpsc::unbounded_channel();
        let listener = claim.listen(&path).unwrap();
        let served = tokio::spawn(serve(listener, move |request: OpenRequest| {
            let refused = request.txn.is_none();
            send.send(request).unwrap();
            async move {
                if refused {
                    Err("No display.".to_owned())
                } else {
                    Ok(())
                }
            }
        }));

        let request = OpenRequest {
            txn: Some("t1".into()),
            link: None,
            activation_token: Some("tok".into()),
        };
        ask(&path, &request).await.unwrap();
        assert_eq!(asked.recv().await, Some(request));

        // Anything else is hung up on, and the next one is served all the same.
        let stream = UnixStream::connect(&path).await.unwrap();
        let (read, mut write) = stream.into_split();
        frames::write(&mut write, &serde_json::json!({"quit": true}), MAX_BYTES)
            .await
            .unwrap();
        assert!(
            frames::read::<OpenAnswer, _>(&mut BufReader::new(read), MAX_BYTES)
                .await
                .unwrap()
                .is_none()
        );
        let none = OpenRequest {
            txn: None,
            link: None,
            activation_token: None,
        };
        assert_eq!(
            ask(&path, &none).await.unwrap_err().to_string(),
            "No display."
        );
        assert_eq!(asked.recv().await, Some(none));
        served.abort();
    }
}
