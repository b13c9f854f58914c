//! Doing nothing costs nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use testbed::{Failure, Result, Site, disk, ensure};

use crate::support::opened;

fn field(pid: u32, file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("no {name} in /proc/{pid}/{file}")))
}

/// When any file of a folder was last written to.
fn last_write(folder: &Path) -> Result<SystemTime> {
    let mut last = SystemTime::UNIX_EPOCH;
    for file in disk::files(folder)? {
        last = last.max(fs::metadata(file)?.modified()?);
    }
    Ok(last)
}

/// A window that only waits writes nothing to the disk and stays small (a debug build is larger than a release).
#[test]
fn an_idle_window_writes_nothing_and_stays_small() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = opened(&bob, "team", "mark", &alice)?;
    let pid = screen.process().id();
    // By its files: what another process does with its descriptors is shown to root only.
    let written = || last_write(bob.home());
    ensure(field(pid, "limits", "Max core file size")? == 0, || "it leaves a core dump".into())?;
    // Quiet from here on: what the mark caused is over once a whole window passed without a write.
    let quiet = Duration::from_secs(4);
    let mut before = written()?;
    for _ in 0..3 {
        // Nothing may come: a line or the end of the process would be an error, the deadline is what we want.
        let _ = screen.process().wait(quiet);
        let after = written()?;
        if after == before {
            let rss = field(pid, "status", "VmRSS:")? / 1024;
            return ensure(rss <= 60, || format!("{rss} MiB resident"));
        }
        before = after;
    }
    testbed::fail("an idle window keeps writing to the disk")
}
