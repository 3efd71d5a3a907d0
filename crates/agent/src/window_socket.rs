//! The window's socket: questions in, answers and events out, one window at a time (`countersign_api::ipc`).

use std::sync::Arc;
use std::time::Duration;

use countersign_api::ipc::{
    self, Answer, Call, Event, Frame, Problem, ProblemCode, Question, State,
};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::frames::{self, FrameError};
use crate::instance::same_person;
use crate::window::Window;

/// The longest question: a vote with its reason.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// Questions under way at once; a window that asks more waits.
const MAX_OPEN_QUESTIONS: usize = 16;
/// Answers that are not written yet.
const ANSWERS: usize = 64;
/// Events that are not written yet: more than the approver's program tells at once.
const EVENTS: usize = 1024;
/// A window that does not read for so long is hung up on.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

const OTHER_VERSION: &str =
    "Window and agent are of different versions. Quit Countersign and start it again.";
const TOO_LONG: &str = "This is too long to be shown whole, and it is never shown in part.";

/// Answers the window's questions.
pub trait Desk: Send + Sync + 'static {
    /// What comes of a call.
    fn answer(&self, call: Call) -> impl Future<Output = Answer> + Send;

    /// The whole state, and each new one.
    fn state(&self) -> watch::Receiver<Arc<State>>;
}

/// Serves one window after the other, for as long as the listener lives.
pub async fn serve<D: Desk>(listener: UnixListener, window: Window, desk: Arc<D>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if same_person(&stream) => {
                tokio::spawn(serve_one(stream, window.clone(), desk.clone()));
            }
            Ok(_) => tracing::warn!("another user tried to be the window"),
            Err(error) => {
                // Such as no descriptor left: wait a little rather than spin.
                tracing::warn!(%error, "a window was not accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_one<D: Desk>(stream: UnixStream, window: Window, desk: Arc<D>) {
    let (read, write) = stream.into_split();
    let (events, told) = mpsc::channel(EVENTS);
    let Some(connected) = window.connected(events) else {
        tracing::warn!("a second window was refused");
        return;
    };
    let (out, answers) = mpsc::channel(ANSWERS);
    // Either's end is that of both: a window that does not read is not heard any further either.
    tokio::select! {
        heard = hear(BufReader::new(read), &desk, &out) => {
            if let Err(error) = heard {
                tracing::warn!(error = %chain(&error), "the window was hung up on");
            }
        }
        () = write_all(write, answers, told, desk.state()) => {}
    }
    drop(connected);
}

/// Reads questions until the window ends or says something that is none.
async fn hear<D: Desk>(
    mut read: BufReader<tokio::net::unix::OwnedReadHalf>,
    desk: &Arc<D>,
    out: &mpsc::Sender<Frame>,
) -> Result<(), FrameError> {
    let places = Arc::new(Semaphore::new(MAX_OPEN_QUESTIONS));
    while let Some(Question { v, id, call }) = frames::read(&mut read, MAX_QUESTION_BYTES).await? {
        if v != ipc::VERSION {
            // It could not be sent to a window that is gone, which needs no answer.
            let _ = out
                .send(refused(id, ProblemCode::Version, OTHER_VERSION))
                .await;
            continue;
        }
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return Ok(());
        };
        let (desk, out) = (desk.clone(), out.clone());
        // On its own, so that a vote is finished even when the window dies over it.
        tokio::spawn(async move {
            let answer = desk.answer(call).await;
            let _ = out.send(Frame::Answer { id, answer }).await;
            drop(place);
        });
    }
    Ok(())
}

fn refused(id: u64, code: ProblemCode, sentence: &str) -> Frame {
    let problem = Problem {
        code,
        sentence: sentence.to_owned(),
    };
    Frame::Answer {
        id,
        answer: Answer::Refused { problem },
    }
}

/// Writes what is due. States are not queued: a window that was slow gets the newest one only.
async fn write_all(
    mut write: OwnedWriteHalf,
    mut answers: mpsc::Receiver<Frame>,
    mut events: mpsc::Receiver<Event>,
    mut states: watch::Receiver<Arc<State>>,
) {
    loop {
        let frame = tokio::select! {
            frame = answers.recv() => frame,
            event = events.recv() => event.map(|event| Frame::Event { event }),
            changed = states.changed() => changed.ok().map(|()| {
                let state = Box::new(State::clone(&states.borrow_and_update()));
                Frame::Event { event: Event::State { state } }
            }),
        };
        let Some(frame) = frame else { return };
        let line = match line_of(&frame) {
            Ok(line) => line,
            Err(error) => {
                return tracing::warn!(error = %chain(&error), "the window cannot be told");
            }
        };
        match timeout(WRITE_PATIENCE, write.write_all(&line)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tracing::debug!(%error, "the window does not read"),
            Err(_) => return tracing::warn!("the window reads too slowly"),
        }
    }
}

/// An answer that the window would refuse for its length becomes a refusal that it can show.
fn line_of(frame: &Frame) -> Result<Vec<u8>, FrameError> {
    match (frames::line(frame, ipc::MAX_FRAME_BYTES), frame) {
        (Err(FrameError::TooLong { .. }), Frame::Answer { id, answer: _ }) => {
            let refused = refused(*id, ProblemCode::Other, TOO_LONG);
            frames::line(&refused, ipc::MAX_FRAME_BYTES)
        }
        (line, Frame::Answer { .. } | Frame::Event { .. }) => line,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
