//! The journal: who comes again is told what was told meanwhile, once and in order, as it is by then.

use cipher_api::command::{contact, event, message};
use cipher_api::view::{EventsView, GroupState};
use cipher_api::{Cursor, ErrorKind, Event, Notice};
use cipher_broker::id::GroupId;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::world::World;

/// Everything behind a cursor, in pages of `limit`.
fn behind(world: &mut World, name: &str, after: Cursor, limit: usize) -> EventsView {
    let index = world.index(name);
    let mut all = EventsView { events: Vec::new(), next: after, more: false, missed: 0, known: false };
    loop {
        let list = event::List { after: Some(all.next), subscriber: None, limit };
        let page = world.run(index, list).unwrap();
        assert!(page.events.len() <= limit);
        all.missed += page.missed;
        all.events.extend(page.events);
        all.next = page.next;
        if !page.more {
            return all;
        }
    }
}

/// Texts that were told as new messages, in order.
pub(crate) fn texts(world: &mut World, name: &str, after: Cursor) -> Vec<String> {
    let all = behind(world, name, after, 7);
    let told = all.events.into_iter().filter_map(|kept| match kept.event {
        Event::Message(view) => Some(view.text),
        _ => None,
    });
    told.collect()
}

fn end_of(world: &mut World, name: &str) -> Cursor {
    let index = world.index(name);
    let list = event::List::default();
    let page = world.run(index, list).unwrap();
    assert!(page.events.is_empty() && !page.more);
    page.next
}

fn world() -> (World, GroupId) {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let group = world.group_of("ops", &["alice", "bob"]);
    world.settle();
    (world, group)
}

#[test]
fn what_was_told_to_a_process_that_ended_is_told_again_in_order() {
    let (mut world, group) = world();
    let begin = end_of(&mut world, "bob");
    let mut cursors = Vec::new();
    for n in 0..20 {
        world.person("alice").says(group, &format!("text {n}"));
        if n % 3 == 0 {
            world.settle();
            cursors.push((n, end_of(&mut world, "bob")));
        }
        if n % 7 == 0 {
            world.person("bob").restarts(if n % 2 == 0 { End::Kill } else { End::PowerLoss });
        }
    }
    world.settle();
    let all: Vec<String> = (0..20).map(|n| format!("text {n}")).collect();
    assert_eq!(texts(&mut world, "bob", begin), all);
    for (n, cursor) in cursors {
        assert_eq!(texts(&mut world, "bob", cursor), all[n + 1..]);
    }
    let told = behind(&mut world, "bob", Cursor(0), 3);
    assert!(told.events.is_sorted_by(|one, next| one.cursor < next.cursor));
    assert_eq!(told, behind(&mut world, "bob", Cursor(0), 1000));
    assert_eq!(told.missed, 0);
}

#[test]
fn an_event_is_told_again_as_the_store_has_it_by_then() {
    let (mut world, group) = world();
    let begin = end_of(&mut world, "bob");
    let taken_back = world.person("alice").says(group, "a secret").id;
    world.person("alice").says(group, "tee");
    world.settle();
    let tea = world.person("alice").messages(group).into_iter().find(|view| view.text == "tee").unwrap().id;
    let of = |id: cipher_broker::id::MessageId| message::MessageRef { id: id.to_string(), within: None };
    world.person("alice").does(message::Delete { message: of(taken_back), local: false });
    world.person("alice").does(message::Edit { message: of(tea), text: "tea".into() });
    world.person("alice").renames(group, "kitchen");
    world.settle();
    let told = behind(&mut world, "bob", begin, 64);
    let mut seen = Vec::new();
    for kept in &told.events {
        match &kept.event {
            Event::Message(view) | Event::Changed { message: view } => {
                seen.push((view.id, view.text.as_str(), view.deleted));
            }
            Event::Group(view) => assert_eq!(view.name, "kitchen"),
            _ => {}
        }
    }
    let words = |id, text, deleted| seen.iter().filter(|line| **line == (id, text, deleted)).count();
    assert_eq!((words(taken_back, "", true), words(tea, "tea", false)), (2, 2), "{seen:?}");
    assert!(!format!("{told:?}").contains("a secret"), "nothing keeps words that were taken back");

    // A blocked account's words are not told either.
    world.person("bob").does(contact::Block { who: "alice".parse().unwrap() });
    let silent = texts(&mut world, "bob", begin);
    assert!(!silent.contains(&"tea".to_owned()), "{silent:?}");
}

#[test]
fn a_group_is_told_once_a_page_and_warnings_are_kept() {
    let (mut world, group) = world();
    let begin = end_of(&mut world, "alice");
    for name in ["one", "two", "three"] {
        world.person("alice").renames(group, name);
    }
    world.person("alice").creates("three", &[]);
    world.settle();
    let told = behind(&mut world, "alice", begin, 64);
    let views =
        told.events.iter().filter(|kept| matches!(&kept.event, Event::Group(view) if view.id == group));
    assert_eq!(views.count(), 1);
    let warned = |event: &Event| matches!(event, Event::Warning { notice: Notice::SameName { .. } });
    assert_eq!(told.events.iter().filter(|kept| warned(&kept.event)).count(), 1);
    world.person("alice").restarts(End::Kill);
    assert_eq!(behind(&mut world, "alice", begin, 64), told);
    world.person("bob").does(cipher_api::command::group::Leave { target: cipher_api::Target::Group(group) });
    world.settle();
    assert_eq!(world.person("bob").group(group).state, GroupState::Left);
}

#[test]
fn a_named_subscriber_goes_on_where_it_stands_and_never_goes_back() {
    let (mut world, group) = world();
    let list = || event::List { after: None, subscriber: Some("screen".into()), limit: 64 };
    let acknowledge = |cursor| event::Acknowledge { subscriber: "screen".into(), cursor };
    let begin = end_of(&mut world, "bob");
    let page = world.person("bob").does(list());
    assert_eq!((page.known, page.next, page.events.len()), (false, begin, 0), "a new one begins now");
    world.person("bob").does(acknowledge(begin));
    world.person("alice").says(group, "first");
    world.person("alice").says(group, "second");
    world.settle();
    world.person("bob").restarts(End::PowerLoss);
    let page = world.person("bob").does(list());
    assert!(page.known);
    let first = page.events.iter().find(|kept| matches!(&kept.event, Event::Message(_))).unwrap().cursor;
    world.person("bob").does(acknowledge(first));
    world.person("bob").does(acknowledge(begin));
    world.person("bob").restarts(End::Kill);
    let page = world.person("bob").does(list());
    let told: Vec<&str> = page
        .events
        .iter()
        .filter_map(
            |kept| if let Event::Message(view) = &kept.event { Some(view.text.as_str()) } else { None },
        )
        .collect();
    assert_eq!(told, ["second"]);
    for name in ["", "a\nb", &"x".repeat(65)] {
        let wrong = event::Acknowledge { subscriber: name.into(), cursor: begin };
        world.person("bob").cannot(wrong, ErrorKind::Usage);
    }
}

/// A profile that was put back to an earlier state: its cursors are not those that were given since.
#[test]
fn a_cursor_of_a_later_state_is_refused_in_words() {
    let (mut world, group) = world();
    let copy = world.copy_of(1);
    world.person("alice").says(group, "after the copy");
    world.settle();
    let later = end_of(&mut world, "bob");
    world.put_back(1, copy);
    let list = event::List { after: Some(Cursor(later.0 + 100)), subscriber: None, limit: 9 };
    let error = world.person("bob").cannot(list, ErrorKind::NotFound);
    assert!(error.message.contains("put back to an earlier state"), "{error}");
}

#[test]
fn asking_for_events_writes_nothing() {
    let (mut world, group) = world();
    world.person("alice").says(group, "hello");
    world.settle();
    let index = world.index("bob");
    let commits = world.people[index].core.as_ref().unwrap().commits();
    behind(&mut world, "bob", Cursor(0), 5);
    end_of(&mut world, "bob");
    assert_eq!(world.people[index].core.as_ref().unwrap().commits(), commits);
}
