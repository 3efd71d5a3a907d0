//! The calls to the notification daemon.

use std::time::Duration;

use countersign_api::ipc::Ability;
use countersign_model::UnixSecs;
use zbus::Connection;
use zbus::names::OwnedUniqueName;
use zbus::zvariant::{SerializeDict, Type, Value};

use super::super::signals::{PATH, SERVICE};
use super::image::{self, Image};
use crate::notify::{Button, Notice, Service, Stay, Urgency, Why};
use crate::text::catalogue::Words;

/// A click on the notification itself. Daemons that offer no such click draw it as a button by its name.
pub(super) const DEFAULT: &str = "default";

/// The name of a button's action between the daemon and us.
pub(super) fn action_of(button: &Button) -> &'static str {
    match button {
        Button::Deny(_) => "deny",
        Button::Approve(_) => "approve",
        Button::Mute { .. } => "mute",
    }
}

fn label_of<'a>(button: &Button, words: &'a Words) -> &'a str {
    match button {
        Button::Deny(_) => &words.deny,
        Button::Approve(_) => &words.approve,
        Button::Mute { .. } => &words.mute_hour,
    }
}

/// A daemon that takes longer is taken for broken.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// From the sound naming specification: what asks for an answer.
const SOUND: &str = "message-new-instant";
/// What stays for a moment only.
const BRIEFLY_MILLIS: i32 = 5000;
/// The interface under which dunst says whether it is paused.
const DUNST: &str = "org.dunstproject.cmd0";

/// Why a notification was not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody provides the service.
    #[error("nobody provides org.freedesktop.Notifications")]
    NoDaemon,
    /// Somebody does, and fails.
    #[error("the call failed: {0}")]
    Broken(zbus::Error),
}

impl Failure {
    pub(super) fn why(&self) -> Why {
        match self {
            Self::NoDaemon => Why::NoDaemon,
            Self::Broken(_) => Why::Broken,
        }
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        let no_daemon = matches!(&error, zbus::Error::MethodError(name, _, _) if matches!(
            name.as_str(),
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner"
        ));
        if no_daemon {
            Self::NoDaemon
        } else {
            Self::Broken(error)
        }
    }
}

/// What the daemon can show.
#[derive(Debug, Clone, Copy, Default)]
struct Capabilities {
    actions: bool,
    body_markup: bool,
}

/// What goes with a notification beside its text. What is not said is not there.
#[derive(SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
struct Hints {
    urgency: u8,
    desktop_entry: &'static str,
    resident: bool,
    sound_name: Option<&'static str>,
    suppress_sound: Option<bool>,
    transient: Option<bool>,
    image_data: Option<Image>,
}

/// How a notification is sent.
pub(super) struct Manner {
    /// In whose place.
    pub(super) replaces: Option<u32>,
    /// A new one sounds.
    pub(super) sound: bool,
    /// The language of what is added.
    pub(super) words: &'static Words,
    /// Now.
    pub(super) now: UnixSecs,
}

/// Whoever provides the service now.
pub(super) struct Daemon {
    bus: Connection,
    can: Capabilities,
}

impl Daemon {
    pub(super) fn new(bus: Connection) -> Self {
        Self {
            bus,
            can: Capabilities::default(),
        }
    }

    /// Learns who the daemon is and what it can do. Starts one where the bus knows how.
    pub(super) async fn introduce(&mut self) -> Result<Service, Failure> {
        let reply = self.call("GetCapabilities", &()).await?;
        let capabilities: Vec<String> = reply.body().deserialize()?;
        let has = |name: &str| capabilities.iter().any(|known| known == name);
        self.can = Capabilities {
            actions: has("actions"),
            body_markup: has("body-markup"),
        };
        // Urgency is no capability: the specification has every daemon know it.
        let can = [
            (has("body"), Ability::Body),
            (has("actions"), Ability::Actions),
            (true, Ability::Urgency),
            (has("sound"), Ability::Sound),
            (has("persistence"), Ability::Persistence),
        ];
        let reply = self.call("GetServerInformation", &()).await?;
        let (name, _, version, _): (String, String, String, String) = reply.body().deserialize()?;
        Ok(Service {
            name: of_daemon(&name),
            version: of_daemon(&version),
            can: can
                .into_iter()
                .filter_map(|(has, ability)| has.then_some(ability))
                .collect(),
            held: self.is_held().await,
            test: None,
        })
    }

    /// Whether the desktop holds notifications back, as Plasma and dunst tell; where nobody tells, it does not.
    pub(super) async fn is_held(&self) -> bool {
        self.says(SERVICE, "Inhibited").await || self.says(DUNST, "paused").await
    }

    async fn says(&self, interface: &str, property: &str) -> bool {
        let which = (interface, property);
        let properties = Some("org.freedesktop.DBus.Properties");
        let asked = self
            .bus
            .call_method(Some(SERVICE), PATH, properties, "Get", &which);
        let Ok(reply) = asked.await else { return false };
        let body = reply.body();
        let value: Result<Value<'_>, _> = body.deserialize();
        matches!(value, Ok(Value::Bool(true)))
    }

    /// Shows it; yields its id and who showed it.
    pub(super) async fn notify(
        &self,
        notice: &Notice,
        manner: &Manner,
    ) -> Result<(u32, OwnedUniqueName), Failure> {
        let words = manner.words;
        let mut actions: Vec<&str> = Vec::new();
        if self.can.actions {
            actions.extend([DEFAULT, words.open.as_str()]);
            for button in &notice.buttons {
                actions.extend([action_of(button), label_of(button, words)]);
            }
        }
        let urgency: u8 = match notice.urgency {
            Urgency::Low => 0,
            Urgency::Normal => 1,
            Urgency::Critical => 2,
        };
        // One more approval on what is there already is no reason to make a sound.
        let sounds = manner.sound && manner.replaces.is_none();
        let (is_brief, timeout_millis) = match notice.stay {
            // Never by itself: it goes when the request does.
            Stay::UntilOver => (false, 0),
            Stay::Briefly | Stay::Farewell => (true, BRIEFLY_MILLIS),
        };
        let hints = Hints {
            urgency,
            desktop_entry: "countersign",
            resident: false,
            sound_name: sounds.then_some(SOUND),
            suppress_sound: (!sounds).then_some(true),
            transient: is_brief.then_some(true),
            image_data: image::icon(),
        };
        let body = self.body(notice, words, manner.now);
        let arguments = (
            "Countersign",
            manner.replaces.unwrap_or(0),
            "",
            notice.title.as_str(),
            body.as_str(),
            actions,
            hints,
            timeout_millis,
        );
        let reply = self.call("Notify", &arguments).await?;
        let id = reply.body().deserialize()?;
        let sender = reply.header().sender().map(|name| name.to_owned().into());
        let by = sender.ok_or_else(|| {
            Failure::Broken(zbus::Error::Failure("a reply without a sender".into()))
        })?;
        Ok((id, by))
    }

    /// Takes it away. That it is gone already is as good.
    pub(super) async fn close(&self, id: u32) {
        if let Err(failure) = self.call("CloseNotification", &id).await {
            tracing::debug!(error = %failure, id, "a notification was not there to be closed");
        }
    }

    fn body(&self, notice: &Notice, words: &Words, now: UnixSecs) -> String {
        let mut parts = notice.facts.clone();
        parts.extend(notice.ends_at.map(|end| words.time_left(end - now)));
        if !self.can.actions {
            parts.push(words.open_app.clone());
        }
        let body = parts.join(" · ");
        if self.can.body_markup {
            escape(&body)
        } else {
            body
        }
    }

    async fn call<B>(&self, method: &str, body: &B) -> Result<zbus::Message, Failure>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        Ok(self
            .bus
            .call_method(Some(SERVICE), PATH, Some(SERVICE), method, body)
            .await?)
    }
}

/// What the daemon says of itself, on its way to the window: short, and without what is no letter.
fn of_daemon(text: &str) -> String {
    let plain = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(64).collect()
}

/// The specification's markup, made inert.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_body_is_inert() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&apos;&amp;&apos;&lt;/a&gt;"
        );
    }
}
