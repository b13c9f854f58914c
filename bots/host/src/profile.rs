//! What a host needs of the profile of its bot.

use std::collections::BTreeSet;
use std::future::Future;

use cipher_bot::action::Answer;
use cipher_bot::event::{Conversation, Event, EventId};
use cipher_broker::id::GroupId;

use crate::not_handled::NotHandled;

/// A bot's account, its conversations and what it remembers of them. Cheap to clone.
pub trait BotProfile: Clone + Send + Sync + 'static {
    /// Why it did not do something.
    type Error: ProfileError;
    /// What tells that something may wait.
    type Wakeups: Wakeups;

    /// What waits in conversations that are not busy: the conversation whose turn it is first, the events of each in
    /// order, at most `limit` in all. Looking handles nothing: it is given again until it was handled.
    fn waiting(
        &self,
        limit: usize,
        busy: &BTreeSet<GroupId>,
    ) -> impl Future<Output = Result<Vec<Waiting>, Self::Error>> + Send;

    /// Saves an outcome in one step: the event does not wait any more, its conversation's turn is over, the memory is
    /// kept, the messages are sent. A repeat changes nothing. Files are brought to the broker before that; a final
    /// error says that one of them, or one of the messages, can never be sent.
    fn handled(&self, handled: Handled) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Tells the members of a conversation that the bot is at work, if they may know; nobody waits for that.
    fn types(&self, conversation: &GroupId);

    /// Wakeups from now on.
    fn wakeups(&self) -> Self::Wakeups;

    /// Tells the owner of the bot.
    fn tell(&self, notice: Notice);
}

/// Tells that something may wait that did not wait before.
pub trait Wakeups: Send {
    /// Waits for the next one; false when there will be none any more. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = bool> + Send;

    /// Whether there was one more already.
    fn now(&mut self) -> bool;
}

/// An error of a profile.
pub trait ProfileError: std::error::Error + Send + 'static {
    /// Whether the same may be done later.
    fn may_pass(&self) -> bool;

    /// Whether what was asked for is wrong in itself, so that it can never be done: a full outbox or disk is not that.
    fn is_final(&self) -> bool;

    /// Its class, for logs.
    fn class(&self) -> &'static str;
}

/// An event that the bot has not handled, and what it remembered of the conversation by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The event.
    pub event: Event,
    /// The memory; empty before the first outcome.
    pub memory: Vec<u8>,
}

/// What an event led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The event.
    pub event: EventId,
    /// What the bot says, in order.
    pub say: Vec<Answer>,
    /// Its memory from now on; `None` leaves it.
    pub memory: Option<Vec<u8>>,
}

/// Something the owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The bot gave as many answers in a conversation as it may within a minute: what is asked there gets none until
    /// the minute is over.
    HeldBack {
        /// Where.
        conversation: Conversation,
    },
    /// An event was given up: it does not wait any more, and has no answer.
    GaveUp {
        /// The event.
        event: EventId,
        /// Why. May hold what people wrote, so it belongs on the owner's screen and in no log.
        why: NotHandled,
    },
}
