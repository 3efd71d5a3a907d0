//! Notifications by the Desktop Notifications Specification, over D-Bus.
//!
//! One task owns all of it: what should be on screen, what is, and under which id at which daemon. A daemon
//! delivers clicks only to the connection that sent the notification, so each run takes back what the last one left
//! and sends it anew; the same when the daemon changes.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_api::ipc::{Problem, ProblemCode};
use countersign_model::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use zbus::Connection;
use zbus::names::OwnedUniqueName;

use super::signals::{self, Heard, Said};
use super::{Health, Key, Notice, Notifier, Urgency};
use crate::bus::Bus;
use crate::intent::Intent;

mod daemon;
mod image;
mod left;

use daemon::{Daemon, Failure};

/// After a failure nothing is tried for so long, so that a daemon that dies of us is not started over and over.
const PAUSE: Duration = Duration::from_secs(5);
/// Without a bus, so long until the next look.
const NO_BUS_PAUSE: Duration = Duration::from_secs(30);
/// A click may arrive after its notification closed: so many are remembered for that.
const REMEMBERED: usize = 64;

/// The handle of the task.
pub struct Freedesktop {
    wanted: watch::Sender<Vec<Notice>>,
    asks: mpsc::Sender<Ask>,
    health: watch::Receiver<Health>,
}

enum Ask {
    Test(oneshot::Sender<Result<(), Problem>>),
    End(oneshot::Sender<()>),
}

impl Freedesktop {
    /// Starts. `left_by` is the file that says what is on screen, `intents` gets the clicks.
    #[must_use]
    pub fn start(
        bus: Bus,
        clock: Arc<dyn Clock>,
        left_by: PathBuf,
        intents: mpsc::Sender<Intent>,
    ) -> Self {
        let (wanted, wants) = watch::channel(Vec::new());
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
    fn show(&self, wanted: Vec<Notice>) {
        self.wanted.send_if_modified(|now| {
            let changed = *now != wanted;
            *now = wanted;
            changed
        });
    }

    async fn test(&self) -> Result<(), Problem> {
        let (tell, told) = oneshot::channel();
        let asked = self.asks.send(Ask::Test(tell)).await.is_ok();
        match (asked, told.await) {
            (true, Ok(result)) => result,
            (false, _) | (true, Err(_)) => Err(problem(daemon::NO_BUS)),
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

fn problem(sentence: &str) -> Problem {
    Problem {
        code: ProblemCode::Other,
        sentence: sentence.to_owned(),
    }
}

/// What outlives a bus connection.
struct Front {
    bus: Bus,
    clock: Arc<dyn Clock>,
    left_by: PathBuf,
    intents: mpsc::Sender<Intent>,
    wants: watch::Receiver<Vec<Notice>>,
    asked: mpsc::Receiver<Ask>,
    health: watch::Sender<Health>,
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
            self.health.send_replace(Health::Missing {
                sentence: daemon::NO_BUS.to_owned(),
            });
            let until = Instant::now() + NO_BUS_PAUSE;
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    ask = self.asked.recv() => match ask {
                        Some(Ask::Test(tell)) => { let _ = tell.send(Err(problem(daemon::NO_BUS))); }
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
}

/// A click's way back to what it opens, after the notification closed.
struct Past {
    id: u32,
    at: OwnedUniqueName,
    opens: Option<String>,
}

/// The state of one bus connection.
struct Desk {
    daemon: Daemon,
    clock: Arc<dyn Clock>,
    left: left::Left,
    owner: Option<OwnedUniqueName>,
    shown: BTreeMap<Key, Shown>,
    /// What the person closed, and for how many requests it stood then.
    dismissed: BTreeMap<Key, usize>,
    past: VecDeque<Past>,
    token: Option<(u32, String)>,
    not_before: Option<Instant>,
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
                    Some(Heard::Said { by, id, what }) => {
                        if let Some(open) = self.hear(&by, id, what).await
                            && front.intents.send(open).await.is_err()
                        {
                            return Over::Ended;
                        }
                    }
                },
                ask = front.asked.recv(), if knows_owner => match ask {
                    Some(Ask::Test(tell)) => { let _ = tell.send(self.send_test(front).await); }
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
            Ok(name) => {
                front.health.send_if_modified(|health| {
                    let working = Health::Working { daemon: name };
                    let changed = *health != working;
                    *health = working;
                    changed
                });
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
        front.health.send_replace(Health::Missing {
            sentence: failure.sentence().to_owned(),
        });
    }

    /// Makes the screen show what is wanted.
    async fn reconcile(&mut self, front: &mut Front) {
        let wanted = front.wants.borrow_and_update().clone();
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
            let dismissed = self
                .dismissed
                .get(&notice.key)
                .is_some_and(|for_| *for_ >= notice.stands_for);
            let same = self
                .shown
                .get(&notice.key)
                .is_some_and(|shown| shown.notice == notice);
            if dismissed || same || self.not_before.is_some() {
                continue;
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
        let (id, at) = self
            .daemon
            .notify(&notice, replaces, self.clock.now())
            .await?;
        self.dismissed.remove(&notice.key);
        self.shown
            .insert(notice.key.clone(), Shown { notice, id, at });
        Ok(())
    }

    async fn send_test(&mut self, front: &Front) -> Result<(), Problem> {
        let notice = Notice {
            key: Key::Test,
            opens: None,
            title: "Countersign: a test".to_owned(),
            facts: vec![
                "Requests that wait for you will look like this".to_owned(),
                "click to open".to_owned(),
            ],
            ends_at: None,
            urgency: Urgency::Normal,
            stands_for: 1,
        };
        let sent = self.send(notice).await;
        self.write_left();
        sent.map_err(|failure| {
            self.failed(front, &failure);
            problem(failure.sentence())
        })
    }

    /// What the daemon said of a notification; yields what a click opens.
    async fn hear(&mut self, by: &OwnedUniqueName, id: u32, what: Said) -> Option<Intent> {
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
                self.dismissed
                    .insert(shown.notice.key, shown.notice.stands_for);
                self.remember(Past {
                    id,
                    at: shown.at,
                    opens: shown.notice.opens,
                });
                self.write_left();
                None
            }
            Said::Action(action) if action == daemon::DEFAULT => {
                let opens = match key.and_then(|key| self.shown.remove(&key)) {
                    Some(shown) => {
                        // Daemons differ in whether a click closes: we do, always.
                        self.daemon.close(id).await;
                        self.dismissed
                            .insert(shown.notice.key, shown.notice.stands_for);
                        self.write_left();
                        shown.notice.opens
                    }
                    None => self
                        .past
                        .iter()
                        .find(|past| past.id == id && past.at == *by)?
                        .opens
                        .clone(),
                };
                let activation_token = self
                    .token
                    .take()
                    .filter(|(of, _)| *of == id)
                    .map(|(_, token)| token);
                Some(Intent::Open {
                    txn: opens,
                    activation_token,
                })
            }
            Said::Action(_) => None,
        }
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
