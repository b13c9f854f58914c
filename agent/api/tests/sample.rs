//! Values to show.

use cipher_api::view::{
    AccountView, AttachmentView, BotChange, BotChangeView, BotEventView, BotMemberView, ContactState,
    ContactView, DeniedView, DeviceView, EvidenceKind, EvidenceView, ExhibitView, FileView, GroupState,
    GroupView, HeadView, JoinLinkView, JoinRequestView, LinkCodeView, LinkCompareView, LogLostView,
    MemberView, MessageState, MessageView, OfferedView, OpenFileView, PreviewView, RecoveringView,
    RecoveringWhy, RequestPolicy, SafetyNumberView, SenderView, StatusView, TokenView, Trust, UploadView,
};
use cipher_api::view::{
    Body, GrantView, GrantedView, GroupEvent, MissingView, PollOptionView, PollView, ReactionView,
    ReceiptView, SettingsView, WhoMay, WhoView,
};
use cipher_api::view::{QuotedState, QuotedView};
use cipher_api::{Advice, Error, ErrorKind};
use cipher_broker::certificate::{Kind, Owner};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, FileId, GroupId, MessageId};
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::registry::Presence;

pub(crate) fn attachment() -> AttachmentView {
    AttachmentView {
        name: "notes.txt".into(),
        size: 300_000,
        mime: "text/plain".into(),
        id: file(),
        expires: Some(at(9)),
        preview: None,
    }
}

/// A picture that is shown before it is fetched.
pub(crate) fn picture() -> AttachmentView {
    let (name, mime) = ("cat.png".into(), "image/png".into());
    AttachmentView { name, mime, preview: Some(preview()), ..attachment() }
}

pub(crate) fn preview() -> PreviewView {
    PreviewView { mime: "image/jpeg".into(), width: 160, height: 120, bytes: b"\xff\xd8\xff\xe0".to_vec() }
}

pub(crate) const fn file() -> FileId {
    FileId::from_bytes([11; 16])
}

pub(crate) fn upload() -> UploadView {
    UploadView { id: file(), key: vec![12; 32], chunk_bytes: 262_144, done: 1 }
}

pub(crate) fn file_view() -> FileView {
    let said = said();
    FileView { file: attachment(), message: said.id, group: said.group, from: said.from, at: at(3) }
}

pub(crate) fn open_file() -> OpenFileView {
    OpenFileView { file: file_view(), key: vec![12; 32], hash: vec![7; 32], chunk_bytes: 262_144 }
}

pub(crate) fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

pub(crate) const fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 32])
}

pub(crate) const fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

pub(crate) const fn group(n: u8) -> GroupId {
    GroupId::from_bytes([n; 16])
}

pub(crate) const fn message(n: u8) -> MessageId {
    MessageId::from_bytes([n; 16])
}

pub(crate) const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_709_210_096_789 + seconds * 1000)
}

pub(crate) fn owner() -> Owner {
    Owner { account: account(1), account_key: [0xab; 32] }
}

pub(crate) fn error() -> Error {
    ErrorKind::Unreachable.because("the broker cannot be reached").hint(Advice::CheckBroker)
}

pub(crate) fn account_view() -> AccountView {
    AccountView {
        handle: handle("alice"),
        account_id: account(1),
        device_id: Some(device(1)),
        kind: Kind::Person,
        owner: None,
        name: "Alice".into(),
        status: "on the train".into(),
        presence: Presence::Available,
        trust: None,
        warning: None,
    }
}

pub(crate) fn bot_view() -> AccountView {
    AccountView {
        handle: handle("echo"),
        account_id: account(3),
        device_id: None,
        kind: Kind::Bot,
        owner: Some("alice".into()),
        name: String::new(),
        status: String::new(),
        presence: Presence::Offline,
        trust: Some(Trust::Unverified),
        warning: Some("looks like @echo_".into()),
    }
}

pub(crate) fn contact_view() -> ContactView {
    ContactView {
        handle: handle("bob"),
        account_id: account(2),
        name: "Bob".into(),
        status: String::new(),
        presence: Presence::Away,
        state: ContactState::Requested,
        trust: Trust::Verified,
        devices: 2,
        text: Some("hi, it is me".into()),
        warning: None,
    }
}

pub(crate) fn device_view() -> DeviceView {
    DeviceView {
        device_id: device(1),
        name: "laptop".into(),
        kind: Kind::Person,
        current: true,
        created_at: at(0),
        revoked: false,
    }
}

pub(crate) fn link_code() -> LinkCodeView {
    LinkCodeView { code: "4k7x-m2pq".into(), uri: "cipher-chat:link/4k7x-m2pq".into(), expires: at(900) }
}

pub(crate) fn compare() -> LinkCompareView {
    LinkCompareView { code: "4k7x-m2pq".into(), string: "123 4567".into(), other: "laptop".into() }
}

pub(crate) fn safety_number() -> SafetyNumberView {
    SafetyNumberView {
        handle: handle("bob"),
        account_id: account(2),
        number: "12345 67890".into(),
        uri: "cipher-chat:verify/x".into(),
        trust: Trust::Changed,
    }
}

pub(crate) fn member() -> MemberView {
    MemberView {
        handle: "alice".into(),
        account_id: account(1),
        role: Role::Owner,
        kind: Kind::Person,
        devices: 1,
        owner: None,
        trust: None,
        warning: None,
    }
}

pub(crate) fn group_view() -> GroupView {
    GroupView {
        id: group(1),
        name: "ops".into(),
        epoch: 7,
        members: vec![member()],
        accounts: 1,
        direct: false,
        unread: 3,
        mentions: 1,
        state: GroupState::Active,
        invited_by: None,
        suite: 3,
        authenticator: "ab12".into(),
        banned: vec!["mallory".into()],
        links: 1,
        recovering: None,
        muted: None,
        settings: settings(),
    }
}

pub(crate) fn settings() -> SettingsView {
    SettingsView {
        topic: "who is on call".into(),
        delete: WhoMay::Admins,
        pin: WhoMay::Owners,
        edit_seconds: Some(900),
        expire_seconds: Some(3600),
        retention_seconds: None,
        history: WhoMay::All,
    }
}

pub(crate) fn recovering() -> RecoveringView {
    RecoveringView {
        why: RecoveringWhy::Gap,
        since: at(0),
        asked: 2,
        denied: Some(DeniedView { account_id: account(2), handle: "bob".into(), at: at(1), over: false }),
        offered: Some(OfferedView { account_id: account(4), handle: "dave".into(), at: at(2) }),
        declined: true,
    }
}

pub(crate) fn join_link() -> JoinLinkView {
    JoinLinkView {
        id: "mfrg".into(),
        group: group(1),
        link: "cipher-chat:join/x".into(),
        expires: at(3600),
        uses: Some(5),
        approval: true,
        by: "alice".into(),
    }
}

pub(crate) fn join_request() -> JoinRequestView {
    JoinRequestView {
        group: group(1),
        group_name: "ops".into(),
        handle: "eve".into(),
        account_id: account(5),
        at: at(0),
    }
}

fn sender() -> SenderView {
    SenderView { handle: "bob".into(), account_id: account(2), device_id: device(2), kind: Kind::Person }
}

pub(crate) fn said() -> MessageView {
    MessageView {
        seq: Some(42),
        at: Some(at(1)),
        unread: true,
        reply_to: Some(message(2)),
        hops: 1,
        edited: true,
        reactions: vec![ReactionView { emoji: "\u{1f44d}".into(), by: vec!["alice".into()], own: true }],
        attachments: vec![attachment()],
        edited_at: Some(at(2)),
        mentions: vec!["alice".into()],
        mentions_own: true,
        thread: Some(message(3)),
        forwarded: true,
        pinned_by: Some("alice".into()),
        ..MessageView::received(message(1), group(1), sender(), at(0), "hello")
    }
}

pub(crate) fn poll() -> MessageView {
    let option = |text: &str, by: &[&str]| PollOptionView {
        text: text.into(),
        votes: by.len(),
        by: by.iter().map(|by| (*by).to_owned()).collect(),
        own: by.contains(&"alice"),
    };
    let options = vec![option("tea", &["alice", "carol"]), option("coffee", &[])];
    let poll = PollView { options, multiple: true, closed: true, voters: 2 };
    MessageView { body: Body::Poll(poll), text: "what?".into(), ..said() }
}

pub(crate) fn answer(from: Option<&str>, state: QuotedState, text: &str) -> MessageView {
    let quoted = QuotedView { from: from.map(Into::into), state, text: text.into() };
    MessageView { quoted: Some(quoted), ..said() }
}

pub(crate) fn unknown_kind() -> MessageView {
    MessageView { body: Body::Unknown("dance".into()), text: String::new(), seq: None, at: None, ..said() }
}

pub(crate) fn missing() -> MessageView {
    let missing = MissingView { handle: "carol".into(), account_id: account(6), count: 3 };
    MessageView { body: Body::Missing(vec![missing]), text: String::new(), ..said() }
}

pub(crate) fn grants() -> MessageView {
    let grant = GrantView {
        to: "carol".into(),
        account_id: account(6),
        count: 40,
        from: at(1),
        until: at(2),
        refused: false,
    };
    MessageView { body: Body::Grant(grant), text: "gave @carol the last 40 messages".into(), ..said() }
}

pub(crate) fn granted() -> MessageView {
    let granted = GrantedView {
        message: MessageId::from_bytes([7; 16]),
        from: "alice".into(),
        account_id: account(1),
        reply_to: Some(MessageId::from_bytes([8; 16])),
        edited: true,
    };
    MessageView { body: Body::Granted(granted), ..said() }
}

pub(crate) fn reached() -> MessageView {
    let receipt =
        |handle: &str, n, state, at| ReceiptView { handle: handle.into(), account_id: account(n), state, at };
    let receipts = vec![
        receipt("bob", 2, MessageState::Read, Some(at(1))),
        receipt("carol", 6, MessageState::Delivered, None),
    ];
    MessageView { state: MessageState::Read, unread: false, receipts, ..said() }
}

pub(crate) fn disappears() -> MessageView {
    MessageView { expire: Some(3600), expires_at: Some(at(9)), unread: false, ..said() }
}

pub(crate) fn disappeared() -> MessageView {
    let mut view = disappears();
    view.leave_nothing();
    view
}

pub(crate) fn failed() -> MessageView {
    let why = ErrorKind::Refused.because("you are not in 'ops' any more").hint(Advice::AskInviteAgain);
    MessageView {
        state: MessageState::Failed,
        seq: None,
        unread: false,
        failure: Some(Box::new(why)),
        ..said()
    }
}

pub(crate) fn observed(event: GroupEvent) -> MessageView {
    let who = vec![WhoView { handle: "carol".into(), account_id: account(6) }];
    MessageView {
        body: Body::Event { event, who },
        text: "@bob added @carol".into(),
        reply_to: None,
        hops: 0,
        edited: false,
        reactions: Vec::new(),
        attachments: Vec::new(),
        edited_at: None,
        mentions: Vec::new(),
        mentions_own: false,
        thread: None,
        forwarded: false,
        pinned_by: None,
        ..said()
    }
}

pub(crate) fn bot_event() -> BotEventView {
    BotEventView {
        message: said(),
        changed_at: Some(at(1)),
        change: Some(BotChangeView { what: BotChange::Edited, hops: 0 }),
        position: 42,
        place: 1,
        by: BotMemberView {
            handle: "bob".into(),
            account_id: account(2),
            kind: Some(Kind::Person),
            role: Some(Role::Admin),
        },
        who: Some(BotMemberView { handle: "carol".into(), account_id: account(6), kind: None, role: None }),
        memory: Some(vec![1, 2, 0xff]),
        group_name: "ops".into(),
        direct: false,
    }
}

fn bot_change(message: MessageView, what: BotChange) -> BotEventView {
    BotEventView { message, change: Some(BotChangeView { what, hops: 1 }), who: None, ..bot_event() }
}

pub(crate) fn bot_reaction() -> BotEventView {
    bot_change(said(), BotChange::Reaction { emoji: "\u{1f44d}".into(), removed: true })
}

pub(crate) fn bot_vote() -> BotEventView {
    bot_change(poll(), BotChange::Vote { options: vec!["tea".into()] })
}

pub(crate) fn bot_poll_closed() -> BotEventView {
    bot_change(poll(), BotChange::PollClosed)
}

pub(crate) fn bot_pin() -> BotEventView {
    bot_change(said(), BotChange::Pinned { removed: true })
}

pub(crate) fn evidence() -> EvidenceView {
    EvidenceView {
        kind: EvidenceKind::SplitView,
        at: at(0),
        what: "two heads".into(),
        exhibits: vec![ExhibitView { name: "one".into(), bytes: vec![0xde, 0xad] }],
    }
}

pub(crate) fn head() -> HeadView {
    HeadView {
        registry_key: vec![0xab; 32],
        head: Some(Signed { body: vec![1, 2], signature: vec![3; 64] }),
        size: 9,
        log_cursor: 8,
    }
}

pub(crate) fn status() -> StatusView {
    StatusView {
        registered: true,
        groups: 2,
        invitations: 1,
        outbox: 0,
        questions: 0,
        registry_silent: false,
        key_packages: Some(20),
        skipped: [("link".to_owned(), 2)].into(),
        clock_skew_ms: Some(-12),
        doubled_at: Some(at(0)),
        stopped: false,
        log_lost: Some(LogLostView {
            at: at(0),
            conversations: 1,
            open: 0,
            messages: 4,
            commits: 1,
            missing: 2,
        }),
        schema: 1,
        requests: RequestPolicy::Deployment,
        receipts: true,
        arriving: false,
        sending: vec![device(2)],
        linking: false,
        phrase_due: false,
    }
}

pub(crate) fn token_view() -> TokenView {
    TokenView {
        name: "bridge".into(),
        groups: Some(vec![group(1)]),
        methods: vec!["message.send".into()],
        expires_at: at(0),
    }
}
