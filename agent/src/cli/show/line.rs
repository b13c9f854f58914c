//! What `--json` prints: one object per line, each with its `type`. Scripts rely on these names.

use cipher_api::Event;
use cipher_api::view::{AccountView, ContactView, DeliveredView, GroupView, MessageState, SafetyNumberView};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::wire::registry::Presence;
use serde::Serialize;

mod account;
mod file;
mod group;
mod json;
mod linking;
mod message;
mod registry;
mod token;

pub use file::FileLine;
pub use linking::LinkLine;
pub use message::{EventLine, MessageLine};
pub use registry::AuditLine;
pub use token::{TokenLine, TokenState};

/// One line of output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line<'a> {
    /// An account.
    Account {
        /// Its fields.
        #[serde(flatten)]
        account: &'a AccountView,
        /// Recovery phrase, right after registering.
        #[serde(skip_serializing_if = "Option::is_none")]
        phrase: Option<&'a str>,
    },
    /// Words of a message at one time.
    Edit {
        /// The message.
        message: MessageId,
        /// The words.
        text: &'a str,
        /// When their author says that they were written, RFC 3339.
        at: String,
        /// Whether they are the ones that it has now.
        current: bool,
    },
    /// The account log was replayed.
    Audit(AuditLine),
    /// A bot of the catalog.
    Bot {
        /// Its name there.
        name: &'a str,
        /// One sentence on what it does.
        about: &'a str,
        /// Handle of its account under this profile, if it has one.
        handle: Option<Handle>,
    },
    /// One finding of `doctor`.
    Check {
        /// What was looked at.
        name: &'a str,
        /// How it is.
        status: Status,
        /// In words.
        detail: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
    },
    /// A setting and its source.
    Config {
        /// Name.
        key: &'a str,
        /// Value.
        value: &'a str,
        /// Where it came from.
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<&'a str>,
    },
    /// A contact.
    Contact(&'a ContactView),
    /// The same, of whoever asks to be one: people see what it says.
    #[serde(rename = "contact")]
    ContactRequest(&'a ContactView),
    /// A device.
    Device {
        /// Its id.
        device_id: DeviceId,
        /// Its name.
        name: &'a str,
        /// Person or bot.
        kind: cipher_broker::certificate::Kind,
        /// Whether it is this one.
        current: bool,
        /// RFC 3339.
        created_at: String,
        /// Whether it was revoked.
        revoked: bool,
    },
    /// An action without a result of its own is done.
    Done {
        /// Which.
        action: &'a str,
        /// On what.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<&'a str>,
    },
    /// It failed.
    Error {
        /// Closed list.
        kind: &'a str,
        /// One sentence.
        message: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Whether the same command may succeed later.
        retryable: bool,
    },
    /// A file that a message names.
    File(Box<FileLine<'a>>),
    /// A group.
    Group(&'a GroupView),
    /// What was found against the registry.
    Evidence {
        /// What kind of finding.
        kind: &'a str,
        /// RFC 3339.
        at: String,
        /// One sentence.
        what: &'a str,
        /// Where it is kept, to be shown to others.
        file: Option<String>,
    },
    /// What is known of the account log.
    Head {
        /// Number of entries.
        size: u64,
        /// Root of the tree over them, hexadecimal.
        root: Option<String>,
        /// When the registry signed it, RFC 3339.
        at: Option<String>,
        /// Key of the registry, hexadecimal.
        registry_key: Option<String>,
    },
    /// A link by which a group can be joined.
    JoinLink {
        /// Names it, to revoke it.
        id: &'a str,
        /// The group.
        group: GroupId,
        /// The link.
        link: &'a str,
        /// RFC 3339.
        expires: String,
        /// How many may still join by it; null is no bound.
        uses: Option<u32>,
        /// Whether somebody approves each request.
        approval: bool,
        /// Who made it.
        by: &'a str,
    },
    /// A request of ours to join waits.
    JoinPending {
        /// The group.
        group: GroupId,
        /// Whether it is known that somebody has to approve.
        approval: bool,
    },
    /// Somebody wants to join.
    JoinRequest {
        /// The group.
        group: GroupId,
        /// Its name, for people.
        #[serde(skip)]
        name: &'a str,
        /// Handle, when known, else the account id.
        handle: &'a str,
        /// The account.
        account_id: AccountId,
        /// RFC 3339, by its clock.
        at: String,
    },
    /// A step of linking a device.
    Link(LinkLine<'a>),
    /// What this agent observed of a group.
    Event(Box<EventLine<'a>>),
    /// What a member said.
    Message(Box<MessageLine<'a>>),
    /// What an account lets others see of its presence.
    Presence {
        /// Handle, when known, else the account id.
        handle: &'a str,
        /// The account.
        account_id: AccountId,
        /// Its presence.
        presence: Presence,
    },
    /// A member is writing something, or is not any more.
    Typing {
        /// The conversation.
        group: GroupId,
        /// Handle, when known, else the account id.
        handle: &'a str,
        /// The account.
        account_id: AccountId,
        /// Whether it is.
        typing: bool,
    },
    /// How far something is that takes a while.
    Progress {
        /// So many.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A server, a bot or a profile is up; what is followed is shown from here on.
    Ready {
        /// Broker to use.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<&'a str>,
        /// Folder with its profiles.
        #[serde(skip_serializing_if = "Option::is_none")]
        home: Option<&'a str>,
        /// The profile that is kept open.
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<&'a str>,
        /// The bot.
        #[serde(skip_serializing_if = "Option::is_none")]
        bot: Option<&'a str>,
        /// Its handle.
        #[serde(skip_serializing_if = "Option::is_none")]
        handle: Option<&'a Handle>,
    },
    /// A safety number.
    SafetyNumber(&'a SafetyNumberView),
    /// What opens the store.
    Slot {
        /// From 1, in the order in which they were added.
        number: usize,
        /// `key`, `passphrase`, `keyring`, or `unknown`: of a later version.
        kind: &'static str,
    },
    /// An own message moved on.
    State {
        /// The message.
        id: MessageId,
        /// Its conversation.
        group: GroupId,
        /// Where it stands now.
        state: MessageState,
    },
    /// All is up to date.
    Synced {
        /// Messages received.
        received: u64,
        /// Own messages that came into the log.
        delivered: u64,
        /// The same per conversation.
        delivered_to: &'a [DeliveredView],
        /// Own messages that still wait.
        queued: u64,
        /// Logs that could not be read.
        unread: u64,
    },
    /// The connection to the broker is gone, or is back; on stderr.
    Connection {
        /// `lost` or `back`.
        state: &'static str,
        /// The servers, without logins.
        server: &'a str,
        /// Why it is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    /// What lets a program use some of the profile.
    Token(TokenLine<'a>),
    /// Something a person should know; on stderr, except among events.
    Warning {
        /// One sentence.
        message: &'a str,
    },
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but somebody should look.
    Warn,
    /// Does not work.
    Fail,
}

impl<'a> Line<'a> {
    /// The connection is gone, or is back.
    pub const fn connection(server: &'a str, reason: Option<&'a str>) -> Self {
        let state = if reason.is_some() { "lost" } else { "back" };
        Self::Connection { state, server, reason }
    }

    /// News; `None` for a kind of news this command line does not know.
    pub fn event(event: &'a Event) -> Option<Self> {
        match event {
            // Of who sent it nothing is told here that failed.
            Event::Message(message) | Event::Changed { message } => Some(Self::message(message, |_| None)),
            Event::State { group, id, state } => Some(Self::State { id: *id, group: *group, state: *state }),
            Event::Group(group) => Some(Self::Group(group)),
            Event::JoinRequest(request) => Some(Self::join_request(request)),
            Event::Presence { handle, account, presence } => {
                Some(Self::Presence { handle, account_id: *account, presence: *presence })
            }
            Event::Typing { group, handle, account, typing } => {
                Some(Self::Typing { group: *group, handle, account_id: *account, typing: *typing })
            }
            Event::Progress { done, total } => Some(Self::Progress { done: *done, total: *total }),
            Event::Evidence(evidence) => Some(Self::evidence(evidence, None)),
            Event::Connection { server, lost } => Some(Self::connection(server, lost.as_deref())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use cipher_api::view::{
        DeviceView, EvidenceKind, EvidenceView, ExhibitView, HeadView, JoinLinkView, JoinRequestView,
        LinkCodeView, LinkCompareView, Trust,
    };
    use cipher_broker::certificate::Kind;
    use cipher_broker::time::Timestamp;

    fn json(line: &Line<'_>) -> String {
        String::from_utf8(line.to_json().expect("written")).expect("UTF-8").trim_end().into()
    }

    /// Scripts rely on every name in here: fields may be added, these stay.
    #[test]
    fn lines_of_devices_trust_and_links_keep_their_names() {
        let at = Timestamp::from_millis(951_782_400_000);
        let group = GroupId::from_bytes([1; 16]);
        let code =
            LinkCodeView { code: "4k7x-m2pq".into(), uri: "cipher-chat:link/4k7x-m2pq".into(), expires: at };
        let compare =
            LinkCompareView { code: "4k7x-m2pq".into(), string: "123 4567".into(), other: "laptop".into() };
        let device = DeviceView {
            device_id: DeviceId::from_bytes([2; 16]),
            name: "laptop".into(),
            kind: Kind::Person,
            current: false,
            created_at: at,
            revoked: true,
        };
        let number = SafetyNumberView {
            handle: "bob".parse().expect("a handle"),
            account_id: AccountId::from_bytes([3; 32]),
            number: "12345 67890".into(),
            uri: "cipher-chat:verify/x".into(),
            trust: Trust::Changed,
        };
        let link = JoinLinkView {
            id: "mfrg".into(),
            group,
            link: "cipher-chat:join/x".into(),
            expires: at,
            uses: Some(5),
            approval: true,
            by: "ana".into(),
        };
        let request = JoinRequestView {
            group,
            group_name: "ops".into(),
            handle: "eve".into(),
            account_id: AccountId::from_bytes([3; 32]),
            at,
        };
        let evidence = EvidenceView {
            kind: EvidenceKind::SplitView,
            at,
            what: "two heads".into(),
            exhibits: vec![ExhibitView { name: "one".into(), bytes: vec![1] }],
        };
        let head = HeadView { registry_key: vec![0xab; 32], head: None, size: 0, log_cursor: 0 };
        let lines = [
            Line::Link(LinkLine::code(&code)),
            Line::Link(LinkLine::compare(&compare)),
            Line::Link(LinkLine::linked("ana")),
            Line::Link(LinkLine::failed("it expired")),
            Line::Link(LinkLine::done("ana", 3)),
            Line::Link(LinkLine::registered(&device)),
            Line::Link(LinkLine::sent(&device)),
            Line::device(&device),
            Line::Progress { done: 3, total: 10 },
            Line::SafetyNumber(&number),
            Line::join_link(&link),
            Line::JoinPending { group, approval: false },
            Line::join_request(&request),
            Line::Presence {
                handle: "bob",
                account_id: AccountId::from_bytes([3; 32]),
                presence: Presence::Away,
            },
            Line::Typing { group, handle: "bob", account_id: AccountId::from_bytes([3; 32]), typing: true },
            Line::evidence(&evidence, Some(Path::new("/p/evidence/x.json"))),
            Line::head(&head),
        ];
        insta::assert_snapshot!(lines.iter().map(json).collect::<Vec<_>>().join("\n"));
    }
}
