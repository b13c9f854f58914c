//! What people say beyond words: polls, pins, threads, mentions, what is passed on, and what a group wants of all that.

use std::time::Duration;

use cipher_api::command::message::{self, MessageRef};
use cipher_api::command::{bot, contact, group, poll};
use cipher_api::view::{
    Body, BotChange, GroupEvent, HistoryPolicy, MessageState, MessageView, PollView, WhoMay,
};
use cipher_api::{ErrorKind, Notice, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

fn of(id: MessageId) -> MessageRef {
    MessageRef { id: id.to_string(), within: None }
}

fn ask(group: GroupId, multiple: bool) -> poll::Create {
    let options = ["noon", "one", "never"].map(String::from).to_vec();
    poll::Create { target: Target::Group(group), question: "lunch?".into(), options, multiple }
}

fn vote(id: MessageId, options: &[&str]) -> poll::Vote {
    poll::Vote { message: of(id), options: options.iter().map(|option| (*option).to_owned()).collect() }
}

fn found(world: &mut World, name: &str, group: GroupId, id: MessageId) -> MessageView {
    world.person(name).messages(group).into_iter().find(|message| message.id == id).unwrap()
}

fn stands(view: &MessageView) -> PollView {
    match &view.body {
        Body::Poll(poll) => poll.clone(),
        other => panic!("{other:?} is no poll"),
    }
}

/// How many chose each answer, as somebody sees it.
fn counts(world: &mut World, name: &str, group: GroupId, id: MessageId) -> Vec<usize> {
    stands(&found(world, name, group, id)).options.iter().map(|option| option.votes).collect()
}

fn set(group: GroupId) -> group::Set {
    group::Set::of(Target::Group(group))
}

#[test]
fn everybody_counts_the_same_votes_and_none_behind_the_close() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = world.person("alice").does(ask(group, false)).id;
    world.settle();
    assert_eq!(world.person("bob").group(group).unread, 1, "a question is something to read");
    world.person("bob").does(vote(id, &["2"]));
    world.person("carol").does(vote(id, &["NOON"]));
    world.settle();
    let view = world.person("bob").does(vote(id, &["never"]));
    assert_eq!(stands(&view).options[2].by, ["bob"]);
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(counts(&mut world, name, group, id), [1, 0, 1], "{name}");
        world.person(name).restarts(End::Kill);
        assert_eq!(counts(&mut world, name, group, id), [1, 0, 1], "{name}");
    }
    world.person("carol").does(vote(id, &[]));
    world.settle();
    // Two say their last word at once: the log decides.
    world.person("bob").disconnects();
    world.person("bob").does(vote(id, &["one"]));
    assert_eq!(counts(&mut world, "bob", group, id), [0, 1, 0], "as it will be");
    world.person("alice").does(poll::Close { message: of(id) });
    world.settle();
    world.person("bob").connects();
    world.settle();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(counts(&mut world, name, group, id), [0, 0, 1], "{name}");
        assert!(stands(&found(&mut world, name, group, id)).closed);
    }
    let error = world.person("carol").cannot(vote(id, &["1"]), ErrorKind::Refused);
    assert_eq!(error.message, "this poll is closed: it takes no more votes");
    oracle::judge(&mut world);
}

#[test]
fn what_is_no_vote_is_refused_with_a_sentence() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let words = world.person("alice").says(group, "tea").id;
    let one = world.person("alice").does(ask(group, false)).id;
    let several = world.person("alice").does(ask(group, true)).id;
    world.settle();
    for (id, options, kind, sentence) in [
        (words, &["1"][..], ErrorKind::Refused, "this message is no poll"),
        (one, &["4"], ErrorKind::Usage, "'4' is no answer of this poll; they have the numbers 1 to 3"),
        (one, &["tea"], ErrorKind::Usage, "'tea' is no answer of this poll; they have the numbers 1 to 3"),
        (one, &["1", "2"], ErrorKind::Usage, "this poll takes one answer only"),
    ] {
        assert_eq!(world.person("bob").cannot(vote(id, options), kind).message, sentence);
    }
    assert_eq!(stands(&world.person("bob").does(vote(several, &["1", "never", "1"]))).voters, 1);
    world.person("bob").cannot(poll::Close { message: of(one) }, ErrorKind::Refused);
    for options in [&["yes"][..], &["yes", "yes"], &["yes", " "]] {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        world.person("alice").cannot(poll::Create { options, ..ask(group, false) }, ErrorKind::Usage);
    }
    world.person("alice").does(message::Delete { message: of(one), local: false });
    world.settle();
    world.person("bob").cannot(vote(one, &["1"]), ErrorKind::Refused);
}

/// Who is away sees what it pinned at once, as it sees its own words.
#[test]
fn a_pin_that_waits_to_be_sent_is_listed_and_one_that_is_to_go_is_not() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let [first, second] = ["one", "two"].map(|text| world.person("alice").says(group, text).id);
    world.settle();
    world.person("bob").does(message::Pin { message: of(first), remove: false });
    world.settle();
    let pins = |world: &mut World, name: &str| -> Vec<MessageId> {
        let pins = world.person(name).does(message::Pins { target: Target::Group(group) });
        pins.iter().map(|view| view.id).collect()
    };
    assert_eq!(pins(&mut world, "bob"), [first]);
    world.person("bob").disconnects();
    world.person("bob").does(message::Pin { message: of(second), remove: false });
    assert_eq!(pins(&mut world, "bob"), [first, second]);
    world.person("bob").does(message::Pin { message: of(first), remove: true });
    assert_eq!(pins(&mut world, "bob"), [second]);
    assert_eq!(pins(&mut world, "alice"), [first]);
    world.person("bob").connects();
    world.settle();
    for name in ["alice", "bob"] {
        world.person(name).restarts(End::Kill);
        assert_eq!(pins(&mut world, name), [second], "{name}");
    }
    oracle::judge(&mut world);
}

#[test]
fn a_group_says_who_pins_and_who_takes_back_what_others_said() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = world.person("carol").says(group, "tea at five").id;
    world.settle();
    world.person("bob").does(message::Pin { message: of(id), remove: false });
    world.settle();
    for name in ["alice", "bob", "carol"] {
        let pins = world.person(name).does(message::Pins { target: Target::Group(group) });
        assert_eq!(pins.iter().map(|view| view.id).collect::<Vec<_>>(), [id], "{name}");
        assert_eq!(pins[0].pinned_by.as_deref(), Some("bob"));
    }
    world.person("bob").cannot(message::Pin { message: of(id), remove: false }, ErrorKind::Refused);
    let error =
        world.person("bob").cannot(message::Delete { message: of(id), local: false }, ErrorKind::Refused);
    assert_eq!(error.message, "only @carol, who said it, can change this message");
    // By roles from now on.
    let member = world.person("alice").makes(group, "carol", cipher_broker::wire::group::Role::Member);
    assert_eq!(member.accounts, 3);
    world.settle();
    let wanted = group::Set {
        topic: Some("who is on call".into()),
        pin: Some(WhoMay::Admins),
        delete: Some(WhoMay::Admins),
        ..set(group)
    };
    world.person("carol").cannot(wanted.clone(), ErrorKind::Refused);
    let view = world.person("alice").does(wanted.clone());
    assert_eq!((view.settings.topic.as_str(), view.settings.pin), ("who is on call", WhoMay::Admins));
    assert_eq!(world.person("alice").does(wanted).epoch, view.epoch, "nothing to change");
    world.settle();
    let told: Vec<String> = world
        .person("carol")
        .messages(group)
        .into_iter()
        .filter(|line| matches!(line.event(), Some(GroupEvent::Topic | GroupEvent::Settings)))
        .map(|line| line.text)
        .collect();
    let expected =
        ["@alice set the topic to 'who is on call'", "@alice set delete=admins", "@alice set pin=admins"];
    assert_eq!(told, expected);
    let error =
        world.person("carol").cannot(message::Pin { message: of(id), remove: true }, ErrorKind::Refused);
    assert_eq!(error.message, "your role in the group does not allow to pin messages");
    world.person("bob").does(message::Delete { message: of(id), local: false });
    world.settle();
    for name in ["alice", "bob", "carol"] {
        let view = found(&mut world, name, group, id);
        assert_eq!(
            (view.deleted, view.deleted_by.as_deref(), view.text.as_str()),
            (true, Some("bob"), ""),
            "{name}"
        );
        assert!(world.person(name).does(message::Pins { target: Target::Group(group) }).is_empty(), "{name}");
    }
    oracle::judge(&mut world);
}

#[test]
fn an_edit_comes_too_late_where_the_group_wants_messages_to_stay() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("bob").says(group, "tee").id;
    world.person("alice").does(group::Set { edit_seconds: Some(900), ..set(group) });
    world.settle();
    let edit = |text: &str| message::Edit { message: of(id), text: text.into() };
    world.person("bob").does(edit("tea"));
    world.settle();
    world.pass(Duration::from_secs(1000));
    let error = world.person("bob").cannot(edit("coffee"), ErrorKind::Refused);
    assert!(error.message.starts_with("it is too late to edit this message"), "{}", error.message);
    world.person("alice").does(group::Set { edit_seconds: Some(0), ..set(group) });
    world.settle();
    world.person("bob").does(edit("coffee"));
    world.settle();
    for name in ["alice", "bob"] {
        assert_eq!(found(&mut world, name, group, id).text, "coffee");
        let edits = world.person(name).does(message::Edits { message: of(id) });
        let words: Vec<_> = edits.iter().map(|edit| (edit.text.as_str(), edit.current)).collect();
        assert_eq!(words, [("tee", false), ("tea", false), ("coffee", true)], "{name}");
    }
    world.person("bob").does(message::Delete { message: of(id), local: false });
    world.settle();
    assert!(world.person("alice").does(message::Edits { message: of(id) }).is_empty());
}

#[test]
fn the_two_of_a_direct_conversation_are_equal_in_it() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let to = Target::Account("bob".parse().unwrap());
    world.person("alice").does(message::Send::new(to, "hi"));
    world.settle();
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    let target = Target::Account("alice".parse().unwrap());
    let wanted = group::Set { target, edit_seconds: Some(60), ..set(GroupId::from_bytes([0; 16])) };
    assert_eq!(world.person("bob").does(wanted.clone()).settings.edit_seconds, Some(60));
    world.person("bob").cannot(group::Set { topic: Some("us".into()), ..wanted }, ErrorKind::Refused);
}

#[test]
fn a_thread_is_what_was_said_in_answer_to_one_message() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let root = world.person("alice").says(group, "deploy?").id;
    world.settle();
    let within = |id, text: &str| message::Send { thread: Some(of(id)), ..send(group, text) };
    let first = world.person("bob").does(within(root, "on it"));
    assert_eq!(first.thread, Some(root));
    world.settle();
    world.person("bob").says(group, "lunch?");
    world.settle();
    // In the thread of an answer is in its thread.
    assert_eq!(world.person("alice").does(within(first.id, "thanks")).thread, Some(root));
    world.settle();
    world.person("alice").disconnects();
    world.person("alice").does(within(root, "done?"));
    let texts = |world: &mut World, name: &str, id| -> Vec<String> {
        let thread = world.person(name).does(message::Thread { message: of(id) });
        thread.into_iter().map(|view| view.text).collect()
    };
    assert_eq!(texts(&mut world, "alice", first.id), ["deploy?", "on it", "thanks", "done?"]);
    world.person("alice").connects();
    world.settle();
    assert_eq!(texts(&mut world, "bob", root), ["deploy?", "on it", "thanks", "done?"]);
    let event = world.person("bob").messages(group).into_iter().find(|line| line.event().is_some()).unwrap();
    world.person("bob").cannot(within(event.id, "no"), ErrorKind::NotFound);
}

#[test]
fn a_text_names_members_by_their_accounts() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let said = world.person("alice").does(send(group, "@bob, ask @carol. Not me@alice or @nobody"));
    assert_eq!(said.mentions, ["bob", "carol"]);
    world.settle();
    for (name, named) in [("bob", true), ("carol", true), ("alice", false)] {
        let view = found(&mut world, name, group, said.id);
        assert_eq!((view.mentions.len(), view.mentions_own), (2, named), "{name}");
        assert_eq!(view.text, said.text);
    }
    world.person("alice").does(message::Edit { message: of(said.id), text: "@carol only".into() });
    world.settle();
    let view = found(&mut world, "bob", group, said.id);
    assert_eq!((view.mentions, view.mentions_own), (vec!["carol".to_owned()], false));
}

#[test]
fn what_is_passed_on_says_so_and_nothing_of_where_it_was_said() {
    let mut world = World::of(8, Flavour::R1, &["alice", "bob", "carol"]);
    let (ops, dev) = (world.admins("ops", &["alice", "bob"]), world.admins("dev", &["alice", "carol"]));
    let id = world.person("bob").says(ops, "the code is 7").id;
    world.settle();
    let passed = world.person("alice").does(message::Forward { message: of(id), target: Target::Group(dev) });
    assert!(passed.forwarded && passed.id != id);
    world.settle();
    let view = found(&mut world, "carol", dev, passed.id);
    assert_eq!(
        (view.text.as_str(), view.forwarded, view.from.handle.as_str()),
        ("the code is 7", true, "alice")
    );
    let poll = world.person("bob").does(ask(ops, false)).id;
    world.settle();
    world
        .person("alice")
        .cannot(message::Forward { message: of(poll), target: Target::Group(dev) }, ErrorKind::Refused);
    world.person("bob").does(message::Delete { message: of(id), local: false });
    world.settle();
    world
        .person("alice")
        .cannot(message::Forward { message: of(id), target: Target::Group(dev) }, ErrorKind::Refused);
}

/// R-SYNC-06: a new device gets all of it with the history, and what comes while history travels.
#[test]
fn r_sync_06_a_new_device_sees_polls_pins_threads_and_earlier_words() {
    let mut world = World::of(9, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let root = world.person("alice").says(group, "lunch, @bob?").id;
    world.settle();
    let poll = world.person("bob").does(ask(group, true)).id;
    world.settle();
    world.person("alice").does(vote(poll, &["1", "2"]));
    world.person("bob").does(vote(poll, &["2"]));
    world.person("bob").does(message::Send { thread: Some(of(root)), ..send(group, "yes") });
    world.person("alice").does(message::Edit { message: of(root), text: "lunch today, @bob?".into() });
    world.person("bob").does(message::Pin { message: of(root), remove: false });
    world.settle();
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    assert_eq!(counts(&mut world, "phone", group, poll), [1, 2, 0]);
    let pins = world.person("phone").does(message::Pins { target: Target::Group(group) });
    assert_eq!((pins.len(), pins[0].mentions.as_slice()), (1, ["bob".to_owned()].as_slice()));
    assert_eq!(world.person("phone").does(message::Thread { message: of(root) }).len(), 2);
    let edits = world.person("phone").does(message::Edits { message: of(root) });
    let words: Vec<_> = edits.iter().map(|edit| edit.text.as_str()).collect();
    assert_eq!(words, ["lunch, @bob?", "lunch today, @bob?"]);
    world.person("phone").does(vote(poll, &["never"]));
    world.person("phone").does(message::Pin { message: of(root), remove: true });
    world.settle();
    for name in ["alice", "phone", "bob"] {
        assert_eq!(counts(&mut world, name, group, poll), [0, 1, 1], "{name}");
        assert!(world.person(name).does(message::Pins { target: Target::Group(group) }).is_empty(), "{name}");
    }
}

#[test]
fn changes_of_a_message_that_waits_are_shown_one_upon_the_other() {
    let mut world = World::of(10, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let sent = world.person("alice").says(group, "tee").id;
    world.settle();
    world.person("alice").disconnects();
    let waits = world.person("alice").does(send(group, "coffe")).id;
    for (id, texts) in [(sent, ["te", "tea"]), (waits, ["coffe!", "coffee"])] {
        for text in texts {
            let view = world.person("alice").does(message::Edit { message: of(id), text: text.into() });
            assert_eq!((view.text.as_str(), view.state), (text, MessageState::Queued));
        }
    }
    world.person("alice").does(message::Pin { message: of(sent), remove: false });
    let view = found(&mut world, "alice", group, sent);
    assert_eq!((view.text.as_str(), view.edited, view.pinned_by.is_some()), ("tea", true, true));
    assert_eq!(found(&mut world, "alice", group, waits).text, "coffee");
    world.person("alice").connects();
    world.settle();
    let view = found(&mut world, "bob", group, sent);
    assert_eq!((view.text.as_str(), view.pinned_by.as_deref()), ("tea", Some("alice")));
    assert_eq!(found(&mut world, "bob", group, waits).text, "coffee");
}

/// R-POLL-04, R-PINNED-01: what others said meanwhile kept it from counting, and the person hears of it.
#[test]
fn a_change_that_comes_too_late_is_told_to_who_made_it() {
    let mut world = World::of(11, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("alice").does(ask(group, false)).id;
    world.settle();
    world.person("bob").disconnects();
    world.person("bob").does(vote(id, &["1"]));
    world.person("alice").does(poll::Close { message: of(id) });
    world.settle();
    world.person("bob").connects();
    world.settle();
    assert_eq!(counts(&mut world, "bob", group, id), [0, 0, 0]);
    let told: Vec<String> = world
        .notices("bob")
        .filter_map(|notice| match notice {
            Notice::ChangeNotDelivered { error, .. } => Some(error.message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["this poll is closed: it takes no more votes"]);
}

/// R-CONTACT-02: whatever asks for it, also what a member that is heard made of it.
#[test]
fn r_contact_02_no_words_of_a_blocked_account_are_shown_whatever_is_asked() {
    let mut world = World::of(21, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let id = world.person("carol").says(group, "buy now").id;
    world.settle();
    world.person("carol").does(message::Edit { message: of(id), text: "buy cheap".into() });
    world.settle();
    world
        .person("alice")
        .does(contact::Block { who: "carol".parse::<cipher_broker::handle::Handle>().unwrap().into() });
    let shown = world.person("alice").does(message::Show { message: of(id) });
    assert_eq!((shown.text.as_str(), shown.mentions.len()), ("", 0));
    assert!(world.person("alice").does(message::Edits { message: of(id) }).is_empty());
    let react = message::React { message: of(id), emoji: "thumbsup".into(), remove: false };
    let reacted = world.person("alice").does(react);
    assert_eq!(reacted.text, "");
    world.settle();
    world
        .person("alice")
        .does(contact::Unblock { who: "carol".parse::<cipher_broker::handle::Handle>().unwrap().into() });
    assert_eq!(world.person("alice").does(message::Show { message: of(id) }).text, "buy cheap");
    assert_eq!(world.person("alice").does(message::Edits { message: of(id) }).len(), 2);
}

/// B02: a bot learns how many bots led to a change, and what a vote chose when it was given, however often the account voted since.
#[test]
fn b02_a_bot_is_told_each_change_with_what_it_said() {
    let mut world = World::of(22, Flavour::R1, &["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.admins("ops", &["alice", "bob", "echo"]);
    let events = |world: &mut World| {
        world.person("echo").does(bot::Events { bot: "echo".into(), limit: 1000, busy: vec![] })
    };
    assert!(!events(&mut world).is_empty(), "it is known from now on");
    let poll = world.person("alice").does(ask(group, false)).id;
    world.settle();
    let votes = ["noon", "one", "never"].into_iter().cycle().take(11);
    for option in votes.clone() {
        world.person("bob").does(vote(poll, &[option]));
        world.settle();
    }
    world.person("bob").does(vote(poll, &[]));
    world.person("bob").does(message::Pin { message: of(poll), remove: false });
    world.person("alice").does(poll::Close { message: of(poll) });
    world.settle();
    let told: Vec<(String, u8)> = events(&mut world)
        .iter()
        .filter_map(|event| event.change.as_ref())
        .map(|change| match &change.what {
            BotChange::Vote { options } => (options.join(","), change.hops),
            BotChange::Pinned { removed: false } => ("pinned".into(), change.hops),
            BotChange::PollClosed => ("closed".into(), change.hops),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut expected: Vec<String> = votes.map(str::to_owned).collect();
    expected.extend(["", "pinned", "closed"].map(str::to_owned));
    assert_eq!(told, expected.into_iter().map(|what| (what, 0)).collect::<Vec<_>>());
}
