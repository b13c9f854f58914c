//! What to do about an error, as data. A front end words it: only it knows how its user gives a command, and to which
//! profile.

use cipher_broker::handle::Handle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Target, Who};

/// What to do about an error. Variants are named for the command they lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Hint {
    /// Advice without a command.
    Advice {
        /// Which.
        advice: Advice,
    },
    /// Words that the program had which gave the error; for what only that program meets (a file's path, a port).
    Text {
        /// One clause.
        text: String,
    },

    /// Make an account.
    AccountRegister,
    /// A registration under this handle was begun: find out what became of it; for another handle use another profile.
    AccountRegisterAgain {
        /// The handle it was begun with.
        handle: Handle,
    },
    /// Ask the registry's operator for an invite code, and register with it.
    AccountRegisterWithCode {
        /// The handle that was asked for, when known.
        handle: Option<Handle>,
    },
    /// Another account needs another profile.
    AccountOtherProfile,
    /// Look the account up first.
    ProfileShow {
        /// The account.
        who: Who,
    },

    /// Accept the contact's request.
    ContactAccept {
        /// The account that asks.
        handle: Handle,
    },
    /// See the contact requests that wait.
    ContactRequests,
    /// See the contacts.
    ContactList,
    /// See which accounts are blocked.
    ContactListBlocked,
    /// Lift the block.
    ContactUnblock {
        /// The blocked account: handle, when known, else the account id.
        who: String,
    },
    /// Compare safety numbers.
    ContactVerify {
        /// With which account.
        handle: Handle,
    },
    /// See the safety number before there is one to compare it with.
    ContactVerifyFirst {
        /// With which account.
        handle: Handle,
    },
    /// Verify the owner of the bot instead.
    ContactVerifyOwner {
        /// Handle of the owner, when known, else its account id.
        owner: String,
    },
    /// Ask the person over another channel, and then accept the account.
    ContactTrust {
        /// The handle that moved to another account.
        handle: Handle,
    },

    /// Link the device (again) in a fresh profile.
    DeviceLinkAnew,
    /// Link in a fresh profile: this one has an account.
    DeviceLinkElsewhere,
    /// Link another device first.
    DeviceLinkFirst,
    /// Begin the link again; if the times are wrong, set the clocks.
    DeviceLinkAgain,
    /// Begin the link again on the new machine.
    DeviceLinkAgainThere,
    /// Go on with the link; another account needs another profile.
    DeviceLinkGoOn,
    /// Keep the new machine waiting, then approve again.
    DeviceLinkKeep,
    /// Check the code; the new machine must be waiting.
    DeviceLinkCheck,
    /// Begin with approving a code.
    DeviceApprove,
    /// End the device that was let in.
    DeviceRevoke,
    /// Recover in a fresh profile: this one has an account.
    DeviceRecoverElsewhere,
    /// Go on with restoring a backup, from the same file.
    DeviceRestoreGoOn,
    /// Link a second machine in a fresh profile; if the other copy is gone, let this one go on.
    DeviceResume,
    /// See the devices.
    DeviceList,
    /// See the devices, and give one that is there.
    DeviceListNamed,
    /// See the devices, and use more of the id.
    DeviceListId,
    /// Choose another name than one of the devices has.
    DeviceListNames,
    /// Nothing was changed; compare the devices.
    DeviceListCompare,

    /// Accept the invitation.
    GroupAccept {
        /// The group.
        group: Target,
    },
    /// Take the place that is offered and then leave; if the account that offers it does not belong there, decline it.
    GroupAcceptThenLeave {
        /// The group.
        group: Target,
        /// Handle of the account that offers the place, when known, else its id.
        by: String,
    },
    /// Remove an account that no registry shows from a group, by its id.
    GroupBan,
    /// Lift the ban.
    GroupUnban {
        /// The group.
        group: Target,
        /// Handle of the banned account, when known, else its id.
        who: String,
    },
    /// Make a group for more than two.
    GroupCreate,
    /// Leave the group instead.
    GroupLeave {
        /// The group.
        group: Target,
    },
    /// See the groups.
    GroupList,
    /// See the groups, and name one by its id.
    GroupListIds,
    /// See which names the groups have.
    GroupListNames,
    /// See the invitations that wait.
    GroupListInvitations,
    /// See the members.
    GroupShow {
        /// The group.
        group: Target,
    },
    /// First make another member owner.
    GroupRole {
        /// The group.
        group: Target,
    },
    /// A group of a similar name was meant, perhaps.
    GroupAlike {
        /// The name that is there.
        name: String,
    },
    /// A direct conversation was meant, perhaps; or see the groups.
    GroupOrHandle {
        /// The account that was meant, perhaps.
        handle: Handle,
    },
    /// See the links of the group.
    InviteList {
        /// The group.
        group: Target,
    },
    /// See the links of the group, and revoke one to make room.
    InviteRevoke {
        /// The group.
        group: Target,
    },
    /// See which accounts ask to join the group.
    InviteRequests {
        /// The group.
        group: Target,
    },

    /// Start the conversation by saying something.
    MessageSend {
        /// With which account.
        handle: Handle,
    },
    /// Take the words away on this device only.
    MessageDeleteLocal {
        /// The message, as it was named.
        id: String,
    },
    /// Say it again, or take it away on this device.
    MessageSendAgain {
        /// The message, as it was named.
        id: String,
    },
    /// See the ids of messages.
    MessageRead,
    /// Make a token that covers what was asked for; the owner of the profile can.
    TokenCreate {
        /// What the token is called that does not cover it.
        name: String,
    },
    /// Make a new token: this one is over, or none was shown; the owner of the profile can.
    TokenCreateAnew {
        /// What the token is called.
        name: String,
    },
    /// See the tokens.
    TokenList,
    /// Revoke the token first, or choose another name.
    TokenRevoke {
        /// What it is called.
        name: String,
    },
    /// Bring everything up to date.
    Sync,
    /// Nothing was changed, conversations go on; replay the account log.
    Audit,
    /// The device asks for its place by itself; see what came of it.
    DoctorOffer,
    /// Check that it is the registry of the group's members.
    DoctorRegistry,
    /// See what cannot be reached.
    Doctor,
    /// What was asked may still happen; see how things stand.
    DoctorLater,
    /// See the settings, and where each came from.
    Config,
    /// Start a broker on this machine, or name another one.
    BrokerStart,
    /// Check the login: the settings, and where each came from.
    BrokerLogin,
    /// The broker is full: its operator makes room; nothing is lost.
    BrokerRoom,
    /// Servers of the broker are apart: its operator finds out which.
    BrokerApart,
    /// Ask for the same again; if it repeats, report it.
    ReportRepeated,

    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// Advice without a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// Check the server's address and that the broker runs.
    CheckBroker,
    /// Check the server's address and that the registry runs; nothing was changed.
    CheckRegistry,
    /// Check the server's address and the recovery phrase; nothing was changed.
    CheckPhrase,
    /// Check the spelling.
    CheckSpelling,
    /// Check the spelling of the handle.
    CheckHandle,
    /// Give an emoji, or the name of one.
    EmojiOrName,
    /// Check the disk and its free space, then ask again.
    CheckDisk,
    /// Nothing is known to be lost: check the disk and its free space, then ask again.
    CheckDiskFirst,
    /// Nothing is lost: the store must be readable and writable for its owner, and the command must run as that owner.
    StorePermission,
    /// Nothing is lost: the store's file system is mounted read-only, and reading writes too.
    StoreReadOnly,
    /// Wait for the process to end that has the store open, or go through it.
    StoreShared,
    /// Keep the file; link the machine anew, restore a backup or recover the account: an old copy would repeat keys.
    StoreDamaged,
    /// Use the version that wrote the store, or a newer one.
    StoreNewer,
    /// Give the key or passphrase with which the store was sealed.
    StoreKey,
    /// Set the clock of this machine.
    SetClock,

    /// The change is kept and made as soon as the broker answers.
    ChangeKept,
    /// The request to join is kept; the group appears by itself once a member lets this account in.
    JoinKept,
    /// Nothing was changed.
    NothingChanged,
    /// Try again.
    TryAgain,
    /// Wait and try again.
    WaitAndTry,
    /// Try again later.
    TryLater,
    /// Nothing was changed; try again later.
    TryLaterUnchanged,
    /// Try again in a few minutes.
    TryInMinutes,
    /// Another device changed the account; try again.
    TryAgainAccountChanged,
    /// Wait until the link under way is done, then try again.
    WaitForLink,

    /// Send less at once.
    SendLess,
    /// Send less at once, or ask the operator for the broker's limits.
    SendLessOrAsk,
    /// Do it in smaller steps.
    SmallerSteps,
    /// Do it in smaller steps, or ask the operator for the broker's limits.
    SmallerStepsOrAsk,
    /// Split the text, or send it as a file.
    SplitText,
    /// Wait until the message is sent, or take it back for everybody.
    WaitOrTakeBack,
    /// Delete the message, and say it anew.
    DeleteAndSayAnew,
    /// Send what is to be said as a new message.
    SayAnew,
    /// Give more of the id.
    MoreOfId,

    /// Choose another handle.
    ChooseHandle,
    /// This account is registered under another handle.
    RegisteredElsewhere,
    /// A recovery phrase has 24 English words, in the order they were shown; nothing was changed.
    PhraseForm,
    /// Give the sixty digits, or the text of the other side's QR code.
    SafetyNumberForm,
    /// A link to a group is one word with a known beginning: copy all of it.
    JoinLinkForm,
    /// Type the code of a device link as the new machine shows it.
    LinkCodeForm,
    /// A token is one word that begins with `cct_`: copy all of it.
    TokenForm,
    /// Name a path of at most 100 bytes for the socket, where nothing lies yet, in a folder that is there.
    SocketPath,
    /// No token covers this: it is done without one, by the owner of the profile.
    WithoutToken,
    /// `@` names accounts.
    AtNamesAccounts,
    /// Let the owner's profile sign again.
    SignAgain,
    /// A bot has one device: remove the bot instead.
    RemoveBot,
    /// Revoke the device on another one, or change the profile there first.
    RevokeElsewhere,
    /// This device may not do that.
    DeviceMayNot,
    /// This device was revoked by its account; link it anew in a fresh profile.
    DeviceRevoked,

    /// Ask an owner of the group.
    AskOwner,
    /// Ask an owner or admin of the group.
    AskAdmin,
    /// Ask an admin to lift the ban.
    AskUnban,
    /// Ask a member to invite this account again.
    AskInviteAgain,
    /// Ask for a new invitation: the inviter removes and adds this account.
    AskNewInvitation,
    /// Ask a member of the group for a new link.
    AskNewLink,
    /// Ask the person who gave the link.
    AskLinkGiver,
    /// This device asks again by itself, and tells of the next offer.
    OfferComesAgain,
    /// The account must come online once to refill its key packages; try again later.
    AccountMustRefill,
    /// Tell the account's owner to update the agent and to bring it up to date.
    AccountMustUpdate,

    /// Ask the registry's operator.
    AskRegistryOperator,
    /// Nothing was changed; ask the registry's operator.
    AskRegistryOperatorUnchanged,
    /// Nothing was changed; ask the registry's operator, and try again.
    AskRegistryOperatorAndTry,
    /// Try again, or ask the registry's operator; agent and registry may be of different versions.
    TryOrAskRegistryOperator,
    /// Ask the registry's operator for an invite code.
    AskInviteCode,
    /// Nothing was changed; if the registry's key was replaced on purpose, ask its operator.
    RegistryKeyReplaced,
    /// Agent and registry may be of different versions.
    VersionsDiffer,
    /// The programs that use this profile may be of different versions.
    ProgramsDiffer,
    /// Update this agent.
    UpdateAgent,
    /// Update this agent: it does not know the reason.
    UpdateAgentForReason,
    /// Nothing was changed; compare with the person over another channel.
    CompareElsewhere,
    /// Nothing was changed; compare again, and if it differs again, say nothing that matters there.
    CompareAgain,
    /// Look whether it was done, and ask again if not.
    LookWhetherDone,
    /// Ask for less at once.
    AskForLess,
    /// Begin again without a cursor, and read the conversations.
    BeginWithoutCursor,

    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

impl Hint {
    /// Words of the program that gives the error.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

impl From<Advice> for Hint {
    fn from(advice: Advice) -> Self {
        Self::Advice { advice }
    }
}
