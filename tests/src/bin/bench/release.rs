//! Vote cast → blocked call answered: the second approver's vote leaves their program (which reads the request again,
//! signs, sends); the server verifies, writes, grants; the gate verifies everything, spends, redeems, forwards; the
//! caller has the answer.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use countersign_api::ipc::Choice;
use countersign_tests::world::World;
use reqwest::Method;

use crate::measure::{Floor, Report, Series};

const ROUNDS: usize = 10;
const A_ROUND: usize = 10;

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let (elin, jonas) = (
        world.approver("elin").await?,
        world.approver("jonas").await?,
    );
    let token = world.token("mara").await?;
    let mut floor = Floor::open()?;
    let mut synced = Series::new("append 4 KiB and fdatasync", "ms");
    let mut released = Series::new("last vote cast -> call answered", "ms");
    for round in 0..=ROUNDS {
        let counted = round > 0;
        if counted {
            synced.round();
            released.round();
        }
        for _ in 0..A_ROUND {
            let held = world.held(world.call(Method::DELETE, "/customers/42", &token));
            elin.vote(Choice::Approve, None, None).await?;
            let row = jonas.request().await?;
            let card = jonas
                .app
                .card(&row.txn)
                .await
                .map_err(|problem| anyhow::anyhow!(problem.sentence))?;
            let sync = floor.write()?;
            let begun = Instant::now();
            let vote = jonas
                .app
                .vote(&row.txn, Choice::Approve, None, None, card.display_digest);
            let (voted, answer) = tokio::join!(vote, held);
            let took = begun.elapsed();
            voted.map_err(|problem| anyhow::anyhow!(problem.sentence))?;
            let answer = answer.context("the call's task ended")??;
            ensure!(
                answer.status == 200 || answer.status == 404,
                "the call was not released: {answer:?}"
            );
            if counted {
                synced.push_time(sync);
                released.push_time(took);
            }
            for approver in [&elin, &jonas] {
                approver
                    .until("an empty inbox", |state| {
                        (state.inbox.is_empty() && state.others.is_empty()).then_some(())
                    })
                    .await?;
            }
        }
    }
    let mut report = Report::new(
        "release",
        "p50 at most 1.5 x the floor of its durable writes and signatures",
    );
    report.ratio(
        "released, in durable writes of this disk",
        &released,
        &synced,
    );
    report.add(synced);
    report.add(released);
    report.finish()
}
