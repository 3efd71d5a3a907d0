//! The rules of the tree that no compiler checks: who may depend on whom, what a file must start with, how long it may
//! get, what it may be called, and what must not stand in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Crates that compute and do nothing else.
const PURE: &[&str] = &[
    "countersign-model",
    "countersign-display",
    "countersign-policy",
    "countersign-lifecycle",
    "countersign-evidence",
];

/// What must not be reachable from a crate, however far away. A name that ends in `*` is a prefix.
const UNREACHABLE: &[(&[&str], &[&str])] = &[
    (
        PURE,
        &[
            "tokio",
            "reqwest",
            "rusqlite",
            "hyper",
            "axum",
            "tracing-subscriber",
        ],
    ),
    (
        &[
            "countersign-gate-http",
            "countersign-pep",
            "countersign-approver",
            "countersign-agent",
            "countersign-window",
        ],
        &["countersign-store", "countersign-server"],
    ),
    // Of the app only the agent keeps something in a database: the history on the device.
    (
        &[
            "countersign-gate-http",
            "countersign-pep",
            "countersign-window",
        ],
        &["countersign-history", "rusqlite"],
    ),
    (
        &["countersign-agent", "countersign-approver"],
        &["gtk*", "gdk*", "webkit*", "tauri*", "wry", "tao"],
    ),
    (&["countersign-policy"], &["countersign-lifecycle"]),
    (&["countersign-lifecycle"], &["countersign-policy"]),
];

/// What must not be named by a crate itself. (`rsa`, inside the token verifier, brings `rand` along.)
const NOT_DIRECT: &[(&[&str], &[&str])] = &[(PURE, &["rand", "tracing", "getrandom"])];

/// The only crates of ours that these may depend on.
const ONLY_OURS: &[(&str, &[&str])] = &[
    ("countersign-window", &["countersign-api"]),
    ("countersign-api", &[]),
    ("countersign-model", &[]),
];

/// Longest file. Past it, the top of the file says why it is one (`One file because …`).
const LONGEST_FILE: usize = 800;

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "manager", "common", "service", "services", "misc",
];

/// `cargo xtask tidy`.
pub(crate) fn check() -> Result<()> {
    let mut faults = dependencies()?;
    for path in tracked_files()? {
        faults.extend(file(&path));
    }
    if faults.is_empty() {
        println!("The tree is tidy.");
        return Ok(());
    }
    for fault in &faults {
        println!("{fault}");
    }
    bail!("{} faults", faults.len())
}

fn tracked_files() -> Result<Vec<String>> {
    let list = run::output(
        ".",
        &[
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    )
    .context("list the files")?;
    Ok(list
        .lines()
        .filter(|path| run::root().join(path).is_file())
        .map(str::to_owned)
        .collect())
}

/// The normal (not dev, not build) dependencies of each package, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph() -> Result<Graph> {
    let about = run::output(".", &["rustc", "-vV"])?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("ask rustc for its host")?;
    let words = [
        "cargo",
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    let text = run::output(".", &words)?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo metadata")?;
    let mut names = BTreeMap::new();
    for package in array(&metadata["packages"]) {
        names.insert(text_of(&package["id"]), text_of(&package["name"]));
    }
    let mut graph = Graph::new();
    for node in array(&metadata["resolve"]["nodes"]) {
        let name = names
            .get(&text_of(&node["id"]))
            .cloned()
            .unwrap_or_default();
        let known = graph.entry(name).or_default();
        for dependency in array(&node["deps"]) {
            if array(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                known.extend(names.get(&text_of(&dependency["pkg"])).cloned());
            }
        }
    }
    Ok(graph)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn dependencies() -> Result<Vec<String>> {
    let graph = graph()?;
    let mut faults = Vec::new();
    for (crates, forbidden) in UNREACHABLE {
        for name in *crates {
            let reached = reachable(&graph, name);
            for (found, path) in &reached {
                if forbidden.iter().any(|pattern| matches(pattern, found)) {
                    faults.push(format!("{name} must not reach {found}, and does: {path}"));
                }
            }
        }
    }
    for (crates, forbidden) in NOT_DIRECT {
        for name in *crates {
            for found in graph.get(*name).into_iter().flatten() {
                if forbidden.contains(&found.as_str()) {
                    faults.push(format!("{name} must not depend on {found}"));
                }
            }
        }
    }
    for (name, allowed) in ONLY_OURS {
        for found in graph.get(*name).into_iter().flatten() {
            if found.starts_with("countersign") && !allowed.contains(&found.as_str()) {
                faults.push(format!("{name} must not depend on {found}"));
            }
        }
    }
    Ok(faults)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// Everything that is reachable, each with one way there.
fn reachable(graph: &Graph, from: &str) -> BTreeMap<String, String> {
    let mut reached = BTreeMap::new();
    let mut open = vec![(from.to_owned(), from.to_owned())];
    while let Some((name, path)) = open.pop() {
        for next in graph.get(&name).into_iter().flatten() {
            if !reached.contains_key(next) {
                let way = format!("{path} > {next}");
                reached.insert(next.clone(), way.clone());
                open.push((next.clone(), way));
            }
        }
    }
    reached
}

/// What is wrong with one file.
fn file(path: &str) -> Vec<String> {
    let Ok(text) = fs::read_to_string(run::root().join(path)) else {
        return Vec::new(); // Not text: pictures.
    };
    let mut faults = Vec::new();
    let is_code = [".rs", ".ts", ".svelte", ".mjs", ".js"]
        .iter()
        .any(|end| path.ends_with(end));
    let is_generated = path.contains("/generated/");
    if path.ends_with(".rs") && !starts_with_its_purpose(&text) {
        faults.push(format!("{path}: does not open with `//!`"));
    }
    let lines = text.lines().count();
    if is_code
        && !is_generated
        && lines > LONGEST_FILE
        && !text
            .lines()
            .take(20)
            .any(|line| line.contains("One file because"))
    {
        faults.push(format!(
            "{path}: {lines} lines; past {LONGEST_FILE} the top says why (`One file because …`)"
        ));
    }
    if is_code
        && path.contains("src/")
        && Path::new(path)
            .iter()
            .any(|part| is_empty_name(part.to_str().unwrap_or_default()))
    {
        faults.push(format!("{path}: name it by what it holds"));
    }
    if path.ends_with(".svelte") && text.contains("{@html") {
        faults.push(format!("{path}: `{{@html}}` turns data into markup"));
    }
    if !path.ends_with("Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            if let Some(found) = machine_text(line) {
                faults.push(format!(
                    "{path}:{}: `{found}` belongs to one machine or registry",
                    number + 1
                ));
            }
        }
    }
    faults
}

/// Attributes of the file (`#![…]`) may come before.
fn starts_with_its_purpose(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!["))
        .is_some_and(|line| line.starts_with("//!"))
}

fn is_empty_name(part: &str) -> bool {
    EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default())
}

/// A registry's host, or a path that exists on one machine only.
fn machine_text(line: &str) -> Option<&'static str> {
    const REGISTRIES: &[&str] = &[
        concat!("registry.", "npmjs.org"),
        concat!("registry.", "yarnpkg.com"),
        concat!("static.", "crates.io"),
        concat!("files.", "pythonhosted.org"),
    ];
    const FOLDERS: &[&str] = &[
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tmp/", "w/"),
    ];
    if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
        return Some(host);
    }
    FOLDERS
        .iter()
        .find(|folder| {
            // `/homes/`, `a/work/b` and URL paths are something else: the folder starts an absolute path.
            line.match_indices(**folder).any(|(at, _)| {
                line[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|before| " \"'`(=:".contains(before))
            })
        })
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_and_registries_are_found() {
        assert!(machine_text(&format!("at \"/wo{}/x\"", "rk")).is_some());
        assert!(machine_text(&format!("https://registry.{}.org/x", "npmjs")).is_some());
        assert!(machine_text("crates/work/src").is_none());
    }

    #[test]
    fn purpose_may_follow_attributes() {
        assert!(starts_with_its_purpose("#![no_std]\n\n//! A crate."));
        assert!(!starts_with_its_purpose("use std::fs;\n//! Late."));
    }

    #[test]
    fn a_forbidden_crate_is_found_however_far_away() {
        let graph: Graph = [("a", "b"), ("b", "c"), ("c", "tokio")]
            .into_iter()
            .map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])))
            .collect();
        assert_eq!(
            reachable(&graph, "a").get("tokio").map(String::as_str),
            Some("a > b > c > tokio")
        );
        assert!(matches("gtk*", "gtk-sys") && !matches("wry", "wry-x"));
    }
}
