//! News: what took place, told after the commit that made it true.

use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::wire::registry::Presence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::notice::Notice;
use crate::view::{EvidenceView, GroupView, JoinRequestView, LinkCompareView, MessageState, MessageView};

/// Something that a person or a bot could notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// An own message moved on.
    State {
        /// The conversation.
        group: GroupId,
        /// The message.
        id: MessageId,
        /// Its state now.
        state: MessageState,
    },
    /// A message that took its place before has other words now, or none, or other emoji under it.
    Changed {
        /// The message as it is now.
        message: Box<MessageView>,
    },
    /// A group is new, changed or gone for this account; its state says which.
    Group(Box<GroupView>),
    /// A device link moved on.
    Link {
        /// The step.
        step: LinkEvent,
    },
    /// History is arriving on this new device, or leaving for one.
    Progress {
        /// Messages so far.
        done: u64,
        /// Messages in all.
        total: u64,
    },
    /// An account asks to join a group, and one of its members must approve.
    JoinRequest(Box<JoinRequestView>),
    /// The registry, or a machine in its place, was caught. To be kept as a file.
    Evidence(Box<EvidenceView>),
    /// What an account lets others see of its presence changed.
    Presence {
        /// Handle, when known, else the account id.
        handle: String,
        /// The account.
        #[serde(rename = "account_id")]
        account: AccountId,
        /// Its presence.
        presence: Presence,
    },
    /// A member is writing something, or is not any more. It is told while somebody listens, and never kept.
    Typing {
        /// The conversation.
        group: GroupId,
        /// Handle, when known, else the account id.
        handle: String,
        /// The account.
        #[serde(rename = "account_id")]
        account: AccountId,
        /// Whether it is.
        typing: bool,
    },
    /// Something that a person should know.
    Warning {
        /// What.
        notice: Notice,
    },
    /// Another copy of this profile is in use: this one does nothing any more.
    Stopped {
        /// What requests answer from now on, and how much of what was said here could be read by no member.
        error: Error,
    },
    /// The connection to the broker is gone, or is back. Told by the process that runs the core, which has no network.
    Connection {
        /// The servers, without logins.
        server: String,
        /// Why it is gone; `null` when it is back.
        lost: Option<String>,
    },
    /// The listener was too slow, or was away too long, and events were dropped: what they told is in the store.
    Missed {
        /// Number of events, as far as it is known.
        count: u64,
    },
    /// A message or an observation took its place in a conversation, own messages included. In JSON its `type` is that of
    /// the view: `message` for what a member said, `event` for what this agent observed.
    #[serde(untagged)]
    Message(Box<MessageView>),
    /// Something that this version does not know: a newer peer said it.
    #[serde(untagged)]
    Unknown(UnknownEvent),
}

impl Event {
    /// A message has other words now, or none: it comes again, and that is no news to tell the person of (R-NOTIFY-03).
    pub fn changed(mut message: Box<MessageView>) -> Self {
        message.notify = false;
        Self::Changed { message }
    }

    /// The conversation that it is about; `None`: an account, this device or the connection. What a program that is limited to
    /// some conversations hears is decided by it, so it has no wildcard.
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::Message(message) | Self::Changed { message } => Some(message.group),
            Self::State { group, .. } | Self::Typing { group, .. } => Some(*group),
            Self::Group(group) => Some(group.id),
            Self::JoinRequest(request) => Some(request.group),
            Self::Link { .. }
            | Self::Progress { .. }
            | Self::Evidence(_)
            | Self::Presence { .. }
            | Self::Warning { .. }
            | Self::Stopped { .. }
            | Self::Connection { .. }
            | Self::Missed { .. }
            | Self::Unknown(_) => None,
        }
    }
}

/// An event of which only the name can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownEvent {
    /// What the peer calls it.
    #[serde(rename = "type")]
    pub name: String,
}

/// A step of linking this new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LinkEvent {
    /// The other side is there: compare.
    Compare(LinkCompareView),
    /// This device is the account's now. Groups and history follow.
    Linked {
        /// The account's handle.
        handle: String,
    },
    /// It ended without success; nothing was changed.
    Failed {
        /// Why.
        error: Error,
    },
    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}
