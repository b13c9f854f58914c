//! A registry that is backed up while it serves, loses its folder, and is restored.

use std::fs;
use std::path::Path;
use std::thread;

use serde_json::Value;
use testbed::person::text;
use testbed::process::Process;
use testbed::registry::Registry;
use testbed::{Broker, Failure, Output, Person, Result, Site, ensure};

use crate::registry::{error_of, is_published};

const WORDS: &str = "correct horse battery";

/// A command with the passphrase of a backup.
fn with_words(registry: &Registry, command: &str, file: &Path, words: &str) -> Result<Output> {
    let file = file.to_string_lossy();
    registry.is_told(&[command, "--backup-passphrase-fd", "0", &file], words)
}

fn backs_up(registry: &Registry, file: &Path) -> Result<Value> {
    with_words(registry, "backup", file, WORDS)?.expecting(0)?.of_type("backup")
}

fn restores(registry: &Registry, file: &Path) -> Result<Value> {
    with_words(registry, "restore", file, WORDS)?.expecting(0)?.of_type("restored")
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn has_no_doubt(person: &Person) -> Result {
    let found = person.evidence()?;
    ensure(found.is_empty(), || format!("{} found {found:?}", person.name()))?;
    person.does(&["doctor"]).map(drop)
}

/// The agents go on as if nothing had been: they meet the key that they pinned, and a log that continues what they saw.
#[test]
fn a_registry_is_backed_up_while_people_register_and_restored_with_its_key() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("backup");
    // Somebody registers at each moment of it.
    let crowd = ["carol", "dave", "erin", "frank"].map(|name| site.person(name));
    let crowd = crowd.into_iter().collect::<Result<Vec<_>>>()?;
    let registering = thread::spawn(move || {
        crowd.iter().try_for_each(|person| person.registers().map(drop))?;
        Ok::<_, Failure>(crowd)
    });
    let made = backs_up(&site.registry, &file)?;
    let crowd = registering.join().map_err(|_| Failure::new("registering panicked"))??;
    let held = made["statements"].as_u64().unwrap_or(0);
    ensure((2..=6).contains(&held), || made.to_string())?;
    let found = testbed::disk::search(folder.path(), &["alice", "entry"])?;
    ensure(found.is_empty(), || format!("in the clear: {found:?}"))?;
    // What comes after the backup: an account, and a device's profile.
    let grace = site.registered("grace")?;
    is_published(&site, 7)?;
    alice.does(&["profile", "show", "grace"])?;

    site.registry.kill()?;
    let data = site.registry.data();
    fs::remove_dir_all(&data)?;
    let told = restores(&site.registry, &file)?;
    assert_eq!((&told["statements"], &told["root"]), (&made["statements"], &made["root"]), "{told}");
    assert_eq!(names(&data), ["registry.key", "registry.redb", "registry.unlock"]);
    // Once more is refused, and changes nothing.
    let again = with_words(&site.registry, "restore", &file, WORDS)?.expecting(8)?;
    assert_eq!(text(&error_of(&again)?, "kind"), Some("registry-there"), "{again}");

    // The log in the broker has what came after it: it is not forgotten silently.
    let refused = site.registry.shows(&["serve"])?.expecting(7)?;
    assert_eq!(text(&error_of(&refused)?, "kind"), Some("log-longer"), "{refused}");
    site.registry.start_with(&["--adopt-log"])?;
    assert_eq!(names(&data), ["registry.key", "registry.redb", "registry.sock", "registry.unlock"]);
    let head = site.registry.shows(&["heads"])?.expecting(0)?.of_type("head")?;
    assert_eq!((&head["size"], &head["registry_key"]), (&7.into(), &told["registry_key"]), "{head}");

    // Bob did nothing since, and can be added by the package that may be handed out again.
    alice.creates("next", &["bob"])?;
    bob.accepts("next")?;
    alice.sends("team", "is anybody there")?;
    ensure(bob.texts("team")?.contains(&"is anybody there".to_owned()), || "bob missed it".into())?;
    for person in crowd.iter().chain([&grace]) {
        person.syncs()?;
        has_no_doubt(person)?;
    }
    site.group("all", &grace, &[&alice, &bob])?;
    site.person("mallory")?.is_refused(8, "conflict", &["register", "grace"])?;
    site.registered("heidi")?;
    has_no_doubt(&alice)?;
    has_no_doubt(&bob)?;
    // Stopped in order it leaves no socket, and is backed up all the same.
    site.registry.stop()?;
    assert_eq!(names(&data), ["registry.key", "registry.redb", "registry.unlock"]);
    let stopped = backs_up(&site.registry, &site.registry.folder().join("stopped"))?;
    assert_eq!(stopped["statements"], 8, "{stopped}");
    Ok(())
}

/// Killed when each of its files is there: nothing is there under the final names, or all of it is.
#[test]
fn r_reg_26_a_restore_that_is_killed_at_any_moment_leaves_nothing_or_everything() -> Result {
    let mut site = Site::single()?;
    let alice = site.registered("alice")?;
    let file = site.registry.folder().join("backup");
    let made = backs_up(&site.registry, &file)?;
    site.registry.kill()?;
    let data = site.registry.data();
    let whole = ["registry.key", "registry.redb", "registry.unlock"];
    let mut nothing = 0;
    for moment in [
        "restore.draft",
        "restore.draft/registry.redb",
        "restore.draft/registry.unlock",
        "restore.draft/registry.key",
        "restored",
        "registry.redb",
        "registry.key",
        "registry.unlock",
    ] {
        fs::remove_dir_all(&data)?;
        let mut command = site
            .registry
            .with_input(&["restore", "--backup-passphrase-fd", "0", &file.to_string_lossy()], WORDS)?;
        let mut process = Process::start(command.stdout(std::process::Stdio::null()))?;
        while process.ended().is_none() && !data.join(moment).exists() {
            thread::yield_now();
        }
        process.kill()?;
        let there = names(&data);
        if there.iter().any(|name| name == "restored") || there == whole {
            continue;
        }
        nothing += 1;
        ensure(!there.iter().any(|name| name.starts_with("registry.")), || format!("{moment}: {there:?}"))?;
        restores(&site.registry, &file)?;
        assert_eq!(names(&data), whole, "{moment}");
    }
    ensure(nothing > 0, || "none was killed before it was whole".into())?;
    // Whatever the last one left, the registry that starts is the one that was.
    site.registry.start()?;
    let head = site.registry.shows(&["heads"])?.expecting(0)?.of_type("head")?;
    assert_eq!(head["root"], made["root"], "{head}");
    alice.does(&["sync"])?;
    has_no_doubt(&alice)
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_under_its_name_and_a_wrong_passphrase_opens_nothing() -> Result {
    let site = Site::single()?;
    site.registered("alice")?;
    let file = site.registry.folder().join("backup");
    let arguments = ["backup", "--backup-passphrase-fd", "0", &file.to_string_lossy()];
    let mut command = site.registry.with_input(&arguments, WORDS)?;
    let mut process = Process::start(command.stdout(std::process::Stdio::null()))?;
    while !names(site.registry.folder()).iter().any(|name| name.starts_with("cipher-unfinished-")) {
        ensure(process.ended().is_none(), || "it ended before there was a draft".into())?;
    }
    process.kill()?;
    ensure(!file.exists(), || "a part of it has its name".into())?;
    backs_up(&site.registry, &file)?;
    let refused = with_words(&site.registry, "restore", &file, "wrong")?;
    assert_eq!(refused.code, 8, "the folder is in use: {refused}");
    let other = Registry::prepared(&site.broker, &[])?;
    let refused = with_words(&other, "restore", &file, "wrong")?.expecting(7)?;
    assert_eq!(text(&error_of(&refused)?, "kind"), Some("bad-backup"), "{refused}");
    ensure(!other.data().exists(), || format!("{:?}", names(&other.data())))
}

/// Replicas: a backup of any of them restores all of them, as the runbook says it.
#[test]
fn replicas_go_on_from_a_backup_of_one_with_and_without_their_log() -> Result {
    let mut broker = Broker::single()?;
    let mut replicas = Registry::replicas(&broker, 2, &[])?;
    let homes = tempfile::tempdir()?;
    let person = |name, broker: &Broker| Person::new(name, homes.path(), &broker.url());
    let (alice, bob) = (person("alice", &broker)?, person("bob", &broker)?);
    alice.registers()?;
    bob.registers()?;
    let mut roots = Vec::new();
    for replica in &replicas {
        // One that follows may be behind by what was written last.
        testbed::wait::until("it has followed", || {
            let lines = replica.shows(&["replicas"]).ok()?.lines;
            lines.iter().all(|line| line["behind"] == 0).then_some(())
        })?;
        let told = backs_up(replica, &replica.folder().join("backup"))?;
        assert_eq!(told["statements"], 2, "{told}");
        roots.push(told["root"].clone());
    }
    assert_eq!(roots.first(), roots.last());
    let file = replicas.last().map(|replica| replica.folder().join("backup")).unwrap_or_default();
    let lose = |replicas: &mut [Registry]| -> Result {
        for replica in replicas {
            replica.kill()?;
            fs::remove_dir_all(replica.data())?;
        }
        Ok(())
    };

    // The brokers have the log: the key alone is enough.
    lose(&mut replicas)?;
    for replica in &mut replicas {
        restores(replica, &file)?;
        fs::remove_file(replica.data().join("registry.redb"))?;
        replica.start()?;
    }
    person("carol", &broker)?.registers()?;
    alice.does(&["profile", "show", "carol"])?;
    has_no_doubt(&alice)?;
    let second = site_backup(&replicas)?;

    // The brokers have nothing: the same backup on each, and a new log begins on it.
    lose(&mut replicas)?;
    broker.loses_every_disk()?;
    for replica in &mut replicas {
        restores(replica, &second)?;
        replica.start()?;
    }
    person("dave", &broker)?.registers()?;
    alice.does(&["profile", "show", "dave"])?;
    bob.does(&["profile", "show", "carol"])?;
    has_no_doubt(&alice)?;
    has_no_doubt(&bob)
}

fn site_backup(replicas: &[Registry]) -> Result<std::path::PathBuf> {
    let replica = replicas.first().ok_or_else(|| Failure::new("no replica"))?;
    let file = replica.folder().join("second");
    backs_up(replica, &file).map(|_| file)
}
