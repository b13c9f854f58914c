//! Finding what was said: in every conversation, as it stands now, on every device.

use std::time::Duration;

use cipher_api::command::message::{self, Found, MessageRef, Search, TextMark};
use cipher_api::command::{contact, file};
use cipher_api::view::HistoryPolicy;
use cipher_api::{ErrorKind, Target};
use cipher_broker::id::{GroupId, MessageId};

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::world::{World, search};

fn named(id: MessageId) -> MessageRef {
    MessageRef { id: id.to_string(), within: None }
}

fn texts(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.message.text.as_str()).collect()
}

fn finds(world: &mut World, name: &str, query: &str) -> Vec<String> {
    let found = world.person(name).does(search(query));
    texts(&found).into_iter().map(str::to_owned).collect()
}

fn two_groups(world: &mut World) -> (GroupId, GroupId) {
    let ops = world.admins("ops", &["alice", "bob"]);
    let tea = world.admins("tea", &["alice", "bob", "carol"]);
    for (n, text) in
        ["Deploy is done", "tea at 10:30?", "don\u{2019}t deploy on friday"].into_iter().enumerate()
    {
        world.person("alice").says(if n == 1 { tea } else { ops }, text);
        world.pass(Duration::from_secs(60));
    }
    world.settle();
    world.person("carol").says(tea, "the deployment of cups");
    world.settle();
    (ops, tea)
}

#[test]
fn words_are_found_in_all_conversations_newest_first_and_by_who_said_them_and_when() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob", "carol"]);
    let (ops, tea) = two_groups(&mut world);
    let all = ["the deployment of cups", "don\u{2019}t deploy on friday", "Deploy is done"];
    assert_eq!(finds(&mut world, "bob", "dep"), all);
    assert_eq!(finds(&mut world, "carol", "dep"), all[..1], "of others she has heard nothing");
    assert_eq!(finds(&mut world, "bob", "don't"), all[1..2]);
    assert_eq!(finds(&mut world, "bob", "10:30"), ["tea at 10:30?"]);
    assert_eq!(finds(&mut world, "bob", "friday deploy"), all[1..2]);
    assert_eq!(finds(&mut world, "bob", "\"is done\""), all[2..]);
    assert_eq!(
        finds(&mut world, "bob", "?"),
        ["tea at 10:30?"],
        "what nothing looks up is looked for in all"
    );
    assert_eq!(finds(&mut world, "bob", "nothing of it"), Vec::<String>::new());
    let within = |target| Search { target: Some(Target::Group(target)), ..search("dep") };
    assert_eq!(texts(&world.person("bob").does(within(ops))), all[1..]);
    assert_eq!(texts(&world.person("bob").does(within(tea))), all[..1]);
    let from = |who: &str| Search { from: Some(who.parse().unwrap()), ..search("dep") };
    assert_eq!(texts(&world.person("bob").does(from("carol"))), all[..1]);
    assert_eq!(texts(&world.person("bob").does(from("bob"))), Vec::<&str>::new());
    world.person("bob").cannot(from("nobody"), ErrorKind::NotFound);
    let friday = world.person("bob").does(search("friday")).hits[0].message.at;
    let since = Search { since: friday, ..search("dep") };
    assert_eq!(texts(&world.person("bob").does(since)), all[..2]);
    let kind = |kind: &str| Search { kind: Some(kind.into()), ..search("dep") };
    assert_eq!(world.person("bob").does(kind("text")).hits.len(), 3);
    assert_eq!(world.person("bob").does(kind("poll")).hits.len(), 0);
    let found = world.person("bob").does(search("deploy friday"));
    let marks: Vec<_> = found.hits[0].marks.iter().map(|mark| (mark.from, mark.to)).collect();
    assert_eq!(marks, [(6, 12), (16, 22)]);
    world.person("bob").cannot(search(" \n"), ErrorKind::Usage);
    world.person("bob").cannot(Search { behind: Some("x".into()), ..search("dep") }, ErrorKind::Usage);
    world.person("carol").cannot(within(ops), ErrorKind::NotFound);
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    for n in 0..45 {
        world.person("alice").says(group, &format!("tea number {n}"));
        if n % 7 == 0 {
            world.pass(Duration::from_secs(60));
        }
    }
    world.settle();
    let (mut found, mut behind) = (Vec::new(), None);
    loop {
        let page = Search { limit: Some(4), behind, ..search("tea") };
        let page = world.person("bob").does(page);
        found.extend(page.hits.into_iter().map(|hit| hit.message.text));
        behind = page.next;
        if behind.is_none() {
            break;
        }
        world.person("bob").restarts(End::Kill);
    }
    let expected: Vec<String> = (0..45).rev().map(|n| format!("tea number {n}")).collect();
    assert_eq!(found, expected);
}

/// R-SEARCH-07: what was edited, deleted, deleted here or said by somebody who is blocked is not found by its words.
#[test]
fn r_search_07_only_words_that_stand_are_found() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let ids: Vec<_> = ["apple one", "apple two", "apple three", "apple four"]
        .into_iter()
        .map(|text| world.person("alice").says(group, text).id)
        .collect();
    world.person("carol").says(group, "apple of carol");
    world.settle();
    assert_eq!(finds(&mut world, "bob", "apple").len(), 5);
    world.person("alice").does(message::Edit { message: named(ids[0]), text: "pear one".into() });
    world.person("alice").does(message::Delete { message: named(ids[1]), local: false });
    world.settle();
    world.person("bob").does(message::Delete { message: named(ids[2]), local: true });
    world.person("bob").does(contact::Block { who: "carol".parse().unwrap() });
    for _ in 0..2 {
        assert_eq!(finds(&mut world, "bob", "apple"), ["apple four"]);
        assert_eq!(finds(&mut world, "bob", "pear"), ["pear one"]);
        assert_eq!(finds(&mut world, "alice", "apple three"), ["apple three"]);
        world.person("bob").restarts(End::Kill);
    }
    world.person("bob").does(contact::Unblock { who: "carol".parse().unwrap() });
    assert_eq!(finds(&mut world, "bob", "apple").len(), 2);
}

#[test]
fn a_new_device_finds_the_history_it_was_given() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let id = world.person("bob").says(group, "tea at five?").id;
    world.person("bob").says(group, "tea at six?");
    world.settle();
    world.person("bob").does(message::Delete { message: named(id), local: false });
    world.settle();
    link_with(&mut world, "alice", "phone", HistoryPolicy::All);
    assert_eq!(finds(&mut world, "phone", "tea"), ["tea at six?"]);
}

/// R-SEARCH-09: what a file is called, its ending too, beside what was said with it.
#[test]
fn r_search_09_a_message_is_found_by_what_its_files_are_called() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    world.person("bob").says(group, "the report is late");
    for (text, names) in
        [("", vec!["report-2026.pdf"]), ("two plans", vec!["plan_A.odt", "R\u{e9}sum\u{e9}.pdf"])]
    {
        let uploads: Vec<_> = names
            .into_iter()
            .map(|name| {
                let begin =
                    file::Begin { origin: name.into(), name: name.into(), size: 5, repeatable: false };
                let id = world.person("bob").does(begin).id;
                let finish = file::Finish { id, hash: vec![7; 32], mime: String::new(), preview: None };
                world.person("bob").does(finish);
                id
            })
            .collect();
        let says = message::Send::new(Target::Group(group), text);
        let message::Send { target, text, reply_to, thread, expire } = says;
        world.person("bob").does(file::Send { target, text, reply_to, thread, expire, files: uploads });
        world.pass(Duration::from_secs(60));
    }
    world.settle();
    for name in ["bob", "alice"] {
        assert_eq!(finds(&mut world, name, "report"), ["", "the report is late"], "{name}");
        assert_eq!(finds(&mut world, name, "2026"), [""]);
        assert_eq!(finds(&mut world, name, "pdf"), ["two plans", ""]);
        assert_eq!(finds(&mut world, name, "report-2026.pdf"), [""]);
        assert_eq!(finds(&mut world, name, "\"resume.pdf\""), ["two plans"]);
        assert_eq!(finds(&mut world, name, "plan odt"), ["two plans"], "in the text, and in a name");
        let of_kind = |kind: &str| Search { kind: Some(kind.into()), ..search("report") };
        for (kind, found) in [("file", [""].as_slice()), ("text", &["", "the report is late"]), ("poll", &[])]
        {
            assert_eq!(texts(&world.person(name).does(of_kind(kind))), found, "{kind}");
        }
    }
    // Marks are places in the text alone.
    let found = world.person("alice").does(search("plan"));
    assert_eq!(found.hits[0].marks, [TextMark { from: 4, to: 8 }]);
    assert_eq!(world.person("alice").does(search("pdf")).hits[0].marks, []);
    let id = found.hits[0].message.id;
    world.person("bob").does(message::Delete { message: named(id), local: false });
    world.settle();
    assert_eq!(finds(&mut world, "alice", "pdf"), [""]);
}
