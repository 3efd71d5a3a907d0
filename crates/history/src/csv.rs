//! A selection as one table: RFC 4180, UTF-8, times in UTC (RFC 3339).
//!
//! Whoever opens it does so in a spreadsheet: a field that such a program would take for a formula gets an apostrophe
//! before it. Texts are as the window shows them, with what deceives made visible.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use countersign_api::ipc::{Choice, Kind, Outcome};
use countersign_model::UnixSecs;

use crate::HistoryError;
use crate::cache::Cache;
use crate::entry::{Class, Spans, Stored, plain};
use crate::select::{Merge, Query};

/// The first line.
const HEADER: [&str; 18] = [
    "request",
    "asked_at",
    "ended_at",
    "outcome",
    "kind",
    "requester",
    "requester_issuer",
    "requester_subject",
    "resource",
    "summary",
    "approvals",
    "needed",
    "ended_by",
    "votes",
    "reasons",
    "my_vote",
    "my_seconds",
    "verified_on_this_device",
];

/// A table that is being written: beside its place, until it is whole.
#[derive(Debug)]
pub(crate) struct Table {
    merge: Merge,
    out: BufWriter<File>,
    beside: PathBuf,
    path: PathBuf,
    rows: u64,
}

impl Table {
    pub(crate) fn begin(
        query: &Query,
        caches: &[&Cache],
        path: &Path,
    ) -> Result<Self, HistoryError> {
        let beside = path.with_extension("csv.part");
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options
            .open(&beside)
            .map_err(|error| unwritten(path, &error))?;
        let mut table = Self {
            merge: Merge::behind(query, caches, None, 1_024)?,
            out: BufWriter::new(file),
            beside,
            path: path.to_owned(),
            rows: 0,
        };
        let header = HEADER.map(str::to_owned);
        table.line(&header)?;
        Ok(table)
    }

    /// Writes so many more. `true`: these were all, and the file stands in its place.
    pub(crate) fn go_on(&mut self, caches: &[&Cache], rows: u64) -> Result<bool, HistoryError> {
        for _ in 0..rows {
            let Some((key, of)) = self.merge.next(caches)? else {
                self.finish()?;
                return Ok(true);
            };
            let Some(cache) = caches.get(of) else {
                continue;
            };
            // It may have changed place meanwhile; then it comes again, or did.
            let Some((txn, stored)) = cache.stored(key)? else {
                continue;
            };
            let fields = fields(txn, Class::of_key(key), stored)?;
            self.line(&fields)?;
            self.rows += 1;
        }
        Ok(false)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    fn line(&mut self, fields: &[String; HEADER.len()]) -> Result<(), HistoryError> {
        let written = self.out.write_all(joined(fields).as_bytes());
        written.map_err(|error| unwritten(&self.path, &error))
    }

    fn finish(&mut self) -> Result<(), HistoryError> {
        let done = self
            .out
            .flush()
            .and_then(|()| self.out.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.beside, &self.path));
        done.map_err(|error| unwritten(&self.path, &error))
    }
}

impl Drop for Table {
    /// What was not finished is not left behind; after the end there is nothing.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.beside);
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> HistoryError {
    HistoryError::Write {
        path: path.display().to_string(),
        why: error.to_string(),
    }
}

fn fields(
    txn: String,
    class: Class,
    stored: Stored,
) -> Result<[String; HEADER.len()], HistoryError> {
    let (outcome, kind, _) = class
        .read()
        .ok_or_else(|| HistoryError::Damaged("a key".to_owned()))?;
    let not_genuine = stored.not_genuine;
    let (issuer, subject) = stored.asked_by.clone().unwrap_or_default();
    let votes = stored.votes.clone();
    let row = stored
        .row(crate::entry::key(0, "", class, 0), txn, "")
        .ok_or_else(|| HistoryError::Damaged("a key".to_owned()))?;
    let text = |spans: Spans| plain(&spans.line());
    let (mut said, mut reasons) = (Vec::new(), Vec::new());
    let mut mine = None;
    for vote in votes {
        let name = text(vote.name);
        let word = match vote.choice {
            Choice::Approve if vote.void => "approved (void)",
            Choice::Approve => "approved",
            Choice::Deny => "denied",
        };
        said.push(format!("{name} {word} {}", time(vote.at)));
        if let Some(reason) = vote.reason {
            reasons.push(format!("{name}: {}", text(reason)));
        }
        if vote.mine {
            mine = Some((word, vote.at.saturating_sub(row.asked_at).max(0)));
        }
    }
    Ok([
        guarded(row.txn),
        time(row.asked_at),
        row.ended_at.map(time).unwrap_or_default(),
        outcome_name(outcome).to_owned(),
        kind_name(kind).to_owned(),
        guarded(plain(&row.requester)),
        guarded(issuer),
        guarded(subject),
        guarded(plain(&row.resource)),
        guarded(plain(&row.summary)),
        row.approvals.to_string(),
        row.needed.to_string(),
        guarded(row.ended_by.as_ref().map(plain).unwrap_or_default()),
        guarded(said.join("; ")),
        guarded(reasons.join("; ")),
        mine.map(|(word, _)| word.to_owned()).unwrap_or_default(),
        mine.map(|(_, secs)| secs.to_string()).unwrap_or_default(),
        if not_genuine { "no" } else { "yes" }.to_owned(),
    ])
}

/// Text from outside, with an apostrophe where a spreadsheet would take it for a formula, also behind spaces.
fn guarded(text: String) -> String {
    let begins = text
        .trim_start_matches(|c: char| c.is_whitespace() && !matches!(c, '\t' | '\r' | '\n'))
        .starts_with([
            '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '|', '%',
        ]);
    if begins { format!("'{text}") } else { text }
}

/// A line of a table whose fields come from outside.
#[must_use]
pub fn csv_line<const N: usize>(fields: [String; N]) -> String {
    joined(&fields.map(guarded))
}

fn joined(fields: &[String]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    quoted.join(",") + "\r\n"
}

/// Each field in quotes: nothing in it ends it.
fn quoted(field: &str) -> String {
    let mut quoted = String::with_capacity(field.len() + 2);
    quoted.push('"');
    for c in field.chars() {
        match c {
            '"' => quoted.push_str("\"\""),
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The name of an outcome in files.
#[must_use]
pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pending => "pending",
        Outcome::Approved => "approved",
        Outcome::Redeemed => "redeemed",
        Outcome::Denied => "denied",
        Outcome::Expired => "expired",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Voided => "voided",
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "http",
        Kind::Sql => "sql",
        Kind::Command => "command",
        Kind::Tool => "tool",
        Kind::Other => "other",
    }
}

/// A moment as `2026-11-22T09:48:02Z`.
fn time(at: i64) -> String {
    let utc = UnixSecs(at).utc();
    utc.replacen(' ', "T", 1).replace(" UTC", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for formula in [
            "=1+1",
            "+1",
            "-1",
            "@A1",
            "\t=1",
            " =HYPERLINK(\"x\")",
            "＝1",
            "\n=1",
            "|cmd",
            "%0A",
        ] {
            assert!(guarded(formula.to_owned()).starts_with('\''), "{formula:?}");
        }
        for text in ["Delete customer 42", "a=b", "", "'quoted"] {
            assert_eq!(guarded(text.to_owned()), text);
        }
    }

    #[test]
    fn a_field_never_ends_early() {
        assert_eq!(quoted("a \"b\",\r\nc\0"), "\"a \"\"b\"\",\r\nc\"");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_340_882, "2026-11-22T09:48:02Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(at), text);
        }
    }
}
