//! Junk that anybody with the site's login can publish on a group's subjects: it costs itself and nothing else.

use cipher_api::command::status;
use cipher_api::view::MessageState;
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;
use cipher_core::Publish;

use crate::support::disk::End;
use crate::support::log::{APPLICATION, COMMIT, Flavour};
use crate::support::oracle;
use crate::support::world::{World, rename, send};

const PEOPLE: [&str; 2] = ["alice", "bob"];

fn pair(flavour: Flavour) -> (World, GroupId) {
    let mut world = World::of(13, flavour, &PEOPLE);
    let group = world.admins("ops", &PEOPLE);
    (world, group)
}

/// Bytes with the header of a message of this group and epoch, as anybody who reads the log can make them.
fn of_this_epoch(world: &World, group: GroupId, content: u8) -> Vec<u8> {
    let genuine = world.log.outside(group).into_iter().rfind(|message| message.header.content == content);
    let Ok(Envelope::Message(mut mls)) = codec::decode(&genuine.unwrap().bytes) else {
        panic!("a message was expected")
    };
    for byte in mls.iter_mut().rev().take(200) {
        *byte ^= 0x5A;
    }
    codec::encode(&Envelope::Message(mls))
}

fn commits(world: &World, index: usize) -> u64 {
    world.people[index].core.as_ref().unwrap().commits()
}

/// The fence of a single message is moved by junk just before each publish reaches the broker, again and again.
#[test]
fn e13_a_send_never_loses_to_junk_on_the_handshake_subject_for_ever() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let (mut world, group) = pair(flavour);
        world.meddle = Some(Box::new(move |_, publish: &Publish, log| {
            if matches!(publish.route, Route::Application(_)) {
                log.inject(Route::Handshake(group), vec![7; 40]);
            }
        }));
        for n in 0..4 {
            let words = format!("said in spite of junk {n}");
            let reply = world.person("bob").does(send(group, &words));
            let said = reply;
            assert_eq!(said.state, MessageState::Sent, "{flavour:?}: its sender knows that it is there");
            world.settle();
            assert_eq!(world.person("alice").sees(group, &words), 1, "{flavour:?}");
            assert_eq!(world.person("bob").status().outbox, 0, "{flavour:?}");
        }
        world.meddle = None;
        oracle::survive(&mut world);
    }
}

/// A commit that comes first while the fence is not tried: what landed behind it is sealed again.
#[test]
fn e13_without_a_fence_a_message_behind_a_commit_is_said_again_in_the_new_epoch() {
    let (mut world, group) = pair(Flavour::R1);
    world.log.inject(Route::Handshake(group), vec![7; 40]);
    world.settle();
    let bob = world.index("bob");
    for n in 0..8 {
        // Bob reads nothing of the new epoch before his message is stored.
        world.person("bob").starts(send(group, &format!("late {n}")));
        assert!(world.waits(bob, |route| matches!(route, Route::Application(_))));
        world.person("bob").holds(true);
        world.person("alice").does(rename(group, &format!("name {n}")));
        world.log.inject(Route::Handshake(group), vec![7; 40]);
        world.person("bob").holds(false);
        world.settle();
        assert_eq!(world.person("alice").sees(group, &format!("late {n}")), 1);
        assert_eq!(world.person("bob").status().outbox, 0);
    }
    oracle::survive(&mut world);
}

#[test]
fn e13_junk_is_no_reason_to_write_to_disk_and_is_counted_all_the_same() {
    let (mut world, group) = pair(Flavour::R1);
    world.person("alice").says(group, "before");
    world.settle();
    let bob = world.index("bob");
    let junk = [
        (Route::Application(group), vec![7; 100]),
        (Route::Handshake(group), vec![7; 100]),
        (Route::Application(group), vec![7; 300 * 1024]),
        (Route::Application(group), of_this_epoch(&world, group, APPLICATION)),
        (Route::Handshake(group), codec::encode(&Envelope::Tree(vec![1; 50]))),
    ];
    let (before, skipped) = (commits(&world, bob), total(&mut world));
    for _ in 0..20 {
        for (route, bytes) in &junk {
            world.log.inject(*route, bytes.clone());
        }
        world.settle();
    }
    assert_eq!(commits(&world, bob), before, "nothing was worth a transaction");
    assert_eq!(total(&mut world), skipped + 100);
    // Killed, it reads them again; nothing else is different.
    world.person("bob").restarts(End::Kill);
    world.settle();
    world.person("alice").says(group, "after");
    world.settle();
    assert_eq!(world.person("bob").texts(group), ["before", "after"]);
    // With the next thing that matters the cursor is on disk too: nothing is read twice any more.
    let counted = total(&mut world);
    world.person("bob").restarts(End::Kill);
    world.settle();
    assert_eq!(total(&mut world), counted);
    oracle::survive(&mut world);
}

/// Not without end: the cursor follows after some hundred pieces, so that a process that is killed does not begin anew.
#[test]
fn e13_a_flood_is_passed_over_for_good() {
    let (mut world, group) = pair(Flavour::R1);
    let bob = world.index("bob");
    let before = commits(&world, bob);
    for _ in 0..1_500 {
        world.log.inject(Route::Application(group), vec![9; 20]);
    }
    world.settle();
    let written = commits(&world, bob) - before;
    assert!((1..=8).contains(&written), "{written} transactions for 1,500 pieces");
    let counted = total(&mut world);
    world.person("bob").restarts(End::Kill);
    world.settle();
    assert!(total(&mut world) <= counted + 512);
}

/// What is junk to one is a commit to all: a real one among junk counts as ever.
#[test]
fn e13_a_commit_between_junk_is_merged() {
    let (mut world, group) = pair(Flavour::R1);
    world.person("alice").renames(group, "first");
    let junk = of_this_epoch(&world, group, COMMIT);
    for n in 0..5 {
        world.log.inject(Route::Handshake(group), junk.clone());
        world.person("alice").starts(rename(group, &format!("name {n}")));
        world.log.inject(Route::Handshake(group), junk.clone());
        world.settle();
        for name in PEOPLE {
            assert_eq!(world.person(name).group(group).name, format!("name {n}"), "{name}");
        }
    }
    world.person("bob").does(status::Sync {});
    oracle::survive(&mut world);
}

fn total(world: &mut World) -> u64 {
    world.person("bob").status().skipped.values().sum()
}
