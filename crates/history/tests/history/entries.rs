//! Entries for tests, and the plain computation that the cache has to agree with.

use std::collections::BTreeSet;

use countersign_api::ipc::{Choice, HistoryQuery, Kind, Line, Outcome, Party, Role, Row, Span};
use countersign_history::{Cast, Entry, Person};

/// When the first entry ended.
pub(crate) const BEGIN: i64 = 1_795_000_000;

pub(crate) const OUTCOMES: [Outcome; 6] = [
    Outcome::Approved,
    Outcome::Redeemed,
    Outcome::Denied,
    Outcome::Expired,
    Outcome::Withdrawn,
    Outcome::Voided,
];
pub(crate) const KINDS: [Kind; 5] = [
    Kind::Http,
    Kind::Sql,
    Kind::Command,
    Kind::Tool,
    Kind::Other,
];
const NAMES: [&str; 6] = [
    "Mara Lindqvist",
    "Elin Varga",
    "Jonas Müller",
    "أحمد الكاتب",
    "田中太郎",
    "ops-assistant",
];
const THINGS: [&str; 6] = [
    "customers",
    "orders",
    "refundPayment",
    "東京都庁",
    "Straße 42",
    "api_keys",
];

pub(crate) fn line(text: &str) -> Line {
    Line {
        indent: 0,
        spans: vec![Span {
            role: Role::Data,
            text: text.to_owned(),
        }],
    }
}

pub(crate) fn person(n: usize) -> Person {
    Person {
        issuer: "https://login.example.com".to_owned(),
        sub: format!("person-{n}"),
        name: line(NAMES[n % NAMES.len()]),
    }
}

/// What an entry is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) n: usize,
    pub(crate) ended: i64,
    pub(crate) outcome: usize,
    pub(crate) kind: usize,
    pub(crate) requester: usize,
    pub(crate) voter: usize,
    pub(crate) mine: bool,
    pub(crate) thing: usize,
}

pub(crate) fn entry(recipe: Recipe) -> Entry {
    let requester = person(recipe.requester);
    let ended = BEGIN + recipe.ended;
    let outcome = OUTCOMES[recipe.outcome % OUTCOMES.len()];
    let choice = if outcome == Outcome::Denied {
        Choice::Deny
    } else {
        Choice::Approve
    };
    Entry {
        row: Row {
            txn: format!("txn{}", recipe.n),
            account: String::new(),
            kind: KINDS[recipe.kind % KINDS.len()],
            requester: requester.name.clone(),
            requester_id: Some(format!("{}\n{}", requester.issuer, requester.sub)),
            initials: "ML".to_owned(),
            party: Party::Person,
            summary: line(&format!(
                "Delete from {}",
                THINGS[recipe.thing % THINGS.len()]
            )),
            resource: line("orders-prod"),
            asked_at: ended - 100,
            expires_at: ended + 500,
            approvals: 1,
            needed: 1,
            irreversible: recipe.n.is_multiple_of(2),
            outcome,
            ended_at: Some(ended),
            ended_by: None,
        },
        genuine: true,
        requester: Some(requester),
        votes: vec![Cast {
            person: person(recipe.voter),
            choice,
            at: ended - 10,
            reason: recipe
                .n
                .is_multiple_of(3)
                .then(|| line("checked with billing")),
            mine: recipe.mine,
            void: false,
        }],
        texts: vec![format!("statement{} WHERE id = {}", recipe.thing, recipe.n)],
        approved: None,
    }
}

/// So many, different from each other.
pub(crate) fn many(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|n| {
            entry(Recipe {
                n,
                ended: (n * 7 % count) as i64,
                outcome: n % 6,
                kind: n % 5,
                requester: n % 11,
                voter: n % 7,
                mine: n.is_multiple_of(4),
                thing: n % 6,
            })
        })
        .collect()
}

pub(crate) fn text_of(line: &Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

/// The selection, computed plainly: ids by the second in which they ended, newest first.
pub(crate) fn plainly(
    entries: &[Entry],
    query: &HistoryQuery,
    found: impl Fn(&Entry) -> bool,
) -> Vec<(i64, BTreeSet<String>)> {
    let id = |person: &Person| format!("{}\n{}", person.issuer, person.sub);
    let mut selected: Vec<(i64, String)> = entries
        .iter()
        .filter(|entry| {
            let row = &entry.row;
            let ended = row.ended_at.unwrap();
            let people = entry
                .requester
                .iter()
                .chain(entry.votes.iter().map(|cast| &cast.person));
            (query.outcomes.is_empty() || query.outcomes.contains(&row.outcome))
                && (query.kinds.is_empty() || query.kinds.contains(&row.kind))
                && (!query.mine || entry.votes.iter().any(|cast| cast.mine))
                && query.from.is_none_or(|from| ended >= from)
                && query.until.is_none_or(|until| ended < until)
                && query
                    .person
                    .as_ref()
                    .is_none_or(|wanted| people.clone().any(|person| id(person) == *wanted))
        })
        .filter(|entry| found(entry))
        .map(|entry| (entry.row.ended_at.unwrap(), entry.row.txn.clone()))
        .collect();
    selected.sort_by_key(|(ended, _)| std::cmp::Reverse(*ended));
    let mut by_second: Vec<(i64, BTreeSet<String>)> = Vec::new();
    for (ended, txn) in selected {
        match by_second.last_mut() {
            Some((second, txns)) if *second == ended => {
                assert!(txns.insert(txn), "twice");
            }
            Some(_) | None => by_second.push((ended, BTreeSet::from([txn]))),
        }
    }
    by_second
}

/// The same form, of rows that came.
pub(crate) fn by_second(rows: &[Row]) -> Vec<(i64, BTreeSet<String>)> {
    let mut found: Vec<(i64, BTreeSet<String>)> = Vec::new();
    for row in rows {
        let ended = row.ended_at.unwrap();
        match found.last_mut() {
            Some((second, txns)) if *second == ended => {
                assert!(txns.insert(row.txn.clone()), "{} came twice", row.txn);
            }
            Some(_) | None => found.push((ended, BTreeSet::from([row.txn.clone()]))),
        }
    }
    found
}
