//! The icon in the panel (StatusNotifierItem): how many wait, whether they can reach us, the newest of them, and
//! the way in and out.

use std::io::Cursor;
use std::time::Duration;

use countersign_api::ipc::{self, Connection, State};
use ksni::menu::StandardItem;
use ksni::{Category, Handle, Icon, MenuItem, OfflineReason, Status, ToolTip, TrayMethods as _};
use tokio::sync::{mpsc, watch};

use crate::intent::Intent;
use crate::text::{plain, shorten};

/// So many requests stand in the menu; the window has all.
const IN_MENU: usize = 5;
/// The longest line of the menu.
const LABEL_CHARS: usize = 70;
/// Without a bus, so long until the next try.
const RETRY: Duration = Duration::from_secs(30);

/// What the icon says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// One line on how things are.
    headline: String,
    /// The picture.
    look: Look,
    /// Request and line, most recent first.
    requests: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Look {
    #[default]
    Offline,
    Idle,
    Pending,
}

impl Content {
    /// As the whole state says.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut newest: Vec<_> = state.inbox.iter().collect();
        newest.sort_by_key(|row| std::cmp::Reverse(row.asked_at));
        let requests = newest.iter().take(IN_MENU).map(|row| {
            let line = format!("{}: {}", plain(&row.requester), plain(&row.summary));
            (row.txn.clone(), shorten(&line, LABEL_CHARS))
        });
        let waiting = match state.inbox.len() {
            0 => "Nothing waits for you".to_owned(),
            1 => "1 request waits for you".to_owned(),
            n => format!("{n} requests wait for you"),
        };
        let (headline, look) = match state.connection {
            Connection::SignedOut => (
                "Signed out: nothing can reach you".to_owned(),
                Look::Offline,
            ),
            Connection::Connecting => ("Connecting".to_owned(), Look::Offline),
            Connection::Reconnecting => (
                "Offline, trying again: nothing can reach you".to_owned(),
                Look::Offline,
            ),
            Connection::Connected if state.inbox.is_empty() => (waiting, Look::Idle),
            Connection::Connected => (waiting, Look::Pending),
        };
        Self {
            headline,
            look,
            requests: requests.collect(),
        }
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
        if handle.update(|item| item.content = now).await.is_none() {
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
    let pictures = Pictures::decode();
    loop {
        state.send_replace(ipc::Tray::Shown);
        let item = Item {
            content: content.borrow_and_update().clone(),
            pictures: pictures.clone(),
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
    pictures: Pictures,
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

    fn picture(&self) -> Vec<Icon> {
        match self.content.look {
            Look::Offline => self.pictures.offline.clone(),
            Look::Idle => self.pictures.idle.clone(),
            Look::Pending => self.pictures.pending.clone(),
        }
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
        match self.content.look {
            Look::Pending => Status::NeedsAttention,
            Look::Offline | Look::Idle => Status::Active,
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        self.picture()
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.picture()
    }

    fn tool_tip(&self) -> ToolTip {
        // The headline is ours alone: a tool tip may be read as markup.
        ToolTip {
            title: "Countersign".to_owned(),
            description: self.content.headline.clone(),
            ..ToolTip::default()
        }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.open(None);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let mut menu = vec![
            StandardItem {
                label: self.content.headline.clone(),
                enabled: false,
                ..StandardItem::default()
            }
            .into(),
            MenuItem::Separator,
        ];
        for (txn, line) in &self.content.requests {
            let txn = txn.clone();
            menu.push(entry(line, move |item| item.open(Some(txn.clone()))));
        }
        if !self.content.requests.is_empty() {
            menu.push(MenuItem::Separator);
        }
        menu.push(entry("Open Countersign", |item| item.open(None)));
        menu.push(entry("Quit", |item| item.wish(Intent::Quit)));
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

fn entry(label: &str, act: impl Fn(&mut Item) + Send + 'static) -> MenuItem<Item> {
    // A single underscore would mark an access key and vanish.
    StandardItem {
        label: label.replace('_', "__"),
        activate: Box::new(act),
        ..StandardItem::default()
    }
    .into()
}

#[derive(Clone)]
struct Pictures {
    idle: Vec<Icon>,
    pending: Vec<Icon>,
    offline: Vec<Icon>,
}

impl Pictures {
    fn decode() -> Self {
        macro_rules! both_sizes {
            ($name:literal) => {
                [
                    include_bytes!(concat!("../../../icons/tray-", $name, "-22.png")).as_slice(),
                    include_bytes!(concat!("../../../icons/tray-", $name, "-44.png")).as_slice(),
                ]
            };
        }
        let icons = |files: [&[u8]; 2]| files.iter().filter_map(|file| argb(file)).collect();
        Self {
            idle: icons(both_sizes!("idle")),
            pending: icons(both_sizes!("pending")),
            offline: icons(both_sizes!("offline")),
        }
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
        let Pictures {
            idle,
            pending,
            offline,
        } = Pictures::decode();
        for icons in [idle, pending, offline] {
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
}
