//! The file: read, and checked to be whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use countersign_gate_http::caller::{Standing, TokenSource};
use countersign_model::{Operation, Subject, UnixSecs, Voter};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::outcome::Outcome;
use super::super::{explain::completed, read_text};
use super::{NOW, Vote};
use crate::exit::{Exit, Stop};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: PathBuf,
    subjects: BTreeMap<String, SubjectEntry>,
    operations: BTreeMap<String, OperationEntry>,
    expect: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    votes: Vec<VoteEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectEntry {
    /// `<issuer>|<subject>`.
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// As their provider writes them.
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    /// Who acts for them, as a token's `act` says it.
    act: Option<Value>,
    /// Of their access token.
    #[serde(default)]
    scopes: BTreeSet<String>,
    /// How long ago they signed in: `5m`.
    signed_in: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationEntry {
    action: String,
    resource: Resource,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    context: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// Who may vote on what somebody asked for. Everybody else may not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteEntry {
    operation: String,
    asked_by: String,
    stage: Option<String>,
    may: BTreeSet<String>,
}

/// A matrix, read.
pub(super) struct Matrix {
    path: PathBuf,
    /// The policy that it is about.
    pub(super) policy: PathBuf,
    pub(super) people: BTreeMap<String, Person>,
    operations: BTreeMap<(String, String), Operation>,
    names: Vec<String>,
    expect: BTreeMap<String, BTreeMap<String, String>>,
    votes: Vec<VoteEntry>,
}

/// A subject, as a voter and by what their token is.
pub(super) struct Person {
    pub(super) voter: Voter,
    pub(super) standing: Standing,
}

impl Matrix {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let wrong = |why: String| wrong(path, &why);
        let file: File = toml::from_str(&read_text(path)?)
            .map_err(|error| wrong(format!("is not as it must be: {}", error.message())))?;
        let File {
            policy,
            subjects,
            operations,
            expect,
            votes,
        } = file;
        if subjects.is_empty() || operations.is_empty() {
            return Err(wrong("names no subject or no operation".to_owned()));
        }
        let mut people = BTreeMap::new();
        let mut built = BTreeMap::new();
        for (name, subject) in &subjects {
            let person =
                person(subject).map_err(|why| wrong(format!("subject `{name}`: {why}")))?;
            for (title, operation) in &operations {
                let one = Operation::build(completed(tuple(subject, operation)))
                    .map_err(|error| wrong(format!("operation `{title}` by `{name}`: {error}")))?;
                built.insert((name.clone(), title.clone()), one);
            }
            people.insert(name.clone(), person);
        }
        Ok(Self {
            // Paths are relative to the file.
            policy: path.parent().unwrap_or(Path::new("")).join(policy),
            path: path.to_owned(),
            people,
            operations: built,
            names: operations.into_keys().collect(),
            expect,
            votes,
        })
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// An operation by a subject; both are names of this file.
    pub(super) fn operation(&self, subject: &str, operation: &str) -> Operation {
        self.operations[&(subject.to_owned(), operation.to_owned())].clone()
    }

    /// Every cell, with what the file says.
    pub(super) fn expected(&self) -> anyhow::Result<BTreeMap<(String, String), Outcome>> {
        for (subject, row) in &self.expect {
            let stray = row.keys().find(|title| !self.names.contains(title));
            if !self.people.contains_key(subject) {
                return Err(self.wrong(&format!("[expect] names no subject: `{subject}`")));
            }
            if let Some(stray) = stray {
                return Err(
                    self.wrong(&format!("[expect.{subject}] names no operation: `{stray}`"))
                );
            }
        }
        let mut cells = BTreeMap::new();
        let mut missing = Vec::new();
        for key @ (subject, title) in self.operations.keys() {
            match self.expect.get(subject).and_then(|row| row.get(title)) {
                None => missing.push(format!("`{subject}` × `{title}`")),
                Some(text) => {
                    let outcome = Outcome::parse(text).map_err(|why| {
                        self.wrong(&format!("[expect.{subject}] `{title}`: {why}"))
                    })?;
                    cells.insert(key.clone(), outcome);
                }
            }
        }
        if let Some(first) = missing.first() {
            let more = match missing.len() {
                1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            return Err(self.wrong(&format!(
                "says nothing about {first}{more}: every subject has an outcome for every operation (--found prints them)"
            )));
        }
        Ok(cells)
    }

    /// Every vote, with what the file says.
    pub(super) fn votes(&self) -> anyhow::Result<Vec<Vote>> {
        let mut votes = Vec::new();
        for entry in &self.votes {
            let VoteEntry {
                operation,
                asked_by,
                stage,
                may,
            } = entry;
            let people = may.iter().chain([asked_by]);
            if let Some(stray) = people
                .into_iter()
                .find(|name| !self.people.contains_key(*name))
            {
                return Err(self.wrong(&format!("[[votes]] names no subject: `{stray}`")));
            }
            if !self.names.contains(operation) {
                return Err(self.wrong(&format!("[[votes]] names no operation: `{operation}`")));
            }
            votes.extend(self.people.keys().map(|subject| Vote {
                subject: subject.clone(),
                asked_by: asked_by.clone(),
                operation: operation.clone(),
                stage: stage.clone(),
                may: may.contains(subject),
            }));
        }
        Ok(votes)
    }

    fn wrong(&self, why: &str) -> anyhow::Error {
        wrong(&self.path, why)
    }
}

fn wrong(path: &Path, why: &str) -> anyhow::Error {
    Stop::with(Exit::Usage, format!("`{}` {why}", path.display()))
}

fn person(entry: &SubjectEntry) -> Result<Person, String> {
    let subject = Subject::parse(&entry.id).map_err(|error| error.to_string())?;
    let mut claims = entry.claims.clone();
    claims.insert("iss".to_owned(), json!(subject.iss.as_str()));
    claims.insert("sub".to_owned(), json!(subject.sub));
    let acr = entry.claims.get("acr").and_then(Value::as_str);
    let signed_in = entry.signed_in.as_deref().map(ago).transpose()?;
    Ok(Person {
        standing: Standing {
            scopes: entry.scopes.clone(),
            acrs: acr.map(str::to_owned).into_iter().collect(),
            auth_time: signed_in.map(|secs| UnixSecs(NOW.0 - secs)),
            source: TokenSource::default(),
        },
        voter: Voter {
            groups: entry
                .groups
                .iter()
                .map(|group| format!("{}#{group}", subject.iss))
                .collect(),
            claims: Value::Object(claims),
            subject,
        },
    })
}

/// `90s`, `5m`, `2h`, `3d`.
fn ago(text: &str) -> Result<i64, String> {
    [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)]
        .into_iter()
        .find_map(|(unit, secs)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(i64::from(number) * secs)
        })
        .ok_or_else(|| {
            format!("`signed_in = \"{text}\"`: write how long ago, such as \"5m\" or \"2h\"")
        })
}

fn tuple(subject: &SubjectEntry, operation: &OperationEntry) -> Value {
    let mut claims = subject.claims.clone();
    claims.insert("groups".to_owned(), json!(subject.groups));
    let mut properties = json!({ "claims": claims });
    if let Some(act) = &subject.act {
        properties["act"] = act.clone();
    }
    let OperationEntry {
        action,
        resource,
        properties: call,
        context,
    } = operation;
    json!({
        "subject": {
            "type": subject.kind.as_deref().unwrap_or("user"), "id": subject.id, "properties": properties,
        },
        "action": { "name": action, "properties": call },
        "resource": { "type": resource.kind, "id": resource.id, "properties": resource.properties },
        "context": context,
    })
}
