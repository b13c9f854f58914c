//! What a person, a script or a bot may ask for. The same commands come from the CLI, over the control socket
//! and from the bot host.

use cipher_broker::answer::BotSay;
use cipher_broker::certificate::Owner;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::wire::group::Role;
use cipher_broker::wire::registry::Presence;
use serde::{Deserialize, Serialize};

use crate::view::{HistoryPolicy, RequestPolicy};

/// A request to the core. Every one gets exactly one [`crate::Effect::Reply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Command {
    /// Makes the account and its first device, and registers both. Reply: `Registered`. Repeated under the same handle it
    /// gives the same, until [`Command::PhraseShown`].
    Register {
        /// Handle to claim.
        handle: Handle,
        /// Display name.
        name: String,
        /// Present for bots: made with [`Command::PrepareBot`] and the owner's [`Command::SignBot`].
        bot: Option<BotOwnership>,
        /// What the registry's operator gave to newcomers, if it asks for a code.
        invite_code: Option<String>,
    },
    /// A person has the recovery phrase on the screen: it is not given out again. Reply: `Done`.
    PhraseShown,
    /// First half of registering a bot, in the bot's profile: makes its keys. Reply: `BotCertificate` with the
    /// bytes its owner must sign. Repeating it gives the same bytes.
    PrepareBot {
        /// The owner, from its [`Command::OwnerCard`].
        owner: Owner,
    },
    /// Who would own a bot of this profile. Reply: `OwnerCard`.
    OwnerCard,
    /// Second half, in the owner's profile: countersigns a bot's certificate. Reply: `Signature`.
    SignBot {
        /// What [`Command::PrepareBot`] gave.
        certificate: Vec<u8>,
    },

    /// The own account. Reply: `Account`.
    Whoami,
    /// Changes the own profile; `None` leaves a field as it is. Reply: `Account`.
    SetProfile {
        /// Display name.
        name: Option<String>,
        /// Status text.
        status: Option<String>,
        /// Presence.
        presence: Option<Presence>,
    },
    /// Somebody's profile, from the registry. Reply: `Account`.
    ShowProfile {
        /// Whose.
        handle: Handle,
    },
    /// Who may ask to become a contact. Reply: `Done`.
    SetRequestPolicy(RequestPolicy),
    /// The person is here: presence is not away for a while. Reply: `Done`.
    Active,
    /// Devices of the own account, revoked ones too. Reply: `Devices`.
    Devices,
    /// In a fresh profile: begins to link it to an account. Reply: `LinkCode`, at once; what follows is told by
    /// [`crate::Event::Link`]. Repeating it while the code is good gives the same code.
    DeviceLink {
        /// What this machine calls itself; only own devices see it.
        name: String,
    },
    /// On a device of the account: finds the new one by its code. Reply: `LinkCompare`, when both sides can show
    /// the string.
    DeviceApprove {
        /// The code, or the URI.
        code: String,
        /// What the new device gets of the past.
        history: HistoryPolicy,
    },
    /// The person compared the strings of [`Command::DeviceApprove`]. Reply: `Device`, when the registry has the
    /// new device; `Done` when they differ: nothing was changed then.
    DeviceConfirm {
        /// The code.
        code: String,
        /// Whether they are equal.
        equal: bool,
    },
    /// Gives a device of the account a name. Reply: `Device`.
    DeviceRename {
        /// Its id, the beginning of it, or its name.
        device: String,
        /// The new name.
        name: String,
    },
    /// A device is not the account's any more: signed, told to the registry, removed from every group.
    /// Reply: `Device`, when the registry has it; the groups follow as soon as a member is online.
    DeviceRevoke {
        /// Its id, the beginning of it, or its name.
        device: String,
    },
    /// A copy of a profile that stopped for another one goes on, and the other one stops. Reply: `Done`.
    DeviceResume,
    /// In a fresh profile, without any other device: takes the account over from the recovery phrase. Every
    /// other device is revoked. Reply: `Account`.
    DeviceRecover {
        /// BIP-39 words.
        phrase: String,
        /// What this machine calls itself.
        name: String,
    },

    /// Asks an account to become a contact: a direct conversation it may accept. Reply: `Contact`.
    ContactAdd {
        /// Whom.
        handle: Handle,
        /// First words, read once the other side says yes.
        text: Option<String>,
    },
    /// All contacts. Reply: `Contacts`.
    Contacts,
    /// Accepts a contact's request and its direct conversation. Reply: `Contact`.
    ContactAccept {
        /// Whose.
        handle: Handle,
    },

    /// Declines a contact's request; it may ask again. Reply: `Contact` is gone: `Done`.
    ContactDecline {
        /// Whose.
        handle: Handle,
    },
    /// Ends an acquaintance: the direct conversation is left, its history stays. Reply: `Done`.
    ContactRemove {
        /// Whom.
        handle: Handle,
    },
    /// Wants nothing of an account any more: its messages are hidden everywhere, its requests and invitations
    /// dropped. Reply: `Contact`.
    ContactBlock {
        /// Whom.
        who: Who,
    },
    /// Lifts a block. What was hidden is shown again. Reply: `Contact`, or `Done` for who never was one.
    ContactUnblock {
        /// Whom.
        who: Who,
    },
    /// The safety number with an account; with the other side's number or URI, compares and verifies.
    /// Reply: `SafetyNumber`. `ErrorKind::Trust` when they differ.
    ContactVerify {
        /// With whom.
        handle: Handle,
        /// What the other side shows.
        code: Option<String>,
    },
    /// Accepts that a handle maps to another account than when it was first seen. Reply: `Contact`.
    ContactTrust {
        /// Whose.
        handle: Handle,
    },

    /// Makes a group, with members if any are named. Reply: `Group`.
    GroupCreate {
        /// Its name.
        name: String,
        /// First members.
        with: Vec<Handle>,
        /// Post-quantum suite 0x004F instead of 0x0003.
        post_quantum: bool,
    },
    /// All groups and waiting invitations. Reply: `Groups`.
    Groups,
    /// One group. Reply: `Group`.
    GroupShow {
        /// Which.
        target: Target,
    },
    /// Joins a group one was invited to. Reply: `Group`.
    GroupAccept {
        /// Which.
        target: Target,
    },
    /// Drops an invitation. Reply: `Done`.
    GroupDecline {
        /// Which.
        target: Target,
    },
    /// Adds accounts. Reply: `Group`, once the commit is in the log.
    GroupAdd {
        /// Which group.
        target: Target,
        /// Whom.
        handles: Vec<Handle>,
    },
    /// Removes accounts. Reply: `Group`, once the commit is in the log.
    GroupRemove {
        /// Which group.
        target: Target,
        /// Whom.
        who: Vec<Who>,
    },
    /// Renames a group. Reply: `Group`, once the commit is in the log.
    GroupRename {
        /// Which group.
        target: Target,
        /// The new name.
        name: String,
    },
    /// Gives a group a name of one's own, on this device only. Reply: `Group`.
    GroupAlias {
        /// Which group.
        target: Target,
        /// What it is called here; empty: its own name again.
        name: String,
    },
    /// Gives a member a role. Reply: `Group`, once the commit is in the log.
    GroupRole {
        /// Which group.
        target: Target,
        /// Whom.
        who: Who,
        /// The role.
        role: Role,
    },
    /// Leaves a group. Reply: `Done`, once the request to be removed is in the log.
    GroupLeave {
        /// Which group.
        target: Target,
    },

    /// Makes a link by which a group can be joined. Reply: `JoinLink`, once the commit is in the log.
    GroupInvite {
        /// Which group.
        target: Target,
        /// Seconds until it ends.
        lifetime: u64,
        /// How many may join by it; `None` is no bound.
        uses: Option<u32>,
        /// Whether a member approves each request.
        approval: bool,
    },
    /// The links of a group. Reply: `JoinLinks`.
    GroupInvites {
        /// Which group.
        target: Target,
    },
    /// Revokes a link. Reply: `Done`, once the commit is in the log.
    GroupInviteRevoke {
        /// Which group.
        target: Target,
        /// Its id, or the link.
        link: String,
    },
    /// Asks to join a group by a link. Reply: `Group` once in it; `JoinPending` when nobody answered for a while
    /// or somebody has to approve: the group appears by itself later.
    Join {
        /// The link.
        link: String,
    },
    /// Who waits to be let into a group. Reply: `JoinRequests`.
    GroupRequests {
        /// Which group; all when `None`.
        target: Option<Target>,
    },
    /// Lets somebody in, or not. Reply: `Group`, once the commit is in the log; `Done` for a no.
    GroupRequestAnswer {
        /// Which group.
        target: Target,
        /// Whom: handle or account id.
        account: String,
        /// Whether.
        accept: bool,
    },
    /// Removes accounts and keeps them out. Reply: `Group`, once the commit is in the log.
    GroupBan {
        /// Which group.
        target: Target,
        /// Whom.
        who: Vec<Who>,
        /// Lifts the ban instead.
        lift: bool,
    },

    /// What was found against the registry and not acknowledged yet, oldest first. Reply: `Evidence`.
    Evidence,
    /// Takes note of all of that: it is told no more, unless it happens again. Reply: `Done`.
    AcknowledgeEvidence,
    /// What is known of the account log. Reply: `Head`.
    Head,

    /// Says something. Reply: `Message`, when the broker stored it, or at once as queued when it is offline.
    Send {
        /// Where.
        target: Target,
        /// What.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
    },
    /// Gives an own message other words. Reply: `Message`, once they are in the log, or at once as queued when the
    /// broker is away.
    Edit {
        /// The message.
        message: MessageRef,
        /// The words.
        text: String,
    },
    /// Takes an own message back for everybody; or lets go of the words of any message on this device only. Reply:
    /// `Message`, as for `Edit`.
    Delete {
        /// The message.
        message: MessageRef,
        /// On this device only.
        local: bool,
    },
    /// Stored messages of a conversation, oldest first. Reply: `Messages`.
    Read {
        /// Which.
        target: Target,
        /// At most this many, the latest; all when `None`.
        last: Option<usize>,
        /// Marks them, and no others, as read.
        mark: bool,
    },
    /// These messages were shown to the person: they, and no others, are read. Reply: `Done`.
    Shown {
        /// The conversation.
        group: GroupId,
        /// Their ids.
        ids: Vec<MessageId>,
    },
    /// Brings everything up to date and delivers everything queued. Reply: `Synced`.
    Sync,
    /// The same for somebody who wants to look: does not insist on a registry that says nothing for a while. What was
    /// asked of it goes on. Reply: `Refreshed`.
    Refresh,
    /// Figures about the own state. Reply: `Status`.
    Status,

    /// What a bot has not handled yet: in order within a conversation, and the conversation first whose turn it is.
    /// Reply: `BotEvents`.
    BotEvents {
        /// Name of the bot: its cursors and memory are its own.
        bot: String,
        /// At most this many, shared out evenly among the conversations that wait.
        limit: usize,
        /// Conversations that are being worked on: nothing of them is given.
        #[serde(default)]
        busy: Vec<GroupId>,
    },
    /// A bot handled an event. Cursor, memory and messages commit together; a repeat changes nothing.
    /// Reply: `Done`.
    BotHandled {
        /// Name of the bot.
        bot: String,
        /// Conversation of the event.
        group: GroupId,
        /// Position of the event.
        position: u64,
        /// Its place among the lines of that position.
        place: u16,
        /// What it says, in order; the salts make each message's id repeatable.
        say: Vec<BotSay>,
        /// Its memory for this conversation from now on; `None` leaves it.
        memory: Option<Vec<u8>>,
    },
}

/// How people name a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// Its id, whole or a beginning of [`MessageId::PREFIX_CHARS`] characters or more.
    pub id: String,
    /// The conversation; all of them when `None`.
    pub within: Option<Target>,
}

/// The owner's word on a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotOwnership {
    /// The owner.
    pub owner: Owner,
    /// Handle of the owner: its invitations are accepted.
    pub handle: Handle,
    /// Signature of the owner's account key over the bot's certificate, 64 bytes.
    pub signature: Vec<u8>,
}

/// How people name an account: one that no registry shows has an id and no handle, and can be put out all the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// By its handle.
    Handle(Handle),
    /// By its id, which is longer than any handle.
    Account(AccountId),
}

impl From<Handle> for Who {
    fn from(handle: Handle) -> Self {
        Self::Handle(handle)
    }
}

impl std::str::FromStr for Who {
    type Err = cipher_broker::handle::InvalidHandle;

    /// Reads a handle, with or without `@`, or an account id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = || text.strip_prefix('@').unwrap_or(text).parse().ok().map(Self::Account);
        text.parse().map(Self::Handle).or_else(|invalid| id().ok_or(invalid))
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Handle(handle) => write!(f, "@{handle}"),
            Self::Account(account) => write!(f, "{account}"),
        }
    }
}

/// How people name a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// `@handle`: the direct conversation with an account.
    Account(Handle),
    /// A group id.
    Group(GroupId),
    /// A group name; must be unambiguous.
    Name(String),
}

impl Target {
    /// Reads `@handle`, a group id, or else a name.
    pub fn parse(text: &str) -> Result<Self, cipher_broker::handle::InvalidHandle> {
        if text.starts_with('@') {
            return text.parse().map(Self::Account);
        }
        Ok(text.parse().map_or_else(|_| Self::Name(text.into()), Self::Group))
    }
}
