//! Requests and their replies.

use std::collections::BTreeMap;

use cipher_api::command::{
    account, bot, contact, device, event, evidence, file, group, history, invite, message, poll, status,
};
use cipher_api::reply::Done;
use cipher_api::request::METHODS;
use cipher_api::view::{
    ContactState, EditView, GroupState, HistoryPolicy, QuotedState, RequestPolicy, Trust, WhoMay,
};
use cipher_api::view::{
    ContactView, DeliveredView, EventsView, FileView, GroupView, KeptEvent, MutedView, RecoveringWhy,
};
use cipher_api::{Ask, Command, Cursor, Event, Reply, Target, Who};
use cipher_broker::wire::group::Role;
use cipher_broker::wire::registry::Presence;
use serde_json::{Value, json};

use crate::golden;
use crate::sample;

/// What is in the files: a method's parameters and results, each of them with everything filled in first.
#[derive(Default)]
struct Methods(BTreeMap<&'static str, Value>);

impl Methods {
    fn add<R>(&mut self, requests: &[R], replies: &[R::Reply])
    where
        R: Ask + Clone + PartialEq + std::fmt::Debug,
        R::Reply: PartialEq + std::fmt::Debug + Clone + Into<Reply>,
    {
        for request in requests {
            let command: Command = request.clone().into();
            assert_eq!(command.method(), R::METHOD);
            let read = Command::from_method(R::METHOD, command.params().unwrap()).unwrap().unwrap();
            assert_eq!(read, command);
        }
        for reply in replies {
            let sent = Command::result(R::METHOD, reply.clone().into()).unwrap();
            assert_eq!(sent, serde_json::to_value(reply).unwrap(), "the core's answer is the reply");
        }
        let params: Vec<Value> = requests.iter().map(golden::json).collect();
        let results: Vec<Value> = replies.iter().map(golden::json).collect();
        let old = self.0.insert(R::METHOD, json!({ "params": params, "results": results }));
        assert_eq!(old, None, "{}", R::METHOD);
    }
}

const DONE: &[Done] = &[Done {}];

#[test]
fn every_method_has_its_golden_json() {
    let handle = sample::handle;
    let ops = || Target::Name("ops".into());
    let group_view = || [sample::group_view()];
    let mut methods = Methods::default();

    // The own account.
    let owned =
        account::BotOwnership { owner: sample::owner(), handle: handle("alice"), signature: vec![7; 64] };
    let registered = |phrase: Option<&str>| account::Registered {
        account: sample::account_view(),
        phrase: phrase.map(Into::into),
    };
    methods.add(
        &[
            account::Register {
                handle: handle("echo"),
                name: "Echo".into(),
                bot: Some(owned),
                invite_code: Some("let-me-in".into()),
            },
            account::Register { handle: handle("alice"), name: String::new(), bot: None, invite_code: None },
        ],
        &[registered(Some("abandon ability able")), registered(None)],
    );
    methods.add(&[account::PhraseShown {}], DONE);
    methods.add(&[account::Show {}], &[sample::account_view()]);
    methods.add(&[account::Active {}], DONE);
    let profile = account::SetProfile {
        name: Some("Alice".into()),
        status: Some(String::new()),
        presence: Some(Presence::Busy),
    };
    let nothing = account::SetProfile { name: None, status: None, presence: None };
    methods.add(&[profile, nothing], &[sample::account_view()]);
    methods.add(&[account::ShowProfile { handle: handle("echo") }], &[sample::bot_view()]);
    let policies = [RequestPolicy::Contacts, RequestPolicy::Deployment, RequestPolicy::Anyone];
    methods.add(&policies.map(|policy| account::SetRequests { policy }), DONE);
    methods.add(&[true, false].map(|on| account::SetReceipts { on }), DONE);

    // Contacts.
    let contact = || [sample::contact_view()];
    let states = [
        ContactState::Pending,
        ContactState::Requested,
        ContactState::Accepted,
        ContactState::Blocked,
        ContactState::Unknown,
    ];
    let trusts = [Trust::Unverified, Trust::Verified, Trust::Changed, Trust::Unknown];
    let contacts: Vec<ContactView> = states
        .iter()
        .zip(trusts.iter().cycle())
        .map(|(state, trust)| ContactView { state: *state, trust: *trust, ..sample::contact_view() })
        .collect();
    let bob = || handle("bob");
    let who = [Who::Handle(bob()), Who::Account(sample::account(2))];
    methods.add(&[contact::Add { handle: bob(), text: Some("hi".into()) }], &contact());
    methods.add(&[contact::List {}], &[contacts]);
    methods.add(&[contact::Accept { handle: bob() }], &contact());
    methods.add(&[contact::Decline { handle: bob() }], DONE);
    methods.add(&[contact::Remove { handle: bob() }], DONE);
    methods.add(&who.clone().map(|who| contact::Block { who }), &contact());
    let unblocked = [Some(sample::contact_view()), None];
    methods.add(&who.clone().map(|who| contact::Unblock { who }), &unblocked);
    let compared = contact::Verify { handle: bob(), code: Some("12345 67890".into()) };
    methods.add(&[compared, contact::Verify { handle: bob(), code: None }], &[sample::safety_number()]);
    methods.add(&[contact::Trust { handle: bob() }], &contact());

    // Devices.
    let device_view = || [sample::device_view()];
    methods.add(&[device::List {}], &[vec![sample::device_view()]]);
    methods.add(&[device::Link { name: "laptop".into() }], &[sample::link_code()]);
    let policies = [HistoryPolicy::All, HistoryPolicy::None, HistoryPolicy::Days(30)];
    let approve = |history| device::Approve { code: "4k7x-m2pq".into(), history };
    methods.add(&policies.map(approve), &[sample::compare()]);
    let confirm = device::Confirm { code: "4k7x-m2pq".into(), equal: true };
    methods.add(&[confirm], &[Some(sample::device_view()), None]);
    methods.add(&[device::Rename { device: "laptop".into(), name: "old laptop".into() }], &device_view());
    methods.add(&[device::Revoke { device: "laptop".into() }], &device_view());
    methods.add(&[device::Resume {}], DONE);
    let recover = device::Recover { phrase: "abandon ability able".into(), name: "laptop".into() };
    methods.add(&[recover], &[sample::account_view()]);
    let behind = [device::Backup { behind: None }, device::Backup { behind: Some(b"behind".to_vec()) }];
    let part = |next: Option<&[u8]>| device::BackupPart {
        part: b"part".to_vec(),
        next: next.map(<[u8]>::to_vec),
        done: 3,
        total: 10,
    };
    methods.add(&behind, &[part(Some(b"behind")), part(None)]);
    methods.add(&[device::Restore { part: b"part".to_vec() }], DONE);
    let returns = |keep_devices, signature| device::Return { name: "laptop".into(), keep_devices, signature };
    let returned = [
        device::Returned { account: Some(sample::account_view()), certificate: None },
        device::Returned { account: None, certificate: Some(b"certificate".to_vec()) },
    ];
    methods.add(&[returns(None, None), returns(Some(true), Some(vec![1; 64]))], &returned);

    // Groups.
    let states = [
        GroupState::Invited,
        GroupState::Active,
        GroupState::Leaving,
        GroupState::Left,
        GroupState::Removed,
        GroupState::Restored,
        GroupState::Stuck,
        GroupState::Unknown,
    ];
    let groups: Vec<GroupView> =
        states.iter().map(|state| GroupView { state: *state, ..sample::group_view() }).collect();
    let whys = [
        RecoveringWhy::Gap,
        RecoveringWhy::UnusableCommit,
        RecoveringWhy::OwnCommit,
        RecoveringWhy::Doubled,
        RecoveringWhy::LogWentBack,
        RecoveringWhy::Replaced,
        RecoveringWhy::Damaged,
        RecoveringWhy::Unknown,
    ];
    for why in whys {
        assert_eq!(serde_json::to_value(why).unwrap(), why.name());
    }
    let lost = whys.map(|why| GroupView {
        recovering: Some(cipher_api::view::RecoveringView { why, ..sample::recovering() }),
        invited_by: Some(bob()),
        ..sample::group_view()
    });
    let create = group::Create { name: "ops".into(), with: vec![bob()], post_quantum: true };
    methods.add(&[create], &group_view());
    methods.add(&[group::List {}], &[groups]);
    let targets = [ops(), Target::Account(bob()), Target::Group(sample::group(1))];
    methods.add(&targets.map(|target| group::Show { target }), &lost);
    methods.add(&[group::Accept { target: ops() }], &group_view());
    methods.add(&[group::Decline { target: ops() }], DONE);
    methods.add(&[group::Add { target: ops(), handles: vec![bob()] }], &group_view());
    methods.add(&[group::Remove { target: ops(), who: who.to_vec() }], &group_view());
    let set = group::Set {
        target: ops(),
        topic: Some("who is on call".into()),
        delete: Some(WhoMay::Admins),
        pin: Some(WhoMay::All),
        edit_seconds: Some(900),
        expire_seconds: Some(3600),
        retention_seconds: Some(86_400),
        history: Some(WhoMay::All),
    };
    let unset = group::Set {
        topic: None,
        delete: None,
        pin: None,
        edit_seconds: Some(0),
        expire_seconds: None,
        retention_seconds: Some(0),
        history: Some(WhoMay::Nobody),
        ..set.clone()
    };
    methods.add(&[set, unset], &[sample::group_view()]);
    methods.add(&[group::Rename { target: ops(), name: "night".into() }], &group_view());
    let mute = |until, mentions| group::Mute { target: ops(), until, mentions };
    let muted = GroupView {
        muted: Some(MutedView { until: Some(sample::at(9)), mentions: true }),
        ..sample::group_view()
    };
    methods.add(&[mute(Some(sample::at(9)), true), mute(None, false)], &[muted, sample::group_view()]);
    methods.add(&[group::Unmute { target: ops() }], &group_view());
    methods.add(&[group::Alias { target: ops(), name: "work".into() }], &group_view());
    let roles = [Role::Member, Role::Admin, Role::Owner];
    let role = |role| group::SetRole { target: ops(), who: Who::Handle(bob()), role };
    methods.add(&roles.map(role), &group_view());
    methods.add(&[group::Leave { target: ops() }], DONE);
    methods.add(&[group::Ban { target: ops(), who: who.to_vec(), lift: true }], &group_view());

    // Links to groups.
    let create = |uses| invite::Create { target: ops(), lifetime: 3600, uses, approval: true };
    methods.add(&[create(Some(5)), create(None)], &[sample::join_link()]);
    methods.add(&[invite::List { target: ops() }], &[vec![sample::join_link()]]);
    methods.add(&[invite::Revoke { target: ops(), link: "mfrg".into() }], DONE);
    methods.add(
        &[invite::Join { link: "cipher-chat:join/x".into() }],
        &[
            invite::Joined::Group(Box::new(sample::group_view())),
            invite::Joined::JoinPending { group: sample::group(1), approval: true },
        ],
    );
    methods.add(
        &[invite::Requests { target: Some(ops()) }, invite::Requests { target: None }],
        &[vec![sample::join_request()]],
    );
    let answer = invite::Answer { target: ops(), account: "eve".into(), accept: true };
    methods.add(&[answer], &[Some(sample::group_view()), None]);

    // What is said.
    let send = |reply_to| message::Send { reply_to, ..message::Send::new(ops(), "hello") };
    let thread = Some(message::MessageRef { id: "aeaqca".into(), within: None });
    let in_thread = message::Send { thread, ..send(None) };
    let vanishes = message::Send { expire: Some(3600), ..send(None) };
    methods.add(
        &[send(Some(sample::message(2).to_string())), send(None), in_thread, vanishes],
        &[sample::said()],
    );
    let read = message::Read { last: Some(20), mark: true, ..message::Read::of(ops()) };
    let after = message::Read {
        first: Some(100),
        after: Some("aeaqca".into()),
        unread: true,
        since: Some(sample::at(3)),
        ..message::Read::of(ops())
    };
    let around = message::Read { last: Some(5), around: Some("aeaqca".into()), ..message::Read::of(ops()) };
    methods.add(
        &[read, message::Read::of(ops()), after, around],
        &[
            vec![
                sample::said(),
                sample::unknown_kind(),
                sample::missing(),
                sample::grants(),
                sample::granted(),
                sample::reached(),
                sample::failed(),
                sample::disappears(),
            ],
            vec![
                sample::answer(Some("alice"), QuotedState::Here, "tea at five?…"),
                sample::answer(Some("alice"), QuotedState::Deleted, ""),
                sample::answer(None, QuotedState::Missing, ""),
            ],
        ],
    );
    let grant = |last, age_seconds| history::Grant {
        target: ops(),
        who: Who::Handle(handle("carol")),
        last,
        age_seconds,
    };
    methods.add(&[grant(Some(40), None), grant(None, Some(2_592_000))], &[sample::grants()]);
    let search = |query: &str| message::Search {
        query: query.into(),
        target: None,
        from: None,
        since: None,
        kind: None,
        limit: None,
        behind: None,
    };
    let all = message::Search {
        target: Some(ops()),
        from: Some(Who::Handle(handle("bob"))),
        since: Some(sample::at(3)),
        kind: Some("text".into()),
        limit: Some(50),
        behind: Some("AbC-_9".into()),
        ..search("deploy \"is done\"")
    };
    let hit = message::Hit {
        message: sample::said(),
        marks: vec![message::TextMark { from: 0, to: 5 }, message::TextMark { from: 9, to: 11 }],
    };
    let indexing = Some(message::Indexing { done: 1_000, total: 20_000 });
    methods.add(
        &[all, search("don't")],
        &[
            message::Found { hits: vec![hit], next: Some("AbC-_9".into()), indexing },
            message::Found { hits: Vec::new(), next: None, indexing: None },
        ],
    );
    let of = |within| message::MessageRef { id: "aeaqca".into(), within };
    methods.add(&[message::Edit { message: of(Some(ops())), text: "hello!".into() }], &[sample::said()]);
    methods.add(&[message::Delete { message: of(None), local: true }], &[sample::said()]);
    let react = |remove| message::React { message: of(None), emoji: ":+1:".into(), remove };
    methods.add(&[react(false), react(true)], &[sample::said()]);
    methods.add(&[message::Forward { message: of(None), target: ops() }], &[sample::said()]);
    methods.add(&[message::Show { message: of(None) }], &[sample::said(), sample::poll()]);
    let words = |text: &str, current| EditView {
        message: sample::message(1),
        text: text.into(),
        at: sample::at(0),
        current,
    };
    methods.add(&[message::Edits { message: of(None) }], &[vec![words("helo", false), words("hello", true)]]);
    methods.add(&[message::Thread { message: of(None) }], &[vec![sample::said()]]);
    let pin = |remove| message::Pin { message: of(None), remove };
    methods.add(&[pin(false), pin(true)], &[sample::said()]);
    methods.add(&[message::Pins { target: ops() }], &[vec![sample::said()]]);
    let options = vec!["tea".to_owned(), "coffee".into()];
    let ask = poll::Create { target: ops(), question: "what?".into(), options, multiple: true };
    methods.add(&[ask], &[sample::poll()]);
    let vote = |options: &[&str]| poll::Vote {
        message: of(None),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    methods.add(&[vote(&["1", "coffee"]), vote(&[])], &[sample::poll()]);
    methods.add(&[poll::Close { message: of(None) }], &[sample::poll()]);
    methods.add(&[message::Shown { group: sample::group(1), ids: vec![sample::message(1)] }], DONE);
    methods.add(&[message::Typing { target: Target::Group(sample::group(1)) }], DONE);

    // Files.
    let origin = "ops\n/home/alice/notes.txt".to_owned();
    let id = sample::file();
    let check = |reply_to, expire| file::Check {
        target: ops(),
        text: "look".into(),
        reply_to,
        thread: None,
        expire,
        files: 1,
    };
    methods.add(&[check(Some("aeaqca".into()), Some(3600)), check(None, None)], DONE);
    methods.add(
        &[false, true].map(|repeatable| file::Begin {
            origin: origin.clone(),
            name: "notes.txt".into(),
            size: 300_000,
            repeatable,
        }),
        &[sample::upload()],
    );
    methods.add(&[file::Progress { id, done: 1 }], DONE);
    let finish = |mime: &str, preview| file::Finish { id, hash: vec![7; 32], mime: mime.into(), preview };
    methods.add(&[finish("text/plain", None), finish("image/png", Some(sample::preview()))], DONE);
    methods.add(&[file::Drop { id }], DONE);
    let send = |reply_to, expire| file::Send {
        target: ops(),
        text: "look".into(),
        reply_to,
        thread: None,
        expire,
        files: vec![id],
    };
    methods.add(&[send(Some("aeaqca".into()), Some(3600)), send(None, None)], &[sample::said()]);
    let list = |last| file::List { target: ops(), last };
    let picture = FileView { file: sample::picture(), ..sample::file_view() };
    methods.add(&[list(Some(20)), list(None)], &[vec![sample::file_view()], vec![picture]]);
    methods.add(&[file::Open { file: of(Some(ops())) }], &[vec![sample::open_file()]]);

    // Bots.
    methods.add(&[bot::Card {}], &[bot::OwnerCard { owner: sample::owner(), handle: handle("alice") }]);
    methods.add(&[bot::Prepare { owner: sample::owner() }], &[bot::Prepared { certificate: vec![1, 2, 3] }]);
    methods.add(&[bot::Sign { certificate: vec![1, 2, 3] }], &[bot::Signature { signature: vec![7; 64] }]);
    methods.add(
        &[bot::Events { bot: "echo".into(), limit: 64, busy: vec![sample::group(1)] }],
        &[vec![
            sample::bot_event(),
            sample::bot_reaction(),
            sample::bot_vote(),
            sample::bot_poll_closed(),
            sample::bot_pin(),
        ]],
    );
    let say = bot::Say {
        text: "hi".into(),
        reply_to: Some(sample::message(1)),
        reaction: None,
        edit: None,
        poll: None,
        close: None,
        thread: None,
        files: Vec::new(),
        salt: [9; 16],
        hops: 2,
        at: sample::at(0),
    };
    let attaches = bot::Say { text: String::new(), files: vec![sample::file()], ..say.clone() };
    let handled = |say, memory| bot::Handled {
        bot: "echo".into(),
        group: sample::group(1),
        position: 42,
        place: 1,
        say,
        memory,
    };
    let reaction = bot::Reaction { of: sample::message(1), emoji: "\u{1f44d}".into(), removed: true };
    let reacts = bot::Say { text: String::new(), reply_to: None, reaction: Some(reaction), ..say.clone() };
    let question = bot::Answers { options: vec!["tea".into(), "coffee".into()], multiple: true };
    let asks = bot::Say { text: "what?".into(), reply_to: None, poll: Some(question), ..say.clone() };
    let edits = bot::Say { reply_to: None, edit: Some(sample::message(1)), ..say.clone() };
    let closes =
        bot::Say { close: Some(sample::message(1)), thread: Some(sample::message(2)), ..say.clone() };
    methods.add(
        &[
            handled(vec![say, reacts, asks, edits, closes, attaches], Some(vec![1, 2])),
            handled(Vec::new(), None),
        ],
        DONE,
    );

    // Events, evidence and figures.
    let list = |after, subscriber: Option<&str>| event::List {
        after,
        subscriber: subscriber.map(Into::into),
        limit: 100,
    };
    let told = Event::Message(Box::new(sample::said()));
    let page = EventsView {
        events: vec![KeptEvent { cursor: Cursor(7), event: told }],
        next: Cursor(7),
        more: true,
        missed: 2,
        known: true,
    };
    methods.add(&[list(Some(Cursor(6)), None), list(None, Some("screen"))], &[page]);
    methods.add(&[event::Acknowledge { subscriber: "screen".into(), cursor: Cursor(7) }], DONE);
    methods.add(&[evidence::List {}], &[vec![sample::evidence()]]);
    methods.add(&[evidence::Acknowledge {}], DONE);
    methods.add(&[evidence::Head {}], &[sample::head()]);
    methods.add(&[status::Status {}], &[sample::status()]);
    let delivered = DeliveredView { group: sample::group(1), name: "ops".into(), messages: 2 };
    let synced = status::Synced {
        received: 3,
        delivered: vec![delivered],
        queued: 1,
        unread: vec!["ops".into()],
        silent: false,
    };
    methods.add(&[status::Sync {}], &[synced]);
    methods.add(&[status::Refresh {}], &[status::Refreshed { answered: false }]);

    let missing: Vec<_> = METHODS.iter().filter(|method| !methods.0.contains_key(*method)).collect();
    assert!(missing.is_empty(), "no golden JSON of {missing:?}");
    let mut nouns: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    for (method, json) in methods.0 {
        let noun = method.split_once('.').map_or("status", |(noun, _)| noun);
        nouns.entry(noun).or_default().insert(method, json);
    }
    for (noun, methods) in nouns {
        golden::compare(noun, &json!(methods));
    }
}

#[test]
fn what_may_be_left_out_is_left_out() {
    for (method, params) in [
        ("group.create", json!({ "name": "ops" })),
        ("message.send", json!({ "target": "@bob", "text": "hi" })),
        ("message.read", json!({ "target": "ops" })),
        ("device.approve", json!({ "code": "4k7x-m2pq" })),
        ("group.mute", json!({ "target": "ops" })),
        ("group.unmute", json!({ "target": "ops" })),
        ("group.alias", json!({ "target": "ops" })),
        ("profile.set", json!({})),
        ("status", json!({})),
        ("status", Value::Null),
    ] {
        let read = Command::from_method(method, params).unwrap();
        assert!(read.is_ok(), "{method}: {read:?}");
    }
}

/// To leave a parameter out that one does not know would be to do something else than was asked for.
#[test]
fn a_parameter_that_this_version_does_not_know_is_refused() {
    let params = json!({ "target": "@bob", "text": "hi", "urgent": true });
    let error = Command::from_method("message.send", params).unwrap().unwrap_err();
    assert!(error.to_string().contains("unknown field `urgent`"), "{error}");
    assert!(Command::from_method("message.burn", Value::Null).is_none());
}

#[test]
fn every_method_has_schemas_that_name_its_parameters() {
    for method in cipher_api::schema::methods() {
        let schema = cipher_api::schema::of(method).unwrap();
        assert_eq!(schema.method, method);
        assert_eq!(schema.params.get("type"), Some(&json!("object")), "{method}");
        assert!(schema.result.as_object().is_some_and(|result| result.len() > 1), "{method}");
    }
    assert!(cipher_api::schema::of("no.such").is_none());
    let send = cipher_api::schema::of("message.send").unwrap().params;
    assert_eq!(send.get("required"), Some(&json!(["target", "text"])));
}

/// docs/API.md has every method and every kind of error, and no others.
#[test]
fn the_document_has_every_method_and_every_kind_of_error() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let words = |row: &str| -> Vec<String> { row.split('`').skip(1).step_by(2).map(Into::into).collect() };
    let methods: Vec<&str> = cipher_api::schema::methods().collect();
    let named: Vec<String> = rows.iter().flat_map(|row| words(row)).collect();
    for method in &methods {
        assert_eq!(named.iter().filter(|word| word == method).count(), 1, "{method}");
    }
    for word in named.iter().filter(|word| word.contains('.')) {
        assert!(methods.contains(&word.as_str()), "{word}");
    }
    for kind in cipher_api::ErrorKind::ALL {
        let row = rows.iter().find(|row| words(row).iter().any(|word| word == kind.name())).unwrap();
        assert!(row.starts_with(&format!("| {} |", kind.code())), "{row}");
    }
}

/// What rustdoc links to has no link in a schema.
#[test]
fn descriptions_are_words_for_who_reads_no_rust() {
    for method in cipher_api::schema::methods() {
        let schema = serde_json::to_string(&cipher_api::schema::of(method).unwrap()).unwrap();
        assert!(!schema.contains("[`") && !schema.contains("crate::"), "{method}");
    }
}
