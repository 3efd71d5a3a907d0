//! `cargo xtask test`: everything that must hold, in the order in which it is cheap to find out. A step that fails
//! does not keep the later ones from running; the closing line counts all of them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::run::Shown;
use crate::system::Purpose;
use crate::{demo, node, python, run, system, tidy};

/// A part of the whole: it adds to what has been counted, and fails only when it cannot be carried out.
type Part = fn(&mut Tally) -> Result<()>;

/// Each part by its name, in order.
const PARTS: &[(&str, Part)] = &[
    ("fmt", fmt),
    ("tidy", |tally| {
        tally.whole("tidy", tidy::check());
        Ok(())
    }),
    ("clippy", clippy),
    ("rust", rust),
    ("spec", spec),
    ("ui", ui),
    ("e2e", end_to_end),
];

/// The package whose tests are the end-to-end ones.
const WORLD: &str = "countersign-tests";

/// What has been counted so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    /// A step that counts as one.
    fn whole(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => self.fail(name, &format!("{error:#}")),
        }
    }

    /// A step that counts its own tests. One that ends badly without naming a failed test counts as one failure.
    fn counted(&mut self, name: &str, shown: &Shown) {
        let (passed, failed) = counts(&shown.text);
        self.passed += passed;
        if shown.good && failed == 0 {
            if passed == 0 {
                self.passed += 1;
            }
            return;
        }
        self.failed += failed.max(1) - 1;
        self.fail(name, "see above");
    }

    fn fail(&mut self, name: &str, why: &str) {
        eprintln!("FAILED {name}: {why}");
        self.failed += 1;
        self.failures.push(name.to_owned());
    }
}

/// `cargo xtask test [--only NAME]`.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let parts: Vec<_> = PARTS
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .collect();
    if parts.is_empty() {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no such part; these are: {}", names.join(", "));
    }
    if !matches!(only, Some("fmt" | "tidy" | "spec")) {
        node::check()?;
        system::prepare(Purpose::Tests)?;
        node::install("tests/op")?;
        node::build_ui()?;
    }
    let mut tally = Tally::default();
    for (name, part) in parts {
        println!("\n== {name}");
        if let Err(error) = part(&mut tally) {
            tally.fail(name, &format!("{error:#}"));
        }
    }
    for name in &tally.failures {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// `cargo xtask codegen`.
pub(crate) fn codegen() -> Result<()> {
    let mut command = run::command(
        ".",
        &[
            "cargo",
            "test",
            "-q",
            "-p",
            "countersign-api",
            "--test",
            "typescript",
        ],
    );
    command.env("UPDATE_GENERATED", "1");
    if !run::shown(command)?.good {
        bail!("the TypeScript could not be written");
    }
    println!("ui/src/generated is what crates/api yields.");
    Ok(())
}

fn fmt(tally: &mut Tally) -> Result<()> {
    tally.whole(
        "cargo fmt",
        run::must(".", &["cargo", "fmt", "--all", "--check"]),
    );
    Ok(())
}

fn clippy(tally: &mut Tally) -> Result<()> {
    let words = [
        "cargo",
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    tally.whole("clippy", run::must(".", &words));
    Ok(())
}

fn spec(tally: &mut Tally) -> Result<()> {
    let shown = run::shown(run::command(".", &["python3", "docs/spec/check.py"]))?;
    tally.counted("docs/spec/check.py", &shown);
    Ok(())
}

fn ui(tally: &mut Tally) -> Result<()> {
    tally.whole(
        "ui: check",
        run::must("ui", &["npm", "run", "--silent", "check"]),
    );
    for script in ["test", "test:pages"] {
        let mut command = run::command("ui", &["npm", "run", "--silent", script]);
        command.env("NO_COLOR", "1");
        tally.counted(&format!("ui: {script}"), &run::shown(command)?);
    }
    Ok(())
}

fn rust(tally: &mut Tally) -> Result<()> {
    run_tests(tally, |package| package != WORLD)
}

fn end_to_end(tally: &mut Tally) -> Result<()> {
    python::install()?;
    run::must(
        ".",
        &[&["cargo", "build", "--quiet", "--bins"], demo::PROGRAMS].concat(),
    )?;
    run_tests(tally, |package| package == WORLD)
}

/// One test program, as cargo has built it.
struct Program {
    package: String,
    name: String,
    path: PathBuf,
    folder: PathBuf,
}

/// Builds all tests at once (one set of features, so nothing is built twice), then runs those of the chosen packages.
fn run_tests(tally: &mut Tally, chosen: impl Fn(&str) -> bool) -> Result<()> {
    let words = [
        "cargo",
        "test",
        "--workspace",
        "--no-run",
        "--quiet",
        "--message-format=json-render-diagnostics",
    ];
    let messages = run::output(".", &words)?;
    for program in messages.lines().filter_map(test_program) {
        if !chosen(&program.package) {
            continue;
        }
        println!("\n-- {} {}", program.package, program.name);
        let mut command = Command::new(&program.path);
        command.current_dir(&program.folder);
        let shown = run::shown(command)?;
        // A program without tests says "0 passed", which must not count as a pass of its own.
        if shown.good && counts(&shown.text) == (0, 0) {
            continue;
        }
        tally.counted(&format!("{} {}", program.package, program.name), &shown);
    }
    Ok(())
}

fn test_program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    if message["profile"]["test"] != Value::Bool(true) {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let text = std::fs::read_to_string(&manifest).ok()?;
    let package = text
        .lines()
        .find_map(|line| line.strip_prefix("name = \""))?
        .trim_end_matches('"')
        .to_owned();
    Some(Program {
        package,
        name: message["target"]["name"].as_str()?.to_owned(),
        path,
        folder: manifest.parent()?.to_path_buf(),
    })
}

/// Passed and failed tests in what a test runner printed: Rust's, vitest's, Node's, or a line `N passed, N failed`.
fn counts(text: &str) -> (u64, u64) {
    let mut passed = 0;
    let mut failed = 0;
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            passed += number_before(rest, " passed");
            failed += number_before(rest, " failed");
        } else if let Some(rest) = line.strip_prefix("Tests  ") {
            passed += number_before(rest, " passed");
            failed += number_before(rest, " failed");
        } else if let Some(rest) = line
            .strip_prefix("# pass ")
            .or(line.strip_prefix("ℹ pass "))
        {
            passed += rest.trim().parse::<u64>().unwrap_or(0);
        } else if let Some(rest) = line
            .strip_prefix("# fail ")
            .or(line.strip_prefix("ℹ fail "))
        {
            failed += rest.trim().parse::<u64>().unwrap_or(0);
        } else if line.ends_with(" failed") && line.contains(" passed, ") {
            passed += number_before(line, " passed");
            failed += number_before(line, " failed");
        }
    }
    (passed, failed)
}

fn number_before(text: &str, word: &str) -> u64 {
    text.find(word)
        .and_then(|end| text[..end].rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn each_runner_is_counted() {
        assert_eq!(
            counts("test result: ok. 12 passed; 0 failed; 1 ignored"),
            (12, 0)
        );
        assert_eq!(
            counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"),
            (3, 2)
        );
        assert_eq!(counts("      Tests  1 failed | 41 passed (42)"), (41, 1));
        assert_eq!(counts("# pass 7\n# fail 1"), (7, 1));
        assert_eq!(counts("ℹ pass 7\nℹ fail 0"), (7, 0));
        assert_eq!(counts("19 passed, 0 failed"), (19, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(counts("running 3 tests\ntest a ... ok"), (0, 0));
    }
}
