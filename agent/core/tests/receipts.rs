//! Receipts: authors see what became of their words, as far as others want to tell.

use std::time::Duration;

use cipher_api::command::{account, contact, message};
use cipher_api::view::{HistoryPolicy, MessageState, MessageView};
use cipher_api::{ErrorKind, Event, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::{World, send};

/// Longer than anybody waits before it tells how far it came.
const A_WHILE: Duration = Duration::from_secs(30);

/// People who tell each other how far they came.
fn world(seed: u64, names: &[&str]) -> World {
    let mut world = World::begun(seed, Flavour::R1, 0);
    world.receipts = true;
    for name in names {
        world.register(name);
    }
    world
}

fn read(world: &mut World, name: &str, group: GroupId) -> Vec<MessageView> {
    let target = Target::Group(group);
    let read = world.person(name).does(message::Read { mark: true, ..message::Read::of(target) });
    world.settle();
    read
}

fn passes(world: &mut World) {
    for _ in 0..3 {
        world.pass(A_WHILE);
        world.settle();
    }
}

fn shown(world: &mut World, name: &str, group: GroupId, id: MessageId) -> MessageView {
    let messages = world.person(name).messages(group);
    messages.into_iter().find(|message| message.id == id).unwrap()
}

fn state(world: &mut World, name: &str, group: GroupId, id: MessageId) -> MessageState {
    shown(world, name, group, id).state
}

fn by(view: &MessageView) -> Vec<(String, MessageState)> {
    view.receipts.iter().map(|receipt| (receipt.handle.clone(), receipt.state)).collect()
}

/// How many entries lie in the log of a group.
fn entries(world: &World, group: GroupId) -> usize {
    world.log.outside(group).len()
}

#[test]
fn an_author_sees_who_has_its_words_and_who_read_them() {
    let mut world = world(1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("carol").disconnects();
    let said = world.person("alice").says(group, "tea at five?");
    let id = said.id;
    assert_eq!(said.state, MessageState::Sent);
    passes(&mut world);
    let view = shown(&mut world, "alice", group, id);
    assert_eq!(
        (view.state, by(&view)),
        (MessageState::Delivered, vec![("bob".into(), MessageState::Delivered)])
    );
    assert!(view.receipts[0].at.is_some());
    read(&mut world, "bob", group);
    passes(&mut world);
    world.person("carol").connects();
    world.settle();
    passes(&mut world);
    let view = shown(&mut world, "alice", group, id);
    let all = vec![("bob".into(), MessageState::Read), ("carol".into(), MessageState::Delivered)];
    assert_eq!((view.state, by(&view)), (MessageState::Read, all));
    // What was told of it, in order, and nothing of it is a line or something to read.
    let states: Vec<MessageState> = world.people[world.index("alice")]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::State { id: of, state, .. } if *of == id => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [MessageState::Sent, MessageState::Delivered, MessageState::Read]);
    assert_eq!(world.person("alice").group(group).unread, 0);
    assert_eq!(world.person("alice").texts(group), ["tea at five?"]);
    world.person("alice").restarts(End::Kill);
    assert_eq!(state(&mut world, "alice", group, id), MessageState::Read);
    // Only the author is shown it.
    assert_eq!(shown(&mut world, "bob", group, id).receipts, []);
    oracle::judge(&mut world);
}

/// R-RECEIPT-07: a lively conversation costs at most one receipt per device in ten seconds, and a quiet one none.
#[test]
fn r_receipt_07_receipts_are_few_and_say_something_new() {
    let mut world = world(2, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    passes(&mut world);
    let (before, begun) = (entries(&world, group), world.now);
    for n in 0..40 {
        world.person("alice").says(group, &format!("{n}"));
        world.settle();
        world.pass(Duration::from_secs(1));
        world.settle();
        read(&mut world, "bob", group);
    }
    passes(&mut world);
    let receipts = entries(&world, group) - before - 40;
    let seconds = world.now.since(begun).as_secs();
    let most = usize::try_from(seconds / 10).unwrap() + 1;
    assert!((4..=most).contains(&receipts), "{receipts} receipts in {seconds} seconds");
    let before = entries(&world, group);
    for _ in 0..5 {
        passes(&mut world);
        read(&mut world, "bob", group);
        world.person("bob").restarts(End::Clean);
    }
    assert_eq!(entries(&world, group), before, "nothing new is to be told");
    let messages = world.person("alice").messages(group);
    assert!(messages.iter().filter(|m| m.is_text()).all(|m| m.state == MessageState::Read));
}

/// R-RECEIPT-08: only what was shown, with everything before it, is told as read.
#[test]
fn r_receipt_08_only_what_was_shown_is_read() {
    let mut world = world(3, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let [first, second, third] =
        ["one", "two", "three"].map(|text| world.person("alice").says(group, text).id);
    world.settle();
    let target = Target::Group(group);
    world.person("bob").does(message::Read::of(target));
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, third), MessageState::Delivered);
    world.person("bob").does(message::Shown { group, ids: vec![first, third] });
    passes(&mut world);
    let states = [first, second, third].map(|id| state(&mut world, "alice", group, id));
    assert_eq!(states, [MessageState::Read, MessageState::Delivered, MessageState::Delivered]);
    world.person("bob").does(message::Shown { group, ids: vec![second] });
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, third), MessageState::Read);
}

/// R-RECEIPT-01: a receipt is the word of the account; its other devices do not say it again.
#[test]
fn r_receipt_01_one_device_of_an_account_tells_for_all() {
    let mut world = world(4, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    passes(&mut world);
    let before = entries(&world, group);
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    read(&mut world, "phone", group);
    passes(&mut world);
    let view = shown(&mut world, "alice", group, id);
    assert_eq!(by(&view), [("bob".into(), MessageState::Read)]);
    let receipts = entries(&world, group) - before - 1;
    assert!(receipts <= 3, "{receipts} for one message and two devices");
    assert_eq!(world.person("bob").group(group).unread, 0, "own devices share what was read");
    // An own device is nobody else.
    let own = world.person("phone").says(group, "yes").id;
    world.person("alice").disconnects();
    passes(&mut world);
    assert_eq!(state(&mut world, "phone", group, own), MessageState::Sent);
}

/// R-RECEIPT-02: who does not tell is not told, and the other devices of the account hear of the choice.
#[test]
fn r_receipt_02_who_tells_nothing_is_told_nothing() {
    let mut world = world(5, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    world.person("bob").does(account::SetReceipts { on: false });
    world.settle();
    assert!(!world.person("phone").status().receipts && world.person("alice").status().receipts);
    passes(&mut world);
    let before = entries(&world, group);
    let id = world.person("alice").says(group, "tea at five?").id;
    let own = world.person("bob").says(group, "no").id;
    world.settle();
    for name in ["bob", "phone", "alice"] {
        read(&mut world, name, group);
    }
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, id), MessageState::Sent);
    assert_eq!(state(&mut world, "bob", group, own), MessageState::Sent, "alice said that it read this");
    let from_alice = entries(&world, group) - before - 2;
    assert!((1..=2).contains(&from_alice), "{from_alice}");
    world.person("phone").does(account::SetReceipts { on: true });
    world.settle();
    let id = world.person("alice").says(group, "again?").id;
    world.settle();
    read(&mut world, "bob", group);
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, id), MessageState::Read);
}

/// R-RECEIPT-02: nothing is told where a blocked account would hear it.
#[test]
fn r_receipt_02_nothing_is_told_to_a_blocked_account() {
    let mut world = world(6, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("bob").does(contact::Block { who: "carol".parse().unwrap() });
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    read(&mut world, "bob", group);
    read(&mut world, "carol", group);
    passes(&mut world);
    assert_eq!(by(&shown(&mut world, "alice", group, id)), [("carol".into(), MessageState::Read)]);
    world.person("bob").does(contact::Unblock { who: "carol".parse().unwrap() });
    let id = world.person("alice").says(group, "and now?").id;
    world.settle();
    read(&mut world, "bob", group);
    passes(&mut world);
    let view = shown(&mut world, "alice", group, id);
    assert!(by(&view).contains(&("bob".into(), MessageState::Read)), "{view:?}");
}

/// R-RECEIPT-05: who comes later has not read what was said before, whatever it reads.
#[test]
fn r_receipt_05_who_comes_later_reached_nothing_of_before() {
    let mut world = world(7, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("bob").disconnects();
    let before = world.person("alice").says(group, "before").id;
    world.settle();
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    let after = world.person("alice").says(group, "after").id;
    world.settle();
    read(&mut world, "carol", group);
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, before), MessageState::Sent);
    assert_eq!(state(&mut world, "alice", group, after), MessageState::Read);
}

/// R-RECEIPT-03: a log that went back takes nothing of it away, and what is said again is told anew.
#[test]
fn r_receipt_03_a_log_that_went_back_takes_nothing_away() {
    let mut world = world(8, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    world.person("alice").says(group, "before");
    world.settle();
    passes(&mut world);
    let kept = world.log.clone();
    world.person("carol").disconnects();
    let id = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    read(&mut world, "bob", group);
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, id), MessageState::Read);
    world.broker_returns(|log| log.restore(&kept));
    world.person("carol").connects();
    world.settle();
    world.pass(Duration::from_secs(2 * 3600));
    world.settle();
    passes(&mut world);
    assert_eq!(state(&mut world, "alice", group, id), MessageState::Read);
    read(&mut world, "carol", group);
    passes(&mut world);
    let view = shown(&mut world, "alice", group, id);
    assert!(by(&view).contains(&("carol".into(), MessageState::Read)), "{view:?}");
    oracle::survive(&mut world);
}

#[test]
fn what_could_not_be_sent_says_why_and_what_to_do() {
    let mut world = world(9, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("bob").disconnects();
    let id = world.person("bob").does(send(group, "am I still in?")).id;
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.person("bob").connects();
    world.settle();
    let view = shown(&mut world, "bob", group, id);
    let why = view.failure.as_ref().unwrap();
    assert_eq!((view.state, why.kind), (MessageState::Failed, ErrorKind::Refused));
    assert!(why.message.contains("you are not in 'ops' any more") && why.hint.is_some(), "{why:?}");
    world.person("bob").restarts(End::Kill);
    assert_eq!(shown(&mut world, "bob", group, id).failure, view.failure);
}

/// R-RECEIPT-05: what was said while an account told nothing stays untold, whenever it was read; on whichever of its devices.
#[test]
fn r_receipt_05_what_was_read_while_nothing_was_told_is_not_told_later() {
    let mut world = world(10, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob"]);
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    passes(&mut world);
    let before = world.person("alice").says(group, "before").id;
    world.settle();
    read(&mut world, "bob", group);
    passes(&mut world);
    world.person("bob").does(account::SetReceipts { on: false });
    world.settle();
    let meanwhile = world.person("alice").says(group, "tea at five?").id;
    world.settle();
    read(&mut world, "phone", group);
    let unread = world.person("alice").says(group, "or at six?").id;
    world.settle();
    passes(&mut world);
    world.person("phone").does(account::SetReceipts { on: true });
    world.settle();
    passes(&mut world);
    read(&mut world, "bob", group);
    passes(&mut world);
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    let after = world.person("alice").says(group, "are you there?").id;
    let of_carol = world.person("carol").says(group, "hello").id;
    world.settle();
    read(&mut world, "bob", group);
    passes(&mut world);
    let states = [before, meanwhile, unread, after].map(|id| state(&mut world, "alice", group, id));
    assert_eq!(
        states,
        [MessageState::Read, MessageState::Sent, MessageState::Sent, MessageState::Read],
        "before, while it was off, read later, after"
    );
    let view = shown(&mut world, "carol", group, of_carol);
    assert!(by(&view).contains(&("bob".into(), MessageState::Read)), "who came later can place it: {view:?}");
    oracle::judge(&mut world);
}
