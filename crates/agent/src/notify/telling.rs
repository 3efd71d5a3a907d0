//! What may be told now, and when that changes: mutes, pause, quiet hours and absence hold a request back from the
//! notifications (never from the inbox), a reminder tells of it once more, and what was on screen says how it ended.
//! Pure: the time is a parameter, and what is due next is part of the answer.

use std::collections::{BTreeMap, BTreeSet};

use countersign_api::ipc::{Away, Outcome, Row};
use countersign_approver::{Brief, Buttons};
use countersign_model::UnixSecs;

use super::notices::{Notices, Waiting, title_of};
use super::{Key, Notice, Stay, Urgency};
use crate::mutes::Kept;
use crate::quiet::Quiet;
use crate::text::catalogue::{Words, fill};
use crate::text::{isolated, plain, shorten};

/// So long it is said how a request ended that was on screen.
const FAREWELL_SECS: i64 = 4;
/// A reminder that comes sooner than this after the request itself would tell nothing new.
const BEFORE_REMINDER_SECS: i64 = 60;
/// What a farewell shows of the title that it replaces.
const ENDED_CHARS: usize = 90;

/// A request that waits for this person. Without a brief it does not verify: it is told all the same, and its card
/// says why it cannot be voted on.
#[derive(Debug, Clone, Copy)]
pub struct Open<'a> {
    /// Its row.
    pub row: &'a Row,
    /// The rest.
    pub brief: Option<&'a Brief>,
}

/// How things are.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The time.
    pub now: UnixSecs,
    /// How long before its end one is reminded of a request, in seconds.
    pub reminder: Option<u32>,
    /// Mutes and pause.
    pub kept: &'a Kept,
    /// Quiet hours.
    pub quiet: Quiet,
    /// The accounts that are away, or will be.
    pub away: &'a [(String, Away)],
    /// The request whose card is on screen.
    pub showing: Option<&'a str>,
    /// The language.
    pub words: &'a Words,
}

/// What to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// The notifications.
    pub notices: Vec<Notice>,
    /// When to ask again, unless something else happens before.
    pub due: Option<UnixSecs>,
    /// Something is told that was not told before: where notifications do not work, the window has to come.
    pub is_news: bool,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Telling {
    notices: Notices,
    told: BTreeMap<String, Told>,
    /// Requests with a notification of their own, each with its title.
    on_screen: BTreeMap<String, String>,
    farewells: Vec<Farewell>,
    /// Votes by a button that did not count, each with the reason.
    failed: BTreeMap<String, String>,
    /// Requests whose card was on screen.
    opened: BTreeSet<String>,
    /// Requests that the person decided by a button.
    decided: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    first: UnixSecs,
    reminded: bool,
}

#[derive(Debug)]
struct Farewell {
    txn: String,
    title: String,
    about: String,
    until: UnixSecs,
}

/// When a request may be told.
enum Holds {
    /// Now.
    Nothing,
    /// Not before that changes.
    Something,
}

impl Telling {
    /// What to tell of these.
    pub fn of(&mut self, open: &[Open<'_>], around: &Around<'_>) -> Tell {
        let now = around.now;
        let is_open = |txn: &String| open.iter().any(|one| one.row.txn == *txn);
        self.told.retain(|txn, _| is_open(txn));
        self.opened.retain(is_open);
        self.decided.retain(is_open);
        if let Some(showing) = around.showing {
            self.opened.insert(showing.to_owned());
            self.failed.remove(showing);
        }
        self.failed.retain(|txn, _| is_open(txn));
        self.farewells.retain(|farewell| now < farewell.until);

        let mut due: Vec<UnixSecs> = self.farewells.iter().map(|one| one.until).collect();
        due.extend(around.kept.next_end(now));
        due.extend(around.quiet.next);
        for (_, away) in around.away {
            due.extend([UnixSecs(away.from), UnixSecs(away.until)]);
        }
        let mut is_news = false;
        let mut waiting = Vec::new();
        for one in open {
            let Row {
                txn, expires_at, ..
            } = one.row;
            // It ended, and only the list does not know yet.
            if self.farewells.iter().any(|farewell| farewell.txn == *txn) {
                continue;
            }
            match holds(one, around) {
                Holds::Something => continue,
                Holds::Nothing => {}
            }
            let told = self.told.entry(txn.clone()).or_insert_with(|| {
                is_news = true;
                Told {
                    first: now,
                    reminded: false,
                }
            });
            if let Some(before) = around.reminder
                && !told.reminded
                && !self.opened.contains(txn)
            {
                let at = UnixSecs(expires_at - i64::from(before));
                if told.first.0 + BEFORE_REMINDER_SECS <= at.0 {
                    due.push(at);
                    if at <= now && now.0 < *expires_at {
                        told.reminded = true;
                        is_news = true;
                    }
                }
            }
            waiting.push(of_waiting(one, told.reminded));
        }
        let mut notices = self.notices.of(&waiting, &self.opened, around.words);
        let alone = notices.iter().filter_map(alone);
        self.on_screen = alone
            .filter_map(|txn| {
                let one = waiting.iter().find(|one| one.row.txn == txn)?;
                Some((txn.to_owned(), title_of(one.row)))
            })
            .collect();
        notices.extend(self.farewells.iter().map(Farewell::notice));
        let failed = self.failed.iter();
        notices.extend(failed.map(|(txn, sentence)| failure(txn, sentence, around.words)));
        Tell {
            notices,
            due: due.into_iter().filter(|at| now < *at).min(),
            is_news,
        }
    }

    /// A request is over. What was on screen of it says so for a moment.
    pub fn closed(
        &mut self,
        txn: &str,
        outcome: Outcome,
        by: Option<String>,
        now: UnixSecs,
        words: &Words,
    ) {
        let Some(about) = self.on_screen.remove(txn) else {
            return;
        };
        if self.decided.contains(txn) {
            return;
        }
        let title = match (outcome, by) {
            (Outcome::Denied, Some(by)) => fill(&words.ended_denied_by, &[("who", &isolated(&by))]),
            (Outcome::Denied, None) => words.ended_denied.clone(),
            (Outcome::Approved | Outcome::Redeemed, Some(by)) => {
                fill(&words.ended_approved_by, &[("who", &isolated(&by))])
            }
            (Outcome::Approved | Outcome::Redeemed, None) => words.ended_approved.clone(),
            (Outcome::Expired, _) => words.ended_expired.clone(),
            (Outcome::Withdrawn, _) => words.ended_withdrawn.clone(),
            (Outcome::Voided, _) => words.ended_voided.clone(),
            (Outcome::Pending, _) => return,
        };
        self.farewells.push(Farewell {
            txn: txn.to_owned(),
            title: shorten(&title, ENDED_CHARS),
            about,
            until: UnixSecs(now.0 + FAREWELL_SECS),
        });
    }

    /// The person decided it here: nobody need tell them how it ended.
    pub fn decided(&mut self, txn: &str) {
        self.decided.insert(txn.to_owned());
        self.failed.remove(txn);
    }

    /// Their decision did not count.
    pub fn failed(&mut self, txn: String, sentence: String) {
        self.decided.remove(&txn);
        self.failed.insert(txn, sentence);
    }
}

fn holds(one: &Open<'_>, around: &Around<'_>) -> Holds {
    let now = around.now;
    let urgent = one.brief.is_some_and(|brief| brief.urgent);
    let muted = one
        .brief
        .is_some_and(|brief| around.kept.is_muted(&brief.requester, now));
    let away = around
        .away
        .iter()
        .any(|(account, away)| *account == one.row.account && is_away(*away, now));
    // What the policy calls urgent comes through the hours, which nobody looked at just now; not through what the
    // person asked for themselves.
    let hours = around.quiet.until.is_some() && !urgent;
    if muted || away || hours || around.kept.paused(now).is_some() {
        Holds::Something
    } else {
        Holds::Nothing
    }
}

/// Whether it is that time.
#[must_use]
pub fn is_away(away: Away, now: UnixSecs) -> bool {
    (away.from..away.until).contains(&now.0)
}

fn of_waiting<'a>(one: &Open<'a>, reminder: bool) -> Waiting<'a> {
    let row = one.row;
    match one.brief {
        Some(brief) => Waiting {
            row,
            groups: brief.groups.iter().map(plain).collect(),
            urgent: brief.urgent,
            buttons: brief.buttons,
            display_digest: brief.display_digest.clone(),
            reminder,
        },
        None => Waiting {
            row,
            groups: Vec::new(),
            urgent: false,
            buttons: Buttons::None,
            display_digest: String::new(),
            reminder,
        },
    }
}

fn alone(notice: &Notice) -> Option<&str> {
    match &notice.key {
        Key::Request(txn) => Some(txn),
        Key::Alike(_) | Key::Vote(_) | Key::Test | Key::Window => None,
    }
}

impl Farewell {
    fn notice(&self) -> Notice {
        Notice {
            key: Key::Request(self.txn.clone()),
            opens: Some(self.txn.clone()),
            title: self.title.clone(),
            facts: vec![shorten(&self.about, ENDED_CHARS)],
            ends_at: None,
            urgency: Urgency::Low,
            stands_for: 1,
            reminder: false,
            buttons: Vec::new(),
            stay: Stay::Farewell,
        }
    }
}

fn failure(txn: &str, sentence: &str, words: &Words) -> Notice {
    Notice {
        key: Key::Vote(txn.to_owned()),
        opens: Some(txn.to_owned()),
        title: words.not_counted.clone(),
        facts: vec![sentence.to_owned()],
        ends_at: None,
        urgency: Urgency::Normal,
        stands_for: 1,
        reminder: false,
        buttons: Vec::new(),
        stay: Stay::UntilOver,
    }
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{Kind, Line, Party, Role, Span};

    use super::*;
    use crate::mutes::Mutes;
    use crate::text::catalogue::Tongue;

    /// Everything that may hold a request back, all of it off.
    struct World {
        mutes: Mutes,
        quiet: Quiet,
        away: Vec<(String, Away)>,
        reminder: Option<u32>,
        showing: Option<&'static str>,
        telling: Telling,
        _dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self {
                mutes: Mutes::open(dir.path().join("desk.json")),
                quiet: Quiet::default(),
                away: Vec::new(),
                reminder: Some(120),
                showing: None,
                telling: Telling::default(),
                _dir: dir,
            }
        }

        fn tell(&mut self, now: i64, requests: &[&Request]) -> Tell {
            let kept = self.mutes.kept().borrow().clone();
            let around = Around {
                now: UnixSecs(now),
                reminder: self.reminder,
                kept: &kept,
                quiet: self.quiet,
                away: &self.away,
                showing: self.showing,
                words: Tongue::En.words(),
            };
            let open: Vec<Open<'_>> = requests
                .iter()
                .map(|one| Open {
                    row: &one.row,
                    brief: Some(&one.brief),
                })
                .collect();
            self.telling.of(&open, &around)
        }

        fn closed(&mut self, txn: &str, outcome: Outcome, by: Option<&str>, now: i64) {
            let (by, words) = (by.map(str::to_owned), Tongue::En.words());
            self.telling.closed(txn, outcome, by, UnixSecs(now), words);
        }
    }

    struct Request {
        row: Row,
        brief: Brief,
    }

    /// Asked at 1000, open until 1600.
    fn request(txn: &str) -> Request {
        let line = |role, text: &str| Line {
            indent: 0,
            spans: vec![Span {
                role,
                text: text.into(),
            }],
        };
        Request {
            row: Row {
                txn: txn.into(),
                account: "harbor".into(),
                kind: Kind::Http,
                requester: line(Role::Name, "Mara Lindqvist"),
                requester_id: None,
                initials: "ML".into(),
                party: Party::Person,
                summary: line(Role::Verb, "Delete a customer"),
                resource: line(Role::Data, txn),
                asked_at: 1000,
                expires_at: 1600,
                approvals: 0,
                needed: 2,
                irreversible: false,
                outcome: Outcome::Pending,
                ended_at: None,
                ended_by: None,
            },
            brief: Brief {
                requester: "mara".into(),
                groups: Vec::new(),
                urgent: false,
                buttons: Buttons::None,
                display_digest: "digest".into(),
            },
        }
    }

    fn urgent(txn: &str) -> Request {
        let mut request = request(txn);
        request.brief.urgent = true;
        request
    }

    fn titles(tell: &Tell) -> Vec<&str> {
        tell.notices.iter().map(|n| n.title.as_str()).collect()
    }

    const TITLE: &str = "Mara Lindqvist: delete a customer";

    #[test]
    fn what_waits_is_told_and_is_news_once() {
        let (mut world, a) = (World::new(), request("a"));
        let tell = world.tell(1000, &[&a]);
        assert_eq!((titles(&tell), tell.is_news), (vec![TITLE], true));
        let tell = world.tell(1001, &[&a]);
        assert_eq!((titles(&tell), tell.is_news), (vec![TITLE], false));
    }

    #[test]
    fn quiet_hours_hold_back_all_but_what_the_policy_calls_urgent() {
        let (mut world, a, b) = (World::new(), request("a"), urgent("b"));
        world.quiet = Quiet {
            until: Some(UnixSecs(1200)),
            next: Some(UnixSecs(1200)),
        };
        let tell = world.tell(1000, &[&a, &b]);
        assert_eq!(tell.notices.len(), 1);
        assert_eq!(tell.notices[0].key, Key::Request("b".into()));
        assert_eq!(tell.due, Some(UnixSecs(1200)));
        // In the morning what waits still is told.
        world.quiet = Quiet::default();
        let tell = world.tell(1200, &[&a, &b]);
        assert_eq!((tell.notices.len(), tell.is_news), (2, true));
    }

    #[test]
    fn a_pause_a_mute_and_an_absence_hold_back_the_urgent_too() {
        let (mut world, a, b) = (World::new(), request("a"), urgent("b"));
        world.mutes.pause(Some(UnixSecs(1100)));
        let tell = world.tell(1000, &[&a, &b]);
        assert_eq!((tell.notices.len(), tell.is_news), (0, false));
        assert_eq!(tell.due, Some(UnixSecs(1100)));
        assert_eq!(world.tell(1100, &[&a, &b]).notices.len(), 2);

        world.mutes.mute(
            "mara".into(),
            Line::default(),
            UnixSecs(1300),
            BTreeSet::new(),
        );
        let tell = world.tell(1200, &[&a, &b]);
        assert_eq!((tell.notices.len(), tell.due), (0, Some(UnixSecs(1300))));
        let mut other = request("c");
        other.brief.requester = "aino".into();
        assert_eq!(world.tell(1200, &[&a, &other]).notices.len(), 1);

        world.mutes.unmute("mara");
        let (from, until) = (1400, 1500);
        world.away = vec![("harbor".into(), Away { from, until })];
        let tell = world.tell(1390, &[&a]);
        assert_eq!((tell.notices.len(), tell.due), (1, Some(UnixSecs(1400))));
        assert_eq!(world.tell(1400, &[&a]).notices.len(), 0);
        let mut elsewhere = request("d");
        elsewhere.row.account = "other server".into();
        assert_eq!(world.tell(1400, &[&a, &elsewhere]).notices.len(), 1);
        assert_eq!(world.tell(1500, &[&a]).notices.len(), 1);
    }

    #[test]
    fn a_reminder_comes_once_and_only_of_what_was_not_opened() {
        let (mut world, a, b) = (World::new(), request("a"), request("b"));
        world.showing = Some("b");
        assert_eq!(world.tell(1000, &[&a, &b]).due, Some(UnixSecs(1480)));
        world.showing = None;
        // What was read is not told anew when its card is left.
        assert_eq!(titles(&world.tell(1479, &[&a, &b])), [TITLE]);
        let tell = world.tell(1480, &[&a, &b]);
        assert_eq!(
            (&titles(&tell)[..], tell.is_news, tell.due),
            (
                &["Still open: Mara Lindqvist: delete a customer"][..],
                true,
                None
            )
        );
        let tell = world.tell(1500, &[&a, &b]);
        assert_eq!((tell.notices[0].reminder, tell.is_news), (true, false));
    }

    #[test]
    fn what_was_told_just_now_is_not_reminded_of() {
        let (mut world, a) = (World::new(), request("a"));
        assert_eq!(world.tell(1450, &[&a]).due, None);
        assert!(!world.tell(1490, &[&a]).notices[0].reminder);
        // Nor is anybody who wants no reminders.
        let mut world = World::new();
        world.reminder = None;
        assert_eq!(world.tell(1000, &[&a]).due, None);
        assert!(!world.tell(1590, &[&a]).notices[0].reminder);
    }

    #[test]
    fn what_was_on_screen_says_for_a_moment_how_it_ended() {
        let (mut world, a, b) = (World::new(), request("a"), request("b"));
        world.tell(1000, &[&a, &b]);
        world.closed("a", Outcome::Denied, Some("Aino Korhonen"), 1010);
        world.closed("b", Outcome::Expired, None, 1010);
        // Whether the list knows already or not.
        for open in [vec![&a, &b], vec![]] {
            let tell = world.tell(1010, &open);
            assert_eq!(titles(&tell), ["Denied by Aino Korhonen", "Time ran out"]);
            let notice = &tell.notices[0];
            assert_eq!(
                (notice.stay, notice.urgency, &notice.key, &notice.facts[..]),
                (
                    Stay::Farewell,
                    Urgency::Low,
                    &Key::Request("a".into()),
                    &[TITLE.to_owned()][..]
                )
            );
            assert_eq!(tell.due, Some(UnixSecs(1014)));
        }
        assert_eq!(world.tell(1014, &[]).notices, []);
    }

    #[test]
    fn nothing_is_said_of_what_was_not_on_screen_or_decided_here() {
        let (mut world, a, b, c) = (World::new(), request("a"), request("b"), request("c"));
        world.showing = Some("a");
        world.mutes.pause(None);
        world.tell(1000, &[&c]);
        world.mutes.resume();
        world.tell(1000, &[&a, &b]);
        world.telling.decided("b");
        world.tell(1005, &[&a, &b]);
        for txn in ["a", "b", "c"] {
            world.closed(txn, Outcome::Denied, Some("Elin Varga"), 1010);
        }
        assert_eq!(world.tell(1010, &[]).notices, []);
    }

    #[test]
    fn a_vote_that_did_not_count_is_told_until_its_card_is_opened() {
        let (mut world, a) = (World::new(), request("a"));
        world.tell(1000, &[&a]);
        world
            .telling
            .failed("a".into(), "The server did not answer.".into());
        let tell = world.tell(1001, &[&a]);
        assert_eq!(titles(&tell), [TITLE, "Your vote was not counted"]);
        assert_eq!(tell.notices[1].opens.as_deref(), Some("a"));
        world.showing = Some("a");
        assert_eq!(world.tell(1002, &[&a]).notices, []);
    }
}
