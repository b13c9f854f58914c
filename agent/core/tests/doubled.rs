//! One device twice: a profile that was restored from a copy, or that is used from two at once.
//!
//! On `b76d1e4` a restored profile sealed with keys it had used before: everything was shown as sent, and others dropped
//! as many messages as had been sent since the copy was made. Of two that were used at once the first one's vanished.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use cipher_api::command::{contact, device, group, status};
use cipher_api::view::{GroupState, MessageState, MessageView};
use cipher_api::{ErrorKind, Event, Hint, Notice, Target};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::envelope::Envelope;
use cipher_core::Input;

use crate::support::disk::{Disk, End};
use crate::support::log::Flavour;
use crate::support::mallory::{self, Mallory};
use crate::support::oracle;
use crate::support::world::{World, days, rename, send};

const FLAVOURS: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// How often somebody was told that something is said in its name, since its process began.
fn told(world: &World, name: &str) -> usize {
    world.notices(name).filter(|notice| matches!(notice, Notice::Doubled { .. })).count()
}

/// Every text that somebody shows as sent is there for the others, once.
fn what_is_sent_is_read(world: &mut World, group: GroupId, sender: &str, others: &[&str]) {
    let sent: Vec<String> = world
        .person(sender)
        .messages(group)
        .into_iter()
        .filter(|message| message.is_text() && message.state == MessageState::Sent)
        .map(|message| message.text)
        .collect();
    for other in others {
        for text in &sent {
            assert_eq!(world.person(other).sees(group, text), 1, "{other} sees {text:?} of {sender}");
        }
    }
}

#[test]
fn a4_a_restored_profile_takes_new_keys_before_it_says_anything() {
    for flavour in FLAVOURS {
        let mut world = World::of(1, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        for n in 0..3 {
            world.person("alice").says(group, &format!("first life {n}"));
        }
        world.settle();
        world.put_back(alice, copy);
        for n in 0..5 {
            world.person("alice").says(group, &format!("second life {n}"));
        }
        world.settle();
        for n in 0..3 {
            assert_eq!(world.person("bob").sees(group, &format!("first life {n}")), 1);
        }
        what_is_sent_is_read(&mut world, group, "alice", &["bob", "carol"]);
        assert_eq!(told(&world, "alice"), 1);
        assert!(world.person("alice").status().doubled_at.is_some());
        assert!(!world.person("alice").status().stopped, "there is one copy only");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

#[test]
fn a4_of_two_copies_that_are_awake_one_goes_on_and_the_other_stops() {
    for flavour in FLAVOURS {
        let mut world = World::of(2, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        for n in 0..4 {
            world.start(alice, send(group, &format!("original {n}")));
            world.start(twin, send(group, &format!("twin {n}")));
            world.churn(6);
        }
        world.settle();
        let stopped: Vec<&str> =
            ["alice", "alice.twin"].into_iter().filter(|name| world.person(name).status().stopped).collect();
        assert_eq!(stopped.len(), 1, "one of the two stops: {stopped:?}");
        let goes_on = if stopped[0] == "alice" { "alice.twin" } else { "alice" };
        let error = world.person(stopped[0]).cannot(send(group, "more"), ErrorKind::Stopped);
        assert_eq!(error.hint, Some(Hint::DeviceResume));
        for name in ["alice", "alice.twin"] {
            // What nobody could read is marked.
            what_is_sent_is_read(&mut world, group, name, &["bob", "carol"]);
        }
        // It stays so after a restart.
        world.person(stopped[0]).restarts(End::Kill);
        world.settle();
        world.person(stopped[0]).cannot(send(group, "more"), ErrorKind::Stopped);
        world.person(goes_on).says(group, "the one that is left");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "the one that is left"), 1);
            assert_eq!(world.person(name).group(group).state, GroupState::Active);
        }
    }
}

/// A4: two copies that are never awake at the same time. Before, each found that the other one had taken its place, asked for
/// it back and took it, for ever: only what is said while a process runs counted.
#[test]
fn a4_r_copy_01_of_two_copies_that_are_used_by_turns_one_goes_on_and_the_other_stops() {
    for (seed, flavour) in (0..8).map(|seed| (seed, FLAVOURS[usize::from(seed % 2 == 1)])) {
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        let mut stopped = Vec::new();
        for turn in 0..6 {
            // Which of the two is used first after the copy was made is no matter.
            let (user, other) = if (turn + seed) % 2 == 0 { (alice, twin) } else { (twin, alice) };
            if world.people[other].core.is_some() {
                world.end(other, End::Clean);
            }
            if world.people[user].core.is_none() {
                world.boot(user).unwrap();
                world.connect(user);
            }
            world.settle();
            if !world.status(user).stopped {
                world.start(user, send(group, &format!("turn {turn}")));
                world.settle();
            }
            if world.status(user).stopped {
                stopped.push((turn, user));
            }
            world.pass(Duration::from_secs(600));
        }
        let name = |world: &World, user: usize| world.people[user].name.clone();
        let users: BTreeSet<usize> = stopped.iter().map(|(_, user)| *user).collect();
        assert_eq!(users.len(), 1, "seed {seed}: one of the two stops: {stopped:?}");
        assert!(stopped[0].0 <= 3, "seed {seed}: after one turn of each at the latest: {stopped:?}");
        let other = if users.contains(&alice) { twin } else { alice };
        for user in [alice, twin] {
            if world.people[user].core.is_none() {
                world.boot(user).unwrap();
                world.connect(user);
                world.settle();
            }
            let name = name(&world, user);
            what_is_sent_is_read(&mut world, group, &name, &["bob", "carol"]);
        }
        let name = name(&world, other);
        world.person(&name).says(group, "the one that is left");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "the one that is left"), 1);
    }
}

/// R-COPY-03: the copy that went on is lost with its machine. The one that had stopped goes on when its person says so, and when the
/// other one is found again, that one stops.
#[test]
fn a4_r_copy_03_a_copy_that_stopped_goes_on_when_its_person_says_so() {
    for (seed, flavour) in (0..6).map(|seed| (seed, FLAVOURS[usize::from(seed % 2 == 1)])) {
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        world.person("alice").cannot(device::Resume {}, ErrorKind::Misuse);
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        for n in 0..4 {
            world.start(alice, send(group, &format!("original {n}")));
            world.start(twin, send(group, &format!("twin {n}")));
            world.churn(6);
        }
        world.settle();
        let (stopped, other) =
            if world.status(alice).stopped { ("alice", "alice.twin") } else { ("alice.twin", "alice") };
        let lost = world.index(other);
        world.end(lost, End::PowerLoss);
        world.person(stopped).cannot(send(group, "too early"), ErrorKind::Stopped);
        world.person(stopped).restarts(End::Kill);
        world.person(stopped).does(device::Resume {});
        world.settle();
        world.person(stopped).says(group, "here again");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "here again"), 1, "seed {seed}: {name}");
        }
        world.person("bob").says(group, "welcome back");
        world.settle();
        assert_eq!(world.person(stopped).sees(group, "welcome back"), 1, "seed {seed}");
        assert!(world.person(stopped).group(group).recovering.is_none(), "seed {seed}");
        // The lost machine is found again.
        world.boot(lost).unwrap();
        world.connect(lost);
        world.settle();
        world.start(lost, send(group, "found"));
        world.settle();
        world.pass(Duration::from_secs(600));
        world.settle();
        let found = [stopped, other].map(|name| world.person(name).status().stopped);
        assert_eq!(found, [false, true], "seed {seed}: the one that was resumed goes on");
        for name in [stopped, other] {
            what_is_sent_is_read(&mut world, group, name, &["bob", "carol"]);
        }
    }
}

/// R-COPY-01: what earlier lives of a profile signed stops none of the later ones, however often the same backup is restored.
#[test]
fn a4_r_copy_01_a_backup_that_is_restored_again_and_again_goes_on() {
    for (seed, flavour) in (0..4).map(|seed| (seed, FLAVOURS[usize::from(seed % 2 == 1)])) {
        let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        world.person("alice").says(group, "what the backup knows");
        world.settle();
        let copy = world.copy_of(alice);
        for life in 0..4 {
            for n in 0..3 {
                world.person("alice").says(group, &format!("life {life}, {n}"));
                world.settle();
                world.pass(Duration::from_secs(600));
            }
            assert!(!world.person("alice").status().stopped, "seed {seed}, life {life}");
            for name in ["bob", "carol"] {
                assert_eq!(
                    world.person(name).sees(group, &format!("life {life}, 2")),
                    1,
                    "seed {seed}, {name}"
                );
            }
            world.put_back(alice, copy.clone());
        }
        world.settle();
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// A4: the copy that stops is told how much of what it said could be read by nobody, and shows none of it as sent.
#[test]
fn a4_a_copy_that_stops_shows_nothing_as_sent_that_nobody_read() {
    let mut marked = 0;
    for seed in 300..312 {
        let mut world = World::of(seed, FLAVOURS[usize::from(seed % 2 == 0)], &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        for n in 0..6 {
            world.start(alice, send(group, &format!("original {n}")));
            world.start(twin, send(group, &format!("twin {n}")));
            world.churn(if seed % 3 == 0 { 5 } else { 9 });
        }
        world.settle();
        for name in ["alice", "alice.twin"] {
            what_is_sent_is_read(&mut world, group, name, &["bob", "carol"]);
            if !world.person(name).status().stopped {
                continue;
            }
            let failed = |message: &MessageView| message.state == MessageState::Failed;
            let failed = world.person(name).messages(group).into_iter().filter(failed).count();
            let told = world.people[world.index(name)].events.iter().find_map(|event| match event {
                Event::Stopped { error } => error.message.split_once(" could be read by nobody"),
                _ => None,
            });
            if let Some((before, _)) = told {
                let count: usize = before.rsplit(' ').next().unwrap().parse().unwrap();
                assert!(count > 0 && count <= failed, "seed {seed}: {count} of {failed}");
                marked += 1;
            }
        }
    }
    assert!(marked > 0, "no copy had said anything that nobody read");
}

/// The parts of a sealed message (RFC 9420 §6.3): up to its authenticated data, that, and what follows.
fn parts(stored: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let Ok(Envelope::Message(mls)) = codec::decode(stored) else { panic!("a sealed message") };
    // Version, wire format, group id with its length, epoch, content type.
    let (head, rest) = mls.split_at(4 + 1 + 16 + 8 + 1);
    let (width, length) = match rest[0] >> 6 {
        0 => (1, usize::from(rest[0])),
        1 => (2, usize::from(u16::from_be_bytes([rest[0] & 0x3f, rest[1]]))),
        _ => panic!("a long note"),
    };
    let (aad, tail) = rest.split_at(width + length);
    (head.to_vec(), aad.to_vec(), tail.to_vec())
}

/// R-COPY-02: a broker and a member that seals in our name show us the note of our own commit, which the broker withholds,
/// around other bytes. Moved so, the device stopped for good, and nobody had copied it.
#[test]
fn a4_r_copy_02_an_own_word_about_new_keys_that_others_show_stops_nobody() {
    for flavour in FLAVOURS {
        let mut world = World::of(8, flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        // What a member can seal in the name of alice is taken from a copy of her that nobody ever sees again.
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        let (application, handshake) = (Route::Application(group), Route::Handshake(group));
        let taken = |world: &World, route: Route| {
            world
                .outgoing(twin)
                .iter()
                .find(|publish| publish.route == route)
                .map(|publish| publish.bytes.clone())
        };
        world.start(twin, send(group, "in her name"));
        let words = taken(&world, application).unwrap();
        world.person("alice.twin").holds(true);
        let other = world.copy_of(alice);
        let second = world.arrive_with("alice.second", Disk::holding(other));
        world.settle();
        world.start(second, rename(group, "in her name"));
        let change = world.outgoing(second).iter().find(|publish| publish.route == handshake);
        let change = change.map(|publish| publish.bytes.clone()).unwrap();
        world.person("alice.second").holds(true);

        world.person("alice").says(group, "awake");
        world.settle();
        world.log.inject(application, words);
        let shown = Rc::new(Cell::new(0));
        let count = Rc::clone(&shown);
        world.meddle = Some(Box::new(move |name, publish, log| {
            if name == "alice" && publish.route == handshake && count.get() == 0 {
                let ((head, _, tail), (_, note, _)) = (parts(&change), parts(&publish.bytes));
                log.inject(handshake, codec::encode(&Envelope::Message([head, note, tail].concat())));
                count.set(1);
            }
        }));
        world.person("alice").does(status::Sync {});
        world.settle();
        assert_eq!(shown.get(), 1, "{flavour:?}: she takes new keys");
        assert!(!world.person("alice").status().stopped, "{flavour:?}: nobody has copied her");
        world.person("alice").says(group, "still here");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "still here"), 1, "{flavour:?} {name}");
        }
    }
}

/// A4: while the request of one copy is on its way, it reads how the other one took new keys. The request comes to lie
/// behind that, and is served.
#[test]
fn a4_of_two_copies_one_stops_also_when_the_request_of_one_is_on_its_way() {
    for flavour in FLAVOURS {
        let mut world = World::of(9, flavour, &["alice", "bob"]);
        let group = world.group_of("ops", &["bob", "alice"]);
        let handshake = Route::Handshake(group);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        world.person("bob").disconnects();
        world.person("alice.twin").holds(true);
        world.person("alice").says(group, "awake");
        world.settle();
        world.person("alice").holds(true);
        // The twin reads that and takes new keys.
        world.person("alice.twin").holds(false);
        while !world.waits(twin, |route| *route == handshake) {
            assert!(world.step(), "{flavour:?}: the twin takes new keys");
        }
        world.person("alice.twin").holds(true);
        let change = world.outgoing(twin).iter().find(|publish| publish.route == handshake);
        let change = change.map(|publish| publish.bytes.clone()).unwrap();
        // Before that is there, something lies in the log in her name that nobody can open: she asks to come back.
        let (head, _, tail) = parts(&change);
        world.log.inject(handshake, codec::encode(&Envelope::Message([head, vec![0], tail].concat())));
        world.person("alice").holds(false);
        let asks = |world: &World| {
            let mut rows = world.outgoing(alice).iter();
            rows.any(|publish| matches!(codec::decode(&publish.bytes), Ok(Envelope::Rejoin(_))))
        };
        while !asks(&world) {
            assert!(world.step(), "{flavour:?}: alice asks to come back");
        }
        world.person("alice").holds(true);
        world.person("alice.twin").holds(false);
        let there = |world: &World| world.log.on(&handshake).iter().any(|(_, bytes)| *bytes == change);
        while !there(&world) {
            assert!(world.step() || world.wait(), "{flavour:?}: the twin's new keys are there");
        }
        world.person("alice.twin").holds(true);
        let end = world.log.end(&Source::Group(group));
        let entry = world.log.read(&Source::Group(group), end - 1, end, 1).remove(0);
        assert_eq!(entry.bytes, change);
        world.person("alice").gets(entry);
        world.person("alice").holds(false);
        world.person("alice.twin").holds(false);
        world.settle();
        world.person("bob").connects();
        world.settle();
        world.person("bob").says(group, "is anybody there?");
        world.settle();
        let stopped = [alice, twin].map(|index| world.status(index).stopped);
        assert!(stopped[0] != stopped[1], "{flavour:?}: one of the two stops: {stopped:?}");
        let goes_on = if stopped[0] { "alice.twin" } else { "alice" };
        world.person(goes_on).says(group, "the one that is left");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "the one that is left"), 1, "{flavour:?}");
    }
}

#[test]
fn f5_repeats_of_own_bytes_are_nothing() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    let epoch = world.person("alice").group(group).epoch;
    let route = Route::Application(group);
    for (n, text) in ["at first", "after repeats", "after a restart"].into_iter().enumerate() {
        world.person("alice").says(group, text);
        world.settle();
        if n == 1 {
            world.person("alice").restarts(End::Kill);
        }
        for (_, bytes) in world.log.on(&route) {
            world.log.inject(route, bytes);
        }
        world.person("alice").does(status::Sync {});
        world.settle();
        assert_eq!(world.person("alice").group(group).epoch, epoch, "no new keys");
        assert_eq!((told(&world, "alice"), world.person("bob").sees(group, text)), (0, 1), "{text}");
    }
}

/// A4: the copy lacks a commit that its other life made. Everybody but this device can open it.
#[test]
fn a4_a_restored_profile_that_is_older_than_an_own_change_comes_back() {
    for flavour in FLAVOURS {
        let mut world = World::of(3, flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        world.person("alice").renames(group, "changed");
        world.settle();
        world.person("bob").says(group, "seen by the first life only");
        world.settle();
        world.put_back(alice, copy);
        world.settle();
        world.person("alice").says(group, "second life");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "second life"), 1, "{name} {flavour:?}");
        }
        assert_eq!(world.person("alice").group(group).name, "changed");
        assert_eq!(told(&world, "alice"), 1, "{flavour:?}");
        assert!(world.person("alice").status().doubled_at.is_some());
        assert!(!world.person("alice").status().stopped, "there is one copy only");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// A4: others can open the change that the first life made, and nobody has said anything behind it. What the restored
/// profile does in the epoch before it would be a branch that nobody else is on.
#[test]
fn a4_a_restored_profile_that_finds_its_own_words_and_an_own_change_makes_no_branch() {
    for flavour in FLAVOURS {
        let mut world = World::of(4, flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        world.person("alice").says(group, "first life");
        world.person("alice").renames(group, "changed");
        world.settle();
        world.put_back(alice, copy);
        world.settle();
        world.wait();
        world.settle();
        oracle::agree(&mut world);
        world.person("alice").says(group, "second life");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "second life"), 1, "{flavour:?}");
        assert_eq!(world.person("alice").group(group).name, "changed");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// A4: a copy of the log that is behind looked like its end, and then shows how an earlier life took new keys. That is
/// no sign of another copy that is awake.
#[test]
fn a4_a_profile_that_is_restored_again_does_not_stop_because_of_an_earlier_life() {
    for flavour in FLAVOURS {
        let mut world = World::of(5, flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        world.person("alice").says(group, "first life");
        world.settle();
        world.put_back(alice, copy.clone());
        world.settle();
        assert_eq!(told(&world, "alice"), 1, "the second life takes new keys");
        world.put_back(alice, copy);
        let source = Source::Group(group);
        let reading = world.reading(alice, source);
        world.feed(alice, vec![Input::CaughtUp { reading, source, sequence: 0 }]);
        world.settle();
        assert!(!world.person("alice").status().stopped, "there is one copy only");
        world.person("alice").says(group, "third life");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "third life"), 1, "{name} {flavour:?}");
        }
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// A4: the first life asked to leave. That used up the key of the next commit of this device, which nobody else could
/// open.
#[test]
fn a4_a_restored_profile_whose_first_life_asked_to_leave_makes_no_branch() {
    for flavour in FLAVOURS {
        let mut world = World::of(6, flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["bob", "alice", "carol"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        for name in ["bob", "carol"] {
            world.person(name).holds(true);
        }
        world.person("alice").says(group, "first life");
        world.person("alice").does(group::Leave { target: Target::Group(group) });
        world.put_back(alice, copy);
        world.settle();
        for name in ["bob", "carol"] {
            world.person(name).holds(false);
        }
        world.settle();
        let view = world.person("alice").group(group);
        assert!(view.state != GroupState::Active || view.recovering.is_some(), "{view:?}");
        let place = |world: &mut World, name: &str| {
            let view = world.person(name).group(group);
            (view.epoch, view.authenticator)
        };
        assert_eq!(place(&mut world, "bob"), place(&mut world, "carol"));
        oracle::probe(&mut world);
    }
}

/// A4: the log shows how the other copy took new keys before the broker's word comes that ours had been stored before. By
/// then this one has asked to be let back in.
#[test]
fn a4_of_two_copies_one_stops_also_when_the_broker_tells_late_what_it_stored() {
    for flavour in FLAVOURS {
        let mut world = World::of(7, flavour, &["alice", "bob"]);
        let group = world.group_of("ops", &["bob", "alice"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        // Nobody is there to let either of them back in.
        world.person("bob").disconnects();
        world.people[alice].late_acks = true;
        world.start(alice, send(group, "original"));
        world.settle();
        world.people[alice].late_acks = false;
        world.settle();
        world.person("bob").connects();
        world.settle();
        world.person("bob").says(group, "back");
        world.settle();
        let stopped = [alice, twin].map(|index| world.status(index).stopped);
        assert!(stopped[0] != stopped[1], "{flavour:?}: one of the two stops: {stopped:?}");
        let goes_on = if stopped[0] { "alice.twin" } else { "alice" };
        world.person(goes_on).says(group, "the one that is left");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "the one that is left"), 1, "{flavour:?}");
    }
}

/// A4: each copy takes new keys in another group, and sees the other one's there. In stories 477 and 1173 both stopped.
#[test]
fn a4_r_copy_01_two_copies_that_meet_in_two_groups_at_once_do_not_stop_each_other() {
    for seed in 100..116 {
        let mut world = World::of(seed, FLAVOURS[usize::from(seed % 2 == 0)], &["alice", "bob"]);
        let groups = ["one", "two"].map(|name| world.group_of(name, &["bob", "alice"]));
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        // Both are awake in both, before either of them reads what the other one said.
        for index in [alice, twin] {
            for group in groups {
                world.start(index, send(group, &format!("{index} says something")));
            }
        }
        for n in 0..4 {
            world.churn(4);
            world.start(if n % 2 == 0 { alice } else { twin }, send(groups[n / 2], &format!("more {n}")));
        }
        world.settle();
        for group in groups {
            world.person("bob").says(group, "is anybody there?");
        }
        world.settle();
        let stopped = [alice, twin].map(|index| world.status(index).stopped);
        assert!(stopped[0] != stopped[1], "one of the two stops, seed {seed}: {stopped:?}");
        let goes_on = if stopped[0] { "alice.twin" } else { "alice" };
        for group in groups {
            world.person(goes_on).says(group, "the one that is left");
            world.settle();
            assert_eq!(world.person("bob").sees(group, "the one that is left"), 1, "seed {seed}");
        }
    }
}

/// A4: in story 685 the copy that had stopped went on with what it was just doing, which then waited for ever; in story 1189
/// nobody ever answered its `group leave`.
#[test]
fn a4_what_a_copy_was_doing_when_it_stops_is_answered() {
    let mut seen = 0;
    for seed in 200..212 {
        let mut world = World::of(seed, FLAVOURS[usize::from(seed % 2 == 0)], &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["bob", "alice"]);
        let alice = world.index("alice");
        let copy = world.copy_of(alice);
        let twin = world.arrive_with("alice.twin", Disk::holding(copy));
        world.settle();
        world.start(alice, send(group, "original"));
        world.start(twin, send(group, "twin"));
        world.churn(if seed % 3 == 0 { 8 } else { 14 });
        let adds = contact::Add { handle: "carol".parse().unwrap(), text: None };
        let waiting = [
            (alice, world.start(alice, adds.clone())),
            (twin, world.start(twin, adds)),
            (twin, world.start(twin, group::Leave { target: Target::Group(group) })),
        ];
        world.settle();
        for (index, ticket) in waiting {
            assert!(world.reply(index, ticket).is_some(), "seed {seed}");
            if world.status(index).stopped {
                seen += 1;
                assert_eq!(world.status(index).outbox, 0, "seed {seed}");
            }
        }
    }
    assert!(seen > 0, "no copy has stopped");
}

/// A4: what was on its way while another copy changed the group lies behind a change that this one cannot follow, where
/// nobody reads it. It was shown as sent.
#[test]
fn a4_what_lands_behind_a_change_of_another_copy_is_said_again() {
    for flavour in FLAVOURS {
        for seed in 0..6 {
            let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
            let group = world.admins("ops", &["bob", "alice", "carol"]);
            let alice = world.index("alice");
            let copy = world.copy_of(alice);
            world.settle();
            world.disconnect(alice);
            for n in 0..4 {
                world.start(alice, send(group, &format!("on its way {n}")));
            }
            world.connect(alice);
            // Several at once go without a fence.
            while !world.waits(alice, |route| matches!(route, Route::Application(_))) {
                assert!(world.step());
            }
            world.person("alice").holds(true);
            let twin = world.arrive_with("alice.twin", Disk::holding(copy));
            world.person("alice.twin").renames(group, "changed");
            world.settle();
            world.end(twin, End::Kill);
            world.person("alice").holds(false);
            world.settle();
            world.person("bob").says(group, "is anybody there?");
            world.settle();
            assert!(!world.person("alice").status().stopped, "the other copy is gone");
            what_is_sent_is_read(&mut world, group, "alice", &["bob", "carol"]);
            for n in 0..4 {
                let text = format!("on its way {n}");
                assert_eq!(
                    world.person("bob").sees(group, &text),
                    1,
                    "{flavour:?} {seed}: bob sees {text:?}"
                );
            }
            let here = world.person("bob").group(group).authenticator;
            assert_eq!(world.person("alice").group(group).authenticator, here);
        }
    }
}

/// Alice makes a group alone, her profile is copied, she adds bob, and the copy is put back: it knows nobody who could let
/// it in. Bob does not run yet.
fn restored_from_before_anybody_else(seed: u64, flavour: Flavour) -> (World, GroupId) {
    let mut world = World::long_ago(seed, flavour, 20, &["alice", "bob"]);
    world.take_offers = false;
    let group = world.person("alice").creates("ops", &[]);
    world.settle();
    let (alice, bob) = (world.index("alice"), world.index("bob"));
    let copy = world.copy_of(alice);
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    world.person("alice").says(group, "first life");
    world.settle();
    world.disconnect(bob);
    world.put_back(alice, copy);
    world.settle();
    assert!(world.person("alice").group(group).recovering.is_some(), "alice asks to come back");
    (world, group)
}

/// Who offers somebody a place back.
fn offered(world: &mut World, name: &str, group: GroupId) -> Option<String> {
    world.person(name).group(group).recovering?.offered.map(|offered| offered.handle)
}

/// A4: nothing in the profile shows that bob belongs there. Before, alice asked for ever, and every answer was dropped.
#[test]
fn a4_r_welcome_07_a_profile_from_before_anybody_else_was_there_comes_back_when_its_person_says_so() {
    for flavour in FLAVOURS {
        let (mut world, group) = restored_from_before_anybody_else(71, flavour);
        let bob = world.index("bob");
        world.connect(bob);
        world.settle();
        assert_eq!(offered(&mut world, "alice", group).as_deref(), Some("bob"), "{flavour:?}");
        let ops = Target::Name("ops".into());
        let asked =
            |notice: &&Notice| matches!(notice, Notice::PlaceOffered { target, .. } if *target == ops);
        assert_eq!(world.notices("alice").filter(asked).count(), 1);
        // While it is open nothing is asked again.
        let asked = world.person("alice").group(group).recovering.unwrap().asked;
        world.pass(days(2));
        world.settle();
        assert_eq!(world.person("alice").group(group).recovering.unwrap().asked, asked);
        // Leaving would be heard by nobody: bob would keep an owner who is gone.
        let leave = group::Leave { target: Target::Group(group) };
        let refused = world.person("alice").cannot(leave, ErrorKind::Refused);
        let hint = Hint::GroupAcceptThenLeave { group: ops, by: "bob".into() };
        assert_eq!(refused.hint, Some(hint), "{flavour:?}");
        // No: it is asked again some time later, and offered anew.
        world.person("alice").declines(group);
        world.settle();
        assert_eq!(offered(&mut world, "alice", group), None);
        world.pass(days(1));
        world.settle();
        assert_eq!(offered(&mut world, "alice", group).as_deref(), Some("bob"), "{flavour:?}");
        // Yes.
        world.person("alice").accepts(group);
        world.settle();
        assert!(world.person("alice").group(group).recovering.is_none());
        world.person("alice").says(group, "second life");
        world.person("bob").says(group, "welcome back");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "second life"), 1, "{flavour:?}");
        assert_eq!(world.person("alice").sees(group, "welcome back"), 1, "{flavour:?}");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// F8: anybody can read a request to come back, and answer it with a group of the same id at a later epoch. It is an offer
/// of that account and no more, and does not keep out who is known to belong there.
#[test]
fn f8_r_welcome_07_a_group_of_the_same_id_neither_takes_a_place_nor_keeps_a_member_from_giving_it() {
    for flavour in FLAVOURS {
        let mut world = World::of(72, flavour, &["alice", "bob"]);
        world.take_offers = false;
        let group = world.admins("ops", &["bob", "alice"]);
        let (alice, bob) = (world.index("alice"), world.index("bob"));
        let copy = world.copy_of(alice);
        world.person("alice").renames(group, "changed");
        world.settle();
        world.disconnect(bob);
        world.put_back(alice, copy);
        world.settle();
        assert!(world.person("alice").group(group).recovering.is_some(), "alice asks to come back");
        let mallory = Mallory::arrives(&mut world);
        mallory.answers_from_outside(&mut world, group);
        world.settle();
        assert_eq!(offered(&mut world, "alice", group).as_deref(), Some(mallory::HANDLE), "{flavour:?}");
        world.connect(bob);
        world.settle();
        assert!(world.person("alice").group(group).recovering.is_none(), "{flavour:?}: bob let alice in");
        assert_eq!(world.person("alice").group(group).name, "changed");
        world.person("alice").says(group, "second life");
        world.settle();
        assert_eq!(world.person("bob").sees(group, "second life"), 1, "{flavour:?}");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}
