//! Resume and network change are heard from the services that tell them, and from nobody else.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::time::Duration;

use countersign_agent::bus::Bus;
use countersign_agent::wake::Wakes;
use session::PrivateBus;
use tokio::time::timeout;
use zbus::Connection;

const SLEEP: (&str, &str, &str) = (
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
    "PrepareForSleep",
);
const NETWORK: (&str, &str, &str) = (
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "StateChanged",
);

async fn emit(
    from: &Connection,
    (path, interface, member): (&str, &str, &str),
    body: &(impl serde::Serialize + zbus::zvariant::DynamicType),
) {
    from.emit_signal(None::<&str>, path, interface, member, body)
        .await
        .unwrap();
}

async fn service(bus: &PrivateBus, name: &'static str) -> Connection {
    let connection = bus.connect().await;
    connection.request_name(name).await.unwrap();
    connection
}

#[tokio::test]
async fn waking_up_and_a_network_that_is_back_are_heard_once_each() {
    let bus = PrivateBus::start();
    let mut wakes = Wakes::listen(&Bus::At(bus.address.clone())).await.unwrap();
    let sleep = service(&bus, "org.freedesktop.login1").await;
    let network = service(&bus, "org.freedesktop.NetworkManager").await;
    let stranger = bus.connect().await;
    // Going to sleep, losing the network, and what anybody else on the bus says: nothing.
    emit(&stranger, SLEEP, &(false,)).await;
    emit(&sleep, SLEEP, &(true,)).await;
    emit(&network, NETWORK, &(20_u32,)).await;
    emit(&sleep, SLEEP, &(false,)).await;
    wakes.next().await.unwrap();
    emit(&network, NETWORK, &(70_u32,)).await;
    wakes.next().await.unwrap();
    // Signals of one sender come in order, so this one stands for all before it.
    emit(&sleep, SLEEP, &(false,)).await;
    wakes.next().await.unwrap();
    let more = timeout(Duration::ZERO, wakes.next()).await;
    assert!(more.is_err(), "nothing else was heard");
}

/// A clock that stands at the beginning of time.
struct Stopped;

impl countersign_model::Clock for Stopped {
    fn now(&self) -> countersign_model::UnixSecs {
        countersign_model::UnixSecs(0)
    }
}

#[tokio::test]
async fn an_alarm_that_rings_wakes_too() {
    // What is late for this clock is long past for the computer's: its alarm rings, as it does when the clock is set.
    let (woken, mut wakes) = tokio::sync::mpsc::unbounded_channel();
    let clock = std::sync::Arc::new(Stopped);
    let rung = tokio::spawn(countersign_agent::wake::by_clock(clock, move || {
        // The test may have ended.
        let _ = woken.send(());
    }));
    wakes.recv().await.unwrap();
    wakes.recv().await.unwrap();
    rung.abort();
}
