//! The icon in the panel (StatusNotifierItem): how many wait, whether they can reach us, the newest of them, a pause,
//! and the way in and out.

use std::io::Cursor;
use std::time::Duration;

use countersign_api::ipc::{self, Connection, Notifications, QuietNow, State};
use countersign_model::UnixSecs;
use jiff::tz::TimeZone;
use ksni::menu::StandardItem;
use ksni::{Category, Handle, Icon, MenuItem, OfflineReason, Status, ToolTip, TrayMethods as _};
use tokio::sync::{mpsc, watch};

use crate::intent::Intent;
use crate::text::catalogue::{Tongue, Words, fill};
use crate::text::{isolated, plain, shorten};

/// So many requests stand in the menu; the window has all.
const IN_MENU: usize = 5;
/// The longest line of the menu.
const LABEL_CHARS: usize = 70;
/// How long the menu's first pause lasts.
const PAUSE_SECS: u32 = 3600;
/// Without a bus, so long until the next try.
const RETRY: Duration = Duration::from_secs(30);

/// What the icon says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How things are: a line, or two where notifications are held back.
    headlines: Vec<String>,
    /// The picture.
    look: Look,
    /// It asks to be looked at.
    calls: bool,
    /// Request and line, most recent first.
    requests: Vec<(String, String)>,
    /// Notifications are paused.
    is_paused: bool,
    /// The language of the menu.
    tongue: Tongue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing gets through.
    Offline,
    /// Nothing waits.
    Idle,
    /// Something waits.
    Pending,
    /// The person wants quiet.
    Paused,
    /// Notifications do not work.
    Unheard,
}

impl Content {
    /// As the whole state says.
    #[must_use]
    pub fn of(state: &State, tongue: Tongue, now: UnixSecs, zone: &TimeZone) -> Self {
        let words = tongue.words();
        let mut newest: Vec<_> = state.inbox.iter().collect();
        newest.sort_by_key(|row| std::cmp::Reverse(row.asked_at));
        let requests = newest.iter().take(IN_MENU).map(|row| {
            let (who, what) = (plain(&row.requester), plain(&row.summary));
            let line = format!("{}: {}", isolated(&who), isolated(&what));
            (row.txn.clone(), shorten(&line, LABEL_CHARS))
        });
        let waiting = match state.inbox.len() {
            0 => words.nothing_waits.clone(),
            n => words.waiting.of(n),
        };
        let is_hushed = hush(state, words, now, zone);
        let unheard = match &state.notifications {
            Notifications::Missing { .. } => Some(words.unreachable.clone()),
            Notifications::Working { held: true, .. } => Some(words.held_back.clone()),
            Notifications::Working { held: false, .. } => None,
        };
        let calls = !state.inbox.is_empty() && is_hushed.is_none();
        let (headlines, look) = match state.connection {
            Connection::SignedOut => (vec![words.signed_out.clone()], Look::Offline),
            Connection::Connecting => (vec![words.connecting.clone()], Look::Offline),
            Connection::Reconnecting => (vec![words.offline.clone()], Look::Offline),
            Connection::Connected => match (is_hushed, unheard) {
                (Some(hush), _) => (vec![waiting, hush], Look::Paused),
                (None, Some(unheard)) => (vec![waiting, unheard], Look::Unheard),
                (None, None) if state.inbox.is_empty() => (vec![waiting], Look::Idle),
                (None, None) => (vec![waiting], Look::Pending),
            },
        };
        Self {
            calls: calls && look != Look::Offline,
            headlines,
            look,
            requests: requests.collect(),
            is_paused: state.paused.is_some(),
            tongue,
        }
    }
}

/// Why nothing pops up, where the person wants it so.
fn hush(state: &State, words: &Words, now: UnixSecs, zone: &TimeZone) -> Option<String> {
    let until = |text: &str, until: i64| {
        let time = words.time(UnixSecs(until), now, zone);
        fill(text, &[("time", &time)])
    };
    match (state.paused, state.quiet_now) {
        (Some(ipc::Paused { until: None }), _) => Some(words.paused.clone()),
        (Some(ipc::Paused { until: Some(at) }), _) => Some(until(&words.paused_until, at)),
        (None, Some(QuietNow::Away { until: at })) => Some(until(&words.away_until, at)),
        (None, Some(QuietNow::QuietHours { until: at })) => Some(until(&words.quiet_until, at)),
        (None, None) => None,
    }
}

/// Shows `content` until its sender is gone; says in `state` whether a host shows it.
pub async fn run(
    mut content: watch::Receiver<Content>,
    intents: mpsc::Sender<Intent>,
    state: watch::Sender<ipc::Tray>,
) {
    let Some(handle) = spawn(&mut content, &intents, &state).await else {
        return;
    };
    while content.changed().await.is_ok() {
        let now = content.borrow_and_update().clone();
        if handle.update(|item| item.show(now)).await.is_none() {
            tracing::warn!("the tray icon is gone");
            state.send_replace(ipc::Tray::NoHost);
            return;
        }
    }
    handle.shutdown().await;
}

/// Tries until there is a bus. A host may come later still: the item registers with it by itself.
async fn spawn(
    content: &mut watch::Receiver<Content>,
    intents: &mpsc::Sender<Intent>,
    state: &watch::Sender<ipc::Tray>,
) -> Option<Handle<Item>> {
    loop {
        state.send_replace(ipc::Tray::Shown);
        let content = content.borrow_and_update().clone();
        let item = Item {
            picture: content.look.picture(),
            content,
            intents: intents.clone(),
            state: state.clone(),
        };
        // Without a host this succeeds too, after telling the item that its watcher is offline.
        match item.assume_sni_available(true).spawn().await {
            Ok(handle) => return Some(handle),
            Err(error) => tracing::warn!(%error, "no tray icon"),
        }
        state.send_replace(ipc::Tray::NoHost);
        tokio::time::sleep(RETRY).await;
        if intents.is_closed() {
            return None;
        }
    }
}

struct Item {
    content: Content,
    /// Of its look, in both sizes.
    picture: Vec<Icon>,
    intents: mpsc::Sender<Intent>,
    state: watch::Sender<ipc::Tray>,
}

impl Item {
    fn wish(&self, intent: Intent) {
        if self.intents.try_send(intent).is_err() {
            tracing::warn!("a click in the tray was not heard");
        }
    }

    fn open(&self, txn: Option<String>) {
        self.wish(Intent::Open {
            txn,
            activation_token: ksni::current_xdg_activation_token(),
        });
    }

    fn show(&mut self, content: Content) {
        if content.look != self.content.look {
            self.picture = content.look.picture();
        }
        self.content = content;
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "countersign".to_owned()
    }

    fn title(&self) -> String {
        "Countersign".to_owned()
    }

    fn category(&self) -> Category {
        Category::Communications
    }

    fn status(&self) -> Status {
        if self.content.calls {
            Status::NeedsAttention
        } else {
            Status::Active
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        self.picture.clone()
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.picture.clone()
    }

    fn tool_tip(&self) -> ToolTip {
        // The headlines are ours alone: a tool tip may be read as markup.
        ToolTip {
            title: "Countersign".to_owned(),
            description: self.content.headlines.join(" · "),
            ..ToolTip::default()
        }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.open(None);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let Content {
            headlines,
            requests,
            is_paused,
            tongue,
            look: _,
            calls: _,
        } = &self.content;
        let words = tongue.words();
        let mut menu: Vec<MenuItem<Self>> = headlines
            .iter()
            .map(|line| {
                StandardItem {
                    label: label(line),
                    enabled: false,
                    ..StandardItem::default()
                }
                .into()
            })
            .collect();
        menu.push(MenuItem::Separator);
        for (txn, line) in requests {
            let txn = txn.clone();
            menu.push(entry(line, move |item| item.open(Some(txn.clone()))));
        }
        if !requests.is_empty() {
            menu.push(MenuItem::Separator);
        }
        if *is_paused {
            menu.push(entry(&words.resume, |item| item.wish(Intent::Resume)));
        } else {
            let pause = |secs| move |item: &mut Self| item.wish(Intent::Pause { secs });
            menu.push(entry(&words.pause_hour, pause(Some(PAUSE_SECS))));
            menu.push(entry(&words.pause, pause(None)));
        }
        menu.push(MenuItem::Separator);
        menu.push(entry(&words.open_app_entry, |item| item.open(None)));
        menu.push(entry(&words.quit, |item| item.wish(Intent::Quit)));
        menu
    }

    fn watcher_online(&self) {
        self.state.send_replace(ipc::Tray::Shown);
    }

    fn watcher_offline(&self, reason: OfflineReason) -> bool {
        tracing::debug!(?reason, "no tray host");
        self.state.send_replace(ipc::Tray::NoHost);
        true
    }
}

/// A single underscore would mark an access key and vanish.
fn label(text: &str) -> String {
    text.replace('_', "__")
}

fn entry(text: &str, act: impl Fn(&mut Item) + Send + 'static) -> MenuItem<Item> {
    StandardItem {
        label: label(text),
        activate: Box::new(act),
        ..StandardItem::default()
    }
    .into()
}

impl Look {
    /// As the panel wants it, in both sizes.
    fn picture(self) -> Vec<Icon> {
        macro_rules! both_sizes {
            ($name:literal) => {
                [
                    include_bytes!(concat!("../../../icons/tray-", $name, "-22.png")).as_slice(),
                    include_bytes!(concat!("../../../icons/tray-", $name, "-44.png")).as_slice(),
                ]
            };
        }
        let files = match self {
            Self::Offline => both_sizes!("offline"),
            Self::Idle => both_sizes!("idle"),
            Self::Pending => both_sizes!("pending"),
            Self::Paused => both_sizes!("paused"),
            Self::Unheard => both_sizes!("unheard"),
        };
        files.into_iter().filter_map(argb).collect()
    }
}

/// A PNG of ours as the panel wants it: ARGB, in network byte order. `None` for anything but 8-bit RGBA, which a
/// test rules out.
fn argb(file: &[u8]) -> Option<Icon> {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().ok()?;
    let mut data = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut data).ok()?;
    if (info.color_type, info.bit_depth) != (png::ColorType::Rgba, png::BitDepth::Eight) {
        return None;
    }
    for pixel in data.chunks_exact_mut(4) {
        pixel.rotate_right(1);
    }
    Some(Icon {
        width: i32::try_from(info.width).ok()?,
        height: i32::try_from(info.height).ok()?,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_there_in_both_sizes() {
        for look in [
            Look::Offline,
            Look::Idle,
            Look::Pending,
            Look::Paused,
            Look::Unheard,
        ] {
            let icons = look.picture();
            let sizes: Vec<_> = icons.iter().map(|icon| (icon.width, icon.height)).collect();
            assert_eq!(sizes, [(22, 22), (44, 44)]);
            assert!(
                icons
                    .iter()
                    .all(|icon| icon.data.chunks_exact(4).any(|argb| argb[0] > 128))
            );
        }
    }

    #[test]
    fn an_underscore_is_not_an_access_key() {
        let MenuItem::Standard(item) = entry("delete from order_lines", |_| {}) else {
            panic!("a plain entry")
        };
        assert_eq!(item.label, "delete from order__lines");
    }

    /// What a person reads who opens the menu, and whether the icon calls.
    fn said(state: &State, tongue: Tongue) -> (String, Look, bool) {
        let zone = TimeZone::posix("CET-1").unwrap();
        let content = Content::of(state, tongue, UnixSecs(1_795_348_800), &zone);
        (content.headlines.join(" · "), content.look, content.calls)
    }

    fn connected() -> State {
        let mut state = crate::session::nothing_known();
        state.connection = Connection::Connected;
        state.notifications = Notifications::Working {
            daemon: "fake".into(),
            version: "1".into(),
            can: Vec::new(),
            held: false,
            test: None,
        };
        state
    }

    #[test]
    fn the_icon_says_how_things_are() {
        let says = |state: &State| said(state, Tongue::En);
        let mut state = connected();
        assert_eq!(
            says(&state),
            ("Nothing waits for you".into(), Look::Idle, false)
        );
        state.notifications = Notifications::Missing { why: "none".into() };
        let unheard = "Nothing waits for you · Notifications do not work";
        assert_eq!(says(&state), (unheard.into(), Look::Unheard, false));
        // What the person wants comes before what they cannot help.
        state.paused = Some(ipc::Paused {
            until: Some(1_795_348_800 + 3600),
        });
        let paused = "Nothing waits for you · Paused until 14:00";
        assert_eq!(says(&state), (paused.into(), Look::Paused, false));
        assert_eq!(
            said(&state, Tongue::De).0,
            "Nichts wartet auf Sie · Pausiert bis 14:00"
        );
        state.connection = Connection::Reconnecting;
        let offline = "Offline, trying again: nothing can reach you";
        assert_eq!(says(&state), (offline.into(), Look::Offline, false));
    }
}
