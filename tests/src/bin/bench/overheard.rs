//! What passes over a session bus about notifications, each with the moment at which it passed. A monitor sees it when the
//! daemon does, and nobody's messages take another way for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zbus::message::Type;
use zbus::zvariant::OwnedValue;
use zbus::{MatchRule, Message, MessageStream};

const INTERFACE: &str = "org.freedesktop.Notifications";
/// What does not pass within this time does not come.
const SOON: Duration = Duration::from_secs(10);
/// The arguments of `Notify`.
type Notify = (
    String,
    u32,
    String,
    String,
    String,
    Vec<String>,
    HashMap<String, OwnedValue>,
    i32,
);

enum Heard {
    /// A notification is to be shown: its title and text.
    Notify(String),
    /// Somebody acted on one.
    Acted,
}

/// The ear on the bus.
pub(crate) struct Overheard {
    heard: UnboundedReceiver<(Instant, Heard)>,
}

impl Overheard {
    /// Listens from now on.
    pub(crate) async fn on(address: &str) -> Result<Self> {
        let bus = zbus::connection::Builder::address(address)?
            .build()
            .await
            .context("reach the session bus")?;
        let mut passing = MessageStream::from(&bus);
        let about = || MatchRule::builder().interface(INTERFACE);
        let rules = [
            about()?
                .msg_type(Type::MethodCall)
                .member("Notify")?
                .build(),
            about()?
                .msg_type(Type::Signal)
                .member("ActionInvoked")?
                .build(),
        ];
        zbus::fdo::MonitoringProxy::new(&bus)
            .await?
            .become_monitor(&rules, 0)
            .await
            .context("listen on the session bus")?;
        let (tell, heard) = unbounded_channel();
        tokio::spawn(async move {
            // Dropped, the connection would end.
            let _bus = bus;
            while let Some(Ok(message)) = passing.next().await {
                let at = Instant::now();
                if let Some(what) = read(&message)
                    && tell.send((at, what)).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { heard })
    }

    /// When a notification passed that speaks of this.
    pub(crate) async fn told_of(&mut self, what: &str) -> Result<Instant> {
        self.until(|heard| match heard {
            Heard::Notify(text) => text.contains(what),
            Heard::Acted => false,
        })
        .await
        .with_context(|| format!("no notification speaks of {what}"))
    }

    /// When somebody acted on a notification.
    pub(crate) async fn acted(&mut self) -> Result<Instant> {
        self.until(|heard| match heard {
            Heard::Notify(_) => false,
            Heard::Acted => true,
        })
        .await
        .context("the notification daemon tells of no act")
    }

    async fn until(&mut self, wanted: impl Fn(&Heard) -> bool) -> Result<Instant> {
        loop {
            let (at, heard) = tokio::time::timeout(SOON, self.heard.recv())
                .await?
                .context("the session bus hung up")?;
            if wanted(&heard) {
                return Ok(at);
            }
        }
    }
}

fn read(message: &Message) -> Option<Heard> {
    match message.header().member()?.as_str() {
        "Notify" => {
            let body = message.body();
            let (_, _, _, title, text, _, _, _): Notify = body.deserialize().ok()?;
            Some(Heard::Notify(format!("{title}\n{text}")))
        }
        "ActionInvoked" => Some(Heard::Acted),
        _ => None,
    }
}
