//! Samples, their quantiles, and what is made of them: a table for people, JSON for machines.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use countersign_tests::paths;
use serde_json::{Value, json};

/// What one thing took, round by round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    name: String,
    unit: &'static str,
    rounds: Vec<Vec<f64>>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn round(&mut self) {
        self.rounds.push(Vec::new());
    }

    pub(crate) fn push(&mut self, value: f64) {
        match self.rounds.last_mut() {
            Some(round) => round.push(value),
            None => self.rounds.push(vec![value]),
        }
    }

    pub(crate) fn push_time(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e3);
    }

    fn all(&self) -> Vec<f64> {
        sorted(self.rounds.iter().flatten().copied().collect())
    }

    fn medians(&self) -> Vec<f64> {
        self.rounds
            .iter()
            .map(|round| quantile(&sorted(round.clone()), 0.5))
            .collect()
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which this share of the sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a short list"
    )]
    let at = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[at]
}

/// A finished benchmark.
pub(crate) struct Report {
    name: &'static str,
    goal: &'static str,
    series: Vec<Series>,
    compared: Vec<Value>,
    lines: Vec<String>,
    missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str, goal: &'static str) -> Self {
        Self {
            name,
            goal,
            series: Vec::new(),
            compared: Vec::new(),
            lines: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, series: Series) {
        self.series.push(series);
    }

    /// The median of per-round ratios of medians, with its range.
    pub(crate) fn ratio(&mut self, what: &str, a: &Series, b: &Series) {
        let per_round = a.medians().into_iter().zip(b.medians()).map(|(a, b)| a / b);
        self.compare(what, "ratio", per_round.collect());
    }

    /// The median of per-round differences of medians, with its range.
    pub(crate) fn difference(&mut self, what: &str, a: &Series, b: &Series) {
        let per_round = a.medians().into_iter().zip(b.medians()).map(|(a, b)| a - b);
        self.compare(what, a.unit, per_round.collect());
    }

    fn compare(&mut self, what: &str, unit: &str, per_round: Vec<f64>) {
        let per_round = sorted(per_round);
        let (low, middle, high) = (
            quantile(&per_round, 0.0),
            quantile(&per_round, 0.5),
            quantile(&per_round, 1.0),
        );
        self.lines.push(format!(
            "{what}: {middle:.3} {unit} (rounds {low:.3} to {high:.3})"
        ));
        self.compared.push(json!({
            "what": what, "unit": unit, "median": middle, "low": low, "high": high, "rounds": per_round.len(),
        }));
    }

    /// What the goal compares with and this run does not.
    pub(crate) fn missing(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }

    /// Prints it and writes its JSON.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{}\n  goal: {}", self.name, self.goal);
        println!(
            "  {:<52} {:>5} {:>9} {:>9} {:>9} {:>9}",
            "", "n", "p50", "p90", "p99", "max"
        );
        let mut rows = Vec::new();
        for series in &self.series {
            let all = series.all();
            let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| quantile(&all, share));
            println!(
                "  {:<52} {:>5} {p50:>9.3} {p90:>9.3} {p99:>9.3} {max:>9.3} {}",
                series.name,
                all.len(),
                series.unit
            );
            rows.push(json!({
                "what": series.name, "unit": series.unit, "p50": p50, "p90": p90, "p99": p99, "max": max,
                "rounds": series.rounds,
            }));
        }
        for line in &self.lines {
            println!("  {line}");
        }
        for what in &self.missing {
            println!("  missing: {what}");
        }
        let path = folder()?.join(format!("{}.json", self.name));
        let whole = json!({
            "bench": self.name, "goal": self.goal, "series": rows, "compared": self.compared, "missing": self.missing,
        });
        fs::write(&path, serde_json::to_vec_pretty(&whole)?)
            .with_context(|| format!("write {}", path.display()))
    }
}

/// Where results and scratch files lie.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = paths::root().join("target/bench");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// What one durable write costs on this disk at this minute.
pub(crate) struct Floor {
    file: File,
}

impl Floor {
    pub(crate) fn open() -> Result<Self> {
        let path = folder()?.join("floor");
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { file })
    }

    /// Appends 4 KiB and waits until it is on the disk.
    pub(crate) fn write(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.file.write_all(&[0x5a; 4096]).context("append")?;
        self.file.sync_data().context("sync")?;
        Ok(begun.elapsed())
    }
}
