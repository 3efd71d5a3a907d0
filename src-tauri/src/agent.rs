//! The agent's socket: questions out, answers and events in, one JSON object a line (`countersign_api::ipc`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_api::ipc::{self, Answer, Call, Frame, Problem, ProblemCode, Question};
use tauri::AppHandle;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use crate::frame;

type Open = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

/// The connection to the agent.
pub(crate) struct Agent {
    out: tokio::sync::Mutex<OwnedWriteHalf>,
    open: Open,
    next_id: AtomicU64,
}

impl Agent {
    /// Connects, and starts to listen.
    pub(crate) fn connect(socket: &Path, app: AppHandle) -> std::io::Result<Self> {
        let stream = tauri::async_runtime::block_on(UnixStream::connect(socket))?;
        let (read, write) = stream.into_split();
        let open = Open::default();
        tauri::async_runtime::spawn(listen(read, open.clone(), app));
        Ok(Self {
            out: tokio::sync::Mutex::new(write),
            open,
            next_id: AtomicU64::new(1),
        })
    }

    /// Asks, and waits for what comes of it. Trouble is an answer too: a refusal.
    pub(crate) async fn ask(&self, call: Call) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, tell);
        if self
            .send(&Question {
                v: ipc::VERSION,
                id,
                call,
            })
            .await
            .is_err()
        {
            self.open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        }
        told.await.unwrap_or_else(|_| gone())
    }

    async fn send(&self, question: &Question) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.out.lock().await.write_all(&line).await
    }
}

/// What a question gets that the agent did not live to answer.
fn gone() -> Answer {
    let sentence =
        "Countersign stopped before it answered. Open it again and look whether your vote counts."
            .to_owned();
    Answer::Refused {
        problem: Problem {
            code: ProblemCode::Other,
            sentence,
        },
    }
}

/// Reads frames until the agent is gone, or says something that is not of this vocabulary.
async fn listen(read: OwnedReadHalf, open: Open, app: AppHandle) {
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than allowed tells a line that is too long from one that just fits.
        let mut bounded = (&mut read).take(ipc::MAX_FRAME_BYTES as u64 + 1);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(_) if line.last() == Some(&b'\n') => {}
            Ok(_) | Err(_) => break,
        }
        match serde_json::from_slice(&line) {
            Ok(Frame::Answer { id, answer }) => {
                let waiting = open
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
                if let Some(tell) = waiting {
                    // The page may have stopped waiting; then nobody is left to tell.
                    let _ = tell.send(answer);
                }
            }
            Ok(Frame::Event { event }) => frame::on_event(&app, event),
            Err(error) => {
                eprintln!(
                    "countersign-window: The agent sent a frame that this version does not know: {error}"
                );
                break;
            }
        }
    }
    open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    frame::on_agent_gone(&app);
}
