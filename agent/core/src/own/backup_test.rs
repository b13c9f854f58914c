//! The bytes of a backup: what they hold, and that those of version 1 stay readable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cipher_api::command::account;
use cipher_api::view::{GroupState, RequestPolicy};
use cipher_broker::certificate::Kind;
use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::registry::{Presence, PublicProfile};

use super::*;
use crate::input::{Input, Ticket};
use crate::machine::Options;
use crate::state::{
    AccountRow, Author, BackupOf, BotRow, Change, ChangesRow, LogPlace, SealedAs, WaitingChange, position,
};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

fn group(n: u8) -> GroupId {
    GroupId::from_bytes([n; 16])
}

fn place(sequence: u64) -> Place {
    (position::of(position::FIRST_ERA, sequence), 0)
}

fn said(n: u8, text: &str) -> MessageRow {
    let author = Author {
        account: AccountId::from_bytes([9; 32]),
        device: DeviceId::from_bytes([9; 16]),
        kind: Kind::Person,
    };
    let body = Body::Text(text.into());
    let content = Content::new([0; 16], at(1), body);
    let mut row = MessageRow::said(MessageId::from_bytes([n; 16]), author, content);
    row.at = Some(at(2));
    row
}

/// A part of each kind, with something in every field that is not the log of an account: that has golden bytes of its own.
fn parts() -> Vec<(&'static str, BackupPart)> {
    let account = AccountId::from_bytes([9; 32]);
    let profile = PublicProfile {
        account,
        name: "Bob".into(),
        status: "here".into(),
        presence: Presence::Away,
        version: 3,
    };
    let own = BackupAccount {
        at: at(0),
        handle: "alice".parse().unwrap(),
        seed: [7; 32],
        device: DeviceId::from_bytes([2; 16]),
        kind: Kind::Person,
        owner: None,
        profile: PublicProfile { name: "Alice".into(), ..profile.clone() },
        log: None,
        names: BTreeMap::from([(DeviceId::from_bytes([2; 16]), "laptop".into())]),
        phrase_due: true,
        registry_key: Some(ByteBuf::from([5; 32])),
        head: None,
        heads: Vec::new(),
        doubt: true,
        log_cursor: Some(12),
        log_gap: 4,
        own_place: LogPlace { tip: Some((2, 11)), followed: 3 },
        request_policy: RequestPolicy::Contacts,
        receipts: None,
        blocked_contacts: BTreeSet::from([account]),
        answers: BTreeMap::from([(group(4), (true, 9))]),
    };
    let row = AccountRow {
        profile,
        contact: Some(cipher_api::view::ContactState::Blocked),
        trust: cipher_api::view::Trust::Verified,
        retired: true,
        ..AccountRow::unseen(account, "bob".parse().unwrap(), Kind::Person, None)
    };
    let known = BackupGroup {
        id: group(1),
        state: GroupState::Active,
        name: "ops".into(),
        direct: false,
        peer: Some(account),
        suite: 3,
        epoch: 17,
        era: position::FIRST_ERA,
        cursor: place(40).0,
        joined_at: place(2).0,
        read_to: Some(place(38).0),
        read_beyond: vec![(place(39).0, place(39).0)],
        unread: 1,
        mentions: 0,
        alias: Some("operations".into()),
        muted: None,
        seen_at: at(3),
        let_in_by: Some(account),
        let_in_at: Some(at(1)),
        retention_seconds: None,
        members: vec![account],
    };
    let waiting = WaitingChange {
        text: "later".into(),
        ..WaitingChange::new(MessageId::from_bytes([6; 16]), account, place(41).0, Change::Edit)
    };
    let mut edited = said(1, "first");
    edited.edited = Some(place(39).0);
    let mut deleted = said(2, "");
    deleted.deleted = true;
    let messages = vec![
        BackupMessage { group: group(1), place: place(38), row: edited },
        BackupMessage { group: group(1), place: place(39), row: deleted },
    ];
    let bot = BotRow { cursor: place(38).0, place: 0, memory: Some(ByteBuf::from(b"remembered")) };
    vec![
        ("account", BackupPart::Account(Box::new(own))),
        ("accounts", BackupPart::Accounts(vec![(account, row)])),
        ("groups", BackupPart::Groups(vec![known])),
        (
            "changes",
            BackupPart::Changes(vec![(
                group(1),
                MessageId::from_bytes([5; 16]),
                ChangesRow { waiting: vec![waiting], at: at(4) },
            )]),
        ),
        ("messages", BackupPart::Messages(messages)),
        ("bots", BackupPart::Bots(vec![BackupBot { bot: "echo".into(), group: group(1), row: bot }])),
        ("end", BackupPart::End { messages: 2 }),
    ]
}

/// Golden bytes: a later version reads what this one wrote. The files are never edited; a part that changes gets a new one.
#[test]
fn r_backup_05_parts_of_version_1_are_read_for_ever() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stored/backup-v1");
    for (name, part) in parts() {
        let (path, bytes) = (folder.join(name), codec::encode(&part));
        if std::env::var_os("CIPHER_BLESS").is_some() && !path.exists() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let golden = std::fs::read(&path).unwrap_or_else(|_| panic!("{name}: CIPHER_BLESS=1 makes it"));
        let read: BackupPart = codec::decode(&golden).unwrap();
        assert_eq!(codec::encode(&read), bytes, "{name} is read as it was written");
        assert_eq!(golden, bytes, "{name} is written as it was");
        let of = BackupOf::read(&golden).ok().map(|of| (of.handle.to_string(), of.owner));
        assert_eq!(of, (name == "account").then(|| ("alice".into(), None)), "{name}");
    }
}

/// Bytes that are cut off or changed anywhere are refused or read as something, and never end the process.
#[test]
fn parts_that_were_changed_do_no_harm() {
    for (_, part) in parts() {
        let bytes = codec::encode(&part);
        for cut in 0..bytes.len() {
            assert!(codec::decode::<BackupPart>(&bytes[..cut]).is_err());
        }
        let mut core = Core::in_memory(Options { seed: [1; 32], cached_groups: 8, receipts: false });
        core.device_restore(&codec::encode(&parts().remove(0).1)).unwrap();
        for changed in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[changed] ^= 0x55;
            // Whatever it makes of them.
            let _ = core.device_restore(&bytes);
        }
    }
}

/// A profile with an account, one message of its own and one of somebody else.
fn core() -> Core {
    let mut core = Core::in_memory(Options { seed: [1; 32], cached_groups: 8, receipts: false });
    let handle = "ana".parse().unwrap();
    let command = account::Register { handle, name: "Ana".into(), bot: None, invite_code: None };
    core.handle(vec![Input::Command { ticket: Ticket(1), command: Box::new(command.into()) }], at(0))
        .unwrap();
    core.state.identity.as_mut().unwrap().registered = true;
    core.state.identity_dirty = true;
    let mut own = said(1, "own words");
    own.sealed = Some(SealedAs { key: [0xa1; 16], hash: [0xa2; 16], epoch: 3, salt: [0xa3; 16], head: None });
    core.history.insert(group(1), place(3), own);
    core.history.insert(group(1), place(4), said(2, "other words"));
    let (state, history) = (&core.state, &core.history);
    core.store.write(Timestamp::default(), |txn| state.flush(txn).and_then(|()| history.flush(txn))).unwrap();
    core.state.flushed();
    core.history.flushed();
    core
}

/// R-BACKUP-01
#[test]
fn r_backup_01_neither_keys_of_the_device_nor_sealed_bytes_are_in_a_part() {
    let mut core = core();
    let (mut bytes, mut behind) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let Reply::BackupPart(part) = core.device_backup(behind.as_deref()).unwrap() else { panic!() };
        bytes.extend_from_slice(&part.part);
        match part.next {
            Some(next) => behind = Some(next),
            None => break,
        }
    }
    let own = core.state.identity().unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(&own.account_seed) && holds(b"own words") && holds(b"other words"));
    assert!(!holds(&own.device_seed) && !holds(&own.certificate));
    assert!(!holds(&[0xa1; 16]) && !holds(&[0xa2; 16]) && !holds(&[0xa3; 16]));
}
