//! Presence: whispered to groups, heard by members, believed only when it is theirs and fresh.

use std::time::Duration;

use cipher_api::command::{account, contact, message};
use cipher_api::{Command, Event, Target};
use cipher_broker::id::GroupId;
use cipher_broker::wire::registry::Presence;
use cipher_core::Input;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

const MINUTE: Duration = Duration::from_secs(60);

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R1, names)
}

fn choose(presence: Presence) -> account::SetProfile {
    account::SetProfile { name: None, status: None, presence: Some(presence) }
}

/// Presence of somebody as somebody else is shown it.
fn seen(world: &mut World, by: &str, of: &str) -> Presence {
    let view = world.person(by).does(account::ShowProfile { handle: of.parse().unwrap() });
    view.presence
}

/// Time passes for everybody, with whatever is due.
pub(crate) fn live(world: &mut World, minutes: u32) {
    for _ in 0..minutes * 4 {
        world.pass(MINUTE / 4);
        world.settle();
    }
}

/// What somebody was told of others' presence since the last time.
fn told(world: &mut World, name: &str) -> Vec<(String, Presence)> {
    let index = world.index(name);
    let mut told = Vec::new();
    world.people[index].events.retain(|event| match event {
        Event::Presence { handle, presence, .. } => {
            told.push((handle.clone(), *presence));
            false
        }
        _ => true,
    });
    told
}

fn whispers(world: &World, of: &str, group: GroupId) -> Vec<Vec<u8>> {
    let of = world.whispered.iter().filter(|(name, where_to, _)| name == of && *where_to == group);
    of.map(|(_, _, bytes)| bytes.clone()).collect()
}

fn hears(world: &mut World, name: &str, group: GroupId, bytes: &[u8]) {
    let index = world.index(name);
    world.feed(index, vec![Input::Whispered { group, bytes: bytes.to_vec() }]);
}

#[test]
fn members_hear_who_is_there_and_who_went() {
    let mut world = world(&["alice", "bob"]);
    world.group_of("ops", &["alice", "bob"]);
    live(&mut world, 2);
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Available);
    assert!(told(&mut world, "bob").contains(&("alice".into(), Presence::Available)));
    world.person("alice").disconnects();
    live(&mut world, 4);
    assert_eq!(told(&mut world, "bob").last(), Some(&("alice".into(), Presence::Offline)));
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Offline);
    world.person("alice").connects();
    world.settle();
    assert_ne!(seen(&mut world, "bob", "alice"), Presence::Offline, "at once, not after a minute");
    oracle::judge(&mut world);
}

#[test]
fn who_shows_no_sign_for_five_minutes_is_away_until_it_does() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    live(&mut world, 7);
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Away);
    assert_eq!(world.person("alice").account().presence, Presence::Available, "as chosen");
    let alice = world.index("alice");
    let signs: [Command; 3] = [
        account::Active {}.into(),
        send(group, "hello").into(),
        message::Read { mark: true, ..message::Read::of(Target::Group(group)) }.into(),
    ];
    for sign in signs {
        world.run_any(alice, sign).unwrap();
        world.settle();
        assert_eq!(seen(&mut world, "bob", "alice"), Presence::Available);
        live(&mut world, 6);
        assert_eq!(seen(&mut world, "bob", "alice"), Presence::Away);
    }
    // Looking without marking is what a screen does by itself.
    world.person("alice").does(message::Read::of(Target::Group(group)));
    live(&mut world, 1);
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Away);
    oracle::judge(&mut world);
}

#[test]
fn a_choice_stays_and_offline_is_said_once() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    live(&mut world, 1);
    world.person("alice").does(choose(Presence::Busy));
    world.settle();
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Busy, "at once");
    live(&mut world, 7);
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Busy, "idle or not");
    world.person("alice").does(choose(Presence::Offline));
    world.settle();
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Offline);
    let said = whispers(&world, "alice", group).len();
    live(&mut world, 5);
    world.person("alice").does(account::Active {});
    live(&mut world, 1);
    assert_eq!(whispers(&world, "alice", group).len(), said, "silence");
    world.person("alice").restarts(End::Clean);
    live(&mut world, 2);
    assert_eq!(whispers(&world, "alice", group).len(), said, "silence after a restart too");
    world.person("alice").does(choose(Presence::Available));
    world.settle();
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Available);
    oracle::judge(&mut world);
}

/// What the broker sees of a whisper is the same whatever it says.
#[test]
fn whispers_are_equally_long() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    for presence in [Presence::Busy, Presence::Away, Presence::Offline, Presence::Available] {
        world.person("alice").does(choose(presence));
        world.settle();
    }
    let lengths: std::collections::BTreeSet<usize> =
        whispers(&world, "alice", group).iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 1, "{lengths:?}");
    assert!(lengths.iter().all(|length| *length <= cipher_broker::limit::WHISPER_BYTES));
}

/// R-WHISPER-01, R-WHISPER-02: repeated, held back, from another group, from an epoch that is over, or made up.
#[test]
fn r_whisper_01_r_whisper_02_what_is_not_a_members_fresh_word_is_not_believed_and_writes_nothing() {
    let mut world = world(&["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    let other = world.group_of("dev", &["alice", "bob"]);
    live(&mut world, 2);
    let available = whispers(&world, "alice", group).pop().unwrap();
    world.person("alice").does(choose(Presence::Busy));
    world.settle();
    let busy = whispers(&world, "alice", group).pop().unwrap();
    let elsewhere = whispers(&world, "alice", other).pop().unwrap();
    told(&mut world, "bob");
    let bob = world.index("bob");
    let commits = world.people[bob].core.as_ref().unwrap().commits();
    let mut changed = busy.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bytes in [available, busy.clone(), elsewhere, changed, vec![], vec![1; 40], vec![0; 100_000]] {
        hears(&mut world, "bob", group, &bytes);
    }
    hears(&mut world, "bob", GroupId::from_bytes([1; 16]), &busy);
    hears(&mut world, "bob", other, &busy);
    assert_eq!(told(&mut world, "bob"), [], "nothing changed");
    assert_eq!(world.people[bob].core.as_ref().unwrap().commits(), commits, "nothing was written");
    // Held back until nobody knows better: too old by then.
    world.person("alice").disconnects();
    live(&mut world, 5);
    hears(&mut world, "bob", group, &busy);
    world.person("bob").restarts(End::Clean);
    world.settle();
    told(&mut world, "bob");
    hears(&mut world, "bob", group, &busy);
    assert_eq!(told(&mut world, "bob"), []);
    // Carol whispers, is removed, and what she said before does not count in the next epoch.
    let carols = whispers(&world, "carol", group).pop().unwrap();
    world.person("alice").connects();
    world.settle();
    world.person("alice").removes(group, &["carol"]);
    world.settle();
    told(&mut world, "bob");
    hears(&mut world, "bob", group, &carols);
    assert_eq!(told(&mut world, "bob"), []);
    oracle::judge(&mut world);
}

/// A member whose clock is wrong by much is not believed, and hides nobody.
#[test]
fn r_whisper_02_a_wrong_clock_is_no_presence() {
    let mut world = world(&["alice", "bob"]);
    world.group_of("ops", &["alice", "bob"]);
    world.registry.strict = false;
    let alice = world.index("alice");
    live(&mut world, 3);
    world.people[alice].behind = Duration::from_secs(600);
    live(&mut world, 5);
    assert_eq!(seen(&mut world, "bob", "alice"), Presence::Offline);
    world.people[alice].behind = Duration::ZERO;
    live(&mut world, 2);
    assert_ne!(seen(&mut world, "bob", "alice"), Presence::Offline);
}

/// Name, status and presence are for contacts and fellow members; of a stranger only what names it is shown.
#[test]
fn a_strangers_words_are_not_shown() {
    let mut world = world(&["alice", "bob", "carol"]);
    world.group_of("ops", &["alice", "bob"]);
    let status = account::SetProfile { name: None, status: Some("on call".into()), presence: None };
    world.person("alice").does(status);
    let show = || account::ShowProfile { handle: "alice".parse().unwrap() };
    let view = world.person("carol").does(show());
    assert_eq!((view.name.as_str(), view.status.as_str(), view.presence), ("", "", Presence::Offline));
    assert_eq!(view.account_id, world.registry.account("alice"));
    let view = world.person("bob").does(show());
    assert_eq!((view.name.as_str(), view.status.as_str()), ("Alice", "on call"));
    world.person("carol").does(contact::Add { handle: "alice".parse().unwrap(), text: None });
    let view = world.person("carol").does(show());
    assert_eq!((view.name.as_str(), view.status.as_str()), ("Alice", "on call"));
}

/// A process that is here for one message whispers nothing and hears nothing.
#[test]
fn a_one_shot_process_does_not_whisper() {
    let mut world = world(&["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let alice = world.index("alice");
    world.end(alice, End::Clean);
    let before = whispers(&world, "alice", group).len();
    world.people[alice].interest = cipher_core::Interest::Outbox;
    world.boot(alice).unwrap();
    world.connect(alice);
    world.person("alice").says(group, "hello");
    world.settle();
    assert_eq!(whispers(&world, "alice", group).len(), before);
    assert_eq!(seen(&mut world, "alice", "bob"), Presence::Available, "bob's own word, for want of better");
}

/// Who was told to be writing, or not any more.
pub(crate) fn writes(world: &mut World, name: &str) -> Vec<(String, bool)> {
    let index = world.index(name);
    let mut told = Vec::new();
    world.people[index].events.retain(|event| match event {
        Event::Typing { handle, typing, .. } => {
            told.push((handle.clone(), *typing));
            false
        }
        _ => true,
    });
    told
}

fn types(world: &mut World, name: &str, group: GroupId) {
    world.person(name).does(message::Typing { target: Target::Group(group) });
    world.settle();
}

/// R-WHISPER-03, R-WHISPER-04: members who listen hear that somebody writes, for some seconds or until it has said it; nobody
/// stores anything of it.
#[test]
fn r_whisper_03_r_whisper_04_who_writes_is_shown_for_some_seconds_to_who_may_know() {
    let mut world = World::begun(1, Flavour::R1, 0);
    world.receipts = true;
    for name in ["alice", "bob", "carol"] {
        world.register(name);
    }
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    live(&mut world, 1);
    world.person("carol").does(account::SetReceipts { on: false });
    world.settle();
    let before = whispers(&world, "alice", group).len();
    world.person("alice").does(message::Typing { target: Target::Group(group) });
    while world.step() {}
    assert_eq!(writes(&mut world, "bob"), [("alice".into(), true)]);
    assert_eq!(writes(&mut world, "carol"), [], "who tells nothing is told nothing");
    // Each key that is pressed is no whisper.
    world.person("alice").does(message::Typing { target: Target::Group(group) });
    while world.step() {}
    assert_eq!(whispers(&world, "alice", group).len(), before + 1);
    let lengths: std::collections::BTreeSet<usize> =
        whispers(&world, "alice", group).iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 1, "the broker cannot tell it from presence: {lengths:?}");
    world.pass(Duration::from_secs(8));
    world.settle();
    assert_eq!(writes(&mut world, "bob"), [("alice".into(), false)]);
    types(&mut world, "alice", group);
    world.person("alice").says(group, "done");
    world.settle();
    assert_eq!(writes(&mut world, "bob"), [("alice".into(), true), ("alice".into(), false)]);
    world.pass(Duration::from_secs(8));
    types(&mut world, "carol", group);
    assert_eq!(writes(&mut world, "bob"), [], "with receipts off nothing is told");
    world.person("bob").does(contact::Block { who: "alice".parse().unwrap() });
    world.pass(Duration::from_secs(8));
    types(&mut world, "alice", group);
    assert_eq!(writes(&mut world, "bob"), [], "what a blocked account does is not heard");
    types(&mut world, "bob", group);
    assert_eq!(writes(&mut world, "alice"), [], "nor is it told anything");
    world.person("bob").does(contact::Unblock { who: "alice".parse().unwrap() });
    world.person("alice").does(choose(Presence::Offline));
    world.settle();
    world.pass(Duration::from_secs(8));
    types(&mut world, "alice", group);
    assert_eq!(writes(&mut world, "bob"), [], "whoever is offline for others writes unseen");
    types(&mut world, "bob", group);
    assert_eq!(writes(&mut world, "alice"), [], "and does not see who writes");
    world.person("alice").does(choose(Presence::Available));
    world.settle();
    world.pass(Duration::from_secs(8));
    world.person("bob").does(message::Typing { target: Target::Group(group) });
    while world.step() {}
    assert_eq!(writes(&mut world, "alice"), [("bob".into(), true)]);
}

/// R-WHISPER-04: what becomes of an earlier message of who writes ends nothing, nor does what another one says.
#[test]
fn r_whisper_04_only_what_is_said_now_ends_that_somebody_writes() {
    let mut world = World::begun(1, Flavour::R1, 0);
    world.receipts = true;
    for name in ["alice", "bob"] {
        world.register(name);
    }
    let group = world.group_of("ops", &["alice", "bob"]);
    live(&mut world, 1);
    let earlier = world.person("alice").says(group, "earlier").id;
    world.settle();
    world.person("alice").does(message::Typing { target: Target::Group(group) });
    while world.step() {}
    assert_eq!(writes(&mut world, "bob"), [("alice".into(), true)]);
    let message = || message::MessageRef { id: earlier.to_string(), within: None };
    world.person("bob").starts(message::React { message: message(), emoji: "tea".into(), remove: false });
    while world.step() {}
    world.person("alice").starts(message::React { message: message(), emoji: "tada".into(), remove: false });
    while world.step() {}
    world.person("bob").starts(send(group, "go on"));
    while world.step() {}
    assert_eq!(writes(&mut world, "bob"), [], "she still writes");
    world.pass(Duration::from_secs(8));
    world.settle();
    assert_eq!(writes(&mut world, "bob"), [("alice".into(), false)]);
}

#[test]
fn many_groups_are_whispered_to_in_steps() {
    let mut world = world(&["alice", "bob"]);
    world.person("alice").does(contact::Add { handle: "bob".parse().unwrap(), text: None });
    world.settle();
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    for n in 0..40 {
        world.person("alice").creates(&format!("group {n}"), &["bob"]);
    }
    world.settle();
    world.person("alice").restarts(End::Clean);
    let before = world.whispered.len();
    live(&mut world, 2);
    let heard: std::collections::BTreeSet<GroupId> = world.whispered[before..]
        .iter()
        .filter(|(who, ..)| who == "alice")
        .map(|(_, group, _)| *group)
        .collect();
    assert_eq!(heard.len(), 41, "every group, the direct one too");
}
