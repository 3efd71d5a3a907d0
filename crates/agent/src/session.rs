//! The agent's life: one loop that joins the approver's program with the desktop. It computes what the window, the
//! notifications and the tray should show, and acts on what a person does there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_api::ipc::{Event, Prefs, Problem, ProblemCode, Row, State, Tray};
use countersign_approver::{self as approver, Accounts};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;

use crate::intent::Intent;
use crate::notify::notices::{Notices, Waiting};
use crate::notify::{Health, Key, Notice, Notifier, Urgency};
use crate::text::plain;
use crate::tray::Content;
use crate::window::{Presence, Window};

/// Cards of open requests come from memory; one that does not is not waited for.
const CARD_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that the loop joins.
pub struct Session<N> {
    /// The approver's program.
    pub approver: Accounts,
    /// Notifications.
    pub notifier: Arc<N>,
    /// The window.
    pub window: Window,
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
    compose(
        &approver::State::default(),
        &Health::Asking,
        Tray::NoHost,
        Prefs::default(),
        None,
        &Presence::default(),
    )
}

impl<N: Notifier> Session<N> {
    /// Runs until a person quits.
    pub async fn run(mut self) {
        let mut approver = self.approver.state();
        let mut events = self.approver.events();
        let mut health = self.notifier.health();
        let mut presence = self.window.presence();
        let mut told = Told::default();
        loop {
            let now = approver.borrow_and_update().clone();
            let seen = presence.borrow_and_update().clone();
            let state = compose(
                &now,
                &health.borrow_and_update(),
                *self.tray.borrow_and_update(),
                *self.prefs.borrow_and_update(),
                self.suggested_server.as_deref(),
                &seen,
            );
            let connection = self.state.borrow().connection;
            if let Some(txn) = &seen.showing
                && connection != state.connection
            {
                // Whether one can vote depends on it.
                self.window.tell(Event::CardChanged { txn: txn.clone() });
            }
            self.show(state);
            self.notifier
                .show(told.notices(&self.approver, &now, &seen).await);
            // The senders live as long as what is held here: the end of one is the end of all.
            let go_on = tokio::select! {
                changed = approver.changed() => changed.is_ok(),
                changed = health.changed() => changed.is_ok(),
                changed = presence.changed() => changed.is_ok(),
                changed = self.prefs.changed() => changed.is_ok(),
                // Without a bus the tray gives up; the rest goes on.
                Ok(()) = self.tray.changed() => true,
                event = events.recv() => {
                    self.hear(event);
                    true
                }
                intent = self.intents.recv() => match intent {
                    Some(Intent::Open { txn, activation_token }) => {
                        self.open(txn, activation_token);
                        true
                    }
                    Some(Intent::Quit) | None => false,
                },
            };
            if !go_on {
                return;
            }
        }
    }

    fn show(&self, state: State) {
        let content = Content::of(&state);
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

    fn hear(&self, event: Result<approver::Event, broadcast::error::RecvError>) {
        match event {
            Ok(approver::Event::Changed { txn } | approver::Event::Closed { txn, .. }) => {
                self.window.tell(Event::CardChanged { txn });
            }
            Ok(approver::Event::SignedIn) => self.open(None, None),
            // The person is in the browser; what came of it stands on the card.
            Ok(approver::Event::StepUpEnded { txn }) => self.open(Some(txn), None),
            // The state, which is looked at anyway, says the rest.
            Ok(approver::Event::Arrived { .. } | approver::Event::DeviceAdded { .. })
            | Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
            }
        }
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

/// What the notifications need to remember.
#[derive(Default)]
struct Told {
    notices: Notices,
    /// The requesters' groups, by request.
    groups: HashMap<String, Vec<String>>,
}

impl Told {
    async fn notices(
        &mut self,
        approver: &Accounts,
        state: &approver::State,
        seen: &Presence,
    ) -> Vec<Notice> {
        self.groups
            .retain(|txn, _| state.inbox.iter().any(|row| row.txn == *txn));
        for Row { txn, .. } in &state.inbox {
            if !self.groups.contains_key(txn) {
                let groups = groups(approver, txn).await;
                self.groups.insert(txn.clone(), groups);
            }
        }
        let waiting: Vec<_> = state
            .inbox
            .iter()
            .map(|row| Waiting {
                row,
                groups: self.groups.get(&row.txn).cloned().unwrap_or_default(),
            })
            .collect();
        let mut notices = self.notices.of(&waiting, seen.showing.as_deref());
        notices.extend(seen.trouble.as_deref().map(of_window));
        notices
    }
}

/// The claims that tell most about who asks.
async fn groups(approver: &Accounts, txn: &str) -> Vec<String> {
    match timeout(CARD_PATIENCE, approver.card(txn)).await {
        Ok(Ok(card)) => {
            let groups = card.who.claims.iter().find(|field| field.label == "groups");
            groups
                .map(|field| field.lines.iter().map(plain).collect())
                .unwrap_or_default()
        }
        // The card itself will say why.
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

fn of_window(sentence: &str) -> Notice {
    Notice {
        key: Key::Window,
        opens: None,
        title: "Countersign has no window".to_owned(),
        facts: vec![sentence.to_owned()],
        ends_at: None,
        urgency: Urgency::Normal,
        stands_for: 1,
    }
}

/// The one place where the window's state is put together.
fn compose(
    approver: &approver::State,
    health: &Health,
    tray: Tray,
    prefs: Prefs,
    suggested_server: Option<&str>,
    presence: &Presence,
) -> State {
    let approver::State {
        account,
        accounts,
        sign_in,
        connection,
        inbox,
        others,
        troubles,
        last,
        listed: _,
    } = approver.clone();
    let mut troubles = troubles;
    let desktop = [
        match health {
            Health::Missing { sentence } => Some(sentence.clone()),
            Health::Asking | Health::Working { .. } => None,
        },
        presence.trouble.clone(),
    ];
    troubles.extend(desktop.into_iter().flatten().map(|sentence| Problem {
        code: ProblemCode::Other,
        sentence,
    }));
    State {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        suggested_server: suggested_server
            .map(str::to_owned)
            .or(last.map(|last| last.server)),
        account,
        accounts,
        sign_in,
        connection,
        inbox,
        others,
        notifications: health.state(),
        tray,
        troubles,
        prefs,
    }
}
