//! The history on this device: what is searched for, the rows at a place of the selection, its people and figures,
//! and how an executed request went.
//!
//! There are no cursors: a selection is a list, newest first, and rows are asked for by their place in it. It comes
//! from a cache of closed requests on the device, so that it works offline; the server stays the truth, and a whole
//! card is read from there.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Kind, Line, Outcome, Problem, Row};

/// The most rows of one page.
pub const MAX_PAGE_ROWS: u16 = 200;

/// Search and filters over the history. Everything has to hold at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct HistoryQuery {
    /// Words over people, resources, statements, reasons: each has to begin a word of the entry. All of it is text,
    /// nothing in it is syntax.
    pub text: String,
    /// Only these outcomes; empty: all.
    pub outcomes: Vec<Outcome>,
    /// Only these kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// Only what the account's person voted on.
    pub mine: bool,
    /// Only where this person asked or voted: [`PersonChoice::id`].
    pub person: Option<String>,
    /// Only what ended at this moment or later. Unix seconds.
    #[ts(type = "number | null")]
    pub from: Option<i64>,
    /// Only what ended before this moment. Unix seconds.
    #[ts(type = "number | null")]
    pub until: Option<i64>,
    /// Only of this account ([`super::Account::id`]); all of them where none is named.
    pub account: Option<String>,
}

/// Rows of a selection, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct HistoryPage {
    /// The rows.
    pub rows: Vec<Row>,
    /// The place of the first of them in the selection.
    #[ts(type = "number")]
    pub at: u64,
    /// How many the selection has. Absent while they are counted; [`super::Event::HistoryChanged`] tells when that is done.
    #[ts(type = "number | null")]
    pub total: Option<u64>,
    /// How many entries there are on this device, of these accounts.
    #[ts(type = "number")]
    pub all: u64,
    /// Present while older entries are fetched from the server.
    pub filling: Option<Filling>,
    /// What is not in order with the history on this device.
    pub trouble: Option<Problem>,
}

/// How far the history has been fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Filling {
    /// Entries that are here.
    #[ts(type = "number")]
    pub done: u64,
    /// About how many there will be, once that is known.
    #[ts(type = "number | null")]
    pub of: Option<u64>,
}

/// Somebody to filter by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PersonChoice {
    /// For [`HistoryQuery::person`].
    pub id: String,
    /// As their provider names them.
    pub name: Line,
    /// That provider.
    pub issuer: Line,
    /// Entries in which they asked or voted.
    #[ts(type = "number")]
    pub count: u64,
}

/// Figures of a selection. Of votes, those of the accounts' own persons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Figures {
    /// How often I voted.
    #[ts(type = "number")]
    pub voted: u64,
    /// How many of those were denials.
    #[ts(type = "number")]
    pub denied: u64,
    /// Half of my votes took no longer than this, from the request to the vote.
    pub median_secs: Option<u32>,
    /// The same of everybody's votes.
    pub median_all_secs: Option<u32>,
    /// My votes by week, oldest first, without gaps; the newest [`Figures::MAX_WEEKS`] at most.
    pub weeks: Vec<Week>,
    /// My votes by how long they took, without gaps; the last span is open.
    pub times: Vec<TimeSpan>,
    /// My votes by kind, most first.
    pub kinds: Vec<OfKind>,
}

impl Figures {
    /// The most weeks.
    pub const MAX_WEEKS: usize = 53;
}

/// Votes of one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Week {
    /// Monday, midnight UTC. Unix seconds.
    #[ts(type = "number")]
    pub starts: i64,
    /// Approvals.
    pub approved: u32,
    /// Denials.
    pub denied: u32,
}

/// Votes that took about as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TimeSpan {
    /// From so many seconds on.
    pub from_secs: u32,
    /// Up to, not including; none: open.
    pub to_secs: Option<u32>,
    /// How many.
    pub count: u32,
}

/// Votes on one kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// Approvals.
    pub approved: u32,
    /// Denials.
    pub denied: u32,
}

/// What a selection is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ExportAs {
    /// One table (RFC 4180), a line for each entry.
    Csv,
    /// A folder with the evidence of each approved request, a file each, as `countersign verify` reads it, and a
    /// file `MANIFEST.csv` that says which entries have none, and why.
    Evidence,
}

/// What came of running it, as the gate reported: its word, which no vote covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Execution {
    /// The gate sent it on, once.
    pub executed: bool,
    /// What the upstream answered, for HTTP.
    pub status: Option<u16>,
    /// The gate's rule that refused it, or what went wrong on the way.
    pub refusal: Option<Line>,
    /// The digest of the gate's own policy at that time.
    pub policy_digest: Line,
}
