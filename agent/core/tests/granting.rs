//! Messages of before it came that a member gives to another one: as that member's word, and never more than that.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{contact, group, history, message};
use cipher_api::view::{Body, HistoryPolicy, MessageView, WhoMay};
use cipher_api::{ErrorKind, Target, Who};
use cipher_broker::certificate::Kind;
use cipher_broker::codec;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{
    Body as Said, Content, GRANT_INFO, GrantKey, GrantedMessage, GrantedOf, HistoryGrant,
};
use cipher_seal::Key;
use rand_core::OsRng;
use serde_bytes::{ByteArray, ByteBuf};

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::mallory::{self, Mallory};
use crate::support::oracle;
use crate::support::world::{World, days, send};

const MINUTE: Duration = Duration::from_secs(60);

fn set(group: GroupId) -> group::Set {
    group::Set::of(Target::Group(group))
}

fn lets(group: GroupId, who: WhoMay) -> group::Set {
    group::Set { history: Some(who), ..set(group) }
}

fn last(group: GroupId, to: &str, messages: u64) -> history::Grant {
    let who = Who::Handle(to.parse().unwrap());
    history::Grant { target: Target::Group(group), who, last: Some(messages), age_seconds: None }
}

/// What a person has by the word of others: by whom, by whom it is said to have been said, and the words.
fn granted(world: &mut World, name: &str, group: GroupId) -> Vec<(String, String, String)> {
    let lines = world.person(name).messages(group).into_iter();
    let given = lines.filter_map(|line| {
        let of = line.body.granted()?.clone();
        (!line.expired && !line.deleted).then_some((line.from.handle, of.from, line.text))
    });
    given.collect()
}

/// The lines that tell of grants, in somebody's words.
fn told(world: &mut World, name: &str, group: GroupId) -> Vec<(String, String, u32, bool)> {
    let lines = world.person(name).messages(group).into_iter();
    let told = lines.filter_map(|line| {
        let of = line.body.grant()?;
        Some((line.from.handle.clone(), of.to.clone(), of.count, of.refused))
    });
    told.collect()
}

fn words(who: &str, of: &str, text: &str) -> (String, String, String) {
    (who.into(), of.into(), text.into())
}

/// Alice and bob talk; carol comes later. What alice and bob said.
fn begun(seed: u64, may: WhoMay) -> (World, GroupId, Vec<MessageView>) {
    let mut world = World::of(seed, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("team", &["alice", "bob"]);
    world.person("alice").does(lets(group, may));
    world.settle();
    let mut said = Vec::new();
    for n in 0..3 {
        said.push(world.person("alice").says(group, &format!("plan {n}")));
        said.push(world.person("bob").says(group, &format!("answer {n}")));
        world.settle();
    }
    world.pass(MINUTE);
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    (world, group, said)
}

#[test]
fn r_grant_01_nobody_gives_history_where_the_group_does_not_let_it() {
    let (mut world, group, _) = begun(1, WhoMay::Nobody);
    world.person("alice").cannot(last(group, "carol", 3), ErrorKind::Refused);
    world.person("alice").does(lets(group, WhoMay::Admins));
    world.settle();
    world.person("bob").cannot(last(group, "carol", 3), ErrorKind::Refused);
    world.person("bob").cannot(lets(group, WhoMay::All), ErrorKind::Refused);
    world.person("alice").does(last(group, "carol", 3));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 3);
    // What may not be is told, and nothing is kept.
    assert_eq!(told(&mut world, "bob", group), [("alice".into(), "carol".into(), 3, false)]);
    oracle::judge(&mut world);
}

#[test]
fn who_gives_what_to_whom_is_said_so_that_it_can_be_done() {
    let (mut world, group, _) = begun(2, WhoMay::All);
    world.register("dave");
    for (asked, kind) in [
        (last(group, "dave", 3), ErrorKind::NotFound),
        (last(group, "nobody-is-called-so", 3), ErrorKind::NotFound),
        (last(group, "alice", 3), ErrorKind::Usage),
        (last(group, "carol", 0), ErrorKind::Usage),
        (last(group, "carol", 1001), ErrorKind::Limit),
        (history::Grant { age_seconds: Some(60), ..last(group, "carol", 3) }, ErrorKind::Usage),
        (history::Grant { last: None, ..last(group, "carol", 3) }, ErrorKind::Usage),
        // Bob was there from the beginning.
        (last(group, "bob", 3), ErrorKind::NotFound),
    ] {
        world.person("alice").cannot(asked, kind);
    }
    world.person("alice").disconnects();
    world.person("alice").cannot(last(group, "carol", 3), ErrorKind::Unreachable);
    world.person("alice").connects();
    world.settle();
    let direct = world.person("alice").does(send_to("bob")).group;
    world.settle();
    let to_bob = history::Grant { target: Target::Group(direct), ..last(group, "bob", 3) };
    world.person("alice").cannot(to_bob, ErrorKind::Refused);
    world.person("alice").cannot(lets(direct, WhoMay::All), ErrorKind::Refused);
    assert!(told(&mut world, "bob", group).is_empty());
    oracle::judge(&mut world);
}

fn send_to(handle: &str) -> message::Send {
    message::Send::new(Target::Account(handle.parse().unwrap()), "just us")
}

/// R-GRANT-06, R-GRANT-07, R-GRANT-08: the same before and after a restart, and asked for twice.
#[test]
fn r_grant_07_what_was_given_is_the_givers_word_and_stands_before_the_rest() {
    let (mut world, group, said) = begun(3, WhoMay::All);
    world.person("carol").says(group, "hello");
    world.settle();
    let edited = message::Edit {
        message: MessageRef { id: said[2].id.to_string(), within: None },
        text: "plan one".into(),
    };
    world.person("alice").does(edited);
    let deleted =
        message::Delete { message: MessageRef { id: said[3].id.to_string(), within: None }, local: false };
    world.person("bob").does(deleted);
    world.settle();
    let line = world.person("bob").does(last(group, "carol", 4));
    assert_eq!(line.body.grant().unwrap().count, 4);
    assert!(line.text.starts_with("gave @carol the last 4 messages, from "), "{}", line.text);
    world.settle();
    let unread = world.person("carol").group(group).unread;
    let given = [
        words("bob", "bob", "answer 0"),
        words("bob", "alice", "plan one"),
        words("bob", "alice", "plan 2"),
        words("bob", "bob", "answer 2"),
    ];
    for round in 0..3 {
        assert_eq!(granted(&mut world, "carol", group), given, "round {round}");
        // Every member is told once.
        for name in ["alice", "bob", "carol"] {
            let told = told(&mut world, name, group);
            assert_eq!(told.len(), 1 + usize::from(round == 2), "{name}");
            assert_eq!(told[0], ("bob".into(), "carol".into(), 4, false), "{name}");
        }
        // They stand in front of what carol read herself, and change nothing of that.
        let lines = world.person("carol").messages(group);
        let first_own = lines.iter().position(|line| line.body.granted().is_none()).unwrap();
        assert!(lines[..first_own].iter().all(|line| line.body.granted().is_some()));
        assert_eq!(first_own, 4);
        assert_eq!(world.person("carol").texts(group), ["hello"]);
        let own = world.person("carol").group(group).unread;
        assert_eq!(own, unread + u64::from(round == 2), "the line counts, and nothing that was given");
        if round == 0 {
            world.person("carol").restarts(End::Kill);
            world.settle();
        }
        if round == 1 {
            world.person("bob").does(last(group, "carol", 4));
            world.settle();
        }
    }
    // They are found, and named by ids of their own.
    let carol = world.index("carol");
    let hits = world.found(carol, group, "plan");
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|hit| hit.body.granted().is_some() && hit.from.handle == "bob"));
    let one = hits.iter().find(|hit| hit.text == "plan one").unwrap().clone();
    let of = one.body.granted().unwrap().clone();
    assert_eq!((of.message, of.edited), (said[2].id, true));
    assert_ne!(one.id, said[2].id);
    // Nothing can be made of them but an answer, which the others know by the message itself.
    let named = || MessageRef { id: one.id.to_string(), within: None };
    world.person("carol").cannot(message::Edit { message: named(), text: "no".into() }, ErrorKind::Refused);
    let react = message::React { message: named(), emoji: "👍".into(), remove: false };
    world.person("carol").cannot(react, ErrorKind::Refused);
    world.person("carol").cannot(message::Pin { message: named(), remove: false }, ErrorKind::Refused);
    world.person("carol").cannot(message::Delete { message: named(), local: false }, ErrorKind::Refused);
    let answer = message::Send { reply_to: Some(one.id.to_string()), ..send(group, "good plan") };
    let answer = world.person("carol").does(answer);
    assert_eq!(answer.reply_to, Some(said[2].id));
    world.settle();
    let seen = world.person("alice").messages(group);
    let seen = seen.iter().find(|line| line.id == answer.id).unwrap();
    assert_eq!(seen.quoted.as_ref().unwrap().text, "plan one");
    // What members make of the message itself reaches carol, and changes nothing of bob's word.
    let liked = MessageRef { id: said[2].id.to_string(), within: None };
    world
        .person("alice")
        .does(message::React { message: liked.clone(), emoji: "🎉".into(), remove: false });
    world.person("alice").does(message::Edit { message: liked, text: "plan two".into() });
    world.settle();
    let shown = world.person("carol").does(message::Show { message: named() });
    assert_eq!((shown.text.as_str(), shown.reactions.len(), shown.edited), ("plan one", 0, false));
    // Here alone it can be let go of.
    world.person("carol").does(message::Delete { message: named(), local: true });
    assert_eq!(granted(&mut world, "carol", group).len(), 3);
    world.person("bob").does(last(group, "carol", 4));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 3, "it does not come back");
    oracle::judge(&mut world);
}

/// R-GRANT-05: both devices of carol that are there, one that comes later, and one of somebody else; in a group with keys that
/// hold against quantum computers too.
#[test]
fn r_grant_05_the_devices_of_who_gets_it_read_it_and_no_others() {
    let mut world = World::of(4, Flavour::R1, &["alice", "carol", "dave"]);
    let create = group::Create { name: "team".into(), with: Vec::new(), post_quantum: true };
    let group = world.person("alice").does(create).id;
    world.person("alice").does(lets(group, WhoMay::All));
    world.person("alice").says(group, "plan 0");
    world.settle();
    link_with(&mut world, "carol", "phone", HistoryPolicy::All);
    world.person("alice").adds(group, &["carol", "dave"]);
    world.settle();
    for name in ["carol", "dave"] {
        world.person(name).accepts(group);
        world.settle();
    }
    // The phone is away while it is given, and comes to it in the order of the log.
    world.person("phone").disconnects();
    world.person("alice").does(last(group, "carol", 9));
    world.settle();
    for n in 0..3 {
        world.person("alice").renames(group, &format!("team {n}"));
        world.settle();
    }
    world.person("phone").connects();
    world.settle();
    for name in ["carol", "phone"] {
        assert_eq!(granted(&mut world, name, group), [words("alice", "alice", "plan 0")], "{name}");
    }
    assert!(granted(&mut world, "dave", group).is_empty());
    assert_eq!(told(&mut world, "dave", group), [("alice".into(), "carol".into(), 1, false)]);
    // R-GRANT-07: as that and nothing else to a device that comes later.
    link_with(&mut world, "carol", "tablet", HistoryPolicy::All);
    world.settle();
    assert_eq!(granted(&mut world, "tablet", group), [words("alice", "alice", "plan 0")]);
    assert_eq!(told(&mut world, "tablet", group).len(), 1);
    world.person("tablet").restarts(End::Kill);
    world.settle();
    assert_eq!(granted(&mut world, "tablet", group), [words("alice", "alice", "plan 0")]);
    oracle::judge(&mut world);
}

/// R-GRANT-04: what disappears, was taken back or is hidden is not given, nor what the giver has by the word of others.
#[test]
fn r_grant_04_only_what_the_giver_read_and_still_has_is_given() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob", "carol", "dave"]);
    let group = world.group_of("team", &["alice", "bob"]);
    world.person("alice").does(lets(group, WhoMay::All));
    world.settle();
    let vanishing = message::Send { expire: Some(86_400), ..send(group, "the door code is 4711") };
    world.person("alice").does(vanishing);
    let local = world.person("bob").says(group, "let go of here").id;
    world.person("bob").says(group, "of a blocked one");
    world.person("alice").says(group, "stays");
    world.settle();
    let delete = message::Delete { message: MessageRef { id: local.to_string(), within: None }, local: true };
    world.person("alice").does(delete);
    world.person("alice").does(contact::Block { who: Who::Handle("bob".parse().unwrap()) });
    world.settle();
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    world.person("alice").does(last(group, "carol", 50));
    world.settle();
    let stays = [words("alice", "alice", "stays")];
    assert_eq!(granted(&mut world, "carol", group), stays);
    // Who has it by the word of another gives nothing of it on.
    world.person("carol").says(group, "mine");
    world.settle();
    world.person("alice").adds(group, &["dave"]);
    world.settle();
    world.person("dave").accepts(group);
    world.settle();
    world.person("carol").does(last(group, "dave", 50));
    world.settle();
    assert_eq!(granted(&mut world, "dave", group), [words("carol", "carol", "mine")]);
    // R-GRANT-03: by time, the latest.
    world.person("alice").cannot(
        history::Grant { last: None, age_seconds: Some(0), ..last(group, "dave", 1) },
        ErrorKind::Usage,
    );
    let week = history::Grant { last: None, age_seconds: Some(7 * 86_400), ..last(group, "dave", 1) };
    world.person("alice").does(week);
    world.settle();
    let now = granted(&mut world, "dave", group);
    // What two members say alike stands once.
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(
        now.contains(&words("alice", "alice", "stays")) && now.contains(&words("carol", "carol", "mine"))
    );
    // Alice let go of some herself, so not everybody has the same.
}

/// R-GRANT-09: retention and expiry of the group, set before and after, and what is taken back later.
#[test]
fn r_grant_09_what_was_given_is_let_go_of_with_all_the_rest() {
    let (mut world, group, said) = begun(6, WhoMay::All);
    world.person("bob").does(last(group, "carol", 6));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 6);
    let carol = world.index("carol");
    // Taken back by who said it: also the word of others of it.
    let delete = |id: MessageId| message::Delete {
        message: MessageRef { id: id.to_string(), within: None },
        local: false,
    };
    world.person("alice").does(delete(said[0].id));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 5);
    assert!(world.found(carol, group, "plan").iter().all(|hit| hit.text != "plan 0"));
    world.person("bob").does(last(group, "carol", 6));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 5, "it does not come back");
    // By the group: what was given before it wanted that too.
    world.pass(days(2));
    world.settle();
    world.person("alice").does(group::Set { retention_seconds: Some(86_400), ..set(group) });
    world.settle();
    assert!(granted(&mut world, "carol", group).is_empty());
    assert!(world.found(carol, group, "plan").is_empty());
    world.person("carol").restarts(End::Kill);
    world.settle();
    assert!(granted(&mut world, "carol", group).is_empty());
    // Nothing of it is there to be given any more.
    world.person("bob").cannot(last(group, "carol", 6), ErrorKind::NotFound);
    oracle::judge(&mut world);
}

/// R-GRANT-09: a group whose messages disappear has no others for who came late.
#[test]
fn r_grant_09_what_was_given_disappears_where_messages_do() {
    let (mut world, group, _) = begun(7, WhoMay::All);
    world.person("alice").does(group::Set { expire_seconds: Some(3600), ..set(group) });
    world.settle();
    world.person("bob").does(last(group, "carol", 6));
    world.settle();
    assert_eq!(granted(&mut world, "carol", group).len(), 6);
    world.pass(Duration::from_secs(3700));
    world.settle();
    assert!(granted(&mut world, "carol", group).is_empty());
    // R-FORGET-11 in a group that keeps messages for a time already, and none of the time before comes back.
    world.person("alice").does(group::Set {
        expire_seconds: Some(0),
        retention_seconds: Some(2 * 86_400),
        ..set(group)
    });
    world.settle();
    world.person("bob").does(last(group, "carol", 6));
    world.settle();
    assert!(granted(&mut world, "carol", group).is_empty(), "what was forgotten does not come again");
    oracle::judge(&mut world);
}

#[test]
fn a_thousand_messages_come_in_pieces_and_each_of_them_once() {
    let mut world = World::of(8, Flavour::R1, &["alice", "carol"]);
    let group = world.person("alice").creates("team", &[]);
    world.person("alice").does(lets(group, WhoMay::All));
    let long = "x".repeat(1500);
    for n in 0..260 {
        world.person("alice").says(group, &format!("{n} {long}"));
    }
    world.settle();
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    world.person("carol").disconnects();
    let line = world.person("alice").does(last(group, "carol", 250));
    assert_eq!(line.body.grant().unwrap().count, 250);
    world.settle();
    world.person("carol").connects();
    world.settle();
    let given = granted(&mut world, "carol", group);
    let numbers: Vec<usize> =
        given.iter().map(|(.., text)| text.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (10..260).collect::<Vec<_>>());
    for name in ["alice", "carol"] {
        assert_eq!(told(&mut world, name, group).len(), 1, "{name}");
    }
    // Page by page, over where the one ends and the other begins.
    let target = Target::Group(group);
    let mut read = message::Read { first: Some(100), ..message::Read::of(target) };
    let mut pages = Vec::new();
    loop {
        let page = world.person("carol").does(read.clone());
        let Some(end) = page.last() else { break };
        read.after = Some(end.id.to_string());
        pages.extend(page.into_iter().map(|line| line.id));
    }
    let whole: Vec<MessageId> =
        world.person("carol").messages(group).into_iter().map(|line| line.id).collect();
    assert_eq!(pages, whole);
    oracle::judge(&mut world);
}

/// What mallory says was said.
fn made_up(id: u8, account: AccountId, sequence: u64, text: &str) -> GrantedMessage {
    GrantedMessage {
        of: GrantedOf {
            id: MessageId::from_bytes([id; 16]),
            account,
            kind: Kind::Person,
            reply_to: None,
            edited: false,
        },
        sequence,
        ago: 0,
        sent_at: Timestamp::from_millis(u64::from(id)),
        at: None,
        text: text.into(),
        forwarded: false,
        attachments: Vec::new(),
    }
}

/// A piece as mallory makes it.
fn piece(
    mallory: &Mallory,
    group: GroupId,
    to: AccountId,
    (id, number, pieces, count): (u8, u16, u16, u32),
    plain: &[u8],
) -> HistoryGrant {
    let id = ByteArray::new([id; 16]);
    let key = [7; 32];
    let place = HistoryGrant::place(&group, &mallory.account(), &id, number);
    let sealed = cipher_seal::seal(&Key::from_slice(&key).unwrap(), &place, plain, &mut OsRng);
    let keys = mallory.leaves_of(group, to).into_iter().map(|(device, leaf)| {
        let bound = HistoryGrant::place_of_key(&group, &mallory.account(), &id, number, &device);
        let (kem, sealed) = mallory.seals_to(&leaf, GRANT_INFO, &bound, &key);
        GrantKey { device, kem: ByteBuf::from(kem), sealed: ByteBuf::from(sealed) }
    });
    HistoryGrant {
        id,
        to,
        count,
        from: Timestamp::from_millis(1),
        until: Timestamp::from_millis(2),
        piece: number,
        pieces,
        keys: keys.collect(),
        sealed: ByteBuf::from(sealed),
    }
}

fn gives(mallory: &mut Mallory, world: &mut World, group: GroupId, grant: HistoryGrant) {
    let content = Content::new(mallory.salt(), world.now, Said::HistoryGrant(grant));
    mallory.says_this(world, group, &content);
    world.settle();
}

/// T12: junk, too much, ids and places of others, times to come, again and again, and to who is no member.
#[test]
fn t12_r_grant_08_r_grant_10_a_hostile_giver_costs_itself_alone() {
    let mut world = World::of(9, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.group_of("team", &["alice", "bob"]);
    world.person("alice").does(lets(group, WhoMay::All));
    world.person("alice").says(group, "before");
    world.settle();
    world.person("alice").adds(group, &["carol"]);
    world.settle();
    world.person("carol").accepts(group);
    world.settle();
    let mut mallory = Mallory::arrives(&mut world);
    world.settle();
    world.person("alice").adds(group, &[mallory::HANDLE]);
    world.settle();
    mallory.reads(&world);
    let [alice, carol] = ["alice", "carol"].map(|name| world.registry.account(name));
    let own = world.person("carol").says(group, "carol's own").id;
    world.settle();
    mallory.reads(&world);
    let texts = |world: &mut World| world.person("carol").texts(group);
    let (before, unread) = (texts(&mut world), world.person("carol").group(group).unread);

    // Words of others that never were: the word of mallory, by her name, in the past, and shown once however often.
    let future = GrantedMessage {
        sent_at: Timestamp::from_millis(u64::MAX / 2),
        at: Some(Timestamp::from_millis(u64::MAX / 2)),
        ..made_up(1, alice, 1, "I resign")
    };
    let of_own = GrantedMessage {
        of: GrantedOf { id: own, ..made_up(2, carol, 2, "").of },
        ..made_up(2, carol, 2, "something else")
    };
    let later = made_up(3, alice, 1 << 30, "from a place to come");
    let era = GrantedMessage { ago: 999, ..made_up(4, alice, 1, "from an era that was not") };
    let nothing = made_up(5, alice, 1, "");
    let long = made_up(6, alice, 1, &"x".repeat(limit::TEXT_BYTES + 1));
    let list = vec![future.clone(), future, of_own, later, era, nothing];
    let grant = piece(&mallory, group, carol, (1, 0, 1, 9), &codec::encode(&list));
    gives(&mut mallory, &mut world, group, grant.clone());
    gives(&mut mallory, &mut world, group, grant);
    let resigns = [words("mallory", "alice", "I resign")];
    assert_eq!(granted(&mut world, "carol", group), resigns);
    let lines = world.person("carol").messages(group);
    let line = lines.iter().find(|line| line.body.granted().is_some()).unwrap();
    assert!(line.sent_at <= world.now && line.at.unwrap() <= world.now);
    assert_eq!(lines[0].id, line.id, "it stands before all that carol read herself");

    // Pieces that do not open, that open into junk, that hold more than is said, and that say something else than the first.
    let junk = piece(&mallory, group, carol, (2, 0, 2, 1), b"junk");
    gives(&mut mallory, &mut world, group, junk);
    let more = piece(
        &mallory,
        group,
        carol,
        (2, 1, 2, 1),
        &codec::encode(&vec![made_up(7, alice, 1, "a"), made_up(8, alice, 1, "b")]),
    );
    gives(&mut mallory, &mut world, group, more);
    let other = piece(&mallory, group, carol, (2, 1, 2, 5), &codec::encode(&vec![made_up(9, alice, 1, "c")]));
    gives(&mut mallory, &mut world, group, other);
    let mut moved =
        piece(&mallory, group, carol, (3, 0, 1, 1), &codec::encode(&vec![made_up(10, alice, 1, "d")]));
    moved.id = ByteArray::new([4; 16]);
    gives(&mut mallory, &mut world, group, moved);
    let large = piece(&mallory, group, carol, (5, 0, 1, 1), &codec::encode(&vec![long]));
    gives(&mut mallory, &mut world, group, large);
    for (number, pieces, count) in [(0, 0, 1), (1, 1, 1), (0, 99, 1), (0, 1, 0), (0, 1, 1001)] {
        let bad = piece(&mallory, group, carol, (6, number, pieces, count), b"");
        gives(&mut mallory, &mut world, group, bad);
    }
    assert_eq!(granted(&mut world, "carol", group), resigns);

    // To who is no member: told as refused, by everybody alike.
    let stranger = AccountId::from_bytes([9; 32]);
    let nobodys = piece(&mallory, group, stranger, (7, 0, 1, 1), b"");
    gives(&mut mallory, &mut world, group, nobodys);
    for name in ["alice", "bob", "carol"] {
        let refused = told(&mut world, name, group).into_iter().filter(|(.., refused)| *refused);
        assert_eq!(refused.count(), 1, "{name}");
    }

    // As much as one member may give, and no more; another one's word still finds its place.
    for round in 0..3 {
        let list: Vec<_> = (0..1000_u64)
            .map(|n| GrantedMessage {
                of: GrantedOf {
                    id: MessageId::from_bytes((u128::from(n) + round * 1000 + 100_000).to_be_bytes()),
                    ..made_up(0, alice, 1, "").of
                },
                ago: 1,
                ..made_up(0, alice, u64::try_from(round).unwrap() * 1000 + n, "again")
            })
            .collect();
        let id = 20 + u8::try_from(round).unwrap();
        let much = piece(&mallory, group, carol, (id, 0, 1, 1000), &codec::encode(&list));
        gives(&mut mallory, &mut world, group, much);
    }
    assert_eq!(granted(&mut world, "carol", group).len(), limit::GRANTED_OF_GIVER);
    world.person("bob").does(last(group, "carol", 5));
    world.settle();
    assert!(granted(&mut world, "carol", group).contains(&words("bob", "alice", "before")));

    // Nothing of it touched what carol has herself, and no name that she does not want to read is shown.
    assert_eq!(texts(&mut world), before);
    assert!(world.person("carol").group(group).unread >= unread);
    world.person("carol").does(contact::Block { who: Who::Account(mallory.account()) });
    assert!(granted(&mut world, "carol", group).iter().all(|(by, ..)| by == "bob"));
    world.person("carol").restarts(End::Kill);
    world.settle();
    assert_eq!(texts(&mut world), before);
}

/// T13: a member gives what the group does not let it, and one that was removed gives at all.
#[test]
fn t13_a_grant_that_may_not_be_is_told_and_nothing_of_it_is_kept() {
    let mut world = World::of(10, Flavour::R1, &["alice", "carol"]);
    let group = world.group_of("team", &["alice", "carol"]);
    let mut mallory = Mallory::arrives(&mut world);
    world.settle();
    world.person("alice").adds(group, &[mallory::HANDLE]);
    world.settle();
    mallory.reads(&world);
    let [alice, carol] = ["alice", "carol"].map(|name| world.registry.account(name));
    let list = codec::encode(&vec![made_up(1, alice, 1, "I resign")]);
    for may in [WhoMay::Nobody, WhoMay::Owners, WhoMay::Admins] {
        world.person("alice").does(lets(group, may));
        world.settle();
        mallory.reads(&world);
        let id = if may == WhoMay::Nobody {
            1
        } else if may == WhoMay::Owners {
            2
        } else {
            3
        };
        let grant = piece(&mallory, group, carol, (id, 0, 1, 1), &list);
        gives(&mut mallory, &mut world, group, grant);
    }
    for name in ["alice", "carol"] {
        let told = told(&mut world, name, group);
        assert_eq!(told.len(), 3, "{name}");
        assert!(told.iter().all(|(by, to, _, refused)| by == "mallory" && to == "carol" && *refused));
    }
    assert!(granted(&mut world, "carol", group).is_empty());
    world.person("alice").does(lets(group, WhoMay::All));
    world.settle();
    mallory.reads(&world);
    let grant = piece(&mallory, group, carol, (4, 0, 1, 1), &list);
    let content = Content::new(mallory.salt(), world.now, Said::HistoryGrant(grant));
    world.person("alice").removes(group, &[mallory::HANDLE]);
    world.settle();
    mallory.says_this(&mut world, group, &content);
    world.settle();
    assert!(granted(&mut world, "carol", group).is_empty());
    assert_eq!(told(&mut world, "carol", group).len(), 3);
    let lines = world.person("carol").messages(group);
    assert!(lines.iter().all(|line| !matches!(line.body, Body::Granted(_))));
}
