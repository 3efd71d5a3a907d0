//! How what waits is told: one notification for each request, or for a storm of like ones. Pure, but for remembering
//! which requests were collapsed.

use std::collections::{BTreeMap, BTreeSet};

use countersign_api::ipc::{Line, Role, Row};
use countersign_approver::Buttons;
use countersign_model::UnixSecs;

use super::{Button, Decision, Key, Notice, Stay, Urgency};
use crate::text::catalogue::{Words, fill};
use crate::text::{isolated, plain, shorten};

/// So many requests that are alike become one notification.
const COLLAPSE_AT: usize = 4;
/// What a daemon shows of a first line without cutting it. Longer ones we cut ourselves, and say so.
const TITLE_CHARS: usize = 90;
/// The same for each part of the second line.
const FACT_CHARS: usize = 60;
/// What every daemon shows whole, however narrow: an Approve button stands beside nothing longer.
const WHOLE_TITLE_CHARS: usize = 60;
/// The same for the second line as a whole.
const WHOLE_BODY_CHARS: usize = 160;

/// A row that waits for this person and may be told, with what its notification needs beside it.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// The row.
    pub row: &'a Row,
    /// The requester's groups, as the provider states them.
    pub groups: Vec<String>,
    /// The policy calls it urgent.
    pub urgent: bool,
    /// What its buttons may do.
    pub buttons: Buttons,
    /// Of its card.
    pub display_digest: String,
    /// It is told again, because its time runs out.
    pub reminder: bool,
}

/// Turns what may be told into notifications.
#[derive(Debug, Default)]
pub struct Notices {
    /// Groups of like requests that were collapsed, and whether the person was reminded of them: they stay so until
    /// the last one is gone, or the same requests would be told again one by one.
    collapsed: BTreeMap<String, bool>,
}

impl Notices {
    /// The notifications for these. A request whose card was on screen needs none of its own any more.
    pub fn of(
        &mut self,
        waiting: &[Waiting<'_>],
        seen: &BTreeSet<String>,
        words: &Words,
    ) -> Vec<Notice> {
        let mut alike: BTreeMap<String, Vec<&Waiting<'_>>> = BTreeMap::new();
        for one in waiting {
            alike.entry(likeness(one.row)).or_default().push(one);
        }
        self.collapsed.retain(|group, _| alike.contains_key(group));
        let mut notices = Vec::new();
        for (group, members) in alike {
            if members.len() >= COLLAPSE_AT {
                self.collapsed.entry(group.clone()).or_default();
            }
            if let Some(reminded) = self.collapsed.get_mut(&group) {
                *reminded |= members.iter().any(|member| member.reminder);
                notices.extend(many(group, &members, *reminded, words));
            } else {
                let unseen = members.iter().filter(|w| !seen.contains(&w.row.txn));
                notices.extend(unseen.map(|w| one(w, words)));
            }
        }
        notices
    }
}

/// What like requests share: where they are from, person, deed and resource. Whoever is not known by more is known by name.
fn likeness(row: &Row) -> String {
    let person = row.requester_id.clone();
    let person = person.unwrap_or_else(|| plain(&row.requester));
    let mut spans = row.summary.spans.iter();
    let deed = spans.find(|span| span.role == Role::Verb);
    let deed = deed.map_or("", |span| &span.text);
    format!(
        "{}\n{person}\n{:?}\n{deed}\n{}\n{}",
        row.account,
        row.kind,
        row.irreversible,
        plain(&row.resource)
    )
}

fn one(waiting: &Waiting<'_>, words: &Words) -> Notice {
    let row = waiting.row;
    let title = title_of(row);
    let title = if waiting.reminder {
        fill(&words.reminder, &[("title", &title)])
    } else {
        title
    };
    let mut facts = vec![plain(&row.resource)];
    facts.extend(waiting.groups.iter().cloned());
    facts.push(fill(
        &words.approved_of,
        &[
            ("have", &row.approvals.to_string()),
            ("needed", &row.needed.to_string()),
        ],
    ));
    let (title, facts, cut) = fit(&title, facts, words);
    Notice {
        key: Key::Request(row.txn.clone()),
        opens: Some(row.txn.clone()),
        buttons: buttons(waiting, &title, &facts, cut),
        title,
        facts,
        ends_at: Some(UnixSecs(row.expires_at)),
        urgency: urgency(waiting.urgent),
        stands_for: 1,
        reminder: waiting.reminder,
        stay: Stay::UntilOver,
    }
}

/// Who wants what: `Mara Lindqvist: delete customer 42`.
pub(super) fn title_of(row: &Row) -> String {
    let (who, what) = (plain(&row.requester), in_sentence(&row.summary));
    format!("{}: {}", isolated(&who), isolated(&what))
}

/// Whether something was cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Whole,
    Shortened,
}

/// What is not shown whole can only be opened.
fn buttons(waiting: &Waiting<'_>, title: &str, facts: &[String], cut: Cut) -> Vec<Button> {
    let decision = || Decision {
        txn: waiting.row.txn.clone(),
        display_digest: waiting.display_digest.clone(),
    };
    let body_chars: usize = facts.iter().map(|fact| fact.chars().count() + 3).sum();
    let is_short = title.chars().count() <= WHOLE_TITLE_CHARS && body_chars <= WHOLE_BODY_CHARS;
    match (waiting.buttons, cut) {
        (Buttons::None, _) | (_, Cut::Shortened) => Vec::new(),
        (Buttons::Both, Cut::Whole) if is_short => {
            vec![Button::Deny(decision()), Button::Approve(decision())]
        }
        (Buttons::Both | Buttons::Deny, Cut::Whole) => vec![Button::Deny(decision())],
    }
}

fn many(group: String, members: &[&Waiting<'_>], reminder: bool, words: &Words) -> Option<Notice> {
    let first = members.iter().min_by_key(|w| w.row.expires_at)?;
    let title = format!(
        "{}: {}",
        isolated(&plain(&first.row.requester)),
        words.requests.of(members.len())
    );
    let title = if reminder {
        fill(&words.reminder, &[("title", &title)])
    } else {
        title
    };
    let mut facts = vec![plain(&first.row.resource)];
    facts.extend(first.groups.iter().cloned());
    facts.push(words.each_alone.clone());
    let (title, facts, _) = fit(&title, facts, words);
    Some(Notice {
        key: Key::Alike(group),
        opens: None,
        title,
        facts,
        ends_at: Some(UnixSecs(first.row.expires_at)),
        urgency: urgency(members.iter().any(|w| w.urgent)),
        stands_for: members.len(),
        reminder,
        // Whoever storms may be muted from here.
        buttons: vec![Button::Mute {
            txn: first.row.txn.clone(),
        }],
        stay: Stay::UntilOver,
    })
}

fn urgency(urgent: bool) -> Urgency {
    if urgent {
        Urgency::Critical
    } else {
        Urgency::Normal
    }
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
fn fit(title: &str, facts: Vec<String>, words: &Words) -> (String, Vec<String>, Cut) {
    let is_cut =
        title.chars().count() > TITLE_CHARS || facts.iter().any(|f| f.chars().count() > FACT_CHARS);
    let mut facts: Vec<String> = facts
        .iter()
        .filter(|f| !f.is_empty())
        .map(|f| isolated(&shorten(f, FACT_CHARS)))
        .collect();
    let cut = if is_cut {
        facts.push(words.shortened.clone());
        Cut::Shortened
    } else {
        Cut::Whole
    };
    (shorten(title, TITLE_CHARS), facts, cut)
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{Kind, Outcome, Span};

    use super::*;
    use crate::text::catalogue::Tongue;

    fn told(notices: &mut Notices, waiting: &[Waiting<'_>], seen: Option<&str>) -> Vec<Notice> {
        let seen = seen.map(str::to_owned).into_iter().collect();
        notices.of(waiting, &seen, Tongue::En.words())
    }

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
            requester_id: None,
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
            urgent: false,
            buttons: Buttons::None,
            display_digest: "sha-256:shown".into(),
            reminder: false,
        }
    }

    #[test]
    fn says_who_what_where_and_how_far() {
        let row = row("t1", "customer 42");
        let notices = told(&mut Notices::default(), &[waiting(&row)], None);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].title, "Mara Lindqvist: delete customer 42");
        assert_eq!(
            notices[0].facts,
            ["orders-api", "orders-dev", "0 of 2 approved"]
        );
        assert_eq!(notices[0].opens.as_deref(), Some("t1"));
    }

    #[test]
    fn a_request_that_was_on_screen_needs_no_notification() {
        let (a, b) = (row("a", "customer 1"), row("b", "customer 2"));
        let notices = told(
            &mut Notices::default(),
            &[waiting(&a), waiting(&b)],
            Some("a"),
        );
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
        assert_eq!(told(&mut notices, &all[..3], None).len(), 3);
        let storm = told(&mut notices, &all, None);
        assert_eq!(storm.len(), 1);
        assert_eq!(storm[0].title, "Mara Lindqvist: 5 requests");
        assert_eq!((storm[0].opens.as_deref(), storm[0].stands_for), (None, 5));
        assert_eq!(
            told(&mut notices, &all[..2], None)[0].title,
            "Mara Lindqvist: 2 requests"
        );
        assert_eq!(told(&mut notices, &[], None), []);
        assert_eq!(
            told(&mut notices, &all[..1], None)[0].title,
            "Mara Lindqvist: delete customer 0"
        );
    }

    #[test]
    fn unlike_requests_stay_apart() {
        let notices_of = |make_unlike: fn(&mut Row, usize)| {
            let rows: Vec<Row> = (0..5)
                .map(|i| {
                    let mut row = row(&format!("t{i}"), "customer");
                    make_unlike(&mut row, i);
                    row
                })
                .collect();
            let all: Vec<_> = rows.iter().map(waiting).collect();
            told(&mut Notices::default(), &all, None).len()
        };
        assert_eq!(notices_of(|_, _| {}), 1);
        assert_eq!(notices_of(|row, i| row.account = format!("harbor {i}")), 5);
        // Two people may have one name.
        assert_eq!(
            notices_of(|row, i| row.requester_id = Some(i.to_string())),
            5
        );
        assert_eq!(
            notices_of(|row, i| row.summary.spans[0].text = format!("Do {i}")),
            5
        );
        assert_eq!(
            notices_of(|row, i| row.resource = line(Role::Data, &format!("api-{i}"))),
            5
        );
        assert_eq!(notices_of(|row, i| row.irreversible = i % 2 == 0), 5);
    }

    #[test]
    fn what_is_cut_says_so() {
        let row = row("t1", &"x".repeat(300));
        let notice = told(&mut Notices::default(), &[waiting(&row)], None).remove(0);
        assert_eq!(notice.title.chars().count(), TITLE_CHARS);
        assert!(notice.title.ends_with('…'));
        assert_eq!(
            notice.facts.last().map(String::as_str),
            Some("shortened, open it to see all")
        );
    }

    #[test]
    fn a_storm_can_be_muted_and_reminds_once() {
        let rows: Vec<Row> = (0..5).map(|i| row(&format!("t{i}"), "customer")).collect();
        let mut all: Vec<_> = rows.iter().map(waiting).collect();
        let mut notices = Notices::default();
        let storm = told(&mut notices, &all, None).remove(0);
        assert_eq!(storm.buttons, [Button::Mute { txn: "t0".into() }]);
        assert!(!storm.reminder);
        all[1].reminder = true;
        let storm = told(&mut notices, &all, None).remove(0);
        assert!(storm.reminder);
        assert_eq!(storm.title, "Still open: Mara Lindqvist: 5 requests");
        all.remove(1);
        assert!(
            told(&mut notices, &all, None)[0].reminder,
            "it is not a new one again"
        );
    }

    #[test]
    fn buttons_are_what_the_policy_allows_beside_what_is_shown_whole() {
        let buttons = |thing: &str, allowed: Buttons| {
            let row = row("t1", thing);
            let mut waiting = waiting(&row);
            waiting.buttons = allowed;
            let notice = told(&mut Notices::default(), &[waiting], None).remove(0);
            let names = notice.buttons.iter().map(|button| match button {
                Button::Deny(_) => "deny",
                Button::Approve(_) => "approve",
                Button::Mute { .. } => "mute",
            });
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(buttons("customer 42", Buttons::None), "");
        assert_eq!(buttons("customer 42", Buttons::Deny), "deny");
        assert_eq!(buttons("customer 42", Buttons::Both), "deny approve");
        assert_eq!(buttons(&"x".repeat(50), Buttons::Both), "deny");
        assert_eq!(buttons(&"x".repeat(300), Buttons::Both), "", "it is cut");
    }

    #[test]
    fn only_what_the_policy_calls_urgent_presses() {
        let row = row("t1", "customer 42");
        let mut waiting = waiting(&row);
        let urgency = |waiting: &Waiting<'_>| {
            told(&mut Notices::default(), std::slice::from_ref(waiting), None)[0].urgency
        };
        assert_eq!(urgency(&waiting), Urgency::Normal);
        waiting.urgent = true;
        assert_eq!(urgency(&waiting), Urgency::Critical);
    }

    #[test]
    fn it_speaks_german() {
        let row = row("t1", "customer 42");
        let notice = Notices::default()
            .of(&[waiting(&row)], &BTreeSet::new(), Tongue::De.words())
            .remove(0);
        assert_eq!(notice.facts[2], "0 von 2 genehmigt");
    }
}
