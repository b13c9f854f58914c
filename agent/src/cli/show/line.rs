//! What `--json` prints: one object per line, each with its `type`. Scripts rely on these names.

use std::io;
use std::path::Path;

use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::transparency::TreeHead;
use cipher_broker::wire::content;
use cipher_broker::wire::registry::Presence;
use cipher_core::Event;
use cipher_core::view::DeliveredView;
use cipher_core::view::{
    AccountView, Body, ContactView, DeviceView, EvidenceView, GroupEvent, GroupView, HeadView, JoinLinkView,
    JoinRequestView, LinkCodeView, LinkCompareView, MessageState, MessageView, MissingView, SafetyNumberView,
    SenderView,
};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::cli::show::safe_text::is_hidden;

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
    /// How far something is that takes a while.
    Progress {
        /// So many.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A server or a bot is up.
    Ready {
        /// Broker to use.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<&'a str>,
        /// Folder with its profiles.
        #[serde(skip_serializing_if = "Option::is_none")]
        home: Option<&'a str>,
        /// The bot.
        #[serde(skip_serializing_if = "Option::is_none")]
        bot: Option<&'a str>,
        /// Its handle.
        #[serde(skip_serializing_if = "Option::is_none")]
        handle: Option<&'a Handle>,
    },
    /// A safety number.
    SafetyNumber(&'a SafetyNumberView),
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
    /// Something a person should know; on stderr, except among events.
    Warning {
        /// One sentence.
        message: &'a str,
    },
}

/// An audit without a finding.
#[derive(Debug, Serialize)]
pub struct AuditLine {
    /// Entries that were verified.
    pub entries: u64,
    /// Accounts in them.
    pub accounts: usize,
    /// Active devices of those accounts.
    pub devices: usize,
    /// Devices that were revoked.
    pub revoked: usize,
    /// Size of the head that the registry shows.
    pub size: u64,
    /// Its root, hexadecimal; that of the rebuilt tree too.
    pub root: String,
    /// When it was signed, RFC 3339.
    pub at: String,
    /// Key that signed it, hexadecimal.
    pub registry_key: String,
    /// Heads that the log was compared with.
    pub compared: usize,
    /// How long it took.
    pub seconds: f64,
    /// Entries a second.
    pub rate: u64,
}

/// A step of linking a device as scripts see it: `code`, `compare`, `linked`, `failed`, `done` on the new one,
/// `compare`, `registered`, `done` on the one that approves.
#[derive(Debug, Default, Serialize)]
pub struct LinkLine<'a> {
    /// Which step.
    pub stage: &'a str,
    /// The code to approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    /// The same as a QR code says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<&'a str>,
    /// Until when the code is good, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What both sides show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<&'a str>,
    /// What the other side says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<&'a str>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<&'a str>,
    /// The new device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Groups it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

impl<'a> LinkLine<'a> {
    /// A code waits to be approved.
    pub fn code(code: &'a LinkCodeView) -> Self {
        Self {
            stage: "code",
            code: Some(&code.code),
            uri: Some(&code.uri),
            expires: Some(code.expires.to_string()),
            ..Self::default()
        }
    }

    /// Both sides know what to compare.
    pub fn compare(compare: &'a LinkCompareView) -> Self {
        Self {
            stage: "compare",
            code: Some(&compare.code),
            string: Some(&compare.string),
            other: Some(&compare.other),
            ..Self::default()
        }
    }

    /// This device is the account's.
    pub fn linked(handle: &'a str) -> Self {
        Self { stage: "linked", handle: Some(handle), ..Self::default() }
    }

    /// It ended, and nothing was changed.
    pub fn failed(reason: &'a str) -> Self {
        Self { stage: "failed", reason: Some(reason), ..Self::default() }
    }

    /// Groups and history are here.
    pub fn done(handle: &'a str, groups: usize) -> Self {
        Self { stage: "done", handle: Some(handle), groups: Some(groups), ..Self::default() }
    }

    /// The registry has the new device.
    pub fn registered(device: &'a DeviceView) -> Self {
        Self {
            stage: "registered",
            device_id: Some(device.device_id),
            other: Some(&device.name),
            ..Self::default()
        }
    }

    /// Everything for the new device has left.
    pub fn sent(device: &'a DeviceView) -> Self {
        Self {
            stage: "done",
            device_id: Some(device.device_id),
            other: Some(&device.name),
            ..Self::default()
        }
    }
}

/// A message as scripts see it.
#[derive(Debug, Serialize)]
pub struct MessageLine<'a> {
    id: MessageId,
    group: GroupId,
    seq: Option<u64>,
    from: &'a SenderView,
    /// RFC 3339, by the sender's clock.
    sent_at: String,
    /// RFC 3339, by the broker's clock; null while it waits for the broker.
    at: Option<String>,
    kind: &'a str,
    text: &'a str,
    state: MessageState,
    reply_to: Option<MessageId>,
    edited: bool,
    deleted: bool,
    reactions: [(); 0],
    mentions: [(); 0],
    thread: Option<MessageId>,
    attachments: [(); 0],
    hops: u8,
    /// Of kind `missing`: whose messages the sender says were lost and are not here, and how many.
    #[serde(skip_serializing_if = "<[MissingView]>::is_empty")]
    missing: &'a [MissingView],
}

/// A change of a group, with the names that scripts rely on.
#[derive(Debug, Serialize)]
pub struct EventLine<'a> {
    event: GroupEvent,
    id: MessageId,
    group: GroupId,
    seq: Option<u64>,
    at: String,
    by: Option<&'a str>,
    who: Vec<&'a str>,
    text: &'a str,
}

impl EventLine<'_> {
    /// When, RFC 3339.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// One sentence of this agent.
    pub const fn text(&self) -> &str {
        self.text
    }
}

impl MessageLine<'_> {
    /// Who sent it.
    pub const fn from(&self) -> &SenderView {
        self.from
    }

    /// When, RFC 3339.
    pub fn sent_at(&self) -> &str {
        &self.sent_at
    }

    /// The name of its kind, as its sender gave it.
    pub const fn kind(&self) -> &str {
        self.kind
    }

    /// Its text.
    pub const fn text(&self) -> &str {
        self.text
    }

    /// Where it stands.
    pub const fn state(&self) -> MessageState {
        self.state
    }

    /// Whether it answers another.
    pub const fn is_reply(&self) -> bool {
        self.reply_to.is_some()
    }
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
    /// An account.
    pub const fn account(account: &'a AccountView) -> Self {
        Self::Account { account, phrase: None }
    }

    /// A device.
    pub fn device(device: &'a DeviceView) -> Self {
        Self::Device {
            device_id: device.device_id,
            name: &device.name,
            kind: device.kind,
            current: device.current,
            created_at: device.created_at.to_string(),
            revoked: device.revoked,
        }
    }

    /// What was found against the registry.
    pub fn evidence(evidence: &'a EvidenceView, file: Option<&Path>) -> Self {
        Self::Evidence {
            kind: &evidence.kind,
            at: evidence.at.to_string(),
            what: &evidence.what,
            file: file.map(|file| file.display().to_string()),
        }
    }

    /// What is known of the account log.
    pub fn head(head: &HeadView) -> Self {
        let known: Option<TreeHead> =
            head.head.as_ref().and_then(|signed| cipher_broker::codec::decode(&signed.body).ok());
        Self::Head {
            size: known.as_ref().map_or(head.size, |head| head.size),
            root: known.as_ref().map(|head| HEXLOWER.encode(&head.root)),
            at: known.as_ref().map(|head| head.at.to_string()),
            registry_key: (!head.registry_key.is_empty()).then(|| HEXLOWER.encode(&head.registry_key)),
        }
    }

    /// A link to a group.
    pub fn join_link(link: &'a JoinLinkView) -> Self {
        Self::JoinLink {
            id: &link.id,
            group: link.group,
            link: &link.link,
            expires: link.expires.to_string(),
            uses: link.uses,
            approval: link.approval,
            by: &link.by,
        }
    }

    /// Somebody wants to join.
    pub fn join_request(request: &'a JoinRequestView) -> Self {
        Self::JoinRequest {
            group: request.group,
            name: &request.group_name,
            handle: &request.handle,
            account_id: request.account_id,
            at: request.at.to_string(),
        }
    }

    /// The connection is gone, or is back.
    pub const fn connection(server: &'a str, reason: Option<&'a str>) -> Self {
        let state = if reason.is_some() { "lost" } else { "back" };
        Self::Connection { state, server, reason }
    }

    /// What stands at one place of a conversation: a member's words are a message, whatever they call themselves, and
    /// only what this agent observed is an event.
    pub fn message(message: &'a MessageView) -> Self {
        let kind = match &message.body {
            Body::Text => content::TEXT,
            Body::Unknown(kind) => kind,
            Body::Missing(_) => content::MISSING,
            Body::Event { event, who } => {
                let alone = matches!(event, GroupEvent::Joined | GroupEvent::Left | GroupEvent::Missed);
                return Self::Event(Box::new(EventLine {
                    event: *event,
                    id: message.id,
                    group: message.group,
                    seq: message.seq,
                    at: message.sent_at.to_string(),
                    by: (!alone).then_some(message.from.handle.as_str()),
                    who: who.iter().map(|who| who.handle.as_str()).collect(),
                    text: &message.text,
                }));
            }
        };
        Self::Message(Box::new(MessageLine {
            id: message.id,
            group: message.group,
            seq: message.seq,
            from: &message.from,
            sent_at: message.sent_at.to_string(),
            at: message.at.map(|at| at.to_string()),
            kind,
            text: &message.text,
            state: message.state,
            reply_to: message.reply_to,
            edited: false,
            deleted: false,
            reactions: [],
            mentions: [],
            thread: None,
            attachments: [],
            hops: message.hops,
            missing: match &message.body {
                Body::Missing(missing) => missing,
                Body::Text | Body::Unknown(_) | Body::Event { .. } => &[],
            },
        }))
    }

    /// News; `None` for a kind of news this command line does not know.
    pub fn event(event: &'a Event) -> Option<Self> {
        match event {
            Event::Message(message) => Some(Self::message(message)),
            Event::State { group, id, state } => Some(Self::State { id: *id, group: *group, state: *state }),
            Event::Group(group) => Some(Self::Group(group)),
            Event::JoinRequest(request) => Some(Self::join_request(request)),
            Event::Presence { handle, account, presence } => {
                Some(Self::Presence { handle, account_id: *account, presence: *presence })
            }
            Event::Progress { done, total } => Some(Self::Progress { done: *done, total: *total }),
            Event::Evidence(evidence) => Some(Self::evidence(evidence, None)),
            Event::Warning(message) => Some(Self::Warning { message }),
            Event::Connection { server, lost } => Some(Self::connection(server, lost.as_deref())),
            _ => None,
        }
    }

    /// The line, with its newline.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Visible))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// JSON in which nothing hidden is left raw: `serde_json` escapes C0 only, and these lines are read on
/// terminals too.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_hidden(*c)) {
            CompactFormatter.write_string_fragment(to, fragment.get(plain..at).unwrap_or_default())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        CompactFormatter.write_string_fragment(to, fragment.get(plain..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::certificate::Kind;
    use cipher_broker::time::Timestamp;
    use cipher_core::view::Trust;

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
            kind: "split-view".into(),
            at,
            what: "two heads".into(),
            exhibits: vec![("one".into(), vec![1])],
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
            Line::evidence(&evidence, Some(Path::new("/p/evidence/x.json"))),
            Line::head(&head),
        ];
        insta::assert_snapshot!(lines.iter().map(json).collect::<Vec<_>>().join("\n"));
    }

    /// T02: still the same text to a parser, and nothing raw to a terminal.
    #[test]
    fn t02_json_carries_hostile_text_without_a_raw_hidden_character() {
        let message = "\x1b[31m\u{9b}2J\u{202e}x\u{2028}\u{200d}\u{feff}\u{e0041}\"\\\n\t漢👍\x7f";
        let json = String::from_utf8(Line::Warning { message }.to_json().expect("written")).expect("UTF-8");
        let line = json.strip_suffix('\n').expect("one line");
        assert!(line.chars().all(|c| !is_hidden(c) && !c.is_control()), "{line}");
        let back: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(back["message"], message);
        assert_eq!(back["type"], "warning");
        assert!(line.contains("漢👍"));
    }
}
