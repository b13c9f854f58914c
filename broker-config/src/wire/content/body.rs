//! The kinds of content. A further kind is a variant here and its name in [`kind`]; `payload.rs` says which fields it
//! travels in.

use serde_bytes::ByteBuf;

use crate::id::MessageId;
use crate::wire::content::{HistoryGrant, Missing, Poll, Receipt};

/// Names of kinds on the wire. They never change.
pub mod kind {
    /// An ordinary message.
    pub const TEXT: &str = "text";
    /// Other words for a message of the same account.
    pub const EDIT: &str = "edit";
    /// A message of the same account is taken back.
    pub const DELETE: &str = "delete";
    /// An emoji under a message.
    pub const REACTION: &str = "reaction";
    /// An emoji under a message is taken away by the account that put it there.
    pub const REACTION_REMOVED: &str = "reaction-removed";
    /// A message is pinned to its conversation.
    pub const PIN: &str = "pin";
    /// A message is not pinned any more.
    pub const UNPIN: &str = "unpin";
    /// A question with answers to choose from.
    pub const POLL: &str = "poll";
    /// What an account chooses of a poll.
    pub const VOTE: &str = "poll-vote";
    /// A poll takes no more votes.
    pub const POLL_CLOSED: &str = "poll-closed";
    /// An account tells a new contact that it accepted; carries no text and is not shown.
    pub const CONTACT_ACCEPTED: &str = "contact-accepted";
    /// Devices of one account keep each other up to date, in the group that only they are in.
    pub const SYNC: &str = "sync";
    /// A member tells the others what a log that went back lost and no author said again.
    pub const MISSING: &str = "missing";
    /// A device tells the others how far it came with what they said; not shown.
    pub const RECEIPT: &str = "receipt";
    /// A member gives another one messages of before it came.
    pub const HISTORY_GRANT: &str = "history-grant";
    /// A message that was given so. Nobody sends it: it is what readers are shown, so no sender may call anything that.
    pub const GRANTED: &str = "granted";
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Words.
    Text(String),
    /// Other words for an earlier message of the same account.
    Edit {
        /// The message.
        of: MessageId,
        /// The words that replace its own; never empty where rules let it count.
        text: String,
    },
    /// An earlier message of the same account is taken back.
    Delete {
        /// The message.
        of: MessageId,
    },
    /// An emoji under an earlier message of anybody.
    Reaction {
        /// The message.
        of: MessageId,
        /// The emoji; what it may be is for the rules to say.
        emoji: String,
        /// Whether it is taken away: once per account and emoji.
        removed: bool,
    },
    /// An earlier message is pinned to the conversation, or not any more.
    Pin {
        /// The message.
        of: MessageId,
        /// Whether the pin is taken away.
        removed: bool,
    },
    /// A question with answers to choose from.
    Poll {
        /// The question.
        question: String,
        /// The answers; sound, see [`Poll::is_sound`].
        poll: Poll,
    },
    /// What an account chooses of a poll, in the place of what it chose before.
    Vote {
        /// The poll.
        of: MessageId,
        /// Numbers of the answers, the first one 0; none takes the vote back. What they may be is for the rules to say.
        choices: Vec<u8>,
    },
    /// A poll takes no more votes.
    PollClosed {
        /// The poll.
        of: MessageId,
    },
    /// See [`kind::CONTACT_ACCEPTED`].
    ContactAccepted,
    /// An encoded [`crate::wire::sync::SyncNote`].
    Sync(Vec<u8>),
    /// See [`kind::MISSING`].
    Missing(Missing),
    /// See [`kind::RECEIPT`].
    Receipt(Receipt),
    /// See [`kind::HISTORY_GRANT`].
    HistoryGrant(HistoryGrant),
    /// A kind that this build does not know, or a known one that lacks what it must carry: kept as it came.
    Unknown {
        /// Name of the kind, the sender's word.
        kind: String,
        /// Its text, if any.
        text: String,
        /// Its bytes, if any.
        data: Option<ByteBuf>,
        /// The message it is about, if any.
        of: Option<MessageId>,
    },
}

impl Body {
    /// Name of its kind on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => kind::TEXT,
            Self::Edit { .. } => kind::EDIT,
            Self::Delete { .. } => kind::DELETE,
            Self::Reaction { removed: false, .. } => kind::REACTION,
            Self::Reaction { removed: true, .. } => kind::REACTION_REMOVED,
            Self::Pin { removed: false, .. } => kind::PIN,
            Self::Pin { removed: true, .. } => kind::UNPIN,
            Self::Poll { .. } => kind::POLL,
            Self::Vote { .. } => kind::VOTE,
            Self::PollClosed { .. } => kind::POLL_CLOSED,
            Self::ContactAccepted => kind::CONTACT_ACCEPTED,
            Self::Sync(_) => kind::SYNC,
            Self::Missing(_) => kind::MISSING,
            Self::Receipt(_) => kind::RECEIPT,
            Self::HistoryGrant(_) => kind::HISTORY_GRANT,
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// Bytes of the text that it carries.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Edit { text, .. } | Self::Unknown { text, .. } => text.len(),
            Self::Reaction { emoji, .. } => emoji.len(),
            Self::Poll { question, poll } => question.len().saturating_add(poll.bytes()),
            Self::Delete { .. }
            | Self::Pin { .. }
            | Self::Vote { .. }
            | Self::PollClosed { .. }
            | Self::ContactAccepted
            | Self::Sync(_)
            | Self::Missing(_)
            | Self::Receipt(_)
            | Self::HistoryGrant(_) => 0,
        }
    }

    /// Whether it names a kind that this build knows and lacks what that kind must carry.
    pub fn is_malformed(&self) -> bool {
        const KNOWN: [&str; 16] = [
            kind::TEXT,
            kind::EDIT,
            kind::DELETE,
            kind::REACTION,
            kind::REACTION_REMOVED,
            kind::PIN,
            kind::UNPIN,
            kind::POLL,
            kind::VOTE,
            kind::POLL_CLOSED,
            kind::CONTACT_ACCEPTED,
            kind::SYNC,
            kind::MISSING,
            kind::RECEIPT,
            kind::HISTORY_GRANT,
            kind::GRANTED,
        ];
        matches!(self, Self::Unknown { kind, .. } if KNOWN.contains(&kind.as_str()))
    }

    /// Whether it has a line of its own where people read: no change of another message, and nothing silent.
    pub const fn has_line(&self) -> bool {
        !self.is_silent() && self.changes().is_none()
    }

    /// The message that it changes, if it changes one.
    pub const fn changes(&self) -> Option<MessageId> {
        match self {
            Self::Edit { of, .. }
            | Self::Delete { of }
            | Self::Reaction { of, .. }
            | Self::Pin { of, .. }
            | Self::Vote { of, .. }
            | Self::PollClosed { of } => Some(*of),
            Self::Text(_)
            | Self::Poll { .. }
            | Self::ContactAccepted
            | Self::Sync(_)
            | Self::Missing(_)
            | Self::Receipt(_)
            | Self::HistoryGrant(_)
            | Self::Unknown { .. } => None,
        }
    }

    /// Whether a device sends it without its person having said anything: it is not shown as said.
    pub const fn is_silent(&self) -> bool {
        match self {
            Self::ContactAccepted
            | Self::Sync(_)
            | Self::Missing(_)
            | Self::Receipt(_)
            | Self::HistoryGrant(_) => true,
            Self::Text(_)
            | Self::Edit { .. }
            | Self::Delete { .. }
            | Self::Reaction { .. }
            | Self::Pin { .. }
            | Self::Poll { .. }
            | Self::Vote { .. }
            | Self::PollClosed { .. }
            | Self::Unknown { .. } => false,
        }
    }
}
