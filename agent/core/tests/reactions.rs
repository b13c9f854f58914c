//! Emoji under messages: everybody sees the same ones, from the same accounts, whatever got lost on the way.

use std::time::Duration;

use cipher_api::ErrorKind;
use cipher_api::command::message::MessageRef;
use cipher_api::command::{bot, contact, message};
use cipher_api::view::{BotChange, HistoryPolicy, MessageState, ReactionView};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

const UP: &str = "\u{1f44d}";
const TEA: &str = "\u{1f375}";

fn react(id: MessageId, emoji: &str) -> message::React {
    let message = MessageRef { id: id.to_string(), within: None };
    message::React { message, emoji: emoji.into(), remove: false }
}

fn unreact(id: MessageId, emoji: &str) -> message::React {
    message::React { remove: true, ..react(id, emoji) }
}

/// The emoji under a message, and who put them there.
fn under(world: &mut World, name: &str, group: GroupId, id: MessageId) -> Vec<(String, Vec<String>)> {
    let messages = world.person(name).messages(group);
    let found = messages.into_iter().find(|message| message.id == id).unwrap();
    found.reactions.into_iter().map(|ReactionView { emoji, by, .. }| (emoji, by)).collect()
}

fn are(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    all.iter().map(|(emoji, by)| ((*emoji).into(), by.iter().map(|by| (*by).into()).collect())).collect()
}

#[test]
fn reactions_reach_everybody_in_the_order_of_the_log_and_outlive_the_process() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    let view = world.person("bob").does(react(id, ":+1:"));
    assert_eq!((view.id, view.reactions.len()), (id, 1));
    assert!(view.reactions[0].own && view.reactions[0].emoji == UP);
    world.settle();
    world.person("carol").does(react(id, TEA));
    world.settle();
    world.person("alice").does(react(id, UP));
    world.settle();
    let all = are(&[(UP, &["bob", "alice"]), (TEA, &["carol"])]);
    for name in ["alice", "bob", "carol"] {
        assert_eq!(under(&mut world, name, group, id), all, "{name}");
        world.person(name).restarts(End::Kill);
        assert_eq!(under(&mut world, name, group, id), all, "{name}");
    }
    assert_eq!(world.person("bob").group(group).unread, 1, "a reaction is nothing to read");
    world.person("bob").does(unreact(id, UP));
    world.person("carol").does(unreact(id, "tea"));
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(under(&mut world, name, group, id), are(&[(UP, &["alice"])]), "{name}");
    }
    oracle::judge(&mut world);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_sentence() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    let error = world.person("bob").cannot(react(id, "great"), ErrorKind::Usage);
    assert_eq!(error.message, "'great' is no emoji");
    world.person("bob").cannot(unreact(id, UP), ErrorKind::Refused);
    world.person("bob").does(react(id, UP));
    world.settle();
    world.person("bob").cannot(react(id, UP), ErrorKind::Refused);
    let joined = world.person("bob").messages(group).into_iter().find(|line| line.event().is_some()).unwrap();
    world.person("bob").cannot(react(joined.id, UP), ErrorKind::NotFound);
    world.person("bob").cannot(react(MessageId::from_bytes([9; 16]), UP), ErrorKind::NotFound);
    let message = MessageRef { id: id.to_string(), within: None };
    world.person("alice").does(message::Delete { message, local: false });
    world.settle();
    world.person("bob").cannot(react(id, TEA), ErrorKind::Refused);
    assert_eq!(under(&mut world, "bob", group, id), are(&[]), "they went with the words");
}

#[test]
fn reactions_of_a_device_without_a_broker_are_shown_as_they_will_be_and_arrive_later() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    world.person("bob").disconnects();
    let view = world.person("bob").does(react(id, UP));
    assert_eq!((view.id, view.state, view.reactions.len()), (id, MessageState::Queued, 1));
    world.person("bob").does(react(id, TEA));
    world.person("bob").cannot(react(id, TEA), ErrorKind::Refused);
    world.person("bob").does(unreact(id, UP));
    assert_eq!(under(&mut world, "bob", group, id), are(&[(TEA, &["bob"])]));
    world.person("bob").restarts(End::Kill);
    assert_eq!(under(&mut world, "bob", group, id), are(&[(TEA, &["bob"])]));
    world.person("bob").connects();
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(under(&mut world, name, group, id), are(&[(TEA, &["bob"])]), "{name}");
    }
    let own = world.person("alice").does(send(group, "good"));
    world.person("alice").disconnects();
    let waits = world.person("alice").does(send(group, "waits"));
    world.person("alice").cannot(react(waits.id, UP), ErrorKind::Refused);
    assert_eq!(own.state, MessageState::Sent);
}

/// R-SYNC-06: a new device gets the reactions with the history, and one that was away those that came meanwhile.
#[test]
fn r_sync_06_a_new_device_sees_the_reactions_that_stand() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    world.person("bob").does(react(id, UP));
    world.person("alice").does(react(id, TEA));
    world.settle();
    world.person("alice").does(unreact(id, TEA));
    world.settle();
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    assert_eq!(under(&mut world, "phone", group, id), are(&[(UP, &["bob"])]));
    world.person("phone").does(react(id, UP));
    world.settle();
    for name in ["alice", "phone", "bob"] {
        assert_eq!(under(&mut world, name, group, id), are(&[(UP, &["bob", "alice"])]), "{name}");
    }
    world.person("alice").cannot(react(id, UP), ErrorKind::Refused);
}

#[test]
fn what_a_blocked_account_puts_under_a_message_is_not_shown() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    world.person("bob").does(react(id, UP));
    world.person("carol").does(react(id, TEA));
    world.settle();
    world.person("alice").does(contact::Block { who: "carol".parse().unwrap() });
    assert_eq!(under(&mut world, "alice", group, id), are(&[(UP, &["bob"])]));
    assert_eq!(under(&mut world, "bob", group, id).len(), 2);
    world.person("alice").does(contact::Unblock { who: "carol".parse().unwrap() });
    assert_eq!(under(&mut world, "alice", group, id).len(), 2);
}

/// R-CONTENT-05: the broker lost a message and what was put under it; both are said again.
#[test]
fn r_content_05_a_log_that_lost_a_message_and_its_reactions_gets_them_back() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("alice").says(group, "before");
    world.settle();
    let kept = world.log.clone();
    world.person("carol").disconnects();
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    world.person("bob").does(react(id, UP));
    world.settle();
    world.broker_returns(|log| log.restore(&kept));
    world.person("carol").connects();
    world.settle();
    world.pass(Duration::from_secs(2 * 3600));
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(under(&mut world, name, group, id), are(&[(UP, &["bob"])]), "{name}");
    }
}

#[test]
fn bots_are_told_of_reactions_and_react() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.admins("ops", &["alice", "bob", "echo"]);
    let handles = |world: &mut World, reaction: Option<(MessageId, &str)>| {
        let waiting = world.person("echo").does(bot::Events { bot: "echo".into(), limit: 100, busy: vec![] });
        for (n, event) in waiting.iter().enumerate() {
            let say = reaction.map(|(of, emoji)| bot::Say {
                text: String::new(),
                reply_to: None,
                reaction: Some(bot::Reaction { of, emoji: emoji.into(), removed: false }),
                edit: None,
                poll: None,
                close: None,
                thread: None,
                files: Vec::new(),
                salt: [u8::try_from(n).unwrap(); 16],
                hops: 1,
                at: event.message.at.unwrap_or_default(),
            });
            let say = say.filter(|_| n + 1 == waiting.len()).into_iter().collect();
            let (bot, position, place) = ("echo".into(), event.position, event.place);
            world.person("echo").does(bot::Handled { bot, group, position, place, say, memory: None });
        }
        waiting
    };
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    handles(&mut world, Some((id, UP)));
    world.settle();
    for name in ["alice", "bob", "echo"] {
        assert_eq!(under(&mut world, name, group, id), are(&[(UP, &["echo"])]), "{name}");
    }
    assert!(handles(&mut world, None).is_empty(), "its own reaction is nothing new to it");
    world.person("bob").does(react(id, TEA));
    world.settle();
    world.person("bob").does(unreact(id, TEA));
    world.settle();
    let told = handles(&mut world, None);
    let told: Vec<_> = told
        .iter()
        .map(|event| {
            let Some(BotChange::Reaction { emoji, removed }) =
                event.change.as_ref().map(|change| &change.what)
            else {
                panic!("{event:?}")
            };
            (event.message.id, event.by.handle.as_str(), emoji.as_str(), *removed)
        })
        .collect();
    assert_eq!(told, [(id, "bob", TEA, false), (id, "bob", TEA, true)]);
}
