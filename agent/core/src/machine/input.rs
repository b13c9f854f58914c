//! Everything that can happen to the core, as facts in the past tense.

use std::time::Duration;

use cipher_api::Command;
use cipher_broker::id::{GroupId, PublishId};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Names a command until its [`crate::Effect::Reply`]. Chosen by the caller, unique among open ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// Names one publish until its [`Input::Published`]. A retry has a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutboxId(pub u64);

/// Names one question to the registry. Stable across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionId(pub u64);

/// Names one reading of a log, from its [`crate::Effect::Follow`] to the next one of that log or its
/// [`crate::Effect::Unfollow`]. What an earlier reading still brings says nothing about the one that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reading(pub u64);

/// One fact. [`crate::Core::handle`] takes a batch of them and commits them together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// Somebody wants something.
    Command {
        /// Comes back with the reply.
        ticket: Ticket,
        /// What is wanted.
        command: Box<Command>,
    },
    /// The broker can be reached. Repeated after every reconnect.
    Connected(Interest),
    /// The broker cannot be reached; queued work waits.
    Disconnected,
    /// A stored message, in the order of its log. Repeats are fine: the core knows its own position.
    Delivered {
        /// Who brings it.
        reading: Reading,
        /// The message.
        message: Delivered,
    },
    /// The reader of a log reached its end: everything up to `sequence` (of the stream) was delivered.
    CaughtUp {
        /// Who reached it.
        reading: Reading,
        /// Which log.
        source: Source,
        /// Highest sequence known to be covered; 0 when the log is empty.
        sequence: u64,
    },
    /// A log does not show the entry behind which it was to be read. Its reader waits for a [`crate::Effect::Follow`].
    Displaced(Displaced),
    /// What became of a [`crate::Effect::Publish`].
    Published {
        /// The publish.
        row: OutboxId,
        /// The outcome.
        outcome: PublishOutcome,
    },
    /// What became of a [`crate::Effect::Ask`].
    Answered {
        /// The question.
        question: QuestionId,
        /// The reply's bytes, or that none came.
        outcome: Result<Vec<u8>, NoReply>,
    },
    /// The pieces of a sealed ratchet tree, all or `None` if any is missing yet.
    TreeFetched {
        /// The group.
        group: GroupId,
        /// The epoch.
        epoch: u64,
        /// Envelopes as stored, in order.
        pieces: Option<Vec<Vec<u8>>>,
    },
    /// A whisper on the ephemeral subject of a group. Nothing in it is trusted.
    Whispered {
        /// The group.
        group: GroupId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The registry hints that there is something to look at: the stock of key packages, the own account.
    Hinted,
    /// Time passed; see [`crate::Effect::WakeAt`].
    Tick,
}

/// What the process that just connected is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Follow the inbox and every group: whoever shows messages or hosts bots.
    Everything,
    /// Deliver what is queued, and read only what that needs: a one-shot `send`.
    Outbox,
}

/// One stored message as the broker delivered it. Nothing in it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it lay.
    pub route: Route,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the broker stored it, by the broker's clock: the same for every reader, and the broker's word alone.
    pub at: Timestamp,
    /// The stored bytes.
    pub bytes: Vec<u8>,
}

/// A log is not as it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Displaced {
    /// Who looked.
    pub reading: Reading,
    /// Which log.
    pub source: Source,
    /// Sequence of the entry that was looked for.
    pub after: u64,
    /// Another entry of this log lies there; `false` when none does.
    pub another: bool,
    /// Where the stream stands, if anybody could tell.
    pub stream: Option<StreamState>,
}

/// Where a stream stands, by the broker's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// Its last sequence.
    pub last: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// How long it keeps entries; zero is for ever.
    pub max_age: Option<Duration>,
    /// Until when its operator let go of what it held, to make room.
    pub let_go: Option<Timestamp>,
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Stored.
    Stored {
        /// Sequence in the stream.
        sequence: u64,
        /// The broker says it had this publish id already: the sequence may be another's.
        duplicate: bool,
    },
    /// Refused by compare-and-set (10071, 10164): nothing was stored by *this* attempt.
    Conflict {
        /// Last sequence of the compared subject, when the broker told it.
        last: Option<u64>,
    },
    /// No acknowledgement, or a passing fault. It may be stored or not.
    Unknown,
    /// The broker will never take it (too large, no permission).
    Refused,
}

/// Nobody answered a question in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReply;

/// Compare-and-set of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Whose last sequence is compared.
    pub route: Route,
    /// It must be this; 0 for "no message yet".
    pub sequence: u64,
}

/// One publish, complete: the same row always gives the same bytes until it is re-sealed under a new id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Comes back with the outcome.
    pub row: OutboxId,
    /// Where to.
    pub route: Route,
    /// `Nats-Msg-Id`.
    pub publish_id: PublishId,
    /// Compare-and-set, if any.
    pub expect: Option<Expect>,
    /// The bytes.
    pub bytes: Vec<u8>,
}
