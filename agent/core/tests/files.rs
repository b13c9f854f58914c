//! Files: what of an upload survives its process, who can open what a message names, and what is gone with the message.

use cipher_api::ErrorKind;
use cipher_api::Target;
use cipher_api::command::message::MessageRef;
use cipher_api::command::{file, message};
use cipher_api::view::{HistoryPolicy, MessageState, MessageView, OpenFileView, UploadView};
use cipher_broker::id::GroupId;

use crate::own_devices::link_with;
use crate::support::disk::End;
use crate::support::log::Flavour;
use crate::support::oracle;
use crate::support::world::World;

fn begin(origin: &str, size: u64) -> file::Begin {
    file::Begin { origin: origin.into(), name: "../notes.txt".into(), size }
}

fn finish(upload: &UploadView) -> file::Finish {
    file::Finish { id: upload.id, hash: vec![7; 32], mime: "text/plain".into() }
}

fn says(group: GroupId, text: &str, uploads: &[&UploadView]) -> file::Send {
    let files = uploads.iter().map(|upload| upload.id).collect();
    file::Send { target: Target::Group(group), text: text.into(), reply_to: None, thread: None, files }
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
        files,
    });
    assert_eq!(said.attachments.len(), 1);
    let waiting = world.person("alice").does(open(said.id));
    assert_eq!(waiting[0].key, upload.key);
    world.settle();
    world.person("bob").does(cipher_api::command::contact::Accept { handle: "alice".parse().unwrap() });
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
