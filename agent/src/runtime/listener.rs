//! Who hears events. A listener that is too slow loses some and is told how many; it never holds up the core.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cipher_api::{Cursor, Event};
use tokio::sync::{Notify, mpsc};

/// Events that may wait for one listener.
const CAPACITY: usize = 4_096;

/// All listeners of a session.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    open: Mutex<Vec<Listener>>,
    over: AtomicBool,
}

#[derive(Debug)]
struct Listener {
    sender: mpsc::Sender<Heard>,
    missed: Arc<Missed>,
}

/// Events for which there was no room.
#[derive(Debug, Default)]
struct Missed {
    count: AtomicU64,
    counted: Notify,
}

impl Missed {
    fn one_more(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.counted.notify_one();
    }

    /// What is to be told of them, once.
    fn take(&self) -> Option<Heard> {
        let count = self.count.swap(0, Ordering::AcqRel);
        (count > 0).then_some(Heard { cursor: None, event: Event::Missed { count } })
    }
}

/// An event as it is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its place among the events that the profile keeps; `None` for one that it does not.
    pub(crate) cursor: Option<Cursor>,
    /// What took place.
    pub(crate) event: Event,
}

/// Events from the moment this was made. Ends with the session.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Heard>,
    missed: Arc<Missed>,
}

impl Events {
    /// The next event; `None` when the session is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.hear().await.map(|heard| heard.event)
    }

    /// The next event and its place.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        loop {
            tokio::select! {
                biased;
                heard = self.receiver.recv() => return heard,
                // Nothing waits any more, and what there was no room for is to be told now.
                () = self.missed.counted.notified() => {
                    if let Some(heard) = self.missed.take() {
                        return Some(heard);
                    }
                }
            }
        }
    }

    /// An event that is there already.
    pub(crate) fn now(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok().map(|heard| heard.event)
    }
}

impl Listeners {
    /// A new listener.
    pub(crate) fn listen(&self) -> Events {
        let ((sender, receiver), missed) = (mpsc::channel(CAPACITY), Arc::new(Missed::default()));
        if !self.over.load(Ordering::Acquire) {
            self.lock().push(Listener { sender, missed: Arc::clone(&missed) });
        }
        Events { receiver, missed }
    }

    /// Tells everybody an event that the profile does not keep.
    pub(crate) fn tell(&self, event: &Event) {
        self.tell_at(None, event);
    }

    /// Tells everybody an event, with its place if it is kept.
    pub(crate) fn tell_at(&self, cursor: Option<Cursor>, event: &Event) {
        self.lock().retain(|listener| listener.tell(cursor, event));
    }

    /// Ends every listener's events.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// `false` when nobody listens any more.
    fn tell(&self, cursor: Option<Cursor>, event: &Event) -> bool {
        if self.missed.count.load(Ordering::Acquire) > 0 {
            // One place is left for the event itself, or this waits until there are two.
            if self.sender.capacity() < 2 {
                self.missed.one_more();
                return !self.sender.is_closed();
            }
            if let Some(told) = self.missed.take() {
                // Nothing else sends.
                drop(self.sender.try_send(told));
            }
        }
        match self.sender.try_send(Heard { cursor, event: event.clone() }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed.one_more();
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let listeners = Listeners::default();
        let mut events = listeners.listen();
        let event = Event::Progress { done: 1, total: 2 };
        for _ in 0..CAPACITY + 3 {
            listeners.tell(&event);
        }
        for _ in 0..CAPACITY {
            assert_eq!(events.next().await, Some(event.clone()));
        }
        listeners.tell(&event);
        assert_eq!(events.next().await, Some(Event::Missed { count: 3 }));
        assert_eq!(events.next().await, Some(event.clone()));
        // Without another event after them too.
        for _ in 0..CAPACITY + 2 {
            listeners.tell(&event);
        }
        for _ in 0..CAPACITY {
            assert_eq!(events.next().await, Some(event.clone()));
        }
        assert_eq!(events.next().await, Some(Event::Missed { count: 2 }));
        listeners.end();
        assert_eq!(events.next().await, None);
        assert_eq!(listeners.listen().next().await, None);
    }
}
