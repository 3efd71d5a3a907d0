//! `countersign policy explain`: what applies to an operation, and why.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use countersign_model::json;
use countersign_model::{Operation, PolicyAnswer};
use countersign_policy::{Explanation, RuleAt};
use serde_json::{Value, json};

use super::{load, shown};
use crate::exit::{Exit, Stop};

/// Explains the policy's answer to an operation.
pub(super) fn run(operation: &Path, policy: &Path, as_json: bool) -> anyhow::Result<Exit> {
    let rules = load(policy)?;
    let operation = read(operation)?;
    let explanation = rules.explain(&operation);
    if as_json {
        println!("{:#}", to_json(&explanation));
    } else {
        print!("{}", text(&operation, &explanation, policy));
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> anyhow::Result<Operation> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read stdin")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    let wrong = |why: String| {
        Stop::with(
            Exit::Usage,
            format!("`{}` is no operation: {why}", path.display()),
        )
    };
    let value = json::parse(&bytes, json::OPERATION).map_err(|error| wrong(error.to_string()))?;
    Operation::build(completed(value)).map_err(|error| wrong(error.to_string()))
}

/// Which gate asks, and its nonce, decide nothing unless a rule looks at the gate.
pub(super) fn completed(mut operation: Value) -> Value {
    if let Some(members) = operation.as_object_mut() {
        let context = members.entry("context").or_insert_with(|| json!({}));
        if let Some(context) = context.as_object_mut() {
            context.entry("pep").or_insert_with(|| json!("gate"));
            context
                .entry("nonce")
                .or_insert_with(|| json!("AAAAAAAAAAAAAAAAAAAAAA"));
        }
    }
    operation
}

fn text(operation: &Operation, explanation: &Explanation, policy: &Path) -> String {
    let Explanation {
        answer,
        applies,
        passed_over,
        asks,
        token: _, // Among what is asked for.
        voters,
    } = explanation;
    let file = policy
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let at = |rule: &RuleAt| format!("{} ({file}:{})", rule.id, rule.line);
    let mut out = vec![format!(
        "{} on {} {}, asked by {}",
        shown(operation.action()),
        shown(operation.resource_type()),
        shown(operation.resource_id()),
        shown(&operation.subject().to_string())
    )];
    out.push(String::new());
    out.push(match answer {
        PolicyAnswer::Allow => "ALLOWED, without approval".to_owned(),
        PolicyAnswer::Approve(_) => "ALLOWED ONCE APPROVED".to_owned(),
        PolicyAnswer::Deny { reason } => format!("DENIED: {}", shown(reason)),
    });
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push(format!("\n{title}"));
            out.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
    };
    list("By these rules", applies.iter().map(at).collect());
    let width = asks.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let values = asks
        .iter()
        .map(|one| shown(&one.value).chars().count().min(40));
    let values = values.max().unwrap_or(0);
    let asked = asks.iter().map(|one| {
        let from = if one.rules.is_empty() {
            "unless a rule says otherwise".to_owned()
        } else {
            one.rules.join(", ")
        };
        format!("{:width$}  {:values$}  {from}", one.name, shown(&one.value))
    });
    list("What it asks for, and which rule says so", asked.collect());
    let voters = voters.iter().map(|one| {
        let stage = one
            .stage
            .as_ref()
            .map_or_else(String::new, |stage| format!("{stage}: "));
        let rules: Vec<String> = one.rules.iter().map(at).collect();
        let by = if rules.is_empty() {
            String::new()
        } else {
            format!(", by {}", rules.join(", "))
        };
        format!("{stage}{}{by}", shown(&one.who))
    });
    list("Who may vote", voters.collect());
    list(
        "These rules name the action and do not apply here",
        passed_over.iter().map(at).collect(),
    );
    out.join("\n") + "\n"
}

fn to_json(explanation: &Explanation) -> Value {
    let Explanation {
        answer,
        applies,
        passed_over,
        asks,
        token,
        voters,
    } = explanation;
    let rules = |rules: &[RuleAt]| -> Value {
        let rule = |rule: &RuleAt| json!({ "id": rule.id, "line": rule.line });
        rules.iter().map(rule).collect()
    };
    let (word, reason, requirement) = match answer {
        PolicyAnswer::Allow => ("allow", None, None),
        PolicyAnswer::Deny { reason } => ("deny", Some(reason), None),
        PolicyAnswer::Approve(requirement) => ("approve", None, Some(requirement.to_value())),
    };
    let asked = asks.iter().map(|one| {
        json!({ "name": one.name, "value": one.value, "rules": one.rules, "default": one.is_default })
    });
    let voters = voters
        .iter()
        .map(|one| json!({ "stage": one.stage, "who": one.who, "rules": rules(&one.rules) }));
    json!({
        "answer": word,
        "reason": reason,
        "requirement": requirement,
        "rules": rules(applies),
        "do_not_apply": rules(passed_over),
        "asks": asked.collect::<Vec<_>>(),
        "token": { "scope": token.scope, "acr": token.acr, "max_age_secs": token.max_age_secs },
        "voters": voters.collect::<Vec<_>>(),
    })
}
