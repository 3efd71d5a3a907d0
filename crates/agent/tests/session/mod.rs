//! A private message bus, and a small notification daemon on it that does exactly what a test says.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use countersign_model::{Clock, UnixSecs};
use tempfile::TempDir;
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::zvariant::Value;

pub(crate) const SERVICE: &str = "org.freedesktop.Notifications";
pub(crate) const PATH: &str = "/org/freedesktop/Notifications";

/// No service files: nothing starts by itself.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=PATH</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#;

/// A real `dbus-daemon`, ended with the value.
pub(crate) struct PrivateBus {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) address: String,
}

impl PrivateBus {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("make a folder");
        let config = dir.path().join("bus.conf");
        let socket = dir.path().join("bus");
        std::fs::write(
            &config,
            CONFIG.replace("PATH", socket.to_str().expect("a UTF-8 path")),
        )
        .expect("write the config");
        let mut child = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&config)
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start dbus-daemon (Debian: dbus)");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut address)
            .expect("read its address");
        Self {
            child,
            dir,
            address: address.trim().to_owned(),
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let builder =
            zbus::connection::Builder::address(self.address.as_str()).expect("an address");
        builder.build().await.expect("connect to the bus")
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.child.kill().expect("end dbus-daemon");
        self.child.wait().expect("reap dbus-daemon");
    }
}

/// What the daemon was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    Notify {
        id: u32,
        replaces: u32,
        title: String,
        body: String,
        actions: Vec<String>,
    },
    Close {
        id: u32,
    },
}

/// A notification daemon that shows nothing and remembers everything.
pub(crate) struct FakeDaemon {
    pub(crate) bus: Connection,
    pub(crate) called: mpsc::UnboundedReceiver<Called>,
}

struct Service {
    next_id: u32,
    capabilities: Vec<String>,
    called: mpsc::UnboundedSender<Called>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    fn get_capabilities(&self) -> Vec<String> {
        self.capabilities.clone()
    }

    #[zbus(out_args("name", "vendor", "version", "spec_version"))]
    fn get_server_information(&self) -> (String, String, String, String) {
        ("fake".into(), "tests".into(), "1".into(), "1.2".into())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the specification's own signature"
    )]
    fn notify(
        &mut self,
        _app_name: String,
        replaces: u32,
        _icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        _hints: std::collections::HashMap<String, Value<'_>>,
        _timeout: i32,
    ) -> u32 {
        let id = if replaces == 0 {
            self.next_id
        } else {
            replaces
        };
        self.next_id += 1;
        self.called
            .send(Called::Notify {
                id,
                replaces,
                title,
                body,
                actions,
            })
            .expect("the test listens");
        id
    }

    fn close_notification(&self, id: u32) {
        self.called
            .send(Called::Close { id })
            .expect("the test listens");
    }
}

impl FakeDaemon {
    pub(crate) async fn start(bus: &PrivateBus, first_id: u32) -> Self {
        let bus = bus.connect().await;
        let (send, called) = mpsc::unbounded_channel();
        let capabilities = ["actions", "body", "body-markup", "persistence"]
            .map(String::from)
            .into();
        let service = Service {
            next_id: first_id,
            capabilities,
            called: send,
        };
        bus.object_server().at(PATH, service).await.expect("serve");
        bus.request_name(SERVICE)
            .await
            .expect("own the service's name");
        Self { bus, called }
    }

    /// The next call.
    pub(crate) async fn next(&mut self) -> Called {
        self.called.recv().await.expect("the daemon lives")
    }

    /// The next call, which is a notification: its id, title and body.
    pub(crate) async fn notified(&mut self) -> (u32, String, String) {
        match self.next().await {
            Called::Notify {
                id, title, body, ..
            } => (id, title, body),
            Called::Close { id } => panic!("{id} was closed where a notification was due"),
        }
    }

    /// Stops being the daemon; what it says from now on does not count.
    pub(crate) async fn abdicate(&self) {
        self.bus
            .release_name(SERVICE)
            .await
            .expect("release the name");
    }
}

/// Emits a signal of the notification interface from `from`, to `to` alone or to all, and waits until the bus has it.
pub(crate) async fn emit<B>(from: &Connection, to: Option<&str>, signal: &str, body: &B)
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    from.emit_signal(to, PATH, SERVICE, signal, body)
        .await
        .expect("emit");
    let bus = zbus::fdo::DBusProxy::new(from).await.expect("the bus");
    bus.get_id()
        .await
        .expect("the bus has taken everything that was sent before");
}

/// A clock that a test sets.
pub(crate) struct SetClock(pub Mutex<i64>);

impl Clock for SetClock {
    fn now(&self) -> UnixSecs {
        UnixSecs(*self.0.lock().expect("the clock"))
    }
}
