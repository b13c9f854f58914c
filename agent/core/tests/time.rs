//! Conversations that survive what time takes away: the streams keep messages for 45 days and no longer.

use std::time::Duration;

use cipher_api::command::{contact, group, message, status};
use cipher_api::view::{AccountView, Body, GroupEvent, GroupState, MessageState, MessageView};
use cipher_api::{Notice, Target};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::rejoin::{NotMemberBody, RejoinBody, RejoinRequest};
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, days, rename, send};

const BOTH: [Flavour; 2] = [Flavour::R1, Flavour::R3];

/// A world in which months can pass.
fn long_ago(flavour: Flavour, names: &[&str]) -> World {
    World::long_ago(1, flavour, 80, names)
}

/// Everybody looks again after the pause, and nothing of the group is left in the log.
fn everything_ages_out(world: &mut World, group: GroupId) {
    world.pass(days(46));
    world.settle();
    let source = Source::Group(group);
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
        world.person("alice").does(contact::Add { handle: "bob".parse().unwrap(), text: Some("hi".into()) });
        world.settle();
        world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
        world.settle();
        let group = world.person("bob").active()[0].id;
        everything_ages_out(&mut world, group);
        for (name, text) in [("bob", "from bob"), ("alice", "from alice")] {
            let to = if name == "bob" { "alice" } else { "bob" };
            let target = Target::Account(to.parse().unwrap());
            world.person(name).does(message::Send::new(target, text));
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
        world.start(index, rename(group, "later"));
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
        let flavour = BOTH[usize::from(seed % 2 == 1)];
        let mut world = World::long_ago(seed, flavour, 80, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        everything_ages_out(&mut world, group);
        for name in ["alice", "bob", "carol"] {
            let index = world.index(name);
            world.start(index, rename(group, &format!("by {name}")));
        }
        world.settle();
        oracle::agree(&mut world);
        oracle::probe(&mut world);
        let epochs: Vec<u64> =
            ["alice", "bob", "carol"].map(|name| world.person(name).group(group).epoch).to_vec();
        assert_eq!(epochs, [epochs[0]; 3]);
    }
}

/// How often somebody asked to come back into a group.
fn asked(world: &World, group: GroupId) -> usize {
    let all = world.log.all();
    all.iter()
        .filter(|(route, bytes)| {
            *route == Route::Application(group) && matches!(codec::decode(bytes), Ok(Envelope::Rejoin(_)))
        })
        .count()
}

fn is(message: &MessageView, wanted: GroupEvent) -> bool {
    matches!(&message.body, Body::Event { event, .. } if *event == wanted)
}

fn missed(world: &mut World, name: &str, group: GroupId) -> usize {
    world.person(name).messages(group).iter().filter(|message| is(message, GroupEvent::Missed)).count()
}

/// Whoever is in the group is in one world, follows, and is heard.
fn all_is_well(world: &mut World, group: GroupId, names: &[&str]) {
    oracle::agree(world);
    oracle::probe(world);
    let epochs: Vec<u64> = names
        .iter()
        .map(|name| {
            let view = world.person(name).group(group);
            assert_eq!((view.state, &view.recovering), (GroupState::Active, &None), "{name}");
            view.epoch
        })
        .collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
}

#[test]
fn a2_who_was_away_over_a_commit_that_aged_out_comes_back_by_itself_and_is_told() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("bob").says(group, "before");
        world.settle();
        world.person("bob").disconnects();
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        world.person("carol").accepts(group);
        world.person("alice").says(group, "nobody will show this to bob");
        world.settle();
        everything_ages_out(&mut world, group);
        world.settle();
        world.person("alice").says(group, "later");
        world.settle();
        world.person("bob").starts(send(group, "from bob"));
        world.person("bob").connects();
        world.settle();
        assert_eq!(missed(&mut world, "bob", group), 1, "{flavour:?}");
        for name in ["alice", "bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "from bob"), 1, "{name} {flavour:?}");
        }
        assert_eq!(world.person("bob").sees(group, "before"), 1, "history stays");
        assert_eq!(world.person("bob").members(group), ["alice", "bob", "carol"]);
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
        let lines = world.person("alice").messages(group);
        let moved =
            |line: &MessageView| is(line, GroupEvent::DeviceAdded) || is(line, GroupEvent::DeviceRemoved);
        assert!(!lines.iter().any(moved), "nobody came or went: {lines:?}");
    }
}

/// A group whose log holds nothing but an old change and old words, which somebody put there again. Carol was away since
/// before that change, and two more were made.
fn old_changes_again(flavour: Flavour) -> (World, GroupId) {
    let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("carol").disconnects();
    world.person("alice").renames(group, "one");
    world.person("alice").says(group, "in between");
    world.person("alice").renames(group, "two");
    world.settle();
    let changes = world.log.on(&Route::Handshake(group));
    let words = world.log.on(&Route::Application(group));
    everything_ages_out(&mut world, group);
    world.log.inject(Route::Handshake(group), changes[changes.len() - 2].1.clone());
    world.log.inject(Route::Application(group), words.last().unwrap().1.clone());
    (world, group)
}

/// A2: who was away over a gap follows what leads on, whoever put it there again. While something claims a later epoch it is
/// not where the others are, and changes nothing (story 51).
#[test]
fn a2_r_gap_01_changes_of_before_a_gap_that_are_put_there_again_make_no_branch() {
    for flavour in BOTH {
        let (mut world, group) = old_changes_again(flavour);
        world.person("alice").renames(group, "three");
        world.settle();
        world.person("carol").connects();
        world.person("carol").starts(rename(group, "of carol"));
        world.settle();
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
        assert_eq!(world.person("alice").group(group).name, "of carol", "{flavour:?}");
    }
}

/// A2: nothing in the log says that others are further on, so who was away makes a change of its own behind old ones. The
/// next word of the others, of that very epoch or a later one, brings it back, and what it said is read.
#[test]
fn a2_r_gap_01_a_branch_behind_old_changes_ends_with_the_next_word_of_the_others() {
    for flavour in BOTH {
        for later in [false, true] {
            let (mut world, group) = old_changes_again(flavour);
            world.person("carol").connects();
            world.person("carol").starts(rename(group, "of carol"));
            world.settle();
            world.person("carol").says(group, "does anybody hear me?");
            world.settle();
            if later {
                world.person("bob").renames(group, "four");
            }
            world.person("alice").says(group, "the next word");
            world.settle();
            all_is_well(&mut world, group, &["alice", "bob", "carol"]);
            for name in ["alice", "bob"] {
                assert_eq!(world.person(name).sees(group, "does anybody hear me?"), 1, "{flavour:?} {later}");
            }
        }
    }
}

/// What waits until a member lets this device back in is nothing that `read` or `group list` wait for: each of them took as long as
/// it is prepared to wait for a slow broker.
#[test]
fn a2_who_only_looks_does_not_wait_for_a_place_in_a_group() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("alice").disconnects();
        world.person("bob").renames(group, "one");
        everything_ages_out(&mut world, group);
        world.person("bob").renames(group, "two");
        world.person("bob").disconnects();
        world.person("alice").connects();
        world.settle();
        assert!(world.person("alice").group(group).recovering.is_some(), "{flavour:?}");
        let alice = world.index("alice");
        world.start(alice, send(group, "waits"));
        world.settle();
        let before = world.now;
        let looked = world.person("alice").asks(status::Refresh {});
        assert!(matches!(looked, Ok(status::Refreshed { answered: true })), "{flavour:?} {looked:?}");
        assert!(
            world.now.since(before) < Duration::from_secs(1),
            "{flavour:?}: {:?}",
            world.now.since(before)
        );
        // `sync` waits a moment for it, and tells what is left.
        let synced = world.person("alice").asks(status::Sync {});
        assert!(
            matches!(synced, Ok(status::Synced { queued: 1, silent: false, .. })),
            "{flavour:?} {synced:?}"
        );
        assert!(
            world.now.since(before) < Duration::from_secs(5),
            "{flavour:?}: {:?}",
            world.now.since(before)
        );
        let failed = |message: &MessageView| message.state == MessageState::Failed;
        assert!(!world.person("alice").messages(group).iter().any(failed), "it goes on waiting");
    }
}

/// A2: the only member that could let another one back in is leaving (story 266). It does so first, and asks to go once more.
#[test]
fn a2_who_is_leaving_lets_a_member_back_in_when_nobody_else_does() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("alice").disconnects();
        world.person("bob").renames(group, "one");
        everything_ages_out(&mut world, group);
        world.person("bob").renames(group, "two");
        world.person("bob").starts(group::Leave { target: Target::Group(group) });
        world.settle();
        world.person("alice").connects();
        world.settle();
        world.wait();
        world.settle();
        assert_eq!(world.person("bob").group(group).state, GroupState::Left, "{flavour:?}");
        let view = world.person("alice").group(group);
        assert_eq!((view.members.len(), view.name.as_str()), (1, "two"), "{flavour:?}");
        assert!(view.recovering.is_none(), "{flavour:?} {view:?}");
    }
}

#[test]
fn a2_what_was_said_into_the_void_is_said_again_after_coming_back() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("bob").disconnects();
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        world.person("alice").disconnects();
        world.person("carol").disconnects();
        everything_ages_out(&mut world, group);
        world.person("bob").restarts(End::Clean);
        world.person("bob").connects();
        // The log is empty, and nobody is there who could tell.
        world.person("bob").says(group, "into the void");
        world.settle();
        world.person("bob").restarts(End::Kill);
        world.heal();
        world.person("carol").accepts(group);
        world.person("alice").says(group, "hello");
        world.settle();
        assert_eq!(world.person("alice").sees(group, "into the void"), 1, "{flavour:?}");
        assert_eq!(world.person("carol").sees(group, "into the void"), 1, "{flavour:?}");
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

#[test]
fn a2_two_who_were_away_over_different_commits_come_back_at_once() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol", "dave"]);
        let group = world.admins("ops", &["alice", "bob", "carol", "dave"]);
        world.person("bob").disconnects();
        world.person("alice").renames(group, "one");
        world.settle();
        world.person("carol").disconnects();
        world.person("alice").renames(group, "two");
        world.settle();
        everything_ages_out(&mut world, group);
        world.person("dave").says(group, "who is there");
        world.settle();
        world.person("carol").connects();
        world.person("bob").connects();
        world.settle();
        all_is_well(&mut world, group, &["alice", "bob", "carol", "dave"]);
        assert_eq!(world.person("bob").group(group).name, "two");
    }
}

#[test]
fn a2_a_plain_member_and_a_bot_serve_who_lost_its_place_and_a_direct_conversation_comes_back() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        world.register_bot("echo", "alice");
        let group = world.group_of("ops", &["alice", "bob", "carol"]);
        world.person("alice").adds(group, &["echo"]);
        world.settle();
        world.person("alice").disconnects();
        world.person("bob").starts(group::Leave { target: Target::Group(group) });
        world.settle();
        everything_ages_out(&mut world, group);
        world.person("carol").says(group, "still here");
        world.settle();
        world.person("carol").disconnects();
        // Only the bot is there to let its owner back in.
        world.person("alice").connects();
        world.settle();
        world.heal();
        all_is_well(&mut world, group, &["alice", "carol", "echo"]);
    }
}

#[test]
fn a2_messages_that_aged_out_leave_a_notice_and_a_quiet_conversation_none() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob"]);
        let group = world.admins("ops", &["alice", "bob"]);
        world.person("alice").says(group, "seen");
        world.settle();
        world.person("bob").disconnects();
        world.person("alice").says(group, "not seen");
        world.settle();
        world.person("alice").disconnects();
        everything_ages_out(&mut world, group);
        for name in ["alice", "bob"] {
            world.person(name).connects();
        }
        world.settle();
        assert_eq!(missed(&mut world, "bob", group), 0, "nothing says yet that anything was missed");
        world.person("alice").says(group, "new");
        world.settle();
        let kinds: Vec<String> = world.person("bob").messages(group).into_iter().map(|m| m.text).collect();
        let at = |text: &str| kinds.iter().position(|seen| seen.contains(text));
        assert!(at("seen") < at("may be missing") && at("may be missing") < at("new"), "{kinds:?}");
        assert_eq!(missed(&mut world, "bob", group), 1);
        all_is_well(&mut world, group, &["alice", "bob"]);
    }
}

/// The outside of a change of an epoch; the inside is noise.
fn junk(world: &mut World, group: GroupId, epoch: u64) {
    let mut mls = vec![0, 1, 0, 2, 16];
    mls.extend(group.as_bytes());
    mls.extend(epoch.to_be_bytes());
    mls.extend([3, 0, 4, 9, 9, 9, 9, 4, 9, 9, 9, 9]);
    world.log.inject(Route::Handshake(group), codec::encode(&Envelope::Message(mls)));
}

/// A2: two that missed the same are asked by each other first, and go on. They stay in doubt, and the next word of those who
/// missed nothing brings both back (story 2079).
#[test]
fn a2_r_gap_01_two_that_missed_the_same_do_not_take_each_other_for_the_group() {
    let names = ["alice", "bob", "carol", "dave"];
    for flavour in BOTH {
        let mut world = long_ago(flavour, &names);
        let group = world.admins("ops", &names);
        for name in ["carol", "dave"] {
            world.person(name).disconnects();
        }
        let epoch = world.person("alice").group(group).epoch;
        for name in ["one", "two"] {
            world.person("alice").renames(group, name);
        }
        everything_ages_out(&mut world, group);
        for name in ["alice", "bob"] {
            world.person(name).disconnects();
        }
        junk(&mut world, group, epoch + 5);
        for name in ["carol", "dave"] {
            world.person(name).connects();
        }
        world.settle();
        world.wait();
        world.settle();
        for name in ["carol", "dave"] {
            let view = world.person(name).group(group);
            assert!(view.recovering.is_none() && view.epoch > epoch, "{flavour:?} {name} {view:?}");
        }
        for name in ["alice", "bob"] {
            world.person(name).connects();
        }
        world.person("alice").says(group, "the next word");
        world.settle();
        world.wait();
        world.settle();
        all_is_well(&mut world, group, &names);
    }
}

#[test]
fn f1_r_gap_01_junk_that_claims_a_later_epoch_makes_nobody_ask_even_with_a_gap_it_ends_well() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        let epoch = world.person("alice").group(group).epoch;
        junk(&mut world, group, epoch + 1);
        junk(&mut world, group, epoch + 9_000);
        world.settle();
        assert_eq!(asked(&world, group), 0, "{flavour:?}");
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
        for name in ["alice", "bob", "carol"] {
            world.person(name).disconnects();
        }
        everything_ages_out(&mut world, group);
        junk(&mut world, group, epoch + 5);
        world.heal();
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

/// Junk, a request that another key signed, one for another group and one of a stranger change nothing.
#[test]
fn r_rejoin_01_a_request_of_nobody_in_the_group_costs_nothing() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob", "mallory"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let before = world.person("alice").group(group).epoch;
    let (bob, mallory) = (world.person("bob").account(), world.person("mallory").account());
    let request = |group: GroupId, account: &AccountView| {
        let body = RejoinBody {
            group,
            account: account.account_id,
            device: account.device_id.unwrap(),
            epoch: 0,
            commit: [0; 32],
            package: wire_hash(&[1, 2, 3]),
            new_keys: true,
            at: Timestamp::from_millis(1),
            copy: 0,
            knew: 0,
        };
        let body = Signed::new(&SigningKey::from_bytes(&[9; 32]), Purpose::Rejoin, codec::encode(&body));
        codec::encode(&RejoinRequest { body, key_package: ByteBuf::from(vec![1, 2, 3]) })
    };
    let bad = [
        vec![1, 2, 3],
        vec![0; 100_000],
        request(group, &bob),
        request(GroupId::from_bytes([5; 16]), &bob),
        request(group, &mallory),
    ];
    for request in bad {
        world.log.inject(Route::Application(group), codec::encode(&Envelope::Rejoin(request)));
    }
    world.settle();
    for name in ["alice", "bob"] {
        let skipped = world.person(name).status().skipped;
        let rejoin = skipped.iter().find(|(class, _)| *class == "rejoin").map(|(_, count)| *count);
        assert_eq!(rejoin, Some(4), "{name}: {skipped:?}");
        assert_eq!(world.person(name).group(group).epoch, before);
    }
    oracle::probe(&mut world);
}

/// How often somebody was told that it is no member any more.
fn told_so(world: &World, group: GroupId) -> usize {
    let all = world.log.all();
    let is_it = |(route, bytes): &&(Route, Vec<u8>)| {
        *route == Route::Application(group) && matches!(codec::decode(bytes), Ok(Envelope::NotMember(_)))
    };
    all.iter().filter(is_it).count()
}

/// Whose word bob has that he is no member any more, and whether he stopped asking.
fn denied(world: &mut World, group: GroupId) -> Option<(String, bool)> {
    let view = world.person("bob").group(group);
    assert_eq!(view.state, GroupState::Active, "it is a member's word and no more");
    view.recovering?.denied.map(|denied| (denied.handle, denied.over))
}

/// Bob, a plain member, was removed by a change that is gone from the log before he reads it.
fn removed_unseen(flavour: Flavour) -> (World, GroupId) {
    let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.person("bob").says(group, "before");
    world.settle();
    world.person("bob").disconnects();
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    everything_ages_out(&mut world, group);
    world.settle();
    (world, group)
}

#[test]
fn a3_r_rejoin_02_who_was_removed_by_a_change_that_aged_out_is_told_and_asks_no_more() {
    for flavour in BOTH {
        let (mut world, group) = removed_unseen(flavour);
        world.person("alice").says(group, "later");
        world.settle();
        world.person("bob").connects();
        world.settle();
        assert_eq!((asked(&world, group), told_so(&world, group)), (1, 1), "{flavour:?}");
        assert_eq!(denied(&mut world, group), Some(("alice".into(), true)), "{flavour:?}");
        assert_eq!(world.person("bob").sees(group, "before"), 1, "history stays");
        for _ in 0..9 {
            world.pass(days(1));
            world.settle();
        }
        assert_eq!((asked(&world, group), told_so(&world, group)), (1, 1), "{flavour:?}");
        // The same request again, by whoever: nobody answers twice.
        let again = world
            .log
            .all()
            .into_iter()
            .find(|(_, bytes)| matches!(codec::decode(bytes), Ok(Envelope::Rejoin(_))));
        let (route, bytes) = again.unwrap();
        world.log.inject(route, bytes);
        world.settle();
        assert_eq!(told_so(&world, group), 1, "{flavour:?}");
        // A person who says something wants to know better: once more, and not for every message.
        for text in ["really?", "hello?"] {
            world.person("bob").starts(send(group, text));
            world.settle();
        }
        assert_eq!((asked(&world, group), told_so(&world, group)), (3, 2), "one of them is the repeat");
        assert_eq!(denied(&mut world, group), Some(("alice".into(), true)), "{flavour:?}");
        // Nothing is over for good: whoever is added again is in, and is heard.
        world.person("alice").adds(group, &["bob"]);
        world.settle();
        for name in ["alice", "bob", "carol"] {
            assert_eq!(world.person(name).sees(group, "really?"), 1, "{name} {flavour:?}");
        }
        assert_eq!(world.person("bob").sees(group, "before"), 1);
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

/// Who was told that it is out leaves at once; who only lost its place when it has it again. `group leave` is answered in both cases:
/// it waited for an answer of the broker that nothing was asked of, and the group stayed between the two.
#[test]
fn a3_who_leaves_without_its_place_is_answered_at_once() {
    for flavour in BOTH {
        let (mut world, group) = removed_unseen(flavour);
        world.person("alice").says(group, "later");
        world.settle();
        world.person("bob").connects();
        world.settle();
        assert_eq!(denied(&mut world, group), Some(("alice".into(), true)), "{flavour:?}");
        world.person("bob").starts(send(group, "still here?"));
        world.settle();
        world.person("bob").does(group::Leave { target: Target::Group(group) });
        world.settle();
        let left = world.person("bob").group(group);
        assert_eq!((left.state, left.recovering), (GroupState::Left, None), "{flavour:?}");
        assert!(!world.person("bob").messages(group).iter().any(|m| m.state == MessageState::Queued));
        assert_eq!(world.person("bob").status().outbox, 0, "{flavour:?}");

        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["bob", "alice", "carol"]);
        world.person("alice").disconnects();
        world.person("bob").renames(group, "one");
        everything_ages_out(&mut world, group);
        world.person("bob").renames(group, "two");
        for name in ["bob", "carol"] {
            world.person(name).disconnects();
        }
        world.person("alice").connects();
        world.settle();
        assert!(world.person("alice").group(group).recovering.is_some(), "{flavour:?}");
        let before = world.now;
        world.person("alice").does(group::Leave { target: Target::Group(group) });
        assert!(world.now.since(before) < Duration::from_secs(1), "{flavour:?}");
        assert_eq!(world.person("alice").group(group).state, GroupState::Leaving);
        for name in ["bob", "carol"] {
            world.person(name).connects();
        }
        world.settle();
        world.pass(Duration::from_secs(3600));
        world.settle();
        assert_eq!(world.person("alice").group(group).state, GroupState::Left, "{flavour:?}");
        assert_eq!(world.person("bob").members(group), ["bob", "carol"], "{flavour:?}");
    }
}

#[test]
fn a3_r_rejoin_02_the_word_of_a_plain_member_ends_the_asking_after_days_only() {
    for flavour in BOTH {
        let (mut world, group) = removed_unseen(flavour);
        world.person("alice").disconnects();
        world.person("carol").says(group, "later");
        world.settle();
        world.person("bob").connects();
        world.settle();
        assert_eq!(denied(&mut world, group), Some(("carol".into(), false)), "{flavour:?}");
        assert_eq!(asked(&world, group), 1, "{flavour:?}");
        for _ in 0..10 {
            world.pass(days(1));
            world.settle();
        }
        let times = asked(&world, group);
        assert!((3..=5).contains(&times), "once a day, for three days: {times}");
        assert_eq!(denied(&mut world, group), Some(("carol".into(), true)), "{flavour:?}");
        // It is known, and shown, whose word it is; an owner who is back adds him as ever.
        world.person("alice").connects();
        world.settle();
        world.person("alice").adds(group, &["bob"]);
        world.settle();
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

/// Whoever may write into the log says that bob is out; none of it is a member's word about his request.
#[test]
fn a3_r_rejoin_02_what_no_member_said_about_the_very_request_is_nothing() {
    let mut world = long_ago(Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob", "carol"]);
    world.person("bob").disconnects();
    world.person("alice").renames(group, "later");
    world.settle();
    everything_ages_out(&mut world, group);
    world.person("alice").says(group, "who is there");
    world.settle();
    for name in ["alice", "carol"] {
        world.person(name).disconnects();
    }
    world.person("bob").connects();
    world.settle();
    let asked = world.log.all().into_iter().find_map(|(_, bytes)| match codec::decode(&bytes) {
        Ok(Envelope::Rejoin(request)) => codec::decode::<RejoinRequest>(&request).ok(),
        _ => None,
    });
    let package = wire_hash(&asked.expect("bob asks to come back").key_package);
    let alice = world.person("alice").account();
    let body = NotMemberBody {
        group,
        package,
        account: alice.account_id,
        device: alice.device_id.unwrap(),
        epoch: 900,
    };
    let strange = SigningKey::from_bytes(&[9; 32]);
    let mallory = NotMemberBody { device: cipher_broker::id::DeviceId::from_bytes([9; 16]), ..body };
    for signed in [
        Signed::new(&strange, Purpose::NotMember, codec::encode(&body)),
        Signed::new(&strange, Purpose::NotMember, codec::encode(&mallory)),
        Signed::new(&strange, Purpose::Rejoin, codec::encode(&body)),
        Signed { body: vec![1, 2, 3], signature: Vec::new() },
    ] {
        world.log.inject(Route::Application(group), codec::encode(&Envelope::NotMember(signed)));
    }
    world.settle();
    assert_eq!(denied(&mut world, group), None);
    world.heal();
    all_is_well(&mut world, group, &["alice", "bob", "carol"]);
}

#[test]
fn a3_removed_and_added_again_while_away_is_in() {
    for (flavour, contacts) in
        [(Flavour::R1, false), (Flavour::R3, false), (Flavour::R1, true), (Flavour::R3, true)]
    {
        let mut world = World::of(1, flavour, &["alice", "bob", "frank"]);
        if contacts {
            let (handle, text) = ("alice".parse().unwrap(), Some("hi".into()));
            world.person("frank").does(contact::Add { handle, text });
            world.settle();
            world.person("alice").does(contact::Accept { handle: "frank".parse().unwrap() });
            world.settle();
        }
        let group = world.admins("ops", &["alice", "bob", "frank"]);
        world.person("frank").disconnects();
        world.person("alice").removes(group, &["frank"]);
        world.person("alice").adds(group, &["frank"]);
        world.settle();
        world.person("frank").connects();
        world.settle();
        if !contacts {
            assert_eq!(world.person("frank").group(group).state, GroupState::Invited, "{flavour:?}");
            world.person("frank").accepts(group);
            world.settle();
        }
        all_is_well(&mut world, group, &["alice", "bob", "frank"]);
    }
}

/// An invitation waits as long as the inbox keeps it. Whoever was away for longer renews its key packages when it comes,
/// and is invited anew by being removed and added.
#[test]
fn a3_an_invitation_that_aged_out_unread_is_made_anew_by_removing_and_adding() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        world.person("carol").disconnects();
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        everything_ages_out(&mut world, group);
        world.settle();
        world.person("carol").connects();
        world.settle();
        assert_eq!(world.person("alice").members(group), ["alice", "bob", "carol"], "alice cannot know");
        world.person("alice").removes(group, &["carol"]);
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        assert_eq!(world.person("carol").group(group).state, GroupState::Invited, "{flavour:?}");
        world.person("carol").accepts(group);
        world.settle();
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

#[test]
fn a3_any_order_of_removal_adding_and_being_away_ends_where_the_log_says() {
    for seed in 0..12 {
        let flavour = BOTH[usize::from(seed % 2 == 1)];
        let mut world = World::long_ago(seed, flavour, 80, &["alice", "bob", "frank"]);
        world.register_bot("echo", "alice");
        let handle = || "alice".parse().unwrap();
        world.person("frank").does(contact::Add { handle: handle(), text: Some("hi".into()) });
        world.settle();
        world.person("alice").does(contact::Accept { handle: "frank".parse().unwrap() });
        world.settle();
        let group = world.admins("ops", &["alice", "bob", "frank"]);
        world.person("alice").adds(group, &["echo"]);
        world.settle();
        let mut inside = [true, true];
        for _ in 0..5 {
            for (at, who) in ["frank", "echo"].into_iter().enumerate() {
                match world.dice.below(5) {
                    0 => world.person(who).disconnects(),
                    1 => world.person(who).connects(),
                    2 if inside[at] => {
                        world.person("alice").removes(group, &[who]);
                        inside[at] = false;
                    }
                    2 => {
                        world.person("alice").adds(group, &[who]);
                        inside[at] = true;
                    }
                    3 => {
                        let by = *world.dice.pick(&[1, 10]);
                        world.pass(days(by));
                    }
                    _ => _ = world.person("alice").says(group, "hm"),
                }
                world.churn(20);
            }
        }
        world.heal();
        for (at, who) in ["frank", "echo"].into_iter().enumerate() {
            let state = world.person(who).group(group).state;
            assert_eq!(state == GroupState::Active, inside[at], "{who} seed {seed}: {state:?}");
        }
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

#[test]
fn a_quiet_group_gets_a_fresh_commit_by_one_member_before_its_last_one_ages_out() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.admins("ops", &["alice", "bob", "carol"]);
        let before = world.person("alice").group(group).epoch;
        for _ in 0..24 * 25 {
            world.pass(Duration::from_secs(3600));
            world.settle();
        }
        let handshakes = world.log.on(&Route::Handshake(group)).len();
        assert!(handshakes > 0);
        let after = world.person("alice").group(group).epoch;
        assert_eq!(after, before + 1, "one member's turn");
        for _ in 0..24 * 6 {
            world.pass(Duration::from_secs(3600));
            world.settle();
        }
        let renewed = world.person("alice").group(group).epoch;
        assert_eq!(renewed, after + 2, "the other two gave their leaves new keys");
        all_is_well(&mut world, group, &["alice", "bob", "carol"]);
    }
}

#[test]
fn a2_who_comes_back_keeps_its_role_and_may_still_leave() {
    let mut world = long_ago(Flavour::R3, &["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("alice").makes(group, "bob", Role::Owner);
    world.settle();
    world.person("alice").disconnects();
    world.person("bob").renames(group, "bobs");
    world.settle();
    everything_ages_out(&mut world, group);
    world.person("bob").says(group, "hello");
    world.person("alice").connects();
    world.settle();
    all_is_well(&mut world, group, &["alice", "bob"]);
    assert_eq!(world.person("bob").group(group).members.iter().filter(|m| m.role == Role::Owner).count(), 2);
    world.person("alice").does(group::Leave { target: Target::Group(group) });
    world.settle();
    assert_eq!(world.person("bob").members(group), ["bob"]);
}

/// F7: who was away for longer than streams keep an invitation gets it all the same. Before, it never came, and who had
/// invited saw a member.
#[test]
fn f7_an_invitation_outlives_the_streams_while_who_made_it_runs() {
    for flavour in BOTH {
        let mut world = long_ago(flavour, &["alice", "bob", "carol"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        world.person("carol").disconnects();
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        for pass in [23, 23, 14] {
            world.pass(days(pass));
            world.settle();
        }
        world.person("carol").connects();
        world.settle();
        world.person("carol").accepts(group);
        world.settle();
        world.person("alice").says(group, "welcome");
        world.person("carol").says(group, "at last");
        world.settle();
        assert_eq!(world.person("carol").sees(group, "welcome"), 1, "{flavour:?}");
        assert_eq!(world.person("bob").sees(group, "at last"), 1, "{flavour:?}");
        oracle::agree(&mut world);
        oracle::probe(&mut world);
    }
}

/// F7: who invited is told when nothing was heard for as long as the invitation could arrive; not of who came.
#[test]
fn f7_who_invited_is_told_when_nothing_was_heard() {
    let mut world = long_ago(Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.person("bob").says(group, "here I am");
    world.settle();
    world.person("carol").disconnects();
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    let told = |world: &World| {
        let unheard = |notice: &Notice| match notice {
            Notice::InvitationUnheard { who, .. } => {
                assert_eq!(*who, ["@carol"]);
                true
            }
            _ => false,
        };
        world.notices("alice").filter(|notice| unheard(notice)).count()
    };
    for pass in [23, 23] {
        world.pass(days(pass));
        world.settle();
        assert_eq!(told(&world), 0, "it is sent again");
    }
    for pass in [23, 2] {
        world.pass(days(pass));
        world.settle();
        assert_eq!(told(&world), 1, "once");
    }
}
