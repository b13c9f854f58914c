//! Replicas that are killed, paused, set back or of another registry.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::registry::Registry;
use testbed::{Broker, Failure, Person, Result, ensure, wait};

use crate::crowd::Crowd;

/// Nobody is to be stopped by quotas here.
const GENEROUS: [&str; 4] = ["--claims-per-target", "1000000", "--claims-overall", "1000000"];
/// Time in which somebody else must write.
const FAIL_OVER: Duration = Duration::from_secs(5);

/// What the replicas say of themselves.
fn health(replicas: &[Registry]) -> Result<Vec<Value>> {
    let asked = replicas.first().ok_or_else(|| Failure::new("no replica"))?;
    let output = asked.shows(&["replicas"])?;
    if output.code == 0 { Ok(output.lines) } else { Err(Failure::new(output.to_string())) }
}

/// Which of them writes.
fn writer(replicas: &[Registry]) -> Result<usize> {
    wait::until("somebody writes", || {
        let health = health(replicas).ok()?;
        let writing = health.iter().find(|line| line["writes"] == true)?;
        replicas.iter().position(|replica| replica.replica() == writing["replica"].as_str())
    })
}

/// Waits until that many replicas run, exactly one writes and none is behind.
fn all_well(replicas: &[Registry], count: usize) -> Result {
    wait::until("all replicas are well", || {
        let health = health(replicas).ok()?;
        let writing = health.iter().filter(|line| line["writes"] == true).count();
        let behind = health.iter().filter(|line| line["behind"] != 0).count();
        (health.len() == count && writing == 1 && behind == 0).then_some(())
    })
    .map_err(|failure| failure.and(format!("{:#?}", health(replicas))))
}

fn told(replicas: &[Registry]) -> String {
    replicas.iter().map(|replica| format!("--- {:?}\n{}\n", replica.replica(), replica.log())).collect()
}

/// R-REG-21, R-REG-22: no package goes to two, no answered claim is lost, nothing is used up in vain; and somebody
/// else writes within five seconds.
#[test]
fn r_reg_21_r_reg_22_claims_on_a_cluster_count_once_while_replicas_are_killed() -> Result {
    let broker = Broker::cluster()?;
    let mut replicas = Registry::replicas(&broker, 3, &GENEROUS)?;
    let mut crowd = Crowd::gather(&broker, 4, 8)?;
    crowd.begin();
    let mut silences = Vec::new();
    for round in 0..6 {
        crowd.goes_on(50)?;
        let writing = writer(&replicas)?;
        // The writer and somebody else by turns.
        let victim = if round % 2 == 0 { writing } else { (writing + 1) % replicas.len() };
        let replica = replicas.get_mut(victim).ok_or_else(|| Failure::new("no such replica"))?;
        let killed = Instant::now();
        replica.kill()?;
        crowd.goes_on(50).map_err(|failure| failure.and(told(&replicas)))?;
        let silence = crowd.longest_silence(killed, Instant::now());
        silences.push((if victim == writing { "writer" } else { "follower" }, silence));
        let replica = replicas.get_mut(victim).ok_or_else(|| Failure::new("no such replica"))?;
        replica.start()?;
    }
    all_well(&replicas, 3)?;
    let tally = crowd.end().map_err(|failure| failure.and(told(&replicas)))?;
    tell(&format!("killed: {silences:?}, {tally:?}"));
    ensure(tally.repeated > 0, || "nobody noticed that replicas died".into())?;
    ensure(tally.claimed + tally.left == tally.brought, || {
        format!("packages were used up in vain: {tally:?}")
    })?;
    for (what, silence) in silences {
        ensure(silence <= FAIL_OVER, || {
            format!("nobody was answered for {silence:?} after the {what} died")
        })?;
    }
    Ok(())
}

/// R-REG-21: a writer that was paused and goes on believing that it writes is fenced by the log.
#[test]
fn r_reg_21_a_paused_writer_of_a_cluster_is_fenced_when_it_goes_on() -> Result {
    let broker = Broker::cluster()?;
    let mut replicas = Registry::replicas(&broker, 3, &GENEROUS)?;
    let mut crowd = Crowd::gather(&broker, 4, 8)?;
    crowd.begin();
    for _ in 0..3 {
        crowd.goes_on(50)?;
        let paused = writer(&replicas)?;
        let pause = |replicas: &mut [Registry]| {
            replicas.get_mut(paused).map_or_else(|| testbed::fail("no such replica"), Registry::pause)
        };
        pause(&mut replicas)?;
        // Another one writes, while the paused one still holds what was on its way.
        wait::until("another one writes", || writer(&replicas).ok().filter(|now| *now != paused))?;
        crowd.goes_on(50).map_err(|failure| failure.and(told(&replicas)))?;
        replicas.get_mut(paused).map_or_else(|| testbed::fail("no such replica"), Registry::resume)?;
        crowd.goes_on(50).map_err(|failure| failure.and(told(&replicas)))?;
        all_well(&replicas, 3)?;
    }
    let tally = crowd.end().map_err(|failure| failure.and(told(&replicas)))?;
    tell(&format!("paused: {tally:?}"));
    ensure(tally.claimed + tally.left == tally.brought, || {
        format!("packages were used up in vain: {tally:?}")
    })
}

/// R-REG-23: a replica goes on where its folder is, however old, and never answers from there.
#[test]
fn r_reg_23_a_replica_of_a_cluster_with_an_older_folder_catches_up() -> Result {
    let broker = Broker::cluster()?;
    let mut replicas = Registry::replicas(&broker, 2, &GENEROUS)?;
    let mut crowd = Crowd::gather(&broker, 2, 4)?;
    crowd.begin();
    crowd.goes_on(50)?;
    let [_, second] = replicas.as_mut_slice() else { return testbed::fail("two replicas") };
    let old = tempfile::tempdir()?;
    second.stop()?;
    copy(&second.data(), old.path())?;
    second.start()?;
    crowd.goes_on(200)?;
    second.stop()?;
    copy(old.path(), &second.data())?;
    second.start()?;
    all_well(&replicas, 2)?;
    // A new one with nothing but the key, too.
    let third = Registry::prepared(&broker, &[&["--store", "jetstream"][..], &GENEROUS].concat())?;
    replicas.push(third);
    let [first, second, third] = replicas.as_mut_slice() else { return testbed::fail("three replicas") };
    third.takes_key_of(first)?;
    third.start()?;
    crowd.goes_on(50)?;
    // What they have is complete: each answers alone.
    first.stop()?;
    crowd.goes_on(50)?;
    second.stop()?;
    crowd.goes_on(50).map_err(|failure| failure.and(told(&replicas)))?;
    let tally = crowd.end()?;
    ensure(tally.claimed + tally.left == tally.brought, || format!("{tally:?}"))
}

/// R-REG-24: who has another key, or other data, is told so and does not start.
#[test]
fn r_reg_24_a_replica_of_a_cluster_with_another_key_or_other_data_refuses_to_start() -> Result {
    let broker = Broker::cluster()?;
    let mut replicas = Registry::replicas(&broker, 1, &GENEROUS)?;
    let crowd = Crowd::gather(&broker, 1, 1)?;
    let settings = [&["--store", "jetstream"][..], &GENEROUS].concat();
    let stranger = Registry::prepared(&broker, &settings)?;
    let refused = stranger.shows(&["serve"])?;
    ensure(refused.code == 7 && refused.to_string().contains("same registry.key"), || refused.to_string())?;
    let alone = Registry::prepared(&broker, &[])?;
    let refused = alone.shows(&["serve"])?;
    ensure(refused.code == 8 && refused.to_string().contains("another registry"), || refused.to_string())?;
    // A registry of its own, filled elsewhere, with the same key.
    let elsewhere = Broker::single()?;
    let mut other = Registry::prepared(&elsewhere, &[])?;
    let [first] = replicas.as_mut_slice() else { return testbed::fail("one replica") };
    other.takes_key_of(first)?;
    other.start()?;
    Crowd::gather(&elsewhere, 1, 1)?;
    other.stop()?;
    let late = Registry::prepared(&broker, &settings)?;
    copy(&other.data(), &late.data())?;
    let refused = late.shows(&["serve"])?;
    ensure(refused.code == 7 && refused.to_string().contains("other data"), || refused.to_string())?;
    drop(crowd);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for name in ["registry.redb"].into_iter().chain(Registry::KEY) {
        fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}

/// Figures of a run, shown with `--no-capture`.
#[expect(clippy::print_stderr, reason = "what a run counted is worth knowing")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// E8: every broker lost its disk, the folders of the registries are kept. A registry that starts says what to do,
/// and that is not to begin with an empty folder; R-REG-25: what would lose a log that is there is refused.
#[test]
fn e8_r_reg_25_every_broker_lost_its_disk_and_the_accounts_come_back_from_one_folder() -> Result {
    let mut broker = Broker::cluster()?;
    let mut replicas = Registry::replicas(&broker, 3, &[])?;
    let homes = tempfile::tempdir()?;
    let person = |name: &str| Person::new(name, homes.path(), &broker.url());
    let (alice, bob, carol) = (person("alice")?, person("bob")?, person("carol")?);
    alice.registers()?;
    bob.registers()?;
    all_well(&replicas, 3)?;
    let [first, others @ ..] = replicas.as_mut_slice() else { return testbed::fail("no replicas") };
    let refused = first.shows(&["begin-log"])?;
    ensure(refused.code == 7, || format!("a folder in use: {refused}"))?;
    first.stop()?;
    let refused = first.shows(&["begin-log"])?.expecting(8)?;
    ensure(refused.stderr.contains("registry-runs"), || format!("others run: {refused}"))?;
    for other in &mut *others {
        other.stop()?;
    }
    for attempt in [&["begin-log"][..], &["begin-log", "--drop-log"]] {
        let refused = first.shows(attempt)?.expecting(4)?;
        ensure(refused.stderr.contains("nothing is lost"), || format!("the log is there: {refused}"))?;
    }

    broker.loses_every_disk()?;
    let hint = first.shows(&["serve"])?.expecting(7)?;
    ensure(hint.stderr.contains("log-lost") && hint.stderr.contains("begin-log"), || hint.to_string())?;
    ensure(!hint.stderr.contains("empty folder"), || hint.to_string())?;
    let held = first.shows(&["begin-log", "--verify"])?.expecting(0)?.of_type("held")?;
    ensure(held["statements"] == 2 && held["followed"].as_u64() > Some(1), || held.to_string())?;
    let begun = first.shows(&["begin-log"])?.expecting(0)?.of_type("log-begun")?;
    ensure(begun["followed"] == held["followed"] && begun["dropped"] == 0, || begun.to_string())?;
    let [second, _] = others else { return testbed::fail("no replicas") };
    for file in ["registry.redb"].into_iter().chain(Registry::KEY) {
        fs::copy(first.data().join(file), second.data().join(file))?;
    }
    first.start()?;
    second.start()?;
    all_well(&replicas[..2], 2).map_err(|failure| failure.and(told(&replicas)))?;
    alice.is_refused(8, "conflict", &["--profile", "again", "register", "bob"])?;
    carol.registers()?;
    carol.does(&["profile", "show", "alice"])?;

    // The third one still has a folder that followed the old log, further than the new one is long.
    let [first, second, third] = replicas.as_mut_slice() else { return testbed::fail("no replicas") };
    let hint = third.shows(&["serve"])?.expecting(7)?;
    ensure(hint.stderr.contains("copy the folder") || hint.stderr.contains("log-lost"), || hint.to_string())?;
    first.stop()?;
    second.stop()?;
    let refused = third.shows(&["begin-log"])?.expecting(4)?;
    ensure(refused.stderr.contains("log-there") && refused.stderr.contains("--drop-log"), || {
        refused.to_string()
    })?;
    fs::copy(first.data().join("registry.redb"), third.data().join("registry.redb"))?;
    for replica in [first, second, third] {
        replica.start()?;
    }
    all_well(&replicas, 3).map_err(|failure| failure.and(told(&replicas)))?;
    bob.does(&["profile", "show", "carol"])?;
    Ok(())
}
