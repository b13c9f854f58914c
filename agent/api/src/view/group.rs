//! Groups and direct conversations.

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Trust;
use crate::encoding::{Time, maybe_time, time};

/// A group or a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupView {
    /// Random, the same for all members.
    pub id: GroupId,
    /// What it is called here; for a direct conversation the other's `@handle`.
    pub name: String,
    /// MLS epoch (RFC 9420 §8).
    pub epoch: u64,
    /// The accounts in it. Of an invitation in a list the first few.
    pub members: Vec<MemberView>,
    /// Number of accounts in it.
    #[serde(default)]
    pub accounts: usize,
    /// Whether it is a direct conversation.
    pub direct: bool,
    /// Number of messages not read yet.
    pub unread: u64,
    /// How many of those name this account.
    #[serde(default)]
    pub mentions: u64,
    /// This account's part in it.
    pub state: GroupState,
    /// The account that invited this one, until it is answered.
    pub invited_by: Option<Handle>,
    /// Cipher suite (RFC 9420 §17.1).
    pub suite: u16,
    /// Code that all members share in this epoch: equal on both sides means the same world.
    pub authenticator: String,
    /// Accounts that no member may add: handles, when known, else account ids.
    #[serde(default)]
    pub banned: Vec<String>,
    /// Number of links by which it can be joined, ended ones too until the next is made.
    #[serde(default)]
    pub links: usize,
    /// This device lost its place and asks to come back; what is sent meanwhile waits.
    #[serde(default)]
    pub recovering: Option<RecoveringView>,
    /// What it wants of what is said in it.
    #[serde(default)]
    pub settings: SettingsView,
    /// Not every message is told to the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<MutedView>,
}

/// What a group wants of what is said in it; `group.set` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsView {
    /// What it is about; empty for nothing.
    pub topic: String,
    /// Who may take back what others said.
    pub delete: WhoMay,
    /// Who may pin messages.
    pub pin: WhoMay,
    /// How long after it was said a message may be given other words, in seconds; `null` for always.
    pub edit_seconds: Option<u32>,
    /// For how many seconds after it was read a message is kept at most; `null` where its author alone decides.
    #[serde(default)]
    pub expire_seconds: Option<u32>,
    /// For how many seconds after it was said a message is kept at most, read or not; `null` for ever.
    #[serde(default)]
    pub retention_seconds: Option<u32>,
    /// Who may give a member messages of before it came.
    #[serde(default)]
    pub history: WhoMay,
}

impl Default for SettingsView {
    fn default() -> Self {
        Self {
            topic: String::new(),
            delete: WhoMay::Nobody,
            pin: WhoMay::All,
            edit_seconds: None,
            expire_seconds: None,
            retention_seconds: None,
            history: WhoMay::Nobody,
        }
    }
}

/// The members that may do something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhoMay {
    /// No member.
    #[default]
    Nobody,
    /// Owners.
    Owners,
    /// Admins and owners.
    Admins,
    /// Every member.
    All,
    /// Members that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

impl WhoMay {
    /// The name that scripts see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Owners => "owners",
            Self::Admins => "admins",
            Self::All => "all",
            Self::Unknown => "unknown",
        }
    }
}

/// What of a conversation is not told to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MutedView {
    /// Until when; `null` for good.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub until: Option<Timestamp>,
    /// What names this account is told all the same.
    #[serde(default)]
    pub mentions: bool,
}

/// This account's part in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupState {
    /// Invited, not answered.
    Invited,
    /// A member.
    Active,
    /// Asked to be removed; no member has done it yet.
    Leaving,
    /// Left by own wish.
    Left,
    /// Removed by a member.
    Removed,
    /// Of a backup that was restored: a member of then has not let this device in yet.
    Restored,
    /// In stores of before: could not follow. Such a group is active and recovering now.
    Stuck,
    /// A part that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// One account in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// What it may do there.
    pub role: Role,
    /// Person or bot.
    pub kind: Kind,
    /// Number of its devices in the group.
    pub devices: usize,
    /// Handle of a bot's owner, when known, else its account id.
    pub owner: Option<String>,
    /// What is known of its key; `null` for the own account and for one that was never looked up.
    pub trust: Option<Trust>,
    /// What a person should know of its name: it looks like that of another account.
    pub warning: Option<String>,
}

/// That and why this device cannot follow a conversation, until it is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveringView {
    /// What happened.
    pub why: RecoveringWhy,
    /// When it was noticed, by the own clock.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub since: Timestamp,
    /// How often the others were asked to let it back in.
    pub asked: u32,
    /// A member that says that this device is no member any more.
    #[serde(default)]
    pub denied: Option<DeniedView>,
    /// An account that would let it back in and that it did not know as a member: the person accepts or declines.
    #[serde(default)]
    pub offered: Option<OfferedView>,
    /// The person declined the last offer: the others are asked again an hour later.
    #[serde(default)]
    pub declined: bool,
}

/// Why a device lost its place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveringWhy {
    /// The log does not hold what was to be read next.
    Gap,
    /// A change of the group that this device cannot use.
    UnusableCommit,
    /// Its own change is in the log, and it does not have it any more.
    OwnCommit,
    /// It was used twice.
    Doubled,
    /// The broker lost what it had stored.
    LogWentBack,
    /// Another copy of it took its place.
    Replaced,
    /// What it has stored of the conversation is damaged.
    Damaged,
    /// A reason that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

impl RecoveringWhy {
    /// The name that scripts see in `"why"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::UnusableCommit => "unusable-commit",
            Self::OwnCommit => "own-commit",
            Self::Doubled => "doubled",
            Self::LogWentBack => "log-went-back",
            Self::Replaced => "replaced",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        }
    }
}

/// A place in a group, offered by an account that was not in it when this device last followed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedView {
    /// The account that offers it.
    pub account_id: AccountId,
    /// Its handle; its id where that is not known.
    pub handle: String,
    /// When it came, by the own clock.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

/// A member's word that this device is in a group no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeniedView {
    /// The account whose word it is.
    pub account_id: AccountId,
    /// Its handle; its id where that is not known.
    pub handle: String,
    /// When it came, by the own clock.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// Whether this device stopped asking by itself.
    pub over: bool,
}
