//! A profile as one sealed file, and back, with the shipped program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use testbed::person::{kind_of, text};
use testbed::{Failure, Output, Person, Result, Screen, Site, ensure, wait};

use crate::support::{all_read, echo_bot};

const PASSPHRASE: &str = "correct horse battery\n";

fn path(file: &Path) -> Result<&str> {
    file.to_str().ok_or_else(|| Failure::new("a path that is no text"))
}

fn backs_up(person: &Person, file: &Path, more: &[&str]) -> Result<Output> {
    let words = [more, &["backup", path(file)?, "--new-passphrase-fd", "0"]].concat();
    person.run_with(&words, PASSPHRASE)
}

fn restores(person: &Person, file: &Path, passphrase: &str, more: &[&str]) -> Result<Output> {
    let words = [&["restore", path(file)?, "--passphrase-fd", "0"], more].concat();
    person.run_with(&words, passphrase)
}

fn profiles(person: &Person) -> PathBuf {
    person.home().join("state/profiles")
}

fn is_active(person: &Person, group: &str) -> bool {
    person.shows(group).is_ok_and(|shown| text(&shown, "state") == Some("active"))
}

/// The group lets the restored device in as its members come online.
fn comes_into(person: &Person, group: &str, members: &[&Person]) -> Result {
    wait::until("the restored device is in the group", || {
        members.iter().try_for_each(|member| member.syncs().map(drop)).ok()?;
        person.syncs().ok()?;
        is_active(person, group).then_some(())
    })
}

#[test]
fn a_lost_machine_is_replaced_from_its_backup_and_nothing_else_opens_it() -> Result {
    let site = Site::single()?;
    let (alice, bob, laptop) = (site.registered("alice")?, site.registered("bob")?, site.person("laptop")?);
    site.group("team", &alice, &[&bob])?;
    site.group("attic", &bob, &[&alice])?;
    alice.sends("team", "before the backup")?;
    bob.sends("attic", "old things")?;
    alice.syncs()?;
    let file = alice.home().join("alice.backup");
    // Of another program, and of a backup that was killed.
    let (other, killed) =
        (alice.home().join("alice.backup.part"), alice.home().join("cipher-unfinished-0123456789abcdef"));
    fs::write(&other, "another program's")?;
    fs::write(&killed, "cipher-stream")?;
    // While the profile is open in another process.
    let mut daemon = alice.starts(&["daemon"])?;
    daemon.is_ready()?;
    let done = backs_up(&alice, &file, &[])?.expecting(0)?.of_type("done")?;
    ensure(text(&done, "target") == Some(path(&file)?), || done.to_string())?;
    backs_up(&alice, &file, &[])?.expecting(8)?;
    daemon.process().kill()?;
    let whole = fs::read(&file)?;
    for word in ["before the backup", "old things", "team", "attic", "alice", "bob"] {
        let found = whole.windows(word.len()).any(|window| window == word.as_bytes());
        ensure(!found, || format!("'{word}' is readable in the backup"))?;
    }
    let left: Vec<_> = fs::read_dir(alice.home())?.flatten().map(|entry| entry.file_name()).collect();
    ensure(!left.iter().any(|name| name.to_string_lossy().starts_with("cipher-")), || format!("{left:?}"))?;
    ensure(fs::read_to_string(&other)? == "another program's", || "it is not what it was".into())?;

    // What does not open, or is not all of it, changes nothing.
    let bad = alice.home().join("bad.backup");
    let what = "backup of a cipher-chat profile".len();
    let middle = whole.len() / 2;
    let flipped = |at: usize, by: u8| {
        let mut bytes = whole.clone();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= by;
        }
        bytes
    };
    let cases = [
        (whole.clone(), "Correct horse battery\n", "the passphrase does not open"),
        (whole.get(..middle).unwrap_or_default().to_vec(), PASSPHRASE, "damaged or cut off"),
        (whole.get(..20).unwrap_or_default().to_vec(), PASSPHRASE, "damaged or cut off"),
        (flipped(middle, 1), PASSPHRASE, "damaged or cut off"),
        (flipped(whole.len().saturating_sub(1), 0x80), PASSPHRASE, "damaged or cut off"),
        // The version of the container, and that of its content.
        (flipped(13, 3), PASSPHRASE, "written by a newer version"),
        (flipped(15 + what, 0x40), PASSPHRASE, "written by a newer version"),
        (b"not a backup".to_vec(), PASSPHRASE, "is no backup of a profile"),
    ];
    for (bytes, passphrase, why) in cases {
        fs::write(&bad, bytes)?;
        let refused = restores(&laptop, &bad, passphrase, &[])?.expecting(7)?;
        let message = refused.errors.iter().find_map(|line| text(line, "message")).unwrap_or_default();
        ensure(message.contains(why), || format!("{why}: {refused}"))?;
        ensure(!profiles(&laptop).join("laptop").exists(), || format!("{why}: a profile was made"))?;
        ensure(!profiles(&laptop).join("laptop.restoring").exists(), || format!("{why}: something is left"))?;
    }
    restores(&laptop, Path::new("none.backup"), PASSPHRASE, &[])?.expecting(9)?;
    restores(&bob, &file, PASSPHRASE, &[])?.expecting(8)?;

    // A killed restore left something behind.
    fs::create_dir_all(profiles(&laptop).join("laptop.restoring/bots"))?;
    fs::write(profiles(&laptop).join("laptop.restoring/store.redb"), "half")?;
    fs::create_dir_all(profiles(&laptop).join("laptop"))?;
    fs::write(profiles(&laptop).join("laptop/store.keys"), "of before")?;
    let account =
        restores(&laptop, &file, PASSPHRASE, &["--name", "new"])?.expecting(0)?.of_type("account")?;
    ensure(text(&account, "handle") == Some("alice"), || account.to_string())?;
    ensure(!profiles(&laptop).join("laptop.restoring").exists(), || "something is left".into())?;
    for group in ["team", "attic"] {
        comes_into(&laptop, group, &[&bob])?;
    }
    laptop.sends("team", "from the new laptop")?;
    bob.sends("team", "welcome")?;
    let said = ["before the backup", "from the new laptop", "welcome"].map(String::from);
    all_read("team", &[&laptop, &bob], &said)?;
    ensure(laptop.texts("attic")? == ["old things"], || format!("{:?}", laptop.texts("attic")))?;
    let devices = laptop.does(&["device", "list"])?.lines;
    let active: Vec<&Value> =
        devices.iter().filter(|device| device.get("revoked") == Some(&Value::Bool(false))).collect();
    ensure(active.len() == 1 && text(active[0], "name") == Some("new"), || format!("{devices:?}"))?;
    // Again: this profile has an account now.
    restores(&laptop, &file, PASSPHRASE, &[])?.expecting(8)?;
    alice.is_refused(4, "refused", &["send", "team", "from the lost one"])?;
    Ok(())
}

/// Without a broker everything of the backup is in the profile, and the same command goes on.
#[test]
fn a_restore_without_a_broker_goes_on_later_and_the_old_device_may_stay() -> Result {
    let site = Site::single()?;
    let (alice, bob, second) = (site.registered("alice")?, site.registered("bob")?, site.person("second")?);
    site.group("team", &alice, &[&bob])?;
    bob.sends("team", "before")?;
    alice.syncs()?;
    let file = alice.home().join("alice.backup");
    backs_up(&alice, &file, &[])?.expecting(0)?;
    let away = second.by_way_of("nats://127.0.0.1:9");
    restores(&away, &file, PASSPHRASE, &["--keep-devices"])?.expecting(3)?;
    second.is_refused(1, "misuse", &["whoami"])?;
    let refused = away.run(&["group", "list"])?.expecting(1)?;
    let message = refused.errors.iter().find_map(|line| text(line, "message")).unwrap_or_default();
    ensure(message.contains("a backup was restored into this profile"), || refused.to_string())?;
    let later = alice.home().join("later.backup");
    backs_up(&alice, &later, &[])?.expecting(0)?;
    restores(&second, &later, PASSPHRASE, &["--keep-devices"])?.expecting(8)?;
    restores(&second, &file, "Correct horse battery\n", &["--keep-devices"])?.expecting(7)?;
    second.is_refused(8, "conflict", &["register", "eve"])?;
    restores(&second, &file, PASSPHRASE, &["--keep-devices"])?.expecting(0)?;
    let looked = second.does(&["doctor"])?;
    let groups = looked.lines.iter().find(|line| text(line, "name") == Some("groups"));
    let told = groups.is_some_and(|line| {
        text(line, "status") == Some("warn")
            && text(line, "detail").is_some_and(|detail| detail.contains("after a restore: 1 of"))
    });
    ensure(told, || looked.to_string())?;
    comes_into(&second, "team", &[&alice, &bob])?;
    ensure(second.texts("team")? == ["before"], || format!("{:?}", second.texts("team")))?;
    alice.sends("team", "from the first")?;
    second.sends("team", "from the second")?;
    let said = ["before", "from the first", "from the second"].map(String::from);
    all_read("team", &[&alice, &bob, &second], &said)
}

/// Killed at any moment, a restore leaves nothing or what the same command goes on from.
#[test]
fn a_killed_restore_goes_on() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    bob.sends("team", "before")?;
    alice.syncs()?;
    let file = alice.home().join("alice.backup");
    backs_up(&alice, &file, &[])?.expecting(0)?;
    let laptop = site.person("laptop")?;
    let passphrase = laptop.home().join("passphrase");
    fs::write(&passphrase, PASSPHRASE)?;
    for kill_at in 1..=5 {
        let mut command = laptop.command(&["restore", path(&file)?, "--passphrase-fd", "0"]);
        command.stdin(fs::File::open(&passphrase)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut screen = Screen::of(&mut command, "restore")?;
        screen.until("some of it is there", |line| {
            kind_of(line) == Some("progress") && line.get("done").and_then(Value::as_u64) >= Some(kill_at)
        })?;
        screen.process().kill()?;
        if profiles(&laptop).join("laptop").exists() {
            // It was whole already.
            break;
        }
    }
    restores(&laptop, &file, PASSPHRASE, &[])?.expecting(0)?;
    comes_into(&laptop, "team", &[&bob])?;
    ensure(laptop.texts("team")? == ["before"], || format!("{:?}", laptop.texts("team")))
}

/// A bot that lost its machine is the same bot again.
#[test]
fn a_bot_is_restored_and_answers_nothing_twice() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let (mut bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", "team", &echo])?;
    let mut screen = bob.follows("team")?;
    bob.sends("team", "/echo first")?;
    screen.sees("first")?;
    bot.interrupt()?;
    let (profile, file) = (["--profile", "alice/echo"], alice.home().join("echo.backup"));
    backs_up(&alice, &file, &profile)?.expecting(0)?;
    fs::remove_dir_all(profiles(&alice).join("alice/bots/echo"))?;
    // Where it does not belong: as a person's, beside another owner; and a person as a bot.
    let person = bob.home().join("bob.backup");
    backs_up(&bob, &person, &[])?.expecting(0)?;
    let fresh = site.person("fresh")?;
    restores(&fresh, &file, PASSPHRASE, &[])?.expecting(2)?;
    ensure(!profiles(&fresh).join("fresh").exists(), || "a profile was made".into())?;
    for (file, place, code) in [(&file, "bob/echo", 4), (&person, "bob/bob", 2)] {
        restores(&bob, file, PASSPHRASE, &["--profile", place])?.expecting(code)?;
        ensure(!profiles(&bob).join("bob/bots").exists(), || format!("{place}: a profile was made"))?;
    }
    restores(&alice, &file, PASSPHRASE, &profile)?.expecting(0)?;
    let (_bot, again) = echo_bot(&alice)?;
    ensure(echo == again, || format!("{echo} is {again} now"))?;
    wait::until("the bot is in the group", || {
        alice.syncs().ok()?;
        let shown = alice.does(&["--profile", "alice/echo", "group", "show", "team"]).ok()?;
        let group = shown.of_type("group").ok()?;
        (text(&group, "state") == Some("active")).then_some(())
    })?;
    bob.sends("team", "/echo second")?;
    screen.sees("second")?;
    let answered = |words: &str| {
        let is_answer = |line: &&Value| {
            text(line, "text") == Some(words)
                && line.pointer("/from/kind").and_then(Value::as_str) == Some("bot")
        };
        bob.reads("team").map(|lines| lines.iter().filter(is_answer).count())
    };
    for words in ["first", "second"] {
        let answers = answered(words)?;
        ensure(answers == 1, || format!("'{words}' was answered {answers} times"))?;
    }
    Ok(())
}
