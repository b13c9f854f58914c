//! What only a process of its own shows: cold starts and memory.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testbed::process::Process;
use testbed::{Failure, Person, Result, ensure};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, number, percentiles};
use crate::lab::Lab;

pub(crate) fn people(lab: &Lab, prefix: &str) -> Result<(Person, Person)> {
    let person = |name: &str| {
        let person = Person::new(&format!("{prefix}-{name}"), lab.home(), &lab.site.broker.url())?;
        person.registers()?;
        Ok::<_, Failure>(person)
    };
    let (alice, bob) = (person("alice")?, person("bob")?);
    alice.creates("team", &[bob.name()])?;
    bob.accepts("team")?;
    Ok((alice, bob))
}

/// `cipher-chat send`, from nothing to acknowledged and ended.
pub(crate) fn cold_send(report: &Report, lab: &Lab, extent: Extent) -> Result {
    let (alice, _bob) = people(lab, "cold")?;
    let mut times = Vec::new();
    for n in 0..extent.starts {
        let begun = Instant::now();
        let status = alice
            .command(&["send", "team", &format!("message {n}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure(status.success(), || format!("send ended with {status}"))?;
    }
    let begun = Instant::now();
    Command::new(alice.command(&[]).get_program()).arg("--version").stdout(Stdio::null()).status()?;
    let bare = begun.elapsed().as_secs_f64() * 1000.0;
    let (p50, p99) = percentiles(&mut times);
    report.tell(
        &Figure::new("cold `send` as a process, p50", p50, "ms")
            .against("`--version`", bare)
            .goal(Goal::Most(40.0)),
    );
    report.tell(&Figure::new("cold `send` as a process, p99", p99, "ms"));
    Ok(())
}

/// A window that waits, and one that catches up.
pub(crate) fn idle_and_peak(report: &Report, lab: &Lab) -> Result {
    let (alice, bob) = people(lab, "idle")?;
    let mut screen = bob.follows("team")?;
    alice.sends("team", "mark")?;
    screen.sees("mark")?;
    let pid = screen.process().id();
    // What the mark caused comes to its end first.
    let _ = screen.process().wait(Duration::from_secs(2));
    let before = field(pid, "io", "write_bytes:")?;
    let seconds = 5;
    let _ = screen.process().wait(Duration::from_secs(seconds));
    let written = field(pid, "io", "write_bytes:")?.saturating_sub(before);
    let mib = |name: &str| {
        field(pid, "status", name).map(|kib| number(usize::try_from(kib).unwrap_or(usize::MAX)) / 1024.0)
    };
    report.tell(&Figure::new("idle `read --follow`, resident", mib("VmRSS:")?, "MiB").goal(Goal::Most(30.0)));
    let written = number(usize::try_from(written).unwrap_or(usize::MAX));
    report.tell(
        &Figure::new(format!("idle `read --follow`, written in {seconds} s"), written, "B")
            .goal(Goal::Most(0.0)),
    );
    let text = "x".repeat(1000);
    for n in 0..50 {
        alice.sends("team", &format!("{n} {text}"))?;
    }
    screen
        .until("the last one", |line| line["text"].as_str().is_some_and(|words| words.starts_with("49 ")))?;
    report.tell(&Figure::new("`read --follow`, peak memory", mib("VmHWM:")?, "MiB"));
    ensure(screen.interrupt()? == 0, || "read --follow did not end in order".into())
}

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// Its peak.
    pub(crate) mib: f64,
}

/// Runs a command to its end.
pub(crate) fn measured(command: &mut Command) -> Result<Run> {
    let begun = Instant::now();
    let mut process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let mut kib = 0;
    let status = loop {
        // It has a peak until it has ended.
        kib = field(process.id(), "status", "VmHWM:").unwrap_or(kib);
        if let Ok(status) = process.wait(Duration::from_millis(1)) {
            break status;
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    ensure(status.success(), || format!("it ended with {status}"))?;
    Ok(Run { seconds, mib: number(usize::try_from(kib).unwrap_or(usize::MAX)) / 1024.0 })
}

/// A number of a process in /proc.
pub(crate) fn field(pid: u32, file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| Failure::new(format!("no {name} in /proc/{pid}/{file}")))
}
