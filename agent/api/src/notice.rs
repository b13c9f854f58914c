//! What a person should know, as data. A front end words it.

use cipher_broker::handle::Handle;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, time};
use crate::error::Error;
use crate::name::Target;

/// Something that happened without being asked for, and that a person should know. Accounts are named by their handle with
/// `@`, or by their id while none is known; conversations by id, and by the name they have here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Notice {
    /// The broker's operator made room: what was stored before is gone for every device that had not read it.
    RoomMade {
        /// Before when.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        until: Timestamp,
    },
    /// Values of the store of this profile were changed on the disk: they are lost, and nothing else is.
    ValuesDamaged {
        /// Names of the tables they were in.
        of: Vec<String>,
        /// Number of values.
        count: u64,
    },
    /// The broker lost messages that it had stored; those that have them send them again.
    LogLost,
    /// The broker lost own messages of before an account was added: they are not sent again, because that account would
    /// read what was not said to it.
    KeptBack {
        /// The conversation.
        group: GroupId,
        /// Its name.
        name: String,
        /// Number of messages.
        count: u64,
    },
    /// An own message was not delivered, and stays in the conversation as failed.
    NotDelivered {
        /// The conversation.
        group: GroupId,
        /// Its name.
        name: String,
        /// Why.
        error: Box<Error>,
    },

    /// A change of a message was not delivered, or what others said meanwhile kept it from having an effect.
    ChangeNotDelivered {
        /// The conversation.
        group: GroupId,
        /// Its name.
        name: String,
        /// Why.
        error: Box<Error>,
    },

    /// An invitation cannot be opened: its list of members does not come.
    InvitationClosed {
        /// The group.
        group: GroupId,
    },
    /// The log of a group does not hold the change that let this device in.
    InvitationNowhere {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// Nothing was heard of invited accounts since the invitation.
    InvitationUnheard {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The accounts.
        who: Vec<String>,
        /// When they were invited.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        at: Timestamp,
    },
    /// A request to join ended without success.
    JoinEnded {
        /// The group.
        group: GroupId,
        /// Its name; empty while it is not known: a link says none.
        name: String,
        /// Why.
        error: Box<Error>,
    },
    /// An account could not be added, and the rest was done.
    LeftOut {
        /// The account.
        who: String,
        /// The group, if it is about one that exists.
        group: Option<GroupId>,
        /// Its name.
        name: Option<String>,
        /// Why.
        error: Box<Error>,
    },
    /// An account was asked to become a contact before, and has not said yes.
    ContactAskedBefore {
        /// The account.
        handle: Handle,
    },

    /// This device lost its place in a group, and asks the others to let it back in.
    PlaceLost {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// An account that was not in the group when this device last followed it would let it back in.
    PlaceOffered {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// How it is named in a request.
        target: Target,
        /// The account.
        by: String,
    },
    /// A member says that this device is no member any more.
    PlaceDenied {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The member.
        by: String,
        /// Whether this device asks no more to be let back in; else once a day, for three days.
        over: bool,
    },
    /// This device is without its place in a group that it is to leave: it leaves once a member has let it back in.
    LeavesLater {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// A member changed a group and names another change before it than the broker shows here.
    OtherPast {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The member; `null` when it cannot be told which one.
        by: Option<String>,
    },
    /// A conversation holds something in the name of this device that it did not send.
    Doubled {
        /// The conversation.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// Two groups had one name: one of them got another one, on this device.
    SameName {
        /// The group that is called otherwise now.
        group: GroupId,
        /// The name of both.
        name: String,
        /// What it is called here.
        alias: String,
    },

    /// A device was added to the own account, by another one.
    DeviceAdded {
        /// The new device.
        device: DeviceId,
    },
    /// A device was revoked from the own account, by another one.
    DeviceRevoked {
        /// The revoked device.
        device: DeviceId,
    },
    /// This very device was revoked.
    ThisDeviceRevoked,
    /// The own account was recovered on another machine.
    AccountRecovered,
    /// The device that let this one in was revoked: history that has not come yet will not come.
    HistoryEnded,
    /// The device that let this one in has sent nothing for three days.
    HistorySilent,

    /// A handle maps to another account than when it was first seen: nothing is sent to it.
    AccountChanged {
        /// The handle.
        handle: Handle,
        /// Whether the account was verified.
        verified: bool,
    },
    /// A handle maps to the account again that it mapped to when it was first seen.
    AccountAgain {
        /// The handle.
        handle: Handle,
    },
    /// The registry gives the own handle to another account.
    HandleTaken {
        /// The handle.
        handle: Handle,
    },
    /// The registry shows a device as one of the own account, and the account never said so.
    GhostDevice {
        /// The device.
        device: DeviceId,
    },
    /// The account log passed over what an account stated.
    StatementHidden {
        /// The account.
        handle: Handle,
    },
    /// The registry answers with an account log that ended long ago.
    StaleLog {
        /// How long ago, hours.
        hours: u64,
    },
    /// The registry's account log fits again what it showed before.
    LogFits,
    /// A member uses another registry than this profile.
    ForeignRegistry {
        /// The member.
        who: String,
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// The registry does not answer, and an account is shown as it was known before.
    ShownAsKnown {
        /// The account.
        handle: Handle,
    },
    /// The clocks of this machine and of the registry are too far apart.
    ClocksApart {
        /// What this machine's clock says.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        ours: Timestamp,
        /// What the registry's says.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        theirs: Timestamp,
    },

    /// A bot gave as many answers in a conversation as it may within a minute.
    BotSilent {
        /// Name of the bot.
        bot: String,
        /// The conversation.
        group: GroupId,
        /// Its name; empty for a direct one.
        name: String,
    },
    /// A bot did not handle an event.
    BotGaveUp {
        /// Name of the bot.
        bot: String,
        /// Its id, in short.
        event: String,
        /// What went wrong, in the host's words.
        trouble: String,
    },

    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}
