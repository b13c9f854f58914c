//! Answers of the core: one variant per type. Which of them belongs to which request says the table in
//! [`crate::request`]; a caller gets the type of its request, never this enum.

use cipher_broker::id::GroupId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::account::Registered;
use crate::command::bot::{OwnerCard, Prepared, Signature};
use crate::command::device::{BackupPart, Returned};
use crate::command::invite::Joined;
use crate::command::message::Found;
use crate::command::status::{Refreshed, Synced};
use crate::view::{
    AccountView, BotEventView, ContactView, DeviceView, EditView, EventsView, EvidenceView, FileView,
    GroupView, HeadView, JoinLinkView, JoinRequestView, LinkCodeView, LinkCompareView, MessageView,
    OpenFileView, SafetyNumberView, StatusView, UploadView,
};

/// It is done, and there is nothing more to say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// What a request gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// A request to join waits for an answer.
    JoinPending {
        /// The group.
        group: GroupId,
        /// Whether a member has it and must approve, as far as is known.
        approval: bool,
    },
    /// The account is registered.
    Registered(Box<Registered>),
    /// Bytes that a bot's owner must sign.
    Prepared(Prepared),
    /// The account that would own a bot of this profile.
    OwnerCard(Box<OwnerCard>),
    /// An owner's signature.
    Signature(Signature),
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
    /// An upload that was begun.
    Upload(Box<UploadView>),
    /// Files, newest first.
    Files(Vec<FileView>),
    /// Files with what opens them.
    OpenFiles(Vec<OpenFileView>),
    /// The words that a message has and had.
    Edits(Vec<EditView>),
    /// What a search found.
    Found(Found),
    /// One device.
    Device(Box<DeviceView>),
    /// Devices.
    Devices(Vec<DeviceView>),
    /// A part of a backup.
    BackupPart(BackupPart),
    /// How a restored profile stands.
    Returned(Box<Returned>),
    /// A code for linking this device.
    LinkCode(LinkCodeView),
    /// What both sides of a link compare.
    LinkCompare(LinkCompareView),
    /// A safety number.
    SafetyNumber(Box<SafetyNumberView>),
    /// A link to a group.
    JoinLink(Box<JoinLinkView>),
    /// Links to a group.
    JoinLinks(Vec<JoinLinkView>),
    /// Requests to join.
    JoinRequests(Vec<JoinRequestView>),
    /// Events behind a cursor.
    Events(EventsView),
    /// Evidence, oldest first.
    Evidence(Vec<EvidenceView>),
    /// What is known of the account log.
    Head(Box<HeadView>),
    /// Everything is up to date, or what is not.
    Synced(Synced),
    /// Everything is up to date as far as the broker can tell.
    Refreshed(Refreshed),
    /// Figures.
    Status(Box<StatusView>),
    /// Events that a bot has not handled.
    BotEvents(Vec<BotEventView>),
}

/// A reply that belongs to another request than the one it was given to: a defect of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced(pub Box<Reply>);

/// The type of one variant, there and back.
macro_rules! answers {
    ($($variant:ident: $type:ty $(= $boxed:ident)?;)*) => {$(
        impl From<$type> for Reply {
            fn from(answer: $type) -> Self {
                Self::$variant($($boxed::new)?(answer))
            }
        }

        impl TryFrom<Reply> for $type {
            type Error = Misplaced;

            fn try_from(reply: Reply) -> Result<Self, Misplaced> {
                match reply {
                    Reply::$variant(answer) => Ok(answers!(@out answer $($boxed)?)),
                    other => Err(Misplaced(Box::new(other))),
                }
            }
        }
    )*};
    (@out $answer:ident Box) => { *$answer };
    (@out $answer:ident) => { $answer };
}

answers! {
    Registered: Registered = Box;
    Prepared: Prepared;
    OwnerCard: OwnerCard = Box;
    Signature: Signature;
    Account: AccountView = Box;
    Contact: ContactView = Box;
    Contacts: Vec<ContactView>;
    Group: GroupView = Box;
    Groups: Vec<GroupView>;
    Message: MessageView = Box;
    Messages: Vec<MessageView>;
    Upload: UploadView = Box;
    Files: Vec<FileView>;
    OpenFiles: Vec<OpenFileView>;
    Edits: Vec<EditView>;
    Found: Found;
    Device: DeviceView = Box;
    Devices: Vec<DeviceView>;
    BackupPart: BackupPart;
    Returned: Returned = Box;
    LinkCode: LinkCodeView;
    LinkCompare: LinkCompareView;
    SafetyNumber: SafetyNumberView = Box;
    JoinLink: JoinLinkView = Box;
    JoinLinks: Vec<JoinLinkView>;
    JoinRequests: Vec<JoinRequestView>;
    Events: EventsView;
    Evidence: Vec<EvidenceView>;
    Head: HeadView = Box;
    Synced: Synced;
    Refreshed: Refreshed;
    Status: StatusView = Box;
    BotEvents: Vec<BotEventView>;
}

impl From<Done> for Reply {
    fn from(Done {}: Done) -> Self {
        Self::Done
    }
}

impl TryFrom<Reply> for Done {
    type Error = Misplaced;

    fn try_from(reply: Reply) -> Result<Self, Misplaced> {
        match reply {
            Reply::Done => Ok(Self {}),
            other => Err(Misplaced(Box::new(other))),
        }
    }
}

impl From<Joined> for Reply {
    fn from(joined: Joined) -> Self {
        match joined {
            Joined::Group(group) => Self::Group(group),
            Joined::JoinPending { group, approval } => Self::JoinPending { group, approval },
            Joined::Unknown => Self::Done,
        }
    }
}

impl TryFrom<Reply> for Joined {
    type Error = Misplaced;

    fn try_from(reply: Reply) -> Result<Self, Misplaced> {
        match reply {
            Reply::Group(group) => Ok(Self::Group(group)),
            Reply::JoinPending { group, approval } => Ok(Self::JoinPending { group, approval }),
            other => Err(Misplaced(Box::new(other))),
        }
    }
}

/// What there may be nothing to show of: `None` is [`Reply::Done`].
macro_rules! maybe {
    ($($type:ty),*) => {$(
        impl From<Option<$type>> for Reply {
            fn from(answer: Option<$type>) -> Self {
                answer.map_or(Self::Done, Self::from)
            }
        }

        impl TryFrom<Reply> for Option<$type> {
            type Error = Misplaced;

            fn try_from(reply: Reply) -> Result<Self, Misplaced> {
                match reply {
                    Reply::Done => Ok(None),
                    other => <$type>::try_from(other).map(Some),
                }
            }
        }
    )*};
}

maybe!(ContactView, DeviceView, GroupView);
