//! Notifications by the Desktop Notifications Specification, over D-Bus.
//!
//! One task owns all of it: what should be on screen, what is, and under which id at which daemon. A daemon
//! delivers clicks only to the connection that sent the notification, so each run takes back what the last one left
//! and sends it anew; the same when the daemon changes.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_api::ipc::{Choice, TestSent};
use countersign_model::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use zbus::Connection;
use zbus::names::OwnedUniqueName;

use super::signals::{self, Heard, Said};
use super::{Button, Decision, Health, Key, Notice, Notifier, Screen, Service, Stay, Urgency, Why};
use crate::bus::Bus;
use crate::intent::Intent;
use crate::text::catalogue::Words;

mod daemon;
mod image;
mod left;

use daemon::{Daemon, Failure, Manner};

/// After a failure nothing is tried for so long, so that a daemon that dies of us is not started over and over.
const PAUSE: Duration = Duration::from_secs(5);
/// Without a bus, so long until the next look.
const NO_BUS_PAUSE: Duration = Duration::from_secs(30);
/// A click on Approve counts only when the notification has stood for so long: one that appears under a pointer that
/// was about to click is opened instead.
pub const SETTLED: Duration = Duration::from_secs(1);
/// A click may arrive after its notification closed: so many are remembered for that.
const REMEMBERED: usize = 64;

/// The handle of the task.
pub struct Freedesktop {
    wanted: watch::Sender<Screen>,
    asks: mpsc::Sender<Ask>,
    health: watch::Receiver<Health>,
}

enum Ask {
    Test(oneshot::Sender<Result<(), Why>>),
    TestSeen(bool),
    End(oneshot::Sender<()>),
}

impl Freedesktop {
    /// Starts. `left_by` is the file that says what is on screen, `intents` gets the clicks, and `settled` is
    /// [`SETTLED`] outside of tests.
    #[must_use]
    pub fn start(
        bus: Bus,
        clock: Arc<dyn Clock>,
        left_by: PathBuf,
        intents: mpsc::Sender<Intent>,
        settled: Duration,
    ) -> Self {
        let (wanted, wants) = watch::channel(Screen::default());
        let (asks, asked) = mpsc::channel(4);
        let (tell_health, health) = watch::channel(Health::Asking);
        let front = Front {
            bus,
            clock,
            left_by,
            intents,
            wants,
            asked,
            health: tell_health,
            settled,
        };
        tokio::spawn(front.run());
        Self {
            wanted,
            asks,
            health,
        }
    }
}

impl Notifier for Freedesktop {
    fn show(&self, screen: Screen) {
        self.wanted.send_if_modified(|now| {
            let changed = *now != screen;
            *now = screen;
            changed
        });
    }

    async fn test(&self) -> Result<(), Why> {
        let (tell, told) = oneshot::channel();
        let asked = self.asks.send(Ask::Test(tell)).await.is_ok();
        match (asked, told.await) {
            (true, Ok(result)) => result,
            (false, _) | (true, Err(_)) => Err(Why::NoBus),
        }
    }

    fn test_seen(&self, seen: bool) {
        if self.asks.try_send(Ask::TestSeen(seen)).is_err() {
            tracing::warn!("what the person saw of the test was not heard");
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    async fn end(&self) {
        let (tell, told) = oneshot::channel();
        if self.asks.send(Ask::End(tell)).await.is_ok() {
            // Either it has taken everything back, or it has ended already.
            let _ = told.await;
        }
    }
}

/// What outlives a bus connection.
struct Front {
    bus: Bus,
    clock: Arc<dyn Clock>,
    left_by: PathBuf,
    intents: mpsc::Sender<Intent>,
    wants: watch::Receiver<Screen>,
    asked: mpsc::Receiver<Ask>,
    health: watch::Sender<Health>,
    settled: Duration,
}

impl Front {
    async fn run(mut self) {
        loop {
            match self.connect().await {
                Ok((bus, heard)) => {
                    let desk = Desk::new(&self, bus);
                    if desk.run(&mut self, heard).await.is_ended() {
                        return;
                    }
                    tracing::warn!("the session bus hung up");
                }
                Err(error) => tracing::warn!(%error, "no session bus for notifications"),
            }
            tell(&self, Health::Missing(Why::NoBus));
            let until = Instant::now() + NO_BUS_PAUSE;
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    ask = self.asked.recv() => match ask {
                        Some(Ask::Test(tell)) => { let _ = tell.send(Err(Why::NoBus)); }
                        // Of a test that no daemon remembers.
                        Some(Ask::TestSeen(_)) => {}
                        Some(Ask::End(tell)) => { let _ = tell.send(()); return; }
                        None => return,
                    },
                }
            }
        }
    }

    async fn connect(&self) -> zbus::Result<(Connection, mpsc::Receiver<Heard>)> {
        let bus = self
            .bus
            .builder()?
            .method_timeout(daemon::CALL_TIMEOUT)
            .build()
            .await?;
        let heard = signals::listen(&bus).await?;
        Ok((bus, heard))
    }
}

/// How a connection's life ended.
enum Over {
    Ended,
    HungUp,
}

impl Over {
    fn is_ended(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::HungUp => false,
        }
    }
}

/// A notification on screen.
struct Shown {
    notice: Notice,
    id: u32,
    at: OwnedUniqueName,
    since: Instant,
}

/// What the person closed.
#[derive(Debug, Clone, Copy)]
struct Dismissed {
    /// For how many requests it stood then.
    stood_for: usize,
    /// It was a reminder.
    reminder: bool,
}

impl Dismissed {
    /// Whether this is nothing new.
    fn covers(self, notice: &Notice) -> bool {
        self.stood_for >= notice.stands_for && (self.reminder || !notice.reminder)
    }
}

/// A click's way back to what it opens, after the notification closed.
struct Past {
    id: u32,
    at: OwnedUniqueName,
    opens: Option<String>,
}

/// A person clicked.
struct Click {
    /// What they want by it.
    intent: Intent,
    /// The notification is there still.
    is_on_screen: bool,
}

/// What a person wants by a click.
enum Wish {
    /// To see it.
    Open,
    /// What its button says.
    Other(Intent),
}

/// Says how it is, where that is news.
fn tell(front: &Front, health: Health) {
    front.health.send_if_modified(|now| {
        let changed = *now != health;
        *now = health;
        changed
    });
}

/// Changes what is known of the daemon that works.
fn change_service(front: &Front, change: impl FnOnce(&mut Service)) {
    front.health.send_if_modified(|health| match health {
        Health::Working(service) => {
            let before = service.clone();
            change(service);
            *service != before
        }
        Health::Asking | Health::Missing(_) => false,
    });
}

/// The state of one bus connection.
struct Desk {
    daemon: Daemon,
    clock: Arc<dyn Clock>,
    left: left::Left,
    owner: Option<OwnedUniqueName>,
    shown: BTreeMap<Key, Shown>,
    dismissed: BTreeMap<Key, Dismissed>,
    past: VecDeque<Past>,
    token: Option<(u32, String)>,
    not_before: Option<Instant>,
    settled: Duration,
    /// What is added to notifications is said so.
    words: &'static Words,
    sound: bool,
}

impl Desk {
    fn new(front: &Front, bus: Connection) -> Self {
        let guid = bus.server_guid().to_string();
        Self {
            daemon: Daemon::new(bus),
            clock: front.clock.clone(),
            left: left::Left::new(front.left_by.clone(), guid),
            owner: None,
            shown: BTreeMap::new(),
            dismissed: BTreeMap::new(),
            past: VecDeque::new(),
            token: None,
            not_before: None,
            settled: front.settled,
            words: Screen::default().tongue.words(),
            sound: true,
        }
    }

    async fn run(mut self, front: &mut Front, mut heard: mpsc::Receiver<Heard>) -> Over {
        // Until the owner is known, what the daemon can show is not known either.
        let mut knows_owner = false;
        loop {
            let pause = self.not_before;
            tokio::select! {
                // What was heard goes first: it may void what would be done next.
                biased;
                heard = heard.recv() => match heard {
                    None => return Over::HungUp,
                    Some(Heard::Owner(owner)) => {
                        self.owner = owner;
                        if !std::mem::replace(&mut knows_owner, true) {
                            self.take_back_what_was_left().await;
                        }
                        self.meet_daemon(front).await;
                    }
                    Some(Heard::Properties) => self.look_if_held(front).await,
                    Some(Heard::Said { by, id, what }) => {
                        if let Some(Click { intent, is_on_screen }) = self.hear(&by, id, what) {
                            // The window first: a daemon that is busy with its picture takes its time to close one.
                            let is_heard = front.intents.send(intent).await.is_ok();
                            if is_on_screen {
                                // Daemons differ in whether a click closes: we do, always.
                                self.daemon.close(id).await;
                                self.write_left();
                            }
                            if !is_heard {
                                return Over::Ended;
                            }
                        }
                    }
                },
                ask = front.asked.recv(), if knows_owner => match ask {
                    Some(Ask::Test(tell)) => { let _ = tell.send(self.send_test(front).await); }
                    Some(Ask::TestSeen(seen)) => change_service(front, |service| {
                        if let Some(test) = &mut service.test {
                            test.seen = Some(seen);
                        }
                    }),
                    Some(Ask::End(tell)) => {
                        self.take_all_back().await;
                        let _ = tell.send(());
                        return Over::Ended;
                    }
                    None => return Over::Ended,
                },
                changed = front.wants.changed(), if knows_owner => match changed {
                    Ok(()) => self.reconcile(front).await,
                    Err(_) => return Over::Ended,
                },
                () = async { match pause { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                    self.not_before = None;
                    self.meet_daemon(front).await;
                }
            }
        }
    }

    /// Takes back what the run before left on screen: its clicks would reach nobody.
    async fn take_back_what_was_left(&mut self) {
        if let Some(owner) = &self.owner {
            for id in self.left.ids_at(owner) {
                self.daemon.close(id).await;
            }
        }
        self.left.write(None, &[]);
    }

    /// There is another daemon, or none, or it is time to try again.
    async fn meet_daemon(&mut self, front: &mut Front) {
        // What stood at an owner that is gone is not on screen any more.
        let owner = self.owner.clone();
        self.shown
            .retain(|_, shown| Some(&shown.at) == owner.as_ref());
        self.past.retain(|past| Some(&past.at) == owner.as_ref());
        self.token = None;
        if self.not_before.is_some() {
            return;
        }
        match self.daemon.introduce().await {
            Ok(service) => {
                tell(front, Health::Working(service));
                self.reconcile(front).await;
            }
            Err(failure) => self.failed(front, &failure),
        }
    }

    fn failed(&mut self, front: &Front, failure: &Failure) {
        tracing::warn!(error = %failure, "the notification daemon does not answer");
        self.not_before = match failure {
            // Its arrival will be heard.
            Failure::NoDaemon => None,
            Failure::Broken(_) => Some(Instant::now() + PAUSE),
        };
        tell(front, Health::Missing(failure.why()));
    }

    /// The daemon began or ended holding everything back.
    async fn look_if_held(&self, front: &Front) {
        let held = self.daemon.is_held().await;
        change_service(front, |service| service.held = held);
    }

    /// Makes the screen show what is wanted.
    async fn reconcile(&mut self, front: &mut Front) {
        let Screen {
            notices: wanted,
            sound,
            tongue,
        } = front.wants.borrow_and_update().clone();
        self.words = tongue.words();
        self.sound = sound;
        self.dismissed
            .retain(|key, _| wanted.iter().any(|w| w.key == *key));
        let unwanted: Vec<Key> = self
            .shown
            .keys()
            .filter(|key| **key != Key::Test && !wanted.iter().any(|w| w.key == **key))
            .cloned()
            .collect();
        for key in unwanted {
            if let Some(shown) = self.shown.remove(&key) {
                self.daemon.close(shown.id).await;
            }
        }
        for notice in wanted {
            let shown = self.shown.get(&notice.key);
            let dismissed = self.dismissed.get(&notice.key);
            // A word of farewell has nothing to say where nothing stands.
            let is_late = notice.stay == Stay::Farewell && shown.is_none();
            let is_same = shown.is_some_and(|shown| shown.notice == notice);
            let is_dismissed = dismissed.is_some_and(|dismissed| dismissed.covers(&notice));
            if is_late || is_same || is_dismissed || self.not_before.is_some() {
                continue;
            }
            if notice.reminder && shown.is_some_and(|shown| !shown.notice.reminder) {
                // Changed in its place, it would lie unseen in a list: what reminds comes up anew.
                if let Some(shown) = self.shown.remove(&notice.key) {
                    self.daemon.close(shown.id).await;
                }
            }
            if let Err(failure) = self.send(notice).await {
                self.failed(front, &failure);
                break;
            }
        }
        self.write_left();
    }

    async fn send(&mut self, notice: Notice) -> Result<(), Failure> {
        let replaces = self.shown.get(&notice.key).map(|shown| shown.id);
        let manner = Manner {
            replaces,
            sound: self.sound,
            words: self.words,
            now: self.clock.now(),
        };
        let (id, at) = self.daemon.notify(&notice, &manner).await?;
        self.dismissed.remove(&notice.key);
        let since = Instant::now();
        let shown = Shown {
            notice,
            id,
            at,
            since,
        };
        self.shown.insert(shown.notice.key.clone(), shown);
        Ok(())
    }

    async fn send_test(&mut self, front: &Front) -> Result<(), Why> {
        let (words, at) = (front.wants.borrow().tongue.words(), self.clock.now());
        self.words = words;
        let notice = Notice {
            key: Key::Test,
            opens: None,
            title: words.test.clone(),
            facts: vec![words.test_so.clone(), words.test_click.clone()],
            ends_at: None,
            urgency: Urgency::Normal,
            stands_for: 1,
            reminder: false,
            buttons: Vec::new(),
            stay: Stay::Briefly,
        };
        let started = Instant::now();
        // Sent again it comes up again, instead of changing nothing in its place.
        if let Some(before) = self.shown.remove(&Key::Test) {
            self.daemon.close(before.id).await;
        }
        let sent = self.send(notice).await;
        let millis = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.write_left();
        match sent {
            Ok(()) => {
                let test = TestSent {
                    at: at.0,
                    millis,
                    seen: None,
                };
                change_service(front, |service| service.test = Some(test));
                Ok(())
            }
            Err(failure) => {
                self.failed(front, &failure);
                Err(failure.why())
            }
        }
    }

    /// What the daemon said of a notification; yields what a person wants by it.
    fn hear(&mut self, by: &OwnedUniqueName, id: u32, what: Said) -> Option<Click> {
        let key = self
            .shown
            .iter()
            .find(|(_, s)| s.id == id && s.at == *by)
            .map(|(key, _)| key.clone());
        match what {
            Said::Token(token) => {
                self.token = Some((id, token));
                None
            }
            Said::Closed => {
                let shown = self.shown.remove(&key?)?;
                self.dismiss(&shown.notice);
                self.remember(Past {
                    id,
                    at: shown.at,
                    opens: shown.notice.opens,
                });
                self.write_left();
                None
            }
            Said::Action(action) => {
                let activation_token = self
                    .token
                    .take()
                    .filter(|(of, _)| *of == id)
                    .map(|(_, token)| token);
                let open = |txn| Intent::Open {
                    txn,
                    activation_token,
                };
                match key.and_then(|key| self.shown.remove(&key)) {
                    Some(shown) => {
                        let wish = self.wish(&shown, &action);
                        let Some(wish) = wish else {
                            // No button of ours: as if nothing was said.
                            self.shown.insert(shown.notice.key.clone(), shown);
                            return None;
                        };
                        self.dismiss(&shown.notice);
                        Some(Click {
                            intent: match wish {
                                Wish::Open => open(shown.notice.opens),
                                Wish::Other(intent) => intent,
                            },
                            is_on_screen: true,
                        })
                    }
                    // INVARIANT: what has left the screen only ever opens. A button counts while it can be seen.
                    None => {
                        let is_it = |past: &&Past| past.id == id && past.at == *by;
                        let past = self.past.iter().find(is_it)?;
                        Some(Click {
                            intent: open(past.opens.clone()),
                            is_on_screen: false,
                        })
                    }
                }
            }
        }
    }

    /// What a click means on this notification, as it was when it was shown.
    fn wish(&self, shown: &Shown, action: &str) -> Option<Wish> {
        if action == daemon::DEFAULT {
            return Some(Wish::Open);
        }
        let mut buttons = shown.notice.buttons.iter();
        let button = buttons.find(|button| daemon::action_of(button) == action)?;
        let vote = |choice,
                    Decision {
                        txn,
                        display_digest,
                    }: &Decision| {
            Wish::Other(Intent::Vote {
                txn: txn.clone(),
                choice,
                display_digest: display_digest.clone(),
            })
        };
        Some(match button {
            Button::Approve(_) if shown.since.elapsed() < self.settled => Wish::Open,
            Button::Approve(decision) => vote(Choice::Approve, decision),
            Button::Deny(decision) => vote(Choice::Deny, decision),
            Button::Mute { txn } => Wish::Other(Intent::Mute { txn: txn.clone() }),
        })
    }

    fn dismiss(&mut self, notice: &Notice) {
        let dismissed = Dismissed {
            stood_for: notice.stands_for,
            reminder: notice.reminder,
        };
        self.dismissed.insert(notice.key.clone(), dismissed);
    }

    fn remember(&mut self, past: Past) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    async fn take_all_back(&mut self) {
        for shown in std::mem::take(&mut self.shown).into_values() {
            self.daemon.close(shown.id).await;
        }
        self.write_left();
    }

    fn write_left(&self) {
        let owner = self.shown.values().next().map(|shown| &shown.at);
        let ids: Vec<u32> = self
            .shown
            .values()
            .filter(|shown| Some(&shown.at) == owner)
            .map(|shown| shown.id)
            .collect();
        self.left.write(owner, &ids);
    }
}
