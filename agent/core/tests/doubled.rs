//! One device twice: a profile that was restored from a copy, or that is used from two at once.
//!
//! On `b76d1e4` a restored profile sealed with keys it had used before: everything was shown as sent, and others dropped
//! as many messages as had been sent since the copy was made. Of two that were used at once the first one's vanished.

use cipher_broker::id::GroupId;
use cipher_broker::subject::{Route, Source};
use cipher_core::view::{GroupState, MessageState};
use cipher_core::{Command, ErrorKind, Event, Input, Target};

use crate::support::disk::{Disk, End};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

const FLAVOURS: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// How often somebody was told that something is said in its name, since its process began.
fn told(world: &World, name: &str) -> usize {
    let doubled =
        |event: &&Event| matches!(event, Event::Warning(text) if text.contains("in the name of this device"));
    world.people[world.index(name)].events.iter().filter(doubled).count()
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
        let error = world.person(stopped[0]).cannot(send(group, "more"), ErrorKind::Locked);
        assert!(error.hint.unwrap().contains("device link"));
        what_is_sent_is_read(&mut world, group, goes_on, &["bob", "carol"]);
        // It stays so after a restart.
        world.person(stopped[0]).restarts(End::Kill);
        world.settle();
        world.person(stopped[0]).cannot(send(group, "more"), ErrorKind::Locked);
        world.person(goes_on).says(group, "the one that is left");
        world.settle();
        for name in ["bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "the one that is left"), 1);
            assert_eq!(world.person(name).group(group).state, GroupState::Active);
        }
    }
}

#[test]
fn f5_repeats_of_own_bytes_are_nothing() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("alice").says(group, "once");
    world.settle();
    let epoch = world.person("alice").group(group).epoch;
    let route = Route::Application(group);
    for (_, bytes) in world.log.on(&route) {
        world.log.inject(route, bytes);
    }
    world.person("alice").does(Command::Sync);
    world.settle();
    assert_eq!(world.person("alice").group(group).epoch, epoch, "no new keys");
    assert_eq!((told(&world, "alice"), world.person("bob").sees(group, "once")), (0, 1));
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
        world.feed(alice, vec![Input::CaughtUp { source: Source::Group(group), sequence: 0 }]);
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
        world.person("alice").does(Command::GroupLeave { target: Target::Group(group) });
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
/// then this one has asked to be let back in. Were it to stop, the other would stop too, once the request is served.
#[test]
fn a4_a_copy_that_has_asked_does_not_stop_for_what_the_other_did_before() {
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
        let stopped = [alice, twin].map(|index| world.status(index).stopped);
        assert_eq!(stopped, [false, false], "{flavour:?}");
        world.person("bob").connects();
        world.settle();
        world.person("bob").says(group, "back");
        world.settle();
        let stopped = [alice, twin].map(|index| world.status(index).stopped);
        assert_eq!(stopped, [false, true], "{flavour:?}");
        world.person("alice").says(group, "the one that is left");
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
        let adds = Command::ContactAdd { handle: "carol".parse().unwrap(), text: None };
        let waiting = [
            (alice, world.start(alice, adds.clone())),
            (twin, world.start(twin, adds)),
            (twin, world.start(twin, Command::GroupLeave { target: Target::Group(group) })),
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
/// nobody reads it. On `b76d1e4` it was shown as sent.
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
