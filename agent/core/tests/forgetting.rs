//! Messages that disappear: for everybody, on every device, and never to come back.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{device, group, message};
use cipher_api::view::{HistoryPolicy, MessageView};
use cipher_api::{ErrorKind, Event, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::link_with;
use crate::support::disk::{Disk, End, unlock};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, days, send};

const MINUTE: Duration = Duration::from_secs(60);
const WORDS: &str = "the door code is 4711";

fn world(seed: u64, names: &[&str]) -> World {
    World::of(seed, Flavour::R1, names)
}

fn of(id: MessageId) -> MessageRef {
    MessageRef { id: id.to_string(), within: None }
}

fn vanishes(group: GroupId, text: &str, seconds: u64) -> message::Send {
    message::Send { expire: Some(seconds), ..send(group, text) }
}

/// Somebody says something that disappears a minute after it was read.
fn says(world: &mut World, name: &str, group: GroupId, text: &str) -> MessageId {
    let id = world.person(name).does(vanishes(group, text, 60)).id;
    world.settle();
    id
}

fn read(world: &mut World, name: &str, group: GroupId) {
    let target = Target::Group(group);
    world.person(name).does(message::Read { mark: true, ..message::Read::of(target) });
    world.settle();
}

fn passes(world: &mut World, by: Duration) {
    world.pass(by);
    world.settle();
}

fn found(world: &mut World, name: &str, group: GroupId, id: MessageId) -> Option<MessageView> {
    world.person(name).messages(group).into_iter().find(|message| message.id == id)
}

/// R-FORGET-01: it counts from reading, for its author from sending.
#[test]
fn r_forget_01_a_message_disappears_some_time_after_it_was_read() {
    let mut world = world(1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = says(&mut world, "alice", group, WORDS);
    let view = found(&mut world, "bob", group, id).unwrap();
    assert_eq!((view.expire, view.expires_at, view.unread), (Some(60), None, true));
    assert!(found(&mut world, "alice", group, id).unwrap().expires_at.is_some());
    passes(&mut world, MINUTE / 2);
    read(&mut world, "bob", group);
    passes(&mut world, MINUTE / 2 + Duration::from_secs(5));
    assert_eq!(found(&mut world, "alice", group, id), None, "a minute after it was sent");
    assert_eq!(found(&mut world, "bob", group, id).unwrap().text, WORDS, "he read it half a minute ago");
    passes(&mut world, MINUTE / 2);
    assert_eq!(found(&mut world, "bob", group, id), None);
    let gone =
        |event: &Event| matches!(event, Event::Changed { message } if message.id == id && message.expired);
    let bob = world.index("bob");
    assert!(world.people[bob].events.iter().any(gone), "whoever shows it is told");
    // Carol did not read it. It is unread for as long as the broker has it, and that minute.
    passes(&mut world, days(20));
    assert_eq!(world.person("carol").group(group).unread, 1);
    passes(&mut world, days(30));
    assert_eq!(world.person("carol").group(group).unread, 0);
    for name in ["alice", "bob", "carol"] {
        world.person(name).restarts(End::Kill);
        world.settle();
        assert_eq!(found(&mut world, name, group, id), None, "{name}");
        world.person(name).cannot(
            message::React {
                message: MessageRef { id: id.to_string(), within: None },
                emoji: "tada".into(),
                remove: false,
            },
            ErrorKind::NotFound,
        );
    }
}

#[test]
fn r_forget_02_what_cannot_be_meant_is_refused() {
    let mut world = world(2, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("alice").cannot(vanishes(group, WORDS, 0), ErrorKind::Usage);
    world.person("alice").cannot(vanishes(group, WORDS, 1_000_000_000), ErrorKind::Limit);
}

/// R-FORGET-07: what one device showed counts from that moment on all own devices, also on one that was away.
#[test]
fn r_forget_07_own_devices_count_from_the_same_moment() {
    let mut world = world(3, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    world.person("phone").disconnects();
    let id = says(&mut world, "alice", group, WORDS);
    let later = world.person("alice").does(vanishes(group, "and later this", 60)).id;
    world.settle();
    world.person("bob").does(message::Shown { group, ids: vec![id] });
    world.settle();
    passes(&mut world, MINUTE * 2);
    assert_eq!(found(&mut world, "bob", group, id), None);
    world.person("phone").connects();
    world.settle();
    assert_eq!(found(&mut world, "phone", group, id), None, "it came, and was over");
    assert_eq!(world.person("phone").texts(group), ["and later this"]);
    world.person("phone").does(message::Shown { group, ids: vec![later] });
    world.settle();
    let at = found(&mut world, "phone", group, later).unwrap().expires_at;
    assert!(at.is_some());
    assert_eq!(found(&mut world, "bob", group, later).unwrap().expires_at, at);
    passes(&mut world, MINUTE * 2);
    for name in ["bob", "phone", "alice"] {
        assert!(world.person(name).texts(group).is_empty(), "{name}");
    }
    oracle::judge(&mut world);
}

/// R-FORGET-04: other words disappear with the message, and give it no more time.
#[test]
fn r_forget_04_an_edit_gives_no_time() {
    let mut world = world(4, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = says(&mut world, "alice", group, WORDS);
    read(&mut world, "bob", group);
    passes(&mut world, MINUTE / 2);
    let named = MessageRef { id: id.to_string(), within: None };
    world.person("alice").does(message::Edit { message: named, text: "it is 4712".into() });
    world.settle();
    assert_eq!(world.person("bob").texts(group), ["it is 4712"]);
    world.person("bob").disconnects();
    passes(&mut world, MINUTE);
    world.person("bob").connects();
    world.settle();
    assert!(world.person("bob").texts(group).is_empty() && world.person("alice").texts(group).is_empty());
}

/// R-FORGET-05: a new device gets nothing that is over, and what is not counts on for it.
#[test]
fn r_forget_05_history_brings_nothing_back() {
    let mut world = world(5, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = says(&mut world, "bob", group, WORDS);
    read(&mut world, "alice", group);
    passes(&mut world, MINUTE * 2);
    let other = says(&mut world, "bob", group, "this one is fresh");
    read(&mut world, "alice", group);
    world.person("alice").says(group, "stays");
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    assert_eq!(found(&mut world, "phone", group, id), None);
    let at = found(&mut world, "alice", group, other).unwrap().expires_at;
    assert_eq!(found(&mut world, "phone", group, other).unwrap().expires_at, at);
    passes(&mut world, MINUTE * 2);
    assert_eq!(world.person("phone").texts(group), ["stays"]);
}

/// R-FORGET-05: a backup of before does not bring it back, read or not.
#[test]
fn r_forget_05_a_backup_brings_nothing_back() {
    let mut world = world(6, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let read_one = says(&mut world, "bob", group, WORDS);
    read(&mut world, "alice", group);
    let unread = says(&mut world, "bob", group, "read after the backup");
    world.person("alice").says(group, "stays");
    let (mut parts, mut behind) = (Vec::new(), None);
    loop {
        let part = world.person("alice").does(device::Backup { behind: behind.take() });
        parts.push(part.part);
        match part.next {
            Some(next) => behind = Some(next),
            None => break,
        }
    }
    passes(&mut world, MINUTE * 2);
    let index = world.arrive("alice.again");
    for part in &parts {
        world.run(index, device::Restore { part: part.clone() }).unwrap();
    }
    let come = device::Return { name: "new laptop".into(), keep_devices: Some(true), signature: None };
    world.run(index, come).unwrap();
    world.settle();
    for id in [read_one, unread] {
        assert_eq!(found(&mut world, "alice.again", group, id), None);
    }
    assert_eq!(world.person("alice.again").texts(group), ["stays"]);
}

/// R-FORGET-05: a log that lost it, and everything said again, bring nothing back.
#[test]
fn r_forget_05_a_log_that_went_back_brings_nothing_back() {
    let mut world = world(7, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("alice").says(group, "before");
    world.settle();
    let kept = world.log.clone();
    let id = says(&mut world, "alice", group, WORDS);
    let whole = world.log.clone();
    read(&mut world, "bob", group);
    read(&mut world, "carol", group);
    passes(&mut world, MINUTE * 2);
    world.broker_returns(|log| log.restore(&kept));
    world.settle();
    passes(&mut world, Duration::from_secs(2 * 3600));
    world.broker_returns(|log| log.restore(&whole));
    world.settle();
    passes(&mut world, Duration::from_secs(2 * 3600));
    for name in ["alice", "bob", "carol"] {
        assert_eq!(found(&mut world, name, group, id), None, "{name}");
        assert!(!world.person(name).texts(group).contains(&WORDS.to_owned()), "{name}");
    }
    oracle::survive(&mut world);
}

/// R-FORGET-06: what is due is shown to nobody, however much is to be forgotten at once; each batch has its share of it.
#[test]
fn r_forget_06_what_is_due_is_shown_no_more_however_much_it_is() {
    let mut world = world(8, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    for n in 0..300 {
        world.person("alice").does(vanishes(group, &format!("{WORDS} {n}"), 3600));
    }
    world.settle();
    read(&mut world, "bob", group);
    world.person("bob").disconnects();
    let bob = world.index("bob");
    world.end(bob, End::Clean);
    passes(&mut world, Duration::from_secs(7200));
    world.boot(bob).unwrap();
    // Before anything else was done than to open the profile.
    assert!(world.person("bob").texts(group).iter().all(String::is_empty));
    world.settle();
    assert!(world.person("bob").texts(group).is_empty());
    assert_eq!(world.person("bob").group(group).unread, 0);
}

/// What never left is forgotten too, and so is what could not.
#[test]
fn what_was_never_sent_disappears_for_its_author() {
    let mut world = world(9, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("bob").disconnects();
    let id = world.person("bob").does(vanishes(group, WORDS, 60)).id;
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.person("bob").connects();
    world.settle();
    assert_eq!(found(&mut world, "bob", group, id).unwrap().text, WORDS);
    passes(&mut world, MINUTE * 2);
    assert_eq!(found(&mut world, "bob", group, id), None);
}

fn set(group: GroupId) -> group::Set {
    group::Set::of(Target::Group(group))
}

/// R-FORGET-10: what is said from then on, for as long as the group or its author lets it, whichever is shorter.
#[test]
fn r_forget_10_a_group_says_how_long_after_reading_what_is_said_disappears() {
    let mut world = world(31, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let before = world.person("alice").says(group, "kept").id;
    world.settle();
    world.person("alice").does(group::Set { expire_seconds: Some(120), ..set(group) });
    world.settle();
    let usual = world.person("alice").does(send(group, "two minutes")).id;
    let shorter = world.person("alice").does(vanishes(group, "one minute", 60)).id;
    let longer = world.person("bob").does(vanishes(group, "two minutes too", 9000)).id;
    world.settle();
    for (id, seconds) in [(before, None), (usual, Some(120)), (shorter, Some(60)), (longer, Some(120))] {
        for name in ["alice", "bob"] {
            assert_eq!(found(&mut world, name, group, id).unwrap().expire, seconds, "{name}");
        }
    }
    read(&mut world, "alice", group);
    read(&mut world, "bob", group);
    passes(&mut world, MINUTE + Duration::from_secs(5));
    let left = |world: &mut World, name: &str| -> Vec<MessageId> {
        let lines = world.person(name).messages(group).into_iter();
        lines.filter(|line| line.event().is_none()).map(|line| line.id).collect()
    };
    assert_eq!(left(&mut world, "bob"), [before, usual, longer]);
    passes(&mut world, MINUTE);
    for name in ["alice", "bob"] {
        assert_eq!(left(&mut world, name), [before], "{name}");
    }
    world.person("bob").restarts(End::Kill);
    world.person("alice").does(group::Set { expire_seconds: Some(0), ..set(group) });
    world.settle();
    let kept = world.person("bob").does(send(group, "for ever")).id;
    world.settle();
    assert_eq!(found(&mut world, "alice", group, kept).unwrap().expire, None);
    let too_long = group::Set { expire_seconds: Some(400 * 86_400), ..set(group) };
    world.person("alice").cannot(too_long, ErrorKind::Limit);
    oracle::judge(&mut world);
}

/// R-FORGET-11: read or not, said before the group wanted it or after; on a device that was away, and on one that comes later.
#[test]
fn r_forget_11_a_group_says_for_how_long_messages_are_kept() {
    let mut world = World::long_ago(32, Flavour::R1, 10, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let old: Vec<MessageId> =
        (0..600).map(|n| world.person("alice").says(group, &format!("{WORDS} {n}")).id).collect();
    world.settle();
    let carol = world.index("carol");
    world.person("carol").disconnects();
    passes(&mut world, days(2));
    let young = world.person("bob").says(group, "young").id;
    world.settle();
    world.person("alice").does(group::Set { retention_seconds: Some(86_400), ..set(group) });
    world.settle();
    let left = |world: &mut World, name: &str| -> Vec<MessageId> {
        let lines = world.person(name).messages(group).into_iter();
        lines.filter(|line| line.event().is_none()).map(|line| line.id).collect()
    };
    for name in ["alice", "bob"] {
        assert_eq!(left(&mut world, name), [young], "{name}");
    }
    world.person("bob").cannot(message::Show { message: of(old[0]) }, ErrorKind::NotFound);
    assert_eq!(world.person("bob").group(group).unread, 0);
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    assert_eq!(left(&mut world, "phone"), [young]);
    world.people[carol].events.clear();
    world.person("carol").connects();
    world.settle();
    assert_eq!(left(&mut world, "carol"), [young]);
    passes(&mut world, days(1));
    for name in ["alice", "bob", "carol", "phone"] {
        assert!(left(&mut world, name).is_empty(), "{name}");
        assert_eq!(world.person(name).group(group).unread, 0, "{name}");
        world.person(name).restarts(End::Kill);
        world.settle();
        assert!(left(&mut world, name).is_empty(), "{name}");
    }
    // Two groups, each with its own time; and one that wants them for ever again.
    let other = world.admins("dev", &["alice", "bob"]);
    world.person("alice").does(group::Set { retention_seconds: Some(3600), ..set(other) });
    world.settle();
    let short = world.person("alice").says(other, "an hour").id;
    let long = world.person("bob").says(group, "a day").id;
    world.settle();
    passes(&mut world, Duration::from_secs(3700));
    assert_eq!(found(&mut world, "bob", other, short), None);
    assert!(found(&mut world, "alice", group, long).is_some());
    world.person("alice").does(group::Set { retention_seconds: Some(0), ..set(group) });
    world.settle();
    passes(&mut world, days(2));
    assert!(found(&mut world, "bob", group, long).is_some());
    oracle::judge(&mut world);
}

/// R-FORGET-12: nor does anybody's store tell what was put under it, or chosen of it.
#[test]
fn r_forget_12_what_was_made_of_a_message_is_forgotten_with_it() {
    const TADA: &[u8] = "\u{1f389}".as_bytes();
    let mut world = world(34, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = says(&mut world, "alice", group, WORDS);
    let gone = world.person("alice").says(group, "this one is taken back").id;
    world.settle();
    for one in [id, gone] {
        for remove in [false, true, false] {
            for name in ["alice", "bob"] {
                world.person(name).does(message::React { message: of(one), emoji: "tada".into(), remove });
                world.settle();
            }
        }
    }
    read(&mut world, "bob", group);
    world.person("alice").does(message::Delete { message: of(gone), local: false });
    passes(&mut world, MINUTE * 2);
    for name in ["alice", "bob"] {
        assert_eq!(found(&mut world, name, group, id), None, "{name}");
        let index = world.index(name);
        world.end(index, End::Clean);
        let disk = Disk::holding(world.people[index].disk.files());
        let mut left = Vec::new();
        let look = |table: &'static str, value: &[u8]| {
            if value.windows(TADA.len()).any(|bytes| bytes == TADA) {
                left.push(table);
            }
        };
        cipher_core::values(disk.place(), || Ok(unlock()), [9; 32], look).unwrap();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}
