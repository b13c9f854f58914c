//! The registry may be away, wrong or hostile: nothing happens on its word alone.

use std::time::Duration;

use cipher_api::command::{account, contact, evidence, group, message};
use cipher_api::view::GroupState;
use cipher_api::{Error, ErrorKind, Hint, Notice, Target};
use cipher_broker::limit;
use cipher_broker::wire::registry::AdmissionPolicy;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::registry::{CODE, Fate};
use crate::support::world::{Spoil, World, add};

fn world(names: &[&str]) -> World {
    World::of(1, Flavour::R1, names)
}

fn register(handle: &str) -> account::Register {
    account::Register {
        handle: handle.parse().unwrap(),
        name: "Somebody".into(),
        bot: None,
        invite_code: None,
    }
}

fn show(handle: &str) -> account::ShowProfile {
    account::ShowProfile { handle: handle.parse().unwrap() }
}

fn set_name(name: &str) -> account::SetProfile {
    account::SetProfile { name: Some(name.into()), status: None, presence: None }
}

#[test]
fn an_unknown_handle_is_not_found() {
    let mut world = world(&["alice"]);
    let group = world.person("alice").creates("ops", &[]);
    world.person("alice").cannot(show("nobody"), ErrorKind::NotFound);
    world.person("alice").cannot(add(group, &["nobody"]), ErrorKind::NotFound);
    let contact = contact::Add { handle: "nobody".parse().unwrap(), text: None };
    world.person("alice").cannot(contact, ErrorKind::NotFound);
    assert_eq!(world.person("alice").members(group), ["alice"]);
    oracle::judge(&mut world);
}

#[test]
fn one_unknown_handle_among_several_changes_nothing() {
    let mut world = world(&["alice", "bob"]);
    let with = ["bob", "nobody"].map(|handle| handle.parse().unwrap()).to_vec();
    let create = group::Create { name: "ops".into(), with, post_quantum: false };
    world.person("alice").cannot(create, ErrorKind::NotFound);
    world.settle();
    assert!(world.person("alice").groups().is_empty());
    assert!(world.person("bob").groups().is_empty());
}

/// The registry keeps the statement that it got first. A profile that does not know whether it got one makes no other:
/// two would look like two histories of one account.
#[test]
fn a_registration_without_an_answer_is_asked_again_and_not_changed() {
    let mut world = world(&["alice"]);
    let bob = world.arrive("bob");
    world.registry.next("create-account", Fate::LostReply);
    let lost = world.run(bob, register("bob")).unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Unreachable);
    world.pass(Duration::from_secs(30));
    let other = world.run(bob, register("robert")).unwrap_err();
    assert_eq!(other.kind, ErrorKind::Conflict, "{other:?}");
    assert!(other.message.contains("@bob"), "it says which: {other:?}");
    assert!(world.run(bob, register("bob")).is_ok());
    world.settle();
    let own = world.run(bob, evidence::List {}).unwrap();
    assert_eq!(own, []);
    world.person("alice").does(show("bob"));
    oracle::judge(&mut world);
}

/// E7: whatever ends the process between registering and showing the phrase, the phrase can be shown; and once a person
/// has seen it, it is not given out any more.
#[test]
fn e7_the_phrase_is_given_again_until_a_person_has_seen_it() {
    let mut world = World::new(1, Flavour::R1);
    let alice = world.arrive("alice");
    let phrase = |reply: Result<account::Registered, Error>| reply.unwrap().phrase.unwrap();
    let first = phrase(world.run(alice, register("alice")));
    assert!(world.status(alice).phrase_due);
    for end in [End::Clean, End::Kill, End::PowerLoss] {
        world.restart(alice, end);
        assert_eq!(
            phrase(world.run(alice, register("alice"))),
            first,
            "the account is the one that was made"
        );
    }
    let other = world.run(alice, register("alicia")).unwrap_err();
    assert_eq!(other.kind, ErrorKind::Conflict, "{other:?}");
    world.run(alice, account::PhraseShown {}).unwrap();
    world.restart(alice, End::PowerLoss);
    assert!(!world.status(alice).phrase_due);
    assert_eq!(world.run(alice, register("alice")).unwrap_err().kind, ErrorKind::Conflict);
    oracle::judge(&mut world);
}

/// Who is known stays known while the registry is away.
#[test]
fn a_known_profile_is_shown_without_the_registry() {
    let mut world = world(&["alice", "bob"]);
    let before = world.person("alice").does(show("bob"));
    world.registry.lies.down = true;
    assert_eq!(world.person("alice").does(show("bob")), before);
    world.person("alice").cannot(show("carol"), ErrorKind::Unreachable);
    assert!(world.notices("alice").any(|notice| matches!(notice, Notice::ShownAsKnown { .. })));
}

#[test]
fn a_taken_handle_is_a_conflict_and_another_one_can_be_chosen() {
    let mut world = world(&["alice"]);
    let second = world.arrive("second");
    let error = world.run(second, register("alice")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
    assert!(world.run(second, account::Show {}).is_err(), "nobody is registered here");
    let reply = world.run(second, register("second")).unwrap();
    assert!(reply.phrase.is_some());
    oracle::judge(&mut world);
}

#[test]
fn a_newcomer_brings_the_code_or_does_the_work_that_the_registry_asks_for() {
    let code = |code: Option<&str>| account::Register {
        handle: "alice".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: code.map(Into::into),
    };
    let mut world = World::new(1, Flavour::R1);
    let alice = world.arrive("alice");
    for policy in [AdmissionPolicy::Code, AdmissionPolicy::Closed] {
        world.registry.admission = policy;
        for brought in [None, Some("a guess")] {
            let error = world.run(alice, code(brought)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error:?}");
            if policy == AdmissionPolicy::Code {
                let handle = Some("alice".parse().unwrap());
                assert_eq!(error.hint, Some(Hint::AccountRegisterWithCode { handle }));
            }
        }
    }
    world.registry.admission = AdmissionPolicy::Work(60);
    assert_eq!(world.run(alice, code(None)).unwrap_err().kind, ErrorKind::Limit, "nobody works that long");
    assert!(!world.status(alice).registered);

    world.registry.admission = AdmissionPolicy::Work(17);
    assert!(world.run(alice, code(None)).is_ok());
    world.registry.admission = AdmissionPolicy::Code;
    let bob = world.arrive("bob");
    let command = account::Register {
        handle: "bob".parse().unwrap(),
        name: String::new(),
        bot: None,
        invite_code: Some(CODE.into()),
    };
    assert!(world.run(bob, command).is_ok());
    oracle::judge(&mut world);
}

#[test]
fn without_a_reply_registration_is_unreachable_and_repeating_it_gives_one_account() {
    for fate in [Fate::NoReply, Fate::LostReply] {
        let mut world = World::new(1, Flavour::R1);
        let alice = world.arrive("alice");
        world.registry.next("create-account", fate);
        let error = world.run(alice, register("alice")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error:?}");
        world.settle();
        let reply = world.run(alice, register("alice"));
        assert!(reply.is_ok(), "{reply:?}");
        world.settle();
        assert!(world.status(alice).registered);
        assert_eq!(world.person("alice").account().account_id, world.registry.account("alice"));
    }
}

#[test]
fn without_a_reply_nothing_changes() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    for operation in ["resolve", "claim-key-packages"] {
        for fate in [Fate::NoReply, Fate::LostReply] {
            world.registry.next(operation, fate);
            world.person("alice").cannot(add(group, &["bob"]), ErrorKind::Unreachable);
            world.settle();
            assert_eq!(world.person("alice").members(group), ["alice"]);
        }
    }
    world.registry.next("set-profile", Fate::NoReply);
    world.person("alice").cannot(set_name("Alicia"), ErrorKind::Unreachable);
    assert_eq!(world.person("alice").account().name, "Alice");
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    oracle::judge(&mut world);
}

#[test]
fn n09_forged_and_foreign_replies_are_not_believed() {
    let mut world = world(&["alice", "bob"]);
    let group = world.person("alice").creates("ops", &[]);
    for operation in ["resolve", "claim-key-packages"] {
        for fate in [Fate::Forged, Fate::Foreign, Fate::Noise] {
            world.registry.next(operation, fate);
            let error = world.person("alice").asks(add(group, &["bob"])).unwrap_err();
            assert!(
                matches!(error.kind, ErrorKind::Trust | ErrorKind::Unreachable),
                "{operation} {fate:?}: {error:?}"
            );
            world.settle();
            assert_eq!(world.person("alice").members(group), ["alice"]);
        }
    }
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    oracle::judge(&mut world);
}

/// K05: Bob's key package is exchanged for one whose keys somebody else has.
#[test]
fn r_kp_01_r_kp_02_k05_a_swapped_key_package_is_a_matter_of_trust() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let group = world.person("alice").creates("ops", &[]);
    world.registry.swapped = Some((world.registry.account("bob"), world.registry.account("mallory")));
    world.person("alice").cannot(add(group, &["bob"]), ErrorKind::Trust);
    world.settle();
    assert_eq!(world.person("alice").members(group), ["alice"]);
    assert!(world.person("mallory").groups().is_empty());
    world.registry.swapped = None;
    world.person("alice").adds(group, &["bob"]);
    world.settle();
    world.person("bob").accepts(group);
    oracle::judge(&mut world);
}

#[test]
fn r_pin_03_g01_a_handle_that_points_to_another_account_stops_what_it_is_used_for() {
    let mut world = world(&["alice", "bob", "mallory"]);
    world.person("alice").does(show("bob"));
    let mallory = world.registry.account("mallory");
    world.registry.remap("bob", mallory);
    world.person("alice").cannot(show("bob"), ErrorKind::Trust);
    let group = world.person("alice").creates("ops", &[]);
    world.person("alice").cannot(add(group, &["bob"]), ErrorKind::Trust);
    assert_eq!(world.person("alice").members(group), ["alice"]);
}

/// K07: packages that were made too long ago are handed out by a registry that does not care.
#[test]
fn r_kp_03_k07_an_expired_key_package_is_refused_and_the_group_stays_usable() {
    for days in [60, 100] {
        let mut world = world(&["alice", "carol"]);
        world.registry.strict = false;
        let bob = world.arrive("bob");
        world.people[bob].behind = Duration::from_secs(days * 86_400);
        let reply = world.run(bob, register("bob"));
        assert!(reply.is_ok(), "{reply:?}");
        world.settle();
        let group = world.group_of("ops", &["alice", "carol"]);
        world.person("alice").cannot(add(group, &["bob"]), ErrorKind::Trust);
        world.settle();
        assert_eq!(world.person("carol").members(group).len(), 2);
        world.people[bob].behind = Duration::ZERO;
        world.registry.strict = true;
        oracle::judge(&mut world);
    }
}

/// `register` asks right behind its registration, when nothing was counted yet: it then warned that nobody can add the account.
#[test]
fn key_packages_that_the_registry_took_are_known_before_they_are_counted() {
    let mut world = World::new(1, Flavour::R1);
    let alice = world.register("alice");
    world.registry.next("count-key-packages", Fate::NoReply);
    world.settle();
    assert_eq!(world.status(alice).key_packages.unwrap_or(0) as usize, 2 * limit::KEY_PACKAGE_STOCK);
}

#[test]
fn a_low_stock_is_refilled_on_the_next_connection() {
    let mut world = world(&["alice", "bob"]);
    let bob = world.registry.account("bob");
    assert_eq!(world.registry.stock(bob), 2 * limit::KEY_PACKAGE_STOCK);
    world.registry.drain(bob, 3);
    world.person("bob").disconnects();
    world.person("bob").connects();
    world.settle();
    assert!(world.registry.stock(bob) >= 2 * limit::KEY_PACKAGE_REFILL, "{}", world.registry.stock(bob));
    // A refill whose reply got lost is not made for ever.
    world.registry.drain(bob, 3);
    world.registry.next("publish-key-packages", Fate::LostReply);
    world.person("bob").disconnects();
    world.person("bob").connects();
    world.settle();
    assert!(world.registry.stock(bob) <= 4 * limit::KEY_PACKAGE_STOCK);
}

/// A member whom somebody else added has a name here sooner or later: also when the question for it was lost with
/// the process that asked, and when the registry answers again only after a while.
#[test]
fn a_member_whose_name_was_not_answered_is_asked_for_again() {
    for end in [Some(End::Clean), Some(End::Kill), None] {
        let mut world = world(&["alice", "bob", "carol"]);
        let group = world.person("alice").creates("ops", &["bob"]);
        world.settle();
        world.person("bob").accepts(group);
        world.settle();
        world.registry.next("fetch-account", Fate::NoReply);
        world.person("alice").adds(group, &["carol"]);
        world.settle();
        let carol = world.registry.account("carol").to_string();
        let mut members = ["alice", "bob", carol.as_str()];
        members.sort_unstable();
        assert_eq!(world.person("bob").members(group), members);
        match end {
            Some(end) => world.person("bob").restarts(end),
            None => world.pass(Duration::from_secs(120)),
        }
        world.settle();
        assert_eq!(world.person("bob").members(group), ["alice", "bob", "carol"], "{end:?}");
        oracle::judge(&mut world);
    }
}

/// K08: the last resort serves more than one inviter, and every one of its groups can be joined.
#[test]
fn k08_a_last_resort_package_serves_several_groups() {
    let mut world = world(&["alice", "bob"]);
    let bob = world.registry.account("bob");
    world.person("bob").disconnects();
    world.registry.drain(bob, 0);
    let before = world.registry.last_resorts(bob);
    let groups: Vec<_> = (0..3)
        .map(|n| {
            let group = world.person("alice").creates(&format!("group {n}"), &["bob"]);
            world.settle();
            group
        })
        .collect();
    world.person("bob").connects();
    world.settle();
    for group in &groups {
        assert_eq!(world.person("bob").group(*group).state, GroupState::Invited);
        world.person("bob").accepts(*group);
    }
    world.settle();
    // Each of the groups got a leaf of Bob's that nobody else's Welcome was sealed to.
    for group in groups {
        assert_eq!(world.person("alice").group(group).epoch, 2, "one commit adds, one gives new keys");
    }
    let after = world.registry.last_resorts(bob);
    assert_eq!((before.len(), after.len()), (2, 2));
    let replaced = before.iter().filter(|package| !after.contains(package)).count();
    assert_eq!(replaced, 1, "the one that was used, of its suite");
    oracle::judge(&mut world);
}

/// K08: the replacement survives a registry that does not answer, and a process that ends.
#[test]
fn k08_a_used_last_resort_is_replaced_even_when_it_fails_at_first() {
    for fate in [Fate::NoReply, Fate::LostReply, Fate::Internal] {
        let mut world = world(&["alice", "bob"]);
        let bob = world.registry.account("bob");
        world.person("bob").disconnects();
        world.registry.drain(bob, 0);
        let group = world.person("alice").creates("ops", &["bob"]);
        world.settle();
        world.person("bob").connects();
        world.settle();
        let before = world.registry.last_resorts(bob);
        world.registry.next("publish-key-packages", fate);
        world.person("bob").accepts(group);
        world.settle();
        world.person("bob").restarts(End::PowerLoss);
        world.settle();
        let after = world.registry.last_resorts(bob);
        assert_eq!(before.iter().filter(|package| !after.contains(package)).count(), 1, "{fate:?}");
        // Done is done: the next connection does not replace it again.
        world.person("bob").disconnects();
        world.person("bob").connects();
        world.settle();
        assert_eq!(world.registry.last_resorts(bob), after);
        oracle::judge(&mut world);
    }
}

/// One suite may run out while nobody asks for the other.
#[test]
fn the_stock_of_each_suite_is_refilled() {
    let mut world = world(&["alice", "bob"]);
    let bob = world.registry.account("bob");
    world.person("bob").disconnects();
    world.registry.drain_suite(bob, 3);
    world.person("bob").connects();
    world.settle();
    assert_eq!(world.registry.stock(bob), 2 * limit::KEY_PACKAGE_STOCK);
}

/// K12: a join that fails for a damaged tree leaves nothing behind; the next one succeeds.
#[test]
fn k12_a_failed_join_can_be_tried_again() {
    fn flip(mut pieces: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
        let last = pieces.last_mut()?;
        let end = last.len() - 1;
        last[end] ^= 1;
        Some(pieces)
    }
    fn lose(_: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
        None
    }
    fn empty(_: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
        Some(Vec::new())
    }
    for spoil in [flip as Spoil, lose, empty] {
        let mut world = world(&["alice", "bob"]);
        world.spoil_tree = Some(spoil);
        let group = world.person("alice").creates("ops", &["bob"]);
        world.settle();
        assert!(world.spoil_tree.is_none(), "a tree was fetched");
        for _ in 0..5 {
            if world.person("bob").knows(group).is_some() {
                break;
            }
            world.pass(Duration::from_secs(600));
            world.person("bob").disconnects();
            world.person("bob").connects();
            world.settle();
        }
        assert_eq!(world.person("bob").group(group).state, GroupState::Invited);
        world.person("bob").accepts(group);
        oracle::judge(&mut world);
    }
}

#[test]
fn a_profile_is_seen_by_others() {
    let mut world = world(&["alice", "bob"]);
    world.group_of("ops", &["alice", "bob"]);
    let command = account::SetProfile { name: None, status: Some("on call".into()), presence: None };
    world.person("alice").does(command);
    world.person("alice").does(set_name("Alicia"));
    let seen = world.person("bob").does(show("alice"));
    assert_eq!((seen.name.as_str(), seen.status.as_str()), ("Alicia", "on call"));
    assert_eq!(seen.account_id, world.registry.account("alice"));
    world.person("alice").restarts(End::PowerLoss);
    assert_eq!(world.person("alice").account().name, "Alicia");
}

#[test]
fn g10_a_wrong_clock_is_said_so() {
    let mut world = world(&["alice", "bob"]);
    world.registry.ahead = Duration::from_secs(3600);
    let error = world.person("alice").asks(show("bob")).unwrap_err();
    assert!(error.message.contains("clock") || error.message.contains("ours"), "{error:?}");
    world.registry.ahead = Duration::ZERO;
    world.person("alice").does(show("bob"));
}

/// Somebody who never came online after registering: told at once, and nothing is left behind.
#[test]
fn an_account_without_any_key_package_cannot_be_reached_yet() {
    let mut world = world(&["alice", "bob"]);
    let bob = world.registry.account("bob");
    world.person("bob").disconnects();
    world.registry.empty(bob);
    let to_bob = message::Send::new(Target::Account("bob".parse().unwrap()), "hi");
    world.person("alice").cannot(to_bob.clone(), ErrorKind::Limit);
    let add = contact::Add { handle: "bob".parse().unwrap(), text: Some("hi".into()) };
    world.person("alice").cannot(add, ErrorKind::Limit);
    assert_eq!(world.person("alice").status().groups, 0);
    world.person("bob").connects();
    world.settle();
    world.person("alice").does(to_bob);
    world.settle();
}
