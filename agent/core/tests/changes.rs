//! Edits and deletions: everybody ends up with the words that the author left standing, whatever got lost on the way.

use std::time::Duration;

use cipher_api::command::message;
use cipher_api::command::message::MessageRef;
use cipher_api::view::{HistoryPolicy, MessageState, MessageView};
use cipher_api::{Command, ErrorKind, Event, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::{link, link_with};
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::world::{World, send};

fn named(id: MessageId) -> MessageRef {
    MessageRef { id: id.to_string(), within: None }
}

fn edit(id: MessageId, text: &str) -> message::Edit {
    message::Edit { message: named(id), text: text.into() }
}

fn delete(id: MessageId) -> message::Delete {
    message::Delete { message: named(id), local: false }
}

fn delete_here(id: MessageId) -> message::Delete {
    message::Delete { message: named(id), local: true }
}

/// Text, edited, deleted of the one message with this id.
fn shown(world: &mut World, name: &str, group: GroupId, id: MessageId) -> (String, bool, bool) {
    let mut found: Vec<MessageView> =
        world.person(name).messages(group).into_iter().filter(|message| message.id == id).collect();
    assert_eq!(found.len(), 1, "{name} sees it once");
    let view = found.remove(0);
    (view.text, view.edited, view.deleted)
}

fn edited(text: &str) -> (String, bool, bool) {
    (text.into(), true, false)
}

fn gone() -> (String, bool, bool) {
    (String::new(), false, true)
}

#[test]
fn an_edit_and_a_deletion_reach_everybody_and_their_author_sees_them_at_once() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tee at five").id;
    let other = world.person("alice").says(group, "and cake").id;
    world.settle();
    let view = world.person("alice").does(edit(id, "tea at five"));
    assert_eq!((view.id, view.text.as_str(), view.edited), (id, "tea at five", true));
    let view = world.person("alice").does(delete(other));
    assert_eq!((view.id, view.text.as_str(), view.deleted), (other, "", true));
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(shown(&mut world, name, group, id), edited("tea at five"), "{name}");
        assert_eq!(shown(&mut world, name, group, other), gone(), "{name}");
        assert_eq!(
            world.person(name).messages(group).iter().filter(|line| line.event().is_none()).count(),
            2
        );
    }
    let bob = world.index("bob");
    let told: Vec<MessageId> = world.people[bob]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Changed { message: view } => Some(view.id),
            _ => None,
        })
        .collect();
    assert_eq!(told, [id, other]);
}

/// It is acknowledged before its author's own device reads it in the log, and the acknowledgment tells no time.
#[test]
fn an_own_message_has_the_time_of_the_broker_once_the_log_shows_it() {
    let mut world = World::of(10, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "hello").id;
    world.settle();
    let mut at = |name: &str| {
        let messages = world.person(name).messages(group);
        messages.iter().find(|message| message.id == id).and_then(|message| message.at)
    };
    let (alice, bob) = (at("alice"), at("bob"));
    assert!(alice.is_some());
    assert_eq!(alice, bob);
}

/// R-CONTENT-07: an edit makes nothing unread; what was taken back is not unread any more.
#[test]
fn r_content_07_a_deletion_is_nothing_to_read_and_an_edit_nothing_new() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let first = world.person("alice").says(group, "one").id;
    let second = world.person("alice").says(group, "two").id;
    world.settle();
    assert_eq!(world.person("bob").group(group).unread, 2);
    world.person("alice").does(delete(second));
    world.settle();
    assert_eq!(world.person("bob").group(group).unread, 1);
    world.person("bob").does(message::Read { mark: true, ..message::Read::of(Target::Group(group)) });
    world.person("alice").does(edit(first, "1"));
    world.settle();
    assert_eq!(world.person("bob").group(group).unread, 0);
}

/// R-CONTENT-01: not even an owner of the group changes what somebody else said.
#[test]
fn r_content_01_nobody_changes_what_another_account_said() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("bob").says(group, "mine").id;
    world.settle();
    let commands: [Command; 2] = [edit(id, "yours").into(), delete(id).into()];
    for command in commands {
        let error = world.person("alice").cannot(command, ErrorKind::Refused);
        assert!(error.message.contains("@bob"), "{}", error.message);
    }
    world.person("alice").does(delete_here(id));
    assert_eq!(shown(&mut world, "alice", group, id), gone());
    assert_eq!(shown(&mut world, "bob", group, id), ("mine".into(), false, false));
    assert_eq!(world.person("alice").status().outbox, 0, "nobody is told");
    // But the other front ends of this profile are.
    let alice = world.index("alice");
    let heard =
        |event: &Event| matches!(event, Event::Changed { message } if message.id == id && message.deleted);
    assert!(world.people[alice].events.iter().any(heard));
}

#[test]
fn an_id_that_means_nothing_or_several_messages_is_refused_with_a_sentence() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "hello").id;
    let by =
        |id: &str| message::Edit { message: MessageRef { id: id.into(), within: None }, text: "x".into() };
    let whole = id.to_string();
    world.person("alice").cannot(by("abc"), ErrorKind::Usage);
    world.person("alice").cannot(by("not an id"), ErrorKind::Usage);
    let other = if whole.starts_with("aaaaaa") { "bbbbbb" } else { "aaaaaa" };
    world.person("alice").cannot(by(other), ErrorKind::NotFound);
    world.person("alice").cannot(edit(id, " "), ErrorKind::Usage);
    assert_eq!(world.person("alice").does(by(&whole[..8])).text, "x");
    let elsewhere =
        MessageRef { id: whole, within: Some(Target::Group(world.person("alice").creates("other", &[]))) };
    world.person("alice").cannot(message::Delete { message: elsewhere, local: false }, ErrorKind::NotFound);
    let added = world.person("alice").messages(group).into_iter().find(|line| line.event().is_some());
    if let Some(line) = added {
        world.person("alice").cannot(delete(line.id), ErrorKind::NotFound);
    }
    world.person("alice").does(delete(id));
    world.person("alice").cannot(edit(id, "again"), ErrorKind::Refused);
}

#[test]
fn changes_made_offline_wait_and_arrive_in_order_after_kills() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let sent = world.person("alice").says(group, "sent").id;
    world.settle();
    world.person("alice").disconnects();
    let queued = world.person("alice").does(send(group, "queued")).id;
    for id in [sent, queued] {
        let view = world.person("alice").does(edit(id, "changed"));
        assert_eq!((view.id, view.text.as_str(), view.state), (id, "changed", MessageState::Queued));
    }
    world.person("alice").restarts(End::Kill);
    world.person("alice").does(edit(sent, "changed twice"));
    world.person("alice").does(delete(queued));
    world.person("alice").connects();
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(shown(&mut world, name, group, sent), edited("changed twice"), "{name}");
        // It never left, so nobody has to be told that it is gone.
        assert!(world.person(name).messages(group).iter().all(|line| line.id != queued), "{name}");
    }
}

/// R-CONTENT-08: a message that never left this device is not said when it is deleted, nor what was to change it.
#[test]
fn r_content_08_a_message_that_was_deleted_before_it_was_sent_reaches_nobody() {
    let mut world = World::of(8, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.settle();
    world.person("alice").disconnects();
    let secret = world.person("alice").says(group, "secret").id;
    let other = world.person("alice").says(group, "not secret").id;
    world.person("alice").does(edit(secret, "a secret"));
    let view = world.person("alice").does(delete(secret));
    assert_eq!((view.id, view.text.as_str(), view.deleted), (secret, "", true));
    assert_eq!(world.person("alice").status().outbox, 1, "the other one waits");
    world.person("alice").cannot(edit(secret, "again"), ErrorKind::NotFound);
    world.person("alice").connects();
    world.settle();
    for name in ["alice", "bob"] {
        let seen = world.person(name).messages(group);
        let words: Vec<_> = seen.iter().filter(|line| line.event().is_none()).collect();
        assert_eq!(words.iter().map(|line| line.id).collect::<Vec<_>>(), [other], "{name}");
    }
}

#[test]
fn a_change_that_waits_is_shown_as_it_will_be_and_nothing_follows_a_deletion() {
    let mut world = World::of(9, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tee at five").id;
    let other = world.person("alice").says(group, "and cake").id;
    world.settle();
    world.person("alice").disconnects();
    world.person("alice").does(edit(id, "tea at five"));
    world.person("alice").does(delete(other));
    assert_eq!(shown(&mut world, "alice", group, id), edited("tea at five"));
    assert_eq!(shown(&mut world, "alice", group, other), gone());
    let waits = |line: &MessageView| line.state == MessageState::Queued;
    assert_eq!(world.person("alice").messages(group).iter().filter(|line| waits(line)).count(), 2);
    world.person("alice").cannot(edit(other, "and pie"), ErrorKind::Refused);
    world.person("alice").cannot(delete(other), ErrorKind::Refused);
    world.person("alice").connects();
    world.settle();
    assert_eq!(shown(&mut world, "bob", group, id), edited("tea at five"));
    assert_eq!(shown(&mut world, "bob", group, other), gone());
    assert_eq!(world.person("alice").messages(group).iter().filter(|line| waits(line)).count(), 0);
}

/// Another device of the account changes what the first one said, and a new device gets the words that stand.
#[test]
fn own_devices_change_each_others_words_and_a_new_one_sees_what_stands() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let first = world.person("alice").says(group, "one").id;
    let second = world.person("alice").says(group, "two").id;
    world.settle();
    link(&mut world, "alice", "tablet");
    world.person("tablet").does(edit(first, "one and only"));
    world.person("alice").does(delete(second));
    world.settle();
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    for name in ["alice", "tablet", "phone", "bob"] {
        assert_eq!(shown(&mut world, name, group, first), edited("one and only"), "{name}");
        assert_eq!(shown(&mut world, name, group, second), gone(), "{name}");
    }
    world.person("phone").does(edit(first, "one of three"));
    world.settle();
    for name in ["alice", "tablet", "phone", "bob"] {
        assert_eq!(shown(&mut world, name, group, first), edited("one of three"), "{name}");
    }
}

/// R-CONTENT-05: the broker lost the message and what changed it; both are said again, and stand as they stood.
#[test]
fn r_content_05_a_log_that_lost_a_message_and_its_edit_gets_both_back() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("alice").says(group, "before");
    world.settle();
    let kept = world.log.clone();
    world.person("carol").disconnects();
    let first = world.person("alice").says(group, "one").id;
    let second = world.person("alice").says(group, "two").id;
    world.person("alice").does(edit(first, "one, edited"));
    world.person("alice").does(delete(second));
    world.settle();
    world.broker_returns(|log| log.restore(&kept));
    world.person("carol").connects();
    world.settle();
    world.pass(Duration::from_secs(2 * 3600));
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(shown(&mut world, name, group, first), edited("one, edited"), "{name}");
    }
    for name in ["alice", "bob"] {
        assert_eq!(shown(&mut world, name, group, second), gone(), "{name}");
    }
    assert!(
        world.person("carol").messages(group).iter().all(|line| line.id != second),
        "what was taken back is not said again"
    );
}
