//! What the notification daemon says, and who may say it.
//!
//! Anyone in the session can emit `ActionInvoked` to us, also addressed to us alone, past every match rule. So the
//! sender, which the bus itself writes, is compared with the unique name that owns the service: here, once, for
//! every message. The order of messages on the bus makes following that owner exact.

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use zbus::names::{OwnedUniqueName, UniqueName};
use zbus::{Connection, MatchRule, Message, MessageStream, message};

/// The service, its interface too.
pub(super) const SERVICE: &str = "org.freedesktop.Notifications";
/// Its one object.
pub(super) const PATH: &str = "/org/freedesktop/Notifications";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Signals of the daemon that are not handled yet. The daemon alone fills it.
const QUEUE: usize = 1024;

/// What was heard, in the order of the bus.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The service has a new owner, or none.
    Owner(Option<OwnedUniqueName>),
    /// The daemon has changed a property: it may hold notifications back now, or no more.
    Properties,
    /// The daemon said something.
    Said {
        /// The owner that said it.
        by: OwnedUniqueName,
        /// The notification's id there.
        id: u32,
        /// What.
        what: Said,
    },
}

/// What the daemon says of one notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The person clicked; the argument names the action.
    Action(String),
    /// The proof for the window system that a person clicked; comes before the action.
    Token(String),
    /// It is gone from the screen.
    Closed,
}

/// Subscribes, and only then learns who owns the service: nothing said after this call is missed.
pub(super) async fn listen(bus: &Connection) -> zbus::Result<mpsc::Receiver<Heard>> {
    let stream = MessageStream::from(bus);
    let dbus = zbus::fdo::DBusProxy::new(bus).await?;
    let said = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(SERVICE)?
        .interface(SERVICE)?
        .path(PATH)?
        .build();
    dbus.add_match_rule(said).await?;
    let changed = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(SERVICE)?
        .interface(PROPERTIES)?
        .path(PATH)?
        .build();
    dbus.add_match_rule(changed).await?;
    let owner_changed = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .arg(0, SERVICE)?
        .build();
    dbus.add_match_rule(owner_changed).await?;
    let owner = match dbus.get_name_owner(SERVICE.try_into()?).await {
        Ok(owner) => Some(owner),
        Err(zbus::fdo::Error::NameHasNoOwner(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (send, heard) = mpsc::channel(QUEUE);
    tokio::spawn(follow(stream, Follower { owner }, send));
    Ok(heard)
}

/// Keeps the connection's stream empty (a full one would hold up every reply) and passes on what counts.
async fn follow(mut stream: MessageStream, mut follower: Follower, send: mpsc::Sender<Heard>) {
    if send
        .send(Heard::Owner(follower.owner.clone()))
        .await
        .is_err()
    {
        return;
    }
    while let Some(message) = stream.next().await {
        let Ok(message) = message else { continue };
        if let Some(heard) = follower.hear(&message) {
            match send.try_send(heard) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::warn!("the notification daemon talks faster than it can be heard");
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}

/// Knows who owns the service.
struct Follower {
    owner: Option<OwnedUniqueName>,
}

impl Follower {
    fn hear(&mut self, message: &Message) -> Option<Heard> {
        if message.message_type() != message::Type::Signal {
            return None;
        }
        let header = message.header();
        let (interface, member) = (header.interface()?.as_str(), header.member()?.as_str());
        // The bus's own name is nobody else's to take, and the sender is written by the bus.
        let from_bus = header
            .sender()
            .is_some_and(|s| s.as_str() == "org.freedesktop.DBus");
        if interface == "org.freedesktop.DBus" && member == "NameOwnerChanged" && from_bus {
            let (name, _, new): (String, String, String) = message.body().deserialize().ok()?;
            if name != SERVICE {
                return None;
            }
            self.owner = UniqueName::try_from(new).ok().map(Into::into);
            return Some(Heard::Owner(self.owner.clone()));
        }
        if !matches!(interface, SERVICE | PROPERTIES) || header.path()?.as_str() != PATH {
            return None;
        }
        // INVARIANT: nothing that anybody but the owner says goes further than this.
        let by = self.owner.clone()?;
        if header.sender() != Some(&*by) {
            tracing::warn!(sender = ?header.sender(), member, "a signal that the notification daemon did not send was ignored");
            return None;
        }
        if interface == PROPERTIES {
            return (member == "PropertiesChanged").then_some(Heard::Properties);
        }
        let body = message.body();
        let (id, what) = match member {
            "ActionInvoked" => {
                let (id, action): (u32, String) = body.deserialize().ok()?;
                (id, Said::Action(action))
            }
            "ActivationToken" => {
                let (id, token): (u32, String) = body.deserialize().ok()?;
                (id, Said::Token(token))
            }
            "NotificationClosed" => {
                let (id, _reason): (u32, u32) = body.deserialize().ok()?;
                (id, Said::Closed)
            }
            _ => return None,
        };
        Some(Heard::Said { by, id, what })
    }
}
