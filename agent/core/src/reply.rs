//! Answers to commands.

use cipher_broker::certificate::Owner;
use cipher_broker::handle::Handle;
use serde::{Deserialize, Serialize};

use crate::view::{
    AccountView, BotEventView, ContactView, DeliveredView, DeviceView, EvidenceView, GroupView, HeadView,
    JoinLinkView, JoinRequestView, LinkCodeView, LinkCompareView, MessageView, SafetyNumberView, StatusView,
};

/// What a command gave. Each [`crate::Command`] names its variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The account is registered.
    Registered {
        /// The new account.
        account: Box<AccountView>,
        /// BIP-39 words of the account key, given until [`crate::Command::PhraseShown`]; `None` for bots.
        phrase: Option<String>,
    },
    /// Bytes that a bot's owner must sign.
    BotCertificate(Vec<u8>),
    /// Who would own a bot of this profile.
    OwnerCard {
        /// Account and key.
        owner: Owner,
        /// Handle.
        handle: Handle,
    },
    /// An owner's signature.
    Signature(Vec<u8>),
    /// One account.
    Account(Box<AccountView>),
    /// One contact.
    Contact(Box<ContactView>),
    /// All contacts.
    Contacts(Vec<ContactView>),
    /// One group.
    Group(Box<GroupView>),
    /// All groups.
    Groups(Vec<GroupView>),
    /// One message.
    Message(Box<MessageView>),
    /// Messages, oldest first.
    Messages(Vec<MessageView>),
    /// Devices.
    Devices(Vec<DeviceView>),
    /// One device.
    Device(Box<DeviceView>),
    /// A code for linking this device.
    LinkCode(LinkCodeView),
    /// What to compare.
    LinkCompare(LinkCompareView),
    /// A safety number.
    SafetyNumber(Box<SafetyNumberView>),
    /// A link to a group.
    JoinLink(Box<JoinLinkView>),
    /// Links to a group.
    JoinLinks(Vec<JoinLinkView>),
    /// A request to join waits for an answer.
    JoinPending {
        /// The group.
        group: cipher_broker::id::GroupId,
        /// Whether somebody has it and must approve, as far as is known.
        approval: bool,
    },
    /// Requests to join.
    JoinRequests(Vec<JoinRequestView>),
    /// Evidence, oldest first.
    Evidence(Vec<EvidenceView>),
    /// What is known of the account log.
    Head(Box<HeadView>),
    /// Everything is up to date, or what is not.
    Synced {
        /// Messages received since the command.
        received: u64,
        /// Own messages that came into the log since then, per conversation.
        delivered: Vec<DeliveredView>,
        /// Own messages still waiting.
        queued: u64,
        /// Logs that could not be read to their end, as a person knows them.
        #[serde(default)]
        unread: Vec<String>,
        /// Not one of them: the broker gave nothing.
        #[serde(default)]
        silent: bool,
    },
    /// Everything is up to date as far as the broker can tell.
    Refreshed {
        /// Whether the registry answered what it was asked.
        answered: bool,
    },
    /// Figures.
    Status(Box<StatusView>),
    /// Events a bot has not handled.
    BotEvents(Vec<BotEventView>),
}
