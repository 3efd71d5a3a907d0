//! Request made → frame at the approver: the gate's submission leaves, the server writes it durably, the approver's
//! socket reads `request.created`. Beside it: what one durable write costs here, and what a message costs through NATS
//! core, which keeps nothing. Then the same once more while thousands of other approvers are connected and are asked nothing.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use countersign_client::stream::{Change, Event, Stream};
use countersign_model::Txn;
use countersign_tests::owned::Processes;
use countersign_tests::world::World;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, unbounded_channel};

use crate::asking::Asking;
use crate::idle;
use crate::measure::{Floor, Report, Series};
use crate::nats::Nats;
use crate::signed_in::Door;

const ROUNDS: usize = 10;
const A_ROUND: usize = 30;
const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let door = Door::of(&world).await?;
    let (stream, mut events) =
        Stream::start(door.session("elin").await?, None, rand::random::<f64>);
    connected(&stream, &mut events).await?;
    // Frames are timed where they are read: the submission's answer may come later than its frame.
    let (timed, frames) = unbounded_channel();
    let reader = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { seq, txn, change } = event {
                stream.ack(seq);
                if matches!(change, Change::Created) && timed.send((txn, Instant::now())).is_err() {
                    return;
                }
            }
        }
    });

    let folder = world.folder().join("frame-bench");
    fs::create_dir_all(&folder)?;
    let mut processes = Processes::new(&folder)?;
    let mut scene = Scene {
        gate: Asking::new(&world)?,
        nats: Nats::start(&mut processes).await?,
        floor: Floor::open()?,
        frames,
    };
    let mut report = Report::new("frame", "p50 at most the floor + 0.25 ms");
    scene.measure(&mut report, "").await?;
    match idle::wanted()? {
        Ok(count) => {
            let idle = idle::connect(&world, &door, count).await?;
            let beside = format!(", {count} idle sockets connected");
            scene.measure(&mut report, &beside).await?;
            drop(idle);
        }
        Err(why) => report.missing(why),
    }
    reader.abort();
    report.finish()
}

struct Scene {
    gate: Asking,
    nats: Nats,
    floor: Floor,
    frames: UnboundedReceiver<(String, Instant)>,
}

impl Scene {
    async fn measure(&mut self, report: &mut Report, beside: &str) -> Result<()> {
        let mut synced = Series::new(format!("append 4 KiB and fdatasync{beside}"), "ms");
        let mut passed = Series::new(
            format!("NATS core: published -> received, 2 KiB{beside}"),
            "ms",
        );
        let mut framed = Series::new(
            format!("request made -> frame at the approver{beside}"),
            "ms",
        );
        for round in 0..=ROUNDS {
            // The first round warms up.
            let counted = round > 0;
            if counted {
                synced.round();
                passed.round();
                framed.round();
            }
            for _ in 0..A_ROUND {
                let sync = self.floor.write()?;
                let message = self.nats.pass().await?;
                let begun = Instant::now();
                let txn = self.gate.ask("42").await?;
                let took = created(&mut self.frames, &txn).await? - begun;
                if counted {
                    synced.push_time(sync);
                    passed.push_time(message);
                    framed.push_time(took);
                }
                self.gate.withdraw(&txn).await?;
            }
        }
        report.difference(
            &format!("frame above the floor, p50{beside}"),
            &framed,
            &synced,
        );
        for series in [synced, passed, framed] {
            report.add(series);
        }
        Ok(())
    }
}

/// When the frame of this request was read.
async fn created(frames: &mut UnboundedReceiver<(String, Instant)>, txn: &Txn) -> Result<Instant> {
    loop {
        let (about, at) = tokio::time::timeout(SOON, frames.recv())
            .await
            .context("no frame comes")?
            .context("the stream has ended")?;
        if about == txn.as_str() {
            return Ok(at);
        }
    }
}

/// Waits until a stream stands, and has it go on from the start.
pub(crate) async fn connected(stream: &Stream, events: &mut Receiver<Event>) -> Result<()> {
    loop {
        let event = tokio::time::timeout(SOON, events.recv())
            .await
            .context("the stream is silent")?
            .context("the stream has ended")?;
        if let Event::Connected { .. } = event {
            stream.resume(0);
            return Ok(());
        }
    }
}
