//! What goes wrong: the exit code scripts branch on, one sentence, and what to do about it.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use testbed::person::text;
use testbed::{Failure, Person, Result, Site, disk, ensure};

#[test]
fn refusals_have_an_exit_code_a_sentence_and_a_hint() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob])?;

    // Not found: handles, groups, profiles.
    alice.is_refused(9, "not-found", &["profile", "show", "nobody"])?;
    alice.is_refused(9, "not-found", &["group", "add", "team", "nobody"])?;
    alice.is_refused(9, "not-found", &["contact", "add", "nobody"])?;
    alice.is_refused(9, "not-found", &["send", "nowhere", "hello"])?;
    alice.is_refused(9, "not-found", &["read", "nowhere"])?;
    alice.is_refused(9, "not-found", &["group", "rename", "nowhere", "x"])?;
    alice.is_refused(9, "not-found", &["--profile", "nobody", "whoami"])?;
    alice.is_refused(9, "not-found", &["--profile", "nobody", "send", "team", "x"])?;
    alice.is_refused(9, "not-found", &["bot", "run", "no-such-bot"])?;

    // Taken.
    site.person("mallory")?.is_refused(8, "conflict", &["register", "alice"])?;

    // Not allowed.
    for command in [
        &["group", "rename", "team", "bobs"][..],
        &["group", "remove", "team", "alice"],
        &["group", "add", "team", "carol"],
        &["group", "role", "team", "bob", "owner"],
    ] {
        bob.is_refused(4, "refused", command)?;
    }

    // Not a member, never or no longer.
    carol.is_refused(9, "not-found", &["send", "team", "hello"])?;
    alice.does(&["group", "remove", "team", "bob"])?;
    bob.syncs()?;
    let refused = bob.run(&["send", "team", "hello"])?;
    ensure([4, 9].contains(&refused.code), || refused.to_string())?;

    // Too large.
    let long = "x".repeat(100 * 1024);
    alice.sends("team", &long)?;
    alice.is_refused(5, "limit", &["group", "rename", "team", &"n".repeat(129)])?;
    let mut command = alice.command(&["send", "team", "-"]);
    let input = alice.home().join("large");
    std::fs::write(&input, "y".repeat(192 * 1024 + 1))?;
    let output = testbed::Output::of(command.stdin(File::open(&input)?))?.expecting(5)?;
    ensure(output.errors.iter().any(|line| text(line, "kind") == Some("limit")), || output.to_string())?;

    // Usage is said by clap, on stderr, with exit code 2.
    alice.run(&["send"])?.expecting(2)?;
    alice.run(&["no-such-command"])?.expecting(2)?;
    alice.run(&["register", "Not A Handle"])?.expecting(2)?;
    Ok(())
}

#[test]
fn without_a_broker_sending_queues_and_everything_else_says_so() -> Result {
    let mut site = Site::single()?;
    let (alice, _bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    site.broker.stop(0)?;
    let queued = alice.sends("team", "later")?;
    assert_eq!(text(&queued, "state"), Some("queued"));
    ensure(alice.texts("team")? == ["later"], || "one's own words are readable offline".into())?;
    alice.is_refused(3, "unreachable", &["group", "add", "team", "bob"])?;
    alice.is_refused(3, "unreachable", &["sync"])?;
    site.person("carol")?.is_refused(3, "unreachable", &["register", "carol"])?;
    Ok(())
}

#[test]
fn without_a_registry_people_go_on_talking() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    site.registry.kill()?;
    let sent = alice.sends("team", "who needs it")?;
    ensure(text(&sent, "state") == Some("sent"), || sent.to_string())?;
    crate::support::all_read("team", &[&bob], &["who needs it".into()])?;
    alice.is_refused(3, "unreachable", &["profile", "show", "bob"])?;
    site.person("carol")?.is_refused(3, "unreachable", &["register", "carol"])?;
    Ok(())
}

/// Somebody holds the store and does not talk: no socket answers.
#[test]
fn a_store_that_another_process_holds_is_told_as_locked() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    let lock = held(&alice)?;
    alice.is_refused(7, "locked", &["whoami"])?;
    drop(lock);
    alice.does(&["whoami"])?;
    Ok(())
}

#[test]
fn a_damaged_store_is_told_and_not_replaced() -> Result {
    let site = Site::single()?;
    let alice = site.registered("alice")?;
    for file in stores(&alice)? {
        std::fs::write(&file, b"this is no database")?;
    }
    let refused = alice.run(&["whoami"])?.expecting(7)?;
    ensure(refused.errors.iter().any(|line| text(line, "kind") == Some("storage")), || refused.to_string())?;
    for file in stores(&alice)? {
        ensure(std::fs::read(&file)? == b"this is no database", || {
            "the damaged store was written to".into()
        })?;
    }
    Ok(())
}

fn stores(person: &Person) -> Result<Vec<std::path::PathBuf>> {
    let files = disk::files(person.home())?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "redb")).collect())
}

fn held(person: &Person) -> Result<File> {
    let path = stores(person)?.into_iter().next().ok_or_else(|| Failure::new("no store file"))?;
    let file = File::options().read(true).write(true).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
