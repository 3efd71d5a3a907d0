//! Shutting the window in: its process draws what came from outside, and so it gets nothing that it does not need. By
//! bubblewrap, where the system has it: no network, no session bus, nothing of the person's files but fonts and theme
//! ([`Looks`]), a read-only system, no sight of other processes. What is let through: the window's own socket, the
//! display's, the graphics device, and the accessibility bus where assistive technology is on.
//!
//! Whether it works is seen by the window that comes, or does not: trying it out before would keep the first one waiting.
//!
//! What it is not: a wall on X11, where every program that may draw can watch all others. There the display is the way out.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use countersign_api::ipc;
use tokio::process::Command;
use tokio::time::timeout;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::bus::Bus;
use crate::checks::Words;

mod looks;

pub use looks::Looks;

/// How long trying it out, looking up fonts and theme, or asking for the accessibility bus, may take. Each takes some
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The parts of the system that a program with a window reads. Those that are links here are links there.
const SYSTEM: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];
/// Files and folders that are not there on every system.
const OPTIONAL: [&str; 16] = [
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/gtk-3.0",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/drirc",
    "/etc/glvnd",
    "/etc/egl",
    // Without it each start reads all fonts anew.
    "/var/cache/fontconfig",
    // Where a graphics card is found.
    "/sys/dev/char",
    "/sys/devices",
    // Systems that keep their programs elsewhere.
    "/nix/store",
    "/gnu/store",
    "/run/opengl-driver",
    "/run/current-system/sw",
];
/// Graphics devices.
const DEVICES: [&str; 4] = [
    "/dev/dri",
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/dev/nvidia-modeset",
];
/// What of our environment tells how to draw. Nothing else is passed on: an environment may hold secrets.
const ENVIRONMENT: [&str; 18] = [
    "DISPLAY",
    "GDK_BACKEND",
    "GDK_DPI_SCALE",
    "GDK_SCALE",
    "GTK_THEME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_TIME",
    "LIBGL_ALWAYS_SOFTWARE",
    "TZ",
    "WEBKIT_DISABLE_COMPOSITING_MODE",
    "WEBKIT_DISABLE_DMABUF_RENDERER",
    "XCURSOR_SIZE",
    "XCURSOR_THEME",
    "XDG_SESSION_TYPE",
];
/// What lets other programs drive the page. A window that was not built for tests refuses to start with it.
const AUTOMATION: [&str; 2] = ["TAURI_WEBVIEW_AUTOMATION", "WEBKIT_INSPECTOR_SERVER"];

/// Inside, where the person has none.
const HOME: &str = "/run/home";
/// Inside.
const SESSION: &str = "/run/session";
const PROGRAM: &str = "/run/countersign-window";

/// Whether windows are shut in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off(Why),
}

/// Why they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The environment asks to let another program drive the page.
    Automation,
    /// The display is on another computer.
    Remote,
    /// There is no bubblewrap.
    Missing,
    /// The system does not let it work.
    Refused,
    /// It works, and no window came by it.
    Failed,
}

impl Standing {
    /// As the window is told.
    #[must_use]
    pub fn told(self, words: &Words) -> ipc::Sandbox {
        let why = match self {
            Self::On => return ipc::Sandbox::On,
            Self::Off(Why::Automation) => &words.sandbox_automation,
            Self::Off(Why::Remote) => &words.sandbox_remote,
            Self::Off(Why::Missing) => &words.sandbox_missing,
            Self::Off(Why::Refused) => &words.sandbox_refused,
            Self::Off(Why::Failed) => &words.sandbox_failed,
        };
        ipc::Sandbox::Off { why: why.clone() }
    }
}

/// How windows are started in this session.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The program that shuts them in, or why they are not.
    by: Result<PathBuf, Why>,
    /// Where assistive technology is asked for.
    bus: Bus,
    /// What they see of the person's own, where there is a home.
    looks: Option<Looks>,
}

impl Sandbox {
    /// Looks how windows can be shut in here.
    #[must_use]
    pub fn of_session(bus: Bus, looks: Option<Looks>) -> Self {
        // A home that is the whole system would hide it.
        let looks = looks.filter(|looks| looks.home().parent().is_some());
        Self {
            by: find(),
            bus,
            looks,
        }
    }

    /// Windows start as any other program.
    #[must_use]
    pub fn none(why: Why) -> Self {
        Self {
            by: Err(why),
            bus: Bus::Session,
            looks: None,
        }
    }

    /// Whether windows are shut in.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.by {
            Ok(_) => Standing::On,
            Err(why) => Standing::Off(*why),
        }
    }

    /// What to try when no window came by this one: first without the person's fonts and theme, then open.
    pub async fn next(self) -> Self {
        let why = match &self.by {
            Ok(program) if works(program).await => Why::Failed,
            Ok(_) => Why::Refused,
            Err(why) => *why,
        };
        if why == Why::Failed && self.looks.is_some() {
            return Self {
                looks: None,
                ..self
            };
        }
        Self::none(why)
    }

    /// What starts `program` with `socket` as its way to us.
    pub async fn command(&self, program: &Path, socket: &Path) -> Command {
        let Ok(by) = &self.by else {
            let mut command = Command::new(program);
            command
                .env("COUNTERSIGN_SOCKET", socket)
                // Of the agent's own start, long used up.
                .env_remove("DESKTOP_STARTUP_ID")
                .env_remove("XDG_ACTIVATION_TOKEN");
            return command;
        };
        let mut shut_in = ShutIn::default();
        shut_in.system();
        shut_in.home(self.looks.clone()).await;
        shut_in.pass("--ro-bind", program, PROGRAM);
        shut_in.socket(socket, "window.sock", "COUNTERSIGN_SOCKET");
        shut_in.display();
        match assistive(&self.bus).await {
            Some(socket) => {
                shut_in.pass("--ro-bind", &socket, format!("{SESSION}/at-spi"));
                shut_in.set("AT_SPI_BUS_ADDRESS", format!("unix:path={SESSION}/at-spi"));
            }
            // Else the toolkit looks for it and complains.
            None => shut_in.set("NO_AT_BRIDGE", "1"),
        }
        // Last: everything above needs a place to be mounted at.
        shut_in.say(&["--remount-ro", "/"]);
        let mut command = Command::new(by);
        command.args(shut_in.words).arg("--").arg(PROGRAM);
        command
    }
}

/// The program that shuts in.
fn find() -> Result<PathBuf, Why> {
    if AUTOMATION
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        return Err(Why::Automation);
    }
    let wayland = std::env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty());
    let display = std::env::var("DISPLAY").unwrap_or_default();
    if !wayland && !display.is_empty() && x11_socket(&display).is_none() {
        return Err(Why::Remote);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("bwrap"))
        .find(|program| program.is_file())
        .ok_or(Why::Missing)
}

/// Whether the system lets it do anything at all.
async fn works(program: &Path) -> bool {
    let tried = Command::new(program)
        .args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"])
        .args([
            "--proc", "/proc", "--dev", "/dev", "--", "/bin/sh", "-c", ":",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    matches!(timeout(PATIENCE, tried).await, Ok(Ok(status)) if status.success())
}

/// The words for bubblewrap, in order.
#[derive(Default)]
struct ShutIn {
    words: Vec<OsString>,
}

impl ShutIn {
    fn say(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(OsString::from));
    }

    fn pass(&mut self, how: &str, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
        let words = [how.as_ref(), from.as_ref(), to.as_ref()];
        self.words.extend(words.map(OsStr::to_owned));
    }

    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.pass("--setenv", name, value);
    }

    /// Everything but what is particular to this session.
    fn system(&mut self) {
        self.say(&[
            // Users, processes, network, shared memory, host name: all its own.
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]);
        for path in SYSTEM {
            match std::fs::read_link(path) {
                Ok(target) => self.pass("--symlink", target, path),
                Err(_) => self.pass("--ro-bind-try", path, path),
            }
        }
        self.say(&["--proc", "/proc", "--dev", "/dev"]);
        for folder in ["/tmp", "/run", "/var", "/home"] {
            self.say(&["--tmpfs", folder]);
        }
        for path in OPTIONAL {
            self.pass("--ro-bind-try", path, path);
        }
        for path in DEVICES {
            self.pass("--dev-bind-try", path, path);
        }
        self.say(&["--dir", SESSION, "--chmod", "0700", SESSION]);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                self.set(name, value);
            }
        }
        self.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        self.set("XDG_RUNTIME_DIR", SESSION);
        // There is no other: what wants one must not look for it.
        self.set("DBUS_SESSION_BUS_ADDRESS", "disabled:");
        // Settings would be looked for over that bus.
        self.set("GSETTINGS_BACKEND", "memory");
    }

    /// A home that is empty but for what changes how things look, and goes with the window.
    async fn home(&mut self, looks: Option<Looks>) {
        let home = looks.as_ref().map_or(Path::new(HOME), Looks::home);
        for how in ["--tmpfs", "--chdir"] {
            self.words.extend([how.into(), home.into()]);
        }
        self.set("HOME", home);
        let Some(looks) = looks else { return };
        let found = tokio::task::spawn_blocking(move || looks.found());
        match timeout(PATIENCE, found).await {
            Ok(Ok(found)) => {
                for (from, to) in found {
                    self.pass("--ro-bind-try", from, to);
                }
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(
                    "the person's fonts and theme cannot be looked up: the window has the system's"
                );
            }
        }
    }

    fn socket(&mut self, from: &Path, name: &str, variable: &str) {
        let inside = format!("{SESSION}/{name}");
        self.pass("--ro-bind", from, &inside);
        self.set(variable, inside);
    }

    fn display(&mut self) {
        if let Some(socket) = std::env::var("DISPLAY").ok().and_then(|d| x11_socket(&d)) {
            self.pass("--ro-bind-try", &socket, &socket);
            let cookie = match std::env::var_os("XAUTHORITY") {
                Some(file) => Some(PathBuf::from(file)),
                None => std::env::var_os("HOME").map(|home| Path::new(&home).join(".Xauthority")),
            };
            if let Some(cookie) = cookie.filter(|file| file.is_file()) {
                self.pass("--ro-bind", &cookie, format!("{SESSION}/Xauthority"));
                self.set("XAUTHORITY", format!("{SESSION}/Xauthority"));
            }
        }
        let named = std::env::var_os("WAYLAND_DISPLAY").filter(|name| !name.is_empty());
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
        if let Some(socket) = named.map(|name| Path::new(&runtime).join(name))
            && is_socket(&socket)
        {
            self.socket(&socket, "wayland-0", "WAYLAND_DISPLAY");
        }
    }
}

/// Where the X server of this computer listens that `DISPLAY` names; `None` for one on another computer.
fn x11_socket(display: &str) -> Option<PathBuf> {
    let rest = display
        .strip_prefix(':')
        .or_else(|| display.strip_prefix("unix:"))?;
    let number = rest.split('.').next()?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| PathBuf::from(format!("/tmp/.X11-unix/X{number}")))
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|is| is.file_type().is_socket())
}

/// The accessibility bus, where assistive technology is on. Asking starts nothing: who is not there is not on.
async fn assistive(bus: &Bus) -> Option<PathBuf> {
    match timeout(PATIENCE, accessibility_bus(bus)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::debug!(%error, "whether assistive technology is on is not known");
            None
        }
        Err(_) => None,
    }
}

async fn accessibility_bus(bus: &Bus) -> zbus::Result<Option<PathBuf>> {
    const NAME: &str = "org.a11y.Bus";
    const PATH: &str = "/org/a11y/bus";
    let bus = bus.builder()?.build().await?;
    let there = DBusProxy::new(&bus)
        .await?
        .name_has_owner(BusName::try_from(NAME)?)
        .await?;
    if !there {
        return Ok(None);
    }
    let status = zbus::Proxy::new(&bus, NAME, PATH, "org.a11y.Status").await?;
    let on = status.get_property::<bool>("IsEnabled").await?
        || status.get_property::<bool>("ScreenReaderEnabled").await?;
    if !on {
        return Ok(None);
    }
    let address: String = zbus::Proxy::new(&bus, NAME, PATH, NAME)
        .await?
        .call("GetAddress", &())
        .await?;
    let socket = path_of(&address).filter(|path| is_socket(path));
    if socket.is_none() {
        tracing::warn!(
            "assistive technology is on, and its bus cannot be let through to the window"
        );
    }
    Ok(socket)
}

/// The socket in an address such as `unix:path=/run/user/1000/at-spi/bus_0,guid=…`.
fn path_of(address: &str) -> Option<PathBuf> {
    address.split(';').find_map(|one| {
        let keys = one.strip_prefix("unix:")?;
        let path = keys.split(',').find_map(|key| key.strip_prefix("path="))?;
        // Other characters are escaped; none of them occurs in these paths.
        (!path.contains('%')).then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_of_this_computer_has_a_socket() {
        let is = |display: &str| x11_socket(display).map(|path| path.display().to_string());
        assert_eq!(is(":0").as_deref(), Some("/tmp/.X11-unix/X0"));
        assert_eq!(is(":12.1").as_deref(), Some("/tmp/.X11-unix/X12"));
        assert_eq!(is("unix:3").as_deref(), Some("/tmp/.X11-unix/X3"));
        assert_eq!(is("localhost:10.0"), None);
        assert_eq!(is(":../../x"), None);
        assert_eq!(is(":"), None);
    }

    #[test]
    fn the_accessibility_bus_is_found_by_its_path() {
        assert_eq!(
            path_of("unix:path=/run/user/1000/at-spi/bus_0,guid=12"),
            Some(PathBuf::from("/run/user/1000/at-spi/bus_0"))
        );
        assert_eq!(
            path_of("unix:guid=1,path=/a;tcp:host=x"),
            Some(PathBuf::from("/a"))
        );
        assert_eq!(path_of("unix:abstract=/tmp/dbus-x"), None);
    }
}
