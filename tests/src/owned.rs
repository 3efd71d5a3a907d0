//! Processes that this program started, and what they started in turn.
//!
//! Each world has a random id, which stands in the environment of everything that it starts (a session bus hands it on
//! to what it activates). So at the end, whatever the end is, exactly those processes can be found and ended: by
//! [`Processes`] when it is dropped, by a watcher when this program dies without a word, and by the next run when even
//! the watcher is gone. No process is ever ended by its name.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The variable that marks a world's processes.
pub const MARK: &str = "COUNTERSIGN_WORLD";

/// How long a program may take until it says that it is ready, on a machine that does much else.
const START_WITHIN: Duration = Duration::from_secs(120);
/// How long programs that were killed may take until they are gone.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// How long programs get to end by themselves.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Ends, in a process of its own, everything that carries the mark once this program is gone.
const WATCHER: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for round in 1 2 3; do
  for folder in /proc/[0-9]*; do
    if tr '\0' '\n' <"$folder/environ" 2>/dev/null | grep -qxF "COUNTERSIGN_WORLD=$1"; then kill -9 "${folder#/proc/}"; fi
  done
done 2>/dev/null
"#;

/// The processes of one world.
pub struct Processes {
    id: String,
    logs: PathBuf,
    children: Vec<(String, Child)>,
    // Held open: its end tells the watcher that this program is gone.
    _watched: ChildStdin,
    watcher: Child,
}

impl Processes {
    /// Starts with none. `state` gets the record of this world and a folder of logs; what an earlier run recorded there
    /// and left behind is ended first.
    ///
    /// # Errors
    /// When the folder cannot be written or the watcher cannot be started.
    pub fn new(state: &Path) -> Result<Self> {
        let logs = state.join("logs");
        let record = state.join("world");
        if let Ok(id) = fs::read_to_string(&record) {
            sweep(id.trim());
        }
        if logs.exists() {
            fs::remove_dir_all(&logs).with_context(|| format!("clear {}", logs.display()))?;
        }
        fs::create_dir_all(&logs).with_context(|| format!("make {}", logs.display()))?;
        let id = format!("{:032x}", rand::random::<u128>());
        fs::write(&record, &id).with_context(|| format!("write {}", record.display()))?;
        let mut watcher = Command::new("bash")
            .args(["-c", WATCHER, "watcher", &id])
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("start the watcher")?;
        let watched = watcher.stdin.take().context("take the watcher's input")?;
        Ok(Self {
            id,
            logs,
            children: Vec::new(),
            _watched: watched,
            watcher,
        })
    }

    /// Where the output of a program goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Starts a program; its output goes to its log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &str, command: &mut Command) -> Result<u32> {
        let log = self.open_log(name)?;
        command.stdout(log.try_clone().context("share the log")?);
        self.start(name, command, log).map(|child| child.id())
    }

    /// Starts a program and waits for the first line of its standard output that `ready` takes; the rest goes to its log.
    ///
    /// # Errors
    /// When it cannot be started, or ends or stays silent instead.
    pub fn spawn_until<T>(
        &mut self,
        name: &str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let started = self.start_until(name, command, &ready, START_WITHIN)?;
        self.ready(name, started)
    }

    /// The same for a program of other people, a provider for example. One that stays silent is started once more, and
    /// that is said aloud: it is what tests stand on, not what they test. (Of some thousands of starts, one of Node hung.)
    ///
    /// # Errors
    /// As [`Processes::spawn_until`].
    pub fn spawn_fixture_until<T>(
        &mut self,
        name: &str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        self.start_until_ready(name, command, ready, [START_WITHIN; 2])
    }

    fn start_until_ready<T>(
        &mut self,
        name: &str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T>,
        within: [Duration; 2],
    ) -> Result<T> {
        let mut started = self.start_until(name, command, &ready, within[0])?;
        if let Start::Silent(threads) = &started {
            eprintln!("{name} stays silent and is started once more. Its threads: {threads}");
            self.kill(name)?;
            started = self.start_until(name, command, &ready, within[1])?;
        }
        self.ready(name, started)
    }

    fn ready<T>(&self, name: &str, started: Start<T>) -> Result<T> {
        let how = match started {
            Start::Ready(found) => return Ok(found),
            Start::Ended(how) => how,
            Start::Silent(threads) => format!("stays silent (its threads: {threads})"),
        };
        bail!(
            "{name} did not start: it {how}; it says:\n{}",
            self.said(name)
        )
    }

    fn start_until<T>(
        &mut self,
        name: &str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T>,
        within: Duration,
    ) -> Result<Start<T>> {
        let log = self.open_log(name)?;
        command.stdout(Stdio::piped());
        let child = self.start(name, command, log.try_clone().context("share the log")?)?;
        let stdout = child.stdout.take().context("take standard output")?;
        let lines = drain(stdout, log);
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = ready(&line) {
                        return Ok(Start::Ready(found));
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Ok(Start::Silent(threads_of(child.id())));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Ok(Start::Ended(match ended(child) {
                        Some(status) => format!("ended with {status}"),
                        None => "closed its standard output".to_owned(),
                    }));
                }
            }
        }
    }

    fn open_log(&self, name: &str) -> Result<File> {
        let path = self.log(name);
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))
    }

    fn start(&mut self, name: &str, command: &mut Command, log: File) -> Result<&mut Child> {
        // A group of its own: Ctrl-C reaches this program alone, which then ends them in order.
        let child = command
            .env(MARK, &self.id)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name} ({:?})", command.get_program()))?;
        self.children.push((name.to_owned(), child));
        let (_, child) = self.children.last_mut().context("find the new child")?;
        Ok(child)
    }

    /// The environment that a program must carry to belong to this world, when somebody else starts it.
    #[must_use]
    pub fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.id)
    }

    /// Ends a program as a power cut would: no time to say goodbye.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let at = self
            .children
            .iter()
            .rposition(|(known, _)| known == name)
            .with_context(|| format!("no process is called {name}"))?;
        let (_, mut child) = self.children.remove(at);
        // The group, so that what it has started in turn goes too.
        signal(&format!("-{}", child.id()), "KILL");
        child.wait().with_context(|| format!("wait for {name}"))?;
        Ok(())
    }

    /// Waits for a program to end, and gives its exit code (none: a signal ended it) and all that it has said.
    ///
    /// # Errors
    /// When there is no such program, or it does not end.
    pub fn finish(&mut self, name: &str, within: Duration) -> Result<(Option<i32>, String)> {
        let deadline = Instant::now() + within;
        let at = self
            .children
            .iter()
            .rposition(|(known, _)| known == name)
            .with_context(|| format!("no process is called {name}"))?;
        let status = loop {
            if let Some(status) = self.children[at]
                .1
                .try_wait()
                .with_context(|| format!("wait for {name}"))?
            {
                break status;
            }
            if Instant::now() > deadline {
                bail!("{name} does not end; it says:\n{}", self.said(name));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.children.remove(at);
        Ok((status.code(), self.said(name)))
    }

    /// Tells a program to read its files again (SIGHUP).
    ///
    /// # Errors
    /// When there is no such program.
    pub fn hang_up(&self, name: &str) -> Result<()> {
        self.tell(name, "HUP")
    }

    /// Stops a program in the middle of whatever it does, until [`Processes::thaw`]: a server that answers nobody.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn freeze(&self, name: &str) -> Result<()> {
        self.tell(name, "STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn thaw(&self, name: &str) -> Result<()> {
        self.tell(name, "CONT")
    }

    fn tell(&self, name: &str, what: &str) -> Result<()> {
        let (_, child) = self
            .children
            .iter()
            .rfind(|(known, _)| known == name)
            .with_context(|| format!("no process is called {name}"))?;
        signal(&child.id().to_string(), what);
        Ok(())
    }

    /// Waits until programs of this name have said something so often.
    ///
    /// # Errors
    /// When they never do.
    pub fn until_said(&self, name: &str, what: &str, times: usize) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while self.said(name).matches(what).count() < times {
            if Instant::now() > deadline {
                bail!(
                    "{name} never says \"{what}\"; it says:\n{}",
                    self.said(name)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// All that programs of this name have said so far.
    #[must_use]
    pub fn said(&self, name: &str) -> String {
        fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// Whether a program runs.
    pub fn is_running(&mut self, name: &str) -> bool {
        self.children
            .iter_mut()
            .any(|(known, child)| known == name && matches!(child.try_wait(), Ok(None)))
    }
}

/// How a start went.
enum Start<T> {
    /// It said what was waited for.
    Ready(T),
    /// It ended; how.
    Ended(String),
    /// It says nothing; what its threads do.
    Silent(String),
}

/// How a program ended that has just closed its output.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + END_WITHIN;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// The threads of a process: name, state, and what each waits for in the kernel.
fn threads_of(pid: u32) -> String {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let told = threads.into_iter().flatten().flatten().map(|thread| {
        let read = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        let state = stat.rsplit(") ").next().and_then(|rest| rest.get(..1));
        format!(
            "{} {} {}",
            read("comm").trim(),
            state.unwrap_or("?"),
            read("wchan").trim()
        )
    });
    told.collect::<Vec<_>>().join(", ")
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in self.children.iter().rev() {
            signal(&child.id().to_string(), "TERM");
        }
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline
            && self
                .children
                .iter_mut()
                .any(|(_, child)| matches!(child.try_wait(), Ok(None)))
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        for (_, child) in &mut self.children {
            // Already ended ones answer with an error that says so.
            let _ = child.kill();
            let _ = child.wait();
        }
        sweep(&self.id);
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

/// Copies a pipe to the log, and each line to the channel while somebody listens.
fn drain(stdout: impl Read + Send + 'static, mut log: File) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the program is ready; a full disk must not stop it either.
            let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Sends a signal to one process, or to a group (`-ID`). (The shell's own `kill`: this tree holds no unsafe code.)
fn signal(target: &str, name: &str) {
    let _ = Command::new("bash")
        .args(["-c", "kill -s \"$1\" -- \"$2\"", "signal", name, target])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Ends every process that carries this world's mark, and comes back when they are gone: a kill is only asked for, and
/// what is just being started carries no mark for a moment.
fn sweep(id: &str) {
    if id.len() != 32 {
        return;
    }
    let wanted = format!("{MARK}={id}");
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let mut rest = false;
        for pid in pids() {
            match whose(pid, wanted.as_bytes()) {
                Whose::Ours => {
                    signal(&pid.to_string(), "KILL");
                    rest = true;
                }
                Whose::Unclear => rest = true,
                Whose::Others => {}
            }
        }
        if !rest || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every process there is.
fn pids() -> Vec<u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// To which world a process belongs.
enum Whose {
    /// It carries the mark.
    Ours,
    /// It carries another or none, or is over.
    Others,
    /// It is between two programs (execve(2)) or about to be over: its environment cannot be seen.
    Unclear,
}

fn whose(pid: u32, wanted: &[u8]) -> Whose {
    let environment = match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => environment,
        // Somebody else's.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Whose::Others,
        // None to read: how that is told differs from kernel to kernel.
        Err(_) => Vec::new(),
    };
    if environment
        .split(|byte| *byte == 0)
        .any(|one| one == wanted)
    {
        Whose::Ours
    } else if environment.is_empty() && without_memory(pid) {
        Whose::Unclear
    } else {
        Whose::Others
    }
}

/// Whether a process lives that has no memory of its own at the moment (proc_pid_stat(5): the state, the flags, and the
/// end of its environment). The kernel's own threads never have any.
fn without_memory(pid: u32) -> bool {
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let fields: Vec<&str> = match stat.rsplit_once(") ") {
        Some((_, rest)) => rest.split_whitespace().collect(),
        None => return false,
    };
    // The fields count from 1, and two of them stand before these.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    let over = matches!(field(3), "Z" | "X");
    let flags: u32 = field(9).parse().unwrap_or(KERNEL_THREAD);
    !over && flags & KERNEL_THREAD == 0 && field(51) == "0"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
    }

    #[test]
    fn children_and_grandchildren_end_with_their_world() {
        let state = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(state.path()).unwrap();
        let mut command = Command::new("bash");
        // One that takes a while to be over: the kernel has much memory to take back.
        command.args([
            "-c",
            "setsid bash -c 'printf -v much %0200000000d 0; echo $$; while :; do sleep 600; done' & wait",
        ]);
        let grandchild = processes
            .spawn_until("shell", &mut command, |line| line.parse::<u32>().ok())
            .unwrap();
        assert!(alive(grandchild));
        drop(processes);
        assert!(!alive(grandchild));
    }

    #[test]
    fn what_a_crashed_run_left_is_ended_by_the_next_one() {
        let state = tempfile::tempdir().unwrap();
        let id = format!("{:032x}", rand::random::<u128>());
        fs::write(state.path().join("world"), &id).unwrap();
        let mut left = Command::new("sleep")
            .arg("600")
            .env(MARK, &id)
            .spawn()
            .unwrap();
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let processes = Processes::new(state.path()).unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(alive(other.id()), "a process that is not recorded stays");
        other.kill().unwrap();
        other.wait().unwrap();
        drop(processes);
    }

    #[test]
    fn a_program_that_does_not_start_is_told_with_its_words() {
        let state = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(state.path()).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", "echo the port is taken >&2; exit 1"]);
        let error = processes
            .spawn_until("server", &mut command, |_| None::<()>)
            .unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the port is taken"), "{error}");
        assert!(error.contains("ended with exit status: 1"), "{error}");
    }

    #[test]
    fn a_fixture_that_stays_silent_is_started_once_more() {
        let state = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(state.path()).unwrap();
        let ready = |line: &str| (line == "ready").then_some(());
        let mut command = Command::new("bash");
        command.args(["-c", "echo ready; exec sleep 600"]);
        // No time at all for the first one.
        let within = [Duration::ZERO, START_WITHIN];
        let started = processes.start_until_ready("op", &mut command, ready, within);
        started.unwrap();
        assert!(processes.is_running("op"));
        // One that never says it is silent for good.
        let mut command = Command::new("sleep");
        command.arg("600");
        let within = [Duration::ZERO; 2];
        let error = processes
            .start_until_ready("silent", &mut command, ready, within)
            .unwrap_err();
        assert!(error.to_string().contains("stays silent"), "{error}");
    }
}
