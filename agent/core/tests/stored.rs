//! Stores written by earlier versions must keep opening, and go on where they stopped.
//!
//! `stored/v1` was written with `CIPHER_BLESS=1`. It is never written again: a format that changes gets a folder of
//! its own, and this test then opens both.

use std::path::PathBuf;

use cipher_api::Target;
use cipher_api::command::{bot, contact, message};
use cipher_api::view::{GroupState, GroupView, MessageState};
use cipher_broker::codec;
use cipher_broker::subject::Route;
use serde_bytes::ByteBuf;

use cipher_core::Place as _;

use crate::support::disk::{Disk, End, Files};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::setting;
use crate::support::world::{World, send};

/// A page of a store's file; those that are all zero are left out.
const PAGE: usize = 4096;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stored/v1").join(name)
}

/// Length of the file, and its pages that hold something.
type Pages = (u64, Vec<(u64, ByteBuf)>);

fn pack(bytes: &[u8]) -> Vec<u8> {
    let pages = (0_u64..).zip(bytes.chunks(PAGE)).filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let pages: Pages = (bytes.len() as u64, pages.map(|(n, page)| (n, ByteBuf::from(page))).collect());
    codec::encode(&pages)
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let (length, pages): Pages = codec::decode(packed).unwrap();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    for (n, page) in pages {
        let at = usize::try_from(n).unwrap() * PAGE;
        bytes[at..at + page.len()].copy_from_slice(&page);
    }
    bytes
}

/// What the stores were made of: two people in a group, a direct conversation, an invitation that waits, a message
/// that waits, a bot's memory.
fn bless() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("alice").says(group, "hello from alice");
    world.person("bob").says(group, "hello from bob");
    world.person("alice").renames(group, "archive");
    let say = message::Send::new(Target::Account("bob".parse().unwrap()), "psst");
    world.person("alice").does(say);
    world.settle();
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    world.person("bob").creates("waiting", &[]);
    let events = world.person("bob").does(bot::Events { bot: "clerk".into(), limit: 99, busy: vec![] });
    let position = events.last().unwrap().position;
    world.person("bob").does(bot::Handled {
        bot: "clerk".into(),
        group,
        position,
        place: 0,
        say: vec![],
        memory: Some(b"remembered".to_vec()),
    });
    world.settle();
    world.person("alice").disconnects();
    world.person("alice").says(group, "written offline");
    std::fs::create_dir_all(file("")).unwrap();
    for name in ["alice", "bob"] {
        let index = world.index(name);
        world.end(index, End::Clean);
        // Pages that are free may still hold what they held.
        let disk = world.people[index].disk.clone();
        let builder = redb::Builder::new();
        disk.place().database("store.redb", &builder, false).unwrap().compact().unwrap();
        disk.end(End::Clean, &mut world.dice);
        std::fs::write(file(&format!("{name}.pages")), pack(&world.people[index].disk.files()["store.redb"]))
            .unwrap();
    }
    let log: Vec<(String, ByteBuf)> =
        world.log.all().into_iter().map(|(route, bytes)| (route.to_string(), ByteBuf::from(bytes))).collect();
    std::fs::write(file("log"), codec::encode(&log)).unwrap();
}

#[test]
fn stores_of_version_1_open_and_go_on() {
    if setting::is_set("CIPHER_BLESS") && !file("log").exists() {
        bless();
    }
    let (mut world, bob) = of_version_1(2);
    world.arrive_with("bob", bob);
    // The registry has lost everything: what was agreed before does not need it.
    world.settle();
    let archive = is_all_there(&mut world);
    let own = world.person("alice").messages(archive.id);
    assert!(own.iter().all(|message| message.state != MessageState::Queued), "{own:?}");
    // It had no due-queue: what a bot had not handled waits in one now, the conversation that waits longest first.
    let events = world.person("bob").does(bot::Events { bot: "clerk".into(), limit: 99, busy: vec![] });
    let waiting = events.iter().map(|event| (event.message.text.as_str(), event.memory.as_deref()));
    let expected = [("psst", None), ("written offline", Some(&b"remembered"[..]))];
    assert_eq!(waiting.collect::<Vec<_>>(), expected);
    world.person("alice").starts(send(archive.id, "and on it goes"));
    world.settle();
    world.person("bob").renames(archive.id, "living");
    oracle::survive(&mut world);
    assert_eq!(world.person("bob").sees(archive.id, "and on it goes"), 1);
    assert_eq!(world.person("alice").group(archive.id).name, "living");
}

/// The world that was stored, with Alice in it, and Bob's disk.
pub(crate) fn of_version_1(seed: u64) -> (World, Disk) {
    let mut world = World::new(seed, Flavour::R1);
    let log: Vec<(String, ByteBuf)> = codec::decode(&std::fs::read(file("log")).unwrap()).unwrap();
    for (route, bytes) in log {
        world.log.inject(Route::parse(&route).unwrap(), bytes.into_vec());
    }
    let disk = |name: &str| {
        let bytes = unpack(&std::fs::read(file(&format!("{name}.pages"))).unwrap());
        Disk::holding(Files::from([("store.redb".to_owned(), bytes)]))
    };
    world.arrive_with("alice", disk("alice"));
    (world, disk("bob"))
}

/// Everything that was stored is there, for both; gives their group.
pub(crate) fn is_all_there(world: &mut World) -> GroupView {
    let find = |groups: Vec<GroupView>, name: &str| {
        groups.into_iter().find(|view| view.name == name).unwrap_or_else(|| panic!("{name} is gone"))
    };
    let archive = find(world.person("alice").groups(), "archive");
    assert_eq!((archive.state, archive.members.len()), (GroupState::Active, 2));
    for name in ["alice", "bob"] {
        let texts = world.person(name).texts(archive.id);
        assert_eq!(texts, ["hello from alice", "hello from bob", "written offline"], "{name}");
    }
    let groups = world.person("bob").groups();
    assert!(groups.iter().any(|view| view.direct) && groups.iter().any(|view| view.name == "waiting"));
    archive
}
