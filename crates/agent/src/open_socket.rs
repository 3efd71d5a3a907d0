//! The second launch: asks the agent that runs to bring its window forward, and ends. It can do nothing else.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::frames::{self, FrameError};
use crate::instance::same_person;
use crate::intent::Intent;

/// The longest frame either way.
const MAX_BYTES: usize = 4096;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a second launch asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// At this request.
    pub txn: Option<String>,
    /// The desktop's proof that a person asked.
    pub activation_token: Option<String>,
}

/// That the agent has heard it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    heard: bool,
}

/// Asks the agent behind `socket`.
///
/// # Errors
/// When none answers in time.
pub async fn ask(socket: &Path, request: &OpenRequest) -> Result<(), FrameError> {
    let asked = timeout(PATIENCE, async {
        let stream = UnixStream::connect(socket).await?;
        let (read, mut write) = stream.into_split();
        frames::write(&mut write, request, MAX_BYTES).await?;
        frames::read::<Heard, _>(&mut BufReader::new(read), MAX_BYTES).await
    });
    match asked.await {
        Ok(Ok(Some(Heard { heard: true }))) => Ok(()),
        Ok(Ok(Some(Heard { heard: false }) | None)) => Err(FrameError::Cut),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(FrameError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Serves second launches, one after the other, for as long as somebody listens to `intents`.
pub async fn serve(listener: UnixListener, intents: mpsc::Sender<Intent>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as no descriptor left: wait a little rather than spin.
                tracing::warn!(%error, "a second launch was not accepted");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        match timeout(PATIENCE, hear(stream)).await {
            Ok(Ok(Some(request))) => {
                let OpenRequest { txn, activation_token } = request;
                if intents.send(Intent::Open { txn, activation_token }).await.is_err() {
                    return;
                }
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a second launch was refused"),
        }
    }
}

async fn hear(stream: UnixStream) -> Result<Option<OpenRequest>, FrameError> {
    if !same_person(&stream) {
        tracing::warn!("a second launch came from another user");
        return Ok(None);
    }
    let (read, mut write) = stream.into_split();
    let request = frames::read(&mut BufReader::new(read), MAX_BYTES).await?;
    if request.is_some() {
        frames::write(&mut write, &Heard { heard: true }, MAX_BYTES).await?;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::RuntimeDir;

    #[tokio::test]
    async fn a_second_launch_opens_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let claim = RuntimeDir::below(base.path()).unwrap().claim().unwrap().unwrap();
        let path = claim.dir().open_socket();
        let (send, mut intents) = mpsc::channel(4);
        let served = tokio::spawn(serve(claim.listen(&path).unwrap(), send));

        let request = OpenRequest { txn: Some("t1".into()), activation_token: Some("tok".into()) };
        ask(&path, &request).await.unwrap();
        let open = Intent::Open { txn: Some("t1".into()), activation_token: Some("tok".into()) };
        assert_eq!(intents.recv().await, Some(open));

        // Anything else is hung up on, and the next one is served all the same.
        let stream = UnixStream::connect(&path).await.unwrap();
        let (read, mut write) = stream.into_split();
        frames::write(&mut write, &serde_json::json!({"quit": true}), MAX_BYTES).await.unwrap();
        assert!(frames::read::<Heard, _>(&mut BufReader::new(read), MAX_BYTES).await.unwrap().is_none());
        ask(&path, &OpenRequest { txn: None, activation_token: None }).await.unwrap();
        assert_eq!(intents.recv().await, Some(Intent::Open { txn: None, activation_token: None }));
        served.abort();
    }

    #[tokio::test]
    async fn without_an_agent_it_says_so() {
        let base = tempfile::tempdir().unwrap();
        let request = OpenRequest { txn: None, activation_token: None };
        assert!(ask(&base.path().join("none.sock"), &request).await.is_err());
    }
}
