//! Several people change a group at once: one commit per epoch wins, and every wish comes true in the end.

use cipher_api::Reply;
use cipher_api::command::status;
use cipher_api::view::{GroupState, MessageState};
use cipher_broker::id::GroupId;
use cipher_broker::subject::{Route, Source};
use cipher_core::Ticket;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{Faults, Frozen, World, add, remove, rename, send};

const FLAVOURS: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// A busy cluster: conflicts that tell nothing.
fn busy() -> Faults {
    Faults { busy: 500, ..Faults::NONE }
}

/// A group of admins, for every kind of stream and a few fates.
fn worlds(people: &[&str], mut test: impl FnMut(&mut World, GroupId)) {
    let frozen = Frozen::with(people);
    for flavour in FLAVOURS {
        for seed in 0..4 {
            let mut world = frozen.thaw(seed, flavour, people.len());
            let members: Vec<&str> = people.iter().copied().filter(|name| *name != "zoe").collect();
            let group = world.admins("ops", &members);
            test(&mut world, group);
            oracle::judge(&mut world);
        }
    }
}

fn done(world: &mut World, name: &str, ticket: Ticket) -> Reply {
    let index = world.index(name);
    let reply = world.reply(index, ticket).unwrap_or_else(|| panic!("{name} got no reply"));
    reply.unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

#[test]
fn m18_two_commits_of_one_epoch_meet_and_both_wishes_come_true() {
    worlds(&["alice", "bob", "carol", "zoe"], |world, group| {
        let before = world.person("alice").group(group).epoch;
        let renames = world.person("alice").starts(rename(group, "war room"));
        let adds = world.person("bob").starts(add(group, &["zoe"]));
        world.faults = busy();
        world.churn(200);
        world.settle();
        done(world, "alice", renames);
        done(world, "bob", adds);
        let view = world.person("carol").group(group);
        assert_eq!((view.name.as_str(), view.members.len(), view.epoch), ("war room", 4, before + 2));
        assert_eq!(world.person("zoe").group(group).state, GroupState::Invited);
        world.person("zoe").accepts(group);
    });
}

#[test]
fn m19_five_committers_race_round_after_round_and_nobody_starves() {
    for flavour in FLAVOURS {
        let people = ["alice", "bob", "carol", "dave", "erin"];
        let mut world = World::of(5, flavour, &people);
        let group = world.admins("ops", &people);
        for round in 0..4 {
            let before = world.person("alice").group(group).epoch;
            let mut tickets = Vec::new();
            for name in people {
                tickets.push((name, world.person(name).starts(rename(group, &format!("{name} {round}")))));
            }
            world.faults = busy();
            world.churn(400);
            world.settle();
            for (name, ticket) in tickets {
                done(&mut world, name, ticket);
            }
            assert_eq!(world.person("alice").group(group).epoch, before + 5, "one commit for each wish");
        }
        oracle::judge(&mut world);
    }
}

#[test]
fn two_people_who_want_the_same_do_not_disturb_each_other() {
    worlds(&["alice", "bob", "carol", "zoe"], |world, group| {
        let first = world.person("alice").starts(remove(group, &["carol"]));
        let second = world.person("bob").starts(remove(group, &["carol"]));
        world.settle();
        // Whoever is second finds the wish fulfilled.
        for (name, ticket) in [("alice", first), ("bob", second)] {
            let index = world.index(name);
            assert!(world.reply(index, ticket).is_some(), "{name} is answered");
        }
        assert_eq!(world.person("alice").members(group).len(), 2);
        assert_eq!(world.person("carol").group(group).state, GroupState::Removed);
    });
}

#[test]
fn m15_a_message_that_lands_behind_a_commit_is_sent_again_and_shown_once() {
    for burst in [1, 7] {
        worlds(&["alice", "bob", "carol"], |world, group| {
            let texts: Vec<String> = (0..burst).map(|n| format!("late {n}")).collect();
            for text in &texts {
                world.person("bob").starts(send(group, text));
            }
            // Bob's messages are sealed and wait in his machine while the epoch moves on.
            world.person("bob").holds(true);
            world.person("alice").renames(group, "moved on");
            world.settle();
            world.person("bob").holds(false);
            world.settle();
            for name in ["alice", "bob", "carol"] {
                assert_eq!(world.person(name).texts(group), texts, "{name}");
            }
            let states: Vec<_> =
                world.person("bob").messages(group).into_iter().filter(|m| m.is_text()).collect();
            assert!(states.iter().all(|m| m.state == MessageState::Sent), "{states:?}");
        });
    }
}

#[test]
fn a_commit_whose_acknowledgement_is_lost_counts_once() {
    worlds(&["alice", "bob", "carol"], |world, group| {
        let before = world.person("alice").group(group).epoch;
        let ticket = world.person("alice").starts(rename(group, "quiet"));
        world.faults = Faults { lost_ack: 1000, ..Faults::NONE };
        world.churn(12);
        world.settle();
        done(world, "alice", ticket);
        let view = world.person("carol").group(group);
        assert_eq!((view.name.as_str(), view.epoch), ("quiet", before + 1));
    });
}

#[test]
fn a_commit_whose_acknowledgement_is_lost_survives_a_restart() {
    for end in [End::Clean, End::Kill, End::PowerLoss] {
        worlds(&["alice", "bob", "carol"], |world, group| {
            let before = world.person("alice").group(group).epoch;
            world.person("alice").starts(rename(group, "quiet"));
            world.faults = Faults { lost_ack: 1000, ..Faults::NONE };
            let steps = world.dice.below(12);
            world.churn(steps);
            world.person("alice").restarts(end);
            world.settle();
            for name in ["alice", "bob", "carol"] {
                let view = world.person(name).group(group);
                assert_eq!((view.name.as_str(), view.epoch), ("quiet", before + 1), "{name}");
            }
        });
    }
}

#[test]
fn m15_a_burst_against_a_stream_of_commits_loses_and_repeats_nothing() {
    worlds(&["alice", "bob", "carol"], |world, group| {
        world.faults = Faults { stale: 200, ..busy() };
        let mut texts = Vec::new();
        for n in 0..8 {
            world.person("alice").starts(rename(group, &format!("name {n}")));
            for part in 0..4 {
                let text = format!("{n}.{part}");
                world.person("bob").starts(send(group, &text));
                texts.push(text);
            }
            world.churn(15);
        }
        world.settle();
        for name in ["alice", "bob", "carol"] {
            let mut seen = world.person(name).texts(group);
            seen.sort();
            assert_eq!(seen, texts, "{name}");
        }
    });
}

/// H8: what a lost commit would have told its joiners must never leave.
#[test]
fn h8_no_welcome_leaves_for_a_commit_that_lost() {
    worlds(&["alice", "bob", "zoe"], |world, group| {
        // Bob's commit is made and waits; meanwhile Alice removes him.
        let ticket = world.person("bob").starts(add(group, &["zoe"]));
        let bob = world.index("bob");
        for _ in 0..400 {
            if world.waits(bob, |route| matches!(route, Route::Handshake(_))) {
                break;
            }
            world.churn(1);
        }
        assert!(world.waits(bob, |route| matches!(route, Route::Handshake(_))), "bob's commit waits");
        world.person("bob").holds(true);
        world.person("alice").removes(group, &["bob"]);
        world.settle();
        world.person("bob").holds(false);
        world.settle();
        assert!(matches!(world.reply(bob, ticket), Some(Err(_))), "the wish failed");
        assert_eq!(world.person("bob").group(group).state, GroupState::Removed);
        let device = world.person("zoe").account().device_id.unwrap();
        assert_eq!(world.log.last_of(&Source::Inbox(device)), 0, "nothing reached the inbox");
        assert!(world.person("zoe").knows(group).is_none());
    });
}

#[test]
fn a_welcome_is_sent_once_although_the_commit_had_to_be_made_again() {
    worlds(&["alice", "bob", "zoe"], |world, group| {
        world.person("alice").starts(rename(group, "first"));
        let ticket = world.person("bob").starts(add(group, &["zoe"]));
        world.faults = Faults { lost_ack: 300, ..busy() };
        world.churn(60);
        world.settle();
        done(world, "bob", ticket);
        let device = world.person("zoe").account().device_id.unwrap();
        let mut welcomes = world.log.on(&Route::Inbox(device));
        welcomes.dedup_by_key(|(_, bytes)| bytes.clone());
        assert_eq!(welcomes.len(), 1);
        world.person("zoe").accepts(group);
        world.settle();
        let text = "welcome";
        world.person("alice").says(group, text);
        world.settle();
        assert_eq!(world.person("zoe").sees(group, text), 1);
    });
}

#[test]
fn a_wish_survives_a_restart_in_the_middle() {
    worlds(&["alice", "bob", "carol", "zoe"], |world, group| {
        world.person("bob").starts(add(group, &["zoe"]));
        let index = world.index("bob");
        for _ in 0..400 {
            if world.status(index).outbox > 0 {
                break;
            }
            world.churn(1);
        }
        assert!(world.status(index).outbox > 0, "the wish is written down");
        world.person("bob").restarts(End::Kill);
        world.person("alice").renames(group, "meanwhile");
        world.settle();
        assert_eq!(world.person("carol").members(group).len(), 4);
        world.person("zoe").accepts(group);
    });
}

#[test]
fn sync_brings_everything_up_to_date() {
    worlds(&["alice", "bob", "carol"], |world, group| {
        world.person("bob").disconnects();
        for n in 0..5 {
            world.person("alice").says(group, &format!("{n}"));
        }
        world.person("bob").starts(send(group, "mine"));
        world.person("bob").connects();
        let reply = world.person("bob").does(status::Sync {});
        assert_eq!(reply.queued, 0, "{reply:?}");
        assert_eq!(world.person("bob").texts(group).len(), 6);
    });
}
