//! A child process: its log, its end, and that it does not outlive us.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use rustix::process::{Pid, Signal};
use tokio::process::{ChildStdout, Command};

use crate::up::file::unwritable;

/// A running child. Killed when dropped.
#[derive(Debug)]
pub(super) struct Child {
    /// What it is, for people.
    pub(super) name: &'static str,
    process: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts it. What it complains about goes to the log, its output where it is wanted.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        output: Output,
    ) -> Result<(Self, Option<ChildStdout>), Error> {
        let file = open_log(log)?;
        let stdout = match output {
            Output::Log => file.try_clone().map(Stdio::from).map_err(|error| unwritable(log, error))?,
            Output::Piped => Stdio::piped(),
        };
        command.stdin(Stdio::null()).stdout(stdout).stderr(file).kill_on_drop(true);
        // Ctrl-C in a terminal goes to every process of the foreground group: ours ends its children in order.
        command.process_group(0);
        let mut process = command.spawn().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = ErrorKind::Misuse.because_of(format_args!("{name} does not start"), error);
            if missing {
                error.hint(Hint::text(format!("put {name} beside cipher-chat, or on PATH")))
            } else {
                error
            }
        })?;
        let stdout = process.stdout.take();
        Ok((Self { name, process, log: log.to_owned() }, stdout))
    }

    /// Its process id; 0 once it has ended.
    pub(super) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Waits until it ends by itself: why, as an error.
    pub(super) async fn died(&mut self) -> Error {
        let how = match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = last_line(&self.log).map(|line| format!(": {line}")).unwrap_or_default();
        ErrorKind::Unreachable
            .because(format!("{} ended ({how}){said}", self.name))
            .hint(Hint::text(format!("its log is {}", self.log.display())))
    }

    /// Asks it to end and waits; after that long it is killed.
    pub(super) async fn stop(mut self, patience: Duration) {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may have ended this moment.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(patience, self.process.wait()).await.is_err() {
            tracing::warn!(child = self.name, "a child does not end and is killed");
            let _ = self.process.kill().await;
        }
    }
}

/// Where a child's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Log,
    Piped,
}

fn open_log(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unwritable(path, error))
}

/// The last thing a child said that looks like trouble.
fn last_line(log: &Path) -> Option<String> {
    let text = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let trouble = |line: &&str| line.contains("[FTL]") || line.contains("[ERR]") || line.contains("error");
    text.lines().rev().find(trouble).map(|line| line.chars().take(300).collect())
}
