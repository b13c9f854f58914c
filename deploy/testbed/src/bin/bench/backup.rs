//! Backing a profile up and bringing it back, by the shipped program.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cipher_api::Target;
use cipher_api::command::message;
use cipher_chat::session::Need;
use testbed::process::{Process, binary};
use testbed::{Failure, Result, ensure, fail};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, number};
use crate::lab::{Lab, Somebody, core, past};
use crate::process::field;

/// What opens a backup.
pub(crate) const PASSPHRASE: &[u8] = b"correct horse battery";

/// What both need together.
const SECONDS: f64 = 20.0;
const MIB: f64 = 64.0;

/// A profile with many groups and messages.
pub(crate) async fn there_and_back(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let (groups, messages) = (extent.backed_up_groups, extent.backed_up);
    let people = lab.people(2).await?;
    let [alice, bob] = people.as_slice() else { return fail("two people") };
    let session = lab.session(alice, Need::Everything).await?;
    let made = past(&session, bob, groups, messages).await?;
    session.close().await;

    let file = lab.home().join("alice.backup");
    let path = file.to_str().ok_or_else(|| Failure::new("a path that is no text"))?;
    let there = run(lab, alice, &["backup", path, "--new-passphrase-fd", "0"])?;
    let size = std::fs::metadata(&file)?.len();
    // The machine is lost.
    let lost = lab.home().join("profiles").join(alice.handle.as_str());
    std::fs::rename(&lost, lab.home().join("lost"))?;
    let back = run(lab, alice, &["restore", path, "--passphrase-fd", "0"])?;

    let session = lab.session(alice, Need::Local).await?;
    let mut found = 0;
    for group in made {
        let read = message::Read::of(Target::Group(group));
        found += session.ask(read).await.map_err(core)?.iter().filter(|message| message.is_text()).count();
    }
    session.close().await;
    ensure(found == messages, || format!("{found} of {messages} messages came back"))?;

    let what = format!("{groups} groups, {messages} messages");
    report.tell(&Figure::new(format!("backup: {what}"), there.seconds, "s"));
    report.tell(&Figure::new(format!("restore: {what}"), back.seconds, "s"));
    let both = Figure::new(format!("backup and restore: {what}"), there.seconds + back.seconds, "s");
    report.tell(&both.goal(Goal::Most(SECONDS)));
    report.tell(&Figure::new("backup: peak memory", there.mib, "MiB").goal(Goal::Most(MIB)));
    report.tell(&Figure::new("restore: peak memory", back.mib, "MiB").goal(Goal::Most(MIB)));
    let bytes = number(usize::try_from(size).unwrap_or(usize::MAX)) / number(messages);
    report.tell(&Figure::new("backup: file per message of 100 B", bytes, "B"));
    Ok(())
}

pub(crate) struct Run {
    seconds: f64,
    mib: f64,
}

/// Runs a command that reads a passphrase, to its end.
pub(crate) fn run(lab: &Lab, who: &Somebody, arguments: &[&str]) -> Result<Run> {
    let mut command = Command::new(binary("cipher-chat")?);
    command.args([
        "--no-input",
        "--profile",
        who.handle.as_str(),
        "--server",
        &lab.site.broker.url(),
        "--home",
    ]);
    command.arg(lab.home()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut process = Process::start(&mut command)?;
    if let Some(mut stdin) = process.pipes().stdin.take() {
        stdin.write_all(&[PASSPHRASE, b"\n"].concat())?;
    }
    let mut kib = 0;
    let status = loop {
        // It has a peak until it has ended.
        kib = field(process.id(), "status", "VmHWM:").unwrap_or(kib);
        if let Ok(status) = process.wait(Duration::from_millis(1)) {
            break status;
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    ensure(status.success(), || format!("{arguments:?} ended with {status}"))?;
    Ok(Run { seconds, mib: number(usize::try_from(kib).unwrap_or(usize::MAX)) / 1024.0 })
}
