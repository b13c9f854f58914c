//! Streams that went back, and profiles that did, with the real broker and the shipped binaries.
//!
//! On `b76d1e4`: E1 replaced what was in the history and lost what was said; E2 stopped groups, and bytes that waited
//! were published thousands of times; A4 dropped what a restored profile said first, and showed it as sent.

use std::fs;
use std::time::Duration;

use async_nats::jetstream;
use cipher_broker::stream::{self, StreamSpec};
use serde_json::Value;
use testbed::disk::{copy, put_back};
use testbed::person::text;
use testbed::{Failure, Person, Result, Site, ensure, raw, wait};

use crate::support::all_read;

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
    site.broker.copy_disks(backup.path())?;
    wait::until("the broker is back", || bob.sends("team", "lost one").ok())?;
    alice.does(&["group", "rename", "team", "crew"])?;
    alice.sends("crew", "lost two")?;
    bob.syncs()?;
    site.broker.restore_disks(backup.path())?;
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

/// Streams of this project deny purging, so an operator who tries changes nothing. Where they were made without that, the
/// stream stays the same, with its sequence, and everything in it is gone.
#[test]
fn e2_a_purged_stream_is_filled_again_and_ours_cannot_be_purged() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let all = ["from alice", "from bob"];
    alice.sends("team", all[0])?;
    bob.sends("team", all[1])?;
    put_right("team", &[&alice, &bob], &all)?;
    let refused = purge_conversations(&site)?;
    ensure(refused.iter().all(|answer| answer.contains("purge not permitted")), || refused.join("\n"))?;
    put_right("team", &[&alice, &bob], &all)?;
    let doctor = alice.does(&["doctor"])?;
    ensure(!doctor.stdout.contains("broker-log"), || doctor.to_string())?;

    let site = Site::single()?;
    allow_purging(&site)?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = bob.follows("team")?;
    alice.sends("team", all[0])?;
    bob.sends("team", all[1])?;
    screen.sees(all[0])?;
    alice.syncs()?;
    let purged = purge_conversations(&site)?;
    ensure(purged.iter().all(|answer| answer.contains("\"success\":true")), || purged.join("\n"))?;
    let told = alice.does(&["send", "team", "after"])?;
    ensure(told.stderr.contains("the broker lost messages"), || told.to_string())?;
    screen.sees("after")?;
    let again = screen.history().iter().filter(|line| text(line, "text") == Some(all[0])).count();
    ensure(again == 1, || format!("shown {again} times to whoever was connected all the time"))?;
    screen.interrupt()?;
    put_right("team", &[&alice, &bob], &["from alice", "from bob", "after"])?;
    doctor_tells(&alice, "broker-log")?;
    doctor_tells(&bob, "broker-log")?;
    // Whoever comes new finds a log that leads to where the others are.
    let carol = site.registered("carol")?;
    alice.does(&["group", "add", "team", "carol"])?;
    carol.accepts("team")?;
    carol.sends("team", "from carol")?;
    put_right("team", &[&alice, &bob], &["from alice", "from bob", "after", "from carol"])
}

/// E3: making room is cut off between emptying the streams and setting their age back. `provision` and another `room` set
/// it back, and say until when the streams let go: nothing is sent again.
#[test]
fn e3_room_whose_making_was_cut_off_is_not_filled_again() -> Result {
    for again in [&["provision"][..], &["room", "--keep", "0.00002"]] {
        let site = Site::single()?;
        let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
        site.group("team", &alice, &[&bob])?;
        alice.sends("team", "let go")?;
        put_right("team", &[&alice, &bob], &["let go"])?;
        let stored = block_on(cut_off_room(&site))?;
        site.registry.shows(again)?.expecting(0)?;
        site.registry.shows(&["provision", "--verify"])?.expecting(0)?;
        let synced = alice.does(&["sync"])?;
        ensure(synced.stderr.contains("made room"), || synced.to_string())?;
        bob.syncs()?;
        let doctor = alice.does(&["doctor"])?;
        ensure(!doctor.stdout.contains("broker-log"), || doctor.to_string())?;
        let left = block_on(stands(&site))?;
        ensure(left == stored, || format!("{stored} were stored, then {left}: something was sent again"))?;
        bob.sends("team", "there is room")?;
        put_right("team", &[&alice, &bob], &["let go", "there is room"])?;
    }
    Ok(())
}

/// Lowers the age of the conversations' streams until they are empty, and leaves it there. Gives where they stand.
async fn cut_off_room(site: &Site) -> Result<u64> {
    let context = jetstream::new(raw::registry(&site.broker).await?);
    let keep = Duration::from_secs(1);
    for stream in conversations() {
        let config = context.get_stream(&stream.name).await?.cached_info().config.clone();
        let short = jetstream::stream::Config { max_age: keep, duplicate_window: keep, ..config };
        context.update_stream(short).await?;
    }
    for stream in conversations() {
        while context.get_stream(&stream.name).await?.cached_info().state.messages > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    stands(site).await
}

/// How many messages the conversations' streams were given so far.
async fn stands(site: &Site) -> Result<u64> {
    let context = jetstream::new(raw::registry(&site.broker).await?);
    let mut all = 0;
    for stream in conversations() {
        all += context.get_stream(&stream.name).await?.cached_info().state.last_sequence;
    }
    Ok(all)
}

/// What the broker answers to purging each stream of conversations.
fn purge_conversations(site: &Site) -> Result<Vec<String>> {
    block_on(async {
        let client = raw::registry(&site.broker).await?;
        let mut answers = Vec::new();
        for stream in conversations() {
            let subject = format!("$JS.API.STREAM.PURGE.{}", stream.name);
            let answer = client.request(subject, "".into()).await?;
            answers.push(String::from_utf8_lossy(&answer.payload).into_owned());
        }
        Ok(answers)
    })
}

/// Makes the streams of conversations once more, so that they may be purged.
fn allow_purging(site: &Site) -> Result {
    block_on(async {
        let context = jetstream::new(raw::registry(&site.broker).await?);
        for stream in conversations() {
            let made = context.get_stream(&stream.name).await?.cached_info().config.clone();
            context.delete_stream(&stream.name).await?;
            context.create_stream(jetstream::stream::Config { deny_purge: false, ..made }).await?;
        }
        Ok(())
    })
}

fn conversations() -> impl Iterator<Item = StreamSpec> {
    stream::all(1).into_iter().filter(|stream| !stream.max_age.is_zero() && !stream.once)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
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
    put_back(backup.path(), alice.home())?;
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
    // Where the words of one copy were already in the log when the other one began, a third member decides.
    let others = bob.follows("team")?;
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
    drop((copies, others));
    left.sends("team", "the one that is left")?;
    wait::within(Duration::from_secs(30), "bob hears the one that is left", || {
        // It may have to come back first, and then sends what waited.
        left.syncs().ok()?;
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

/// A copy on a stick: the two are never used at the same time, and each command is a process of its own. Before, each took the other
/// one's place in the group, for ever. Then the copy that goes on is lost, and the other one is told to go on.
#[test]
fn a4_r_copy_01_of_two_copies_that_are_used_by_turns_one_stops_and_is_resumed_when_the_other_is_gone()
-> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &bob, &[&alice])?;
    alice.syncs()?;
    let elsewhere = tempfile::tempdir()?;
    copy(alice.home(), &elsewhere.path().join("alice"))?;
    let twin = Person::new("alice", elsewhere.path(), &site.broker.url())?;
    alice.does(&["device", "resume"])?;
    let serves = bob.follows("team")?;
    let by_turns = [&alice, &twin];
    let mut turns = by_turns.iter().cycle().take(12).enumerate();
    let stopped = turns.find_map(|(turn, person)| {
        let sent = person.run(&["send", "team", &format!("turn {turn}")]).ok()?;
        // Who serves a request to come back has a moment for it.
        person.run(&["sync"]).ok()?;
        sent.expecting(7).is_ok().then_some(*person)
    });
    let stopped = stopped.ok_or_else(|| Failure::new("after six turns of each both go on"))?;
    let left = if std::ptr::eq(stopped, &alice) { &twin } else { &alice };
    // What is here is shown, and that nothing new comes.
    let shown = stopped.does(&["read", "team"])?;
    ensure(!shown.lines.is_empty() && shown.stderr.contains("has stopped"), || shown.to_string())?;
    stopped.run(&["read", "team", "--follow"])?.expecting(7)?;
    stopped.is_refused(7, "stopped", &["send", "team", "not here"])?;
    stopped.is_refused(2, "usage", &["device", "resume"])?;
    stopped.run(&["device", "resume", "--yes"])?.expecting(0)?;
    let heard = |words: &str| {
        wait::within(Duration::from_secs(30), "bob hears the one that was resumed", || {
            stopped.syncs().ok()?;
            bob.texts("team").ok()?.iter().any(|text| text == words).then_some(())
        })
    };
    stopped.sends("team", "resumed")?;
    heard("resumed")?;
    // The stick is found again.
    wait::within(Duration::from_secs(30), "the other one stops", || {
        let sent = left.run(&["send", "team", "found"]).ok()?;
        stopped.sends("team", "still here").ok()?;
        sent.expecting(7).ok()
    })?;
    heard("still here")?;
    drop(serves);
    Ok(())
}

/// A4: alice made a group alone, backed her profile up, added bob, and lost the machine. Nothing in the backup says that bob
/// belongs there: his answer is an offer, which she takes.
#[test]
fn a4_r_welcome_07_a_profile_from_before_anybody_else_was_there_takes_the_place_that_bob_offers() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    alice.creates("team", &[])?;
    let backup = tempfile::tempdir()?;
    copy(alice.home(), backup.path())?;
    alice.does(&["group", "add", "team", "@bob"])?;
    bob.accepts("team")?;
    alice.sends("team", "first life")?;
    put_back(backup.path(), alice.home())?;
    let offer = wait::within(Duration::from_secs(30), "bob's offer", || {
        alice.syncs().ok()?;
        bob.syncs().ok()?;
        let shown = alice.does(&["group", "show", "team"]).ok()?.of_type("group").ok()?;
        shown.pointer("/recovering/offered").filter(|offered| !offered.is_null()).cloned()
    })?;
    ensure(text(&offer, "handle") == Some("bob"), || offer.to_string())?;
    let told = alice.run(&["doctor"])?;
    let hint =
        |line: &Value| text(line, "hint").is_some_and(|hint| hint.starts_with("@bob would let it back in"));
    ensure(told.lines.iter().any(hint), || told.to_string())?;
    let back = alice.accepts("team")?;
    ensure(back.get("recovering").is_some_and(Value::is_null), || back.to_string())?;
    alice.sends("team", "second life")?;
    wait::within(Duration::from_secs(30), "bob reads on", || {
        bob.syncs().ok()?;
        (bob.texts("team").ok()? == ["first life", "second life"]).then_some(())
    })
}
