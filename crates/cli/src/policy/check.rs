//! `countersign policy check`: is it sound, and right for what it runs among?

use std::path::{Path, PathBuf};

use countersign_model::PolicyCheck as _;
use countersign_policy::{Finding, LoadError, Policy, Weight};
use serde_json::{Value, json};

use super::excerpt::excerpt;
use super::{read_text, shown, surroundings};
use crate::exit::{Exit, Stop};

/// Checks a policy and says what is in it, or what is wrong with it and where.
pub(super) fn run(
    path: &Path,
    providers: Option<&Path>,
    gates: &[PathBuf],
    json: bool,
) -> anyhow::Result<Exit> {
    let text = read_text(path)?;
    let around = surroundings::read(providers, gates)?;
    let (policy, findings) = match Policy::load(&text) {
        Ok(policy) => {
            let findings = policy.check(&text, &around);
            (Some(policy), findings)
        }
        Err(error) => (None, vec![of_load(error)]),
    };
    let errors = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Error)
        .count();
    if json {
        println!(
            "{:#}",
            as_json(path, policy.as_ref(), errors == 0, &findings)
        );
    } else {
        for finding in &findings {
            eprint!("{}", report(path, &text, finding));
        }
    }
    if errors > 0 {
        let things = if errors == 1 {
            "thing is"
        } else {
            "things are"
        };
        return Err(Stop::with(
            Exit::Usage,
            format!(
                "{}: {errors} {things} wrong with this policy",
                path.display()
            ),
        ));
    }
    if let (Some(policy), false) = (policy, json) {
        let actions: Vec<&str> = policy.actions().collect();
        println!("{} is a valid policy.", path.display());
        println!("digest   {}", policy.digest());
        println!("actions  {}", actions.join(", "));
        let files = providers
            .into_iter()
            .chain(gates.iter().map(PathBuf::as_path));
        let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
        if !files.is_empty() {
            println!("against  {}", files.join(", "));
        }
    }
    Ok(Exit::Done)
}

fn of_load(error: LoadError) -> Finding {
    let LoadError {
        line,
        column,
        policy,
        sentence,
    } = error;
    Finding {
        weight: Weight::Error,
        policy,
        place: Some((line, column)),
        sentence,
    }
}

fn word(weight: Weight) -> &'static str {
    match weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
    }
}

fn report(path: &Path, text: &str, finding: &Finding) -> String {
    let Finding {
        weight,
        policy,
        place,
        sentence,
    } = finding;
    let of = policy
        .as_ref()
        .map_or_else(String::new, |id| format!(" in the policy `{id}`"));
    let place = place.map_or_else(String::new, |(line, column)| {
        excerpt(path, text, line, column)
    });
    format!("{}{of}: {}\n{place}\n", word(*weight), shown(sentence))
}

fn as_json(path: &Path, policy: Option<&Policy>, valid: bool, findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "weight": word(finding.weight),
            "policy": finding.policy,
            "line": finding.place.map(|(line, _)| line),
            "column": finding.place.map(|(_, column)| column),
            "sentence": finding.sentence,
        })
    };
    json!({
        "file": path.display().to_string(),
        "valid": valid,
        "digest": policy.map(|policy| policy.digest().to_string()),
        "actions": policy.map(|policy| policy.actions().collect::<Vec<_>>()),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
