//! What devices of one account tell each other, as messages ([`crate::wire::content::kind::SYNC`]) in the group that
//! only they are in.
//!
//! Everything here is either a fact that may be told twice, or the latest of its kind wins. Ordered and
//! authenticated by that group.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::certificate::Kind;
use crate::handle::Handle;
use crate::id::{AccountId, DeviceId, GroupId, MessageId};
use crate::time::Timestamp;
use crate::wire::content::{Attachment, GrantedOf, Mention};
use crate::wire::registry::PublicProfile;

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SyncNote {
    /// Other accounts as this account sees them: pins, trust, contacts. Replaces what is known.
    #[serde(rename = "a")]
    Accounts(Vec<SyncAccount>),
    /// Everything up to this sequence of a group was read.
    #[serde(rename = "r")]
    Read {
        /// The group.
        #[serde(rename = "g")]
        group: GroupId,
        /// The sequence.
        #[serde(rename = "s")]
        sequence: u64,
    },
    /// An invitation was accepted (`true`) or declined on another device.
    #[serde(rename = "i")]
    Invitation {
        /// The group.
        #[serde(rename = "g")]
        group: GroupId,
        /// The answer.
        #[serde(rename = "y")]
        accepted: bool,
        /// Epoch of the invitation: a later one is another question.
        #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
        epoch: u64,
    },
    /// The account leaves a group: every device asks to be removed.
    #[serde(rename = "l")]
    Left {
        /// The group.
        #[serde(rename = "g")]
        group: GroupId,
    },
    /// A device got a name.
    #[serde(rename = "n")]
    DeviceName {
        /// The device.
        #[serde(rename = "d")]
        device: DeviceId,
        /// Its name.
        #[serde(rename = "n")]
        name: String,
    },
    /// Who may ask to become a contact, see `RequestPolicy` of `cipher-core`.
    #[serde(rename = "p")]
    RequestPolicy(String),
    /// Whether the account tells others how far it came with what they say, and sees how far they came.
    #[serde(rename = "rc")]
    Receipts(bool),
    /// Messages were shown that are to be forgotten some time after that: each with the time when it is.
    #[serde(rename = "x")]
    Expires {
        /// The group.
        #[serde(rename = "g")]
        group: GroupId,
        /// The messages.
        #[serde(rename = "o")]
        of: Vec<(MessageId, Timestamp)>,
    },
    /// What of a conversation is told to the person.
    #[serde(rename = "m")]
    Muted {
        /// The conversation.
        #[serde(rename = "g")]
        group: GroupId,
        /// Absent for everything.
        #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
        muted: Option<Muted>,
    },
    /// What this account calls a group, for itself.
    #[serde(rename = "c")]
    Called {
        /// The group.
        #[serde(rename = "g")]
        group: GroupId,
        /// Its name here; empty for the one that it has for everybody.
        #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
        name: String,
    },
    /// History for a device that just joined. Others ignore it.
    #[serde(rename = "h")]
    History {
        /// For whom.
        #[serde(rename = "d")]
        device: DeviceId,
        /// Messages, of one group each.
        #[serde(rename = "m")]
        messages: Vec<SyncMessage>,
        /// Messages sent so far, these included.
        #[serde(rename = "n")]
        done: u64,
        /// Messages to be sent in all.
        #[serde(rename = "o")]
        total: u64,
    },
}

/// A conversation of which not every message is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// Until then, by the clock of each device; absent for good.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What names this account is told all the same.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub mentions: bool,
}

/// Another account, as pinned. The log is that of [`crate::account_log::AccountLog`], encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAccount {
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Its handle.
    #[serde(rename = "h")]
    pub handle: Handle,
    /// Person or bot.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// The owner, for bots.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// Its log, as far as it was seen.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub log: Option<ByteBuf>,
    /// Contact state; absent for no contact.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Trust.
    #[serde(rename = "t")]
    pub trust: String,
    /// Its profile, as far as it was seen.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<PublicProfile>,
    /// The person accepted that another account has the handle now: this one is history.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// One message of the history, as its reader stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncMessage {
    /// The conversation.
    #[serde(rename = "g")]
    pub group: GroupId,
    /// Sequence, and the place behind it.
    #[serde(rename = "s")]
    pub place: (u64, u16),
    /// How often the log went back since then: a sequence is used again after that.
    #[serde(rename = "z", default, skip_serializing_if = "is_zero")]
    pub ago: u16,
    /// Its id.
    #[serde(rename = "i")]
    pub id: MessageId,
    /// Who sent it.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// From which device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// Person or bot.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// When, by the sender's clock.
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    /// When the broker stored it, as far as the teller knows.
    #[serde(rename = "bt", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Kind of content or system line.
    #[serde(rename = "c")]
    pub content: String,
    /// The text.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The message it answers.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Whom a system line is about.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<AccountId>,
    /// Bots in a row that led to it.
    #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
    pub hops: u8,
    /// Its author gave it other words, these: where that lies, as [`Self::place`] and [`Self::ago`] say it.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<(u64, u16)>,
    /// Its author took it back: it has no words.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub deleted: bool,
    /// Emoji under it, as many as there is room for.
    #[serde(rename = "re", default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<SyncReaction>,
    /// Files that it names.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// How many seconds after it was read it is to be forgotten.
    #[serde(rename = "ex", default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u64>,
    /// When that is.
    #[serde(rename = "xa", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When its author says that the words it has now were written, if they are other ones.
    #[serde(rename = "ea", default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// The words it had before, the latest first, as many as there is room for.
    #[serde(rename = "ev", default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<SyncEdit>,
    /// The account that took it back, if another one did.
    #[serde(rename = "vb", default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<AccountId>,
    /// The accounts that its text names.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// The message that began the thread in which it stands.
    #[serde(rename = "th", default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
    /// Whether the words are somebody else's, passed on.
    #[serde(rename = "fw", default, skip_serializing_if = "is_zero")]
    pub forwarded: bool,
    /// What was said last of whether it is pinned.
    #[serde(rename = "pi", default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<SyncPin>,
    /// Its answers and who chose which, if it is a poll.
    #[serde(rename = "po", default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<SyncPoll>,
    /// What it was, if its account gave it to this one as a message of before.
    #[serde(rename = "gr", default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<GrantedOf>,
}

/// Words that a message had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncEdit {
    /// Where they lie in the log, as [`SyncMessage::place`] and [`SyncMessage::ago`] say it; `None` for those that it was said
    /// with.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(u64, u16)>,
    /// When their author says that they were written.
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    /// The words.
    #[serde(rename = "x")]
    pub text: String,
}

/// Whether a message is pinned to its conversation, last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPin {
    /// The account that said so.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log, as [`SyncMessage::place`] and [`SyncMessage::ago`] say it.
    #[serde(rename = "p")]
    pub place: (u64, u16),
    /// Whether the pin was taken away.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub removed: bool,
}

/// A poll, and who chose which answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPoll {
    /// The answers.
    #[serde(rename = "o")]
    pub options: Vec<String>,
    /// Whether an account may choose several.
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    pub multiple: bool,
    /// The votes, the latest first, as many as there is room for.
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<SyncVote>,
    /// Where its close lies in the log, as [`SyncMessage::place`] and [`SyncMessage::ago`] say it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<(u64, u16)>,
}

/// What an account chose, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncVote {
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log, as [`SyncMessage::place`] and [`SyncMessage::ago`] say it.
    #[serde(rename = "p")]
    pub place: (u64, u16),
    /// Numbers of the answers.
    #[serde(rename = "c", with = "serde_bytes")]
    pub choices: Vec<u8>,
}

/// What one account said of one emoji under a message, last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReaction {
    /// The emoji.
    #[serde(rename = "x")]
    pub emoji: String,
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log, as [`SyncMessage::place`] and [`SyncMessage::ago`] say it.
    #[serde(rename = "p")]
    pub place: (u64, u16),
    /// Whether it was taken away.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub removed: bool,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
