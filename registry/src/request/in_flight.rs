//! Requests that are worked on: the same bytes that come again meanwhile wait for the same answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type Told = watch::Receiver<Option<Vec<u8>>>;

/// The requests that are worked on, by the hash of their bytes.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<[u8; 32], Told>>);

/// What the task that brings a request does.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// It is the first with these bytes: it works on them.
    Work(Work<'a>),
    /// Another task works on the same bytes: it waits for that answer.
    Wait(Told),
}

/// Work on a request. Dropped without an answer, it leaves those that wait without one.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    all: &'a InFlight,
    hash: [u8; 32],
    tell: watch::Sender<Option<Vec<u8>>>,
}

impl InFlight {
    /// Joins the work on the bytes with this hash, or begins it.
    pub(crate) fn join(&self, hash: [u8; 32]) -> Part<'_> {
        match self.map().entry(hash) {
            Entry::Occupied(entry) => Part::Wait(entry.get().clone()),
            Entry::Vacant(entry) => {
                let (tell, told) = watch::channel(None);
                entry.insert(told);
                Part::Work(Work { all: self, hash, tell })
            }
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<[u8; 32], Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work<'_> {
    /// Tells the tasks that wait.
    pub(crate) fn done(self, reply: Option<&Vec<u8>>) {
        if let Some(reply) = reply {
            self.tell.send_replace(Some(reply.clone()));
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.all.map().remove(&self.hash);
    }
}

/// The answer of the task that works on it; `None`: there was none.
pub(crate) async fn told(mut told: Told) -> Option<Vec<u8>> {
    told.wait_for(Option::is_some).await.ok().and_then(|reply| reply.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_works_and_the_others_wait_also_for_nothing() {
        let in_flight = InFlight::default();
        for reply in [Some(vec![1]), None] {
            let Part::Work(work) = in_flight.join([1; 32]) else { panic!("nobody worked on it") };
            let Part::Wait(waiting) = in_flight.join([1; 32]) else { panic!("somebody works on it") };
            assert!(matches!(in_flight.join([2; 32]), Part::Work(_)));
            work.done(reply.as_ref());
            assert_eq!(told(waiting).await, reply);
        }
        assert!(in_flight.map().is_empty());
    }
}
