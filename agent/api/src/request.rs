//! The table of all requests: method, parameters, reply. The commands of the core, the list of methods, reading a request
//! by the name of its method, and the schemas are made from it, so that they cannot disagree.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::command::{
    account, bot, contact, device, event, evidence, file, group, history, invite, message, poll, status,
};
use crate::error::{Error, ErrorKind};
use crate::reply::{Done, Misplaced, Reply};
use crate::schema::MethodSchema;
use crate::view::{
    AccountView, BotEventView, ContactView, DeviceView, EditView, EventsView, EvidenceView, FileView,
    GroupView, HeadView, JoinLinkView, JoinRequestView, LinkCodeView, LinkCompareView, MessageView,
    OpenFileView, SafetyNumberView, StatusView, UploadView,
};

/// Something that can be asked for: the parameters of one method.
pub trait Request: Serialize + DeserializeOwned + JsonSchema {
    /// Name of the method.
    const METHOD: &'static str;
    /// What answers it.
    type Reply: Serialize + DeserializeOwned + JsonSchema;
}

/// What turns JSON into the parameters of a request.
pub trait Reader {
    /// Why it could not.
    type Error;

    /// Reads parameters.
    fn read<T: DeserializeOwned>(&self, params: Value) -> Result<T, Self::Error>;
}

/// In the words of serde, which name types of Rust.
struct AsSerde;

impl Reader for AsSerde {
    type Error = serde_json::Error;

    fn read<T: DeserializeOwned>(&self, params: Value) -> Result<T, Self::Error> {
        serde_json::from_value(params)
    }
}

/// A request to the core: each gets exactly one reply.
pub trait Ask: Request<Reply: TryFrom<Reply, Error = Misplaced>> + Into<Command> {
    /// The reply of this request in the core's answer. Another one is a defect of the core.
    fn reply(reply: Reply) -> Result<Self::Reply, Error> {
        Self::Reply::try_from(reply).map_err(|Misplaced(_)| {
            ErrorKind::Bug.because(format!("the reply does not belong to the request {}", Self::METHOD))
        })
    }
}

macro_rules! requests {
    ($(
        $(#[$noun_doc:meta])*
        $noun:ident($command:ident) {
            $($variant:ident, $method:literal: $request:ty => $reply:ty;)*
        }
    )*) => {
        /// A request to the core, by noun.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $($(#[$noun_doc])* $noun($command),)*
        }

        $(
            $(#[$noun_doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub enum $command {
                $(#[doc = concat!("The method `", $method, "`.")] $variant($request),)*
            }

            $(
                impl Request for $request {
                    const METHOD: &'static str = $method;
                    type Reply = $reply;
                }

                impl Ask for $request {}

                impl From<$request> for Command {
                    fn from(request: $request) -> Self {
                        Self::$noun($command::$variant(request))
                    }
                }
            )*
        )*

        /// Names of all methods of the core, in the order of the table.
        pub const METHODS: &[&str] = &[$($($method,)*)*];

        impl Command {
            /// Name of its method.
            pub const fn method(&self) -> &'static str {
                match self {
                    $($(Self::$noun($command::$variant(_)) => $method,)*)*
                }
            }

            /// Its parameters in JSON.
            pub fn params(&self) -> Result<Value, serde_json::Error> {
                match self {
                    $($(Self::$noun($command::$variant(request)) => serde_json::to_value(request),)*)*
                }
            }

            /// Reads a request by the name of its method; `None` when there is no such method. No parameters are `null` too.
            pub fn from_method(method: &str, params: Value) -> Option<Result<Self, serde_json::Error>> {
                Self::read(method, params, AsSerde)
            }

            /// The same, by a reader that says in its own way what is wrong with the parameters.
            pub fn read<R: Reader>(method: &str, params: Value, reader: R) -> Option<Result<Self, R::Error>> {
                let params = if params.is_null() { Value::Object(Map::new()) } else { params };
                match method {
                    $($($method => Some(reader.read::<$request>(params).map(Self::from)),)*)*
                    _ => None,
                }
            }

            /// The core's answer in JSON, as the reply of this method.
            pub fn result(method: &str, reply: Reply) -> Result<Value, Error> {
                match method {
                    $($($method => in_json(<$request>::reply(reply)?),)*)*
                    _ => Err(ErrorKind::Bug.because(format!("there is no method {method}"))),
                }
            }
        }

        /// The schemas of a method of the core; `None` when there is no such method.
        pub(crate) fn schema(method: &str) -> Option<MethodSchema> {
            match method {
                $($($method => Some(MethodSchema::of::<$request>()),)*)*
                _ => None,
            }
        }
    };
}

requests! {
    /// The own account, its profile, and the profiles of others.
    Account(AccountCommand) {
        Register, "account.register": account::Register => account::Registered;
        PhraseShown, "account.phrase-shown": account::PhraseShown => Done;
        Show, "account.show": account::Show => AccountView;
        Active, "account.active": account::Active => Done;
        SetProfile, "profile.set": account::SetProfile => AccountView;
        ShowProfile, "profile.show": account::ShowProfile => AccountView;
        SetRequests, "profile.requests": account::SetRequests => Done;
        SetReceipts, "profile.receipts": account::SetReceipts => Done;
    }
    /// Contacts.
    Contact(ContactCommand) {
        Add, "contact.add": contact::Add => ContactView;
        List, "contact.list": contact::List => Vec<ContactView>;
        Accept, "contact.accept": contact::Accept => ContactView;
        Decline, "contact.decline": contact::Decline => Done;
        Remove, "contact.remove": contact::Remove => Done;
        Block, "contact.block": contact::Block => ContactView;
        Unblock, "contact.unblock": contact::Unblock => Option<ContactView>;
        Verify, "contact.verify": contact::Verify => SafetyNumberView;
        Trust, "contact.trust": contact::Trust => ContactView;
    }
    /// Devices of the own account.
    Device(DeviceCommand) {
        List, "device.list": device::List => Vec<DeviceView>;
        Link, "device.link": device::Link => LinkCodeView;
        Approve, "device.approve": device::Approve => LinkCompareView;
        Confirm, "device.confirm": device::Confirm => Option<DeviceView>;
        Rename, "device.rename": device::Rename => DeviceView;
        Revoke, "device.revoke": device::Revoke => DeviceView;
        Resume, "device.resume": device::Resume => Done;
        Recover, "device.recover": device::Recover => AccountView;
        Backup, "device.backup": device::Backup => device::BackupPart;
        Restore, "device.restore": device::Restore => Done;
        Return, "device.return": device::Return => device::Returned;
    }
    /// Groups and who is in them.
    Group(GroupCommand) {
        Create, "group.create": group::Create => GroupView;
        List, "group.list": group::List => Vec<GroupView>;
        Show, "group.show": group::Show => GroupView;
        Accept, "group.accept": group::Accept => GroupView;
        Decline, "group.decline": group::Decline => Done;
        Add, "group.add": group::Add => GroupView;
        Remove, "group.remove": group::Remove => GroupView;
        Rename, "group.rename": group::Rename => GroupView;
        Alias, "group.alias": group::Alias => GroupView;
        Set, "group.set": group::Set => GroupView;
        Mute, "group.mute": group::Mute => GroupView;
        Unmute, "group.unmute": group::Unmute => GroupView;
        SetRole, "group.role": group::SetRole => GroupView;
        Leave, "group.leave": group::Leave => Done;
        Ban, "group.ban": group::Ban => GroupView;
    }
    /// Links by which groups can be joined.
    Invite(InviteCommand) {
        Create, "invite.create": invite::Create => JoinLinkView;
        List, "invite.list": invite::List => Vec<JoinLinkView>;
        Revoke, "invite.revoke": invite::Revoke => Done;
        Join, "invite.join": invite::Join => invite::Joined;
        Requests, "invite.requests": invite::Requests => Vec<JoinRequestView>;
        Answer, "invite.answer": invite::Answer => Option<GroupView>;
    }
    /// What is said, and what was.
    Message(MessageCommand) {
        Send, "message.send": message::Send => MessageView;
        Edit, "message.edit": message::Edit => MessageView;
        Delete, "message.delete": message::Delete => MessageView;
        React, "message.react": message::React => MessageView;
        Forward, "message.forward": message::Forward => MessageView;
        Show, "message.show": message::Show => MessageView;
        Edits, "message.edits": message::Edits => Vec<EditView>;
        Thread, "message.thread": message::Thread => Vec<MessageView>;
        Pin, "message.pin": message::Pin => MessageView;
        Pins, "message.pins": message::Pins => Vec<MessageView>;
        PollCreate, "poll.create": poll::Create => MessageView;
        PollVote, "poll.vote": poll::Vote => MessageView;
        PollClose, "poll.close": poll::Close => MessageView;
        Read, "message.read": message::Read => Vec<MessageView>;
        GrantHistory, "history.grant": history::Grant => MessageView;
        Search, "message.search": message::Search => message::Found;
        Shown, "message.shown": message::Shown => Done;
        CheckFiles, "file.check": file::Check => Done;
        BeginFile, "file.begin": file::Begin => UploadView;
        FileProgress, "file.progress": file::Progress => Done;
        FinishFile, "file.finish": file::Finish => Done;
        DropFile, "file.drop": file::Drop => Done;
        SendFile, "file.send": file::Send => MessageView;
        Files, "file.list": file::List => Vec<FileView>;
        OpenFile, "file.open": file::Open => Vec<OpenFileView>;
        Typing, "message.typing": message::Typing => Done;
    }
    /// Bots.
    Bot(BotCommand) {
        Card, "bot.card": bot::Card => bot::OwnerCard;
        Prepare, "bot.prepare": bot::Prepare => bot::Prepared;
        Sign, "bot.sign": bot::Sign => bot::Signature;
        Events, "bot.events": bot::Events => Vec<BotEventView>;
        Handled, "bot.handled": bot::Handled => Done;
    }
    /// What took place, for programs that come again.
    Event(EventCommand) {
        List, "event.list": event::List => EventsView;
        Acknowledge, "event.acknowledge": event::Acknowledge => Done;
    }
    /// What was found against the registry.
    Evidence(EvidenceCommand) {
        List, "evidence.list": evidence::List => Vec<EvidenceView>;
        Acknowledge, "evidence.acknowledge": evidence::Acknowledge => Done;
        Head, "evidence.head": evidence::Head => HeadView;
    }
    /// How things stand, and bringing them up to date.
    Status(StatusCommand) {
        Status, "status": status::Status => StatusView;
        Sync, "sync": status::Sync => status::Synced;
        Refresh, "refresh": status::Refresh => status::Refreshed;
    }
}

fn in_json(reply: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(reply)
        .map_err(|error| ErrorKind::Bug.because_of("a reply cannot be written as JSON", error))
}
