//! The bytes of every wire type, as the first released build wrote them.
//!
//! A file under `golden/v1/` is never edited and never deleted: old messages lie in streams and stores for
//! weeks. What today's code writes must equal the file; what it reads from the file must equal the value. A type
//! that changes its bytes gets a new value under a new name, and the old file must still decode.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind, Owner};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, FileId, GroupId, MessageId};
use cipher_broker::sign::{Purpose, Signed, sign};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::{Inclusion, TreeHead};
use cipher_broker::wire::content::{
    Attachment, Body, Content, GrantKey, GrantedMessage, GrantedOf, HistoryGrant, Mention, Missing,
    MissingOf, Poll, Preview, Receipt,
};
use cipher_broker::wire::envelope::{CommitNote, CommitPlace, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GroupData, JoinLink, Role, Settings};
use cipher_broker::wire::join::{JoinRefusal, JoinRequest, JoinRequestBody, JoinTicket, link_id};
use cipher_broker::wire::link::{LinkingGrant, LinkingReveal, LinkingStep};
use cipher_broker::wire::operator::{
    InspectedDevice, InspectedStock, Inspection, OperatorAnswer, OperatorRequest, Quotas, Whom,
};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    AccountRecord, AdmissionPolicy, AdmissionProof, Answer, AppendStatement, ClaimedKeyPackage,
    CreateAccount, Operation, Outcome, Presence, PublicProfile, ReplyBody, RequestBody, SignedProfile,
    seal_reply, seal_request,
};
use cipher_broker::wire::rejoin::{NotMemberBody, RejoinBody, RejoinRequest};
use cipher_broker::wire::statement::{LogEntry, Statement, StatementKind};
use cipher_broker::wire::sync::{
    Muted, SyncAccount, SyncEdit, SyncMessage, SyncNote, SyncPin, SyncPoll, SyncReaction, SyncVote,
};
use cipher_broker::wire::whisper::{SignedWhisper, Whisper, WhisperBody};
use ed25519_dalek::SigningKey;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::{ByteArray, ByteBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// Compares one value with its file, both ways. Only a file that does not exist yet can be blessed.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let path = folder().join(format!("{name}.bin"));
    let bytes = codec::encode(value);
    if super::blessing() && !path.exists() {
        fs::write(&path, &bytes).unwrap();
    }
    let golden =
        fs::read(&path).unwrap_or_else(|_| panic!("{name}: no golden file; CIPHER_BLESS=1 makes it"));
    assert_eq!(codec::decode::<T>(&golden).as_ref(), Ok(value), "{name} decodes to another value");
    assert_eq!(bytes, golden, "{name} is encoded differently");
}

/// As [`check`], for bytes that are sealed already.
fn check_bytes(name: &str, bytes: &[u8]) {
    let path = folder().join(format!("{name}.bin"));
    if super::blessing() && !path.exists() {
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn account() -> AccountId {
    AccountId::of_key(&public(1))
}

fn device() -> DeviceId {
    DeviceId::from_bytes([2; 16])
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_123)
}

fn certificate_body(kind: Kind, owner: Option<Owner>) -> CertificateBody {
    CertificateBody {
        account: account(),
        account_key: public(1),
        device: device(),
        device_key: public(3),
        kind,
        owner,
        not_before: at(),
        not_after: Timestamp::from_millis(1_798_761_600_000),
        serial: 1,
    }
}

fn certificate() -> DeviceCertificate {
    DeviceCertificate::sign(&certificate_body(Kind::Person, None), &key(1))
}

fn bot_certificate() -> DeviceCertificate {
    let owner = Owner { account: AccountId::of_key(&public(4)), account_key: public(4) };
    let certificate = DeviceCertificate::sign(&certificate_body(Kind::Bot, Some(owner)), &key(1));
    let by_owner = sign(&key(4), Purpose::BotOwner, certificate.body_bytes());
    certificate.countersigned(by_owner)
}

fn profile() -> PublicProfile {
    PublicProfile {
        account: account(),
        name: "Ana Müller".into(),
        status: "on a train".into(),
        presence: Presence::Away,
        version: 3,
    }
}

fn signed_profile() -> SignedProfile {
    SignedProfile {
        device: device(),
        profile: Signed::new(&key(3), Purpose::Profile, codec::encode(&profile())),
    }
}

fn statement() -> Statement {
    Statement {
        account: account(),
        sequence: 0,
        previous: [0; 32],
        at: at(),
        claim: StatementKind::Create { handle: "ana.mueller".parse().unwrap(), certificate: [7; 32] },
    }
}

fn signed_statement() -> Signed {
    Signed::new(&key(1), Purpose::AccountStatement, codec::encode(&statement()))
}

fn record() -> AccountRecord {
    AccountRecord {
        handle: "ana.mueller".parse().unwrap(),
        account: account(),
        statements: vec![signed_statement()],
        certificates: vec![certificate()],
        profile: signed_profile(),
        inclusion: None,
    }
}

fn operations() -> Vec<Operation> {
    vec![
        Operation::Ping,
        Operation::CreateAccount(Box::new(CreateAccount {
            statement: signed_statement(),
            certificate: certificate(),
            profile: signed_profile(),
            ticket: None,
        })),
        Operation::PublishKeyPackages {
            one_time: vec![ByteBuf::from(vec![1, 2, 3]), ByteBuf::from(vec![4])],
            last_resort: Some(ByteBuf::from(vec![5, 6])),
        },
        Operation::CountKeyPackages,
        Operation::ClaimKeyPackages { account: account(), suite: 0x004D, device: None },
        Operation::Resolve { handle: "ana.mueller".parse().unwrap() },
        Operation::FetchAccount { account: account() },
        Operation::SetProfile(signed_profile()),
        Operation::AppendStatement(Box::new(AppendStatement {
            statement: signed_statement(),
            certificate: Some(certificate()),
            profile: None,
        })),
        Operation::OpenRecovery { certificate: certificate() },
        Operation::ProveConsistency { sizes: vec![0, 70_000] },
        Operation::Admission,
        Operation::Operate(OperatorRequest::Inspect(Whom::Handle("ana.mueller".parse().unwrap()))),
    ]
}

fn request(operation: Operation) -> RequestBody {
    RequestBody { nonce: [9; 16], issued_at: at(), account: account(), device: device(), operation }
}

fn reply(outcome: Outcome) -> ReplyBody {
    ReplyBody { request: [8; 32], at: at(), registry_key: public(5), outcome, head: None }
}

#[test]
fn golden_envelopes() {
    check("envelope-message", &Envelope::Message(vec![0, 1, 0xff]));
    check("envelope-welcome", &Envelope::Welcome { welcome: vec![1, 2], note: vec![3] });
    check("envelope-tree", &Envelope::Tree(vec![4; 40]));
    check("envelope-again", &Envelope::Again(vec![5; 40]));
    let note = WelcomeNote {
        commit_sequence: 70_000,
        commit_hash: [6; 32],
        pieces: 2,
        hashes: Vec::new(),
        text: String::new(),
        commit_at: Timestamp::default(),
        doubt: false,
    };
    check("welcome-note", &note);
    let hashes = vec![ByteArray::new([7; 32]), ByteArray::new([8; 32])];
    check("welcome-note-hashes", &WelcomeNote { hashes, ..note.clone() });
    check("welcome-note-text", &WelcomeNote { text: "it is me".into(), ..note.clone() });
    check("welcome-note-sent-again", &WelcomeNote { commit_at: at(), ..note.clone() });
    check("welcome-note-doubt", &WelcomeNote { doubt: true, ..note });
    check("commit-link", &CommitPlace { sequence: 69_999, hash: [5; 32] });
}

#[test]
fn golden_content() {
    let text = Content::new([1; 16], at(), Body::Text("hello, wörld \u{1f44b}".into()));
    let from_bot = Content { reply_to: Some(MessageId::from_bytes([3; 16])), hops: 2, ..text.clone() };
    check("content-text", &text);
    check("content-text-that-expires", &Content { expire: Some(3600), ..text.clone() });
    check("content-reply-of-a-bot", &from_bot);
    check("content-contact-accepted", &Content { body: Body::ContactAccepted, ..text.clone() });
    let of = MessageId::from_bytes([6; 16]);
    check("content-edit", &Content { body: Body::Edit { of, text: "hello".into() }, ..text.clone() });
    check("content-delete", &Content { body: Body::Delete { of }, ..text.clone() });
    let reaction = |removed| Body::Reaction { of, emoji: "\u{1f44d}".into(), removed };
    check("content-reaction", &Content { body: reaction(false), ..text.clone() });
    check("content-reaction-removed", &Content { body: reaction(true), ..text.clone() });
    let later = Body::Unknown {
        kind: "sticker".into(),
        text: "\u{1f44d}".into(),
        data: Some(ByteBuf::from(vec![1])),
        of: Some(of),
    };
    check("content-of-an-unknown-kind", &Content { body: later, ..text.clone() });
    // What stood for a kind to come has come; it was to have bytes besides.
    let came = fs::read(folder().join("content-of-a-kind-to-come").with_extension("bin")).unwrap();
    assert_eq!(codec::decode(&came), Ok(Content { body: reaction(false), ..text.clone() }));
    let messages = vec![(MessageId::from_bytes([4; 16]), at()), (MessageId::from_bytes([5; 16]), at())];
    let missing = Missing { of: vec![MissingOf { account: account(), messages }] };
    check("missing", &missing);
    for removed in [false, true] {
        let name = if removed { "content-unpin" } else { "content-pin" };
        check(name, &Content { body: Body::Pin { of, removed }, ..text.clone() });
    }
    let poll = Poll { options: vec!["tea".into(), "coffee".into()], multiple: true };
    check("content-poll", &Content { body: Body::Poll { question: "what?".into(), poll }, ..text.clone() });
    check("content-poll-vote", &Content { body: Body::Vote { of, choices: vec![0, 1] }, ..text.clone() });
    check("content-poll-closed", &Content { body: Body::PollClosed { of }, ..text.clone() });
    let mention = Mention { account: AccountId::from_bytes([4; 32]), start: 6, length: 6 };
    let rich = Content { mentions: vec![mention], thread: Some(of), forwarded: true, ..text.clone() };
    check("content-of-a-thread-with-a-mention", &rich);
    check("content-missing", &Content { body: Body::Missing(missing), ..text.clone() });
    let [delivered, read] = [7, 6].map(|id| Some(MessageId::from_bytes([id; 16])));
    let receipt =
        |behind| Content { body: Body::Receipt(Receipt { delivered, read, behind }), ..text.clone() };
    check("content-receipt", &receipt(None));
    check("content-receipt-behind", &receipt(Some(MessageId::from_bytes([5; 16]))));
    let grant = history_grant();
    check("content-history-grant", &Content { body: Body::HistoryGrant(grant), ..text.clone() });
    check("granted-messages", &vec![granted_message()]);
    let unnamed =
        Attachment { name: String::new(), mime: String::new(), expires: Timestamp::default(), ..file() };
    let attachments = vec![file(), unnamed];
    let files = |attachments| Content { body: Body::Text(String::new()), attachments, ..text.clone() };
    check("content-files", &files(attachments));
    let preview = Preview { width: 160, height: 120, bytes: b"\xff\xd8\xff\xe0".to_vec() };
    check("content-files-with-a-preview", &files(vec![Attachment { preview: Some(preview), ..file() }]));
}

fn file() -> Attachment {
    Attachment {
        id: FileId::from_bytes([11; 16]),
        key: ByteArray::new([12; 32]),
        name: "notes.txt".into(),
        size: 300_000,
        mime: "text/plain".into(),
        hash: ByteArray::new([13; 32]),
        chunk: 262_144,
        expires: at(),
        preview: None,
    }
}

#[test]
fn golden_group_data() {
    let group = GroupData {
        version: GroupData::VERSION,
        name: "café".into(),
        direct: false,
        roles: BTreeMap::from([
            (AccountId::from_bytes([1; 32]), Role::Owner),
            (AccountId::from_bytes([2; 32]), Role::Admin),
            (AccountId::from_bytes([3; 32]), Role::Member),
        ]),
        may_add: Role::Admin,
        may_rename: Role::Member,
        may_resync: true,
        settings: Settings::default(),
        personal: false,
        links: BTreeMap::new(),
        banned: BTreeSet::new(),
    };
    check("group-data", &group);
    let direct = GroupData { name: String::new(), direct: true, roles: BTreeMap::new(), ..group };
    check("group-data-direct", &direct);
}

#[test]
fn golden_certificates_also_verify() {
    check("certificate-body", &certificate_body(Kind::Person, None));
    check("certificate-person", &certificate());
    check("certificate-bot", &bot_certificate());
    for name in ["certificate-person.bin", "certificate-bot.bin"] {
        assert!(DeviceCertificate::open(&fs::read(folder().join(name)).unwrap()).is_ok(), "{name}");
    }
}

#[test]
fn golden_account() {
    check("profile", &profile());
    check("statement-create", &statement());
    check("signed-statement", &signed_statement());
    check("account-record", &record());
    for presence in [Presence::Available, Presence::Busy, Presence::Offline] {
        let name = format!("profile-{presence:?}").to_lowercase();
        check(&name, &PublicProfile { presence, ..profile() });
    }
}

#[test]
fn golden_requests_one_per_operation() {
    let operations = operations();
    let names: Vec<&str> = operations.iter().map(Operation::name).collect();
    assert_eq!(names, Operation::NAMES, "one value per operation");
    for operation in operations {
        let name = format!("request-{}", operation.name());
        check(&name, &request(operation));
    }
    check_bytes("sealed-request", &seal_request(&request(Operation::Ping), &key(3)));
}

#[test]
fn an_operation_writes_or_only_reads_by_value_and_by_name() {
    let writing = [
        "create-account",
        "publish-key-packages",
        "claim-key-packages",
        "set-profile",
        "append-statement",
        "operate",
    ];
    for operation in operations() {
        let name = operation.name();
        assert_eq!(operation.writes(), writing.contains(&name), "{name}");
        assert_eq!(Operation::name_writes(name), operation.writes(), "{name}");
    }
    assert!(!Operation::name_writes("of-a-later-version"));
}

#[test]
fn golden_replies_one_per_answer() {
    let packages = vec![
        ClaimedKeyPackage { device: device(), key_package: vec![1, 2, 3], last_resort: false },
        ClaimedKeyPackage { device: device(), key_package: vec![4], last_resort: true },
    ];
    for (name, answer) in [
        ("reply-done", Answer::Done),
        ("reply-account", Answer::Account(record())),
        ("reply-stock", Answer::Stock { one_time: 49, last_resort: true, suites: BTreeMap::new() }),
        (
            "reply-stock-by-suite",
            Answer::Stock { one_time: 49, last_resort: true, suites: BTreeMap::from([(3, 9), (79, 40)]) },
        ),
        ("reply-packages", Answer::KeyPackages(packages)),
        (
            "reply-consistency",
            Answer::Consistency { head: head().sign(&key(5)), proofs: vec![ByteBuf::from(vec![1; 32])] },
        ),
        ("reply-admission", Answer::Admission(AdmissionPolicy::Code)),
        (
            "reply-operator-inspection",
            Answer::Operator(OperatorAnswer::Inspection(Box::new(Inspection {
                record: record(),
                blocked: true,
                buried: false,
                devices: vec![InspectedDevice {
                    device: device(),
                    since: at(),
                    revoked_by: Some(3),
                    stock: vec![InspectedStock { suite: 3, one_time: 40, last_resort: true }],
                }],
            }))),
        ),
        (
            "reply-operator-quotas",
            Answer::Operator(OperatorAnswer::Quotas(Quotas {
                claims_per_target: 100,
                claims_overall: 2_000,
                look_ups: 20_000,
                registrations: 10_000,
                admission: AdmissionPolicy::Work(20),
            })),
        ),
    ] {
        check(name, &reply(Outcome::Answer(Box::new(answer))));
    }
    check("reply-refused", &reply(Outcome::Refused(Code::HandleTaken.because("taken"))));
    check_bytes("sealed-reply", &seal_reply(&reply(Outcome::Answer(Box::new(Answer::Done))), &key(5)));
}

#[test]
fn golden_refusals_one_per_code() {
    let codes = [
        Code::Malformed,
        Code::Denied,
        Code::ClockSkew,
        Code::Replayed,
        Code::HandleTaken,
        Code::AccountExists,
        Code::NotFound,
        Code::NoKeyPackage,
        Code::BadKeyPackage,
        Code::Quota,
        Code::TooLarge,
        Code::Internal,
        Code::Revoked,
        Code::Blocked,
        Code::Admission,
        Code::StaleStatement,
    ];
    for code in codes {
        let name = format!("refusal-{code:?}").to_lowercase();
        check::<Refusal>(&name, &code.because("one sentence"));
    }
}

/// A field that a later build adds must not stop an earlier one.
#[test]
fn golden_readers_skip_fields_they_do_not_know() {
    #[derive(Serialize)]
    struct Later {
        #[serde(rename = "s")]
        sequence: u64,
        #[serde(rename = "new")]
        added: &'static str,
        #[serde(rename = "h", with = "serde_bytes")]
        hash: [u8; 32],
    }
    let bytes = codec::encode(&Later { sequence: 1, added: "later", hash: [2; 32] });
    assert_eq!(codec::decode(&bytes), Ok(CommitPlace { sequence: 1, hash: [2; 32] }));
}

#[test]
fn golden_no_file_is_left_over() {
    let this = include_str!("golden.rs");
    let mut known: BTreeSet<String> =
        Operation::NAMES.iter().map(|name| format!("request-{name}.bin")).collect();
    for code in ["malformed", "denied", "clockskew", "replayed", "handletaken", "accountexists", "notfound"] {
        known.insert(format!("refusal-{code}.bin"));
    }
    for code in ["nokeypackage", "badkeypackage", "quota", "toolarge", "internal", "revoked", "blocked"] {
        known.insert(format!("refusal-{code}.bin"));
    }
    for code in ["admission", "stalestatement"] {
        known.insert(format!("refusal-{code}.bin"));
    }
    for name in
        ["statement-add-device", "statement-revoke-device", "statement-recover", "ticket-code", "ticket-work"]
    {
        known.insert(format!("{name}.bin"));
    }
    for name in ["open", "code", "closed", "work-20-"] {
        known.insert(format!("admission-{name}.bin"));
    }
    for presence in ["available", "busy", "offline"] {
        known.insert(format!("profile-{presence}.bin"));
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".bin").expect("golden files end in .bin");
        assert!(
            known.contains(&name) || this.contains(&format!("\"{stem}\"")),
            "{name} is compared by no test"
        );
    }
}

fn head() -> TreeHead {
    TreeHead { registry_key: public(5), size: 70_001, root: [11; 32], at: at() }
}

#[test]
fn golden_account_log() {
    let device = DeviceId::from_bytes([12; 16]);
    for (name, claim) in [
        ("add-device", StatementKind::AddDevice { device, certificate: [7; 32] }),
        ("revoke-device", StatementKind::RevokeDevice { device }),
        ("recover", StatementKind::Recover { device, certificate: [7; 32] }),
    ] {
        check(
            &format!("statement-{name}"),
            &Statement { sequence: 1, previous: [6; 32], claim, ..statement() },
        );
    }
    check("log-entry", &LogEntry { statement: signed_statement(), certificate: Some(certificate()) });
    check("tree-head", &head());
    check("signed-head", &head().sign(&key(5)));
    let inclusion = Inclusion { head: head().sign(&key(5)), index: 70_000, proof: vec![13; 64] };
    check("account-record-with-inclusion", &AccountRecord { inclusion: Some(inclusion), ..record() });
    let outcome = Outcome::Answer(Box::new(Answer::Done));
    check("reply-with-head", &ReplyBody { head: Some(head().sign(&key(5))), ..reply(outcome) });
}

#[test]
fn golden_device_linking() {
    let reveal = LinkingReveal {
        key: [14; 32],
        nonce: [15; 16],
        device: device(),
        device_key: public(3),
        name: "laptop".into(),
    };
    let zero = Timestamp::default();
    check("link-offer", &LinkingStep::Offer { commitment: [16; 32], at: zero });
    check("link-offer-with-time", &LinkingStep::Offer { commitment: [16; 32], at: at() });
    check("link-accept", &LinkingStep::Accept { key: [17; 32], nonce: [18; 16], account: None, at: zero });
    let whose = Some((account(), "ana.mueller".parse().unwrap()));
    let accept = LinkingStep::Accept { key: [17; 32], nonce: [18; 16], account: whose, at: at() };
    check("link-accept-with-account", &accept);
    check("link-reveal", &LinkingStep::Reveal(reveal));
    check("link-admit", &LinkingStep::Admit(vec![19; 30]));
    check("link-cancel", &LinkingStep::Cancel);
    let admission = LinkingGrant {
        handle: "ana.mueller".parse().unwrap(),
        account_seed: [20; 32],
        certificate: certificate(),
        statements: vec![signed_statement()],
        certificates: vec![certificate()],
        registry_key: ByteBuf::from(public(5)),
        profile: profile(),
        names: vec![(device(), "laptop".into())],
        log_size: 70_001,
        at: at(),
        by: None,
    };
    check("link-admission", &admission);
    check("link-admission-with-sender", &LinkingGrant { by: Some(device()), ..admission });
}

#[test]
fn golden_joining_by_link() {
    let secret = ByteArray::new([21; 16]);
    let group = GroupId::from_bytes([22; 16]);
    let ticket = JoinTicket { group, secret, suite: 3, expires: at(), approval: false };
    check("join-ticket", &ticket);
    check("join-ticket-with-approval", &JoinTicket { approval: true, ..ticket });
    let body =
        JoinRequestBody { group, link: link_id(&secret), at: at(), key_package: ByteBuf::from(vec![23; 9]) };
    check("join-request-body", &body);
    let body = Signed::new(&key(3), Purpose::JoinRequest, codec::encode(&body));
    check("join-request", &JoinRequest { certificate: certificate(), body });
    check("join-refusal", &JoinRefusal::UsedUp);
    check("join-refusal-not-known", &JoinRefusal::NotKnown);
    check("join-refusal-busy", &JoinRefusal::Busy);
    check("envelope-join", &Envelope::Join { link: [24; 16], request: vec![25] });
    check("envelope-join-refused", &Envelope::JoinRefused { link: [24; 16], refusal: vec![25] });
    check("envelope-link", &Envelope::Link(vec![26; 3]));
    let link = JoinLink { secret, by: account(), expires: at(), uses: Some(3), approval: true };
    let data = GroupData {
        version: GroupData::VERSION,
        name: "open".into(),
        direct: false,
        roles: BTreeMap::new(),
        may_add: Role::Member,
        may_rename: Role::Member,
        may_resync: true,
        settings: Settings::default(),
        personal: true,
        links: BTreeMap::from([(link_id(&secret), link)]),
        banned: BTreeSet::from([account()]),
    };
    check("group-data-links-and-bans", &data);
    let settings = Settings {
        topic: "who is on call".into(),
        may_delete: Some(Role::Admin),
        may_pin: Some(Role::Owner),
        edit_seconds: Some(900),
        ..Settings::default()
    };
    let times =
        Settings { expire_seconds: Some(3600), retention_seconds: Some(7_776_000), ..settings.clone() };
    check("group-data-settings", &GroupData { settings, ..data.clone() });
    check("group-data-settings-of-time", &GroupData { settings: times, ..data.clone() });
    let history = Settings { may_grant: Some(Role::Member), ..Settings::default() };
    check("group-data-settings-of-history", &GroupData { settings: history, ..data });
    let note = CommitNote::after(&CommitPlace { sequence: 7, hash: [5; 32] }, vec![signed_statement()]);
    check("commit-note", &note);
    let answers = vec![ByteBuf::from(vec![8; 16])];
    check("commit-note-answers", &CommitNote { evidence: vec![], answers, ..note.clone() });
    check("commit-note-doubt", &CommitNote { evidence: vec![], doubt: true, ..note.clone() });
    let heal = ByteBuf::from(vec![9; 64]);
    check("commit-note-heal", &CommitNote { evidence: vec![], heal, ..note.clone() });
    let heal = ByteBuf::from([[4; 16].as_slice(), &[9; 64]].concat());
    check("commit-note-heal-of-random-bytes", &CommitNote { evidence: vec![], heal, ..note.clone() });
    let heal = ByteBuf::from([[4; 32].as_slice(), &[9; 64]].concat());
    check("commit-note-heal-of-a-copy", &CommitNote { evidence: vec![], heal, ..note.clone() });
    let body = RejoinBody {
        group: GroupId::from_bytes([1; 16]),
        account: account(),
        device: device(),
        epoch: 300,
        commit: [5; 32],
        package: [6; 32],
        new_keys: false,
        at: at(),
        copy: u64::MAX,
        knew: 0,
    };
    check("rejoin-body", &body);
    let signed = Signed::new(&key(2), Purpose::Rejoin, codec::encode(&body));
    check("rejoin-body-of-a-copy", &RejoinBody { copy: 1 << 40, ..body });
    check("rejoin-body-of-a-copy-in-use", &RejoinBody { copy: 1 << 40, knew: 70_000, ..body });
    check("rejoin-body-new-keys", &RejoinBody { new_keys: true, ..body });
    let request = RejoinRequest { body: signed.clone(), key_package: ByteBuf::from(vec![7; 40]) };
    check("rejoin-request", &request);
    check("envelope-rejoin", &Envelope::Rejoin(codec::encode(&request)));
    let body = NotMemberBody {
        group: GroupId::from_bytes([1; 16]),
        package: [6; 32],
        account: account(),
        device: device(),
        epoch: 301,
    };
    check("not-member-body", &body);
    let answer = Signed::new(&key(2), Purpose::NotMember, codec::encode(&body));
    check("envelope-not-member", &Envelope::NotMember(answer));
    check("commit-note-rejoin", &CommitNote { rejoins: vec![signed], evidence: Vec::new(), ..note });
}

#[test]
fn golden_sync() {
    let (group, id) = (GroupId::from_bytes([22; 16]), MessageId::from_bytes([3; 16]));
    let other = SyncAccount {
        account: account(),
        handle: "ana.mueller".parse().unwrap(),
        kind: Kind::Person,
        owner: None,
        log: Some(ByteBuf::from(vec![1, 2])),
        contact: Some("accepted".into()),
        trust: "verified".into(),
        profile: None,
        retired: false,
    };
    let message = SyncMessage {
        group,
        place: (70_000, 1),
        ago: 0,
        id,
        account: account(),
        device: device(),
        kind: Kind::Bot,
        sent_at: at(),
        at: None,
        content: "text".into(),
        text: "hi".into(),
        reply_to: Some(id),
        subject: None,
        hops: 0,
        edited: None,
        deleted: false,
        reactions: Vec::new(),
        attachments: Vec::new(),
        edited_at: None,
        edits: Vec::new(),
        deleted_by: None,
        mentions: Vec::new(),
        thread: None,
        forwarded: false,
        pin: None,
        poll: None,
        granted: None,
        expire: None,
        expires_at: None,
    };
    check("sync-accounts", &SyncNote::Accounts(vec![other.clone()]));
    let profile = PublicProfile {
        account: account(),
        name: "Ana".into(),
        status: String::new(),
        presence: Presence::Available,
        version: 1,
    };
    let retired = SyncAccount { profile: Some(profile), retired: true, ..other };
    check("sync-accounts-with-profile", &SyncNote::Accounts(vec![retired]));
    check("sync-read", &SyncNote::Read { group, sequence: 8 });
    check("sync-invitation", &SyncNote::Invitation { group, accepted: true, epoch: 0 });
    check("sync-invitation-of-an-epoch", &SyncNote::Invitation { group, accepted: false, epoch: 3 });
    check("sync-left", &SyncNote::Left { group });
    let muted = Muted { until: Some(at()), mentions: true };
    check("sync-muted", &SyncNote::Muted { group, muted: Some(muted) });
    check(
        "sync-muted-for-good",
        &SyncNote::Muted { group, muted: Some(Muted { until: None, mentions: false }) },
    );
    check("sync-muted-no-more", &SyncNote::Muted { group, muted: None });
    check("sync-called", &SyncNote::Called { group, name: "the night shift".into() });
    check("sync-called-as-by-all", &SyncNote::Called { group, name: String::new() });
    check("sync-device-name", &SyncNote::DeviceName { device: device(), name: "phone".into() });
    check("sync-receipts", &SyncNote::Receipts(false));
    let of = vec![(MessageId::from_bytes([4; 16]), at())];
    check("sync-expires", &SyncNote::Expires { group, of });
    check("sync-request-policy", &SyncNote::RequestPolicy("contacts".into()));
    let edited = SyncMessage { edited: Some((70_002, 0)), ..message.clone() };
    check(
        "sync-history-edited",
        &SyncNote::History { device: device(), messages: vec![edited], done: 3, total: 9 },
    );
    let gone = SyncMessage { text: String::new(), deleted: true, ..message.clone() };
    check(
        "sync-history-deleted",
        &SyncNote::History { device: device(), messages: vec![gone], done: 4, total: 9 },
    );
    let reaction = |n, removed| SyncReaction {
        emoji: "\u{1f44d}".into(),
        account: AccountId::from_bytes([n; 32]),
        place: (70_003, 0),
        removed,
    };
    let liked = SyncMessage { reactions: vec![reaction(1, false), reaction(2, true)], ..message.clone() };
    check(
        "sync-history-with-reactions",
        &SyncNote::History { device: device(), messages: vec![liked], done: 5, total: 9 },
    );
    let with_file = SyncMessage { attachments: vec![file()], ..message.clone() };
    check(
        "sync-history-of-files",
        &SyncNote::History { device: device(), messages: vec![with_file], done: 6, total: 9 },
    );
    let answered = SyncPoll {
        options: vec!["tea".into(), "coffee".into()],
        multiple: true,
        votes: vec![SyncVote { account: account(), place: (70_006, 0), choices: vec![0, 1] }],
        closed: Some((70_007, 1)),
    };
    let talked_about = SyncMessage {
        edited: Some((70_002, 0)),
        edited_at: Some(at()),
        edits: vec![SyncEdit { place: None, sent_at: at(), text: "ho".into() }],
        deleted_by: Some(account()),
        mentions: vec![Mention { account: account(), start: 0, length: 4 }],
        thread: Some(id),
        forwarded: true,
        pin: Some(SyncPin { account: account(), place: (70_004, 0), removed: false }),
        poll: Some(answered),
        ..message.clone()
    };
    check(
        "sync-history-with-all-that-members-made-of-it",
        &SyncNote::History { device: device(), messages: vec![talked_about], done: 6, total: 9 },
    );
    let given = granted_message().of;
    let granted = SyncMessage { granted: Some(given), content: "granted".into(), ..message.clone() };
    check(
        "sync-history-granted",
        &SyncNote::History { device: device(), messages: vec![granted], done: 1, total: 1 },
    );
    let expires = SyncMessage { expire: Some(3600), expires_at: Some(at()), ..message.clone() };
    check(
        "sync-history-that-expires",
        &SyncNote::History { device: device(), messages: vec![expires], done: 6, total: 9 },
    );
    let by_bots = SyncMessage { hops: 2, ..message.clone() };
    check(
        "sync-history",
        &SyncNote::History { device: device(), messages: vec![message], done: 1, total: 9 },
    );
    check(
        "sync-history-of-bots",
        &SyncNote::History { device: device(), messages: vec![by_bots], done: 2, total: 9 },
    );
    let whisper = WhisperBody { group, at: at(), presence: Presence::Away, typing: false };
    check("whisper-body-typing", &WhisperBody { typing: true, ..whisper });
    check("whisper-body", &whisper);
    let body = Signed::new(&key(3), Purpose::Whisper, codec::encode(&whisper));
    check("signed-whisper", &SignedWhisper { device: device(), body });
    check("whisper", &Whisper { epoch: 4, sealed: vec![27; 5] });
    let head = Some(head().sign(&key(5)));
    let content = Content { head, ..Content::new([1; 16], at(), Body::Sync(vec![1])) };
    check("content-sync-with-head", &content);
}

#[test]
fn golden_admission() {
    for (name, ticket) in [("code", AdmissionProof::Code("x-y".into())), ("work", AdmissionProof::Work(99))] {
        check(&format!("ticket-{name}"), &ticket);
    }
    for policy in
        [AdmissionPolicy::Open, AdmissionPolicy::Code, AdmissionPolicy::Work(20), AdmissionPolicy::Closed]
    {
        check(&format!("admission-{policy:?}").to_lowercase().replace(['(', ')'], "-"), &policy);
    }
}

fn history_grant() -> HistoryGrant {
    let key =
        GrantKey { device: device(), kem: ByteBuf::from(vec![1; 32]), sealed: ByteBuf::from(vec![2; 48]) };
    HistoryGrant {
        id: ByteArray::new([9; 16]),
        to: account(),
        count: 40,
        from: at(),
        until: at(),
        piece: 1,
        pieces: 2,
        keys: vec![key],
        sealed: ByteBuf::from(vec![3; 60]),
    }
}

fn granted_message() -> GrantedMessage {
    let id = |id| MessageId::from_bytes([id; 16]);
    GrantedMessage {
        of: GrantedOf {
            id: id(3),
            account: account(),
            kind: Kind::Person,
            reply_to: Some(id(4)),
            edited: true,
        },
        sequence: 70_000,
        ago: 1,
        sent_at: at(),
        at: Some(at()),
        text: "said before".into(),
        forwarded: true,
        attachments: vec![file()],
    }
}
