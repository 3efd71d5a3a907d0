//! The benchmarks: `cargo xtask bench NAME`. Each measures real parts beside a peer in the same run, prints a table
//! and writes `target/bench/NAME.json`. What they mean stands in `docs/BENCHMARKS.md`.
//!
//! A benchmark is never a test: it asserts that what it measured really happened, and judges no figure.

mod asking;
mod frame;
mod gate;
mod history;
mod idle;
mod jwks;
mod measure;
mod nats;
mod openings;
mod overheard;
mod picture;
mod policy;
mod process;
mod release;
mod resident;
mod signed_in;
mod start;
mod told;
mod tray;

use anyhow::{Result, bail};

const NAMES: &str = "\
  frame     request made -> frame at the approver, beside fdatasync and NATS core
  release   vote cast -> blocked call answered, beside fdatasync
  gate      a call that needs no approval, beside nginx as a proxy, nginx with auth_request, no proxy
  policy    one answer of the policy, beside bare Cedar and regorus over the same rules, 10 and 10,000 of them
  jwks      tokens that name unknown keys, beside known ones; how often the provider's keys are fetched
  history   first pages of a million past requests by filter and by text, beside plain SQLite with FTS5
  start     app: cold start to a window with content, beside a hello-world Tauri app and chromium --app; warm openings
  told      app: request made -> notification on the bus -> painted; a click on it -> the card painted
  tray      app: memory and wake-ups with no window open, and after a thousand openings (BENCH_MINUTES, default 10)
  all       all of them";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match wanted.as_str() {
        "frame" => frame::run().await,
        "release" => release::run().await,
        "gate" => gate::run().await,
        "policy" => policy::run(),
        "jwks" => jwks::run().await,
        "history" => history::run().await,
        "start" => start::run(),
        "told" => told::run().await,
        "tray" => tray::run().await,
        "all" => {
            frame::run().await?;
            release::run().await?;
            gate::run().await?;
            policy::run()?;
            jwks::run().await?;
            history::run().await?;
            start::run()?;
            told::run().await?;
            tray::run().await
        }
        "" => {
            println!("cargo xtask bench NAME, where NAME is one of\n{NAMES}");
            Ok(())
        }
        other => bail!("no benchmark is called `{other}`; there are\n{NAMES}"),
    }
}
