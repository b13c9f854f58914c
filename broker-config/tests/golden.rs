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
use cipher_broker::id::{AccountId, DeviceId, MessageId};
use cipher_broker::sign::{Purpose, Signed, sign};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{CONTACT_ACCEPTED, Content, TEXT};
use cipher_broker::wire::envelope::{CommitLink, Envelope, WelcomeNote};
use cipher_broker::wire::group::{GroupData, Role};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{
    AccountRecord, Answer, Claim, ClaimedKeyPackage, CreateAccount, Operation, Outcome, Presence, Profile,
    ReplyBody, RequestBody, SignedProfile, Statement, seal_reply, seal_request,
};
use ed25519_dalek::SigningKey;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

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

fn profile() -> Profile {
    Profile {
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
        claim: Claim::Create { handle: "ana.mueller".parse().unwrap(), certificate: [7; 32] },
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
    }
}

fn operations() -> Vec<Operation> {
    vec![
        Operation::Ping,
        Operation::CreateAccount(Box::new(CreateAccount {
            statement: signed_statement(),
            certificate: certificate(),
            profile: signed_profile(),
        })),
        Operation::PublishKeyPackages {
            one_time: vec![ByteBuf::from(vec![1, 2, 3]), ByteBuf::from(vec![4])],
            last_resort: Some(ByteBuf::from(vec![5, 6])),
        },
        Operation::CountKeyPackages,
        Operation::ClaimKeyPackages { account: account(), suite: 0x004D },
        Operation::Resolve { handle: "ana.mueller".parse().unwrap() },
        Operation::FetchAccount { account: account() },
        Operation::SetProfile(signed_profile()),
    ]
}

fn request(operation: Operation) -> RequestBody {
    RequestBody { nonce: [9; 16], issued_at: at(), account: account(), device: device(), operation }
}

fn reply(outcome: Outcome) -> ReplyBody {
    ReplyBody { request: [8; 32], at: at(), registry_key: public(5), outcome }
}

#[test]
fn golden_envelopes() {
    check("envelope-message", &Envelope::Message(vec![0, 1, 0xff]));
    check("envelope-welcome", &Envelope::Welcome { welcome: vec![1, 2], note: vec![3] });
    check("envelope-tree", &Envelope::Tree(vec![4; 40]));
    check("welcome-note", &WelcomeNote { commit_sequence: 70_000, commit_hash: [6; 32], pieces: 2 });
    check("commit-link", &CommitLink { sequence: 69_999, hash: [5; 32] });
}

#[test]
fn golden_content() {
    let text = Content {
        salt: [1; 16],
        sent_at: at(),
        reply_to: None,
        hops: 0,
        kind: TEXT.into(),
        text: "hello, wörld \u{1f44b}".into(),
    };
    let from_bot = Content { reply_to: Some(MessageId::from_bytes([3; 16])), hops: 2, ..text.clone() };
    check("content-text", &text);
    check("content-reply-of-a-bot", &from_bot);
    check(
        "content-contact-accepted",
        &Content { kind: CONTACT_ACCEPTED.into(), text: String::new(), ..text },
    );
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
        check(&name, &Profile { presence, ..profile() });
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
fn golden_replies_one_per_answer() {
    let packages = vec![
        ClaimedKeyPackage { device: device(), key_package: vec![1, 2, 3], last_resort: false },
        ClaimedKeyPackage { device: device(), key_package: vec![4], last_resort: true },
    ];
    for (name, answer) in [
        ("reply-done", Answer::Done),
        ("reply-account", Answer::Account(record())),
        ("reply-stock", Answer::Stock { one_time: 49, last_resort: true }),
        ("reply-packages", Answer::KeyPackages(packages)),
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
    assert_eq!(codec::decode(&bytes), Ok(CommitLink { sequence: 1, hash: [2; 32] }));
}

#[test]
fn golden_no_file_is_left_over() {
    let this = include_str!("golden.rs");
    let mut known: BTreeSet<String> =
        Operation::NAMES.iter().map(|name| format!("request-{name}.bin")).collect();
    for code in ["malformed", "denied", "clockskew", "replayed", "handletaken", "accountexists", "notfound"] {
        known.insert(format!("refusal-{code}.bin"));
    }
    for code in ["nokeypackage", "badkeypackage", "quota", "toolarge", "internal"] {
        known.insert(format!("refusal-{code}.bin"));
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
