//! The computer woke up, or the network is back: told by the system's own services, so that the stream reconnects at
//! once instead of at the end of its pause. Only a hint: without these services everything works, a little later.

use std::sync::Arc;
use std::time::Duration;

use countersign_model::{Clock, UnixSecs};
use futures_util::StreamExt as _;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::alarm::Alarm;
use crate::bus::Bus;

const SLEEP: &str = "org.freedesktop.login1";
const SLEEP_INTERFACE: &str = "org.freedesktop.login1.Manager";
const NETWORK: &str = "org.freedesktop.NetworkManager";

/// NetworkManager's `NM_STATE_CONNECTED_LOCAL`: from here on there is a network.
const CONNECTED: u32 = 50;
/// Signals that wait to be looked at.
const QUEUE: usize = 16;
/// Before the bus is tried again. A desktop without one rarely gets one later.
const PAUSE: Duration = Duration::from_secs(15 * 60);
/// An alarm that is there to be rung by the clock being set is due so late, in seconds.
const LATE_SECS: i64 = 7 * 24 * 3600;

/// Calls `wake` at each such moment, for as long as it is polled.
pub async fn run(bus: Bus, wake: impl Fn()) {
    loop {
        match Wakes::listen(&bus).await {
            Ok(mut wakes) => {
                while wakes.next().await.is_some() {
                    tracing::debug!("the computer or the network is back");
                    wake();
                }
            }
            Err(error) => {
                tracing::debug!("the system's bus is not there: {error}");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Calls `wake` whenever the clock on the wall was set, for as long as it is polled. Coming back from sleep is such a moment
/// too, so this needs none of the system's services; until then it costs nothing.
pub async fn by_clock(clock: Arc<dyn Clock>, wake: impl Fn()) {
    let alarm = Alarm::new();
    loop {
        let late = UnixSecs(clock.now().0.saturating_add(LATE_SECS));
        alarm.at(Some(late), &*clock).await;
        tracing::debug!("the clock was set, or the computer is back");
        wake();
    }
}

/// The moments, one after the other.
pub struct Wakes {
    signals: futures_util::stream::Select<MessageStream, MessageStream>,
    _bus: Connection,
}

impl Wakes {
    /// Listens on this bus. Only what the bus says comes from the services themselves is heard.
    ///
    /// # Errors
    /// When there is no bus.
    pub async fn listen(bus: &Bus) -> zbus::Result<Self> {
        let bus = bus.builder()?.build().await?;
        let sleep = rule(SLEEP, SLEEP_INTERFACE, "PrepareForSleep")?;
        let network = rule(NETWORK, NETWORK, "StateChanged")?;
        let sleep = MessageStream::for_match_rule(sleep, &bus, Some(QUEUE)).await?;
        let network = MessageStream::for_match_rule(network, &bus, Some(QUEUE)).await?;
        Ok(Self {
            signals: futures_util::stream::select(sleep, network),
            _bus: bus,
        })
    }

    /// The next one; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<()> {
        while let Some(signal) = self.signals.next().await {
            if is_wake(&signal.ok()?) {
                return Some(());
            }
        }
        None
    }
}

fn rule(
    sender: &'static str,
    interface: &'static str,
    member: &'static str,
) -> zbus::Result<MatchRule<'static>> {
    Ok(MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(sender)?
        .interface(interface)?
        .member(member)?
        .build())
}

fn is_wake(signal: &Message) -> bool {
    let header = signal.header();
    let body = signal.body();
    match header.member().map(|member| member.as_str()) {
        // It says `true` when the computer goes to sleep.
        Some("PrepareForSleep") => body
            .deserialize::<bool>()
            .is_ok_and(|goes_to_sleep| !goes_to_sleep),
        Some("StateChanged") => body
            .deserialize::<u32>()
            .is_ok_and(|state| state >= CONNECTED),
        Some(_) | None => false,
    }
}
