//! `kill -9` at the worst moments.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::person::text;
use testbed::process::Process;
use testbed::{Result, Site, ensure, wait};

use crate::support::all_read;
use crate::torture::number;

/// Every message of a group: what people say.
const SPOKEN: &str = "chat.*.g.*.a";
/// What changes a group.
const COMMITS: &str = "chat.*.g.*.h";

/// The question got lost: the message is in the sender's store and nowhere else when the sender dies.
#[test]
fn killed_before_the_broker_has_it_the_message_is_delivered_once() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.lose_questions(SPOKEN);
    let mut sending = site.through(&fault, &bob).starts(&["send", "team", "almost lost"])?;
    fault.has_lost(1)?;
    sending.process().kill()?;
    bob.syncs()?;
    bob.syncs()?;
    all_read("team", &[&alice, &bob], &["almost lost".into()])
}

/// The answer got lost: the broker has it, the sender does not know and dies.
#[test]
fn killed_before_the_acknowledgement_the_message_is_there_once() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.lose_answers(SPOKEN);
    let mut sending = site.through(&fault, &bob).starts(&["send", "team", "said once"])?;
    fault.has_lost(1)?;
    sending.process().kill()?;
    fault.heal();
    bob.syncs()?;
    all_read("team", &[&alice, &bob], &["said once".into()])
}

/// The same for a commit: it is in the log, its author does not know.
#[test]
fn killed_before_a_commit_is_acknowledged_everybody_is_in_one_world() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let id = text(&alice.shows("team")?, "id").unwrap_or_default().to_owned();
    let fault = site.fault()?;
    for (round, lose_answer) in [true, false, true].into_iter().enumerate() {
        if lose_answer {
            fault.lose_answers(COMMITS);
        } else {
            fault.lose_questions(COMMITS);
        }
        let name = format!("name {round}");
        let mut renaming = site.through(&fault, &alice).starts(&["group", "rename", &id, &name])?;
        fault.has_lost(round + 1)?;
        renaming.process().kill()?;
        fault.heal();
        alice.syncs()?;
        let shown = crate::support::all_equal(&id, &[&alice, &bob])?;
        assert_eq!(text(&shown, "name"), Some(name.as_str()));
    }
    bob.sends(&id, "still one world")?;
    all_read(&id, &[&alice, &bob], &["still one world".into()])
}

/// A joiner dies while it joins.
#[test]
fn killed_while_joining_one_can_join_again() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &["bob"])?;
    let fault = site.fault()?;
    fault.lose_questions("$JS.API.DIRECT.GET.>");
    let mut accepting = site.through(&fault, &bob).starts(&["group", "accept", "team"])?;
    fault.has_lost(1)?;
    accepting.process().kill()?;
    bob.accepts("team")?;
    alice.sends("team", "welcome")?;
    all_read("team", &[&alice, &bob], &["welcome".into()])
}

/// A slow line changes nothing but the time it takes.
#[test]
fn a_slow_line_is_only_slow() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    fault.delay(Duration::from_millis(150));
    let far = site.through(&fault, &bob);
    far.sends("team", "from far away")?;
    all_read("team", &[&alice, &bob], &["from far away".into()])
}

/// A line that breaks in the middle of a conversation is taken up again by itself.
#[test]
fn a_cut_line_is_taken_up_again() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let fault = site.fault()?;
    let mut screen = site.through(&fault, &bob).follows("team")?;
    alice.sends("team", "one")?;
    screen.sees("one")?;
    fault.cut();
    alice.sends("team", "two")?;
    fault.heal();
    screen.sees("two")?;
    alice.sends("team", "three")?;
    screen.sees("three")?;
    all_read("team", &[&alice], &["one".into(), "two".into(), "three".into()])
}

/// E7: `register` is killed at each step that can be seen from outside. Run again it ends with the recovery phrase, unless
/// that was on the screen already.
#[test]
fn e7_register_killed_at_any_step_shows_the_phrase_when_it_is_run_again() -> Result {
    type Break = fn(&testbed::Fault);
    let steps: [(&str, Break); 3] = [
        ("asked", |fault| fault.lose_questions("reg.v1.create-account")),
        ("done", |fault| fault.lose_answers("reg.v1.create-account")),
        ("shown", |fault| fault.lose_questions("reg.v1.publish-key-packages")),
    ];
    let site = Site::single()?;
    let phrase_in = |lines: &[Value]| lines.iter().any(|line| text(line, "phrase").is_some());
    for (step, breaks) in steps {
        let fault = site.fault()?;
        let person = site.through(&fault, &site.person(step)?);
        breaks(&fault);
        let mut screen = person.starts(&["register", step])?;
        fault.has_lost(1)?;
        screen.process().kill()?;
        fault.heal();
        let again = person.run(&["register", step])?;
        let before = phrase_in(screen.history());
        ensure(before || (again.code == 0 && phrase_in(&again.lines)), || format!("{step}: {again}"))?;
    }

    // Killed while it writes the phrase: into a pipe that nobody empties.
    let late = site.person("late")?;
    let (reader, mut full) = std::io::pipe()?;
    full.write_all(&[b' '; 65_536])?;
    let mut process = Process::start(late.command(&["register", "late"]).stdout(full).stderr(Stdio::null()))?;
    // Key packages leave in the batch that answers the command: behind them it can only write or wait to.
    wait::until("the registry has key packages", || {
        let shown = site.registry.shows(&["inspect", "late"]).ok()?;
        let stock = shown.lines.first()?.pointer("/devices/0/stock/0/one_time")?.as_u64()?;
        (stock > 0).then_some(())
    })?;
    process.kill()?;
    drop(reader);
    let again = late.does(&["register", "late"])?;
    ensure(phrase_in(&again.lines), || format!("the phrase is lost: {again}"))?;
    let seen = late.run(&["register", "late"])?.expecting(8)?;
    ensure(!seen.stdout.contains("phrase") && !phrase_in(&seen.errors), || {
        format!("a phrase that was shown is shown again: {seen}")
    })
}

/// E10: the account is there, its key packages are not. The command says so, and the next one that connects brings them.
#[test]
fn e10_an_account_whose_key_packages_did_not_arrive_is_told_and_the_next_command_brings_them() -> Result {
    let site = Site::single()?;
    let bob = site.registered("bob")?;
    let fault = site.fault()?;
    let alice = site.through(&fault, &site.person("alice")?);
    fault.lose_questions("reg.v1.publish-key-packages");
    let made = alice.does(&["register", "alice"])?;
    let told = |line: &Value| {
        text(line, "message").is_some_and(|said| said.contains("no account can add this one yet"))
    };
    ensure(made.errors.iter().any(told), || format!("not told: {made}"))?;
    bob.is_refused(5, "limit", &["group", "create", "early", "--with", "alice"])?;
    fault.heal();
    alice.syncs()?;
    bob.creates("team", &["alice"])?;
    alice.accepts("team")?;
    Ok(())
}

/// Commands of a person are killed at any moment: 12 of them, or `KILLS` in a long run. What was acknowledged is there
/// once, what was not is there once or not at all, and each next process opens the store.
#[test]
fn killed_at_any_moment_a_profile_opens_and_has_what_was_acknowledged() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let kills = number("KILLS", 12);
    // In this order no part of a command is left out of a short run.
    let moments = (1..).map(|n| n * 37 % 97);
    let (mut acknowledged, mut killed) = (BTreeSet::from(["undisturbed".to_owned()]), 0_u64);
    let begun = Instant::now();
    alice.sends("team", "undisturbed")?;
    let longest = begun.elapsed() * 5 / 4;
    let mut tried = 0;
    for (n, moment) in moments.enumerate() {
        if killed == kills {
            break;
        }
        tried += 1;
        let words = format!("message {n}");
        let mut told = tempfile::tempfile()?;
        let mut command = alice.command(&["send", "team", &words]);
        let mut sending = Process::start(command.stdout(told.try_clone()?).stderr(Stdio::null()))?;
        thread::park_timeout(longest * moment / 97);
        killed += u64::from(sending.ended().is_none());
        sending.kill()?;
        let mut lines = String::new();
        told.rewind()?;
        told.read_to_string(&mut lines)?;
        let message = lines.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        if message.is_some_and(|line| text(&line, "text") == Some(&words)) {
            acknowledged.insert(words);
        }
    }
    alice.syncs()?;
    let read = alice.texts("team")?;
    let said: BTreeSet<_> = read.iter().cloned().collect();
    ensure(said.len() == read.len(), || format!("something is there twice: {read:?}"))?;
    ensure(acknowledged.is_subset(&said), || format!("lost: {:?}", acknowledged.difference(&said)))?;
    eprintln!(
        "{killed} of {tried} commands killed, {} acknowledged, {} said",
        acknowledged.len(),
        said.len()
    );
    ensure(acknowledged.len() > 1, || "none of them had acknowledged".into())?;
    all_read("team", &[&alice, &bob], &read)
}
