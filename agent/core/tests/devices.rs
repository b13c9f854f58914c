//! An account and its devices: linking, naming, revoking, recovering, and what groups make of it.

use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_api::command::{account, contact, device, group};
use cipher_api::view::{
    Body, DeviceView, GroupEvent, GroupState, HistoryPolicy, LinkCodeView, LinkCompareView, MessageView,
};
use cipher_api::{Command, Error, ErrorKind, Event, LinkEvent, Notice, Reply, Target};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Route;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::link::{LinkingGrant, LinkingReveal, LinkingStep, admission_key, rendezvous};
use cipher_broker::wire::registry::{Presence, PublicProfile};
use cipher_broker::wire::statement::{Statement, StatementKind};

use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::support::disk::{Disk, End, Fault};
use crate::support::log::{Flavour, Log};
use crate::support::oracle;
use crate::support::registry::Fate;
use crate::support::setting;
use crate::support::world::{Frozen, World, send};

fn code_of(reply: Result<LinkCodeView, Error>) -> String {
    let view = reply.unwrap();
    assert_eq!(view.uri, format!("cipher-chat:link/{}", view.code));
    view.code
}

fn link_command(name: &str) -> device::Link {
    device::Link { name: name.into() }
}

fn approve(code: &str) -> device::Approve {
    device::Approve { code: code.into(), history: HistoryPolicy::All }
}

fn confirm(code: &str, equal: bool) -> device::Confirm {
    device::Confirm { code: code.into(), equal }
}

fn revoke(device: &str) -> device::Revoke {
    device::Revoke { device: device.into() }
}

fn compared(reply: Result<LinkCompareView, Error>) -> LinkCompareView {
    reply.unwrap()
}

/// What the new device was told of its link.
fn told(world: &World, index: usize) -> Vec<LinkEvent> {
    let events = world.people[index].events.iter();
    events
        .filter_map(|event| if let Event::Link { step } = event { Some(step.clone()) } else { None })
        .collect()
}

fn warnings(world: &World, name: &str) -> Vec<Notice> {
    world.notices(name).cloned().collect()
}

fn devices(world: &mut World, name: &str) -> Vec<DeviceView> {
    world.person(name).does(device::List {})
}

fn device_of(world: &mut World, name: &str) -> String {
    world.person(name).account().device_id.unwrap().to_string()
}

/// Links a new profile to somebody's account; comes to rest.
fn link(world: &mut World, old: &str, new: &str) -> usize {
    let index = world.arrive(new);
    let code = code_of(world.run(index, link_command(new)));
    let view = compared(world.person(old).asks(approve(&code)));
    world.settle();
    assert_eq!(view.other, new);
    match told(world, index).as_slice() {
        [LinkEvent::Compare(there)] => assert_eq!(there.string, view.string),
        other => panic!("something to compare was expected: {other:?}"),
    }
    let reply = world.person(old).does(confirm(&code, true));
    assert_eq!(reply.map(|device| device.name).as_deref(), Some(new));
    world.settle();
    assert!(matches!(told(world, index).last(), Some(LinkEvent::Linked { .. })), "{:?}", told(world, index));
    index
}

/// A command that revokes lives for a moment: its own process takes the device out, whoever's turn it would be.
#[test]
fn whoever_revokes_a_device_takes_it_out_at_once() {
    let (mut world, group) = household(24);
    link(&mut world, "alice", "tablet");
    world.settle();
    let before = leaves(&mut world, "bob", group, "alice");
    world.person("alice").disconnects();
    world.person("phone").does(revoke("tablet"));
    // Without anybody's timer.
    while world.step() {}
    assert_eq!(leaves(&mut world, "bob", group, "alice"), before - 1);
}

/// A profile on its way into an account gets no other one.
#[test]
fn a_profile_that_is_being_linked_does_not_register() {
    let mut world = World::of(25, Flavour::R1, &["alice"]);
    let phone = world.arrive("phone");
    let code = code_of(world.run(phone, link_command("phone")));
    compared(world.person("alice").asks(approve(&code)));
    let register = account::Register {
        handle: "other".parse().unwrap(),
        name: "Other".into(),
        bot: None,
        invite_code: None,
    };
    let error = world.run(phone, register).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    world.person("alice").does(confirm(&code, true));
    world.settle();
    assert!(
        matches!(told(&world, phone).last(), Some(LinkEvent::Linked { .. })),
        "{:?}",
        told(&world, phone)
    );
}

/// Whoever types the code once more hears that the device is in, and does not disturb it: two answers to one code
/// look like somebody in between.
#[test]
fn a_code_that_was_confirmed_is_not_answered_twice() {
    let mut world = World::of(22, Flavour::R1, &["alice"]);
    let phone = world.arrive("phone");
    let code = code_of(world.run(phone, link_command("phone")));
    compared(world.person("alice").asks(approve(&code)));
    world.person("phone").disconnects();
    let first = world.person("alice").does(confirm(&code, true));
    world.person("alice").cannot(approve(&code), ErrorKind::Conflict);
    assert_eq!(world.person("alice").does(confirm(&code, true)), first, "said again");
    world.person("alice").cannot(confirm(&code, false), ErrorKind::Conflict);
    world.settle();
    world.person("phone").connects();
    world.settle();
    assert!(
        matches!(told(&world, phone).last(), Some(LinkEvent::Linked { .. })),
        "{:?}",
        told(&world, phone)
    );
    assert!(!world.status(phone).arriving);
}

/// E1, E2: the steps of a link lie in inboxes that go back with the rest. Whatever is lost of them at whatever point, the
/// person repeats the command that was cut off, at most, and the device is in. Before, the new machine waited until
/// its code expired and the other one found nobody, or had let in a device that never heard of it.
#[test]
fn e1_e2_a_link_whose_steps_the_broker_lost_comes_about_all_the_same() {
    for (seed, anew) in [(41, true), (42, false)] {
        let flavour = if anew { Flavour::R1 } else { Flavour::R3 };
        for steps in [0, 1, 2, 3, 5, 8, 12] {
            let mut world = World::of(seed, flavour, &["alice", "bob"]);
            let copy = world.log.clone();
            let back = |world: &mut World, steps: usize| {
                world.churn(steps);
                world.broker_returns(|log| if anew { log.make_anew() } else { log.restore(&copy) });
                world.settle();
            };
            let phone = world.arrive("phone");
            let code = code_of(world.run(phone, link_command("phone")));
            let alice = world.index("alice");
            world.start(alice, approve(&code));
            back(&mut world, steps);
            let view = compared(world.person("alice").asks(approve(&code)));
            world.settle();
            match told(&world, phone).last() {
                Some(LinkEvent::Compare(there)) => assert_eq!(there.string, view.string),
                other => panic!("{steps} steps: {other:?}"),
            }
            world.start(alice, confirm(&code, true));
            back(&mut world, steps);
            let reply = world.person("alice").does(confirm(&code, true));
            assert_eq!(reply.map(|device| device.name).as_deref(), Some("phone"));
            world.settle();
            let linked = told(&world, phone);
            assert!(matches!(linked.last(), Some(LinkEvent::Linked { .. })), "{steps} steps: {linked:?}");
            assert_eq!(devices(&mut world, "alice").len(), 2);
            assert_eq!(devices(&mut world, "phone").len(), 2);
            oracle::judge(&mut world);
        }
    }
}

/// E2: the new machine was let in and never heard of it, because it was away while the broker lost the answer.
#[test]
fn e2_an_admission_that_was_lost_is_given_to_a_device_that_was_away() {
    let mut world = World::of(43, Flavour::R1, &["alice"]);
    let phone = world.arrive("phone");
    let code = code_of(world.run(phone, link_command("phone")));
    compared(world.person("alice").asks(approve(&code)));
    world.settle();
    world.person("phone").disconnects();
    world.person("alice").does(confirm(&code, true));
    world.settle();
    world.broker_returns(Log::make_anew);
    world.settle();
    world.person("phone").connects();
    world.settle();
    let linked = told(&world, phone);
    assert!(matches!(linked.last(), Some(LinkEvent::Linked { .. })), "{linked:?}");
    // It is over for both: nothing of it is said again.
    let said = |world: &World| world.log.on(&Route::Inbox(rendezvous(&code).1)).len();
    let before = said(&world);
    world.pass(limit::LINK_LIFETIME);
    world.person("alice").disconnects();
    world.person("alice").connects();
    world.settle();
    assert_eq!(said(&world), before);
}

/// How many devices an account has in a group, as somebody sees it.
fn leaves(world: &mut World, who: &str, group: GroupId, whose: &str) -> usize {
    let view = world.person(who).group(group);
    view.members.iter().find(|member| member.handle == whose).map_or(0, |member| member.devices)
}

fn kinds(world: &mut World, who: &str, group: GroupId, kind: GroupEvent) -> usize {
    world.person(who).messages(group).iter().filter(|message| message.event() == Some(kind)).count()
}

fn state(world: &mut World, who: &str, group: GroupId) -> GroupState {
    world.person(who).group(group).state
}

fn post_quantum(world: &mut World, maker: &str, with: &str) -> GroupId {
    let create =
        group::Create { name: "quantum".into(), with: vec![with.parse().unwrap()], post_quantum: true };
    let view = world.person(maker).does(create);
    world.settle();
    world.person(with).accepts(view.id);
    world.settle();
    view.id
}

/// The direct conversation of two people, both contacts.
fn direct(world: &mut World, one: &str, other: &str) -> GroupId {
    let text = Some("hi".into());
    world.person(one).does(contact::Add { handle: other.parse().unwrap(), text });
    world.settle();
    world.person(other).does(contact::Accept { handle: one.parse().unwrap() });
    world.settle();
    world.person(one).groups().into_iter().find(|view| view.direct).unwrap().id
}

#[test]
fn a_linked_device_is_in_every_group_of_both_suites_and_in_direct_conversations() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let mut world = World::of(3, flavour, &["alice", "bob"]);
        let ops = world.group_of("ops", &["alice", "bob"]);
        let theirs = world.group_of("theirs", &["bob", "alice"]);
        let quantum = post_quantum(&mut world, "bob", "alice");
        let chat = direct(&mut world, "alice", "bob");
        world.person("alice").says(ops, "before");
        link(&mut world, "alice", "phone");
        assert_eq!(world.person("phone").account().account_id, world.registry.account("alice"));
        assert_eq!(world.person("phone").account().name, "Alice");
        for group in [ops, theirs, quantum, chat] {
            assert_eq!(state(&mut world, "phone", group), GroupState::Active);
            assert_eq!(leaves(&mut world, "bob", group, "alice"), 2);
            assert_eq!(kinds(&mut world, "bob", group, GroupEvent::DeviceAdded), 1);
            world.person("phone").says(group, "from the phone");
            world.settle();
            assert_eq!(world.person("bob").sees(group, "from the phone"), 1);
        }
        // A group that comes later has both from the beginning, whoever makes it.
        let later = world.group_of("later", &["bob", "alice"]);
        let own = world.person("phone").creates("own", &["bob"]);
        world.settle();
        assert_eq!(leaves(&mut world, "bob", later, "alice"), 2);
        assert_eq!(state(&mut world, "alice", own), GroupState::Active);
        assert!(
            world.registry.stock(world.registry.account("alice")) > 250,
            "a new device brings twice as many packages"
        );
        let names: Vec<String> = devices(&mut world, "alice").into_iter().map(|device| device.name).collect();
        assert_eq!(names, ["first device", "phone"]);
        assert_eq!(devices(&mut world, "phone").len(), 2);
        world.person("phone").accepts(later);
        world.settle();
        oracle::judge(&mut world);
    }
}

/// Alice with two devices, Bob and Carol, in one group.
fn household(seed: u64) -> (World, GroupId) {
    let flavour = if seed.is_multiple_of(2) { Flavour::R1 } else { Flavour::R3 };
    let mut world = World::of(seed, flavour, &["alice", "bob", "carol"]);
    let group = world.group_of("ops", &["bob", "alice", "carol"]);
    link(&mut world, "alice", "phone");
    (world, group)
}

#[test]
fn r_dev_03_d13_a_revoked_device_leaves_every_group_and_can_do_nothing_more() {
    let (mut world, group) = household(1);
    let chat = direct(&mut world, "alice", "bob");
    let phone = device_of(&mut world, "phone");
    let reply = world.person("alice").does(revoke(&phone[..8]));
    assert!(reply.revoked && reply.name == "phone", "{reply:?}");
    world.settle();
    for group in [group, chat] {
        assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
        assert_eq!(kinds(&mut world, "bob", group, GroupEvent::DeviceRemoved), 1);
        assert_eq!(kinds(&mut world, "bob", group, GroupEvent::Removed), 0);
        assert_eq!(state(&mut world, "phone", group), GroupState::Removed);
        // D13: it is a device that went, and the line says which; nobody removed herself.
        assert_eq!(kinds(&mut world, "phone", group, GroupEvent::Removed), 0);
        let line = |world: &mut World, who: &str| {
            let lines = world.person(who).messages(group);
            let gone = |line: &&MessageView| {
                matches!(&line.body, Body::Event { event: GroupEvent::DeviceRemoved, .. })
            };
            lines.iter().find(gone).unwrap().text.clone()
        };
        assert_eq!(line(&mut world, "phone"), "the device 'phone' of @alice was removed");
        assert_eq!(line(&mut world, "alice"), "the device 'phone' of @alice was removed");
        assert_eq!(line(&mut world, "bob"), format!("the device {} of @alice was removed", &phone[..6]));
    }
    world.person("bob").says(group, "not for the phone");
    world.settle();
    assert_eq!(world.person("phone").sees(group, "not for the phone"), 0);
    assert_eq!(world.person("alice").sees(group, "not for the phone"), 1);
    // It knows, and says so whatever it is asked to do.
    assert!(
        warnings(&world, "phone").contains(&Notice::ThisDeviceRevoked),
        "{:?}",
        warnings(&world, "phone")
    );
    let commands: [Command; 5] = [
        send(group, "still here").into(),
        revoke("first device").into(),
        link_command("again").into(),
        approve("0000-0000").into(),
        group::Create { name: "mine".into(), with: vec![], post_quantum: false }.into(),
    ];
    for command in commands {
        let error = world.person("phone").cannot(command, ErrorKind::Refused);
        assert!(error.message.contains("revoked") && error.hint.is_some(), "{error:?}");
    }
    assert_eq!(devices(&mut world, "alice").iter().filter(|device| device.revoked).count(), 1);
    // Saying it twice is not an error, and nobody else is touched by it.
    world.person("alice").does(revoke(&phone));
    world.settle();
    oracle::judge(&mut world);
}

#[test]
fn a_device_can_go_by_itself_and_the_last_one_cannot() {
    let (mut world, group) = household(2);
    let error = world.person("bob").cannot(revoke("first device"), ErrorKind::Refused);
    assert!(error.message.contains("last device"), "{error:?}");
    let phone = device_of(&mut world, "phone");
    world.person("phone").does(revoke(&phone));
    world.settle();
    world.person("phone").cannot(send(group, "gone"), ErrorKind::Refused);
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
    oracle::judge(&mut world);
}

#[test]
fn the_first_device_is_revoked_by_the_second_which_signs_the_profile_anew() {
    let (mut world, group) = household(3);
    let alice = device_of(&mut world, "alice");
    let error = world.person("alice").cannot(revoke(&alice), ErrorKind::Refused);
    assert!(error.message.contains("profile"), "{error:?}");
    world.person("phone").does(revoke("first device"));
    world.settle();
    assert_eq!(leaves(&mut world, "carol", group, "alice"), 1);
    world.person("phone").says(group, "I am alice");
    world.settle();
    assert_eq!(world.person("bob").sees(group, "I am alice"), 1);
    let show = account::ShowProfile { handle: "alice".parse().unwrap() };
    let view = world.person("carol").does(show);
    assert_eq!(view.name, "Alice");
    world.person("phone").says(group, "still alice");
    oracle::judge(&mut world);
}

#[test]
fn devices_have_names_and_are_found_by_them() {
    let (mut world, _) = household(4);
    let rename = |device: &str, name: &str| device::Rename { device: device.into(), name: name.into() };
    let view = world.person("alice").does(rename("phone", "old phone"));
    assert_eq!((view.name.as_str(), view.current), ("old phone", false));
    world.person("alice").cannot(rename("phone", "x"), ErrorKind::NotFound);
    world.person("alice").cannot(rename("", "x"), ErrorKind::NotFound);
    world.person("alice").cannot(rename("old phone", " "), ErrorKind::Usage);
    world.person("alice").cannot(rename("old phone", &"x".repeat(65)), ErrorKind::Limit);
    let error = world.person("alice").cannot(rename("first device", "old phone"), ErrorKind::Conflict);
    assert!(error.message.contains("another of your devices"), "{error:?}");
    world.person("alice").does(rename("old phone", "old phone"));
    world.settle();
    // Two who choose the same name at once both get it; nobody guesses which one is meant.
    world.person("phone").disconnects();
    world.person("phone").does(rename("old phone", "laptop"));
    world.person("alice").does(rename("first device", "laptop"));
    world.person("phone").connects();
    world.settle();
    let error = world.person("alice").cannot(revoke("laptop"), ErrorKind::Usage);
    assert!(error.message.contains("several"), "{error:?}");
}

#[test]
fn a_new_device_that_is_called_like_another_one_gets_a_name_of_its_own() {
    let (mut world, _) = household(6);
    for (newcomer, name) in [("second", "phone-2"), ("third", "phone-3")] {
        let index = world.arrive(newcomer);
        let code = code_of(world.run(index, link_command("phone")));
        compared(world.person("alice").asks(approve(&code)));
        world.settle();
        let view = world.person("alice").does(confirm(&code, true));
        assert_eq!(view.unwrap().name, name);
        world.settle();
        // All of them call it that, itself too.
        for who in ["alice", "phone", newcomer] {
            let names: Vec<String> = devices(&mut world, who).into_iter().map(|view| view.name).collect();
            assert!(names.iter().any(|known| known == name), "{who}: {names:?}");
        }
    }
    // A name is free again when its device is gone, and means the one that has it now.
    let gone = device_of(&mut world, "phone");
    world.person("alice").does(revoke(&gone));
    world.settle();
    link(&mut world, "alice", "phone");
    let view = world.person("alice").does(revoke("phone"));
    assert_ne!(view.device_id.to_string(), gone);
}

#[test]
fn strings_that_differ_change_nothing_on_either_side() {
    let mut world = World::of(5, Flavour::R1, &["alice"]);
    let new = world.arrive("new");
    let code = code_of(world.run(new, link_command("new")));
    assert_eq!(code_of(world.run(new, link_command("new"))), code, "asked again, the same code");
    compared(world.person("alice").asks(approve(&code)));
    let reply = world.person("alice").does(confirm(&code, false));
    assert_eq!(reply, None);
    world.settle();
    assert!(matches!(told(&world, new).last(), Some(LinkEvent::Failed { .. })));
    assert!(!world.status(new).registered);
    assert_eq!(devices(&mut world, "alice").len(), 1);
    world.person("alice").cannot(confirm(&code, true), ErrorKind::NotFound);
    // A new try is a new code, and works.
    let again = code_of(world.run(new, link_command("new")));
    assert_ne!(again, code);
    compared(world.person("alice").asks(approve(&again)));
    world.person("alice").does(confirm(&again, true));
    world.settle();
    assert_eq!(devices(&mut world, "alice").len(), 2);
    let error = world.run(new, link_command("new")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
    oracle::judge(&mut world);
}

#[test]
fn a_wrong_code_an_expired_one_and_nonsense_are_told_apart() {
    let mut world = World::of(6, Flavour::R1, &["alice"]);
    let new = world.arrive("new");
    let code = code_of(world.run(new, link_command("new")));
    world.settle();
    let error = world.person("alice").cannot(approve("0000-0000"), ErrorKind::NotFound);
    assert!(error.message.contains("no machine"), "{error:?}");
    world.person("alice").cannot(approve("what"), ErrorKind::Misuse);
    world.person("alice").cannot(confirm(&code, true), ErrorKind::NotFound);
    // Both clocks count: here only the new machine's is an hour behind, so its offer looks old.
    world.pass(limit::LINK_LIFETIME + Duration::from_secs(60));
    world.people[new].behind = limit::LINK_LIFETIME + Duration::from_secs(60);
    let error = world.person("alice").cannot(approve(&code), ErrorKind::Refused);
    assert!(error.message.contains("expired") && error.message.contains("clock"), "{error:?}");
    world.settle();
    // And by its own clock a machine that waited too long gives up by itself.
    let late = world.arrive("late");
    let code = code_of(world.run(late, link_command("late")));
    world.settle();
    world.pass(limit::LINK_LIFETIME + Duration::from_secs(1));
    world.churn(20);
    assert!(matches!(told(&world, late).last(), Some(LinkEvent::Failed { .. })));
    world.person("alice").cannot(approve(&code), ErrorKind::Refused);
    assert_eq!(devices(&mut world, "alice").len(), 1);
}

/// Puts a step into the inbox of a code, as anybody could.
fn inject(world: &mut World, inbox: DeviceId, step: &LinkingStep) {
    let bytes = codec::encode(&Envelope::Link(codec::encode(step)));
    world.log.inject(Route::Inbox(inbox), bytes);
}

fn strange_reveal() -> LinkingReveal {
    LinkingReveal {
        key: [9; 32],
        nonce: [8; 16],
        device: DeviceId::from_bytes([7; 16]),
        device_key: [6; 32],
        name: "mallory".into(),
    }
}

#[test]
fn r_dev_01_whoever_meddles_with_a_link_ends_it_and_gets_nothing() {
    let offer = |now| LinkingStep::Offer { commitment: [1; 32], at: now };
    let accept = |now| LinkingStep::Accept {
        key: [9; 32],
        nonce: [8; 16],
        account: Some((AccountId::from_bytes([5; 32]), "mallory".parse().unwrap())),
        at: now,
    };
    for case in ["junk", "second offer", "second accept", "other reveal", "replay", "forged admission"] {
        let mut world = World::of(7, Flavour::R1, &["alice"]);
        let new = world.arrive("new");
        let code = code_of(world.run(new, link_command("new")));
        let (offers, answers) = rendezvous(&code);
        let view = compared(world.person("alice").asks(approve(&code)));
        world.settle();
        let now = world.now;
        match case {
            "junk" => {
                for inbox in [offers, answers] {
                    world.log.inject(Route::Inbox(inbox), b"junk".to_vec());
                    world.log.inject(Route::Inbox(inbox), codec::encode(&Envelope::Link(vec![1, 2, 3])));
                    inject(&mut world, inbox, &LinkingStep::Admit(vec![0; 99]));
                }
            }
            "second offer" => inject(&mut world, offers, &offer(now)),
            "second accept" => inject(&mut world, answers, &accept(now)),
            "other reveal" => inject(&mut world, offers, &LinkingStep::Reveal(strange_reveal())),
            "replay" => {
                for inbox in [offers, answers] {
                    for (_, bytes) in world.log.on(&Route::Inbox(inbox)) {
                        world.log.inject(Route::Inbox(inbox), bytes);
                    }
                }
            }
            _ => inject(&mut world, answers, &LinkingStep::Admit(vec![7; 4_000])),
        }
        world.settle();
        let outcome = world.person("alice").asks(confirm(&code, true));
        world.settle();
        let harmless = matches!(case, "junk" | "replay" | "forged admission");
        if harmless {
            assert!(outcome.is_ok(), "{case}: {outcome:?}");
            assert!(matches!(told(&world, new).last(), Some(LinkEvent::Linked { .. })), "{case}");
        } else {
            let error = outcome.unwrap_err();
            let kind = if case == "second accept" { ErrorKind::Refused } else { ErrorKind::Trust };
            assert_eq!(error.kind, kind, "{case}: {error:?}");
            assert!(matches!(told(&world, new).last(), Some(LinkEvent::Failed { .. })), "{case}");
            assert!(!world.status(new).registered, "{case}");
            assert_eq!(devices(&mut world, "alice").len(), 1, "{case}");
        }
        assert!(!view.string.is_empty());
    }
}

/// Somebody between both sides shows each of them keys of its own: the strings differ.
#[test]
fn r_dev_01_a_man_in_the_middle_who_swaps_keys_is_seen_in_the_strings() {
    let mut world = World::of(8, Flavour::R1, &["alice"]);
    let new = world.arrive("new");
    let code = code_of(world.run(new, link_command("new")));
    let (offers, answers) = rendezvous(&code);
    let mine = strange_reveal();
    let commitment = wire_hash(&codec::encode(&mine));
    // The broker itself: it replaces every step on its way.
    let step = |bytes: &[u8]| -> Option<LinkingStep> {
        let Ok(Envelope::Link(bytes)) = codec::decode(bytes) else { return None };
        codec::decode(&bytes).ok()
    };
    let swap = move |stored: &mut cipher_core::Publish| {
        let swapped = match (stored.route, step(&stored.bytes)) {
            (Route::Inbox(inbox), Some(LinkingStep::Offer { at, .. })) if inbox == offers => {
                LinkingStep::Offer { commitment, at }
            }
            (Route::Inbox(inbox), Some(LinkingStep::Reveal(_))) if inbox == offers => {
                LinkingStep::Reveal(mine.clone())
            }
            (Route::Inbox(inbox), Some(LinkingStep::Accept { account, at, nonce, .. }))
                if inbox == answers =>
            {
                LinkingStep::Accept { key: [9; 32], nonce, account, at }
            }
            _ => return,
        };
        stored.bytes = codec::encode(&Envelope::Link(codec::encode(&swapped)));
    };
    world.swap = Some(Box::new(swap));
    let view = compared(world.person("alice").asks(approve(&code)));
    world.settle();
    let shown = told(&world, new);
    let [LinkEvent::Compare(there)] = shown.as_slice() else { panic!("{shown:?}") };
    assert_ne!(there.string, view.string);
    assert_eq!(view.other, "mallory", "what the middle claims is shown");
    world.person("alice").does(confirm(&code, false));
    world.settle();
    assert!(!world.status(new).registered);
}

/// A12: nothing that a stranger sends to a device's inbox makes it give anything away.
#[test]
fn a12_a_stranger_who_asks_a_device_for_anything_gets_nothing() {
    let mut world = World::of(9, Flavour::R1, &["alice", "mallory"]);
    let device = world.person("alice").account().device_id.unwrap();
    let before = world.log.len();
    for step in [
        LinkingStep::Offer { commitment: [1; 32], at: world.now },
        LinkingStep::Reveal(strange_reveal()),
        LinkingStep::Admit(vec![1; 50]),
        LinkingStep::Cancel,
    ] {
        inject(&mut world, device, &step);
    }
    world.settle();
    assert_eq!(world.log.len(), before + 4, "nobody answers");
    assert_eq!(devices(&mut world, "alice").len(), 1);
}

#[test]
fn two_siblings_that_link_two_devices_at_once_both_succeed() {
    for seed in 0..4 {
        let (mut world, group) = household(seed);
        let (left, right) = (world.arrive("left"), world.arrive("right"));
        let left_code = code_of(world.run(left, link_command("left")));
        let right_code = code_of(world.run(right, link_command("right")));
        compared(world.person("alice").asks(approve(&left_code)));
        compared(world.person("phone").asks(approve(&right_code)));
        let (alice, phone) = (world.index("alice"), world.index("phone"));
        let first = world.start(alice, confirm(&left_code, true));
        let second = world.start(phone, confirm(&right_code, true));
        world.settle();
        assert!(matches!(world.reply(alice, first), Some(Ok(Reply::Device(_)))));
        assert!(matches!(world.reply(phone, second), Some(Ok(Reply::Device(_)))));
        for name in ["left", "right"] {
            assert_eq!(state(&mut world, name, group), GroupState::Active, "{name} of seed {seed}");
        }
        assert_eq!(leaves(&mut world, "bob", group, "alice"), 4, "seed {seed}");
        oracle::judge(&mut world);
    }
}

/// Found by stories 1589 and 1353: nobody waits for ever for a device that was revoked.
#[test]
fn a_device_that_is_revoked_while_it_lets_another_in_leaves_nobody_waiting() {
    let (mut refused, mut without_history) = (0, 0);
    for seed in 0..24 {
        let (mut world, _) = household(seed);
        let new = world.arrive("new");
        let code = code_of(world.run(new, link_command("new")));
        compared(world.person("phone").asks(approve(&code)));
        let (alice, phone) = (world.index("alice"), world.index("phone"));
        let gone = world.start(alice, revoke("phone"));
        let let_in = world.start(phone, confirm(&code, true));
        world.settle();
        assert!(matches!(world.reply(alice, gone), Some(Ok(Reply::Device(_)))), "seed {seed}");
        match world.reply(phone, let_in) {
            Some(Ok(Reply::Device(_))) => {
                assert!(!world.status(new).arriving, "seed {seed}");
                let told = warnings(&world, "new").contains(&Notice::HistoryEnded);
                without_history += usize::from(told);
            }
            Some(Err(error)) => {
                assert!(error.message.contains("revoked"), "seed {seed}: {error:?}");
                refused += 1;
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(refused > 0 && without_history > 0, "{refused} {without_history}");
}

#[test]
fn without_an_answer_of_the_registry_a_link_waits_and_goes_on() {
    for fate in [Fate::NoReply, Fate::LostReply, Fate::Internal] {
        for operation in ["append-statement", "fetch-account"] {
            let mut world = World::of(10, Flavour::R1, &["alice"]);
            let new = world.arrive("new");
            let code = code_of(world.run(new, link_command("new")));
            compared(world.person("alice").asks(approve(&code)));
            world.settle();
            world.registry.next(operation, fate);
            world.person("alice").cannot(confirm(&code, true), ErrorKind::Unreachable);
            world.settle();
            let reply = world.person("alice").does(confirm(&code, true));
            assert!(reply.is_some());
            world.settle();
            assert!(world.status(new).registered, "{operation} {fate:?}");
            assert_eq!(devices(&mut world, "alice").len(), 2, "{operation} {fate:?}");
        }
    }
}

/// One link in which somebody's disk fails at one call; gives the number of its writing calls.
fn link_with_crash(frozen: &Frozen, new_fails: bool, fault: Option<Fault>, dies: End) -> u64 {
    let mut world = frozen.thaw(11, Flavour::R3, 2);
    world.dies = dies;
    let disk = if new_fails { Disk::default() } else { world.people[world.index("alice")].disk.clone() };
    let alice = world.index("alice");
    let before = if new_fails { 0 } else { disk.calls() };
    let shifted = match fault {
        Some(Fault::From(n)) => Some(Fault::From(before + n)),
        Some(Fault::Once(n)) => Some(Fault::Once(before + n)),
        None => None,
    };
    disk.plan(shifted);
    let new = if new_fails { world.arrive_with("new", disk.clone()) } else { world.arrive("new") };
    for _ in 0..20 {
        for index in [alice, new] {
            world.revive(index);
        }
        world.settle();
        if world.people[alice].core.is_none() || world.people[new].core.is_none() {
            continue;
        }
        if world.status(new).registered {
            break;
        }
        let Ok(view) = world.run(new, link_command("new")) else { continue };
        if world.run(alice, approve(&view.code)).is_err() {
            continue;
        }
        let _ = world.run(alice, confirm(&view.code, true));
    }
    let calls = disk.calls() - before;
    disk.plan(None);
    world.revive(alice);
    world.revive(new);
    world.heal();
    // Key packages of a device that was away are asked for less and less often.
    world.pass(Duration::from_secs(70));
    world.settle();
    assert!(world.status(new).registered, "{fault:?} {dies:?}");
    assert_eq!(devices(&mut world, "new").iter().filter(|device| !device.revoked).count(), 2, "{fault:?}");
    for view in world.person("alice").active() {
        assert_eq!(state(&mut world, "new", view.id), GroupState::Active, "{fault:?} {dies:?}");
    }
    oracle::check(&mut world);
    calls
}

fn link_home() -> Frozen {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    world.group_of("ops", &["bob", "alice"]);
    world.group_of("own", &["alice", "bob"]);
    world.freeze()
}

fn at_every_call(new_fails: bool, fault: fn(u64) -> Fault, dies: End) {
    let frozen = link_home();
    let calls = link_with_crash(&frozen, new_fails, None, End::Kill);
    assert!(calls > 20, "a link of {calls} calls");
    let sample = if setting::is_set("WORLD_FULL") { calls } else { 30.min(calls) };
    for n in 0..sample {
        link_with_crash(&frozen, new_fails, Some(fault(1 + n * calls / sample)), dies);
    }
}

#[test]
fn l_k_a_new_device_that_is_killed_at_any_write_of_its_link_goes_on() {
    at_every_call(true, Fault::From, End::Kill);
}

#[test]
fn l_k_an_approving_device_that_loses_power_at_any_write_of_a_link_goes_on() {
    at_every_call(false, Fault::From, End::PowerLoss);
}

#[test]
fn l05_an_approving_device_whose_disk_was_full_for_a_moment_goes_on_linking() {
    at_every_call(false, Fault::Once, End::Kill);
}

#[test]
fn who_leaves_leaves_with_all_devices() {
    let (mut world, group) = household(12);
    world.person("alice").does(group::Leave { target: Target::Group(group) });
    world.settle();
    assert_eq!(world.person("bob").members(group), ["bob", "carol"]);
    for name in ["alice", "phone"] {
        assert_eq!(state(&mut world, name, group), GroupState::Left, "{name}");
    }
    assert_eq!(kinds(&mut world, "bob", group, GroupEvent::Left), 1);
    oracle::judge(&mut world);
}

fn recover(phrase: &str) -> device::Recover {
    device::Recover { phrase: phrase.into(), name: "new laptop".into() }
}

/// Somebody registers and keeps the phrase.
fn register(world: &mut World, name: &str) -> String {
    let index = world.arrive(name);
    let command = account::Register {
        handle: name.parse().unwrap(),
        name: "Alice".into(),
        bot: None,
        invite_code: None,
    };
    let phrase = world.run(index, command).unwrap().phrase.unwrap();
    world.settle();
    phrase
}

#[test]
fn an_account_is_recovered_from_its_phrase_and_a_lost_reply_changes_nothing() {
    for (operation, fate) in [
        ("open-recovery", Fate::NoReply),
        ("append-statement", Fate::NoReply),
        ("append-statement", Fate::LostReply),
    ] {
        let mut world = World::new(13, Flavour::R1);
        let phrase = register(&mut world, "alice");
        let alice = world.index("alice");
        world.end(alice, End::Clean);
        let new = world.arrive("laptop");
        world.registry.next(operation, fate);
        let error = world.run(new, recover(&phrase)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error:?}");
        world.settle();
        let reply = world.run(new, recover(&phrase));
        let Ok(view) = reply else { panic!("{reply:?}") };
        assert_eq!((view.handle.as_str(), view.name.as_str()), ("alice", "Alice"));
        world.settle();
        let all = devices(&mut world, "laptop");
        assert_eq!(all.iter().filter(|device| !device.revoked).count(), 1, "{operation} {fate:?}: {all:?}");
        assert_eq!(world.registry.tree.size(), 2, "stated once");
        // The old machine comes back and learns it.
        world.revive(alice);
        world.heal();
        world.person("alice").cannot(recover(&phrase), ErrorKind::Refused);
    }
}

/// R-KT-06: the registry shows an account as it was recovered. That is the log that is known, not a longer one that
/// the stream passed over, though the first device's certificate is gone.
#[test]
fn r_kt_06_a_recovery_is_no_statement_that_was_hidden() {
    let mut world = World::new(22, Flavour::R1);
    let phrase = register(&mut world, "alice");
    world.register("bob");
    world.group_of("team", &["bob", "alice"]);
    let alice = world.index("alice");
    world.end(alice, End::Clean);
    let new = world.arrive("laptop");
    let reply = world.run(new, recover(&phrase));
    assert!(reply.is_ok(), "{reply:?}");
    world.settle();
    for name in ["laptop", "bob"] {
        world.person(name).restarts(End::Clean);
        world.settle();
        world.person(name).does(account::ShowProfile { handle: "alice".parse().unwrap() });
        world.settle();
        let heard = warnings(&world, name);
        let hidden = |notice: &Notice| matches!(notice, Notice::StatementHidden { .. });
        assert!(!heard.iter().any(hidden), "{name}: {heard:?}");
    }
}

#[test]
fn a_wrong_phrase_and_an_unknown_account_are_told_apart() {
    let mut world = World::new(14, Flavour::R1);
    let phrase = register(&mut world, "alice");
    let new = world.arrive("laptop");
    let mut words: Vec<&str> = phrase.split(' ').collect();
    words.rotate_left(1);
    let error = world.run(new, recover(&words.join(" "))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misuse, "{error:?}");
    let mut elsewhere = World::new(15, Flavour::R1);
    let foreign = register(&mut elsewhere, "alice");
    let error = world.run(new, recover(&foreign)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error:?}");
    assert!(!world.status(new).registered);
    // What failed leaves nothing behind that would be in the way of another beginning.
    let command = account::Register {
        handle: "laptop".parse().unwrap(),
        name: "L".into(),
        bot: None,
        invite_code: None,
    };
    let reply = world.run(new, command);
    assert!(reply.is_ok(), "{reply:?}");
    world.person("alice").cannot(recover(&phrase), ErrorKind::Conflict);
}

/// Answers a new device's offer as an existing device would, and admits it with whatever a lie makes of the truth.
fn false_admission(lie: &str) -> (World, usize) {
    let mut world = World::of(19, Flavour::R1, &["alice"]);
    let new = world.arrive("new");
    let code = code_of(world.run(new, link_command("new")));
    world.settle();
    let (offers, answers) = rendezvous(&code);
    let steps = |world: &World| -> Vec<Vec<u8>> {
        let all = world.log.on(&Route::Inbox(offers)).into_iter();
        all.map(|(_, bytes)| match codec::decode(&bytes) {
            Ok(Envelope::Link(step)) => step,
            other => panic!("{other:?}"),
        })
        .collect()
    };
    let secret = x25519_dalek::StaticSecret::from([3; 32]);
    let account_key = SigningKey::from_bytes(&[4; 32]);
    let other_key = SigningKey::from_bytes(&[5; 32]);
    let public = account_key.verifying_key().to_bytes();
    let account = AccountId::of_key(&public);
    let accept = codec::encode(&LinkingStep::Accept {
        key: x25519_dalek::PublicKey::from(&secret).to_bytes(),
        nonce: [1; 16],
        account: Some((account, "mallory".parse().unwrap())),
        at: world.now,
    });
    world.log.inject(Route::Inbox(answers), codec::encode(&Envelope::Link(accept.clone())));
    world.settle();
    let [offer, reveal] = steps(&world).try_into().unwrap();
    let Ok(LinkingStep::Reveal(shown)) = codec::decode(&reveal) else { panic!("a reveal") };
    let certify = |device, device_key, key: &SigningKey| {
        let account_key = key.verifying_key().to_bytes();
        let body = CertificateBody {
            account: AccountId::of_key(&account_key),
            account_key,
            device,
            device_key,
            kind: Kind::Person,
            owner: None,
            not_before: Timestamp::from_millis(1),
            not_after: Timestamp::from_millis(u64::MAX),
            serial: 1,
        };
        DeviceCertificate::sign(&body, key)
    };
    let signed = |statement: &Statement| {
        Signed::new(&account_key, Purpose::AccountStatement, codec::encode(statement))
    };
    let first = certify(DeviceId::from_bytes([6; 16]), [7; 32], &account_key);
    let device_key = if lie == "device key" { [8; 32] } else { shown.device_key };
    let certificate = certify(shown.device, device_key, &account_key);
    let create = StatementKind::Create {
        handle: "mallory".parse().unwrap(),
        certificate: wire_hash(&first.to_bytes()),
    };
    let begin = Statement { account, sequence: 0, previous: [0; 32], at: world.now, claim: create };
    let mut log = AccountLog::begin(&signed(&begin), &first).unwrap();
    if lie != "not in the log" {
        let claim = StatementKind::AddDevice {
            device: shown.device,
            certificate: wire_hash(&certificate.to_bytes()),
        };
        let add = signed(&log.next(world.now, claim));
        log.append(&add, Some(&certificate)).unwrap();
    }
    let mut certificates = vec![first];
    if lie != "not in the log" {
        certificates.push(certificate.clone());
    }
    let admission = LinkingGrant {
        handle: if lie == "handle" { "alice" } else { "mallory" }.parse().unwrap(),
        account_seed: if lie == "account key" { other_key.to_bytes() } else { account_key.to_bytes() },
        certificate,
        statements: log.statements().to_vec(),
        certificates,
        registry_key: ByteBuf::from(vec![1; 32]),
        profile: PublicProfile {
            account: if lie == "profile" { AccountId::from_bytes([9; 32]) } else { account },
            name: String::new(),
            status: String::new(),
            presence: Presence::Available,
            version: 1,
        },
        names: vec![],
        log_size: 0,
        at: if lie == "time" { world.now.minus(2 * limit::LINK_LIFETIME) } else { world.now },
        by: None,
    };
    let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(shown.key)).to_bytes();
    let sealed_for = if lie == "another account's seal" { AccountId::from_bytes([1; 32]) } else { account };
    let key = admission_key(&shared, &code, &sealed_for, &offer, &accept, &reveal);
    let nonce = [2; 24];
    let sealed = XChaCha20Poly1305::new(&key.into())
        .encrypt(
            XNonce::from_slice(&nonce),
            Payload { msg: &codec::encode(&admission), aad: b"link-admission" },
        )
        .unwrap();
    let mut step = [nonce.as_slice(), &sealed].concat();
    if lie == "a changed byte" {
        *step.last_mut().unwrap() ^= 1;
    }
    inject(&mut world, answers, &LinkingStep::Admit(step));
    world.settle();
    (world, new)
}

#[test]
fn r_dev_02_an_admission_that_does_not_fit_changes_nothing() {
    let (mut world, new) = false_admission("none");
    assert!(world.status(new).registered, "without a lie it is believed: {:?}", told(&world, new));
    for lie in ["device key", "not in the log", "handle", "account key", "profile", "time"] {
        let (mut world, new) = false_admission(lie);
        assert!(!world.status(new).registered, "{lie}");
        match told(&world, new).last() {
            Some(LinkEvent::Failed { error }) => assert_eq!(error.kind, ErrorKind::Trust, "{lie}: {error:?}"),
            other => panic!("{lie}: {other:?}"),
        }
    }
    for noise in ["another account's seal", "a changed byte"] {
        let (mut world, new) = false_admission(noise);
        assert!(!world.status(new).registered, "{noise}");
        assert!(matches!(told(&world, new).last(), Some(LinkEvent::Compare(_))), "{noise}: it waits on");
    }
}

#[test]
fn linking_asks_for_one_package_first_and_fills_fifty_groups() {
    let mut world = World::of(20, Flavour::R1, &["alice"]);
    let groups: Vec<GroupId> =
        (0..50).map(|n| world.person("alice").creates(&format!("room {n}"), &[])).collect();
    world.settle();
    link(&mut world, "alice", "phone");
    for group in groups {
        assert_eq!(state(&mut world, "phone", group), GroupState::Active);
    }
    // Fifty groups and the one of the own devices, and the few questions before there was any package.
    let claims = world.registry.answered["claim-key-packages"];
    assert!((51..60).contains(&claims), "{claims} claims");
    oracle::check(&mut world);
}

// What other members' agents do on the word of an account.

#[test]
fn r_commit_13_a_device_is_removed_by_other_members_while_its_account_is_away() {
    let (mut world, group) = household(16);
    let hers = world.group_of("hers", &["alice", "bob"]);
    // The group and its siblings are away: only the registry hears of it.
    for name in ["bob", "carol", "phone"] {
        world.person(name).disconnects();
    }
    world.person("alice").starts(revoke("phone"));
    let alice = world.index("alice");
    while world.registry.account_log("alice").len() < 3 {
        assert!(world.step(), "the registry is asked");
    }
    world.end(alice, End::Kill);
    world.settle();
    world.person("carol").connects();
    world.settle();
    assert_eq!(leaves(&mut world, "carol", group, "alice"), 1);
    world.person("bob").connects();
    world.settle();
    for group in [group, hers] {
        assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
    }
    // The phone cannot even say something in between.
    world.person("phone").connects();
    world.settle();
    world.person("phone").cannot(send(group, "me"), ErrorKind::Refused);
    world.revive(alice);
    oracle::judge(&mut world);
}

/// G02: with the account key somebody adds a device. Everybody sees it, every own device says so, and one
/// revocation ends it everywhere.
#[test]
fn g02_a_device_added_with_a_stolen_account_key_is_seen_and_revoked_everywhere() {
    let (mut world, group) = household(17);
    let hers = world.group_of("hers", &["alice", "carol"]);
    // The thief took the phone's disk as it was, and links a machine of its own from it.
    let phone = world.index("phone");
    world.end(phone, End::Clean);
    let stolen = Disk::holding(world.people[phone].disk.files());
    world.arrive_with("thief", stolen);
    world.settle();
    link(&mut world, "thief", "ghost");
    for group in [group, hers] {
        assert_eq!(leaves(&mut world, "carol", group, "alice"), 3);
        assert!(kinds(&mut world, "carol", group, GroupEvent::DeviceAdded) >= 1);
    }
    let heard = warnings(&world, "alice");
    let ghost = device_of(&mut world, "ghost");
    assert!(heard.contains(&Notice::DeviceAdded { device: ghost.parse().unwrap() }), "{heard:?}");
    world.person("alice").does(revoke(&ghost));
    world.person("alice").does(revoke("phone"));
    world.settle();
    for group in [group, hers] {
        assert_eq!(leaves(&mut world, "carol", group, "alice"), 1);
        world.person("carol").says(group, "only for alice");
        world.settle();
        for name in ["ghost", "thief"] {
            assert_eq!(world.person(name).sees(group, "only for alice"), 0, "{name}");
        }
    }
    world.person("ghost").cannot(send(group, "hello"), ErrorKind::Refused);
}

/// G05, in the group: a registry that hides a revocation does not keep the device in groups where a member knows.
#[test]
fn g05_a_revocation_that_arrived_in_a_group_counts_there_whatever_the_registry_shows() {
    let (mut world, group) = household(18);
    world.person("carol").disconnects();
    world.person("alice").does(revoke("phone"));
    world.settle();
    assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
    // Carol learns it from the group's commit alone.
    world.registry.next("fetch-account", Fate::NoReply);
    world.person("carol").connects();
    world.settle();
    assert_eq!(leaves(&mut world, "carol", group, "alice"), 1);
    oracle::judge(&mut world);
}

#[test]
fn r_commit_14_a_recovered_account_is_brought_back_by_whoever_comes_online() {
    for seed in 0..4 {
        let flavour = if seed % 2 == 0 { Flavour::R1 } else { Flavour::R3 };
        let mut world = World::new(seed, flavour);
        let phrase = register(&mut world, "alice");
        for name in ["bob", "carol"] {
            world.register(name);
        }
        let one = world.group_of("one", &["bob", "alice"]);
        let two = world.group_of("two", &["alice", "carol"]);
        let three = world.group_of("three", &["carol", "bob", "alice"]);
        let alice = world.index("alice");
        world.end(alice, End::Kill);
        world.person("carol").disconnects();
        let laptop = world.arrive("laptop");
        let reply = world.run(laptop, recover(&phrase));
        assert!(reply.is_ok(), "{reply:?}");
        world.settle();
        for group in [one, three] {
            assert_eq!(state(&mut world, "laptop", group), GroupState::Invited, "bob was there");
            assert_eq!(leaves(&mut world, "bob", group, "alice"), 1);
            assert_eq!(kinds(&mut world, "bob", group, GroupEvent::DeviceAdded), 1);
            assert_eq!(kinds(&mut world, "bob", group, GroupEvent::DeviceRemoved), 1);
        }
        assert!(world.person("laptop").knows(two).is_none());
        world.person("carol").connects();
        world.settle();
        for group in [one, two, three] {
            world.person("laptop").accepts(group);
            world.settle();
            world.person("laptop").says(group, "it is me");
            world.settle();
        }
        assert_eq!(world.person("carol").sees(two, "it is me"), 1);
        let role = world.person("carol").group(two);
        let role = role.members.iter().find(|member| member.handle == "alice").unwrap().role;
        assert_eq!(role, cipher_broker::wire::group::Role::Owner, "what she was she is");
        // The lost machine turns up: it is nobody's.
        world.revive(alice);
        world.settle();
        world.person("alice").cannot(send(one, "old"), ErrorKind::Refused);
        oracle::judge(&mut world);
    }
}

/// R-COMMIT-16 lets an owner put a recovered account out. It waits until the new device's key packages are there, and
/// not for ever: what was revoked goes.
#[test]
fn r_commit_16_an_owner_waits_for_a_recovered_device_and_not_for_ever() {
    let mut world = World::new(23, Flavour::R1);
    let phrase = register(&mut world, "alice");
    world.register("bob");
    let group = world.group_of("ops", &["bob", "alice"]);
    let alice = world.index("alice");
    world.end(alice, End::Kill);
    (0..200).for_each(|_| world.registry.next("publish-key-packages", Fate::NoReply));
    let laptop = world.arrive("laptop");
    let reply = world.run(laptop, recover(&phrase));
    assert!(reply.is_ok(), "{reply:?}");
    world.settle();
    assert_eq!(world.person("bob").members(group), ["alice", "bob"], "her packages may be on their way");
    for _ in 0..6 {
        world.pass(Duration::from_secs(30));
        world.settle();
    }
    assert_eq!(world.person("bob").members(group), ["bob"], "the lost device is out");
}

/// R-KP-06: a registry that still hands out packages of a revoked device gets it into no group.
#[test]
fn r_kp_06_a_key_package_of_a_revoked_device_is_not_used() {
    let (mut world, _) = household(21);
    world.registry.keeps_revoked = true;
    world.person("alice").does(revoke("phone"));
    world.settle();
    let group = world.person("bob").creates("new", &[]);
    let error = world.person("bob").cannot(crate::support::world::add(group, &["alice"]), ErrorKind::Trust);
    assert!(error.message.contains("revoked"), "{error:?}");
    world.settle();
    assert_eq!(world.person("bob").members(group), ["bob"]);
    world.registry.keeps_revoked = false;
}
