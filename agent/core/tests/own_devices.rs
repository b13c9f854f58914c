//! Several devices of one account: what they show of each other, what they tell each other, and the history that a
//! new one gets.

use std::time::{Duration, Instant};

use cipher_api::command::{account, contact, device, group, message};
use cipher_api::view::{ContactState, GroupState, HistoryPolicy, MessageState, RequestPolicy};
use cipher_api::{ErrorKind, Event, LinkEvent, Target};
use cipher_broker::id::GroupId;

use crate::support::disk::{Disk, End, Fault};
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::setting;
use crate::support::world::{World, days, send};

/// Alice and others.
fn world(names: &[&str]) -> World {
    World::of(5, Flavour::R1, names)
}

/// The code under which a new profile waits.
fn offer(world: &mut World, index: usize) -> String {
    let name = world.people[index].name.clone();
    world.run(index, device::Link { name }).unwrap().code
}

/// Lets a new profile in; the world has not come to rest.
fn admit(world: &mut World, old: &str, code: &str, history: HistoryPolicy) {
    let reply = world.person(old).asks(device::Approve { code: code.into(), history });
    assert!(reply.is_ok(), "{reply:?}");
    world.settle();
    let reply = world.person(old).does(device::Confirm { code: code.into(), equal: true });
    assert!(reply.is_some());
}

/// Links a new profile to somebody's account; comes to rest.
pub(crate) fn link_with(world: &mut World, old: &str, new: &str, history: HistoryPolicy) {
    let index = world.arrive(new);
    let code = offer(world, index);
    admit(world, old, &code, history);
    world.settle();
    let linked = |event: &Event| matches!(event, Event::Link { step: LinkEvent::Linked { .. } });
    assert!(world.people[index].events.iter().any(linked));
    assert!(!world.status(index).arriving, "everything is here");
}

pub(crate) fn link(world: &mut World, old: &str, new: &str) {
    link_with(world, old, new, HistoryPolicy::All);
}

fn handle(handle: &str) -> cipher_broker::handle::Handle {
    handle.parse().unwrap()
}

fn say(to: &str, text: &str) -> message::Send {
    message::Send::new(Target::Account(handle(to)), text)
}

fn read(group: GroupId) -> message::Read {
    message::Read { mark: true, ..message::Read::of(Target::Group(group)) }
}

fn contact(world: &mut World, whose: &str, of: &str) -> Option<ContactState> {
    let contacts = world.person(whose).does(contact::List {});
    contacts.into_iter().find(|contact| contact.handle.as_str() == of).map(|contact| contact.state)
}

/// How far history was said to be, in order, since the process began.
fn progress(world: &World, who: &str) -> Vec<(u64, u64)> {
    let events = world.people[world.index(who)].events.iter();
    let of = |event: &Event| match event {
        Event::Progress { done, total } => Some((*done, *total)),
        _ => None,
    };
    events.filter_map(of).collect()
}

fn messages_told(world: &World, who: &str) -> Vec<String> {
    let events = world.people[world.index(who)].events.iter();
    let of = |event: &Event| match event {
        Event::Message(message) if message.is_text() => Some(message.text.clone()),
        _ => None,
    };
    events.filter_map(of).collect()
}

fn skipped(world: &mut World, who: &str, class: &str) -> u64 {
    let status = world.person(who).status();
    status.skipped.into_iter().find(|(name, _)| name == class).map_or(0, |(_, count)| count)
}

/// Says so many things in a group.
fn chat(world: &mut World, who: &str, group: GroupId, count: usize) {
    for n in 0..count {
        world.person(who).says(group, &format!("{who} {n}"));
    }
    world.settle();
}

/// What two devices show of a group is the same.
fn same_history(world: &mut World, one: &str, other: &str, group: GroupId) {
    // Each device is told of itself that it is the one.
    let mut shown = |who: &str| -> Vec<_> {
        let messages = world.person(who).messages(group).into_iter();
        messages.map(|m| (m.seq, m.body, m.text.replace(", which is this one,", ""))).collect()
    };
    let (here, there) = (shown(one), shown(other));
    assert_eq!(here, there, "{one} and {other}");
}

#[test]
fn a_new_device_gets_the_history_of_every_conversation_and_its_progress_is_told() {
    for flavour in [Flavour::R1, Flavour::R3] {
        let mut world = World::of(6, flavour, &["alice", "bob"]);
        let ops = world.group_of("ops", &["alice", "bob"]);
        let tea = world.group_of("tea", &["bob", "alice"]);
        chat(&mut world, "alice", ops, 3);
        chat(&mut world, "bob", tea, 3);
        chat(&mut world, "bob", ops, 3);
        world.person("alice").does(read(ops));
        link(&mut world, "alice", "phone");
        for group in [ops, tea] {
            same_history(&mut world, "alice", "phone", group);
            assert_eq!(world.person("phone").group(group).unread, 0, "the past is not news");
        }
        assert!(messages_told(&world, "phone").is_empty());
        for who in ["alice", "phone"] {
            let told = progress(&world, who);
            let (done, total) = *told.last().unwrap();
            assert!(done == total && total >= 9, "{who}: {told:?}");
            assert!(told.iter().all(|(done, total)| done <= total), "{who}: {told:?}");
        }
        // Nothing of it is a conversation that people see.
        for who in ["alice", "phone"] {
            let groups = world.person(who).groups();
            assert_eq!(groups.len(), 2, "{who}: {groups:?}");
            assert_eq!(world.person(who).status().groups, 2);
        }
        // It is history like any other, and what comes now comes once.
        world.person("phone").restarts(End::Kill);
        world.person("bob").says(ops, "now");
        world.settle();
        assert_eq!(world.person("phone").sees(ops, "now"), 1);
        same_history(&mut world, "alice", "phone", ops);
        oracle::judge(&mut world);
    }
}

#[test]
fn what_a_new_device_gets_of_the_past_is_the_persons_choice() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    // OpenMLS compares lifetimes with the clock of this machine, so it is Bob's clock that says when.
    let bob = world.index("bob");
    for (days, text) in [(4, "long ago"), (1, "yesterday")] {
        world.people[bob].behind = Duration::from_secs(days * 86_400);
        world.person("bob").says(ops, text);
        world.settle();
    }
    world.people[bob].behind = Duration::ZERO;
    link_with(&mut world, "alice", "phone", HistoryPolicy::None);
    assert!(world.person("phone").texts(ops).is_empty());
    assert_eq!(progress(&world, "phone"), [(0, 0)], "that is all there is to come");
    link_with(&mut world, "alice", "tablet", HistoryPolicy::Days(2));
    assert_eq!(world.person("tablet").texts(ops), ["yesterday"]);
    // A device that has it hands it on.
    link_with(&mut world, "tablet", "laptop", HistoryPolicy::All);
    assert_eq!(world.person("laptop").texts(ops), ["yesterday"]);
    oracle::judge(&mut world);
}

#[test]
fn long_texts_and_failed_messages_do_not_stop_history() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    let long = "x".repeat(cipher_broker::limit::TEXT_BYTES);
    world.person("alice").says(ops, &long);
    world.person("alice").says(ops, "short");
    world.settle();
    link(&mut world, "alice", "phone");
    assert_eq!(world.person("phone").texts(ops), [long.as_str(), "short"]);
    assert_eq!(skipped(&mut world, "phone", "limit"), 0);
}

/// D01: what was shown is read on all own devices, and an answer shows nothing.
#[test]
fn d01_an_own_device_shows_what_another_said_as_sent_and_not_as_news() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    link(&mut world, "alice", "phone");
    world.person("bob").says(ops, "question");
    world.settle();
    assert_eq!(world.person("alice").group(ops).unread, 1);
    world.person("phone").says(ops, "answer");
    world.settle();
    let seen = world.person("alice").messages(ops).into_iter().find(|m| m.text == "answer").unwrap();
    assert_eq!(seen.state, MessageState::Sent);
    assert_eq!(seen.from.handle, "alice");
    assert_eq!(world.person("alice").group(ops).unread, 1, "who answers may not have been shown it");
    world.person("phone").does(read(ops));
    world.settle();
    assert_eq!(world.person("alice").group(ops).unread, 0, "shown there, it is read here");
    assert!(messages_told(&world, "alice").contains(&"answer".to_owned()));
    let heard = world.person("bob").messages(ops).into_iter().find(|m| m.text == "answer").unwrap();
    assert_eq!((heard.state, heard.from.handle.as_str()), (MessageState::Received, "alice"));
    assert_eq!(world.person("bob").group(ops).unread, 1);
}

#[test]
fn what_was_read_on_one_device_is_read_on_the_other() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    link(&mut world, "alice", "phone");
    for (reader, other) in [("phone", "alice"), ("alice", "phone")] {
        chat(&mut world, "bob", ops, 2);
        assert_eq!(world.person(other).group(ops).unread, 2);
        world.person(reader).does(read(ops));
        world.settle();
        for who in [reader, other] {
            assert_eq!(world.person(who).group(ops).unread, 0, "{who} after {reader} read");
        }
        // Reading again tells nobody anything.
        let lain = world.log.outside(ops).len();
        let before = world.index(reader);
        world.person(reader).does(read(ops));
        assert_eq!(world.status(before).outbox, 0);
        assert_eq!(world.log.outside(ops).len(), lain);
    }
    // A device that is behind does not count what was read elsewhere, but what came later.
    world.person("alice").disconnects();
    chat(&mut world, "bob", ops, 2);
    world.person("phone").does(read(ops));
    world.settle();
    world.person("bob").says(ops, "later");
    world.settle();
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("alice").group(ops).unread, 1);
    oracle::judge(&mut world);
}

#[test]
fn contacts_pins_policy_and_names_are_the_same_on_every_device() {
    let mut world = world(&["alice", "bob", "carol", "mallory"]);
    let add = |who: &str| contact::Add { handle: handle(who), text: None };
    let accept = |who: &str| contact::Accept { handle: handle(who) };
    world.person("alice").does(add("bob"));
    world.settle();
    world.person("bob").does(accept("alice"));
    world.person("alice").does(contact::Block { who: handle("mallory").into() });
    world.person("alice").does(account::SetRequests { policy: RequestPolicy::Anyone });
    world.settle();
    link(&mut world, "alice", "phone");
    assert_eq!(contact(&mut world, "phone", "bob"), Some(ContactState::Accepted));
    assert_eq!(contact(&mut world, "phone", "mallory"), Some(ContactState::Blocked));
    assert_eq!(world.person("phone").status().requests, RequestPolicy::Anyone);
    let devices = world.person("phone").does(device::List {});
    assert!(devices.iter().any(|device| device.name == "phone"));

    // And from now on, both ways.
    world.person("phone").does(contact::Unblock { who: handle("mallory").into() });
    world.person("phone").does(contact::Block { who: handle("bob").into() });
    world.person("phone").does(account::SetRequests { policy: RequestPolicy::Contacts });
    world.settle();
    assert_eq!(contact(&mut world, "alice", "mallory"), None);
    assert_eq!(contact(&mut world, "alice", "bob"), Some(ContactState::Blocked));
    assert_eq!(world.person("alice").status().requests, RequestPolicy::Contacts);
    world.person("alice").cannot(say("bob", "no"), ErrorKind::Refused);
    world.person("alice").does(contact::Unblock { who: handle("bob").into() });
    world.settle();
    assert_eq!(contact(&mut world, "phone", "bob"), Some(ContactState::Accepted), "as before the block");
    world.person("alice").does(device::Rename { device: "phone".into(), name: "old phone".into() });
    world.settle();
    let devices = world.person("phone").does(device::List {});
    assert!(devices.iter().any(|device| device.name == "old phone"));
    // A contact that one device asks is one on the other.
    world.person("phone").does(add("carol"));
    world.settle();
    assert_eq!(contact(&mut world, "alice", "carol"), Some(ContactState::Pending));
    world.person("carol").does(accept("alice"));
    world.settle();
    for who in ["alice", "phone"] {
        assert_eq!(contact(&mut world, who, "carol"), Some(ContactState::Accepted), "{who}");
        world.person(who).does(say("carol", &format!("from {who}")));
    }
    world.settle();
    let with = message::Read::of(Target::Account(handle("alice")));
    let messages = world.person("carol").does(with);
    let texts: Vec<_> = messages.into_iter().map(|m| m.text).collect();
    assert!(
        texts.contains(&"from alice".to_owned()) && texts.contains(&"from phone".to_owned()),
        "{texts:?}"
    );
    // Removed on one, removed on the other, and the conversation is left by both.
    world.person("alice").does(contact::Remove { handle: handle("carol") });
    world.settle();
    for who in ["alice", "phone"] {
        assert_eq!(contact(&mut world, who, "carol"), None, "{who}");
    }
    for who in ["alice", "phone", "carol"] {
        let with_carol = |view: &cipher_api::view::GroupView| {
            view.direct && (view.name == "@carol" || (who == "carol" && view.name == "@alice"))
        };
        let view = world.person(who).groups().into_iter().find(with_carol).unwrap();
        assert_eq!(view.state, GroupState::Left, "{who}");
    }
    oracle::judge(&mut world);
}

#[test]
fn r_sync_03_two_devices_that_disagree_end_up_with_the_same() {
    for seed in 0..6 {
        let mut world = World::of(seed, Flavour::R1, &["alice", "bob"]);
        world.person("alice").does(account::ShowProfile { handle: handle("bob") });
        link(&mut world, "alice", "phone");
        let (alice, phone) = (world.index("alice"), world.index("phone"));
        world.start(alice, contact::Block { who: handle("bob").into() });
        world.start(alice, account::SetRequests { policy: RequestPolicy::Anyone });
        world.start(phone, contact::Block { who: handle("bob").into() });
        world.start(phone, contact::Unblock { who: handle("bob").into() });
        world.start(phone, account::SetRequests { policy: RequestPolicy::Contacts });
        world.settle();
        assert_eq!(contact(&mut world, "alice", "bob"), contact(&mut world, "phone", "bob"), "seed {seed}");
        let policy = |world: &mut World, who: &str| world.person(who).status().requests;
        assert_eq!(policy(&mut world, "alice"), policy(&mut world, "phone"), "seed {seed}");
    }
}

#[test]
fn an_invitation_is_answered_once_for_all_devices() {
    let mut world = world(&["alice", "bob"]);
    link(&mut world, "alice", "phone");
    let group = world.person("bob").creates("ops", &["alice"]);
    let other = world.person("bob").creates("spam", &["alice"]);
    world.settle();
    for who in ["alice", "phone"] {
        assert_eq!(world.person(who).status().invitations, 2, "{who}");
    }
    world.person("phone").accepts(group);
    world.person("phone").does(group::Decline { target: Target::Group(other) });
    world.settle();
    for who in ["alice", "phone"] {
        assert_eq!(world.person(who).group(group).state, GroupState::Active, "{who}");
        assert_eq!(world.person(who).knows(other), None, "{who}");
        assert_eq!(world.person(who).status().invitations, 0, "{who}");
    }
    // A device that was away hears the answer before, or after, the invitation.
    world.person("alice").disconnects();
    let third = world.person("bob").creates("later", &["alice"]);
    world.settle();
    world.person("phone").accepts(third);
    world.settle();
    world.person("alice").connects();
    world.settle();
    assert_eq!(world.person("alice").group(third).state, GroupState::Active);
    oracle::judge(&mut world);
}

#[test]
fn a_yes_and_a_no_at_the_same_time_are_a_yes_and_two_yeses_are_one() {
    for seed in 0..6 {
        for second in [true, false] {
            let mut world = World::of(seed, Flavour::R1, &["alice", "bob"]);
            link(&mut world, "alice", "phone");
            world.person("bob").does(contact::Add { handle: handle("alice"), text: Some("hi".into()) });
            let group = world.person("bob").creates("ops", &["alice"]);
            world.settle();
            let (alice, phone) = (world.index("alice"), world.index("phone"));
            world.start(alice, group::Accept { target: Target::Group(group) });
            world.start(alice, contact::Accept { handle: handle("bob") });
            if second {
                world.start(phone, group::Accept { target: Target::Group(group) });
                world.start(phone, contact::Accept { handle: handle("bob") });
            } else {
                world.start(phone, group::Decline { target: Target::Group(group) });
                world.start(phone, contact::Decline { handle: handle("bob") });
            }
            world.settle();
            for who in ["alice", "phone"] {
                assert_eq!(world.person(who).group(group).state, GroupState::Active, "{who}, seed {seed}");
                assert_eq!(
                    contact(&mut world, who, "bob"),
                    Some(ContactState::Accepted),
                    "{who}, seed {seed}"
                );
                assert_eq!(world.person(who).status().invitations, 0);
            }
            assert_eq!(contact(&mut world, "bob", "alice"), Some(ContactState::Accepted));
            oracle::judge(&mut world);
        }
    }
}

#[test]
fn an_account_leaves_a_group_with_all_its_devices() {
    let mut world = world(&["bob", "alice"]);
    let ops = world.group_of("ops", &["bob", "alice"]);
    let mine = world.person("alice").creates("mine", &[]);
    link(&mut world, "alice", "phone");
    for group in [ops, mine] {
        world.person("phone").does(group::Leave { target: Target::Group(group) });
        world.settle();
        for who in ["alice", "phone"] {
            assert_eq!(world.person(who).group(group).state, GroupState::Left, "{who}");
        }
    }
    assert_eq!(world.person("bob").members(ops), ["bob"]);
    oracle::judge(&mut world);
}

#[test]
fn a_block_counts_on_every_device_and_hides_the_history_too() {
    let mut world = world(&["alice", "bob", "mallory"]);
    let ops = world.group_of("ops", &["bob", "alice", "mallory"]);
    world.person("mallory").says(ops, "rude");
    world.person("bob").says(ops, "kind");
    world.settle();
    world.person("alice").does(contact::Block { who: handle("mallory").into() });
    link(&mut world, "alice", "phone");
    assert_eq!(world.person("phone").texts(ops), ["kind"]);
    world.person("phone").does(contact::Unblock { who: handle("mallory").into() });
    world.settle();
    for who in ["alice", "phone"] {
        assert_eq!(world.person(who).texts(ops), ["rude", "kind"], "{who}");
    }
}

/// One linking of a device with some history, in which somebody's disk fails at some call after the new device was
/// let in; gives the calls of that disk before and after.
fn interrupted(who: &str, fault: Option<Fault>) -> (u64, u64) {
    let mut world = world(&["alice", "bob"]);
    let groups = ["ops", "tea"].map(|name| world.group_of(name, &["alice", "bob"]));
    let long = "word ".repeat(12_000);
    for group in groups {
        for n in 0..8 {
            world.person("bob").says(group, &format!("{n} {long}"));
        }
    }
    world.settle();
    let disk = Disk::default();
    let phone = world.arrive_with("phone", disk);
    let code = offer(&mut world, phone);
    let index = world.index(who);
    admit(&mut world, "alice", &code, HistoryPolicy::All);
    let before = world.people[index].disk.calls();
    world.people[index].disk.plan(fault);
    world.settle();
    let calls = world.people[index].disk.calls();
    let failed = world.people[index].disk.failed();
    assert_eq!(failed, fault.is_some(), "{who}: {fault:?} of {calls}");
    world.revive(index);
    world.heal();
    for group in groups {
        same_history(&mut world, "alice", "phone", group);
        assert_eq!(world.person("phone").texts(group).len(), 8);
    }
    assert!(!world.status(phone).arriving);
    assert!(world.person("alice").status().sending.is_empty());
    (before, calls)
}

fn killed_anywhere(who: &str) {
    let (before, calls) = interrupted(who, None);
    assert!(calls > before + 20, "{who} writes {} times", calls - before);
    let sample = if setting::is_set("WORLD_FULL") { calls - before } else { 12 };
    for n in 0..sample {
        let call = before + 1 + n * (calls - before) / sample;
        interrupted(who, Some(Fault::From(call)));
    }
}

#[test]
fn the_sender_of_history_may_die_at_any_write() {
    killed_anywhere("alice");
}

#[test]
fn the_receiver_of_history_may_die_at_any_write() {
    killed_anywhere("phone");
}

#[test]
fn history_waits_while_the_new_device_is_away_and_goes_on_when_it_is_back() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    chat(&mut world, "bob", ops, 5);
    let phone = world.arrive("phone");
    let code = offer(&mut world, phone);
    admit(&mut world, "alice", &code, HistoryPolicy::All);
    world.person("phone").disconnects();
    world.settle();
    world.person("alice").restarts(End::Kill);
    world.settle();
    world.person("bob").says(ops, "meanwhile");
    world.settle();
    world.person("phone").connects();
    world.settle();
    same_history(&mut world, "alice", "phone", ops);
    assert!(!world.status(phone).arriving);
    oracle::judge(&mut world);
}

#[test]
fn a_device_that_was_let_in_and_never_came_holds_up_no_other() {
    let mut world = world(&["alice", "bob"]);
    let ops = world.group_of("ops", &["alice", "bob"]);
    chat(&mut world, "bob", ops, 5);
    let lost = world.arrive("lost");
    let code = offer(&mut world, lost);
    admit(&mut world, "alice", &code, HistoryPolicy::All);
    world.end(lost, End::Kill);
    world.settle();
    let before = world.now;
    link(&mut world, "alice", "phone");
    same_history(&mut world, "alice", "phone", ops);
    assert!(world.now.since(before) < Duration::from_secs(30), "{:?}", world.now.since(before));
}

#[test]
fn a_revoked_device_hears_nothing_more_and_the_others_go_on() {
    let mut world = world(&["alice", "bob"]);
    link(&mut world, "alice", "phone");
    link(&mut world, "alice", "tablet");
    world.person("phone").disconnects();
    world.person("alice").does(device::Revoke { device: "phone".into() });
    world.person("alice").does(contact::Block { who: handle("bob").into() });
    world.settle();
    assert_eq!(contact(&mut world, "tablet", "bob"), Some(ContactState::Blocked));
    world.person("phone").connects();
    world.settle();
    assert_eq!(world.person("alice").status().outbox, 0);
}

/// Logs are read independently: the end of history may come before the invitations that were published before it.
#[test]
fn a_new_device_says_that_everything_is_here_only_when_it_is_in_every_group() {
    for seed in 0..12 {
        let mut world = World::of(seed, Flavour::R1, &["alice", "bob"]);
        let groups = ["ops", "tea", "zoo"].map(|name| world.group_of(name, &["alice", "bob"]));
        chat(&mut world, "bob", groups[0], 3);
        let phone = world.arrive("phone");
        let code = offer(&mut world, phone);
        admit(&mut world, "alice", &code, HistoryPolicy::All);
        let mut arrived = false;
        while !arrived && (world.step() || world.wait()) {
            let status = world.status(phone);
            arrived = status.registered && !status.arriving;
        }
        assert!(arrived, "seed {seed}");
        for group in groups {
            let state = world.person("phone").knows(group).map(|view| view.state);
            assert_eq!(state, Some(GroupState::Active), "seed {seed}");
        }
        world.settle();
        same_history(&mut world, "alice", "phone", groups[0]);
    }
}

/// The figure that was promised: 50 groups and 10,000 messages; `WORLD_FULL=1 cargo nextest run … --no-capture`.
#[test]
fn a_device_is_linked_to_many_groups_and_messages() {
    let (groups, messages) = if setting::is_set("WORLD_FULL") { (50, 10_000) } else { (8, 160) };
    let mut world = world(&["alice", "bob"]);
    let made: Vec<GroupId> =
        (0..groups).map(|n| world.group_of(&format!("group {n}"), &["alice", "bob"])).collect();
    for n in 0..messages / 20 {
        let group = made[n % made.len()];
        let who = world.index(if n % 2 == 0 { "alice" } else { "bob" });
        for m in 0..20 {
            world.start(
                who,
                send(group, &format!("message {n}.{m} of an ordinary length, as people write them")),
            );
        }
        world.settle();
    }
    #[expect(clippy::disallowed_methods, reason = "the figure is one of the real clock")]
    let began = Instant::now();
    link(&mut world, "alice", "phone");
    eprintln!(
        "{groups} groups and {messages} messages linked in {:?} of the whole world's time",
        began.elapsed()
    );
    let mut found = 0;
    for group in made {
        found += world.person("phone").texts(group).len();
        assert_eq!(world.person("phone").group(group).state, GroupState::Active);
    }
    assert_eq!(found, messages);
}

/// A4: the profile was copied before its account had a second device, or when the group of own devices was just made and its
/// invitation not posted. Nobody is in that group, or there is none: another one is made. Before, the devices told each
/// other nothing for ever, and the new one waited (story 621).
#[test]
fn a4_a_profile_from_before_its_second_device_meets_it_in_a_group_of_own_devices() {
    for late in [false, true] {
        let mut world = World::long_ago(6, Flavour::R1, 20, &["alice", "bob"]);
        let group = world.group_of("ops", &["alice", "bob"]);
        let alice = world.index("alice");
        let mut copy = world.copy_of(alice);
        let tablet = world.arrive("alice.2");
        let code = offer(&mut world, tablet);
        admit(&mut world, "alice", &code, HistoryPolicy::All);
        if late {
            copy = world.copy_of(alice);
            world.settle();
        }
        world.put_back(alice, copy);
        world.settle();
        world.pass(Duration::from_secs(3600));
        world.settle();
        assert!(!late || !world.status(tablet).arriving, "late {late}: everything is here");
        // Who let it in does not know how much of the past it may have: it does not wait for that for ever.
        world.pass(days(3));
        world.settle();
        assert!(!world.status(tablet).arriving, "late {late}: it waits no more");
        world.person("alice.2").says(group, "from the tablet");
        world.settle();
        world.person("alice").does(account::SetRequests { policy: RequestPolicy::Anyone });
        world.settle();
        assert_eq!(world.person("bob").sees(group, "from the tablet"), 1, "late {late}");
        assert_eq!(world.status(tablet).requests, RequestPolicy::Anyone, "late {late}: the devices talk");
    }
}

/// A4: a device that is restored from before a group was made gets no invitation again: its own devices tell it. Before, it never learned
/// of that group, and the others went on writing to a device that read nothing.
#[test]
fn a4_a_second_device_from_before_a_group_was_made_comes_back_into_it() {
    for days_later in [0, 40] {
        let mut world = World::long_ago(6, Flavour::R1, 80, &["alice", "bob"]);
        link(&mut world, "alice", "alice.2");
        let tablet = world.index("alice.2");
        let copy = world.copy_of(tablet);
        let group = world.group_of("ops", &["alice", "bob"]);
        assert_eq!(world.person("alice.2").group(group).state, GroupState::Active);
        world.pass(days(days_later));
        world.settle();
        world.put_back(tablet, copy);
        world.settle();
        world.pass(Duration::from_secs(3600));
        world.settle();
        world.person("bob").says(group, "to every device");
        world.settle();
        let known = world.person("alice.2").knows(group);
        let known = known.map(|view| (view.state, view.recovering.is_some()));
        assert_eq!(known, Some((GroupState::Active, false)), "{days_later} days later");
        assert_eq!(world.person("alice.2").sees(group, "to every device"), 1, "{days_later} days later");
    }
}
