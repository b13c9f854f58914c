//! Machines that fall asleep with something half done, and wake when the streams have let go of it.

use cipher_api::view::GroupState;
use cipher_broker::id::GroupId;
use cipher_broker::subject::Route;

use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, add, days, rename};

const BOTH: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// Changes of a group that lie in its log.
fn changes(world: &World, group: GroupId) -> usize {
    world.log.on(&Route::Handshake(group)).len()
}

/// Things happen one by one until something is so.
fn until(world: &mut World, so: impl Fn(&World) -> bool) {
    while !so(world) {
        assert!(world.step(), "nothing more happens");
    }
}

/// Everybody whose machine runs is away for longer than streams keep messages, and comes back.
fn sleeps(world: &mut World) {
    let awake: Vec<usize> = (0..world.people.len()).filter(|index| !world.people[*index].held).collect();
    awake.iter().for_each(|index| world.disconnect(*index));
    world.pass(days(46));
    awake.iter().for_each(|index| world.connect(*index));
    world.settle();
}

/// A1: the broker has the first change of a group, its maker falls asleep before it reads it there, and it ages out. Before,
/// the change waited for ever in the outbox, and every later one of that device behind it (stories 1711, 7923, 8843).
#[test]
fn a1_an_own_change_that_aged_out_before_it_was_read_is_made_again() {
    // A reader may say how far the stream reaches, or how far it read: the second is what nothing came of.
    for seed in 0..12 {
        let mut world = World::long_ago(seed, BOTH[usize::from(seed % 2 == 1)], 80, &["alice", "bob"]);
        let alice = world.index("alice");
        let group = world.person("alice").creates("ops", &[]);
        world.settle();
        world.start(alice, rename(group, "later"));
        until(&mut world, |world| changes(world, group) > 0);
        // The broker's word that it has it, and no more.
        world.is_acknowledged(alice);
        sleeps(&mut world);
        assert_eq!(world.person("alice").group(group).name, "later", "seed {seed}");
        world.person("alice").adds(group, &["bob"]);
        world.settle();
        world.person("bob").accepts(group);
        world.settle();
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// A3: the change that adds somebody is in the log, its maker falls asleep, and posts the invitation when the change has
/// aged out. Before, it led nowhere (story 3023).
#[test]
fn a3_an_invitation_that_is_posted_when_its_change_aged_out_leads_in() {
    for flavour in BOTH {
        let mut world = World::long_ago(1, flavour, 80, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        let alice = world.index("alice");
        let before = changes(&world, group);
        world.start(alice, add(group, &["carol"]));
        until(&mut world, |world| changes(world, group) > before);
        world.is_acknowledged(alice);
        world.reads(alice);
        // Her machine stops before anything leaves it.
        world.people[alice].held = true;
        sleeps(&mut world);
        world.people[alice].held = false;
        world.settle();
        if world.person("carol").group(group).state == GroupState::Invited {
            world.person("carol").accepts(group);
            world.settle();
        }
        world.person("carol").says(group, "here");
        world.settle();
        for name in ["alice", "bob"] {
            assert_eq!(world.person(name).sees(group, "here"), 1, "{name} {flavour:?}");
        }
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}
