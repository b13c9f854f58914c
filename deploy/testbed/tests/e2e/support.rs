//! What several topics need.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use testbed::person::text;
use testbed::{Failure, Person, Result, Screen, ensure};

/// Starts the echo bot of the catalog for its owner; gives its screen and its handle.
pub(crate) fn echo_bot(owner: &Person) -> Result<(Screen, String)> {
    let mut screen = owner.starts(&["bot", "run", "echo"])?;
    let ready = screen.is_ready()?;
    let handle = text(&ready, "handle").ok_or_else(|| Failure::new(format!("no handle in {ready}")))?;
    let handle = handle.to_owned();
    Ok((screen, handle))
}

/// Runs one job per person at the same time; fails if any fails.
pub(crate) fn at_once<T: Send>(jobs: Vec<Box<dyn FnOnce() -> Result<T> + Send + '_>>) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        running
            .into_iter()
            .map(|job| job.join().unwrap_or_else(|_| Err(Failure::new("a job panicked"))))
            .collect()
    })
}

/// Brings everybody up to date and fails unless all are in the same world: epoch, authenticator, members, name.
pub(crate) fn all_equal(group: &str, people: &[&Person]) -> Result<Value> {
    let mut worlds = Vec::new();
    for person in people {
        person.syncs()?;
        let shown = person.shows(group)?;
        let mut members: Vec<String> = shown
            .get("members")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|member| {
                format!("{}:{}", text(member, "handle").unwrap_or("?"), text(member, "role").unwrap_or("?"))
            })
            .collect();
        members.sort();
        let fields = ["id", "name", "epoch", "authenticator"].map(|field| shown.get(field).cloned());
        worlds.push((person.name().to_owned(), fields, members, shown));
    }
    let (name, fields, members, shown) = worlds.first().ok_or_else(|| Failure::new("nobody"))?;
    ensure(shown.get("authenticator").is_some_and(|a| a.as_str().is_some_and(|a| !a.is_empty())), || {
        format!("no authenticator in {shown}")
    })?;
    for (other, their_fields, their_members, _) in &worlds {
        ensure(fields == their_fields && members == their_members, || {
            format!("{name} and {other} are in different worlds: {worlds:#?}")
        })?;
    }
    Ok(shown.clone())
}

/// The same on a cluster: any replica may answer a reader, and one may be behind for a moment. Nothing may be
/// missing for long, and nothing may ever be there twice.
pub(crate) fn all_read_in_time(group: &str, people: &[&Person], expected: &[String]) -> Result {
    for person in people {
        testbed::wait::within(Duration::from_secs(20), "everything is read", || {
            person.syncs().ok()?;
            let texts = person.texts(group).ok()?;
            expected.iter().all(|words| texts.contains(words)).then_some(())
        })
        .or_else(|failure| all_read(group, people, expected).map_err(|why| why.and(failure)))?;
    }
    all_read(group, people, expected)
}

/// The same world on a cluster, as soon as every replica has caught up.
pub(crate) fn all_equal_in_time(group: &str, people: &[&Person]) -> Result<Value> {
    testbed::wait::within(Duration::from_secs(20), "one world", || all_equal(group, people).ok())
        .or_else(|_| all_equal(group, people))
}

/// Fails unless everybody has read exactly these words, each once, all in the same order.
pub(crate) fn all_read(group: &str, people: &[&Person], expected: &[String]) -> Result {
    let mut wanted = expected.to_vec();
    wanted.sort();
    let mut first: Option<(String, Vec<String>)> = None;
    for person in people {
        person.syncs()?;
        let texts = person.texts(group)?;
        let mut sorted = texts.clone();
        sorted.sort();
        ensure(sorted == wanted, || {
            let missing: Vec<_> = wanted.iter().filter(|words| !texts.contains(words)).collect();
            let twice: Vec<_> =
                sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
            let others: Vec<_> = texts.iter().filter(|words| !wanted.contains(words)).collect();
            let mut text =
                format!("{}: missing {missing:?}, twice {twice:?}, unexpected {others:?}", person.name());
            for words in missing {
                for other in people {
                    let lines = other.reads(group).unwrap_or_default();
                    let found = lines.iter().find(|line| testbed::person::text(line, "text") == Some(words));
                    text.push_str(&format!("\n  {} has {words:?} as {found:?}", other.name()));
                }
            }
            let doctor = person.run(&["doctor"]).map(|output| output.to_string()).unwrap_or_default();
            format!("{text}\n{doctor}")
        })?;
        match &first {
            None => first = Some((person.name().into(), texts)),
            Some((name, order)) => ensure(*order == texts, || {
                format!("{name} and {} read in different orders:\n{order:?}\n{texts:?}", person.name())
            })?,
        }
    }
    Ok(())
}

/// Waits for the commit-independent part of a start: a conversation that is open on a screen.
pub(crate) fn opened(person: &Person, group: &str, mark: &str, sender: &Person) -> Result<Screen> {
    let mut screen = person.follows(group)?;
    sender.sends(group, mark)?;
    screen.sees(mark)?;
    Ok(screen)
}
