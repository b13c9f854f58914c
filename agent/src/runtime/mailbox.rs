//! What waits for the core. Whatever is here when the core is free becomes its next batch.
//!
//! Readers wait for room before they hand over messages ([`Mailbox::deliver`]); everything else is bounded by
//! what the core itself asked for and never waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cipher_core::{Delivered, Input, Interest, Reading};
use tokio::sync::Semaphore;

/// Most inputs in one batch, so that one transaction stays short.
pub(crate) const BATCH: usize = 512;

/// Room for delivered messages that the core has not handled, in units of [`weight`]: two pages of 500 small
/// messages, or about four megabytes of large ones.
const ROOM: u32 = 4096;

/// Whispers and hints that may wait for the core; more are dropped, as they may be at any time.
const WHISPERS: usize = 64;

/// The queue in front of the core's thread.
#[derive(Debug)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Input>,
    /// What to tell the core when it has to start over; `None` while the broker cannot be reached.
    connected: Option<Interest>,
    /// Whispers and hints among those that wait.
    whispers: usize,
    closed: bool,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), room: Semaphore::new(ROOM as usize) }
    }
}

impl Mailbox {
    /// Adds one input at the end.
    pub(crate) fn push(&self, input: Input) {
        self.lock().waiting.push_back(input);
        self.changed.notify_one();
    }

    /// Adds a whisper or a hint, unless too many wait already: whoever can publish them must not fill our memory.
    pub(crate) fn overhear(&self, input: Input) {
        let mut state = self.lock();
        if state.whispers < WHISPERS {
            state.whispers += 1;
            state.waiting.push_back(input);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Notes that the broker can be reached, and tells the core.
    pub(crate) fn connected(&self, interest: Interest) {
        let mut state = self.lock();
        state.connected = Some(interest);
        state.waiting.push_back(Input::Connected(interest));
        drop(state);
        self.changed.notify_one();
    }

    /// Notes that the broker cannot be reached, and tells the core.
    pub(crate) fn disconnected(&self) {
        let mut state = self.lock();
        if state.connected.take().is_some() {
            state.waiting.push_back(Input::Disconnected);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Tells the core again that it is connected, if it is: after a batch was lost, it asks for everything anew.
    pub(crate) fn start_over(&self) {
        let mut state = self.lock();
        if let Some(interest) = state.connected {
            state.waiting.push_front(Input::Connected(interest));
        }
    }

    /// Adds messages in order, waiting for room. Gives `false` when the core is gone.
    pub(crate) async fn deliver(&self, reading: Reading, messages: Vec<Delivered>) -> bool {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let mut needed: u32 = 0;
            let mut chunk = Vec::new();
            while let Some(message) =
                messages.next_if(|next| needed == 0 || needed + weight(next) <= ROOM / 2)
            {
                needed += weight(&message);
                chunk.push(message);
            }
            let Ok(permit) = self.room.acquire_many(needed).await else { return false };
            permit.forget();
            let inputs = chunk.into_iter().map(|message| Input::Delivered { reading, message });
            self.lock().waiting.extend(inputs);
            self.changed.notify_one();
        }
        true
    }

    /// Waits for the next batch; `None` when the mailbox is closed and empty. Blocks the thread.
    pub(crate) fn take(&self) -> Option<Vec<Input>> {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                let count = state.waiting.len().min(BATCH);
                let batch: Vec<Input> = state.waiting.drain(..count).collect();
                let whispers =
                    batch.iter().filter(|input| matches!(input, Input::Whispered { .. } | Input::Hinted));
                state.whispers = state.whispers.saturating_sub(whispers.count());
                return Some(batch);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives back the room of a batch's messages, once they are handled.
    pub(crate) fn release(&self, weight: u32) {
        self.room.add_permits(weight as usize);
    }

    /// Blocks the thread for a while, less if the mailbox is closed meanwhile.
    pub(crate) fn pause(&self, time: Duration) {
        let state = self.lock();
        let woken = self.changed.wait_timeout_while(state, time, |state| !state.closed);
        drop(woken);
    }

    /// Lets the core end once it has handled what waits. Readers are turned away.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that runs under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that an input takes, 0 for all but messages.
pub(crate) fn weight_of(input: &Input) -> u32 {
    match input {
        Input::Delivered { message, .. } => weight(message),
        _ => 0,
    }
}

/// A message's share of [`ROOM`]: small ones count 4, large ones 1 more per KiB. At most half of it.
fn weight(message: &Delivered) -> u32 {
    u32::try_from(message.bytes.len() / 1024).unwrap_or(ROOM).saturating_add(4).min(ROOM / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::id::DeviceId;
    use cipher_broker::subject::Route;
    use cipher_broker::time::Timestamp;
    use std::sync::Arc;

    const READING: Reading = Reading(1);

    fn message(sequence: u64, size: usize) -> Delivered {
        let route = Route::Inbox(DeviceId::from_bytes([1; 16]));
        Delivered { route, sequence, at: Timestamp::default(), bytes: vec![0; size] }
    }

    #[tokio::test]
    async fn readers_wait_when_the_core_lags_and_go_on_when_it_is_done() {
        let mailbox = Arc::new(Mailbox::default());
        assert!(mailbox.deliver(READING, (0..1024).map(|n| message(n, 10)).collect()).await);
        let more = {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(async move { mailbox.deliver(READING, vec![message(1024, 10)]).await })
        };
        tokio::task::yield_now().await;
        assert!(!more.is_finished());
        let batch = mailbox.take().unwrap();
        assert_eq!(batch.len(), BATCH);
        mailbox.release(batch.iter().map(weight_of).sum());
        assert!(more.await.unwrap());
    }

    #[tokio::test]
    async fn large_messages_pass_one_by_one_and_in_order() {
        let mailbox = Arc::new(Mailbox::default());
        let sender = {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(async move {
                let messages = (0..20).map(|n| message(n, 1024 * 1024)).collect();
                mailbox.deliver(READING, messages).await
            })
        };
        let mut seen = Vec::new();
        while seen.len() < 20 {
            tokio::task::yield_now().await;
            if mailbox.lock().waiting.is_empty() {
                continue;
            }
            let batch = mailbox.take().unwrap();
            assert!(batch.len() <= 4);
            for input in &batch {
                let Input::Delivered { message, .. } = input else { panic!("only messages") };
                seen.push(message.sequence);
            }
            mailbox.release(batch.iter().map(weight_of).sum());
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert!(sender.await.unwrap());
    }

    #[test]
    fn a_flood_of_whispers_is_dropped_and_the_next_one_after_it_is_heard() {
        let mailbox = Mailbox::default();
        for _ in 0..10 * WHISPERS {
            mailbox.overhear(Input::Hinted);
        }
        assert_eq!(mailbox.take().map(|batch| batch.len()), Some(WHISPERS));
        mailbox.overhear(Input::Hinted);
        assert_eq!(mailbox.take().map(|batch| batch.len()), Some(1));
    }

    #[tokio::test]
    async fn a_closed_mailbox_turns_readers_away_and_still_gives_what_it_holds() {
        let mailbox = Mailbox::default();
        mailbox.push(Input::Tick);
        mailbox.close();
        assert!(!mailbox.deliver(READING, vec![message(1, 1)]).await);
        assert_eq!(mailbox.take().map(|batch| batch.len()), Some(1));
        assert!(mailbox.take().is_none());
    }
}
