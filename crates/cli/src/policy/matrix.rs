//! `countersign policy test`: subjects × operations → outcome, as a file that people review.
//!
//! The file is whole or it is refused: a cell that nobody filled in is one that nobody has reviewed. Answers are
//! the policy's own, and tokens are judged by the gate's own check.

mod file;

use std::collections::BTreeMap;
use std::path::Path;

use countersign_gate_http::challenge;
use countersign_model::{PolicyCheck as _, UnixSecs};
use countersign_policy::{Policy, RuleAt};
use serde_json::json;

use self::file::{Matrix, Person};
use super::outcome::Outcome;
use super::{load, shown};
use crate::exit::Exit;

/// When the matrix happens. Only how long ago somebody signed in matters.
const NOW: UnixSecs = UnixSecs(1_800_000_000);

/// A cell whose answer is not what the file says.
struct Differs {
    subject: String,
    operation: String,
    expected: String,
    found: String,
    rules: Vec<RuleAt>,
}

/// Runs a matrix.
pub(super) fn run(
    path: &Path,
    policy: Option<&Path>,
    only_print: bool,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let matrix = Matrix::read(path)?;
    let policy_path = policy.map_or_else(|| matrix.policy.clone(), Path::to_owned);
    let policy = load(&policy_path)?;
    if only_print {
        print!("{}", found(&matrix, &policy));
        return Ok(Exit::Done);
    }
    let expected = matrix.expected()?;
    let mut differs = Vec::new();
    for ((subject, operation), expected) in &expected {
        let (found, rules) = outcome(&matrix, &policy, subject, operation);
        if !found.is_as(expected) {
            differs.push(Differs {
                subject: subject.clone(),
                operation: operation.clone(),
                expected: expected.to_string(),
                found: found.to_string(),
                rules,
            });
        }
    }
    let votes = matrix.votes()?;
    for vote in &votes {
        let found = may_vote(&matrix, &policy, vote);
        if found.is_ok() != vote.may {
            differs.push(Differs {
                subject: vote.subject.clone(),
                operation: vote.title(),
                expected: may(vote.may).to_owned(),
                found: match found {
                    Ok(()) => may(true).to_owned(),
                    Err(why) => format!("{}: {why}", may(false)),
                },
                rules: vec![],
            });
        }
    }
    let cells = expected.len() + votes.len();
    if as_json {
        let cell = |one: &Differs| {
            let rules = one.rules.iter();
            json!({
                "subject": one.subject, "operation": one.operation, "expected": one.expected, "found": one.found,
                "rules": rules.map(|rule| json!({ "id": rule.id, "line": rule.line })).collect::<Vec<_>>(),
            })
        };
        let differing: Vec<_> = differs.iter().map(cell).collect();
        println!("{:#}", json!({ "cells": cells, "differ": differing }));
    } else if differs.is_empty() {
        println!(
            "{}: all {cells} cells are as the file says.",
            path.display()
        );
    } else {
        let differing = differs.len();
        println!(
            "{}: {differing} of {cells} cells are not as the file says.\n",
            path.display()
        );
        print!("{}", table(&differs, &policy_path));
    }
    Ok(if differs.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn may(may: bool) -> &'static str {
    if may { "may vote" } else { "may not vote" }
}

/// What comes of one subject doing one operation, and by which rules.
fn outcome(
    matrix: &Matrix,
    policy: &Policy,
    subject: &str,
    operation: &str,
) -> (Outcome, Vec<RuleAt>) {
    let person = &matrix.people[subject];
    let explanation = policy.explain(&matrix.operation(subject, operation));
    let challenge = challenge::check(&explanation.token, &person.standing, NOW).err();
    (
        Outcome::of(&explanation, challenge.as_ref()),
        explanation.applies,
    )
}

/// Whether somebody may vote, by the file.
struct Vote {
    subject: String,
    asked_by: String,
    operation: String,
    stage: Option<String>,
    may: bool,
}

impl Vote {
    fn title(&self) -> String {
        let stage = self
            .stage
            .as_ref()
            .map_or_else(String::new, |stage| format!(", stage {stage}"));
        format!("vote on {} by {}{stage}", self.operation, self.asked_by)
    }
}

fn may_vote(matrix: &Matrix, policy: &Policy, vote: &Vote) -> Result<(), String> {
    let Person { voter, .. } = &matrix.people[&vote.subject];
    let operation = matrix.operation(&vote.asked_by, &vote.operation);
    policy.may_vote(voter, &operation, vote.stage.as_deref())
}

/// The outcomes as they are, in the file's form.
fn found(matrix: &Matrix, policy: &Policy) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut out = String::new();
    for subject in matrix.people.keys() {
        out.push_str(&format!("[expect.{}]\n", quoted(subject)));
        for operation in matrix.operations() {
            let (found, _) = outcome(matrix, policy, subject, operation);
            out.push_str(&format!(
                "{} = {}\n",
                quoted(operation),
                quoted(&found.to_string())
            ));
        }
        out.push('\n');
    }
    out
}

/// The cells that differ: what the file says beside what the policy answers, and by which rules.
fn table(differs: &[Differs], policy: &Path) -> String {
    let file = policy
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut rows = vec![[
        "subject".to_owned(),
        "operation".to_owned(),
        "the file says".to_owned(),
        "the policy answers".to_owned(),
    ]];
    for one in differs {
        rows.push([
            shown(&one.subject),
            shown(&one.operation),
            shown(&one.expected),
            shown(&one.found),
        ]);
        for rule in &one.rules {
            let at = format!("  by {} ({file}:{})", rule.id, rule.line);
            rows.push([String::new(), String::new(), String::new(), at]);
        }
    }
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: BTreeMap<usize, usize> = (0..3).map(|column| (column, width(column))).collect();
    let line = |row: &[String; 4]| {
        let [subject, operation, expected, found] = row;
        let (a, b, c) = (widths[&0], widths[&1], widths[&2]);
        let line = format!("  {subject:a$}  {operation:b$}  {expected:c$}  {found}");
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
