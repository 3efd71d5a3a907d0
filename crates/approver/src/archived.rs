//! The history on this device, of all accounts: rows, people, figures, and a selection written to files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_api::ipc::{
    ExportAs, Figures, HistoryPage, HistoryQuery, MAX_PAGE_ROWS, Outcome, PersonChoice, Problem,
    ProblemCode, Row,
};
use countersign_history::{Archive, Found, HistoryError, csv_line, outcome_name};
use tokio::sync::{broadcast, watch};

use crate::accounts::Accounts;
use crate::approver::parse;
use crate::kept::write_whole;
use crate::problem::problem;
use crate::state::Event;

/// The longest search, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// Entries whose evidence is written at once.
const MAX_EVIDENCE: u64 = 5_000;
/// Between two events that the history changed.
const PAUSE: Duration = Duration::from_millis(300);
/// Files of one name in a folder.
const MAX_SAME: u32 = 1_000;

impl Accounts {
    /// Rows of a selection from this place on, newest first.
    ///
    /// # Errors
    /// When there is no history on this device.
    pub async fn history(
        &self,
        query: &HistoryQuery,
        at: u64,
        limit: u16,
    ) -> Result<HistoryPage, Problem> {
        let query = bounded(query)?;
        let found = self.archive()?.page(query, at, limit).await;
        let Found {
            rows,
            total,
            all,
            filling,
            again,
        } = found.map_err(|error| of_history(&error))?;
        let trouble = again.then(|| {
            problem(
                ProblemCode::Other,
                "The history on this device was damaged. It was put aside, and is fetched from the server again.",
            )
        });
        Ok(HistoryPage {
            rows,
            at,
            total,
            all,
            filling,
            trouble,
        })
    }

    /// People to filter by.
    ///
    /// # Errors
    /// As [`Accounts::history`].
    pub async fn history_people(
        &self,
        text: &str,
        account: Option<&str>,
    ) -> Result<Vec<PersonChoice>, Problem> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(too_long());
        }
        let people = self.archive()?.people(text, account).await;
        people.map_err(|error| of_history(&error))
    }

    /// Figures of a selection.
    ///
    /// # Errors
    /// As [`Accounts::history`].
    pub async fn figures(&self, query: &HistoryQuery) -> Result<Figures, Problem> {
        let figures = self.archive()?.figures(bounded(query)?).await;
        figures.map_err(|error| of_history(&error))
    }

    /// Nobody looks at the history any more: its files are closed, and its memory given back.
    pub fn history_rests(&self) {
        if let Ok(archive) = self.archive()
            && let Err(error) = archive.rest()
        {
            tracing::debug!(code = error.code(), "the history stays open: {error}");
        }
    }

    /// Writes a selection into this folder; gives the file, or the folder of evidence files.
    ///
    /// # Errors
    /// When it cannot be written, or is too much at once.
    pub async fn export_history(
        &self,
        query: &HistoryQuery,
        what: ExportAs,
        folder: &Path,
    ) -> Result<PathBuf, Problem> {
        let query = bounded(query)?;
        match what {
            ExportAs::Csv => {
                let path = free(folder, "countersign-history", ".csv", |path| {
                    let mut options = std::fs::OpenOptions::new();
                    options.write(true).create_new(true).open(path).map(drop)
                })?;
                let written = self.archive()?.csv(query, path.clone()).await;
                match written {
                    Ok(_) => Ok(path),
                    Err(error) => {
                        // The name was taken with an empty file.
                        let _ = std::fs::remove_file(&path);
                        Err(of_history(&error))
                    }
                }
            }
            ExportAs::Evidence => self.export_evidences(query, folder).await,
        }
    }

    async fn export_evidences(
        &self,
        query: &HistoryQuery,
        folder: &Path,
    ) -> Result<PathBuf, Problem> {
        let beyond = self.history(query, MAX_EVIDENCE, 1).await?;
        if !beyond.rows.is_empty() {
            return Err(problem(
                ProblemCode::Other,
                format!(
                    "The evidence of at most {MAX_EVIDENCE} requests is written at once. Narrow the filter."
                ),
            ));
        }
        let folder = free(folder, "countersign-evidence", "", |path| {
            std::fs::create_dir(path)
        })?;
        let mut manifest = csv_line(["request", "outcome", "file", "why_not"].map(str::to_owned));
        let (mut done, mut at) = (BTreeSet::new(), 0);
        loop {
            let rows = self.history(query, at, MAX_PAGE_ROWS).await?.rows;
            if rows.is_empty() {
                break;
            }
            at += rows.len() as u64;
            for row in rows {
                // What closes meanwhile moves the places: each is written once.
                if !done.insert(row.txn.clone()) {
                    continue;
                }
                let (file, why) = match self.write_evidence(&row, &folder).await? {
                    Ok(file) => (file, String::new()),
                    Err(why) => (String::new(), why),
                };
                let outcome = outcome_name(row.outcome).to_owned();
                manifest += &csv_line([row.txn, outcome, file, why]);
            }
        }
        let path = folder.join("MANIFEST.csv");
        write_whole(&path, manifest.as_bytes()).map_err(|error| unwritten(&path, &error))?;
        Ok(folder)
    }

    /// The file's name; or why there is no evidence.
    async fn write_evidence(
        &self,
        row: &Row,
        folder: &Path,
    ) -> Result<Result<String, String>, Problem> {
        match row.outcome {
            Outcome::Approved | Outcome::Redeemed | Outcome::Voided => {}
            Outcome::Pending | Outcome::Denied | Outcome::Expired | Outcome::Withdrawn => {
                return Ok(Err(
                    "It was not approved, so there is no grant to prove.".to_owned()
                ));
            }
        }
        let approver = match self.account(&row.account) {
            Ok(approver) => approver,
            Err(trouble) => return Ok(Err(trouble.sentence)),
        };
        let txn = match parse(&row.txn) {
            Ok(txn) => txn,
            // Of one that does not verify even the id is the server's word.
            Err(trouble) => return Ok(Err(trouble.sentence)),
        };
        match approver.evidence_bytes(&txn).await {
            Ok(bytes) => {
                let name = format!("countersign-{txn}.json");
                let path = folder.join(&name);
                write_whole(&path, &bytes).map_err(|error| unwritten(&path, &error))?;
                Ok(Ok(name))
            }
            // Without a connection the rest has none either.
            Err(trouble)
                if matches!(
                    trouble.code,
                    ProblemCode::ServerUnreachable | ProblemCode::SignedOut
                ) =>
            {
                Err(trouble)
            }
            Err(trouble) => Ok(Err(trouble.sentence)),
        }
    }
}

/// Tells those who listen that the history changed, a few times a second at most.
pub(crate) async fn tell(mut changed: watch::Receiver<u64>, events: broadcast::Sender<Event>) {
    while changed.changed().await.is_ok() {
        // Nobody listening is fine.
        let _ = events.send(Event::HistoryChanged);
        tokio::time::sleep(PAUSE).await;
    }
}

fn bounded(query: &HistoryQuery) -> Result<&HistoryQuery, Problem> {
    let person = query.person.as_deref().map_or(0, str::len);
    if query.text.len() > MAX_TEXT_BYTES || person > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    Ok(query)
}

fn too_long() -> Problem {
    problem(
        ProblemCode::Other,
        "The search is too long. Use fewer words.",
    )
}

/// Takes a name in a folder that nothing has yet.
fn free(
    folder: &Path,
    name: &str,
    end: &str,
    take: impl Fn(&Path) -> std::io::Result<()>,
) -> Result<PathBuf, Problem> {
    for n in 1..=MAX_SAME {
        let path = match n {
            1 => folder.join(format!("{name}{end}")),
            n => folder.join(format!("{name}-{n}{end}")),
        };
        match take(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritten(&path, &error)),
        }
    }
    Err(problem(
        ProblemCode::Other,
        format!(
            "The folder {} has too many files of this name. Clear it up first.",
            folder.display()
        ),
    ))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Problem {
    problem(
        ProblemCode::Other,
        format!("The file {} could not be written: {error}.", path.display()),
    )
}

fn of_history(error: &HistoryError) -> Problem {
    problem(
        ProblemCode::Other,
        crate::problem::sentence(&error.to_string()),
    )
}

pub(crate) fn start() -> Option<Archive> {
    match Archive::start() {
        Ok(archive) => Some(archive),
        Err(error) => {
            tracing::warn!(code = error.code(), "no history is kept: {error}");
            None
        }
    }
}
