//! The project's own commands: `cargo xtask demo | test | codegen | tidy | bench`.
//!
//! This is plumbing: it calls cargo, npm, git and apt, and knows nothing of what Countersign does. The demo itself is
//! played by the binary `demo` of the package in `tests/`.

mod demo;
mod node;
mod python;
mod run;
mod system;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  demo [--reset]      build everything, start a world of real parts, and play or offer the main job
                      (--reset forgets what earlier runs left under target/demo)
  test [--only NAME]  everything that must hold before a change goes in; NAME is one of
                      fmt, tidy, clippy, rust, spec, ui, e2e
  codegen             write the TypeScript that comes from crates/api
  tidy                the rules of the tree that no compiler checks
  bench NAME          one measurement; without NAME, the list
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::play(demo::State::Keep),
        ["demo", "--reset"] => demo::play(demo::State::Reset),
        ["test"] => test::run(None),
        ["test", "--only", name] => test::run(Some(name)),
        ["codegen"] => test::codegen(),
        ["tidy"] => tidy::check(),
        ["bench", rest @ ..] => demo::bench(rest),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("This is not a command: {}\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
