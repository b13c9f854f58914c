//! What the core wants done. Effects leave [`crate::Core::handle`] only after the commit that explains them; a
//! row in the store stands behind each, so losing one only means that [`crate::Core::resume`] or a timer repeats
//! it.

use cipher_api::{Cursor, Error, Event, Reply};
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::input::{Publish, QuestionId, Reading, Ticket};
use crate::state::Mark;

/// One thing to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Publish and report with [`crate::Input::Published`]. In the given order per route.
    Publish(Publish),
    /// Ask the registry and report with [`crate::Input::Answered`].
    Ask {
        /// Comes back with the answer.
        question: QuestionId,
        /// Name of the operation: the last token of the subject.
        operation: &'static str,
        /// The signed request.
        bytes: Vec<u8>,
    },
    /// Read a log from just behind `after`, and keep reading as it grows, until [`Effect::Unfollow`]. A second
    /// `Follow` of the same source starts over at its `after`.
    Follow {
        /// Which log.
        source: Source,
        /// Comes back with what is read.
        reading: Reading,
        /// Sequence of the last message not wanted.
        after: u64,
        /// What must lie at `after`; when it does not, nothing is read and [`crate::Input::Displaced`] says so.
        mark: Option<Mark>,
    },
    /// The log holds at least `sequence`: read up to there even if no doorbell rang.
    Fetch {
        /// Which log.
        source: Source,
        /// Sequence that is known to exist; 0 to just look.
        sequence: u64,
    },
    /// What was read of a log last was of no use. Reading it a little later costs nobody anything, and several
    /// messages at once cost less.
    Junk {
        /// Which log.
        source: Source,
    },
    /// Stop reading a log.
    Unfollow {
        /// Which log.
        source: Source,
    },
    /// Fetch the sealed ratchet tree of an epoch and report with [`crate::Input::TreeFetched`].
    FetchTree {
        /// The group.
        group: GroupId,
        /// The epoch.
        epoch: u64,
        /// Number of pieces.
        pieces: u32,
        /// SHA-256 of each piece, in order: what else lies on their subjects is passed over. Empty when they are not
        /// known; the last message of each subject is taken then.
        hashes: Vec<[u8; 32]>,
    },
    /// Publish on the ephemeral subject of a group, if it can be done at once. Nothing comes back.
    Whisper {
        /// The group.
        group: GroupId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Tell whoever shows or handles it.
    Notify {
        /// Its place among the events that are kept; `None` for one that is of use only to who listens now.
        cursor: Option<Cursor>,
        /// What took place.
        event: Event,
    },
    /// Answer a command.
    Reply {
        /// Whose.
        ticket: Ticket,
        /// The answer.
        result: Result<Reply, Error>,
    },
    /// Send [`crate::Input::Tick`] at this time or soon after. Replaces an earlier wish.
    WakeAt(Timestamp),
}
