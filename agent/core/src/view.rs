//! What is shown: plain data with the field names that scripts rely on (`--json`).

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::registry::Presence;
use serde::{Deserialize, Serialize};

/// An account, own or other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its handle.
    pub handle: Handle,
    /// Its id.
    pub account_id: AccountId,
    /// Own account: this device. Others: none.
    pub device_id: Option<DeviceId>,
    /// Person or bot.
    pub kind: Kind,
    /// Handle of a bot's owner, when known, else its account id.
    pub owner: Option<String>,
    /// Display name.
    pub name: String,
    /// Status text.
    pub status: String,
    /// Presence. Own account: as chosen. Others: what they whisper to shared groups, `offline` when nothing is heard;
    /// their profile's word while this agent is not listening.
    pub presence: Presence,
    /// What is known of its key; `None` for the own account.
    pub trust: Option<Trust>,
    /// What a person should know of its name: it looks like that of somebody else.
    pub warning: Option<String>,
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// Its handle.
    pub handle: Handle,
    /// Its account.
    pub account_id: AccountId,
    /// Display name; empty for who is blocked.
    pub name: String,
    /// Status text; empty for who is blocked.
    #[serde(default)]
    pub status: String,
    /// Presence: what it whispers to shared groups, `offline` when nothing is heard of it; its profile's word while
    /// this agent is not listening.
    #[serde(default)]
    pub presence: Presence,
    /// How far the acquaintance is.
    pub state: ContactState,
    /// What is known of its key.
    pub trust: Trust,
    /// Number of its devices.
    pub devices: usize,
    /// Who asks to be one: its first words, if it said any; they are its own.
    #[serde(default)]
    pub text: Option<String>,
    /// What a person should know of its name: it looks like that of somebody else.
    pub warning: Option<String>,
}

/// Who may ask to become a contact: requests and invitations of everybody else are dropped unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestPolicy {
    /// Nobody: only contacts, and members of shared groups that are contacts, reach this account.
    Contacts,
    /// Accounts that the own registry knows.
    #[default]
    Deployment,
    /// Everybody, accounts whose handle cannot be looked up too.
    Anyone,
}

/// What a new device of the own account gets of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryPolicy {
    /// Everything that this device has.
    #[default]
    All,
    /// Nothing.
    None,
    /// What is younger than this many days.
    Days(u32),
}

/// A code by which another device of the account finds this new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCodeView {
    /// The code, as typed: `xxxx-xxxx`.
    pub code: String,
    /// The same as a URI, for a QR code: `cipher-chat:link/<code>`.
    pub uri: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// What both sides of a link show: a person compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCompareView {
    /// Code of the link.
    pub code: String,
    /// Seven digits, `ddd dddd`.
    pub string: String,
    /// On the approving side: what the new machine calls itself. On the new side: the handle.
    pub other: String,
}

/// A safety number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyNumberView {
    /// With whom.
    pub handle: Handle,
    /// The account.
    pub account_id: AccountId,
    /// Sixty digits in twelve groups of five; the same on both sides.
    pub number: String,
    /// For a QR code: `cipher-chat:verify/…`; the other side reads it with `contact verify --code`.
    pub uri: String,
    /// Trust now.
    pub trust: Trust,
}

/// A link by which a group can be joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinLinkView {
    /// Names it, to revoke it.
    pub id: String,
    /// The group.
    pub group: GroupId,
    /// The link.
    pub link: String,
    /// When it ends.
    pub expires: Timestamp,
    /// How many may still join by it.
    pub uses: Option<u32>,
    /// Whether each request is approved by a member.
    pub approval: bool,
    /// Who made it: handle, when known, else the account id.
    pub by: String,
}

/// Somebody who wants to join a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequestView {
    /// The group.
    pub group: GroupId,
    /// Its name.
    #[serde(default)]
    pub group_name: String,
    /// Handle, when known, else the account id.
    pub handle: String,
    /// The account.
    pub account_id: AccountId,
    /// When it asked, by its clock.
    pub at: Timestamp,
}

/// Proof that somebody lied, or a sign of it: what to show to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// `split-view`, `rollback`, `not-proven`, `ghost-device`, `changed-account`, `stale-head`.
    pub kind: String,
    /// When it was found.
    pub at: Timestamp,
    /// One sentence.
    pub what: String,
    /// Signed heads, records and replies as they came, each named: transferable where they are signed.
    pub exhibits: Vec<(String, Vec<u8>)>,
}

/// What is known of the account log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadView {
    /// The registry's key, as pinned.
    pub registry_key: Vec<u8>,
    /// The latest accepted head: signed bytes as the registry gave them.
    pub head: Option<cipher_broker::transparency::SignedHead>,
    /// Its size.
    pub size: u64,
    /// Entries read from the log by this device.
    pub log_cursor: u64,
}

/// State of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContactState {
    /// We asked.
    Pending,
    /// They asked.
    Requested,
    /// Both agreed.
    Accepted,
    /// We want nothing of them.
    Blocked,
}

/// What is known of an account's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Pinned at first use.
    Unverified,
    /// Compared with the person.
    Verified,
    /// The handle maps to another account now: sending stops.
    Changed,
}

/// A group or a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its id.
    pub id: GroupId,
    /// Its name; for a direct conversation the other's `@handle`.
    pub name: String,
    /// MLS epoch (RFC 9420 §8).
    pub epoch: u64,
    /// Who is in it. Of an invitation in a list the first few.
    pub members: Vec<MemberView>,
    /// Number of accounts in it.
    #[serde(default)]
    pub accounts: usize,
    /// Whether it is a direct conversation.
    pub direct: bool,
    /// Messages not read yet.
    pub unread: u64,
    /// Our part in it.
    pub state: GroupState,
    /// Who invited us, while we have not answered.
    pub invited_by: Option<Handle>,
    /// Cipher suite (RFC 9420 §17.1).
    pub suite: u16,
    /// Code that all members share in this epoch: equal on both sides means the same world.
    pub authenticator: String,
    /// Accounts that nobody may add: handles, when known, else account ids.
    #[serde(default)]
    pub banned: Vec<String>,
    /// Number of links by which it can be joined, ended ones too until the next is made.
    #[serde(default)]
    pub links: usize,
    /// This device lost its place and asks to come back; what is sent meanwhile waits.
    #[serde(default)]
    pub recovering: Option<RecoveringView>,
}

/// That and why this device cannot follow a conversation, until it is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveringView {
    /// `gap`, `unusable-commit`, `own-commit`, `doubled`, `log-went-back`, `replaced`.
    pub why: String,
    /// When it was noticed, by the own clock.
    pub since: Timestamp,
    /// How often the others were asked to let it back in.
    pub asked: u32,
    /// A member that says that this device is no member any more.
    #[serde(default)]
    pub denied: Option<DeniedView>,
    /// Who would let it back in, when that is nobody whom it knew as a member: the person accepts or declines.
    #[serde(default)]
    pub offered: Option<OfferedView>,
    /// The person declined the last offer: the others are asked again an hour later.
    #[serde(default)]
    pub declined: bool,
}

/// A place in a group, offered by somebody who was not in it when this device last followed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedView {
    /// Who offers it.
    pub account_id: AccountId,
    /// Its handle; its id where that is not known.
    pub handle: String,
    /// When it came, by the own clock.
    pub at: Timestamp,
}

/// A member's word that this device is in a group no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedView {
    /// Whose word it is.
    pub account_id: AccountId,
    /// Its handle; its id where that is not known.
    pub handle: String,
    /// When it came, by the own clock.
    pub at: Timestamp,
    /// Whether this device stopped asking by itself.
    pub over: bool,
}

/// Our part in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Removed by somebody.
    Removed,
    /// In stores of before: could not follow. Such a group is active and recovering now.
    Stuck,
}

/// One account in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its handle, when known, else its account id.
    pub handle: String,
    /// Its account.
    pub account_id: AccountId,
    /// Its role.
    pub role: Role,
    /// Person or bot.
    pub kind: Kind,
    /// Number of its devices in the group.
    pub devices: usize,
    /// Handle of a bot's owner, when known, else its account id.
    pub owner: Option<String>,
    /// What is known of its key; `None` for the own account and for one that was never looked up.
    pub trust: Option<Trust>,
    /// What a person should know of its name: it looks like that of somebody else.
    pub warning: Option<String>,
}

/// What stands at one place of a conversation: what a member said, or what this agent saw happen. No payload of a
/// member makes the latter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// A member's words.
    Text,
    /// A member sent a kind of message that this version does not know. The name of the kind is the member's too.
    Unknown(String),
    /// A member says that the log lost messages; these are the ones of them that are not here, by who had said them.
    Missing(Vec<MissingView>),
    /// This agent observed a change of the group; `from` is the member that made it.
    Event {
        /// The change.
        event: GroupEvent,
        /// The accounts it is about.
        who: Vec<WhoView>,
    },
}

/// A change of a group, as this agent observed it in a commit; or what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GroupEvent {
    /// An account was added by another one.
    Added,
    /// An account came by itself.
    Joined,
    /// An account was removed by another one.
    Removed,
    /// An account went by its own wish.
    Left,
    /// An account's role changed.
    Role,
    /// The group has another name.
    Renamed,
    /// An account that was a member before has one more device.
    DeviceAdded,
    /// An account that stays a member has one device less.
    DeviceRemoved,
    /// An account was banned.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// A link to join by was made.
    Link,
    /// A link to join by was revoked.
    LinkRevoked,
    /// No change: this device could not read what was said here, because it was gone from the log before.
    Missed,
    /// An own device of a later version saw something that this version has no word for.
    Other,
}

/// An account that something is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// The account.
    pub account_id: AccountId,
}

/// How many messages of an account somebody says are missing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// The account.
    pub account_id: AccountId,
    /// How many.
    pub count: u64,
}

/// What stands at one place of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The conversation.
    pub group: GroupId,
    /// Sequence in the stream; `None` while queued.
    pub seq: Option<u64>,
    /// Who sent it.
    pub from: SenderView,
    /// When the sender says it was written; for what happened the broker's time.
    pub sent_at: Timestamp,
    /// When the broker stored it, as far as it is known here.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Somebody else's words that were not shown yet.
    #[serde(default)]
    pub unread: bool,
    /// Words, or what happened.
    pub body: Body,
    /// The member's text; for what happened a sentence of this agent.
    pub text: String,
    /// Where it stands.
    pub state: MessageState,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Bots in a row that led to it.
    pub hops: u8,
    /// Its author gave it other words: `text` is these.
    #[serde(default)]
    pub edited: bool,
    /// Its author took it back, or the person let go of it here: `text` is empty.
    #[serde(default)]
    pub deleted: bool,
}

impl MessageView {
    /// Whether it is a member's words.
    pub fn is_text(&self) -> bool {
        self.body == Body::Text
    }

    /// What happened, if it is no member's word.
    pub fn event(&self) -> Option<GroupEvent> {
        match &self.body {
            Body::Event { event, .. } => Some(*event),
            Body::Text | Body::Unknown(_) | Body::Missing(_) => None,
        }
    }
}

/// Who sent a message: from the MLS leaf, never from the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Account.
    pub account_id: AccountId,
    /// Device.
    pub device_id: DeviceId,
    /// Person or bot.
    pub kind: Kind,
}

/// State of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// Own, waits for the broker.
    Queued,
    /// Own, stored by the broker in the right epoch.
    Sent,
    /// Somebody else's.
    Received,
    /// Own, and the broker or the group will never take it.
    Failed,
}

/// Own messages that were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredView {
    /// The conversation.
    pub group: GroupId,
    /// Its name; `@handle` for a direct one.
    pub name: String,
    /// How many.
    pub messages: u64,
}

/// A device of the own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its id.
    pub device_id: DeviceId,
    /// A name people gave it.
    pub name: String,
    /// Person or bot.
    pub kind: Kind,
    /// Whether it is this one.
    pub current: bool,
    /// When it was certified.
    pub created_at: Timestamp,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// One event for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotEventView {
    /// The message or system line.
    pub message: MessageView,
    /// Where it stands in the conversation: positions grow, and so do places within one.
    pub position: u64,
    /// Its place among several lines of one commit, from 0.
    pub place: u16,
    /// Who said or did it: the member itself when it came or went by its own wish.
    pub by: BotMemberView,
    /// The account that an event is about; `None` for words.
    pub who: Option<BotMemberView>,
    /// The bot's memory of this conversation.
    pub memory: Option<Vec<u8>>,
    /// Name of the conversation.
    pub group_name: String,
    /// Whether the conversation is direct.
    pub direct: bool,
}

/// An account, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotMemberView {
    /// Its handle, when known, else the account id.
    pub handle: String,
    /// Its account.
    pub account_id: AccountId,
    /// Person or bot; `None` for one that is no member and was not looked up.
    pub kind: Option<Kind>,
    /// Its role now; `None` when it is no member now.
    pub role: Option<Role>,
}

/// The last time the broker turned out to have lost what it had stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLostView {
    /// When it was noticed here.
    pub at: Timestamp,
    /// Conversations concerned.
    pub conversations: u64,
    /// Of these, how many are not put right yet.
    pub open: u64,
    /// Own messages that were sent again.
    pub messages: u64,
    /// Changes of groups that this device gave back.
    pub commits: u64,
    /// Others' messages that are not here, as fellow members say.
    #[serde(default)]
    pub missing: u64,
}

/// Figures about the own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Whether an account is registered here.
    pub registered: bool,
    /// Groups one is a member of.
    pub groups: usize,
    /// Invitations that wait.
    pub invitations: usize,
    /// Own messages and commits that wait for the broker.
    pub outbox: usize,
    /// Questions to the registry that wait for an answer.
    pub questions: usize,
    /// Whether the registry has answered nothing for two seconds although it was asked.
    #[serde(default)]
    pub registry_silent: bool,
    /// Key packages at the registry: as last counted, and those it took since.
    pub key_packages: Option<u32>,
    /// Messages that could not be read, by class, since this store exists.
    pub skipped: Vec<(String, u64)>,
    /// Last known difference of the registry's clock to ours, milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// When bytes that name this device and that it did not send were last seen.
    #[serde(default)]
    pub doubled_at: Option<Timestamp>,
    /// Another copy of this profile took over.
    #[serde(default)]
    pub stopped: bool,
    /// What the broker lost last, if it ever did.
    #[serde(default)]
    pub log_lost: Option<LogLostView>,
    /// Version of the stored format.
    pub schema: u32,
    /// Who may ask to become a contact.
    pub requests: RequestPolicy,
    /// This device was linked or recovered a moment ago, and its groups or history are not all here yet.
    pub arriving: bool,
    /// Own devices that this one still has groups or history for.
    pub sending: Vec<DeviceId>,
    /// This profile has no account yet, and offers itself as a new device of one.
    pub linking: bool,
    /// The recovery phrase was never shown: registering again under the same handle shows it.
    #[serde(default)]
    pub phrase_due: bool,
}
