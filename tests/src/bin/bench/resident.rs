//! The app's agent on a made desktop, as it starts with a session.

use anyhow::{Context, Result};
use countersign_tests::desktop::Desktop;
use countersign_tests::owned::Processes;
use countersign_tests::paths;
use countersign_tests::seat::Seat;
use countersign_tests::world::World;

/// Its name among the processes.
pub(crate) const NAME: &str = "agent";

/// Starts it, and signs the person of this desktop in. No window is open.
pub(crate) fn signed_in(
    processes: &mut Processes,
    desktop: &Desktop,
    world: &World,
) -> Result<u32> {
    let mut agent = desktop.command(paths::program("countersign-agent")?);
    let agent = processes.spawn(NAME, agent.args(["run", "--server", &world.server_url]))?;
    processes.until_said(NAME, "ready", 1)?;
    Seat::take(desktop.runtime())?
        .sign_in(&world.server_url, &world.op.issuer)
        .context("sign in at the agent")?;
    Ok(agent)
}
