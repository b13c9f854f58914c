//! Bots: what they have not handled comes again, what they handled never does, and each answer is said once.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{bot, file, group, message};
use cipher_api::reply::Done;
use cipher_api::view::{Body, BotChange, BotEventView, BotMemberView, GroupState, UploadView};
use cipher_api::{Error, ErrorKind, Target};
use cipher_broker::certificate::Kind;
use cipher_broker::id::GroupId;
use cipher_broker::sign::digest;
use cipher_broker::wire::group::Role;

use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{Faults, World, rename, send};

/// Alice and Bob, and Alice's bot in a group with both.
fn world(seed: u64) -> (World, GroupId) {
    let mut world = World::of(seed, Flavour::R1, &["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.admins("ops", &["alice", "bob", "echo"]);
    (world, group)
}

fn events(world: &mut World, bot: &str) -> Vec<BotEventView> {
    world.person("echo").does(bot::Events { bot: bot.into(), limit: 1000, busy: vec![] })
}

/// What a bot says to an event: to a person's text, that text.
fn answer(bot: &str, event: &BotEventView, memory: Option<&[u8]>) -> bot::Handled {
    let (position, place) = (event.position, event.place);
    let group = event.message.group;
    let new = event.changed_at.is_none() && event.message.is_text();
    let said = new && event.message.from.kind == Kind::Person;
    let full = digest("test/salt", &[bot.as_bytes(), group.as_bytes(), &position.to_be_bytes()]);
    let say = bot::Say {
        text: format!("{bot}: {}", event.message.text),
        reply_to: Some(event.message.id),
        reaction: None,
        edit: None,
        poll: None,
        close: None,
        thread: None,
        files: Vec::new(),
        salt: full[..16].try_into().unwrap(),
        hops: event.message.hops + 1,
        at: event.message.at.unwrap_or_default(),
    };
    bot::Handled {
        bot: bot.into(),
        group,
        position,
        place,
        say: said.then_some(say).into_iter().collect(),
        memory: memory.map(<[u8]>::to_vec),
    }
}

/// What a bot says to an event, with files.
fn attaching(event: &BotEventView, files: &[&UploadView]) -> bot::Handled {
    let mut handled = answer("echo", event, None);
    for say in &mut handled.say {
        say.files = files.iter().map(|upload| upload.id).collect();
    }
    handled
}

/// Handles whatever waits, in order. An error ends it: the bot's host starts again.
fn serve(world: &mut World, bot: &str) -> Result<usize, Error> {
    let waiting = events(world, bot);
    for event in &waiting {
        world.person("echo").asks(answer(bot, event, None))?;
    }
    Ok(waiting.len())
}

fn answers(world: &mut World, group: GroupId) -> Vec<String> {
    let mut texts = world.person("bob").texts(group);
    texts.retain(|text| text.starts_with("echo: "));
    texts
}

#[test]
fn every_message_is_answered_exactly_once() {
    let (mut world, group) = world(1);
    for n in 0..10 {
        world.person("bob").says(group, &format!("{n}"));
        world.settle();
        serve(&mut world, "echo").unwrap();
        world.settle();
    }
    serve(&mut world, "echo").unwrap();
    assert!(events(&mut world, "echo").is_empty(), "nothing is left, and a bot does not hear itself");
    let expected: Vec<String> = (0..10).map(|n| format!("echo: {n}")).collect();
    assert_eq!(answers(&mut world, group), expected);
    oracle::judge(&mut world);
}

#[test]
fn what_was_not_handled_comes_again_and_what_was_handled_changes_nothing() {
    let (mut world, group) = world(2);
    serve(&mut world, "echo").unwrap();
    world.person("bob").says(group, "once");
    world.settle();
    let first = events(&mut world, "echo");
    assert_eq!(first, events(&mut world, "echo"), "looking does not handle");
    let command = answer("echo", first.iter().find(|e| e.message.text == "once").unwrap(), Some(b"seen 1"));
    assert_eq!(world.person("echo").does(command.clone()), Done {});
    assert_eq!(world.person("echo").does(command.clone()), Done {});
    world.person("echo").restarts(End::PowerLoss);
    assert_eq!(world.person("echo").does(command.clone()), Done {});
    // Even if the repeat says something else: the event is handled.
    let bot::Handled { bot, group: of, position, place, mut say, .. } = command;
    say[0].text = "something else".into();
    say[0].salt = [9; 16];
    let memory = Some(b"other".to_vec());
    let other = bot::Handled { bot, group: of, position, place, say, memory };
    world.person("echo").does(other);
    world.settle();
    assert_eq!(answers(&mut world, group), ["echo: once"]);
    world.person("bob").says(group, "twice");
    world.settle();
    let next = events(&mut world, "echo");
    assert_eq!(next[0].memory.as_deref(), Some(&b"seen 1"[..]), "the memory of the first handling");
    assert_eq!(next[0].message.text, "twice");
    oracle::judge(&mut world);
}

#[test]
fn a_crash_between_the_event_and_its_handling_repeats_the_event_only() {
    for end in [End::Clean, End::Kill, End::PowerLoss] {
        let (mut world, group) = world(3);
        serve(&mut world, "echo").unwrap();
        for n in 0..6 {
            world.person("bob").says(group, &format!("{n}"));
            world.settle();
            let waiting = events(&mut world, "echo");
            // Before: the event comes again.
            world.person("echo").restarts(end);
            assert_eq!(events(&mut world, "echo"), waiting);
            // After: the answer is on its way and comes once.
            let command = answer("echo", &waiting[0], None);
            world.person("echo").starts(command.clone());
            world.person("echo").restarts(end);
            if n % 2 == 0 {
                world.person("echo").does(command);
            }
            world.settle();
            assert!(events(&mut world, "echo").is_empty());
        }
        let expected: Vec<String> = (0..6).map(|n| format!("echo: {n}")).collect();
        assert_eq!(answers(&mut world, group), expected);
        oracle::judge(&mut world);
    }
}

#[test]
fn every_conversation_and_every_bot_has_a_place_and_a_memory_of_its_own() {
    let (mut world, group) = world(4);
    let second = world.person("alice").creates("second", &["echo", "bob"]);
    world.settle();
    if world.person("bob").group(second).state == GroupState::Invited {
        world.person("bob").accepts(second);
    }
    world.settle();
    for bot in ["echo", "scribe"] {
        serve(&mut world, bot).unwrap();
    }
    world.person("bob").says(group, "in ops");
    world.person("bob").says(second, "in second");
    world.settle();
    let waiting = events(&mut world, "echo");
    assert_eq!(waiting.len(), 2);
    let in_second = waiting.iter().find(|event| event.message.group == second).unwrap();
    assert_eq!(in_second.group_name, "second");
    world.person("echo").does(answer("echo", in_second, Some(b"second")));
    let left = events(&mut world, "echo");
    assert_eq!(left.len(), 1, "the other conversation still waits");
    assert_eq!((left[0].message.group, left[0].memory.clone()), (group, None));
    assert_eq!(events(&mut world, "scribe").len(), 2, "the other bot has not looked");
    world.settle();
    oracle::judge(&mut world);
}

#[test]
fn events_come_in_the_order_of_their_conversation_and_in_bounded_numbers() {
    let (mut world, group) = world(5);
    serve(&mut world, "echo").unwrap();
    for n in 0..9 {
        world.person(if n % 2 == 0 { "alice" } else { "bob" }).says(group, &format!("{n}"));
    }
    world.settle();
    let some = world.person("echo").does(bot::Events { bot: "echo".into(), limit: 4, busy: vec![] });
    let texts: Vec<String> = some.into_iter().map(|event| event.message.text).collect();
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

#[test]
fn through_crashes_and_a_bad_network_each_question_gets_one_answer() {
    for seed in 0..8 {
        let (mut world, group) = world(100 + seed);
        world.faults = Faults::ROUGH;
        let echo = world.index("echo");
        let mut asked = Vec::new();
        for n in 0..30 {
            match world.dice.below(6) {
                0..=1 => {
                    let text = format!("question {n}");
                    world.person("bob").starts(send(group, &text));
                    asked.push(text);
                }
                2 => {
                    // The host looks, handles some of it, and may die in the middle.
                    for event in events(&mut world, "echo") {
                        world.person("echo").starts(answer("echo", &event, None));
                        if world.dice.chance(300) {
                            world.restart(echo, *[End::Clean, End::Kill, End::PowerLoss].get(n % 3).unwrap());
                            break;
                        }
                    }
                }
                3 => {
                    world.person("alice").starts(rename(group, &format!("name {n}")));
                }
                4 => world.restart(echo, End::Kill),
                _ => {
                    world.disconnect(echo);
                    world.churn(5);
                    world.connect(echo);
                }
            }
            world.churn(10);
        }
        world.heal();
        while serve(&mut world, "echo").unwrap() > 0 {
            world.settle();
        }
        world.settle();
        let mut expected: Vec<String> = asked.iter().map(|text| format!("echo: {text}")).collect();
        let mut answers = answers(&mut world, group);
        expected.sort();
        answers.sort();
        assert_eq!(answers, expected, "seed {seed}");
        oracle::judge(&mut world);
    }
}

/// What the bot is told of members, in words; then it has handled that.
fn told(world: &mut World) -> Vec<String> {
    let waiting = events(world, "echo");
    serve(world, "echo").unwrap();
    let told = waiting.into_iter().filter_map(|event| {
        let Body::Event { event: change, .. } = &event.message.body else { return None };
        let role = |member: &BotMemberView| member.role.map_or(String::new(), |role| format!(" {role:?}"));
        let who = event.who.as_ref().map(|who| format!("{}{}", who.handle, role(who)));
        Some(format!("{}: {change:?} {}", event.by.handle, who.unwrap_or_default()))
    });
    told.collect()
}

/// B3, S3: each line of a commit is an event of its own, and so is the bot's own coming and going.
#[test]
fn b3_each_member_that_comes_or_goes_is_an_event_that_says_who_did_it() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob", "carol"]);
    world.register_bot("echo", "alice");
    let group = world.person("alice").creates("ops", &["echo"]);
    world.settle();
    assert_eq!(told(&mut world), ["alice: Added echo Member"], "its own coming");
    world.person("alice").adds(group, &["bob", "carol"]);
    world.settle();
    for name in ["bob", "carol"] {
        world.person(name).accepts(group);
        world.settle();
    }
    let mut both = told(&mut world);
    both.sort();
    assert_eq!(both, ["alice: Added bob Member", "alice: Added carol Member"]);
    world.person("alice").makes(group, "bob", Role::Admin);
    world.settle();
    assert_eq!(told(&mut world), ["alice: Role bob Admin"]);
    world.person("bob").removes(group, &["carol"]);
    world.settle();
    assert_eq!(told(&mut world), ["bob: Removed carol"]);
    world.person("bob").does(group::Leave { target: Target::Group(group) });
    world.settle();
    assert_eq!(told(&mut world), ["bob: Left bob"], "whoever carries it out");
    // Not answered any more, and told all the same, in the order of the log.
    world.person("alice").says(group, "before");
    world.settle();
    world.person("alice").removes(group, &["echo"]);
    world.settle();
    let last = events(&mut world, "echo");
    assert_eq!(last.iter().map(|event| event.message.is_text()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(last[1].by.role, None, "whom it cannot see any more");
    assert_eq!(told(&mut world), ["alice: Removed echo"]);
    world.settle();
    assert!(events(&mut world, "echo").is_empty());
    assert!(!world.person("alice").texts(group).iter().any(|text| text.starts_with("echo: ")));
    oracle::judge(&mut world);
}

/// B3: what was said to the bot before it was removed is not answered once it is back.
#[test]
fn b3_a_bot_that_was_removed_and_added_while_it_was_away_is_told_both_and_answers_what_came_since() {
    let mut world = World::of(7, Flavour::R1, &["alice"]);
    let echo = world.register_bot("echo", "alice");
    let group = world.person("alice").creates("ops", &["echo"]);
    world.settle();
    serve(&mut world, "echo").unwrap();
    world.disconnect(echo);
    world.person("alice").says(group, "before");
    world.person("alice").removes(group, &["echo"]);
    world.settle();
    world.person("alice").adds(group, &["echo"]);
    world.person("alice").says(group, "after");
    world.settle();
    world.connect(echo);
    world.settle();
    let waiting = events(&mut world, "echo");
    let text = |event: &BotEventView| event.message.is_text().then(|| event.message.text.clone());
    assert_eq!(waiting.iter().filter_map(text).collect::<Vec<_>>(), ["before", "after"]);
    assert_eq!(told(&mut world), ["alice: Removed echo Member", "alice: Added echo Member"]);
    world.settle();
    let texts = world.person("alice").texts(group);
    assert_eq!(texts.iter().filter(|text| text.starts_with("echo: ")).collect::<Vec<_>>(), ["echo: after"]);
    oracle::judge(&mut world);
}

/// S6, B5: a conversation in which much waits takes no other's room.
#[test]
fn b5_a_busy_conversation_fills_no_page_and_the_next_turn_is_anothers() {
    let (mut world, busy) = world(8);
    let quiet = world.person("alice").creates("quiet", &["echo"]);
    world.settle();
    serve(&mut world, "echo").unwrap();
    for n in 0..40 {
        world.person("alice").says(busy, &format!("{n}"));
    }
    world.settle();
    world.person("alice").says(quiet, "me too");
    world.settle();
    let mut ask = |limit, without: &[GroupId]| {
        let command = bot::Events { bot: "echo".into(), limit, busy: without.to_vec() };
        let events = world.person("echo").does(command);
        events.into_iter().map(|event| event.message.text).collect::<Vec<_>>()
    };
    assert_eq!(ask(8, &[]), ["0", "1", "2", "3", "me too"]);
    assert_eq!(ask(1, &[]), ["0"], "the one that waits longest");
    assert_eq!(ask(8, &[busy]), ["me too"]);
    assert_eq!(ask(8, &[busy, quiet]), [""; 0]);
    let first = events(&mut world, "echo").remove(0);
    world.person("echo").does(answer("echo", &first, None));
    let next = bot::Events { bot: "echo".into(), limit: 1, busy: vec![] };
    let next = world.person("echo").does(next);
    assert_eq!(next[0].message.text, "me too", "turn by turn");
    // The queue is where it was after a restart, and ends.
    world.person("echo").restarts(End::Kill);
    let command = bot::Events { bot: "echo".into(), limit: 1, busy: vec![] };
    assert_eq!(world.person("echo").does(command), next);
    while serve(&mut world, "echo").unwrap() > 0 {}
    world.settle();
    oracle::judge(&mut world);
}

/// S5: nothing of an answer comes from the host that gives it, so that two of them say one message.
#[test]
fn s5_the_same_event_handled_twice_is_one_message() {
    let (mut world, group) = world(9);
    let echo = world.index("echo");
    serve(&mut world, "echo").unwrap();
    // Later than an hour: a head of the account log would be passed on.
    world.now = world.now.plus(Duration::from_secs(2 * 3600));
    world.person("bob").says(group, "once");
    world.settle();
    let copy = world.copy_of(echo);
    let queued = |world: &mut World| {
        world.disconnect(echo);
        let event = events(world, "echo").remove(0);
        world.person("echo").does(answer("echo", &event, None));
        let messages = world.person("echo").messages(group);
        messages.last().map(|message| (message.id, message.text.clone(), message.sent_at)).unwrap()
    };
    let first = queued(&mut world);
    world.put_back(echo, copy);
    world.now = world.now.plus(Duration::from_secs(30));
    let second = queued(&mut world);
    assert_eq!(first.1, "echo: once");
    assert_eq!(first, second);
}

/// What was taken back before the bot came to it is not asked any more, and nothing waits for it.
#[test]
fn words_that_were_taken_back_are_no_event_and_other_words_count() {
    let (mut world, group) = world(10);
    serve(&mut world, "echo").unwrap();
    for text in ["one", "two"] {
        world.person("bob").says(group, text);
    }
    world.settle();
    let of = |world: &mut World, text: &str| {
        let messages = world.person("bob").messages(group);
        let found = messages.iter().find(|message| message.text == text).unwrap();
        MessageRef { id: found.id.to_string(), within: None }
    };
    let (one, two) = (of(&mut world, "one"), of(&mut world, "two"));
    world.person("bob").does(message::Delete { message: one, local: false });
    world.person("bob").does(message::Edit { message: two, text: "three".into() });
    world.settle();
    let waiting = events(&mut world, "echo");
    let new = waiting.iter().filter(|event| event.changed_at.is_none());
    assert_eq!(new.map(|event| event.message.text.as_str()).collect::<Vec<_>>(), ["three"]);
    let changed = waiting.iter().filter(|event| event.changed_at.is_some());
    let changed =
        changed.map(|event| (event.message.text.as_str(), event.change.as_ref().map(|change| &change.what)));
    assert_eq!(
        changed.collect::<Vec<_>>(),
        [("", Some(&BotChange::Deleted)), ("three", Some(&BotChange::Edited))],
        "both are told, of the messages themselves"
    );
    serve(&mut world, "echo").unwrap();
    world.settle();
    assert_eq!(answers(&mut world, group), ["echo: three"]);
    // The only one that waits is taken back.
    let last = world.person("bob").says(group, "four");
    world.settle();
    let last = MessageRef { id: last.id.to_string(), within: None };
    world.person("bob").does(message::Delete { message: last, local: false });
    world.settle();
    let told = events(&mut world, "echo");
    let [deleted] = told.as_slice() else { panic!("{told:?}") };
    assert!(deleted.message.deleted && deleted.changed_at.is_some());
    // A change by another account than the author's is none, and a bot is not told of it.
    let (before, forged) = (events(&mut world, "echo").len(), deleted.message.id);
    let error = world.person("alice").cannot(
        message::Delete { message: MessageRef { id: forged.to_string(), within: None }, local: false },
        ErrorKind::Refused,
    );
    assert!(error.message.contains("@bob"), "{}", error.message);
    assert_eq!(events(&mut world, "echo").len(), before);
    oracle::judge(&mut world);
}

/// The files of an answer: known by what they hold, so that the answer has one id however often it is made, and by whichever
/// device of the bot.
#[test]
fn an_answer_names_files_and_made_again_it_is_the_same_answer() {
    let mut world = World::of(21, Flavour::R1, &["alice", "bob"]);
    world.register_bot("echo", "alice");
    let group = world.admins("ops", &["alice", "bob", "echo"]);
    serve(&mut world, "echo").unwrap();
    world.person("bob").says(group, "chart please");
    world.settle();
    let event = events(&mut world, "echo").into_iter().find(|event| event.message.is_text()).unwrap();
    let begin = |origin: &str| file::Begin {
        origin: origin.into(),
        name: "chart.csv".into(),
        size: 7,
        repeatable: true,
    };
    let upload = world.person("echo").does(begin("answer 1, content 7"));
    let early = world.person("echo").asks(attaching(&event, &[&upload])).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Misuse, "the broker does not have it yet: {early}");
    world.person("echo").does(file::Drop { id: upload.id });
    // As another host would.
    world.pass(Duration::from_secs(3));
    let again = world.person("echo").does(begin("answer 1, content 7"));
    assert_eq!(
        (again.id, &again.key),
        (upload.id, &upload.key),
        "they follow from what it holds and the account"
    );
    let other = world.person("echo").does(begin("answer 1, content 8"));
    assert!(other.id != upload.id && other.key != upload.key);
    let bobs = world.person("bob").does(begin("answer 1, content 7"));
    assert!(bobs.id != upload.id && bobs.key != upload.key, "the secret of the account counts");
    world.person("echo").does(file::Finish {
        id: again.id,
        hash: vec![7; 32],
        mime: "text/csv".into(),
        preview: None,
    });
    world.person("echo").does(attaching(&event, &[&again]));
    world.person("echo").does(attaching(&event, &[&again]));
    world.settle();
    let said: Vec<_> =
        world.person("bob").messages(group).into_iter().filter(|said| !said.attachments.is_empty()).collect();
    let [said] = said.as_slice() else { panic!("{said:?}") };
    let [shown] = said.attachments.as_slice() else { panic!("{said:?}") };
    let stored = event.message.at.unwrap();
    let expires = stored.plus(cipher_broker::limit::RETENTION);
    assert_eq!((shown.name.as_str(), shown.size, shown.expires), ("chart.csv", 7, Some(expires)));
    let gone = world.person("echo").asks(file::Progress { id: again.id, done: 1 }).unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound, "it is the message's now");
    oracle::judge(&mut world);
}

#[test]
fn r_whisper_03_members_see_that_a_bot_is_at_work() {
    let mut world = World::begun(22, Flavour::R1, 0);
    world.receipts = true;
    for name in ["alice", "bob"] {
        world.register(name);
    }
    world.register_bot("echo", "alice");
    let (group, alone) =
        (world.admins("ops", &["alice", "bob", "echo"]), world.admins("hers", &["alice", "echo"]));
    crate::presence::live(&mut world, 1);
    for (group, person) in [(group, "bob"), (alone, "alice")] {
        world.pass(Duration::from_secs(1));
        crate::presence::writes(&mut world, person);
        world.person("echo").does(message::Typing { target: Target::Group(group) });
        while world.step() {}
        assert_eq!(crate::presence::writes(&mut world, person), [("echo".into(), true)]);
    }
}
