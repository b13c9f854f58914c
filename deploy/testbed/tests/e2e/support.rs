//! What several topics need.

use std::thread;

use serde_json::Value;
pub(crate) use testbed::agreement::{all_equal, all_read};
use testbed::person::text;
use testbed::{Failure, Person, Result, Screen};

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

/// The same on a cluster: any replica may answer a reader, and one may be behind for a moment. Nothing may be
/// missing for long, and nothing may ever be there twice.
pub(crate) fn all_read_in_time(group: &str, people: &[&Person], expected: &[String]) -> Result {
    for person in people {
        testbed::wait::until("everything is read", || {
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
    testbed::wait::until("one world", || all_equal(group, people).ok()).or_else(|_| all_equal(group, people))
}

/// Waits for the commit-independent part of a start: a conversation that is open on a screen.
pub(crate) fn opened(person: &Person, group: &str, mark: &str, sender: &Person) -> Result<Screen> {
    let mut screen = person.follows(group)?;
    sender.sends(group, mark)?;
    screen.sees(mark)?;
    Ok(screen)
}
