//! A private message bus, and a small notification daemon on it that does exactly what a test says.

pub(crate) mod client;

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

/// The hints that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) urgency: u8,
    pub(crate) sound: Option<String>,
    pub(crate) suppress_sound: bool,
    pub(crate) transient: bool,
    pub(crate) resident: bool,
    pub(crate) desktop_entry: String,
    /// Width, height and bytes.
    pub(crate) image: Option<(i32, i32, usize)>,
}

impl Hints {
    fn read(hints: &std::collections::HashMap<String, Value<'_>>) -> Self {
        let is = |name: &str| matches!(hints.get(name), Some(Value::Bool(true)));
        let text = |name: &str| match hints.get(name) {
            Some(Value::Str(text)) => Some(text.to_string()),
            _ => None,
        };
        let image = hints.get("image-data").map(|value| {
            type Image = (i32, i32, i32, bool, i32, i32, Vec<u8>);
            let value = value.try_clone().expect("clone the image");
            let image: Image = value.try_into().expect("an image as specified");
            (image.0, image.1, image.6.len())
        });
        Self {
            urgency: match hints.get("urgency") {
                Some(Value::U8(urgency)) => *urgency,
                other => panic!("the urgency is {other:?}"),
            },
            sound: text("sound-name"),
            suppress_sound: is("suppress-sound"),
            transient: is("transient"),
            resident: is("resident"),
            desktop_entry: text("desktop-entry").expect("which program it is"),
            image,
        }
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
        hints: Hints,
        timeout: i32,
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
    inhibited: bool,
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
        hints: std::collections::HashMap<String, Value<'_>>,
        timeout: i32,
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
                hints: Hints::read(&hints),
                timeout,
            })
            .expect("the test listens");
        id
    }

    /// As Plasma tells that it holds notifications back.
    #[zbus(property)]
    fn inhibited(&self) -> bool {
        self.inhibited
    }

    fn close_notification(&self, id: u32) {
        self.called
            .send(Called::Close { id })
            .expect("the test listens");
    }
}

impl FakeDaemon {
    pub(crate) async fn start(bus: &PrivateBus, first_id: u32) -> Self {
        Self::that_can(
            bus,
            first_id,
            &["actions", "body", "body-markup", "persistence"],
        )
        .await
    }

    pub(crate) async fn that_can(bus: &PrivateBus, first_id: u32, can: &[&str]) -> Self {
        let bus = bus.connect().await;
        let (send, called) = mpsc::unbounded_channel();
        let capabilities = can.iter().map(|name| (*name).to_owned()).collect();
        let service = Service {
            next_id: first_id,
            capabilities,
            inhibited: false,
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

    /// Begins or ends holding everything back, and says so.
    pub(crate) async fn inhibit(&self, inhibited: bool) {
        let server = self.bus.object_server();
        let service = server
            .interface::<_, Service>(PATH)
            .await
            .expect("the service");
        let mut own = service.get_mut().await;
        own.inhibited = inhibited;
        own.inhibited_changed(service.signal_emitter())
            .await
            .expect("say so");
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
