//! What was read, when it was stored, and what a `sync` delivered.

use std::time::Duration;

use cipher_api::Target;
use cipher_api::command::{message, status};
use cipher_api::view::{Body, GroupEvent, MessageView};
use cipher_broker::id::{GroupId, MessageId};

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::world::{World, send};

fn read(group: GroupId, last: Option<usize>) -> message::Read {
    message::Read { last, mark: true, ..message::Read::of(Target::Group(group)) }
}

fn unread(world: &mut World, name: &str, group: GroupId) -> (u64, Vec<String>) {
    let messages = world.person(name).messages(group);
    let open = messages.into_iter().filter(|message| message.unread).map(|message| message.text);
    (world.person(name).group(group).unread, open.collect())
}

/// D01: what was shown is read, and nothing else: the last one of six, one that a follower showed, then the rest.
#[test]
fn d01_only_what_was_shown_is_read() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    for n in 1..=6 {
        world.person("alice").says(group, &format!("{n}"));
    }
    world.settle();
    assert_eq!(unread(&mut world, "bob", group).0, 6);
    world.person("bob").does(read(group, Some(0)));
    assert_eq!(unread(&mut world, "bob", group).0, 6);
    world.person("bob").does(read(group, Some(1)));
    assert_eq!(unread(&mut world, "bob", group), (5, ["1", "2", "3", "4", "5"].map(String::from).to_vec()));
    world.person("alice").says(group, "7");
    world.person("alice").says(group, "8");
    world.settle();
    let id = |world: &mut World, text: &str| {
        world.person("bob").messages(group).iter().find(|message| message.text == text).unwrap().id
    };
    let ids = vec![id(&mut world, "8")];
    world.person("bob").does(message::Shown { group, ids });
    let open = || (6, ["1", "2", "3", "4", "5", "7"].map(String::from).to_vec());
    assert_eq!(unread(&mut world, "bob", group), open());
    world.person("bob").restarts(End::Kill);
    assert_eq!(unread(&mut world, "bob", group), open());
    let ids = vec![id(&mut world, "1"), id(&mut world, "2"), MessageId::from_bytes([9; 16])];
    world.person("bob").does(message::Shown { group, ids });
    assert_eq!(unread(&mut world, "bob", group).1, ["3", "4", "5", "7"]);
    world.person("bob").does(read(group, None));
    assert_eq!(unread(&mut world, "bob", group), (0, Vec::new()));
    world.person("alice").says(group, "9");
    world.settle();
    assert_eq!(unread(&mut world, "bob", group), (1, vec!["9".into()]));
}

fn removal(world: &mut World, name: &str, group: GroupId) -> MessageView {
    let gone = |line: &MessageView| matches!(line.body, Body::Event { event: GroupEvent::Removed, .. });
    world.person(name).messages(group).into_iter().find(gone).unwrap()
}

/// D02: a change of the group carries the broker's time of its commit, whoever reads it, whenever.
#[test]
fn d02_a_system_line_carries_the_brokers_time_of_the_commit() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob", "carol", "dave"]);
    let group = world.admins("ops", &["alice", "bob", "carol", "dave"]);
    world.person("bob").disconnects();
    let before = world.now;
    world.person("alice").removes(group, &["dave"]);
    let after = world.now;
    world.settle();
    world.pass(Duration::from_secs(2 * 3600));
    world.person("alice").says(group, "later");
    world.person("bob").connects();
    world.settle();
    let at = removal(&mut world, "carol", group).sent_at;
    assert!(before <= at && at <= after, "{before} {at} {after}");
    for name in ["alice", "bob", "dave"] {
        assert_eq!(removal(&mut world, name, group).sent_at, at, "{name}");
    }
}

/// D04: a sender whose clock is three hours behind is read by the broker's clock.
#[test]
fn d04_a_message_has_the_brokers_time_whatever_its_sender_says() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let alice = world.index("alice");
    world.people[alice].behind = Duration::from_secs(3 * 3600);
    let before = world.now;
    world.person("alice").says(group, "from the past");
    world.settle();
    let messages = world.person("bob").messages(group);
    let message = messages.iter().find(|message| message.text == "from the past").unwrap();
    assert!(message.sent_at < before.minus(Duration::from_secs(3600)), "{}", message.sent_at);
    assert!(message.at.is_some_and(|at| at >= before && at <= world.now), "{:?}", message.at);
}

/// D10: a `sync` says what it delivered, although the connection may have done so before the command came.
#[test]
fn d10_a_sync_says_what_it_delivered() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.pass(Duration::from_secs(60));
    world.person("alice").disconnects();
    world.person("alice").does(send(group, "one"));
    world.person("alice").does(send(group, "two"));
    world.person("alice").connects();
    let status::Synced { delivered, queued, .. } = world.person("alice").does(status::Sync {});
    assert_eq!(queued, 0);
    let told: Vec<_> = delivered.iter().map(|told| (told.group, told.name.as_str(), told.messages)).collect();
    assert_eq!(told, [(group, "ops", 2)]);
    // What an earlier connection delivered is no news.
    world.pass(Duration::from_secs(60));
    assert_eq!(world.person("alice").does(status::Sync {}).delivered, []);
}

fn texts(messages: &[MessageView]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

/// A script reads on where it stopped, page by page, over restarts, with the whole id of a line or the beginning of one; also of an
/// event. Nothing is left out and nothing comes twice.
#[test]
fn a_conversation_is_read_on_behind_any_line_in_pages() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    for n in 0..20 {
        world.person("alice").says(group, &format!("line {n}"));
    }
    world.settle();
    let all = world.person("bob").messages(group);
    let mut pages =
        world.person("bob").does(message::Read { first: Some(3), ..message::Read::of(Target::Group(group)) });
    loop {
        let id = pages.last().unwrap().id.to_string();
        let id = if pages.len().is_multiple_of(2) { id } else { id.chars().take(10).collect() };
        world.person("bob").restarts(End::Kill);
        let after =
            message::Read { first: Some(3), after: Some(id), ..message::Read::of(Target::Group(group)) };
        let page = world.person("bob").does(after);
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, all);
    assert_eq!(world.person("bob").group(group).unread, 20, "looking marks nothing");
}

#[test]
fn a_line_is_read_with_its_neighbours_and_the_unread_from_the_first_of_them() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let ids: Vec<_> = (0..9).map(|n| world.person("alice").says(group, &format!("{n}")).id).collect();
    world.settle();
    let around = |n: usize, last| message::Read {
        around: Some(ids[n].to_string().chars().take(12).collect()),
        last: Some(last),
        mark: true,
        ..message::Read::of(Target::Group(group))
    };
    assert_eq!(texts(&world.person("bob").does(around(4, 2))), ["2", "3", "4", "5", "6"]);
    assert_eq!(texts(&world.person("bob").does(around(8, 1))), ["7", "8"]);
    let unread =
        |first| message::Read { first, unread: true, mark: true, ..message::Read::of(Target::Group(group)) };
    assert_eq!(texts(&world.person("bob").does(unread(Some(1)))), ["0"]);
    assert_eq!(texts(&world.person("bob").does(unread(None))), ["1"]);
    assert_eq!(texts(&world.person("bob").does(unread(None))), Vec::<&str>::new());
    let both = message::Read { unread: true, ..around(1, 1) };
    world.person("bob").cannot(both, cipher_api::ErrorKind::Usage);
    let unknown = message::Read { around: Some("a".repeat(26)), ..around(1, 1) };
    world.person("bob").cannot(unknown, cipher_api::ErrorKind::NotFound);
    let since = world.now;
    world.pass(Duration::from_secs(7200));
    world.person("alice").says(group, "much later");
    world.settle();
    let since = message::Read { since: Some(since), ..message::Read::of(Target::Group(group)) };
    assert_eq!(texts(&world.person("bob").does(since)), ["much later"]);
    world.person("bob").disconnects();
    let waits = world.person("bob").does(send(group, "waits"));
    let after =
        message::Read { after: Some(waits.id.to_string()), ..message::Read::of(Target::Group(group)) };
    world.person("bob").cannot(after, cipher_api::ErrorKind::Usage);
    let last = message::Read { around: Some(ids[8].to_string()), ..message::Read::of(Target::Group(group)) };
    let last = world.person("bob").does(last);
    assert_eq!(texts(&last[last.len() - 3..]), ["8", "much later", "waits"]);
}

/// A message is answered by the beginning of its id, as it is edited and deleted.
#[test]
fn a_message_is_answered_by_the_beginning_of_its_id() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").says(group, "tea?").id;
    world.settle();
    let reply = |id: String| message::Send { reply_to: Some(id), ..send(group, "yes") };
    let short: String = id.to_string().chars().take(8).collect();
    assert_eq!(world.person("bob").does(reply(short)).reply_to, Some(id));
    world.person("bob").cannot(reply("aaaaaa".into()), cipher_api::ErrorKind::NotFound);
    world.person("bob").cannot(reply("no id!".into()), cipher_api::ErrorKind::Usage);
}
