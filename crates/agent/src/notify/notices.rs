//! Which notifications there should be, given the inbox. Pure, but for remembering which requests were collapsed.

use std::collections::{BTreeMap, BTreeSet};

use countersign_api::ipc::{Line, Role, Row};
use countersign_model::UnixSecs;

use super::{Key, Notice, Urgency};
use crate::text::{plain, shorten};

/// So many requests that are alike become one notification.
const COLLAPSE_AT: usize = 4;
/// What a daemon shows of a first line without cutting it. Longer ones we cut ourselves, and say so.
const TITLE_CHARS: usize = 90;
/// The same for each part of the second line.
const FACT_CHARS: usize = 60;

/// A row that waits for this person, with the requester's claims that matter (their groups).
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// The row.
    pub row: &'a Row,
    /// The groups, as the provider states them.
    pub groups: Vec<String>,
}

/// Turns the inbox into notifications.
#[derive(Debug, Default)]
pub struct Notices {
    /// Groups of like requests that were collapsed: they stay so until the last one is gone, or the same
    /// requests would be told again one by one.
    collapsed: BTreeSet<String>,
}

impl Notices {
    /// The notifications for `inbox`. The request on screen, if any, needs none.
    pub fn of(&mut self, inbox: &[Waiting<'_>], on_screen: Option<&str>) -> Vec<Notice> {
        let mut alike: BTreeMap<String, Vec<&Waiting<'_>>> = BTreeMap::new();
        for waiting in inbox {
            alike
                .entry(likeness(waiting.row))
                .or_default()
                .push(waiting);
        }
        self.collapsed.retain(|group| alike.contains_key(group));
        let mut notices = Vec::new();
        for (group, members) in alike {
            if members.len() >= COLLAPSE_AT {
                self.collapsed.insert(group.clone());
            }
            if self.collapsed.contains(&group) {
                notices.extend(many(group, &members));
            } else {
                let unseen = members
                    .iter()
                    .filter(|w| Some(w.row.txn.as_str()) != on_screen);
                notices.extend(unseen.map(|w| one(w)));
            }
        }
        notices
    }
}

/// What like requests share: person, kind and resource.
fn likeness(row: &Row) -> String {
    format!(
        "{:?}\n{}\n{}",
        row.kind,
        plain(&row.requester),
        plain(&row.resource)
    )
}

fn one(waiting: &Waiting<'_>) -> Notice {
    let row = waiting.row;
    let title = format!("{}: {}", plain(&row.requester), in_sentence(&row.summary));
    let mut facts = vec![plain(&row.resource)];
    facts.extend(waiting.groups.iter().cloned());
    facts.push(format!("{} of {} approved", row.approvals, row.needed));
    let (title, facts) = fit(&title, facts);
    Notice {
        key: Key::Request(row.txn.clone()),
        opens: Some(row.txn.clone()),
        title,
        facts,
        ends_at: Some(UnixSecs(row.expires_at)),
        urgency: if row.irreversible {
            Urgency::Critical
        } else {
            Urgency::Normal
        },
        stands_for: 1,
    }
}

fn many(group: String, members: &[&Waiting<'_>]) -> Option<Notice> {
    let first = members.iter().min_by_key(|w| w.row.expires_at)?;
    let title = format!(
        "{}: {} requests",
        plain(&first.row.requester),
        members.len()
    );
    let mut facts = vec![plain(&first.row.resource)];
    facts.extend(first.groups.iter().cloned());
    facts.push("each is approved on its own".to_owned());
    let (title, facts) = fit(&title, facts);
    Some(Notice {
        key: Key::Alike(group),
        opens: None,
        title,
        facts,
        ends_at: Some(UnixSecs(first.row.expires_at)),
        urgency: if members.iter().any(|w| w.row.irreversible) {
            Urgency::Critical
        } else {
            Urgency::Normal
        },
        stands_for: members.len(),
    })
}

/// Our own verb stands within a sentence here: small. Data from outside keeps its letters.
fn in_sentence(summary: &Line) -> String {
    let text = plain(summary);
    match summary.spans.first().map(|span| span.role) {
        Some(Role::Verb | Role::Ours) => {
            let mut chars = text.chars();
            match chars.next() {
                Some(first) => first.to_lowercase().chain(chars).collect(),
                None => text,
            }
        }
        Some(
            Role::Data
            | Role::Name
            | Role::Value
            | Role::Key
            | Role::Punctuation
            | Role::Chip
            | Role::Confusable,
        )
        | None => text,
    }
}

/// Nothing is cut silently: what does not fit is shortened here, and the notification says so.
fn fit(title: &str, facts: Vec<String>) -> (String, Vec<String>) {
    let cut =
        title.chars().count() > TITLE_CHARS || facts.iter().any(|f| f.chars().count() > FACT_CHARS);
    let mut facts: Vec<String> = facts
        .iter()
        .filter(|f| !f.is_empty())
        .map(|f| shorten(f, FACT_CHARS))
        .collect();
    if cut {
        facts.push("shortened, open it to see all".to_owned());
    }
    (shorten(title, TITLE_CHARS), facts)
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{Kind, Outcome, Span};

    use super::*;

    fn line(role: Role, text: &str) -> Line {
        Line {
            indent: 0,
            spans: vec![Span {
                role,
                text: text.into(),
            }],
        }
    }

    fn row(txn: &str, thing: &str) -> Row {
        Row {
            txn: txn.into(),
            account: "harbor".to_owned(),
            kind: Kind::Http,
            requester: line(Role::Name, "Mara Lindqvist"),
            initials: "ML".into(),
            party: countersign_api::ipc::Party::Person,
            summary: Line {
                indent: 0,
                spans: vec![
                    Span {
                        role: Role::Verb,
                        text: "Delete".into(),
                    },
                    Span {
                        role: Role::Ours,
                        text: " ".into(),
                    },
                    Span {
                        role: Role::Value,
                        text: thing.into(),
                    },
                ],
            },
            resource: line(Role::Data, "orders-api"),
            asked_at: 0,
            expires_at: 600,
            approvals: 0,
            needed: 2,
            irreversible: false,
            outcome: Outcome::Pending,
            ended_at: None,
            ended_by: None,
        }
    }

    fn waiting(row: &Row) -> Waiting<'_> {
        Waiting {
            row,
            groups: vec!["orders-dev".into()],
        }
    }

    #[test]
    fn says_who_what_where_and_how_far() {
        let row = row("t1", "customer 42");
        let notices = Notices::default().of(&[waiting(&row)], None);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].title, "Mara Lindqvist: delete customer 42");
        assert_eq!(
            notices[0].facts,
            ["orders-api", "orders-dev", "0 of 2 approved"]
        );
        assert_eq!(notices[0].opens.as_deref(), Some("t1"));
    }

    #[test]
    fn the_request_on_screen_needs_no_notification() {
        let (a, b) = (row("a", "customer 1"), row("b", "customer 2"));
        let notices = Notices::default().of(&[waiting(&a), waiting(&b)], Some("a"));
        assert_eq!(
            notices
                .iter()
                .map(|n| n.opens.as_deref())
                .collect::<Vec<_>>(),
            [Some("b")]
        );
    }

    #[test]
    fn a_storm_is_one_notification_until_its_last_request_is_gone() {
        let rows: Vec<Row> = (0..5)
            .map(|i| row(&format!("t{i}"), &format!("customer {i}")))
            .collect();
        let mut notices = Notices::default();
        let all: Vec<_> = rows.iter().map(waiting).collect();
        assert_eq!(notices.of(&all[..3], None).len(), 3);
        let storm = notices.of(&all, None);
        assert_eq!(storm.len(), 1);
        assert_eq!(storm[0].title, "Mara Lindqvist: 5 requests");
        assert_eq!((storm[0].opens.as_deref(), storm[0].stands_for), (None, 5));
        assert_eq!(
            notices.of(&all[..2], None)[0].title,
            "Mara Lindqvist: 2 requests"
        );
        assert_eq!(notices.of(&[], None), []);
        assert_eq!(
            notices.of(&all[..1], None)[0].title,
            "Mara Lindqvist: delete customer 0"
        );
    }

    #[test]
    fn unlike_requests_stay_apart() {
        let rows: Vec<Row> = (0..5)
            .map(|i| {
                let mut row = row(&format!("t{i}"), "customer");
                row.resource = line(Role::Data, &format!("api-{i}"));
                row
            })
            .collect();
        let all: Vec<_> = rows.iter().map(waiting).collect();
        assert_eq!(Notices::default().of(&all, None).len(), 5);
    }

    #[test]
    fn what_is_cut_says_so() {
        let row = row("t1", &"x".repeat(300));
        let notice = Notices::default().of(&[waiting(&row)], None).remove(0);
        assert_eq!(notice.title.chars().count(), TITLE_CHARS);
        assert!(notice.title.ends_with('…'));
        assert_eq!(
            notice.facts.last().map(String::as_str),
            Some("shortened, open it to see all")
        );
    }
}
