//! Conversations that survive what time takes away: the streams keep messages for 45 days and no longer.

use cipher_broker::id::GroupId;
use cipher_core::Target;
use cipher_core::view::MessageState;

use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, days, send};

const BOTH: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// A world in which months can pass.
fn long_ago(flavour: Flavour, names: &[&str]) -> World {
    World::long_ago(1, flavour, 80, names)
}

/// Everybody looks again after the pause, and nothing of the group is left in the log.
fn everything_ages_out(world: &mut World, group: GroupId) {
    world.pass(days(46));
    let source = cipher_broker::subject::Source::Group(group);
    assert!(world.log.read(&source, 0, u64::MAX, 1).is_empty(), "retention took everything");
}

#[test]
fn a1_a_message_is_sent_after_the_last_commit_aged_out() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        everything_ages_out(&mut world, group);
        let said = world.person("bob").says(group, "still here");
        assert_eq!(said.state, MessageState::Sent, "{flavour:?}");
        world.settle();
        for name in ["alice", "bob"] {
            assert_eq!(world.person(name).sees(group, "still here"), 1, "{name} {flavour:?}");
        }
        // One refusal was enough: what follows goes at once.
        let before = world.log.len();
        world.person("bob").says(group, "and again");
        assert_eq!(world.log.len(), before + 1);
        oracle::probe(&mut world);
    }
}

#[test]
fn a1_a_direct_conversation_goes_on_after_its_last_commit_aged_out() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob"]);
        world.person("alice").does(cipher_core::Command::ContactAdd {
            handle: "bob".parse().unwrap(),
            text: Some("hi".into()),
        });
        world.settle();
        world.person("bob").does(cipher_core::Command::ContactAccept { handle: "alice".parse().unwrap() });
        world.settle();
        let group = world.person("bob").active()[0].id;
        everything_ages_out(&mut world, group);
        for (name, text) in [("bob", "from bob"), ("alice", "from alice")] {
            let to = if name == "bob" { "alice" } else { "bob" };
            let target = Target::Account(to.parse().unwrap());
            world.person(name).does(cipher_core::Command::Send { target, text: text.into(), reply_to: None });
        }
        world.settle();
        assert_eq!(world.person("alice").sees(group, "from bob"), 1, "{flavour:?}");
        assert_eq!(world.person("bob").sees(group, "from alice"), 1, "{flavour:?}");
    }
}

#[test]
fn a1_several_members_and_a_bot_speak_at_once_after_everything_aged_out() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        world.register_bot("echo", "alice");
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        world.person("alice").adds(group, &["echo"]);
        world.settle();
        everything_ages_out(&mut world, group);
        for name in ["alice", "bob", "carol", "echo"] {
            for n in 0..3 {
                world.person(name).starts(send(group, &format!("{name} {n}")));
            }
        }
        // A change at the same time: it is the first handshake message again.
        let index = world.index("carol");
        world.start(index, crate::support::world::rename(group, "later"));
        world.settle();
        for name in ["alice", "bob", "carol", "echo"] {
            for other in ["alice", "bob", "carol", "echo"] {
                for n in 0..3 {
                    assert_eq!(
                        world.person(name).sees(group, &format!("{other} {n}")),
                        1,
                        "{name} {flavour:?}"
                    );
                }
            }
            assert_eq!(world.person(name).group(group).name, "later");
        }
        oracle::probe(&mut world);
        oracle::agree(&mut world);
    }
}

#[test]
fn a1_changes_race_for_an_empty_handshake_subject_and_one_wins() {
    for seed in 0..8 {
        let flavour = BOTH[seed as usize % 2];
        let mut world = World::long_ago(seed, flavour, 80, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        everything_ages_out(&mut world, group);
        for name in ["alice", "bob", "carol"] {
            let index = world.index(name);
            world.start(index, crate::support::world::rename(group, &format!("by {name}")));
        }
        world.settle();
        oracle::agree(&mut world);
        oracle::probe(&mut world);
        let epochs: Vec<u64> =
            ["alice", "bob", "carol"].map(|name| world.person(name).group(group).epoch).to_vec();
        assert_eq!(epochs, [epochs[0]; 3]);
    }
}
