//! What own devices say, and what others say in their place, on rows and bytes.

use cipher_api::Who;
use cipher_api::command::{account, contact};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::MessageId;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, kind};
use cipher_broker::wire::group::Role;
use cipher_broker::wire::statement::{Statement, StatementKind};
use cipher_broker::wire::sync::SyncMessage;
use ed25519_dalek::SigningKey;

use super::*;
use crate::effect::Effect;
use crate::input::{Input, Ticket};
use crate::machine::Options;
use crate::state::roster::Leaf;
use crate::state::{IdentityRow, InviteFacts, Reception, Skip};

const SIBLING: DeviceId = DeviceId::from_bytes([2; 16]);
const REVOKED: DeviceId = DeviceId::from_bytes([3; 16]);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

fn certificate(account_key: &SigningKey, device: DeviceId) -> DeviceCertificate {
    let public = account_key.verifying_key().to_bytes();
    let [n, ..] = *device.as_bytes();
    let body = CertificateBody {
        account: AccountId::of_key(&public),
        account_key: public,
        device,
        device_key: SigningKey::from_bytes(&[100 + n; 32]).verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: at(0),
        not_after: at(u64::from(u32::MAX)),
        serial: 1,
    };
    DeviceCertificate::sign(&body, account_key)
}

fn state(
    log: &mut AccountLog,
    key: &SigningKey,
    claim: StatementKind,
    certificate: Option<&DeviceCertificate>,
) {
    let statement = Signed::new(key, Purpose::AccountStatement, codec::encode(&log.next(at(1), claim)));
    log.append(&statement, certificate).unwrap();
}

fn add(log: &mut AccountLog, key: &SigningKey, device: DeviceId) {
    let new = certificate(key, device);
    let claim = StatementKind::AddDevice { device, certificate: wire_hash(&new.to_bytes()) };
    state(log, key, claim, Some(&new));
}

/// A device of an account that has another one, had a third, and the group that they talk in.
fn core() -> (Core, GroupId) {
    let options = Options { seed: [1; 32], cached_groups: 8, receipts: false };
    let mut core = Core::in_memory(options);
    let command = account::Register {
        handle: "ana".parse().unwrap(),
        name: "Ana".into(),
        bot: None,
        invite_code: None,
    };
    core.handle(vec![Input::Command { ticket: Ticket(1), command: Box::new(command.into()) }], at(0))
        .unwrap();
    let mut own = core.state.identity.clone().unwrap();
    own.registered = true;
    let key = SigningKey::from_bytes(&own.account_seed);
    let log = own.log.as_mut().unwrap();
    add(log, &key, SIBLING);
    add(log, &key, REVOKED);
    state(log, &key, StatementKind::RevokeDevice { device: REVOKED }, None);
    core.state.set_identity(own);
    let group = core.make_personal().unwrap();
    core.run.effects.clear();
    (core, group)
}

/// An account with a log of its own.
fn other(n: u8, handle: &str) -> (SigningKey, AccountLog) {
    let key = SigningKey::from_bytes(&[n; 32]);
    let first = certificate(&key, DeviceId::from_bytes([n; 16]));
    let statement = Statement {
        account: AccountId::of_key(&key.verifying_key().to_bytes()),
        sequence: 0,
        previous: [0; 32],
        at: at(0),
        claim: StatementKind::Create {
            handle: handle.parse().unwrap(),
            certificate: wire_hash(&first.to_bytes()),
        },
    };
    let statement = Signed::new(&key, Purpose::AccountStatement, codec::encode(&statement));
    let log = AccountLog::begin(&statement, &first).unwrap();
    (key, log)
}

fn seen(log: &AccountLog, contact: Option<&str>, trust: &str) -> SyncAccount {
    SyncAccount {
        account: log.account(),
        handle: log.handle().clone(),
        kind: Kind::Person,
        owner: None,
        log: Some(ByteBuf::from(codec::encode(log))),
        contact: contact.map(Into::into),
        trust: trust.into(),
        profile: None,
        retired: false,
    }
}

fn leaf(core: &Core, account: AccountId, device: DeviceId) -> Leaf {
    let live = core.state.identity.as_ref().unwrap();
    let key = SigningKey::from_bytes(&live.account_seed);
    Leaf {
        account,
        device,
        kind: Kind::Person,
        owner: None,
        serial: 1,
        account_key: key.verifying_key().to_bytes(),
        certificate: [0; 32],
        issued_at: at(0),
    }
}

/// Somebody says something in a group; its bytes come from an MLS message that was opened.
fn says(core: &mut Core, group: GroupId, from: Leaf, content: &Content, sequence: u64) {
    let payload = codec::encode(content);
    core.with_live(group, |core, live| {
        live.roster.insert(9, from);
        let told = core.said(group, live, Some(9), sequence, &payload);
        live.roster.remove(&9);
        told
    })
    .unwrap();
}

fn content(core: &Core, body: Body) -> Content {
    let salt = core.provider.bytes();
    Content::new(salt, core.run.now, body)
}

fn sync(core: &Core, kind: &str, data: Option<Vec<u8>>) -> Content {
    // Encoded it is the kind it names.
    let body =
        Body::Unknown { kind: kind.into(), text: String::new(), data: data.map(ByteBuf::from), of: None };
    content(core, body)
}

fn counted(core: &Core, class: &str) -> u64 {
    core.state.meta.skipped.get(class).copied().unwrap_or(0)
}

#[test]
fn r_sync_01_only_own_devices_are_believed_and_only_in_their_group() {
    let (mut core, personal) = core();
    let own = core.state.own_id();
    let (_, bob) = other(50, "bob");
    let stranger = leaf(&core, bob.account(), DeviceId::from_bytes([50; 16]));
    let (sibling, revoked) = (leaf(&core, own, SIBLING), leaf(&core, own, REVOKED));
    let ordinary = core.make_group("ops".into(), None, false).unwrap();
    core.run.effects.clear();
    let news = codec::encode(&SyncNote::Accounts(vec![seen(&bob, Some("accepted"), "verified")]));
    let told = |core: &Core| sync(core, kind::SYNC, Some(news.clone()));

    // A stranger in an ordinary group, an own device in an ordinary group, whoever got into ours, a device that was
    // revoked, and what does not belong into ours.
    let cases = [
        (ordinary, stranger.clone(), told(&core)),
        (ordinary, sibling.clone(), told(&core)),
        (personal, stranger, told(&core)),
        (personal, revoked, told(&core)),
        (personal, sibling.clone(), sync(&core, kind::TEXT, Some(news.clone()))),
        (personal, sibling.clone(), sync(&core, kind::SYNC, None)),
    ];
    for (n, (group, from, content)) in (1..).zip(cases) {
        says(&mut core, group, from, &content, n);
        assert!(core.state.accounts.get(&bob.account()).is_none(), "case {n}");
        assert_eq!(counted(&core, "policy"), n, "case {n}");
    }
    // Noise costs itself only.
    for noise in [vec![], vec![0xff; 40], codec::encode(&"text"), news[..news.len() / 2].to_vec()] {
        let content = sync(&core, kind::SYNC, Some(noise));
        says(&mut core, personal, sibling.clone(), &content, 50);
    }
    assert_eq!(counted(&core, "content"), 4);
    let large = sync(&core, kind::SYNC, Some(vec![0; limit::SYNC_BYTES + 1]));
    says(&mut core, personal, sibling.clone(), &large, 51);
    assert_eq!(counted(&core, "limit"), 1);
    // The same from an own device in our group.
    let content = told(&core);
    says(&mut core, personal, sibling, &content, 60);
    let row = core.state.accounts.get(&bob.account()).unwrap();
    assert_eq!((row.contact, row.trust), (Some(ContactState::Accepted), Trust::Verified));
    // Nobody sees any of it.
    for group in [ordinary, personal] {
        assert!(core.history.last(&group, 99, |_| true).unwrap().is_empty());
        assert_eq!(core.state.groups.get(&group).unwrap().unread, 0);
    }
    assert!(core.run.effects.is_empty(), "{:?}", core.run.effects);
    assert_eq!(core.run.received, 0);
}

#[test]
fn a11_who_said_something_is_the_leaf_and_nothing_in_the_payload() {
    let (mut core, _) = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    let (_, bob) = other(50, "bob");
    let from = leaf(&core, bob.account(), DeviceId::from_bytes([50; 16]));
    // A field that this version does not know, named like one that would say who it is.
    #[derive(serde::Serialize)]
    struct Forged<'a> {
        #[serde(flatten)]
        content: &'a Content,
        a: AccountId,
        author: &'a str,
        from: &'a str,
    }
    let content = content(&core, Body::Text("hello".into()));
    let payload =
        codec::encode(&Forged { content: &content, a: core.state.own_id(), author: "ana", from: "@ana" });
    core.with_live(group, |core, live| {
        live.roster.insert(9, from);
        core.said(group, live, Some(9), 5, &payload)
    })
    .unwrap();
    let shown: Vec<_> = core.history.last(&group, 9, |_| true).unwrap();
    assert!(shown.iter().all(|(_, row)| row.account == bob.account()), "{shown:?}");
}

#[test]
fn r_sync_02_a_group_of_own_devices_is_made_by_own_devices_only() {
    let (mut core, _) = core();
    let own = core.state.own_id();
    let (_, bob) = other(50, "bob");
    let facts = |inviter: AccountId, members: &[AccountId], devices: &[DeviceId]| InviteFacts {
        tree: Vec::new(),
        inviter,
        name: String::new(),
        direct: false,
        members: members.iter().map(|account| (*account, Role::Owner, Kind::Person, 1)).collect(),
        suite: 3,
        links: Vec::new(),
        personal: true,
        devices: devices.to_vec(),
        beyond_role: false,
    };
    let judged =
        |core: &Core, facts: &InviteFacts| core.receive_invitation(&GroupId::from_bytes([9; 16]), 1, facts);
    for devices in [&[SIBLING][..], &[SIBLING, REVOKED]] {
        assert_eq!(judged(&core, &facts(own, &[own], devices)), Reception::Joins);
    }
    let bad = [
        facts(bob.account(), &[own], &[SIBLING]),
        facts(bob.account(), &[own, bob.account()], &[SIBLING]),
        facts(own, &[own, bob.account()], &[SIBLING]),
    ];
    for facts in bad {
        assert_eq!(judged(&core, &facts), Reception::Dropped(Skip::Policy), "{facts:?}");
    }
    core.state.set_identity(IdentityRow { revoked: true, ..core.state.identity.clone().unwrap() });
    assert_eq!(judged(&core, &facts(own, &[own], &[SIBLING])), Reception::Dropped(Skip::Revoked));
}

#[test]
fn r_sync_03_what_waits_in_the_own_outbox_comes_later_than_what_is_told() {
    let (mut core, personal) = core();
    let (_, bob) = other(50, "bob");
    let account = bob.account();
    core.told(SIBLING, &codec::encode(&SyncNote::Accounts(vec![seen(&bob, Some("accepted"), "unverified")])))
        .unwrap();
    let block = contact::Block { who: Who::Account(account) };
    core.handle(vec![Input::Command { ticket: Ticket(9), command: Box::new(block.into()) }], at(1)).unwrap();
    let later = SyncNote::Accounts(vec![core.sync_account(&account).unwrap()]);
    core.enqueue_sync(personal, &later).unwrap();
    core.enqueue_sync(personal, &SyncNote::RequestPolicy("anyone".into())).unwrap();
    core.state.meta_mut().request_policy = RequestPolicy::Anyone;
    let told = codec::encode(&SyncNote::Accounts(vec![seen(&bob, None, "unverified")]));
    core.told(SIBLING, &told).unwrap();
    core.told(SIBLING, &codec::encode(&SyncNote::RequestPolicy("contacts".into()))).unwrap();
    assert_eq!(core.state.contact_state(&account), Some(ContactState::Blocked));
    assert_eq!(core.state.meta.request_policy, RequestPolicy::Anyone);
    // When nothing waits, what is told counts.
    for id in core.run.delivery.rows_of(personal).collect::<Vec<_>>() {
        core.dequeue(id);
    }
    core.told(SIBLING, &told).unwrap();
    core.told(SIBLING, &codec::encode(&SyncNote::RequestPolicy("contacts".into()))).unwrap();
    assert_eq!(core.state.contact_state(&account), None);
    assert_eq!(core.state.meta.request_policy, RequestPolicy::Contacts);
    // A policy of a later version changes nothing.
    core.told(SIBLING, &codec::encode(&SyncNote::RequestPolicy("moon".into()))).unwrap();
    assert_eq!(core.state.meta.request_policy, RequestPolicy::Contacts);
}

#[test]
fn r_sync_04_a_log_is_only_replaced_by_one_that_continues_it() {
    let (mut core, _) = core();
    let (key, mut log) = other(50, "bob");
    let account = log.account();
    let tell = |core: &mut Core, told: SyncAccount| {
        core.told(SIBLING, &codec::encode(&SyncNote::Accounts(vec![told]))).unwrap();
        core.state.accounts.get(&account).and_then(|row| row.log.clone())
    };
    let short = log.clone();
    add(&mut log, &key, DeviceId::from_bytes([51; 16]));
    let mut fork = short.clone();
    add(&mut fork, &key, DeviceId::from_bytes([52; 16]));
    add(&mut fork, &key, DeviceId::from_bytes([53; 16]));

    assert_eq!(tell(&mut core, seen(&short, None, "unverified")).as_ref(), Some(&short));
    assert_eq!(tell(&mut core, seen(&log, None, "unverified")).as_ref(), Some(&log));
    for worse in [&short, &fork] {
        assert_eq!(tell(&mut core, seen(worse, None, "unverified")).as_ref(), Some(&log));
    }
    // One that does not check, or is another's, or claims another handle.
    let bytes = codec::encode(&log);
    let middle = bytes.len() / 2;
    let mut broken = bytes;
    broken[middle] ^= 1;
    let forged = SyncAccount { log: Some(ByteBuf::from(broken)), ..seen(&log, Some("accepted"), "verified") };
    let (_, carol) = other(60, "carol");
    let of_carol =
        SyncAccount { log: seen(&carol, None, "").log, ..seen(&log, Some("accepted"), "verified") };
    let renamed = SyncAccount { handle: "eve".parse().unwrap(), ..seen(&log, Some("accepted"), "verified") };
    for bad in [forged, of_carol, renamed] {
        assert_eq!(tell(&mut core, bad).as_ref(), Some(&log));
        let row = core.state.accounts.get(&account).unwrap();
        assert_eq!((row.contact, row.trust), (None, Trust::Unverified), "nothing of it counts");
    }
}

#[test]
fn r_sync_05_trust_grows_between_devices_and_a_change_stays_until_a_person_decided() {
    use Trust::{Changed, Unverified, Verified};
    let table = [
        (Unverified, "verified", Verified),
        (Unverified, "changed", Changed),
        (Unverified, "from the future", Unverified),
        (Verified, "unverified", Verified),
        (Verified, "changed", Changed),
        (Changed, "unverified", Changed),
        (Changed, "verified", Changed),
    ];
    for (before, told, after) in table {
        let (mut core, _) = core();
        let (_, bob) = other(50, "bob");
        core.told(SIBLING, &codec::encode(&SyncNote::Accounts(vec![seen(&bob, None, "unverified")])))
            .unwrap();
        core.state.accounts.get_mut(&bob.account()).unwrap().trust = before;
        core.told(SIBLING, &codec::encode(&SyncNote::Accounts(vec![seen(&bob, None, told)]))).unwrap();
        assert_eq!(core.state.accounts.get(&bob.account()).unwrap().trust, after, "{before:?} {told}");
    }
    // Another account under a pinned handle is a change, whoever tells it; retiring the first is a decision.
    let (mut core, _) = core();
    let ((_, first), (_, second)) = (other(50, "bob"), other(51, "bob"));
    let tell = |core: &mut Core, accounts: Vec<SyncAccount>| {
        core.told(SIBLING, &codec::encode(&SyncNote::Accounts(accounts))).unwrap();
    };
    tell(&mut core, vec![seen(&first, Some("accepted"), "verified")]);
    tell(&mut core, vec![seen(&second, Some("accepted"), "unverified")]);
    let row = core.state.accounts.get(&first.account()).unwrap();
    assert_eq!((row.trust, row.rival), (Changed, Some(second.account())));
    assert!(core.state.accounts.get(&second.account()).is_none());
    let retired = SyncAccount { retired: true, ..seen(&first, None, "changed") };
    tell(&mut core, vec![retired, seen(&second, Some("accepted"), "unverified")]);
    assert!(core.state.accounts.get(&first.account()).unwrap().retired);
    assert_eq!(core.state.contact_state(&second.account()), Some(ContactState::Accepted));
}

#[test]
fn r_sync_06_history_fills_gaps_and_overwrites_nothing() {
    let (mut core, personal) = core();
    let group = core.make_group("ops".into(), None, false).unwrap();
    if let Some(row) = core.state.groups.get_mut(&group) {
        row.joined_at = row.position(10);
    }
    let own = core.state.identity.as_ref().unwrap().device;
    let message = |group: GroupId, sequence: u64, id: u8, text: &str| SyncMessage {
        group,
        place: (sequence, 0),
        ago: 0,
        id: MessageId::from_bytes([id; 16]),
        account: AccountId::from_bytes([7; 32]),
        device: SIBLING,
        kind: Kind::Person,
        sent_at: at(5),
        at: None,
        content: kind::TEXT.into(),
        text: text.into(),
        reply_to: None,
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
    let unknown = GroupId::from_bytes([77; 16]);
    let tell = |core: &mut Core, device: DeviceId, messages: Vec<SyncMessage>| {
        let sync = SyncNote::History { device, messages, done: 1, total: 2 };
        core.told(SIBLING, &codec::encode(&sync)).unwrap();
    };
    // For another device: not ours.
    tell(&mut core, REVOKED, vec![message(group, 3, 3, "no")]);
    // The same place, the same message elsewhere, what comes by itself, and the group that nobody sees.
    tell(&mut core, own, vec![message(group, 4, 4, "first"), message(unknown, 8, 8, "not joined yet")]);
    tell(
        &mut core,
        own,
        vec![
            message(group, 4, 5, "overwrites"),
            message(group, 6, 4, "again"),
            message(group, 11, 11, "comes itself"),
            message(personal, 1, 1, "unseen"),
            message(group, 2, 2, &"x".repeat(limit::TEXT_BYTES + 1)),
        ],
    );
    let texts = |core: &Core, group: &GroupId| -> Vec<String> {
        core.history.last(group, 99, |_| true).unwrap().into_iter().map(|(_, row)| row.text).collect()
    };
    assert_eq!(texts(&core, &group), ["first"]);
    assert_eq!(texts(&core, &unknown), ["not joined yet"]);
    assert!(texts(&core, &personal).is_empty());
    assert_eq!(core.state.groups.get(&group).unwrap().unread, 0);
    // After the batch was written it is the same.
    core.handle(Vec::new(), at(9)).unwrap();
    tell(&mut core, own, vec![message(group, 4, 6, "overwrites"), message(group, 5, 7, "second")]);
    assert_eq!(texts(&core, &group), ["first", "second"]);
    // What its author changed before this device was there. The later change counts, in whatever order they are told, and
    // so does one that this device reads itself.
    let edited = |text: &str, at: u64| SyncMessage { edited: Some((at, 0)), ..message(group, 4, 4, text) };
    for (text, at, shown) in
        [("1st", 6, "1st"), ("older", 5, "1st"), ("1st again", 6, "1st"), ("best", 9, "best")]
    {
        tell(&mut core, own, vec![edited(text, at)]);
        assert_eq!(texts(&core, &group), [shown, "second"]);
    }
    let (place, mut row) = core.history.find(group, &MessageId::from_bytes([4; 16]), false).unwrap().unwrap();
    let at_12 = core.state.groups.get(&group).unwrap().position(12);
    (row.text, row.edited) = ("read here".into(), Some(at_12));
    core.history.insert(group, place, row);
    tell(&mut core, own, vec![edited("told", 10)]);
    assert_eq!(texts(&core, &group), ["read here", "second"]);
    tell(&mut core, own, vec![SyncMessage { deleted: true, ..message(group, 5, 7, "") }]);
    assert_eq!(texts(&core, &group), ["read here", ""]);
    // Of another message nothing is taken.
    tell(&mut core, own, vec![SyncMessage { edited: Some((9, 0)), ..message(group, 4, 9, "another") }]);
    assert_eq!(texts(&core, &group), ["read here", ""]);
}

#[test]
fn r_sync_07_nothing_is_told_while_nobody_or_a_revoked_device_would_hear_it() {
    let (mut core, personal) = core();
    core.tell_devices(&SyncNote::RequestPolicy("anyone".into())).unwrap();
    assert_eq!(core.state.outbox.len(), 0);
    core.enqueue_sync(personal, &SyncNote::RequestPolicy("anyone".into())).unwrap();
    let is_told = |core: &mut Core| {
        core.drive_messages(personal).unwrap();
        core.run.effects.iter().any(|effect| matches!(effect, Effect::Publish(_)))
    };
    assert!(!is_told(&mut core), "nobody is there");
    for (device, told) in [(REVOKED, false), (SIBLING, true)] {
        let leaf = leaf(&core, core.state.own_id(), device);
        core.with_live(personal, |_, live| {
            live.roster.insert(9, leaf);
            Ok(())
        })
        .unwrap();
        assert_eq!(is_told(&mut core), told, "{device:?}");
    }
}
