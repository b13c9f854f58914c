//! News for whoever shows or handles them.

use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::wire::registry::Presence;
use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::view::{EvidenceView, GroupView, JoinRequestView, LinkCompareView, MessageState, MessageView};

/// Something a person or a bot could notice. Sent after the commit that made it true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A message or a system line took its place in a conversation, own ones included.
    Message(Box<MessageView>),
    /// A message that took its place before has other words now, or none.
    Changed(Box<MessageView>),
    /// An own message moved on.
    State {
        /// The conversation.
        group: GroupId,
        /// The message.
        id: MessageId,
        /// Its state now.
        state: MessageState,
    },
    /// A group is new, changed or gone for us (see its state).
    Group(Box<GroupView>),
    /// A device link moved on.
    Link(LinkEvent),
    /// History is arriving on this new device, or leaving for one.
    Progress {
        /// Messages so far.
        done: u64,
        /// Messages in all.
        total: u64,
    },
    /// Somebody asks to join a group, and one of its members must approve.
    JoinRequest(Box<JoinRequestView>),
    /// The registry, or somebody in its place, was caught. To be kept as a file.
    Evidence(Box<EvidenceView>),
    /// What an account lets others see of its presence changed.
    Presence {
        /// Handle, when known, else the account id.
        handle: String,
        /// The account.
        account: AccountId,
        /// Its presence.
        presence: Presence,
    },
    /// Something a person should know, one sentence.
    Warning(String),
    /// Another copy of this profile is in use: this one does nothing any more. The error is what its commands answer from now on,
    /// and how much of what it said could be read by nobody.
    Stopped(CoreError),
    /// The connection to the broker is gone, or is back. Told by whoever runs the core, which has no network.
    Connection {
        /// The servers, without logins.
        server: String,
        /// Why it is gone; `None` when it is back.
        lost: Option<String>,
    },
    /// Whoever listens was too slow, and this many events were dropped: what they told is in the store.
    Missed(u64),
}

/// A step of linking this new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkEvent {
    /// The other side is there: compare.
    Compare(LinkCompareView),
    /// This device is the account's now. Groups and history follow.
    Linked {
        /// The account's handle.
        handle: String,
    },
    /// It ended without success; nothing was changed.
    Failed(CoreError),
}
