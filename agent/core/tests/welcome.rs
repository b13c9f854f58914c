//! Invitations as bytes on an inbox: whose they are, how often they count, and what a strange one costs.

use cipher_api::view::GroupState;
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::World;

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R1, names)
}

fn device(world: &mut World, name: &str) -> DeviceId {
    world.person(name).account().device_id.unwrap()
}

/// The latest Welcome in somebody's inbox.
fn welcome(world: &World, device: DeviceId) -> Vec<u8> {
    let inbox = world.log.on(&Route::Inbox(device));
    let found =
        inbox.into_iter().rfind(|(_, bytes)| matches!(codec::decode(bytes), Ok(Envelope::Welcome { .. })));
    found.unwrap().1
}

fn skipped(world: &mut World, name: &str) -> u64 {
    let skipped = world.person(name).status().skipped;
    skipped.into_iter().find(|(class, _)| class == "welcome").map_or(0, |(_, n)| n)
}

/// Bob in a group of Alice's, invited by an ordinary package or by his last resort.
fn invited(last_resort: bool) -> (World, GroupId, DeviceId) {
    let mut world = world(&["alice", "bob", "carol"]);
    let device = device(&mut world, "bob");
    if last_resort {
        let bob = world.registry.account("bob");
        world.person("bob").disconnects();
        world.registry.drain(bob, 0);
    }
    let group = world.person("alice").creates("ops", &["bob"]);
    world.settle();
    world.person("bob").connects();
    world.settle();
    (world, group, device)
}

/// K01: a Welcome for a key package that is not ours.
#[test]
fn k01_a_welcome_for_an_unknown_key_package_leaves_nothing() {
    let (mut world, _, bob) = invited(false);
    let carol = device(&mut world, "carol");
    let foreign = welcome(&world, bob);
    world.log.inject(Route::Inbox(carol), foreign.clone());
    let Ok(Envelope::Welcome { welcome, mut note }) = codec::decode(&foreign) else { panic!() };
    *note.last_mut().unwrap() ^= 1;
    world.log.inject(Route::Inbox(bob), codec::encode(&Envelope::Welcome { welcome, note }));
    world.settle();
    assert!(world.person("carol").groups().is_empty());
    assert_eq!(world.person("carol").status().invitations, 0);
    assert_eq!((skipped(&mut world, "carol"), skipped(&mut world, "bob")), (1, 1));
    oracle::survive(&mut world);
}

/// K02: a Welcome counts once, by an ordinary key package and by the last resort, also for who was removed since.
#[test]
fn k02_a_used_welcome_counts_no_second_time() {
    for last_resort in [false, true] {
        let (mut world, group, bob) = invited(last_resort);
        let used = welcome(&world, bob);
        world.person("bob").accepts(group);
        world.settle();
        let epoch = world.person("bob").group(group).epoch;
        world.log.inject(Route::Inbox(bob), used.clone());
        world.settle();
        let view = world.person("bob").group(group);
        assert_eq!((view.state, view.epoch), (GroupState::Active, epoch));
        world.person("alice").removes(group, &["bob"]);
        world.settle();
        world.person("bob").restarts(End::Clean);
        world.log.inject(Route::Inbox(bob), used);
        world.settle();
        assert_eq!(world.person("bob").group(group).state, GroupState::Removed, "last resort: {last_resort}");
        assert_eq!(world.person("bob").status().invitations, 0);
        assert_eq!(skipped(&mut world, "bob"), 2);
        // A genuine new invitation still works.
        world.person("alice").adds(group, &["bob"]);
        world.settle();
        world.person("bob").accepts(group);
        oracle::judge(&mut world);
    }
}
