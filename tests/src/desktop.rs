//! A desktop where there is none: a display in memory, a session bus, a window manager, a notification daemon, an
//! unlocked Secret Service, and a browser behind `xdg-open`. All of them the real programs.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::owned::Processes;
use crate::paths;
use crate::person::Person;

/// How long a program of the desktop may take, on a machine that does much else.
const COMES_WITHIN: Duration = Duration::from_secs(180);
/// Width and height of the display in pixels.
pub const SIZE: (u32, u32) = (1440, 900);

/// Who shows notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// xfce4-notifyd: bubbles and buttons that a pointer can click.
    Xfce,
    /// dunst.
    Dunst,
    /// Nobody, and nobody can be started.
    None,
}

/// A running desktop.
#[derive(Debug)]
pub struct Desktop {
    environment: Vec<(String, String)>,
    runtime: TempDir,
    home: PathBuf,
}

impl Desktop {
    /// Starts it. Homes and pictures lie under `state`; `person` is who answers in the browser.
    ///
    /// # Errors
    /// When a program of the desktop does not start.
    pub fn start(
        processes: &mut Processes,
        state: &Path,
        person: &Person,
        daemon: Daemon,
    ) -> Result<Self> {
        Self::start_drawing(processes, state, person, daemon, None)
    }

    /// The same, with the screen's picture in a file of this folder all the time: `Xvfb_screen0`, in the format of xwd.
    ///
    /// # Errors
    /// As [`Desktop::start`].
    pub fn start_drawing(
        processes: &mut Processes,
        state: &Path,
        person: &Person,
        daemon: Daemon,
        picture: Option<&Path>,
    ) -> Result<Self> {
        // A socket's path is limited to 108 bytes, so this folder cannot lie deep in the repository.
        let runtime = tempfile::Builder::new()
            .prefix("countersign-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("make the runtime folder")?;
        let home = state.join("home");
        let shots = state.join("shots");
        let hands = state.join("bin");
        for folder in [&home, &shots, &hands] {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let mut desktop = Self {
            environment: Vec::new(),
            runtime,
            home,
        };
        desktop.surroundings(&hands, &shots, person)?;
        desktop.start_display(processes, picture)?;
        desktop.start_bus(processes, daemon)?;
        processes.spawn("openbox", &mut desktop.command("openbox"))?;
        desktop.wait_for("the window manager", || {
            desktop
                .quiet(&["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"])
                .is_ok_and(|text| text.contains("0x"))
        })?;
        desktop.unlock_keyring(processes)?;
        desktop.start_notifications(processes, daemon)?;
        Ok(desktop)
    }

    /// What stands in the environment of every program of this session, before any of them starts: what the bus
    /// activates later inherits the bus's environment.
    fn surroundings(&mut self, hands: &Path, shots: &Path, person: &Person) -> Result<()> {
        let opener = hands.join("xdg-open");
        let script = format!(
            "#!/bin/sh\n# Stands in for the person's browser: the real Chromium, with hands.\nexec node {} \"$@\"\n",
            paths::node_program("browser.mjs").display()
        );
        fs::write(&opener, script).context("write xdg-open")?;
        fs::set_permissions(&opener, Permissions::from_mode(0o755))
            .context("make xdg-open executable")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.home.clone();
        let runtime = self.runtime.path().to_path_buf();
        self.set("PATH", format!("{}:{path}", hands.display()));
        self.set("HOME", home.display());
        self.set("XDG_CONFIG_HOME", home.join("config").display());
        self.set("XDG_DATA_HOME", home.join("data").display());
        self.set("XDG_CACHE_HOME", home.join("cache").display());
        self.set("XDG_STATE_HOME", home.join("state").display());
        self.set("XDG_RUNTIME_DIR", runtime.display());
        self.set("XDG_CURRENT_DESKTOP", "XFCE");
        self.set("LANG", "C.UTF-8");
        self.set("COUNTERSIGN_PERSON", &person.sub);
        self.set("COUNTERSIGN_PASSWORD", &person.password);
        self.set("COUNTERSIGN_SHOTS", shots.display());
        self.set("COUNTERSIGN_HANDS", self.hands_file().display());
        for folder in ["config", "data", "cache", "state"] {
            fs::create_dir_all(home.join(folder)).with_context(|| format!("make {folder}"))?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.environment.push((name.to_owned(), value.to_string()));
    }

    fn start_display(&mut self, processes: &mut Processes, picture: Option<&Path>) -> Result<()> {
        let screen = format!("{}x{}x24", SIZE.0, SIZE.1);
        let mut command = self.command("Xvfb");
        // The server takes the first free number and tells it.
        command.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            &screen,
            "-nolisten",
            "tcp",
            "-dpi",
            "96",
        ]);
        if let Some(folder) = picture {
            command.arg("-fbdir").arg(folder);
        }
        let number =
            processes.spawn_until("xvfb", &mut command, |line| line.trim().parse::<u32>().ok())?;
        self.set("DISPLAY", format!(":{number}"));
        Ok(())
    }

    fn start_bus(&mut self, processes: &mut Processes, daemon: Daemon) -> Result<()> {
        let mut command = self.command("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--print-address=1"]);
        match daemon {
            Daemon::Xfce | Daemon::Dunst => {
                command.arg("--session");
            }
            Daemon::None => {
                // A bus that can start nothing, so that nobody shows notifications.
                let config = self.runtime.path().join("bus.conf");
                let text = format!(
                    "<busconfig><type>session</type><listen>unix:dir={}</listen>\
                     <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                     <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
                    self.runtime.path().display()
                );
                fs::write(&config, text).context("write the bus's configuration")?;
                command.arg(format!("--config-file={}", config.display()));
            }
        }
        let address = processes.spawn_until("dbus", &mut command, |line| {
            line.starts_with("unix:").then(|| line.to_owned())
        })?;
        self.set("DBUS_SESSION_BUS_ADDRESS", address);
        Ok(())
    }

    /// Starts the Secret Service, unlocked. It is there from the start; this is for those who ended it (`keyring`).
    ///
    /// # Errors
    /// When it does not come.
    pub fn unlock_keyring(&self, processes: &mut Processes) -> Result<()> {
        let password = self.runtime.path().join("keyring-password");
        fs::write(&password, "only for this desktop").context("write the keyring's password")?;
        let mut command = self.command("gnome-keyring-daemon");
        command
            .args(["--unlock", "--components=secrets", "--foreground"])
            .stdin(fs::File::open(&password).context("open the keyring's password")?);
        processes.spawn("keyring", &mut command)?;
        self.wait_for("the Secret Service", || {
            self.owned("org.freedesktop.secrets")
        })
    }

    fn start_notifications(&self, processes: &mut Processes, daemon: Daemon) -> Result<()> {
        let program = match daemon {
            Daemon::Xfce => xfce_notifyd()?,
            Daemon::Dunst => PathBuf::from("dunst"),
            Daemon::None => return Ok(()),
        };
        processes.spawn("notifications", &mut self.command(program))?;
        self.wait_for("the notification daemon", || {
            self.owned("org.freedesktop.Notifications")
        })
    }

    fn owned(&self, name: &str) -> bool {
        let ask = [
            "dbus-send",
            "--session",
            "--print-reply=literal",
            "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.NameHasOwner",
            &format!("string:{name}"),
        ];
        self.quiet(&ask).is_ok_and(|text| text.contains("true"))
    }

    /// Waits until something is there.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for(&self, what: &str, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + COMES_WITHIN;
        while !ready() {
            if Instant::now() > deadline {
                bail!("{what} does not come");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// A command of this session.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // What the harness's own session has would lead programs to other displays, buses and themes.
        for name in [
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "DBUS_SESSION_BUS_ADDRESS",
            "XAUTHORITY",
            "GTK_THEME",
        ] {
            command.env_remove(name);
        }
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    fn hands_file(&self) -> PathBuf {
        self.home.join("hands.json")
    }

    /// What the person does in the browser from now on (`op/browser.mjs` says how that is written).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hands(&self, what: &serde_json::Value) -> Result<()> {
        fs::write(self.hands_file(), what.to_string()).context("write hands.json")
    }

    /// Waits until no window has this title.
    ///
    /// # Errors
    /// When one stays.
    pub fn window_is_gone(&self, title: &str) -> Result<()> {
        self.wait_for("the end of a window", || {
            self.windows()
                .is_ok_and(|windows| !windows.iter().any(|known| known == title))
        })
    }

    /// Waits until dunst displays so many notifications.
    ///
    /// # Errors
    /// When it never does.
    pub fn dunst_displays(&self, count: usize) -> Result<()> {
        let count = count.to_string();
        self.wait_for("the right number of notifications", || {
            self.quiet(&["dunstctl", "count", "displayed"])
                .is_ok_and(|text| text.trim() == count)
        })
    }

    /// Where this session's `$HOME` is.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where this session's sockets are.
    #[must_use]
    pub fn runtime(&self) -> &Path {
        self.runtime.path()
    }

    /// The address of the session bus.
    #[must_use]
    pub fn bus(&self) -> &str {
        self.environment
            .iter()
            .find(|(name, _)| name == "DBUS_SESSION_BUS_ADDRESS")
            .map_or("", |(_, value)| value)
    }

    /// Runs a short command of this session and gives what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn quiet(&self, words: &[&str]) -> Result<String> {
        let output = self
            .command(words[0])
            .args(&words[1..])
            .output()
            .with_context(|| format!("start {}", words[0]))?;
        ensure!(
            output.status.success(),
            "`{}` fails: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Moves the pointer there and clicks, at the pace of a hand: a program that has just been entered by the pointer
    /// needs a moment to notice.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn click(&self, place: (u32, u32)) -> Result<()> {
        self.point(place)?;
        self.quiet(&[
            "xdotool",
            "sleep",
            "0.15",
            "mousedown",
            "1",
            "sleep",
            "0.06",
            "mouseup",
            "1",
        ])
        .map(drop)
    }

    /// Moves the pointer there and presses its button, until [`Desktop::let_go`].
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn hold_down(&self, place: (u32, u32)) -> Result<()> {
        self.point(place)?;
        self.quiet(&["xdotool", "sleep", "0.15", "mousedown", "1"])
            .map(drop)
    }

    /// Lets the pointer's button go.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn let_go(&self) -> Result<()> {
        self.quiet(&["xdotool", "mouseup", "1"]).map(drop)
    }

    /// Moves the pointer there.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn point(&self, (x, y): (u32, u32)) -> Result<()> {
        self.quiet(&["xdotool", "mousemove", &x.to_string(), &y.to_string()])
            .map(drop)
    }

    /// Turns the wheel down by so many notches, where the pointer is.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn wheel_down(&self, notches: u32) -> Result<()> {
        let notches = notches.to_string();
        self.quiet(&[
            "xdotool", "click", "--repeat", &notches, "--delay", "15", "5",
        ])
        .map(drop)
    }

    /// Types text where the keyboard's focus is.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn write(&self, text: &str) -> Result<()> {
        self.quiet(&["xdotool", "type", "--delay", "8", "--", text])
            .map(drop)
    }

    /// Presses a key, or several at once: `Return`, `ctrl+a`.
    ///
    /// # Errors
    /// When the hand (xdotool) fails.
    pub fn press(&self, key: &str) -> Result<()> {
        self.quiet(&["xdotool", "key", "--", key]).map(drop)
    }

    /// Titles of the windows that the window manager knows.
    ///
    /// # Errors
    /// When wmctrl fails.
    pub fn windows(&self) -> Result<Vec<String>> {
        let list = self.quiet(&["wmctrl", "-l"])?;
        Ok(list
            .lines()
            .filter_map(|line| line.splitn(4, char::is_whitespace).nth(3))
            .map(|rest| {
                rest.trim()
                    .split_once(' ')
                    .map_or("", |(_, title)| title)
                    .to_owned()
            })
            .collect())
    }

    /// Closes a window as its close button does.
    ///
    /// # Errors
    /// When wmctrl fails.
    pub fn close_window(&self, title: &str) -> Result<()> {
        self.quiet(&["wmctrl", "-c", title]).map(drop)
    }
}

fn xfce_notifyd() -> Result<PathBuf> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    [
        format!("/usr/lib/{triple}/xfce4/notifyd/xfce4-notifyd"),
        "/usr/lib/xfce4/notifyd/xfce4-notifyd".to_owned(),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
    .context("xfce4-notifyd is not installed")
}
