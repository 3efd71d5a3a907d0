//! The agent's life: one loop that joins the approver's program with the desktop. It computes what the window, the
//! notifications and the tray should show, and acts on what a person does there.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_api::ipc::{
    Away, Choice, Event, Prefs, Problem, ProblemCode, QuietNow, State, Tray,
};
use countersign_approver::{self as approver, Accounts, Brief};
use countersign_model::{Clock, UnixSecs};
use jiff::tz::TimeZone;
use tokio::sync::{broadcast, mpsc, watch};

use crate::alarm::Alarm;
use crate::heap;
use crate::intent::Intent;
use crate::mutes::{Kept, Mutes, mute};
use crate::notify::telling::{Around, Open, Telling, is_away};
use crate::notify::{Health, Key, Notice, Notifier, Screen, Stay, Urgency};
use crate::quiet::{Quiet, quiet};
use crate::text::catalogue::{Tongue, Words};
use crate::text::plain;
use crate::tray::Content;
use crate::window::{Presence, Window};
use crate::zone;

/// From a notification, a requester is muted for so long.
const MUTE_SECS: u32 = 3600;
/// Votes by a button whose answer waits to be heard.
const FAILURES: usize = 16;

/// Everything that the loop joins.
pub struct Session<N> {
    /// The approver's program.
    pub approver: Accounts,
    /// Notifications.
    pub notifier: Arc<N>,
    /// The window.
    pub window: Window,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the person asked for quiet about.
    pub mutes: Arc<Mutes>,
    /// What the person prefers.
    pub prefs: watch::Receiver<Prefs>,
    /// Whether a host shows the icon.
    pub tray: watch::Receiver<Tray>,
    /// What the icon says.
    pub content: watch::Sender<Content>,
    /// The whole state, for the window.
    pub state: watch::Sender<Arc<State>>,
    /// The server that is filled in on first run.
    pub suggested_server: Option<String>,
    /// What people do in notifications and tray.
    pub intents: mpsc::Receiver<Intent>,
}

/// The state before anything is known.
#[must_use]
pub fn nothing_known() -> State {
    let words = Tongue::En.words();
    compose(
        &approver::State::default(),
        Desktop {
            health: &Health::Asking,
            tray: Tray::NoHost,
            presence: &Presence::default(),
            words,
        },
        &Hush {
            kept: Kept::default(),
            quiet: Quiet::default(),
            away: Vec::new(),
            now: UnixSecs(0),
        },
        Prefs::default(),
        None,
    )
}

impl<N: Notifier> Session<N> {
    /// Runs until a person quits. It comes back whole: who listens to it still has things to hear.
    pub async fn run(mut self) -> Self {
        let mut approver = self.approver.state();
        let mut events = self.approver.events();
        let mut health = self.notifier.health();
        let mut presence = self.window.presence();
        let mut kept = self.mutes.kept();
        let (fail, mut failures) = mpsc::channel(FAILURES);
        let alarm = Alarm::new();
        let mut told = Telling::default();
        let mut briefs = BTreeMap::new();
        let mut is_untold = false;
        loop {
            let prefs = self.prefs.borrow_and_update().clone();
            let tongue = Tongue::here(prefs.language);
            let words = tongue.words();
            let (now, zone) = (self.clock.now(), zone::here());
            let state = approver.borrow_and_update().clone();
            // How a request ended was said before it left the list.
            loop {
                match events.try_recv() {
                    Ok(event) => self.hear(event, &mut told, now, words),
                    Err(broadcast::error::TryRecvError::Lagged(_)) => self.missed(),
                    Err(
                        broadcast::error::TryRecvError::Empty
                        | broadcast::error::TryRecvError::Closed,
                    ) => break,
                }
            }
            learn(&self.approver, &state, &mut briefs);
            let open: Vec<Open<'_>> = state
                .inbox
                .iter()
                .map(|row| Open {
                    row,
                    brief: briefs.get(&row.txn),
                })
                .collect();
            let whose = open
                .iter()
                .filter_map(|one| Some((one.row.txn.as_str(), one.brief?.requester.as_str())));
            self.mutes.note(now, whose);
            let hush = Hush {
                kept: kept.borrow_and_update().clone(),
                quiet: quiet(prefs.quiet, now, &zone),
                away: away(&state),
                now,
            };
            let seen = presence.borrow_and_update().clone();
            let health_now = health.borrow_and_update().clone();
            let tell = told.of(
                &open,
                &Around {
                    now,
                    reminder: prefs.reminder,
                    kept: &hush.kept,
                    quiet: hush.quiet,
                    away: &hush.away,
                    showing: seen.showing.as_deref(),
                    words,
                },
            );
            is_untold |= tell.is_news;
            match &health_now {
                Health::Asking => {}
                Health::Working(_) => is_untold = false,
                Health::Missing(_) => {
                    if std::mem::take(&mut is_untold) {
                        self.raise();
                    }
                }
            }
            let mut notices = tell.notices;
            notices.extend(seen.trouble.as_deref().map(|why| of_window(why, words)));
            let sound = prefs.sound;
            let shown = compose(
                &state,
                Desktop {
                    health: &health_now,
                    tray: *self.tray.borrow_and_update(),
                    presence: &seen,
                    words,
                },
                &hush,
                prefs,
                self.suggested_server.as_deref(),
            );
            let connection = self.state.borrow().connection;
            if let Some(txn) = &seen.showing
                && connection != shown.connection
            {
                // Whether one can vote depends on it.
                self.window.tell(Event::CardChanged { txn: txn.clone() });
            }
            let is_idle = shown.inbox.is_empty() && !seen.visible;
            self.show(shown, tongue, now, &zone);
            self.notifier.show(Screen {
                notices,
                sound,
                tongue,
            });
            if is_idle {
                heap::give_back();
            }
            // The senders live as long as what is held here: the end of one is the end of all.
            let go_on = tokio::select! {
                changed = approver.changed() => changed.is_ok(),
                changed = health.changed() => changed.is_ok(),
                changed = presence.changed() => changed.is_ok(),
                changed = kept.changed() => changed.is_ok(),
                changed = self.prefs.changed() => changed.is_ok(),
                // Without a bus the tray gives up; the rest goes on.
                Ok(()) = self.tray.changed() => true,
                event = events.recv() => match event {
                    Ok(event) => {
                        self.hear(event, &mut told, self.clock.now(), words);
                        true
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.missed();
                        true
                    }
                    Err(broadcast::error::RecvError::Closed) => false,
                },
                Some((txn, sentence)) = failures.recv() => {
                    told.failed(txn, sentence);
                    true
                }
                () = alarm.at(tell.due, &*self.clock) => true,
                intent = self.intents.recv() => match intent {
                    Some(Intent::Open { txn, activation_token }) => {
                        self.open(txn, activation_token);
                        true
                    }
                    Some(Intent::Vote { txn, choice, display_digest }) => {
                        told.decided(&txn);
                        self.vote(txn, choice, display_digest, fail.clone());
                        true
                    }
                    Some(Intent::Mute { txn }) => {
                        if mute(&self.mutes, &self.approver, &txn, MUTE_SECS, self.clock.now()).is_none() {
                            tracing::info!("a requester was to be muted whose request is gone");
                        }
                        true
                    }
                    Some(Intent::Pause { secs }) => {
                        self.mutes.pause(secs.map(|secs| UnixSecs(self.clock.now().0 + i64::from(secs))));
                        true
                    }
                    Some(Intent::Resume) => {
                        self.mutes.resume();
                        true
                    }
                    Some(Intent::Quit) | None => false,
                },
            };
            if !go_on {
                return self;
            }
        }
    }

    fn show(&self, state: State, tongue: Tongue, now: UnixSecs, zone: &TimeZone) {
        let content = Content::of(&state, tongue, now, zone);
        self.content
            .send_if_modified(|now| std::mem::replace(now, content.clone()) != content);
        self.state.send_if_modified(|now| {
            let changed = **now != state;
            if changed {
                *now = Arc::new(state);
            }
            changed
        });
    }

    fn hear(&self, event: approver::Event, told: &mut Telling, now: UnixSecs, words: &Words) {
        match event {
            approver::Event::Changed { txn } => self.window.tell(Event::CardChanged { txn }),
            approver::Event::Closed { txn, outcome, by } => {
                told.closed(&txn, outcome, by.as_ref().map(plain), now, words);
                self.window.tell(Event::CardChanged { txn });
            }
            approver::Event::HistoryChanged => self.window.tell(Event::HistoryChanged),
            approver::Event::SignedIn => self.open(None, None),
            // The person is in the browser; what came of it stands on the card.
            approver::Event::StepUpEnded { txn } => self.open(Some(txn), None),
            // The state, which is looked at anyway, says the rest.
            approver::Event::Arrived { .. } | approver::Event::DeviceAdded { .. } => {}
        }
    }

    /// More happened at once than is kept. What is on screen may be old.
    fn missed(&self) {
        let showing = self.window.presence().borrow().showing.clone();
        if let Some(txn) = showing {
            self.window.tell(Event::CardChanged { txn });
        }
        self.window.tell(Event::HistoryChanged);
    }

    /// No notification can tell of what came: the window does, without taking the focus from what is typed.
    fn raise(&self) {
        let window = self.window.clone();
        tokio::spawn(async move {
            if let Err(sentence) = window.raise().await {
                tracing::warn!(sentence, "the window did not come");
            }
        });
    }

    /// Votes for a person who clicked on a button. What did not count is told; what takes the browser is shown.
    fn vote(
        &self,
        txn: String,
        choice: Choice,
        display_digest: String,
        fail: mpsc::Sender<(String, String)>,
    ) {
        let approver = self.approver.clone();
        tokio::spawn(async move {
            let voted = approver
                .vote(&txn, choice, None, None, display_digest)
                .await;
            if let Err(Problem { sentence, .. }) = voted {
                tracing::warn!("a vote by a button was not counted");
                // Nobody listens when the agent ends.
                let _ = fail.send((txn, sentence)).await;
            }
        });
    }

    fn open(&self, txn: Option<String>, activation_token: Option<String>) {
        let window = self.window.clone();
        tokio::spawn(async move {
            if let Err(sentence) = window.open(txn, activation_token).await {
                tracing::warn!(sentence, "the window did not come");
            }
        });
    }
}

/// Keeps what is known of the open requests beside their rows.
fn learn(approver: &Accounts, state: &approver::State, briefs: &mut BTreeMap<String, Brief>) {
    briefs.retain(|txn, _| state.inbox.iter().any(|row| row.txn == *txn));
    for row in &state.inbox {
        // What a row is made from never changes under its id.
        if !briefs.contains_key(&row.txn)
            && let Some(brief) = approver.brief(&row.txn)
        {
            briefs.insert(row.txn.clone(), brief);
        }
    }
}

/// The accounts that are away, or will be.
fn away(state: &approver::State) -> Vec<(String, Away)> {
    let accounts = state.accounts.iter();
    accounts
        .filter_map(|account| Some((account.id.clone(), account.away?)))
        .collect()
}

fn of_window(sentence: &str, words: &Words) -> Notice {
    Notice {
        key: Key::Window,
        opens: None,
        title: words.no_window.clone(),
        facts: vec![sentence.to_owned()],
        ends_at: None,
        urgency: Urgency::Normal,
        stands_for: 1,
        reminder: false,
        buttons: Vec::new(),
        stay: Stay::UntilOver,
    }
}

/// What holds notifications back, by the person's own wish.
struct Hush {
    kept: Kept,
    quiet: Quiet,
    away: Vec<(String, Away)>,
    now: UnixSecs,
}

impl Hush {
    fn quiet_now(&self, accounts: usize) -> Option<QuietNow> {
        let away = self
            .away
            .iter()
            .filter(|(_, away)| is_away(*away, self.now));
        let ends: Vec<i64> = away.map(|(_, away)| away.until).collect();
        match (ends.iter().min(), self.quiet.until) {
            (Some(until), _) if ends.len() == accounts => Some(QuietNow::Away { until: *until }),
            (_, Some(until)) => Some(QuietNow::QuietHours { until: until.0 }),
            (_, None) => None,
        }
    }
}

/// What only the desktop knows.
#[derive(Clone, Copy)]
struct Desktop<'a> {
    health: &'a Health,
    tray: Tray,
    presence: &'a Presence,
    words: &'a Words,
}

/// The one place where the window's state is put together.
fn compose(
    approver: &approver::State,
    desktop: Desktop<'_>,
    hush: &Hush,
    prefs: Prefs,
    suggested_server: Option<&str>,
) -> State {
    let approver::State {
        account,
        accounts,
        sign_in,
        connection,
        inbox,
        others,
        mut troubles,
        last,
        listed: _,
    } = approver.clone();
    let Desktop {
        health,
        tray,
        presence,
        words,
    } = desktop;
    let of_desktop = [
        health.trouble(words).map(str::to_owned),
        presence.trouble.clone(),
    ];
    troubles.extend(of_desktop.into_iter().flatten().map(|sentence| Problem {
        code: ProblemCode::Other,
        sentence,
    }));
    State {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        suggested_server: suggested_server
            .map(str::to_owned)
            .or(last.map(|last| last.server)),
        quiet_now: hush.quiet_now(accounts.len()),
        account,
        accounts,
        sign_in,
        connection,
        inbox,
        others,
        notifications: health.state(words),
        mutes: hush.kept.mutes(hush.now),
        paused: hush.kept.paused(hush.now),
        tray,
        sandbox: presence.sandbox.told(&words.checks),
        troubles,
        prefs,
    }
}
