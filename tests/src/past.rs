//! A past that was made up: entries of a history as a busy company would have them, the same in each run.

use countersign_api::ipc::{Choice, Kind, Line, Outcome, Party, Role, Row, Span};
use countersign_history::{Cast, Entry, Person};

/// People who ask and vote.
pub const PEOPLE: u64 = 4_000;
/// When the first entry ended, about.
pub const BEGIN: i64 = 1_700_000_000;
/// One entry about every minute and a half: three years of a million.
pub const APART: i64 = 94;

/// Chosen from.
pub const OUTCOMES: [Outcome; 6] = [
    Outcome::Redeemed,
    Outcome::Denied,
    Outcome::Expired,
    Outcome::Approved,
    Outcome::Withdrawn,
    Outcome::Voided,
];
/// Chosen from.
pub const KINDS: [Kind; 5] = [
    Kind::Sql,
    Kind::Http,
    Kind::Command,
    Kind::Tool,
    Kind::Other,
];
const FIRST: [&str; 12] = [
    "Mara", "Elin", "Jonas", "Aino", "Tomas", "Idris", "Ruben", "Ines", "Tove", "Jürgen", "أحمد",
    "太郎",
];
/// Chosen from.
pub const LAST: [&str; 14] = [
    "Lindqvist",
    "Varga",
    "Petersen",
    "Korhonen",
    "Wren",
    "Halloran",
    "Achterberg",
    "Okafor",
    "Sandström",
    "Müller",
    "Weiß",
    "García",
    "Nowak",
    "田中",
];
/// Chosen from.
pub const VERBS: [&str; 8] = [
    "Delete", "Update", "Deploy", "Restart", "Grant", "Rotate", "Refund", "Drop",
];
/// Chosen from.
pub const THINGS: [&str; 16] = [
    "customers",
    "orders",
    "prices",
    "storefront",
    "ledger",
    "payments",
    "api_keys",
    "tenants",
    "sessions",
    "audit",
    "invoices",
    "shipments",
    "nodes",
    "secrets",
    "contracts",
    "refunds",
];

/// Numbers that look random and are the same in each run (SplitMix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    /// One of these.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.roll(all.len() as u64);
        &all[usize::try_from(at).unwrap_or(0)]
    }

    /// A number below `sides`, small ones more often, as with people and their work.
    pub fn skewed(&mut self, sides: u64) -> u64 {
        self.roll(sides).min(self.roll(sides)).min(self.roll(sides))
    }
}

/// A line of this text.
#[must_use]
pub fn line(text: String) -> Line {
    Line {
        indent: 0,
        spans: vec![Span {
            role: Role::Data,
            text,
        }],
    }
}

/// What stands in a line.
#[must_use]
pub fn plain(line: &Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

fn person(n: u64) -> Person {
    let mut dice = Dice(n.wrapping_mul(7_919));
    Person {
        issuer: "https://login.example.com".to_owned(),
        sub: format!("p{n}"),
        name: line(format!("{} {} {n}", dice.of(&FIRST), dice.of(&LAST))),
    }
}

/// The entry with this number; the higher, the newer.
#[must_use]
pub fn entry(n: u64) -> Entry {
    let mut dice = Dice(n);
    let ended =
        BEGIN + i64::try_from(n).unwrap_or(0) * APART + i64::try_from(dice.roll(90)).unwrap_or(0);
    let requester = person(dice.skewed(PEOPLE));
    let at = usize::try_from(dice.skewed(6)).unwrap_or(0);
    let outcome = OUTCOMES[at];
    let kind = KINDS[usize::try_from(dice.skewed(5)).unwrap_or(0)];
    let (verb, thing) = (*dice.of(&VERBS), *dice.of(&THINGS));
    let number = dice.roll(100_000);
    let choice = if outcome == Outcome::Denied {
        Choice::Deny
    } else {
        Choice::Approve
    };
    let took = i64::try_from(5 + dice.skewed(600)).unwrap_or(5);
    let is_mine = dice.roll(9) == 0;
    let voter = if is_mine {
        0
    } else {
        1 + dice.skewed(PEOPLE - 1)
    };
    let vote = Cast {
        person: person(voter),
        choice,
        at: ended - 3,
        reason: (dice.roll(4) == 0).then(|| {
            line(format!(
                "checked with {} in ticket OPS-{number}",
                dice.of(&THINGS)
            ))
        }),
        mine: is_mine,
        void: false,
    };
    Entry {
        row: Row {
            txn: format!("txn{n:020}"),
            account: String::new(),
            kind,
            requester: requester.name.clone(),
            requester_id: None,
            initials: "ML".to_owned(),
            party: Party::Person,
            summary: line(format!("{verb} {number} rows from {thing}")),
            resource: line(format!("{}-prod", dice.of(&THINGS))),
            asked_at: ended - 3 - took,
            expires_at: ended + 600,
            approvals: 1,
            needed: 1,
            irreversible: dice.roll(3) == 0,
            outcome,
            ended_at: Some(ended),
            ended_by: None,
        },
        genuine: true,
        requester: Some(requester),
        votes: vec![vote],
        texts: vec![format!(
            "{verb} FROM {thing} WHERE tenant_id = 'tenant-{}' AND status = 'closed' AND closed_at < '2024-0{}-01' AND NOT \
             legal_hold; erased under the contract of {}",
            dice.roll(5_000),
            1 + dice.roll(9),
            dice.of(&THINGS),
        )],
        approved: None,
    }
}
