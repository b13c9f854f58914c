//! Child processes that end when their value goes, each by its own id.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Failure, Result};
use crate::wait;

/// A running program. Killed and collected when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    ended: Option<ExitStatus>,
    has_children: bool,
}

impl Process {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child =
            command.spawn().map_err(|error| Failure::new(format!("{name} could not be started: {error}")))?;
        Ok(Self { child, name, ended: None, has_children: false })
    }

    /// It has started others: when dropped it is asked to end first, so that it can take them along.
    pub fn has_children(&mut self) {
        self.has_children = true;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output and input.
    pub fn pipes(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// SIGKILL: nothing gets a chance to be written.
    pub fn kill(&mut self) -> Result {
        self.signal(Signal::KILL)?;
        self.wait(wait::PATIENCE).map(drop)
    }

    /// SIGINT, as Ctrl-C does, then waits for the end.
    pub fn interrupt(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::INT)?;
        self.wait(wait::PATIENCE)
    }

    /// SIGTERM, as service managers do, then waits for the end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(wait::PATIENCE)
    }

    /// SIGHUP, by which servers read their files again.
    pub fn reload(&mut self) -> Result {
        self.signal(Signal::HUP)
    }

    /// SIGSTOP: it holds everything and does nothing.
    pub fn pause(&mut self) -> Result {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result {
        self.signal(Signal::CONT)
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        wait::within(patience, &format!("{name} ends"), || self.ended())
    }

    fn signal(&mut self, signal: Signal) -> Result {
        if self.ended().is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        // Not collected yet, so the id is still this process and no other.
        match pid.map(|pid| kill_process(pid, signal)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error.into()),
            None => Err(Failure::new(format!("{} has no usable process id", self.name))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_children && self.signal(Signal::TERM).is_ok() {
            let _ = self.wait(Duration::from_secs(20));
        }
        if self.ended().is_none() {
            let _ = self.child.kill();
            let deadline = Instant::now() + Duration::from_secs(5);
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
}

/// A command that sees nothing of the caller's environment but PATH, with a home of its own.
pub fn sealed(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
    for name in ["PATH", "TMPDIR", "RUST_BACKTRACE", "NATS_SERVER_BIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A shipped binary, built beside the running program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    if let Some(folder) = std::env::var_os("TESTBED_BIN_DIR") {
        return Ok(PathBuf::from(folder).join(file));
    }
    let own = std::env::current_exe()?;
    // A test runs in target/PROFILE/deps, a program in target/PROFILE.
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
        .ok_or_else(|| Failure::new(format!("{name} is not built: cargo build --workspace --bins")))
}

/// The nats-server: named by NATS_SERVER_BIN, else on PATH, else the one that `deploy/get-nats-server` finds.
pub fn nats_server() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("NATS_SERVER_BIN").filter(|given| !given.is_empty()) {
        return Ok(given.into());
    }
    let finder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../get-nats-server");
    let found = Command::new(OsStr::new("python3")).arg(finder).stdin(Stdio::null()).output()?;
    if !found.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&found.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&found.stdout);
    Ok(PathBuf::from(text.trim()))
}
