//! What a person wants of a conversation for themselves: how it is called, and whether they are told of it. All own devices know,
//! and nobody else.

use cipher_api::command::{contact, group, message};
use cipher_api::view::{HistoryPolicy, MutedView};
use cipher_api::{ErrorKind, Event, Target};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::World;

fn mute(group: GroupId, until: Option<Timestamp>, mentions: bool) -> group::Mute {
    group::Mute { target: Target::Group(group), until, mentions }
}

fn alias(group: GroupId, name: &str) -> group::Alias {
    group::Alias { target: Target::Group(group), name: name.into() }
}

/// Whether the message with these words is worth telling a person.
fn told(world: &mut World, name: &str, group: GroupId, text: &str) -> bool {
    let messages = world.person(name).messages(group);
    messages.into_iter().find(|message| message.text == text).unwrap().notify
}

#[test]
fn what_is_muted_and_how_it_is_called_holds_on_every_own_device_and_later_ones() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let ops = world.admins("ops", &["alice", "bob"]);
    world.person("alice").does(alias(ops, "night"));
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    world.settle();
    assert_eq!(world.person("phone").group(ops).name, "night", "told to a device that came later");
    world.person("phone").does(mute(ops, None, true));
    world.person("phone").does(alias(ops, "shift"));
    world.settle();
    for name in ["alice", "phone"] {
        let group = world.person(name).group(ops);
        assert_eq!(group.name, "shift", "{name}");
        assert_eq!(group.muted, Some(MutedView { until: None, mentions: true }), "{name}");
        world.person(name).restarts(End::Kill);
        assert_eq!(world.person(name).group(ops), group, "{name}");
    }
    let group = world.person("bob").group(ops);
    assert_eq!((group.name.as_str(), group.muted), ("ops", None), "nobody else hears of it");
    world.person("bob").says(ops, "anybody?");
    world.person("bob").says(ops, "hello @alice, tea?");
    world.settle();
    for name in ["alice", "phone"] {
        assert!(!told(&mut world, name, ops, "anybody?"), "{name}");
        assert!(told(&mut world, name, ops, "hello @alice, tea?"), "{name}");
        assert_eq!(world.person(name).group(ops).unread, 2, "it counts as before");
    }
    world.person("alice").does(group::Unmute { target: Target::Group(ops) });
    world.person("alice").does(alias(ops, ""));
    world.settle();
    let group = world.person("phone").group(ops);
    assert_eq!((group.name.as_str(), group.muted), ("ops", None));
    assert!(told(&mut world, "phone", ops, "anybody?"));
    oracle::judge(&mut world);
}

#[test]
fn who_is_told_of_what() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob", "mallory"]);
    let ops = world.admins("ops", &["alice", "bob", "mallory"]);
    world.person("alice").says(ops, "mine");
    world.person("bob").says(ops, "his");
    world.person("mallory").says(ops, "spam");
    world.settle();
    assert!(!told(&mut world, "alice", ops, "mine"));
    assert!(told(&mut world, "alice", ops, "his") && told(&mut world, "alice", ops, "spam"));
    let who = "mallory".parse::<cipher_api::Who>().unwrap();
    world.person("alice").does(contact::Block { who: who.clone() });
    let shown = world.person("alice").messages(ops);
    assert!(shown.iter().all(|message| message.text != "spam"), "hidden, and not told");
    world.person("alice").does(contact::Unblock { who });
    let past = Timestamp::from_millis(1);
    let error = world.person("alice").cannot(mute(ops, Some(past), false), ErrorKind::Usage);
    assert_eq!(error.message, "the time until which it is muted is over");
    oracle::judge(&mut world);
}

/// R-NAME-02: on every device it means the same one.
#[test]
fn r_name_02_a_name_of_ones_own_never_means_two_groups() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let ops = world.admins("ops", &["alice", "bob"]);
    let lab = world.admins("lab", &["alice", "bob"]);
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    world.settle();
    let error = world.person("alice").cannot(alias(lab, "ops"), ErrorKind::Conflict);
    assert_eq!(error.message, "there is a group called 'ops' here already");
    // Two devices give one name to two groups at the same time: the log decides, and both end up alike.
    world.person("alice").disconnects();
    world.person("alice").does(alias(ops, "work"));
    world.person("phone").does(alias(lab, "work"));
    world.settle();
    world.person("alice").connects();
    world.settle();
    for name in ["alice", "phone"] {
        let names = [world.person(name).group(ops).name, world.person(name).group(lab).name];
        assert_eq!(names, ["ops", "work"], "{name}");
    }
    oracle::judge(&mut world);
}

/// What the front ends of a person were told last of a group: what it is called, and whether it is muted.
fn told_of(world: &World, name: &str, group: GroupId) -> Option<(String, bool)> {
    let events = world.people[world.index(name)].events.iter().rev();
    let mut groups = events.filter_map(|event| match event {
        Event::Group(view) if view.id == group => Some((view.name.clone(), view.muted.is_some())),
        _ => None,
    });
    groups.next()
}

#[test]
fn front_ends_of_every_own_device_are_told_at_once_what_is_muted_and_how_it_is_called() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let ops = world.admins("ops", &["alice", "bob"]);
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    world.settle();
    world.person("alice").does(alias(ops, "night"));
    assert_eq!(told_of(&world, "alice", ops), Some(("night".into(), false)), "without waiting for a log");
    world.settle();
    assert_eq!(told_of(&world, "phone", ops), Some(("night".into(), false)));
    world.person("phone").does(mute(ops, None, false));
    assert_eq!(told_of(&world, "phone", ops), Some(("night".into(), true)));
    world.settle();
    assert_eq!(told_of(&world, "alice", ops), Some(("night".into(), true)));
    world.person("alice").does(group::Unmute { target: Target::Group(ops) });
    world.person("alice").does(alias(ops, ""));
    world.settle();
    for name in ["alice", "phone"] {
        assert_eq!(told_of(&world, name, ops), Some(("ops".into(), false)), "{name}");
    }
    oracle::judge(&mut world);
}

/// An edit, an emoji and a vote come to a message that nobody read yet: it comes again, and is told once.
#[test]
fn what_comes_again_because_it_changed_is_no_news() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let ops = world.admins("ops", &["alice", "bob"]);
    let id = world.person("bob").says(ops, "@alice tea?").id;
    world.settle();
    let this = message::MessageRef { id: id.to_string(), within: None };
    world.person("bob").does(message::Edit { message: this.clone(), text: "@alice coffee?".into() });
    let emoji = "thumbsup".into();
    world.person("bob").does(message::React { message: this, emoji, remove: false });
    world.settle();
    let events = &world.people[world.index("alice")].events;
    let told: Vec<(bool, bool)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Message(view) if view.id == id => Some((true, view.notify)),
            Event::Changed { message: view } if view.id == id => Some((false, view.notify)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(true, true), (false, false), (false, false)]);
    oracle::judge(&mut world);
}
