//! Streams that went back, and profiles that did, with the real broker and the shipped binaries.
//!
//! On `b76d1e4`: E1 replaced what was in the history and lost what was said; E2 stopped groups, and bytes that waited
//! were published thousands of times; A4 dropped what a restored profile said first, and showed it as sent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use testbed::person::text;
use testbed::{Person, Result, Site, ensure, wait};

use crate::support::all_read;

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Everybody syncs until everybody has read all of it.
fn put_right(group: &str, people: &[&Person], expected: &[&str]) -> Result {
    let expected: Vec<String> = expected.iter().map(|words| (*words).to_owned()).collect();
    let done = wait::within(Duration::from_secs(60), "the log is put right", || {
        people.iter().try_for_each(|person| person.syncs().map(drop)).ok()?;
        all_read(group, people, &expected).ok()
    });
    done.or_else(|failure| all_read(group, people, &expected).map_err(|why| why.and(failure)))
}

fn doctor_tells(person: &Person, check: &str) -> Result {
    let output = person.run(&["doctor"])?;
    let tells =
        output.lines.iter().any(|line| line.get("name").and_then(|name| name.as_str()) == Some(check));
    ensure(tells, || output.to_string())
}

#[test]
fn e1_a_broker_restored_from_an_older_copy_is_given_back_what_it_lost() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "before")?;
    put_right("team", &[&alice, &bob], &["before"])?;
    let backup = tempfile::tempdir()?;
    site.broker.stop(0)?;
    copy(site.broker.store(0)?, backup.path())?;
    site.broker.start(0)?;
    wait::until("the broker is back", || bob.sends("team", "lost one").ok())?;
    alice.does(&["group", "rename", "team", "crew"])?;
    alice.sends("crew", "lost two")?;
    bob.syncs()?;
    site.broker.stop(0)?;
    fs::remove_dir_all(site.broker.store(0)?)?;
    copy(backup.path(), site.broker.store(0)?)?;
    site.broker.start(0)?;
    let all = ["before", "lost one", "lost two", "after"];
    wait::until("the broker is back", || alice.sends("crew", "after").ok())?;
    put_right("crew", &[&alice, &bob], &all)?;
    doctor_tells(&alice, "broker-log")?;
    bob.sends("crew", "and on it goes")?;
    put_right("crew", &[&alice, &bob], &["before", "lost one", "lost two", "after", "and on it goes"])
}

#[test]
fn e2_streams_that_were_lost_are_filled_again_and_nothing_is_published_twice() -> Result {
    let mut site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "before")?;
    put_right("team", &[&alice, &bob], &["before"])?;
    site.broker.stop(0)?;
    alice.sends("team", "queued one")?;
    alice.sends("team", "queued two")?;
    fs::remove_dir_all(site.broker.store(0)?)?;
    site.broker.start(0)?;
    // It makes its streams when it starts.
    site.registry.stop()?;
    site.registry.start()?;
    put_right("team", &[&alice, &bob], &["before", "queued one", "queued two"])?;
    doctor_tells(&bob, "broker-log")
}

#[test]
fn a4_a_restored_profile_takes_new_keys_before_it_says_anything() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &bob, &[&alice])?;
    alice.syncs()?;
    let backup = tempfile::tempdir()?;
    copy(alice.home(), backup.path())?;
    for words in ["one", "two", "three"] {
        alice.sends("team", words)?;
    }
    fs::remove_dir_all(alice.home())?;
    copy(backup.path(), alice.home())?;
    for words in ["four", "five", "six", "seven", "eight"] {
        alice.sends("team", words)?;
    }
    alice.syncs()?;
    let expected: Vec<String> =
        ["one", "two", "three", "four", "five", "six", "seven", "eight"].map(str::to_owned).into();
    wait::within(Duration::from_secs(30), "bob has read everything", || {
        bob.syncs().ok()?;
        let texts = bob.texts("team").ok()?;
        (texts == expected).then_some(())
    })?;
    doctor_tells(&alice, "copies")
}

/// A profile folder is copied, and both are used beside each other.
#[test]
fn a4_of_two_copies_that_are_in_use_one_goes_on_and_the_other_stops_for_good() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &bob, &[&alice])?;
    alice.syncs()?;
    let elsewhere = tempfile::tempdir()?;
    copy(alice.home(), &elsewhere.path().join("alice"))?;
    let twin = Person::new("alice", elsewhere.path(), &site.broker.url())?;
    let copies = [alice.follows("team")?, twin.follows("team")?];
    let stops = |person: &Person| {
        let output = person.run(&["send", "team", "is this one left?"]).ok()?;
        output.expecting(7).ok()
    };
    for n in 0..3 {
        // Either may have stopped by now.
        alice.run(&["send", "team", &format!("original {n}")])?;
        twin.run(&["send", "team", &format!("copy {n}")])?;
    }
    let (stopped, left) = wait::within(Duration::from_secs(30), "one of the two stops", || {
        stops(&alice).map(|output| (output, &twin)).or_else(|| stops(&twin).map(|output| (output, &alice)))
    })?;
    ensure(stopped.stderr.contains("device link"), || stopped.to_string())?;
    drop(copies);
    left.sends("team", "the one that is left")?;
    wait::within(Duration::from_secs(30), "bob hears the one that is left", || {
        bob.syncs().ok()?;
        bob.texts("team").ok()?.iter().any(|text| text == "the one that is left").then_some(())
    })?;
    let heard = bob.texts("team")?;
    for line in left.reads("team")? {
        if let (Some("text"), Some("sent"), Some(words)) =
            (text(&line, "kind"), text(&line, "state"), text(&line, "text"))
        {
            let times = heard.iter().filter(|heard| *heard == words).count();
            ensure(times == 1, || format!("{words:?} is shown as sent; bob has {heard:?}"))?;
        }
    }
    doctor_tells(left, "copies")
}
