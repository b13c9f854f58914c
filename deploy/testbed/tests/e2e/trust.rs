//! Who can be believed: safety numbers, and a registry that is caught.

use std::fs;
use std::path::Path;

use cipher_broker::limit;
use serde_json::Value;
use testbed::disk::{copy, put_back};
use testbed::person::{kind_of, text};
use testbed::{Failure, Output, Result, Site, ensure, wait};

/// Registry and broker as they were: both stopped, copied, and started again.
struct Backup {
    folder: tempfile::TempDir,
}

impl Backup {
    fn of(site: &mut Site) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        site.registry.stop()?;
        site.broker.stop(0)?;
        copy(&site.registry.folder().join("data"), &folder.path().join("registry"))?;
        copy(site.broker.store(0)?, &folder.path().join("broker"))?;
        site.broker.start(0)?;
        site.registry.start()?;
        Ok(Self { folder })
    }

    fn restored(&self, site: &mut Site) -> Result {
        site.registry.stop()?;
        site.broker.stop(0)?;
        put_back(&self.folder.path().join("registry"), &site.registry.folder().join("data"))?;
        put_back(&self.folder.path().join("broker"), site.broker.store(0)?)?;
        site.broker.start(0)?;
        site.registry.start()
    }
}

#[test]
fn both_sides_see_the_same_safety_number_and_can_say_so() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.does(&["contact", "add", "bob"])?;
    bob.does(&["contact", "accept", "alice"])?;
    let at_alice = alice.does(&["contact", "verify", "bob"])?.of_type("safety-number")?;
    let at_bob = bob.does(&["contact", "verify", "alice"])?.of_type("safety-number")?;
    let number = |line: &Value| text(line, "number").map(str::to_owned);
    ensure(number(&at_alice).is_some() && number(&at_alice) == number(&at_bob), || {
        format!("{at_alice}\n{at_bob}")
    })?;
    let digits = number(&at_alice).unwrap_or_default().chars().filter(char::is_ascii_digit).count();
    ensure(digits == 60 && text(&at_alice, "trust") == Some("unverified"), || at_alice.to_string())?;

    let other = number(&at_bob).unwrap_or_default();
    let wrong: String = other.chars().map(|c| if c == '1' { '2' } else { c }).collect();
    alice.is_refused(6, "trust", &["contact", "verify", "bob", "--code", &wrong])?;
    // What has not even the form of a number is told as that.
    alice.is_refused(2, "usage", &["contact", "verify", "bob", "--code", &format!("{other}0")])?;
    let verified = alice.does(&["contact", "verify", "bob", "--code", &other])?.of_type("safety-number")?;
    ensure(text(&verified, "trust") == Some("verified"), || verified.to_string())?;
    let uri = text(&at_alice, "uri").unwrap_or_default();
    let verified = bob.does(&["contact", "verify", "alice", "--code", uri])?.of_type("safety-number")?;
    ensure(text(&verified, "trust") == Some("verified"), || verified.to_string())?;
    let listed = alice.does(&["contact", "list"])?.of_type("contact")?;
    ensure(text(&listed, "trust") == Some("verified"), || listed.to_string())?;

    // For people: the digits in lines, and a QR code on a terminal.
    let mut shown = alice.at_terminal(&["contact", "verify", "bob"])?;
    shown.shows("safety number with @bob")?;
    shown.shows("✓ verified with @bob")?;
    shown.shows("█▀")?;
    ensure(shown.ends()?.success(), || shown.screen().to_owned())
}

/// A registry that was restored from yesterday's backup, with the broker's disk, so that nothing of its own side
/// shows it: noticed on the next contact by everybody who was there in between.
#[test]
fn g04_a_registry_restored_from_an_older_copy_is_caught_on_the_next_contact() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    alice.sends("team", "before all this")?;
    let backup = Backup::of(&mut site)?;
    for newcomer in ["carol", "dave"] {
        site.registered(newcomer)?;
    }
    // Contact: alice has seen the longer log.
    alice.does(&["profile", "show", "carol"])?;
    alice.syncs()?;
    ensure(alice.evidence()?.is_empty(), || "something was found against an honest registry".into())?;
    alice.does(&["doctor"])?;

    // Copies of one registry may be a little behind each other; a restored one is behind for longer.
    wait::until_it_is(wait::now().plus(limit::HEAD_LAG))?;
    backup.restored(&mut site)?;
    let caught = alice.run(&["profile", "show", "bob"])?;
    ensure(caught.code == 6, || caught.to_string())?;
    let alarm = caught.errors.iter().find(|line| kind_of(line) == Some("evidence"));
    let alarm = alarm.ok_or_else(|| Failure::new(format!("no alarm\n{caught}")))?;
    let files = alice.evidence()?;
    let file = files.first().ok_or_else(|| Failure::new(format!("no file\n{caught}")))?;
    ensure(text(alarm, "file").map(Path::new) == Some(file.as_path()), || format!("{alarm}\n{files:?}"))?;
    let kept: Value = serde_json::from_slice(&fs::read(file)?)?;
    ensure(kept.get("exhibits").and_then(Value::as_array).is_some_and(|found| !found.is_empty()), || {
        kept.to_string()
    })?;
    alice.run(&["doctor"])?.expecting(6)?;
    // A script that only syncs hears of it too, also while another process has the profile open.
    let told = |output: &Output| output.errors.iter().any(|line| kind_of(line) == Some("evidence"));
    let synced = alice.run(&["sync"])?.expecting(6)?;
    ensure(told(&synced), || synced.to_string())?;
    let mut screen = alice.follows("team")?;
    screen.sees("before all this")?;
    let synced = alice.run(&["sync"])?.expecting(6)?;
    ensure(told(&synced), || synced.to_string())?;
    screen.interrupt()?;
    // Who took note of it is told again, because the registry still shows it.
    let noted = alice.run(&["doctor", "--acknowledge"])?;
    ensure(noted.stdout.contains("acknowledged"), || noted.to_string())?;
    let synced = alice.run(&["sync"])?.expecting(6)?;
    ensure(told(&synced), || synced.to_string())?;
    alice.run(&["audit"])?.expecting(6)?;
    // Who never saw the longer log has nothing to hold against it.
    bob.does(&["whoami"])?;
    Ok(())
}

/// What was learnt before is enough to go on.
#[test]
fn without_a_registry_known_people_are_reached_and_verified() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.does(&["contact", "add", "bob"])?;
    bob.does(&["contact", "accept", "alice"])?;
    alice.syncs()?;
    site.registry.kill()?;
    let sent = alice.sends("@bob", "who needs it")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    bob.syncs()?;
    ensure(bob.texts("@alice")?.contains(&"who needs it".to_owned()), || "bob does not hear".into())?;
    let number = alice.does(&["contact", "verify", "bob"])?.of_type("safety-number")?;
    ensure(text(&number, "handle") == Some("bob"), || number.to_string())?;
    alice.is_refused(3, "unreachable", &["profile", "show", "nobody-yet"])?;
    Ok(())
}
