//! One `up` per home, and none of its children left over from an earlier one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cipher_api::{Error, ErrorKind, Hint};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::up::file::unwritable;

/// How long a left-over child may take to end, in steps of [`STEP`].
const PATIENCE: u32 = 100;
const STEP: Duration = Duration::from_millis(50);
/// Steps in which a home that is taken is tried again.
const TRIES: u32 = 3;

/// The right to run servers in a home. The system takes it back when this process ends, however it ends.
#[derive(Debug)]
pub(super) struct HomeLock {
    file: File,
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// The `up` that holds it.
    owner: u32,
    children: Vec<u32>,
}

impl HomeLock {
    /// Takes the home, and ends what a crashed `up` left running.
    pub(super) async fn take(server: &Path) -> Result<Self, Error> {
        let path = server.join("up.json");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(&path, error))?;
        let locks = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let mut free = locks();
        // A child that an `up` started this very moment shares its lock until the system has closed what the child does not
        // inherit, which is after the start is told as done.
        for _ in 0..TRIES {
            if free {
                break;
            }
            tokio::time::sleep(STEP).await;
            free = locks();
        }
        let mut text = String::new();
        // Unreadable is as good as empty: nothing of it is trusted below.
        let _ = file.read_to_string(&mut text);
        let record: Record = serde_json::from_str(&text).unwrap_or_default();
        if !free {
            return Err(ErrorKind::Locked
                .because(format!("`cipher-chat up` runs in this home already (process {})", record.owner))
                .hint(Hint::text("use it, or stop it first; another --home can have its own")));
        }
        for pid in record.children {
            end_left_over(pid, server).await;
        }
        let mut claim = Self { file, path };
        claim.note(&[])?;
        Ok(claim)
    }

    /// Writes down which children run now.
    pub(super) fn note(&mut self, children: &[u32]) -> Result<(), Error> {
        let record = Record { owner: std::process::id(), children: children.to_vec() };
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(&bytes))
            .map_err(|error| unwritable(&self.path, error))
    }
}

/// Ends a process of an earlier `up`, if it still is that: process ids are used again, so its command line must name
/// our folder.
async fn end_left_over(pid: u32, server: &Path) {
    let Some(process) = Pid::from_raw(pid.cast_signed()) else { return };
    for attempt in 0..PATIENCE {
        if !is_ours(pid, server) {
            return;
        }
        let signal = if attempt < PATIENCE / 2 { Signal::TERM } else { Signal::KILL };
        if attempt == 0 || attempt == PATIENCE / 2 {
            tracing::info!(pid, "ending what an earlier run left behind");
            // It may have ended this moment.
            let _ = rustix::process::kill_process(process, signal);
        }
        tokio::time::sleep(STEP).await;
    }
}

fn is_ours(pid: u32, server: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok().or_else(|| {
        let run = std::process::Command::new("ps")
            .args(["-o", "command=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        Some(run.stdout)
    });
    let folder = server.to_string_lossy();
    line.is_some_and(|line| String::from_utf8_lossy(&line).contains(folder.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_home_has_one_up_and_left_over_children_end() {
        let home = tempfile::tempdir().unwrap();
        let mut claim = HomeLock::take(home.path()).await.unwrap();
        let refused = HomeLock::take(home.path()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Locked);
        assert!(refused.message.contains(&std::process::id().to_string()));
        // Says our folder on its command line, as a child of ours would, and waits without a child of its own, which
        // would outlive it.
        let mut ours = std::process::Command::new("sh")
            .args(["-c", "read -r line"])
            .arg(home.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let _kept_open = ours.stdin.take();
        // The system says that a program runs a moment before it shows its command line.
        while !is_ours(ours.id(), home.path()) {
            std::thread::yield_now();
        }
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        claim.note(&[ours.id(), other.id()]).unwrap();
        drop(claim);
        let waited = std::thread::spawn(move || ours.wait().unwrap());
        HomeLock::take(home.path()).await.unwrap();
        assert!(!waited.join().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "a stranger's process is left alone");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
