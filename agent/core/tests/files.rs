//! Files: what of an upload survives its process, who can open what a message names, and what is gone with the message.

use std::time::Duration;

use cipher_api::command::message::MessageRef;
use cipher_api::command::{contact, file, message};
use cipher_api::view::{HistoryPolicy, MessageState, MessageView, OpenFileView, PreviewView, UploadView};
use cipher_api::{ErrorKind, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::GroupId;
use cipher_broker::limit;

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::World;

fn begin(origin: &str, size: u64) -> file::Begin {
    file::Begin { origin: origin.into(), name: "../notes.txt".into(), size, repeatable: false }
}

fn finish(upload: &UploadView) -> file::Finish {
    file::Finish { id: upload.id, hash: vec![7; 32], mime: "text/plain".into(), preview: None }
}

fn says(group: GroupId, text: &str, uploads: &[&UploadView]) -> file::Send {
    let files = uploads.iter().map(|upload| upload.id).collect();
    let target = Target::Group(group);
    file::Send { target, text: text.into(), reply_to: None, thread: None, expire: None, files }
}

fn open(id: impl std::fmt::Display) -> file::Open {
    file::Open { file: MessageRef { id: id.to_string(), within: None } }
}

fn list(group: GroupId) -> file::List {
    file::List { target: Target::Group(group), last: None }
}

/// A message with a file, said.
fn sent(world: &mut World, name: &str, group: GroupId, text: &str) -> (MessageView, UploadView) {
    let upload = world.person(name).does(begin(text, 300_000));
    world.person(name).does(finish(&upload));
    let said = world.person(name).does(says(group, text, &[&upload]));
    world.settle();
    (said, upload)
}

#[test]
fn an_upload_goes_on_after_its_process_died_and_another_content_is_another_upload() {
    let mut world = World::of(1, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let first = world.person("alice").does(begin("a", 5_000_000));
    assert_eq!((first.done, first.chunk_bytes, first.key.len()), (0, 256 * 1024, 32));
    world.person("alice").does(file::Progress { id: first.id, done: 9 });
    world.person("alice").restarts(End::Kill);
    assert_eq!(world.person("alice").does(begin("a", 5_000_000)), UploadView { done: 9, ..first.clone() });
    for other in [begin("a", 5_000_001), begin("b", 5_000_000)] {
        let other = world.person("alice").does(other);
        assert!(other.id != first.id && other.key != first.key && other.done == 0);
    }
    let early = world.person("alice").asks(says(group, "", &[&first])).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Misuse, "{early}");
    world.person("alice").does(file::Progress { id: first.id, done: 3 });
    world.person("alice").does(finish(&first));
    assert_eq!(world.person("alice").does(begin("a", 5_000_000)).done, 20, "all of it");
    world.person("alice").does(says(group, "", &[&first]));
    world.settle();
    let gone = world.person("alice").asks(says(group, "", &[&first])).unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound, "a key is not used for a second message: {gone}");
    assert_ne!(world.person("alice").does(begin("a", 5_000_000)).id, first.id);
    oracle::judge(&mut world);
}

#[test]
fn members_open_the_files_of_a_message_by_its_id_or_their_own_and_nobody_can_after_it_was_deleted() {
    let mut world = World::of(2, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob", "carol"]);
    let (said, upload) = sent(&mut world, "alice", group, "");
    assert_eq!(said.state, MessageState::Sent);
    let files: Vec<&str> = said.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((files, said.text.as_str()), (vec!["notes.txt"], ""), "in no folder, and needing no words");
    for name in ["bob", "carol", "alice"] {
        world.person(name).restarts(End::Kill);
        for id in [said.id.to_string(), upload.id.to_string(), upload.id.to_string()[..6].to_owned()] {
            let opened: Vec<OpenFileView> = world.person(name).does(open(id));
            let [opened] = opened.as_slice() else { panic!("{opened:?}") };
            assert_eq!((&opened.key, &opened.hash), (&upload.key, &vec![7; 32]), "{name}");
            assert_eq!((opened.file.message, opened.file.from.handle.as_str()), (said.id, "alice"));
        }
        let listed = world.person(name).does(list(group));
        assert_eq!(listed.iter().map(|view| view.file.id).collect::<Vec<_>>(), [upload.id], "{name}");
    }
    let plain = world.person("bob").says(group, "no file").id;
    world.settle();
    assert_eq!(world.person("carol").asks(open(plain)).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(world.person("carol").asks(open("zzzzzz")).unwrap_err().kind, ErrorKind::NotFound);
    let (second, _) = sent(&mut world, "alice", group, "another");
    assert_eq!(world.person("bob").does(list(group))[0].message, second.id, "the newest comes first");
    let named = MessageRef { id: said.id.to_string(), within: None };
    world.person("alice").does(message::Delete { message: named, local: false });
    world.settle();
    for name in ["alice", "bob", "carol"] {
        world.person(name).restarts(End::Kill);
        for id in [said.id.to_string(), upload.id.to_string()] {
            assert_eq!(world.person(name).asks(open(id)).unwrap_err().kind, ErrorKind::NotFound, "{name}");
        }
        let listed = world.person(name).does(list(group));
        assert_eq!(listed.iter().map(|view| view.message).collect::<Vec<_>>(), [second.id], "{name}");
    }
    oracle::judge(&mut world);
}

#[test]
fn a_first_message_to_a_person_may_be_a_file_and_one_that_waits_keeps_it() {
    let mut world = World::of(3, Flavour::R1, &["alice", "bob"]);
    let upload = world.person("alice").does(begin("a", 10));
    world.person("alice").does(finish(&upload));
    let target = Target::Account("bob".parse().unwrap());
    let files = vec![upload.id];
    let said = world.person("alice").does(file::Send {
        target,
        text: String::new(),
        reply_to: None,
        thread: None,
        expire: None,
        files,
    });
    assert_eq!(said.attachments.len(), 1);
    let waiting = world.person("alice").does(open(said.id));
    assert_eq!(waiting[0].key, upload.key);
    world.settle();
    world.person("bob").does(contact::Accept { handle: "alice".parse().unwrap() });
    world.settle();
    assert_eq!(world.person("bob").does(open(upload.id))[0].key, upload.key);
    oracle::judge(&mut world);
}

#[test]
fn a_new_own_device_opens_the_files_of_the_history_it_was_given() {
    let mut world = World::of(4, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let (said, upload) = sent(&mut world, "bob", group, "look");
    link_with(&mut world, "alice", "laptop", HistoryPolicy::All);
    world.settle();
    let opened = world.person("laptop").does(open(said.id));
    assert_eq!(opened[0].key, upload.key);
    assert_eq!(world.person("laptop").does(list(group)).len(), 1);
    oracle::judge(&mut world);
}

/// R-FILE-03: it is in what every device tells of the message, and nothing is left of it when the message goes.
#[test]
fn r_file_03_a_preview_goes_where_its_message_goes_and_with_it() {
    let mut world = World::of(8, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let bytes = [b"\xff\xd8\xff".as_slice(), &[7; 500]].concat();
    let preview = PreviewView { mime: "image/jpeg".into(), width: 160, height: 90, bytes };
    let upload = world.person("alice").does(begin("a", 300_000));
    for wrong in [
        PreviewView { width: 161, ..preview.clone() },
        PreviewView { height: 0, ..preview.clone() },
        PreviewView { bytes: b"<svg/>".to_vec(), ..preview.clone() },
        PreviewView { bytes: [preview.bytes.as_slice(), &[0; 8192]].concat(), ..preview.clone() },
    ] {
        let with = file::Finish { preview: Some(wrong), ..finish(&upload) };
        assert_eq!(world.person("alice").asks(with).unwrap_err().kind, ErrorKind::Usage);
    }
    let with = |upload| file::Finish { preview: Some(preview.clone()), ..finish(upload) };
    world.person("alice").does(with(&upload));
    let said = world.person("alice").does(says(group, "look", &[&upload]));
    world.settle();
    link_with(&mut world, "bob", "phone", HistoryPolicy::All);
    world.settle();
    for name in ["alice", "bob", "phone"] {
        let listed = world.person(name).does(list(group));
        assert_eq!(listed[0].file.preview.as_ref(), Some(&preview), "{name}");
    }
    // Beside a text that fills its message there is no room.
    let full = world.person("alice").does(begin("b", 300_000));
    world.person("alice").does(with(&full));
    world.person("alice").does(says(group, &"x".repeat(limit::TEXT_BYTES), &[&full]));
    let gone = MessageRef { id: said.id.to_string(), within: None };
    world.person("alice").does(message::Delete { message: gone, local: false });
    world.settle();
    for name in ["alice", "bob", "phone"] {
        let listed = world.person(name).does(list(group));
        assert_eq!(listed.iter().map(|view| &view.file.preview).collect::<Vec<_>>(), [&None], "{name}");
    }
    oracle::judge(&mut world);
}

/// Two people who wrote to each other for the first time at once have two conversations.
#[test]
fn of_a_person_the_newest_files_are_those_of_all_conversations_with_them() {
    let mut world = World::of(5, Flavour::R1, &["alice", "bob"]);
    let to = |name: &str| Target::Account(name.parse().unwrap());
    let say = |name: &str| message::Send::new(to(name), "first");
    world.person("alice").starts(say("bob"));
    world.person("bob").starts(say("alice"));
    world.settle();
    for (name, other) in [("alice", "bob"), ("bob", "alice")] {
        let _ = world.person(name).asks(contact::Accept { handle: other.parse().unwrap() });
    }
    world.settle();
    let groups: Vec<GroupId> = world.person("alice").groups().iter().map(|view| view.id).collect();
    let [one, two] = groups.as_slice() else { panic!("{groups:?}") };
    let mut sent_ids = Vec::new();
    for (group, text) in [(one, "a"), (two, "b"), (one, "c"), (two, "d")] {
        world.pass(Duration::from_secs(60));
        sent_ids.push(sent(&mut world, "alice", *group, text).1.id);
    }
    sent_ids.reverse();
    for last in 0..=4 {
        let listed = world.person("bob").does(file::List { target: to("alice"), last: Some(last) });
        assert_eq!(listed.iter().map(|view| view.file.id).collect::<Vec<_>>(), sent_ids[..last], "{last}");
    }
}

/// R-FORGET-06: with the message the keys go; nobody finds its files when it is due, whether it was forgotten already or not.
#[test]
fn r_forget_06_the_files_of_a_message_disappear_with_it() {
    let mut world = World::of(6, Flavour::R1, &["alice", "bob"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let (kept, _) = sent(&mut world, "alice", group, "this stays");
    let upload = world.person("alice").does(begin("a", 300_000));
    world.person("alice").does(finish(&upload));
    let said = world.person("alice").does(file::Send { expire: Some(60), ..says(group, "", &[&upload]) });
    world.settle();
    assert_eq!(said.expire, Some(60));
    world.person("bob").does(message::Read { mark: true, ..message::Read::of(Target::Group(group)) });
    world.settle();
    assert_eq!(world.person("bob").does(open(upload.id))[0].key, upload.key);
    // It is due before anything could be forgotten, as when the program is started after that time.
    for name in ["alice", "bob"] {
        world.person(name).disconnects();
        let index = world.index(name);
        world.end(index, End::Kill);
    }
    world.pass(Duration::from_secs(120));
    for name in ["alice", "bob"] {
        let index = world.index(name);
        world.boot(index).unwrap();
        for id in [said.id.to_string(), upload.id.to_string()] {
            assert_eq!(world.person(name).asks(open(id)).unwrap_err().kind, ErrorKind::NotFound, "{name}");
        }
        let listed = world.person(name).does(list(group));
        assert_eq!(listed.iter().map(|view| view.message).collect::<Vec<_>>(), [kept.id], "{name}");
        world.person(name).connects();
    }
    world.settle();
    oracle::judge(&mut world);
}

/// What a message cannot be is told before a byte of its files is read.
#[test]
fn what_would_refuse_a_message_refuses_it_before_its_files_are_uploaded() {
    let mut world = World::of(7, Flavour::R1, &["alice", "bob", "carol"]);
    let group = world.admins("ops", &["alice", "bob"]);
    let to = |target| file::Check {
        target,
        text: String::new(),
        reply_to: None,
        thread: None,
        expire: None,
        files: 1,
    };
    let ops = || to(Target::Group(group));
    let person = |name: &str| to(Target::Account(name.parse().unwrap()));
    world.person("alice").does(ops());
    world.person("alice").does(person("bob"));
    assert!(world.person("alice").groups().iter().all(|view| !view.direct), "nothing was begun");
    for (check, kind) in [
        (to(Target::Name("nobody-knows".into())), ErrorKind::NotFound),
        (person("nobody"), ErrorKind::NotFound),
        (person("alice"), ErrorKind::Usage),
        (file::Check { reply_to: Some("zzzzzz".into()), ..ops() }, ErrorKind::NotFound),
        (
            file::Check { thread: Some(MessageRef { id: "zzzzzz".into(), within: None }), ..ops() },
            ErrorKind::NotFound,
        ),
        (file::Check { expire: Some(0), ..ops() }, ErrorKind::Usage),
        (file::Check { text: "x".repeat(1 << 20), ..ops() }, ErrorKind::Limit),
        (file::Check { files: 0, ..ops() }, ErrorKind::Usage),
        (file::Check { files: 99, ..ops() }, ErrorKind::Limit),
    ] {
        world.person("alice").cannot(check, kind);
    }
    world.person("bob").does(message::Send::new(Target::Account("carol".parse().unwrap()), "hi"));
    world.settle();
    // Who asked is answered, by the message and not by the question.
    world.person("carol").does(person("bob"));
    let asked = world.person("carol").does(contact::List {});
    assert_eq!(asked[0].state, cipher_api::view::ContactState::Requested);
    world.person("carol").does(contact::Block { who: "bob".parse::<Handle>().unwrap().into() });
    world.person("carol").cannot(person("bob"), ErrorKind::Refused);
    world.person("alice").removes(group, &["bob"]);
    world.settle();
    world.person("bob").cannot(ops(), ErrorKind::Refused);
}
