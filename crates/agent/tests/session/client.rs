//! The window's end of the agent's socket, spoken by a test.

use std::path::Path;

use countersign_agent::frames;
use countersign_api::ipc::{self, Answer, Call, Event, Frame, Question, Reply, State};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;

pub(crate) struct Client {
    read: BufReader<OwnedReadHalf>,
    pub(crate) write: OwnedWriteHalf,
    next_id: u64,
}

impl Client {
    /// Connects as soon as this agent listens. (Between its socket's file and its first listening lies a moment.)
    pub(crate) async fn connect(socket: &Path, agent: &mut Child) -> Self {
        let stream = loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => break stream,
                Err(error) => {
                    let ended = agent.try_wait().expect("ask for its end");
                    assert!(ended.is_none(), "it ended: {ended:?}, {error}");
                    tokio::task::yield_now().await;
                }
            }
        };
        let (read, write) = stream.into_split();
        Self {
            read: BufReader::new(read),
            write,
            next_id: 1,
        }
    }

    /// The next frame; none when the agent hung up.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        frames::read(&mut self.read, ipc::MAX_FRAME_BYTES)
            .await
            .expect("a frame")
    }

    /// The next event that `is` the one.
    pub(crate) async fn event(&mut self, is: impl Fn(&Event) -> bool) -> Event {
        loop {
            match self.frame().await.expect("the agent lives") {
                Frame::Event { event } if is(&event) => return event,
                Frame::Event { .. } => {}
                Frame::Answer { .. } => panic!("an answer to no question"),
            }
        }
    }

    pub(crate) async fn ask_as(&mut self, v: u32, call: Call) -> Answer {
        let id = self.next_id;
        self.next_id += 1;
        let question = Question { v, id, call };
        frames::write(&mut self.write, &question, ipc::MAX_FRAME_BYTES)
            .await
            .expect("the agent reads");
        loop {
            match self.frame().await.expect("the agent lives") {
                Frame::Answer { id: of, answer } => {
                    assert_eq!(of, id);
                    return answer;
                }
                Frame::Event { .. } => {}
            }
        }
    }

    pub(crate) async fn ask(&mut self, call: Call) -> Answer {
        self.ask_as(ipc::VERSION, call).await
    }

    pub(crate) async fn state(&mut self) -> State {
        let Answer::Done {
            reply: Reply::State { state },
        } = self.ask(Call::State).await
        else {
            panic!("the state cannot be refused")
        };
        *state
    }

    /// The first state for which `is` holds.
    pub(crate) async fn state_where(&mut self, is: impl Fn(&State) -> bool) -> State {
        let state = self.state().await;
        if is(&state) {
            return state;
        }
        let event = self
            .event(|event| matches!(event, Event::State { state } if is(state)))
            .await;
        let Event::State { state } = event else {
            unreachable!("no other event is the one")
        };
        *state
    }
}
