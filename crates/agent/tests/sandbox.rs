//! What a process can reach that is started as the window is: it tells over the window's own socket, which is all it has.
//! The same process started without being shut in reaches everything, so that the test proves something.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses a part")]
mod session;

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use countersign_agent::bus::Bus;
use countersign_agent::sandbox::{Looks, Sandbox, Standing, Why};
use serde::{Deserialize, Serialize};
use session::PrivateBus;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// What is tried.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    files: Vec<PathBuf>,
    port: u16,
    bus: PathBuf,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Reached {
    /// Of these files, those that could be read.
    read: Vec<PathBuf>,
    network: bool,
    bus: bool,
    /// Of them and of what the system holds, what could be written to.
    written: Vec<PathBuf>,
    /// The names of the environment's variables.
    environment: Vec<String>,
    /// Processes in sight.
    processes: usize,
    assistive: bool,
}

/// Where nothing may be written.
const SYSTEM: [&str; 4] = ["/", "/usr/share", "/etc", "/usr/bin"];

/// Not a test: what the tests below start.
#[test]
#[ignore = "started by the other tests, shut in"]
fn from_inside() {
    let socket = std::env::var_os("COUNTERSIGN_SOCKET").expect("started by another test");
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap())
        .read_line(&mut line)
        .unwrap();
    let Asked { files, port, bus } = serde_json::from_str(&line).unwrap();
    let beside = SYSTEM
        .iter()
        .map(|folder| Path::new(folder).join(".countersign-test"));
    let beside = beside
        .filter(|path| std::fs::write(path, "x").is_ok() && std::fs::remove_file(path).is_ok());
    let opened = |how: &OpenOptions| -> Vec<PathBuf> {
        let files = files.iter().filter(|file| how.open(file).is_ok());
        files.cloned().collect()
    };
    let processes = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    });
    let assistive = std::env::var("AT_SPI_BUS_ADDRESS").is_ok_and(|address| {
        let path = address.strip_prefix("unix:path=").unwrap();
        UnixStream::connect(path).is_ok()
    });
    let reached = Reached {
        read: opened(OpenOptions::new().read(true)),
        network: TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(),
        bus: UnixStream::connect(bus).is_ok(),
        written: beside
            .chain(opened(OpenOptions::new().append(true)))
            .collect(),
        environment: std::env::vars().map(|(name, _)| name).collect(),
        processes: processes.count(),
        assistive,
    };
    let mut told = serde_json::to_vec(&reached).unwrap();
    told.push(b'\n');
    stream.write_all(&told).unwrap();
}

/// A person's home: what changes how windows look, and what is nobody's business.
struct Home {
    dir: TempDir,
}

/// Of a home's files, those that the window needs.
const LOOKS: [&str; 4] = [
    ".local/share/fonts/own.ttf",
    ".config/fontconfig/fonts.conf",
    ".config/gtk-3.0/settings.ini",
    ".icons/own/cursors/left_ptr",
];
/// The others.
const SECRETS: [&str; 5] = [
    "secret",
    ".themes/secret",
    ".config/gtk-3.0/bookmarks",
    ".config/countersign/agent.toml",
    ".local/share/countersign/history",
];

impl Home {
    fn make() -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        // One that leads round in a circle, one that leads to all of home.
        for (link, to) in [(".fonts", ".fonts"), (".themes", ".")] {
            std::os::unix::fs::symlink(to, home.dir.path().join(link)).unwrap();
        }
        for file in home.files(&LOOKS).chain(home.files(&SECRETS)) {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        home
    }

    fn files(&self, names: &[&str]) -> impl Iterator<Item = PathBuf> {
        names.iter().map(|name| self.dir.path().join(name))
    }

    fn sandbox(&self, bus: &PrivateBus) -> Sandbox {
        let looks = Looks::below(self.dir.path());
        Sandbox::of_session(Bus::At(bus.address.clone()), Some(looks))
    }
}

/// Starts the process and hears what it reached.
async fn reached(sandbox: &Sandbox, home: &Home, bus: &PrivateBus) -> Reached {
    let network = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let asked = Asked {
        files: home.files(&LOOKS).chain(home.files(&SECRETS)).collect(),
        port: network.local_addr().unwrap().port(),
        bus: bus.dir.path().join("bus"),
    };
    let runtime = tempfile::tempdir().unwrap();
    let socket = runtime.path().join("window.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = sandbox.command(&program, &socket).await;
    let mut child = command
        .args(["--exact", "from_inside", "--ignored"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stream = tokio::select! {
        accepted = listener.accept() => accepted.unwrap().0,
        ended = child.wait() => panic!("it ended before it connected: {ended:?}"),
    };
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(&asked).unwrap();
    line.push(b'\n');
    write.write_all(&line).await.unwrap();
    let mut lines = tokio::io::BufReader::new(read).lines();
    let told = lines.next_line().await.unwrap().expect("it tells");
    assert!(child.wait().await.unwrap().success());
    serde_json::from_str(&told).unwrap()
}

#[tokio::test]
async fn a_window_that_is_shut_in_reaches_fonts_and_theme_and_no_other_file_no_network_and_no_bus()
{
    let (bus, home) = (PrivateBus::start(), Home::make());
    let sandbox = home.sandbox(&bus);
    assert_eq!(
        sandbox.standing(),
        Standing::On,
        "this test needs bubblewrap (Debian: bubblewrap), and a system that lets it work"
    );
    let inside = reached(&sandbox, &home, &bus).await;
    let looks: Vec<PathBuf> = home.files(&LOOKS).collect();
    assert_eq!(
        inside.read, looks,
        "fonts and theme of the person, and nothing else"
    );
    assert!(!inside.network, "the network");
    assert!(!inside.bus, "the session bus");
    assert!(inside.written.is_empty(), "{:?}", inside.written);
    // bubblewrap's own, and what it started.
    assert!(inside.processes <= 3, "{}", inside.processes);
    assert!(!inside.assistive);
    for name in ["CARGO_MANIFEST_DIR", "USER", "SSH_AUTH_SOCK"] {
        assert!(
            !inside.environment.iter().any(|known| known == name),
            "{name}"
        );
    }

    let outside = reached(&Sandbox::none(Why::Automation), &home, &bus).await;
    assert_eq!(outside.read.len(), LOOKS.len() + SECRETS.len());
    assert!(outside.network && outside.bus);
    assert!(outside.processes > 3);
    assert!(
        outside
            .environment
            .iter()
            .any(|name| name == "CARGO_MANIFEST_DIR")
    );
}

/// The accessibility bus's launcher.
struct Status {
    on: bool,
}

#[zbus::interface(name = "org.a11y.Status")]
impl Status {
    #[zbus(property)]
    fn is_enabled(&self) -> bool {
        self.on
    }

    #[zbus(property)]
    fn screen_reader_enabled(&self) -> bool {
        false
    }
}

struct Launcher {
    address: String,
}

#[zbus::interface(name = "org.a11y.Bus")]
impl Launcher {
    fn get_address(&self) -> String {
        self.address.clone()
    }
}

#[tokio::test]
async fn assistive_technology_is_let_through_where_it_is_on() {
    for on in [true, false] {
        let bus = PrivateBus::start();
        let socket = bus.dir.path().join("at-spi");
        let _listens = UnixListener::bind(&socket).unwrap();
        let launcher = bus.connect().await;
        let server = launcher.object_server();
        let address = format!("unix:path={},guid=00", socket.display());
        server
            .at("/org/a11y/bus", Launcher { address })
            .await
            .unwrap();
        server.at("/org/a11y/bus", Status { on }).await.unwrap();
        launcher.request_name("org.a11y.Bus").await.unwrap();
        let home = Home::make();
        let inside = reached(&home.sandbox(&bus), &home, &bus).await;
        assert_eq!(inside.assistive, on);
        assert!(!inside.bus && !inside.network);
    }
}
