//! The calls to the notification daemon.

use std::collections::HashMap;
use std::time::Duration;

use countersign_model::UnixSecs;
use zbus::Connection;
use zbus::names::OwnedUniqueName;
use zbus::zvariant::Value;

use super::super::signals::{PATH, SERVICE};
use super::image;
use crate::notify::{Notice, Urgency};
use crate::text::time_left;

/// The only action: a click on the notification itself. Daemons that offer no such click draw it as a button by its
/// name, so that a button of our own would stand there twice.
pub(super) const DEFAULT: &str = "default";
/// A daemon that takes longer is taken for broken.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Said when there is no session bus.
pub(super) const NO_BUS: &str = "This session has no D-Bus, so nothing can notify you. \
    Keep this window open, or start Countersign from a desktop session.";
const NO_DAEMON: &str = "No notification service runs on this desktop, so nothing pops up when you are asked. \
    Install one (such as dunst or xfce4-notifyd), or keep this window open.";
const BROKEN: &str = "The notification service of this desktop does not answer, so nothing pops up when you are asked. \
    Restart it, or keep this window open.";

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
    pub(super) fn sentence(&self) -> &'static str {
        match self {
            Self::NoDaemon => NO_DAEMON,
            Self::Broken(_) => BROKEN,
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

    /// Learns what the daemon can do; yields its name. Starts one where the bus knows how.
    pub(super) async fn introduce(&mut self) -> Result<String, Failure> {
        let reply = self.call("GetCapabilities", &()).await?;
        let capabilities: Vec<String> = reply.body().deserialize()?;
        self.can = Capabilities {
            actions: capabilities.iter().any(|c| c == "actions"),
            body_markup: capabilities.iter().any(|c| c == "body-markup"),
        };
        let reply = self.call("GetServerInformation", &()).await?;
        let (name, _, _, _): (String, String, String, String) = reply.body().deserialize()?;
        Ok(name)
    }

    /// Shows it, in the place of `replaces`; yields its id and who showed it.
    pub(super) async fn notify(
        &self,
        notice: &Notice,
        replaces: Option<u32>,
        now: UnixSecs,
    ) -> Result<(u32, OwnedUniqueName), Failure> {
        let actions: &[&str] = if self.can.actions {
            &[DEFAULT, "Open"]
        } else {
            &[]
        };
        let urgency: u8 = match notice.urgency {
            Urgency::Normal => 1,
            Urgency::Critical => 2,
        };
        let mut hints = HashMap::from([
            ("urgency", Value::from(urgency)),
            ("desktop-entry", Value::from("countersign")),
            ("resident", Value::from(false)),
        ]);
        if let Some(icon) = image::icon() {
            hints.insert("image-data", icon);
        }
        let body = self.body(notice, now);
        // Never expires by itself: it goes when the request does.
        let timeout_millis = 0i32;
        let arguments = (
            "Countersign",
            replaces.unwrap_or(0),
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

    fn body(&self, notice: &Notice, now: UnixSecs) -> String {
        let mut parts = notice.facts.clone();
        parts.extend(notice.ends_at.map(|end| time_left(end - now)));
        if !self.can.actions {
            parts.push("open Countersign to see it".to_owned());
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
