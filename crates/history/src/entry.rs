//! What is kept of a request, and its key: when it ended, newest first, and its class.

use countersign_api::ipc::{Choice, Kind, Line, Outcome, Party, Role, Row, Span};
use serde::{Deserialize, Serialize};

use crate::approved::Approved;

/// A closed request, verified by whoever puts it in.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its row in a list. Which account it is of is known by the cache that it is put into.
    pub row: Row,
    /// Its bytes verify. What does not is kept too, and says so in its row.
    pub genuine: bool,
    /// Who asked. None where that is not known, because it does not verify.
    pub requester: Option<Person>,
    /// The votes on it, in order.
    pub votes: Vec<Cast>,
    /// More texts that it is found by: the statement, what the requester says. They are not kept.
    pub texts: Vec<String>,
    /// What its person approved from this device, where they did: the next one like it is compared with it.
    pub approved: Option<Approved>,
}

/// A person, as their provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// The subject there.
    pub sub: String,
    /// Their name, made visible.
    pub name: Line,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// Whose.
    pub person: Person,
    /// What it says.
    pub choice: Choice,
    /// When it was counted. Unix seconds.
    pub at: i64,
    /// Why, made visible.
    pub reason: Option<Line>,
    /// It is the account's own person's.
    pub mine: bool,
    /// It was an approval, and counts no more.
    pub void: bool,
}

impl Person {
    /// Names them in queries.
    pub(crate) fn id(&self) -> String {
        id(&self.issuer, &self.sub)
    }
}

fn id(issuer: &str, sub: &str) -> String {
    format!("{issuer}\n{sub}")
}

impl Entry {
    /// When it ended; where that is not known, when voting did.
    pub(crate) fn ended(&self) -> i64 {
        self.row.ended_at.unwrap_or(self.row.expires_at)
    }

    pub(crate) fn class(&self) -> Class {
        Class::of(
            self.row.outcome,
            self.row.kind,
            self.votes.iter().any(|cast| cast.mine),
        )
    }

    /// Every text that it is found by.
    pub(crate) fn all_texts(&self) -> Vec<String> {
        let mut texts = vec![
            plain(&self.row.summary),
            plain(&self.row.requester),
            plain(&self.row.resource),
            self.row.txn.clone(),
        ];
        if let Some(person) = &self.requester {
            texts.push(person.sub.clone());
        }
        for cast in &self.votes {
            texts.push(plain(&cast.person.name));
            texts.extend(cast.reason.as_ref().map(plain));
        }
        texts.extend(self.texts.iter().cloned());
        texts
    }
}

/// A line as plain text.
pub(crate) fn plain(line: &Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

/// Outcome, kind and whether the person voted: seven bits of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class(pub(crate) u8);

impl Class {
    /// How many there can be.
    pub(crate) const COUNT: u8 = 128;

    pub(crate) fn of(outcome: Outcome, kind: Kind, mine: bool) -> Self {
        let outcome = match outcome {
            Outcome::Pending => 0,
            Outcome::Approved => 1,
            Outcome::Redeemed => 2,
            Outcome::Denied => 3,
            Outcome::Expired => 4,
            Outcome::Withdrawn => 5,
            Outcome::Voided => 6,
        };
        let kind = match kind {
            Kind::Http => 0,
            Kind::Sql => 1,
            Kind::Command => 2,
            Kind::Tool => 3,
            Kind::Other => 4,
        };
        Self(outcome << 4 | kind << 1 | u8::from(mine))
    }

    pub(crate) fn of_key(key: i64) -> Self {
        Self((key & 0x7F) as u8)
    }

    /// `None` where the bits are none that were written.
    pub(crate) fn read(self) -> Option<(Outcome, Kind, bool)> {
        let outcome = match self.0 >> 4 {
            0 => Outcome::Pending,
            1 => Outcome::Approved,
            2 => Outcome::Redeemed,
            3 => Outcome::Denied,
            4 => Outcome::Expired,
            5 => Outcome::Withdrawn,
            6 => Outcome::Voided,
            _ => return None,
        };
        let kind = match self.0 >> 1 & 7 {
            0 => Kind::Http,
            1 => Kind::Sql,
            2 => Kind::Command,
            3 => Kind::Tool,
            4 => Kind::Other,
            _ => return None,
        };
        Some((outcome, kind, self.0 & 1 == 1))
    }
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Classes(pub(crate) u128);

impl Classes {
    pub(crate) const ALL: Self = Self(u128::MAX);

    pub(crate) fn selected(outcomes: &[Outcome], kinds: &[Kind], mine: bool) -> Self {
        let mut set = 0;
        for class in 0..Class::COUNT {
            let Some((outcome, kind, voted)) = Class(class).read() else {
                continue;
            };
            let wanted = (outcomes.is_empty() || outcomes.contains(&outcome))
                && (kinds.is_empty() || kinds.contains(&kind))
                && (!mine || voted);
            set |= u128::from(wanted) << class;
        }
        Self(set)
    }

    pub(crate) fn has(self, class: Class) -> bool {
        self.0 >> class.0 & 1 == 1
    }
}

/// Seconds that a key can say: to the year 2242.
const TOP: i64 = (1 << 33) - 1;
/// Bits below the time.
const BELOW_TIME: u32 = 30;
/// Bits of the class.
const CLASS_BITS: u32 = 7;
/// So many entries may end in one second.
const IN_A_SECOND: i64 = 1 << (BELOW_TIME - CLASS_BITS);

/// The key of an entry: smaller is newer. `nth` is another try where the key is taken.
pub(crate) fn key(ended: i64, txn: &str, class: Class, nth: i64) -> i64 {
    // FNV-1a: spreads what ended in the same second, always in the same order. It guards nothing.
    let spread = txn.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let place = (i64::from(spread) + nth).rem_euclid(IN_A_SECOND);
    (TOP - ended.clamp(0, TOP)) << BELOW_TIME | place << CLASS_BITS | i64::from(class.0)
}

/// The keys of what ended at `from` or later, and before `until`: first and one past the last.
pub(crate) fn keys_between(from: Option<i64>, until: Option<i64>) -> (i64, i64) {
    let first = match until {
        None => 0,
        // What is known to have ended before there were times ended at the first of them.
        Some(until) if until <= 0 => i64::MAX,
        Some(until) => (TOP - (until - 1).min(TOP)) << BELOW_TIME,
    };
    let end = match from {
        None => i64::MAX,
        Some(from) if from <= 0 => i64::MAX,
        Some(from) if from > TOP => 0,
        Some(from) => (TOP + 1 - from) << BELOW_TIME,
    };
    (first, end)
}

/// A row as it is stored: names are short, because there are a million of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(rename = "q")]
    requester: Spans,
    #[serde(rename = "i")]
    initials: String,
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    workload: bool,
    #[serde(rename = "s")]
    summary: Spans,
    #[serde(rename = "r")]
    resource: Spans,
    #[serde(rename = "a")]
    asked_at: i64,
    #[serde(rename = "x")]
    expires_at: i64,
    #[serde(rename = "n")]
    approvals: (u32, u32),
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    irreversible: bool,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<Spans>,
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_genuine: bool,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_by: Option<(String, String)>,
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) votes: Vec<StoredVote>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredVote {
    #[serde(rename = "u")]
    pub(crate) subject: (String, String),
    #[serde(rename = "n")]
    pub(crate) name: Spans,
    #[serde(rename = "c")]
    pub(crate) choice: Choice,
    #[serde(rename = "t")]
    pub(crate) at: i64,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Spans>,
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) mine: bool,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) void: bool,
}

/// A line of a row: rows have no indentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spans(Vec<(Role, String)>);

impl Spans {
    pub(crate) fn of(line: &Line) -> Self {
        let spans = line.spans.iter();
        Self(spans.map(|span| (span.role, span.text.clone())).collect())
    }

    pub(crate) fn line(self) -> Line {
        let spans = self.0.into_iter();
        Line {
            indent: 0,
            spans: spans.map(|(role, text)| Span { role, text }).collect(),
        }
    }
}

impl Stored {
    pub(crate) fn of(entry: &Entry) -> Self {
        let Row {
            txn: _,     // Beside it.
            account: _, // The cache's.
            kind: _,    // In the class.
            requester,
            requester_id: _, // That of `asked_by`.
            initials,
            party,
            summary,
            resource,
            asked_at,
            expires_at,
            approvals,
            needed,
            irreversible,
            outcome: _, // In the class.
            ended_at,
            ended_by,
        } = &entry.row;
        Self {
            requester: Spans::of(requester),
            initials: initials.clone(),
            workload: match party {
                Party::Person => false,
                Party::Workload => true,
            },
            summary: Spans::of(summary),
            resource: Spans::of(resource),
            asked_at: *asked_at,
            expires_at: *expires_at,
            approvals: (*approvals, *needed),
            irreversible: *irreversible,
            ended_at: *ended_at,
            ended_by: ended_by.as_ref().map(Spans::of),
            not_genuine: !entry.genuine,
            asked_by: entry.requester.as_ref().map(subject),
            votes: entry
                .votes
                .iter()
                .map(|cast| StoredVote {
                    subject: subject(&cast.person),
                    name: Spans::of(&cast.person.name),
                    choice: cast.choice,
                    at: cast.at,
                    reason: cast.reason.as_ref().map(Spans::of),
                    mine: cast.mine,
                    void: cast.void,
                })
                .collect(),
        }
    }

    /// The row again. `None` where the key is none that was written.
    pub(crate) fn row(self, key: i64, txn: String, account: &str) -> Option<Row> {
        let (outcome, kind, _) = Class::of_key(key).read()?;
        Some(Row {
            txn,
            account: account.to_owned(),
            kind,
            requester: self.requester.line(),
            requester_id: self.asked_by.as_ref().map(|(issuer, sub)| id(issuer, sub)),
            initials: self.initials,
            party: if self.workload {
                Party::Workload
            } else {
                Party::Person
            },
            summary: self.summary.line(),
            resource: self.resource.line(),
            asked_at: self.asked_at,
            expires_at: self.expires_at,
            approvals: self.approvals.0,
            needed: self.approvals.1,
            irreversible: self.irreversible,
            outcome,
            ended_at: self.ended_at,
            ended_by: self.ended_by.map(Spans::line),
        })
    }
}

fn subject(person: &Person) -> (String, String) {
    (person.issuer.clone(), person.sub.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_keys_are_smaller_and_say_their_class() {
        let class = Class::of(Outcome::Voided, Kind::Other, true);
        assert_eq!(Class::of_key(key(5, "t", class, 0)), class);
        assert_eq!(class.read(), Some((Outcome::Voided, Kind::Other, true)));
        assert!(key(6, "a", class, 9) < key(5, "b", class, 0));
        for wild in [i64::MIN, -1, i64::MAX] {
            assert!(key(wild, "t", class, 3) >= 0);
        }
    }

    #[test]
    fn a_span_of_time_has_its_first_second_and_not_its_last() {
        let class = Class::of(Outcome::Denied, Kind::Http, false);
        let within = |at: i64, from, until| {
            let (first, end) = keys_between(from, until);
            let key = key(at, "t", class, 0);
            first <= key && key < end
        };
        assert!(within(100, Some(100), Some(101)));
        assert!(!within(100, Some(101), None));
        assert!(!within(100, None, Some(100)));
        assert!(within(100, None, None));
        assert!(within(0, Some(i64::MIN), Some(i64::MAX)));
        assert!(!within(0, Some(i64::MAX), None));
        assert!(!within(0, None, Some(i64::MIN)));
    }
}
