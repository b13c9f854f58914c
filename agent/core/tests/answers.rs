//! What an answer repeats of the message that it answers: what stands here, and never what anybody says of it.

use cipher_api::Target;
use cipher_api::command::message::MessageRef;
use cipher_api::command::{contact, message};
use cipher_api::view::{QuotedState, QuotedView};
use cipher_broker::id::{GroupId, MessageId};

use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::World;

fn answer(group: GroupId, text: &str, of: MessageId) -> message::Send {
    message::Send {
        target: Target::Group(group),
        text: text.into(),
        reply_to: Some(of.to_string()),
        thread: None,
        expire: None,
    }
}

/// What is shown above a message.
fn above(world: &mut World, name: &str, group: GroupId, id: MessageId) -> QuotedView {
    let messages = world.person(name).messages(group);
    messages.into_iter().find(|message| message.id == id).unwrap().quoted.unwrap()
}

fn here(from: &str, text: &str) -> QuotedView {
    QuotedView { from: Some(from.into()), state: QuotedState::Here, text: text.into() }
}

fn nothing() -> QuotedView {
    QuotedView { from: None, state: QuotedState::Missing, text: String::new() }
}

#[test]
fn an_answer_shows_the_words_that_stand_and_who_said_them() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let asked = world.person("alice").says(group, "\ntea at five?\nor later").id;
    world.settle();
    let said = world.person("bob").does(answer(group, "five", asked));
    assert_eq!(said.quoted, Some(here("alice", "tea at five?…")), "before the broker has it");
    world.settle();
    let again = world.person("carol").does(answer(group, "me too", said.id)).id;
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(above(&mut world, name, group, said.id), here("alice", "tea at five?…"), "{name}");
        assert_eq!(above(&mut world, name, group, again), here("bob", "five"), "{name}");
    }
    let message = MessageRef { id: asked.to_string(), within: None };
    world.person("alice").does(message::Edit { message: message.clone(), text: "tea at six?".into() });
    world.settle();
    assert_eq!(above(&mut world, "carol", group, said.id), here("alice", "tea at six?"));
    world.person("alice").does(message::Delete { message, local: false });
    world.settle();
    for name in ["alice", "bob", "carol"] {
        let gone = QuotedView { state: QuotedState::Deleted, ..here("alice", "") };
        assert_eq!(above(&mut world, name, group, said.id), gone, "{name}");
    }
    oracle::judge(&mut world);
}

#[test]
fn what_is_not_here_or_of_a_blocked_account_is_not_repeated() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob", "mallory"]);
    let group = world.admins("ops", &["alice", "bob", "mallory"]);
    let invented = MessageId::from_bytes([7; 16]);
    let lost = world.person("bob").asks(answer(group, "as you said", invented));
    let spam = world.person("mallory").says(group, "buy this").id;
    world.settle();
    let answered = world.person("bob").does(answer(group, "no", spam)).id;
    world.settle();
    if let Ok(lost) = lost {
        assert_eq!(above(&mut world, "alice", group, lost.id), nothing());
    }
    assert_eq!(above(&mut world, "alice", group, answered), here("mallory", "buy this"));
    world.person("alice").does(contact::Block { who: "mallory".parse::<cipher_api::Who>().unwrap() });
    world.settle();
    assert_eq!(above(&mut world, "alice", group, answered), nothing());
    assert_eq!(above(&mut world, "bob", group, answered), here("mallory", "buy this"));
    world.person("alice").does(contact::Unblock { who: "mallory".parse::<cipher_api::Who>().unwrap() });
    assert_eq!(above(&mut world, "alice", group, answered), here("mallory", "buy this"));
    oracle::judge(&mut world);
}

#[test]
fn an_answer_to_what_waits_for_the_broker_shows_it_too() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let first = world.person("alice").says(group, "one").id;
    let second = world.person("alice").does(answer(group, "two", first));
    assert_eq!(second.quoted, Some(here("alice", "one")));
    world.settle();
    assert_eq!(above(&mut world, "bob", group, second.id), here("alice", "one"));
    oracle::judge(&mut world);
}
